/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Enough of DTLS to say what a record is: RFC 6347 4.1 and 4.2.2 (1.2), RFC 9147 4
 * (the unified header of 1.3), and the names from the IANA registry of TLS
 * parameters.  For people's eyes only: nothing is decided by it.
 */
#ifndef JPX_JPREG_DTLS_NAME_H
#define JPX_JPREG_DTLS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns a constant text, or NULL for a value without a name. */
const char *jpx_dtls_content_type_name(uint8_t type);
const char *jpx_dtls_version_name(uint16_t version);
const char *jpx_dtls_handshake_name(uint8_t type);
const char *jpx_dtls_alert_name(uint8_t description);

struct jpx_dtls_record {
	bool unified;  /* the header of DTLS 1.3: first and len only */
	uint8_t first; /* content type, or the unified header's first byte */
	uint16_t version;
	uint16_t epoch;
	uint64_t sequence;
	size_t header_len;
	size_t len;	/* of what follows the header, as far as it is there */
	size_t claimed; /* what the header says about it */
};

/* The record at the start of BUF.  Returns false if there is none, otherwise
 * fills REC; header_len + len never exceed LEN. */
bool jpx_dtls_record_read(const uint8_t *buf, size_t len, struct jpx_dtls_record *rec);

#endif
