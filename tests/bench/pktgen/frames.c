/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The frames that must arrive, worked out from what was asked for and never from
 * what came.  Nothing here is shared with the code under test, the checksum least of all.
 */
#include <arpa/inet.h>
#include <string.h>

#include "frames.h"

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* A pledge's address: fe80:: and the modified EUI-64 of its MAC 02:00:00:00:xx:xx. */
static void pledge_address(uint8_t at[16], uint32_t who)
{
	static const uint8_t like[14] = { 0xfe, 0x80, [11] = 0xff, [12] = 0xfe };

	memcpy(at, like, sizeof(like));
	put16(at + 14, who);
}

/* What stands before the content in form draft-02; returns its length. */
static size_t prefix(const struct expected *e, uint8_t *at, uint32_t who, uint32_t port)
{
	size_t n = 0;

	at[n++] = 0x85;
	at[n++] = 0x50;
	pledge_address(at + n, who);
	n += 16;
	at[n++] = 0x19;
	put16(at + n, port);
	n += 2;
	at[n++] = 0x0a;
	if (e->port_id > 23)
		at[n++] = 0x18;
	at[n++] = (uint8_t)e->port_id;
	at[n++] = e->size > 255 ? 0x59 : 0x58;
	if (e->size > 255)
		at[n++] = (uint8_t)(e->size >> 8);
	at[n++] = (uint8_t)e->size;
	return n;
}

size_t frame_build(const struct expected *e, const struct varying *v, uint8_t *f)
{
	uint8_t *ip = f + 14, *udp = ip + 40, *content = udp + 8;
	uint32_t magic = htonl(PKTGEN_MAGIC), seq = htonl(v->seq);
	size_t udp_len;

	memset(f, 0, PKTGEN_FRAME_MAX);
	if (e->form == FORM_STATELESS)
		content += prefix(e, content, v->who, v->port);
	udp_len = (size_t)(content - udp) + e->size;
	memcpy(f, e->dst_mac, 6);
	memcpy(f + 6, e->src_mac, 6);
	put16(f + 12, 0x86dd);
	ip[0] = 0x60;
	put16(ip + 4, (uint32_t)udp_len);
	ip[6] = IPPROTO_UDP;
	ip[7] = e->form == FORM_FLOOR ? 32 : 64; /* pktgen's, and ours */
	memcpy(ip + 8, &e->src, 16);
	if (e->form == FORM_FLOOR)
		pledge_address(ip + 8, v->who);
	memcpy(ip + 24, &e->dst, 16);
	put16(udp, e->form == FORM_FLOOR ? v->port : v->source);
	put16(udp + 2, e->dport);
	put16(udp + 4, (uint32_t)udp_len);
	put16(udp + 6, v->checksum);
	memcpy(content, &magic, 4);
	memcpy(content + 4, &seq, 4);
	return (size_t)(udp - f) + udp_len;
}

/* Where the pledge's number, its port and the content are in E's frames; 0: nowhere. */
static void places(const struct expected *e, uint32_t *who_at, uint32_t *port_at,
		   uint32_t *content_at)
{
	uint8_t scratch[PKTGEN_PREFIX + 1];

	*who_at = *port_at = 0;
	*content_at = PKTGEN_HEADERS;
	if (e->form == FORM_FLOOR) {
		*who_at = 22 + 14;
		*port_at = 54;
	} else if (e->form == FORM_STATELESS) {
		*who_at = PKTGEN_HEADERS + 2 + 14;
		*port_at = PKTGEN_HEADERS + 19;
		*content_at += (uint32_t)prefix(e, scratch, 0, 0);
	}
}

int frame_plan(const struct expected *e, struct pktgen_plan *plan)
{
	uint8_t frame[PKTGEN_FRAME_MAX], mask[PKTGEN_HEAD];
	uint32_t content_at;

	places(e, &plan->who_at, &plan->port_at, &content_at);
	/* All that the checksum covers and is not zero must be within the head. */
	if (e->size < 48 || content_at + PKTGEN_CONTENT > PKTGEN_HEAD ||
	    PKTGEN_HEADERS + e->size + PKTGEN_PREFIX > 1514)
		return -1;
	plan->len = (uint32_t)frame_build(e, &(struct varying){ 0 }, frame);
	memset(mask, 0xff, sizeof(mask));
	memset(mask + 54, 0, 2);	    /* source port */
	memset(mask + 60, 0, 2);	    /* checksum */
	memset(mask + content_at + 4, 0, 4); /* sequence number */
	if (plan->who_at)
		memset(mask + plan->who_at, 0, 2);
	if (plan->port_at)
		memset(mask + plan->port_at, 0, 2);
	memcpy(plan->want, frame, PKTGEN_HEAD);
	memcpy(plan->mask, mask, PKTGEN_HEAD);
	plan->pledges = e->pledges;
	plan->first_port = e->first_port;
	plan->ports = e->ports;
	plan->sampling = e->sample;
	return 0;
}

/* Of IP addresses, pseudo header and all of UDP; 0 if the checksum within is right. */
static uint16_t checksum(const uint8_t *ip, size_t udp_len)
{
	uint64_t sum = udp_len + IPPROTO_UDP;
	const uint8_t *udp = ip + 40;

	for (int i = 8; i < 40; i += 2)
		sum += get16(ip + i);
	for (size_t i = 0; i < udp_len; i++)
		sum += i & 1 ? udp[i] : udp[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

const char *frame_judge(const struct expected *e, const uint8_t *f, size_t len, size_t *where)
{
	uint32_t who_at, port_at, content_at;
	uint8_t want[PKTGEN_FRAME_MAX];
	struct varying v = { 0 };
	size_t want_len;

	places(e, &who_at, &port_at, &content_at);
	*where = 0;
	if (len < content_at + PKTGEN_CONTENT)
		return "is too short";
	v.who = who_at ? get16(f + who_at) : 0;
	v.port = port_at ? get16(f + port_at) : 0;
	v.source = get16(f + 54);
	v.checksum = get16(f + 60);
	v.seq = (uint32_t)get16(f + content_at + 4) << 16 | get16(f + content_at + 6);
	want_len = frame_build(e, &v, want);
	if (len != want_len)
		return "has a wrong length";
	for (size_t i = 0; i < len; i++) {
		*where = i;
		if (f[i] != want[i])
			return "has a wrong byte";
	}
	*where = 60;
	if (!v.checksum || checksum(f + 14, len - 54))
		return "has a wrong checksum";
	return NULL;
}
