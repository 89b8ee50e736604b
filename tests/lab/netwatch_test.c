/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drives netwatch against a live kernel: started by netwatch.sh in a namespace of
 * its own, with the name of the peer's namespace as argument.  Changes links,
 * addresses, routes and neighbours with ip(8) and looks at what netwatch says.
 *
 * Must never run outside such a namespace: it deletes links and addresses.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* vasprintf */
#endif
#include "netwatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

static struct event_base *base;
static struct netwatch *nw;
static const char *peer_ns;
static unsigned int changes;
static unsigned int failures;

static void ok(bool pass, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool peer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void ok(bool pass, const char *fmt, ...)
{
	va_list ap;

	fputs(pass ? "ok " : "not ok ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failures += !pass;
}

static bool run_text(const char *prefix, const char *fmt, va_list ap)
{
	char *cmd, *full;
	int status;

	if (vasprintf(&cmd, fmt, ap) < 0 || asprintf(&full, "%s%s", prefix, cmd) < 0)
		abort();
	status = system(full);
	if (status)
		printf("# status %d from: %s\n", status, full);
	free(cmd);
	free(full);
	return !status;
}

static bool run(const char *fmt, ...)
{
	va_list ap;
	bool done;

	va_start(ap, fmt);
	done = run_text("", fmt, ap);
	va_end(ap);
	return done;
}

static bool peer(const char *fmt, ...)
{
	char prefix[128];
	va_list ap;
	bool done;

	snprintf(prefix, sizeof(prefix), "nsenter --net=/run/netns/%s ", peer_ns);
	va_start(ap, fmt);
	done = run_text(prefix, fmt, ap);
	va_end(ap);
	return done;
}

static void on_change(void *arg)
{
	(void)arg;
	changes++;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void loop_ms(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &tv);
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

/* Runs the loop until EXPR holds, for at most MS; its value. */
#define until(ms, expr)                                                                            \
	({                                                                                         \
		long end_ = now_ms() + (ms);                                                       \
		bool got_;                                                                         \
		while (!(got_ = (expr)) && now_ms() < end_)                                        \
			loop_ms(5);                                                                \
		got_;                                                                              \
	})

/* Lets everything under way arrive, then starts to count anew. */
static void settle(void)
{
	loop_ms(150);
	changes = 0;
}

static struct in6_addr ip6(const char *text)
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, text, &a) != 1)
		abort();
	return a;
}

static bool is(const struct in6_addr *a, const char *text)
{
	struct in6_addr b = ip6(text);

	return !memcmp(a, &b, sizeof(b));
}

static const struct netwatch_link *link_of(const char *name)
{
	return netwatch_link_by_name(nw, name);
}

static int index_of(const char *name)
{
	const struct netwatch_link *l = link_of(name);

	return l ? l->ifindex : 0;
}

static bool mac_is(const uint8_t mac[6], const char *text)
{
	char buf[18];

	snprintf(buf, sizeof(buf), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return !strcmp(buf, text);
}

static bool lowest_is(const char *link, const char *addr)
{
	const struct netwatch_link *l = link_of(link);

	return l && l->has_link_local && is(&l->link_local, addr);
}

static bool lowest4_is(const char *link, const char *addr)
{
	const struct netwatch_link *l = link_of(link);
	char text[INET_ADDRSTRLEN];

	return l && l->has_link_local4 &&
	       !strcmp(inet_ntop(AF_INET, &l->link_local4, text, sizeof(text)), addr);
}

static bool is_local(const char *addr)
{
	struct in6_addr a = ip6(addr);

	return netwatch_is_local(nw, &a);
}

static bool neighbour_is(const char *link, const char *addr, const char *mac)
{
	struct in6_addr a = ip6(addr);
	uint8_t m[6];

	return !netwatch_neighbour(nw, index_of(link), &a, m) && mac_is(m, mac);
}

static bool neighbour_unknown(const char *link, const char *addr)
{
	struct in6_addr a = ip6(addr);
	uint8_t m[6];

	return netwatch_neighbour(nw, index_of(link), &a, m) == -ENOENT;
}

static void resolve(const char *link, const char *addr)
{
	struct in6_addr a = ip6(addr);

	netwatch_resolve(nw, index_of(link), &a);
}

static void test_first_picture(void)
{
	const struct netwatch_link *l = link_of("up0");
	bool tentative;

	ok(!changes, "first-picture-is-no-change");
	ok(l && netwatch_link_by_index(nw, l->ifindex) == l, "link-by-name-and-index");
	ok(l && mac_is(l->mac, "02:00:00:00:0a:01"), "link-mac");
	ok(l && l->mtu == 1400, "link-mtu");
	ok(l && !strcmp(l->kind, "veth"), "link-kind");
	ok(l && l->arphrd == ARPHRD_ETHER && l->up, "link-type-and-up");
	ok(l && l->parent == 0, "link-parent-in-other-namespace");
	/* On a slow machine DAD may be over before the first picture. */
	tentative = l && !l->has_link_local;
	ok(until(5000, lowest_is("up0", "fe80::ff:fe00:a01")), "link-local-after-dad");
	ok(!tentative || until(100, changes), "link-local-is-a-change");
	l = link_of("up0");
	ok(l && !l->has_link_local4 && !l->link_local4.s_addr, "link-local4-none");
	ok(is_local("::ffff:192.0.2.1") && is_local("2001:db8:1::1") && is_local("::1") &&
		   is_local("::ffff:127.0.0.1") && is_local("fe80::ff:fe00:a01"),
	   "local-addresses");
	ok(!is_local("::ffff:192.0.2.2") && !is_local("2001:db8:1::2") && !is_local("::") &&
		   !is_local("::ffff:0.0.0.0") && !is_local("::192.0.2.1"),
	   "addresses-of-others-are-not-local");
	l = link_of("lo");
	ok(l && l->arphrd == ARPHRD_LOOPBACK && !l->kind[0], "loopback");
	ok(!link_of("nosuch") && !link_of("") && !netwatch_link_by_index(nw, 4711) &&
		   !netwatch_link_by_index(nw, -1),
	   "no-such-link");
}

static void test_link_events(void)
{
	const struct netwatch_link *l;

	settle();
	run("ip link add t1 type veth peer name t2");
	ok(until(1000, link_of("t1") && link_of("t2")) && until(100, changes), "link-appears");
	l = link_of("t1");
	ok(l && !l->up && !l->has_link_local, "link-new-is-down");
	ok(l && l->parent == index_of("t2"), "link-parent");
	settle();
	run("ip link set t1 name t1new");
	ok(until(1000, link_of("t1new")) && !link_of("t1") && until(100, changes), "link-renamed");
	settle();
	run("ip link set t1new mtu 1281");
	ok(until(1000, link_of("t1new") && link_of("t1new")->mtu == 1281) && until(100, changes),
	   "link-mtu-changed");
	settle();
	run("ip link set t1new address 02:00:00:00:0c:07");
	ok(until(1000, link_of("t1new") && mac_is(link_of("t1new")->mac, "02:00:00:00:0c:07")) &&
		   until(100, changes),
	   "link-mac-changed");
	settle();
	run("ip link set t1new up");
	loop_ms(100);
	ok(link_of("t1new") && !link_of("t1new")->up, "link-without-carrier-is-not-up");
	run("ip link set t2 up");
	ok(until(1000, link_of("t1new") && link_of("t1new")->up) && until(100, changes),
	   "link-carrier");
	ok(until(5000, lowest_is("t1new", "fe80::ff:fe00:c07")), "link-local-of-new-link");

	/* A bridge tells of a port that left with an RTM_DELLINK of its own. */
	run("ip link add nwbr type bridge && ip link set t2 master nwbr");
	run("ip neigh add 2001:db8:2::9 dev t2 lladdr 02:00:00:00:0b:09 nud permanent");
	settle();
	ok(neighbour_is("t2", "2001:db8:2::9", "02:00:00:00:0b:09"), "bridge-prepared");
	ok(link_of("t2") && link_of("t2")->master == index_of("nwbr") && !link_of("t1new")->master,
	   "link-of-a-bridge");
	run("ip link set t2 nomaster");
	loop_ms(100);
	ok(link_of("t2") && !link_of("t2")->master, "link-of-no-bridge");
	ok(link_of("t2") && neighbour_is("t2", "2001:db8:2::9", "02:00:00:00:0b:09"),
	   "link-survives-leaving-a-bridge");
	run("ip link del nwbr");

	settle();
	run("ip tuntap add mode tun nwtun");
	ok(until(1000, (l = link_of("nwtun"))) && !strcmp(l->kind, "tun") &&
		   l->arphrd == ARPHRD_NONE && mac_is(l->mac, "00:00:00:00:00:00"),
	   "link-without-mac");
	run("ip link del nwtun");
	ok(until(1000, !link_of("nwtun")), "tun-deleted");

	if (!system("ip link add link t1new name nwvlan type vlan proto 802.1ad id 77 2>/dev/null"))
		ok(until(1000, (l = link_of("nwvlan"))) && l->vlan_id == 77 &&
			   l->vlan_proto == 0x88a8 && l->parent == index_of("t1new"),
		   "link-vlan");
	else
		puts("ok link-vlan # SKIP this kernel makes no VLAN interface");
}

static void test_addresses(void)
{
	settle();
	run("ip addr add 169.254.0.5/16 dev t1new");
	ok(until(1000, is_local("::ffff:169.254.0.5")) && !link_of("t1new")->has_link_local4,
	   "link-local4-reserved-is-local-and-not-for-pledges");
	ok(until(100, changes), "address4-is-a-change");
	settle();
	run("ip addr add 169.254.7.7/16 dev t1new");
	ok(until(1000, lowest4_is("t1new", "169.254.7.7")) && until(100, changes), "link-local4");
	run("ip addr add 169.254.3.200/16 dev t1new");
	ok(until(1000, lowest4_is("t1new", "169.254.3.200")), "link-local4-lower");
	run("ip addr add 169.254.12.1/16 dev t1new && ip addr add 169.254.255.1/16 dev t1new");
	ok(until(1000, is_local("::ffff:169.254.255.1")) && lowest4_is("t1new", "169.254.3.200"),
	   "link-local4-higher-changes-nothing");
	run("ip link set t1new mtu 1290");
	ok(until(1000, link_of("t1new")->mtu == 1290) && lowest4_is("t1new", "169.254.3.200") &&
		   lowest_is("t1new", "fe80::ff:fe00:c07"),
	   "link-event-keeps-link-locals");
	run("ip link set t1new mtu 1281");
	settle();
	run("ip addr del 169.254.3.200/16 dev t1new");
	ok(until(1000, lowest4_is("t1new", "169.254.7.7")) && until(100, changes) &&
		   !is_local("::ffff:169.254.3.200"),
	   "link-local4-lowest-deleted");
	ok(lowest_is("t1new", "fe80::ff:fe00:c07") && !link_of("up0")->has_link_local4,
	   "link-locals-are-of-their-link-and-family");
	run("ip -4 addr flush dev t1new");
	ok(until(1000, !link_of("t1new")->has_link_local4) &&
		   !link_of("t1new")->link_local4.s_addr && !is_local("::ffff:169.254.7.7") &&
		   lowest_is("t1new", "fe80::ff:fe00:c07"),
	   "link-local4-all-deleted");

	run("ip addr add 198.51.100.1 peer 198.51.100.2/32 dev t1new");
	ok(until(1000, is_local("::ffff:198.51.100.1")) && !is_local("::ffff:198.51.100.2"),
	   "address-of-a-peer-is-not-local");
	run("ip addr del 198.51.100.1 peer 198.51.100.2/32 dev t1new");
	ok(until(1000, !is_local("::ffff:198.51.100.1")), "address-with-a-peer-deleted");

	/* The same address on two links is there until the last of them lets go. */
	run("ip addr add 2001:db8:8::1/128 dev up0 nodad");
	run("ip addr add 2001:db8:8::1/128 dev t1new nodad");
	run("ip addr del 2001:db8:8::1/128 dev up0");
	run("ip addr add 2001:db8:8::2/128 dev up0 nodad");
	ok(until(1000, is_local("2001:db8:8::2")) && is_local("2001:db8:8::1"),
	   "address-of-two-links");
	run("ip addr del 2001:db8:8::1/128 dev t1new; ip addr del 2001:db8:8::2/128 dev up0");
	ok(until(1000, !is_local("2001:db8:8::1") && !is_local("2001:db8:8::2")),
	   "address-of-two-links-deleted");

	peer("ip addr add 2001:db8:1::dad/64 dev pe0 nodad");
	run("ip addr add 2001:db8:1::dad/64 dev up0; ip addr add 2001:db8:1::f00d/64 dev up0");
	loop_ms(50);
	ok(!is_local("2001:db8:1::f00d"), "tentative-address-is-not-local");
	ok(until(5000, is_local("2001:db8:1::f00d")), "address-is-local-after-dad");
	ok(run("ip -6 addr show dev up0 | grep -q 'dad/64.*dadfailed'") &&
		   !is_local("2001:db8:1::dad"),
	   "failed-address-is-not-local");
	run("ip addr del 2001:db8:1::dad/64 dev up0; ip addr del 2001:db8:1::f00d/64 dev up0");
	peer("ip addr del 2001:db8:1::dad/64 dev pe0");
}

static int route(const char *dst, const char *oif, struct netwatch_route *r)
{
	struct in6_addr a = ip6(dst);

	return netwatch_route(nw, &a, oif ? index_of(oif) : 0, r);
}

static void test_routes(void)
{
	static const char *const refused[][2] = { { "unreachable", "2001:db8:a::1" },
						  { "blackhole", "2001:db8:b::1" },
						  { "prohibit", "2001:db8:c::1" },
						  { "throw", "2001:db8:d::1" } };
	struct netwatch_route r, t;
	const struct in6_addr *nh = &r.next_hop;
	int up0 = index_of("up0"), t1 = index_of("t1new");
	unsigned int i;

	settle();
	run("ip -6 route add 2001:db8:99::/48 via 2001:db8:1::2");
	ok(until(1000, changes), "route-change-is-told");
	run("ip -6 route add 2001:db8:98::/48 via fe80::2 dev up0 mtu 1300");

	ok(!route("2001:db8:1::2", NULL, &r) && r.ifindex == up0 && !r.local &&
		   is(nh, "2001:db8:1::2") && is(&r.source, "2001:db8:1::1") && r.mtu == 1400,
	   "route-on-link");
	ok(!route("2001:db8:99::7", NULL, &r) && r.ifindex == up0 && !r.local &&
		   is(nh, "2001:db8:1::2") && is(&r.source, "2001:db8:1::1") && r.mtu == 1400,
	   "route-gateway");
	ok(!route("2001:db8:98::7", NULL, &r) && is(nh, "fe80::2") && r.mtu == 1300,
	   "route-link-local-gateway-and-mtu");
	ok(route("2001:db8:dead::1", NULL, &r) == -ENETUNREACH && !r.ifindex, "route-none");
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		run("ip -6 route add %s %s/128", refused[i][0], refused[i][1]);
		ok(route(refused[i][1], NULL, &r) == -ENETUNREACH, "route-%s", refused[i][0]);
	}
	ok(!route("2001:db8:1::1", NULL, &r) && r.local && is(nh, "2001:db8:1::1"), "route-local");
	ok(!route("::1", NULL, &r) && r.local, "route-loopback");

	run("ip addr add 2001:db8:1::f/64 dev t1new nodad");
	ok(!route("fe80::2", "up0", &r) && !route("fe80::2", "t1new", &t) && r.ifindex == up0 &&
		   t.ifindex == t1 && is(&r.source, "fe80::ff:fe00:a01") &&
		   is(&t.source, "fe80::ff:fe00:c07"),
	   "route-oif-link-local");
	ok(!route("2001:db8:1::77", "up0", &r) && !route("2001:db8:1::77", "t1new", &t) &&
		   r.ifindex == up0 && t.ifindex == t1 && t.mtu == 1281,
	   "route-oif-same-prefix");
	run("ip addr del 2001:db8:1::f/64 dev t1new");
	ok(route("2001:db8:1::2", "t1new", &r) == -ENETUNREACH, "route-oif-without-a-route");

	run("ip -6 route add 2001:db8:97::/48 nexthop via fe80::2 dev up0 "
	    "nexthop via fe80::3 dev t1new");
	ok(!route("2001:db8:97::1", NULL, &r) && ((r.ifindex == up0 && is(nh, "fe80::2")) ||
						  (r.ifindex == t1 && is(nh, "fe80::3"))),
	   "route-multipath");
	if (!system("ip -6 route add 2001:db8:96::/48 encap seg6 mode encap segs 2001:db8:1::2 "
		    "dev up0 2>/dev/null"))
		ok(route("2001:db8:96::1", NULL, &r) == -EOPNOTSUPP, "route-encapsulated");
	else
		puts("ok route-encapsulated # SKIP this kernel has no segment routing");
	settle();
	run("ip -6 rule add from 2001:db8:1::1 lookup 100");
	ok(until(1000, changes), "rule-change-is-told");
}

static void test_routes4(void)
{
	static const char *const refused[][2] = { { "unreachable", "203.0.113.1" },
						  { "blackhole", "203.0.113.2" },
						  { "prohibit", "203.0.113.3" },
						  { "throw", "203.0.113.4" } };
	const struct in6_addr *nh = NULL;
	struct netwatch_route r, t;
	int up0 = index_of("up0"), t1 = index_of("t1new");
	char dst[64];
	unsigned int i;

	nh = &r.next_hop;
	settle();
	run("ip route add 198.18.1.0/24 via 192.0.2.2");
	ok(until(1000, changes), "route4-change-is-told");
	run("ip route add 198.18.2.0/24 via 192.0.2.3 dev up0 mtu 1300 src 192.0.2.1");

	ok(!route("::ffff:192.0.2.2", NULL, &r) && r.ifindex == up0 && !r.local &&
		   is(nh, "::ffff:192.0.2.2") && is(&r.source, "::ffff:192.0.2.1") && r.mtu == 1400,
	   "route4-on-link");
	ok(!route("::ffff:198.18.1.7", NULL, &r) && r.ifindex == up0 && !r.local &&
		   is(nh, "::ffff:192.0.2.2") && is(&r.source, "::ffff:192.0.2.1") && r.mtu == 1400,
	   "route4-gateway");
	ok(!route("::ffff:198.18.2.7", NULL, &r) && is(nh, "::ffff:192.0.2.3") && r.mtu == 1300,
	   "route4-mtu");
	ok(route("::ffff:198.18.99.1", NULL, &r) == -ENETUNREACH && !r.ifindex, "route4-none");
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		run("ip route add %s %s/32", refused[i][0], refused[i][1]);
		snprintf(dst, sizeof(dst), "::ffff:%s", refused[i][1]);
		ok(route(dst, NULL, &r) == -ENETUNREACH, "route4-%s", refused[i][0]);
	}
	ok(!route("::ffff:192.0.2.1", NULL, &r) && r.local && is(nh, "::ffff:192.0.2.1"),
	   "route4-local");
	ok(!route("::ffff:127.0.0.1", NULL, &r) && r.local, "route4-loopback");
	ok(route("::ffff:192.0.2.255", NULL, &r) == -ENETUNREACH &&
		   route("::ffff:255.255.255.255", "up0", &r) == -ENETUNREACH,
	   "route4-broadcast");

	ok(route("::ffff:192.0.2.2", "t1new", &r) == -ENETUNREACH && !r.ifindex,
	   "route4-oif-without-a-route");
	run("ip addr add 169.254.7.7/32 dev t1new; ip addr add 169.254.8.8/32 dev up0");
	ok(!route("::ffff:169.254.9.9", "up0", &r) && !route("::ffff:169.254.9.9", "t1new", &t) &&
		   r.ifindex == up0 && t.ifindex == t1 && is(nh, "::ffff:169.254.9.9") &&
		   is(&t.source, "::ffff:169.254.7.7") && t.mtu == 1281,
	   "route4-oif-link-local");
	run("ip addr del 169.254.7.7/32 dev t1new; ip addr del 169.254.8.8/32 dev up0");

	run("ip addr add 192.0.2.9/24 dev t1new");
	ok(!route("::ffff:192.0.2.77", "up0", &r) && !route("::ffff:192.0.2.77", "t1new", &t) &&
		   r.ifindex == up0 && t.ifindex == t1 && is(&r.source, "::ffff:192.0.2.1") &&
		   is(&t.source, "::ffff:192.0.2.9"),
	   "route4-oif-same-prefix");
	run("ip route add 198.18.3.0/24 nexthop via 192.0.2.2 dev up0 "
	    "nexthop via 192.0.2.3 dev t1new");
	ok(!route("::ffff:198.18.3.1", NULL, &r) &&
		   ((r.ifindex == up0 && is(nh, "::ffff:192.0.2.2")) ||
		    (r.ifindex == t1 && is(nh, "::ffff:192.0.2.3"))),
	   "route4-multipath");
	run("ip addr del 192.0.2.9/24 dev t1new");
	run("ip route add 198.18.4.0/24 via inet6 fe80::2 dev up0");
	ok(!route("::ffff:198.18.4.1", NULL, &r) && r.ifindex == up0 && is(nh, "fe80::2") &&
		   is(&r.source, "::ffff:192.0.2.1"),
	   "route4-ipv6-gateway");
	settle();
	run("ip rule add from 192.0.2.1 lookup 100");
	ok(until(1000, changes), "rule4-change-is-told");
}

/* What the wire saw of a solicitation, from outgoing copies on a packet socket. */
static bool saw_solicit(int fd)
{
	static const uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, 0, 0, 2 };
	static const uint8_t sll[8] = { 1, 1, 2, 0, 0, 0, 0x0a, 1 };
	struct in6_addr src = ip6("2001:db8:1::1"), target = ip6("2001:db8:1::2");
	uint8_t p[256];
	ssize_t n;

	while ((n = recv(fd, p, sizeof(p), MSG_DONTWAIT)) > 0)
		if (n == 86 && p[20] == 58 && p[54] == 135 && p[21] == 255 &&
		    !memcmp(p, "\x33\x33\xff\x00\x00\x02", 6) && !memcmp(p + 22, &src, 16) &&
		    !memcmp(p + 38, group, 16) && !memcmp(p + 62, &target, 16) &&
		    !memcmp(p + 78, sll, 8))
			return true;
	return false;
}

static void test_neighbours(void)
{
	static const char first[] = "02:00:00:00:0b:01", second[] = "02:00:00:00:0b:02";
	static const char a[] = "2001:db8:1::2";
	struct in6_addr addr = ip6(a), src = ip6("2001:db8:1::1"), none = ip6("::");
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int up0 = index_of("up0"), fd = socket(AF_PACKET, SOCK_RAW, 0);
	uint8_t mac[6];
	unsigned int i;
	FILE *f;

	ok(neighbour_unknown("up0", a) && netwatch_ask_neighbour(nw, up0, &addr, mac) == -ENOENT,
	   "neighbour-unknown");
	settle();
	resolve("up0", a);
	ok(until(1000, neighbour_is("up0", a, first)) && until(100, changes), "neighbour-resolved");
	ok(!netwatch_ask_neighbour(nw, up0, &addr, mac) && mac_is(mac, first), "neighbour-asked");
	for (i = 0; i < 500; i++) /* refused by the kernel, each with an answer not wanted */
		netwatch_resolve(nw, 4711, &addr);
	ok(!netwatch_ask_neighbour(nw, up0, &addr, mac) && mac_is(mac, first),
	   "refused-resolves-do-not-disturb");

	settle();
	f = popen("ip -batch -", "w");
	for (i = 0; f && i < 500; i++)
		fprintf(f, "neigh replace %s dev up0 lladdr %s nud %s\n", a, first,
			i & 1 ? "reachable" : "stale");
	ok(f && !pclose(f), "flapping-was-made");
	loop_ms(300);
	ok(!changes && neighbour_is("up0", a, first), "flapping-state-causes-no-work");

	/* The peer changes its MAC and says nothing. */
	peer("ip link set pe0 address %s", second);
	loop_ms(300);
	ok(neighbour_is("up0", a, first), "silent-mac-change-is-silent");
	ll.sll_ifindex = up0;
	ok(fd >= 0 && !bind(fd, (struct sockaddr *)&ll, sizeof(ll)), "packet-socket");
	settle();
	ok(!netwatch_solicit(nw, up0, &src, &addr), "solicit");
	ok(until(1000, neighbour_is("up0", a, second)) && until(100, changes), "solicit-new-mac");
	ok(saw_solicit(fd), "solicit-on-the-wire");
	close(fd);
	ok(netwatch_solicit(nw, 4711, &src, &addr) == -ENODEV &&
		   netwatch_solicit(nw, up0, &none, &addr) == -EINVAL &&
		   netwatch_solicit(nw, up0, &src, &none) == -EINVAL &&
		   netwatch_solicit(nw, up0, &addr, &src) < 0,
	   "solicit-refuses-nonsense");

	/* A new MAC of our own makes the kernel drop all its neighbours of the link. */
	run("ip link set up0 address 02:00:00:00:0a:02");
	loop_ms(100);
	ok(netwatch_ask_neighbour(nw, up0, &addr, mac) == -ENOENT && neighbour_is("up0", a, second),
	   "neighbour-gone-keeps-last-mac");
	settle();
	resolve("up0", a);
	loop_ms(300);
	ok(!netwatch_ask_neighbour(nw, up0, &addr, mac) && !changes,
	   "neighbour-back-with-same-mac-causes-no-work");

	peer("ip addr del %s/64 dev pe0", a);
	run("ip link set up0 address 02:00:00:00:0a:01");
	settle();
	resolve("up0", a);
	loop_ms(200);
	ok(netwatch_ask_neighbour(nw, up0, &addr, mac) == -ENOENT &&
		   neighbour_is("up0", a, second) && !changes,
	   "neighbour-incomplete-keeps-last-mac");
	ok(until(8000, neighbour_unknown("up0", a)) && until(100, changes),
	   "neighbour-failed-is-forgotten");
	peer("ip addr add %s/64 dev pe0 nodad", a);
	resolve("up0", a);
	ok(until(3000, neighbour_is("up0", a, second)), "neighbour-after-failure");
	settle();
	run("ip neigh del %s dev up0", a);
	ok(until(1000, neighbour_unknown("up0", a)) && until(100, changes),
	   "neighbour-deleted-by-hand");
	settle();
	run("ip neigh add ff02::77 dev up0 lladdr %s nud permanent", first);
	loop_ms(100);
	ok(!changes && neighbour_unknown("up0", "ff02::77"), "groups-are-no-neighbours");
}

/* The same of an ARP request: 28 bytes behind the Ethernet header (RFC 826). */
static bool saw_arp(int fd)
{
	static const uint8_t request[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,	 0, 0, 0,
		0x0a, 1,    8,	  6,			    /* to all, from us */
		0,    1,    8,	  0,	6,    4,    0,	 1, /* Ethernet, IPv4, their sizes, request
							     */
		2,    0,    0,	  0,	0x0a, 1,    192, 0, 2, 1, /* who asks */
		0,    0,    0,	  0,	0,    0,    192, 0, 2, 2, /* after whom */
	};
	uint8_t p[256];
	ssize_t n;

	while ((n = recv(fd, p, sizeof(p), MSG_DONTWAIT)) > 0)
		if (n == sizeof(request) && !memcmp(p, request, sizeof(request)))
			return true;
	return false;
}

static bool solicited(const char *source, const char *addr, const char *mac)
{
	struct in6_addr src = ip6(source), dst = ip6(addr);
	int err = netwatch_solicit(nw, index_of("up0"), &src, &dst);

	if (err)
		printf("# solicit: %s\n", strerror(-err));
	loop_ms(200);
	return !err && neighbour_is("up0", addr, mac);
}

static void test_neighbours4(void)
{
	static const char first[] = "02:00:00:00:0b:02", second[] = "02:00:00:00:0b:03";
	static const char a[] = "::ffff:192.0.2.2", own[] = "::ffff:192.0.2.1";
	struct in6_addr addr = ip6(a), src = ip6(own), stranger = ip6("::ffff:192.0.2.3");
	struct in6_addr none = ip6("::ffff:0.0.0.0"), group = ip6("::ffff:224.0.0.1");
	struct in6_addr src6 = ip6("2001:db8:1::1"), addr6 = ip6("2001:db8:1::2");
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int up0 = index_of("up0"), fd = socket(AF_PACKET, SOCK_RAW, 0);
	uint8_t mac[6];

	ok(neighbour_unknown("up0", a) && netwatch_ask_neighbour(nw, up0, &addr, mac) == -ENOENT,
	   "neighbour4-unknown");
	settle();
	resolve("up0", a);
	ok(until(1000, neighbour_is("up0", a, first)) && until(100, changes),
	   "neighbour4-resolved");
	ok(!netwatch_ask_neighbour(nw, up0, &addr, mac) && mac_is(mac, first), "neighbour4-asked");
	ok(neighbour_unknown("up0", "::192.0.2.2"), "neighbour4-is-not-its-bytes-in-ipv6");

	/* The kernel takes no other MAC within the first second (locktime). */
	peer("ip link set pe0 address %s", second);
	loop_ms(1200);
	ok(neighbour_is("up0", a, first), "neighbour4-silent-mac-change-is-silent");
	ll.sll_ifindex = up0;
	ok(fd >= 0 && !bind(fd, (struct sockaddr *)&ll, sizeof(ll)), "packet-socket4");
	settle();
	ok(until(2000, solicited(own, a, second)) && until(100, changes), "solicit4-new-mac");
	ok(saw_arp(fd), "solicit4-on-the-wire");
	close(fd);
	ok(netwatch_solicit(nw, 4711, &src, &addr) == -ENODEV &&
		   netwatch_solicit(nw, up0, &none, &addr) == -EINVAL &&
		   netwatch_solicit(nw, up0, &src, &none) == -EINVAL &&
		   netwatch_solicit(nw, up0, &src, &group) == -EINVAL &&
		   netwatch_solicit(nw, up0, &src6, &addr) == -EINVAL &&
		   netwatch_solicit(nw, up0, &src, &addr6) == -EINVAL,
	   "solicit4-refuses-nonsense");
	ok(netwatch_solicit(nw, up0, &stranger, &addr) == -EADDRNOTAVAIL,
	   "solicit4-not-in-the-name-of-others");
	ok(netwatch_solicit(nw, index_of("lo"), &src, &addr) == -EOPNOTSUPP,
	   "solicit4-needs-ethernet");

	peer("ip addr del 192.0.2.2/24 dev pe0");
	run("ip neigh del 192.0.2.2 dev up0");
	ok(until(1000, neighbour_unknown("up0", a)), "neighbour4-deleted-by-hand");
	resolve("up0", a);
	loop_ms(100);
	ok(neighbour_unknown("up0", a), "neighbour4-incomplete");
	peer("ip addr add 192.0.2.2/24 dev pe0");
	ok(until(3000, neighbour_is("up0", a, second)), "neighbour4-after-all");
	settle();
	peer("ip addr del 192.0.2.2/24 dev pe0");
	run("ip neigh change 192.0.2.2 dev up0 lladdr %s nud probe", second);
	ok(until(8000, neighbour_unknown("up0", a)) && until(100, changes),
	   "neighbour4-failed-is-forgotten");
	peer("ip addr add 192.0.2.2/24 dev pe0");
	settle();
	run("ip neigh add 224.0.0.77 dev up0 lladdr %s nud permanent", first);
	loop_ms(100);
	ok(!changes && neighbour_unknown("up0", "::ffff:224.0.0.77"), "groups4-are-no-neighbours");
}

static void test_down_and_up(void)
{
	static const char a[] = "2001:db8:1::2", mac[] = "02:00:00:00:0b:03";
	static const char a4[] = "::ffff:192.0.2.2";
	static const char p[] = "2001:db8:1::9", pmac[] = "02:00:00:00:0b:09";

	run("ip -6 neigh flush dev up0");
	resolve("up0", a);
	resolve("up0", a4);
	run("ip neigh add %s dev up0 lladdr %s nud permanent", p, pmac);
	ok(until(3000, neighbour_is("up0", a, mac) && neighbour_is("up0", a4, mac) &&
			       neighbour_is("up0", p, pmac)),
	   "down-prepared");
	settle();
	peer("ip link set pe0 down");
	ok(until(2000, link_of("up0") && !link_of("up0")->up) && until(100, changes),
	   "carrier-lost");
	ok(until(1000, neighbour_unknown("up0", a) && neighbour_unknown("up0", a4)),
	   "carrier-lost-forgets-neighbours");
	ok(neighbour_is("up0", p, pmac), "carrier-lost-keeps-permanent-neighbour");
	settle();
	peer("ip link set pe0 up");
	ok(until(2000, link_of("up0") && link_of("up0")->up) && until(100, changes),
	   "carrier-back");
	ok(neighbour_is("up0", p, pmac), "carrier-back-with-permanent-neighbour");
	peer("ip addr replace %s/64 dev pe0 nodad", a);
	resolve("up0", a);
	ok(until(3000, neighbour_is("up0", a, mac)), "carrier-back-neighbour");
	settle();
	run("ip link set up0 down");
	ok(until(1000, !link_of("up0")->up && !link_of("up0")->has_link_local) &&
		   until(100, changes),
	   "link-down");
	ok(until(1000, neighbour_unknown("up0", a) && neighbour_unknown("up0", p)),
	   "link-down-forgets-neighbours");
	ok(!is_local("2001:db8:1::1") && is_local("::ffff:192.0.2.1"),
	   "link-down-keeps-what-the-kernel-keeps");
	settle();
	run("ip link set up0 up");
	ok(until(1000, link_of("up0")->up) && until(100, changes), "link-up");
	ok(until(5000, link_of("up0")->has_link_local), "link-up-link-local");
}

static bool batch(const char *file, bool background)
{
	return run("ip -force -batch %s >/dev/null 2>&1%s", file, background ? " &" : "");
}

static void test_bursts(const char *dir)
{
	char file[128], done[128];
	long start, elapsed;
	unsigned int i;
	FILE *f;

	snprintf(file, sizeof(file), "%s/batch", dir);
	snprintf(done, sizeof(done), "%s/done", dir);
	f = fopen(file, "w");
	if (!f)
		abort();
	for (i = 0; i < 1000; i++)
		fprintf(f, "addr add 2001:db8:5::%x/128 dev t1new nodad\n", i + 1);
	for (i = 40; i > 0; i--) /* the lowest last */
		fprintf(f, "addr add fe80::%x/64 dev t1new nodad\n", i);
	fclose(f);
	settle();
	batch(file, false);
	ok(until(1000, changes), "burst-is-told");
	loop_ms(100);
	ok(changes <= 3, "burst-waiting-is-few-calls (%u)", changes);
	ok(lowest_is("t1new", "fe80::1"), "burst-lowest-link-local");
	ok(is_local("2001:db8:5::1") && is_local("2001:db8:5::3e8") && is_local("fe80::28"),
	   "burst-addresses-are-local");

	f = fopen(file, "w");
	if (!f)
		abort();
	for (i = 0; i < 1000; i++)
		fprintf(f, "addr del 2001:db8:5::%x/128 dev t1new\n", i + 1);
	for (i = 1; i < 38; i++)
		fprintf(f, "addr del fe80::%x/64 dev t1new\n", i);
	fclose(f);
	settle();
	start = now_ms();
	run("(ip -batch %s; touch %s) &", file, done);
	until(20000, !access(done, F_OK));
	loop_ms(50);
	elapsed = now_ms() - start;
	ok(changes > 0 && changes <= (unsigned long)elapsed / 20 + 2,
	   "burst-live-is-few-calls (%u in %ld ms)", changes, elapsed);
	ok(until(1000, lowest_is("t1new", "fe80::26")), "burst-lowest-that-is-left");
	ok(!is_local("2001:db8:5::1") && !is_local("2001:db8:5::3e8") && is_local("fe80::28"),
	   "burst-addresses-are-gone");
	settle();
	loop_ms(300);
	ok(!changes, "burst-ends");
}

/* The descriptor of the event socket: the netlink one that is in groups. */
static int event_socket(void)
{
	struct sockaddr_nl sa;
	socklen_t len;
	int fd;

	for (fd = 3; fd < 256; fd++) {
		len = sizeof(sa);
		if (!getsockname(fd, (struct sockaddr *)&sa, &len) && sa.nl_family == AF_NETLINK &&
		    sa.nl_groups)
			return fd;
	}
	return -1;
}

static unsigned long drops_of(int fd)
{
	unsigned long drops = 0, d;
	struct sockaddr_nl sa;
	socklen_t len = sizeof(sa);
	unsigned int proto, portid;
	char line[512];
	FILE *f = fopen("/proc/net/netlink", "r");

	if (!f || getsockname(fd, (struct sockaddr *)&sa, &len))
		abort();
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %u %u %*s %*s %*s %*s %*s %lu", &proto, &portid, &d) == 3 &&
		    proto == NETLINK_ROUTE && portid == sa.nl_pid)
			drops = d;
	fclose(f);
	return drops;
}

static void test_lost_events(const char *dir)
{
	static const char n[] = "2001:db8:1::a", n4[] = "::ffff:192.0.2.10",
			  m1[] = "02:00:00:00:0d:01", m2[] = "02:00:00:00:0d:02";
	int fd = event_socket(), tiny = 1, large = 4 << 20;
	char file[128];
	unsigned int i;
	FILE *f;

	ok(fd >= 0, "lost-event-socket-found");
	run("ip neigh add %s dev up0 lladdr %s nud permanent", n, m1);
	run("ip neigh add 192.0.2.10 dev up0 lladdr %s nud permanent", m1);
	run("ip addr add 169.254.9.9/32 dev up0; ip addr add 198.51.100.7/32 dev up0");
	run("ip link add gone1 type veth peer name gone2");
	ok(until(1000, neighbour_is("up0", n, m1) && neighbour_is("up0", n4, m1) &&
			       link_of("gone1") && link_of("gone2") &&
			       lowest4_is("up0", "169.254.9.9") && is_local("::ffff:198.51.100.7")),
	   "lost-prepared");
	settle();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny));

	snprintf(file, sizeof(file), "%s/batch", dir);
	f = fopen(file, "w");
	if (!f)
		abort();
	for (i = 0; i < 300; i++)
		fprintf(f, "addr add 2001:db8:6::%x/128 dev t1new nodad\n", i + 1);
	fprintf(f, "link del gone1\n");
	for (i = 0; i < 300; i++) /* enough that a dump takes several reads */
		fprintf(f, "link add m%ua type veth peer name m%ub\n", i, i);
	fprintf(f, "link set up0 mtu 1399\n");
	fprintf(f, "addr add fe80::3/64 dev up0 nodad\n");
	fprintf(f, "link set m7a name renamed\n");
	fprintf(f, "neigh replace %s dev up0 lladdr %s nud permanent\n", n, m2);
	fprintf(f, "neigh replace 192.0.2.10 dev up0 lladdr %s nud permanent\n", m2);
	fprintf(f, "addr add 169.254.8.8/32 dev up0\naddr add 198.51.100.8/32 dev up0\n");
	fprintf(f, "addr del 169.254.9.9/32 dev up0\naddr del 198.51.100.7/32 dev up0\n");
	fclose(f);
	batch(file, false);
	ok(drops_of(fd) > 0, "lost-events (%lu)", drops_of(fd));
	ok(until(3000, changes), "lost-is-told");
	ok(until(3000, !link_of("gone1") && !link_of("gone2")), "lost-deleted-links");
	ok(link_of("m299a") && link_of("m299b") && link_of("m0a"), "lost-new-links");
	ok(link_of("renamed") && !link_of("m7a"), "lost-rename");
	ok(link_of("up0") && link_of("up0")->mtu == 1399, "lost-mtu");
	ok(lowest_is("up0", "fe80::3"), "lost-link-local");
	ok(neighbour_is("up0", n, m2), "lost-neighbour-mac");
	ok(neighbour_is("up0", n4, m2), "lost-neighbour4-mac");
	ok(lowest4_is("up0", "169.254.8.8"), "lost-link-local4");
	ok(is_local("::ffff:198.51.100.8") && is_local("2001:db8:6::12c") &&
		   !is_local("::ffff:198.51.100.7") && !is_local("::ffff:169.254.9.9"),
	   "lost-addresses");

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	f = fopen(file, "w");
	if (!f)
		abort();
	fputs("link del renamed\n", f);
	for (i = 0; i < 300; i++)
		if (i != 7)
			fprintf(f, "link del m%ua\n", i);
	fclose(f);
	batch(file, false);
	ok(until(3000, !link_of("renamed") && !link_of("m299b") && !link_of("m0a")),
	   "lost-and-found-events-work-again");
}

static void free_in_callback(void *arg)
{
	(void)arg;
	netwatch_free(nw);
	nw = NULL;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/netwatch_testXXXXXX";

	if (argc != 2) {
		fputs("usage: netwatch_test PEER-NAMESPACE\nStart it through netwatch.sh.\n",
		      stderr);
		return 2;
	}
	peer_ns = argv[1];
	base = event_base_new();
	nw = base ? netwatch_new(base, on_change, NULL) : NULL;
	if (!nw || !mkdtemp(dir)) {
		printf("not ok new: %s\n", strerror(errno));
		return 1;
	}
	test_first_picture();
	test_link_events();
	test_addresses();
	test_routes();
	test_routes4();
	test_neighbours();
	test_neighbours4();
	test_down_and_up();
	test_bursts(dir);
	test_lost_events(dir);

	settle();
	run("ip link del t1new");
	ok(until(1000, !link_of("t1new") && !link_of("t2")) && until(100, changes), "link-deleted");
	run("ip link del up0");
	ok(until(1000, !link_of("up0")) && neighbour_unknown("up0", "2001:db8:1::a"),
	   "link-deleted-with-neighbours");
	ok(!is_local("::ffff:198.51.100.8") && !is_local("2001:db8:1::1"),
	   "link-deleted-with-addresses");

	netwatch_free(nw);
	nw = netwatch_new(base, free_in_callback, NULL);
	ok(nw != NULL, "new-again");
	run("ip addr add 2001:db8:7::1/128 dev lo");
	ok(until(1000, !nw), "free-from-the-listener");
	loop_ms(50);
	run("rm -r %s", dir);
	event_base_free(base);
	printf("%s: %u failed\n", failures ? "not ok" : "ok", failures);
	return failures ? 1 : 0;
}
