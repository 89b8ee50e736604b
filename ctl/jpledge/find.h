/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `jpledge discover' looks for proxies by: one way a file, one row each in the table of
 * cmd_discover.c.  A way sends and hears on one interface alone, as a pledge would, and hands
 * over what it found.  It neither prints nor keeps count; what it hears is hostile.
 */
#ifndef JPLEDGE_FIND_H
#define JPLEDGE_FIND_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct find;

/* A join port that somebody on the link announced. */
struct found {
	const char *way; /* "coap", "grasp", "mdns": the way's name; static */
	/* The words it was announced with: "brski-jp", "rt=brski.jp", "AN_Proxy DTLS-EST",
	 * "_brski-proxy._udp". */
	char by[48];
	struct in6_addr addr; /* of the proxy; link-local, v4-mapped for IPv4 */
	uint16_t port;	      /* host order, not 0 */
};

/* FOUND is copied; the same again is no harm.  More than a bound is not kept. */
void find_found(struct find *find, const struct found *found);

/* A stranger's answer to the way called WAY that is malformed or not allowed: counted, WHY
 * (a sentence without a full stop) kept for the first. */
void find_refused(struct find *find, const char *way, const char *why);

struct find_way {
	const char *name; /* as --way takes it; the same as in struct found */
	/* Begins looking on IFNAME from BASE's loop, until stopped.  FIND outlives the way.  NULL:
	 * not possible, with a sentence without a full stop in ERR that says what to try. */
	void *(*start)(struct event_base *base, const char *ifname, unsigned int ifindex,
		       struct find *find, char *err, size_t err_len);
	void (*stop)(void *way);
};

extern const struct find_way find_coap;	 /* find_coap.c */
extern const struct find_way find_grasp; /* find_grasp.c */
#ifdef JPX_WITH_AVAHI
extern const struct find_way find_mdns; /* find_mdns.c */
#endif

/* ---- for cmd_discover.c: what was found ------------------------------------------- */

#define FIND_PROXIES_MAX 256 /* join ports */
#define FIND_METHODS_MAX 8   /* ways and words for one of them */
#define FIND_WAYS_MAX	 4

struct find_proxy {
	struct in6_addr addr;
	uint16_t port; /* host order */
	unsigned int method_count;
	struct find_method {
		const char *way;
		char by[48];
	} methods[FIND_METHODS_MAX];
};

/* NULL: out of memory. */
struct find *find_new(void);
void find_free(struct find *find);

/* In the order of addresses and ports; NULL behind the last.  Valid until more is found. */
const struct find_proxy *find_proxy(struct find *find, unsigned int i);
unsigned int find_count(const struct find *find);

/* Was there more than is kept? */
bool find_is_cut(const struct find *find);

/* How many of WAY's answers were refused, and in *WHY the reason for the first. */
unsigned long find_refusals(const struct find *find, const char *way, const char **why);

#endif
