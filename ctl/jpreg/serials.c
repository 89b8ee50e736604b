/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See serials.h. */
#include "serials.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIAL_MAX 64 /* ub-serial-number of X.520 */
#define LINE_MAX_  254
#define LINES_MAX  1000000

struct serials {
	char **sorted;
	size_t count;
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The word in LINE without blanks around it and without what a # begins; changed in place. */
static char *word_of(char *line)
{
	char *end;

	line[strcspn(line, "#")] = '\0';
	while (isspace((unsigned char)*line))
		line++;
	end = line + strlen(line);
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return line;
}

/* The next line of F without its end, whatever octets are in it: its length, -1 at the end of the
 * file, -2 if it is longer than CAP. */
static int read_line(FILE *f, char *line, int cap)
{
	int n = 0, c;

	while ((c = getc(f)) != EOF && c != '\n') {
		if (n == cap)
			return -2;
		line[n++] = (char)c;
	}
	line[n] = '\0';
	return n || c != EOF ? n : -1;
}

/* A list that an editor saved as UTF-16, or with a byte order mark, would name none of the devices
 * that one reads in it. */
static bool is_plain(const char *word)
{
	while (*word >= ' ' && *word <= '~')
		word++;
	return !*word;
}

static bool add(struct serials *s, const char *word)
{
	char **more;

	/* Doubled each time it is a power of two. */
	if (!(s->count & (s->count - 1))) {
		more = realloc(s->sorted, (s->count ? 2 * s->count : 1) * sizeof(*more));
		if (!more)
			return false;
		s->sorted = more;
	}
	s->sorted[s->count] = strdup(word);
	return s->sorted[s->count] && ++s->count;
}

struct serials *serials_read(const char *file, char *err, size_t err_len)
{
	struct serials *s = calloc(1, sizeof(*s));
	FILE *f = fopen(file, "re");
	char line[LINE_MAX_ + 1], *word;
	unsigned long n = 0;
	int len;

	if (!s || !f) {
		snprintf(err, err_len, "%s: %s", file, f ? "no memory" : strerror(errno));
		goto fail;
	}
	while ((len = read_line(f, line, LINE_MAX_)) != -1) {
		n++;
		if (len < 0) {
			snprintf(err, err_len, "%s:%lu: a line too long", file, n);
			goto fail;
		}
		word = memchr(line, '\0', (size_t)len) ? NULL : word_of(line);
		if (!word || !is_plain(word)) {
			snprintf(err, err_len,
				 "%s:%lu: a character that is none of a serial number's; try "
				 "saving the list as plain ASCII",
				 file, n);
			goto fail;
		}
		if (!*word)
			continue;
		if (strlen(word) > SERIAL_MAX) {
			snprintf(err, err_len, "%s:%lu: a serial number has at most %d characters",
				 file, n, SERIAL_MAX);
			goto fail;
		}
		if (s->count == LINES_MAX || !add(s, word)) {
			snprintf(err, err_len, "%s:%lu: no memory for more", file, n);
			goto fail;
		}
	}
	if (ferror(f)) {
		snprintf(err, err_len, "%s: cannot be read: %s", file, strerror(errno));
		goto fail;
	}
	fclose(f);
	if (s->count)
		qsort(s->sorted, s->count, sizeof(*s->sorted), compare);
	return s;

fail:
	if (f)
		fclose(f);
	serials_free(s);
	return NULL;
}

void serials_free(struct serials *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->sorted[i]);
	free(s->sorted);
	free(s);
}

bool serials_has(const struct serials *s, const char *serial)
{
	return s->count && bsearch(&serial, s->sorted, s->count, sizeof(*s->sorted), compare);
}
