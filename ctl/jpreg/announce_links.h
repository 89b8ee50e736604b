/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The links by which the Registrar names itself to Join Proxies and devices that ask by CoAP: one
 * row of a table for each.  Text only: no socket, no clock.
 */
#ifndef JPX_JPREG_ANNOUNCE_LINKS_H
#define JPX_JPREG_ANNOUNCE_LINKS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the links that FILTER selects (RFC 6690 4.1; empty: all) into BUF, in link-format without
 * a 0 at its end: the JPY port and the coaps port (host order), at ADDR.  Their length; 0: nothing
 * is selected, or LEN is too small. */
size_t announce_links_write(const struct in6_addr *addr, uint16_t jpy, uint16_t coaps,
			    const char *filter, size_t filter_len, char *buf, size_t len);

#endif
