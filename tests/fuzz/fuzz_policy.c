/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for who may have a certificate.  The input is a client's certificate in DER and its
 * CSR behind it; the maker that is trusted is corpus-policy.pem, and has signed the good ones of
 * the corpus.  What is allowed is judged a second time.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "../../ctl/jpreg/csr.h"
#include "../../ctl/jpreg/policy.h"

#include "certs.h"
#include "pemfile.h"

#include "fuzz.h"
#include "memory_file.h"

#define ANCHOR "tests/fuzz/corpus-policy.pem"
#define DENIED "13"

static X509 *anchor;
/* Without an authority of our own, with the anchor as that one, and with a list of those denied. */
static struct policy *policies[3];

static void set_up(void)
{
	static const char list[] = DENIED "\n";
	struct policy_config config = { .anchors = ANCHOR };
	STACK_OF(X509) * certs;
	char err[300];

	if (anchor)
		return;
	certs = pemfile_read_certs(ANCHOR, 1, err, sizeof(err));
	MUST(certs);
	policies[0] = policy_new(&config, NULL, err, sizeof(err));
	policies[1] = policy_new(&config, NULL, err, sizeof(err));
	MUST(policies[1] && !policy_set_cas(policies[1], certs));
	anchor = sk_X509_pop(certs);
	sk_X509_free(certs);
	config.deny = memory_file((const uint8_t *)list, sizeof(list) - 1);
	policies[2] = policy_new(&config, NULL, err, sizeof(err));
	MUST(policies[0] && policies[1] && policies[2]);
}

/* Is A's subject B's, as the octets have it but for what X.520 lets differ? */
static bool same_subject(X509 *client, X509_REQ *csr)
{
	return !X509_NAME_cmp(X509_get_subject_name(client), X509_REQ_get_subject_name(csr));
}

/* Does CSR ask for another name that CLIENT has not? */
static bool asks_for_more(X509 *client, X509_REQ *csr)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	int at = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1), own;
	bool more = false;

	if (at >= 0) {
		own = X509_get_ext_by_NID(client, NID_subject_alt_name, -1);
		more = own < 0 || ASN1_OCTET_STRING_cmp(
					  X509_EXTENSION_get_data(X509_get_ext(client, own)),
					  X509_EXTENSION_get_data(X509v3_get_ext(extensions, at)));
	}
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return more;
}

static bool is_denied(X509 *client)
{
	char serial[8];

	return X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_serialNumber, serial,
					 sizeof(serial)) >= 0 &&
	       !strcmp(serial, DENIED);
}

static void try_policy(struct policy *policy, X509 *client, X509_REQ *csr, enum authority_what what)
{
	unsigned int retry = 0;
	char why[200] = "";
	enum authority_verdict verdict =
		policy_judge(policy, client, what, csr, &retry, why, sizeof(why));

	MUST((verdict == AUTHORITY_DONE) == !*why);
	MUST(strlen(why) < sizeof(why) - 1);
	if (verdict != AUTHORITY_DONE)
		return;
	MUST(csr);
	MUST(policy != policies[2] || !is_denied(client));
	MUST(same_subject(client, csr) || (what != AUTHORITY_REENROLL &&
					   !X509_NAME_entry_count(X509_REQ_get_subject_name(csr))));
	MUST(!asks_for_more(client, csr));
	if (what == AUTHORITY_REENROLL && policy == policies[1])
		MUST(X509_verify(client, X509_get0_pubkey(anchor)) == 1);
}

static void try_client(X509 *client)
{
	int ret = policy_verify_client(policies[0], client, NULL);

	MUST(ret == policy_verify_client(policies[2], client, NULL));
	if (ret != X509_V_OK)
		return;
	MUST(X509_verify(client, X509_get0_pubkey(anchor)) == 1);
	MUST(!X509_check_ca(client) && X509_get_key_usage(client) & KU_DIGITAL_SIGNATURE);
}

FUZZ_TARGET(fuzz_policy)
{
	static const enum authority_what whats[] = { AUTHORITY_ENROLL, AUTHORITY_REENROLL,
						     AUTHORITY_SERVERKEYGEN };
	const uint8_t *at = input;
	X509_REQ *csr;
	X509 *client;
	char why[160];

	set_up();
	if (len > 16384)
		return 0;
	client = d2i_X509(NULL, &at, (long)len);
	ERR_clear_error();
	if (!client)
		return 0;
	csr = csr_read(at, len - (size_t)(at - input), true, why, sizeof(why));
	try_client(client);
	for (size_t p = 0; p < 3; p++)
		for (size_t w = 0; w < 3; w++)
			try_policy(policies[p], client, csr, whats[w]);
	X509_REQ_free(csr);
	X509_free(client);
	ERR_clear_error();
	return 0;
}
