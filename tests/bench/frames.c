/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every byte of every frame, sent and expected.  Knows nothing of the fast
 * path's code: JPY messages come from the user half's codec, checksums are
 * added up over the whole datagram.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "bench.h"

#define HEADERS (14 + 40 + 8)
#define TAG_OFF 15 /* of the flow's number, in the content: behind a DTLS record header */

const char *const bench_foreign[] = { "arp", "ipv4-tcp", "ipv6-tcp", "ipv6-udp", NULL };

/* RFC 1071 over a pseudo-header and a datagram, in network order from start to end. */
static uint16_t udp_checksum(const uint8_t *ip6, const uint8_t *udp, size_t len)
{
	uint32_t sum = IPPROTO_UDP + (uint32_t)len;

	for (int i = 8; i < 40; i += 2)
		sum += (uint32_t)(ip6[i] << 8 | ip6[i + 1]);
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? udp[i] : (uint32_t)udp[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

bool bench_frame_checksum_ok(const uint8_t *frame, size_t len)
{
	size_t udp_len;

	if (len < HEADERS)
		return false;
	udp_len = (size_t)(frame[58] << 8 | frame[59]);
	return udp_len == len - 54 && (frame[60] | frame[61]) &&
	       udp_checksum(frame + 14, frame + 54, udp_len) == 0;
}

struct ends {
	const uint8_t *src_mac, *dst_mac;
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint8_t hop_limit;
};

static size_t build(uint8_t *f, const struct ends *e, const void *payload, size_t len)
{
	size_t udp_len = len + 8;
	uint16_t check;

	memcpy(f, e->dst_mac, 6);
	memcpy(f + 6, e->src_mac, 6);
	f[12] = 0x86;
	f[13] = 0xdd;
	memset(f + 14, 0, 40);
	f[14] = 0x60;
	f[18] = (uint8_t)(udp_len >> 8);
	f[19] = (uint8_t)udp_len;
	f[20] = IPPROTO_UDP;
	f[21] = e->hop_limit;
	memcpy(f + 22, e->src, 16);
	memcpy(f + 38, e->dst, 16);
	f[54] = (uint8_t)(e->sport >> 8);
	f[55] = (uint8_t)e->sport;
	f[56] = (uint8_t)(e->dport >> 8);
	f[57] = (uint8_t)e->dport;
	f[58] = f[18];
	f[59] = f[19];
	f[60] = f[61] = 0;
	memmove(f + HEADERS, payload, len);
	check = udp_checksum(f + 14, f + 54, udp_len);
	if (!check)
		check = 0xffff;
	f[60] = (uint8_t)(check >> 8);
	f[61] = (uint8_t)check;
	return HEADERS + len;
}

static void fill_content(uint8_t *c, size_t len, unsigned int flow)
{
	static const uint8_t record[13] = { 22, 0xfe, 0xfd };

	for (size_t i = 0; i < len; i++)
		c[i] = (uint8_t)(i * 7 + 3);
	memcpy(c, record, sizeof(record));
	c[11] = (uint8_t)((len - 13) >> 8);
	c[12] = (uint8_t)(len - 13);
	c[TAG_OFF] = (uint8_t)flow;
}

static int build_flow(const struct bench_case *c, enum bench_prog prog, unsigned int flow,
		      struct bench_frames *out)
{
	bool wrap = c->way == BENCH_WRAP;
	unsigned int service = (wrap ? 1 : 3) + (c->form == JPX_FORM_DRAFT21);
	uint8_t content[BENCH_FRAME_MAX], message[BENCH_FRAME_MAX];
	struct jpx_pledge pledge = { .port_id = wrap ? 5 : 6 };
	struct ends pledge_side = {}, registrar_side = {};
	uint8_t *sent = out->sent[flow], *want = out->want[flow];
	uint8_t pledge_mac[6];
	ssize_t message_len;

	memcpy(pledge_mac, bench_mac_pledges, 6);
	pledge_mac[5] = (uint8_t)flow;
	fill_content(content, c->content, flow);

	pledge.udp_port = (uint16_t)(40000 + flow);
	pledge.addr[0] = 0xfe;
	pledge.addr[1] = 0x80;
	if (c->opaque) {
		static const uint8_t iid[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0 };

		memcpy(pledge.addr + 8, iid, 8);
		pledge.addr[15] = (uint8_t)flow;
	} else {
		pledge.addr[8] = pledge_mac[0] ^ 2;
		memcpy(pledge.addr + 9, pledge_mac + 1, 2);
		pledge.addr[11] = 0xff;
		pledge.addr[12] = 0xfe;
		memcpy(pledge.addr + 13, pledge_mac + 3, 3);
	}
	memcpy(pledge.mac, pledge_mac, 6);
	message_len = jpx_jpy_wrap(c->form, &pledge, content, c->content, message,
				   sizeof(message) - HEADERS);
	if (message_len < 0)
		return (int)message_len;

	pledge_side.hop_limit = registrar_side.hop_limit = JPX_HOP_LIMIT;
	inet_pton(AF_INET6, BENCH_REGISTRAR, wrap ? registrar_side.dst : registrar_side.src);
	inet_pton(AF_INET6, BENCH_PROXY, wrap ? registrar_side.src : registrar_side.dst);
	inet_pton(AF_INET6, BENCH_PLEDGE_SIDE, wrap ? pledge_side.dst : pledge_side.src);
	memcpy(wrap ? pledge_side.src : pledge_side.dst, pledge.addr, 16);
	if (wrap) {
		pledge_side.src_mac = pledge_mac;
		pledge_side.dst_mac = bench_mac_p0;
		pledge_side.sport = pledge.udp_port;
		pledge_side.dport = (uint16_t)(BENCH_JOIN_PORT + service - 1);
		registrar_side.src_mac = bench_mac_p1;
		registrar_side.dst_mac = bench_mac_registrar;
		registrar_side.sport = (uint16_t)(BENCH_UPLINK_PORT + service - 1);
		registrar_side.dport = BENCH_REGISTRAR_PORT;
		out->sent_len = build(sent, &pledge_side, content, c->content);
		out->want_len = build(want, &registrar_side, message, (size_t)message_len);
	} else {
		registrar_side.src_mac = bench_mac_registrar;
		registrar_side.dst_mac = bench_mac_p0;
		registrar_side.sport = BENCH_REGISTRAR_PORT;
		registrar_side.dport = (uint16_t)(BENCH_UPLINK_PORT + service - 1);
		pledge_side.src_mac = bench_mac_p1;
		pledge_side.dst_mac = pledge_mac;
		pledge_side.sport = (uint16_t)(BENCH_JOIN_PORT + service - 1);
		pledge_side.dport = pledge.udp_port;
		out->sent_len = build(sent, &registrar_side, message, (size_t)message_len);
		out->want_len = build(want, &pledge_side, content, c->content);
	}
	if (prog == BENCH_JPX)
		return 0;

	/* The others carry what came in. */
	if (prog == BENCH_FIB) {
		struct ends plain = {
			.src_mac = pledge_mac,
			.dst_mac = bench_mac_p0,
			.sport = pledge.udp_port,
			.dport = BENCH_REGISTRAR_PORT,
			.hop_limit = JPX_HOP_LIMIT,
		};

		inet_pton(AF_INET6, BENCH_ELSEWHERE, plain.src);
		plain.src[15] = (uint8_t)flow;
		inet_pton(AF_INET6, BENCH_REGISTRAR, plain.dst);
		build(sent, &plain, wrap ? content : message,
		      wrap ? c->content : (size_t)message_len);
	}
	out->want_len = out->sent_len;
	memcpy(want, sent, out->sent_len);
	if (prog == BENCH_RESET)
		return 0;
	memcpy(want, bench_mac_registrar, 6);
	memcpy(want + 6, bench_mac_p1, 6);
	if (prog == BENCH_FIB)
		want[21]--;
	return 0;
}

int bench_frames_build(const struct bench_case *c, enum bench_prog prog,
		       struct bench_frames *frames)
{
	size_t front;

	for (unsigned int flow = 0; flow < BENCH_FLOWS; flow++) {
		int err = build_flow(c, prog, flow, frames);

		if (err)
			return err;
	}
	frames->undo = (int)frames->want_len - (int)frames->sent_len;
	front = frames->want_len - c->content;
	frames->tag_off = front + TAG_OFF;
	return frames->tag_off < BENCH_HEAD && frames->sent_len >= BENCH_HEAD ? 0 : -ERANGE;
}

size_t bench_frame_foreign(const char *kind, uint8_t *f)
{
	struct ends e = {
		.src_mac = bench_mac_registrar,
		.dst_mac = bench_mac_p0,
		.sport = 443,
		.dport = 443,
		.hop_limit = 64,
	};
	uint8_t payload[128] = { 0 };
	size_t len;

	inet_pton(AF_INET6, BENCH_REGISTRAR, e.src);
	inet_pton(AF_INET6, BENCH_PROXY, e.dst);
	len = build(f, &e, payload, sizeof(payload));
	if (!strcmp(kind, "arp")) {
		f[12] = 0x08;
		f[13] = 0x06;
	} else if (!strcmp(kind, "ipv4-tcp")) {
		f[12] = 0x08;
		f[13] = 0x00;
		f[14] = 0x45;
		f[23] = IPPROTO_TCP;
	} else if (!strcmp(kind, "ipv6-tcp")) {
		f[20] = IPPROTO_TCP;
	}
	return len;
}
