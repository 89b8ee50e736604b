/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See pledge_macs.h. */
#include "pledge_macs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpx/wire.h>

#include "datapath.h"
#include "netwatch.h"

#define PLACES 4096
#define IDLE_S 300 /* as long as jpreg keeps a connection that says nothing */

struct place {
	struct jpx_mac_key pledge;
	unsigned char mac[6];
	bool used;
	time_t last;
};

struct pledge_macs {
	const struct datapath *dp;
	struct netwatch *nw;
	struct place places[PLACES];
};

struct pledge_macs *pledge_macs_new(const struct datapath *dp, struct netwatch *nw)
{
	struct pledge_macs *pm = calloc(1, sizeof(*pm));

	if (pm) {
		pm->dp = dp;
		pm->nw = nw;
	}
	return pm;
}

void pledge_macs_free(struct pledge_macs *pm)
{
	free(pm);
}

static void mac_of_iid(__be64 iid_be, unsigned char mac[6])
{
	__u64 n = jpx_iid_to_mac(__builtin_bswap64(iid_be));

	for (int i = 5; i >= 0; i--, n >>= 8)
		mac[i] = (unsigned char)n;
}

static void look_up(struct pledge_macs *pm, const struct jpx_port *port,
		    const struct jpx_mac_key *key, const struct in6_addr *addr,
		    unsigned char mac[6])
{
	if (netwatch_neighbour(pm->nw, (int)port->ifindex, addr, mac) == 0)
		return;
	if (!key->ipv4 && jpx_iid_is_eui64(__builtin_bswap64(key->iid)))
		mac_of_iid(key->iid, mac);
	else if (netwatch_ask_neighbour(pm->nw, (int)port->ifindex, addr, mac))
		memset(mac, 0, 6);
}

static struct place *place_of(struct pledge_macs *pm, const struct jpx_mac_key *key)
{
	__u64 mixed = (key->iid ^ (__u64)key->udp_port << 40 ^ (__u64)key->port_id << 56 ^
		       (__u64)key->ipv4 << 32) *
		      0x9e3779b97f4a7c15ULL;

	return &pm->places[mixed >> 52];
}

void pledge_macs_find(struct pledge_macs *pm, const struct jpx_port *port, unsigned int port_id,
		      const struct sockaddr_in6 *pledge, unsigned char mac[6])
{
	struct jpx_mac_key key = { .udp_port = pledge->sin6_port, .port_id = (__u8)port_id };
	struct place *place;
	struct timespec now;

	memset(mac, 0, 6);
	if (port->link != JPX_LINK_ETHERNET)
		return;
	if (IN6_IS_ADDR_V4MAPPED(&pledge->sin6_addr)) {
		key.iid = __builtin_bswap64(jpx_pledge_id(ntohl(pledge->sin6_addr.s6_addr32[3])));
		key.ipv4 = 1;
	} else {
		memcpy(&key.iid, pledge->sin6_addr.s6_addr + 8, 8);
	}
	/* What the fast path saw in a frame comes first: it writes that itself. */
	if (datapath_noted_mac(pm->dp, &key, mac) == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	place = place_of(pm, &key);
	if (place->used && now.tv_sec - place->last <= IDLE_S) {
		if (memcmp(&place->pledge, &key, sizeof(key))) {
			look_up(pm, port, &key, &pledge->sin6_addr, mac);
			return;
		}
	} else {
		place->pledge = key;
		place->used = true;
		look_up(pm, port, &key, &pledge->sin6_addr, place->mac);
	}
	place->last = now.tv_sec;
	memcpy(mac, place->mac, 6);
}
