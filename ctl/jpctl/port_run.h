/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs of pledge ports: neighbours in the list that differ in the number at the
 * end of their name, in their address and in how many flows they have, and that a
 * person reads as one.  What is not well in one port is so in all of a run.
 */
#ifndef JPX_PORT_RUN_H
#define JPX_PORT_RUN_H

#include <jansson.h>

/* How many of PORTS, as in the answer to "status", are one run from position FIRST on: 1 at least.
 */
size_t port_run(const json_t *ports, size_t first);

#endif
