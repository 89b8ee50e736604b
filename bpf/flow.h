/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * include/jpx/flow.h over the maps: where BPF finds the tables that it asks for,
 * and flows as the fast path wants them.  The rules are all over there.
 */
#ifndef JPX_BPF_FLOW_H
#define JPX_BPF_FLOW_H

#include <bpf/bpf_endian.h>

#include "maps.h"

typedef struct xdp_md jpx_flow_ctx;

static __always_inline const struct jpx_flow_config *jpx_flow_config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&jpx_flow_config, &zero);
}

static __always_inline struct jpx_service *jpx_service_at(__u32 service_id)
{
	return bpf_map_lookup_elem(&jpx_services, &service_id);
}

static __always_inline struct jpx_port *jpx_port_at(__u32 port_id)
{
	return bpf_map_lookup_elem(&jpx_ports, &port_id);
}

static __always_inline struct jpx_flow *jpx_flow_at(__u32 slot)
{
	return bpf_map_lookup_elem(&jpx_flows, &slot);
}

static __always_inline struct jpx_uplink *jpx_uplink_at(__u32 place)
{
	return bpf_map_lookup_elem(&jpx_uplinks, &place);
}

static __always_inline __u64 *jpx_flow_hint_at(__u32 index)
{
	return bpf_map_lookup_elem(&jpx_flow_hints, &index);
}

static __always_inline __u32 *jpx_flow_count_at(__u32 port_id)
{
	return bpf_map_lookup_elem(&jpx_flow_counts, &port_id);
}

static __always_inline struct jpx_refusals *jpx_refusals_at(__u32 port_id)
{
	return bpf_map_lookup_elem(&jpx_refusals, &port_id);
}

static __always_inline struct jpx_pledge_flows *jpx_pledge_find(const struct jpx_pledge_key *key)
{
	return bpf_map_lookup_elem(&jpx_pledges, key);
}

/* Out of line for its stack, of which all functions in a row have 512 bytes. */
JPX_OUTLINE int jpx_pledge_make(const struct jpx_pledge_key *key)
{
	struct jpx_pledge_flows none = {};
	int ret; /* not long: kernels up to 6.3 set no more of it */

	if (!key)
		return -1;
	none.key = *key;
	/* Kernel 6.1 takes no key from where KEY may be, but from here. */
	ret = bpf_map_update_elem(&jpx_pledges, &none.key, &none, BPF_NOEXIST);
	return ret && ret != -17 /* EEXIST */;
}

static __always_inline int jpx_pledge_remove(const struct jpx_pledge_key *key)
{
	int ret = bpf_map_delete_elem(&jpx_pledges, key); /* not long, as above */

	return ret && ret != -2 /* ENOENT */;
}

static __always_inline void jpx_pledge_lock(struct jpx_pledge_flows *p)
{
	bpf_spin_lock(&p->lock);
}

static __always_inline void jpx_pledge_unlock(struct jpx_pledge_flows *p)
{
	bpf_spin_unlock(&p->lock);
}

static __always_inline __u32 jpx_flow_random(void)
{
	return bpf_get_prandom_u32();
}

/* Would a datagram from the Registrar to this port find a socket of this host?  (One bound to
 * an interface is not found so: jpd looks for those, see ctl/jpd/local_ports.h.)  Out of line
 * for its stack, too. */
JPX_OUTLINE int jpx_port_is_held(jpx_flow_ctx *ctx, const struct jpx_service *service,
				 const struct jpx_uplink *uplink, __be16 udp_port)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;

	if (!ctx || !service || !uplink)
		return 1;
	if (service->flags & JPX_SERVICE_IPV4) {
		t.ipv4.saddr = *(const __u32 *)(service->registrar + 12);
		t.ipv4.daddr = *(const __u32 *)(uplink->addr + 12);
		t.ipv4.sport = service->registrar_port;
		t.ipv4.dport = udp_port;
		sk = bpf_sk_lookup_udp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(t.ipv6.saddr, service->registrar, 16);
		__builtin_memcpy(t.ipv6.daddr, uplink->addr, 16);
		t.ipv6.sport = service->registrar_port;
		t.ipv6.dport = udp_port;
		sk = bpf_sk_lookup_udp(ctx, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/* Sets the clock by the kernel's (44 ns): for what is rare, lest a sweep that is late make new
 * flows look old. */
static __always_inline __u32 jpx_clock_set(void)
{
	__u64 tick = bpf_ktime_get_ns() >> JPX_TICK_SHIFT, *now;
	__u32 zero = 0;

	now = bpf_map_lookup_elem(&jpx_clock, &zero);
	if (now && *now != tick)
		*now = tick;
	return (__u32)tick;
}

/*
 * A flow's first datagram pays about a microsecond in what follows (an insertion into a hash
 * map, 300 ns, and a look for a socket), the others nothing.
 */
#define jpx_flow_repeat(times, callback, arg) bpf_loop(times, callback, arg, 0)

#include <jpx/flow.h>

static __always_inline __u32 jpx_now(void)
{
	__u32 zero = 0;
	__u64 *now = bpf_map_lookup_elem(&jpx_clock, &zero);

	return now ? (__u32)*now : 0;
}

/* The place in jpx_uplinks of the address HI and LO as for jpx_uplink_hash(), if it has one:
 * then another has it, or there are not as many. */
static __always_inline __u32 jpx_uplink_place(const struct jpx_flow_config *cfg, __u64 hi, __u64 lo)
{
	__u32 hash = jpx_uplink_hash(cfg, hi, lo);
	__u32 *place = bpf_map_lookup_elem(&jpx_uplink_places, &hash);

	return place ? *place - 1 : JPX_NO_SLOT;
}

#endif
