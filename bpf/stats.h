/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counting.  Per CPU and not atomic: an XDP program is not interrupted by
 * another one on its CPU.
 */
#ifndef JPX_BPF_STATS_H
#define JPX_BPF_STATS_H

#include "maps.h"

static __always_inline int jpx_drop(__u32 port_id, enum jpx_drop reason)
{
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);

	if (stats && reason < JPX_DROP_COUNT)
		stats->drops[reason]++;
	return XDP_DROP;
}

/* LEN bytes of content went to, or came from, the Registrar of service SERVICE_ID. */
static __always_inline void jpx_count_to_registrar(struct jpx_stats *stats, __u32 service_id,
						   __u32 len)
{
	stats->to_registrar.packets++;
	stats->to_registrar.bytes += len;
	stats->services[service_id & (JPX_MAX_SERVICES - 1)].to_registrar++;
}

static __always_inline void jpx_count_to_pledge(struct jpx_stats *stats, __u32 service_id,
						__u32 len)
{
	stats->to_pledge.packets++;
	stats->to_pledge.bytes += len;
	stats->services[service_id & (JPX_MAX_SERVICES - 1)].to_pledge++;
}

/* Leaves the datagram to the socket engine: the packet must still be untouched. */
static __always_inline int jpx_hand_off(__u32 port_id, enum jpx_handoff reason)
{
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);

	if (stats && reason < JPX_HANDOFF_COUNT)
		stats->handoffs[reason]++;
	return XDP_PASS;
}

#endif
