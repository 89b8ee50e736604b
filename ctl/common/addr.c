/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See addr.h. */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char *err, size_t err_len, const char *text, const char *why)
{
	snprintf(err, err_len, "\"%s\" %s", text, why);
	return -EINVAL;
}

static int parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n < 1 || n > 65535)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

int jpx_endpoint_parse(const char *text, uint16_t default_port, struct sockaddr_in6 *out, char *err,
		       size_t err_len)
{
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE_MAX_ + 1];
	const char *start = text, *end = text + strlen(text), *colon = strchr(text, ':');
	bool brackets = *text == '[', ipv4;
	uint16_t port = default_port;
	struct in_addr quad;
	char *zone;

	memset(out, 0, sizeof(*out));
	out->sin6_family = AF_INET6;
	if (brackets) {
		start = text + 1;
		end = strchr(start, ']');
		if (!end)
			return fail(err, err_len, text, "has no closing bracket");
		colon = end[1] ? end + 1 : NULL;
		if (colon && *colon != ':')
			return fail(err, err_len, text, "has something behind the bracket");
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon; /* no IPv6 address has but one */
	} else {
		colon = NULL;
	}
	if (colon && parse_port(colon + 1, &port))
		return fail(err, err_len, text, "has no port from 1 to 65535");
	if ((size_t)(end - start) >= sizeof(host))
		return fail(err, err_len, text, "is no IP address");
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = 0;
	zone = strchr(host, '%');
	if (zone) {
		*zone++ = 0;
		out->sin6_scope_id = if_nametoindex(zone);
		if (!out->sin6_scope_id)
			return fail(err, err_len, text, "names an interface that does not exist");
	}
	ipv4 = inet_pton(AF_INET, host, &quad) == 1;
	if (ipv4 && brackets)
		return fail(err, err_len, text,
			    "has brackets around an IPv4 address; write it as 192.0.2.1:5684");
	if (ipv4)
		out->sin6_addr = jpx_addr_map(quad);
	else if (inet_pton(AF_INET6, host, &out->sin6_addr) != 1)
		return fail(err, err_len, text,
			    "is no IP address with port; write it as [2001:db8::1]:5684 or "
			    "192.0.2.1:5684");
	if (!port)
		return fail(err, err_len, text,
			    ipv4 ? "has no port; write it as 192.0.2.1:5684"
				 : "has no port; write it as [2001:db8::1]:5684");
	out->sin6_port = htons(port);
	return 0;
}

int jpx_addr_parse(const char *text, struct in6_addr *addr, char *err, size_t err_len)
{
	struct in_addr quad;

	if (inet_pton(AF_INET, text, &quad) == 1)
		*addr = jpx_addr_map(quad);
	else if (inet_pton(AF_INET6, text, addr) != 1)
		return fail(err, err_len, text,
			    "is no IP address; write it as 2001:db8::1 or 192.0.2.1, without a "
			    "port or an interface");
	return 0;
}

const char *jpx_endpoint_join(const char *addr, unsigned int port, char *buf, size_t len)
{
	snprintf(buf, len, strchr(addr, ':') ? "[%s]:%u" : "%s:%u", addr, port);
	return buf;
}

const char *jpx_endpoint_format(const struct sockaddr_in6 *sa, char *buf, size_t len)
{
	char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], ifname[IF_NAMESIZE];

	jpx_addr_format(&sa->sin6_addr, host, sizeof(host));
	if (sa->sin6_scope_id && if_indextoname(sa->sin6_scope_id, ifname)) {
		strcat(host, "%");
		strcat(host, ifname);
	}
	return jpx_endpoint_join(host, ntohs(sa->sin6_port), buf, len);
}

const char *jpx_addr_format(const struct in6_addr *addr, char *buf, size_t len)
{
	const char *text = IN6_IS_ADDR_V4MAPPED(addr)
				   ? inet_ntop(AF_INET, &addr->s6_addr[12], buf, (socklen_t)len)
				   : inet_ntop(AF_INET6, addr, buf, (socklen_t)len);

	if (!text && len)
		*buf = 0;
	return buf;
}

struct in6_addr jpx_addr_map(struct in_addr addr)
{
	struct in6_addr mapped = { .s6_addr = { [10] = 0xff, 0xff } };

	memcpy(&mapped.s6_addr[12], &addr, sizeof(addr));
	return mapped;
}

/* A v4-mapped address in host order. */
static in_addr_t quad_of(const struct in6_addr *addr)
{
	in_addr_t quad;

	memcpy(&quad, &addr->s6_addr[12], sizeof(quad));
	return ntohl(quad);
}

bool jpx_addr_is_host(const struct in6_addr *addr)
{
	in_addr_t quad = quad_of(addr);

	if (IN6_IS_ADDR_V4MAPPED(addr))
		return quad != INADDR_ANY && quad != INADDR_BROADCAST && !IN_MULTICAST(quad);
	return !IN6_IS_ADDR_UNSPECIFIED(addr) && !IN6_IS_ADDR_MULTICAST(addr);
}

bool jpx_addr_is_link_local(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_V4MAPPED(addr) ? quad_of(addr) >> 16 == 0xa9fe
					  : IN6_IS_ADDR_LINKLOCAL(addr);
}
