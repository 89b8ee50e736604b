/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See announce.h. */
#include "announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "announce_links.h"
#include "coap_links.h"
#include "grasp.h"
#include "log.h"

#define PERIOD_S 60	/* RFC 8995 4.3: not more often */
#define TTL_MS	 180000 /* three of them */
#define FLAGS	 4	/* synchronization only */
#define LOOPS	 255
#define LOOK_S	 10 /* for addresses that come and go */

/* Join Proxies are few, and not many Registrars answer each. */
#define LEISURE_MS 250
#define RATE	   32

/* join-proxy-21 5.1: the site, or the realm; and the link, for whoever asks one hop away. */
static const char *const groups[] = { "ff02::fd", "ff03::fd", "ff05::fd", NULL };

/* join-proxy-11 to -15 print the first two values; brski-discovery-07 4.2.1 the name of its own. */
static const struct objective {
	const char *name, *value;
	bool jpy; /* port */
} objectives[] = {
	{ "AN_join_registrar", "BRSKI_RJP", true },
	{ "AN_join_registrar_rjp", "rrm-cose", true },
	{ "AN_join_registrar", "BRSKI_JP", false },
};
#define OBJECTIVES (sizeof(objectives) / sizeof(*objectives))

struct announce {
	struct announce_config config;
	struct event_base *base;
	unsigned int ifindex;
	struct in6_addr addr, link_local; /* ::, where there is none */
	bool silent;			  /* it was said that there is no address */
	int error;			  /* of flooding, that was said */
	struct coap_links *links;
	struct event *look, *flood;
};

/* ---- GRASP ---- */

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, option, &value, sizeof(value));
}

static int send_flood(const struct announce *a, const unsigned char *message, size_t len)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6,
				      .sin6_addr = a->link_local,
				      .sin6_scope_id = a->ifindex };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(GRASP_PORT),
				   .sin6_scope_id = a->ifindex };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret = 0;

	if (fd < 0)
		return -errno;
	inet_pton(AF_INET6, GRASP_GROUP, &to.sin6_addr);
	if (set_int(fd, IPV6_MULTICAST_HOPS, 1) || set_int(fd, IPV6_MULTICAST_LOOP, 0) ||
	    set_int(fd, IPV6_MULTICAST_IF, (int)a->ifindex) ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    sendto(fd, message, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int flood(const struct announce *a)
{
	struct grasp_flood flood = { .initiator = a->addr, .ttl = TTL_MS, .count = OBJECTIVES };
	unsigned char message[GRASP_MAX];
	int len;

	evutil_secure_rng_get_bytes(&flood.session, sizeof(flood.session));
	for (size_t i = 0; i < OBJECTIVES; i++) {
		struct grasp_item *item = &flood.items[i];

		*item = (struct grasp_item){
			.flags = FLAGS,
			.loop_count = LOOPS,
			.has_value = true,
			.has_locator = true,
			.addr = a->addr,
			.proto = GRASP_UDP,
			.port = ntohs(objectives[i].jpy ? a->config.jpy.sin6_port
							: a->config.coaps.sin6_port),
		};
		strncpy(item->name, objectives[i].name, sizeof(item->name) - 1);
		strncpy(item->value, objectives[i].value, sizeof(item->value) - 1);
	}
	len = grasp_write(&flood, message, sizeof(message));
	return len < 0 ? len : send_flood(a, message, (size_t)len);
}

static void on_flood(evutil_socket_t fd, short what, void *arg)
{
	struct announce *a = arg;
	int ret = 0;

	(void)fd;
	(void)what;
	event_add(a->flood, &(struct timeval){ .tv_sec = PERIOD_S });
	if (!IN6_IS_ADDR_UNSPECIFIED(&a->addr) && !IN6_IS_ADDR_UNSPECIFIED(&a->link_local))
		ret = flood(a);
	if (ret && ret != a->error)
		jpx_warning("%s: cannot announce the Registrar by GRASP: %s; tried again every %d "
			    "s",
			    a->config.ifname, strerror(-ret), PERIOD_S);
	a->error = ret;
}

/* ---- CoAP ---- */

static size_t links_for(void *arg, const struct in6_addr *from, const char *filter,
			size_t filter_len, char *buf, size_t len)
{
	const struct announce *a = arg;

	(void)from;
	return announce_links_write(&a->addr, ntohs(a->config.jpy.sin6_port),
				    ntohs(a->config.coaps.sin6_port), filter, filter_len, buf, len);
}

/* ---- addresses ---- */

/* The interface's first of either kind, or ::; but what was announced before, if it still has that:
 * the kernel puts new ones, such as temporary ones (RFC 8981), before the others. */
static void find_addresses(const struct announce *a, struct in6_addr *addr,
			   struct in6_addr *link_local)
{
	const struct in6_addr *told = &a->config.jpy.sin6_addr;
	bool any = IN6_IS_ADDR_UNSPECIFIED(told);
	struct ifaddrs *all, *at;

	*addr = *link_local = in6addr_any;
	if (getifaddrs(&all))
		return;
	for (at = all; at; at = at->ifa_next) {
		const struct in6_addr *found;

		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET6 ||
		    strcmp(at->ifa_name, a->config.ifname) != 0)
			continue;
		found = &((struct sockaddr_in6 *)at->ifa_addr)->sin6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(found)) {
			if (IN6_IS_ADDR_UNSPECIFIED(link_local))
				*link_local = *found;
		} else if (any ? IN6_IS_ADDR_UNSPECIFIED(addr) ||
					   IN6_ARE_ADDR_EQUAL(&a->addr, found)
			       : IN6_ARE_ADDR_EQUAL(told, found)) {
			*addr = *found;
		}
	}
	freeifaddrs(all);
}

static void open_links(struct announce *a)
{
	const struct coap_links_config config = {
		.ifname = a->config.ifname,
		.ifindex = a->ifindex,
		.addr = a->addr,
		.groups = groups,
		.leisure_ms = LEISURE_MS,
		.rate = RATE,
		.links = links_for,
		.arg = a,
	};

	if (a->links)
		coap_links_move(a->links, &a->addr);
	else
		a->links = coap_links_new(a->base, &config);
}

/* The interface may have become another one of that name. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct announce *a = arg;
	unsigned int ifindex = if_nametoindex(a->config.ifname);
	struct in6_addr addr, link_local;
	char text[INET6_ADDRSTRLEN];
	bool same;

	(void)fd;
	(void)what;
	event_add(a->look, &(struct timeval){ .tv_sec = LOOK_S });
	find_addresses(a, &addr, &link_local);
	if (!ifindex)
		addr = in6addr_any;
	same = ifindex == a->ifindex && IN6_ARE_ADDR_EQUAL(&addr, &a->addr) &&
	       IN6_ARE_ADDR_EQUAL(&link_local, &a->link_local);
	if (ifindex != a->ifindex || IN6_IS_ADDR_UNSPECIFIED(&addr)) {
		coap_links_free(a->links);
		a->links = NULL;
	}
	a->ifindex = ifindex;
	a->addr = addr;
	a->link_local = link_local;
	if (IN6_IS_ADDR_UNSPECIFIED(&addr)) {
		if (!a->silent)
			jpx_warning("%s: the Registrar is not announced: the interface has no "
				    "address that can be routed to%s; looking every %d s",
				    a->config.ifname,
				    IN6_IS_ADDR_UNSPECIFIED(&a->config.jpy.sin6_addr)
					    ? ""
					    : ", or not the one of --listen-jpy",
				    LOOK_S);
		a->silent = true;
		return;
	}
	a->silent = false;
	if (same && a->links)
		return;
	open_links(a);
	jpx_info("%s: announcing the Registrar at %s, by CoAP and GRASP", a->config.ifname,
		 inet_ntop(AF_INET6, &addr, text, sizeof(text)));
	event_add(a->flood, &(struct timeval){ 0 });
}

/* ---- beginning and end ---- */

struct announce *announce_new(struct event_base *base, const struct announce_config *config)
{
	struct announce *a = calloc(1, sizeof(*a));

	if (!if_nametoindex(config->ifname)) {
		jpx_error(
			"--announce: there is no interface \"%.20s\"; ip -br link shows those that "
			"exist",
			config->ifname);
		free(a);
		return NULL;
	}
	if (a) {
		a->config = *config;
		a->base = base;
		a->look = evtimer_new(base, on_look, a);
		a->flood = evtimer_new(base, on_flood, a);
	}
	if (!a || !a->look || !a->flood || event_add(a->look, &(struct timeval){ 0 })) {
		jpx_error("%s: cannot announce the Registrar: no memory", config->ifname);
		announce_free(a);
		return NULL;
	}
	return a;
}

void announce_free(struct announce *a)
{
	if (!a)
		return;
	coap_links_free(a->links);
	if (a->look)
		event_free(a->look);
	if (a->flood)
		event_free(a->flood);
	free(a);
}
