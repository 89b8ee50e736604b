/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See icmp.h. */
#include "icmp.h"

#include <stdlib.h>

struct icmp {
	int unused;
};

struct icmp *icmp_new(struct event_base *base, const struct jpx_state *state, struct flows *flows,
		      struct jpx_stats *counters)
{
	(void)base;
	(void)state;
	(void)flows;
	(void)counters;
	return calloc(1, sizeof(struct icmp));
}

void icmp_free(struct icmp *icmp)
{
	free(icmp);
}

void icmp_refuse(struct icmp *icmp, unsigned int port_id, unsigned int service_id, unsigned int kind,
		 const struct sockaddr_in6 *pledge, const void *content, size_t len)
{
	(void)icmp;
	(void)port_id;
	(void)service_id;
	(void)kind;
	(void)pledge;
	(void)content;
	(void)len;
}
