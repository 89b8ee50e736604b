/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way "beacon", with one end of a socket pair in place of an IEEE 802.15.4 interface: what it
 * sends, byte for byte, and when.  And that the real interface is looked for where there is none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../ctl/jpd/discovery.h"
#include "../../ctl/jpd/wpan.h"
#include "sixtisch.h"

#define PERIOD	100 /* ms */
#define IFINDEX 7
#define NETWORK 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18

static const uint8_t eui64[8] = { 0x00, 0x12, 0x4b, 0x00, 0x01, 0x02, 0x03, 0x04 };
static const uint8_t network[8] = { NETWORK };

static struct event_base *base;
static struct discovery_settings settings;
static struct discovery_view view;
static void *way;
static int air = -1; /* the other end */
static int opened, refuse;

int __wrap_wpan_open(unsigned int ifindex, uint8_t out[8], uint16_t *pan);
int __real_wpan_open(unsigned int ifindex, uint8_t out[8], uint16_t *pan);

int __wrap_wpan_open(unsigned int ifindex, uint8_t out[8], uint16_t *pan)
{
	int ends[2];

	opened++;
	assert_int_equal(ifindex, IFINDEX);
	if (refuse)
		return refuse;
	if (air >= 0)
		close(air);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	air = ends[1];
	memcpy(out, eui64, 8);
	*pan = 0xcafe;
	return ends[0];
}

static int begin(void **state)
{
	static const struct discovery_port port = {
		.ifname = "lowpan0",
		.ifindex = IFINDEX,
		.addr.s6_addr = { 0xfe, 0x80, [8] = 0x02, 0x12, 0x4b, 0x00, 0x01, 0x02, 0x03,
				  0x04 },
		.joins = { { .port = 5684 } },
		.join_count = 1,
	};

	(void)state;
	memset(&settings, 0, sizeof(settings));
	settings.beacon = true;
	settings.beacon_period = PERIOD;
	settings.beacon_priority = 0x10;
	settings.beacon_pan_priority = 5;
	settings.beacon_network_id_len = sizeof(network);
	memcpy(settings.beacon_network_id, network, sizeof(network));
	memset(&view, 0, sizeof(view));
	view.settings = &settings;
	view.ports[0] = port;
	view.port_count = 1;
	opened = refuse = 0;
	air = -1;
	base = event_base_new();
	way = discovery_beacon.start(base, NULL);
	return way ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	if (way)
		discovery_beacon.stop(way);
	way = NULL;
	if (air >= 0)
		close(air);
	event_base_free(base);
	return 0;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void run(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &tv);
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

/* The next frame on the air; its length, or -1. */
static int heard(uint8_t *frame, size_t len)
{
	return air < 0 ? -1 : (int)recv(air, frame, len, MSG_DONTWAIT);
}

static int count_heard(void)
{
	uint8_t frame[128];
	int n = 0;

	while (heard(frame, sizeof(frame)) > 0)
		n++;
	return n;
}

static void join_heard(struct sixtisch_join *join)
{
	uint8_t frame[128], from[8];
	int len = heard(frame, sizeof(frame));

	assert_true(len > 0);
	assert_int_equal(sixtisch_beacon_read(frame, (size_t)len, SIXTISCH_COLUMNS, join, from), 0);
	assert_memory_equal(from, eui64, 8);
}

/* By hand from IEEE 802.15.4-2015 7.3.1 and RFC 9032 2; but for the sequence number. */
static void test_bytes(void **state)
{
	static const uint8_t head[] = { 0xfe, 0xca, 0xff, 0xff, 0x04, 0x03,
					0x02, 0x01, 0x00, 0x4b, 0x12, 0x00 };
	static const uint8_t columns[] = { 0x02, 0x01, 0x0f, 0xff, 0x05, NETWORK };
	static const uint8_t octets[] = { 0x02, 0x00, 0x10, 0xff, 0x05, NETWORK };
	uint8_t frame[128], first;
	int len;

	(void)state;
	discovery_beacon.sync(way, &view);
	len = heard(frame, sizeof(frame));
	assert_true(len > (int)(3 + sizeof(head) + sizeof(columns)));
	assert_int_equal(frame[0] & 7, 0);	 /* a beacon */
	assert_int_equal(frame[1] & 0x30, 0x20); /* of version 2015 */
	assert_memory_equal(frame + 3, head, sizeof(head));
	assert_memory_equal(frame + len - sizeof(columns), columns, sizeof(columns));
	first = frame[2];

	settings.beacon_octets = true;
	discovery_beacon.sync(way, &view);
	run(PERIOD * 3 / 2);
	assert_int_equal(heard(frame, sizeof(frame)), len);
	assert_memory_equal(frame + len - sizeof(octets), octets, sizeof(octets));
	assert_int_equal(frame[2], (uint8_t)(first + 1));
}

static void test_other_address(void **state)
{
	struct sixtisch_join join;

	(void)state;
	discovery_beacon.sync(way, &view);
	join_heard(&join);
	assert_false(join.has_iid);
	assert_false(join.router);
	view.ports[0].addr.s6_addr[15] ^= 1;
	discovery_beacon.sync(way, &view); /* at once */
	join_heard(&join);
	assert_true(join.has_iid);
	assert_memory_equal(join.iid, &view.ports[0].addr.s6_addr[8], 8);
	assert_memory_equal(join.network_id, network, sizeof(network));
	assert_int_equal(join.network_id_len, sizeof(network));
	discovery_beacon.sync(way, &view); /* nothing of interest changed */
	assert_int_equal(count_heard(), 0);
}

/* Over 40 periods: none shorter than by 10 %, and one at least by 6 % (all but one in a million
 * times); together as long as 40 are, and what a busy machine adds. */
static void test_period(void **state)
{
	long start, last, least = 1000;
	int n = 0;

	(void)state;
	discovery_beacon.sync(way, &view);
	assert_int_equal(count_heard(), 1);
	start = last = now_ms();
	while (n < 40) {
		long now;

		run(2);
		if (!count_heard())
			continue;
		now = now_ms();
		if (now - last < least)
			least = now - last;
		last = now;
		n++;
	}
	assert_in_range(least, PERIOD * 9 / 10 - 3, PERIOD * 94 / 100);
	assert_in_range(last - start, 40 * PERIOD * 95 / 100, 40 * PERIOD * 125 / 100);
}

static void test_joins_go_and_come(void **state)
{
	struct sixtisch_join join;

	(void)state;
	view.ports[0].join_count = 0;
	discovery_beacon.sync(way, &view);
	run(PERIOD * 2);
	assert_int_equal(opened, 0); /* nothing was said, so there is nothing to take back */
	view.ports[0].join_count = 1;
	discovery_beacon.sync(way, &view);
	join_heard(&join);
	assert_int_equal(join.proxy_priority, 0x10);
	view.ports[0].join_count = 0;
	discovery_beacon.sync(way, &view);
	join_heard(&join);
	assert_int_equal(join.proxy_priority, 0x7f);
	run(PERIOD * 3);
	assert_int_equal(count_heard(), 0);
	view.ports[0].join_count = 1;
	discovery_beacon.sync(way, &view);
	join_heard(&join);
	assert_int_equal(join.proxy_priority, 0x10);
}

static void test_takes_leave(void **state)
{
	struct sixtisch_join join;

	(void)state;
	discovery_beacon.sync(way, &view);
	assert_int_equal(count_heard(), 1);
	view.port_count = 0;
	discovery_beacon.sync(way, &view);
	join_heard(&join);
	assert_int_equal(join.proxy_priority, 0x7f);
	view.port_count = 1;
	discovery_beacon.sync(way, &view);
	assert_int_equal(count_heard(), 1);
	settings.beacon = false;
	discovery_beacon.sync(way, &view);
	join_heard(&join);
	assert_int_equal(join.proxy_priority, 0x7f);
	run(PERIOD * 2);
	assert_int_equal(count_heard(), 0);
	settings.beacon = true;
	discovery_beacon.sync(way, &view);
	assert_int_equal(count_heard(), 1);
	discovery_beacon.stop(way);
	way = NULL;
	join_heard(&join);
	assert_int_equal(join.proxy_priority, 0x7f);
}

static void test_off(void **state)
{
	(void)state;
	settings.beacon = false;
	discovery_beacon.sync(way, &view);
	run(PERIOD * 2);
	assert_int_equal(opened, 0);
}

static void test_no_such_interface(void **state)
{
	(void)state;
	refuse = -ENODEV; /* for good */
	discovery_beacon.sync(way, &view);
	run(PERIOD * 3);
	discovery_beacon.sync(way, &view);
	assert_int_equal(opened, 1);
}

static void test_fails_for_a_while(void **state)
{
	(void)state;
	refuse = -ENOBUFS;
	discovery_beacon.sync(way, &view);
	run(PERIOD * 5 / 2);
	assert_in_range(opened, 2, 4);
	refuse = 0;
	run(PERIOD * 3 / 2);
	assert_in_range(count_heard(), 1, 2);
	close(air); /* what is sent now goes nowhere, and it is opened again */
	air = -1;
	opened = 0;
	run(PERIOD * 3);
	assert_true(opened >= 1);
	assert_true(count_heard() >= 1);
}

static void test_real_interfaces(void **state)
{
	uint8_t out[8];
	uint16_t pan;

	(void)state;
	/* Without the right to a packet socket that is what it says. */
	assert_int_equal(__real_wpan_open(if_nametoindex("lo"), out, &pan),
			 geteuid() ? -EPERM : -ENODEV);
	assert_true(__real_wpan_open(0, out, &pan) < 0);
	assert_true(__real_wpan_open(0x7ffffff0, out, &pan) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, begin, end),
		cmocka_unit_test_setup_teardown(test_other_address, begin, end),
		cmocka_unit_test_setup_teardown(test_period, begin, end),
		cmocka_unit_test_setup_teardown(test_joins_go_and_come, begin, end),
		cmocka_unit_test_setup_teardown(test_takes_leave, begin, end),
		cmocka_unit_test_setup_teardown(test_off, begin, end),
		cmocka_unit_test_setup_teardown(test_no_such_interface, begin, end),
		cmocka_unit_test_setup_teardown(test_fails_for_a_while, begin, end),
		cmocka_unit_test(test_real_interfaces),
	};

	return cmocka_run_group_tests_name("beacon", tests, NULL, NULL);
}
