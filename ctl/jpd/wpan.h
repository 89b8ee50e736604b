/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that send raw IEEE 802.15.4 frames. */
#ifndef JPX_WPAN_H
#define JPX_WPAN_H

#include <stdint.h>

#define WPAN_NO_PAN 0xffff

/* A socket that sends whole frames, without their checksum, from the IEEE 802.15.4 interface that
 * IFINDEX is or is stacked on (a 6LoWPAN interface on its wpan interface), and that hears nothing.
 * Fills EUI64 with its extended address, in the order in which people write it, and PAN, in host
 * order, with WPAN_NO_PAN where it is in none.  To be closed by the caller.  Returns a descriptor,
 * or -ENODEV where there is no such interface, or another negative errno. */
int wpan_open(unsigned int ifindex, uint8_t eui64[8], uint16_t *pan);

#endif
