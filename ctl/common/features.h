/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a network device can do, asked of the kernel; changes nothing.
 */
#ifndef JPX_FEATURES_H
#define JPX_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

/* The device's NETDEV_XDP_ACT_* bits (netdev generic netlink family, Linux 6.3 and
 * later).  Returns 0, or -EOPNOTSUPP where the kernel cannot tell. */
int jpx_xdp_features(int ifindex, uint64_t *features);

#define JPX_XDP_ACT_BASIC    0x01
#define JPX_XDP_ACT_REDIRECT 0x02
#define JPX_XDP_ACT_NDO_XMIT 0x04

/* ethtool offloads by the names that `ethtool -k` prints: "rx-vlan-hw-parse",
 * "tx-checksum-ip-generic", ...  Returns 1 if it is on, 0 if off, negative errno. */
int jpx_ethtool_feature(const char *ifname, const char *feature);

/* Does the device strip VLAN tags before XDP sees them? */
bool jpx_strips_vlan_tags(const char *ifname);

#endif
