/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pledge to Registrar: admit, wrap into a JPY message, send.  Everything that
 * can refuse comes before the first byte of the packet changes.
 */
#ifndef JPX_BPF_WRAP_H
#define JPX_BPF_WRAP_H

#include "frame.h"
#include "jpy.h"
#include "macs.h"

/* F is a datagram to PORT's link-local address and the join port of service SERVICE_ID. */
static __always_inline int jpx_wrap(struct xdp_md *ctx, enum jpx_link link,
				    const struct jpx_frame *f, struct jpx_port *port, __u32 port_id,
				    __u32 service_id)
{
	struct jpx_service *service = bpf_map_lookup_elem(&jpx_services, &service_id);
	struct jpx_stats *stats = bpf_map_lookup_elem(&jpx_stats, &port_id);
	__u32 udp_len, content_len, prefix_len, new_len, front, form, l2_len;
	__u64 src_hi, src_lo, iid, mac = 0, sum, content_sum;
	__be32 udp_ports = jpx_load32(f->udp);
	__be16 src_port = jpx_load16(f->udp);
	struct jpx_tail tail = {};
	void *data, *p, *end, *content;
	enum jpx_handoff why;
	int verdict;

	if (!service || !stats || !(service->flags & JPX_SERVICE_IN_USE))
		return XDP_PASS;

	/* Admit. */
	src_hi = jpx_load64(f->ip6 + 8);
	src_lo = jpx_load64(f->ip6 + 16);
	iid = bpf_be64_to_cpu(src_lo);
	if (!jpx_is_link_local(bpf_be64_to_cpu(src_hi), iid))
		return jpx_drop(port_id, JPX_DROP_SRC_NOT_LINK_LOCAL);
	if (src_port == 0)
		return jpx_drop(port_id, JPX_DROP_SRC_PORT_ZERO);
	if (link == JPX_LINK_ETHERNET)
		mac = jpx_eth_source(f->eth);
	sum = jpx_csum_add64(jpx_csum_add64(port->addr_sum, src_hi), src_lo);
	verdict = jpx_frame_check(f, port_id, sum + bpf_htons(IPPROTO_UDP) + udp_ports, &udp_len,
				  &content_sum);
	if (verdict == XDP_PASS)
		jpx_note_mac(iid, mac, port_id, src_port);
	if (verdict >= 0)
		return verdict;
	content_len = udp_len - JPX_UDP_HLEN;
	if (!(service->flags & JPX_SERVICE_ANY_CONTENT)) {
		const __u8 *b = f->udp + JPX_UDP_HLEN;

		if ((void *)b + 3 > f->end) {
			/* One or two bytes: only a DTLS 1.3 record could begin so. */
			if ((void *)b + 1 > f->end || !jpx_is_dtls(1, b[0], 0, 0))
				return jpx_drop(port_id, JPX_DROP_NOT_DTLS);
		} else if (!jpx_is_dtls(3, b[0], b[1], b[2])) {
			return jpx_drop(port_id, JPX_DROP_NOT_DTLS);
		}
	}

	/* Lay the prefix out. */
	form = service->form;
	if (form == JPX_FORM_DRAFT21) {
		front = JPX_FRONT_H21;
		jpx_tail_content(&tail, content_len);
	} else if (form == JPX_FORM_DRAFT02 || form == JPX_FORM_DRAFT06) {
		front = JPX_FRONT_FIVE;
		jpx_tail_five(&tail, bpf_ntohs(src_port),
			      form == JPX_FORM_DRAFT02 ? jpx_form_family(JPX_FORM_DRAFT02)
						       : jpx_form_family(JPX_FORM_DRAFT06),
			      port_id, content_len);
		/* The way back needs it: nothing in the header tells. */
		jpx_note_mac(iid, mac, port_id, src_port);
	} else {
		why = JPX_HANDOFF_FORM;
		goto hand_off;
	}
	prefix_len = (front + tail.len) & 31;
	new_len = udp_len + prefix_len;
	why = JPX_HANDOFF_NO_NEXT_HOP;
	if (!(service->flags & JPX_SERVICE_READY))
		goto hand_off;
	why = JPX_HANDOFF_NO_TRANSMIT;
	if (service->flags & JPX_SERVICE_NO_TRANSMIT)
		goto hand_off;
	why = JPX_HANDOFF_OVER_MTU;
	if (new_len + JPX_IP6_HLEN > service->mtu)
		goto hand_off;
	why = JPX_HANDOFF_NO_HEADROOM;
	l2_len = service->l2_len & 31;
	if (bpf_xdp_adjust_head(ctx, (int)f->l2_len - (int)l2_len - (int)prefix_len))
		goto hand_off;

	/* Write, back to front: what is too long is overwritten by what comes before it. */
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	p = data + l2_len;
	content = p + prefix_len;
	if (data + sizeof(service->l2) > end || p + JPX_IP6_HLEN + JPX_UDP_HLEN + 20 > end ||
	    content + JPX_IP6_HLEN + JPX_UDP_HLEN > end)
		return XDP_DROP; /* cannot be: the frame has just grown by the prefix */
	content += JPX_IP6_HLEN + JPX_UDP_HLEN;
	jpx_store8(content - 9, 0x19);
	jpx_store64(content - 8, bpf_cpu_to_be64(tail.low));
	sum = service->path_sum + 2ULL * bpf_htons(new_len) + tail.sum;
	if (form == JPX_FORM_DRAFT21) {
		__u64 h0 = (0x8240ULL | JPX_H21_LEN) << 48 | (__u64)JPX_H21_VERSION << 40 |
			   (__u64)port_id << 32 | (__u64)bpf_ntohs(src_port) << 16 | iid >> 48;
		__u64 h1 = iid << 16 | mac >> 32;
		__u32 h2 = (__u32)mac;

		h0 = bpf_cpu_to_be64(h0);
		h1 = bpf_cpu_to_be64(h1);
		h2 = bpf_htonl(h2);
		jpx_store64(p + 48, h0);
		jpx_store64(p + 56, h1);
		jpx_store32(p + 64, h2);
		sum = jpx_csum_add64(jpx_csum_add64(sum, h0), h1) + h2;
	} else {
		jpx_store16(p + 48, bpf_htons(0x8550));
		jpx_store64(p + 50, src_hi);
		jpx_store64(p + 58, src_lo);
		sum = jpx_csum_add64(jpx_csum_add64(sum, src_hi), src_lo) + bpf_htons(0x8550);
	}
	sum += jpx_csum_behind(content_sum, prefix_len);
	jpx_store32(p + 40, (__u32)service->registrar_port << 16 | service->uplink_port);
	jpx_store16(p + 44, bpf_htons(new_len));
	jpx_store16(p + 46, jpx_csum_finish(sum));
	{
		const __u64 *src = (const __u64 *)service->uplink;
		const __u64 *dst = (const __u64 *)service->registrar;
		const __u64 *l2 = (const __u64 *)service->l2;
		__u64 src0 = src[0], src1 = src[1], dst0 = dst[0], dst1 = dst[1];

		jpx_store64(data, l2[0]);
		jpx_store64(data + 8, l2[1]);
		jpx_store64(data + 16, l2[2]);
		jpx_store64(p, jpx_ip6_first(new_len));
		jpx_store64(p + 8, src0);
		jpx_store64(p + 16, src1);
		jpx_store64(p + 24, dst0);
		jpx_store64(p + 32, dst1);
	}

	verdict = XDP_TX;
	if (service->bounce_ifindex != ctx->ingress_ifindex)
		verdict = bpf_redirect_map(&jpx_tx, JPX_TX_SERVICE(service_id), XDP_DROP);
	if (verdict == XDP_DROP)
		return jpx_drop(port_id, JPX_DROP_SEND_FAILED);
	stats->to_registrar.packets++;
	stats->to_registrar.bytes += content_len;
	return verdict;

hand_off:
	/* The socket engine sees no MAC; its draft-21 header must be the same as ours. */
	jpx_note_mac(iid, mac, port_id, src_port);
	return jpx_hand_off(port_id, why);
}

#endif
