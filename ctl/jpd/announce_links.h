/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The links by which a pledge port's join ports are named to a pledge that asks: which
 * forms its query selects, and in which order.  Text only: no socket, no clock.
 */
#ifndef JPX_ANNOUNCE_LINKS_H
#define JPX_ANNOUNCE_LINKS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct discovery_port;

/* A query that is longer selects none of our links. */
#define ANNOUNCE_FILTER_MAX 96
/* Room for all join ports of one pledge port in all forms. */
#define ANNOUNCE_LINKS_MAX 4096

/* Writes the links of PORT that FILTER ("rt=brski.jp", "brski-jp=*", ...; empty: all) selects
 * by RFC 6690 4.1 into BUF, in link-format without a 0 at its end.  Of one form, join ports
 * with much weight tend to stand first, as RFC 2782 means it; the same SEED gives the same
 * order.  Returns the length; 0: nothing is selected, nothing may be announced, or LEN is too
 * small for all of it. */
size_t announce_links(const struct discovery_port *port, const char *filter, size_t filter_len,
		      uint64_t seed, char *buf, size_t len);

/* A seed for pledge ADDR: another for each, the same for some minutes.  SECRET: of this
 * process.  SECONDS: of any clock that does not jump. */
uint64_t announce_seed(const struct in6_addr *addr, uint64_t secret, uint64_t seconds);

#endif
