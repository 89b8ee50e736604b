/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which MAC the socket engine writes into a draft-21 header: the one that the
 * fast path would, and the same one for as long as a connection lasts, whatever
 * the kernel's neighbour table learns or forgets meanwhile.  A Registrar tells
 * connections apart by the header's bytes.
 */
#ifndef JPX_PLEDGE_MACS_H
#define JPX_PLEDGE_MACS_H

#include <netinet/in.h>

#include <jpx/abi.h>

struct datapath;
struct netwatch;
struct pledge_macs;

struct pledge_macs *pledge_macs_new(const struct datapath *dp, struct netwatch *nw);
void pledge_macs_free(struct pledge_macs *pm);

/* MAC: zero where nobody knows it.  Bounded: when too many pledges fall on one place,
 * the later one is looked up anew each time. */
void pledge_macs_find(struct pledge_macs *pm, const struct jpx_port *port, unsigned int port_id,
		      const struct sockaddr_in6 *pledge, unsigned char mac[6]);

#endif
