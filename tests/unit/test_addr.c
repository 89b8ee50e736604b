/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoints as people type and read them.  Uses no interface but lo and no
 * network at all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/common/addr.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *text;
	uint16_t default_port;
	const char *addr;
	uint16_t port;
	const char *again; /* how it is written back */
} good[] = {
	{ "[2001:db8::1]:5684", 0, "2001:db8::1", 5684, "[2001:db8::1]:5684" },
	{ "[2001:db8::1]:1", 0, "2001:db8::1", 1, "[2001:db8::1]:1" },
	{ "[2001:db8::1]:65535", 0, "2001:db8::1", 65535, "[2001:db8::1]:65535" },
	{ "[2001:db8::1]:05684", 0, "2001:db8::1", 5684, "[2001:db8::1]:5684" },
	{ "[2001:DB8:0:0:0:0:0:1]:99", 7, "2001:db8::1", 99, "[2001:db8::1]:99" },
	{ "[2001:db8::1]", 5684, "2001:db8::1", 5684, "[2001:db8::1]:5684" },
	{ "2001:db8::1", 5684, "2001:db8::1", 5684, "[2001:db8::1]:5684" },
	{ "fd00::1:99", 5684, "fd00::1:99", 5684, "[fd00::1:99]:5684" },
	{ "[::]:1", 0, "::", 1, "[::]:1" },
	{ "[2001:0db8:0001:0002:0003:0004:0005:0006]:60000", 0, "2001:db8:1:2:3:4:5:6", 60000,
	  "[2001:db8:1:2:3:4:5:6]:60000" },
	{ "[0000:0000:0000:0000:0000:ffff:192.168.100.200]:8", 0, "::ffff:192.168.100.200", 8,
	  "192.168.100.200:8" },
	{ "192.0.2.1:7634", 0, "::ffff:192.0.2.1", 7634, "192.0.2.1:7634" },
	{ "192.0.2.1:65535", 5684, "::ffff:192.0.2.1", 65535, "192.0.2.1:65535" },
	{ "192.0.2.1", 5684, "::ffff:192.0.2.1", 5684, "192.0.2.1:5684" },
	{ "[::ffff:192.0.2.1]:1", 0, "::ffff:192.0.2.1", 1, "192.0.2.1:1" },
	{ "[::ffff:c000:201]:1", 0, "::ffff:192.0.2.1", 1, "192.0.2.1:1" },
	{ "::ffff:192.0.2.1", 5684, "::ffff:192.0.2.1", 5684, "192.0.2.1:5684" },
	{ "0.0.0.0:7634", 0, "::ffff:0.0.0.0", 7634, "0.0.0.0:7634" },
	{ "169.254.1.2%lo:7634", 0, "::ffff:169.254.1.2", 7634, "169.254.1.2%lo:7634" },
	{ "169.254.1.2%lo", 7634, "::ffff:169.254.1.2", 7634, "169.254.1.2%lo:7634" },
	{ "[::192.0.2.1]:1", 0, "::192.0.2.1", 1, "[::192.0.2.1]:1" },
	{ "[::fffe:192.0.2.1]:1", 0, "::fffe:c000:201", 1, "[::fffe:c000:201]:1" },
	{ "[fe80::1%lo]:5683", 0, "fe80::1", 5683, "[fe80::1%lo]:5683" },
	{ "fe80::1%lo", 5683, "fe80::1", 5683, "[fe80::1%lo]:5683" },
};

static const struct {
	const char *text;
	uint16_t default_port;
	const char *err; /* what the sentence says behind the quoted text */
} bad[] = {
	{ "", 0, "is no IP address" },
	{ "", 5684, "is no IP address" },
	{ "[]:1", 0, "is no IP address" },
	{ "[::1:99", 0, "has no closing bracket" },
	{ "[", 5684, "has no closing bracket" },
	{ "[::1]", 0, "has no port;" },
	{ "::1", 0, "has no port;" },
	{ "[::1]:", 5684, "has no port from 1 to 65535" },
	{ "[::1]:0", 5684, "has no port from 1 to 65535" },
	{ "[::1]:65536", 0, "has no port from 1 to 65535" },
	{ "[::1]:-1", 0, "has no port from 1 to 65535" },
	{ "[::1]:+1", 0, "has no port from 1 to 65535" },
	{ "[::1]: 1", 0, "has no port from 1 to 65535" },
	{ "[::1]:1 ", 0, "has no port from 1 to 65535" },
	{ "[::1]:1x", 0, "has no port from 1 to 65535" },
	{ "[::1]:0x10", 0, "has no port from 1 to 65535" },
	{ "[::1]:99999999999999999999999", 0, "has no port from 1 to 65535" },
	{ "[::1]5684", 0, "has something behind the bracket" },
	{ "[::1]]:1", 0, "has something behind the bracket" },
	{ "[::1%nosuchif0]:1", 0, "names an interface that does not exist" },
	{ "[fe80::1%]:1", 0, "names an interface that does not exist" },
	{ "[192.168.1.1]:1", 0, "has brackets around an IPv4 address" },
	{ "[192.168.1.1]", 1, "has brackets around an IPv4 address" },
	{ "192.168.1.1", 0, "has no port; write it as 192.0.2.1:5684" },
	{ "192.168.1.1:", 5684, "has no port from 1 to 65535" },
	{ "192.168.1.1:0", 5684, "has no port from 1 to 65535" },
	{ "192.168.1.1:65536", 0, "has no port from 1 to 65535" },
	{ "192.168.1.1:1x", 0, "has no port from 1 to 65535" },
	{ "192.168.1.1:1:1", 0, "is no IP address" },
	{ "192.168.1.256:1", 0, "is no IP address" },
	{ "192.168.1:1", 0, "is no IP address" },
	{ "192.168.1.1.1:1", 0, "is no IP address" },
	{ "192.168.01.1:1", 0, "is no IP address" },
	{ "0xc0000201:1", 0, "is no IP address" },
	{ " 192.168.1.1:1", 0, "is no IP address" },
	{ ":1", 0, "is no IP address" },
	{ "169.254.1.2%nosuchif0:1", 0, "names an interface that does not exist" },
	{ "[::ffff:192.168.1.256]:1", 0, "is no IP address" },
	{ "registrar.example:5684", 0, "is no IP address" },
	{ "[::1]::1", 0, "has no port from 1 to 65535" },
	{ "[:::1]:1", 0, "is no IP address" },
	{ "[::g]:1", 0, "is no IP address" },
	{ "[0000000000000000000000000000000000000000000000000000000000000001]:1", 0,
	  "is no IP address" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char err[256] = "", buf[JPX_ENDPOINT_STRLEN];
		struct sockaddr_in6 sa;
		struct in6_addr want;

		memset(&sa, 0xff, sizeof(sa));
		if (jpx_endpoint_parse(good[i].text, good[i].default_port, &sa, err, sizeof(err)))
			fail_msg("%s: %s", good[i].text, err);
		assert_int_equal(inet_pton(AF_INET6, good[i].addr, &want), 1);
		assert_int_equal(sa.sin6_family, AF_INET6);
		assert_memory_equal(&sa.sin6_addr, &want, sizeof(want));
		assert_int_equal(ntohs(sa.sin6_port), good[i].port);
		assert_int_equal(sa.sin6_flowinfo, 0);
		assert_int_equal(sa.sin6_scope_id,
				 strchr(good[i].text, '%') ? if_nametoindex("lo") : 0);
		assert_ptr_equal(jpx_endpoint_format(&sa, buf, sizeof(buf)), buf);
		assert_string_equal(buf, good[i].again);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char err[256] = "", quoted[128];
		struct sockaddr_in6 sa;
		size_t n;

		assert_int_equal(
			jpx_endpoint_parse(bad[i].text, bad[i].default_port, &sa, err, sizeof(err)),
			-EINVAL);
		n = (size_t)snprintf(quoted, sizeof(quoted), "\"%s\" %s", bad[i].text, bad[i].err);
		if (strncmp(err, quoted, n))
			fail_msg("%s: said: %s", bad[i].text, err);
		assert_int_not_equal(err[strlen(err) - 1], '.');
	}
}

/* A long host, a long zone and a short place for the sentence stay within their bounds. */
static void test_bounds(void **state)
{
	struct sockaddr_in6 sa;
	char text[512], *err = malloc(8);

	(void)state;
	assert_non_null(err);
	for (size_t n = 0; n < 400; n++) {
		text[0] = '[';
		memset(text + 1, n & 1 ? '1' : '%', n);
		strcpy(text + 1 + n, "]:1");
		assert_int_equal(jpx_endpoint_parse(text, 0, &sa, err, 8), -EINVAL);
		assert_true(memchr(err, 0, 8));
	}
	free(err);
}

static void test_format(void **state)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(65535),
				   .sin6_scope_id = 0x7ffffff0 };
	char buf[JPX_ENDPOINT_STRLEN], *exact = malloc(10);

	(void)state;
	assert_non_null(exact);
	/* an interface that is gone is left out */
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &sa.sin6_addr), 1);
	assert_string_equal(jpx_endpoint_format(&sa, buf, sizeof(buf)), "[fe80::1]:65535");
	assert_string_equal(jpx_endpoint_format(&sa, exact, 10), "[fe80::1]");
	free(exact);
	/* the longest there is */
	sa.sin6_scope_id = if_nametoindex("lo");
	memset(&sa.sin6_addr, 0xff, sizeof(sa.sin6_addr));
	assert_string_equal(jpx_endpoint_format(&sa, buf, sizeof(buf)),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%lo]:65535");
	assert_true(JPX_ENDPOINT_STRLEN >= 1 + (INET6_ADDRSTRLEN - 1) + 1 + (IF_NAMESIZE - 1) + 8);
}

/* An address and nothing else. */
static void test_addr_alone(void **state)
{
	static const char *const addrs[] = { "2001:db8::1", "192.0.2.1", "fe80::1",
					     "::", "0.0.0.0" };
	static const char *const none[] = {
		"",	"x",	"[2001:db8::1]", "fe80::1%lo",	"192.0.2.1:1", "[2001:db8::1]:1",
		" ::1", "::1 ", "192.0.2",	 "2001:db8:::1"
	};
	char buf[INET6_ADDRSTRLEN], err[200];
	struct in6_addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		assert_int_equal(jpx_addr_parse(addrs[i], &addr, err, sizeof(err)), 0);
		assert_string_equal(jpx_addr_format(&addr, buf, sizeof(buf)), addrs[i]);
	}
	assert_int_equal(jpx_addr_parse("192.0.2.1", &addr, err, sizeof(err)), 0);
	assert_true(IN6_IS_ADDR_V4MAPPED(&addr));
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		*err = 0;
		if (jpx_addr_parse(none[i], &addr, err, sizeof(err)) != -EINVAL)
			fail_msg("\"%s\" is taken for an address", none[i]);
		assert_non_null(strstr(err, "is no IP address"));
		assert_int_equal(*err, '"');
	}
}

static struct in6_addr address(const char *text)
{
	struct in6_addr addr;

	assert_int_equal(inet_pton(AF_INET6, text, &addr), 1);
	return addr;
}

static void test_address_text(void **state)
{
	static const char *const texts[][2] = {
		{ "::", "::" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:0DB8::0", "2001:db8::" },
		{ "::ffff:0:0", "0.0.0.0" },
		{ "::ffff:255.255.255.255", "255.255.255.255" },
		{ "::fffe:255.255.255.255", "::fffe:ffff:ffff" },
		{ "1::ffff:255.255.255.255", "1::ffff:ffff:ffff" },
	};
	struct in_addr quad = { htonl(0xc0000201) };
	char buf[INET6_ADDRSTRLEN], *exact = malloc(9);
	struct in6_addr addr;

	(void)state;
	assert_non_null(exact);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		addr = address(texts[i][0]);
		assert_ptr_equal(jpx_addr_format(&addr, buf, sizeof(buf)), buf);
		assert_string_equal(buf, texts[i][1]);
	}
	addr = jpx_addr_map(quad);
	assert_string_equal(jpx_addr_format(&addr, buf, sizeof(buf)), "192.0.2.1");
	assert_string_equal(jpx_addr_format(&addr, exact, 9), ""); /* not half an address */
	assert_string_equal(jpx_endpoint_join("192.0.2.1", 1, buf, sizeof(buf)), "192.0.2.1:1");
	assert_string_equal(jpx_endpoint_join("fe80::1%lo", 65535, buf, sizeof(buf)),
			    "[fe80::1%lo]:65535");
	free(exact);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		bool host, link_local;
	} kinds[] = {
		{ "2001:db8::1", true, false },
		{ "fe80::1", true, true },
		{ "febf::1", true, true },
		{ "fec0::1", true, false },
		{ "::", false, false },
		{ "::1", true, false },
		{ "ff02::1", false, false },
		{ "::ffff:192.0.2.1", true, false },
		{ "::ffff:0.0.0.0", false, false },
		{ "::ffff:0.0.0.1", true, false },
		{ "::ffff:127.0.0.1", true, false },
		{ "::ffff:169.253.255.255", true, false },
		{ "::ffff:169.254.0.0", true, true },
		{ "::ffff:169.254.255.255", true, true },
		{ "::ffff:169.255.0.0", true, false },
		{ "::ffff:223.255.255.255", true, false },
		{ "::ffff:224.0.0.0", false, false },
		{ "::ffff:239.255.255.255", false, false },
		{ "::ffff:240.0.0.0", true, false },
		{ "::ffff:255.255.255.254", true, false },
		{ "::ffff:255.255.255.255", false, false },
		/* the bytes of a group, but not mapped */
		{ "2001:db8::224.0.0.1", true, false },
		{ "2001:db8::169.254.1.1", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct in6_addr addr = address(kinds[i].text);

		if (jpx_addr_is_host(&addr) != kinds[i].host)
			fail_msg("%s: host", kinds[i].text);
		if (jpx_addr_is_link_local(&addr) != kinds[i].link_local)
			fail_msg("%s: link-local", kinds[i].text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	     cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),	     cmocka_unit_test(test_format),
		cmocka_unit_test(test_address_text), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_addr_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
