/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both far ends of the round trip benchmark as XDP programs, so that they cost
 * next to nothing and the relay is what is measured:
 *
 *   trips_pledges    where pledges are: checks each answer in full, and sends
 *                    that pledge's next datagram: one is always under way
 *   trips_registrar  where the Registrar is: checks each datagram in full, and
 *                    sends it back to whom it came from
 *   trips_cable      joins two interfaces, for the row without a relay
 *
 * They must treat every candidate alike, so they know nothing but plain UDP.
 * What is not the benchmark's own traffic goes to the stack: neighbour discovery.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../../bpf/csum.h"
#include "ends.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct trips_plan trips_plan;
__u64 trips_stop;
__u64 trips_faults[TRIPS_FAULTS];
__u32 trips_line[TRIPS_PLEDGES]; /* the numbers of pledges that wait for the wire */

#define TURNS 8
struct {
	__u32 at;
} __attribute__((aligned(64))) trips_turn[TURNS]; /* the next place in the line, by CPU */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRIPS_PLEDGES);
	__type(key, __u32);
	__type(value, struct trips_pledge);
} trips_pledge_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRIPS_PLEDGES);
	__type(key, __u32);
	__type(value, struct trips_peer);
} trips_peer_map SEC(".maps");

/*
 * Where frames leave, for each program by itself since it is in a namespace of its own.
 * Not XDP_TX: a veth then does not wake a peer that has no program.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} trips_pledges_out SEC(".maps"), trips_registrar_out SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} trips_cable_out SEC(".maps"); /* by the interface that a frame came in by */

struct trips_frame {
	struct ethhdr eth;
	struct ipv6hdr ip6;
	struct udphdr udp;
	__u8 content[TRIPS_CONTENT];
} __attribute__((packed, aligned(2)));

static __always_inline __u64 load64(const void *p)
{
	return *(const __u64 *)p;
}

static __always_inline int fault(enum trips_fault which)
{
	__sync_fetch_and_add(&trips_faults[which], 1);
	return XDP_DROP;
}

/* The headers of a UDP datagram over IPv6, or NULL. */
static __always_inline struct trips_frame *udp_frame(struct xdp_md *ctx)
{
	struct trips_frame *f = (void *)(long)ctx->data;

	if ((void *)f->content > (void *)(long)ctx->data_end ||
	    f->eth.h_proto != bpf_htons(ETH_P_IPV6) || f->ip6.nexthdr != IPPROTO_UDP)
		return 0;
	return f;
}

/* All lengths, and every byte of the content but the two numbers. */
static __always_inline int content_ok(struct xdp_md *ctx, struct trips_frame *f)
{
	void *end = (void *)(long)ctx->data_end;
	__u64 differs = 0;

	if (f->content + TRIPS_CONTENT > (__u8 *)end)
		return 0;
	/* Else the compiler makes one != of both, which tells the verifier nothing. */
	asm volatile("" : "+r"(end));
	if (f->content + TRIPS_CONTENT != (__u8 *)end ||
	    f->ip6.payload_len != bpf_htons(sizeof(f->udp) + TRIPS_CONTENT) ||
	    f->udp.len != f->ip6.payload_len)
		return 0;
#pragma unroll
	for (int i = 0; i < TRIPS_WORDS; i++) {
		if (i != TRIPS_WORD_WHO && i != TRIPS_WORD_TRIP)
			differs |= load64(f->content + 8 * i) ^ trips_plan.content[i];
	}
	differs |= load64(f->content + TRIPS_LAST) ^ trips_plan.last;
	return !differs;
}

/* The checksum that a datagram with these addresses, ports and numbers must have. */
static __always_inline __sum16 checksum(const struct trips_frame *f, __u64 who, __u64 trip)
{
	__u64 sum = trips_plan.content_sum;

#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = jpx_csum_add64(sum, load64((const __u8 *)&f->ip6.saddr + 8 * i));
	sum = jpx_csum_add64(jpx_csum_add64(sum, who), trip);
	sum += f->udp.source + f->udp.dest + 2 * bpf_htons(sizeof(f->udp) + TRIPS_CONTENT) +
	       bpf_htons(IPPROTO_UDP);
	return jpx_csum_finish(sum);
}

/* Back to where it came from, as a fresh datagram. */
static __always_inline void turn_round(struct trips_frame *f)
{
	__u8 mac[ETH_ALEN];
	struct in6_addr addr;
	__be16 port;

	__builtin_memcpy(mac, f->eth.h_dest, ETH_ALEN);
	__builtin_memcpy(f->eth.h_dest, f->eth.h_source, ETH_ALEN);
	__builtin_memcpy(f->eth.h_source, mac, ETH_ALEN);
	__builtin_memcpy(&addr, &f->ip6.saddr, sizeof(addr));
	__builtin_memcpy(&f->ip6.saddr, &f->ip6.daddr, sizeof(addr));
	__builtin_memcpy(&f->ip6.daddr, &addr, sizeof(addr));
	port = f->udp.source;
	f->udp.source = f->udp.dest;
	f->udp.dest = port;
	/* No traffic class, no flow label. */
	*(__u32 *)((void *)f + sizeof(f->eth)) = bpf_htonl(0x60000000);
	f->ip6.hop_limit = 64;
}

/* Makes the pledges' datagram that of WHO. */
static __always_inline void write_numbers(struct trips_frame *f, __u32 who, __u64 trip)
{
	*(__u64 *)((__u8 *)&f->ip6.saddr + 8) = bpf_cpu_to_be64(TRIPS_IID + who);
	f->udp.source = bpf_htons(TRIPS_FIRST_PORT + who);
	*(__u64 *)(f->content + 8 * TRIPS_WORD_WHO) = who;
	*(__u64 *)(f->content + 8 * TRIPS_WORD_TRIP) = trip;
	f->udp.check = checksum(f, who, trip);
}

/* WHO goes to the end of the line, and who is at its front has its turn.  No line: WHO. */
static __always_inline __u32 take_turns(__u32 who)
{
	__u32 *at = &trips_turn[bpf_get_smp_processor_id() % TURNS].at;
	__u32 place = *at;

	if (!trips_plan.waiting)
		return who;
	if (place >= trips_plan.waiting || place >= TRIPS_PLEDGES)
		place = 0;
	*at = place + 1;
	return __sync_lock_test_and_set(&trips_line[place], who);
}

SEC("xdp")
int trips_pledges(struct xdp_md *ctx)
{
	struct trips_frame *f = udp_frame(ctx);
	struct trips_pledge *p;
	__u64 trip;
	__u32 who;

	if (!f)
		return XDP_PASS;
	who = bpf_ntohs(f->udp.dest) - TRIPS_FIRST_PORT;
	if (who >= TRIPS_PLEDGES)
		return XDP_PASS;
	p = bpf_map_lookup_elem(&trips_pledge_map, &who);
	if (!p)
		return XDP_PASS;
	if (!content_ok(ctx, f))
		return fault(TRIPS_BAD_CONTENT);
	trip = load64(f->content + 8 * TRIPS_WORD_TRIP);
	if (load64(f->content + 8 * TRIPS_WORD_WHO) != who ||
	    load64(&f->ip6.daddr) != bpf_cpu_to_be64(0xfe80000000000000ULL) ||
	    load64((__u8 *)&f->ip6.daddr + 8) != bpf_cpu_to_be64(TRIPS_IID + who) ||
	    load64(&f->ip6.saddr) != trips_plan.relay_addr[0] ||
	    load64((__u8 *)&f->ip6.saddr + 8) != trips_plan.relay_addr[1] ||
	    f->udp.source != trips_plan.relay_port_be)
		return fault(TRIPS_BAD_OWNER);
	if (f->udp.check != checksum(f, who, trip))
		return fault(TRIPS_BAD_SUM);
	if (trip != p->trip)
		return fault(TRIPS_LATE);
	p->done++;
	p->trip = trip + 1;
	if (*(volatile __u64 *)&trips_stop) {
		p->rested = 1;
		return XDP_DROP;
	}
	who = take_turns(who);
	p = bpf_map_lookup_elem(&trips_pledge_map, &who);
	if (!p)
		return XDP_DROP;
	turn_round(f);
	write_numbers(f, who, p->trip);
	return bpf_redirect_map(&trips_pledges_out, 0, XDP_DROP);
}

SEC("xdp")
int trips_registrar(struct xdp_md *ctx)
{
	struct trips_frame *f = udp_frame(ctx);
	struct trips_peer *peer;
	__u64 who, addr_lo;
	__u32 key;

	if (!f || f->udp.dest != trips_plan.registrar_port_be)
		return XDP_PASS;
	if (!content_ok(ctx, f))
		return fault(TRIPS_FAR_CONTENT);
	who = load64(f->content + 8 * TRIPS_WORD_WHO);
	key = (__u32)who;
	if (who >= TRIPS_PLEDGES)
		return fault(TRIPS_FAR_CONTENT);
	if (f->udp.check != checksum(f, who, load64(f->content + 8 * TRIPS_WORD_TRIP)))
		return fault(TRIPS_FAR_SUM);
	peer = bpf_map_lookup_elem(&trips_peer_map, &key);
	if (!peer)
		return fault(TRIPS_FAR_CONTENT);
	addr_lo = load64((__u8 *)&f->ip6.saddr + 8);
	if (peer->addr_lo != addr_lo || peer->port != f->udp.source) {
		peer->changes += peer->port != 0;
		peer->addr_lo = addr_lo;
		peer->port = f->udp.source;
	}
	turn_round(f); /* the checksum stays: the same words in another order */
	return bpf_redirect_map(&trips_registrar_out, 0, XDP_DROP);
}

SEC("xdp")
int trips_cable(struct xdp_md *ctx)
{
	return bpf_redirect_map(&trips_cable_out, ctx->ingress_ifindex, XDP_DROP);
}
