/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See proxy.h. */
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "abilities.h"
#include "addr.h"
#include "datapath.h"
#include "features.h"
#include "flows.h"
#include "health.h"
#include "intercept.h"
#include "keepalive.h"
#include "log.h"
#include "lowpan.h"
#include "netwatch.h"
#include "pledge_links.h"
#include "relay.h"
#include "resolve.h"
#include "slots.h"
#include "table.h"
#include "words.h"
#include "xdp.h"

#define FIRST_JOIN_PORT	    JPX_COAPS_PORT
#define CONFIGURED_PRIORITY 100 /* where none is said: there is room before and behind */
#define CONFIGURED_WEIGHT   1
#define HANDSHAKE_S	    60 /* without a datagram for so long: none is running */
#define AUDIT_S		    10 /* how often programs are looked for where they should be */

struct proxy {
	struct event_base *base;
	struct datapath *dp;
	struct netwatch *nw;
	struct abilities *abilities;
	struct slots *slots;
	struct flows *flows;
	struct intercept *intercept;
	struct relay *relay;
	struct keepalive *keepalive;
	struct health *health;
	struct event *audit;
	struct event *pause; /* pending for a while after each refresh that the network caused */
	bool changed_in_pause;
	struct jpx_state state;
	struct in6_addr next_hops[JPX_MAX_SERVICES];
	enum jpx_xdp default_xdp;
	bool looks;	/* for Registrars, where none is configured */
	bool unsettled; /* discovered services changed since the last refresh() */
	/* Whose port ids were, and in which order they were given back (0: never). */
	struct {
		char ifname[JPX_IFNAME_LEN];
		unsigned long freed;
	} former[JPX_MAX_PORTS];
	unsigned long freed;
	struct proxy_answer *answer; /* of the verb that runs now, or NULL */
	struct event *told;	     /* the listener is to be told of a change */
	void (*listener)(void *arg);
	void *listener_arg;
};

/* ---- answers ------------------------------------------------------------ */

static int refuse(struct proxy_answer *answer, int error, bool usage, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(struct proxy_answer *answer, int error, bool usage, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(answer->error, sizeof(answer->error), fmt, ap);
	va_end(ap);
	answer->usage = usage;
	return error;
}

/* To whoever asked, or to the log when nobody did. */
static void note(struct proxy *proxy, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct proxy *proxy, const char *fmt, ...)
{
	struct proxy_answer *answer = proxy->answer;
	char line[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	jpx_info("%s", line);
	if (!answer)
		return;
	for (unsigned int i = 0; i < answer->note_count; i++)
		if (!strcmp(answer->notes[i], line))
			return;
	if (answer->note_count < PROXY_NOTES)
		memcpy(answer->notes[answer->note_count++], line, sizeof(line));
}

static void note_line(void *arg, const char *line)
{
	note(arg, "%s", line);
}

/* Can frames be redirected to this interface from a program in native mode? */
static bool can_transmit(const struct proxy *proxy, const struct resolve_way *way)
{
	/* Of those that are made, not built in. */
	static const char *const can[] = { "", "veth", "tun", "bond" };
	const struct netwatch_link *link;
	uint64_t features;

	if (abilities_xdp_features(proxy->abilities, way->tx_ifindex, &features) == 0)
		return features & JPX_XDP_ACT_NDO_XMIT;
	/* An older kernel: most NICs can, and a VLAN interface, say, cannot. */
	link = netwatch_link_by_index(proxy->nw, (int)way->tx_ifindex);
	for (size_t i = 0; link && i < sizeof(can) / sizeof(*can); i++)
		if (!strcmp(link->kind, can[i]))
			return way->link == JPX_LINK_ETHERNET;
	return false;
}

/* Does what our programs redirect to this interface leave it?  NATIVE: some of them run in native
 * mode. */
static bool takes_frames(const struct proxy *proxy, const struct resolve_way *way, bool native)
{
	const struct netwatch_link *link = netwatch_link_by_index(proxy->nw, (int)way->tx_ifindex);

	/* It sends to the address that the stack left in front of the packet, and XDP leaves none.
	 */
	if (link && lowpan_is_stacked(link))
		return false;
	return !native || can_transmit(proxy, way);
}

static bool any_port(const struct proxy *proxy)
{
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (proxy->state.ports[id].flags & JPX_PORT_IN_USE)
			return true;
	return false;
}

/* ---- making everything agree with the state ----------------------------- */

static struct jpx_vlan_key vlan_key(const struct jpx_port *port)
{
	return (struct jpx_vlan_key){
		.slot = port->slot,
		.outer_proto = port->l2_type[0],
		.outer_tci = port->l2_type[1],
		.inner_tci = port->l2_len == 22 ? port->l2_type[3] : 0,
	};
}

static void commit_port(struct proxy *proxy, unsigned int id, const struct jpx_port *next)
{
	struct jpx_port *port = &proxy->state.ports[id], quiet = *port;
	struct jpx_vlan_key key;

	if (!memcmp(port, next, sizeof(*port))) {
		if (next->tx_ifindex)
			datapath_put_tx(proxy->dp, JPX_TX_PORT(id), next->tx_ifindex);
		return;
	}
	if (table_port_is_tagged(port)) {
		key = vlan_key(port);
		datapath_put_vlan(proxy->dp, &key, 0);
	}
	/* Never the old link header on the new way out, even if we die in between. */
	if (port->flags & JPX_PORT_READY && port->tx_ifindex != next->tx_ifindex) {
		quiet.flags &= (__u8)~JPX_PORT_READY;
		datapath_put_port(proxy->dp, id, &quiet);
	}
	/* The way out first: a READY port promises it. */
	datapath_put_tx(proxy->dp, JPX_TX_PORT(id), next->tx_ifindex);
	datapath_put_port(proxy->dp, id, next);
	if (table_port_is_tagged(next)) {
		key = vlan_key(next);
		datapath_put_vlan(proxy->dp, &key, id);
	}
	if (next->flags & JPX_PORT_IN_USE && (port->flags ^ next->flags) & JPX_PORT_READY)
		jpx_info("%s: %s", next->ifname,
			 next->flags & JPX_PORT_READY ? "ready"
						      : "not ready (down, or no "
							"link-local address yet)");
	*port = *next;
}

/* A radio that was named before it was there, or before there was a 6LoWPAN interface on it.
 * False: that interface is a port already. */
static bool take_lowpan(struct proxy *proxy, struct jpx_port *port)
{
	const struct netwatch_link *link = netwatch_link_by_name(proxy->nw, port->ifname);
	const struct netwatch_link *lowpan =
		link && lowpan_is_radio(link) ? lowpan_on(proxy->nw, link) : NULL;

	if (!lowpan)
		return true;
	if (table_port_by_name(&proxy->state, lowpan->ifname))
		return false;
	jpx_info("%s: pledges are served on %s, the 6LoWPAN interface on it", port->ifname,
		 lowpan->ifname);
	memset(port->ifname, 0, sizeof(port->ifname));
	snprintf(port->ifname, sizeof(port->ifname), "%s", lowpan->ifname);
	return true;
}

/* What people call it by, also while the radio is unplugged and its interfaces are away. */
static void remember_radio(const struct proxy *proxy, struct jpx_port *port)
{
	const struct netwatch_link *link = netwatch_link_by_name(proxy->nw, port->ifname);
	const struct netwatch_link *radio = NULL;

	if (!link)
		return;
	if (lowpan_is_stacked(link)) {
		radio = netwatch_link_by_index(proxy->nw, link->parent);
		if (!radio) /* it goes first */
			return;
	}
	memset(port->radio, 0, sizeof(port->radio));
	if (radio)
		snprintf(port->radio, sizeof(port->radio), "%s", radio->ifname);
}

static void refresh_port(struct proxy *proxy, unsigned int id)
{
	struct jpx_port next = proxy->state.ports[id];
	struct resolve_way way;

	if (!take_lowpan(proxy, &next)) {
		/* Named anew while that interface was away. */
		memset(&next, 0, sizeof(next));
		commit_port(proxy, id, &next);
		return;
	}
	remember_radio(proxy, &next);
	resolve_port(proxy->nw, &next);
	next.services = table_services_of(&proxy->state, &next);
	next.slot = 0;
	next.l2_len = 0;
	next.tx_ifindex = next.ifindex;
	next.bounce_ifindex = 0;
	memset(next.l2_type, 0, sizeof(next.l2_type));
	next.flags |= JPX_PORT_NO_TRANSMIT;
	if (next.ifindex &&
	    resolve_way(proxy->nw, proxy->abilities, (int)next.ifindex, next.xdp, &way)) {
		next.slot = (__u16)slots_want(proxy->slots, &way, next.xdp);
		if (next.slot) {
			next.tx_ifindex = way.tx_ifindex;
			next.bounce_ifindex = way.bounce_ifindex;
			next.l2_len = way.l2_len;
			memcpy(next.l2_type, way.l2_type, sizeof(next.l2_type));
			if (takes_frames(proxy, &way, slots_any_native(proxy->slots, true)))
				next.flags &= (__u8)~JPX_PORT_NO_TRANSMIT;
		}
	}
	commit_port(proxy, id, &next);
}

/* Where the flows of a stateful service leave from: what the operator named, else what the route
 * gives; while there is no route, as before. */
static void refresh_uplinks(struct proxy *proxy, unsigned int id, struct jpx_service *service)
{
	struct in6_addr addrs[JPX_SERVICE_UPLINKS];
	bool ready[JPX_SERVICE_UPLINKS];
	unsigned int count = 0;

	if (service->flags & JPX_SERVICE_ADDRESSES) {
		for (; count < service->uplink_count; count++) {
			memcpy(&addrs[count], proxy->state.uplinks[service->uplinks[count]].addr,
			       16);
			ready[count] = netwatch_is_local(proxy->nw, &addrs[count]);
		}
	} else if (service->ifindex) {
		memcpy(&addrs[0], service->uplink, 16);
		ready[count++] = true;
	} else {
		return;
	}
	if (flows_set_uplinks(proxy->flows, id, service, addrs, ready, count))
		jpx_log_limited(JPX_LOG_WARNING,
				"registrar %s: more uplink addresses than the table of flows has "
				"room for (flows: max, ports)",
				service->name);
}

static void refresh_service(struct proxy *proxy, unsigned int id)
{
	struct jpx_service *service = &proxy->state.services[id], next = *service, quiet = next;
	struct resolve_way way;

	resolve_service(proxy->nw, proxy->abilities, &next, &proxy->next_hops[id]);
	next.flags &= (__u16)~JPX_SERVICE_SILENT;
	if (!health_usable(proxy->health, id)) {
		next.flags |= JPX_SERVICE_SILENT;
		next.flags &= (__u16)~JPX_SERVICE_ANSWERED;
	} else if (health_answered(proxy->health, id)) {
		next.flags |= JPX_SERVICE_ANSWERED;
	}
	if (next.mode == JPX_MODE_STATEFUL)
		refresh_uplinks(proxy, id, &next);
	next.flags &= (__u16)~JPX_SERVICE_NO_TRANSMIT;
	if (next.tx_ifindex && table_in_fast_path(&proxy->state, id) &&
	    resolve_way(proxy->nw, proxy->abilities, (int)next.ifindex, next.xdp, &way)) {
		slots_want(proxy->slots, &way, next.xdp);
		if (!takes_frames(proxy, &way, slots_any_native(proxy->slots, false)))
			next.flags |= JPX_SERVICE_NO_TRANSMIT;
	}
	if (!memcmp(service, &next, sizeof(next))) {
		if (next.tx_ifindex)
			datapath_put_tx(proxy->dp, JPX_TX_SERVICE(id), next.tx_ifindex);
		return;
	}
	if (service->flags & JPX_SERVICE_READY && service->tx_ifindex != next.tx_ifindex) {
		quiet.flags &= (__u16)~JPX_SERVICE_READY;
		datapath_put_service(proxy->dp, id, &quiet);
	}
	datapath_put_tx(proxy->dp, JPX_TX_SERVICE(id), next.tx_ifindex);
	datapath_put_service(proxy->dp, id, &next);
	if ((service->flags ^ next.flags) & JPX_SERVICE_READY)
		jpx_info("registrar %s: %s", next.name,
			 next.flags & JPX_SERVICE_READY ? "next hop resolved"
			 : next.ifindex			? "next hop not resolved"
							: "no route");
	*service = next;
}

/* Routes to local delivery of what pledges send to a Registrar's own address. */
static void refresh_intercept(struct proxy *proxy)
{
	static struct intercept_want wants[JPX_MAX_PORTS * 4];
	size_t count = 0;

	for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
		for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
			const struct jpx_service *service = &proxy->state.services[s];
			struct intercept_want *want = &wants[count];

			if (!(proxy->state.ports[p].services >> s & 1) ||
			    !(service->flags & JPX_SERVICE_INTERCEPT) ||
			    count == sizeof(wants) / sizeof(*wants))
				continue;
			memset(want, 0, sizeof(*want));
			snprintf(want->ifname, sizeof(want->ifname), "%s",
				 proxy->state.ports[p].ifname);
			memcpy(&want->registrar, service->registrar, 16);
			want->port = ntohs(service->registrar_port);
			count++;
		}
	intercept_sync(proxy->intercept, wants, count);
}

static void refresh(struct proxy *proxy)
{
	bool again = true;

	health_sync(proxy->health);
	/* A new uplink program changes what ports can transmit, and they what is an uplink. */
	for (int i = 0; again && i < 3; i++) {
		abilities_forget(proxy->abilities);
		slots_audit(proxy->slots, false);
		for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
			if (proxy->state.ports[id].flags & JPX_PORT_IN_USE)
				refresh_port(proxy, id);
		for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
			if (proxy->state.services[id].flags & JPX_SERVICE_IN_USE)
				refresh_service(proxy, id);
		again = slots_settle(proxy->slots);
	}
	refresh_intercept(proxy);
	relay_sync(proxy->relay);
	keepalive_run(proxy->keepalive);
	if (proxy->listener)
		event_active(proxy->told, EV_TIMEOUT, 0);
}

static void on_told(evutil_socket_t fd, short what, void *arg)
{
	struct proxy *proxy = arg;

	(void)fd;
	(void)what;
	if (proxy->listener)
		proxy->listener(proxy->listener_arg);
}

/*
 * At most ten times a second: a pledge that makes the neighbour table churn must
 * not keep the daemon busy.  The first change after a quiet time is served at once.
 */
static void on_change(void *arg)
{
	struct proxy *proxy = arg;
	struct timeval gap = { .tv_usec = 100000 };

	if (event_pending(proxy->pause, EV_TIMEOUT, NULL)) {
		proxy->changed_in_pause = true;
		return;
	}
	refresh(proxy);
	event_add(proxy->pause, &gap);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct proxy *proxy = arg;

	(void)fd;
	(void)what;
	if (!proxy->changed_in_pause)
		return;
	proxy->changed_in_pause = false;
	on_change(proxy);
}

/* What UDP port PORT (network order) means, as the state has it now. */
static void refresh_dport(struct proxy *proxy, __be16 port)
{
	struct jpx_dport dport = { .flow = flows_is_port(proxy->flows, ntohs(port)) };

	for (unsigned int id = 1; port && id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &proxy->state.services[id];

		if (!(service->flags & JPX_SERVICE_IN_USE))
			continue;
		if (service->join_port == port)
			dport.join = (__u8)id;
		if (service->uplink_port == port)
			dport.back = (__u8)id;
		if (service->flags & JPX_SERVICE_INTERCEPT && service->registrar_port == port)
			dport.intercept = (__u8)id;
	}
	if (port)
		datapath_put_dport(proxy->dp, ntohs(port), &dport);
}

static void refresh_dports_of(struct proxy *proxy, const struct jpx_service *service)
{
	refresh_dport(proxy, service->join_port);
	refresh_dport(proxy, service->uplink_port);
	refresh_dport(proxy, service->registrar_port);
}

/* ---- services ----------------------------------------------------------- */

/* A service as it was asked for, and the addresses that its flows shall leave from. */
struct wished {
	struct jpx_service service;
	struct in6_addr uplinks[JPX_SERVICE_UPLINKS];
	unsigned int uplink_count;
};

/* What is for one mode only. */
static int check_mode(const struct proxy_wish *wish, const struct in6_addr *registrar,
		      struct proxy_answer *answer)
{
	if (wish->mode != JPX_MODE_STATEFUL && (wish->intercept == 1 || wish->uplink_address_count))
		return refuse(answer, -EINVAL, true, "%s is for --mode stateful",
			      wish->intercept == 1 ? "--intercept" : "--uplink-address");
	if (wish->mode == JPX_MODE_STATEFUL && wish->form != PROXY_UNSET)
		return refuse(answer, -EINVAL, true,
			      "--jpy is for --mode stateless: there is no "
			      "JPY message in stateful mode");
	if (wish->intercept == 1 && jpx_addr_is_link_local(registrar))
		return refuse(answer, -EINVAL, true,
			      "--intercept: pledges cannot send to the link-local \"%s\" through a "
			      "router",
			      wish->registrar);
	return 0;
}

static int read_uplinks(const struct proxy_wish *wish, const struct in6_addr *registrar,
			struct wished *wished, struct proxy_answer *answer)
{
	if (wish->uplink_address_count > JPX_SERVICE_UPLINKS)
		return refuse(answer, -E2BIG, true, "%u uplink addresses are too many: %d at most",
			      wish->uplink_address_count, JPX_SERVICE_UPLINKS);
	for (unsigned int i = 0; i < wish->uplink_address_count; i++) {
		const char *text = wish->uplink_addresses[i];
		struct in6_addr *addr = &wished->uplinks[wished->uplink_count++];
		char why[256];

		if (jpx_addr_parse(text, addr, why, sizeof(why)))
			return refuse(answer, -EINVAL, true, "--uplink-address: %s", why);
		if (!jpx_addr_is_host(addr))
			return refuse(answer, -EINVAL, true,
				      "--uplink-address \"%s\" is not the address of one host",
				      text);
		if (IN6_IS_ADDR_V4MAPPED(addr) != IN6_IS_ADDR_V4MAPPED(registrar))
			return refuse(answer, -EINVAL, true,
				      "--uplink-address \"%s\" is not of the Registrar's family",
				      text);
	}
	return 0;
}

/* What may be said anew of a service that there is; what is not said stays. */
static void say_again(struct jpx_service *service, const struct proxy_wish *wish)
{
	if (wish->priority != PROXY_UNSET)
		service->priority = (__u16)wish->priority;
	if (wish->weight != PROXY_UNSET)
		service->weight = (__u16)wish->weight;
	if (wish->probe != PROXY_UNSET)
		service->flags &= (__u16)~JPX_SERVICE_NO_PROBE;
	if (wish->probe == 0)
		service->flags |= JPX_SERVICE_NO_PROBE;
}

static int wished_service(struct proxy *proxy, const struct proxy_wish *wish, struct wished *wished,
			  struct proxy_answer *answer)
{
	struct jpx_service *service = &wished->service;
	struct sockaddr_in6 sa;
	char why[256], zone[IF_NAMESIZE] = "";
	int ret;

	memset(wished, 0, sizeof(*wished));
	if (jpx_endpoint_parse(wish->registrar, 0, &sa, why, sizeof(why)))
		return refuse(answer, -EINVAL, true, "Registrar %s", why);
	if (!jpx_addr_is_host(&sa.sin6_addr))
		return refuse(answer, -EINVAL, true,
			      "Registrar \"%s\" is not the address of one host", wish->registrar);
	if (sa.sin6_scope_id && if_indextoname(sa.sin6_scope_id, zone) && !wish->uplink)
		snprintf(service->uplink_ifname, sizeof(service->uplink_ifname), "%s", zone);
	if (jpx_addr_is_link_local(&sa.sin6_addr) && !zone[0] && !wish->uplink)
		return refuse(answer, -EINVAL, true,
			      "Registrar \"%s\" is link-local and does not say on which interface; "
			      "add it (%%eth0) or use --uplink",
			      wish->registrar);
	ret = check_mode(wish, &sa.sin6_addr, answer);
	if (!ret)
		ret = read_uplinks(wish, &sa.sin6_addr, wished, answer);
	if (ret)
		return ret;
	if (wish->uplink && strlen(wish->uplink) >= sizeof(service->uplink_ifname))
		return refuse(answer, -EINVAL, true, "\"%s\" is no interface name", wish->uplink);
	if (wish->uplink)
		snprintf(service->uplink_ifname, sizeof(service->uplink_ifname), "%s",
			 wish->uplink);
	memcpy(service->registrar, &sa.sin6_addr, 16);
	service->registrar_port = sa.sin6_port;
	service->flags = JPX_SERVICE_IN_USE;
	service->mode = (__u8)(wish->mode == PROXY_UNSET ? JPX_MODE_STATELESS : wish->mode);
	service->form = (__u8)(wish->form == PROXY_UNSET ? JPX_FORM_DRAFT21 : wish->form);
	service->xdp = (__u8)(wish->xdp == PROXY_UNSET ? (int)proxy->default_xdp : wish->xdp);
	service->source = JPX_SOURCE_CONFIG;
	service->priority = CONFIGURED_PRIORITY;
	service->weight = CONFIGURED_WEIGHT;
	say_again(service, wish);
	if (wish->any_content == 1)
		service->flags |= JPX_SERVICE_ANY_CONTENT;
	if (wish->intercept == 1)
		service->flags |= JPX_SERVICE_INTERCEPT;
	if (wish->uplink_address_count)
		service->flags |= JPX_SERVICE_ADDRESSES;
	return 0;
}

/* What a stateful service has besides others, once it has its id. */
static int begin_stateful(struct proxy *proxy, unsigned int id, struct wished *wished,
			  struct proxy_answer *answer)
{
	struct jpx_service *service = &wished->service;
	char text[INET6_ADDRSTRLEN];
	bool ready[JPX_SERVICE_UPLINKS];

	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
		const struct jpx_service *other = &proxy->state.services[s];

		if (other->flags & JPX_SERVICE_IN_USE && other->flags & JPX_SERVICE_INTERCEPT &&
		    service->flags & JPX_SERVICE_INTERCEPT &&
		    other->registrar_port == service->registrar_port)
			return refuse(answer, -EEXIST, false,
				      "--intercept: registrar %s is intercepted on the same UDP "
				      "port %u; pledges can be told apart by the Registrar's port "
				      "only",
				      other->name, ntohs(other->registrar_port));
	}
	for (unsigned int i = 0; i < wished->uplink_count; i++) {
		ready[i] = netwatch_is_local(proxy->nw, &wished->uplinks[i]);
		if (!ready[i])
			note(proxy,
			     "uplink address %s is not on this host; flows leave from it as "
			     "soon as it is",
			     jpx_addr_format(&wished->uplinks[i], text, sizeof(text)));
	}
	if (flows_set_uplinks(proxy->flows, id, service, wished->uplinks, ready,
			      wished->uplink_count)) {
		flows_set_uplinks(proxy->flows, id, service, wished->uplinks, ready, 0);
		return refuse(
			answer, -ENOSPC, false,
			"the table of flows has no room for so many uplink addresses; give it "
			"more: in jpd.conf(5), flows: max, ports");
	}
	return 0;
}

/* Do KNOWN's flows leave from the addresses that WISHED names, if it names any, and no others? */
static bool same_uplinks(const struct proxy *proxy, const struct jpx_service *known,
			 const struct wished *wished)
{
	bool in[JPX_SERVICE_UPLINKS] = { false };

	if (!wished->uplink_count)
		return true;
	for (unsigned int i = 0; i < wished->uplink_count; i++) {
		bool found = false;

		for (unsigned int k = 0; k < known->uplink_count; k++)
			if (!memcmp(proxy->state.uplinks[known->uplinks[k]].addr,
				    &wished->uplinks[i], 16))
				found = in[k] = true;
		if (!found)
			return false;
	}
	for (unsigned int k = 0; k < known->uplink_count; k++)
		if (!in[k])
			return false;
	return true;
}

static int choose_join_port(struct proxy *proxy, const struct proxy_wish *wish, __be16 *join_port,
			    struct proxy_answer *answer)
{
	unsigned int other;

	if (wish->join_port != PROXY_UNSET) {
		*join_port = htons((uint16_t)wish->join_port);
		other = table_service_by_udp_port(&proxy->state, *join_port);
		if (other)
			return refuse(answer, -EADDRINUSE, false,
				      "UDP port %d is already registrar %s's; choose another "
				      "--join-port",
				      wish->join_port, proxy->state.services[other].name);
		if (flows_is_port(proxy->flows, (unsigned int)wish->join_port))
			return refuse(
				answer, -EADDRINUSE, false,
				"UDP port %d is one of those that flows leave from (%u to %u); "
				"choose another --join-port",
				wish->join_port, proxy->state.flow_config.first_port,
				proxy->state.flow_config.first_port +
					proxy->state.flow_config.port_count - 1);
		return 0;
	}
	for (unsigned int port = FIRST_JOIN_PORT; port < 65536; port++) {
		*join_port = htons((uint16_t)port);
		if (!table_service_by_udp_port(&proxy->state, *join_port) &&
		    !flows_is_port(proxy->flows, port))
			return 0;
	}
	return refuse(answer, -EADDRINUSE, false, "no UDP port is left for a join port");
}

/* Opens the uplink socket on the port of before, else on one that is no join port. */
static int open_uplink(struct proxy *proxy, unsigned int id)
{
	struct jpx_service *service = &proxy->state.services[id];
	__be16 before = service->uplink_port, port;

	for (int tries = 0; tries < 16; tries++) {
		port = relay_open_uplink(proxy->relay, id, before);
		if (!port)
			return errno ? -errno : -EIO;
		service->uplink_port = 0;
		if (!table_service_by_udp_port(&proxy->state, port) &&
		    !flows_is_port(proxy->flows, ntohs(port))) {
			service->uplink_port = port;
			return 0;
		}
		before = 0;
	}
	return -EADDRINUSE;
}

/* Sockets for the services that have none: all at first, later those that failed. */
static void open_uplinks(struct proxy *proxy)
{
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		struct jpx_service *service = &proxy->state.services[id];
		__be16 before = service->uplink_port;
		int ret;

		if (!(service->flags & JPX_SERVICE_IN_USE) || service->mode == JPX_MODE_STATEFUL ||
		    relay_has_uplink(proxy->relay, id))
			continue;
		ret = open_uplink(proxy, id);
		if (ret) {
			relay_close_uplink(proxy->relay, id);
			jpx_log_limited(JPX_LOG_WARNING,
					"registrar %s: cannot open a UDP socket: %s", service->name,
					strerror(-ret));
			service->uplink_port = before;
			continue;
		}
		if (service->uplink_port != before) {
			jpx_warning("registrar %s: UDP port %u was taken meanwhile, now sending "
				    "from %u",
				    service->name, ntohs(before), ntohs(service->uplink_port));
			refresh_dport(proxy, before);
			refresh_dport(proxy, service->uplink_port);
		}
	}
}

static void remove_service(struct proxy *proxy, unsigned int id)
{
	struct jpx_service *service = &proxy->state.services[id], before = *service;
	struct jpx_flow_request match = { .match = JPX_MATCH_SERVICE,
					  .key = { .service_id = (__u8)id } };

	service->flags = 0;
	refresh_dports_of(proxy, &before);
	service->flags = before.flags;
	relay_close_uplink(proxy->relay, id);
	for (unsigned int p = 1; p < JPX_MAX_PORTS; p++) {
		struct jpx_port next = proxy->state.ports[p];

		next.services &= ~(1ULL << id);
		commit_port(proxy, p, &next);
	}
	relay_sync(proxy->relay);
	memset(service, 0, sizeof(*service));
	datapath_put_service(proxy->dp, id, service);
	datapath_put_tx(proxy->dp, JPX_TX_SERVICE(id), 0);
	/* Last, when nothing opens new ones: the id may soon be another service's. */
	flows_end(proxy->flows, &match);
	flows_audit(proxy->flows);
	health_forget(proxy->health, id);
}

/* What was discovered gives way to what is configured; to who is found anew only what has retired
 * and has nothing going through it, else Registrars that come and are gone at once would fill the
 * table.  The id that is free then, or 0. */
static unsigned int make_room(struct proxy *proxy, bool for_configured)
{
	unsigned int best = 0, best_idle = 0;
	bool best_retired = false;

	for (unsigned int id = JPX_MAX_SERVICES - 1; id; id--) {
		const struct jpx_service *service = &proxy->state.services[id];
		bool retired = service->flags & JPX_SERVICE_RETIRED;
		unsigned int idle = health_idle(proxy->health, id);

		if (!table_service_is_discovered(service) ||
		    (!for_configured && (!retired || idle < HANDSHAKE_S)) ||
		    (best && retired < best_retired) ||
		    (best && retired == best_retired && idle <= best_idle))
			continue;
		best = id;
		best_idle = idle;
		best_retired = retired;
	}
	if (best)
		remove_service(proxy, best);
	return best;
}

static int create_service(struct proxy *proxy, const char *name, const struct proxy_wish *wish,
			  struct wished *wished, struct proxy_answer *answer)
{
	struct jpx_service *service = &wished->service;
	unsigned int id = table_free_service(&proxy->state);
	int ret;

	if (!id)
		id = make_room(proxy, service->source == JPX_SOURCE_CONFIG);
	if (!id)
		return refuse(answer, -ENOSPC, false, "%d Registrars are served, no more fit",
			      JPX_MAX_SERVICES - 1);
	ret = choose_join_port(proxy, wish, &service->join_port, answer);
	if (ret)
		return ret;
	snprintf(service->name, sizeof(service->name), "%s", name);
	if (service->mode == JPX_MODE_STATEFUL) {
		ret = begin_stateful(proxy, id, wished, answer);
		if (ret)
			return ret;
	}
	proxy->state.services[id] = *service;
	ret = service->mode == JPX_MODE_STATEFUL ? 0 : open_uplink(proxy, id);
	if (ret) {
		memset(&proxy->state.services[id], 0, sizeof(*service));
		return refuse(answer, ret, false,
			      "cannot open a UDP socket towards the Registrar: %s", strerror(-ret));
	}
	datapath_put_service(proxy->dp, id, &proxy->state.services[id]);
	refresh_dports_of(proxy, &proxy->state.services[id]);
	return (int)id;
}

/* Returns whether what WISH says was new. */
static bool change_service(struct proxy *proxy, unsigned int id, const struct proxy_wish *wish)
{
	struct jpx_service *service = &proxy->state.services[id], before = *service;

	say_again(service, wish);
	if (!memcmp(service, &before, sizeof(before)))
		return false;
	datapath_put_service(proxy->dp, id, service);
	return true;
}

/* The service that WISH names, made if there is none like it.  Its id, or a negative errno. */
static int implied_service(struct proxy *proxy, const struct proxy_wish *wish,
			   struct proxy_answer *answer)
{
	struct wished wished;
	unsigned int like;
	char name[JPX_NAME_LEN];
	int ret = wished_service(proxy, wish, &wished, answer);

	if (ret)
		return ret;
	like = table_service_like(&proxy->state, &wished.service);
	if (like) {
		const struct jpx_service *known = &proxy->state.services[like];

		if (wish->join_port != PROXY_UNSET && wish->join_port != ntohs(known->join_port))
			return refuse(answer, -EEXIST, false,
				      "that Registrar is already served as \"%s\" on join port %u",
				      known->name, ntohs(known->join_port));
		if (!same_uplinks(proxy, known, &wished))
			return refuse(
				answer, -EEXIST, false,
				"that Registrar is already served as \"%s\" from other uplink "
				"addresses",
				known->name);
		change_service(proxy, like, wish);
		return (int)like;
	}
	for (unsigned int i = 1;; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		if (!table_service_by_name(&proxy->state, name))
			break;
	}
	wished.service.flags |= JPX_SERVICE_IMPLIED;
	return create_service(proxy, name, wish, &wished, answer);
}

/* ---- verbs -------------------------------------------------------------- */

static void begin(struct proxy *proxy, struct proxy_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	proxy->answer = answer;
	slots_set_eager(proxy->slots, true);
}

static int end(struct proxy *proxy, int ret)
{
	proxy->answer = NULL;
	slots_set_eager(proxy->slots, false);
	return ret;
}

static void note_what_is_missing(struct proxy *proxy, unsigned int port_id)
{
	const struct jpx_port *port = &proxy->state.ports[port_id];

	if (!(port->flags & JPX_PORT_READY))
		note(proxy, "%s: waits until it is up and has a link-local address", port->ifname);
	if (!port->services && port->flags & JPX_PORT_CHOSEN)
		note(proxy,
		     "%s: the Registrars that it named are gone, others do not serve it; name "
		     "one: jpctl attach %s --registrar [ADDR]:PORT",
		     port->ifname, port->ifname);
	else if (!port->services && proxy->looks)
		note(proxy,
		     "%s: no Registrar to relay to yet; one is being looked for (jpctl registrar "
		     "list shows what is found), or add one: jpctl registrar add NAME [ADDR]:PORT",
		     port->ifname);
	else if (!port->services)
		note(proxy,
		     "%s: no Registrar to relay to yet; add one: jpctl registrar add NAME "
		     "[ADDR]:PORT",
		     port->ifname);
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
		const struct jpx_service *service = &proxy->state.services[s];
		int error = relay_join_error(proxy->relay, port_id, s);

		if (!(port->services >> s & 1))
			continue;
		if (error)
			note(proxy,
			     "%s: UDP port %u: %s; what the fast path passes up is lost "
			     "there (choose another --join-port)",
			     port->ifname, ntohs(service->join_port), strerror(error));
		if (!service->ifindex)
			note(proxy,
			     "registrar %s: no route to it; pledges are relayed as soon as "
			     "there is one",
			     service->name);
		if (service->flags & JPX_SERVICE_INTERCEPT && *intercept_error(proxy->intercept))
			note(proxy, "%s", intercept_error(proxy->intercept));
	}
}

/*
 * Answers to the pledges of a port that was detached may still come, and name it by
 * its id: they must not reach the pledges of another interface.  So an interface
 * gets the id that it had before, else one that was free for longest.
 */
static unsigned int choose_port_id(const struct proxy *proxy, const char *ifname)
{
	unsigned int best = table_free_port(&proxy->state);

	for (unsigned int id = best; id && id < JPX_MAX_PORTS; id++) {
		if (proxy->state.ports[id].flags & JPX_PORT_IN_USE)
			continue;
		if (!strcmp(proxy->former[id].ifname, ifname))
			return id;
		if (proxy->former[id].freed < proxy->former[best].freed)
			best = id;
	}
	return best;
}

static int new_port(struct proxy *proxy, const char *ifname, const struct proxy_wish *wish,
		    struct proxy_answer *answer)
{
	unsigned int id = choose_port_id(proxy, ifname);
	struct jpx_port *port;
	int ret;

	if (!id)
		return refuse(answer, -ENOSPC, false, "%d pledge ports are attached, no more fit",
			      JPX_MAX_PORTS - 1);
	ret = datapath_pin(proxy->dp);
	if (ret)
		return refuse(
			answer, ret, false, "cannot pin the fast path's maps: %s%s", strerror(-ret),
			ret == -EEXIST || ret == -EWOULDBLOCK
				? "; another jpd used the same --pin-dir meanwhile: restart one "
				  "of them"
				: "");
	port = &proxy->state.ports[id];
	memset(port, 0, sizeof(*port));
	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	port->flags = JPX_PORT_IN_USE;
	port->max_flows = wish->max_flows == PROXY_UNSET ? 0 : (__u32)wish->max_flows;
	port->xdp = (__u8)(wish->xdp == PROXY_UNSET ? (int)proxy->default_xdp : wish->xdp);
	return (int)id;
}

/* Of SERVICES, those that "attach --registrar" made and that no port uses. */
static void remove_unused(struct proxy *proxy, __u64 services)
{
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
		bool used = false;

		if (!(services >> s & 1) || !(proxy->state.services[s].flags & JPX_SERVICE_IMPLIED))
			continue;
		for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
			used |= proxy->state.ports[p].services >> s & 1;
		if (!used)
			remove_service(proxy, s);
	}
}

static void forget_port(struct proxy *proxy, unsigned int id)
{
	struct jpx_flow_request match = { .match = JPX_MATCH_PORT, .key = { .port_id = (__u8)id } };
	struct jpx_port none = { 0 };
	__u64 services = proxy->state.ports[id].services;

	memcpy(proxy->former[id].ifname, proxy->state.ports[id].ifname, JPX_IFNAME_LEN);
	proxy->former[id].freed = ++proxy->freed;
	commit_port(proxy, id, &none);
	flows_end(proxy->flows, &match);
	remove_unused(proxy, services);
	refresh(proxy);
	flows_audit(proxy->flows);
	if (!any_port(proxy)) {
		datapath_unpin(proxy->dp);
		xdp_tidy();
	}
}

static int attach(struct proxy *proxy, const char *ifname, const struct proxy_wish *wish,
		  struct proxy_answer *answer)
{
	unsigned int id = table_port_by_name(&proxy->state, ifname);
	const struct netwatch_link *link = netwatch_link_by_name(proxy->nw, ifname);
	bool fresh = !id;
	int service = 0, ret;
	struct jpx_port *port;

	if (!link && fresh && !wish->later)
		return refuse(answer, -ENODEV, false,
			      "there is no interface \"%s\"; ip -br link shows those that exist",
			      ifname);
	if (wish->xdp == JPX_XDP_NATIVE && !datapath_maps(proxy->dp))
		return refuse(answer, -EOPNOTSUPP, false,
			      "%s: native XDP was asked for but BPF is not available; jpctl check "
			      "says why",
			      ifname);
	if (wish->registrar) {
		service = implied_service(proxy, wish, answer);
		if (service < 0)
			return service;
	}
	if (fresh) {
		ret = new_port(proxy, ifname, wish, answer);
		if (ret < 0) {
			remove_unused(proxy, service ? 1ULL << service : 0);
			return ret;
		}
		id = (unsigned int)ret;
	}
	port = &proxy->state.ports[id];
	/* The same configuration again, line by line, must not cost a look at everything. */
	if (!fresh && wish->later && !service &&
	    (wish->max_flows == PROXY_UNSET || (__u32)wish->max_flows == port->max_flows) &&
	    (wish->xdp == PROXY_UNSET || wish->xdp == port->xdp))
		return 0;
	if (!fresh && wish->max_flows != PROXY_UNSET) {
		port->max_flows = (__u32)wish->max_flows;
		datapath_put_port(proxy->dp, id, port);
	}
	if (!fresh && wish->xdp != PROXY_UNSET && wish->xdp != port->xdp) {
		/* Another way of attaching: let go of the old one first.  But a VLAN's parent
		 * serves others, too. */
		unsigned int slot = table_port_is_tagged(port) ? 0 : port->slot;

		port->xdp = (__u8)wish->xdp;
		if (slot)
			slots_drop(proxy->slots, slot, true);
	}
	if (service) {
		if (!(port->flags & JPX_PORT_CHOSEN))
			port->services = 0;
		port->flags |= JPX_PORT_CHOSEN;
		port->services |= 1ULL << service;
		datapath_put_port(proxy->dp, id, port);
	}
	refresh(proxy);
	flows_audit(proxy->flows);
	if (fresh && link && (wish->xdp == JPX_XDP_NATIVE || wish->xdp == JPX_XDP_GENERIC) &&
	    !proxy->state.ports[id].slot) {
		struct resolve_way way;
		const char *why = NULL;

		if (resolve_way(proxy->nw, proxy->abilities, link->ifindex, (enum jpx_xdp)wish->xdp,
				&way))
			why = slots_failure(proxy->slots, way.tx_ifindex);
		ret = refuse(answer, -EOPNOTSUPP, false, "%s%s", why ? why : ifname,
			     why ? "" : ": XDP cannot be attached there; jpctl check says more");
		forget_port(proxy, id);
		return ret;
	}
	note_what_is_missing(proxy, id);
	return 0;
}

/* The 6LoWPAN interface on the radio of that name, or NULL. */
static const struct netwatch_link *lowpan_of(const struct proxy *proxy, const char *ifname)
{
	const struct netwatch_link *link = netwatch_link_by_name(proxy->nw, ifname);

	return link && lowpan_is_radio(link) ? lowpan_on(proxy->nw, link) : NULL;
}

/* Of a radio the 6LoWPAN interface on it, or that was on it and is a port; else IFNAME as it is. */
static const char *served_name(const struct proxy *proxy, const char *ifname)
{
	const struct netwatch_link *lowpan = lowpan_of(proxy, ifname);
	unsigned int id;

	if (lowpan)
		return lowpan->ifname;
	if (table_port_by_name(&proxy->state, ifname))
		return ifname;
	id = table_port_by_radio(&proxy->state, ifname);
	return id ? proxy->state.ports[id].ifname : ifname;
}

int proxy_attach(struct proxy *proxy, const char *ifname, const struct proxy_wish *wish,
		 struct proxy_answer *answer)
{
	const struct netwatch_link *link;
	char command[LOWPAN_COMMAND_LEN];
	const char *served;

	begin(proxy, answer);
	if (!*ifname || strlen(ifname) >= IF_NAMESIZE)
		return end(proxy,
			   refuse(answer, -EINVAL, true, "\"%s\" is no interface name", ifname));
	link = netwatch_link_by_name(proxy->nw, ifname);
	served = served_name(proxy, ifname);
	if (link && lowpan_is_radio(link) && !lowpan_of(proxy, ifname) && !wish->later)
		return end(proxy, refuse(answer, -ENODEV, false,
					 "%s is an 802.15.4 radio, and there is no 6LoWPAN "
					 "interface on it for "
					 "pledges to speak IPv6 to; make one: %s",
					 ifname, lowpan_command(proxy->nw, ifname, command)));
	if (served != ifname)
		note(proxy, "%s: pledges are served on %s, the 6LoWPAN interface on it", ifname,
		     served);
	snprintf(answer->ifname, sizeof(answer->ifname), "%s", served);
	return end(proxy, attach(proxy, served, wish, answer));
}

int proxy_detach(struct proxy *proxy, const char *ifname, struct proxy_answer *answer)
{
	unsigned int id;

	begin(proxy, answer);
	id = table_port_by_name(&proxy->state, ifname);
	if (!id)
		id = table_port_by_name(&proxy->state, served_name(proxy, ifname));
	if (!id)
		id = table_port_by_radio(&proxy->state, ifname);
	if (!id)
		return end(proxy,
			   refuse(answer, -ENOENT, false,
				  "\"%s\" is not attached; jpctl status lists what is", ifname));
	memcpy(answer->ifname, proxy->state.ports[id].ifname, sizeof(answer->ifname));
	forget_port(proxy, id);
	return end(proxy, 0);
}

/* One that "attach --registrar" made is now asked for by name: it stays, for every port. */
static int keep_service(struct proxy *proxy, unsigned int id, const struct proxy_wish *wish)
{
	struct jpx_service *service = &proxy->state.services[id];
	bool changed = change_service(proxy, id, wish);

	if (service->flags & JPX_SERVICE_IMPLIED) {
		service->flags &= (__u16)~JPX_SERVICE_IMPLIED;
		service->flags |= JPX_SERVICE_EVERY_PORT;
		datapath_put_service(proxy->dp, id, service);
		changed = true;
	}
	if (changed)
		refresh(proxy);
	return 0;
}

/* A discovered service becomes the one that is configured now: the same join port, so that neither
 * handshakes nor pledges that know of it notice. */
static int take_over(struct proxy *proxy, unsigned int id, const char *name,
		     const struct jpx_service *wished)
{
	struct jpx_service *service = &proxy->state.services[id];

	snprintf(service->name, sizeof(service->name), "%s", name);
	service->source = JPX_SOURCE_CONFIG;
	service->priority = wished->priority;
	service->weight = wished->weight;
	service->xdp = wished->xdp;
	service->flags &= (__u16)~JPX_SERVICE_RETIRED;
	service->flags |= wished->flags;
	datapath_put_service(proxy->dp, id, service);
	refresh(proxy);
	return 0;
}

int proxy_add_registrar(struct proxy *proxy, const char *name, const struct proxy_wish *wish,
			struct proxy_answer *answer)
{
	struct wished wished;
	unsigned int known, found;
	int ret;

	begin(proxy, answer);
	if (!*name || strlen(name) >= JPX_NAME_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
		    strlen(name))
		return end(proxy, refuse(answer, -EINVAL, true,
					 "\"%s\" is no name for a Registrar: 1 to %d letters, "
					 "digits, - _ .",
					 name, JPX_NAME_LEN - 1));
	if (!wish->registrar)
		return end(proxy, refuse(answer, -EINVAL, true,
					 "registrar %s: its address is missing", name));
	ret = wished_service(proxy, wish, &wished, answer);
	if (ret)
		return end(proxy, ret);
	wished.service.flags |= JPX_SERVICE_EVERY_PORT;
	known = table_service_by_name(&proxy->state, name);
	found = table_discovered_like(&proxy->state, &wished.service);
	if (found && (!known || known == found) &&
	    (wish->join_port == PROXY_UNSET ||
	     wish->join_port == ntohs(proxy->state.services[found].join_port)))
		return end(proxy, take_over(proxy, found, name, &wished.service));
	if (known && table_service_is_discovered(&proxy->state.services[known]))
		return end(proxy, refuse(answer, -EEXIST, false,
					 "a discovered registrar is called \"%s\"; choose another "
					 "name",
					 name));
	if (known && table_services_alike(&proxy->state.services[known], &wished.service) &&
	    same_uplinks(proxy, &proxy->state.services[known], &wished) &&
	    (wish->join_port == PROXY_UNSET ||
	     wish->join_port == ntohs(proxy->state.services[known].join_port)))
		return end(proxy, keep_service(proxy, known, wish)); /* said twice is said once */
	if (known)
		return end(proxy,
			   refuse(answer, -EEXIST, false,
				  "there is another registrar \"%s\"; remove it first: jpctl "
				  "registrar del %s",
				  name, name));
	ret = create_service(proxy, name, wish, &wished, answer);
	if (ret < 0)
		return end(proxy, ret);
	refresh(proxy);
	flows_audit(proxy->flows);
	if (!proxy->state.services[ret].ifindex)
		note(proxy,
		     "registrar %s: no route to it; pledges are relayed as soon as there "
		     "is one",
		     name);
	return end(proxy, 0);
}

int proxy_del_registrar(struct proxy *proxy, const char *name, struct proxy_answer *answer)
{
	const struct jpx_service *service;
	unsigned int id;

	begin(proxy, answer);
	id = table_service_by_name(&proxy->state, name);
	if (!id)
		return end(proxy, refuse(answer, -ENOENT, false,
					 "there is no registrar \"%s\"; jpctl registrar list shows "
					 "those that exist",
					 name));
	service = &proxy->state.services[id];
	if (table_service_is_discovered(service) && !(service->flags & JPX_SERVICE_RETIRED))
		return end(proxy,
			   refuse(answer, -EBUSY, false,
				  "registrar %s is discovered and would be found again; say in "
				  "jpd.conf(5), discovery, where and how Registrars are looked "
				  "for, or add one: jpctl registrar add NAME [ADDR]:PORT",
				  name));
	remove_service(proxy, id);
	refresh(proxy);
	return end(proxy, 0);
}

int proxy_choose(struct proxy *proxy, const char *ifname, const char *name,
		 struct proxy_answer *answer)
{
	unsigned int port_id, service_id;
	struct jpx_port *port;

	begin(proxy, answer);
	port_id = table_port_by_name(&proxy->state, served_name(proxy, ifname));
	service_id = table_service_by_name(&proxy->state, name);
	if (!port_id || !service_id ||
	    table_service_is_discovered(&proxy->state.services[service_id]))
		return end(proxy, refuse(answer, -ENOENT, true,
					 "port %s names a registrar \"%s\" that is not configured",
					 ifname, name));
	port = &proxy->state.ports[port_id];
	if (port->flags & JPX_PORT_CHOSEN && port->services >> service_id & 1)
		return end(proxy, 0);
	if (!(port->flags & JPX_PORT_CHOSEN))
		port->services = 0;
	port->flags |= JPX_PORT_CHOSEN;
	port->services |= 1ULL << service_id;
	datapath_put_port(proxy->dp, port_id, port);
	refresh(proxy);
	flows_audit(proxy->flows);
	return end(proxy, 0);
}

/* ---- what was discovered -------------------------------------------------- */

/* A name that tells where it comes from: coap-1, grasp-1, ... */
static void name_found(const struct proxy *proxy, const struct jpx_service *like,
		       char name[JPX_NAME_LEN])
{
	for (unsigned int i = 1;; i++) {
		snprintf(name, JPX_NAME_LEN, "%s-%u", jpx_source_word(like->source), i);
		if (!table_service_by_name(&proxy->state, name))
			return;
	}
}

int proxy_serve(struct proxy *proxy, const struct jpx_service *like)
{
	struct wished wished = { .service = *like };
	struct proxy_wish wish = PROXY_WISH_NONE;
	struct proxy_answer answer = { 0 };
	char name[JPX_NAME_LEN];
	int id;

	wished.service.flags = JPX_SERVICE_IN_USE | JPX_SERVICE_EVERY_PORT;
	wished.service.xdp = (__u8)proxy->default_xdp;
	name_found(proxy, like, name);
	id = create_service(proxy, name, &wish, &wished, &answer);
	if (id < 0) {
		jpx_log_limited(JPX_LOG_WARNING, "discovery: cannot serve a Registrar: %s",
				answer.error);
		return id;
	}
	proxy->unsettled = true;
	return id;
}

void proxy_serve_as(struct proxy *proxy, unsigned int id, __u16 priority, __u16 weight,
		    bool retired)
{
	struct jpx_service *service = &proxy->state.services[id];
	__u16 flags = service->flags & (__u16)~JPX_SERVICE_RETIRED;

	if (retired)
		flags |= JPX_SERVICE_RETIRED;
	if (!(flags & JPX_SERVICE_IN_USE) ||
	    (flags == service->flags && priority == service->priority && weight == service->weight))
		return;
	service->flags = flags;
	service->priority = priority;
	service->weight = weight;
	datapath_put_service(proxy->dp, id, service);
	proxy->unsettled = true;
}

void proxy_serve_no_more(struct proxy *proxy, unsigned int id)
{
	remove_service(proxy, id);
	proxy->unsettled = true;
}

void proxy_settle(struct proxy *proxy)
{
	if (!proxy->unsettled)
		return;
	proxy->unsettled = false;
	refresh(proxy);
	flows_audit(proxy->flows);
}

bool proxy_leads_to_pledges(struct proxy *proxy, const struct in6_addr *addr)
{
	struct netwatch_route route;
	struct pledge_links links;

	if (netwatch_route(proxy->nw, addr, 0, &route))
		return false;
	pledge_links_find(&proxy->state, proxy->nw, &links);
	return pledge_links_has(&links, (unsigned int)route.ifindex);
}

void proxy_tell(struct proxy *proxy, void (*listener)(void *arg), void *arg)
{
	proxy->listener = listener;
	proxy->listener_arg = arg;
}

unsigned int proxy_idle(const struct proxy *proxy, unsigned int id)
{
	return health_idle(proxy->health, id);
}

const struct netwatch *proxy_network(const struct proxy *proxy)
{
	return proxy->nw;
}

/* ---- life --------------------------------------------------------------- */

/* Takes over what a jpd before us pinned: the same ids, the same UDP ports. */
static void adopt(struct proxy *proxy)
{
	unsigned int ports = 0;
	struct jpx_vlan_key key;

	open_uplinks(proxy);
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		const struct jpx_port *port = &proxy->state.ports[id];

		ports += port->flags & JPX_PORT_IN_USE;
		if (table_port_is_tagged(port)) { /* died between port and VLAN */
			key = vlan_key(port);
			datapath_put_vlan(proxy->dp, &key, id);
		}
	}
	remove_unused(proxy, ~0ULL); /* died between service and port */
	jpx_info("adopted %u pledge port%s from the pinned maps", ports, ports == 1 ? "" : "s");
	if (!ports) { /* the one before died between pinning and attaching, or at the end */
		flows_audit(proxy->flows);
		datapath_unpin(proxy->dp);
	}
	slots_audit(proxy->slots, true);
}

static void on_audit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	slots_audit(((struct proxy *)arg)->slots, true);
	open_uplinks(arg);
	refresh(arg);
	flows_audit(((struct proxy *)arg)->flows);
}

static void count_service(void *arg, unsigned int service_id, uint32_t *to_registrar,
			  uint32_t *to_pledge)
{
	datapath_service_packets(((struct proxy *)arg)->dp, service_id, to_registrar, to_pledge);
}

static void on_unreachable(void *arg, unsigned int service_id)
{
	health_unreachable(((struct proxy *)arg)->health, service_id);
}

struct proxy *proxy_new(struct event_base *base, const char *pin_dir,
			const struct flows_limits *limits, char *err, size_t err_len)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	struct datapath_sizes sizes;
	char why_no_bpf[512];
	bool adopted;

	if (!proxy) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	proxy->base = base;
	proxy->pause = evtimer_new(base, on_pause_over, proxy);
	proxy->told = event_new(base, -1, 0, on_told, proxy);
	xdp_init();
	flows_sizes(limits, &sizes);
	if (datapath_open(pin_dir, &sizes, &proxy->dp, &proxy->state, &adopted, why_no_bpf,
			  sizeof(why_no_bpf), err, err_len)) {
		if (proxy->pause)
			event_free(proxy->pause);
		if (proxy->told)
			event_free(proxy->told);
		free(proxy);
		return NULL;
	}
	if (*why_no_bpf)
		jpx_warning("no fast path, the socket engine does everything: %s", why_no_bpf);
	proxy->nw = netwatch_new(base, on_change, proxy);
	if (!proxy->nw) {
		snprintf(err, err_len, "cannot watch the network over rtnetlink: %s",
			 strerror(errno));
		goto fail;
	}
	proxy->flows = flows_new(base, proxy->dp, &proxy->state, limits, adopted, err, err_len);
	/* A kernel that makes the maps may still refuse the programs.  Not where packets may be
	 * going through others already: those are not to be left without us. */
	if (!proxy->flows && !adopted && datapath_maps(proxy->dp) &&
	    !datapath_do_without(proxy->dp, &proxy->state)) {
		jpx_warning("no fast path, the socket engine does everything: %s; jpctl check "
			    "says what is missing",
			    err);
		proxy->flows =
			flows_new(base, proxy->dp, &proxy->state, limits, false, err, err_len);
	}
	if (!proxy->flows)
		goto fail;
	proxy->intercept = intercept_new(base);
	proxy->abilities = abilities_new();
	proxy->slots = slots_new(&proxy->state, proxy->dp, proxy->nw, note_line, proxy);
	proxy->health = health_new(base, &proxy->state, count_service, on_change, proxy);
	proxy->relay = relay_new(base, &proxy->state, proxy->dp, proxy->nw, proxy->flows,
				 on_unreachable, proxy);
	proxy->keepalive =
		keepalive_new(base, &proxy->state, proxy->next_hops, proxy->dp, proxy->nw);
	proxy->audit = event_new(base, -1, EV_PERSIST, on_audit, proxy);
	if (!proxy->abilities || !proxy->health || !proxy->intercept || !proxy->slots ||
	    !proxy->relay || !proxy->keepalive || !proxy->audit || !proxy->pause || !proxy->told ||
	    event_add(proxy->audit, &(struct timeval){ .tv_sec = AUDIT_S })) {
		snprintf(err, err_len, "out of memory");
		goto fail;
	}
	if (adopted)
		adopt(proxy);
	refresh(proxy);
	return proxy;
fail:
	proxy_free(proxy);
	return NULL;
}

void proxy_free(struct proxy *proxy)
{
	bool empty;

	if (!proxy)
		return;
	empty = !any_port(proxy);
	if (proxy->audit)
		event_free(proxy->audit);
	if (proxy->pause)
		event_free(proxy->pause);
	if (proxy->told)
		event_free(proxy->told);
	health_free(proxy->health);
	keepalive_free(proxy->keepalive);
	relay_free(proxy->relay);
	/* Without BPF nobody relays from here on: then nothing must be taken, either. */
	intercept_free(proxy->intercept, !empty && datapath_maps(proxy->dp));
	flows_free(proxy->flows, empty);
	slots_free(proxy->slots);
	abilities_free(proxy->abilities);
	netwatch_free(proxy->nw);
	datapath_close(proxy->dp, empty);
	if (empty)
		xdp_tidy();
	free(proxy);
}

void proxy_set_default_xdp(struct proxy *proxy, enum jpx_xdp xdp)
{
	proxy->default_xdp = xdp;
}

void proxy_set_discovery(struct proxy *proxy, bool looks)
{
	proxy->looks = looks;
}

void proxy_set_flow_limits(struct proxy *proxy, const struct flows_limits *limits)
{
	char note_text[320];

	if (!flows_set_limits(proxy->flows, limits, note_text, sizeof(note_text)))
		jpx_warning("%s", note_text);
}

long proxy_end_flows(struct proxy *proxy, const struct jpx_flow_request *match)
{
	return flows_end(proxy->flows, match);
}

struct flowlist *proxy_flows(struct proxy *proxy)
{
	return flows_list(proxy->flows);
}

const struct jpx_state *proxy_state(struct proxy *proxy)
{
	flows_count(proxy->flows, proxy->state.flow_counts);
	return &proxy->state;
}

const char *proxy_why(struct proxy *proxy, unsigned int service_id, char *buf, size_t len)
{
	return health_text(proxy->health, service_id, buf, len);
}

int proxy_counters(struct proxy *proxy, struct jpx_counters *counters)
{
	relay_collect(proxy->relay);
	return datapath_counters(proxy->dp, counters);
}
