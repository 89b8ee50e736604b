/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which pledge ports share a row: those numbered one after the other and alike in all
 * that a person has to know of.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../ctl/jpctl/port_run.h"

static json_t *port(const char *name)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:[{s:i, s:s}], s:i, s:i}", "ifname",
			 name, "link", "ethernet", "engine", "xdp-native", "shared", 0, "address",
			 name, "address4", "0.0.0.0", "state", "ready", "join_ports", "port", 5684,
			 "service", "main", "flows", 3, "max_flows", 10);
}

/* The run of a port NAME_A and one NAME_B, in which KEY is VALUE. */
static size_t run_of(const char *name_a, const char *name_b, const char *key, json_t *value)
{
	json_t *ports = json_pack("[o, o]", port(name_a), port(name_b));
	size_t run;

	assert_non_null(ports);
	if (key)
		assert_int_equal(json_object_set_new(json_array_get(ports, 1), key, value), 0);
	run = port_run(ports, 0);
	json_decref(ports);
	return run;
}

static void names(void **unused)
{
	static const struct {
		const char *a, *b;
		size_t run;
	} cases[] = {
		{ "pj0", "pj1", 2 },  { "pj9", "pj10", 2 }, { "eth1.19", "eth1.20", 2 },
		{ "pj1", "pj0", 1 },  { "pj1", "pj1", 1 },  { "pj0", "pj2", 1 },
		{ "pj9", "qj10", 1 }, { "pj0", "pj01", 1 }, { "pj", "pj1", 1 },
		{ "pj1", "pj", 1 },   { "pj1", "pjx2", 1 }, { "", "", 1 },
		{ "lan", "wan", 1 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(run_of(cases[i].a, cases[i].b, NULL, NULL), cases[i].run);
}

static void differences(void **unused)
{
	(void)unused;
	assert_int_equal(run_of("pj0", "pj1", "address", json_string("fe80::9")), 2);
	assert_int_equal(run_of("pj0", "pj1", "flows", json_integer(9)), 2);
	assert_int_equal(run_of("pj0", "pj1", "flows", json_integer(10)), 1);
	assert_int_equal(run_of("pj0", "pj1", "address", json_string("::")), 1);
	assert_int_equal(run_of("pj0", "pj1", "address4", json_string("169.254.1.2")), 1);
	assert_int_equal(run_of("pj0", "pj1", "link", json_string("ipv6")), 1);
	assert_int_equal(run_of("pj0", "pj1", "engine", json_string("xdp-generic")), 1);
	assert_int_equal(run_of("pj0", "pj1", "shared", json_true()), 1);
	assert_int_equal(run_of("pj0", "pj1", "state", json_string("down")), 1);
	assert_int_equal(run_of("pj0", "pj1", "join_ports", json_array()), 1);
}

static void ends(void **unused)
{
	json_t *ports = json_pack("[o, o, o, o, o]", port("pj0"), port("pj1"), port("pj2"),
				  port("pj4"), port("pj5"));

	(void)unused;
	assert_non_null(ports);
	assert_int_equal(port_run(ports, 0), 3);
	assert_int_equal(port_run(ports, 1), 2);
	assert_int_equal(port_run(ports, 3), 2);
	assert_int_equal(port_run(ports, 4), 1);
	json_decref(ports);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(differences),
		cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
