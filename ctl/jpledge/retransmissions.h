/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a client of DTLS sends again, for want of an answer: OpenSSL repeats flights of a handshake,
 * libcoap messages, and neither tells.  Seen in what OpenSSL writes; changes nothing of it.
 */
#ifndef JPLEDGE_RETRANSMISSIONS_H
#define JPLEDGE_RETRANSMISSIONS_H

#include <openssl/ssl.h>
#include <stdint.h>

struct retransmissions {
	unsigned int handshake; /* flights sent again (RFC 6347 4.2.4), in all sessions */
	unsigned int coap;	/* messages sent again (RFC 7252 4.2), in all sessions */
	/* Of the session that is watched. */
	unsigned int last_seq;
	unsigned int last_len; /* of the last CoAP message; 0: it was answered, or is none */
};

/* Counts in R what SSL, a client that has sent its first ClientHello and does one thing after the
 * other (NSTART is 1), sends again from now on.  R must live as long as SSL does. */
void retransmissions_watch(struct retransmissions *r, SSL *ssl);

#endif
