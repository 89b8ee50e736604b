/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user-space JPY codec against the vectors, against every reason for which
 * it may drop, and against its own documentation.  Expected bytes are written
 * here by hand or come from vectors.json, never from the code under test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "guard.h"
#include "vectors.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define LL  "50 fe80000000000000000000fffe000001"	  /* a link-local address */
#define H21 "52 01 03 bda7 000000fffe000001 020000000001" /* the same pledge in draft-21 */
#define V4  "50 00000000000000000000ffff a9fe0102"	  /* 169.254.1.2 */

static json_t *root, *vectors;

static const char *const reasons[] = { "relay",
#define REASON(sym, name, text) name,
				       JPX_DROPS(REASON)
#undef REASON
};

#define assert_reason(got, want, about)                                                            \
	do {                                                                                       \
		enum jpx_drop got_ = (got), want_ = (want);                                        \
		if (got_ != want_)                                                                 \
			fail_msg("%s: %s instead of %s", (about), reasons[got_], reasons[want_]);  \
	} while (0)

/* One of IPv6, one of IPv4. */
static const struct jpx_pledge pledges[] = {
	{ .addr = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1 },
	  .udp_port = 48551,
	  .port_id = 3,
	  .mac = { 2, 0, 0, 0, 0, 1 } },
	{ .addr = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, 1, 2 },
	  .udp_port = 48551,
	  .port_id = 3,
	  .mac = { 2, 0, 0, 0, 0, 1 } },
};
#define pledge0 pledges[0]

/* What IPv4 saves in draft-06: its address stands in 4 bytes. */
static size_t saved(int form, const struct jpx_pledge *p)
{
	return form == JPX_FORM_DRAFT06 && p == &pledges[1] ? 12 : 0;
}

static enum jpx_drop unwrap(enum jpx_form form, const uint8_t *buf, size_t len,
			    struct jpx_pledge *pledge, struct jpx_span *content)
{
	return jpx_jpy_unwrap(form, guarded(buf, len), len, pledge, content);
}

static enum jpx_drop split(const uint8_t *buf, size_t len, struct jpx_jpy_layout *layout)
{
	return jpx_jpy_split(guarded(buf, len), len, layout);
}

static void assert_pledge(const struct jpx_pledge *got, const struct jpx_pledge *want, bool mac)
{
	static const uint8_t none[6];

	assert_memory_equal(got->addr, want->addr, sizeof(got->addr));
	assert_int_equal(got->udp_port, want->udp_port);
	assert_int_equal(got->port_id, want->port_id);
	assert_memory_equal(got->mac, mac ? want->mac : none, sizeof(got->mac));
}

/* The vectors */

static const char *text(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static enum jpx_drop reason(const json_t *v, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (!strcmp(reasons[i], text(v, key)))
			return (enum jpx_drop)i;
	fail_msg("%s: \"%s\" is no reason", text(v, "name"), text(v, key));
	return JPX_RELAY;
}

static size_t content_of(const json_t *v, uint8_t *out, size_t cap)
{
	size_t n;

	if (text(v, "content"))
		return test_hex(text(v, "content"), out, cap);
	n = (size_t)json_integer_value(json_object_get(v, "follow"));
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)i;
	return n;
}

static void pledge_of(const json_t *v, struct jpx_pledge *p)
{
	const json_t *j = json_object_get(v, "pledge");

	memset(p, 0, sizeof(*p));
	assert_int_equal(inet_pton(AF_INET6, text(j, "addr"), p->addr), 1);
	p->udp_port = (uint16_t)json_integer_value(json_object_get(j, "udp_port"));
	p->port_id = (uint8_t)json_integer_value(json_object_get(j, "port_id"));
	if (text(j, "mac"))
		assert_int_equal(test_hex(text(j, "mac"), p->mac, 6), 6);
}

static void test_vectors_split(void **state)
{
	uint8_t msg[2048], content[2048], tail[64];
	size_t i, relayed = 0;
	json_t *v;

	(void)state;
	json_array_foreach(vectors, i, v) {
		size_t len = test_message(v, msg, sizeof(msg)), n;
		enum jpx_drop want = reason(v, "split");
		struct jpx_jpy_layout l;

		assert_reason(split(msg, len, &l), want, text(v, "name"));
		if (want != JPX_RELAY)
			continue;
		relayed++;
		assert_string_equal(jpx_form_name(l.form), text(v, "form"));
		n = content_of(v, content, sizeof(content));
		assert_int_equal(l.content.len, n);
		assert_memory_equal(msg + l.content.off, content, n);
		assert_int_equal(l.head.off, 0);
		assert_int_equal(l.head.len, json_integer_value(json_object_get(v, "head")));
		n = test_hex(text(v, "tail"), tail, sizeof(tail));
		assert_int_equal(l.tail.len, n);
		assert_int_equal(l.tail.off, len - n);
		assert_int_equal(l.tail.off, l.content.off + l.content.len);
		assert_memory_equal(msg + l.tail.off, tail, n);
	}
	assert_true(relayed > 20);
}

static void test_vectors_unwrap(void **state)
{
	uint8_t msg[2048], content[2048];
	size_t i, relayed = 0;
	json_t *v;

	(void)state;
	json_array_foreach(vectors, i, v) {
		size_t len = test_message(v, msg, sizeof(msg)), n;
		int form = jpx_form_by_name(text(v, "form"));
		enum jpx_drop want = reason(v, "unwrap");
		struct jpx_pledge got, expected;
		struct jpx_span span;

		assert_in_range(form, 0, JPX_FORM_COUNT - 1);
		assert_reason(unwrap((enum jpx_form)form, msg, len, &got, &span), want,
			      text(v, "name"));
		if (want != JPX_RELAY)
			continue;
		relayed++;
		pledge_of(v, &expected);
		assert_pledge(&got, &expected, true);
		n = content_of(v, content, sizeof(content));
		assert_int_equal(span.len, n);
		assert_memory_equal(msg + span.off, content, n);
	}
	assert_true(relayed >= 10);
}

static void test_vectors_wrap(void **state)
{
	uint8_t msg[2048], content[2048], out[2048];
	bool seen[JPX_FORM_COUNT] = { false };
	size_t i;
	json_t *v;

	(void)state;
	json_array_foreach(vectors, i, v) {
		size_t len = test_message(v, msg, sizeof(msg)), n;
		int form = jpx_form_by_name(text(v, "form"));
		struct jpx_pledge p;

		if (!json_is_true(json_object_get(v, "wrap")))
			continue;
		pledge_of(v, &p);
		n = content_of(v, content, sizeof(content));
		assert_int_equal(
			jpx_jpy_wrap((enum jpx_form)form, &p, content, n, out, sizeof(out)), len);
		assert_memory_equal(out, msg, len);
		seen[form] = true;
	}
	for (i = 0; i < JPX_FORM_COUNT; i++)
		assert_true(seen[i]);
}

/* An answer repeats what another proxy wrote, byte for byte, around contents of any length. */
static void test_vectors_answer(void **state)
{
	static const struct {
		size_t len;
		const char *head;
	} sizes[] = { { 0, "40" },     { 1, "41" },	  { 23, "57" },	      { 24, "5818" },
		      { 255, "58ff" }, { 256, "590100" }, { 1200, "5904b0" }, { 60000, "59ea60" } };
	static uint8_t msg[2048], content[60000], out[65536];
	uint8_t head[8];
	size_t i;
	json_t *v;

	(void)state;
	for (i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 7);
	json_array_foreach(vectors, i, v) {
		size_t len = test_message(v, msg, sizeof(msg));
		struct jpx_jpy_layout l, again;

		if (reason(v, "split") != JPX_RELAY)
			continue;
		assert_reason(split(msg, len, &l), JPX_RELAY, text(v, "name"));
		for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
			size_t n = sizes[k].len, h = test_hex(sizes[k].head, head, sizeof(head));
			size_t want = l.head.len + h + n + l.tail.len;
			uint8_t *exact = malloc(want);

			assert_non_null(exact);
			assert_int_equal(jpx_jpy_answer(msg, &l, content, n, exact, want - 1),
					 -EMSGSIZE);
			assert_int_equal(jpx_jpy_answer(msg, &l, content, n, exact, want), want);
			memcpy(out, exact, want);
			free(exact);
			assert_memory_equal(out, msg, l.head.len);
			assert_memory_equal(out + l.head.len, head, h);
			assert_memory_equal(out + l.head.len + h, content, n);
			assert_memory_equal(out + l.head.len + h + n, msg + l.tail.off, l.tail.len);

			assert_reason(split(out, want, &again), JPX_RELAY, text(v, "name"));
			assert_int_equal(again.form, l.form);
			assert_int_equal(again.head.len, l.head.len);
			assert_int_equal(again.content.len, n);
			assert_int_equal(again.tail.len, l.tail.len);
		}
		assert_int_equal(
			jpx_jpy_answer(msg, &l, content, sizeof(content), out, JPX_UDP_MAX),
			l.head.len + 3 + sizeof(content) + l.tail.len);
	}
}

static void test_answer_limit(void **state)
{
	static uint8_t content[65536], out[70000];
	struct jpx_jpy_layout l;
	uint8_t msg[64];
	size_t len = test_hex("83 41aa 41bb 00", msg, sizeof(msg)), most = JPX_UDP_MAX - 3 - 3 - 1;

	(void)state;
	assert_reason(split(msg, len, &l), JPX_RELAY, "three elements");
	assert_int_equal(jpx_jpy_answer(msg, &l, content, most, out, sizeof(out)), JPX_UDP_MAX);
	assert_int_equal(jpx_jpy_answer(msg, &l, content, most + 1, out, sizeof(out)), -EMSGSIZE);
	assert_int_equal(jpx_jpy_answer(msg, &l, NULL, 0, out, 0), -EMSGSIZE);
}

static void test_truncation(void **state)
{
	uint8_t msg[2048];
	struct jpx_jpy_layout l;
	struct jpx_pledge p;
	struct jpx_span s;
	size_t i;
	json_t *v;

	(void)state;
	json_array_foreach(vectors, i, v) {
		enum jpx_form form = (enum jpx_form)jpx_form_by_name(text(v, "form"));
		size_t len = test_message(v, msg, sizeof(msg));

		/* what has a byte too many becomes a message when it loses it */
		if (reason(v, "split") == JPX_DROP_JPY_TRAILING)
			len--;
		for (size_t n = 0; n < len; n++) {
			enum jpx_drop why = split(msg, n, &l);

			if (reason(v, "split") != JPX_DROP_JPY_COUNT)
				assert_reason(why, JPX_DROP_JPY_MALFORMED, text(v, "name"));
			assert_int_not_equal(why, JPX_RELAY);
			why = unwrap(form, msg, n, &p, &s);
			if (reason(v, "split") != JPX_DROP_JPY_COUNT)
				assert_reason(why, JPX_DROP_JPY_MALFORMED, text(v, "name"));
			for (int f = 0; f < JPX_FORM_COUNT; f++)
				assert_int_not_equal(unwrap((enum jpx_form)f, msg, n, &p, &s),
						     JPX_RELAY);
		}
	}
}

static void test_one_byte_too_many(void **state)
{
	uint8_t msg[2048];
	struct jpx_jpy_layout l;
	struct jpx_pledge p;
	struct jpx_span s;
	size_t i;
	json_t *v;

	(void)state;
	json_array_foreach(vectors, i, v) {
		enum jpx_form form = (enum jpx_form)jpx_form_by_name(text(v, "form"));
		size_t len = test_message(v, msg, sizeof(msg));

		if (reason(v, "split") != JPX_RELAY)
			continue;
		for (int last = 0; last < 256; last++) {
			msg[len] = (uint8_t)last;
			assert_reason(split(msg, len + 1, &l), JPX_DROP_JPY_TRAILING,
				      text(v, "name"));
			assert_reason(unwrap(form, msg, len + 1, &p, &s), JPX_DROP_JPY_TRAILING,
				      text(v, "name"));
		}
	}
}

/* Wrapping */

static void round_trip(enum jpx_form form, const struct jpx_pledge *p, const uint8_t *content,
		       size_t len, size_t prefix, uint8_t *buf, size_t cap)
{
	ssize_t n = jpx_jpy_wrap(form, p, content, len, buf, cap);
	struct jpx_jpy_layout l;
	struct jpx_pledge got;
	struct jpx_span s;

	if (prefix + len > JPX_UDP_MAX) {
		assert_int_equal(n, -EMSGSIZE);
		return;
	}
	assert_int_equal(n, prefix + len);
	assert_memory_equal(buf + prefix, content, len);
	assert_reason(jpx_jpy_unwrap(form, buf, (size_t)n, &got, &s), JPX_RELAY,
		      jpx_form_name(form));
	assert_pledge(&got, p, form == JPX_FORM_DRAFT21);
	assert_int_equal(s.off, prefix);
	assert_int_equal(s.len, len);
	assert_reason(jpx_jpy_split(buf, (size_t)n, &l), JPX_RELAY, jpx_form_name(form));
	assert_int_equal(l.form, form);
	assert_int_equal(l.content.off, prefix);
	assert_int_equal(l.content.len, len);
	assert_int_equal(l.tail.len, 0);
}

static void test_lengths(void **state)
{
	/* bytes in front of the content's head */
	static const size_t fixed[JPX_FORM_COUNT] = { 23, 23, 20, 28 };
	static const size_t from_to[][2] = { { 0, 600 }, { 65450, 65560 }, { 69999, 70000 } };
	uint8_t *content = malloc(70000), *buf = malloc(80000);

	(void)state;
	assert_non_null(content);
	assert_non_null(buf);
	for (size_t i = 0; i < 70000; i++)
		content[i] = (uint8_t)(i * 13 + (i >> 8));
	for (size_t i = 0; i < JPX_FORM_COUNT * ARRAY_LEN(pledges); i++) {
		enum jpx_form f = (enum jpx_form)(i / ARRAY_LEN(pledges));
		const struct jpx_pledge *p = &pledges[i % ARRAY_LEN(pledges)];
		size_t before = fixed[f] - saved((int)f, p);

		for (size_t k = 0; k < ARRAY_LEN(from_to); k++)
			for (size_t n = from_to[k][0]; n <= from_to[k][1]; n++)
				round_trip(f, p, content, n,
					   before + (n < 24    ? 1
						     : n < 256 ? 2
							       : 3),
					   buf, 80000);
		for (size_t n = 601; n < 70000; n += 997)
			round_trip(f, p, content, n, before + 3, buf, 80000);
	}
	free(content);
	free(buf);
}

static void test_wrap_capacity(void **state)
{
	uint8_t content[300];

	(void)state;
	memset(content, 0xee, sizeof(content));
	for (size_t i = 0; i < JPX_FORM_COUNT * ARRAY_LEN(pledges); i++) {
		enum jpx_form form = (enum jpx_form)(i / ARRAY_LEN(pledges));
		const struct jpx_pledge *p = &pledges[i % ARRAY_LEN(pledges)];
		uint8_t whole[400];
		ssize_t n = jpx_jpy_wrap(form, p, content, sizeof(content), whole, sizeof(whole));

		assert_in_range((size_t)n + saved((int)form, p), 320, 332);
		for (size_t cap = 0; cap <= (size_t)n; cap++) {
			uint8_t *buf = malloc(cap ? cap : 1);
			ssize_t got;

			assert_non_null(buf);
			got = jpx_jpy_wrap(form, p, content, sizeof(content), buf, cap);
			assert_int_equal(got, cap == (size_t)n ? n : -EMSGSIZE);
			free(buf);
		}
		assert_int_equal(jpx_jpy_wrap(form, p, content, SIZE_MAX, whole, sizeof(whole)),
				 -EMSGSIZE);
		n = jpx_jpy_wrap(form, p, NULL, 0, whole, sizeof(whole));
		assert_in_range((size_t)n + saved((int)form, p), 20, 32);
	}
	assert_int_equal(jpx_jpy_wrap(JPX_FORM_COUNT, &pledge0, content, 1, content, 300), -EINVAL);
	assert_int_equal(jpx_jpy_wrap((enum jpx_form) - 1, &pledge0, content, 1, content, 300),
			 -EINVAL);
}

/* Every port and port id whose encoding is of another length, and the longest prefix of all. */
static void test_wrap_header_values(void **state)
{
	static const uint16_t ports[] = { 1, 23, 24, 255, 256, 5683, 5684, 5685, 65535 };
	static const uint8_t ids[] = { 1, 23, 24, 255 };
	/* without the two integers, the content's head counted as three bytes */
	static const size_t fixed[JPX_FORM_COUNT] = { 22, 22, 23, 27 };
	static const size_t longest[JPX_FORM_COUNT] = { 27, 27, 23, 32 };
	size_t most[JPX_FORM_COUNT] = { 0 };
	uint8_t content[256] = { 0 }, buf[400];

	(void)state;
	for (int f = 0; f < JPX_FORM_COUNT; f++) {
		for (size_t i = 0; i < ARRAY_LEN(ports) * ARRAY_LEN(ids) * 2; i++) {
			const struct jpx_pledge *like =
				&pledges[i / (ARRAY_LEN(ports) * ARRAY_LEN(ids))];
			struct jpx_pledge p = *like;
			size_t prefix = fixed[f] - saved(f, like);

			p.udp_port = ports[i % ARRAY_LEN(ports)];
			p.port_id = ids[i / ARRAY_LEN(ports) % ARRAY_LEN(ids)];
			if (f != JPX_FORM_DRAFT21)
				prefix += p.port_id < 24 ? 1 : 2;
			if (f == JPX_FORM_DRAFT02 || f == JPX_FORM_DRAFT06 ||
			    (f == JPX_FORM_DRAFT01 && p.udp_port != 5684))
				prefix += p.udp_port < 24 ? 1 : p.udp_port < 256 ? 2 : 3;
			if (prefix > most[f])
				most[f] = prefix;
			round_trip((enum jpx_form)f, &p, content, sizeof(content), prefix, buf,
				   sizeof(buf));
		}
		assert_int_equal(most[f], longest[f]);
		if (f != JPX_FORM_DRAFT01) /* the fast path does not write it */
			assert_true(most[f] <= JPX_PREFIX_MAX);
	}
}

/* Unwrapping: encodings */

/* A head of WIDTH following bytes (0: in the first byte) as RFC 8949 3 lays it out. */
static size_t put_head(uint8_t *out, unsigned int major, unsigned int width, uint64_t value)
{
	static const uint8_t info[] = { [1] = 24, [2] = 25, [4] = 26, [8] = 27 };

	if (!width) {
		assert_true(value < 24);
		out[0] = (uint8_t)(major << 5 | value);
		return 1;
	}
	out[0] = (uint8_t)(major << 5 | info[width]);
	for (unsigned int i = 0; i < width; i++)
		out[1 + i] = (uint8_t)(value >> 8 * (width - 1 - i));
	return 1 + width;
}

static void test_long_encodings(void **state)
{
	static const unsigned int widths[] = { 0, 1, 2, 4, 8 };
	static const uint8_t content[] = { 22, 254, 253 };

	(void)state;
	/* six heads of a five-element message, each in each width: array, address, port,
	 * family, index, content; the port of 19 fits into all of them */
	for (unsigned int i = 0; i < 5 * 5 * 5 * 5 * 5 * 5; i++) {
		unsigned int w[6], rest = i;
		struct jpx_pledge got, want = pledge0;
		struct jpx_jpy_layout l;
		struct jpx_span s;
		uint8_t msg[128];
		size_t n, head;

		for (size_t k = 0; k < 6; k++, rest /= 5)
			w[k] = widths[rest % 5];
		want.udp_port = 19;
		n = put_head(msg, 4, w[0], 5);
		n += put_head(msg + n, 2, w[1] ? w[1] : 0, 16);
		memcpy(msg + n, pledge0.addr, 16);
		n += 16;
		n += put_head(msg + n, 0, w[2], 19);
		n += put_head(msg + n, 0, w[3], 10);
		n += put_head(msg + n, 0, w[4], 3);
		head = n;
		n += put_head(msg + n, 2, w[5], sizeof(content));
		memcpy(msg + n, content, sizeof(content));
		n += sizeof(content);
		assert_reason(unwrap(JPX_FORM_DRAFT02, msg, n, &got, &s), JPX_RELAY, "long heads");
		assert_pledge(&got, &want, false);
		assert_int_equal(s.off, n - sizeof(content));
		assert_int_equal(s.len, sizeof(content));
		assert_reason(split(msg, n, &l), JPX_RELAY, "long heads");
		assert_int_equal(l.head.len, head);
		assert_int_equal(l.form, JPX_FORM_DRAFT02);
	}
	for (unsigned int i = 0; i < 5 * 5 * 5; i++) {
		struct jpx_pledge got;
		struct jpx_span s;
		uint8_t msg[128];
		size_t n;

		n = put_head(msg, 4, widths[i % 5], 2);
		n += put_head(msg + n, 2, widths[i / 5 % 5], 18);
		n += test_hex("0103bda7000000fffe000001020000000001", msg + n, 18);
		n += put_head(msg + n, 2, widths[i / 25], sizeof(content));
		memcpy(msg + n, content, sizeof(content));
		n += sizeof(content);
		assert_reason(unwrap(JPX_FORM_DRAFT21, msg, n, &got, &s), JPX_RELAY, "long heads");
		assert_pledge(&got, &pledge0, true);
		assert_int_equal(s.off, n - sizeof(content));
	}
}

/* Unwrapping: a case for every reason, and for what is just not one */

#define NEST8  "81818181 81818181"
#define WRONG  JPX_DROP_JPY_MALFORMED
#define COUNT  JPX_DROP_JPY_COUNT
#define TRAIL  JPX_DROP_JPY_TRAILING
#define HEADER JPX_DROP_JPY_HEADER
#define NOT_LL JPX_DROP_PLEDGE_NOT_LINK_LOCAL
#define PORT   JPX_DROP_PLEDGE_PORT_INVALID
#define IDENT  JPX_DROP_UNKNOWN_PLEDGE_PORT
#define D02    JPX_FORM_DRAFT02
#define D06    JPX_FORM_DRAFT06
#define D21    JPX_FORM_DRAFT21
#define D01    JPX_FORM_DRAFT01

static const struct {
	enum jpx_form form;
	enum jpx_drop why;
	const char *hex;
} cases[] = {
	/* no array, or none whose head ends */
	{ D02, WRONG, "" },
	{ D21, WRONG, "" },
	{ D01, WRONG, "" },
	{ D02, WRONG, "05" },
	{ D02, WRONG, "a5" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "9f" LL "19bda7 0a 03 4101 ff" },
	{ D02, WRONG, "98" },
	{ D02, WRONG, "9b 00000000000000" },
	{ D02, WRONG, "9c" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "c1 85" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "d9d9f7 85" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "9b ffffffffffffffff" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "16fefd000000000000000000080102030405060708" },
	/* too few elements, before anything else is looked at */
	{ D02, COUNT, "80" },
	{ D02, COUNT, "84" },
	{ D02, COUNT, "84 ff" },
	{ D06, COUNT, "84" LL "19bda7 02 03" },
	{ D02, COUNT, "82" H21 "4101" },
	{ D21, COUNT, "80" },
	{ D21, COUNT, "81" H21 },
	{ D21, COUNT, "9b 0000000000000001" H21 },
	{ D01, COUNT, "82 183c 83" LL "19bda7 03" },
	{ D01, COUNT, "83 183c 83" LL "19bda7 03 190119" },
	{ D01, COUNT, "83 183c 83" LL "19bda7 03 81 190119" },
	{ D01, COUNT, "84 183c 81" LL "190119 4101" },
	{ D01, COUNT, "84 183c 80 190119 4101" },
	/* wrong types and lengths that lie, element by element */
	{ D02, WRONG, "85 70 66653830303030303030303030303030 19bda7 0a 03 4101" },
	{ D02, WRONG, "85 03 19bda7 0a 03 4101" },
	{ D02, WRONG, "85 5f" LL "ff 19bda7 0a 03 4101" },
	{ D02, WRONG, "85 c1" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "85" LL "42bda7 0a 03 4101" },
	{ D02, WRONG, "85" LL "f97bff 0a 03 4101" },
	{ D02, WRONG, "85" LL "19bda7 f6 03 4101" },
	{ D02, WRONG, "85" LL "19bda7 0a 6133 4101" },
	{ D02, WRONG, "85" LL "19bda7 0a 1c 4101" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 6101" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 5f4101ff" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 f6" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 8101" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 4201" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 5affffffff 01" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 5bffffffffffffffff 01" },
	{ D02, WRONG, "85" LL "19bda7 0a 03 5b8000000000000001 01" },
	{ D21, WRONG, "82 72 010203040506070809101112131415161718 4101" },
	{ D21, WRONG, "82" H21 "01" },
	{ D21, WRONG, "82 5bffffffffffffffff 4101" },
	{ D21, WRONG, "82" LL "c24101" },
	{ D21, WRONG, "85" LL "19bda7 0a 03 4101" },
	{ D01, WRONG, "84 4118 83" LL "19bda7 03 190119 4101" },
	{ D01, WRONG, "84 183c a1" LL "19bda7 190119 4101" },
	{ D01, WRONG, "84 183c f6 190119 4101" },
	{ D01, WRONG, "84 183c 83" LL "19bda7 03 190119 f6" },
	{ D01, WRONG, "84 183c 83" LL "19bda7 03 4101 4101" },
	{ D01, WRONG, "84 183c 83 01 19bda7 03 190119 4101" },
	{ D01, WRONG, "84 183c 83" LL "41bd 03 190119 4101" },
	{ D01, WRONG, "84 183c 83" LL "19bda7 80 190119 4101" },
	{ D01, WRONG, "84 183c 83" LL "19bda7 c103 190119 4101" },
	{ D01, WRONG, "84 183c 55 82" LL "03 00 00 190119 4101" }, /* bytes behind the header */
	{ D01, WRONG, "84 183c 53 83" LL "03 190119 4101" },	   /* header array cut off */
	{ D01, WRONG, "84 183c 40 190119 4101" },
	{ D01, WRONG, "84 183c 4103 190119 4101" },
	{ D01, WRONG, "83 183c 82" LL "03 82 4101 4101" },
	{ D01, WRONG, "83 183c 82" LL "03 82 190119 01" },
	{ D01, WRONG, "83 183c 82" LL "03 9f 190119 4101 ff" },
	/* what is stepped over has to be well-formed, and not too deep */
	{ D02, JPX_RELAY, "86" LL "19bda7 0a 03 4101 a2 01 82 f6 fb3ff0000000000000 6161 80" },
	{ D02, JPX_RELAY, "88" LL "19bda7 0a 03 4101 f93c00 fa3f800000 1bffffffffffffffff" },
	{ D02, JPX_RELAY, "88" LL "19bda7 0a 03 4101 f4 f5 f7" },
	{ D02, JPX_RELAY, "86" LL "19bda7 0a 03 4101" NEST8 "00" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 81" NEST8 "00" },
	{ D02, WRONG, "88" LL "19bda7 0a 03 4101 80 80 a1 01" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 c100" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 ff" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 9f00ff" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 bf0000ff" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 7f6161ff" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 5f4161ff" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 e0" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 f8ff" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 bb8000000000000000" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 bb8000000000000001 0000" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 a1 00" },
	{ D02, WRONG, "86" LL "19bda7 0a 03 4101 82 00" },
	{ D21, JPX_RELAY, "83" H21 "4101" NEST8 "00" },
	{ D21, WRONG, "83" H21 "4101 81" NEST8 "00" },
	{ D21, WRONG, "83" H21 "4101" },
	{ D01, JPX_RELAY, "85 183c 83" LL "19bda7 03 190119 4101" NEST8 "00" },
	{ D01, JPX_RELAY, "84 183c 83" LL "19bda7 03 83 190119 4101 00 6161" },
	{ D01, WRONG, "84 183c 83" LL "19bda7 03 83 190119 4101 81" NEST8 "00 6161" },
	/* bytes behind the end */
	{ D02, TRAIL, "85" LL "19bda7 0a 03 4101 00" },
	{ D21, TRAIL, "82" H21 "4101 00" },
	{ D01, TRAIL, "83 183c 82" LL "03 82 190119 4101 00" },
	{ D02, TRAIL, "85 40 00 00 00 40 00" }, /* before anything is judged */
	{ D21, TRAIL, "82 40 40 00" },
	/* a header of somebody else's */
	{ D02, HEADER, "85 44a9fe0102 19bda7 0a 03 4101" },
	{ D02, HEADER, "85 44a9fe0102 19bda7 01 03 4101" },
	{ D02, HEADER, "85" V4 "19bda7 01 03 4101" },
	{ D02, HEADER, "85 40 19bda7 0a 03 4101" },
	{ D02, HEADER, "85 51fe80000000000000000000fffe00000100 19bda7 0a 03 4101" },
	{ D02, HEADER, "85" LL "19bda7 02 03 4101" },
	{ D02, HEADER, "85" LL "19bda7 1b000000010000000a 03 4101" },
	{ D02, HEADER, "85" LL "19bda7 2a 03 4101" },
	{ D06, HEADER, "85" LL "19bda7 0a 03 4101" },
	{ D06, HEADER, "85" LL "19bda7 01 03 4101" },
	{ D06, HEADER, "85" LL "19bda7 22 03 4101" },
	{ D06, HEADER, "85" LL "19bda7 21 03 4101" },
	{ D06, HEADER, "85 44a9fe0102 19bda7 02 03 4101" },
	{ D06, HEADER, "85 44a9fe0102 19bda7 0a 03 4101" },
	{ D06, HEADER, "85 44a9fe0102 19bda7 21 03 4101" },
	{ D06, HEADER, "85 44a9fe0102 19bda7 1b0000000100000001 03 4101" },
	{ D06, HEADER, "85 43a9fe01 19bda7 01 03 4101" },
	{ D06, HEADER, "85 45a9fe010200 19bda7 01 03 4101" },
	{ D06, HEADER, "85" V4 "19bda7 01 03 4101" },
	{ D21, HEADER, "82 40 4101" },
	{ D21, HEADER, "82 51 0103bda7000000fffe0000010200000000 4101" },
	{ D21, HEADER, "82 53 0103bda7000000fffe00000102000000000100 4101" },
	{ D21, HEADER, "82 52 0003bda7000000fffe000001020000000001 4101" },
	{ D21, HEADER, "82 52 0303bda700000000a9fe0102020000000001 4101" },
	/* an IPv4 address leaves the upper half of its field empty */
	{ D21, HEADER, "82 52 0203bda7000000fffe000001020000000001 4101" },
	{ D21, HEADER, "82 52 0203bda700000001a9fe0102020000000001 4101" },
	{ D21, HEADER, "82 52 0203bda780000000a9fe0102020000000001 4101" },
	{ D21, HEADER, "82 52 0203bda700000000a9fe0102030000000001 4101" },
	{ D21, HEADER, "82 51 0203bda700000000a9fe01020200000000 4101" },
	{ D01, HEADER, "84 183d 83" LL "19bda7 03 190119 4101" },
	{ D01, HEADER, "84 383c 83" LL "19bda7 03 190119 4101" },
	{ D01, HEADER, "84 183c 83" LL "19bda7 6133 190119 4101" },
	{ D01, HEADER, "84 183c 83" LL "19bda7 4103 190119 4101" },
	{ D01, HEADER, "84 183c 84" LL "19bda7 03 00 190119 4101" },
	{ D01, HEADER, "84 183c 57 84" LL "19bda7 03 00 190119 4101" },
	{ D01, HEADER, "84 183c 82 44a9fe0102 03 190119 4101" },
	{ D01, HEADER, "84 183c 82 69 66653830 3a3a6768 69 03 190119 4101" }, /* fe80::ghi */
	{ D01, HEADER,
	  "84 183c 82 6c 3136392e3235342e312e3220 03 190119 4101" },	    /* "169.254.1.2 " */
	{ D01, HEADER, "84 183c 82 69 3136392e3235342e31 03 190119 4101" }, /* "169.254.1" */
	{ D01, HEADER, "84 183c 82 60 03 190119 4101" },
	{ D01, HEADER, "84 183c 82 67 666538303a3a00 03 190119 4101" },
	{ D01, HEADER, "84 183c 82 67 666538303a3a31 6133 190119 4101" },
	{ D01, HEADER,
	  "84 183c 82 782e 30303030303030303030303030303030303030303030303030303030303030303030"
	  "303030303030303030303030 03 190119 4101" },
	/* addresses that are not link-local unicast in fe80::/64 */
	{ D02, NOT_LL, "85 50 20010db8000000000000000000000001 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 fe800000000000010000000000000001 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 fe810000000000000000000000000001 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 ff020000000000000000000000000001 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 fe800000000000000000000000000000 19bda7 0a 03 4101" },
	{ D06, NOT_LL, "85 50 00000000000000000000000000000000 19bda7 02 03 4101" },
	{ D21, NOT_LL, "82 52 0103bda7 0000000000000000 020000000001 4101" },
	{ D21, JPX_RELAY, "82 52 0103bda7 0000000000000001 000000000000 4101" },
	{ D21, JPX_RELAY, "82 52 0103bda7 8000000000000000 000000000000 4101" },
	{ D01, NOT_LL, "84 183c 82 63 3a3a31 03 190119 4101" }, /* "::1" */
	/* and IPv4: 169.254/16 without its first and last 256 (RFC 3927 2.1) */
	{ D02, JPX_RELAY, "85" V4 "19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 00000000000000000000ffff c0a801c8 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 00000000000000000000ffff a9fe00ff 19bda7 0a 03 4101" },
	{ D02, JPX_RELAY, "85 50 00000000000000000000ffff a9fe0100 19bda7 0a 03 4101" },
	{ D02, JPX_RELAY, "85 50 00000000000000000000ffff a9fefeff 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 00000000000000000000ffff a9feff00 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 00000000000000000000fffe a9fe0102 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 00000000000000000001ffff a9fe0102 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 01000000000000000000ffff a9fe0102 19bda7 0a 03 4101" },
	{ D02, NOT_LL, "85 50 000000000000000000000000 a9fe0102 19bda7 0a 03 4101" },
	{ D06, NOT_LL, "85" V4 "19bda7 02 03 4101" }, /* IPv6, it says */
	{ D06, JPX_RELAY, "85 44 a9fe0102 19bda7 01 03 4101" },
	{ D06, JPX_RELAY, "85 5804 a9fe0102 1a0000bda7 1801 190003 580101" },
	{ D06, NOT_LL, "85 44 c0a801c8 19bda7 01 03 4101" },
	{ D06, NOT_LL, "85 44 a9fe0001 19bda7 01 03 4101" },
	{ D06, NOT_LL, "85 44 a9feff01 19bda7 01 03 4101" },
	{ D06, NOT_LL, "85 44 00000000 19bda7 01 03 4101" },
	{ D21, JPX_RELAY, "82 52 0203bda7 00000000a9fe0102 020000000001 4101" },
	{ D21, JPX_RELAY, "82 52 0203bda7 00000000a9fe0102 000000000000 4101" },
	{ D21, NOT_LL, "82 52 0203bda7 00000000c0a801c8 020000000001 4101" },
	{ D21, NOT_LL, "82 52 0203bda7 00000000a9fe0001 020000000001 4101" },
	{ D21, NOT_LL, "82 52 0203bda7 0000000000000000 020000000001 4101" },
	{ D21, JPX_RELAY, "82 52 0103bda7 00000000a9fe0102 020000000001 4101" }, /* of IPv6 */
	{ D01, JPX_RELAY, "84 183c 82" V4 "03 190119 4101" },
	{ D01, JPX_RELAY, "84 183c 82 6b 3136392e3235342e312e32 03 190119 4101" },
	{ D01, JPX_RELAY, "84 183c 82 72 3a3a666666663a3136392e3235342e312e32 03 190119 4101" },
	{ D01, NOT_LL, "84 183c 82 69 3132372e302e302e31 03 190119 4101" }, /* "127.0.0.1" */
	{ D01, NOT_LL, "84 183c 82 6d 3a3a3136392e3235342e312e32 03 190119 4101" },
	{ D01, NOT_LL, "84 183c 82 50 00000000000000000000ffff a9feff00 03 190119 4101" },
	/* UDP ports that are none */
	{ D02, PORT, "85" LL "00 0a 03 4101" },
	{ D02, PORT, "85" LL "1a00010000 0a 03 4101" },
	{ D02, PORT, "85" LL "1b0000000100000001 0a 03 4101" },
	{ D02, PORT, "85" LL "1bffffffffffffffff 0a 03 4101" },
	{ D02, PORT, "85" LL "39bda7 0a 03 4101" },
	{ D02, PORT, "85" LL "20 0a 03 4101" },
	{ D02, PORT, "85" LL "3a0000bda7 0a 03 4101" },
	{ D02, PORT, "85" LL "3b000000000000bda7 0a 03 4101" },
	{ D02, JPX_RELAY, "85" LL "01 0a 03 4101" },
	{ D02, JPX_RELAY, "85" LL "19ffff 0a 03 4101" },
	{ D06, PORT, "85" LL "00 02 03 4101" },
	{ D21, PORT, "82 52 01030000 000000fffe000001 020000000001 4101" },
	{ D21, JPX_RELAY, "82 52 01030001 000000fffe000001 020000000001 4101" },
	{ D21, JPX_RELAY, "82 52 0103ff00 000000fffe000001 020000000001 4101" },
	{ D01, PORT, "84 183c 83" LL "00 03 190119 4101" },
	{ D01, PORT, "84 183c 83" LL "20 03 190119 4101" },
	{ D01, PORT, "84 183c 83" LL "1a00010000 03 190119 4101" },
	/* port ids that are none */
	{ D02, IDENT, "85" LL "19bda7 0a 00 4101" },
	{ D02, IDENT, "85" LL "19bda7 0a 190100 4101" },
	{ D02, IDENT, "85" LL "19bda7 0a 1b0000000100000003 4101" },
	{ D02, IDENT, "85" LL "19bda7 0a 22 4101" },
	{ D02, JPX_RELAY, "85" LL "19bda7 0a 18ff 4101" },
	{ D06, IDENT, "85" LL "19bda7 02 00 4101" },
	{ D21, IDENT, "82 52 0100bda7 000000fffe000001 020000000001 4101" },
	{ D21, JPX_RELAY, "82 52 01ffbda7 000000fffe000001 020000000001 4101" },
	{ D01, IDENT, "84 183c 82" LL "00 190119 4101" },
	{ D01, IDENT, "84 183c 82" LL "190100 190119 4101" },
	{ D01, IDENT, "84 183c 82" LL "22 190119 4101" },
	/* several faults at once: the order is part of the contract */
	{ D02, COUNT, "84 6130 19bda7 0a 03 00" },
	{ D02, WRONG, "85 44a9fe0102 00 02 00 6101 00" },
	{ D02, TRAIL, "85 44a9fe0102 00 02 00 4101 00" },
	{ D02, HEADER, "85 50 20010db8000000000000000000000001 00 02 00 4101" },
	{ D02, NOT_LL, "85 50 20010db8000000000000000000000001 00 0a 00 4101" },
	{ D02, PORT, "85" LL "00 0a 00 4101" },
	{ D21, HEADER, "82 52 0300 0000 0000000000000000 020000000001 4101" },
	{ D21, HEADER, "82 52 0200 0000 0000000100000000 020000000001 4101" },
	{ D21, NOT_LL, "82 52 0200 0000 0000000000000000 020000000001 4101" },
	{ D21, PORT, "82 52 0200 0000 00000000a9fe0102 020000000001 4101" },
	{ D21, IDENT, "82 52 0200 0001 00000000a9fe0102 020000000001 4101" },
	{ D06, HEADER, "85 44 c0a801c8 00 02 00 4101" },
	{ D06, NOT_LL, "85 44 c0a801c8 00 01 00 4101" },
	{ D06, PORT, "85 44 a9fe0102 00 01 00 4101" },
	{ D06, IDENT, "85 44 a9fe0102 01 01 00 4101" },
	{ D06, TRAIL, "85 44 c0a801c8 00 02 00 4101 00" },
	{ D21, NOT_LL, "82 52 0100 0000 0000000000000000 020000000001 4101" },
	{ D21, PORT, "82 52 0100 0000 0000000000000001 020000000001 4101" },
	{ D01, TRAIL, "84 183d 81 00 190119 4101 00" },
	{ D01, HEADER, "84 183d 83 50 20010db8000000000000000000000001 00 00 190119 4101" },
	{ D01, NOT_LL, "84 183c 83 50 20010db8000000000000000000000001 00 00 190119 4101" },
	{ D01, PORT, "84 183c 83" LL "00 00 190119 4101" },
	/* any content, any content format */
	{ D02, JPX_RELAY, "85" LL "19bda7 0a 03 40" },
	{ D21, JPX_RELAY, "82" H21 "40" },
	{ D01, JPX_RELAY, "84 183c 83" LL "19bda7 03 20 40" },
	{ D01, JPX_RELAY, "83 183c 83" LL "19bda7 18ff 82 19011e 40" },
	{ D01, JPX_RELAY, "84 183c 53 82" LL "03 190119 4101" },
	/* no such form */
	{ JPX_FORM_COUNT, WRONG, "82" H21 "4101" },
	{ JPX_FORM_COUNT, WRONG, "85" LL "19bda7 0a 03 4101" },
};

static void test_reasons(void **state)
{
	/* what the codec can say at all: nothing else is its to judge */
	static const enum jpx_drop all[] = { JPX_RELAY, WRONG,	COUNT, TRAIL,
					     HEADER,	NOT_LL, PORT,  IDENT };
	/* draft-06 is taken apart as draft-02 is */
	static const enum jpx_form walks[] = { D02, D21, D01 };
	bool seen[JPX_FORM_COUNT + 1][JPX_DROP_COUNT] = { 0 };
	uint8_t msg[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = test_hex(cases[i].hex, msg, sizeof(msg));
		struct jpx_pledge p, before;
		struct jpx_span s = { 111, 222 };
		enum jpx_drop why;

		memset(&p, 0xa5, sizeof(p));
		before = p;
		why = unwrap(cases[i].form, msg, len, &p, &s);
		assert_reason(why, cases[i].why, cases[i].hex);
		seen[cases[i].form][why] = true;
		if (why != JPX_RELAY) {
			assert_memory_equal(&p, &before, sizeof(p));
			assert_int_equal(s.off, 111);
			assert_int_equal(s.len, 222);
		} else {
			assert_true(s.off + s.len <= len);
		}
	}
	for (size_t f = 0; f < ARRAY_LEN(walks); f++)
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			assert_true(seen[walks[f]][all[i]]);
}

/* Which address a spelling stands for: what looks like IPv4 may not be. */
static void test_families(void **state)
{
	static const struct {
		enum jpx_form form;
		const char *hex, *addr;
	} rows[] = {
		{ D02, "85" V4 "19bda7 0a 03 4101", "::ffff:169.254.1.2" },
		{ D02, "85 50 fe80000000000000 0000ffffa9fe0102 19bda7 0a 03 4101",
		  "fe80::ffff:a9fe:102" },
		{ D06, "85 44 a9fefe00 19bda7 01 03 4101", "::ffff:169.254.254.0" },
		{ D06, "85 50 fe80000000000000 0000ffffa9fe0102 19bda7 02 03 4101",
		  "fe80::ffff:a9fe:102" },
		{ D21, "82 52 0203bda7 00000000a9fe0102 020000000001 4101", "::ffff:169.254.1.2" },
		{ D21, "82 52 0103bda7 00000000a9fe0102 020000000001 4101", "fe80::a9fe:102" },
		{ D21, "82 52 0103bda7 0000ffffa9fe0102 020000000001 4101", "fe80::ffff:a9fe:102" },
		{ D01, "84 183c 82" V4 "03 190119 4101", "::ffff:169.254.1.2" },
		{ D01, "84 183c 82 6b 3136392e3235342e312e32 03 190119 4101",
		  "::ffff:169.254.1.2" },
		{ D01, "84 183c 82 67 666538303a3a31 03 190119 4101", "fe80::1" },
	};
	uint8_t msg[64], want[16];
	struct jpx_pledge p;
	struct jpx_span s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = test_hex(rows[i].hex, msg, sizeof(msg));

		assert_reason(unwrap(rows[i].form, msg, len, &p, &s), JPX_RELAY, rows[i].hex);
		assert_int_equal(inet_pton(AF_INET6, rows[i].addr, want), 1);
		if (memcmp(p.addr, want, 16))
			fail_msg("%s is not taken for %s", rows[i].hex, rows[i].addr);
	}
}

/* Splitting: the header is opaque */

static const struct {
	enum jpx_drop why;
	enum jpx_form form;
	size_t head, tail;
	const char *hex;
} splits[] = {
	{ JPX_RELAY, D02, 5, 0, "85 40 00 00 00 40" },
	{ JPX_RELAY, D02, 5, 0, "85 40 20 20 20 40" },
	{ JPX_RELAY, D02, 5, 0, "85 40 00 21 00 40" },
	{ JPX_RELAY, D06, 5, 0, "85 40 00 01 00 40" },
	{ JPX_RELAY, D06, 6, 0, "85 40 00 1802 00 40" },
	{ JPX_RELAY, D02, 5, 0, "85 40 00 03 00 40" },
	{ JPX_RELAY, D06, 9, 3, "87 44a9fe0102 00 02 00 4101 41ff 00" },
	{ JPX_RELAY, D21, 2, 0, "82 40 40" },
	{ JPX_RELAY, D21, 2, 7, "84 40 4101 a1 01 02 63616263" },
	{ JPX_RELAY, D01, 5, 0, "84 183c 80 01 40" },
	{ JPX_RELAY, D01, 8, 2, "84 183c 80 83 19011e 40 00 00" },
	{ JPX_RELAY, D01, 6, 0, "84 183c 4100 01 40" },
	{ JPX_RELAY, D01, 6, 0, "84 183c 81f6 01 40" },
	{ JPX_RELAY, D01, 8, 0, "84 1a0000003c 80 01 40" },
	{ WRONG, 0, 0, 0, "" },
	{ COUNT, 0, 0, 0, "80" },
	{ COUNT, 0, 0, 0, "81 40" },
	{ COUNT, 0, 0, 0, "81" },
	{ COUNT, 0, 0, 0, "84 40 00 00 00" },
	{ COUNT, 0, 0, 0, "82 40 00" },
	{ COUNT, 0, 0, 0, "82 183c 80" },
	{ COUNT, 0, 0, 0, "83 183c 80 01" },
	{ COUNT, 0, 0, 0, "83 183c 80 80" },
	{ WRONG, 0, 0, 0, "82" },
	{ WRONG, 0, 0, 0, "82 40" },
	{ WRONG, 0, 0, 0, "82 40 6101" },
	{ WRONG, 0, 0, 0, "82 40 80" },
	{ WRONG, 0, 0, 0, "82 6130 40" },
	{ WRONG, 0, 0, 0, "82 6130 00" },
	{ WRONG, 0, 0, 0, "82 80 00" },
	{ WRONG, 0, 0, 0, "84 183d 80 01 40" },
	{ WRONG, 0, 0, 0, "84 383c 80 01 40" },
	{ WRONG, 0, 0, 0, "84 80 80 01 40" },
	{ WRONG, 0, 0, 0, "84 183c 01 01 40" },
	{ WRONG, 0, 0, 0, "84 183c 81 c1 01 40" },
	{ WRONG, 0, 0, 0, "85 40 00 40 00 40" },
	{ WRONG, 0, 0, 0, "85 40 00 00 00 00" },
	{ WRONG, 0, 0, 0, "9f 40 40 ff" },
	{ TRAIL, 0, 0, 0, "82 40 40 f6" },
	{ TRAIL, 0, 0, 0, "85 40 00 00 00 40 ff" },
	{ TRAIL, 0, 0, 0, "84 183c 80 01 40 00" },
};

static void test_split(void **state)
{
	uint8_t msg[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(splits); i++) {
		size_t len = test_hex(splits[i].hex, msg, sizeof(msg));
		struct jpx_jpy_layout l;

		assert_reason(split(msg, len, &l), splits[i].why, splits[i].hex);
		if (splits[i].why != JPX_RELAY)
			continue;
		if (l.form != splits[i].form || l.head.len != splits[i].head ||
		    l.tail.len != splits[i].tail)
			fail_msg("%s: %s, head %zu, tail %zu", splits[i].hex, jpx_form_name(l.form),
				 l.head.len, l.tail.len);
	}
}

static void test_nothing(void **state)
{
	struct jpx_jpy_layout l;
	struct jpx_pledge p;
	struct jpx_span s;

	(void)state;
	for (int f = 0; f < JPX_FORM_COUNT; f++)
		assert_reason(jpx_jpy_unwrap((enum jpx_form)f, NULL, 0, &p, &s), WRONG, "nothing");
	assert_reason(jpx_jpy_split(NULL, 0, &l), WRONG, "nothing");
}

static void test_form_names(void **state)
{
	(void)state;
	assert_string_equal(jpx_form_name(JPX_FORM_DRAFT02), "draft-02");
	assert_string_equal(jpx_form_name(JPX_FORM_DRAFT06), "draft-06");
	assert_string_equal(jpx_form_name(JPX_FORM_DRAFT21), "draft-21");
	assert_string_equal(jpx_form_name(JPX_FORM_DRAFT01), "draft-01");
	assert_null(jpx_form_name(JPX_FORM_COUNT));
	assert_null(jpx_form_name((enum jpx_form) - 1));
	assert_int_equal(jpx_form_by_name("draft-02"), JPX_FORM_DRAFT02);
	assert_int_equal(jpx_form_by_name("draft-01"), JPX_FORM_DRAFT01);
	assert_int_equal(jpx_form_by_name("draft-03"), -1);
	assert_int_equal(jpx_form_by_name("draft-021"), -1);
	assert_int_equal(jpx_form_by_name(""), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_split),	  cmocka_unit_test(test_vectors_unwrap),
		cmocka_unit_test(test_vectors_wrap),	  cmocka_unit_test(test_vectors_answer),
		cmocka_unit_test(test_answer_limit),	  cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_one_byte_too_many), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_wrap_capacity),	  cmocka_unit_test(test_wrap_header_values),
		cmocka_unit_test(test_long_encodings),	  cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_families),	  cmocka_unit_test(test_split),
		cmocka_unit_test(test_nothing),		  cmocka_unit_test(test_form_names),
	};
	int failed;

	vectors = test_vectors(&root);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(root);
	return failed;
}
