/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See dtls_name.h. */
#include "dtls_name.h"

#include <string.h>

#include <jpx/wire.h>

#define RECORD_HLEN    13
#define TYPE_TLS12_CID 25 /* RFC 9146: a connection id of unknown length follows the sequence */

/* the unified header's first byte, RFC 9147 4: 001CSLEE */
#define UNIFIED_CID 0x10
#define UNIFIED_SEQ 0x08
#define UNIFIED_LEN 0x04

static const char *const content_types[] = {
	[20] = "change_cipher_spec",
	[21] = "alert",
	[22] = "handshake",
	[23] = "application_data",
	[24] = "heartbeat",
	[25] = "tls12_cid",
	[26] = "ack",
};

static const char *const handshakes[] = {
	[0] = "hello_request",
	[1] = "client_hello",
	[2] = "server_hello",
	[3] = "hello_verify_request",
	[4] = "new_session_ticket",
	[8] = "encrypted_extensions",
	[11] = "certificate",
	[12] = "server_key_exchange",
	[13] = "certificate_request",
	[14] = "server_hello_done",
	[15] = "certificate_verify",
	[16] = "client_key_exchange",
	[20] = "finished",
	[21] = "certificate_url",
	[22] = "certificate_status",
	[23] = "supplemental_data",
	[24] = "key_update",
};

static const char *const alerts[] = {
	[0] = "close_notify",
	[10] = "unexpected_message",
	[20] = "bad_record_mac",
	[22] = "record_overflow",
	[40] = "handshake_failure",
	[42] = "bad_certificate",
	[43] = "unsupported_certificate",
	[44] = "certificate_revoked",
	[45] = "certificate_expired",
	[46] = "certificate_unknown",
	[47] = "illegal_parameter",
	[48] = "unknown_ca",
	[49] = "access_denied",
	[50] = "decode_error",
	[51] = "decrypt_error",
	[70] = "protocol_version",
	[71] = "insufficient_security",
	[80] = "internal_error",
	[86] = "inappropriate_fallback",
	[90] = "user_canceled",
	[100] = "no_renegotiation",
	[109] = "missing_extension",
	[110] = "unsupported_extension",
	[112] = "unrecognized_name",
	[113] = "bad_certificate_status_response",
	[115] = "unknown_psk_identity",
	[116] = "certificate_required",
	[120] = "no_application_protocol",
};

#define NAME(table, i) ((i) < sizeof(table) / sizeof((table)[0]) ? (table)[i] : NULL)

const char *jpx_dtls_content_type_name(uint8_t type)
{
	return NAME(content_types, type);
}

const char *jpx_dtls_version_name(uint16_t version)
{
	switch (version) {
	case 0xfeff:
		return "DTLS 1.0";
	case 0xfefd:
		return "DTLS 1.2";
	case 0xfefc:
		return "DTLS 1.3";
	}
	return NULL;
}

const char *jpx_dtls_handshake_name(uint8_t type)
{
	return NAME(handshakes, type);
}

const char *jpx_dtls_alert_name(uint8_t description)
{
	return NAME(alerts, description);
}

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The sequence number of a unified header is encrypted and the length of a
 * connection id is known to the two ends alone: tell the length only. */
static void read_unified(const uint8_t *buf, size_t len, struct jpx_dtls_record *rec)
{
	size_t at = buf[0] & UNIFIED_SEQ ? 3 : 2;

	rec->unified = true;
	rec->header_len = 1;
	rec->len = rec->claimed = len - 1;
	if (!(buf[0] & UNIFIED_LEN) || buf[0] & UNIFIED_CID || len < at + 2)
		return;
	rec->header_len = at + 2;
	rec->claimed = be(buf + at, 2);
	rec->len = len - rec->header_len;
	if (rec->len > rec->claimed)
		rec->len = rec->claimed;
}

bool jpx_dtls_record_read(const uint8_t *buf, size_t len, struct jpx_dtls_record *rec)
{
	memset(rec, 0, sizeof(*rec));
	if (!jpx_is_dtls((__u32)len, len > 0 ? buf[0] : 0, len > 1 ? buf[1] : 0,
			 len > 2 ? buf[2] : 0))
		return false;
	rec->first = buf[0];
	if (buf[0] >= 32) {
		read_unified(buf, len, rec);
		return true;
	}
	if (len < RECORD_HLEN)
		return false;
	rec->version = (uint16_t)be(buf + 1, 2);
	rec->epoch = (uint16_t)be(buf + 3, 2);
	rec->sequence = be(buf + 5, 6);
	if (rec->first == TYPE_TLS12_CID) {
		rec->header_len = RECORD_HLEN - 2;
		rec->len = rec->claimed = len - rec->header_len;
		return true;
	}
	rec->header_len = RECORD_HLEN;
	rec->claimed = be(buf + 11, 2);
	rec->len = len - RECORD_HLEN;
	if (rec->len > rec->claimed)
		rec->len = rec->claimed;
	return true;
}
