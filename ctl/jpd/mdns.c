/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The proxy announced to pledges by mDNS, through Avahi where it runs: each join port of a pledge
 * port is an instance of _brski-proxy._udp (constrained BRSKI 11.3) on that interface alone.
 *
 * The host that it points to is a record of our own with the one address that pledges shall use.
 * Avahi's own host name would not do: where an interface has an address of a wider scope it
 * publishes that, and leaves the link-local one out.
 *
 * Must never wait for Avahi or for the bus; see avahibus.h.
 */
#include "discovery.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "avahibus.h"
#include "log.h"

#define SERVICE_TYPE "_brski-proxy._udp"
#define DOMAIN	     "local"
/* The only variation that is for UDP (BRSKI discovery 4.1); "" cannot be in TXT. */
#define VARIATION "rrm-cose"

#define ENTRY_GROUP	  "org.freedesktop.Avahi.EntryGroup"
#define NO_REVERSE	  16u /* AVAHI_PUBLISH_NO_REVERSE: nobody asks for a link-local address' name */
#define GROUP_ESTABLISHED 2
#define GROUP_COLLISION	  3
#define GROUP_FAILURE	  4

#define ATTEMPTS_MAX 16 /* names, before it waits */
#define RETRY_S	     30
#define LABEL_MAX    63

/* A pledge port as it is announced: one entry group of Avahi's. */
struct entry {
	struct way *way;
	bool used;
	bool seen; /* in this sync */
	char ifname[JPX_IFNAME_LEN];
	unsigned int ifindex;
	struct in6_addr addr;
	uint16_t ports[DISCOVERY_JOINS];
	unsigned int count; /* of ports; 0: nothing may be announced */
	enum { NONE, ASKED, HELD } group;
	char path[64]; /* of the group, once it is held */
	unsigned int attempt;
	bool told;
};

struct way {
	struct event_base *base;
	struct avahibus *bus; /* NULL while nothing is to be announced */
	struct event *retry;
	struct entry entries[JPX_MAX_PORTS];
	char host[24]; /* this machine, in instance names */
	enum avahibus_state told;
};

static void agree(struct entry *entry);

/* ---- a group is filled ---- */

/* Instances are for people to read; that they differ is what counts.  LABEL_MAX is never reached:
 * what makes them differ is at the end. */
static void instance_name(const struct entry *entry, unsigned int i, char name[LABEL_MAX + 1])
{
	char number[16] = "", again[16] = "";

	if (i)
		snprintf(number, sizeof(number), " %u", i + 1);
	if (entry->attempt)
		snprintf(again, sizeof(again), " #%u", entry->attempt + 1);
	snprintf(name, LABEL_MAX + 1, "Join Proxy on %.23s %.15s%.3s%.4s", entry->way->host,
		 entry->ifname, number, again);
	/* D-Bus takes UTF-8 only, and an interface may be called anything. */
	for (char *c = name; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '-';
	}
}

/* By the address: nobody else on the link has it. */
static void host_name(const struct entry *entry, char *name, size_t len)
{
	const uint8_t *iid = &entry->addr.s6_addr[8];
	char again[16] = "";

	if (entry->attempt)
		snprintf(again, sizeof(again), "-%u", entry->attempt + 1);
	snprintf(name, len, "jpx-%02x%02x%02x%02x%02x%02x%02x%02x%s." DOMAIN, iid[0], iid[1],
		 iid[2], iid[3], iid[4], iid[5], iid[6], iid[7], again);
}

static void give_up(struct entry *entry)
{
	if (entry->group == HELD)
		(void)avahibus_send(
			entry->way->bus,
			avahibus_call(entry->way->bus, entry->path, ENTRY_GROUP, "Free"), NULL,
			NULL);
	if (entry->group != ASKED)
		entry->group = NONE;
}

static void failed(struct entry *entry, const char *why)
{
	jpx_log_limited(JPX_LOG_WARNING, "mdns: Avahi does not announce %s (%s)", entry->ifname,
			why);
	give_up(entry);
	evtimer_add(entry->way->retry, &(struct timeval){ .tv_sec = RETRY_S });
}

static void collided(struct entry *entry)
{
	if (++entry->attempt >= ATTEMPTS_MAX) {
		entry->attempt = 0;
		failed(entry, "every name is taken");
		return;
	}
	jpx_log_limited(JPX_LOG_INFO, "mdns: somebody has the name for %s already; another one",
			entry->ifname);
	give_up(entry);
	agree(entry);
}

/* To anything that a group was told. */
static int on_done(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct entry *entry = arg;

	(void)err;
	if (!error || entry->group != HELD)
		return 0;
	if (error->name && !strcmp(error->name, "org.freedesktop.Avahi.CollisionError"))
		collided(entry);
	else
		failed(entry, error->name ? error->name : "unknown");
	return 0;
}

static int add_address(struct entry *entry, const char *host)
{
	sd_bus_message *m = avahibus_call(entry->way->bus, entry->path, ENTRY_GROUP, "AddAddress");
	char addr[INET6_ADDRSTRLEN];

	if (m && sd_bus_message_append(m, "iiuss", (int)entry->ifindex, AVAHIBUS_PROTO_UNSPEC,
				       NO_REVERSE, host,
				       jpx_addr_format(&entry->addr, addr, sizeof(addr))) < 0)
		m = sd_bus_message_unref(m);
	return avahibus_send(entry->way->bus, m, on_done, entry);
}

static int add_text(sd_bus_message *m)
{
	int err = sd_bus_message_open_container(m, 'a', "ay");

	if (err >= 0)
		err = sd_bus_message_append_array(m, 'y', VARIATION, strlen(VARIATION));
	return err < 0 ? err : sd_bus_message_close_container(m);
}

static int add_service(struct entry *entry, const char *host, unsigned int i)
{
	sd_bus_message *m = avahibus_call(entry->way->bus, entry->path, ENTRY_GROUP, "AddService");
	char name[LABEL_MAX + 1];

	instance_name(entry, i, name);
	if (m &&
	    (sd_bus_message_append(m, "iiussssq", (int)entry->ifindex, AVAHIBUS_PROTO_UNSPEC, 0u,
				   name, SERVICE_TYPE, DOMAIN, host, (int)entry->ports[i]) < 0 ||
	     add_text(m) < 0))
		m = sd_bus_message_unref(m);
	return avahibus_send(entry->way->bus, m, on_done, entry);
}

static void fill(struct entry *entry)
{
	struct avahibus *bus = entry->way->bus;
	char host[64];
	int err;

	host_name(entry, host, sizeof(host));
	err = add_address(entry, host);
	for (unsigned int i = 0; !err && i < entry->count; i++)
		err = add_service(entry, host, i);
	if (!err)
		err = avahibus_send(bus, avahibus_call(bus, entry->path, ENTRY_GROUP, "Commit"),
				    on_done, entry);
	if (err)
		failed(entry, strerror(-err));
}

static void established(struct entry *entry)
{
	if (!entry->told)
		jpx_info("mdns: Avahi announces the proxy on %s", entry->ifname);
	entry->told = true;
}

/* ---- groups come and go ---- */

static int on_group(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct entry *entry = arg;
	const char *path;

	(void)err;
	entry->group = NONE;
	if (error || sd_bus_message_read(m, "o", &path) < 0 ||
	    strlen(path) >= sizeof(entry->path)) {
		failed(entry, error && error->name ? error->name : "no entry group");
		return 0;
	}
	strcpy(entry->path, path);
	entry->group = HELD;
	if (entry->count)
		fill(entry);
	else
		agree(entry); /* it is wanted no more */
	return 0;
}

/* Makes Avahi agree with ENTRY.  While a group is asked for, on_group() will. */
static void agree(struct entry *entry)
{
	struct avahibus *bus = entry->way->bus;

	give_up(entry);
	if (entry->group == NONE && entry->count && avahibus_state(bus) == AVAHIBUS_UP) {
		if (avahibus_send(bus,
				  avahibus_call(bus, "/", "org.freedesktop.Avahi.Server",
						"EntryGroupNew"),
				  on_group, entry))
			failed(entry, "no entry group");
		else
			entry->group = ASKED;
	}
	if (entry->group == NONE && !entry->count)
		entry->used = false;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct way *way = arg;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		if (way->entries[i].used && way->entries[i].group == NONE)
			agree(&way->entries[i]);
	}
}

static void on_state(void *arg, enum avahibus_state state)
{
	struct way *way = arg;

	if (state == AVAHIBUS_NO_BUS && way->told != state)
		jpx_info(
			"mdns: no system bus, so no Avahi; pledges do not find join ports by mDNS");
	else if (state == AVAHIBUS_NO_DAEMON && way->told != state)
		jpx_info("mdns: Avahi does not run; pledges do not find join ports by mDNS");
	way->told = state;
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		struct entry *entry = &way->entries[i];

		if (!entry->used)
			continue;
		entry->group = NONE; /* neither a group nor a reply outlives a change */
		entry->told = false;
		entry->attempt = 0;
		agree(entry);
	}
}

static void on_signal(void *arg, sd_bus_message *m)
{
	const char *path = sd_bus_message_get_path(m), *error;
	struct way *way = arg;
	int state;

	if (!path || !sd_bus_message_is_signal(m, ENTRY_GROUP, "StateChanged") ||
	    sd_bus_message_read(m, "is", &state, &error) < 0)
		return;
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		struct entry *entry = &way->entries[i];

		if (!entry->used || entry->group != HELD || strcmp(entry->path, path))
			continue;
		if (state == GROUP_ESTABLISHED)
			established(entry);
		else if (state == GROUP_COLLISION)
			collided(entry);
		else if (state == GROUP_FAILURE)
			failed(entry, "failure");
		return;
	}
}

/* ---- the way ---- */

static struct entry *entry_of(struct way *way, unsigned int ifindex)
{
	struct entry *room = NULL;

	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		if (!way->entries[i].used)
			room = room ? room : &way->entries[i];
		else if (way->entries[i].ifindex == ifindex)
			return &way->entries[i];
	}
	if (room) {
		memset(room, 0, sizeof(*room));
		room->way = way;
		room->used = true;
		room->ifindex = ifindex;
	}
	return room;
}

/* Takes what is to be announced on PORT.  Is it something else than before? */
static bool take(struct entry *entry, const struct discovery_port *port)
{
	uint16_t ports[DISCOVERY_JOINS] = { 0 };
	bool others;

	for (unsigned int i = 0; i < port->join_count; i++)
		ports[i] = port->joins[i].port;
	others = entry->count != port->join_count || memcmp(entry->ports, ports, sizeof(ports)) ||
		 memcmp(&entry->addr, &port->addr, sizeof(port->addr)) ||
		 strcmp(entry->ifname, port->ifname) != 0;
	memcpy(entry->ports, ports, sizeof(ports));
	entry->count = port->join_count;
	entry->addr = port->addr;
	snprintf(entry->ifname, sizeof(entry->ifname), "%s", port->ifname);
	return others;
}

/* The bus is asked for when there is first something to say. */
static bool bus_is_there(struct way *way)
{
	const struct avahibus_user user = { on_state, on_signal, way };

	if (!way->bus)
		way->bus = avahibus_new(way->base, &user);
	return way->bus != NULL;
}

static void bus_let_go(struct way *way)
{
	avahibus_free(way->bus);
	way->bus = NULL;
	evtimer_del(way->retry);
	memset(way->entries, 0, sizeof(way->entries));
}

static void mdns_sync(void *arg, const struct discovery_view *view)
{
	struct way *way = arg;
	struct entry *entry;

	if (!view->settings->mdns) {
		bus_let_go(way);
		return;
	}
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++)
		way->entries[i].seen = false;
	for (unsigned int i = 0; i < view->port_count; i++) {
		if (!view->ports[i].join_count || !bus_is_there(way))
			continue;
		entry = entry_of(way, view->ports[i].ifindex);
		if (!entry)
			continue;
		entry->seen = true;
		if (take(entry, &view->ports[i]))
			agree(entry);
	}
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		entry = &way->entries[i];
		if (!entry->used || entry->seen || !entry->count)
			continue;
		entry->count = 0;
		agree(entry);
	}
}

static void mdns_stop(void *arg)
{
	struct way *way = arg;

	if (!way)
		return;
	avahibus_free(way->bus);
	if (way->retry)
		event_free(way->retry);
	free(way);
}

static void host_take(struct way *way)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) || !*host)
		strcpy(host, "this host");
	snprintf(way->host, sizeof(way->host), "%.*s", (int)sizeof(way->host) - 1, host);
}

static void *mdns_start(struct event_base *base, struct registrars *registrars)
{
	struct way *way = calloc(1, sizeof(*way));

	(void)registrars;
	if (!way)
		return NULL;
	way->base = base;
	way->retry = evtimer_new(base, on_retry, way);
	if (!way->retry) {
		jpx_warning("mdns: out of memory");
		mdns_stop(way);
		return NULL;
	}
	host_take(way);
	return way;
}

const struct discovery_way discovery_mdns = {
	.name = "mdns",
	.start = mdns_start,
	.sync = mdns_sync,
	.stop = mdns_stop,
};
