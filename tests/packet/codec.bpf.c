/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF half of the JPY codec alone, one prefix or one message a run, for the
 * packet tests.  The codec comes in as it is, by inclusion; of the maps that come
 * with it only its own is made.
 */
#include <linux/in.h>

/* Its headers bring more than it needs. */
#pragma clang diagnostic ignored "-Wunused-function"
#include "../../bpf/jpy.h"

#include "codec_shared.h"

struct codec_ask codec_ask;
struct codec_written codec_written;
struct codec_read codec_first, codec_second; /* by gear */

/* Writes the prefix at CODEC_OFF of a packet of CODEC_ROOM bytes. */
SEC("xdp")
int codec_write(struct xdp_md *ctx)
{
	void *start = (void *)(long)ctx->data + CODEC_OFF;
	void *end = (void *)(long)ctx->data_end;
	struct jpx_prefix x;

	codec_written.plan =
		jpx_prefix_plan(&x, codec_ask.form, codec_ask.v4, codec_ask.id, codec_ask.udp_port,
				codec_ask.port_id, codec_ask.mac, codec_ask.content_len);
	codec_written.write = -1;
	if (codec_written.plan || start + 20 > end)
		return XDP_PASS;
	codec_written.len = x.len;
	codec_written.sum = x.sum;
	codec_written.write = jpx_prefix_write(&x, start, end);
	return XDP_PASS;
}

static __always_inline void codec_note(struct codec_read *r, int verdict,
				       const struct jpx_unwrapped *u)
{
	r->verdict = verdict;
	r->iid = u->iid;
	r->mac = u->mac;
	r->prefix_sum = u->prefix_sum;
	r->prefix_len = u->prefix_len;
	r->content_len = u->content_len;
	r->udp_port = u->udp_port;
	r->port_id = u->port_id;
	r->v4 = u->v4;
}

/* Reads the message from CODEC_OFF to the end of the packet, in both gears. */
SEC("xdp")
int codec_read(struct xdp_md *ctx)
{
	void *p = (void *)(long)ctx->data + CODEC_OFF;
	void *end = (void *)(long)ctx->data_end;
	struct jpx_unwrapped u = {};
	__u32 len, form = codec_ask.form;
	int known, verdict;

	if (p > end)
		return XDP_DROP;
	len = (__u32)(end - p);
	u.v4 = 0xee; /* must be said by whoever knows the message */
	if (form == JPX_FORM_DRAFT21)
		known = jpx_unwrap_h21(p, end, len, &u);
	else if (form == JPX_FORM_DRAFT02)
		known = jpx_unwrap_five(p, end, len, jpx_form_family(JPX_FORM_DRAFT02), &u);
	else
		known = jpx_unwrap_five(p, end, len, jpx_form_family(JPX_FORM_DRAFT06), &u);
	codec_note(&codec_first, known ? JPX_RELAY : JPX_UNWRAP_HAND_OFF, &u);

	u = (struct jpx_unwrapped){};
	u.v4 = 0xee;
	verdict = jpx_unwrap_slow(ctx, CODEC_OFF, len, form, &u);
	codec_note(&codec_second, verdict, &u);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
