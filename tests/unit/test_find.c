/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What jpledge keeps of what it found: merged, in order, bounded, printable. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ctl/jpledge/find.h"

static void found(struct find *find, const char *way, const char *by, const char *addr,
		  uint16_t port)
{
	struct found f = { .way = way, .port = port };

	memcpy(f.by, by, strnlen(by, sizeof(f.by)));
	assert_int_equal(inet_pton(AF_INET6, addr, &f.addr), 1);
	find_found(find, &f);
}

/* All of it as one line: "ADDR PORT WAY:BY,WAY:BY; ..." */
static const char *all(struct find *find)
{
	static char buf[4096];
	const struct find_proxy *proxy;
	char addr[INET6_ADDRSTRLEN];
	int used = 0;

	*buf = 0;
	for (unsigned int i = 0; (proxy = find_proxy(find, i)); i++) {
		inet_ntop(AF_INET6, &proxy->addr, addr, sizeof(addr));
		used += sprintf(buf + used, "%s%s %u", i ? "; " : "", addr, proxy->port);
		for (unsigned int m = 0; m < proxy->method_count; m++)
			used += sprintf(buf + used, "%c%s:%s", m ? ',' : ' ', proxy->methods[m].way,
					proxy->methods[m].by);
	}
	return buf;
}

static void test_merged_in_order(void **state)
{
	struct find *find = find_new();

	(void)state;
	found(find, "grasp", "AN_Proxy", "fe80::2", 2);
	found(find, "coap", "rt=brski.jp", "fe80::2", 2);
	found(find, "coap", "brski-jp", "fe80::1", 30);
	found(find, "coap", "brski-jp", "fe80::2", 2);
	found(find, "coap", "brski-jp", "fe80::2", 2);
	found(find, "coap", "brski-jp", "fe80::1", 4);
	assert_string_equal(all(find), "fe80::1 4 coap:brski-jp; fe80::1 30 coap:brski-jp; "
				       "fe80::2 2 coap:brski-jp,coap:rt=brski.jp,grasp:AN_Proxy");
	assert_int_equal(find_count(find), 3);
	assert_false(find_is_cut(find));
	find_free(find);
}

static void test_only_link_local(void **state)
{
	struct find *find = find_new();
	const char *why;

	(void)state;
	found(find, "coap", "brski-jp", "2001:db8::1", 1);
	found(find, "coap", "brski-jp", "ff02::fd", 1);
	found(find, "mdns", "_brski-proxy._udp", "::ffff:192.0.2.1", 1);
	found(find, "coap", "brski-jp", "fe80::1", 0);
	assert_int_equal(find_count(find), 0);
	assert_int_equal(find_refusals(find, "mdns", &why), 1);
	assert_int_equal(find_refusals(find, "coap", &why), 3);
	found(find, "mdns", "_brski-proxy._udp", "::ffff:169.254.1.1", 1);
	assert_int_equal(find_count(find), 1);
	assert_non_null(strstr(why, "link-local"));
	find_free(find);
}

static void test_strangers_words(void **state)
{
	struct find *find = find_new();
	char longest[64];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	found(find, "grasp", "\033[2J\303\244\n", "fe80::1", 1);
	/* without an end */
	found(find, "grasp", longest, "fe80::2", 1);
	assert_string_equal(find_proxy(find, 0)->methods[0].by, "?[2J???");
	assert_int_equal(strlen(find_proxy(find, 1)->methods[0].by), 47);
	find_free(find);
}

static void test_bounded(void **state)
{
	struct find *find = find_new();
	char by[16];

	(void)state;
	for (uint16_t i = 1; i <= FIND_PROXIES_MAX; i++)
		found(find, "coap", "brski-jp", "fe80::1", i);
	assert_false(find_is_cut(find));
	/* what is known already needs no place */
	found(find, "coap", "brski-jp", "fe80::1", 7);
	assert_false(find_is_cut(find));
	found(find, "coap", "brski-jp", "fe80::", 1);
	assert_true(find_is_cut(find));
	assert_int_equal(find_count(find), FIND_PROXIES_MAX);
	find_free(find);

	find = find_new();
	for (unsigned int i = 0; i < FIND_METHODS_MAX; i++) {
		snprintf(by, sizeof(by), "%u", i);
		found(find, "grasp", by, "fe80::1", 1);
	}
	assert_false(find_is_cut(find));
	found(find, "coap", "brski-jp", "fe80::1", 1);
	assert_true(find_is_cut(find));
	assert_int_equal(find_proxy(find, 0)->method_count, FIND_METHODS_MAX);
	find_free(find);
}

static void test_refusals(void **state)
{
	static const char *const ways[] = { "a", "b", "c", "d", "e", "f" };
	struct find *find = find_new();
	const char *why;

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		find_refused(find, ways[i], "first");
		find_refused(find, ways[i], "second");
	}
	for (unsigned int i = 0; i < FIND_WAYS_MAX; i++) {
		assert_int_equal(find_refusals(find, ways[i], &why), 2);
		assert_string_equal(why, "first");
	}
	assert_int_equal(find_refusals(find, "f", &why), 0);
	assert_string_equal(why, "");
	find_free(find);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merged_in_order), cmocka_unit_test(test_only_link_local),
		cmocka_unit_test(test_strangers_words), cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
