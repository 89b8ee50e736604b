/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for lists of serial numbers.  What is in such a list is told here a second time, line
 * by line and without its code: a device that a list denies must not get in because of what else
 * is in the file.
 */
#include <string.h>

#include "../../ctl/jpreg/serials.h"

#include "fuzz.h"
#include "memory_file.h"

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Is the word of LINE, of LEN octets without its end, in SERIALS? */
static void is_there(const struct serials *serials, const char *line, size_t len)
{
	const char *comment = memchr(line, '#', len);
	char word[256];

	if (comment)
		len = (size_t)(comment - line);
	for (; len && is_blank(line[len - 1]); len--)
		;
	for (; len && is_blank(*line); len--)
		line++;
	if (!len)
		return;
	MUST(len <= 64 && !memchr(line, '\0', len));
	memcpy(word, line, len);
	word[len] = '\0';
	MUST(serials_has(serials, word));
	/* nothing that only begins or ends so */
	word[len] = '\n';
	word[len + 1] = '\0';
	MUST(!serials_has(serials, word));
}

FUZZ_TARGET(fuzz_serials)
{
	const char *file = memory_file(input, len), *at = (const char *)input, *end = at + len;
	struct serials *serials;
	char err[200] = "";

	serials = serials_read(file, err, sizeof(err));
	if (!serials) {
		MUST(!strncmp(err, file, strlen(file)) && err[strlen(file)] == ':');
		return 0;
	}
	MUST(!*err);
	for (const char *line = at; line < end; line = at + 1) {
		at = memchr(line, '\n', (size_t)(end - line));
		if (!at)
			at = end;
		is_there(serials, line, (size_t)(at - line));
	}
	MUST(!serials_has(serials, ""));
	serials_free(serials);
	return 0;
}
