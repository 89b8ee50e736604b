/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which services answer.  Judges by what the engines count anyway, by ICMP, and by probes;
 * keeps nothing of any pledge, so a stateless service stays that.  A service that does not
 * answer is relayed on, for handshakes that run, and announced no more.
 *
 *   forwarding for 30 s and no packet back: unreachable for 180 s at least (BRSKI discovery 3.2.3)
 *   ICMP unreachable that persists for 10 s: the same
 *   no answer to probes for 120 s, where they were answered once (3.2.2): the same
 *   then: a packet from the Registrar, an answer to a probe, or, where probes were never answered,
 * a trial
 */
#ifndef JPX_HEALTH_H
#define JPX_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinned.h"

struct event_base;
struct health;

/* STATE: read whenever the timer fires.  COUNT: fills *TO_REGISTRAR and *TO_PLEDGE with the packets
 * of SERVICE_ID that both engines counted (only differences mean anything; they wrap).  ON_CHANGE
 * is called, from the loop, after a judgement changed, or after one answered first.  NULL: out of
 * memory. */
struct health *health_new(struct event_base *base, const struct jpx_state *state,
			  void (*count)(void *arg, unsigned int service_id, uint32_t *to_registrar,
					uint32_t *to_pledge),
			  void (*on_change)(void *arg), void *arg);
void health_free(struct health *health);

/* Call after services came, went or changed; FORGET: before an id is given to another one. */
void health_sync(struct health *health);
void health_forget(struct health *health, unsigned int service_id);

/* A host on the way said that SERVICE_ID's Registrar cannot be reached. */
void health_unreachable(struct health *health, unsigned int service_id);

/* May it be announced? */
bool health_usable(const struct health *health, unsigned int service_id);

/* Has it answered, since it was found or was last silent?  False, too, after a start, until it does
 * so again. */
bool health_answered(const struct health *health, unsigned int service_id);

/* One sentence about how it was judged: "answered 3 s ago", "no packet back for 34 s while
 * forwarding; tried again in 150 s".  Returns BUF. */
const char *health_text(const struct health *health, unsigned int service_id, char *buf,
			size_t len);

/* When a packet last came from the Registrar, seconds ago; UINT_MAX: never since it is watched.
 * What pledges send says nothing: no handshake goes on without answers. */
unsigned int health_idle(const struct health *health, unsigned int service_id);

#endif
