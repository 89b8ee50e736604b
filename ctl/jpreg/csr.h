/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A PKCS#10 certification request (RFC 2986) from a stranger: taken apart by OpenSSL and checked
 * before anything is believed.  Must never let through what it did not look at.
 */
#ifndef JPX_JPREG_CSR_H
#define JPX_JPREG_CSR_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSR_MAX 4096 /* bytes of DER; a P-256 request is some 250 to 400 */

/* The request in DER bytes DER: whole, with nothing behind it, its signature true to its own key
 * (unless UNSIGNED_WILL_DO: of serverkeygen, where RFC 9148 4.8 says that key and signature are
 * ignored), the key P-256, P-384 or RSA of 2048 to 4096 bits.  NULL with a sentence in WHY, without
 * a full stop.  To be freed with X509_REQ_free(). */
X509_REQ *csr_read(const uint8_t *der, size_t len, bool unsigned_will_do, char *why,
		   size_t why_len);

/* Is CSR, if it says so, made for the session called UNIQUE (tls-unique) and no other?  POP linking,
 * RFC 7030 3.5: in base64 as challengePassword.  Who does not say has not to.  Else a sentence in
 * WHY. */
bool csr_is_linked(X509_REQ *csr, const uint8_t *unique, size_t unique_len, char *why,
		   size_t why_len);

/* Is KEY strong enough, and of a kind that pledges use?  Else a sentence in WHY.  For certificates,
 * too. */
bool csr_key_will_do(EVP_PKEY *key, char *why, size_t why_len);

#endif
