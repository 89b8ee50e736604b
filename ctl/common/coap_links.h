/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Being found by CoAP (RFC 6690, RFC 7252 8): on one interface, answers GETs of /.well-known/core
 * that were sent to groups or to one of its own addresses.  What the answer says is its user's.
 * Never answers on another interface, nor from another address.
 */
#ifndef JPX_COAP_LINKS_H
#define JPX_COAP_LINKS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define COAP_LINKS_MAX	      4096 /* octets of an answer */
#define COAP_LINKS_FILTER_MAX 96   /* of a query to a group; a longer one gets no answer */

struct event_base;
struct coap_links;

struct coap_links_config {
	const char *ifname; /* copied */
	unsigned int ifindex;
	struct in6_addr addr;	   /* on it; answers leave from there */
	const char *const *groups; /* up to three, NULL behind the last; static */
	/* How long a server may wait before it answers a group, so that not all answer at once:
	 * size of the group times size of an answer by the link's rate (RFC 7252 8.2). */
	unsigned int leisure_ms;
	unsigned int rate;    /* answers a second */
	bool neighbours_only; /* who has no link-local address gets no answer */
	/* Writes the links that FILTER ("rt=brski.jp", ...; empty: all) selects, for who asks from
	 * FROM, into BUF, in link-format without a 0 at its end.  Their length; 0: there are none.
	 */
	size_t (*links)(void *arg, const struct in6_addr *from, const char *filter,
			size_t filter_len, char *buf, size_t len);
	void *arg;
};

/* Begins to answer, and tries again every ten seconds where that is not possible.  NULL after an
 * error has been logged. */
struct coap_links *coap_links_new(struct event_base *base, const struct coap_links_config *config);
void coap_links_free(struct coap_links *links);

void coap_links_set_leisure(struct coap_links *links, unsigned int leisure_ms);

/* The address is ADDR from now on. */
void coap_links_move(struct coap_links *links, const struct in6_addr *addr);

#endif
