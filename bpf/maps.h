/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the fast path, in one place: who writes it, who reads it.  The
 * structures are in include/jpx/abi.h.  jpd pins them all and owns all but those
 * that say otherwise.
 *
 * Plain arrays wherever the hot path looks (the JIT inlines an array lookup to
 * a few instructions; a hash lookup costs 40 ns).
 */
#ifndef JPX_BPF_MAPS_H
#define JPX_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <jpx/abi.h>
#include <jpx/flow_tables.h>

/* A function of its own to the verifier: looked at once, wherever it is called from. */
#define JPX_OUTLINE __attribute__((noinline))

/* This instance's slot: fixed when jpd loads the program for one interface.  0: it serves many
 * interfaces, and jpx_slot_ids says which slot a frame came in on. */
const volatile __u32 jpx_slot_id = 0;

/* Which layout all the others have; read by jpd before it adopts. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct jpx_meta);
} jpx_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_SLOTS);
	__type(key, __u32);
	__type(value, struct jpx_slot);
} jpx_slots SEC(".maps");

/* By ifindex: which slot is it?  Looked up by the program of many interfaces only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_IFINDEX);
	__type(key, __u32);
	__type(value, __u32);
} jpx_slot_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct jpx_port);
} jpx_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct jpx_service);
} jpx_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct jpx_dport);
} jpx_dports SEC(".maps");

/* Looked up for tagged frames only. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, JPX_MAX_VLANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct jpx_vlan_key);
	__type(value, __u32); /* port id */
} jpx_vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, JPX_TX_COUNT);
	__type(key, __u32);
	__type(value, __u32);
} jpx_tx SEC(".maps");

/* Written by the forward way: MACs that addresses do not tell. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, JPX_MAX_MACS);
	__type(key, struct jpx_mac_key);
	__type(value, __u64);
} jpx_macs SEC(".maps");

/* Written by both ways: what was lately found in jpx_macs (bpf/macs.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << JPX_MAC_HINT_BITS);
	__type(key, __u32);
	__type(value, struct jpx_mac_hint);
} jpx_mac_hints SEC(".maps");

/* Written by the forward way, by port id: an EUI-64 address here lied about its MAC. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} jpx_odd_macs SEC(".maps");

/* ---- stateful mode.  Sizes are set by jpd when it makes them: what stands here is the least. */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct jpx_flow_config);
} jpx_flow_config SEC(".maps");

/* Written by the sweep (bpf/flows.bpf.c): the tick it is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} jpx_clock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct jpx_uplink);
} jpx_uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << JPX_PLACE_BITS);
	__type(key, __u32);
	__type(value, __u32);
} jpx_uplink_places SEC(".maps");

/* Written by whoever relays, by slot: jpd maps it into its memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct jpx_flow);
} jpx_flows SEC(".maps");

/* Written as jpx_flows is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} jpx_flow_hints SEC(".maps");

/* Written by BPF only: which flows a pledge address has.  All memory is there from the start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct jpx_pledge_key);
	__type(value, struct jpx_pledge_flows);
} jpx_pledges SEC(".maps");

/* Written by BPF only, by port id; 0: of all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, JPX_MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} jpx_flow_counts SEC(".maps");

/* Written by the fast path, by port id. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JPX_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct jpx_refusals);
} jpx_refusals SEC(".maps");

/* From one function of the fast path to the next: whose datagram is the first of a flow.  Each
 * program has its own. */
struct jpx_newcomer {
	struct jpx_flow_key key;
	__u64 mac;
	__u64 slot; /* of the flow, once it is open */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct jpx_newcomer);
} jpx_newcomer SEC(".maps");

/* The second gear's walk through a message (jpy.h).  Not on the stack: kernel 6.1 counts each
 * frame as the next multiple of 32 bytes, and then 512 are too few for all in a row.  Each
 * program has its own. */
#define JPX_WINDOW 64
struct jpx_walk {
	__u8 buf[JPX_WINDOW]; /* the message's first bytes */
	__u32 off;
	__u32 avail; /* bytes of buf that are filled */
	__u32 len;   /* of the whole message */
	__u32 major;
	__u64 value;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct jpx_walk);
} jpx_walk SEC(".maps");

/* Written by both ways, by port id. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, JPX_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct jpx_stats);
} jpx_stats SEC(".maps");

#endif
