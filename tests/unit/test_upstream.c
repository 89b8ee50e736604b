/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The authority that asks an EST server: what it believes, whom it tells what and when, and how
 * much it keeps.  Plays the EST server; seconds are milliseconds here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <openssl/pem.h>

#include "../../ctl/jpreg/https.h"
#include "../../ctl/jpreg/mime_parts.h"
#include "../../ctl/jpreg/upstream.h"
#include "certs.h"
#include "clock.h"
#include "pki.h"

#define CERTS "application/pkcs7-mime; smime-type=certs-only"

static struct event_base *base;
static struct authority *upstream;
static EVP_PKEY *root_key, *sub_key, *key, *other_key;
static X509 *root, *sub, *registrar, *idevid, *idevid2;
static X509_REQ *csr, *csr2, *csr3;
static unsigned int told_of_ca;
static char fault[400];

/* ---- the EST server ---- */

static struct {
	char path[32];
	https_told *told;
	void *arg;
} calls[600];
static unsigned int n_calls;

struct https *https_new(struct event_base *b, const struct https_config *config, char *err,
			size_t err_len)
{
	(void)b;
	(void)config;
	(void)err;
	(void)err_len;
	return (struct https *)calls;
}

void https_free(struct https *https)
{
	(void)https;
}

int https_ask(struct https *https, const char *path, const char *type, const char *body,
	      https_told *told, void *arg)
{
	(void)https;
	(void)type;
	assert_true(n_calls < 600);
	assert_true(!body == !strcmp(path, "cacerts") || !strcmp(path, "csrattrs"));
	snprintf(calls[n_calls].path, sizeof(calls[n_calls].path), "%s", path);
	calls[n_calls].told = told;
	calls[n_calls++].arg = arg;
	return 0;
}

int __real_event_add(struct event *event, const struct timeval *tv);
int __wrap_event_add(struct event *event, const struct timeval *tv);
int __wrap_event_add(struct event *event, const struct timeval *tv)
{
	struct timeval short_tv = { .tv_sec = tv->tv_sec / 1000,
				    .tv_usec = tv->tv_sec % 1000 * 1000 };

	return __real_event_add(event, &short_tv);
}

/* Answers call N, once. */
static void reply(unsigned int n, long status, const char *type, const char *body,
		  unsigned int retry_s)
{
	struct https_answer answer = { .status = status,
				       .type = type,
				       .body = body,
				       .len = body ? strlen(body) : 0,
				       .retry_s = retry_s,
				       .why = status ? NULL : "no route" };
	https_told *told = calls[n].told;

	assert_true(n < n_calls && told);
	calls[n].told = NULL;
	told(calls[n].arg, &answer);
}

/* A certs-only message in base64, of up to two. */
static char *certs_of(X509 *a, X509 *b)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	uint8_t *der;
	long len;
	char *text;

	sk_X509_push(certs, a);
	if (b)
		sk_X509_push(certs, b);
	len = certs_write(certs, &der);
	assert_true(len > 0);
	text = mime_base64_write(der, (size_t)len);
	sk_X509_free(certs);
	free(der);
	return text;
}

static void reply_certs(unsigned int n, X509 *a, X509 *b)
{
	char *text = certs_of(a, b);

	reply(n, 200, CERTS, text, 0);
	free(text);
}

static void run(unsigned int ms)
{
	uint64_t until = jpx_now_ms() + ms;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	} while (jpx_now_ms() < until);
	event_base_loop(base, EVLOOP_NONBLOCK); /* who slept for long had no turn */
}

/* ---- who asks ---- */

struct outcome {
	unsigned int times;
	enum authority_verdict verdict;
	unsigned int retry_s;
	int certs;
	bool has_key, has_cert_of_key;
	size_t attrs_len;
	char why[160];
};

static void on_told(void *arg, struct authority_answer *answer)
{
	struct outcome *o = arg;

	o->times++;
	o->verdict = answer->verdict;
	o->retry_s = answer->retry_s;
	o->certs = sk_X509_num(answer->certs);
	o->has_key = answer->key;
	o->has_cert_of_key =
		answer->key && answer->certs &&
		X509_check_private_key(sk_X509_value(answer->certs, 0), answer->key) == 1;
	o->attrs_len = answer->attrs_len;
	snprintf(o->why, sizeof(o->why), "%s", answer->why);
}

static void ask(struct outcome *o, enum authority_what what, X509 *client, X509_REQ *req)
{
	static uint8_t der[16384];
	struct authority_request request = { what, req, der, req ? pki_der(req, der) : 0, client };

	*o = (struct outcome){ 0 };
	upstream->ask(upstream, &request, on_told, o);
}

static void on_ca(void *arg, STACK_OF(X509) * certs)
{
	(void)arg;
	told_of_ca++;
	/* The issuing one first, whatever the order was. */
	assert_int_equal(X509_cmp(sk_X509_value(certs, 0), sub), 0);
}

/* A CA that allows one below it. */
static X509 *authority(const char *cn, EVP_PKEY *its_key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = pki_cert(NULL, NULL, its_key, cn, -1, 9);
	X509_EXTENSION *e =
		X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

	X509_EXTENSION_free(
		X509_delete_ext(cert, X509_get_ext_by_NID(cert, NID_basic_constraints, -1)));
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
	if (issuer)
		assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(issuer)), 1);
	assert_true(X509_sign(cert, issuer ? issuer_key : its_key, EVP_sha256()) > 0);
	return cert;
}

static void write_identity(X509 *cert, EVP_PKEY *its_key)
{
	mode_t old = umask(077);
	FILE *f = fopen(pki_file("identity.pem"), "w");

	umask(old);
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(PEM_write_PrivateKey(f, its_key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	f = fopen(pki_file("root.pem"), "w");
	assert_int_equal(PEM_write_X509(f, root), 1);
	assert_int_equal(fclose(f), 0);
}

static void start(void)
{
	struct upstream_config config = { .url = "https://x", .timeout_s = 120, .on_ca = on_ca };

	config.ca_file = pki_file("root.pem");
	config.identity = pki_file("identity.pem");
	config.dir = pki_file("state");
	*fault = '\0';
	upstream = upstream_new(base, &config, fault, sizeof(fault));
}

static int begin(void **state)
{
	if (pki_begin(state))
		return -1;
	root_key = issue_key();
	sub_key = issue_key();
	key = issue_key();
	other_key = issue_key();
	root = authority("root", root_key, NULL, NULL);
	sub = authority("sub", sub_key, root, root_key);
	registrar = pki_cert(sub, sub_key, key, "registrar", -1, 9);
	idevid = pki_cert(root, root_key, other_key, "4711", -1, 9);
	idevid2 = pki_cert(root, root_key, other_key, "4712", -1, 9);
	csr = pki_request(key, "4711", 0, NULL);
	csr2 = pki_request(key, "4711", NID_netscape_comment, "2");
	csr3 = pki_request(key, "4711", NID_netscape_comment, "3");
	write_identity(registrar, key);
	base = event_base_new();
	n_calls = told_of_ca = 0;
	start();
	if (!upstream)
		printf("# %s\n", fault);
	return upstream ? 0 : -1;
}

static void has_ca(void)
{
	run(20);
	assert_int_equal(n_calls, 1);
	reply_certs(0, root, sub);
	assert_int_equal(told_of_ca, 1);
}

static int end(void **state)
{
	if (upstream)
		upstream->free(upstream);
	upstream = NULL;
	event_base_free(base);
	X509_free(root);
	X509_free(sub);
	X509_free(registrar);
	X509_free(idevid);
	X509_free(idevid2);
	X509_REQ_free(csr);
	X509_REQ_free(csr2);
	X509_REQ_free(csr3);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(sub_key);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	return pki_end(state);
}

/* ---- the CA ---- */

static void test_ca(void **state)
{
	X509 *leaf = pki_cert(sub, sub_key, key, "4711", -1, 1);
	struct outcome o;

	(void)state;
	ask(&o, AUTHORITY_CACERTS, idevid, NULL);
	assert_int_equal(o.verdict, AUTHORITY_UNAVAILABLE);
	assert_int_equal(o.retry_s, 10);
	run(5);
	assert_int_equal(n_calls, 1);
	reply(0, 200, CERTS, "AAAA", 0);
	run(20);
	assert_int_equal(n_calls, 2);
	reply(1, 0, "", NULL, 0);
	run(20);
	assert_int_equal(n_calls, 3);
	reply_certs(2, root, leaf); /* who is no CA */
	assert_int_equal(told_of_ca, 0);
	ask(&o, AUTHORITY_ENROLL, idevid, csr);
	assert_int_equal(o.verdict, AUTHORITY_UNAVAILABLE);
	run(20);
	assert_int_equal(n_calls, 4);
	reply_certs(3, root, sub);
	assert_int_equal(told_of_ca, 1);
	ask(&o, AUTHORITY_CACERTS, idevid, NULL);
	assert_int_equal(o.verdict, AUTHORITY_DONE);
	assert_int_equal(o.certs, 2);
	X509_free(leaf);
}

/* Whether one that calls itself by KEY's certificate starts. */
static bool starts(EVP_PKEY *its_key, int to)
{
	X509 *cert = pki_cert(sub, sub_key, its_key, "registrar", -9, to);

	upstream->free(upstream);
	write_identity(cert, its_key);
	start();
	X509_free(cert);
	return upstream;
}

static void test_identity(void **state)
{
	EVP_PKEY *p384 = EVP_EC_gen("P-384"), *p521 = EVP_EC_gen("P-521"), *rsa = EVP_RSA_gen(2048);

	(void)state;
	assert_true(starts(p384, 9));
	assert_true(starts(key, 9));
	assert_false(starts(p521, 9));
	assert_non_null(strstr(fault, "curve"));
	write_identity(registrar, key);
	start();
	assert_false(starts(rsa, 9));
	assert_non_null(strstr(fault, "ECDSA"));
	write_identity(registrar, key);
	start();
	assert_false(starts(key, -1));
	assert_non_null(strstr(fault, "expired"));
	write_identity(registrar, other_key);
	start();
	assert_null(upstream);
	assert_non_null(strstr(fault, "not its key's"));
	EVP_PKEY_free(p384);
	EVP_PKEY_free(p521);
	EVP_PKEY_free(rsa);
}

/* ---- certificates ---- */

/* What becomes of A and B as the answer to a request. */
static struct outcome enrolled(X509 *a, X509 *b)
{
	struct outcome o;
	unsigned int n = n_calls;

	ask(&o, AUTHORITY_ENROLL, idevid, csr);
	assert_int_equal(o.times, 0);
	assert_int_equal(n_calls, n + 1);
	reply_certs(n, a, b);
	assert_int_equal(o.times, 1);
	X509_free(a);
	return o;
}

static void test_enroll(void **state)
{
	struct outcome o;
	unsigned int n;

	(void)state;
	has_ca();
	o = enrolled(pki_cert(sub, sub_key, other_key, "4711", -1, 1), NULL);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_non_null(strstr(o.why, "pledge's key"));
	o = enrolled(pki_cert(sub, root_key, key, "4711", -1, 1), sub);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_non_null(strstr(o.why, "not of its CA"));
	o = enrolled(pki_cert(sub, sub_key, key, "4711", -9, -1), NULL);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_non_null(strstr(o.why, "expired"));
	/* Its clock is before ours: who reads the log has to know. */
	o = enrolled(pki_cert(sub, sub_key, key, "4711", 1, 2), NULL);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_non_null(strstr(o.why, "not yet valid"));
	o = enrolled(pki_cert(NULL, NULL, key, "4711", -1, 1), NULL);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	o = enrolled(pki_cert(sub, sub_key, key, "4711", -1, 1), sub);
	assert_int_equal(o.verdict, AUTHORITY_DONE);
	assert_int_equal(o.certs, 1);
	/* It is on record, and given again. */
	n = n_calls;
	ask(&o, AUTHORITY_ENROLL, idevid, csr);
	assert_int_equal(o.verdict, AUTHORITY_DONE);
	assert_int_equal(n_calls, n);
	/* ... to nobody else. */
	ask(&o, AUTHORITY_ENROLL, idevid2, csr);
	assert_int_equal(o.times, 0);
	assert_int_equal(n_calls, n + 1);
}

static void test_refusals(void **state)
{
	static const struct {
		long status;
		unsigned int retry_s;
		enum authority_verdict verdict;
		unsigned int told_s; /* 0: not looked at */
	} rows[] = {
		{ 0, 0, AUTHORITY_UNAVAILABLE, 60 },
		{ 200, 0, AUTHORITY_FAILED, 0 },
		{ 202, 0, AUTHORITY_LATER, 60 },
		{ 202, 1, AUTHORITY_LATER, 1 },
		{ 202, UINT32_MAX, AUTHORITY_LATER, 86400 },
		{ 204, 0, AUTHORITY_NONE, 0 },
		{ 302, 0, AUTHORITY_FAILED, 0 },
		{ 400, 0, AUTHORITY_BAD_REQUEST, 0 },
		{ 401, 0, AUTHORITY_UNAUTHORIZED, 0 },
		{ 403, 0, AUTHORITY_FORBIDDEN, 0 },
		{ 404, 0, AUTHORITY_NONE, 0 },
		{ 500, 9, AUTHORITY_FAILED, 0 },
		{ 503, 9, AUTHORITY_UNAVAILABLE, 9 },
		{ -1, 0, AUTHORITY_FAILED, 0 },
	};
	struct outcome o;

	(void)state;
	has_ca();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ask(&o, AUTHORITY_ENROLL, idevid, csr);
		reply(n_calls - 1, rows[i].status, "", NULL, rows[i].retry_s);
		assert_int_equal(o.times, 1);
		assert_int_equal(o.verdict, rows[i].verdict);
		assert_true(*o.why);
		if (rows[i].told_s)
			assert_int_equal(o.retry_s, rows[i].told_s);
	}
}

/* ---- keys ---- */

static char *key_of(EVP_PKEY *its)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(its);
	uint8_t *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	char *text = mime_base64_write(der, (size_t)len);

	PKCS8_PRIV_KEY_INFO_free(info);
	OPENSSL_free(der);
	return text;
}

static struct outcome keyed(const char *format, const char *type, const char *a, const char *b)
{
	static char body[16384];
	struct outcome o;

	snprintf(body, sizeof(body), format, a, b);
	ask(&o, AUTHORITY_SERVERKEYGEN, idevid, csr);
	reply(n_calls - 1, 200, type, body, 0);
	assert_int_equal(o.times, 1);
	return o;
}

static void test_keys(void **state)
{
	static const char two[] = "--b\r\nContent-Type: application/pkcs8\r\n\r\n%s\r\n--b\r\n"
				  "Content-Type: " CERTS "\r\n\r\n%s\r\n--b--\r\n",
			  one[] = "--b\r\nContent-Type: application/pkcs8\r\n\r\n%s\r\n--b--\r\n",
			  encrypted[] = "--b\r\nContent-Type: application/pkcs7-mime; "
					"smime-type=server-generated-key\r\n\r\n%s\r\n--b\r\n"
					"Content-Type: " CERTS "\r\n\r\n%s\r\n--b--\r\n";
	X509 *cert = pki_cert(sub, sub_key, other_key, "4711", -1, 1);
	char *certs = certs_of(cert, sub), *its = key_of(other_key), *wrong = key_of(key);
	const char *type = "multipart/mixed; boundary=b";
	struct outcome o;

	(void)state;
	has_ca();
	o = keyed(two, type, its, certs);
	assert_int_equal(o.verdict, AUTHORITY_DONE);
	assert_true(o.has_key && o.has_cert_of_key && o.certs == 1);
	o = keyed(two, type, wrong, certs);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_false(o.has_key);
	assert_int_equal(keyed(one, type, its, "").verdict, AUTHORITY_FAILED);
	assert_int_equal(keyed(two, "text/plain", its, certs).verdict, AUTHORITY_FAILED);
	assert_int_equal(keyed(two, "", its, certs).verdict, AUTHORITY_FAILED);
	assert_int_equal(keyed(two, type, "AAAA", certs).verdict, AUTHORITY_FAILED);
	assert_int_equal(keyed(two, type, its, "AAAA").verdict, AUTHORITY_FAILED);
	o = keyed(encrypted, type, "AAAA", certs);
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_non_null(strstr(o.why, "encrypted"));
	o = keyed(encrypted, type, certs, "AAAA");
	assert_int_equal(o.verdict, AUTHORITY_FAILED);
	assert_non_null(strstr(o.why, "encrypted"));
	o = keyed(two, type, its, "AAAA");
	assert_null(strstr(o.why, "encrypted"));
	/* The serial number of the first is on record: no second one. */
	o = keyed(two, type, its, certs);
	assert_int_equal(o.verdict, AUTHORITY_UNAVAILABLE);
	assert_false(o.has_key);
	free(certs);
	free(its);
	free(wrong);
	X509_free(cert);
}

/* ---- patience ---- */

static void test_late(void **state)
{
	X509 *cert = pki_cert(sub, sub_key, key, "4711", -1, 1);
	struct outcome o, again;

	(void)state;
	has_ca();
	ask(&o, AUTHORITY_ENROLL, idevid, csr);
	run(40);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.verdict, AUTHORITY_LATER);
	assert_int_equal(o.retry_s, 10);
	/* It comes again, and once more: who asked before is told to do that, too. */
	ask(&o, AUTHORITY_ENROLL, idevid, csr);
	assert_int_equal(o.times, 0);
	ask(&again, AUTHORITY_ENROLL, idevid, csr);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.verdict, AUTHORITY_LATER);
	reply_certs(1, cert, NULL);
	assert_int_equal(n_calls, 2);
	assert_int_equal(o.times, 1);
	assert_int_equal(again.times, 1);
	assert_int_equal(again.verdict, AUTHORITY_DONE);
	/* An answer that nobody waits for, and then somebody asks. */
	ask(&o, AUTHORITY_ENROLL, idevid, csr2);
	run(40);
	assert_int_equal(o.verdict, AUTHORITY_LATER);
	reply(2, 403, "", NULL, 0);
	assert_int_equal(o.times, 1);
	ask(&o, AUTHORITY_ENROLL, idevid, csr2);
	assert_int_equal(o.verdict, AUTHORITY_FORBIDDEN);
	assert_int_equal(n_calls, 3);
	/* ... but after ten minutes. */
	ask(&o, AUTHORITY_ENROLL, idevid, csr2);
	run(40);
	reply(3, 403, "", NULL, 0);
	run(650);
	ask(&o, AUTHORITY_ENROLL, idevid, csr2);
	assert_int_equal(o.times, 0);
	assert_int_equal(n_calls, 5);
	X509_free(cert);
}

/* What takes no CSR is kept as well. */
static void test_late_attributes(void **state)
{
	struct outcome o;

	(void)state;
	has_ca();
	ask(&o, AUTHORITY_CSRATTRS, idevid, NULL);
	run(40);
	assert_int_equal(o.verdict, AUTHORITY_LATER);
	reply(1, 200, "application/csrattrs", "MAkGBysGAQEBARY=", 0);
	ask(&o, AUTHORITY_CSRATTRS, idevid, NULL);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.verdict, AUTHORITY_DONE);
	assert_int_equal(o.attrs_len, 11);
	assert_int_equal(n_calls, 2);
	/* ... for who asked. */
	ask(&o, AUTHORITY_CSRATTRS, idevid, NULL);
	run(40);
	reply(2, 204, "", NULL, 0);
	ask(&o, AUTHORITY_CSRATTRS, idevid2, NULL);
	assert_int_equal(o.times, 0);
	assert_int_equal(n_calls, 4);
}

static void test_bounds(void **state)
{
	struct outcome o[3], x;
	X509 *clients[300];

	(void)state;
	has_ca();
	ask(&o[0], AUTHORITY_ENROLL, idevid, csr);
	ask(&o[1], AUTHORITY_ENROLL, idevid, csr2);
	ask(&o[2], AUTHORITY_ENROLL, idevid, csr3);
	assert_int_equal(o[2].verdict, AUTHORITY_UNAVAILABLE);
	assert_int_equal(n_calls, 3);
	for (unsigned int i = 0; i < 300; i++)
		clients[i] = X509_dup(idevid2);
	for (unsigned int i = 0; i < 300; i++) {
		assert_true(ASN1_INTEGER_set(X509_get_serialNumber(clients[i]), (long)i) == 1);
		assert_true(X509_sign(clients[i], root_key, EVP_sha256()) > 0);
		ask(&x, AUTHORITY_ENROLL, clients[i], csr);
		ask(&x, AUTHORITY_ENROLL, clients[i], csr2);
	}
	assert_int_equal(x.verdict, AUTHORITY_UNAVAILABLE);
	assert_non_null(strstr(x.why, "512"));
	assert_int_equal(n_calls, 1 + 512);
	/* Places become free. */
	reply(1, 403, "", NULL, 0);
	assert_int_equal(o[0].verdict, AUTHORITY_FORBIDDEN);
	ask(&o[2], AUTHORITY_ENROLL, idevid, csr3);
	assert_int_equal(n_calls, 1 + 513);
	for (unsigned int i = 0; i < 300; i++)
		X509_free(clients[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ca, begin, end),
		cmocka_unit_test_setup_teardown(test_identity, begin, end),
		cmocka_unit_test_setup_teardown(test_enroll, begin, end),
		cmocka_unit_test_setup_teardown(test_refusals, begin, end),
		cmocka_unit_test_setup_teardown(test_keys, begin, end),
		cmocka_unit_test_setup_teardown(test_late, begin, end),
		cmocka_unit_test_setup_teardown(test_late_attributes, begin, end),
		cmocka_unit_test_setup_teardown(test_bounds, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
