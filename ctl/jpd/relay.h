/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The socket engine: the whole relay on ordinary UDP sockets.  It serves what
 * the fast path passes up, and everything where there is no fast path.  For the
 * same datagram it sends the very bytes that the fast path would.
 *
 * Reads the proxy's state, never writes it; its counters are its own.
 */
#ifndef JPX_RELAY_H
#define JPX_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>

#include "pinned.h"

struct event_base;
struct datapath;
struct flows;
struct netwatch;
struct relay;

/* UNREACHABLE is called, from the loop with ARG, when ICMP says that a service's Registrar cannot
 * be reached.  NULL with errno set. */
struct relay *relay_new(struct event_base *base, const struct jpx_state *state, struct datapath *dp,
			struct netwatch *nw, struct flows *flows,
			void (*unreachable)(void *arg, unsigned int service_id), void *arg);
void relay_free(struct relay *relay);

/* Opens a socket on any address for stateless service SERVICE_ID's traffic with its Registrar:
 * on UDP port WANTED if that is free, else (or for 0) on one the kernel chooses.
 * Returns the port in network order, or 0 with errno set. */
in_port_t relay_open_uplink(struct relay *relay, unsigned int service_id, in_port_t wanted);
void relay_close_uplink(struct relay *relay, unsigned int service_id);
bool relay_has_uplink(const struct relay *relay, unsigned int service_id);

/* Opens and closes join sockets until they are the ones that the state asks for. */
void relay_sync(struct relay *relay);

/* Why there is no join socket for this port and service: an errno, or 0. */
int relay_join_error(const struct relay *relay, unsigned int port_id, unsigned int service_id);

/* Brings JPX_DROP_KERNEL_REFUSED up to date; call before counters are read. */
void relay_collect(struct relay *relay);

#endif
