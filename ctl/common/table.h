/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Aligned columns for people.  Every cell is made safe to print: a name that came
 * over the network cannot move the terminal's cursor.  Red marks problems, on a
 * terminal only, and not where NO_COLOR is set.
 */
#ifndef JPX_TEXT_TABLE_H
#define JPX_TEXT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct table;

/* COLUMNS headings; one that begins with '>' heads a column aligned to the right. */
struct table *table_new(unsigned int columns, const char *const headings[]);

/* Adds the next cell, row by row.  Not enough memory ends the program. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_problem(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_number(struct table *t, uint64_t n);

bool table_is_empty(const struct table *t);

/* Prints the rows so far, for a table that is too long to be held: columns may be wider in
 * what follows.  Only where a row is complete. */
void table_flush(struct table *t);

/* Prints to stdout and frees.  A table without rows prints nothing. */
void table_print(struct table *t);

/* N in digits, in groups of three on a terminal.  Returns BUF. */
#define TABLE_NUMBER_LEN 32
const char *table_digits(uint64_t n, char buf[TABLE_NUMBER_LEN]);

/* Prints one line of text with everything but printable ASCII replaced. */
void table_line(bool problem, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
