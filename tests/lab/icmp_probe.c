/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What ICMP errors come of at a pledge: its connected UDP sockets, what their error
 * queues say, a raw socket that sees the messages themselves, and somebody who forges
 * errors at the gateway, the Registrar, or among the pledges.  Prints "ok NAME" or
 * "not ok NAME" a check.
 *
 *   icmp_probe LAB RUN_DIR PLEDGE JOIN UPLINK2 REGISTRAR CASE [ARGUMENT...]
 *
 * PLEDGE and JOIN as the pledge's namespace sees them; its sockets have PLEDGE's port and
 * those behind it.  UPLINK2 is an address of the proxy's that no flow leaves from, with
 * any port.  The cases are in main().  An "l" says which layout of numbers is meant: of the
 * uplink's version of IP, or of the pledge's.
 *
 * Reads and builds every message by itself: must not use ctl/jpd/icmp_error.c.
 */
#include "wire.h"
#include <linux/errqueue.h> /* behind time.h, which it needs */

#include "../../ctl/common/addr.h"

#define PATIENCE_MS  3000
#define NEIGHBOUR_MS 8000 /* until the kernel gives up asking for one */
#define A_MOMENT_MS  60
#define GAP_US	     16000 /* fewer than the proxy passes on */
#define IP4_LEN	     20
#define ICMP_LEN     8
#define CONTENT_MAX  1400

static const char *lab, *run_dir;
static struct sockaddr_in6 first_pledge, join, second_uplink, registrar;
static int registrar_fd, spy_fd, failures;
static unsigned int opened;

__attribute__((format(printf, 2, 3))) static void judge(bool good, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("%s ", good ? "ok" : "not ok");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	failures += !good;
}

static bool is4(const struct sockaddr_in6 *sa)
{
	return IN6_IS_ADDR_V4MAPPED(&sa->sin6_addr);
}

static bool same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return !memcmp(&a->sin6_addr, &b->sin6_addr, 16) && a->sin6_port == b->sin6_port;
}

static bool readable(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, ms) > 0;
}

static void set_int(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		die("option %d of level %d: %s", option, level, strerror(errno));
}

static struct sockaddr_in6 endpoint(const char *text)
{
	struct sockaddr_in6 sa;
	char err[160];

	if (jpx_endpoint_parse(text, 0, &sa, err, sizeof(err)))
		die("%s", err);
	return sa;
}

/* ---- what jpd says ------------------------------------------------------------- */

static long counted(const char *group, const char *key)
{
	json_t *stats = ask_jpd(run_dir, "stats");
	const json_t *n = json_object_get(json_object_get(stats, group), key);
	long value = json_is_integer(n) ? (long)json_integer_value(n) : -1;

	json_decref(stats);
	return value;
}

/* Waits until KEY has grown by N. */
static bool grows(const char *group, const char *key, long before, long n)
{
	for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
		if (counted(group, key) == before + n)
			return true;
		usleep(10000);
	}
	printf("# %s.%s: %ld, expected %ld\n", group, key, counted(group, key), before + n);
	return false;
}

/* ---- pledges --------------------------------------------------------------------- */

struct flow {
	int fd;
	struct sockaddr_in6 pledge, uplink;
	uint8_t content[CONTENT_MAX];
	size_t len;
};

static void fill(struct flow *f, size_t len)
{
	static const uint8_t dtls[] = { 22, 0xfe, 0xfd };

	f->len = len;
	chance_bytes(f->content, len);
	memcpy(f->content, dtls, sizeof(dtls));
}

/* RECVERR: with a queue of all errors; else the kernel tells what an ordinary program sees. */
static void pledge_open(struct flow *f, bool recverr, size_t len)
{
	f->pledge = first_pledge;
	f->pledge.sin6_port = htons((uint16_t)(ntohs(first_pledge.sin6_port) + opened++));
	enter(lab, "pledge");
	f->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (recverr && is4(&join))
		set_int(f->fd, IPPROTO_IP, IP_RECVERR, 1);
	if (recverr)
		set_int(f->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&f->pledge, sizeof(f->pledge)) ||
	    connect(f->fd, (struct sockaddr *)&join, sizeof(join)))
		die("the pledge's socket: %s", strerror(errno));
	fill(f, len);
}

static void say(const struct flow *f)
{
	if (send(f->fd, f->content, f->len, 0) < 0 && send(f->fd, f->content, f->len, 0) < 0)
		die("the pledge cannot send: %s", strerror(errno));
}

/* The datagram of F's at the Registrar: where from? */
static bool arrives(struct flow *f)
{
	uint8_t got[CONTENT_MAX + 1];
	socklen_t len = sizeof(f->uplink);
	ssize_t n;

	while (readable(registrar_fd, POLLIN, PATIENCE_MS)) {
		n = recvfrom(registrar_fd, got, sizeof(got), 0, (struct sockaddr *)&f->uplink,
			     &len);
		if (n == (ssize_t)f->len && !memcmp(got, f->content, f->len))
			return true;
	}
	return false;
}

static struct flow flow_open(size_t len)
{
	struct flow f = { 0 };

	pledge_open(&f, true, len);
	say(&f);
	if (!arrives(&f))
		die("not ok flow: nothing arrives at the Registrar");
	return f;
}

struct error {
	int number;
	unsigned int type, code, info;
	struct sockaddr_in6 offender, about;
	size_t len;
	uint8_t content[CONTENT_MAX];
};

static void map4(struct sockaddr_in6 *sa)
{
	struct sockaddr_in sa4;

	if (sa->sin6_family != AF_INET)
		return;
	memcpy(&sa4, sa, sizeof(sa4));
	memset(sa, 0, sizeof(*sa));
	sa->sin6_addr = jpx_addr_map(sa4.sin_addr);
	sa->sin6_port = sa4.sin_port;
}

static bool next_error(const struct flow *f, int ms, struct error *e)
{
	union {
		char room[512];
		struct cmsghdr align;
	} control;
	struct iovec iov = { e->content, sizeof(e->content) };
	struct msghdr msg = { .msg_name = &e->about,
			      .msg_namelen = sizeof(e->about),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	socklen_t len = sizeof(e->number);
	ssize_t n;

	*e = (struct error){ 0 };
	if (!readable(f->fd, 0, ms))
		return false;
	n = recvmsg(f->fd, &msg, MSG_ERRQUEUE);
	if (n < 0)
		return false;
	e->len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct sock_extended_err ee;

		/* An IPv6 socket tells of IPv4 in IPv6's way. */
		if (c->cmsg_level != SOL_IPV6 || c->cmsg_type != IPV6_RECVERR)
			continue;
		memcpy(&ee, CMSG_DATA(c), sizeof(ee));
		memcpy(&e->offender, CMSG_DATA(c) + sizeof(ee), sizeof(e->offender));
		if (ee.ee_origin != SO_EE_ORIGIN_ICMP && ee.ee_origin != SO_EE_ORIGIN_ICMP6)
			return false;
		e->number = (int)ee.ee_errno;
		e->type = ee.ee_type;
		e->code = ee.ee_code;
		e->info = ee.ee_info;
	}
	getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &(int){ 0 }, &len);
	return true;
}

static bool quiet(const struct flow *f)
{
	struct error e;

	if (!next_error(f, A_MOMENT_MS, &e))
		return true;
	printf("# %s, type %u code %u\n", strerrorname_np(e.number), e.type, e.code);
	return false;
}

/* ---- the spy: each error that reaches the pledges' namespace ------------------------- */

static int raw_socket(const char *who, bool ipv4)
{
	int fd, size = 64 << 20;

	enter(lab, who);
	fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK,
		    ipv4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		die("raw socket: %s", strerror(errno));
	return fd;
}

static bool is_error_type(unsigned int type)
{
	return is4(&join) ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

/* The next message, less the IP header; 0: none. */
static size_t spied(int ms, uint8_t *buf, size_t cap, struct sockaddr_in6 *from)
{
	uint8_t packet[2048];
	size_t skip;
	socklen_t len;
	ssize_t n;

	while (readable(spy_fd, POLLIN, ms)) {
		len = sizeof(*from);
		n = recvfrom(spy_fd, packet, sizeof(packet), 0, (struct sockaddr *)from, &len);
		skip = is4(&join) ? (packet[0] & 0xfU) * 4U : 0;
		if (n < (ssize_t)skip + ICMP_LEN || !is_error_type(packet[skip]))
			continue;
		map4(from);
		if ((size_t)n - skip > cap)
			return 0;
		memcpy(buf, packet + skip, (size_t)n - skip);
		return (size_t)n - skip;
	}
	return 0;
}

static void forget_spied(void)
{
	uint8_t buf[2048];
	struct sockaddr_in6 from;

	while (spied(0, buf, sizeof(buf), &from))
		;
}

static uint32_t sum_addr(uint32_t sum, const struct sockaddr_in6 *sa)
{
	return sum_words(sum, sa->sin6_addr.s6_addr + (is4(sa) ? 12 : 0), is4(sa) ? 4 : 16);
}

/* RFC 768, over all of it. */
static unsigned int udp_checksum(const struct sockaddr_in6 *from, const struct sockaddr_in6 *to,
				 const uint8_t *content, size_t len)
{
	uint32_t sum = sum_addr(sum_addr(0, from), to);

	sum += 17 + 2 * (uint32_t)(len + UDP_LEN) + ntohs(from->sin6_port) + ntohs(to->sin6_port);
	sum = ~sum_words(sum, content, len) & 0xffff;
	return sum ? sum : 0xffff;
}

/* Does MSG quote the datagram of F's as the pledge sent it, QUOTED bytes of its content? */
static bool quotes(const uint8_t *msg, size_t len, const struct flow *f, size_t quoted)
{
	size_t hlen = is4(&join) ? IP4_LEN : IP6_LEN, addr_len = is4(&join) ? 4 : 16;
	const uint8_t *ip = msg + ICMP_LEN, *udp = ip + hlen;
	const uint8_t *addrs = ip + (is4(&join) ? 12 : 8);
	size_t addr_at = is4(&join) ? 12 : 0;
	bool good;

	if (len != ICMP_LEN + hlen + UDP_LEN + quoted) {
		printf("# %zu bytes, expected %zu of content\n", len, quoted);
		return false;
	}
	if (is4(&join))
		good = ip[0] == 0x45 && ip[9] == 17 && get16(ip + 2) == IP4_LEN + 8 + f->len &&
		       sum_words(0, ip, IP4_LEN) == 0xffff && sum_words(0, msg, len) == 0xffff;
	else
		good = ip[0] >> 4 == 6 && ip[6] == 17 && get16(ip + 4) == UDP_LEN + f->len;
	good &= !memcmp(addrs, f->pledge.sin6_addr.s6_addr + addr_at, addr_len) &&
		!memcmp(addrs + addr_len, join.sin6_addr.s6_addr + addr_at, addr_len);
	good &= get16(udp) == ntohs(f->pledge.sin6_port) && get16(udp + 2) == ntohs(join.sin6_port);
	good &= get16(udp + 4) == UDP_LEN + f->len &&
		get16(udp + 6) == udp_checksum(&f->pledge, &join, f->content, f->len);
	return good && !memcmp(udp + UDP_LEN, f->content, quoted);
}

/* ---- the forger ------------------------------------------------------------------------ */

struct forge {
	const char *who;	       /* in whose namespace; NULL: the gateway's */
	unsigned int type, code, info; /* l: the uplink's */
	struct sockaddr_in6 from, to;  /* of the datagram that is quoted */
	struct sockaddr_in6 dst;       /* whom the error goes to */
	const struct flow *flow;       /* whose content is quoted */
	size_t cut;		       /* bytes of quote; 0: all, CUT_ALL: none */
	bool fragment, options, extended, bad_checksum;
	unsigned int offset, proto; /* 0: UDP */
};
#define CUT_ALL SIZE_MAX

/* About F's last datagram, as its way deserves it. */
static struct forge about(const struct flow *f, unsigned int type, unsigned int code,
			  unsigned int info)
{
	return (struct forge){ .type = type,
			       .code = code,
			       .info = info,
			       .from = f->uplink,
			       .to = registrar,
			       .dst = f->uplink,
			       .flow = f };
}

static size_t quote_headers(const struct forge *g, uint8_t *q)
{
	unsigned int proto = g->proto ? g->proto : 17;
	size_t options = g->options ? 8 : 0, rest = UDP_LEN + g->flow->len;
	uint8_t *p = q;

	if (is4(&registrar)) {
		p = put(p, 0x45 + options / 4, 1);
		p = put(p, 0, 1);
		p = put(p, IP4_LEN + options + rest, 2);
		p = put(p, 0, 2);
		p = put(p, g->fragment ? 0x2000 | g->offset : 0x4000, 2);
		p = put(p, 62, 1);
		p = put(p, proto, 1);
		p = put(p, 0, 2);
		p = put_bytes(p, &g->from.sin6_addr.s6_addr[12], 4);
		p = put_bytes(p, &g->to.sin6_addr.s6_addr[12], 4);
		p = put_bytes(p, "\1\1\1\1\1\1\1\0", options);
		put(q + 10, ~sum_words(0, q, (size_t)(p - q)) & 0xffff, 2);
		return (size_t)(p - q);
	}
	p = put(p, 0x60000000, 4);
	p = put(p, rest + (g->fragment ? 8 : 0), 2);
	p = put(p, g->fragment ? 44 : proto, 1);
	p = put(p, 62, 1);
	p = put_bytes(p, &g->from.sin6_addr, 16);
	p = put_bytes(p, &g->to.sin6_addr, 16);
	if (g->fragment) {
		p = put(p, proto, 1);
		p = put(p, 0, 1);
		p = put(p, g->offset << 3 | 1, 2);
		p = put(p, 4711, 4);
	}
	return (size_t)(p - q);
}

static size_t forged(const struct forge *g, uint8_t *msg)
{
	uint8_t *q = msg + ICMP_LEN, *p = q + quote_headers(g, q);
	size_t len;

	p = put(p, ntohs(g->from.sin6_port), 2);
	p = put(p, ntohs(g->to.sin6_port), 2);
	p = put(p, UDP_LEN + g->flow->len, 2);
	p = put(p, udp_checksum(&g->from, &g->to, g->flow->content, g->flow->len), 2);
	p = put_bytes(p, g->flow->content, g->flow->len);
	len = (size_t)(p - q);
	if (g->cut && g->cut != CUT_ALL && len > g->cut)
		len = g->cut;
	if (g->cut == CUT_ALL)
		len = 0;
	memset(msg, 0, ICMP_LEN);
	put(msg, g->type, 1);
	put(msg + 1, g->code, 1);
	if (is4(&registrar) && g->type == 12)
		put(msg + 4, g->info, 1);
	else
		put(msg + 4, g->info, 4);
	if (g->extended) { /* the quote cut to 128 bytes, then an extension structure */
		len = 128;
		put(msg + (is4(&registrar) ? 5 : 4), is4(&registrar) ? 32 : 16, 1);
		memset(q + len, 0x20, 16);
		len += 16;
	}
	len += ICMP_LEN;
	if (is4(&registrar))
		put(msg + 2, (~sum_words(0, msg, len) & 0xffff) ^ g->bad_checksum, 2);
	return len;
}

static int forger_fds[3] = { -1, -1, -1 };

static void send_forged(const struct forge *g)
{
	static const char *const who[] = { "gateway", "registrar", "pledge" };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = g->dst;
	uint8_t msg[2048];
	size_t len = forged(g, msg);
	int i = 0;

	while (g->who && strcmp(who[i], g->who))
		i++;
	if (forger_fds[i] < 0)
		forger_fds[i] = raw_socket(who[i], is4(&registrar));
	to6.sin6_port = 0;
	memcpy(&to4.sin_addr, &to6.sin6_addr.s6_addr[12], 4);
	if (sendto(forger_fds[i], msg, len, 0,
		   is4(&g->dst) ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6,
		   is4(&g->dst) ? sizeof(to4) : sizeof(to6)) < 0)
		die("cannot forge at %s: %s", who[i], strerror(errno));
	usleep(GAP_US);
}

/* ---- each type and code ------------------------------------------------------------------ */

#define NOTHING                                                                                    \
	{                                                                                          \
		0, 0, 0, 0                                                                         \
	}
#define UNHEARD (-1) /* Linux tells no socket of IPv4 type 11 code 1 */

struct outcome {
	int number;
	unsigned int type, code, info;
};

/* What comes of an error in the uplink's version of IP for a pledge of IPv6, of IPv4. */
struct expected {
	unsigned int type, code, info;
	struct outcome v6, v4;
};

/* The numbers are those of RFC 792, RFC 4443 and RFC 7915 4.2, 5.2. */
static const struct expected from6[] = {
	{ 1, 0, 0, { ENETUNREACH, 1, 0, 0 }, { EHOSTUNREACH, 3, 1, 0 } },
	{ 1, 1, 0, { EACCES, 1, 1, 0 }, { EHOSTUNREACH, 3, 10, 0 } },
	{ 1, 2, 0, { EHOSTUNREACH, 1, 2, 0 }, { EHOSTUNREACH, 3, 1, 0 } },
	{ 1, 3, 0, { EHOSTUNREACH, 1, 3, 0 }, { EHOSTUNREACH, 3, 1, 0 } },
	{ 1, 4, 0, { ECONNREFUSED, 1, 4, 0 }, { ECONNREFUSED, 3, 3, 0 } },
	{ 1, 5, 0, { EACCES, 1, 5, 0 }, NOTHING },
	{ 2, 0, 1280, { EMSGSIZE, 2, 0, 1280 }, { EMSGSIZE, 3, 4, 1260 } },
	{ 2, 0, 1400, { EMSGSIZE, 2, 0, 1400 }, { EMSGSIZE, 3, 4, 1380 } },
	{ 3, 0, 0, { EHOSTUNREACH, 3, 0, 0 }, { EHOSTUNREACH, 11, 0, 0 } },
	{ 3, 1, 0, { EHOSTUNREACH, 3, 1, 0 }, { UNHEARD, 11, 1, 0 } },
	{ 4, 0, 7, { EPROTO, 4, 0, 7 }, { EPROTO, 12, 0, 8 } },
	{ 4, 0, 42, { EPROTO, 4, 0, 42 }, { EPROTO, 12, 0, 22 } },
	{ 4, 0, 2, { EPROTO, 4, 0, 2 }, NOTHING },
	{ 4, 1, 6, { EPROTO, 4, 1, 6 }, { ENOPROTOOPT, 3, 2, 0 } },
	{ 4, 2, 40, { EPROTO, 4, 2, 40 }, NOTHING },
};

static const struct expected from4[] = {
	{ 3, 0, 0, { ENETUNREACH, 1, 0, 0 }, { ENETUNREACH, 3, 0, 0 } },
	{ 3, 1, 0, { ENETUNREACH, 1, 0, 0 }, { EHOSTUNREACH, 3, 1, 0 } },
	{ 3, 2, 0, { EPROTO, 4, 1, 6 }, { ENOPROTOOPT, 3, 2, 0 } },
	{ 3, 3, 0, { ECONNREFUSED, 1, 4, 0 }, { ECONNREFUSED, 3, 3, 0 } },
	{ 3, 4, 1280, { EMSGSIZE, 2, 0, 1300 }, { EMSGSIZE, 3, 4, 1280 } },
	{ 3, 4, 576, { EMSGSIZE, 2, 0, 1280 }, { EMSGSIZE, 3, 4, 576 } },
	{ 3, 4, 0, { EMSGSIZE, 2, 0, 1280 }, { EMSGSIZE, 3, 4, 0 } },
	{ 3, 9, 0, { EACCES, 1, 1, 0 }, { ENETUNREACH, 3, 9, 0 } },
	{ 3, 10, 0, { EACCES, 1, 1, 0 }, { EHOSTUNREACH, 3, 10, 0 } },
	{ 3, 13, 0, { EACCES, 1, 1, 0 }, { EHOSTUNREACH, 3, 13, 0 } },
	{ 3, 14, 0, NOTHING, { EHOSTUNREACH, 3, 14, 0 } },
	{ 11, 0, 0, { EHOSTUNREACH, 3, 0, 0 }, { EHOSTUNREACH, 11, 0, 0 } },
	{ 11, 1, 0, { EHOSTUNREACH, 3, 1, 0 }, { UNHEARD, 11, 1, 0 } },
	{ 12, 0, 8, { EPROTO, 4, 0, 7 }, { EPROTO, 12, 0, 8 } },
	{ 12, 0, 4, NOTHING, { EPROTO, 12, 0, 4 } },
	{ 12, 1, 0, NOTHING, { EPROTO, 12, 1, 0 } },
};

/* Is it the proxy that speaks?  Of an intercepted Registrar JOIN is not its address. */
static bool by_proxy(const struct sockaddr_in6 *who)
{
	return jpx_addr_is_link_local(&join.sin6_addr)
		       ? !memcmp(&who->sin6_addr, &join.sin6_addr, 16)
		       : jpx_addr_is_link_local(&who->sin6_addr);
}

static bool socket_told(const struct flow *f, const struct outcome *o, size_t quoted)
{
	struct error e;

	if (o->number == UNHEARD)
		return quiet(f);
	if (!next_error(f, PATIENCE_MS, &e)) {
		printf("# the socket is told of nothing\n");
		return false;
	}
	if (e.number != o->number || e.type != o->type || e.code != o->code || e.info != o->info) {
		printf("# %s, type %u code %u info %u\n", strerrorname_np(e.number), e.type, e.code,
		       e.info);
		return false;
	}
	return same(&e.about, &join) && e.len == quoted && by_proxy(&e.offender) &&
	       !memcmp(e.content, f->content, quoted);
}

/* Everything that both the wire and the socket say. */
static bool told(const struct flow *f, const struct outcome *o, size_t quoted)
{
	struct sockaddr_in6 from;
	uint8_t msg[2048];
	size_t len = spied(PATIENCE_MS, msg, sizeof(msg), &from);

	if (!len || msg[0] != o->type || msg[1] != o->code || !by_proxy(&from) ||
	    !quotes(msg, len, f, quoted)) {
		printf("# no such message about what the pledge sent\n");
		return false;
	}
	return socket_told(f, o, quoted);
}

static void case_codes(void)
{
	const struct expected *table = is4(&registrar) ? from4 : from6;
	size_t count =
		is4(&registrar) ? sizeof(from4) / sizeof(*from4) : sizeof(from6) / sizeof(*from6);
	struct flow f = flow_open(101);

	for (size_t i = 0; i < count; i++) {
		const struct expected *x = &table[i];
		const struct outcome *o = is4(&join) ? &x->v4 : &x->v6;
		struct forge g = about(&f, x->type, x->code, x->info);
		long before = counted("drops", "icmp_no_word"), errors = counted("told", "error");

		send_forged(&g);
		if (o->number)
			judge(told(&f, o, f.len) && grows("told", "error", errors, 1),
			      "type-%u-code-%u-info-%u", x->type, x->code, x->info);
		else
			judge(grows("drops", "icmp_no_word", before, 1) && quiet(&f),
			      "type-%u-code-%u-info-%u-unspoken", x->type, x->code, x->info);
	}
}

/* ---- quotes, cut and forged ------------------------------------------------------------------ */

/* The unreachable that all pledges know: of the port. */
static struct forge refused_port(const struct flow *f)
{
	return is4(&registrar) ? about(f, 3, 3, 0) : about(f, 1, 4, 0);
}

static const struct outcome *refused_outcome(void)
{
	static const struct outcome v6 = { ECONNREFUSED, 1, 4, 0 }, v4 = { ECONNREFUSED, 3, 3, 0 };

	return is4(&join) ? &v4 : &v6;
}

static void case_cut(void)
{
	size_t enough = (is4(&registrar) ? IP4_LEN : IP6_LEN) + UDP_LEN;
	struct flow f = flow_open(101);
	bool good = true;

	for (size_t cut = 0; cut <= 60; cut++) {
		struct forge g = refused_port(&f);
		long before = counted("drops", "icmp_short");

		g.cut = cut ? cut : CUT_ALL;
		send_forged(&g);
		if (cut < enough)
			good = grows("drops", "icmp_short", before, 1) && !readable(f.fd, 0, 0);
		else
			good = told(&f, refused_outcome(), cut - enough);
		if (!good) {
			printf("# cut to %zu\n", cut);
			break;
		}
	}
	judge(good && quiet(&f), "cut-0-to-60");
}

/* Dropped and, where COUNTED, counted; and what is right still gets through after it. */
static void nothing_of(const struct flow *f, const struct forge *g, bool is_counted,
		       const char *name)
{
	long before = counted("drops", "icmp_no_flow");
	struct forge right = refused_port(f);
	bool good;

	send_forged(g);
	good = grows("drops", "icmp_no_flow", before, is_counted) && quiet(f);
	send_forged(&right);
	judge(good && told(f, refused_outcome(), f->len), "%s", name);
}

static void next_port(struct sockaddr_in6 *sa, int step)
{
	sa->sin6_port = htons((uint16_t)(ntohs(sa->sin6_port) + step));
}

static void case_forged(void)
{
	struct flow f = flow_open(200);
	struct forge g;

#define FORGE(NAME, COUNTED, ...)                                                                  \
	do {                                                                                       \
		g = refused_port(&f);                                                              \
		__VA_ARGS__;                                                                       \
		nothing_of(&f, &g, COUNTED, NAME);                                                 \
	} while (0)
	FORGE("quote-names-next-port", true, next_port(&g.from, 1));
	FORGE("quote-names-low-port", false, g.from.sin6_port = htons(53));
	FORGE("quote-names-other-destination", true, g.to.sin6_addr.s6_addr[15] ^= 1);
	FORGE("quote-names-other-destination-port", true, next_port(&g.to, 1));
	FORGE("quote-names-other-source", false, g.from.sin6_addr = second_uplink.sin6_addr;
	      g.dst = g.from);
	FORGE("error-to-other-address", true, g.dst = second_uplink);
	FORGE("error-from-pledge-port", true, g.who = "pledge");
	FORGE("quote-is-tcp", false, g.proto = 6);
	FORGE("quote-is-icmp", false, g.proto = is4(&registrar) ? 1 : 58);
	FORGE("quote-is-later-fragment", false, g.fragment = true; g.offset = 185);
	if (is4(&registrar))
		FORGE("icmp-checksum-wrong", false, g.bad_checksum = true);
#undef FORGE
#define FORGE(NAME, QUOTED, ...)                                                                   \
	do {                                                                                       \
		g = refused_port(&f);                                                              \
		__VA_ARGS__;                                                                       \
		send_forged(&g);                                                                   \
		judge(told(&f, refused_outcome(), QUOTED), NAME);                                  \
	} while (0)
	FORGE("quote-is-first-fragment", f.len, g.fragment = true);
	if (is4(&registrar))
		FORGE("quote-with-options", f.len, g.options = true);
	FORGE("extensions-left-out", 128 - UDP_LEN - (is4(&registrar) ? IP4_LEN : IP6_LEN),
	      g.extended = true);
	FORGE("error-from-registrar", f.len, g.who = "registrar");
#undef FORGE
}

/* ---- time and rate ------------------------------------------------------------------------------
 */

/* Errors alone do not keep a flow: jpd's "idle" is 2 seconds. */
static void case_idle(void)
{
	struct flow f = flow_open(50);
	struct forge g = refused_port(&f);
	long before = counted("drops", "icmp_no_flow");
	unsigned int first = 0, last = 0;
	struct error e;

	for (unsigned int i = 0; i < 32; i++) {
		send_forged(&g);
		if (next_error(&f, 200, &e)) {
			first += i < 4;
			last += i >= 28;
		}
		usleep(100000);
	}
	printf("# %u of the first 4, %u of the last 4\n", first, last);
	judge(first == 4 && last == 0 && counted("drops", "icmp_no_flow") - before >= 4,
	      "errors-keep-no-flow");
}

static unsigned int spied_in_a_second(void)
{
	struct sockaddr_in6 from;
	uint8_t buf[2048];
	unsigned int n = 0;

	while (spied(500, buf, sizeof(buf), &from))
		n++;
	return n;
}

/* A second, of those that the flood took: a busy machine makes it longer. */
static bool about_a_hundred(unsigned int n, double seconds)
{
	printf("# %u ICMP errors in %.1f seconds reached the pledges\n", n, seconds);
	return n >= 50 && n <= 150 * seconds;
}

/* 10000 in a second; returns how many it took. */
static double at_rate(void (*one)(void *arg), void *arg)
{
	uint64_t start = now_us();

	for (unsigned int i = 0; i < 10000; i++) {
		while (now_us() < start + i * 100)
			;
		one(arg);
	}
	return (double)(now_us() - start) / 1e6;
}

static void one_forged(void *arg)
{
	const struct forge *g = arg;
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = g->dst;
	static uint8_t msg[2048];
	static size_t len;

	if (!len)
		len = forged(g, msg);
	to6.sin6_port = 0;
	memcpy(&to4.sin_addr, &to6.sin6_addr.s6_addr[12], 4);
	sendto(forger_fds[0], msg, len, 0,
	       is4(&g->dst) ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6,
	       is4(&g->dst) ? sizeof(to4) : sizeof(to6));
}

static void case_flood(void)
{
	long before, errors;
	struct flow f = flow_open(50);
	struct forge g = refused_port(&f);
	double seconds;
	unsigned int n;

	send_forged(&g); /* opens the forger's socket, too */
	usleep(200000);
	forget_spied();
	before = counted("drops", "icmp_rate");
	errors = counted("told", "error");
	seconds = at_rate(one_forged, &g);
	n = spied_in_a_second();
	judge(about_a_hundred(n, seconds) && counted("told", "error") - errors == n &&
		      counted("drops", "icmp_rate") - before > 5000,
	      "flood-of-errors");
}

/* ---- refusals
 * ------------------------------------------------------------------------------------- */

static const struct outcome *prohibited(void)
{
	static const struct outcome v6 = { EACCES, 1, 1, 0 }, v4 = { EHOSTUNREACH, 3, 13, 0 };

	return is4(&join) ? &v4 : &v6;
}

/* What fits into the largest error: 1280 bytes of IPv6, 576 of IPv4. */
static size_t fitting(size_t len)
{
	size_t most = is4(&join) ? 576 - 2 * IP4_LEN - ICMP_LEN - UDP_LEN
				 : 1280 - 2 * IP6_LEN - ICMP_LEN - UDP_LEN;

	return len < most ? len : most;
}

/* COUNT flows are opened; the one behind them is not, for the reason DROP. */
static void case_refused(unsigned int count, const char *drop)
{
	static const size_t sizes[] = { 3, 64, 333, CONTENT_MAX };
	long drops, refused = counted("told", "refused");
	struct flow f = { 0 }, plain = { 0 };
	uint8_t byte;

	for (unsigned int i = 0; i < count; i++)
		flow_open(50);
	drops = counted("drops", drop);
	pledge_open(&f, true, 50);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		fill(&f, sizes[i]);
		say(&f);
		judge(told(&f, prohibited(), fitting(f.len)), "refused-%zu", f.len);
		usleep(GAP_US);
	}
	/* An ordinary program, without a queue of errors. */
	pledge_open(&plain, false, 50);
	say(&plain);
	readable(plain.fd, POLLIN, PATIENCE_MS);
	errno = 0;
	judge(recv(plain.fd, &byte, 1, 0) < 0 && errno == prohibited()->number, "plain-socket-%s",
	      strerrorname_np(prohibited()->number));
	judge(grows("drops", drop, drops, 5) && grows("told", "refused", refused, 5), "counted-%s",
	      drop);
}

static void one_datagram(void *arg)
{
	const struct flow *f = arg;

	if (send(f->fd, f->content, f->len, 0) < 0)
		send(f->fd, f->content, f->len, 0);
}

/* COUNT flows are opened; 10000 more datagrams are refused in a second. */
static void case_refused_flood(unsigned int count)
{
	struct flow f = { 0 };
	double seconds;
	unsigned int n;
	long refused;

	for (unsigned int i = 0; i < count; i++)
		flow_open(50);
	pledge_open(&f, false, 50);
	usleep(200000);
	forget_spied();
	refused = counted("told", "refused");
	seconds = at_rate(one_datagram, &f);
	n = spied_in_a_second();
	judge(about_a_hundred(n, seconds) && counted("told", "refused") - refused == n,
	      "flood-of-refusals");
}

/* ---- what routers say by themselves
 * ------------------------------------------------------------------ */

static int errno_named(const char *name)
{
	for (int i = 1; i < 134; i++)
		if (strerrorname_np(i) && !strcmp(name, strerrorname_np(i)))
			return i;
	die("no error: %s", name);
}

/* A datagram of LEN bytes of content brings that error. */
static void case_expect(char **arg)
{
	struct outcome o = { errno_named(arg[0]), (unsigned int)atoi(arg[1]),
			     (unsigned int)atoi(arg[2]), (unsigned int)atoi(arg[3]) };
	struct flow f = { 0 };
	struct error e = { 0 };
	bool good;

	pledge_open(&f, true, (size_t)atoi(arg[4]));
	say(&f);
	good = next_error(&f, NEIGHBOUR_MS, &e) && e.number == o.number && e.type == o.type &&
	       e.code == o.code && e.info == o.info && same(&e.about, &join) &&
	       !memcmp(e.content, f.content, e.len);
	if (!good)
		printf("# %s, type %u code %u info %u\n",
		       e.number ? strerrorname_np(e.number) : "-", e.type, e.code, e.info);
	judge(good, "expect-%s-type-%s-code-%s-info-%s", arg[0], arg[1], arg[2], arg[3]);
}

static void open_ends(char **argv)
{
	registrar = endpoint(argv[6]);
	second_uplink = endpoint(argv[5]);
	enter(lab, "registrar");
	registrar_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (registrar_fd < 0 ||
	    bind(registrar_fd, (struct sockaddr *)&registrar, sizeof(registrar)))
		die("cannot listen at the Registrar: %s", strerror(errno));
	enter(lab, "pledge");
	first_pledge = endpoint(argv[3]);
	join = endpoint(argv[4]);
	spy_fd = raw_socket("pledge", is4(&join));
}

int main(int argc, char **argv)
{
	const char *what = argc > 7 ? argv[7] : "";

	if (argc < 8)
		die("usage: icmp_probe LAB RUN_DIR PLEDGE JOIN UPLINK2 REGISTRAR CASE [ARG...]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	wire_chance = now_us() | 1;
	lab = argv[1];
	run_dir = argv[2];
	if (!strcmp(what, "expect") && argc == 13) {
		/* Nobody listens at the Registrar then, or not there. */
		registrar = endpoint(argv[6]);
		enter(lab, "pledge");
		first_pledge = endpoint(argv[3]);
		join = endpoint(argv[4]);
		case_expect(argv + 8);
		return failures != 0;
	}
	open_ends(argv);
	if (!strcmp(what, "codes"))
		case_codes();
	else if (!strcmp(what, "cut"))
		case_cut();
	else if (!strcmp(what, "forged"))
		case_forged();
	else if (!strcmp(what, "idle"))
		case_idle();
	else if (!strcmp(what, "flood"))
		case_flood();
	else if (!strcmp(what, "refused") && argc == 10)
		case_refused((unsigned int)atoi(argv[8]), argv[9]);
	else if (!strcmp(what, "refused-flood") && argc == 9)
		case_refused_flood((unsigned int)atoi(argv[8]));
	else
		die("no case: %s", what);
	return failures != 0;
}
