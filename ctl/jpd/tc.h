/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts our tc program (bpf/tc.bpf.c) on the ingress of an interface and takes it off again.  Like XDP
 * programs it stays there when jpd ends.  Never touches a filter that is not ours, nor a qdisc
 * that somebody else made or uses.
 */
#ifndef JPX_TC_H
#define JPX_TC_H

#include <stdbool.h>
#include <stddef.h>

#include "pinned.h"

/* On interface IFINDEX, called IFNAME, sharing MAPS; once if it is there already.  *MADE_QDISC: the
 * qdisc that it takes had to be made.  0, or a negative errno with a sentence in ERR. */
int tc_attach(const struct jpx_pinned *maps, unsigned int ifindex, const char *ifname,
	      bool *made_qdisc, char *err, size_t err_len);

/* Takes it off; MADE_QDISC: and that qdisc, if it is of no use to anybody else.  0 when it is gone. */
int tc_detach(const struct jpx_pinned *maps, unsigned int ifindex, bool made_qdisc);

/* Is it there? */
bool tc_is_attached(const struct jpx_pinned *maps, unsigned int ifindex);

/* Lets go of the program; where it is attached it stays. */
void tc_close(void);

#endif
