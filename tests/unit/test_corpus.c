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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jpy),
		cmocka_unit_test(test_linkformat),
		cmocka_unit_test(test_grasp),
		cmocka_unit_test(test_sixtisch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
