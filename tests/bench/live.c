/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames through a real pipeline, all of it on this thread's CPU: the kernel's
 * live-frame test run transmits them out of far0, the program under test runs
 * on p0 and redirects to p1, the sink on far1 compares and counts.  What one
 * program costs more than another is the difference of two such runs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/if_link.h>

#include "bench.h"
#include "bench.skel.h"

#define BATCH	     64
#define WAIT_NS	     500000000ULL /* for the last packets of a run */
#define VERIFY_COUNT BENCH_SAMPLES

static const char *const prog_names[] = { "floor", "jpx", "fib", "reset" };

static int link_xdp(const struct bpf_program *prog, int ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int fd = bpf_link_create(bpf_program__fd(prog), ifindex, BPF_XDP, &opts);

	if (fd < 0)
		fprintf(stderr, "bench: cannot attach %s to veth in native mode: %s\n",
			bpf_program__name(prog), strerror(errno));
	return fd < 0 ? -errno : fd;
}

int bench_live_open(struct bench *b)
{
	b->p0_link = link_xdp(b->bpf->progs.bench_floor, b->topo.p0);
	if (b->p0_link < 0)
		return b->p0_link;
	b->far1_link = link_xdp(b->bpf->progs.bench_sink, b->topo.far1);
	return b->far1_link < 0 ? b->far1_link : 0;
}

static const struct bpf_program *program_of(const struct bench *b, enum bench_prog prog)
{
	switch (prog) {
	case BENCH_FLOOR:
		return b->bpf->progs.bench_floor;
	case BENCH_FIB:
		return b->bpf->progs.bench_fib;
	default:
		return b->bpf->progs.jpx_xdp_ethernet;
	}
}

int bench_live_transmit(struct bench *b, const struct bpf_program *generator, const uint8_t *frame,
			size_t len, uint64_t count, uint64_t expected, uint64_t *ns)
{
	volatile struct bench_seen *seen = &b->bpf->bss->bench_seen;
	struct xdp_md in = {
		.data_end = (uint32_t)len,
		.ingress_ifindex = (uint32_t)b->topo.far0,
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (uint32_t)len,
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	uint64_t start, deadline;
	int err;

	start = bench_cpu_ns();
	err = bpf_prog_test_run_opts(bpf_program__fd(generator), &run);
	*ns = bench_cpu_ns() - start;
	if (err) {
		fprintf(stderr,
			"bench: the kernel refused live frames: %s; they need Linux 5.18 or "
			"later\n",
			strerror(-err));
		return err;
	}
	deadline = bench_now_ns() + WAIT_NS;
	while (seen->good + seen->bad < expected && bench_now_ns() < deadline)
		usleep(50);
	return 0;
}

/* Sends COUNT frames and waits for all of them; *NS is the CPU time that it took. */
static int transmit(struct bench *b, const struct bench_frames *f, uint64_t count, uint64_t *ns)
{
	memset(&b->bpf->bss->bench_seen, 0, sizeof(b->bpf->bss->bench_seen));
	return bench_live_transmit(b, b->bpf->progs.bench_generate, f->sent[0], f->sent_len, count,
				   count, ns);
}

static int judge(const struct bench *b, const struct bench_case *c, enum bench_prog prog,
		 uint64_t count)
{
	const struct bench_seen *seen = &b->bpf->bss->bench_seen;

	if (seen->good == count && !seen->bad)
		return 0;
	fprintf(stderr,
		"bench: %s, %s: of %llu packets %llu arrived right, %llu wrong, %lld never (%llu "
		"others)\n",
		c->name, prog_names[prog], (unsigned long long)count, seen->good, seen->bad,
		(long long)(count - seen->good - seen->bad), seen->stray);
	if (seen->bad)
		fprintf(stderr,
			"bench: the last wrong one: %llu bytes (expected %u), bytes %llu on: is "
			"%016llx, expected %016llx (as in memory, lowest first)\n",
			seen->bad_len, b->bpf->bss->bench_plan.want_len, seen->bad_word * 8,
			seen->bad_is, seen->bad_want);
	return -EBADMSG;
}

static int use(struct bench *b, const struct bench_case *c, enum bench_prog prog)
{
	int err = bpf_link_update(b->p0_link, bpf_program__fd(program_of(b, prog)), NULL);

	bench_plan(b, c->frames[prog]);
	b->bpf->bss->bench_turn.n = 0;
	return err ? -errno : 0;
}

int bench_live_verify(struct bench *b, const struct bench_case *c, enum bench_prog prog)
{
	const struct bench_frames *f = c->frames[prog];
	static struct bench_sample sample;
	uint64_t ns;
	int err;

	err = use(b, c, prog);
	if (!err)
		err = bpf_link_update(b->far1_link, bpf_program__fd(b->bpf->progs.bench_sampler),
				      NULL);
	if (!err)
		err = transmit(b, f, VERIFY_COUNT, &ns);
	if (!err)
		err = judge(b, c, prog, VERIFY_COUNT);
	for (uint32_t i = 0; !err && i < VERIFY_COUNT; i++) {
		const uint8_t *want = f->want[i % BENCH_FLOWS];

		err = bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.bench_samples), &i, &sample);
		if (err)
			break;
		if (sample.len != f->want_len || memcmp(sample.data, want, f->want_len)) {
			size_t at = 0;

			while (at < sample.len && at < f->want_len && sample.data[at] == want[at])
				at++;
			fprintf(stderr,
				"bench: %s, %s: frame %u has %u bytes (expected %zu) and differs "
				"from byte %zu on: %02x, expected %02x\n",
				c->name, prog_names[prog], i, sample.len, f->want_len, at,
				sample.data[at], want[at]);
			err = -EBADMSG;
		} else if (!bench_frame_checksum_ok(sample.data, sample.len)) {
			fprintf(stderr, "bench: %s, %s: frame %u has a wrong UDP checksum\n",
				c->name, prog_names[prog], i);
			err = -EBADMSG;
		}
	}
	if (bpf_link_update(b->far1_link, bpf_program__fd(b->bpf->progs.bench_sink), NULL) && !err)
		err = -errno;
	return err;
}

int bench_live_run(struct bench *b, const struct bench_case *c, enum bench_prog prog,
		   struct bench_sample_cost *cost)
{
	uint64_t ns, count = b->live_packets;
	int err = use(b, c, prog);

	if (err)
		return err;
	bench_counters_start(b);
	err = transmit(b, c->frames[prog], count, &ns);
	cost->instr = bench_counters_stop(b) / (double)count;
	cost->ns = (double)ns / (double)count;
	return err ? err : judge(b, c, prog, count);
}
