/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See view.h. */
#include "view.h"

#include <arpa/inet.h>
#include <limits.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netwatch.h"
#include "pledge_links.h"
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

/* Less is better.  What is configured comes before what is discovered, whatever that says of
 * itself; and who never answered comes last, so that nobody draws pledges away with Registrars that
 * are not there. */
static unsigned int standing(const struct jpx_service *service)
{
	unsigned int kind = service->source == JPX_SOURCE_CONFIG    ? 0
			    : service->flags & JPX_SERVICE_ANSWERED ? 1
								    : 2;

	return kind << 16 | service->priority;
}

/* Those that are best. */
static void announce(const struct jpx_state *state, const struct jpx_port *port,
		     struct discovery_port *out)
{
	unsigned int best = UINT_MAX;

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (port->services >> id & 1 && standing(&state->services[id]) < best &&
		    is_usable(state, id))
			best = standing(&state->services[id]);
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];

		if (!(port->services >> id & 1) || standing(service) != best ||
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
	const struct pledge_links *pledges;
	struct discovery_view *view;
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

static void add_uplink(void *arg, const struct netwatch_link *link, bool has_address)
{
	struct looking *looking = arg;
	struct discovery_view *view = looking->view;
	struct discovery_uplink *out = &view->uplinks[view->uplink_count];
	const struct discovery_settings *settings = view->settings;

	if (view->uplink_count == DISCOVERY_UPLINKS || !link->up ||
	    link->arphrd == ARPHRD_LOOPBACK || !is_wanted(settings, link->ifname) ||
	    pledge_links_has(looking->pledges, (unsigned int)link->ifindex))
		return;
	/* Not named: it must look like one, and a VLAN on a pledge port is the operator's to trust.
	 */
	if (!*settings->uplinks[0] &&
	    (!has_address || pledge_links_has(looking->pledges, (unsigned int)link->parent)))
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

void view_make(const struct jpx_state *state, const struct netwatch *nw,
	       const struct discovery_settings *settings, const struct pledge_links *pledges,
	       bool look, struct discovery_view *view)
{
	struct looking looking = { .pledges = pledges, .view = view };

	memset(view, 0, sizeof(*view));
	view->settings = settings;
	view->look = look;
	view->pledges = *pledges;
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].flags & JPX_PORT_IN_USE)
			add_port(state, &state->ports[id], view);
	if (!look)
		return;
	/* Whatever the operator names: who can be a pledge may never name a Registrar. */
	netwatch_each_link(nw, add_uplink, &looking);
	qsort(view->uplinks, view->uplink_count, sizeof(*view->uplinks), by_ifindex);
}
