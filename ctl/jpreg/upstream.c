/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See upstream.h. */
#include "upstream.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>

#include "certs.h"
#include "csr.h"
#include "https.h"
#include "issuance.h"
#include "log.h"
#include "mime_parts.h"
#include "pemfile.h"

#define CHAIN_MAX    8
#define ANCHORS_MAX  1024 /* a whole system's will do */
#define JOBS_MAX     512
#define OF_ONE_MAX   2	 /* requests that one pledge may have with the EST server at a time */
#define PATIENCE_S   20	 /* of a pledge that waits for an answer; it is told to ask again then */
#define AGAIN_S	     10	 /* after which it does */
#define HELD_S	     600 /* that an answer is kept for it */
#define RETRY_S	     60	 /* where the EST server names no time */
#define RETRY_MAX_S  86400
#define ENDS_SOON_S  (30 * 86400) /* our own certificate: it is time for another */
#define CA_FIRST_S   10		  /* between attempts to get the CA's certificates */
#define CA_REFRESH_S 3600	  /* ... once we have some */

/* What one pledge asked for, until it has been told. */
struct job {
	LIST_ENTRY(job) list;
	struct upstream *upstream;
	enum authority_what what;
	struct issuance issuance; /* of the record */
	uint8_t der[32]; /* SHA-256 of the CSR, also where ISSUANCE has none; zeros: none */
	X509 *client;
	X509_REQ *csr;
	authority_told *told; /* NULL: nobody waits */
	void *arg;
	struct event
		*timer; /* the pledge's patience; once there is an answer, how long it is kept */
	bool answered;
	struct authority_answer answer;
};

struct upstream {
	struct authority authority; /* first: it is handed out */
	struct event_base *base;
	struct https *https;
	struct record *record;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
	STACK_OF(X509) * cas; /* NULL until we know */
	struct event *refresh;
	bool complained; /* that the CA's certificates cannot be had */
	void (*on_ca)(void *arg, STACK_OF(X509) * certs);
	void *arg;
	LIST_HEAD(, job) jobs;
	unsigned int n_jobs;
};

/* ---- what the EST server says ---- */

static bool is_type(const char *type, const char *wanted)
{
	size_t len = strlen(wanted);

	return !strncasecmp(type, wanted, len) && (!type[len] || strchr("; \t", type[len]));
}

/* What an answer that has nothing for us means: RFC 9148 4.5 and RFC 7030 4.2.3. */
static void refuse(const struct https_answer *http, struct authority_answer *answer)
{
	unsigned int retry_s = http->retry_s ? http->retry_s : RETRY_S;

	answer->retry_s = retry_s < RETRY_MAX_S ? retry_s : RETRY_MAX_S;
	switch (http->status) {
	case 0:
		answer->verdict = AUTHORITY_UNAVAILABLE;
		snprintf(answer->why, sizeof(answer->why), "the EST server does not answer: %.100s",
			 http->why);
		return;
	case 202:
		answer->verdict = AUTHORITY_LATER;
		snprintf(answer->why, sizeof(answer->why),
			 "the EST server wants to be asked again in %u s", answer->retry_s);
		return;
	case 400:
		answer->verdict = AUTHORITY_BAD_REQUEST;
		break;
	case 401:
		answer->verdict = AUTHORITY_UNAUTHORIZED;
		break;
	case 403:
	case 423: /* E06 5.4 */
		answer->verdict = AUTHORITY_FORBIDDEN;
		break;
	case 204:
	case 404:
		answer->verdict = AUTHORITY_NONE;
		break;
	case 429:
	case 503:
		answer->verdict = AUTHORITY_UNAVAILABLE;
		break;
	default:
		answer->verdict = AUTHORITY_FAILED;
	}
	snprintf(answer->why, sizeof(answer->why), "the EST server answers %ld", http->status);
}

/* TEXT is no answer that can be read. */
static void is_nonsense(struct authority_answer *answer, const char *text)
{
	answer->verdict = AUTHORITY_FAILED;
	snprintf(answer->why, sizeof(answer->why), "the EST server answers nonsense: %s", text);
}

static STACK_OF(X509) * read_certs(const char *base64)
{
	uint8_t *der;
	long len = mime_base64_read(base64, &der);
	STACK_OF(X509) *certs = len > 0 ? certs_read(der, (size_t)len, CHAIN_MAX) : NULL;

	free(der);
	return certs;
}

static STACK_OF(X509) * read_certs_answer(const struct https_answer *http)
{
	return is_type(http->type, "application/pkcs7-mime") && http->body ? read_certs(http->body)
									   : NULL;
}

/* ---- the CA's certificates ---- */

static bool issued_other(STACK_OF(X509) * certs, X509 *cert)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (sk_X509_value(certs, i) != cert &&
		    X509_check_issued(cert, sk_X509_value(certs, i)) == X509_V_OK)
			return true;
	return false;
}

/* Issuers behind whom they issued; certificates for each other stay as they are. */
static void sort(STACK_OF(X509) * certs)
{
	STACK_OF(X509) *sorted = sk_X509_new_reserve(NULL, sk_X509_num(certs));
	int i;

	if (!sorted)
		return;
	while (sk_X509_num(certs)) {
		for (i = sk_X509_num(certs) - 1; i > 0; i--)
			if (!issued_other(certs, sk_X509_value(certs, i)))
				break;
		sk_X509_push(sorted, sk_X509_delete(certs, i));
	}
	while (sk_X509_num(sorted))
		sk_X509_unshift(certs, sk_X509_pop(sorted));
	sk_X509_free(sorted);
}

static bool are_cas(STACK_OF(X509) * certs)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (X509_check_ca(sk_X509_value(certs, i)) != 1)
			return false;
	return sk_X509_num(certs) > 0;
}

static bool same_certs(STACK_OF(X509) * a, STACK_OF(X509) * b)
{
	if (!a || !b || sk_X509_num(a) != sk_X509_num(b))
		return false;
	for (int i = 0; i < sk_X509_num(a); i++)
		if (X509_cmp(sk_X509_value(a, i), sk_X509_value(b, i)))
			return false;
	return true;
}

static void on_cacerts(void *arg, const struct https_answer *http)
{
	struct upstream *upstream = arg;
	STACK_OF(X509) *certs = http->status == 200 ? read_certs_answer(http) : NULL;
	struct authority_answer answer = { 0 };
	struct timeval tv = { .tv_sec = upstream->cas ? CA_REFRESH_S : CA_FIRST_S };
	char subject[160];

	if (certs && are_cas(certs)) {
		sort(certs);
		tv.tv_sec = CA_REFRESH_S;
		if (!same_certs(certs, upstream->cas)) {
			sk_X509_pop_free(upstream->cas, X509_free);
			upstream->cas = certs;
			certs = NULL;
			jpx_info("the EST server's CA is %s, %d certificates",
				 certs_subject(sk_X509_value(upstream->cas, 0), subject,
					       sizeof(subject)),
				 sk_X509_num(upstream->cas));
			upstream->on_ca(upstream->arg, upstream->cas);
		}
		upstream->complained = false;
	} else {
		if (http->status == 200)
			is_nonsense(&answer, "it has no certificates of a CA");
		else
			refuse(http, &answer);
		if (!upstream->complained)
			jpx_warning("%s; the CA's certificates are asked for again and again%s",
				    answer.why,
				    upstream->cas ? "" : ", nobody can enrol until they are there");
		upstream->complained = true;
	}
	sk_X509_pop_free(certs, X509_free);
	ERR_clear_error();
	event_add(upstream->refresh, &tv);
}

static void on_refresh(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *upstream = arg;
	struct timeval tv = { .tv_sec = CA_FIRST_S };

	(void)fd;
	(void)what;
	if (https_ask(upstream->https, "cacerts", NULL, NULL, on_cacerts, upstream))
		event_add(upstream->refresh, &tv);
}

/* Is CERT one that the CA made, or somebody whom it made a CA (BETWEEN)?  X509_V_OK or why not. */
static int verify(struct upstream *upstream, X509 *cert, STACK_OF(X509) * between)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ret = X509_V_ERR_OUT_OF_MEM;
	bool good = store && ctx;

	for (int i = 0; good && i < sk_X509_num(upstream->cas); i++)
		good = X509_STORE_add_cert(store, sk_X509_value(upstream->cas, i)) == 1;
	if (good && X509_STORE_CTX_init(ctx, store, cert, between)) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		ret = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ret;
}

/* ---- jobs ---- */

static void drop(struct job *job)
{
	LIST_REMOVE(job, list);
	job->upstream->n_jobs--;
	authority_answer_clear(&job->answer);
	X509_free(job->client);
	X509_REQ_free(job->csr);
	if (job->timer)
		event_free(job->timer);
	free(job);
}

static void tell(struct job *job, struct authority_answer *answer)
{
	authority_told *told = job->told;

	job->told = NULL;
	told(job->arg, answer);
}

/* The pledge has waited long enough, or its answer has been kept long enough. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct job *job = arg;
	struct authority_answer answer = {
		.verdict = AUTHORITY_LATER,
		.retry_s = AGAIN_S,
		.why = "the EST server takes its time",
	};

	(void)fd;
	(void)what;
	if (job->answered)
		drop(job);
	else if (job->told)
		tell(job, &answer);
}

/* JOB has its answer. */
static void settle(struct job *job)
{
	struct timeval tv = { .tv_sec = HELD_S };

	job->answered = true;
	if (job->told) {
		tell(job, &job->answer);
		drop(job);
	} else if (job->answer.verdict == AUTHORITY_LATER ||
		   job->answer.verdict == AUTHORITY_UNAVAILABLE) {
		drop(job); /* it asks again in any case */
	} else if (event_add(job->timer, &tv)) {
		drop(job);
	}
}

/* The certificate in CERTS that is for KEY, out of CERTS; NULL if there is none. */
static X509 *take_cert_for(STACK_OF(X509) * certs, EVP_PKEY *key)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(certs, i)), key) == 1)
			return sk_X509_delete(certs, i);
	return NULL;
}

/* The EST server gave CERTS for KEY: no more than that has been seen of them. */
static void take(struct job *job, STACK_OF(X509) * certs, EVP_PKEY *key)
{
	struct upstream *upstream = job->upstream;
	struct authority_answer *answer = &job->answer;
	X509 *cert = take_cert_for(certs, key);
	int fault = cert ? verify(upstream, cert, certs) : X509_V_OK;
	char subject[160], text[120];

	if (!cert) {
		is_nonsense(answer, "it has no certificate for the pledge's key");
	} else if (fault != X509_V_OK) {
		snprintf(text, sizeof(text), "the certificate is not of its CA: %s",
			 X509_verify_cert_error_string(fault));
		is_nonsense(answer, text);
		X509_free(cert);
	} else {
		certs_subject(cert, subject, sizeof(subject));
		issuance_note(upstream->record, &job->issuance, job->client, cert, answer);
		if (answer->verdict != AUTHORITY_DONE)
			jpx_error("the EST server's CA did issue one, for %s: it is lost", subject);
	}
	ERR_clear_error();
}

static void on_enrolled(void *arg, const struct https_answer *http)
{
	struct job *job = arg;
	STACK_OF(X509) *certs = NULL;

	if (http->status != 200) {
		refuse(http, &job->answer);
	} else {
		certs = read_certs_answer(http);
		if (certs)
			take(job, certs, X509_REQ_get0_pubkey(job->csr));
		else
			is_nonsense(&job->answer, "it has no certificate");
	}
	sk_X509_pop_free(certs, X509_free);
	settle(job);
}

/* A key and its certificate, out of a multipart answer (RFC 7030 4.4.2). */
struct key_parts {
	EVP_PKEY *key;
	STACK_OF(X509) * certs;
	bool encrypted;
};

static bool on_part(void *arg, const char *type, const char *text)
{
	struct key_parts *parts = arg;
	STACK_OF(X509) * certs;
	const uint8_t *at;
	uint8_t *der;
	long len;

	if (is_type(type, "application/pkcs8") && !parts->key) {
		len = mime_base64_read(text, &der);
		at = der;
		parts->key = len > 0 ? d2i_AutoPrivateKey(NULL, &at, len) : NULL;
		OPENSSL_cleanse(der, len > 0 ? (size_t)len : 0);
		free(der);
		return parts->key;
	}
	if (is_type(type, "application/pkcs7-mime")) {
		certs = read_certs(text);
		if (!certs)
			parts->encrypted = true;
		else if (!parts->certs)
			parts->certs = certs;
		else
			sk_X509_pop_free(certs, X509_free);
	}
	return true;
}

static void on_key(void *arg, const struct https_answer *http)
{
	struct job *job = arg;
	struct key_parts parts = { 0 };

	if (http->status != 200) {
		refuse(http, &job->answer);
	} else if (!http->body ||
		   !mime_parts_each(http->type, http->body, http->len, on_part, &parts) ||
		   !parts.key || !parts.certs) {
		is_nonsense(&job->answer, parts.encrypted && !parts.key
						  ? "the key is encrypted"
						  : "it has not a key and a certificate");
	} else {
		take(job, parts.certs, parts.key);
		if (job->answer.verdict == AUTHORITY_DONE) {
			job->answer.key = parts.key;
			parts.key = NULL;
		}
	}
	EVP_PKEY_free(parts.key);
	sk_X509_pop_free(parts.certs, X509_free);
	ERR_clear_error();
	settle(job);
}

static void on_attrs(void *arg, const struct https_answer *http)
{
	struct job *job = arg;
	ASN1_SEQUENCE_ANY *attrs = NULL;
	const uint8_t *at;
	uint8_t *der = NULL;
	long len;

	if (http->status != 200) {
		refuse(http, &job->answer);
	} else {
		len = is_type(http->type, "application/csrattrs") && http->body
			      ? mime_base64_read(http->body, &der)
			      : -1;
		at = der;
		attrs = len > 0 ? d2i_ASN1_SEQUENCE_ANY(NULL, &at, len) : NULL;
		if (attrs && at == der + len) {
			job->answer.verdict = AUTHORITY_DONE;
			job->answer.attrs = der;
			job->answer.attrs_len = (size_t)len;
			der = NULL;
		} else {
			is_nonsense(&job->answer, "it has no attributes");
		}
	}
	sk_ASN1_TYPE_pop_free(attrs, ASN1_TYPE_free);
	free(der);
	ERR_clear_error();
	settle(job);
}

/* ---- asking ---- */

static const struct {
	const char *path;
	https_told *told;
} operations[] = {
	[AUTHORITY_ENROLL] = { "simpleenroll", on_enrolled },
	[AUTHORITY_REENROLL] = { "simplereenroll", on_enrolled },
	[AUTHORITY_SERVERKEYGEN] = { "serverkeygen", on_key },
	[AUTHORITY_CSRATTRS] = { "csrattrs", on_attrs },
};

static struct job *find(struct upstream *upstream, const struct job *like)
{
	struct job *job;

	LIST_FOREACH(job, &upstream->jobs, list)
		if (job->what == like->what &&
		    !memcmp(job->issuance.client, like->issuance.client,
			    sizeof(job->issuance.client)) &&
		    !memcmp(job->der, like->der, sizeof(job->der)))
			return job;
	return NULL;
}

/* How many requests of the same pledge the EST server has not answered. */
static unsigned int running(struct upstream *upstream, const struct issuance *issuance)
{
	unsigned int n = 0;
	struct job *job;

	LIST_FOREACH(job, &upstream->jobs, list)
		if (!job->answered &&
		    !memcmp(job->issuance.client, issuance->client, sizeof(job->issuance.client)))
			n++;
	return n;
}

/* A job for REQUEST, in the list; NULL: no memory. */
static struct job *add(struct upstream *upstream, const struct authority_request *request,
		       const struct job *like)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return NULL;
	*job = *like;
	LIST_INSERT_HEAD(&upstream->jobs, job, list);
	upstream->n_jobs++;
	job->timer = evtimer_new(upstream->base, on_timer, job);
	X509_up_ref(request->client);
	job->client = request->client;
	job->csr = request->csr ? X509_REQ_dup(request->csr) : NULL;
	if (job->timer && (job->csr || !request->csr))
		return job;
	drop(job);
	return NULL;
}

/* Hands JOB over to the EST server.  -1: no memory. */
static int hand_over(struct job *job, const struct authority_request *request)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };
	char *body = request->csr ? mime_base64_write(request->der, request->der_len) : NULL;
	int ret = -1;

	if ((body || !request->csr) && !event_add(job->timer, &tv))
		ret = https_ask(job->upstream->https, operations[job->what].path,
				"application/pkcs10", body, operations[job->what].told, job);
	free(body);
	return ret;
}

/* The pledge of LIKE asks for what JOB is about once more: as begin(). */
static bool resume(struct job *job, const struct job *like, struct authority_answer *answer)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };

	if (job->answered) {
		*answer = job->answer;
		memset(&job->answer, 0, sizeof(job->answer));
		drop(job);
		return false;
	}
	/* Whoever asked before is told to ask again, and will find us here. */
	if (job->told)
		on_timer(-1, 0, job);
	job->told = like->told;
	job->arg = like->arg;
	event_add(job->timer, &tv);
	return true;
}

/* Fills ANSWER, or sees to it that the answer comes later: then true. */
static bool begin(struct upstream *upstream, const struct authority_request *request,
		  struct job *like, struct authority_answer *answer)
{
	X509 *before = NULL;
	struct job *job;

	answer->retry_s = RETRY_S;
	if (!issuance_of(request, &like->issuance) ||
	    (request->csr &&
	     !EVP_Digest(request->der, request->der_len, like->der, NULL, EVP_sha256(), NULL))) {
		answer->verdict = AUTHORITY_FAILED;
		snprintf(answer->why, sizeof(answer->why), "no memory");
		return false;
	}
	job = find(upstream, like);
	if (job)
		return resume(job, like, answer);
	if (request->what == AUTHORITY_ENROLL || request->what == AUTHORITY_REENROLL)
		before = issuance_before(upstream->record, &like->issuance,
					 X509_REQ_get0_pubkey(request->csr));
	if (before && verify(upstream, before, NULL) == X509_V_OK) {
		issuance_answer(answer, before);
		return false;
	}
	X509_free(before);
	answer->verdict = AUTHORITY_UNAVAILABLE;
	if (upstream->n_jobs >= JOBS_MAX) {
		snprintf(answer->why, sizeof(answer->why),
			 "%d requests wait for the EST server already", JOBS_MAX);
	} else if (running(upstream, &like->issuance) >= OF_ONE_MAX) {
		snprintf(answer->why, sizeof(answer->why),
			 "%d other requests of this pledge wait for the EST server", OF_ONE_MAX);
	} else {
		job = add(upstream, request, like);
		if (job && !hand_over(job, request))
			return true;
		if (job)
			drop(job);
		snprintf(answer->why, sizeof(answer->why), "no memory");
	}
	return false;
}

static void ask(struct authority *self, const struct authority_request *request,
		authority_told *told, void *arg)
{
	struct upstream *upstream = (struct upstream *)self;
	struct authority_answer answer = { 0 };
	struct job like = { .upstream = upstream, .what = request->what, .told = told, .arg = arg };

	if (!upstream->cas) {
		answer.verdict = AUTHORITY_UNAVAILABLE;
		answer.retry_s = CA_FIRST_S;
		snprintf(answer.why, sizeof(answer.why),
			 "the EST server has not told us of its CA yet");
	} else if (request->what == AUTHORITY_CACERTS) {
		answer.verdict = AUTHORITY_DONE;
		answer.certs = X509_chain_up_ref(upstream->cas);
		if (!answer.certs) {
			answer.verdict = AUTHORITY_FAILED;
			snprintf(answer.why, sizeof(answer.why), "no memory");
		}
	} else if (begin(upstream, request, &like, &answer)) {
		return;
	}
	ERR_clear_error();
	told(arg, &answer);
	authority_answer_clear(&answer);
}

/* ---- beginning and end ---- */

static void upstream_free(struct authority *self)
{
	struct upstream *upstream = (struct upstream *)self;

	if (!upstream)
		return;
	https_free(upstream->https);
	while (!LIST_EMPTY(&upstream->jobs))
		drop(LIST_FIRST(&upstream->jobs));
	if (upstream->refresh)
		event_free(upstream->refresh);
	EVP_PKEY_free(upstream->key);
	sk_X509_pop_free(upstream->chain, X509_free);
	sk_X509_pop_free(upstream->cas, X509_free);
	record_close(upstream->record);
	free(upstream);
}

/* RFC 9148 5: it is by this that an EST server knows a Registrar. */
static bool is_registrar(X509 *cert)
{
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	bool is = false;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++)
		is |= OBJ_obj2nid(sk_ASN1_OBJECT_value(usage, i)) == NID_cmcRA;
	EXTENDED_KEY_USAGE_free(usage);
	return is;
}

/* RFC 9148 3: P-256 is what all pledges know.  A curve that nobody does would show as handshakes
 * that fail. */
static bool key_will_do(EVP_PKEY *key, const char *file, char *err, size_t err_len)
{
	char group[32] = "", why[160];
	size_t len;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) {
		snprintf(err, err_len,
			 "%s: the key is not ECDSA's: pledges know no other (RFC 9148 3)", file);
		return false;
	}
	if (!csr_key_will_do(key, why, sizeof(why))) {
		snprintf(err, err_len, "%s: for pledges, %s", file, why);
		return false;
	}
	if (!EVP_PKEY_get_group_name(key, group, sizeof(group), &len) ||
	    strcmp(group, SN_X9_62_prime256v1) != 0)
		jpx_warning("%s: the key is on %s: pledges need not know more than P-256 (RFC 9148 "
			    "3), and those cannot enrol",
			    file, group);
	return true;
}

static int read_identity(struct upstream *upstream, const char *file, char *err, size_t err_len)
{
	time_t soon = time(NULL) + ENDS_SOON_S;
	X509 *cert;

	upstream->key = pemfile_read_key(file, err, err_len);
	upstream->chain = upstream->key ? pemfile_read_certs(file, CHAIN_MAX, err, err_len) : NULL;
	if (!upstream->chain)
		return -1;
	cert = sk_X509_value(upstream->chain, 0);
	if (X509_check_private_key(cert, upstream->key) != 1) {
		snprintf(err, err_len,
			 "%s: its first certificate is not its key's: our own certificate comes "
			 "first, then what is between it and its CA",
			 file);
	} else if (!key_will_do(upstream->key, file, err, err_len)) {
		/* ERR says it */
	} else if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) {
		snprintf(err, err_len, "%s: the certificate has expired", file);
	} else {
		if (X509_cmp_time(X509_get0_notAfter(cert), &soon) < 0)
			jpx_warning("%s: the certificate ends in less than 30 days; with a new "
				    "one, start anew",
				    file);
		if (!is_registrar(cert))
			jpx_warning("%s: the certificate has no extendedKeyUsage id-kp-cmcRA: the "
				    "EST server may not take us for a Registrar",
				    file);
		return 0;
	}
	ERR_clear_error();
	return -1;
}

struct authority *upstream_new(struct event_base *base, const struct upstream_config *config,
			       char *err, size_t err_len)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	const struct https_config https = { config->url, config->ca_file, config->identity,
					    config->timeout_s };
	STACK_OF(X509) * anchors;
	char file[300];

	snprintf(err, err_len, "no memory");
	if (!upstream)
		return NULL;
	upstream->authority = (struct authority){ ask, upstream_free };
	upstream->base = base;
	upstream->on_ca = config->on_ca;
	upstream->arg = config->arg;
	LIST_INIT(&upstream->jobs);
	/* libcurl would say of a bad one only that the handshake failed. */
	anchors = pemfile_read_certs(config->ca_file, ANCHORS_MAX, err, err_len);
	if (!anchors || read_identity(upstream, config->identity, err, err_len))
		goto fail;
	if (mkdir(config->dir, 0700) && errno != EEXIST) {
		snprintf(err, err_len, "%s: cannot be made: %s", config->dir, strerror(errno));
		goto fail;
	}
	if (snprintf(file, sizeof(file), "%s/issued.db", config->dir) >= (int)sizeof(file)) {
		snprintf(err, err_len, "%.60s...: a name too long", config->dir);
		goto fail;
	}
	upstream->record = record_open(file, true, err, err_len);
	if (!upstream->record)
		goto fail;
	upstream->https = https_new(base, &https, err, err_len);
	if (!upstream->https)
		goto fail;
	upstream->refresh = evtimer_new(base, on_refresh, upstream);
	if (!upstream->refresh || event_add(upstream->refresh, &(struct timeval){ 0 })) {
		snprintf(err, err_len, "no memory");
		goto fail;
	}
	sk_X509_pop_free(anchors, X509_free);
	return &upstream->authority;

fail:
	sk_X509_pop_free(anchors, X509_free);
	upstream_free(&upstream->authority);
	return NULL;
}

int upstream_registrar(struct authority *self, EVP_PKEY **key, STACK_OF(X509) * *chain, char *err,
		       size_t err_len)
{
	struct upstream *upstream = (struct upstream *)self;

	*chain = X509_chain_up_ref(upstream->chain);
	if (!*chain) {
		snprintf(err, err_len, "no memory");
		return -1;
	}
	EVP_PKEY_up_ref(upstream->key);
	*key = upstream->key;
	return 0;
}

struct record *upstream_record(struct authority *self)
{
	return ((struct upstream *)self)->record;
}
