/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A key that was made for a pledge, on its way there (RFC 9148 4.8, RFC 7030 4.4): as it is, under
 * the protection of DTLS alone, or enveloped for a key that the pledge has already, if its CSR asks
 * for that.
 */
#ifndef JPX_JPREG_SERVERKEY_H
#define JPX_JPREG_SERVERKEY_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum serverkey_how { SERVERKEY_PLAIN, SERVERKEY_ENVELOPED, SERVERKEY_CANNOT };

/* How CSR of the pledge with certificate CLIENT wants its key; SERVERKEY_CANNOT with a sentence in
 * WHY: by a symmetric key, or for another key than the certificate's. */
enum serverkey_how serverkey_wanted(X509_REQ *csr, X509 *client, char *why, size_t why_len);

/* KEY in PKCS#8 (format 284): its length, *OUT from malloc(), -1: no memory. */
long serverkey_plain(EVP_PKEY *key, uint8_t **out);

/* KEY in a SignedData of SIGNER's in an EnvelopedData that CLIENT's key opens (format 280). As
 * above. */
long serverkey_enveloped(EVP_PKEY *key, X509 *client, X509 *signer, EVP_PKEY *signer_key,
			 uint8_t **out);

#endif
