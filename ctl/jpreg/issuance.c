/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See issuance.h. */
#include "issuance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certs.h"
#include "log.h"

bool issuance_of(const struct authority_request *request, struct issuance *issuance)
{
	memset(issuance, 0, sizeof(*issuance));
	return X509_digest(request->client, EVP_sha256(), issuance->client, NULL) &&
	       (request->what == AUTHORITY_SERVERKEYGEN ||
		EVP_Digest(request->der, request->der_len, issuance->request, NULL, EVP_sha256(),
			   NULL));
}

static bool read_serial(const X509 *cert, struct record_entry *entry)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	BIGNUM *number = serial ? ASN1_INTEGER_to_BN(serial, NULL) : NULL;
	bool will_do = number && BN_num_bytes(number) <= RECORD_SERIAL_MAX;

	if (will_do)
		entry->serial_len = (size_t)BN_bn2bin(number, entry->serial);
	BN_free(number);
	return will_do;
}

/* Or can that not be told? */
static bool was_revoked(struct record *record, const X509 *cert)
{
	struct record_entry entry;

	return !read_serial(cert, &entry) ||
	       record_is_revoked(record, entry.serial, entry.serial_len) != 0;
}

X509 *issuance_before(struct record *record, const struct issuance *issuance, EVP_PKEY *key)
{
	long len = record_find(record, issuance->client, issuance->request, NULL, 0);
	uint8_t *der = len > 0 ? malloc((size_t)len) : NULL;
	X509 *cert = NULL;

	if (der &&
	    record_find(record, issuance->client, issuance->request, der, (size_t)len) == len)
		cert = certs_read_one(der, (size_t)len);
	free(der);
	if (cert && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 &&
	    EVP_PKEY_eq(X509_get0_pubkey(cert), key) == 1 && !was_revoked(record, cert))
		return cert;
	X509_free(cert);
	return NULL;
}

void issuance_answer(struct authority_answer *answer, X509 *cert)
{
	answer->certs = cert ? sk_X509_new_null() : NULL;
	if (answer->certs && sk_X509_push(answer->certs, cert)) {
		answer->verdict = AUTHORITY_DONE;
		*answer->why = '\0';
		return;
	}
	X509_free(cert);
	answer->verdict = AUTHORITY_FAILED;
	snprintf(answer->why, sizeof(answer->why), "no memory");
}

static time_t time_of(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) ? timegm(&tm) : 0;
}

void issuance_note(struct record *record, const struct issuance *issuance, X509 *client, X509 *cert,
		   struct authority_answer *answer)
{
	struct record_entry entry = {
		.issued = time(NULL),
		.not_after = time_of(X509_get0_notAfter(cert)),
	};
	char subject[256], device[256], err[300] = "its serial number is longer than 20 octets";
	uint8_t *der = NULL;
	long len = certs_write_one(cert, &der);
	int ret = -EINVAL;

	if (len < 0) {
		snprintf(err, sizeof(err), "no memory");
	} else if (read_serial(cert, &entry)) {
		memcpy(entry.client, issuance->client, sizeof(entry.client));
		memcpy(entry.request, issuance->request, sizeof(entry.request));
		entry.subject = certs_subject(cert, subject, sizeof(subject));
		entry.device = certs_subject(client, device, sizeof(device));
		entry.certificate = der;
		entry.certificate_len = (size_t)len;
		ret = record_add(record, &entry, err, sizeof(err));
	}
	free(der);
	if (!ret) {
		issuance_answer(answer, cert);
		return;
	}
	jpx_log_limited(JPX_LOG_ERROR, "no certificate is issued, as it cannot be recorded: %s",
			err);
	X509_free(cert);
	answer->verdict = AUTHORITY_UNAVAILABLE;
	answer->retry_s = ISSUANCE_RETRY_S;
	snprintf(answer->why, sizeof(answer->why), "the issuance cannot be recorded");
}
