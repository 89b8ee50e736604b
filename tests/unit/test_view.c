/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is announced on which port, and where Registrars are looked for.  The links are the
 * test's own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "../../ctl/common/netwatch.h"
#include "../../ctl/jpd/view.h"

static struct jpx_state state;
static struct discovery_settings settings;
static struct discovery_view view;

static struct {
	struct netwatch_link link;
	bool has_address;
} links[32];
static unsigned int link_count;

void __wrap_netwatch_each_link(const struct netwatch *nw,
			       void (*on_link)(void *arg, const struct netwatch_link *link,
					       bool has_address),
			       void *arg);

void __wrap_netwatch_each_link(const struct netwatch *nw,
			       void (*on_link)(void *arg, const struct netwatch_link *link,
					       bool has_address),
			       void *arg)
{
	assert_null(nw);
	for (unsigned int i = link_count; i-- > 0;) /* in no order */
		on_link(arg, &links[i].link, links[i].has_address);
}

const struct netwatch_link *__wrap_netwatch_link_by_name(const struct netwatch *nw,
							 const char *ifname);

const struct netwatch_link *__wrap_netwatch_link_by_name(const struct netwatch *nw,
							 const char *ifname)
{
	assert_null(nw);
	for (unsigned int i = 0; i < link_count; i++)
		if (!strcmp(links[i].link.ifname, ifname))
			return &links[i].link;
	return NULL;
}

static struct netwatch_link *add_link(const char *ifname, bool has_address)
{
	struct netwatch_link *link = &links[link_count].link;

	links[link_count++].has_address = has_address;
	snprintf(link->ifname, sizeof(link->ifname), "%s", ifname);
	link->ifindex = (int)link_count + 100;
	link->up = true;
	link->arphrd = ARPHRD_ETHER;
	return link;
}

static struct jpx_port *add_port(unsigned int id, const char *ifname, uint64_t services)
{
	struct jpx_port *port = &state.ports[id];

	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	port->flags = JPX_PORT_IN_USE | JPX_PORT_READY;
	port->services = services;
	port->ifindex = id + 100;
	inet_pton(AF_INET6, "fe80::1", port->addr);
	port->addr[15] = (uint8_t)id;
	return port;
}

static struct jpx_service *add_service(unsigned int id, uint16_t priority)
{
	struct jpx_service *service = &state.services[id];

	service->flags = JPX_SERVICE_IN_USE | JPX_SERVICE_READY;
	service->ifindex = service->tx_ifindex = 7;
	service->join_port = htons((uint16_t)(5684 + id));
	service->priority = priority;
	service->weight = (uint16_t)id;
	return service;
}

static int fresh(void **unused)
{
	(void)unused;
	memset(&state, 0, sizeof(state));
	memset(&settings, 0, sizeof(settings));
	memset(links, 0, sizeof(links));
	link_count = 0;
	return 0;
}

static void make(bool look)
{
	struct pledge_links pledges;

	memset(&view, 0xff, sizeof(view));
	pledge_links_find(&state, NULL, &pledges);
	view_make(&state, NULL, &settings, &pledges, look, &view);
	assert_ptr_equal(view.settings, &settings);
	assert_int_equal(view.look, look);
}

/* ---- ports ---------------------------------------------------------------------- */

static void ports(void **unused)
{
	(void)unused;
	add_service(1, 0);
	add_port(3, "pj3", 1 << 1)->link = JPX_LINK_IPV6;
	add_port(4, "pj4", 1 << 1)->flags = JPX_PORT_IN_USE; /* no address yet */
	memset(add_port(5, "pj5", 1 << 1)->addr, 0, 16);     /* IPv4 alone */
	add_port(6, "pj6", 0);
	make(false);
	assert_int_equal(view.port_count, 2);
	assert_string_equal(view.ports[0].ifname, "pj3");
	assert_int_equal(view.ports[0].ifindex, 103);
	assert_int_equal(view.ports[0].link, JPX_LINK_IPV6);
	assert_memory_equal(&view.ports[0].addr, state.ports[3].addr, 16);
	assert_int_equal(view.ports[0].join_count, 1);
	assert_int_equal(view.ports[0].joins[0].port, 5685);
	assert_int_equal(view.ports[0].joins[0].weight, 1);
	assert_int_equal(view.ports[1].join_count, 0);
	assert_int_equal(view.uplink_count, 0);
}

static unsigned int announced(void)
{
	make(false);
	return view.ports[0].join_count;
}

/* Nothing is announced while no Registrar is usable. */
static void usable_ones_alone(void **unused)
{
	struct jpx_service *service = add_service(1, 0);

	(void)unused;
	add_port(1, "pj0", 1 << 1);
	assert_int_equal(announced(), 1);
	service->flags |= JPX_SERVICE_SILENT;
	assert_int_equal(announced(), 0);
	service->flags = JPX_SERVICE_IN_USE | JPX_SERVICE_READY | JPX_SERVICE_RETIRED;
	assert_int_equal(announced(), 0);
	service->flags = JPX_SERVICE_IN_USE | JPX_SERVICE_LOCAL; /* on this host */
	assert_int_equal(announced(), 1);
	service->flags = JPX_SERVICE_IN_USE; /* the next hop is not resolved yet */
	assert_int_equal(announced(), 1);
	service->tx_ifindex = 0; /* the uplink is down */
	assert_int_equal(announced(), 0);
	service->ifindex = 0; /* no route */
	assert_int_equal(announced(), 0);
}

static void best_priority(void **unused)
{
	(void)unused;
	add_port(1, "pj0", 1 << 1 | 1 << 2 | 1 << 3);
	add_service(1, 65535);
	add_service(2, 10)->mode = JPX_MODE_STATEFUL;
	state.services[2].uplink_count = 1;
	state.uplinks[0].flags = JPX_UPLINK_READY;
	add_service(3, 10);
	add_service(4, 0); /* not served on this port */
	assert_int_equal(announced(), 2);
	assert_int_equal(view.ports[0].joins[0].port, 5686);
	assert_int_equal(view.ports[0].joins[0].mode, JPX_MODE_STATEFUL);
	assert_int_equal(view.ports[0].joins[1].port, 5687);
	state.services[2].flags |= JPX_SERVICE_SILENT;
	assert_int_equal(announced(), 1);
	state.services[3].flags |= JPX_SERVICE_SILENT;
	assert_int_equal(announced(), 1); /* the next best */
	assert_int_equal(view.ports[0].joins[0].port, 5685);
	state.services[2].flags &= (__u16)~JPX_SERVICE_SILENT;
	state.uplinks[0].flags = 0; /* its uplink address is not on this host */
	assert_int_equal(announced(), 1);
	assert_int_equal(view.ports[0].joins[0].port, 5685);
}

/* What is configured comes first, then who is known to answer, whatever priority others claim. */
static void who_is_known_comes_first(void **unused)
{
	(void)unused;
	add_port(1, "pj0", 1 << 1 | 1 << 2 | 1 << 3);
	add_service(1, 0)->source = JPX_SOURCE_GRASP;
	add_service(2, 65535)->source = JPX_SOURCE_COAP;
	add_service(3, 65535);
	state.services[2].flags |= JPX_SERVICE_ANSWERED;
	assert_int_equal(announced(), 1);
	assert_int_equal(view.ports[0].joins[0].port, 5687);
	state.services[3].flags |= JPX_SERVICE_SILENT;
	assert_int_equal(announced(), 1);
	assert_int_equal(view.ports[0].joins[0].port, 5686);
	state.services[2].flags &= (__u16)~JPX_SERVICE_ANSWERED;
	assert_int_equal(announced(), 1);
	assert_int_equal(view.ports[0].joins[0].port, 5685);
	state.services[1].flags |= JPX_SERVICE_SILENT;
	assert_int_equal(announced(), 1);
	assert_int_equal(view.ports[0].joins[0].port, 5686);
}

static void as_many_as_fit(void **unused)
{
	(void)unused;
	add_port(1, "pj0", ~1ULL);
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		add_service(id, 1);
	assert_int_equal(announced(), DISCOVERY_JOINS);
}

/* ---- uplinks ---------------------------------------------------------------------- */

static bool looked_at(const char *ifname)
{
	for (unsigned int i = 0; i < view.uplink_count; i++)
		if (!strcmp(view.uplinks[i].ifname, ifname))
			return true;
	return false;
}

static void chosen_uplinks(void **unused)
{
	(void)unused;
	add_link("up0", true);
	add_link("up1", true)->up = false;
	add_link("lo", true)->arphrd = ARPHRD_LOOPBACK;
	add_link("bare", false);
	add_link("pj0", true);
	add_link("pj1", true);
	add_port(1, "pj0", 0);
	add_port(2, "pj1", 0)->flags = JPX_PORT_IN_USE; /* down, and a pledge port all the same */
	links[0].link.has_link_local = true;
	links[0].link.link_local.s6_addr[0] = 0xfe;
	make(true);
	assert_int_equal(view.uplink_count, 1);
	assert_true(looked_at("up0"));
	assert_int_equal(view.uplinks[0].ifindex, 101);
	assert_int_equal(view.uplinks[0].link_local.s6_addr[0], 0xfe);
	make(false);
	assert_int_equal(view.uplink_count, 0);
}

/* Named by the operator: these alone, with or without an address; never a pledge port. */
static void named_uplinks(void **unused)
{
	(void)unused;
	add_link("up0", true);
	add_link("bare", false);
	add_link("pj0", true);
	add_port(1, "pj0", 0);
	snprintf(settings.uplinks[0], IFNAMSIZ, "bare");
	snprintf(settings.uplinks[1], IFNAMSIZ, "pj0");
	make(true);
	assert_int_equal(view.uplink_count, 1);
	assert_true(looked_at("bare"));
}

/* What shares a wire with a pledge port is no uplink, even if it is named: a bridge or VRF that the
 * port is in, a macvlan of it, what it is a macvlan of, and so on.  A VLAN of it is one if it is
 * named. */
static void what_hears_pledges(void **unused)
{
	static const char *const named[] = { "br0", "mv0", "mv1", "eth1", "pj0.7", "eth2" };
	struct netwatch_link *mv1 = add_link("mv1", true); /* seen before what it hangs on */
	struct netwatch_link *pj0 = add_link("pj0", true), *pj1 = add_link("pj1", true);
	struct netwatch_link *br0 = add_link("br0", true), *mv0 = add_link("mv0", true);
	struct netwatch_link *eth1 = add_link("eth1", true), *vlan = add_link("pj0.7", true);

	(void)unused;
	add_port(1, "pj0", 0)->flags = JPX_PORT_IN_USE; /* down: that changes nothing */
	add_port(2, "pj1", 0);
	add_port(3, "gone", 0);
	pj0->master = br0->ifindex;
	strcpy(mv0->kind, "macvlan");
	mv0->parent = pj0->ifindex;
	strcpy(mv1->kind, "macvtap");
	mv1->parent = br0->ifindex;
	strcpy(pj1->kind, "ipvlan");
	pj1->parent = eth1->ifindex;
	strcpy(vlan->kind, "vlan");
	vlan->parent = pj0->ifindex;
	add_link("eth2", true)->master = 999;
	make(true);
	assert_int_equal(view.uplink_count, 1);
	assert_true(looked_at("eth2"));
	for (size_t n = 0; n < sizeof(named) / sizeof(*named); n++)
		snprintf(settings.uplinks[n], IFNAMSIZ, "%s", named[n]);
	make(true);
	assert_int_equal(view.uplink_count, 2);
	assert_true(looked_at("eth2") && looked_at("pj0.7"));
	/* Nobody there is believed, whether Registrars are looked for or not. */
	make(false);
	assert_int_equal(view.pledges.count, 6);
	assert_false(pledge_links_has(&view.pledges, (unsigned int)vlan->ifindex));
}

static void many_uplinks(void **unused)
{
	char ifname[IFNAMSIZ];

	(void)unused;
	for (unsigned int i = 0; i < DISCOVERY_UPLINKS + 4; i++) {
		snprintf(ifname, sizeof(ifname), "up%u", i);
		add_link(ifname, true);
	}
	make(true);
	assert_int_equal(view.uplink_count, DISCOVERY_UPLINKS);
	for (unsigned int i = 1; i < view.uplink_count; i++)
		assert_true(view.uplinks[i - 1].ifindex < view.uplinks[i].ifindex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ports, fresh),
		cmocka_unit_test_setup(usable_ones_alone, fresh),
		cmocka_unit_test_setup(best_priority, fresh),
		cmocka_unit_test_setup(who_is_known_comes_first, fresh),
		cmocka_unit_test_setup(as_many_as_fit, fresh),
		cmocka_unit_test_setup(chosen_uplinks, fresh),
		cmocka_unit_test_setup(named_uplinks, fresh),
		cmocka_unit_test_setup(what_hears_pledges, fresh),
		cmocka_unit_test_setup(many_uplinks, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
