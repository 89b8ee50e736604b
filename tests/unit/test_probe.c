/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes over loopback sockets: what is sent in each form, what counts as an answer and
 * what does not, however near it comes.  The Registrar is a socket of the test's own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "../../ctl/jpd/probe.h"

#define SVC   63
#define QUIET 60 /* ms in which nothing more comes over loopback */

static struct event_base *base;
static struct jpx_state state;
static struct probes *probes;
static int registrar = -1;
static unsigned int results;
static unsigned int last_id;
static enum probe_result last_result;

/* As a server asks for a cookie (RFC 6347 4.2.1): version, length, nothing yet. */
static const uint8_t verify[] = { 22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,    0,	   15, 3,
				  0,  0,    3,	  0, 0, 0, 0, 0, 0, 3, 0xfe, 0xff, 0 };

static void on_result(void *arg, unsigned int service_id, enum probe_result result)
{
	assert_ptr_equal(arg, &state);
	results++;
	last_id = service_id;
	last_result = result;
}

/* Runs the loop until something is said, or for QUIET. */
static unsigned int hear(void)
{
	struct timeval tick = { .tv_usec = 2000 };

	results = 0;
	for (int i = 0; i < QUIET / 2 && !results; i++) {
		event_base_loopexit(base, &tick);
		event_base_dispatch(base);
	}
	return results;
}

static int bound(const char *addr, struct sockaddr_in6 *sa)
{
	socklen_t len = sizeof(*sa);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), off = 0;

	*sa = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(inet_pton(AF_INET6, addr, &sa->sin6_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
	return fd;
}

/* A service whose Registrar is a socket on ADDR, and whose uplink is ADDR, too. */
static void serve(const char *addr, enum jpx_mode mode, enum jpx_form form)
{
	struct jpx_service *s = &state.services[SVC];
	struct sockaddr_in6 sa;

	if (registrar >= 0)
		close(registrar);
	registrar = bound(addr, &sa);
	memset(s, 0, sizeof(*s));
	s->flags = JPX_SERVICE_IN_USE;
	s->mode = (uint8_t)mode;
	s->form = (uint8_t)form;
	s->ifindex = 1;
	memcpy(s->registrar, &sa.sin6_addr, 16);
	s->registrar_port = sa.sin6_port;
	memcpy(s->uplink, &sa.sin6_addr, 16);
}

/* What the Registrar got. */
static size_t take(uint8_t *buf, size_t cap, struct sockaddr_in6 *from)
{
	socklen_t len = sizeof(*from);
	ssize_t n = recvfrom(registrar, buf, cap, MSG_DONTWAIT, (struct sockaddr *)from, &len);

	assert_true(n > 0);
	return (size_t)n;
}

static void give(int fd, const void *msg, size_t len, const struct sockaddr_in6 *to)
{
	assert_int_equal(sendto(fd, msg, len, 0, (const struct sockaddr *)to, sizeof(*to)), len);
}

/* One record that holds one whole ClientHello. */
static void assert_client_hello(const uint8_t *c, size_t len)
{
	assert_true(len > 13 + 12 + 34);
	assert_true(jpx_is_dtls((uint32_t)len, c[0], c[1], c[2]));
	assert_int_equal(c[0], 22); /* handshake */
	assert_int_equal(c[11] << 8 | c[12], len - 13);
	assert_int_equal(c[13], 1); /* ClientHello */
	assert_int_equal(c[14] << 16 | c[15] << 8 | c[16], len - 13 - 12);
	assert_int_equal(c[19] << 16 | c[20] << 8 | c[21], 0); /* from its first byte ... */
	assert_int_equal(c[22] << 16 | c[23] << 8 | c[24], len - 13 - 12); /* ... to its last */
	assert_int_equal(c[25] << 8 | c[26], 0xfefd);			   /* DTLS 1.2 */
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&state, 0, sizeof(state));
	base = event_base_new();
	probes = probes_new(base, &state, on_result, &state);
	return probes ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	probes_free(probes);
	event_base_free(base);
	close(registrar);
	registrar = -1;
	return 0;
}

static void test_stateful(void **unused)
{
	static const char *const addresses[] = { "::1", "::ffff:127.0.0.1" };
	uint8_t buf[4096];
	struct sockaddr_in6 from;

	(void)unused;
	for (int i = 0; i < 2; i++) {
		serve(addresses[i], JPX_MODE_STATEFUL, JPX_FORM_DRAFT21);
		assert_int_equal(probes_send(probes, SVC), 0);
		assert_client_hello(buf, take(buf, sizeof(buf), &from));
		assert_memory_equal(&from.sin6_addr, state.services[SVC].uplink, 16);
		assert_int_equal(hear(), 0);
		give(registrar, verify, sizeof(verify), &from);
		assert_int_equal(hear(), 1);
		assert_int_equal(last_id, SVC);
		assert_int_equal(last_result, PROBE_ANSWERED);
		/* Said once; the socket is gone. */
		give(registrar, verify, sizeof(verify), &from);
		assert_int_equal(hear(), 0);
	}
}

/* In each form: as from one pledge, and it is none that there can be. */
static void test_stateless(void **unused)
{
	uint8_t one[4096], two[4096], answer[4096];
	struct jpx_jpy_layout a, b;
	struct sockaddr_in6 from;
	struct jpx_pledge pledge;
	struct jpx_span content;

	(void)unused;
	for (int form = 0; jpx_form_name((enum jpx_form)form); form++) {
		size_t len;
		ssize_t n;

		serve("::1", JPX_MODE_STATELESS, (enum jpx_form)form);
		assert_int_equal(probes_send(probes, SVC), 0);
		len = take(one, sizeof(one), &from);
		assert_int_equal(jpx_jpy_split(one, len, &a), JPX_RELAY);
		assert_client_hello(one + a.content.off, a.content.len);
		assert_int_equal(jpx_jpy_unwrap((enum jpx_form)form, one, len, &pledge, &content),
				 JPX_DROP_UNKNOWN_PLEDGE_PORT);
		assert_int_equal(probes_send(probes, SVC), 0);
		len = take(two, sizeof(two), &from);
		assert_int_equal(jpx_jpy_split(two, len, &b), JPX_RELAY);
		assert_int_equal(a.head.len, b.head.len);
		assert_memory_equal(one + a.head.off, two + b.head.off, a.head.len);
		assert_int_equal(a.tail.len, b.tail.len);
		assert_memory_equal(one + a.tail.off, two + b.tail.off, a.tail.len);

		n = jpx_jpy_answer(two, &b, verify, sizeof(verify), answer, sizeof(answer));
		assert_true(n > 0);
		give(registrar, answer, (size_t)n, &from);
		assert_int_equal(hear(), 1);
		assert_int_equal(last_result, PROBE_ANSWERED);
	}
}

/* Nearly an answer. */
static void test_no_answers(void **unused)
{
	static const uint8_t no_dtls[sizeof(verify)] = { 1, 2, 3 };
	uint8_t buf[4096], answer[4096], bad[4096];
	struct jpx_jpy_layout layout;
	struct sockaddr_in6 from, other;
	int stranger = bound("::1", &other);
	size_t len;
	ssize_t n;

	(void)unused;
	for (int form = 0; jpx_form_name((enum jpx_form)form); form++) {
		serve("::1", JPX_MODE_STATELESS, (enum jpx_form)form);
		assert_int_equal(probes_send(probes, SVC), 0);
		len = take(buf, sizeof(buf), &from);
		assert_int_equal(jpx_jpy_split(buf, len, &layout), JPX_RELAY);
		n = jpx_jpy_answer(buf, &layout, verify, sizeof(verify), answer, sizeof(answer));
		assert_true(n > 0);
		/* Every bit of the header is ours. */
		for (size_t bit = 0; bit < layout.head.len * 8; bit++) {
			memcpy(bad, answer, (size_t)n);
			bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
			give(registrar, bad, (size_t)n, &from);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
		for (size_t cut = 0; cut < (size_t)n; cut++) {
			give(registrar, answer, cut, &from);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
		give(registrar, verify, sizeof(verify), &from); /* without any header */
		give(registrar, bad,
		     (size_t)jpx_jpy_answer(buf, &layout, no_dtls, sizeof(no_dtls), bad,
					    sizeof(bad)),
		     &from);
		give(registrar, bad, (size_t)jpx_jpy_answer(buf, &layout, "", 0, bad, sizeof(bad)),
		     &from);
		memset(bad, 0xff, sizeof(bad));
		give(registrar, bad, sizeof(bad), &from);
		give(stranger, answer, (size_t)n, &from); /* from another port */
		assert_int_equal(hear(), 0);
		/* It listens still. */
		give(registrar, answer, (size_t)n, &from);
		assert_int_equal(hear(), 1);
	}
	serve("::1", JPX_MODE_STATEFUL, JPX_FORM_DRAFT02);
	assert_int_equal(probes_send(probes, SVC), 0);
	take(buf, sizeof(buf), &from);
	give(registrar, "", 0, &from);
	give(registrar, no_dtls, sizeof(no_dtls), &from);
	give(stranger, verify, sizeof(verify), &from);
	assert_int_equal(hear(), 0);
	close(stranger);
}

static void test_unreachable(void **unused)
{
	static const char *const addresses[] = { "::1", "::ffff:127.0.0.1" };

	(void)unused;
	for (int i = 0; i < 4; i++) {
		serve(addresses[i / 2], i & 1 ? JPX_MODE_STATEFUL : JPX_MODE_STATELESS,
		      JPX_FORM_DRAFT02);
		close(registrar);
		registrar = -1;
		assert_int_equal(probes_send(probes, SVC), 0);
		assert_int_equal(hear(), 1);
		assert_int_equal(last_result, PROBE_UNREACHABLE);
		assert_int_equal(hear(), 0);
	}
}

static void test_cannot_be_sent(void **unused)
{
	(void)unused;
	serve("::1", JPX_MODE_STATELESS, JPX_FORM_DRAFT21);
	inet_pton(AF_INET6, "2001:db8::77", state.services[SVC].uplink);
	assert_int_equal(probes_send(probes, SVC), -EADDRNOTAVAIL);
	serve("::1", JPX_MODE_STATELESS, JPX_FORM_DRAFT21);
	strcpy(state.services[SVC].uplink_ifname, "none-such");
	assert_true(probes_send(probes, SVC) < 0);
	assert_int_equal(hear(), 0);
}

/* Of a stateful service's addresses the first that is there. */
static void test_source(void **unused)
{
	struct jpx_service *s = &state.services[SVC];
	uint8_t buf[4096];
	struct sockaddr_in6 from;

	(void)unused;
	serve("::ffff:127.0.0.1", JPX_MODE_STATEFUL, JPX_FORM_DRAFT21);
	s->uplink_count = 3;
	s->uplinks[0] = 9;
	s->uplinks[1] = 4;
	s->uplinks[2] = 5;
	inet_pton(AF_INET6, "::ffff:127.0.0.9", state.uplinks[9].addr);
	inet_pton(AF_INET6, "::ffff:127.0.0.4", state.uplinks[4].addr);
	inet_pton(AF_INET6, "::ffff:127.0.0.5", state.uplinks[5].addr);
	state.uplinks[9].flags = JPX_UPLINK_IN_USE;
	state.uplinks[4].flags = state.uplinks[5].flags = JPX_UPLINK_IN_USE | JPX_UPLINK_READY;
	assert_int_equal(probes_send(probes, SVC), 0);
	take(buf, sizeof(buf), &from);
	assert_memory_equal(&from.sin6_addr, state.uplinks[4].addr, 16);
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* At most one socket a service, none when it is over; and no inheritance. */
static void test_descriptors(void **unused)
{
	int before;

	(void)unused;
	serve("::1", JPX_MODE_STATELESS, JPX_FORM_DRAFT21);
	before = descriptors();
	for (int i = 0; i < 20; i++)
		assert_int_equal(probes_send(probes, SVC), 0);
	assert_int_equal(descriptors(), before + 1);
	probes_stop(probes, SVC);
	probes_stop(probes, SVC);
	assert_int_equal(descriptors(), before);
	assert_int_equal(hear(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stateful),	TEST(test_stateless),	   TEST(test_no_answers),
		TEST(test_unreachable), TEST(test_cannot_be_sent), TEST(test_source),
		TEST(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
