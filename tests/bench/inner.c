/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs alone, in the kernel's test loop.  The loop does not restore the
 * packet, so each program here ends with its own undoing; BENCH_RESET is that
 * undoing and nothing else, and what it costs is subtracted by the report.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "bench.skel.h"

static int run(struct bench *b, const struct bpf_program *prog, const uint8_t *frame, size_t len,
	       uint64_t count, struct bpf_test_run_opts *opts, struct bench_sample_cost *cost)
{
	struct xdp_md in = {
		.data_end = (uint32_t)len,
		.ingress_ifindex = (uint32_t)b->topo.p0,
	};
	uint64_t start, ns;
	int err;

	opts->data_in = frame;
	opts->data_size_in = (uint32_t)len;
	opts->ctx_in = &in;
	opts->ctx_size_in = sizeof(in);
	opts->repeat = (int)count;
	bench_counters_start(b);
	start = bench_cpu_ns();
	err = bpf_prog_test_run_opts(bpf_program__fd(prog), opts);
	ns = bench_cpu_ns() - start;
	cost->instr = bench_counters_stop(b) / (double)count;
	cost->ns = (double)ns / (double)count;
	if (err)
		fprintf(stderr, "bench: cannot run %s: %s\n", bpf_program__name(prog),
			strerror(-err));
	return err;
}

int bench_inner_run(struct bench *b, const struct bench_case *c, enum bench_prog prog,
		    struct bench_sample_cost *cost)
{
	const struct bench_frames *f = c->frames[prog];
	const struct bench_seen *seen = &b->bpf->bss->bench_seen;
	const struct bpf_program *progs[] = {
		[BENCH_FLOOR] = b->bpf->progs.bench_inner_floor,
		[BENCH_JPX] = b->bpf->progs.bench_inner_jpx,
		[BENCH_FIB] = b->bpf->progs.bench_inner_fib,
		[BENCH_RESET] = b->bpf->progs.bench_inner_reset,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	bench_plan(b, f);
	b->bpf->bss->bench_turn.n = 0;
	memset(&b->bpf->bss->bench_seen, 0, sizeof(b->bpf->bss->bench_seen));
	err = run(b, progs[prog], f->sent[0], f->sent_len, b->inner_packets, &opts, cost);
	if (err)
		return err;
	if (seen->bad || seen->good != b->inner_packets) {
		fprintf(stderr, "bench: %s: %s made %llu frames right and %llu wrong of %llu\n",
			c->name, bpf_program__name(progs[prog]), seen->good, seen->bad,
			(unsigned long long)b->inner_packets);
		return -EBADMSG;
	}
	return 0;
}

int bench_foreign_run(struct bench *b, const struct bench_case *c, enum bench_prog prog,
		      struct bench_sample_cost *cost)
{
	uint8_t frame[BENCH_FRAME_MAX], out[BENCH_FRAME_MAX];
	size_t len = bench_frame_foreign(c->foreign, frame);
	const struct bpf_program *p =
		prog == BENCH_JPX ? b->bpf->progs.jpx_xdp_ethernet : b->bpf->progs.bench_pass;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_out = out, .data_size_out = sizeof(out));
	int err = run(b, p, frame, len, b->inner_packets, &opts, cost);

	if (err)
		return err;
	if (opts.retval != XDP_PASS || opts.data_size_out != len || memcmp(frame, out, len)) {
		fprintf(stderr, "bench: %s: %s did not pass the frame untouched (verdict %u)\n",
			c->name, bpf_program__name(p), opts.retval);
		return -EBADMSG;
	}
	return 0;
}
