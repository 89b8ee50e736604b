/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stateful mode on two CPUs at once: datagrams of one new flow at the same
 * moment, newcomers that compete for the last of something, and flows that are
 * opened here while they are ended there.  What is checked is what must be true
 * whoever came first.
 *
 * Needs two CPUs to mean anything; with one all of it is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fixture.h"
#include "flow_fixture.h"
#include "frame.h"
#include "groups.h"
#include "verdict.h"

/* ---- two at once ----------------------------------------------------------------- */

/* Chance of a thread's own. */
static _Thread_local uint64_t luck;

static uint32_t pick(uint32_t n)
{
	luck ^= luck >> 12;
	luck ^= luck << 25;
	luck ^= luck >> 27;
	return (uint32_t)((luck * 0x2545f4914f6cdd1dULL >> 32) % n);
}

static atomic_uint here, gone;

/* Waits for the other one, and then goes on at the same moment as it does. */
static void meet(void)
{
	unsigned int turn = atomic_load(&gone);

	if (atomic_fetch_add(&here, 1) == 1) {
		atomic_store(&here, 0);
		atomic_fetch_add(&gone, 1);
		return;
	}
	for (unsigned int spins = 0; atomic_load(&gone) == turn; spins++)
		if (spins > 20000) /* the other one has no CPU now */
			sched_yield();
}

/* A moment of any length up to that of the opening of a flow: who is first must vary. */
static void dither(void)
{
	for (volatile uint32_t n = pick(2) ? 0 : pick(1500); n; n--)
		;
}

struct racer {
	int me; /* 0 or 1 */
	uint64_t seed;
	void (*race)(int me);
};

static void *racing(void *arg)
{
	const struct racer *r = arg;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(r->me, &cpu);
	pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	luck = r->seed | 1;
	r->race(r->me);
	return NULL;
}

/* RACE on CPU 0 and CPU 1. */
static void on_two_cpus(void (*race)(int me))
{
	struct racer racers[2] = { { 0, rnd(), race }, { 1, rnd(), race } };
	pthread_t threads[2];
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) || !CPU_ISSET(0, &cpus) ||
	    !CPU_ISSET(1, &cpus)) {
		print_message("CPUs 0 and 1 are not both there\n");
		skip();
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, racing, &racers[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* All ways out are open. */
static void tx_all(bool on)
{
	uint32_t ifindex = FX_IFINDEX_IN;

	fx_tx_only(0);
	for (uint32_t key = 1; key < JPX_TX_COUNT; key++) {
		if (on)
			assert_int_equal(bpf_map_update_elem(fx_map("jpx_tx"), &key, &ifindex, 0),
					 0);
		else
			bpf_map_delete_elem(fx_map("jpx_tx"), &key);
	}
}

/* ---- a datagram ---------------------------------------------------------------------- */

static const uint8_t content[] = { 22, 0xfe, 0xfd, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

struct shot {
	struct frame_spec spec;
	struct jpx_flow_key key;
	int verdict;
	uint8_t out[FRAME_MAX];
	size_t out_len;
};

static void aim(struct shot *s, uint8_t port, uint32_t service, bool v4, uint32_t pledge,
		uint16_t udp_port)
{
	ff_from_pledge(port, service, v4, &s->spec);
	s->spec.src[13] = v4 ? 254 : (uint8_t)(pledge >> 16);
	s->spec.src[14] = (uint8_t)(v4 ? 1 + pledge / 256 % 250 : pledge / 256);
	s->spec.src[15] = (uint8_t)pledge;
	s->spec.sport = udp_port;
	s->spec.content = content;
	s->spec.content_len = sizeof(content);
	s->key = ff_key(&s->spec, port, service);
}

static void shoot(struct shot *s)
{
	uint8_t in[FRAME_MAX];
	size_t len = frame_build(&s->spec, in);

	s->verdict = fx_run(fx_ports[s->key.port_id].slot, in, len, 0, s->out, &s->out_len);
}

/* Is what came out right, for a flow at some port of some address?  Its slot. */
static bool left_from(const struct shot *s, uint32_t *slot)
{
	struct jpx_flow flow = { .key = s->key };
	uint8_t want[FRAME_MAX];
	struct frame_spec to;
	const uint8_t *ip = s->out + fx_services[s->key.service_id].l2_len;
	bool v4 = *ip >> 4 == 4;
	const uint8_t *udp = ip + (v4 ? 20 : 40);
	unsigned int sport = (unsigned int)udp[0] << 8 | udp[1];
	size_t want_len;

	for (uint32_t place = 0; place < FF_UPLINKS; place++) {
		flow.uplink = (uint8_t)place;
		flow.uplink_port = htons((uint16_t)sport);
		ff_to_registrar(&flow, &s->spec, &to);
		want_len = frame_build(&to, want);
		if (s->out_len != want_len || memcmp(s->out, want, want_len))
			continue;
		*slot = place * ff_config.port_count + sport - ff_config.first_port;
		return sport - ff_config.first_port < ff_config.port_count;
	}
	return false;
}

/* ---- one new key ---------------------------------------------------------------------- */

#define SAME_ROUNDS 30000

static struct shot shots[2];

static void check_same(int round)
{
	uint32_t slots[2] = { 0 }, at = 0;
	int n;

	for (int i = 0; i < 2; i++) {
		if (shots[i].verdict != XDP_REDIRECT)
			fail_row("one new flow", "verdict", shots[i].verdict, XDP_REDIRECT);
		else if (!left_from(&shots[i], &slots[i]))
			fail_row("one new flow", "what came out is right", 0, 1);
	}
	if (slots[0] != slots[1])
		fail_row("one new flow", "the other datagram's port", slots[1], slots[0]);
	n = ff_find(&shots[0].key, &at);
	if (n != 1)
		fail_row("one new flow", "flows", n, 1);
	else if (at != slots[0])
		fail_row("one new flow", "the flow's slot", at, slots[0]);
	if (round % 200)
		return;
	ff_audit("one new flow");
	ff_reset(128, 0, 0, 0);
}

static void race_same(int me)
{
	for (int round = 1; round <= SAME_ROUNDS && failures < 40; round++) {
		/* Every other time the pledge has one already: its entry is there. */
		aim(&shots[me], FX_PORT_DUAL, FX_SVC_FLOW, round & 2, (uint32_t)round / 4,
		    (uint16_t)(1000 + round));
		meet();
		dither();
		shoot(&shots[me]);
		meet();
		if (!me)
			check_same(round);
		meet();
	}
}

static void test_same_key(void **state)
{
	(void)state;
	ff_reset(128, 0, 0, 0);
	tx_all(true);
	on_two_cpus(race_same);
	tx_all(false);
	ff_end_all();
	assert_int_equal(ff_audit("one new flow, ended"), 0);
	assert_int_equal(ff_pledges(), 0);
	done();
}

/* ---- the last of something -------------------------------------------------------------- */

#define LAST_ROUNDS 6000

static enum { LAST_PORT, LAST_OF_PLEDGE, LAST_OF_PORT, LAST_OF_ALL, LASTS } last_of;
static const char *const last_names[] = { "the last free port", "the last of a pledge",
					  "the last of a port", "the last of all" };

static void check_last(void)
{
	const char *name = last_names[last_of];
	uint32_t slot, at, live = 0;
	int won = 0, n;

	for (int i = 0; i < 2; i++) {
		n = ff_find(&shots[i].key, &at);
		if (shots[i].verdict == XDP_REDIRECT) {
			won++;
			if (n != 1 || !left_from(&shots[i], &slot) || slot != at)
				fail_row(name, "flows of who got it", n, 1);
		} else if (n || (shots[i].verdict != XDP_DROP && shots[i].verdict != XDP_PASS)) {
			fail_row(name, "flows of who did not", n, 0);
		}
	}
	if (won != 1)
		fail_row(name, "how many got it", won, 1);
	for (uint32_t i = 0; i < ff_config.slots; i++)
		live += ff_flows[i].state == JPX_FLOW_LIVE;
	if (live != 4 || ff_count(0) != 4 || ff_count(FX_PORT_DUAL) != 4)
		fail_row(name, "flows", live, 4);
	for (int i = 0; i < 2; i++)
		if (ff_find(&shots[i].key, &at)) {
			ff_end(&(struct jpx_flow_request){ .match = JPX_MATCH_SLOT, .slot = at });
			ff_rest(at);
		}
}

static void race_last(int me)
{
	for (int round = 1; round <= LAST_ROUNDS && failures < 40; round++) {
		uint32_t pledge = last_of == LAST_OF_PLEDGE ? 9 : 100 + (uint32_t)me;

		aim(&shots[me], FX_PORT_DUAL, FX_SVC_FLOW, false, pledge,
		    (uint16_t)(2000 + 2 * round + me));
		meet();
		dither();
		shoot(&shots[me]);
		meet();
		if (!me) {
			check_last();
			if (!(round % 500))
				ff_audit(last_names[last_of]);
		}
		meet();
	}
}

static void test_last(void **state)
{
	static const uint8_t place = FF_UPLINK_C;
	uint8_t places[JPX_SERVICE_UPLINKS], count = fx_services[FX_SVC_FLOW].uplink_count;
	struct shot s;

	(void)state;
	memcpy(places, fx_services[FX_SVC_FLOW].uplinks, sizeof(places));
	tx_all(true);
	for (last_of = 0; last_of < LASTS; last_of++) {
		if (last_of == LAST_PORT)
			ff_leave_from(FX_SVC_FLOW, &place, 1);
		ff_reset(last_of == LAST_PORT ? 4 : 64, last_of == LAST_OF_PLEDGE ? 4 : 0,
			 last_of == LAST_OF_PORT ? 4 : 0, last_of == LAST_OF_ALL ? 4 : 0);
		for (uint32_t i = 0; i < 3; i++) {
			aim(&s, FX_PORT_DUAL, FX_SVC_FLOW, false, 9, (uint16_t)(1000 + i));
			shoot(&s);
			assert_int_equal(s.verdict, XDP_REDIRECT);
		}
		on_two_cpus(race_last);
		ff_leave_from(FX_SVC_FLOW, places, count);
		assert_int_equal(ff_end_all(), 3);
		assert_int_equal(ff_audit(last_names[last_of]), 0);
		assert_int_equal(ff_pledges(), 0);
	}
	tx_all(false);
	done();
}

/* ---- opened here, ended there -------------------------------------------------------------- */

#define MIX_BATCHES 60
#define MIX_STEPS   1500

static int mix; /* which of them */
static atomic_uint relayed, refused, ended, missed;

/* Datagrams of a few pledges; what comes out must be of a flow of theirs. */
static void open_one(void)
{
	static const uint8_t services[] = { FX_SVC_FLOW, FX_SVC_FLOW_4 };
	struct shot s;
	uint32_t slot, tick = ff_tick();

	aim(&s, FX_PORT_DUAL, services[pick(2)], pick(2), pick(4), (uint16_t)(1000 + pick(3)));
	shoot(&s);
	if (s.verdict == XDP_PASS || s.verdict == XDP_DROP) {
		atomic_fetch_add(&refused, 1);
		return;
	}
	if (s.verdict != XDP_REDIRECT || !left_from(&s, &slot)) {
		fail_row("opened and ended", "what came out is right", s.verdict, XDP_REDIRECT);
		return;
	}
	atomic_fetch_add(&relayed, 1);
	/* It may have ended since, but its port rests. */
	if (memcmp(&ff_flows[slot].key, &s.key, sizeof(s.key)) ||
	    (ff_flows[slot].state != JPX_FLOW_LIVE && ff_flows[slot].state != JPX_FLOW_RESTING)) {
		if (ff_tick() - tick < ff_config.rest - 1)
			fail_row("opened and ended", "the port is the pledge's", 0, 1);
		else
			atomic_fetch_add(&missed, 1);
	}
}

/* Its time is over, if it is alive: as if nobody had used it for long. */
static void age_one(void)
{
	struct jpx_flow *flow = &ff_flows[pick(ff_config.slots)];
	uint64_t *word = (uint64_t *)flow;
	uint64_t is = *(volatile uint64_t *)word;
	uint64_t over = (uint64_t)(ff_tick() - ff_config.idle - 5) << 32 | JPX_FLOW_LIVE;

	if ((uint32_t)is == JPX_FLOW_LIVE)
		__sync_bool_compare_and_swap(word, is, over);
}

static void end_some(void)
{
	struct jpx_flow_request m = { 0 };
	struct shot s;

	aim(&s, FX_PORT_DUAL, pick(2) ? FX_SVC_FLOW : FX_SVC_FLOW_4, pick(2), pick(4),
	    (uint16_t)(1000 + pick(3)));
	m.key = s.key;
	m.match = pick(4) ? JPX_MATCH_PLEDGE : JPX_MATCH_SERVICE;
	m.match |= pick(2) ? JPX_MATCH_UDP_PORT : 0;
	atomic_fetch_add(&ended, (unsigned int)ff_end(&m));
}

static void race_mix(int me)
{
	for (int batch = 0; batch < MIX_BATCHES && failures < 40; batch++) {
		meet();
		for (int step = 0; step < MIX_STEPS; step++) {
			uint32_t what = pick(100);

			if (mix ? what < 85 : !me)
				open_one();
			else if (what & 1)
				end_some();
			else
				for (int i = 0; i < 40; i++)
					age_one();
		}
		meet();
		if (!me)
			ff_audit("opened and ended");
		meet();
	}
}

static void test_opened_and_ended(void **state)
{
	(void)state;
	tx_all(true);
	for (mix = 0; mix < 2; mix++) {
		/* Few enough slots that what is being opened is met by what ends. */
		ff_reset(mix ? 500 : 200, 2, 0, 0);
		ff_config.rest = 2;
		ff_config_store();
		on_two_cpus(race_mix);
		print_message("relayed %u, refused %u, ended %u, seen too late %u\n",
			      atomic_exchange(&relayed, 0), atomic_exchange(&refused, 0),
			      atomic_exchange(&ended, 0), atomic_exchange(&missed, 0));
		ff_end_all();
		if (ff_audit("opened and ended, at the end") || ff_pledges())
			fail_row("opened and ended", "pledges left", ff_pledges(), 0);
	}
	tx_all(false);
	done();
}

/* ---- ended at birth ------------------------------------------------------------------------- */

#define BIRTH_BATCHES 4000
#define BIRTHS	      16
#define BIRTH_PORTS   (4 * BIRTHS) /* a datagram may try four, each of which may end at once */

static atomic_bool born;

/* Whatever is there ends, as fast as can be, while flows are opened. */
static void race_birth(int me)
{
	struct shot s;

	for (int batch = 0; batch < BIRTH_BATCHES && failures < 40; batch++) {
		meet();
		if (me) {
			while (!atomic_load(&born))
				atomic_fetch_add(&ended, (unsigned int)ff_end_all());
		} else {
			for (uint32_t i = 0; i < BIRTHS; i++) {
				/* Each pledge has two. */
				aim(&s, FX_PORT_DUAL, FX_SVC_FLOW, false, i / 2,
				    (uint16_t)(1000 + i));
				shoot(&s);
				if (s.verdict == XDP_REDIRECT)
					atomic_fetch_add(&relayed, 1);
				else if (s.verdict == XDP_PASS) /* ended before it could be used */
					atomic_fetch_add(&missed, 1);
				else
					fail_row("ended at birth", "verdict", s.verdict, XDP_PASS);
			}
			atomic_store(&born, true);
		}
		meet();
		if (!me) {
			atomic_store(&born, false);
			ff_audit("ended at birth");
			ff_end_all();
			if (ff_audit("ended at birth, all ended") || ff_pledges())
				fail_row("ended at birth", "pledges left", ff_pledges(), 0);
			for (uint32_t i = 0; i < BIRTH_PORTS; i++)
				ff_rest(i);
		}
		meet();
	}
}

static void test_ended_at_birth(void **state)
{
	static const uint8_t place = FF_UPLINK_A;
	uint8_t places[JPX_SERVICE_UPLINKS], count = fx_services[FX_SVC_FLOW].uplink_count;

	(void)state;
	_Static_assert(FF_UPLINK_A == 0, "its slots are the first");
	memcpy(places, fx_services[FX_SVC_FLOW].uplinks, sizeof(places));
	tx_all(true);
	ff_reset(BIRTH_PORTS, 0, 0, 0);
	ff_leave_from(FX_SVC_FLOW, &place, 1);
	ff_config.slots = BIRTH_PORTS; /* the others are not looked at: so it is fast */
	ff_config_store();
	on_two_cpus(race_birth);
	print_message("relayed %u, ended before that %u, ended %u\n", atomic_exchange(&relayed, 0),
		      atomic_exchange(&missed, 0), atomic_exchange(&ended, 0));
	ff_leave_from(FX_SVC_FLOW, places, count);
	tx_all(false);
	done();
}

static int setup(void **state)
{
	int err;

	(void)state;
	reseed();
	err = fx_open();
	return err ? err : ff_open();
}

static int teardown(void **state)
{
	(void)state;
	ff_close();
	fx_close();
	return 0;
}

int races_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_key),
		cmocka_unit_test(test_last),
		cmocka_unit_test(test_opened_and_ended),
		cmocka_unit_test(test_ended_at_birth),
	};

	return cmocka_run_group_tests_name("races", tests, setup, teardown);
}
