/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The relay between the JPY socket and the server: takes messages apart, gives
 * each pledge's connection a local UDP socket of its own towards the server, and
 * wraps what comes back there.
 *
 * To the server each pledge is so an ordinary UDP client.  Must never judge what
 * is inside a header or a content: both are the two ends' own business.
 */
#ifndef JPX_JPREG_RELAY_H
#define JPX_JPREG_RELAY_H

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "counters.h"

struct jpx_relay_config {
	struct sockaddr_in6 listen;
	struct sockaddr_in6 server;
	unsigned int idle_s;
	unsigned int max_pledges;
	bool trace; /* to stdout */
};

struct jpx_relay;

/* Opens the JPY socket and begins to relay in BASE.  Returns NULL after an error
 * has been logged.  CONFIG is copied, COUNTERS are kept and must outlive it. */
struct jpx_relay *jpx_relay_new(struct event_base *base, const struct jpx_relay_config *config,
				struct jpx_reg_counters *counters);

void jpx_relay_free(struct jpx_relay *relay);

/* Connections held now. */
unsigned int jpx_relay_pledges(const struct jpx_relay *relay);

#endif
