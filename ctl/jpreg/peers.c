/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See peers.h.  Entries live in one array, hang in one hash chain each, and in
 * one of two lists in order of use: those the server has answered and those it
 * has not.  So each operation takes the same short time whatever the table holds.
 */
#include "peers.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

_Static_assert(sizeof(struct jpx_peer_key) == 24 + JPX_PEER_HEADER_MAX,
	       "a key is compared as bytes: it must have no padding");

LIST_HEAD(chain, jpx_peer);
TAILQ_HEAD(order, jpx_peer);

struct jpx_peers {
	unsigned int max, count;
	jpx_peer_gone_fn gone;
	void *arg;
	struct jpx_peer *entries;
	struct chain free;
	struct order answered, unanswered; /* least recently used first */
	EVP_MAC *siphash;
	EVP_MAC_CTX *mac;
	unsigned char secret[16];
	unsigned int mask;
	struct chain buckets[];
};

void jpx_peer_key_plain(struct jpx_peer_key *key, const struct sockaddr_in6 *from)
{
	memset(key, 0, sizeof(*key));
	key->addr = from->sin6_addr;
	key->scope = from->sin6_scope_id;
	key->port = from->sin6_port;
}

int jpx_peer_key_make(struct jpx_peer_key *key, const struct sockaddr_in6 *proxy, const void *msg,
		      const struct jpx_jpy_layout *layout)
{
	const uint8_t *bytes = msg;

	if (layout->head.len > JPX_PEER_HEADER_MAX ||
	    layout->tail.len > JPX_PEER_HEADER_MAX - layout->head.len)
		return -EMSGSIZE;
	jpx_peer_key_plain(key, proxy);
	key->head_len = (uint8_t)layout->head.len;
	key->tail_len = (uint8_t)layout->tail.len;
	memcpy(key->header, bytes + layout->head.off, layout->head.len);
	memcpy(key->header + layout->head.len, bytes + layout->tail.off, layout->tail.len);
	return 0;
}

void jpx_peer_key_layout(const struct jpx_peer_key *key, struct jpx_jpy_layout *layout)
{
	memset(layout, 0, sizeof(*layout));
	layout->head.len = key->head_len;
	layout->content.off = key->head_len;
	layout->tail.off = key->head_len;
	layout->tail.len = key->tail_len;
}

/*
 * Addresses, ports and headers are all chosen by whoever sends to us, so a plain
 * hash would let him fill one chain with all entries.  SipHash under a secret
 * drawn at the start is made for this: without the secret nobody can find keys
 * that fall together, so chains stay as short as chance makes them (there are at
 * least twice as many buckets as entries).  Nor can they be learned by trial:
 * the time of one lookup is lost in that of the system calls around it.
 */
static int hash(struct jpx_peers *peers, const struct jpx_peer_key *key, unsigned int *bucket)
{
	size_t len = offsetof(struct jpx_peer_key, header) + key->head_len + key->tail_len;
	unsigned char out[8];
	uint64_t value;
	size_t got;

	if (!EVP_MAC_init(peers->mac, peers->secret, sizeof(peers->secret), NULL) ||
	    !EVP_MAC_update(peers->mac, (const unsigned char *)key, len) ||
	    !EVP_MAC_final(peers->mac, out, &got, sizeof(out)) || got != sizeof(out))
		return -EIO;
	memcpy(&value, out, sizeof(value));
	*bucket = (unsigned int)value & peers->mask;
	return 0;
}

struct jpx_peers *jpx_peers_new(unsigned int max, jpx_peer_gone_fn gone, void *arg)
{
	size_t size = sizeof(uint64_t);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};
	unsigned int buckets = 16;
	struct jpx_peers *peers;

	if (max < 1 || max > 1u << 20)
		return NULL;
	while (buckets < 2 * max)
		buckets *= 2;
	peers = calloc(1, sizeof(*peers) + buckets * sizeof(peers->buckets[0]));
	if (!peers)
		return NULL;
	peers->max = max;
	peers->gone = gone;
	peers->arg = arg;
	peers->mask = buckets - 1;
	TAILQ_INIT(&peers->answered);
	TAILQ_INIT(&peers->unanswered);
	peers->entries = calloc(max, sizeof(*peers->entries));
	peers->siphash = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	peers->mac = peers->siphash ? EVP_MAC_CTX_new(peers->siphash) : NULL;
	if (!peers->entries || !peers->mac || !EVP_MAC_CTX_set_params(peers->mac, params) ||
	    getrandom(peers->secret, sizeof(peers->secret), 0) != sizeof(peers->secret)) {
		jpx_peers_free(peers);
		return NULL;
	}
	for (unsigned int i = max; i-- > 0;)
		LIST_INSERT_HEAD(&peers->free, &peers->entries[i], chain);
	return peers;
}

static struct order *order_of(struct jpx_peers *peers, const struct jpx_peer *peer)
{
	return peer->answered ? &peers->answered : &peers->unanswered;
}

static void take_out(struct jpx_peers *peers, struct jpx_peer *peer, enum jpx_peer_gone reason)
{
	LIST_REMOVE(peer, chain);
	TAILQ_REMOVE(order_of(peers, peer), peer, order);
	peers->count--;
	peers->gone(peer, reason, peers->arg);
	LIST_INSERT_HEAD(&peers->free, peer, chain);
}

void jpx_peers_free(struct jpx_peers *peers)
{
	struct jpx_peer *peer;

	if (!peers)
		return;
	while ((peer = TAILQ_FIRST(&peers->unanswered)) || (peer = TAILQ_FIRST(&peers->answered)))
		take_out(peers, peer, JPX_PEER_DROPPED);
	EVP_MAC_CTX_free(peers->mac);
	EVP_MAC_free(peers->siphash);
	free(peers->entries);
	free(peers);
}

struct jpx_peer *jpx_peers_find(struct jpx_peers *peers, const struct jpx_peer_key *key)
{
	struct jpx_peer *peer;
	unsigned int bucket;

	if (hash(peers, key, &bucket))
		return NULL;
	LIST_FOREACH(peer, &peers->buckets[bucket], chain) {
		if (memcmp(&peer->key, key, sizeof(*key)) == 0)
			return peer;
	}
	return NULL;
}

struct jpx_peer *jpx_peers_add(struct jpx_peers *peers, const struct jpx_peer_key *key,
			       uint64_t now_ms)
{
	struct jpx_peer *peer, *oldest;
	unsigned int bucket;

	if (hash(peers, key, &bucket))
		return NULL;
	if (peers->count == peers->max) {
		oldest = TAILQ_FIRST(&peers->unanswered);
		if (!oldest)
			return NULL;
		take_out(peers, oldest, JPX_PEER_EVICTED);
	}
	peer = LIST_FIRST(&peers->free);
	LIST_REMOVE(peer, chain);
	memset(peer, 0, sizeof(*peer));
	peer->key = *key;
	peer->used_ms = now_ms;
	LIST_INSERT_HEAD(&peers->buckets[bucket], peer, chain);
	TAILQ_INSERT_TAIL(&peers->unanswered, peer, order);
	peers->count++;
	return peer;
}

static void use(struct jpx_peers *peers, struct jpx_peer *peer, bool answered, uint64_t now_ms)
{
	TAILQ_REMOVE(order_of(peers, peer), peer, order);
	peer->answered = answered;
	peer->used_ms = now_ms;
	TAILQ_INSERT_TAIL(order_of(peers, peer), peer, order);
}

void jpx_peers_used(struct jpx_peers *peers, struct jpx_peer *peer, uint64_t now_ms)
{
	use(peers, peer, peer->answered, now_ms);
}

void jpx_peers_answered(struct jpx_peers *peers, struct jpx_peer *peer, uint64_t now_ms)
{
	use(peers, peer, true, now_ms);
}

void jpx_peers_drop(struct jpx_peers *peers, struct jpx_peer *peer)
{
	take_out(peers, peer, JPX_PEER_DROPPED);
}

static unsigned int age_list(struct jpx_peers *peers, struct order *list, uint64_t now_ms,
			     uint64_t idle_ms)
{
	struct jpx_peer *peer;
	unsigned int gone = 0;

	while ((peer = TAILQ_FIRST(list)) && now_ms - peer->used_ms >= idle_ms) {
		take_out(peers, peer, JPX_PEER_IDLE);
		gone++;
	}
	return gone;
}

unsigned int jpx_peers_age(struct jpx_peers *peers, uint64_t now_ms, uint64_t idle_ms)
{
	return age_list(peers, &peers->unanswered, now_ms, idle_ms) +
	       age_list(peers, &peers->answered, now_ms, idle_ms);
}

unsigned int jpx_peers_count(const struct jpx_peers *peers)
{
	return peers->count;
}
