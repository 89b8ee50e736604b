/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts our XDP program on an interface through libxdp and takes it off again.
 * Never displaces a program that is not ours.
 */
#ifndef JPX_XDP_H
#define JPX_XDP_H

#include "pinned.h"

/* Routes libbpf's and libxdp's messages to the debug log. */
void xdp_init(void);

/* Takes off what no slot knows of any more: a jpd died right after attaching, or the interface left
 * this namespace with our program on it and came back.  Costs a look at all interfaces. */
void xdp_remove_leftovers(const struct jpx_pinned *maps, const struct jpx_slot *slot);

/* Attaches the program for SLOT's kind of link to SLOT->ifindex, sharing MAPS.
 * On success fills SLOT's prog_id, engine and alone and returns 0; NOTE then may
 * hold a sentence that the operator should read.  Else a negative errno, and
 * NOTE says what failed and what to try. */
int xdp_attach(const struct jpx_pinned *maps, unsigned int slot_id, struct jpx_slot *slot,
	       enum jpx_xdp wanted, char *note, size_t note_len);

/* The same with the one program of all interfaces of SLOT's kind of link, which finds its slot by
 * ifindex: SLOT->ifindex must be below JPX_MAX_IFINDEX, and the interface must be the one that the
 * kernel runs the program for (a bond's is run for its members).  It is attached alone, in the mode
 * WANTED, native for JPX_XDP_AUTO.  0 or a negative errno; then xdp_attach() may do better. */
int xdp_attach_common(const struct jpx_pinned *maps, struct jpx_slot *slot, enum jpx_xdp wanted);

/* Lets go of these programs; where they are attached they stay. */
void xdp_close_common(void);

/* Removes the program that SLOT names, and nothing else.  0 when it is gone. */
int xdp_detach(const struct jpx_slot *slot);

/* A descriptor of a program that somebody keeps open: all others are taken for ones that libxdp
 * forgot, and closed. */
void xdp_keep(int fd);
void xdp_keep_none(void);

/* Call when no program of ours is left: libxdp's own directory goes if nobody needs it. */
void xdp_tidy(void);

/* Is the program that SLOT names still on its interface? */
int xdp_is_attached(const struct jpx_slot *slot);

#endif
