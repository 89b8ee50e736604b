/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What links of CoAP discovery say about Join Proxies and Registrars, by every version of
 * the drafts: one table of names each way, in brski_link.c, one row a name and version.
 */
#ifndef JPX_BRSKI_LINK_H
#define JPX_BRSKI_LINK_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include <jpx/abi.h>

#include "linkformat.h"

/* ---- Join Proxy to Registrar ---------------------------------------------- */

/* A name that Registrars are asked for: "rt=brski.rjp", ...; NULL behind the last. */
struct brski_ask {
	const char *filter;
	enum jpx_mode mode;
	const char *version; /* which drafts use it */
};
const struct brski_ask *brski_ask(unsigned int i);

struct brski_registrar {
	struct in6_addr addr;
	uint16_t port; /* host order */
	enum jpx_mode mode;
	enum jpx_form form;
	uint16_t priority, weight; /* of "pw", else 65535 and 0 */
};

/* The Registrar that LINK of an answer to FILTER names.  BASE: the answering address, which a
 * relative link refers to (RFC 7252 8.2), there with coaps and its port 5684.  Returns 0;
 * -ENOENT: the link is about something else; -EINVAL: about this, but wrong, with a sentence in ERR
 * (no port in jpy://, a port over 65535, no brackets, a link-local or multicast address, ...) that
 * can be logged: nothing in it is a stranger's. */
int brski_registrar_link(const struct linkformat_link *link, const char *filter,
			 const struct in6_addr *base, struct brski_registrar *out, char *err,
			 size_t err_len);

/* ---- pledge to Join Proxy --------------------------------------------------- */

/* A form in which a Join Proxy names its join port: "brski-jp", "rt=brski.jp", "rt=brski-proxy" ...
 */
struct brski_name {
	const char *filter; /* the query that asks for it */
	const char *version;
	const char *rt; /* value of "rt" in the answer, or NULL: the attribute brski-jp */
	bool space;	/* the seed writes a space behind ";" and quotes the value */
};
const struct brski_name *brski_name(unsigned int i);

/* The link, without its end, by which a Join Proxy at ADDR names join port PORT.  Byte for byte as
 * the drafts print it.  Returns its length (as snprintf does). */
int brski_name_link(const struct brski_name *name, const struct in6_addr *addr, uint16_t port,
		    char *buf, size_t len);

/* The other way: the join port that LINK names, and in ADDR where it is: BASE, where the link does
 * not say (join-proxy-21 5.2: the packet's source).  Returns as brski_registrar_link(). */
int brski_proxy_link(const struct linkformat_link *link, const struct in6_addr *base,
		     const struct brski_name **name, struct in6_addr *addr, uint16_t *port,
		     char *err, size_t err_len);

#endif
