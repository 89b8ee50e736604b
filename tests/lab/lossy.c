/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Makes an interface lose UDP datagrams and send them out of order, for kernels that
 * have no netem:
 *
 *   lossy IF --loss PERCENT --reorder PERCENT [--seed N]
 *
 * Says "lossy: on IF" on stderr when it is in effect, and stays until SIGTERM or
 * SIGINT; then takes off what it made and prints {"passed":N,"lost":N,"reordered":N}:
 * each datagram (a fragment counts as one) is exactly one of them.
 *
 * lossy.bpf.c decides.  What is to come late it hands over, and it is sent from here
 * through a packet socket when 1 to 3 others have gone by, or after 20 ms.  In a quick
 * burst more than 3 may: this process takes its time to run.  A datagram that nothing
 * overtook within 20 ms counts as passed.
 *
 * What XDP redirects never comes by tc: of use at the far ends of the proxy's links,
 * never on the proxy's own.  Must never change a byte of what it holds.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lossy.h"
#include "lossy.skel.h"

#define HOLD_MS	     20
#define LOOK_MS	     100 /* how long a signal may go unnoticed */
#define EVENT_PAGES  256 /* a CPU */
#define UDP_CSUM_OFF 6

struct held {
	TAILQ_ENTRY(held) entry;
	uint64_t due_ms;
	struct lossy_event event;
	uint8_t frame[];
};

struct lossy {
	/* settings */
	const char *ifname;
	uint64_t loss, reorder, seed;
	/* what it made */
	int ifindex, packet_fd;
	size_t l2_len;
	struct lossy_bpf *skel;
	struct perf_buffer *events;
	struct bpf_tc_hook hook;
	struct bpf_tc_opts filter;
	bool made_qdisc;
	/* what it holds, oldest first */
	TAILQ_HEAD(, held) waiting;
	uint64_t reordered, late, failed;
};

static volatile sig_atomic_t ending;

static void on_signal(int signal)
{
	(void)signal;
	ending = 1;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- sending on ------------------------------------------------------------- */

static uint32_t sum_of(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

/*
 * Where UDP begins in FRAME if its checksum is still the kernel's to compute (the
 * field holds the sum of the pseudo-header only), else 0.  One finished checksum in
 * 65535 looks the same; computing that one again gives the same.
 */
static size_t unfinished_udp(const struct lossy *l, const struct held *h)
{
	const uint8_t *ip = h->frame + l->l2_len, *udp;
	size_t len = h->event.len - l->l2_len, hlen;
	uint32_t sum;

	if (h->event.proto == htons(ETH_P_IP)) {
		hlen = (size_t)(ip[0] & 15) * 4;
		if (len < 20 || ip[6] & 0x3f || ip[7])
			return 0; /* a fragment */
		sum = sum_of(ip + 12, 8);
	} else {
		hlen = 40;
		if (len < hlen || ip[6] != IPPROTO_UDP)
			return 0;
		sum = sum_of(ip + 8, 32);
	}
	if (len < hlen + 8)
		return 0;
	udp = ip + hlen;
	sum += IPPROTO_UDP + sum_of(udp + 4, 2);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum_of(udp + UDP_CSUM_OFF, 2) == sum ? l->l2_len + hlen : 0;
}

static void send_on(struct lossy *l, struct held *h)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = h->event.proto,
		.sll_ifindex = l->ifindex,
	};
	struct virtio_net_hdr vnet = { 0 };
	struct iovec iov[] = { { &vnet, sizeof(vnet) }, { h->frame, h->event.len } };
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2
	};
	size_t udp = unfinished_udp(l, h);

	if (udp) {
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = (uint16_t)udp;
		vnet.csum_offset = UDP_CSUM_OFF;
	}
	if (sendmsg(l->packet_fd, &msg, 0) < 0) {
		fprintf(stderr, "lossy: a held datagram of %u bytes is lost: %s\n", h->event.len,
			strerror(errno));
		l->failed++;
	} else if (l->skel->bss->lossy_passed > h->event.passed) {
		l->reordered++;
	} else {
		l->late++;
	}
	__atomic_fetch_sub(&l->skel->bss->lossy_held, 1, __ATOMIC_RELAXED);
	TAILQ_REMOVE(&l->waiting, h, entry);
	free(h);
}

/* Those that have waited enough, or ALL. */
static void send_due(struct lossy *l, bool all)
{
	uint64_t now = now_ms(), passed = l->skel->bss->lossy_passed;
	struct held *h, *next;

	for (h = TAILQ_FIRST(&l->waiting); h; h = next) {
		next = TAILQ_NEXT(h, entry);
		if (all || passed >= h->event.passed + h->event.wait || now >= h->due_ms)
			send_on(l, h);
	}
}

static void on_event(void *arg, int cpu, void *data, uint32_t size)
{
	struct lossy *l = arg;
	struct lossy_event event;
	struct held *h;

	(void)cpu;
	if (size < sizeof(event))
		return;
	memcpy(&event, data, sizeof(event)); /* it need not be aligned */
	if (!event.len || size < sizeof(event) + event.len)
		return;
	h = malloc(sizeof(*h) + event.len);
	if (!h) {
		perror("lossy");
		exit(1);
	}
	h->due_ms = now_ms() + HOLD_MS;
	h->event = event;
	memcpy(h->frame, (uint8_t *)data + sizeof(event), event.len);
	TAILQ_INSERT_TAIL(&l->waiting, h, entry);
}

/* Only news can be lost here: for a datagram that does not fit the program is told so. */
static void on_lost_events(void *arg, int cpu, __u64 count)
{
	(void)arg;
	(void)cpu;
	(void)count;
}

static int until_due(const struct lossy *l)
{
	const struct held *h = TAILQ_FIRST(&l->waiting);
	uint64_t now = now_ms();

	if (!h)
		return LOOK_MS;
	return h->due_ms > now ? (int)(h->due_ms - now) : 0;
}

/* ---- on and off ------------------------------------------------------------------ */

static int fail(const char *what, int err)
{
	fprintf(stderr, "lossy: %s: %s\n", what, strerror(err < 0 ? -err : err));
	return -1;
}

static int open_packet_socket(struct lossy *l)
{
	struct ifreq ifr = { 0 };
	uint32_t mark = LOSSY_MARK;
	int one = 1;

	/* Protocol 0: it only sends. */
	l->packet_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (l->packet_fd < 0)
		return fail("packet socket", errno);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", l->ifname);
	if (ioctl(l->packet_fd, SIOCGIFHWADDR, &ifr))
		return fail(l->ifname, errno);
	l->l2_len = ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER ? ETHER_HDR_LEN : 0;
	if (setsockopt(l->packet_fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(l->packet_fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		return fail("packet socket", errno);
	return 0;
}

static int load(struct lossy *l)
{
	l->skel = lossy_bpf__open();
	if (!l->skel)
		return fail("BPF program", errno);
	l->skel->rodata->lossy_seed = l->seed;
	l->skel->rodata->lossy_loss = l->loss;
	l->skel->rodata->lossy_reorder = l->reorder;
	if (lossy_bpf__load(l->skel))
		return fail("BPF program (are we root?)", errno);
	l->events = perf_buffer__new(bpf_map__fd(l->skel->maps.lossy_events), EVENT_PAGES, on_event,
				     on_lost_events, l, NULL);
	return l->events ? 0 : fail("perf buffer", errno);
}

static int attach(struct lossy *l)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL); /* that it may exist is no news */
	int err;

	l->hook = (struct bpf_tc_hook){ .sz = sizeof(l->hook),
					.ifindex = l->ifindex,
					.attach_point = BPF_TC_EGRESS };
	err = bpf_tc_hook_create(&l->hook);
	libbpf_set_print(print);
	if (err && err != -EEXIST)
		return fail("clsact", err);
	l->made_qdisc = !err;
	l->filter = (struct bpf_tc_opts){ .sz = sizeof(l->filter),
					  .prog_fd = bpf_program__fd(l->skel->progs.lossy_egress) };
	err = bpf_tc_attach(&l->hook, &l->filter);
	if (err)
		fail("tc filter", err);
	return err;
}

static int detach(struct lossy *l)
{
	struct bpf_tc_opts which = { .sz = sizeof(which),
				     .handle = l->filter.handle,
				     .priority = l->filter.priority };
	int err = l->filter.handle ? bpf_tc_detach(&l->hook, &which) : 0;

	if (err)
		fail("cannot take the tc filter off", err);
	if (!l->made_qdisc)
		return err;
	/* With one direction only libbpf leaves the qdisc. */
	l->hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (bpf_tc_hook_destroy(&l->hook))
		err = fail("cannot take clsact off", errno);
	return err;
}

/* Nothing that is held may stay behind. */
static void send_rest(struct lossy *l)
{
	uint32_t mark = 0; /* nobody would take it off any more */

	usleep(HOLD_MS * 1000); /* a CPU may be in the program yet */
	setsockopt(l->packet_fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	perf_buffer__consume(l->events);
	send_due(l, true);
}

static int run(struct lossy *l)
{
	int err;

	if (open_packet_socket(l) || load(l))
		return 1;
	err = attach(l);
	if (!err)
		fprintf(stderr, "lossy: on %s\n", l->ifname);
	while (!err && !ending) {
		err = perf_buffer__poll(l->events, until_due(l));
		if (err < 0 && err != -EINTR)
			fail("perf buffer", err);
		else
			err = 0;
		send_due(l, false);
	}
	if (detach(l))
		err = 1;
	send_rest(l);
	if (l->skel->bss->lossy_unfit)
		fprintf(stderr, "lossy: %llu that should have come late could not be held\n",
			(unsigned long long)l->skel->bss->lossy_unfit);
	printf("{\"passed\":%llu,\"lost\":%llu,\"reordered\":%llu}\n",
	       (unsigned long long)(l->skel->bss->lossy_passed + l->late),
	       (unsigned long long)(l->skel->bss->lossy_lost + l->failed),
	       (unsigned long long)l->reordered);
	return err != 0;
}

/* ---- command line ---------------------------------------------------------------- */

enum { OPT_LOSS = 256, OPT_REORDER, OPT_SEED };

static const struct argp_option options[] = {
	{ "loss", OPT_LOSS, "PERCENT", 0, "So many are lost (0)", 0 },
	{ "reorder", OPT_REORDER, "PERCENT", 0, "So many of the others come late (0)", 0 },
	{ "seed", OPT_SEED, "N", 0, "The same seed, the same losses (1)", 0 },
	{ 0 },
};

static uint64_t parse_percent(struct argp_state *state, const char *option, const char *arg)
{
	double percent;
	char *end;

	percent = strtod(arg, &end);
	if (end == arg || *end || !(percent >= 0 && percent <= 100))
		argp_error(state, "%s: \"%s\" is no number from 0 to 100", option, arg);
	return (uint64_t)(percent / 100 * 4294967296.0);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct lossy *l = state->input;
	char *end;

	switch (key) {
	case OPT_LOSS:
		l->loss = parse_percent(state, "--loss", arg);
		break;
	case OPT_REORDER:
		l->reorder = parse_percent(state, "--reorder", arg);
		break;
	case OPT_SEED:
		errno = 0;
		l->seed = strtoull(arg, &end, 0);
		if (*arg < '0' || *arg > '9' || *end || errno)
			argp_error(state, "--seed: \"%s\" is no number", arg);
		break;
	case ARGP_KEY_ARG:
		if (l->ifname)
			argp_error(state, "\"%s\": one interface only", arg);
		l->ifname = arg;
		l->ifindex = (int)if_nametoindex(arg);
		if (!l->ifindex)
			argp_error(state, "there is no interface \"%s\"", arg);
		break;
	case ARGP_KEY_END:
		if (!l->ifname)
			argp_error(state, "which interface?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse_option,
		"IF",
		"Makes interface IF lose UDP datagrams and send them out of order, until SIGTERM.",
		NULL,
		NULL,
		NULL
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct lossy l = { .seed = 1, .packet_fd = -1 };
	int status;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &l);
	TAILQ_INIT(&l.waiting);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	status = run(&l);
	perf_buffer__free(l.events);
	lossy_bpf__destroy(l.skel);
	close(l.packet_fd);
	return status;
}
