/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers to ports that XDP cannot send to: what XDP leaves for the tc program, to the byte, when it
 * leaves it to the socket engine instead, and that the tc program touches nothing without a note.
 * What the kernel makes of a note is for tests/lab/by_tc.sh: a test run has no metadata for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <jpx/jpy.h>

#include "fixture.h"
#include "flow_fixture.h"
#include "groups.h"
#include "tc.skel.h"
#include "verdict.h"

#define ROWS(a) (sizeof(a) / sizeof(*(a)))

/* As bpf/by_tc.h has it; written down here a second time. */
#define NOTE_LEN 16

static size_t note(uint8_t port, const struct frame_spec *answer, uint8_t out[NOTE_LEN])
{
	const uint32_t magic = 0x4a505854;
	const uint16_t id = port, ipv4 = answer->ipv4;

	memset(out, 0, NOTE_LEN);
	memcpy(out, &magic, 4);
	memcpy(out + 4, &id, 2);
	memcpy(out + 6, &ipv4, 2);
	if (ipv4)
		memcpy(out + 8, answer->dst + 12, 4);
	else
		memcpy(out + 8, answer->dst + 8, 8);
	return NOTE_LEN;
}

/* ANSWER, addressed to nobody, with a note in front. */
static size_t left_for_tc(uint8_t port, struct frame_spec *answer, uint8_t out[FRAME_MAX])
{
	uint8_t frame[FRAME_MAX];
	size_t len;

	answer->bare = false;
	answer->tags = 0;
	answer->src_mac = answer->dst_mac = 0;
	len = frame_build(answer, frame);
	assert_true(NOTE_LEN + len <= FRAME_MAX);
	memcpy(out + note(port, answer, out), frame, len);
	return NOTE_LEN + len;
}

static uint8_t content[1500];

/* Runs IN and compares with WANT, NULL: with IN itself; O: what must be counted. */
static void expect(const char *text, int slot, const uint8_t *in, size_t len, size_t meta,
		   const struct outcome *o, const uint8_t *want, size_t want_len)
{
	uint8_t out[FRAME_MAX];
	size_t out_len;
	int verdict;

	counters_begin();
	verdict = fx_run(slot, in, len, meta, out, &out_len);
	if (verdict != XDP_PASS)
		fail_row(text, "verdict", verdict, XDP_PASS);
	else if (!want && (out_len != len || memcmp(out, in, len)))
		fail_bytes(text, out, out_len, in, len);
	else if (want && (out_len != want_len || memcmp(out, want, want_len)))
		fail_bytes(text, out, out_len, want, want_len);
	else if (want && !frame_csum_ok(out + NOTE_LEN, out_len - NOTE_LEN, 14))
		fail_row(text, "checksum right", 0, 1);
	counters_end(text, o);
}

static void set_port(uint8_t id, struct jpx_port *old)
{
	*old = fx_ports[id];
	fx_ports[id].flags |= JPX_PORT_NO_TRANSMIT;
	fx_port_store(id);
}

static void restore_port(uint8_t id, const struct jpx_port *old)
{
	fx_ports[id] = *old;
	fx_port_store(id);
}

/* ---- stateless ---------------------------------------------------------------------- */

struct row {
	const char *text;
	uint8_t port;
	uint32_t service;
	bool v4;
	const char *pledge; /* NULL: the fixture's */
	size_t len;	    /* of the content; 0: 40 */
	int slot;	    /* 0: FX_SLOT_UPLINK_TC */
	bool no_slot;	    /* the port carries no program of ours */
	int why;	    /* -1: left for tc */
	size_t meta;
};

#define LEFT .why = -1
static const struct row rows[] = {
	{ "draft-02", FX_PORT_NO_TRANSMIT, FX_SVC_02, LEFT },
	{ "draft-06", FX_PORT_NO_TRANSMIT, FX_SVC_06, LEFT },
	{ "draft-21", FX_PORT_NO_TRANSMIT, FX_SVC_21, LEFT },
	{ "draft-06 with a tag", FX_PORT_NO_TRANSMIT, FX_SVC_06_TAGGED, LEFT },
	{ "draft-21 with two tags", FX_PORT_NO_TRANSMIT, FX_SVC_21_TWICE_TAGGED, LEFT },
	{ "to bare IPv6", FX_PORT_BARE, FX_SVC_02, LEFT },
	{ "to bare IPv6, draft-21", FX_PORT_BARE, FX_SVC_21, LEFT },
	{ "to bare IPv6, two tags", FX_PORT_BARE, FX_SVC_TWICE_TAGGED_02, LEFT },
	{ "no MAC is needed", FX_PORT_NO_TRANSMIT, FX_SVC_02, .pledge = "fe80::1:2:3:4", LEFT },
	{ "odd length", FX_PORT_BARE, FX_SVC_06, .len = 41, LEFT },
	{ "to one with tags", FX_PORT_DUAL_TWICE_TAGGED, FX_SVC_02, LEFT },
	{ "IPv4 to IPv6", FX_PORT_NO_TRANSMIT, FX_SVC_4_02, LEFT },
	{ "IPv4 with tags to bare IPv6", FX_PORT_BARE, FX_SVC_4_06_TWICE_TAGGED, LEFT },
	{ "IPv6 to IPv4", FX_PORT_DUAL, FX_SVC_02, .v4 = true, LEFT },
	{ "IPv4 to IPv4", FX_PORT_DUAL_TAGGED, FX_SVC_4_21, .v4 = true, LEFT },
	{ "as large as the MTU", FX_PORT_BARE, FX_SVC_02, .len = 1452, LEFT },
	{ "larger than the MTU", FX_PORT_BARE, FX_SVC_02, .len = 1453,
	  .why = JPX_HANDOFF_OVER_MTU },
	{ "IPv4 to bare IPv6", FX_PORT_BARE, FX_SVC_02, .v4 = true,
	  .why = JPX_HANDOFF_NO_TRANSMIT },
	{ "no tc program here", FX_PORT_BARE, FX_SVC_02, .slot = FX_SLOT_UPLINK,
	  .why = JPX_HANDOFF_NO_TRANSMIT },
	{ "a port without a program", FX_PORT_BARE, FX_SVC_02, .no_slot = true,
	  .why = JPX_HANDOFF_NO_TRANSMIT },
};

static void says(const struct row *r, struct frame_spec *spec, struct frame_spec *answer)
{
	static uint8_t message[FRAME_MAX];
	struct jpx_pledge pledge = { .udp_port = FX_PLEDGE_UDP, .port_id = r->port };
	ssize_t len;

	if (r->v4)
		fx_to_pledge4(r->port, r->service, 0, answer);
	else
		fx_to_pledge(r->port, r->service, 0, answer);
	if (r->pledge)
		frame_addr(r->pledge, answer->dst);
	answer->content = content;
	answer->content_len = r->len ? r->len : 40;
	fill_content(content, answer->content_len);
	memcpy(pledge.addr, answer->dst, 16);
	len = jpx_jpy_wrap(fx_services[r->service].form, &pledge, content, answer->content_len,
			   message, sizeof(message));
	assert_true(len > 0);
	fx_from_registrar(r->service, spec);
	spec->content = message;
	spec->content_len = (size_t)len;
}

static void one_row(const struct row *r)
{
	struct outcome o = { .kind = r->why < 0 ? RELAYED : HANDED,
			     .why = (unsigned int)r->why,
			     .counted_at = r->port,
			     .to_pledge = true,
			     .service = r->service };
	uint8_t in[FRAME_MAX], want[FRAME_MAX];
	struct frame_spec spec, answer;
	size_t len, want_len;
	struct jpx_port old;

	set_port(r->port, &old);
	if (r->no_slot) {
		fx_ports[r->port].slot = 0;
		fx_port_store(r->port);
	}
	says(r, &spec, &answer);
	o.content_len = answer.content_len;
	len = frame_build(&spec, in);
	want_len = left_for_tc(r->port, &answer, want);
	expect(r->text, r->slot ? r->slot : FX_SLOT_UPLINK_TC, in, len, r->meta, &o,
	       r->why < 0 ? want : NULL, want_len);
	restore_port(r->port, &old);
}

static void test_stateless(void **state)
{
	(void)state;
	fx_macs_clear();
	for (size_t i = 0; i < ROWS(rows); i++)
		one_row(&rows[i]);
	done();
}

/* Metadata of somebody else has used up what there may be: 32 bytes before 6.4, all of the headroom
 * from then on.  The other number is refused by the kernel, or is no bound to it. */
static void test_no_room_for_a_note(void **state)
{
	static const size_t used[] = { 32, 208 };
	struct row row = { "no room", FX_PORT_BARE, FX_SVC_02, .why = JPX_HANDOFF_NO_TRANSMIT };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame_spec spec, answer;
	size_t len, out_len;
	struct jpx_port old;
	bool old_kernel;

	(void)state;
	set_port(FX_PORT_BARE, &old);
	says(&row, &spec, &answer);
	len = frame_build(&spec, in);
	old_kernel = fx_run(FX_SLOT_UPLINK_TC, in, len, used[1], out, &out_len) < 0;
	restore_port(FX_PORT_BARE, &old);
	row.meta = used[!old_kernel];
	one_row(&row);
	done();
}

/* ---- stateful ------------------------------------------------------------------------- */

static const struct {
	const char *text;
	uint8_t port;
	uint32_t service;
	bool v4;
} flow_rows[] = {
	{ "flow", FX_PORT_DUAL, FX_SVC_FLOW, false },
	{ "flow, bare IPv6", FX_PORT_BARE, FX_SVC_FLOW, false },
	{ "flow, to IPv4", FX_PORT_DUAL, FX_SVC_FLOW, true },
	{ "flow, IPv4 to IPv6", FX_PORT_DUAL, FX_SVC_FLOW_4, false },
	{ "flow, IPv4 to bare IPv6", FX_PORT_BARE, FX_SVC_FLOW_4, false },
	{ "flow, IPv4 to IPv4", FX_PORT_DUAL, FX_SVC_FLOW_4, true },
	{ "flow, tags", FX_PORT_BARE, FX_SVC_FLOW_TWICE_TAGGED, false },
	{ "flow, intercepted", FX_PORT_DUAL, FX_SVC_FLOW_CAUGHT, false },
};

/* Opens the flow and has the Registrar speak to it: what must come of that is in WANT. */
static struct jpx_flow *flow_says(uint8_t port, uint32_t service, bool v4, uint8_t in[FRAME_MAX],
				  size_t *len, uint8_t want[FRAME_MAX], size_t *want_len)
{
	uint8_t out[FRAME_MAX];
	struct frame_spec spec, back, answer;
	struct jpx_flow_key key;
	size_t out_len;
	uint32_t slot;

	ff_reset(64, 0, 0, 0);
	ff_from_pledge(port, service, v4, &spec);
	fill_content(content, 40);
	spec.content = content;
	spec.content_len = 40;
	*len = frame_build(&spec, in);
	fx_tx_only(JPX_TX_SERVICE(service));
	assert_int_equal(fx_run(fx_ports[port].slot, in, *len, 0, out, &out_len), XDP_REDIRECT);
	key = ff_key(&spec, port, service);
	assert_int_equal(ff_find(&key, &slot), 1);
	ff_from_registrar(&ff_flows[slot], &back);
	back.content = content;
	back.content_len = 40;
	*len = frame_build(&back, in);
	ff_to_pledge(&ff_flows[slot], &back, &answer);
	*want_len = left_for_tc(port, &answer, want);
	return &ff_flows[slot];
}

static void test_stateful(void **state)
{
	(void)state;
	fx_macs_clear();
	for (size_t i = 0; i < ROWS(flow_rows); i++) {
		struct outcome o = { .kind = RELAYED,
				     .counted_at = flow_rows[i].port,
				     .to_pledge = true,
				     .service = flow_rows[i].service,
				     .content_len = 40 };
		uint8_t in[FRAME_MAX], want[FRAME_MAX];
		struct jpx_flow *flow;
		size_t len, want_len;
		struct jpx_port old;

		set_port(flow_rows[i].port, &old);
		flow = flow_says(flow_rows[i].port, flow_rows[i].service, flow_rows[i].v4, in, &len,
				 want, &want_len);
		flow->mac = 0; /* is not needed */
		expect(flow_rows[i].text, FX_SLOT_UPLINK_TC, in, len, 0, &o, want, want_len);
		if (flow->to_pledge != 1)
			fail_row(flow_rows[i].text, "packets to the pledge", (long)flow->to_pledge, 1);
		restore_port(flow_rows[i].port, &old);
	}
	done();
}

/* There is room for the note, but then not for the longer headers: all is as it was. */
static void test_no_headroom(void **state)
{
	struct outcome o = { .kind = HANDED,
			     .why = JPX_HANDOFF_NO_HEADROOM,
			     .counted_at = FX_PORT_DUAL,
			     .to_pledge = true };
	uint8_t in[FRAME_MAX], want[FRAME_MAX], out[FRAME_MAX];
	size_t len, want_len, out_len;
	struct jpx_port old;

	(void)state;
	set_port(FX_PORT_DUAL, &old);
	flow_says(FX_PORT_DUAL, FX_SVC_FLOW_4, false, in, &len, want, &want_len);
	/* Before 6.4 so much metadata cannot be, and 32 bytes leave room enough. */
	if (fx_run(FX_SLOT_UPLINK, in, len, 196, out, &out_len) < 0)
		print_message("this kernel takes no more than 32 bytes of metadata\n");
	else
		expect("no headroom", FX_SLOT_UPLINK_TC, in, len, 196, &o, NULL, 0);
	restore_port(FX_PORT_DUAL, &old);
	done();
}

/* ---- the tc program --------------------------------------------------------------------- */

static int run_tc(struct tc_bpf *tc, const uint8_t *in, size_t len, uint8_t out[FRAME_MAX],
		  size_t *out_len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)len,
		    .data_out = out, .data_size_out = FRAME_MAX, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(tc->progs.jpx_tc), &opts), 0);
	*out_len = opts.data_size_out;
	return (int)opts.retval;
}

static void test_without_a_note(void **state)
{
	struct outcome nothing = { .kind = FOREIGN };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame_spec spec, answer;
	struct bpf_map *map;
	struct tc_bpf *tc;
	size_t len, out_len;

	(void)state;
	tc = tc_bpf__open();
	assert_non_null(tc);
	bpf_object__for_each_map(map, tc->obj)
		if (!bpf_map__is_internal(map))
			assert_int_equal(bpf_map__reuse_fd(map, fx_map(bpf_map__name(map))), 0);
	assert_int_equal(tc_bpf__load(tc), 0);

	says(&rows[0], &spec, &answer);
	len = frame_build(&spec, in);
	counters_begin();
	assert_int_equal(run_tc(tc, in, len, out, &out_len), -1);
	if (out_len != len || memcmp(in, out, len))
		fail_bytes("a frame", out, out_len, in, len);
	/* A note where a sender can write one is none. */
	len = left_for_tc(FX_PORT_BARE, &answer, in);
	assert_int_equal(run_tc(tc, in, len, out, &out_len), -1);
	if (out_len != len || memcmp(in, out, len))
		fail_bytes("a note in the frame", out, out_len, in, len);
	counters_end("without a note", &nothing);
	tc_bpf__destroy(tc);
	done();
}

static int open_all(void **state)
{
	int err = fx_open();

	(void)state;
	return err ? err : ff_open();
}

static int close_all(void **state)
{
	(void)state;
	ff_close();
	fx_close();
	return 0;
}

int by_tc_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stateless),   cmocka_unit_test(test_no_room_for_a_note),
		cmocka_unit_test(test_stateful),    cmocka_unit_test(test_no_headroom),
		cmocka_unit_test(test_without_a_note),
	};

	return cmocka_run_group_tests_name("by_tc", tests, open_all, close_all);
}
