/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Makes certificates (RFC 5280): what is in one of each kind.  Knows nothing of files or of rights.
 */
#ifndef JPX_ISSUE_H
#define JPX_ISSUE_H

#include <openssl/x509v3.h>
#include <stddef.h>
#include <time.h>

enum issue_kind {
	ISSUE_CA,	 /* self-signed */
	ISSUE_REGISTRAR, /* id-kp-cmcRA and serverAuth, as cBRSKI 6.2 has it */
	ISSUE_DEVICE,	 /* a pledge's; a client's */
};

struct issue_request {
	enum issue_kind kind;
	EVP_PKEY *key; /* that it certifies; its public half will do, but for a CA */
	/* KEY as the certificate is to have it, or NULL.  It saves OpenSSL 3.0 writing and reading
	 * the key, which takes longer than signing; but X509_get0_pubkey() does not know the key
	 * before the certificate has been read anew, from its DER. */
	const X509_PUBKEY *written;
	const X509_NAME *subject;
	const GENERAL_NAMES *names; /* subjectAltName, or NULL */
	X509 *issuer;		    /* NULL: of a CA */
	EVP_PKEY *issuer_key;
	time_t not_before, not_after; /* 253402300799 is for ever (RFC 5280 4.1.2.5) */
};

#define ISSUE_FOR_EVER 253402300799

/* A signed certificate with a serial number of 127 random bits; NULL without memory or
 * randomness. */
X509 *issue_certificate(const struct issue_request *request);

/* A name of just a commonName.  NULL: not possible. */
X509_NAME *issue_name(const char *common_name);

/* A new P-256 key, or NULL. */
EVP_PKEY *issue_key(void);

#endif
