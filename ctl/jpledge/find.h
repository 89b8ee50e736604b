/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `jpledge discover' looks for proxies by: one way a file, one row each in the table of
 * cmd_discover.c.  A way sends and hears on one interface alone, as a pledge would, and hands
 * over what it found.  It neither prints nor keeps count; what it hears is hostile.
 */
#ifndef JPLEDGE_FIND_H
#define JPLEDGE_FIND_H

#include <netinet/in.h>
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
	struct in6_addr addr; /* of the proxy; link-local, on the interface asked */
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

#endif
