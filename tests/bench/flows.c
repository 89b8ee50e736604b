/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows as jpd would have them: tables of the sizes that it would make, the
 * sweep running, and what it asks for (include/jpx/request.h).  Never writes a flow
 * itself: only the programs under test do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <jpx/flow_tables.h>
#include <jpx/request.h>

#include "bench.h"
#include "bench.skel.h"
#include "flows.skel.h"

#define IDLE (3600ULL * 1000000000 >> JPX_TICK_SHIFT) /* ticks: nothing ends by itself */

int bench_flows_size(struct bench *b)
{
	int err = bpf_map__set_max_entries(b->bpf->maps.jpx_flows, BENCH_SLOTS);

	if (!err)
		err = bpf_map__set_max_entries(b->bpf->maps.jpx_flow_hints,
					       BENCH_SLOTS / JPX_GROUP);
	if (!err)
		err = bpf_map__set_max_entries(b->bpf->maps.jpx_pledges, BENCH_MANY + 64);
	return err;
}

/* Runs jpx_flow_ask.  Returns its answer. */
static long ask(const struct bench *b, struct jpx_flow_request *request)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = request, .data_size_in = sizeof(*request),
		    .data_out = request, .data_size_out = sizeof(*request), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(b->flows->progs.jpx_flow_ask), &run);

	if (err || run.retval != 2 /* XDP_PASS */) {
		fprintf(stderr, "bench: jpx_flow_ask did not answer: %s\n",
			err ? strerror(-err) : "it refused");
		return -EIO;
	}
	return (long)request->answer;
}

static int put(const struct bpf_map *map, uint32_t key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY);
}

static struct jpx_flow_config config = {
	.secret = 0x6a09e667f3bcc908ULL,
	.first_port = BENCH_FIRST_PORT,
	.port_count = BENCH_PORT_COUNT,
	.idle = IDLE,
	.per_pledge = 8,
	.per_port = BENCH_SLOTS,
	.max = BENCH_MANY,
	.slots = BENCH_SLOTS,
	.port_groups = BENCH_PORT_COUNT / JPX_GROUP,
};

int bench_flows_limit(struct bench *b, uint32_t max)
{
	config.max = max;
	return put(b->bpf->maps.jpx_flow_config, 0, &config);
}

/* Addresses, and a multiplier for which no two have the same place. */
static int put_uplinks(struct bench *b)
{
	struct jpx_uplink uplinks[BENCH_UPLINKS + 1] = { 0 };
	uint32_t places[1 << JPX_PLACE_BITS], clashes = 1;
	int err = 0;

	for (uint32_t p = 0; p <= BENCH_UPLINK4; p++) {
		struct jpx_uplink *u = &uplinks[p];
		uint16_t words[8];

		inet_pton(AF_INET6, BENCH_UPLINK, u->addr);
		u->addr[15] = (uint8_t)(u->addr[15] + p);
		if (p == BENCH_UPLINK4) {
			memset(u->addr, 0, sizeof(u->addr));
			u->addr[10] = u->addr[11] = 0xff;
			inet_pton(AF_INET, BENCH_PROXY4, u->addr + 12);
		}
		memcpy(words, u->addr, sizeof(words));
		for (int i = p == BENCH_UPLINK4 ? 6 : 0; i < 8; i++)
			u->addr_sum += words[i];
		u->flags = JPX_UPLINK_IN_USE | JPX_UPLINK_READY;
		err = err ? err : put(b->bpf->maps.jpx_uplinks, p, u);
	}
	for (config.uplink_hash = 0x9e3779b1; clashes; config.uplink_hash += 2) {
		memset(places, 0, sizeof(places));
		clashes = 0;
		for (uint32_t p = 0; p <= BENCH_UPLINK4; p++) {
			uint32_t *place;

			place = &places[jpx_uplink_hash_of(&config, uplinks[p].addr)];
			clashes += *place != 0;
			*place = p + 1;
		}
		if (!clashes)
			break;
	}
	for (uint32_t i = 0; !err && i < 1 << JPX_PLACE_BITS; i++)
		err = put(b->bpf->maps.jpx_uplink_places, i, &places[i]);
	return err;
}

static int share_maps(struct bench *b)
{
	struct bpf_map *map, *ours;
	int err = 0;

	bpf_object__for_each_map(map, b->flows->obj) {
		ours = bpf_object__find_map_by_name(b->bpf->obj, bpf_map__name(map));
		/* The sweeper's and the socket's are its own, and each object's constants. */
		if (ours && strncmp(bpf_map__name(map), "jpx_", 4) == 0)
			err = err ? err : bpf_map__reuse_fd(map, bpf_map__fd(ours));
	}
	return err;
}

int bench_flows_start(struct bench *b)
{
	struct jpx_flow_request start = { .verb = JPX_ASK_START };
	struct jpx_dport flow = { .flow = 1 };
	int err;

	b->flows = flows_bpf__open();
	err = b->flows ? share_maps(b) : -errno;
	if (!err)
		err = flows_bpf__load(b->flows);
	if (err) {
		fprintf(stderr, "bench: the kernel refused bpf/flows.bpf.c: %s\n", strerror(-err));
		return err;
	}
	err = bench_topo_keep(b->flows->progs.jpx_flow_ask);
	if (!err)
		err = put_uplinks(b);

	if (!err)
		err = bench_flows_limit(b, BENCH_MANY);
	for (uint32_t i = 0; !err && i < BENCH_PORT_COUNT; i++)
		err = put(b->bpf->maps.jpx_dports, BENCH_FIRST_PORT + i, &flow);
	if (err)
		return err;
	b->table = mmap(NULL, BENCH_SLOTS * sizeof(*b->table), PROT_READ, MAP_SHARED,
			bpf_map__fd(b->bpf->maps.jpx_flows), 0);
	if (b->table == MAP_FAILED)
		return -errno;
	return ask(b, &start) ? -EIO : 0;
}

int bench_flows_end(struct bench *b)
{
	struct jpx_flow_request end = { .verb = JPX_ASK_END };

	return ask(b, &end) < 0 ? -EIO : 0;
}

int bench_flows_open(struct bench *b, struct bench_case *c)
{
	for (unsigned int i = 0; i < BENCH_FLOWS; i++) {
		struct jpx_flow_request open = { .verb = JPX_ASK_OPEN };
		struct jpx_pledge pledge;
		struct jpx_uplink uplink;
		uint32_t place;
		uint64_t mac = 0;
		long slot;
		int err;

		bench_pledge(c, i, &pledge);
		for (int byte = 0; byte < 6; byte++)
			mac = mac << 8 | pledge.mac[byte];
		memcpy(&open.key.pledge, pledge.addr + 8, 8);
		if (c->pledge4) {
			/* jpx_pledge_id() */
			memset(&open.key.pledge, 0, 4);
			open.key.kind = JPX_FLOW_IPV4;
		}
		open.key.udp_port = htons(pledge.udp_port);
		open.key.port_id = pledge.port_id;
		open.key.service_id = (uint8_t)bench_service(c);
		open.mac = mac;
		slot = ask(b, &open);
		if (slot < 0 || slot >= BENCH_SLOTS) {
			fprintf(stderr, "bench: %s: no flow for pledge %u: %ld\n", c->name, i,
				slot);
			return -EIO;
		}
		place = b->table[slot].uplink;
		err = bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.jpx_uplinks), &place, &uplink);
		if (err)
			return err;
		memcpy(c->uplinks[i].addr, uplink.addr, 16);
		c->uplinks[i].port = ntohs(b->table[slot].uplink_port);
	}
	return 0;
}
