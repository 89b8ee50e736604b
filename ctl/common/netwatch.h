/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel says about links, addresses, routes and neighbours, over
 * rtnetlink (libmnl).  Keeps its own picture of links, addresses and neighbours and
 * tells one listener when anything changed; decides nothing.
 *
 * Both families: wherever a struct in6_addr is taken or given, an IPv4 address is one
 * that is v4-mapped.
 *
 * Survives a lost event (ENOBUFS): dumps everything again and reports a change.
 */
#ifndef JPX_NETWATCH_H
#define JPX_NETWATCH_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct netwatch;

struct netwatch_link {
	int ifindex;
	char ifname[IFNAMSIZ];
	char kind[16];	       /* IFLA_INFO_KIND: "veth", "vlan", "tun", ...; empty if none */
	unsigned short arphrd; /* ARPHRD_ETHER, ARPHRD_NONE, ARPHRD_6LOWPAN, ... */
	bool up;	       /* administratively up and lower layer up */
	uint8_t mac[6];	       /* zero where it has none of 6 bytes */
	uint8_t eui64[8];      /* ... of 8 bytes: radios, and what is stacked on them */
	uint32_t mtu;
	uint32_t xdp_prog_id; /* of the XDP program on it (libxdp's dispatcher, perhaps); 0: none */
	int parent;	      /* IFLA_LINK, where it is in this namespace; else 0 */
	int master;	      /* bridge, bond, VRF ... that it is part of, else 0 */
	uint16_t vlan_id;     /* of a VLAN interface, else 0 */
	uint16_t vlan_proto;  /* 0x8100 or 0x88a8, host order */
	/* Usable ones: neither tentative nor failed; if several, the one of eui64, else the
	 * lowest. */
	bool has_link_local, has_link_local4;
	struct in6_addr link_local;
	struct in_addr link_local4; /* RFC 3927 2.1: 169.254.1.0 to 169.254.254.255 */
};

struct netwatch_route {
	int ifindex;		  /* outgoing */
	bool local;		  /* the destination is this host */
	struct in6_addr next_hop; /* the gateway, or the destination itself when on-link; for an
				   * IPv4 destination it may be an IPv6 address (RFC 8950) */
	struct in6_addr source;	  /* what the kernel would send from; :: if it has nothing */
	uint32_t mtu;		  /* of the route, else of the link */
};

/* ON_CHANGE is called from the loop, once for a burst of events, never from
 * inside another call to this module.  Does the first dump before it returns.
 * Returns NULL with errno set. */
struct netwatch *netwatch_new(struct event_base *base, void (*on_change)(void *arg), void *arg);
void netwatch_free(struct netwatch *nw);

/* NULL if there is none.  Valid until control returns to the loop. */
const struct netwatch_link *netwatch_link_by_name(const struct netwatch *nw, const char *ifname);
const struct netwatch_link *netwatch_link_by_index(const struct netwatch *nw, int ifindex);

/* Asks the kernel about one link now, for what was just done to it: its events may still wait to be
 * read.  What was not told stays as it was. */
void netwatch_ask_link(struct netwatch *nw, int ifindex);

/* Calls ON_LINK for each link, in no order.  HAS_ADDRESS: it has a usable address that is not
 * link-local. */
void netwatch_each_link(const struct netwatch *nw,
			void (*on_link)(void *arg, const struct netwatch_link *link,
					bool has_address),
			void *arg);

/* Is ADDR a usable one (neither tentative nor failed) of any interface of this host, up
 * or down?  False, too, for one of so many that not all are kept. */
bool netwatch_is_local(const struct netwatch *nw, const struct in6_addr *addr);

/* The kernel's own answer to "how do I reach DST", through interface OIF if that
 * is not 0 (RTM_GETROUTE).  Returns 0 or a negative errno (-ENETUNREACH, ...);
 * unreachable, blackhole and prohibit routes are -ENETUNREACH.  So is an IPv4
 * address for which OIF has no route and that is not link-local, though the kernel
 * would take it for a neighbour. */
int netwatch_route(struct netwatch *nw, const struct in6_addr *dst, int oif,
		   struct netwatch_route *route);

/* The link-layer address of a neighbour in a usable state (REACHABLE, STALE,
 * DELAY, PROBE, PERMANENT, NOARP).  Returns 0, or -ENOENT.  One that is being
 * resolved anew (INCOMPLETE or gone) still answers with the last known address
 * until it FAILED, so that a flapping cache does not stop a relay. */
int netwatch_neighbour(const struct netwatch *nw, int ifindex, const struct in6_addr *addr,
		       uint8_t mac[6]);

/* Asks the kernel to resolve ADDR, or to confirm it if it is STALE, as if it had
 * a datagram to send there (RTM_NEWNEIGH with NTF_USE).  Never blocks. */
void netwatch_resolve(struct netwatch *nw, int ifindex, const struct in6_addr *addr);

/* Sends one multicast Neighbour Solicitation for ADDR from SOURCE (RFC 4861 4.3), or one
 * broadcast ARP request (RFC 826), so that a neighbour whose MAC changed in silence
 * answers with the new one, which the kernel learns by itself.  For use when a next hop
 * takes packets and nothing comes back.  Both of one family, SOURCE of this host.
 * Returns 0 or a negative errno. */
int netwatch_solicit(struct netwatch *nw, int ifindex, const struct in6_addr *source,
		     const struct in6_addr *addr);

/* Does not keep: asks the kernel for one neighbour of a pledge port (RTM_GETNEIGH).
 * Returns 0 or -ENOENT. */
int netwatch_ask_neighbour(struct netwatch *nw, int ifindex, const struct in6_addr *addr,
			   uint8_t mac[6]);

#endif
