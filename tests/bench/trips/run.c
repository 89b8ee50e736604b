/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * build/trips-ends: one run between two far ends, one line of JSON on standard
 * output.  Raises nothing and starts no relay: trips.sh does.  A run with a wrong
 * answer, or more than one trip in a thousand lost, is no figure: "valid" says so.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define LOST_AT_MOST 0.001 /* of the trips */

static const char *const fault_names[TRIPS_FAULTS] = {
	[TRIPS_LATE] = "late",
	[TRIPS_BAD_CONTENT] = "bad_content",
	[TRIPS_BAD_SUM] = "bad_checksum",
	[TRIPS_BAD_OWNER] = "bad_owner",
	[TRIPS_FAR_CONTENT] = "far_content",
	[TRIPS_FAR_SUM] = "far_checksum",
};

static struct {
	struct trips_run run;
	char cable_ns[64], cable[2][16];
	bool sockets;
} arguments = { .run = { .registrar_port = 5684, .count = 1, .seconds = 0.5 } };

static const struct argp_option options[] = {
	{ "pledges", 'p', "NETNS:IF", 0, "Where the pledges are", 0 },
	{ "registrar", 'r', "NETNS:IF", 0, "Where the Registrar is", 0 },
	{ "registrar-port", 'P', "PORT", 0, "Its UDP port (5684)", 0 },
	{ "relay", 'a', "ADDR,PORT,MAC", 0, "Where pledges send to", 0 },
	{ "cable", 'c', "NETNS:IF,IF", 0, "Only join these two interfaces, until killed", 0 },
	{ "count", 'n', "N", 0, "So many pledges (1)", 0 },
	{ "seconds", 's', "S", 0, "Measure so long (0.5)", 0 },
	{ "sockets", 'S', NULL, 0, "The far ends are UDP sockets, not XDP programs", 0 },
	{ 0 },
};

static bool place_of(const char *text, struct trips_place *place)
{
	return sscanf(text, "%63[^:]:%15s", place->ns, place->ifname) == 2;
}

static bool relay_of(const char *text, struct trips_run *run)
{
	char addr[INET6_ADDRSTRLEN];
	unsigned int mac[6], port;

	if (sscanf(text, "%45[^,],%u,%x:%x:%x:%x:%x:%x", addr, &port, &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5]) != 8 ||
	    inet_pton(AF_INET6, addr, &run->relay.sin6_addr) != 1 || !port || port > 65535)
		return false;
	run->relay.sin6_family = AF_INET6;
	run->relay.sin6_port = htons((uint16_t)port);
	for (int i = 0; i < 6; i++)
		run->relay_mac[i] = (uint8_t)mac[i];
	return true;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct trips_run *run = &arguments.run;
	bool good = true;

	switch (key) {
	case 'p':
		good = place_of(arg, &run->pledges);
		break;
	case 'r':
		good = place_of(arg, &run->registrar);
		break;
	case 'P':
		run->registrar_port = (uint16_t)atoi(arg);
		good = run->registrar_port;
		break;
	case 'a':
		good = relay_of(arg, run);
		break;
	case 'c':
		good = sscanf(arg, "%63[^:]:%15[^,],%15s", arguments.cable_ns, arguments.cable[0],
			      arguments.cable[1]) == 3;
		break;
	case 'n':
		run->count = (unsigned int)atoi(arg);
		good = run->count >= 1 && run->count <= TRIPS_PLEDGES;
		break;
	case 's':
		run->seconds = atof(arg);
		good = run->seconds > 0;
		break;
	case 'S':
		arguments.sockets = true;
		break;
	case ARGP_KEY_END:
		if (arguments.cable_ns[0])
			return 0;
		if (!run->pledges.ns[0] || !run->registrar.ns[0] || !run->relay.sin6_family)
			argp_error(state, "--pledges, --registrar and --relay are needed");
		return 0;
	case ARGP_KEY_ARG:
		good = false;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (!good)
		argp_error(state, "'%s' makes no sense here", arg);
	return 0;
}

uint64_t trips_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int trips_enter(const char *ns)
{
	char path[96];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		err = -errno;
		fprintf(stderr, "trips: cannot enter %s: %s\n", path, strerror(-err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int trips_pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu == TRIPS_ANY_CPU || cpu == i)
			CPU_SET(i, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

void trips_content(uint8_t content[TRIPS_CONTENT], uint64_t who, uint64_t trip)
{
	/* handshake, DTLS 1.2, epoch 0, record 0, and the length of the rest */
	static const uint8_t record[] = { 22,
					  0xfe,
					  0xfd,
					  0,
					  0,
					  0,
					  0,
					  0,
					  0,
					  0,
					  0,
					  (TRIPS_CONTENT - 13) >> 8,
					  (TRIPS_CONTENT - 13) & 255 };
	static _Thread_local uint8_t same[TRIPS_CONTENT];
	uint32_t noise = 1;

	if (!same[0]) {
		for (int i = 0; i < TRIPS_CONTENT; i++) {
			noise = noise * 1103515245 + 12345;
			same[i] = (uint8_t)(noise >> 16);
		}
		memcpy(same, record, sizeof(record));
	}
	memcpy(content, same, TRIPS_CONTENT);
	memcpy(content + 8 * TRIPS_WORD_WHO, &who, 8);
	memcpy(content + 8 * TRIPS_WORD_TRIP, &trip, 8);
}

static int by_peer(const void *a, const void *b)
{
	const struct trips_peer *x = a, *y = b;

	if (x->addr_lo != y->addr_lo)
		return x->addr_lo < y->addr_lo ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

unsigned int trips_distinct(const struct trips_peer *peers, unsigned int count)
{
	static struct trips_peer sorted[TRIPS_PLEDGES];
	unsigned int distinct = 0;

	memcpy(sorted, peers, count * sizeof(*peers));
	qsort(sorted, count, sizeof(*sorted), by_peer);
	for (unsigned int i = 0; i < count; i++)
		distinct += sorted[i].port && (!i || by_peer(&sorted[i - 1], &sorted[i]));
	return distinct;
}

/* Why RESULT is no figure, or NULL. */
static const char *invalid(const struct trips_run *run, const struct trips_result *result)
{
	for (int i = 0; i < TRIPS_FAULTS; i++)
		if (i != TRIPS_LATE && result->faults[i])
			return fault_names[i];
	if (!result->trips)
		return "nothing came back";
	if ((double)result->lost > LOST_AT_MOST * (double)(result->trips + result->lost))
		return "lost";
	/* Else the Registrar would have taken two pledges for one. */
	if (result->peers != run->count)
		return "peers";
	return NULL;
}

static int be_a_cable(void)
{
	const char *const ifname[] = { arguments.cable[0], arguments.cable[1] };

	if (trips_join(arguments.cable_ns, ifname))
		return 1;
	printf("joined\n");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse_option,
		NULL,
		"Round trips a second between pledges and a Registrar, one datagram of each "
		"pledge under way at a time.",
		NULL,
		NULL,
		NULL,
	};
	const struct trips_run *run = &arguments.run;
	struct trips_result r = { 0 };
	const char *why;
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (arguments.cable_ns[0])
		return be_a_cable();
	err = arguments.sockets ? trips_sockets(run, &r) : trips_wire(run, &r);
	for (int i = 0; err && i < TRIPS_FAULTS; i++)
		if (r.faults[i])
			fprintf(stderr, "trips: %s: %" PRIu64 "\n", fault_names[i], r.faults[i]);
	if (err)
		return 1;
	why = invalid(run, &r);
	printf("{\"pledges\": %u, \"seconds\": %.6f, \"trips\": %" PRIu64 ", \"per_second\": %.1f, "
	       "\"lost\": %" PRIu64 ", \"peers\": %u, \"moved\": %" PRIu64,
	       run->count, r.seconds, r.trips, (double)r.trips / r.seconds, r.lost, r.peers,
	       r.moved);
	for (int i = 0; i < TRIPS_FAULTS; i++)
		printf(", \"%s\": %" PRIu64, fault_names[i], r.faults[i]);
	printf(", \"valid\": %s", why ? "false" : "true");
	if (why)
		printf(", \"why\": \"%s\"", why);
	printf("}\n");
	return 0;
}
