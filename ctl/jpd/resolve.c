/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See resolve.h. */
#include "resolve.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <string.h>

#include "abilities.h"
#include "addr.h"
#include "sum.h"

#ifndef ARPHRD_6LOWPAN
#define ARPHRD_6LOWPAN 825
#endif

static __u16 mtu_of(__u32 mtu)
{
	return mtu > 65535 ? 65535 : (__u16)mtu;
}

static bool link_kind(const struct netwatch_link *link, enum jpx_link *kind)
{
	switch (link->arphrd) {
	case ARPHRD_ETHER:
		*kind = JPX_LINK_ETHERNET;
		return true;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_6LOWPAN:
		*kind = JPX_LINK_IPV6;
		return true;
	}
	return false;
}

void resolve_port(const struct netwatch *nw, struct jpx_port *port)
{
	const struct netwatch_link *link = netwatch_link_by_name(nw, port->ifname);
	enum jpx_link kind = JPX_LINK_ETHERNET;

	port->flags &= (__u8)~JPX_PORT_READY;
	memset(port->addr, 0, sizeof(port->addr));
	port->addr_sum = 0;
	port->addr4 = 0;
	if (!link) {
		port->ifindex = 0;
		return;
	}
	port->ifindex = (__u32)link->ifindex;
	port->mtu = mtu_of(link->mtu);
	memcpy(port->mac, link->mac, 6);
	link_kind(link, &kind);
	port->link = (__u8)kind;
	if (link->has_link_local)
		memcpy(port->addr, &link->link_local, 16);
	port->addr_sum = (__u32)sum_of(port->addr, 16);
	/* RFC 4944 carries nothing but IPv6. */
	if (link->has_link_local4 && link->arphrd != ARPHRD_6LOWPAN)
		port->addr4 = link->link_local4.s_addr;
	if (link->up && (link->has_link_local || port->addr4))
		port->flags |= JPX_PORT_READY;
}

/* A veth sends what XDP_TX gives it only once its peer runs an XDP program of its own:
 * until then the frames wait in a ring.  A redirect to itself does not. */
static unsigned int bounce_ifindex(const struct netwatch *nw, unsigned int ifindex)
{
	const struct netwatch_link *link = netwatch_link_by_index(nw, (int)ifindex);

	return link && strcmp(link->kind, "veth") ? ifindex : 0;
}

static bool way_of(const struct netwatch *nw, struct abilities *abilities, int ifindex,
		   enum jpx_xdp xdp, __u16 ethertype, struct resolve_way *way)
{
	const struct netwatch_link *link = netwatch_link_by_index(nw, ifindex), *parent;
	__be16 vid[2], proto[2];
	int tags = 0;

	memset(way, 0, sizeof(*way));
	if (!link || !link_kind(link, &way->link))
		return false;
	way->tx_ifindex = (unsigned int)ifindex;
	way->bounce_ifindex = bounce_ifindex(nw, way->tx_ifindex);
	if (way->link == JPX_LINK_IPV6)
		return true;

	/* Innermost tag first on the way down to the NIC. */
	for (parent = link; xdp == JPX_XDP_AUTO || xdp == JPX_XDP_NATIVE;) {
		if (!parent->vlan_id || tags == 2)
			break;
		proto[tags] = htons(parent->vlan_proto);
		vid[tags] = htons(parent->vlan_id);
		parent = netwatch_link_by_index(nw, parent->parent);
		if (!parent || parent->arphrd != ARPHRD_ETHER ||
		    abilities_strips_vlan_tags(abilities, parent)) {
			/* No parent that shows its tags: stay on the VLAN interface itself. */
			tags = 0;
			parent = link;
			break;
		}
		tags++;
	}
	way->l2_len = 14;
	if (tags) {
		way->tx_ifindex = (unsigned int)parent->ifindex;
		way->bounce_ifindex = bounce_ifindex(nw, way->tx_ifindex);
		way->l2_len = (unsigned char)(14 + 4 * tags);
		way->tagged = true;
		way->tags.outer_proto = proto[tags - 1];
		way->tags.outer_tci = vid[tags - 1];
		way->tags.inner_tci = tags == 2 ? vid[0] : 0;
		for (int i = 0; i < tags; i++) {
			way->l2_type[2 * i] = proto[tags - 1 - i];
			way->l2_type[2 * i + 1] = vid[tags - 1 - i];
		}
	}
	way->l2_type[2 * tags] = htons(ethertype);
	return true;
}

bool resolve_way(const struct netwatch *nw, struct abilities *abilities, int ifindex,
		 enum jpx_xdp xdp, struct resolve_way *way)
{
	return way_of(nw, abilities, ifindex, xdp, ETH_P_IPV6, way);
}

/* A route, but no address yet to send from, is none: the kernel then offers a link-local
 * one, of any interface, from which no router forwards (RFC 4007 9, RFC 3927 7). */
static bool has_source(const struct netwatch_route *route, const struct in6_addr *registrar)
{
	if (IN6_IS_ADDR_UNSPECIFIED(&route->source))
		return false;
	return route->local || !jpx_addr_is_link_local(&route->source) ||
	       IN6_ARE_ADDR_EQUAL(&route->next_hop, registrar);
}

void resolve_service(struct netwatch *nw, struct abilities *abilities, struct jpx_service *service,
		     struct in6_addr *next_hop)
{
	const struct netwatch_link *link = NULL;
	struct netwatch_route route;
	struct resolve_way way;
	struct in6_addr registrar;
	unsigned char mac[6];
	bool ipv4;

	memset(next_hop, 0, sizeof(*next_hop));
	memcpy(&registrar, service->registrar, 16);
	ipv4 = IN6_IS_ADDR_V4MAPPED(&registrar);
	service->flags &= (__u16) ~(JPX_SERVICE_READY | JPX_SERVICE_LOCAL | JPX_SERVICE_IPV4);
	if (ipv4)
		service->flags |= JPX_SERVICE_IPV4;
	service->tx_ifindex = service->bounce_ifindex = 0;
	service->l2_len = 0;
	service->registrar_sum =
		sum_of(service->registrar, 16) + service->registrar_port + htons(IPPROTO_UDP);

	if (service->uplink_ifname[0]) {
		link = netwatch_link_by_name(nw, service->uplink_ifname);
		if (!link) {
			service->ifindex = 0;
			return;
		}
	}
	if (netwatch_route(nw, &registrar, link ? link->ifindex : 0, &route) ||
	    !has_source(&route, &registrar)) {
		service->ifindex = 0;
		return;
	}
	service->ifindex = (__u32)route.ifindex;
	memcpy(service->uplink, &route.source, 16);
	service->mtu = mtu_of(route.mtu);
	service->path_sum =
		service->registrar_sum + sum_of(service->uplink, 16) + service->uplink_port;
	link = netwatch_link_by_index(nw, route.ifindex);
	if (route.local)
		service->flags |= JPX_SERVICE_LOCAL;
	if (route.local || !link || !link->up ||
	    !way_of(nw, abilities, route.ifindex, service->xdp, ipv4 ? ETH_P_IP : ETH_P_IPV6, &way))
		return;
	service->tx_ifindex = way.tx_ifindex;
	service->bounce_ifindex = way.bounce_ifindex;
	if (way.link == JPX_LINK_IPV6) {
		/* Bare IPv4 is the socket engine's. */
		if (!ipv4)
			service->flags |= JPX_SERVICE_READY;
		return;
	}
	service->l2_len = way.l2_len;
	*next_hop = route.next_hop;
	if (netwatch_neighbour(nw, route.ifindex, next_hop, mac))
		return;
	memcpy(service->l2, mac, 6);
	memcpy(service->l2 + 6, link->mac, 6);
	memcpy(service->l2 + 12, way.l2_type, sizeof(way.l2_type));
	service->flags |= JPX_SERVICE_READY;
}
