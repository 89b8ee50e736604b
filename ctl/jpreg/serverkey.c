/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See serverkey.h. */
#include "serverkey.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7030 4.4.1.1, 4.4.1.2; OpenSSL has no names for them. */
#define SYMMETRIC_KEY  "1.2.840.113549.1.9.16.2.37"
#define ASYMMETRIC_KEY "1.2.840.113549.1.9.16.2.54"

static X509_ATTRIBUTE *attribute(X509_REQ *csr, const char *oid)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	int at = object ? X509_REQ_get_attr_by_OBJ(csr, object, -1) : -1;

	ASN1_OBJECT_free(object);
	return at >= 0 ? X509_REQ_get_attr(csr, at) : NULL;
}

enum serverkey_how serverkey_wanted(X509_REQ *csr, X509 *client, char *why, size_t why_len)
{
	X509_ATTRIBUTE *wanted = attribute(csr, ASYMMETRIC_KEY);
	const ASN1_TYPE *value = wanted ? X509_ATTRIBUTE_get0_type(wanted, 0) : NULL;
	const ASN1_OCTET_STRING *has = X509_get0_subject_key_id(client);

	if (attribute(csr, SYMMETRIC_KEY)) {
		snprintf(why, why_len, "the CSR wants its key encrypted by a symmetric key");
		return SERVERKEY_CANNOT;
	}
	if (!wanted)
		return SERVERKEY_PLAIN;
	if (has && value && ASN1_TYPE_get(value) == V_ASN1_OCTET_STRING &&
	    !ASN1_OCTET_STRING_cmp(value->value.octet_string, has) &&
	    EVP_PKEY_get_base_id(X509_get0_pubkey(client)) == EVP_PKEY_EC)
		return SERVERKEY_ENVELOPED;
	snprintf(why, why_len,
		 "the CSR wants its key encrypted for a key that is not its certificate's");
	return SERVERKEY_CANNOT;
}

/* What is in BIO, from malloc(); -1: nothing, or no memory. */
static long take(BIO *bio, uint8_t **out)
{
	char *data;
	long len = bio ? BIO_get_mem_data(bio, &data) : 0;

	*out = len > 0 ? malloc((size_t)len) : NULL;
	if (!*out)
		return -1;
	memcpy(*out, data, (size_t)len);
	return len;
}

long serverkey_plain(EVP_PKEY *key, uint8_t **out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	BIO *bio = BIO_new(BIO_s_secmem());
	long len = -1;

	*out = NULL;
	if (info && bio && i2d_PKCS8_PRIV_KEY_INFO_bio(bio, info))
		len = take(bio, out);
	BIO_free(bio);
	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	return len;
}

long serverkey_enveloped(EVP_PKEY *key, X509 *client, X509 *signer, EVP_PKEY *signer_key,
			 uint8_t **out)
{
	const unsigned int flags = CMS_BINARY | CMS_NOSMIMECAP;
	STACK_OF(X509) *to = sk_X509_new_null();
	BIO *plain = BIO_new(BIO_s_secmem()), *inside = BIO_new(BIO_s_secmem());
	BIO *bio = BIO_new(BIO_s_mem());
	uint8_t *der = NULL;
	long der_len = serverkey_plain(key, &der), len;
	CMS_ContentInfo *data = NULL, *envelope = NULL;

	*out = NULL;
	if (der_len > 0 && to && plain && inside && bio && sk_X509_push(to, client) &&
	    BIO_write(plain, der, (int)der_len) == der_len)
		data = CMS_sign(signer, signer_key, NULL, plain, flags);
	if (data && i2d_CMS_bio(inside, data))
		envelope = CMS_encrypt(to, inside, EVP_aes_128_cbc(), flags);
	len = envelope && i2d_CMS_bio(bio, envelope) ? take(bio, out) : -1;
	if (der)
		OPENSSL_cleanse(der, (size_t)der_len);
	free(der);
	CMS_ContentInfo_free(envelope);
	CMS_ContentInfo_free(data);
	BIO_free(plain);
	BIO_free(inside);
	BIO_free(bio);
	sk_X509_free(to);
	ERR_clear_error();
	return len;
}
