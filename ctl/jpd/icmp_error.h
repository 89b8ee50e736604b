/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors as bytes: reads one, makes it one about the datagram that a pledge sent, in
 * the pledge's version of IP, and writes it.  Trusts no length that it reads.
 *
 * Opens no socket, and knows no flows: what it reads may be forged from end to end.
 */
#ifndef JPX_ICMP_ERROR_H
#define JPX_ICMP_ERROR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest error: the IP header, which is the kernel's to write, not counted. */
#define ICMP_ERROR_MAX 1240 /* RFC 4443 2.4 (c): 1280 with it; IPv4: 556 (RFC 1812 4.3.2.3) */

/* An ICMPv6 error, or where IPV4 is set an ICMP one, about a UDP datagram.  Host order but for
 * what sockaddr holds. */
struct icmp_error {
	bool ipv4;
	uint8_t type, code;
	uint32_t info; /* of "packet too big" the MTU, of "parameter problem" the pointer, else 0 */
	/* The datagram: its IP header, which had no options, ... */
	struct sockaddr_in6 from, to; /* no scope; v4-mapped in IPv4 */
	uint8_t traffic_class, hops;
	/* ... its UDP header, ... */
	uint16_t udp_len;
	uint16_t udp_check; /* as it is on the wire */
	/* ... and what is known of its content. */
	const unsigned char *content;
	size_t content_len;
};

enum icmp_read {
	ICMP_READ_DONE,
	ICMP_READ_OTHER, /* no error, or about something else than a UDP datagram, or malformed */
	ICMP_READ_SHORT, /* the quote ends before the UDP header does */
};

/* Reads the LEN bytes of ICMP message at MSG, which E goes on to point into.  The checksum of
 * ICMP is looked at, that of ICMPv6 is the kernel's to verify. */
enum icmp_read icmp_error_read(bool ipv4, const unsigned char *msg, size_t len,
			       struct icmp_error *e);

/* Says the same in the other version of IP (RFC 7915 4.2, 5.2); the addresses stay.  False: there
 * is no word for it, and nothing must be sent. */
bool icmp_error_translate(struct icmp_error *e);

/* Makes the datagram one from FROM to TO, the content being the same: RFC 1624 for its checksum,
 * since of the content there may be only a part. */
void icmp_error_about(struct icmp_error *e, const struct sockaddr_in6 *from,
		      const struct sockaddr_in6 *to);

/* The same for a datagram that is there whole: LEN bytes of CONTENT. */
void icmp_error_about_whole(struct icmp_error *e, const struct sockaddr_in6 *from,
			    const struct sockaddr_in6 *to, const void *content, size_t len);

/* Writes E with as much of the datagram as fits.  The checksum of ICMPv6 is left to the kernel.
 * Returns the length. */
size_t icmp_error_write(const struct icmp_error *e, unsigned char buf[ICMP_ERROR_MAX]);

#endif
