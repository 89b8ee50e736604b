/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of connections of jpreg: what it tells apart, how it stays bounded,
 * whom it gives up and whom never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "../../ctl/jpreg/peers.h"

#define MAX 8

struct gone {
	unsigned int count[3];	 /* by enum jpx_peer_gone */
	struct jpx_peer_key key; /* of the last one */
};

static void on_gone(struct jpx_peer *peer, enum jpx_peer_gone reason, void *arg)
{
	struct gone *gone = arg;

	gone->count[reason]++;
	gone->key = peer->key;
}

static struct sockaddr_in6 proxy(uint8_t last, uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	sa.sin6_addr.s6_addr[0] = 0xfd;
	sa.sin6_addr.s6_addr[15] = last;
	return sa;
}

/* The key of a message from PROXY whose head is N, in 4 bytes, behind "H". */
static struct jpx_peer_key key_from(const struct sockaddr_in6 *from, uint32_t n)
{
	uint8_t msg[] = { 'H', (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			  (uint8_t)n };
	struct jpx_jpy_layout layout = { .head = { 0, 5 }, .content = { 5, 0 }, .tail = { 5, 0 } };
	struct jpx_peer_key key;

	assert_int_equal(jpx_peer_key_make(&key, from, msg, &layout), 0);
	return key;
}

static struct jpx_peer_key key(uint32_t n)
{
	struct sockaddr_in6 from = proxy(1, 5000);

	return key_from(&from, n);
}

/* Adds the entry of key(N), which must find a place. */
static struct jpx_peer *add(struct jpx_peers *peers, uint32_t n, uint64_t now)
{
	struct jpx_peer_key k = key(n);
	struct jpx_peer *peer = jpx_peers_add(peers, &k, now);

	assert_non_null(peer);
	assert_memory_equal(&peer->key, &k, sizeof(k));
	return peer;
}

static struct jpx_peer *find(struct jpx_peers *peers, uint32_t n)
{
	struct jpx_peer_key k = key(n);

	return jpx_peers_find(peers, &k);
}

static void test_find(void **state)
{
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(MAX, on_gone, &gone);
	struct jpx_peer *a, *b;

	(void)state;
	assert_non_null(peers);
	assert_null(find(peers, 1));
	a = add(peers, 1, 0);
	b = add(peers, 2, 0);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(find(peers, 1), a);
	assert_ptr_equal(find(peers, 2), b);
	assert_null(a->data);
	assert_int_equal(jpx_peers_count(peers), 2);
	jpx_peers_drop(peers, a);
	assert_int_equal(gone.count[JPX_PEER_DROPPED], 1);
	assert_null(find(peers, 1));
	assert_ptr_equal(find(peers, 2), b);
	jpx_peers_free(peers);
	assert_int_equal(gone.count[JPX_PEER_DROPPED], 2);
}

/* The same header from two endpoints are two pledges: each proxy writes its own. */
static void test_endpoints_apart(void **state)
{
	struct sockaddr_in6 from[4] = { proxy(1, 5000), proxy(2, 5000), proxy(1, 5001),
					proxy(1, 5000) };
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(MAX, on_gone, &gone);
	struct jpx_peer *peer[4];

	(void)state;
	from[3].sin6_scope_id = 7;
	for (int i = 0; i < 4; i++) {
		struct jpx_peer_key k = key_from(&from[i], 1);

		assert_null(jpx_peers_find(peers, &k));
		peer[i] = jpx_peers_add(peers, &k, 0);
	}
	for (int i = 0; i < 4; i++) {
		struct jpx_peer_key k = key_from(&from[i], 1);

		assert_ptr_equal(jpx_peers_find(peers, &k), peer[i]);
	}
	assert_int_equal(jpx_peers_count(peers), 4);
	/* what is no part of an endpoint tells nothing apart */
	from[0].sin6_flowinfo = htonl(0x12345);
	{
		struct jpx_peer_key k = key_from(&from[0], 1);

		assert_ptr_equal(jpx_peers_find(peers, &k), peer[0]);
	}
	jpx_peers_free(peers);
}

/* Elements behind the content belong to the header, and where they stand counts. */
static void test_tail_apart(void **state)
{
	static const uint8_t msg[] = { 'a', 'b', 'C', 'c', 'd' };
	const struct jpx_jpy_layout none = { .head = { 0, 2 }, .content = { 2, 1 } };
	const struct jpx_jpy_layout tail = { .head = { 0, 2 },
					     .content = { 2, 1 },
					     .tail = { 3, 2 } };
	const struct jpx_jpy_layout shifted = { .head = { 0, 1 },
						.content = { 1, 0 },
						.tail = { 1, 1 } };
	struct sockaddr_in6 from = proxy(1, 5000);
	struct jpx_peer_key k[3];
	struct jpx_jpy_layout back;

	(void)state;
	assert_int_equal(jpx_peer_key_make(&k[0], &from, msg, &none), 0);
	assert_int_equal(jpx_peer_key_make(&k[1], &from, msg, &tail), 0);
	assert_int_equal(jpx_peer_key_make(&k[2], &from, msg, &shifted), 0);
	assert_memory_not_equal(&k[0], &k[1], sizeof(k[0]));
	assert_memory_not_equal(&k[0], &k[2], sizeof(k[0])); /* "ab" with and without a cut */
	assert_memory_equal(k[1].header, "abcd", 5);

	jpx_peer_key_layout(&k[1], &back);
	assert_int_equal(back.head.off, 0);
	assert_int_equal(back.head.len, 2);
	assert_int_equal(back.tail.off, 2);
	assert_int_equal(back.tail.len, 2);
}

static void test_header_limit(void **state)
{
	uint8_t msg[256] = { 0 };
	struct jpx_jpy_layout layout = { .head = { 0, JPX_PEER_HEADER_MAX } };
	struct sockaddr_in6 from = proxy(1, 5000);
	struct jpx_peer_key k;

	(void)state;
	assert_int_equal(jpx_peer_key_make(&k, &from, msg, &layout), 0);
	layout.head.len = JPX_PEER_HEADER_MAX + 1;
	assert_int_equal(jpx_peer_key_make(&k, &from, msg, &layout), -EMSGSIZE);
	layout.head.len = JPX_PEER_HEADER_MAX - 3;
	layout.tail.off = 100;
	layout.tail.len = 3;
	assert_int_equal(jpx_peer_key_make(&k, &from, msg, &layout), 0);
	layout.tail.len = 4;
	assert_int_equal(jpx_peer_key_make(&k, &from, msg, &layout), -EMSGSIZE);
	layout.tail.len = SIZE_MAX; /* must not wrap round to something small */
	assert_int_equal(jpx_peer_key_make(&k, &from, msg, &layout), -EMSGSIZE);
}

static void test_eviction(void **state)
{
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(MAX, on_gone, &gone);
	struct jpx_peer_key k;

	(void)state;
	for (uint32_t i = 0; i < MAX; i++)
		add(peers, i, i);
	jpx_peers_answered(peers, find(peers, 0), 10); /* has its answer: stays */
	jpx_peers_used(peers, find(peers, 1), 11);     /* used last: goes last */
	add(peers, 100, 12);
	assert_int_equal(jpx_peers_count(peers), MAX);
	assert_int_equal(gone.count[JPX_PEER_EVICTED], 1);
	k = key(2); /* the longest at rest of those without an answer */
	assert_memory_equal(&gone.key, &k, sizeof(k));
	assert_non_null(find(peers, 0));
	assert_non_null(find(peers, 1));
	assert_null(find(peers, 2));
	for (uint32_t i = 101; i < 101 + MAX - 2; i++)
		add(peers, i, 13);
	assert_null(find(peers, 1));
	assert_non_null(find(peers, 0));
	jpx_peers_free(peers);
}

/* A flood of new headers takes nothing from those who are talking to the server. */
static void test_flood(void **state)
{
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(MAX, on_gone, &gone);

	(void)state;
	for (uint32_t i = 0; i < MAX / 2; i++)
		jpx_peers_answered(peers, add(peers, i, 0), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		add(peers, 1000 + i, 1);
		assert_true(jpx_peers_count(peers) <= MAX);
	}
	assert_int_equal(jpx_peers_count(peers), MAX);
	assert_int_equal(gone.count[JPX_PEER_EVICTED], 10000 - MAX / 2);
	for (uint32_t i = 0; i < MAX / 2; i++)
		assert_non_null(find(peers, i));
	jpx_peers_free(peers);
}

static void test_full_of_answered(void **state)
{
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(MAX, on_gone, &gone);
	struct jpx_peer_key newcomer = key(100);

	(void)state;
	for (uint32_t i = 0; i < MAX; i++) {
		struct jpx_peer *peer = add(peers, i, 0);

		jpx_peers_answered(peers, peer, 0);
		jpx_peers_used(peers, peer, 1); /* an answer is not forgotten by this */
	}
	assert_null(jpx_peers_add(peers, &newcomer, 1));
	assert_int_equal(gone.count[JPX_PEER_EVICTED], 0);
	assert_int_equal(jpx_peers_count(peers), MAX);
	jpx_peers_drop(peers, find(peers, 3));
	assert_non_null(jpx_peers_add(peers, &newcomer, 1));
	jpx_peers_free(peers);
}

static void test_age(void **state)
{
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(MAX, on_gone, &gone);

	(void)state;
	add(peers, 0, 0);
	add(peers, 1, 0);
	add(peers, 2, 0);
	add(peers, 3, 0);
	jpx_peers_answered(peers, find(peers, 2), 0);
	jpx_peers_used(peers, find(peers, 1), 500);
	jpx_peers_answered(peers, find(peers, 3), 600);
	assert_int_equal(jpx_peers_age(peers, 999, 1000), 0);
	assert_int_equal(jpx_peers_age(peers, 1000, 1000), 2); /* 0 and 2, answered or not */
	assert_int_equal(gone.count[JPX_PEER_IDLE], 2);
	assert_null(find(peers, 0));
	assert_null(find(peers, 2));
	assert_non_null(find(peers, 1));
	assert_non_null(find(peers, 3));
	assert_int_equal(jpx_peers_age(peers, 1500, 1000), 1);
	assert_null(find(peers, 1));
	assert_int_equal(jpx_peers_age(peers, 1600, 1000), 1);
	assert_int_equal(jpx_peers_count(peers), 0);
	jpx_peers_free(peers);
}

/* A place given back is as good as new: nothing of the last one hangs on it. */
static void test_reuse(void **state)
{
	struct gone gone = { 0 };
	struct jpx_peers *peers = jpx_peers_new(1, on_gone, &gone);
	struct jpx_peer *peer;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		peer = add(peers, i, i);
		assert_null(peer->data);
		assert_false(peer->answered);
		peer->data = &gone;
		jpx_peers_answered(peers, peer, i);
		assert_int_equal(jpx_peers_age(peers, i + 5, 5), 1);
	}
	assert_null(jpx_peers_new(0, on_gone, &gone));
	jpx_peers_free(peers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_endpoints_apart),
		cmocka_unit_test(test_tail_apart),
		cmocka_unit_test(test_header_limit),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_full_of_answered),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
