/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A pledge that sends its request in blocks as no good one would: twice, out of order, from the
 * middle, for another function, too many, with a query.  Blocks are made here, by hand; CoAP and
 * DTLS are libcoap's.  And one that says which session its request is for.
 *
 *   est_blocks [ADDR%IF]:PORT IDENTITY.pem CSR.der     prints "ok NAME" or "not ok NAME"
 *   est_blocks enveloped IDENTITY.pem OUT.der          a CSR that wants its key encrypted for IDENTITY's
 *   est_blocks symmetric IDENTITY.pem OUT.der          ... by a symmetric key; "stranger": for another's
 *
 * Exit: 0 all passed, 1 something failed.
 */
#include <coap3/coap.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addr.h"

#define SZX    2 /* blocks of 64 octets */
#define SIZE   (16 << SZX)
#define WAIT_S 20

static coap_context_t *context;
static coap_session_t *session;
static uint8_t csr[4096];
static size_t csr_len;
static unsigned int code, last; /* of the answer; the number of the last block */
static bool answered, connected;

static coap_response_t on_answer(coap_session_t *s, const coap_pdu_t *sent, const coap_pdu_t *pdu,
				 const coap_mid_t mid)
{
	(void)s;
	(void)sent;
	(void)mid;
	code = coap_pdu_get_code(pdu);
	answered = true;
	return COAP_RESPONSE_OK;
}

static int on_event(coap_session_t *s, const coap_event_t event)
{
	(void)s;
	connected |= event == COAP_EVENT_DTLS_CONNECTED;
	return 0;
}

static bool wait_for(const bool *what)
{
	time_t end = time(NULL) + WAIT_S;

	while (!*what && time(NULL) < end)
		coap_io_process(context, 50);
	return *what;
}

static void add(coap_optlist_t **options, uint16_t number, const void *value, size_t len)
{
	coap_insert_optlist(options, coap_new_optlist(number, len, value));
}

static void add_number(coap_optlist_t **options, uint16_t number, unsigned int value)
{
	uint8_t buf[4];

	add(options, number, buf, coap_encode_var_safe(buf, sizeof(buf), value));
}

/* Block NUM of BODY, of which there are LEN octets, to est/NAME; the answer's code as 204 for 2.04.
 */
static unsigned int block(const char *name, unsigned int num, bool more, const uint8_t *body,
			  size_t len, const char *query)
{
	coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_POST, session);
	coap_optlist_t *options = NULL;
	uint8_t token[8];
	size_t token_len;

	coap_session_new_token(session, &token_len, token);
	coap_add_token(pdu, token_len, token);
	add(&options, COAP_OPTION_URI_PATH, "est", 3);
	add(&options, COAP_OPTION_URI_PATH, name, strlen(name));
	add_number(&options, COAP_OPTION_CONTENT_FORMAT, 286);
	add_number(&options, COAP_OPTION_ACCEPT, 287);
	add_number(&options, COAP_OPTION_BLOCK1, num << 4 | (more ? 8 : 0) | SZX);
	if (query)
		add(&options, COAP_OPTION_URI_QUERY, query, strlen(query));
	coap_add_optlist_pdu(pdu, &options);
	coap_delete_optlist(options);
	coap_add_data(pdu, len, body);
	answered = false;
	if (coap_send(session, pdu) == COAP_INVALID_MID || !wait_for(&answered))
		return 0;
	return (code >> 5) * 100 + (code & 0x1f);
}

static unsigned int nth(const char *name, unsigned int num)
{
	size_t at = num * SIZE, len = num == last ? csr_len - at : SIZE;

	return block(name, num, num != last, csr + at, len, NULL);
}

/* Blocks FROM to the last one. */
static bool rest(const char *name, unsigned int from)
{
	for (; from < last; from++)
		if (nth(name, from) != 231)
			return false;
	return nth(name, last) == 204;
}

static int failed;

static void ok(bool good, const char *name)
{
	if (good)
		printf("ok %s\n", name);
	else
		printf("not ok %s\n# the last answer was %u.%02u\n", name, code >> 5, code & 0x1f);
	failed |= !good;
}

static bool too_large(void)
{
	uint8_t body[SIZE] = { 0x30 };
	unsigned int num = 0, got = 231;

	while (got == 231 && num < 100)
		got = block("sen", num++, true, body, SIZE, NULL);
	/* 4096 octets are 64 blocks. */
	return got == 413 && num == 65;
}

/* The code that a request gets whose challengePassword is this session's tls-unique, LEN octets of it
 * (RFC 7030 3.5). */
static unsigned int linked(const char *identity, size_t len)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	FILE *f = fopen(identity, "r");
	X509 *own = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	coap_tls_library_t library;
	SSL *ssl = coap_session_get_tls(session, &library);
	uint8_t unique[64], text[128];
	int text_len;
	unsigned int got = 0;

	if (own && ssl && SSL_get_finished(ssl, unique, sizeof(unique)) == 12) {
		text_len = EVP_EncodeBlock(text, unique, (int)len);
		X509_REQ_set_subject_name(req, X509_get_subject_name(own));
		X509_REQ_set_pubkey(req, key);
		X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, MBSTRING_ASC, text,
					  text_len);
		X509_REQ_sign(req, key, EVP_sha256());
		uint8_t *der = csr;

		csr_len = (size_t)i2d_X509_REQ(req, &der);
		last = (unsigned int)((csr_len - 1) / SIZE);
		got = 231;
		for (unsigned int i = 0; i <= last && got == 231; i++)
			got = nth("sen", i);
	}
	if (f)
		fclose(f);
	X509_free(own);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return got;
}

static void run(const char *identity)
{
	ok(rest("sen", 0), "in-order");
	ok(nth("sen", 0) == 231 && nth("sen", 0) == 231 && nth("sen", 1) == 231 &&
		   nth("sen", 1) == 231 && rest("sen", 2),
	   "twice");
	ok(nth("sen", 0) == 231 && nth("sen", 2) == 408 && nth("sen", 1) == 231 && rest("sen", 2),
	   "one-missing");
	ok(rest("sen", 0) && nth("sen", last) == 408, "only-the-last");
	ok(nth("sen", 3) == 408, "from-the-middle");
	ok(nth("sen", 0) == 231 && nth("sen", 1) == 231 && rest("sen", 0), "begun-anew");
	ok(nth("sen", 0) == 231 && nth("sren", 1) == 408, "of-another-function");
	ok(too_large(), "too-large");
	ok(rest("sen", 0), "good-after-that");
	ok(block("sen", 1000000, true, csr, SIZE, NULL) == 413 || code == 0x88, "far-away");
	ok(block("sen", 0, false, csr, SIZE, NULL) == 400, "cut-off");
	ok(block("sen", 0, true, csr, SIZE, "x=1") == 400, "query");
	ok(rest("sen", 0), "good-in-the-end");
	ok(linked(identity, 12) == 204, "linked");
	ok(linked(identity, 9) == 400, "linked-to-another");
}

/* RFC 7030 4.4.1: openssl's command writes no attribute of that kind. */
static int write_csr(const char *how, const char *identity, const char *out)
{
	const char *oid = strcmp(how, "symmetric") ? "1.2.840.113549.1.9.16.2.54"
						   : "1.2.840.113549.1.9.16.2.37";
	FILE *f = fopen(identity, "r"), *o = fopen(out, "wb");
	X509 *own = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	const ASN1_OCTET_STRING *id = own ? X509_get0_subject_key_id(own) : NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	uint8_t name[20] = { 1, 2, 3 }, *der = NULL;
	int len = 0;
	bool written = false;

	if (id && o) {
		if (strcmp(how, "stranger") != 0)
			memcpy(name, ASN1_STRING_get0_data(id), sizeof(name));
		X509_REQ_set_subject_name(req, X509_get_subject_name(own));
		X509_REQ_set_pubkey(req, key);
		X509_REQ_add1_attr_by_txt(req, oid, V_ASN1_OCTET_STRING, name, sizeof(name));
		X509_REQ_sign(req, key, EVP_sha256());
		len = i2d_X509_REQ(req, &der);
		written = len > 0 && fwrite(der, (size_t)len, 1, o) == 1;
	}
	if (f)
		fclose(f);
	if (o && fclose(o))
		written = false;
	OPENSSL_free(der);
	X509_REQ_free(req);
	X509_free(own);
	EVP_PKEY_free(key);
	return !written;
}

int main(int argc, char **argv)
{
	coap_dtls_pki_t pki = { .version = COAP_DTLS_PKI_SETUP_VERSION };
	struct sockaddr_in6 to;
	coap_address_t server;
	char err[160];
	FILE *f;

	if (argc == 4 && *argv[1] != '[')
		return write_csr(argv[1], argv[2], argv[3]);
	if (argc != 4 || jpx_endpoint_parse(argv[1], 0, &to, err, sizeof(err)) ||
	    !(f = fopen(argv[3], "rb"))) {
		printf("not ok est_blocks: usage: est_blocks [ADDR%%IF]:PORT IDENTITY.pem "
		       "CSR.der\n");
		return 1;
	}
	csr_len = fread(csr, 1, sizeof(csr), f);
	fclose(f);
	last = (unsigned int)((csr_len - 1) / SIZE);
	coap_startup();
	coap_set_log_level(LOG_ERR);
	context = coap_new_context(NULL);
	pki.pki_key.key_type = COAP_PKI_KEY_PEM;
	pki.pki_key.key.pem.public_cert = pki.pki_key.key.pem.private_key = argv[2];
	coap_register_response_handler(context, on_answer);
	coap_register_event_handler(context, on_event);
	coap_address_init(&server);
	server.size = sizeof(to);
	server.addr.sin6 = to;
	session = coap_new_client_session_pki(context, NULL, &server, COAP_PROTO_DTLS, &pki);
	if (!session || !wait_for(&connected)) {
		printf("not ok est_blocks: no session\n");
		return 1;
	}
	run(argv[2]);
	coap_session_release(session);
	coap_free_context(context);
	return failed;
}
