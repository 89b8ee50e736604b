/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every fuzz target needs.  A target is a function of its own name, so that the corpus test
 * can run all of them in one program; under libFuzzer, which knows one name only, it has that one.
 */
#ifndef JPX_FUZZ_H
#define JPX_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef JPX_LIBFUZZER
#define FUZZ_TARGET(name)                                                                          \
	int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);                              \
	int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
#else
#define FUZZ_TARGET(name) int name(const uint8_t *input, size_t len)
#endif

int fuzz_certs(const uint8_t *input, size_t len);
int fuzz_csr(const uint8_t *input, size_t len);
int fuzz_grasp(const uint8_t *input, size_t len);
int fuzz_jpy(const uint8_t *input, size_t len);
int fuzz_linkformat(const uint8_t *input, size_t len);
int fuzz_multipart(const uint8_t *input, size_t len);
int fuzz_pemfile(const uint8_t *input, size_t len);
int fuzz_policy(const uint8_t *input, size_t len);
int fuzz_serials(const uint8_t *input, size_t len);
int fuzz_sixtisch(const uint8_t *input, size_t len);
int fuzz_trace(const uint8_t *input, size_t len);

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
