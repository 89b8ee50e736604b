/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * make_corpus DIR: writes every message of vectors.json into DIR, a file each,
 * named after the vector: what the fuzzer of the JPY codec starts from.
 */
#include <errno.h>

#include "../unit/vectors.h"

int main(int argc, char **argv)
{
	uint8_t msg[2048];
	json_t *root, *list, *v;
	size_t i;
	int status = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: make_corpus DIR\n");
		return 2;
	}
	list = test_vectors(&root);
	json_array_foreach(list, i, v) {
		const char *name = json_string_value(json_object_get(v, "name"));
		size_t len = test_message(v, msg, sizeof(msg));
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", argv[1], name);
		f = fopen(path, "wb");
		if (!f || fwrite(msg, 1, len, f) != len || fclose(f)) {
			fprintf(stderr, "make_corpus: cannot write %s: %s\n", path,
				strerror(errno));
			status = 1;
			break;
		}
	}
	json_decref(root);
	return status;
}
