/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What jpreg counts.  One row a counter; the enum, the JSON key and the text all
 * follow from this table.  A name seen in the JSON line is found by searching
 * this tree for it.
 *
 * JPX_REG_COUNTER(symbol, "name", "what it counts and what to look at")
 *
 * Must never keep anything about a single pledge: numbers only.
 */
#ifndef JPX_JPREG_COUNTERS_H
#define JPX_JPREG_COUNTERS_H

#include <stdint.h>
#include <stdio.h>

#define JPX_REG_COUNTERS(JPX_REG_COUNTER)                                                          \
	JPX_REG_COUNTER(TO_SERVER, "to_server", "contents handed to the server")                   \
	JPX_REG_COUNTER(TO_SERVER_BYTES, "to_server_bytes", "bytes of content in them")            \
	JPX_REG_COUNTER(TO_PROXY, "to_proxy", "answers wrapped and sent to a proxy")               \
	JPX_REG_COUNTER(TO_PROXY_BYTES, "to_proxy_bytes", "bytes of content in them")              \
	/* the table of connections */                                                             \
	JPX_REG_COUNTER(PLEDGES_NEW, "pledges_new", "JPY headers seen for the first time")         \
	JPX_REG_COUNTER(PLEDGES_IDLE, "pledges_idle", "forgotten after --idle seconds of rest")    \
	JPX_REG_COUNTER(PLEDGES_EVICTED, "pledges_evicted",                                        \
			"never answered by the server, pushed out by a newcomer")                  \
	JPX_REG_COUNTER(PLEDGES_REFUSED, "pledges_refused",                                        \
			"newcomers without a place: every pledge in the table had its answer "     \
			"(raise --max-pledges)")                                                   \
	/* from a proxy, not handed on; the first three as in jpx/reasons.h */                     \
	JPX_REG_COUNTER(JPY_MALFORMED, "jpy_malformed",                                            \
			"not CBOR, or an element of the wrong type, or lengths that lie")          \
	JPX_REG_COUNTER(JPY_COUNT, "jpy_count", "fewer elements than the JPY form has")            \
	JPX_REG_COUNTER(JPY_TRAILING, "jpy_trailing", "bytes after the end of the JPY message")    \
	JPX_REG_COUNTER(HEADER_TOO_LONG, "header_too_long", "JPY header of more than 64 bytes")    \
	JPX_REG_COUNTER(CONTENT_EMPTY, "content_empty",                                            \
			"nothing inside: a JPY content, or a server's answer, of 0 bytes")         \
	JPX_REG_COUNTER(UNANSWERABLE, "unanswerable",                                              \
			"sent to a multicast address, from port 0 or from ourselves")              \
	/* `jpreg serve' only: its DTLS sessions */                                                \
	JPX_REG_COUNTER(SESSIONS, "sessions", "DTLS handshakes that were completed")               \
	JPX_REG_COUNTER(SESSIONS_REFUSED, "sessions_refused",                                      \
			"ended because of the pledge's certificate (see the log)")                 \
	JPX_REG_COUNTER(SESSIONS_FAILED, "sessions_failed",                                        \
			"handshakes and sessions that failed or were given up (see the log)")      \
	JPX_REG_COUNTER(NO_SESSION, "no_session",                                                  \
			"no ClientHello, from somebody who has no session")                        \
	/* towards the server and back */                                                          \
	JPX_REG_COUNTER(NO_SOCKET, "no_socket", "no socket towards the server (see the log)")      \
	JPX_REG_COUNTER(SERVER_REFUSED, "server_refused",                                          \
			"the server's host reported an error (ICMP): is the server running?")      \
	JPX_REG_COUNTER(SERVER_SEND_FAILED, "server_send_failed",                                  \
			"the kernel refused to send to the server (see the log)")                  \
	JPX_REG_COUNTER(ANSWER_TOO_BIG, "answer_too_big",                                          \
			"a server's answer that does not fit into a JPY message")                  \
	JPX_REG_COUNTER(PROXY_SEND_FAILED, "proxy_send_failed",                                    \
			"the kernel refused to send to a proxy (see the log)")                     \
	JPX_REG_COUNTER(RECEIVE_FAILED, "receive_failed", "the kernel could not receive")

enum jpx_reg_counter {
#define JPX_REG_COUNTER_ENUM(sym, name, text) JPX_REG_##sym,
	JPX_REG_COUNTERS(JPX_REG_COUNTER_ENUM)
#undef JPX_REG_COUNTER_ENUM
		JPX_REG_COUNTER_COUNT
};

struct jpx_reg_counters {
	uint64_t n[JPX_REG_COUNTER_COUNT];
};

/* All counters, and PLEDGES (connections held now) first, as one line of JSON
 * without the newline.  The caller frees it; NULL without memory. */
char *jpx_reg_counters_json(const struct jpx_reg_counters *counters, unsigned int pledges);

#endif
