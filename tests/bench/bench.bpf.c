/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything of the benchmark that runs in the kernel.  The fast path comes in
 * as it is, by inclusion, so that what is measured is what is shipped; beside it
 * stand the programs that it is measured against, a generator, and sinks.
 *
 *   live:   bench_generate -> far0 | p0 [program under test] | p1 -> far1 [bench_sink]
 *   inside: bench_inner_*: one iteration of BPF_PROG_TEST_RUN's loop each, which
 *           undoes what the program did to the frame; bench_inner_reset is the
 *           undoing alone.
 *
 * The sinks trust nobody: a frame counts as good only if it has the length and
 * every byte, through the content's tag, that the runner computed beforehand.
 */
#include "../../bpf/jpx.bpf.c"

#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include "shared.h"

struct bench_plan bench_plan;
struct bench_turn bench_turn;
struct bench_seen bench_seen;

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} bench_tx SEC(".maps"); /* by ifindex */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_SAMPLES);
	__type(key, __u32);
	__type(value, struct bench_sample);
} bench_samples SEC(".maps");

const volatile __u32 bench_out_ifindex = 1;
const volatile __u8 bench_out_macs[16]; /* destination, source */

/* ---- what the fast path is measured against ------------------------------- */

/* The floor: new MAC addresses, out of the other interface. */
static __always_inline int bench_floor_body(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (data + ETH_HLEN > end)
		return XDP_DROP;
	jpx_store64(data, *(const volatile __u64 *)bench_out_macs);
	jpx_store32(data + 8, *(const volatile __u32 *)(bench_out_macs + 8));
	return bpf_redirect_map(&bench_tx, bench_out_ifindex, XDP_DROP);
}

/* One hop less, and the checksum of an IPv4 header with it (RFC 1624, as the kernel does). */
static __always_inline void bench_decrement4(struct iphdr *ip)
{
	__u32 check = ip->check;

	check += bpf_htons(0x0100);
	ip->check = (__u16)(check + (check >= 0xffff));
	ip->ttl--;
}

/* What xdp-forward does: route and neighbour from the kernel's tables. */
static __always_inline int bench_fib_body(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct bpf_fib_lookup fib = {};
	struct ethhdr *eth = data;
	struct ipv6hdr *ip6 = data + sizeof(*eth);
	struct iphdr *ip = data + sizeof(*eth);
	__be16 proto;

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	proto = eth->h_proto;
	if (proto == bpf_htons(ETH_P_IP)) {
		if (ip->ttl <= 1)
			return XDP_PASS;
		fib.family = 2; /* AF_INET */
		fib.tos = ip->tos;
		fib.l4_protocol = ip->protocol;
		fib.tot_len = bpf_ntohs(ip->tot_len);
		fib.ipv4_src = ip->saddr;
		fib.ipv4_dst = ip->daddr;
	} else {
		if (proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6 + 1) > end ||
		    ip6->hop_limit <= 1)
			return XDP_PASS;
		fib.family = 10; /* AF_INET6 */
		fib.flowinfo = *(__be32 *)ip6 & bpf_htonl(0x0fffffff);
		fib.l4_protocol = ip6->nexthdr;
		fib.tot_len = bpf_ntohs(ip6->payload_len);
		__builtin_memcpy(fib.ipv6_src, &ip6->saddr, 16);
		__builtin_memcpy(fib.ipv6_dst, &ip6->daddr, 16);
	}
	fib.ifindex = ctx->ingress_ifindex;
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	if (proto == bpf_htons(ETH_P_IP))
		bench_decrement4(ip);
	else
		ip6->hop_limit--;
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	return bpf_redirect_map(&bench_tx, fib.ifindex, XDP_DROP);
}

SEC("xdp")
int bench_floor(struct xdp_md *ctx)
{
	return bench_floor_body(ctx);
}

SEC("xdp")
int bench_fib(struct xdp_md *ctx)
{
	return bench_fib_body(ctx);
}

SEC("xdp")
int bench_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* ---- live: generator and far ends ----------------------------------------- */

static __always_inline int bench_write_head(void *data, void *end, const struct bench_flow *flow)
{
	if (data + BENCH_HEAD > end)
		return -1;
#pragma unroll
	for (int i = 0; i < BENCH_WORDS; i++)
		jpx_store64(data + 8 * i, flow->sent[i]);
	return 0;
}

/* Pages come back with whatever was done to them: the headers are written anew each time. */
SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	const struct bench_flow *flow = &bench_plan.flows[bench_turn.n++ & (BENCH_FLOWS - 1)];

	if (bench_write_head((void *)(long)ctx->data, (void *)(long)ctx->data_end, flow))
		return XDP_ABORTED;
	return XDP_TX;
}

/* UDP over the IP that is expected; else it is the kernel's own chatter. */
static __always_inline int bench_is_stray(void *data, void *end)
{
	void *proto = data + (bench_plan.proto_off & 31);

	return proto + 1 > end || data + 14 > end ||
	       jpx_load16(data + 12) != bench_plan.want_type || *(__u8 *)proto != IPPROTO_UDP;
}

SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct bench_flow *flow;
	__u64 differs = 0;
	void *tag;

	tag = data + (bench_plan.tag_off & 127);
	if (data + BENCH_HEAD > end || tag + 1 > end || bench_is_stray(data, end)) {
		bench_seen.stray++;
		return XDP_DROP;
	}
	flow = &bench_plan.flows[*(__u8 *)tag & (BENCH_FLOWS - 1)];
#pragma unroll
	for (int i = 0; i < BENCH_WORDS; i++)
		differs |= jpx_load64(data + 8 * i) ^ flow->want[i];
	if (!differs && end - data == bench_plan.want_len) {
		bench_seen.good++;
		return XDP_DROP;
	}
	bench_seen.bad++;
	bench_seen.bad_len = end - data;
#pragma unroll
	for (int i = BENCH_WORDS - 1; i >= 0; i--) {
		if (jpx_load64(data + 8 * i) != flow->want[i]) {
			bench_seen.bad_word = i;
			bench_seen.bad_is = jpx_load64(data + 8 * i);
			bench_seen.bad_want = flow->want[i];
		}
	}
	return XDP_DROP;
}

/* Keeps whole frames for the runner to check in full. */
SEC("xdp")
int bench_sampler(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 key = bench_seen.good, len = (__u32)(end - data);
	struct bench_sample *sample;

	if (bench_is_stray(data, end))
		return XDP_DROP;
	sample = bpf_map_lookup_elem(&bench_samples, &key);
	if (!sample)
		return XDP_DROP;
	if (len >= 1 && len <= BENCH_FRAME_MAX && !bpf_xdp_load_bytes(ctx, 0, sample->data, len))
		sample->len = len;
	bench_seen.good++;
	return XDP_DROP;
}

/* Behind a user-space relay: frames from the stack, counted at tc ingress. */
SEC("tc")
int bench_relay_sink(struct __sk_buff *skb)
{
	__u64 tail = 0;
	__be16 port = 0;

	if (skb->protocol != bpf_htons(ETH_P_IPV6) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + JPX_IP6_HLEN + 2, &port, sizeof(port)) ||
	    port != bench_plan.relay_port) {
		bench_seen.stray++;
		return TC_ACT_SHOT;
	}
	if (!bpf_skb_load_bytes(skb, skb->len - sizeof(tail), &tail, sizeof(tail)) &&
	    tail == bench_plan.relay_tail)
		bench_seen.good++;
	else
		bench_seen.bad++;
	return TC_ACT_SHOT;
}

/* ---- inside: one iteration with its undoing -------------------------------- */

/* The same work whatever the program was: a look at the result, the head back, headers back. */
static __always_inline int bench_inner(struct xdp_md *ctx, int verdict)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct bench_flow *flow = &bench_plan.flows[bench_turn.n & (BENCH_FLOWS - 1)];
	void *check;

	check = data + 8 * (bench_plan.check_word & 7);
	if (check + 8 > end)
		return -1;
	/* With the UDP checksum: right for this flow only if all else was. */
	if (verdict != XDP_REDIRECT || end - data != bench_plan.want_len ||
	    jpx_load64(check) != flow->want[bench_plan.check_word & 7])
		bench_seen.bad++;
	else
		bench_seen.good++;
	bpf_xdp_adjust_head(ctx, bench_plan.undo);
	flow = &bench_plan.flows[++bench_turn.n & (BENCH_FLOWS - 1)];
	return bench_write_head((void *)(long)ctx->data, (void *)(long)ctx->data_end, flow);
}

SEC("xdp")
int bench_inner_reset(struct xdp_md *ctx)
{
	return bench_inner(ctx, XDP_REDIRECT);
}

SEC("xdp")
int bench_inner_floor(struct xdp_md *ctx)
{
	return bench_inner(ctx, bench_floor_body(ctx));
}

SEC("xdp")
int bench_inner_fib(struct xdp_md *ctx)
{
	return bench_inner(ctx, bench_fib_body(ctx));
}

SEC("xdp")
int bench_inner_jpx(struct xdp_md *ctx)
{
	return bench_inner(ctx, jpx_frame_in(ctx, JPX_LINK_ETHERNET));
}
