/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the first byte of a frame to its UDP header.  Answers only "is there an IP
 * datagram with UDP right behind it, and where"; judges nothing.  Every other
 * frame is not ours: the caller passes it on.
 */
#ifndef JPX_BPF_PARSE_H
#define JPX_BPF_PARSE_H

#include <linux/if_ether.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <jpx/wire.h>

#include "maps.h"

#define JPX_VLAN_HLEN 4
#define JPX_VID_MASK  bpf_htons(0x0fff)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the fast path packs ports and MACs into little-endian words; use the socket engine"
#endif

/* Packet memory is touched in whole words: the compiler would go byte by byte
 * through a packed struct.  x86-64 and arm64 take unaligned words as they are. */
static __always_inline __u64 jpx_load64(const void *p)
{
	return *(const volatile __u64 *)p;
}

static __always_inline __u32 jpx_load32(const void *p)
{
	return *(const volatile __u32 *)p;
}

static __always_inline __u16 jpx_load16(const void *p)
{
	return *(const volatile __u16 *)p;
}

static __always_inline void jpx_store64(void *p, __u64 v)
{
	*(volatile __u64 *)p = v;
}

static __always_inline void jpx_store32(void *p, __u32 v)
{
	*(volatile __u32 *)p = v;
}

static __always_inline void jpx_store16(void *p, __u16 v)
{
	*(volatile __u16 *)p = v;
}

static __always_inline void jpx_store8(void *p, __u8 v)
{
	*(volatile __u8 *)p = v;
}

/* A frame taken apart: pointers are into the packet. */
struct jpx_frame {
	void *eth, *end; /* eth: where the packet begins, with an Ethernet header or without */
	void *ip, *udp;
	__u32 l2_len; /* 0 (a bare IPv6 link), 14, 18 or 22 */
	__u32 ipv4;   /* ip is an IPv4 header of 20 bytes, else an IPv6 one */
};

enum jpx_parse {
	JPX_PARSE_UDP,	   /* f->udp is there, 8 bytes of it readable */
	JPX_PARSE_IP,	   /* f->ip is there; behind it something else, or only a piece of UDP */
	JPX_PARSE_FOREIGN, /* nothing that could ever be ours */
};

static __always_inline enum jpx_parse jpx_parse(struct xdp_md *ctx, enum jpx_link link,
						struct jpx_frame *f)
{
	void *p;
	__be16 proto;

	f->eth = p = (void *)(long)ctx->data;
	f->end = (void *)(long)ctx->data_end;
	f->l2_len = 0;
	f->ipv4 = 0;

	if (link == JPX_LINK_ETHERNET) {
		if (p + ETH_HLEN > f->end)
			return JPX_PARSE_FOREIGN;
		proto = jpx_load16(p + 12);
		p += ETH_HLEN;
		f->l2_len = ETH_HLEN;
		if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD)) {
			if (p + JPX_VLAN_HLEN > f->end)
				return JPX_PARSE_FOREIGN;
			proto = jpx_load16(p + 2);
			p += JPX_VLAN_HLEN;
			f->l2_len = ETH_HLEN + JPX_VLAN_HLEN;
			if (proto == bpf_htons(ETH_P_8021Q)) {
				if (p + JPX_VLAN_HLEN > f->end)
					return JPX_PARSE_FOREIGN;
				proto = jpx_load16(p + 2);
				p += JPX_VLAN_HLEN;
				f->l2_len = ETH_HLEN + 2 * JPX_VLAN_HLEN;
			}
		}
		if (proto == bpf_htons(ETH_P_IP)) {
			if (p + JPX_IP4_HLEN > f->end)
				return JPX_PARSE_FOREIGN;
			f->ip = p;
			f->ipv4 = 1;
			if (*(__u8 *)(p + 9) != IPPROTO_UDP)
				return JPX_PARSE_FOREIGN;
			/* Options, or a fragment: all but "do not fragment" would be 0. */
			if (*(__u8 *)p != 0x45 || jpx_load16(p + 6) & bpf_htons(0xbfff))
				return JPX_PARSE_IP;
			p += JPX_IP4_HLEN;
			goto udp;
		}
		if (proto != bpf_htons(ETH_P_IPV6))
			return JPX_PARSE_FOREIGN;
	}

	if (p + JPX_IP6_HLEN > f->end)
		return JPX_PARSE_FOREIGN;
	f->ip = p;
	if ((*(__u8 *)p & 0xf0) != 0x60)
		return JPX_PARSE_FOREIGN;
	if (*(__u8 *)(p + 6) != IPPROTO_UDP)
		return JPX_PARSE_IP;
	p += JPX_IP6_HLEN;
udp:
	if (p + JPX_UDP_HLEN > f->end)
		return JPX_PARSE_FOREIGN;
	f->udp = p;
	return JPX_PARSE_UDP;
}

/* The commonest frame of all: Ethernet without tags, IPv6, UDP.  1 and F filled if it is one. */
static __always_inline int jpx_parse_plain(struct xdp_md *ctx, struct jpx_frame *f)
{
	f->eth = (void *)(long)ctx->data;
	f->end = (void *)(long)ctx->data_end;
	f->ip = f->eth + ETH_HLEN;
	f->udp = f->ip + JPX_IP6_HLEN;
	f->l2_len = ETH_HLEN;
	f->ipv4 = 0;
	return f->udp + JPX_UDP_HLEN <= f->end &&
	       jpx_load16(f->eth + 12) == bpf_htons(ETH_P_IPV6) &&
	       (*(__u8 *)f->ip & 0xf0) == 0x60 && *(__u8 *)(f->ip + 6) == IPPROTO_UDP;
}

/*
 * 1 or 0, and the verifier knows which from here on.  Without this each later question about
 * YES is a new one to it: kernels up to 6.6 learn nothing from "is not 0", and then walk ways on
 * which a header is 20 bytes long at one question and an IPv6 address is read from it at the next.
 */
static __always_inline __u32 jpx_decided(__u32 yes)
{
	__u32 known = 0;

	/* What the compiler knows it must go on knowing. */
	if (__builtin_constant_p(yes))
		return !!yes;
	if (yes) {
		known = 1;
		barrier_var(known);
		return known;
	}
	barrier_var(known);
	return known;
}

static __always_inline __u32 jpx_l3_len(__u32 ipv4)
{
	return ipv4 ? JPX_IP4_HLEN : JPX_IP6_HLEN;
}

/*
 * A frame as one number, and taken apart again from that.  What relays any frame is in functions
 * of their own, which get nothing but numbers: so the verifier looks at each of them once and
 * not once for every way to get there, and a program loads in a fraction of the time.  A call
 * costs 5 to 8 ns, most of it the return (mitigated returns are never predicted right), and a
 * header whose place and family are not known another 5: what is plain does not go through them.
 */
#define JPX_SHAPE_IPV4	0x100
#define JPX_SHAPE_PLAIN ETH_HLEN /* as jpx_parse_plain() finds it */

static __always_inline __u32 jpx_frame_shape(const struct jpx_frame *f)
{
	return f->l2_len | (f->ipv4 ? JPX_SHAPE_IPV4 : 0);
}

/* 0 when f->udp is there. */
static __always_inline int jpx_frame_from(struct xdp_md *ctx, __u32 shape, struct jpx_frame *f)
{
	f->eth = (void *)(long)ctx->data;
	f->end = (void *)(long)ctx->data_end;
	f->l2_len = shape & 31;
	f->ipv4 = jpx_decided(shape & JPX_SHAPE_IPV4);
	f->ip = f->eth + f->l2_len;
	f->udp = f->ip + jpx_l3_len(f->ipv4);
	/* Said twice: of the second the verifier does not learn the first. */
	if (f->eth + 22 > f->end || f->ip + jpx_l3_len(f->ipv4) > f->end ||
	    f->udp + JPX_UDP_HLEN > f->end)
		return -1;
	return 0;
}

/* What jpx_parse_behind() found: ports in network order as they lie in memory. */
#define JPX_BEHIND_FRAGMENT (1LL << 32)

/* Hop-by-hop options, routing, fragment, destination options: what may stand before UDP. */
static __always_inline int jpx_is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 44 || next == 60;
}

/*
 * Behind extension headers (at most four) or a first fragment header: the UDP
 * ports, source first, and JPX_BEHIND_FRAGMENT; or -1.  Only for what is handed
 * off; out of line, since such traffic is rare.
 */
static __noinline long jpx_parse_behind(struct xdp_md *ctx, __u32 off, __u32 next)
{
	__u8 h[8] __attribute__((aligned(8))) = {};
	__s64 fragment = 0;

	for (int i = 0; i <= 4; i++) {
		if (bpf_xdp_load_bytes(ctx, off, h, sizeof(h)))
			return -1;
		if (next == IPPROTO_UDP)
			return (__s64) * (__u32 *)h | fragment;
		switch (next) {
		case 44: /* fragment: only the first one has the ports */
			if (h[2] || h[3] & 0xf8)
				return -1;
			fragment = JPX_BEHIND_FRAGMENT;
			off += 8;
			break;
		case 0:	 /* hop-by-hop options */
		case 43: /* routing */
		case 60: /* destination options */
			off += 8 + h[1] * 8;
			break;
		default:
			return -1;
		}
		next = h[0];
	}
	return -1;
}

/* The same for IPv4: behind options, or a first fragment's header.  OFF: where IP begins. */
static __noinline long jpx_parse_behind4(struct xdp_md *ctx, __u32 off)
{
	__u8 h[8] __attribute__((aligned(8))) = {};
	__s64 fragment = 0;
	__u32 len;

	if (bpf_xdp_load_bytes(ctx, off, h, sizeof(h)))
		return -1;
	len = (h[0] & 15) * 4;
	if (h[0] >> 4 != 4 || len < JPX_IP4_HLEN || h[6] & 0x1f || h[7])
		return -1;
	if (h[6] & 0x20)
		fragment = JPX_BEHIND_FRAGMENT;
	if (bpf_xdp_load_bytes(ctx, off + len, h, sizeof(h)))
		return -1;
	return (__s64) * (__u32 *)h | fragment;
}

#endif
