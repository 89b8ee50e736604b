/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The structures that live in pinned maps: the one place where the BPF half and
 * the user half meet.  Fixed-width fields, explicit padding, sizes asserted.
 * jpd is the only writer of everything here but the counters, jpx_macs and the
 * flows, which belong to whoever relays.
 *
 * Addresses are 16 bytes, an IPv4 one mapped (::ffff:192.0.2.1, RFC 4291 2.5.5.2).
 *
 * Any change of a structure, of a limit or of the order of a table in reasons.h
 * or forms.h needs a new JPX_ABI_VERSION: a jpd that finds another version
 * pinned says so and does not touch it.
 */
#ifndef JPX_ABI_H
#define JPX_ABI_H

#include <linux/types.h>

#include "forms.h"
#include "reasons.h"

#define JPX_ABI_MAGIC	 0x4a505831 /* "JPX1" */
#define JPX_ABI_VERSION	 5

#define JPX_MAX_PORTS	 256  /* pledge ports, by port id; 0 is no port (one byte on the wire) */
#define JPX_MAX_SERVICES 64   /* by service id; 0 is no service (a bit each in jpx_port.services) */
#define JPX_MAX_SLOTS	 512  /* interfaces that carry our program, by slot; 0 is no slot */
#define JPX_MAX_IFINDEX 65536 /* an interface behind it has a program of its own */
#define JPX_MAX_VLANS	 1024 /* tagged pledge ports over all parents */
#define JPX_MAX_MACS	 65536 /* pledges whose address does not tell their MAC */
#define JPX_MAX_UPLINKS	 64 /* addresses of the proxy's that flows leave from */
#define JPX_SERVICE_UPLINKS 32 /* of them, for one service */
#define JPX_PLEDGE_FLOWS 8 /* flows that one pledge address can ever have */

#define JPX_NAME_LEN	 32
#define JPX_IFNAME_LEN	 16

/* Keys of the devmap jpx_tx: pledge ports first, then each service's way out. */
#define JPX_TX_PORT(id)	    (id)
#define JPX_TX_SERVICE(id)  (JPX_MAX_PORTS + (id))
#define JPX_TX_COUNT	    (JPX_MAX_PORTS + JPX_MAX_SERVICES)

enum jpx_link { JPX_LINK_ETHERNET, JPX_LINK_IPV6 };
enum jpx_mode { JPX_MODE_STATELESS, JPX_MODE_STATEFUL };
enum jpx_engine { JPX_ENGINE_SOCKET, JPX_ENGINE_XDP_NATIVE, JPX_ENGINE_XDP_GENERIC };

/* What the operator asked for with --xdp; AUTO is native, else generic, else none. */
enum jpx_xdp { JPX_XDP_AUTO, JPX_XDP_NATIVE, JPX_XDP_GENERIC, JPX_XDP_OFF };

enum jpx_source {
	JPX_SOURCE_CONFIG,
	JPX_SOURCE_COAP,
	JPX_SOURCE_GRASP,
	JPX_SOURCE_DNS_SD,
	JPX_SOURCE_COUNT
};

/* map jpx_meta, one entry */
struct jpx_meta {
	__u32 magic;
	__u32 version;
};

/* map jpx_slots: an interface that carries our program */
#define JPX_SLOT_IN_USE 0x01
#define JPX_SLOT_UPLINK 0x02 /* the return way is looked for here */
#define JPX_SLOT_TC	0x04 /* our tc program is here, too: it sends what XDP cannot (bpf/by_tc.h) */
#define JPX_SLOT_CLSACT 0x08 /* the qdisc that this takes is of our making */

struct jpx_slot {
	__u32 ifindex;
	__u32 prog_id;	/* of the attached program, to know it again */
	__u8 flags;
	__u8 port_id;	/* pledge port for untagged frames, or 0 */
	__u8 link;	/* enum jpx_link */
	__u8 engine;	/* enum jpx_engine */
	__u8 alone;	/* attached without libxdp's dispatcher */
	__u8 pad;
	__u16 id;	/* this slot's own number */
	char ifname[JPX_IFNAME_LEN];
};

/* map jpx_vlans: (slot, tags as they are on the wire, 0 where absent) to a port id */
struct jpx_vlan_key {
	__u16 slot;
	__be16 outer_proto, outer_tci; /* tci: the 12 bits of the VLAN id only */
	__be16 inner_tci;
};

/* map jpx_ports: a pledge port, by port id */
#define JPX_PORT_IN_USE	     0x01
#define JPX_PORT_READY	     0x02 /* up, and its link-local address known */
#define JPX_PORT_NO_TRANSMIT 0x04 /* cannot be a redirect target: tc sends, or the socket engine */
#define JPX_PORT_CHOSEN	     0x08 /* names its services: EVERY_PORT ones do not apply */

struct jpx_port {
	__u8 addr[16];	   /* the proxy's link-local address here */
	__u64 services;	   /* bit per service id served here */
	__u32 addr_sum;	   /* ones' complement sum of addr, see bpf/csum.h */
	__u32 ifindex;	   /* of the pledge port itself */
	__u32 tx_ifindex;  /* where its frames leave: itself, or a VLAN's parent */
	__u16 slot;
	__u16 mtu;
	__u8 flags;
	__u8 link;	   /* enum jpx_link */
	__u8 xdp;	   /* enum jpx_xdp, as asked for */
	__u8 l2_len;	   /* of a frame's link header: 0, 14, 18 or 22 */
	__u8 mac[6];
	__be16 l2_type[5]; /* what follows the MACs in a link header: tags, then the ethertype */
	char ifname[JPX_IFNAME_LEN];
	__u32 bounce_ifindex; /* where XDP_TX leads to the same wire; 0 where it cannot be used */
	__be32 addr4;	      /* the proxy's IPv4 link-local address here, or 0 */
	__u32 max_flows;      /* at once; 0: as struct jpx_flow_config says */
	__u32 pad;
	char radio[JPX_IFNAME_LEN]; /* that a 6LoWPAN port is or was stacked on, else empty */
};

/* map jpx_services: one Registrar service and the way to it, by service id */
#define JPX_SERVICE_IN_USE	0x01
#define JPX_SERVICE_READY	0x02 /* next hop resolved: the fast path may use it */
#define JPX_SERVICE_ANY_CONTENT 0x04 /* relay what is no DTLS record, too */
#define JPX_SERVICE_EVERY_PORT	0x08 /* served on each pledge port that names no service */
#define JPX_SERVICE_NO_TRANSMIT 0x10 /* its uplink cannot be a redirect target */
#define JPX_SERVICE_IMPLIED	0x20 /* made by "attach --registrar": goes with its last port */
#define JPX_SERVICE_LOCAL	0x40 /* the Registrar is on this host: the socket engine serves */
#define JPX_SERVICE_IPV4	0x80 /* Registrar and uplink are IPv4 */
#define JPX_SERVICE_INTERCEPT	0x100 /* also serves pledges that send to the Registrar's address */
#define JPX_SERVICE_ADDRESSES	0x200 /* uplinks were named by the operator, not taken from the route */
#define JPX_SERVICE_SILENT	0x400 /* its Registrar does not answer: relayed, not announced */
#define JPX_SERVICE_RETIRED	0x800 /* discovered, and no longer: not announced, gone when idle */
#define JPX_SERVICE_ANSWERED	0x2000 /* its Registrar did, since it was last found silent */
#define JPX_SERVICE_NO_PROBE	0x1000 /* its Registrar is not to be asked whether it is there */

struct jpx_service {
	__u8 registrar[16];
	__u8 uplink[16];	/* source address towards the Registrar */
	__be16 registrar_port;
	__be16 uplink_port;
	__be16 join_port;
	__u16 mtu;		/* of the outgoing interface */
	__u32 path_sum;		/* ones' complement sum of both addresses, both ports, next header */
	__u32 ifindex;		/* outgoing interface, 0 while unknown */
	__u32 tx_ifindex;	/* where frames leave: itself, or a VLAN's parent */
	__u16 flags;
	__u8 form;		/* enum jpx_form */
	__u8 mode;		/* enum jpx_mode */
	__u8 source;		/* enum jpx_source */
	__u8 l2_len;		/* bytes of l2 in use: 0, 14, 18 or 22 */
	__u8 xdp;		/* enum jpx_xdp for the uplink, as asked for */
	__u8 uplink_count;	/* of uplinks[] in use; stateful only */
	__u32 bounce_ifindex;	/* where XDP_TX leads to the same wire; 0 where it cannot be used */
	__u32 registrar_sum;	/* as path_sum, of the Registrar's address and port and the next header */
	__u16 priority;		/* lower is better; those of the best that answer are announced */
	__u16 weight;		/* among those of one priority (RFC 2782) */
	__u8 uplinks[JPX_SERVICE_UPLINKS]; /* places in jpx_uplinks that its flows leave from */
	__u8 l2[24];		/* the link header, ready to copy */
	char uplink_ifname[JPX_IFNAME_LEN]; /* as asked for with --uplink; empty: by route */
	char name[JPX_NAME_LEN];
};

/* map jpx_dports: what a UDP destination port means, one entry a port */
struct jpx_dport {
	__u8 join;	/* service id whose join port this is, or 0 */
	__u8 back;	/* service id whose uplink port this is, or 0 */
	__u8 intercept; /* service id of an intercepted Registrar that listens on it, or 0 */
	__u8 flow;	/* 1: flows may leave from this port */
};

/*
 * map jpx_macs: LRU, written by the forward way only when a pledge's MAC is not
 * the one its address tells.  Value: the MAC as a number in the low 48 bits.
 */
struct jpx_mac_key {
	__be64 iid; /* jpx_pledge_id() of an IPv4 address */
	__be16 udp_port;
	__u8 port_id;
	__u8 ipv4; /* 1: iid is of an IPv4 address */
	__u8 pad[4];
};

/* map jpx_mac_hints: by a hash of pledge and port; believed only if check fits (bpf/macs.h) */
#define JPX_MAC_HINT_BITS 13
struct jpx_mac_hint {
	__u64 iid;
	__u64 mac_and_udp_port;
	__u64 nonce_and_port;
	__u64 check;
};

/* map jpx_odd_macs, by port id: 1 once a modified EUI-64 address here lied about its MAC */

/* ---- flows: stateful mode ------------------------------------------------ */

/* map jpx_flow_config, one entry */
struct jpx_flow_config {
	__u64 secret;	    /* what nobody outside can guess: keys the hash of flows */
	__u32 first_port;   /* flows leave from this UDP port ... */
	__u32 port_count;   /* ... and the ones behind it, as many */
	__u32 idle;	    /* ticks without a packet after which a flow is over */
	__u32 rest;	    /* ticks before a port that was in use serves another flow */
	__u32 per_pledge;   /* flows at once for one pledge address, at most JPX_PLEDGE_FLOWS */
	__u32 per_port;	    /* ... for a pledge port that has no limit of its own */
	__u32 max;	    /* ... in all */
	__u32 port_groups;  /* of JPX_GROUP ports each, for one uplink; ports behind the last one
			     * are in no group */
	__u32 uplink_hash;  /* multiplier for which no two addresses share a hash */
	__u32 slots;	    /* of jpx_flows */
	__u32 capacity;	    /* the most that max can be: the tables were made for it */
	__u32 pad[3];
};

/* A tick is 2^26 ns, 67 ms, of CLOCK_MONOTONIC.  map jpx_clock, one entry: the tick it is,
 * kept by the sweep. */
#define JPX_TICK_SHIFT 26

/* map jpx_uplinks: an address that flows leave from, by place.  The flow of place P and
 * port N is entry P * port_count + N - first_port of jpx_flows: no two can be on one port. */
#define JPX_UPLINK_IN_USE 0x01
#define JPX_UPLINK_READY  0x02 /* the address is on this host: new flows may leave from it */

struct jpx_uplink {
	__u8 addr[16];
	__u32 addr_sum; /* ones' complement sum of the address as it is on the wire */
	__u8 flags;
	__u8 pad[3];
};

/* map jpx_uplink_places: place + 1, or 0, by jpx_uplink_hash() of the address (flow_tables.h) */
#define JPX_PLACE_BITS 10

/* Who a flow is for: the same for both engines, and all that tells flows apart. */
#define JPX_FLOW_IPV4	     0x01 /* the pledge's address is IPv4 */
#define JPX_FLOW_INTERCEPTED 0x02 /* the pledge sends to the Registrar's own address */

struct jpx_flow_key {
	__be64 pledge;	 /* interface identifier; of an IPv4 address see jpx_pledge_id() */
	__be16 udp_port; /* the pledge's */
	__u8 port_id;
	__u8 service_id;
	__u8 kind; /* JPX_FLOW_* */
	__u8 pad[3];
};

/* map jpx_flows, by slot.  state goes FREE -> CLAIMED -> LIVE -> RESTING -> CLAIMED ...,
 * LIVE -> RESTING by compare-and-swap only (include/jpx/flow.h). */
enum jpx_flow_state {
	JPX_FLOW_FREE,
	JPX_FLOW_CLAIMED, /* being filled */
	JPX_FLOW_LIVE,
	JPX_FLOW_RESTING, /* over since tick "last" */
	JPX_FLOW_LOCAL,	  /* a socket of this host holds the port: not for flows */
};

struct jpx_flow {
	__u32 state;
	__u32 last; /* tick of the last packet either way */
	struct jpx_flow_key key;
	__u64 mac;     /* the pledge's, as a number in the low 48 bits; 0: unknown */
	__u32 created; /* tick */
	__be16 uplink_port;
	__u8 uplink; /* place in jpx_uplinks */
	__u8 pad;
	__u64 to_registrar, to_pledge; /* packets */
	__u64 pad2;
};

/* map jpx_flow_hints: of each group of ports, by place in jpx_uplinks * port_groups + group, a byte a
 * port: eight bits of the hash of the key of the flow that was last there, never 0; the first port's
 * is the lowest.  Believed only if that flow has the key. */
#define JPX_GROUP 8

/* map jpx_flow_counts: flows at once by port id; by 0 those of all */

/* map jpx_refusals, by port id: newcomers told so in tick "tick" */
struct jpx_refusals {
	__u32 tick, count;
};

/* map jpx_reserved, one entry: what jpd added to net.ipv4.ip_local_reserved_ports, as ascending
 * ranges that do not touch; all zero: nothing */
#define JPX_RESERVED_RANGES 32

struct jpx_reserved_range {
	__u16 first, last; /* both belong to it; host order */
};

struct jpx_reserved {
	__u32 count;
	struct jpx_reserved_range ranges[JPX_RESERVED_RANGES];
};

/* map jpx_stats (per CPU) and jpx_socket_stats (written by jpd): by port id, 0 where none is known */
struct jpx_way {
	__u64 packets;
	__u64 bytes; /* of content, the DTLS datagram */
};

/* Packets of one service: for seeing that they move.  They wrap. */
struct jpx_activity {
	__u32 to_registrar;
	__u32 to_pledge;
};

struct jpx_stats {
	struct jpx_way to_registrar;
	struct jpx_way to_pledge;
	__u64 drops[40];    /* by enum jpx_drop */
	union {
		__u64 handoffs[24]; /* in jpx_stats: by enum jpx_handoff */
		__u64 told[24];	    /* in jpx_socket_stats: by enum jpx_told */
	};
	struct jpx_activity services[JPX_MAX_SERVICES]; /* by service id */
};

#define JPX_ASSERT(name, cond) typedef char jpx_assert_##name[(cond) ? 1 : -1]
JPX_ASSERT(slot, sizeof(struct jpx_slot) == 32);
JPX_ASSERT(vlan_key, sizeof(struct jpx_vlan_key) == 8);
JPX_ASSERT(port, sizeof(struct jpx_port) == 112);
JPX_ASSERT(service, sizeof(struct jpx_service) == 176);
JPX_ASSERT(mac_key, sizeof(struct jpx_mac_key) == 16);
JPX_ASSERT(mac_hint, sizeof(struct jpx_mac_hint) == 32);
JPX_ASSERT(uplink, sizeof(struct jpx_uplink) == 24);
JPX_ASSERT(flow, sizeof(struct jpx_flow) == 64);
JPX_ASSERT(reserved, sizeof(struct jpx_reserved) == 132);
JPX_ASSERT(flow_config, sizeof(struct jpx_flow_config) == 64);
JPX_ASSERT(stats, sizeof(struct jpx_stats) == 1056);
JPX_ASSERT(drops, JPX_DROP_COUNT <= 40);
JPX_ASSERT(handoffs, JPX_HANDOFF_COUNT <= 24);
JPX_ASSERT(told, JPX_TOLD_COUNT <= 24);

#endif
