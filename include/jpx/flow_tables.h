/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What there is to know of flows for who only looks: when one is over, and where an
 * uplink address has its place.  And what lists the flows of a pledge address (map jpx_pledges): touched only by the code in flow.h,
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

/*
 * Where jpx_uplink_places tells of an address.  HI and LO: its 16 bytes as they lie in memory,
 * of an IPv4 one 0 and its four.  All of them count: a router often has the same last ones
 * on every interface.
 */
static inline __u32 jpx_uplink_hash(const struct jpx_flow_config *cfg, __u64 hi, __u64 lo)
{
	__u64 all = hi * 0x9e3779b97f4a7c15ULL + lo;

	return ((__u32)(all ^ all >> 32) * cfg->uplink_hash) >> (32 - JPX_PLACE_BITS);
}

/* The same of ADDR, which is 16 bytes, an IPv4 one mapped. */
static inline __u32 jpx_uplink_hash_of(const struct jpx_flow_config *cfg, const __u8 *addr)
{
	const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	__u64 half[2];
	__u32 quad;

	__builtin_memcpy(half, addr, sizeof(half));
	__builtin_memcpy(&quad, addr + 12, sizeof(quad));
	return __builtin_memcmp(addr, mapped, sizeof(mapped))
		       ? jpx_uplink_hash(cfg, half[0], half[1])
		       : jpx_uplink_hash(cfg, 0, quad);
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

/*
 * Map memory is reused at once: who looked an entry up and now locks it may hold another pledge's,
 * or one that is just being written for another.  The kernel writes it without the lock, what
 * stands before the lock first.  So the entry says whose it is, and what says that it may be used
 * stands behind the lock.
 */
struct jpx_pledge_flows {
	struct jpx_pledge_key key;
	struct jpx_pledge_flow flow[JPX_PLEDGE_FLOWS];
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock; /* unused: one thread */
#endif
	__u8 dead; /* being removed: nothing may be added */
	__u8 used; /* bit per entry of flow[] */
	__u16 pad;
};

#endif
