/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs the way "dns-sd" alone: shows it a view of one uplink and one pledge port, and prints what
 * it tells registrars.h, a JSON object a line.  Started by dns_sd.sh, which plays the servers.
 *
 *   dns_sd_test DOMAIN UPLINK [PORT]    DOMAIN "": what resolv.conf says
 *
 * SIGUSR1: look no more, or again.  SIGUSR2: shows the same view again.  SIGTERM: the end.
 */
#include "discovery.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "log.h"
#include "registrars.h"

static struct discovery_settings settings = { .dns_sd = true };
static struct discovery_view view = { .settings = &settings, .look = true };
static void *way;

void registrars_heard(struct registrars *registrars, const struct registrar_heard *heard)
{
	char addr[INET6_ADDRSTRLEN], from[INET6_ADDRSTRLEN];

	(void)registrars;
	printf("{\"heard\":\"%s\",\"port\":%u,\"mode\":%u,\"form\":%u,\"priority\":%u,\"weight\":%"
	       "u,"
	       "\"lifetime\":%u,\"source\":%u,\"ifindex\":%u,\"from\":\"%s\",\"by\":\"%s\"}\n",
	       jpx_addr_format(&heard->addr, addr, sizeof(addr)), heard->port, heard->mode,
	       heard->form, heard->priority, heard->weight, heard->lifetime, heard->source,
	       heard->ifindex, jpx_addr_format(&heard->from, from, sizeof(from)), heard->by);
	fflush(stdout);
}

void registrars_replaced(struct registrars *registrars, enum jpx_source source,
			 unsigned int ifindex, const struct in6_addr *from, const char *by,
			 unsigned int seconds)
{
	(void)registrars;
	(void)from;
	printf("{\"replaced\":\"%s\",\"source\":%u,\"ifindex\":%u,\"seconds\":%u}\n", by, source,
	       ifindex, seconds);
	fflush(stdout);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	if (sig == SIGTERM) {
		event_base_loopbreak(arg);
		return;
	}
	if (sig == SIGUSR1)
		view.look = !view.look;
	discovery_dns_sd.sync(way, &view);
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGTERM, SIGUSR1, SIGUSR2 };
	struct event_base *base = event_base_new();
	struct event *events[3];

	if (argc < 3 || !base)
		return 2;
	jpx_log_init("dns_sd_test", JPX_LOG_DEBUG);
	snprintf(settings.domain, sizeof(settings.domain), "%s", argv[1]);
	view.uplink_count = 1;
	view.uplinks[0].ifindex = if_nametoindex(argv[2]);
	if (argc > 3) {
		view.pledges.count = 1;
		view.pledges.ifindexes[0] = if_nametoindex(argv[3]);
	}
	for (int i = 0; i < 3; i++) {
		events[i] = evsignal_new(base, signals[i], on_signal, base);
		evsignal_add(events[i], NULL);
	}
	way = discovery_dns_sd.start(base, NULL);
	if (!way)
		return 1;
	discovery_dns_sd.sync(way, &view);
	event_base_dispatch(base);
	discovery_dns_sd.stop(way);
	for (int i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(base);
	puts("{\"ended\":true}");
	return 0;
}
