/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is announced where, and where Registrars are looked for: computes the view that all ways of
 * discovery work on.  Pure: reads state and network, changes nothing.
 */
#ifndef JPX_VIEW_H
#define JPX_VIEW_H

#include "discovery.h"
#include "pinned.h"

struct netwatch;

/* Fills VIEW.  LOOK: for Registrars, and never on PLEDGES. */
void view_make(const struct jpx_state *state, const struct netwatch *nw,
	       const struct discovery_settings *settings, const struct pledge_links *pledges,
	       bool look, struct discovery_view *view);

#endif
