/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See raw_ip.h. */
#include "raw_ip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

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

int raw_ip_send(int fd, const struct in6_addr *from, const struct sockaddr_in6 *to,
		unsigned int ifindex, const struct iovec *iov, size_t count)
{
	bool ipv4 = IN6_IS_ADDR_V4MAPPED(&to->sin6_addr);
	struct sockaddr_in6 to6 = *to;
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_name = ipv4 ? (void *)&to4 : (void *)&to6,
		.msg_namelen = ipv4 ? sizeof(to4) : sizeof(to6),
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = count,
		.msg_control = &control,
	};

	if (ipv4) {
		memcpy(&to4.sin_addr, &to->sin6_addr.s6_addr[12], 4);
		source4(&msg, from, ifindex);
	} else {
		to6.sin6_port = 0; /* a raw socket takes it for a protocol */
		source6(&msg, from, ifindex);
	}
	/* An error that an earlier datagram met is reported by the next call and eats it. */
	if (sendmsg(fd, &msg, MSG_DONTWAIT) < 0 && sendmsg(fd, &msg, MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}
