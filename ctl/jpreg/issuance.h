/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A certificate that is about to be handed out, and the record: was it handed out before, and is it
 * noted down before it is.  The same for each authority.
 */
#ifndef JPX_JPREG_ISSUANCE_H
#define JPX_JPREG_ISSUANCE_H

#include "authority.h"
#include "record.h"

#define ISSUANCE_RETRY_S 60 /* after which what cannot be recorded may be asked for again */

/* Who asks and what for, SHA-256 of each; of the latter zeros where the key is made for them, see
 * record.h. */
struct issuance {
	uint8_t client[32], request[32];
};

/* False: no memory. */
bool issuance_of(const struct authority_request *request, struct issuance *issuance);

/* The certificate that was issued for the same before, if it is for KEY, has not ended and was not
 * revoked; else NULL.  Whether its CA is still ours is the caller's to see. */
X509 *issuance_before(struct record *record, const struct issuance *issuance, EVP_PKEY *key);

/* Notes down CERT, which CLIENT is to get, and makes it all that is in ANSWER, the reference the
 * answer's; or it is freed and ANSWER says why it cannot be handed out. */
void issuance_note(struct record *record, const struct issuance *issuance, X509 *client, X509 *cert,
		   struct authority_answer *answer);

/* CERT, the reference the answer's from now on, is what ANSWER has. */
void issuance_answer(struct authority_answer *answer, X509 *cert);

#endif
