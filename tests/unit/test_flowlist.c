/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows as `jpctl flows' tells them, over tables built by hand: which of them
 * live, which are meant, in which order, and what is said of each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/common/addr.h"
#include "../../ctl/common/control.h"
#include "../../ctl/common/flowlist.h"

#define PLACES 3
#define PORTS  2048
#define SLOTS  (PLACES * PORTS)
#define NOW    5u  /* so that what is older lies before the wrap of the clock */
#define SECOND 15u /* ticks: a little more than one */
#define IDLE_S 30
#define ETH1   200 /* port ids: their order is not that of the names */
#define ETH0   201
#define MAIN   1
#define OTHER  63

struct fixture {
	struct jpx_state state;
	struct jpx_flow flows[SLOTS + 1]; /* the last one is beyond the table */
	struct flowlist *list;
};

static void set_address(__u8 addr[16], const char *text)
{
	struct in6_addr in;
	char err[200];

	assert_int_equal(jpx_addr_parse(text, &in, err, sizeof(err)), 0);
	memcpy(addr, &in, 16);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct jpx_state *s;

	if (!f)
		return -1;
	s = &f->state;
	s->flow_config = (struct jpx_flow_config){ .first_port = 16384,
						   .port_count = PORTS,
						   .slots = SLOTS,
						   .max = 5000,
						   .per_port = 10,
						   .per_pledge = 2,
						   .idle = IDLE_S * 1000000000ULL >> JPX_TICK_SHIFT,
						   .rest = 1000000000 >> JPX_TICK_SHIFT };
	s->ports[ETH1] = (struct jpx_port){ .flags = JPX_PORT_IN_USE, .ifname = "eth1" };
	s->ports[ETH0] =
		(struct jpx_port){ .flags = JPX_PORT_IN_USE, .ifname = "eth0", .max_flows = 77 };
	s->services[MAIN] = (struct jpx_service){ .flags = JPX_SERVICE_IN_USE,
						  .mode = JPX_MODE_STATEFUL,
						  .name = "main" };
	s->services[OTHER] = (struct jpx_service){ .flags = JPX_SERVICE_IN_USE,
						   .mode = JPX_MODE_STATEFUL,
						   .name = "other" };
	s->services[2] = (struct jpx_service){ .flags = JPX_SERVICE_IN_USE, .name = "stateless" };
	set_address(s->uplinks[0].addr, "2001:db8::7");
	set_address(s->uplinks[2].addr, "192.0.2.7");
	f->list = flowlist_over(s, f->flows, NOW);
	*state = f;
	return f->list ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	flowlist_close(f->list);
	free(f);
	return 0;
}

/* A flow that lives at SLOT; a pledge with a dot in it is IPv4. */
static struct jpx_flow *flow(struct fixture *f, __u32 slot, unsigned int port_id,
			     unsigned int service_id, const char *pledge, unsigned int udp_port)
{
	struct jpx_flow *flow = &f->flows[slot];
	struct in6_addr addr;
	char err[200];

	assert_int_equal(jpx_addr_parse(pledge, &addr, err, sizeof(err)), 0);
	memset(flow, 0, sizeof(*flow));
	flow->state = JPX_FLOW_LIVE;
	flow->last = flow->created = NOW;
	if (IN6_IS_ADDR_V4MAPPED(&addr)) {
		memcpy((char *)&flow->key.pledge + 4, &addr.s6_addr[12], 4);
		flow->key.kind = JPX_FLOW_IPV4;
	} else {
		memcpy(&flow->key.pledge, &addr.s6_addr[8], 8);
	}
	flow->key.udp_port = htons((uint16_t)udp_port);
	flow->key.port_id = (__u8)port_id;
	flow->key.service_id = (__u8)service_id;
	flow->uplink = (__u8)(slot / PORTS);
	flow->uplink_port = htons((uint16_t)(16384 + slot % PORTS));
	return flow;
}

static size_t found(struct fixture *f, const char *ifname, const char *service, const char *pledge)
{
	struct flowlist_wish wish = { ifname, service, pledge };
	struct jpx_flow_request match;
	char err[512] = "";

	assert_int_equal(flowlist_match(&f->state, &wish, &match, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	assert_int_equal(flowlist_find(f->list, &match), 0);
	return flowlist_count(f->list);
}

/* What flowlist_print() prints, parsed. */
static json_t *printed(struct fixture *f, size_t limit)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *object;

	assert_non_null(out);
	assert_int_equal(flowlist_print(f->list, limit, out), 0);
	assert_int_equal(fclose(out), 0);
	assert_ptr_equal(strchr(text, '\n'), text + len - 1); /* one line */
	object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	free(text);
	return object;
}

static json_int_t number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_string(value));
	assert_string_equal(json_string_value(value), expected);
}

/* ---- which live ---------------------------------------------------------------- */

static void test_states(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(found(f, NULL, NULL, NULL), 0);
	for (__u32 s = JPX_FLOW_FREE; s <= JPX_FLOW_LOCAL; s++)
		flow(f, s, ETH1, MAIN, "fe80::1", 1000 + s)->state = s;
	flow(f, SLOTS, ETH1, MAIN, "fe80::2", 1);
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
	flow(f, SLOTS - 1, ETH1, MAIN, "fe80::2", 1);
	assert_int_equal(found(f, NULL, NULL, NULL), 2);
}

/* Over by its time, whether or not the sweep has been there. */
static void test_over(void **state)
{
	struct fixture *f = *state;
	__u32 idle = f->state.flow_config.idle;

	flow(f, 0, ETH1, MAIN, "fe80::1", 1)->last = NOW - idle;
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
	f->flows[0].last = NOW - idle - 1;
	assert_int_equal(found(f, NULL, NULL, NULL), 0);
	f->flows[0].last = NOW + 1; /* another CPU's clock */
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
}

/* ---- which are meant ------------------------------------------------------------- */

static void test_match(void **state)
{
	struct fixture *f = *state;

	flow(f, 0, ETH1, MAIN, "fe80::1", 1);
	flow(f, 1, ETH1, OTHER, "fe80::1", 1);
	flow(f, 2, ETH0, MAIN, "fe80::1", 1);
	flow(f, 3, ETH0, MAIN, "fe80::a9fe:101", 1); /* in its last bytes 169.254.1.1 */
	flow(f, 4, ETH0, MAIN, "169.254.1.1", 1);
	flow(f, 5, ETH0, MAIN, "169.254.1.1", 2);
	assert_int_equal(found(f, NULL, NULL, NULL), 6);
	assert_int_equal(found(f, "eth1", NULL, NULL), 2);
	assert_int_equal(found(f, "eth0", NULL, NULL), 4);
	assert_int_equal(found(f, NULL, "main", NULL), 5);
	assert_int_equal(found(f, NULL, "other", NULL), 1);
	assert_int_equal(found(f, "eth0", "other", NULL), 0);
	assert_int_equal(found(f, NULL, "stateless", NULL), 0);
	assert_int_equal(found(f, NULL, NULL, "fe80::1"), 3);
	assert_int_equal(found(f, NULL, NULL, "fe80:0:0::0:1"), 3);
	assert_int_equal(found(f, "eth1", "main", "fe80::1"), 1);
	assert_int_equal(found(f, NULL, NULL, "fe80::2"), 0);
	assert_int_equal(found(f, NULL, NULL, "fe80::a9fe:101"), 1);
	assert_int_equal(found(f, NULL, NULL, "169.254.1.1"), 2);
	assert_int_equal(found(f, NULL, NULL, "::ffff:169.254.1.1"), 2);
}

static void test_no_match(void **state)
{
	static const char *const no_pledges[] = { "",
						  "x",
						  "2001:db8::1",
						  "fe80::",
						  "fe80:1::1",
						  "fe80::1%lo",
						  "[fe80::1]:1",
						  "192.0.2.1",
						  "169.254.0.1",
						  "169.254.1",
						  "::",
						  "::ffff:192.0.2.1",
						  "fec0::1",
						  "169.254.1.1 " };
	static const struct flowlist_wish unknown[] = { { .ifname = "eth" },
							{ .ifname = "eth11" },
							{ .ifname = "" },
							{ .service = "mai" },
							{ .service = "" } };
	struct fixture *f = *state;
	struct jpx_flow_request match;
	char err[512];

	for (size_t i = 0; i < sizeof(no_pledges) / sizeof(*no_pledges); i++) {
		struct flowlist_wish wish = { .pledge = no_pledges[i] };

		*err = 0;
		if (flowlist_match(&f->state, &wish, &match, err, sizeof(err)) != -EINVAL)
			fail_msg("\"%s\" is taken for a pledge", no_pledges[i]);
		assert_non_null(strstr(err, "no address of a pledge"));
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		*err = 0;
		assert_int_equal(flowlist_match(&f->state, &unknown[i], &match, err, sizeof(err)),
				 -ENOENT);
		assert_non_null(strstr(err, "jpctl "));
	}
	/* what was a port and is none any more */
	f->state.ports[ETH1].flags = 0;
	assert_int_equal(flowlist_match(&f->state, &(struct flowlist_wish){ .ifname = "eth1" },
					&match, err, sizeof(err)),
			 -ENOENT);
}

/* ---- in which order ----------------------------------------------------------------- */

static void test_order(void **state)
{
	static const struct {
		unsigned int port_id;
		const char *pledge;
		unsigned int udp_port;
	} order[] = { { ETH0, "fe80::2", 9 },	       { ETH0, "fe80::100", 5 },
		      { ETH0, "fe80::100", 300 },      { ETH0, "fe80::100", 40000 },
		      { ETH0, "fe80::8000:0:0:1", 1 }, { ETH0, "169.254.1.200", 1 },
		      { ETH0, "169.254.2.1", 1 },      { ETH1, "fe80::1", 1 },
		      { ETH1, "169.254.1.1", 1 } };
	const size_t count = sizeof(order) / sizeof(*order);
	struct fixture *f = *state;

	for (size_t i = 0; i < count; i++) /* in the table in another one */
		flow(f, (__u32)(i * 7 % count * 100), order[i].port_id, MAIN, order[i].pledge,
		     order[i].udp_port);
	assert_int_equal(found(f, NULL, NULL, NULL), count);
	for (size_t i = 0; i < count; i++) {
		char text[INET6_ADDRSTRLEN];
		struct flowlist_flow got;

		assert_true(flowlist_get(f->list, i, &got));
		assert_string_equal(jpx_addr_format(&got.pledge, text, sizeof(text)),
				    order[i].pledge);
		assert_int_equal(got.udp_port, order[i].udp_port);
		assert_string_equal(got.ifname, order[i].port_id == ETH0 ? "eth0" : "eth1");
	}
}

/* More than it has room for at first; each once. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	struct flowlist_flow got;
	char pledge[32];

	for (__u32 i = 0; i < SLOTS; i++) {
		snprintf(pledge, sizeof(pledge), "fe80::%x", SLOTS - i);
		flow(f, i, i % 2 ? ETH1 : ETH0, MAIN, pledge, 1);
	}
	assert_int_equal(found(f, NULL, NULL, NULL), SLOTS);
	for (__u32 i = 0; i < SLOTS; i++) {
		assert_true(flowlist_get(f->list, i, &got));
		assert_int_equal(ntohl(got.pledge.s6_addr32[3]),
				 i < SLOTS / 2 ? 2 * i + 2 : 2 * (i - SLOTS / 2) + 1);
	}
	assert_int_equal(found(f, "eth1", NULL, NULL), SLOTS / 2);
}

/* ---- what is said ---------------------------------------------------------------------- */

static void test_get(void **state)
{
	struct fixture *f = *state;
	struct jpx_flow *one = flow(f, 2 * PORTS + 5, ETH1, OTHER, "169.254.9.8", 65535);
	char text[INET6_ADDRSTRLEN];
	struct flowlist_flow got;

	one->key.kind |= JPX_FLOW_INTERCEPTED;
	one->created = NOW - 100 * SECOND;
	one->last = NOW - 3 * SECOND;
	one->to_registrar = 1ULL << 40;
	one->to_pledge = 7;
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
	assert_true(flowlist_get(f->list, 0, &got));
	assert_string_equal(jpx_addr_format(&got.pledge, text, sizeof(text)), "169.254.9.8");
	assert_int_equal(got.udp_port, 65535);
	assert_string_equal(jpx_addr_format(&got.uplink, text, sizeof(text)), "192.0.2.7");
	assert_int_equal(got.uplink_port, 16389);
	assert_string_equal(got.ifname, "eth1");
	assert_string_equal(got.service, "other");
	assert_int_equal(got.age_s, 100); /* 1500 ticks, 100.66 s */
	assert_int_equal(got.idle_s, 3);
	assert_true(got.to_registrar == 1ULL << 40);
	assert_int_equal(got.to_pledge, 7);
	assert_true(got.intercepted);

	one->last = one->created = NOW + 1;
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
	assert_true(flowlist_get(f->list, 0, &got));
	assert_int_equal(got.age_s, 0);
	assert_int_equal(got.idle_s, 0);
}

/* What was found and has ended since, or is another one's by now, is not told. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	struct flowlist_flow got;

	flow(f, 0, ETH1, MAIN, "fe80::1", 1);
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
	f->flows[0].state = JPX_FLOW_RESTING;
	assert_false(flowlist_get(f->list, 0, &got));
	flow(f, 0, ETH1, MAIN, "fe80::1", 2);
	assert_false(flowlist_get(f->list, 0, &got));
	flow(f, 0, ETH1, MAIN, "fe80::2", 1);
	assert_false(flowlist_get(f->list, 0, &got));
	flow(f, 0, ETH1, MAIN, "fe80::1", 1)->key.kind = JPX_FLOW_INTERCEPTED;
	assert_false(flowlist_get(f->list, 0, &got));
	flow(f, 0, ETH1, MAIN, "fe80::1", 1);
	assert_true(flowlist_get(f->list, 0, &got));
}

static void test_json(void **state)
{
	struct fixture *f = *state;
	const json_t *flows, *one, *limits, *port, *service;
	struct jpx_flow *first = flow(f, 9, ETH0, MAIN, "fe80::1", 49152);
	json_t *object;

	first->created = NOW - 100 * SECOND;
	first->last = NOW - 3 * SECOND;
	first->to_registrar = 5;
	first->to_pledge = 4;
	flow(f, 8, ETH1, OTHER, "fe80::1", 1)->key.kind = JPX_FLOW_INTERCEPTED;
	flow(f, 7, ETH1, MAIN, "fe80::3", 1);
	assert_int_equal(found(f, NULL, NULL, NULL), 3);
	object = printed(f, SIZE_MAX);
	assert_int_equal(number(object, "version"), 1);
	assert_int_equal(number(object, "count"), 3);
	assert_int_equal(number(object, "max"), 5000);
	flows = json_object_get(object, "flows");
	assert_int_equal(json_array_size(flows), 3);
	one = json_array_get(flows, 0);
	assert_int_equal(json_object_size(one), 11);
	assert_text(one, "pledge", "fe80::1");
	assert_int_equal(number(one, "udp_port"), 49152);
	assert_text(one, "ifname", "eth0");
	assert_text(one, "service", "main");
	assert_text(one, "uplink_address", "2001:db8::7");
	assert_int_equal(number(one, "uplink_port"), 16393);
	assert_int_equal(number(one, "age_s"), 100);
	assert_int_equal(number(one, "idle_s"), 3);
	assert_int_equal(number(json_object_get(one, "to_registrar"), "packets"), 5);
	assert_int_equal(number(json_object_get(one, "to_pledge"), "packets"), 4);
	assert_true(json_is_false(json_object_get(one, "intercepted")));
	one = json_array_get(flows, 1);
	assert_text(one, "ifname", "eth1");
	assert_text(one, "service", "other");
	assert_true(json_is_true(json_object_get(one, "intercepted")));

	assert_int_equal(json_array_size(json_object_get(object, "ports")), 2);
	port = json_array_get(json_object_get(object, "ports"), 0);
	assert_text(port, "ifname", "eth1");
	assert_int_equal(number(port, "count"), 2);
	assert_int_equal(number(port, "max"), 10);
	port = json_array_get(json_object_get(object, "ports"), 1);
	assert_int_equal(number(port, "count"), 1);
	assert_int_equal(number(port, "max"), 77);
	assert_int_equal(json_array_size(json_object_get(object, "services")), 2);
	service = json_array_get(json_object_get(object, "services"), 0);
	assert_text(service, "name", "main");
	assert_int_equal(number(service, "count"), 2);
	limits = json_object_get(object, "limits");
	assert_int_equal(number(limits, "per_pledge"), 2);
	assert_int_equal(number(limits, "per_port"), 10);
	assert_int_equal(number(limits, "idle_s"), IDLE_S); /* as it was said, not as ticks are */
	assert_int_equal(number(limits, "rest_s"), 1);
	assert_int_equal(number(limits, "first_port"), 16384);
	assert_int_equal(number(limits, "last_port"), 16384 + PORTS - 1);
	json_decref(object);
}

/* LIMIT bounds the list, not the count; what has gone does not use it up. */
static void test_limit(void **state)
{
	struct fixture *f = *state;
	json_t *object;

	for (__u32 i = 0; i < 5; i++)
		flow(f, i, ETH1, MAIN, "fe80::1", 1 + i);
	assert_int_equal(found(f, NULL, NULL, NULL), 5);
	for (size_t limit = 0; limit < 8; limit++) {
		object = printed(f, limit);
		assert_int_equal(json_array_size(json_object_get(object, "flows")),
				 limit < 5 ? limit : 5);
		assert_int_equal(number(object, "count"), 5);
		json_decref(object);
	}
	f->flows[0].state = JPX_FLOW_RESTING;
	object = printed(f, 2);
	assert_int_equal(json_array_size(json_object_get(object, "flows")), 2);
	json_decref(object);
}

static void test_summary(void **state)
{
	struct fixture *f = *state;
	json_t *object;

	flow(f, 0, ETH1, MAIN, "fe80::1", 1);
	assert_int_equal(found(f, NULL, NULL, NULL), 1);
	object = flowlist_summary(f->list);
	assert_int_equal(number(object, "version"), 1);
	assert_int_equal(number(object, "count"), 1);
	assert_null(json_object_get(object, "flows"));
	assert_int_equal(json_array_size(json_object_get(object, "ports")), 2);
	json_decref(object);
}

/* The kernel takes almost any name for an interface. */
static void test_odd_names(void **state)
{
	struct fixture *f = *state;
	const json_t *one;
	json_t *object;

	strcpy(f->state.ports[ETH1].ifname, "a\"b\\c\x01");
	strcpy(f->state.ports[ETH0].ifname, "z\xff"); /* no UTF-8 */
	flow(f, 0, ETH1, MAIN, "fe80::1", 1);
	flow(f, 1, ETH0, MAIN, "fe80::1", 1);
	assert_int_equal(found(f, NULL, NULL, NULL), 2);
	f->state.ports[ETH0].flags = 0; /* of which no summary speaks */
	object = printed(f, SIZE_MAX);
	one = json_array_get(json_object_get(object, "flows"), 0);
	assert_text(one, "ifname", "a\"b\\c\x01");
	one = json_array_get(json_object_get(object, "flows"), 1);
	assert_true(json_is_null(json_object_get(one, "ifname")));
	json_decref(object);
}

/* As many flows as jpd puts into an answer fit into it, however long each is. */
static void test_answer_fits(void **state)
{
	struct fixture *f = *state;
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		f->state.ports[id] = f->state.ports[ETH0];
		memset(f->state.ports[id].ifname, '\x01', JPX_IFNAME_LEN - 1); /* 6 bytes each */
	}
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		f->state.services[id] = f->state.services[MAIN];
		memset(f->state.services[id].name, 'x', JPX_NAME_LEN - 1);
	}
	set_address(f->state.uplinks[0].addr, "2001:db8:1111:2222:3333:4444:5555:6666");
	memcpy(f->state.uplinks[1].addr, f->state.uplinks[0].addr, 16);
	for (__u32 i = 0; i < JPX_FLOWS_ANSWERED; i++) {
		struct jpx_flow *one =
			flow(f, i, 1 + i % 255, 1 + i % 63, "fe80::1111:2222:3333:4444", 65535);

		one->created = NOW - 0x7fffffff;
		one->to_registrar = one->to_pledge = ~0ULL;
	}
	assert_int_equal(found(f, NULL, NULL, NULL), JPX_FLOWS_ANSWERED);
	out = open_memstream(&text, &len);
	assert_non_null(out);
	assert_int_equal(flowlist_print(f->list, SIZE_MAX, out), 0);
	assert_int_equal(fclose(out), 0);
	/* 64: what jpd wraps around it */
	assert_true(len + 64 < JPX_ANSWER_MAX);
	free(text);
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	FILE *out = fopen("/dev/full", "w");

	assert_non_null(out);
	setbuf(out, NULL);
	assert_int_equal(found(f, NULL, NULL, NULL), 0);
	assert_int_equal(flowlist_print(f->list, 1, out), -EIO);
	fclose(out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_states),	TEST(test_over),      TEST(test_match),
		TEST(test_no_match),	TEST(test_order),     TEST(test_many),
		TEST(test_get),		TEST(test_gone),      TEST(test_json),
		TEST(test_limit),	TEST(test_summary),   TEST(test_odd_names),
		TEST(test_answer_fits), TEST(test_full_disk),
	};

	return cmocka_run_group_tests_name("flowlist", tests, NULL, NULL);
}
