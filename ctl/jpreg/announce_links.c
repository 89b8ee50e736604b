/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See announce_links.h. */
#include "announce_links.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "est.h"
#include "linkformat.h"

#define LINK_MAX 160

/* In the order in which they are told to who asks for several. */
static const struct row {
	const char *scheme;
	bool jpy; /* port */
	const char *rest;
} rows[] = {
	/* join-proxy-18 to -21; -12 to -17 */
	{ "jpy", true, ">;rt=brski.rjp" },
	{ "coaps+jpy", true, ">;rt=brski.rjp" },
	/* join-proxy-16 to -21 5.1.2 */
	{ "coaps", false, ">;rt=brski" },
	/* coap-est-06 6, cBRSKI 15.1; RFC 9148 4.1 has the functions alone, those that must be
	   there first */
	{ "coaps", false, "/" EST_SHORT ">;rt=\"" EST_RT "\"" },
	{ "coaps", false, "/" EST_SHORT "/crts>;rt=\"" EST_RT ".crts\";ct=" EST_CT_CRTS },
	{ "coaps", false, "/" EST_SHORT "/sen>;rt=\"" EST_RT ".sen\";ct=" EST_CT_SEN },
	{ "coaps", false, "/" EST_SHORT "/sren>;rt=\"" EST_RT ".sren\";ct=" EST_CT_SEN },
	{ "coaps", false, "/" EST_SHORT "/att>;rt=\"" EST_RT ".att\";ct=" EST_CT_ATT },
	{ "coaps", false, "/" EST_SHORT "/skg>;rt=\"" EST_RT ".skg\";ct=" EST_CT_SKG },
	{ "coaps", false, "/" EST_SHORT "/skc>;rt=\"" EST_RT ".skc\";ct=" EST_CT_SKG },
};

size_t announce_links_write(const struct in6_addr *addr, uint16_t jpy, uint16_t coaps,
			    const char *filter, size_t filter_len, char *buf, size_t len)
{
	char host[INET6_ADDRSTRLEN], link[LINK_MAX];
	size_t used = 0;

	if (!inet_ntop(AF_INET6, addr, host, sizeof(host)))
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int got = snprintf(link, sizeof(link), "<%s://[%s]:%u%s", rows[i].scheme, host,
				   rows[i].jpy ? jpy : coaps, rows[i].rest);

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
	return used;
}
