/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes: asks a Registrar for its first word of DTLS, as a pledge would, and hears whether
 * one comes.  Each has a socket of its own, so neither the fast path nor the socket engine
 * sees any of it, and no pledge can answer.
 *
 * Judges nothing, and repeats nothing by itself.
 */
#ifndef JPX_PROBE_H
#define JPX_PROBE_H

#include "pinned.h"

struct event_base;
struct probes;

enum probe_result {
	PROBE_ANSWERED,	   /* a DTLS record came, in a JPY message with our very header where it
			    * must */
	PROBE_UNREACHABLE, /* ICMP, or this host, said that nobody can be reached there */
};

/* STATE: read at each probe.  RESULT is called from the loop, at most once a probe.  NULL: out
 * of memory. */
struct probes *probes_new(struct event_base *base, const struct jpx_state *state,
			  void (*result)(void *arg, unsigned int service_id, enum probe_result),
			  void *arg);
void probes_free(struct probes *probes);

/* Sends a DTLS 1.2 ClientHello to SERVICE_ID's Registrar, from its uplink address and, where one
 * was asked for, over its uplink interface; in stateless mode as from a pledge on port id 0,
 * which there is none of.  An earlier probe of the service ends.  Returns 0 or a negative
 * errno: nothing was sent. */
int probes_send(struct probes *probes, unsigned int service_id);

/* What still comes for SERVICE_ID's last probe is not heard. */
void probes_stop(struct probes *probes, unsigned int service_id);

#endif
