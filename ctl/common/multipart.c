/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See multipart.h. */
#include "multipart.h"

#include <cbor.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cbor_item.h"

#define HEAD_MAX 9 /* of a CBOR item */

long multipart_write(const struct multipart_part *parts, size_t n, uint8_t **out)
{
	size_t cap = HEAD_MAX, len;
	uint8_t *buf;

	for (size_t i = 0; i < n; i++)
		cap += 2 * HEAD_MAX + parts[i].len;
	*out = buf = malloc(cap);
	if (!buf)
		return -ENOMEM;
	len = cbor_encode_array_start(2 * n, buf, cap);
	for (size_t i = 0; i < n; i++) {
		len += cbor_encode_uint(parts[i].format, buf + len, cap - len);
		len += cbor_encode_bytestring_start(parts[i].len, buf + len, cap - len);
		if (parts[i].len)
			memcpy(buf + len, parts[i].body, parts[i].len);
		len += parts[i].len;
	}
	return (long)len;
}

long multipart_read(const uint8_t *body, size_t len, struct multipart_part *parts, size_t max)
{
	struct cbor_cursor c = { body, body + len };
	struct cbor_item item;
	uint64_t format;
	size_t n;

	if (!cbor_item_is(&c, CBOR_ARRAY, &item) || item.value % 2 || item.value / 2 > max)
		return -EBADMSG;
	n = (size_t)item.value / 2;
	for (size_t i = 0; i < n; i++) {
		if (!cbor_item_number(&c, UINT16_MAX, &format) ||
		    !cbor_item_is(&c, CBOR_BYTES, &item))
			return -EBADMSG;
		parts[i] = (struct multipart_part){ (uint16_t)format, item.data, item.len };
	}
	return c.at == c.end ? (long)n : -EBADMSG;
}
