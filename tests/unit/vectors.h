/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads vectors.json: the messages that the tests and the fuzzers' corpora
 * share.  JPX_TEST_DIR is where the file lies, seen from where the test runs.
 * For tests only: stops the program when the file is not what it should be.
 */
#ifndef JPX_TEST_VECTORS_H
#define JPX_TEST_VECTORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef JPX_TEST_DIR
#error "compile with -DJPX_TEST_DIR='\"tests/unit\"'"
#endif

/* Hex digits, blanks allowed, to bytes.  Returns how many. */
static inline size_t test_hex(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	unsigned int byte;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		if (n == cap || sscanf(hex, "%2x", &byte) != 1 || !hex[1]) {
			fprintf(stderr, "bad or too much hex at \"%s\"\n", hex);
			abort();
		}
		out[n++] = (uint8_t)byte;
		hex++;
	}
	return n;
}

/* The message of VECTOR, the content bytes that "follow" stands for included. */
static inline size_t test_message(const json_t *vector, uint8_t *out, size_t cap)
{
	size_t n = test_hex(json_string_value(json_object_get(vector, "hex")), out, cap);
	size_t follow = (size_t)json_integer_value(json_object_get(vector, "follow"));

	if (follow > cap - n)
		abort();
	for (size_t i = 0; i < follow; i++)
		out[n++] = (uint8_t)i;
	return n;
}

/* The array NAME of the file.  ROOT: to be given to json_decref() at the end. */
static inline json_t *test_vectors_of(json_t **root, const char *name)
{
	json_error_t err;
	json_t *list;

	*root = json_load_file(JPX_TEST_DIR "/vectors.json", JSON_REJECT_DUPLICATES, &err);
	if (!*root) {
		fprintf(stderr, "%s:%d: %s (run from the top of the tree)\n", err.source, err.line,
			err.text);
		abort();
	}
	list = json_object_get(*root, name);
	if (!json_array_size(list))
		abort();
	return list;
}

/* The JPY messages. */
static inline json_t *test_vectors(json_t **root)
{
	return test_vectors_of(root, "vectors");
}

/* What discovery sends, and is answered. */
static inline json_t *test_discovery_vectors(json_t **root)
{
	return test_vectors_of(root, "discovery");
}

/* Is VECTOR of discovery of KIND? */
static inline bool test_is_kind(const json_t *vector, const char *kind)
{
	return !strcmp(json_string_value(json_object_get(vector, "kind")), kind);
}

#endif
