/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See probe.h.
 *
 * OpenSSL makes the ClientHello; the session that it belongs to ends with it.  A server that
 * asks for a cookie (RFC 6347 4.2.1) keeps nothing of it.  The made-up pledge is the same in
 * each JPY header, so a Registrar that keeps a line for each header keeps one.
 */
#include "probe.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "log.h"
#include "udp_socket.h"

#define BATCH	  8    /* datagrams that a wakeup reads */
#define HELLO_MAX 1024 /* a ClientHello is far shorter; with a JPY header it fits into any link */
#define HEAD_MAX  64   /* what stands before and behind the content of a JPY message of ours */
#define BUFFER	  4096 /* a first answer, which no server sends in fragments */

/* One on its way. */
struct probe {
	struct probes *probes;
	unsigned int service_id;
	struct event *event;
	bool jpy;
	unsigned char head[HEAD_MAX], tail[HEAD_MAX]; /* of what was sent; an answer echoes them */
	size_t head_len, tail_len;
};

struct probes {
	struct event_base *base;
	const struct jpx_state *state;
	void (*result)(void *arg, unsigned int service_id, enum probe_result result);
	void *arg;
	SSL_CTX *ctx; /* or NULL: this OpenSSL speaks no DTLS */
	struct jpx_pledge pledge;
	struct probe *under_way[JPX_MAX_SERVICES];
};

/* ---- what is sent -------------------------------------------------------------- */

/* The first flight of a client.  Returns its length, or -EIO. */
static ssize_t client_hello(SSL_CTX *ctx, unsigned char buf[HELLO_MAX])
{
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int len = -1;

	if (ssl && in && out) {
		SSL_set_bio(ssl, in, out); /* they are SSL's from here on */
		SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
		SSL_set_mtu(ssl, HELLO_MAX);
		SSL_set_connect_state(ssl);
		SSL_do_handshake(ssl); /* cannot get further than to wait for an answer */
		if (BIO_pending(out) <= HELLO_MAX)
			len = BIO_read(out, buf, HELLO_MAX);
	} else {
		BIO_free(in);
		BIO_free(out);
	}
	SSL_free(ssl);
	ERR_clear_error();
	return len > 0 ? len : -EIO;
}

/* Wraps CONTENT as the socket engine would, and keeps the header for comparison.  Returns the
 * length, or a negative errno. */
static ssize_t wrap(struct probe *probe, enum jpx_form form, const unsigned char *content,
		    size_t len, unsigned char *buf, size_t cap)
{
	ssize_t n = jpx_jpy_wrap(form, &probe->probes->pledge, content, len, buf, cap);
	struct jpx_jpy_layout layout;

	if (n < 0)
		return n;
	if (jpx_jpy_split(buf, (size_t)n, &layout) != JPX_RELAY || layout.head.len > HEAD_MAX ||
	    layout.tail.len > HEAD_MAX)
		return -EINVAL;
	probe->jpy = true;
	probe->head_len = layout.head.len;
	probe->tail_len = layout.tail.len;
	memcpy(probe->head, buf + layout.head.off, layout.head.len);
	memcpy(probe->tail, buf + layout.tail.off, layout.tail.len);
	return n;
}

/* ---- what comes ------------------------------------------------------------------ */

static bool is_dtls(const unsigned char *content, size_t len)
{
	return jpx_is_dtls((__u32)len, len > 0 ? content[0] : 0, len > 1 ? content[1] : 0,
			   len > 2 ? content[2] : 0);
}

static bool is_answer(const struct probe *probe, const unsigned char *msg, size_t len)
{
	struct jpx_jpy_layout layout;

	if (!probe->jpy)
		return is_dtls(msg, len);
	return jpx_jpy_split(msg, len, &layout) == JPX_RELAY &&
	       layout.head.len == probe->head_len && layout.tail.len == probe->tail_len &&
	       !memcmp(msg + layout.head.off, probe->head, probe->head_len) &&
	       !memcmp(msg + layout.tail.off, probe->tail, probe->tail_len) &&
	       is_dtls(msg + layout.content.off, layout.content.len);
}

static bool is_unreachable(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
	       error == EACCES;
}

static void finish(struct probe *probe, enum probe_result result)
{
	struct probes *probes = probe->probes;
	unsigned int service_id = probe->service_id;

	probes_stop(probes, service_id);
	probes->result(probes->arg, service_id, result);
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	static unsigned char buf[BUFFER];
	struct probe *probe = arg;

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (len >= 0 && is_answer(probe, buf, (size_t)len)) {
			finish(probe, PROBE_ANSWERED);
			return;
		}
		if (len >= 0)
			continue;
		if (is_unreachable(errno)) {
			finish(probe, PROBE_UNREACHABLE);
			return;
		}
		/* Of an error that is none of these the socket would go on waking us up. */
		if (errno != EAGAIN && errno != EINTR)
			probes_stop(probe->probes, probe->service_id);
		else if (recv(fd, buf, sizeof(buf), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
			continue;
		return;
	}
}

/* ---- sockets ------------------------------------------------------------------------ */

/* Where SERVICE's datagrams leave from: in stateful mode an address of its flows. */
static void source_of(const struct jpx_state *state, const struct jpx_service *service,
		      struct sockaddr_in6 *source)
{
	*source = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	memcpy(&source->sin6_addr, service->uplink, 16);
	if (service->mode == JPX_MODE_STATEFUL)
		for (unsigned int i = 0; i < service->uplink_count && i < JPX_SERVICE_UPLINKS;
		     i++) {
			const struct jpx_uplink *uplink =
				&state->uplinks[service->uplinks[i] % JPX_MAX_UPLINKS];

			if (!(uplink->flags & JPX_UPLINK_READY))
				continue;
			memcpy(&source->sin6_addr, uplink->addr, 16);
			break;
		}
	if (IN6_IS_ADDR_LINKLOCAL(&source->sin6_addr))
		source->sin6_scope_id = service->ifindex;
}

static int hear_errors(int fd)
{
	int on = 1;

	return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on)) ||
	       setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
}

/* A socket that hears SERVICE's Registrar and nobody else, or -1 with errno set. */
static int open_socket(const struct jpx_state *state, const struct jpx_service *service)
{
	struct sockaddr_in6 source,
		to = { .sin6_family = AF_INET6, .sin6_port = service->registrar_port };
	int fd, saved;

	source_of(state, service, &source);
	memcpy(&to.sin6_addr, service->registrar, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&to.sin6_addr))
		to.sin6_scope_id = service->ifindex;
	fd = udp_socket_open(&source, service->uplink_ifname[0] ? service->uplink_ifname : NULL, 0);
	if (fd < 0)
		return -1;
	if (hear_errors(fd) == 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Gives PROBE its socket.  0 or a negative errno. */
static int begin(struct probe *probe, const struct jpx_service *service)
{
	struct probes *probes = probe->probes;
	int fd = open_socket(probes->state, service);

	if (fd < 0)
		return -errno;
	probe->event = event_new(probes->base, fd, EV_READ | EV_PERSIST, readable, probe);
	if (!probe->event) {
		close(fd);
		return -ENOMEM;
	}
	return event_add(probe->event, NULL) ? -ENOMEM : 0;
}

int probes_send(struct probes *probes, unsigned int service_id)
{
	const struct jpx_service *service = &probes->state->services[service_id];
	unsigned char hello[HELLO_MAX], message[HELLO_MAX + 2 * HEAD_MAX], *out = hello;
	struct probe *probe;
	ssize_t len;
	int ret;

	probes_stop(probes, service_id);
	if (!probes->ctx)
		return -EOPNOTSUPP;
	len = client_hello(probes->ctx, hello);
	if (len < 0)
		return (int)len;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return -ENOMEM;
	probe->probes = probes;
	probe->service_id = service_id;
	probes->under_way[service_id] = probe;
	if (service->mode == JPX_MODE_STATELESS) {
		len = wrap(probe, service->form, hello, (size_t)len, message, sizeof(message));
		out = message;
	}
	ret = len < 0 ? (int)len : begin(probe, service);
	if (!ret && send(event_get_fd(probe->event), out, (size_t)len, MSG_DONTWAIT) < 0)
		ret = -errno;
	if (ret)
		probes_stop(probes, service_id);
	return ret;
}

void probes_stop(struct probes *probes, unsigned int service_id)
{
	struct probe *probe = probes->under_way[service_id];
	int fd;

	if (!probe)
		return;
	probes->under_way[service_id] = NULL;
	if (probe->event) {
		fd = event_get_fd(probe->event);
		event_free(probe->event); /* the loop lets go of it while it is open */
		close(fd);
	}
	free(probe);
}

/* ---- life ------------------------------------------------------------------------- */

static SSL_CTX *dtls_client(void)
{
	SSL_CTX *ctx = SSL_CTX_new(DTLS_client_method());

	if (ctx && (!SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) ||
		    !SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION))) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	if (!ctx)
		jpx_warning("OpenSSL offers no DTLS 1.2 here: Registrars are not probed");
	ERR_clear_error();
	return ctx;
}

struct probes *probes_new(struct event_base *base, const struct jpx_state *state,
			  void (*result)(void *arg, unsigned int service_id, enum probe_result),
			  void *arg)
{
	struct probes *probes = calloc(1, sizeof(*probes));

	if (!probes)
		return NULL;
	probes->base = base;
	probes->state = state;
	probes->result = result;
	probes->arg = arg;
	/* So that nobody off the path can make up an answer; without randomness all else works. */
	probes->pledge = (struct jpx_pledge){ .addr = { 0xfe, 0x80 }, .udp_port = JPX_COAPS_PORT };
	if (RAND_bytes(probes->pledge.addr + 8, 8) != 1)
		ERR_clear_error();
	probes->pledge.addr[15] |= 1; /* never all zero */
	probes->ctx = dtls_client();
	return probes;
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	for (unsigned int id = 0; id < JPX_MAX_SERVICES; id++)
		probes_stop(probes, id);
	SSL_CTX_free(probes->ctx);
	free(probes);
}
