/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The proxy that the packet tests look at: the BPF programs, loaded once for
 * each slot over one set of maps, and pledge ports and services of every kind.
 * Nothing is pinned, attached or sent: nothing of the machine is touched.
 *
 * Fills the maps by itself, from what abi.h says about them: it must not lean
 * on the daemon's code.
 */
#ifndef JPX_TESTS_FIXTURE_H
#define JPX_TESTS_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jpx/abi.h>

#include "frame.h"

/* Every test packet "comes in on" the loopback interface; nothing is sent to it. */
#define FX_IFINDEX_IN  1
#define FX_IFINDEX_OUT 77 /* any other: the frame must be redirected */

enum {
	FX_SLOT_ETHERNET = 1, /* pledge ports 1, 23 and 24, and all that are odd in some way */
	FX_SLOT_BARE,	      /* pledge port 255 */
	FX_SLOT_UPLINK,
	FX_SLOT_UPLINK_BARE,
	FX_SLOT_ONE_ARM, /* pledge port 2, and an uplink */
	FX_SLOT_VECTORS, /* pledge port 3, and an uplink: the addresses of the standards' vectors */
	FX_SLOT_OFF,	 /* not in use */
	FX_SLOT_DUAL,	 /* pledge ports 40 to 42, which have IPv4 addresses, too */
	FX_SLOT_DUAL_ARM, /* pledge port 43, and an uplink */
	FX_SLOT_UPLINK_TC, /* as FX_SLOT_UPLINK, and our tc program is there */
	FX_SLOT_COUNT
};

enum {
	FX_PORT_PLAIN = 1,
	FX_PORT_ONE_ARM = 2,
	FX_PORT_VECTORS = 3,
	FX_PORT_NOT_READY = 9,
	FX_PORT_NO_TRANSMIT = 10,
	FX_PORT_UNSERVED = 11, /* by no service */
	FX_PORT_UNUSED = 12,
	FX_PORT_TAGGED = 23,
	FX_PORT_TWICE_TAGGED = 24,
	FX_PORT_ASCII_SPACE = 32, /* an id that is a negative number where it is read as CBOR */
	FX_PORT_DUAL = 40,
	FX_PORT_DUAL_TAGGED,
	FX_PORT_DUAL_TWICE_TAGGED,
	FX_PORT_DUAL_ARM,
	FX_PORT_BARE = 255,
};

/* Pledges use join port FX_JOIN(service), the Registrar sends to FX_BACK(service). */
#define FX_JOIN(service) (5000 + (service))
#define FX_BACK(service) (40000 + (service))
/* Where the Registrars of stateful services listen. */
#define FX_CAUGHT(service) (6000 + (service))

/* How large the tables of flows are.  Tests use less of them by their configuration. */
#define FX_FLOW_SLOTS	8192
#define FX_FLOW_PLEDGES 4096
#define FX_FLOW_HINTS	1024

enum {
	FX_SVC_02 = 1,
	FX_SVC_06_TAGGED,
	FX_SVC_21_TWICE_TAGGED,
	FX_SVC_02_BARE,
	FX_SVC_21_BARE,
	FX_SVC_01,
	FX_SVC_ANY,
	FX_SVC_NOT_READY,
	FX_SVC_TINY, /* FX_TINY_MTU */
	FX_SVC_ONE_ARM,
	FX_SVC_21,
	FX_SVC_UNUSED,
	FX_SVC_06_BARE,
	FX_SVC_06,
	FX_SVC_TWICE_TAGGED_02,
	FX_SVC_NO_TRANSMIT,
	/* towards an IPv4 Registrar */
	FX_SVC_4_02 = 20,
	FX_SVC_4_06,
	FX_SVC_4_21,
	FX_SVC_4_02_TAGGED,
	FX_SVC_4_06_TWICE_TAGGED,
	FX_SVC_4_21_ONE_ARM,
	/* stateful: their flows leave from what flow_fixture.h says */
	FX_SVC_FLOW,
	FX_SVC_FLOW_TAGGED,
	FX_SVC_FLOW_TWICE_TAGGED,
	FX_SVC_FLOW_BARE,
	FX_SVC_FLOW_ONE_ARM,
	FX_SVC_FLOW_4,
	FX_SVC_FLOW_4_TWICE_TAGGED,
	FX_SVC_FLOW_4_ONE_ARM,
	FX_SVC_FLOW_CAUGHT, /* intercepted */
	FX_SVC_FLOW_4_CAUGHT,
	FX_SVC_WIDE_02 = 40, /* any content, large MTU */
	FX_SVC_WIDE_06,
	FX_SVC_WIDE_21,
	FX_SVC_VECTORS = 50, /* its form is set by the test */
	FX_SVC_PRIVATE = 62, /* served on port 24 only */
	FX_SVC_LAST = 63,
};

#define FX_TINY_MTU 200
#define FX_WIDE_MTU 2000

/* What the maps hold, by id. */
extern struct jpx_port fx_ports[JPX_MAX_PORTS];
extern struct jpx_service fx_services[JPX_MAX_SERVICES];

/* Returns 0, or a negative errno after a sentence on stderr. */
int fx_open(void);
void fx_close(void);

/* Puts the shadow entry into the map again after a test has changed it. */
void fx_service_store(uint32_t id);
void fx_port_store(uint32_t id);
void fx_dport_store(uint16_t port, uint8_t join, uint8_t back);

/* One of the programs' maps; stops the program if there is none of that name. */
int fx_map(const char *name);

/* A sum as abi.h has them, of bytes as they lie in memory. */
uint32_t fx_sum(const void *data, size_t len);

/* Makes KEY the only way out of jpx_tx, so that a redirect elsewhere is seen. */
void fx_tx_only(uint32_t key);

/* Runs the program of SLOT once.  META bytes are taken from the headroom first.
 * Returns the verdict, or the negative errno of a run that the kernel refused. */
int fx_run(int slot, const uint8_t *in, size_t len, size_t meta, uint8_t out[FRAME_MAX],
	   size_t *out_len);

/* Counters summed over all CPUs. */
void fx_stats(struct jpx_stats all[JPX_MAX_PORTS]);
void fx_stats_of(uint32_t port_id, struct jpx_stats *one);

/* jpx_macs and jpx_odd_macs.  fx_macs_fill(): more pledges than the map holds, none of ours. */
void fx_macs_fill(void);
uint64_t fx_mac_get(const uint8_t addr[16], uint16_t udp_port, uint8_t port_id);
void fx_mac_set(const uint8_t addr[16], uint16_t udp_port, uint8_t port_id, uint64_t mac);
int fx_macs_count(void);
bool fx_odd_get(uint32_t port_id);
void fx_odd_set(uint32_t port_id, bool odd);
int fx_odd_count(void);
void fx_macs_clear(void);

/* A frame from a pledge behind PORT_ID to the join port of SERVICE, its link
 * header and addresses; the content is left to the caller. */
void fx_from_pledge(uint8_t port_id, uint32_t service, struct frame_spec *spec);
/* The same for one that the proxy sends to the Registrar of SERVICE. */
void fx_to_registrar(uint32_t service, struct frame_spec *spec);
/* ... that this Registrar sends. */
void fx_from_registrar(uint32_t service, struct frame_spec *spec);
/* ... that the proxy sends to a pledge with link address MAC behind PORT_ID. */
void fx_to_pledge(uint8_t port_id, uint32_t service, uint64_t mac, struct frame_spec *spec);

/* The first and the last of them for an IPv4 pledge. */
void fx_from_pledge4(uint8_t port_id, uint32_t service, struct frame_spec *spec);
void fx_to_pledge4(uint8_t port_id, uint32_t service, uint64_t mac, struct frame_spec *spec);

/* The pledge that fx_from_pledge() speaks for. */
#define FX_PLEDGE     "fe80::ff:fe00:1"
#define FX_PLEDGE_MAC 0x020000000001ULL
#define FX_PLEDGE_UDP 48551
#define FX_PLEDGE4    "169.254.7.9" /* and where IPv4 is spoken */

#endif
