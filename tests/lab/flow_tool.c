/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What tests of stateful mode do that no other program does:
 *
 *   flow_tool table PIN_DIR            every slot that is not free, as JSON
 *   flow_tool flood [OPTION...] IF ADDR PORT    frames of many pledges out of IF, to
 *                                      ADDR and PORT at the interface with --mac
 *   flow_tool steady [OPTION...] TARGET    one pledge that asks again and again; how long
 *                                      the answers took
 *   flow_tool hold HOW IF ADDR PORT    a UDP socket that takes PORT, prints what comes; HOW is
 *                                      any, any6, any4, address, device or connected
 *   flow_tool send ADDR PORT TO PORT   one datagram
 *   flow_tool choose COUNT             COUNT sockets on ports of the kernel's choice: prints
 *                                      those ports
 *
 * flood sends from as many sources as it is told: from random ones (--random, always the
 * same for one --seed), or from --sources addresses, each from --ports UDP ports.  With --pin-dir
 * it watches the flows meanwhile.
 * For tests only: judges nothing.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>

#include "../../ctl/common/addr.h"
#include "flow_view.h"

#define BATCH	  32
#define LOOK_US	  20000 /* between two looks at the flows */
#define NO_ANSWER UINT64_MAX

static const uint8_t hello[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0,	   0,	 0,    0, 0, 17, 1, 2,
				 3,  4,	   5,	 6, 7, 8, 9, 0xab, 0xcd, 0xef, 0, 0, 0,	 0 };

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end || n > UINT32_MAX)
		die("\"%s\" is no number", text);
	return (unsigned int)n;
}

/* ---- table -------------------------------------------------------------------- */

static const char *state_name(unsigned int state)
{
	static const char *const names[] = { "free", "claimed", "live", "resting", "local" };

	return state < sizeof(names) / sizeof(*names) ? names[state] : "?";
}

static int table(const char *pin_dir)
{
	struct flow_view view;
	const char *comma = "";

	view_open(&view, "", "", pin_dir, 0, 0);
	if (!view.pinned)
		die("nothing is pinned under %s", pin_dir);
	printf("[");
	for (unsigned int i = 0; i < view.cfg.slots; i++) {
		const volatile struct jpx_flow *f = &view.flows[i];
		__u32 place = i / view.cfg.port_count;
		char addr[INET6_ADDRSTRLEN];
		struct jpx_uplink uplink;

		if (f->state == JPX_FLOW_FREE)
			continue;
		if (bpf_map_lookup_elem(view.maps.uplinks, &place, &uplink))
			die("cannot read the uplinks");
		inet_ntop(AF_INET6, uplink.addr, addr, sizeof(addr));
		printf("%s{\"slot\":%u,\"state\":\"%s\",\"pledge\":\"%016llx\",\"udp_port\":%u,"
		       "\"port_id\":%u,\"service_id\":%u,\"kind\":%u,\"uplink\":\"%s\","
		       "\"uplink_port\":%u,\"to_registrar\":%llu,\"to_pledge\":%llu}",
		       comma, i, state_name(f->state),
		       (unsigned long long)__builtin_bswap64(f->key.pledge), ntohs(f->key.udp_port),
		       f->key.port_id, f->key.service_id, f->key.kind, addr,
		       view.cfg.first_port + i % view.cfg.port_count,
		       (unsigned long long)f->to_registrar, (unsigned long long)f->to_pledge);
		comma = ",\n";
	}
	printf("]\n");
	return 0;
}

/* ---- flood --------------------------------------------------------------------- */

struct flood {
	struct tap tap;
	uint8_t dst[16];
	uint64_t mac;
	unsigned int port, sources, ports, rate;
	uint64_t base; /* the first source's interface identifier */
	bool random;
	struct flow_view view;
	unsigned int most; /* flows at once that were seen */
	unsigned int told; /* ICMPv6 errors that came back */
};

/* What source N sends. */
static void build(const struct flood *f, unsigned int n, struct frame_spec *spec)
{
	*spec = (struct frame_spec){
		.dst_mac = f->mac,
		.dport = (uint16_t)f->port,
		.content = hello,
		.content_len = sizeof(hello),
	};
	memcpy(spec->dst, f->dst, 16);
	put(spec->src, 0xfe80000000000000, 8);
	if (f->random) {
		put(spec->src + 8, chance(), 8);
		spec->src_mac = (chance() & 0xfcffffffffff) | 0x020000000000;
		spec->sport = (uint16_t)(1 + chance_below(65535));
	} else {
		put(spec->src + 8, f->base + n / f->ports, 8);
		spec->src_mac = 0x020000000000 | (f->base + n / f->ports) % 0x10000000;
		spec->sport = (uint16_t)(1 + n % f->ports);
	}
}

static void look(struct flood *f)
{
	static uint8_t frame[FRAME_MAX];
	unsigned int live;
	size_t len;

	while ((len = tap_next(&f->tap, frame, sizeof(frame))) != 0)
		f->told += len > WIRE_ETH + IP6_LEN && frame[WIRE_ETH + 6] == IPPROTO_ICMPV6 &&
			   frame[WIRE_ETH + IP6_LEN] == ICMP6_DST_UNREACH;
	if (!f->view.pinned)
		return;
	live = view_live(&f->view);
	f->most = live > f->most ? live : f->most;
}

static int flood(struct flood *f)
{
	static uint8_t frames[BATCH][256];
	unsigned int total = f->sources * f->ports, n = 0;
	uint64_t start = now_us(), looked = 0;
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];

	while (n < total) {
		unsigned int batch = total - n < BATCH ? total - n : BATCH;
		uint64_t due = start + (uint64_t)n * 1000000 / f->rate, now = now_us();

		if (now - looked > LOOK_US) {
			look(f);
			looked = now_us();
		}
		if (due > now)
			usleep((useconds_t)(due - now));
		memset(msgs, 0, sizeof(msgs));
		for (unsigned int i = 0; i < batch; i++, n++) {
			struct frame_spec spec;

			build(f, n, &spec);
			iov[i] = (struct iovec){ frames[i], frame_build(&spec, frames[i]) };
			msgs[i].msg_hdr.msg_iov = &iov[i];
			msgs[i].msg_hdr.msg_iovlen = 1;
		}
		for (unsigned int done = 0; done < batch;) {
			int sent = sendmmsg(f->tap.fd, msgs + done, batch - done, 0);

			if (sent < 0 && errno != EAGAIN && errno != ENOBUFS)
				die("cannot send: %s", strerror(errno));
			if (sent < 0)
				usleep(100);
			done += sent < 0 ? 0 : (unsigned int)sent;
		}
	}
	usleep(50000);
	look(f);
	printf("{\"frames\":%u,\"ms\":%llu,\"most\":%u,\"icmp\":%u}\n", total,
	       (unsigned long long)(now_us() - start) / 1000, f->most, f->told);
	return 0;
}

static uint64_t mac_from_text(const char *text)
{
	unsigned int b[6];
	uint64_t mac = 0;

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6)
		die("\"%s\" is no MAC", text);
	for (int i = 0; i < 6; i++)
		mac = mac << 8 | b[i];
	return mac;
}

static struct tap tap_here(const char *ifname)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) };
	int one = 1;
	struct tap tap;

	sll.sll_ifindex = (int)if_nametoindex(ifname);
	tap.mac = mac_of(ifname);
	tap.fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_IPV6));
	if (tap.fd < 0 ||
	    setsockopt(tap.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(tap.fd, (struct sockaddr *)&sll, sizeof(sll)))
		die("cannot tap %s: %s", ifname, strerror(errno));
	return tap;
}

static int flood_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "random", required_argument, NULL, 'r' },
		{ "sources", required_argument, NULL, 's' },
		{ "ports", required_argument, NULL, 'p' },
		{ "rate", required_argument, NULL, 'R' },
		{ "mac", required_argument, NULL, 'm' },
		{ "base", required_argument, NULL, 'b' },
		{ "pin-dir", required_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 'S' },
		{ 0 },
	};
	struct flood f = { .sources = 1, .ports = 1, .rate = 1000000, .base = 0x0000000d00000001 };
	const char *pin_dir = NULL;
	uint8_t base[16];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'r':
			f.random = true;
			f.sources = number(optarg);
			break;
		case 's':
			f.sources = number(optarg);
			break;
		case 'p':
			f.ports = number(optarg);
			break;
		case 'R':
			f.rate = number(optarg);
			break;
		case 'm':
			f.mac = mac_from_text(optarg);
			break;
		case 'b':
			frame_addr(optarg, base);
			f.base = get32(base + 8) * 0x100000000ULL + get32(base + 12);
			break;
		case 'd':
			pin_dir = optarg;
			break;
		case 'S':
			wire_chance = number(optarg);
			break;
		default:
			return 2;
		}
	if (argc - optind != 3)
		die("flood: which interface, to which address and port?");
	f.tap = tap_here(argv[optind]);
	frame_addr(argv[optind + 1], f.dst);
	f.port = number(argv[optind + 2]);
	if (pin_dir)
		view_open(&f.view, "", "", pin_dir, 0, 0);
	return flood(&f);
}

/* ---- steady -------------------------------------------------------------------- */

#define PARTS 10 /* of the time, each with a worst answer of its own */

struct steady {
	unsigned int ms, every_us, total, answered;
	struct sockaddr_in6 to;
	int fd;
	uint64_t *at;	       /* when a datagram was sent */
	uint64_t worst[PARTS]; /* how long an answer took, at most */
};

static void take(struct steady *s, unsigned int sent)
{
	uint8_t data[256];
	unsigned int n;
	ssize_t len;

	while ((len = recv(s->fd, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
		uint64_t took, *worst;

		if (len != sizeof(hello))
			continue;
		n = get32(data + sizeof(hello) - 4);
		if (n >= sent || s->at[n] == NO_ANSWER)
			continue;
		took = now_us() - s->at[n];
		s->at[n] = NO_ANSWER;
		s->answered++;
		worst = &s->worst[(uint64_t)n * PARTS / s->total];
		*worst = took > *worst ? took : *worst;
	}
}

/* First of the kernel's scheduler: what is measured is not how busy the machine is. */
static void hurry(void)
{
	struct sched_param param = { .sched_priority = 20 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		fprintf(stderr, "steady: no real-time priority: %s\n", strerror(errno));
}

static int steady(struct steady *s)
{
	uint8_t data[sizeof(hello)];
	uint64_t start;

	s->total = s->ms * 1000 / s->every_us;
	s->at = calloc(s->total, sizeof(*s->at));
	s->fd = socket(AF_INET6, SOCK_DGRAM, 0);
	if (!s->at || s->fd < 0 || connect(s->fd, (struct sockaddr *)&s->to, sizeof(s->to)))
		die("steady: %s", strerror(errno));
	memcpy(data, hello, sizeof(hello));
	hurry();
	start = now_us();
	for (unsigned int n = 0; n < s->total; n++) {
		uint64_t due = start + (uint64_t)n * s->every_us;

		for (uint64_t now = now_us(); now < due; now = now_us()) {
			struct timespec left = { .tv_nsec = (long)(due - now) * 1000 };

			ppoll(&(struct pollfd){ .fd = s->fd, .events = POLLIN }, 1, &left, NULL);
			take(s, n);
		}
		put(data + sizeof(hello) - 4, n, 4);
		s->at[n] = now_us();
		if (send(s->fd, data, sizeof(data), 0) < 0)
			fprintf(stderr, "steady: send: %s\n", strerror(errno));
	}
	for (start = now_us(); s->answered < s->total && now_us() < start + 500000;) {
		poll(&(struct pollfd){ .fd = s->fd, .events = POLLIN }, 1, 20);
		take(s, s->total);
	}
	printf("{\"sent\":%u,\"answered\":%u,\"worst_us\":[", s->total, s->answered);
	for (int i = 0; i < PARTS; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)s->worst[i]);
	printf("]}\n");
	free(s->at);
	return 0;
}

static int steady_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ms", required_argument, NULL, 'm' },
		{ "every-us", required_argument, NULL, 'e' },
		{ 0 },
	};
	struct steady s = { .ms = 1000, .every_us = 5000 };
	char err[160];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'm':
			s.ms = number(optarg);
			break;
		case 'e':
			s.every_us = number(optarg);
			break;
		default:
			return 2;
		}
	if (argc - optind != 1 || jpx_endpoint_parse(argv[optind], 0, &s.to, err, sizeof(err)))
		die("steady: where to?");
	return steady(&s);
}

/* ---- sockets of the proxy's host -------------------------------------------------- */

static void hold_bind(int fd, const char *how, const char *ifname, struct sockaddr_in6 *local,
		      struct sockaddr_in6 *peer)
{
	int v6only = !strcmp(how, "any6") || (strcmp(how, "any") && strcmp(how, "any4") &&
					      !IN6_IS_ADDR_V4MAPPED(&local->sin6_addr));

	if (!strncmp(how, "any", 3) || !strcmp(how, "device"))
		memset(&local->sin6_addr, 0, 16);
	if (!strcmp(how, "device"))
		v6only = 0;
	if (!strcmp(how, "any4"))
		local->sin6_addr.s6_addr32[2] = htonl(0xffff);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) ||
	    (!strcmp(how, "device") &&
	     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname))) ||
	    bind(fd, (struct sockaddr *)local, sizeof(*local)) ||
	    (!strcmp(how, "connected") && connect(fd, (struct sockaddr *)peer, sizeof(*peer))))
		die("hold: cannot take port %u (%s): %s", ntohs(local->sin6_port), how,
		    strerror(errno));
}

/* Prints the content's length of each datagram that comes, until it is killed. */
static int hold(const char *how, const char *ifname, const char *addr, const char *port)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6,
				      .sin6_port = htons((uint16_t)number(port)) };
	struct sockaddr_in6 peer = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char data[2048], mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(addr, ':') ? "" : "::ffff:", addr);
	if (fd < 0 || inet_pton(AF_INET6, mapped, &local.sin6_addr) != 1)
		die("hold: \"%s\": %s", addr, strerror(errno));
	/* The last byte less one: some other host of the link. */
	peer.sin6_addr = local.sin6_addr;
	peer.sin6_addr.s6_addr[15]--;
	hold_bind(fd, how, ifname, &local, &peer);
	printf("holding\n");
	fflush(stdout);
	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0)
			continue;
		printf("got %zd\n", n);
		fflush(stdout);
	}
}

static int send_one(char **argv)
{
	struct sockaddr_in6 sa[2] = { { .sin6_family = AF_INET6 }, { .sin6_family = AF_INET6 } };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), one = 1;

	for (int i = 0; i < 2; i++) {
		frame_addr(argv[2 * i], sa[i].sin6_addr.s6_addr);
		sa[i].sin6_port = htons((uint16_t)number(argv[2 * i + 1]));
	}
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&sa[0], sizeof(*sa)) ||
	    sendto(fd, hello, sizeof(hello), 0, (struct sockaddr *)&sa[1], sizeof(*sa)) < 0)
		die("send: %s", strerror(errno));
	return 0;
}

static int choose(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
		socklen_t len = sizeof(sa);
		int fd = socket(AF_INET6, SOCK_DGRAM, 0);

		if (fd < 0)
			die("choose: %s", strerror(errno));
		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
			return 0; /* none is left */
		if (getsockname(fd, (struct sockaddr *)&sa, &len))
			die("choose: %s", strerror(errno));
		printf("%u\n", ntohs(sa.sin6_port));
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "table") && argc == 3)
		return table(argv[2]);
	if (!strcmp(verb, "flood"))
		return flood_main(argc - 1, argv + 1);
	if (!strcmp(verb, "steady"))
		return steady_main(argc - 1, argv + 1);
	if (!strcmp(verb, "hold") && argc == 6)
		return hold(argv[2], argv[3], argv[4], argv[5]);
	if (!strcmp(verb, "send") && argc == 6)
		return send_one(argv + 2);
	if (!strcmp(verb, "choose") && argc == 3)
		return choose(number(argv[2]));
	fprintf(stderr, "usage: see the top of tests/lab/flow_tool.c\n");
	return 2;
}
