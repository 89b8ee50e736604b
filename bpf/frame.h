/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both ways do to a frame: the checks of its lengths and checksum before
 * it is touched, and the headers written once it has been resized.
 */
#ifndef JPX_BPF_FRAME_H
#define JPX_BPF_FRAME_H

#include "csum.h"
#include "parse.h"
#include "stats.h"

/* First 8 bytes of an IPv6 header of ours: version 6, no class, no flow label. */
static __always_inline __u64 jpx_ip6_first(__u32 udp_len)
{
	return bpf_cpu_to_be64(0x60ULL << 56 | (__u64)udp_len << 16 | IPPROTO_UDP << 8 |
			       JPX_HOP_LIMIT);
}

/*
 * Do frame, IPv6 and UDP agree, and is there a checksum to carry on?  REST: what
 * the checksum covers besides the content.  Returns -1 when all is well and
 * fills CONTENT_SUM, not folded; else the verdict, counted under PORT_ID.
 */
static __always_inline int jpx_frame_check(const struct jpx_frame *f, __u32 port_id, __u64 rest,
					   __u32 *udp_len, __u64 *content_sum)
{
	__u32 ip_len = bpf_ntohs(jpx_load16(f->ip6 + 4));
	__u32 frame_len = (__u32)(f->end - f->udp);
	__be16 len_be = jpx_load16(f->udp + 4);
	__u16 check = jpx_load16(f->udp + 6);
	__u32 len = bpf_ntohs(len_be);

	if (len != ip_len || len != frame_len || len < JPX_UDP_HLEN) {
		/* Bytes behind a whole datagram are legal (padding): the kernel trims them. */
		if (len >= JPX_UDP_HLEN && len <= ip_len && ip_len <= frame_len)
			return jpx_hand_off(port_id, JPX_HANDOFF_PADDING);
		return jpx_drop(port_id, JPX_DROP_LENGTH_MISMATCH);
	}
	if (check == 0)
		return jpx_drop(port_id, JPX_DROP_CHECKSUM_ZERO);
	/* A sender that leaves the checksum to hardware stores the sum of the
	 * pseudo-header and nothing else.  Carried on, it would become garbage
	 * that looks like a checksum; the kernel knows better what it has. */
	rest += len_be;
	if (check == jpx_csum_fold(jpx_csum_less(rest, jpx_load32(f->udp))))
		return jpx_hand_off(port_id, JPX_HANDOFF_CHECKSUM_PARTIAL);
	*content_sum = jpx_csum_content(check, rest + len_be);
	*udp_len = len;
	return -1;
}

#endif
