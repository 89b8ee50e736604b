/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrars heard of by GRASP floods (RFC 8995 4.3, join-proxy -11 to -15,
 * brski-discovery-07 4.2.1) on uplinks, and only there.  Never sends, never relays.
 */
#ifndef JPX_GRASP_LISTEN_H
#define JPX_GRASP_LISTEN_H

struct discovery_view;
struct event_base;
struct grasp_listen;
struct registrars;

/* NULL: out of memory. */
struct grasp_listen *grasp_listen_new(struct event_base *base, struct registrars *registrars);
void grasp_listen_free(struct grasp_listen *listen);

/* Listens on the uplinks of VIEW, where its settings allow it. */
void grasp_listen_sync(struct grasp_listen *listen, const struct discovery_view *view);

#endif
