/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See grasp_announce.h.
 *
 * What value a pledge looks for in the objective depends on its draft, so a port floods one
 * message for each value, each as that draft draws it.  Receivers that cache keep the last
 * value of a name and locator (RFC 8990 2.8.11): that is the one of the latest Join Proxy draft
 * that has GRASP.
 *
 * A port whose joins are gone is flooded no more, and what pledges know ends within three
 * minutes.  Nothing is called back by a flood with a short ttl: to a pledge that acts on
 * what it receives, and keeps no time, it would be one more invitation.
 */
#include "grasp_announce.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "discovery.h"
#include "grasp.h"
#include "log.h"

#define PERIOD_MS 60000	 /* RFC 8995 4.1.1 */
#define TTL_MS	  180000 /* three of them, 4.1.1 */
#define QUICK_MS  1000	 /* apart: pledges cannot ask, and one may be lost */
#define QUICK	  3	 /* after a change */
#define RETRY_MS  5000	 /* after an error */
#define FLAGS	  4	 /* synchronization only, RFC 8995 4.1.1 */
#define HOPS	  1	 /* never relayed, RFC 8990 2.5.2 */

/* Latest last.  "DTLS": constrained-voucher until -22; "rrm-cose": brski-discovery-07 4.2.3;
 * "": join-proxy -11 to -14; "DTLS-EST": -15. */
static const char *const values[] = { "DTLS", "rrm-cose", "", "DTLS-EST" };
#define VALUES (sizeof(values) / sizeof(*values))

/* An item takes less than 60 bytes, and what is in front of all of them less than 40. */
static_assert(40 + DISCOVERY_JOINS * 60 <= GRASP_MAX, "the joins of a port fit in one flood");
static_assert(DISCOVERY_JOINS <= GRASP_ITEMS_MAX, "the joins of a port fit in one flood");

struct announced {
	struct discovery_port port;
	uint64_t due, sent; /* ms; SENT 0: never */
	unsigned int quick; /* floods that follow in QUICK_MS */
	int error;	    /* that was said */
};

struct grasp_announce {
	struct event *timer;
	struct announced ports[JPX_MAX_PORTS];
	unsigned int count;
};

/* ---- sending ------------------------------------------------------------------- */

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, option, &value, sizeof(value));
}

/* Open for as long as it takes to send: a port costs no descriptor, and what pledges send to
 * GRASP's port meets no socket of ours.  From another port if somebody has that one to himself. */
static int open_socket(const struct discovery_port *port)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6,
				      .sin6_port = htons(GRASP_PORT),
				      .sin6_addr = port->addr,
				      .sin6_scope_id = port->ifindex };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret, on = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, port->ifname,
		       (socklen_t)strnlen(port->ifname, sizeof(port->ifname))) ||
	    set_int(fd, IPV6_V6ONLY, 1) || set_int(fd, IPV6_AUTOFLOWLABEL, 0) ||
	    set_int(fd, IPV6_MULTICAST_LOOP, 0) || set_int(fd, IPV6_MULTICAST_HOPS, HOPS) ||
	    set_int(fd, IPV6_MULTICAST_IF, (int)port->ifindex))
		goto failed;
	ret = bind(fd, (struct sockaddr *)&local, sizeof(local));
	if (ret && errno == EADDRINUSE) {
		local.sin6_port = 0;
		ret = bind(fd, (struct sockaddr *)&local, sizeof(local));
	}
	if (!ret)
		return fd;
failed:
	ret = -errno;
	close(fd);
	return ret;
}

static int send_value(int fd, const struct discovery_port *port, const char *value)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(GRASP_PORT),
				   .sin6_scope_id = port->ifindex };
	struct grasp_flood flood = { .initiator = port->addr,
				     .ttl = TTL_MS,
				     .count = port->join_count };
	unsigned char message[GRASP_MAX];
	int len;

	inet_pton(AF_INET6, GRASP_GROUP, &to.sin6_addr);
	evutil_secure_rng_get_bytes(&flood.session, sizeof(flood.session));
	for (unsigned int i = 0; i < port->join_count; i++) {
		struct grasp_item *item = &flood.items[i];

		*item = (struct grasp_item){ .name = "AN_Proxy",
					     .flags = FLAGS,
					     .loop_count = 1,
					     .has_value = true,
					     .has_locator = true,
					     .addr = port->addr,
					     .proto = GRASP_UDP,
					     .port = port->joins[i].port };
		strncpy(item->value, value, sizeof(item->value) - 1);
	}
	len = grasp_write(&flood, message, sizeof(message));
	if (len < 0)
		return len;
	if (sendto(fd, message, (size_t)len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int flood_port(const struct discovery_port *port)
{
	int fd = open_socket(port), ret = 0;

	if (fd < 0)
		return fd;
	for (unsigned int i = 0; i < VALUES && !ret; i++)
		ret = send_value(fd, port, values[i]);
	close(fd);
	return ret;
}

/* Once a cause; silence after it means that it went well. */
static void say(struct announced *a, int error)
{
	if (a->error == error)
		return;
	a->error = error;
	if (error)
		jpx_warning("%s: cannot flood the join ports to pledges by GRASP: %s%s; tried "
			    "again every %d s",
			    a->port.ifname, strerror(-error),
			    error == -EMFILE ? " (raise LimitNOFILE)" : "", RETRY_MS / 1000);
	else
		jpx_info("%s: join ports are flooded to pledges by GRASP again", a->port.ifname);
}

static void flood(struct announced *a, uint64_t now)
{
	int ret = flood_port(&a->port);

	say(a, ret);
	a->sent = now;
	if (ret) {
		a->due = now + RETRY_MS;
		return;
	}
	if (a->quick)
		a->quick--;
	a->due = now + (a->quick ? QUICK_MS : PERIOD_MS);
}

/* ---- when ----------------------------------------------------------------------- */

static void arm(struct grasp_announce *announce, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int i = 0; i < announce->count; i++)
		if (announce->ports[i].port.join_count && announce->ports[i].due < next)
			next = announce->ports[i].due;
	if (next == UINT64_MAX) {
		event_del(announce->timer);
		return;
	}
	next = next > now ? next - now : 0;
	event_add(announce->timer,
		  &(struct timeval){ .tv_sec = (time_t)(next / 1000),
				     .tv_usec = (suseconds_t)(next % 1000) * 1000 });
}

static void due(evutil_socket_t fd, short what, void *arg)
{
	struct grasp_announce *announce = arg;
	uint64_t now = jpx_now_ms();

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < announce->count; i++) {
		struct announced *a = &announce->ports[i];

		if (a->port.join_count && a->due <= now)
			flood(a, now);
	}
	arm(announce, now);
}

static bool same_port(const struct discovery_port *a, const struct discovery_port *b)
{
	return a->ifindex == b->ifindex && !strcmp(a->ifname, b->ifname);
}

/* Weight and mode are nothing that a flood tells. */
static bool tells_the_same(const struct discovery_port *a, const struct discovery_port *b)
{
	if (!IN6_ARE_ADDR_EQUAL(&a->addr, &b->addr) || a->join_count != b->join_count)
		return false;
	for (unsigned int i = 0; i < a->join_count; i++)
		if (a->joins[i].port != b->joins[i].port)
			return false;
	return true;
}

static void put(struct announced *a, const struct discovery_port *port, uint64_t now)
{
	bool same = tells_the_same(&a->port, port);

	a->port = *port;
	if (same)
		return;
	a->quick = QUICK;
	a->due = a->sent && now < a->sent + QUICK_MS ? a->sent + QUICK_MS : now;
}

/* Ports without joins stay, so that the pace is kept when they come back. */
void grasp_announce_sync(struct grasp_announce *announce, const struct discovery_view *view)
{
	unsigned int i, j, count = view->settings->grasp_flood ? view->port_count : 0;
	uint64_t now = jpx_now_ms();

	for (i = 0; i < announce->count;) {
		for (j = 0; j < count; j++)
			if (same_port(&announce->ports[i].port, &view->ports[j]))
				break;
		if (j == count)
			announce->ports[i] = announce->ports[--announce->count];
		else
			i++;
	}
	for (j = 0; j < count; j++) {
		for (i = 0; i < announce->count; i++)
			if (same_port(&announce->ports[i].port, &view->ports[j]))
				break;
		if (i == announce->count) {
			if (i == JPX_MAX_PORTS)
				break;
			announce->ports[announce->count++] = (struct announced){ 0 };
		}
		put(&announce->ports[i], &view->ports[j], now);
	}
	arm(announce, now);
}

struct grasp_announce *grasp_announce_new(struct event_base *base)
{
	struct grasp_announce *announce = calloc(1, sizeof(*announce));

	if (!announce)
		return NULL;
	announce->timer = event_new(base, -1, 0, due, announce);
	if (!announce->timer || evutil_secure_rng_init()) {
		grasp_announce_free(announce);
		return NULL;
	}
	return announce;
}

void grasp_announce_free(struct grasp_announce *announce)
{
	if (!announce)
		return;
	if (announce->timer)
		event_free(announce->timer);
	free(announce);
}
