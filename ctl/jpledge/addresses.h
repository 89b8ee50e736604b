/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Link-local addresses for many pledges on one interface.  Needs CAP_NET_ADMIN.  Touches none but
 * its own: fe80::5a:0:0 and on, which the kernel chooses for nobody else.
 */
#ifndef JPLEDGE_ADDRESSES_H
#define JPLEDGE_ADDRESSES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define ADDRESSES_MAX 65536

/* The Nth, from 0. */
struct in6_addr addresses_nth(unsigned int n);

/* Puts the first COUNT of them on interface IFINDEX, or takes them off.  0 or a negative errno,
 * with a sentence in ERR; then none of them is there. */
int addresses_add(unsigned int ifindex, unsigned int count, char *err, size_t err_len);
void addresses_remove(unsigned int ifindex, unsigned int count);

#endif
