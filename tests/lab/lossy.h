/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What lossy.bpf.c and lossy.c share.
 */
#ifndef JPX_TESTS_LOSSY_H
#define JPX_TESTS_LOSSY_H

#include <linux/types.h>

#define LOSSY_MARK	0x6c6f7373 /* on what lossy.c sends: let it by */
#define LOSSY_FRAME_MAX 16384
#define LOSSY_WAIT_MAX	3 /* later datagrams that a held one waits for, at most */

/* A datagram taken, its frame behind this; or, with LEN 0, news that one went by. */
struct lossy_event {
	__u64 passed; /* how many had gone by */
	__u32 len;
	__be16 proto;
	__u16 wait; /* for so many to go by */
};

#endif
