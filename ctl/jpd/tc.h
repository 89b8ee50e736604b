/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts our tc program (bpf/tc.bpf.c) on the ingress of an interface and takes it off again.  Like
 * XDP programs it stays there when jpd ends.  Never touches a filter that is not ours, nor a qdisc
 * that somebody else made or uses.
 */
#ifndef JPX_TC_H
#define JPX_TC_H

#include <stdbool.h>
#include <stddef.h>

#include "pinned.h"

enum tc_place {
	TC_UNKNOWN, /* the kernel does not say */
	TC_ABSENT,
	TC_BEHIND, /* somebody else's program or filter comes before it, and may end the matter
		      there */
	TC_FIRST,
};

/* On interface IFINDEX, called IFNAME, sharing MAPS, before all others, which see what is not ours;
 * moved there if it is behind them.  *MADE_QDISC: the qdisc that it takes had to be made.  0, or a
 * negative errno with a sentence in ERR: then none of ours is left there. */
int tc_attach(const struct jpx_pinned *maps, unsigned int ifindex, const char *ifname,
	      bool *made_qdisc, char *err, size_t err_len);

/* Takes it off; MADE_QDISC: and that qdisc, if the program was still in it and it is of no use to
 * anybody else.  0 when it is gone. */
int tc_detach(const struct jpx_pinned *maps, unsigned int ifindex, bool made_qdisc);

/* Where is it? */
enum tc_place tc_find(const struct jpx_pinned *maps, unsigned int ifindex);

/* Lets go of the program; where it is attached it stays. */
void tc_close(void);

#endif
