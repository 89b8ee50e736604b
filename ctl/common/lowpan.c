/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See lowpan.h. */
#include "lowpan.h"

#include <net/if_arp.h>
#include <net/if.h>
#include <stddef.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "netwatch.h"

#ifndef ARPHRD_6LOWPAN
#define ARPHRD_6LOWPAN 825
#endif

struct search {
	const struct netwatch_link *radio, *found;
};

bool lowpan_is_radio(const struct netwatch_link *link)
{
	return link->arphrd == ARPHRD_IEEE802154;
}

bool lowpan_is_stacked(const struct netwatch_link *link)
{
	return link->arphrd == ARPHRD_6LOWPAN;
}

static void look_at(void *arg, const struct netwatch_link *link, bool has_address)
{
	struct search *search = arg;

	(void)has_address;
	if (lowpan_is_stacked(link) && link->parent == search->radio->ifindex)
		search->found = link;
}

const struct netwatch_link *lowpan_on(const struct netwatch *nw, const struct netwatch_link *radio)
{
	struct search search = { .radio = radio };

	netwatch_each_link(nw, look_at, &search);
	return search.found;
}

/* RFC 4291, appendix A: the EUI-64 with its universal/local bit turned. */
static bool is_of_eui64(const struct netwatch_link *link, const struct in6_addr *addr)
{
	return addr->s6_addr[8] == (link->eui64[0] ^ 2) &&
	       !memcmp(addr->s6_addr + 9, link->eui64 + 1, sizeof(link->eui64) - 1);
}

bool lowpan_prefers(const struct netwatch_link *link, const struct in6_addr *a,
		    const struct in6_addr *b)
{
	if (lowpan_is_stacked(link) && is_of_eui64(link, a) != is_of_eui64(link, b))
		return is_of_eui64(link, a);
	return memcmp(a, b, sizeof(*a)) < 0;
}

char *lowpan_command(const struct netwatch *nw, const char *radio, char buf[LOWPAN_COMMAND_LEN])
{
	char name[IF_NAMESIZE];
	unsigned int n = 0;

	do
		snprintf(name, sizeof(name), "lowpan%u", n++);
	while (netwatch_link_by_name(nw, name));
	snprintf(buf, LOWPAN_COMMAND_LEN,
		 "ip link add link %.15s name %s type lowpan && ip link set %.15s up && ip link "
		 "set %s "
		 "up",
		 radio, name, radio, name);
	return buf;
}
