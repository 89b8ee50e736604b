/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * application/multipart-core (RFC 8710): a CBOR array of content formats and byte strings, by
 * libcbor.
 */
#ifndef JPX_MULTIPART_H
#define JPX_MULTIPART_H

#include <stddef.h>
#include <stdint.h>

struct multipart_part {
	uint16_t format;
	const uint8_t *body;
	size_t len;
};

/* PARTS, N of them, from malloc(): its length, or -ENOMEM. */
long multipart_write(const struct multipart_part *parts, size_t n, uint8_t **out);

/* At most MAX parts of the LEN octets at BODY, which are one whole array of definite length of
 * unsigned integers and byte strings of definite length by turns: how many; their bodies point into
 * BODY.  -EBADMSG. */
long multipart_read(const uint8_t *body, size_t len, struct multipart_part *parts, size_t max);

#endif
