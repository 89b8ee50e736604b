/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See icmp.h. */
#include "icmp.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/wire.h>

#include "ends.h"
#include "flows.h"
#include "icmp_error.h"
#include "log.h"
#include "raw_ip.h"

#define BATCH  32    /* errors that a wakeup reads, so that they starve nobody */
#define BUFFER 65536 /* the largest there is */

struct icmp {
	const struct jpx_state *state;
	struct flows *flows;
	struct jpx_stats *counters;
	icmp_unreachable_fn *unreachable;
	void *arg;
	struct event *event6, *event4;
	unsigned char in[BUFFER];
};

/* Where an error arrived. */
struct arrival {
	struct in6_addr to;
	unsigned int ifindex;
};

static int fd_for(const struct icmp *icmp, bool ipv4)
{
	return event_get_fd(ipv4 ? icmp->event4 : icmp->event6);
}

/* Tells the pledge of KEY; E is in its version of IP by now. */
static void tell(struct icmp *icmp, unsigned int port_id, const struct sockaddr_in6 *pledge,
		 const struct icmp_error *e, enum jpx_told what)
{
	const struct jpx_port *port = &icmp->state->ports[port_id];
	struct jpx_stats *stats = &icmp->counters[port_id];
	unsigned char message[ICMP_ERROR_MAX];
	struct iovec iov = { message, icmp_error_write(e, message) };
	struct in6_addr from;
	int ret = -ENODEV;

	if (port->ifindex && ends_proxy(port, e->ipv4, &from))
		ret = raw_ip_send(fd_for(icmp, e->ipv4), &from, pledge, port->ifindex, &iov, 1);
	if (ret == 0) {
		stats->told[what]++;
		return;
	}
	stats->drops[JPX_DROP_SEND_FAILED]++;
	jpx_log_limited(JPX_LOG_WARNING, "%s: cannot send an ICMP error to a pledge: %s",
			port->ifname, strerror(-ret));
}

/* ---- refusals -------------------------------------------------------------- */

void icmp_refuse(struct icmp *icmp, unsigned int port_id, unsigned int service_id,
		 unsigned int kind, const struct sockaddr_in6 *pledge, const void *content,
		 size_t len)
{
	struct icmp_error e = { .hops = JPX_HOP_LIMIT };
	struct sockaddr_in6 join;

	if (!ends_join(&icmp->state->ports[port_id], &icmp->state->services[service_id], kind,
		       &join))
		return;
	e.ipv4 = kind & JPX_FLOW_IPV4;
	e.type = e.ipv4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH;
	e.code = e.ipv4 ? ICMP_PKT_FILTERED : ICMP6_DST_UNREACH_ADMIN;
	icmp_error_about_whole(&e, pledge, &join, content, len);
	tell(icmp, port_id, pledge, &e, JPX_TOLD_REFUSED);
}

/* ---- errors from the uplink ---------------------------------------------------- */

static bool is_stateful(const struct jpx_service *service)
{
	return service->flags & JPX_SERVICE_IN_USE && service->mode == JPX_MODE_STATEFUL;
}

static bool any_stateful(const struct icmp *icmp)
{
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
		if (is_stateful(&icmp->state->services[s]))
			return true;
	return false;
}

/* Else errors are no concern of ours, whatever they quote. */
static bool any_service(const struct icmp *icmp)
{
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
		if (icmp->state->services[s].flags & JPX_SERVICE_IN_USE)
			return true;
	return false;
}

/* The live flow that a datagram as E quotes it was of, if the error came on a way on which
 * errors about it can come. */
static const struct jpx_flow *flow_of(struct icmp *icmp, const struct icmp_error *e,
				      const struct arrival *at)
{
	const struct jpx_flow *flow =
		flows_by_uplink(icmp->flows, &e->from.sin6_addr, e->from.sin6_port);
	const struct jpx_service *service;
	const struct jpx_port *port;

	if (!flow || !flows_is_live(icmp->flows, flow) ||
	    !IN6_ARE_ADDR_EQUAL(&e->from.sin6_addr, &at->to))
		return NULL;
	service = &icmp->state->services[flow->key.service_id];
	port = &icmp->state->ports[flow->key.port_id];
	if (!is_stateful(service) || memcmp(&e->to.sin6_addr, service->registrar, 16) ||
	    e->to.sin6_port != service->registrar_port ||
	    !ends_is_uplink(icmp->state, service, at->ifindex))
		return NULL;
	if (!(port->flags & JPX_PORT_IN_USE) || !(port->services >> flow->key.service_id & 1))
		return NULL;
	return flow;
}

/* The stateless service that a datagram as E quotes it was of, likewise; or 0. */
static unsigned int stateless_of(const struct icmp *icmp, const struct icmp_error *e,
				 const struct arrival *at)
{
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
		const struct jpx_service *service = &icmp->state->services[s];

		if (service->flags & JPX_SERVICE_IN_USE && service->mode == JPX_MODE_STATELESS &&
		    service->uplink_port && e->from.sin6_port == service->uplink_port &&
		    e->to.sin6_port == service->registrar_port &&
		    !memcmp(&e->from.sin6_addr, service->uplink, 16) &&
		    !memcmp(&e->to.sin6_addr, service->registrar, 16) &&
		    IN6_ARE_ADDR_EQUAL(&e->from.sin6_addr, &at->to) &&
		    ends_is_uplink(icmp->state, service, at->ifindex))
			return s;
	}
	return 0;
}

/* Not: too big, time exceeded, a parameter that somebody did not like. */
static bool says_unreachable(const struct icmp_error *e)
{
	return e->ipv4 ? e->type == ICMP_DEST_UNREACH && e->code != ICMP_FRAG_NEEDED
		       : e->type == ICMP6_DST_UNREACH;
}

static void note_unreachable(struct icmp *icmp, const struct icmp_error *e,
			     const struct arrival *at)
{
	const struct jpx_flow *flow;
	unsigned int service_id;

	if (!says_unreachable(e))
		return;
	flow = flow_of(icmp, e, at);
	service_id = flow ? flow->key.service_id : stateless_of(icmp, e, at);
	if (service_id)
		icmp->unreachable(icmp->arg, service_id);
}

/* The flow is not touched: that errors come keeps nothing alive. */
static enum jpx_drop pass_on(struct icmp *icmp, struct icmp_error *e, const struct arrival *at)
{
	const struct jpx_flow *flow = flow_of(icmp, e, at);
	struct sockaddr_in6 pledge, join;
	const struct jpx_port *port;
	struct jpx_flow_key key;

	if (!flow) /* of datagrams that were never a flow's others take care */
		return flows_is_uplink(icmp->flows, &e->from.sin6_addr, e->from.sin6_port)
			       ? JPX_DROP_ICMP_NO_FLOW
			       : JPX_RELAY;
	key = flow->key;
	port = &icmp->state->ports[key.port_id];
	ends_pledge(port, &key, &pledge);
	if (!ends_join(port, &icmp->state->services[key.service_id], key.kind, &join))
		return JPX_DROP_ICMP_NO_FLOW;
	if (e->ipv4 != !!(key.kind & JPX_FLOW_IPV4) && !icmp_error_translate(e))
		return JPX_DROP_ICMP_NO_WORD;
	if (!flows_may_pass_on(icmp->flows, key.port_id))
		return JPX_DROP_ICMP_RATE;
	icmp_error_about(e, &pledge, &join);
	tell(icmp, key.port_id, &pledge, e, JPX_TOLD_ERROR);
	return JPX_RELAY;
}

static void take(struct icmp *icmp, bool ipv4, const unsigned char *msg, size_t len,
		 const struct arrival *at)
{
	enum jpx_drop reason = JPX_RELAY;
	struct icmp_error e;

	switch (icmp_error_read(ipv4, msg, len, &e)) {
	case ICMP_READ_OTHER:
		break;
	case ICMP_READ_SHORT:
		if (any_stateful(icmp))
			reason = JPX_DROP_ICMP_SHORT;
		break;
	case ICMP_READ_DONE:
		note_unreachable(icmp, &e, at);
		reason = pass_on(icmp, &e, at);
		break;
	}
	if (reason != JPX_RELAY)
		icmp->counters[0].drops[reason]++;
}

static bool arrived_at(struct msghdr *msg, struct arrival *at)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct in6_pktinfo info6;
		struct in_pktinfo info4;

		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			*at = (struct arrival){ info6.ipi6_addr, info6.ipi6_ifindex };
			return true;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			*at = (struct arrival){ .ifindex = (unsigned int)info4.ipi_ifindex };
			at->to.s6_addr32[2] = htonl(0xffff);
			at->to.s6_addr32[3] = info4.ipi_addr.s_addr;
			return true;
		}
	}
	return false;
}

/* A raw socket of IPv4 gives the IP header, too; the kernel has checked it. */
static size_t ip4_header(const unsigned char *packet, size_t len)
{
	size_t hlen = (size_t)(packet[0] & 0xf) * 4;

	return hlen < len ? hlen : len;
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct icmp *icmp = arg;
	bool ipv4 = fd == fd_for(icmp, true), ours = any_service(icmp);

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		union {
			struct cmsghdr align;
			unsigned char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		} control;
		struct iovec iov = { icmp->in, sizeof(icmp->in) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		ssize_t len = recvmsg(fd, &msg, MSG_DONTWAIT);
		struct arrival at;
		size_t skip;

		if (len < 0)
			return;
		skip = ipv4 ? ip4_header(icmp->in, (size_t)len) : 0;
		if (ours && arrived_at(&msg, &at))
			take(icmp, ipv4, icmp->in + skip, (size_t)len - skip, &at);
	}
}

/* ---- life ------------------------------------------------------------------------ */

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Of all ICMP only errors wake us up. */
static int hear_errors6(int fd)
{
	struct icmp6_filter filter;

	ICMP6_FILTER_SETBLOCKALL(&filter);
	for (int type = ICMP6_DST_UNREACH; type <= ICMP6_PARAM_PROB; type++)
		ICMP6_FILTER_SETPASS(type, &filter);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
}

static int hear_errors4(int fd)
{
	struct icmp_filter filter = { ~(1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED |
					1U << ICMP_PARAMETERPROB) };

	return setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
}

static struct event *open_raw(struct event_base *base, struct icmp *icmp, bool ipv4)
{
	int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			ipv4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
	struct event *event = NULL;
	int saved;

	if (fd < 0)
		return NULL;
	if ((ipv4 ? hear_errors4(fd) || set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) ||
			     set_int(fd, IPPROTO_IP, IP_TTL, JPX_HOP_LIMIT)
		  : hear_errors6(fd) || set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) ||
			     set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, JPX_HOP_LIMIT)) == 0) {
		errno = ENOMEM;
		event = event_new(base, fd, EV_READ | EV_PERSIST, readable, icmp);
		if (event && event_add(event, NULL) == 0)
			return event;
	}
	saved = errno;
	if (event)
		event_free(event);
	close(fd);
	errno = saved;
	return NULL;
}

static void close_raw(struct event *event)
{
	int fd;

	if (!event)
		return;
	fd = event_get_fd(event);
	event_free(event);
	close(fd);
}

struct icmp *icmp_new(struct event_base *base, const struct jpx_state *state, struct flows *flows,
		      struct jpx_stats *counters, icmp_unreachable_fn *unreachable, void *arg)
{
	struct icmp *icmp = calloc(1, sizeof(*icmp));

	if (!icmp)
		return NULL;
	icmp->state = state;
	icmp->flows = flows;
	icmp->counters = counters;
	icmp->unreachable = unreachable;
	icmp->arg = arg;
	icmp->event6 = open_raw(base, icmp, false);
	icmp->event4 = open_raw(base, icmp, true);
	if (icmp->event6 && icmp->event4)
		return icmp;
	icmp_free(icmp);
	return NULL;
}

void icmp_free(struct icmp *icmp)
{
	int saved = errno;

	if (!icmp)
		return;
	close_raw(icmp->event6);
	close_raw(icmp->event4);
	free(icmp);
	errno = saved;
}
