/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Join ports flooded to pledges as AN_Proxy (RFC 8995 4.1.1, join-proxy-15 5.2.2) by the
 * rules for insecure links (RFC 8990 2.5.2).  Sends only: reads nothing from a pledge port.
 */
#ifndef JPX_GRASP_ANNOUNCE_H
#define JPX_GRASP_ANNOUNCE_H

struct discovery_view;
struct event_base;
struct grasp_announce;

/* NULL: out of memory. */
struct grasp_announce *grasp_announce_new(struct event_base *base);
void grasp_announce_free(struct grasp_announce *announce);

/* Floods what VIEW says, where its settings allow it.  Each port at once after a change, but
 * at most once a second. */
void grasp_announce_sync(struct grasp_announce *announce, const struct discovery_view *view);

#endif
