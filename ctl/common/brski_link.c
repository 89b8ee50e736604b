/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See brski_link.h.  What is here is the names, schemes and ports of every version, as tables, and
 * the reading of the URIs in between.
 *
 * Must never put a stranger's bytes into an error: these go to the log.
 */
#include "brski_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "addr.h"

#define COAPS_PORT   5684
#define NO_PRIORITY  65535 /* BRSKI discovery 3.5.3.3: as if pw="65535 0" */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

__attribute__((format(printf, 3, 4))) static int wrong(char *err, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/*
 * URIs
 */

enum scheme { RELATIVE, JPY, COAPS_JPY, COAPS };

static const struct {
	const char *text;
	enum scheme scheme;
} schemes[] = {
	{ "jpy://", JPY },
	{ "coaps+jpy://", COAPS_JPY },
	{ "coaps://", COAPS },
};

struct uri {
	enum scheme scheme;
	struct in6_addr addr; /* not if RELATIVE */
	unsigned int port;    /* 0: it names none */
};

/* A decimal number up to 65535. */
static bool parse_number(struct linkformat_text text, unsigned int *out)
{
	unsigned int n = 0;

	if (!text.len || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		n = 10 * n + (unsigned int)(text.at[i] - '0');
	}
	*out = n;
	return n <= 65535;
}

static bool parse_port(struct linkformat_text text, unsigned int *port)
{
	return parse_number(text, port) && *port;
}

/* HOST: what stands for it, brackets included. */
static int parse_host(struct linkformat_text host, struct in6_addr *addr, char *err, size_t err_len)
{
	bool brackets = host.len && host.at[0] == '[';
	char text[INET6_ADDRSTRLEN];
	struct in_addr quad;

	if (brackets) {
		host.at++;
		host.len -= 2;
	}
	if (host.len && memchr(host.at, '%', host.len))
		return wrong(err, err_len, "the address has a zone, which means nothing here");
	if (host.len < sizeof(text)) {
		memcpy(text, host.at, host.len);
		text[host.len] = 0;
		if (brackets && inet_pton(AF_INET6, text, addr) == 1)
			return 0;
		if (!brackets && inet_pton(AF_INET, text, &quad) == 1) {
			*addr = jpx_addr_map(quad);
			return 0;
		}
		if (!brackets && inet_pton(AF_INET6, text, addr) == 1)
			return wrong(err, err_len, "the IPv6 address has no brackets");
	}
	return wrong(err, err_len,
		     brackets ? "what is in the brackets is no IPv6 address"
			      : "it names no IP address; host names are not looked up");
}

/* AT: behind "//", up to END; a path, query or fragment is left alone. */
static int parse_authority(const char *at, const char *end, struct uri *uri, char *err,
			   size_t err_len)
{
	struct linkformat_text host = { at, 0 };
	const char *stop = at, *close;

	while (stop < end && *stop != '/' && *stop != '?' && *stop != '#')
		stop++;
	if (stop > at && memchr(at, '@', (size_t)(stop - at)))
		return wrong(err, err_len, "a user name in front of the address is not allowed");
	if (at < stop && *at == '[') {
		close = memchr(at, ']', (size_t)(stop - at));
		if (!close)
			return wrong(err, err_len, "the address has no closing bracket");
		at = close + 1;
		if (at < stop && *at != ':')
			return wrong(err, err_len, "there is something behind the bracket");
	} else {
		/* the last colon: an address without brackets shall be told from a bad port */
		for (at = stop; at > host.at && at[-1] != ':';)
			at--;
		at = at > host.at ? at - 1 : stop;
		if (memchr(host.at, ':', (size_t)(at - host.at)))
			at = stop;
	}
	host.len = (size_t)(at - host.at);
	uri->port = 0;
	if (stop - at > 1 &&
	    !parse_port((struct linkformat_text){ at + 1, (size_t)(stop - at - 1) }, &uri->port))
		return wrong(err, err_len, "the port is not one from 1 to 65535");
	return parse_host(host, &uri->addr, err, err_len);
}

/* Has it a scheme of another kind (RFC 3986 3.1)? */
static bool has_scheme(struct linkformat_text text)
{
	for (size_t i = 0; i < text.len && !strchr("/?#", text.at[i]); i++)
		if (text.at[i] == ':')
			return true;
	return false;
}

static int parse_uri(struct linkformat_text text, struct uri *uri, char *err, size_t err_len)
{
	struct linkformat_text rest = text;

	/* "</coaps://...": a server that takes its links for paths puts a slash in front */
	if (rest.len && *rest.at == '/') {
		rest.at++;
		rest.len--;
	}
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i].text);

		if (rest.len < len || strncasecmp(rest.at, schemes[i].text, len) != 0)
			continue;
		uri->scheme = schemes[i].scheme;
		return parse_authority(rest.at + len, rest.at + rest.len, uri, err, err_len);
	}
	if (has_scheme(text))
		return wrong(err, err_len, "the scheme is none of jpy, coaps+jpy and coaps");
	if (text.len > 1 && !memcmp(text.at, "//", 2))
		return wrong(err, err_len, "an address without a scheme says too little");
	uri->scheme = RELATIVE;
	return 0;
}

static bool is_loopback(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_V4MAPPED(addr) ? addr->s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(addr);
}

static int check_host(const struct in6_addr *addr, char *err, size_t err_len)
{
	char text[INET6_ADDRSTRLEN];

	if (!jpx_addr_is_host(addr))
		return wrong(err, err_len, "%s is not the address of a host",
			     jpx_addr_format(addr, text, sizeof(text)));
	if (is_loopback(addr))
		return wrong(err, err_len, "%s is a loopback address",
			     jpx_addr_format(addr, text, sizeof(text)));
	return 0;
}

/* A Registrar is reached through routers: an address of one link says nothing. */
static int check_registrar(const struct in6_addr *addr, char *err, size_t err_len)
{
	char text[INET6_ADDRSTRLEN];

	if (jpx_addr_is_link_local(addr))
		return wrong(err, err_len,
			     "%s is link-local: a Registrar needs an address that can be routed to",
			     jpx_addr_format(addr, text, sizeof(text)));
	return check_host(addr, err, err_len);
}

/* Is WORD one of the words of LINK's "rt"? */
static bool has_rt(const struct linkformat_link *link, const char *word)
{
	char filter[64];
	int len = snprintf(filter, sizeof(filter), "rt=%s", word);

	return linkformat_selects(filter, (size_t)len, link);
}

/*
 * Join Proxy to Registrar
 */

#define ASK_RJP		"rt=brski.rjp"
#define ASK_BRSKI	"rt=brski"
#define ASK_JOIN_PROXY	"rt=join-proxy"
#define ASK_BRSKI_PROXY "rt=brski-proxy"
#define ASK_EST		"rt=ace.est*"

static const struct brski_ask asks[] = {
	{ ASK_RJP, JPX_MODE_STATELESS, "join-proxy-06 to -21" },
	{ ASK_BRSKI, JPX_MODE_STATEFUL, "join-proxy-16 to -21" },
	{ ASK_JOIN_PROXY, JPX_MODE_STATELESS, "join-proxy-02 to -05" },
	{ ASK_BRSKI_PROXY, JPX_MODE_STATELESS, "join-proxy-02, as it prints the request" },
	{ ASK_EST, JPX_MODE_STATEFUL, "coap-est-06; RFC 9148 4.1, whose servers list the functions" },
};

const struct brski_ask *brski_ask(unsigned int i)
{
	return i < ARRAY_LEN(asks) ? &asks[i] : NULL;
}

/*
 * What an answer to a query can say: the name, the scheme, and the form that belongs to both.
 *
 * Two names of BRSKI discovery stand beside those that are asked for: a server that does not filter
 * lists them all, whatever the query.  Drafts -06 to -11 use one name and scheme, but -11 is
 * the first with the form of draft-21, and nothing tells it from the others: it is taken for
 * one of them.  Drafts -02 to -05 give Registrars and Join Proxies names that tell little
 * apart: a proxy that answers on an uplink from an address that can be routed to is taken for
 * a Registrar, too.
 *
 * A relative link is about the answering host.  Over CoAP it would be a resource without
 * DTLS, which none of these is (RFC 9148 4, cBRSKI 6.5), so it stands for coaps and its
 * default port; a JPY port has no default, and needs a URI.
 */
static const struct name {
	const char *filter;
	const char *rt;
	enum scheme scheme;
	enum jpx_mode mode;
	enum jpx_form form; /* stateless only */
} names[] = {
	/* join-proxy-18 to -21; -12 to -17; -06 to -11 */
	{ ASK_RJP, "brski.rjp", JPY, JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	{ ASK_RJP, "brski.rjp", COAPS_JPY, JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	{ ASK_RJP, "brski.rjp", COAPS, JPX_MODE_STATELESS, JPX_FORM_DRAFT06 },
	/* brski-discovery-07 3.5.3, its text and its example */
	{ ASK_RJP, "brski.rjpy", COAPS_JPY, JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	{ ASK_RJP, "brski.rjpy", JPY, JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	{ ASK_RJP, "brski.jpy", COAPS_JPY, JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	{ ASK_RJP, "brski.jpy", JPY, JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	/* join-proxy-16 to -21, cBRSKI */
	{ ASK_BRSKI, "brski", COAPS, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	{ ASK_BRSKI, "brski", RELATIVE, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	/* brski-discovery-07 3.5.3 */
	{ ASK_BRSKI, "brski.rs", COAPS, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	{ ASK_BRSKI, "brski.rs", RELATIVE, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	/* join-proxy-02 to -05; -02 prints the request with the proxies' name */
	{ ASK_JOIN_PROXY, "join-proxy", COAPS, JPX_MODE_STATELESS, JPX_FORM_DRAFT02 },
	{ ASK_BRSKI_PROXY, "join-proxy", COAPS, JPX_MODE_STATELESS, JPX_FORM_DRAFT02 },
	{ ASK_BRSKI_PROXY, "brski-proxy", COAPS, JPX_MODE_STATELESS, JPX_FORM_DRAFT02 },
	/* coap-est-06 6: "ace.est"; RFC 9148 4.1: "ace.est.crts", "ace.est.sen", ... */
	{ ASK_EST, "ace.est*", COAPS, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	{ ASK_EST, "ace.est*", RELATIVE, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
};

/* Is LINK about what FILTER asks for at all? */
static bool is_about(const struct linkformat_link *link, const char *filter)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i].filter, filter) && has_rt(link, names[i].rt))
			return true;
	return false;
}

static const struct name *find_name(const struct linkformat_link *link, const char *filter,
				    enum scheme scheme)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].scheme == scheme && !strcmp(names[i].filter, filter) &&
		    has_rt(link, names[i].rt))
			return &names[i];
	return NULL;
}

/* pw="PRIORITY WEIGHT", as of an SRV record (brski-discovery-07 3.5.3.3). */
static bool read_pw(const struct linkformat_link *link, uint16_t *priority, uint16_t *weight)
{
	const struct linkformat_attr *attr = linkformat_attr(link, "pw");
	unsigned int first, second = 0;
	struct linkformat_text a, b;
	const char *space;

	*priority = NO_PRIORITY;
	*weight = 0;
	if (!attr)
		return true;
	a = b = attr->value;
	space = a.len ? memchr(a.at, ' ', a.len) : NULL;
	if (space) {
		a.len = (size_t)(space - a.at);
		b.at = space + 1;
		b.len -= a.len + 1;
		if (!parse_number(b, &second))
			return false;
	}
	if (!parse_number(a, &first))
		return false;
	*priority = (uint16_t)first;
	*weight = (uint16_t)second;
	return true;
}

int brski_registrar_link(const struct linkformat_link *link, const char *filter,
			 const struct in6_addr *base, struct brski_registrar *out, char *err,
			 size_t err_len)
{
	const struct name *name;
	struct uri uri;

	if (!is_about(link, filter))
		return -ENOENT;
	if (parse_uri(link->target, &uri, err, err_len))
		return -EINVAL;
	name = find_name(link, filter, uri.scheme);
	if (!name && uri.scheme == RELATIVE)
		return wrong(err, err_len, "a link without address and port names no JPY port");
	if (!name)
		return wrong(err, err_len, "the scheme does not belong to that name");
	if (!uri.port && (uri.scheme == JPY || uri.scheme == COAPS_JPY))
		return wrong(err, err_len, "a JPY port has no default, and there is none");
	memset(out, 0, sizeof(*out));
	out->addr = uri.scheme == RELATIVE ? *base : uri.addr;
	out->port = uri.scheme == RELATIVE || !uri.port ? COAPS_PORT : (uint16_t)uri.port;
	out->mode = name->mode;
	out->form = name->form;
	if (check_registrar(&out->addr, err, err_len))
		return -EINVAL;
	if (!read_pw(link, &out->priority, &out->weight))
		return wrong(err, err_len, "pw is not a priority and a weight");
	return 0;
}

/*
 * Pledge to Join Proxy
 */

static const struct brski_name proxies[] = {
	{ "brski-jp=*", "join-proxy-20 to -21, cBRSKI", NULL, false },
	{ "rt=brski.jp", "join-proxy-06 to -19, brski-discovery-07", "brski.jp", false },
	{ "rt=brski-proxy", "join-proxy-02 to -05", "brski-proxy", true },
};

const struct brski_name *brski_name(unsigned int i)
{
	return i < ARRAY_LEN(proxies) ? &proxies[i] : NULL;
}

int brski_name_link(const struct brski_name *name, const struct in6_addr *addr, uint16_t port,
		    char *buf, size_t len)
{
	char host[INET6_ADDRSTRLEN], endpoint[JPX_ENDPOINT_STRLEN];

	if (!name->rt)
		return snprintf(buf, len, "<>;brski-jp=%u", port);
	jpx_endpoint_join(jpx_addr_format(addr, host, sizeof(host)), port, endpoint,
			  sizeof(endpoint));
	return snprintf(buf, len, name->space ? "<coaps://%s>; rt=\"%s\"" : "<coaps://%s>;rt=%s",
			endpoint, name->rt);
}

/* <>;brski-jp=PORT: the address is the packet's (join-proxy-21 5.2). */
static int read_brski_jp(const struct linkformat_link *link, const struct linkformat_attr *attr,
			 const struct in6_addr *base, struct in6_addr *addr, uint16_t *port,
			 char *err, size_t err_len)
{
	unsigned int n;

	if (link->target.len)
		return wrong(err, err_len, "brski-jp belongs to <> only");
	if (!parse_port(attr->value, &n))
		return wrong(err, err_len, "the value of brski-jp is no port from 1 to 65535");
	*addr = *base;
	*port = (uint16_t)n;
	return check_host(addr, err, err_len);
}

/* Relative, as vanderstok-01 7.3 prints it: a resource behind coaps of the proxy's. */
static int read_coaps(const struct linkformat_link *link, const struct in6_addr *base,
		      struct in6_addr *addr, uint16_t *port, char *err, size_t err_len)
{
	struct uri uri;

	if (parse_uri(link->target, &uri, err, err_len))
		return -EINVAL;
	if (uri.scheme != COAPS && uri.scheme != RELATIVE)
		return wrong(err, err_len, "a join port has the scheme coaps");
	*addr = uri.scheme == RELATIVE ? *base : uri.addr;
	*port = uri.scheme == RELATIVE || !uri.port ? COAPS_PORT : (uint16_t)uri.port;
	return check_host(addr, err, err_len);
}

int brski_proxy_link(const struct linkformat_link *link, const struct in6_addr *base,
		     const struct brski_name **name, struct in6_addr *addr, uint16_t *port,
		     char *err, size_t err_len)
{
	const struct linkformat_attr *attr = linkformat_attr(link, "brski-jp");

	for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
		*name = &proxies[i];
		if (!proxies[i].rt && attr)
			return read_brski_jp(link, attr, base, addr, port, err, err_len);
		if (proxies[i].rt && has_rt(link, proxies[i].rt))
			return read_coaps(link, base, addr, port, err, err_len);
	}
	*name = NULL;
	return -ENOENT;
}
