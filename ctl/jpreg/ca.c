/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See ca.h. */
#include "ca.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "issuance.h"
#include "issue.h"
#include "log.h"
#include "pemfile.h"

#define DAY	       86400
#define CA_DAYS	       (20 * 365)
#define REGISTRAR_DAYS 365
#define REGISTRAR_LEFT 30   /* days, before it is made anew */
#define BACKDATED_S    3600 /* a pledge's clock may be behind ours */
#define NAMES_MAX      8

struct ca {
	struct authority authority; /* first: it is handed out */
	char dir[256];
	unsigned int valid_days;
	EVP_PKEY *key;
	X509 *cert;
	struct record *record;
};

static void path_of(const struct ca *ca, const char *name, char *path, size_t len)
{
	snprintf(path, len, "%s/%s", ca->dir, name);
}

/* ---- a pledge's certificate ---- */

/* Is it printable ASCII, no blanks?  A zero in it would end it early for whoever reads it in C. */
static bool is_word(const ASN1_STRING *string)
{
	const unsigned char *at = ASN1_STRING_get0_data(string);
	int len = ASN1_STRING_length(string);

	for (int i = 0; i < len; i++)
		if (at[i] <= ' ' || at[i] > '~')
			return false;
	return len > 0;
}

/* Is NAME of a kind that we certify for whoever asks?  None of them opens a door by itself: who
 * relies on the certificate knows that devices name themselves. */
static bool name_will_do(const GENERAL_NAME *name)
{
	static const char hardware_module[] = "1.3.6.1.5.5.7.8.4"; /* RFC 4108 5 */
	char oid[40];
	int len;

	switch (name->type) {
	case GEN_DNS:
	case GEN_URI:
		return is_word(name->d.ia5);
	case GEN_IPADD:
		len = ASN1_STRING_length(name->d.iPAddress);
		return len == 4 || len == 16;
	case GEN_OTHERNAME:
		return OBJ_obj2txt(oid, sizeof(oid), name->d.otherName->type_id, 1) > 0 &&
		       !strcmp(oid, hardware_module);
	default:
		return false;
	}
}

/* What CSR asks for beyond key and subject: *NAMES, to be freed, or NULL.  False with a sentence in
 * WHY: not to be had.  Other extensions are ours to decide and are passed over. */
static bool read_extensions(X509_REQ *csr, GENERAL_NAMES **names, char *why, size_t why_len)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	BASIC_CONSTRAINTS *basic = NULL;
	int critical;

	*names = NULL;
	*why = '\0';
	if (extensions) {
		basic = X509V3_get_d2i(extensions, NID_basic_constraints, &critical, NULL);
		if (basic ? basic->ca : critical != -1)
			snprintf(why, why_len, "the CSR asks for the certificate of a CA");
		*names = X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL);
		if (!*names && critical != -1)
			snprintf(why, why_len, "the CSR's subjectAltName cannot be read");
	}
	if (*names && !sk_GENERAL_NAME_num(*names))
		snprintf(why, why_len, "the CSR's subjectAltName has no name in it");
	if (sk_GENERAL_NAME_num(*names) > NAMES_MAX)
		snprintf(why, why_len, "the CSR asks for more than %d names", NAMES_MAX);
	for (int i = 0; !*why && i < sk_GENERAL_NAME_num(*names); i++)
		if (!name_will_do(sk_GENERAL_NAME_value(*names, i)))
			snprintf(why, why_len,
				 "the CSR asks for a name of a kind that is not given, or not one");
	BASIC_CONSTRAINTS_free(basic);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (!*why)
		return true;
	GENERAL_NAMES_free(*names);
	*names = NULL;
	return false;
}

/* No longer than the CA's own. */
static time_t end_of(const struct ca *ca, time_t now)
{
	time_t end = now + (time_t)ca->valid_days * DAY, ca_end;
	struct tm tm;

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(ca->cert), &tm))
		return end;
	ca_end = timegm(&tm);
	return end < ca_end ? end : ca_end;
}

/* What was issued for the same before, if this CA did: the record may be older than it is. */
static X509 *issued_before(struct ca *ca, const struct issuance *issuance, EVP_PKEY *key)
{
	X509 *cert = issuance_before(ca->record, issuance, key);

	if (cert && X509_verify(cert, X509_get0_pubkey(ca->cert)) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

/* A certificate for KEY. */
static void issue(struct ca *ca, const struct authority_request *request, EVP_PKEY *key,
		  const struct issuance *issuance, struct authority_answer *answer)
{
	time_t now = time(NULL);
	struct issue_request r = {
		.kind = ISSUE_DEVICE,
		.key = key,
		.written = request->what == AUTHORITY_SERVERKEYGEN
				   ? NULL
				   : X509_REQ_get_X509_PUBKEY(request->csr),
		.subject = X509_REQ_get_subject_name(request->csr),
		.issuer = ca->cert,
		.issuer_key = ca->key,
		.not_before = now - BACKDATED_S,
		.not_after = end_of(ca, now),
	};
	GENERAL_NAMES *names;
	X509 *cert;

	if (X509_cmp_current_time(X509_get0_notAfter(ca->cert)) <= 0) {
		answer->verdict = AUTHORITY_FAILED;
		snprintf(answer->why, sizeof(answer->why), "the CA's certificate has expired");
		jpx_log_limited(JPX_LOG_ERROR, "no certificate is issued: %s/ca.pem has expired",
				ca->dir);
		return;
	}
	if (!read_extensions(request->csr, &names, answer->why, sizeof(answer->why))) {
		answer->verdict = AUTHORITY_BAD_REQUEST;
		return;
	}
	/* cBRSKI 6.7.1: who asks for no name keeps the one of its IDevID. */
	if (!X509_NAME_entry_count(r.subject))
		r.subject = X509_get_subject_name(request->client);
	if (!X509_NAME_entry_count(r.subject) && !names) {
		answer->verdict = AUTHORITY_BAD_REQUEST;
		snprintf(answer->why, sizeof(answer->why),
			 "neither the CSR nor who asks has a name");
		return;
	}
	r.names = names;
	cert = issue_certificate(&r);
	GENERAL_NAMES_free(names);
	if (cert) {
		issuance_note(ca->record, issuance, request->client, cert, answer);
		return;
	}
	answer->verdict = AUTHORITY_FAILED;
	snprintf(answer->why, sizeof(answer->why), "OpenSSL cannot sign it");
}

/* A key is made anew each time: we keep none. */
static void issue_with_key(struct ca *ca, const struct authority_request *request,
			   const struct issuance *issuance, struct authority_answer *answer)
{
	EVP_PKEY *key = issue_key();

	if (!key) {
		answer->verdict = AUTHORITY_FAILED;
		snprintf(answer->why, sizeof(answer->why), "OpenSSL can make no key");
		return;
	}
	issue(ca, request, key, issuance, answer);
	if (answer->verdict == AUTHORITY_DONE)
		answer->key = key;
	else
		EVP_PKEY_free(key);
}

static void enroll(struct ca *ca, const struct authority_request *request,
		   struct authority_answer *answer)
{
	struct issuance issuance;
	EVP_PKEY *key;
	X509 *before;

	if (!issuance_of(request, &issuance)) {
		answer->verdict = AUTHORITY_FAILED;
		snprintf(answer->why, sizeof(answer->why), "no memory");
		return;
	}
	if (request->what == AUTHORITY_SERVERKEYGEN) {
		issue_with_key(ca, request, &issuance, answer);
		return;
	}
	key = X509_REQ_get0_pubkey(request->csr);
	before = issued_before(ca, &issuance, key);
	if (before)
		issuance_answer(answer, before);
	else
		issue(ca, request, key, &issuance, answer);
}

static void ask(struct authority *self, const struct authority_request *request,
		authority_told *told, void *arg)
{
	struct ca *ca = (struct ca *)self;
	struct authority_answer answer = { 0 };

	switch (request->what) {
	case AUTHORITY_CACERTS:
		X509_up_ref(ca->cert);
		issuance_answer(&answer, ca->cert);
		break;
	case AUTHORITY_CSRATTRS:
		answer.verdict = AUTHORITY_NONE;
		snprintf(answer.why, sizeof(answer.why), "there are no CSR attributes");
		break;
	default:
		enroll(ca, request, &answer);
	}
	ERR_clear_error();
	told(arg, &answer);
	authority_answer_clear(&answer);
}

/* ---- beginning and end ---- */

static void ca_free(struct authority *self)
{
	struct ca *ca = (struct ca *)self;

	if (!ca)
		return;
	EVP_PKEY_free(ca->key);
	X509_free(ca->cert);
	record_close(ca->record);
	free(ca);
}

static int make_ca(struct ca *ca, const char *name, char *err, size_t err_len)
{
	time_t now = time(NULL);
	struct issue_request r = {
		.kind = ISSUE_CA,
		.not_before = now - BACKDATED_S,
		.not_after = now + (time_t)CA_DAYS * DAY,
	};
	STACK_OF(X509) *certs = sk_X509_new_null();
	X509_NAME *subject = issue_name(name);
	char file[300];
	int ret = -1;

	ca->key = issue_key();
	r.key = ca->key;
	r.subject = subject;
	if (ca->key && subject)
		ca->cert = issue_certificate(&r);
	X509_NAME_free(subject);
	snprintf(err, err_len, "%s: OpenSSL can make no CA called \"%s\"", ca->dir, name);
	/* The key first: a certificate without its key would be worth nothing. */
	path_of(ca, "ca.key", file, sizeof(file));
	if (certs && ca->cert && sk_X509_push(certs, ca->cert) &&
	    !pemfile_write_key(file, ca->key, err, err_len)) {
		path_of(ca, "ca.pem", file, sizeof(file));
		ret = pemfile_write_certs(file, certs, err, err_len);
	}
	sk_X509_free(certs);
	if (!ret)
		jpx_info("%s: a new CA, \"%s\"", ca->dir, name);
	return ret;
}

static int read_ca(struct ca *ca, const char *key_file, const char *cert_file, char *err,
		   size_t err_len)
{
	STACK_OF(X509) * certs;

	ca->key = pemfile_read_key(key_file, err, err_len);
	certs = ca->key ? pemfile_read_certs(cert_file, 1, err, err_len) : NULL;
	if (!certs)
		return -1;
	ca->cert = sk_X509_pop(certs);
	sk_X509_free(certs);
	if (X509_check_private_key(ca->cert, ca->key) != 1)
		snprintf(err, err_len, "%s: not the certificate of the key in %s", cert_file,
			 key_file);
	else if (X509_check_ca(ca->cert) != 1)
		snprintf(err, err_len, "%s: not the certificate of a CA", cert_file);
	else if (X509_cmp_current_time(X509_get0_notAfter(ca->cert)) <= 0)
		snprintf(err, err_len, "%s: the CA's certificate has expired", cert_file);
	else
		return 0;
	ERR_clear_error();
	return -1;
}

static bool is_there(const char *file)
{
	struct stat st;

	return !lstat(file, &st) || errno != ENOENT;
}

static int open_ca(struct ca *ca, const char *name, char *err, size_t err_len)
{
	char key[300], cert[300];

	path_of(ca, "ca.key", key, sizeof(key));
	path_of(ca, "ca.pem", cert, sizeof(cert));
	if (!is_there(key) && !is_there(cert))
		return make_ca(ca, name, err, err_len);
	if (is_there(key) && is_there(cert))
		return read_ca(ca, key, cert, err, err_len);
	snprintf(err, err_len,
		 "%s is there and %s is not: restore it, or move the other one away for a new CA",
		 is_there(key) ? key : cert, is_there(key) ? cert : key);
	return -1;
}

struct authority *ca_new(const struct ca_config *config, char *err, size_t err_len)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	char file[300];

	if (!ca) {
		snprintf(err, err_len, "no memory");
		return NULL;
	}
	ca->authority = (struct authority){ ask, ca_free };
	ca->valid_days = config->valid_days;
	if (snprintf(ca->dir, sizeof(ca->dir), "%s", config->dir) >= (int)sizeof(ca->dir)) {
		snprintf(err, err_len, "%.60s...: a name too long", config->dir);
		goto fail;
	}
	if (mkdir(ca->dir, 0700) && errno != EEXIST) {
		snprintf(err, err_len, "%s: cannot be made: %s", ca->dir, strerror(errno));
		goto fail;
	}
	if (open_ca(ca, config->name, err, err_len))
		goto fail;
	path_of(ca, "issued.db", file, sizeof(file));
	ca->record = record_open(file, true, err, err_len);
	if (!ca->record)
		goto fail;
	return &ca->authority;

fail:
	ca_free(&ca->authority);
	return NULL;
}

X509 *ca_certificate(struct authority *self)
{
	return ((struct ca *)self)->cert;
}

struct record *ca_record(struct authority *self)
{
	return ((struct ca *)self)->record;
}

/* ---- the Registrar's own ---- */

static int make_registrar(struct ca *ca, const char *key_file, const char *cert_file,
			  EVP_PKEY **key, X509 **cert, char *err, size_t err_len)
{
	time_t now = time(NULL), end = now + (time_t)REGISTRAR_DAYS * DAY;
	struct issue_request r = {
		.kind = ISSUE_REGISTRAR,
		.issuer = ca->cert,
		.issuer_key = ca->key,
		.not_before = now - BACKDATED_S,
	};
	STACK_OF(X509) *certs = sk_X509_new_null();
	X509_NAME *subject = issue_name("Registrar");
	int ret = -1;

	r.not_after = end < end_of(ca, end) ? end : end_of(ca, now);
	*key = r.key = issue_key();
	r.subject = subject;
	*cert = *key && subject ? issue_certificate(&r) : NULL;
	X509_NAME_free(subject);
	snprintf(err, err_len, "%s: OpenSSL can make no certificate", cert_file);
	if (certs && *cert && sk_X509_push(certs, *cert) &&
	    !pemfile_write_key(key_file, *key, err, err_len))
		ret = pemfile_write_certs(cert_file, certs, err, err_len);
	sk_X509_free(certs);
	return ret;
}

/* Is what lies there of this CA, for this key, and good for a while? */
static bool read_registrar(struct ca *ca, const char *key_file, const char *cert_file,
			   EVP_PKEY **key, X509 **cert)
{
	time_t soon = time(NULL) + (time_t)REGISTRAR_LEFT * DAY;
	STACK_OF(X509) * certs;
	char err[300];

	*key = pemfile_read_key(key_file, err, sizeof(err));
	certs = *key ? pemfile_read_certs(cert_file, 1, err, sizeof(err)) : NULL;
	*cert = certs ? sk_X509_pop(certs) : NULL;
	sk_X509_free(certs);
	if (*cert && X509_check_private_key(*cert, *key) == 1 &&
	    X509_verify(*cert, X509_get0_pubkey(ca->cert)) == 1 &&
	    X509_cmp_time(X509_get0_notAfter(*cert), &soon) > 0)
		return true;
	ERR_clear_error();
	return false;
}

int ca_registrar(struct authority *self, EVP_PKEY **key, STACK_OF(X509) * *chain, char *err,
		 size_t err_len)
{
	struct ca *ca = (struct ca *)self;
	char key_file[300], cert_file[300];
	X509 *cert = NULL;

	path_of(ca, "registrar.key", key_file, sizeof(key_file));
	path_of(ca, "registrar.pem", cert_file, sizeof(cert_file));
	*chain = sk_X509_new_null();
	if (!read_registrar(ca, key_file, cert_file, key, &cert)) {
		EVP_PKEY_free(*key);
		X509_free(cert);
		cert = NULL;
		if (make_registrar(ca, key_file, cert_file, key, &cert, err, err_len))
			goto fail;
	}
	X509_up_ref(ca->cert);
	if (*chain && sk_X509_push(*chain, cert) && sk_X509_push(*chain, ca->cert))
		return 0;
	snprintf(err, err_len, "no memory");
	X509_free(ca->cert);
	if (*chain && sk_X509_num(*chain))
		cert = NULL; /* the chain's by now */
fail:
	X509_free(cert);
	EVP_PKEY_free(*key);
	sk_X509_pop_free(*chain, X509_free);
	*key = NULL;
	*chain = NULL;
	return -1;
}
