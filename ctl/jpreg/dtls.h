/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DTLS 1.2 server sessions (RFC 6347) by OpenSSL, over datagrams that somebody else receives and
 * sends: from a socket, or out of JPY messages.  The suite is TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8
 * with secp256r1, as RFC 9148 3 has it; some stronger ones are taken, too.  Who has no certificate
 * gets no session.
 *
 * Nothing is kept of a client before it has returned our cookie.  Must never look into what is
 * protected, nor know what a JPY message or a CoAP message is.
 */
#ifndef JPX_JPREG_DTLS_H
#define JPX_JPREG_DTLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct dtls;
struct dtls_session;

enum dtls_end {
	DTLS_CLOSED,	/* by the client */
	DTLS_REFUSED,	/* the client's certificate */
	DTLS_FAILED,	/* the handshake, or what came afterwards */
	DTLS_TIMED_OUT, /* the handshake */
};

/* OWNER is who dtls_begin() named, or of a cookie who dtls_hello() did.  None of them may end the
 * session but by dtls_close(), which then takes effect when the call is over. */
struct dtls_events {
	/* One datagram to the client. */
	void (*send)(void *owner, const void *datagram, size_t len);
	/* The handshake is done: CLIENT is the client's certificate, of which there is a reference.
	 */
	void (*established)(void *owner, X509 *client);
	/* What a record of the client's had inside. */
	void (*content)(void *owner, const void *content, size_t len);
	/* The session is over and will be gone; TEXT is a sentence for the log, without a full
	 * stop. */
	void (*ended)(void *owner, enum dtls_end end, const char *text);
};

struct dtls_config {
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* our own certificate first */
	/* Is CLIENT, which sent CHAIN with it, to be believed?  X509_V_OK or why not. */
	int (*verify)(void *arg, X509 *client, STACK_OF(X509) * chain);
	void *arg;
	struct dtls_events events;
	unsigned int mtu; /* the longest datagram of a handshake, without headers of IP and UDP */
	unsigned int handshake_s; /* how long one may take */
};

/* NULL with a sentence in ERR.  CONFIG is copied, key and chain are referred to. */
struct dtls *dtls_new(struct event_base *base, const struct dtls_config *config, char *err,
		      size_t err_len);

/* All sessions must be closed. */
void dtls_free(struct dtls *dtls);

/* Does DATAGRAM begin with a ClientHello that is not protected?  A look at the outside only. */
bool dtls_is_hello(const uint8_t *datagram, size_t len);

/* DATAGRAM came from the client called ID (ID_LEN bytes: all that tells it from others), who has no
 * session.  Answers a ClientHello with a cookie, by the event send with OWNER; returns a session
 * once the cookie has come back; else NULL, and nothing is kept. */
struct dtls_session *dtls_hello(struct dtls *dtls, const void *id, size_t id_len,
				const uint8_t *datagram, size_t len, void *owner);

/* Goes on with what dtls_hello() returned; OWNER must outlive the session.  May end it at once. */
void dtls_begin(struct dtls_session *session, void *owner);

/* Is DATAGRAM, a ClientHello, the very one that SESSION began with? */
bool dtls_began_with(const struct dtls_session *session, const uint8_t *datagram, size_t len);

void dtls_input(struct dtls_session *session, const uint8_t *datagram, size_t len);

/* Protects and sends CONTENT, when the handshake is done.  0 or a negative errno. */
int dtls_output(struct dtls_session *session, const void *content, size_t len);

/* What tells SESSION, whose handshake is done, from all others: tls-unique (RFC 5929 3.1), copied to
 * BUF; its length, which is no more than DTLS_UNIQUE_MAX, or 0. */
#define DTLS_UNIQUE_MAX 64
size_t dtls_unique(const struct dtls_session *session, uint8_t buf[DTLS_UNIQUE_MAX]);

/* Ends SESSION without the event; says so to the client if POLITE. */
void dtls_close(struct dtls_session *session, bool polite);

#endif
