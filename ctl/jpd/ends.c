/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See ends.h. */
#include "ends.h"

#include <string.h>

static struct in6_addr mapped(__be32 addr)
{
	struct in6_addr to = { 0 };

	to.s6_addr32[2] = htonl(0xffff);
	to.s6_addr32[3] = addr;
	return to;
}

bool ends_proxy(const struct jpx_port *port, bool ipv4, struct in6_addr *proxy)
{
	if (ipv4) {
		*proxy = mapped(port->addr4);
		return port->addr4 != 0;
	}
	memcpy(proxy, port->addr, sizeof(*proxy));
	return !IN6_IS_ADDR_UNSPECIFIED(proxy);
}

bool ends_join(const struct jpx_port *port, const struct jpx_service *service, unsigned int kind,
	       struct sockaddr_in6 *join)
{
	*join = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	if (kind & JPX_FLOW_INTERCEPTED) {
		memcpy(&join->sin6_addr, service->registrar, 16);
		join->sin6_port = service->registrar_port;
		return service->flags & JPX_SERVICE_INTERCEPT;
	}
	join->sin6_port = service->join_port;
	if (!(kind & JPX_FLOW_IPV4))
		join->sin6_scope_id = port->ifindex;
	return ends_proxy(port, kind & JPX_FLOW_IPV4, &join->sin6_addr);
}

void ends_pledge(const struct jpx_port *port, const struct jpx_flow_key *key,
		 struct sockaddr_in6 *pledge)
{
	*pledge = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = key->udp_port };
	if (key->kind & JPX_FLOW_IPV4) {
		pledge->sin6_addr = mapped(htonl((__u32)__builtin_bswap64(key->pledge)));
	} else {
		pledge->sin6_addr.s6_addr[0] = 0xfe;
		pledge->sin6_addr.s6_addr[1] = 0x80;
		memcpy(&pledge->sin6_addr.s6_addr[8], &key->pledge, 8);
		pledge->sin6_scope_id = port->ifindex;
	}
}

bool ends_is_uplink(const struct jpx_state *state, const struct jpx_service *service,
		    unsigned int ifindex)
{
	if (ifindex == service->ifindex)
		return true;
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].flags & JPX_PORT_IN_USE && state->ports[id].ifindex == ifindex)
			return false;
	return true;
}
