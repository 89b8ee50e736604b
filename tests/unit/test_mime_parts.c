/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an EST server's HTTP bodies have inside: base64 in every dress, multipart, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/jpreg/mime_parts.h"

#define TEXT_MAX 65536

/* ---- base64 ---- */

/* Is TEXT base64 for WANTED (NULL: is it none)? */
static bool reads(const char *text, const char *wanted)
{
	uint8_t *out = (uint8_t *)&out;
	long len = mime_base64_read(text, &out);
	bool good = wanted ? len == (long)strlen(wanted) && !memcmp(out, wanted, (size_t)len)
			   : len == -1 && !out;

	free(out);
	return good;
}

static void test_read(void **state)
{
	(void)state;
	assert_true(reads("YQ==", "a"));
	assert_true(reads("YWI=", "ab"));
	assert_true(reads("YWJj", "abc"));
	assert_true(reads("YWJj\n", "abc"));
	assert_true(reads("\r\n  YWJj\r\n\r\n", "abc"));
	assert_true(reads("YW\nJj\nZA\n==\n", "abcd"));
	assert_true(reads("Y\tW J\r\nj", "abc"));
	assert_true(reads("", NULL));
	assert_true(reads("\r\n", NULL));
	assert_true(reads("=", NULL));
	assert_true(reads("====", NULL));
	assert_true(reads("YWJ", NULL));
	assert_true(reads("Y", NULL));
	assert_true(reads("Y===", NULL));
	assert_true(reads("YW=j", NULL));
	assert_true(reads("YWJj*", NULL));
	assert_true(reads("YWJj\x80", NULL));
	assert_true(reads("<html>", NULL));
	assert_true(reads("YQ==YWJj", NULL));
	assert_true(reads("YWJj-YWJj", NULL));
	assert_true(reads("-----BEGIN PKCS7-----\nYWJj\n-----END PKCS7-----\n", NULL));
	/* That of URLs is another one. */
	assert_true(reads("_-_-", NULL));
}

/* Whatever the length is and wherever the lines break. */
static void test_round(void **state)
{
	static uint8_t data[TEXT_MAX + 1];
	static char broken[2 * TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t len = 1; len <= 3000; len += len < 200 ? 1 : 97) {
		char *text = mime_base64_write(data, len);
		size_t in_line = 0;
		uint8_t *out;

		assert_non_null(text);
		for (const char *at = text; *at; at++) {
			in_line = *at == '\n' ? 0 : in_line + 1;
			assert_true(in_line <= 76);
		}
		assert_int_equal(mime_base64_read(text, &out), len);
		assert_memory_equal(out, data, len);
		free(out);
		for (unsigned int lines = 0; lines < 200; lines += 1 + lines / 5) {
			size_t n = 0, column = 0;

			for (const char *at = text; *at; at++) {
				if (*at == '\n')
					continue;
				broken[n++] = *at;
				if (lines && ++column % lines == 0)
					broken[n++] = '\n';
			}
			broken[n] = '\0';
			assert_int_equal(mime_base64_read(broken, &out), len);
			assert_memory_equal(out, data, len);
			free(out);
		}
		free(text);
	}
	assert_null(mime_base64_write(data, TEXT_MAX + 1));
	memset(broken, 'A', TEXT_MAX + 4);
	broken[TEXT_MAX + 4] = '\0';
	assert_true(reads(broken, NULL));
	broken[TEXT_MAX] = '\0';
	uint8_t *out;

	assert_int_equal(mime_base64_read(broken, &out), TEXT_MAX / 4 * 3);
	free(out);
}

/* ---- multipart ---- */

static char seen[4096];
static int stop_at; /* the part at which who is told wants no more */
static int parts;

static bool on_part(void *arg, const char *type, const char *text)
{
	size_t used = strlen(seen);

	assert_ptr_equal(arg, seen);
	snprintf(seen + used, sizeof(seen) - used, "%s(%.100s)", type, text);
	return ++parts != stop_at;
}

static bool each(const char *type, const char *body, size_t len)
{
	char *exact = malloc(len ? len : 1);
	bool good;

	*seen = '\0';
	parts = 0;
	memcpy(exact, body, len);
	good = mime_parts_each(type, exact, len, on_part, seen);
	free(exact);
	return good;
}

static bool says(const char *type, const char *body, const char *wanted)
{
	bool good = each(type, body, strlen(body));

	if (strcmp(seen, wanted) != 0)
		printf("# %s\n", seen);
	return good && !strcmp(seen, wanted);
}

#define MIXED "multipart/mixed; boundary=b"

static void test_parts(void **state)
{
	(void)state;
	assert_true(says(MIXED,
			 "this is to be ignored\r\n--b\r\nContent-Type: application/pkcs8\r\n"
			 "Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b\r\nContent-Type: "
			 "application/pkcs7-mime; smime-type=certs-only\r\n\r\nZGVm\r\n--b--\r\n"
			 "and this\r\n",
			 "application/pkcs8(YWJj)application/pkcs7-mime(ZGVm)"));
	/* RFC 8951: it is base64, whatever is said of it. */
	assert_true(says(MIXED,
			 "--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
			 "YWJj\r\n--b\r\nContent-Type: a/c\r\nContent-Transfer-Encoding: "
			 "quoted-printable\r\n\r\nYQ==\r\n--b--\r\n",
			 "a/b(YWJj)a/c(YQ==)"));
	assert_true(says("Multipart/Mixed; Boundary=\"b b\"; charset=x",
			 "--b b\nContent-Type: A/B\n\nYWJj\n--b b--\n", "A/B(YWJj)"));
	assert_true(says(MIXED, "--b\r\n\r\nYWJj\n--b--", "text/plain(YWJj)"));
	assert_true(says(MIXED, "--b\r\nContent-Type: a/b\r\n\r\n\r\n--b--\r\n", "a/b()"));
	/* The end is missing. */
	assert_true(says(MIXED, "--b\r\nContent-Type: a/b\r\n\r\nYWJj", "a/b(YWJj)"));
	/* Parts of parts, and messages in them, are no keys. */
	assert_true(says(MIXED,
			 "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"
			 "Content-Type: application/pkcs8\r\n\r\nYWJj\r\n--c--\r\n--b\r\n"
			 "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n--b\r\n"
			 "Content-Type: a/b\r\n\r\nZGVm\r\n--b--\r\n",
			 "a/b(ZGVm)"));
}

static void test_no_parts(void **state)
{
	static const char body[] = "--b\r\nContent-Type: a/b\r\n\r\nYWJj\r\n--b--\r\n";
	static const char *const types[] = {
		"",
		"a",
		"text/plain",
		"application/pkcs7-mime",
		"multipart/mixed",
		"multipart/mixed; boundary=",
		"multipart/mixed; boundary=x",
		"multipart",
		"multipart/mixed; boundary=b\r\nContent-Type: multipart/mixed; boundary=b",
		"text/plain\nX: y",
		"\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		bool good = each(types[i], body, sizeof(body) - 1);

		if (good)
			printf("# \"%s\": %s\n", types[i], seen);
		assert_false(good);
	}
	assert_false(each(MIXED, "", 0));
	assert_false(each(MIXED, "\0", 1));
	assert_false(each(MIXED, "--b--\r\n", 7));
	assert_false(each(MIXED, "nothing\r\n", 9));
	/* Who is told does not want more. */
	stop_at = 1;
	assert_false(each(MIXED, body, sizeof(body) - 1));
	stop_at = 0;
}

static void test_many(void **state)
{
	static char body[TEXT_MAX];
	size_t n;

	(void)state;
	for (int count = 1; count <= 12; count++) {
		n = 0;
		for (int i = 0; i < count; i++)
			n += (size_t)snprintf(body + n, sizeof(body) - n,
					      "--b\r\nContent-Type: a/b\r\n\r\nYWJj\r\n");
		n += (size_t)snprintf(body + n, sizeof(body) - n, "--b--\r\n");
		assert_int_equal(each(MIXED, body, n), count <= 8);
		assert_int_equal(parts, count <= 8 ? count : 0);
	}
	/* As many as there is room for, and as deep. */
	for (n = 0; n + 5 <= sizeof(body); n += 5)
		memcpy(body + n, "--b\r\n", 5);
	assert_false(each(MIXED, body, n));
	for (n = 0; n + 48 <= sizeof(body); n += 48)
		memcpy(body + n, "--b\r\nContent-Type:multipart/mixed;boundary=\"b\"\r\n\r\n", 48);
	each(MIXED, body, n);
	assert_int_equal(parts, 0);
	n = 0;
	for (int i = 0; n + 100 < sizeof(body); i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n,
				      "--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n",
				      i, i + 1);
	each("multipart/mixed; boundary=0", body, n);
	assert_int_equal(parts, 0);
	n = 0;
	while (n + 100 < sizeof(body))
		n += (size_t)snprintf(body + n, sizeof(body) - n,
				      "%sContent-Type: message/rfc822\r\n\r\n", n ? "" : "--b\r\n");
	each(MIXED, body, n);
	assert_int_equal(parts, 0);
}

/* Zeros in a part end it; cut anywhere, and every byte another, nothing is read beyond the end. */
static void test_hostile(void **state)
{
	static const char body[] =
		"x\r\n--b\r\nContent-Type: application/pkcs8; name=\"=?utf-8?B?YQ==?=\""
		"\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b\r\n"
		"Content-Type: a/c\r\n\r\nZGVm\r\n--b--\r\n";
	char copy[sizeof(body)];

	(void)state;
	assert_true(each(MIXED, "--b\r\nContent-Type: a/b\r\n\r\nYW\0Jj\r\n--b--\r\n", 40));
	assert_string_equal(seen, "a/b(YW)");
	for (size_t len = 0; len < sizeof(body); len++)
		each(MIXED, body, len);
	for (size_t i = 0; i < sizeof(body) - 1; i++)
		for (unsigned int c = 0; c < 256; c += c < 64 ? 1 : 21) {
			memcpy(copy, body, sizeof(body));
			copy[i] = (char)c;
			each(MIXED, copy, sizeof(body) - 1);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),  cmocka_unit_test(test_round),
		cmocka_unit_test(test_parts), cmocka_unit_test(test_no_parts),
		cmocka_unit_test(test_many),  cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
