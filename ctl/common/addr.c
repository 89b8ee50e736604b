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
	const char *start = text, *end = text + strlen(text), *rest = end;
	uint16_t port = default_port;
	char *zone;

	memset(out, 0, sizeof(*out));
	out->sin6_family = AF_INET6;
	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end)
			return fail(err, err_len, text, "has no closing bracket");
		rest = end + 1;
		if (*rest == ':') {
			if (parse_port(rest + 1, &port))
				return fail(err, err_len, text, "has no port from 1 to 65535");
		} else if (*rest) {
			return fail(err, err_len, text, "has something behind the bracket");
		}
	}
	if ((size_t)(end - start) >= sizeof(host))
		return fail(err, err_len, text, "is no IPv6 address");
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = 0;
	zone = strchr(host, '%');
	if (zone) {
		*zone++ = 0;
		out->sin6_scope_id = if_nametoindex(zone);
		if (!out->sin6_scope_id)
			return fail(err, err_len, text, "names an interface that does not exist");
	}
	if (inet_pton(AF_INET6, host, &out->sin6_addr) != 1)
		return fail(err, err_len, text,
			    "is no IPv6 address with port; write it as [2001:db8::1]:5684");
	if (!port)
		return fail(err, err_len, text, "has no port; write it as [2001:db8::1]:5684");
	out->sin6_port = htons(port);
	return 0;
}

const char *jpx_endpoint_format(const struct sockaddr_in6 *sa, char *buf, size_t len)
{
	char host[INET6_ADDRSTRLEN], ifname[IF_NAMESIZE];

	inet_ntop(AF_INET6, &sa->sin6_addr, host, sizeof(host));
	if (sa->sin6_scope_id && if_indextoname(sa->sin6_scope_id, ifname))
		snprintf(buf, len, "[%s%%%s]:%u", host, ifname, ntohs(sa->sin6_port));
	else
		snprintf(buf, len, "[%s]:%u", host, ntohs(sa->sin6_port));
	return buf;
}
