/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From what the kernel says (netwatch) to what the fast path needs: the
 * addresses, link headers and sums of one port or one service.  Computes;
 * writes nothing anywhere.
 */
#ifndef JPX_RESOLVE_H
#define JPX_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>

#include <jpx/abi.h>

#include "netwatch.h"

struct abilities;

/* How frames get onto the wire from one interface: from itself, or, for a VLAN
 * interface whose parent runs our program, from the parent with tags. */
struct resolve_way {
	unsigned int tx_ifindex;
	unsigned int bounce_ifindex; /* as struct jpx_port.bounce_ifindex */
	enum jpx_link link;
	unsigned char l2_len;
	__be16 l2_type[5]; /* as struct jpx_port.l2_type */
	bool tagged;
	struct jpx_vlan_key tags; /* slot left 0 */
};

/* Where PORT's interface stands now: fills ifindex, mtu, mac, addr, addr_sum, addr4, link
 * and the READY flag; leaves the rest.  READY with an address of either family: addr or
 * addr4 may be all zero then. */
void resolve_port(const struct netwatch *nw, struct jpx_port *port);

/* The way onto the wire from IFINDEX for IPv6.  XDP: what the operator asked for; only
 * AUTO and NATIVE go through a VLAN's parent.  False for a link that no program
 * of ours understands (loopback, ...). */
bool resolve_way(const struct netwatch *nw, struct abilities *abilities, int ifindex,
		 enum jpx_xdp xdp, struct resolve_way *way);

/* Where SERVICE's Registrar is now: fills ifindex, uplink, mtu, path_sum, registrar_sum,
 * the link header and the flags READY, LOCAL and IPV4.  Never READY: IPv4 over a link
 * that is no Ethernet.  NEXT_HOP: whose neighbour entry to keep alive (all zero where
 * there is none to keep). */
void resolve_service(struct netwatch *nw, struct abilities *abilities, struct jpx_service *service,
		     struct in6_addr *next_hop);

#endif
