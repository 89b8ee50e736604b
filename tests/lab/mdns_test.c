/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs the way "mdns" of the daemon, or that of jpledge, alone; started by mdns.sh.
 *
 *   mdns_test announce IF ADDRESS PORT...    SIGUSR1: the joins go away, or come back;
 *                                            SIGUSR2: other ones, each port one higher
 *   mdns_test find IF                        prints a JSON object a line
 *
 * Prints "late N" whenever the loop did not come round for N ms.  SIGTERM: the end.
 */
#include "discovery.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../jpledge/find.h"
#include "addr.h"
#include "log.h"

#define TICK_MS 20
#define LATE_MS 250

static struct discovery_settings settings = { .mdns = true };
static struct discovery_view view = { .settings = &settings, .port_count = 1 };
static unsigned int joins;
static void *way;
static long last_ms;

void find_found(struct find *find, const struct found *found)
{
	char addr[INET6_ADDRSTRLEN];

	(void)find;
	printf("{\"found\":\"%s\",\"port\":%u,\"way\":\"%s\",\"by\":\"%s\"}\n",
	       jpx_addr_format(&found->addr, addr, sizeof(addr)), found->port, found->way,
	       found->by);
	fflush(stdout);
}

void find_refused(struct find *find, const char *name, const char *why)
{
	(void)find;
	printf("{\"refused\":\"%s\",\"way\":\"%s\"}\n", why, name);
	fflush(stdout);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct timespec ts;
	long now;

	(void)fd;
	(void)what;
	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (last_ms && now - last_ms > LATE_MS)
		printf("late %ld\n", now - last_ms);
	last_ms = now;
	fflush(stdout);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct discovery_port *port = &view.ports[0];

	(void)what;
	if (sig == SIGTERM) {
		event_base_loopbreak(arg);
		return;
	}
	if (sig == SIGUSR1)
		port->join_count = port->join_count ? 0 : joins;
	else
		for (unsigned int i = 0; i < joins; i++)
			port->joins[i].port++;
	discovery_mdns.sync(way, &view);
}

static bool announce(struct event_base *base, int argc, char **argv)
{
	struct discovery_port *port = &view.ports[0];
	char err[128];

	snprintf(port->ifname, sizeof(port->ifname), "%s", argv[2]);
	port->ifindex = if_nametoindex(argv[2]);
	if (argc < 5 || jpx_addr_parse(argv[3], &port->addr, err, sizeof(err)))
		return false;
	for (int i = 4; i < argc && joins < DISCOVERY_JOINS; i++)
		port->joins[joins++].port = (uint16_t)atoi(argv[i]);
	port->join_count = joins;
	way = discovery_mdns.start(base, NULL);
	if (way)
		discovery_mdns.sync(way, &view);
	return way != NULL;
}

static bool find(struct event_base *base, char **argv)
{
	char err[160] = "";

	way = find_mdns.start(base, argv[2], if_nametoindex(argv[2]), NULL, err, sizeof(err));
	if (!way)
		printf("{\"impossible\":\"%s\"}\n", err);
	fflush(stdout);
	return way != NULL;
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGTERM, SIGUSR1, SIGUSR2 };
	struct event_base *base = event_base_new();
	struct event *events[4];
	bool finding = argc > 2 && !strcmp(argv[1], "find");
	bool begun;

	if (argc < 3 || !base)
		return 2;
	jpx_log_init("mdns_test", JPX_LOG_DEBUG);
	for (int i = 0; i < 3; i++) {
		events[i] = evsignal_new(base, signals[i], on_signal, base);
		evsignal_add(events[i], NULL);
	}
	events[3] = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	event_add(events[3], &(struct timeval){ .tv_usec = TICK_MS * 1000 });
	begun = finding ? find(base, argv) : announce(base, argc, argv);
	if (begun)
		event_base_dispatch(base);
	if (finding)
		find_mdns.stop(way);
	else
		discovery_mdns.stop(way);
	for (int i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
	puts("ended");
	return begun ? 0 : 1;
}
