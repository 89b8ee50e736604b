/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proxies that flood AN_Proxy by GRASP (RFC 8995 4.1.1): hears ff02::13, port 7017, as a DULL
 * instance does (RFC 8990 2.5.2), and sends nothing.  Shares the port with whoever else on
 * this host hears GRASP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "find.h"
#include "grasp.h"

/* More than one flood may have (RFC 8990 2.5.3), so that one that is longer is seen to be. */
#define ROOM 2048
/* Datagrams in a row, before other events have their turn. */
#define TURN 64

struct find_grasp {
	struct find *find;
	struct event *event;
	int fd;
};

static void read_flood(struct find_grasp *way, const unsigned char *buf, size_t len,
		       const struct in6_addr *source)
{
	struct found found = { .way = find_grasp.name };
	const char *why = "";
	struct grasp_flood flood;
	enum jpx_form form;
	int ret = grasp_read(buf, len, &flood, &why);

	/* another GRASP message is nothing wrong */
	if (ret == -EPROTONOSUPPORT)
		return;
	if (ret || !grasp_is_dull(&flood, source, &why)) {
		find_refused(way->find, found.way, why);
		return;
	}
	for (size_t i = 0; i < flood.count; i++) {
		const struct grasp_item *item = &flood.items[i];

		if (grasp_meaning(item, &form) != GRASP_PROXY)
			continue;
		found.addr = item->addr;
		found.port = item->port;
		snprintf(found.by, sizeof(found.by), "%s%s%s", item->name, *item->value ? " " : "",
			 item->value);
		find_found(way->find, &found);
	}
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	unsigned char buf[ROOM];
	struct sockaddr_in6 from;

	(void)what;
	for (unsigned int i = 0; i < TURN; i++) {
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from,
				       &from_len);

		if (len < 0)
			return;
		read_flood(arg, buf, (size_t)len, &from.sin6_addr);
	}
}

static void stop(void *arg)
{
	struct find_grasp *way = arg;

	if (!way)
		return;
	if (way->event)
		event_free(way->event);
	if (way->fd >= 0)
		close(way->fd);
	free(way);
}

/* Bound to the group on that interface: hears nothing else. */
static int group_socket(unsigned int ifindex)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(GRASP_PORT),
				   .sin6_scope_id = ifindex };
	struct ipv6_mreq group = { .ipv6mr_interface = ifindex };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, error;

	if (fd < 0)
		return -1;
	inet_pton(AF_INET6, GRASP_GROUP, &sa.sin6_addr);
	group.ipv6mr_multiaddr = sa.sin6_addr;
	if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) &&
	    !bind(fd, (struct sockaddr *)&sa, sizeof(sa)) &&
	    !setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void *start(struct event_base *base, const char *ifname, unsigned int ifindex,
		   struct find *find, char *err, size_t err_len)
{
	struct find_grasp *way = calloc(1, sizeof(*way));

	if (!way) {
		snprintf(err, err_len, "not enough memory");
		return NULL;
	}
	way->find = find;
	way->fd = group_socket(ifindex);
	if (way->fd < 0) {
		snprintf(err, err_len, "cannot hear %s port %d on %s: %s%s", GRASP_GROUP,
			 GRASP_PORT, ifname, strerror(errno),
			 errno == EADDRINUSE ? "; a program has it for itself: "
					       "ss -ulnp 'sport = :7017' names it"
					     : "");
		stop(way);
		return NULL;
	}
	way->event = event_new(base, way->fd, EV_READ | EV_PERSIST, readable, way);
	if (!way->event || event_add(way->event, NULL)) {
		snprintf(err, err_len, "not enough memory");
		stop(way);
		return NULL;
	}
	return way;
}

const struct find_way find_grasp = { "grasp", start, stop };
