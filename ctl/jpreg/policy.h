/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may have a certificate: makers whom we trust, single devices allowed or denied by serial
 * number, how often, and that nobody renews another's.  Judges; issues nothing.
 */
#ifndef JPX_JPREG_POLICY_H
#define JPX_JPREG_POLICY_H

#include "authority.h"
#include "record.h"

struct policy_config {
	const char *anchors; /* PEM file: the makers' CAs whose devices may enrol */
	const char *allow;   /* file of serial numbers (X.520 serialNumber of the IDevID's subject),
				one a line, # begins a comment; NULL: all */
	const char *deny;    /* the same, of who may not; NULL: nobody */
	const char *crl;     /* PEM file: the makers' revocation lists; NULL: none */
	unsigned int per_day; /* certificates for one device in 24 hours; 0: any number */
};

struct policy;

/* Reads the files.  RECORD: for the rate; may be NULL, and outlives the policy.  NULL with a
 * sentence in ERR that names the file, the line and what to try. */
struct policy *policy_new(const struct policy_config *config, struct record *record, char *err,
			  size_t err_len);

/* The certificates of our own authority's CA, whose clients may renew; in place of those before.
 * -1: no memory, and nothing has changed. */
int policy_set_cas(struct policy *policy, STACK_OF(X509) * cas);
void policy_free(struct policy *policy);

/* Is a client with certificate CLIENT and what it sent besides (CHAIN, may be NULL) one of a
 * maker's that we trust, or one that our own CA issued?  Chain, signatures, validity (but for the
 * far end of it: 99991231235959Z never ends), that it may sign, and that nobody has revoked it.
 * X509_V_OK or why not.  For the DTLS handshake. */
int policy_verify_client(struct policy *policy, X509 *client, STACK_OF(X509) * chain);

/* May CLIENT, who was verified, have WHAT for CSR (NULL: of what takes none)?  AUTHORITY_DONE: yes;
 * else how to refuse, with a sentence in WHY.  RFC 7030 4.2: enrolment by an IDevID or
 * what our CA issued for it; re-enrolment by the latter alone, its subject and subjectAltName the
 * CSR's. */
enum authority_verdict policy_judge(struct policy *policy, X509 *client, enum authority_what what,
				    X509_REQ *csr, unsigned int *retry_s, char *why,
				    size_t why_len);

#endif
