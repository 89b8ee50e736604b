/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See est_profile.h. */
#include "est_profile.h"

#include <cbor.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "cbor_item.h"

#define HEAD_MAX 9 /* of a CBOR item */

bool est_profile_parse(const char *name, enum est_profile *profile)
{
	static const char *const names[] = {
		[EST_RFC9148] = "rfc9148", [EST_COAPS_06] = "est-coaps-06"
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		*profile = (enum est_profile)i;
		return true;
	}
	return false;
}

long est_wrap(uint8_t **body, long len)
{
	uint8_t *plain = *body, *out = malloc((size_t)len + HEAD_MAX);
	size_t head;

	*body = out;
	if (!out) {
		free(plain);
		return -ENOMEM;
	}
	head = cbor_encode_bytestring_start((size_t)len, out, HEAD_MAX);
	if (len)
		memcpy(out + head, plain, (size_t)len);
	OPENSSL_cleanse(plain, (size_t)len); /* it may be a key */
	free(plain);
	return (long)head + len;
}

bool est_unwrap(const uint8_t **body, size_t *len)
{
	struct cbor_cursor c = { *body, *body + *len };
	struct cbor_item item;

	if (!cbor_item_is(&c, CBOR_BYTES, &item) || c.at != c.end)
		return false;
	*body = item.data;
	*len = item.len;
	return true;
}
