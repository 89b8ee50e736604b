/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The runner's parts and what they hand to each other.  No part keeps state of
 * its own besides struct bench; errors go up as negative errno after one
 * sentence on stderr where the cause is known.
 */
#ifndef JPX_BENCH_H
#define JPX_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jpx/forms.h>
#include <jpx/jpy.h>

#include "shared.h"

struct bench_bpf;
struct bpf_program;
struct flows_bpf;
struct jpx_flow;

/* Stateless and stateful: pledge to Registrar, and back. */
enum bench_way { BENCH_WRAP, BENCH_UNWRAP, BENCH_TRANSLATE, BENCH_ANSWER, BENCH_FOREIGN };

static inline bool bench_is_back(enum bench_way way)
{
	return way == BENCH_UNWRAP || way == BENCH_ANSWER;
}

static inline bool bench_is_stateful(enum bench_way way)
{
	return way == BENCH_TRANSLATE || way == BENCH_ANSWER;
}

enum bench_prog { BENCH_FLOOR, BENCH_JPX, BENCH_FIB, BENCH_RESET, BENCH_PROGS };

/* The interfaces, in a network namespace that this process made and that ends with it. */
struct bench_topo {
	int far0, p0, p1, far1; /* ifindexes; far0-p0 and p1-far1 are veth pairs */
};

#define BENCH_REGISTRAR	     "2001:db8:1::2" /* behind p1 */
#define BENCH_PROXY	     "2001:db8:1::1" /* on p1 */
#define BENCH_ELSEWHERE	     "2001:db8:2::"  /* sources of plain traffic */
#define BENCH_PLEDGE_SIDE    "fe80::1"	     /* on p0 */
#define BENCH_REGISTRAR4     "192.0.2.2"     /* behind p1 */
#define BENCH_PROXY4	     "192.0.2.1"     /* on p1 */
#define BENCH_ELSEWHERE4     "198.51.100.0"
#define BENCH_PLEDGE_SIDE4   "169.254.9.1"
#define BENCH_UPLINK	     "2001:db8:1::f00" /* plus the place */
#define BENCH_REGISTRAR_PORT 5684
/* Below the ports of flows. */
#define BENCH_JOIN_PORT	  501 /* plus the service id less one */
#define BENCH_UPLINK_PORT 601 /* plus the service id less one */

extern const uint8_t bench_mac_p0[6], bench_mac_p1[6], bench_mac_registrar[6],
	bench_mac_pledges[6]; /* the last byte is the flow's number */

/* Frames as one program gets them and as they must leave it. */
struct bench_frames {
	size_t sent_len, want_len;
	size_t tag_off; /* in the frame that arrives */
	int undo;
	uint8_t sent[BENCH_FLOWS][BENCH_FRAME_MAX];
	uint8_t want[BENCH_FLOWS][BENCH_FRAME_MAX];
};

/* Where a flow leaves from; the fast path chose it. */
struct bench_uplink {
	uint8_t addr[16];
	uint16_t port; /* host order */
};

#define BENCH_ROUNDS_MAX 64

/* One figure over the rounds. */
struct bench_series {
	double v[BENCH_ROUNDS_MAX];
	int n;
};

struct bench_figure {
	double median, low, high; /* quartiles */
	double min, max;
};

/* What one program cost, round by round. */
struct bench_cost {
	struct bench_series ns;	   /* of CPU time a packet */
	struct bench_series instr; /* instructions a packet, where counters work */
};

struct bench_case {
	char name[48];
	enum bench_way way;
	enum jpx_form form;
	bool opaque;		  /* the pledges' addresses do not tell their MACs */
	bool pledge4, registrar4; /* IPv4 there; stateful only */
	struct bench_uplink uplinks[BENCH_FLOWS]; /* stateful only */
	size_t content;
	const char *foreign; /* BENCH_FOREIGN: the kind of frame */
	struct bench_frames *frames[BENCH_PROGS];
	struct bench_cost live[BENCH_PROGS];  /* the whole pipeline */
	struct bench_cost inner[BENCH_PROGS]; /* the program alone, undoing included */
};

struct bench {
	struct bench_bpf *bpf;
	struct flows_bpf *flows;      /* over the same maps */
	const struct jpx_flow *table; /* jpx_flows */
	struct bench_topo topo;
	int p0_link, far1_link; /* bpf_links, so that swapping programs loses nothing */
	int perf_fd;		/* instructions of this thread in the kernel, or -1 */
	uint64_t live_packets;	/* a run */
	uint64_t inner_packets;
};

/* What one run measured, per packet. */
struct bench_sample_cost {
	double ns, instr;
};

/* Pledge number FLOW of case C, and the service that it uses. */
void bench_pledge(const struct bench_case *c, unsigned int flow, struct jpx_pledge *pledge);
unsigned int bench_service(const struct bench_case *c);

/* frames.c: every byte of every frame, by the user half's codec and plain checksums. */
int bench_frames_build(const struct bench_case *c, enum bench_prog prog,
		       struct bench_frames *frames);
/* The UDP checksum of an Ethernet/IPv6/UDP frame, in full: true if it is right. */
bool bench_frame_checksum_ok(const uint8_t *frame, size_t len);
/* Frames of KIND for any pledge and flow, or what the FLOOR makes of them; F is one of them.
 * Returns its length. */
size_t bench_frame_many(enum bench_kind kind, bool floor, struct bench_pattern *pattern,
			uint8_t *f);
/* A frame that is none of ours (KIND of bench_foreign[]); returns its length. */
size_t bench_frame_foreign(const char *kind, uint8_t *frame);
extern const char *const bench_foreign[];

/* flows.c: the flows themselves. */
/* Makes the tables as large as BENCH_MANY flows need; before the programs are loaded. */
int bench_flows_size(struct bench *b);
/* Loads what opens, sweeps and ends flows, writes their configuration, starts the sweep. */
int bench_flows_start(struct bench *b);
/* Opens the flows of C, where there are none, and writes down where they leave from. */
int bench_flows_open(struct bench *b, struct bench_case *c);
/* Ends all flows, or opens no more than MAX at once. */
int bench_flows_end(struct bench *b);
int bench_flows_limit(struct bench *b, uint32_t max);

/* topo.c */
/* Every frame's program stays attached somewhere (see there). */
int bench_topo_keep(const struct bpf_program *prog);
int bench_topo_make(struct bench_topo *topo);
/* Fills the fast path's maps as the control daemon would. */
int bench_topo_configure(struct bench *b);

/* live.c: frames through veths. */
int bench_live_open(struct bench *b);
/* Sends a few frames and compares every byte of what arrives, checksum recomputed. */
int bench_live_verify(struct bench *b, const struct bench_case *c, enum bench_prog prog);
/* Times one run; an error if one packet is lost or differs. */
int bench_live_run(struct bench *b, const struct bench_case *c, enum bench_prog prog,
		   struct bench_sample_cost *cost);

/* Sends COUNT frames of GENERATOR's, of which EXPECTED arrive at the far end; *NS is the CPU
 * time that it took. */
int bench_live_transmit(struct bench *b, const struct bpf_program *generator, const uint8_t *frame,
			size_t len, uint64_t count, uint64_t expected, uint64_t *ns);

/* many.c: flows by the million.  Everything is per packet in ns, by round. */
#define BENCH_LEVELS 3 /* 10, 10^4 and 10^6 flows */
extern const uint32_t bench_levels[BENCH_LEVELS];

/* In which order flows are visited: single datagrams at random, or flights of BENCH_FLIGHT, as a
 * DTLS handshake sends them, each of a flow chosen at random. */
#define BENCH_FLIGHT 4
enum bench_order { BENCH_SINGLE, BENCH_FLIGHTS, BENCH_ORDERS };

struct bench_level {
	struct bench_series floor[2], jpx[2]; /* live, by way: to the Registrar, to the pledge */
	struct bench_series look;	      /* alone: reading one flow after the other */
};

struct bench_many_figures {
	struct bench_level levels[BENCH_ORDERS][BENCH_LEVELS];
	struct bench_series first, again;  /* live: 10^6 first datagrams, and the same once more */
	struct bench_series first_inner;   /* the program alone, of that many */
	struct bench_series refused;	   /* live: newcomers while the table is full */
	struct bench_series refused_floor; /* live: what generator and XDP_DROP cost */
	uint64_t refusals, kept; /* newcomers refused, and packets of flows sent among them */
	double bytes[3];	 /* a flow: of jpx_flows, jpx_flow_hints, jpx_pledges */
};
int bench_many_run(struct bench *b, struct bench_many_figures *m, bool quick);

/* inner.c: the program alone, in the kernel's test loop. */
int bench_inner_run(struct bench *b, const struct bench_case *c, enum bench_prog prog,
		    struct bench_sample_cost *cost);
int bench_foreign_run(struct bench *b, const struct bench_case *c, enum bench_prog prog,
		      struct bench_sample_cost *cost);

/* common to both, in bench.c */
void bench_plan(struct bench *b, const struct bench_frames *frames);
uint64_t bench_now_ns(void);
/* Time that this thread ran, soft interrupts that it took on included: what other
 * processes took from the CPU meanwhile is not in it. */
uint64_t bench_cpu_ns(void);
void bench_counters_start(struct bench *b);
double bench_counters_stop(struct bench *b); /* instructions, or NaN */

/*
 * relay.c: any user-space relay.  COMMAND is run by sh in the namespace, pinned
 * to one CPU, with BENCH_PLEDGE_IF, BENCH_UPLINK_IF, BENCH_JOIN_PORT,
 * BENCH_REGISTRAR and BENCH_REGISTRAR_PORT in its environment; it must listen
 * on the join port within ten seconds.  Frames of C (a wrap case) are then
 * thrown at it from another CPU, more than it can take, and what it sends to
 * the Registrar's port is counted at the far end: good if it ends in the content.
 * CPU time is that of the command's own main thread, so a script must end in
 * exec.  Neighbours and addresses are in place: p0 has BENCH_PLEDGE_SIDE, p1 has
 * BENCH_PROXY and knows the Registrar's MAC.
 */
struct bench_relay {
	double pps;	     /* that arrived at the far end */
	double share;	     /* of its CPU that the relay had */
	double wanted;	     /* the same and what it waited for: less than 1 if it slept */
	double pps_per_core; /* pps / share */
	double offered;	     /* packets a second thrown at it */
	uint64_t good, bad;
};
int bench_relay_measure(struct bench *b, const struct bench_case *c, const char *command,
			double seconds, struct bench_relay *r);

/* report.c */
struct bench_figure bench_figure(const struct bench_series *s);
/* Prints the table and the targets, writes JSON; returns how many targets were missed. */
int bench_report(struct bench_case *cases, int count, const struct bench_relay *relays,
		 int relay_count, const char *relay_name, const struct bench_many_figures *many,
		 const char *json_path);

#endif
