/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See announce_links.h. */
#include "announce_links.h"

#include <stdbool.h>
#include <string.h>

#include "brski_link.h"
#include "discovery.h"
#include "linkformat.h"

#define LINK_MAX      128 /* the longest form, with the longest address and port */
#define SEED_STANDS_S 300

/* Mixes well (the finalizer of MurmurHash3 with the increment of SplitMix64).  Whoever works
 * out its secret learns an order of join ports that he could have asked for. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t announce_seed(const struct in6_addr *addr, uint64_t secret, uint64_t seconds)
{
	uint64_t halves[2], seed;

	memcpy(halves, addr, sizeof(halves));
	seed = mix(mix(secret ^ halves[0]) ^ halves[1]);
	/* not for all pledges anew at the same moment */
	return mix(seed ^ (seconds + seed % SEED_STANDS_S) / SEED_STANDS_S);
}

/* Which of JOINS[COUNT], those of weight 0 first in the row, is next (RFC 2782): by chance, its
 * weight against the sum of theirs.  Where none has a weight they are equal. */
static unsigned int choose(const struct discovery_join *const joins[], unsigned int count,
			   uint64_t random)
{
	uint64_t sum = 0, pick, run = 0;
	unsigned int at;

	for (unsigned int i = 0; i < count; i++)
		sum += joins[i]->weight;
	if (!sum)
		return (unsigned int)(random % count);
	pick = random % (sum + 1);
	for (at = 0; at + 1 < count; at++) {
		run += joins[at]->weight;
		if (run >= pick)
			break;
	}
	return at;
}

static void put_in_order(const struct discovery_port *port, uint64_t seed,
			 const struct discovery_join *out[DISCOVERY_JOINS])
{
	const struct discovery_join *rest[DISCOVERY_JOINS];
	unsigned int count = 0;

	for (unsigned int i = 0; i < port->join_count; i++)
		if (!port->joins[i].weight)
			rest[count++] = &port->joins[i];
	for (unsigned int i = 0; i < port->join_count; i++)
		if (port->joins[i].weight)
			rest[count++] = &port->joins[i];
	for (unsigned int left = count; left; left--) {
		unsigned int at;

		seed = mix(seed);
		at = choose(rest, left, seed);
		out[count - left] = rest[at];
		memmove(&rest[at], &rest[at + 1], (left - at - 1) * sizeof(rest[0]));
	}
}

size_t announce_links(const struct discovery_port *port, const char *filter, size_t filter_len,
		      uint64_t seed, char *buf, size_t len)
{
	const struct discovery_join *joins[DISCOVERY_JOINS];
	const struct brski_name *name;
	char link[LINK_MAX];
	size_t used = 0;

	if (filter_len > ANNOUNCE_FILTER_MAX)
		return 0;
	put_in_order(port, seed, joins);
	for (unsigned int n = 0; (name = brski_name(n)); n++) {
		for (unsigned int i = 0; i < port->join_count; i++) {
			int got = brski_name_link(name, &port->addr, joins[i]->port, link,
						  sizeof(link));

			if (got <= 0 || (size_t)got >= sizeof(link) ||
			    !linkformat_text_selected(filter, filter_len, link, (size_t)got))
				continue;
			if (used + (used > 0) + (size_t)got > len)
				return 0;
			if (used)
				buf[used++] = ',';
			memcpy(buf + used, link, (size_t)got);
			used += (size_t)got;
		}
	}
	return used;
}
