/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keeps the next hops towards the Registrars alive.  The kernel's own stack no
 * longer talks to them, so it would let them go stale; and a gateway that comes
 * back with another MAC without a word would be a hole in the ground.
 */
#ifndef JPX_KEEPALIVE_H
#define JPX_KEEPALIVE_H

#include <netinet/in.h>

#include "pinned.h"

struct event_base;
struct datapath;
struct netwatch;
struct keepalive;

/* Reads STATE and NEXT_HOPS (by service id; all zero: none) whenever its timer fires. */
struct keepalive *keepalive_new(struct event_base *base, const struct jpx_state *state,
				const struct in6_addr *next_hops, struct datapath *dp,
				struct netwatch *nw);
void keepalive_free(struct keepalive *ka);

/* Call after the state changed: asks at once for next hops that are not resolved. */
void keepalive_run(struct keepalive *ka);

#endif
