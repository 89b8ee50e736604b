/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What codec.bpf.c is asked and what it answers, for both halves of the test:
 * includes <linux/types.h> only.
 */
#ifndef JPX_TESTS_CODEC_SHARED_H
#define JPX_TESTS_CODEC_SHARED_H

#include <linux/types.h>

#define CODEC_OFF  64		     /* bytes of the packet before the prefix or the message */
#define CODEC_ROOM (CODEC_OFF + 100) /* a packet to write into */

/* One prefix to be written, or (the form alone) one message to be read. */
struct codec_ask {
	__u64 id, mac;
	__u32 form, v4, port_id, content_len;
	__u16 udp_port;
};

struct codec_written {
	__u64 sum;
	__s32 plan, write; /* what the two functions returned */
	__u32 len;
};

/* What one gear says: VERDICT is 0, or as jpx_unwrap_slow() gives it. */
struct codec_read {
	__u64 iid, mac, prefix_sum;
	__s32 verdict;
	__u32 prefix_len, content_len;
	__u16 udp_port, port_id;
	__u8 v4;
};

#endif
