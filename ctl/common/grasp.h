/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GRASP flood messages (RFC 8990 2.8.11) as the Join Proxy needs them: written and read one
 * CBOR item at a time.  Allocates nothing; depth and lengths are bounded by the grammar.
 * What a flood means to a Join Proxy is one table, in grasp.c.
 */
#ifndef JPX_GRASP_H
#define JPX_GRASP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jpx/abi.h>

#define GRASP_PORT	7017
#define GRASP_GROUP	"ff02::13"
#define GRASP_MAX	1232 /* bytes of a flood: an IPv6 packet of 1280 (RFC 8990 2.5.3) */
#define GRASP_ITEMS_MAX 32   /* objectives of one flood; one with more is refused */
#define GRASP_NAME_LEN	64
#define GRASP_TCP	6
#define GRASP_UDP	17

/* An objective with its locator. */
struct grasp_item {
	char name[GRASP_NAME_LEN];
	unsigned int flags;
	unsigned int loop_count;
	char value[GRASP_NAME_LEN]; /* text; where it is no text, has_value is false */
	bool has_value;
	bool has_locator; /* an IPv6 one; others and null are skipped */
	struct in6_addr addr;
	unsigned int proto; /* GRASP_TCP, GRASP_UDP */
	uint16_t port;	    /* host order */
};

struct grasp_flood {
	uint32_t session;
	struct in6_addr initiator; /* v4-mapped if it was 4 bytes */
	uint32_t ttl;		   /* ms; 0: for ever */
	struct grasp_item items[GRASP_ITEMS_MAX];
	size_t count;
};

/* Writes FLOOD, in the shortest encoding.  Returns the length, -E2BIG for one that is longer than
 * LEN or GRASP_MAX, or -EINVAL for one without objectives or with more than GRASP_ITEMS_MAX. */
int grasp_write(const struct grasp_flood *flood, unsigned char *buf, size_t len);

/* Reads one whole datagram.  Strict: -EINVAL for anything that is not exactly an M_FLOOD by the
 * grammar of RFC 8990 4 (or, with several services in one inner array, as drafts -11 to -15 and
 * brski-discovery draw it), with what is wrong in *WHY; -EPROTONOSUPPORT: another GRASP message.
 * Names of GRASP_NAME_LEN bytes or more are refused, values of any type are accepted.  Where it
 * does not return 0, FLOOD has no items. */
int grasp_read(const unsigned char *buf, size_t len, struct grasp_flood *flood, const char **why);

/* What an item says to a Join Proxy or a pledge.  FORM is set in any case, and of interest for
 * GRASP_STATELESS only.  Whether the address can be one is not looked at. */
enum grasp_meaning {
	GRASP_NOTHING,	 /* nothing that jpx uses */
	GRASP_PROXY,	 /* AN_Proxy with a UDP join port */
	GRASP_STATELESS, /* a Registrar's JPY port */
	GRASP_STATEFUL,	 /* a Registrar's coaps port */
};
enum grasp_meaning grasp_meaning(const struct grasp_item *item, enum jpx_form *form);

/* Is FLOOD, which came from SOURCE, allowed where links are insecure (DULL, RFC 8990 2.5.2): loop
 * count exactly 1, link-local source, and initiator and locator that source?  *WHY as above. */
bool grasp_is_dull(const struct grasp_flood *flood, const struct in6_addr *source,
		   const char **why);

#endif
