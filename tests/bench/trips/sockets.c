/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Far ends that are ordinary UDP sockets: one a pledge, each bound to an address
 * of its own, and an echo server.  They share CPU 0, so that the relay has
 * the other one if it wants.  What they cost themselves, several times what a
 * fast relay does, is in every figure: this shows what a plain test sees, not
 * what the relay can do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

#define ENDS_CPU     0
#define ECHO_BATCH   64
#define ECHO_BUFFER  (8 << 20)
#define ECHO_LOOK_NS 100000000 /* how often the echo server looks whether it is over */
#define LOOK_NS	     20000000ULL

struct pledge {
	int fd;
	uint64_t trip, sent_at;
	bool answered;
};

struct sockets {
	const struct trips_run *run;
	struct pledge pledges[TRIPS_PLEDGES];
	int epoll;
	uint64_t done, lost, faults[TRIPS_FAULTS];
	unsigned int answered; /* pledges with an answer to any trip */
	bool stopping;
	unsigned int resting;
	/* the echo server's thread */
	int echo_fd;
	pthread_t echo;
	atomic_bool over;
	struct trips_peer peers[TRIPS_PLEDGES];
	uint64_t far_content;
};

/* ---- the echo server ------------------------------------------------------- */

static bool echo_note(struct sockets *s, const uint8_t *content, unsigned int len,
		      const struct sockaddr_in6 *from)
{
	uint8_t want[TRIPS_CONTENT];
	uint64_t who, trip, addr_lo;
	struct trips_peer *peer;

	if (len != TRIPS_CONTENT)
		return false;
	memcpy(&who, content + 8 * TRIPS_WORD_WHO, 8);
	memcpy(&trip, content + 8 * TRIPS_WORD_TRIP, 8);
	trips_content(want, who, trip);
	if (who >= TRIPS_PLEDGES || memcmp(content, want, TRIPS_CONTENT))
		return false;
	peer = &s->peers[who];
	memcpy(&addr_lo, from->sin6_addr.s6_addr + 8, 8);
	if (peer->addr_lo != addr_lo || peer->port != from->sin6_port) {
		peer->changes += peer->port != 0;
		peer->addr_lo = addr_lo;
		peer->port = from->sin6_port;
	}
	return true;
}

static void *echo(void *arg)
{
	static uint8_t content[ECHO_BATCH][TRIPS_CONTENT + 1];
	static struct sockaddr_in6 from[ECHO_BATCH];
	static struct iovec iov[ECHO_BATCH];
	static struct mmsghdr in[ECHO_BATCH], out[ECHO_BATCH];
	struct sockets *s = arg;

	trips_pin(ENDS_CPU);
	while (!atomic_load(&s->over)) {
		int got, sent = 0, good = 0;

		for (int i = 0; i < ECHO_BATCH; i++) {
			iov[i] = (struct iovec){ content[i], sizeof(content[i]) };
			in[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
							 .msg_namelen = sizeof(from[i]),
							 .msg_iov = &iov[i],
							 .msg_iovlen = 1 };
		}
		got = recvmmsg(s->echo_fd, in, ECHO_BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < got; i++) {
			if (!echo_note(s, content[i], in[i].msg_len, &from[i])) {
				s->far_content++;
				continue;
			}
			iov[i].iov_len = in[i].msg_len;
			out[good++] = in[i];
		}
		while (sent < good) {
			int n = sendmmsg(s->echo_fd, out + sent, (unsigned int)(good - sent), 0);

			sent += n > 0 ? n : 1; /* one that cannot be sent is lost */
		}
	}
	return NULL;
}

static int open_echo(struct sockets *s)
{
	struct timeval look = { .tv_usec = ECHO_LOOK_NS / 1000 };
	struct sockaddr_in6 at = { .sin6_family = AF_INET6,
				   .sin6_port = htons(s->run->registrar_port) };
	int size = ECHO_BUFFER, err = trips_enter(s->run->registrar.ns);

	if (err)
		return err;
	s->echo_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->echo_fd < 0 ||
	    setsockopt(s->echo_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(s->echo_fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look)) ||
	    bind(s->echo_fd, (struct sockaddr *)&at, sizeof(at))) {
		err = -errno;
		fprintf(stderr, "trips: no echo server on port %u: %s\n", s->run->registrar_port,
			strerror(-err));
		return err;
	}
	err = pthread_create(&s->echo, NULL, echo, s);
	return -err;
}

/* ---- pledges ----------------------------------------------------------------- */

static int open_pledges(struct sockets *s)
{
	struct rlimit files = { TRIPS_PLEDGES + 64, TRIPS_PLEDGES + 64 };
	struct sockaddr_in6 to = s->run->relay;
	int err = trips_enter(s->run->pledges.ns);

	if (err)
		return err;
	setrlimit(RLIMIT_NOFILE, &files);
	to.sin6_scope_id = if_nametoindex(s->run->pledges.ifname);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned int i = 0; i < s->run->count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		uint64_t iid = __builtin_bswap64(TRIPS_IID + i);
		struct sockaddr_in6 at = { .sin6_family = AF_INET6,
					   .sin6_port = htons((uint16_t)(TRIPS_FIRST_PORT + i)),
					   .sin6_addr = { .s6_addr = { 0xfe, 0x80 } },
					   .sin6_scope_id = to.sin6_scope_id };
		int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		memcpy(at.sin6_addr.s6_addr + 8, &iid, 8);
		/* Connected: the kernel hands it nothing that is not from the relay. */
		if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
		    connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
		    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event)) {
			err = -errno;
			fprintf(stderr, "trips: no socket for pledge %u: %s\n", i, strerror(-err));
			return err;
		}
		s->pledges[i].fd = fd;
	}
	return 0;
}

static void send_next(struct sockets *s, unsigned int who)
{
	struct pledge *p = &s->pledges[who];
	uint8_t content[TRIPS_CONTENT];

	p->trip++;
	p->sent_at = trips_now_ns();
	trips_content(content, who, p->trip);
	/* What cannot be sent is lost: look() finds it. */
	(void)!send(p->fd, content, sizeof(content), 0);
}

static void receive(struct sockets *s, unsigned int who)
{
	struct pledge *p = &s->pledges[who];
	uint8_t content[TRIPS_CONTENT + 1], want[TRIPS_CONTENT];
	uint64_t from, trip;

	if (recv(p->fd, content, sizeof(content), 0) != TRIPS_CONTENT) {
		s->faults[TRIPS_BAD_CONTENT] += errno != EAGAIN && errno != ECONNREFUSED;
		return;
	}
	memcpy(&from, content + 8 * TRIPS_WORD_WHO, 8);
	memcpy(&trip, content + 8 * TRIPS_WORD_TRIP, 8);
	trips_content(want, from, trip);
	if (memcmp(content, want, TRIPS_CONTENT)) {
		s->faults[TRIPS_BAD_CONTENT]++;
	} else if (from != who) {
		s->faults[TRIPS_BAD_OWNER]++;
	} else if (trip != p->trip) {
		s->faults[TRIPS_LATE]++;
	} else {
		s->done++;
		s->answered += !p->answered;
		p->answered = true;
		if (s->stopping) {
			p->trip++; /* nothing is under way: a second answer would be late */
			s->resting++;
		} else {
			send_next(s, who);
		}
	}
}

static void look(struct sockets *s, uint64_t now)
{
	for (unsigned int i = 0; i < s->run->count; i++) {
		if (now - s->pledges[i].sent_at >= TRIPS_GIVE_UP_NS &&
		    now > s->pledges[i].sent_at) {
			s->lost++;
			send_next(s, i);
		}
	}
}

enum until { UNTIL_TIME, UNTIL_ANSWERED, UNTIL_RESTING };

static int turn(struct sockets *s, uint64_t ns, enum until until)
{
	uint64_t now = trips_now_ns(), end = now + ns, look_at = now + LOOK_NS;
	struct epoll_event events[256];

	for (; now < end; now = trips_now_ns()) {
		int n = epoll_wait(s->epoll, events, 256, 1);

		for (int i = 0; i < n; i++)
			receive(s, events[i].data.u32);
		if (until == UNTIL_ANSWERED && s->answered == s->run->count)
			return 0;
		if (until == UNTIL_RESTING && s->resting == s->run->count)
			return 0;
		if (!s->stopping && now >= look_at) {
			look(s, now);
			look_at = now + LOOK_NS;
		}
	}
	return until == UNTIL_TIME ? 0 : -ETIMEDOUT;
}

static int measure(struct sockets *s, struct trips_result *r)
{
	uint64_t began, done;
	int err;

	trips_pin(ENDS_CPU);
	for (unsigned int i = 0; i < s->run->count; i++) {
		send_next(s, i);
		if (i % 8 == 7)
			turn(s, 300000, UNTIL_TIME);
	}
	err = turn(s, TRIPS_START_NS, UNTIL_ANSWERED);
	if (err) {
		fprintf(stderr, "trips: only %u of %u pledges had an answer within %llu s\n",
			s->answered, s->run->count, TRIPS_START_NS / 1000000000);
		return err;
	}
	turn(s, TRIPS_WARM_UP_NS, UNTIL_TIME);
	s->lost = 0;
	done = s->done;
	began = trips_now_ns();
	turn(s, (uint64_t)(s->run->seconds * 1e9), UNTIL_TIME);
	r->trips = s->done - done;
	r->seconds = (double)(trips_now_ns() - began) / 1e9;
	s->stopping = true;
	if (turn(s, TRIPS_GIVE_UP_NS, UNTIL_RESTING))
		s->lost += s->run->count - s->resting;
	r->lost = s->lost;
	return 0;
}

int trips_sockets(const struct trips_run *run, struct trips_result *result)
{
	static struct sockets s;
	int err;

	s.run = run;
	err = open_echo(&s);
	if (!err)
		err = open_pledges(&s);
	if (!err)
		err = measure(&s, result);
	if (s.echo) {
		atomic_store(&s.over, true);
		pthread_join(s.echo, NULL);
	}
	if (err)
		return err;
	memcpy(result->faults, s.faults, sizeof(s.faults));
	result->faults[TRIPS_FAR_CONTENT] = s.far_content;
	result->peers = trips_distinct(s.peers, run->count);
	for (unsigned int i = 0; i < run->count; i++)
		result->moved += s.peers[i].changes;
	return 0;
}
