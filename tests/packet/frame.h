/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Builds frames for the packet tests, right ones and wrong ones, and judges the
 * checksum of what comes out.  Every checksum here is computed over the whole
 * datagram, from the text of RFC 768, RFC 791 3.1 and RFC 8200 8.1.
 *
 * Must never include anything of bpf/: it is what that code is measured by.
 */
#ifndef JPX_TESTS_FRAME_H
#define JPX_TESTS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 3072

enum frame_csum {
	FRAME_CSUM_FULL,
	FRAME_CSUM_ZERO,
	FRAME_CSUM_PARTIAL, /* the pseudo-header's sum only, as left to hardware */
};

struct frame_tag {
	uint16_t proto, tci;
};

#define FRAME_FRAG_NONE 0x10000 /* for struct frame_spec's frag: all bits 0 */

/* All numbers in host order.  Zero means the ordinary thing. */
struct frame_spec {
	bool bare; /* no link header */
	uint64_t dst_mac, src_mac;
	int tags;
	struct frame_tag tag[2];
	uint16_t ethertype;  /* 0: IPv6, or IPv4 */
	uint32_t class_flow; /* traffic class and flow label; IPv4: of it the type of service */
	uint8_t src[16], dst[16]; /* IPv4: mapped */
	uint8_t hop_limit;	  /* 0: 64 */
	uint8_t proto;		  /* what is behind the IP headers; 0: UDP */
	bool extended;		  /* EXT stands between IPv6 and UDP */
	uint8_t first_header;	  /* the IPv6 next header then */
	const uint8_t *ext;	  /* IPv4: options, in words of 4 */
	size_t ext_len;
	bool ipv4;
	uint16_t ident;		/* IPv4 from here on */
	uint32_t frag;		/* flags and offset; 0: "do not fragment" */
	uint16_t head_csum_xor; /* makes the header's checksum wrong */
	uint8_t words;		/* a lie about the header's length; 0: none */
	uint16_t sport, dport;
	const void *content;
	size_t content_len;
	int ip_len_add, udp_len_add; /* lies */
	size_t padding;		     /* bytes behind the IP datagram */
	enum frame_csum csum;
	uint16_t csum_xor; /* makes it wrong */
};

/* Writes the frame that SPEC describes to BUF; returns its length. */
size_t frame_build(const struct frame_spec *spec, uint8_t buf[FRAME_MAX]);

/* Are the UDP checksum of the frame, and the IPv4 header's, right?  The link header has
 * L2_LEN bytes and UDP stands directly behind IP without options. */
bool frame_csum_ok(const uint8_t *frame, size_t len, size_t l2_len);

/* Is the checksum field equal to what a sender without checksumming leaves there?
 * One right checksum in 65535 is. */
bool frame_csum_looks_partial(const uint8_t *frame, size_t l2_len);

/* Reads hex digits, blanks between them allowed; returns how many bytes. */
size_t frame_hex(const char *hex, uint8_t *buf, size_t cap);

/* An address from text, an IPv4 one mapped; stops the program at a wrong one. */
void frame_addr(const char *text, uint8_t addr[16]);

#endif
