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

/* The first gear: 1 and U filled if the message of LEN bytes at P is as this proxy writes it. */
static __always_inline int jpx_unwrap_known(void *p, void *end, __u32 len, __u32 form,
					    struct jpx_unwrapped *u)
{
	switch (form) {
	case JPX_FORM_DRAFT21:
		return jpx_unwrap_h21(p, end, len, u);
	case JPX_FORM_DRAFT02:
		return jpx_unwrap_five(p, end, len, jpx_form_family(JPX_FORM_DRAFT02), u);
	case JPX_FORM_DRAFT06:
		return jpx_unwrap_five(p, end, len, jpx_form_family(JPX_FORM_DRAFT06), u);
	default:
		return 0;
	}
}

/* The same, OFF bytes into the frame.  A function of its own, so that the verifier does not
 * carry each of the many ways through a message on into what follows. */
JPX_OUTLINE int jpx_unwrap_read(struct xdp_md *ctx, __u32 off, __u32 len, __u32 form,
				struct jpx_unwrapped *u)
{
	if (!ctx || !u)
		return 0;
	return jpx_unwrap_known((void *)(long)ctx->data + (off & 127), (void *)(long)ctx->data_end,
				len, form, u);
}

/* Ours only if both ends are exactly the service's. */
static __always_inline int jpx_unwrap_is_ours(const struct jpx_frame *f,
					      const struct jpx_service *service)
{
	return jpx_is_path(f, service) && jpx_load16(f->udp) == service->registrar_port &&
	       jpx_link_matches(f, service);
}

/* The pledge port that U names, if it serves service SERVICE_ID; or NULL. */
static __always_inline struct jpx_port *jpx_unwrap_port(const struct jpx_unwrapped *u,
							__u32 service_id)
{
	__u32 port_id = u->port_id;
	struct jpx_port *port = bpf_map_lookup_elem(&jpx_ports, &port_id);

	return port && port->flags & JPX_PORT_IN_USE && port->services >> (service_id & 63) & 1
		       ? port
		       : 0;
}

/*
 * F holds what U tells, for PORT, which has link headers of L2_LEN bytes; CONTENT_SUM is of the
 * whole message.  V4: what U has of it, decided.
 */
static __always_inline int jpx_unwrap_frame(struct xdp_md *ctx, const struct jpx_frame *f,
					    const struct jpx_service *service, __u32 service_id,
					    const struct jpx_port *port,
					    const struct jpx_unwrapped *u, __u64 content_sum,
					    __u32 l2_len, __u32 v4)
{
	__u32 port_id = u->port_id;
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	struct jpx_answer a = {};
	int verdict, why;

	if (!stats)
		return XDP_PASS;
	why = jpx_port_takes(ctx, port, u->content_len, v4);
	if (why >= 0)
		return jpx_hand_off(port_id, why);
	if (port->link == JPX_LINK_ETHERNET && !jpx_is_by_tc(port)) {
		a.mac = u->mac ? u->mac
			       : jpx_find_mac(u->iid, port_id | (v4 ? JPX_WHERE_IPV4 : 0),
					      bpf_htons(u->udp_port));
		if (!a.mac)
			return jpx_hand_off(port_id, JPX_HANDOFF_NO_PLEDGE_MAC);
	}

	/* What the content contributes without the prefix in front of it. */
	a.content_sum = jpx_csum_behind(jpx_csum_less(content_sum, u->prefix_sum), u->prefix_len);
	a.pledge = u->iid;
	a.ipv4 = v4;
	a.content_len = u->content_len;
	a.skip = u->prefix_len;
	a.udp_port = bpf_htons(u->udp_port);
	a.from_port = service->join_port;
	verdict = jpx_answer(ctx, f, port, port_id, service, &a, l2_len);
	if (jpx_is_sent(verdict))
		jpx_count_to_pledge(stats, service_id, u->content_len);
	return jpx_verdict(verdict);
}

/* A frame of SHAPE came to the uplink port of service SERVICE_ID. */
JPX_OUTLINE int jpx_unwrap(struct xdp_md *ctx, __u32 shape, __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_unwrapped u = {};
	struct jpx_port *port;
	struct jpx_frame f;
	__u64 content_sum;
	int verdict, why = JPX_RELAY;
	__u32 udp_len, off;

	if (!ctx || !service || jpx_frame_from(ctx, shape, &f) || !jpx_unwrap_is_ours(&f, service))
		return XDP_PASS;
	verdict = jpx_frame_check(&f, 0, service->path_sum, &udp_len, &content_sum);
	if (verdict >= 0)
		return verdict;

	/* Whom is it for? */
	if (service->form == JPX_FORM_DRAFT01)
		return jpx_hand_off(0, JPX_HANDOFF_FORM);
	off = f.l2_len + jpx_l3_len(f.ipv4) + JPX_UDP_HLEN;
	if (!jpx_unwrap_read(ctx, off, udp_len - JPX_UDP_HLEN, service->form, &u))
		why = jpx_unwrap_slow(ctx, off, udp_len - JPX_UDP_HLEN, service->form, &u);
	if (why == JPX_UNWRAP_HAND_OFF)
		return jpx_hand_off(0, JPX_HANDOFF_ENCODING);
	if (why != JPX_RELAY)
		return jpx_drop(0, (__u32)why);
	port = jpx_unwrap_port(&u, service_id);
	if (!port)
		return jpx_drop(0, JPX_DROP_UNKNOWN_PLEDGE_PORT);
	return jpx_unwrap_frame(ctx, &f, service, service_id, port, &u, content_sum,
				port->l2_len & 31, jpx_decided(u.v4));
}

/* The same for a plain frame; what is not plain enough goes to the function above. */
static __always_inline int jpx_unwrap_plain(struct xdp_md *ctx, const struct jpx_frame *f,
					    __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_unwrapped u = {};
	struct jpx_port *port;
	__u64 content_sum;
	__u32 udp_len;
	int verdict, known;

	if (!service || !jpx_unwrap_is_ours(f, service))
		return XDP_PASS;
	verdict = jpx_frame_check(f, 0, service->path_sum, &udp_len, &content_sum);
	if (verdict >= 0)
		return verdict;
	known = jpx_unwrap_known(f->udp + JPX_UDP_HLEN, f->end, udp_len - JPX_UDP_HLEN,
				 service->form, &u);
	port = known && !u.v4 ? jpx_unwrap_port(&u, service_id) : 0;
	if (!port)
		return jpx_unwrap(ctx, jpx_frame_shape(f), service_id);
	return jpx_unwrap_frame(ctx, f, service, service_id, port, &u, content_sum,
				port->l2_len & 31, 0);
}

#endif
