/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GRASP as a way of finding and being found: towards pledges grasp_announce.c, towards
 * uplinks grasp_listen.c.  The two share nothing, so nothing passes from one to the other.
 */
#include <stdlib.h>

#include "discovery.h"
#include "grasp_announce.h"
#include "grasp_listen.h"

struct grasp_way {
	struct grasp_announce *announce;
	struct grasp_listen *listen;
};

static void grasp_stop(void *way)
{
	struct grasp_way *grasp = way;

	if (!grasp)
		return;
	grasp_announce_free(grasp->announce);
	grasp_listen_free(grasp->listen);
	free(grasp);
}

static void *grasp_start(struct event_base *base, struct registrars *registrars)
{
	struct grasp_way *grasp = calloc(1, sizeof(*grasp));

	if (!grasp)
		return NULL;
	grasp->announce = grasp_announce_new(base);
	grasp->listen = grasp_listen_new(base, registrars);
	if (!grasp->announce || !grasp->listen) {
		grasp_stop(grasp);
		return NULL;
	}
	return grasp;
}

static void grasp_sync(void *way, const struct discovery_view *view)
{
	struct grasp_way *grasp = way;

	grasp_announce_sync(grasp->announce, view);
	grasp_listen_sync(grasp->listen, view);
}

const struct discovery_way discovery_grasp = {
	.name = "grasp",
	.start = grasp_start,
	.sync = grasp_sync,
	.stop = grasp_stop,
};
