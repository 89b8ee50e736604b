/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IEEE 802.15.4 radios and the 6LoWPAN interfaces on them (RFC 4944): people name the radio,
 * pledges' IPv6 is on the other.
 */
#ifndef JPX_LOWPAN_H
#define JPX_LOWPAN_H

#include <stdbool.h>

struct netwatch;
struct netwatch_link;

bool lowpan_is_radio(const struct netwatch_link *link);

/* The 6LoWPAN interface that is stacked on RADIO, or NULL.  Valid as those of netwatch.h are. */
const struct netwatch_link *lowpan_on(const struct netwatch *nw, const struct netwatch_link *radio);

/* The command that makes one, for people to type. */
#define LOWPAN_COMMAND "ip link add link %s name lowpan0 type lowpan && ip link set lowpan0 up"

#endif
