/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See coaploop.h.  libcoap does its own epoll and gives one descriptor for all of it.
 *
 * libcoap 4.3.1 neither says which socket it opened nor binds one to an interface.  POSIX
 * does: a new descriptor is the lowest that is free.  So we look which one that is before
 * libcoap opens the socket, see that this is what it became, and bind it.  One thread only.
 */
#include "coaploop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define TURN	 16 /* sockets read, before others have their turn */
#define BURST_S	 2
#define PAUSE_MS 50

struct coaploop {
	coap_context_t *context;
	struct event *event, *resume;
	const char *name;	 /* for the log */
	unsigned int per_second; /* 0: no bound */
	uint64_t tokens;	 /* thousandths of datagrams that may be read now */
	uint64_t tokens_at;	 /* ms */
};

/* What a stranger's datagram can make libcoap say is for who debugs, however urgent libcoap
 * finds it, and may quote that datagram. */
static void on_log(coap_log_t level, const char *message)
{
	char line[200];
	size_t len = 0;

	(void)level;
	for (; message[len] && message[len] != '\n' && len < sizeof(line) - 1; len++)
		line[len] = message[len];
	for (size_t i = 0; i < len; i++)
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	line[len] = '\0';
	jpx_log_limited(JPX_LOG_DEBUG, "libcoap: %s", line);
}

/* How many may be read in this turn. */
static unsigned int turn(struct coaploop *loop)
{
	uint64_t now = jpx_now_ms(), full = (uint64_t)loop->per_second * BURST_S * 1000;

	if (!loop->per_second)
		return TURN;
	loop->tokens += (now - loop->tokens_at) * loop->per_second;
	loop->tokens_at = now;
	if (loop->tokens > full)
		loop->tokens = full;
	return loop->tokens / 1000 < TURN ? (unsigned int)(loop->tokens / 1000) : TURN;
}

static void resume(evutil_socket_t fd, short what, void *arg)
{
	struct coaploop *loop = arg;

	(void)fd;
	(void)what;
	event_add(loop->event, NULL);
}

/* coap_io_process() would go on as long as ten sockets have something to read: strangers could
 * keep it so, and the rest of the loop waiting. */
static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct coaploop *loop = arg;
	struct epoll_event events[TURN];
	unsigned int most = turn(loop);
	coap_tick_t now;
	int count;

	(void)what;
	if (!most) {
		jpx_log_limited(JPX_LOG_WARNING,
				"%s: more CoAP datagrams than %u a second; what the kernel cannot "
				"hold is lost",
				loop->name, loop->per_second);
		event_del(loop->event);
		event_add(loop->resume, &(struct timeval){ .tv_usec = PAUSE_MS * 1000 });
		return;
	}
	coap_ticks(&now);
	coap_io_prepare_epoll(loop->context, now);
	count = epoll_wait(fd, events, (int)most, 0);
	if (count <= 0)
		return;
	if (loop->per_second)
		loop->tokens -= (uint64_t)count * 1000;
	coap_io_do_epoll(loop->context, events, (size_t)count);
}

struct coaploop *coaploop_new(struct event_base *base)
{
	struct coaploop *loop = calloc(1, sizeof(*loop));
	int fd;

	if (!loop)
		return NULL;
	coap_startup();
	coap_set_log_handler(on_log);
	loop->context = coap_new_context(NULL);
	fd = loop->context ? coap_context_get_coap_fd(loop->context) : -1;
	if (fd >= 0)
		loop->event = event_new(base, fd, EV_READ | EV_PERSIST, readable, loop);
	loop->resume = evtimer_new(base, resume, loop);
	if (!loop->event || !loop->resume || event_add(loop->event, NULL)) {
		coaploop_free(loop);
		return NULL;
	}
	return loop;
}

void coaploop_free(struct coaploop *loop)
{
	if (!loop)
		return;
	if (loop->event)
		event_free(loop->event);
	if (loop->resume)
		event_free(loop->resume);
	if (loop->context)
		coap_free_context(loop->context);
	free(loop);
}

coap_context_t *coaploop_context(struct coaploop *loop)
{
	return loop->context;
}

void coaploop_pace(struct coaploop *loop, const char *name, unsigned int per_second)
{
	loop->name = name;
	loop->per_second = per_second;
	loop->tokens = (uint64_t)per_second * BURST_S * 1000;
	loop->tokens_at = jpx_now_ms();
}

void coaploop_wake(struct coaploop *loop)
{
	event_active(loop->event, EV_READ, 0);
}

/* The descriptor that the next socket() gives, or -1. */
static int next_descriptor(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* Is FD a UDP socket now, and of nobody else? */
static bool is_udp_socket(int fd)
{
	int type = 0, protocol = 0;
	socklen_t len = sizeof(int);

	return fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM &&
	       !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) && protocol == IPPROTO_UDP;
}

/* A link-local address has bound it already, and then it takes a right to do so again. */
static bool is_bound_to(int fd, int index)
{
	socklen_t len = sizeof(int);
	int bound = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &bound, &len) && bound == index;
}

/* Binds FD to IFNAME alone.  CONNECTED: what libcoap connected it to, or NULL; it has chosen route
 * and source address before it knew the interface: chooses both again.  Undoing a connect undoes
 * a binding, so that comes first. */
static int bind_to(int fd, const char *ifname, int index, const struct sockaddr_in6 *connected)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (is_bound_to(fd, index))
		return 0;
	if ((connected && connect(fd, &nobody, sizeof(nobody))) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)))
		return -1;
	return connected ? connect(fd, (const struct sockaddr *)connected, sizeof(*connected)) : 0;
}

static void to_coap(const struct sockaddr_in6 *sa, coap_address_t *out)
{
	coap_address_init(out);
	out->size = sizeof(*sa);
	memcpy(&out->addr.sin6, sa, sizeof(*sa));
	out->addr.sin6.sin6_family = AF_INET6;
}

coap_session_t *coaploop_session(struct coaploop *loop, const struct sockaddr_in6 *to,
				 const char *ifname, const struct in6_addr *from, int hops)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6 };
	int fd = next_descriptor(), index = ifname ? (int)if_nametoindex(ifname) : 0, error = 0;
	const struct sockaddr_in6 *connected;
	coap_address_t server, source;
	coap_session_t *session;

	if (fd < 0 || (ifname && !index))
		return NULL;
	if (from) {
		local.sin6_addr = *from;
		if (IN6_IS_ADDR_LINKLOCAL(from))
			local.sin6_scope_id = (uint32_t)index;
	}
	to_coap(to, &server);
	to_coap(&local, &source);
	errno = 0;
	session = coap_new_client_session(loop->context, from ? &source : NULL, &server,
					  COAP_PROTO_UDP);
	if (!session) {
		if (!errno)
			errno = EIO;
		return NULL;
	}
	connected = from || IN6_IS_ADDR_MULTICAST(&to->sin6_addr) ? NULL : &server.addr.sin6;
	if (!is_udp_socket(fd)) {
		error = EPROTO;
	} else {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if ((ifname && bind_to(fd, ifname, index, connected)) ||
		    (index &&
		     setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index))) ||
		    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)))
			error = errno;
	}
	if (error) {
		coap_session_release(session);
		errno = error;
		return NULL;
	}
	coaploop_wake(loop);
	return session;
}

coap_session_t *coaploop_dtls_session(struct coaploop *loop, const struct sockaddr_in6 *to,
				      const struct sockaddr_in6 *from, coap_dtls_pki_t *pki)
{
	coap_address_t server, source;
	coap_session_t *session;

	to_coap(to, &server);
	if (from)
		to_coap(from, &source);
	errno = 0;
	session = coap_new_client_session_pki(loop->context, from ? &source : NULL, &server,
					      COAP_PROTO_DTLS, pki);
	if (session)
		coaploop_wake(loop);
	else if (!errno)
		errno = EIO;
	return session;
}

/* A socket that is shut for writing fails with EPIPE before it makes a packet.  The kernel
 * calls one without a peer not connected, and shuts it all the same. */
static int mute(int fd)
{
	return shutdown(fd, SHUT_WR) && errno != ENOTCONN ? errno : 0;
}

static coap_endpoint_t *open_endpoint(struct coaploop *loop, const struct sockaddr_in6 *addr,
				      bool only_listens)
{
	char ifname[IF_NAMESIZE];
	struct ipv6_mreq group = { .ipv6mr_multiaddr = addr->sin6_addr,
				   .ipv6mr_interface = addr->sin6_scope_id };
	int fd = next_descriptor(), error = 0;
	coap_endpoint_t *endpoint;
	coap_address_t local;

	if (fd < 0 || !if_indextoname(addr->sin6_scope_id, ifname))
		return NULL;
	to_coap(addr, &local);
	errno = 0;
	endpoint = coap_new_endpoint(loop->context, &local, COAP_PROTO_UDP);
	if (!endpoint) {
		if (!errno)
			errno = EIO;
		return NULL;
	}
	if (!is_udp_socket(fd)) {
		error = EPROTO;
	} else {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (bind_to(fd, ifname, (int)addr->sin6_scope_id, NULL) ||
		    (IN6_IS_ADDR_MULTICAST(&addr->sin6_addr) &&
		     setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group))))
			error = errno;
		if (!error && only_listens)
			error = mute(fd);
	}
	if (error) {
		coap_free_endpoint(endpoint);
		errno = error;
		return NULL;
	}
	coaploop_wake(loop);
	return endpoint;
}

coap_endpoint_t *coaploop_endpoint(struct coaploop *loop, const struct sockaddr_in6 *addr)
{
	return open_endpoint(loop, addr, false);
}

coap_endpoint_t *coaploop_listener(struct coaploop *loop, const struct sockaddr_in6 *addr)
{
	return open_endpoint(loop, addr, true);
}

coap_endpoint_t *coaploop_loopback(struct coaploop *loop, struct sockaddr_in *where)
{
	socklen_t len = sizeof(*where);
	coap_endpoint_t *endpoint;
	int fd = next_descriptor();
	coap_address_t local;

	if (fd < 0)
		return NULL;
	coap_address_init(&local);
	local.size = sizeof(local.addr.sin);
	local.addr.sin = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	errno = 0;
	endpoint = coap_new_endpoint(loop->context, &local, COAP_PROTO_UDP);
	if (!endpoint) {
		if (!errno)
			errno = EIO;
		return NULL;
	}
	if (!is_udp_socket(fd) || getsockname(fd, (struct sockaddr *)where, &len)) {
		coap_free_endpoint(endpoint);
		errno = EPROTO;
		return NULL;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	coaploop_wake(loop);
	return endpoint;
}
