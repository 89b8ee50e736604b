/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What there is to know of flows for who only looks: when one is over.  And what lists
 * the flows of a pledge address (map jpx_pledges): touched only by the code in flow.h,
 * and in the maps only by BPF, which can lock it.
 */
#ifndef JPX_FLOW_TABLES_H
#define JPX_FLOW_TABLES_H

#include "abi.h"

/* Is a flow, being live, over by its time?  Unsigned on purpose: ticks wrap after nine years; a
 * tick from another CPU may be ahead of NOW by one. */
static inline int jpx_flow_is_over(const struct jpx_flow_config *cfg, __u32 last, __u32 now)
{
	return now - last > cfg->idle && now - last < 0x80000000U;
}

struct jpx_pledge_key {
	__be64 pledge; /* as in struct jpx_flow_key */
	__u8 port_id;
	__u8 kind; /* JPX_FLOW_IPV4 or 0 */
	__u8 pad[6];
};

struct jpx_pledge_flow {
	__u32 slot;
	__u32 which; /* of the address' flows: UDP port, service, kind */
};

struct jpx_pledge_flows {
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock; /* unused: one thread */
#endif
	__u8 dead; /* being removed: nothing may be added */
	__u8 used; /* bit per entry of flow[] */
	__u16 pad;
	struct jpx_pledge_key key; /* map memory is reused at once: whose is it now? */
	struct jpx_pledge_flow flow[JPX_PLEDGE_FLOWS];
};

#endif
