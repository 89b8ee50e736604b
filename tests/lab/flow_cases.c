/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cases of stateful mode that need a pledge and a Registrar that do what they are told
 * at a certain time: one process with sockets in several namespaces of the lab.
 *
 *   flow_cases CASE LAB RUN_DIR PIN_DIR FIRST COUNT
 *
 *   answers    from the wrong port, the wrong host, the wrong side: to nobody
 *   timers     of flows, with idle = 2, rest = 2 and COUNT = 4
 *   engines    one flow through both, where fragments are the socket engine's
 *   stale      opens flows, says "opened", waits for a line, and answers them then: to nobody;
 *   kept       likewise, but every answer must arrive, and the pledges keep their ports
 *   moved      likewise, answers may be lost, but the pledges must be served again
 *
 * Flows leave from COUNT ports from FIRST on.  The lab needs pledge port pj0 with one
 * service to [2001:db8:2::52]:5684, pledges' addresses fe80::c:0:1 ... on pl0, and 2001:db8:2::53
 * on rg0. Status 0 if all is as it should be; else it says on stdout, behind "# ", what is not.
 */
#include <netinet/icmp6.h>

#include "flow_view.h"

#define REGISTRAR_PORT 5684
#define WRONG_PORT     5685
#define OTHER_HOST     "2001:db8:2::53"
#define PLEDGES	       5
#define WAIT_MS	       1000 /* for what should come */
#define QUIET_MS       150  /* for what should not */
#define SMALL	       40
#define LARGE	       1400
#define HEAD	       13

static struct {
	struct flow_view view;
	struct sockaddr_in6 join; /* as seen by pledges */
	struct tap at_registrar, at_pledge;
	uint64_t pj_mac;
	int registrar, wrong_port, wrong_host;
} lab;

struct pledge {
	int fd;
	struct sockaddr_in6 uplink; /* where its datagrams came from at the Registrar */
	bool served;
};

static int wrongs;
static uint32_t last_nonce;

static bool wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static bool wrong(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	wrongs++;
	return false;
}

/* ---- ends --------------------------------------------------------------------- */

static int bound(const char *addr, unsigned int port, const char *ifname)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	frame_addr(addr, sa.sin6_addr.s6_addr);
	sa.sin6_scope_id = ifname ? if_nametoindex(ifname) : 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("cannot bind to [%s]:%u: %s", addr, port, strerror(errno));
	return fd;
}

static void set_up(const char *name, const char *run_dir, const char *pin_dir, unsigned int first,
		   unsigned int count)
{
	json_t *status = ask_jpd(run_dir, "status");
	json_t *port = json_array_get(json_object_get(status, "ports"), 0);
	json_t *join = json_array_get(json_object_get(port, "join_ports"), 0);

	view_open(&lab.view, name, run_dir, pin_dir, first, count);
	lab.join.sin6_family = AF_INET6;
	lab.join.sin6_port = htons((uint16_t)json_integer_value(json_object_get(join, "port")));
	frame_addr(json_string_value(json_object_get(port, "address")), lab.join.sin6_addr.s6_addr);
	json_decref(status);

	enter(name, "proxy");
	lab.pj_mac = mac_of("pj0");
	lab.at_registrar = tap_open(name, "registrar", "rg0");
	lab.registrar = bound(REGISTRAR_ADDR, REGISTRAR_PORT, NULL);
	lab.wrong_port = bound(REGISTRAR_ADDR, WRONG_PORT, NULL);
	lab.wrong_host = bound(OTHER_HOST, REGISTRAR_PORT, NULL);
	lab.at_pledge = tap_open(name, "pledge", "pl0");
	lab.join.sin6_scope_id = if_nametoindex("pl0");
}

/* Pledge N, counted from 1.  Its kernel knows the join port's MAC: not what is tested here. */
static struct pledge pledge_open(unsigned int n, unsigned int port)
{
	struct pledge p = { .fd = -1 };
	char addr[64];

	enter(lab.view.lab, "pledge");
	snprintf(addr, sizeof(addr), "fe80::c:0:%x", n);
	p.fd = bound(addr, port, "pl0");
	if (connect(p.fd, (struct sockaddr *)&lab.join, sizeof(lab.join)))
		die("cannot connect: %s", strerror(errno));
	return p;
}

/* ---- datagrams ------------------------------------------------------------------- */

/* A DTLS handshake record of LEN bytes with a number of its own at its end. */
static uint32_t build(uint8_t *data, size_t len)
{
	static const uint8_t head[HEAD] = { 22, 0xfe, 0xfd };

	memset(data, 0x5a, len);
	memcpy(data, head, sizeof(head));
	put(data + 11, len - HEAD, 2);
	put(data + len - 4, ++last_nonce, 4);
	return last_nonce;
}

static void pledge_sends(const struct pledge *p, const uint8_t *data, size_t len)
{
	/* An ICMP error of before is reported by the next call, and eats it. */
	if (send(p->fd, data, len, 0) < 0)
		send(p->fd, data, len, 0);
}

/* Takes what is there at FD: does datagram NONCE of LEN bytes come, within MS?  FROM: where from.
 */
static bool comes(int fd, uint32_t nonce, size_t len, int ms, struct sockaddr_in6 *from)
{
	uint64_t until = now_us() + (uint64_t)ms * 1000;
	uint8_t data[2048];

	for (;;) {
		socklen_t from_len = sizeof(*from);
		uint64_t now = now_us();
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)from, &from_len);

		if (n == (ssize_t)len && get16(data + n - 4) == nonce >> 16 &&
		    get16(data + n - 2) == (nonce & 0xffff))
			return true;
		if (n >= 0 || errno != EAGAIN)
			continue;
		if (now >= until)
			return false;
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1,
		     (int)((until - now) / 1000) + 1);
	}
}

static bool same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port && !memcmp(&a->sin6_addr, &b->sin6_addr, 16);
}

/* The pledge sends LEN bytes; do they arrive, and from the uplink of before, if there was one? */
static bool asks(struct pledge *p, size_t len, int ms)
{
	struct sockaddr_in6 from;
	uint8_t data[2048];
	uint32_t nonce = build(data, len);

	pledge_sends(p, data, len);
	if (!comes(lab.registrar, nonce, len, ms, &from))
		return false;
	if (p->served && !same(&from, &p->uplink))
		return wrong("a flow moved from port %u to %u", ntohs(p->uplink.sin6_port),
			     ntohs(from.sin6_port));
	p->uplink = from;
	p->served = true;
	return true;
}

/* FD at the Registrar answers the flow that was P's; does P get it within MS? */
static bool answered(const struct pledge *p, int fd, size_t len, int ms)
{
	struct sockaddr_in6 from;
	uint8_t data[2048];
	uint32_t nonce = build(data, len);

	if (sendto(fd, data, len, 0, (const struct sockaddr *)&p->uplink, sizeof(p->uplink)) < 0)
		die("the Registrar cannot send: %s", strerror(errno));
	return comes(p->fd, nonce, len, ms, &from);
}

/* ICMPv6 errors that came to the Registrar since last asked. */
static unsigned int errors_at_registrar(void)
{
	static uint8_t frame[FRAME_MAX];
	unsigned int n = 0;
	size_t len;

	while ((len = tap_next(&lab.at_registrar, frame, sizeof(frame))) != 0)
		n += len > WIRE_ETH + IP6_LEN && frame[WIRE_ETH + 6] == IPPROTO_ICMPV6 &&
		     frame[WIRE_ETH + IP6_LEN] < 128;
	return n;
}

/* Opens flows for pledges 1 to N. */
static bool open_flows(struct pledge *pledges, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		pledges[i] = pledge_open(i + 1, 40000 + i);
		if (!asks(&pledges[i], SMALL, WAIT_MS))
			return wrong("pledge %u's first datagram did not arrive", i + 1);
		for (unsigned int j = 0; j < i; j++)
			if (same(&pledges[i].uplink, &pledges[j].uplink))
				return wrong("two flows on one port");
	}
	return true;
}

/* ---- answers from wrong places ------------------------------------------------------ */

static void not_delivered(const char *what, const struct pledge *p, int fd, enum jpx_drop reason)
{
	uint64_t before = reason ? view_drops(&lab.view, reason) : 0, after;

	if (answered(p, fd, SMALL, QUIET_MS))
		wrong("%s: was delivered", what);
	if (!reason)
		return;
	after = view_drops(&lab.view, reason);
	if (after != before + 1)
		wrong("%s: counted %llu times", what, (unsigned long long)(after - before));
}

/* As if the Registrar were on the pledges' link. */
static void spoofed(const struct pledge *p)
{
	uint64_t before = view_drops(&lab.view, JPX_DROP_NOT_REGISTRAR), after;
	uint8_t data[SMALL], frame[FRAME_MAX];
	uint32_t nonce = build(data, sizeof(data));
	struct frame_spec spec = {
		.dst_mac = lab.pj_mac,
		.src_mac = lab.at_pledge.mac,
		.sport = REGISTRAR_PORT,
		.dport = ntohs(p->uplink.sin6_port),
		.content = data,
		.content_len = sizeof(data),
	};
	struct sockaddr_in6 from;

	frame_addr(REGISTRAR_ADDR, spec.src);
	memcpy(spec.dst, &p->uplink.sin6_addr, 16);
	tap_send(&lab.at_pledge, frame, frame_build(&spec, frame));
	if (comes(p->fd, nonce, sizeof(data), QUIET_MS, &from))
		wrong("from the pledges' side: was delivered");
	after = view_drops(&lab.view, JPX_DROP_NOT_REGISTRAR);
	if (after != before + 1)
		wrong("from the pledges' side: counted %llu times",
		      (unsigned long long)(after - before));
}

static void answers(void)
{
	struct pledge pledges[2], nobody;

	if (!open_flows(pledges, 2))
		return;
	not_delivered("right host, wrong port", &pledges[0], lab.wrong_port,
		      JPX_DROP_NOT_REGISTRAR);
	/* Where the flow has no socket of its own the kernel finds none, and says so to that host.
	 */
	not_delivered("right port, wrong host", &pledges[0], lab.wrong_host,
		      lab.view.pinned ? 0 : JPX_DROP_NOT_REGISTRAR);
	spoofed(&pledges[0]);
	nobody = pledges[0];
	do
		nobody.uplink.sin6_port =
			htons((uint16_t)(lab.view.first +
					 (ntohs(nobody.uplink.sin6_port) + 1) % lab.view.count));
	while (same(&nobody.uplink, &pledges[0].uplink) ||
	       same(&nobody.uplink, &pledges[1].uplink));
	not_delivered("to a port without a flow", &nobody, lab.registrar, 0);
	for (unsigned int i = 0; i < 2; i++)
		if (!answered(&pledges[i], lab.registrar, SMALL, WAIT_MS))
			wrong("pledge %u gets no answers any more", i + 1);
	if (view_live(&lab.view) != 2)
		wrong("%u flows", view_live(&lab.view));
}

/* ---- timers --------------------------------------------------------------------------- */

#define IDLE_US	 2000000
#define REST_US	 2000000
#define SWEEP_US 1300000 /* about a second, and a busy machine */
#define EVERY_US 250000
#define LATE_US	 100000
#define STALL_US 700000 /* too late with what keeps flows alive for anything to be said */

/* When what was seen, from the last packet of the flows that have none any more. */
struct timeline {
	uint64_t start, stir; /* last packet; next one of those that live */
	uint64_t four, two;   /* four flows were last seen, two first */
	uint64_t newcomer;
	bool late, later;
};

/* A pledge's packets alone keep the first flow, the Registrar's alone the second. */
static void stir(struct timeline *t, struct pledge *pledges)
{
	if (now_us() < t->stir)
		return;
	if (!wrongs && t->stir && now_us() > t->stir + STALL_US) {
		printf("# the machine stood still for %llu ms\n",
		       (unsigned long long)(now_us() - t->stir) / 1000);
		exit(3);
	}
	t->stir = now_us() + EVERY_US;
	if (!asks(&pledges[0], SMALL, WAIT_MS))
		wrong("after %llu ms the pledge that talks is not served",
		      (unsigned long long)(now_us() - t->start) / 1000);
	if (!answered(&pledges[1], lab.registrar, SMALL, WAIT_MS))
		wrong("after %llu ms the pledge that listens gets nothing",
		      (unsigned long long)(now_us() - t->start) / 1000);
}

static void count(struct timeline *t)
{
	uint64_t before = now_us();
	unsigned int live = view_live(&lab.view);

	/* The newcomer may have its flow while one of the two others is not swept. */
	if (live == 4 && !t->newcomer)
		t->four = before;
	/* Without BPF a flow's socket stays while its port rests: nothing is to be seen. */
	if (!lab.view.pinned && now_us() > t->start + IDLE_US + SWEEP_US)
		t->two = t->start + IDLE_US + SWEEP_US;
	else if (live == 2 && !t->two)
		t->two = now_us();
}

/* One that has to wait for a port. */
static void newcomer(struct timeline *t, struct pledge *p)
{
	if (!t->newcomer && asks(p, SMALL, 3))
		t->newcomer = now_us();
}

/* The Registrar answers a flow that is over: to nobody, and it hears nothing of it. */
static void answer_late(const char *when, const struct pledge *p)
{
	uint64_t before = view_drops(&lab.view, JPX_DROP_NO_FLOW), after;

	errors_at_registrar();
	if (answered(p, lab.registrar, SMALL, 20))
		wrong("%s: an answer was delivered", when);
	after = view_drops(&lab.view, JPX_DROP_NO_FLOW);
	if (after != before + 1)
		wrong("%s: an answer was counted %llu times", when,
		      (unsigned long long)(after - before));
	if (errors_at_registrar())
		wrong("%s: an answer met an ICMPv6 error", when);
}

/* When its time is over, though perhaps nobody has looked; and when it has been ended. */
static void late(struct timeline *t, const struct pledge *p)
{
	if (!t->late && now_us() > t->start + IDLE_US + LATE_US) {
		t->late = true;
		answer_late("just over", p);
	}
	if (!t->later && t->two && now_us() > t->two + LATE_US) {
		t->later = true;
		answer_late("ended", p);
	}
}

static void timers(void)
{
	struct pledge pledges[PLEDGES];
	struct timeline t = { 0 };
	uint64_t until;

	if (!open_flows(pledges, 4))
		return;
	pledges[4] = pledge_open(5, 40004);
	t.start = now_us();
	until = t.start + IDLE_US + SWEEP_US + REST_US + 500000;
	while (now_us() < until && !(t.newcomer && t.two && t.later)) {
		stir(&t, pledges);
		count(&t);
		newcomer(&t, &pledges[4]);
		late(&t, &pledges[2]);
	}
	if (t.two && !t.newcomer)
		wrong("no newcomer got the port of a flow that is over");
	if (!t.two)
		wrong("%u flows after %llu ms", view_live(&lab.view),
		      (unsigned long long)(now_us() - t.start) / 1000);
	if (lab.view.pinned)
		printf("# silent flows ended after %llu to %llu ms\n",
		       (unsigned long long)(t.four - t.start) / 1000,
		       (unsigned long long)(t.two - t.start) / 1000);
	printf("# a port was free after %llu ms\n",
	       (unsigned long long)(t.newcomer - t.start) / 1000);
	if (t.two && t.two < t.start + IDLE_US)
		wrong("a flow ended before its time");
	if (t.two > t.start + IDLE_US + SWEEP_US)
		wrong("flows did not end");
	if (t.newcomer &&
	    t.newcomer < (lab.view.pinned ? t.four + REST_US : t.start + IDLE_US + REST_US))
		wrong("the port did not rest: the flow lived until %llu ms",
		      (unsigned long long)(t.four - t.start) / 1000);
	if (t.newcomer && !same(&pledges[4].uplink, &pledges[2].uplink) &&
	    !same(&pledges[4].uplink, &pledges[3].uplink))
		wrong("the newcomer's port was nobody's before");
}

/* ---- engines -------------------------------------------------------------------------- */

static uint64_t packets(const char *engine)
{
	json_t *stats = ask_jpd(lab.view.run_dir, "stats");
	uint64_t n = (uint64_t)json_integer_value(
		json_object_get(json_object_get(stats, engine), "packets"));

	json_decref(stats);
	return n;
}

/* Sends LEN bytes each way and says whether ENGINE alone relayed them. */
static void both_ways(struct pledge *p, size_t len, const char *engine)
{
	uint64_t before = packets(engine), after;

	if (!asks(p, len, WAIT_MS))
		wrong("%zu bytes: not relayed", len);
	else if (!answered(p, lab.registrar, len, WAIT_MS))
		wrong("%zu bytes: no answer", len);
	after = packets(engine);
	if (after != before + 2)
		wrong("%zu bytes each way: %llu by %s", len, (unsigned long long)(after - before),
		      engine);
}

static void engines(void)
{
	struct pledge large_first = pledge_open(1, 40000), small_first = pledge_open(2, 40001);

	both_ways(&large_first, LARGE, "socket");
	both_ways(&large_first, SMALL, "fast_path");
	both_ways(&small_first, SMALL, "fast_path");
	both_ways(&small_first, LARGE, "socket");
	both_ways(&small_first, SMALL, "fast_path");
	both_ways(&large_first, LARGE, "socket");
	if (same(&large_first.uplink, &small_first.uplink))
		wrong("two flows on one port");
	if (view_live(&lab.view) != 2)
		wrong("%u flows", view_live(&lab.view));
}

/* ---- something happens in between ------------------------------------------------------- */

static void wait_for_line(void)
{
	char line[16];

	printf("opened\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		die("nobody says that it happened");
}

static void stale(void)
{
	struct pledge pledges[3];

	if (!open_flows(pledges, 3))
		return;
	wait_for_line();
	for (unsigned int i = 0; i < 3; i++)
		if (answered(&pledges[i], lab.registrar, SMALL, QUIET_MS))
			wrong("the flow of before is served");
	if (lab.view.pinned && view_live(&lab.view))
		wrong("%u flows live", view_live(&lab.view));
}

static void kept(void)
{
	struct pledge pledges[3];

	if (!open_flows(pledges, 3))
		return;
	wait_for_line();
	for (unsigned int i = 0; i < 3; i++) {
		if (!answered(&pledges[i], lab.registrar, SMALL, WAIT_MS))
			wrong("pledge %u gets no answer", i + 1);
		if (!asks(&pledges[i], SMALL, WAIT_MS))
			wrong("pledge %u is not served", i + 1);
	}
}

static void moved(void)
{
	uint64_t until, start;
	struct pledge pledges[3];
	unsigned int n = 0;

	if (!open_flows(pledges, 3))
		return;
	wait_for_line();
	start = now_us();
	for (until = start + 5000000; n < 3 && now_us() < until;) {
		pledges[n].served = false;
		n += asks(&pledges[n], SMALL, 50) &&
		     answered(&pledges[n], lab.registrar, SMALL, 50);
	}
	printf("# served again after %llu ms\n", (unsigned long long)(now_us() - start) / 1000);
	if (n < 3)
		wrong("pledge %u is not served again", n + 1);
	if (lab.view.pinned && view_live(&lab.view) != 3)
		wrong("%u flows", view_live(&lab.view));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "answers", answers }, { "timers", timers }, { "engines", engines },
		{ "stale", stale },	{ "kept", kept },     { "moved", moved },
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc == 7 && i < sizeof(cases) / sizeof(*cases); i++) {
		if (strcmp(argv[1], cases[i].name))
			continue;
		set_up(argv[2], argv[3], argv[4], (unsigned int)atoi(argv[5]),
		       (unsigned int)atoi(argv[6]));
		cases[i].run();
		return wrongs != 0;
	}
	fprintf(stderr, "usage: see the top of tests/lab/flow_cases.c\n");
	return 2;
}
