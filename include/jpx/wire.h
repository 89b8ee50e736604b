/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both engines must agree on about bytes: constants of the wire and the
 * rules of admission, written once.  Compiled for BPF and for user space, so it
 * includes <linux/types.h> only, touches no memory but what it is handed, and
 * never loops over a datagram.
 *
 * Byte order: names that end in _be hold network order, all others host order.
 */
#ifndef JPX_WIRE_H
#define JPX_WIRE_H

#include <linux/types.h>

#define JPX_UDP_HLEN	   8
#define JPX_IP6_HLEN	   40
#define JPX_IP4_HLEN	   20 /* without options */
#define JPX_UDP_MAX	   65527 /* largest UDP payload over IPv6 without jumbograms */
#define JPX_HOP_LIMIT	   64	 /* of every datagram that either engine sends */
#define JPX_COAPS_PORT	   5684

/*
 * The header of a draft-21 message is ours to fill: a Registrar only echoes it
 * (draft-ietf-anima-constrained-join-proxy-21, 4.5.2: at most 32 bytes).
 *
 *    0        1         2       4                 12          18
 *    +--------+---------+-------+-----------------+-----------+
 *    | version| port id | UDP   | interface id    | MAC       |
 *    |        |         | port  | (low 64 bits)   |           |
 *    +--------+---------+-------+-----------------+-----------+
 */
#define JPX_H21_VERSION	   1 /* the pledge's address is IPv6 */
#define JPX_H21_VERSION4   2 /* it is IPv4: the interface id is jpx_pledge_id() of it */
#define JPX_H21_LEN	   18
#define JPX_H21_PORT_ID	   1
#define JPX_H21_UDP_PORT   2
#define JPX_H21_IID	   4
#define JPX_H21_MAC	   12

/* Longest prefix that the fast path writes in front of the content (draft-06, port id over 23). */
#define JPX_PREFIX_MAX	   27

/*
 * Link-local unicast as RFC 4291 2.5.6 lays it out: fe80::/10 followed by 54
 * zero bits, so that 64 bits of interface identifier are the whole identity.
 * HI: the first 8 bytes of the address, in host order.  LO: the last 8.
 */
static inline int jpx_is_link_local(__u64 hi, __u64 lo)
{
	return hi == 0xfe80000000000000ULL && lo != 0;
}

/* IPv4 link-local unicast (RFC 3927 2.1: 169.254/16 less its first and last 256).  Host order. */
static inline int jpx_is_link_local4(__u32 addr)
{
	return addr >> 16 == 0xa9fe && (addr >> 8 & 0xff) != 0 && (addr >> 8 & 0xff) != 0xff;
}

/* What stands for an IPv4 address where 8 bytes of interface identifier are kept: it in the
 * low 32 bits.  Which of both it is must be said beside it. */
static inline __u64 jpx_pledge_id(__u32 addr)
{
	return addr;
}

/*
 * Could these be the first bytes of a DTLS record?  RFC 9147 4.1: 20 to 26 with
 * a DTLS version behind it, or 32 to 63 (the unified header of DTLS 1.3).
 * LEN: bytes of content; B0..B2: its first bytes, anything where LEN is less.
 */
static inline int jpx_is_dtls(__u32 len, __u8 b0, __u8 b1, __u8 b2)
{
	if (len >= 1 && b0 >= 32 && b0 <= 63)
		return 1;
	return len >= 3 && b0 >= 20 && b0 <= 26 && b1 == 0xfe && (b2 == 0xff || b2 == 0xfd);
}

/* Is this interface identifier (host order) in modified EUI-64 form (RFC 4291 App A)? */
static inline int jpx_iid_is_eui64(__u64 iid)
{
	return ((iid >> 24) & 0xffff) == 0xfffe;
}

/* The 48-bit MAC, as a number, that a modified EUI-64 interface identifier was made from. */
static inline __u64 jpx_iid_to_mac(__u64 iid)
{
	return (((iid >> 16) & 0xffffff000000ULL) ^ 0x020000000000ULL) | (iid & 0xffffff);
}

#endif
