/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See table.h. */
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RED    "\033[31m"
#define NORMAL "\033[0m"
#define GAP    2

struct cell {
	char *text;
	bool problem;
};

struct table {
	unsigned int columns;
	const char *const *headings;
	struct cell *cells;
	size_t count, room;
	int *widths;
	bool begun; /* the headings are printed */
};

static bool on_terminal(void)
{
	static int known = -1;

	if (known < 0)
		known = isatty(STDOUT_FILENO);
	return known;
}

static bool in_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return on_terminal() && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

static _Noreturn void no_memory(void)
{
	fprintf(stderr, "%s: not enough memory\n", program_invocation_short_name);
	exit(EXIT_FAILURE);
}

static char *safe_text(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		no_memory();
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return text;
}

struct table *table_new(unsigned int columns, const char *const headings[])
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		no_memory();
	t->columns = columns;
	t->headings = headings;
	t->widths = calloc(columns, sizeof(*t->widths));
	if (!t->widths)
		no_memory();
	return t;
}

static void add(struct table *t, char *text, bool problem)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cells = reallocarray(t->cells, t->room, sizeof(*t->cells));
		if (!t->cells)
			no_memory();
	}
	t->cells[t->count++] = (struct cell){ text, problem };
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(t, safe_text(fmt, ap), false);
	va_end(ap);
}

void table_problem(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(t, safe_text(fmt, ap), true);
	va_end(ap);
}

const char *table_digits(uint64_t n, char buf[TABLE_NUMBER_LEN])
{
	char plain[TABLE_NUMBER_LEN];
	size_t len, out = 0;

	len = (size_t)snprintf(plain, sizeof(plain), "%" PRIu64, n);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0 && on_terminal())
			buf[out++] = ',';
		buf[out++] = plain[i];
	}
	buf[out] = 0;
	return buf;
}

void table_number(struct table *t, uint64_t n)
{
	char buf[TABLE_NUMBER_LEN];

	table_cell(t, "%s", table_digits(n, buf));
}

bool table_is_empty(const struct table *t)
{
	return t->count == 0;
}

static bool to_the_right(const struct table *t, unsigned int column)
{
	return t->headings[column][0] == '>';
}

static const char *heading(const struct table *t, unsigned int column)
{
	return t->headings[column] + to_the_right(t, column);
}

static int width(const struct table *t, unsigned int column)
{
	size_t max = strlen(heading(t, column));

	for (size_t i = column; i < t->count; i += t->columns)
		if (strlen(t->cells[i].text) > max)
			max = strlen(t->cells[i].text);
	return (int)max;
}

static void print_cell(const struct table *t, unsigned int column, int w, const char *text,
		       bool problem)
{
	int pad = w - (int)strlen(text);
	bool last = column + 1 == t->columns, right = to_the_right(t, column);

	/* no blanks at the end of a line */
	printf("%*s%s%s%s%*s", right ? pad : 0, "", problem ? RED : "", text, problem ? NORMAL : "",
	       last ? 0 : (right ? 0 : pad) + GAP, "");
	if (last)
		putchar('\n');
}

void table_flush(struct table *t)
{
	bool colour = in_colour();

	for (unsigned int c = 0; c < t->columns; c++)
		if (width(t, c) > t->widths[c])
			t->widths[c] = width(t, c);
	for (unsigned int c = 0; t->count && !t->begun && c < t->columns; c++)
		print_cell(t, c, t->widths[c], heading(t, c), false);
	t->begun |= t->count > 0;
	for (size_t i = 0; i < t->count; i++) {
		unsigned int c = (unsigned int)(i % t->columns);

		print_cell(t, c, t->widths[c], t->cells[i].text, t->cells[i].problem && colour);
		free(t->cells[i].text);
	}
	t->count = 0;
}

void table_print(struct table *t)
{
	table_flush(t);
	free(t->widths);
	free(t->cells);
	free(t);
}

void table_line(bool problem, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = safe_text(fmt, ap);
	va_end(ap);
	problem = problem && in_colour();
	printf("%s%s%s\n", problem ? RED : "", text, problem ? NORMAL : "");
	free(text);
}
