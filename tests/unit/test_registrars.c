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

static enum registrar_service judge(void *arg, const struct registrar *r, char *why, size_t why_len)
{
	assert_ptr_equal(arg, served_as);
	if (served_as[r->port] == REGISTRAR_IMPOSSIBLE)
		snprintf(why, why_len, "because");
	return served_as[r->port];
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
	const unsigned int ports[] = { 9, 3 };
	struct registrar_heard h = heard("2001:db8::52", 7634), other = heard("2001:db8::53", 7635);

	(void)unused;
	h.ifindex = other.ifindex = 3;
	hear(h);
	hear(other);
	other.source = JPX_SOURCE_DNS_SD;
	other.ifindex = 0;
	hear(other);
	due();
	registrars_distrust(rs, ports, 1);
	assert_int_equal(count(), 2);
	assert_int_equal(due(), 0);
	registrars_distrust(rs, ports, 2);
	assert_int_equal(count(), 1);
	assert_false(of_port(7635)->words[JPX_SOURCE_COAP].stands);
	assert_true(of_port(7635)->words[JPX_SOURCE_DNS_SD].stands);
	assert_int_equal(due(), 1);
	hear(h);
	assert_int_equal(count(), 1);
	registrars_distrust(rs, NULL, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, teardown)
		TEST(found_and_gone),
		TEST(every_source_stands_alone),
		TEST(lifetime_is_bounded),
		TEST(replaced),
		TEST(unfit),
		TEST(distrusted),
		TEST(flood),
		TEST(stateless_wins),
		TEST(stateful_stands_in),
		TEST(as_many_as_allowed),
		TEST(newest_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
