/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One run of the round trip benchmark: a number of pledges, each with one
 * datagram under way, through whatever stands between two interfaces.  Two kinds
 * of far ends do it, with the same datagrams and the same judgement.
 */
#ifndef JPX_TRIPS_RUN_H
#define JPX_TRIPS_RUN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "ends.h"

#define TRIPS_GIVE_UP_NS 500000000ULL	/* a trip takes no longer, or it is lost */
#define TRIPS_WARM_UP_NS 100000000ULL	/* after each pledge had an answer */
#define TRIPS_START_NS	 10000000000ULL /* for each pledge's first answer */

/* An interface in a network namespace (by its name in /run/netns). */
struct trips_place {
	char ns[64];
	char ifname[16];
};

struct trips_run {
	struct trips_place pledges, registrar;
	struct sockaddr_in6 relay; /* where pledges send to */
	uint8_t relay_mac[6];
	uint16_t registrar_port;
	unsigned int count; /* of pledges */
	double seconds;
};

struct trips_result {
	double seconds;
	uint64_t trips, lost;
	uint64_t faults[TRIPS_FAULTS];
	unsigned int peers; /* different ones that the Registrar saw */
	uint64_t moved;	    /* times that a pledge's peer became another one */
};

/* run.c */
uint64_t trips_now_ns(void);
/* Puts this thread into a namespace; negative errno after a sentence on stderr. */
int trips_enter(const char *ns);
#define TRIPS_ANY_CPU -1
int trips_pin(int cpu); /* this thread */
/* A content: number WHO, trip TRIP. */
void trips_content(uint8_t content[TRIPS_CONTENT], uint64_t who, uint64_t trip);
/* How many of COUNT peers differ from all others; those without a port are none. */
unsigned int trips_distinct(const struct trips_peer *peers, unsigned int count);

/* attach.c */
struct bpf_program;
struct bpf_map;
/* PROG at PLACE, which frames are sent from again. */
int trips_attach(const struct bpf_program *prog, const struct bpf_map *out,
		 const struct trips_place *place);
/* Joins two interfaces of a namespace. */
int trips_join(const char *ns, const char *const ifname[2]);

/* wire.c, sockets.c: 0, or a negative errno after a sentence on stderr; judging is the caller's. */
int trips_wire(const struct trips_run *run, struct trips_result *result);
int trips_sockets(const struct trips_run *run, struct trips_result *result);

#endif
