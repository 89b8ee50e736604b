/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See table.h. */
#include "table.h"

#include <string.h>

#define FIND(first, count, condition)                                                              \
	do {                                                                                       \
		for (unsigned int i = first; i < count; i++)                                       \
			if (condition)                                                             \
				return i;                                                          \
		return 0;                                                                          \
	} while (0)

unsigned int table_port_by_name(const struct jpx_state *state, const char *ifname)
{
	FIND(1, JPX_MAX_PORTS,
	     state->ports[i].flags & JPX_PORT_IN_USE && !strcmp(state->ports[i].ifname, ifname));
}

unsigned int table_port_by_radio(const struct jpx_state *state, const char *ifname)
{
	FIND(1, JPX_MAX_PORTS,
	     state->ports[i].flags & JPX_PORT_IN_USE && *ifname &&
		     !strcmp(state->ports[i].radio, ifname));
}

unsigned int table_service_by_name(const struct jpx_state *state, const char *name)
{
	FIND(1, JPX_MAX_SERVICES,
	     state->services[i].flags & JPX_SERVICE_IN_USE &&
		     !strcmp(state->services[i].name, name));
}

unsigned int table_slot_by_ifindex(const struct jpx_state *state, unsigned int ifindex)
{
	FIND(1, JPX_MAX_SLOTS,
	     state->slots[i].flags & JPX_SLOT_IN_USE && state->slots[i].ifindex == ifindex);
}

bool table_services_alike(const struct jpx_service *a, const struct jpx_service *b)
{
	const __u16 wishes =
		JPX_SERVICE_ANY_CONTENT | JPX_SERVICE_INTERCEPT | JPX_SERVICE_ADDRESSES;

	return !memcmp(a->registrar, b->registrar, 16) && a->registrar_port == b->registrar_port &&
	       a->mode == b->mode && a->form == b->form &&
	       (a->flags & wishes) == (b->flags & wishes) &&
	       !strcmp(a->uplink_ifname, b->uplink_ifname);
}

bool table_service_is_discovered(const struct jpx_service *service)
{
	return service->flags & JPX_SERVICE_IN_USE && service->source != JPX_SOURCE_CONFIG;
}

unsigned int table_service_like(const struct jpx_state *state, const struct jpx_service *like)
{
	FIND(1, JPX_MAX_SERVICES,
	     state->services[i].flags & JPX_SERVICE_IN_USE &&
		     state->services[i].source == JPX_SOURCE_CONFIG &&
		     table_services_alike(&state->services[i], like));
}

unsigned int table_discovered_like(const struct jpx_state *state, const struct jpx_service *like)
{
	FIND(1, JPX_MAX_SERVICES,
	     table_service_is_discovered(&state->services[i]) &&
		     table_services_alike(&state->services[i], like));
}

unsigned int table_service_by_udp_port(const struct jpx_state *state, __be16 udp_port)
{
	FIND(1, JPX_MAX_SERVICES,
	     state->services[i].flags & JPX_SERVICE_IN_USE &&
		     (state->services[i].join_port == udp_port ||
		      state->services[i].uplink_port == udp_port));
}

unsigned int table_free_port(const struct jpx_state *state)
{
	FIND(1, JPX_MAX_PORTS, !(state->ports[i].flags & JPX_PORT_IN_USE));
}

unsigned int table_free_service(const struct jpx_state *state)
{
	FIND(1, JPX_MAX_SERVICES, !(state->services[i].flags & JPX_SERVICE_IN_USE));
}

unsigned int table_free_slot(const struct jpx_state *state)
{
	FIND(1, JPX_MAX_SLOTS, !(state->slots[i].flags & JPX_SLOT_IN_USE));
}

bool table_port_is_tagged(const struct jpx_port *port)
{
	return port->flags & JPX_PORT_IN_USE && port->slot && port->l2_len > 14;
}

bool table_in_fast_path(const struct jpx_state *state, unsigned int service_id)
{
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].slot && state->ports[id].services >> service_id & 1)
			return true;
	return false;
}

__u64 table_services_of(const struct jpx_state *state, const struct jpx_port *port)
{
	__u64 services = 0;

	if (port->flags & JPX_PORT_CHOSEN)
		return port->services;
	for (unsigned int i = 1; i < JPX_MAX_SERVICES; i++)
		if (state->services[i].flags & JPX_SERVICE_IN_USE &&
		    state->services[i].flags & JPX_SERVICE_EVERY_PORT)
			services |= 1ULL << i;
	return services;
}
