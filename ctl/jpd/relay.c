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
#include "ends.h"
#include "flows.h"
#include "icmp.h"
#include "intercept.h"
#include "log.h"
#include "pledge_macs.h"
#include "raw_udp.h"
#include "udp_socket.h"

#define BATCH  32    /* datagrams a wakeup takes, so that no socket starves the others */
#define BUFFER 65536 /* the largest datagram there is */

/* How a pledge came to a port's service, and so which of its sockets answers. */
enum way_in { IN_IPV6, IN_IPV4, IN_INTERCEPTED, WAYS_IN };

static const unsigned int kinds[WAYS_IN] = {
	[IN_IPV4] = JPX_FLOW_IPV4,
	[IN_INTERCEPTED] = JPX_FLOW_INTERCEPTED,
};

/* One socket: a join socket of (port, service), or a stateless service's uplink socket (port 0). */
struct endpoint {
	struct relay *relay;
	struct event *event;
	unsigned int port_id, service_id;
	enum way_in in;
	struct sockaddr_in6 local;
	unsigned int ifindex; /* that it is bound to, or 0 */
	__u32 refused;	      /* the kernel's count of drops when last looked at */
};

/* Without BPF: the socket of one flow, which is not ours to close. */
struct flow_watch {
	struct relay *relay;
	struct event *event;
	__u32 slot;
};

struct relay {
	struct event_base *base;
	const struct jpx_state *state;
	struct pledge_macs *macs;
	struct flows *flows;
	struct icmp *icmp;
	struct raw_udp *raw;
	struct jpx_stats *stats;
	struct event *steered;	    /* with BPF: all flows' datagrams */
	struct flow_watch *watches; /* without: by slot */
	struct endpoint *uplinks[JPX_MAX_SERVICES];
	struct endpoint *joins[JPX_MAX_PORTS][JPX_MAX_SERVICES][WAYS_IN];
	int join_errors[JPX_MAX_PORTS][JPX_MAX_SERVICES];
	/* One batch, in and out. */
	unsigned char in[BATCH][BUFFER], out[BATCH][BUFFER];
};

union control {
	struct cmsghdr align;
	unsigned char space[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
			    CMSG_SPACE(sizeof(struct sockaddr_in6))];
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

/* Takes FD over, or closes it. */
static struct endpoint *endpoint_open(struct relay *relay, int fd, event_callback_fn readable)
{
	struct endpoint *ep = fd < 0 ? NULL : calloc(1, sizeof(*ep));

	if (fd < 0)
		return NULL;
	if (ep)
		ep->event = event_new(relay->base, fd, EV_READ | EV_PERSIST, readable, ep);
	if (!ep || !ep->event || event_add(ep->event, NULL)) {
		if (ep && ep->event)
			event_free(ep->event);
		close(fd);
		free(ep);
		errno = ENOMEM;
		return NULL;
	}
	ep->relay = relay;
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

/* An error that an earlier datagram met is reported by the next call and eats it: once more. */
static bool sent(int fd, const struct msghdr *msg)
{
	return sendmsg(fd, msg, MSG_DONTWAIT) >= 0 || sendmsg(fd, msg, MSG_DONTWAIT) >= 0;
}

/* Where a datagram is counted: at a pledge port, one way, and for a service. */
struct tally {
	struct jpx_stats *stats;
	struct jpx_way *way;
	__u32 *activity;
};

static struct tally tally_to_registrar(struct jpx_stats *stats, unsigned int service_id)
{
	return (struct tally){ stats, &stats->to_registrar,
			       &stats->services[service_id].to_registrar };
}

static struct tally tally_to_pledge(struct jpx_stats *stats, unsigned int service_id)
{
	return (struct tally){ stats, &stats->to_pledge, &stats->services[service_id].to_pledge };
}

static void count_sent(bool ok, size_t len, const struct tally *tally, size_t content_len)
{
	if (!ok) {
		tally->stats->drops[JPX_DROP_SEND_FAILED]++;
		jpx_log_limited(JPX_LOG_WARNING, "cannot send %zu bytes: %s", len, strerror(errno));
		return;
	}
	tally->way->packets++;
	tally->way->bytes += content_len;
	(*tally->activity)++;
}

/* Sends one datagram; counts it, or why not. */
static void send_one(int fd, const struct sockaddr_in6 *to, const struct in6_pktinfo *from,
		     const void *data, size_t len, struct tally tally, size_t content_len)
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
		msg.msg_controllen = CMSG_SPACE(sizeof(*from));
		CMSG_FIRSTHDR(&msg)->cmsg_level = IPPROTO_IPV6;
		CMSG_FIRSTHDR(&msg)->cmsg_type = IPV6_PKTINFO;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(*from));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), from, sizeof(*from));
	}
	count_sent(sent(fd, &msg), len, &tally, content_len);
}

/* ---- pledge to Registrar ------------------------------------------------ */

static bool is_ipv4(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_V4MAPPED(addr);
}

static __u32 ipv4_of(const struct in6_addr *addr)
{
	return ntohl(addr->s6_addr32[3]);
}

static enum jpx_drop admit(const struct jpx_service *service, const struct sockaddr_in6 *from,
			   const unsigned char *content, size_t len)
{
	const unsigned char *addr = from->sin6_addr.s6_addr;

	if (is_ipv4(&from->sin6_addr) ? !jpx_is_link_local4(ipv4_of(&from->sin6_addr))
				      : !jpx_is_link_local(be64_at(addr), be64_at(addr + 8)))
		return JPX_DROP_SRC_NOT_LINK_LOCAL;
	if (from->sin6_port == 0)
		return JPX_DROP_SRC_PORT_ZERO;
	if (!(service->flags & JPX_SERVICE_ANY_CONTENT) &&
	    !jpx_is_dtls((__u32)len, content[0], content[1], content[2]))
		return JPX_DROP_NOT_DTLS;
	return JPX_RELAY;
}

/* Where SERVICE's Registrar is, and what to send there from. */
static void to_registrar(const struct jpx_service *service, struct sockaddr_in6 *to)
{
	*to = (struct sockaddr_in6){ .sin6_family = AF_INET6,
				     .sin6_port = service->registrar_port };
	memcpy(&to->sin6_addr, service->registrar, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&to->sin6_addr))
		to->sin6_scope_id = service->ifindex;
}

static void wrap(struct endpoint *ep, const struct sockaddr_in6 *from, int i, size_t len)
{
	struct relay *relay = ep->relay;
	const struct jpx_port *port = &relay->state->ports[ep->port_id];
	const struct jpx_service *service = &relay->state->services[ep->service_id];
	struct jpx_stats *stats = &relay->stats[ep->port_id];
	struct in6_pktinfo source = { 0 };
	struct jpx_pledge pledge = { 0 };
	struct sockaddr_in6 to;
	ssize_t out;

	if (!relay->uplinks[ep->service_id]) {
		stats->drops[JPX_DROP_SERVICE_NOT_READY]++;
		return;
	}
	memcpy(pledge.addr, &from->sin6_addr, 16);
	pledge.udp_port = ntohs(from->sin6_port);
	pledge.port_id = (uint8_t)ep->port_id;
	if (service->form == JPX_FORM_DRAFT21)
		pledge_macs_find(relay->macs, port, ep->port_id, from, pledge.mac);
	out = jpx_jpy_wrap(service->form, &pledge, relay->in[i], len, relay->out[i], JPX_UDP_MAX);
	if (out < 0) {
		stats->drops[JPX_DROP_CONTENT_TOO_BIG]++;
		return;
	}
	to_registrar(service, &to);
	memcpy(&source.ipi6_addr, service->uplink, 16);
	if (service->uplink_ifname[0])
		source.ipi6_ifindex = service->ifindex;
	send_one(event_get_fd(relay->uplinks[ep->service_id]->event), &to, &source, relay->out[i],
		 (size_t)out, tally_to_registrar(stats, ep->service_id), len);
}

static void flow_key(const struct endpoint *ep, const struct sockaddr_in6 *from,
		     struct jpx_flow_key *key)
{
	memset(key, 0, sizeof(*key));
	if (is_ipv4(&from->sin6_addr)) {
		key->pledge = __builtin_bswap64(jpx_pledge_id(ipv4_of(&from->sin6_addr)));
		key->kind = JPX_FLOW_IPV4;
	} else {
		memcpy(&key->pledge, &from->sin6_addr.s6_addr[8], 8);
	}
	if (ep->in == IN_INTERCEPTED)
		key->kind |= JPX_FLOW_INTERCEPTED;
	key->udp_port = from->sin6_port;
	key->port_id = (__u8)ep->port_id;
	key->service_id = (__u8)ep->service_id;
}

/* The fast path answers this flow, too, and sees no neighbours: it has to be told the MAC. */
static void note_mac(struct relay *relay, const struct endpoint *ep,
		     const struct sockaddr_in6 *from, struct jpx_flow *flow)
{
	unsigned char mac[6];
	__u64 n = 0;

	if (flow->mac)
		return;
	pledge_macs_find(relay->macs, &relay->state->ports[ep->port_id], ep->port_id, from, mac);
	for (int i = 0; i < 6; i++)
		n = n << 8 | mac[i];
	flow->mac = n;
}

static void translate(struct endpoint *ep, const struct sockaddr_in6 *from,
		      const unsigned char *content, size_t len)
{
	struct relay *relay = ep->relay;
	const struct jpx_service *service = &relay->state->services[ep->service_id];
	struct jpx_stats *stats = &relay->stats[ep->port_id];
	struct sockaddr_in6 to, source;
	unsigned int ifindex = service->uplink_ifname[0] ? service->ifindex : 0;
	struct tally tally = tally_to_registrar(stats, ep->service_id);
	struct jpx_flow_key key;
	struct jpx_flow *flow;
	long slot;
	int fd;

	flow_key(ep, from, &key);
	slot = flows_enter(relay->flows, &key);
	if (slot < 0) {
		stats->drops[-slot]++;
		if (flows_may_refuse(relay->flows, ep->port_id))
			icmp_refuse(relay->icmp, ep->port_id, ep->service_id, key.kind, from,
				    content, len);
		return;
	}
	flow = flows_at(relay->flows, (__u32)slot);
	note_mac(relay, ep, from, flow);
	to_registrar(service, &to);
	flows_source(relay->flows, (__u32)slot, &source);
	fd = flows_socket_of(relay->flows, (__u32)slot);
	if (fd >= 0) {
		struct in6_pktinfo info = { .ipi6_addr = source.sin6_addr,
					    .ipi6_ifindex = ifindex };

		send_one(fd, &to, &info, content, len, tally, len);
	} else {
		int ret = raw_udp_send(relay->raw, &source, &to, ifindex, content, len);

		errno = -ret;
		count_sent(ret == 0, len, &tally, len);
	}
	flow->to_registrar++;
}

static void from_pledge(struct endpoint *ep, struct batch *b, int i)
{
	struct relay *relay = ep->relay;
	const struct jpx_service *service = &relay->state->services[ep->service_id];
	struct jpx_stats *stats = &relay->stats[ep->port_id];
	size_t len = b->msg[i].msg_len;
	enum jpx_drop reason;

	if (len < 3)
		memset(relay->in[i] + len, 0, 3 - len);
	reason = admit(service, &b->addr[i], relay->in[i], len);
	if (reason == JPX_RELAY && !service->ifindex)
		reason = JPX_DROP_SERVICE_NOT_READY;
	if (reason != JPX_RELAY) {
		stats->drops[reason]++;
		return;
	}
	if (service->mode == JPX_MODE_STATEFUL)
		translate(ep, &b->addr[i], relay->in[i], len);
	else
		wrap(ep, &b->addr[i], i, len);
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
	    !ends_is_uplink(relay->state, service, info.ipi6_ifindex)) {
		stats->drops[JPX_DROP_NOT_REGISTRAR]++;
		return;
	}
	reason = jpx_jpy_unwrap(service->form, relay->in[i], b->msg[i].msg_len, &pledge, &content);
	if (reason != JPX_RELAY) {
		stats->drops[reason]++;
		return;
	}
	port = &relay->state->ports[pledge.port_id];
	join = relay->joins[pledge.port_id][ep->service_id]
			   [is_ipv4((struct in6_addr *)pledge.addr) ? IN_IPV4 : IN_IPV6];
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
	if (!is_ipv4(&to.sin6_addr))
		to.sin6_scope_id = port->ifindex;
	send_one(event_get_fd(join->event), &to, NULL, relay->in[i] + content.off, content.len,
		 tally_to_pledge(stats, ep->service_id), content.len);
}

static void uplink_readable(evutil_socket_t fd, short what, void *arg)
{
	struct endpoint *ep = arg;
	static struct batch b;

	(void)what;
	for (int i = 0, n = receive(ep->relay, fd, &b); i < n; i++)
		from_registrar(ep, &b, i);
}

/* ---- Registrar to pledge, by flow ------------------------------------------ */

/* A datagram came for FLOW, or, that being NULL, for a port that has none. */
static void from_registrar_by_flow(struct relay *relay, struct jpx_flow *flow,
				   const struct sockaddr_in6 *from, unsigned int ifindex,
				   const unsigned char *content, size_t len)
{
	const struct jpx_service *service;
	struct jpx_stats *stats = &relay->stats[0];
	const struct jpx_port *port;
	struct sockaddr_in6 to;
	struct endpoint *join;
	enum way_in in;

	if (!flow) {
		stats->drops[JPX_DROP_NO_FLOW]++;
		return;
	}
	service = &relay->state->services[flow->key.service_id];
	port = &relay->state->ports[flow->key.port_id];
	stats = &relay->stats[flow->key.port_id];
	if (memcmp(&from->sin6_addr, service->registrar, 16) ||
	    from->sin6_port != service->registrar_port ||
	    !ends_is_uplink(relay->state, service, ifindex)) {
		stats->drops[JPX_DROP_NOT_REGISTRAR]++;
		return;
	}
	if (!flows_is_live(relay->flows, flow)) {
		stats->drops[JPX_DROP_NO_FLOW]++;
		return;
	}
	if (!(port->flags & JPX_PORT_IN_USE) || !(port->services >> flow->key.service_id & 1)) {
		stats->drops[JPX_DROP_UNKNOWN_PLEDGE_PORT]++;
		return;
	}
	ends_pledge(port, &flow->key, &to);
	in = flow->key.kind & JPX_FLOW_INTERCEPTED ? IN_INTERCEPTED
	     : flow->key.kind & JPX_FLOW_IPV4	   ? IN_IPV4
						   : IN_IPV6;
	join = relay->joins[flow->key.port_id][flow->key.service_id][in];
	if (!join) {
		stats->drops[JPX_DROP_SERVICE_NOT_READY]++;
		return;
	}
	flows_touch(relay->flows, flow);
	flow->to_pledge++;
	send_one(event_get_fd(join->event), &to, NULL, content, len,
		 tally_to_pledge(stats, flow->key.service_id), len);
}

/* Where MSG was sent to, if the kernel said so. */
static bool sent_to(struct msghdr *msg, struct sockaddr_in6 *to)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct sockaddr_in to4;

		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR) {
			memcpy(to, CMSG_DATA(c), sizeof(*to));
			return true;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) {
			memcpy(&to4, CMSG_DATA(c), sizeof(to4));
			memset(to, 0, sizeof(*to));
			to->sin6_addr.s6_addr32[2] = htonl(0xffff);
			memcpy(&to->sin6_addr.s6_addr32[3], &to4.sin_addr, 4);
			to->sin6_port = to4.sin_port;
			return true;
		}
	}
	return false;
}

/* The one socket to which the datagrams of all flows are steered (bpf/flows.bpf.c). */
static void flows_readable(evutil_socket_t fd, short what, void *arg)
{
	struct relay *relay = arg;
	static struct batch b;

	(void)what;
	for (int i = 0, n = receive(relay, fd, &b); i < n; i++) {
		struct sockaddr_in6 to;
		struct in6_pktinfo info;

		if (!sent_to(&b.msg[i].msg_hdr, &to) || !arrived_at(&b.msg[i].msg_hdr, &info))
			continue;
		from_registrar_by_flow(
			relay, flows_by_uplink(relay->flows, &to.sin6_addr, to.sin6_port),
			&b.addr[i], info.ipi6_ifindex, relay->in[i], b.msg[i].msg_len);
	}
}

/* Without BPF: the socket of one flow. */
static void flow_readable(evutil_socket_t fd, short what, void *arg)
{
	struct flow_watch *watch = arg;
	struct relay *relay = watch->relay;
	static struct batch b;

	(void)what;
	for (int i = 0, n = receive(relay, fd, &b); i < n; i++) {
		struct in6_pktinfo info;

		if (!arrived_at(&b.msg[i].msg_hdr, &info))
			continue;
		from_registrar_by_flow(relay, flows_at(relay->flows, watch->slot), &b.addr[i],
				       info.ipi6_ifindex, relay->in[i], b.msg[i].msg_len);
	}
}

static void flow_opened(void *arg, __u32 slot, int fd)
{
	struct relay *relay = arg;
	struct flow_watch *watch = &relay->watches[slot];

	watch->relay = relay;
	watch->slot = slot;
	watch->event = event_new(relay->base, fd, EV_READ | EV_PERSIST, flow_readable, watch);
	if (!watch->event || event_add(watch->event, NULL))
		jpx_log_limited(JPX_LOG_ERROR, "out of memory: a flow gets no answers");
}

static void flow_closed(void *arg, __u32 slot)
{
	struct flow_watch *watch = &((struct relay *)arg)->watches[slot];

	if (watch->event)
		event_free(watch->event);
	watch->event = NULL;
}

static int watch_flows(struct relay *relay)
{
	int fd = flows_socket(relay->flows);

	if (fd < 0) {
		relay->watches = calloc(relay->state->flow_config.slots, sizeof(*relay->watches));
		if (!relay->watches)
			return -1;
		flows_watch_sockets(relay->flows, flow_opened, flow_closed, relay);
		return 0;
	}
	relay->steered = event_new(relay->base, fd, EV_READ | EV_PERSIST, flows_readable, relay);
	return relay->steered ? event_add(relay->steered, NULL) : -1;
}

/* ---- what the proxy calls ----------------------------------------------- */

struct relay *relay_new(struct event_base *base, const struct jpx_state *state, struct datapath *dp,
			struct netwatch *nw, struct flows *flows,
			void (*unreachable)(void *arg, unsigned int service_id), void *arg)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->base = base;
	relay->state = state;
	relay->flows = flows;
	relay->stats = datapath_socket_stats(dp);
	relay->macs = pledge_macs_new(dp, nw);
	relay->raw = raw_udp_new();
	relay->icmp = icmp_new(base, state, flows, relay->stats, unreachable, arg);
	if (relay->macs && relay->raw && relay->icmp && watch_flows(relay) == 0)
		return relay;
	relay_free(relay);
	return NULL;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	for (unsigned int s = 0; s < JPX_MAX_SERVICES; s++) {
		endpoint_close(relay->uplinks[s]);
		for (unsigned int p = 0; p < JPX_MAX_PORTS; p++)
			for (unsigned int in = 0; in < WAYS_IN; in++)
				endpoint_close(relay->joins[p][s][in]);
	}
	flows_watch_sockets(relay->flows, NULL, NULL, NULL);
	for (__u32 i = 0; relay->watches && i < relay->state->flow_config.slots; i++)
		flow_closed(relay, i);
	free(relay->watches);
	if (relay->steered)
		event_free(relay->steered);
	icmp_free(relay->icmp);
	raw_udp_free(relay->raw);
	pledge_macs_free(relay->macs);
	free(relay);
}

in_port_t relay_open_uplink(struct relay *relay, unsigned int service_id, in_port_t wanted)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6, .sin6_port = wanted };
	socklen_t len = sizeof(local);
	struct endpoint *ep;
	int fd;

	if (is_ipv4((const struct in6_addr *)relay->state->services[service_id].registrar))
		local.sin6_addr.s6_addr32[2] = htonl(0xffff);
	relay_close_uplink(relay, service_id);
	fd = udp_socket_open(&local, NULL, UDP_SOCKET_PKTINFO);
	if (fd < 0 && wanted) {
		local.sin6_port = 0;
		fd = udp_socket_open(&local, NULL, UDP_SOCKET_PKTINFO);
	}
	ep = endpoint_open(relay, fd, uplink_readable);
	if (!ep)
		return 0;
	ep->service_id = service_id;
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

/* Opens, closes or keeps one join socket.  0, or the errno for which there is none. */
static int sync_one(struct relay *relay, unsigned int port_id, unsigned int service_id,
		    enum way_in in)
{
	const struct jpx_port *port = &relay->state->ports[port_id];
	const struct jpx_service *service = &relay->state->services[service_id];
	struct endpoint **ep = &relay->joins[port_id][service_id][in];
	struct sockaddr_in6 local;
	bool wanted = ends_join(port, service, kinds[in], &local) && port->flags & JPX_PORT_READY &&
		      port->services >> service_id & 1;
	int fd;

	if (*ep && (!wanted || memcmp(&local, &(*ep)->local, sizeof(local)) ||
		    (*ep)->ifindex != port->ifindex)) {
		endpoint_close(*ep);
		*ep = NULL;
	}
	if (!wanted || *ep)
		return 0;
	if (in == IN_INTERCEPTED) {
		fd = intercept_socket(&local.sin6_addr, ntohs(local.sin6_port), port->ifname);
		if (fd < 0)
			return -fd;
	} else {
		/* Every link may have the same IPv4 link-local address. */
		fd = udp_socket_open(&local, in == IN_IPV4 ? port->ifname : NULL, 0);
	}
	*ep = endpoint_open(relay, fd, join_readable);
	if (!*ep)
		return errno;
	(*ep)->port_id = port_id;
	(*ep)->service_id = service_id;
	(*ep)->in = in;
	(*ep)->local = local;
	(*ep)->ifindex = port->ifindex;
	return 0;
}

void relay_sync(struct relay *relay)
{
	for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
		for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
			const struct jpx_port *port = &relay->state->ports[p];
			int error = 0, *before = &relay->join_errors[p][s];
			bool any = port->services >> s & 1;

			for (unsigned int in = 0; in < WAYS_IN; in++)
				any |= relay->joins[p][s][in] != NULL;
			for (unsigned int in = 0; any && in < WAYS_IN; in++) {
				int one = sync_one(relay, p, s, (enum way_in)in);

				error = error ? error : one;
			}
			if (error && error != *before)
				jpx_warning("%s: cannot listen on join port %u: %s", port->ifname,
					    ntohs(relay->state->services[s].join_port),
					    strerror(error));
			*before = error;
		}
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
			for (unsigned int in = 0; in < WAYS_IN; in++)
				collect_one(relay, relay->joins[p][s][in]);
	}
}
