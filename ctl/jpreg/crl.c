/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See crl.h. */
#include "crl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <time.h>

#define DAY_S 86400

STACK_OF(X509_CRL) * crl_read(const char *file, char *err, size_t err_len)
{
	STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
	FILE *f = fopen(file, "re");
	X509_CRL *list;
	bool whole;

	if (!lists || !f) {
		snprintf(err, err_len, "%s: %s", file, f ? "no memory" : strerror(errno));
		goto fail;
	}
	while ((list = PEM_read_X509_CRL(f, NULL, NULL, NULL)))
		if (!sk_X509_CRL_push(lists, list)) {
			X509_CRL_free(list);
			break;
		}
	whole = !list && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (whole && sk_X509_CRL_num(lists)) {
		ERR_clear_error();
		fclose(f);
		return lists;
	}
	snprintf(err, err_len, "%s: has %s revocation list in PEM (BEGIN X509 CRL)", file,
		 whole ? "no" : "a broken");
fail:
	ERR_clear_error();
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	if (f)
		fclose(f);
	return NULL;
}

bool crl_has(STACK_OF(X509_CRL) * lists, X509 *cert, X509 *issuer)
{
	X509_REVOKED *entry;
	bool has = false;

	for (int i = 0; !has && i < sk_X509_CRL_num(lists); i++) {
		X509_CRL *list = sk_X509_CRL_value(lists, i);

		/* 2: it was on hold, and is no longer */
		has = !X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(issuer)) &&
		      X509_CRL_get0_by_cert(list, &entry, cert) == 1 &&
		      X509_CRL_verify(list, X509_get0_pubkey(issuer)) == 1;
	}
	ERR_clear_error();
	return has;
}

/* ---- our own ---- */

struct making {
	X509_CRL *list;
	bool failed;
};

static bool add(void *arg, const struct record_entry *e)
{
	struct making *making = arg;
	BIGNUM *number = e->revoked ? BN_bin2bn(e->serial, (int)e->serial_len, NULL) : NULL;
	ASN1_INTEGER *serial = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
	ASN1_TIME *when = e->revoked ? ASN1_TIME_set(NULL, e->revoked) : NULL;
	X509_REVOKED *entry = e->revoked ? X509_REVOKED_new() : NULL;

	if (e->revoked) {
		making->failed = !serial || !when || !entry ||
				 !X509_REVOKED_set_serialNumber(entry, serial) ||
				 !X509_REVOKED_set_revocationDate(entry, when) ||
				 !X509_CRL_add0_revoked(making->list, entry);
		if (making->failed)
			X509_REVOKED_free(entry);
	}
	BN_free(number);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(when);
	return !making->failed;
}

static bool set_times(X509_CRL *list, unsigned int days)
{
	ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL));
	ASN1_TIME *next = ASN1_TIME_set(NULL, time(NULL) + (time_t)days * DAY_S);
	bool set = now && next && X509_CRL_set1_lastUpdate(list, now) &&
		   X509_CRL_set1_nextUpdate(list, next);

	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	return set;
}

/* RFC 5280 5.2.1, 5.2.3; the number is the time, which grows. */
static bool add_extensions(X509_CRL *list, X509 *ca)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool added;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, ca, NULL, NULL, list, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
	added = extension && X509_CRL_add_ext(list, extension, -1) && number &&
		ASN1_INTEGER_set_int64(number, time(NULL)) &&
		X509_CRL_add1_ext_i2d(list, NID_crl_number, number, 0, 0) == 1;
	X509_EXTENSION_free(extension);
	ASN1_INTEGER_free(number);
	return added;
}

X509_CRL *crl_make(struct record *record, X509 *ca, EVP_PKEY *key, unsigned int days)
{
	struct making making = { .list = X509_CRL_new() };
	X509_CRL *list = making.list;

	if (list && X509_CRL_set_version(list, X509_CRL_VERSION_2) &&
	    X509_CRL_set_issuer_name(list, X509_get_subject_name(ca)) && set_times(list, days) &&
	    !record_each(record, add, &making) && !making.failed && add_extensions(list, ca) &&
	    X509_CRL_sort(list) && X509_CRL_sign(list, key, EVP_sha256()))
		return list;
	ERR_clear_error();
	X509_CRL_free(list);
	return NULL;
}
