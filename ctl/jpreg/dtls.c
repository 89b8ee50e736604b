/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See dtls.h.  OpenSSL reads and writes by a BIO of ours that holds one datagram in and passes on
 * each one out.
 */
#include "dtls.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define SUITES                                                                                     \
	"ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-GCM-SHA256:"            \
	"ECDHE-ECDSA-AES256-GCM-SHA384"
#define GROUPS "P-256:P-384"

/* A record's header (RFC 6347 4.1), then a handshake message's (4.2.2). */
#define RECORD_TYPE	  0
#define RECORD_EPOCH	  3
#define HANDSHAKE_TYPE	  13
#define HELLO_RANDOM	  27 /* behind both headers and the version */
#define RANDOM_LEN	  32
#define TYPE_HANDSHAKE	  22
#define TYPE_CLIENT_HELLO 1

#define COOKIE_LEN 32
#define SECRET_LEN 32
#define SECRET_S   60 /* a cookie is good for one to two minutes */

#define CONTENT_MAX 16384

struct dtls {
	struct dtls_config config;
	struct event_base *base;
	SSL_CTX *ctx;
	BIO_METHOD *method;
	struct dtls_session *listener; /* whose SSL waits for a ClientHello with a cookie */
	const void *id;		       /* of the client that is just being listened to */
	size_t id_len;
	uint8_t secret[2][SECRET_LEN]; /* this one and the one before */
	uint64_t secret_at;	       /* ms */
};

struct dtls_session {
	struct dtls *dtls;
	SSL *ssl;
	void *owner;
	const uint8_t *in; /* the datagram that is to be read, or NULL */
	size_t in_len;
	struct event *timer;
	uint64_t deadline; /* ms: of the handshake */
	uint8_t random[RANDOM_LEN];
	int verified;  /* X509_V_*, what verify() said */
	bool listened; /* the cookie has come back */
	bool established, busy, dead;
};

/* ---- the BIO ------------------------------------------------------------------------ */

static int bio_read(BIO *bio, char *buf, int cap)
{
	struct dtls_session *s = BIO_get_data(bio);
	size_t len = s->in_len;

	BIO_clear_retry_flags(bio);
	if (!s->in) {
		BIO_set_retry_read(bio);
		return -1;
	}
	/* As recv() does: what does not fit is gone. */
	if (len > (size_t)cap)
		len = (size_t)cap;
	memcpy(buf, s->in, len);
	s->in = NULL;
	return (int)len;
}

static int bio_write(BIO *bio, const char *buf, int len)
{
	struct dtls_session *s = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len > 0)
		s->dtls->config.events.send(s->owner, buf, (size_t)len);
	return len;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
	const struct dtls_session *s = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	switch (what) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_DGRAM_QUERY_MTU:
	case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
		return s->dtls->config.mtu;
	default:
		/* Timers are ours, overhead is not counted, and there is no address. */
		return 0;
	}
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO_METHOD *make_method(void)
{
	BIO_METHOD *method =
		BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams of jpreg");

	if (method && BIO_meth_set_read(method, bio_read) &&
	    BIO_meth_set_write(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl) &&
	    BIO_meth_set_create(method, bio_create))
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* ---- cookies ------------------------------------------------------------------------ */

/* The address alone, as RFC 6347 4.2.1 allows: what else a ClientHello says we need not remember.
 */
static bool cookie_of(const struct dtls *dtls, unsigned int which, uint8_t cookie[COOKIE_LEN])
{
	size_t len = 0;

	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, dtls->secret[which], SECRET_LEN,
			 dtls->id, dtls->id_len, cookie, COOKIE_LEN, &len) &&
	       len == COOKIE_LEN;
}

static int make_cookie(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
	const struct dtls_session *s = SSL_get_app_data(ssl);

	*len = COOKIE_LEN;
	return cookie_of(s->dtls, 0, cookie);
}

static int verify_cookie(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
	const struct dtls_session *s = SSL_get_app_data(ssl);
	uint8_t good[COOKIE_LEN];

	/* OpenSSL asks once more when the handshake begins. */
	if (s->listened)
		return 1;
	if (len != COOKIE_LEN)
		return 0;
	for (unsigned int which = 0; which < 2; which++)
		if (cookie_of(s->dtls, which, good) && !CRYPTO_memcmp(cookie, good, COOKIE_LEN))
			return 1;
	return 0;
}

static int renew_secret(struct dtls *dtls)
{
	uint64_t now = jpx_now_ms();

	if (dtls->secret_at && now - dtls->secret_at < SECRET_S * 1000)
		return 0;
	/* After a long rest the one before is older than it should be. */
	if (now - dtls->secret_at < 2 * SECRET_S * 1000)
		memcpy(dtls->secret[1], dtls->secret[0], SECRET_LEN);
	else if (RAND_bytes(dtls->secret[1], SECRET_LEN) != 1)
		return -1;
	if (RAND_bytes(dtls->secret[0], SECRET_LEN) != 1)
		return -1;
	dtls->secret_at = now;
	return 0;
}

/* ---- sessions --------------------------------------------------------------------------- */

static void session_free(struct dtls_session *s)
{
	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	SSL_free(s->ssl);
	free(s);
}

static struct dtls_session *session_new(struct dtls *dtls)
{
	struct dtls_session *s = calloc(1, sizeof(*s));
	BIO *bio;

	if (!s)
		return NULL;
	s->dtls = dtls;
	s->ssl = SSL_new(dtls->ctx);
	bio = BIO_new(dtls->method);
	if (!s->ssl || !bio || !SSL_set_app_data(s->ssl, s)) {
		BIO_free(bio);
		session_free(s);
		return NULL;
	}
	BIO_set_data(bio, s);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_mtu(s->ssl, (long)dtls->config.mtu);
	return s;
}

/* What OpenSSL says of what went wrong, the first of it. */
static const char *reason(char *buf, size_t len)
{
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	snprintf(buf, len, "%s", text ? text : "no reason is known");
	ERR_clear_error();
	return buf;
}

static void end(struct dtls_session *s, enum dtls_end how, const char *text)
{
	if (s->dead)
		return;
	s->dead = true;
	s->dtls->config.events.ended(s->owner, how, text);
}

static void fail(struct dtls_session *s)
{
	char why[120], text[200];

	if (!s->established && s->verified != X509_V_OK) {
		ERR_clear_error();
		end(s, DTLS_REFUSED, X509_verify_cert_error_string(s->verified));
		return;
	}
	snprintf(text, sizeof(text), "%s: %s", s->established ? "DTLS" : "DTLS handshake",
		 reason(why, sizeof(why)));
	end(s, DTLS_FAILED, text);
}

/* Calls to OpenSSL that return RET: is the session still good? */
static bool is_good(struct dtls_session *s, int ret)
{
	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_NONE:
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		ERR_clear_error();
		return true;
	case SSL_ERROR_ZERO_RETURN:
		end(s, DTLS_CLOSED, "closed by the pledge");
		return false;
	default:
		fail(s);
		return false;
	}
}

static void handshake(struct dtls_session *s)
{
	X509 *client;
	int ret;

	ERR_clear_error();
	ret = SSL_accept(s->ssl);
	if (!is_good(s, ret) || ret != 1)
		return;
	client = SSL_get0_peer_certificate(s->ssl);
	if (!client) { /* cannot be: SSL_VERIFY_FAIL_IF_NO_PEER_CERT */
		end(s, DTLS_REFUSED, "no certificate");
		return;
	}
	s->established = true;
	s->dtls->config.events.established(s->owner, client);
}

static void read_contents(struct dtls_session *s)
{
	static uint8_t content[CONTENT_MAX]; /* there is one thread, and nothing is kept */
	int ret;

	/* Reading nothing more at the end is what makes OpenSSL look at alerts. */
	while (!s->dead) {
		ERR_clear_error();
		ret = SSL_read(s->ssl, content, sizeof(content));
		if (!is_good(s, ret) || ret <= 0)
			return;
		s->dtls->config.events.content(s->owner, content, (size_t)ret);
	}
}

/* When OpenSSL wants to send its last flight again, and when a handshake has taken too long. */
static void arm(struct dtls_session *s)
{
	struct timeval t = { 0 };
	uint64_t now = jpx_now_ms(), left;

	if (s->established && !DTLSv1_get_timeout(s->ssl, &t)) {
		evtimer_del(s->timer);
		return;
	}
	if (!s->established) {
		left = s->deadline > now ? s->deadline - now : 0;
		if (!DTLSv1_get_timeout(s->ssl, &t) ||
		    (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000 > left)
			t = (struct timeval){ .tv_sec = (time_t)(left / 1000),
					      .tv_usec = (suseconds_t)(left % 1000 * 1000) };
	}
	evtimer_add(s->timer, &t);
}

static void enter(struct dtls_session *s)
{
	s->busy = true;
}

static void leave(struct dtls_session *s)
{
	s->busy = false;
	s->in = NULL;
	if (s->dead)
		session_free(s);
	else
		arm(s);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dtls_session *s = arg;

	(void)fd;
	(void)what;
	enter(s);
	ERR_clear_error();
	if (!s->established && jpx_now_ms() >= s->deadline)
		end(s, DTLS_TIMED_OUT, "DTLS handshake: not done in time");
	else if (DTLSv1_handle_timeout(s->ssl) < 0)
		end(s, DTLS_TIMED_OUT, "DTLS handshake: no answer");
	leave(s);
}

bool dtls_is_hello(const uint8_t *datagram, size_t len)
{
	return len >= HELLO_RANDOM + RANDOM_LEN && datagram[RECORD_TYPE] == TYPE_HANDSHAKE &&
	       !datagram[RECORD_EPOCH] && !datagram[RECORD_EPOCH + 1] &&
	       datagram[HANDSHAKE_TYPE] == TYPE_CLIENT_HELLO;
}

bool dtls_began_with(const struct dtls_session *s, const uint8_t *datagram, size_t len)
{
	return dtls_is_hello(datagram, len) &&
	       !memcmp(s->random, datagram + HELLO_RANDOM, RANDOM_LEN);
}

struct dtls_session *dtls_hello(struct dtls *dtls, const void *id, size_t id_len,
				const uint8_t *datagram, size_t len, void *owner)
{
	struct dtls_session *s = dtls->listener;
	BIO_ADDR *nobody;
	int ret;

	if (!dtls_is_hello(datagram, len) || renew_secret(dtls))
		return NULL;
	if (!s)
		s = dtls->listener = session_new(dtls);
	nobody = BIO_ADDR_new();
	if (!s || !nobody) {
		BIO_ADDR_free(nobody);
		return NULL;
	}
	dtls->id = id;
	dtls->id_len = id_len;
	s->owner = owner;
	s->in = datagram;
	s->in_len = len;
	ERR_clear_error();
	ret = DTLSv1_listen(s->ssl, nobody);
	ERR_clear_error();
	BIO_ADDR_free(nobody);
	dtls->id = NULL;
	s->in = NULL;
	s->owner = NULL;
	if (ret <= 0) {
		/* What stays behind of a failure is not to be the next client's. */
		if (ret < 0) {
			session_free(s);
			dtls->listener = NULL;
		}
		return NULL;
	}
	dtls->listener = NULL;
	s->listened = true;
	memcpy(s->random, datagram + HELLO_RANDOM, RANDOM_LEN);
	return s;
}

void dtls_begin(struct dtls_session *s, void *owner)
{
	s->owner = owner;
	s->deadline = jpx_now_ms() + (uint64_t)s->dtls->config.handshake_s * 1000;
	s->timer = evtimer_new(s->dtls->base, on_timer, s);
	enter(s);
	if (s->timer)
		handshake(s);
	else
		end(s, DTLS_FAILED, "no memory");
	leave(s);
}

void dtls_input(struct dtls_session *s, const uint8_t *datagram, size_t len)
{
	if (!len || s->busy)
		return;
	s->in = datagram;
	s->in_len = len;
	enter(s);
	if (!s->established)
		handshake(s);
	if (s->established && !s->dead)
		read_contents(s);
	leave(s);
}

int dtls_output(struct dtls_session *s, const void *content, size_t len)
{
	int ret;

	if (!s->established || s->dead)
		return -ENOTCONN;
	if (!len || len > CONTENT_MAX)
		return -EMSGSIZE;
	ERR_clear_error();
	ret = SSL_write(s->ssl, content, (int)len);
	ERR_clear_error();
	return ret > 0 ? 0 : -EIO;
}

size_t dtls_unique(const struct dtls_session *s, uint8_t buf[DTLS_UNIQUE_MAX])
{
	/* The first Finished of a handshake is the client's, as no session is ever resumed. */
	size_t len = SSL_get_peer_finished(s->ssl, buf, DTLS_UNIQUE_MAX);

	return len <= DTLS_UNIQUE_MAX ? len : 0;
}

void dtls_close(struct dtls_session *s, bool polite)
{
	if (s->dead)
		return;
	if (polite && s->established) {
		ERR_clear_error();
		SSL_shutdown(s->ssl);
		ERR_clear_error();
	}
	s->dead = true;
	if (!s->busy)
		session_free(s);
}

/* ---- what all share ----------------------------------------------------------------------- */

static int on_verify(X509_STORE_CTX *store, void *arg)
{
	struct dtls *dtls = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct dtls_session *s = SSL_get_app_data(ssl);

	s->verified = dtls->config.verify(dtls->config.arg, X509_STORE_CTX_get0_cert(store),
					  X509_STORE_CTX_get0_untrusted(store));
	X509_STORE_CTX_set_error(store, s->verified);
	return s->verified == X509_V_OK;
}

static int set_up(struct dtls *dtls)
{
	const struct dtls_config *c = &dtls->config;
	SSL_CTX *ctx = dtls->ctx;

	/* OpenSSL counts a tag of eight octets as 64 bits of security. */
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
					 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_COOKIE_EXCHANGE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_cookie_generate_cb(ctx, make_cookie);
	SSL_CTX_set_cookie_verify_cb(ctx, verify_cookie);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, dtls);
	if (!SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, SUITES) || !SSL_CTX_set1_groups_list(ctx, GROUPS) ||
	    SSL_CTX_use_certificate(ctx, sk_X509_value(c->chain, 0)) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, c->key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return -1;
	for (int i = 1; i < sk_X509_num(c->chain); i++)
		if (!SSL_CTX_add1_chain_cert(ctx, sk_X509_value(c->chain, i)))
			return -1;
	return 0;
}

struct dtls *dtls_new(struct event_base *base, const struct dtls_config *config, char *err,
		      size_t err_len)
{
	struct dtls *dtls = calloc(1, sizeof(*dtls));
	char why[120];

	if (!dtls) {
		snprintf(err, err_len, "DTLS: no memory");
		return NULL;
	}
	ERR_clear_error();
	dtls->config = *config;
	dtls->base = base;
	dtls->method = make_method();
	dtls->ctx = SSL_CTX_new(DTLS_server_method());
	if (!dtls->method || !dtls->ctx || set_up(dtls) || renew_secret(dtls)) {
		snprintf(err, err_len, "DTLS: OpenSSL cannot be set up: %s",
			 reason(why, sizeof(why)));
		dtls_free(dtls);
		return NULL;
	}
	return dtls;
}

void dtls_free(struct dtls *dtls)
{
	if (!dtls)
		return;
	session_free(dtls->listener);
	SSL_CTX_free(dtls->ctx);
	BIO_meth_free(dtls->method);
	OPENSSL_cleanse(dtls->secret, sizeof(dtls->secret));
	free(dtls);
}
