/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors as bytes: no quote is read beyond its end, whatever it says of itself; the
 * checksum of a quoted datagram stays right when its ends change; and each type and code
 * means in the other version of IP what RFC 7915 says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/jpd/icmp_error.h"
#include "guard.h"

#define NO_WORD                                                                                    \
	{                                                                                          \
		0, 0, 0                                                                            \
	}

/* ---- messages, put down by hand ---------------------------------------------- */

#define CONTENT 200

struct message {
	uint8_t at[512];
	size_t len;
};

static void put16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)(p[0] << 8 | p[1]);
}

static unsigned int sum(const uint8_t *p, size_t len)
{
	unsigned int s = 0;

	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (unsigned int)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void seal(struct message *m)
{
	put16(m->at + 2, 0);
	put16(m->at + 2, ~sum(m->at, m->len) & 0xffff);
}

/* A UDP datagram with CONTENT bytes from port 50001 to 5684, as a quote behind P. */
static uint8_t *add_udp(uint8_t *p)
{
	put16(p, 50001);
	put16(p + 2, 5684);
	put16(p + 4, 8 + CONTENT);
	put16(p + 6, 0xbeef);
	for (int i = 0; i < CONTENT; i++)
		p[8 + i] = (uint8_t)(i * 7);
	return p + 8 + CONTENT;
}

/* EXTRA: 0, or 8 for a fragment header with offset 0. */
static struct message message6(unsigned int type, unsigned int code, uint32_t info, size_t extra)
{
	struct message m = { { (uint8_t)type, (uint8_t)code }, 0 };
	uint8_t *ip = m.at + 8;

	put16(m.at + 4, info >> 16);
	put16(m.at + 6, info & 0xffff);
	put16(ip, 0x6a50); /* class 0xa5 */
	put16(ip + 4, (unsigned int)extra + 8 + CONTENT);
	ip[6] = extra ? 44 : 17;
	ip[7] = 61;
	inet_pton(AF_INET6, "2001:db8:1::2", ip + 8);
	inet_pton(AF_INET6, "2001:db8:2::52", ip + 24);
	if (extra) {
		ip[40] = 17;
		put16(ip + 42, 1);
	}
	m.len = (size_t)(add_udp(ip + 40 + extra) - m.at);
	return m;
}

/* EXTRA: bytes of options. */
static struct message message4(unsigned int type, unsigned int code, uint32_t info, size_t extra)
{
	struct message m = { { (uint8_t)type, (uint8_t)code }, 0 };
	uint8_t *ip = m.at + 8;

	if (type == 12)
		m.at[4] = (uint8_t)info;
	else
		put16(m.at + 6, info);
	ip[0] = (uint8_t)(0x45 + extra / 4);
	ip[1] = 0xa5;
	put16(ip + 2, (unsigned int)(20 + extra + 8 + CONTENT));
	ip[8] = 61;
	ip[9] = 17;
	inet_pton(AF_INET, "192.0.2.1", ip + 12);
	inet_pton(AF_INET, "198.51.100.7", ip + 16);
	m.len = (size_t)(add_udp(ip + 20 + extra) - m.at);
	seal(&m);
	return m;
}

static struct message message(bool ipv4, unsigned int type, unsigned int code, uint32_t info,
			      size_t extra)
{
	return ipv4 ? message4(type, code, info, extra) : message6(type, code, info, extra);
}

static enum icmp_read read_message(bool ipv4, const struct message *m, struct icmp_error *e)
{
	return icmp_error_read(ipv4, guarded(m->at, m->len), m->len, e);
}

static bool address_is(const struct sockaddr_in6 *sa, const char *text)
{
	struct in6_addr addr;

	assert_int_equal(inet_pton(AF_INET6, text, &addr), 1);
	return !memcmp(&addr, &sa->sin6_addr, 16);
}

/* ---- reading --------------------------------------------------------------------- */

static void test_read(void **state)
{
	(void)state;
	for (int ipv4 = 0; ipv4 <= 1; ipv4++)
		for (size_t extra = 0; extra <= 8; extra += 8) {
			struct message m = message(ipv4, ipv4 ? 3 : 1, ipv4 ? 3 : 4, 0, extra);
			struct icmp_error e;

			assert_int_equal(read_message(ipv4, &m, &e), ICMP_READ_DONE);
			assert_int_equal(e.ipv4, ipv4);
			assert_int_equal(e.type, ipv4 ? 3 : 1);
			assert_int_equal(e.code, ipv4 ? 3 : 4);
			assert_int_equal(e.info, 0);
			assert_int_equal(ntohs(e.from.sin6_port), 50001);
			assert_int_equal(ntohs(e.to.sin6_port), 5684);
			assert_true(
				address_is(&e.from, ipv4 ? "::ffff:192.0.2.1" : "2001:db8:1::2"));
			assert_true(
				address_is(&e.to, ipv4 ? "::ffff:198.51.100.7" : "2001:db8:2::52"));
			assert_int_equal(e.hops, 61);
			assert_int_equal(e.traffic_class, 0xa5);
			assert_int_equal(e.udp_len, 8 + CONTENT);
			assert_int_equal(ntohs(e.udp_check), 0xbeef);
			assert_int_equal(e.content_len, CONTENT);
			assert_memory_equal(e.content, m.at + m.len - CONTENT, CONTENT);
		}
}

/* Cut anywhere: short before the end of the UDP header, else with what is left of the content. */
static void test_cut(void **state)
{
	(void)state;
	for (int ipv4 = 0; ipv4 <= 1; ipv4++)
		for (size_t extra = 0; extra <= 40; extra += ipv4 ? 4 : 8) {
			struct message whole = message(ipv4, ipv4 ? 11 : 3, 0, 0, extra);
			size_t enough = 8 + (ipv4 ? 20U : 40U) + extra + 8;
			struct icmp_error e;

			if (!ipv4 && extra > 8)
				break;
			for (size_t len = 0; len <= whole.len; len++) {
				struct message m = whole;

				m.len = len;
				if (ipv4 && len >= 4)
					seal(&m);
				if (len < 8)
					assert_int_equal(read_message(ipv4, &m, &e),
							 ICMP_READ_OTHER);
				else if (len < enough)
					assert_int_equal(read_message(ipv4, &m, &e),
							 ICMP_READ_SHORT);
				else
					assert_int_equal(read_message(ipv4, &m, &e),
							 ICMP_READ_DONE);
				if (len >= enough)
					assert_int_equal(e.content_len, len - enough);
			}
		}
}

/* One byte of a right message is made this; then it is no error about UDP. */
static void test_other(void **state)
{
	static const struct {
		bool ipv4;
		size_t extra, at;
		uint8_t value;
	} wrong[] = {
		{ false, 0, 0, 0 },	   { false, 0, 0, 5 },	 { false, 0, 0, 128 },
		{ false, 0, 8, 0x4a },	   { false, 0, 14, 6 },	 { false, 0, 14, 0 },
		{ false, 8, 48, 6 },	   { false, 8, 50, 1 },	 { false, 8, 51, 9 },
		{ false, 0, 53, 7 },	   { true, 0, 0, 0 },	 { true, 0, 0, 5 },
		{ true, 0, 8, 0x65 },	   { true, 0, 8, 0x44 }, { true, 0, 17, 6 },
		{ true, 0, 14, 0x20 | 1 }, { true, 0, 15, 1 },
	};
	struct icmp_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		bool ipv4 = wrong[i].ipv4;
		struct message m = message(ipv4, ipv4 ? 3 : 1, 1, 0, wrong[i].extra);

		m.at[wrong[i].at] = wrong[i].value;
		if (!ipv4 && wrong[i].at == 53) /* UDP says that it is shorter than its header */
			put16(m.at + 52, 7);
		if (ipv4)
			seal(&m);
		if (read_message(ipv4, &m, &e) != ICMP_READ_OTHER)
			fail_msg("byte %zu of case %zu", wrong[i].at, i);
	}
}

static void test_icmp_checksum(void **state)
{
	struct message m = message4(3, 1, 0, 0);
	struct icmp_error e;

	(void)state;
	assert_int_equal(read_message(true, &m, &e), ICMP_READ_DONE);
	m.at[m.len - 1] ^= 1;
	assert_int_equal(read_message(true, &m, &e), ICMP_READ_OTHER);
}

/* RFC 4884: a length in front, extensions behind the quote; too small ones are no length. */
static void test_extensions(void **state)
{
	struct message m6 = message6(1, 0, 0, 0), m4 = message4(3, 1, 0, 0),
		       big = message6(2, 0, 0, 0);
	struct icmp_error e;

	(void)state;
	m6.at[4] = 17;
	assert_int_equal(read_message(false, &m6, &e), ICMP_READ_DONE);
	assert_int_equal(e.content_len, 17 * 8 - 48);
	m6.at[4] = 15;
	assert_int_equal(read_message(false, &m6, &e), ICMP_READ_DONE);
	assert_int_equal(e.content_len, CONTENT);
	m4.at[5] = 33;
	seal(&m4);
	assert_int_equal(read_message(true, &m4, &e), ICMP_READ_DONE);
	assert_int_equal(e.content_len, 33 * 4 - 28);
	/* That is an MTU, however large. */
	big.at[4] = 16;
	assert_int_equal(read_message(false, &big, &e), ICMP_READ_DONE);
	assert_int_equal(e.content_len, CONTENT);
	assert_int_equal(e.info, 16U << 24);
}

/* What is behind the datagram is not part of it. */
static void test_padding(void **state)
{
	struct message m = message6(1, 0, 0, 0);
	struct icmp_error e;

	(void)state;
	m.len += 30;
	assert_int_equal(read_message(false, &m, &e), ICMP_READ_DONE);
	assert_int_equal(e.content_len, CONTENT);
}

static void test_pointer(void **state)
{
	struct message m;
	struct icmp_error e;

	(void)state;
	m = message6(4, 0, 51, 8); /* in UDP, behind a fragment header that the pledge never sent */
	assert_int_equal(read_message(false, &m, &e), ICMP_READ_DONE);
	assert_int_equal(e.info, 43);
	m = message6(4, 0, 43, 8); /* in that header */
	assert_int_equal(read_message(false, &m, &e), ICMP_READ_OTHER);
	m = message4(12, 0, 27, 4);
	assert_int_equal(read_message(true, &m, &e), ICMP_READ_DONE);
	assert_int_equal(e.info, 23);
	m = message4(12, 0, 20, 4);
	assert_int_equal(read_message(true, &m, &e), ICMP_READ_OTHER);
	m = message4(12, 0, 9, 4);
	assert_int_equal(read_message(true, &m, &e), ICMP_READ_DONE);
	assert_int_equal(e.info, 9);
}

/* Mutated messages, read and written: what a sanitizer and the guard page do not see is well. */
static void test_anything(void **state)
{
	uint8_t buf[ICMP_ERROR_MAX];
	struct icmp_error e;
	unsigned int done = 0;

	(void)state;
	srand(1);
	for (int i = 0; i < 300000; i++) {
		bool ipv4 = i & 1;
		struct message m = message(ipv4, ipv4 ? 12 : 4, 0, (uint32_t)rand(), i & 2 ? 8 : 0);
		size_t most = ipv4 ? 556 : ICMP_ERROR_MAX;

		for (int n = rand() % 4; n > 0; n--)
			m.at[(size_t)rand() % 64] = (uint8_t)rand();
		m.len = (size_t)rand() % (m.len + 1);
		if (ipv4 && m.len >= 4)
			seal(&m);
		if (read_message(ipv4, &m, &e) != ICMP_READ_DONE)
			continue;
		done++;
		assert_true(e.content_len <= m.len);
		if (i & 4)
			icmp_error_translate(&e);
		assert_true(icmp_error_write(&e, buf) <= (e.ipv4 ? 556 : most) || e.ipv4 != ipv4);
	}
	assert_true(done > 10000);
}

/* ---- to the other version of IP ---------------------------------------------------- */

struct said {
	unsigned int type, code;
	uint32_t info;
};

static struct said translated(bool ipv4, unsigned int type, unsigned int code, uint32_t info,
			      unsigned int udp_len)
{
	struct icmp_error e = { .ipv4 = ipv4,
				.type = (uint8_t)type,
				.code = (uint8_t)code,
				.info = info,
				.udp_len = (uint16_t)udp_len };

	if (!icmp_error_translate(&e))
		return (struct said)NO_WORD;
	assert_int_equal(e.ipv4, !ipv4);
	return (struct said){ e.type, e.code, e.info };
}

static void assert_said(struct said got, unsigned int type, unsigned int code, uint32_t info,
			const char *of, unsigned int n)
{
	if (got.type != type || got.code != code || got.info != info)
		fail_msg("%s %u: type %u code %u info %u", of, n, got.type, got.code, got.info);
}

/* RFC 7915 4.2 */
static void test_to_ip6(void **state)
{
	static const struct said unreachable[256] = {
		[0] = { 1, 0, 0 },  [1] = { 1, 0, 0 },	[2] = { 4, 1, 6 },  [3] = { 1, 4, 0 },
		[5] = { 1, 0, 0 },  [6] = { 1, 0, 0 },	[7] = { 1, 0, 0 },  [8] = { 1, 0, 0 },
		[9] = { 1, 1, 0 },  [10] = { 1, 1, 0 }, [11] = { 1, 0, 0 }, [12] = { 1, 0, 0 },
		[13] = { 1, 1, 0 }, [15] = { 1, 1, 0 },
	};
	/* Figure 3 */
	static const int pointers[] = { 0,  1, 4, 4, -1, -1, -1, -1, 7,	 6, -1,
					-1, 8, 8, 8, 8,	 24, 24, 24, 24, 40 };

	(void)state;
	for (unsigned int code = 0; code < 256; code++) {
		const struct said *u = &unreachable[code];

		if (code != 4)
			assert_said(translated(true, 3, code, 0, 100), u->type, u->code, u->info,
				    "unreachable", code);
		assert_said(translated(true, 11, code, 0, 100), 3, code, 0, "time exceeded", code);
		if (code != 0 && code != 2)
			assert_said(translated(true, 12, code, 0, 100), 0, 0, 0, "parameter", code);
	}
	for (unsigned int p = 0; p < sizeof(pointers) / sizeof(*pointers); p++)
		for (unsigned int code = 0; code <= 2; code += 2) {
			if (pointers[p] < 0)
				assert_int_equal(translated(true, 12, code, p, 100).type, 0);
			else
				assert_said(translated(true, 12, code, p, 100), 4, 0,
					    (uint32_t)pointers[p], "pointer", p);
		}
	assert_said(translated(true, 3, 4, 1480, 2000), 2, 0, 1500, "mtu", 1480);
	assert_said(translated(true, 3, 4, 1260, 2000), 2, 0, 1280, "mtu", 1260);
	assert_said(translated(true, 3, 4, 68, 2000), 2, 0, 1280, "mtu", 68);
	/* RFC 1191 7.1: the plateau below what was sent, UDP's length and 20 */
	assert_said(translated(true, 3, 4, 0, 1473), 2, 0, 1512, "no mtu", 1473);
	assert_said(translated(true, 3, 4, 0, 1472), 2, 0, 1280, "no mtu", 1472);
	assert_said(translated(true, 3, 4, 0, 8147), 2, 0, 8186, "no mtu", 8147);
	assert_said(translated(true, 3, 4, 0, 65515), 2, 0, 32020, "no mtu", 65515);
}

/* RFC 7915 5.2 */
static void test_to_ip4(void **state)
{
	static const unsigned int unreachable[] = { 1, 10, 1, 1, 3 };

	(void)state;
	for (unsigned int code = 0; code < 256; code++) {
		if (code < 5)
			assert_said(translated(false, 1, code, 0, 100), 3, unreachable[code], 0,
				    "unreachable", code);
		else
			assert_int_equal(translated(false, 1, code, 0, 100).type, 0);
		assert_said(translated(false, 3, code, 0, 100), 11, code, 0, "time exceeded", code);
		if (code > 1)
			assert_int_equal(translated(false, 4, code, 0, 100).type, 0);
	}
	assert_said(translated(false, 4, 1, 6, 100), 3, 2, 0, "next header", 6);
	/* Figure 6 */
	for (unsigned int p = 0; p < 48; p++) {
		static const int first[] = { 0, 1, -1, -1, 2, 2, 9, 8 };
		int to = p < 8 ? first[p] : p < 24 ? 12 : p < 40 ? 16 : (int)p - 20;

		if (to < 0)
			assert_int_equal(translated(false, 4, 0, p, 100).type, 0);
		else
			assert_said(translated(false, 4, 0, p, 100), 12, 0, (uint32_t)to, "pointer",
				    p);
	}
	/* One byte is all that IPv4 has for it. */
	assert_said(translated(false, 4, 0, 275, 1000), 12, 0, 255, "pointer", 275);
	assert_int_equal(translated(false, 4, 0, 276, 1000).type, 0);
	assert_said(translated(false, 2, 0, 1280, 2000), 3, 4, 1260, "mtu", 1280);
	assert_said(translated(false, 2, 0, 100000, 2000), 3, 4, 65535, "mtu", 100000);
	assert_said(translated(false, 2, 0, 5, 2000), 3, 4, 0, "mtu", 5);
}

/* ---- about what, and written ------------------------------------------------------------ */

static struct sockaddr_in6 random_end(bool ipv4)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = (in_port_t)rand() };

	for (int i = 0; i < 16; i++)
		sa.sin6_addr.s6_addr[i] = ipv4 ? (i == 10 || i == 11 ? 0xff : 0) : (uint8_t)rand();
	for (int i = 12; i < 16; i++)
		sa.sin6_addr.s6_addr[i] = (uint8_t)rand();
	return sa;
}

/* RFC 768, RFC 8200 8.1, from the written quote: over IPv4 or IPv6 as it says itself. */
static unsigned int udp_sum(const uint8_t *ip, size_t len)
{
	bool ipv4 = ip[0] >> 4 == 4;
	const uint8_t *udp = ip + (ipv4 ? 20 : 40);
	unsigned int udp_len = get16(udp + 4);
	unsigned int s = ipv4 ? sum(ip + 12, 8) : sum(ip + 8, 32);

	assert_int_equal(len, (size_t)(udp - ip) + udp_len);
	s += 17 + udp_len + sum(udp, udp_len);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void test_about(void **state)
{
	uint8_t content[300], buf[ICMP_ERROR_MAX];

	(void)state;
	srand(2);
	for (int i = 0; i < 20000; i++) {
		bool was4 = i & 1, is4 = i & 2;
		struct sockaddr_in6 a = random_end(was4), b = random_end(was4);
		struct sockaddr_in6 c = random_end(is4), d = random_end(is4);
		struct icmp_error e = { .ipv4 = is4, .type = 3, .code = 1 };
		size_t len = (size_t)rand() % sizeof(content), written;

		for (size_t n = 0; n < len; n++)
			content[n] = i % 5 ? (uint8_t)rand() : i % 3 ? 0 : 0xff;
		icmp_error_about_whole(&e, &a, &b, content, len);
		assert_int_not_equal(e.udp_check, 0);
		icmp_error_about(&e, &c, &d);
		assert_int_not_equal(e.udp_check, 0);
		written = icmp_error_write(&e, buf);
		assert_int_equal(udp_sum(buf + 8, written - 8), 0xffff);
		if (is4)
			assert_int_equal(sum(buf, written), 0xffff);
		if (is4)
			assert_int_equal(sum(buf + 8, 20), 0xffff);
	}
}

/* A datagram without a checksum gets none: of a part of it there can be none. */
static void test_without_checksum(void **state)
{
	struct icmp_error e = { .ipv4 = true, .from = random_end(true), .to = random_end(true) };
	struct sockaddr_in6 from = random_end(true), to = random_end(true);

	(void)state;
	icmp_error_about(&e, &from, &to);
	assert_int_equal(e.udp_check, 0);
}

static void test_write(void **state)
{
	static const uint8_t content[2000];
	uint8_t buf[ICMP_ERROR_MAX];
	struct icmp_error e = { .type = 2, .info = 0x12345678, .hops = 3, .traffic_class = 0xa5 };
	struct sockaddr_in6 from = random_end(false), to = random_end(false);

	(void)state;
	icmp_error_about_whole(&e, &from, &to, content, sizeof(content));
	assert_int_equal(icmp_error_write(&e, buf), 1280 - 40);
	assert_int_equal(get16(buf + 4), 0x1234);
	assert_int_equal(get16(buf + 6), 0x5678);
	assert_int_equal(get16(buf + 8), 0x6a50);
	assert_int_equal(get16(buf + 12), 8 + sizeof(content));
	assert_int_equal(buf[14], 17);
	assert_int_equal(buf[15], 3);
	assert_memory_equal(buf + 16, &from.sin6_addr, 16);
	assert_memory_equal(buf + 32, &to.sin6_addr, 16);

	from = random_end(true);
	to = random_end(true);
	e = (struct icmp_error){ .ipv4 = true, .type = 3, .code = 4, .info = 1400, .hops = 3 };
	icmp_error_about_whole(&e, &from, &to, content, sizeof(content));
	assert_int_equal(icmp_error_write(&e, buf), 576 - 20);
	assert_int_equal(get16(buf + 4), 0);
	assert_int_equal(get16(buf + 6), 1400);
	assert_int_equal(get16(buf + 10), 28 + sizeof(content));
	assert_int_equal(sum(buf, 556), 0xffff);

	e = (struct icmp_error){ .ipv4 = true, .type = 12, .info = 9 };
	icmp_error_about_whole(&e, &from, &to, content, 3);
	assert_int_equal(icmp_error_write(&e, buf), 8 + 28 + 3);
	assert_int_equal(get16(buf + 4), 0x0900);
	assert_int_equal(get16(buf + 6), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_other),	   cmocka_unit_test(test_icmp_checksum),
		cmocka_unit_test(test_extensions), cmocka_unit_test(test_padding),
		cmocka_unit_test(test_pointer),	   cmocka_unit_test(test_anything),
		cmocka_unit_test(test_to_ip6),	   cmocka_unit_test(test_to_ip4),
		cmocka_unit_test(test_about),	   cmocka_unit_test(test_without_checksum),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests_name("icmp_error", tests, NULL, NULL);
}
