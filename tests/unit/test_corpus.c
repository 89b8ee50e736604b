/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fuzzers' corpora, once through their targets: what was a crash once stays none, and the
 * targets keep compiling.  A target that is not content ends the program.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <string.h>

#include "../fuzz/fuzz.h"

#define INPUT_MAX (128 * 1024)

static size_t read_input(const char *dir, const char *name, uint8_t *buf)
{
	char path[512];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	len = fread(buf, 1, INPUT_MAX, f);
	assert_false(ferror(f));
	fclose(f);
	return len;
}

static void run_corpus(int (*target)(const uint8_t *, size_t), const char *dir, size_t at_least)
{
	static uint8_t buf[INPUT_MAX];
	struct dirent *entry;
	size_t seen = 0;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((entry = readdir(d))) {
		size_t len;

		if (entry->d_name[0] == '.')
			continue;
		len = read_input(dir, entry->d_name, buf);
		print_message("# %s/%s, %zu bytes\n", dir, entry->d_name, len);
		seen++;
		target(buf, len);
		/* as it comes from a network that loses the end */
		for (size_t n = len < 256 ? len : 256; n--;)
			target(buf, n);
	}
	closedir(d);
	assert_true(seen >= at_least);
}

static void test_jpy(void **state)
{
	(void)state;
	run_corpus(fuzz_jpy, "tests/fuzz/corpus-jpy", 48);
}

static void test_linkformat(void **state)
{
	(void)state;
	run_corpus(fuzz_linkformat, "tests/fuzz/corpus-linkformat", 36);
}

static void test_grasp(void **state)
{
	(void)state;
	run_corpus(fuzz_grasp, "tests/fuzz/corpus-grasp", 28);
}

static void test_sixtisch(void **state)
{
	(void)state;
	run_corpus(fuzz_sixtisch, "tests/fuzz/corpus-sixtisch", 10);
}

static void test_csr(void **state)
{
	(void)state;
	run_corpus(fuzz_csr, "tests/fuzz/corpus-csr", 17);
}

static void test_certs(void **state)
{
	(void)state;
	run_corpus(fuzz_certs, "tests/fuzz/corpus-certs", 13);
}

static void test_multipart(void **state)
{
	(void)state;
	run_corpus(fuzz_multipart, "tests/fuzz/corpus-multipart", 15);
}

static void test_pemfile(void **state)
{
	(void)state;
	run_corpus(fuzz_pemfile, "tests/fuzz/corpus-pemfile", 17);
}

static void test_serials(void **state)
{
	(void)state;
	run_corpus(fuzz_serials, "tests/fuzz/corpus-serials", 11);
}

static void test_policy(void **state)
{
	(void)state;
	run_corpus(fuzz_policy, "tests/fuzz/corpus-policy", 15);
}

static void test_trace(void **state)
{
	(void)state;
	run_corpus(fuzz_trace, "tests/fuzz/corpus-trace", 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jpy),	  cmocka_unit_test(test_linkformat),
		cmocka_unit_test(test_grasp),	  cmocka_unit_test(test_sixtisch),
		cmocka_unit_test(test_csr),	  cmocka_unit_test(test_certs),
		cmocka_unit_test(test_multipart), cmocka_unit_test(test_pemfile),
		cmocka_unit_test(test_serials),	  cmocka_unit_test(test_policy),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
