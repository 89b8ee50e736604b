/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The EST-coaps server and an authority that takes its time: who asks twice, hangs up, asks for
 * what libcoap answers by itself; and that each request is forgotten once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <malloc.h>
#include <coap3/coap.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "../../ctl/jpreg/est_server.h"
#include "clock.h"
#include "pki.h"

#define HOP_LIMIT 16
#define BLOCK2	  23
#define PLEDGES	  2

static struct event_base *base;
static struct est_server *server;
static struct sockaddr_in where;
static int fds[PLEDGES];
static EVP_PKEY *key;
static X509 *client;
static bool no_async;
static unsigned int cleared;

/* ---- what the server works with ---- */

/* Who asked and has not been told. */
static struct {
	authority_told *told;
	void *arg;
} asked[8];
static unsigned int n_asked;
static bool at_once;

static void tell(unsigned int i, enum authority_verdict verdict)
{
	struct authority_answer answer = { .verdict = verdict, .retry_s = 7 };

	if (verdict == AUTHORITY_DONE) {
		answer.attrs = malloc(1500);
		memset(answer.attrs, 0x30, 1500);
		answer.attrs_len = 1500;
	}
	asked[i].told(asked[i].arg, &answer);
	free(answer.attrs);
}

static void ask(struct authority *self, const struct authority_request *request,
		authority_told *told, void *arg)
{
	(void)self;
	(void)request;
	assert_true(n_asked < 8);
	asked[n_asked].told = told;
	asked[n_asked++].arg = arg;
	if (at_once)
		tell(n_asked - 1, AUTHORITY_DONE);
}

void authority_answer_clear(struct authority_answer *answer)
{
	free(answer->attrs);
	sk_X509_pop_free(answer->certs, X509_free);
	EVP_PKEY_free(answer->key);
	memset(answer, 0, sizeof(*answer));
	cleared++;
}

enum authority_verdict policy_judge(struct policy *policy, X509 *who, enum authority_what what,
				    X509_REQ *csr, unsigned int *retry_s, char *why, size_t why_len)
{
	(void)policy;
	(void)who;
	(void)what;
	(void)csr;
	(void)retry_s;
	(void)why;
	(void)why_len;
	return AUTHORITY_DONE;
}

X509 *gate_client(struct gate *gate, const struct sockaddr_in *from)
{
	(void)gate;
	(void)from;
	return client;
}

size_t gate_unique(struct gate *gate, const struct sockaddr_in *from, uint8_t buf[DTLS_UNIQUE_MAX])
{
	(void)gate;
	(void)from;
	memcpy(buf, "this session", 12);
	return 12;
}

const char *gate_describe(struct gate *gate, const struct sockaddr_in *from, char *buf, size_t len)
{
	(void)gate;
	(void)from;
	snprintf(buf, len, "somebody");
	return buf;
}

coap_async_t *__real_coap_register_async(coap_session_t *session, const coap_pdu_t *request,
					 coap_tick_t delay);
coap_async_t *__wrap_coap_register_async(coap_session_t *session, const coap_pdu_t *request,
					 coap_tick_t delay);
coap_async_t *__wrap_coap_register_async(coap_session_t *session, const coap_pdu_t *request,
					 coap_tick_t delay)
{
	return no_async ? NULL : __real_coap_register_async(session, request, delay);
}

/* No memory is given back with the key in it. */
static uint8_t secret[32];
static unsigned int leaked;

void __real_free(void *at);
void __wrap_free(void *at);
void __wrap_free(void *at)
{
	if (at && memmem(at, malloc_usable_size(at), secret, sizeof(secret)))
		leaked++;
	__real_free(at);
}

static struct authority authority = { ask, NULL };

static int begin(void **state)
{
	(void)state;
	key = issue_key();
	client = pki_cert(NULL, NULL, key, "1", -1, 1);
	base = event_base_new();
	server = est_server_new(base, EST_RFC9148, &authority, NULL, NULL, NULL, &where);
	if (!server)
		return -1;
	est_server_set_gate(server, (struct gate *)&where); /* any */
	for (unsigned int i = 0; i < PLEDGES; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (connect(fds[i], (struct sockaddr *)&where, sizeof(where)))
			return -1;
	}
	n_asked = cleared = 0;
	no_async = at_once = false;
	memset(secret, 0xa5, sizeof(secret));
	return 0;
}

static int end(void **state)
{
	(void)state;
	est_server_free(server);
	server = NULL;
	for (unsigned int i = 0; i < PLEDGES; i++)
		close(fds[i]);
	event_base_free(base);
	X509_free(client);
	EVP_PKEY_free(key);
	return 0;
}

/* ---- messages ---- */

static uint8_t got[1500];

/* Runs the server for MS at most; the length of what pledge I hears, in GOT, or 0. */
static size_t hear(unsigned int i, unsigned int ms)
{
	uint64_t until = jpx_now_ms() + ms;
	ssize_t len;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		len = recv(fds[i], got, sizeof(got), 0);
		if (len > 0)
			return (size_t)len;
		usleep(2000);
	} while (jpx_now_ms() < until);
	return 0;
}

/* GET est/att by pledge I, CON, with number MID, TOKEN_LEN octets of TOKEN and, unless 0, OPTION.
 */
static void get(unsigned int i, uint8_t mid, uint8_t token, size_t token_len, unsigned int option,
		uint8_t value)
{
	uint8_t message[64] = { (uint8_t)(0x40 | token_len), 1, 0x77, mid }, *at = message + 4;
	unsigned int last = 11;

	memset(at, token, token_len);
	at += token_len;
	*at++ = 0xb3;
	memcpy(at, "est", 3);
	at += 3;
	*at++ = 0x03;
	memcpy(at, "att", 3);
	at += 3;
	if (option) {
		assert_true(option - last < 13);
		*at++ = (uint8_t)((option - last) << 4 | 1);
		*at++ = value;
	}
	assert_int_equal(send(fds[i], message, (size_t)(at - message), 0), at - message);
}

static bool is_empty_ack(size_t len, uint8_t mid)
{
	return len == 4 && got[0] == 0x60 && got[1] == 0 && got[2] == 0x77 && got[3] == mid;
}

/* Is it a message of its own with CODE and TOKEN? */
static bool is_separate(size_t len, uint8_t code, uint8_t token, size_t token_len)
{
	if (len < 4 + token_len || got[0] != (0x40 | token_len) || got[1] != code)
		return false;
	for (size_t i = 0; i < token_len; i++)
		if (got[4 + i] != token)
			return false;
	return true;
}

static void acknowledge(unsigned int i)
{
	uint8_t ack[4] = { 0x60, 0, got[2], got[3] };

	assert_int_equal(send(fds[i], ack, 4, 0), 4);
	assert_int_equal(hear(i, 20), 0);
}

/* ---- tests ---- */

static void test_separate(void **state)
{
	(void)state;
	get(0, 1, 'a', 4, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 1));
	assert_int_equal(n_asked, 1);
	/* The same once more, and the same token for another: it is the one that waits. */
	get(0, 1, 'a', 4, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 1));
	get(0, 2, 'a', 4, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 2));
	assert_int_equal(n_asked, 1);
	assert_int_equal(cleared, 0);
	/* The same token of somebody else is another one. */
	get(1, 1, 'a', 4, 0, 0);
	assert_true(is_empty_ack(hear(1, 5000), 1));
	assert_int_equal(n_asked, 2);
	tell(1, AUTHORITY_LATER);
	assert_true(is_separate(hear(1, 5000), 0xa3, 'a', 4));
	assert_int_equal(got[8], 0xd1); /* Max-Age, of one octet */
	assert_int_equal(got[10], 7);
	acknowledge(1);
	tell(0, AUTHORITY_DONE);
	assert_true(is_separate(hear(0, 5000), 0x45, 'a', 4));
	acknowledge(0);
	assert_int_equal(cleared, 2);
	/* The token is free again. */
	get(0, 3, 'a', 4, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 3));
	assert_int_equal(n_asked, 3);
}

static void test_empty_token(void **state)
{
	(void)state;
	get(0, 1, 0, 0, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 1));
	get(0, 2, 0, 0, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 2));
	assert_int_equal(n_asked, 1);
	tell(0, AUTHORITY_DONE);
	/* It comes again while the answer is on its way: that is another one. */
	get(0, 3, 0, 0, 0, 0);
	assert_true(is_separate(hear(0, 5000), 0x45, 0, 0));
	assert_true(is_empty_ack(hear(0, 5000), 3));
	assert_int_equal(cleared, 1);
	assert_int_equal(n_asked, 2);
}

/* Several are told in one turn, in another order than they asked in. */
static void test_several(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 6; i++) {
		get(i % 2, i, (uint8_t)('a' + i), 2, 0, 0);
		assert_true(is_empty_ack(hear(i % 2, 5000), i));
	}
	for (unsigned int i = 6; i-- > 0;)
		tell(i, i % 3 ? AUTHORITY_FORBIDDEN : AUTHORITY_NONE);
	/* RFC 7252 4.7: one, and the next when that was acknowledged. */
	for (unsigned int i = 0; i < 6; i++) {
		assert_true(hear(i % 2, 5000) > 0);
		assert_true(got[1] == 0x83 || got[1] == 0x84);
		got[0] = 0x60;
		got[1] = 0;
		assert_int_equal(send(fds[i % 2], got, 4, 0), 4);
	}
	assert_int_equal(cleared, 6);
}

/* The one that libcoap answers by itself is forgotten when others come. */
static void lost(unsigned int option, uint8_t value, uint8_t code)
{
	get(0, 1, 'a', 4, option, value);
	assert_true(is_empty_ack(hear(0, 5000), 1));
	assert_int_equal(n_asked, 1);
	if (option == BLOCK2) { /* now there is an answer with blocks */
		at_once = true;
		get(0, 2, 'b', 4, 0, 0);
		assert_true(hear(0, 5000) > 0 && got[1] == 0x45);
		assert_int_equal(cleared, 1);
		cleared = 0;
		at_once = false;
	}
	tell(0, AUTHORITY_DONE);
	assert_true(hear(0, 5000) > 0);
	assert_int_equal(got[1], code);
	acknowledge(0);
	assert_int_equal(cleared, 0);
	usleep(1100000);
	get(0, 3, 'c', 4, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 3));
	assert_int_equal(cleared, 1);
}

static void test_hop_limit(void **state)
{
	(void)state;
	lost(HOP_LIMIT, 2, 0xa8);
}

static void test_later_block(void **state)
{
	(void)state;
	lost(BLOCK2, 1 << 4 | 5, 0x45);
}

/* libcoap cannot remember it: refused, and told for nobody. */
static void test_abandoned(void **state)
{
	(void)state;
	no_async = true;
	get(0, 1, 'a', 4, 0, 0);
	assert_true(hear(0, 5000) > 0 && got[1] == 0xa0);
	assert_int_equal(cleared, 0);
	tell(0, AUTHORITY_DONE);
	assert_int_equal(cleared, 1);
	assert_int_equal(hear(0, 50), 0);
}

/* Who asked is gone; and the server goes while others wait, told and not told. */
static void test_ends(void **state)
{
	(void)state;
	get(0, 1, 'a', 4, 0, 0);
	get(1, 1, 'a', 4, 0, 0);
	assert_true(is_empty_ack(hear(0, 5000), 1) && is_empty_ack(hear(1, 5000), 1));
	get(1, 2, 'b', 4, 0, 0);
	assert_true(is_empty_ack(hear(1, 5000), 2));
	close(fds[0]);
	tell(0, AUTHORITY_DONE);
	assert_int_equal(hear(1, 50), 0);
	assert_int_equal(cleared, 1);
	fds[0] = dup(fds[1]);
	tell(1, AUTHORITY_DONE);
	est_server_free(server);
	server = NULL;
	assert_int_equal(cleared, 3);
}

/* A key that was made here, or by the authority, is nowhere once it has been sent. */
static void test_key(void **state)
{
	struct authority_answer answer = { .verdict = AUTHORITY_DONE,
					   .key = issue_key(),
					   .certs = sk_X509_new_null() };
	static const uint8_t head[] = { 0x44, 2,   0x77, 1,   'k', 'k', 'k',  'k', 0xb3, 'e',
					's',  't', 3,	 's', 'k', 'g', 0x12, 1,   0x1e, 0xff };
	X509_REQ *csr = pki_request(key, "1", 0, NULL);
	static uint8_t message[17000];
	BIGNUM *number = NULL;
	size_t len;

	(void)state;
	memcpy(message, head, sizeof(head));
	len = sizeof(head) + pki_der(csr, message + sizeof(head));
	X509_REQ_free(csr);
	assert_int_equal(EVP_PKEY_get_bn_param(answer.key, "priv", &number), 1);
	assert_int_equal(BN_bn2binpad(number, secret, sizeof(secret)), sizeof(secret));
	BN_clear_free(number);
	sk_X509_push(answer.certs, client);
	X509_up_ref(client);
	leaked = 0;
	assert_int_equal(send(fds[0], message, len, 0), len);
	assert_true(is_empty_ack(hear(0, 5000), 1));
	asked[0].told(asked[0].arg, &answer);
	assert_true(hear(0, 5000) > 0);
	assert_int_equal(got[1], 0x44);
	acknowledge(0);
	est_server_free(server);
	server = NULL;
	assert_int_equal(leaked, 0);
	memset(secret, 0xa5, sizeof(secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_separate, begin, end),
		cmocka_unit_test_setup_teardown(test_empty_token, begin, end),
		cmocka_unit_test_setup_teardown(test_several, begin, end),
		cmocka_unit_test_setup_teardown(test_hop_limit, begin, end),
		cmocka_unit_test_setup_teardown(test_later_block, begin, end),
		cmocka_unit_test_setup_teardown(test_abandoned, begin, end),
		cmocka_unit_test_setup_teardown(test_ends, begin, end),
		cmocka_unit_test_setup_teardown(test_key, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
