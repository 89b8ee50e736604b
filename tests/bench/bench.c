/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * build/bench: what relaying costs, as ratios in one run.  First every program
 * must prove itself (each byte of what it sends, in every case); then all take
 * turns, round by round, and a single lost or wrong packet ends the benchmark
 * with an error and no figure.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "bench.h"
#include "bench.skel.h"

#define BENCH_CPU    0
#define RELAY_ROUNDS 5
#define CASES_MAX    48

static struct {
	bool quick;
	bool verbose;
	bool common;
	const char *json;
	const char *only;
	const char *relay;
} arguments = { .json = "build/bench.json" };

static const struct argp_option options[] = {
	{ "quick", 'q', NULL, 0, "Fewer and shorter rounds: about 20 seconds in all", 0 },
	{ "json", 'j', "FILE", 0, "Write all figures to FILE (build/bench.json)", 0 },
	{ "only", 'o', "NAME", 0,
	  "Only cases with NAME in their name, e.g. unwrap, draft-21, foreign, \"/133\"; "
	  "\"flows\": "
	  "flows by the million",
	  0 },
	{ "relay", 'r', "COMMAND", 0,
	  "Compare with this relay in user space, too (a shell command, see tests/bench/bench.h)",
	  0 },
	{ "common", 'c', NULL, 0, "Measure the program that many interfaces share", 0 },
	{ "verbose", 'v', NULL, 0, "Show what libbpf says", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'q':
		arguments.quick = true;
		return 0;
	case 'j':
		arguments.json = arg;
		return 0;
	case 'o':
		arguments.only = arg;
		return 0;
	case 'r':
		arguments.relay = arg;
		return 0;
	case 'c':
		arguments.common = true;
		return 0;
	case 'v':
		arguments.verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int libbpf_says(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!arguments.verbose && level != LIBBPF_WARN)
		return 0;
	/* libxdp's section means nothing to libbpf. */
	if (!arguments.verbose && strstr(format, "skipping unrecognized"))
		return 0;
	return vfprintf(stderr, format, args);
}

uint64_t bench_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void bench_plan(struct bench *b, const struct bench_frames *frames)
{
	struct bench_plan *plan = &b->bpf->bss->bench_plan;

	for (int i = 0; i < BENCH_FLOWS; i++) {
		memcpy(plan->flows[i].sent, frames->sent[i], BENCH_HEAD);
		memcpy(plan->flows[i].want, frames->want[i], BENCH_HEAD);
	}
	plan->want_len = (uint32_t)frames->want_len;
	memcpy(&plan->want_type, frames->want[0] + 12, sizeof(plan->want_type));
	plan->proto_off = frames->want[0][12] == 0x08 ? 14 + 9 : 14 + 6;
	plan->check_word = frames->want[0][12] == 0x08 ? 5 : 7;
	plan->tag_off = (uint32_t)frames->tag_off;
	plan->undo = frames->undo;
}

static int open_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1,
		.exclude_user = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void bench_counters_start(struct bench *b)
{
	if (b->perf_fd < 0)
		return;
	ioctl(b->perf_fd, PERF_EVENT_IOC_RESET, 0);
	ioctl(b->perf_fd, PERF_EVENT_IOC_ENABLE, 0);
}

double bench_counters_stop(struct bench *b)
{
	uint64_t count;

	if (b->perf_fd < 0)
		return NAN;
	ioctl(b->perf_fd, PERF_EVENT_IOC_DISABLE, 0);
	return read(b->perf_fd, &count, sizeof(count)) == sizeof(count) ? (double)count : NAN;
}

/* ---- cases ---------------------------------------------------------------- */

static bool wanted(const char *name)
{
	return !arguments.only || strstr(name, arguments.only);
}

static int add_case(struct bench *b, struct bench_case *cases, int *count, struct bench_case c)
{
	if (!wanted(c.name) || *count == CASES_MAX)
		return 0;
	if (bench_is_stateful(c.way)) {
		int err = bench_flows_open(b, &c);

		if (err)
			return err;
	}
	for (int prog = 0; c.way != BENCH_FOREIGN && prog < BENCH_PROGS; prog++) {
		int err;

		c.frames[prog] = calloc(1, sizeof(*c.frames[prog]));
		err = c.frames[prog] ? bench_frames_build(&c, prog, c.frames[prog]) : -ENOMEM;
		if (err) {
			fprintf(stderr, "bench: cannot build the frames of %s: %s\n", c.name,
				strerror(-err));
			return err;
		}
	}
	cases[(*count)++] = c;
	return 0;
}

/* Established flows: names of families are pledge's and Registrar's. */
static int make_stateful_cases(struct bench *b, struct bench_case *cases, int *count)
{
	static const size_t sizes[] = { 64, 133, 512, 1200 };
	static const struct {
		const char *name;
		bool pledge4, registrar4;
	} families[] = { { "ipv6", false, false },
			 { "ipv4", true, true },
			 { "ipv6-ipv4", false, true },
			 { "ipv4-ipv6", true, false } };
	int err = 0;

	for (int way = BENCH_TRANSLATE; way <= BENCH_ANSWER; way++) {
		for (int f = 0; f < 4; f++) {
			for (int i = 0; !err && i < 4; i++) {
				struct bench_case c = {
					.way = way,
					.pledge4 = families[f].pledge4,
					.registrar4 = families[f].registrar4,
					.content = sizes[i],
				};

				if (f && sizes[i] != 133)
					continue;
				snprintf(c.name, sizeof(c.name), "%s/%s/%zu",
					 way == BENCH_ANSWER ? "answer" : "translate",
					 families[f].name, sizes[i]);
				err = add_case(b, cases, count, c);
			}
		}
	}
	return err;
}

static int make_cases(struct bench *b, struct bench_case *cases, int *count)
{
	static const enum jpx_form forms[] = { JPX_FORM_DRAFT02, JPX_FORM_DRAFT21 };
	static const size_t sizes[] = { 64, 133, 512, 1200 };
	static const char *const ways[] = { "wrap", "unwrap" };
	int err = 0;

	for (int way = BENCH_WRAP; way <= BENCH_UNWRAP; way++) {
		for (int f = 0; f < 2; f++) {
			const char *form = f ? "draft-21" : "draft-02";
			struct bench_case c = { .way = way, .form = forms[f] };

			for (int i = 0; !err && i < 4; i++) {
				c.content = sizes[i];
				snprintf(c.name, sizeof(c.name), "%s/%s/%zu", ways[way], form,
					 sizes[i]);
				err = add_case(b, cases, count, c);
			}
			if (f)
				continue;
			/* Only the five-element forms must look such a pledge's MAC up. */
			c.content = 133;
			c.opaque = true;
			snprintf(c.name, sizeof(c.name), "%s/%s/133/opaque-iid", ways[way], form);
			if (!err)
				err = add_case(b, cases, count, c);
		}
	}
	if (!err)
		err = make_stateful_cases(b, cases, count);
	for (int i = 0; !err && bench_foreign[i]; i++) {
		struct bench_case c = { .way = BENCH_FOREIGN, .foreign = bench_foreign[i] };

		snprintf(c.name, sizeof(c.name), "foreign/%s", bench_foreign[i]);
		err = add_case(b, cases, count, c);
	}
	if (!err && !*count && !wanted("flows")) {
		fprintf(stderr, "bench: no case has \"%s\" in its name\n", arguments.only);
		err = -ENOENT;
	}
	return err;
}

/* ---- rounds --------------------------------------------------------------- */

static void note(struct bench_cost *to, const struct bench_sample_cost *cost, int round)
{
	if (round < 0)
		return; /* the first one warms up */
	to->ns.v[to->ns.n++] = cost->ns;
	to->instr.v[to->instr.n++] = cost->instr;
}

static int run_case(struct bench *b, struct bench_case *c, int round)
{
	struct bench_sample_cost cost;
	int err = 0;

	/* Who goes first changes, so that nobody always follows the same neighbour. */
	for (int i = 0; !err && i < BENCH_PROGS; i++) {
		int prog = (i + round + BENCH_PROGS) % BENCH_PROGS;

		if (c->way == BENCH_FOREIGN) {
			if (prog != BENCH_FLOOR && prog != BENCH_JPX)
				continue;
			err = bench_foreign_run(b, c, prog, &cost);
			if (!err)
				note(&c->inner[prog], &cost, round);
			continue;
		}
		err = bench_inner_run(b, c, prog, &cost);
		if (!err)
			note(&c->inner[prog], &cost, round);
	}
	for (int i = 0; !err && c->way != BENCH_FOREIGN && i < BENCH_RESET; i++) {
		int prog = (i + round + BENCH_RESET) % BENCH_RESET;

		err = bench_live_run(b, c, prog, &cost);
		if (!err)
			note(&c->live[prog], &cost, round);
	}
	return err;
}

static int run_rounds(struct bench *b, struct bench_case *cases, int count, int rounds)
{
	uint64_t shown = 0;
	int err = 0;

	for (int round = -1; !err && round < rounds; round++) {
		for (int i = 0; !err && i < count; i++) {
			if (bench_now_ns() > shown + 1000000000) {
				shown = bench_now_ns();
				fprintf(stderr, "bench: round %d of %d, %s\n", round + 1, rounds,
					cases[i].name);
			}
			err = run_case(b, &cases[i], round);
		}
	}
	return err;
}

static int verify(struct bench *b, struct bench_case *cases, int count)
{
	int err = 0;

	fprintf(stderr, "bench: checking every program in %d cases\n", count);
	for (int i = 0; !err && i < count; i++)
		for (int prog = 0; !err && cases[i].way != BENCH_FOREIGN && prog < BENCH_RESET;
		     prog++)
			err = bench_live_verify(b, &cases[i], prog);
	return err;
}

static int run_relay(struct bench *b, struct bench_case *cases, int count,
		     struct bench_relay *relays, int *relay_count)
{
	const struct bench_case *c = NULL;
	int err = 0;

	for (int i = 0; i < count; i++)
		if (cases[i].way == BENCH_WRAP && cases[i].form == JPX_FORM_DRAFT02 &&
		    cases[i].content == 133 && !cases[i].opaque)
			c = &cases[i];
	if (!c || !arguments.relay)
		return 0;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		fprintf(stderr, "bench: one CPU only: no comparison with a relay in user space\n");
		return 0;
	}
	fprintf(stderr, "bench: %s\n", arguments.relay);
	for (int i = 0; !err && i < RELAY_ROUNDS; i++) {
		err = bench_relay_measure(b, c, arguments.relay, arguments.quick ? 0.2 : 0.5,
					  &relays[i]);
		*relay_count += !err;
	}
	return err;
}

static int open_bpf(struct bench *b)
{
	int err;

	b->bpf = bench_bpf__open();
	if (!b->bpf)
		return -errno;
	b->bpf->rodata->jpx_slot_id = arguments.common ? 0 : 1;
	b->bpf->rodata->bench_out_ifindex = (uint32_t)b->topo.p1;
	memcpy((void *)b->bpf->rodata->bench_out_macs, bench_mac_registrar, 6);
	memcpy((void *)(b->bpf->rodata->bench_out_macs + 6), bench_mac_p1, 6);
	err = bench_flows_size(b);
	if (!err)
		err = bench_bpf__load(b->bpf);
	if (err)
		fprintf(stderr, "bench: the kernel refused the programs: %s; --verbose shows why\n",
			strerror(-err));
	return err;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Measures the fast path against a plain redirect, FIB forwarding, a relay "
		       "in user space and XDP_PASS.  Needs root; uses a network namespace of its "
		       "own.  Exit status: 0 figures were taken, 1 they were not.",
	};
	static struct bench_case cases[CASES_MAX];
	struct bench_relay relays[RELAY_ROUNDS];
	static struct bench_many_figures many;
	struct bench b = { .perf_fd = -1 };
	int count = 0, relay_count = 0, err;
	cpu_set_t cpus;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	libbpf_set_print(libbpf_says);
	b.live_packets = arguments.quick ? 40000 : 150000;
	b.inner_packets = arguments.quick ? 80000 : 400000;
	CPU_ZERO(&cpus);
	CPU_SET(BENCH_CPU, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fprintf(stderr, "bench: cannot stay on CPU %d: %s\n", BENCH_CPU, strerror(errno));
	b.perf_fd = open_counter();

	err = bench_topo_make(&b.topo);
	if (!err)
		err = open_bpf(&b);
	if (!err)
		err = bench_topo_configure(&b);
	if (!err)
		err = bench_flows_start(&b);
	if (!err)
		err = make_cases(&b, cases, &count);
	if (!err)
		err = bench_live_open(&b);
	if (!err)
		err = verify(&b, cases, count);
	if (!err)
		err = run_rounds(&b, cases, count, arguments.quick ? 9 : 15);
	if (!err && wanted("flows"))
		err = bench_many_run(&b, &many, arguments.quick);
	if (!err)
		err = run_relay(&b, cases, count, relays, &relay_count);
	if (err) {
		fprintf(stderr, "bench: no figures: %s\n", strerror(-err));
		return 1;
	}
	bench_report(cases, count, relays, relay_count, arguments.relay,
		     wanted("flows") ? &many : NULL, arguments.json);
	return 0;
}
