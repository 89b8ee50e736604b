/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A multipart body as HTTP has it (RFC 2046 5.1), taken apart by GMime, and base64.
 */
#ifndef JPX_JPREG_MIME_PARTS_H
#define JPX_JPREG_MIME_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tells FN of each part of BODY, whose Content-Type is TYPE: its own type without parameters, and
 * its text, zero-terminated, as it is there.  Parts within parts are passed over.  False: it is no
 * multipart body, or there is no memory, or FN said so. */
bool mime_parts_each(const char *type, const void *body, size_t len,
		     bool (*fn)(void *arg, const char *part_type, const char *text), void *arg);

/* TEXT in base64, lines of any length, in octets from malloc(): how many, or -1.  RFC 8951 2: what
 * EST carries is base64, whatever its headers say. */
long mime_base64_read(const char *text, uint8_t **out);

/* LEN octets in base64, in lines, from malloc(), or NULL. */
char *mime_base64_write(const uint8_t *data, size_t len);

#endif
