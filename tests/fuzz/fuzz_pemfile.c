/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for keys and certificates in files.  The input is a file; what is read from it is
 * written to another, and has to read the same.  A refusal names the file.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "pemfile.h"

#include "fuzz.h"
#include "memory_file.h"

#define MAX 4

static char err[400];

static void refused(const char *file)
{
	MUST(!strncmp(err, file, strlen(file)) && err[strlen(file)] == ':');
	MUST(!strchr(err, '\n') && strlen(err) < sizeof(err) - 1);
}

/* Where it is written: a directory of this process' own, gone when it ends. */
static void try_key(const char *file, X509 *cert)
{
	EVP_PKEY *key, *again;
	const char *out;
	struct stat st;

	*err = '\0';
	key = pemfile_read_key(file, err, sizeof(err));
	if (!key) {
		refused(file);
		return;
	}
	out = memory_path("key");
	if (cert ? pemfile_write_identity(out, key, cert, err, sizeof(err))
		 : pemfile_write_key(out, key, err, sizeof(err))) {
		/* Of some keys there is no PKCS #8, and then there is no file, either. */
		refused(out);
		MUST(stat(out, &st));
	} else {
		MUST(!stat(out, &st) && (st.st_mode & 07777) == 0600);
		again = pemfile_read_key(out, err, sizeof(err));
		MUST(again && EVP_PKEY_get_base_id(again) == EVP_PKEY_get_base_id(key));
		MUST(EVP_PKEY_eq(again, key) == 1);
		EVP_PKEY_free(again);
		MUST(!remove(out));
	}
	EVP_PKEY_free(key);
}

static X509 *try_certs(const char *file)
{
	STACK_OF(X509) * certs, *again;
	const char *out = memory_path("certs");
	X509 *first;
	int count;

	*err = '\0';
	certs = pemfile_read_certs(file, MAX, err, sizeof(err));
	if (!certs) {
		refused(file);
		return NULL;
	}
	count = sk_X509_num(certs);
	MUST(count >= 1 && count <= MAX);
	if (count > 1)
		MUST(!pemfile_read_certs(file, count - 1, err, sizeof(err)));
	MUST(!pemfile_write_certs(out, certs, err, sizeof(err)));
	again = pemfile_read_certs(out, count, err, sizeof(err));
	MUST(again && sk_X509_num(again) == count);
	for (int i = 0; i < count; i++)
		MUST(!X509_cmp(sk_X509_value(certs, i), sk_X509_value(again, i)));
	first = sk_X509_shift(certs);
	sk_X509_pop_free(again, X509_free);
	sk_X509_pop_free(certs, X509_free);
	MUST(!remove(out));
	return first;
}

FUZZ_TARGET(fuzz_pemfile)
{
	const char *file = memory_file(input, len);
	X509 *cert = try_certs(file);

	try_key(file, cert);
	X509_free(cert);
	MUST(!ERR_peek_error());
	return 0;
}
