/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See front.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct in6_pktinfo */
#endif
#include "front.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for a burst of handshakes that start together, as after a power cut. */
#define RECEIVE_BUFFER (1 << 20)

union control {
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct cmsghdr align;
};

int jpx_front_open(const struct sockaddr_in6 *listen)
{
	/* :: takes IPv4, too; a mapped address nothing else. */
	int v6only = !IN6_IS_ADDR_UNSPECIFIED(&listen->sin6_addr) &&
		     !IN6_IS_ADDR_V4MAPPED(&listen->sin6_addr);
	int on = 1, size = RECEIVE_BUFFER, fd, err;

	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* the kernel grants what it likes of this; less is no error */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)listen, sizeof(*listen))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

ssize_t jpx_front_receive(int fd, void *buf, size_t cap, struct jpx_front_path *path)
{
	struct iovec iov = { .iov_base = buf, .iov_len = cap };
	union control control;
	struct msghdr msg = {
		.msg_name = &path->proxy,
		.msg_namelen = sizeof(path->proxy),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct in6_pktinfo info;
	ssize_t n;

	memset(path, 0, sizeof(*path));
	n = recvmsg(fd, &msg, 0);
	if (n < 0)
		return -errno;
	path->proxy.sin6_flowinfo = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		path->local = info.ipi6_addr;
		path->ifindex = info.ipi6_ifindex;
	}
	return n;
}

int jpx_front_send(int fd, const struct jpx_front_path *path, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	struct in6_pktinfo info = { .ipi6_addr = path->local };
	struct sockaddr_in6 to = path->proxy;
	union control control;
	struct msghdr msg = {
		.msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	/* Elsewhere the route decides: the way back may leave by another interface. */
	if (IN6_IS_ADDR_LINKLOCAL(&path->local) || IN6_IS_ADDR_LINKLOCAL(&to.sin6_addr))
		info.ipi6_ifindex = path->ifindex;
	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	if (sendmsg(fd, &msg, 0) < 0)
		return -errno;
	return 0;
}
