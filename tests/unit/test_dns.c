/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DNS answers as strangers send them: what dns_walk() reads, and that it reads nothing beyond. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#ifndef JPX_WITH_CARES
int main(void)
{
	puts("ok 1 built without c-ares: nothing to test");
	return 0;
}
#else

#include <arpa/nameser.h>
#include <errno.h>
#include <string.h>

#include "../../ctl/jpd/dns.h"
#include "guard.h"

static struct dns_record seen[32];
static unsigned int count, most;

static bool on_record(void *arg, const struct dns_record *record)
{
	assert_ptr_equal(arg, &count);
	assert_true(strlen(record->name) < DNS_NAME_LEN);
	if (count < sizeof(seen) / sizeof(seen[0]))
		seen[count] = *record;
	count++;
	return !most || count < most;
}

static int walk(const uint8_t *answer, size_t len, int type)
{
	count = 0;
	return dns_walk(guarded(answer, len), (int)len, type, on_record, &count);
}

/* An answer to a question about "q", with RECORDS behind it. */
static uint8_t message[65536];
static size_t len;

static void begin(uint16_t answers)
{
	static const uint8_t head[] = { 0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0,
					0,    0,    1,	  'q',	0, 0, 1, 0, 1 };

	memcpy(message, head, sizeof(head));
	message[6] = (uint8_t)(answers >> 8);
	message[7] = (uint8_t)answers;
	len = sizeof(head);
}

static void record(int type, uint32_t ttl, const void *data, size_t data_len)
{
	const uint8_t head[] = { 0xc0,
				 0x0c,
				 (uint8_t)(type >> 8),
				 (uint8_t)type,
				 0,
				 1,
				 (uint8_t)(ttl >> 24),
				 (uint8_t)(ttl >> 16),
				 (uint8_t)(ttl >> 8),
				 (uint8_t)ttl,
				 (uint8_t)(data_len >> 8),
				 (uint8_t)data_len };

	memcpy(message + len, head, sizeof(head));
	memcpy(message + len + sizeof(head), data, data_len);
	len += sizeof(head) + data_len;
}

#define text_record(type, ttl, text) record(type, ttl, text, sizeof(text) - 1)

static void test_reads(void **state)
{
	static const uint8_t srv[] = { 0, 5, 0, 60, 0x1d, 0xd2, 1, 'r', 0xc0, 0x0c };
	static const uint8_t aaaa[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 7 };

	(void)state;
	begin(6);
	text_record(ns_t_ptr, 120, "\3one\xc0\x0c");
	record(ns_t_srv, 60, srv, sizeof(srv));
	record(ns_t_aaaa, 30, aaaa, sizeof(aaaa));
	text_record(ns_t_a, 0x80000000u, "\xc0\0\2\x0a");
	text_record(ns_t_txt, 1, "\x08rrm-cose\0");
	text_record(ns_t_ptr, 7, "\3two\0");

	assert_int_equal(walk(message, len, ns_t_ptr), 0);
	assert_int_equal(count, 2);
	assert_string_equal(seen[0].name, "one.q");
	assert_int_equal(seen[0].ttl, 120);
	assert_string_equal(seen[1].name, "two");
	assert_int_equal(walk(message, len, ns_t_srv), 0);
	assert_int_equal(count, 1);
	assert_string_equal(seen[0].name, "r.q");
	assert_int_equal(seen[0].priority, 5);
	assert_int_equal(seen[0].weight, 60);
	assert_int_equal(seen[0].port, 7634);
	assert_int_equal(walk(message, len, ns_t_aaaa), 0);
	assert_memory_equal(&seen[0].addr, aaaa, 16);
	assert_int_equal(walk(message, len, ns_t_a), 0);
	assert_true(IN6_IS_ADDR_V4MAPPED(&seen[0].addr));
	assert_memory_equal(&seen[0].addr.s6_addr[12], "\xc0\0\2\x0a", 4);
	assert_int_equal(seen[0].ttl, 0); /* RFC 2181 8 */
	assert_int_equal(walk(message, len, ns_t_txt), 0);
	assert_int_equal(seen[0].data_len, 10);
	most = 1;
	assert_int_equal(walk(message, len, ns_t_ptr), 0);
	assert_int_equal(count, 1);
	most = 0;
}

static void test_names(void **state)
{
	uint8_t label[1 + 63], longest[256];

	(void)state;
	begin(3);
	text_record(ns_t_ptr, 1,
		    "\x07"
		    "a b.c\\\x1b"
		    "\xc0\x0c");
	text_record(ns_t_ptr, 1, "\3a\0b\xc0\x0c"); /* cannot be asked for */
	text_record(ns_t_ptr, 1, "\0");
	assert_int_equal(walk(message, len, ns_t_ptr), 0);
	assert_int_equal(count, 2);
	assert_string_equal(seen[0].name, "a b\\.c\\\\\x1b.q");
	assert_string_equal(seen[1].name, "");

	/* The longest as text: 255 bytes, every one of them escaped. */
	memset(label, '.', sizeof(label));
	label[0] = 63;
	for (int i = 0; i < 3; i++)
		memcpy(longest + 64 * i, label, 64);
	label[0] = 61;
	memcpy(longest + 192, label, 62);
	longest[254] = 0;
	begin(1);
	record(ns_t_ptr, 1, longest, 255);
	assert_int_equal(walk(message, len, ns_t_ptr), 0);
	assert_int_equal(count, 1);
	assert_int_equal(strlen(seen[0].name), 2 * (3 * 63 + 61) + 3);
	longest[192] = 62; /* one more is no name */
	longest[254] = '.';
	longest[255] = 0;
	begin(1);
	record(ns_t_ptr, 1, longest, 256);
	assert_int_equal(walk(message, len, ns_t_ptr), -EBADMSG);
}

static void test_malformed(void **state)
{
	static const uint8_t loop[] = { 0xc0, 19 + 12 };

	(void)state;
	begin(1);
	record(ns_t_ptr, 1, loop, sizeof(loop));
	assert_int_equal(walk(message, len, ns_t_ptr), -EBADMSG);
	assert_int_equal(count, 0);
	begin(1);
	text_record(ns_t_srv, 1, "\0\0\0\0\0\1");
	assert_int_equal(walk(message, len, ns_t_srv), -EBADMSG);
	begin(1);
	text_record(ns_t_aaaa, 1, "\1\2\3\4");
	assert_int_equal(walk(message, len, ns_t_aaaa), -EBADMSG);
	begin(1);
	text_record(ns_t_a, 1, "\1\2\3\4\5");
	assert_int_equal(walk(message, len, ns_t_a), -EBADMSG);
	begin(65535);
	text_record(ns_t_ptr, 1, "\1x\0");
	assert_int_equal(walk(message, len, ns_t_ptr), -EBADMSG);
	assert_int_equal(count, 0);
	assert_int_equal(walk(message, 0, ns_t_ptr), -EBADMSG);
}

/* As many as one message holds. */
static void test_many(void **state)
{
	(void)state;
	begin(4000);
	for (int i = 0; i < 4000; i++)
		text_record(ns_t_ptr, 1, "\1x\0");
	assert_int_equal(walk(message, len, ns_t_ptr), 0);
	assert_int_equal(count, 4000);
}

/* Cut off anywhere, and each byte as each other: no crash, no byte too far. */
static void test_each_byte(void **state)
{
	static const int types[] = { ns_t_ptr, ns_t_srv, ns_t_aaaa, ns_t_txt };
	uint8_t copy[256];

	(void)state;
	begin(4);
	text_record(ns_t_ptr, 120, "\3one\xc0\x0c");
	text_record(ns_t_srv, 60, "\0\5\0\x3c\x1d\xd2\1r\xc0\x0c");
	text_record(ns_t_aaaa, 30, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7");
	text_record(ns_t_txt, 1, "\x08rrm-cose");
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(walk(message, cut, types[t]), -EBADMSG);
		for (size_t at = 0; at < len; at++) {
			memcpy(copy, message, len);
			for (unsigned int value = 0; value < 256; value++) {
				copy[at] = (uint8_t)value;
				walk(copy, len, types[t]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),	  cmocka_unit_test(test_names),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_many),
		cmocka_unit_test(test_each_byte),
	};

	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
#endif
