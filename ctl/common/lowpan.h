/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IEEE 802.15.4 radios and the 6LoWPAN interfaces on them (RFC 4944): people name the radio,
 * pledges' IPv6 is on the other.
 */
#ifndef JPX_LOWPAN_H
#define JPX_LOWPAN_H

#include <stdbool.h>

struct in6_addr;
struct netwatch;
struct netwatch_link;

bool lowpan_is_radio(const struct netwatch_link *link);

/* Is it a 6LoWPAN interface? */
bool lowpan_is_stacked(const struct netwatch_link *link);

/* The 6LoWPAN interface that is stacked on RADIO, or NULL.  Valid as those of netwatch.h are. */
const struct netwatch_link *lowpan_on(const struct netwatch *nw, const struct netwatch_link *radio);

/* Is A the better of two link-local addresses of one family on LINK, for pledges to send to?  A
 * 6LoWPAN interface has one of the radio's EUI-64, which it keeps, and one of the short address,
 * which is the PAN's to give: the former (RFC 4944 6).  Else the lower one, so that it does not
 * depend on who came first. */
bool lowpan_prefers(const struct netwatch_link *link, const struct in6_addr *a,
		    const struct in6_addr *b);

#define LOWPAN_COMMAND_LEN 160

/* The command that makes one on the radio of that name, for people to type: under the first name
 * that is free, and with the radio up, without which nothing goes through.  Returns BUF. */
char *lowpan_command(const struct netwatch *nw, const char *radio, char buf[LOWPAN_COMMAND_LEN]);

#endif
