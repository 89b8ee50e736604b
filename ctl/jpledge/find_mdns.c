/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proxies by mDNS, through Avahi where it runs: browses _brski-proxy._udp on the one interface and
 * has each instance resolved to an IPv6 address and a port (constrained BRSKI 11.3).
 *
 * Must never keep more than RESOLVED_MAX of what strangers announce, nor pass on their names.
 */
#include "find.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "avahibus.h"

#define SERVICE_TYPE "_brski-proxy._udp"
#define RESOLVED_MAX 128  /* instances that are asked about, from start to stop */
#define START_MS     2000 /* that the bus may take to say whether Avahi is there */

struct find_mdns_way {
	struct avahibus *bus;
	struct find *find;
	unsigned int ifindex;
	unsigned int resolved;
};

static void refused(const struct find_mdns_way *way, const char *why)
{
	find_refused(way->find, "mdns", why);
}

/* ---- an instance ---- */

static int on_resolved(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	const char *name, *type, *domain, *host, *addr;
	struct found found = { .way = "mdns", .by = SERVICE_TYPE };
	int ifindex, proto, addr_proto;
	struct find_mdns_way *way = arg;
	char why[128];

	(void)err;
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_read(m, "iissssisq", &ifindex, &proto, &name, &type, &domain, &host,
				&addr_proto, &addr, &found.port) < 0) {
		refused(way, "an instance was announced whose address and port nobody told");
		return 0;
	}
	if (jpx_addr_parse(addr, &found.addr, why, sizeof(why)) || !found.port ||
	    !jpx_addr_is_link_local(&found.addr)) {
		refused(way, "an instance has no port, or an address that is not link-local");
		return 0;
	}
	find_found(way->find, &found);
	return 0;
}

static void resolve(struct find_mdns_way *way, int proto, const char *name, const char *type,
		    const char *domain)
{
	sd_bus_message *m;

	if (way->resolved++ >= RESOLVED_MAX) {
		refused(way, "more instances were announced than are asked about");
		return;
	}
	m = avahibus_call(way->bus, "/", "org.freedesktop.Avahi.Server", "ResolveService");
	if (m && sd_bus_message_append(m, "iisssiu", (int)way->ifindex, proto, name, type, domain,
				       AVAHIBUS_PROTO_INET6, 0u) < 0)
		m = sd_bus_message_unref(m);
	(void)avahibus_send(way->bus, m, on_resolved, way);
}

static void on_signal(void *arg, sd_bus_message *m)
{
	const char *name, *type, *domain;
	struct find_mdns_way *way = arg;
	int ifindex, proto;

	if (sd_bus_message_is_signal(m, "org.freedesktop.Avahi.ServiceBrowser", "ItemNew") &&
	    sd_bus_message_read(m, "iisss", &ifindex, &proto, &name, &type, &domain) >= 0 &&
	    ifindex == (int)way->ifindex)
		resolve(way, proto, name, type, domain);
}

/* ---- the way ---- */

static int on_browser(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	(void)err;
	if (sd_bus_message_is_method_error(m, NULL))
		refused(arg, "Avahi does not browse on this interface");
	return 0;
}

static void browse(struct find_mdns_way *way)
{
	sd_bus_message *m =
		avahibus_call(way->bus, "/", "org.freedesktop.Avahi.Server", "ServiceBrowserNew");

	if (m && sd_bus_message_append(m, "iissu", (int)way->ifindex, AVAHIBUS_PROTO_UNSPEC,
				       SERVICE_TYPE, "local", 0u) < 0)
		m = sd_bus_message_unref(m);
	(void)avahibus_send(way->bus, m, on_browser, way);
}

static void on_state(void *arg, enum avahibus_state state)
{
	if (state == AVAHIBUS_UP)
		browse(arg);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Runs the loop until the bus said whether Avahi is there, for START_MS at most. */
static enum avahibus_state wait_for_bus(struct event_base *base, const struct avahibus *bus)
{
	bool late = false;
	struct event *timer = evtimer_new(base, on_time, &late);

	if (timer && !evtimer_add(timer, &(struct timeval){ .tv_sec = START_MS / 1000 })) {
		while (!late && avahibus_state(bus) == AVAHIBUS_UNKNOWN)
			event_base_loop(base, EVLOOP_ONCE);
	}
	if (timer)
		event_free(timer);
	return avahibus_state(bus);
}

static void find_mdns_stop(void *arg)
{
	struct find_mdns_way *way = arg;

	if (!way)
		return;
	avahibus_free(way->bus);
	free(way);
}

static void *find_mdns_start(struct event_base *base, const char *ifname, unsigned int ifindex,
			     struct find *find, char *err, size_t err_len)
{
	struct find_mdns_way *way = calloc(1, sizeof(*way));
	const struct avahibus_user user = { on_state, on_signal, way };

	(void)ifname;
	if (!way) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	way->find = find;
	way->ifindex = ifindex;
	way->bus = avahibus_new(base, &user);
	switch (way->bus ? wait_for_bus(base, way->bus) : AVAHIBUS_NO_BUS) {
	case AVAHIBUS_UP:
		return way;
	case AVAHIBUS_NO_DAEMON:
		snprintf(err, err_len, "Avahi does not run; start avahi-daemon");
		break;
	case AVAHIBUS_UNKNOWN:
		snprintf(err, err_len, "the system bus does not answer; see to dbus-daemon");
		break;
	default:
		snprintf(err, err_len,
			 "there is no system bus, so no Avahi; start dbus and avahi-daemon");
		break;
	}
	find_mdns_stop(way);
	return NULL;
}

const struct find_way find_mdns = { "mdns", find_mdns_start, find_mdns_stop };
