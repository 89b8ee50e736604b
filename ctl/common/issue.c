/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See issue.h. */
#include "issue.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define SERIAL_BITS 127 /* positive, in 16 octets */

/* Extensions and their values, as OpenSSL's configuration has them; in the order of the
 * certificate. */
static const struct {
	enum issue_kind kind;
	int nid;
	const char *value;
} extensions[] = {
	{ ISSUE_CA, NID_basic_constraints, "critical,CA:TRUE,pathlen:0" },
	{ ISSUE_CA, NID_key_usage, "critical,keyCertSign,cRLSign" },
	{ ISSUE_CA, NID_subject_key_identifier, "hash" },
	{ ISSUE_REGISTRAR, NID_basic_constraints, "critical,CA:FALSE" },
	{ ISSUE_REGISTRAR, NID_key_usage, "critical,digitalSignature" },
	{ ISSUE_REGISTRAR, NID_ext_key_usage, "serverAuth,clientAuth,cmcRA" },
	{ ISSUE_REGISTRAR, NID_subject_key_identifier, "hash" },
	{ ISSUE_REGISTRAR, NID_authority_key_identifier, "keyid" },
	{ ISSUE_DEVICE, NID_basic_constraints, "critical,CA:FALSE" },
	{ ISSUE_DEVICE, NID_key_usage, "critical,digitalSignature" },
	{ ISSUE_DEVICE, NID_ext_key_usage, "clientAuth" },
	{ ISSUE_DEVICE, NID_subject_key_identifier, "hash" },
	{ ISSUE_DEVICE, NID_authority_key_identifier, "keyid" },
};

static bool add_extensions(X509 *cert, const struct issue_request *r)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool added;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, r->issuer ? r->issuer : cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
		if (extensions[i].kind != r->kind)
			continue;
		extension = X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, extensions[i].value);
		added = extension && X509_add_ext(cert, extension, -1);
		X509_EXTENSION_free(extension);
		if (!added)
			return false;
	}
	/* Critical where there is no other name (RFC 5280 4.2.1.6). */
	return !r->names ||
	       X509_add1_ext_i2d(cert, NID_subject_alt_name, (void *)r->names,
				 !X509_NAME_entry_count(r->subject), X509V3_ADD_DEFAULT) == 1;
}

static bool set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	bool set = number &&
		   /* The highest bit is 1, so that none is short and none is 0. */
		   BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
		   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));

	BN_free(number);
	return set;
}

/* UTCTime or GeneralizedTime, whichever RFC 5280 wants. */
static bool set_times(X509 *cert, const struct issue_request *r)
{
	return ASN1_TIME_set(X509_getm_notBefore(cert), r->not_before) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), r->not_after);
}

/* Copies what was read from elsewhere; of a kind that is not foreseen: false. */
static bool copy_key(X509 *cert, const X509_PUBKEY *from)
{
	const unsigned char *bits;
	const ASN1_OBJECT *kind;
	const void *parameter;
	ASN1_OBJECT *curve;
	unsigned char *copy;
	X509_ALGOR *alg;
	int len, type;

	if (!X509_PUBKEY_get0_param(NULL, &bits, &len, &alg, from))
		return false;
	X509_ALGOR_get0(&kind, &type, &parameter, alg);
	if (len <= 0 || (type != V_ASN1_OBJECT && type != V_ASN1_NULL))
		return false;
	curve = type == V_ASN1_OBJECT ? OBJ_dup(parameter) : NULL;
	copy = OPENSSL_memdup(bits, (size_t)len);
	if (copy && (curve || type == V_ASN1_NULL) &&
	    X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(OBJ_obj2nid(kind)), type,
				   curve, copy, len))
		return true;
	ASN1_OBJECT_free(curve);
	OPENSSL_free(copy);
	return false;
}

static bool set_key(X509 *cert, const struct issue_request *r)
{
	return (r->written && copy_key(cert, r->written)) || X509_set_pubkey(cert, r->key);
}

X509 *issue_certificate(const struct issue_request *r)
{
	const X509_NAME *issuer = r->issuer ? X509_get_subject_name(r->issuer) : r->subject;
	EVP_PKEY *signer = r->issuer ? r->issuer_key : r->key;
	X509 *cert = X509_new();

	if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    set_times(cert, r) && X509_set_subject_name(cert, r->subject) &&
	    X509_set_issuer_name(cert, issuer) && set_key(cert, r) && add_extensions(cert, r) &&
	    X509_sign(cert, signer, EVP_sha256()))
		return cert;
	X509_free(cert);
	ERR_clear_error();
	return NULL;
}

X509_NAME *issue_name(const char *common_name)
{
	X509_NAME *name = X509_NAME_new();

	if (name && X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
					       (const unsigned char *)common_name, -1, -1, 0))
		return name;
	X509_NAME_free(name);
	ERR_clear_error();
	return NULL;
}

EVP_PKEY *issue_key(void)
{
	return EVP_EC_gen("P-256");
}
