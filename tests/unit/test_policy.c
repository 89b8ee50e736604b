/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may have a certificate: each way to be refused, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "../../ctl/jpreg/policy.h"
#include "../../ctl/jpreg/serials.h"
#include "certs.h"
#include "pki.h"

static EVP_PKEY *maker_key, *ca_key, *key;
static X509 *maker, *ca, *idevid, *ldevid;
static struct policy *policy;
static char err[400];

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(pki_file(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void write_certs(const char *name, X509 *cert)
{
	FILE *f = fopen(pki_file(name), "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
}

static int begin(void **state)
{
	if (pki_begin(state))
		return -1;
	maker_key = issue_key();
	ca_key = issue_key();
	key = issue_key();
	maker = pki_cert(NULL, NULL, maker_key, "maker", -1, 100);
	ca = pki_cert(NULL, NULL, ca_key, "ca", -1, 100);
	idevid = pki_cert(maker, maker_key, key, "4711", -1, 50);
	ldevid = pki_cert(ca, ca_key, key, "4711", -1, 50);
	write_certs("maker.pem", maker);
	return 0;
}

static int end(void **state)
{
	policy_free(policy);
	policy = NULL;
	X509_free(maker);
	X509_free(ca);
	X509_free(idevid);
	X509_free(ldevid);
	EVP_PKEY_free(maker_key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return pki_end(state);
}

static bool read_policy(const char *allow, const char *deny, unsigned int per_day,
			struct record *record)
{
	STACK_OF(X509) *cas = sk_X509_new_null();
	char files[3][128];
	struct policy_config config = { .per_day = per_day };

	snprintf(files[0], sizeof(files[0]), "%s", pki_file("maker.pem"));
	snprintf(files[1], sizeof(files[1]), "%s", pki_file("allow"));
	snprintf(files[2], sizeof(files[2]), "%s", pki_file("deny"));
	config.anchors = files[0];
	if (allow) {
		write_file("allow", allow);
		config.allow = files[1];
	}
	if (deny) {
		write_file("deny", deny);
		config.deny = files[2];
	}
	policy_free(policy);
	policy = policy_new(&config, record, err, sizeof(err));
	sk_X509_push(cas, ca);
	if (policy)
		assert_int_equal(policy_set_cas(policy, cas), 0);
	sk_X509_free(cas);
	return policy;
}

/* ---- clients ---- */

static int verify(X509 *client)
{
	int ret = policy_verify_client(policy, client, NULL);

	X509_free(client);
	return ret;
}

/* CERT with VALUE (NULL: nothing) for EXTENSION instead of what it has. */
static X509 *resigned(X509 *cert, const char *extension, const char *value)
{
	int nid = OBJ_sn2nid(extension), at = X509_get_ext_by_NID(cert, nid, -1);

	X509_EXTENSION_free(X509_delete_ext(cert, at));
	if (value) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

		assert_int_equal(X509_add_ext(cert, e, -1), 1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(cert, maker_key, EVP_sha256()) > 0);
	return cert;
}

static X509 *signed_with(const char *extension, const char *value, EVP_PKEY *its_key)
{
	return resigned(pki_cert(maker, maker_key, its_key, "1", -1, 50), extension, value);
}

static void test_clients(void **state)
{
	EVP_PKEY *other_key = issue_key(), *weak = EVP_RSA_gen(1024);
	X509 *other = pki_cert(NULL, NULL, other_key, "maker", -1, 100);

	(void)state;
	assert_true(read_policy(NULL, NULL, 0, NULL));
	X509_up_ref(idevid);
	assert_int_equal(verify(idevid), X509_V_OK);
	X509_up_ref(ldevid);
	assert_int_equal(verify(ldevid), X509_V_OK);
	assert_int_equal(verify(pki_cert(maker, maker_key, key, "1", -9, -1)),
			 X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(verify(pki_cert(maker, maker_key, key, "1", 1, 2)),
			 X509_V_ERR_CERT_NOT_YET_VALID);
	/* Of the same name as the maker, and by the maker's name signed by another. */
	assert_int_not_equal(verify(pki_cert(other, other_key, key, "1", -1, 50)), X509_V_OK);
	assert_int_not_equal(verify(pki_cert(maker, other_key, key, "1", -1, 50)), X509_V_OK);
	assert_int_not_equal(verify(other), X509_V_OK); /* self-signed */
	X509_up_ref(maker);
	assert_int_not_equal(verify(maker), X509_V_OK); /* a CA is no device */
	assert_int_equal(verify(signed_with("keyUsage", "critical,keyAgreement", key)),
			 X509_V_ERR_INVALID_PURPOSE);
	assert_int_equal(verify(signed_with("keyUsage", NULL, key)), X509_V_OK);
	/* A CA that may sign, too, is no device. */
	assert_int_equal(verify(resigned(signed_with("keyUsage",
						     "critical,digitalSignature,keyCertSign", key),
					 "basicConstraints", "critical,CA:TRUE")),
			 X509_V_ERR_INVALID_PURPOSE);
	assert_int_not_equal(verify(pki_cert(maker, maker_key, weak, "1", -1, 50)), X509_V_OK);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(weak);
}

/* A device for ever, of a maker's issuing CA that it sends along. */
static void test_chain_without_end(void **state)
{
	EVP_PKEY *issuing_key = issue_key();
	X509_NAME *name = issue_name("issuing"), *device = pki_name("4711");
	struct issue_request r = {
		.kind = ISSUE_CA,
		.key = issuing_key,
		.subject = name,
		.not_before = time(NULL) - 86400,
		.not_after = ISSUE_FOR_EVER,
	};
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *issuing, *client;

	(void)state;
	/* The root of pki_cert() allows nobody below it: this one is an anchor by itself. */
	issuing = issue_certificate(&r);
	r.kind = ISSUE_DEVICE;
	r.key = key;
	r.subject = device;
	r.issuer = issuing;
	r.issuer_key = issuing_key;
	client = issue_certificate(&r);
	assert_non_null(client);
	assert_true(sk_X509_push(chain, issuing) > 0);
	assert_true(read_policy(NULL, NULL, 0, NULL));
	/* Whom nobody trusts is not to be trusted for sending its own CA along. */
	assert_int_not_equal(policy_verify_client(policy, client, chain), X509_V_OK);
	write_certs("maker.pem", issuing);
	assert_true(read_policy(NULL, NULL, 0, NULL));
	assert_int_equal(policy_verify_client(policy, client, NULL), X509_V_OK);
	sk_X509_pop_free(chain, X509_free);
	X509_free(client);
	X509_NAME_free(name);
	X509_NAME_free(device);
	EVP_PKEY_free(issuing_key);
}

/* ---- what they ask for ---- */

static enum authority_verdict judge(X509 *client, enum authority_what what, X509_REQ *csr)
{
	unsigned int retry_s = 0;
	enum authority_verdict verdict;

	*err = '\0';
	verdict = policy_judge(policy, client, what, csr, &retry_s, err, sizeof(err));
	assert_int_equal(verdict == AUTHORITY_DONE, !*err);
	assert_int_equal(verdict == AUTHORITY_UNAVAILABLE, retry_s > 0);
	X509_REQ_free(csr);
	return verdict;
}

/* A CA called CN below ISSUER (NULL: by itself). */
static X509 *authority(const char *cn, EVP_PKEY *its_key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509_NAME *name = issue_name(cn);
	struct issue_request r = {
		.kind = ISSUE_CA,
		.key = its_key,
		.subject = name,
		.not_before = time(NULL) - 86400,
		.not_after = time(NULL) + 86400,
	};
	X509 *cert = issue_certificate(&r);
	X509_EXTENSION *e =
		X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
	int at = cert ? X509_get_ext_by_NID(cert, NID_basic_constraints, -1) : -1;

	assert_true(at >= 0);
	X509_EXTENSION_free(X509_delete_ext(cert, at)); /* it allows nobody below it */
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
	if (issuer)
		assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(issuer)), 1);
	assert_true(X509_sign(cert, issuer ? issuer_key : its_key, EVP_sha256()) > 0);
	X509_NAME_free(name);
	return cert;
}

/* Our authority tells us of its CA, which has a root, which is the root of others, too. */
static void test_cas(void **state)
{
	EVP_PKEY *root_key = issue_key(), *keys[2] = { issue_key(), issue_key() };
	X509 *root = authority("root", root_key, NULL, NULL);
	X509 *subs[2] = { authority("ours", keys[0], root, root_key),
			  authority("others", keys[1], root, root_key) };
	X509 *ours = pki_cert(subs[0], keys[0], key, "4711", -1, 1);
	X509 *others = pki_cert(subs[1], keys[1], key, "4711", -1, 1);
	STACK_OF(X509) *cas = sk_X509_new_null(), *chain = sk_X509_new_null();

	(void)state;
	assert_true(read_policy(NULL, NULL, 0, NULL));
	sk_X509_push(cas, subs[0]);
	sk_X509_push(cas, root);
	assert_int_not_equal(policy_verify_client(policy, ours, NULL), X509_V_OK);
	assert_int_equal(policy_verify_client(policy, ldevid, NULL), X509_V_OK);
	assert_int_equal(policy_set_cas(policy, cas), 0);
	assert_int_equal(policy_verify_client(policy, ours, NULL), X509_V_OK);
	assert_int_equal(judge(ours, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_DONE);
	/* The makers are whom they were, and the CA before is ours no more. */
	assert_int_equal(policy_verify_client(policy, idevid, NULL), X509_V_OK);
	assert_int_not_equal(policy_verify_client(policy, ldevid, NULL), X509_V_OK);
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	sk_X509_push(chain, subs[1]);
	sk_X509_push(chain, root);
	assert_int_not_equal(policy_verify_client(policy, others, chain), X509_V_OK);
	/* ... unless it is a maker's. */
	write_certs("maker.pem", root);
	assert_true(read_policy(NULL, NULL, 0, NULL));
	assert_int_equal(policy_verify_client(policy, others, chain), X509_V_OK);
	assert_int_equal(judge(others, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	sk_X509_free(cas);
	sk_X509_free(chain);
	for (unsigned int i = 0; i < 2; i++) {
		X509_free(subs[i]);
		EVP_PKEY_free(keys[i]);
	}
	X509_free(ours);
	X509_free(others);
	X509_free(root);
	EVP_PKEY_free(root_key);
}

static void test_names(void **state)
{
	X509 *forged;

	(void)state;
	assert_true(read_policy(NULL, NULL, 0, NULL));
	assert_int_equal(judge(idevid, AUTHORITY_CACERTS, NULL), AUTHORITY_DONE);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_DONE);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_DONE);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, "4712", 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL,
			       pki_request(key, "4711", NID_subject_alt_name, "DNS:gateway")),
			 AUTHORITY_FORBIDDEN);
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_DONE);
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, pki_request(key, "4712", 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_int_equal(judge(idevid, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_non_null(strstr(err, "of this CA"));
	/* Of a CA that only calls itself as ours does. */
	forged = pki_cert(ca, maker_key, key, "4711", -1, 50);
	assert_int_equal(judge(forged, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	X509_free(forged);
	/* Nothing is issued for no request at all. */
	assert_int_equal(judge(idevid, AUTHORITY_CSRATTRS, NULL), AUTHORITY_DONE);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, NULL), AUTHORITY_BAD_REQUEST);
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, NULL), AUTHORITY_BAD_REQUEST);
	assert_int_equal(judge(idevid, AUTHORITY_SERVERKEYGEN, NULL), AUTHORITY_BAD_REQUEST);
}

static enum authority_verdict judge_alt(X509 *client, enum authority_what what, const char *alt)
{
	return judge(client, what, pki_request(key, "4711", alt ? NID_subject_alt_name : 0, alt));
}

/* A name that stands in subjectAltName is its own, too, or refused. */
static void test_other_names(void **state)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:own");
	X509 *named = X509_dup(ldevid);

	(void)state;
	assert_non_null(e);
	assert_int_equal(X509_add_ext(named, e, -1), 1);
	assert_true(X509_sign(named, ca_key, EVP_sha256()) > 0);
	assert_true(read_policy(NULL, NULL, 0, NULL));
	assert_int_equal(judge_alt(named, AUTHORITY_REENROLL, "DNS:own"), AUTHORITY_DONE);
	assert_int_equal(judge_alt(named, AUTHORITY_REENROLL, "DNS:own,DNS:gateway"),
			 AUTHORITY_FORBIDDEN);
	assert_int_equal(judge_alt(named, AUTHORITY_REENROLL, "DNS:oWn"), AUTHORITY_FORBIDDEN);
	assert_int_equal(judge_alt(named, AUTHORITY_REENROLL, NULL), AUTHORITY_FORBIDDEN);
	assert_int_equal(judge_alt(named, AUTHORITY_ENROLL, "DNS:own"), AUTHORITY_DONE);
	assert_int_equal(judge_alt(named, AUTHORITY_ENROLL, "DNS:out"), AUTHORITY_FORBIDDEN);
	assert_int_equal(judge_alt(named, AUTHORITY_ENROLL, NULL), AUTHORITY_DONE);
	/* What cannot be read is not none. */
	assert_int_equal(judge_alt(named, AUTHORITY_ENROLL, "DER:0401ff"), AUTHORITY_FORBIDDEN);
	assert_int_equal(judge_alt(ldevid, AUTHORITY_ENROLL, "DER:0401ff"), AUTHORITY_FORBIDDEN);
	assert_int_equal(judge_alt(ldevid, AUTHORITY_REENROLL, "DER:0401ff"), AUTHORITY_FORBIDDEN);
	assert_int_equal(X509_add_ext(named, e, -1), 1); /* twice is not none, either */
	assert_int_equal(judge_alt(named, AUTHORITY_REENROLL, NULL), AUTHORITY_FORBIDDEN);
	X509_EXTENSION_free(e);
	X509_free(named);
}

static void test_lists(void **state)
{
	X509 *nameless = pki_cert(maker, maker_key, key, NULL, -1, 50);

	(void)state;
	assert_true(read_policy("# ours\n 4711 # the first\n\n4712\n", NULL, 0, NULL));
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_DONE);
	assert_int_equal(judge(nameless, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_true(read_policy("4712\n4710\n471\n47111\n", NULL, 0, NULL));
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_true(read_policy("4711", "9\n4711", 0, NULL));
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_non_null(strstr(err, "denied"));
	assert_true(read_policy("", NULL, 0, NULL)); /* nobody */
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_FORBIDDEN);
	assert_false(read_policy("1\n2\n01234567890123456789012345678901234567890123456789"
				 "012345678901234567890\n",
				 NULL, 0, NULL));
	assert_non_null(strstr(err, "allow:3: "));
	X509_free(nameless);
}

/* A list that cannot name whom it seems to name is none: of those denied, nobody would be. */
static void test_lists_not_plain(void **state)
{
	FILE *f;

	(void)state;
	assert_false(read_policy("1\n",
				 "4711\n\xef\xbb\xbf"
				 "4711\n",
				 0, NULL));
	assert_non_null(strstr(err, "deny:2: "));
	assert_false(read_policy("\xff\xfe"
				 "4",
				 NULL, 0, NULL));
	assert_false(read_policy("47\x1b[D11\n", NULL, 0, NULL));
	assert_false(read_policy("4710\r4711\r", NULL, 0, NULL));
	assert_true(read_policy("4711 # M\xc3\xbcller's\n", NULL, 0, NULL));
	for (int end = 0; end < 2; end++) {
		f = fopen(pki_file("zero"), "w");
		fwrite("1\n4711\0\n", 1, end ? 8 : 7, f);
		fclose(f);
		assert_null(serials_read(pki_file("zero"), err, sizeof(err)));
		assert_non_null(strstr(err, "zero:2: "));
	}
}

static void test_rate(void **state)
{
	struct record *record = record_open(pki_file("issued.db"), true, err, sizeof(err));
	struct record_entry e = { .subject = "s",
				  .device = "d",
				  .serial_len = 1,
				  .certificate = (const uint8_t *)"c",
				  .certificate_len = 1,
				  .not_after = time(NULL) + 86400 };
	static uint8_t der[16384];
	char name[256];
	X509_REQ *csr;
	sqlite3 *db;
	size_t len;

	(void)state;
	assert_non_null(record);
	assert_true(read_policy(NULL, NULL, 2, record));
	assert_int_equal(X509_digest(idevid, EVP_sha256(), e.client, NULL), 1);
	for (uint8_t n = 0; n < 3; n++) {
		e.serial[0] = n;
		e.issued = n ? time(NULL) : time(NULL) - 2 * 86400; /* the first is long ago */
		assert_int_equal(record_add(record, &e, err, sizeof(err)), 0);
		assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
				 n < 2 ? AUTHORITY_DONE : AUTHORITY_UNAVAILABLE);
	}
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_DONE);
	/* ... but not if those were of its name: a chain of renewals is one device's. */
	e.device = certs_subject(ldevid, name, sizeof(name));
	memset(e.client, 1, sizeof(e.client));
	for (e.serial[0] = 20; e.serial[0] < 22; e.serial[0]++)
		assert_int_equal(record_add(record, &e, err, sizeof(err)), 0);
	assert_int_equal(judge(ldevid, AUTHORITY_REENROLL, pki_request(key, "4711", 0, NULL)),
			 AUTHORITY_UNAVAILABLE);
	e.device = "d";
	assert_int_equal(X509_digest(idevid, EVP_sha256(), e.client, NULL), 1);
	assert_true(read_policy(NULL, NULL, 0, record));
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_DONE);
	/* Who lost our answer and asks again does not ask for more. */
	assert_true(read_policy(NULL, NULL, 2, record));
	csr = pki_request(key, NULL, 0, NULL);
	len = pki_der(csr, der);
	assert_int_equal(EVP_Digest(der, len, e.request, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, X509_REQ_dup(csr)), AUTHORITY_UNAVAILABLE);
	e.serial[0] = 9;
	assert_int_equal(record_add(record, &e, err, sizeof(err)), 0);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, X509_REQ_dup(csr)), AUTHORITY_DONE);
	assert_int_equal(judge(idevid, AUTHORITY_SERVERKEYGEN, X509_REQ_dup(csr)),
			 AUTHORITY_UNAVAILABLE);
	X509_REQ_free(csr);
	/* How often cannot be told: not now. */
	assert_true(read_policy(NULL, NULL, 9, record));
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_DONE);
	assert_int_equal(sqlite3_open(pki_file("issued.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DROP TABLE issued", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(judge(idevid, AUTHORITY_ENROLL, pki_request(key, NULL, 0, NULL)),
			 AUTHORITY_UNAVAILABLE);
	assert_non_null(strstr(err, "cannot be read"));
	policy_free(policy);
	policy = NULL;
	record_close(record);
}

static void test_no_anchors(void **state)
{
	(void)state;
	write_file("maker.pem", "not PEM\n");
	assert_false(read_policy(NULL, NULL, 0, NULL));
	assert_non_null(strstr(err, "maker.pem: certificate 1"));
	assert_int_equal(remove(pki_file("maker.pem")), 0);
	assert_false(read_policy(NULL, NULL, 0, NULL));
	assert_non_null(strstr(err, "maker.pem: No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clients, begin, end),
		cmocka_unit_test_setup_teardown(test_chain_without_end, begin, end),
		cmocka_unit_test_setup_teardown(test_cas, begin, end),
		cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test_setup_teardown(test_other_names, begin, end),
		cmocka_unit_test_setup_teardown(test_lists_not_plain, begin, end),
		cmocka_unit_test_setup_teardown(test_lists, begin, end),
		cmocka_unit_test_setup_teardown(test_rate, begin, end),
		cmocka_unit_test_setup_teardown(test_no_anchors, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
