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

static uint32_t add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool is_ipv4(const uint8_t *frame)
{
	return frame[12] == 0x08;
}

/* RFC 1071 over a pseudo-header and a datagram, in network order from start to end. */
static uint16_t udp_checksum(const uint8_t *ip, bool ipv4, const uint8_t *udp, size_t len)
{
	uint32_t sum = IPPROTO_UDP + (uint32_t)len;

	sum = ipv4 ? add(sum, ip + 12, 8) : add(sum, ip + 8, 32);
	return (uint16_t)~folded(add(sum, udp, len));
}

bool bench_frame_checksum_ok(const uint8_t *frame, size_t len)
{
	size_t ip_len = is_ipv4(frame) ? 20 : 40, udp_len;
	const uint8_t *udp = frame + 14 + ip_len;

	if (len < 14 + ip_len + 8)
		return false;
	if (is_ipv4(frame) && folded(add(0, frame + 14, 20)) != 0xffff)
		return false;
	udp_len = (size_t)(udp[4] << 8 | udp[5]);
	return udp_len == len - 14 - ip_len && (udp[6] | udp[7]) &&
	       udp_checksum(frame + 14, is_ipv4(frame), udp, udp_len) == 0;
}

struct ends {
	const uint8_t *src_mac, *dst_mac;
	uint8_t src[16], dst[16]; /* IPv4: v4-mapped */
	uint16_t sport, dport;
	uint8_t hop_limit;
	bool ipv4;
};

static void put16(uint8_t *to, size_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static size_t build(uint8_t *f, const struct ends *e, const void *payload, size_t len)
{
	size_t udp_len = len + 8, ip_len = e->ipv4 ? 20 : 40;
	uint8_t *ip = f + 14, *udp = ip + ip_len;
	uint16_t check;

	memcpy(f, e->dst_mac, 6);
	memcpy(f + 6, e->src_mac, 6);
	memset(ip, 0, ip_len);
	if (e->ipv4) {
		put16(f + 12, 0x0800);
		ip[0] = 0x45;
		put16(ip + 2, udp_len + 20);
		put16(ip + 6, 0x4000);
		ip[8] = e->hop_limit;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, e->src + 12, 4);
		memcpy(ip + 16, e->dst + 12, 4);
		put16(ip + 10, (uint16_t)~folded(add(0, ip, 20)));
	} else {
		put16(f + 12, 0x86dd);
		ip[0] = 0x60;
		put16(ip + 4, udp_len);
		ip[6] = IPPROTO_UDP;
		ip[7] = e->hop_limit;
		memcpy(ip + 8, e->src, 16);
		memcpy(ip + 24, e->dst, 16);
	}
	put16(udp, e->sport);
	put16(udp + 2, e->dport);
	put16(udp + 4, udp_len);
	put16(udp + 6, 0);
	memmove(udp + 8, payload, len);
	check = udp_checksum(ip, e->ipv4, udp, udp_len);
	put16(udp + 6, check ? check : 0xffff);
	return 14 + ip_len + 8 + len;
}

/* An address of either family, an IPv4 one mapped. */
static void address(const char *text, uint8_t out[16])
{
	memset(out, 0, 16);
	if (inet_pton(AF_INET6, text, out) == 1)
		return;
	out[10] = out[11] = 0xff;
	inet_pton(AF_INET, text, out + 12);
}

static void eui64(const uint8_t *mac, uint8_t *iid)
{
	iid[0] = mac[0] ^ 2;
	memcpy(iid + 1, mac + 1, 2);
	iid[3] = 0xff;
	iid[4] = 0xfe;
	memcpy(iid + 5, mac + 3, 3);
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

/* Each pledge of a case, by number. */
static void pledge_mac(unsigned int flow, uint8_t mac[6])
{
	memcpy(mac, bench_mac_pledges, 6);
	mac[5] = (uint8_t)flow;
}

void bench_pledge(const struct bench_case *c, unsigned int flow, struct jpx_pledge *pledge)
{
	static const uint8_t opaque[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0 };

	memset(pledge, 0, sizeof(*pledge));
	pledge->port_id = bench_is_back(c->way) ? 6 : 5;
	pledge->udp_port = (uint16_t)(40000 + flow);
	pledge_mac(flow, pledge->mac);
	if (c->pledge4) {
		address("169.254.7.0", pledge->addr);
		pledge->addr[15] = (uint8_t)(flow + 1);
		return;
	}
	pledge->addr[0] = 0xfe;
	pledge->addr[1] = 0x80;
	if (c->opaque) {
		memcpy(pledge->addr + 8, opaque, 8);
		pledge->addr[15] = (uint8_t)flow;
	} else {
		eui64(pledge->mac, pledge->addr + 8);
	}
}

unsigned int bench_service(const struct bench_case *c)
{
	unsigned int id = bench_is_back(c->way) ? 3 : 1;

	if (bench_is_stateful(c->way))
		return id + 4 + c->registrar4;
	return id + (c->form == JPX_FORM_DRAFT21);
}

/* What is sent to or comes from the Registrar for this content. */
static ssize_t outer(const struct bench_case *c, const struct jpx_pledge *pledge,
		     const uint8_t *content, uint8_t *message, size_t size)
{
	if (!bench_is_stateful(c->way))
		return jpx_jpy_wrap(c->form, pledge, content, c->content, message, size);
	memcpy(message, content, c->content);
	return (ssize_t)c->content;
}

/* Between pledge and proxy, and between proxy and Registrar, as datagrams to the Registrar go. */
static void ends_of(const struct bench_case *c, const struct jpx_pledge *pledge, unsigned int flow,
		    struct ends *pledge_side, struct ends *registrar_side)
{
	unsigned int service = bench_service(c);
	bool back = bench_is_back(c->way);

	*pledge_side = (struct ends){
		.src_mac = pledge->mac,
		.dst_mac = back ? bench_mac_p1 : bench_mac_p0,
		.sport = pledge->udp_port,
		.dport = (uint16_t)(BENCH_JOIN_PORT + service - 1),
		.hop_limit = JPX_HOP_LIMIT,
		.ipv4 = c->pledge4,
	};
	memcpy(pledge_side->src, pledge->addr, 16);
	address(c->pledge4 ? BENCH_PLEDGE_SIDE4 : BENCH_PLEDGE_SIDE, pledge_side->dst);
	*registrar_side = (struct ends){
		.src_mac = back ? bench_mac_p0 : bench_mac_p1,
		.dst_mac = bench_mac_registrar,
		.sport = (uint16_t)(BENCH_UPLINK_PORT + service - 1),
		.dport = BENCH_REGISTRAR_PORT,
		.hop_limit = JPX_HOP_LIMIT,
		.ipv4 = c->registrar4,
	};
	address(c->registrar4 ? BENCH_PROXY4 : BENCH_PROXY, registrar_side->src);
	address(c->registrar4 ? BENCH_REGISTRAR4 : BENCH_REGISTRAR, registrar_side->dst);
	if (bench_is_stateful(c->way)) {
		memcpy(registrar_side->src, c->uplinks[flow].addr, 16);
		registrar_side->sport = c->uplinks[flow].port;
	}
}

static struct ends reversed(const struct ends *e)
{
	struct ends r = *e;

	r.src_mac = e->dst_mac;
	r.dst_mac = e->src_mac;
	memcpy(r.src, e->dst, 16);
	memcpy(r.dst, e->src, 16);
	r.sport = e->dport;
	r.dport = e->sport;
	return r;
}

/* What the FIB forwarder gets instead of what E says: plainly addressed. */
static void plain_ends(const struct jpx_pledge *pledge, unsigned int flow, bool ipv4,
		       struct ends *e)
{
	*e = (struct ends){
		.src_mac = pledge->mac,
		.dst_mac = bench_mac_p0,
		.sport = pledge->udp_port,
		.dport = BENCH_REGISTRAR_PORT,
		.hop_limit = JPX_HOP_LIMIT,
		.ipv4 = ipv4,
	};
	address(ipv4 ? BENCH_ELSEWHERE4 : BENCH_ELSEWHERE, e->src);
	e->src[15] = (uint8_t)flow;
	address(ipv4 ? BENCH_REGISTRAR4 : BENCH_REGISTRAR, e->dst);
}

/* One hop less (RFC 1624 for IPv4's checksum is not needed here: it is added up anew). */
static void decrement(uint8_t *f)
{
	if (!is_ipv4(f)) {
		f[14 + 7]--;
		return;
	}
	f[14 + 8]--;
	put16(f + 14 + 10, 0);
	put16(f + 14 + 10, (uint16_t)~folded(add(0, f + 14, 20)));
}

static int build_flow(const struct bench_case *c, enum bench_prog prog, unsigned int flow,
		      struct bench_frames *out)
{
	bool back = bench_is_back(c->way);
	uint8_t content[BENCH_FRAME_MAX], message[BENCH_FRAME_MAX];
	uint8_t *sent = out->sent[flow], *want = out->want[flow];
	struct ends in, from, pledge_side, registrar_side;
	struct jpx_pledge pledge;
	ssize_t message_len;

	fill_content(content, c->content, flow);
	bench_pledge(c, flow, &pledge);
	message_len = outer(c, &pledge, content, message, sizeof(message) - HEADERS);
	if (message_len < 0)
		return (int)message_len;
	ends_of(c, &pledge, flow, &pledge_side, &registrar_side);
	in = back ? reversed(&registrar_side) : pledge_side;
	from = back ? reversed(&pledge_side) : registrar_side;
	out->sent_len =
		build(sent, &in, back ? message : content, back ? (size_t)message_len : c->content);
	out->want_len = build(want, &from, back ? content : message,
			      back ? c->content : (size_t)message_len);
	if (prog == BENCH_JPX)
		return 0;

	/* The others carry what came in. */
	if (prog == BENCH_FIB) {
		plain_ends(&pledge, flow, in.ipv4, &in);
		build(sent, &in, back ? message : content, back ? (size_t)message_len : c->content);
	}
	out->want_len = out->sent_len;
	memcpy(want, sent, out->sent_len);
	if (prog == BENCH_RESET)
		return 0;
	memcpy(want, bench_mac_registrar, 6);
	memcpy(want + 6, bench_mac_p1, 6);
	if (prog == BENCH_FIB)
		decrement(want);
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
	return frames->tag_off < BENCH_HEAD && frames->sent_len >= BENCH_HEAD &&
			       frames->want_len >= BENCH_HEAD
		       ? 0
		       : -ERANGE;
}

/* Ones' complement sum of 16-bit words as they lie in memory: what bpf/csum.h works with. */
static uint32_t sum_in_memory(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, p + i, 2);
		sum += word;
	}
	return sum;
}

size_t bench_frame_many(enum bench_kind kind, bool floor, struct bench_pattern *pattern, uint8_t *f)
{
	static const struct {
		uint8_t mac, low, port; /* where what differs begins */
	} places[] = { [BENCH_FROM_PLEDGE] = { 8, 34, 54 },
		       [BENCH_TO_REGISTRAR] = { 0, 34, 54 },
		       [BENCH_FROM_REGISTRAR] = { 0, 50, 56 },
		       [BENCH_TO_PLEDGE] = { 2, 50, 56 } };
	static const uint8_t pledge_mac0[6] = { 0x02, 0, 0x33, 0, 0, 0 };
	uint8_t content[BENCH_MANY_CONTENT], pledge_addr[16] = { 0xfe, 0x80 };
	struct ends e = {
		.src_mac = kind == BENCH_FROM_PLEDGE ? pledge_mac0 : bench_mac_p1,
		.dst_mac = kind == BENCH_FROM_PLEDGE ? bench_mac_p0 : bench_mac_registrar,
		.hop_limit = JPX_HOP_LIMIT,
	};
	size_t len;

	/* Pledge port 5's answers leave through p1 here, see topo.c. */
	if (kind == BENCH_FROM_REGISTRAR) {
		e.src_mac = bench_mac_registrar;
		e.dst_mac = bench_mac_p1;
	} else if (kind == BENCH_TO_PLEDGE) {
		e.src_mac = bench_mac_p0;
		e.dst_mac = pledge_mac0;
	}
	eui64(pledge_mac0, pledge_addr + 8);
	switch (kind) {
	case BENCH_FROM_PLEDGE:
		memcpy(e.src, pledge_addr, 16);
		address(BENCH_PLEDGE_SIDE, e.dst);
		e.dport = BENCH_JOIN_PORT + BENCH_MANY_SERVICE - 1;
		break;
	case BENCH_TO_REGISTRAR:
		address(BENCH_UPLINK, e.src);
		address(BENCH_REGISTRAR, e.dst);
		e.dport = BENCH_REGISTRAR_PORT;
		break;
	case BENCH_FROM_REGISTRAR:
		address(BENCH_REGISTRAR, e.src);
		address(BENCH_UPLINK, e.dst);
		e.sport = BENCH_REGISTRAR_PORT;
		break;
	case BENCH_TO_PLEDGE:
		address(BENCH_PLEDGE_SIDE, e.src);
		memcpy(e.dst, pledge_addr, 16);
		e.sport = BENCH_JOIN_PORT + BENCH_MANY_SERVICE - 1;
		break;
	}
	fill_content(content, sizeof(content), 0);
	len = build(f, &e, content, sizeof(content));
	if (floor) {
		memcpy(f, bench_mac_registrar, 6);
		memcpy(f + 6, bench_mac_p1, 6);
	} else if (places[kind].mac || kind == BENCH_TO_PLEDGE) {
		memset(f + places[kind].mac, 0, 4);
	}
	memset(f + places[kind].low, 0, 4);
	memset(f + places[kind].port, 0, 2);
	memset(f + 60, 0, 2);
	memset(f + BENCH_MANY_TAG, 0, 10);
	memcpy(pattern->words, f, sizeof(pattern->words));
	pattern->sum =
		sum_in_memory(f + 22, len - 22) + sum_in_memory(f + 58, 2) + htons(IPPROTO_UDP);
	pattern->kind = kind;
	pattern->macs_stay = floor;
	pattern->len = (uint32_t)len;
	return len;
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
