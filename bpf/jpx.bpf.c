/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The entry points of the fast path: is a frame ours, and which way does it go?
 *
 *                                stateless     stateful
 *   frame -> parse.h -> ours? -> wrap.h    or  translate.h  pledge to Registrar
 *                           \--> unwrap.h  or  translate.h  Registrar to pledge
 *
 * One program per kind of link; one instance per interface, told apart by
 * jpx_slot_id.  What is not ours is passed with nothing written anywhere.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

#include "slot.h"
#include "translate.h"
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

	if (f->l2_len <= ETH_HLEN)
		return slot->port_id;
	key.slot = slot->id;
	key.outer_proto = jpx_load16(f->eth + 12);
	key.outer_tci = jpx_load16(f->eth + 14) & JPX_VID_MASK;
	if (f->l2_len > ETH_HLEN + JPX_VLAN_HLEN)
		key.inner_tci = jpx_load16(f->eth + 18) & JPX_VID_MASK;
	port_id = bpf_map_lookup_elem(&jpx_vlans, &key);
	return port_id ? *port_id : 0;
}

/* The pledge port that F came in on, if it serves service ID and F is to its MAC; or NULL. */
static __always_inline struct jpx_port *
jpx_served_port(const struct jpx_frame *f, const struct jpx_slot *slot, __u32 id, __u32 *port_id)
{
	struct jpx_port *port;

	*port_id = jpx_ingress_port(f, slot);
	if (!*port_id)
		return 0;
	port = bpf_map_lookup_elem(&jpx_ports, port_id);
	if (!port || !(port->flags & JPX_PORT_READY) || !(port->services >> (id & 63) & 1))
		return 0;
	if (f->l2_len && (jpx_load32(f->eth) != *(const __u32 *)port->mac ||
			  jpx_load16(f->eth + 4) != *(const __u16 *)(port->mac + 4)))
		return 0;
	return port;
}

/* Is F to the link-local address of PORT? */
static __always_inline int jpx_is_to(const struct jpx_frame *f, const struct jpx_port *port)
{
	struct jpx_addr dst = jpx_frame_dst(f), ours = {};

	if (!f->ipv4)
		return jpx_addr_is(dst, jpx_addr_mapped(port->addr, 0));
	ours.lo = port->addr4;
	return ours.lo && jpx_addr_is(dst, ours);
}

/* Is F to the Registrar of SERVICE, which pledges may send to?  From a link-local source, that is:
 * who has another one is a device that joined already, and the kernel forwards it. */
static __always_inline int jpx_is_intercepted(const struct jpx_frame *f,
					      const struct jpx_service *service)
{
	struct jpx_addr src = jpx_frame_src(f);

	if (!(service->flags & JPX_SERVICE_INTERCEPT) ||
	    !f->ipv4 != !(service->flags & JPX_SERVICE_IPV4) ||
	    !jpx_addr_is(jpx_frame_dst(f), jpx_addr_mapped(service->registrar, f->ipv4)))
		return 0;
	return f->ipv4 ? bpf_ntohl((__u32)src.lo) >> 16 == 0xa9fe
		       : (bpf_be64_to_cpu(src.hi) >> 54) == 0xfe80 >> 6;
}

/* How a pledge's datagram came in, as one number: the stack has no room for a structure. */
#define JPX_IN_SERVICE(in) ((in)&0xff)
#define JPX_IN_PORT(in)	   ((in) >> 8 & 0xff)
#define JPX_IN_INTERCEPTED(in)                                                                     \
	((in) >> 16) /* to the Registrar's own address, not to a join port                         \
		      */

/* By which service and pledge port F, whose UDP port means MEANING, came in; or 0. */
static __always_inline __u32 jpx_way_in(const struct jpx_frame *f, const struct jpx_slot *slot,
					const struct jpx_dport *meaning)
{
	__u32 id = meaning->join, port_id;
	struct jpx_service *service;
	struct jpx_port *port;

	port = id ? jpx_served_port(f, slot, id, &port_id) : 0;
	if (port && jpx_is_to(f, port))
		return id | port_id << 8;
	/* A Registrar may listen on what is a join port here. */
	id = meaning->intercept;
	service = id ? bpf_map_lookup_elem(&jpx_services, &id) : 0;
	if (!service || !jpx_is_intercepted(f, service) || !jpx_served_port(f, slot, id, &port_id))
		return 0;
	return id | port_id << 8 | 1U << 16;
}

/* F, to UDP port DPORT, is handed off because of WHY: counted, if it is from a flow's Registrar. */
static __always_inline int jpx_count_flow(const struct jpx_frame *f, __be16 dport,
					  enum jpx_handoff why)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	struct jpx_uplink *uplink;
	struct jpx_flow *flow = cfg ? jpx_flow_of(cfg, f, dport, &uplink) : 0;
	struct jpx_service *service = flow ? jpx_service_at(flow->key.service_id) : 0;

	if (!service || !jpx_is_from(f, service))
		return XDP_PASS;
	return jpx_hand_off(flow->key.port_id, why);
}

/*
 * Fragments, extension headers and IPv4 options go up untouched; this only counts those of ours
 * and notes what the socket engine cannot see, the sender's MAC.
 */
JPX_OUTLINE int jpx_count_behind(struct xdp_md *ctx, __u32 shape)
{
	__u32 dport, port_id, id, where;
	struct jpx_service *service;
	struct jpx_dport *meaning;
	struct jpx_addr src;
	enum jpx_handoff why;
	__u32 in;
	struct jpx_slot *slot;
	struct jpx_frame frame, *f = &frame;
	__u64 pledge;
	long found;

	if (!ctx || jpx_frame_from(ctx, shape, f))
		return XDP_PASS;
	if (f->ipv4)
		found = jpx_parse_behind4(ctx, f->l2_len);
	else
		found = jpx_parse_behind(ctx, f->l2_len + JPX_IP6_HLEN, *(__u8 *)(f->ip + 6));
	if (found < 0)
		return XDP_PASS;
	why = found & JPX_BEHIND_FRAGMENT ? JPX_HANDOFF_FRAGMENT
	      : f->ipv4			  ? JPX_HANDOFF_IP_OPTIONS
					  : JPX_HANDOFF_EXTENSION_HEADER;
	dport = bpf_ntohs((__u16)(found >> 16));
	meaning = bpf_map_lookup_elem(&jpx_dports, &dport);
	slot = jpx_own_slot(ctx);
	if (!meaning || !slot)
		return XDP_PASS;
	if (meaning->back && slot->flags & JPX_SLOT_UPLINK) {
		id = meaning->back;
		service = bpf_map_lookup_elem(&jpx_services, &id);
		if (service && jpx_is_path(f, service))
			return jpx_hand_off(0, why);
		return XDP_PASS;
	}
	in = jpx_way_in(f, slot, meaning);
	if (!in)
		return meaning->flow && slot->flags & JPX_SLOT_UPLINK
			       ? jpx_count_flow(f, (__u16)(found >> 16), why)
			       : XDP_PASS;
	port_id = JPX_IN_PORT(in);
	src = jpx_frame_src(f);
	if (f->ipv4) {
		pledge = jpx_pledge_id(bpf_ntohl((__u32)src.lo));
		where = port_id | JPX_WHERE_IPV4;
		if (!jpx_is_link_local4((__u32)pledge))
			return jpx_hand_off(port_id, why);
	} else {
		pledge = bpf_be64_to_cpu(src.lo);
		where = port_id;
		if (!jpx_is_link_local(bpf_be64_to_cpu(src.hi), pledge))
			return jpx_hand_off(port_id, why);
	}
	if (f->l2_len)
		jpx_note_mac(pledge, jpx_eth_source(f->eth), where, (__u16)found);
	return jpx_hand_off(port_id, why);
}

/*
 * F is UDP.  PLAIN, a constant: it is as jpx_parse_plain() says.  Then what is relayed statelessly
 * between plain links is relayed here and now, with all that the compiler can know of it;
 * everything else goes to functions for frames of any shape (parse.h).
 */
static __always_inline int jpx_udp_in(struct xdp_md *ctx, const struct jpx_frame *f, int plain)
{
	__u32 port_id, dport, id;
	struct jpx_service *service;
	struct jpx_dport *meaning;
	struct jpx_slot *slot;
	__u32 in;
	int verdict;
	__u32 shape = jpx_frame_shape(f);

	dport = bpf_ntohs(jpx_load16(f->udp + 2));
	meaning = bpf_map_lookup_elem(&jpx_dports, &dport);
	if (!meaning || !*(__u32 *)meaning)
		return XDP_PASS;
	slot = jpx_own_slot(ctx);
	if (!slot)
		return XDP_PASS;

	if (slot->flags & JPX_SLOT_UPLINK) {
		if (meaning->back)
			return plain ? jpx_unwrap_plain(ctx, f, meaning->back)
				     : jpx_unwrap(ctx, shape, meaning->back);
		if (meaning->flow && !(meaning->join | meaning->intercept))
			return plain ? jpx_translate_back_plain(ctx)
				     : jpx_translate_back(ctx, shape);
	}

	if (!(meaning->join | meaning->intercept))
		return XDP_PASS;
	in = jpx_way_in(f, slot, meaning);
	/* The ports of flows are many: a Registrar, or a join port, may be among them. */
	if (!in && meaning->flow && slot->flags & JPX_SLOT_UPLINK)
		return jpx_translate_back(ctx, shape);
	id = JPX_IN_SERVICE(in);
	port_id = JPX_IN_PORT(in);
	service = bpf_map_lookup_elem(&jpx_services, &id);
	if (!in || !service || !(service->flags & JPX_SERVICE_IN_USE))
		return XDP_PASS;
	plain = plain && service->l2_len == ETH_HLEN && !(service->flags & JPX_SERVICE_IPV4);
	if (service->mode == JPX_MODE_STATELESS) {
		if (plain)
			return jpx_wrap_frame(ctx, f, service, port_id, id,
					      jpx_addr_sum(0, jpx_frame_dst(f)), ETH_HLEN, 0);
		return jpx_wrap(ctx, shape, port_id, id);
	}
	verdict = plain ? jpx_translate_plain(ctx, port_id, id, JPX_IN_INTERCEPTED(in))
			: jpx_translate(ctx, shape, port_id, id, JPX_IN_INTERCEPTED(in));
	if (verdict != JPX_FIRST_OF_FLOW)
		return verdict;
	verdict = jpx_translate_first(ctx, port_id);
	if (verdict)
		return verdict;
	verdict = jpx_translate(ctx, shape, port_id, id, JPX_IN_INTERCEPTED(in) | JPX_HOW_OPENED);
	return verdict == JPX_FIRST_OF_FLOW ? jpx_hand_off(port_id, JPX_HANDOFF_FLOW_BUSY)
					    : verdict;
}

static __always_inline int jpx_frame_in(struct xdp_md *ctx, enum jpx_link link)
{
	struct jpx_frame f;

	if (link == JPX_LINK_ETHERNET && jpx_parse_plain(ctx, &f))
		return jpx_udp_in(ctx, &f, 1);
	switch (jpx_parse(ctx, link, &f)) {
	case JPX_PARSE_UDP:
		return jpx_udp_in(ctx, &f, 0);
	case JPX_PARSE_IP:
		/* TCP, ICMPv6 and the like pay no more than this. */
		if (!f.ipv4 && !jpx_is_extension(*(__u8 *)(f.ip + 6)))
			return XDP_PASS;
		return jpx_count_behind(ctx, jpx_frame_shape(&f));
	default:
		return XDP_PASS;
	}
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
