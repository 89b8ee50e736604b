/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stateful mode for the packet tests, over the maps of fixture.h: the addresses
 * that flows leave from, the tables as memory, what jpd would ask for, and the
 * audit of everything that must be true between two packets.
 *
 * Writes flows only to age them: whoever relays owns them.
 */
#ifndef JPX_TESTS_FLOW_FIXTURE_H
#define JPX_TESTS_FLOW_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <jpx/abi.h>
#include <jpx/request.h>

#include "frame.h"

/* Places in jpx_uplinks.  Services with an IPv6 Registrar use the first three, those with an
 * IPv4 one the next two, unless a test says otherwise. */
enum {
	FF_UPLINK_A,
	FF_UPLINK_B,
	FF_UPLINK_C,
	FF_UPLINK_4A,
	FF_UPLINK_4B,
	FF_UPLINK_AWAY, /* not on this host now; every service has it */
	FF_UPLINKS
};
extern const char *const ff_uplinks[FF_UPLINKS];

#define FF_FIRST_PORT 50000

/* jpx_flows itself, by slot, and what it is run by. */
extern struct jpx_flow *ff_flows;
extern struct jpx_flow_config ff_config;

/* After fx_open() and before fx_close().  Returns 0, or a negative errno after a sentence. */
int ff_open(void);
void ff_close(void);

/* All as new, with this many UDP ports for each uplink.  What is 0 is without limit
 * (per_pledge: JPX_PLEDGE_FLOWS). */
void ff_reset(uint32_t port_count, uint32_t per_pledge, uint32_t per_port, uint32_t max);
/* Puts ff_config into its map after a test has changed it. */
void ff_config_store(void);

/* Makes SERVICE leave from these places. */
void ff_leave_from(uint32_t service, const uint8_t *places, uint8_t count);
/* FLAGS: JPX_UPLINK_*. */
void ff_uplink_store(uint32_t place, uint8_t flags);

/* The tick it is by the kernel's clock; what jpx_clock says; and puts that into it. */
uint32_t ff_tick(void);
uint32_t ff_clock(void);
void ff_clock_store(void);

/* Lets everything idle long ago end by its time, though not yet be swept. */
void ff_age(uint32_t slot);
/* Lets a resting slot have rested. */
void ff_rest(uint32_t slot);

/* Asks the program jpx_flow_ask; returns its answer. */
long ff_ask(struct jpx_flow_request *request);
long ff_end(const struct jpx_flow_request *match);
long ff_end_all(void);

/* The key of the flow of SPEC, a datagram to SERVICE that came in on PORT. */
struct jpx_flow_key ff_key(const struct frame_spec *spec, uint8_t port, uint32_t service);
/* How many live flows have KEY; SLOT: one of them. */
int ff_find(const struct jpx_flow_key *key, uint32_t *slot);

uint32_t ff_count(uint32_t port_id);
void ff_hints_poison(void);
int ff_pledges(void);
struct jpx_refusals ff_refusals(uint32_t port_id);

/* Audits the tables: each live flow is listed once, where it belongs; nothing else is listed;
 * no empty entries; the counts are right.  Returns how many flows live. */
int ff_audit(const char *text);

/* A datagram of a pledge: of IPv6, or V4; to the port, or CAUGHT on its way to the Registrar. */
void ff_from_pledge(uint8_t port, uint32_t service, bool v4, struct frame_spec *spec);
/* What FLOW must make of SPEC, which keeps its content. */
void ff_to_registrar(const struct jpx_flow *flow, const struct frame_spec *spec,
		     struct frame_spec *to);
/* What the Registrar says to FLOW, and what must come out of that. */
void ff_from_registrar(const struct jpx_flow *flow, struct frame_spec *spec);
void ff_to_pledge(const struct jpx_flow *flow, const struct frame_spec *from,
		  struct frame_spec *to);

/* The slot of the program where the Registrar of SERVICE is heard. */
int ff_uplink_slot(uint32_t service);
/* Is what SERVICE sends, or what goes to PORT, sent back through the same interface? */
bool ff_bounces(uint32_t service);

#endif
