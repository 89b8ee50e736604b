/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows of stateful mode, found and told to people and programs: out of the pinned
 * maps, or out of tables in memory.  Only reads; flows may come and go meanwhile.
 */
#ifndef JPX_FLOWLIST_H
#define JPX_FLOWLIST_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jpx/request.h>

#include "pinned.h"

struct flowlist;

/* Which flows, in people's words; NULL: all the same. */
struct flowlist_wish {
	const char *ifname, *service;
	const char *pledge; /* a link-local address, IPv6 or IPv4 */
};

struct flowlist_flow {
	struct in6_addr pledge, uplink;
	unsigned int udp_port, uplink_port; /* host order */
	const char *ifname, *service;
	uint32_t age_s, idle_s;
	uint64_t to_registrar, to_pledge; /* packets */
	bool intercepted;
};

/* WISH as the MATCH_ bits and the key of MATCH.  Returns 0; -ENOENT (no such port or service)
 * or -EINVAL (no such address can be) with a sentence in ERR. */
int flowlist_match(const struct jpx_state *state, const struct flowlist_wish *wish,
		   struct jpx_flow_request *match, char *err, size_t err_len);

/* The flows of the maps PINNED, which may be closed afterwards.  Returns 0 or a negative errno. */
int flowlist_open(const struct jpx_pinned *pinned, struct flowlist **list);
/* Those of FLOWS, by slot; both must outlive the list.  NOW: the tick it is.  NULL: no memory. */
struct flowlist *flowlist_over(const struct jpx_state *state, const struct jpx_flow *flows,
			       __u32 now);
void flowlist_close(struct flowlist *list);

const struct jpx_state *flowlist_state(const struct flowlist *list);

/* Finds those that live and that MATCH says, sorted by interface, pledge and UDP port.  Returns
 * 0 or -ENOMEM. */
int flowlist_find(struct flowlist *list, const struct jpx_flow_request *match);

/* How many were found, and the Ith of them as it is now.  False: it has ended meanwhile. */
size_t flowlist_count(const struct flowlist *list);
bool flowlist_get(const struct flowlist *list, size_t i, struct flowlist_flow *flow);

/* What was found in numbers, without the flows; the caller owns it.  And, on one line, the whole
 * object with at most LIMIT flows (jpctl(8)): returns 0, -ENOMEM or, OUT being full, -EIO. */
json_t *flowlist_summary(const struct flowlist *list);
int flowlist_print(const struct flowlist *list, size_t limit, FILE *out);

#endif
