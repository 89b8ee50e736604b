/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GRASP floods against the vectors, in both directions, and against what a neighbour who
 * means ill may send.  Expected bytes are written here by hand or come from vectors.json.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "grasp.h"
#include "guard.h"
#include "vectors.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static json_t *vectors;
static struct grasp_flood flood;

static int read_bytes(const uint8_t *buf, size_t len, struct grasp_flood *out)
{
	const char *why = "unset";
	int err = grasp_read(guarded(buf, len), len, out, &why);

	if (err) {
		assert_non_null(why);
		assert_string_not_equal(why, "unset");
		assert_int_equal(out->count, 0);
	} else {
		assert_null(why);
	}
	return err;
}

static int read_hex(const char *hex, struct grasp_flood *out)
{
	static uint8_t buf[4096];

	return read_bytes(buf, test_hex(hex, buf, sizeof(buf)), out);
}

/*
 * Vectors
 */

static const json_t *at(const json_t *array, size_t i)
{
	return json_array_get(array, i);
}

static void item_of(const json_t *objective, const json_t *locator, struct grasp_item *item)
{
	memset(item, 0, sizeof(*item));
	strcpy(item->name, json_string_value(at(objective, 0)));
	item->flags = (unsigned int)json_integer_value(at(objective, 1));
	item->loop_count = (unsigned int)json_integer_value(at(objective, 2));
	strcpy(item->value, json_string_value(at(objective, 3)));
	item->has_value = true;
	if (!json_array_size(locator))
		return;
	item->has_locator = true;
	assert_int_equal(test_hex(json_string_value(at(locator, 1)), item->addr.s6_addr, 16), 16);
	item->proto = (unsigned int)json_integer_value(at(locator, 2));
	item->port = (uint16_t)json_integer_value(at(locator, 3));
}

static void flood_of(const json_t *vector, struct grasp_flood *out)
{
	const json_t *fields = json_object_get(vector, "fields");

	memset(out, 0, sizeof(*out));
	out->session = (uint32_t)json_integer_value(at(fields, 1));
	assert_int_equal(test_hex(json_string_value(at(fields, 2)), out->initiator.s6_addr, 16),
			 16);
	out->ttl = (uint32_t)json_integer_value(at(fields, 3));
	for (size_t i = 4; i < json_array_size(fields); i++)
		for (size_t k = 0; k + 1 < json_array_size(at(fields, i)); k += 2)
			item_of(at(at(fields, i), k), at(at(fields, i), k + 1),
				&out->items[out->count++]);
}

static void assert_flood(const struct grasp_flood *got, const struct grasp_flood *want)
{
	assert_int_equal(got->session, want->session);
	assert_memory_equal(&got->initiator, &want->initiator, 16);
	assert_int_equal(got->ttl, want->ttl);
	assert_int_equal(got->count, want->count);
	for (size_t i = 0; i < want->count; i++) {
		const struct grasp_item *g = &got->items[i], *w = &want->items[i];

		assert_string_equal(g->name, w->name);
		assert_int_equal(g->flags, w->flags);
		assert_int_equal(g->loop_count, w->loop_count);
		assert_int_equal(g->has_value, w->has_value);
		assert_string_equal(g->value, w->value);
		assert_int_equal(g->has_locator, w->has_locator);
		assert_memory_equal(&g->addr, &w->addr, 16);
		assert_int_equal(g->proto, w->proto);
		assert_int_equal(g->port, w->port);
	}
}

static void test_vectors_both_ways(void **state)
{
	uint8_t bytes[2048], out[2048];
	struct grasp_flood want;
	int seen = 0, drawn = 0;
	size_t i;
	json_t *v;

	(void)state;
	json_array_foreach(vectors, i, v) {
		size_t len;

		if (!test_is_kind(v, "grasp"))
			continue;
		len = test_message(v, bytes, sizeof(bytes));
		flood_of(v, &want);
		assert_int_equal(read_bytes(bytes, len, &flood), 0);
		assert_flood(&flood, &want);
		seen++;
		if (json_is_false(json_object_get(v, "conformant"))) {
			drawn++;
			continue;
		}
		assert_int_equal(grasp_write(&want, out, sizeof(out)), len);
		assert_memory_equal(out, bytes, len);
		for (size_t room = 0; room < len; room++) {
			assert_int_equal(grasp_write(&want, out, room), -E2BIG);
			assert_int_equal(read_bytes(bytes, room, &flood), -EINVAL);
		}
		bytes[len] = 0;
		assert_int_equal(read_bytes(bytes, len + 1, &flood), -EINVAL);
	}
	assert_int_equal(seen, 13);
	assert_int_equal(drawn, 1);
}

/*
 * The grammar
 */

#define ADDR "50 fe800000000000000000000000000001"
#define HEAD "09 01" ADDR "1a0002bf20"
#define NAME "68414e5f50726f7879"
#define OBJ  "84" NAME "04 01 60"
#define LOC  "84 1867" ADDR "11 191634"
#define PAIR "82" OBJ LOC

static const struct {
	int err;
	const char *hex;
} cases[] = {
	{ 0, "85" HEAD PAIR },
	/* what is no flood */
	{ -EINVAL, "" },
	{ -EINVAL, "00" },
	{ -EINVAL, "80" },
	{ -EINVAL, "a1 09 01" },
	{ -EINVAL, "81 6109" },
	{ -EINVAL, "81 0a" },
	{ -EINVAL, "81 1862" },
	{ -EINVAL, "81 28" },
	{ -EINVAL, "16fefd000000000000000000080102030405060708" },
	{ -EPROTONOSUPPORT, "84 01 01" ADDR OBJ },
	{ -EPROTONOSUPPORT, "81 00" },
	{ -EPROTONOSUPPORT, "82 1863 01" },
	/* the head */
	{ -EINVAL, "84" HEAD },
	{ -EINVAL, "9f" HEAD PAIR "ff" },
	{ -EINVAL, "86" HEAD PAIR },
	{ -EINVAL, "85" HEAD PAIR "00" },
	{ -EINVAL, "c1 85" HEAD PAIR },
	{ -EINVAL, "85 09 20" ADDR "1a0002bf20" PAIR },
	{ -EINVAL, "85 09 1b0000000100000000" ADDR "1a0002bf20" PAIR },
	{ 0, "85 09 1b00000000ffffffff" ADDR "1a0002bf20" PAIR },
	{ -EINVAL, "85 09 fa3f800000" ADDR "1a0002bf20" PAIR },
	{ -EINVAL, "85 09 c1 01" ADDR "1a0002bf20" PAIR },
	{ 0, "85 09 01 44 a9fe0102 00" PAIR },
	{ -EINVAL, "85 09 01 45 a9fe010200 00" PAIR },
	{ -EINVAL, "85 09 01 40 00" PAIR },
	{ -EINVAL, "85 09 01 70 66653830303030303030303030303030 00" PAIR },
	{ -EINVAL, "85 09 01 5f 44a9fe0102 ff 00" PAIR },
	{ -EINVAL, "85 09 01" ADDR "20" PAIR },
	{ -EINVAL, "85 09 01" ADDR "1b0000000100000000" PAIR },
	{ -EINVAL, "85 09 01" ADDR "f6" PAIR },
	/* pairs */
	{ -EINVAL, "85" HEAD "80" },
	{ -EINVAL, "85" HEAD "81" OBJ },
	{ -EINVAL, "85" HEAD "81" LOC },
	{ -EINVAL, "85" HEAD "82" LOC OBJ },
	{ -EINVAL, "85" HEAD "82" OBJ OBJ },
	{ -EINVAL, "85" HEAD "83" OBJ LOC OBJ },
	{ -EINVAL, "85" HEAD "9f" OBJ LOC "ff" },
	{ -EINVAL, "85" HEAD OBJ },
	{ -EINVAL, "86" HEAD OBJ LOC },
	{ -EINVAL, "85" HEAD "f6" },
	{ -EINVAL, "85" HEAD "a1" OBJ LOC },
	{ -EINVAL, "86" HEAD PAIR "80" },
	{ 0, "86" HEAD PAIR PAIR },
	/* several in one array, and one level more */
	{ 0, "85" HEAD "84" OBJ LOC OBJ LOC },
	{ 0, "85" HEAD "82" PAIR PAIR },
	{ 0, "85" HEAD "81 84" OBJ LOC OBJ LOC },
	{ -EINVAL, "85" HEAD "81 81" PAIR },
	{ -EINVAL, "85" HEAD "81 80" },
	{ -EINVAL, "85" HEAD "82" PAIR OBJ },
	{ -EINVAL, "85" HEAD "83" PAIR OBJ LOC },
	/* objectives */
	{ 0, "85" HEAD "82 83" NAME "04 01" LOC },
	{ -EINVAL, "85" HEAD "82 82" NAME "04" LOC },
	{ -EINVAL, "85" HEAD "82 85" NAME "04 01 60 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 60 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 43414243 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 63410043 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 6341ff43 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 62c080 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 63eda080 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 64f4908080 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 61c3 04 01 60" LOC },
	{ 0, "85" HEAD "82 84 62c3a4 04 01 60" LOC },
	{ 0, "85" HEAD "82 84 64f09f9880 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84 7f 6141 ff 04 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "20 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "1b0000000100000000 01 60" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "f5 01 60" LOC },
	{ 0, "85" HEAD "82 84" NAME "04 18ff 60" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 190100 60" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 20 60" LOC },
	/* values: anything well formed that is not nested too deep */
	{ 0, "85" HEAD "82 84" NAME "04 01 f6" LOC },
	{ 0, "85" HEAD "82 84" NAME "04 01 fb3ff0000000000000" LOC },
	{ 0, "85" HEAD "82 84" NAME "04 01 a2 01 820203 04 a0" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 d9d9f7 6178" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 81 c1 00" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 9f 01 ff" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 624100" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 61ff" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 f8ff" LOC },
	{ 0, "85" HEAD "82 84" NAME "04 01 81818181 81818181 81818181 81818181 00" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 81818181 81818181 81818181 81818181 81 00" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 9b ffffffffffffffff" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 bb 8000000000000000" LOC },
	{ -EINVAL, "85" HEAD "82 84" NAME "04 01 7b ffffffffffffffff" LOC },
	/* locators */
	{ 0, "85" HEAD "82" OBJ "80" },
	{ 0, "85" HEAD "82" OBJ "84 1868 44c0000201 11 191634" },
	{ 0, "85" HEAD "82" OBJ "84 1869 6161 11 191634" },
	{ 0, "85" HEAD "82" OBJ "84 186a 6161 11 191634" },
	{ 0, "85" HEAD "82" OBJ "84 186a 6161 f6 f6" },
	{ 0, "85" HEAD "82" OBJ "84 1867" ADDR "1829 f6" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867" ADDR "f6 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867 44c0000201 11 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1868" ADDR "11 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1869 4161 11 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1869 61ff 11 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 186a 61c3" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 186a 6100 11 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 186b" ADDR "11 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867" ADDR "190100 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867" ADDR "31 191634" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867" ADDR "11 1a00010000" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867" ADDR "11 20" },
	{ -EINVAL, "85" HEAD "82" OBJ "84 1867" ADDR "11 f97c00" },
	{ -EINVAL, "85" HEAD "82" OBJ "83 1867" ADDR "11" },
	{ -EINVAL, "85" HEAD "82" OBJ "85 1867" ADDR "11 191634 00" },
	{ -EINVAL, "85" HEAD "82" OBJ "f6" },
	{ -EINVAL, "85" HEAD "82" OBJ "a0" },
};

static void test_grammar(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(grasp_read(NULL, 0, &flood, &why), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int err = read_hex(cases[i].hex, &flood);

		if (err != cases[i].err)
			fail_msg("%d instead of %d for %s", err, cases[i].err, cases[i].hex);
	}
}

static void test_locators_without_ipv6(void **state)
{
	static const char *const none[] = {
		"80",
		"84 1868 44c0000201 11 191634",
		"84 1869 6161 11 191634",
		"84 186a 6161 f6 f6",
		"84 1867" ADDR "1829 f6",
	};
	enum jpx_form form;
	char hex[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		snprintf(hex, sizeof(hex), "85" HEAD "82" OBJ "%s", none[i]);
		assert_int_equal(read_hex(hex, &flood), 0);
		assert_int_equal(flood.count, 1);
		assert_false(flood.items[0].has_locator);
		assert_int_equal(grasp_meaning(&flood.items[0], &form), GRASP_NOTHING);
	}
}

static void test_initiator_of_ipv4(void **state)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 169, 254, 1, 2 };
	uint8_t out[256], want[256];
	const char *hex = "85 09 01 44 a9fe0102 00" PAIR;
	size_t len = test_hex(hex, want, sizeof(want));

	(void)state;
	assert_int_equal(read_hex(hex, &flood), 0);
	assert_memory_equal(&flood.initiator, mapped, 16);
	assert_int_equal(grasp_write(&flood, out, sizeof(out)), len);
	assert_memory_equal(out, want, len);
}

/* Nothing that a stranger sends may make it recurse, or read for ever. */
static void test_nested_a_thousand_deep(void **state)
{
	static uint8_t buf[GRASP_MAX];
	static const char *const fronts[] = {
		"",
		"85",
		"85 09",
		"85 09 01",
		"85" HEAD,
		"85" HEAD "82",
		"85" HEAD "82 84",
		"85" HEAD "82 84" NAME "04 01",
		"85" HEAD "82" OBJ,
		"85" HEAD "82" OBJ "84 1867",
	};
	static const uint8_t fills[] = { 0x81, 0x9f, 0xa1, 0xbf, 0xc1, 0xd8, 0x5f, 0x7f };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fronts); i++)
		for (size_t k = 0; k < ARRAY_LEN(fills); k++) {
			memset(buf, fills[k], sizeof(buf));
			test_hex(fronts[i], buf, sizeof(buf));
			assert_int_equal(read_bytes(buf, sizeof(buf), &flood), -EINVAL);
		}
}

static void fill(struct grasp_flood *out, size_t count)
{
	memset(out, 0, sizeof(*out));
	out->count = count;
	for (size_t i = 0; i < count && i < GRASP_ITEMS_MAX; i++) {
		strcpy(out->items[i].name, "a");
		out->items[i].has_locator = true;
		out->items[i].proto = GRASP_UDP;
		out->items[i].port = (uint16_t)(1 + i);
	}
}

static void test_most_items(void **state)
{
	static uint8_t buf[2048], more[2048];
	static struct grasp_flood again;
	size_t head = 22, each;
	const char *why;
	int len;

	(void)state;
	fill(&flood, GRASP_ITEMS_MAX);
	for (size_t i = 0; i < flood.count; i++)
		flood.items[i] = (struct grasp_item){ .name = "a" };
	len = grasp_write(&flood, buf, sizeof(buf));
	assert_true(len > 0);
	assert_int_equal(read_bytes(buf, (size_t)len, &again), 0);
	assert_flood(&again, &flood);
	assert_memory_equal(buf, "\x98\x24\x09", 3);
	/* one more of the same */
	assert_int_equal(((size_t)len - head) % GRASP_ITEMS_MAX, 0);
	each = ((size_t)len - head) / GRASP_ITEMS_MAX;
	memcpy(more, buf, (size_t)len);
	memcpy(more + len, buf + len - each, each);
	more[1]++;
	assert_int_equal(grasp_read(more, (size_t)len + each, &again, &why), -EINVAL);
	assert_string_equal(why, "there are too many objectives");
	fill(&flood, GRASP_ITEMS_MAX + 1);
	assert_int_equal(grasp_write(&flood, buf, sizeof(buf)), -EINVAL);
	fill(&flood, 0);
	assert_int_equal(grasp_write(&flood, buf, sizeof(buf)), -EINVAL);
}

static void test_longest(void **state)
{
	static uint8_t buf[4096];
	static struct grasp_flood again;

	(void)state;
	fill(&flood, GRASP_ITEMS_MAX);
	for (size_t i = 0; i < flood.count; i++)
		memset(flood.items[i].name, 'n', GRASP_NAME_LEN - 1);
	assert_int_equal(grasp_write(&flood, buf, sizeof(buf)), -E2BIG);
	/* well formed, and as long as can be, or one byte longer: the value is a byte string */
	for (size_t more = 0; more < 2; more++) {
		size_t front = test_hex("85" HEAD "82 84" NAME "04 01 59", buf, sizeof(buf));
		size_t value = GRASP_MAX + more - front - 2 - 1;

		buf[front] = (uint8_t)(value >> 8);
		buf[front + 1] = (uint8_t)value;
		buf[front + 2 + value] = 0x80;
		assert_int_equal(read_bytes(buf, GRASP_MAX + more, &again), more ? -EINVAL : 0);
	}

	fill(&flood, 1);
	memset(flood.items[0].name, 'n', GRASP_NAME_LEN - 1);
	memset(flood.items[0].value, 'v', GRASP_NAME_LEN - 1);
	flood.items[0].has_value = true;
	assert_true(grasp_write(&flood, buf, sizeof(buf)) > 0);
	assert_int_equal(read_bytes(buf, (size_t)grasp_write(&flood, buf, sizeof(buf)), &again), 0);
	assert_flood(&again, &flood);
}

static void test_longer_names_and_values(void **state)
{
	char hex[1024], longer[3 * 64 + 1] = "";

	(void)state;
	for (int i = 0; i < 64; i++)
		strcat(longer, "6e");
	snprintf(hex, sizeof(hex), "85" HEAD "82 84 7840 %s 04 01 60" LOC, longer);
	assert_int_equal(read_hex(hex, &flood), -EINVAL);
	snprintf(hex, sizeof(hex), "85" HEAD "82 84" NAME "04 01 7840 %s" LOC, longer);
	assert_int_equal(read_hex(hex, &flood), 0);
	assert_false(flood.items[0].has_value);
	assert_true(flood.items[0].has_locator);
}

/*
 * Meaning
 */

static void test_meaning(void **state)
{
	static const struct {
		const char *name, *value;
		unsigned int proto;
		enum grasp_meaning meaning;
	} table[] = {
		{ "AN_Proxy", "", 17, GRASP_PROXY },
		{ "AN_Proxy", "DTLS", 17, GRASP_PROXY },
		{ "AN_Proxy", "DTLS-EST", 17, GRASP_PROXY },
		{ "AN_Proxy", "rrm", 17, GRASP_PROXY },
		{ "AN_Proxy", "rrm-cose", 17, GRASP_PROXY },
		{ "AN_Proxy", "rrm-jose", 17, GRASP_NOTHING },
		{ "AN_Proxy", NULL, 17, GRASP_NOTHING },
		{ "AN_Proxy", "", 6, GRASP_NOTHING },
		{ "AN_proxy", "", 17, GRASP_NOTHING },
		{ "AN_join_proxy", "", 17, GRASP_NOTHING },
		{ "AN_ACP", "", 17, GRASP_NOTHING },
		{ "AN_join_registrar", "BRSKI_RJP", 17, GRASP_STATELESS },
		{ "AN_join_registrar", "BRSKI_RJP", 6, GRASP_NOTHING },
		{ "AN_join_registrar", "BRSKI_JP", 17, GRASP_STATEFUL },
		{ "AN_join_registrar", "", 17, GRASP_STATEFUL },
		{ "AN_join_registrar", "", 6, GRASP_NOTHING },
		{ "AN_join_registrar", "rrm", 17, GRASP_STATEFUL },
		{ "AN_join_registrar", "rrm-cose", 17, GRASP_STATEFUL },
		{ "AN_join_registrar", "EST-TLS", 17, GRASP_NOTHING },
		{ "AN_join_registrar", "EST-TLS", 6, GRASP_NOTHING },
		{ "AN_join_registrar", "CMP", 6, GRASP_NOTHING },
		{ "AN_Join_Registrar", "", 17, GRASP_NOTHING },
		{ "AN_join_registrar_rjp", "", 17, GRASP_STATELESS },
		{ "AN_join_registrar_rjp", "rrm-cose", 17, GRASP_STATELESS },
		{ "AN_join_registrar_rjp", NULL, 17, GRASP_STATELESS },
		{ "AN_join_registrar_rjp", "", 6, GRASP_NOTHING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct grasp_item item = { .proto = table[i].proto,
					   .has_locator = true,
					   .port = 5684,
					   .flags = i % 8,
					   .has_value = table[i].value };
		enum jpx_form form = JPX_FORM_COUNT;

		strcpy(item.name, table[i].name);
		strcpy(item.value, table[i].value ? table[i].value : "");
		if (grasp_meaning(&item, &form) != table[i].meaning)
			fail_msg("%s \"%s\" %u", item.name, item.value, item.proto);
		if (table[i].meaning == GRASP_STATELESS)
			assert_int_equal(form, JPX_FORM_DRAFT21);
		item.port = 0;
		assert_int_equal(grasp_meaning(&item, &form), GRASP_NOTHING);
		item.port = 1;
		item.has_locator = false;
		assert_int_equal(grasp_meaning(&item, &form), GRASP_NOTHING);
	}
}

static bool dull(const struct grasp_flood *f, const char *source)
{
	const char *why = "unset";
	struct in6_addr addr;
	bool is;

	assert_int_equal(inet_pton(AF_INET6, source, &addr), 1);
	is = grasp_is_dull(f, &addr, &why);
	if (is)
		assert_null(why);
	else
		assert_string_not_equal(why, "unset");
	return is;
}

static void test_dull(void **state)
{
	(void)state;
	assert_int_equal(read_hex("86" HEAD PAIR "82" OBJ "80", &flood), 0);
	assert_true(dull(&flood, "fe80::1"));
	assert_false(dull(&flood, "fe80::2"));
	assert_false(dull(&flood, "2001:db8::1"));
	flood.items[1].loop_count = 2;
	assert_false(dull(&flood, "fe80::1"));
	flood.items[1].loop_count = 0;
	assert_false(dull(&flood, "fe80::1"));
	flood.items[1].loop_count = 1;
	assert_true(dull(&flood, "fe80::1"));
	flood.items[0].addr.s6_addr[15] = 2;
	assert_false(dull(&flood, "fe80::1"));
	flood.items[0].addr.s6_addr[15] = 1;
	flood.initiator.s6_addr[15] = 2;
	assert_false(dull(&flood, "fe80::1"));
	inet_pton(AF_INET6, "2001:db8::1", &flood.initiator);
	flood.items[0].addr = flood.initiator;
	assert_false(dull(&flood, "2001:db8::1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_both_ways),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_locators_without_ipv6),
		cmocka_unit_test(test_initiator_of_ipv4),
		cmocka_unit_test(test_nested_a_thousand_deep),
		cmocka_unit_test(test_most_items),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_longer_names_and_values),
		cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_dull),
	};
	json_t *root;
	int failed;

	vectors = test_discovery_vectors(&root);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(root);
	return failed;
}
