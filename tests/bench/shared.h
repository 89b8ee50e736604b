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

/* The tables of stateful mode, as jpd would make them for this many flows. */
#define BENCH_MANY	 1000000
#define BENCH_UPLINKS	 20 /* IPv6 addresses that flows leave from; places 0 to 19 */
#define BENCH_UPLINK4	 20 /* the place of the IPv4 one */
#define BENCH_FIRST_PORT 1024
#define BENCH_PORT_COUNT 64512
#define BENCH_SLOTS	 ((BENCH_UPLINKS + 1) * BENCH_PORT_COUNT)

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
	__be16 want_type; /* of a frame that arrives: its ethertype, */
	__u8 proto_off;	  /* and where its IP header says UDP */
	__u8 check_word;  /* the word with the UDP checksum */
	__u32 relay_port; /* network order; where a user-space relay sends to */
	__u64 relay_tail; /* last 8 bytes of the content that it sends */
} __attribute__((aligned(64)));

/* ---- any number of flows: frames are computed from a number ------------------- */

#define BENCH_MANY_BITS	   20 /* 1 << this, at least BENCH_MANY: entries of bench_visits */
#define BENCH_MANY_CONTENT 64 /* bytes */
#define BENCH_MANY_SERVICE 5
#define BENCH_MANY_PORT	   5
#define BENCH_MANY_TAG	   78	    /* where the pledge's number is in a frame, big-endian */
#define BENCH_MANY_WORDS   8	    /* 64-bit words: all headers, and two bytes of content */
#define BENCH_NEWCOMERS	   0x800000 /* numbers of pledges that never have a flow */

/* Map bench_visits: whom packet N is from or for.  Read in order, so that looking into it costs
 * one flow as much as a million. */
struct bench_visit {
	__u32 pledge; /* its number, 24 bits: in its MAC, its address, its port, the content */
	__be16 port;  /* its flow's uplink port and address; 0: the sink notes what it sees */
	__u16 place;
};

/* What differs from frame to frame, and where. */
enum bench_kind { BENCH_FROM_PLEDGE, BENCH_TO_REGISTRAR, BENCH_FROM_REGISTRAR, BENCH_TO_PLEDGE };

/* A frame, with zeros in place of all that differs, and the sum of what its checksum covers. */
struct bench_pattern {
	__u64 words[BENCH_MANY_WORDS];
	__u32 sum;
	__u32 kind;
	__u32 macs_stay; /* the floor wrote the MACs: they do not differ */
	__u32 len;
};

struct bench_many {
	struct bench_pattern sent, want;
	__u32 visits;	 /* after so many begin again */
	__u32 newcomers; /* of each 10 packets, this many are newcomers' */
} __attribute__((aligned(64)));

/* Whose turn it is; apart from what the sinks write, since those may run on another CPU. */
struct bench_turn {
	__u64 n;
	__u32 tenth, newcomer;
} __attribute__((aligned(64)));

/* What arrived. */
struct bench_seen {
	__u64 good;
	__u64 bad;
	__u64 at;    /* the visit that is expected next */
	__u64 stray; /* not UDP over IPv6: the kernel's own multicast chatter */
	__u64 bad_len, bad_word, bad_is, bad_want; /* of the last bad one */
} __attribute__((aligned(64)));

#endif
