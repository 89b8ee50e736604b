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

/* Is it a 6LoWPAN interface? */
bool lowpan_is_stacked(const struct netwatch_link *link);

/* The 6LoWPAN interface that is stacked on RADIO, or NULL.  Valid as those of netwatch.h are. */
const struct netwatch_link *lowpan_on(const struct netwatch *nw, const struct netwatch_link *radio);

#define LOWPAN_COMMAND_LEN 160

/* The command that makes one on the radio of that name, for people to type: under the first name
 * that is free, and with the radio up, without which nothing goes through.  Returns BUF. */
char *lowpan_command(const struct netwatch *nw, const char *radio, char buf[LOWPAN_COMMAND_LEN]);

#endif
