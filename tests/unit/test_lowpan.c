/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Radios and what is stacked on them.  The links are the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "../../ctl/common/lowpan.h"
#include "../../ctl/common/netwatch.h"

enum { ETHERNET = 1, RADIO = 804, STACKED = 825 }; /* linux/if_arp.h */

static const struct netwatch_link links[] = {
	{ .ifindex = 2, .ifname = "eth0", .arphrd = ETHERNET },
	{ .ifindex = 3, .ifname = "wpan0", .arphrd = RADIO },
	{ .ifindex = 4, .ifname = "wpan1", .arphrd = RADIO },
	{ .ifindex = 5, .ifname = "lowpan0", .arphrd = STACKED, .parent = 3 },
	{ .ifindex = 6, .ifname = "eth0.4", .arphrd = ETHERNET, .parent = 4 },
	{ .ifindex = 7, .ifname = "lowpan1", .arphrd = STACKED, .parent = 99 },
};
static size_t link_count;

void __wrap_netwatch_each_link(const struct netwatch *nw,
			       void (*on_link)(void *arg, const struct netwatch_link *link,
					       bool has_address),
			       void *arg);

void __wrap_netwatch_each_link(const struct netwatch *nw,
			       void (*on_link)(void *arg, const struct netwatch_link *link,
					       bool has_address),
			       void *arg)
{
	assert_null(nw);
	for (size_t i = 0; i < link_count; i++)
		on_link(arg, &links[i], false);
}

const struct netwatch_link *__wrap_netwatch_link_by_name(const struct netwatch *nw,
							 const char *ifname);

const struct netwatch_link *__wrap_netwatch_link_by_name(const struct netwatch *nw,
							 const char *ifname)
{
	assert_null(nw);
	for (size_t i = 0; i < link_count; i++)
		if (!strcmp(links[i].ifname, ifname))
			return &links[i];
	return NULL;
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(lowpan_is_radio(&links[1]));
	assert_false(lowpan_is_radio(&links[0]));
	assert_false(lowpan_is_radio(&links[3]));
	assert_true(lowpan_is_stacked(&links[3]));
	assert_false(lowpan_is_stacked(&links[1]));
	assert_false(lowpan_is_stacked(&links[4]));
}

static void test_stacked_on(void **state)
{
	(void)state;
	link_count = 6;
	assert_ptr_equal(lowpan_on(NULL, &links[1]), &links[3]);
	assert_null(lowpan_on(NULL, &links[2])); /* a VLAN's number is not enough */
}

static struct in6_addr ip(const char *text)
{
	struct in6_addr addr;

	assert_int_equal(inet_pton(AF_INET6, text, &addr), 1);
	return addr;
}

static bool prefers(const struct netwatch_link *link, const char *a, const char *b)
{
	struct in6_addr first = ip(a), second = ip(b);

	/* One of two that differ, whichever is asked about. */
	assert_true(lowpan_prefers(link, &first, &second) != lowpan_prefers(link, &second, &first));
	return lowpan_prefers(link, &first, &second);
}

static void test_address(void **state)
{
	const char *of_eui64 = "fe80::200:0:0:1", *of_short = "fe80::ff:fe00:1";
	struct netwatch_link link = {
		.arphrd = STACKED,
		.eui64 = { 0, 0, 0, 0, 0, 0, 0, 1 },
	};

	(void)state;
	assert_true(prefers(&link, of_eui64, of_short)); /* though it is higher */
	assert_true(prefers(&link, of_eui64, "fe80::1")); /* the bit is turned */
	/* Whatever else there is, the lowest. */
	assert_true(prefers(&link, of_short, "fe80::200:0:0:2"));
	link.eui64[4] = 9;
	assert_true(prefers(&link, of_short, of_eui64));
	link.eui64[4] = 0;
	link.arphrd = ETHERNET;
	assert_true(prefers(&link, of_short, of_eui64));
}

static void test_command(void **state)
{
	char buf[LOWPAN_COMMAND_LEN];

	(void)state;
	link_count = 3;
	assert_string_equal(lowpan_command(NULL, "wpan0", buf),
			    "ip link add link wpan0 name lowpan0 type lowpan && ip link set wpan0 "
			    "up && ip link set lowpan0 up");
	link_count = 6; /* two of them are there */
	assert_string_equal(lowpan_command(NULL, "wpan1", buf),
			    "ip link add link wpan1 name lowpan2 type lowpan && ip link set wpan1 "
			    "up && ip link set lowpan2 up");
	/* The longest names fit. */
	assert_non_null(strstr(lowpan_command(NULL, "wpan56789012345", buf), "lowpan2 up"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_stacked_on),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
