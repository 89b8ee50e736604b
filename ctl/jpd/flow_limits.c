/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See flow_limits.h. */
#include "flow_limits.h"

#include <jpx/abi.h>

#include "datapath.h"

const struct flows_limits flows_limits_default = {
	.first_port = 16384,
	.port_count = 16384,
	.max = 16384,
	.per_pledge = 2,
	.per_port = 10,
	.idle = 30,
	.rest = 30,
};

static unsigned int places_for(const struct flows_limits *l)
{
	/* A quarter more ports than flows: where they are all but full a free one is far to seek.
	 */
	unsigned int places = (l->max + l->max / 4 + l->port_count - 1) / l->port_count;

	return places < 4 ? 4 : places > JPX_MAX_UPLINKS ? JPX_MAX_UPLINKS : places;
}

void flows_sizes(const struct flows_limits *limits, struct datapath_sizes *sizes)
{
	unsigned int places = places_for(limits),
		     groups = places * (limits->port_count / JPX_GROUP);

	sizes->flows = places * limits->port_count;
	sizes->hints = groups ? groups : 1; /* no map is empty */
	/* A few more than flows: an entry is made before its flow is known to fit. */
	sizes->pledges = limits->max + 64;
}
