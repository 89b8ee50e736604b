/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See flows.h. */
#include "flows.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <jpx/flow_tables.h>
#include <jpx/wire.h>

#include "addr.h"
#include "flowlist.h"
#include "flows.skel.h"
#include "local_ports.h"
#include "log.h"
#include "sum.h"
#include "udp_socket.h"
#include "xdp.h"

#define MEMORY_FLOWS_MAX 4096 /* without BPF each flow has a socket */
#define END_AT_ONCE	 4096 /* slots: 2 ms if a flow in each ends */
#define TICK_NS		 (1ULL << JPX_TICK_SHIFT)

/* Never less than so many seconds, wherever in a tick they begin: rounded up.  (A flow is over
 * once more than "idle" ticks have gone by, a port rested once "rest" have: one more there.) */
#define TICKS(s) ((__u32)(((s)*1000000000ULL + TICK_NS - 1) / TICK_NS))

/* Errors come together: whoever talks to a Registrar when it dies hears of it within seconds. */
#define ERRORS_AT_ONCE 40

/* A bucket that is filled at the rate of refusals. */
struct errors {
	__u32 tick, left;
};

struct flows {
	struct event_base *base;
	struct datapath *dp;
	struct jpx_state *state;
	bool bpf;
	/* The tables, mapped from the fast path's or our own. */
	struct jpx_flow *flows;
	__u64 *hints, *counts; /* 32-bit entries of maps are 8 bytes apart */
	size_t flows_size, hints_size, counts_size;
	/* With BPF. */
	struct flows_bpf *skel;
	struct bpf_link *steer;
	int socket;
	/* Without. */
	void *pledges; /* a tree of struct jpx_pledge_flows */
	int *sockets;  /* by slot, -1: none */
	struct event *sweep;
	/* Both. */
	struct jpx_refusals told[JPX_MAX_PORTS];
	struct errors passed_on[JPX_MAX_PORTS];
	void (*opened)(void *arg, __u32 slot, int fd);
	void (*closed)(void *arg, __u32 slot);
	void *arg;
	bool *held;	     /* by slot, while a scan runs */
	char complaint[512]; /* the last one */
};

/* ---- include/jpx/flow.h over these tables ----------------------------------- */

/* There is one in a process: what flow.h asks for has no place for a context. */
static struct flows *the;

typedef void jpx_flow_ctx;

#define JPX_OUTLINE static

/* How many groups of ports there are, or 1: no map is empty. */
static size_t hint_count(const struct jpx_flow_config *cfg)
{
	size_t groups =
		cfg->port_count ? (size_t)cfg->slots / cfg->port_count * cfg->port_groups : 0;

	return groups ? groups : 1;
}

static const struct jpx_flow_config *jpx_flow_config_get(void)
{
	return &the->state->flow_config;
}

static const struct jpx_service *jpx_service_at(__u32 id)
{
	return id < JPX_MAX_SERVICES ? &the->state->services[id] : NULL;
}

static const struct jpx_port *jpx_port_at(__u32 id)
{
	return id < JPX_MAX_PORTS ? &the->state->ports[id] : NULL;
}

static struct jpx_flow *jpx_flow_at(__u32 slot)
{
	return slot < the->state->flow_config.slots ? &the->flows[slot] : NULL;
}

static struct jpx_uplink *jpx_uplink_at(__u32 place)
{
	return place < JPX_MAX_UPLINKS ? &the->state->uplinks[place] : NULL;
}

static __u64 *jpx_flow_hint_at(__u32 index)
{
	return index < hint_count(&the->state->flow_config) ? &the->hints[index] : NULL;
}

static __u32 *jpx_flow_count_at(__u32 port_id)
{
	return port_id < JPX_MAX_PORTS ? (__u32 *)&the->counts[port_id] : NULL;
}

static struct jpx_refusals *jpx_refusals_at(__u32 port_id)
{
	return port_id < JPX_MAX_PORTS ? &the->told[port_id] : NULL;
}

static int compare_pledges(const void *a, const void *b)
{
	return memcmp(&((const struct jpx_pledge_flows *)a)->key,
		      &((const struct jpx_pledge_flows *)b)->key, sizeof(struct jpx_pledge_key));
}

static struct jpx_pledge_flows *jpx_pledge_find(const struct jpx_pledge_key *key)
{
	struct jpx_pledge_flows like = { .key = *key }, **found;

	found = tfind(&like, &the->pledges, compare_pledges);
	return found ? *found : NULL;
}

static int jpx_pledge_make(const struct jpx_pledge_key *key)
{
	struct jpx_pledge_flows *p;

	if (jpx_pledge_find(key))
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -1;
	p->key = *key;
	if (tsearch(p, &the->pledges, compare_pledges))
		return 0;
	free(p);
	return -1;
}

static int jpx_pledge_remove(const struct jpx_pledge_key *key)
{
	struct jpx_pledge_flows *p = jpx_pledge_find(key);

	if (p)
		tdelete(p, &the->pledges, compare_pledges);
	free(p);
	return 0;
}

static void jpx_pledge_lock(struct jpx_pledge_flows *p)
{
	(void)p;
}

static void jpx_pledge_unlock(struct jpx_pledge_flows *p)
{
	(void)p;
}

static __u32 jpx_flow_random(void)
{
	__u32 random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (__u32)rand();
	return random;
}

static __u32 now_ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u32)(((__u64)ts.tv_sec * 1000000000 + (__u64)ts.tv_nsec) >> JPX_TICK_SHIFT);
}

static __u32 jpx_clock_set(void)
{
	return now_ticks();
}

static void close_socket(struct flows *flows, __u32 slot);

/* Holds the port by a socket of our own, which the flow then lives on.  1 if another one has it. */
static int jpx_port_is_held(jpx_flow_ctx *ctx, const struct jpx_service *service,
			    const struct jpx_uplink *uplink, __be16 udp_port)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6, .sin6_port = udp_port };
	__u32 slot = (__u32)(uplink - the->state->uplinks) * the->state->flow_config.port_count +
		     ntohs(udp_port) - the->state->flow_config.first_port;
	int fd;

	(void)ctx;
	close_socket(the, slot); /* of the flow before, which has rested */
	memcpy(&local.sin6_addr, uplink->addr, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&local.sin6_addr))
		local.sin6_scope_id = service->ifindex;
	fd = udp_socket_open(&local, NULL, UDP_SOCKET_PKTINFO);
	if (fd < 0)
		return 1;
	the->sockets[slot] = fd;
	if (the->opened)
		the->opened(the->arg, slot, fd);
	return 0;
}

#define jpx_flow_repeat(times, callback, arg)                                                      \
	for (__u32 step = 0; step < (times) && !callback(step, arg); step++)

#include <jpx/flow.h>

/* ---- without BPF --------------------------------------------------------------- */

static void close_socket(struct flows *flows, __u32 slot)
{
	if (flows->sockets[slot] < 0)
		return;
	if (flows->closed)
		flows->closed(flows->arg, slot);
	close(flows->sockets[slot]);
	flows->sockets[slot] = -1;
}

/* Late answers to a port that rests must find a socket: the Registrar should hear of no ICMP
 * error, and no other program of this host get them. */
static bool needs_socket(const struct jpx_flow *flow, const struct jpx_flow_config *cfg, __u32 now)
{
	return flow->state == JPX_FLOW_LIVE ||
	       (flow->state == JPX_FLOW_RESTING && now - flow->last < cfg->rest);
}

/* All slots once a second: what the timer of bpf/flows.bpf.c does for the maps. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct flows *flows = arg;
	const struct jpx_flow_config *cfg = &flows->state->flow_config;
	__u32 now = now_ticks();

	(void)fd;
	(void)what;
	for (__u32 i = 0; i < cfg->slots; i++) {
		/* Some other socket had it; the next flow may try again. */
		if (flows->flows[i].state == JPX_FLOW_LOCAL)
			flows->flows[i].state = JPX_FLOW_FREE;
		if (flows->sockets[i] < 0)
			continue;
		jpx_flow_sweep(cfg, i, now);
		if (!needs_socket(&flows->flows[i], cfg, now))
			close_socket(flows, i);
	}
}

static long end_in_memory(struct flows *flows, const struct jpx_flow_request *m)
{
	long ended = 0;

	for (__u32 i = 0; i < flows->state->flow_config.slots; i++) {
		struct jpx_flow *flow = &flows->flows[i];

		if (flow->state != JPX_FLOW_LIVE || !jpx_flow_matches(flow, m) ||
		    (m->match & JPX_MATCH_SLOT && i != m->slot))
			continue;
		ended += jpx_flow_end(i, *jpx_flow_word_of(flow), now_ticks());
	}
	return ended;
}

static int open_memory(struct flows *flows)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;

	flows->flows = calloc(cfg->slots, sizeof(*flows->flows));
	flows->hints = calloc(hint_count(cfg), sizeof(*flows->hints));
	flows->counts = calloc(JPX_MAX_PORTS, sizeof(*flows->counts));
	flows->sockets = malloc(cfg->slots * sizeof(*flows->sockets));
	flows->sweep = event_new(flows->base, -1, EV_PERSIST, on_sweep, flows);
	if (!flows->flows || !flows->hints || !flows->counts || !flows->sockets || !flows->sweep ||
	    event_add(flows->sweep, &(struct timeval){ .tv_sec = 1 }))
		return -ENOMEM;
	memset(flows->sockets, 0xff, cfg->slots * sizeof(*flows->sockets));
	return 0;
}

/* ---- with BPF --------------------------------------------------------------------- */

/* Runs jpx_flow_ask.  Returns its answer. */
static long ask(const struct flows *flows, struct jpx_flow_request *request)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = request, .data_size_in = sizeof(*request),
		    .data_out = request, .data_size_out = sizeof(*request), .repeat = 1);
	int ret = bpf_prog_test_run_opts(bpf_program__fd(flows->skel->progs.jpx_flow_ask), &run);

	if (ret || run.retval != 2 /* XDP_PASS */) {
		jpx_log_limited(JPX_LOG_ERROR, "cannot ask the fast path about a flow: %s",
				ret ? strerror(-ret) : "it refused");
		return -JPX_DROP_FLOWS_FULL;
	}
	return (long)request->answer;
}

static void *map_table(int fd, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static int map_tables(struct flows *flows, const struct jpx_pinned *maps)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;

	flows->flows_size = (size_t)cfg->slots * sizeof(*flows->flows);
	flows->hints_size = hint_count(cfg) * sizeof(*flows->hints);
	flows->counts_size = JPX_MAX_PORTS * sizeof(*flows->counts);
	flows->flows = map_table(maps->flows, flows->flows_size);
	flows->hints = map_table(maps->flow_hints, flows->hints_size);
	flows->counts = map_table(maps->flow_counts, flows->counts_size);
	return flows->flows && flows->hints && flows->counts ? 0 : -errno;
}

/* One socket for what the stack gets of all flows; bound to a port of the kernel's choice that
 * nobody will ever send to. */
static int open_steered_socket(struct flows *flows)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6 };
	__u32 zero = 0;
	__u64 value;

	flows->socket = udp_socket_open(&local, NULL,
					UDP_SOCKET_PKTINFO | UDP_SOCKET_BOTH | UDP_SOCKET_ORIGDST);
	if (flows->socket < 0)
		return -errno;
	value = (__u64)flows->socket;
	if (bpf_map_update_elem(bpf_map__fd(flows->skel->maps.jpx_flow_socket), &zero, &value,
				BPF_ANY))
		return -errno;
	return 0;
}

static int attach_steer(struct flows *flows)
{
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), ret = 0;

	if (ns < 0)
		return -errno;
	flows->steer = bpf_program__attach_netns(flows->skel->progs.jpx_flow_steer, ns);
	if (!flows->steer)
		ret = -errno;
	close(ns);
	return ret;
}

static int open_bpf(struct flows *flows, const struct jpx_pinned *maps)
{
	struct jpx_flow_request start = { .verb = JPX_ASK_START };
	int ret;

	flows->skel = flows_bpf__open();
	if (!flows->skel)
		return -errno;
	ret = jpx_pinned_share(maps, flows->skel->obj);
	if (!ret)
		ret = flows_bpf__load(flows->skel);
	if (ret)
		return ret;
	xdp_keep(bpf_program__fd(flows->skel->progs.jpx_flow_ask));
	xdp_keep(bpf_program__fd(flows->skel->progs.jpx_flow_steer));
	ret = map_tables(flows, maps);
	if (!ret && ask(flows, &start))
		ret = -EIO;
	if (!ret)
		ret = open_steered_socket(flows);
	return ret ? ret : attach_steer(flows);
}

/* ---- limits ----------------------------------------------------------------------- */

/* Without BPF.  The sockets of flows that rest, and all others, need as many again and more. */
static __u32 memory_max(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 4 > MEMORY_FLOWS_MAX)
		return MEMORY_FLOWS_MAX;
	return files.rlim_cur < 4 ? 1 : (__u32)files.rlim_cur / 4;
}

/* What MAX of the configuration comes to. */
static __u32 possible_max(const struct flows *flows, __u32 max)
{
	return !flows->bpf && max > memory_max() ? memory_max() : max;
}

bool flows_set_limits(struct flows *flows, const struct flows_limits *limits, char *note,
		      size_t note_len)
{
	struct jpx_flow_config *cfg = &flows->state->flow_config;
	/* Without BPF there are fewer from the start: nothing to be told at each change. */
	__u32 max = possible_max(flows, limits->max);
	char ports_text[32], max_text[32];
	bool fits = max <= cfg->capacity;
	bool same = limits->first_port == cfg->first_port && limits->port_count == cfg->port_count;

	cfg->max = fits ? max : cfg->capacity;
	cfg->per_pledge = limits->per_pledge;
	cfg->per_port = limits->per_port;
	cfg->idle = TICKS(limits->idle);
	cfg->rest = TICKS(limits->rest) + 1;
	datapath_put_flow_config(flows->dp, cfg);
	if (fits && same)
		return true;
	snprintf(ports_text, sizeof(ports_text), "ports (%u-%u)", cfg->first_port,
		 cfg->first_port + cfg->port_count - 1);
	snprintf(max_text, sizeof(max_text), "max beyond %u", cfg->capacity);
	snprintf(note, note_len, "flows: %s%s%s %s", same ? "" : ports_text,
		 fits || same ? "" : " and ", fits ? "" : max_text,
		 flows->bpf ? "cannot change while the fast path is pinned; detach every port "
			      "and restart jpd for it"
			    : "cannot change while jpd runs; restart it for that");
	return false;
}

static int first_config(struct flows *flows, const struct flows_limits *limits)
{
	struct jpx_flow_config *cfg = &flows->state->flow_config;
	struct datapath_sizes sizes;
	struct jpx_dport flow = { .flow = 1 };

	flows_sizes(limits, &sizes);
	memset(cfg, 0, sizeof(*cfg));
	if (getrandom(&cfg->secret, sizeof(cfg->secret), 0) != sizeof(cfg->secret))
		return -errno;
	cfg->first_port = limits->first_port;
	cfg->port_count = limits->port_count;
	cfg->port_groups = limits->port_count / JPX_GROUP;
	cfg->capacity = limits->max;
	cfg->slots = sizes.flows;
	cfg->uplink_hash = 1;
	for (unsigned int i = 0; i < limits->port_count; i++)
		datapath_put_dport(flows->dp, limits->first_port + i, &flow);
	return 0;
}

/*
 * May this be worked with?  Everything here is an index, a divisor or a size for us and not
 * for BPF, whose maps have bounds of their own.
 */
static bool is_sane(const struct jpx_state *state)
{
	const struct jpx_flow_config *cfg = &state->flow_config;
	__u32 places = cfg->port_count ? cfg->slots / cfg->port_count : 0;

	if (!places || places > JPX_MAX_UPLINKS || cfg->slots % cfg->port_count ||
	    !cfg->first_port || cfg->first_port > 65535 ||
	    cfg->port_count > 65536 - cfg->first_port ||
	    cfg->port_groups != cfg->port_count / JPX_GROUP)
		return false;
	for (__u32 p = places; p < JPX_MAX_UPLINKS; p++)
		if (state->uplinks[p].flags & JPX_UPLINK_IN_USE)
			return false;
	for (unsigned int s = 0; s < JPX_MAX_SERVICES; s++) {
		const struct jpx_service *service = &state->services[s];

		if (service->uplink_count > JPX_SERVICE_UPLINKS)
			return false;
		for (unsigned int i = 0; i < service->uplink_count; i++)
			if (service->uplinks[i] >= places)
				return false;
	}
	return true;
}

bool flows_is_port(const struct flows *flows, unsigned int udp_port)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;

	return udp_port - cfg->first_port < cfg->port_count;
}

/* ---- uplinks ------------------------------------------------------------------------ */

/* Finds a multiplier for which all addresses have hashes of their own, and writes it and them. */
static void lay_places(struct flows *flows)
{
	struct jpx_flow_config *cfg = &flows->state->flow_config;
	__u32 places[1 << JPX_PLACE_BITS], clashes = 1, hash;

	for (int tries = 0; clashes && tries < 10000; tries++) {
		if (tries)
			cfg->uplink_hash = jpx_flow_random() | 1;
		memset(places, 0, sizeof(places));
		clashes = 0;
		for (__u32 p = 0; p < JPX_MAX_UPLINKS; p++) {
			if (!(flows->state->uplinks[p].flags & JPX_UPLINK_IN_USE))
				continue;
			hash = jpx_uplink_hash_of(cfg, flows->state->uplinks[p].addr);
			clashes += places[hash] != 0;
			places[hash] = p + 1;
		}
	}
	if (clashes) /* of billions of pairs of addresses there is one like this */
		jpx_error("flows: two uplink addresses cannot be told apart; use another for one "
			  "of them");
	datapath_put_uplink_places(flows->dp, places);
	datapath_put_flow_config(flows->dp, cfg);
}

/* The place of ADDR; if there is none, and MAKE, a new one.  -1: none, or all are in use. */
static int place_of(struct flows *flows, const struct in6_addr *addr, bool make)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;
	unsigned int places = cfg->slots / cfg->port_count;
	int free_place = -1;

	for (unsigned int p = 0; p < places && p < JPX_MAX_UPLINKS; p++) {
		struct jpx_uplink *uplink = &flows->state->uplinks[p];

		if (uplink->flags & JPX_UPLINK_IN_USE) {
			if (!memcmp(uplink->addr, addr, 16))
				return (int)p;
		} else if (free_place < 0) {
			free_place = (int)p;
		}
	}
	if (!make)
		return -1;
	if (free_place >= 0) {
		struct jpx_uplink *uplink = &flows->state->uplinks[free_place];

		memset(uplink, 0, sizeof(*uplink));
		memcpy(uplink->addr, addr, 16);
		uplink->addr_sum = (__u32)sum_of(uplink->addr, 16);
		uplink->flags = JPX_UPLINK_IN_USE;
		datapath_put_uplink(flows->dp, (unsigned int)free_place, uplink);
		lay_places(flows);
	}
	return free_place;
}

static bool leaves_from(const struct jpx_service *service, unsigned int place)
{
	for (unsigned int i = 0; i < service->uplink_count; i++)
		if (service->uplinks[i] == place)
			return true;
	return false;
}

static bool in_use(const struct flows *flows, unsigned int place)
{
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
		if (flows->state->services[s].flags & JPX_SERVICE_IN_USE &&
		    leaves_from(&flows->state->services[s], place))
			return true;
	return false;
}

/* Places that no service leaves from any more. */
static void free_places(struct flows *flows)
{
	bool any = false;

	for (unsigned int p = 0; p < JPX_MAX_UPLINKS; p++) {
		struct jpx_uplink *uplink = &flows->state->uplinks[p];
		struct jpx_flow_request match = { .match = JPX_MATCH_UPLINK, .uplink = p };

		if (!(uplink->flags & JPX_UPLINK_IN_USE) || in_use(flows, p))
			continue;
		flows_end(flows, &match);
		memset(uplink, 0, sizeof(*uplink));
		datapath_put_uplink(flows->dp, p, uplink);
		any = true;
	}
	if (any)
		lay_places(flows);
}

int flows_set_uplinks(struct flows *flows, unsigned int service_id, struct jpx_service *service,
		      const struct in6_addr *addrs, const bool *ready, unsigned int count)
{
	struct jpx_service before = *service;
	int place, ret = 0;

	memset(service->uplinks, 0, sizeof(service->uplinks));
	service->uplink_count = 0;
	for (unsigned int i = 0; i < count && i < JPX_SERVICE_UPLINKS; i++) {
		struct jpx_uplink *uplink;
		__u8 flags;

		place = place_of(flows, &addrs[i], true);
		if (place < 0) {
			ret = -ENOSPC;
			break;
		}
		service->uplinks[service->uplink_count++] = (__u8)place;
		uplink = &flows->state->uplinks[place];
		flags = JPX_UPLINK_IN_USE | (ready[i] ? JPX_UPLINK_READY : 0);
		if (uplink->flags != flags) {
			struct jpx_flow_request there = { .match = JPX_MATCH_UPLINK,
							  .uplink = (__u32)place };

			uplink->flags = flags;
			datapath_put_uplink(flows->dp, (unsigned int)place, uplink);
			/* From an address that is no longer ours no answer would find back. */
			if (!ready[i])
				flows_end(flows, &there);
		}
	}
	for (unsigned int i = 0; i < before.uplink_count; i++) {
		struct jpx_flow_request match = { .match = JPX_MATCH_UPLINK | JPX_MATCH_SERVICE,
						  .key = { .service_id = (__u8)service_id },
						  .uplink = before.uplinks[i] };

		if (!leaves_from(service, before.uplinks[i]))
			flows_end(flows, &match);
	}
	return ret;
}

/* ---- single flows ------------------------------------------------------------------- */

struct jpx_flow *flows_at(struct flows *flows, __u32 slot)
{
	(void)flows;
	return jpx_flow_at(slot);
}

void flows_touch(struct flows *flows, struct jpx_flow *flow)
{
	(void)flows;
	jpx_flow_touch(flow, now_ticks());
}

bool flows_is_live(const struct flows *flows, const struct jpx_flow *flow)
{
	return flow->state == JPX_FLOW_LIVE &&
	       !jpx_flow_is_over(&flows->state->flow_config, flow->last, now_ticks());
}

long flows_enter(struct flows *flows, const struct jpx_flow_key *key)
{
	struct jpx_flow_request request = { .verb = JPX_ASK_OPEN, .key = *key };
	struct jpx_flow *flow;
	long slot;

	flow = jpx_flow_recall(&flows->state->flow_config,
			       &flows->state->services[key->service_id & (JPX_MAX_SERVICES - 1)],
			       key, now_ticks());
	if (flow)
		slot = flow - flows->flows;
	else
		slot = flows->bpf ? ask(flows, &request) : jpx_flow_open(NULL, key, 0);
	if (slot >= 0)
		jpx_flow_touch(&flows->flows[slot], now_ticks());
	return slot == JPX_FLOW_OPEN_BUSY ? -JPX_DROP_FLOWS_FULL : slot;
}

bool flows_may_refuse(struct flows *flows, unsigned int port_id)
{
	(void)flows;
	return jpx_may_refuse(port_id, now_ticks());
}

bool flows_may_pass_on(struct flows *flows, unsigned int port_id)
{
	struct errors *e = &flows->passed_on[port_id];
	__u32 now = now_ticks(), since = now - e->tick;
	__u32 left =
		since < ERRORS_AT_ONCE ? e->left + since * JPX_REFUSALS_A_TICK : ERRORS_AT_ONCE;

	e->tick = now;
	e->left = left < ERRORS_AT_ONCE ? left : ERRORS_AT_ONCE;
	return e->left && e->left--;
}

struct jpx_flow *flows_by_uplink(struct flows *flows, const struct in6_addr *addr, in_port_t port)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;
	__u32 offset = ntohs(port) - cfg->first_port, at;
	int place = place_of(flows, addr, false);
	struct jpx_flow *flow;

	if (place < 0 || offset >= cfg->port_count)
		return NULL;
	at = (__u32)place * cfg->port_count + offset;
	flow = jpx_flow_at(at);
	/* The service: an index into tables of ours, out of memory that is not ours alone. */
	return flow && (flow->state == JPX_FLOW_LIVE || flow->state == JPX_FLOW_RESTING) &&
			       flow->key.service_id < JPX_MAX_SERVICES
		       ? flow
		       : NULL;
}

void flows_source(const struct flows *flows, __u32 slot, struct sockaddr_in6 *source)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;

	*source = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	memcpy(&source->sin6_addr, flows->state->uplinks[slot / cfg->port_count].addr, 16);
	source->sin6_port = htons((in_port_t)(cfg->first_port + slot % cfg->port_count));
}

bool flows_is_uplink(struct flows *flows, const struct in6_addr *addr, in_port_t port)
{
	return place_of(flows, addr, false) >= 0 && flows_is_port(flows, ntohs(port));
}

long flows_end(struct flows *flows, const struct jpx_flow_request *match)
{
	struct jpx_flow_request request = *match;
	long ended = 0, some;

	if (!flows->bpf)
		return end_in_memory(flows, match);
	request.verb = JPX_ASK_END;
	if (match->match & JPX_MATCH_SLOT)
		return ask(flows, &request);
	/* Nothing else runs on that CPU meanwhile, so in parts: 240000 flows took 130 ms. */
	request.slots = END_AT_ONCE;
	for (request.slot = 0; request.slot < flows->state->flow_config.slots;
	     request.slot += END_AT_ONCE) {
		some = ask(flows, &request);
		if (some < 0)
			return some;
		ended += some;
	}
	return ended;
}

struct flowlist *flows_list(const struct flows *flows)
{
	return flowlist_over(flows->state, flows->flows, now_ticks());
}

void flows_count(const struct flows *flows, __u32 counts[JPX_MAX_PORTS])
{
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++)
		counts[i] = *(const volatile __u32 *)&flows->counts[i];
}

/* ---- this host's own sockets ---------------------------------------------------------- */

static void note_held(void *arg, const struct in6_addr *addr, uint16_t port, uint32_t ifindex,
		      bool connected, const struct in6_addr *peer, uint16_t peer_port)
{
	struct flows *flows = arg;
	const struct jpx_flow_config *cfg = &flows->state->flow_config;
	bool any4 = IN6_IS_ADDR_V4MAPPED(addr) && addr->s6_addr32[3] == 0;

	(void)ifindex;
	(void)connected;
	(void)peer;
	(void)peer_port;
	for (__u32 p = 0; p < JPX_MAX_UPLINKS; p++) {
		const struct jpx_uplink *uplink = &flows->state->uplinks[p];
		bool is4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)uplink->addr);

		if (uplink->flags & JPX_UPLINK_IN_USE &&
		    (!memcmp(uplink->addr, addr, 16) || (any4 && is4) ||
		     (IN6_IS_ADDR_UNSPECIFIED(addr) && !is4)))
			flows->held[p * cfg->port_count + port - cfg->first_port] = true;
	}
}

/*
 * Ends flows of what is gone: a jpd died after it had taken a port, a service or an address
 * away and before it ended them, or the fast path opened one in between.  The id may soon
 * be another's.
 */
static void end_strays(struct flows *flows)
{
	const struct jpx_state *state = flows->state;
	const struct jpx_flow_config *cfg = &state->flow_config;

	for (__u32 i = 0; i < cfg->slots; i++) {
		const struct jpx_flow *flow = &flows->flows[i];
		struct jpx_flow_request match = { .match = JPX_MATCH_SLOT, .slot = i };
		const struct jpx_service *service;

		if (*(const volatile __u32 *)&flow->state != JPX_FLOW_LIVE)
			continue;
		service = &state->services[flow->key.service_id % JPX_MAX_SERVICES];
		if (!(state->ports[flow->key.port_id].flags & JPX_PORT_IN_USE) ||
		    !(service->flags & JPX_SERVICE_IN_USE) ||
		    !leaves_from(service, i / cfg->port_count))
			flows_end(flows, &match);
	}
}

/* A port that a socket has taken is the socket's: a flow there ends. */
static void leave_held(struct flows *flows)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;

	for (__u32 i = 0; i < cfg->slots; i++) {
		struct jpx_flow *flow = &flows->flows[i];
		struct jpx_flow_request match = { .match = JPX_MATCH_SLOT, .slot = i };
		__u64 word = *(volatile __u64 *)jpx_flow_word_of(flow);

		if (!flows->held[i]) {
			if ((__u32)word == JPX_FLOW_LOCAL)
				jpx_flow_swap(flow, word, jpx_flow_word(JPX_FLOW_FREE, 0));
			continue;
		}
		if ((__u32)word == JPX_FLOW_LIVE) {
			flows_end(flows, &match);
			word = *(volatile __u64 *)jpx_flow_word_of(flow);
		}
		if ((__u32)word == JPX_FLOW_FREE || (__u32)word == JPX_FLOW_RESTING)
			jpx_flow_swap(flow, word, jpx_flow_word(JPX_FLOW_LOCAL, 0));
	}
}

/* Once, until something else is wrong. */
static void complain(struct flows *flows, const char *why)
{
	if (strcmp(flows->complaint, why))
		jpx_warning("flows: %s", why);
	snprintf(flows->complaint, sizeof(flows->complaint), "%s", why);
}

/* Is there, or may there soon be, a flow? */
static bool any_stateful(const struct flows *flows)
{
	bool any_port = false;

	for (unsigned int p = 1; p < JPX_MAX_PORTS; p++)
		any_port |= flows->state->ports[p].flags & JPX_PORT_IN_USE;
	for (unsigned int s = 1; any_port && s < JPX_MAX_SERVICES; s++)
		if (flows->state->services[s].flags & JPX_SERVICE_IN_USE &&
		    flows->state->services[s].mode == JPX_MODE_STATEFUL)
			return true;
	return false;
}

static void release_ports(struct flows *flows)
{
	struct jpx_reserved added;
	char why[512];

	datapath_get_reserved(flows->dp, &added);
	if (!added.count)
		return;
	if (local_ports_release(&added, why, sizeof(why)))
		complain(flows, why);
	datapath_put_reserved(flows->dp, &added);
}

void flows_audit(struct flows *flows)
{
	const struct jpx_flow_config *cfg = &flows->state->flow_config;
	struct jpx_reserved added;
	char why[512];

	free_places(flows);
	if (!flows->bpf)
		return; /* each port is held by a socket of ours */
	end_strays(flows);
	if (!any_stateful(flows)) {
		release_ports(flows);
		return;
	}
	datapath_get_reserved(flows->dp, &added);
	/* Written down before it is done: whoever comes after us gives it back. */
	if (local_ports_plan(cfg->first_port, cfg->port_count, &added, why, sizeof(why))) {
		complain(flows, why);
	} else {
		datapath_put_reserved(flows->dp, &added);
		if (local_ports_reserve(cfg->first_port, cfg->port_count, &added, why, sizeof(why)))
			complain(flows, why);
	}
	memset(flows->held, 0, cfg->slots * sizeof(*flows->held));
	if (local_ports_scan(cfg->first_port, cfg->port_count, note_held, flows, why, sizeof(why)))
		complain(flows, why);
	else
		leave_held(flows);
}

/* ---- life ------------------------------------------------------------------------------- */

int flows_socket(const struct flows *flows)
{
	return flows->socket;
}

int flows_socket_of(const struct flows *flows, __u32 slot)
{
	return flows->sockets ? flows->sockets[slot] : -1;
}

void flows_watch_sockets(struct flows *flows, void (*opened)(void *arg, __u32 slot, int fd),
			 void (*closed)(void *arg, __u32 slot), void *arg)
{
	flows->opened = opened;
	flows->closed = closed;
	flows->arg = arg;
}

struct flows *flows_new(struct event_base *base, struct datapath *dp, struct jpx_state *state,
			const struct flows_limits *limits, bool adopted, char *err, size_t err_len)
{
	const struct jpx_pinned *maps = datapath_maps(dp);
	struct flows *flows = calloc(1, sizeof(*flows));
	struct flows_limits fitting = *limits;
	char note[256];
	int ret;

	if (!flows) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	the = flows;
	flows->base = base;
	flows->dp = dp;
	flows->state = state;
	flows->bpf = maps != NULL;
	flows->socket = -1;
	fitting.max = possible_max(flows, limits->max);
	if (adopted && !is_sane(state)) {
		snprintf(err, err_len,
			 "what is pinned for flows contradicts itself; remove the pin directory "
			 "and attach again");
		flows_free(flows, false);
		return NULL;
	}
	ret = adopted ? 0 : first_config(flows, &fitting);
	if (!ret && !flows_set_limits(flows, &fitting, note, sizeof(note)))
		jpx_warning("%s", note);
	if (!ret)
		ret = flows->bpf ? open_bpf(flows, maps) : open_memory(flows);
	if (!ret) {
		flows->held = calloc(state->flow_config.slots, sizeof(*flows->held));
		ret = flows->held ? 0 : -ENOMEM;
	}
	if (!ret && adopted)
		end_strays(flows);
	if (!ret)
		return flows;
	snprintf(err, err_len, "cannot keep flows: %s", strerror(-ret));
	flows_free(flows, false);
	return NULL;
}

void flows_free(struct flows *flows, bool forget)
{
	if (!flows)
		return;
	if (forget)
		release_ports(flows);
	if (flows->bpf) {
		if (flows->flows)
			munmap(flows->flows, flows->flows_size);
		if (flows->hints)
			munmap(flows->hints, flows->hints_size);
		if (flows->counts)
			munmap(flows->counts, flows->counts_size);
	} else {
		for (__u32 i = 0; flows->sockets && i < flows->state->flow_config.slots; i++)
			close_socket(flows, i);
		free(flows->flows);
		free(flows->hints);
		free(flows->counts);
		tdestroy(flows->pledges, free);
	}
	if (flows->sweep)
		event_free(flows->sweep);
	bpf_link__destroy(flows->steer);
	if (flows->socket >= 0)
		close(flows->socket);
	xdp_keep_none();
	flows_bpf__destroy(flows->skel);
	free(flows->sockets);
	free(flows->held);
	free(flows);
	the = NULL;
}
