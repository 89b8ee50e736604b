/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keys of `jpctl --json status' and `stats': they exist, have the right type
 * and say what a state built by hand says.  They are part of the interface; a key
 * may be added, none may change.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/common/control.h"
#include "../../ctl/common/report.h"
#include "../../ctl/common/words.h"

struct fixture {
	struct jpx_state state;
	struct jpx_counters counters;
};

/* ---- looking into JSON ---- */

static const json_t *at(const json_t *list, size_t i)
{
	assert_true(json_is_array(list));
	assert_true(i < json_array_size(list));
	return json_array_get(list, i);
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_string(value));
	assert_string_equal(json_string_value(value), expected);
}

static void assert_number(const json_t *object, const char *key, json_int_t expected)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_integer(value));
	assert_true(json_integer_value(value) == expected);
}

static void assert_bool(const json_t *object, const char *key, bool expected)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_boolean(value));
	assert_int_equal(json_is_true(value), expected);
}

static void assert_size(const json_t *object, const char *key, size_t expected)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_array(value));
	assert_int_equal(json_array_size(value), expected);
}

/* ---- a state ---- */

static void set_address(__u8 addr[16], const char *text)
{
	assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct jpx_state *s;

	if (!f)
		return -1;
	s = &f->state;
	s->slots[1] = (struct jpx_slot){ .ifindex = 70001,
					 .flags = JPX_SLOT_IN_USE,
					 .engine = JPX_ENGINE_XDP_NATIVE,
					 .ifname = "eth1" };
	s->slots[2] = (struct jpx_slot){ .ifindex = 70002,
					 .flags = JPX_SLOT_IN_USE | JPX_SLOT_UPLINK,
					 .engine = JPX_ENGINE_XDP_GENERIC,
					 .alone = 1,
					 .ifname = "eth0" };
	s->ports[1] = (struct jpx_port){ .services = 1ULL << 1 | 1ULL << 63,
					 .slot = 1,
					 .ifindex = 70001,
					 .flags = JPX_PORT_IN_USE | JPX_PORT_READY,
					 .xdp = JPX_XDP_NATIVE,
					 .ifname = "eth1" };
	set_address(s->ports[1].addr, "fe80::1");
	s->ports[1].addr4 = htonl(0xa9fe0102);
	s->ports[7] = (struct jpx_port){ .ifindex = 70007,
					 .flags = JPX_PORT_IN_USE,
					 .link = JPX_LINK_IPV6,
					 .xdp = JPX_XDP_OFF,
					 .ifname = "lowpan0" };
	s->ports[255] = (struct jpx_port){ .flags = JPX_PORT_IN_USE, .ifname = "gone" };
	s->services[1] = (struct jpx_service){
		.registrar_port = htons(7634),
		.uplink_port = htons(40001),
		.join_port = htons(5684),
		.ifindex = 70002,
		.tx_ifindex = 70002,
		.flags = JPX_SERVICE_IN_USE | JPX_SERVICE_READY,
		.form = JPX_FORM_DRAFT21,
		.l2_len = 14,
		.name = "main",
	};
	set_address(s->services[1].registrar, "2001:db8::52");
	set_address(s->services[1].uplink, "2001:db8::1");
	s->services[63] = (struct jpx_service){
		.registrar_port = htons(65535),
		.join_port = htons(61000),
		.flags = JPX_SERVICE_IN_USE | JPX_SERVICE_ANY_CONTENT,
		.form = JPX_FORM_DRAFT01,
		.mode = JPX_MODE_STATEFUL,
		.source = JPX_SOURCE_DNS_SD,
		.name = "other",
	};
	set_address(s->services[63].registrar, "::ffff:192.0.2.52");
	set_address(s->services[63].uplink, "::ffff:192.0.2.1");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* ---- status ---- */

static void test_ports(void **state)
{
	struct fixture *f = *state;
	json_t *status = jpx_report_status(&f->state, 4711);
	const json_t *ports = json_object_get(status, "ports"), *joins, *port;

	assert_non_null(status);
	assert_number(status, "version", 1);
	assert_size(status, "ports", 3);
	port = at(ports, 0);
	assert_text(port, "ifname", "eth1");
	assert_number(port, "id", 1);
	assert_text(port, "link", "ethernet");
	assert_text(port, "engine", "xdp-native");
	assert_text(port, "answers", "xdp");
	assert_text(port, "address", "fe80::1");
	assert_text(port, "address4", "169.254.1.2");
	assert_text(port, "state", "ready");
	assert_text(port, "xdp", "native");
	assert_bool(port, "shared", true);
	assert_size(port, "join_ports", 2);
	joins = json_object_get(port, "join_ports");
	assert_number(at(joins, 0), "port", 5684);
	assert_text(at(joins, 0), "service", "main");
	assert_number(at(joins, 1), "port", 61000);
	assert_text(at(joins, 1), "service", "other");

	port = at(ports, 1);
	assert_text(port, "ifname", "lowpan0");
	assert_number(port, "id", 7);
	assert_text(port, "link", "ipv6");
	assert_text(port, "address", "::");
	assert_text(port, "address4", "0.0.0.0");
	assert_text(port, "engine", "socket");
	assert_text(port, "answers", "socket");
	assert_text(port, "state", "no-address");
	assert_text(port, "xdp", "off");
	assert_bool(port, "shared", false);
	assert_size(port, "join_ports", 0);

	port = at(ports, 2);
	assert_number(port, "id", 255);
	assert_text(port, "state", "absent");
	json_decref(status);
}

/* A port that XDP cannot send to: by tc, once our program is wherever its answers come in. */
static void test_answers_by_tc(void **state)
{
	struct fixture *f = *state;
	struct jpx_port *port = &f->state.ports[1];
	__u32 uplink = f->state.slots[2].ifindex;
	struct jpx_slot *slot = &f->state.slots[2];

	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
		if (port->services >> s & 1)
			f->state.services[s].tx_ifindex = uplink;
	port->flags |= JPX_PORT_NO_TRANSMIT;
	for (int i = 0; i < 4; i++) {
		static const char *const words[] = { "socket", "socket", "tc", "socket" };
		json_t *status;

		slot->ifindex = i ? uplink : 0;
		slot->flags = JPX_SLOT_IN_USE | JPX_SLOT_UPLINK | (i > 1 ? JPX_SLOT_TC : 0);
		if (i == 3)
			port->slot = 0; /* the operator wants no XDP there */
		status = jpx_report_status(&f->state, 4711);
		assert_text(at(json_object_get(status, "ports"), 0), "answers", words[i]);
		json_decref(status);
	}
}

static void test_uplinks(void **state)
{
	struct fixture *f = *state;
	json_t *status = jpx_report_status(&f->state, 4711);
	const json_t *uplinks = json_object_get(status, "uplinks");

	assert_size(status, "uplinks", 1);
	assert_text(at(uplinks, 0), "ifname", "eth0");
	assert_text(at(uplinks, 0), "engine", "xdp-generic");
	assert_bool(at(uplinks, 0), "shared", false);
	json_decref(status);
}

/* An uplink that carries no program of ours is the socket engine's, and told once. */
static void test_uplink_without_program(void **state)
{
	struct fixture *f = *state;
	unsigned int lo = if_nametoindex("lo");
	const json_t *uplinks;
	json_t *status;

	assert_true(lo > 0);
	f->state.services[1].ifindex = f->state.services[1].tx_ifindex = lo;
	f->state.services[63].ifindex = f->state.services[63].tx_ifindex = lo;
	status = jpx_report_status(&f->state, 0);
	uplinks = json_object_get(status, "uplinks");
	assert_size(status, "uplinks", 2);
	assert_text(at(uplinks, 1), "ifname", "lo");
	assert_text(at(uplinks, 1), "engine", "socket");
	json_decref(status);
}

static void test_services(void **state)
{
	struct fixture *f = *state;
	json_t *status = jpx_report_status(&f->state, 4711);
	const json_t *services = json_object_get(status, "services"), *s;

	assert_size(status, "services", 2);
	s = at(services, 0);
	assert_text(s, "name", "main");
	assert_text(s, "address", "2001:db8::52");
	assert_number(s, "port", 7634);
	assert_text(s, "mode", "stateless");
	assert_text(s, "jpy", "draft-21");
	assert_text(s, "source", "config");
	assert_text(s, "state", "serving");
	assert_number(s, "join_port", 5684);
	assert_text(s, "uplink_address", "2001:db8::1");
	assert_number(s, "uplink_port", 40001);
	assert_text(s, "content", "dtls");

	s = at(services, 1);
	assert_text(s, "name", "other");
	assert_text(s, "address", "192.0.2.52");
	assert_text(s, "uplink_address", "192.0.2.1");
	assert_number(s, "port", 65535);
	assert_text(s, "mode", "stateful");
	assert_text(s, "jpy", "draft-01");
	assert_text(s, "source", "dns-sd");
	assert_text(s, "state", "no-route");
	assert_number(s, "join_port", 61000);
	assert_text(s, "content", "any");
	json_decref(status);
}

/* What only stateful services have, and what others say of it. */
static void test_stateful(void **state)
{
	struct fixture *f = *state;
	const json_t *ports, *services, *list;
	json_t *status;

	f->state.flow_config.per_port = 10;
	f->state.flow_counts[0] = 1000003; /* of all */
	f->state.flow_counts[1] = 1000000;
	f->state.flow_counts[7] = 3;
	f->state.ports[7].max_flows = 1048576;
	f->state.services[63].flags |= JPX_SERVICE_INTERCEPT;
	f->state.services[63].uplink_count = 2;
	f->state.services[63].uplinks[0] = 63;
	f->state.services[63].uplinks[1] = 0;
	f->state.services[63].uplinks[2] = 5; /* beyond those in use */
	set_address(f->state.uplinks[63].addr, "2001:db8::63");
	set_address(f->state.uplinks[0].addr, "::ffff:192.0.2.7");
	status = jpx_report_status(&f->state, 1);
	ports = json_object_get(status, "ports");
	assert_number(at(ports, 0), "flows", 1000000);
	assert_number(at(ports, 0), "max_flows", 10);
	assert_number(at(ports, 1), "flows", 3);
	assert_number(at(ports, 1), "max_flows", 1048576);
	assert_number(at(ports, 2), "flows", 0);
	services = json_object_get(status, "services");
	assert_bool(at(services, 0), "intercept", false);
	assert_size(at(services, 0), "uplink_addresses", 0);
	assert_bool(at(services, 1), "intercept", true);
	assert_size(at(services, 1), "uplink_addresses", 2);
	list = json_object_get(at(services, 1), "uplink_addresses");
	assert_string_equal(json_string_value(at(list, 0)), "2001:db8::63");
	assert_string_equal(json_string_value(at(list, 1)), "192.0.2.7");
	json_decref(status);
}

/* Whether its Registrar answers, and how good it is. */
static void test_liveness(void **state)
{
	static const struct {
		unsigned int flags;
		bool tx;
		const char *word;
	} rows[] = {
		{ JPX_SERVICE_READY, true, "serving" },
		{ JPX_SERVICE_READY | JPX_SERVICE_SILENT, true, "silent" },
		{ JPX_SERVICE_SILENT, true, "silent" },
		{ JPX_SERVICE_LOCAL | JPX_SERVICE_SILENT, false, "silent" },
		{ JPX_SERVICE_SILENT, false, "uplink-down" },
		{ JPX_SERVICE_READY | JPX_SERVICE_SILENT | JPX_SERVICE_RETIRED, true, "retired" },
		{ JPX_SERVICE_READY | JPX_SERVICE_RETIRED, true, "retired" },
	};
	struct fixture *f = *state;
	struct jpx_service *s = &f->state.services[1], before = *s;
	const json_t *services;
	json_t *status;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		s->flags = (__u16)(JPX_SERVICE_IN_USE | rows[i].flags);
		s->tx_ifindex = rows[i].tx ? before.tx_ifindex : 0;
		assert_string_equal(jpx_service_state(&f->state, 1), rows[i].word);
	}
	s->ifindex = 0;
	assert_string_equal(jpx_service_state(&f->state, 1), "no-route");
	*s = before;
	s->priority = 10;
	s->weight = 65535;
	status = jpx_report_status(&f->state, 1);
	services = json_object_get(status, "services");
	assert_number(at(services, 0), "priority", 10);
	assert_number(at(services, 0), "weight", 65535);
	assert_bool(at(services, 0), "probe", true);
	assert_bool(at(services, 1), "probe", false); /* any content */
	json_decref(status);
	s->flags |= JPX_SERVICE_NO_PROBE;
	status = jpx_report_status(&f->state, 1);
	assert_bool(at(json_object_get(status, "services"), 0), "probe", false);
	json_decref(status);
}

/* What went to and came from each, by both engines and on all ports. */
static void test_activity(void **state)
{
	static struct jpx_counters counters;
	struct fixture *f = *state;
	const json_t *services;
	json_t *stats;

	memset(&counters, 0, sizeof(counters));
	counters.fast[1].services[1] = (struct jpx_activity){ 5, 3 };
	counters.fast[7].services[1] = (struct jpx_activity){ 10, 20 };
	counters.socket[1].services[1] = (struct jpx_activity){ 100, 200 };
	counters.socket[1].services[63] = (struct jpx_activity){ 4294967295U, 1 };
	stats = jpx_report_stats(&f->state, &counters);
	services = json_object_get(stats, "services");
	assert_size(stats, "services", 2);
	assert_text(at(services, 0), "name", "main");
	assert_number(at(services, 0), "to_registrar", 115);
	assert_number(at(services, 0), "to_pledge", 223);
	assert_number(at(services, 1), "to_registrar", 4294967295);
	assert_number(at(services, 1), "to_pledge", 1);
	json_decref(stats);
}

static void test_uplink_address_states(void **state)
{
	struct fixture *f = *state;
	struct jpx_service *s = &f->state.services[63];

	s->ifindex = s->tx_ifindex = 70002;
	s->l2_len = 14;
	s->flags |= JPX_SERVICE_READY;
	assert_string_equal(jpx_service_state(&f->state, 63), "no-uplink-address");
	s->uplink_count = 2;
	s->uplinks[0] = 3;
	s->uplinks[1] = 4;
	f->state.uplinks[3].flags = f->state.uplinks[4].flags = JPX_UPLINK_IN_USE;
	f->state.uplinks[5].flags = JPX_UPLINK_IN_USE | JPX_UPLINK_READY; /* another service's */
	assert_string_equal(jpx_service_state(&f->state, 63), "no-uplink-address");
	f->state.uplinks[4].flags |= JPX_UPLINK_READY;
	assert_string_equal(jpx_service_state(&f->state, 63), "serving");
	s->ifindex = 0;
	assert_string_equal(jpx_service_state(&f->state, 63), "no-route");
}

static void test_service_states(void **state)
{
	struct fixture *f = *state;
	struct jpx_service *s = &f->state.services[1];

	assert_string_equal(jpx_service_state(&f->state, 1), "serving");
	s->flags &= (__u8)~JPX_SERVICE_READY;
	assert_string_equal(jpx_service_state(&f->state, 1), "resolving");
	s->flags |= JPX_SERVICE_IPV4;
	assert_string_equal(jpx_service_state(&f->state, 1), "resolving");
	s->l2_len = 0;
	assert_string_equal(jpx_service_state(&f->state, 1), "socket");
	s->flags &= (__u16)~JPX_SERVICE_IPV4;
	assert_string_equal(jpx_service_state(&f->state, 1), "resolving");
	s->flags |= JPX_SERVICE_IPV4;
	s->tx_ifindex = 0;
	assert_string_equal(jpx_service_state(&f->state, 1), "uplink-down");
	s->flags |= JPX_SERVICE_LOCAL;
	assert_string_equal(jpx_service_state(&f->state, 1), "local");
	f->state.ports[1].flags = JPX_PORT_IN_USE;
	assert_string_equal(jpx_service_state(&f->state, 1), "no-port");
	f->state.ports[1].flags = JPX_PORT_IN_USE | JPX_PORT_READY;
	f->state.ports[1].services = 1ULL << 63;
	assert_string_equal(jpx_service_state(&f->state, 1), "no-port");
	s->ifindex = 0;
	assert_string_equal(jpx_service_state(&f->state, 1), "no-route");
}

static void test_daemon(void **state)
{
	struct fixture *f = *state;
	json_t *status = jpx_report_status(&f->state, 4711);

	assert_bool(json_object_get(status, "daemon"), "running", true);
	assert_number(json_object_get(status, "daemon"), "pid", 4711);
	json_decref(status);
	status = jpx_report_status(&f->state, 0);
	assert_bool(json_object_get(status, "daemon"), "running", false);
	json_decref(status);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;
	json_t *status;

	memset(&f->state, 0, sizeof(f->state));
	status = jpx_report_status(&f->state, 0);
	assert_size(status, "ports", 0);
	assert_size(status, "uplinks", 0);
	assert_size(status, "services", 0);
	json_decref(status);
}

/* A full house is an answer that fits (JPX_ANSWER_MAX), with every port in it. */
static void test_full(void **state)
{
	static const char longest[] = "2001:db8:1111:2222:3333:4444:5555:6666";
	struct fixture *f = *state;
	json_t *status;

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		struct jpx_service *s = &f->state.services[id];

		*s = f->state.services[1];
		memset(s->name, 'x', JPX_NAME_LEN - 1);
		set_address(s->registrar, longest);
		set_address(s->uplink, longest);
		s->join_port = s->uplink_port = s->registrar_port = htons(65535);
		s->uplink_count = JPX_SERVICE_UPLINKS;
	}
	set_address(f->state.uplinks[0].addr, longest); /* place 0 in all of uplinks[] */
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		struct jpx_port *p = &f->state.ports[id];

		*p = f->state.ports[1];
		p->services = ~1ULL;
		set_address(p->addr, "fe80::1111:2222:3333:4444");
		p->addr4 = htonl(0xa9fe6464);
		memset(p->ifname, 'x', JPX_IFNAME_LEN - 1);
	}
	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		f->state.slots[id] = f->state.slots[2];
		memset(f->state.slots[id].ifname, 'x', JPX_IFNAME_LEN - 1);
	}
	status = jpx_report_status(&f->state, 1);
	assert_size(status, "ports", JPX_MAX_PORTS - 1);
	assert_size(status, "services", JPX_MAX_SERVICES - 1);
	assert_size(at(json_object_get(status, "ports"), 254), "join_ports", JPX_MAX_SERVICES - 1);
	assert_size(at(json_object_get(status, "services"), 62), "uplink_addresses",
		    JPX_SERVICE_UPLINKS);
	/* 64: what jpd wraps around it */
	assert_true(json_dumpb(status, NULL, 0, JSON_COMPACT) + 64 < JPX_ANSWER_MAX);
	json_decref(status);
}

/* ---- stats ---- */

static void test_sums(void **state)
{
	struct fixture *f = *state;
	json_t *stats;
	const json_t *port;

	f->counters.fast[1].to_registrar = (struct jpx_way){ 100, 1000 };
	f->counters.fast[1].to_pledge = (struct jpx_way){ 10, 200 };
	f->counters.socket[1].to_registrar = (struct jpx_way){ 1, 7 };
	f->counters.socket[7].to_pledge = (struct jpx_way){ 5, 30 };
	/* what belongs to no port counts in the sums */
	f->counters.fast[0].to_pledge = (struct jpx_way){ 1, 1 };
	/* more than 32 bits */
	f->counters.fast[255].to_registrar = (struct jpx_way){ 1ULL << 40, 1ULL << 50 };
	stats = jpx_report_stats(&f->state, &f->counters);
	assert_non_null(stats);
	assert_number(stats, "version", 1);
	assert_number(json_object_get(stats, "to_registrar"), "packets", (1LL << 40) + 101);
	assert_number(json_object_get(stats, "to_registrar"), "bytes", (1LL << 50) + 1007);
	assert_number(json_object_get(stats, "to_pledge"), "packets", 16);
	assert_number(json_object_get(stats, "to_pledge"), "bytes", 231);
	assert_number(json_object_get(stats, "fast_path"), "packets", (1LL << 40) + 111);
	assert_number(json_object_get(stats, "socket"), "packets", 6);

	assert_size(stats, "ports", 3);
	port = at(json_object_get(stats, "ports"), 0);
	assert_text(port, "ifname", "eth1");
	assert_number(json_object_get(port, "to_registrar"), "packets", 101);
	assert_number(json_object_get(port, "to_registrar"), "bytes", 1007);
	assert_number(json_object_get(port, "to_pledge"), "packets", 10);
	port = at(json_object_get(stats, "ports"), 1);
	assert_text(port, "ifname", "lowpan0");
	assert_number(json_object_get(port, "to_pledge"), "bytes", 30);
	json_decref(stats);
}

static void test_reasons(void **state)
{
	struct fixture *f = *state;
	const json_t *drops, *handoffs, *told;
	json_t *stats;

	for (unsigned int r = 1; r < JPX_DROP_COUNT; r++) {
		/* more than 32 bits */
		f->counters.fast[0].drops[r] = (__u64)r << 33;
		f->counters.fast[7].drops[r] = r;
		f->counters.socket[255].drops[r] = 5;
	}
	for (unsigned int r = 0; r < JPX_HANDOFF_COUNT; r++)
		f->counters.fast[3].handoffs[r] = (1ULL << 40) + r;
	for (unsigned int r = 0; r < JPX_TOLD_COUNT; r++) {
		f->counters.socket[1].told[r] = (2ULL << 40) + r;
		f->counters.socket[255].told[r] = 3;
	}
	stats = jpx_report_stats(&f->state, &f->counters);
	drops = json_object_get(stats, "drops");
	handoffs = json_object_get(stats, "handoffs");
	assert_true(json_is_object(drops));
	assert_true(json_is_object(handoffs));
	/* every reason, and nothing that is no drop */
	assert_int_equal(json_object_size(drops), JPX_DROP_COUNT - 1);
	assert_int_equal(json_object_size(handoffs), JPX_HANDOFF_COUNT);
	for (unsigned int r = 1; r < JPX_DROP_COUNT; r++)
		assert_number(drops, jpx_drop_word(r), ((json_int_t)r << 33) + r + 5);
	for (unsigned int r = 0; r < JPX_HANDOFF_COUNT; r++)
		assert_number(handoffs, jpx_handoff_word(r), (1LL << 40) + r);
	/* In the socket engine's counters the same place counts something else. */
	told = json_object_get(stats, "told");
	assert_int_equal(json_object_size(told), JPX_TOLD_COUNT);
	for (unsigned int r = 0; r < JPX_TOLD_COUNT; r++)
		assert_number(told, jpx_told_word(r), (2LL << 40) + r + 3);
	json_decref(stats);
}

static void test_zeros(void **state)
{
	struct fixture *f = *state;
	json_t *stats = jpx_report_stats(&f->state, &f->counters);

	assert_number(json_object_get(stats, "to_registrar"), "packets", 0);
	assert_number(json_object_get(stats, "fast_path"), "packets", 0);
	assert_number(json_object_get(stats, "socket"), "packets", 0);
	assert_number(json_object_get(stats, "drops"), "not_dtls", 0);
	assert_number(json_object_get(stats, "handoffs"), "no_next_hop", 0);
	json_decref(stats);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ports),
		TEST(test_answers_by_tc),
		TEST(test_uplinks),
		TEST(test_uplink_without_program),
		TEST(test_services),
		TEST(test_service_states),
		TEST(test_daemon),
		TEST(test_stateful),
		TEST(test_liveness),
		TEST(test_activity),
		TEST(test_uplink_address_states),
		TEST(test_empty),
		TEST(test_full),
		TEST(test_sums),
		TEST(test_reasons),
		TEST(test_zeros),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
