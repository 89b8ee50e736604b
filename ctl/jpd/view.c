/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See view.h. */
#include "view.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netwatch.h"
#include "report.h"

/* May pledges be sent to it?  One whose next hop is not resolved yet may well be: the first
 * pledge makes the kernel ask. */
static bool is_usable(const struct jpx_state *state, unsigned int service_id)
{
	static const char *const usable[] = { "serving", "resolving", "local", "socket" };
	const char *word = jpx_service_state(state, service_id);

	if (state->services[service_id].flags & (JPX_SERVICE_SILENT | JPX_SERVICE_RETIRED))
		return false;
	for (size_t i = 0; i < sizeof(usable) / sizeof(*usable); i++)
		if (!strcmp(word, usable[i]))
			return true;
	return false;
}

/* Those of the best priority that there is. */
static void announce(const struct jpx_state *state, const struct jpx_port *port,
		     struct discovery_port *out)
{
	unsigned int best = UINT16_MAX + 1U;

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (port->services >> id & 1 && state->services[id].priority < best &&
		    is_usable(state, id))
			best = state->services[id].priority;
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];

		if (!(port->services >> id & 1) || service->priority != best ||
		    out->join_count == DISCOVERY_JOINS || !is_usable(state, id))
			continue;
		out->joins[out->join_count++] = (struct discovery_join){
			.port = ntohs(service->join_port),
			.weight = service->weight,
			.mode = service->mode,
		};
	}
}

static void add_port(const struct jpx_state *state, const struct jpx_port *port,
		     struct discovery_view *view)
{
	static const __u8 none[16];
	struct discovery_port *out = &view->ports[view->port_count];

	/* Ready with an IPv4 address alone: pledges that look for a proxy do so by IPv6. */
	if (!(port->flags & JPX_PORT_READY) || !memcmp(port->addr, none, 16))
		return;
	memcpy(out->ifname, port->ifname, sizeof(out->ifname));
	out->ifindex = port->ifindex;
	memcpy(&out->addr, port->addr, 16);
	memcpy(out->mac, port->mac, sizeof(out->mac));
	out->link = port->link;
	announce(state, port, out);
	view->port_count++;
}

/* ---- uplinks ------------------------------------------------------------------ */

struct looking {
	const struct jpx_state *state;
	struct discovery_view *view;
	int masters[JPX_MAX_PORTS]; /* bridges and the like that have a pledge port */
	int ports[JPX_MAX_PORTS];   /* interfaces of pledge ports */
	unsigned int master_count, port_count;
	unsigned int *distrusted, distrusted_count;
};

static bool is_wanted(const struct discovery_settings *settings, const char *ifname)
{
	if (!*settings->uplinks[0])
		return true;
	for (unsigned int i = 0; i < DISCOVERY_UPLINKS; i++)
		if (!strcmp(settings->uplinks[i], ifname))
			return true;
	return false;
}

/* Whatever the operator says: who is on a pledge port may never name a Registrar. */
static bool is_pledge_port(const struct jpx_state *state, const char *ifname)
{
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].flags & JPX_PORT_IN_USE &&
		    !strcmp(state->ports[id].ifname, ifname))
			return true;
	return false;
}

static void find_ports(void *arg, const struct netwatch_link *link, bool has_address)
{
	struct looking *looking = arg;

	(void)has_address;
	if (!is_pledge_port(looking->state, link->ifname) || looking->port_count == JPX_MAX_PORTS)
		return;
	looking->ports[looking->port_count++] = link->ifindex;
	if (link->master)
		looking->masters[looking->master_count++] = link->master;
}

static bool is_among(int ifindex, const int *list, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (list[i] == ifindex)
			return true;
	return false;
}

/* Is it another end of the same wire?  A VLAN is a wire of its own. */
static bool is_beside(const char *kind)
{
	static const char *const kinds[] = { "macvlan", "macvtap", "ipvlan", "ipvtap" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* Does what pledges send come in by LINK? */
static bool hears_pledges(const struct looking *looking, const struct netwatch_link *link)
{
	return is_among(link->ifindex, looking->ports, looking->port_count) ||
	       is_among(link->ifindex, looking->masters, looking->master_count) ||
	       (is_beside(link->kind) &&
		is_among(link->parent, looking->ports, looking->port_count));
}

static void add_distrusted(void *arg, const struct netwatch_link *link, bool has_address)
{
	struct looking *looking = arg;

	(void)has_address;
	if (looking->distrusted_count < DISCOVERY_DISTRUSTED && hears_pledges(looking, link))
		looking->distrusted[looking->distrusted_count++] = (unsigned int)link->ifindex;
}

static void add_uplink(void *arg, const struct netwatch_link *link, bool has_address)
{
	struct looking *looking = arg;
	struct discovery_view *view = looking->view;
	struct discovery_uplink *out = &view->uplinks[view->uplink_count];
	const struct discovery_settings *settings = view->settings;

	if (view->uplink_count == DISCOVERY_UPLINKS || !link->up ||
	    link->arphrd == ARPHRD_LOOPBACK || !is_wanted(settings, link->ifname) ||
	    hears_pledges(looking, link) || (!has_address && !*settings->uplinks[0]))
		return;
	snprintf(out->ifname, sizeof(out->ifname), "%s", link->ifname);
	out->ifindex = (unsigned int)link->ifindex;
	if (link->has_link_local)
		out->link_local = link->link_local;
	view->uplink_count++;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct discovery_uplink *x = a, *y = b;

	return x->ifindex < y->ifindex ? -1 : x->ifindex > y->ifindex;
}

unsigned int view_distrusted(const struct jpx_state *state, const struct netwatch *nw,
			     unsigned int ifindexes[DISCOVERY_DISTRUSTED])
{
	struct looking looking = { .state = state, .distrusted = ifindexes };

	netwatch_each_link(nw, find_ports, &looking);
	netwatch_each_link(nw, add_distrusted, &looking);
	return looking.distrusted_count;
}

void view_make(const struct jpx_state *state, const struct netwatch *nw,
	       const struct discovery_settings *settings, bool look, struct discovery_view *view)
{
	struct looking looking = { .state = state, .view = view };

	memset(view, 0, sizeof(*view));
	view->settings = settings;
	view->look = look;
	view->distrusted_count = view_distrusted(state, nw, view->distrusted);
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].flags & JPX_PORT_IN_USE)
			add_port(state, &state->ports[id], view);
	if (!look)
		return;
	netwatch_each_link(nw, find_ports, &looking);
	netwatch_each_link(nw, add_uplink, &looking);
	qsort(view->uplinks, view->uplink_count, sizeof(*view->uplinks), by_ifindex);
}
