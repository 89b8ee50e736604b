/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The simplest relay there can be: one socket, recvfrom(2), sendto(2).  It keeps
 * no state and writes no header, so it is faster than any that does its job; a
 * yardstick for the benchmark only.  Takes its orders from the environment, as
 * relay.c sets it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(void)
{
	const char *join = getenv("BENCH_JOIN_PORT"), *registrar = getenv("BENCH_REGISTRAR");
	const char *port = getenv("BENCH_REGISTRAR_PORT");
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 }, from = { .sin6_family = AF_INET6 };
	char buf[2048];
	int fd;

	if (!join || !registrar || !port || inet_pton(AF_INET6, registrar, &to.sin6_addr) != 1) {
		fprintf(stderr, "plain_relay: started by the benchmark only\n");
		return 2;
	}
	to.sin6_port = htons((uint16_t)atoi(port));
	from.sin6_port = htons((uint16_t)atoi(join));
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from))) {
		perror("plain_relay: cannot listen on the join port");
		return 1;
	}
	for (;;) {
		struct sockaddr_in6 peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &peer_len);

		if (n > 0)
			sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&to, sizeof(to));
	}
}
