/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which interfaces pledges can send to: pledge ports, and whatever shares a wire with one.  Who is
 * heard there is believed nothing.  Computes; changes nothing.
 */
#ifndef JPX_PLEDGE_LINKS_H
#define JPX_PLEDGE_LINKS_H

#include <stdbool.h>

#include "pinned.h"

struct netwatch;

#define PLEDGE_LINKS_MAX (2 * JPX_MAX_PORTS)

struct pledge_links {
	unsigned int ifindexes[PLEDGE_LINKS_MAX];
	unsigned int count;
};

/* All of them, whatever state they are in: the interfaces of pledge ports; the bridge, bond or VRF
 * that one is part of; macvlans and ipvlans over one, and what one is itself a macvlan of; and so
 * on from each of these.  A VLAN is a wire of its own, which who is on a pledge port may reach or
 * not. */
void pledge_links_find(const struct jpx_state *state, const struct netwatch *nw,
		       struct pledge_links *links);

bool pledge_links_has(const struct pledge_links *links, unsigned int ifindex);

#endif
