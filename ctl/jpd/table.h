/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding and numbering things in a struct jpx_state.  Ids are small, stable
 * while the thing lives, and 0 means none.
 */
#ifndef JPX_TABLE_H
#define JPX_TABLE_H

#include <stdbool.h>

#include "pinned.h"

unsigned int table_port_by_name(const struct jpx_state *state, const char *ifname);

/* The port on the 6LoWPAN interface that is, or was while it was there, stacked on that radio. */
unsigned int table_port_by_radio(const struct jpx_state *state, const char *ifname);
unsigned int table_service_by_name(const struct jpx_state *state, const char *name);
unsigned int table_slot_by_ifindex(const struct jpx_state *state, unsigned int ifindex);

/* Services for the same Registrar in the same way (address, port, mode, form, content,
 * uplink); a join port or name of its own does not make it another one. */
bool table_services_alike(const struct jpx_service *a, const struct jpx_service *b);
/* The first that was configured, and the first that was discovered, or 0. */
unsigned int table_service_like(const struct jpx_state *state, const struct jpx_service *like);
unsigned int table_discovered_like(const struct jpx_state *state, const struct jpx_service *like);

/* Heard of, and not configured: it goes again when nobody names it. */
bool table_service_is_discovered(const struct jpx_service *service);

/* The service whose join port or uplink port this is (network order). */
unsigned int table_service_by_udp_port(const struct jpx_state *state, __be16 udp_port);

unsigned int table_free_port(const struct jpx_state *state);
unsigned int table_free_service(const struct jpx_state *state);
unsigned int table_free_slot(const struct jpx_state *state);

/* Is PORT told by VLAN tags on its parent? */
bool table_port_is_tagged(const struct jpx_port *port);

/* Does some port that carries our program serve this service? */
bool table_in_fast_path(const struct jpx_state *state, unsigned int service_id);

/* The services that PORT serves: the ones it names, else every EVERY_PORT one. */
__u64 table_services_of(const struct jpx_state *state, const struct jpx_port *port);

#endif
