/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Certificates and keys as messages and files carry them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "certs.h"
#include "guard.h"
#include "multipart.h"
#include "pemfile.h"
#include "pki.h"
#include "power.h"

static EVP_PKEY *key;
static X509 *cert;
static char err[400];

static int begin(void **state)
{
	if (pki_begin(state))
		return -1;
	key = issue_key();
	cert = pki_cert(NULL, NULL, key, "1", -1, 10);
	return 0;
}

static int end(void **state)
{
	X509_free(cert);
	EVP_PKEY_free(key);
	return pki_end(state);
}

static STACK_OF(X509) * several(int n)
{
	STACK_OF(X509) *certs = sk_X509_new_null();

	for (int i = 0; i < n; i++)
		assert_true(sk_X509_push(certs, pki_cert(NULL, NULL, key, "2", -1, 10 + i)) > 0);
	return certs;
}

static void test_certs_only(void **state)
{
	STACK_OF(X509) *certs = several(3), *read;
	uint8_t *der;
	long len = certs_write(certs, &der);

	(void)state;
	assert_true(len > 0);
	read = certs_read(guarded(der, (size_t)len), (size_t)len, 3);
	assert_int_equal(sk_X509_num(read), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(X509_cmp(sk_X509_value(certs, i), sk_X509_value(read, i)), 0);
	sk_X509_pop_free(read, X509_free);
	assert_null(certs_read(der, (size_t)len, 2));
	for (long i = 0; i < len; i++)
		assert_null(certs_read(guarded(der, (size_t)i), (size_t)i, 3));
	der = realloc(der, (size_t)len + 1);
	der[len] = 0;
	assert_null(certs_read(der, (size_t)len + 1, 3));
	free(der);
	sk_X509_pop_free(certs, X509_free);
	certs = several(0);
	len = certs_write(certs, &der);
	assert_null(certs_read(der, (size_t)len, 3));
	free(der);
	sk_X509_free(certs);
}

static void test_one(void **state)
{
	uint8_t *der;
	long len = certs_write_one(cert, &der);
	X509 *read = certs_read_one(guarded(der, (size_t)len), (size_t)len);
	char subject[64];

	(void)state;
	assert_int_equal(X509_cmp(cert, read), 0);
	X509_free(read);
	for (long i = 0; i < len; i++)
		assert_null(certs_read_one(guarded(der, (size_t)i), (size_t)i));
	free(der);
	assert_string_equal(certs_subject(cert, subject, sizeof(subject)),
			    "serialNumber=1,CN=thing");
	assert_string_equal(certs_subject(cert, subject, 5), "seri");
}

static void test_subject_is_printable(void **state)
{
	X509_NAME *name = issue_name("a\nb\x1b[31m\xc3\xa9,=");
	char subject[64];

	(void)state;
	assert_int_equal(X509_set_subject_name(cert, name), 1);
	X509_NAME_free(name);
	certs_subject(cert, subject, sizeof(subject));
	for (const char *c = subject; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
}

/* RFC 9148 figure 2. */
static void test_multipart(void **state)
{
	static const uint8_t figure[] = { 0x84, 0x19, 0x01, 0x1c, 0x48, 0x01, 0x23, 0x45, 0x67,
					  0x89, 0xab, 0xcd, 0xef, 0x19, 0x01, 0x19, 0x48, 0xfe,
					  0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10 };
	static const uint8_t odd[] = { 0x83, 0x01, 0x40, 0x02 };
	static const uint8_t text[] = { 0x82, 0x01, 0x60 };
	static const uint8_t negative[] = { 0x82, 0x20, 0x40 };
	static const uint8_t large[] = { 0x82, 0x1a, 0x00, 0x01, 0x00, 0x00, 0x40 };
	static const uint8_t many[] = {
		0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x01
	};
	struct multipart_part parts[3];
	uint8_t *out;

	(void)state;
	assert_int_equal(multipart_read(figure, sizeof(figure), parts, 3), 2);
	assert_int_equal(parts[0].format, 284);
	assert_int_equal(parts[1].format, 281);
	assert_int_equal(parts[1].len, 8);
	assert_int_equal(parts[1].body[0], 0xfe);
	assert_int_equal(multipart_write(parts, 2, &out), sizeof(figure));
	assert_memory_equal(out, figure, sizeof(figure));
	free(out);
	assert_int_equal(multipart_write(NULL, 0, &out), 1);
	assert_int_equal(multipart_read(out, 1, parts, 3), 0);
	free(out);
	for (size_t i = 0; i < sizeof(figure); i++)
		assert_int_equal(multipart_read(guarded(figure, i), i, parts, 3), -EBADMSG);
	assert_int_equal(multipart_read(figure, sizeof(figure), parts, 1), -EBADMSG);
	assert_int_equal(multipart_read(odd, sizeof(odd), parts, 3), -EBADMSG);
	assert_int_equal(multipart_read(text, sizeof(text), parts, 3), -EBADMSG);
	assert_int_equal(multipart_read(negative, sizeof(negative), parts, 3), -EBADMSG);
	assert_int_equal(multipart_read(large, sizeof(large), parts, 3), -EBADMSG);
	assert_int_equal(multipart_read(many, sizeof(many), parts, 3), -EBADMSG);
}

static void test_files(void **state)
{
	STACK_OF(X509) *certs = several(2), *read;
	EVP_PKEY *again;
	struct stat st;
	FILE *f;

	(void)state;
	umask(0);
	assert_int_equal(pemfile_write_key(pki_file("k"), key, err, sizeof(err)), 0);
	assert_int_equal(stat(pki_file("k"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	again = pemfile_read_key(pki_file("k"), err, sizeof(err));
	assert_int_equal(EVP_PKEY_eq(again, key), 1);
	EVP_PKEY_free(again);
	assert_int_equal(pemfile_write_certs(pki_file("c"), certs, err, sizeof(err)), 0);
	read = pemfile_read_certs(pki_file("c"), 2, err, sizeof(err));
	assert_int_equal(sk_X509_num(read), 2);
	sk_X509_pop_free(read, X509_free);
	assert_null(pemfile_read_certs(pki_file("c"), 1, err, sizeof(err)));
	assert_non_null(strstr(err, "more than 1"));
	/* What was begun and is broken is an error, and no end. */
	f = fopen(pki_file("c"), "a");
	fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", f);
	fclose(f);
	assert_null(pemfile_read_certs(pki_file("c"), 9, err, sizeof(err)));
	assert_non_null(strstr(err, "certificate 3"));
	assert_null(pemfile_read_key(pki_file("c"), err, sizeof(err)));
	assert_int_equal(chmod(pki_file("k"), 0604), 0);
	assert_null(pemfile_read_key(pki_file("k"), err, sizeof(err)));
	assert_non_null(strstr(err, "chmod 600"));
	/* Where it cannot be written nothing is left of it, and what was there stays. */
	assert_int_equal(mkdir(pki_file("full"), 0700), 0);
	assert_true(pemfile_write_key(pki_file("full"), key, err, sizeof(err)) < 0);
	assert_int_equal(access(pki_file("full.new"), F_OK), -1);
	assert_int_equal(pemfile_write_key(pki_file("none/k"), key, err, sizeof(err)), -ENOENT);
	sk_X509_pop_free(certs, X509_free);
}

/* Before it is used for anything, and never a file that is cut off. */
static void test_files_survive_a_failure_of_power(void **state)
{
	STACK_OF(X509) *certs = several(1);

	(void)state;
	power_watch();
	assert_int_equal(pemfile_write_key(pki_file("k"), key, err, sizeof(err)), 0);
	power_may_fail();
	power_watch();
	assert_int_equal(pemfile_write_identity(pki_file("i"), key, cert, err, sizeof(err)), 0);
	power_may_fail();
	power_watch();
	assert_int_equal(pemfile_write_certs(pki_file("c"), certs, err, sizeof(err)), 0);
	power_may_fail();
	sk_X509_pop_free(certs, X509_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_certs_only, begin, end),
		cmocka_unit_test_setup_teardown(test_one, begin, end),
		cmocka_unit_test_setup_teardown(test_subject_is_printable, begin, end),
		cmocka_unit_test_setup_teardown(test_multipart, begin, end),
		cmocka_unit_test_setup_teardown(test_files, begin, end),
		cmocka_unit_test_setup_teardown(test_files_survive_a_failure_of_power, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
