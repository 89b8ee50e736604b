/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrars that somebody told us of: keeps what was heard, how and until when, and says
 * which of them shall be served.  Bounded, whatever a network cares to say.  Believes
 * nobody on a pledge port: its callers listen on uplinks only, and what was said on an uplink
 * that becomes a pledge port is forgotten.
 */
#ifndef JPX_REGISTRARS_H
#define JPX_REGISTRARS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jpx/abi.h>

struct event_base;
struct pledge_links;
struct registrars;

#define REGISTRARS_MAX	      64    /* known at once; others are refused until one is gone */
#define REGISTRARS_A_VOICE    16    /* of them from one address by one source */
#define REGISTRAR_NO_PRIORITY 65535 /* said nothing (BRSKI discovery 3.5.3.3: "65535 0") */
#define REGISTRAR_BY_LEN      48

/* One Registrar service as somebody described it once. */
struct registrar_heard {
	enum jpx_source source; /* never JPX_SOURCE_CONFIG */
	struct in6_addr addr;	/* v4-mapped for IPv4 */
	uint16_t port;		/* host order, not 0 */
	enum jpx_mode mode;
	enum jpx_form form; /* of a stateless one */
	uint16_t priority;  /* lower is better */
	uint16_t weight;
	uint32_t lifetime;    /* seconds that it stands without being said again; a day at most */
	unsigned int ifindex; /* uplink that it was heard on, or 0 */
	struct in6_addr from; /* who said it; :: where there is no one address */
	char by[REGISTRAR_BY_LEN]; /* the words: "rt=brski.rjp", "AN_join_registrar BRSKI_RJP" */
};

/* Takes in what was heard, or refuses it: no address of one host, link-local, no room.
 * Takes note and returns; what follows from it happens later, from the loop. */
void registrars_heard(struct registrars *registrars, const struct registrar_heard *heard);

/* What was heard by one of LINKS, which is copied, stands no longer, and nothing is taken from
 * there from now on. */
void registrars_distrust(struct registrars *registrars, const struct pledge_links *links);

/* FROM answered anew, by SOURCE on IFINDEX, with the words BY: what it said by them before
 * and did not repeat within the last SECONDS stands no longer. */
void registrars_replaced(struct registrars *registrars, enum jpx_source source,
			 unsigned int ifindex, const struct in6_addr *from, const char *by,
			 unsigned int seconds);

/* ---- for their one reader --------------------------------------------------- */

/* What one source said last about a Registrar. */
struct registrar_word {
	bool stands;
	uint64_t heard_ms, until_ms; /* of jpx_now_ms() */
	uint64_t voice_ms;	     /* until when by who said it */
	/* The last one of those who say so, too: until when, and since when. */
	uint64_t backed_ms, backer_heard_ms;
	unsigned int backer_ifindex;
	struct in6_addr backer;
	uint16_t priority, weight;
	unsigned int ifindex;
	struct in6_addr from;
	char by[REGISTRAR_BY_LEN];
};

/* What a service is to a Registrar now. */
enum registrar_service {
	REGISTRAR_UNSERVED,
	REGISTRAR_TRIED,      /* served, and nobody knows yet whether it answers */
	REGISTRAR_SERVED,     /* and it answers */
	REGISTRAR_SILENT,     /* served, and it does not answer */
	REGISTRAR_IMPOSSIBLE, /* cannot or need not be served: see why */
};

/* A Registrar that at least one source stands for. */
struct registrar {
	struct in6_addr addr;
	uint16_t port; /* host order */
	enum jpx_mode mode;
	enum jpx_form form;
	uint16_t priority, weight; /* of the best word */
	enum jpx_source source;	   /* of the best word */
	struct registrar_word words[JPX_SOURCE_COUNT];
	uint64_t first_ms;
	uint64_t tried_ms; /* served since then and never answered; 0: otherwise */

	enum registrar_service service; /* as the judge said last */
	bool chosen;			/* shall be served */
	char why[128];			/* not chosen: why; else empty */
};

/* ON_CHANGE is called from the loop after something was found or is gone.  NULL: out of memory. */
struct registrars *registrars_new(struct event_base *base, void (*on_change)(void *arg), void *arg);
void registrars_free(struct registrars *registrars);

/* Settles which shall be served: stateless wins where both modes are there, the newest form of one
 * port, at most MAX, and who is served and answers keeps its place; who was tried and never
 * answered makes room for those that were not.  MODE: enum jpx_mode, or -1 for either. LOOK: false
 * chooses none.  JUDGE says what each one is now, and for an impossible one why. */
void registrars_choose(struct registrars *registrars, bool look, int mode, unsigned int max,
		       enum registrar_service (*judge)(void *arg, const struct registrar *registrar,
						       char *why, size_t why_len),
		       void *arg);

/* The Ith, best first as chosen last, or NULL behind the last.  Valid until control returns to the
 * loop. */
const struct registrar *registrars_at(const struct registrars *registrars, unsigned int i);

#endif
