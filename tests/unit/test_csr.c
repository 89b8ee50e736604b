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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	     cmocka_unit_test(test_curve_written_out),
		cmocka_unit_test(test_version),	     cmocka_unit_test(test_no_room_for_why),
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
