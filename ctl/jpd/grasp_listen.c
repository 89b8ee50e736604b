/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See grasp_listen.h.
 *
 * A socket is bound to the group and to its uplink: what is sent to an address of this host
 * stays another GRASP daemon's, and both hear the floods if that one shares the port, too.
 *
 * A Registrar that floods another port adds to what it flooded before (RFC 8990 2.8.11); the
 * old one ends with its ttl, or by not answering (health.h).
 */
#include "grasp_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "discovery.h"
#include "grasp.h"
#include "log.h"
#include "registrars.h"

#define BATCH	     64	  /* datagrams that a wakeup takes, so that they starve nobody */
#define RATE	     50	  /* ... and that are read in a second, of each uplink */
#define BURST	     100  /* ... at most at once */
#define SEEN	     64	  /* floods that a repetition is known by */
#define SEEN_MS	     5000 /* for so long: some use one session id all their life */
#define RETRY_S	     10
#define LIFETIME_MAX 86400 /* seconds; for "for ever", too */

struct seen {
	uint32_t session;
	struct in6_addr initiator;
	uint64_t at;
};

struct listener {
	struct grasp_listen *listen;
	struct discovery_uplink uplink;
	struct event *event; /* NULL: it failed, and is tried again */
	int error;	     /* that was said */
	unsigned int budget;
	uint64_t refilled;
	struct seen seen[SEEN];
	unsigned int next;
};

struct grasp_listen {
	struct event_base *base;
	struct registrars *registrars;
	struct event *retry;
	struct listener *uplinks[DISCOVERY_UPLINKS];
	unsigned int count;
};

/* ---- what is heard ---------------------------------------------------------------- */

static void refuse(const struct listener *l, const struct in6_addr *from, const char *why)
{
	char addr[INET6_ADDRSTRLEN];

	jpx_log_limited(JPX_LOG_WARNING, "%s: a GRASP flood of %s is ignored: %s", l->uplink.ifname,
			jpx_addr_format(from, addr, sizeof(addr)), why);
}

/* The same flood comes once more over each neighbour that relays it. */
static bool is_repeated(struct listener *l, const struct grasp_flood *flood, uint64_t now)
{
	struct seen *seen;

	for (unsigned int i = 0; i < SEEN; i++) {
		seen = &l->seen[i];
		if (seen->at && now - seen->at < SEEN_MS && seen->session == flood->session &&
		    IN6_ARE_ADDR_EQUAL(&seen->initiator, &flood->initiator))
			return true;
	}
	l->seen[l->next++ % SEEN] = (struct seen){ .session = flood->session,
						   .initiator = flood->initiator,
						   .at = now };
	return false;
}

static uint32_t lifetime(uint32_t ttl)
{
	uint32_t seconds = ttl / 1000 + (ttl % 1000 != 0);

	return seconds == 0 || seconds > LIFETIME_MAX ? LIFETIME_MAX : seconds;
}

/* "AN_join_registrar BRSKI_RJP", of printable characters whatever was sent. */
static void words(const struct grasp_item *item, char *buf, size_t len)
{
	snprintf(buf, len, "%s%s%s", item->name, item->has_value && *item->value ? " " : "",
		 item->has_value ? item->value : "");
	for (; *buf; buf++)
		if (*buf < ' ' || *buf > '~' || *buf == '"' || *buf == '\\')
			*buf = '?';
}

static void take_item(struct listener *l, const struct in6_addr *from,
		      const struct grasp_flood *flood, const struct grasp_item *item)
{
	struct registrar_heard heard = { .source = JPX_SOURCE_GRASP,
					 .priority = REGISTRAR_NO_PRIORITY,
					 .lifetime = lifetime(flood->ttl),
					 .ifindex = l->uplink.ifindex,
					 .from = *from }; /* anybody can say to be the initiator */
	enum grasp_meaning meaning = grasp_meaning(item, &heard.form);

	if (meaning != GRASP_STATELESS && meaning != GRASP_STATEFUL)
		return;
	if (item->loop_count < 1 || item->loop_count > 255) {
		refuse(l, from, "its loop count is not 1 to 255");
		return;
	}
	heard.mode = meaning == GRASP_STATELESS ? JPX_MODE_STATELESS : JPX_MODE_STATEFUL;
	heard.addr = item->addr;
	heard.port = item->port;
	words(item, heard.by, sizeof(heard.by));
	registrars_heard(l->listen->registrars, &heard);
}

static void take(struct listener *l, const unsigned char *buf, size_t len,
		 const struct sockaddr_in6 *from)
{
	struct grasp_flood flood;
	const char *why = "";
	int ret;

	if (!IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr)) {
		refuse(l, &from->sin6_addr, "it does not come from a link-local address");
		return;
	}
	if (len > GRASP_MAX) {
		refuse(l, &from->sin6_addr, "it is too long");
		return;
	}
	ret = grasp_read(buf, len, &flood, &why);
	if (ret == -EPROTONOSUPPORT) /* discovery and the like, for others */
		return;
	if (ret) {
		refuse(l, &from->sin6_addr, why);
		return;
	}
	if (!jpx_addr_is_host(&flood.initiator)) {
		refuse(l, &from->sin6_addr, "its initiator is no address of a host");
		return;
	}
	if (is_repeated(l, &flood, jpx_now_ms()))
		return;
	for (size_t i = 0; i < flood.count; i++)
		take_item(l, &from->sin6_addr, &flood, &flood.items[i]);
}

/* ---- sockets ------------------------------------------------------------------------ */

static bool may_read(struct listener *l)
{
	uint64_t now = jpx_now_ms(), more = (now - l->refilled) * RATE / 1000;

	if (more) {
		l->budget = more > BURST - l->budget ? BURST : l->budget + (unsigned int)more;
		l->refilled = now;
	}
	if (!l->budget)
		return false;
	l->budget--;
	return true;
}

static void close_listener(struct listener *l)
{
	evutil_socket_t fd;

	if (!l->event)
		return;
	fd = event_get_fd(l->event);
	event_free(l->event);
	close(fd);
	l->event = NULL;
}

/* Once a cause. */
static void say(struct listener *l, int error)
{
	if (l->error == error)
		return;
	l->error = error;
	if (!error)
		jpx_info("%s: GRASP floods of Registrars are heard again", l->uplink.ifname);
	else
		jpx_warning("%s: cannot hear GRASP floods of Registrars: %s%s; tried again every "
			    "%d s",
			    l->uplink.ifname, strerror(-error),
			    error == -EADDRINUSE ? " (a GRASP daemon here does not share port 7017)"
			    : error == -EMFILE	 ? " (raise LimitNOFILE)"
						 : "",
			    RETRY_S);
}

static void retry_later(struct grasp_listen *listen)
{
	if (!event_pending(listen->retry, EV_TIMEOUT, NULL))
		event_add(listen->retry, &(struct timeval){ .tv_sec = RETRY_S });
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		unsigned char buf[GRASP_MAX];
		struct sockaddr_in6 from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(fd, buf, sizeof(buf), MSG_TRUNC, (struct sockaddr *)&from,
				       &from_len);

		if (len < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			say(l, -errno);
			close_listener(l);
			retry_later(l->listen);
			return;
		}
		if (may_read(l))
			take(l, buf, (size_t)len, &from);
		else
			refuse(l, &from.sin6_addr, "too many come");
	}
}

static int open_socket(const struct discovery_uplink *uplink)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6,
				      .sin6_port = htons(GRASP_PORT),
				      .sin6_scope_id = uplink->ifindex };
	struct ipv6_mreq group = { .ipv6mr_interface = uplink->ifindex };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, error;

	if (fd < 0)
		return -errno;
	inet_pton(AF_INET6, GRASP_GROUP, &local.sin6_addr);
	group.ipv6mr_multiaddr = local.sin6_addr;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, uplink->ifname,
		       (socklen_t)strnlen(uplink->ifname, sizeof(uplink->ifname))) ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group))) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static void open_listener(struct listener *l)
{
	int fd = open_socket(&l->uplink);

	if (fd < 0) {
		say(l, fd);
		retry_later(l->listen);
		return;
	}
	l->event = event_new(l->listen->base, fd, EV_READ | EV_PERSIST, readable, l);
	if (!l->event || event_add(l->event, NULL)) {
		if (l->event)
			event_free(l->event);
		l->event = NULL;
		close(fd);
		say(l, -ENOMEM);
		retry_later(l->listen);
		return;
	}
	say(l, 0);
}

static void retry(evutil_socket_t fd, short what, void *arg)
{
	struct grasp_listen *listen = arg;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < listen->count; i++)
		if (!listen->uplinks[i]->event)
			open_listener(listen->uplinks[i]);
}

/* ---- the uplinks --------------------------------------------------------------------- */

static void free_listener(struct listener *l)
{
	close_listener(l);
	free(l);
}

static bool same_uplink(const struct discovery_uplink *a, const struct discovery_uplink *b)
{
	return a->ifindex == b->ifindex && !strcmp(a->ifname, b->ifname);
}

static void listen_on(struct grasp_listen *listen, const struct discovery_uplink *uplink)
{
	struct listener *l;

	for (unsigned int i = 0; i < listen->count; i++)
		if (same_uplink(&listen->uplinks[i]->uplink, uplink))
			return;
	l = listen->count < DISCOVERY_UPLINKS ? calloc(1, sizeof(*l)) : NULL;
	if (!l) {
		jpx_log_limited(JPX_LOG_ERROR,
				"%s: cannot hear GRASP floods of Registrars: out of memory; tried "
				"again at the next change",
				uplink->ifname);
		return;
	}
	l->listen = listen;
	l->uplink = *uplink;
	l->budget = BURST;
	l->refilled = jpx_now_ms();
	listen->uplinks[listen->count++] = l;
	open_listener(l);
}

void grasp_listen_sync(struct grasp_listen *listen, const struct discovery_view *view)
{
	unsigned int i, j,
		count = view->look && view->settings->grasp_hear ? view->uplink_count : 0;

	for (i = 0; i < listen->count;) {
		for (j = 0; j < count; j++)
			if (same_uplink(&listen->uplinks[i]->uplink, &view->uplinks[j]))
				break;
		if (j < count) {
			i++;
			continue;
		}
		free_listener(listen->uplinks[i]);
		listen->uplinks[i] = listen->uplinks[--listen->count];
	}
	for (j = 0; j < count; j++)
		listen_on(listen, &view->uplinks[j]);
}

struct grasp_listen *grasp_listen_new(struct event_base *base, struct registrars *registrars)
{
	struct grasp_listen *listen = calloc(1, sizeof(*listen));

	if (!listen)
		return NULL;
	listen->base = base;
	listen->registrars = registrars;
	listen->retry = event_new(base, -1, 0, retry, listen);
	if (!listen->retry) {
		grasp_listen_free(listen);
		return NULL;
	}
	return listen;
}

void grasp_listen_free(struct grasp_listen *listen)
{
	if (!listen)
		return;
	for (unsigned int i = 0; i < listen->count; i++)
		free_listener(listen->uplinks[i]);
	if (listen->retry)
		event_free(listen->retry);
	free(listen);
}
