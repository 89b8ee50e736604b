/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See pledge_links.h. */
#include "pledge_links.h"

#include <string.h>

#include "netwatch.h"

bool pledge_links_has(const struct pledge_links *links, unsigned int ifindex)
{
	for (unsigned int i = 0; i < links->count; i++)
		if (links->ifindexes[i] == ifindex)
			return true;
	return false;
}

static void add(struct pledge_links *links, int ifindex)
{
	if (links->count < PLEDGE_LINKS_MAX && !pledge_links_has(links, (unsigned int)ifindex))
		links->ifindexes[links->count++] = (unsigned int)ifindex;
}

/* Does LINK hear whatever arrives on its parent? */
static bool shares_with_parent(const struct netwatch_link *link)
{
	static const char *const kinds[] = { "macvlan", "macvtap", "ipvlan", "ipvtap" };

	for (size_t i = 0; link->parent && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(link->kind, kinds[i]))
			return true;
	return false;
}

/* LINK, if it shares a wire with one that is there already, and the other end of what it shares. */
static void spread(void *arg, const struct netwatch_link *link, bool has_address)
{
	struct pledge_links *links = arg;
	bool shares = shares_with_parent(link);

	(void)has_address;
	if (shares && pledge_links_has(links, (unsigned int)link->parent))
		add(links, link->ifindex);
	if (!pledge_links_has(links, (unsigned int)link->ifindex))
		return;
	if (link->master)
		add(links, link->master);
	if (shares)
		add(links, link->parent);
}

void pledge_links_find(const struct jpx_state *state, const struct netwatch *nw,
		       struct pledge_links *links)
{
	unsigned int before;

	links->count = 0;
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		const struct jpx_port *port = &state->ports[id];
		const struct netwatch_link *link = port->flags & JPX_PORT_IN_USE
							   ? netwatch_link_by_name(nw, port->ifname)
							   : NULL;

		if (link)
			add(links, link->ifindex);
	}
	do {
		before = links->count;
		netwatch_each_link(nw, spread, links);
	} while (links->count != before);
}
