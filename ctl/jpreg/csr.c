/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See csr.h. */
#include "csr.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <stdio.h>
#include <string.h>

#define UNIQUE_MAX 64
#define RSA_MIN	   2048
#define RSA_MAX	   4096 /* verifying takes the longer the larger it is */

bool csr_key_will_do(EVP_PKEY *key, char *why, size_t why_len)
{
	int bits, written_out = 0;
	char group[32] = "";
	size_t len;

	if (!key) {
		snprintf(why, why_len, "its public key cannot be read");
		return false;
	}
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_EC:
		/* RFC 5480 2.1.1; others would take it for a curve of its own. */
		if (!EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
					    &written_out) ||
		    written_out) {
			snprintf(why, why_len, "its key's curve has parameters instead of a name");
			return false;
		}
		if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) &&
		    (!strcmp(group, SN_X9_62_prime256v1) || !strcmp(group, SN_secp384r1)))
			return true;
		snprintf(why, why_len, "its key is on the curve %.30s, not on P-256 or P-384",
			 *group ? group : "without a name");
		return false;
	case EVP_PKEY_RSA:
		bits = EVP_PKEY_get_bits(key);
		if (bits >= RSA_MIN && bits <= RSA_MAX)
			return true;
		snprintf(why, why_len, "its RSA key has %d bits, not %d to %d", bits, RSA_MIN,
			 RSA_MAX);
		return false;
	default:
		snprintf(why, why_len, "its key is neither ECDSA's nor RSA's");
		return false;
	}
}

static bool is_signed(X509_REQ *csr, char *why, size_t why_len)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(csr);

	if (!csr_key_will_do(key, why, why_len))
		return false;
	if (X509_REQ_verify(csr, key) == 1)
		return true;
	snprintf(why, why_len, "the CSR's signature is not its key's");
	return false;
}

bool csr_is_linked(X509_REQ *csr, const uint8_t *unique, size_t unique_len, char *why,
		   size_t why_len)
{
	int at = X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1);
	X509_ATTRIBUTE *attr = at >= 0 ? X509_REQ_get_attr(csr, at) : NULL;
	const ASN1_TYPE *value = attr ? X509_ATTRIBUTE_get0_type(attr, 0) : NULL;
	uint8_t text[2 * UNIQUE_MAX], *said = NULL;
	int len = 0, said_len = -1;

	if (at < 0)
		return true;
	if (unique_len && unique_len <= UNIQUE_MAX)
		len = EVP_EncodeBlock(text, unique, (int)unique_len);
	if (len && value && X509_ATTRIBUTE_count(attr) == 1 &&
	    X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, at) < 0 &&
	    ASN1_TYPE_get(value) != V_ASN1_BOOLEAN && ASN1_TYPE_get(value) != V_ASN1_NULL &&
	    ASN1_TYPE_get(value) != V_ASN1_OBJECT)
		said_len = ASN1_STRING_to_UTF8(&said, value->value.asn1_string);
	if (said_len != len || CRYPTO_memcmp(said, text, (size_t)len)) {
		snprintf(why, why_len, "the CSR's challengePassword is not of this DTLS session");
		len = -1;
	}
	OPENSSL_free(said);
	ERR_clear_error();
	return len >= 0;
}

X509_REQ *csr_read(const uint8_t *der, size_t len, bool unsigned_will_do, char *why, size_t why_len)
{
	const uint8_t *end = der;
	X509_REQ *csr = NULL;
	bool good = false;

	*why = '\0';
	if (!len || len > CSR_MAX) {
		snprintf(why, why_len, "a CSR of %zu octets, not 1 to %d", len, CSR_MAX);
		return NULL;
	}
	csr = d2i_X509_REQ(NULL, &end, (long)len);
	if (!csr || end != der + len)
		snprintf(why, why_len, "the CSR is no PKCS#10 request in DER");
	else if (X509_REQ_get_version(csr) != X509_REQ_VERSION_1)
		snprintf(why, why_len, "the CSR is of another version than 1");
	else
		good = unsigned_will_do || is_signed(csr, why, why_len);
	ERR_clear_error();
	if (good)
		return csr;
	X509_REQ_free(csr);
	return NULL;
}
