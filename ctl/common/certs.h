/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Certificates as EST carries them: one in DER, or several in a certs-only CMS message (RFC
 * 7030 4.1.3, RFC 5272 4.1).  All by OpenSSL; what comes from the network is hostile.
 */
#ifndef JPX_CERTS_H
#define JPX_CERTS_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

/* CERTS as a certs-only message in DER, from malloc(): its length, or -ENOMEM. */
long certs_write(STACK_OF(X509) * certs, uint8_t **der);

/* The certificates of a certs-only message of LEN octets, at most MAX of them, in its order; NULL
 * if it is none, or has none or more, or has anything behind it.  To be freed with
 * sk_X509_pop_free(..., X509_free). */
STACK_OF(X509) * certs_read(const uint8_t *der, size_t len, int max);

/* One certificate in DER of LEN octets and nothing behind it, or NULL. */
X509 *certs_read_one(const uint8_t *der, size_t len);

/* CERT in DER, from malloc(): its length, or -ENOMEM. */
long certs_write_one(X509 *cert, uint8_t **der);

/* The subject of CERT by RFC 2253, in printable ASCII, cut where it is longer.  Returns BUF. */
const char *certs_subject(const X509 *cert, char *buf, size_t len);

#endif
