/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both modes do with a datagram from a Registrar: is it on the service's
 * path, can the pledge be reached, and the sending of it there.
 */
#ifndef JPX_BPF_ANSWER_H
#define JPX_BPF_ANSWER_H

#include "by_tc.h"
#include "frame.h"
#include "macs.h"

/* Does F come over the link that leads to the service's Registrar: to its MAC, and tagged so? */
static __always_inline int jpx_link_matches(const struct jpx_frame *f,
					    const struct jpx_service *service)
{
	const void *l2 = service->l2;
	__u32 differs;

	if (!f->l2_len)
		return 1; /* a bare IPv6 link */
	if (f->l2_len != service->l2_len)
		return 0;
	differs = jpx_load32(f->eth) ^ *(const __u32 *)(l2 + 6);
	differs |= jpx_load16(f->eth + 4) ^ *(const __u16 *)(l2 + 10);
	if (f->l2_len > ETH_HLEN) {
		differs |= jpx_load16(f->eth + 12) ^ *(const __u16 *)(l2 + 12);
		differs |= (jpx_load16(f->eth + 14) ^ *(const __u16 *)(l2 + 14)) & JPX_VID_MASK;
	}
	if (f->l2_len > ETH_HLEN + JPX_VLAN_HLEN)
		differs |= (jpx_load16(f->eth + 18) ^ *(const __u16 *)(l2 + 18)) & JPX_VID_MASK;
	return !differs;
}

/* Is F's source the Registrar of SERVICE, which is in use? */
static __always_inline int jpx_is_from(const struct jpx_frame *f, const struct jpx_service *service)
{
	return service->flags & JPX_SERVICE_IN_USE &&
	       !f->ipv4 == !(service->flags & JPX_SERVICE_IPV4) &&
	       jpx_addr_is(jpx_frame_src(f), jpx_addr_mapped(service->registrar, f->ipv4));
}

/* What is to be sent to a pledge. */
struct jpx_answer {
	__u64 pledge; /* interface identifier, or jpx_pledge_id(), host order */
	__u64 mac;    /* as a number; not looked at where the link has none */
	__u64 content_sum;
	__u32 ipv4; /* the pledge's address is */
	__u32 content_len;
	__u32 skip;	 /* bytes between UDP header and content in what came */
	__be16 udp_port; /* the pledge's */
	__be16 from_port;
	int from_registrar; /* under the Registrar's own address, not the port's */
};

/* Do answers to PORT leave by tc, if they leave by the fast path? */
static __always_inline int jpx_is_by_tc(const struct jpx_port *port)
{
	return port->flags & JPX_PORT_NO_TRANSMIT;
}

/* Can PORT take this answer, which came in as CTX?  -1, or why it is handed off.  Its MAC is still
 * to be found, where XDP sends. */
static __always_inline int jpx_port_takes(const struct xdp_md *ctx, const struct jpx_port *port,
					  __u32 content_len, __u32 ipv4)
{
	if (!(port->flags & JPX_PORT_READY))
		return JPX_HANDOFF_NO_TRANSMIT;
	/* Without a slot it is the socket engine's, as the operator wants it. */
	if (jpx_is_by_tc(port) && !(port->slot && jpx_tc_is_there(ctx)))
		return JPX_HANDOFF_NO_TRANSMIT;
	if (content_len + JPX_UDP_HLEN + jpx_l3_len(ipv4) > port->mtu)
		return JPX_HANDOFF_OVER_MTU;
	/* The engine that can: bare IPv6 links are just that here. */
	if (ipv4 && (port->link != JPX_LINK_ETHERNET || !port->addr4))
		return JPX_HANDOFF_NO_TRANSMIT;
	return -1;
}

/* Makes F the answer A and sends it to the pledge behind PORT, which is PORT_ID and has link
 * headers of L2_LEN bytes. */
static __always_inline int jpx_answer(struct xdp_md *ctx, const struct jpx_frame *f,
				      const struct jpx_port *port, __u32 port_id,
				      const struct jpx_service *service, const struct jpx_answer *a,
				      __u32 l2_len)
{
	__u32 new_len = a->content_len + JPX_UDP_HLEN;
	int by_tc = jpx_is_by_tc(port), move;
	struct jpx_addr src, dst;
	void *p, *udp, *end;
	__u64 sum;

	if (by_tc) {
		if (!jpx_by_tc_begin(ctx))
			return jpx_hand_off(port_id, JPX_HANDOFF_NO_TRANSMIT);
		l2_len = ETH_HLEN;
	}
	move = (int)(f->l2_len + jpx_l3_len(f->ipv4) + a->skip) -
	       (int)(l2_len + jpx_l3_len(a->ipv4));
	/* 11 ns, not needed where all lengths stay. */
	if (move && bpf_xdp_adjust_head(ctx, move)) {
		if (by_tc)
			jpx_by_tc_cancel(ctx);
		return jpx_hand_off(port_id, JPX_HANDOFF_NO_HEADROOM);
	}

	p = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (p + 24 > end)
		return XDP_DROP; /* cannot be: 28 bytes of headers at least were read behind it */
	if (port->link == JPX_LINK_ETHERNET && !by_tc)
		jpx_port_l2_write(p, port, a->mac, a->ipv4);
	p += l2_len;
	udp = p + jpx_l3_len(a->ipv4);
	if (p + jpx_l3_len(a->ipv4) > end || udp + JPX_UDP_HLEN > end)
		return XDP_DROP; /* cannot be, as above */
	if (a->ipv4) {
		src.hi = dst.hi = 0;
		src.lo = port->addr4;
		dst.lo = bpf_htonl((__u32)a->pledge);
	} else {
		src = jpx_addr_mapped(port->addr, 0);
		dst.hi = bpf_cpu_to_be64(0xfe80000000000000ULL);
		dst.lo = bpf_cpu_to_be64(a->pledge);
	}
	if (a->from_registrar)
		src = jpx_addr_mapped(service->registrar, a->ipv4);
	sum = jpx_addr_sum(jpx_addr_sum(a->content_sum, src), dst) + bpf_htons(IPPROTO_UDP) +
	      2ULL * bpf_htons((__u16)new_len) + a->from_port + a->udp_port;
	jpx_udp_write(udp, a->from_port, a->udp_port, new_len, sum);
	jpx_ip_write(p, a->ipv4, new_len, src, dst);
	if (by_tc)
		return jpx_by_tc_end(ctx, port_id, dst.lo, a->ipv4);
	return jpx_send(ctx, JPX_TX_PORT(port_id), port->bounce_ifindex, port_id);
}

/* Has an answer with this VERDICT left, or is it as good as gone? */
static __always_inline int jpx_is_sent(int verdict)
{
	return verdict == XDP_TX || verdict == XDP_REDIRECT || verdict == JPX_BY_TC;
}

/* What the kernel is told. */
static __always_inline int jpx_verdict(int verdict)
{
	return verdict == JPX_BY_TC ? XDP_PASS : verdict;
}

#endif
