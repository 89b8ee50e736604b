/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Radios and what is stacked on them.  The links are the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

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
		cmocka_unit_test(test_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
