/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How Join Proxies find this Registrar: on the interfaces where it is to, it answers CoAP discovery
 * (join-proxy-21 5.1: brski.rjp, brski; RFC 9148 4.1: ace.est) and floods AN_join_registrar by
 * GRASP (RFC 8995 4.3).  Says nothing of a port that nobody could reach: without an address that
 * can be routed to it is silent.
 */
#ifndef JPX_JPREG_ANNOUNCE_H
#define JPX_JPREG_ANNOUNCE_H

#include <netinet/in.h>

struct announce;
struct event_base;

struct announce_config {
	const char *ifname;		/* not copied */
	struct sockaddr_in6 jpy, coaps; /* where we listen; with the address ::, the interface's is
					   told */
};

/* NULL after an error has been logged: there is no such interface, or no memory. */
struct announce *announce_new(struct event_base *base, const struct announce_config *config);
void announce_free(struct announce *announce);

#endif
