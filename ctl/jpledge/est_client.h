/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One enrolment by EST-coaps (RFC 9148): a DTLS session, the CA's certificates, then a certificate
 * of its own, by libcoap.  Believes nothing that does not verify; stores nothing.
 */
#ifndef JPLEDGE_EST_CLIENT_H
#define JPLEDGE_EST_CLIENT_H

#include <netinet/in.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "dtls_watch.h"
#include "est_profile.h"

struct coaploop;
struct event_base;
struct est_client;

enum est_want { EST_ENROLL, EST_REENROLL, EST_SERVER_KEY };

/* What it is about to do, for who watches. */
enum est_step { EST_HANDSHAKE, EST_CACERTS, EST_ATTRS, EST_CERTIFICATE, EST_WAIT, EST_STEPS };

struct est_config {
	struct sockaddr_in6 server;	 /* a join port, or the Registrar's */
	const struct sockaddr_in6 *from; /* the address to send from; NULL: the kernel's choice */
	const char *key, *cert; /* PEM files: who we are; the certificate's issuers behind it */
	const char *ca; /* PEM file: whose Registrars to believe; NULL: any, if its CA is the one
			   that it gives us */
	enum est_want want;
	bool attributes; /* ask which attributes the CSR should have (RFC 7030 4.5) */
	enum est_profile profile;
	unsigned int patience_s; /* with a Registrar that says nothing; EST_PATIENCE_S */
};

#define EST_PATIENCE_S 100

struct est_result {
	const char *why; /* it failed: a sentence without a full stop; NULL: it did not */
	STACK_OF(X509) * cacerts;
	X509 *cert;
	EVP_PKEY *key;
	const char *suite;	/* of DTLS */
	unsigned int sessions;	/* of DTLS that it took */
	struct dtls_watch dtls; /* what happened within them */
	char attributes[400];	/* object identifiers that the Registrar named, a blank between */
};

struct est_events {
	void (*step)(void *arg, enum est_step step);
	/* The last call; RESULT is the client's, which may be freed here. */
	void (*done)(void *arg, const struct est_result *result);
};

/* Begins in LOOP, which BASE runs.  NULL with a sentence in ERR.  CONFIG must outlive it. */
struct est_client *est_client_new(struct event_base *base, struct coaploop *loop,
				  const struct est_config *config, const struct est_events *events,
				  void *arg, char *err, size_t err_len);
void est_client_free(struct est_client *client);

#endif
