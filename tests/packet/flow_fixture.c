/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See flow_fixture.h.  Must not include jpx/flow.h: what is here is a second opinion. */
#include "flow_fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <jpx/flow_tables.h>

#include "fixture.h"
#include "flows.skel.h"
#include "verdict.h"

const char *const ff_uplinks[FF_UPLINKS] = {
	[FF_UPLINK_A] = "2001:db8:0:abcd::a1",	  [FF_UPLINK_B] = "2001:db8:0:abcd::a2",
	[FF_UPLINK_C] = "2001:db8:ffff::ff:fffe", [FF_UPLINK_4A] = "192.0.2.161",
	[FF_UPLINK_4B] = "198.51.100.254",	  [FF_UPLINK_AWAY] = "2001:db8::dead",
};

struct jpx_flow *ff_flows;
struct jpx_flow_config ff_config;

static struct flows_bpf *skel;
static uint64_t *hints, *counts; /* entries of 4 bytes are 8 apart */
static uint8_t addrs[FF_UPLINKS][16];

static void die(const char *what)
{
	fprintf(stderr, "packet tests: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void store(const char *map, uint32_t key, const void *value)
{
	if (bpf_map_update_elem(fx_map(map), &key, value, BPF_ANY))
		die(map);
}

static void *map_table(const char *map, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fx_map(map), 0);

	if (mem == MAP_FAILED)
		die(map);
	return mem;
}

/* ---- set up ------------------------------------------------------------------ */

void ff_uplink_store(uint32_t place, uint8_t flags)
{
	struct jpx_uplink u = { .flags = flags };
	bool v4 = !addrs[place][0];

	memcpy(u.addr, addrs[place], 16);
	u.addr_sum = v4 ? fx_sum(u.addr + 12, 4) : fx_sum(u.addr, 16);
	store("jpx_uplinks", place, &u);
}

void ff_leave_from(uint32_t service, const uint8_t *places, uint8_t count)
{
	struct jpx_service *s = &fx_services[service];

	memset(s->uplinks, 0, sizeof(s->uplinks));
	memcpy(s->uplinks, places, count);
	s->uplink_count = count;
	fx_service_store(service);
}

/* An odd multiplier under which no two addresses meet. */
static void place_uplinks(void)
{
	static const uint32_t none;
	uint32_t hash[FF_UPLINKS], value;
	bool meet = true;

	while (meet) {
		ff_config.uplink_hash = (uint32_t)rnd() | 1;
		meet = false;
		for (int i = 0; i < FF_UPLINKS; i++) {
			hash[i] = jpx_uplink_hash_of(&ff_config, addrs[i]);
			for (int j = 0; j < i; j++)
				meet |= hash[i] == hash[j];
		}
	}
	for (uint32_t i = 0; i < 1U << JPX_PLACE_BITS; i++)
		store("jpx_uplink_places", i, &none);
	for (uint32_t i = 0; i < FF_UPLINKS; i++) {
		value = i + 1;
		store("jpx_uplink_places", hash[i], &value);
	}
}

static void fill(void)
{
	static const uint8_t six[] = { FF_UPLINK_A, FF_UPLINK_AWAY, FF_UPLINK_B, FF_UPLINK_C };
	static const uint8_t four[] = { FF_UPLINK_AWAY, FF_UPLINK_4B, FF_UPLINK_4A };

	for (uint32_t i = 0; i < FF_UPLINKS; i++) {
		frame_addr(ff_uplinks[i], addrs[i]);
		ff_uplink_store(i, i == FF_UPLINK_AWAY ? JPX_UPLINK_IN_USE
						       : JPX_UPLINK_IN_USE | JPX_UPLINK_READY);
	}
	for (uint32_t id = FX_SVC_FLOW; id <= FX_SVC_FLOW_4_CAUGHT; id++) {
		bool v4 = fx_services[id].flags & JPX_SERVICE_IPV4;
		struct jpx_dport caught = { .intercept = (uint8_t)id };

		ff_leave_from(id, v4 ? four : six, v4 ? sizeof(four) : sizeof(six));
		if (fx_services[id].flags & JPX_SERVICE_INTERCEPT)
			store("jpx_dports", FX_CAUGHT(id), &caught);
	}
	place_uplinks();
}

int ff_open(void)
{
	struct bpf_map *map;
	int err;

	skel = flows_bpf__open();
	if (!skel)
		return -errno;
	bpf_object__for_each_map(map, skel->obj) {
		const char *name = bpf_map__name(map);

		/* The rest is this program's own. */
		if (bpf_map__is_internal(map) || !strcmp(name, "jpx_newcomer") ||
		    !strcmp(name, "jpx_sweeper") || !strcmp(name, "jpx_flow_socket"))
			continue;
		err = bpf_map__reuse_fd(map, fx_map(name));
		if (err)
			return err;
	}
	err = flows_bpf__load(skel);
	if (err) {
		fprintf(stderr, "packet tests: cannot load flows.bpf.c: %s\n", strerror(-err));
		return err;
	}
	ff_flows = map_table("jpx_flows", FX_FLOW_SLOTS * sizeof(*ff_flows));
	hints = map_table("jpx_flow_hints", FX_FLOW_HINTS * sizeof(*hints));
	counts = map_table("jpx_flow_counts", JPX_MAX_PORTS * sizeof(*counts));
	fill();
	return 0;
}

void ff_close(void)
{
	munmap(ff_flows, FX_FLOW_SLOTS * sizeof(*ff_flows));
	munmap(hints, FX_FLOW_HINTS * sizeof(*hints));
	munmap(counts, JPX_MAX_PORTS * sizeof(*counts));
	flows_bpf__destroy(skel);
}

void ff_config_store(void)
{
	store("jpx_flow_config", 0, &ff_config);
}

static void mark_ports(uint32_t count, bool flow)
{
	struct jpx_dport d = { .flow = flow };

	for (uint32_t i = 0; i < count; i++)
		store("jpx_dports", FF_FIRST_PORT + i, &d);
}

void ff_reset(uint32_t port_count, uint32_t per_pledge, uint32_t per_port, uint32_t max)
{
	static const struct jpx_refusals none;
	struct jpx_pledge_key key;

	mark_ports(ff_config.port_count, false);
	memset(ff_flows, 0, FX_FLOW_SLOTS * sizeof(*ff_flows));
	memset(hints, 0, FX_FLOW_HINTS * sizeof(*hints));
	memset(counts, 0, JPX_MAX_PORTS * sizeof(*counts));
	while (!bpf_map_get_next_key(fx_map("jpx_pledges"), NULL, &key))
		if (bpf_map_delete_elem(fx_map("jpx_pledges"), &key))
			die("jpx_pledges");
	for (uint32_t i = 0; i < JPX_MAX_PORTS; i++)
		store("jpx_refusals", i, &none);
	ff_config.secret = rnd();
	ff_config.first_port = FF_FIRST_PORT;
	ff_config.port_count = port_count;
	ff_config.idle = 450;
	ff_config.rest = 450;
	ff_config.per_pledge = per_pledge ? per_pledge : JPX_PLEDGE_FLOWS;
	ff_config.per_port = per_port ? per_port : ~0U;
	ff_config.max = max ? max : ~0U;
	ff_config.port_groups = port_count / JPX_GROUP;
	ff_config.slots = port_count * FF_UPLINKS;
	if (ff_config.slots > FX_FLOW_SLOTS) {
		fprintf(stderr, "packet tests: %u ports are too many\n", port_count);
		exit(1);
	}
	ff_config_store();
	mark_ports(port_count, true);
	ff_clock_store();
}

/* ---- time -------------------------------------------------------------------- */

uint32_t ff_tick(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint32_t)(((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec) >>
			  JPX_TICK_SHIFT);
}

uint32_t ff_clock(void)
{
	uint32_t zero = 0;
	uint64_t now;

	if (bpf_map_lookup_elem(fx_map("jpx_clock"), &zero, &now))
		die("jpx_clock");
	return (uint32_t)now;
}

void ff_clock_store(void)
{
	uint64_t now = ff_tick();

	store("jpx_clock", 0, &now);
}

void ff_age(uint32_t slot)
{
	ff_flows[slot].last = ff_tick() - ff_config.idle - 2;
}

void ff_rest(uint32_t slot)
{
	ff_flows[slot].last = ff_tick() - ff_config.rest - 2;
}

/* ---- what jpd asks for --------------------------------------------------------- */

long ff_ask(struct jpx_flow_request *request)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = request, .data_size_in = sizeof(*request),
		    .data_out = request, .data_size_out = sizeof(*request), .repeat = 1);

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.jpx_flow_ask), &opts))
		die("jpx_flow_ask");
	if (opts.retval != XDP_PASS) {
		fprintf(stderr, "packet tests: jpx_flow_ask: verdict %u\n", opts.retval);
		exit(1);
	}
	return (long)request->answer;
}

long ff_end(const struct jpx_flow_request *match)
{
	struct jpx_flow_request r = *match;

	r.verb = JPX_ASK_END;
	return ff_ask(&r);
}

long ff_end_all(void)
{
	return ff_end(&(struct jpx_flow_request){ .match = 0 });
}

/* ---- looking ------------------------------------------------------------------- */

struct jpx_flow_key ff_key(const struct frame_spec *spec, uint8_t port, uint32_t service)
{
	struct jpx_flow_key key = {
		.udp_port = htons(spec->sport),
		.port_id = port,
		.service_id = (uint8_t)service,
	};

	if (spec->ipv4) {
		memcpy((uint8_t *)&key.pledge + 4, spec->src + 12, 4);
		key.kind |= JPX_FLOW_IPV4;
	} else {
		memcpy(&key.pledge, spec->src + 8, 8);
	}
	if (!memcmp(spec->dst, fx_services[service].registrar, 16))
		key.kind |= JPX_FLOW_INTERCEPTED;
	return key;
}

int ff_find(const struct jpx_flow_key *key, uint32_t *slot)
{
	int n = 0;

	for (uint32_t i = 0; i < ff_config.slots; i++) {
		if (ff_flows[i].state != JPX_FLOW_LIVE ||
		    memcmp(&ff_flows[i].key, key, sizeof(*key)))
			continue;
		*slot = i;
		n++;
	}
	return n;
}

uint32_t ff_count(uint32_t port_id)
{
	return (uint32_t)counts[port_id];
}

void ff_hints_poison(void)
{
	for (uint32_t i = 0; i < FX_FLOW_HINTS; i++)
		hints[i] = below(4) ? 0x0101010101010101ULL * below(256) : rnd();
}

int ff_pledges(void)
{
	struct jpx_pledge_key key;
	void *from = NULL;
	int n = 0;

	for (; !bpf_map_get_next_key(fx_map("jpx_pledges"), from, &key); n++)
		from = &key;
	return n;
}

struct jpx_refusals ff_refusals(uint32_t port_id)
{
	struct jpx_refusals r;

	if (bpf_map_lookup_elem(fx_map("jpx_refusals"), &port_id, &r))
		die("jpx_refusals");
	return r;
}

/* Marks in LISTED what the entry of KEY lists, and says what is wrong with it. */
static void audit_entry(const char *text, const struct jpx_pledge_key *key, uint8_t *listed)
{
	struct jpx_pledge_flows p;

	if (bpf_map_lookup_elem(fx_map("jpx_pledges"), key, &p))
		die("jpx_pledges");
	if (memcmp(&p.key, key, sizeof(*key)))
		fail_row(text, "a pledge's entry under its own key", 0, 1);
	if (p.dead)
		fail_row(text, "dead entries", 1, 0);
	if (!p.used)
		fail_row(text, "empty entries", 1, 0);
	for (int i = 0; i < JPX_PLEDGE_FLOWS; i++) {
		const struct jpx_flow *flow;
		uint32_t which;

		if (!(p.used >> i & 1))
			continue;
		if (p.flow[i].slot >= ff_config.slots) {
			fail_row(text, "a listed slot", p.flow[i].slot, ff_config.slots);
			continue;
		}
		flow = &ff_flows[p.flow[i].slot];
		which = flow->key.udp_port | (uint32_t)flow->key.service_id << 16 |
			(uint32_t)flow->key.kind << 24;
		if (flow->state != JPX_FLOW_LIVE)
			fail_row(text, "state of a listed flow", flow->state, JPX_FLOW_LIVE);
		else if (flow->key.pledge != key->pledge || flow->key.port_id != key->port_id ||
			 (flow->key.kind & JPX_FLOW_IPV4) != key->kind)
			fail_row(text, "a listed flow is the pledge's", 0, 1);
		else if (which != p.flow[i].which)
			fail_row(text, "what tells a listed flow apart", p.flow[i].which, which);
		listed[p.flow[i].slot]++;
	}
}

int ff_audit(const char *text)
{
	static uint8_t listed[FX_FLOW_SLOTS];
	uint32_t by_port[JPX_MAX_PORTS] = { 0 };
	struct jpx_pledge_key key;
	void *from = NULL;

	memset(listed, 0, sizeof(listed));
	while (!bpf_map_get_next_key(fx_map("jpx_pledges"), from, &key)) {
		audit_entry(text, &key, listed);
		from = &key;
	}
	for (uint32_t i = 0; i < ff_config.slots; i++) {
		const struct jpx_flow *flow = &ff_flows[i];
		bool live = flow->state == JPX_FLOW_LIVE;

		if (flow->state == JPX_FLOW_CLAIMED)
			fail_row(text, "flows for ever being filled", 1, 0);
		if (listed[i] != live)
			fail_row(text, "how often a flow is listed", listed[i], live);
		if (!live)
			continue;
		by_port[0]++;
		by_port[flow->key.port_id]++;
		if (flow->uplink != i / ff_config.port_count ||
		    ntohs(flow->uplink_port) != FF_FIRST_PORT + i % ff_config.port_count)
			fail_row(text, "a flow at its slot", 0, 1);
	}
	for (uint32_t id = 0; id < JPX_MAX_PORTS; id++)
		if (ff_count(id) != by_port[id])
			fail_row(text, id ? "flows counted for a port" : "flows counted in all",
				 (long)(int)ff_count(id), by_port[id]);
	return (int)by_port[0];
}

/* ---- frames -------------------------------------------------------------------- */

void ff_from_pledge(uint8_t port, uint32_t service, bool v4, struct frame_spec *spec)
{
	const struct jpx_service *s = &fx_services[service];

	if (v4)
		fx_from_pledge4(port, service, spec);
	else
		fx_from_pledge(port, service, spec);
	if (s->flags & JPX_SERVICE_INTERCEPT && v4 == !!(s->flags & JPX_SERVICE_IPV4)) {
		memcpy(spec->dst, s->registrar, 16);
		spec->dport = ntohs(s->registrar_port);
	}
}

static void take_content(struct frame_spec *to, const struct frame_spec *from)
{
	to->content = from->content;
	to->content_len = from->content_len;
}

void ff_to_registrar(const struct jpx_flow *flow, const struct frame_spec *spec,
		     struct frame_spec *to)
{
	fx_to_registrar(flow->key.service_id, to);
	memcpy(to->src, addrs[flow->uplink], 16);
	to->sport = ntohs(flow->uplink_port);
	take_content(to, spec);
}

void ff_from_registrar(const struct jpx_flow *flow, struct frame_spec *spec)
{
	fx_from_registrar(flow->key.service_id, spec);
	memcpy(spec->dst, addrs[flow->uplink], 16);
	spec->dport = ntohs(flow->uplink_port);
}

void ff_to_pledge(const struct jpx_flow *flow, const struct frame_spec *from, struct frame_spec *to)
{
	const struct jpx_service *s = &fx_services[flow->key.service_id];
	const uint8_t *pledge = (const uint8_t *)&flow->key.pledge;
	uint64_t mac = flow->mac ? flow->mac : FX_PLEDGE_MAC; /* as its address tells it */

	if (flow->key.kind & JPX_FLOW_IPV4) {
		fx_to_pledge4(flow->key.port_id, flow->key.service_id, mac, to);
		memcpy(to->dst + 12, pledge + 4, 4);
	} else {
		fx_to_pledge(flow->key.port_id, flow->key.service_id, mac, to);
		memcpy(to->dst + 8, pledge, 8);
	}
	if (flow->key.kind & JPX_FLOW_INTERCEPTED) {
		memcpy(to->src, s->registrar, 16);
		to->sport = ntohs(s->registrar_port);
	}
	to->dport = ntohs(flow->key.udp_port);
	take_content(to, from);
}

int ff_uplink_slot(uint32_t service)
{
	if (ff_bounces(service))
		return FX_SLOT_DUAL_ARM;
	return fx_services[service].l2_len ? FX_SLOT_UPLINK : FX_SLOT_UPLINK_BARE;
}

bool ff_bounces(uint32_t service)
{
	return fx_services[service].bounce_ifindex == FX_IFINDEX_IN;
}
