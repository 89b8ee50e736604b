/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every enumeration value has a word and, where people look it up, a text; words
 * are unique and fit for a JSON key or a metric label.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <jpx/jpy.h>

#include "../../ctl/common/words.h"

/* lower case, digits and SEPARATOR, begun by a letter and ended by none of it */
static void assert_word(const char *word, char separator)
{
	size_t len = strlen(word);

	assert_true(len > 0 && len < 32);
	assert_true(word[0] >= 'a' && word[0] <= 'z');
	assert_true(word[len - 1] != separator);
	for (size_t i = 0; i < len; i++)
		assert_true((word[i] >= 'a' && word[i] <= 'z') ||
			    (word[i] >= '0' && word[i] <= '9') ||
			    (word[i] == separator && word[i - 1] != separator));
}

static void assert_unique(const char *(*word)(unsigned int), unsigned int first, unsigned int end)
{
	for (unsigned int i = first; i < end; i++)
		for (unsigned int j = i + 1; j < end; j++)
			assert_string_not_equal(word(i), word(j));
}

/* No word where there is no value, so that a table longer than its enum is found, too. */
static void assert_enum(const char *(*word)(unsigned int), unsigned int end)
{
	for (unsigned int i = 0; i < end; i++)
		assert_word(word(i), '-');
	assert_unique(word, 0, end);
	assert_string_equal(word(end), "?");
	assert_string_equal(word(~0U), "?");
}

static void test_enums(void **state)
{
	(void)state;
	assert_enum(jpx_link_word, JPX_LINK_IPV6 + 1);
	assert_enum(jpx_mode_word, JPX_MODE_STATEFUL + 1);
	assert_enum(jpx_engine_word, JPX_ENGINE_XDP_GENERIC + 1);
	assert_enum(jpx_xdp_word, JPX_XDP_OFF + 1);
	assert_enum(jpx_source_word, JPX_SOURCE_DNS_SD + 1);
}

/* The order of the tables is that of the enums: these words are the interface. */
static void test_meaning(void **state)
{
	(void)state;
	assert_string_equal(jpx_link_word(JPX_LINK_ETHERNET), "ethernet");
	assert_string_equal(jpx_link_word(JPX_LINK_IPV6), "ipv6");
	assert_string_equal(jpx_mode_word(JPX_MODE_STATELESS), "stateless");
	assert_string_equal(jpx_mode_word(JPX_MODE_STATEFUL), "stateful");
	assert_string_equal(jpx_engine_word(JPX_ENGINE_SOCKET), "socket");
	assert_string_equal(jpx_engine_word(JPX_ENGINE_XDP_NATIVE), "xdp-native");
	assert_string_equal(jpx_engine_word(JPX_ENGINE_XDP_GENERIC), "xdp-generic");
	assert_string_equal(jpx_xdp_word(JPX_XDP_AUTO), "auto");
	assert_string_equal(jpx_xdp_word(JPX_XDP_NATIVE), "native");
	assert_string_equal(jpx_xdp_word(JPX_XDP_GENERIC), "generic");
	assert_string_equal(jpx_xdp_word(JPX_XDP_OFF), "off");
	assert_string_equal(jpx_source_word(JPX_SOURCE_CONFIG), "config");
	assert_string_equal(jpx_source_word(JPX_SOURCE_COAP), "coap");
	assert_string_equal(jpx_source_word(JPX_SOURCE_GRASP), "grasp");
	assert_string_equal(jpx_source_word(JPX_SOURCE_DNS_SD), "dns-sd");
	assert_string_equal(jpx_drop_word(JPX_DROP_NOT_DTLS), "not_dtls");
	assert_string_equal(jpx_drop_word(JPX_DROP_KERNEL_REFUSED), "kernel_refused");
	assert_string_equal(jpx_handoff_word(JPX_HANDOFF_FRAGMENT), "fragment");
	assert_string_equal(jpx_handoff_word(JPX_HANDOFF_NO_HEADROOM), "no_headroom");
}

static void test_back(void **state)
{
	(void)state;
	for (unsigned int i = 0; i <= JPX_MODE_STATEFUL; i++)
		assert_int_equal(jpx_mode_by_word(jpx_mode_word(i)), i);
	for (unsigned int i = 0; i <= JPX_XDP_OFF; i++)
		assert_int_equal(jpx_xdp_by_word(jpx_xdp_word(i)), i);
	assert_int_equal(jpx_mode_by_word(""), -1);
	assert_int_equal(jpx_mode_by_word("stateles"), -1);
	assert_int_equal(jpx_mode_by_word("?"), -1);
	assert_int_equal(jpx_xdp_by_word("Native"), -1);
	assert_int_equal(jpx_xdp_by_word("off "), -1);
}

static void test_drops(void **state)
{
	(void)state;
	for (unsigned int r = 1; r < JPX_DROP_COUNT; r++) {
		assert_word(jpx_drop_word(r), '_');
		assert_true(strlen(jpx_drop_text(r)) >= 10);
	}
	assert_unique(jpx_drop_word, 0, JPX_DROP_COUNT);
	assert_unique(jpx_drop_text, 0, JPX_DROP_COUNT);
	assert_string_equal(jpx_drop_word(JPX_DROP_COUNT), "?");
	assert_string_equal(jpx_drop_text(JPX_DROP_COUNT), "?");
}

static void test_handoffs(void **state)
{
	(void)state;
	for (unsigned int r = 0; r < JPX_HANDOFF_COUNT; r++) {
		assert_word(jpx_handoff_word(r), '_');
		assert_true(strlen(jpx_handoff_text(r)) >= 10);
	}
	assert_unique(jpx_handoff_word, 0, JPX_HANDOFF_COUNT);
	assert_unique(jpx_handoff_text, 0, JPX_HANDOFF_COUNT);
	assert_string_equal(jpx_handoff_word(JPX_HANDOFF_COUNT), "?");
	assert_string_equal(jpx_handoff_text(JPX_HANDOFF_COUNT), "?");
}

static void test_tolds(void **state)
{
	(void)state;
	for (unsigned int r = 0; r < JPX_TOLD_COUNT; r++) {
		assert_word(jpx_told_word(r), '_');
		assert_true(strlen(jpx_told_text(r)) >= 10);
	}
	assert_unique(jpx_told_word, 0, JPX_TOLD_COUNT);
	assert_unique(jpx_told_text, 0, JPX_TOLD_COUNT);
	assert_string_equal(jpx_told_word(JPX_TOLD_COUNT), "?");
	assert_string_equal(jpx_told_text(JPX_TOLD_COUNT), "?");
}

static void test_forms(void **state)
{
	(void)state;
	for (int form = 0; form < JPX_FORM_COUNT; form++) {
		const char *name = jpx_form_name((enum jpx_form)form);

		assert_non_null(name);
		assert_word(name, '-');
		/* unique, or this would find the first of two */
		assert_int_equal(jpx_form_by_name(name), form);
	}
	assert_null(jpx_form_name(JPX_FORM_COUNT));
	assert_int_equal(jpx_form_by_name("draft-99"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enums),	 cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_back),	 cmocka_unit_test(test_drops),
		cmocka_unit_test(test_handoffs), cmocka_unit_test(test_tolds),
		cmocka_unit_test(test_forms),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
