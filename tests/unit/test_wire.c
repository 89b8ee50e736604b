/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules that both engines take from wire.h: what is link-local, what looks
 * like DTLS, and what a modified EUI-64 identifier tells about a MAC.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jpx/wire.h>

static void test_link_local(void **state)
{
	(void)state;
	assert_true(jpx_is_link_local(0xfe80000000000000, 1));
	assert_true(jpx_is_link_local(0xfe80000000000000, 0x000000fffe000001));
	assert_true(jpx_is_link_local(0xfe80000000000000, 0x8000000000000000));
	assert_true(jpx_is_link_local(0xfe80000000000000, UINT64_MAX));
	assert_false(jpx_is_link_local(0xfe80000000000000, 0)); /* subnet-router anycast */
	/* every bit of the prefix counts, the 54 zeros too */
	for (int bit = 0; bit < 64; bit++)
		assert_false(jpx_is_link_local(0xfe80000000000000 ^ 1ULL << bit, 1));
	assert_false(jpx_is_link_local(0, 1));
	assert_false(jpx_is_link_local(0xff02000000000000, 1));
	assert_false(jpx_is_link_local(0x20010db800000000, 1));
}

static void test_dtls(void **state)
{
	(void)state;
	/* RFC 9147 4.1: the unified header's first byte is 001xxxxx, of any length */
	for (unsigned int b = 0; b < 256; b++) {
		int unified = (b & 0xe0) == 0x20, typed = b >= 20 && b <= 26;

		assert_int_equal(!!jpx_is_dtls(1, (__u8)b, 0xfe, 0xfd), unified);
		assert_int_equal(!!jpx_is_dtls(2, (__u8)b, 0xfe, 0xfd), unified);
		assert_int_equal(!!jpx_is_dtls(3, (__u8)b, 0xfe, 0xfd), unified || typed);
		assert_int_equal(!!jpx_is_dtls(1400, (__u8)b, 0xfe, 0xff), unified || typed);
		assert_int_equal(!!jpx_is_dtls(1400, (__u8)b, 0, 0), unified);
		/* bytes that are not there say nothing */
		assert_false(jpx_is_dtls(0, (__u8)b, 0xfe, 0xfd));
	}
	/* DTLS 1.0 and 1.2 (DTLS 1.3 writes 1.2); TLS is none of it */
	for (unsigned int v = 0; v < 65536; v++)
		assert_int_equal(!!jpx_is_dtls(13, 22, (__u8)(v >> 8), (__u8)v),
				 v == 0xfeff || v == 0xfefd);
}

static void test_eui64(void **state)
{
	(void)state;
	/* RFC 4291 App A: 34-56-78-9a-bc-de makes 3656:78ff:fe9a:bcde */
	assert_true(jpx_iid_is_eui64(0x365678fffe9abcde));
	assert_int_equal(jpx_iid_to_mac(0x365678fffe9abcde), 0x3456789abcde);
	assert_true(jpx_iid_is_eui64(0x000000fffe000001));
	assert_int_equal(jpx_iid_to_mac(0x000000fffe000001), 0x020000000001);
	assert_int_equal(jpx_iid_to_mac(0x020000fffe000001), 0x000000000001);
	assert_int_equal(jpx_iid_to_mac(0xfdfffffffeffffff), 0xffffffffffff);
	/* all of the middle 16 bits, and nothing but these */
	for (int bit = 0; bit < 64; bit++)
		assert_int_equal(!!jpx_iid_is_eui64(0x365678fffe9abcde ^ 1ULL << bit),
				 bit < 24 || bit >= 40);
	assert_false(jpx_iid_is_eui64(0));
	assert_false(jpx_iid_is_eui64(UINT64_MAX));
	/* every bit of the MAC comes from where it should, and from there only */
	for (int bit = 0; bit < 48; bit++) {
		uint64_t in = 1ULL << (bit < 24 ? bit : bit + 16);

		assert_int_equal(jpx_iid_to_mac(0x000000fffe000000 ^ in),
				 0x020000000000 ^ 1ULL << bit);
	}
}

static void test_header21(void **state)
{
	(void)state;
	/* the drawing in wire.h; at most 32 bytes (draft-21, 4.5.2) */
	assert_int_equal(JPX_H21_PORT_ID, 1);
	assert_int_equal(JPX_H21_UDP_PORT, JPX_H21_PORT_ID + 1);
	assert_int_equal(JPX_H21_IID, JPX_H21_UDP_PORT + 2);
	assert_int_equal(JPX_H21_MAC, JPX_H21_IID + 8);
	assert_int_equal(JPX_H21_LEN, JPX_H21_MAC + 6);
	assert_true(JPX_H21_LEN <= 32);
	assert_int_equal(JPX_UDP_MAX, 65535 - JPX_UDP_HLEN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_dtls),
		cmocka_unit_test(test_eui64),
		cmocka_unit_test(test_header21),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
