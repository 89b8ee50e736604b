/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is at the ends of a datagram: the addresses that a pledge sends from and to, and
 * which interfaces what comes from the Registrar's side may come over.  Computes only.
 *
 * KIND is JPX_FLOW_*: how a pledge reaches a service.
 */
#ifndef JPX_ENDS_H
#define JPX_ENDS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "pinned.h"

/* Where pledges on PORT reach SERVICE: the proxy's address there and the join port, or the
 * Registrar's own.  False where they cannot. */
bool ends_join(const struct jpx_port *port, const struct jpx_service *service, unsigned int kind,
	       struct sockaddr_in6 *join);

/* The address that the proxy speaks from on PORT to pledges of this family; false if it has
 * none. */
bool ends_proxy(const struct jpx_port *port, bool ipv4, struct in6_addr *proxy);

/* The pledge whose flow has KEY, on PORT. */
void ends_pledge(const struct jpx_port *port, const struct jpx_flow_key *key,
		 struct sockaddr_in6 *pledge);

/* May what is for SERVICE's uplink come in over IFINDEX?  Never over what is only a pledge
 * port. */
bool ends_is_uplink(const struct jpx_state *state, const struct jpx_service *service,
		    unsigned int ifindex);

#endif
