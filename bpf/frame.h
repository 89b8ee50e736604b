/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all ways do to a frame: the checks of its lengths and checksums before it
 * is touched, and the IP and UDP headers written once it has been resized.
 */
#ifndef JPX_BPF_FRAME_H
#define JPX_BPF_FRAME_H

#include "csum.h"
#include "parse.h"
#include "stats.h"

/* An address as it is in a header: IPv6's two halves, or IPv4's four bytes in LO. */
struct jpx_addr {
	__u64 hi, lo; /* as they lie in memory */
};

static __always_inline struct jpx_addr jpx_addr_load(const void *at, __u32 ipv4)
{
	struct jpx_addr a = {};

	if (ipv4) {
		a.lo = jpx_load32(at);
		return a;
	}
	a.hi = jpx_load64(at);
	a.lo = jpx_load64(at + 8);
	return a;
}

static __always_inline struct jpx_addr jpx_frame_src(const struct jpx_frame *f)
{
	return jpx_addr_load(f->ipv4 ? f->ip + 12 : f->ip + 8, f->ipv4);
}

static __always_inline struct jpx_addr jpx_frame_dst(const struct jpx_frame *f)
{
	return jpx_addr_load(f->ipv4 ? f->ip + 16 : f->ip + 24, f->ipv4);
}

/* One of 16 bytes out of a map, an IPv4 one mapped. */
static __always_inline struct jpx_addr jpx_addr_mapped(const __u8 addr[16], __u32 ipv4)
{
	struct jpx_addr a = {};

	if (ipv4) {
		a.lo = *(const __u32 *)(addr + 12);
		return a;
	}
	a.hi = *(const __u64 *)addr;
	a.lo = *(const __u64 *)(addr + 8);
	return a;
}

static __always_inline int jpx_addr_is(struct jpx_addr a, struct jpx_addr b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

static __always_inline __u64 jpx_addr_sum(__u64 sum, struct jpx_addr a)
{
	return jpx_csum_add64(jpx_csum_add64(sum, a.hi), a.lo);
}

/* The ones' complement sum of an IPv4 header that is right is 0xffff. */
static __always_inline int jpx_ip4_is_right(const void *ip)
{
	__u64 sum = jpx_csum_add64(jpx_load32(ip + 16), jpx_load64(ip));

	return jpx_csum_fold(jpx_csum_add64(sum, jpx_load64(ip + 8))) == 0xffff;
}

/*
 * Do frame, IP and UDP agree, and is there a checksum to carry on?  REST: what the checksum
 * covers besides the content.  Returns -1 when all is well and fills CONTENT_SUM, not folded;
 * else the verdict, counted under PORT_ID.
 */
static __always_inline int jpx_frame_check(const struct jpx_frame *f, __u32 port_id, __u64 rest,
					   __u32 *udp_len, __u64 *content_sum)
{
	__u32 ip_len = bpf_ntohs(jpx_load16(f->ipv4 ? f->ip + 2 : f->ip + 4));
	__u32 frame_len = (__u32)(f->end - f->udp);
	__be16 len_be = jpx_load16(f->udp + 4);
	__u16 check = jpx_load16(f->udp + 6);
	__u32 len = bpf_ntohs(len_be);

	if (f->ipv4) {
		if (!jpx_ip4_is_right(f->ip))
			return jpx_drop(port_id, JPX_DROP_IP_CHECKSUM);
		/* Shorter than its header: more than any frame, after this. */
		ip_len -= JPX_IP4_HLEN;
	}
	if (len != ip_len || len != frame_len || len < JPX_UDP_HLEN) {
		/* Bytes behind a whole datagram are legal (padding): the kernel trims them. */
		if (len >= JPX_UDP_HLEN && len <= ip_len && ip_len <= frame_len)
			return jpx_hand_off(port_id, JPX_HANDOFF_PADDING);
		return jpx_drop(port_id, JPX_DROP_LENGTH_MISMATCH);
	}
	if (check == 0) {
		/* Allowed in IPv4 (RFC 768), but then there is nothing to carry on. */
		if (f->ipv4)
			return jpx_hand_off(port_id, JPX_HANDOFF_CHECKSUM_NONE);
		return jpx_drop(port_id, JPX_DROP_CHECKSUM_ZERO);
	}
	/* A sender that leaves the checksum to hardware stores the sum of the
	 * pseudo-header and nothing else.  Carried on, it would become garbage
	 * that looks like a checksum; the kernel knows better what it has. */
	rest += len_be;
	if (jpx_csum_is_zero(jpx_csum_less(rest, (__u64)jpx_load32(f->udp) + check)))
		return jpx_hand_off(port_id, JPX_HANDOFF_CHECKSUM_PARTIAL);
	*content_sum = jpx_csum_content(check, rest + len_be);
	*udp_len = len;
	return -1;
}

/* The IP header at P, as both engines write it: no class, no flow label, no options; IPv4 with
 * "do not fragment" and, for that, without an identification (RFC 6864 4.1). */
static __always_inline void jpx_ip_write(void *p, __u32 ipv4, __u32 udp_len, struct jpx_addr src,
					 struct jpx_addr dst)
{
	if (ipv4) {
		__be16 len = bpf_htons((__u16)(udp_len + JPX_IP4_HLEN));
		__u64 first = bpf_htons(0x4500) | (__u64)len << 16 | (__u64)bpf_htons(0x4000) << 48;
		__u16 ttl = bpf_htons(JPX_HOP_LIMIT << 8 | IPPROTO_UDP);
		__u64 sum = bpf_htons(0x4500) + bpf_htons(0x4000) + (__u64)len + ttl;
		__u16 check = (__u16)~jpx_csum_fold(sum + src.lo + dst.lo);

		jpx_store64(p, first);
		jpx_store64(p + 8, src.lo << 32 | (__u64)check << 16 | ttl);
		jpx_store32(p + 16, (__u32)dst.lo);
		return;
	}
	jpx_store64(p, bpf_cpu_to_be64(0x60ULL << 56 | (__u64)udp_len << 16 | IPPROTO_UDP << 8 |
				       JPX_HOP_LIMIT));
	jpx_store64(p + 8, src.hi);
	jpx_store64(p + 16, src.lo);
	jpx_store64(p + 24, dst.hi);
	jpx_store64(p + 32, dst.lo);
}

/* The UDP header at P.  SUM: of all that the checksum covers. */
static __always_inline void jpx_udp_write(void *p, __be16 sport, __be16 dport, __u32 udp_len,
					  __u64 sum)
{
	jpx_store32(p, (__u32)dport << 16 | sport);
	jpx_store16(p + 4, bpf_htons((__u16)udp_len));
	jpx_store16(p + 6, jpx_csum_finish(sum));
}

/* 24 bytes at P: a pledge port's link header towards MAC, and behind it what the IP header, which
 * must be written after it, overwrites. */
static __always_inline void jpx_port_l2_write(void *p, const struct jpx_port *port, __u64 mac,
					      __u32 ipv4)
{
	/* Longest first. */
	jpx_store64(p, bpf_cpu_to_be64(mac << 16) | (__u64) * (const __u16 *)port->mac << 48);
	jpx_store32(p + 8, *(const __u32 *)(port->mac + 2));
	jpx_store32(p + 12, *(const __u32 *)port->l2_type);
	jpx_store32(p + 16, *(const __u32 *)(port->l2_type + 2));
	jpx_store16(p + 20, port->l2_type[4]);
	if (ipv4) {
		__u32 at = port->l2_len;

		/* The ethertype is the last word; at other places only tags end. */
		if (at == ETH_HLEN)
			jpx_store16(p + 12, bpf_htons(ETH_P_IP));
		else if (at == ETH_HLEN + JPX_VLAN_HLEN)
			jpx_store16(p + 16, bpf_htons(ETH_P_IP));
		else
			jpx_store16(p + 20, bpf_htons(ETH_P_IP));
	}
}

/* 24 bytes at P: the link header towards SERVICE's next hop, and what is behind it. */
static __always_inline void jpx_service_l2_write(void *p, const struct jpx_service *service)
{
	const __u64 *l2 = (const __u64 *)service->l2;

	jpx_store64(p, l2[0]);
	jpx_store64(p + 8, l2[1]);
	jpx_store64(p + 16, l2[2]);
}

/* Out through KEY of jpx_tx, or back onto the same wire, or a drop counted under PORT_ID. */
static __always_inline int jpx_send(struct xdp_md *ctx, __u32 key, __u32 bounce_ifindex,
				    __u32 port_id)
{
	int verdict = XDP_TX;

	if (bounce_ifindex != ctx->ingress_ifindex)
		verdict = bpf_redirect_map(&jpx_tx, key, XDP_DROP);
	return verdict == XDP_DROP ? jpx_drop(port_id, JPX_DROP_SEND_FAILED) : verdict;
}

#endif
