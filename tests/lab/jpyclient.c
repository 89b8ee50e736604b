/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stand-in for a Join Proxy and its pledges, for tests of the Registrar's end:
 *
 *   jpyclient pipe FORM LISTEN REGISTRAR PLEDGE PORT_ID [LOCAL]
 *       A UDP pipe.  What any local program sends to LISTEN goes to REGISTRAR
 *       wrapped in FORM as if it came from PLEDGE; what comes back is unwrapped
 *       and goes to whoever sent last.  Ends, with status 1, at the first answer
 *       whose header is not, byte for byte, that of the messages sent.  LOCAL is
 *       the proxy's own endpoint, any if left out.
 *   jpyclient junk COUNT REGISTRAR
 *       COUNT datagrams of noise of many kinds.
 *   jpyclient free-port
 *       Prints a UDP port that is free on ::1 at this moment.
 *
 * LISTEN, REGISTRAR, PLEDGE and LOCAL are [ADDR]:PORT.  For tests only.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/jpy.h>

#include "../../ctl/common/addr.h"

#define DATAGRAM_MAX 65536

static void die(const char *what)
{
	fprintf(stderr, "jpyclient: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in6 endpoint(const char *text)
{
	struct sockaddr_in6 sa;
	char err[160];

	if (jpx_endpoint_parse(text, 0, &sa, err, sizeof(err))) {
		fprintf(stderr, "jpyclient: %s\n", err);
		exit(2);
	}
	return sa;
}

static int open_udp(const struct sockaddr_in6 *local, const struct sockaddr_in6 *peer)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (local && bind(fd, (const struct sockaddr *)local, sizeof(*local)))
		die("bind");
	if (peer && connect(fd, (const struct sockaddr *)peer, sizeof(*peer)))
		die("connect");
	return fd;
}

/* ---- pipe ---- */

struct pipe {
	enum jpx_form form;
	struct jpx_pledge pledge;
	int pledge_fd, registrar_fd;
	struct sockaddr_in6 sender; /* who sent last on the pledge's side */
	uint8_t sent[DATAGRAM_MAX]; /* the last message */
	size_t sent_len;
};

static void from_pledge(struct pipe *p)
{
	socklen_t sender_len = sizeof(p->sender);
	uint8_t buf[DATAGRAM_MAX];
	ssize_t n = recvfrom(p->pledge_fd, buf, sizeof(buf), 0, (struct sockaddr *)&p->sender,
			     &sender_len);

	if (n < 0)
		return;
	n = jpx_jpy_wrap(p->form, &p->pledge, buf, (size_t)n, p->sent, sizeof(p->sent));
	if (n < 0) {
		fprintf(stderr, "jpyclient: cannot wrap: %s\n", strerror((int)-n));
		exit(1);
	}
	p->sent_len = (size_t)n;
	/* a Registrar that is down for a while is part of the tests */
	if (send(p->registrar_fd, p->sent, p->sent_len, 0) < 0)
		perror("jpyclient: send");
}

static int same_header(const struct pipe *p, const uint8_t *buf, size_t len)
{
	struct jpx_jpy_layout a, b;

	return jpx_jpy_split(p->sent, p->sent_len, &a) == JPX_RELAY &&
	       jpx_jpy_split(buf, len, &b) == JPX_RELAY && a.head.len == b.head.len &&
	       a.tail.len == b.tail.len && !memcmp(p->sent, buf, a.head.len) &&
	       !memcmp(p->sent + a.tail.off, buf + b.tail.off, a.tail.len);
}

static void from_registrar(struct pipe *p)
{
	struct jpx_pledge pledge;
	struct jpx_span content;
	uint8_t buf[DATAGRAM_MAX];
	ssize_t n = recv(p->registrar_fd, buf, sizeof(buf), 0);

	if (n < 0)
		return;
	if (!same_header(p, buf, (size_t)n) ||
	    jpx_jpy_unwrap(p->form, buf, (size_t)n, &pledge, &content) != JPX_RELAY) {
		fprintf(stderr, "jpyclient: an answer of %zd bytes has not our header\n", n);
		exit(1);
	}
	sendto(p->pledge_fd, buf + content.off, content.len, 0, (struct sockaddr *)&p->sender,
	       sizeof(p->sender));
}

static int run_pipe(char **arg)
{
	static struct pipe p;
	struct sockaddr_in6 listen = endpoint(arg[1]), registrar = endpoint(arg[2]);
	struct sockaddr_in6 pledge = endpoint(arg[3]), local;
	int form = jpx_form_by_name(arg[0]);

	if (form < 0) {
		fprintf(stderr, "jpyclient: \"%s\" is no JPY form\n", arg[0]);
		return 2;
	}
	p.form = (enum jpx_form)form;
	memcpy(p.pledge.addr, &pledge.sin6_addr, sizeof(p.pledge.addr));
	p.pledge.udp_port = ntohs(pledge.sin6_port);
	p.pledge.port_id = (uint8_t)atoi(arg[4]);
	memcpy(p.pledge.mac, "\x02\x00\x5e\x00\x53\x01", sizeof(p.pledge.mac));
	p.pledge_fd = open_udp(&listen, NULL);
	if (arg[5])
		local = endpoint(arg[5]);
	p.registrar_fd = open_udp(arg[5] ? &local : NULL, &registrar);
	for (;;) {
		struct pollfd fds[] = { { .fd = p.pledge_fd, .events = POLLIN },
					{ .fd = p.registrar_fd, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0)
			die("poll");
		if (fds[0].revents)
			from_pledge(&p);
		if (fds[1].revents)
			from_registrar(&p);
	}
}

/* ---- junk ---- */

static uint32_t any(uint32_t below)
{
	uint32_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		die("getrandom");
	return n % below;
}

/* Of each kind some: plain noise; a message of any form with noise inside, whole,
 * cut off, or with some bytes changed. */
static size_t make_junk(uint8_t *buf, size_t cap)
{
	uint8_t content[200];
	struct jpx_pledge pledge;
	uint32_t kind = any(4);
	ssize_t len;

	if (kind == 0) {
		len = (ssize_t)any(256);
		if (getrandom(buf, (size_t)len, 0) != len)
			die("getrandom");
		return (size_t)len;
	}
	if (getrandom(content, sizeof(content), 0) != sizeof(content) ||
	    getrandom(&pledge, sizeof(pledge), 0) != sizeof(pledge))
		die("getrandom");
	len = jpx_jpy_wrap((enum jpx_form)any(JPX_FORM_COUNT), &pledge, content,
			   any(sizeof(content)), buf, cap);
	if (len <= 0)
		return 0;
	if (kind == 2)
		len = any((uint32_t)len);
	for (int i = 0; kind == 3 && i < 3; i++)
		buf[any((uint32_t)len)] = (uint8_t)any(256);
	return (size_t)len;
}

static int run_junk(char **arg)
{
	struct sockaddr_in6 registrar = endpoint(arg[1]);
	int fd = open_udp(NULL, NULL);
	long count = atol(arg[0]);
	uint8_t buf[1024];

	for (long i = 0; i < count; i++) {
		size_t len = make_junk(buf, sizeof(buf));

		if (i % 64 == 63) /* so that the socket's queue is not all that is tested */
			usleep(2000);
		if (sendto(fd, buf, len, 0, (struct sockaddr *)&registrar, sizeof(registrar)) < 0)
			die("sendto");
	}
	return 0;
}

static int run_free_port(void)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(sa);
	int fd = open_udp(&sa, NULL);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	printf("%u\n", ntohs(sa.sin6_port));
	return 0;
}

int main(int argc, char **argv)
{
	if ((argc == 7 || argc == 8) && !strcmp(argv[1], "pipe"))
		return run_pipe(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "junk"))
		return run_junk(argv + 2);
	if (argc == 2 && !strcmp(argv[1], "free-port"))
		return run_free_port();
	fprintf(stderr, "usage: jpyclient pipe FORM LISTEN REGISTRAR PLEDGE PORT_ID [LOCAL]\n"
			"       jpyclient junk COUNT REGISTRAR\n"
			"       jpyclient free-port\n");
	return 2;
}
