/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which slot a frame came in on: of the interface that carries this instance of the program.
 */
#ifndef JPX_BPF_SLOT_H
#define JPX_BPF_SLOT_H

#include "maps.h"

/* The slot that CTX came in on; the verifier sees which of both ways this instance takes, and drops
 * the other one. */
static __always_inline struct jpx_slot *jpx_own_slot(const struct xdp_md *ctx)
{
	__u32 id = jpx_slot_id, *found;
	struct jpx_slot *slot;

	if (!id) {
		id = ctx->ingress_ifindex;
		found = bpf_map_lookup_elem(&jpx_slot_ids, &id);
		if (!found)
			return 0;
		id = *found;
	}
	slot = bpf_map_lookup_elem(&jpx_slots, &id);
	return slot && slot->flags & JPX_SLOT_IN_USE ? slot : 0;
}

#endif
