/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See slots.h. */
#include "slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datapath.h"
#include "log.h"
#include "netwatch.h"
#include "table.h"
#include "tc.h"
#include "xdp.h"

#define OWN_PROGRAMS 8 /* slots that have a program of their own before others share one */
#define RETRY_S	     5 /* before an attachment that failed is tried again */

struct slots {
	struct jpx_state *state;
	struct datapath *dp;
	struct netwatch *nw;
	void (*note)(void *arg, const char *line);
	void *arg;
	bool eager;
	bool lifted; /* some were dropped that may be wanted again */
	bool swept;  /* what a former jpd may have left half done at tc is cleared up */
	/* Interfaces where an attachment failed, not to be tried again at once. */
	struct {
		unsigned int ifindex;
		time_t when;
		char note[320];
	} failed[JPX_MAX_SLOTS];
	time_t tc_failed[JPX_MAX_SLOTS]; /* by slot: when its tc program could not be attached */
};

struct slots *slots_new(struct jpx_state *state, struct datapath *dp, struct netwatch *nw,
			void (*note)(void *arg, const char *line), void *arg)
{
	struct slots *slots = calloc(1, sizeof(*slots));

	if (!slots)
		return NULL;
	slots->state = state;
	slots->dp = dp;
	slots->nw = nw;
	slots->note = note;
	slots->arg = arg;
	return slots;
}

void slots_free(struct slots *slots)
{
	xdp_close_common();
	tc_close();
	free(slots);
}

void slots_set_eager(struct slots *slots, bool eager)
{
	slots->eager = eager;
}

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void remember_failure(struct slots *slots, unsigned int ifindex, const char *why)
{
	unsigned int i, at = 0;

	for (i = 0; i < JPX_MAX_SLOTS; i++) {
		if (slots->failed[i].ifindex == ifindex)
			break;
		if (slots->failed[i].when < slots->failed[at].when)
			at = i;
	}
	if (i == JPX_MAX_SLOTS)
		i = at;
	/* The log hears it once, an operator each time. */
	if (slots->eager || slots->failed[i].ifindex != ifindex ||
	    strcmp(slots->failed[i].note, why))
		slots->note(slots->arg, why);
	slots->failed[i].ifindex = ifindex;
	slots->failed[i].when = now_s();
	snprintf(slots->failed[i].note, sizeof(slots->failed[i].note), "%s", why);
}

const char *slots_failure(const struct slots *slots, unsigned int ifindex)
{
	for (unsigned int i = 0; i < JPX_MAX_SLOTS; i++)
		if (ifindex && slots->failed[i].ifindex == ifindex)
			return slots->failed[i].note;
	return NULL;
}

static bool failed_lately(const struct slots *slots, unsigned int ifindex)
{
	/* An operator who asks wants it tried now. */
	if (slots->eager)
		return false;
	for (unsigned int i = 0; i < JPX_MAX_SLOTS; i++)
		if (slots->failed[i].ifindex == ifindex)
			return now_s() - slots->failed[i].when < RETRY_S;
	return false;
}

/* Takes the tc program of SLOT off, which no packet is on its way to any more. */
static void tc_off(struct slots *slots, const struct jpx_slot *slot)
{
	int ret = tc_detach(datapath_maps(slots->dp), slot->ifindex, slot->flags & JPX_SLOT_CLSACT);

	if (ret)
		jpx_error("%s: cannot take the tc program off: %s", slot->ifname, strerror(-ret));
}

/* Is UPPER a VLAN on IFINDEX, or what that is a member of? */
static bool is_above(const struct slots *slots, unsigned int upper, unsigned int ifindex)
{
	const struct netwatch_link *above = netwatch_link_by_index(slots->nw, (int)upper);
	const struct netwatch_link *below = netwatch_link_by_index(slots->nw, (int)ifindex);

	return (above && above->vlan_id && above->parent == (int)ifindex) ||
	       (below && below->master && below->master == (int)upper);
}

/* The kernel lets nobody put a program on an interface, or take one off, while one above it carries
 * one.  Ours are dropped; who wants one attaches it again.  False: there were none. */
static bool lift_above(struct slots *slots, unsigned int ifindex)
{
	bool any = false;

	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		const struct jpx_slot *slot = &slots->state->slots[id];

		if (!(slot->flags & JPX_SLOT_IN_USE) || !is_above(slots, slot->ifindex, ifindex))
			continue;
		slots_drop(slots, id, true);
		/* Somebody else may have this slot next, and a port of it is found by its id. */
		for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
			if (slots->state->ports[p].slot == id)
				slots->state->ports[p].slot = 0;
		any = slots->lifted = true;
	}
	return any;
}

void slots_drop(struct slots *slots, unsigned int id, bool detach)
{
	struct jpx_slot *slot = &slots->state->slots[id];
	int ret;

	if (detach)
		lift_above(slots, slot->ifindex);
	ret = detach ? xdp_detach(slot) : 0;
	if (ret)
		jpx_error("%s: cannot take the XDP program off: %s", slot->ifname, strerror(-ret));
	if (detach && slot->flags & (JPX_SLOT_TC | JPX_SLOT_CLSACT))
		tc_off(slots, slot);
	slots->tc_failed[id] = 0;
	memset(slot, 0, sizeof(*slot));
	datapath_put_slot(slots->dp, id, slot);
}

/*
 * Verifying a program takes a tenth of a second and its code a quarter of a megabyte.  So where
 * many interfaces are served all but the first share one, which pays a nanosecond or two for
 * finding out where a frame came in.  Not behind libxdp's dispatcher: that needs each program
 * verified for its interface.
 */
static bool takes_common(const struct slots *slots, const struct netwatch_link *link)
{
	unsigned int in_use = 0;

	/* These run the program for their members. */
	if (!strcmp(link->kind, "bond") || !strcmp(link->kind, "team") ||
	    link->ifindex >= JPX_MAX_IFINDEX)
		return false;
	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		const struct jpx_slot *slot = &slots->state->slots[id];

		if (!(slot->flags & JPX_SLOT_IN_USE))
			continue;
		if (!slot->alone)
			return false;
		in_use++;
	}
	return in_use >= OWN_PROGRAMS;
}

static int try_to_attach(struct slots *slots, unsigned int id, const struct netwatch_link *link,
			 struct jpx_slot *slot, enum jpx_xdp wanted, char *text, size_t len)
{
	*text = 0;
	netwatch_ask_link(slots->nw, link->ifindex);
	if (link->xdp_prog_id)
		xdp_remove_leftovers(datapath_maps(slots->dp), slot);
	if (takes_common(slots, link) && !xdp_attach_common(datapath_maps(slots->dp), slot, wanted))
		return 0;
	return xdp_attach(datapath_maps(slots->dp), id, slot, wanted, text, len);
}

/* Our own programs above are lifted only where it fails with them, and not again and again where
 * that did not help: they are in use. */
static int attach(struct slots *slots, unsigned int id, const struct netwatch_link *link,
		  struct jpx_slot *slot, enum jpx_xdp wanted, char *text, size_t len)
{
	const struct jpx_slot empty = *slot;
	unsigned int ifindex = (unsigned int)link->ifindex;
	int ret = try_to_attach(slots, id, link, slot, wanted, text, len);

	if (ret && (slots->eager || !slots_failure(slots, ifindex)) && lift_above(slots, ifindex)) {
		*slot = empty;
		ret = try_to_attach(slots, id, link, slot, wanted, text, len);
	}
	netwatch_ask_link(slots->nw, link->ifindex);
	return ret;
}

unsigned int slots_want(struct slots *slots, const struct resolve_way *way, enum jpx_xdp wanted)
{
	const struct netwatch_link *link = netwatch_link_by_index(slots->nw, (int)way->tx_ifindex);
	unsigned int id = table_slot_by_ifindex(slots->state, way->tx_ifindex);
	struct jpx_slot slot = { .ifindex = way->tx_ifindex, .link = (__u8)way->link };
	char text[320];

	if (wanted == JPX_XDP_OFF || !link || !datapath_maps(slots->dp))
		return 0;
	if (id)
		return id;
	if (failed_lately(slots, way->tx_ifindex))
		return 0;
	id = table_free_slot(slots->state);
	if (!id) {
		snprintf(text, sizeof(text),
			 "%s: %d interfaces carry the XDP program already; the socket engine "
			 "serves this one",
			 link->ifname, JPX_MAX_SLOTS - 1);
		slots->note(slots->arg, text);
		return 0;
	}
	snprintf(slot.ifname, sizeof(slot.ifname), "%s", link->ifname);
	if (attach(slots, id, link, &slot, wanted, text, sizeof(text))) {
		remember_failure(slots, way->tx_ifindex, text);
		return 0;
	}
	if (*text)
		slots->note(slots->arg, text);
	slot.id = (__u16)id;
	slot.flags = JPX_SLOT_IN_USE;
	slots->state->slots[id] = slot;
	datapath_put_slot(slots->dp, id, &slot);
	return id;
}

/* Is the program of SLOT, on LINK, gone?  LOOK: for one behind a dispatcher, too. */
static bool is_taken_off(struct slots *slots, const struct jpx_slot *slot,
			 const struct netwatch_link *link, bool look)
{
	if (slot->alone) {
		if (link->xdp_prog_id != slot->prog_id)
			netwatch_ask_link(slots->nw, link->ifindex); /* it may be old news */
		look = link->xdp_prog_id != slot->prog_id;
	}
	return look && !xdp_is_attached(slot);
}

/* Is our tc program still where SLOT says, and does it see every packet?  Settling puts it back. */
static void audit_tc(struct slots *slots, unsigned int id)
{
	struct jpx_slot *slot = &slots->state->slots[id];

	switch (tc_find(datapath_maps(slots->dp), slot->ifindex)) {
	case TC_ABSENT:
		jpx_warning("%s: our tc program was taken off", slot->ifname);
		/* ... and who knows whose the qdisc is by now. */
		slot->flags &= (__u8) ~(JPX_SLOT_TC | JPX_SLOT_CLSACT);
		break;
	case TC_BEHIND:
		jpx_warning("%s: somebody else came before our tc program", slot->ifname);
		slot->flags &= (__u8)~JPX_SLOT_TC;
		break;
	default:
		return;
	}
	datapath_put_slot(slots->dp, id, slot);
}

void slots_audit(struct slots *slots, bool look)
{
	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		struct jpx_slot *slot = &slots->state->slots[id];
		const struct netwatch_link *link;

		if (!(slot->flags & JPX_SLOT_IN_USE))
			continue;
		link = netwatch_link_by_index(slots->nw, (int)slot->ifindex);
		if (!link) {
			jpx_info("%s: the interface is gone", slot->ifname);
			slots_drop(slots, id, false);
		} else if (is_taken_off(slots, slot, link, look)) {
			jpx_warning("%s: our XDP program was taken off; attaching it again",
				    slot->ifname);
			/* With the slot goes what is known of the qdisc. */
			if (slot->flags & (JPX_SLOT_TC | JPX_SLOT_CLSACT))
				tc_off(slots, slot);
			slots_drop(slots, id, false);
		} else if (look && slot->flags & JPX_SLOT_TC) {
			audit_tc(slots, id);
		} else if (look && !slots->swept && datapath_maps(slots->dp)) {
			/* A jpd that died between attaching and noting it down, or the other way
			 * round. */
			tc_off(slots, slot);
		}
	}
	slots->swept |= look;
}

/* Do answers come in on SLOT for a port that XDP cannot send to? */
static bool wants_tc(const struct slots *slots, const struct jpx_slot *slot)
{
	/*
	 * The neighbour code starts from an Ethernet header.  And generic XDP leaves a packet with
	 * the notion of where UDP was before, which 6LoWPAN believes when it compresses; all others
	 * take frames from generic XDP itself.
	 */
	if (!(slot->flags & JPX_SLOT_UPLINK) || slot->link != JPX_LINK_ETHERNET ||
	    slot->engine != JPX_ENGINE_XDP_NATIVE)
		return false;
	for (unsigned int p = 1; p < JPX_MAX_PORTS; p++) {
		const struct jpx_port *port = &slots->state->ports[p];

		if (!(port->flags & JPX_PORT_IN_USE) || !(port->flags & JPX_PORT_NO_TRANSMIT) ||
		    !port->slot)
			continue;
		for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
			if (port->services >> s & 1 &&
			    slots->state->services[s].tx_ifindex == slot->ifindex)
				return true;
	}
	return false;
}

/* NEXT is what slot ID is to be but for its tc program: attaches that where it is wanted, and
 * where it is not, takes it off once no packet can be on its way there. */
static void settle_tc(struct slots *slots, unsigned int id, struct jpx_slot *next)
{
	struct jpx_slot *slot = &slots->state->slots[id], former = *slot;
	const __u8 flags = JPX_SLOT_TC | JPX_SLOT_CLSACT;
	char err[320];
	bool made;

	if (!wants_tc(slots, next)) {
		if (!(slot->flags & flags))
			return;
		/* Whose the qdisc is stays noted down until it is gone. */
		slot->flags &= (__u8)~JPX_SLOT_TC;
		datapath_put_slot(slots->dp, id, slot);
		datapath_settle();
		tc_off(slots, &former);
		slot->flags &= (__u8)~JPX_SLOT_CLSACT;
		datapath_put_slot(slots->dp, id, slot);
		return;
	}
	next->flags |= slot->flags & flags;
	if (slot->flags & JPX_SLOT_TC ||
	    (!slots->eager && slots->tc_failed[id] && now_s() - slots->tc_failed[id] < RETRY_S))
		return;
	if (tc_attach(datapath_maps(slots->dp), slot->ifindex, slot->ifname, &made, err,
		      sizeof(err))) {
		if (slots->eager || !slots->tc_failed[id])
			slots->note(slots->arg, err);
		slots->tc_failed[id] = now_s();
		return;
	}
	slots->tc_failed[id] = 0;
	next->flags |= JPX_SLOT_TC | (made ? JPX_SLOT_CLSACT : 0);
}

bool slots_settle(struct slots *slots)
{
	bool changed = slots->lifted;

	slots->lifted = false;
	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		struct jpx_slot *slot = &slots->state->slots[id], next = *slot;
		const struct netwatch_link *link;
		bool used = false;

		if (!(slot->flags & JPX_SLOT_IN_USE))
			continue;
		next.flags = JPX_SLOT_IN_USE;
		next.port_id = 0;
		link = netwatch_link_by_index(slots->nw, (int)slot->ifindex);
		if (link)
			snprintf(next.ifname, sizeof(next.ifname), "%s", link->ifname);
		for (unsigned int p = 1; p < JPX_MAX_PORTS; p++) {
			const struct jpx_port *port = &slots->state->ports[p];

			if (!(port->flags & JPX_PORT_IN_USE) || port->slot != id)
				continue;
			used = true;
			if (!table_port_is_tagged(port))
				next.port_id = (__u8)p;
		}
		for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
			const struct jpx_service *service = &slots->state->services[s];

			if (service->flags & JPX_SERVICE_IN_USE &&
			    service->tx_ifindex == slot->ifindex &&
			    table_in_fast_path(slots->state, s)) {
				used = true;
				next.flags |= JPX_SLOT_UPLINK;
			}
		}
		if (used)
			settle_tc(slots, id, &next);
		if (!used) {
			slots_drop(slots, id, true);
			changed = true;
		} else if (memcmp(slot, &next, sizeof(next))) {
			changed |= slot->flags != next.flags;
			*slot = next;
			datapath_put_slot(slots->dp, id, slot);
		}
	}
	return changed;
}

bool slots_any_native(const struct slots *slots, bool uplinks)
{
	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		const struct jpx_slot *slot = &slots->state->slots[id];

		if (slot->flags & JPX_SLOT_IN_USE && slot->engine == JPX_ENGINE_XDP_NATIVE &&
		    (!uplinks || slot->flags & JPX_SLOT_UPLINK))
			return true;
	}
	return false;
}
