/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BOUNDED_BURST 16

static const char *const level_names[] = { "error", "warning", "info", "debug" };
/* syslog(3) priorities: err, warning, info, debug */
static const char *const journal_prefix[] = { "<3>", "<4>", "<6>", "<7>" };

static const char *log_program = "jpx";
static enum jpx_log_level log_level = JPX_LOG_INFO;
static bool to_journal;

void jpx_log_init(const char *program, enum jpx_log_level level)
{
	log_program = program;
	log_level = level;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

int jpx_log_level_by_name(const char *name)
{
	for (int i = 0; i <= JPX_LOG_DEBUG; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

static void emit(enum jpx_log_level level, const char *fmt, va_list ap)
{
	char line[1024];

	if (level > log_level)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	if (to_journal)
		fprintf(stderr, "%s%s\n", journal_prefix[level], line);
	else if (level == JPX_LOG_INFO)
		fprintf(stderr, "%s: %s\n", log_program, line);
	else
		fprintf(stderr, "%s: %s: %s\n", log_program, level_names[level], line);
}

void jpx_log(enum jpx_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, fmt, ap);
	va_end(ap);
}

int jpx_log_pass(struct jpx_log_limit *limit)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (limit->last_s && now.tv_sec - limit->last_s < 10) {
		limit->suppressed++;
		return 0;
	}
	limit->last_s = now.tv_sec;
	return 1;
}

int jpx_log_pass_some(struct jpx_log_limit *limit)
{
	struct timespec now;
	long rested;

	clock_gettime(CLOCK_MONOTONIC, &now);
	rested = now.tv_sec - limit->last_s;
	limit->last_s = now.tv_sec;
	limit->spent = rested < (long)limit->spent ? limit->spent - (unsigned int)rested : 0;
	if (limit->spent == BOUNDED_BURST) {
		limit->suppressed++;
		return 0;
	}
	limit->spent++;
	return 1;
}

void jpx_log_suppressed(enum jpx_log_level level, struct jpx_log_limit *limit, const char *fmt, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (limit->suppressed)
		jpx_log(level, "%s (and %lu more like it)", line, limit->suppressed);
	else
		jpx_log(level, "%s", line);
	limit->suppressed = 0;
}
