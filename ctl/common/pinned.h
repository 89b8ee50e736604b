/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading what is pinned: configuration and counters of the fast path, as jpd
 * adopts them and as jpctl shows them while no jpd runs.  Never writes a map.
 */
#ifndef JPX_PINNED_H
#define JPX_PINNED_H

#include <stddef.h>

#include <jpx/abi.h>

/* The maps by name, in the order of their file descriptors in struct jpx_pinned. */
#define JPX_PINNED_MAPS(M)                                                                         \
	M(meta)                                                                                    \
	M(slots)                                                                                   \
	M(slot_ids)                                                                                \
	M(ports)                                                                                   \
	M(services)                                                                                \
	M(dports)                                                                                  \
	M(vlans)                                                                                   \
	M(tx)                                                                                      \
	M(macs)                                                                                    \
	M(odd_macs)                                                                                \
	M(mac_hints)                                                                               \
	M(stats)                                                                                   \
	M(socket_stats)                                                                            \
	M(flow_config)                                                                             \
	M(clock)                                                                                   \
	M(uplinks)                                                                                 \
	M(uplink_places)                                                                           \
	M(flows)                                                                                   \
	M(flow_hints)                                                                              \
	M(pledges)                                                                                 \
	M(flow_counts)                                                                             \
	M(refusals)                                                                                \
	M(sweeper)                                                                                 \
	M(reserved)

struct jpx_pinned {
#define JPX_PINNED_FD(name) int name;
	JPX_PINNED_MAPS(JPX_PINNED_FD)
#undef JPX_PINNED_FD
};

/* A copy of the whole configuration, with nothing left to look up. */
struct jpx_state {
	struct jpx_slot slots[JPX_MAX_SLOTS];
	struct jpx_port ports[JPX_MAX_PORTS];
	struct jpx_service services[JPX_MAX_SERVICES];
	struct jpx_uplink uplinks[JPX_MAX_UPLINKS];
	struct jpx_flow_config flow_config;
	__u32 flow_counts[JPX_MAX_PORTS]; /* as they were when it was read */
};

/* What both engines counted, summed over CPUs, by port id. */
struct jpx_counters {
	struct jpx_stats fast[JPX_MAX_PORTS];
	struct jpx_stats socket[JPX_MAX_PORTS];
};

/* Opens every map pinned under PIN_DIR and checks their version.  Returns 0;
 * -ENOENT when nothing is pinned there; any other negative errno with one
 * sentence in ERR (another version, half of the maps, no permission). */
int jpx_pinned_open(const char *pin_dir, struct jpx_pinned *pinned, char *err, size_t err_len);
void jpx_pinned_close(struct jpx_pinned *pinned);

struct bpf_object;

/* Makes OBJECT, opened and not loaded, use those of its maps that are ours.  0 or a negative
 * errno. */
int jpx_pinned_share(const struct jpx_pinned *pinned, struct bpf_object *object);

/* All return 0 or a negative errno.  The second: one port's counters of the fast path. */
int jpx_pinned_state(const struct jpx_pinned *pinned, struct jpx_state *state);
int jpx_pinned_port_stats(const struct jpx_pinned *pinned, unsigned int port_id,
			  struct jpx_stats *fast);
int jpx_pinned_counters(const struct jpx_pinned *pinned, struct jpx_counters *counters);

#endif
