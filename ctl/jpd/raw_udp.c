/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See raw_udp.h. */
#include "raw_udp.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/wire.h>

#include "raw_ip.h"
#include "sum.h"

struct raw_udp {
	int fd6, fd4;
};

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/*
 * A raw socket gets a copy of every UDP datagram there is: not this one.  Nor shall the
 * others pay for the copy: it is bound to an address that no datagram is to (RFC 6666, RFC
 * 7600).  What it sends names its source itself.
 */
static int hear_nothing(int fd, int family)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &none };
	struct sockaddr_in6 nobody6 = { .sin6_family = AF_INET6, .sin6_addr.s6_addr = { 1 } };
	struct sockaddr_in nobody4 = { .sin_family = AF_INET };
	bool ipv4 = family == AF_INET;
	int level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6, option = ipv4 ? IP_FREEBIND : IPV6_FREEBIND;

	nobody6.sin6_addr.s6_addr[15] = 1;	     /* 100::1 */
	nobody4.sin_addr.s_addr = htonl(0xc0000008); /* 192.0.0.8 */
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ||
	       set_int(fd, level, option, 1) ||
	       (ipv4 ? bind(fd, (struct sockaddr *)&nobody4, sizeof(nobody4))
		     : bind(fd, (struct sockaddr *)&nobody6, sizeof(nobody6))) ||
	       /* or it would send from addresses that are not on this host */
	       set_int(fd, level, option, 0);
}

static int open_raw(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);

	if (fd < 0)
		return -1;
	if (hear_nothing(fd, family) || set_int(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20) ||
	    (family == AF_INET6
		     ? set_int(fd, IPPROTO_IPV6, IPV6_CHECKSUM, offsetof(struct udphdr, check)) ||
			       set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, JPX_HOP_LIMIT) ||
			       set_int(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0)
		     : set_int(fd, IPPROTO_IP, IP_TTL, JPX_HOP_LIMIT))) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct raw_udp *raw_udp_new(void)
{
	struct raw_udp *raw = calloc(1, sizeof(*raw));

	if (!raw)
		return NULL;
	raw->fd6 = open_raw(AF_INET6);
	raw->fd4 = open_raw(AF_INET);
	if (raw->fd6 >= 0 && raw->fd4 >= 0)
		return raw;
	raw_udp_free(raw);
	return NULL;
}

void raw_udp_free(struct raw_udp *raw)
{
	int saved = errno;

	if (!raw)
		return;
	if (raw->fd6 >= 0)
		close(raw->fd6);
	if (raw->fd4 >= 0)
		close(raw->fd4);
	free(raw);
	errno = saved;
}

/* RFC 768; for IPv6 the kernel does it. */
static uint16_t checksum4(const struct in6_addr *from, const struct in6_addr *to,
			  const struct udphdr *udp, const void *data, size_t len)
{
	uint16_t check = sum_check(sum_of(from, sizeof(*from)) + sum_of(to, sizeof(*to)) +
				   htons(IPPROTO_UDP) + udp->len + sum_of(udp, sizeof(*udp)) +
				   sum_of(data, len));

	return check ? check : 0xffff;
}

int raw_udp_send(struct raw_udp *raw, const struct sockaddr_in6 *from,
		 const struct sockaddr_in6 *to, unsigned int ifindex, const void *data, size_t len)
{
	bool ipv4 = IN6_IS_ADDR_V4MAPPED(&to->sin6_addr);
	struct udphdr udp = {
		.source = from->sin6_port,
		.dest = to->sin6_port,
		.len = htons((uint16_t)(len + sizeof(udp))),
	};
	struct iovec iov[2] = { { &udp, sizeof(udp) }, { (void *)(uintptr_t)data, len } };

	if (len > JPX_UDP_MAX)
		return -EMSGSIZE;
	if (ipv4)
		udp.check = checksum4(&from->sin6_addr, &to->sin6_addr, &udp, data, len);
	return raw_ip_send(ipv4 ? raw->fd4 : raw->fd6, &from->sin6_addr, to, ifindex, iov, 2);
}
