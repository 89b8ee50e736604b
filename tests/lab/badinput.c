/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bad input from both sides, one kind at a time: each must come to nothing at the
 * other end (or be relayed unharmed, where it is merely unusual), move exactly the
 * counters that its line here names, and leave the relay fit for a good datagram
 * both ways right behind it.  Prints "ok NAME" or "not ok NAME" a case.
 *
 *   badinput cases LAB RUN_DIR xdp|socket FORM
 *   badinput fuzz LAB RUN_DIR FORM COUNT
 *
 * The lab needs pledge port pj0 with two services to the Registrar: the first on
 * port 7634 that relays DTLS, the second on 7635 that relays any content.
 *
 * Where the kernel refuses before the socket engine can see, nothing of ours
 * counts: such a case names no reason for the socket engine, or kernel_refused.
 */
#include <jpx/jpy.h>

#include "wire.h"

#define PLEDGE_PORT 48551
#define JPY_PORT    7634
#define ANY_PORT    7635
#define PORT_ID	    1
#define UPLINK_MTU  1500

static struct {
	const char *lab, *run_dir;
	bool xdp;
	enum jpx_form form;
	struct tap gateway, pledge;
	int at_registrar[2], at_pledge; /* sockets that take whole datagrams */
	uint8_t pj_addr[16], pl_addr[16], uplink_addr[16], registrar_addr[16];
	uint64_t pj_mac, up_mac;
	unsigned int join_port[2], uplink_port[2];
	int pid;
	struct wire_pledge self; /* the pledge, as a header names it */
} lab;

static int failures, cases;
static const uint8_t hello[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0,	 0,    0,   13,
				 1,  2,	   3,	 4, 5, 6, 7, 8, 9, 0xab, 0xcd, 0xef };

/* ---- the lab -------------------------------------------------------------------- */

static int bound_socket(const uint8_t addr[16], unsigned int port, const char *ifname)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 8 << 20;

	memcpy(&sa.sin6_addr, addr, 16);
	sa.sin6_scope_id = ifname ? if_nametoindex(ifname) : 0;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("cannot listen on port %u: %s", port, strerror(errno));
	return fd;
}

static void set_up(void)
{
	json_t *status = ask_jpd(lab.run_dir, "status"), *service;
	json_t *port = json_array_get(json_object_get(status, "ports"), 0);

	for (size_t i = 0; i < 2; i++) {
		service = json_array_get(json_object_get(status, "services"), i);
		lab.join_port[i] =
			(unsigned int)json_integer_value(json_object_get(service, "join_port"));
		lab.uplink_port[i] =
			(unsigned int)json_integer_value(json_object_get(service, "uplink_port"));
		frame_addr(json_string_value(json_object_get(service, "uplink_address")),
			   lab.uplink_addr);
	}
	lab.pid =
		(int)json_integer_value(json_object_get(json_object_get(status, "daemon"), "pid"));
	frame_addr(json_string_value(json_object_get(port, "address")), lab.pj_addr);
	frame_addr(REGISTRAR_ADDR, lab.registrar_addr);
	json_decref(status);

	enter(lab.lab, "proxy");
	lab.pj_mac = mac_of("pj0");
	lab.up_mac = mac_of("up0");
	lab.gateway = tap_open(lab.lab, "gateway", "gw0");
	lab.pledge = tap_open(lab.lab, "pledge", "pl0");

	/* The pledge's own link-local address: the modified EUI-64 of its MAC. */
	put(lab.pl_addr, 0xfe80000000000000, 8);
	put(lab.pl_addr + 8,
	    ((lab.pledge.mac ^ 0x020000000000) >> 24) << 40 | 0xfffe000000 |
		    (lab.pledge.mac & 0xffffff),
	    8);
	lab.at_pledge = bound_socket(lab.pl_addr, PLEDGE_PORT, "pl0");
	lab.self.mac = lab.pledge.mac;
	lab.self.udp_port = PLEDGE_PORT;
	lab.self.port_id = PORT_ID;
	memcpy(lab.self.addr, lab.pl_addr, 16);

	enter(lab.lab, "registrar");
	lab.at_registrar[0] = bound_socket(lab.registrar_addr, JPY_PORT, NULL);
	lab.at_registrar[1] = bound_socket(lab.registrar_addr, ANY_PORT, NULL);
}

/* ---- frames -------------------------------------------------------------------------- */

static struct frame_spec from_pledge(const void *content, size_t len)
{
	struct frame_spec spec = {
		.dst_mac = lab.pj_mac,
		.src_mac = lab.pledge.mac,
		.sport = PLEDGE_PORT,
		.dport = (uint16_t)lab.join_port[0],
		.content = content,
		.content_len = len,
	};

	memcpy(spec.src, lab.pl_addr, 16);
	memcpy(spec.dst, lab.pj_addr, 16);
	return spec;
}

static struct frame_spec from_registrar(const void *content, size_t len)
{
	struct frame_spec spec = {
		.dst_mac = lab.up_mac,
		.src_mac = lab.gateway.mac,
		.sport = JPY_PORT,
		.dport = (uint16_t)lab.uplink_port[0],
		.content = content,
		.content_len = len,
	};

	memcpy(spec.src, lab.registrar_addr, 16);
	memcpy(spec.dst, lab.uplink_addr, 16);
	return spec;
}

static void send_spec(const struct tap *tap, const struct frame_spec *spec)
{
	uint8_t frame[FRAME_MAX];

	tap_send(tap, frame, frame_build(spec, frame));
}

/* A piece of a datagram, where it begins and ends. */
struct piece {
	unsigned int from, to;
};

/* SPEC's datagram, of any size, as the fragments PIECES, all of one identification. */
static void send_pieces(const struct tap *tap, const struct frame_spec *spec,
			const struct piece *pieces, size_t count)
{
	static uint8_t udp[WIRE_DATAGRAM_MAX + 8], frame[WIRE_ETH + IP6_LEN + 8 + 1500];
	static uint32_t id = 1;
	size_t udp_len = UDP_LEN + spec->content_len;
	uint8_t *p, *ip6 = frame + WIRE_ETH;
	unsigned int more;

	id++;
	for (size_t i = 0; i < count; i++) {
		p = put(frame, spec->dst_mac, 6);
		p = put(p, spec->src_mac, 6);
		p = put(p, ETH_P_IPV6, 2);
		p = put(p, 0x60000000, 4);
		p = put(p, pieces[i].to - pieces[i].from + 8, 2);
		p = put(p, 44, 1);
		p = put(p, 64, 1);
		p = put_bytes(p, spec->src, 16);
		p = put_bytes(p, spec->dst, 16);
		if (i == 0) {
			put(udp, spec->sport, 2);
			put(udp + 2, spec->dport, 2);
			put(udp + 4, udp_len, 2);
			put(udp + 6, 0, 2);
			put_bytes(udp + 8, spec->content, spec->content_len);
			put(udp + 6, ~sum_words(sum_pseudo(ip6, udp_len), udp, udp_len) & 0xffff,
			    2);
		}
		more = pieces[i].to < udp_len;
		p = put(p, 17, 1);
		p = put(p, 0, 1);
		p = put(p, pieces[i].from | more, 2);
		p = put(p, id, 4);
		p = put_bytes(p, udp + pieces[i].from, pieces[i].to - pieces[i].from);
		tap_send(tap, frame, (size_t)(p - frame));
	}
}

/* The same, cut as a kernel would at an MTU of 1500. */
static void send_fragmented(const struct tap *tap, const struct frame_spec *spec)
{
	unsigned int total = UDP_LEN + (unsigned int)spec->content_len;
	struct piece pieces[64];
	size_t n = 0;

	for (unsigned int at = 0; at < total; at += 1448, n++)
		pieces[n] = (struct piece){ at, at + 1448 < total ? at + 1448 : total };
	send_pieces(tap, spec, pieces, n);
}

/* ---- what has to come of it ------------------------------------------------------- */

enum outcome {
	NOTHING,
	WHOLE,	  /* relayed: `expected` arrives at the other end's socket, once */
	BAD_CSUM, /* relayed with a checksum that is still wrong: no socket will take it */
};

/* What has to happen; NULL is no reason, so no counter. */
struct expect {
	enum outcome outcome;
	const char *xdp_drop, *xdp_handoff, *socket_drop;
	unsigned int times; /* 0: once */
};

#define REFUSED(reason)		    ((struct expect){ NOTHING, reason, NULL, reason, 0 })
#define RELAYED			    ((struct expect){ WHOLE, NULL, NULL, NULL, 0 })
#define RELAYED_BY(handoff)	    ((struct expect){ WHOLE, NULL, handoff, NULL, 0 })
#define REFUSED_BY(handoff, reason) ((struct expect){ NOTHING, reason, handoff, reason, 0 })

static struct bytes expected; /* for WHOLE */

struct seen {
	unsigned int whole, other, frames, bad_csum;
};

static bool complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static bool complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("#   ");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	return false;
}

/* Takes what came; GOOD is the datagram that was sent last, and known to be right. */
static bool take(int fd, const void *good, size_t good_len, struct seen *seen)
{
	static uint8_t buf[WIRE_DATAGRAM_MAX];
	bool got_good = false;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) >= 0) {
		if (good && (size_t)n == good_len && !memcmp(buf, good, good_len))
			got_good = true;
		else if ((size_t)n == expected.len && !memcmp(buf, expected.at, expected.len))
			seen->whole++;
		else
			seen->other++;
	}
	return got_good;
}

static void look(const struct tap *tap, const unsigned int sports[2], struct seen *seen)
{
	static uint8_t frame[65536];
	size_t len;

	while ((len = tap_next(tap, frame, sizeof(frame)))) {
		if (!is_udp(frame, len, sports[0], 0) && !is_udp(frame, len, sports[1], 0))
			continue;
		seen->frames++;
		if (frame[WIRE_ETH + 6] == 17 && !frame_csum_ok(frame, len, WIRE_ETH))
			seen->bad_csum++;
	}
}

static void look_everywhere(struct seen *seen)
{
	look(&lab.gateway, lab.uplink_port, seen);
	look(&lab.pledge, lab.join_port, seen);
}

static void take_everything(struct seen *seen)
{
	take(lab.at_registrar[0], NULL, 0, seen);
	take(lab.at_registrar[1], NULL, 0, seen);
	take(lab.at_pledge, NULL, 0, seen);
}

/* A good datagram each way must arrive.  Both are new every time. */
static bool good_ones(struct seen *seen)
{
	static unsigned int serial;
	uint8_t content[sizeof(hello) + 4];
	static struct bytes up, down;
	struct frame_spec spec;
	bool there = false, back = false;
	uint64_t end;

	memcpy(content, hello, sizeof(hello));
	put(content + sizeof(hello), ++serial, 4);
	up.len = down.len = 0;
	add_message(&up, lab.form, &lab.self, content, sizeof(content), 0);
	content[sizeof(hello)] = 0xdd; /* not what went up */
	add_message(&down, lab.form, &lab.self, content, sizeof(content), 0);
	content[sizeof(hello)] = 0;
	spec = from_pledge(content, sizeof(content));
	send_spec(&lab.pledge, &spec);
	spec = from_registrar(down.at, down.len);
	send_spec(&lab.gateway, &spec);
	content[sizeof(hello)] = 0xdd;
	for (end = now_us() + 1000000; now_us() < end && !(there && back);) {
		there |= take(lab.at_registrar[0], up.at, up.len, seen);
		back |= take(lab.at_pledge, content, sizeof(content), seen);
		usleep(50);
	}
	if (!there)
		complain("a good datagram from the pledge is no longer relayed");
	if (!back)
		complain("a good answer of the Registrar is no longer relayed");
	return there && back;
}

/* The counters of GROUP rose by what is expected of NAME and by nothing else. */
static bool only(const json_t *before, const json_t *after, const char *group, const char *name,
		 unsigned int times)
{
	const json_t *b = json_object_get(before, group), *value;
	bool good = true, known = !name;
	const char *key;
	json_int_t rose;

	json_object_foreach(json_object_get(after, group), key, value) {
		rose = json_integer_value(value) - json_integer_value(json_object_get(b, key));
		known |= name && !strcmp(name, key);
		if (rose != (name && !strcmp(name, key) ? (json_int_t)times : 0))
			good = complain("%s.%s rose by %d", group, key, (int)rose);
	}
	if (!known)
		die("the test names a counter that there is not: %s.%s", group, name);
	return good;
}

static bool settled_at(const struct expect *e, const struct seen *seen)
{
	unsigned int times = e->times ? e->times : 1;

	return e->outcome == WHOLE	? seen->whole >= times
	       : e->outcome == BAD_CSUM ? seen->bad_csum >= times
					: false;
}

static json_t *before;

/* A case: begin(), send what it is about, judge(). */
static void begin(void)
{
	struct seen none = { 0 };

	take_everything(&none);
	look_everywhere(&none);
	if (before)
		json_decref(before);
	before = ask_jpd(lab.run_dir, "stats");
	expected.len = 0;
}

static void judge(const char *name, struct expect e)
{
	unsigned int times = e.times ? e.times : 1;
	struct seen seen = { 0 };
	bool good;
	json_t *after;
	uint64_t end = now_us() + (e.outcome == NOTHING ? 2500 : 1000000);

	while (now_us() < end && !settled_at(&e, &seen)) {
		take_everything(&seen);
		look_everywhere(&seen);
		usleep(100);
	}
	good = good_ones(&seen);
	usleep(500);
	take_everything(&seen);
	look_everywhere(&seen);
	after = ask_jpd(lab.run_dir, "stats");

	if (seen.other)
		good = complain("%u unexpected datagrams arrived", seen.other);
	if (seen.whole != (e.outcome == WHOLE ? times : 0))
		good = complain("arrived %u times", seen.whole);
	if (seen.bad_csum != (e.outcome == BAD_CSUM ? times : 0))
		good = complain("%u frames with a wrong checksum", seen.bad_csum);
	if (seen.frames != 2 + (e.outcome == NOTHING ? 0 : times))
		good = complain("%u frames at the other ends", seen.frames);
	good &= only(before, after, "drops", lab.xdp ? e.xdp_drop : e.socket_drop, times);
	/* The fast path hands each datagram of draft-01 on, good ones included. */
	if (lab.form != JPX_FORM_DRAFT01 || !lab.xdp)
		good &= only(before, after, "handoffs", lab.xdp ? e.xdp_handoff : NULL, times);
	json_decref(after);
	cases++;
	failures += !good;
	printf("%s %s-%s-%s\n", good ? "ok" : "not ok", name, jpx_form_name(lab.form),
	       lab.xdp ? "xdp" : "socket");
}

static void pledge_case(const char *name, const struct frame_spec *spec, struct expect e)
{
	begin();
	if (e.outcome == WHOLE)
		add_message(&expected, lab.form, &lab.self, spec->content, spec->content_len, 0);
	send_spec(&lab.pledge, spec);
	judge(name, e);
}

/* ---- from the pledge -------------------------------------------------------------------- */

static void sources(void)
{
	static const struct {
		const char *name, *addr;
		struct expect expect;
	} list[] = {
		{ "src-global", "2001:db8:9::1", REFUSED("src_not_link_local") },
		{ "src-unique-local", "fd00::1", REFUSED("src_not_link_local") },
		{ "src-subnet-in-link-local", "fe80:0:0:1::1", REFUSED("src_not_link_local") },
		{ "src-febf", "febf::1", REFUSED("src_not_link_local") },
		{ "src-v4-mapped",
		  "::ffff:192.0.2.1",
		  { NOTHING, "src_not_link_local", NULL, "src_not_link_local", 0 } },
		{ "src-unspecified", "::", REFUSED("src_not_link_local") },
		/* the kernel never hands these to a socket */
		{ "src-multicast", "ff02::1", { NOTHING, "src_not_link_local", NULL, NULL, 0 } },
		{ "src-loopback", "::1", { NOTHING, "src_not_link_local", NULL, NULL, 0 } },
		{ "src-no-iid", "fe80::", REFUSED("src_not_link_local") },
	};
	struct frame_spec spec;

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		spec = from_pledge(hello, sizeof(hello));
		frame_addr(list[i].addr, spec.src);
		pledge_case(list[i].name, &spec, list[i].expect);
	}
	spec = from_pledge(hello, sizeof(hello));
	spec.sport = 0;
	pledge_case("src-port-zero", &spec, REFUSED("src_port_zero"));
}

/* Where frame, IPv6 and UDP disagree.  The kernel drops such frames before UDP. */
static void lengths(void)
{
	static const struct expect mismatch = { NOTHING, "length_mismatch", NULL, NULL, 0 };
	struct frame_spec spec = from_pledge(hello, sizeof(hello));
	uint8_t frame[FRAME_MAX], *udp = frame + WIRE_ETH + IP6_LEN;
	size_t len = frame_build(&spec, frame);
	static const uint8_t cuts[] = { 14, 15, 33, 53, 54, 58, 61 };
	static const struct {
		const char *name;
		int ip_len_add, udp_len_add;
	} lies[] = {
		{ "ip-longer-than-frame", 1, 0 }, { "ip-much-longer", 20000, 0 },
		{ "ip-shorter-than-udp", -1, 0 }, { "ip-shorter-than-udp-header", -28, 0 },
		{ "ip-length-zero", -33, 0 },	  { "udp-longer-than-ip", 0, 1 },
		{ "udp-much-longer", 0, 30000 },  { "udp-length-7", 0, -26 },
		{ "udp-length-1", 0, -32 },	  { "ip-and-udp-longer-than-frame", 4, 4 },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		spec = from_pledge(hello, sizeof(hello));
		spec.ip_len_add = lies[i].ip_len_add;
		spec.udp_len_add = lies[i].udp_len_add;
		pledge_case(lies[i].name, &spec, mismatch);
	}

	/* Truncated: no UDP header to read a port from, so not ours at all. */
	begin();
	for (size_t i = 0; i < sizeof(cuts); i++)
		tap_send(&lab.pledge, frame, cuts[i]);
	judge("truncated-headers", (struct expect){ .outcome = NOTHING });
	begin();
	tap_send(&lab.pledge, frame, len - 1);
	judge("truncated-content", mismatch);

	spec = from_pledge(hello, sizeof(hello));
	spec.padding = 7;
	pledge_case("padded-frame", &spec, RELAYED_BY("padding"));

	/* UDP ends before IPv6 does: legal, the rest is no part of it. */
	begin();
	spec = from_pledge(hello, sizeof(hello) - 5);
	frame_build(&spec, frame);
	memcpy(frame + len - 5, "extra", 5);
	put(frame + WIRE_ETH + 4, UDP_LEN + sizeof(hello), 2);
	add_message(&expected, lab.form, &lab.self, hello, sizeof(hello) - 5, 0);
	tap_send(&lab.pledge, frame, len);
	judge("udp-shorter-than-ip", RELAYED_BY("padding"));

	/* Length 0 belongs to jumbograms (RFC 2675 4).  Linux takes it as "all of it"
	 * in any datagram, so a socket cannot tell and relays it unharmed. */
	begin();
	spec = from_pledge(hello, sizeof(hello));
	frame_build(&spec, frame);
	put(udp + 4, 0, 2);
	put(udp + 6, 0, 2);
	put(udp + 6,
	    ~sum_words(sum_pseudo(frame + WIRE_ETH, len - WIRE_ETH - IP6_LEN), udp,
		       len - WIRE_ETH - IP6_LEN) &
		    0xffff,
	    2);
	add_message(&expected, lab.form, &lab.self, hello, sizeof(hello), 0);
	tap_send(&lab.pledge, frame, len);
	judge("udp-length-zero",
	      lab.xdp ? mismatch : (struct expect){ WHOLE, NULL, NULL, NULL, 0 });
}

/*
 * The fast path carries the error on, for the Registrar's kernel to see.  Our own
 * kernel looks at once at a datagram of up to 76 bytes, and no socket of ours is
 * told; at a longer one when it is on our socket, which then counts it.
 */
static struct expect wrong_csum(const char *socket_drop, unsigned int times)
{
	if (lab.xdp && lab.form != JPX_FORM_DRAFT01)
		return (struct expect){ BAD_CSUM, NULL, NULL, NULL, times };
	return (struct expect){ NOTHING, socket_drop, NULL, socket_drop, times };
}

static void checksums(void)
{
	static const uint16_t wrongs[] = { 0x0001, 0x8000, 0x5a5a };
	struct frame_spec spec = from_pledge(hello, sizeof(hello)), wrong;
	uint8_t content[300];

	chance_bytes(content, sizeof(content));
	memcpy(content, hello, sizeof(hello));
	spec.csum = FRAME_CSUM_ZERO;
	pledge_case("checksum-zero", &spec,
		    (struct expect){ NOTHING, "checksum_zero", NULL, NULL, 0 });
	for (size_t i = 0; i < 6; i++) {
		wrong = from_pledge(content, i < 3 ? sizeof(hello) : sizeof(content));
		wrong.csum_xor = wrongs[i % 3];
		if (i % 3 == 0)
			begin();
		send_spec(&lab.pledge, &wrong);
		if (i == 2)
			judge("checksum-wrong", wrong_csum(NULL, 3));
		else if (i == 5)
			judge("checksum-wrong-long", wrong_csum("kernel_refused", 3));
	}
	spec.csum = FRAME_CSUM_PARTIAL;
	pledge_case("checksum-partial", &spec, REFUSED_BY("checksum_partial", NULL));
	spec = from_pledge(content, sizeof(content));
	spec.csum = FRAME_CSUM_PARTIAL;
	pledge_case("checksum-partial-long", &spec,
		    REFUSED_BY("checksum_partial", "kernel_refused"));
}

static void fragments(void)
{
	static uint8_t content[3000];
	static const struct piece reversed[] = { { 1448, 3008 - 112 },
						 { 2896, 3008 },
						 { 0, 1448 } };
	static const struct piece overlapping[] = { { 0, 1448 }, { 1440, 2888 }, { 2888, 3008 } };
	static const struct piece overlap_first[] = {
		{ 0, 1440 }, { 0, 1448 }, { 1448, 3008 - 112 }, { 2896, 3008 }
	};
	static const struct piece incomplete[] = { { 0, 1448 }, { 2896, 3008 } };
	static const struct piece late_only[] = { { 1448, 2896 }, { 2896, 3008 } };
	struct frame_spec spec = from_pledge(content, sizeof(content));
	struct piece small[2] = { { 0, 8 }, { 8, 8 + sizeof(hello) } };
	struct piece atomic = { 0, 8 + sizeof(hello) };

	chance_bytes(content, sizeof(content));
	memcpy(content, hello, sizeof(hello));

	begin();
	add_message(&expected, lab.form, &lab.self, content, sizeof(content), 0);
	send_fragmented(&lab.pledge, &spec);
	judge("fragments-in-order", RELAYED_BY("fragment"));
	begin();
	add_message(&expected, lab.form, &lab.self, content, sizeof(content), 0);
	send_pieces(&lab.pledge, &spec, reversed, 3);
	judge("fragments-out-of-order", RELAYED_BY("fragment"));
	begin();
	send_pieces(&lab.pledge, &spec, overlapping, 3);
	judge("fragments-overlapping", REFUSED_BY("fragment", NULL));
	begin();
	send_pieces(&lab.pledge, &spec, overlap_first, 4);
	judge("fragments-two-firsts", (struct expect){ NOTHING, NULL, "fragment", NULL, 2 });
	begin();
	send_pieces(&lab.pledge, &spec, incomplete, 2);
	judge("fragments-incomplete", REFUSED_BY("fragment", NULL));
	begin();
	send_pieces(&lab.pledge, &spec, late_only, 2);
	judge("fragments-without-first", REFUSED_BY(NULL, NULL));

	spec = from_pledge(hello, sizeof(hello));
	begin();
	add_message(&expected, lab.form, &lab.self, hello, sizeof(hello), 0);
	send_pieces(&lab.pledge, &spec, small, 2);
	judge("fragments-of-8-bytes", RELAYED_BY("fragment"));
	begin();
	add_message(&expected, lab.form, &lab.self, hello, sizeof(hello), 0);
	send_pieces(&lab.pledge, &spec, &atomic, 1);
	judge("fragment-atomic", RELAYED_BY("fragment"));
}

static void extension_headers(void)
{
	static const uint8_t pad[] = { 17, 0, 1, 4, 0, 0, 0, 0 };
	static const uint8_t discard[] = {
		17, 0, 0xbe, 4, 0, 0, 0, 0
	}; /* unknown option 10xxxxxx */
	static const uint8_t chain[] = { 60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0 };
	static const uint8_t endless[] = { 60, 255, 1, 4, 0, 0, 0, 0 };
	struct frame_spec spec = from_pledge(hello, sizeof(hello));

	spec.extended = true;
	spec.ext = pad;
	spec.ext_len = sizeof(pad);
	spec.first_header = 60;
	pledge_case("destination-options", &spec, RELAYED_BY("extension_header"));
	spec.first_header = 0;
	pledge_case("hop-by-hop-options", &spec, RELAYED_BY("extension_header"));
	spec.ext = chain;
	spec.ext_len = sizeof(chain);
	spec.first_header = 60;
	pledge_case("extension-header-chain", &spec, RELAYED_BY("extension_header"));
	spec.ext = discard;
	spec.ext_len = sizeof(discard);
	pledge_case("option-to-discard", &spec, REFUSED_BY("extension_header", NULL));
	spec.ext = endless;
	spec.ext_len = sizeof(endless);
	pledge_case("extension-header-overrun", &spec, REFUSED_BY(NULL, NULL));
}

static void contents(void)
{
	static const struct {
		const char *name;
		uint8_t bytes[4];
		size_t len;
	} bad[] = {
		{ "empty", { 0 }, 0 },
		{ "one-byte-0", { 0 }, 1 },
		{ "one-byte-22", { 22 }, 1 },
		{ "one-byte-31", { 31 }, 1 },
		{ "one-byte-64", { 64 }, 1 },
		{ "two-bytes", { 22, 0xfe }, 2 },
		{ "type-19", { 19, 0xfe, 0xfd, 0 }, 4 },
		{ "type-27", { 27, 0xfe, 0xfd, 0 }, 4 },
		{ "tls-version", { 22, 3, 3, 0 }, 4 },
		{ "version-fefc", { 22, 0xfe, 0xfc, 0 }, 4 },
		{ "version-fdfd", { 22, 0xfd, 0xfd, 0 }, 4 },
		{ "coap", { 0x40, 1, 0, 1 }, 4 },
		{ "stun", { 0, 1, 0, 0 }, 4 },
		{ "ff", { 0xff, 0xff, 0xff, 0xff }, 4 },
	};
	static const struct {
		const char *name;
		uint8_t bytes[4];
		size_t len;
	} odd[] = {
		{ "dtls13-one-byte", { 32 }, 1 },     { "dtls13-last", { 63, 0 }, 2 },
		{ "dtls10", { 22, 0xfe, 0xff }, 3 },  { "type-20", { 20, 0xfe, 0xfd }, 3 },
		{ "type-26", { 26, 0xfe, 0xfd }, 3 },
	};
	struct frame_spec spec;
	char name[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		spec = from_pledge(bad[i].bytes, bad[i].len);
		snprintf(name, sizeof(name), "no-dtls-%s", bad[i].name);
		pledge_case(name, &spec, REFUSED("not_dtls"));
		spec.dport = (uint16_t)lab.join_port[1];
		snprintf(name, sizeof(name), "any-content-%s", bad[i].name);
		pledge_case(name, &spec, RELAYED);
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		spec = from_pledge(odd[i].bytes, odd[i].len);
		pledge_case(odd[i].name, &spec, RELAYED);
	}
}

/* Sizes around what fits: the uplink's MTU on the fast path, one datagram at all. */
static void sizes(void)
{
	static uint8_t content[WIRE_DATAGRAM_MAX];
	static struct bytes message;
	struct frame_spec spec;
	size_t big_prefix, fits;

	chance_bytes(content, sizeof(content));
	add_message(&message, lab.form, &lab.self, content, 1000, 0);
	big_prefix = message.len - 1000;
	fits = UPLINK_MTU - IP6_LEN - UDP_LEN - big_prefix;

	spec = from_pledge(content, fits);
	spec.dport = (uint16_t)lab.join_port[1];
	pledge_case("largest-in-one-frame", &spec, RELAYED);
	spec.content_len = fits + 1;
	pledge_case("one-byte-over-mtu", &spec, RELAYED_BY("over_mtu"));
	spec.content_len = UPLINK_MTU - IP6_LEN - UDP_LEN;
	pledge_case("largest-frame", &spec, RELAYED_BY("over_mtu"));

	begin();
	spec.content_len = 65527 - big_prefix;
	add_message(&expected, lab.form, &lab.self, content, spec.content_len, 0);
	send_fragmented(&lab.pledge, &spec);
	judge("largest-of-all", RELAYED_BY("fragment"));
	begin();
	spec.content_len++;
	send_fragmented(&lab.pledge, &spec);
	judge("one-byte-too-many", REFUSED_BY("fragment", "content_too_big"));
	begin();
	spec.content_len = 65527 - 8; /* as long as IPv6 with a fragment header can make it */
	send_fragmented(&lab.pledge, &spec);
	judge("largest-datagram", REFUSED_BY("fragment", "content_too_big"));
}

/* ---- from the Registrar -------------------------------------------------------------- */

/*
 * An answer in pieces, so that a case can put another piece in the place of one.
 * "head" and "body" are of a string.  What a form does not have stays empty.
 */
enum item {
	ARRAY_HEAD,
	CF_HEADER, /* draft-01 */
	INNER_HEAD,
	HEADER_HEAD, /* the address', or draft-21's header's */
	HEADER_BODY,
	UDP_PORT,
	FAMILY,
	INDEX,
	CF_CONTENT_, /* draft-01 */
	CONTENT_HEAD,
	CONTENT_BODY,
	BEHIND,
	ITEMS
};

static struct {
	size_t len;
	uint8_t at[64];
} items[ITEMS];

static void item(enum item which, const char *hex)
{
	items[which].len = frame_hex(hex, items[which].at, sizeof(items[which].at));
}

static void good_items(void)
{
	static struct bytes header;
	bool h21 = lab.form == JPX_FORM_DRAFT21, d01 = lab.form == JPX_FORM_DRAFT01;

	memset(items, 0, sizeof(items));
	item(ARRAY_HEAD, h21 ? "82" : d01 ? "84" : "85");
	header.len = 0;
	if (h21)
		add_header21(&header, &lab.self);
	else
		add(&header, lab.self.addr, 16);
	memcpy(items[HEADER_BODY].at, header.at, header.len);
	items[HEADER_BODY].len = header.len;
	item(HEADER_HEAD, h21 ? "52" : "50");
	item(CONTENT_HEAD, "5819");
	memcpy(items[CONTENT_BODY].at, hello, sizeof(hello));
	items[CONTENT_BODY].len = sizeof(hello);
	if (h21)
		return;
	item(UDP_PORT, "19bda7");
	item(INDEX, "01");
	if (d01) {
		item(CF_HEADER, "183c");
		item(INNER_HEAD, "83");
		item(CF_CONTENT_, "190119");
	} else {
		item(FAMILY, lab.form == JPX_FORM_DRAFT02 ? "0a" : "02");
	}
}

static void send_items(void)
{
	static struct bytes message;
	struct frame_spec spec;

	message.len = 0;
	for (int i = 0; i < ITEMS; i++)
		add(&message, items[i].at, items[i].len);
	spec = from_registrar(message.at, message.len);
	send_spec(&lab.gateway, &spec);
}

static void answer_case(const char *name, struct expect e)
{
	begin();
	if (e.outcome == WHOLE)
		add(&expected, hello, sizeof(hello));
	send_items();
	judge(name, e);
}

/* The item WHICH as HEX instead; BEHIND_HEX behind all of it. */
static void answer_with(enum item which, const char *hex, const char *behind, struct expect e)
{
	static const char *const names[] = { "array",	    "cf",      "inner",	       "header",
					     "header-body", "port",    "family",       "index",
					     "cf2",	    "content", "content-body", "behind" };
	char name[160];

	good_items();
	item(which, hex);
	if (behind)
		item(BEHIND, behind);
	snprintf(name, sizeof(name), "answer-%s-%s%s%s", names[which], *hex ? hex : "none",
		 behind ? "+" : "", behind ? behind : "");
	answer_case(name, e);
}

/* Each of LIST, ended by NULL, in the place of WHICH. */
static void answers(enum item which, struct expect e, const char *const *list)
{
	for (; *list; list++)
		answer_with(which, *list, NULL, e);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* What is wrong, or unusual, whatever the form. */
static void answers_of_any_form(void)
{
	bool h21 = lab.form == JPX_FORM_DRAFT21, d01 = lab.form == JPX_FORM_DRAFT01;
	const char *more = h21 ? "83" : d01 ? "85" : "86";

	answers(ARRAY_HEAD, REFUSED("jpy_malformed"),
		LIST("", "05", "a5", "65", "f6", "9f", "9c", "9d", "9e", "1f", "c085", "d9d9f785"));
	answers(ARRAY_HEAD, REFUSED("jpy_count"), LIST("80", "81", "9800"));
	answer_with(ARRAY_HEAD, more, NULL, REFUSED_BY("encoding", "jpy_malformed"));
	answer_with(ARRAY_HEAD, "9bffffffffffffffff", NULL,
		    REFUSED_BY("encoding", "jpy_malformed"));
	answers(ARRAY_HEAD, RELAYED,
		h21   ? LIST("9802", "990002", "9a00000002", "9b0000000000000002")
		: d01 ? LIST("9804", "990004", "9a00000004", "9b0000000000000004")
		      : LIST("9805", "990005", "9a00000005", "9b0000000000000005"));

	answers(HEADER_HEAD, REFUSED("jpy_malformed"),
		LIST("59ffff", "5a7fffffff", "5bffffffffffffffff", "5b7fffffffffffffff", "5f50",
		     "5c", "c050"));
	answers(HEADER_HEAD, RELAYED,
		h21 ? LIST("5812", "590012", "5a00000012", "5b0000000000000012")
		    : LIST("5810", "590010", "5a00000010", "5b0000000000000010"));

	answers(CONTENT_HEAD, REFUSED("jpy_malformed"),
		LIST("581a", "59ffff", "5affffffff", "5bffffffffffffffff", "5b7fffffffffffffff",
		     "5b8000000000000000", "5f5819", "5f", "7819", "9819", "c05819", "5d", "19"));
	answers(CONTENT_HEAD, REFUSED("jpy_trailing"), LIST("5818", "40", "41", "590001"));
	answers(CONTENT_HEAD, RELAYED, LIST("590019", "5a00000019", "5b0000000000000019"));
	answers(BEHIND, REFUSED("jpy_trailing"),
		LIST("00", "f6", "ff", "5819", "0000000000000000"));

	answer_with(ARRAY_HEAD, more, "f6", RELAYED_BY("encoding"));
	answer_with(ARRAY_HEAD, more, "8301820203a10405", RELAYED_BY("encoding"));
	answer_with(ARRAY_HEAD, more, "fb3ff0000000000000", RELAYED_BY("encoding"));
	answer_with(ARRAY_HEAD, more, "ff", REFUSED_BY("encoding", "jpy_malformed"));
	answer_with(ARRAY_HEAD, more, "8201", REFUSED_BY("encoding", "jpy_malformed"));
	answer_with(ARRAY_HEAD, more, "c000", REFUSED_BY("encoding", "jpy_malformed"));
	answer_with(ARRAY_HEAD, more, "9bffffffffffffffff",
		    REFUSED_BY("encoding", "jpy_malformed"));
	answer_with(ARRAY_HEAD, more, "f600", REFUSED_BY("encoding", "jpy_trailing"));
}

static void answers_with_numbers(void)
{
	answers(UDP_PORT, REFUSED("pledge_port_invalid"),
		LIST("00", "1800", "1a00010000", "1b0000000100000005", "1bffffffffffffffff", "20",
		     "39bda6", "3bffffffffffffffff"));
	answers(UDP_PORT, REFUSED("jpy_malformed"),
		LIST("41bd", "61bd", "80", "a0", "f6", "f4", "f93c00", "c119bda7", "1c", "1f",
		     "ff"));
	answers(UDP_PORT, RELAYED, LIST("1a0000bda7", "1b000000000000bda7"));
	answers(INDEX, REFUSED("unknown_pledge_port"),
		LIST("00", "02", "17", "18c8", "18ff", "190100", "1b0000000100000001", "20",
		     "3900ff"));
	answers(INDEX, RELAYED, LIST("1801", "190001", "1a00000001", "1b0000000000000001"));
}

static void answers_with_addresses(void)
{
	static const char *const bad[] = {
		"20010db8000000000000000000000001",
		"ff020000000000000000000000000001",
		"fe800000000000010000000000000001",
		"fe800000000000000000000000000000",
		"00000000000000000000000000000001",
		"00000000000000000000000000000000",
		"febf0000000000000000000000000001",
		"00000000000000000000ffffc0000201",
		NULL,
	};

	answers(HEADER_BODY, REFUSED("pledge_not_link_local"), bad);
	for (int len = 15; len <= 17; len += 2) {
		good_items();
		item(HEADER_HEAD, len == 15 ? "4f" : "51");
		items[HEADER_BODY].len = (size_t)len;
		answer_case(len == 15 ? "answer-address-of-15" : "answer-address-of-17",
			    REFUSED("jpy_header"));
	}
}

static void answers_of_five(void)
{
	bool two = lab.form == JPX_FORM_DRAFT02;

	answers(ARRAY_HEAD, REFUSED("jpy_count"), LIST("82", "83", "84"));
	answers(HEADER_HEAD, REFUSED("jpy_malformed"), LIST("70", "10", "90"));
	answers(FAMILY, REFUSED("jpy_header"),
		LIST("00", two ? "02" : "0a", "18ff", "29", "21", "1bffffffffffffffff"));
	answers(FAMILY, REFUSED("jpy_malformed"), LIST("40", "60", "f6", "c00a", "1e"));
	answers(FAMILY, RELAYED, LIST(two ? "180a" : "1802", two ? "1a0000000a" : "1a00000002"));
	answers(INDEX, REFUSED("jpy_malformed"), LIST("40", "4101", "f5", "c101", "1d"));
	answers_with_addresses();
	answers_with_numbers();
}

static void answers_of_21(void)
{
	struct wire_pledge p;
	static struct bytes h;
	static const struct {
		const char *name, *reason;
		int at;
		uint8_t value;
	} changed[] = {
		{ "version-0", "jpy_header", 0, 0 },
		{ "version-2", "jpy_header", 0, 2 },
		{ "group-mac", "jpy_header", 12, 0x33 },
		{ "index-0", "unknown_pledge_port", 1, 0 },
		{ "index-2", "unknown_pledge_port", 1, 2 },
		{ "index-255", "unknown_pledge_port", 1, 255 },
	};
	char name[64];

	answers(HEADER_HEAD, REFUSED("jpy_malformed"), LIST("72", "12", "92"));
	for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++) {
		good_items();
		items[HEADER_BODY].at[changed[i].at] = changed[i].value;
		snprintf(name, sizeof(name), "answer-header-%s", changed[i].name);
		answer_case(name, REFUSED(changed[i].reason));
	}
	for (int i = 0; i < 3; i++) {
		p = lab.self;
		if (i == 0)
			memset(p.addr, 0, 16);
		else if (i == 1)
			p.udp_port = 0;
		else
			p.mac = 0; /* as for a pledge whose MAC nobody knew: found out anew */
		h.len = 0;
		add_header21(&h, &p);
		good_items();
		memcpy(items[HEADER_BODY].at, h.at, 18);
		answer_case(i == 0   ? "answer-header-no-iid"
			    : i == 1 ? "answer-header-port-0"
				     : "answer-header-no-mac",
			    i == 0   ? REFUSED("pledge_not_link_local")
			    : i == 1 ? REFUSED("pledge_port_invalid")
				     : RELAYED);
	}
	for (int len = 0; len <= 33; len++) {
		if (len == 18 || (len > 2 && len < 16) || (len > 20 && len < 32))
			continue;
		good_items();
		snprintf(name, sizeof(name), "58%02x", (unsigned int)len);
		item(HEADER_HEAD, name);
		items[HEADER_BODY].len = (size_t)len;
		snprintf(name, sizeof(name), "answer-header-of-%d", len);
		answer_case(name, REFUSED("jpy_header"));
	}
}

static void answers_of_01(void)
{
	answers(ARRAY_HEAD, REFUSED("jpy_count"), LIST("82", "83"));
	answers(CF_HEADER, REFUSED("jpy_header"), LIST("183d", "00", "20"));
	answers(CF_HEADER, REFUSED("jpy_malformed"), LIST("40", "f6"));
	answers(CF_HEADER, RELAYED, LIST("19003c"));
	answers(INNER_HEAD, REFUSED("jpy_malformed"), LIST("9f", "a3", "19"));
	answers_with_addresses();
	answers_with_numbers();
}

/* Every message that ends too early, from none of it to all but a byte. */
static void answers_cut_short(void)
{
	static struct bytes message;
	struct frame_spec spec;
	struct expect e = REFUSED("jpy_malformed");

	message.len = 0;
	good_items();
	for (int i = 0; i < ITEMS; i++)
		add(&message, items[i].at, items[i].len);
	begin();
	for (size_t len = 0; len < message.len; len++) {
		spec = from_registrar(message.at, len);
		send_spec(&lab.gateway, &spec);
	}
	e.times = (unsigned int)message.len;
	judge("answer-cut-anywhere", e);
}

static void answer_senders(void)
{
	static struct bytes message;
	struct frame_spec spec;

	message.len = 0;
	add_message(&message, lab.form, &lab.self, hello, sizeof(hello), 0);

	begin();
	spec = from_registrar(message.at, message.len);
	frame_addr("2001:db8:2::53", spec.src);
	send_spec(&lab.gateway, &spec);
	judge("answer-from-another-address", REFUSED("not_registrar"));
	begin();
	spec = from_registrar(message.at, message.len);
	spec.sport = JPY_PORT + 100;
	send_spec(&lab.gateway, &spec);
	judge("answer-from-another-port", REFUSED("not_registrar"));
	begin();
	spec = from_registrar(message.at, message.len);
	spec.sport = ANY_PORT; /* the other service's Registrar */
	send_spec(&lab.gateway, &spec);
	judge("answer-from-another-service", REFUSED("not_registrar"));
	begin();
	spec = from_registrar(message.at, message.len);
	memcpy(spec.src, lab.pl_addr, 16);
	spec.src_mac = lab.pledge.mac;
	spec.dst_mac = lab.pj_mac;
	send_spec(&lab.pledge, &spec);
	judge("answer-from-a-pledge", REFUSED("not_registrar"));
	begin();
	spec = from_registrar(message.at, message.len);
	spec.src_mac = lab.pledge.mac;
	spec.dst_mac = lab.pj_mac;
	send_spec(&lab.pledge, &spec);
	judge("answer-spoofed-on-pledge-port", REFUSED("not_registrar"));
	begin();
	spec = from_registrar(message.at, message.len);
	memcpy(spec.dst, lab.pj_addr, 16);
	memcpy(spec.src, lab.pl_addr, 16);
	spec.src_mac = lab.pledge.mac;
	spec.dst_mac = lab.pj_mac;
	spec.sport = JPY_PORT;
	send_spec(&lab.pledge, &spec);
	judge("answer-to-link-local-address", REFUSED("not_registrar"));
}

static void answer_frames(void)
{
	static uint8_t content[3000];
	static struct bytes message;
	struct frame_spec spec;
	struct expect lied = { NOTHING, "length_mismatch", NULL, NULL, 0 };

	message.len = 0;
	add_message(&message, lab.form, &lab.self, hello, sizeof(hello), 0);
	for (int i = 0; i < 3; i++) {
		begin();
		spec = from_registrar(message.at, message.len);
		spec.ip_len_add = i == 0 ? 4 : 0;
		spec.udp_len_add = i == 1 ? 4 : i == 2 ? -(int)message.len - 1 : 0;
		send_spec(&lab.gateway, &spec);
		judge(i == 0   ? "answer-ip-too-long"
		      : i == 1 ? "answer-udp-too-long"
			       : "answer-udp-length-7",
		      lied);
	}
	begin();
	spec = from_registrar(message.at, message.len);
	spec.csum = FRAME_CSUM_ZERO;
	send_spec(&lab.gateway, &spec);
	judge("answer-checksum-zero", (struct expect){ NOTHING, "checksum_zero", NULL, NULL, 0 });
	begin();
	spec = from_registrar(message.at, message.len);
	spec.csum_xor = 0x1234;
	send_spec(&lab.gateway, &spec);
	judge("answer-checksum-wrong", wrong_csum(NULL, 1));
	begin();
	spec = from_registrar(message.at, message.len);
	spec.padding = 9;
	add(&expected, hello, sizeof(hello));
	send_spec(&lab.gateway, &spec);
	judge("answer-padded-frame", RELAYED_BY("padding"));

	chance_bytes(content, sizeof(content));
	message.len = 0;
	add_message(&message, lab.form, &lab.self, content, sizeof(content), 0);
	begin();
	add(&expected, content, sizeof(content));
	spec = from_registrar(message.at, message.len);
	send_fragmented(&lab.gateway, &spec);
	judge("answer-in-fragments", RELAYED_BY("fragment"));
	message.len = 0;
	add_message(&message, lab.form, &lab.self, NULL, 0, 0);
	begin();
	spec = from_registrar(message.at, message.len);
	send_spec(&lab.gateway, &spec);
	judge("answer-of-nothing", RELAYED); /* `expected` is empty, too */
}

static int run_cases(void)
{
	struct seen seen = { 0 };
	json_t *status;

	/* Wakes up neighbours on all sides. */
	for (int i = 0; i < 3; i++)
		if (good_ones(&seen))
			break;
	sources();
	lengths();
	checksums();
	fragments();
	extension_headers();
	contents();
	sizes();
	answers_of_any_form();
	if (lab.form == JPX_FORM_DRAFT21)
		answers_of_21();
	else if (lab.form == JPX_FORM_DRAFT01)
		answers_of_01();
	else
		answers_of_five();
	answers_cut_short();
	answer_senders();
	answer_frames();
	status = ask_jpd(lab.run_dir, "status");
	if (json_integer_value(json_object_get(json_object_get(status, "daemon"), "pid")) !=
	    lab.pid) {
		puts("not ok same-jpd");
		failures++;
	}
	json_decref(status);
	printf("# %d cases, %d failed\n", cases, failures);
	return failures != 0;
}

/* ---- fuzz ---------------------------------------------------------------------------------- */

static size_t mutate(uint8_t *p, size_t len, size_t cap)
{
	static const uint8_t telling[] = { 0x00, 0x01, 0x17, 0x18, 0x19, 0x1a, 0x1b,
					   0x1f, 0x20, 0x40, 0x50, 0x52, 0x58, 0x59,
					   0x5a, 0x5b, 0x5f, 0x7f, 0x80, 0x82, 0x85,
					   0x9b, 0x9f, 0xa0, 0xc0, 0xf6, 0xfe, 0xff };
	unsigned int rounds = 1 + chance_below(4);
	size_t at;

	while (rounds--) {
		at = len ? chance_below((unsigned int)len) : 0;
		switch (len ? chance_below(6) : 3) {
		case 0:
			p[at] ^= (uint8_t)(1U << chance_below(8));
			break;
		case 1:
			p[at] = telling[chance_below(sizeof(telling))];
			break;
		case 2:
			len = at;
			break;
		case 3: /* insert */
			if (len < cap) {
				memmove(p + at + 1, p + at, len - at);
				p[at] = telling[chance_below(sizeof(telling))];
				len++;
			}
			break;
		case 4: /* remove */
			memmove(p + at, p + at + 1, len - at - 1);
			len--;
			break;
		default: /* repeat what is there */
			if (2 * len <= cap && len < 200) {
				memcpy(p + len, p, len);
				len *= 2;
			}
		}
	}
	return len;
}

static unsigned int broken;

static void look_sane(const struct tap *tap, bool at_pledge)
{
	static uint8_t frame[65536];
	struct jpx_jpy_layout layout;
	const uint8_t *ip6 = frame + WIRE_ETH, *udp = ip6 + IP6_LEN;
	const uint8_t *src = at_pledge ? lab.pj_addr : lab.uplink_addr;
	size_t len, udp_len;
	bool sane;

	while ((len = tap_next(tap, frame, sizeof(frame)))) {
		if (len < WIRE_HEADERS || ip6[6] != 17 || memcmp(ip6 + 8, src, 16))
			continue;
		udp_len = get16(udp + 4);
		sane = udp_len == get16(ip6 + 4) && udp_len + IP6_LEN + WIRE_ETH == len &&
		       get16(udp + 6) != 0;
		if (at_pledge)
			sane &= get16(udp) == lab.join_port[0] && get16(ip6 + 24) == 0xfe80 &&
				get16(udp + 2) != 0;
		else
			sane &= get16(udp) == lab.uplink_port[0] && get16(udp + 2) == JPY_PORT &&
				!memcmp(ip6 + 24, lab.registrar_addr, 16) &&
				jpx_jpy_split(udp + UDP_LEN, udp_len - UDP_LEN, &layout) ==
					JPX_RELAY;
		if (sane || broken++ > 4)
			continue;
		printf("# nonsense at the %s:", at_pledge ? "pledge" : "gateway");
		for (size_t i = WIRE_ETH; i < len && i < 160; i++)
			printf("%02x", frame[i]);
		putchar('\n');
	}
}

static void fuzz_answer(void)
{
	uint8_t frame[FRAME_MAX], content[64];
	static struct bytes message;
	struct frame_spec spec;

	chance_bytes(content, sizeof(content));
	message.len = 0;
	add_message(&message, lab.form, &lab.self, content, chance_below(sizeof(content)),
		    chance_below(3));
	message.len = mutate(message.at, message.len, 1200);
	spec = from_registrar(message.at, message.len);
	tap_send(&lab.gateway, frame, frame_build(&spec, frame));
}

static void fuzz_frame(void)
{
	uint8_t frame[FRAME_MAX], content[200];
	struct frame_spec spec;
	size_t len;

	chance_bytes(content, sizeof(content));
	memcpy(content, hello, 13);
	spec = from_pledge(content, chance_below(sizeof(content)));
	if (chance_below(2)) {
		/* right but for one field */
		len = frame_build(&spec, frame);
		len = 12 + mutate(frame + 12, len - 12 < 60 ? len - 12 : 60, 1000);
	} else {
		spec.content_len = mutate(content, spec.content_len, 150);
		spec.sport = chance_below(2) ? PLEDGE_PORT : (uint16_t)chance();
		if (chance_below(2))
			put(spec.src + 8 + chance_below(7), chance(), 1);
		len = frame_build(&spec, frame);
	}
	tap_send(&lab.pledge, frame, len < WIRE_ETH ? WIRE_ETH : len);
}

static int run_fuzz(unsigned int count)
{
	struct seen seen = { 0 };
	json_t *status;
	bool good, fit;

	for (unsigned int i = 0; i < count; i++) {
		fuzz_answer();
		fuzz_frame();
		if (i % 64)
			continue;
		usleep(200);
		look_sane(&lab.gateway, false);
		look_sane(&lab.pledge, true);
		take_everything(&seen);
	}
	usleep(20000);
	look_sane(&lab.gateway, false);
	look_sane(&lab.pledge, true);
	take_everything(&seen);
	status = ask_jpd(lab.run_dir, "status");
	good = json_integer_value(json_object_get(json_object_get(status, "daemon"), "pid")) ==
	       lab.pid;
	json_decref(status);
	printf("# %u datagrams of them came out\n", seen.other);
	printf("%s fuzz-same-jpd\n", good ? "ok" : "not ok");
	printf("%s fuzz-nothing-senseless-came-out\n", broken ? "not ok" : "ok");
	printf("%s fuzz-something-came-out\n", seen.other > count / 100 ? "ok" : "not ok");
	/* At once: pledges that are not there must not keep out the one that is. */
	fit = good_ones(&seen);
	printf("%s fuzz-good-ones-at-once\n", fit ? "ok" : "not ok");
	good &= fit;
	return !good || broken || seen.other <= count / 100;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	wire_chance = 7;
	if (argc == 6 && !strcmp(argv[1], "cases")) {
		lab.lab = argv[2];
		lab.run_dir = argv[3];
		lab.xdp = !strcmp(argv[4], "xdp");
		lab.form = form_named(argv[5]);
		set_up();
		return run_cases();
	}
	if (argc == 6 && !strcmp(argv[1], "fuzz")) {
		lab.lab = argv[2];
		lab.run_dir = argv[3];
		lab.form = form_named(argv[4]);
		set_up();
		return run_fuzz((unsigned int)atoi(argv[5]));
	}
	fprintf(stderr, "usage: badinput cases LAB RUN_DIR xdp|socket FORM\n"
			"       badinput fuzz LAB RUN_DIR FORM COUNT\n");
	return 2;
}
