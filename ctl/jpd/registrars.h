/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrars that somebody told us of: keeps what was heard, how and until when, and says
 * which of them shall be served.  Bounded, whatever a network cares to say.  Believes
 * nobody on a pledge port: that is for its callers, who listen on uplinks only, to keep.
 */
#ifndef JPX_REGISTRARS_H
#define JPX_REGISTRARS_H

#include <netinet/in.h>
#include <stdint.h>

#include <jpx/abi.h>

struct registrars;

#define REGISTRAR_NO_PRIORITY 65535 /* said nothing (BRSKI discovery 3.5.3.3: "65535 0") */

/* One Registrar service as somebody described it once. */
struct registrar_heard {
	enum jpx_source source; /* never JPX_SOURCE_CONFIG */
	struct in6_addr addr;	/* v4-mapped for IPv4 */
	uint16_t port;		/* host order, not 0 */
	enum jpx_mode mode;
	enum jpx_form form; /* of a stateless one */
	uint16_t priority;  /* lower is better */
	uint16_t weight;
	uint32_t lifetime;    /* seconds that it stands without being said again, 1 to 86400 */
	unsigned int ifindex; /* uplink that it was heard on, or 0 */
	struct in6_addr from; /* who said it; :: where there is no one address */
	char by[48];	      /* the words: "rt=brski.rjp", "AN_join_registrar BRSKI_RJP" */
};

/* Takes in what was heard, or refuses it: no address of one host, link-local, no room.
 * Takes note and returns; what follows from it happens later, from the loop. */
void registrars_heard(struct registrars *registrars, const struct registrar_heard *heard);

/* FROM answered anew, by SOURCE on IFINDEX, with the words BY: what it said by them before
 * and did not repeat within the last SECONDS stands no longer. */
void registrars_replaced(struct registrars *registrars, enum jpx_source source,
			 unsigned int ifindex, const struct in6_addr *from, const char *by,
			 unsigned int seconds);

#endif
