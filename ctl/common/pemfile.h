/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys and certificates in files: read with a sentence about what is wrong, written whole or not at
 * all.  A key's file is for its owner alone.
 */
#ifndef JPX_PEMFILE_H
#define JPX_PEMFILE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>

/* The private key in PEM in FILE, without a passphrase; nobody but its owner may have rights to the
 * file.  NULL with a sentence in ERR that names it. */
EVP_PKEY *pemfile_read_key(const char *file, char *err, size_t err_len);

/* All certificates in PEM in FILE, one to MAX.  NULL as above. */
STACK_OF(X509) * pemfile_read_certs(const char *file, int max, char *err, size_t err_len);

/* Writes FILE anew, mode 0600 and 0644.  0 or a negative errno, with a sentence in ERR; then FILE
 * is as it was. */
int pemfile_write_key(const char *file, EVP_PKEY *key, char *err, size_t err_len);
/* Both in one file, mode 0600, so that neither is ever without the other. */
int pemfile_write_identity(const char *file, EVP_PKEY *key, X509 *cert, char *err, size_t err_len);
int pemfile_write_certs(const char *file, STACK_OF(X509) * certs, char *err, size_t err_len);

#endif
