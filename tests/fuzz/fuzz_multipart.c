/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for application/multipart-core.  Its parts lie inside of the input, one behind the
 * other, and are the same when they are written and read again.
 */
#include <errno.h>
#include <string.h>

#include "multipart.h"

#include "../unit/guard.h"
#include "fuzz.h"

#define MAX 8

static void survives(const struct multipart_part *parts, size_t n, size_t len)
{
	struct multipart_part again[MAX];
	uint8_t *out;
	long size = multipart_write(parts, n, &out);

	/* never longer: it is written in the shortest way there is */
	MUST(size > 0 && (size_t)size <= len);
	MUST(multipart_read(guarded(out, (size_t)size), (size_t)size, again, n) == (long)n);
	for (size_t i = 0; i < n; i++) {
		MUST(again[i].format == parts[i].format && again[i].len == parts[i].len);
		MUST(!parts[i].len || !memcmp(again[i].body, parts[i].body, parts[i].len));
	}
	free(out);
}

FUZZ_TARGET(fuzz_multipart)
{
	struct multipart_part parts[MAX];
	const uint8_t *data, *from;
	/* what survives is written from here: the guarded copy is good until the next */
	static uint8_t copy[GUARD_ROOM];
	long n;

	if (len > GUARD_ROOM)
		return 0;
	data = from = guarded(input, len);
	n = multipart_read(data, len, parts, MAX);
	MUST(n == -EBADMSG || (n >= 0 && n <= MAX));
	if (n < 0)
		return 0;
	for (long i = 0; i < n; i++) {
		if (!parts[i].len)
			continue;
		MUST(parts[i].body > from && parts[i].body <= data + len);
		MUST(parts[i].len <= (size_t)(data + len - parts[i].body));
		from = parts[i].body + parts[i].len;
	}
	for (size_t max = 0; max < (size_t)n; max++)
		MUST(multipart_read(data, len, parts, max) == -EBADMSG);
	memcpy(copy, input, len);
	MUST(multipart_read(copy, len, parts, MAX) == n);
	survives(parts, (size_t)n, len);
	return 0;
}
