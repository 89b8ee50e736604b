/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bodies as ace-coap-est-06 5.2 wraps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "est_profile.h"
#include "guard.h"

static void test_names(void **state)
{
	enum est_profile profile;

	(void)state;
	assert_true(est_profile_parse("rfc9148", &profile));
	assert_int_equal(profile, EST_RFC9148);
	assert_true(est_profile_parse("est-coaps-06", &profile));
	assert_int_equal(profile, EST_COAPS_06);
	assert_false(est_profile_parse("est-coaps-0", &profile));
	assert_false(est_profile_parse("", &profile));
}

/* The shortest heads, RFC 8949 3: up to 23 octets, 255, 65535. */
static void test_wrap(void **state)
{
	static const struct {
		size_t len;
		const char *head;
		size_t head_len;
	} rows[] = {
		{ 0, "\x40", 1 },
		{ 4, "\x44", 1 },
		{ 23, "\x57", 1 },
		{ 24, "\x58\x18", 2 },
		{ 255, "\x58\xff", 2 },
		{ 256, "\x59\x01\x00", 3 },
		{ 4096, "\x59\x10\x00", 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t whole = rows[i].head_len + rows[i].len, len;
		uint8_t *body = malloc(rows[i].len + 1);
		const uint8_t *inner;

		memset(body, 0x5a, rows[i].len + 1);
		assert_int_equal(est_wrap(&body, (long)rows[i].len), whole);
		assert_memory_equal(body, rows[i].head, rows[i].head_len);
		inner = guarded(body, whole);
		len = whole;
		assert_true(est_unwrap(&inner, &len));
		assert_int_equal(len, rows[i].len);
		for (size_t n = 0; n < len; n++)
			assert_int_equal(inner[n], 0x5a);
		/* cut off anywhere, it is none */
		for (size_t cut = 0; cut < whole && cut < 300; cut++) {
			inner = guarded(body, cut);
			len = cut;
			assert_false(est_unwrap(&inner, &len));
		}
		free(body);
	}
}

static void test_no_byte_string(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "\x44zzzzz", 6 },	       /* something is behind it */
		{ "\x64zzzz", 5 },	       /* text */
		{ "\x5f\x41z\xff", 4 },	       /* of indefinite length */
		{ "\xc1\x41z", 3 },	       /* tagged */
		{ "\x30\x03\x02\x01\x00", 5 }, /* DER */
		{ "\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const uint8_t *body = guarded(rows[i].bytes, rows[i].len);
		size_t len = rows[i].len;

		assert_false(est_unwrap(&body, &len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_no_byte_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
