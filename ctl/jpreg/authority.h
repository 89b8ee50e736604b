/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who issues the certificates: the embedded CA (ca.c), or an EST server behind us.  The EST-coaps
 * server asks by this contract and knows nothing of either.
 *
 * An authority judges nobody's rights: that is policy.c's business, before it is asked.
 */
#ifndef JPX_JPREG_AUTHORITY_H
#define JPX_JPREG_AUTHORITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum authority_what {
	AUTHORITY_CACERTS,	/* RFC 7030 4.1 */
	AUTHORITY_ENROLL,	/* 4.2.1 */
	AUTHORITY_REENROLL,	/* 4.2.2 */
	AUTHORITY_SERVERKEYGEN, /* 4.4 */
	AUTHORITY_CSRATTRS,	/* 4.5 */
};

/* How it ended; the EST-coaps server makes a response code of it (RFC 9148 4.5). */
enum authority_verdict {
	AUTHORITY_DONE,
	AUTHORITY_LATER,	/* 5.03: the same request again after RETRY_S seconds */
	AUTHORITY_BAD_REQUEST,	/* 4.00: the CSR is malformed, or a lie */
	AUTHORITY_UNAUTHORIZED, /* 4.01 */
	AUTHORITY_FORBIDDEN,	/* 4.03 */
	AUTHORITY_NONE,		/* 4.04: there is no such thing here */
	AUTHORITY_UNAVAILABLE,	/* 5.03: nothing was issued; after RETRY_S seconds it may be
				   different */
	AUTHORITY_FAILED,	/* 5.00 */
};

/* All of it the asker's: to be copied by who needs it after ask() has returned. */
struct authority_request {
	enum authority_what what;
	X509_REQ *csr;	    /* of what takes one: read by csr_read() */
	const uint8_t *der; /* ... and as it came, DER */
	size_t der_len;
	X509 *client; /* the certificate that the pledge's DTLS session was made with */
};

/* To be cleared with authority_answer_clear(). */
struct authority_answer {
	enum authority_verdict verdict;
	unsigned int retry_s;
	STACK_OF(X509) * certs; /* what was issued, alone; or the CA's chain, issuers behind whom
				   they issued */
	EVP_PKEY *key;		/* of AUTHORITY_SERVERKEYGEN */
	uint8_t *attrs;		/* of AUTHORITY_CSRATTRS: DER, from malloc() */
	size_t attrs_len;
	char why[160]; /* one sentence for the log, without a full stop, where nothing was issued */
};

void authority_answer_clear(struct authority_answer *answer);

/* Told once of what became of a request; ANSWER is the teller's, but what is taken out of it and set
 * to NULL. */
typedef void authority_told(void *arg, struct authority_answer *answer);

struct authority {
	/* Calls TOLD with ARG, before it returns or at a later turn of the loop.  What was issued is
	 * on record, on disk, before that. */
	void (*ask)(struct authority *self, const struct authority_request *request,
		    authority_told *told, void *arg);
	/* Tells nobody of what is still asked for. */
	void (*free)(struct authority *self);
};

#endif
