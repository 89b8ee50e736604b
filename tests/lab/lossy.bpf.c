/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fate of each UDP datagram that leaves an interface (tc, egress): it goes by,
 * it is lost, or it is given to lossy.c, which sends it on behind later ones.  A
 * datagram's fate follows from the seed and from its number alone.
 *
 * Must never touch anything but UDP over IPv6 or IPv4 (neighbour discovery and ARP
 * stay whole), nor let the sender know: what is taken is taken as if sent.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lossy.h"

const volatile __u64 lossy_seed;
const volatile __u64 lossy_loss;    /* of 2^32 */
const volatile __u64 lossy_reorder; /* of 2^32, of those that are not lost */

/* Several CPUs may send at a time: counted with atomic additions only. */
__u64 lossy_seen, lossy_passed, lossy_lost, lossy_unfit;
__u64 lossy_held; /* with lossy.c at this moment; it takes them off again */

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} lossy_events SEC(".maps");

/* SplitMix64, by number and not by state: there is none that CPUs could quarrel about. */
static __always_inline __u64 lossy_draw(__u64 n)
{
	__u64 z = lossy_seed + (n + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Fragments of UDP datagrams, too. */
static __always_inline bool lossy_is_udp(struct __sk_buff *skb)
{
	__u8 proto = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		bpf_skb_load_bytes_relative(skb, 9, &proto, 1, BPF_HDR_START_NET);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		bpf_skb_load_bytes_relative(skb, 6, &proto, 1, BPF_HDR_START_NET);
		if (proto == 44) /* a fragment */
			bpf_skb_load_bytes_relative(skb, 40, &proto, 1, BPF_HDR_START_NET);
	}
	return proto == IPPROTO_UDP;
}

static __always_inline long lossy_tell(struct __sk_buff *skb, __u64 draw, __u32 len)
{
	struct lossy_event event = {
		.passed = lossy_passed,
		.len = len,
		.proto = skb->protocol,
		.wait = 1 + draw % LOSSY_WAIT_MAX,
	};

	return bpf_perf_event_output(skb, &lossy_events, (__u64)len << 32 | BPF_F_CURRENT_CPU,
				     &event, sizeof(event));
}

static __always_inline bool lossy_hold(struct __sk_buff *skb, __u64 draw)
{
	/* A bundle (GSO) is no datagram that a packet socket could send. */
	if (skb->gso_size || skb->len > LOSSY_FRAME_MAX) {
		__sync_fetch_and_add(&lossy_unfit, 1);
		return false;
	}
	__sync_fetch_and_add(&lossy_held, 1);
	if (!lossy_tell(skb, draw, skb->len))
		return true;
	__sync_fetch_and_add(&lossy_held, -1);
	__sync_fetch_and_add(&lossy_unfit, 1);
	return false;
}

SEC("tc")
int lossy_egress(struct __sk_buff *skb)
{
	__u64 draw;

	/* TC_ACT_UNSPEC lets others' filters have their say. */
	if (skb->mark == LOSSY_MARK) {
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	if (!lossy_is_udp(skb))
		return TC_ACT_UNSPEC;
	draw = lossy_draw(__sync_fetch_and_add(&lossy_seen, 1));
	/* Stolen, not shot: the sender's send() would return ENOBUFS. */
	if ((__u32)draw < lossy_loss) {
		__sync_fetch_and_add(&lossy_lost, 1);
		return TC_ACT_STOLEN;
	}
	if (draw >> 32 < lossy_reorder && lossy_hold(skb, draw))
		return TC_ACT_STOLEN;
	__sync_fetch_and_add(&lossy_passed, 1);
	if (lossy_held)
		lossy_tell(skb, draw, 0);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
