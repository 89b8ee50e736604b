/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `status` and `stats` as JSON, from a copy of the state: the same whether jpd
 * answers or jpctl reads the pinned maps itself.  The keys are part of the
 * interface (docs/man/jpctl.8.rst lists them).
 */
#ifndef JPX_REPORT_H
#define JPX_REPORT_H

#include <jansson.h>
#include <sys/types.h>

#include "pinned.h"

/* PID: of the running jpd, or 0.  The caller owns the reference; NULL when out of memory. */
json_t *jpx_report_status(const struct jpx_state *state, pid_t pid);
json_t *jpx_report_stats(const struct jpx_state *state, const struct jpx_counters *counters);

/* One word for how a service stands: "serving", "no-route", "uplink-down",
 * "resolving", "silent" (the Registrar does not answer), "retired" (discovered, and no longer),
 * "local" (the Registrar is on this host), "socket" (the fast path does
 * not do IPv4 over this link), "no-port", "no-uplink-address" (stateful: none of those
 * that flows leave from is on this host). */
const char *jpx_service_state(const struct jpx_state *state, unsigned int service_id);

#endif
