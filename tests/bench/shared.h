/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What bench.bpf.c and the runner share: how many flows there are, and how much
 * of each frame is written by the generator and compared at the far end.
 * Compiled for both halves: includes <linux/types.h> only.
 */
#ifndef JPX_BENCH_SHARED_H
#define JPX_BENCH_SHARED_H

#include <linux/types.h>

#define BENCH_FLOWS	64 /* a power of two: pledges that take turns, packet by packet */
#define BENCH_WORDS	15 /* 64-bit words of each frame that are written and compared: */
#define BENCH_HEAD	(BENCH_WORDS * 8) /* all headers, the JPY prefix, the content's tag */
#define BENCH_FRAME_MAX 2048
#define BENCH_SAMPLES	128

struct bench_flow {
	__u64 sent[BENCH_WORDS];
	__u64 want[BENCH_WORDS];
};

struct bench_sample {
	__u32 len;
	__u8 data[BENCH_FRAME_MAX];
};

/* What a run needs to know; set by the runner. */
struct bench_plan {
	struct bench_flow flows[BENCH_FLOWS];
	__u32 want_len;
	__u32 tag_off;	  /* of the flow's number in a frame that arrives */
	__s32 undo;	  /* head movement that takes the frame back to where it was */
	__u32 relay_port; /* network order; where a user-space relay sends to */
	__u64 relay_tail; /* last 8 bytes of the content that it sends */
} __attribute__((aligned(64)));

/* Whose turn it is; apart from what the sinks write, since those may run on another CPU. */
struct bench_turn {
	__u64 n;
} __attribute__((aligned(64)));

/* What arrived. */
struct bench_seen {
	__u64 good;
	__u64 bad;
	__u64 stray; /* not UDP over IPv6: the kernel's own multicast chatter */
	__u64 bad_len, bad_word, bad_is, bad_want; /* of the last bad one */
} __attribute__((aligned(64)));

#endif
