/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Has the kernel deliver here what pledges send to the Registrar's own address
 * (draft-vanderstok-anima-constrained-join-proxy-01, 5.1, Figure 2), where it would
 * refuse to forward a link-local source: routing rules and local routes, over
 * rtnetlink.  Decides nothing about which, and relays nothing.
 *
 * Only UDP from link-local sources, over a pledge port, to a Registrar's address and
 * port is taken.  Of fragments only the first has the port: those to other ports are
 * taken with the rest, and refused by the kernel once they are put together.
 *
 * There is one of these in a network namespace: it takes away what another one made.
 */
#ifndef JPX_INTERCEPT_H
#define JPX_INTERCEPT_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By these what is ours is known again: the routing table and "proto" of ip-rule(8) and
 * ip-route(8).  What lacks either is never touched. */
#define JPX_INTERCEPT_TABLE    5684
#define JPX_INTERCEPT_PROTOCOL 157

/* The first of four priorities of rules: behind the local table (0), before what an
 * operator, a VRF (1000) or a VPN would put there. */
#define JPX_INTERCEPT_PRIORITY 568

struct event_base;
struct intercept;

struct intercept_want {
	char ifname[IFNAMSIZ];	   /* the pledge port; need not exist yet */
	struct in6_addr registrar; /* IPv4-mapped for IPv4; not link-local, loopback or multicast */
	uint16_t port;		   /* host order, not 0 */
};

/* Asks nothing of the kernel yet.  Returns NULL with errno set. */
struct intercept *intercept_new(struct event_base *base);

/* Makes the kernel's rules and routes exactly those for WANTS, in any order; what an
 * earlier process left is adopted or deleted.  Cheap when nothing changed.  From then on
 * looks every ten seconds whether they are still there, and puts them back.
 * Returns 0, or a negative errno of the first thing that failed; the rest was done all
 * the same, intercept_error() has the words, and the log has them once. */
int intercept_sync(struct intercept *in, const struct intercept_want *wants, size_t count);

/* What is wrong and what to do, without a full stop, or "".  Valid until the next call. */
const char *intercept_error(const struct intercept *in);

/* KEEP: leaves rules and routes to the next process.  Else they are taken away. */
void intercept_free(struct intercept *in, bool keep);

/* A socket that hears what pledges on IFNAME send to PORT (host order) of REGISTRAR, and
 * answers from that very address.  Needs CAP_NET_ADMIN or CAP_NET_RAW.  It stays with the
 * interface as it is now: where one of the same name takes its place, open another.
 * Returns a descriptor, the caller's to close, or a negative errno. */
int intercept_socket(const struct in6_addr *registrar, uint16_t port, const char *ifname);

#endif
