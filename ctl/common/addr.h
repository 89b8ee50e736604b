/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * "[ADDR]:PORT" to and from a socket address (RFC 3986 3.2.2, RFC 5952; a zone
 * after a plain %, RFC 4007 11).  Numeric only: never asks a resolver.
 */
#ifndef JPX_ADDR_H
#define JPX_ADDR_H

#include <netinet/in.h>
#include <stddef.h>

#define JPX_ENDPOINT_STRLEN (INET6_ADDRSTRLEN + IF_NAMESIZE_MAX_ + 10)
#define IF_NAMESIZE_MAX_    16

/* Parses "[ADDR]:PORT", "[ADDR%ZONE]:PORT" or, where DEFAULT_PORT is not 0,
 * "[ADDR]" and "ADDR" alone.  PORT 1 to 65535.  Returns 0, or -EINVAL with a
 * sentence without a full stop in ERR, such as: "[::1:99" has no closing bracket */
int jpx_endpoint_parse(const char *text, uint16_t default_port, struct sockaddr_in6 *out, char *err,
		       size_t err_len);

/* The RFC 5952 text of SA as "[ADDR]:PORT", with "%IFNAME" where it has a scope. Returns BUF. */
const char *jpx_endpoint_format(const struct sockaddr_in6 *sa, char *buf, size_t len);

#endif
