/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See dtls_watch.h. */
#include "dtls_watch.h"

#include <openssl/ssl3.h>

/* RFC 6347 4.2.2: msg_type, length (3 octets), message_seq. */
#define SEQ_AT 4
/* RFC 6347 4.1: type, version (2), epoch (2), sequence_number (6), length. */
#define TYPE_AT 0
#define LEN_AT	11

static unsigned int u16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

/* A flight's messages count upwards; the first of one that was sent before does not. */
static void on_handshake(struct dtls_watch *w, const uint8_t *message, size_t len)
{
	unsigned int seq;

	if (len < SEQ_AT + 2)
		return;
	seq = u16(message + SEQ_AT);
	w->flights_again += seq <= w->last_seq;
	w->last_seq = seq;
}

/* Who waits for an answer before it asks for more, and sends as many octets as before without one,
 * sends the same.  (An acknowledgement is followed by a request, but that is longer.) */
static void on_record(struct dtls_watch *w, int sent, const uint8_t *header, size_t len)
{
	unsigned int record_len;

	if (len < LEN_AT + 2 || header[TYPE_AT] != SSL3_RT_APPLICATION_DATA)
		return;
	record_len = sent ? u16(header + LEN_AT) : 0;
	w->messages_again += record_len && record_len == w->last_len;
	w->last_len = record_len;
}

static void on_alert(struct dtls_watch *w, int sent, const uint8_t *alert, size_t len)
{
	if (len == 2 && alert[0] == SSL3_AL_FATAL)
		*(sent ? &w->alert_sent : &w->alert_got) = alert[1];
}

static void on_message(int sent, int version, int content_type, const void *buf, size_t len,
		       SSL *ssl, void *arg)
{
	struct dtls_watch *w = arg;

	(void)version;
	(void)ssl;
	if (content_type == SSL3_RT_HEADER)
		on_record(w, sent, buf, len);
	else if (content_type == SSL3_RT_ALERT)
		on_alert(w, sent, buf, len);
	else if (content_type == SSL3_RT_HANDSHAKE && sent)
		on_handshake(w, buf, len);
	else if (content_type == SSL3_RT_HANDSHAKE)
		w->heard = true;
}

void dtls_watch(struct dtls_watch *w, SSL *ssl)
{
	w->alert_got = w->alert_sent = DTLS_NO_ALERT;
	w->last_seq = 0; /* the first ClientHello's */
	w->last_len = 0;
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, w);
}

void dtls_unwatch(SSL *ssl)
{
	SSL_set_msg_callback(ssl, NULL);
}
