/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An EST-coaps Registrar that lies, for pledges that must not believe it.  It makes a CA and all
 * that it shows itself; of libcoap it takes CoAP and DTLS, and blocks are made here, by hand, so
 * that they can be wrong.
 *
 *   liar [ADDR]:PORT DIR LIE     DIR/server.pem is for libcoap, DIR/real.pem is its CA
 *
 * Prints "lying" when it listens.  LIE is one of lies[], below; "none" and
 * "strange-ca" are honest ones.
 */
#include <coap3/coap.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addr.h"
#include "certs.h"
#include "est.h"
#include "issue.h"
#include "pemfile.h"

#define SIZE   1024
#define SZX    6
#define LARGE  (1 << 20)
#define ABSURD 4294967295u

enum when { OF_CRTS, OF_SEN };

static const struct lie {
	const char *name;
	enum when when;
} lies[] = {
	{ "none", OF_CRTS },	    { "strange-ca", OF_CRTS },	  { "other-server", OF_CRTS },
	{ "five-cas", OF_CRTS },    { "crts-garbage", OF_CRTS },  { "crts-empty", OF_CRTS },
	{ "crts-format", OF_CRTS }, { "crts-endless", OF_CRTS },  { "crts-large", OF_CRTS },
	{ "crts-gap", OF_CRTS },    { "crts-silent", OF_CRTS },	  { "other-key", OF_SEN },
	{ "other-ca", OF_SEN },	    { "other-subject", OF_SEN },  { "domain-subject", OF_SEN },
	{ "sen-garbage", OF_SEN },  { "sen-empty", OF_SEN },	  { "sen-format", OF_SEN },
	{ "sen-trailing", OF_SEN }, { "sen-endless", OF_SEN },	  { "sen-large", OF_SEN },
	{ "absurd-wait", OF_SEN },  { "waits-for-ever", OF_SEN }, { "not-utf8", OF_SEN },
	{ "expired", OF_SEN },
};

static const struct lie *lie;
static EVP_PKEY *real_key, *other_key, *server_key;
static X509 *real, *other, *server;

static bool is(const char *name)
{
	return !strcmp(lie->name, name);
}

static X509 *issue(enum issue_kind kind, EVP_PKEY *key, const X509_NAME *subject, X509 *issuer,
		   EVP_PKEY *issuer_key)
{
	struct issue_request r = {
		.kind = kind,
		.key = key,
		.subject = subject,
		.issuer = issuer,
		.issuer_key = issuer_key,
		.not_before = time(NULL) - 7200,
		.not_after = time(NULL) + (kind == ISSUE_DEVICE && is("expired") ? -3600 : 86400),
	};
	X509 *cert = issue_certificate(&r);

	if (!cert)
		abort();
	return cert;
}

static X509_NAME *named(const char *common_name)
{
	X509_NAME *name = issue_name(common_name);

	if (!name)
		abort();
	return name;
}

static void make(const char *dir)
{
	STACK_OF(X509) *anchors = sk_X509_new_null();
	char path[300], err[400];
	bool strange = is("other-server");

	real_key = issue_key();
	other_key = issue_key();
	server_key = issue_key();
	real = issue(ISSUE_CA, real_key, named("real"), NULL, NULL);
	other = issue(ISSUE_CA, other_key, named("other"), NULL, NULL);
	server = issue(ISSUE_REGISTRAR, server_key, named("liar"), strange ? other : real,
		       strange ? other_key : real_key);
	sk_X509_push(anchors, real);
	snprintf(path, sizeof(path), "%s/real.pem", dir);
	if (pemfile_write_certs(path, anchors, err, sizeof(err)))
		abort();
	snprintf(path, sizeof(path), "%s/server.pem", dir);
	if (pemfile_write_identity(path, server_key, server, err, sizeof(err)))
		abort();
	sk_X509_free(anchors);
}

/* ---- answers ---- */

static void add_number(coap_pdu_t *pdu, uint16_t number, unsigned int value)
{
	uint8_t buf[4];

	coap_add_option(pdu, number, coap_encode_var_safe(buf, sizeof(buf), value), buf);
}

static unsigned int block_of(const coap_pdu_t *request)
{
	coap_block_t block;

	return coap_get_block(request, COAP_OPTION_BLOCK2, &block) ? block.num : 0;
}

/* BODY of LEN octets in blocks, or, if it is NULL, as many zeros; of "endless" there is always one
 * more. */
static void say(const coap_pdu_t *request, coap_pdu_t *response, unsigned int format,
		const uint8_t *body, size_t len)
{
	static const uint8_t zeros[SIZE];
	bool endless = !body && strstr(lie->name, "endless"), gap = is("crts-gap");
	size_t num = block_of(request), at = num * SIZE, n;

	if (at > len || endless)
		at = endless ? 0 : len;
	n = len - at < SIZE ? len - at : SIZE;
	coap_pdu_set_code(response, lie->when == OF_CRTS ? COAP_RESPONSE_CODE_CONTENT
							 : COAP_RESPONSE_CODE_CHANGED);
	add_number(response, COAP_OPTION_CONTENT_FORMAT, format);
	if (len > SIZE || endless)
		add_number(response, COAP_OPTION_BLOCK2,
			   (unsigned int)(gap && num ? num + 1 : num) << 4 |
				   (endless || at + n < len ? 8 : 0) | SZX);
	if (n)
		coap_add_data(response, n, body ? body + at : zeros);
}

static void on_crts(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
		    const coap_string_t *query, coap_pdu_t *response)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	unsigned int format = is("crts-format") ? EST_FORMAT_CERT : EST_FORMAT_CERTS;
	bool zeros = is("crts-garbage") || is("crts-endless") || is("crts-large") || is("crts-gap");
	uint8_t *der;
	long len;

	(void)resource;
	(void)session;
	(void)query;
	if (is("crts-silent"))
		return; /* libcoap acknowledges, and that is all */
	sk_X509_push(certs, real);
	for (int i = 0; is("five-cas") && i < 4; i++)
		sk_X509_push(certs, other);
	len = certs_write(certs, &der);
	if (is("crts-empty"))
		len = 0;
	say(request, response, format, zeros ? NULL : der,
	    is("crts-garbage")			 ? 300
	    : is("crts-endless")		 ? LARGE
	    : is("crts-large") || is("crts-gap") ? 100000
						 : (size_t)len);
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CONTENT);
	free(der);
	sk_X509_free(certs);
}

/* The certificate that it gives for CSR, which it does not look at. */
static X509 *give(X509_REQ *csr)
{
	bool strange = is("other-ca");
	X509_NAME *subject = X509_NAME_dup(X509_REQ_get_subject_name(csr));

	if (is("other-subject")) {
		X509_NAME_free(subject);
		subject = X509_NAME_new();
		X509_NAME_add_entry_by_NID(subject, NID_serialNumber, MBSTRING_UTF8,
					   (const unsigned char *)"4711", -1, -1, 0);
	} else if (is("domain-subject")) {
		X509_NAME_free(subject);
		subject = named("node 17");
	}
	return issue(ISSUE_DEVICE, is("other-key") ? other_key : X509_REQ_get0_pubkey(csr), subject,
		     strange ? other : real, strange ? other_key : real_key);
}

static void on_sen(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
		   const coap_string_t *query, coap_pdu_t *response)
{
	unsigned int format = is("sen-format") ? EST_FORMAT_CERTS : EST_FORMAT_CERT;
	const uint8_t *data = NULL, *at;
	static uint8_t der[4096];
	uint8_t *written;
	X509_REQ *csr;
	size_t len = 0;
	X509 *cert;

	(void)resource;
	(void)session;
	(void)query;
	if (is("absurd-wait") || is("waits-for-ever")) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE);
		add_number(response, COAP_OPTION_MAXAGE, is("absurd-wait") ? ABSURD : 0);
		return;
	}
	if (is("not-utf8")) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_FORBIDDEN);
		coap_add_data(response, 9, (const uint8_t *)"no\n\xff\x1b[31m");
		return;
	}
	if (is("sen-garbage") || is("sen-endless") || is("sen-large") || is("sen-empty")) {
		say(request, response, format, NULL,
		    is("sen-garbage") ? 300
		    : is("sen-empty") ? 0
		    : is("sen-large") ? 100000
				      : LARGE);
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
		return;
	}
	coap_get_data(request, &len, &data);
	at = data;
	csr = d2i_X509_REQ(NULL, &at, (long)len);
	if (!csr) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_BAD_REQUEST);
		return;
	}
	cert = give(csr);
	len = (size_t)certs_write_one(cert, &written);
	memcpy(der, written, len);
	der[len] = 0;
	say(request, response, format, der, is("sen-trailing") ? len + 1 : len);
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
	free(written);
	X509_free(cert);
	X509_REQ_free(csr);
}

/* ---- beginning ---- */

static void serve(coap_context_t *context, const char *path, coap_request_t method,
		  coap_method_handler_t handler)
{
	coap_str_const_t *name = coap_make_str_const(path);
	coap_resource_t *resource = coap_resource_init(name, 0);

	coap_register_handler(resource, method, handler);
	coap_add_resource(context, resource);
}

int main(int argc, char **argv)
{
	coap_dtls_pki_t pki = { .version = COAP_DTLS_PKI_SETUP_VERSION };
	coap_context_t *context;
	struct sockaddr_in6 at;
	coap_address_t local;
	char pem[300], err[160];

	for (size_t i = 0; argc == 4 && i < sizeof(lies) / sizeof(*lies); i++)
		if (!strcmp(lies[i].name, argv[3]))
			lie = &lies[i];
	if (!lie || jpx_endpoint_parse(argv[1], 0, &at, err, sizeof(err))) {
		fprintf(stderr, "usage: liar [ADDR]:PORT DIR LIE\n");
		return 2;
	}
	make(argv[2]);
	coap_startup();
	coap_set_log_level(LOG_ERR);
	context = coap_new_context(NULL);
	snprintf(pem, sizeof(pem), "%s/server.pem", argv[2]);
	pki.pki_key.key_type = COAP_PKI_KEY_PEM;
	pki.pki_key.key.pem.public_cert = pki.pki_key.key.pem.private_key = pem;
	coap_address_init(&local);
	local.size = sizeof(at);
	local.addr.sin6 = at;
	if (!context || !coap_context_set_pki(context, &pki) ||
	    !coap_new_endpoint(context, &local, COAP_PROTO_DTLS)) {
		fprintf(stderr, "liar: cannot listen\n");
		return 1;
	}
	serve(context, EST_WELL_KNOWN "/crts", COAP_REQUEST_GET, on_crts);
	serve(context, EST_WELL_KNOWN "/sen", COAP_REQUEST_POST, on_sen);
	puts("lying");
	fflush(stdout);
	for (;;)
		coap_io_process(context, COAP_IO_WAIT);
}
