/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6 for stateful mode: tells a pledge that no flow can be opened for
 * it, and passes errors about its datagrams on to it
 * (draft-ietf-anima-constrained-join-proxy-21, 4.3).  For both engines.  In either mode it says
 * which Registrars are said to be unreachable.
 *
 * Believes nothing of an error that it gets: only one that quotes a datagram of a live flow, or
 * of a stateless service, as it left us, does anything.
 */
#ifndef JPX_ICMP_H
#define JPX_ICMP_H

#include <netinet/in.h>
#include <stddef.h>

#include "pinned.h"

struct event_base;
struct flows;
struct icmp;

/* Somebody on the way said that SERVICE_ID's Registrar cannot be reached. */
typedef void icmp_unreachable_fn(void *arg, unsigned int service_id);

/* COUNTERS: by port id, the socket engine's.  UNREACHABLE is called, with ARG, for services of
 * either mode.  NULL with errno set. */
struct icmp *icmp_new(struct event_base *base, const struct jpx_state *state, struct flows *flows,
		      struct jpx_stats *counters, icmp_unreachable_fn *unreachable, void *arg);
void icmp_free(struct icmp *icmp);

/* Tells PLEDGE, behind pledge port PORT_ID, that its datagram of LEN bytes of CONTENT to SERVICE_ID
 * was refused: ICMPv6 type 1 code 1 (RFC 4443 3.1), for an IPv4 pledge type 3 code 13 (RFC
 * 1812 5.2.7.1).  KIND: JPX_FLOW_* of the flow that it did not get.  How often is the caller's to
 * limit. */
void icmp_refuse(struct icmp *icmp, unsigned int port_id, unsigned int service_id,
		 unsigned int kind, const struct sockaddr_in6 *pledge, const void *content,
		 size_t len);

#endif
