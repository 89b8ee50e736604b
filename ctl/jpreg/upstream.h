/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The authority that is an EST server behind us (RFC 7030), which we ask over HTTPS as a Registrar
 * does (RFC 9148 5): what pledges say in CoAP becomes HTTP, and back.  The answers that do not come
 * within the patience of a pledge are kept until it asks the same again.
 *
 * Believes nothing: a certificate that is not of the CA that the EST server told us of, or not for
 * the key that it was asked for, goes no further.
 */
#ifndef JPX_JPREG_UPSTREAM_H
#define JPX_JPREG_UPSTREAM_H

#include "authority.h"
#include "record.h"

struct event_base;

struct upstream_config {
	const char *url;      /* https://HOST[:PORT]/.well-known/est[/LABEL] */
	const char *ca_file;  /* PEM: of whom the EST server's own certificate is */
	const char *identity; /* PEM: our certificate, what is between it and its CA, and our key */
	const char *dir;      /* has issued.db; made if need be, mode 0700 */
	unsigned int timeout_s; /* that the EST server may take */
	/* The certificates of the CA, issuers behind whom they issued, once they are known and when
	 * they change. */
	void (*on_ca)(void *arg, STACK_OF(X509) * certs);
	void *arg;
};

/* NULL with a sentence in ERR that says what to try.  CONFIG is copied.  Begins to ask for the CA's
 * certificates, and does again and again until it has them. */
struct authority *upstream_new(struct event_base *base, const struct upstream_config *config,
			       char *err, size_t err_len);

/* What is our own: as ca_registrar() and ca_record(). */
int upstream_registrar(struct authority *upstream, EVP_PKEY **key, STACK_OF(X509) * *chain,
		       char *err, size_t err_len);
struct record *upstream_record(struct authority *upstream);

#endif
