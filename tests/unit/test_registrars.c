/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is heard of Registrars: kept while somebody stands for it, bounded, and chosen by
 * the rules.  Time is the test's own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../ctl/common/log.h"
#include "../../ctl/common/clock.h"
#include "../../ctl/jpd/pledge_links.h"
#include "../../ctl/jpd/registrars.h"

/* ---- the world ------------------------------------------------------------- */

static uint64_t now_ms;
static unsigned int changes;
static struct event_base *base;
static struct registrars *rs;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

/* libevent keeps the real time: what it must do is fired by hand in due(). */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_MONOTONIC)
		return __real_clock_gettime(clock, ts);
	ts->tv_sec = (time_t)(now_ms / 1000);
	ts->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

static void on_change(void *arg)
{
	assert_ptr_equal(arg, &changes);
	changes++;
}

static int setup(void **unused)
{
	(void)unused;
	jpx_log_init("test", JPX_LOG_ERROR);
	now_ms = 1000000;
	changes = 0;
	base = event_base_new();
	rs = registrars_new(base, on_change, &changes);
	return !base || !rs;
}

static int teardown(void **unused)
{
	(void)unused;
	registrars_free(rs);
	event_base_free(base);
	return 0;
}

/* What the loop had to do by now.  How often the listener was told. */
static unsigned int due(void)
{
	unsigned int before = changes;

	event_base_loop(base, EVLOOP_NONBLOCK);
	return changes - before;
}

/* SECONDS go by; expiry is looked at as its timer would. */
static void pass(unsigned int seconds)
{
	struct in6_addr nobody = { .s6_addr = { 0xfe, 0x80, 1 } };

	now_ms += seconds * 1000ULL;
	/* The timer of libevent does not know of our time; replacing nothing arms it anew, to fire
	 * at once. */
	registrars_replaced(rs, JPX_SOURCE_COAP, 99, &nobody, "nothing", 0);
	now_ms += 2;
	struct timespec ms = { .tv_nsec = 20000000 }; /* libevent reads a coarse clock */
	nanosleep(&ms, NULL);
	due();
}

static struct registrar_heard heard(const char *addr, uint16_t port)
{
	struct registrar_heard h = {
		.source = JPX_SOURCE_COAP,
		.port = port,
		.mode = JPX_MODE_STATELESS,
		.form = JPX_FORM_DRAFT21,
		.priority = REGISTRAR_NO_PRIORITY,
		.lifetime = 190,
		.ifindex = 2,
		.from = { .s6_addr = { 0xfe, 0x80, [15] = 1 } },
		.by = "rt=brski.rjp",
	};

	assert_int_equal(inet_pton(AF_INET6, addr, &h.addr), 1);
	return h;
}

static void hear(struct registrar_heard h)
{
	registrars_heard(rs, &h);
}

static unsigned int count(void)
{
	unsigned int n = 0;

	while (registrars_at(rs, n))
		n++;
	return n;
}

/* ---- judged ------------------------------------------------------------------ */

static enum registrar_service served_as[65536]; /* by port */
static int newer_is;				/* of the newest form, or -1: by port */

static enum registrar_service judge(void *arg, const struct registrar *r, char *why, size_t why_len)
{
	assert_ptr_equal(arg, served_as);
	if (served_as[r->port] == REGISTRAR_IMPOSSIBLE)
		snprintf(why, why_len, "because");
	return r->form == JPX_FORM_DRAFT21 && newer_is >= 0 ? (enum registrar_service)newer_is
							    : served_as[r->port];
}

static void choose(bool look, int mode, unsigned int max)
{
	registrars_choose(rs, look, mode, max, judge, served_as);
}

static const struct registrar *of_port(uint16_t port)
{
	const struct registrar *r;

	for (unsigned int i = 0; (r = registrars_at(rs, i)); i++)
		if (r->port == port)
			return r;
	fail_msg("no Registrar on port %u", port);
	return NULL;
}

static bool is_known(uint16_t port)
{
	for (unsigned int i = 0; i < count(); i++)
		if (registrars_at(rs, i)->port == port)
			return true;
	return false;
}

static bool chosen(uint16_t port)
{
	const struct registrar *r = of_port(port);

	/* Whoever is not chosen is told why. */
	assert_int_equal(!*r->why, r->chosen);
	return r->chosen;
}

/* ---- keeping ------------------------------------------------------------------ */

static void found_and_gone(void **unused)
{
	(void)unused;
	hear(heard("2001:db8::52", 7634));
	assert_int_equal(count(), 1);
	assert_int_equal(due(), 1);
	hear(heard("2001:db8::52", 7634)); /* no news */
	assert_int_equal(count(), 1);
	assert_int_equal(due(), 0);
	pass(100);
	hear(heard("2001:db8::52", 7634));
	pass(189);
	assert_int_equal(count(), 1);
	pass(2);
	assert_int_equal(count(), 0);
	assert_int_equal(changes, 2);
}

static void every_source_stands_alone(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634);

	(void)unused;
	hear(h);
	h.source = JPX_SOURCE_GRASP;
	h.lifetime = 400;
	h.priority = 5;
	h.weight = 7;
	hear(h);
	assert_int_equal(count(), 1);
	assert_int_equal(registrars_at(rs, 0)->source, JPX_SOURCE_GRASP); /* the better word */
	assert_int_equal(registrars_at(rs, 0)->priority, 5);
	assert_int_equal(registrars_at(rs, 0)->weight, 7);
	pass(200);
	assert_int_equal(count(), 1);
	assert_false(registrars_at(rs, 0)->words[JPX_SOURCE_COAP].stands);
	pass(201);
	assert_int_equal(count(), 0);
}

static void lifetime_is_bounded(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634);

	(void)unused;
	h.lifetime = UINT32_MAX;
	hear(h);
	pass(86399);
	assert_int_equal(count(), 1);
	pass(2);
	assert_int_equal(count(), 0);
	h.lifetime = 0;
	hear(h);
	assert_int_equal(count(), 1);
	pass(2);
	assert_int_equal(count(), 0);
}

/* A new port in the next answer: the old one goes, and what others said stays. */
static void replaced(void **unused)
{
	struct registrar_heard other = heard("2001:db8::53", 1), h = heard("2001:db8::52", 7634);

	(void)unused;
	hear(h);
	other.from.s6_addr[15] = 2;
	hear(other);
	pass(60);
	h.port = 7700;
	hear(h);
	registrars_replaced(rs, JPX_SOURCE_GRASP, 2, &h.from, "rt=brski.rjp", 10);
	registrars_replaced(rs, JPX_SOURCE_COAP, 3, &h.from, "rt=brski.rjp", 10);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &h.from, "rt=brski", 10);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &h.from, "rt=brski.rjp", 61);
	assert_int_equal(count(), 3);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &h.from, "rt=brski.rjp", 10);
	assert_int_equal(count(), 2);
	assert_int_equal(of_port(7700)->port, 7700);
	assert_int_equal(of_port(1)->port, 1);
}

/* Another voice on the link can prolong what one said, and can take nothing of it. */
static void others_cannot_take_it_back(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634), other = h;

	(void)unused;
	h.priority = 5;
	hear(h);
	due();
	other.from.s6_addr[15] = 66;
	other.priority = REGISTRAR_NO_PRIORITY;
	other.lifetime = 0;
	hear(other);
	pass(100);
	assert_int_equal(count(), 1);
	assert_int_equal(of_port(7634)->priority, 5);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &other.from, other.by, 0);
	assert_int_equal(count(), 1);
	other.lifetime = 190; /* until 290 */
	hear(other);
	pass(91);
	assert_int_equal(count(), 1);
	assert_int_equal(of_port(7634)->priority, 5);
	hear(other); /* until 381: and now it is the one who says so */
	assert_int_equal(of_port(7634)->priority, REGISTRAR_NO_PRIORITY);
	hear(h);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &other.from, other.by, 0);
	assert_int_equal(count(), 1);
	pass(185);
	assert_int_equal(count(), 1);
	pass(6);
	assert_int_equal(count(), 0);
}

/* One Registrar that is heard from two addresses: no longer named by either, it goes at once. */
static void no_longer_named_by_either(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634), other = h;

	(void)unused;
	other.from.s6_addr[15] = 66;
	for (int i = 0; i < 3; i++) {
		hear(h);
		hear(other);
		pass(60);
	}
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &h.from, h.by, 10);
	assert_int_equal(count(), 1);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &other.from, other.by, 61);
	assert_int_equal(count(), 1);
	registrars_replaced(rs, JPX_SOURCE_COAP, 2, &other.from, other.by, 10);
	assert_int_equal(count(), 0);
}

static void unfit(void **unused)
{
	static const char *const bad[] = { "fe80::1",
					   "ff05::fd",
					   "::",
					   "::1",
					   "::ffff:127.0.0.1",
					   "::ffff:169.254.3.4",
					   "ff02::fd",
					   "::ffff:224.0.1.187",
					   "::ffff:0.0.0.0",
					   "febf::1",
					   "::ffff:255.255.255.255" };

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		hear(heard(bad[i], 7634));
		if (count())
			fail_msg("%s was taken", bad[i]);
	}
	hear(heard("2001:db8::1", 0));
	assert_int_equal(count(), 0);
	hear(heard("::ffff:192.0.2.1", 7634));
	hear(heard("fd00::1", 7634));
	assert_int_equal(count(), 2);
}

/* Said on an interface before it became a pledge port, and once more then. */
static void distrusted(void **unused)
{
	struct pledge_links ports = { .ifindexes = { 9, 3 } };
	struct registrar_heard h = heard("2001:db8::52", 7634), other = heard("2001:db8::53", 7635);

	(void)unused;
	h.ifindex = other.ifindex = 3;
	hear(h);
	hear(other);
	other.source = JPX_SOURCE_DNS_SD;
	other.ifindex = 0;
	hear(other);
	due();
	ports.count = 1;
	registrars_distrust(rs, &ports);
	assert_int_equal(count(), 2);
	assert_int_equal(due(), 0);
	ports.count = 2;
	registrars_distrust(rs, &ports);
	assert_int_equal(count(), 1);
	assert_false(of_port(7635)->words[JPX_SOURCE_COAP].stands);
	assert_true(of_port(7635)->words[JPX_SOURCE_DNS_SD].stands);
	assert_int_equal(due(), 1);
	hear(h);
	assert_int_equal(count(), 1);
	ports.count = 0;
	registrars_distrust(rs, &ports);
	hear(h);
	assert_int_equal(count(), 2);
}

/* Ten thousand from everywhere: as many as there is room for, the first ones stay. */
static void flood(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634);

	(void)unused;
	hear(h);
	h.from.s6_addr[15] = 9;
	for (unsigned int i = 0; i < 10000; i++) {
		h.addr.s6_addr32[2] = htonl(i + 1);
		h.priority = 0;
		hear(h);
	}
	assert_int_equal(count(), 1 + REGISTRARS_A_VOICE);
	for (unsigned int i = 0; i < 10000; i++) {
		h.addr.s6_addr32[2] = htonl(i + 100000);
		h.from.s6_addr32[2] = htonl(i);
		hear(h);
	}
	assert_int_equal(count(), REGISTRARS_MAX);
	assert_int_equal(of_port(7634)->port, 7634);
	memset(served_as, 0, sizeof(served_as));
	served_as[7634] = REGISTRAR_SERVED;
	choose(true, -1, 8);
	for (unsigned int i = 8; i < REGISTRARS_MAX; i++)
		assert_false(registrars_at(rs, i)->chosen);
}

/* Who prolonged what another said, from an interface that is a pledge port now, prolongs no more.
 */
static void distrusted_backer(void **unused)
{
	struct pledge_links ports = { .ifindexes = { 3 }, .count = 1 };
	struct registrar_heard h = heard("2001:db8::52", 7634);

	(void)unused;
	hear(h);
	h.ifindex = 3;
	h.from.s6_addr[15] = 9;
	h.lifetime = 80000;
	hear(h);
	assert_true(of_port(7634)->words[JPX_SOURCE_COAP].until_ms > jpx_now_ms() + 70000000);
	registrars_distrust(rs, &ports);
	assert_int_equal(count(), 1);
	pass(189);
	assert_int_equal(count(), 1);
	pass(2);
	assert_int_equal(count(), 0);
}

/* ---- choosing ------------------------------------------------------------------- */

static void add(uint16_t port, enum jpx_mode mode, enum registrar_service as)
{
	struct registrar_heard h = heard("2001:db8::52", port);

	h.mode = mode;
	h.from.s6_addr[14] = (uint8_t)(port >> 8);
	h.from.s6_addr[15] = (uint8_t)port;
	served_as[port] = as;
	now_ms++; /* who is first */
	hear(h);
}

static int fresh(void **state)
{
	memset(served_as, 0, sizeof(served_as));
	newer_is = -1;
	return setup(state);
}

static void stateless_wins(void **unused)
{
	(void)unused;
	add(1, JPX_MODE_STATEFUL, REGISTRAR_SERVED);
	choose(true, -1, 8);
	assert_true(chosen(1));
	add(2, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	choose(true, -1, 8);
	assert_true(chosen(2));
	assert_true(chosen(1)); /* until the other one proves to be there */
	served_as[2] = REGISTRAR_TRIED;
	choose(true, -1, 8);
	assert_true(chosen(1) && chosen(2));
	served_as[2] = REGISTRAR_SERVED;
	choose(true, -1, 8);
	assert_true(chosen(2));
	assert_false(chosen(1));
	choose(true, JPX_MODE_STATEFUL, 8);
	assert_true(chosen(1));
	assert_false(chosen(2));
	choose(false, -1, 8);
	assert_false(chosen(1));
	assert_false(chosen(2));
}

/* All stateless ones are silent: stateful ones serve, too, and the others are not forgotten. */
static void stateful_stands_in(void **unused)
{
	(void)unused;
	add(1, JPX_MODE_STATEFUL, REGISTRAR_UNSERVED);
	add(2, JPX_MODE_STATELESS, REGISTRAR_SILENT);
	choose(true, -1, 8);
	assert_true(chosen(1));
	assert_true(chosen(2));
	served_as[2] = REGISTRAR_SERVED;
	choose(true, -1, 8);
	assert_false(chosen(1));
	assert_true(chosen(2));
	served_as[2] = REGISTRAR_IMPOSSIBLE; /* that one cannot keep others from serving */
	choose(true, -1, 8);
	assert_true(chosen(1));
	assert_false(chosen(2));
	assert_string_equal(of_port(2)->why, "because");
}

/* Found together, the stateless one is tried alone; if it does not answer, both. */
static void stateless_is_tried_first(void **unused)
{
	(void)unused;
	add(1, JPX_MODE_STATEFUL, REGISTRAR_UNSERVED);
	add(2, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	choose(true, -1, 8);
	assert_true(!chosen(1) && chosen(2));
	served_as[2] = REGISTRAR_TRIED;
	now_ms += 14000;
	choose(true, -1, 8);
	assert_true(!chosen(1) && chosen(2));
	now_ms += 2000;
	choose(true, -1, 8);
	assert_true(chosen(1) && chosen(2));
}

/* Stateless ones that are not there, always new ones: who answers in stateful mode stays, and who
 * comes while they do gets its turn. */
static void made_up_stateless_ones(void **unused)
{
	(void)unused;
	add(1, JPX_MODE_STATEFUL, REGISTRAR_SERVED);
	add(2, JPX_MODE_STATEFUL, REGISTRAR_UNSERVED);
	for (uint16_t port = 100; port < 140; port++) {
		add(port, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
		choose(true, -1, 8);
		assert_true(chosen(1));
		served_as[port] = REGISTRAR_TRIED;
		now_ms += 1000;
	}
	choose(true, -1, 8);
	assert_true(chosen(2));
}

/* Better ones that are not there hold places for as long as a trial lasts, each once. */
static void made_up_better_ones(void **unused)
{
	struct registrar_heard h;
	unsigned int rounds = 0;

	(void)unused;
	for (uint16_t port = 100; port < 140; port++) {
		h = heard("2001:db8::66", port);
		h.from.s6_addr[14] = (uint8_t)port;
		h.priority = 0;
		hear(h);
	}
	add(1, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	do {
		choose(true, -1, 8);
		for (unsigned int i = 0; i < count(); i++)
			served_as[registrars_at(rs, i)->port] =
				registrars_at(rs, i)->chosen ? REGISTRAR_TRIED : REGISTRAR_UNSERVED;
		choose(true, -1, 8); /* as proxy_serve() leads to */
		now_ms += 16000;
	} while (served_as[1] != REGISTRAR_TRIED && ++rounds < 10);
	assert_int_equal(rounds, 5);
	served_as[1] = REGISTRAR_SERVED;
	for (rounds = 0; rounds < 10; rounds++) {
		choose(true, -1, 8);
		assert_true(chosen(1));
		now_ms += 16000;
	}
}

/* A full table of such has room for the one that comes late; who answers is not pushed out. */
static void late_into_a_full_table(void **unused)
{
	struct registrar_heard h = heard("2001:db8::66", 0);

	(void)unused;
	add(1, JPX_MODE_STATELESS, REGISTRAR_SERVED);
	for (uint16_t port = 100; port < 100 + REGISTRARS_MAX - 1; port++) {
		h.port = port;
		h.from.s6_addr[14] = (uint8_t)port;
		hear(h);
	}
	assert_int_equal(count(), REGISTRARS_MAX);
	choose(true, -1, 8);
	add(2, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	assert_false(is_known(2));
	served_as[110] = REGISTRAR_TRIED;
	choose(true, -1, 8);
	now_ms += 16000;
	add(2, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	assert_int_equal(count(), REGISTRARS_MAX);
	assert_true(is_known(2));
	assert_false(is_known(110));
	assert_true(is_known(1));
	served_as[1] = REGISTRAR_SILENT;
	choose(true, -1, 8);
	add(3, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	assert_true(is_known(3));
	assert_false(is_known(1));
}

static void as_many_as_allowed(void **unused)
{
	struct registrar_heard better;

	(void)unused;
	add(1, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	add(4, JPX_MODE_STATELESS, REGISTRAR_UNSERVED); /* the order of their coming counts */
	choose(true, -1, 1);
	assert_true(chosen(1) && !chosen(4));
	add(3, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	add(2, JPX_MODE_STATELESS, REGISTRAR_UNSERVED);
	choose(true, -1, 2);
	assert_true(chosen(1) && chosen(4) && !chosen(3) && !chosen(2));
	served_as[3] = REGISTRAR_SERVED; /* who serves stays */
	choose(true, -1, 2);
	assert_true(chosen(1) && !chosen(2) && chosen(3) && !chosen(4));
	better = heard("2001:db8::52", 9);
	better.priority = 0;
	hear(better);
	choose(true, -1, 2);
	assert_true(chosen(9) && !chosen(1) && chosen(3));
	served_as[9] = REGISTRAR_SILENT; /* and who is silent makes room */
	choose(true, -1, 2);
	assert_true(!chosen(9) && chosen(1) && chosen(3));
}

static void newest_form(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634);

	(void)unused;
	h.form = JPX_FORM_DRAFT02;
	hear(h);
	choose(true, -1, 8);
	assert_true(registrars_at(rs, 0)->chosen);
	h.form = JPX_FORM_DRAFT21;
	hear(h);
	h.form = JPX_FORM_DRAFT06;
	hear(h);
	assert_int_equal(count(), 3);
	choose(true, -1, 8);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(registrars_at(rs, i)->chosen,
				 registrars_at(rs, i)->form == JPX_FORM_DRAFT21);
	/* The same form for stateful mode says nothing: it is one Registrar. */
	h.mode = JPX_MODE_STATEFUL;
	hear(h);
	h.form = JPX_FORM_DRAFT02;
	hear(h);
	assert_int_equal(count(), 4);
}

/* Whoever names a newer form for somebody's port has to be right: it is the Registrar that says so,
 * by answering. */
static void newest_form_that_answers(void **unused)
{
	struct registrar_heard h = heard("2001:db8::52", 7634);

	(void)unused;
	h.form = JPX_FORM_DRAFT06;
	hear(h);
	served_as[7634] = REGISTRAR_SERVED;
	choose(true, -1, 8);
	h.form = JPX_FORM_DRAFT21;
	hear(h);
	newer_is = REGISTRAR_UNSERVED;
	for (unsigned int round = 0; round < 3; round++) {
		static const enum registrar_service as[] = { REGISTRAR_UNSERVED, REGISTRAR_TRIED,
							     REGISTRAR_SILENT };

		newer_is = as[round];
		choose(true, -1, 8);
		assert_true(registrars_at(rs, 0)->chosen && registrars_at(rs, 1)->chosen);
	}
	newer_is = REGISTRAR_SERVED;
	choose(true, -1, 8);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(registrars_at(rs, i)->chosen,
				 registrars_at(rs, i)->form == JPX_FORM_DRAFT21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, teardown)
		TEST(found_and_gone),
		TEST(every_source_stands_alone),
		TEST(lifetime_is_bounded),
		TEST(replaced),
		TEST(others_cannot_take_it_back),
		TEST(no_longer_named_by_either),
		TEST(unfit),
		TEST(distrusted),
		TEST(distrusted_backer),
		TEST(flood),
		TEST(stateless_wins),
		TEST(stateful_stands_in),
		TEST(stateless_is_tried_first),
		TEST(made_up_stateless_ones),
		TEST(made_up_better_ones),
		TEST(late_into_a_full_table),
		TEST(as_many_as_allowed),
		TEST(newest_form),
		TEST(newest_form_that_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
