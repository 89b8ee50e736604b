/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the two halves of the far end of the pktgen benchmark agree on: how the
 * frames that must arrive look.  Compiled for both: includes <linux/types.h> only.
 *
 * A datagram's content is what pktgen puts there: a header of 16 bytes (its magic
 * number, a sequence number, no time), then zeros.  So the first PKTGEN_HEAD bytes of a
 * frame say all that its checksum covers.
 */
#ifndef JPX_PKTGEN_ENDS_H
#define JPX_PKTGEN_ENDS_H

#include <linux/types.h>

#define PKTGEN_MAGIC	 0xbe9be955
#define PKTGEN_HEADERS	 62 /* Ethernet, IPv6, UDP */
#define PKTGEN_CONTENT	 16 /* what is not zero of the content */
#define PKTGEN_PREFIX	 26 /* at most, of a JPY message in form draft-02 */
#define PKTGEN_WORDS	 13 /* 64-bit words of a frame that are compared: */
#define PKTGEN_HEAD	 (PKTGEN_WORDS * 8)
#define PKTGEN_SAMPLES	 128
#define PKTGEN_FRAME_MAX 2048
#define PKTGEN_STEP	 64 /* packets from one look at the clock to the next, a power of two */

/* How a frame must look.  Bits that MASK leaves out differ from frame to frame. */
struct pktgen_plan {
	__u64 want[PKTGEN_WORDS];
	__u64 mask[PKTGEN_WORDS];
	__u32 len;
	__u32 who_at;  /* where the pledge's number is, 1 on, 16 bits; 0: nowhere */
	__u32 port_at; /* ... and its UDP port */
	__u32 pledges;
	__u32 first_port, ports; /* pledge N has PORTS ports from FIRST_PORT + (N - 1) * PORTS on */
	__u32 sampling;		 /* keep whole frames */
} __attribute__((aligned(64)));

/* What one CPU saw. */
struct pktgen_seen {
	__u64 right, wrong;
	__u64 stray;	   /* none of ours: to the stack */
	__u64 first, last; /* when number 0, and the last multiple of PKTGEN_STEP, came (ns) */
	__u64 wrong_word, wrong_is, wrong_len; /* of the last one that was wrong */
} __attribute__((aligned(64)));

struct pktgen_sample {
	__u32 len;
	__u8 data[PKTGEN_FRAME_MAX];
};

#endif
