/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See relay.h. */
#include "relay.h"

#include <errno.h>
#include <jpx/jpy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/addr.h"
#include "../common/log.h"
#include "clock.h"
#include "front.h"
#include "peers.h"
#include "trace.h"

/* Datagrams taken from one socket before the others have their turn. */
#define FRONT_BUDGET  64
#define SERVER_BUDGET 8

/* A pending ICMP error is returned once by the next call on a connected socket,
 * instead of what the call was to do; the call after it does its work. */
#define SEND_TRIES 3

#define DATAGRAM_MAX 65536

struct jpx_relay {
	struct jpx_relay_config config;
	struct jpx_reg_counters *counters;
	struct event_base *base;
	struct jpx_peers *peers;
	struct event *front_event, *age_event;
	int front_fd;
	/* one of each will do: there is one thread, and nothing is kept */
	uint8_t in[DATAGRAM_MAX];
	uint8_t out[DATAGRAM_MAX];
};

/* What hangs on an entry of the table: the pledge's own socket to the server. */
struct connection {
	struct jpx_relay *relay;
	struct jpx_peer *peer;
	struct event *event;
	struct jpx_front_path path; /* of the last message */
	int fd;
};

static void count(struct jpx_relay *relay, enum jpx_reg_counter which)
{
	relay->counters->n[which]++;
}

static void trace(struct jpx_relay *relay, enum jpx_trace_way way,
		  const struct jpx_front_path *path, const void *msg, size_t len,
		  const struct jpx_jpy_layout *layout)
{
	struct sockaddr_in6 local = relay->config.listen;

	local.sin6_addr = path->local;
	local.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&path->local) ? path->ifindex : 0;
	jpx_trace(stdout, way, &path->proxy, &local, msg, len, layout);
}

/* ---- from the server ---- */

static void answer(struct connection *c, size_t len)
{
	struct jpx_relay *relay = c->relay;
	char where[JPX_ENDPOINT_STRLEN];
	struct jpx_jpy_layout layout;
	ssize_t n;
	int err;

	jpx_peer_key_layout(&c->peer->key, &layout);
	n = jpx_jpy_answer(c->peer->key.header, &layout, relay->in, len, relay->out,
			   sizeof(relay->out));
	if (n < 0) {
		count(relay, JPX_REG_ANSWER_TOO_BIG);
		return;
	}
	err = jpx_front_send(relay->front_fd, &c->path, relay->out, (size_t)n);
	if (err) {
		count(relay, JPX_REG_PROXY_SEND_FAILED);
		jpx_log_limited(JPX_LOG_WARNING,
				"cannot send an answer of %zd bytes to the proxy at %s: %s", n,
				jpx_endpoint_format(&c->path.proxy, where, sizeof(where)),
				strerror(-err));
		return;
	}
	count(relay, JPX_REG_TO_PROXY);
	relay->counters->n[JPX_REG_TO_PROXY_BYTES] += len;
	if (relay->config.trace && jpx_jpy_split(relay->out, (size_t)n, &layout) == JPX_RELAY)
		trace(relay, JPX_TRACE_TO_PROXY, &c->path, relay->out, (size_t)n, &layout);
}

static void server_failed(struct jpx_relay *relay, int err)
{
	char where[JPX_ENDPOINT_STRLEN];

	if (err == ENOMEM || err == ENOBUFS) {
		count(relay, JPX_REG_RECEIVE_FAILED);
		return;
	}
	count(relay, JPX_REG_SERVER_REFUSED);
	jpx_log_limited(JPX_LOG_WARNING,
			"the server at %s does not take datagrams: %s; is it running there?",
			jpx_endpoint_format(&relay->config.server, where, sizeof(where)),
			strerror(err));
}

static void on_server(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	struct jpx_relay *relay = c->relay;
	ssize_t n;

	(void)what;
	for (int i = 0; i < SERVER_BUDGET; i++) {
		n = recv(fd, relay->in, sizeof(relay->in), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			server_failed(relay, errno); /* an ICMP error, now consumed */
			continue;
		}
		if (n == 0) {
			count(relay, JPX_REG_CONTENT_EMPTY);
			continue;
		}
		jpx_peers_answered(relay->peers, c->peer, jpx_now_ms());
		answer(c, (size_t)n);
	}
}

/* ---- the connections ---- */

static void on_gone(struct jpx_peer *peer, enum jpx_peer_gone reason, void *arg)
{
	struct connection *c = peer->data;
	struct jpx_relay *relay = arg;

	if (reason == JPX_PEER_IDLE)
		count(relay, JPX_REG_PLEDGES_IDLE);
	else if (reason == JPX_PEER_EVICTED)
		count(relay, JPX_REG_PLEDGES_EVICTED);
	if (!c)
		return;
	event_free(c->event);
	close(c->fd);
	free(c);
	peer->data = NULL;
}

static int connect_server(const struct sockaddr_in6 *server)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)server, sizeof(*server))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static struct connection *connection_new(struct jpx_relay *relay, struct jpx_peer *peer)
{
	struct connection *c = calloc(1, sizeof(*c));
	char where[JPX_ENDPOINT_STRLEN];
	int err = -ENOMEM;

	if (!c)
		goto fail;
	c->relay = relay;
	c->peer = peer;
	c->fd = connect_server(&relay->config.server);
	if (c->fd < 0) {
		err = c->fd;
		goto fail;
	}
	c->event = event_new(relay->base, c->fd, EV_READ | EV_PERSIST, on_server, c);
	if (!c->event || event_add(c->event, NULL))
		goto fail_close;
	return c;

fail_close:
	if (c->event)
		event_free(c->event);
	close(c->fd);
fail:
	free(c);
	count(relay, JPX_REG_NO_SOCKET);
	jpx_log_limited(JPX_LOG_WARNING,
			"cannot open a socket towards the server at %s for a new pledge: %s",
			jpx_endpoint_format(&relay->config.server, where, sizeof(where)),
			strerror(-err));
	return NULL;
}

/* The connection of the message that came by PATH, a new one if need be. */
static struct connection *connection_for(struct jpx_relay *relay, const struct jpx_peer_key *key,
					 const struct jpx_front_path *path)
{
	struct jpx_peer *peer = jpx_peers_find(relay->peers, key);
	uint64_t now = jpx_now_ms();
	struct connection *c;

	if (peer) {
		jpx_peers_used(relay->peers, peer, now);
		c = peer->data;
		c->path = *path;
		return c;
	}
	peer = jpx_peers_add(relay->peers, key, now);
	if (!peer) {
		count(relay, JPX_REG_PLEDGES_REFUSED);
		jpx_log_limited(JPX_LOG_WARNING,
				"refused a new pledge: all %u places are taken by pledges that the "
				"server has answered; raise --max-pledges or lower --idle",
				relay->config.max_pledges);
		return NULL;
	}
	c = connection_new(relay, peer);
	if (!c) {
		jpx_peers_drop(relay->peers, peer);
		return NULL;
	}
	peer->data = c;
	c->path = *path;
	count(relay, JPX_REG_PLEDGES_NEW);
	return c;
}

/* ---- from a proxy ---- */

static void count_no_jpy(struct jpx_relay *relay, enum jpx_drop why)
{
	switch (why) {
	case JPX_DROP_JPY_COUNT:
		count(relay, JPX_REG_JPY_COUNT);
		break;
	case JPX_DROP_JPY_TRAILING:
		count(relay, JPX_REG_JPY_TRAILING);
		break;
	default:
		count(relay, JPX_REG_JPY_MALFORMED);
	}
}

/* Answers to ourselves would go round for ever, to a multicast address would
 * need another source address than the proxy knows. */
static bool answerable(const struct jpx_relay *relay, const struct jpx_front_path *path)
{
	if (path->proxy.sin6_port == 0 || !jpx_addr_is_host(&path->local))
		return false;
	return path->proxy.sin6_port != relay->config.listen.sin6_port ||
	       !IN6_ARE_ADDR_EQUAL(&path->proxy.sin6_addr, &path->local);
}

static void hand_on(struct jpx_relay *relay, struct connection *c, const struct jpx_span *content)
{
	char where[JPX_ENDPOINT_STRLEN];
	int err = 0;

	for (int i = 0; i < SEND_TRIES; i++) {
		if (send(c->fd, relay->in + content->off, content->len, 0) >= 0) {
			count(relay, JPX_REG_TO_SERVER);
			relay->counters->n[JPX_REG_TO_SERVER_BYTES] += content->len;
			return;
		}
		err = errno;
		if (err != ECONNREFUSED)
			break;
		server_failed(relay, err);
	}
	count(relay, JPX_REG_SERVER_SEND_FAILED);
	jpx_log_limited(
		JPX_LOG_WARNING, "cannot send %zu bytes to the server at %s: %s", content->len,
		jpx_endpoint_format(&relay->config.server, where, sizeof(where)), strerror(err));
}

static void message(struct jpx_relay *relay, size_t len, const struct jpx_front_path *path)
{
	struct jpx_jpy_layout layout;
	struct jpx_peer_key key;
	struct connection *c;
	enum jpx_drop why;

	if (!answerable(relay, path)) {
		count(relay, JPX_REG_UNANSWERABLE);
		return;
	}
	why = jpx_jpy_split(relay->in, len, &layout);
	if (why != JPX_RELAY) {
		count_no_jpy(relay, why);
		return;
	}
	if (jpx_peer_key_make(&key, &path->proxy, relay->in, &layout)) {
		count(relay, JPX_REG_HEADER_TOO_LONG);
		return;
	}
	if (relay->config.trace)
		trace(relay, JPX_TRACE_FROM_PROXY, path, relay->in, len, &layout);
	if (layout.content.len == 0) {
		count(relay, JPX_REG_CONTENT_EMPTY);
		return;
	}
	c = connection_for(relay, &key, path);
	if (c)
		hand_on(relay, c, &layout.content);
}

static void on_front(evutil_socket_t fd, short what, void *arg)
{
	struct jpx_relay *relay = arg;
	struct jpx_front_path path;
	ssize_t n;

	(void)what;
	for (int i = 0; i < FRONT_BUDGET; i++) {
		n = jpx_front_receive(fd, relay->in, sizeof(relay->in), &path);
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0)
			count(relay, JPX_REG_RECEIVE_FAILED);
		else
			message(relay, (size_t)n, &path);
	}
}

static void on_age(evutil_socket_t fd, short what, void *arg)
{
	struct jpx_relay *relay = arg;

	(void)fd;
	(void)what;
	jpx_peers_age(relay->peers, jpx_now_ms(), (uint64_t)relay->config.idle_s * 1000);
}

/* ---- beginning and end ---- */

/* Often enough that nothing stays much longer than it should, seldom enough to
 * let a quiet machine sleep. */
static struct timeval age_interval(unsigned int idle_s)
{
	struct timeval t = { .tv_sec = idle_s / 10 };

	if (t.tv_sec < 1)
		t.tv_sec = 1;
	if (t.tv_sec > 30)
		t.tv_sec = 30;
	return t;
}

struct jpx_relay *jpx_relay_new(struct event_base *base, const struct jpx_relay_config *config,
				struct jpx_reg_counters *counters)
{
	struct timeval interval = age_interval(config->idle_s);
	struct jpx_relay *relay = calloc(1, sizeof(*relay));
	char where[JPX_ENDPOINT_STRLEN];

	if (!relay) {
		jpx_error("no memory for the relay");
		return NULL;
	}
	relay->config = *config;
	relay->counters = counters;
	relay->base = base;
	relay->front_fd = jpx_front_open(&config->listen);
	if (relay->front_fd < 0) {
		jpx_error("cannot listen for JPY messages on %s: %s; choose another address or "
			  "port with --listen [ADDR]:PORT",
			  jpx_endpoint_format(&config->listen, where, sizeof(where)),
			  strerror(-relay->front_fd));
		goto fail;
	}
	relay->peers = jpx_peers_new(config->max_pledges, on_gone, relay);
	if (!relay->peers) {
		jpx_error("cannot set up a table of %u pledges: no memory, or OpenSSL has no "
			  "SipHash; try a lower --max-pledges",
			  config->max_pledges);
		goto fail;
	}
	relay->front_event =
		event_new(base, relay->front_fd, EV_READ | EV_PERSIST, on_front, relay);
	relay->age_event = event_new(base, -1, EV_PERSIST, on_age, relay);
	if (!relay->front_event || !relay->age_event || event_add(relay->front_event, NULL) ||
	    event_add(relay->age_event, &interval)) {
		jpx_error("cannot watch the JPY socket: no memory");
		goto fail;
	}
	return relay;

fail:
	jpx_relay_free(relay);
	return NULL;
}

void jpx_relay_free(struct jpx_relay *relay)
{
	if (!relay)
		return;
	jpx_peers_free(relay->peers);
	if (relay->front_event)
		event_free(relay->front_event);
	if (relay->age_event)
		event_free(relay->age_event);
	if (relay->front_fd >= 0)
		close(relay->front_fd);
	free(relay);
}

unsigned int jpx_relay_pledges(const struct jpx_relay *relay)
{
	return jpx_peers_count(relay->peers);
}
