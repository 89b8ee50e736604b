/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A UDP server that sends everything back, from the address that it was sent to, and
 * tells the flows apart that it saw:
 *
 *   echo ENDPOINT     [ADDR]:PORT or A.B.C.D:PORT; [::]:PORT takes IPv4, too
 *
 * Says "echo: listening" on stderr.  SIGTERM and SIGINT end it, and then, or at any
 * SIGUSR1, it prints
 *   datagrams    that came
 *   pairs        different (address, port) that they came from
 *   collisions   how often a pair brought another socket of crowd than it had before
 *   foreign      datagrams that are no probe of crowd, or altered; sent back, too
 *   unsent       answers that the kernel refused
 * SIGUSR1 forgets it all, for the next run to be judged by itself.
 */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

#define BATCH	    64
#define RECEIVE_BUF (64 << 20)
#define PAIRS_FIRST 1024 /* a power of 2 */

struct pair {
	struct in6_addr addr;
	uint32_t run, socket;
	uint16_t port;
	bool used, named; /* named: it brought a probe */
};

struct echo {
	struct sockaddr_in6 local;
	int fd;
	struct pair *pairs; /* open addressing, at most half full */
	size_t pairs_size, pairs_used;
	uint64_t datagrams, collisions, foreign, unsent;
};

/* ---- pairs -------------------------------------------------------------------- */

static struct pair *pairs_new(size_t size)
{
	struct pair *pairs = calloc(size, sizeof(*pairs));

	if (!pairs)
		probe_die("pairs");
	return pairs;
}

/* The place of ADDR and PORT, used or not. */
static struct pair *pair_at(struct pair *pairs, size_t size, const struct in6_addr *addr,
			    uint16_t port)
{
	uint64_t hash = port;
	size_t i;

	for (int word = 0; word < 4; word++)
		hash = (hash ^ addr->s6_addr32[word]) * 0x9e3779b97f4a7c15ULL;
	for (i = (hash >> 32) & (size - 1); pairs[i].used; i = (i + 1) & (size - 1))
		if (pairs[i].port == port && !memcmp(&pairs[i].addr, addr, sizeof(*addr)))
			break;
	return &pairs[i];
}

static void pairs_grow(struct echo *e)
{
	size_t size = 2 * e->pairs_size;
	struct pair *bigger = pairs_new(size);

	for (size_t i = 0; i < e->pairs_size; i++) {
		const struct pair *p = &e->pairs[i];

		if (p->used)
			*pair_at(bigger, size, &p->addr, p->port) = *p;
	}
	free(e->pairs);
	e->pairs = bigger;
	e->pairs_size = size;
}

static void note(struct echo *e, const struct sockaddr_in6 *from, const uint8_t *data, size_t len)
{
	struct probe_name name;
	struct pair *p;

	if (2 * (e->pairs_used + 1) > e->pairs_size)
		pairs_grow(e);
	p = pair_at(e->pairs, e->pairs_size, &from->sin6_addr, from->sin6_port);
	if (!p->used) {
		*p = (struct pair){ .addr = from->sin6_addr,
				    .port = from->sin6_port,
				    .used = true };
		e->pairs_used++;
	}
	e->datagrams++;
	if (!probe_read(data, len, &name)) {
		e->foreign++;
		return;
	}
	if (p->named && (p->run != name.run || p->socket != name.socket))
		e->collisions++;
	p->run = name.run;
	p->socket = name.socket;
	p->named = true;
}

static void report(const struct echo *e)
{
	printf("{\"datagrams\":%llu,\"pairs\":%zu,\"collisions\":%llu,\"foreign\":%llu,"
	       "\"unsent\":%llu}\n",
	       (unsigned long long)e->datagrams, e->pairs_used, (unsigned long long)e->collisions,
	       (unsigned long long)e->foreign, (unsigned long long)e->unsent);
	fflush(stdout);
}

static void forget(struct echo *e)
{
	free(e->pairs);
	e->pairs_size = PAIRS_FIRST;
	e->pairs = pairs_new(e->pairs_size);
	e->pairs_used = 0;
	e->datagrams = e->collisions = e->foreign = e->unsent = 0;
}

/* ---- the socket ------------------------------------------------------------------ */

static void open_socket(struct echo *e)
{
	int zero = 0, one = 1, size = RECEIVE_BUF;

	e->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (e->fd < 0 || setsockopt(e->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) ||
	    setsockopt(e->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)))
		probe_die("socket");
	/* Not root, or in a user namespace: smaller then. */
	if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(e->fd, (struct sockaddr *)&e->local, sizeof(e->local)))
		probe_die("bind");
}

/* One batch in and out.  The control message of a datagram says where it was sent
 * to, in the form that says where the answer comes from. */
static void serve(struct echo *e)
{
	static uint8_t data[BATCH][PROBE_MAX + 1];
	static struct sockaddr_in6 from[BATCH];
	static union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control[BATCH];
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_control = &control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	n = recvmmsg(e->fd, msgs, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		note(e, &from[i], data[i], msgs[i].msg_len);
		iov[i].iov_len = msgs[i].msg_len;
	}
	for (int done = 0; done < n;) {
		int sent = sendmmsg(e->fd, msgs + done, (unsigned int)(n - done), 0);

		/* It is the first of them that was refused. */
		e->unsent += sent < 1;
		done += sent < 1 ? 1 : sent;
	}
}

static int run(struct echo *e, int signals)
{
	struct pollfd fds[] = { { .fd = e->fd, .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			probe_die("poll");
		if (fds[0].revents)
			serve(e);
		if (!fds[1].revents || read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		report(e);
		if (info.ssi_signo != SIGUSR1)
			return 0;
		forget(e);
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct echo *e = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (e->local.sin6_port)
			argp_error(state, "\"%s\": one endpoint only", arg);
		probe_endpoint(state, arg, &e->local);
		break;
	case ARGP_KEY_END:
		if (!e->local.sin6_port)
			argp_error(state, "where to listen? For example [::]:5684");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse_option,
		"[ADDR]:PORT",
		"Sends every UDP datagram back, and counts the flows that it saw: as JSON at "
		"SIGUSR1, which starts the count anew, and at SIGTERM.",
		NULL,
		NULL,
		NULL
	};
	struct echo e = { .fd = -1 };
	sigset_t set;
	int signals, status;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &e);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		probe_die("signalfd");
	open_socket(&e);
	forget(&e);
	fprintf(stderr, "echo: listening\n");
	status = run(&e, signals);
	free(e.pairs);
	close(e.fd);
	close(signals);
	return status;
}
