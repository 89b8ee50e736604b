/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The benchmark's own programs on interfaces, in native mode or not at all.
 * They stay until this process ends, and no longer.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "run.h"
#include "trips.skel.h"

static int put(const struct bpf_map *map, uint32_t key, uint32_t ifindex)
{
	return bpf_map_update_elem(bpf_map__fd(map), &key, &ifindex, BPF_ANY);
}

/* In the namespace that this thread is in. */
static int attach(const struct bpf_program *prog, const char *ifname)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);

	if (bpf_link_create(bpf_program__fd(prog), (int)if_nametoindex(ifname), BPF_XDP, &opts) >=
	    0)
		return 0;
	fprintf(stderr, "trips: cannot attach %s to %s: %s\n", bpf_program__name(prog), ifname,
		strerror(errno));
	return -errno;
}

int trips_attach(const struct bpf_program *prog, const struct bpf_map *out,
		 const struct trips_place *place)
{
	int err = trips_enter(place->ns);

	if (err)
		return err;
	err = put(out, 0, if_nametoindex(place->ifname));
	if (err) {
		fprintf(stderr, "trips: there is no %s in %s to send from: %s\n", place->ifname,
			place->ns, strerror(-err));
		return err;
	}
	return attach(prog, place->ifname);
}

int trips_join(const char *ns, const char *const ifname[2])
{
	struct trips_bpf *bpf = trips_bpf__open_and_load();
	uint32_t ifindex[2];
	int err = bpf ? trips_enter(ns) : -errno;

	for (int i = 0; !err && i < 2; i++) {
		ifindex[i] = if_nametoindex(ifname[i]);
		err = ifindex[i] ? 0 : -ENODEV;
	}
	for (int i = 0; !err && i < 2; i++)
		err = put(bpf->maps.trips_cable_out, ifindex[i], ifindex[!i]);
	if (err)
		fprintf(stderr, "trips: cannot join %s and %s: %s\n", ifname[0], ifname[1],
			strerror(-err));
	for (int i = 0; !err && i < 2; i++)
		err = attach(bpf->progs.trips_cable, ifname[i]);
	return err;
}
