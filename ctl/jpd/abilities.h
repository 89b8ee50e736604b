/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What network devices can do (features.h), each asked once in a round: many pledge ports may be
 * VLANs of one device, and are looked at again whenever anything in the network changes.
 *
 * Never keeps an answer beyond its round: not all that changes one is told by netlink.
 */
#ifndef JPD_ABILITIES_H
#define JPD_ABILITIES_H

#include <stdbool.h>
#include <stdint.h>

struct abilities;
struct netwatch_link;

struct abilities *abilities_new(void);
void abilities_free(struct abilities *abilities);

/* A new round begins: what was answered is forgotten. */
void abilities_forget(struct abilities *abilities);

/* As jpx_xdp_features(). */
int abilities_xdp_features(struct abilities *abilities, unsigned int ifindex, uint64_t *features);

/* As jpx_strips_vlan_tags(). */
bool abilities_strips_vlan_tags(struct abilities *abilities, const struct netwatch_link *link);

#endif
