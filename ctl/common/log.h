/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Logging to stderr, one sentence a line, with the "<N>" priority prefix that
 * journald reads when stderr is the journal (JOURNAL_STREAM set).  Never logs a
 * secret or a datagram's content.
 */
#ifndef JPX_LOG_H
#define JPX_LOG_H

enum jpx_log_level { JPX_LOG_ERROR, JPX_LOG_WARNING, JPX_LOG_INFO, JPX_LOG_DEBUG };

/* PROGRAM: the name in front of each line; kept, not copied. */
void jpx_log_init(const char *program, enum jpx_log_level level);

/* "error", "warning", "info" or "debug" to a level; -1 if it is none of them. */
int jpx_log_level_by_name(const char *name);

void jpx_log(enum jpx_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* At most one line every ten seconds per call site, with the number left out;
 * for what a hostile sender could repeat at will. */
#define jpx_log_limited(level, ...)                                                                \
	do {                                                                                       \
		static struct jpx_log_limit limit_;                                                \
		if (jpx_log_pass(&limit_))                                                         \
			jpx_log_suppressed((level), &limit_, __VA_ARGS__);                         \
	} while (0)

/* The same for what an operator wants a line of each time, as far as that can be: sixteen at once,
 * and one a second. */
#define jpx_log_bounded(level, ...)                                                                \
	do {                                                                                       \
		static struct jpx_log_limit limit_;                                                \
		if (jpx_log_pass_some(&limit_))                                                    \
			jpx_log_suppressed((level), &limit_, __VA_ARGS__);                         \
	} while (0)

struct jpx_log_limit {
	long last_s;
	unsigned int spent;
	unsigned long suppressed;
};
int jpx_log_pass(struct jpx_log_limit *limit);
int jpx_log_pass_some(struct jpx_log_limit *limit);
void jpx_log_suppressed(enum jpx_log_level level, struct jpx_log_limit *limit, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define jpx_error(...)	 jpx_log(JPX_LOG_ERROR, __VA_ARGS__)
#define jpx_warning(...) jpx_log(JPX_LOG_WARNING, __VA_ARGS__)
#define jpx_info(...)	 jpx_log(JPX_LOG_INFO, __VA_ARGS__)
#define jpx_debug(...)	 jpx_log(JPX_LOG_DEBUG, __VA_ARGS__)

#endif
