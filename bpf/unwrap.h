/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrar to pledge, stateless: only what comes from a service's very address
 * and port is looked at; its header must name a pledge behind one of our ports, or
 * it is dropped with a reason.  Everything that can refuse comes before the first
 * byte of the packet changes.
 */
#ifndef JPX_BPF_UNWRAP_H
#define JPX_BPF_UNWRAP_H

#include "answer.h"
#include "jpy.h"

/* Does F go from the Registrar of SERVICE, in use, to the proxy's address towards it? */
static __always_inline int jpx_is_path(const struct jpx_frame *f, const struct jpx_service *service)
{
	return jpx_is_from(f, service) &&
	       jpx_addr_is(jpx_frame_dst(f), jpx_addr_mapped(service->uplink, f->ipv4));
}

/*
 * Whom the message of LEN bytes, OFF bytes into the frame, is for.  JPX_RELAY and U filled,
 * JPX_UNWRAP_HAND_OFF, or the reason to drop.  A function of its own, so that the verifier does
 * not carry each of the many ways through a message on into what follows.
 */
JPX_OUTLINE int jpx_unwrap_read(struct xdp_md *ctx, __u32 off, __u32 len, __u32 form,
				struct jpx_unwrapped *u)
{
	void *p, *end;
	int known;

	if (!ctx || !u)
		return JPX_DROP_JPY_MALFORMED;
	end = (void *)(long)ctx->data_end;
	p = (void *)(long)ctx->data + (off & 127);
	if (form == JPX_FORM_DRAFT21)
		known = jpx_unwrap_h21(p, end, len, u);
	else
		known = jpx_unwrap_five(p, end, len,
					form == JPX_FORM_DRAFT02
						? jpx_form_family(JPX_FORM_DRAFT02)
						: jpx_form_family(JPX_FORM_DRAFT06),
					u);
	return known ? JPX_RELAY : jpx_unwrap_slow(ctx, off, len, form, u);
}

/* A frame of SHAPE came to the uplink port of service SERVICE_ID. */
JPX_OUTLINE int jpx_unwrap(struct xdp_md *ctx, __u32 shape, __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_unwrapped u = {};
	struct jpx_answer a = {};
	__u32 udp_len, port_id;
	struct jpx_stats *stats;
	struct jpx_port *port;
	struct jpx_frame frame, *f = &frame;
	int verdict, why;

	/* Ours only if both ends are exactly the service's. */
	if (!ctx || jpx_frame_from(ctx, shape, f) || !service || !jpx_is_path(f, service) ||
	    jpx_load16(f->udp) != service->registrar_port || !jpx_link_matches(f, service))
		return XDP_PASS;

	verdict = jpx_frame_check(f, 0, service->path_sum, &udp_len, &a.content_sum);
	if (verdict >= 0)
		return verdict;

	/* Whom is it for? */
	if (service->form == JPX_FORM_DRAFT01)
		return jpx_hand_off(0, JPX_HANDOFF_FORM);
	why = jpx_unwrap_read(ctx, f->l2_len + jpx_l3_len(f->ipv4) + JPX_UDP_HLEN,
			      udp_len - JPX_UDP_HLEN, service->form, &u);
	if (why == JPX_UNWRAP_HAND_OFF)
		return jpx_hand_off(0, JPX_HANDOFF_ENCODING);
	if (why != JPX_RELAY)
		return jpx_drop(0, (__u32)why);
	port_id = u.port_id;
	port = bpf_map_lookup_elem(&jpx_ports, &port_id);
	stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	if (!port || !stats || !(port->flags & JPX_PORT_IN_USE) ||
	    !(port->services >> (service_id & 63) & 1))
		return jpx_drop(0, JPX_DROP_UNKNOWN_PLEDGE_PORT);
	why = jpx_port_takes(port, u.content_len, u.v4);
	if (why >= 0)
		return jpx_hand_off(port_id, why);
	if (port->link == JPX_LINK_ETHERNET) {
		a.mac = u.mac ? u.mac
			      : jpx_find_mac(u.iid, port_id | (u.v4 ? JPX_WHERE_IPV4 : 0),
					     bpf_htons(u.udp_port));
		if (!a.mac)
			return jpx_hand_off(port_id, JPX_HANDOFF_NO_PLEDGE_MAC);
	}

	/* What the content contributes without the prefix in front of it. */
	a.content_sum = jpx_csum_behind(jpx_csum_less(a.content_sum, u.prefix_sum), u.prefix_len);
	a.pledge = u.iid;
	a.ipv4 = u.v4;
	a.content_len = u.content_len;
	a.skip = u.prefix_len;
	a.udp_port = bpf_htons(u.udp_port);
	a.from_port = service->join_port;
	verdict = jpx_answer(ctx, f, port, port_id, service, &a);
	if (verdict == XDP_TX || verdict == XDP_REDIRECT) {
		stats->to_pledge.packets++;
		stats->to_pledge.bytes += u.content_len;
	}
	return verdict;
}

#endif
