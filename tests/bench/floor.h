/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The floor that relaying is measured against, one for all benchmarks: new MAC
 * addresses, out of the other interface.  It must do nothing else.  For BPF only.
 */
#ifndef JPX_BENCH_FLOOR_H
#define JPX_BENCH_FLOOR_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Sends the frame of CTX out by entry KEY of the devmap DEVMAP.  MACS: destination and source, 12 bytes
 * of an object of 16, aligned to 8.
 */
static __always_inline int bench_redirect(struct xdp_md *ctx, const volatile __u8 *macs,
					  void *devmap, __u32 key)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (data + 14 > end)
		return XDP_DROP;
	*(__u64 *)data = *(const volatile __u64 *)macs;
	*(__u32 *)(data + 8) = *(const volatile __u32 *)(macs + 8);
	return bpf_redirect_map(devmap, key, XDP_DROP);
}

#endif
