/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Base64 and multipart bodies as EST servers send them, and as they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/jpreg/mime_parts.h"

static long read_it(const char *text, char out[64])
{
	uint8_t *data;
	long len = mime_base64_read(text, &data);

	memset(out, 0, 64);
	if (len >= 0 && len < 64)
		memcpy(out, data, (size_t)len);
	else
		assert_true(len > 0 || !data);
	free(data);
	return len;
}

static void test_base64(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(read_it("aGVsbG8=", out), 5);
	assert_string_equal(out, "hello");
	/* lines of any length, of either end, and blanks (RFC 8951 2) */
	assert_int_equal(read_it("aGV\r\nsb\n G8=\r\n\r\n", out), 5);
	assert_string_equal(out, "hello");
	assert_int_equal(read_it("", out), -1);
	assert_int_equal(read_it("\r\n", out), -1);
	assert_int_equal(read_it("aGVsbG8", out), -1); /* cut off */
	assert_int_equal(read_it("aGVs%%8=", out), -1);
	assert_int_equal(read_it("<html>", out), -1);
}

static void test_round_trip(void **state)
{
	uint8_t data[3000], *read;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t len = 1; len < sizeof(data); len += len < 200 ? 1 : 371) {
		text = mime_base64_write(data, len);
		assert_non_null(text);
		assert_int_equal(mime_base64_read(text, &read), len);
		assert_memory_equal(read, data, len);
		free(read);
		free(text);
	}
	/* more than any answer may have */
	text = malloc(65536 + 9);
	memset(text, 'A', 65536 + 8);
	text[65536 + 8] = '\0';
	assert_int_equal(mime_base64_read(text, &read), -1);
	assert_null(read);
	free(text);
}

struct seen {
	unsigned int parts;
	char text[512];
	bool stop;
};

static bool on_part(void *arg, const char *type, const char *text)
{
	struct seen *seen = arg;
	size_t used = strlen(seen->text);

	seen->parts++;
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s=%s;", type, text);
	return !seen->stop;
}

static bool each(const char *type, const char *body, struct seen *seen)
{
	return mime_parts_each(type, body, strlen(body), on_part, seen);
}

static void test_parts(void **state)
{
	static const char body[] = "ignored\r\n--xyz\r\nContent-Type: application/pkcs8\r\n"
				   "Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--xyz\r\n"
				   "content-type: Application/PKCS7-mime; "
				   "smime-type=certs-only\r\n\r\nBBBB\r\n--xyz--\r\nignored";
	struct seen seen = { 0 };

	(void)state;
	assert_true(each("multipart/mixed; boundary=xyz", body, &seen));
	/* As it stands there, whatever is said of its encoding. */
	assert_string_equal(seen.text, "application/pkcs8=AAAA;Application/PKCS7-mime=BBBB;");
	seen = (struct seen){ .stop = true };
	assert_false(each("multipart/mixed; boundary=\"xyz\"", body, &seen));
	assert_int_equal(seen.parts, 1);
}

static void test_no_parts(void **state)
{
	static const char one[] = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n";
	char many[2000] = "";
	struct seen seen = { 0 };

	(void)state;
	assert_false(each("text/plain", "hello", &seen));
	assert_false(each("", "hello", &seen));
	assert_false(each("multipart/mixed", "hello", &seen)); /* no boundary */
	/* a header of the server's cannot make another one of ours */
	assert_false(each("multipart/mixed; boundary=b\r\nX: y", one, &seen));
	/* too many */
	for (int i = 0; i < 9; i++)
		strcat(many, one);
	strcat(many, "--b--\r\n");
	assert_false(each("multipart/mixed; boundary=b", many, &seen));
	assert_int_equal(seen.parts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_no_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
