/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the benchmark of enrolling needs beside `openssl speed' and `jpledge swarm':
 *
 *   est-bench keygen                   seconds of CPU time that a P-256 key takes
 *   est-bench hold PORT DIR N          N pledges with DIR/device-1.pem and on shake hands with
 *                                      [::1]:PORT, print "held" and stay until standard input ends
 *   est-bench bare STATE DIR N         a DTLS server of nothing but OpenSSL: prints by how much one
 *                                      of N established sessions makes it larger (RSS), and the
 *                                      seconds of CPU time that its handshake took, with the
 *                                      Registrar's certificates of STATE and the pledges' of DIR;
 *                                      whose IDevID it is, is not verified
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SUITES	    "ECDHE-ECDSA-AES128-CCM8"
#define KEYS	    2000
#define WARM_UP	    50
#define PATIENCE_MS 30000

static void fail(const char *what)
{
	fprintf(stderr, "est-bench: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

/* ---- keys ---- */

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void keygen(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	double since;

	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_group_name(ctx, "P-256") != 1)
		fail("no keys can be made");
	since = cpu_s();
	for (int i = 0; i < KEYS; i++) {
		EVP_PKEY *key = NULL;

		if (EVP_PKEY_keygen(ctx, &key) != 1)
			fail("no key can be made");
		EVP_PKEY_free(key);
	}
	printf("%.9f\n", (cpu_s() - since) / KEYS);
	EVP_PKEY_CTX_free(ctx);
}

/* ---- the same contexts for both ---- */

static SSL_CTX *context(const SSL_METHOD *method, const char *key, const char *chain)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		fail("no memory");
	/* As jpreg has it: a tag of eight octets counts as 64 bits of security. */
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, SUITES) || !SSL_CTX_set1_groups_list(ctx, "P-256"))
		fail("OpenSSL cannot be set up");
	if (key && (SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
		    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1))
		fail("a certificate or its key cannot be read");
	return ctx;
}

static void identify(SSL *ssl, const char *dir, int n)
{
	char file[400];

	snprintf(file, sizeof(file), "%s/device-%d.pem", dir, n);
	if (SSL_use_certificate_file(ssl, file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM) != 1)
		fail(file);
}

/* ---- pledges that stay ---- */

static SSL *shake_hands(SSL_CTX *ctx, const struct sockaddr_in6 *to, const char *dir, int n)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0), ret, left = PATIENCE_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	SSL *ssl = SSL_new(ctx);
	BIO *bio = BIO_new_dgram(fd, BIO_CLOSE);

	if (fd < 0 || !ssl || !bio || connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		fail("no socket");
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, (void *)to);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_mtu(ssl, 1200);
	identify(ssl, dir, n);
	while ((ret = SSL_connect(ssl)) != 1) {
		if (SSL_get_error(ssl, ret) != SSL_ERROR_WANT_READ || left <= 0)
			fail("a handshake failed");
		if (!poll(&p, 1, 100))
			left -= 100;
		DTLSv1_handle_timeout(ssl);
	}
	return ssl;
}

/* GET /.well-known/est/crts, confirmable: the Registrar's CoAP server is to know the pledge, too.
 */
static void ask(SSL *ssl)
{
	static const uint8_t get[] = "\x41\x01\x12\x34\x77\xbb.well-known\x03"
				     "est\x04"
				     "crts";
	struct pollfd p = { .fd = SSL_get_fd(ssl), .events = POLLIN };
	uint8_t answer[2048];
	int ret;

	for (int i = 0; i < 10; i++) {
		if (SSL_write(ssl, get, sizeof(get) - 1) <= 0)
			fail("a request cannot be sent");
		poll(&p, 1, 2000);
		ret = SSL_read(ssl, answer, sizeof(answer));
		if (ret > 4 && answer[1] == 0x45)
			return;
	}
	fail("a request was not answered with 2.05");
}

static void hold(const char *port, const char *dir, int count)
{
	SSL_CTX *ctx = context(DTLS_client_method(), NULL, NULL);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				   .sin6_port = htons((uint16_t)atoi(port)) };
	SSL **all = calloc((size_t)count, sizeof(SSL *));
	char line[16];

	if (!all)
		fail("no memory");
	for (int i = 0; i < count; i++)
		all[i] = shake_hands(ctx, &to, dir, i + 1);
	puts("held");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return;
	for (int i = 0; i < count; i++)
		ask(all[i]);
	puts("asked");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return;
	for (int i = 0; i < count; i++)
		SSL_shutdown(all[i]);
}

/* ---- what a session takes OpenSSL ---- */

/* The pledges are another process, and one handshake is under way at a time: one pair of sockets
 * serves all. */
static int line_fd, line_flags;

static int line_read(BIO *bio, char *buf, int cap)
{
	ssize_t len = recv(line_fd, buf, (size_t)cap, line_flags);

	BIO_clear_retry_flags(bio);
	if (len < 0)
		BIO_set_retry_read(bio);
	return len < 0 ? -1 : (int)len;
}

static int line_write(BIO *bio, const char *buf, int len)
{
	(void)bio;
	if (send(line_fd, buf, (size_t)len, MSG_NOSIGNAL) != len)
		fail("the other end is gone");
	return len;
}

static long line_ctrl(BIO *bio, int what, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return what == BIO_CTRL_FLUSH ? 1 : what == BIO_CTRL_DGRAM_QUERY_MTU ? 1200 : 0;
}

static int line_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static SSL *end_of(SSL_CTX *ctx, BIO_METHOD *method)
{
	SSL *ssl = SSL_new(ctx);
	BIO *bio = BIO_new(method);

	if (!ssl || !bio)
		fail("no memory");
	SSL_set_bio(ssl, bio, bio);
	SSL_set_mtu(ssl, 1024);
	return ssl;
}

static void be_pledges(BIO_METHOD *method, const char *dir, int count)
{
	SSL_CTX *ctx = context(DTLS_client_method(), NULL, NULL);
	SSL *ssl;
	char go;

	for (int i = 0; i < count; i++) {
		if (recv(line_fd, &go, 1, 0) != 1)
			fail("the other end is gone");
		ssl = end_of(ctx, method);
		identify(ssl, dir, i + 1);
		if (SSL_connect(ssl) != 1)
			fail("a handshake failed");
		/* Not freed: it would say good-bye. */
	}
	_exit(0);
}

static int any(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

static void serve_one(SSL_CTX *ctx, BIO_METHOD *method)
{
	SSL *ssl = end_of(ctx, method);
	char content[64];

	line_flags = 0;
	if (send(line_fd, "", 1, 0) != 1 || SSL_accept(ssl) != 1 || !SSL_get0_peer_certificate(ssl))
		fail("a handshake failed");
	/* As jpreg goes on: OpenSSL lets go of buffers when there is nothing to read. */
	line_flags = MSG_DONTWAIT;
	if (SSL_read(ssl, content, sizeof(content)) > 0)
		fail("a pledge said something");
}

static long rss(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!f || fscanf(f, "%*s %ld", &pages) != 1)
		fail("/proc/self/statm cannot be read");
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void bare(const char *state, const char *dir, int count)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "a line");
	char key[400], chain[400];
	int fds[2];
	SSL_CTX *ctx;
	long before;
	double since;

	if (!method || !BIO_meth_set_read(method, line_read) ||
	    !BIO_meth_set_write(method, line_write) || !BIO_meth_set_ctrl(method, line_ctrl) ||
	    !BIO_meth_set_create(method, line_create) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		fail("no memory");
	line_fd = fds[1];
	switch (fork()) {
	case -1:
		fail("no process");
		break;
	case 0:
		close(fds[0]);
		be_pledges(method, dir, WARM_UP + count);
	}
	line_fd = fds[0];
	close(fds[1]);
	snprintf(key, sizeof(key), "%s/registrar.key", state);
	snprintf(chain, sizeof(chain), "%s/registrar.pem", state);
	ctx = context(DTLS_server_method(), key, chain);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, any, NULL);
	/* What is made once only is not to be the sessions'. */
	for (int i = 0; i < WARM_UP; i++)
		serve_one(ctx, method);
	before = rss();
	since = cpu_s();
	for (int i = 0; i < count; i++)
		serve_one(ctx, method);
	printf("%ld %.9f\n", (rss() - before) / count, (cpu_s() - since) / count);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "keygen"))
		keygen();
	else if (!strcmp(what, "hold") && argc == 5)
		hold(argv[2], argv[3], atoi(argv[4]));
	else if (!strcmp(what, "bare") && argc == 5)
		bare(argv[2], argv[3], atoi(argv[4]));
	else {
		fprintf(stderr, "usage: est-bench keygen | hold PORT DIR N | bare STATE DIR N\n");
		return 2;
	}
	return 0;
}
