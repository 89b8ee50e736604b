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

#include "floor.h"
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

struct bench_many bench_many;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << BENCH_MANY_BITS);
	__type(key, __u32);
	__type(value, struct bench_visit);
} bench_visits SEC(".maps");

const volatile __u32 bench_out_ifindex = 1;
const volatile __u8 bench_out_macs[16]; /* destination, source */

/* ---- what the fast path is measured against ------------------------------- */

static __always_inline int bench_floor_body(struct xdp_md *ctx)
{
	return bench_redirect(ctx, bench_out_macs, &bench_tx, bench_out_ifindex);
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

SEC("xdp")
int bench_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
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

/* ---- any number of flows: frames computed from a number ----------------------- */

static __always_inline struct bench_visit *bench_visit_at(__u64 n)
{
	__u32 key = (__u32)n & ((1 << BENCH_MANY_BITS) - 1);

	return bpf_map_lookup_elem(&bench_visits, &key);
}

static __always_inline __be16 bench_udp_port(__u32 pledge)
{
	return bpf_htons((__u16)(1024 + (pledge & 0x7fff)));
}

/* The last four bytes of a pledge's and of an uplink's address. */
static __always_inline __u32 bench_iid(__u32 pledge)
{
	return bpf_htonl(0xfe000000 | pledge);
}

static __always_inline __u32 bench_uplink(__u32 place)
{
	return bpf_htonl(0x0f00 + place);
}

/*
 * Behind the pledge's number come its complement, and what makes the sum of content, UDP header and
 * twice the addresses the same in all frames as they are sent.  Else one in 65536 would have a
 * checksum that looks like a partial one (bpf/frame.h), and be handed off.
 */
static __always_inline __u16 bench_filler(const struct bench_pattern *p, __u32 pledge, __be16 port,
					  __u32 place)
{
	int out = p->kind == BENCH_FROM_PLEDGE || p->kind == BENCH_TO_REGISTRAR;
	__u64 sum = out ? bench_udp_port(pledge) + 2ULL * bench_iid(pledge)
			: port + 2ULL * bench_uplink(place);

	return (__u16)~jpx_csum_fold(sum);
}

/*
 * The words of the frame of pattern P for pledge PLEDGE, whose flow leaves from PORT of uplink
 * PLACE.  Little-endian words: byte N of a frame is bits 8 * (N & 7) on of word N / 8.
 */
static __always_inline void bench_frame_words(const struct bench_pattern *p, __u32 pledge,
					      __be16 port, __u32 place, __u64 w[BENCH_MANY_WORDS])
{
	/* Of an Ethernet address: 33 and three bytes; of an interface identifier: fe and they. */
	__u64 mac = bpf_htonl(0x33000000 | pledge), iid = bench_iid(pledge);
	__be16 udp_port = bench_udp_port(pledge);
	__u64 uplink = bench_uplink(place), sum = p->sum;

#pragma unroll
	for (int i = 0; i < BENCH_MANY_WORDS; i++)
		w[i] = p->words[i];
	if (p->kind == BENCH_FROM_PLEDGE) {
		w[1] |= p->macs_stay ? 0 : mac;
		w[4] |= iid << 16;
		w[6] |= (__u64)udp_port << 48;
		sum += iid + udp_port;
	} else if (p->kind == BENCH_TO_PLEDGE) {
		w[0] |= p->macs_stay ? 0 : mac << 16;
		w[6] |= iid << 16;
		w[7] |= udp_port;
		sum += iid + udp_port;
	} else if (p->kind == BENCH_TO_REGISTRAR) {
		w[4] |= uplink << 16;
		w[6] |= (__u64)port << 48;
		sum += uplink + port;
	} else {
		w[6] |= uplink << 16;
		w[7] |= port;
		sum += uplink + port;
	}
	sum += bench_filler(p, pledge, port, place);
	w[7] |= (__u64)jpx_csum_finish(sum) << 32;
}

static __always_inline int bench_write_many(struct xdp_md *ctx, __u32 pledge, __be16 port,
					    __u32 place)
{
	void *data = (void *)(long)ctx->data;
	__u64 w[BENCH_MANY_WORDS];

	if (data + BENCH_MANY_TAG + 10 > (void *)(long)ctx->data_end)
		return -1;
	bench_frame_words(&bench_many.sent, pledge, port, place, w);
#pragma unroll
	for (int i = 0; i < BENCH_MANY_WORDS; i++)
		jpx_store64(data + 8 * i, w[i]);
	jpx_store32(data + BENCH_MANY_TAG, bpf_htonl(pledge));
	jpx_store32(data + BENCH_MANY_TAG + 4, ~bpf_htonl(pledge));
	jpx_store16(data + BENCH_MANY_TAG + 8, bench_filler(&bench_many.sent, pledge, port, place));
	return 0;
}

/* The frame whose turn it is. */
static __always_inline int bench_next_of_many(struct xdp_md *ctx)
{
	const struct bench_visit *v = bench_visit_at(bench_turn.n);

	if (++bench_turn.n >= bench_many.visits)
		bench_turn.n = 0;
	return v ? bench_write_many(ctx, v->pledge, v->port, v->place) : -1;
}

SEC("xdp")
int bench_generate_many(struct xdp_md *ctx)
{
	return bench_next_of_many(ctx) ? XDP_ABORTED : XDP_TX;
}

/* Newcomers, all different, and now and then one who has a flow. */
SEC("xdp")
int bench_generate_flood(struct xdp_md *ctx)
{
	if (++bench_turn.tenth > 10)
		bench_turn.tenth = 1;
	if (bench_turn.tenth > bench_many.newcomers)
		return bench_next_of_many(ctx) ? XDP_ABORTED : XDP_TX;
	return bench_write_many(
		       ctx, BENCH_NEWCOMERS + (bench_turn.newcomer++ & (BENCH_NEWCOMERS - 1)), 0, 0)
		       ? XDP_ABORTED
		       : XDP_TX;
}

/* Is what arrived the frame of the next visit, to the last bit of its headers? */
SEC("xdp")
int bench_sink_many(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u64 w[BENCH_MANY_WORDS], differs = 0;
	struct bench_visit *v;
	__be16 port;
	__u32 place;

	if (data + BENCH_MANY_TAG + 4 > end || jpx_load16(data + 12) != bpf_htons(ETH_P_IPV6) ||
	    *(__u8 *)(data + 20) != IPPROTO_UDP) {
		bench_seen.stray++;
		return XDP_DROP;
	}
	v = bench_visit_at(bench_seen.at);
	if (!v)
		return XDP_DROP;
	if (++bench_seen.at >= bench_many.visits)
		bench_seen.at = 0;
	port = v->port;
	place = v->place;
	if (!port && bench_many.want.kind == BENCH_TO_REGISTRAR) {
		/* A flow that this frame opened: where it leaves from is for the runner to judge.
		 */
		port = jpx_load16(data + 54);
		place = bpf_ntohl(jpx_load32(data + 34)) - 0x0f00;
		v->port = port;
		v->place = (__u16)place;
	}
	bench_frame_words(&bench_many.want, v->pledge, port, place, w);
#pragma unroll
	for (int i = 0; i < BENCH_MANY_WORDS; i++)
		differs |= jpx_load64(data + 8 * i) ^ w[i];
	if (!differs && jpx_load32(data + BENCH_MANY_TAG) == bpf_htonl(v->pledge) &&
	    end - data == bench_many.want.len)
		bench_seen.good++;
	else
		bench_seen.bad++;
	return XDP_DROP;
}

/* Inside: flows opened one after the other; the head stays where it is. */
static __always_inline int bench_inner_count(int verdict)
{
	if (verdict == XDP_REDIRECT)
		bench_seen.good++;
	else
		bench_seen.bad++;
	return 0;
}

SEC("xdp")
int bench_inner_many_reset(struct xdp_md *ctx)
{
	return bench_next_of_many(ctx) ? -1 : bench_inner_count(XDP_REDIRECT);
}

SEC("xdp")
int bench_inner_many_jpx(struct xdp_md *ctx)
{
	return bench_next_of_many(ctx) ? -1
				       : bench_inner_count(jpx_frame_in(ctx, JPX_LINK_ETHERNET));
}

/* What the memory alone costs: the flow of one visit after the other is read, and the next one
 * not before it is there. */
SEC("xdp")
int bench_inner_look(struct xdp_md *ctx)
{
	const struct bench_visit *v = bench_visit_at(bench_turn.n);
	const struct jpx_flow *flow;

	if (!v)
		return -1;
	flow = jpx_flow_at(v->place * BENCH_PORT_COUNT + bpf_ntohs(v->port) - BENCH_FIRST_PORT);
	if (!flow)
		return -1;
	bench_seen.good += flow->state == JPX_FLOW_LIVE;
	bench_turn.n += 1 + *(const volatile __u64 *)&flow->pad2; /* 0, but who knows */
	if (bench_turn.n >= bench_many.visits)
		bench_turn.n = 0;
	return 0;
}
