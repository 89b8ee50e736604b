/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The JPY socket: the one UDP port to which Join Proxies send.  An answer leaves
 * from the very address to which the proxy had sent, because a proxy takes JPY
 * messages only from there (draft-ietf-anima-constrained-join-proxy-21, 4.5.5).
 *
 * Knows addresses only; must never look into a message.
 */
#ifndef JPX_JPREG_FRONT_H
#define JPX_JPREG_FRONT_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

struct jpx_front_path {
	struct sockaddr_in6 proxy;
	struct in6_addr local; /* the address to which the proxy sent */
	unsigned int ifindex;  /* where it came in */
};

/* A socket that does not block, bound to LISTEN.  Returns it, or a negative errno. */
int jpx_front_open(const struct sockaddr_in6 *listen);

/* One datagram and the way it came.  Returns its length or a negative errno. */
ssize_t jpx_front_receive(int fd, void *buf, size_t cap, struct jpx_front_path *path);

/* One datagram back the way PATH.  Returns 0 or a negative errno. */
int jpx_front_send(int fd, const struct jpx_front_path *path, const void *buf, size_t len);

#endif
