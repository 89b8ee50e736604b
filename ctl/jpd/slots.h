/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slots: which interfaces carry our XDP program, and what for.  Attaches when
 * somebody wants one, looks after those that are there, takes off what nobody
 * needs any more.  The entries live in the proxy's state; only this writes them.
 */
#ifndef JPX_SLOTS_H
#define JPX_SLOTS_H

#include <stdbool.h>

#include "pinned.h"
#include "resolve.h"

struct datapath;
struct netwatch;
struct slots;

/* NOTE is called with a sentence that the operator should read. */
struct slots *slots_new(struct jpx_state *state, struct datapath *dp, struct netwatch *nw,
			void (*note)(void *arg, const char *line), void *arg);
void slots_free(struct slots *slots);

/* An operator is waiting: what failed lately is tried again at once, and told again. */
void slots_set_eager(struct slots *slots, bool eager);

/* The slot of the interface that WAY leaves through; attaches if need be.  0: there is none,
 * the socket engine serves. */
unsigned int slots_want(struct slots *slots, const struct resolve_way *way, enum jpx_xdp wanted);

/* Forgets slot ID; DETACH: and takes the program off. */
void slots_drop(struct slots *slots, unsigned int id, bool detach);

/* Drops slots whose interface is gone or whose program somebody took off.  Netlink tells
 * of a program that is alone; LOOK: also look for those behind a dispatcher, which is dear. */
void slots_audit(struct slots *slots, bool look);

/* Writes into each slot what it is for, now that ports and services are settled; takes
 * unused programs off.  True if that is not what it was. */
bool slots_settle(struct slots *slots);

/* Why the last attachment to this interface failed, or NULL. */
const char *slots_failure(const struct slots *slots, unsigned int ifindex);

/* Is there a program in native mode, UPLINKS: on an uplink? */
bool slots_any_native(const struct slots *slots, bool uplinks);

#endif
