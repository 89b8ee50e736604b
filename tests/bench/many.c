/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows by the million: what the first datagram of one costs, what the others
 * cost when they are spread over ten, ten thousand or a million flows, what a
 * newcomer costs who is refused, and how much memory a flow takes.
 *
 * Visits are in random order (a table that is read in sequence says whom each packet is
 * for, so the harness costs the same however many flows there are).  The sink knows of each
 * packet whose it must be, and compares all of its headers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <jpx/flow_tables.h>

#include "bench.h"
#include "bench.skel.h"

#define VISITS (1 << BENCH_MANY_BITS)

const uint32_t bench_levels[BENCH_LEVELS] = { 10, 10000, BENCH_MANY };

enum way { TO_REGISTRAR, TO_PLEDGE };

struct many {
	struct bench *b;
	struct bench_visit *visits;  /* as the kernel sees them */
	struct bench_visit *pledges; /* by number: where its flow leaves from */
	struct bench_many_figures *m;
	uint64_t packets; /* a run */
	uint8_t frame[BENCH_FRAME_MAX];
	uint64_t random;
	bool warm; /* the first round is thrown away */
};

static uint64_t next_random(struct many *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

static void note(const struct many *t, struct bench_series *s, double v)
{
	if (t->warm && s->n < BENCH_ROUNDS_MAX)
		s->v[s->n++] = v;
}

/* ---- one run ----------------------------------------------------------------- */

static size_t set_patterns(struct many *t, enum way way, bool floor)
{
	struct bench_many *many = &t->b->bpf->bss->bench_many;
	enum bench_kind in = way == TO_PLEDGE ? BENCH_FROM_REGISTRAR : BENCH_FROM_PLEDGE;
	enum bench_kind out = way == TO_PLEDGE ? BENCH_TO_PLEDGE : BENCH_TO_REGISTRAR;

	bench_frame_many(floor ? in : out, floor, &many->want, t->frame);
	return bench_frame_many(in, false, &many->sent, t->frame);
}

static int judge(const struct many *t, const char *what, uint64_t expected)
{
	const struct bench_seen *seen = &t->b->bpf->bss->bench_seen;

	if (seen->good == expected && !seen->bad)
		return 0;
	fprintf(stderr, "bench: %s: of %llu packets %llu arrived right, %llu wrong\n", what,
		(unsigned long long)expected, seen->good, seen->bad);
	return -EBADMSG;
}

/* Starts at the first visit. */
static void start_over(struct many *t)
{
	memset(&t->b->bpf->bss->bench_turn, 0, sizeof(t->b->bpf->bss->bench_turn));
	memset(&t->b->bpf->bss->bench_seen, 0, sizeof(t->b->bpf->bss->bench_seen));
	t->b->bpf->bss->bench_many.visits = BENCH_MANY;
}

static int use(struct many *t, const struct bpf_program *at_p0)
{
	return bpf_link_update(t->b->p0_link, bpf_program__fd(at_p0), NULL) ? -errno : 0;
}

/* COUNT visits from the first on, all of which arrive. */
static int visit(struct many *t, const char *what, size_t len, uint64_t count, double *each)
{
	uint64_t ns;
	int err;

	start_over(t);
	err = bench_live_transmit(t->b, t->b->bpf->progs.bench_generate_many, t->frame, len, count,
				  count, &ns);
	*each = (double)ns / (double)count;
	return err ? err : judge(t, what, count);
}

static int run_way(struct many *t, enum way way, bool floor, struct bench_series *to)
{
	size_t len = set_patterns(t, way, floor);
	double each;
	int err;

	err = use(t, floor ? t->b->bpf->progs.bench_floor : t->b->bpf->progs.jpx_xdp_ethernet);
	if (!err)
		err = visit(t, floor ? "floor, many flows" : "many flows", len, t->packets, &each);
	if (!err)
		note(t, to, each);
	return err;
}

/* ---- opening flows ------------------------------------------------------------ */

static void line_up(struct many *t, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		t->visits[i] = (struct bench_visit){ .pledge = i };
}

static int check_count(const struct many *t, uint32_t count)
{
	uint32_t zero = 0, all = 0;

	bpf_map_lookup_elem(bpf_map__fd(t->b->bpf->maps.jpx_flow_counts), &zero, &all);
	if (all == count)
		return 0;
	fprintf(stderr, "bench: %u flows are counted after %u first datagrams\n", all, count);
	return -EBADMSG;
}

/* Is each pledge's flow in the table where its first datagram was seen to leave from? */
static int check_flows(const struct many *t, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct bench_visit *v = &t->visits[i];
		uint32_t slot = v->place * BENCH_PORT_COUNT + ntohs(v->port) - BENCH_FIRST_PORT;
		const struct jpx_flow *flow = slot < BENCH_SLOTS ? &t->b->table[slot] : NULL;
		uint32_t low = 0;

		if (flow)
			memcpy(&low, (const uint8_t *)&flow->key.pledge + 4, 4);
		if (flow && flow->state == JPX_FLOW_LIVE && ntohl(low) == (0xfe000000 | i) &&
		    flow->mac == (0x020033000000ULL | i))
			continue;
		fprintf(stderr, "bench: slot %u does not hold the flow of pledge %u\n", slot, i);
		return -EBADMSG;
	}
	return check_count(t, count);
}

/* COUNT first datagrams, live. */
static int fill(struct many *t, uint32_t count, double *each)
{
	size_t len = set_patterns(t, TO_REGISTRAR, false);
	int err = bench_flows_end(t->b);

	line_up(t, count);
	if (!err)
		err = use(t, t->b->bpf->progs.jpx_xdp_ethernet);
	if (!err)
		err = visit(t, "first datagrams", len, count, each);
	if (!err)
		err = check_flows(t, count);
	memcpy(t->pledges, t->visits, count * sizeof(*t->pledges));
	return err;
}

static int inner(struct many *t, const struct bpf_program *prog, size_t len, uint32_t count,
		 double *each)
{
	struct xdp_md in = {
		.data_end = (uint32_t)len,
		.ingress_ifindex = (uint32_t)t->b->topo.p0,
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = t->frame, .data_size_in = (uint32_t)len,
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = (int)count);
	uint64_t start;
	int err;

	start_over(t);
	start = bench_cpu_ns();
	err = bpf_prog_test_run_opts(bpf_program__fd(prog), &run);
	*each = (double)(bench_cpu_ns() - start) / count;
	return err ? err : judge(t, bpf_program__name(prog), count);
}

/* COUNT first datagrams, the program alone. */
static int fill_inner(struct many *t, uint32_t count)
{
	size_t len = set_patterns(t, TO_REGISTRAR, false);
	int err = bench_flows_end(t->b);
	double reset, jpx;

	line_up(t, count);
	if (!err)
		err = inner(t, t->b->bpf->progs.bench_inner_many_reset, len, count, &reset);
	if (!err)
		err = inner(t, t->b->bpf->progs.bench_inner_many_jpx, len, count, &jpx);
	if (!err)
		err = check_count(t, count);
	if (!err)
		note(t, &t->m->first_inner, jpx - reset);
	return err;
}

/* ---- the cost of many ---------------------------------------------------------- */

/* Visits to the first COUNT pledges, EACH datagrams in a row to one, in random order. */
static void scatter(struct many *t, uint32_t count, uint32_t each)
{
	uint32_t flights = BENCH_MANY / each;

	for (uint32_t i = 0; i < flights; i++)
		t->visits[i * each] = t->pledges[i % count];
	for (uint32_t i = flights - 1; i > 0; i--) {
		uint32_t other = (uint32_t)(next_random(t) % (i + 1));
		struct bench_visit v = t->visits[i * each];

		t->visits[i * each] = t->visits[other * each];
		t->visits[other * each] = v;
	}
	for (uint32_t i = 0; i < flights * each; i++)
		t->visits[i] = t->visits[i / each * each];
}

static int run_level(struct many *t, enum bench_order order, int level)
{
	struct bench_level *to = &t->m->levels[order][level];
	double look;
	int err;

	scatter(t, bench_levels[level], order == BENCH_FLIGHTS ? BENCH_FLIGHT : 1);
	err = inner(t, t->b->bpf->progs.bench_inner_look, set_patterns(t, TO_REGISTRAR, false),
		    BENCH_MANY, &look);
	if (!err)
		note(t, &to->look, look);
	for (int way = TO_REGISTRAR; !err && way <= TO_PLEDGE; way++) {
		err = run_way(t, way, true, &to->floor[way]);
		if (!err)
			err = run_way(t, way, false, &to->jpx[way]);
	}
	return err;
}

/* ---- a flood --------------------------------------------------------------------- */

/* Newcomers refused so far: dropped, or handed off to be told so. */
static uint64_t refusals(const struct many *t)
{
	static struct jpx_stats stats[256];
	uint32_t key = BENCH_MANY_PORT;
	int cpus = libbpf_num_possible_cpus();
	uint64_t n = 0;

	if (cpus > 256 || bpf_map_lookup_elem(bpf_map__fd(t->b->bpf->maps.jpx_stats), &key, stats))
		return 0;
	for (int i = 0; i < cpus; i++)
		n += stats[i].drops[JPX_DROP_FLOWS_FULL] +
		     stats[i].handoffs[JPX_HANDOFF_FLOW_REFUSED];
	return n;
}

/* COUNT frames, NEWCOMERS of each ten from pledges without a flow. */
static int flood(struct many *t, uint64_t count, uint32_t newcomers, double *each)
{
	size_t len = set_patterns(t, TO_REGISTRAR, false);
	uint64_t kept = count / 10 * (10 - newcomers), refused = count - kept;
	uint64_t before = refusals(t), ns, deadline;
	int err;

	start_over(t);
	t->b->bpf->bss->bench_many.newcomers = newcomers;
	t->b->bpf->bss->bench_turn.newcomer = (uint32_t)next_random(t);
	err = bench_live_transmit(t->b, t->b->bpf->progs.bench_generate_flood, t->frame, len, count,
				  kept, &ns);
	*each = (double)ns / (double)count;
	if (!err)
		err = judge(t, "flows during a flood of newcomers", kept);
	deadline = bench_now_ns() + 500000000;
	while (!err && refusals(t) - before < refused && bench_now_ns() < deadline)
		usleep(50);
	if (!err && refusals(t) - before != refused) {
		fprintf(stderr, "bench: of %llu newcomers %llu were refused\n",
			(unsigned long long)refused, (unsigned long long)(refusals(t) - before));
		err = -EBADMSG;
	}
	t->m->refusals += refused;
	t->m->kept += kept;
	return err;
}

static int run_flood(struct many *t)
{
	uint64_t count = t->packets / 10 * 10, ns;
	double refused = 0, mixed = 0;
	int err;

	err = use(t, t->b->bpf->progs.jpx_xdp_ethernet);
	if (!err)
		err = flood(t, count, 10, &refused);
	if (!err)
		err = flood(t, count, 9, &mixed);
	if (!err)
		err = use(t, t->b->bpf->progs.bench_drop);
	start_over(t);
	if (!err)
		err = bench_live_transmit(t->b, t->b->bpf->progs.bench_generate_many, t->frame,
					  set_patterns(t, TO_REGISTRAR, false), count, 0, &ns);
	if (err)
		return err;
	note(t, &t->m->refused, refused);
	note(t, &t->m->refused_floor, (double)ns / (double)count);
	return 0;
}

/* ---- memory ------------------------------------------------------------------------ */

static double memory_of(const struct bpf_map *map)
{
	char path[64], line[128];
	double bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "memlock: %lf", &bytes);
	if (f)
		fclose(f);
	return bytes;
}

/* ---- all of it ----------------------------------------------------------------------- */

static int run_round(struct many *t)
{
	double first = 0, again = 0;
	int err = 0;

	for (int i = 0; !err && i < BENCH_LEVELS; i++) {
		err = fill(t, bench_levels[i], &first);
		/* The same datagrams in the same order, of flows that exist now. */
		if (!err && i == BENCH_LEVELS - 1)
			err = visit(t, "second datagrams", set_patterns(t, TO_REGISTRAR, false),
				    bench_levels[i], &again);
		for (int order = 0; !err && order < BENCH_ORDERS; order++)
			err = run_level(t, order, i);
	}
	if (!err)
		err = run_flood(t);
	if (!err)
		err = fill_inner(t, BENCH_MANY);
	if (err)
		return err;
	note(t, &t->m->first, first);
	note(t, &t->m->again, again);
	return 0;
}

int bench_many_run(struct bench *b, struct bench_many_figures *m, bool quick)
{
	struct many t = { .b = b, .m = m, .random = 88172645463325252ULL };
	const struct bpf_map *maps[3] = { b->bpf->maps.jpx_flows, b->bpf->maps.jpx_flow_hints,
					  b->bpf->maps.jpx_pledges };
	int err = 0, rounds = quick ? 3 : 9;

	t.packets = quick ? BENCH_MANY / 4 : BENCH_MANY;
	t.visits = mmap(NULL, VISITS * sizeof(*t.visits), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(b->bpf->maps.bench_visits), 0);
	t.pledges = calloc(BENCH_MANY, sizeof(*t.pledges));
	if (t.visits == MAP_FAILED || !t.pledges)
		return -ENOMEM;
	if (bpf_link_update(b->far1_link, bpf_program__fd(b->bpf->progs.bench_sink_many), NULL))
		return -errno;
	for (int round = -1; !err && round < rounds; round++) {
		fprintf(stderr, "bench: round %d of %d, a million flows\n", round + 1, rounds);
		t.warm = round >= 0;
		err = run_round(&t);
	}
	for (int i = 0; i < 3; i++)
		m->bytes[i] = memory_of(maps[i]) / BENCH_MANY;
	bench_flows_end(b);
	free(t.pledges);
	munmap(t.visits, VISITS * sizeof(*t.visits));
	return err;
}
