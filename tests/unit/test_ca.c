/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The embedded CA: its files, and what it signs and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "../../ctl/jpreg/ca.h"
#include "../../ctl/jpreg/csr.h"
#include "pki.h"

static EVP_PKEY *maker_key, *key;
static X509 *maker, *idevid;
static struct authority *ca;
static char err[400];

static unsigned int valid_days = 90;

static bool start(void)
{
	const struct ca_config config = { .dir = pki_dir,
					  .name = "test CA",
					  .valid_days = valid_days };

	if (ca)
		ca->free(ca);
	ca = ca_new(&config, err, sizeof(err));
	return ca;
}

static int begin(void **state)
{
	if (pki_begin(state))
		return -1;
	maker_key = issue_key();
	key = issue_key();
	maker = pki_cert(NULL, NULL, maker_key, "maker", -1, 100);
	idevid = pki_cert(maker, maker_key, key, "4711", -1, 50);
	return start() ? 0 : -1;
}

static int end(void **state)
{
	if (ca)
		ca->free(ca);
	ca = NULL;
	X509_free(maker);
	X509_free(idevid);
	EVP_PKEY_free(maker_key);
	EVP_PKEY_free(key);
	return pki_end(state);
}

static struct authority_answer answer;

/* Certificates as who asked reads them. */
static void on_told(void *arg, struct authority_answer *told)
{
	const uint8_t *at;
	uint8_t *der;
	X509 *cert;
	int len;

	(void)arg;
	answer = *told;
	memset(told, 0, sizeof(*told));
	for (int i = 0; i < sk_X509_num(answer.certs); i++) {
		der = NULL;
		len = i2d_X509(sk_X509_value(answer.certs, i), &der);
		at = der;
		cert = d2i_X509(NULL, &at, len);
		assert_non_null(cert);
		OPENSSL_free(der);
		X509_free(sk_X509_value(answer.certs, i));
		sk_X509_set(answer.certs, i, cert);
	}
}

/* As the EST-coaps server does: what is no CSR does not come as far as the CA. */
static enum authority_verdict ask(enum authority_what what, X509_REQ *csr)
{
	static uint8_t der[16384];
	struct authority_request request = { .what = what, .client = idevid };

	authority_answer_clear(&answer);
	if (csr) {
		request.der_len = pki_der(csr, der);
		request.der = der;
		request.csr = csr_read(der, request.der_len, what == AUTHORITY_SERVERKEYGEN,
				       answer.why, sizeof(answer.why));
		answer.verdict = AUTHORITY_BAD_REQUEST;
	}
	X509_REQ_free(csr);
	if (!csr || request.csr)
		ca->ask(ca, &request, on_told, NULL);
	X509_REQ_free(request.csr);
	assert_int_equal(answer.verdict == AUTHORITY_DONE, !*answer.why);
	return answer.verdict;
}

static bool is_good(X509 *cert)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good;

	X509_STORE_add_cert(store, ca_certificate(ca));
	X509_STORE_CTX_init(ctx, store, cert, NULL);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
	good = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return good;
}

static void test_issues(void **state)
{
	X509 *cert, *other;
	int days, seconds;

	(void)state;
	assert_int_equal(ask(AUTHORITY_CACERTS, NULL), AUTHORITY_DONE);
	assert_int_equal(sk_X509_num(answer.certs), 1);
	assert_int_equal(X509_cmp(sk_X509_value(answer.certs, 0), ca_certificate(ca)), 0);

	assert_int_equal(ask(AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)), AUTHORITY_DONE);
	assert_int_equal(sk_X509_num(answer.certs), 1);
	cert = sk_X509_value(answer.certs, 0);
	assert_true(is_good(cert));
	assert_int_equal(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(idevid)),
			 0);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), key), 1);
	assert_int_equal(X509_check_ca(cert), 0);
	assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
	assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)), 1);
	assert_true(days == 89 || days == 90);
	assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(cert)), 16);

	/* Another signature is another request, and another certificate. */
	X509_up_ref(cert);
	assert_int_equal(ask(AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)), AUTHORITY_DONE);
	other = sk_X509_value(answer.certs, 0);
	assert_int_not_equal(X509_cmp(cert, other), 0);
	X509_free(cert);
	assert_int_equal(ask(AUTHORITY_CSRATTRS, NULL), AUTHORITY_NONE);
	authority_answer_clear(&answer);
}

static void test_same_request_same_certificate(void **state)
{
	X509_REQ *csr = pki_request(key, "4711", 0, NULL);
	X509 *cert;

	(void)state;
	assert_int_equal(ask(AUTHORITY_ENROLL, X509_REQ_dup(csr)), AUTHORITY_DONE);
	cert = X509_dup(sk_X509_value(answer.certs, 0));
	assert_true(start()); /* our answer was lost, and we were, too */
	assert_int_equal(ask(AUTHORITY_ENROLL, X509_REQ_dup(csr)), AUTHORITY_DONE);
	assert_int_equal(X509_cmp(sk_X509_value(answer.certs, 0), cert), 0);
	assert_int_equal(ask(AUTHORITY_SERVERKEYGEN, csr), AUTHORITY_DONE);
	assert_int_not_equal(X509_cmp(sk_X509_value(answer.certs, 0), cert), 0);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(answer.certs, 0)), answer.key),
			 1);
	assert_int_not_equal(EVP_PKEY_eq(answer.key, key), 1);
	authority_answer_clear(&answer);
	X509_free(cert);
}

/* The certificate for CSR, to be freed. */
static X509 *get(enum authority_what what, X509_REQ *csr)
{
	X509 *cert;

	assert_int_equal(ask(what, X509_REQ_dup(csr)), AUTHORITY_DONE);
	cert = X509_dup(sk_X509_value(answer.certs, 0));
	authority_answer_clear(&answer);
	return cert;
}

/* A key that was made here once is never taken for the one that the same CSR has. */
static void test_enrolls_after_serverkeygen(void **state)
{
	X509_REQ *csr = pki_request(key, "4711", 0, NULL);
	X509 *made = get(AUTHORITY_SERVERKEYGEN, csr), *first = get(AUTHORITY_ENROLL, csr), *second;

	(void)state;
	assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(made), key), 1);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(first), key), 1);
	X509_free(made);
	made = get(AUTHORITY_SERVERKEYGEN, csr);
	second = get(AUTHORITY_ENROLL, csr);
	assert_int_equal(X509_cmp(first, second), 0);
	X509_free(made);
	X509_free(first);
	X509_free(second);
	X509_REQ_free(csr);
}

/* What is not good any more is not given again: it has ended, or is of a CA that is gone. */
static void test_not_given_again(void **state)
{
	X509_REQ *csr = pki_request(key, "4711", 0, NULL);
	X509 *ended, *first, *second;

	(void)state;
	valid_days = 0;
	assert_true(start());
	ended = get(AUTHORITY_ENROLL, csr);
	valid_days = 90;
	assert_true(start());
	first = get(AUTHORITY_ENROLL, csr);
	assert_int_not_equal(X509_cmp(ended, first), 0);
	/* As we advise where half of a CA is gone; the record stays. */
	assert_int_equal(remove(pki_file("ca.key")), 0);
	assert_int_equal(remove(pki_file("ca.pem")), 0);
	assert_true(start());
	second = get(AUTHORITY_ENROLL, csr);
	assert_int_not_equal(X509_cmp(first, second), 0);
	assert_true(is_good(second));
	X509_free(ended);
	X509_free(first);
	X509_free(second);
	X509_REQ_free(csr);
}

static EVP_PKEY *read_ca_key(void)
{
	FILE *f = fopen(pki_file("ca.key"), "r");
	EVP_PKEY *ca_key;

	assert_non_null(f);
	ca_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(ca_key);
	return ca_key;
}

static void write_cert(const char *name, X509 *cert)
{
	FILE *f = fopen(pki_file(name), "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
}

/* Nothing is signed by a CA that has ended, whenever that was. */
static void test_expired(void **state)
{
	EVP_PKEY *ca_key = read_ca_key();
	X509_NAME *name = issue_name("short");
	struct issue_request r = {
		.kind = ISSUE_CA,
		.key = ca_key,
		.subject = name,
		.not_before = time(NULL) - 86400,
		.not_after = time(NULL) + 3,
	};
	X509 *cert = issue_certificate(&r);

	(void)state;
	assert_non_null(cert);
	write_cert("ca.pem", cert);
	assert_true(start());
	while (time(NULL) <= r.not_after)
		usleep(100000);
	assert_int_equal(ask(AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)), AUTHORITY_FAILED);
	assert_non_null(strstr(answer.why, "expired"));
	assert_false(start());
	assert_non_null(strstr(err, "expired"));
	X509_free(cert);
	X509_NAME_free(name);
	EVP_PKEY_free(ca_key);
}

/* A maker may give its devices names longer than any buffer; they are given again, too. */
static void test_large(void **state)
{
	X509_REQ *csr = pki_request(key, NULL, 0, NULL);
	X509 *named = idevid, *first, *second;
	X509_NAME *name = X509_NAME_new();

	(void)state;
	for (int i = 0; i < 300; i++)
		assert_int_equal(X509_NAME_add_entry_by_NID(
					 name, NID_organizationalUnitName, MBSTRING_ASC,
					 (const unsigned char *)"a unit of a maker that is large",
					 -1, -1, 0),
				 1);
	idevid = X509_dup(named);
	assert_int_equal(X509_set_subject_name(idevid, name), 1);
	X509_NAME_free(name);
	assert_true(X509_sign(idevid, maker_key, EVP_sha256()) > 0);
	first = get(AUTHORITY_ENROLL, csr);
	second = get(AUTHORITY_ENROLL, csr);
	assert_int_equal(X509_cmp(first, second), 0);
	X509_free(first);
	X509_free(second);
	X509_REQ_free(csr);
	X509_free(idevid);
	idevid = named;
}

/* What cannot be recorded is not handed out, nor is the key that was made for it. */
static void test_disk_full(void **state)
{
	enum authority_verdict verdict = AUTHORITY_DONE;

	(void)state;
	pki_small_disk();
	assert_true(start());
	pki_roomy_disk();
	for (int i = 0; i < 100 && verdict == AUTHORITY_DONE; i++)
		verdict = ask(AUTHORITY_SERVERKEYGEN, pki_request(key, NULL, 0, NULL));
	assert_int_equal(verdict, AUTHORITY_UNAVAILABLE);
	assert_int_equal(answer.retry_s, 60);
	assert_null(answer.certs);
	assert_null(answer.key);
	assert_int_equal(ask(AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_UNAVAILABLE);
	assert_null(answer.certs);
	assert_true(start());
	assert_int_equal(ask(AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)), AUTHORITY_DONE);
	authority_answer_clear(&answer);
}

static void test_nameless(void **state)
{
	X509 *named = idevid;
	X509_NAME *empty = X509_NAME_new();

	(void)state;
	idevid = X509_dup(named);
	assert_int_equal(X509_set_subject_name(idevid, empty), 1);
	X509_NAME_free(empty);
	assert_true(X509_sign(idevid, maker_key, EVP_sha256()) > 0);
	assert_int_equal(ask(AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_BAD_REQUEST);
	assert_int_equal(
		ask(AUTHORITY_ENROLL, pki_request(key, NULL, NID_subject_alt_name, "URI:urn:x")),
		AUTHORITY_DONE);
	assert_true(is_good(sk_X509_value(answer.certs, 0)));
	authority_answer_clear(&answer);
	X509_free(idevid);
	idevid = named;
}

static int is_critical(X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	return at < 0 ? -1 : X509_EXTENSION_get_critical(X509_get_ext(cert, at));
}

/* What a pledge's certificate has, and nothing else; RFC 5280. */
static void test_profile(void **state)
{
	X509 *own = ca_certificate(ca), *cert;
	X509_REQ *csr = pki_request(key, "4711", 0, NULL);
	int days, seconds;

	(void)state;
	assert_int_equal(X509_get_version(own), X509_VERSION_3);
	assert_int_equal(X509_verify(own, X509_get0_pubkey(own)), 1);
	assert_int_equal(X509_get_pathlen(own), 0);
	assert_int_equal(X509_get_key_usage(own), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(is_critical(own, NID_basic_constraints), 1);
	assert_int_equal(is_critical(own, NID_key_usage), 1);
	assert_int_equal(
		ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(own), X509_get0_notAfter(own)),
		1);
	assert_int_equal(days, 20 * 365);

	valid_days = 30 * 365;
	assert_true(start());
	valid_days = 90;
	own = ca_certificate(ca);
	cert = get(AUTHORITY_ENROLL, csr);
	assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(own)), 0);
	assert_true(X509_cmp_current_time(X509_get0_notBefore(cert)) < 0);
	assert_int_equal(X509_get_version(cert), X509_VERSION_3);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
	assert_int_equal(X509_get_ext_count(cert), 5);
	assert_int_equal(is_critical(cert, NID_basic_constraints), 1);
	assert_int_equal(is_critical(cert, NID_key_usage), 1);
	assert_int_equal(is_critical(cert, NID_ext_key_usage), 0);
	assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(cert),
					       X509_get0_subject_key_id(own)),
			 0);
	assert_non_null(X509_get0_subject_key_id(cert));
	assert_int_equal(ASN1_STRING_type(X509_get0_serialNumber(cert)), V_ASN1_INTEGER);
	X509_free(cert);
	X509_REQ_free(csr);
}

static void test_extensions(void **state)
{
	static const struct {
		int nid;
		const char *value;
		enum authority_verdict verdict;
	} rows[] = {
		{ NID_basic_constraints, "CA:FALSE", AUTHORITY_DONE },
		{ NID_basic_constraints, "CA:TRUE", AUTHORITY_BAD_REQUEST },
		{ NID_basic_constraints, "DER:0500", AUTHORITY_BAD_REQUEST },
		{ NID_key_usage, "critical,keyCertSign", AUTHORITY_DONE }, /* and is not given */
		{ NID_subject_alt_name, "DNS:a,IP:192.0.2.1,URI:urn:x", AUTHORITY_DONE },
		{ NID_subject_alt_name, "otherName:1.3.6.1.5.5.7.8.4;UTF8:x", AUTHORITY_DONE },
		{ NID_subject_alt_name, "otherName:1.2.3;UTF8:x", AUTHORITY_BAD_REQUEST },
		{ NID_subject_alt_name, "email:a@example.com", AUTHORITY_BAD_REQUEST },
		{ NID_subject_alt_name, "DNS:1,DNS:2,DNS:3,DNS:4,DNS:5,DNS:6,DNS:7,DNS:8,DNS:9",
		  AUTHORITY_BAD_REQUEST },
		{ NID_subject_alt_name, "DER:3004820161", AUTHORITY_BAD_REQUEST },
		{ NID_subject_alt_name, "DER:3000", AUTHORITY_BAD_REQUEST },	 /* no name */
		{ NID_subject_alt_name, "DER:30028200", AUTHORITY_BAD_REQUEST }, /* DNS, empty */
		{ NID_subject_alt_name, "DER:30058203610062", AUTHORITY_BAD_REQUEST }, /* a\0b */
		{ NID_subject_alt_name, "DER:30048602610A", AUTHORITY_BAD_REQUEST },   /* URI a\n */
		{ NID_subject_alt_name, "DER:300787050102030405", AUTHORITY_BAD_REQUEST }, /* IP */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (ask(AUTHORITY_ENROLL, pki_request(key, "4711", rows[i].nid, rows[i].value)) !=
		    rows[i].verdict)
			fail_msg("%s: %d, %s", rows[i].value, answer.verdict, answer.why);
		if (answer.verdict != AUTHORITY_DONE)
			continue;
		assert_true(is_good(sk_X509_value(answer.certs, 0)));
		assert_int_equal(X509_get_key_usage(sk_X509_value(answer.certs, 0)),
				 KU_DIGITAL_SIGNATURE);
	}
	authority_answer_clear(&answer);
}

static void test_files(void **state)
{
	STACK_OF(X509) * chain, *again;
	EVP_PKEY *registrar;
	X509 *before;
	struct stat st;

	(void)state;
	before = X509_dup(ca_certificate(ca));
	assert_int_equal(ca_registrar(ca, &registrar, &chain, err, sizeof(err)), 0);
	assert_int_equal(sk_X509_num(chain), 2);
	assert_int_equal(X509_check_private_key(sk_X509_value(chain, 0), registrar), 1);
	assert_int_equal(X509_verify(sk_X509_value(chain, 0), X509_get0_pubkey(before)), 1);
	assert_true(X509_get_extended_key_usage(sk_X509_value(chain, 0)) & XKU_SSL_SERVER);
	EVP_PKEY_free(registrar);
	assert_int_equal(stat(pki_file("ca.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(pki_file("registrar.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* All of it is found again. */
	assert_true(start());
	assert_int_equal(X509_cmp(before, ca_certificate(ca)), 0);
	assert_int_equal(ca_registrar(ca, &registrar, &again, err, sizeof(err)), 0);
	assert_int_equal(X509_cmp(sk_X509_value(chain, 0), sk_X509_value(again, 0)), 0);
	EVP_PKEY_free(registrar);
	sk_X509_pop_free(again, X509_free);

	/* A key that others may read is not used, nor one without its certificate. */
	assert_int_equal(chmod(pki_file("ca.key"), 0640), 0);
	assert_false(start());
	assert_non_null(strstr(err, "chmod 600"));
	assert_int_equal(chmod(pki_file("ca.key"), 0600), 0);
	assert_int_equal(rename(pki_file("ca.pem"), pki_file("aside")), 0);
	assert_false(start());
	assert_non_null(strstr(err, "ca.pem is not"));
	assert_int_equal(rename(pki_file("ca.key"), pki_file("key")), 0);
	assert_int_equal(rename(pki_file("aside"), pki_file("ca.pem")), 0);
	assert_false(start());
	assert_non_null(strstr(err, "ca.key is not"));
	assert_int_equal(access(pki_file("ca.key"), F_OK), -1);
	assert_int_equal(rename(pki_file("key"), pki_file("ca.key")), 0);
	assert_int_equal(rename(pki_file("ca.pem"), pki_file("aside")), 0);
	/* ... nor with somebody else's. */
	assert_int_equal(rename(pki_file("registrar.pem"), pki_file("ca.pem")), 0);
	assert_false(start());
	assert_non_null(strstr(err, "not the certificate of the key"));
	assert_int_equal(rename(pki_file("aside"), pki_file("ca.pem")), 0);
	assert_true(start());
	/* The Registrar's own is made anew, if there is half of it. */
	assert_int_equal(ca_registrar(ca, &registrar, &again, err, sizeof(err)), 0);
	assert_int_not_equal(X509_cmp(sk_X509_value(chain, 0), sk_X509_value(again, 0)), 0);
	EVP_PKEY_free(registrar);
	sk_X509_pop_free(again, X509_free);
	sk_X509_pop_free(chain, X509_free);
	X509_free(before);
}

/* A Registrar's certificate of LEFT days is the one that is used, or not. */
static bool registrar_stays(int left)
{
	EVP_PKEY *own = issue_key(), *registrar, *ca_key = read_ca_key();
	STACK_OF(X509) * chain;
	X509 *cert;
	bool stays;
	FILE *f;

	cert = pki_cert(ca_certificate(ca), ca_key, own, NULL, -1, left);
	f = fopen(pki_file("registrar.key"), "w");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(PEM_write_PrivateKey(f, own, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	write_cert("registrar.pem", cert);
	assert_int_equal(ca_registrar(ca, &registrar, &chain, err, sizeof(err)), 0);
	stays = !X509_cmp(cert, sk_X509_value(chain, 0));
	assert_int_equal(X509_check_private_key(sk_X509_value(chain, 0), registrar), 1);
	EVP_PKEY_free(own);
	EVP_PKEY_free(registrar);
	EVP_PKEY_free(ca_key);
	sk_X509_pop_free(chain, X509_free);
	X509_free(cert);
	return stays;
}

static void test_registrar(void **state)
{
	EXTENDED_KEY_USAGE *usage;
	STACK_OF(X509) * chain;
	EVP_PKEY *registrar;
	bool cmc_ra = false;

	(void)state;
	assert_true(registrar_stays(31));
	assert_false(registrar_stays(29));
	assert_int_equal(ca_registrar(ca, &registrar, &chain, err, sizeof(err)), 0);
	usage = X509_get_ext_d2i(sk_X509_value(chain, 0), NID_ext_key_usage, NULL, NULL);
	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++)
		cmc_ra = cmc_ra || OBJ_obj2nid(sk_ASN1_OBJECT_value(usage, i)) == NID_cmcRA;
	assert_true(cmc_ra);
	EXTENDED_KEY_USAGE_free(usage);
	EVP_PKEY_free(registrar);
	sk_X509_pop_free(chain, X509_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_issues, begin, end),
		cmocka_unit_test_setup_teardown(test_same_request_same_certificate, begin, end),
		cmocka_unit_test_setup_teardown(test_enrolls_after_serverkeygen, begin, end),
		cmocka_unit_test_setup_teardown(test_not_given_again, begin, end),
		cmocka_unit_test_setup_teardown(test_expired, begin, end),
		cmocka_unit_test_setup_teardown(test_large, begin, end),
		cmocka_unit_test_setup_teardown(test_disk_full, begin, end),
		cmocka_unit_test_setup_teardown(test_nameless, begin, end),
		cmocka_unit_test_setup_teardown(test_profile, begin, end),
		cmocka_unit_test_setup_teardown(test_extensions, begin, end),
		cmocka_unit_test_setup_teardown(test_files, begin, end),
		cmocka_unit_test_setup_teardown(test_registrar, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
