/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A pledge that never stops asking, to measure how long a relay is away:
 *
 *   heal_probe run TARGET LOG          sends a datagram that looks like DTLS every 10 ms
 *                                      and logs what was sent and what came back whole
 *   heal_probe healed LOG SINCE MS     prints how long after SINCE every datagram was
 *                                      answered again, status 1 if longer than MS
 *   heal_probe lost LOG SINCE UNTIL    prints how many of that time were never answered
 *   heal_probe once TARGET             one datagram only, status 0 if it was answered
 *   heal_probe echo ENDPOINT           the server: sends everything back
 *   heal_probe hold ENDPOINT           keeps a UDP port from others
 *   heal_probe now                     the clock that SINCE and UNTIL are read from
 *
 * TARGET and ENDPOINT are [ADDR]:PORT, times are milliseconds.  Never takes an
 * answer that is not byte for byte, and from where, it should be.  For tests only.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../ctl/common/addr.h"

#define INTERVAL_MS 10
#define STEADY	    20 /* datagrams in a row that must be answered to call it healed */
#define SEQ_MAX	    65536
#define LATE_MS	    300	 /* an answer later than this heals nothing */
#define LOST_MS	    2000 /* one that has not come by then never will, however busy the machine */

struct datagram {
	uint8_t record[13]; /* content type, version, epoch and number, length */
	uint8_t pad[3];
	uint32_t seq;
	uint32_t who;
	uint8_t body[40];
};

static void die(const char *what)
{
	fprintf(stderr, "heal_probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static struct sockaddr_in6 endpoint(const char *text)
{
	struct sockaddr_in6 sa;
	char err[160];

	if (jpx_endpoint_parse(text, 0, &sa, err, sizeof(err))) {
		fprintf(stderr, "heal_probe: %s\n", err);
		exit(2);
	}
	return sa;
}

static int open_udp(const struct sockaddr_in6 *local)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (local && bind(fd, (const struct sockaddr *)local, sizeof(*local)))
		die("bind");
	return fd;
}

static void send_seq(int fd, const struct sockaddr_in6 *to, uint32_t seq)
{
	struct datagram d = {
		.record = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, sizeof(d) - 13 },
		.seq = seq,
		.who = (uint32_t)getpid(),
	};

	memset(d.body, 'j', sizeof(d.body));
	/* On a broken network it may fail: that is what is measured. */
	(void)!sendto(fd, &d, sizeof(d), 0, (const struct sockaddr *)to, sizeof(*to));
}

static bool receive_seq(int fd, const struct sockaddr_in6 *from, uint32_t *seq)
{
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);
	struct datagram d;
	ssize_t n =
		recvfrom(fd, &d, sizeof(d), MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&sa, &len);

	if (n != sizeof(d) || d.record[0] != 22 || d.who != (uint32_t)getpid() ||
	    d.body[0] != 'j' || d.body[sizeof(d.body) - 1] != 'j' ||
	    memcmp(&sa.sin6_addr, &from->sin6_addr, 16) || sa.sin6_port != from->sin6_port)
		return false;
	*seq = d.seq;
	return true;
}

static int run(const char *target, const char *path)
{
	struct sockaddr_in6 to = endpoint(target);
	int fd = open_udp(NULL);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	FILE *log = fopen(path, "w");
	long long next = now_ms();
	uint32_t answer;

	if (!log)
		die(path);
	setvbuf(log, NULL, _IOLBF, 0);
	for (uint32_t seq = 0; seq < SEQ_MAX; seq++, next += INTERVAL_MS) {
		long long left;

		fprintf(log, "sent %u %lld\n", seq, now_ms());
		send_seq(fd, &to, seq);
		while ((left = next + INTERVAL_MS - now_ms()) > 0)
			if (poll(&pfd, 1, (int)left) > 0) {
				if (receive_seq(fd, &to, &answer))
					fprintf(log, "answered %u %lld\n", answer, now_ms());
			}
	}
	return 0;
}

static int once(const char *target)
{
	struct sockaddr_in6 to = endpoint(target);
	int fd = open_udp(NULL);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint32_t seq;

	send_seq(fd, &to, 4711);
	return poll(&pfd, 1, 500) > 0 && receive_seq(fd, &to, &seq) && seq == 4711 ? 0 : 1;
}

__attribute__((noreturn)) static int echo(const char *local)
{
	struct sockaddr_in6 sa = endpoint(local);
	int fd = open_udp(&sa);
	socklen_t len;
	char buf[2048];
	ssize_t n;

	for (;;) {
		len = sizeof(sa);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&sa, &len);
		if (n >= 0)
			(void)!sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&sa, len);
	}
}

/* ---- reading a log ------------------------------------------------------ */

struct history {
	uint32_t count;
	long long sent[SEQ_MAX], answered[SEQ_MAX];
};

static void read_log(const char *path, long long late, struct history *h)
{
	FILE *log = fopen(path, "r");
	char what[16];
	unsigned int seq;
	long long when;

	memset(h, 0, sizeof(*h));
	if (!log)
		die(path);
	while (fscanf(log, "%15s %u %lld", what, &seq, &when) == 3) {
		if (seq >= SEQ_MAX)
			continue;
		if (strcmp(what, "sent") == 0) {
			h->sent[seq] = when;
			h->count = seq + 1;
		} else if (when - h->sent[seq] <= late) {
			h->answered[seq] = when;
		}
	}
	fclose(log);
}

/* When the first of a row of answered datagrams was sent, or -1. */
static long long steady_since(const struct history *h, long long since)
{
	long long begin = -1;
	unsigned int row = 0;

	for (uint32_t i = 0; i < h->count; i++) {
		if (h->sent[i] < since)
			continue;
		if (!h->answered[i]) {
			row = 0;
			continue;
		}
		if (row++ == 0)
			begin = h->sent[i];
		if (row == STEADY)
			return begin;
	}
	return -1;
}

static int healed(const char *path, long long since, long long within)
{
	static struct history h;
	long long when = -1;

	while (when < 0 && now_ms() < since + within + STEADY * INTERVAL_MS + 2 * LATE_MS) {
		usleep(50000);
		read_log(path, LATE_MS, &h);
		when = steady_since(&h, since);
	}
	if (when < 0) {
		printf("never\n");
		return 1;
	}
	printf("%lld\n", when - since);
	return when - since > within;
}

static int lost(const char *path, long long since, long long until)
{
	static struct history h;
	unsigned int sent, missing;

	do {
		usleep(50000);
		read_log(path, LOST_MS, &h);
		sent = missing = 0;
		for (uint32_t i = 0; i < h.count; i++)
			if (h.sent[i] >= since && h.sent[i] <= until) {
				sent++;
				missing += !h.answered[i];
			}
	} while (missing && now_ms() < until + LOST_MS);
	printf("%u of %u\n", missing, sent);
	return sent == 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "run") && argc == 4)
		return run(argv[2], argv[3]);
	if (!strcmp(verb, "once") && argc == 3)
		return once(argv[2]);
	if (!strcmp(verb, "echo") && argc == 3)
		echo(argv[2]);
	if (!strcmp(verb, "healed") && argc == 5)
		return healed(argv[2], atoll(argv[3]), atoll(argv[4]));
	if (!strcmp(verb, "lost") && argc == 5)
		return lost(argv[2], atoll(argv[3]), atoll(argv[4]));
	if (!strcmp(verb, "now"))
		return printf("%lld\n", now_ms()) < 0;
	if (!strcmp(verb, "hold") && argc == 3) {
		struct sockaddr_in6 sa = endpoint(argv[2]);

		open_udp(&sa);
		pause();
		return 0;
	}
	fprintf(stderr, "heal_probe: see the head of its source\n");
	return 2;
}
