/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Certification requests: what is let through, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "../../ctl/jpreg/csr.h"
#include "pki.h"

static uint8_t der[16384];
static size_t len;
static char why[160];

static void make(EVP_PKEY *key)
{
	X509_REQ *req = pki_request(key, "1", 0, NULL);

	len = pki_der(req, der);
	X509_REQ_free(req);
}

static bool takes(bool unsigned_will_do)
{
	X509_REQ *req = csr_read(der, len, unsigned_will_do, why, sizeof(why));
	bool taken = req != NULL;

	X509_REQ_free(req);
	assert_int_equal(taken, !*why);
	return taken;
}

static bool takes_key(EVP_PKEY *key)
{
	bool taken;

	assert_non_null(key);
	make(key);
	taken = takes(false);
	EVP_PKEY_free(key);
	return taken;
}

static void test_keys(void **state)
{
	(void)state;
	assert_true(takes_key(EVP_EC_gen("P-256")));
	assert_true(takes_key(EVP_EC_gen("P-384")));
	assert_true(takes_key(EVP_RSA_gen(2048)));
	assert_false(takes_key(EVP_EC_gen("P-521")));
	assert_non_null(strstr(why, "curve"));
	assert_false(takes_key(EVP_EC_gen("secp256k1")));
	assert_false(takes_key(EVP_RSA_gen(1024)));
	assert_non_null(strstr(why, "1024 bits"));
	assert_false(takes_key(EVP_RSA_gen(512)));
	assert_non_null(strstr(why, "512 bits"));
}

/* P-256 with its parameters written out: RFC 5480 2.1.1 forbids it, and whoever writes them could
 * write others. */
static void test_curve_written_out(void **state)
{
	EVP_PKEY *key = issue_key();

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
							OSSL_PKEY_EC_ENCODING_EXPLICIT),
			 1);
	assert_false(takes_key(key));
	assert_non_null(strstr(why, "parameters"));
}

static void test_version(void **state)
{
	EVP_PKEY *key = issue_key();
	X509_REQ *req = pki_request(key, "1", 0, NULL);

	(void)state;
	assert_int_equal(X509_REQ_set_version(req, 1), 1);
	assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
	len = pki_der(req, der);
	assert_false(takes(false));
	assert_false(takes(true));
	assert_non_null(strstr(why, "version"));
	X509_REQ_free(req);
	EVP_PKEY_free(key);
}

/* What is refused is refused even where there is no room to say why. */
static void test_no_room_for_why(void **state)
{
	EVP_PKEY *key = issue_key();
	char one[1];

	(void)state;
	make(key);
	der[len - 1] ^= 1;
	assert_null(csr_read(der, len, false, one, sizeof(one)));
	assert_null(csr_read(der, len + 1, true, one, sizeof(one)));
	EVP_PKEY_free(key);
}

static void test_cut_anywhere(void **state)
{
	EVP_PKEY *key = issue_key();
	size_t whole;

	(void)state;
	make(key);
	EVP_PKEY_free(key);
	whole = len;
	assert_true(takes(false));
	for (len = 0; len < whole; len++)
		assert_false(takes(true));
	len = whole + 1;
	der[whole] = 0;
	assert_false(takes(false));
	assert_non_null(strstr(why, "PKCS#10"));
}

/* Whichever bit is another, the signature tells, or the key is not one that is taken. */
static void test_each_bit(void **state)
{
	EVP_PKEY *key = issue_key();

	(void)state;
	make(key);
	EVP_PKEY_free(key);
	for (size_t i = 0; i < len; i++) {
		der[i] ^= 1 << i % 8;
		assert_false(takes(false));
		der[i] ^= 1 << i % 8;
	}
	assert_true(takes(false));
	/* Of serverkeygen the signature does not matter. */
	der[len - 1] ^= 1;
	assert_false(takes(false));
	assert_non_null(strstr(why, "signature"));
	assert_true(takes(true));
}

static void test_too_large(void **state)
{
	EVP_PKEY *key = issue_key();
	static char value[9000];
	X509_REQ *req;

	(void)state;
	memset(value, 'a', sizeof(value) - 1);
	memcpy(value, "DER:040", 4);
	for (size_t i = 4; i < sizeof(value) - 1; i++)
		value[i] = '0';
	req = pki_request(key, "1", NID_netscape_comment, value + 4);
	len = pki_der(req, der);
	assert_true(len > 8192);
	assert_false(takes(false));
	assert_non_null(strstr(why, "octets"));
	X509_REQ_free(req);
	EVP_PKEY_free(key);
}

/* ---- linked to a session ---- */

static const uint8_t unique[] = "twelve bytes";
#define UNIQUE_LEN  (sizeof(unique) - 1)
#define UNIQUE_TEXT "dHdlbHZlIGJ5dGVz"

/* The CSR with TEXT for challengePassword; NULL: with none. */
static X509_REQ *linked(int type, const void *text, int text_len)
{
	X509_REQ *req = X509_REQ_new();

	assert_non_null(req);
	if (text)
		assert_int_equal(
			X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, type, text,
						  text_len < 0 ? (int)strlen(text) : text_len),
			1);
	return req;
}

static bool is_linked(X509_REQ *req, size_t unique_len)
{
	bool is;

	*why = '\0';
	is = csr_is_linked(req, unique, unique_len, why, sizeof(why));
	assert_int_equal(is, !*why);
	X509_REQ_free(req);
	return is;
}

/* The right one and another behind it: OpenSSL writes no attribute twice, but reads it. */
static X509_REQ *two_links(void)
{
	static const uint8_t name[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x02 };
	EVP_PKEY *key = issue_key();
	X509_REQ *req = pki_request(key, "1", 0, NULL);
	const uint8_t *at = der;
	uint8_t *found;

	assert_int_equal(
		X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, V_ASN1_PRINTABLESTRING,
					  (const uint8_t *)UNIQUE_TEXT, (int)strlen(UNIQUE_TEXT)),
		1);
	assert_int_equal(X509_REQ_add1_attr_by_NID(req, NID_pkcs9_unstructuredName,
						   V_ASN1_PRINTABLESTRING,
						   (const uint8_t *)"longer: sorted behind it", 24),
			 1);
	assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
	len = pki_der(req, der);
	X509_REQ_free(req);
	found = memmem(der, len, name, sizeof(name));
	assert_non_null(found);
	found[sizeof(name) - 1] = 7;
	req = d2i_X509_REQ(NULL, &at, (long)len);
	assert_non_null(req);
	return req;
}

static void test_linked(void **state)
{
	static const uint8_t wide[] = "\0d\0H\0d\0l\0b\0H\0Z\0l\0I\0G\0J\0"
				      "5\0d\0G\0V\0z";
	X509_REQ *req;

	(void)state;
	assert_true(is_linked(linked(0, NULL, 0), UNIQUE_LEN));
	assert_true(is_linked(linked(0, NULL, 0), 0));
	assert_true(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT, -1), UNIQUE_LEN));
	assert_true(is_linked(linked(V_ASN1_UTF8STRING, UNIQUE_TEXT, -1), UNIQUE_LEN));
	assert_true(is_linked(linked(V_ASN1_BMPSTRING, wide, sizeof(wide) - 1), UNIQUE_LEN));
	/* Of another session, or of one that there is no more. */
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT, -1), UNIQUE_LEN - 1));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT, -1), 0));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT, -1), 4096));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, "", 0), UNIQUE_LEN));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, "", 0), 0));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, "secret", -1), UNIQUE_LEN));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT, 15), UNIQUE_LEN));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT "\0", 17), UNIQUE_LEN));
	assert_false(is_linked(linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT "=", -1), UNIQUE_LEN));
	/* Two of them: two values, or two attributes, the right one first. */
	req = linked(V_ASN1_PRINTABLESTRING, UNIQUE_TEXT, -1);
	assert_int_equal(X509_ATTRIBUTE_set1_data(X509_REQ_get_attr(req, 0), V_ASN1_UTF8STRING,
						  UNIQUE_TEXT, (int)strlen(UNIQUE_TEXT)),
			 1);
	assert_false(is_linked(req, UNIQUE_LEN));
	assert_false(is_linked(two_links(), UNIQUE_LEN));
}

/* Whatever there may be instead of a string. */
static void test_linked_to_no_string(void **state)
{
	static const char *const values[] = {
		"",	      /* nothing */
		"0500",	      /* NULL */
		"0101ff",     /* BOOLEAN */
		"02010c",     /* INTEGER */
		"0201f4",     /* ... below 0 */
		"0a010c",     /* ENUMERATED */
		"06032a0304", /* OBJECT IDENTIFIER */
		"3000",	      /* SEQUENCE */
		"3100",	      /* SET */
		"030200ff",   /* BIT STRING */
		"0400",	      /* OCTET STRING */
		"1e0161",     /* BMPString of half a character */
		"1c0161",     /* UniversalString of a quarter */
		"0c01ff",     /* UTF8String that is none */
		"a000",
		"8000",
		"df87ffffff7f00",		  /* of no known type */
		"170d3230303130313030303030305a", /* UTCTime */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		/* SEQUENCE { challengePassword, SET { value } } */
		static const uint8_t oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
					       0xf7, 0x0d, 0x01, 0x09, 0x07 };
		uint8_t attr[64] = { 0x30 };
		const uint8_t *at = attr;
		long n = 0;
		uint8_t *value = *values[i] ? OPENSSL_hexstr2buf(values[i], &n) : NULL;
		X509_ATTRIBUTE *a;
		X509_REQ *req = X509_REQ_new();

		attr[1] = (uint8_t)(sizeof(oid) + 2 + (size_t)n);
		memcpy(attr + 2, oid, sizeof(oid));
		attr[2 + sizeof(oid)] = 0x31;
		attr[3 + sizeof(oid)] = (uint8_t)n;
		if (n)
			memcpy(attr + 4 + sizeof(oid), value, (size_t)n);
		a = d2i_X509_ATTRIBUTE(NULL, &at, 4 + (long)sizeof(oid) + n);
		OPENSSL_free(value);
		if (a) {
			assert_int_equal(X509_REQ_add1_attr(req, a), 1);
			assert_false(is_linked(req, UNIQUE_LEN));
		} else {
			X509_REQ_free(req);
		}
		X509_ATTRIBUTE_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_curve_written_out),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_no_room_for_why),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_linked),
		cmocka_unit_test(test_linked_to_no_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
