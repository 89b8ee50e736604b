/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pledge to Registrar, stateless: wrap into a JPY message, send.  Everything that
 * can refuse comes before the first byte of the packet changes.
 */
#ifndef JPX_BPF_WRAP_H
#define JPX_BPF_WRAP_H

#include "admit.h"
#include "jpy.h"

/*
 * F is a datagram to the join port of service SERVICE_ID on pledge port PORT_ID.  L2_LEN and IPV4:
 * what SERVICE has of these; where they are constants all that depends on them is worked out by
 * the compiler.
 */
static __always_inline int jpx_wrap_frame(struct xdp_md *ctx, const struct jpx_frame *f,
					  const struct jpx_service *service, __u32 port_id,
					  __u32 service_id, __u64 dst_sum, __u32 l2_len, __u32 ipv4)
{
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	__u32 content_len, new_len;
	void *data, *p, *udp, *end;
	struct jpx_admitted a;
	struct jpx_prefix x;
	int verdict, why;
	__u64 sum;

	if (!stats)
		return XDP_PASS;
	verdict = jpx_admit(f, port_id, service, dst_sum, &a);
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
	if (bpf_xdp_adjust_head(ctx, (int)(f->l2_len + jpx_l3_len(f->ipv4)) -
					     (int)(l2_len + jpx_l3_len(ipv4) + x.len)))
		goto hand_off;

	/* Write, back to front: what is too long is overwritten by what comes before it. */
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	p = data + l2_len;
	udp = p + jpx_l3_len(ipv4);
	if (data + sizeof(service->l2) > end || p + jpx_l3_len(ipv4) > end ||
	    udp + JPX_UDP_HLEN > end || jpx_prefix_write(&x, udp + JPX_UDP_HLEN, end))
		return XDP_DROP; /* cannot be: the frame has just grown by the prefix */
	sum = service->path_sum + 2ULL * bpf_htons((__u16)new_len) + x.sum +
	      jpx_csum_behind(a.content_sum, x.len);
	jpx_udp_write(udp, service->uplink_port, service->registrar_port, new_len, sum);
	jpx_service_l2_write(data, service);
	jpx_ip_write(p, ipv4, new_len, jpx_addr_mapped(service->uplink, ipv4),
		     jpx_addr_mapped(service->registrar, ipv4));

	verdict = jpx_send(ctx, JPX_TX_SERVICE(service_id), service->bounce_ifindex, port_id);
	if (verdict != XDP_DROP)
		jpx_count_to_registrar(stats, service_id, content_len);
	return verdict;

hand_off:
	/* The socket engine sees no MAC; its draft-21 header must be the same as ours. */
	jpx_note_mac(a.pledge, a.mac, a.where, a.udp_port);
	return jpx_hand_off(port_id, why);
}

/* The same for a frame of SHAPE. */
JPX_OUTLINE int jpx_wrap(struct xdp_md *ctx, __u32 shape, __u32 port_id, __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_frame f;

	if (!ctx || !service || jpx_frame_from(ctx, shape, &f))
		return XDP_PASS;
	return jpx_wrap_frame(ctx, &f, service, port_id, service_id,
			      jpx_addr_sum(0, jpx_frame_dst(&f)), service->l2_len & 31,
			      jpx_decided(service->flags & JPX_SERVICE_IPV4));
}

#endif
