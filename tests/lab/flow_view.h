/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows as they really are, for the lab's tests: read from the pinned maps, whoever
 * runs, or, where jpd has none, from jpd and from the kernel's list of sockets.
 * Never writes a map.  Static functions, since each lab program is compiled from one
 * file.
 */
#ifndef JPX_TESTS_FLOW_VIEW_H
#define JPX_TESTS_FLOW_VIEW_H

#include <bpf/bpf.h>
#include <sys/mman.h>

#include "../../ctl/common/pinned.h"
#include "wire.h"

struct flow_view {
	const char *lab, *run_dir;
	bool pinned;
	struct jpx_pinned maps;
	struct jpx_flow_config cfg;
	const volatile struct jpx_flow *flows;
	unsigned int first, count; /* the ports of flows */
};

/* Of what is pinned under PIN_DIR; if nothing is, flows leave from COUNT ports from FIRST on. */
static inline void view_open(struct flow_view *view, const char *lab, const char *run_dir,
			     const char *pin_dir, unsigned int first, unsigned int count)
{
	char err[512] = "";
	__u32 zero = 0;
	int ret;

	memset(view, 0, sizeof(*view));
	view->lab = lab;
	view->run_dir = run_dir;
	view->first = first;
	view->count = count;
	ret = jpx_pinned_open(pin_dir, &view->maps, err, sizeof(err));
	if (ret == -ENOENT)
		return;
	if (ret)
		die("%s", err);
	if (bpf_map_lookup_elem(view->maps.flow_config, &zero, &view->cfg))
		die("cannot read the limits of flows: %s", strerror(errno));
	view->flows = mmap(NULL, view->cfg.slots * sizeof(*view->flows), PROT_READ, MAP_SHARED,
			   view->maps.flows, 0);
	if (view->flows == MAP_FAILED)
		die("cannot map the flows: %s", strerror(errno));
	view->pinned = true;
	view->first = view->cfg.first_port;
	view->count = view->cfg.port_count;
}

/* UDP sockets of the proxy on the ports of flows.  Leaves the thread in its namespace. */
static inline unsigned int view_sockets(const struct flow_view *view)
{
	unsigned int n = 0, port;
	char line[512];
	FILE *f;

	enter(view->lab, "proxy");
	f = fopen("/proc/thread-self/net/udp6", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %*u: %*32[0-9A-F]:%x", &port) == 1 &&
		    port - view->first < view->count)
			n++;
	if (f)
		fclose(f);
	return n;
}

/* Flows that live now, counted one by one. */
static inline unsigned int view_live(const struct flow_view *view)
{
	unsigned int n = 0;

	if (!view->pinned)
		return view_sockets(view);
	for (unsigned int i = 0; i < view->cfg.slots; i++)
		n += view->flows[i].state == JPX_FLOW_LIVE;
	return n;
}

/* What the limits are held against; -1 where it cannot be known. */
static inline int view_counter(const struct flow_view *view, __u32 port_id)
{
	__u32 value;

	if (!view->pinned || bpf_map_lookup_elem(view->maps.flow_counts, &port_id, &value))
		return -1;
	return (int)value;
}

/* How many datagrams were dropped for REASON, by both engines. */
static inline uint64_t view_drops(const struct flow_view *view, enum jpx_drop reason)
{
	static const char *const names[] = { "",
#define VIEW_NAME(sym, name, text) name,
					     JPX_DROPS(VIEW_NAME)
#undef VIEW_NAME
	};
	static struct jpx_counters counters;
	uint64_t n = 0;
	json_t *stats;

	if (!view->pinned) {
		stats = ask_jpd(view->run_dir, "stats");
		n = (uint64_t)json_integer_value(
			json_object_get(json_object_get(stats, "drops"), names[reason]));
		json_decref(stats);
		return n;
	}
	if (jpx_pinned_counters(&view->maps, &counters))
		die("cannot read the counters");
	for (int i = 0; i < JPX_MAX_PORTS; i++)
		n += counters.fast[i].drops[reason] + counters.socket[i].drops[reason];
	return n;
}

#endif
