/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a pledge's datagram must be to be relayed at all, in either mode; and
 * what is known of it once it is.  Changes nothing of the packet.
 */
#ifndef JPX_BPF_ADMIT_H
#define JPX_BPF_ADMIT_H

#include "frame.h"
#include "macs.h"

/* A datagram that came to one of our ports, admitted. */
struct jpx_admitted {
	__u64 pledge;	   /* interface identifier, or jpx_pledge_id(), host order */
	__u64 mac;	   /* its sender's as a number, 0 where there is none to answer to */
	__u64 content_sum; /* not folded */
	__u32 udp_len;
	__u32 where; /* port id, and JPX_WHERE_IPV4: as macs.h wants it */
	__be16 udp_port;
};

/*
 * F came to a join port, or to an intercepted Registrar's, of pledge port PORT_ID.  DST_SUM: the
 * ones' complement sum of its destination address.  Returns -1 and fills A, or the verdict,
 * counted.  A checksum or padding that only the kernel can handle is a hand-off; the sender's MAC
 * is noted then.
 */
static __always_inline int jpx_admit(const struct jpx_frame *f, __u32 port_id,
				     const struct jpx_service *service, __u64 dst_sum,
				     struct jpx_admitted *a)
{
	struct jpx_addr src = jpx_frame_src(f);
	const __u8 *b = f->udp + JPX_UDP_HLEN;
	int verdict;
	__u64 sum;

	a->udp_port = jpx_load16(f->udp);
	a->where = port_id;
	if (f->ipv4) {
		a->pledge = jpx_pledge_id(bpf_ntohl((__u32)src.lo));
		a->where |= JPX_WHERE_IPV4;
		if (!jpx_is_link_local4((__u32)a->pledge))
			return jpx_drop(port_id, JPX_DROP_SRC_NOT_LINK_LOCAL);
	} else {
		a->pledge = bpf_be64_to_cpu(src.lo);
		if (!jpx_is_link_local(bpf_be64_to_cpu(src.hi), a->pledge))
			return jpx_drop(port_id, JPX_DROP_SRC_NOT_LINK_LOCAL);
	}
	if (a->udp_port == 0)
		return jpx_drop(port_id, JPX_DROP_SRC_PORT_ZERO);
	a->mac = f->l2_len ? jpx_eth_source(f->eth) : 0;
	sum = jpx_addr_sum(dst_sum, src) + bpf_htons(IPPROTO_UDP);
	verdict =
		jpx_frame_check(f, port_id, sum + jpx_load32(f->udp), &a->udp_len, &a->content_sum);
	if (verdict == XDP_PASS)
		jpx_note_mac(a->pledge, a->mac, a->where, a->udp_port);
	if (verdict >= 0)
		return verdict;
	if (service->flags & JPX_SERVICE_ANY_CONTENT)
		return -1;
	if ((void *)b + 3 > f->end) {
		/* One or two bytes: only a DTLS 1.3 record could begin so. */
		if ((void *)b + 1 > f->end || !jpx_is_dtls(1, b[0], 0, 0))
			return jpx_drop(port_id, JPX_DROP_NOT_DTLS);
	} else if (!jpx_is_dtls(3, b[0], b[1], b[2])) {
		return jpx_drop(port_id, JPX_DROP_NOT_DTLS);
	}
	return -1;
}

/* Is SERVICE's way out free for a datagram of UDP_LEN bytes?  -1, or why it is handed off. */
static __always_inline int jpx_service_takes(const struct jpx_service *service, __u32 udp_len)
{
	if (!(service->flags & JPX_SERVICE_READY))
		return JPX_HANDOFF_NO_NEXT_HOP;
	if (service->flags & JPX_SERVICE_NO_TRANSMIT)
		return JPX_HANDOFF_NO_TRANSMIT;
	if (udp_len + jpx_l3_len(service->flags & JPX_SERVICE_IPV4) > service->mtu)
		return JPX_HANDOFF_OVER_MTU;
	return -1;
}

#endif
