/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is recorded of a certificate, that nothing goes out unrecorded, and what is given again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "../../ctl/jpreg/issuance.h"
#include "pki.h"

static EVP_PKEY *ca_key, *key, *other_key;
static X509 *ca, *client, *other;
static X509_REQ *csr;
static uint8_t der[16384];
static size_t der_len;
static struct record *record;

static int begin(void **state)
{
	char err[300];

	if (pki_begin(state))
		return -1;
	ca_key = issue_key();
	key = issue_key();
	other_key = issue_key();
	ca = pki_cert(NULL, NULL, ca_key, "ca", -1, 9);
	client = pki_cert(ca, ca_key, other_key, "4711", -1, 9);
	other = pki_cert(ca, ca_key, other_key, "4711", -1, 9);
	csr = pki_request(key, "4711", 0, NULL);
	der_len = pki_der(csr, der);
	record = record_open(pki_file("issued.db"), true, err, sizeof(err));
	return record ? 0 : -1;
}

static int end(void **state)
{
	record_close(record);
	X509_free(ca);
	X509_free(client);
	X509_free(other);
	X509_REQ_free(csr);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	return pki_end(state);
}

static struct issuance of(enum authority_what what, X509 *who)
{
	struct authority_request request = { what, csr, der, der_len, who };
	struct issuance issuance;

	assert_true(issuance_of(&request, &issuance));
	return issuance;
}

static long given(X509 *who)
{
	uint8_t print[32];

	assert_int_equal(X509_digest(who, EVP_sha256(), print, NULL), 1);
	return record_count(record, print, "", 0);
}

/* Notes CERT, which is its own from now on, for CLIENT. */
static enum authority_verdict note(const struct issuance *issuance, X509 *cert)
{
	struct authority_answer answer = { 0 };
	enum authority_verdict verdict;

	issuance_note(record, issuance, client, cert, &answer);
	verdict = answer.verdict;
	assert_int_equal(sk_X509_num(answer.certs), verdict == AUTHORITY_DONE ? 1 : -1);
	assert_int_equal(verdict == AUTHORITY_DONE, !*answer.why);
	assert_int_equal(verdict == AUTHORITY_UNAVAILABLE, answer.retry_s > 0);
	authority_answer_clear(&answer);
	return verdict;
}

static bool is_given_again(const struct issuance *issuance, EVP_PKEY *its)
{
	X509 *cert = issuance_before(record, issuance, its);
	bool is = cert;

	X509_free(cert);
	return is;
}

static void test_of(void **state)
{
	static const uint8_t zeros[32];
	struct issuance a = of(AUTHORITY_ENROLL, client), b = of(AUTHORITY_REENROLL, client),
			c = of(AUTHORITY_SERVERKEYGEN, client), d = of(AUTHORITY_ENROLL, other);

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_equal(c.client, a.client, 32);
	assert_memory_equal(c.request, zeros, 32);
	assert_memory_not_equal(a.request, zeros, 32);
	assert_memory_not_equal(d.client, a.client, 32);
}

static void test_again(void **state)
{
	struct issuance mine = of(AUTHORITY_ENROLL, client), others = of(AUTHORITY_ENROLL, other),
			skg = of(AUTHORITY_SERVERKEYGEN, client);

	(void)state;
	assert_false(is_given_again(&mine, key));
	assert_int_equal(note(&mine, pki_cert(ca, ca_key, key, "4711", -1, 1)), AUTHORITY_DONE);
	assert_int_equal(given(client), 1);
	assert_true(is_given_again(&mine, key));
	assert_false(is_given_again(&mine, other_key));
	assert_false(is_given_again(&others, key));
	assert_false(is_given_again(&skg, key));
	/* What has expired is not. */
	assert_int_equal(note(&mine, pki_cert(ca, ca_key, key, "4711", -9, -1)), AUTHORITY_DONE);
	assert_false(is_given_again(&mine, key));
	assert_int_equal(given(client), 2);
	assert_int_equal(given(other), 0);
}

/* CERT with the serial number in HEX. */
static X509 *numbered(const char *hex)
{
	X509 *cert = pki_cert(ca, ca_key, key, "4711", -1, 1);
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial;

	assert_true(BN_hex2bn(&number, hex) > 0);
	serial = BN_to_ASN1_INTEGER(number, NULL);
	assert_int_equal(X509_set_serialNumber(cert, serial), 1);
	ASN1_INTEGER_free(serial);
	BN_free(number);
	assert_true(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	return cert;
}

static void test_serials(void **state)
{
	struct issuance mine = of(AUTHORITY_ENROLL, client);

	(void)state;
	assert_int_equal(note(&mine, numbered("1")), AUTHORITY_DONE);
	assert_int_equal(note(&mine, numbered("1")), AUTHORITY_UNAVAILABLE);
	assert_int_equal(note(&mine, numbered("7fffffffffffffffffffffffffffffffffffffff")),
			 AUTHORITY_DONE);
	assert_int_equal(note(&mine, numbered("ffffffffffffffffffffffffffffffffffffffff")),
			 AUTHORITY_DONE);
	assert_int_equal(note(&mine, numbered("01ffffffffffffffffffffffffffffffffffffffff")),
			 AUTHORITY_UNAVAILABLE);
	assert_int_equal(given(client), 3);
}

/* What was revoked is not given again: who asks gets another one. */
static void test_revoked(void **state)
{
	struct issuance mine = of(AUTHORITY_ENROLL, client);
	const uint8_t one = 1, two = 2;
	char err[300];

	(void)state;
	assert_int_equal(note(&mine, numbered("1")), AUTHORITY_DONE);
	assert_int_equal(record_revoke(record, &two, 1, time(NULL), err, sizeof(err)), -ENOENT);
	assert_true(is_given_again(&mine, key));
	assert_int_equal(record_revoke(record, &one, 1, time(NULL), err, sizeof(err)), 0);
	assert_false(is_given_again(&mine, key));
	assert_int_equal(note(&mine, numbered("2")), AUTHORITY_DONE);
	assert_true(is_given_again(&mine, key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_of, begin, end),
		cmocka_unit_test_setup_teardown(test_again, begin, end),
		cmocka_unit_test_setup_teardown(test_serials, begin, end),
		cmocka_unit_test_setup_teardown(test_revoked, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
