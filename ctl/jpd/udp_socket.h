/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens the UDP sockets that datagrams are relayed on.  Knows nothing of ports,
 * services or pledges; never reads or sends.
 */
#ifndef JPX_UDP_SOCKET_H
#define JPX_UDP_SOCKET_H

#include <netinet/in.h>

#define UDP_SOCKET_PKTINFO     0x01 /* tells where each datagram was sent to (IPV6_PKTINFO) */
#define UDP_SOCKET_TRANSPARENT 0x02 /* LOCAL need not be of this host (CAP_NET_ADMIN) */
#define UDP_SOCKET_BOTH	       0x04 /* LOCAL is ::, and IPv4 is spoken, too */
#define UDP_SOCKET_ORIGDST     0x08 /* tells address and port that each datagram was sent to */

/* A UDP socket bound to LOCAL whose datagrams look as the fast path's do: close-on-exec,
 * non-blocking, with large buffers.  Where LOCAL is IPv4-mapped it speaks IPv4, and peers'
 * addresses are mapped, too; else it speaks IPv6 alone.  IFNAME: the one interface that it
 * hears and sends on, or NULL for any.  FLAGS: of UDP_SOCKET_*.
 * Returns a descriptor, the caller's to close, or -1 with errno set. */
int udp_socket_open(const struct sockaddr_in6 *local, const char *ifname, unsigned int flags);

#endif
