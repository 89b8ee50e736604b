/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends on raw sockets from an address and over an interface that the caller names, in
 * either family.  Opens no socket; knows no protocol.
 */
#ifndef JPX_RAW_IP_H
#define JPX_RAW_IP_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/uio.h>

/* Sends COUNT pieces IOV as one datagram on FD, a raw socket of the addresses' family, from FROM,
 * an address of this host, to TO, whose port counts nothing; both IPv4-mapped or neither.  IFINDEX:
 * over this interface only, 0: by the route.  Returns 0 or a negative errno. */
int raw_ip_send(int fd, const struct in6_addr *from, const struct sockaddr_in6 *to,
		unsigned int ifindex, const struct iovec *iov, size_t count);

#endif
