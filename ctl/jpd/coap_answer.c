/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Being found by CoAP: on pledge ports pledges' GETs of /.well-known/core are answered, sent to
 * ff02::fd (RFC 7252 12.8) or to the port's own link-local address, by coap_links.h.  What the
 * answer says is announce_links.c's.
 */
#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "announce_links.h"
#include "clock.h"
#include "coap_links.h"
#include "discovery.h"
#include "log.h"

static_assert(ANNOUNCE_FILTER_MAX <= COAP_LINKS_FILTER_MAX, "what selects links is not too long");
static_assert(ANNOUNCE_LINKS_MAX <= COAP_LINKS_MAX, "all join ports fit in an answer");

static const char *const groups[] = { "ff02::fd", NULL };

/*
 * On Ethernet the leisure (coap_links.h) is a matter of milliseconds for any number of proxies that
 * one link has; 250 leaves room for Wi-Fi, and a pledge does not feel it.  A bare IPv6 link is a
 * radio as a rule: there it is the RFC's DEFAULT_LEISURE, and so is the rate that suits 250 kbit/s.
 */
static const struct pace {
	unsigned int leisure; /* ms */
	unsigned int rate;    /* answers a second */
} paces[] = {
	[JPX_LINK_ETHERNET] = { 250, 32 },
	[JPX_LINK_IPV6] = { 5000, 8 },
};

struct port {
	struct coap_answer *way;
	struct discovery_port view;
	struct coap_links *links;
};

struct coap_answer {
	struct event_base *base;
	struct port *ports[JPX_MAX_PORTS];
	unsigned int port_count;
	unsigned int leisure; /* ms; 0: by the kind of link */
	uint64_t secret;
};

static const struct pace *pace_of(const struct port *port)
{
	return &paces[port->view.link == JPX_LINK_ETHERNET ? JPX_LINK_ETHERNET : JPX_LINK_IPV6];
}

static unsigned int leisure_of(const struct port *port)
{
	return port->way->leisure ? port->way->leisure : pace_of(port)->leisure;
}

static size_t links_for(void *arg, const struct in6_addr *pledge, const char *filter,
			size_t filter_len, char *buf, size_t len)
{
	const struct port *port = arg;
	uint64_t seed = announce_seed(pledge, port->way->secret, jpx_now_ms() / 1000);

	return announce_links(&port->view, filter, filter_len, seed, buf, len);
}

static void port_free(struct port *port)
{
	if (!port)
		return;
	coap_links_free(port->links);
	free(port);
}

static struct port *port_new(struct coap_answer *way, const struct discovery_port *view)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port) {
		jpx_log_limited(JPX_LOG_ERROR,
				"%s: cannot answer CoAP discovery: not enough memory",
				view->ifname);
		return NULL;
	}
	port->way = way;
	port->view = *view;
	port->links = coap_links_new(way->base, &(struct coap_links_config){
							.ifname = view->ifname,
							.ifindex = view->ifindex,
							.addr = view->addr,
							.groups = groups,
							.leisure_ms = leisure_of(port),
							.rate = pace_of(port)->rate,
							/* A pledge has a link-local address and
							 * nothing else. */
							.neighbours_only = true,
							.links = links_for,
							.arg = port,
						});
	if (port->links)
		return port;
	free(port);
	return NULL;
}

/* ---- the way ------------------------------------------------------------------------ */

static void stop(void *arg)
{
	struct coap_answer *way = arg;

	if (!way)
		return;
	for (unsigned int i = 0; i < way->port_count; i++)
		port_free(way->ports[i]);
	free(way);
}

static void *start(struct event_base *base, struct registrars *registrars)
{
	struct coap_answer *way = calloc(1, sizeof(*way));

	(void)registrars; /* nothing heard on a pledge port makes a Registrar */
	if (!way || getrandom(&way->secret, sizeof(way->secret), 0) != sizeof(way->secret)) {
		jpx_error("cannot answer CoAP discovery: not enough memory");
		stop(way);
		return NULL;
	}
	way->base = base;
	return way;
}

/* The port of IFINDEX among those from *AT on, which becomes the place behind it: ports seldom
 * change their order. */
static struct port *take(struct port *ports[], unsigned int count, unsigned int *at,
			 unsigned int ifindex)
{
	for (unsigned int i = 0; i < count; i++) {
		unsigned int place = (*at + i) % count;
		struct port *port = ports[place];

		if (port && port->view.ifindex == ifindex) {
			ports[place] = NULL;
			*at = place + 1;
			return port;
		}
	}
	return NULL;
}

static void update(struct port *port, const struct discovery_port *view)
{
	port->view = *view;
	coap_links_set_leisure(port->links, leisure_of(port));
	coap_links_move(port->links, &view->addr);
}

static void sync(void *arg, const struct discovery_view *view)
{
	unsigned int count = view->settings->coap_answer ? view->port_count : 0, at = 0;
	struct port *old[JPX_MAX_PORTS];
	struct coap_answer *way = arg;
	unsigned int old_count = way->port_count;

	memcpy(old, way->ports, old_count * sizeof(old[0]));
	way->leisure = view->settings->leisure;
	way->port_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct port *port;

		/* ff02::fd is IPv6's, and so is all of it */
		if (!IN6_IS_ADDR_LINKLOCAL(&view->ports[i].addr))
			continue;
		port = take(old, old_count, &at, view->ports[i].ifindex);
		if (port)
			update(port, &view->ports[i]);
		else
			port = port_new(way, &view->ports[i]);
		if (port)
			way->ports[way->port_count++] = port;
	}
	for (unsigned int i = 0; i < old_count; i++)
		if (old[i])
			port_free(old[i]);
}

const struct discovery_way discovery_coap_answer = { "coap-answer", start, sync, stop };
