/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The links by which a Registrar is found: byte for byte, each form only to the query that names
 * it. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../ctl/jpreg/announce_links.h"
#include "guard.h"

#define MAX 4096

static const char *addr = "2001:db8::1";

/* The answer to FILTER in LEN octets; good until the next call. */
static const char *answer_in(const char *filter, size_t len)
{
	static char text[MAX + 1];
	size_t filter_len = strlen(filter), used;
	struct in6_addr a;
	char *buf = malloc(len ? len : 1);

	assert_non_null(buf);
	assert_int_equal(inet_pton(AF_INET6, addr, &a), 1);
	used = announce_links_write(&a, 7634, 5684, (const char *)guarded(filter, filter_len),
				    filter_len, buf, len);
	assert_true(used <= len);
	memcpy(text, buf, used);
	text[used] = '\0';
	free(buf);
	return text;
}

static const char *answer(const char *filter)
{
	return answer_in(filter, MAX);
}

static void test_each(void **state)
{
	(void)state;
	assert_string_equal(answer("rt=brski.rjp"),
			    "<jpy://[2001:db8::1]:7634>;rt=brski.rjp,"
			    "<coaps+jpy://[2001:db8::1]:7634>;rt=brski.rjp");
	assert_string_equal(answer("rt=brski"), "<coaps://[2001:db8::1]:5684>;rt=brski");
	assert_string_equal(answer("rt=ace.est"),
			    "<coaps://[2001:db8::1]:5684/est>;rt=\"ace.est\"");
	assert_string_equal(answer("rt=ace.est.crts"),
			    "<coaps://[2001:db8::1]:5684/est/crts>;rt=\"ace.est.crts\";"
			    "ct=\"281 287 62\"");
	assert_string_equal(answer("rt=ace.est.att"),
			    "<coaps://[2001:db8::1]:5684/est/att>;rt=\"ace.est.att\";ct=285");
	assert_string_equal(answer("rt=ace.est.skg"),
			    "<coaps://[2001:db8::1]:5684/est/skg>;rt=\"ace.est.skg\";ct=62");
	assert_string_equal(answer("rt=brski.jp"), "");
	assert_string_equal(answer("rt=brski.*"), answer("rt=brski.rjp"));
	assert_string_equal(answer("rt="), "");
	assert_string_equal(answer("rt"), "");
	assert_string_equal(answer("nonsense=1"), "");
	assert_string_equal(answer("rt=ACE.EST"), "");
	assert_string_equal(answer("ct=285"), answer("rt=ace.est.att"));
}

static unsigned int count(const char *text, char what)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == what;
	return n;
}

static void test_all(void **state)
{
	size_t whole;

	(void)state;
	assert_int_equal(count(answer("rt=ace.est*"), '<'), 7);
	assert_int_equal(count(answer(""), '<'), 10);
	assert_int_equal(count(answer(""), ','), 9);
	whole = strlen(answer(""));
	/* It is all of it or nothing. */
	for (size_t len = 0; len < whole; len++)
		assert_string_equal(answer_in("", len), "");
	assert_int_equal(strlen(answer_in("", whole)), whole);
	/* The longest address there is. */
	addr = "2001:db88:1234:5678:9abc:def0:1234:5678";
	assert_int_equal(count(answer(""), '<'), 10);
	addr = "::ffff:255.255.255.255";
	assert_string_equal(answer("rt=brski"), "<coaps://[::ffff:255.255.255.255]:5684>;rt=brski");
	addr = "2001:db8::1";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
