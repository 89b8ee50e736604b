/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stateful mode: addresses and ports are rewritten, the content stays where it is
 * (draft-anima-constrained-join-proxy-02 5.1; -21, 4.3).  Everything that can refuse
 * comes before the first byte of the packet changes; only the opening of a flow
 * comes before that, since it may be refused itself.
 */
#ifndef JPX_BPF_TRANSLATE_H
#define JPX_BPF_TRANSLATE_H

#include "admit.h"
#include "answer.h"
#include "flow.h"

/*
 * Opens the flow that jpx_translate() did not find.  0 when it is there, or the verdict.  Of
 * those refused some are handed off, for jpd to tell them so (ICMPv6 type 1 code 1, -21, 4.3);
 * the flood behind them ends here.
 */
static __always_inline int jpx_translate_first(struct xdp_md *ctx, __u32 port_id)
{
	struct jpx_newcomer *newcomer;
	__u32 zero = 0;
	long why;

	newcomer = bpf_map_lookup_elem(&jpx_newcomer, &zero);
	if (!newcomer)
		return XDP_PASS;
	why = jpx_flow_open(ctx, &newcomer->key, newcomer->mac);
	if (why >= 0) {
		newcomer->slot = (__u64)why;
		return 0;
	}
	if (why == JPX_FLOW_OPEN_BUSY)
		return jpx_hand_off(port_id, JPX_HANDOFF_FLOW_BUSY);
	if (jpx_may_refuse(port_id, jpx_now()))
		return jpx_hand_off(port_id, JPX_HANDOFF_FLOW_REFUSED);
	/* All reasons are below it; kernels up to 6.12 know nothing of a number that was negated.
	 */
	_Static_assert(JPX_DROP_COUNT <= 64, "the mask");
	return jpx_drop(port_id, (__u32)-why & 63);
}

/* The key of the flow of a datagram that was admitted as A. */
static __always_inline void jpx_key_of(const struct jpx_admitted *a, __u32 port_id,
				       __u32 service_id, __u32 intercepted,
				       struct jpx_flow_key *key)
{
	__u32 kind = (a->where & JPX_WHERE_IPV4 ? JPX_FLOW_IPV4 : 0) |
		     (intercepted ? JPX_FLOW_INTERCEPTED : 0);
	__u64 *k = (__u64 *)key;

	k[0] = bpf_cpu_to_be64(a->pledge);
	k[1] = (__u64)a->udp_port | (__u64)(port_id & 0xff) << 16 |
	       (__u64)(service_id & 0xff) << 24 | (__u64)kind << 32;
}

#define JPX_FIRST_OF_FLOW (-1)

#define JPX_HOW_INTERCEPTED 1 /* to the Registrar itself */
#define JPX_HOW_OPENED	    2 /* its flow has just been opened: it is in jpx_newcomer */

/*
 * Pledge to Registrar.  F is a datagram to the join port of service SERVICE_ID on pledge port
 * PORT_ID, or as HOW says.  L2_LEN and IPV4 are of SERVICE; what depends on constants is worked
 * out by the compiler.  JPX_FIRST_OF_FLOW: nothing is done yet, the flow in jpx_newcomer is to be
 * opened first.  (Not from here: the frames of all functions in a row have 512 bytes.)
 */
static __always_inline int jpx_translate_frame(struct xdp_md *ctx, const struct jpx_frame *f,
					       const struct jpx_service *service, __u32 port_id,
					       __u32 service_id, __u32 how, __u32 l2_len,
					       __u32 ipv4)
{
	struct jpx_newcomer *newcomer;
	__u32 zero = 0, slot;
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	__u32 now = jpx_now();
	void *data, *p, *udp, *end;
	struct jpx_uplink *uplink;
	struct jpx_admitted a;
	struct jpx_flow_key key;
	struct jpx_flow *flow;
	int verdict, why, move;
	__u64 sum;

	if (!stats || !cfg)
		return XDP_PASS;
	verdict = jpx_admit(f, port_id, service, jpx_addr_sum(0, jpx_frame_dst(f)), &a);
	if (verdict >= 0)
		return verdict;
	why = jpx_service_takes(service, a.udp_len);
	if (why >= 0)
		return jpx_hand_off(port_id, why);
	jpx_key_of(&a, port_id, service_id, how & JPX_HOW_INTERCEPTED, &key);
	if (how & JPX_HOW_OPENED) {
		newcomer = bpf_map_lookup_elem(&jpx_newcomer, &zero);
		slot = newcomer ? (__u32)newcomer->slot : JPX_NO_SLOT;
		flow = jpx_flow_at(slot);
		if (flow && (!jpx_flow_has_key(flow, &key) || flow->state != JPX_FLOW_LIVE))
			flow = 0;
	} else {
		flow = jpx_flow_recall(cfg, service, &key, now);
	}
	if (!flow) {
		newcomer = bpf_map_lookup_elem(&jpx_newcomer, &zero);
		if (!newcomer)
			return XDP_PASS;
		newcomer->key = key;
		newcomer->mac = a.mac;
		return JPX_FIRST_OF_FLOW;
	}
	uplink = jpx_uplink_at(flow->uplink);
	if (!uplink)
		return jpx_hand_off(port_id, JPX_HANDOFF_NO_NEXT_HOP);

	move = (int)(f->l2_len + jpx_l3_len(f->ipv4)) - (int)(l2_len + jpx_l3_len(ipv4));
	/* 11 ns, not needed where all lengths stay. */
	if (move && bpf_xdp_adjust_head(ctx, move))
		return jpx_hand_off(port_id, JPX_HANDOFF_NO_HEADROOM);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	p = data + l2_len;
	udp = p + jpx_l3_len(ipv4);
	if (data + sizeof(service->l2) > end || p + jpx_l3_len(ipv4) > end ||
	    udp + JPX_UDP_HLEN > end)
		return XDP_DROP; /* cannot be: what there was is as long */
	sum = service->registrar_sum + (__u64)uplink->addr_sum + flow->uplink_port +
	      2ULL * bpf_htons((__u16)a.udp_len) + a.content_sum;
	jpx_udp_write(udp, flow->uplink_port, service->registrar_port, a.udp_len, sum);
	jpx_service_l2_write(data, service);
	jpx_ip_write(p, ipv4, a.udp_len, jpx_addr_mapped(uplink->addr, ipv4),
		     jpx_addr_mapped(service->registrar, ipv4));

	verdict = jpx_send(ctx, JPX_TX_SERVICE(service_id), service->bounce_ifindex, port_id);
	if (verdict == XDP_DROP)
		return verdict;
	jpx_flow_touch(flow, now);
	if (flow->mac != a.mac && a.mac)
		flow->mac = a.mac; /* one aligned word: a reader sees the old or the new one */
	flow->to_registrar++;
	jpx_count_to_registrar(stats, service_id, a.udp_len - JPX_UDP_HLEN);
	return verdict;
}

/* A frame of SHAPE. */
JPX_OUTLINE int jpx_translate(struct xdp_md *ctx, __u32 shape, __u32 port_id, __u32 service_id,
			      __u32 how)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_frame f;

	if (!ctx || !service || jpx_frame_from(ctx, shape, &f))
		return XDP_PASS;
	return jpx_translate_frame(ctx, &f, service, port_id, service_id, how, service->l2_len & 31,
				   jpx_decided(service->flags & JPX_SERVICE_IPV4));
}

/* A plain frame (parse.h), and a service with a plain link. */
JPX_OUTLINE int jpx_translate_plain(struct xdp_md *ctx, __u32 port_id, __u32 service_id, __u32 how)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_frame f;

	if (!ctx || !service || jpx_frame_from(ctx, JPX_SHAPE_PLAIN, &f))
		return XDP_PASS;
	return jpx_translate_frame(ctx, &f, service, port_id, service_id, how, ETH_HLEN, 0);
}

/* The flow that leaves from F's destination, which is UPLINK, and UDP port DPORT, live or
 * resting; or NULL. */
static __always_inline struct jpx_flow *jpx_flow_of(const struct jpx_flow_config *cfg,
						    const struct jpx_frame *f, __be16 dport,
						    struct jpx_uplink **uplink)
{
	struct jpx_addr dst = jpx_frame_dst(f);
	__u32 place = jpx_uplink_place(cfg, dst.hi, dst.lo);
	__u32 offset = bpf_ntohs(dport) - cfg->first_port, state;
	struct jpx_flow *flow;

	*uplink = jpx_uplink_at(place);
	if (!*uplink || !jpx_addr_is(dst, jpx_addr_mapped((*uplink)->addr, f->ipv4)) ||
	    offset >= cfg->port_count)
		return 0;
	flow = jpx_flow_at(place * cfg->port_count + offset);
	state = flow ? flow->state : JPX_FLOW_FREE;
	return state == JPX_FLOW_LIVE || state == JPX_FLOW_RESTING ? flow : 0;
}

/* Registrar to pledge.  F came to a UDP port that flows may leave from.  PLAIN, a constant: F is;
 * then the writing of an answer is there twice, once for each family. */
static __always_inline int jpx_translate_back_frame(struct xdp_md *ctx, const struct jpx_frame *f,
						    int plain)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	__u32 port_id, service_id, udp_len, now = jpx_now();
	struct jpx_answer a = {};
	struct jpx_service *service;
	struct jpx_uplink *uplink;
	struct jpx_stats *stats;
	struct jpx_port *port;
	struct jpx_flow *flow;
	int verdict, why;
	__u64 rest;

	if (!cfg)
		return XDP_PASS;
	flow = jpx_flow_of(cfg, f, jpx_load16(f->udp + 2), &uplink);
	if (!flow)
		return XDP_PASS;
	service_id = flow->key.service_id;
	port_id = flow->key.port_id;
	service = bpf_map_lookup_elem(&jpx_services, &service_id);
	if (!service || !jpx_is_from(f, service) || !jpx_link_matches(f, service))
		return XDP_PASS;
	if (jpx_load16(f->udp) != service->registrar_port)
		return flow->state == JPX_FLOW_LIVE ? jpx_drop(port_id, JPX_DROP_NOT_REGISTRAR)
						    : XDP_PASS;
	rest = service->registrar_sum + (__u64)uplink->addr_sum + jpx_load16(f->udp + 2);
	verdict = jpx_frame_check(f, port_id, rest, &udp_len, &a.content_sum);
	if (verdict >= 0)
		return verdict;
	if (flow->state != JPX_FLOW_LIVE || jpx_flow_is_over(cfg, flow->last, now))
		return jpx_drop(port_id, JPX_DROP_NO_FLOW);

	port = bpf_map_lookup_elem(&jpx_ports, &port_id);
	stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	if (!port || !stats || !(port->flags & JPX_PORT_IN_USE) ||
	    !(port->services >> (service_id & 63) & 1))
		return jpx_drop(port_id, JPX_DROP_UNKNOWN_PLEDGE_PORT);
	a.ipv4 = jpx_decided(flow->key.kind & JPX_FLOW_IPV4);
	a.pledge = bpf_be64_to_cpu(flow->key.pledge);
	a.content_len = udp_len - JPX_UDP_HLEN;
	why = jpx_port_takes(ctx, port, a.content_len, a.ipv4);
	if (why >= 0)
		return jpx_hand_off(port_id, why);
	a.mac = flow->mac;
	if (!a.mac && port->link == JPX_LINK_ETHERNET && !jpx_is_by_tc(port)) {
		/* The socket engine opened it, and knew no MAC. */
		if (a.ipv4 || !jpx_iid_is_eui64(a.pledge))
			return jpx_hand_off(port_id, JPX_HANDOFF_NO_PLEDGE_MAC);
		a.mac = jpx_iid_to_mac(a.pledge);
	}
	a.udp_port = flow->key.udp_port;
	a.from_registrar = !!(flow->key.kind & JPX_FLOW_INTERCEPTED);
	a.from_port = a.from_registrar ? service->registrar_port : service->join_port;
	if (plain && !a.ipv4) {
		a.ipv4 = 0;
		verdict = jpx_answer(ctx, f, port, port_id, service, &a, port->l2_len & 31);
	} else {
		verdict = jpx_answer(ctx, f, port, port_id, service, &a, port->l2_len & 31);
	}
	if (jpx_is_sent(verdict)) {
		jpx_flow_touch(flow, now);
		flow->to_pledge++;
		jpx_count_to_pledge(stats, service_id, a.content_len);
	}
	return jpx_verdict(verdict);
}

/* A frame of SHAPE. */
JPX_OUTLINE int jpx_translate_back(struct xdp_md *ctx, __u32 shape)
{
	struct jpx_frame f;

	if (!ctx || jpx_frame_from(ctx, shape, &f))
		return XDP_PASS;
	return jpx_translate_back_frame(ctx, &f, 0);
}

/* A plain frame. */
JPX_OUTLINE int jpx_translate_back_plain(struct xdp_md *ctx)
{
	struct jpx_frame f;

	if (!ctx || jpx_frame_from(ctx, JPX_SHAPE_PLAIN, &f))
		return XDP_PASS;
	return jpx_translate_back_frame(ctx, &f, 1);
}

#endif
