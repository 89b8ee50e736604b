/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See policy.h. */
#include "policy.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certs.h"
#include "crl.h"
#include "csr.h"
#include "pemfile.h"
#include "serials.h"

#define ANCHORS_MAX 64
#define DAY_S	    86400
#define RATE_S	    3600 /* before who asked too often may ask again */
#define AUTH_LEVEL  2	 /* 112 bits: no SHA-1, no RSA below 2048 bits, in the whole chain */

struct policy {
	X509_STORE *anchors;
	X509_STORE *store; /* of the next */
	STACK_OF(X509) * cas;
	STACK_OF(X509_CRL) * crls;
	struct record *record;
	struct serials *allow, *deny;
	unsigned int per_day;
};

/* ---- who is it? ---- */

/* Does a maker's list have one of CHAIN, which was verified and ends with an anchor? */
static bool is_on_a_list(const struct policy *policy, STACK_OF(X509) * chain)
{
	for (int i = 0; i + 1 < sk_X509_num(chain); i++)
		if (crl_has(policy->crls, sk_X509_value(chain, i), sk_X509_value(chain, i + 1)))
			return true;
	return false;
}

/* Is CLIENT one of ours that was revoked, or can that not be told? */
static bool was_revoked(const struct policy *policy, X509 *client)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(client), NULL);
	uint8_t serial[RECORD_SERIAL_MAX];
	bool revoked = true;

	if (number && BN_num_bytes(number) <= RECORD_SERIAL_MAX)
		revoked = record_is_revoked(policy->record, serial,
					    (size_t)BN_bn2bin(number, serial)) != 0;
	BN_free(number);
	return revoked;
}

static bool is_ours(const struct policy *policy, X509 *client)
{
	bool ours = false;

	for (int i = 0; !ours && i < sk_X509_num(policy->cas); i++) {
		X509 *ca = sk_X509_value(policy->cas, i);

		ours = X509_check_issued(ca, client) == X509_V_OK &&
		       X509_verify(client, X509_get0_pubkey(ca)) == 1;
	}
	ERR_clear_error();
	return ours;
}

static int verify(const struct policy *policy, X509_STORE *store, X509 *client,
		  STACK_OF(X509) * chain)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ret = X509_V_ERR_OUT_OF_MEM;

	if (ctx && X509_STORE_CTX_init(ctx, store, client, chain)) {
		X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), AUTH_LEVEL);
		/* A maker's issuing CA may be trusted without its root. */
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		ret = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
		if (ret == X509_V_OK && is_on_a_list(policy, X509_STORE_CTX_get0_chain(ctx)))
			ret = X509_V_ERR_CERT_REVOKED;
	}
	X509_STORE_CTX_free(ctx);
	return ret;
}

int policy_verify_client(struct policy *policy, X509 *client, STACK_OF(X509) * chain)
{
	int ret = verify(policy, policy->anchors, client, chain);
	bool ours = is_ours(policy, client);
	char why[160];

	/* The root of our CA may be that of others, who issue to whom they like: what they have
	 * below it is nothing to us. */
	if (ret != X509_V_OK && ours)
		ret = verify(policy, policy->store, client, NULL);
	if (ret == X509_V_OK && ours && policy->record && was_revoked(policy, client))
		ret = X509_V_ERR_CERT_REVOKED;
	/* Without keyUsage a key may do everything (RFC 5280 4.2.1.3). */
	if (ret == X509_V_OK &&
	    (!(X509_get_key_usage(client) & KU_DIGITAL_SIGNATURE) || X509_check_ca(client)))
		ret = X509_V_ERR_INVALID_PURPOSE;
	if (ret == X509_V_OK && !csr_key_will_do(X509_get0_pubkey(client), why, sizeof(why)))
		ret = X509_V_ERR_EE_KEY_TOO_SMALL;
	ERR_clear_error();
	return ret;
}

/* ---- may it? ---- */

/* The first serialNumber (X.520) of CLIENT's subject; "" if it has none that is text. */
static void serial_of(X509 *client, char *serial, size_t len)
{
	/* The whole length is returned, and what is not text cannot be on a list. */
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_serialNumber, serial,
				      (int)len) < 0)
		*serial = '\0';
}

static bool is_listed(struct policy *policy, X509 *client, char *why, size_t why_len)
{
	char serial[80];

	serial_of(client, serial, sizeof(serial));
	if (policy->deny && serials_has(policy->deny, serial)) {
		snprintf(why, why_len, "its serial number is on the list of those denied");
		return false;
	}
	if (policy->allow && !serials_has(policy->allow, serial)) {
		snprintf(why, why_len, "its serial number is not on the list of those allowed");
		return false;
	}
	return true;
}

static bool same_names(const GENERAL_NAMES *a, const GENERAL_NAMES *b)
{
	uint8_t *der[2] = { NULL, NULL };
	int len[2] = { i2d_GENERAL_NAMES(a, &der[0]), i2d_GENERAL_NAMES(b, &der[1]) };
	bool same = len[0] > 0 && len[0] == len[1] && !memcmp(der[0], der[1], (size_t)len[0]);

	OPENSSL_free(der[0]);
	OPENSSL_free(der[1]);
	return same;
}

/* Does CSR name nobody but CLIENT: its subject and its subjectAltName, or, if MAY_LEAVE_OUT, none?
 */
static bool names_itself(X509 *client, X509_REQ *csr, bool may_leave_out)
{
	X509_NAME *subject = X509_REQ_get_subject_name(csr);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	/* -1: there is none; without names and with another number it cannot be read, or is there
	 * twice, and who knows whom it names. */
	int asked_is = -1, has_is;
	GENERAL_NAMES *asked =
		extensions ? X509V3_get_d2i(extensions, NID_subject_alt_name, &asked_is, NULL)
			   : NULL;
	GENERAL_NAMES *has = X509_get_ext_d2i(client, NID_subject_alt_name, &has_is, NULL);
	bool itself = !X509_NAME_cmp(subject, X509_get_subject_name(client)) ||
		      (may_leave_out && !X509_NAME_entry_count(subject));

	if ((!asked && asked_is != -1) || (!has && has_is != -1))
		itself = false;
	else if (asked)
		itself = itself && has && same_names(asked, has);
	else if (has && !may_leave_out)
		itself = false;
	GENERAL_NAMES_free(asked);
	GENERAL_NAMES_free(has);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	ERR_clear_error();
	return itself;
}

/* Was a certificate issued for this very request?  Then who asks lost the answer, and the authority
 * will give it once more. */
static bool is_repeated(struct policy *policy, const uint8_t client[32], X509_REQ *csr)
{
	uint8_t *der = NULL, print[32];
	int len = i2d_X509_REQ(csr, &der);
	bool repeated = len > 0 && EVP_Digest(der, (size_t)len, print, NULL, EVP_sha256(), NULL) &&
			record_find(policy->record, client, print, NULL, 0) > 0;

	OPENSSL_free(der);
	return repeated;
}

/* Has CLIENT had all of a day's already, or can that not be told?  With a sentence in WHY. */
static bool is_too_often(struct policy *policy, X509 *client, enum authority_what what,
			 X509_REQ *csr, char *why, size_t why_len)
{
	char device[256];
	uint8_t print[32];
	long count = -1;

	if (!policy->record || !policy->per_day)
		return false;
	if (X509_digest(client, EVP_sha256(), print, NULL))
		count = record_count(policy->record, print,
				     certs_subject(client, device, sizeof(device)),
				     time(NULL) - DAY_S);
	if (count < 0)
		snprintf(why, why_len, "the record of what was issued cannot be read");
	else if (count >= (long)policy->per_day &&
		 (what == AUTHORITY_SERVERKEYGEN || !is_repeated(policy, print, csr)))
		snprintf(why, why_len, "%u certificates in a day are enough for one device",
			 policy->per_day);
	else
		return false;
	return true;
}

enum authority_verdict policy_judge(struct policy *policy, X509 *client, enum authority_what what,
				    X509_REQ *csr, unsigned int *retry_s, char *why, size_t why_len)
{
	bool ours;

	if (what == AUTHORITY_CACERTS || what == AUTHORITY_CSRATTRS)
		return AUTHORITY_DONE;
	if (!csr) {
		snprintf(why, why_len, "there is no CSR");
		return AUTHORITY_BAD_REQUEST;
	}
	if (!is_listed(policy, client, why, why_len))
		return AUTHORITY_FORBIDDEN;
	ours = is_ours(policy, client);
	if (what == AUTHORITY_REENROLL && policy->cas && !ours) {
		snprintf(why, why_len, "renewing takes a certificate of this CA");
		return AUTHORITY_FORBIDDEN;
	}
	if (!names_itself(client, csr, what != AUTHORITY_REENROLL)) {
		snprintf(why, why_len, "the CSR names somebody else than who asks");
		return AUTHORITY_FORBIDDEN;
	}
	if (is_too_often(policy, client, what, csr, why, why_len)) {
		*retry_s = RATE_S;
		return AUTHORITY_UNAVAILABLE;
	}
	return AUTHORITY_DONE;
}

/* ---- beginning and end ---- */

static X509_STORE *store_of(STACK_OF(X509) * certs)
{
	X509_STORE *store = X509_STORE_new();
	bool good = store;

	for (int i = 0; good && i < sk_X509_num(certs); i++)
		good = X509_STORE_add_cert(store, sk_X509_value(certs, i)) == 1;
	if (good)
		return store;
	X509_STORE_free(store);
	return NULL;
}

int policy_set_cas(struct policy *policy, STACK_OF(X509) * cas)
{
	STACK_OF(X509) *copy = X509_chain_up_ref(cas);
	X509_STORE *store = copy ? store_of(copy) : NULL;

	if (!store) {
		sk_X509_pop_free(copy, X509_free);
		return -1;
	}
	X509_STORE_free(policy->store);
	sk_X509_pop_free(policy->cas, X509_free);
	policy->store = store;
	policy->cas = copy;
	return 0;
}

static int read_list(struct serials **list, const char *file, char *err, size_t err_len)
{
	*list = file ? serials_read(file, err, err_len) : NULL;
	return file && !*list ? -1 : 0;
}

struct policy *policy_new(const struct policy_config *config, struct record *record, char *err,
			  size_t err_len)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	STACK_OF(X509) * anchors;

	snprintf(err, err_len, "no memory");
	if (!policy)
		return NULL;
	policy->record = record;
	policy->per_day = config->per_day;
	anchors = pemfile_read_certs(config->anchors, ANCHORS_MAX, err, err_len);
	policy->anchors = anchors ? store_of(anchors) : NULL;
	sk_X509_pop_free(anchors, X509_free);
	if (policy->anchors && config->crl) {
		policy->crls = crl_read(config->crl, err, err_len);
		if (!policy->crls) {
			policy_free(policy);
			return NULL;
		}
	}
	if (policy->anchors && !read_list(&policy->allow, config->allow, err, err_len) &&
	    !read_list(&policy->deny, config->deny, err, err_len))
		return policy;
	policy_free(policy);
	return NULL;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	X509_STORE_free(policy->anchors);
	X509_STORE_free(policy->store);
	sk_X509_pop_free(policy->cas, X509_free);
	sk_X509_CRL_pop_free(policy->crls, X509_CRL_free);
	serials_free(policy->allow);
	serials_free(policy->deny);
	free(policy);
}
