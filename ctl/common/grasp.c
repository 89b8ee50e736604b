/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See grasp.h.  Heads are read by cbor_item.h and written by libcbor; what is here is the grammar,
 * and what the objectives of every version mean.
 *
 * Must never allocate, recurse, or look at a byte outside of the buffer: all of it comes from the
 * network.
 */
#include "grasp.h"

#include <cbor.h>
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "cbor_item.h"

/* Message types and locator options (RFC 8990 4). */
#define M_FLOOD	       9
#define M_INVALID      99
#define O_IPV6_LOCATOR 103
#define O_IPV4_LOCATOR 104
#define O_FQDN_LOCATOR 105
#define O_URI_LOCATOR  106

#define FLOOD_HEAD 4 /* elements in front of the objectives */

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Writing
 */

struct writer {
	unsigned char *at, *end;
	bool full;
};

/* What a libcbor call wrote: 0, where there was no room. */
static void wrote(struct writer *w, size_t n)
{
	w->full |= !n;
	w->at += n;
}

static void put_array(struct writer *w, size_t count)
{
	wrote(w, cbor_encode_array_start(count, w->at, (size_t)(w->end - w->at)));
}

static void put_number(struct writer *w, uint64_t value)
{
	wrote(w, cbor_encode_uint(value, w->at, (size_t)(w->end - w->at)));
}

static void put_raw(struct writer *w, const void *data, size_t len)
{
	if (len > (size_t)(w->end - w->at)) {
		w->full = true;
		return;
	}
	memcpy(w->at, data, len);
	w->at += len;
}

static void put_bytes(struct writer *w, const void *data, size_t len)
{
	wrote(w, cbor_encode_bytestring_start(len, w->at, (size_t)(w->end - w->at)));
	put_raw(w, data, len);
}

static void put_text(struct writer *w, const char *text)
{
	size_t len = strnlen(text, GRASP_NAME_LEN);

	wrote(w, cbor_encode_string_start(len, w->at, (size_t)(w->end - w->at)));
	put_raw(w, text, len);
}

static void put_initiator(struct writer *w, const struct in6_addr *addr)
{
	if (IN6_IS_ADDR_V4MAPPED(addr))
		put_bytes(w, &addr->s6_addr[12], 4);
	else
		put_bytes(w, addr, sizeof(*addr));
}

static void put_item(struct writer *w, const struct grasp_item *item)
{
	put_array(w, 2);
	put_array(w, item->has_value ? 4 : 3);
	put_text(w, item->name);
	put_number(w, item->flags);
	put_number(w, item->loop_count);
	if (item->has_value)
		put_text(w, item->value);
	if (!item->has_locator) {
		put_array(w, 0);
		return;
	}
	put_array(w, 4);
	put_number(w, O_IPV6_LOCATOR);
	put_bytes(w, &item->addr, sizeof(item->addr));
	put_number(w, item->proto);
	put_number(w, item->port);
}

int grasp_write(const struct grasp_flood *flood, unsigned char *buf, size_t len)
{
	struct writer w = { buf, buf + (len < GRASP_MAX ? len : GRASP_MAX), false };

	if (!flood->count || flood->count > GRASP_ITEMS_MAX)
		return -EINVAL;
	put_array(&w, FLOOD_HEAD + flood->count);
	put_number(&w, M_FLOOD);
	put_number(&w, flood->session);
	put_initiator(&w, &flood->initiator);
	put_number(&w, flood->ttl);
	for (size_t i = 0; i < flood->count; i++)
		put_item(&w, &flood->items[i]);
	return w.full ? -E2BIG : (int)(w.at - buf);
}

/*
 * Reading.  Each of these says in *WHY what is wrong, and returns false.
 */

static bool bad(const char **why, const char *what)
{
	*why = what;
	return false;
}

static bool read_initiator(struct cbor_cursor *c, struct in6_addr *addr, const char **why)
{
	struct cbor_item it;
	struct in_addr quad;

	if (!cbor_item_is(c, CBOR_BYTES, &it) || (it.len != 16 && it.len != 4))
		return bad(why, "the initiator is no address");
	if (it.len == 16) {
		memcpy(addr, it.data, 16);
	} else {
		memcpy(&quad, it.data, 4);
		*addr = jpx_addr_map(quad);
	}
	return true;
}

/* UTF-8 that can be kept as a string? */
static bool is_string(const struct cbor_item *it)
{
	return it->kind == CBOR_TEXT && (!it->len || !memchr(it->data, 0, it->len)) &&
	       cbor_item_is_utf8(it);
}

static bool read_name(struct cbor_cursor *c, struct grasp_item *item, const char **why)
{
	struct cbor_item it;

	if (!cbor_item_next(c, &it) || !is_string(&it) || !it.len)
		return bad(why, "the name of an objective is no text");
	if (it.len >= sizeof(item->name))
		return bad(why, "the name of an objective is too long");
	memcpy(item->name, it.data, it.len);
	return true;
}

/* Of any type; text that is longer than all that has a meaning counts as none. */
static bool read_value(struct cbor_cursor *c, struct grasp_item *item, const char **why)
{
	struct cbor_cursor start = *c;
	struct cbor_item it;

	if (!cbor_item_skip(c, 1, CBOR_NESTING_MAX))
		return bad(why, "the value of an objective is malformed or nested too deep");
	if (!cbor_item_is(&start, CBOR_TEXT, &it))
		return true;
	if (!is_string(&it))
		return bad(why, "the value of an objective is not UTF-8, or has a NUL in it");
	if (it.len >= sizeof(item->value))
		return true;
	memcpy(item->value, it.data, it.len);
	item->has_value = true;
	return true;
}

/* objective = [name, flags, loop-count, ?value] (RFC 8990 2.10.1) */
static bool read_objective(struct cbor_cursor *c, struct grasp_item *item, const char **why)
{
	struct cbor_item it;
	uint64_t flags, loops;

	if (!cbor_item_is(c, CBOR_ARRAY, &it) || (it.value != 3 && it.value != 4))
		return bad(why, "an objective is no array of three or four");
	if (!read_name(c, item, why))
		return false;
	if (!cbor_item_number(c, UINT32_MAX, &flags))
		return bad(why, "the flags of an objective are no number");
	if (!cbor_item_number(c, 255, &loops))
		return bad(why, "a loop count is no number up to 255");
	item->flags = (unsigned int)flags;
	item->loop_count = (unsigned int)loops;
	return it.value == 3 || read_value(c, item, why);
}

/* "/ null" is in the grammar of a URI locator only.  RFC 8995 4.3 has a locator of IPv6 in IPv6
 * with the port null all the same: such a port is read, and makes no locator that can be used. */
static bool read_proto_and_port(struct cbor_cursor *c, bool null_proto, uint64_t *proto,
				uint64_t *port, bool *has_port, const char **why)
{
	struct cbor_item it;

	*proto = *port = 0;
	if (!cbor_item_next(c, &it) || !(it.kind == CBOR_NULL ? null_proto : it.kind == CBOR_INT) ||
	    it.negative || it.value > 255)
		return bad(why, "the protocol of a locator is no number up to 255");
	*proto = it.value;
	if (!cbor_item_next(c, &it) || (it.kind != CBOR_NULL && it.kind != CBOR_INT) ||
	    it.negative || it.value > 65535)
		return bad(why, "the port of a locator is no number up to 65535");
	*port = it.value;
	*has_port = it.kind == CBOR_INT;
	return true;
}

/* Is what names the host of the type that OPTION has? */
static bool read_host(struct cbor_cursor *c, uint64_t option, struct cbor_item *host)
{
	if (!cbor_item_next(c, host))
		return false;
	switch (option) {
	case O_IPV6_LOCATOR:
		return host->kind == CBOR_BYTES && host->len == 16;
	case O_IPV4_LOCATOR:
		return host->kind == CBOR_BYTES && host->len == 4;
	case O_FQDN_LOCATOR:
	case O_URI_LOCATOR:
		return is_string(host);
	default:
		return false;
	}
}

/* locator-option / [] (RFC 8990 2.9.5) */
static bool read_locator(struct cbor_cursor *c, struct grasp_item *item, const char **why)
{
	uint64_t option, proto, port;
	struct cbor_item it, host;
	bool has_port;

	if (!cbor_item_is(c, CBOR_ARRAY, &it) || (it.value != 0 && it.value != 4))
		return bad(why, "a locator is no array of four and no empty one");
	if (!it.value)
		return true;
	if (!cbor_item_number(c, UINT16_MAX, &option) || !read_host(c, option, &host))
		return bad(why, "a locator is of no known kind");
	if (!read_proto_and_port(c, option == O_URI_LOCATOR, &proto, &port, &has_port, why))
		return false;
	if (option != O_IPV6_LOCATOR || !has_port)
		return true;
	item->has_locator = true;
	memcpy(&item->addr, host.data, sizeof(item->addr));
	item->proto = (unsigned int)proto;
	item->port = (uint16_t)port;
	return true;
}

/* COUNT elements that are objectives and locators in turn.  RFC 8990 has one of each in an array.
 */
static bool read_pairs(struct cbor_cursor *c, uint64_t count, struct grasp_flood *flood,
		       const char **why)
{
	if (!count || count % 2)
		return bad(why, "an objective has no locator beside it");
	for (; count; count -= 2) {
		struct grasp_item *item = &flood->items[flood->count];

		if (flood->count == GRASP_ITEMS_MAX)
			return bad(why, "there are too many objectives");
		memset(item, 0, sizeof(*item));
		if (!read_objective(c, item, why) || !read_locator(c, item, why))
			return false;
		flood->count++;
	}
	return true;
}

/* An array begins with an array in either case: is the inner one an objective, that is, does it
 * begin with text? */
static bool begins_with_objective(struct cbor_cursor c)
{
	struct cbor_item it;

	return cbor_item_is(&c, CBOR_ARRAY, &it) && cbor_item_is(&c, CBOR_TEXT, &it);
}

/* An element of the message behind its head: [objective, locator]; several of these in a row in one
 * array (join-proxy-11 to -15); or an array of such arrays (brski-discovery-07). */
static bool read_element(struct cbor_cursor *c, struct grasp_flood *flood, const char **why)
{
	struct cbor_item outer, inner;

	if (!cbor_item_is(c, CBOR_ARRAY, &outer))
		return bad(why, "where an objective shall be is no array");
	if (begins_with_objective(*c))
		return read_pairs(c, outer.value, flood, why);
	if (!outer.value)
		return bad(why, "there is an empty array for an objective");
	for (uint64_t i = 0; i < outer.value; i++) {
		if (!cbor_item_is(c, CBOR_ARRAY, &inner) || !begins_with_objective(*c))
			return bad(why, "an objective is nested too deep, or is none");
		if (!read_pairs(c, inner.value, flood, why))
			return false;
	}
	return true;
}

static bool read_flood(struct cbor_cursor *c, uint64_t count, struct grasp_flood *flood,
		       const char **why)
{
	uint64_t session, ttl;

	if (count <= FLOOD_HEAD)
		return bad(why, "it has no objective");
	if (!cbor_item_number(c, UINT32_MAX, &session))
		return bad(why, "the session id is no number of 32 bits");
	if (!read_initiator(c, &flood->initiator, why))
		return false;
	if (!cbor_item_number(c, UINT32_MAX, &ttl))
		return bad(why, "the time to live is no number of 32 bits");
	flood->session = (uint32_t)session;
	flood->ttl = (uint32_t)ttl;
	flood->count = 0;
	for (; count > FLOOD_HEAD; count--)
		if (!read_element(c, flood, why))
			return false;
	return c->at == c->end || bad(why, "there is something behind the message");
}

int grasp_read(const unsigned char *buf, size_t len, struct grasp_flood *flood, const char **why)
{
	struct cbor_cursor c = { buf, len ? buf + len : buf };
	struct cbor_item it;
	uint64_t type;

	*why = NULL;
	flood->count = 0;
	if (len > GRASP_MAX) {
		*why = "it is longer than a flood can be";
		return -EINVAL;
	}
	if (!len || !cbor_item_is(&c, CBOR_ARRAY, &it) || !it.value ||
	    !cbor_item_number(&c, M_INVALID, &type) || (type > M_FLOOD && type != M_INVALID)) {
		*why = "it is no GRASP message";
		return -EINVAL;
	}
	if (type != M_FLOOD) {
		*why = "it is another GRASP message than a flood";
		return -EPROTONOSUPPORT;
	}
	if (read_flood(&c, it.value, flood, why))
		return 0;
	flood->count = 0;
	return -EINVAL;
}

/*
 * Meaning
 */

#define ANY NULL

static const struct {
	const char *name, *value;
	enum grasp_meaning meaning;
	enum jpx_form form; /* GRASP_STATELESS only */
} meanings[] = {
	/* join-proxy-11 to -14; constrained-voucher before -23; join-proxy-15;
	 * brski-discovery-07 4.2.3, its examples and its text */
	{ "AN_Proxy", "", GRASP_PROXY, JPX_FORM_DRAFT21 },
	{ "AN_Proxy", "DTLS", GRASP_PROXY, JPX_FORM_DRAFT21 },
	{ "AN_Proxy", "DTLS-EST", GRASP_PROXY, JPX_FORM_DRAFT21 },
	{ "AN_Proxy", "rrm", GRASP_PROXY, JPX_FORM_DRAFT21 },
	{ "AN_Proxy", "rrm-cose", GRASP_PROXY, JPX_FORM_DRAFT21 },
	/* join-proxy-11 to -15: two elements from the first of them on */
	{ "AN_join_registrar", "BRSKI_RJP", GRASP_STATELESS, JPX_FORM_DRAFT21 },
	/* brski-discovery-07 4.2.1 */
	{ "AN_join_registrar_rjp", ANY, GRASP_STATELESS, JPX_FORM_DRAFT21 },
	/* constrained-voucher before -23; brski-discovery-07 */
	{ "AN_join_registrar", "BRSKI_JP", GRASP_STATEFUL, JPX_FORM_DRAFT21 },
	{ "AN_join_registrar", "", GRASP_STATEFUL, JPX_FORM_DRAFT21 },
	{ "AN_join_registrar", "rrm", GRASP_STATEFUL, JPX_FORM_DRAFT21 },
	{ "AN_join_registrar", "rrm-cose", GRASP_STATEFUL, JPX_FORM_DRAFT21 },
};

/* The flags are not looked at: RFC 8995 prints 4, graspy sends 5. */
enum grasp_meaning grasp_meaning(const struct grasp_item *item, enum jpx_form *form)
{
	*form = JPX_FORM_DRAFT21;
	if (!item->has_locator || item->proto != GRASP_UDP || !item->port)
		return GRASP_NOTHING;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (strcmp(meanings[i].name, item->name) != 0)
			continue;
		if (meanings[i].value &&
		    (!item->has_value || strcmp(meanings[i].value, item->value) != 0))
			continue;
		*form = meanings[i].form;
		return meanings[i].meaning;
	}
	return GRASP_NOTHING;
}

bool grasp_is_dull(const struct grasp_flood *flood, const struct in6_addr *source, const char **why)
{
	*why = NULL;
	if (!IN6_IS_ADDR_LINKLOCAL(source))
		return bad(why, "its source is not link-local");
	if (!IN6_ARE_ADDR_EQUAL(&flood->initiator, source))
		return bad(why, "its initiator is not its source");
	for (size_t i = 0; i < flood->count; i++) {
		const struct grasp_item *item = &flood->items[i];

		if (item->loop_count != 1)
			return bad(why, "a loop count is not 1");
		if (item->has_locator && !IN6_ARE_ADDR_EQUAL(&item->addr, source))
			return bad(why, "a locator is not its source");
	}
	return true;
}
