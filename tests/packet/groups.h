/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The groups of packet tests, a file each.  Each returns how many of its tests failed.
 */
#ifndef JPX_TESTS_GROUPS_H
#define JPX_TESTS_GROUPS_H

int packets_group(void); /* stateless, IPv6: every verdict */
int ipv4_group(void);	 /* stateless, IPv4 on either side */
int by_tc_group(void);	 /* answers to ports that XDP cannot send to */
int flows_group(void);	 /* stateful */
int races_group(void);	 /* stateful, two CPUs at once */

#endif
