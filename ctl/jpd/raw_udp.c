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

struct raw_udp {
	int fd6, fd4;
};

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* A raw socket gets a copy of every UDP datagram there is: not this one. */
static int hear_nothing(int fd)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &none };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int open_raw(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);

	if (fd < 0)
		return -1;
	if (hear_nothing(fd) || set_int(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20) ||
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

static uint32_t sum(uint32_t sum, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* RFC 768; for IPv6 the kernel does it. */
static uint16_t checksum4(const struct in6_addr *from, const struct in6_addr *to,
			  const struct udphdr *udp, const void *data, size_t len)
{
	uint32_t s = sum(sum(0, &from->s6_addr[12], 4), &to->s6_addr[12], 4);

	s += IPPROTO_UDP + (uint32_t)(len + sizeof(*udp));
	s = sum(sum(s, udp, sizeof(*udp)), data, len);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return s == 0xffff ? 0xffff : htons((uint16_t)~s);
}

union control {
	struct cmsghdr align;
	unsigned char space6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	unsigned char space4[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void source6(struct msghdr *msg, const struct in6_addr *from, unsigned int ifindex)
{
	struct in6_pktinfo info = { .ipi6_addr = *from, .ipi6_ifindex = ifindex };
	struct cmsghdr *c = msg->msg_control;

	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	msg->msg_controllen = CMSG_SPACE(sizeof(info));
}

static void source4(struct msghdr *msg, const struct in6_addr *from, unsigned int ifindex)
{
	struct in_pktinfo info = { .ipi_ifindex = (int)ifindex };
	struct cmsghdr *c = msg->msg_control;

	memcpy(&info.ipi_spec_dst, &from->s6_addr[12], 4);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	msg->msg_controllen = CMSG_SPACE(sizeof(info));
}

int raw_udp_send(struct raw_udp *raw, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to,
		 unsigned int ifindex, const void *data, size_t len)
{
	bool ipv4 = IN6_IS_ADDR_V4MAPPED(&to->sin6_addr);
	struct udphdr udp = {
		.source = from->sin6_port,
		.dest = to->sin6_port,
		.len = htons((uint16_t)(len + sizeof(udp))),
	};
	struct iovec iov[2] = { { &udp, sizeof(udp) }, { (void *)(uintptr_t)data, len } };
	struct sockaddr_in6 to6 = *to;
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_name = ipv4 ? (void *)&to4 : (void *)&to6,
		.msg_namelen = ipv4 ? sizeof(to4) : sizeof(to6),
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = &control,
	};
	int fd = ipv4 ? raw->fd4 : raw->fd6;

	if (len > JPX_UDP_MAX)
		return -EMSGSIZE;
	if (ipv4) {
		memcpy(&to4.sin_addr, &to->sin6_addr.s6_addr[12], 4);
		udp.check = checksum4(&from->sin6_addr, &to->sin6_addr, &udp, data, len);
		source4(&msg, &from->sin6_addr, ifindex);
	} else {
		to6.sin6_port = 0; /* a raw socket takes it for a protocol */
		source6(&msg, &from->sin6_addr, ifindex);
	}
	/* An error that an earlier datagram met is reported by the next call and eats it. */
	if (sendmsg(fd, &msg, MSG_DONTWAIT) < 0 && sendmsg(fd, &msg, MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}
