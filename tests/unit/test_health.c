/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which services answer: every rule, by virtual time.  Time, the timer and probes are
 * played here (the linker puts them in the place of the real ones); nothing waits.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../ctl/jpd/health.h"
#include "../../ctl/jpd/probe.h"

#define SVC 5 /* the one that most tests are about */

/* ---- what is played ------------------------------------------------------------------ */

static uint64_t clock_ms;
static struct event_base *base;
static struct jpx_state state;
static struct health *health;
static event_callback_fn timer;
static void *timer_arg;
static uint32_t counts[JPX_MAX_SERVICES][2];
static unsigned int changes;

/* What the Registrar makes of probes, and those that it got. */
static enum { SILENT, ANSWERS, ANSWERS_SECOND, REFUSES, NO_WAY } registrar;
static unsigned int probes_sent, probes_stopped;
static uint64_t first_probe, last_probe;
static void (*probe_result)(void *arg, unsigned int service_id, enum probe_result result);
static void *probe_arg;

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
struct event *__wrap_event_new(struct event_base *b, evutil_socket_t fd, short what,
			       event_callback_fn cb, void *arg);
struct event *__real_event_new(struct event_base *b, evutil_socket_t fd, short what,
			       event_callback_fn cb, void *arg);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = (time_t)(clock_ms / 1000);
	ts->tv_nsec = (long)(clock_ms % 1000) * 1000000;
	return 0;
}

struct event *__wrap_event_new(struct event_base *b, evutil_socket_t fd, short what,
			       event_callback_fn cb, void *arg)
{
	timer = cb;
	timer_arg = arg;
	return __real_event_new(b, fd, what, cb, arg);
}

struct probes *
probes_new(struct event_base *b, const struct jpx_state *s,
	   void (*result)(void *arg, unsigned int service_id, enum probe_result result), void *arg)
{
	(void)b;
	(void)s;
	probe_result = result;
	probe_arg = arg;
	return (struct probes *)&probes_sent;
}

void probes_free(struct probes *probes)
{
	(void)probes;
}

int probes_send(struct probes *probes, unsigned int service_id)
{
	(void)probes;
	(void)service_id;
	if (registrar == NO_WAY)
		return -ENETUNREACH;
	if (!probes_sent++)
		first_probe = clock_ms;
	last_probe = clock_ms;
	return 0;
}

void probes_stop(struct probes *probes, unsigned int service_id)
{
	(void)probes;
	(void)service_id;
	probes_stopped++;
}

static void count(void *arg, unsigned int service_id, uint32_t *to_registrar, uint32_t *to_pledge)
{
	(void)arg;
	*to_registrar = counts[service_id][0];
	*to_pledge = counts[service_id][1];
}

static void changed(void *arg)
{
	(void)arg;
	changes++;
}

/* ---- time ------------------------------------------------------------------------------ */

/* One second: probes of the look before are answered in it. */
static void second(void)
{
	unsigned int before = probes_sent;

	clock_ms += 1000;
	timer(-1, EV_TIMEOUT, timer_arg);
	if (probes_sent == before)
		return;
	clock_ms += 20;
	if (registrar == ANSWERS || (registrar == ANSWERS_SECOND && probes_sent % 2 == 0))
		probe_result(probe_arg, SVC, PROBE_ANSWERED);
	else if (registrar == REFUSES)
		probe_result(probe_arg, SVC, PROBE_UNREACHABLE);
	clock_ms -= 20;
}

static void sleep_for(unsigned int seconds)
{
	while (seconds--)
		second();
}

static void send_one(void)
{
	counts[SVC][0]++;
}

static void come_back(void)
{
	counts[SVC][1]++;
}

/* A pledge that sends every fifth second and is not answered. */
static void forward_for(unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds; i++) {
		if (i % 5 == 0)
			send_one();
		second();
	}
}

/* Seconds until the judgement is no longer what it is, LIMIT if it stays. */
static unsigned int lasts(unsigned int limit, void (*each)(void))
{
	bool was = health_usable(health, SVC);
	unsigned int n = 0;

	while (n < limit && health_usable(health, SVC) == was) {
		if (each && n % 5 == 0)
			each();
		second();
		n++;
	}
	return n;
}

static void assert_about(unsigned int n, unsigned int low, unsigned int high)
{
	if (n < low || n > high)
		fail_msg("%u, should be from %u to %u", n, low, high);
}

static const char *text(void)
{
	static char buf[160];

	return health_text(health, SVC, buf, sizeof(buf));
}

static void assert_text(const char *part)
{
	if (!strstr(text(), part))
		fail_msg("\"%s\" lacks \"%s\"", text(), part);
}

static void add_service(enum jpx_mode mode, unsigned int flags)
{
	state.services[SVC] = (struct jpx_service){ .ifindex = 7,
						    .flags = (__u16)(JPX_SERVICE_IN_USE | flags),
						    .mode = (__u8)mode,
						    .name = "main" };
	health_sync(health);
}

static int set_up(void **unused)
{
	(void)unused;
	clock_ms = 5000;
	memset(&state, 0, sizeof(state));
	memset(counts, 0, sizeof(counts));
	changes = probes_sent = probes_stopped = 0;
	first_probe = last_probe = 0;
	registrar = SILENT;
	counts[SVC][0] = 100; /* of another life of the id */
	counts[SVC][1] = UINT32_MAX;
	base = event_base_new();
	health = health_new(base, &state, count, changed, NULL);
	return health ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	health_free(health);
	event_base_free(base);
	return 0;
}

/* ---- going out ----------------------------------------------------------------------------- */

static void test_idle(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	assert_text("nothing sent");
	assert_int_equal(lasts(7200, NULL), 7200);
	assert_int_equal(changes, 0);
	assert_int_equal(health_idle(health, SVC), UINT_MAX);
	assert_text("no probe answered yet");
}

/* Who never answered is usable, and not known to answer; who did is told of at once, until it is
 * silent.  A trial proves nothing. */
static void test_known_to_answer(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, JPX_SERVICE_NO_PROBE);
	sleep_for(10);
	assert_false(health_answered(health, SVC));
	assert_int_equal(changes, 0);
	come_back();
	second();
	assert_true(health_answered(health, SVC));
	assert_int_equal(changes, 1);
	sleep_for(600);
	assert_true(health_answered(health, SVC));
	forward_for(40);
	assert_false(health_usable(health, SVC));
	assert_false(health_answered(health, SVC));
	sleep_for(180);
	assert_true(health_usable(health, SVC));
	assert_false(health_answered(health, SVC));
	come_back();
	second();
	assert_true(health_answered(health, SVC));
}

static void test_forwarding(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	assert_about(lasts(100, send_one), 31, 40);
	assert_int_equal(changes, 1);
	assert_text("no packet back for 3");
	assert_text("while forwarding; tried again in 180 s");
	second();
	assert_text("tried again in 179 s");
}

/* As DTLS does it: the timer doubles, the sixth datagram is the one after 31 s. */
static void test_one_pledge(void **unused)
{
	unsigned int n;

	(void)unused;
	add_service(JPX_MODE_STATEFUL, JPX_SERVICE_NO_PROBE);
	for (n = 0; n < 60 && health_usable(health, SVC); n++) {
		if (n == 0 || n == 1 || n == 3 || n == 7 || n == 15 || n == 31)
			send_one();
		second();
	}
	assert_about(n, 31, 33);
}

/* A datagram now and then that needs no answer is no attempt. */
static void test_stray(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	for (int i = 0; i < 200; i++) {
		send_one();
		sleep_for(33);
	}
	assert_true(health_usable(health, SVC));
	assert_int_equal(changes, 0);
}

static void test_answered(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	for (int i = 0; i < 200; i++) {
		forward_for(29);
		come_back();
		second();
	}
	assert_int_equal(changes, 1); /* that it answered at all */
	assert_text("answered 0 s ago");
	sleep_for(3);
	assert_text("answered 3 s ago");
	assert_int_equal(health_idle(health, SVC), 3);
	/* A pledge that goes on sending keeps no service. */
	forward_for(400);
	assert_true(health_idle(health, SVC) >= 400);
}

/* A Registrar that is there is not silenced by a pledge that sends what nobody answers. */
static void test_junk(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	forward_for(7200);
	assert_int_equal(changes, 1); /* that it answered at all */
	assert_true(health_usable(health, SVC));
}

/* ... not even over a lossy link: it is asked more often then. */
static void test_junk_and_loss(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	forward_for(10);
	assert_int_equal(probes_sent, 0);
	forward_for(2);
	assert_int_equal(probes_sent, 1);
	registrar = ANSWERS_SECOND;
	forward_for(7200);
	assert_int_equal(changes, 1); /* that it answered at all */
}

static void test_icmp(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, JPX_SERVICE_NO_PROBE);
	for (int i = 0; i < 10; i++) {
		health_unreachable(health, SVC);
		second();
		assert_true(health_usable(health, SVC));
	}
	health_unreachable(health, SVC);
	second();
	assert_false(health_usable(health, SVC));
	assert_text("unreachable by ICMP for 11 s; tried again in 180 s");
}

static void test_icmp_cleared(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, JPX_SERVICE_NO_PROBE);
	for (int i = 0; i < 1000; i++) {
		health_unreachable(health, SVC);
		if (i % 9 == 0)
			come_back();
		second();
	}
	assert_int_equal(changes, 1); /* that it answered at all */
	/* ... and two that have nothing to do with each other. */
	health_unreachable(health, SVC);
	sleep_for(70);
	health_unreachable(health, SVC);
	sleep_for(5);
	assert_int_equal(changes, 1);
}

/* Forged ones, while the Registrar answers probes. */
static void test_icmp_forged(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	for (int i = 0; i < 1000; i++) {
		health_unreachable(health, SVC);
		second();
	}
	assert_int_equal(changes, 1); /* that it answered at all */
	/* When they stop, so do the extra probes. */
	probes_sent = 0;
	sleep_for(300);
	assert_about(probes_sent, 8, 11);
}

static void test_probes_refused(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = REFUSES;
	assert_about(lasts(100, NULL), 40, 46);
	assert_text("unreachable by ICMP");
	/* While it is out nothing is hurried. */
	probes_sent = 0;
	sleep_for(150);
	assert_about(probes_sent, 4, 6);
}

static void test_probes_unanswered(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	sleep_for(300);
	assert_true(health_usable(health, SVC));
	assert_text("answered ");
	registrar = SILENT;
	/* 30 s until the next probe, which is the first of those unanswered for 120 s. */
	assert_about(lasts(300, NULL), 120, 152);
	assert_text("no answer to probes for 120 s");
}

/* Nor is it out because nobody could ask. */
static void test_no_way(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	sleep_for(100);
	registrar = SILENT;
	sleep_for(60);
	registrar = NO_WAY;
	assert_int_equal(lasts(3600, NULL), 3600);
	registrar = SILENT;
	sleep_for(60);
	state.services[SVC].ifindex = 0; /* no route */
	assert_int_equal(lasts(3600, NULL), 3600);
}

/* ---- probes ------------------------------------------------------------------------------- */

static void test_when_probed(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	sleep_for(29);
	assert_int_equal(probes_sent, 0);
	second();
	assert_int_equal(probes_sent, 1);
	sleep_for(29);
	assert_int_equal(probes_sent, 1);
	second();
	assert_int_equal(probes_sent, 2);
}

static void test_found_is_probed_at_once(void **unused)
{
	(void)unused;
	state.services[SVC].source = JPX_SOURCE_GRASP;
	state.services[SVC].ifindex = 7;
	state.services[SVC].flags = JPX_SERVICE_IN_USE;
	health_sync(health);
	second();
	assert_int_equal(probes_sent, 1);
}

static void test_busy_is_not_probed(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	for (int i = 0; i < 1000; i++) {
		send_one();
		if (i % 9 == 0)
			come_back();
		second();
	}
	assert_int_equal(probes_sent, 0);
	sleep_for(32);
	assert_int_equal(probes_sent, 1);
}

static void test_never_probed(void **unused)
{
	static const unsigned int flags[] = { JPX_SERVICE_ANY_CONTENT, JPX_SERVICE_NO_PROBE };

	(void)unused;
	for (int i = 0; i < 2; i++) {
		add_service(JPX_MODE_STATELESS, flags[i]);
		forward_for(1000);
		health_unreachable(health, SVC);
		sleep_for(100);
		assert_int_equal(probes_sent, 0);
		health_forget(health, SVC);
	}
}

/* ---- coming back ---------------------------------------------------------------------------- */

static void go_out(void)
{
	assert_about(lasts(60, send_one), 1, 40);
	assert_false(health_usable(health, SVC));
}

static void test_packet_brings_back(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	go_out();
	sleep_for(20);
	come_back();
	second();
	assert_true(health_usable(health, SVC));
	assert_int_equal(changes, 2);
	assert_text("answered 0 s ago");
}

static void test_probe_brings_back(void **unused)
{
	unsigned int n;

	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	sleep_for(61);
	registrar = SILENT;
	go_out();
	registrar = ANSWERS; /* ... which counts after the hold only */
	n = lasts(400, NULL);
	assert_about(n, 180, 183);
	assert_int_equal(changes, 3); /* that it answered at all, too */
}

/* What it answered within the hold says nothing at its end. */
static void test_answered_too_early(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	sleep_for(61);
	registrar = SILENT;
	go_out();
	registrar = ANSWERS;
	sleep_for(100);
	registrar = SILENT;
	assert_int_equal(lasts(1000, NULL), 1000);
}

/* Who answered probes once is not let in on trial. */
static void test_no_trial(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	sleep_for(61);
	registrar = SILENT;
	go_out();
	assert_int_equal(lasts(7200, NULL), 7200);
	assert_text("a probe has to be answered first");
	state.services[SVC].ifindex = 0; /* nor because there is no route */
	assert_int_equal(lasts(1000, NULL), 1000);
	state.services[SVC].ifindex = 7;
	registrar = ANSWERS;
	assert_about(lasts(60, NULL), 1, 31);
	/* ... but where it must not be probed any more it is. */
	registrar = SILENT;
	go_out();
	state.services[SVC].flags |= JPX_SERVICE_NO_PROBE;
	assert_about(lasts(400, NULL), 180, 182);
}

static void test_trial(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	go_out();
	assert_about(lasts(400, NULL), 180, 182);
	assert_text("on trial for 0 s");
	/* Nobody tries it: it may stay. */
	assert_int_equal(lasts(3600, NULL), 3600);
	go_out();
	assert_about(lasts(800, NULL), 360, 362);
	send_one();
	second();
	come_back();
	second();
	assert_text("answered 0 s ago");
	/* Good for too short a time: as long as before, not longer. */
	go_out();
	assert_about(lasts(800, NULL), 360, 362);
	come_back();
	sleep_for(660);
	go_out();
	assert_about(lasts(800, NULL), 180, 182);
}

static void test_stateful_hold(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATEFUL, 0);
	go_out();
	assert_about(lasts(400, NULL), 60, 62);
	go_out();
	assert_about(lasts(400, NULL), 120, 122);
}

/* A Registrar that is dead for a day, and pledges that never give up. */
static void test_no_flapping(void **unused)
{
	unsigned int in = 0, longest = 0, run = 0;

	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	for (unsigned int i = 0; i < 86400; i++) {
		if (i % 5 == 0)
			send_one();
		second();
		in += health_usable(health, SVC);
		run = health_usable(health, SVC) ? 0 : run + 1;
		longest = run > longest ? run : longest;
	}
	assert_about(changes, 40, 70);	   /* about two an hour */
	assert_about(in, 700, 1400);	   /* seconds of being announced, of 86400 */
	assert_about(longest, 3599, 3602); /* the back-off is bounded */
	come_back();
	second();
	assert_true(health_usable(health, SVC));
}

/* ---- life ----------------------------------------------------------------------------------- */

static void test_restart(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, JPX_SERVICE_SILENT);
	assert_false(health_usable(health, SVC));
	assert_text("no answer since before jpd started; tried again in 180 s");
	state.services[SVC].flags &= (__u16)~JPX_SERVICE_SILENT;
	health_sync(health); /* is not a first sight */
	assert_false(health_usable(health, SVC));
	assert_about(lasts(400, NULL), 180, 182);
	assert_int_equal(changes, 1);
}

static void test_restart_answers(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, JPX_SERVICE_SILENT);
	come_back();
	second();
	assert_true(health_usable(health, SVC));
}

static void test_forget(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	go_out();
	health_forget(health, SVC);
	assert_true(probes_stopped);
	assert_true(health_usable(health, SVC));
	assert_int_equal(health_idle(health, SVC), UINT_MAX);
	/* The next one with the id. */
	add_service(JPX_MODE_STATELESS, 0);
	assert_true(health_usable(health, SVC));
	assert_text("nothing sent");
	/* Gone without a word. */
	state.services[SVC].flags = 0;
	health_sync(health);
	probes_sent = 0;
	sleep_for(100);
	assert_int_equal(probes_sent, 0);
}

/* A machine that slept finds answers it could not read. */
static void test_slept(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	registrar = ANSWERS;
	sleep_for(61);
	registrar = SILENT;
	forward_for(29);
	clock_ms += 600000;
	send_one();
	second();
	assert_true(health_usable(health, SVC));
	assert_int_equal(changes, 1);
}

/* One does not speak for another. */
static void test_apart(void **unused)
{
	(void)unused;
	add_service(JPX_MODE_STATELESS, 0);
	state.services[SVC + 1] = state.services[SVC];
	health_sync(health);
	for (int i = 0; i < 40; i++) {
		send_one();
		counts[SVC + 1][0]++;
		counts[SVC + 1][1]++;
		second();
	}
	assert_false(health_usable(health, SVC));
	assert_true(health_usable(health, SVC + 1));
	assert_int_equal(changes, 2); /* ... and that the other one answered */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_idle),
		TEST(test_known_to_answer),
		TEST(test_forwarding),
		TEST(test_one_pledge),
		TEST(test_stray),
		TEST(test_answered),
		TEST(test_junk),
		TEST(test_junk_and_loss),
		TEST(test_icmp),
		TEST(test_icmp_cleared),
		TEST(test_icmp_forged),
		TEST(test_probes_refused),
		TEST(test_probes_unanswered),
		TEST(test_no_way),
		TEST(test_when_probed),
		TEST(test_found_is_probed_at_once),
		TEST(test_busy_is_not_probed),
		TEST(test_never_probed),
		TEST(test_packet_brings_back),
		TEST(test_probe_brings_back),
		TEST(test_answered_too_early),
		TEST(test_no_trial),
		TEST(test_trial),
		TEST(test_stateful_hold),
		TEST(test_no_flapping),
		TEST(test_restart),
		TEST(test_restart_answers),
		TEST(test_forget),
		TEST(test_slept),
		TEST(test_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
