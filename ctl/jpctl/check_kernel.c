/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What this kernel has of what jpd makes use of: a row a feature, and what it is without it.
 * Every answer is the kernel's own, from trying (probe.h); none may come from its version.  Must
 * list nothing that jpd does not use.
 */
#include <linux/bpf.h>
#include <string.h>

#include "../common/features.h"
#include "check.h"
#include "probe.h"
#include "show.h"
#include "table.h"

/* What becomes of pledges where the fast path cannot be: jpd loads all of it or nothing. */
#define SOCKETS "the socket engine relays everything"

#define PROGRAM(type, attach) .have = probe_program, .a = (type), .b = (attach)
#define MAP(type, flags)      .have = probe_map, .a = (type), .b = (flags)
#define HELPER(type, helper)  .have = probe_helper, .a = (type), .b = (helper)
#define TRIED(function)	      .have = (function)

static int netdev_features(int a, int b)
{
	uint64_t features;

	(void)a;
	(void)b;
	return jpx_xdp_features(1, &features);
}

/* A new feature is a new row. */
static const struct {
	const char *feature, *needed_for, *without;
	int (*have)(int a, int b); /* 0 or a negative errno */
	int a, b;
} rows[] = {
	{ "XDP programs", "the fast path", SOCKETS, PROGRAM(BPF_PROG_TYPE_XDP, BPF_XDP) },
	{ "BPF compiler (JIT)", "the fast path's speed", "it is interpreted, many times slower",
	  TRIED(probe_jit) },
	{ "device maps", "sending out of another interface", SOCKETS, MAP(BPF_MAP_TYPE_DEVMAP, 0) },
	{ "bpf_xdp_load_bytes", "JPY messages of any form, extension headers", SOCKETS,
	  HELPER(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_load_bytes) },
	{ "bpf_loop", "finding a port for a flow", SOCKETS,
	  HELPER(BPF_PROG_TYPE_XDP, BPF_FUNC_loop) },
	{ "bpf_spin_lock", "a pledge's list of flows", SOCKETS,
	  HELPER(BPF_PROG_TYPE_XDP, BPF_FUNC_spin_lock) },
	{ "bpf_sk_lookup_udp", "flows leave alone what ports this host uses", SOCKETS,
	  HELPER(BPF_PROG_TYPE_XDP, BPF_FUNC_sk_lookup_udp) },
	{ "bpf_xdp_adjust_meta", "marking answers that leave by tc", SOCKETS,
	  HELPER(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_adjust_meta) },
	{ "bpf_redirect_neigh", "sending them, to 6LoWPAN, TUN and the like",
	  "the socket engine sends those answers",
	  HELPER(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_neigh) },
	{ "BPF timers", "ending flows, also while jpd is stopped", SOCKETS,
	  HELPER(BPF_PROG_TYPE_XDP, BPF_FUNC_timer_start) },
	{ "arrays in user memory", "jpd's sight of flows and counters", SOCKETS,
	  TRIED(probe_mmapable) },
	{ "running XDP on demand", "ending flows at jpd's word", SOCKETS, TRIED(probe_run) },
	{ "socket lookup programs", "answers to flows that XDP leaves to jpd", SOCKETS,
	  PROGRAM(BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP) },
	{ "socket maps", "the same", SOCKETS, MAP(BPF_MAP_TYPE_SOCKMAP, 0) },
	{ "program extensions", "sharing an interface with other XDP programs",
	  "jpd attaches alone", TRIED(probe_extension) },
	{ "extensions that change packets", "the same, if libxdp is older than 1.5.5",
	  "with such a libxdp jpd attaches alone", TRIED(probe_changing_extension) },
	{ "XDP features of drivers", "telling who takes redirected frames",
	  "every Ethernet interface is taken for one", TRIED(netdev_features) },
	{ "list of UDP sockets", "flows leave alone ports bound to an interface",
	  "a flow may get such a port", TRIED(probe_udp_diag) },
	{ "routing rules", "taking what pledges send to a Registrar's address",
	  "--intercept takes only what XDP can relay", TRIED(probe_rules) },
	{ "6LoWPAN interfaces", "pledges behind an 802.15.4 radio", "such a radio is of no use",
	  TRIED(probe_lowpan) },
	{ "802.15.4 sockets", "naming the PAN in beacons", "beacons name none",
	  TRIED(probe_wpan_socket) },
};

void check_kernel(struct check *check)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int ret = rows[i].have(rows[i].a, rows[i].b);

		json_array_append_new(check->kernel,
				      json_pack("{s:s, s:s, s:b, s:s, s:s}", "feature",
						rows[i].feature, "needed_for", rows[i].needed_for,
						"have", ret == 0, "why", ret ? strerror(-ret) : "",
						"without", rows[i].without));
	}
}

void check_kernel_print(const struct check *check)
{
	static const char *const headings[] = { "KERNEL FEATURE", "NEEDED FOR", "HAVE IT",
						"WITHOUT IT" };
	struct table *t = table_new(4, headings);
	const json_t *row;
	size_t i;

	json_array_foreach(check->kernel, i, row) {
		table_cell(t, "%s", show_text(row, "feature"));
		table_cell(t, "%s", show_text(row, "needed_for"));
		if (json_is_true(json_object_get(row, "have")))
			table_cell(t, "yes");
		else
			table_problem(t, "no: %s", show_text(row, "why"));
		table_cell(t, "%s", show_text(row, "without"));
	}
	table_print(t);
}
