/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs coap_ask.c and grasp_way.c as jpd does, on a view that a file says:
 *
 *   ask_test VIEW
 *
 *   coap, grasp-hear, grasp-flood    the ways that are on
 *   no-look                          for Registrars
 *   uplink IF
 *   host ENDPOINT                    to be asked by CoAP
 *   port IF PORT...                  a pledge port and its join ports
 *
 * SIGHUP reads VIEW, interfaces and addresses again.  Prints a line of JSON for each call of
 * registrars_heard() and registrars_replaced(), which are its own.
 */
#include <errno.h>
#include <event2/event.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/common/addr.h"
#include "../../ctl/common/log.h"
#include "../../ctl/common/words.h"
#include "../../ctl/jpd/discovery.h"
#include "../../ctl/jpd/registrars.h"

static const struct discovery_way *const ways[] = { &discovery_coap_ask, &discovery_grasp };
#define WAYS (sizeof(ways) / sizeof(*ways))

static const char *view_file;
static struct event_base *base;
static void *started[WAYS];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- the other side ------------------------------------------------------------ */

static void print(json_t *line)
{
	if (!line)
		die("json");
	json_dumpf(line, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static void common(json_t *line, enum jpx_source source, unsigned int ifindex,
		   const struct in6_addr *from, const char *by)
{
	char addr[INET6_ADDRSTRLEN], ifname[IF_NAMESIZE] = "";

	if_indextoname(ifindex, ifname);
	json_object_set_new(line, "source", json_string(jpx_source_word(source)));
	json_object_set_new(line, "ifname", json_string(ifname));
	json_object_set_new(line, "from", json_string(jpx_addr_format(from, addr, sizeof(addr))));
	json_object_set_new(line, "by", json_string(by));
}

void registrars_heard(struct registrars *registrars, const struct registrar_heard *heard)
{
	char addr[INET6_ADDRSTRLEN];
	json_t *line = json_pack("{s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:I}", "what", "heard",
				 "addr", jpx_addr_format(&heard->addr, addr, sizeof(addr)), "port",
				 heard->port, "mode", jpx_mode_word(heard->mode), "form",
				 (int)heard->form, "priority", heard->priority, "weight",
				 heard->weight, "lifetime", (json_int_t)heard->lifetime);

	(void)registrars;
	common(line, heard->source, heard->ifindex, &heard->from, heard->by);
	print(line);
}

void registrars_replaced(struct registrars *registrars, enum jpx_source source,
			 unsigned int ifindex, const struct in6_addr *from, const char *by,
			 unsigned int seconds)
{
	json_t *line = json_pack("{s:s, s:i}", "what", "replaced", "seconds", (int)seconds);

	(void)registrars;
	common(line, source, ifindex, from, by);
	print(line);
}

/* ---- the view ------------------------------------------------------------------- */

static struct in6_addr link_local(const char *ifname)
{
	struct in6_addr found = { 0 };
	struct ifaddrs *all, *at;

	if (getifaddrs(&all))
		die("getifaddrs");
	for (at = all; at; at = at->ifa_next) {
		const struct sockaddr_in6 *sa = (const void *)at->ifa_addr;

		if (sa && sa->sin6_family == AF_INET6 && !strcmp(at->ifa_name, ifname) &&
		    IN6_IS_ADDR_LINKLOCAL(&sa->sin6_addr))
			found = sa->sin6_addr;
	}
	freeifaddrs(all);
	return found;
}

/* As discovery.c does, shows nothing that is not there. */
static void add_uplink(struct discovery_view *view, const char *ifname)
{
	struct discovery_uplink *uplink = &view->uplinks[view->uplink_count];
	unsigned int ifindex = if_nametoindex(ifname);

	if (!ifindex || view->uplink_count == DISCOVERY_UPLINKS)
		return;
	*uplink = (struct discovery_uplink){ .ifindex = ifindex, .link_local = link_local(ifname) };
	strncpy(uplink->ifname, ifname, sizeof(uplink->ifname) - 1);
	view->uplink_count++;
}

static void add_port(struct discovery_view *view, const char *ifname)
{
	struct discovery_port *port = &view->ports[view->port_count];
	unsigned int ifindex = if_nametoindex(ifname);
	const char *word;

	if (!ifindex || view->port_count == JPX_MAX_PORTS)
		return;
	*port = (struct discovery_port){ .ifindex = ifindex, .addr = link_local(ifname) };
	strncpy(port->ifname, ifname, sizeof(port->ifname) - 1);
	while ((word = strtok(NULL, " \n")) && port->join_count < DISCOVERY_JOINS)
		port->joins[port->join_count++].port = (uint16_t)atoi(word);
	if (!IN6_IS_ADDR_UNSPECIFIED(&port->addr))
		view->port_count++;
}

static void add_host(struct discovery_settings *settings, const char *text)
{
	char err[120];

	if (settings->host_count == DISCOVERY_HOSTS)
		return;
	/* Without a port the default is asked for, as in jpd.conf(5). */
	if (jpx_endpoint_parse(text, 5683, &settings->hosts[settings->host_count], err,
			       sizeof(err))) {
		fprintf(stderr, "ask_test: %s\n", err);
		exit(2);
	}
	if (settings->hosts[settings->host_count].sin6_port == htons(5683))
		settings->hosts[settings->host_count].sin6_port = 0;
	settings->host_count++;
}

static void read_line(struct discovery_settings *settings, struct discovery_view *view, char *line)
{
	const char *word = strtok(line, " \n");

	if (!word)
		return;
	if (!strcmp(word, "coap"))
		settings->coap_ask = true;
	else if (!strcmp(word, "grasp-hear"))
		settings->grasp_hear = true;
	else if (!strcmp(word, "grasp-flood"))
		settings->grasp_flood = true;
	else if (!strcmp(word, "no-look"))
		view->look = false;
	else if (!strcmp(word, "uplink"))
		add_uplink(view, strtok(NULL, " \n"));
	else if (!strcmp(word, "host"))
		add_host(settings, strtok(NULL, " \n"));
	else if (!strcmp(word, "port"))
		add_port(view, strtok(NULL, " \n"));
	else {
		fprintf(stderr, "ask_test: what is %s?\n", word);
		exit(2);
	}
}

static void sync_all(evutil_socket_t fd, short what, void *arg)
{
	static struct discovery_settings settings;
	static struct discovery_view view;
	char line[256];
	FILE *file = fopen(view_file, "r");

	(void)fd;
	(void)what;
	(void)arg;
	if (!file)
		die(view_file);
	settings = (struct discovery_settings){ 0 };
	view = (struct discovery_view){ .settings = &settings, .look = true };
	while (fgets(line, sizeof(line), file))
		read_line(&settings, &view, line);
	fclose(file);
	if (!view.look)
		view.uplink_count = 0;
	for (unsigned int i = 0; i < WAYS; i++)
		ways[i]->sync(started[i], &view);
	fprintf(stderr, "ask_test: synced\n");
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
	struct event *hup, *term;

	if (argc != 2) {
		fprintf(stderr, "usage: ask_test VIEW\n");
		return 2;
	}
	view_file = argv[1];
	jpx_log_init("ask_test", JPX_LOG_DEBUG);
	base = event_base_new();
	if (!base)
		die("event_base_new");
	hup = evsignal_new(base, SIGHUP, sync_all, NULL);
	term = evsignal_new(base, SIGTERM, stop, NULL);
	if (!hup || !term || event_add(hup, NULL) || event_add(term, NULL))
		die("signals");
	for (unsigned int i = 0; i < WAYS; i++) {
		started[i] = ways[i]->start(base, NULL);
		if (!started[i])
			die(ways[i]->name);
	}
	sync_all(-1, 0, NULL);
	event_base_dispatch(base);
	for (unsigned int i = 0; i < WAYS; i++)
		ways[i]->stop(started[i]);
	event_free(hup);
	event_free(term);
	event_base_free(base);
	return 0;
}
