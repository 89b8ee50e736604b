/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See certs.h. */
#include "certs.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pkcs7.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL's memory may come from elsewhere than malloc(). */
static long take(uint8_t *openssl, int len, uint8_t **der)
{
	*der = len > 0 ? malloc((size_t)len) : NULL;
	if (*der)
		memcpy(*der, openssl, (size_t)len);
	OPENSSL_free(openssl);
	return *der ? len : -ENOMEM;
}

long certs_write(STACK_OF(X509) * certs, uint8_t **der)
{
	PKCS7 *p7 = PKCS7_new();
	uint8_t *out = NULL;
	long ret = -ENOMEM;
	int len;

	*der = NULL;
	if (!p7 || !PKCS7_set_type(p7, NID_pkcs7_signed) ||
	    !PKCS7_content_new(p7, NID_pkcs7_data) || !PKCS7_set_detached(p7, 1))
		goto out;
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (!PKCS7_add_certificate(p7, sk_X509_value(certs, i)))
			goto out;
	len = i2d_PKCS7(p7, &out);
	ret = take(out, len, der);
out:
	PKCS7_free(p7);
	ERR_clear_error();
	return ret;
}

STACK_OF(X509) * certs_read(const uint8_t *der, size_t len, int max)
{
	const uint8_t *end = der;
	STACK_OF(X509) *certs = NULL;
	PKCS7 *p7 = len <= INT_MAX ? d2i_PKCS7(NULL, &end, (long)len) : NULL;

	if (p7 && end == der + len && PKCS7_type_is_signed(p7) && p7->d.sign) {
		certs = p7->d.sign->cert;
		if (sk_X509_num(certs) < 1 || sk_X509_num(certs) > max)
			certs = NULL;
		else
			certs = X509_chain_up_ref(certs);
	}
	PKCS7_free(p7);
	ERR_clear_error();
	return certs;
}

X509 *certs_read_one(const uint8_t *der, size_t len)
{
	const uint8_t *end = der;
	X509 *cert = len <= INT_MAX ? d2i_X509(NULL, &end, (long)len) : NULL;

	if (cert && end != der + len) {
		X509_free(cert);
		cert = NULL;
	}
	ERR_clear_error();
	return cert;
}

long certs_write_one(X509 *cert, uint8_t **der)
{
	uint8_t *out = NULL;
	int len = i2d_X509(cert, &out);

	return take(out, len, der);
}

const char *certs_subject(const X509 *cert, char *buf, size_t len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int got = 0;

	if (bio &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
			       XN_FLAG_RFC2253 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB) >= 0)
		got = BIO_read(bio, buf, (int)len - 1);
	BIO_free(bio);
	ERR_clear_error();
	if (got > 0)
		buf[got] = '\0';
	else
		snprintf(buf, len, "nobody");
	return buf;
}
