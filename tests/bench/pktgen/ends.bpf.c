/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's half of the pktgen benchmark, beside pktgen itself:
 *
 *   pktgen_far    at the Registrar's end: compares and counts each datagram
 *   pktgen_floor  in the gateway's place: a plain redirect
 *   pktgen_pass   on the interface that the floor sends from: some drivers take
 *                 redirected frames only where a program is
 *
 * The far end trusts nobody: it counts a frame as right only if the length, every byte of the headers
 * and of what pktgen wrote, and the UDP checksum are.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../../bpf/csum.h"
#include "../floor.h"
#include "ends.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct pktgen_plan pktgen_plan;
__u32 pktgen_taken; /* samples */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pktgen_seen);
} pktgen_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PKTGEN_SAMPLES);
	__type(key, __u32);
	__type(value, struct pktgen_sample);
} pktgen_samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pktgen_out SEC(".maps");

/* UDP ports that right ones came from, where a flow is one; by number, in network order. */
__u8 pktgen_sources[65536];

const volatile __u8 pktgen_macs[16] __attribute__((aligned(8))); /* destination, source */

static __always_inline __u64 load64(const void *p)
{
	return *(const __u64 *)p;
}

/* Unicast UDP over IPv6 is ours, right or wrong; the rest is neighbour discovery and the like. */
static __always_inline int is_ours(const void *data)
{
	return *(const __be16 *)(data + 12) == bpf_htons(ETH_P_IPV6) &&
	       *(const __u8 *)(data + 20) == IPPROTO_UDP && !(*(const __u8 *)data & 1);
}

/* From the addresses on, with the pseudo header; behind PKTGEN_HEAD there are zeros. */
static __always_inline int checksum_ok(const void *data)
{
	__u64 sum = *(const __u16 *)(data + 58) + bpf_htons(IPPROTO_UDP);

#pragma unroll
	for (int i = 22; i + 8 <= PKTGEN_HEAD; i += 8)
		sum = jpx_csum_add64(sum, load64(data + i));
	sum += *(const __u16 *)(data + PKTGEN_HEAD - 2);
	return *(const __u16 *)(data + 60) && jpx_csum_fold(sum) == 0xffff;
}

/* Is the pledge one of those that there are, and the port one of its? */
static __always_inline int sender_ok(const void *data, const void *end)
{
	const void *who = data + (pktgen_plan.who_at & 127);
	const void *port = data + (pktgen_plan.port_at & 127);
	__u32 n, p;

	if (!pktgen_plan.who_at)
		return 1;
	if (who + 2 > end || port + 2 > end)
		return 0;
	n = bpf_ntohs(*(const __be16 *)who) - 1U;
	p = bpf_ntohs(*(const __be16 *)port) - pktgen_plan.first_port;
	return n < pktgen_plan.pledges && p - n * pktgen_plan.ports < pktgen_plan.ports;
}

static __always_inline void keep(struct xdp_md *ctx, __u32 len)
{
	__u32 key = __sync_fetch_and_add(&pktgen_taken, 1);
	struct pktgen_sample *sample = bpf_map_lookup_elem(&pktgen_samples, &key);

	if (!sample || len < 1 || len > PKTGEN_FRAME_MAX)
		return;
	/* The same, in words that verifiers of 6.1 and earlier follow, too. */
	asm volatile("" : "+r"(len));
	len = ((len - 1) & (PKTGEN_FRAME_MAX - 1)) + 1;
	if (!bpf_xdp_load_bytes(ctx, 0, sample->data, len))
		sample->len = len;
}

SEC("xdp")
int pktgen_far(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, len = (__u32)(end - data);
	struct pktgen_seen *seen = bpf_map_lookup_elem(&pktgen_counts, &zero);
	__u64 differs = 0;

	if (!seen)
		return XDP_ABORTED;
	if (data + 21 > end || !is_ours(data)) {
		seen->stray++;
		return XDP_PASS;
	}
	if (pktgen_plan.sampling)
		keep(ctx, len);
	/* The verifier forgets what it knew of these. */
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + PKTGEN_HEAD > end) {
		seen->wrong++;
		seen->wrong_len = len;
		return XDP_DROP;
	}
#pragma unroll
	for (int i = 0; i < PKTGEN_WORDS; i++)
		differs |= (load64(data + 8 * i) ^ pktgen_plan.want[i]) & pktgen_plan.mask[i];
	if (!differs && len == pktgen_plan.len && sender_ok(data, end) && checksum_ok(data)) {
		if (!(seen->right & (PKTGEN_STEP - 1))) {
			seen->last = bpf_ktime_get_ns();
			if (!seen->first)
				seen->first = seen->last;
		}
		seen->right++;
		pktgen_sources[*(const __u16 *)(data + 54)] = 1;
		return XDP_DROP;
	}
	seen->wrong++;
	seen->wrong_len = len;
	seen->wrong_word = PKTGEN_WORDS;
#pragma unroll
	for (int i = PKTGEN_WORDS - 1; i >= 0; i--) {
		if ((load64(data + 8 * i) ^ pktgen_plan.want[i]) & pktgen_plan.mask[i]) {
			seen->wrong_word = i;
			seen->wrong_is = load64(data + 8 * i);
		}
	}
	return XDP_DROP;
}

SEC("xdp")
int pktgen_floor(struct xdp_md *ctx)
{
	return bench_redirect(ctx, pktgen_macs, &pktgen_out, 0);
}

SEC("xdp")
int pktgen_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
