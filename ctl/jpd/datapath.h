/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path's maps: makes and pins them, or adopts what is pinned; writes
 * configuration into them in an order that a packet in flight survives; reads
 * counters.  Knows nothing of interfaces, routes or sockets.
 *
 * Where the kernel has no BPF the same calls work on memory alone, so that the
 * socket engine needs no second set of books.
 */
#ifndef JPX_DATAPATH_H
#define JPX_DATAPATH_H

#include <stdbool.h>

#include "pinned.h"

struct datapath;

/* Of the tables of flows, in entries; only for maps that are made anew. */
struct datapath_sizes {
	unsigned int flows, hints, pledges;
};

/* Adopts the maps under PIN_DIR, or makes new ones (not pinned yet).  STATE is filled with what
 * was adopted, else zeroed; ADOPTED tells which.  Returns 0 or a negative errno with a
 * sentence in ERR.  A kernel or mount without BPF is no error: WHY_NO_BPF then
 * says what is missing, else it is empty. */
int datapath_open(const char *pin_dir, const struct datapath_sizes *sizes, struct datapath **out,
		  struct jpx_state *state, bool *adopted, char *why_no_bpf, size_t why_len, char *err, size_t err_len);

/* UNPIN: also remove everything pinned.  The directory goes if it is empty then. */
void datapath_close(struct datapath *dp, bool unpin);

/* Goes on as if there were no BPF, for who finds that this kernel makes the maps but takes not the
 * programs.  Only with maps of our own, not yet pinned; STATE is zeroed.  Returns 0 or a negative
 * errno. */
int datapath_do_without(struct datapath *dp, struct jpx_state *state);

/* Pins the maps, if they are not: state that shall outlive this daemon.  Returns 0 or
 * a negative errno. */
int datapath_pin(struct datapath *dp);
/* Takes the pins and their directory away; the maps live on in this process. */
void datapath_unpin(struct datapath *dp);

/* The maps for programs to share; NULL without BPF. */
const struct jpx_pinned *datapath_maps(const struct datapath *dp);

/* Waits for far longer than any packet takes that saw an entry as it was. */
void datapath_settle(void);

/* Each writes one entry.  Log what failed; a failed write leaves the entry not
 * ready, so that the socket engine serves it. */
void datapath_put_slot(struct datapath *dp, unsigned int id, const struct jpx_slot *slot);
void datapath_put_port(struct datapath *dp, unsigned int id, const struct jpx_port *port);
void datapath_put_service(struct datapath *dp, unsigned int id, const struct jpx_service *service);
void datapath_put_dport(struct datapath *dp, unsigned int udp_port, const struct jpx_dport *dport);
void datapath_put_uplink(struct datapath *dp, unsigned int place, const struct jpx_uplink *uplink);
void datapath_put_flow_config(struct datapath *dp, const struct jpx_flow_config *config);
/* PLACES: 1 << JPX_PLACE_BITS entries, as jpx_uplink_places wants them. */
void datapath_put_uplink_places(struct datapath *dp, const __u32 *places);
void datapath_put_reserved(struct datapath *dp, const struct jpx_reserved *reserved);
void datapath_get_reserved(const struct datapath *dp, struct jpx_reserved *reserved);
void datapath_put_vlan(struct datapath *dp, const struct jpx_vlan_key *key, unsigned int port_id);
/* IFINDEX 0 removes the entry.  Writes only what is not there yet: the kernel drops an
 * entry by itself when its interface goes, even if that comes back the same. */
void datapath_put_tx(struct datapath *dp, unsigned int key, unsigned int ifindex);

/* The socket engine's own counters, by port id: write them in place. */
struct jpx_stats *datapath_socket_stats(struct datapath *dp);
int datapath_counters(const struct datapath *dp, struct jpx_counters *counters);

/* Only the datagrams relayed each way through one port, by both engines. */
void datapath_port_packets(const struct datapath *dp, unsigned int port_id, __u64 *to_registrar,
			   __u64 *to_pledge);

/* The packets of one service, by both engines and on all ports that were ever in use since the
 * start: only differences mean anything.  One look at the counters serves all services for a
 * while, so that asking for each of them is cheap. */
void datapath_service_packets(struct datapath *dp, unsigned int service_id, __u32 *to_registrar,
			      __u32 *to_pledge);

/* The MAC that the forward way noted for a pledge.  Returns 0 or -ENOENT. */
int datapath_noted_mac(const struct datapath *dp, const struct jpx_mac_key *key,
		       unsigned char mac[6]);

#endif
