/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See frame.h.  Bytes are put down one after the other and checksums are summed
 * one 16-bit word after the other: slow, and plain enough to be right by sight.
 */
#include "frame.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IP6_LEN 40
#define IP4_LEN 20
#define UDP_LEN 8

static uint8_t *put(uint8_t *p, uint64_t value, int bytes)
{
	while (bytes--)
		*p++ = (uint8_t)(value >> 8 * bytes);
	return p;
}

static uint8_t *put_bytes(uint8_t *p, const void *data, size_t len)
{
	if (len)
		memcpy(p, data, len);
	return p + len;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1071 over big-endian words, a last odd byte padded with zero. */
static uint32_t sum_words(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	if (len)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool is_ip4(const uint8_t *ip)
{
	return ip[0] >> 4 == 4;
}

static size_t ip_len(const uint8_t *ip)
{
	return is_ip4(ip) ? IP4_LEN : IP6_LEN;
}

/* RFC 768 and RFC 8200 8.1: both addresses, upper-layer length, protocol. */
static uint32_t sum_pseudo(const uint8_t *ip, size_t udp_len)
{
	uint8_t rest[8] = { 0 };

	put(rest, udp_len, 4);
	rest[7] = 17;
	if (is_ip4(ip))
		return sum_words(sum_words(0, ip + 12, 8), rest, sizeof(rest));
	return sum_words(sum_words(0, ip + 8, 32), rest, sizeof(rest));
}

static uint8_t *put_ip6(uint8_t *p, const struct frame_spec *spec, size_t udp_len, uint8_t proto)
{
	p = put(p, 0x60000000 | spec->class_flow, 4);
	p = put(p, (uint64_t)((long)(udp_len + spec->ext_len) + spec->ip_len_add), 2);
	p = put(p, spec->extended ? spec->first_header : proto, 1);
	p = put(p, spec->hop_limit ? spec->hop_limit : 64, 1);
	p = put_bytes(p, spec->src, 16);
	p = put_bytes(p, spec->dst, 16);
	return put_bytes(p, spec->ext, spec->ext_len);
}

/* RFC 791 3.1. */
static uint8_t *put_ip4(uint8_t *p, const struct frame_spec *spec, size_t udp_len, uint8_t proto)
{
	uint8_t *ip = p, words = (uint8_t)(5 + spec->ext_len / 4);

	p = put(p, 0x40 | (spec->words ? spec->words : words), 1);
	p = put(p, spec->class_flow >> 20, 1);
	p = put(p, (uint64_t)((long)(IP4_LEN + spec->ext_len + udp_len) + spec->ip_len_add), 2);
	p = put(p, spec->ident, 2);
	p = put(p, spec->frag ? spec->frag & 0xffff : 0x4000, 2);
	p = put(p, spec->hop_limit ? spec->hop_limit : 64, 1);
	p = put(p, proto, 1);
	p = put(p, 0, 2);
	p = put_bytes(p, spec->src + 12, 4);
	p = put_bytes(p, spec->dst + 12, 4);
	p = put_bytes(p, spec->ext, spec->ext_len);
	put(ip + 10, (~sum_words(0, ip, (size_t)(p - ip)) & 0xffff) ^ spec->head_csum_xor, 2);
	return p;
}

size_t frame_build(const struct frame_spec *spec, uint8_t buf[FRAME_MAX])
{
	size_t udp_len = UDP_LEN + spec->content_len;
	uint8_t proto = spec->proto ? spec->proto : 17;
	uint8_t *p = buf, *ip, *udp;
	uint32_t sum;

	if (IP6_LEN + udp_len + spec->ext_len + spec->padding + 22 > FRAME_MAX) {
		fprintf(stderr, "frame_build: %zu bytes of content are too many\n",
			spec->content_len);
		exit(1);
	}
	if (!spec->bare) {
		p = put(p, spec->dst_mac, 6);
		p = put(p, spec->src_mac, 6);
		for (int i = 0; i < spec->tags; i++)
			p = put(put(p, spec->tag[i].proto, 2), spec->tag[i].tci, 2);
		p = put(p, spec->ethertype ? spec->ethertype : spec->ipv4 ? 0x0800 : 0x86dd, 2);
	}
	ip = p;
	p = spec->ipv4 ? put_ip4(p, spec, udp_len, proto) : put_ip6(p, spec, udp_len, proto);
	udp = p;
	p = put(p, spec->sport, 2);
	p = put(p, spec->dport, 2);
	p = put(p, (uint64_t)((long)udp_len + spec->udp_len_add), 2);
	p = put(p, 0, 2);
	p = put_bytes(p, spec->content, spec->content_len);

	switch (spec->csum) {
	case FRAME_CSUM_FULL:
		/* A lie about the length must not hide behind a checksum that is wrong. */
		sum = sum_pseudo(ip, (size_t)((long)udp_len + spec->udp_len_add));
		sum = ~sum_words(sum, udp, udp_len) & 0xffff;
		put(udp + 6, (sum ? sum : 0xffff) ^ spec->csum_xor, 2);
		break;
	case FRAME_CSUM_PARTIAL:
		put(udp + 6, sum_pseudo(ip, udp_len), 2);
		break;
	case FRAME_CSUM_ZERO:
		break;
	}
	memset(p, 0, spec->padding);
	return (size_t)(p - buf) + spec->padding;
}

bool frame_csum_ok(const uint8_t *frame, size_t len, size_t l2_len)
{
	const uint8_t *ip = frame + l2_len, *udp = ip + ip_len(ip);
	size_t udp_len;

	if (frame + len < udp + UDP_LEN)
		return false;
	if (is_ip4(ip) && sum_words(0, ip, IP4_LEN) != 0xffff)
		return false;
	udp_len = get16(udp + 4);
	if (udp_len < UDP_LEN || udp_len > (size_t)(frame + len - udp) || !get16(udp + 6))
		return false;
	return sum_words(sum_pseudo(ip, udp_len), udp, udp_len) == 0xffff;
}

bool frame_csum_looks_partial(const uint8_t *frame, size_t l2_len)
{
	const uint8_t *ip = frame + l2_len, *udp = ip + ip_len(ip);

	return get16(udp + 6) == sum_pseudo(ip, get16(udp + 4));
}

size_t frame_hex(const char *hex, uint8_t *buf, size_t cap)
{
	unsigned int byte;
	size_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		if (n == cap || sscanf(hex, "%2x", &byte) != 1 || !hex[1]) {
			fprintf(stderr, "frame_hex: not hex, or too long: %s\n", hex);
			exit(1);
		}
		buf[n++] = (uint8_t)byte;
		hex++;
	}
	return n;
}

void frame_addr(const char *text, uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (inet_pton(AF_INET6, text, addr) == 1)
		return;
	memcpy(addr, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, addr + 12) != 1) {
		fprintf(stderr, "frame_addr: no address: %s\n", text);
		exit(1);
	}
}
