/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many pledges in one process: sockets on many link-local addresses of one interface,
 * each connected to the join port, that send numbered probes and judge what comes back.
 *
 *   crowd --pledges N [OPTION...] TARGET    [ADDR%IF]:PORT, A.B.C.D:PORT or, with the
 *                                           interface, [::ffff:A.B.C.D%IF]:PORT
 *   crowd --batch IF --pledges N [--base ADDR]
 *       prints for `ip -batch` what adds the addresses; makes none itself
 *
 * Pledge i has the address base + i, added to the last 32 bits.  Prints one JSON
 * object at the end, or at SIGTERM what there is until then:
 *   sockets      that were opened
 *   sent         probes that the kernel took
 *   answered     of them: came back whole, to the socket that had sent them
 *   duplicate    came back once more
 *   wrong        is another socket's, or altered, or never asked for
 *   served       sockets that had an answer
 *   after_hold   sent and answered of the round after --hold (null without)
 *   refused      errors by name, one for each ICMP error and each refused send().
 *                Every one that the kernel knows (RECVERR), so more than a socket
 *                without that option would be told.
 * The kernel that answers needs a neighbour for each pledge: beyond gc_thresh3 (1024 by
 * default, of all namespaces together) it refuses to send.
 *
 * The exit status says only whether it could run: what the figures should be is the
 * test's to say.
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* behind time.h, which it needs */

#include "probe.h"

#define BASE_V6	   "fe80::c:0:1"
#define BASE_V4	   "169.254.1.1"
#define OTHER_FDS  32
#define EVENTS	   64
#define LOOK_EVERY 32 /* sends, however late we are: sockets' queues are small */
#define TRIES	   8
#define GRACE_NS   50000000
#define ERRNO_MAX  134
#define MAX_SIDES  60000

/* What of one socket, what of one round. */
enum { SEEN_SENT = 1, SEEN_ANSWERED = 2 };

struct settings {
	struct sockaddr_in6 target;
	struct in6_addr base;
	const char *batch;
	unsigned int pledges, per_pledge, rounds, rate, hold, size, timeout;
	bool have_base, no_fragment;
};

struct crowd {
	struct settings set;
	uint32_t run;
	unsigned int sockets, rounds; /* rounds: with the one after the hold */
	unsigned int sends;
	int epoll, *fds;
	uint8_t *seen; /* SEEN_*, by socket and round */
	uint64_t sent, answered, duplicate, wrong, icmp_errors;
	uint64_t refused[ERRNO_MAX];
};

static volatile sig_atomic_t ending;

static void on_signal(int signal)
{
	(void)signal;
	ending = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool is_v4(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_V4MAPPED(addr);
}

static struct in6_addr pledge_address(const struct settings *set, unsigned int pledge)
{
	struct in6_addr addr = set->base;

	addr.s6_addr32[3] = htonl(ntohl(addr.s6_addr32[3]) + pledge);
	return addr;
}

static const char *address_text(const struct in6_addr *addr, char buf[INET6_ADDRSTRLEN])
{
	if (is_v4(addr))
		inet_ntop(AF_INET, &addr->s6_addr32[3], buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, addr, buf, INET6_ADDRSTRLEN);
	return buf;
}

static void print_batch(const struct settings *set)
{
	char text[INET6_ADDRSTRLEN];

	for (unsigned int i = 0; i < set->pledges; i++) {
		struct in6_addr addr = pledge_address(set, i);

		printf("addr add %s/%s dev %s\n", address_text(&addr, text),
		       is_v4(&addr) ? "16" : "64 nodad", set->batch);
	}
}

/* ---- sockets ------------------------------------------------------------------ */

static void allow_descriptors(unsigned int sockets)
{
	struct rlimit limit = { .rlim_cur = sockets + OTHER_FDS, .rlim_max = sockets + OTHER_FDS };
	struct rlimit is;

	if (getrlimit(RLIMIT_NOFILE, &is))
		probe_die("limit of open files");
	if (is.rlim_cur >= limit.rlim_cur)
		return;
	if (is.rlim_max > limit.rlim_max)
		limit.rlim_max = is.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		fprintf(stderr, "crowd: %u sockets exceed the limit of open files, %llu: %s\n",
			sockets, (unsigned long long)is.rlim_max, strerror(errno));
		exit(1);
	}
}

static void set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		probe_die("socket option");
}

/* IPv4 goes through IPv6 sockets: one code for both. */
static int open_one(const struct settings *set, unsigned int pledge)
{
	struct sockaddr_in6 local = {
		.sin6_family = AF_INET6,
		.sin6_addr = pledge_address(set, pledge),
		.sin6_scope_id = set->target.sin6_scope_id,
	};
	bool v4 = is_v4(&local.sin6_addr);
	char text[INET6_ADDRSTRLEN];
	int fd;

	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		probe_die("socket");
	set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (v4)
		set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
	if (set->no_fragment && v4)
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	else if (set->no_fragment)
		set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	if (set->target.sin6_scope_id)
		set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)set->target.sin6_scope_id);
	if (bind(fd, (struct sockaddr *)&local, sizeof(local))) {
		fprintf(stderr, "crowd: bind to %s: %s (is it on the interface? See --batch)\n",
			address_text(&local.sin6_addr, text), strerror(errno));
		exit(1);
	}
	if (connect(fd, (const struct sockaddr *)&set->target, sizeof(set->target)))
		probe_die("connect");
	return fd;
}

static void open_all(struct crowd *c)
{
	allow_descriptors(c->sockets);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->fds = calloc(c->sockets, sizeof(*c->fds));
	c->seen = calloc(c->sockets, c->rounds);
	if (c->epoll < 0 || !c->fds || !c->seen)
		probe_die("sockets");
	for (unsigned int i = 0; i < c->sockets; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		c->fds[i] = open_one(&c->set, i % c->set.pledges);
		if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->fds[i], &event))
			probe_die("epoll");
	}
}

/* ---- what comes back ------------------------------------------------------------ */

static uint8_t *seen_of(const struct crowd *c, unsigned int sock, unsigned int round)
{
	return &c->seen[(size_t)sock * c->rounds + round];
}

static void judge(struct crowd *c, unsigned int sock, const uint8_t *data, size_t len)
{
	struct probe_name name;
	uint8_t *seen = NULL;

	if (len == c->set.size && probe_read(data, len, &name) && name.run == c->run &&
	    name.socket == sock && name.seq < c->rounds)
		seen = seen_of(c, sock, name.seq);
	if (!seen || !(*seen & SEEN_SENT)) {
		c->wrong++;
	} else if (*seen & SEEN_ANSWERED) {
		c->duplicate++;
	} else {
		*seen |= SEEN_ANSWERED;
		c->answered++;
	}
}

static void refused(struct crowd *c, unsigned int err)
{
	c->refused[err < ERRNO_MAX ? err : 0]++;
}

/* Takes all errors off FD's queue.  How many there were of ICMP, and of the kernel's own. */
static void take_errors(struct crowd *c, int fd, unsigned int *icmp, unsigned int *local)
{
	*icmp = *local = 0;
	for (;;) {
		union {
			char room[512];
			struct cmsghdr align;
		} control;
		char quoted[1]; /* of the probe that it is about */
		struct iovec iov = { quoted, sizeof(quoted) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		struct cmsghdr *cmsg;

		if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
			struct sock_extended_err err;

			if (!(cmsg->cmsg_level == SOL_IPV6 && cmsg->cmsg_type == IPV6_RECVERR) &&
			    !(cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR))
				continue;
			memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
			refused(c, err.ee_errno);
			*(err.ee_origin == SO_EE_ORIGIN_LOCAL ? local : icmp) += 1;
		}
	}
}

/* An error that a call returned is one of the queue's, unless the queue is empty.
 * Returns whether it was an ICMP error: then the call itself did not fail. */
static bool call_failed(struct crowd *c, int fd, int err)
{
	unsigned int icmp, local;

	take_errors(c, fd, &icmp, &local);
	c->icmp_errors += icmp;
	if (!icmp && !local)
		refused(c, (unsigned int)err);
	return icmp && !local;
}

static void look_at(struct crowd *c, unsigned int sock, uint32_t events)
{
	static uint8_t data[PROBE_MAX + 1];
	unsigned int icmp, local;
	ssize_t n;

	if (events & EPOLLERR) {
		take_errors(c, c->fds[sock], &icmp, &local);
		c->icmp_errors += icmp;
	}
	for (;;) {
		n = recv(c->fds[sock], data, sizeof(data), 0);
		if (n >= 0)
			judge(c, sock, data, (size_t)n);
		else if (errno == EAGAIN || !call_failed(c, c->fds[sock], errno))
			return;
	}
}

/* Until something comes, or UNTIL at the latest. */
static void look(struct crowd *c, uint64_t until)
{
	struct epoll_event events[EVENTS];
	uint64_t now = now_ns(), left = until > now ? until - now : 0;
	struct timespec t = { .tv_sec = (time_t)(left / 1000000000),
			      .tv_nsec = (long)(left % 1000000000) };
	int n = epoll_pwait2(c->epoll, events, EVENTS, &t, NULL);

	for (int i = 0; i < n; i++)
		look_at(c, events[i].data.u32, events[i].events);
}

static void look_until(struct crowd *c, uint64_t until)
{
	while (!ending && now_ns() < until)
		look(c, until);
}

/* Until all is answered or refused, or nothing more is to be expected; and a moment
 * for what should not come. */
static void look_for_rest(struct crowd *c)
{
	uint64_t until = now_ns() + c->set.timeout * 1000000000ULL;

	while (!ending && c->answered + c->icmp_errors < c->sent && now_ns() < until)
		look(c, until);
	look_until(c, now_ns() + GRACE_NS);
}

/* ---- what goes out ---------------------------------------------------------------- */

static void send_probe(struct crowd *c, unsigned int sock, unsigned int round)
{
	struct probe_name name = { .run = c->run, .socket = sock, .seq = round };
	static uint8_t data[PROBE_MAX];
	int fd = c->fds[sock];

	probe_build(&name, data, c->set.size);
	for (int i = 0; i < TRIES; i++) {
		/* Before: the answer may be there when send() returns. */
		*seen_of(c, sock, round) |= SEEN_SENT;
		if (send(fd, data, c->set.size, 0) >= 0) {
			c->sent++;
			return;
		}
		*seen_of(c, sock, round) &= (uint8_t)~SEEN_SENT;
		if (errno == EAGAIN)
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 100);
		else if (!call_failed(c, fd, errno))
			return;
	}
	refused(c, EAGAIN);
}

static void send_round(struct crowd *c, unsigned int round)
{
	uint64_t due = now_ns(), gap = 1000000000ULL / c->set.rate;

	for (unsigned int i = 0; i < c->sockets && !ending; i++, due += gap) {
		look_until(c, due);
		if (c->sends++ % LOOK_EVERY == 0)
			look(c, 0);
		send_probe(c, i, round);
	}
}

/* ---- the account --------------------------------------------------------------------- */

static unsigned int served(const struct crowd *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->sockets; i++)
		for (unsigned int round = 0; round < c->rounds; round++)
			if (*seen_of(c, i, round) & SEEN_ANSWERED) {
				n++;
				break;
			}
	return n;
}

static void print_after_hold(const struct crowd *c)
{
	unsigned int sent = 0, answered = 0;

	for (unsigned int i = 0; i < c->sockets; i++) {
		uint8_t seen = *seen_of(c, i, c->rounds - 1);

		sent += !!(seen & SEEN_SENT);
		answered += !!(seen & SEEN_ANSWERED);
	}
	printf("{\"sent\":%u,\"answered\":%u}", sent, answered);
}

static void print_account(const struct crowd *c)
{
	const char *comma = "";

	printf("{\"sockets\":%u,\"sent\":%llu,\"answered\":%llu,\"duplicate\":%llu,"
	       "\"wrong\":%llu,\"served\":%u,\"after_hold\":",
	       c->sockets, (unsigned long long)c->sent, (unsigned long long)c->answered,
	       (unsigned long long)c->duplicate, (unsigned long long)c->wrong, served(c));
	if (c->set.hold)
		print_after_hold(c);
	else
		printf("null");
	printf(",\"refused\":{");
	for (int i = 0; i < ERRNO_MAX; i++) {
		if (!c->refused[i])
			continue;
		printf("%s\"%s\":%llu", comma, i ? strerrorname_np(i) : "other",
		       (unsigned long long)c->refused[i]);
		comma = ",";
	}
	printf("}}\n");
}

/* ---- command line ---------------------------------------------------------------- */

enum {
	OPT_PLEDGES = 256,
	OPT_PER_PLEDGE,
	OPT_BASE,
	OPT_ROUNDS,
	OPT_RATE,
	OPT_HOLD,
	OPT_SIZE,
	OPT_TIMEOUT,
	OPT_NO_FRAGMENT,
	OPT_BATCH
};

static const struct argp_option options[] = {
	{ "pledges", OPT_PLEDGES, "N", 0, "Source addresses (1)", 0 },
	{ "per-pledge", OPT_PER_PLEDGE, "M", 0, "Sockets on each of them (1)", 0 },
	{ "base", OPT_BASE, "ADDR", 0,
	  "The first source address (" BASE_V6 ", or " BASE_V4 " for an IPv4 target)", 0 },
	{ "rounds", OPT_ROUNDS, "R", 0, "Probes of each socket (1)", 0 },
	{ "rate", OPT_RATE, "PPS", 0, "Probes a second, of all sockets together (5000)", 0 },
	{ "hold", OPT_HOLD, "SECONDS", 0,
	  "After the rounds keep the sockets open and silent, then one more round", 0 },
	{ "size", OPT_SIZE, "BYTES", 0, "UDP payload of a probe (100)", 0 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0,
	  "Wait so long for the last answers, before a hold and at the end (2)", 0 },
	{ "no-fragment", OPT_NO_FRAGMENT, NULL, 0,
	  "Never fragment: EMSGSIZE for what exceeds the path's MTU", 0 },
	{ "batch", OPT_BATCH, "IF", 0, "Print what `ip -batch` needs to add the addresses to IF",
	  0 },
	{ 0 },
};

static void parse_base(struct argp_state *state, struct settings *set, const char *arg)
{
	char mapped[INET6_ADDRSTRLEN + 8];

	snprintf(mapped, sizeof(mapped), "::ffff:%s", arg);
	if (inet_pton(AF_INET6, arg, &set->base) != 1 &&
	    inet_pton(AF_INET6, mapped, &set->base) != 1)
		argp_error(state, "--base: \"%s\" is no address", arg);
}

static void complete(struct argp_state *state, struct settings *set)
{
	bool v4 = is_v4(&set->target.sin6_addr);

	if (!set->batch && !set->target.sin6_port)
		argp_error(state, "where to? For example [fe80::1%%eth0]:5684");
	if (!set->have_base)
		parse_base(state, set, v4 ? BASE_V4 : BASE_V6);
	if (set->target.sin6_port && is_v4(&set->base) != v4)
		argp_error(state, "--base: not of the target's family");
	if (ntohl(set->base.s6_addr32[3]) > UINT32_MAX - set->pledges)
		argp_error(state, "--base: too few addresses behind it");
	if (set->pledges * set->per_pledge > MAX_SIDES * 8U)
		argp_error(state, "too many sockets: at most %u", MAX_SIDES * 8U);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct settings *set = state->input;

	switch (key) {
	case OPT_PLEDGES:
		set->pledges = probe_number(state, "--pledges", arg, 1, MAX_SIDES);
		break;
	case OPT_PER_PLEDGE:
		set->per_pledge = probe_number(state, "--per-pledge", arg, 1, MAX_SIDES);
		break;
	case OPT_BASE:
		parse_base(state, set, arg);
		set->have_base = true;
		break;
	case OPT_ROUNDS:
		set->rounds = probe_number(state, "--rounds", arg, 1, 10000);
		break;
	case OPT_RATE:
		set->rate = probe_number(state, "--rate", arg, 1, 10000000);
		break;
	case OPT_HOLD:
		set->hold = probe_number(state, "--hold", arg, 1, 86400);
		break;
	case OPT_SIZE:
		set->size = probe_number(state, "--size", arg, PROBE_MIN, PROBE_MAX);
		break;
	case OPT_TIMEOUT:
		set->timeout = probe_number(state, "--timeout", arg, 0, 3600);
		break;
	case OPT_NO_FRAGMENT:
		set->no_fragment = true;
		break;
	case OPT_BATCH:
		set->batch = arg;
		break;
	case ARGP_KEY_ARG:
		if (set->target.sin6_port)
			argp_error(state, "\"%s\": one target only", arg);
		probe_endpoint(state, arg, &set->target);
		break;
	case ARGP_KEY_END:
		complete(state, set);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options,
					  parse_option,
					  "[ADDR%IF]:PORT",
					  "Many pledges that ask an echo server through a Join "
					  "Proxy; prints as JSON what came back.",
					  NULL,
					  NULL,
					  NULL };
	struct crowd c = { .set = { .pledges = 1,
				    .per_pledge = 1,
				    .rounds = 1,
				    .rate = 5000,
				    .size = 100,
				    .timeout = 2 } };
	struct sigaction action = { .sa_handler = on_signal };

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &c.set);
	if (c.set.batch) {
		print_batch(&c.set);
		return 0;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (getrandom(&c.run, sizeof(c.run), 0) != sizeof(c.run))
		probe_die("getrandom");
	c.sockets = c.set.pledges * c.set.per_pledge;
	c.rounds = c.set.rounds + !!c.set.hold;
	open_all(&c);
	for (unsigned int round = 0; round < c.set.rounds && !ending; round++)
		send_round(&c, round);
	look_for_rest(&c);
	if (c.set.hold) {
		look_until(&c, now_ns() + c.set.hold * 1000000000ULL);
		send_round(&c, c.rounds - 1);
		look_for_rest(&c);
	}
	print_account(&c);
	for (unsigned int i = 0; i < c.sockets; i++)
		close(c.fds[i]);
	close(c.epoll);
	free(c.fds);
	free(c.seen);
	return 0;
}
