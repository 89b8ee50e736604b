/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a DTLS client sent again is counted, to the last flight, and what it sent anew is not; and
 * the alert that ended a session is known.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../ctl/jpledge/dtls_watch.h"
#include "pki.h"

/* Longer than a busy machine takes for a flight, or it would be sent again unasked. */
#define TIMER_US 500000

struct ends {
	SSL *client, *server;
	int client_fd, server_fd;
	struct dtls_watch w;
};

/* Datagrams of either end, on two sockets that know each other alone. */
static void sockets(struct ends *e)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		at.sin6_port = 0;
		assert_return_code(bind(fds[i], (struct sockaddr *)&at, sizeof(at)), 0);
	}
	for (int i = 0; i < 2; i++) {
		socklen_t len = sizeof(at);

		assert_return_code(getsockname(fds[!i], (struct sockaddr *)&at, &len), 0);
		assert_return_code(connect(fds[i], (struct sockaddr *)&at, len), 0);
	}
	e->client_fd = fds[0];
	e->server_fd = fds[1];
}

static unsigned int soon(SSL *ssl, unsigned int us)
{
	(void)ssl;
	(void)us;
	return TIMER_US;
}

static SSL *end(SSL_CTX *ctx, int fd)
{
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);
	SSL *ssl = SSL_new(ctx);
	BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);

	assert_non_null(ssl);
	assert_return_code(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	BIO_ctrl_set_connected(bio, &peer);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(ssl, 1200);
	DTLS_set_timer_cb(ssl, soon);
	return ssl;
}

static int begin(void **state)
{
	static struct ends ends;
	SSL_CTX *client = SSL_CTX_new(DTLS_client_method());
	SSL_CTX *server = SSL_CTX_new(DTLS_server_method());
	EVP_PKEY *key = issue_key();
	X509 *ca = pki_cert(NULL, key, key, NULL, -1, 1);
	X509 *cert = pki_cert(ca, key, key, NULL, -1, 1);

	ends = (struct ends){ 0 };
	sockets(&ends);
	assert_int_equal(SSL_CTX_use_certificate(server, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
	ends.client = end(client, ends.client_fd);
	ends.server = end(server, ends.server_fd);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(key);
	/* as est_client.c has it: the first ClientHello is on its way */
	SSL_connect(ends.client);
	dtls_watch(&ends.w, ends.client);
	*state = &ends;
	return 0;
}

static int finish(void **state)
{
	struct ends *e = *state;

	SSL_free(e->client);
	SSL_free(e->server);
	close(e->client_fd);
	close(e->server_fd);
	return 0;
}

/* Everything that is on its way to FD is lost. */
static void lose(int fd)
{
	char buf[2048];
	int lost = 0;

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		lost++;
	assert_true(lost > 0);
}

static void client_timer(struct ends *e)
{
	usleep(TIMER_US);
	assert_int_equal(DTLSv1_handle_timeout(e->client), 1);
}

static void shake_hands(struct ends *e)
{
	for (int i = 0;
	     i < 10 && !(SSL_is_init_finished(e->client) && SSL_is_init_finished(e->server)); i++) {
		SSL_accept(e->server);
		SSL_connect(e->client);
	}
	assert_true(SSL_is_init_finished(e->client) && SSL_is_init_finished(e->server));
}

static void expect(const struct ends *e, unsigned int handshake, unsigned int coap)
{
	assert_int_equal(e->w.flights_again, handshake);
	assert_int_equal(e->w.messages_again, coap);
}

static void test_nothing_lost(void **state)
{
	struct ends *e = *state;

	shake_hands(e);
	expect(e, 0, 0);
}

static void test_first_hello(void **state)
{
	struct ends *e = *state;

	lose(e->server_fd);
	client_timer(e);
	expect(e, 1, 0);
	lose(e->server_fd);
	client_timer(e);
	expect(e, 2, 0);
	shake_hands(e);
	expect(e, 2, 0);
}

/* ClientKeyExchange, ChangeCipherSpec and Finished are one flight. */
static void test_last_flight(void **state)
{
	struct ends *e = *state;

	SSL_accept(e->server);
	SSL_connect(e->client);
	assert_int_equal(e->w.last_seq, 2); /* Finished: one more than ClientKeyExchange */
	lose(e->server_fd);
	client_timer(e);
	expect(e, 1, 0);
	shake_hands(e);
	expect(e, 1, 0);
}

static void say(SSL *from, SSL *to, const char *what)
{
	char buf[64];
	int len = (int)strlen(what);

	assert_int_equal(SSL_write(from, what, len), len);
	assert_int_equal(SSL_read(to, buf, sizeof(buf)), len);
}

static void test_messages(void **state)
{
	struct ends *e = *state;

	shake_hands(e);
	say(e->client, e->server, "block 1");
	expect(e, 0, 0);
	say(e->client, e->server, "block 1");
	say(e->client, e->server, "block 1");
	expect(e, 0, 2);
	/* each of them answered: the same length says nothing */
	say(e->server, e->client, "continue");
	say(e->client, e->server, "block 2");
	say(e->server, e->client, "continue");
	say(e->client, e->server, "block 3");
	expect(e, 0, 2);
	/* an acknowledgement and the next request */
	say(e->server, e->client, "content");
	say(e->client, e->server, "ack");
	say(e->client, e->server, "another request");
	expect(e, 0, 2);
}

/* Counts go on over the next session, which begins anew. */
static void test_next_session(void **state)
{
	struct ends *e = *state;

	lose(e->server_fd);
	client_timer(e);
	shake_hands(e);
	say(e->client, e->server, "block 1");
	dtls_watch(&e->w, e->client);
	say(e->client, e->server, "block 1");
	expect(e, 1, 0);
}

/* Who goes first leaves nothing behind that is written to. */
static void test_unwatch(void **state)
{
	struct ends *e = *state;

	shake_hands(e);
	say(e->client, e->server, "block 1");
	dtls_unwatch(e->client);
	say(e->client, e->server, "block 1");
	expect(e, 0, 0);
}

static void shake_in_vain(struct ends *e)
{
	for (int i = 0; i < 5; i++) {
		SSL_accept(e->server);
		SSL_connect(e->client);
	}
}

static void test_no_alert(void **state)
{
	struct ends *e = *state;

	assert_false(e->w.heard);
	shake_hands(e);
	assert_true(e->w.heard);
	/* close_notify is no failure */
	SSL_shutdown(e->server);
	SSL_shutdown(e->client);
	assert_int_equal(e->w.alert_got, DTLS_NO_ALERT);
	assert_int_equal(e->w.alert_sent, DTLS_NO_ALERT);
}

static void test_alert_got(void **state)
{
	struct ends *e = *state;

	SSL_set_verify(e->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	shake_in_vain(e);
	assert_int_equal(e->w.alert_got, SSL_AD_HANDSHAKE_FAILURE);
	assert_int_equal(e->w.alert_sent, DTLS_NO_ALERT);
}

static void test_alert_sent(void **state)
{
	struct ends *e = *state;

	SSL_set_verify(e->client, SSL_VERIFY_PEER, NULL);
	shake_in_vain(e);
	assert_int_equal(e->w.alert_got, DTLS_NO_ALERT);
	assert_int_equal(e->w.alert_sent, SSL_AD_UNKNOWN_CA);
	/* of the former session */
	dtls_watch(&e->w, e->client);
	assert_int_equal(e->w.alert_sent, DTLS_NO_ALERT);
	assert_true(e->w.heard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_lost, begin, finish),
		cmocka_unit_test_setup_teardown(test_first_hello, begin, finish),
		cmocka_unit_test_setup_teardown(test_last_flight, begin, finish),
		cmocka_unit_test_setup_teardown(test_messages, begin, finish),
		cmocka_unit_test_setup_teardown(test_next_session, begin, finish),
		cmocka_unit_test_setup_teardown(test_unwatch, begin, finish),
		cmocka_unit_test_setup_teardown(test_no_alert, begin, finish),
		cmocka_unit_test_setup_teardown(test_alert_got, begin, finish),
		cmocka_unit_test_setup_teardown(test_alert_sent, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
