/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What jpd asks the program jpx_flow_ask for, and its answer.  Not pinned: both
 * sides are of one build.
 */
#ifndef JPX_REQUEST_H
#define JPX_REQUEST_H

#include "abi.h"

enum jpx_ask {
	JPX_ASK_START, /* the sweep; answer: 0, or negative */
	JPX_ASK_OPEN,  /* a flow for key, with mac; answer: as jpx_flow_open() */
	JPX_ASK_END,   /* the flows that match; answer: how many there were */
};

/* Which flows: all for which each field named here is equal. */
#define JPX_MATCH_SERVICE  0x01
#define JPX_MATCH_PORT	   0x02
#define JPX_MATCH_PLEDGE   0x04 /* key.pledge and the IPv4 bit of key.kind */
#define JPX_MATCH_UDP_PORT 0x08
#define JPX_MATCH_UPLINK   0x10
#define JPX_MATCH_SLOT	   0x20

struct jpx_flow_request {
	__u32 verb;  /* enum jpx_ask */
	__u32 match; /* JPX_MATCH_* */
	struct jpx_flow_key key;
	__u64 mac;
	__u32 slot;
	__u32 uplink;
	__u32 slots; /* END without JPX_MATCH_SLOT: how many to look at, from slot on; 0: all */
	__u32 pad;
	__s64 answer;
};

JPX_ASSERT(flow_request, sizeof(struct jpx_flow_request) == 56);

#endif
