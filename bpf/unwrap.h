/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrar to pledge: only what comes from a service's very address and port
 * is looked at; its header must name a pledge behind one of our ports, or it is
 * dropped with a reason.  Everything that can refuse comes before the first
 * byte of the packet changes.
 */
#ifndef JPX_BPF_UNWRAP_H
#define JPX_BPF_UNWRAP_H

#include "frame.h"
#include "jpy.h"
#include "macs.h"

/* Is this frame tagged as the service's own link header is? */
static __always_inline int jpx_tags_match(const struct jpx_frame *f,
					  const struct jpx_service *service)
{
	if (f->l2_len != service->l2_len)
		return 0;
	if (f->l2_len >= ETH_HLEN + JPX_VLAN_HLEN &&
	    (f->outer_proto != *(const __be16 *)(service->l2 + 12) ||
	     f->outer_vid != (*(const __be16 *)(service->l2 + 14) & JPX_VID_MASK)))
		return 0;
	return f->l2_len < ETH_HLEN + 2 * JPX_VLAN_HLEN ||
	       f->inner_vid == (*(const __be16 *)(service->l2 + 18) & JPX_VID_MASK);
}

/* Does F go from the Registrar of SERVICE, in use, to the proxy's address towards it? */
static __always_inline int jpx_is_path(const struct jpx_frame *f, const struct jpx_service *service)
{
	return service->flags & JPX_SERVICE_IN_USE &&
	       jpx_load64(f->ip6 + 8) == *(const __u64 *)service->registrar &&
	       jpx_load64(f->ip6 + 16) == *(const __u64 *)(service->registrar + 8) &&
	       jpx_load64(f->ip6 + 24) == *(const __u64 *)service->uplink &&
	       jpx_load64(f->ip6 + 32) == *(const __u64 *)(service->uplink + 8);
}

/* F came to the uplink port of service SERVICE_ID. */
static __always_inline int jpx_unwrap(struct xdp_md *ctx, enum jpx_link link,
				      const struct jpx_frame *f, __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	__u32 udp_len, new_len, port_id, l2_len, form;
	struct jpx_unwrapped u = {};
	__u64 sum, content_sum, mac = 0, dst_lo;
	struct jpx_stats *stats;
	struct jpx_port *port;
	int verdict, known;
	void *p, *end;

	/* Ours only if both ends are exactly the service's. */
	if (!service || !jpx_is_path(f, service) || jpx_load16(f->udp) != service->registrar_port)
		return XDP_PASS;
	if (link == JPX_LINK_ETHERNET &&
	    (!jpx_tags_match(f, service) ||
	     jpx_load32(f->eth) != *(const __u32 *)(service->l2 + 6) ||
	     jpx_load16(f->eth + 4) != *(const __u16 *)(service->l2 + 10)))
		return XDP_PASS;

	verdict = jpx_frame_check(f, 0, service->path_sum, &udp_len, &content_sum);
	if (verdict >= 0)
		return verdict;

	/* Whom is it for? */
	p = f->udp + JPX_UDP_HLEN;
	form = service->form;
	if (form == JPX_FORM_DRAFT21)
		known = jpx_unwrap_h21(p, f->end, udp_len - JPX_UDP_HLEN, &u);
	else if (form == JPX_FORM_DRAFT02)
		known = jpx_unwrap_five(p, f->end, udp_len - JPX_UDP_HLEN,
					jpx_form_family(JPX_FORM_DRAFT02), &u);
	else if (form == JPX_FORM_DRAFT06)
		known = jpx_unwrap_five(p, f->end, udp_len - JPX_UDP_HLEN,
					jpx_form_family(JPX_FORM_DRAFT06), &u);
	else
		return jpx_hand_off(0, JPX_HANDOFF_FORM);
	if (!known) {
		verdict = jpx_unwrap_slow(ctx, f->l2_len + JPX_IP6_HLEN + JPX_UDP_HLEN,
					  udp_len - JPX_UDP_HLEN, form, &u);
		if (verdict == JPX_UNWRAP_HAND_OFF)
			return jpx_hand_off(0, JPX_HANDOFF_ENCODING);
		if (verdict != JPX_RELAY)
			return jpx_drop(0, verdict);
	}
	port_id = u.port_id;
	port = bpf_map_lookup_elem(&jpx_ports, &port_id);
	stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	if (!port || !stats || !(port->flags & JPX_PORT_IN_USE) ||
	    !(port->services >> (service_id & 63) & 1))
		return jpx_drop(0, JPX_DROP_UNKNOWN_PLEDGE_PORT);
	if (!(port->flags & JPX_PORT_READY) || port->flags & JPX_PORT_NO_TRANSMIT)
		return jpx_hand_off(port_id, JPX_HANDOFF_NO_TRANSMIT);
	new_len = u.content_len + JPX_UDP_HLEN;
	if (new_len + JPX_IP6_HLEN > port->mtu)
		return jpx_hand_off(port_id, JPX_HANDOFF_OVER_MTU);
	if (port->link == JPX_LINK_ETHERNET) {
		mac = u.mac ? u.mac : jpx_find_mac(u.iid, u.port_id, bpf_htons(u.udp_port));
		if (!mac)
			return jpx_hand_off(port_id, JPX_HANDOFF_NO_PLEDGE_MAC);
	}

	/* What the content contributes without the prefix in front of it. */
	content_sum = jpx_csum_behind(jpx_csum_less(content_sum, u.prefix_sum), u.prefix_len);

	l2_len = port->l2_len & 31;
	if (bpf_xdp_adjust_head(ctx, (int)(f->l2_len + u.prefix_len) - (int)l2_len))
		return jpx_hand_off(port_id, JPX_HANDOFF_NO_HEADROOM);

	p = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (p + 24 > end)
		return XDP_DROP; /* cannot be: 48 bytes of headers were read behind it */
	if (port->link == JPX_LINK_ETHERNET) {
		/* Longest first; the IPv6 header overwrites what is too much. */
		jpx_store64(p,
			    bpf_cpu_to_be64(mac << 16) | (__u64) * (const __u16 *)port->mac << 48);
		jpx_store32(p + 8, *(const __u32 *)(port->mac + 2));
		jpx_store32(p + 12, *(const __u32 *)port->l2_type);
		jpx_store32(p + 16, *(const __u32 *)(port->l2_type + 2));
		jpx_store16(p + 20, port->l2_type[4]);
	}
	p += l2_len;
	if (p + JPX_IP6_HLEN + JPX_UDP_HLEN > end)
		return XDP_DROP; /* cannot be, as above */
	dst_lo = bpf_cpu_to_be64(u.iid);
	sum = jpx_csum_add64(port->addr_sum, bpf_cpu_to_be64(0xfe80000000000000ULL));
	sum = jpx_csum_add64(sum, dst_lo);
	sum += bpf_htons(IPPROTO_UDP) + 2ULL * bpf_htons(new_len);
	sum += service->join_port + bpf_htons(u.udp_port) + content_sum;
	jpx_store64(p, jpx_ip6_first(new_len));
	jpx_store64(p + 8, *(const __u64 *)port->addr);
	jpx_store64(p + 16, *(const __u64 *)(port->addr + 8));
	jpx_store64(p + 24, bpf_cpu_to_be64(0xfe80000000000000ULL));
	jpx_store64(p + 32, dst_lo);
	jpx_store32(p + 40, (__u32)bpf_htons(u.udp_port) << 16 | service->join_port);
	jpx_store16(p + 44, bpf_htons(new_len));
	jpx_store16(p + 46, jpx_csum_finish(sum));

	verdict = XDP_TX;
	if (port->bounce_ifindex != ctx->ingress_ifindex)
		verdict = bpf_redirect_map(&jpx_tx, JPX_TX_PORT(port_id), XDP_DROP);
	if (verdict == XDP_DROP)
		return jpx_drop(port_id, JPX_DROP_SEND_FAILED);
	stats->to_pledge.packets++;
	stats->to_pledge.bytes += u.content_len;
	return verdict;
}

#endif
