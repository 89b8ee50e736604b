/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs one way of discovery alone, discovery_coap_answer, on a view that is told to it on
 * standard input, line by line:
 *
 *   leisure MS                       as in struct discovery_settings
 *   off, on                          coap_answer
 *   view [IF=ADDR=PORT,PORT...]...   the pledge ports from now on
 *
 * and says "done" after each.  Started by coap_answer.sh and jpledge.sh in their labs.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "discovery.h"
#include "log.h"

static struct discovery_settings settings = { .coap_answer = true };
static struct discovery_view view = { .settings = &settings };
static void *way;

static void read_joins(struct discovery_port *port, char *list)
{
	for (char *save, *word = strtok_r(list, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		if (port->join_count < DISCOVERY_JOINS)
			port->joins[port->join_count++] =
				(struct discovery_join){ .port = (uint16_t)strtoul(word, NULL, 10),
							 .weight = 1 };
}

static void read_port(struct discovery_port *port, char *text)
{
	char *addr = strchr(text, '='), *joins = addr ? strchr(addr + 1, '=') : NULL;

	if (!joins) {
		fprintf(stderr, "no port: %s\n", text);
		exit(2);
	}
	*addr++ = *joins++ = 0;
	*port = (struct discovery_port){ .ifindex = if_nametoindex(text) };
	snprintf(port->ifname, sizeof(port->ifname), "%s", text);
	if (!port->ifindex || inet_pton(AF_INET6, addr, &port->addr) != 1) {
		fprintf(stderr, "%s: no such interface or address\n", text);
		exit(2);
	}
	read_joins(port, joins);
}

static void obey(char *line)
{
	char *save, *word = strtok_r(line, " ", &save);

	if (strcmp(word, "leisure") == 0) {
		settings.leisure = (unsigned int)strtoul(save, NULL, 10);
	} else if (strcmp(word, "off") == 0 || strcmp(word, "on") == 0) {
		settings.coap_answer = strcmp(word, "on") == 0;
	} else {
		view.port_count = 0;
		while ((word = strtok_r(NULL, " ", &save)))
			read_port(&view.ports[view.port_count++], word);
	}
	discovery_coap_answer.sync(way, &view);
	fputs("done\n", stderr);
}

static void readable(struct bufferevent *in, void *arg)
{
	char *line;

	(void)arg;
	while ((line = evbuffer_readln(bufferevent_get_input(in), NULL, EVBUFFER_EOL_LF))) {
		obey(line);
		free(line);
	}
}

static void ended(struct bufferevent *in, short what, void *base)
{
	(void)in;
	(void)what;
	event_base_loopbreak(base);
}

int main(void)
{
	struct event_base *base = event_base_new();
	struct bufferevent *in = bufferevent_socket_new(base, STDIN_FILENO, 0);

	jpx_log_init("coap_answer_test", JPX_LOG_DEBUG);
	way = discovery_coap_answer.start(base, NULL);
	if (!way || !in)
		return 1;
	evutil_make_socket_nonblocking(STDIN_FILENO);
	bufferevent_setcb(in, readable, NULL, ended, base);
	bufferevent_enable(in, EV_READ);
	event_base_dispatch(base);
	discovery_coap_answer.stop(way);
	bufferevent_free(in);
	event_base_free(base);
	return 0;
}
