/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What tests of certificates share: keys, certificates, requests, and a directory that is gone
 * afterwards.  To be included once by each, behind cmocka's header.
 */
#ifndef JPX_TEST_PKI_H
#define JPX_TEST_PKI_H

#include <ftw.h>
#include <openssl/x509v3.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "issue.h"

static char pki_dir[64];

static inline int pki_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int pki_begin(void **state)
{
	(void)state;
	strcpy(pki_dir, "/tmp/jpx-test.XXXXXX");
	return mkdtemp(pki_dir) ? 0 : -1;
}

static inline int pki_end(void **state)
{
	(void)state;
	return nftw(pki_dir, pki_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* A file in that directory; good until the next call but three. */
static inline const char *pki_file(const char *name)
{
	static char paths[4][128];
	static unsigned int n;

	n = (n + 1) % 4;
	snprintf(paths[n], sizeof(paths[n]), "%s/%s", pki_dir, name);
	return paths[n];
}

static inline int pki_few_pages(sqlite3 *db, char **err, const void *api)
{
	(void)err;
	(void)api;
	return sqlite3_exec(db, "PRAGMA max_page_count = 8", NULL, NULL, NULL);
}

/* What is opened from now on is SQLITE_FULL after 8 pages, until pki_roomy_disk(). */
static inline void pki_small_disk(void)
{
	assert_int_equal(sqlite3_auto_extension((void (*)(void))pki_few_pages), SQLITE_OK);
}

static inline void pki_roomy_disk(void)
{
	sqlite3_reset_auto_extension();
}

static inline X509_NAME *pki_name(const char *serial)
{
	X509_NAME *name = issue_name("thing");

	assert_non_null(name);
	if (serial)
		assert_int_equal(X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_ASC,
							    (const unsigned char *)serial, -1, -1,
							    0),
				 1);
	return name;
}

/* Of ISSUER (NULL: a CA), for KEY, with SERIAL in its name, good from FROM to TO days from now. */
static inline X509 *pki_cert(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key, const char *serial,
			     int from, int to)
{
	X509_NAME *name = pki_name(serial);
	struct issue_request r = {
		.kind = issuer ? ISSUE_DEVICE : ISSUE_CA,
		.key = key,
		.subject = name,
		.issuer = issuer,
		.issuer_key = issuer_key,
		.not_before = time(NULL) + from * 86400L,
		.not_after = time(NULL) + to * 86400L,
	};
	X509 *cert = issue_certificate(&r);

	assert_non_null(cert);
	X509_NAME_free(name);
	return cert;
}

/* A request for KEY, with SERIAL in its name (NULL: without a name) and extension NID (0: none). */
static inline X509_REQ *pki_request(EVP_PKEY *key, const char *serial, int nid, const char *value)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = serial ? pki_name(serial) : NULL;
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();

	assert_non_null(req);
	if (name)
		assert_int_equal(X509_REQ_set_subject_name(req, name), 1);
	assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
	if (nid) {
		assert_true(sk_X509_EXTENSION_push(
				    extensions, X509V3_EXT_conf_nid(NULL, NULL, nid, value)) > 0);
		assert_int_equal(X509_REQ_add_extensions(req, extensions), 1);
	}
	assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_NAME_free(name);
	return req;
}

static inline size_t pki_der(X509_REQ *req, uint8_t der[16384])
{
	uint8_t *at = der;
	int len = i2d_X509_REQ(req, NULL);

	assert_true(len > 0 && len <= 16384);
	return (size_t)i2d_X509_REQ(req, &at);
}

#endif
