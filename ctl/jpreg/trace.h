/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One JPY message, decoded field by field, for people's eyes: --trace.
 *
 * Reads what any stranger may have sent: prints nothing but printable ASCII of
 * it, and never the inside of a DTLS record.  Changes nothing, decides nothing.
 */
#ifndef JPX_JPREG_TRACE_H
#define JPX_JPREG_TRACE_H

#include <netinet/in.h>
#include <stdio.h>

#include <jpx/jpy.h>

enum jpx_trace_way { JPX_TRACE_FROM_PROXY, JPX_TRACE_TO_PROXY };

/* Prints the JPY message MSG, of LEN bytes, that jpx_jpy_split() took apart as
 * LAYOUT and that went to or came from PROXY; LOCAL is our end of it. */
void jpx_trace(FILE *out, enum jpx_trace_way way, const struct sockaddr_in6 *proxy,
	       const struct sockaddr_in6 *local, const void *msg, size_t len,
	       const struct jpx_jpy_layout *layout);

#endif
