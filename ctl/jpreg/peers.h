/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bounded table of connections: one entry for each (endpoint of a proxy, JPY
 * header), which together are one pledge's UDP connection (draft-ietf-anima-
 * constrained-join-proxy-21, 4.4).
 *
 * Knows nothing of sockets, of time or of what a header means: the owner hangs
 * its own data on an entry, passes the time in and is told when an entry goes.
 * All memory is taken at the start.  Must never give up an entry that the server
 * has answered for the sake of a newcomer.
 */
#ifndef JPX_JPREG_PEERS_H
#define JPX_JPREG_PEERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jpx/jpy.h>

/* Longest JPY header (head and tail together) that is kept.  draft-21 says 32;
 * the five-element forms need about 30, draft-01 with an address in text 60. */
#define JPX_PEER_HEADER_MAX 64

struct jpx_peer_key {
	struct in6_addr addr; /* the proxy's */
	uint32_t scope;	      /* interface, for a link-local one */
	in_port_t port;	      /* network order */
	uint8_t head_len;
	uint8_t tail_len;
	uint8_t header[JPX_PEER_HEADER_MAX]; /* head, then tail, then zeros */
};

struct jpx_peer {
	struct jpx_peer_key key;
	void *data;	  /* the owner's */
	bool answered;	  /* by the server, ever */
	uint64_t used_ms; /* the rest is the table's own */
	LIST_ENTRY(jpx_peer) chain;
	TAILQ_ENTRY(jpx_peer) order;
};

enum jpx_peer_gone { JPX_PEER_IDLE, JPX_PEER_EVICTED, JPX_PEER_DROPPED };

/* PEER leaves the table, for REASON: give back what hangs on it. */
typedef void (*jpx_peer_gone_fn)(struct jpx_peer *peer, enum jpx_peer_gone reason, void *arg);

/* The key of the message MSG, taken apart by jpx_jpy_split(), that came from PROXY.
 * Returns 0, or -EMSGSIZE if its header is longer than JPX_PEER_HEADER_MAX. */
int jpx_peer_key_make(struct jpx_peer_key *key, const struct sockaddr_in6 *proxy, const void *msg,
		      const struct jpx_jpy_layout *layout);

/* The key of who speaks to us without a JPY message, from FROM. */
void jpx_peer_key_plain(struct jpx_peer_key *key, const struct sockaddr_in6 *from);

/* The layout of KEY's header bytes alone, as jpx_jpy_answer() wants it. */
void jpx_peer_key_layout(const struct jpx_peer_key *key, struct jpx_jpy_layout *layout);

struct jpx_peers;

/* A table for at most MAX entries.  NULL without memory or without randomness. */
struct jpx_peers *jpx_peers_new(unsigned int max, jpx_peer_gone_fn gone, void *arg);

/* Drops every entry (GONE is called for each), then the table. */
void jpx_peers_free(struct jpx_peers *peers);

/* The entry of KEY, or NULL. */
struct jpx_peer *jpx_peers_find(struct jpx_peers *peers, const struct jpx_peer_key *key);

/* A new entry for KEY, which must not be in the table.  In a full table it takes
 * the place of the least recently used entry that the server never answered;
 * NULL if there is none. */
struct jpx_peer *jpx_peers_add(struct jpx_peers *peers, const struct jpx_peer_key *key,
			       uint64_t now_ms);

/* The proxy has sent something for PEER. */
void jpx_peers_used(struct jpx_peers *peers, struct jpx_peer *peer, uint64_t now_ms);

/* The server has sent something for PEER. */
void jpx_peers_answered(struct jpx_peers *peers, struct jpx_peer *peer, uint64_t now_ms);

/* Takes PEER out. */
void jpx_peers_drop(struct jpx_peers *peers, struct jpx_peer *peer);

/* Takes out every entry not used for IDLE_MS or longer; returns how many. */
unsigned int jpx_peers_age(struct jpx_peers *peers, uint64_t now_ms, uint64_t idle_ms);

unsigned int jpx_peers_count(const struct jpx_peers *peers);

#endif
