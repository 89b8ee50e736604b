/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pledge to Registrar, stateless: wrap into a JPY message, send.  Everything that
 * can refuse comes before the first byte of the packet changes.
 */
#ifndef JPX_BPF_WRAP_H
#define JPX_BPF_WRAP_H

#include "admit.h"
#include "jpy.h"

/* A frame of SHAPE is a datagram to the join port of service SERVICE_ID on pledge port PORT_ID. */
JPX_OUTLINE int jpx_wrap(struct xdp_md *ctx, __u32 shape, __u32 port_id, __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	__u32 content_len, new_len, l2_len, ipv4;
	void *data, *p, *udp, *end;
	struct jpx_frame frame, *f = &frame;
	struct jpx_admitted a;
	struct jpx_prefix x;
	int verdict, why;
	__u64 sum;

	if (!ctx || !stats || !service || jpx_frame_from(ctx, shape, f))
		return XDP_PASS;
	verdict = jpx_admit(f, port_id, service, &a);
	if (verdict >= 0)
		return verdict;
	content_len = a.udp_len - JPX_UDP_HLEN;
	why = JPX_HANDOFF_FORM;
	if (jpx_prefix_plan(&x, service->form, !!f->ipv4, a.pledge, bpf_ntohs(a.udp_port), port_id,
			    a.mac, content_len))
		goto hand_off;
	if (service->form != JPX_FORM_DRAFT21)
		/* The way back needs it: nothing in the header tells. */
		jpx_note_mac(a.pledge, a.mac, a.where, a.udp_port);
	new_len = a.udp_len + x.len;
	why = jpx_service_takes(service, new_len);
	if (why >= 0)
		goto hand_off;
	why = JPX_HANDOFF_NO_HEADROOM;
	l2_len = service->l2_len & 31;
	ipv4 = service->flags & JPX_SERVICE_IPV4;
	if (bpf_xdp_adjust_head(ctx, (int)(f->l2_len + jpx_l3_len(f->ipv4)) -
					     (int)(l2_len + jpx_l3_len(ipv4) + x.len)))
		goto hand_off;

	/* Write, back to front: what is too long is overwritten by what comes before it. */
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	p = data + l2_len;
	udp = p + jpx_l3_len(ipv4);
	if (data + sizeof(service->l2) > end || p + JPX_IP6_HLEN > end ||
	    udp + JPX_UDP_HLEN + 20 > end || jpx_prefix_write(&x, udp + JPX_UDP_HLEN, end))
		return XDP_DROP; /* cannot be: the frame has just grown by the prefix */
	sum = service->path_sum + 2ULL * bpf_htons((__u16)new_len) + x.sum +
	      jpx_csum_behind(a.content_sum, x.len);
	jpx_udp_write(udp, service->uplink_port, service->registrar_port, new_len, sum);
	jpx_service_l2_write(data, service);
	jpx_ip_write(p, ipv4, new_len, jpx_addr_mapped(service->uplink, ipv4),
		     jpx_addr_mapped(service->registrar, ipv4));

	verdict = jpx_send(ctx, JPX_TX_SERVICE(service_id), service->bounce_ifindex, port_id);
	if (verdict != XDP_DROP) {
		stats->to_registrar.packets++;
		stats->to_registrar.bytes += content_len;
	}
	return verdict;

hand_off:
	/* The socket engine sees no MAC; its draft-21 header must be the same as ours. */
	jpx_note_mac(a.pledge, a.mac, a.where, a.udp_port);
	return jpx_hand_off(port_id, why);
}

#endif
