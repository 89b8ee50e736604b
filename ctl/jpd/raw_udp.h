/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends UDP datagrams from ports that no socket is bound to: what the socket engine
 * needs for flows that the fast path shares.  Never receives; decides nothing.
 */
#ifndef JPX_RAW_UDP_H
#define JPX_RAW_UDP_H

#include <netinet/in.h>
#include <stddef.h>

struct raw_udp;

/* NULL with errno set. */
struct raw_udp *raw_udp_new(void);
void raw_udp_free(struct raw_udp *raw);

/* Sends DATA from FROM, an address of this host and any port, to TO; both IPv4-mapped or neither.
 * IFINDEX: over this interface only, 0: by the route.  The datagram looks as the fast path's do
 * and is fragmented where it must be.  Returns 0 or a negative errno. */
int raw_udp_send(struct raw_udp *raw, const struct sockaddr_in6 *from,
		 const struct sockaddr_in6 *to, unsigned int ifindex, const void *data, size_t len);

#endif
