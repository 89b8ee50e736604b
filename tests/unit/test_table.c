/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding and numbering in a state: what is in use is found, what is not is
 * never found, however much it looks the same; the last place of each table
 * counts; and which services a port serves.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/jpd/table.h"

static struct jpx_state *state;

static int fresh_state(void **unused)
{
	(void)unused;
	state = calloc(1, sizeof(*state));
	return state ? 0 : -1;
}

static int drop_state(void **unused)
{
	(void)unused;
	free(state);
	return 0;
}

static struct jpx_port *add_port(unsigned int id, const char *ifname)
{
	struct jpx_port *port = &state->ports[id];

	port->flags = JPX_PORT_IN_USE;
	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	return port;
}

static struct jpx_service *add_service(unsigned int id, const char *name, uint16_t join_port,
				       uint16_t uplink_port)
{
	struct jpx_service *service = &state->services[id];

	service->flags = JPX_SERVICE_IN_USE;
	snprintf(service->name, sizeof(service->name), "%s", name);
	memset(service->registrar, (int)id, sizeof(service->registrar));
	service->registrar_port = htons(7634);
	service->form = JPX_FORM_DRAFT21;
	service->join_port = htons(join_port);
	service->uplink_port = htons(uplink_port);
	return service;
}

static void port_by_name(void **unused)
{
	(void)unused;
	assert_int_equal(table_port_by_name(state, "eth0"), 0);
	assert_int_equal(table_port_by_name(state, ""), 0); /* unused ones have no name */
	add_port(3, "eth0");
	add_port(JPX_MAX_PORTS - 1, "fifteen-letters");
	assert_int_equal(table_port_by_name(state, "eth0"), 3);
	assert_int_equal(table_port_by_name(state, "eth"), 0);
	assert_int_equal(table_port_by_name(state, "eth00"), 0);
	assert_int_equal(table_port_by_name(state, "fifteen-letters"), JPX_MAX_PORTS - 1);
	state->ports[3].flags = JPX_PORT_READY;
	assert_int_equal(table_port_by_name(state, "eth0"), 0);
	add_port(0, "null"); /* 0 is no port, whatever is written there */
	assert_int_equal(table_port_by_name(state, "null"), 0);
}

static void port_by_radio(void **unused)
{
	(void)unused;
	add_port(2, "eth0");
	add_port(3, "lowpan0");
	assert_int_equal(table_port_by_radio(state, "wpan0"), 0);
	assert_int_equal(table_port_by_radio(state, ""), 0); /* most ports are on none */
	strcpy(state->ports[3].radio, "wpan0");
	assert_int_equal(table_port_by_radio(state, "wpan0"), 3);
	assert_int_equal(table_port_by_radio(state, "wpan"), 0);
	assert_int_equal(table_port_by_radio(state, "lowpan0"), 0);
	state->ports[3].flags = 0;
	assert_int_equal(table_port_by_radio(state, "wpan0"), 0);
}

static void service_by_name(void **unused)
{
	(void)unused;
	assert_int_equal(table_service_by_name(state, ""), 0);
	add_service(1, "main", 5684, 40000);
	add_service(JPX_MAX_SERVICES - 1, "a-name-as-long-as-a-name-may-be", 5685, 40001);
	assert_int_equal(table_service_by_name(state, "main"), 1);
	assert_int_equal(table_service_by_name(state, "Main"), 0);
	assert_int_equal(table_service_by_name(state, "a-name-as-long-as-a-name-may-be"),
			 JPX_MAX_SERVICES - 1);
	state->services[1].flags = JPX_SERVICE_READY | JPX_SERVICE_EVERY_PORT;
	assert_int_equal(table_service_by_name(state, "main"), 0);
	add_service(0, "null", 1, 2);
	assert_int_equal(table_service_by_name(state, "null"), 0);
}

static void slot_by_ifindex(void **unused)
{
	(void)unused;
	assert_int_equal(table_slot_by_ifindex(state, 0), 0); /* unused ones have none */
	state->slots[7] = (struct jpx_slot){ .flags = JPX_SLOT_IN_USE, .ifindex = 12 };
	state->slots[JPX_MAX_SLOTS - 1] =
		(struct jpx_slot){ .flags = JPX_SLOT_IN_USE, .ifindex = 0x80000001 };
	assert_int_equal(table_slot_by_ifindex(state, 12), 7);
	assert_int_equal(table_slot_by_ifindex(state, 1), 0);
	assert_int_equal(table_slot_by_ifindex(state, 0x80000001), JPX_MAX_SLOTS - 1);
	state->slots[7].flags = JPX_SLOT_UPLINK;
	assert_int_equal(table_slot_by_ifindex(state, 12), 0);
}

/* Each of these makes it another service ... */
static void other_address(struct jpx_service *s)
{
	s->registrar[15] ^= 1;
}
static void other_port(struct jpx_service *s)
{
	s->registrar_port = htons(7635);
}
static void other_mode(struct jpx_service *s)
{
	s->mode = JPX_MODE_STATEFUL;
}
static void other_form(struct jpx_service *s)
{
	s->form = JPX_FORM_DRAFT06;
}
static void other_content(struct jpx_service *s)
{
	s->flags |= JPX_SERVICE_ANY_CONTENT;
}
static void other_uplink(struct jpx_service *s)
{
	strcpy(s->uplink_ifname, "eth9");
}

static void (*const differences[])(struct jpx_service *s) = {
	other_address, other_port, other_mode, other_form, other_content, other_uplink,
};

/* ... and nothing of this. */
static void dress_up(struct jpx_service *s)
{
	strcpy(s->name, "another-name");
	s->join_port = htons(1);
	s->uplink_port = htons(2);
	memset(s->uplink, 9, sizeof(s->uplink));
	memset(s->l2, 9, sizeof(s->l2));
	s->flags = JPX_SERVICE_IMPLIED;
	s->ifindex = s->tx_ifindex = s->path_sum = 77;
	s->mtu = 1280;
}

static void services_alike(void **unused)
{
	struct jpx_service like;

	(void)unused;
	add_service(4, "main", 5684, 40000)->flags |= JPX_SERVICE_READY | JPX_SERVICE_EVERY_PORT;
	for (size_t i = 0; i < sizeof(differences) / sizeof(*differences); i++) {
		like = state->services[4];
		differences[i](&like);
		assert_false(table_services_alike(&state->services[4], &like));
		assert_int_equal(table_service_like(state, &like), 0);
	}
	like = state->services[4];
	dress_up(&like);
	assert_true(table_services_alike(&state->services[4], &like));
	assert_int_equal(table_service_like(state, &like), 4);
	state->services[JPX_MAX_SERVICES - 1] = state->services[4];
	state->services[4].flags &= (__u8)~JPX_SERVICE_IN_USE;
	assert_int_equal(table_service_like(state, &like), JPX_MAX_SERVICES - 1);
	/* One that was discovered comes and goes: nobody who asks for it by address may get it. */
	assert_int_equal(table_discovered_like(state, &like), 0);
	state->services[JPX_MAX_SERVICES - 1].source = JPX_SOURCE_COAP;
	assert_int_equal(table_service_like(state, &like), 0);
	assert_int_equal(table_discovered_like(state, &like), JPX_MAX_SERVICES - 1);
	state->services[JPX_MAX_SERVICES - 1].flags = 0;
	assert_int_equal(table_service_like(state, &like), 0);
}

static void service_by_udp_port(void **unused)
{
	(void)unused;
	add_service(2, "main", 5684, 40000);
	add_service(JPX_MAX_SERVICES - 1, "other", 5685, 40001);
	assert_int_equal(table_service_by_udp_port(state, htons(5684)), 2);
	assert_int_equal(table_service_by_udp_port(state, htons(40000)), 2);
	assert_int_equal(table_service_by_udp_port(state, htons(5685)), JPX_MAX_SERVICES - 1);
	assert_int_equal(table_service_by_udp_port(state, htons(40001)), JPX_MAX_SERVICES - 1);
	assert_int_equal(table_service_by_udp_port(state, htons(5686)), 0);
	assert_int_equal(table_service_by_udp_port(state, 5684), 0); /* network order */
	state->services[2].flags = 0;
	assert_int_equal(table_service_by_udp_port(state, htons(5684)), 0);
	assert_int_equal(table_service_by_udp_port(state, htons(40000)), 0);
}

/* The lowest that is free, never 0, and 0 when all are taken. */
static void free_ids(void **unused)
{
	(void)unused;
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		assert_int_equal(table_free_port(state), id);
		state->ports[id].flags = JPX_PORT_IN_USE;
	}
	assert_int_equal(table_free_port(state), 0);
	state->ports[100].flags = JPX_PORT_READY;
	assert_int_equal(table_free_port(state), 100);

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		assert_int_equal(table_free_service(state), id);
		state->services[id].flags = JPX_SERVICE_IN_USE;
	}
	assert_int_equal(table_free_service(state), 0);
	state->services[9].flags = JPX_SERVICE_READY;
	assert_int_equal(table_free_service(state), 9);

	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		assert_int_equal(table_free_slot(state), id);
		state->slots[id].flags = JPX_SLOT_IN_USE;
	}
	assert_int_equal(table_free_slot(state), 0);
	state->slots[511].flags = JPX_SLOT_UPLINK;
	assert_int_equal(table_free_slot(state), 511);
}

/* A port that names no service serves every EVERY_PORT one, and no implied one. */
static void services_of_any_port(void **unused)
{
	struct jpx_port *port = add_port(1, "eth0");

	(void)unused;
	assert_true(table_services_of(state, port) == 0);
	add_service(1, "main", 5684, 40000)->flags |= JPX_SERVICE_EVERY_PORT;
	add_service(2, "r1", 5685, 40001)->flags |= JPX_SERVICE_IMPLIED;
	add_service(3, "gone", 5686, 40002)->flags = JPX_SERVICE_EVERY_PORT;
	add_service(63, "last", 5687, 40003)->flags |= JPX_SERVICE_EVERY_PORT;
	add_service(0, "none", 5688, 40004)->flags |= JPX_SERVICE_EVERY_PORT;
	port->services = ~0ULL; /* what it served before does not matter */
	assert_true(table_services_of(state, port) == (1ULL << 1 | 1ULL << 63));
}

/* A port that names services serves these alone, be it none. */
static void services_of_choosing_port(void **unused)
{
	struct jpx_port *port = add_port(1, "eth0");

	(void)unused;
	port->flags |= JPX_PORT_CHOSEN;
	add_service(1, "main", 5684, 40000)->flags |= JPX_SERVICE_EVERY_PORT;
	add_service(2, "r1", 5685, 40001)->flags |= JPX_SERVICE_IMPLIED;
	port->services = 1ULL << 2;
	assert_true(table_services_of(state, port) == 1ULL << 2);
	port->services |= 1ULL << 1;
	assert_true(table_services_of(state, port) == (1ULL << 2 | 1ULL << 1));
	port->services = 0;
	assert_true(table_services_of(state, port) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_state, drop_state)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(port_by_radio),
		TEST(port_by_name),	    TEST(service_by_name),	     TEST(slot_by_ifindex),
		TEST(services_alike),	    TEST(service_by_udp_port),	     TEST(free_ids),
		TEST(services_of_any_port), TEST(services_of_choosing_port),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
