/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The link-format reader against what drafts print, what they should not have printed, and what
 * a stranger may send.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "guard.h"
#include "linkformat.h"
#include "vectors.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Writes what it is shown as "target|name=value|name,..." to compare with. */
struct seen {
	char text[2 * LINKFORMAT_MAX];
	size_t len;
	int links;
};

static void put(struct seen *seen, struct linkformat_text text)
{
	assert_true(text.len < sizeof(seen->text) - seen->len);
	if (text.len)
		memcpy(seen->text + seen->len, text.at, text.len);
	seen->len += text.len;
	seen->text[seen->len] = 0;
}

static void put_word(struct seen *seen, const char *word)
{
	put(seen, (struct linkformat_text){ word, strlen(word) });
}

static void on_link(void *arg, const struct linkformat_link *link)
{
	struct seen *seen = arg;

	if (seen->links++)
		put_word(seen, ",");
	put(seen, link->target);
	for (size_t i = 0; i < link->attr_count; i++) {
		put_word(seen, "|");
		put(seen, link->attrs[i].name);
		if (link->attrs[i].has_value)
			put_word(seen, "=");
		put(seen, link->attrs[i].value);
	}
}

static int walk(const char *text, size_t len, struct seen *seen, size_t *at)
{
	seen->text[0] = 0;
	seen->len = 0;
	seen->links = 0;
	*at = SIZE_MAX;
	return linkformat_walk((const char *)guarded(text, len), len, on_link, seen, at);
}

static const struct {
	const char *text, *seen;
	int links;
} good[] = {
	{ "", "", 0 },
	{ " \r\n", "", 0 },
	{ "<>", "", 1 },
	{ "<a>", "a", 1 },
	{ "<a>,", "a", 1 },
	{ "<a> , ", "a", 1 },
	{ "\t<a>,\r\n <b>\n", "a,b", 2 },
	{ "<>;brski-jp=57101", "|brski-jp=57101", 1 },
	{ "<coaps://[fe80::1]:5684>; rt=\"brski-proxy\"", "coaps://[fe80::1]:5684|rt=brski-proxy",
	  1 },
	{ "<a> ; rt = brski ; obs ,<b>", "a|rt=brski|obs,b", 2 },
	{ "<a>;var=;pw=\"1 2\"", "a|var=|pw=1 2", 1 },
	{ "<a>;x=\"\"", "a|x=", 1 },
	{ "<a>;x=\"1,2;3<>\"", "a|x=1,2;3<>", 1 },
	{ "<a>;x=\"a\\\"b\\\\\"", "a|x=a\\\"b\\\\", 1 },
	{ "<a>;x=\"\xc3\xa4\"", "a|x=\xc3\xa4", 1 },
	{ "<a>;x=\"1\"y=2", "a|x=1|y=2", 1 },
	{ "<a>;x=\"1\" y=2", "a|x=1|y=2", 1 },
	{ "<a>;ct=281 286", "a|ct=281 286", 1 },
	{ "<a>;ct=281 ,<b>", "a|ct=281,b", 2 },
	{ "<a>;title*=UTF-8''x%20y", "a|title*=UTF-8''x%20y", 1 },
	{ "<a>;if=a=b", "a|if=a=b", 1 },
	{ "<a,b;c>", "a,b;c", 1 },
};

static void test_good(void **state)
{
	struct seen seen;
	size_t at;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int n = walk(good[i].text, strlen(good[i].text), &seen, &at);

		if (n != good[i].links || seen.links != n || strcmp(seen.text, good[i].seen) != 0)
			fail_msg("%s: %d links, %s", good[i].text, n, seen.text);
		assert_int_equal(at, strlen(good[i].text));
	}
}

#define BAD(text, at)                                                                              \
	{                                                                                          \
		text, sizeof(text) - 1, at                                                         \
	}

static const struct {
	const char *text;
	size_t len, at;
} wrong[] = {
	BAD("a", 0),
	BAD(",", 0),
	BAD("<a>,,<b>", 4),
	BAD("<", 1),
	BAD("<a", 2),
	BAD("<a>b", 3),
	BAD("<a> b", 4),
	BAD("<a><b>", 3),
	BAD("<a<b>", 2),
	BAD("<a b>", 2),
	BAD("<a\0b>", 2),
	BAD("<\xc3\xa4>", 1),
	BAD("<a>;", 4),
	BAD("<a>;;x", 4),
	BAD("<a>;=1", 4),
	BAD("<a>;,", 4),
	BAD("<a>;x=1;", 8),
	BAD("<a>;x\0=1", 5),
	BAD("<a>;x=1\0", 7),
	BAD("<a>;x=\"1", 8),
	BAD("<a>;x=\"", 7),
	BAD("<a>;x=\"\\", 8),
	BAD("<a>;x=\"\\\"", 9),
	BAD("<a>;x=\"1\0\"", 8),
	BAD("<a>;x=\"\\\0\"", 8),
	BAD("<a>;x=\"\x7f\"", 7),
	BAD("<a>;x=1\"2\"", 7),
	BAD("<a>;x=\\", 6),
	BAD("<a>;x y=1", 6),
	BAD("<a>;x=\"1\"=2", 9),
	BAD("<a>;x=\"1\"<b>", 9),
	/* good links in front are not shown either */
	BAD("<a>;rt=brski,<b>;rt=brski,<c>;x=\"", 33),
};

static void test_bad_calls_back_nothing(void **state)
{
	struct seen seen;
	size_t at;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		int err = walk(wrong[i].text, wrong[i].len, &seen, &at);

		if (err != -EINVAL || at != wrong[i].at || seen.links)
			fail_msg("%zu, %s: %d at %zu, %d links", i, wrong[i].text, err, at,
				 seen.links);
	}
}

/* A text of what comes COUNT times behind FRONT. */
static int walk_many(const char *front, const char *each, size_t count, struct seen *seen)
{
	size_t n = strlen(front), m = strlen(each), at;
	char *text = malloc(n + m * count + 1);
	int result;

	assert_non_null(text);
	strcpy(text, front);
	for (size_t i = 0; i < count; i++)
		memcpy(text + n + i * m, each, m + 1);
	result = walk(text, n + m * count, seen, &at);
	assert_true(at <= n + m * count);
	free(text);
	return result;
}

static void test_limits(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(walk_many("", "<>,", 256, &seen), 256);
	assert_int_equal(seen.links, 256);
	assert_int_equal(walk_many("", "<>,", 257, &seen), -E2BIG);
	assert_int_equal(seen.links, 0);
	assert_int_equal(walk_many("<>", ";a", 32, &seen), 1);
	assert_int_equal(walk_many("<>,<>", ";a", 33, &seen), -E2BIG);
	assert_int_equal(seen.links, 0);
	assert_int_equal(walk_many("<>;x=1", " ", LINKFORMAT_MAX - 6, &seen), 1);
	assert_int_equal(walk_many("<>;x=1", " ", LINKFORMAT_MAX - 5, &seen), -E2BIG);
	assert_int_equal(seen.links, 0);
	assert_int_equal(walk_many("", "<coaps://[2001:db8::1]>;rt=brski,", 2000, &seen), -E2BIG);
	assert_int_equal(walk_many("<>", ";rt=brski", 7000, &seen), -E2BIG);
	assert_int_equal(seen.links, 0);
}

/* The texts that would take longest are done in no time, a thousand times each. */
static void test_is_linear(void **state)
{
	static const struct {
		const char *front, *each;
	} worst[] = {
		{ "", " " },
		{ "<", "a" },
		{ "<>;x=", "1 " },
		{ "<>;x=\"", "1 " },
		{ "<>;x=\"", "\\\\" },
		{ "<>;", "x" },
		{ "<>;rt=\"", "brski " },
		{ "<>", ";a=\"1\"" },
		{ "", "<>;a=\"1\"," },
	};
	struct timespec from, to;
	struct seen seen;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (size_t k = 0; k < 1000; k++)
		for (size_t i = 0; i < ARRAY_LEN(worst); i++)
			walk_many(worst[i].front, worst[i].each,
				  (LINKFORMAT_MAX - 8) / strlen(worst[i].each), &seen);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_true(to.tv_sec - from.tv_sec < 60);
}

static void test_printed_texts(void **state)
{
	int links = 0, texts = 0;
	struct seen seen;
	json_t *root, *list = test_discovery_vectors(&root), *v;
	size_t i, at;

	(void)state;
	json_array_foreach(list, i, v) {
		const char *text = json_string_value(json_object_get(v, "text"));
		int n;

		if (!test_is_kind(v, "link-format"))
			continue;
		n = walk(text, strlen(text), &seen, &at);
		if (n < 1)
			fail_msg("%d at %zu: %s", n, at, text);
		links += n;
		texts++;
	}
	json_decref(root);
	assert_int_equal(texts, 21);
	assert_int_equal(links, 39);
}

/*
 * Filters
 */

struct picked {
	const char *filter;
	char which[16];
	int links;
};

static void pick(void *arg, const struct linkformat_link *link)
{
	struct picked *p = arg;
	size_t len = strlen(p->filter);

	if (linkformat_selects((const char *)guarded(p->filter, len), len, link))
		sprintf(p->which + strlen(p->which), "%d", p->links);
	p->links++;
}

static void test_filters(void **state)
{
	static const char text[] = "<>;brski-jp=57101,<>;brski-jp,"		    /* 0 1 */
				   "<coaps://[fe80::1]:8485>;rt=brski.jp,"	    /* 2 */
				   "<a>;rt=\"brski brski.rjp\";ct=\"50 60\","	    /* 3 */
				   "<b/rv>;rt=brski.rv;ct=836;title=\"rv of 836\"," /* 4 */
				   "<c>;ed=0;ed=2;x=;y=\"a&b\"";		    /* 5 */
	static const struct {
		const char *filter, *which;
	} cases[] = {
		{ "", "012345" },
		{ "brski-jp=*", "01" },
		{ "brski-jp=57101", "0" },
		{ "brski-jp=57102", "" },
		{ "brski-jp=571*", "0" },
		{ "brski-jp=", "" },
		{ "rt=brski", "3" },
		{ "rt=brski.jp", "2" },
		{ "rt=brski*", "234" },
		{ "rt=brski.r*", "34" },
		{ "rt=brski brski.rjp", "3" },
		{ "rt=brski%20brski.rjp", "3" },
		{ "rt=%62rski", "3" },
		{ "rt=%6", "" },
		{ "rt=%zz", "" },
		{ "rt=*", "234" },
		{ "rt=", "" },
		{ "RT=brski", "" },
		{ "r=brski", "" },
		{ "ct=60", "3" },
		{ "ct=836", "4" },
		{ "title=836", "" },
		{ "title=rv of 836", "4" },
		{ "title=rv*", "4" },
		{ "ed=0", "5" },
		{ "ed=2", "5" },
		{ "ed=1", "" },
		{ "x=", "5" },
		{ "y=a&b", "" },
		{ "y=a%26b", "5" },
		{ "href=a", "3" },
		{ "href=b/*", "4" },
		{ "href=*", "012345" },
		{ "href=", "01" },
		{ "rt=brski*&ct=60", "3" },
		{ "rt=brski*&ct=61", "" },
		{ "rt=brski&rt=brski.rjp", "3" },
		{ "rt", "" },
		{ "=", "" },
		{ "*", "" },
		{ "&", "" },
		{ "rt=brski&", "3" },
		{ "&rt=brski", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct picked p = { .filter = cases[i].filter };
		size_t at;

		assert_int_equal(linkformat_walk(text, strlen(text), pick, &p, &at), 6);
		if (strcmp(p.which, cases[i].which) != 0)
			fail_msg("%s: %s instead of %s", p.filter, p.which, cases[i].which);
	}
}

static void test_long_filters(void **state)
{
	static char filter[4096];
	struct linkformat_link none = { .attr_count = 0 };

	(void)state;
	memset(filter, 'a', sizeof(filter));
	filter[1] = '=';
	for (size_t n = 0; n < sizeof(filter); n++)
		assert_int_equal(linkformat_selects((const char *)guarded(filter, n), n, &none),
				 !n);
}

static void first_attr(void *arg, const struct linkformat_link *link)
{
	const struct linkformat_attr *attr = linkformat_attr(link, "b");

	(void)arg;
	assert_non_null(attr);
	assert_true(linkformat_is(attr->value, "1"));
	assert_false(linkformat_is(attr->value, "12"));
	assert_false(linkformat_is(attr->value, ""));
	assert_null(linkformat_attr(link, "c"));
	assert_null(linkformat_attr(link, ""));
	assert_true(linkformat_is((struct linkformat_text){ "", 0 }, ""));
	assert_true(linkformat_is((struct linkformat_text){ NULL, 0 }, ""));
}

static void test_attr(void **state)
{
	size_t at;

	(void)state;
	assert_int_equal(linkformat_walk("<>;a;b=1;b=2;bb=3", 17, first_attr, NULL, &at), 1);
	assert_int_equal(linkformat_walk(NULL, 0, first_attr, NULL, &at), 0);
	assert_int_equal(at, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	      cmocka_unit_test(test_bad_calls_back_nothing),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_is_linear),
		cmocka_unit_test(test_printed_texts), cmocka_unit_test(test_filters),
		cmocka_unit_test(test_long_filters),  cmocka_unit_test(test_attr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
