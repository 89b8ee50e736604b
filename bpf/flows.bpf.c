/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows besides the relaying of them: what ends those that are over, whether a
 * jpd runs or not; what jpd asks to be done with flows; and which socket gets a
 * datagram of a flow that XDP left to the stack.  Loaded once, attached to no
 * interface.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <jpx/request.h>

#include "flow.h"

#define JPX_CLOCK_MONOTONIC 1

struct jpx_sweeper {
	struct bpf_timer timer;
	__u64 hand; /* the next slot to look at */
};

/* Pinned, so that its timer lives as long as the flows do. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct jpx_sweeper);
} jpx_sweeper SEC(".maps");

/* jpd's sockets for what the stack gets of flows; they and the entry go with it. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} jpx_flow_socket SEC(".maps");

/* ---- the sweep -------------------------------------------------------------- */

struct jpx_pass {
	const struct jpx_flow_config *cfg;
	__u32 slot, now, ended;
	struct jpx_flow_request match;
};

static long jpx_sweep_one(__u32 i, struct jpx_pass *pass)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();

	if (!cfg)
		return 1;
	if (pass->slot >= cfg->slots)
		pass->slot = 0;
	jpx_flow_sweep(cfg, pass->slot++, pass->now);
	return 0;
}

/*
 * Keeps the clock, and goes through a 128th of all slots each 2^23 ns: once round in about a
 * second, in steps too short to be felt between two packets (20 us for a million slots).
 * Slower while there is no flow at all.
 */
static int jpx_sweep(void *map, __u32 *key, struct jpx_sweeper *sweeper)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	__u32 *count = jpx_flow_count_at(0);
	struct jpx_pass pass = { .now = jpx_clock_set() };
	__u64 pause = 1ULL << 23;

	if (cfg && count && *count) {
		pass.slot = (__u32)sweeper->hand;
		bpf_loop(cfg->slots / 128 + 1, jpx_sweep_one, &pass, 0);
		sweeper->hand = pass.slot;
	} else {
		pause = 1ULL << JPX_TICK_SHIFT;
	}
	bpf_timer_start(&sweeper->timer, pause, 0);
	return 0;
}

static __always_inline long jpx_sweep_start(void)
{
	__u32 zero = 0;
	struct jpx_sweeper *sweeper = bpf_map_lookup_elem(&jpx_sweeper, &zero);

	if (!sweeper)
		return -1;
	jpx_clock_set();
	/* A jpd before us made it: its callback runs on, or is replaced by ours. */
	bpf_timer_init(&sweeper->timer, &jpx_sweeper, JPX_CLOCK_MONOTONIC);
	if (bpf_timer_set_callback(&sweeper->timer, jpx_sweep))
		return -1;
	return bpf_timer_start(&sweeper->timer, 0, 0);
}

/* ---- what jpd asks for -------------------------------------------------------- */

static __always_inline int jpx_flow_matches(const struct jpx_flow *flow,
					    const struct jpx_flow_request *m)
{
	return (!(m->match & JPX_MATCH_SERVICE) || flow->key.service_id == m->key.service_id) &&
	       (!(m->match & JPX_MATCH_PORT) || flow->key.port_id == m->key.port_id) &&
	       (!(m->match & JPX_MATCH_PLEDGE) ||
		(flow->key.pledge == m->key.pledge &&
		 (flow->key.kind & JPX_FLOW_IPV4) == (m->key.kind & JPX_FLOW_IPV4))) &&
	       (!(m->match & JPX_MATCH_UPLINK) || flow->uplink == m->uplink) &&
	       (!(m->match & JPX_MATCH_UDP_PORT) || flow->key.udp_port == m->key.udp_port);
}

static long jpx_end_one(__u32 i, struct jpx_pass *pass)
{
	struct jpx_flow *flow;
	__u64 word;

	i += pass->slot;
	flow = jpx_flow_at(i);
	if (!flow)
		return 1;
	word = *(volatile __u64 *)jpx_flow_word_of(flow);
	if ((__u32)word == JPX_FLOW_LIVE && jpx_flow_matches(flow, &pass->match))
		pass->ended += jpx_flow_end(i, word, pass->now);
	return 0;
}

/*
 * Run by jpd with a struct jpx_flow_request as its packet, which becomes the answer.  A run
 * cannot be killed half-way, as jpd can.
 */
SEC("xdp")
int jpx_flow_ask(struct xdp_md *ctx)
{
	struct jpx_flow_request *r = (void *)(long)ctx->data;
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	struct jpx_pass pass = { .now = jpx_clock_set() };
	__u32 times;
	long answer;

	if ((void *)(r + 1) > (void *)(long)ctx->data_end || !cfg)
		return XDP_ABORTED;
	pass.match = *r;
	switch (pass.match.verb) {
	case JPX_ASK_START:
		answer = jpx_sweep_start();
		break;
	case JPX_ASK_OPEN:
		answer = jpx_flow_open(ctx, &pass.match.key, pass.match.mac);
		break;
	case JPX_ASK_END:
		pass.slot = pass.match.slot;
		times = pass.match.match & JPX_MATCH_SLOT ? 1 : pass.match.slots;
		if (!times) {
			pass.slot = 0;
			times = cfg->slots;
		}
		bpf_loop(times, jpx_end_one, &pass, 0);
		answer = pass.ended;
		break;
	default:
		return XDP_ABORTED;
	}
	r = (void *)(long)ctx->data;
	if ((void *)(r + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	r->answer = answer;
	return XDP_PASS;
}

/* ---- which socket ---------------------------------------------------------------- */

static __always_inline int jpx_is_address(const __u8 addr[16], const __u32 words[4])
{
	const __u32 *a = (const __u32 *)addr;

	return a[0] == words[0] && a[1] == words[1] && a[2] == words[2] && a[3] == words[3];
}

/*
 * Attached to the network namespace: a datagram from a Registrar's address to a port with a flow
 * goes to jpd's one socket for all of them, though it is bound to no such port.  All others
 * go where they would go without us.
 */
SEC("sk_lookup")
int jpx_flow_steer(struct bpf_sk_lookup *ctx)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	__u32 place, slot, zero = 0, service_id, local[4], remote[4], local4, remote4;
	struct jpx_service *service;
	struct jpx_uplink *uplink;
	struct jpx_flow *flow;
	struct bpf_sock *sk;

	if (!cfg || ctx->protocol != IPPROTO_UDP)
		return SK_PASS;
	slot = ctx->local_port - cfg->first_port;
	if (slot >= cfg->port_count)
		return SK_PASS;
	/* Each field by itself: the verifier refuses a pointer to one of two. */
#pragma unroll
	for (int i = 0; i < 4; i++) {
		local[i] = *(volatile __u32 *)&ctx->local_ip6[i];
		remote[i] = *(volatile __u32 *)&ctx->remote_ip6[i];
	}
	local4 = *(volatile __u32 *)&ctx->local_ip4;
	remote4 = *(volatile __u32 *)&ctx->remote_ip4;
	if (ctx->family == 2 /* AF_INET */) {
		local[0] = remote[0] = local[1] = remote[1] = 0;
		local[2] = remote[2] = bpf_htonl(0xffff);
		local[3] = local4;
		remote[3] = remote4;
	}
	place = jpx_uplink_place(cfg, local[3]);
	uplink = jpx_uplink_at(place);
	if (!uplink || !jpx_is_address(uplink->addr, local))
		return SK_PASS;
	flow = jpx_flow_at(place * cfg->port_count + slot);
	if (!flow || (flow->state != JPX_FLOW_LIVE && flow->state != JPX_FLOW_RESTING))
		return SK_PASS;
	service_id = flow->key.service_id;
	service = bpf_map_lookup_elem(&jpx_services, &service_id);
	if (!service || !(service->flags & JPX_SERVICE_IN_USE) ||
	    !jpx_is_address(service->registrar, remote))
		return SK_PASS;
	sk = bpf_map_lookup_elem(&jpx_flow_socket, &zero);
	if (!sk)
		return SK_PASS;
	bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
