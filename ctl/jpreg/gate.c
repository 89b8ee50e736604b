/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See gate.h. */
#include "gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <jpx/jpy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "front.h"
#include "log.h"
#include "peers.h"

/* Datagrams taken from one socket before the others have their turn. */
#define DOOR_BUDGET 64
#define COAP_BUDGET 8

#define DATAGRAM_MAX 65536

/* cBRSKI 6.1.4; what a JPY message and IPv6 add still fits into 1280 octets. */
#define HANDSHAKE_MTU 1024
#define HANDSHAKE_S   120 /* a slow link, and every datagram of it sent twice */

/* 127.1.0.0 and on: a counter's lowest bits, so that none comes again for long. */
#define LOOPBACK_FIRST 0x7f010000u
#define LOOPBACK_COUNT 0x00fe0000u

enum door { DOOR_JPY, DOOR_COAPS, DOORS };

/* How a datagram came and how the answer goes back; of a session the first thing in struct pledge.
 */
struct way {
	struct gate *gate;
	enum door door;
	struct jpx_front_path path;
	const struct jpx_peer_key *key;
};

struct pledge {
	struct way way;
	struct jpx_peer *peer;
	struct dtls_session *session;
	X509 *client;		/* once established */
	struct sockaddr_in own; /* ... and its address on the loopback interface */
	int fd;
	struct event *event;
	LIST_ENTRY(pledge) chain; /* by OWN, while FD is open */
};

LIST_HEAD(pledges, pledge);

struct gate {
	struct gate_config config;
	struct jpx_reg_counters *counters;
	struct event_base *base;
	struct dtls *dtls;
	struct jpx_peers *peers;
	int fds[DOORS];
	struct event *events[DOORS], *age_event;
	uint32_t next_own;
	unsigned int mask;
	struct pledges *by_own;
	/* one of each will do: there is one thread, and nothing is kept */
	uint8_t in[DATAGRAM_MAX], out[DATAGRAM_MAX];
};

static void count(struct gate *gate, enum jpx_reg_counter which)
{
	gate->counters->n[which]++;
}

static const char *describe(const struct way *way, char *buf, size_t len)
{
	char where[JPX_ENDPOINT_STRLEN];
	size_t n;

	jpx_endpoint_format(&way->path.proxy, where, sizeof(where));
	if (way->door == DOOR_COAPS) {
		snprintf(buf, len, "the pledge at %s", where);
		return buf;
	}
	n = (size_t)snprintf(buf, len, "the pledge with JPY header ");
	for (unsigned int i = 0; i < way->key->head_len + way->key->tail_len && n + 3 < len; i++)
		n += (size_t)snprintf(buf + n, len - n, "%02x", way->key->header[i]);
	if (n < len)
		snprintf(buf + n, len - n, " of the proxy at %s", where);
	return buf;
}

/* ---- to the pledge --------------------------------------------------------------------- */

/* DTLS has a datagram for who came this way. */
static void on_send(void *owner, const void *datagram, size_t len)
{
	const struct way *way = owner;
	struct gate *gate = way->gate;
	struct jpx_jpy_layout layout;
	const void *msg = datagram;
	char who[200];
	ssize_t n;
	int err;

	if (way->door == DOOR_JPY) {
		jpx_peer_key_layout(way->key, &layout);
		n = jpx_jpy_answer(way->key->header, &layout, datagram, len, gate->out,
				   sizeof(gate->out));
		if (n < 0) {
			count(gate, JPX_REG_ANSWER_TOO_BIG);
			return;
		}
		count(gate, JPX_REG_TO_PROXY);
		gate->counters->n[JPX_REG_TO_PROXY_BYTES] += len;
		msg = gate->out;
		len = (size_t)n;
	}
	err = jpx_front_send(gate->fds[way->door], &way->path, msg, len);
	if (!err)
		return;
	count(gate, JPX_REG_PROXY_SEND_FAILED);
	jpx_log_limited(JPX_LOG_WARNING, "cannot send %zu bytes to %s: %s", len,
			describe(way, who, sizeof(who)), strerror(-err));
}

static void on_coap(evutil_socket_t fd, short what, void *arg)
{
	struct pledge *pledge = arg;
	struct gate *gate = pledge->way.gate;
	ssize_t n;

	(void)what;
	for (int i = 0; i < COAP_BUDGET; i++) {
		n = recv(fd, gate->in, sizeof(gate->in), 0);
		if (n <= 0)
			return;
		jpx_peers_answered(gate->peers, pledge->peer, jpx_now_ms());
		if (dtls_output(pledge->session, gate->in, (size_t)n))
			count(gate, JPX_REG_ANSWER_TOO_BIG);
	}
}

/* ---- to the CoAP server --------------------------------------------------------------------- */

static struct pledges *bucket(struct gate *gate, const struct sockaddr_in *own)
{
	return &gate->by_own[ntohl(own->sin_addr.s_addr) & gate->mask];
}

static struct pledge *find(struct gate *gate, const struct sockaddr_in *own)
{
	struct pledge *pledge;

	LIST_FOREACH(pledge, bucket(gate, own), chain)
		if (pledge->own.sin_addr.s_addr == own->sin_addr.s_addr &&
		    pledge->own.sin_port == own->sin_port)
			return pledge;
	return NULL;
}

/* A socket to the CoAP server from an address that none had before.  0 or a negative errno. */
static int connect_coap(struct pledge *pledge)
{
	struct gate *gate = pledge->way.gate;
	socklen_t len = sizeof(pledge->own);
	int err;

	pledge->own = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(LOOPBACK_FIRST + gate->next_own++ % LOOPBACK_COUNT),
	};
	pledge->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (pledge->fd < 0)
		return -errno;
	if (!bind(pledge->fd, (struct sockaddr *)&pledge->own, sizeof(pledge->own)) &&
	    !connect(pledge->fd, (struct sockaddr *)&gate->config.coap,
		     sizeof(gate->config.coap)) &&
	    !getsockname(pledge->fd, (struct sockaddr *)&pledge->own, &len)) {
		pledge->event =
			event_new(gate->base, pledge->fd, EV_READ | EV_PERSIST, on_coap, pledge);
		if (pledge->event && !event_add(pledge->event, NULL)) {
			LIST_INSERT_HEAD(bucket(gate, &pledge->own), pledge, chain);
			return 0;
		}
		errno = ENOMEM;
	}
	err = -errno;
	close(pledge->fd);
	pledge->fd = -1;
	return err;
}

static void on_established(void *owner, X509 *client)
{
	struct pledge *pledge = owner;
	struct gate *gate = pledge->way.gate;
	char who[200];
	int err;

	err = connect_coap(pledge);
	if (err) {
		count(gate, JPX_REG_NO_SOCKET);
		jpx_log_limited(JPX_LOG_WARNING,
				"cannot serve %s: no socket on the loopback interface: %s",
				describe(&pledge->way, who, sizeof(who)), strerror(-err));
		return; /* it will be idle, and end */
	}
	X509_up_ref(client);
	pledge->client = client;
	count(gate, JPX_REG_SESSIONS);
	/* From now on no newcomer takes its place. */
	jpx_peers_answered(gate->peers, pledge->peer, jpx_now_ms());
}

static void on_content(void *owner, const void *content, size_t len)
{
	struct pledge *pledge = owner;
	struct gate *gate = pledge->way.gate;

	if (pledge->fd < 0)
		return;
	if (send(pledge->fd, content, len, 0) < 0) {
		count(gate, JPX_REG_SERVER_SEND_FAILED);
		return;
	}
	count(gate, JPX_REG_TO_SERVER);
	gate->counters->n[JPX_REG_TO_SERVER_BYTES] += len;
}

static void on_ended(void *owner, enum dtls_end how, const char *text)
{
	struct pledge *pledge = owner;
	struct gate *gate = pledge->way.gate;
	char who[200];

	pledge->session = NULL;
	describe(&pledge->way, who, sizeof(who));
	switch (how) {
	case DTLS_CLOSED:
		break;
	case DTLS_REFUSED:
		count(gate, JPX_REG_SESSIONS_REFUSED);
		jpx_log_bounded(JPX_LOG_WARNING, "refused %s: its certificate: %s", who, text);
		break;
	case DTLS_FAILED:
	case DTLS_TIMED_OUT:
		count(gate, JPX_REG_SESSIONS_FAILED);
		jpx_log_limited(JPX_LOG_INFO, "lost %s: %s", who, text);
		break;
	}
	jpx_peers_drop(gate->peers, pledge->peer);
}

/* ---- pledges ------------------------------------------------------------------------------- */

static void on_gone(struct jpx_peer *peer, enum jpx_peer_gone reason, void *arg)
{
	struct pledge *pledge = peer->data;
	struct gate *gate = arg;

	if (reason == JPX_PEER_IDLE)
		count(gate, JPX_REG_PLEDGES_IDLE);
	else if (reason == JPX_PEER_EVICTED)
		count(gate, JPX_REG_PLEDGES_EVICTED);
	if (!pledge)
		return;
	peer->data = NULL;
	if (pledge->session)
		dtls_close(pledge->session, reason != JPX_PEER_EVICTED);
	if (pledge->fd >= 0) {
		LIST_REMOVE(pledge, chain);
		event_free(pledge->event);
		close(pledge->fd);
	}
	X509_free(pledge->client);
	free(pledge);
}

/* The pledge that came by WAY has shown that it is there: it gets a place. */
static void admit(struct gate *gate, const struct way *way, struct dtls_session *session)
{
	struct pledge *pledge = calloc(1, sizeof(*pledge));
	struct jpx_peer *peer = NULL;

	if (pledge)
		peer = jpx_peers_add(gate->peers, way->key, jpx_now_ms());
	if (!peer) {
		count(gate, JPX_REG_PLEDGES_REFUSED);
		jpx_log_limited(JPX_LOG_WARNING,
				"refused a new pledge: all %u places are taken; raise "
				"--max-pledges or lower --idle",
				gate->config.max_pledges);
		dtls_close(session, false);
		free(pledge);
		return;
	}
	pledge->way = *way;
	pledge->way.key = &peer->key;
	pledge->peer = peer;
	pledge->session = session;
	pledge->fd = -1;
	peer->data = pledge;
	count(gate, JPX_REG_PLEDGES_NEW);
	dtls_begin(session, &pledge->way);
}

/* DATAGRAM came by WAY. */
static void datagram(struct gate *gate, struct way *way, const uint8_t *datagram, size_t len)
{
	struct jpx_peer *peer = jpx_peers_find(gate->peers, way->key);
	struct pledge *pledge = peer ? peer->data : NULL;
	struct dtls_session *session;

	if (!len) {
		count(gate, JPX_REG_CONTENT_EMPTY);
		return;
	}
	/* A pledge that was started anew, from the same address and port, has to show first that it
	 * is there, as a new one has to; until then the old session stands (RFC 6347 4.2.8). */
	if (pledge &&
	    (!dtls_is_hello(datagram, len) || dtls_began_with(pledge->session, datagram, len))) {
		jpx_peers_used(gate->peers, peer, jpx_now_ms());
		pledge->way.path = way->path;
		dtls_input(pledge->session, datagram, len);
		return;
	}
	if (!dtls_is_hello(datagram, len)) {
		count(gate, JPX_REG_NO_SESSION);
		return;
	}
	session = dtls_hello(gate->dtls, way->key, sizeof(*way->key), datagram, len, way);
	if (!session)
		return;
	if (pledge)
		jpx_peers_drop(gate->peers, peer);
	admit(gate, way, session);
}

/* ---- the doors ----------------------------------------------------------------------------- */

static bool answerable(const struct gate *gate, const struct way *way)
{
	const struct sockaddr_in6 *listen =
		way->door == DOOR_JPY ? &gate->config.jpy : &gate->config.coaps;

	if (!way->path.proxy.sin6_port || !jpx_addr_is_host(&way->path.local))
		return false;
	return way->path.proxy.sin6_port != listen->sin6_port ||
	       !IN6_ARE_ADDR_EQUAL(&way->path.proxy.sin6_addr, &way->path.local);
}

/* Takes the JPY message of LEN bytes apart: its key and where its content is.  False: counted. */
static bool unwrap(struct gate *gate, const struct way *way, size_t len, struct jpx_peer_key *key,
		   struct jpx_span *content)
{
	struct jpx_jpy_layout layout;
	enum jpx_drop why = jpx_jpy_split(gate->in, len, &layout);

	if (why != JPX_RELAY)
		count(gate, why == JPX_DROP_JPY_COUNT	   ? JPX_REG_JPY_COUNT
			    : why == JPX_DROP_JPY_TRAILING ? JPX_REG_JPY_TRAILING
							   : JPX_REG_JPY_MALFORMED);
	else if (jpx_peer_key_make(key, &way->path.proxy, gate->in, &layout))
		count(gate, JPX_REG_HEADER_TOO_LONG);
	else {
		*content = layout.content;
		return true;
	}
	return false;
}

static void on_door(struct gate *gate, enum door door)
{
	struct way way = { .gate = gate, .door = door };
	struct jpx_span content;
	struct jpx_peer_key key;
	ssize_t n;

	way.key = &key;
	for (int i = 0; i < DOOR_BUDGET; i++) {
		n = jpx_front_receive(gate->fds[door], gate->in, sizeof(gate->in), &way.path);
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0) {
			count(gate, JPX_REG_RECEIVE_FAILED);
			continue;
		}
		if (!answerable(gate, &way)) {
			count(gate, JPX_REG_UNANSWERABLE);
			continue;
		}
		content = (struct jpx_span){ .off = 0, .len = (size_t)n };
		if (door == DOOR_COAPS)
			jpx_peer_key_plain(&key, &way.path.proxy);
		else if (!unwrap(gate, &way, (size_t)n, &key, &content))
			continue;
		datagram(gate, &way, gate->in + content.off, content.len);
	}
}

static void on_jpy(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	on_door(arg, DOOR_JPY);
}

static void on_coaps(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	on_door(arg, DOOR_COAPS);
}

static void on_age(evutil_socket_t fd, short what, void *arg)
{
	struct gate *gate = arg;

	(void)fd;
	(void)what;
	jpx_peers_age(gate->peers, jpx_now_ms(), (uint64_t)gate->config.idle_s * 1000);
}

/* ---- for the CoAP server ------------------------------------------------------------------- */

X509 *gate_client(struct gate *gate, const struct sockaddr_in *from)
{
	struct pledge *pledge = find(gate, from);

	return pledge ? pledge->client : NULL;
}

size_t gate_unique(struct gate *gate, const struct sockaddr_in *from, uint8_t buf[DTLS_UNIQUE_MAX])
{
	struct pledge *pledge = find(gate, from);

	return pledge && pledge->session ? dtls_unique(pledge->session, buf) : 0;
}

const char *gate_describe(struct gate *gate, const struct sockaddr_in *from, char *buf, size_t len)
{
	struct pledge *pledge = find(gate, from);

	if (pledge)
		return describe(&pledge->way, buf, len);
	snprintf(buf, len, "nobody who is known");
	return buf;
}

unsigned int gate_pledges(const struct gate *gate)
{
	return jpx_peers_count(gate->peers);
}

/* ---- beginning and end --------------------------------------------------------------------- */

static int open_doors(struct gate *gate)
{
	static const struct {
		event_callback_fn fn;
		const char *what, *option;
	} doors[DOORS] = {
		[DOOR_JPY] = { on_jpy, "JPY messages", "--listen-jpy" },
		[DOOR_COAPS] = { on_coaps, "coaps", "--listen" },
	};
	const struct sockaddr_in6 *where[DOORS] = { &gate->config.jpy, &gate->config.coaps };
	char text[JPX_ENDPOINT_STRLEN];

	for (unsigned int i = 0; i < DOORS; i++) {
		gate->fds[i] = jpx_front_open(where[i]);
		if (gate->fds[i] < 0) {
			jpx_error("cannot listen for %s on %s: %s; choose another address or port "
				  "with %s [ADDR]:PORT",
				  doors[i].what, jpx_endpoint_format(where[i], text, sizeof(text)),
				  strerror(-gate->fds[i]), doors[i].option);
			return -1;
		}
		gate->events[i] = event_new(gate->base, gate->fds[i], EV_READ | EV_PERSIST,
					    doors[i].fn, gate);
		if (!gate->events[i] || event_add(gate->events[i], NULL)) {
			jpx_error("cannot watch the port for %s: no memory", doors[i].what);
			return -1;
		}
	}
	return 0;
}

static int start_ageing(struct gate *gate)
{
	struct timeval t = { .tv_sec = gate->config.idle_s / 10 };

	if (t.tv_sec < 1)
		t.tv_sec = 1;
	if (t.tv_sec > 30)
		t.tv_sec = 30;
	gate->age_event = event_new(gate->base, -1, EV_PERSIST, on_age, gate);
	return gate->age_event ? event_add(gate->age_event, &t) : -1;
}

struct gate *gate_new(struct event_base *base, const struct gate_config *config,
		      struct jpx_reg_counters *counters)
{
	const struct dtls_config dtls = {
		.key = config->key,
		.chain = config->chain,
		.verify = config->verify,
		.arg = config->arg,
		.events = { on_send, on_established, on_content, on_ended },
		.mtu = HANDSHAKE_MTU,
		.handshake_s = HANDSHAKE_S,
	};
	struct gate *gate = calloc(1, sizeof(*gate));
	unsigned int buckets = 16;
	char err[200] = "no memory";

	if (!gate) {
		jpx_error("no memory for %u pledges", config->max_pledges);
		return NULL;
	}
	for (unsigned int i = 0; i < DOORS; i++)
		gate->fds[i] = -1;
	gate->config = *config;
	gate->counters = counters;
	gate->base = base;
	while (buckets < config->max_pledges && buckets < 1u << 16)
		buckets *= 2;
	gate->mask = buckets - 1;
	gate->by_own = calloc(buckets, sizeof(*gate->by_own));
	gate->peers = jpx_peers_new(config->max_pledges, on_gone, gate);
	if (gate->by_own && gate->peers)
		gate->dtls = dtls_new(base, &dtls, err, sizeof(err));
	if (!gate->dtls || start_ageing(gate)) {
		jpx_error("cannot take pledges in: %s", err);
		goto fail;
	}
	if (open_doors(gate))
		goto fail;
	return gate;

fail:
	gate_free(gate);
	return NULL;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	jpx_peers_free(gate->peers);
	dtls_free(gate->dtls);
	for (unsigned int i = 0; i < DOORS; i++) {
		if (gate->events[i])
			event_free(gate->events[i]);
		if (gate->fds[i] >= 0)
			close(gate->fds[i]);
	}
	if (gate->age_event)
		event_free(gate->age_event);
	free(gate->by_own);
	free(gate);
}
