/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ones' complement sums (RFC 1071) for user space, of the same kind as bpf/csum.h: 16-bit
 * words as they lie in memory, kept wide, folded late.  Works on memory only.
 *
 * Of a v4-mapped address the sum is what the 4 bytes on the wire sum to: ::ffff counts 0.
 */
#ifndef JPX_SUM_H
#define JPX_SUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of LEN bytes, an odd last one padded with zero (RFC 768). */
static inline uint64_t sum_of(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t sum = 0;
	uint16_t word;

	for (; len >= 2; len -= 2, p += 2) {
		memcpy(&word, p, 2);
		sum += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, 1);
		sum += word;
	}
	return sum;
}

/* The checksum field for SUM, in network order.  UDP sends 0xffff where this is 0. */
static inline uint16_t sum_check(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

#endif
