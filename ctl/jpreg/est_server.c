/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See est_server.h.
 *
 * libcoap 4.3.1 puts a body together only if the client tells its size beforehand, and lets a
 * client make it as large as it likes; so blocks of requests are put together here, and those of
 * answers by libcoap.
 */
#include "est_server.h"

#include <coap3/coap.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "certs.h"
#include "clock.h"
#include "coaploop.h"
#include "csr.h"
#include "est.h"
#include "log.h"
#include "multipart.h"
#include "serverkey.h"

/* A block of 1024 octets, its options, DTLS, JPY and IPv6 fit into 1280 octets together. */
#define MTU 1100

#define IDLE_S 60 /* of a session of libcoap's, which ends after the pledge's */

#define LOST_MS 1000 /* after which libcoap has called us, where it does so at all */

#define FORMATS_MAX 3
#define BODY_MAX    (CSR_MAX + 3) /* it may be wrapped */

/* A function of EST. */
struct function {
	const char *name;
	enum authority_what what;
	coap_request_t method;
	int takes;		/* format of the request's body, or EST_FORMAT_NONE */
	int gives[FORMATS_MAX]; /* formats that it answers in, the default first; 0: no more */
	const char *ct;		/* as links tell them */
};

/* RFC 9148 4.1, table 1. */
static const struct function functions[] = {
	{ "crts",
	  AUTHORITY_CACERTS,
	  COAP_REQUEST_GET,
	  EST_FORMAT_NONE,
	  { EST_FORMAT_CERTS, EST_FORMAT_CERT, EST_FORMAT_MULTIPART },
	  EST_CT_CRTS },
	{ "sen",
	  AUTHORITY_ENROLL,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_CERTS, EST_FORMAT_CERT },
	  EST_CT_SEN },
	{ "sren",
	  AUTHORITY_REENROLL,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_CERTS, EST_FORMAT_CERT },
	  EST_CT_SEN },
	{ "att",
	  AUTHORITY_CSRATTRS,
	  COAP_REQUEST_GET,
	  EST_FORMAT_NONE,
	  { EST_FORMAT_ATTRS },
	  EST_CT_ATT },
	{ "skg",
	  AUTHORITY_SERVERKEYGEN,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_MULTIPART },
	  EST_CT_SKG },
	{ "skc",
	  AUTHORITY_SERVERKEYGEN,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_MULTIPART },
	  EST_CT_SKG },
	{ 0 },
};

/* ace-coap-est-06 6, table 2, and the formats of its example of discovery. */
static const struct function functions_06[] = {
	{ "crts",
	  AUTHORITY_CACERTS,
	  COAP_REQUEST_GET,
	  EST_FORMAT_NONE,
	  { EST_FORMAT_CERTS },
	  "281" },
	{ "sen",
	  AUTHORITY_ENROLL,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_CERTS },
	  "\"281 286\"" },
	{ "sren",
	  AUTHORITY_REENROLL,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_CERTS },
	  "\"281 286\"" },
	{ "att",
	  AUTHORITY_CSRATTRS,
	  COAP_REQUEST_GET,
	  EST_FORMAT_NONE,
	  { EST_FORMAT_ATTRS },
	  "285" },
	{ "skg",
	  AUTHORITY_SERVERKEYGEN,
	  COAP_REQUEST_POST,
	  EST_FORMAT_CSR,
	  { EST_FORMAT_MULTIPART },
	  "\"286 62\"" },
	{ 0 },
};

/* The body of a request that comes in blocks, one for each of libcoap's sessions. */
struct upload {
	LIST_ENTRY(upload) list;
	coap_session_t *session;
	const struct function *function;
	size_t len;
	uint8_t body[BODY_MAX];
};

/* A request that the authority was asked about.  Where it does not answer at once, the pledge gets
 * an empty ACK, and the answer in a message of its own later (RFC 9148 4.7, RFC 7252 5.2.2):
 * libcoap calls us with the same request once more; or answers it by itself, and we never hear of
 * it: a Hop-Limit that has become 0 by then, a block of an answer that is there by then. */
struct asking {
	LIST_ENTRY(asking) list;
	const struct function *function;
	int format;   /* to answer in */
	X509 *client; /* a reference */
	char who[200];
	bool enveloped; /* the key that is made is to be */
	struct est_server *server;
	const coap_async_t *later; /* once it has to wait; not ours, and may be gone once TOLD */
	bool told;
	uint64_t told_ms;
	bool abandoned; /* nobody waits for it but the authority */
	struct authority_answer answer;
};

struct est_server {
	enum est_profile profile;
	const struct function *functions;
	struct authority *authority;
	struct policy *policy;
	EVP_PKEY *key; /* the Registrar's */
	STACK_OF(X509) * chain;
	struct gate *gate;
	struct coaploop *loop;
	LIST_HEAD(, upload) uploads;
	LIST_HEAD(, asking) askings;
};

/* ---- bodies in blocks (RFC 7959) ------------------------------------------------------------- */

static struct upload *find_upload(struct est_server *server, const coap_session_t *session)
{
	struct upload *upload;

	LIST_FOREACH(upload, &server->uploads, list)
		if (upload->session == session)
			return upload;
	return NULL;
}

static void drop_upload(struct est_server *server, const coap_session_t *session)
{
	struct upload *upload = find_upload(server, session);

	if (!upload)
		return;
	LIST_REMOVE(upload, list);
	free(upload);
}

static struct upload *begin_upload(struct est_server *server, coap_session_t *session,
				   const struct function *function)
{
	struct upload *upload = find_upload(server, session);

	if (!upload) {
		upload = calloc(1, sizeof(*upload));
		if (!upload)
			return NULL;
		upload->session = session;
		LIST_INSERT_HEAD(&server->uploads, upload, list);
	}
	upload->function = function;
	upload->len = 0;
	return upload;
}

/* Adds the block in REQUEST to what came before it.  COAP_RESPONSE_CODE_CONTINUE: there is more to
 * come; COAP_EMPTY_CODE: *BODY is all of it; else what to refuse it with. */
static coap_pdu_code_t gather(struct est_server *server, coap_session_t *session,
			      const struct function *function, const coap_pdu_t *request,
			      const uint8_t **body, size_t *len)
{
	struct upload *upload;
	coap_block_b_t block;
	size_t offset, total;

	*body = NULL;
	*len = 0;
	coap_get_data_large(request, len, body, &offset, &total);
	if (!coap_get_block_b(session, request, COAP_OPTION_BLOCK1, &block)) {
		drop_upload(server, session);
		return *len <= BODY_MAX ? COAP_EMPTY_CODE : COAP_RESPONSE_CODE_REQUEST_TOO_LARGE;
	}
	upload = block.num ? find_upload(server, session) : begin_upload(server, session, function);
	if (!upload)
		return block.num ? COAP_RESPONSE_CODE_INCOMPLETE
				 : COAP_RESPONSE_CODE_INTERNAL_ERROR;
	if (offset + *len > BODY_MAX) {
		drop_upload(server, session);
		return COAP_RESPONSE_CODE_REQUEST_TOO_LARGE;
	}
	/* What came before is overwritten by the same, or the body ends up as no CSR. */
	if (upload->function != function || offset > upload->len)
		return COAP_RESPONSE_CODE_INCOMPLETE;
	if (*len)
		memcpy(upload->body + offset, *body, *len);
	upload->len = offset + *len;
	*body = upload->body;
	*len = upload->len;
	return block.m ? COAP_RESPONSE_CODE_CONTINUE : COAP_EMPTY_CODE;
}

/* The Block1 option of REQUEST in its answer; libcoap itself does it where there is more to come.
 */
static void echo_block(coap_session_t *session, const coap_pdu_t *request, coap_pdu_t *response)
{
	coap_block_b_t block;
	uint8_t option[4];

	if (coap_get_block_b(session, request, COAP_OPTION_BLOCK1, &block) && !block.m)
		coap_add_option(
			response, COAP_OPTION_BLOCK1,
			coap_encode_var_safe(option, sizeof(option), block.num << 4 | block.szx),
			option);
}

/* ---- answers
 * ------------------------------------------------------------------------------------- */

/* What libcoap sends in blocks. */
struct body {
	size_t len;
	uint8_t *data;
};

static void release(coap_session_t *session, void *data)
{
	struct body *body = data;

	(void)session;
	OPENSSL_cleanse(body->data, body->len); /* it may be a key */
	free(body->data);
	free(body);
}

/* One certificate in FORMAT. */
static long write_certs(STACK_OF(X509) * certs, int format, uint8_t **out)
{
	return format == EST_FORMAT_CERT ? certs_write_one(sk_X509_value(certs, 0), out)
					 : certs_write(certs, out);
}

/* The CA's certificates as parts (cBRSKI 6.7.5). */
static long write_chain(STACK_OF(X509) * certs, uint8_t **out)
{
	struct multipart_part parts[8];
	uint8_t *der[8] = { NULL };
	size_t n = 0;
	long len;

	for (; n < 8 && (int)n < sk_X509_num(certs); n++) {
		len = certs_write_one(sk_X509_value(certs, (int)n), &der[n]);
		if (len < 0)
			break;
		parts[n] = (struct multipart_part){ EST_FORMAT_CERT, der[n], (size_t)len };
	}
	*out = NULL;
	len = (int)n == sk_X509_num(certs) ? multipart_write(parts, n, out) : -1;
	for (size_t i = 0; i < 8; i++)
		free(der[i]);
	return len;
}

/* Key and certificate (RFC 9148 4.8); /skc has the latter alone, where /skg has a certs-only
 * message. */
static long write_key(struct est_server *server, const struct asking *asking, uint8_t **out)
{
	const struct authority_answer *answer = &asking->answer;
	bool alone = !strcmp(asking->function->name, "skc");
	int format = alone ? EST_FORMAT_CERT : EST_FORMAT_CERTS;
	uint8_t *key = NULL, *cert = NULL;
	long key_len = asking->enveloped ? serverkey_enveloped(answer->key, asking->client,
							       sk_X509_value(server->chain, 0),
							       server->key, &key)
					 : serverkey_plain(answer->key, &key);
	long cert_len = write_certs(answer->certs, format, &cert), len = -1;

	*out = NULL;
	if (key_len > 0 && cert_len > 0) {
		const struct multipart_part parts[] = {
			{ asking->enveloped ? EST_FORMAT_SERVERKEY : EST_FORMAT_KEY, key,
			  (size_t)key_len },
			{ (uint16_t)format, cert, (size_t)cert_len },
		};

		len = multipart_write(parts, 2, out);
	}
	if (key)
		OPENSSL_cleanse(key, key_len > 0 ? (size_t)key_len : 0);
	free(key);
	free(cert);
	return len;
}

static long write_answer(struct est_server *server, const struct asking *asking, uint8_t **out)
{
	const struct authority_answer *answer = &asking->answer;
	int format = asking->format;

	switch (asking->function->what) {
	case AUTHORITY_CSRATTRS:
		*out = malloc(answer->attrs_len ? answer->attrs_len : 1);
		if (!*out)
			return -1;
		memcpy(*out, answer->attrs, answer->attrs_len);
		return (long)answer->attrs_len;
	case AUTHORITY_SERVERKEYGEN:
		return write_key(server, asking, out);
	case AUTHORITY_CACERTS:
		return format == EST_FORMAT_MULTIPART ? write_chain(answer->certs, out)
						      : write_certs(answer->certs, format, out);
	default:
		return write_certs(answer->certs, format, out);
	}
}

static coap_pdu_code_t code_of(enum authority_verdict verdict)
{
	switch (verdict) {
	case AUTHORITY_BAD_REQUEST:
		return COAP_RESPONSE_CODE_BAD_REQUEST;
	case AUTHORITY_UNAUTHORIZED:
		return COAP_RESPONSE_CODE_UNAUTHORIZED;
	case AUTHORITY_FORBIDDEN:
		return COAP_RESPONSE_CODE_FORBIDDEN;
	case AUTHORITY_NONE:
		return COAP_RESPONSE_CODE_NOT_FOUND;
	case AUTHORITY_LATER:
	case AUTHORITY_UNAVAILABLE:
		return COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE;
	default:
		return COAP_RESPONSE_CODE_INTERNAL_ERROR;
	}
}

static void refuse(coap_pdu_t *response, coap_pdu_code_t code, const char *why)
{
	coap_pdu_set_code(response, code);
	if (why && *why)
		coap_add_data(response, strlen(why), (const uint8_t *)why);
}

static void refuse_for(const struct authority_answer *answer, coap_pdu_t *response)
{
	coap_pdu_code_t code = code_of(answer->verdict);
	uint8_t option[4];

	coap_pdu_set_code(response, code);
	if (code == COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE)
		coap_add_option(response, COAP_OPTION_MAXAGE,
				coap_encode_var_safe(option, sizeof(option), answer->retry_s),
				option);
	refuse(response, code, answer->why);
}

/* ---- requests
 * -------------------------------------------------------------------------------------- */

static int option_number(const coap_pdu_t *pdu, coap_option_num_t number)
{
	coap_opt_iterator_t iterator;
	coap_opt_t *option = coap_check_option(pdu, number, &iterator);

	return option ? (int)coap_decode_var_bytes(coap_opt_value(option), coap_opt_length(option))
		      : EST_FORMAT_NONE;
}

/* The format to answer in, or EST_FORMAT_NONE if there is none that the pledge accepts. */
static int choose_format(const struct function *function, const coap_pdu_t *request)
{
	int accept = option_number(request, COAP_OPTION_ACCEPT);

	if (accept == EST_FORMAT_NONE)
		return function->gives[0];
	for (unsigned int i = 0; i < FORMATS_MAX && function->gives[i]; i++)
		if (function->gives[i] == accept)
			return accept;
	return EST_FORMAT_NONE;
}

static void log_refusal(const struct function *function, const char *client, const char *who,
			const char *why)
{
	jpx_log_bounded(JPX_LOG_WARNING, "/%s refused to %s, %s: %s", function->name, client, who,
			why);
}

static void log_issue(const struct function *function, const struct authority_answer *answer,
		      const char *client, const char *who)
{
	char subject[160];

	if (function->what == AUTHORITY_CACERTS || function->what == AUTHORITY_CSRATTRS)
		return;
	certs_subject(sk_X509_value(answer->certs, 0), subject, sizeof(subject));
	jpx_info("/%s: a certificate for %s to %s, %s", function->name, subject, client, who);
}

static void forget(struct asking *asking)
{
	LIST_REMOVE(asking, list);
	X509_free(asking->client);
	authority_answer_clear(&asking->answer);
	free(asking);
}

static struct asking *find_asking(struct est_server *server, const coap_async_t *later)
{
	struct asking *asking;

	LIST_FOREACH(asking, &server->askings, list)
		if (asking->later == later)
			return asking;
	return NULL;
}

/* Forgets those that libcoap did not call us for. */
static void forget_lost(struct est_server *server)
{
	struct asking *asking, *next;
	uint64_t now = jpx_now_ms();

	for (asking = LIST_FIRST(&server->askings); asking; asking = next) {
		next = LIST_NEXT(asking, list);
		if (asking->later && asking->told && now - asking->told_ms > LOST_MS)
			forget(asking);
	}
}

/* The authority has answered. */
static void on_told(void *arg, struct authority_answer *answer)
{
	struct asking *asking = arg;

	asking->answer = *answer;
	memset(answer, 0, sizeof(*answer));
	asking->told = true;
	asking->told_ms = jpx_now_ms();
	if (asking->abandoned) {
		forget(asking);
	} else if (asking->later) {
		coap_async_trigger((coap_async_t *)asking->later);
		coaploop_wake(asking->server->loop);
	}
}

/* Reads the CSR that ASKING came with; NULL: it is none, or of another session than FROM's. */
static X509_REQ *read_csr(struct est_server *server, struct asking *asking,
			  const struct sockaddr_in *from, const uint8_t *body, size_t len)
{
	bool makes_key = asking->function->what == AUTHORITY_SERVERKEYGEN;
	struct authority_answer *answer = &asking->answer;
	X509_REQ *csr = csr_read(body, len, makes_key, answer->why, sizeof(answer->why));
	uint8_t unique[DTLS_UNIQUE_MAX];
	size_t unique_len = gate_unique(server->gate, from, unique);

	answer->verdict = AUTHORITY_BAD_REQUEST;
	if (csr && csr_is_linked(csr, unique, unique_len, answer->why, sizeof(answer->why)))
		return csr;
	X509_REQ_free(csr);
	return NULL;
}

/* How is the key to be protected that is to be made?  False: as CSR wants it, it cannot be. */
static bool read_protection(struct asking *asking, X509_REQ *csr)
{
	struct authority_answer *answer = &asking->answer;
	enum serverkey_how how =
		serverkey_wanted(csr, asking->client, answer->why, sizeof(answer->why));

	asking->enveloped = how == SERVERKEY_ENVELOPED;
	answer->verdict = AUTHORITY_BAD_REQUEST;
	return how != SERVERKEY_CANNOT;
}

/* Judges, and asks where the judgement is good. */
static void ask(struct est_server *server, struct asking *asking, const struct sockaddr_in *from,
		const uint8_t *body, size_t len)
{
	const struct function *function = asking->function;
	struct authority_answer *answer = &asking->answer;
	struct authority_request request = { function->what, NULL, body, len, asking->client };

	asking->told = true;
	if (function->takes == EST_FORMAT_CSR && server->profile == EST_COAPS_06 &&
	    !est_unwrap(&request.der, &request.der_len)) {
		answer->verdict = AUTHORITY_BAD_REQUEST;
		snprintf(answer->why, sizeof(answer->why), "the CSR is not in a CBOR byte string");
		return;
	}
	if (function->takes == EST_FORMAT_CSR) {
		request.csr = read_csr(server, asking, from, request.der, request.der_len);
		if (!request.csr)
			return;
	}
	if (function->what == AUTHORITY_SERVERKEYGEN && !read_protection(asking, request.csr)) {
		X509_REQ_free(request.csr);
		return;
	}
	answer->verdict = policy_judge(server->policy, asking->client, function->what, request.csr,
				       &answer->retry_s, answer->why, sizeof(answer->why));
	if (answer->verdict == AUTHORITY_DONE) {
		asking->told = false;
		server->authority->ask(server->authority, &request, on_told, asking);
	}
	X509_REQ_free(request.csr);
}

/* Says what became of ASKING, and forgets it. */
static void finish(struct est_server *server, struct asking *asking, coap_resource_t *resource,
		   coap_session_t *session, const coap_pdu_t *request, const coap_string_t *query,
		   coap_pdu_t *response)
{
	const struct function *function = asking->function;
	struct authority_answer *answer = &asking->answer;
	struct body *body = calloc(1, sizeof(*body));
	long out_len = -1;
	char name[160];

	echo_block(session, request, response);
	certs_subject(asking->client, name, sizeof(name));
	/* pkix-cert is one certificate. */
	if (answer->verdict == AUTHORITY_DONE && asking->format == EST_FORMAT_CERT &&
	    sk_X509_num(answer->certs) != 1) {
		refuse(response, COAP_RESPONSE_CODE_NOT_ACCEPTABLE, NULL);
		goto out;
	}
	if (answer->verdict == AUTHORITY_DONE && body)
		out_len = write_answer(server, asking, &body->data);
	/* A multipart body is CBOR already. */
	if (out_len >= 0 && server->profile == EST_COAPS_06 &&
	    asking->format != EST_FORMAT_MULTIPART)
		out_len = est_wrap(&body->data, out_len);
	if (answer->verdict != AUTHORITY_DONE || out_len < 0) {
		if (answer->verdict == AUTHORITY_DONE) {
			answer->verdict = AUTHORITY_FAILED;
			snprintf(answer->why, sizeof(answer->why), "no memory");
		}
		log_refusal(function, name, asking->who, answer->why);
		refuse_for(answer, response);
		goto out;
	}
	coap_pdu_set_code(response, function->method == COAP_REQUEST_GET
					    ? COAP_RESPONSE_CODE_CONTENT
					    : COAP_RESPONSE_CODE_CHANGED);
	body->len = (size_t)out_len;
	/* BODY is libcoap's from here on, whatever it returns. */
	if (!coap_add_data_large_response(resource, session, request, response, query,
					  (uint16_t)asking->format, -1, 0, body->len, body->data,
					  release, body)) {
		body = NULL;
		refuse(response, COAP_RESPONSE_CODE_INTERNAL_ERROR, NULL);
		goto out;
	}
	body = NULL;
	log_issue(function, answer, name, asking->who);
out:
	free(body);
	forget(asking);
}

/* The answer has to wait: RESPONSE stays empty. */
static void wait(struct asking *asking, coap_session_t *session, const coap_pdu_t *request,
		 coap_pdu_t *response)
{
	coap_async_t *later = coap_register_async(session, request, 0);
	struct asking *lost = later ? find_asking(asking->server, later) : NULL;

	/* What libcoap has given back it may give again. */
	if (lost)
		forget(lost);
	asking->later = later;
	if (later)
		return;
	asking->abandoned = true;
	refuse(response, COAP_RESPONSE_CODE_INTERNAL_ERROR, NULL);
}

static void serve(struct est_server *server, const struct function *function,
		  coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
		  const coap_string_t *query, coap_pdu_t *response, X509 *client)
{
	const coap_address_t *from = coap_session_get_addr_remote(session);
	int format = choose_format(function, request);
	struct asking *asking;
	coap_pdu_code_t code;
	const uint8_t *body;
	size_t len;

	if (function->takes != EST_FORMAT_NONE &&
	    option_number(request, COAP_OPTION_CONTENT_FORMAT) != function->takes) {
		refuse(response, COAP_RESPONSE_CODE_UNSUPPORTED_CONTENT_FORMAT, NULL);
		return;
	}
	if (format == EST_FORMAT_NONE) {
		refuse(response, COAP_RESPONSE_CODE_NOT_ACCEPTABLE, NULL);
		return;
	}
	code = gather(server, session, function, request, &body, &len);
	if (code != COAP_EMPTY_CODE) {
		coap_pdu_set_code(response, code);
		echo_block(session, request, response);
		return;
	}
	asking = calloc(1, sizeof(*asking));
	if (!asking) {
		refuse(response, COAP_RESPONSE_CODE_INTERNAL_ERROR, NULL);
		return;
	}
	asking->server = server;
	asking->function = function;
	asking->format = format;
	X509_up_ref(client);
	asking->client = client;
	gate_describe(server->gate, &from->addr.sin, asking->who, sizeof(asking->who));
	LIST_INSERT_HEAD(&server->askings, asking, list);
	ask(server, asking, &from->addr.sin, body, len);
	drop_upload(server, session);
	if (asking->told)
		finish(server, asking, resource, session, request, query, response);
	else
		wait(asking, session, request, response);
}

/* Which function is it that PATH, with a label, asks for (RFC 7030 3.2.2)? */
static const struct function *labelled(const struct est_server *server, const coap_string_t *path)
{
	static const char root[] = EST_WELL_KNOWN "/";
	const char *text = (const char *)path->s, *end = text + path->length, *label, *name;

	if (path->length <= sizeof(root) - 1 || memcmp(text, root, sizeof(root) - 1))
		return NULL;
	label = text + sizeof(root) - 1;
	name = memchr(label, '/', (size_t)(end - label));
	if (!name || name == label)
		return NULL;
	name++;
	for (const struct function *f = server->functions; f->name; f++)
		if (strlen(f->name) == (size_t)(end - name) &&
		    !memcmp(f->name, name, (size_t)(end - name)))
			return f;
	return NULL;
}

static void on_request(coap_resource_t *resource, coap_session_t *session,
		       const coap_pdu_t *request, const coap_string_t *query, coap_pdu_t *response)
{
	struct est_server *server = coap_get_app_data(coap_session_get_context(session));
	const struct function *function = coap_resource_get_userdata(resource);
	const coap_address_t *from = coap_session_get_addr_remote(session);
	coap_bin_const_t token = coap_pdu_get_token(request);
	const coap_async_t *later = coap_find_async(session, token);
	struct asking *asking = later ? find_asking(server, later) : NULL;
	coap_string_t *path;
	X509 *client;

	if (asking && asking->told) {
		finish(server, asking, resource, session, request, query, response);
		return;
	}
	if (later) {
		refuse(response, COAP_RESPONSE_CODE_INTERNAL_ERROR, NULL);
		return;
	}
	forget_lost(server);
	if (!function) {
		path = coap_get_uri_path(request);
		function = path ? labelled(server, path) : NULL;
		coap_delete_string(path);
	}
	client = server->gate ? gate_client(server->gate, &from->addr.sin) : NULL;
	if (!function) {
		refuse(response, COAP_RESPONSE_CODE_NOT_FOUND, NULL);
	} else if (coap_pdu_get_code(request) != (coap_pdu_code_t)function->method) {
		refuse(response, COAP_RESPONSE_CODE_NOT_ALLOWED, NULL);
	} else if (!client) {
		/* It came by no session of ours. */
		refuse(response, COAP_RESPONSE_CODE_UNAUTHORIZED, NULL);
	} else if (query) {
		refuse(response, COAP_RESPONSE_CODE_BAD_REQUEST, "EST has no queries");
	} else {
		serve(server, function, resource, session, request, query, response, client);
	}
}

/* ---- beginning and end
 * ------------------------------------------------------------------------------ */

static int on_event(coap_session_t *session, coap_event_t event)
{
	struct est_server *server = coap_get_app_data(coap_session_get_context(session));

	if (event == COAP_EVENT_SERVER_SESSION_NEW)
		coap_session_set_mtu(session, MTU);
	else if (event == COAP_EVENT_SERVER_SESSION_DEL && server)
		drop_upload(server, session);
	return 0;
}

static int add_attribute(coap_resource_t *resource, const char *name, const char *value)
{
	coap_str_const_t n = { strlen(name), (const uint8_t *)name };
	coap_str_const_t v = { strlen(value), (const uint8_t *)value };

	return coap_add_attr(resource, coap_new_str_const(n.s, n.length),
			     coap_new_str_const(v.s, v.length),
			     COAP_ATTR_FLAGS_RELEASE_NAME | COAP_ATTR_FLAGS_RELEASE_VALUE)
		       ? 0
		       : -1;
}

static coap_resource_t *add_resource(coap_context_t *context, const char *path)
{
	coap_str_const_t *copy = coap_new_str_const((const uint8_t *)path, strlen(path));
	coap_resource_t *resource =
		copy ? coap_resource_init(copy, COAP_RESOURCE_FLAGS_RELEASE_URI) : NULL;

	if (!resource)
		return NULL;
	coap_register_request_handler(resource, COAP_REQUEST_GET, on_request);
	coap_register_request_handler(resource, COAP_REQUEST_POST, on_request);
	coap_add_resource(context, resource);
	return resource;
}

/* ROOT/NAME for every function; with links to them if they are to be found. */
static int add_root(coap_context_t *context, const struct function *offered, const char *root,
		    bool linked)
{
	coap_resource_t *resource;
	char text[64];

	for (const struct function *f = offered; f->name; f++) {
		snprintf(text, sizeof(text), "%s/%s", root, f->name);
		resource = add_resource(context, text);
		if (!resource)
			return -1;
		coap_resource_set_userdata(resource, (void *)f);
		if (!linked)
			continue;
		snprintf(text, sizeof(text), "\"" EST_RT ".%s\"", f->name);
		if (add_attribute(resource, "rt", text) || add_attribute(resource, "ct", f->ct))
			return -1;
	}
	return 0;
}

static int add_resources(coap_context_t *context, const struct function *offered)
{
	coap_resource_t *root = add_resource(context, EST_SHORT), *others;

	/* The root itself answers nothing; the link to it is what E06 6 and cBRSKI 15.1 have. */
	if (!root || add_attribute(root, "rt", "\"" EST_RT "\"") ||
	    add_root(context, offered, EST_SHORT, true) ||
	    add_root(context, offered, EST_WELL_KNOWN, false))
		return -1;
	others = coap_resource_unknown_init(on_request);
	if (!others)
		return -1;
	coap_register_request_handler(others, COAP_REQUEST_GET, on_request);
	coap_register_request_handler(others, COAP_REQUEST_POST, on_request);
	coap_add_resource(context, others);
	return 0;
}

struct est_server *est_server_new(struct event_base *base, enum est_profile profile,
				  struct authority *authority, struct policy *policy, EVP_PKEY *key,
				  STACK_OF(X509) * chain, struct sockaddr_in *where)
{
	struct est_server *server = calloc(1, sizeof(*server));
	coap_context_t *context;

	if (!server)
		goto fail;
	server->profile = profile;
	server->functions = profile == EST_COAPS_06 ? functions_06 : functions;
	server->authority = authority;
	server->policy = policy;
	server->key = key;
	server->chain = chain;
	LIST_INIT(&server->uploads);
	LIST_INIT(&server->askings);
	server->loop = coaploop_new(base);
	if (!server->loop)
		goto fail;
	context = coaploop_context(server->loop);
	coap_set_app_data(context, server);
	coap_context_set_block_mode(context, COAP_BLOCK_USE_LIBCOAP);
	coap_context_set_session_timeout(context, IDLE_S);
	coap_register_event_handler(context, on_event);
	if (add_resources(context, server->functions) || !coaploop_loopback(server->loop, where))
		goto fail;
	return server;

fail:
	jpx_error("cannot start the CoAP server on the loopback interface: no memory, or no "
		  "descriptors");
	est_server_free(server);
	return NULL;
}

void est_server_set_gate(struct est_server *server, struct gate *gate)
{
	server->gate = gate;
}

void est_server_free(struct est_server *server)
{
	struct upload *upload;

	if (!server)
		return;
	coaploop_free(server->loop);
	while ((upload = LIST_FIRST(&server->uploads))) {
		LIST_REMOVE(upload, list);
		free(upload);
	}
	while (!LIST_EMPTY(&server->askings))
		forget(LIST_FIRST(&server->askings));
	free(server);
}
