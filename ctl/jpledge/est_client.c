/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See est_client.h. */
#include "est_client.h"

#include <coap3/coap.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs.h"
#include "clock.h"
#include "coaploop.h"
#include "est.h"
#include "issue.h"
#include "multipart.h"
#include "pemfile.h"

#define CHAIN_MAX 4
#define WAITS_MAX 20			 /* 5.03s in a row */
#define WAIT_MAX  60			 /* s; RFC 8995 5.6 */
#define LATER_MAX (WAITS_MAX * WAIT_MAX) /* s; a longer wait is not begun */
#define STALL_S	  120			 /* without an answer, whatever libcoap says */
#define BODY_MAX  16384			 /* octets of an answer: CHAIN_MAX large certificates */

/* Sessions, each with the same request, so that who lost only the answer gets the same certificate.
 */
#define SESSIONS_MAX 10
/* OpenSSL gives up a handshake after 31 s, and libcoap a message after 93 at most; on a link that
 * loses every tenth datagram at each end some of a hundred come to that.  Who has heard of the
 * Registrar before knows that it is worth the while. */
#define LATER	3 /* times the patience with one that nobody has heard of */
#define AGAIN_S 1 /* ... more before each session than before the last one */
/* What fails sooner than OpenSSL and libcoap have sent anything for a third time is not lost: an
 * ICMP error came. */
#define LOST_MS 5000

struct est_client {
	const struct est_config *config;
	struct est_events events;
	void *arg;
	struct coaploop *loop;
	coap_session_t *session;
	uint64_t session_since; /* ms */
	bool connected;		/* once, at least */
	struct event *deadline; /* of silence */
	bool again;		/* with a new session, when the timer is over */
	struct event *end, *timer;
	enum est_step step;
	unsigned int waits;
	bool over;
	coap_bin_const_t token;
	uint8_t token_bytes[8];
	X509 *self;
	uint8_t *csr;
	size_t csr_len;
	uint8_t *body; /* of the answer, as far as it is here */
	size_t body_len;
	struct est_result result;
	char why[200];
};

static void request(struct est_client *c);

/* ---- the end ---- */

/* Not from within libcoap, which may still need the session. */
static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct est_client *c = arg;

	(void)fd;
	(void)what;
	c->events.done(c->arg, &c->result);
}

static void finish(struct est_client *c, const char *fmt, ...)
{
	va_list ap;

	if (c->over)
		return;
	c->over = true;
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(c->why, sizeof(c->why), fmt, ap);
		va_end(ap);
		c->result.why = c->why;
	}
	evtimer_del(c->timer);
	evtimer_del(c->deadline);
	event_active(c->end, 0, 0);
}

/* The Registrar was heard of; it may be silent for AND_S seconds more than usual. */
static void heard(struct est_client *c, unsigned int and_s)
{
	struct timeval tv = { .tv_sec =
				      (c->connected ? LATER : 1) * c->config->patience_s + and_s };

	evtimer_add(c->deadline, &tv);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct est_client *c = arg;

	(void)fd;
	(void)what;
	if (c->connected)
		finish(c, "the Registrar has fallen silent");
	else
		finish(c, "no DTLS handshake in %u s: is there a Registrar?",
		       c->config->patience_s);
}

/* Does ALERT say that one end does not believe the other's certificate (RFC 5246 7.2.2)? */
static bool is_of_certificate(int alert)
{
	return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
	       alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED;
}

/* One end said why it ends the session, and will say so again.  False: neither did. */
static bool refused_by_alert(struct est_client *c)
{
	int got = c->result.dtls.alert_got, sent = c->result.dtls.alert_sent;

	if (sent != DTLS_NO_ALERT && is_of_certificate(sent))
		finish(c,
		       "the DTLS handshake failed: the Registrar's certificate is not believed "
		       "(%s): is it of --ca?",
		       SSL_alert_desc_string_long(sent));
	else if (got != DTLS_NO_ALERT && is_of_certificate(got))
		finish(c,
		       "the DTLS handshake failed: the Registrar does not take our certificate "
		       "(%s): does it know its maker?",
		       SSL_alert_desc_string_long(got));
	else if (sent != DTLS_NO_ALERT || got != DTLS_NO_ALERT)
		finish(c, "the DTLS handshake failed: %s (%s)",
		       got != DTLS_NO_ALERT ? "the Registrar refused"
					    : "it was not as it should be",
		       SSL_alert_desc_string_long(got != DTLS_NO_ALERT ? got : sent));
	return c->over;
}

/* The session is of no use any more, WHY says it: a new one, unless there were enough, it was
 * refused, or nobody is there. */
static void lost(struct est_client *c, const char *why)
{
	if (c->over || c->again || refused_by_alert(c))
		return;
	if (!c->result.dtls.heard && jpx_now_ms() - c->session_since < LOST_MS) {
		finish(c, "nobody listens at that port: is it a join port, or a Registrar's?");
		return;
	}
	if (c->result.sessions == SESSIONS_MAX) {
		finish(c, "%s", why);
		return;
	}
	/* Not from within libcoap, either. */
	c->again = true;
	evtimer_add(c->timer, &(struct timeval){ .tv_sec = AGAIN_S * (time_t)c->result.sessions });
}

static void go_on(struct est_client *c, enum est_step step)
{
	c->step = step;
	c->events.step(c->arg, step);
	evtimer_add(c->timer, &(struct timeval){ .tv_sec = STALL_S });
}

static bool is_06(const struct est_client *c)
{
	return c->config->profile == EST_COAPS_06;
}

/* ---- what is believed ---- */

static bool verifies(STACK_OF(X509) * anchors, X509 *cert, STACK_OF(X509) * chain, char *why,
		     size_t len)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good = false;

	snprintf(why, len, "no memory");
	for (int i = 0; store && i < sk_X509_num(anchors); i++)
		X509_STORE_add_cert(store, sk_X509_value(anchors, i));
	if (store && ctx && X509_STORE_CTX_init(ctx, store, cert, chain)) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		good = X509_verify_cert(ctx) == 1;
		snprintf(why, len, "%s",
			 X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return good;
}

/* The session's, if there is one by OpenSSL. */
static SSL *session_ssl(struct est_client *c)
{
	coap_tls_library_t library;
	SSL *ssl = coap_session_get_tls(c->session, &library);

	return library == COAP_TLS_LIBRARY_OPENSSL ? ssl : NULL;
}

/* Is the Registrar of the CA that it says is ours now? */
static bool registrar_is_of(struct est_client *c, STACK_OF(X509) * cacerts, char *why, size_t len)
{
	SSL *ssl = session_ssl(c);

	if (ssl && SSL_get0_peer_certificate(ssl)) {
		c->result.suite = SSL_get_cipher_name(ssl);
		return verifies(cacerts, SSL_get0_peer_certificate(ssl),
				SSL_get_peer_cert_chain(ssl), why, len);
	}
	snprintf(why, len, "it showed no certificate");
	return false;
}

static void take_cacerts(struct est_client *c, const uint8_t *body, size_t len)
{
	STACK_OF(X509) *certs = certs_read(body, len, CHAIN_MAX);
	char why[120];

	if (!certs) {
		finish(c, "the Registrar's CA certificates are no certs-only message of 1 to %d",
		       CHAIN_MAX);
		return;
	}
	sk_X509_pop_free(c->result.cacerts, X509_free); /* a former session's */
	c->result.cacerts = certs;
	if (!registrar_is_of(c, certs, why, sizeof(why))) {
		finish(c, "the Registrar's own certificate is not of the CA that it gives: %s",
		       why);
		return;
	}
	go_on(c, c->config->attributes ? EST_ATTRS : EST_CERTIFICATE);
	request(c);
}

/* ---- the request for a certificate ---- */

/* ace-coap-est-06 5.2 */
static bool wrap_csr(struct est_client *c)
{
	uint8_t *body = malloc(c->csr_len);
	long len = -1;

	if (body) {
		memcpy(body, c->csr, c->csr_len);
		len = est_wrap(&body, (long)c->csr_len);
	}
	OPENSSL_free(c->csr);
	c->csr = len > 0 ? OPENSSL_memdup(body, (size_t)len) : NULL;
	c->csr_len = c->csr ? (size_t)len : 0;
	free(body);
	return c->csr;
}

/* A CSR for KEY that names us as our certificate does, with LINK as its challengePassword (LEN
 * octets; 0: none), as the profile has it. */
static bool make_csr(struct est_client *c, EVP_PKEY *key, const uint8_t *link, int link_len)
{
	X509_REQ *req = X509_REQ_new();
	int len = -1;

	OPENSSL_free(c->csr);
	c->csr = NULL;
	if (req && key && X509_REQ_set_subject_name(req, X509_get_subject_name(c->self)) &&
	    X509_REQ_set_pubkey(req, key) &&
	    (!link_len || X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, MBSTRING_ASC,
						    link, link_len)) &&
	    X509_REQ_sign(req, key, EVP_sha256()))
		len = i2d_X509_REQ(req, &c->csr);
	c->csr_len = len > 0 ? (size_t)len : 0;
	X509_REQ_free(req);
	ERR_clear_error();
	return c->csr_len && (!is_06(c) || wrap_csr(c));
}

/* ---- attributes ---- */

/* Adds the object identifier in ANY, an attribute or one alone (RFC 7030 4.5.2), to the list.
 * False: it is neither. */
static bool add_attribute(struct est_client *c, const ASN1_TYPE *any, bool *link)
{
	char *list = c->result.attributes, oid[80];
	const size_t used = strlen(list), cap = sizeof(c->result.attributes);
	ASN1_SEQUENCE_ANY *inner = NULL;
	const ASN1_OBJECT *object = NULL;
	const uint8_t *at;

	if (ASN1_TYPE_get(any) == V_ASN1_SEQUENCE) {
		at = any->value.sequence->data;
		inner = d2i_ASN1_SEQUENCE_ANY(NULL, &at, any->value.sequence->length);
		any = sk_ASN1_TYPE_num(inner) > 0 ? sk_ASN1_TYPE_value(inner, 0) : NULL;
	}
	if (any && ASN1_TYPE_get(any) == V_ASN1_OBJECT)
		object = any->value.object;
	if (object && OBJ_obj2txt(oid, sizeof(oid), object, 1) > 0 && used + strlen(oid) + 2 < cap)
		snprintf(list + used, cap - used, "%s%s", used ? " " : "", oid);
	*link |= object && OBJ_obj2nid(object) == NID_pkcs9_challengePassword;
	sk_ASN1_TYPE_pop_free(inner, ASN1_TYPE_free);
	return object;
}

/* Anew, and linked to this session: as challengePassword it has what no other has (RFC 7030 3.5).
 */
static bool link_csr(struct est_client *c)
{
	SSL *ssl = session_ssl(c);
	uint8_t unique[64], text[128];
	size_t len = ssl ? SSL_get_finished(ssl, unique, sizeof(unique)) : 0;

	if (!len || len > sizeof(unique))
		return false;
	return make_csr(c, c->result.key, text, EVP_EncodeBlock(text, unique, (int)len));
}

static void take_attributes(struct est_client *c, const uint8_t *body, size_t len)
{
	const uint8_t *end = body;
	ASN1_SEQUENCE_ANY *all = d2i_ASN1_SEQUENCE_ANY(NULL, &end, (long)len);
	bool good = all && end == body + len, link = false;

	*c->result.attributes = '\0';
	for (int i = 0; good && i < sk_ASN1_TYPE_num(all); i++)
		good = add_attribute(c, sk_ASN1_TYPE_value(all, i), &link);
	sk_ASN1_TYPE_pop_free(all, ASN1_TYPE_free);
	ERR_clear_error();
	if (!good) {
		finish(c, "the Registrar's CSR attributes cannot be read");
	} else if (link && c->config->want != EST_SERVER_KEY && !link_csr(c)) {
		finish(c, "no CSR can be made that is linked to this session");
	} else {
		go_on(c, EST_CERTIFICATE);
		request(c);
	}
}

/* ---- certificates ---- */

/* A Registrar may give us a name of its domain's, but none of another device. */
static bool names_another(const X509 *self, const X509 *cert)
{
	X509_NAME *names[2] = { X509_get_subject_name(self), X509_get_subject_name(cert) };
	const ASN1_STRING *serial[2] = { NULL, NULL };
	int at;

	for (int i = 0; i < 2; i++) {
		at = X509_NAME_get_index_by_NID(names[i], NID_serialNumber, -1);
		if (at >= 0)
			serial[i] = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(names[i], at));
	}
	return serial[0] && serial[1] &&
	       (ASN1_STRING_length(serial[0]) != ASN1_STRING_length(serial[1]) ||
		memcmp(ASN1_STRING_get0_data(serial[0]), ASN1_STRING_get0_data(serial[1]),
		       (size_t)ASN1_STRING_length(serial[0])));
}

static void take_cert(struct est_client *c, X509 *cert)
{
	char why[120];

	if (!cert) {
		finish(c, "what the Registrar answered is no certificate");
		return;
	}
	c->result.cert = cert;
	if (EVP_PKEY_eq(X509_get0_pubkey(cert), c->result.key) != 1)
		finish(c, "the certificate is for another key than ours");
	else if (names_another(c->self, cert))
		finish(c, "the certificate names a device with another serial number than ours");
	else if (!verifies(c->result.cacerts, cert, NULL, why, sizeof(why)))
		finish(c, "the certificate is not of the Registrar's CA: %s", why);
	else
		finish(c, NULL);
}

/* The only certificate of a certs-only message, as ace-coap-est-06 has them. */
static X509 *only_one(const uint8_t *body, size_t len)
{
	STACK_OF(X509) *certs = certs_read(body, len, 1);
	X509 *cert = certs ? sk_X509_pop(certs) : NULL;

	sk_X509_free(certs);
	return cert;
}

/* RFC 9148 4.8: the key and a certs-only message or a certificate, in any order. */
static void take_key(struct est_client *c, const uint8_t *body, size_t len)
{
	struct multipart_part parts[2];
	const uint8_t *at;
	X509 *cert = NULL;

	if (multipart_read(body, len, parts, 2) == 2)
		for (int i = 0; i < 2; i++) {
			at = parts[i].body;
			if (parts[i].format == EST_FORMAT_KEY && !c->result.key)
				c->result.key = d2i_AutoPrivateKey(NULL, &at, (long)parts[i].len);
			else if (parts[i].format == EST_FORMAT_CERT && !cert)
				cert = certs_read_one(parts[i].body, parts[i].len);
			else if (parts[i].format == EST_FORMAT_CERTS && !cert)
				cert = only_one(parts[i].body, parts[i].len);
		}
	ERR_clear_error();
	if (c->result.key)
		take_cert(c, cert);
	else
		finish(c, "what the Registrar answered is no key with a certificate");
	if (!c->result.cert)
		X509_free(cert);
}

/* ---- requests ---- */

static bool add_path(coap_optlist_t **options, const char *path)
{
	const char *word = path;
	size_t len;

	for (; *word; word += len + (word[len] == '/')) {
		len = strcspn(word, "/");
		if (!coap_insert_optlist(options, coap_new_optlist(COAP_OPTION_URI_PATH, len,
								   (const uint8_t *)word)))
			return false;
	}
	return true;
}

static bool add_number(coap_optlist_t **options, uint16_t option, unsigned int number)
{
	uint8_t buf[4];

	return coap_insert_optlist(
		options,
		coap_new_optlist(option, coap_encode_var_safe(buf, sizeof(buf), number), buf));
}

static void release(coap_session_t *session, void *body)
{
	(void)session;
	free(body);
}

/* The content format of this step's answer. */
static unsigned int format_wanted(const struct est_client *c)
{
	return c->step == EST_ATTRS		   ? EST_FORMAT_ATTRS
	       : c->step != EST_CERTIFICATE	   ? EST_FORMAT_CERTS
	       : c->config->want == EST_SERVER_KEY ? EST_FORMAT_MULTIPART
	       : is_06(c)			   ? EST_FORMAT_CERTS
						   : EST_FORMAT_CERT;
}

/* The request of this step. */
static void request(struct est_client *c)
{
	static const char *const paths[][3] = {
		[EST_RFC9148] = { EST_WELL_KNOWN "/sen", EST_WELL_KNOWN "/sren",
				  EST_WELL_KNOWN "/skc" },
		[EST_COAPS_06] = { EST_WELL_KNOWN "/sen", EST_WELL_KNOWN "/sren",
				   EST_WELL_KNOWN "/skg" },
	};
	bool posts = c->step == EST_CERTIFICATE;
	coap_optlist_t *options = NULL;
	coap_pdu_t *pdu =
		coap_new_pdu(COAP_MESSAGE_CON,
			     posts ? COAP_REQUEST_CODE_POST : COAP_REQUEST_CODE_GET, c->session);
	uint8_t *body = NULL;
	size_t token_len;
	bool made;

	c->body_len = 0;
	coap_session_new_token(c->session, &token_len, c->token_bytes);
	c->token = (coap_bin_const_t){ token_len, c->token_bytes };
	made = pdu && coap_add_token(pdu, token_len, c->token_bytes) &&
	       add_path(&options, posts ? paths[c->config->profile][c->config->want]
				  : c->step == EST_ATTRS ? EST_WELL_KNOWN "/att"
							 : EST_WELL_KNOWN "/crts") &&
	       (!posts || add_number(&options, COAP_OPTION_CONTENT_FORMAT, EST_FORMAT_CSR)) &&
	       add_number(&options, COAP_OPTION_ACCEPT, format_wanted(c)) &&
	       coap_add_optlist_pdu(pdu, &options);
	coap_delete_optlist(options);
	if (made && posts) {
		/* libcoap's own, until it has sent the last block. */
		body = malloc(c->csr_len);
		made = body != NULL;
		if (made)
			memcpy(body, c->csr, c->csr_len);
		made = made && coap_add_data_large_request(c->session, pdu, c->csr_len, body,
							   release, body);
	}
	if (!made) {
		coap_delete_pdu(pdu);
		finish(c, "no memory for a request");
	} else if (coap_send_large(c->session, pdu) == COAP_INVALID_MID) {
		finish(c, "the request cannot be sent");
	}
}

/* ---- answers ---- */

static unsigned int max_age(const coap_pdu_t *pdu)
{
	coap_opt_iterator_t iterator;
	coap_opt_t *option = coap_check_option(pdu, COAP_OPTION_MAXAGE, &iterator);

	/* RFC 7252 5.10.5 */
	return option ? coap_decode_var_bytes(coap_opt_value(option), coap_opt_length(option)) : 60;
}

/* The same request again, later (RFC 9148 4.7). */
static void wait_for(struct est_client *c, unsigned int seconds)
{
	if (seconds > LATER_MAX) {
		finish(c,
		       "the Registrar has nothing for us for %u s; try again then, or another one",
		       seconds);
		return;
	}
	if (++c->waits > WAITS_MAX) {
		finish(c, "the Registrar asked for patience %d times", WAITS_MAX);
		return;
	}
	c->events.step(c->arg, EST_WAIT);
	seconds = seconds < WAIT_MAX ? seconds + 1 : WAIT_MAX;
	heard(c, seconds);
	evtimer_add(c->timer, &(struct timeval){ .tv_sec = seconds });
}

static void refused(struct est_client *c, const coap_pdu_t *pdu)
{
	coap_pdu_code_t code = coap_pdu_get_code(pdu);
	const uint8_t *text = NULL;
	char said[121];
	size_t len = 0, n = 0;

	coap_get_data(pdu, &len, &text);
	/* For a terminal, and for JSON, which takes nothing that is not UTF-8. */
	for (; n < len && n < sizeof(said) - 1; n++)
		said[n] = text[n] >= ' ' && text[n] <= '~' ? (char)text[n] : '?';
	said[n] = '\0';
	finish(c, "the Registrar refused: %u.%02u%s%s", code >> 5, code & 0x1f, n ? ", " : "",
	       said);
}

/* Without the option anything may be in it, and what it is will be seen. */
static bool is_of_format(const coap_pdu_t *pdu, unsigned int want, unsigned int *format)
{
	coap_opt_iterator_t iterator;
	coap_opt_t *option = coap_check_option(pdu, COAP_OPTION_CONTENT_FORMAT, &iterator);

	*format = option ? coap_decode_var_bytes(coap_opt_value(option), coap_opt_length(option))
			 : want;
	return *format == want;
}

/* What is in PDU, a block or all of it, behind what is here.  Is that all?  libcoap would put it
 * together itself, as long as blocks come and there is memory. */
static bool is_whole(struct est_client *c, const coap_pdu_t *pdu)
{
	size_t len = 0, offset = 0, total = 0;
	const uint8_t *data = NULL;
	coap_block_t block;
	uint8_t *more;

	coap_get_data_large(pdu, &len, &data, &offset, &total);
	if (!coap_get_block(pdu, COAP_OPTION_BLOCK2, &block))
		block.m = 0;
	if (total > BODY_MAX || offset > BODY_MAX || len > BODY_MAX - offset) {
		finish(c, "the Registrar's answer has more than %d octets", BODY_MAX);
		return false;
	}
	if (offset > c->body_len || (block.m && !len)) {
		finish(c, "a block of the Registrar's answer is missing");
		return false;
	}
	if (len && offset == c->body_len) {
		more = realloc(c->body, offset + len);
		if (!more) {
			finish(c, "no memory for the Registrar's answer");
			return false;
		}
		c->body = more;
		memcpy(c->body + offset, data, len);
		c->body_len += len;
	}
	return !block.m;
}

static coap_response_t on_answer(coap_session_t *session, const coap_pdu_t *sent,
				 const coap_pdu_t *pdu, const coap_mid_t mid)
{
	struct est_client *c = coap_session_get_app_data(session);
	coap_pdu_code_t code = coap_pdu_get_code(pdu);
	const uint8_t *body;
	unsigned int format;
	size_t len;

	(void)sent;
	(void)mid;
	if (!c || c->over || c->again)
		return COAP_RESPONSE_OK;
	if (code == COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE) {
		wait_for(c, max_age(pdu));
	} else if (c->step == EST_ATTRS && code == COAP_RESPONSE_CODE_NOT_FOUND) {
		heard(c, 0);
		go_on(c, EST_CERTIFICATE); /* it wants none */
		request(c);
	} else if (COAP_RESPONSE_CLASS(code) != 2) {
		refused(c, pdu);
	} else if (!is_of_format(pdu, format_wanted(c), &format)) {
		finish(c, "the Registrar answered in content format %u, not %u", format,
		       format_wanted(c));
	} else if (is_whole(c, pdu)) {
		c->waits = 0;
		heard(c, 0);
		body = c->body;
		len = c->body_len;
		if (is_06(c) && (c->step != EST_CERTIFICATE || c->config->want != EST_SERVER_KEY) &&
		    !est_unwrap(&body, &len))
			finish(c, "what the Registrar answered is not in a CBOR byte string: is it "
				  "of est-coaps-06?");
		else if (c->step == EST_CACERTS)
			take_cacerts(c, body, len);
		else if (c->step == EST_ATTRS)
			take_attributes(c, body, len);
		else if (c->config->want == EST_SERVER_KEY)
			take_key(c, body, len);
		else
			take_cert(c, is_06(c) ? only_one(body, len) : certs_read_one(body, len));
	}
	return COAP_RESPONSE_OK;
}

static const char handshake_failed[] = "the DTLS handshake failed, and no end said why";

static void on_nack(coap_session_t *session, const coap_pdu_t *sent,
		    const coap_nack_reason_t reason, const coap_mid_t mid)
{
	struct est_client *c = coap_session_get_app_data(session);

	(void)sent;
	(void)mid;
	if (!c)
		return;
	if (reason == COAP_NACK_RST)
		finish(c, "the Registrar knows nothing of the request");
	else
		lost(c, reason == COAP_NACK_TLS_FAILED ? handshake_failed : "no answer");
}

static int on_event(coap_session_t *session, const coap_event_t event)
{
	struct est_client *c = coap_session_get_app_data(session);

	if (!c || c->over || c->again)
		return 0;
	switch (event) {
	case COAP_EVENT_DTLS_CONNECTED:
		/* Another handshake is no answer: who does no more than that is silent. */
		if (!c->connected) {
			c->connected = true;
			heard(c, 0);
		}
		if (c->step == EST_HANDSHAKE) {
			go_on(c, EST_CACERTS);
			request(c);
		}
		break;
	case COAP_EVENT_DTLS_CLOSED:
	case COAP_EVENT_DTLS_ERROR:
		lost(c, c->step == EST_HANDSHAKE ? handshake_failed : "the DTLS session ended");
		break;
	default:
		break;
	}
	return 0;
}

/* ---- beginning ---- */

static bool read_self(struct est_client *c, char *err, size_t err_len)
{
	EVP_PKEY *own = pemfile_read_key(c->config->key, err, err_len);
	STACK_OF(X509) *chain =
		own ? pemfile_read_certs(c->config->cert, CHAIN_MAX, err, err_len) : NULL;
	bool made = false;

	if (chain) {
		c->self = sk_X509_shift(chain);
		if (X509_check_private_key(c->self, own) != 1)
			snprintf(err, err_len, "%s: not the certificate of the key in %s",
				 c->config->cert, c->config->key);
		/* Of a key that the Registrar is to make, the one that we have is ignored (RFC 9148
		 * 4.8). */
		else if (make_csr(c,
				  c->config->want == EST_SERVER_KEY ? own
								    : (c->result.key = issue_key()),
				  NULL, 0))
			made = true;
		else
			snprintf(err, err_len, "OpenSSL can make no request");
	}
	ERR_clear_error();
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(own);
	return made;
}

/* libcoap may need it longer than we do: what it has sent goes on being sent again. */
static void leave_session(struct est_client *c)
{
	if (!c->session)
		return;
	if (session_ssl(c))
		dtls_unwatch(session_ssl(c));
	coap_session_set_app_data(c->session, NULL);
	coap_session_release(c->session);
	c->session = NULL;
}

/* Which suites are offered is libcoap's choice: 4.3.1 asks nobody before it sends a ClientHello.
 * The mandatory one is among them, and Registrars take it first (RFC 9148 3). */
static bool begin_session(struct est_client *c)
{
	const struct est_config *config = c->config;
	coap_dtls_pki_t pki = {
		.version = COAP_DTLS_PKI_SETUP_VERSION,
		.verify_peer_cert = config->ca != NULL,
		.check_common_ca = config->ca != NULL, /* libcoap reads the file for this alone */
		.cert_chain_validation = 1,
		.cert_chain_verify_depth = CHAIN_MAX,
		.pki_key = { .key_type = COAP_PKI_KEY_PEM,
			     .key.pem = { config->ca, config->cert, config->key } },
	};

	leave_session(c);
	c->again = false;
	c->result.sessions++;
	c->session_since = jpx_now_ms();
	c->session = coaploop_dtls_session(c->loop, &config->server, config->from, &pki);
	if (!c->session)
		return false;
	coap_session_set_app_data(c->session, c);
	if (session_ssl(c))
		dtls_watch(&c->result.dtls, session_ssl(c));
	go_on(c, EST_HANDSHAKE);
	return true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct est_client *c = arg;

	(void)fd;
	(void)what;
	if (c->again) {
		if (!begin_session(c))
			finish(c, "cannot begin a DTLS session: %s", strerror(errno));
	} else if (c->waits) {
		go_on(c, c->step);
		request(c);
	} else {
		lost(c, "no answer");
	}
}

struct est_client *est_client_new(struct event_base *base, struct coaploop *loop,
				  const struct est_config *config, const struct est_events *events,
				  void *arg, char *err, size_t err_len)
{
	struct est_client *c = calloc(1, sizeof(*c));

	snprintf(err, err_len, "no memory");
	if (!c)
		return NULL;
	c->config = config;
	c->events = *events;
	c->arg = arg;
	c->loop = loop;
	c->end = event_new(base, -1, 0, on_end, c);
	c->timer = evtimer_new(base, on_timer, c);
	c->deadline = evtimer_new(base, on_deadline, c);
	if (!c->end || !c->timer || !c->deadline || !read_self(c, err, err_len))
		goto fail;
	coap_context_set_block_mode(coaploop_context(loop), COAP_BLOCK_USE_LIBCOAP);
	coap_register_response_handler(coaploop_context(loop), on_answer);
	coap_register_nack_handler(coaploop_context(loop), on_nack);
	coap_register_event_handler(coaploop_context(loop), on_event);
	if (!begin_session(c)) {
		snprintf(err, err_len, "cannot begin a DTLS session: %s", strerror(errno));
		goto fail;
	}
	heard(c, 0);
	return c;

fail:
	est_client_free(c);
	return NULL;
}

void est_client_free(struct est_client *c)
{
	if (!c)
		return;
	leave_session(c);
	if (c->end)
		event_free(c->end);
	if (c->timer)
		event_free(c->timer);
	if (c->deadline)
		event_free(c->deadline);
	sk_X509_pop_free(c->result.cacerts, X509_free);
	X509_free(c->result.cert);
	EVP_PKEY_free(c->result.key);
	X509_free(c->self);
	OPENSSL_free(c->csr);
	free(c->body);
	free(c);
}
