/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for certification requests.  Most inputs are refused, and then there has to be a
 * reason; of what is let through everything that csr.h promises is asked again.
 */
#include <openssl/err.h>
#include <string.h>

#include "../../ctl/jpreg/csr.h"

#include "../unit/guard.h"
#include "fuzz.h"

/* What is refused has a reason, and what is not has none. */
static X509_REQ *read_it(const uint8_t *der, size_t len, bool unsigned_will_do)
{
	char why[160] = "not written", one[1];
	X509_REQ *csr = csr_read(guarded(der, len), len, unsigned_will_do, why, sizeof(why));
	X509_REQ *again = csr_read(guarded(der, len), len, unsigned_will_do, one, sizeof(one));

	MUST(!csr == (*why != '\0'));
	MUST(strlen(why) < sizeof(why) - 1 && !strchr(why, '\n'));
	/* The room for a reason changes nothing. */
	MUST(!csr == !again);
	X509_REQ_free(again);
	return csr;
}

/* Written and read again it is the same to the octet: the record finds it by its hash. */
static void survives(X509_REQ *csr, size_t len)
{
	uint8_t *der = NULL, *twice = NULL;
	int n = i2d_X509_REQ(csr, &der), m;
	X509_REQ *again;

	/* not longer: there is no shorter way to say it than DER */
	MUST(n > 0 && (size_t)n <= len);
	again = read_it(der, (size_t)n, true);
	MUST(again);
	m = i2d_X509_REQ(again, &twice);
	MUST(n == m && !memcmp(der, twice, (size_t)n));
	X509_REQ_free(again);
	OPENSSL_free(der);
	OPENSSL_free(twice);
}

FUZZ_TARGET(fuzz_csr)
{
	X509_REQ *any, *true_one;
	char why[160];

	if (len > GUARD_ROOM)
		return 0;
	any = read_it(input, len, true);
	true_one = read_it(input, len, false);
	MUST(any || !true_one);
	if (any) {
		MUST(len <= CSR_MAX && X509_REQ_get_version(any) == X509_REQ_VERSION_1);
		survives(any, len);
	}
	if (true_one) {
		EVP_PKEY *key = X509_REQ_get0_pubkey(true_one);

		MUST(csr_key_will_do(key, why, sizeof(why)));
		MUST(X509_REQ_verify(true_one, key) == 1);
	}
	X509_REQ_free(any);
	X509_REQ_free(true_one);
	/* Errors that stay would be the next caller's. */
	MUST(!ERR_peek_error());
	return 0;
}
