/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a client of DTLS does in silence, seen in what OpenSSL reads and writes: what it sends again
 * for want of an answer (flights of a handshake; libcoap's messages), and the alert that ended it.
 * Changes nothing of it.
 */
#ifndef JPLEDGE_DTLS_WATCH_H
#define JPLEDGE_DTLS_WATCH_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define DTLS_NO_ALERT (-1)

struct dtls_watch {
	/* In all sessions that were watched. */
	unsigned int flights_again;  /* RFC 6347 4.2.4 */
	unsigned int messages_again; /* RFC 7252 4.2 */
	bool heard;		     /* a handshake message of the server's came */
	/* Of the last session: fatal alerts, AlertDescription of RFC 5246 7.2 or DTLS_NO_ALERT. */
	int alert_got, alert_sent;
	/* For counting. */
	unsigned int last_seq;
	unsigned int last_len; /* of the last CoAP message; 0: it was answered, or is none */
};

/* Watches SSL, a client that has sent its first ClientHello and does one thing after the other
 * (NSTART is 1), from now on.  W, all zero before the first session, must live as long as SSL or
 * until dtls_unwatch(). */
void dtls_watch(struct dtls_watch *w, SSL *ssl);
void dtls_unwatch(SSL *ssl);

#endif
