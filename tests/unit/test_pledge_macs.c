/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The MAC in the socket engine's draft-21 headers: where it comes from, and that
 * it stays the same while the kernel learns and forgets.  The kernel and the fast
 * path are stand-ins here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define netwatch_neighbour     stub_neighbour
#define netwatch_ask_neighbour stub_ask
#define datapath_noted_mac     stub_noted
#include "../../ctl/jpd/pledge_macs.c"

static const unsigned char *noted, *neighbour, *asked;
static unsigned int looks;

static int give(const unsigned char *from, unsigned char mac[6])
{
	if (!from)
		return -ENOENT;
	memcpy(mac, from, 6);
	return 0;
}

int stub_neighbour(const struct netwatch *nw, int ifindex, const struct in6_addr *addr,
		   uint8_t mac[6])
{
	(void)nw;
	(void)addr;
	assert_int_equal(ifindex, 7);
	looks++;
	return give(neighbour, mac);
}

int stub_ask(struct netwatch *nw, int ifindex, const struct in6_addr *addr, uint8_t mac[6])
{
	(void)nw;
	(void)addr;
	assert_int_equal(ifindex, 7);
	return give(asked, mac);
}

int stub_noted(const struct datapath *dp, const struct jpx_mac_key *key, unsigned char mac[6])
{
	(void)dp;
	(void)key;
	return give(noted, mac);
}

static const unsigned char mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };
static const unsigned char unknown[6];
static struct jpx_port port = { .ifindex = 7, .link = JPX_LINK_ETHERNET };

static struct sockaddr_in6 pledge(unsigned char last, bool eui64)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = 0x3412 };

	sa.sin6_addr.s6_addr[0] = 0xfe;
	sa.sin6_addr.s6_addr[1] = 0x80;
	sa.sin6_addr.s6_addr[15] = last;
	if (eui64) {
		sa.sin6_addr.s6_addr[11] = 0xff;
		sa.sin6_addr.s6_addr[12] = 0xfe;
	}
	return sa;
}

static void expect(struct pledge_macs *pm, const struct sockaddr_in6 *sa,
		   const unsigned char mac[6])
{
	unsigned char got[6] = { 9, 9, 9, 9, 9, 9 };

	pledge_macs_find(pm, &port, 1, sa, got);
	assert_memory_equal(got, mac, 6);
}

static int setup(void **state)
{
	noted = neighbour = asked = NULL;
	looks = 0;
	port.link = JPX_LINK_ETHERNET;
	*state = pledge_macs_new(NULL, NULL);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	pledge_macs_free(*state);
	return 0;
}

static void test_sources(void **state)
{
	struct sockaddr_in6 told = pledge(1, true), opaque = pledge(2, false),
			    other = pledge(3, false), third = pledge(4, false);
	static const unsigned char of_told[6] = { 2, 0, 0, 0, 0, 1 };

	expect(*state, &told, of_told);
	expect(*state, &opaque, unknown);
	neighbour = mac_a;
	expect(*state, &other, mac_a);
	neighbour = NULL;
	asked = mac_b;
	expect(*state, &third, mac_b);
	noted = mac_a; /* what a frame said comes before everything */
	expect(*state, &third, mac_a);
	expect(*state, &told, mac_a);
	port.link = JPX_LINK_IPV6;
	expect(*state, &told, unknown);
}

static void test_same_while_the_kernel_learns_and_forgets(void **state)
{
	struct sockaddr_in6 late = pledge(5, false), early = pledge(6, false);

	expect(*state, &late, unknown);
	neighbour = mac_a;
	expect(*state, &early, mac_a);
	expect(*state, &late, unknown);
	neighbour = mac_b;
	expect(*state, &early, mac_a);
	neighbour = NULL;
	expect(*state, &early, mac_a);
	early.sin6_port++; /* another connection may know better */
	neighbour = mac_b;
	expect(*state, &early, mac_b);
}

static void test_forgets_the_idle(void **state)
{
	struct pledge_macs *pm = *state;
	struct sockaddr_in6 sa = pledge(7, false);

	neighbour = mac_a;
	expect(pm, &sa, mac_a);
	for (size_t i = 0; i < PLACES; i++)
		pm->places[i].last -= IDLE_S + 1;
	neighbour = mac_b;
	expect(pm, &sa, mac_b);
}

/* More pledges than places: every one gets a right answer, the remembered ones the same. */
static void test_crowded(void **state)
{
	struct sockaddr_in6 sa = pledge(8, false);

	neighbour = mac_a;
	for (unsigned int i = 0; i < 3 * PLACES; i++) {
		memcpy(sa.sin6_addr.s6_addr + 12, &i, 4);
		expect(*state, &sa, mac_a);
	}
	assert_int_equal(looks, 3 * PLACES);
	for (unsigned int i = 0; i < 3 * PLACES; i++) {
		memcpy(sa.sin6_addr.s6_addr + 12, &i, 4);
		expect(*state, &sa, mac_a);
	}
	assert_in_range(looks, 4 * PLACES, 6 * PLACES - PLACES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_while_the_kernel_learns_and_forgets,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgets_the_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
