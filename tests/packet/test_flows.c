/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stateful mode, one CPU: what opens a flow and what goes through it, byte for
 * byte; who is kept out and why; how flows end and what is left of them.  The
 * last tests let chance open and end flows and compare with a model that is a
 * list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"
#include "flow_fixture.h"
#include "frame.h"
#include "groups.h"
#include "verdict.h"

#define NONE 0xffffffffU

static uint8_t content[FRAME_MAX];

/* A datagram of PORT's pledge to SERVICE with LEN bytes of content. */
static void pledge_says(uint8_t port, uint32_t service, bool v4, size_t len,
			struct frame_spec *spec)
{
	ff_from_pledge(port, service, v4, spec);
	fill_content(content, len);
	spec->content = content;
	spec->content_len = len;
}

/* Of another pledge. */
static void pledge_number(uint32_t n, struct frame_spec *spec)
{
	spec->src[14] = (uint8_t)(1 + n / 250);
	spec->src[15] = (uint8_t)(1 + n % 250);
	/* Every other one has the number of an IPv4 address. */
	if (!spec->ipv4 && n & 1)
		memcpy(spec->src + 8, (const uint8_t[]){ 0, 0, 0, 0, 169, 254 }, 6);
	else if (!spec->ipv4)
		memset(spec->src + 8, 0x11, 6);
	spec->src_mac = 0x02cc00000000 + n;
}

/* SPEC goes out through FLOW. */
static void goes_out(const char *text, const struct frame_spec *spec, uint32_t slot)
{
	const struct jpx_flow *flow = &ff_flows[slot];
	uint32_t service = flow->key.service_id;
	struct outcome o = { .kind = RELAYED,
			     .counted_at = flow->key.port_id,
			     .service = service,
			     .same_interface = ff_bounces(service),
			     .content_len = spec->content_len };
	uint8_t in[FRAME_MAX], want[FRAME_MAX];
	struct frame_spec to;

	ff_to_registrar(flow, spec, &to);
	run_fast(text, fx_ports[flow->key.port_id].slot, in, frame_build(spec, in), &o, want,
		 frame_build(&to, want));
}

/* SPEC comes in for FLOW and goes to the pledge. */
static void comes_back(const char *text, const struct frame_spec *spec, uint32_t slot)
{
	const struct jpx_flow *flow = &ff_flows[slot];
	uint8_t port = flow->key.port_id;
	struct outcome o = { .kind = RELAYED,
			     .counted_at = port,
			     .to_pledge = true,
			     .service = flow->key.service_id,
			     .same_interface = port == FX_PORT_DUAL_ARM,
			     .content_len = spec->content_len };
	uint8_t in[FRAME_MAX], want[FRAME_MAX];
	struct frame_spec to;

	ff_to_pledge(flow, spec, &to);
	run_fast(text, ff_uplink_slot(flow->key.service_id), in, frame_build(spec, in), &o, want,
		 frame_build(&to, want));
}

/* Is PLACE one of the service's that flows may leave from now? */
static bool may_leave(uint32_t service, uint32_t place)
{
	const struct jpx_service *s = &fx_services[service];

	for (int i = 0; i < s->uplink_count; i++)
		if (s->uplinks[i] == place)
			return place != FF_UPLINK_AWAY;
	return false;
}

/* SPEC is the first of a flow: opens it and goes out.  Returns its slot, or NONE. */
static uint32_t opens(const char *text, uint8_t port, uint32_t service,
		      const struct frame_spec *spec)
{
	struct jpx_flow_key key = ff_key(spec, port, service);
	struct outcome o = { .kind = RELAYED,
			     .counted_at = port,
			     .service = service,
			     .same_interface = ff_bounces(service),
			     .content_len = spec->content_len };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t len = frame_build(spec, in), out_len, want_len;
	uint32_t slot = NONE, tick = ff_tick();
	struct jpx_flow *flow;
	struct frame_spec to;
	int verdict, n;

	n = ff_find(&key, &slot);
	if (n) {
		fail_row(text, "flows before the first datagram", n, 0);
		return NONE;
	}
	counters_begin();
	fx_tx_only(JPX_TX_SERVICE(service));
	verdict = fx_run(fx_ports[port].slot, in, len, 0, out, &out_len);
	counters_end(text, &o);
	if (verdict != verdict_of(&o)) {
		fail_row(text, "verdict", verdict, verdict_of(&o));
		return NONE;
	}
	n = ff_find(&key, &slot);
	if (n != 1) {
		fail_row(text, "flows after the first datagram", n, 1);
		return NONE;
	}
	flow = &ff_flows[slot];
	ff_to_registrar(flow, spec, &to);
	want_len = frame_build(&to, want);
	if (out_len != want_len || memcmp(out, want, want_len))
		fail_bytes(text, out, out_len, want, want_len);
	if (!may_leave(service, flow->uplink))
		fail_row(text, "place of its uplink", flow->uplink, -1);
	if (flow->mac != (spec->bare ? 0 : spec->src_mac))
		fail_row(text, "the flow's MAC", (long)flow->mac, (long)spec->src_mac);
	if (flow->created - tick > ff_tick() - tick || flow->last - tick > ff_tick() - tick)
		fail_row(text, "the flow's ticks", flow->created, tick);
	if (flow->to_registrar != 1 || flow->to_pledge)
		fail_row(text, "packets of a new flow", (long)flow->to_registrar, 1);
	return slot;
}

/* Runs SPEC on SLOT; it must come to O and to no flow. */
static void comes_to(const char *text, int slot, const struct frame_spec *spec,
		     const struct outcome *o)
{
	uint8_t in[FRAME_MAX];
	size_t len = frame_build(spec, in);

	run_row(text, slot, in, len, 0, o, NULL, 0);
}

/* ---- one flow ---------------------------------------------------------------- */

static const struct way {
	const char *text;
	uint8_t port, service;
	bool v4;
} ways[] = {
	{ "IPv6 to IPv6", FX_PORT_DUAL, FX_SVC_FLOW, false },
	{ "IPv6 to IPv4", FX_PORT_DUAL, FX_SVC_FLOW_4, false },
	{ "IPv4 to IPv6", FX_PORT_DUAL, FX_SVC_FLOW, true },
	{ "IPv4 to IPv4", FX_PORT_DUAL, FX_SVC_FLOW_4, true },
	{ "IPv6, intercepted", FX_PORT_DUAL, FX_SVC_FLOW_CAUGHT, false },
	{ "IPv4, intercepted", FX_PORT_DUAL, FX_SVC_FLOW_4_CAUGHT, true },
	{ "IPv4 to the port, IPv6 Registrar", FX_PORT_DUAL, FX_SVC_FLOW_CAUGHT, true },
	{ "IPv6 to the port, IPv4 Registrar", FX_PORT_DUAL, FX_SVC_FLOW_4_CAUGHT, false },
	{ "IPv6, tagged, intercepted", FX_PORT_DUAL_TAGGED, FX_SVC_FLOW_CAUGHT, false },
	{ "IPv4, twice tagged, intercepted", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_FLOW_4_CAUGHT,
	  true },
	{ "tagged to tagged", FX_PORT_DUAL_TAGGED, FX_SVC_FLOW_TAGGED, false },
	{ "plain to twice tagged", FX_PORT_DUAL, FX_SVC_FLOW_TWICE_TAGGED, false },
	{ "twice tagged to plain", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_FLOW, false },
	{ "twice tagged to twice tagged", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_FLOW_TWICE_TAGGED,
	  false },
	{ "IPv4 tagged to IPv6 twice tagged", FX_PORT_DUAL_TAGGED, FX_SVC_FLOW_TWICE_TAGGED, true },
	{ "IPv6 plain to IPv4 twice tagged", FX_PORT_DUAL, FX_SVC_FLOW_4_TWICE_TAGGED, false },
	{ "IPv4 twice tagged to IPv4 twice tagged", FX_PORT_DUAL_TWICE_TAGGED,
	  FX_SVC_FLOW_4_TWICE_TAGGED, true },
	{ "IPv6 twice tagged to IPv4 plain", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_FLOW_4, false },
	{ "IPv4 plain to bare IPv6", FX_PORT_DUAL, FX_SVC_FLOW_BARE, true },
	{ "IPv4 twice tagged to bare IPv6", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_FLOW_BARE, true },
	{ "IPv6 twice tagged to bare IPv6", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_FLOW_BARE, false },
	{ "bare IPv6 to bare IPv6", FX_PORT_BARE, FX_SVC_FLOW_BARE, false },
	{ "bare IPv6 to IPv4 twice tagged", FX_PORT_BARE, FX_SVC_FLOW_4_TWICE_TAGGED, false },
	{ "bare IPv6 to IPv4", FX_PORT_BARE, FX_SVC_FLOW_4, false },
	{ "one-armed IPv6", FX_PORT_DUAL_ARM, FX_SVC_FLOW_ONE_ARM, false },
	{ "one-armed IPv4", FX_PORT_DUAL_ARM, FX_SVC_FLOW_4_ONE_ARM, true },
	{ "one-armed IPv4 to IPv6", FX_PORT_DUAL_ARM, FX_SVC_FLOW_ONE_ARM, true },
	{ "one-armed IPv6 to IPv4", FX_PORT_DUAL_ARM, FX_SVC_FLOW_4_ONE_ARM, false },
};

static void one_flow(const struct way *w)
{
	struct frame_spec spec, back;
	struct jpx_flow *flow;
	uint32_t slot;

	ff_reset(64, 0, 0, 0);
	pledge_says(w->port, w->service, w->v4, 40, &spec);
	slot = opens(w->text, w->port, w->service, &spec);
	if (slot == NONE)
		return;
	flow = &ff_flows[slot];
	fill_content(content, 41);
	spec.content_len = 41;
	goes_out(w->text, &spec, slot);
	ff_from_registrar(flow, &back);
	back.content = content;
	for (size_t len = 0; len < 4; len++) { /* what a Registrar says is not judged */
		back.content_len = len ? 98 + len : 0;
		comes_back(w->text, &back, slot);
	}
	if (flow->to_registrar != 2 || flow->to_pledge != 4)
		fail_row(w->text, "packets of the flow",
			 (long)(flow->to_registrar + flow->to_pledge), 6);
	/* The pledge is answered where it was last heard. */
	if (!spec.bare) {
		spec.src_mac = 0x02bb00000001;
		goes_out(w->text, &spec, slot);
		if (flow->mac != spec.src_mac)
			fail_row(w->text, "the flow's MAC", (long)flow->mac, (long)spec.src_mac);
		comes_back(w->text, &back, slot);
		spec.src_mac = 0x010000000001;
		goes_out(w->text, &spec, slot);
		if (flow->mac >> 40 & 1)
			fail_row(w->text, "a group's MAC in the flow", 1, 0);
	}
	if (ff_audit(w->text) != 1 || ff_pledges() != 1)
		fail_row(w->text, "flows", ff_pledges(), 1);
}

static void test_one_flow(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(ways); i++)
		one_flow(&ways[i]);
	done();
}

/* Either way keeps a flow alive, and only what goes through it. */
static void test_kept_alive(void **state)
{
	struct frame_spec spec, back, other;
	uint32_t slot, old;

	(void)state;
	ff_reset(64, 0, 0, 0);
	pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
	slot = opens("kept alive", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
	assert_true(slot != NONE);
	ff_from_registrar(&ff_flows[slot], &back);
	back.content = content;
	back.content_len = 40;
	for (int way = 0; way < 2; way++) {
		old = ff_flows[slot].last = ff_tick() - 400;
		ff_clock_store();
		if (way)
			comes_back("back", &back, slot);
		else
			goes_out("there", &spec, slot);
		if (ff_flows[slot].last != ff_clock())
			fail_row("kept alive", "tick of the last packet", ff_flows[slot].last,
				 ff_clock());
		ff_flows[slot].last = old;
	}
	/* A datagram that is handed off, or dropped, does not. */
	other = back;
	other.padding = 1;
	comes_to("padded", FX_SLOT_UPLINK, &other,
		 &(struct outcome){
			 .kind = HANDED, .counted_at = FX_PORT_DUAL, .why = JPX_HANDOFF_PADDING });
	other = back;
	other.sport++;
	comes_to("from another port", FX_SLOT_UPLINK, &other,
		 &(struct outcome){ .kind = DROPPED,
				    .counted_at = FX_PORT_DUAL,
				    .why = JPX_DROP_NOT_REGISTRAR });
	if (ff_flows[slot].last != old)
		fail_row("not kept alive", "tick of the last packet", ff_flows[slot].last, old);
	ff_audit("kept alive");
	done();
}

/* ---- what tells flows apart ------------------------------------------------------ */

static void test_apart(void **state)
{
	struct {
		const char *text;
		uint8_t port, service;
		struct frame_spec spec;
		uint32_t slot;
	} rows[] = {
		{ "the first", FX_PORT_DUAL, FX_SVC_FLOW, {}, 0 },
		{ "another UDP port", FX_PORT_DUAL, FX_SVC_FLOW, {}, 0 },
		{ "another pledge", FX_PORT_DUAL, FX_SVC_FLOW, {}, 0 },
		{ "another VLAN", FX_PORT_DUAL_TAGGED, FX_SVC_FLOW, {}, 0 },
		{ "another interface", FX_PORT_PLAIN, FX_SVC_FLOW, {}, 0 },
		{ "another join port", FX_PORT_DUAL, FX_SVC_FLOW_TAGGED, {}, 0 },
		{ "IPv4", FX_PORT_DUAL, FX_SVC_FLOW, {}, 0 },
		{ "IPv6 with the same number", FX_PORT_DUAL, FX_SVC_FLOW, {}, 0 },
		{ "to the join port", FX_PORT_DUAL, FX_SVC_FLOW_CAUGHT, {}, 0 },
		{ "the same, intercepted", FX_PORT_DUAL, FX_SVC_FLOW_CAUGHT, {}, 0 },
	};

	(void)state;
	ff_reset(64, 0, 0, 0);
	for (size_t i = 0; i < ROWS(rows); i++)
		pledge_says(rows[i].port, rows[i].service, i == 6, 40, &rows[i].spec);
	rows[1].spec.sport++;
	rows[2].spec.src[15]++;
	memset(rows[7].spec.src + 8, 0, 4);
	memcpy(rows[7].spec.src + 12, rows[6].spec.src + 12, 4);
	memcpy(rows[8].spec.dst, fx_ports[FX_PORT_DUAL].addr, 16);
	rows[8].spec.dport = FX_JOIN(FX_SVC_FLOW_CAUGHT);
	for (size_t i = 0; i < ROWS(rows); i++) {
		rows[i].slot = opens(rows[i].text, rows[i].port, rows[i].service, &rows[i].spec);
		assert_true(rows[i].slot != NONE);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(rows[i].slot, rows[j].slot);
	}
	for (size_t i = 0; i < ROWS(rows); i++)
		goes_out(rows[i].text, &rows[i].spec, rows[i].slot);
	assert_int_equal(ff_audit("apart"), ROWS(rows));
	assert_int_equal(ff_pledges(), 6); /* addresses on a port */
	assert_int_equal(ff_end_all(), ROWS(rows));
	assert_int_equal(ff_audit("apart, ended"), 0);
	assert_int_equal(ff_pledges(), 0);
	done();
}

/* ---- pledge to Registrar: who gets no flow --------------------------------------- */

#define PASS	     .is = { .kind = FOREIGN }
#define DROP(reason) .is = { .kind = DROPPED, .why = JPX_DROP_##reason }
#define HAND(reason) .is = { .kind = HANDED, .why = JPX_HANDOFF_##reason }
/* What only the kernel can check has its sender noted: jpd does not see it. */
#define HAND_NOTED(reason) .is = { .kind = HANDED, .noted = true, .why = JPX_HANDOFF_##reason }

static const struct no_flow_case {
	const char *text;
	uint8_t port, service; /* 0: FX_PORT_DUAL, FX_SVC_FLOW */
	bool v4;
	const char *src, *dst, *content;
	uint16_t dport;
	bool port_zero;
	uint64_t dst_mac;
	int ip_len, udp_len;
	size_t padding, content_len;
	enum frame_csum csum;
	uint32_t frag;
	uint16_t head_xor;
	uint16_t flags, clear; /* of the service */
	struct outcome is;
} no_flow_cases[] = {
	{ "source global", .src = "2001:db8::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source fe80:1::1", .src = "fe80:1::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source fe80::", .src = "fe80::", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source v4-mapped", .src = "::ffff:169.254.7.9", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source global, IPv4", .v4 = true, .src = "192.0.2.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 169.254.0.9, IPv4", .v4 = true, .src = "169.254.0.9", DROP(SRC_NOT_LINK_LOCAL) },
	/* Who has a global address has joined: the kernel forwards it. */
	{ "source global, intercepted", .service = FX_SVC_FLOW_CAUGHT, .src = "2001:db8::1", PASS },
	{ "source global, intercepted, IPv4", .service = FX_SVC_FLOW_4_CAUGHT, .v4 = true,
	  .src = "192.0.2.1", PASS },
	{ "source fe80:1::1, intercepted", .service = FX_SVC_FLOW_CAUGHT, .src = "fe80:1::1",
	  DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 169.254.0.9, intercepted", .service = FX_SVC_FLOW_4_CAUGHT, .v4 = true,
	  .src = "169.254.0.9", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source port 0", .port_zero = true, DROP(SRC_PORT_ZERO) },
	{ "to another address", .dst = "fe80::b", PASS },
	{ "to the port's global address", .dst = "2001:db8::b", PASS },
	{ "to a group", .dst = "ff02::1", PASS },
	{ "to another MAC", .dst_mac = 0x020000000199, PASS },
	{ "to another UDP port", .dport = 9999, PASS },
	{ "to the Registrar, not intercepted", .dst = "2001:db8:0:abcd:1a::52", PASS },
	{ "to the Registrar's port on ours", .service = FX_SVC_FLOW_CAUGHT, .dst = "fe80::a:40",
	  PASS },
	{ "intercepted, another address", .service = FX_SVC_FLOW_CAUGHT, .dst = "2001:db8::53",
	  PASS },
	{ "intercepted, another address, IPv4", .service = FX_SVC_FLOW_4_CAUGHT, .v4 = true,
	  .dst = "203.0.113.53", PASS },
	{ "intercepted, another port", .service = FX_SVC_FLOW_CAUGHT, .dport = FX_CAUGHT(99),
	  PASS },
	{ "intercepted, to another MAC", .service = FX_SVC_FLOW_CAUGHT, .dst_mac = 0x020000000199,
	  PASS },
	{ "a port that serves nothing", .port = FX_PORT_UNSERVED, PASS },
	{ "a port that is not ready", .port = FX_PORT_NOT_READY, PASS },
	{ "a port without an IPv4 address", .port = FX_PORT_PLAIN, .v4 = true, PASS },
	{ "service not in use", .clear = JPX_SERVICE_IN_USE, PASS },
	{ "no DTLS", .content = "47455420", DROP(NOT_DTLS) },
	{ "nothing", .content = "", DROP(NOT_DTLS) },
	{ "nothing, IPv4", .v4 = true, .content = "", DROP(NOT_DTLS) },
	{ "IP longer than the frame", .ip_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IP", .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "IPv4 shorter than its header", .v4 = true, .ip_len = -59, DROP(LENGTH_MISMATCH) },
	{ "header checksum wrong", .v4 = true, .head_xor = 1, DROP(IP_CHECKSUM) },
	{ "no checksum", .csum = FRAME_CSUM_ZERO, DROP(CHECKSUM_ZERO) },
	{ "no checksum, IPv4", .v4 = true, .csum = FRAME_CSUM_ZERO, HAND_NOTED(CHECKSUM_NONE) },
	{ "partial checksum", .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, IPv4", .v4 = true, .csum = FRAME_CSUM_PARTIAL,
	  HAND_NOTED(CHECKSUM_PARTIAL) },
	{ "padded", .padding = 1, HAND(PADDING) },
	{ "padded, IPv4", .v4 = true, .padding = 5, HAND_NOTED(PADDING) },
	{ "first fragment, IPv4", .v4 = true, .frag = 0x2000, HAND_NOTED(FRAGMENT) },
	{ "later fragment, IPv4", .v4 = true, .frag = 0x2005, PASS },
	{ "no next hop", .clear = JPX_SERVICE_READY, HAND(NO_NEXT_HOP) },
	{ "uplink cannot be sent to", .flags = JPX_SERVICE_NO_TRANSMIT, HAND(NO_TRANSMIT) },
	{ "over the MTU", .content_len = 1453, HAND(OVER_MTU) },
	{ "over the MTU, IPv4 to IPv6", .v4 = true, .content_len = 1453, HAND(OVER_MTU) },
	{ "over the MTU, IPv6 to IPv4", .service = FX_SVC_FLOW_4, .content_len = 1473,
	  HAND(OVER_MTU) },
};

static void one_no_flow_case(const struct no_flow_case *c)
{
	uint8_t port = c->port ? c->port : FX_PORT_DUAL;
	uint32_t service = c->service ? c->service : FX_SVC_FLOW;
	struct jpx_service *s = &fx_services[service];
	struct outcome o = c->is;
	uint16_t flags = s->flags;
	struct frame_spec spec;

	pledge_says(port, service, c->v4, c->content_len ? c->content_len : 40, &spec);
	if (c->content)
		spec.content_len = frame_hex(c->content, content, sizeof(content));
	if (c->src)
		frame_addr(c->src, spec.src);
	if (c->dst)
		frame_addr(c->dst, spec.dst);
	if (c->dport)
		spec.dport = c->dport;
	if (c->port_zero)
		spec.sport = 0;
	if (c->dst_mac)
		spec.dst_mac = c->dst_mac;
	spec.ip_len_add = c->ip_len;
	spec.udp_len_add = c->udp_len;
	spec.padding = c->padding;
	spec.csum = c->csum;
	spec.frag = c->frag;
	spec.head_csum_xor = c->head_xor;
	s->flags = (uint16_t)((s->flags | c->flags) & ~c->clear);
	fx_service_store(service);
	o.counted_at = o.kind == FOREIGN ? 0 : port;
	fx_macs_clear();
	comes_to(c->text, fx_ports[port].slot, &spec, &o);
	s->flags = flags;
	fx_service_store(service);
	if (ff_audit(c->text) || ff_pledges())
		fail_row(c->text, "flows", 1, 0);
}

static void test_no_flow(void **state)
{
	struct frame_spec spec;

	(void)state;
	ff_reset(64, 0, 0, 0);
	for (size_t i = 0; i < ROWS(no_flow_cases); i++)
		one_no_flow_case(&no_flow_cases[i]);
	fx_macs_clear();
	/* Up to the MTU it is one. */
	pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, true, 1452, &spec);
	opens("as large as the MTU", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
	pledge_says(FX_PORT_DUAL, FX_SVC_FLOW_4, false, 1472, &spec);
	opens("as large as the MTU, to IPv4", FX_PORT_DUAL, FX_SVC_FLOW_4, &spec);
	done();
}

/* ---- Registrar to pledge ----------------------------------------------------------- */

enum before { LIVE, RESTING, OVER, FREE, LOCAL, CLAIMED };

static const struct back_case {
	const char *text;
	uint8_t service; /* 0: FX_SVC_FLOW */
	enum before before;
	bool v4;	  /* the pledge */
	bool no_mac;	  /* is known of it */
	const char *addr; /* of the pledge */
	const char *src, *dst;
	int sport_add, dport_add;
	uint64_t dst_mac;
	int slot;
	int ip_len, udp_len;
	size_t padding, content_len;
	enum frame_csum csum;
	uint16_t head_xor;
	const char *ext; /* hex: options, or a fragment header */
	uint32_t frag;
	uint8_t port_flags, port_clear;
	bool unserved, relayed;
	struct outcome is;
} back_cases[] = {
	{ "live", .relayed = true },
	{ "live, IPv4", .service = FX_SVC_FLOW_4, .relayed = true },
	{ "from another address", .src = "2001:db8:0:abcd:1a::53", PASS },
	{ "from another address, IPv4", .service = FX_SVC_FLOW_4, .src = "203.0.31.53", PASS },
	{ "from another service's Registrar", .src = "2001:db8:0:abcd:1b::52", PASS },
	{ "from the other family", .service = FX_SVC_FLOW_4, .src = "2001:db8:0:abcd:1a::52",
	  PASS },
	{ "from another port", .sport_add = 1, DROP(NOT_REGISTRAR) },
	{ "from another port, IPv4", .service = FX_SVC_FLOW_4, .sport_add = -1,
	  DROP(NOT_REGISTRAR) },
	{ "from another port, resting", .before = RESTING, .sport_add = 1, PASS },
	{ "to another of our addresses", .dst = "2001:db8:0:abcd::a1", .dport_add = 0,
	  .service = FX_SVC_FLOW_4, PASS },
	{ "to an address that is none of ours", .dst = "2001:db8::1", PASS },
	{ "to a port beside it", .dport_add = 1, PASS },
	{ "to a port outside", .dport_add = 2000, PASS },
	{ "to another MAC", .dst_mac = 0x020000000099, PASS },
	{ "on an interface that is no uplink", .slot = FX_SLOT_DUAL, PASS },
	{ "on a slot that is not in use", .slot = FX_SLOT_OFF, PASS },
	{ "free", .before = FREE, PASS },
	{ "resting", .before = RESTING, DROP(NO_FLOW) },
	{ "over by its time", .before = OVER, DROP(NO_FLOW) },
	{ "held by a socket", .before = LOCAL, PASS },
	{ "about to be filled", .before = CLAIMED, PASS },
	{ "IP longer than the frame", .ip_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IP", .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "padded", .padding = 1, HAND(PADDING) },
	{ "no checksum", .csum = FRAME_CSUM_ZERO, DROP(CHECKSUM_ZERO) },
	{ "no checksum, IPv4", .service = FX_SVC_FLOW_4, .csum = FRAME_CSUM_ZERO,
	  HAND(CHECKSUM_NONE) },
	{ "partial checksum", .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, IPv4", .service = FX_SVC_FLOW_4, .csum = FRAME_CSUM_PARTIAL,
	  HAND(CHECKSUM_PARTIAL) },
	{ "header checksum wrong", .service = FX_SVC_FLOW_4, .head_xor = 4, DROP(IP_CHECKSUM) },
	{ "header checksum wrong, resting", .service = FX_SVC_FLOW_4, .before = RESTING,
	  .head_xor = 4, DROP(IP_CHECKSUM) },
	{ "first fragment", .ext = "1100000100000001", HAND(FRAGMENT) },
	{ "first fragment, resting", .before = RESTING, .ext = "1100000100000001", HAND(FRAGMENT) },
	{ "first fragment, free", .before = FREE, .ext = "1100000100000001", PASS },
	{ "first fragment, from another address", .ext = "1100000100000001",
	  .src = "2001:db8:0:abcd:1a::53", PASS },
	{ "later fragment", .ext = "1100000900000001", PASS },
	{ "first fragment, IPv4", .service = FX_SVC_FLOW_4, .frag = 0x2000, HAND(FRAGMENT) },
	{ "options, IPv4", .service = FX_SVC_FLOW_4, .ext = "01010101", HAND(IP_OPTIONS) },
	{ "first fragment on an interface that is no uplink", .slot = FX_SLOT_DUAL,
	  .ext = "1100000100000001", PASS },
	{ "over the port's MTU", .content_len = 1453, HAND(OVER_MTU) },
	{ "over the port's MTU, IPv4", .v4 = true, .content_len = 1473, HAND(OVER_MTU) },
	{ "as large as the port's MTU", .content_len = 1452, .relayed = true },
	{ "as large as the port's MTU, IPv4", .v4 = true, .content_len = 1472, .relayed = true },
	{ "port not ready", .port_clear = JPX_PORT_READY, HAND(NO_TRANSMIT) },
	{ "port cannot be sent to", .port_flags = JPX_PORT_NO_TRANSMIT, HAND(NO_TRANSMIT) },
	{ "port not in use", .port_clear = JPX_PORT_IN_USE, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "port no longer serves it", .unserved = true, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "MAC unknown, told by the address", .no_mac = true, .relayed = true },
	{ "MAC unknown", .no_mac = true, .addr = "fe80::1:2:3:4", HAND(NO_PLEDGE_MAC) },
	{ "MAC unknown, IPv4", .no_mac = true, .v4 = true, HAND(NO_PLEDGE_MAC) },
};

static void one_back_case(const struct back_case *c)
{
	uint32_t service = c->service ? c->service : FX_SVC_FLOW, slot;
	struct jpx_port *port = &fx_ports[FX_PORT_DUAL];
	struct frame_spec spec, back;
	struct jpx_port old = *port;
	struct outcome o = c->is;
	uint8_t ext[8];
	struct jpx_flow *flow;

	ff_reset(64, 0, 0, 0);
	pledge_says(FX_PORT_DUAL, service, c->v4, 40, &spec);
	if (c->addr)
		frame_addr(c->addr, spec.src);
	slot = opens(c->text, FX_PORT_DUAL, service, &spec);
	if (slot == NONE)
		return;
	flow = &ff_flows[slot];
	ff_from_registrar(flow, &back);
	fill_content(content, c->content_len ? c->content_len : 40);
	back.content = content;
	back.content_len = c->content_len ? c->content_len : 40;
	if (c->src)
		frame_addr(c->src, back.src);
	if (c->dst)
		frame_addr(c->dst, back.dst);
	if (c->src && back.src[0])
		back.ipv4 = false;
	if (c->dst && back.dst[0])
		back.ipv4 = false;
	back.sport = (uint16_t)(back.sport + c->sport_add);
	back.dport = (uint16_t)(back.dport + c->dport_add);
	if (c->dst_mac)
		back.dst_mac = c->dst_mac;
	back.ip_len_add = c->ip_len;
	back.udp_len_add = c->udp_len;
	back.padding = c->padding;
	back.csum = c->csum;
	back.head_csum_xor = c->head_xor;
	back.frag = c->frag;
	if (c->ext) {
		back.extended = !back.ipv4;
		back.first_header = 44;
		back.ext = ext;
		back.ext_len = frame_hex(c->ext, ext, sizeof(ext));
	}
	if (c->no_mac)
		flow->mac = 0;
	port->flags = (uint8_t)((port->flags | c->port_flags) & ~c->port_clear);
	if (c->unserved)
		port->services &= ~(1ULL << service);
	fx_port_store(FX_PORT_DUAL);
	switch (c->before) {
	case LIVE:
		break;
	case RESTING:
		assert_int_equal(ff_end_all(), 1);
		break;
	case OVER:
		ff_age(slot);
		break;
	case FREE:
		flow->state = JPX_FLOW_FREE;
		break;
	case LOCAL:
		flow->state = JPX_FLOW_LOCAL;
		break;
	case CLAIMED:
		flow->state = JPX_FLOW_CLAIMED;
		break;
	}
	ff_clock_store();
	if (c->relayed) {
		comes_back(c->text, &back, slot);
	} else {
		o.counted_at = o.kind == FOREIGN ? 0 : FX_PORT_DUAL;
		comes_to(c->text, c->slot ? c->slot : FX_SLOT_UPLINK, &back, &o);
		if (flow->to_pledge)
			fail_row(c->text, "packets to the pledge", (long)flow->to_pledge, 0);
	}
	*port = old;
	fx_port_store(FX_PORT_DUAL);
}

static void test_back(void **state)
{
	(void)state;
	fx_macs_clear();
	for (size_t i = 0; i < ROWS(back_cases); i++)
		one_back_case(&back_cases[i]);
	done();
}

/* One-armed, and what pledges send to is a port of flows, too: both ways must be found. */
static void test_same_port(void **state)
{
	static const uint16_t at = FF_FIRST_PORT + 5;
	struct jpx_service *s = &fx_services[FX_SVC_FLOW_ONE_ARM], old = *s;
	struct frame_spec spec, back;
	uint32_t slot;

	(void)state;
	for (int join = 0; join < 2; join++) {
		struct jpx_dport d = { .join = join ? FX_SVC_FLOW_ONE_ARM : 0,
				       .intercept = join ? 0 : FX_SVC_FLOW_ONE_ARM,
				       .flow = 1 };
		uint8_t place = FF_UPLINK_A;
		uint32_t key = at;

		ff_reset(64, 0, 0, 0);
		assert_int_equal(bpf_map_update_elem(fx_map("jpx_dports"), &key, &d, 0), 0);
		if (join) {
			s->join_port = htons(at);
		} else {
			s->flags |= JPX_SERVICE_INTERCEPT;
			s->registrar_port = htons(at);
		}
		ff_leave_from(FX_SVC_FLOW_ONE_ARM, &place, 1);
		/* Until one flow leaves from that very port. */
		for (uint32_t i = 0; i < 64; i++) {
			pledge_says(FX_PORT_DUAL_ARM, FX_SVC_FLOW_ONE_ARM, false, 40, &spec);
			pledge_number(i, &spec);
			slot = opens("one-armed, same port", FX_PORT_DUAL_ARM, FX_SVC_FLOW_ONE_ARM,
				     &spec);
			if (slot == NONE)
				break;
			goes_out("one-armed, same port, there", &spec, slot);
			ff_from_registrar(&ff_flows[slot], &back);
			back.content = content;
			back.content_len = 40;
			comes_back("one-armed, same port, back", &back, slot);
		}
		assert_int_equal(ff_flows[5].state, JPX_FLOW_LIVE);
		*s = old;
		fx_service_store(FX_SVC_FLOW_ONE_ARM);
	}
	ff_reset(64, 0, 0, 0);
	done();
}

/* ---- limits ------------------------------------------------------------------------ */

/* SPEC is refused, N times in one tick: the first JPX_REFUSALS_A_TICK of a tick go to jpd. */
#define TOLD 7 /* what flow.h says, repeated here */

static void refused(const char *text, uint8_t port, const struct frame_spec *spec,
		    enum jpx_drop why)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t len = frame_build(spec, in), out_len;
	struct jpx_stats old, new;
	struct jpx_refusals r;
	int live = ff_audit(text), told, n = 3 * TOLD;

	for (int tries = 0; tries < 100; tries++) {
		uint32_t tick;

		/* A tick in which nobody has been refused yet. */
		while (ff_refusals(port).tick == ff_tick())
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		ff_clock_store();
		tick = ff_tick();
		fx_stats_of(port, &old);
		for (int i = 0; i < n; i++) {
			int verdict = fx_run(fx_ports[port].slot, in, len, 0, out, &out_len);

			if (verdict != XDP_PASS && verdict != XDP_DROP)
				fail_row(text, "verdict", verdict, XDP_DROP);
			if (verdict == XDP_PASS && (out_len != len || memcmp(out, in, len)))
				fail_bytes(text, out, out_len, in, len);
		}
		fx_stats_of(port, &new);
		r = ff_refusals(port);
		/* All within one tick, and none of that tick before? */
		if (r.tick != tick || ff_tick() != tick || r.count != (uint32_t)n)
			continue;
		told = (int)(new.handoffs[JPX_HANDOFF_FLOW_REFUSED] -
			     old.handoffs[JPX_HANDOFF_FLOW_REFUSED]);
		if (told != TOLD)
			fail_row(text, "refusals to be told", told, TOLD);
		if (new.drops[why] - old.drops[why] != (uint64_t)(n - TOLD))
			fail_row(text, "refusals dropped", (long)(new.drops[why] - old.drops[why]),
				 n - TOLD);
		old.handoffs[JPX_HANDOFF_FLOW_REFUSED] = new.handoffs[JPX_HANDOFF_FLOW_REFUSED];
		old.drops[why] = new.drops[why];
		if (memcmp(&old, &new, sizeof(old)))
			fail_row(text, "other counters", 1, 0);
		if (ff_audit(text) != live)
			fail_row(text, "flows", ff_audit(text), live);
		return;
	}
	fail_row(text, "a tick long enough", 0, 1);
}

static void test_per_pledge(void **state)
{
	struct frame_spec spec, other;
	uint32_t slots[JPX_PLEDGE_FLOWS];

	(void)state;
	for (uint32_t limit = 1; limit <= JPX_PLEDGE_FLOWS + 1; limit++) {
		uint32_t at_most = limit > JPX_PLEDGE_FLOWS ? JPX_PLEDGE_FLOWS : limit;

		ff_reset(64, limit, 0, 0);
		for (uint32_t i = 0; i < at_most; i++) {
			pledge_says(FX_PORT_DUAL, FX_SVC_FLOW + i % 3, false, 40, &spec);
			spec.sport = (uint16_t)(1000 + i);
			slots[i] =
				opens("within the limit", FX_PORT_DUAL, FX_SVC_FLOW + i % 3, &spec);
			assert_true(slots[i] != NONE);
		}
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
		spec.sport = 2000;
		refused("per pledge", FX_PORT_DUAL, &spec, JPX_DROP_FLOWS_PER_PLEDGE);
		/* Those that are there go on; other pledges, and it on another port, may. */
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &other);
		other.sport = 1000;
		goes_out("at the limit", &other, slots[0]);
		other.src[15] ^= 0x40;
		opens("another pledge", FX_PORT_DUAL, FX_SVC_FLOW, &other);
		pledge_says(FX_PORT_DUAL_TAGGED, FX_SVC_FLOW, false, 40, &other);
		opens("on another port", FX_PORT_DUAL_TAGGED, FX_SVC_FLOW, &other);
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, true, 40, &other);
		opens("its IPv4 address", FX_PORT_DUAL, FX_SVC_FLOW, &other);
		/* When one ends there is room for one. */
		assert_int_equal(ff_end(&(struct jpx_flow_request){ .match = JPX_MATCH_SLOT,
								    .slot = slots[0] }),
				 1);
		opens("after one ended", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
		spec.sport++;
		refused("per pledge, again", FX_PORT_DUAL, &spec, JPX_DROP_FLOWS_PER_PLEDGE);
		/* When one is over by its time it is ended on the way. */
		ff_age(slots[at_most - 1]);
		if (at_most > 1) {
			opens("in place of one that is over", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
			if (ff_flows[slots[at_most - 1]].state != JPX_FLOW_RESTING)
				fail_row("reaped", "state", ff_flows[slots[at_most - 1]].state,
					 JPX_FLOW_RESTING);
		}
		ff_audit("per pledge");
		ff_end_all();
		if (ff_pledges() || ff_audit("per pledge, ended"))
			fail_row("per pledge", "pledges left", ff_pledges(), 0);
	}
	done();
}

static void test_per_port(void **state)
{
	struct frame_spec spec;
	uint32_t limit, slot = NONE;

	(void)state;
	for (int own = 0; own < 2; own++) { /* the port's own limit goes before that of all */
		ff_reset(64, 0, own ? 40 : 5, 0);
		limit = own ? 7 : 5;
		fx_ports[FX_PORT_DUAL].max_flows = own ? limit : 0;
		fx_port_store(FX_PORT_DUAL);
		for (uint32_t i = 0; i < limit; i++) {
			pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, i & 1, 40, &spec);
			pledge_number(i, &spec);
			slot = opens("within the limit", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
		}
		assert_int_equal(ff_count(FX_PORT_DUAL), limit);
		pledge_number(100, &spec);
		refused("per port", FX_PORT_DUAL, &spec, JPX_DROP_FLOWS_PER_PORT);
		pledge_says(FX_PORT_DUAL_TAGGED, FX_SVC_FLOW, false, 40, &spec);
		opens("another port", FX_PORT_DUAL_TAGGED, FX_SVC_FLOW, &spec);
		/* One that is over by its time counts until somebody ends it. */
		ff_age(slot);
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
		pledge_number(101, &spec);
		refused("per port, one over", FX_PORT_DUAL, &spec, JPX_DROP_FLOWS_PER_PORT);
		assert_int_equal(
			ff_end(&(struct jpx_flow_request){ .match = JPX_MATCH_SLOT, .slot = slot }),
			1);
		opens("after one ended", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
		pledge_number(102, &spec);
		refused("per port, again", FX_PORT_DUAL, &spec, JPX_DROP_FLOWS_PER_PORT);
		assert_int_equal(ff_end_all(), limit + 1);
		assert_int_equal(ff_audit("per port"), 0);
		assert_int_equal(ff_pledges(), 0);
	}
	fx_ports[FX_PORT_DUAL].max_flows = 0;
	fx_port_store(FX_PORT_DUAL);
	done();
}

static void test_full(void **state)
{
	static const uint8_t ports[] = { FX_PORT_DUAL, FX_PORT_DUAL_TAGGED, FX_PORT_DUAL_ARM };
	struct frame_spec spec;

	(void)state;
	ff_reset(64, 0, 0, 20);
	for (uint32_t i = 0; i < 20; i++) {
		pledge_says(ports[i % 3], FX_SVC_FLOW, false, 40, &spec);
		pledge_number(i, &spec);
		opens("within the limit", ports[i % 3], FX_SVC_FLOW, &spec);
	}
	assert_int_equal(ff_count(0), 20);
	for (uint32_t i = 0; i < 3; i++) {
		pledge_says(ports[i], FX_SVC_FLOW, false, 40, &spec);
		pledge_number(50, &spec);
		refused("full", ports[i], &spec, JPX_DROP_FLOWS_FULL);
	}
	assert_int_equal(ff_pledges(), 20);
	assert_int_equal(ff_end_all(), 20);
	assert_int_equal(ff_audit("full"), 0);
	assert_int_equal(ff_pledges(), 0);
	done();
}

/* Every port of the service's addresses is used, none twice; then a port rests, and is another's
 * only after that. */
static void test_ports(void **state)
{
	static const uint8_t two[] = { FF_UPLINK_B, FF_UPLINK_AWAY, FF_UPLINK_C };
	uint8_t places[JPX_SERVICE_UPLINKS], count = fx_services[FX_SVC_FLOW].uplink_count;
	struct frame_spec spec, back;
	uint32_t slot;

	(void)state;
	memcpy(places, fx_services[FX_SVC_FLOW].uplinks, sizeof(places));
	ff_leave_from(FX_SVC_FLOW, two, sizeof(two));
	for (uint32_t port_count = 1; port_count <= 4; port_count++) {
		ff_reset(port_count, 0, 0, 0);
		for (uint32_t i = 0; i < 2 * port_count; i++) {
			pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
			pledge_number(i, &spec);
			if (opens("a free port", FX_PORT_DUAL, FX_SVC_FLOW, &spec) == NONE)
				break;
		}
		pledge_number(100, &spec);
		refused("no free port", FX_PORT_DUAL, &spec, JPX_DROP_NO_UPLINK_PORT);
		assert_int_equal(ff_pledges(), 2 * port_count);
		/* Another service has other addresses. */
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW_4, false, 40, &spec);
		opens("another service", FX_PORT_DUAL, FX_SVC_FLOW_4, &spec);

		slot = FF_UPLINK_B * port_count;
		ff_from_registrar(&ff_flows[slot], &back);
		back.content = content;
		back.content_len = 40;
		assert_int_equal(
			ff_end(&(struct jpx_flow_request){ .match = JPX_MATCH_SLOT, .slot = slot }),
			1);
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
		pledge_number(101, &spec);
		refused("resting", FX_PORT_DUAL, &spec, JPX_DROP_NO_UPLINK_PORT);
		comes_to("to a resting port", FX_SLOT_UPLINK, &back,
			 &(struct outcome){ .kind = DROPPED,
					    .counted_at = FX_PORT_DUAL,
					    .why = JPX_DROP_NO_FLOW });
		/* Even where another CPU's clock was ahead of ours when the flow ended. */
		for (uint32_t ahead = 0; ahead < 60; ahead += 20) {
			ff_flows[slot].last = ff_tick() + ahead;
			refused("just ended", FX_PORT_DUAL, &spec, JPX_DROP_NO_UPLINK_PORT);
		}
		ff_rest(slot);
		if (opens("a port that has rested", FX_PORT_DUAL, FX_SVC_FLOW, &spec) != slot)
			fail_row("a port that has rested", "another slot", 1, 0);
		comes_back("to its new owner", &back, slot);
		ff_end_all();
	}
	ff_leave_from(FX_SVC_FLOW, places, count);
	ff_reset(64, 0, 0, 0);
	ff_leave_from(FX_SVC_FLOW, places, 0);
	pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
	refused("no address to leave from", FX_PORT_DUAL, &spec, JPX_DROP_NO_UPLINK_PORT);
	assert_int_equal(ff_pledges(), 0);
	ff_leave_from(FX_SVC_FLOW, places, count);
	done();
}

/* A flow whose time is over, but that nobody has ended, is its pledge's again, port and all. */
static void test_revived(void **state)
{
	struct frame_spec spec, back;
	uint32_t slot;

	(void)state;
	ff_reset(64, 2, 0, 0);
	pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, false, 40, &spec);
	slot = opens("revived", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
	assert_true(slot != NONE);
	ff_from_registrar(&ff_flows[slot], &back);
	back.content = content;
	back.content_len = 40;
	for (int i = 0; i < 10; i++) {
		ff_age(slot);
		ff_clock_store();
		comes_to("over", FX_SLOT_UPLINK, &back,
			 &(struct outcome){ .kind = DROPPED,
					    .counted_at = FX_PORT_DUAL,
					    .why = JPX_DROP_NO_FLOW });
		goes_out("revived", &spec, slot);
		comes_back("revived", &back, slot);
		assert_int_equal(ff_audit("revived"), 1);
	}
	/* Ended by whoever comes first, it gets another port: its own rests. */
	ff_end_all();
	assert_int_not_equal(opens("ended", FX_PORT_DUAL, FX_SVC_FLOW, &spec), slot);
	done();
}

/* ---- asked to end ---------------------------------------------------------------- */

/* A random flow's first datagram. */
static void random_first(uint8_t *port, uint32_t *service, struct frame_spec *spec)
{
	static const uint8_t ports[] = { FX_PORT_DUAL, FX_PORT_DUAL_TAGGED, FX_PORT_DUAL_ARM };
	static const uint8_t services[] = { FX_SVC_FLOW, FX_SVC_FLOW_4, FX_SVC_FLOW_TAGGED,
					    FX_SVC_FLOW_CAUGHT, FX_SVC_FLOW_4_CAUGHT };

	*port = ports[below(ROWS(ports))];
	*service = services[below(ROWS(services))];
	pledge_says(*port, *service, below(2), 40, spec);
	pledge_number(below(12), spec);
	spec->sport = (uint16_t)(1000 + below(4));
}

static bool matches(const struct jpx_flow_request *m, uint32_t slot)
{
	const struct jpx_flow *f = &ff_flows[slot];

	if (f->state != JPX_FLOW_LIVE)
		return false;
	if (m->match & JPX_MATCH_SERVICE && f->key.service_id != m->key.service_id)
		return false;
	if (m->match & JPX_MATCH_PORT && f->key.port_id != m->key.port_id)
		return false;
	if (m->match & JPX_MATCH_PLEDGE &&
	    (f->key.pledge != m->key.pledge || (f->key.kind ^ m->key.kind) & JPX_FLOW_IPV4))
		return false;
	if (m->match & JPX_MATCH_UDP_PORT && f->key.udp_port != m->key.udp_port)
		return false;
	if (m->match & JPX_MATCH_UPLINK && slot / ff_config.port_count != m->uplink)
		return false;
	return !(m->match & JPX_MATCH_SLOT) || slot == m->slot;
}

static void random_match(struct jpx_flow_request *m)
{
	struct frame_spec spec;
	uint32_t service;
	uint8_t port;

	memset(m, 0, sizeof(*m));
	random_first(&port, &service, &spec);
	m->key = ff_key(&spec, port, service);
	m->uplink = below(FF_UPLINKS);
	m->slot = below(ff_config.slots);
	m->match = below(64);
}

/* Each match alone and all together, against what they say. */
static void test_asked_to_end(void **state)
{
	struct jpx_flow_request m;
	struct frame_spec spec;
	uint32_t service, seen = 0;
	uint8_t port, in[FRAME_MAX], out[FRAME_MAX];
	size_t out_len;

	(void)state;
	ff_reset(64, 0, 0, 0);
	for (uint32_t turn = 0; turn < 2000; turn++) {
		bool ends[FX_FLOW_SLOTS];
		long n = 0, ended;

		for (uint32_t i = 0; i < ff_config.slots; i++)
			if (ff_flows[i].state == JPX_FLOW_RESTING)
				ff_rest(i);
		for (int i = 0; i < 8; i++) {
			random_first(&port, &service, &spec);
			fx_run(fx_ports[port].slot, in, frame_build(&spec, in), 0, out, &out_len);
		}
		random_match(&m);
		m.match = turn < 640 ? 1U << turn % 6 : turn % 64;
		if (!m.match && turn % 128)
			continue;
		for (uint32_t i = 0; i < ff_config.slots; i++) {
			ends[i] = matches(&m, i);
			n += ends[i];
		}
		ended = ff_end(&m);
		if (ended != n)
			fail_row("asked to end", "how many ended", ended, n);
		for (uint32_t i = 0; i < ff_config.slots; i++)
			if (ends[i] && ff_flows[i].state != JPX_FLOW_RESTING)
				fail_row("asked to end", "state", ff_flows[i].state,
					 JPX_FLOW_RESTING);
		ff_audit("asked to end");
		if (n)
			seen |= 1U << (m.match & 31);
	}
	m = (struct jpx_flow_request){ .match = JPX_MATCH_SLOT, .slot = ff_config.slots + 99999 };
	assert_int_equal(ff_end(&m), 0);
	assert_true(ff_end_all() > 0);
	assert_int_equal(ff_audit("all ended"), 0);
	assert_int_equal(ff_pledges(), 0);
	assert_true(__builtin_popcount(seen) > 20);
	done();
}

/* ---- sockets of this host ---------------------------------------------------------- */

/* A UDP socket on ADDR (NULL: all addresses), which need not be there. */
static int hold(const char *addr, uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool v4 = addr && !strchr(addr, ':');
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	if (v4) {
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one)), 0);
		assert_int_equal(inet_pton(AF_INET, addr, &sin.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
		return fd;
	}
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one)), 0);
	if (addr)
		assert_int_equal(inet_pton(AF_INET6, addr, &sin6.sin6_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	return fd;
}

static void one_held(uint32_t service, uint8_t place, const char *addr, bool taken)
{
	uint8_t places[JPX_SERVICE_UPLINKS], count = fx_services[service].uplink_count;
	struct frame_spec spec;
	int fds[4];

	memcpy(places, fx_services[service].uplinks, sizeof(places));
	ff_leave_from(service, &place, 1);
	/* Three of four are held; then all. */
	for (int turn = 0; turn < 20; turn++) {
		uint32_t left = below(4), slot;

		ff_reset(4, 0, 0, 0);
		for (uint32_t i = 0; i < 4; i++)
			fds[i] = i == left ? -1 : hold(addr, (uint16_t)(FF_FIRST_PORT + i));
		pledge_says(FX_PORT_DUAL, service, false, 40, &spec);
		slot = opens("held", FX_PORT_DUAL, service, &spec);
		if (taken && slot != place * 4U + left)
			fail_row("held ports", "slot", slot, place * 4 + left);
		if (taken) {
			fds[left] = hold(addr, (uint16_t)(FF_FIRST_PORT + left));
			ff_end_all();
			ff_rest(slot);
			refused("all held", FX_PORT_DUAL, &spec, JPX_DROP_NO_UPLINK_PORT);
			for (uint32_t i = 0; i < 4; i++)
				if (ff_flows[place * 4 + i].state != JPX_FLOW_LOCAL)
					fail_row("held ports", "state",
						 ff_flows[place * 4 + i].state, JPX_FLOW_LOCAL);
		}
		for (int i = 0; i < 4; i++)
			if (fds[i] >= 0)
				close(fds[i]);
	}
	ff_leave_from(service, places, count);
}

static void test_held(void **state)
{
	(void)state;
	one_held(FX_SVC_FLOW, FF_UPLINK_A, ff_uplinks[FF_UPLINK_A], true);
	one_held(FX_SVC_FLOW, FF_UPLINK_A, NULL, true);
	one_held(FX_SVC_FLOW_4, FF_UPLINK_4A, ff_uplinks[FF_UPLINK_4A], true);
	one_held(FX_SVC_FLOW_4, FF_UPLINK_4A, NULL, true);
	/* Of another address: free. */
	one_held(FX_SVC_FLOW, FF_UPLINK_A, ff_uplinks[FF_UPLINK_B], false);
	one_held(FX_SVC_FLOW_4, FF_UPLINK_4A, ff_uplinks[FF_UPLINK_4B], false);
	done();
}

/* ---- lengths ------------------------------------------------------------------------- */

/* Every length through every way, odd and even; wrong checksums stay wrong. */
static void test_lengths(void **state)
{
	static const size_t edges[] = { 1, 2, 3, 4, 22, 23, 24, 25, 254, 255, 256, 257 };
	int relayed = 0, wrong = 0;

	(void)state;
	for (size_t i = 0; i < ROWS(ways); i++) {
		const struct way *w = &ways[i];
		bool v4_out = fx_services[w->service].flags & JPX_SERVICE_IPV4;
		size_t most[2] = { 1500U - (v4_out ? 28 : 48), 1500U - (w->v4 ? 28 : 48) };
		struct frame_spec spec, back;
		uint32_t slot;

		ff_reset(64, 0, 0, 0);
		pledge_says(w->port, w->service, w->v4, 40, &spec);
		slot = opens(w->text, w->port, w->service, &spec);
		if (slot == NONE)
			continue;
		for (size_t n = 0; n < 120 + ROWS(edges); n++) {
			size_t len = n < ROWS(edges)	    ? edges[n]
				     : n < ROWS(edges) + 8  ? most[0] - (n - ROWS(edges))
				     : n < ROWS(edges) + 60 ? 26 + n
							    : 3 + below((uint32_t)most[0] - 3);
			uint8_t frame[FRAME_MAX];
			struct frame_spec try;

			fill_content(content, len);
			if (len < 3)
				content[0] = 0x3f;
			else if (below(2))
				content[0] = (uint8_t)(20 + below(7));
			try = spec;
			try.content_len = len;
			frame_build(&try, frame);
			if (!frame_csum_looks_partial(frame, fx_ports[w->port].l2_len)) {
				goes_out(w->text, &try, slot);
				relayed++;
			}
			if (len > most[1])
				continue;
			ff_from_registrar(&ff_flows[slot], &back);
			back.content = content;
			back.content_len = len;
			frame_build(&back, frame);
			if (!frame_csum_looks_partial(frame, fx_services[w->service].l2_len)) {
				comes_back(w->text, &back, slot);
				relayed++;
			}
		}
		/* An error in the content must be there for the receiver to find. */
		for (int n = 0; n < 60; n++) {
			struct outcome o = { .kind = RELAYED };
			uint8_t in[FRAME_MAX], out[FRAME_MAX];
			bool there = n & 1;
			size_t len, out_len, l2;
			int verdict;

			fill_content(content, 30 + (size_t)n);
			ff_from_registrar(&ff_flows[slot], &back);
			back.content = content;
			spec.content_len = back.content_len = 30 + (size_t)n;
			len = frame_build(there ? &spec : &back, in);
			in[len - 5 - below(12)] ^= (uint8_t)(1U << below(8));
			fx_tx_only(there ? JPX_TX_SERVICE(w->service) : JPX_TX_PORT(w->port));
			o.same_interface =
				there ? ff_bounces(w->service) : w->port == FX_PORT_DUAL_ARM;
			verdict =
				fx_run(there ? fx_ports[w->port].slot : ff_uplink_slot(w->service),
				       in, len, 0, out, &out_len);
			if (verdict != verdict_of(&o)) {
				fail_row("damaged content", "verdict", verdict, verdict_of(&o));
				continue;
			}
			l2 = there ? fx_services[w->service].l2_len : fx_ports[w->port].l2_len;
			if (frame_csum_ok(out, out_len, l2))
				fail_row(w->text, "a wrong checksum right", 1, 0);
			wrong++;
		}
		ff_audit(w->text);
	}
	print_message("%d relayed, %d with a wrong checksum\n", relayed, wrong);
	assert_true(relayed > 6000 && wrong == 60 * (int)ROWS(ways));
	done();
}

/* ---- damage ---------------------------------------------------------------------------- */

static void test_damaged(void **state)
{
	struct frame_spec spec[ROWS(ways)];
	uint32_t slots[ROWS(ways)];
	int seen[5] = { 0 };

	(void)state;
	ff_reset(64, 0, 0, 0);
	for (size_t i = 0; i < ROWS(ways); i++) {
		pledge_says(ways[i].port, ways[i].service, ways[i].v4, 30, &spec[i]);
		spec[i].sport = (uint16_t)(2000 + i);
		pledge_number((uint32_t)i, &spec[i]);
		slots[i] = opens(ways[i].text, ways[i].port, ways[i].service, &spec[i]);
		assert_true(slots[i] != NONE);
	}
	for (int i = 0; i < 20000; i++) {
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t at = below(ROWS(ways)), len, out_len;
		const struct way *w = &ways[at];
		struct frame_spec back;
		int verdict, slot = fx_ports[w->port].slot;

		if (below(2)) {
			len = frame_build(&spec[at], in);
		} else {
			ff_from_registrar(&ff_flows[slots[at]], &back);
			back.content = content;
			back.content_len = 30;
			len = frame_build(&back, in);
			slot = ff_uplink_slot(w->service);
		}
		for (uint32_t n = below(4); n; n--)
			in[below((uint32_t)len)] = (uint8_t)rnd();
		if (!below(8))
			len = 14 + below((uint32_t)len - 13);
		verdict = fx_run(slot, in, len, 0, out, &out_len);
		if (verdict <= XDP_ABORTED || verdict > XDP_REDIRECT) {
			fail_row("damaged frame", "verdict", verdict, XDP_PASS);
			continue;
		}
		seen[verdict]++;
		if (verdict == XDP_PASS && (len != out_len || memcmp(in, out, len)))
			fail_bytes("damaged frame, passed", out, out_len, in, len);
	}
	fx_macs_clear();
	print_message("dropped %d, passed %d, sent %d; %d flows\n", seen[XDP_DROP], seen[XDP_PASS],
		      seen[XDP_TX] + seen[XDP_REDIRECT], ff_audit("damaged"));
	assert_true(seen[XDP_DROP] > 1000 && seen[XDP_PASS] > 1000);
	assert_true(seen[XDP_TX] + seen[XDP_REDIRECT] > 50);
	ff_end_all();
	assert_int_equal(ff_audit("damaged, ended"), 0);
	assert_int_equal(ff_pledges(), 0);
	done();
}

/* ---- chance against a model --------------------------------------------------------------- */

/* What must be there: flows by slot, in words of this test only. */
static struct {
	bool live, over;
	struct jpx_flow_key key;
} model[FX_FLOW_SLOTS];

static uint32_t model_find(const struct jpx_flow_key *key)
{
	for (uint32_t i = 0; i < ff_config.slots; i++)
		if (model[i].live && !memcmp(&model[i].key, key, sizeof(*key)))
			return i;
	return NONE;
}

static bool same_pledge(const struct jpx_flow_key *a, const struct jpx_flow_key *b)
{
	return a->pledge == b->pledge && a->port_id == b->port_id &&
	       !((a->kind ^ b->kind) & JPX_FLOW_IPV4);
}

/* What keeps KEY out, or JPX_RELAY.  Ends in the model what is ended on the way. */
static enum jpx_drop model_admit(const struct jpx_flow_key *key)
{
	uint32_t of_pledge = 0, over = 0, of_port = 0, all = 0, free = 0;

	for (uint32_t i = 0; i < ff_config.slots; i++) {
		if (!model[i].live || !same_pledge(&model[i].key, key))
			continue;
		of_pledge++;
		over += model[i].over;
	}
	if (of_pledge >= ff_config.per_pledge) {
		if (!over)
			return JPX_DROP_FLOWS_PER_PLEDGE;
		for (uint32_t i = 0; i < ff_config.slots; i++)
			if (model[i].over && same_pledge(&model[i].key, key))
				model[i].live = model[i].over = false;
	}
	for (uint32_t i = 0; i < ff_config.slots; i++) {
		all += model[i].live;
		of_port += model[i].live && model[i].key.port_id == key->port_id;
	}
	if (of_port >= ff_config.per_port)
		return JPX_DROP_FLOWS_PER_PORT;
	if (all >= ff_config.max)
		return JPX_DROP_FLOWS_FULL;
	for (uint32_t i = 0; i < ff_config.slots; i++)
		if (may_leave(key->service_id, i / ff_config.port_count))
			free += ff_flows[i].state == JPX_FLOW_FREE ||
				(ff_flows[i].state == JPX_FLOW_RESTING &&
				 ff_tick() - ff_flows[i].last > ff_config.rest);
	return free ? JPX_RELAY : JPX_DROP_NO_UPLINK_PORT;
}

static int outcomes[JPX_DROP_COUNT + 1];

static void random_datagram(void)
{
	uint8_t port, in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	struct jpx_stats old, new;
	struct frame_spec spec, to;
	struct jpx_flow_key key;
	uint32_t service, slot, was;
	size_t len, out_len, want_len;
	enum jpx_drop why = JPX_RELAY;
	int verdict;

	random_first(&port, &service, &spec);
	key = ff_key(&spec, port, service);
	was = model_find(&key);
	if (was == NONE)
		why = model_admit(&key);
	len = frame_build(&spec, in);
	fx_tx_only(0);
	fx_tx_only(JPX_TX_SERVICE(service));
	fx_stats_of(port, &old);
	verdict = fx_run(fx_ports[port].slot, in, len, 0, out, &out_len);
	fx_stats_of(port, &new);
	outcomes[why]++;
	if (why != JPX_RELAY) {
		uint64_t n = new.drops[why] - old.drops[why] +
			     new.handoffs[JPX_HANDOFF_FLOW_REFUSED] -
			     old.handoffs[JPX_HANDOFF_FLOW_REFUSED];

		if (n != 1 || (verdict != XDP_DROP && verdict != XDP_PASS)) {
			fail_row("model", "refused", verdict, why);
			for (int d = 0; d < JPX_DROP_COUNT; d++)
				if (new.drops[d] != old.drops[d])
					fail_row("model", "instead", d, why);
		}
		return;
	}
	if (verdict != XDP_REDIRECT || ff_find(&key, &slot) != 1) {
		fail_row("model", "relayed", verdict, XDP_REDIRECT);
		return;
	}
	if (was != NONE ? slot != was : model[slot].live)
		fail_row("model", "slot", slot, was);
	model[slot].live = true;
	model[slot].over = false;
	model[slot].key = key;
	ff_to_registrar(&ff_flows[slot], &spec, &to);
	want_len = frame_build(&to, want);
	if (out_len != want_len || memcmp(out, want, want_len))
		fail_bytes("model", out, out_len, want, want_len);
}

static void random_time(void)
{
	uint32_t slot = below(ff_config.slots);

	if (model[slot].live) {
		ff_age(slot);
		model[slot].over = true;
	} else if (ff_flows[slot].state == JPX_FLOW_RESTING) {
		ff_rest(slot);
	}
}

static void model_agrees(void)
{
	for (uint32_t i = 0; i < ff_config.slots; i++) {
		bool live = ff_flows[i].state == JPX_FLOW_LIVE;

		if (live != model[i].live)
			fail_row("model", "is there a flow", live, model[i].live);
		else if (live && memcmp(&ff_flows[i].key, &model[i].key, sizeof(model[i].key)))
			fail_row("model", "whose flow it is", 0, 1);
	}
}

static void test_model(void **state)
{
	struct jpx_flow_request m;
	long ended = 0, n;

	(void)state;
	memset(outcomes, 0, sizeof(outcomes));
	for (int round = 0; round < 25; round++) {
		uint32_t port_count = 4 + below(12);

		ff_reset(port_count, 1 + (uint32_t)round % 6, 8 + below(20), 16 + below(30));
		memset(model, 0, sizeof(model));
		for (int i = 0; i < 4000; i++) {
			uint32_t what = below(100);

			if (what < 60) {
				random_datagram();
			} else if (what < 92) {
				random_time();
			} else if (what < 99) {
				random_match(&m);
				n = 0;
				for (uint32_t s = 0; s < ff_config.slots; s++)
					if (matches(&m, s)) {
						model[s].live = model[s].over = false;
						n++;
					}
				if (ff_end(&m) != n)
					fail_row("model", "how many ended", 0, n);
				ended += n;
			} else {
				ff_hints_poison();
			}
			if (i % 100 == 99) {
				ff_audit("model");
				model_agrees();
			}
		}
		ended += ff_end_all();
		if (ff_audit("model, ended") || ff_pledges())
			fail_row("model", "left over", ff_pledges(), 0);
		if (failures)
			break;
	}
	fx_macs_clear();
	print_message("relayed %d, per_pledge %d, per_port %d, full %d, no port %d; ended %ld\n",
		      outcomes[0], outcomes[JPX_DROP_FLOWS_PER_PLEDGE],
		      outcomes[JPX_DROP_FLOWS_PER_PORT], outcomes[JPX_DROP_FLOWS_FULL],
		      outcomes[JPX_DROP_NO_UPLINK_PORT], ended);
	done();
	assert_true(outcomes[0] > 3000 && outcomes[JPX_DROP_FLOWS_PER_PLEDGE] > 100 &&
		    outcomes[JPX_DROP_FLOWS_PER_PORT] > 100 &&
		    outcomes[JPX_DROP_FLOWS_FULL] > 100 && outcomes[JPX_DROP_NO_UPLINK_PORT] > 100);
}

/* ---- the sweep: last, since its timer stays ------------------------------------------------- */

static void test_sweep(void **state)
{
	struct jpx_flow_request start = { .verb = JPX_ASK_START };
	struct frame_spec spec;
	uint32_t before;

	(void)state;
	ff_reset(1024, 0, 0, 0);
	for (uint32_t i = 0; i < 200; i++) {
		pledge_says(FX_PORT_DUAL, FX_SVC_FLOW, i & 1, 40, &spec);
		pledge_number(i, &spec);
		opens("for the sweep", FX_PORT_DUAL, FX_SVC_FLOW, &spec);
	}
	assert_int_equal(ff_audit("before the sweep"), 200);
	for (uint32_t i = 0; i < ff_config.slots; i++)
		if (ff_flows[i].state == JPX_FLOW_LIVE && ff_flows[i].key.kind)
			ff_age(i);
	assert_int_equal(ff_ask(&start), 0);
	/* Again, as a second jpd would. */
	assert_int_equal(ff_ask(&start), 0);
	before = ff_clock();
	for (int i = 0; i < 300 && ff_count(0) > 100; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	assert_int_equal(ff_audit("after the sweep"), 100);
	assert_true(ff_clock() - before < 1000 && ff_tick() - ff_clock() < 16);
	ff_end_all();
	assert_int_equal(ff_audit("ended"), 0);
	assert_int_equal(ff_pledges(), 0);
	/* With no flows it goes on, slower. */
	before = ff_clock();
	nanosleep(&(struct timespec){ .tv_nsec = 400000000 }, NULL);
	assert_true(ff_clock() - before >= 3);
	done();
}

static int setup(void **state)
{
	int err;

	(void)state;
	reseed();
	err = fx_open();
	return err ? err : ff_open();
}

static int teardown(void **state)
{
	(void)state;
	ff_close();
	fx_close();
	return 0;
}

int flows_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_flow),
		cmocka_unit_test(test_kept_alive),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_no_flow),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_same_port),
		cmocka_unit_test(test_per_pledge),
		cmocka_unit_test(test_per_port),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_revived),
		cmocka_unit_test(test_asked_to_end),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests_name("flows", tests, setup, teardown);
}
