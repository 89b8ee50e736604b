/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The links that pledges are answered with: byte for byte as the drafts print them, each
 * form only to the query that names it, and in an order that spreads pledges by weight.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

#include "../../ctl/jpd/announce_links.h"
#include "../../ctl/jpd/discovery.h"
#include "guard.h"
#include "vectors.h"

static struct discovery_port port_at(const char *addr)
{
	struct discovery_port port = { .ifname = "pj0", .ifindex = 1 };

	assert_int_equal(inet_pton(AF_INET6, addr, &port.addr), 1);
	return port;
}

static void add_join(struct discovery_port *port, uint16_t number, uint16_t weight)
{
	port->joins[port->join_count++] =
		(struct discovery_join){ .port = number, .weight = weight };
}

/* The answer to FILTER as text; good until the next call. */
static const char *answer_by(const struct discovery_port *port, const char *filter, uint64_t seed)
{
	static char buf[ANNOUNCE_LINKS_MAX + 1];
	size_t len = strlen(filter);

	len = announce_links(port, (const char *)guarded(filter, len), len, seed, buf,
			     ANNOUNCE_LINKS_MAX);
	buf[len] = 0;
	return buf;
}

static const char *answer(const struct discovery_port *port, const char *filter)
{
	return answer_by(port, filter, 7);
}

/* ---- the vectors ---------------------------------------------------------------- */

static const json_t *vector(const json_t *list, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
		if (test_is_kind(v, "link-format") &&
		    strcmp(json_string_value(json_object_get(v, "name")), name) == 0)
			return v;
	fail_msg("no vector %s", name);
	return NULL;
}

static void test_drafts_bytes(void **state)
{
	static const struct {
		const char *name, *addr;
		uint16_t port;
	} rows[] = {
		{ "pledge.brski-jp", "fe80::1", 57101 },
		{ "pledge.rt-brski.jp", "fe80::c78:e3c4:58a0:a4ad", 8485 },
		{ "pledge.rt-brski-proxy", "fe80::ff:fe00:a", 57101 },
	};
	json_t *root, *list = test_discovery_vectors(&root);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const json_t *v = vector(list, rows[i].name);
		const json_t *fields = json_object_get(v, "fields");
		struct discovery_port port = port_at(rows[i].addr);

		add_join(&port, rows[i].port, 1);
		assert_string_equal(
			answer(&port, json_string_value(json_object_get(fields, "query"))),
			json_string_value(json_object_get(v, "text")));
	}
	json_decref(root);
}

/* ---- filters ---------------------------------------------------------------------- */

#define NEW  "<>;brski-jp=57101"
#define RT   "<coaps://[fe80::a]:57101>;rt=brski.jp"
#define SEED "<coaps://[fe80::a]:57101>; rt=\"brski-proxy\""

static void test_filters(void **state)
{
	static const char *const rows[][2] = {
		{ "brski-jp=*", NEW },
		{ "brski-jp=57101", NEW },
		{ "brski-jp=571*", NEW },
		{ "brski-jp=5710", "" },
		{ "rt=brski.jp", RT },
		{ "rt=brski-proxy", SEED },
		{ "rt=brski*", RT "," SEED },
		{ "rt=brski.*", RT },
		{ "rt=*", RT "," SEED },
		{ "", NEW "," RT "," SEED },
		{ "rt=brski", "" },
		{ "rt=brski.rjp", "" },
		{ "rt=brski.jpx", "" },
		{ "rt=join-proxy", "" },
		{ "rt=core.rd", "" },
		{ "if=*", "" },
		{ "href=coaps://*", RT "," SEED },
	};
	struct discovery_port port = port_at("fe80::a");

	(void)state;
	add_join(&port, 57101, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(answer(&port, rows[i][0]), rows[i][1]);
}

static void test_long_filter(void **state)
{
	struct discovery_port port = port_at("fe80::a");
	char filter[ANNOUNCE_FILTER_MAX + 2] = "brski-jp=";

	(void)state;
	add_join(&port, 57101, 1);
	/* the longest that is looked at: "*" ends it */
	memset(filter + 9, '5', ANNOUNCE_FILTER_MAX - 9);
	assert_string_equal(answer(&port, filter), "");
	memset(filter + 9, '*', ANNOUNCE_FILTER_MAX + 1 - 9);
	assert_string_equal(answer(&port, filter), "");
}

static void test_nothing_to_announce(void **state)
{
	struct discovery_port port = port_at("fe80::a");

	(void)state;
	assert_string_equal(answer(&port, ""), "");
	assert_string_equal(answer(&port, "brski-jp=*"), "");
}

/* ---- several join ports ------------------------------------------------------------- */

static void test_two(void **state)
{
	struct discovery_port port = port_at("fe80::a");
	bool seen[2] = { false, false };

	(void)state;
	add_join(&port, 57101, 1);
	add_join(&port, 57102, 1);
	for (uint64_t seed = 0; seed < 64; seed++) {
		const char *got = answer_by(&port, "brski-jp=*", seed);

		if (strcmp(got, "<>;brski-jp=57101,<>;brski-jp=57102") == 0)
			seen[0] = true;
		else if (strcmp(got, "<>;brski-jp=57102,<>;brski-jp=57101") == 0)
			seen[1] = true;
		else
			fail_msg("%s", got);
	}
	assert_true(seen[0] && seen[1]);
}

static void test_full(void **state)
{
	struct discovery_port port = port_at("fe80:1111:2222:3333:4444:5555:6666:7777");
	char buf[ANNOUNCE_LINKS_MAX];
	size_t len, links = 1;

	(void)state;
	for (unsigned int i = 0; i < DISCOVERY_JOINS; i++)
		add_join(&port, (uint16_t)(65535 - i), 65535);
	len = announce_links(&port, "", 0, 1, buf, sizeof(buf));
	for (size_t i = 0; i < len; i++)
		links += buf[i] == ',';
	assert_int_equal(links, 3 * DISCOVERY_JOINS);
	assert_int_equal(announce_links(&port, "", 0, 1, buf, len), len);
	/* all or nothing: half a list would look like a whole one */
	assert_int_equal(announce_links(&port, "", 0, 1, buf, len - 1), 0);
}

/* How often of 10,000 the join port NUMBER stands first. */
static unsigned int firsts(const struct discovery_port *port, unsigned int number)
{
	unsigned int count = 0, first;
	struct in6_addr addr = port->addr;

	for (unsigned int i = 0; i < 10000; i++) {
		addr.s6_addr[14] = (uint8_t)(i >> 8);
		addr.s6_addr[15] = (uint8_t)i;
		assert_int_equal(sscanf(answer_by(port, "brski-jp=*", announce_seed(&addr, 1, 1)),
					"<>;brski-jp=%u", &first),
				 1);
		count += first == number;
	}
	return count;
}

static void test_weights(void **state)
{
	struct discovery_port port = port_at("fe80::a");

	(void)state;
	add_join(&port, 1001, 300);
	add_join(&port, 1002, 100);
	assert_in_range(firsts(&port, 1001), 7200, 7800);
	/* one without a weight is chosen by the rest of RFC 2782: 1 of 401 */
	add_join(&port, 1003, 0);
	assert_in_range(firsts(&port, 1003), 1, 80);
	assert_in_range(firsts(&port, 1002), 2200, 2800);
}

static void test_no_weights(void **state)
{
	struct discovery_port port = port_at("fe80::a");

	(void)state;
	for (uint16_t i = 0; i < 4; i++)
		add_join(&port, 1001 + i, 0);
	for (uint16_t i = 0; i < 4; i++)
		assert_in_range(firsts(&port, 1001 + i), 2200, 2800);
}

static void test_seed_stands(void **state)
{
	struct in6_addr a, b;
	uint64_t first, last;
	unsigned int changes = 0;

	(void)state;
	inet_pton(AF_INET6, "fe80::1", &a);
	inet_pton(AF_INET6, "fe80:0:0:1::1", &b);
	assert_int_not_equal(announce_seed(&a, 1, 1000), announce_seed(&b, 1, 1000));
	assert_int_not_equal(announce_seed(&a, 1, 1000), announce_seed(&a, 2, 1000));
	last = first = announce_seed(&a, 1, 1000);
	for (uint64_t t = 1000; t < 1000 + 3600; t++) {
		changes += announce_seed(&a, 1, t) != last;
		last = announce_seed(&a, 1, t);
	}
	assert_int_not_equal(first, last);
	assert_in_range(changes, 11, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drafts_bytes), cmocka_unit_test(test_filters),
		cmocka_unit_test(test_long_filter),  cmocka_unit_test(test_nothing_to_announce),
		cmocka_unit_test(test_two),	     cmocka_unit_test(test_full),
		cmocka_unit_test(test_weights),	     cmocka_unit_test(test_no_weights),
		cmocka_unit_test(test_seed_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
