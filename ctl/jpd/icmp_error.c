/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See icmp_error.h. */
#include "icmp_error.h"

#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>

#include <jpx/wire.h>

#include "sum.h"

#define ICMP_HLEN     8	  /* in both versions */
#define ICMP4_MAX     556 /* an ICMP error: 576 less its IP header */
#define IP6_FRAG_HLEN 8
#define IP6_MIN_MTU   1280
#define EXTENDED_MIN  128 /* of quote in front of extensions (RFC 4884 4) */

#define IP4_FRAGMENT_OFFSET 0x1fff

static uint16_t be16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(unsigned char *p, size_t value)
{
	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Of the IP header without options. */
static uint32_t ip_hlen(bool ipv4)
{
	return ipv4 ? JPX_IP4_HLEN : JPX_IP6_HLEN;
}

/* ---- what an error is about ------------------------------------------------- */

static bool is_parameter_problem(const struct icmp_error *e)
{
	return e->type == (e->ipv4 ? ICMP_PARAMPROB : ICMP6_PARAM_PROB);
}

static bool is_too_big(const struct icmp_error *e)
{
	return e->ipv4 ? e->type == ICMP_UNREACH && e->code == ICMP_UNREACH_NEEDFRAG
		       : e->type == ICMP6_PACKET_TOO_BIG;
}

static bool is_error(const struct icmp_error *e)
{
	if (e->ipv4)
		return e->type == ICMP_UNREACH || e->type == ICMP_TIMXCEED ||
		       e->type == ICMP_PARAMPROB;
	return e->type >= ICMP6_DST_UNREACH && e->type <= ICMP6_PARAM_PROB;
}

/* How much of the LEN bytes behind the header at MSG is the quote, and not extensions. */
static size_t quote_len(const struct icmp_error *e, const unsigned char *msg, size_t len)
{
	size_t end = len;

	if (e->ipv4)
		end = (size_t)msg[5] * 4;
	else if (e->type == ICMP6_DST_UNREACH || e->type == ICMP6_TIME_EXCEEDED)
		end = (size_t)msg[4] * 8;
	return end >= EXTENDED_MIN && end < len ? end : len;
}

/* ---- the quote ---------------------------------------------------------------- */

static void mapped(const unsigned char *addr, struct in6_addr *to)
{
	*to = (struct in6_addr){ 0 };
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	memcpy(&to->s6_addr[12], addr, 4);
}

/* Both leave in UDP_AT where the UDP header begins.  That the IP header tells another length
 * than UDP is no reason to refuse an IPv4 quote: some that quote it change that field. */
static enum icmp_read read_ip4(const unsigned char *q, size_t len, struct icmp_error *e,
			       size_t *udp_at)
{
	if (len < JPX_IP4_HLEN)
		return ICMP_READ_SHORT;
	*udp_at = (size_t)(q[0] & 0xf) * 4;
	if (q[0] >> 4 != 4 || *udp_at < JPX_IP4_HLEN || q[9] != IPPROTO_UDP ||
	    be16(q + 6) & IP4_FRAGMENT_OFFSET)
		return ICMP_READ_OTHER;
	e->traffic_class = q[1];
	e->hops = q[8];
	mapped(q + 12, &e->from.sin6_addr);
	mapped(q + 16, &e->to.sin6_addr);
	return ICMP_READ_DONE;
}

static enum icmp_read read_ip6(const unsigned char *q, size_t len, struct icmp_error *e,
			       size_t *udp_at)
{
	unsigned int next;

	if (len < JPX_IP6_HLEN)
		return ICMP_READ_SHORT;
	if (q[0] >> 4 != 6)
		return ICMP_READ_OTHER;
	*udp_at = JPX_IP6_HLEN;
	next = q[6];
	if (next == IPPROTO_FRAGMENT) {
		*udp_at += IP6_FRAG_HLEN;
		if (len < *udp_at)
			return ICMP_READ_SHORT;
		next = q[JPX_IP6_HLEN];
		/* Of the others nobody knows whose they are. */
		if (be16(q + JPX_IP6_HLEN + 2) & 0xfff8)
			return ICMP_READ_OTHER;
	}
	if (next != IPPROTO_UDP)
		return ICMP_READ_OTHER;
	e->traffic_class = (uint8_t)(be16(q) >> 4);
	e->hops = q[7];
	memcpy(&e->from.sin6_addr, q + 8, 16);
	memcpy(&e->to.sin6_addr, q + 24, 16);
	return ICMP_READ_DONE;
}

/* The pointer as it is without what stood between IP and UDP. */
static bool pointer_without_options(struct icmp_error *e, size_t udp_at)
{
	if (e->info < ip_hlen(e->ipv4))
		return true;
	if (e->info < udp_at)
		return false;
	e->info -= (uint32_t)udp_at - ip_hlen(e->ipv4);
	return true;
}

enum icmp_read icmp_error_read(bool ipv4, const unsigned char *msg, size_t len,
			       struct icmp_error *e)
{
	const unsigned char *q = msg + ICMP_HLEN;
	enum icmp_read done;
	size_t udp_at;

	*e = (struct icmp_error){ .ipv4 = ipv4 };
	e->from.sin6_family = e->to.sin6_family = AF_INET6;
	if (len < ICMP_HLEN || (ipv4 && sum_check(sum_of(msg, len))))
		return ICMP_READ_OTHER;
	e->type = msg[0];
	e->code = msg[1];
	if (!is_error(e))
		return ICMP_READ_OTHER;
	len = quote_len(e, msg, len - ICMP_HLEN);
	done = ipv4 ? read_ip4(q, len, e, &udp_at) : read_ip6(q, len, e, &udp_at);
	if (done != ICMP_READ_DONE)
		return done;
	if (len < udp_at + JPX_UDP_HLEN)
		return ICMP_READ_SHORT;
	q += udp_at;
	e->from.sin6_port = htons(be16(q));
	e->to.sin6_port = htons(be16(q + 2));
	e->udp_len = be16(q + 4);
	memcpy(&e->udp_check, q + 6, 2);
	if (e->udp_len < JPX_UDP_HLEN)
		return ICMP_READ_OTHER;
	e->content = q + JPX_UDP_HLEN;
	e->content_len = smaller(len - udp_at, e->udp_len) - JPX_UDP_HLEN;
	if (is_too_big(e))
		e->info = ipv4 ? be16(msg + 6) : be32(msg + 4);
	else if (is_parameter_problem(e))
		e->info = ipv4 ? msg[4] : be32(msg + 4);
	if (is_parameter_problem(e) && !pointer_without_options(e, udp_at))
		return ICMP_READ_OTHER;
	return ICMP_READ_DONE;
}

/* ---- from one version of IP to the other ---------------------------------------- */

/* RFC 7915 Figures 3 and 6, by byte of the header; -1: nothing there means the same. */
static const signed char pointer_to_ip6[JPX_IP4_HLEN] = { 0,  1,  4, 4, -1, -1, -1, -1, 7,  6,
							  -1, -1, 8, 8, 8,  8,	24, 24, 24, 24 };
static const signed char pointer_to_ip4[JPX_IP6_HLEN] = {
	0,  1,	-1, -1, 2,  2,	9,  8,	12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
	12, 12, 12, 12, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
};

static bool translate_pointer(struct icmp_error *e)
{
	int to;

	if (e->info >= ip_hlen(e->ipv4)) {
		e->info = e->info - ip_hlen(e->ipv4) + ip_hlen(!e->ipv4);
		return e->ipv4 || e->info <= 0xff;
	}
	to = e->ipv4 ? pointer_to_ip6[e->info] : pointer_to_ip4[e->info];
	e->info = (uint32_t)to;
	return to >= 0;
}

/* What a router that tells no MTU (RFC 792) may have meant: RFC 1191 7.1. */
static uint32_t plateau_below(uint32_t total_len)
{
	static const uint16_t plateaus[] = { 65535, 32000, 17914, 8166, 4352, 2002, 1492 };

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(*plateaus); i++)
		if (plateaus[i] < total_len)
			return plateaus[i];
	return IP6_MIN_MTU - (JPX_IP6_HLEN - JPX_IP4_HLEN);
}

static bool unreachable_to_ip6(struct icmp_error *e)
{
	e->type = ICMP6_DST_UNREACH;
	switch (e->code) {
	case ICMP_UNREACH_NET:
	case ICMP_UNREACH_HOST:
	case ICMP_UNREACH_SRCFAIL:
	case ICMP_UNREACH_NET_UNKNOWN:
	case ICMP_UNREACH_HOST_UNKNOWN:
	case ICMP_UNREACH_ISOLATED:
	case ICMP_UNREACH_TOSNET:
	case ICMP_UNREACH_TOSHOST:
		e->code = ICMP6_DST_UNREACH_NOROUTE;
		return true;
	case ICMP_UNREACH_PROTOCOL:
		e->type = ICMP6_PARAM_PROB;
		e->code = ICMP6_PARAMPROB_NEXTHEADER;
		e->info = offsetof(struct ip6_hdr, ip6_nxt);
		return true;
	case ICMP_UNREACH_PORT:
		e->code = ICMP6_DST_UNREACH_NOPORT;
		return true;
	case ICMP_UNREACH_NEEDFRAG:
		if (!e->info)
			e->info = plateau_below((uint32_t)e->udp_len + JPX_IP4_HLEN);
		e->type = ICMP6_PACKET_TOO_BIG;
		e->code = 0;
		e->info += JPX_IP6_HLEN - JPX_IP4_HLEN;
		if (e->info < IP6_MIN_MTU)
			e->info = IP6_MIN_MTU;
		return true;
	case ICMP_UNREACH_NET_PROHIB:
	case ICMP_UNREACH_HOST_PROHIB:
	case ICMP_UNREACH_FILTER_PROHIB:
	case ICMP_UNREACH_PRECEDENCE_CUTOFF:
		e->code = ICMP6_DST_UNREACH_ADMIN;
		return true;
	}
	return false;
}

static bool to_ip6(struct icmp_error *e)
{
	switch (e->type) {
	case ICMP_UNREACH:
		return unreachable_to_ip6(e);
	case ICMP_TIMXCEED:
		e->type = ICMP6_TIME_EXCEEDED;
		return true;
	}
	if (e->code != 0 && e->code != 2) /* 2, bad length: its pointer means nothing */
		return false;
	e->type = ICMP6_PARAM_PROB;
	e->code = ICMP6_PARAMPROB_HEADER;
	return translate_pointer(e);
}

static bool unreachable_to_ip4(struct icmp_error *e)
{
	static const uint8_t codes[] = {
		[ICMP6_DST_UNREACH_NOROUTE] = ICMP_UNREACH_HOST,
		[ICMP6_DST_UNREACH_ADMIN] = ICMP_UNREACH_HOST_PROHIB,
		[ICMP6_DST_UNREACH_BEYONDSCOPE] = ICMP_UNREACH_HOST,
		[ICMP6_DST_UNREACH_ADDR] = ICMP_UNREACH_HOST,
		[ICMP6_DST_UNREACH_NOPORT] = ICMP_UNREACH_PORT,
	};

	if (e->code >= sizeof(codes))
		return false;
	e->code = codes[e->code];
	return true;
}

static bool to_ip4(struct icmp_error *e)
{
	uint8_t type = e->type;

	e->type = ICMP_UNREACH;
	switch (type) {
	case ICMP6_DST_UNREACH:
		return unreachable_to_ip4(e);
	case ICMP6_PACKET_TOO_BIG:
		e->code = ICMP_UNREACH_NEEDFRAG;
		e->info -= smaller(e->info, JPX_IP6_HLEN - JPX_IP4_HLEN);
		e->info = (uint32_t)smaller(e->info, 0xffff);
		return true;
	case ICMP6_TIME_EXCEEDED:
		e->type = ICMP_TIMXCEED;
		return true;
	}
	if (e->code == ICMP6_PARAMPROB_NEXTHEADER) {
		e->code = ICMP_UNREACH_PROTOCOL;
		e->info = 0;
		return true;
	}
	e->type = ICMP_PARAMPROB;
	return e->code == ICMP6_PARAMPROB_HEADER && translate_pointer(e);
}

bool icmp_error_translate(struct icmp_error *e)
{
	bool said = e->ipv4 ? to_ip6(e) : to_ip4(e);

	e->ipv4 = !e->ipv4;
	return said;
}

/* ---- what it is about ------------------------------------------------------------- */

/* Of what the UDP checksum covers outside of the content, all but the protocol and lengths. */
static uint64_t ends_sum(const struct icmp_error *e)
{
	return sum_of(&e->from.sin6_addr, 16) + sum_of(&e->to.sin6_addr, 16) + e->from.sin6_port +
	       e->to.sin6_port;
}

static uint16_t udp_check(uint64_t sum)
{
	uint16_t check = sum_check(sum);

	return check ? check : 0xffff;
}

void icmp_error_about(struct icmp_error *e, const struct sockaddr_in6 *from,
		      const struct sockaddr_in6 *to)
{
	uint16_t before = (uint16_t)~sum_check(ends_sum(e));

	e->from = *from;
	e->to = *to;
	/* RFC 1624 3: HC' = ~(~HC + ~m + m').  None stays none. */
	if (e->udp_check)
		e->udp_check = udp_check((uint64_t)(uint16_t)~e->udp_check + (uint16_t)~before +
					 ends_sum(e));
}

void icmp_error_about_whole(struct icmp_error *e, const struct sockaddr_in6 *from,
			    const struct sockaddr_in6 *to, const void *content, size_t len)
{
	e->from = *from;
	e->to = *to;
	e->udp_len = (uint16_t)(len + JPX_UDP_HLEN);
	e->content = content;
	e->content_len = len;
	e->udp_check = udp_check(ends_sum(e) + htons(IPPROTO_UDP) + 2 * htons(e->udp_len) +
				 sum_of(content, len));
}

/* ---- the message -------------------------------------------------------------------- */

static void write_ip4(const struct icmp_error *e, unsigned char *p)
{
	uint16_t check;

	memset(p, 0, JPX_IP4_HLEN);
	p[0] = 0x45;
	p[1] = e->traffic_class;
	put16(p + 2, smaller((size_t)e->udp_len + JPX_IP4_HLEN, 0xffff));
	put16(p + 6, IP_DF);
	p[8] = e->hops;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, &e->from.sin6_addr.s6_addr[12], 4);
	memcpy(p + 16, &e->to.sin6_addr.s6_addr[12], 4);
	check = sum_check(sum_of(p, JPX_IP4_HLEN));
	memcpy(p + 10, &check, 2);
}

static void write_ip6(const struct icmp_error *e, unsigned char *p)
{
	memset(p, 0, 8);
	put16(p, 6U << 12 | (unsigned int)e->traffic_class << 4);
	put16(p + 4, e->udp_len);
	p[6] = IPPROTO_UDP;
	p[7] = e->hops;
	memcpy(p + 8, &e->from.sin6_addr, 16);
	memcpy(p + 24, &e->to.sin6_addr, 16);
}

size_t icmp_error_write(const struct icmp_error *e, unsigned char buf[ICMP_ERROR_MAX])
{
	size_t hlen = ICMP_HLEN + ip_hlen(e->ipv4) + JPX_UDP_HLEN;
	size_t content_len = smaller(e->content_len, (e->ipv4 ? ICMP4_MAX : ICMP_ERROR_MAX) - hlen);
	unsigned char *udp = buf + hlen - JPX_UDP_HLEN;
	uint16_t check;

	memset(buf, 0, ICMP_HLEN);
	buf[0] = e->type;
	buf[1] = e->code;
	if (e->ipv4 && is_parameter_problem(e)) {
		buf[4] = (unsigned char)e->info;
	} else {
		put16(buf + 4, e->ipv4 ? 0 : e->info >> 16);
		put16(buf + 6, e->info);
	}
	if (e->ipv4)
		write_ip4(e, buf + ICMP_HLEN);
	else
		write_ip6(e, buf + ICMP_HLEN);
	memcpy(udp, &e->from.sin6_port, 2);
	memcpy(udp + 2, &e->to.sin6_port, 2);
	put16(udp + 4, e->udp_len);
	memcpy(udp + 6, &e->udp_check, 2);
	memcpy(udp + JPX_UDP_HLEN, e->content, content_len);
	if (e->ipv4) {
		check = sum_check(sum_of(buf, hlen + content_len));
		memcpy(buf + 2, &check, 2);
	}
	return hlen + content_len;
}
