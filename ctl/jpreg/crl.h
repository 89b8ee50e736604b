/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Certificate revocation lists (RFC 5280 5): the makers', which say whose IDevIDs are no longer
 * good, and our own, for those who have to do with the devices that we certified.
 */
#ifndef JPX_JPREG_CRL_H
#define JPX_JPREG_CRL_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "record.h"

/* All lists in PEM in FILE.  NULL with a sentence in ERR that names it. */
STACK_OF(X509_CRL) * crl_read(const char *file, char *err, size_t err_len);

/* Is CERT, issued by ISSUER, revoked by one of LISTS?  A list that is not ISSUER's, or whose
 * signature is not, says nothing. */
bool crl_has(STACK_OF(X509_CRL) * lists, X509 *cert, X509 *issuer);

/* What RECORD has of revoked certificates of CA, as a list signed with KEY that is good for DAYS.
 * NULL: no memory, or RECORD cannot be read. */
X509_CRL *crl_make(struct record *record, X509 *ca, EVP_PKEY *key, unsigned int days);

#endif
