/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses and endpoints as people type and read them, to and from the 16 bytes that
 * everything else works with: an IPv4 address is v4-mapped there (RFC 4291 2.5.5.2) and
 * a dotted quad here.  Numeric only: never asks a resolver.
 */
#ifndef JPX_ADDR_H
#define JPX_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define JPX_ENDPOINT_STRLEN (INET6_ADDRSTRLEN + IF_NAMESIZE_MAX_ + 10)
#define IF_NAMESIZE_MAX_    16

/* Parses "[ADDR]:PORT" (RFC 3986 3.2.2) or, for IPv4, "ADDR:PORT", and where DEFAULT_PORT
 * is not 0 "[ADDR]" and "ADDR" alone; each with a zone behind ADDR as in "%eth0" (RFC 4007
 * 11).  PORT 1 to 65535.  OUT is AF_INET6 for both families.  Returns 0, or -EINVAL with a
 * sentence without a full stop in ERR, such as: "[::1:99" has no closing bracket */
int jpx_endpoint_parse(const char *text, uint16_t default_port, struct sockaddr_in6 *out, char *err,
		       size_t err_len);

/* SA as "[ADDR]:PORT" or, where it is v4-mapped, "ADDR:PORT", with "%IFNAME" where it has a
 * scope.  Returns BUF. */
const char *jpx_endpoint_format(const struct sockaddr_in6 *sa, char *buf, size_t len);

/* The same from the text of an address.  PORT in host order.  Returns BUF. */
const char *jpx_endpoint_join(const char *addr, unsigned int port, char *buf, size_t len);

/* Parses "ADDR" alone, of either family, without port, brackets or zone.  Returns 0, or -EINVAL
 * with a sentence in ERR as above. */
int jpx_addr_parse(const char *text, struct in6_addr *addr, char *err, size_t err_len);

/* ADDR by RFC 5952, a v4-mapped one as "192.0.2.1".  LEN of INET6_ADDRSTRLEN holds any.
 * Returns BUF. */
const char *jpx_addr_format(const struct in6_addr *addr, char *buf, size_t len);

/* The IPv4 address ADDR, v4-mapped. */
struct in6_addr jpx_addr_map(struct in_addr addr);

/* Can it be the address of one host: not unspecified, no group, not 255.255.255.255? */
bool jpx_addr_is_host(const struct in6_addr *addr);

/* Is it link-local: fe80::/10 or 169.254/16 (RFC 3927)?  Then it says nothing without an
 * interface. */
bool jpx_addr_is_link_local(const struct in6_addr *addr);

#endif
