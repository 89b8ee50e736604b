/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of an enhanced beacon, for tests/vm/lowpan.sh: sends one as jpd does, and hears one on
 * a monitor interface.
 *
 *   wpan_probe send IF [VIA]       as from IF, by IF itself or by a monitor interface VIA of the
 * same radio; prints the extended address, the PAN and the frame's length wpan_probe hear IF
 * SECONDS     prints who sent the first beacon, its priority and network id; exit status 1 if none
 * came
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
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

int main(int argc, char **argv)
{
	unsigned int ifindex = argc > 2 ? if_nametoindex(argv[2]) : 0;

	if (ifindex && argc == 3 && !strcmp(argv[1], "send"))
		return send_one(ifindex);
	if (ifindex && argc == 4 && !strcmp(argv[1], "hear"))
		return hear_one(ifindex, atoi(argv[3]));
	fprintf(stderr, "usage: wpan_probe send IF | hear IF SECONDS\n");
	return 2;
}
