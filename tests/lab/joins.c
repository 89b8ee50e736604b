/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Joins one after the other, for tests/vm/soak.sh: each a new DTLS session with certificates at
 * both ends, one CoAP GET /time in it, and its end.
 *
 *   joins N SECONDS CERT KEY CA ENDPOINT    PEM files; the peer's certificate must be of CA and
 *       name "registrar"; at most SECONDS for each
 *
 * A line a join, "ok 12 1.234 s" or "not ok 12 WHY", and "N of N" at the end; exit status 0 only
 * if there was an answer to each.  Must never try again: DTLS and CoAP do that by themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <coap3/coap.h>

#include "addr.h"
#include "clock.h"

/* An IPv6 packet of 1280 bytes, less its headers and what JPY puts in front. */
#define RECORDS_MAX 1152

/* Not more at a time than a pledge may have flows: they end some time after the session. */
#define SPACING_MS 700

#define TURN_MS 200

static struct {
	bool answered, verified;
	const char *failed;
} join;

static int on_name(const char *name, const uint8_t *cert, size_t len, coap_session_t *session,
		   unsigned int depth, int validated, void *arg)
{
	(void)cert;
	(void)len;
	(void)session;
	(void)arg;
	if (!validated)
		return 0;
	if (depth == 0)
		join.verified = !strcmp(name, "registrar");
	return depth > 0 || join.verified;
}

static int on_event(coap_session_t *session, coap_event_t event)
{
	(void)session;
	if (event == COAP_EVENT_DTLS_ERROR)
		join.failed = "DTLS failed";
	return 0;
}

static void on_nack(coap_session_t *session, const coap_pdu_t *sent, coap_nack_reason_t reason,
		    coap_mid_t mid)
{
	(void)session;
	(void)sent;
	(void)mid;
	if (!join.failed)
		join.failed = reason == COAP_NACK_TOO_MANY_RETRIES ? "no answer"
			      : reason == COAP_NACK_TLS_FAILED	   ? "DTLS failed"
								   : "not delivered";
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
				   const coap_pdu_t *received, coap_mid_t mid)
{
	(void)session;
	(void)sent;
	(void)mid;
	if (coap_pdu_get_code(received) == COAP_RESPONSE_CODE_CONTENT)
		join.answered = true;
	else
		join.failed = "another answer than 2.05";
	return COAP_RESPONSE_OK;
}

/* libcoap keeps it until there is a session. */
static bool ask(coap_session_t *session)
{
	coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_GET, session);
	uint8_t token[8];
	size_t len;

	if (!pdu)
		return false;
	coap_session_new_token(session, &len, token);
	if (!coap_add_token(pdu, len, token) ||
	    !coap_add_option(pdu, COAP_OPTION_URI_PATH, 4, (const uint8_t *)"time")) {
		coap_delete_pdu(pdu);
		return false;
	}
	return coap_send(session, pdu) != COAP_INVALID_MID;
}

/* NULL, or why not. */
static const char *join_once(coap_context_t *context, const coap_address_t *to,
			     coap_dtls_pki_t *pki, uint64_t end_ms)
{
	coap_session_t *session;

	memset(&join, 0, sizeof(join));
	session = coap_new_client_session_pki(context, NULL, to, COAP_PROTO_DTLS, pki);
	if (!session)
		return "no session";
	coap_session_set_mtu(session, RECORDS_MAX);
	if (!ask(session))
		join.failed = "not asked";
	while (!join.answered && !join.failed && jpx_now_ms() < end_ms)
		coap_io_process(context, TURN_MS);
	if (!join.answered && !join.failed)
		join.failed = "too late";
	else if (join.answered && !join.verified)
		join.failed = "the peer's name was not verified";
	coap_session_release(session);
	return join.failed;
}

static int run(coap_context_t *context, unsigned int count, unsigned int seconds,
	       const coap_address_t *to, coap_dtls_pki_t *pki)
{
	unsigned int done = 0;

	for (unsigned int i = 1; i <= count; i++) {
		uint64_t start = jpx_now_ms(), took;
		const char *why = join_once(context, to, pki, start + seconds * 1000ULL);

		took = jpx_now_ms() - start;
		if (why)
			printf("not ok %u %s\n", i, why);
		else
			printf("ok %u %u.%03u s\n", i, (unsigned int)(took / 1000),
			       (unsigned int)(took % 1000));
		fflush(stdout);
		done += !why;
		while (i < count && jpx_now_ms() < start + SPACING_MS)
			coap_io_process(context, 20);
	}
	printf("%u of %u\n", done, count);
	return done == count ? 0 : 1;
}

int main(int argc, char **argv)
{
	coap_dtls_pki_t pki = {
		.version = COAP_DTLS_PKI_SETUP_VERSION,
		.verify_peer_cert = 1,
		.check_common_ca = 1,
		.cert_chain_validation = 1,
		.cert_chain_verify_depth = 2,
		.validate_cn_call_back = on_name,
		.pki_key.key_type = COAP_PKI_KEY_PEM,
	};
	coap_context_t *context;
	struct sockaddr_in6 sa;
	coap_address_t to;
	char err[128] = "";
	int count, seconds, ret;

	count = argc == 7 ? atoi(argv[1]) : 0;
	seconds = argc == 7 ? atoi(argv[2]) : 0;
	if (count < 1 || seconds < 1 || jpx_endpoint_parse(argv[6], 0, &sa, err, sizeof(err))) {
		fprintf(stderr, "usage: joins N SECONDS CERT KEY CA [ADDR%%IF]:PORT %s\n", err);
		return 2;
	}
	pki.pki_key.key.pem.public_cert = argv[3];
	pki.pki_key.key.pem.private_key = argv[4];
	pki.pki_key.key.pem.ca_file = argv[5];
	coap_address_init(&to);
	to.size = sizeof(sa);
	to.addr.sin6 = sa;
	coap_startup();
	context = coap_new_context(NULL);
	if (!context)
		return 2;
	coap_register_response_handler(context, on_response);
	coap_register_event_handler(context, on_event);
	coap_register_nack_handler(context, on_nack);
	ret = run(context, (unsigned int)count, (unsigned int)seconds, &to, &pki);
	coap_free_context(context);
	coap_cleanup();
	return ret;
}
