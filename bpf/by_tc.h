/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way to pledges behind interfaces that no redirect of XDP can end on (6LoWPAN, TUN, most
 * Wi-Fi): XDP writes the answer, puts a note in front of it as metadata, and passes it; tc.bpf.c,
 * on the same interface, finds the note and gives the packet to the kernel's neighbour code, which
 * makes the link's own header.
 *
 * Between the two the frame is addressed to nobody, so that the stack has no use for it if the
 * tc program is gone.
 */
#ifndef JPX_BPF_BY_TC_H
#define JPX_BPF_BY_TC_H

#include <linux/if_ether.h>

#include "slot.h"

/* The verdict of an answer that tc is to send; the kernel is told XDP_PASS. */
#define JPX_BY_TC (-2)

#define JPX_BY_TC_MAGIC 0x4a505854 /* "JPXT" */

/* Only an XDP program can write this, and tc looks the port up anew. */
struct jpx_by_tc {
	__u32 magic;
	__u16 port_id;
	__u16 ipv4;
	__u64 pledge; /* interface identifier or IPv4 address, as on the wire */
};

/* Is ETH as jpx_by_tc_end() leaves it, and nothing that came over a wire? */
static __always_inline int jpx_is_to_nobody(const struct ethhdr *eth)
{
	for (int i = 0; i < ETH_ALEN; i++)
		if (eth->h_dest[i] | eth->h_source[i])
			return 0;
	return 1;
}

/* Is there a tc program where CTX came in? */
static __always_inline int jpx_tc_is_there(const struct xdp_md *ctx)
{
	const struct jpx_slot *slot = jpx_own_slot(ctx);

	return slot && slot->flags & JPX_SLOT_TC;
}

/* Room for the note: 1, or 0 where the driver has no metadata, or somebody else used it up.  What
 * is there must not be read as a note before it is one. */
static __always_inline int jpx_by_tc_begin(struct xdp_md *ctx)
{
	return !bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct jpx_by_tc));
}

static __always_inline void jpx_by_tc_cancel(struct xdp_md *ctx)
{
	bpf_xdp_adjust_meta(ctx, (int)sizeof(struct jpx_by_tc));
}

/* CTX holds the packet, with an Ethernet header to be filled: what has begun is a note. */
static __always_inline int jpx_by_tc_end(struct xdp_md *ctx, __u32 port_id, __u64 pledge,
					 __u32 ipv4)
{
	struct jpx_by_tc *note = (void *)(long)ctx->data_meta;
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(note + 1) > (void *)eth || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP; /* cannot be: room was made for both */
	__builtin_memset(eth, 0, 2 * ETH_ALEN);
	eth->h_proto = bpf_htons(ipv4 ? ETH_P_IP : ETH_P_IPV6);
	note->magic = JPX_BY_TC_MAGIC;
	note->port_id = (__u16)port_id;
	note->ipv4 = !!ipv4;
	note->pledge = pledge;
	return JPX_BY_TC;
}

#endif
