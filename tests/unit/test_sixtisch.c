/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The 6TiSCH join element against the vectors, in both readings, and the beacon around it against
 * frames that are written here by hand from IEEE 802.15.4-2015.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "guard.h"
#include "sixtisch.h"
#include "vectors.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static int read_element(const uint8_t *buf, size_t len, enum sixtisch_reading reading,
			struct sixtisch_join *join)
{
	return sixtisch_read(guarded(buf, len), len, reading, join);
}

static void assert_join(const struct sixtisch_join *got, const struct sixtisch_join *want)
{
	assert_int_equal(got->router, want->router);
	assert_int_equal(got->has_iid, want->has_iid);
	assert_int_equal(got->proxy_priority, want->proxy_priority);
	assert_int_equal(got->rank_priority, want->rank_priority);
	assert_int_equal(got->pan_priority, want->pan_priority);
	assert_memory_equal(got->iid, want->iid, 8);
	assert_memory_equal(got->network_id, want->network_id, 16);
	assert_int_equal(got->network_id_len, want->network_id_len);
}

static int number(const json_t *fields, const char *name)
{
	return (int)json_integer_value(json_object_get(fields, name));
}

static void test_vectors_both_ways(void **state)
{
	uint8_t bytes[64], out[64];
	int seen = 0;
	json_t *root, *list = test_discovery_vectors(&root), *v;
	size_t i;

	(void)state;
	json_array_foreach(list, i, v) {
		const json_t *fields = json_object_get(v, "fields");
		const char *name = json_string_value(json_object_get(v, "name"));
		struct sixtisch_join want = { 0 }, got;
		enum sixtisch_reading reading;
		size_t len;

		if (!test_is_kind(v, "ie9032"))
			continue;
		reading = strncmp(name, "figure-columns", 14) ? SIXTISCH_OCTETS : SIXTISCH_COLUMNS;
		want.router = number(fields, "R");
		want.has_iid = number(fields, "P");
		want.proxy_priority = (uint8_t)number(fields, "proxy_prio");
		want.rank_priority = (uint16_t)number(fields, "rank_prio");
		want.pan_priority = (uint8_t)number(fields, "pan_prio");
		want.network_id_len =
			test_hex(json_string_value(json_object_get(fields, "network_id")),
				 want.network_id, 16);
		if (want.has_iid)
			test_hex(json_string_value(json_object_get(fields, "jp_iid")), want.iid, 8);
		len = test_message(v, bytes, sizeof(bytes));
		assert_int_equal(read_element(bytes, len, reading, &got), 0);
		assert_join(&got, &want);
		assert_int_equal(sixtisch_write(&want, reading, out, sizeof(out)), len);
		assert_memory_equal(out, bytes, len);
		for (size_t room = 0; room < len; room++)
			assert_int_equal(sixtisch_write(&want, reading, out, room), -E2BIG);
		seen++;
	}
	json_decref(root);
	assert_int_equal(seen, 4);
}

/* Every value of every field, so that no bit strays into a neighbour. */
static void test_fields(void **state)
{
	uint8_t buf[64];

	(void)state;
	for (int r = 0; r < 2; r++) {
		enum sixtisch_reading reading = r ? SIXTISCH_OCTETS : SIXTISCH_COLUMNS;
		unsigned int ranks = r ? 0x100 : 0x1000;

		for (unsigned int i = 0; i < 0x80 * ranks; i += 1 + i % 7) {
			struct sixtisch_join want = { 0 }, got;
			int len;

			want.proxy_priority = (uint8_t)(i / ranks);
			want.rank_priority = (uint16_t)(i % ranks);
			want.pan_priority = (uint8_t)i;
			want.router = i & 1;
			want.has_iid = i & 2;
			if (want.has_iid)
				memset(want.iid, 0xaa, 8);
			want.network_id_len = i % 17;
			memset(want.network_id, 0x55, want.network_id_len);
			len = sixtisch_write(&want, reading, buf, sizeof(buf));
			assert_int_equal(len, 5 + (want.has_iid ? 8 : 0) + want.network_id_len);
			assert_int_equal(read_element(buf, (size_t)len, reading, &got), 0);
			assert_join(&got, &want);
		}
	}
}

static void test_ranges(void **state)
{
	static const struct sixtisch_join fits = { .network_id_len = 16 };
	struct sixtisch_join join;
	uint8_t buf[64];

	(void)state;
	join = fits;
	join.proxy_priority = 0x80;
	assert_int_equal(sixtisch_write(&join, SIXTISCH_COLUMNS, buf, sizeof(buf)), -ERANGE);
	assert_int_equal(sixtisch_write(&join, SIXTISCH_OCTETS, buf, sizeof(buf)), -ERANGE);
	join = fits;
	join.rank_priority = 0x100;
	assert_int_equal(sixtisch_write(&join, SIXTISCH_COLUMNS, buf, sizeof(buf)), 21);
	assert_int_equal(sixtisch_write(&join, SIXTISCH_OCTETS, buf, sizeof(buf)), -ERANGE);
	join.rank_priority = 0x1000;
	assert_int_equal(sixtisch_write(&join, SIXTISCH_COLUMNS, buf, sizeof(buf)), -ERANGE);
	join = fits;
	join.network_id_len = 17;
	assert_int_equal(sixtisch_write(&join, SIXTISCH_COLUMNS, buf, sizeof(buf)), -ERANGE);
	join.network_id_len = SIZE_MAX;
	assert_int_equal(sixtisch_write(&join, SIXTISCH_COLUMNS, buf, sizeof(buf)), -ERANGE);
}

static void test_malformed_elements(void **state)
{
	static const struct {
		const char *hex;
		int columns, octets;
	} cases[] = {
		{ "", -EINVAL, -EINVAL },
		{ "02", -EINVAL, -EINVAL },
		{ "02800000", -EINVAL, -EINVAL },
		{ "0280000000", 0, 0 },
		{ "0180000000", -EINVAL, -EINVAL },
		{ "0080000000", -EINVAL, -EINVAL },
		/* reserved bits are not looked at; what is one differs */
		{ "02b8000000", 0, 0 },
		{ "02bf000000", 0, 0 },
		{ "0200800000", 0, -EINVAL },
		{ "02007f0000", 0, 0 },
		/* P without the identifier, or with a part of it */
		{ "0240000000", -EINVAL, -EINVAL },
		{ "0240000000 00112233445566", -EINVAL, -EINVAL },
		{ "0240000000 0011223344556677", 0, 0 },
		{ "0200000000 000102030405060708090a0b0c0d0e0f", 0, 0 },
		{ "0200000000 000102030405060708090a0b0c0d0e0f10", -EINVAL, -EINVAL },
		{ "0240000000 0011223344556677 000102030405060708090a0b0c0d0e0f", 0, 0 },
		{ "0240000000 0011223344556677 000102030405060708090a0b0c0d0e0f10", -EINVAL,
		  -EINVAL },
	};
	struct sixtisch_join join;
	uint8_t buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = test_hex(cases[i].hex, buf, sizeof(buf));

		if (read_element(buf, len, SIXTISCH_COLUMNS, &join) != cases[i].columns ||
		    read_element(buf, len, SIXTISCH_OCTETS, &join) != cases[i].octets)
			fail_msg("%s", cases[i].hex);
	}
}

/*
 * Beacons
 */

#define EUI	"0f0e0d0c0b0a0908" /* 08:09:0a:0b:0c:0d:0e:0f, last octet first */
#define ELEMENT "0281002005a1b2c3d4e5f60718"
#define TERM1	"003f"
#define TERM2	"803f"
#define IETF	"0da8" ELEMENT

static const uint8_t eui64[8] = { 8, 9, 10, 11, 12, 13, 14, 15 };
static const struct sixtisch_join some = {
	.router = true,
	.proxy_priority = 0x10,
	.rank_priority = 0x20,
	.pan_priority = 5,
	.network_id = { 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18 },
	.network_id_len = 8,
};

/* Beacon, PAN id compression, IEs, short destination, version 2, extended source: 0xea40. */
static void test_beacon_bytes(void **state)
{
	uint8_t want[128], out[128];
	size_t len = test_hex("40ea 2a cdab ffff" EUI TERM1 IETF, want, sizeof(want));

	(void)state;
	assert_int_equal(sixtisch_beacon_write(&some, SIXTISCH_COLUMNS, eui64, 0xabcd, 0x2a, out,
					       sizeof(out)),
			 len);
	assert_memory_equal(out, want, len);
	for (size_t room = 0; room < len; room++)
		assert_int_equal(sixtisch_beacon_write(&some, SIXTISCH_COLUMNS, eui64, 0xabcd, 0x2a,
						       out, room),
				 -E2BIG);
}

static void test_beacon_of_a_bad_element(void **state)
{
	struct sixtisch_join join = some;
	uint8_t out[128];

	(void)state;
	join.rank_priority = 0x1000;
	assert_int_equal(sixtisch_beacon_write(&join, SIXTISCH_COLUMNS, eui64, 0xabcd, 0x2a, out,
					       sizeof(out)),
			 -ERANGE);
}

static int read_beacon(const uint8_t *frame, size_t len, struct sixtisch_join *join,
		       uint8_t from[8])
{
	memset(from, 0, 8);
	return sixtisch_beacon_read(guarded(frame, len), len, SIXTISCH_COLUMNS, join, from);
}

static void test_beacons(void **state)
{
	static const struct {
		const char *hex;
		int err;
	} cases[] = {
		{ "40ea 2a cdab ffff" EUI TERM1 IETF, 0 },
		/* by table 7-2: both PAN ids; no destination, with and without a PAN id; extended
		 * destination, with and without one */
		{ "00ea 2a cdab ffff cdab" EUI TERM1 IETF, 0 },
		{ "00e2 2a cdab" EUI TERM1 IETF, 0 },
		{ "40e2 2a" EUI TERM1 IETF, 0 },
		{ "00ee 2a cdab 0102030405060708" EUI TERM1 IETF, 0 },
		{ "40ee 2a 0102030405060708" EUI TERM1 IETF, 0 },
		/* no sequence number; frame pending, acknowledgement asked for */
		{ "40eb cdab ffff" EUI TERM1 IETF, 0 },
		{ "70ea 2a cdab ffff" EUI TERM1 IETF, 0 },
		/* others' elements around it */
		{ "40ea 2a cdab ffff" EUI "020d aabb" TERM1 "02a8 01aa"
		  "0188 00" IETF "00f8 cc",
		  0 },
		{ "40ea 2a cdab ffff" EUI TERM1 "00a8" IETF, 0 },
		/* none of ours */
		{ "40ea 2a cdab ffff" EUI, -ENOENT },
		{ "40ea 2a cdab ffff" EUI TERM1, -ENOENT },
		{ "40ea 2a cdab ffff" EUI TERM2 IETF, -ENOENT },
		{ "40ea 2a cdab ffff" EUI TERM1 "00f8" IETF, -ENOENT },
		{ "40ea 2a cdab ffff" EUI TERM1 "02a8 01aa", -ENOENT },
		{ "41ea 2a cdab ffff" EUI TERM1 IETF, -ENOENT },  /* data */
		{ "40da 2a cdab ffff" EUI TERM1 IETF, -ENOENT },  /* version 1 */
		{ "40fa 2a cdab ffff" EUI TERM1 IETF, -ENOENT },  /* version 3 */
		{ "48ea 2a cdab ffff" EUI TERM1 IETF, -ENOENT },  /* security */
		{ "40e8 2a cdab ffff" EUI TERM1 IETF, -ENOENT },  /* no IEs */
		{ "40aa 2a cdab ffff 0100" TERM1 IETF, -ENOENT }, /* short source */
		/* malformed */
		{ "", -EINVAL },
		{ "40", -EINVAL },
		{ "40ea", -EINVAL },
		{ "40e6 2a cdab" EUI TERM1 IETF, -EINVAL }, /* reserved mode */
		{ "40ea 2a cdab ffff 0f0e0d0c0b0a09", -EINVAL },
		{ "40ea 2a cdab ffff" EUI "00", -EINVAL },
		{ "40ea 2a cdab ffff" EUI IETF, -EINVAL }, /* no termination in front */
		{ "40ea 2a cdab ffff" EUI "7f0d aabb" TERM1 IETF, -EINVAL },
		{ "40ea 2a cdab ffff" EUI TERM1 "0e a8" ELEMENT, -EINVAL },
		{ "40ea 2a cdab ffff" EUI TERM1 "ffaf" ELEMENT, -EINVAL },
		{ "40ea 2a cdab ffff" EUI TERM1 "0d28" ELEMENT, -EINVAL },
		{ "40ea 2a cdab ffff" EUI TERM1 "04a8 02810020", -EINVAL },
	};
	struct sixtisch_join join;
	uint8_t frame[256], from[8];

	(void)state;
	assert_int_equal(sixtisch_beacon_read(NULL, 0, SIXTISCH_COLUMNS, &join, from), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = test_hex(cases[i].hex, frame, sizeof(frame));
		int err = read_beacon(frame, len, &join, from);

		if (err != cases[i].err)
			fail_msg("%d for %s", err, cases[i].hex);
		if (err)
			continue;
		assert_join(&join, &some);
		assert_memory_equal(from, eui64, 8);
	}
}

static void test_truncated_beacons(void **state)
{
	struct sixtisch_join join;
	uint8_t frame[128], from[8];
	size_t len = test_hex("40ea 2a cdab ffff" EUI TERM1 IETF, frame, sizeof(frame));

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(read_beacon(frame, n, &join, from),
				 n == 15 || n == 17 ? -ENOENT : -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_both_ways),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_malformed_elements),
		cmocka_unit_test(test_beacon_bytes),
		cmocka_unit_test(test_beacon_of_a_bad_element),
		cmocka_unit_test(test_beacons),
		cmocka_unit_test(test_truncated_beacons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
