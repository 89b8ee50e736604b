/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The embedded certification authority: an ECDSA P-256 key and a self-signed certificate of its own
 * in a directory, made at the first start, with which it signs certificates for pledges and the
 * Registrar's own; each of the former is on record before it is handed out.
 *
 * Keys are of mode 0600 and written whole or not at all.  Must never sign a CA certificate.
 */
#ifndef JPX_JPREG_CA_H
#define JPX_JPREG_CA_H

#include "authority.h"
#include "record.h"

struct ca_config {
	const char *dir;  /* has ca.key, ca.pem, registrar.key, registrar.pem, issued.db; made if
			     need be, mode 0700 */
	const char *name; /* commonName of a new CA */
	unsigned int valid_days; /* of what is issued, never longer than the CA itself */
};

/* NULL with a sentence in ERR that names the file and says what to try.  CONFIG is copied. */
struct authority *ca_new(const struct ca_config *config, char *err, size_t err_len);

/* The Registrar's DTLS certificate: *KEY and *CHAIN, its own certificate first, the CA's last.  Of
 * a CA that ca_new() made.  Made anew when fewer than 30 days are left of it.  extendedKeyUsage
 * id-kp-cmcRA and serverAuth (cBRSKI 7.4).  0, and the caller frees both; or -1 with a sentence in
 * ERR. */
int ca_registrar(struct authority *ca, EVP_PKEY **key, STACK_OF(X509) * *chain, char *err,
		 size_t err_len);

/* The CA's own certificate, the trust anchor of pledges that renew; not to be freed. */
X509 *ca_certificate(struct authority *ca);

/* Its record of what was issued; the CA's. */
struct record *ca_record(struct authority *ca);

#endif
