/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See keepalive.h. */
#include "keepalive.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "datapath.h"
#include "netwatch.h"

/*
 * A tick is short enough that a next hop whose MAC changed in silence is asked,
 * answers and is written to the fast path within a second.
 */
#define TICK_MS	      250
#define REFRESH_TICKS 20 /* resolved next hops are confirmed every 5 s */
#define RETRY_TICKS   4	 /* unresolved ones are asked for every second */

struct keepalive {
	const struct jpx_state *state;
	const struct in6_addr *next_hops;
	struct datapath *dp;
	struct netwatch *nw;
	struct event *timer;
	unsigned int ticks;
	__u64 out[JPX_MAX_PORTS], in[JPX_MAX_PORTS]; /* packets each way at the last tick */
};

static bool has_next_hop(const struct keepalive *ka, unsigned int service_id)
{
	return ka->state->services[service_id].flags & JPX_SERVICE_IN_USE &&
	       !IN6_IS_ADDR_UNSPECIFIED(&ka->next_hops[service_id]);
}

/* The services into which datagrams went since the last tick while none came back. */
static __u64 silent_services(struct keepalive *ka)
{
	__u64 silent = 0, out, in;

	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		const struct jpx_port *port = &ka->state->ports[id];

		if (!(port->flags & JPX_PORT_IN_USE))
			continue;
		datapath_port_packets(ka->dp, id, &out, &in);
		if (out != ka->out[id] && in == ka->in[id])
			silent |= port->services;
		ka->out[id] = out;
		ka->in[id] = in;
	}
	return silent;
}

/* From the uplink address, except where an IPv4 route has an IPv6 gateway (RFC 8950). */
static void solicit(struct keepalive *ka, const struct jpx_service *service,
		    const struct in6_addr *next_hop)
{
	const struct netwatch_link *link = netwatch_link_by_index(ka->nw, (int)service->ifindex);
	struct in6_addr source;

	memcpy(&source, service->uplink, 16);
	if (link && !IN6_IS_ADDR_V4MAPPED(next_hop) && IN6_IS_ADDR_V4MAPPED(&source))
		source = link->link_local;
	netwatch_solicit(ka->nw, (int)service->ifindex, &source, next_hop);
}

static void ask(struct keepalive *ka, __u64 silent, bool first_time)
{
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &ka->state->services[id];
		bool ready = service->flags & JPX_SERVICE_READY;

		if (!has_next_hop(ka, id))
			continue;
		if (ready && silent >> id & 1)
			solicit(ka, service, &ka->next_hops[id]);
		if (first_time ? !ready : ka->ticks % (ready ? REFRESH_TICKS : RETRY_TICKS) == 0)
			netwatch_resolve(ka->nw, (int)service->ifindex, &ka->next_hops[id]);
	}
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct keepalive *ka = arg;
	bool any = false;

	(void)fd;
	(void)what;
	ka->ticks++;
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		any |= has_next_hop(ka, id);
	if (any)
		ask(ka, silent_services(ka), false);
}

struct keepalive *keepalive_new(struct event_base *base, const struct jpx_state *state,
				const struct in6_addr *next_hops, struct datapath *dp,
				struct netwatch *nw)
{
	struct keepalive *ka = calloc(1, sizeof(*ka));

	if (!ka)
		return NULL;
	ka->state = state;
	ka->next_hops = next_hops;
	ka->dp = dp;
	ka->nw = nw;
	ka->timer = event_new(base, -1, EV_PERSIST, tick, ka);
	if (!ka->timer || event_add(ka->timer, &(struct timeval){ .tv_usec = TICK_MS * 1000 })) {
		keepalive_free(ka);
		return NULL;
	}
	return ka;
}

void keepalive_free(struct keepalive *ka)
{
	if (!ka)
		return;
	if (ka->timer)
		event_free(ka->timer);
	free(ka);
}

void keepalive_run(struct keepalive *ka)
{
	ask(ka, 0, true);
}
