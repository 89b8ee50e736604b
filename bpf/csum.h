/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ones' complement sums (RFC 1071, RFC 1624), without ever reading the content:
 * what the content contributes is the old checksum less all that is known.
 *
 * Sums are of 16-bit words as they lie in memory.  RFC 1071 2(B): such a sum
 * works in either byte order as long as it is stored the way it was loaded, so
 * nothing is swapped here.  A sum may be kept wide (64 bits) and folded late.
 * A piece that starts at an odd offset contributes its sum with the two bytes
 * exchanged: jpx_csum_behind().
 *
 * Inlined adds: bpf_csum_diff() costs 25 ns for 40 bytes, these 3 to 6.
 */
#ifndef JPX_BPF_CSUM_H
#define JPX_BPF_CSUM_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>

static __always_inline __u64 jpx_csum_add64(__u64 sum, __u64 v)
{
	return sum + (v & 0xffffffff) + (v >> 32);
}

static __always_inline __u32 jpx_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)sum;
}

/* SUM less what was once added to it.  A multiple of 0xffff is 0 in this arithmetic, and
 * this one is larger than any sum of a few headers (some 32-bit words): no folding before a
 * subtraction. */
static __always_inline __u64 jpx_csum_less(__u64 sum, __u64 less)
{
	return sum + (0xffffULL << 24) - less;
}

/* Is SUM 0 in this arithmetic, a multiple of 0xffff?  By the inverse of 0xffff modulo 2^64: a
 * third of what folding costs.  (D. Lemire, "Faster remainder by direct computation", 3.2.) */
static __always_inline int jpx_csum_is_zero(__u64 sum)
{
	return sum * 0xfffefffefffeffffULL <= 0x0001000100010001ULL;
}

/* What is left of a checksum field when REST, all that it covers but the content, is taken out. */
static __always_inline __u64 jpx_csum_content(__sum16 check, __u64 rest)
{
	return jpx_csum_less((__u16)~check, rest);
}

/* CONTENT's sum, far less than 2^56, as it counts behind a prefix of PREFIX_LEN bytes.  To exchange
 * the two bytes of a word is to multiply it by 256, modulo 0xffff: no folding here either. */
static __always_inline __u64 jpx_csum_behind(__u64 content, __u32 prefix_len)
{
	return content << ((prefix_len & 1) << 3);
}

/* The checksum field for SUM; UDP sends 0xffff for 0 (RFC 768, RFC 8200 8.1). */
static __always_inline __sum16 jpx_csum_finish(__u64 sum)
{
	__u16 check = (__u16)~jpx_csum_fold(sum);

	return check ? check : 0xffff;
}

#endif
