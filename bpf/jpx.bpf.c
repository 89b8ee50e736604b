/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The entry points of the fast path: is a frame ours, and which way does it go?
 *
 *   frame -> parse.h -> ours? -> wrap.h    pledge to Registrar
 *                           \--> unwrap.h  Registrar to pledge
 *
 * One program per kind of link; one instance per interface, told apart by
 * jpx_slot_id.  What is not ours is passed with nothing written anywhere.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

#include "unwrap.h"
#include "wrap.h"

/* libxdp runs us before programs of the default priority (50) and goes on to
 * them with what we pass. */
struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(jpx_xdp_ethernet);

struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(jpx_xdp_ipv6);

/* The pledge port that F came in on, or 0. */
static __always_inline __u32 jpx_ingress_port(const struct jpx_frame *f,
					      const struct jpx_slot *slot)
{
	struct jpx_vlan_key key = {};
	__u32 *port_id;

	if (!f->outer_proto)
		return slot->port_id;
	key.slot = (__u16)jpx_slot_id;
	key.outer_proto = f->outer_proto;
	key.outer_tci = f->outer_vid;
	key.inner_tci = f->inner_vid;
	port_id = bpf_map_lookup_elem(&jpx_vlans, &key);
	return port_id ? *port_id : 0;
}

/* The pledge port that F came in on, if it serves service ID and F is to its address; or NULL. */
static __always_inline struct jpx_port *jpx_join_port(enum jpx_link link, const struct jpx_frame *f,
						      const struct jpx_slot *slot, __u32 id,
						      __u32 *port_id)
{
	struct jpx_port *port;

	*port_id = jpx_ingress_port(f, slot);
	if (!*port_id)
		return 0;
	port = bpf_map_lookup_elem(&jpx_ports, port_id);
	if (!port || !(port->flags & JPX_PORT_READY) || !(port->services >> (id & 63) & 1))
		return 0;
	if (jpx_load64(f->ip6 + 24) != *(const __u64 *)port->addr ||
	    jpx_load64(f->ip6 + 32) != *(const __u64 *)(port->addr + 8))
		return 0;
	if (link == JPX_LINK_ETHERNET &&
	    (jpx_load32(f->eth) != *(const __u32 *)port->mac ||
	     jpx_load16(f->eth + 4) != *(const __u16 *)(port->mac + 4)))
		return 0;
	return port;
}

/*
 * Fragments and extension headers go up untouched; this only counts those of
 * ours and notes what the socket engine cannot see, the sender's MAC.  Cold, but inlined: F must
 * not be forced into memory for its sake.
 */
static __always_inline int jpx_count_behind(struct xdp_md *ctx, enum jpx_link link,
					    const struct jpx_frame *f)
{
	__u32 slot_id = jpx_slot_id, next = *(__u8 *)(f->ip6 + 6), dport, port_id, id;
	struct jpx_service *service;
	struct jpx_dport *meaning;
	enum jpx_handoff why;
	struct jpx_slot *slot;
	long found;

	if (next != 0 && next != 43 && next != 44 && next != 60)
		return XDP_PASS;
	found = jpx_parse_behind(ctx, f->l2_len + JPX_IP6_HLEN, next);
	if (found < 0)
		return XDP_PASS;
	why = found & JPX_BEHIND_FRAGMENT ? JPX_HANDOFF_FRAGMENT : JPX_HANDOFF_EXTENSION_HEADER;
	dport = bpf_ntohs((__u16)(found >> 16));
	meaning = bpf_map_lookup_elem(&jpx_dports, &dport);
	slot = bpf_map_lookup_elem(&jpx_slots, &slot_id);
	if (!meaning || !slot || !(slot->flags & JPX_SLOT_IN_USE))
		return XDP_PASS;
	if (meaning->back && slot->flags & JPX_SLOT_UPLINK) {
		id = meaning->back;
		service = bpf_map_lookup_elem(&jpx_services, &id);
		if (service && jpx_is_path(f, service))
			return jpx_hand_off(0, why);
	} else if (meaning->join && jpx_join_port(link, f, slot, meaning->join, &port_id)) {
		jpx_note_source(link, f, port_id, (__u16)found);
		return jpx_hand_off(port_id, why);
	}
	return XDP_PASS;
}

static __always_inline int jpx_frame_in(struct xdp_md *ctx, enum jpx_link link)
{
	__u32 slot_id = jpx_slot_id, port_id, dport;
	struct jpx_dport *meaning;
	struct jpx_slot *slot;
	struct jpx_port *port;
	struct jpx_frame f;

	switch (jpx_parse(ctx, link, &f)) {
	case JPX_PARSE_UDP:
		break;
	case JPX_PARSE_IP6:
		return jpx_count_behind(ctx, link, &f);
	default:
		return XDP_PASS;
	}

	dport = bpf_ntohs(jpx_load16(f.udp + 2));
	meaning = bpf_map_lookup_elem(&jpx_dports, &dport);
	if (!meaning || !(meaning->join | meaning->back))
		return XDP_PASS;
	slot = bpf_map_lookup_elem(&jpx_slots, &slot_id);
	if (!slot || !(slot->flags & JPX_SLOT_IN_USE))
		return XDP_PASS;

	if (meaning->back && slot->flags & JPX_SLOT_UPLINK)
		return jpx_unwrap(ctx, link, &f, meaning->back);

	if (!meaning->join)
		return XDP_PASS;
	port = jpx_join_port(link, &f, slot, meaning->join, &port_id);
	if (!port)
		return XDP_PASS;
	return jpx_wrap(ctx, link, &f, port, port_id, meaning->join);
}

SEC("xdp")
int jpx_xdp_ethernet(struct xdp_md *ctx)
{
	return jpx_frame_in(ctx, JPX_LINK_ETHERNET);
}

SEC("xdp")
int jpx_xdp_ipv6(struct xdp_md *ctx)
{
	return jpx_frame_in(ctx, JPX_LINK_IPV6);
}

char _license[] SEC("license") = "Dual BSD/GPL";
