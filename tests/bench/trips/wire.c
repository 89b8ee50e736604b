/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Far ends that are XDP programs (ends.bpf.c).  Once each pledge's first
 * datagram is sent the trips go on by themselves; here is only the watch over
 * them: the clock, the counters, and a new datagram for a trip that was lost.
 *
 * Pledges begin on all CPUs in turn, as on a NIC with a queue a CPU, and slowly: a
 * veth's queue holds 256 frames.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "run.h"
#include "trips.skel.h"

#define START_BATCH  8	 /* datagrams that are sent at once ... */
#define START_GAP_US 300 /* ... and the time until the next */
#define LOOK_NS	     20000000ULL

struct wire {
	const struct trips_run *run;
	struct trips_bpf *bpf;
	struct trips_pledge *pledges; /* shared with the programs */
	const struct trips_peer *peers;
	int packet;	/* socket at the pledges' interface */
	uint8_t mac[6]; /* of that interface */
	uint64_t seen_trip[TRIPS_PLEDGES], seen_at[TRIPS_PLEDGES];
	unsigned int waiting; /* pledges at a time that are not on the wire */
	uint64_t lost;
};

static uint64_t sum16(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, b + i, 2);
		sum += word;
	}
	return len & 1 ? sum + b[len - 1] : sum; /* as if a zero byte followed; little endian */
}

static uint16_t checksum(const struct ip6_hdr *ip6, const void *udp, size_t len)
{
	uint64_t sum = sum16(&ip6->ip6_src, 32) + sum16(udp, len) + htons((uint16_t)len) +
		       htons(IPPROTO_UDP);

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

static void plan(struct wire *w)
{
	struct trips_plan *p = &w->bpf->bss->trips_plan;
	uint8_t content[TRIPS_CONTENT];

	trips_content(content, 0, 0);
	memcpy(p->content, content, sizeof(p->content));
	memcpy(&p->last, content + TRIPS_LAST, sizeof(p->last));
	p->content_sum = sum16(content, sizeof(content));
	memcpy(p->relay_addr, &w->run->relay.sin6_addr, 16);
	p->relay_port_be = w->run->relay.sin6_port;
	p->registrar_port_be = htons(w->run->registrar_port);
	if (w->run->count > TRIPS_ON_WIRE)
		p->waiting = w->waiting = w->run->count - TRIPS_ON_WIRE;
	for (unsigned int i = 0; i < w->waiting; i++)
		w->bpf->bss->trips_line[i] = TRIPS_ON_WIRE + i;
}

static int send_first(struct wire *w, unsigned int who)
{
	struct {
		struct ethhdr eth;
		struct ip6_hdr ip6;
		struct udphdr udp;
		uint8_t content[TRIPS_CONTENT];
	} __attribute__((packed)) f = { 0 };
	struct ip6_hdr ip6 = {
		.ip6_flow = htonl(0x60000000),
		.ip6_plen = htons(sizeof(f.udp) + TRIPS_CONTENT),
		.ip6_nxt = IPPROTO_UDP,
		.ip6_hlim = 64,
		.ip6_src = { .s6_addr = { 0xfe, 0x80 } },
		.ip6_dst = w->run->relay.sin6_addr,
	};
	uint64_t iid = __builtin_bswap64(TRIPS_IID + who);

	memcpy(f.eth.h_dest, w->run->relay_mac, 6);
	memcpy(f.eth.h_source, w->mac, 6);
	f.eth.h_proto = htons(ETH_P_IPV6);
	memcpy(ip6.ip6_src.s6_addr + 8, &iid, 8);
	f.ip6 = ip6;
	f.udp.source = htons((uint16_t)(TRIPS_FIRST_PORT + who));
	f.udp.dest = w->run->relay.sin6_port;
	f.udp.len = ip6.ip6_plen;
	trips_content(f.content, who, w->pledges[who].trip);
	f.udp.check = checksum(&ip6, &f.udp, sizeof(f.udp) + TRIPS_CONTENT);
	if (send(w->packet, &f, sizeof(f), 0) != sizeof(f)) {
		/* a full queue is a loss like any other */
		if (errno == ENOBUFS || errno == EAGAIN)
			return 0;
		fprintf(stderr, "trips: cannot send from %s: %s\n", w->run->pledges.ifname,
			strerror(errno));
		return -errno;
	}
	return 0;
}

/*
 * Sends anew what had no answer for too long.  Time spent waiting for the wire counts,
 * too: it is far shorter with anything that makes a few thousand trips a second.
 */
static int look(struct wire *w)
{
	uint64_t now = trips_now_ns();
	int err = 0;

	for (unsigned int i = 0; !err && i < w->run->count; i++) {
		volatile struct trips_pledge *p = &w->pledges[i];
		uint64_t trip = p->trip;

		if (trip != w->seen_trip[i]) {
			w->seen_trip[i] = trip;
			w->seen_at[i] = now;
		} else if (now - w->seen_at[i] >= TRIPS_GIVE_UP_NS) {
			w->lost++;
			p->trip = w->seen_trip[i] = trip + 1; /* whatever comes yet is late */
			w->seen_at[i] = now;
			err = send_first(w, i);
		}
	}
	return err;
}

/* Watches for NS, or until each pledge has had an answer (if asked). */
static int watch(struct wire *w, uint64_t ns, bool until_all)
{
	uint64_t end = trips_now_ns() + ns, now;
	int err = 0;

	while (!err && (now = trips_now_ns()) < end) {
		unsigned int done = 0;

		for (unsigned int i = 0; until_all && i < w->run->count; i++)
			done += ((volatile struct trips_pledge *)w->pledges)[i].done != 0;
		if (until_all && done == w->run->count)
			return 0;
		usleep((useconds_t)((end - now < LOOK_NS ? end - now : LOOK_NS) / 1000 + 1));
		err = look(w);
	}
	return err ? err : until_all ? -ETIMEDOUT : 0;
}

static int start(struct wire *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int done = 0;
	int err = 0;

	for (unsigned int i = 0; i < w->run->count; i++) {
		w->pledges[i].trip = w->seen_trip[i] = 1;
		w->seen_at[i] = trips_now_ns();
	}
	for (unsigned int i = 0; !err && i < w->run->count - w->waiting; i++) {
		err = trips_pin((int)(i / START_BATCH % (unsigned long)cpus));
		w->seen_at[i] = trips_now_ns();
		if (!err)
			err = send_first(w, i);
		if (i % START_BATCH == START_BATCH - 1)
			usleep(START_GAP_US);
	}
	if (!err)
		err = trips_pin(TRIPS_ANY_CPU);
	if (!err)
		err = watch(w, TRIPS_START_NS, true);
	if (err == -ETIMEDOUT) {
		for (unsigned int i = 0; i < w->run->count; i++)
			done += w->pledges[i].done != 0;
		fprintf(stderr, "trips: only %u of %u pledges had an answer within %llu s\n", done,
			w->run->count, TRIPS_START_NS / 1000000000);
	}
	return err;
}

static uint64_t done_sum(const struct wire *w)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < w->run->count; i++)
		sum += ((const volatile struct trips_pledge *)w->pledges)[i].done;
	return sum;
}

/* Tells those on the wire to stop after this trip; those that do not come to rest are lost. */
static void stop(struct wire *w)
{
	uint64_t end = trips_now_ns() + TRIPS_GIVE_UP_NS;
	unsigned int rested, under_way = w->run->count - w->waiting;

	w->bpf->bss->trips_stop = 1;
	do {
		usleep(2000);
		rested = 0;
		for (unsigned int i = 0; i < w->run->count; i++)
			rested += ((volatile struct trips_pledge *)w->pledges)[i].rested != 0;
	} while (rested < under_way && trips_now_ns() < end);
	w->lost += rested < under_way ? under_way - rested : 0;
}

static int measure(struct wire *w, struct trips_result *r)
{
	uint64_t began, done;
	int err = start(w);

	if (!err)
		err = watch(w, TRIPS_WARM_UP_NS, false);
	if (err)
		return err;
	w->lost = 0;
	done = done_sum(w);
	began = trips_now_ns();
	err = watch(w, (uint64_t)(w->run->seconds * 1e9), false);
	r->trips = done_sum(w) - done;
	r->seconds = (double)(trips_now_ns() - began) / 1e9;
	if (err)
		return err;
	stop(w);
	r->lost = w->lost;
	r->peers = trips_distinct(w->peers, w->run->count);
	for (unsigned int i = 0; i < w->run->count; i++)
		r->moved += w->peers[i].changes;
	return 0;
}

/* ---- raising ---------------------------------------------------------------- */

static int open_packet(struct wire *w)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	struct ifreq ifr = { 0 };
	int on = 1, err = trips_enter(w->run->pledges.ns);

	if (err)
		return err;
	memcpy(ifr.ifr_name, w->run->pledges.ifname, sizeof(w->run->pledges.ifname));
	at.sll_ifindex = (int)if_nametoindex(ifr.ifr_name);
	/* Protocol 0: it only sends. */
	w->packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	/* Past the queueing discipline the queue is that of the CPU. */
	if (w->packet < 0 || bind(w->packet, (struct sockaddr *)&at, sizeof(at)) ||
	    setsockopt(w->packet, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) ||
	    ioctl(w->packet, SIOCGIFHWADDR, &ifr)) {
		err = -errno;
		fprintf(stderr, "trips: no packet socket at %s: %s\n", ifr.ifr_name,
			strerror(-err));
		return err;
	}
	memcpy(w->mac, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}

static void *share(const struct bpf_map *map, size_t entry, int protection)
{
	return mmap(NULL, TRIPS_PLEDGES * entry, protection, MAP_SHARED, bpf_map__fd(map), 0);
}

int trips_wire(const struct trips_run *run, struct trips_result *result)
{
	static struct wire w;
	int err;

	w.run = run;
	w.bpf = trips_bpf__open_and_load();
	if (!w.bpf) {
		fprintf(stderr, "trips: the kernel refused the far ends' programs: %s\n",
			strerror(errno));
		return -errno;
	}
	w.pledges = share(w.bpf->maps.trips_pledge_map, sizeof(*w.pledges), PROT_READ | PROT_WRITE);
	w.peers = share(w.bpf->maps.trips_peer_map, sizeof(*w.peers), PROT_READ);
	if (w.pledges == MAP_FAILED || w.peers == MAP_FAILED)
		return -errno;
	plan(&w);
	err = trips_attach(w.bpf->progs.trips_registrar, w.bpf->maps.trips_registrar_out,
			   &run->registrar);
	if (!err)
		err = trips_attach(w.bpf->progs.trips_pledges, w.bpf->maps.trips_pledges_out,
				   &run->pledges);
	if (!err)
		err = open_packet(&w);
	if (!err)
		err = measure(&w, result);
	memcpy(result->faults, w.bpf->bss->trips_faults, sizeof(result->faults));
	return err;
}
