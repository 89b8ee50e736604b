/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a flow, written once: found, opened, kept, ended.  Compiled into
 * the fast path over its maps, and into jpd over the same maps (finding only) or,
 * where the kernel has no BPF, over memory of its own.
 *
 * Who is whose flow is in two places.  jpx_flows holds every flow, at the slot
 * that its uplink address and port are: two flows on one port cannot be.  And each
 * pledge address has an entry that lists its slots, under a lock: two flows for
 * one key cannot be, nor more than the pledge may have.  jpx_flow_hints only helps to
 * find quickly.
 *
 * A flow's port is found by a keyed hash, so that the flow is found by it, too.  The hash names a
 * port, and that is the flow's if it is free; else it gets another one of the same group of eight,
 * or of a second group, and a byte of hash for each port, eight in one word, tells which of them to
 * look at.  So most packets touch no table but their own flow: where there are a million, each
 * look at memory that was not used lately costs 100 to 200 ns.
 *
 * Any number of CPUs may do anything here at once.  What one of them begins it
 * must finish: in BPF nothing interrupts it for good.  So jpd never opens or ends
 * a flow of the maps by itself: it asks a program to (bpf/flows.bpf.c).
 *
 * The includer provides, before it includes this (each look-up returns NULL where there
 * is no such entry):
 *   const struct jpx_flow_config *jpx_flow_config_get(void);
 *   struct jpx_service *jpx_service_at(service_id);
 *   struct jpx_port *jpx_port_at(port_id);
 *   struct jpx_flow *jpx_flow_at(slot);
 *   struct jpx_uplink *jpx_uplink_at(place);
 *   __u64 *jpx_flow_hint_at(index);
 *   __u32 *jpx_flow_count_at(port_id);
 *   struct jpx_refusals *jpx_refusals_at(port_id);
 *   struct jpx_pledge_flows *jpx_pledge_find(key);
 *   int jpx_pledge_make(key);	0, also where it has just been made
 *   int jpx_pledge_remove(key);	0, or it is still there
 *   void jpx_pledge_lock(pledge_flows), jpx_pledge_unlock(pledge_flows);
 *   __u32 jpx_flow_random(void);
 *   __u32 jpx_clock_set(void);	the tick it is
 *   jpx_flow_ctx, and int jpx_port_is_held(ctx, service, uplink, udp_port);
 *					by a socket of this host
 *   jpx_flow_repeat(times, callback, arg);	until callback(i, arg) returns 1
 *   JPX_OUTLINE	before the return type of what is to be a function of its own; the
 *			verifier looks at each of them once, wherever they are called from
 */
#ifndef JPX_FLOW_H
#define JPX_FLOW_H

#include "abi.h"
#include "flow_tables.h"

#define JPX_FLOW_PROBES 512 /* ports that are looked at for a free one */
#define JPX_FLOW_TRIES	4   /* when another CPU was faster */

/* Newcomers that are told of their refusal in one tick, for one pledge port: about 100 a second. */
#define JPX_REFUSALS_A_TICK 7

#define JPX_NO_SLOT 0xffffffffU

/* Where each packet goes: a call costs 5 to 8 ns there (bpf/parse.h). */
#define JPX_HOT static inline __attribute__((always_inline))

/* What jpx_flow_open() returns besides a slot: the negative of a drop reason, or this. */
#define JPX_FLOW_OPEN_BUSY (-1000)

/* state and last of a flow as one word, for compare-and-swap. */
static inline __u64 jpx_flow_word(__u32 state, __u32 last)
{
	return (__u64)last << 32 | state;
}

static inline __u64 *jpx_flow_word_of(struct jpx_flow *flow)
{
	return (__u64 *)flow;
}

static inline int jpx_flow_swap(struct jpx_flow *flow, __u64 from, __u64 to)
{
	return __sync_val_compare_and_swap(jpx_flow_word_of(flow), from, to) == from;
}

static inline __u64 jpx_flow_hash(const struct jpx_flow_config *cfg, const struct jpx_flow_key *key)
{
	const __u64 *k = (const __u64 *)key;
	__u64 h = (k[0] ^ cfg->secret) * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 32 ^ k[1]) * 0xbf58476d1ce4e5b9ULL;
	return h ^ h >> 29;
}

static inline int jpx_flow_has_key(const struct jpx_flow *flow, const struct jpx_flow_key *key)
{
	const __u64 *a = (const __u64 *)&flow->key, *b = (const __u64 *)key;

	return a[0] == b[0] && a[1] == b[1];
}

/* Has a port that rests since tick LAST rested long enough?  LAST may be ahead, as above: then
 * whoever ended the flow is perhaps not done with it. */
static inline int jpx_flow_has_rested(const struct jpx_flow_config *cfg, __u32 last, __u32 now)
{
	return now - last >= cfg->rest && now - last < 0x80000000U;
}

/* A datagram goes through FLOW now. */
static inline void jpx_flow_touch(struct jpx_flow *flow, __u32 now)
{
	if (flow->last != now)
		flow->last = now;
}

/* Where a flow may be: a group of ports, and which of them it would rather have. */
struct jpx_home {
	__u32 place; /* in jpx_uplinks */
	__u32 group;
	__u32 port; /* of the group, 0 to 7 */
};

/* The first (WHICH 0) or second home of flows with HASH among the uplinks of SERVICE. */
static inline struct jpx_home jpx_flow_home(const struct jpx_flow_config *cfg,
					    const struct jpx_service *service, __u64 hash,
					    __u32 which)
{
	__u32 h = (__u32)(hash >> (which ? 24 : 0)), nth;
	struct jpx_home home;

	nth = (h >> 16 & 0xff) * service->uplink_count >> 8;
	home.place = service->uplinks[nth & (JPX_SERVICE_UPLINKS - 1)];
	home.group = (h & 0xffff) * cfg->port_groups >> 16;
	home.port = (__u32)(hash >> 56) & (JPX_GROUP - 1);
	return home;
}

/* The byte of hash that stands for a flow; of bits that the homes do not use. */
static inline __u8 jpx_flow_tag(__u64 hash)
{
	__u8 tag = (__u8)(hash >> 48);

	return tag ? tag : 1;
}

/* The lowest bit of each byte that is 0 in X is set at its top; above the first such byte
 * others may be, too. */
static inline __u64 jpx_zero_bytes(__u64 x)
{
	return (x - 0x0101010101010101ULL) & ~x & 0x8080808080808080ULL;
}

/* Which byte the lowest bit that is set in TOPS, the top bit of one, is in. */
static inline __u32 jpx_first_byte(__u64 tops)
{
	return (__u32)(((tops & -tops) >> 7) * 0x0001020304050607ULL >> 56);
}

/* Is FLOW, if there is one, alive and for KEY? */
JPX_HOT int jpx_flow_serves(const struct jpx_flow_config *cfg, const struct jpx_flow *flow,
			    const struct jpx_flow_key *key, __u32 now)
{
	return flow && jpx_flow_has_key(flow, key) && flow->state == JPX_FLOW_LIVE &&
	       !jpx_flow_is_over(cfg, flow->last, now);
}

JPX_HOT __u32 jpx_home_slot(const struct jpx_flow_config *cfg, const struct jpx_home *home)
{
	return home->place * cfg->port_count + home->group * JPX_GROUP;
}

/* The flow with KEY, if it is at HOME. */
JPX_HOT struct jpx_flow *jpx_flow_at_home(const struct jpx_flow_config *cfg,
					  const struct jpx_home *home, __u8 tag,
					  const struct jpx_flow_key *key, __u32 now)
{
	__u64 *hint = jpx_flow_hint_at(home->place * cfg->port_groups + home->group), found;
	__u32 first = jpx_home_slot(cfg, home);
	struct jpx_flow *flow;

	if (!hint)
		return 0;
	found = jpx_zero_bytes(*hint ^ tag * 0x0101010101010101ULL);
	/* Two flows of eight with one tag are rare, three are left to who looks at all. */
	for (int i = 0; i < 2 && found; i++) {
		flow = jpx_flow_at(first + jpx_first_byte(found));
		if (jpx_flow_serves(cfg, flow, key, now))
			return flow;
		found &= found - 1;
	}
	return 0;
}

/* The flow with KEY, of SERVICE, if it is at one of its homes; the hot path. */
JPX_HOT struct jpx_flow *jpx_flow_recall(const struct jpx_flow_config *cfg,
					 const struct jpx_service *service,
					 const struct jpx_flow_key *key, __u32 now)
{
	__u64 hash = jpx_flow_hash(cfg, key);
	struct jpx_home home = jpx_flow_home(cfg, service, hash, 0);
	struct jpx_flow *flow;

	if (!cfg->port_groups)
		return 0;
	flow = jpx_flow_at(jpx_home_slot(cfg, &home) + home.port);
	if (jpx_flow_serves(cfg, flow, key, now))
		return flow;
	flow = jpx_flow_at_home(cfg, &home, jpx_flow_tag(hash), key, now);
	if (flow)
		return flow;
	home = jpx_flow_home(cfg, service, hash, 1);
	return jpx_flow_at_home(cfg, &home, jpx_flow_tag(hash), key, now);
}

/* Lets jpx_flow_recall() find FLOW, at SLOT, by TAG (in vain where it is not at home), or with 0
 * not look at it again: else the next flow of the same pledge would be looked for among its former
 * ports, too. */
static inline void jpx_flow_note(const struct jpx_flow_config *cfg, const struct jpx_flow *flow,
				 __u32 slot, __u8 tag)
{
	__u32 offset = slot - flow->uplink * cfg->port_count, group = offset / JPX_GROUP;
	__u64 *hint = jpx_flow_hint_at(flow->uplink * cfg->port_groups + group);
	__u8 *at = (__u8 *)hint + (offset & (JPX_GROUP - 1));

	if (hint && group < cfg->port_groups && *at != tag)
		*at = tag;
}

/* ---- a pledge's entry ----------------------------------------------------- */

static inline void jpx_pledge_key_of(const struct jpx_flow_key *key, struct jpx_pledge_key *pk)
{
	__u64 *k = (__u64 *)pk;

	k[0] = key->pledge;
	k[1] = 0;
	pk->port_id = key->port_id;
	pk->kind = key->kind & JPX_FLOW_IPV4;
}

/* Is P, locked, still KEY's, and not being removed? */
static inline int jpx_pledge_is(const struct jpx_pledge_flows *p, const struct jpx_pledge_key *key)
{
	const volatile __u64 *a = (const volatile __u64 *)&p->key;
	const __u64 *b = (const __u64 *)key;

	/* In this order: see there. */
	return !*(const volatile __u8 *)&p->dead && a[0] == b[0] && a[1] == b[1];
}

/* What tells the flows of one pledge address apart, as one word. */
static inline __u32 jpx_pledge_flow_of(const struct jpx_flow_key *key)
{
	return (__u32)key->udp_port | (__u32)key->service_id << 16 | (__u32)key->kind << 24;
}

enum {
	JPX_VISIT_NONE = -1,
	JPX_VISIT_STALE = -2, /* the entry is being removed: look again */
	JPX_VISIT_LIMIT = -3,
};

/* 1 for 0, 0 for any other number: without a branch, of which each would double what the
 * verifier has to walk through. */
static inline __u32 jpx_is_zero(__u32 x)
{
	return (__u32)((__u64)((__u64)x - 1) >> 63);
}

/*
 * The slot that the pledge's entry lists for KEY.  If it lists none: adds ADD, where that is a
 * slot and the pledge may have one more.  NONE: it did not list one, but ADD is there now.
 */
JPX_OUTLINE long jpx_pledge_visit(const struct jpx_flow_key *key, __u32 limit, __u32 add)
{
	struct jpx_pledge_flows *p;
	struct jpx_pledge_key pk;
	long found = JPX_VISIT_NONE;
	__u32 used, n = 0, slot = 0, hits = 0, which, room, at;

	if (!key)
		return JPX_VISIT_STALE;
	jpx_pledge_key_of(key, &pk);
	p = jpx_pledge_find(&pk);
	if (!p)
		return add == JPX_NO_SLOT ? JPX_VISIT_NONE : JPX_VISIT_STALE;
	which = jpx_pledge_flow_of(key);
	jpx_pledge_lock(p);
	if (!jpx_pledge_is(p, &pk)) {
		found = JPX_VISIT_STALE;
		goto out;
	}
	used = p->used;
	for (__u32 i = 0; i < JPX_PLEDGE_FLOWS; i++) {
		__u32 in_use = used >> i & 1, hit = jpx_is_zero(p->flow[i].which ^ which) & in_use;

		n += in_use;
		hits |= hit;
		slot |= p->flow[i].slot & -hit;
	}
	if (hits) {
		found = slot;
		goto out;
	}
	room = ~used & (used + 1) & 0xff; /* its lowest bit that is not set */
	if (n >= limit || !room) {
		found = JPX_VISIT_LIMIT;
		goto out;
	}
	if (add == JPX_NO_SLOT)
		goto out;
	at = ((room & 0xaa) + 255) >> 8 | ((room & 0xcc) + 255) >> 8 << 1 |
	     ((room & 0xf0) + 255) >> 8 << 2;
	/* The compiler knows that this is so and would leave it out; kernel 6.1 does not. */
	__asm__ volatile("" : "+r"(at));
	at &= JPX_PLEDGE_FLOWS - 1;
	p->flow[at].slot = add;
	p->flow[at].which = which;
	p->used = (__u8)(used | room);
out:
	jpx_pledge_unlock(p);
	return found;
}

/* Takes SLOT out of the pledge's entry (JPX_NO_SLOT: nothing), and the entry out of the map if
 * it lists nothing more. */
JPX_OUTLINE int jpx_pledge_leave(const struct jpx_flow_key *key, __u32 slot)
{
	struct jpx_pledge_flows *p;
	struct jpx_pledge_key pk;
	__u32 used, empty = 0;

	if (!key)
		return 0;
	jpx_pledge_key_of(key, &pk);
	p = jpx_pledge_find(&pk);
	if (!p)
		return 0;
	jpx_pledge_lock(p);
	if (jpx_pledge_is(p, &pk)) {
		used = p->used;
		for (__u32 i = 0; i < JPX_PLEDGE_FLOWS; i++)
			used &= ~(jpx_is_zero(p->flow[i].slot ^ slot) << i);
		p->used = (__u8)used;
		/* From here on nobody adds to it: it can be removed without the lock. */
		empty = jpx_is_zero(used & 0xff);
		p->dead = (__u8)empty;
	}
	jpx_pledge_unlock(p);
	/* A map may refuse (the CPU was interrupted in the midst of a change of it): then the entry
	 * lives on, empty, until the pledge's next flow ends. */
	if (empty && jpx_pledge_remove(&pk)) {
		jpx_pledge_lock(p);
		p->dead = 0;
		jpx_pledge_unlock(p);
	}
	return (int)empty;
}

/* ---- the end of a flow ------------------------------------------------------ */

static inline void jpx_flow_uncount(__u32 port_id)
{
	__u32 *count = jpx_flow_count_at(port_id), *all = jpx_flow_count_at(0);

	if (count)
		__sync_fetch_and_add(count, -1U);
	if (all)
		__sync_fetch_and_add(all, -1U);
}

/* Ends the flow at SLOT if it is still as it was when WORD was read from it. */
JPX_OUTLINE int jpx_flow_end(__u32 slot, __u64 word, __u32 now)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	struct jpx_flow *flow = jpx_flow_at(slot);
	struct jpx_flow_key key;

	if (!cfg || !flow || !jpx_flow_swap(flow, word, jpx_flow_word(JPX_FLOW_RESTING, now)))
		return 0;
	/* It rests: its key stays as it is until all of this is done. */
	key = flow->key;
	jpx_flow_note(cfg, flow, slot, 0);
	jpx_pledge_leave(&key, slot);
	jpx_flow_uncount(key.port_id);
	return 1;
}

/* Ends the flow at SLOT if it is over by its time.  One step of the sweep. */
static inline int jpx_flow_sweep(const struct jpx_flow_config *cfg, __u32 slot, __u32 now)
{
	struct jpx_flow *flow = jpx_flow_at(slot);
	__u64 word;

	if (!flow)
		return 0;
	word = *(volatile __u64 *)jpx_flow_word_of(flow);
	if ((__u32)word != JPX_FLOW_LIVE || !jpx_flow_is_over(cfg, (__u32)(word >> 32), now))
		return 0;
	return jpx_flow_end(slot, word, now);
}

/* ---- the beginning of one ----------------------------------------------------- */

struct jpx_flow_search {
	struct jpx_home home[2];

	__u32 service_id, now;
	__u32 nth, offset; /* which of the service's uplinks, and which of its ports, is next */
	__u32 slot;	   /* JPX_NO_SLOT until one is claimed */
	__u32 place;
};

static long jpx_flow_probe(__u32 i, struct jpx_flow_search *s)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	const struct jpx_service *service = jpx_service_at(s->service_id);
	struct jpx_uplink *uplink;
	struct jpx_flow *flow;
	__u32 place, slot, state, last;
	__u64 word;

	if (!cfg || !service)
		return 1;
	if (i < 2 * JPX_GROUP) {
		struct jpx_home home = s->home[i / JPX_GROUP];

		if (!cfg->port_groups)
			return 0;
		place = home.place;
		slot = jpx_home_slot(cfg, &home) + ((home.port + i) & (JPX_GROUP - 1));
	} else {
		place = service->uplinks[s->nth & (JPX_SERVICE_UPLINKS - 1)];
		slot = place * cfg->port_count + s->offset;
		/* Every uplink's port of this number, then the next number. */
		if (++s->nth >= service->uplink_count) {
			s->nth = 0;
			if (++s->offset >= cfg->port_count)
				s->offset = 0;
		}
	}
	uplink = jpx_uplink_at(place);
	flow = jpx_flow_at(slot);
	if (!uplink || !flow || !(uplink->flags & JPX_UPLINK_READY))
		return 0;
	word = *(volatile __u64 *)jpx_flow_word_of(flow);
	state = (__u32)word;
	last = (__u32)(word >> 32);
	if (state != JPX_FLOW_FREE &&
	    (state != JPX_FLOW_RESTING || !jpx_flow_has_rested(cfg, last, s->now)))
		return 0;
	if (!jpx_flow_swap(flow, word, jpx_flow_word(JPX_FLOW_CLAIMED, s->now)))
		return 0;
	s->slot = slot;
	s->place = place;
	return 1;
}

/*
 * A slot for nobody else, for a flow with HASH: at one of its homes (RFC 6056 3.3.3: not to be
 * guessed without the secret), else the next free one from a random port onwards (3.3.1).
 * JPX_NO_SLOT: none is free.
 */
JPX_OUTLINE __u32 jpx_flow_claim(jpx_flow_ctx *ctx, __u32 service_id, __u64 hash, __u32 now)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	const struct jpx_service *service = jpx_service_at(service_id);
	struct jpx_flow_search s = { .service_id = service_id, .now = now };
	struct jpx_uplink *uplink;
	struct jpx_flow *flow;
	__be16 udp_port;

	if (!cfg || !service || !service->uplink_count || !cfg->port_count)
		return JPX_NO_SLOT;
	s.home[0] = jpx_flow_home(cfg, service, hash, 0);
	s.home[1] = jpx_flow_home(cfg, service, hash, 1);
	s.nth = jpx_flow_random() % service->uplink_count;
	s.offset = jpx_flow_random() % cfg->port_count;
	for (int held = 0; held < JPX_FLOW_TRIES; held++) {
		s.slot = JPX_NO_SLOT;
		jpx_flow_repeat(2 * JPX_GROUP + JPX_FLOW_PROBES, jpx_flow_probe, &s);
		flow = jpx_flow_at(s.slot);
		uplink = jpx_uplink_at(s.place);
		if (!flow || !uplink)
			return JPX_NO_SLOT;
		udp_port = __builtin_bswap16(
			(__u16)(cfg->first_port + s.slot - s.place * cfg->port_count));
		if (!jpx_port_is_held(ctx, service, uplink, udp_port)) {
			flow->uplink = (__u8)s.place;
			flow->uplink_port = udp_port;
			return s.slot;
		}
		*(volatile __u64 *)jpx_flow_word_of(flow) = jpx_flow_word(JPX_FLOW_LOCAL, now);
	}
	return JPX_NO_SLOT;
}

/* The flow that is listed for KEY at SLOT, alive again if its time was over but nobody has
 * ended it yet; 0 if it is ending. */
static inline int jpx_flow_revive(const struct jpx_flow_key *key, __u32 slot, __u32 now)
{
	struct jpx_flow *flow = jpx_flow_at(slot);
	__u64 word;

	if (!flow)
		return 0;
	word = *(volatile __u64 *)jpx_flow_word_of(flow);
	return (__u32)word == JPX_FLOW_LIVE && jpx_flow_has_key(flow, key) &&
	       ((__u32)(word >> 32) == now ||
		jpx_flow_swap(flow, word, jpx_flow_word(JPX_FLOW_LIVE, now)) ||
		*(volatile __u32 *)&flow->state == JPX_FLOW_LIVE);
}

/* Ends those of the pledge's flows whose time is over.  Returns how many. */
JPX_OUTLINE int jpx_pledge_reap(const struct jpx_flow_key *key, __u32 now)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	struct jpx_pledge_flows *p;
	struct jpx_pledge_key pk;
	int ended = 0;

	if (!key || !cfg)
		return 0;
	jpx_pledge_key_of(key, &pk);
	p = jpx_pledge_find(&pk);
	if (!p)
		return 0;
	/* Read without the lock: what it names may be another's by now, but if its time is
	 * over then it may be ended all the same. */
	for (__u32 i = 0; i < JPX_PLEDGE_FLOWS; i++)
		if (p->used >> i & 1)
			ended += jpx_flow_sweep(cfg, *(volatile __u32 *)&p->flow[i].slot, now);
	return ended;
}

/* Takes a place among the flows of the port and of all: 0, or the reason why not. */
static inline int jpx_flow_count_in(const struct jpx_flow_config *cfg, __u32 port_id)
{
	__u32 *count = jpx_flow_count_at(port_id), *all = jpx_flow_count_at(0), limit;
	const struct jpx_port *port = jpx_port_at(port_id);

	if (!count || !all || !port)
		return JPX_DROP_FLOWS_FULL;
	limit = port->max_flows ? port->max_flows : cfg->per_port;
	/* A look first: refused newcomers must not fight for the counter's cache line. */
	if (*(volatile __u32 *)count >= limit)
		return JPX_DROP_FLOWS_PER_PORT;
	if (*(volatile __u32 *)all >= cfg->max)
		return JPX_DROP_FLOWS_FULL;
	if (__sync_fetch_and_add(count, 1) >= limit) {
		__sync_fetch_and_add(count, -1U);
		return JPX_DROP_FLOWS_PER_PORT;
	}
	if (__sync_fetch_and_add(all, 1) >= cfg->max) {
		jpx_flow_uncount(port_id);
		return JPX_DROP_FLOWS_FULL;
	}
	return 0;
}

/* A flow for KEY, which none is listed for.  Its slot; JPX_FLOW_OPEN_BUSY: another CPU was
 * faster; or a negative drop reason. */
JPX_OUTLINE long jpx_flow_begin(jpx_flow_ctx *ctx, const struct jpx_flow_key *key, __u64 mac,
				__u32 now)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	struct jpx_pledge_key pk;
	struct jpx_flow *flow;
	__u32 slot;
	long listed;
	__u64 word;
	int reason;

	if (!key || !cfg)
		return -JPX_DROP_FLOWS_FULL;
	reason = jpx_flow_count_in(cfg, key->port_id);
	if (reason)
		return -reason;
	jpx_pledge_key_of(key, &pk);
	if (jpx_pledge_make(&pk)) {
		jpx_flow_uncount(key->port_id);
		return -JPX_DROP_FLOWS_FULL;
	}
	slot = jpx_flow_claim(ctx, key->service_id, jpx_flow_hash(cfg, key), now);
	flow = jpx_flow_at(slot);
	if (!flow) {
		jpx_flow_uncount(key->port_id);
		jpx_pledge_leave(key, JPX_NO_SLOT);
		return -JPX_DROP_NO_UPLINK_PORT;
	}
	flow->key = *key;
	flow->mac = mac;
	flow->created = now;
	flow->to_registrar = flow->to_pledge = 0;
	/* Alive before it is listed: who finds it there may use it.  And may end it, from here on.
	 */
	*(volatile __u64 *)jpx_flow_word_of(flow) = jpx_flow_word(JPX_FLOW_LIVE, now);
	listed = jpx_pledge_visit(key, cfg->per_pledge, slot);
	word = *(volatile __u64 *)jpx_flow_word_of(flow);
	if (listed == JPX_VISIT_NONE) {
		if ((__u32)word == JPX_FLOW_LIVE)
			return slot;
		/* Who ended it has uncounted it, but perhaps did not find it listed yet. */
		jpx_pledge_leave(key, slot);
		return JPX_FLOW_OPEN_BUSY;
	}
	/* Nobody knows it, and the port is free again; unless a hint from an earlier life of this
	 * very flow led to it. */
	if (jpx_flow_swap(flow, jpx_flow_word(JPX_FLOW_LIVE, now), jpx_flow_word(JPX_FLOW_FREE, 0)))
		jpx_flow_uncount(key->port_id);
	else if ((__u32)word == JPX_FLOW_LIVE)
		jpx_flow_end(slot, word, now);
	return JPX_FLOW_OPEN_BUSY;
}

/*
 * The slot of the flow for KEY, opened if there is none: then MAC is the pledge's, 0 where it is
 * not known.  Else a negative drop reason, or JPX_FLOW_OPEN_BUSY.
 */
JPX_OUTLINE long jpx_flow_open(jpx_flow_ctx *ctx, const struct jpx_flow_key *key, __u64 mac)
{
	const struct jpx_flow_config *cfg = jpx_flow_config_get();
	long slot = JPX_FLOW_OPEN_BUSY;
	__u32 now = jpx_clock_set();
	struct jpx_flow *flow;

	if (!key || !cfg)
		return -JPX_DROP_FLOWS_FULL;
	for (int tries = 0; tries < JPX_FLOW_TRIES && slot == JPX_FLOW_OPEN_BUSY; tries++) {
		long listed = jpx_pledge_visit(key, cfg->per_pledge, JPX_NO_SLOT);

		if (listed >= 0 && jpx_flow_revive(key, (__u32)listed, now))
			slot = listed;
		else if (listed == JPX_VISIT_LIMIT && !jpx_pledge_reap(key, now))
			return -JPX_DROP_FLOWS_PER_PLEDGE;
		else if (listed == JPX_VISIT_NONE)
			slot = jpx_flow_begin(ctx, key, mac, now);
	}
	if (slot < 0)
		return slot;
	flow = jpx_flow_at((__u32)slot);
	if (flow)
		jpx_flow_note(cfg, flow, (__u32)slot, jpx_flow_tag(jpx_flow_hash(cfg, key)));
	return slot;
}

/* One more in this tick, or have there been enough?  Not exact between CPUs, and need not be. */
static inline int jpx_refusals_take(struct jpx_refusals *r, __u32 now)
{
	if (r->tick != now) {
		r->tick = now;
		r->count = 0;
	}
	return r->count++ < JPX_REFUSALS_A_TICK;
}

/* May this pledge port's newcomer be told that it was refused? */
static inline int jpx_may_refuse(__u32 port_id, __u32 now)
{
	struct jpx_refusals *r = jpx_refusals_at(port_id);

	return r && jpx_refusals_take(r, now);
}

#endif
