/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows of stateful mode as jpd sees them: the tables that it shares with the
 * fast path, or, where the kernel has no BPF, tables of its own.  Their life is in
 * include/jpx/flow.h.  Keeps their ports from this host's sockets, too.
 *
 * Relays nothing, and knows neither links nor routes.
 */
#ifndef JPX_FLOWS_H
#define JPX_FLOWS_H

#include <netinet/in.h>
#include <stdbool.h>

#include <jpx/request.h>

#include "datapath.h"
#include "flow_limits.h"
#include "pinned.h"

struct event_base;
struct flowlist;
struct flows;

/* Over the maps of DP, or without BPF over memory.  STATE is the proxy's: of it only the uplinks
 * and the configuration of flows are written.  NULL with ERR filled. */
struct flows *flows_new(struct event_base *base, struct datapath *dp, struct jpx_state *state,
			const struct flows_limits *limits, bool adopted, char *err, size_t err_len);

/* FORGET: everything is being unpinned; ports reserved for flows are given back. */
void flows_free(struct flows *flows, bool forget);

/* Applies what can be applied while flows live (all but the ports and the size of the tables).
 * Returns false, with a sentence in NOTE, if something had to wait. */
bool flows_set_limits(struct flows *flows, const struct flows_limits *limits, char *note,
		      size_t note_len);

/* Is this one of the UDP ports (host order) that flows leave from? */
bool flows_is_port(const struct flows *flows, unsigned int udp_port);

/* Makes service SERVICE_ID leave from ADDRS, at most JPX_SERVICE_UPLINKS: fills SERVICE's uplinks.
 * Flows of it from addresses that are no longer among them end.  COUNT 0: all end.  READY tells
 * which of them are on this host now; flows from the others end, too.  Returns 0, or -ENOSPC: too
 * many addresses in all for the size of the tables. */
int flows_set_uplinks(struct flows *flows, unsigned int service_id, struct jpx_service *service,
		      const struct in6_addr *addrs, const bool *ready, unsigned int count);

/* The slot of the flow for KEY, opened if need be, and touched; or a negative drop reason. */
long flows_enter(struct flows *flows, const struct jpx_flow_key *key);

/* May a pledge of this port be told of a refusal now? */
bool flows_may_refuse(struct flows *flows, unsigned int port_id);

/* May a pledge of this port be told of one more ICMP error now?  As many a second as there may be
 * refusals, but some of them at once, and not at their cost. */
bool flows_may_pass_on(struct flows *flows, unsigned int port_id);

/* The flow of uplink address and port (port in network order), live or resting; NULL if there is
 * none.  flows_is_live(): not over by its time either. */
struct jpx_flow *flows_by_uplink(struct flows *flows, const struct in6_addr *addr, in_port_t port);
bool flows_is_live(const struct flows *flows, const struct jpx_flow *flow);

/* The uplink address and port (network order) that are SLOT's. */
void flows_source(const struct flows *flows, __u32 slot, struct sockaddr_in6 *source);

/* Can a flow leave from there, whether one does or not? */
bool flows_is_uplink(struct flows *flows, const struct in6_addr *addr, in_port_t port);

/* Valid while FLOWS is. */
struct jpx_flow *flows_at(struct flows *flows, __u32 slot);
void flows_touch(struct flows *flows, struct jpx_flow *flow);

/* Ends the flows that MATCH says (struct jpx_flow_request); returns how many there were. */
long flows_end(struct flows *flows, const struct jpx_flow_request *match);

/* All of them, to be looked through now (flowlist.h).  NULL: out of memory. */
struct flowlist *flows_list(const struct flows *flows);

/* Flows at once, by port id; by 0 those of all. */
void flows_count(const struct flows *flows, __u32 counts[JPX_MAX_PORTS]);

/* Call now and then, and after services changed: ports are reserved while any service is
 * stateful; ports that this host's sockets hold are left alone, and given back after. */
void flows_audit(struct flows *flows);

/* The socket that gets what the stack receives for flows (BPF), for the caller to read; it tells
 * where each datagram was sent to.  -1 without BPF; then each flow has one, else -1: */
int flows_socket(const struct flows *flows);
int flows_socket_of(const struct flows *flows, __u32 slot);

/* Without BPF: OPENED is called with each flow's new socket, CLOSED before it is closed. */
void flows_watch_sockets(struct flows *flows, void (*opened)(void *arg, __u32 slot, int fd),
			 void (*closed)(void *arg, __u32 slot), void *arg);

#endif
