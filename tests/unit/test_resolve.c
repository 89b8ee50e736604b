/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From links, routes and neighbours to link headers, sums and flags, for both
 * families.  The kernel is played by a few tables here (the linker puts them in the
 * place of netwatch's answers); no interface is looked at.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "../../ctl/jpd/abilities.h"
#include "../../ctl/jpd/resolve.h"

#define ARPHRD_6LOWPAN_ 825

/* ---- the kernel ---- */

static struct netwatch_link links[] = {
	{ .ifindex = 1,
	  .ifname = "eth9",
	  .arphrd = ARPHRD_ETHER,
	  .up = true,
	  .mac = { 2, 0, 0, 0, 0, 1 },
	  .mtu = 1500 },
	{ .ifindex = 2,
	  .ifname = "eth9.20",
	  .kind = "vlan",
	  .arphrd = ARPHRD_ETHER,
	  .up = true,
	  .mac = { 2, 0, 0, 0, 0, 2 },
	  .mtu = 1496,
	  .parent = 1,
	  .vlan_id = 20,
	  .vlan_proto = 0x8100 },
	{ .ifindex = 3,
	  .ifname = "tun9",
	  .kind = "tun",
	  .arphrd = ARPHRD_NONE,
	  .up = true,
	  .mtu = 1300 },
	{ .ifindex = 4, .ifname = "lowpan9", .arphrd = ARPHRD_6LOWPAN_, .up = true, .mtu = 1280 },
	{ .ifindex = 5,
	  .ifname = "eth9.20.30",
	  .kind = "vlan",
	  .arphrd = ARPHRD_ETHER,
	  .up = true,
	  .mac = { 2, 0, 0, 0, 0, 5 },
	  .mtu = 1492,
	  .parent = 2,
	  .vlan_id = 30,
	  .vlan_proto = 0x8100 },
};
#define LINK_COUNT (sizeof(links) / sizeof(links[0]))

static struct netwatch_route route;
static struct in6_addr asked_neighbour;
static bool neighbour_known;
static struct abilities *abilities;
static const char *strips_tags; /* the interface that does */
static unsigned int asked_tags;

static struct in6_addr address(const char *text)
{
	struct in6_addr addr;

	assert_int_equal(inet_pton(AF_INET6, text, &addr), 1);
	return addr;
}

const struct netwatch_link *__wrap_netwatch_link_by_name(const struct netwatch *nw,
							 const char *ifname);
const struct netwatch_link *__wrap_netwatch_link_by_index(const struct netwatch *nw, int ifindex);
bool __wrap_jpx_strips_vlan_tags(const char *ifname);
int __wrap_netwatch_route(struct netwatch *nw, const struct in6_addr *dst, int oif,
			  struct netwatch_route *answer);
int __wrap_netwatch_neighbour(const struct netwatch *nw, int ifindex, const struct in6_addr *addr,
			      uint8_t mac[6]);

const struct netwatch_link *__wrap_netwatch_link_by_name(const struct netwatch *nw,
							 const char *ifname)
{
	(void)nw;
	for (size_t i = 0; i < LINK_COUNT; i++)
		if (!strcmp(links[i].ifname, ifname))
			return &links[i];
	return NULL;
}

const struct netwatch_link *__wrap_netwatch_link_by_index(const struct netwatch *nw, int ifindex)
{
	(void)nw;
	return ifindex > 0 && (size_t)ifindex <= LINK_COUNT ? &links[ifindex - 1] : NULL;
}

bool __wrap_jpx_strips_vlan_tags(const char *ifname)
{
	asked_tags++;
	return strips_tags && !strcmp(ifname, strips_tags);
}

int __wrap_netwatch_route(struct netwatch *nw, const struct in6_addr *dst, int oif,
			  struct netwatch_route *answer)
{
	(void)nw;
	(void)dst;
	(void)oif;
	*answer = route;
	return route.ifindex ? 0 : -ENETUNREACH;
}

int __wrap_netwatch_neighbour(const struct netwatch *nw, int ifindex, const struct in6_addr *addr,
			      uint8_t mac[6])
{
	(void)nw;
	assert_int_equal(ifindex, route.ifindex);
	asked_neighbour = *addr;
	if (!neighbour_known)
		return -ENOENT;
	memcpy(mac, "\x02\x00\x00\x00\x0b\x01", 6);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < LINK_COUNT; i++) {
		links[i].has_link_local = links[i].has_link_local4 = false;
		links[i].up = true;
	}
	memset(&route, 0, sizeof(route));
	neighbour_known = true;
	strips_tags = NULL;
	if (!abilities)
		abilities = abilities_new();
	assert_non_null(abilities);
	abilities_forget(abilities);
	return 0;
}

static int end(void **state)
{
	(void)state;
	abilities_free(abilities);
	return 0;
}

/* ---- ports ---- */

static struct jpx_port port_on(const char *ifname)
{
	struct jpx_port port = { .flags = JPX_PORT_IN_USE | JPX_PORT_READY,
				 .addr4 = 0x01010101,
				 .addr_sum = 4711 };

	snprintf(port.ifname, sizeof(port.ifname), "%s", ifname);
	memset(port.addr, 0xee, sizeof(port.addr));
	resolve_port(NULL, &port);
	assert_true(port.flags & JPX_PORT_IN_USE);
	return port;
}

static void give(size_t link, const char *ipv6, const char *ipv4)
{
	links[link].has_link_local = ipv6;
	if (ipv6)
		links[link].link_local = address(ipv6);
	links[link].has_link_local4 = ipv4;
	if (ipv4)
		assert_int_equal(inet_pton(AF_INET, ipv4, &links[link].link_local4), 1);
}

/* Words as they lie in memory, so that both byte orders say the same. */
static uint32_t words(const void *data, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, (const char *)data + i, 2);
		sum += word;
	}
	return sum;
}

static void assert_port(const struct jpx_port *port, bool ready, const char *ipv6, const char *ipv4)
{
	struct in6_addr want = address(ipv6);
	uint32_t want4;

	assert_int_equal(!!(port->flags & JPX_PORT_READY), ready);
	assert_memory_equal(port->addr, &want, 16);
	assert_int_equal(port->addr_sum, words(&want, 16));
	assert_int_equal(inet_pton(AF_INET, ipv4, &want4), 1);
	assert_int_equal(port->addr4, want4);
}

static void test_port(void **state)
{
	struct jpx_port port;

	(void)state;
	port = port_on("eth9");
	assert_port(&port, false, "::", "0.0.0.0");
	assert_int_equal(port.ifindex, 1);
	give(0, "fe80::1", NULL);
	port = port_on("eth9");
	assert_port(&port, true, "fe80::1", "0.0.0.0");
	give(0, NULL, "169.254.1.2");
	port = port_on("eth9");
	assert_port(&port, true, "::", "169.254.1.2");
	give(0, "fe80::1", "169.254.1.2");
	port = port_on("eth9");
	assert_port(&port, true, "fe80::1", "169.254.1.2");
	links[0].up = false;
	port = port_on("eth9");
	assert_port(&port, false, "fe80::1", "169.254.1.2");
	port = port_on("nosuch9");
	assert_port(&port, false, "::", "0.0.0.0");
	assert_int_equal(port.ifindex, 0);
}

static void test_port_bare(void **state)
{
	struct jpx_port port;

	(void)state;
	give(2, NULL, "169.254.1.2");
	port = port_on("tun9");
	assert_port(&port, true, "::", "169.254.1.2");
	assert_int_equal(port.link, JPX_LINK_IPV6);
	give(3, NULL, "169.254.1.2");
	port = port_on("lowpan9");
	assert_port(&port, false, "::", "0.0.0.0");
	give(3, "fe80::1", "169.254.1.2");
	port = port_on("lowpan9");
	assert_port(&port, true, "fe80::1", "0.0.0.0");
}

/* ---- services ---- */

static struct jpx_service service_to(const char *registrar, struct in6_addr *next_hop)
{
	struct in6_addr addr = address(registrar);
	struct jpx_service service = { .registrar_port = htons(7634),
				       .uplink_port = htons(40000),
				       .xdp = JPX_XDP_AUTO,
				       .flags = JPX_SERVICE_IN_USE | JPX_SERVICE_READY |
						JPX_SERVICE_LOCAL | JPX_SERVICE_IPV4 };

	memcpy(service.registrar, &addr, 16);
	memset(next_hop, 0xee, sizeof(*next_hop));
	resolve_service(NULL, abilities, &service, next_hop);
	return service;
}

static void set_route(int ifindex, const char *next_hop, const char *source)
{
	route = (struct netwatch_route){ .ifindex = ifindex,
					 .next_hop = address(next_hop),
					 .source = address(source),
					 .mtu = 1400 };
}

static void assert_address(const void *addr, const char *text)
{
	struct in6_addr want = address(text);

	assert_memory_equal(addr, &want, 16);
}

static uint32_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

static void test_ipv6(void **state)
{
	static const unsigned char pseudo[] = {
		0x20, 0x01, 0x0d, 0xb8, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x52, 0x1d, 0xd2, 0,
		17,   0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,	  1,	0x9c, 0x40,
	};
	struct jpx_service s;
	struct in6_addr hop;

	(void)state;
	set_route(1, "fe80::9", "2001:db8:1::1");
	s = service_to("2001:db8::52", &hop);
	assert_int_equal(s.flags, JPX_SERVICE_IN_USE | JPX_SERVICE_READY);
	assert_address(&hop, "fe80::9");
	assert_address(s.uplink, "2001:db8:1::1");
	assert_int_equal(fold(s.registrar_sum), fold(words(pseudo, 20)));
	assert_int_equal(fold(s.path_sum), fold(words(pseudo, sizeof(pseudo))));
	assert_int_equal(s.l2_len, 14);
	assert_memory_equal(s.l2, "\x02\x00\x00\x00\x0b\x01\x02\x00\x00\x00\x00\x01\x86\xdd", 14);
}

static void test_ipv4(void **state)
{
	static const unsigned char pseudo[] = { 192, 0,	  2,  52,  0x1d, 0xd2, 0,
						17,  198, 51, 100, 1,	 0x9c, 0x40 };
	struct jpx_service s;
	struct in6_addr hop;

	(void)state;
	set_route(1, "::ffff:198.51.100.9", "::ffff:198.51.100.1");
	s = service_to("::ffff:192.0.2.52", &hop);
	assert_int_equal(s.flags, JPX_SERVICE_IN_USE | JPX_SERVICE_READY | JPX_SERVICE_IPV4);
	assert_address(&hop, "::ffff:198.51.100.9");
	assert_memory_equal(&asked_neighbour, &hop, 16);
	assert_address(s.uplink, "::ffff:198.51.100.1");
	assert_int_equal(s.mtu, 1400);
	assert_int_equal(fold(s.registrar_sum), fold(words(pseudo, 8)));
	assert_int_equal(fold(s.path_sum), fold(words(pseudo, sizeof(pseudo))));
	assert_int_equal(s.l2_len, 14);
	assert_memory_equal(s.l2, "\x02\x00\x00\x00\x0b\x01\x02\x00\x00\x00\x00\x01\x08\x00", 14);

	/* RFC 8950: an IPv4 route through an IPv6 gateway */
	set_route(1, "fe80::9", "::ffff:198.51.100.1");
	s = service_to("::ffff:192.0.2.52", &hop);
	assert_true(s.flags & JPX_SERVICE_READY);
	assert_address(&hop, "fe80::9");
	assert_memory_equal(s.l2 + 12, "\x08\x00", 2);

	neighbour_known = false;
	s = service_to("::ffff:192.0.2.52", &hop);
	assert_int_equal(s.flags, JPX_SERVICE_IN_USE | JPX_SERVICE_IPV4);
	assert_address(&hop, "fe80::9");
	assert_int_equal(s.tx_ifindex, 1);
}

static void test_vlan(void **state)
{
	struct resolve_way way;
	struct jpx_service s;
	struct in6_addr hop;

	(void)state;
	set_route(2, "::ffff:198.51.100.9", "::ffff:198.51.100.1");
	s = service_to("::ffff:192.0.2.52", &hop);
	assert_true(s.flags & JPX_SERVICE_READY);
	assert_int_equal(s.tx_ifindex, 1);
	assert_int_equal(s.l2_len, 18);
	assert_memory_equal(s.l2 + 12, "\x81\x00\x00\x14\x08\x00", 6);
	/* what a pledge port gets keeps its type */
	assert_true(resolve_way(NULL, abilities, 2, JPX_XDP_AUTO, &way));
	assert_memory_equal(way.l2_type, "\x81\x00\x00\x14\x86\xdd", 6);
	assert_true(resolve_way(NULL, abilities, 1, JPX_XDP_AUTO, &way));
	assert_memory_equal(way.l2_type, "\x86\xdd", 2);
}

static void test_two_tags(void **state)
{
	struct resolve_way way;

	(void)state;
	assert_true(resolve_way(NULL, abilities, 5, JPX_XDP_AUTO, &way));
	assert_int_equal(way.tx_ifindex, 1);
	assert_int_equal(way.l2_len, 22);
	assert_memory_equal(way.l2_type, "\x81\x00\x00\x14\x81\x00\x00\x1e\x86\xdd", 10);
	assert_true(way.tagged);
	assert_int_equal(ntohs(way.tags.outer_tci), 20);
	assert_int_equal(ntohs(way.tags.inner_tci), 30);
	/* generic runs on the VLAN interface, where its own tags are off */
	assert_true(resolve_way(NULL, abilities, 5, JPX_XDP_GENERIC, &way));
	assert_int_equal(way.tx_ifindex, 5);
	assert_int_equal(way.l2_len, 14);
	assert_false(way.tagged);
}

/* A device that takes tags off: the VLAN interface has a program of its own.  Asked once a round,
 * however many VLANs it has. */
static void test_stripped_tags(void **state)
{
	struct resolve_way way;

	(void)state;
	strips_tags = "eth9";
	asked_tags = 0;
	for (int i = 0; i < 100; i++) {
		assert_true(resolve_way(NULL, abilities, 2, JPX_XDP_AUTO, &way));
		assert_int_equal(way.tx_ifindex, 2);
		assert_int_equal(way.l2_len, 14);
		assert_false(way.tagged);
	}
	assert_int_equal(asked_tags, 1);
	strips_tags = NULL;
	abilities_forget(abilities);
	assert_true(resolve_way(NULL, abilities, 2, JPX_XDP_AUTO, &way));
	assert_int_equal(way.tx_ifindex, 1);
	assert_int_equal(asked_tags, 2);
}

/* Bare IPv6 has no link header to wait for; bare IPv4 is not for the fast path. */
static void test_bare(void **state)
{
	struct jpx_service s;
	struct in6_addr hop;

	(void)state;
	set_route(3, "2001:db8::52", "2001:db8:1::1");
	s = service_to("2001:db8::52", &hop);
	assert_int_equal(s.flags, JPX_SERVICE_IN_USE | JPX_SERVICE_READY);
	assert_address(&hop, "::");
	set_route(3, "::ffff:192.0.2.52", "::ffff:198.51.100.1");
	s = service_to("::ffff:192.0.2.52", &hop);
	assert_int_equal(s.flags, JPX_SERVICE_IN_USE | JPX_SERVICE_IPV4);
	assert_address(&hop, "::");
	assert_address(s.uplink, "::ffff:198.51.100.1");
	assert_int_equal(s.l2_len, 0);
	assert_int_not_equal(s.ifindex, 0);
}

static void test_no_route(void **state)
{
	static const struct {
		const char *registrar, *next_hop, *source;
		bool local, route;
	} cases[] = {
		{ "2001:db8::52", "fe80::9", "fe80::1", false, false },
		{ "2001:db8::52", "fe80::9", "::", false, false },
		{ "2001:db8::52", "fe80::9", "fe80::1", true, true },
		{ "fe80::52", "fe80::52", "fe80::1", false, true },
		/* no router forwards from 169.254/16 */
		{ "::ffff:192.0.2.52", "::ffff:192.0.2.9", "::ffff:169.254.1.2", false, false },
		{ "::ffff:192.0.2.52", "::ffff:192.0.2.52", "::ffff:169.254.1.2", false, true },
		{ "::ffff:169.254.1.3", "::ffff:169.254.1.3", "::ffff:169.254.1.2", false, true },
		{ "::ffff:192.0.2.52", "::ffff:192.0.2.9", "::", false, false },
		{ "::ffff:192.0.2.52", "::ffff:192.0.2.52", "::ffff:192.0.2.52", true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jpx_service s;
		struct in6_addr hop;

		set_route(1, cases[i].next_hop, cases[i].source);
		route.local = cases[i].local;
		s = service_to(cases[i].registrar, &hop);
		if (!!s.ifindex != cases[i].route)
			fail_msg("case %zu: %s", i, cases[i].registrar);
		assert_int_equal(!!(s.flags & JPX_SERVICE_LOCAL), cases[i].local);
		assert_int_equal(!!(s.flags & JPX_SERVICE_READY),
				 cases[i].route && !cases[i].local);
		/* of the Registrar alone, so known all the same */
		assert_int_not_equal(s.registrar_sum, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_port, setup),
		cmocka_unit_test_setup(test_port_bare, setup),
		cmocka_unit_test_setup(test_ipv6, setup),
		cmocka_unit_test_setup(test_ipv4, setup),
		cmocka_unit_test_setup(test_vlan, setup),
		cmocka_unit_test_setup(test_two_tags, setup),
		cmocka_unit_test_setup(test_stripped_tags, setup),
		cmocka_unit_test_setup(test_bare, setup),
		cmocka_unit_test_setup(test_no_route, setup),
	};

	return cmocka_run_group_tests_name("resolve", tests, NULL, end);
}
