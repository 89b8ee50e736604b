/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See relay.h. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "datapath.h"
#include "log.h"
#include "pledge_macs.h"
#include "udp_socket.h"

#define BATCH	      32    /* datagrams a wakeup takes, so that no socket starves the others */
#define BUFFER	      65536 /* the largest datagram there is */

/* One socket: a join socket of (port, service), or a service's uplink socket (port 0). */
struct endpoint {
	struct relay *relay;
	struct event *event;
	unsigned int port_id, service_id;
	struct sockaddr_in6 local;
	__u32 refused; /* the kernel's count of drops when last looked at */
};

struct relay {
	struct event_base *base;
	const struct jpx_state *state;
	struct pledge_macs *macs;
	struct jpx_stats *stats;
	struct endpoint *uplinks[JPX_MAX_SERVICES];
	struct endpoint *joins[JPX_MAX_PORTS][JPX_MAX_SERVICES];
	int join_errors[JPX_MAX_PORTS][JPX_MAX_SERVICES];
	/* One batch, in and out. */
	unsigned char in[BATCH][BUFFER], out[BATCH][BUFFER];
};

union control {
	struct cmsghdr align;
	unsigned char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static __u64 be64_at(const unsigned char *p)
{
	__u64 v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* ---- sockets ------------------------------------------------------------ */

static void endpoint_close(struct endpoint *ep)
{
	int fd;

	if (!ep)
		return;
	if (ep->event) {
		fd = event_get_fd(ep->event);
		event_free(ep->event); /* the loop lets go of it while it is open */
		close(fd);
	}
	free(ep);
}

static struct endpoint *endpoint_open(struct relay *relay, unsigned int port_id,
				      unsigned int service_id, const struct sockaddr_in6 *local,
				      event_callback_fn readable)
{
	struct endpoint *ep = calloc(1, sizeof(*ep));
	int fd = ep ? udp_socket_open(local, NULL, port_id ? 0 : UDP_SOCKET_PKTINFO) : -1;

	if (fd < 0) {
		free(ep);
		return NULL;
	}
	ep->relay = relay;
	ep->port_id = port_id;
	ep->service_id = service_id;
	ep->local = *local;
	ep->event = event_new(relay->base, fd, EV_READ | EV_PERSIST, readable, ep);
	if (!ep->event || event_add(ep->event, NULL)) {
		if (ep->event)
			event_free(ep->event);
		close(fd);
		free(ep);
		errno = ENOMEM;
		return NULL;
	}
	return ep;
}

/* ---- a batch ------------------------------------------------------------ */

struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in6 addr[BATCH];
	union control control[BATCH];
	int count;
};

/* Returns how many datagrams came, 0 for none. */
static int receive(struct relay *relay, int fd, struct batch *b)
{
	memset(b->msg, 0, sizeof(b->msg));
	for (int i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){ relay->in[i], BUFFER };
		b->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &b->addr[i],
			.msg_namelen = sizeof(b->addr[i]),
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_control = &b->control[i],
			.msg_controllen = sizeof(b->control[i]),
		};
	}
	b->count = recvmmsg(fd, b->msg, BATCH, 0, NULL);
	return b->count > 0 ? b->count : 0;
}

/* The local address and interface that MSG came to, if the kernel said so. */
static bool arrived_at(struct msghdr *msg, struct in6_pktinfo *info)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(info, CMSG_DATA(c), sizeof(*info));
			return true;
		}
	return false;
}

/* Sends one datagram; counts it, or why not. */
static void send_one(int fd, const struct sockaddr_in6 *to, const struct in6_pktinfo *from,
		     const void *data, size_t len, struct jpx_stats *stats, struct jpx_way *way,
		     size_t content_len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_name = (void *)(uintptr_t)to,
		.msg_namelen = sizeof(*to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	if (from) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&msg)->cmsg_level = IPPROTO_IPV6;
		CMSG_FIRSTHDR(&msg)->cmsg_type = IPV6_PKTINFO;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(*from));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), from, sizeof(*from));
	}
	/* An ICMP error for an earlier datagram is reported by the next call and eats
	 * it: ask once more. */
	if (sendmsg(fd, &msg, MSG_DONTWAIT) < 0 && sendmsg(fd, &msg, MSG_DONTWAIT) < 0) {
		stats->drops[JPX_DROP_SEND_FAILED]++;
		jpx_log_limited(JPX_LOG_WARNING, "cannot send %zu bytes: %s", len, strerror(errno));
		return;
	}
	way->packets++;
	way->bytes += content_len;
}

/* ---- pledge to Registrar ------------------------------------------------ */

static enum jpx_drop admit(const struct jpx_service *service, const struct sockaddr_in6 *from,
			   const unsigned char *content, size_t len)
{
	const unsigned char *addr = from->sin6_addr.s6_addr;

	if (!jpx_is_link_local(be64_at(addr), be64_at(addr + 8)))
		return JPX_DROP_SRC_NOT_LINK_LOCAL;
	if (from->sin6_port == 0)
		return JPX_DROP_SRC_PORT_ZERO;
	if (!(service->flags & JPX_SERVICE_ANY_CONTENT) &&
	    !jpx_is_dtls((__u32)len, content[0], content[1], content[2]))
		return JPX_DROP_NOT_DTLS;
	return JPX_RELAY;
}

static void from_pledge(struct endpoint *ep, struct batch *b, int i)
{
	struct relay *relay = ep->relay;
	const struct jpx_port *port = &relay->state->ports[ep->port_id];
	const struct jpx_service *service = &relay->state->services[ep->service_id];
	struct jpx_stats *stats = &relay->stats[ep->port_id];
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct in6_pktinfo source = { 0 };
	size_t len = b->msg[i].msg_len;
	struct jpx_pledge pledge = { 0 };
	enum jpx_drop reason;
	ssize_t out;

	if (len < 3)
		memset(relay->in[i] + len, 0, 3 - len);
	reason = admit(service, &b->addr[i], relay->in[i], len);
	if (reason != JPX_RELAY) {
		stats->drops[reason]++;
		return;
	}
	if (!relay->uplinks[ep->service_id] || !service->ifindex) {
		stats->drops[JPX_DROP_SERVICE_NOT_READY]++;
		return;
	}
	memcpy(pledge.addr, &b->addr[i].sin6_addr, 16);
	pledge.udp_port = ntohs(b->addr[i].sin6_port);
	pledge.port_id = (uint8_t)ep->port_id;
	if (service->form == JPX_FORM_DRAFT21)
		pledge_macs_find(relay->macs, port, ep->port_id, &b->addr[i], pledge.mac);
	out = jpx_jpy_wrap(service->form, &pledge, relay->in[i], len, relay->out[i], JPX_UDP_MAX);
	if (out < 0) {
		stats->drops[JPX_DROP_CONTENT_TOO_BIG]++;
		return;
	}
	memcpy(&to.sin6_addr, service->registrar, 16);
	to.sin6_port = service->registrar_port;
	if (IN6_IS_ADDR_LINKLOCAL(&to.sin6_addr))
		to.sin6_scope_id = service->ifindex;
	memcpy(&source.ipi6_addr, service->uplink, 16);
	if (service->uplink_ifname[0])
		source.ipi6_ifindex = service->ifindex;
	send_one(event_get_fd(relay->uplinks[ep->service_id]->event), &to, &source, relay->out[i],
		 (size_t)out, stats, &stats->to_registrar, len);
}

static void join_readable(evutil_socket_t fd, short what, void *arg)
{
	struct endpoint *ep = arg;
	static struct batch b;

	(void)what;
	for (int i = 0, n = receive(ep->relay, fd, &b); i < n; i++)
		from_pledge(ep, &b, i);
}

/* ---- Registrar to pledge ------------------------------------------------ */

/* May a datagram to this uplink come in over IFINDEX?  Never over what is only a pledge port. */
static bool is_uplink(const struct relay *relay, const struct jpx_service *service,
		      unsigned int ifindex)
{
	if (ifindex == service->ifindex)
		return true;
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (relay->state->ports[id].flags & JPX_PORT_IN_USE &&
		    relay->state->ports[id].ifindex == ifindex)
			return false;
	return true;
}

static void from_registrar(struct endpoint *ep, struct batch *b, int i)
{
	struct relay *relay = ep->relay;
	const struct jpx_service *service = &relay->state->services[ep->service_id];
	struct jpx_stats *stats = &relay->stats[0];
	const struct sockaddr_in6 *from = &b->addr[i];
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct in6_pktinfo info;
	struct jpx_pledge pledge;
	struct jpx_span content;
	const struct jpx_port *port;
	struct endpoint *join;
	enum jpx_drop reason;

	if (memcmp(&from->sin6_addr, service->registrar, 16) ||
	    from->sin6_port != service->registrar_port || !arrived_at(&b->msg[i].msg_hdr, &info) ||
	    memcmp(&info.ipi6_addr, service->uplink, 16) ||
	    !is_uplink(relay, service, info.ipi6_ifindex)) {
		stats->drops[JPX_DROP_NOT_REGISTRAR]++;
		return;
	}
	reason = jpx_jpy_unwrap(service->form, relay->in[i], b->msg[i].msg_len, &pledge, &content);
	if (reason != JPX_RELAY) {
		stats->drops[reason]++;
		return;
	}
	port = &relay->state->ports[pledge.port_id];
	join = relay->joins[pledge.port_id][ep->service_id];
	if (!(port->flags & JPX_PORT_IN_USE) || !(port->services >> ep->service_id & 1)) {
		stats->drops[JPX_DROP_UNKNOWN_PLEDGE_PORT]++;
		return;
	}
	stats = &relay->stats[pledge.port_id];
	if (!join) {
		stats->drops[JPX_DROP_SERVICE_NOT_READY]++;
		return;
	}
	memcpy(&to.sin6_addr, pledge.addr, 16);
	to.sin6_port = htons(pledge.udp_port);
	to.sin6_scope_id = port->ifindex;
	send_one(event_get_fd(join->event), &to, NULL, relay->in[i] + content.off, content.len,
		 stats, &stats->to_pledge, content.len);
}

static void uplink_readable(evutil_socket_t fd, short what, void *arg)
{
	struct endpoint *ep = arg;
	static struct batch b;

	(void)what;
	for (int i = 0, n = receive(ep->relay, fd, &b); i < n; i++)
		from_registrar(ep, &b, i);
}

/* ---- what the proxy calls ----------------------------------------------- */

struct relay *relay_new(struct event_base *base, const struct jpx_state *state, struct datapath *dp,
			struct netwatch *nw)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->base = base;
	relay->state = state;
	relay->macs = pledge_macs_new(dp, nw);
	if (!relay->macs) {
		free(relay);
		return NULL;
	}
	relay->stats = datapath_socket_stats(dp);
	return relay;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	for (unsigned int s = 0; s < JPX_MAX_SERVICES; s++) {
		endpoint_close(relay->uplinks[s]);
		for (unsigned int p = 0; p < JPX_MAX_PORTS; p++)
			endpoint_close(relay->joins[p][s]);
	}
	pledge_macs_free(relay->macs);
	free(relay);
}

in_port_t relay_open_uplink(struct relay *relay, unsigned int service_id, in_port_t wanted)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6, .sin6_port = wanted };
	socklen_t len = sizeof(local);
	struct endpoint *ep;

	relay_close_uplink(relay, service_id);
	ep = endpoint_open(relay, 0, service_id, &local, uplink_readable);
	if (!ep && wanted) {
		local.sin6_port = 0;
		ep = endpoint_open(relay, 0, service_id, &local, uplink_readable);
	}
	if (!ep)
		return 0;
	relay->uplinks[service_id] = ep;
	if (getsockname(event_get_fd(ep->event), (struct sockaddr *)&local, &len))
		return 0;
	return local.sin6_port;
}

void relay_close_uplink(struct relay *relay, unsigned int service_id)
{
	endpoint_close(relay->uplinks[service_id]);
	relay->uplinks[service_id] = NULL;
}

bool relay_has_uplink(const struct relay *relay, unsigned int service_id)
{
	return relay->uplinks[service_id] != NULL;
}

static void sync_one(struct relay *relay, unsigned int port_id, unsigned int service_id)
{
	const struct jpx_port *port = &relay->state->ports[port_id];
	struct endpoint **ep = &relay->joins[port_id][service_id];
	int *error = &relay->join_errors[port_id][service_id], before = *error;
	struct sockaddr_in6 local = {
		.sin6_family = AF_INET6,
		.sin6_port = relay->state->services[service_id].join_port,
		.sin6_scope_id = port->ifindex,
	};
	bool wanted = port->flags & JPX_PORT_READY && port->services >> service_id & 1;

	memcpy(&local.sin6_addr, port->addr, 16);
	if (*ep && (!wanted || memcmp(&local, &(*ep)->local, sizeof(local)))) {
		endpoint_close(*ep);
		*ep = NULL;
	}
	*error = 0;
	if (!wanted || *ep)
		return;
	*ep = endpoint_open(relay, port_id, service_id, &local, join_readable);
	if (*ep)
		return;
	*error = errno;
	if (*error != before)
		jpx_warning("%s: cannot listen on join port %u: %s", port->ifname,
			    ntohs(local.sin6_port), strerror(*error));
}

void relay_sync(struct relay *relay)
{
	for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
		for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
			if (relay->joins[p][s] || relay->state->ports[p].services >> s & 1)
				sync_one(relay, p, s);
}

int relay_join_error(const struct relay *relay, unsigned int port_id, unsigned int service_id)
{
	return relay->join_errors[port_id][service_id];
}

static void collect_one(struct relay *relay, struct endpoint *ep)
{
	__u32 info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (!ep || getsockopt(event_get_fd(ep->event), SOL_SOCKET, SO_MEMINFO, info, &len))
		return;
	relay->stats[ep->port_id].drops[JPX_DROP_KERNEL_REFUSED] +=
		info[SK_MEMINFO_DROPS] - ep->refused;
	ep->refused = info[SK_MEMINFO_DROPS];
}

void relay_collect(struct relay *relay)
{
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
		collect_one(relay, relay->uplinks[s]);
		for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
			collect_one(relay, relay->joins[p][s]);
	}
}
