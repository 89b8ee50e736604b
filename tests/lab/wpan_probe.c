/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is on the air, for tests/vm: sends an enhanced beacon as jpd does, hears one on a monitor
 * interface, and counts the frames that are seen there.
 *
 *   wpan_probe send IF [VIA]       as from IF, by IF itself or by a monitor interface VIA of the
 * same radio; prints the extended address, the PAN and the frame's length wpan_probe hear IF
 * SECONDS     prints who sent the first beacon, its priority and network id; exit status 1 if none
 * came
 *   wpan_probe count IF            until it is told to end (SIGTERM); then a line for each sender of
 * data frames, by its extended address as "lowpan" interfaces have it, or its short one:
 *   ADDRESS frames N longest N frag1 N fragn N
 * and "other frames N longest N" and "missed N", what the kernel had no room for
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sixtisch.h"
#include "wpan.h"

#define CHECKSUM  2 /* monitor interfaces see it, the sender does not write it */
#define FRAME_MAX 127

/* IEEE 802.15.4 frame control, as a little-endian number. */
#define FC_TYPE(fc)	   ((fc)&7)
#define FC_DATA		   1
#define FC_SECURED	   0x0008
#define FC_ONE_PAN	   0x0040
#define FC_TO(fc)	   ((fc) >> 10 & 3)
#define FC_FROM(fc)	   ((fc) >> 14 & 3)
#define FC_SHORT	   2
#define FC_EXTENDED	   3
#define HEADER_MIN	   3 /* frame control, sequence number */

/* RFC 4944 5.1 */
#define IS_FRAG1(dispatch) (((dispatch)&0xf8) == 0xc0)
#define IS_FRAGN(dispatch) (((dispatch)&0xf8) == 0xe0)

#define SENDERS_MAX	   8
#define COUNT_RCVBUF	   (8 << 20)

static void print_eui64(const uint8_t eui64[8])
{
	for (int i = 0; i < 8; i++)
		printf("%s%02x", i ? ":" : "", eui64[i]);
}

static int open_raw(unsigned int ifindex)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int send_one(unsigned int ifindex)
{
	struct sixtisch_join join = { .proxy_priority = 5, .network_id_len = 4 };
	unsigned char frame[FRAME_MAX];
	uint8_t eui64[8];
	uint16_t pan;
	int fd = wpan_open(ifindex, eui64, &pan), len;

	if (fd < 0) {
		printf("not opened: %s\n", strerror(-fd));
		return 1;
	}
	memcpy(join.network_id, "jpx!", 4);
	len = sixtisch_beacon_write(&join, SIXTISCH_COLUMNS, eui64, pan, 1, frame,
				    sizeof(frame) - CHECKSUM);
	if (len < 0 || send(fd, frame, (size_t)len, 0) != len) {
		printf("not sent: %s\n", strerror(len < 0 ? -len : errno));
		close(fd);
		return 1;
	}
	print_eui64(eui64);
	printf(" pan %04x length %d\n", pan, len);
	close(fd);
	return 0;
}

static int hear_one(unsigned int ifindex, int seconds)
{
	int fd = open_raw(ifindex), found = 1;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	time_t end = time(NULL) + seconds;
	unsigned char frame[256];
	struct sixtisch_join join;
	uint8_t eui64[8];
	ssize_t got;

	if (fd < 0) {
		printf("not opened: %s\n", strerror(-fd));
		return 1;
	}
	puts("hearing");
	fflush(stdout);
	while (found && time(NULL) < end) {
		if (poll(&p, 1, 200) <= 0)
			continue;
		got = recv(fd, frame, sizeof(frame), 0);
		if (got <= CHECKSUM || sixtisch_beacon_read(frame, (size_t)got - CHECKSUM,
							    SIXTISCH_COLUMNS, &join, eui64))
			continue;
		print_eui64(eui64);
		printf(" priority %u network %.*s\n", join.proxy_priority, (int)join.network_id_len,
		       (char *)join.network_id);
		found = 0;
	}
	close(fd);
	return found;
}

/* Of one sender; the first one in the table is everybody whose frames are none of data. */
struct sender {
	uint8_t addr[8];
	size_t addr_len;
	unsigned int frames, frag1, fragn;
	ssize_t longest;
};

static volatile sig_atomic_t ending;

static void on_term(int signo)
{
	(void)signo;
	ending = 1;
}

static size_t addr_len(unsigned int mode)
{
	return mode == FC_EXTENDED ? 8 : mode == FC_SHORT ? 2 : 0;
}

static struct sender *sender_of(struct sender senders[SENDERS_MAX], const uint8_t *addr, size_t len)
{
	uint8_t turned[8];

	/* On the air the lowest byte is first. */
	for (size_t i = 0; i < len; i++)
		turned[i] = addr[len - 1 - i];
	for (int i = 1; i < SENDERS_MAX; i++) {
		struct sender *s = &senders[i];

		if (!s->addr_len) {
			memcpy(s->addr, turned, len);
			s->addr_len = len;
		}
		if (s->addr_len == len && !memcmp(s->addr, turned, len))
			return s;
	}
	return &senders[0];
}

/* FRAME with its checksum, LEN long. */
static void count_frame(struct sender senders[SENDERS_MAX], const uint8_t *frame, ssize_t len)
{
	unsigned int fc = len >= HEADER_MIN ? frame[0] | frame[1] << 8 : 0;
	size_t to = addr_len(FC_TO(fc)), from = addr_len(FC_FROM(fc));
	struct sender *s = &senders[0];
	size_t at = HEADER_MIN;

	at += to ? 2 + to : 0;
	at += from && !(fc & FC_ONE_PAN) ? 2 : 0;
	if (FC_TYPE(fc) == FC_DATA && !(fc & FC_SECURED) && from &&
	    (size_t)len > at + from + CHECKSUM) {
		s = sender_of(senders, frame + at, from);
		s->frag1 += IS_FRAG1(frame[at + from]);
		s->fragn += IS_FRAGN(frame[at + from]);
	}
	s->frames++;
	if (len > s->longest)
		s->longest = len;
}

static void print_counts(const struct sender senders[SENDERS_MAX], unsigned int missed)
{
	for (int i = 1; i < SENDERS_MAX && senders[i].addr_len; i++) {
		const struct sender *s = &senders[i];

		for (size_t b = 0; b < s->addr_len; b++)
			printf("%s%02x", b ? ":" : "", s->addr[b]);
		printf(" frames %u longest %zd frag1 %u fragn %u\n", s->frames, s->longest,
		       s->frag1, s->fragn);
	}
	printf("other frames %u longest %zd\nmissed %u\n", senders[0].frames, senders[0].longest,
	       missed);
}

static int count_all(unsigned int ifindex)
{
	struct sender senders[SENDERS_MAX] = { 0 };
	struct sigaction action = { .sa_handler = on_term };
	int fd = open_raw(ifindex), room = COUNT_RCVBUF;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct tpacket_stats kernel = { 0 };
	socklen_t kernel_len = sizeof(kernel);
	uint8_t frame[2048];
	ssize_t got;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    sigaction(SIGTERM, &action, NULL)) {
		printf("not opened: %s\n", strerror(fd < 0 ? -fd : errno));
		return 1;
	}
	puts("counting");
	fflush(stdout);
	while (!ending) {
		if (poll(&p, 1, 200) <= 0)
			continue;
		got = recv(fd, frame, sizeof(frame), MSG_TRUNC);
		if (got > 0)
			count_frame(senders, frame, got);
	}
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &kernel_len);
	print_counts(senders, kernel.tp_drops);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int ifindex = argc > 2 ? if_nametoindex(argv[2]) : 0;

	if (ifindex && argc == 3 && !strcmp(argv[1], "send"))
		return send_one(ifindex);
	if (ifindex && argc == 4 && !strcmp(argv[1], "hear"))
		return hear_one(ifindex, atoi(argv[3]));
	if (ifindex && argc == 3 && !strcmp(argv[1], "count"))
		return count_all(ifindex);
	fprintf(stderr, "usage: wpan_probe send IF | hear IF SECONDS | count IF\n");
	return 2;
}
