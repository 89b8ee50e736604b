/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See udp_socket.h. */
#include "udp_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/wire.h>

#define SOCKET_BUFFER (4 << 20)

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/*
 * Room for bursts, beyond what net.core.*mem_max gives everybody.  On the way out,
 * too: a datagram to a neighbour that does not answer is held for three seconds,
 * and answers to pledges that are not there must not keep out those that are.
 */
static void set_buffer(int fd, int by_force, int option)
{
	if (set_int(fd, SOL_SOCKET, by_force, SOCKET_BUFFER))
		set_int(fd, SOL_SOCKET, option, SOCKET_BUFFER);
}

int udp_socket_open(const struct sockaddr_in6 *local, const char *ifname, unsigned int flags)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;
	int ipv4 = IN6_IS_ADDR_V4MAPPED(&local->sin6_addr) || flags & UDP_SOCKET_BOTH;

	if (fd < 0)
		return -1;
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	/* The interface before the address: sockets of two interfaces may share one. */
	if (set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !ipv4) ||
	    set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, JPX_HOP_LIMIT) ||
	    (ipv4 && set_int(fd, IPPROTO_IP, IP_TTL, JPX_HOP_LIMIT)) ||
	    set_int(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0) ||
	    (flags & UDP_SOCKET_PKTINFO && set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)) ||
	    (flags & UDP_SOCKET_ORIGDST && (set_int(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1) ||
					    set_int(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1))) ||
	    (flags & UDP_SOCKET_TRANSPARENT && set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)) ||
	    (ifname &&
	     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname))) ||
	    bind(fd, (const struct sockaddr *)local, sizeof(*local))) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}
