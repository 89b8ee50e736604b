/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See jpy.h.  Every CBOR head is read by cbor_item.h and written by libcbor, one item at a
 * time and in place; what is here is the order of the items and what they mean.
 *
 * Must never allocate, keep state between calls, or look at a byte outside of
 * the buffer it was handed: all of it comes from the network.
 */
#include <jpx/jpy.h>

#include <arpa/inet.h>
#include <cbor.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <jpx/wire.h>

#include "cbor_item.h"

#define CF_CBOR	   60  /* content format of the draft-01 header: application/cbor */
#define CF_CONTENT 281 /* what draft-01 calls the DTLS bytes it carries */

#define MAX_NESTING 8 /* arrays and maps within each other, in what is skipped */

static const struct {
	const char *name;
	uint64_t family;
} forms[] = {
#define FORM_ROW(sym, form_name, form_family, text) { form_name, form_family },
	JPX_FORMS(FORM_ROW)
#undef FORM_ROW
};

const char *jpx_form_name(enum jpx_form form)
{
	return (unsigned int)form < JPX_FORM_COUNT ? forms[form].name : NULL;
}

int jpx_form_by_name(const char *name)
{
	for (int i = 0; i < JPX_FORM_COUNT; i++)
		if (!strcmp(forms[i].name, name))
			return i;
	return -1;
}

/*
 * Reading: the message
 *
 * Both engines have to give the same reason for the same bytes, so here is, in
 * order, what decides it.
 *
 * The walk, from the first byte to the last; the first fault found is the reason.
 *  1. No byte at all, a head or an item cut off by the end of the buffer, a
 *     first item that is no array: JPY_MALFORMED.
 *  2. The array's head says fewer elements than the form has (five; two for
 *     draft-21): JPY_COUNT, before anything behind the head is looked at.
 *     draft-01 needs three with the content nested and four with it flat; it is
 *     JPY_COUNT, too, when that shows only later (an integer as the third and
 *     last element, an inner array of fewer than two).
 *  3. The elements in turn, each JPY_MALFORMED unless it is of its type:
 *     - five elements: byte string, integer, integer, integer, byte string;
 *     - draft-21: byte string, byte string;
 *     - draft-01: integer, array or byte string, then either integer and byte
 *       string, or an array that begins with these two.
 *     An integer is of major type 0 or 1: a negative number is well-formed and
 *     is judged for its value, below.  Longer-than-shortest heads are accepted.
 *     JPY_MALFORMED anywhere: indefinite lengths, tags, reserved heads.
 *  4. Elements behind the content, and what is in the draft-01 header array,
 *     are stepped over if they are well-formed, of no more than MAX_NESTING
 *     arrays and maps within each other, and no simple values that nobody has
 *     assigned (libcbor knows none of these): else JPY_MALFORMED.
 *  5. Bytes behind the outer array: JPY_TRAILING.
 *
 * The meaning (jpx_jpy_unwrap() only).
 *  6. draft-01: the header array, bare or as the one and only item in a byte
 *     string, is of the types address (byte or text string), port (integer,
 *     absent in an array of two), ident (integer, byte or text string): else
 *     JPY_MALFORMED; of fewer than two elements: JPY_COUNT.
 *  7. JPY_HEADER: the address is not of 16 bytes; the family is not the form's.
 *     draft-06 has a second pair: 4 bytes with family 1, none crosswise.
 *     draft-21: the header is not of JPX_H21_LEN bytes, or of another version, or its MAC
 *     is a group address; JPX_H21_VERSION4 with an interface id of more than 32 bits.
 *     draft-01: the first element is not 60; a text address that is none, of IPv6
 *     or IPv4; an ident that is no integer; more than three elements in the header array.
 *  8. PLEDGE_NOT_LINK_LOCAL: jpx_is_link_local() says no; for an IPv4 address,
 *     jpx_is_link_local4().  A v4-mapped address is an IPv4 one in draft-02 and
 *     draft-01, in draft-06 only an IPv6 one that is not link-local.  draft-21
 *     carries the interface identifier only, so of IPv6 this is left for zero.
 *  9. PLEDGE_PORT_INVALID: the UDP port is negative, 0 or more than 65535.
 * 10. UNKNOWN_PLEDGE_PORT: the port id is negative, 0 or more than 255.
 *
 * An empty content is none of the codec's business, and accepted.
 */

/* A message after the walk; what the form does not have is left alone. */
struct message {
	struct cbor_item header;   /* draft-21: the header; draft-01: its array or byte string */
	struct cbor_cursor inside; /* draft-01: behind the head of a bare header array */
	struct cbor_item cf;	   /* draft-01: content format of the header */
	struct cbor_item addr, port, family, index; /* five elements */
	struct cbor_item content;
	const uint8_t *content_at; /* the content item's head */
};

static bool next_content(struct cbor_cursor *c, struct message *m)
{
	m->content_at = c->at;
	return cbor_item_is(c, CBOR_BYTES, &m->content);
}

static enum jpx_drop walk_five(struct cbor_cursor *c, uint64_t count, struct message *m)
{
	if (count < 5)
		return JPX_DROP_JPY_COUNT;
	if (!cbor_item_is(c, CBOR_BYTES, &m->addr) || !cbor_item_is(c, CBOR_INT, &m->port) ||
	    !cbor_item_is(c, CBOR_INT, &m->family) || !cbor_item_is(c, CBOR_INT, &m->index) ||
	    !next_content(c, m) || !cbor_item_skip(c, count - 5, MAX_NESTING))
		return JPX_DROP_JPY_MALFORMED;
	return JPX_RELAY;
}

static enum jpx_drop walk_two(struct cbor_cursor *c, uint64_t count, struct message *m)
{
	if (count < 2)
		return JPX_DROP_JPY_COUNT;
	if (!cbor_item_is(c, CBOR_BYTES, &m->header) || !next_content(c, m) ||
	    !cbor_item_skip(c, count - 2, MAX_NESTING))
		return JPX_DROP_JPY_MALFORMED;
	return JPX_RELAY;
}

static enum jpx_drop walk_multipart(struct cbor_cursor *c, uint64_t count, struct message *m)
{
	struct cbor_item it;

	if (count < 3)
		return JPX_DROP_JPY_COUNT;
	if (!cbor_item_is(c, CBOR_INT, &m->cf) || !cbor_item_next(c, &m->header))
		return JPX_DROP_JPY_MALFORMED;
	m->inside = *c;
	if (m->header.kind == CBOR_ARRAY) {
		if (!cbor_item_skip(c, m->header.value, MAX_NESTING))
			return JPX_DROP_JPY_MALFORMED;
	} else if (m->header.kind != CBOR_BYTES) {
		return JPX_DROP_JPY_MALFORMED;
	}
	if (!cbor_item_next(c, &it))
		return JPX_DROP_JPY_MALFORMED;
	if (it.kind == CBOR_ARRAY) {
		if (it.value < 2)
			return JPX_DROP_JPY_COUNT;
		count -= 3;
		if (!cbor_item_is(c, CBOR_INT, &(struct cbor_item){ 0 }) || !next_content(c, m) ||
		    !cbor_item_skip(c, it.value - 2, MAX_NESTING))
			return JPX_DROP_JPY_MALFORMED;
	} else if (it.kind == CBOR_INT) {
		if (count < 4)
			return JPX_DROP_JPY_COUNT;
		count -= 4;
		if (!next_content(c, m))
			return JPX_DROP_JPY_MALFORMED;
	} else {
		return JPX_DROP_JPY_MALFORMED;
	}
	return cbor_item_skip(c, count, MAX_NESTING) ? JPX_RELAY : JPX_DROP_JPY_MALFORMED;
}

static enum jpx_drop walk(enum jpx_form form, struct cbor_cursor *c, uint64_t count,
			  struct message *m)
{
	enum jpx_drop why = JPX_DROP_JPY_MALFORMED;

	switch (form) {
	case JPX_FORM_DRAFT02:
	case JPX_FORM_DRAFT06:
		why = walk_five(c, count, m);
		break;
	case JPX_FORM_DRAFT21:
		why = walk_two(c, count, m);
		break;
	case JPX_FORM_DRAFT01:
		why = walk_multipart(c, count, m);
		break;
	case JPX_FORM_COUNT:
		break;
	}
	if (why == JPX_RELAY && c->at != c->end)
		why = JPX_DROP_JPY_TRAILING;
	return why;
}

/* What an IPv4 address begins with where it stands in 16 bytes (RFC 4291 2.5.5.2). */
static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const uint8_t addr[16])
{
	return !memcmp(addr, v4_mapped, sizeof(v4_mapped));
}

static void map_v4(uint8_t addr[16], const uint8_t v4[4])
{
	memcpy(addr, v4_mapped, sizeof(v4_mapped));
	memcpy(addr + sizeof(v4_mapped), v4, 4);
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static bool is_link_local(const uint8_t addr[16])
{
	uint64_t lo = load_be64(addr + 8);

	return is_v4(addr) ? jpx_is_link_local4((uint32_t)lo)
			   : jpx_is_link_local(load_be64(addr), lo);
}

/* Steps 8 to 10: the same for every form once the header is taken apart. */
static enum jpx_drop judge(const uint8_t addr[16], const struct cbor_item *port,
			   const struct cbor_item *index, struct jpx_pledge *pledge)
{
	if (!is_link_local(addr))
		return JPX_DROP_PLEDGE_NOT_LINK_LOCAL;
	if (port->negative || port->value < 1 || port->value > 65535)
		return JPX_DROP_PLEDGE_PORT_INVALID;
	if (index->negative || index->value < 1 || index->value > 255)
		return JPX_DROP_UNKNOWN_PLEDGE_PORT;
	memset(pledge, 0, sizeof(*pledge));
	memcpy(pledge->addr, addr, sizeof(pledge->addr));
	pledge->udp_port = (uint16_t)port->value;
	pledge->port_id = (uint8_t)index->value;
	return JPX_RELAY;
}

static enum jpx_drop judge_five(enum jpx_form form, const struct message *m,
				struct jpx_pledge *pledge)
{
	uint8_t addr[16];

	if (m->family.negative)
		return JPX_DROP_JPY_HEADER;
	if (m->addr.len == 16 && m->family.value == forms[form].family) {
		memcpy(addr, m->addr.data, 16);
		if (form == JPX_FORM_DRAFT06 && is_v4(addr))
			return JPX_DROP_PLEDGE_NOT_LINK_LOCAL;
	} else if (m->addr.len == 4 && form == JPX_FORM_DRAFT06 &&
		   m->family.value == JPX_DRAFT06_FAMILY4) {
		map_v4(addr, m->addr.data);
	} else {
		return JPX_DROP_JPY_HEADER;
	}
	return judge(addr, &m->port, &m->index, pledge);
}

static enum jpx_drop judge_two(const struct message *m, struct jpx_pledge *pledge)
{
	const uint8_t *h = m->header.data;
	struct cbor_item port = { .kind = CBOR_INT }, index = { .kind = CBOR_INT };
	uint8_t addr[16] = { 0xfe, 0x80 };
	enum jpx_drop why;

	if (m->header.len != JPX_H21_LEN || h[JPX_H21_MAC] & 1)
		return JPX_DROP_JPY_HEADER;
	if (h[0] == JPX_H21_VERSION4) {
		if (load_be64(h + JPX_H21_IID) >> 32)
			return JPX_DROP_JPY_HEADER;
		map_v4(addr, h + JPX_H21_IID + 4);
	} else if (h[0] == JPX_H21_VERSION) {
		memcpy(addr + 8, h + JPX_H21_IID, 8);
	} else {
		return JPX_DROP_JPY_HEADER;
	}
	port.value = (uint64_t)h[JPX_H21_UDP_PORT] << 8 | h[JPX_H21_UDP_PORT + 1];
	index.value = h[JPX_H21_PORT_ID];
	why = judge(addr, &port, &index, pledge);
	if (why == JPX_RELAY)
		memcpy(pledge->mac, h + JPX_H21_MAC, sizeof(pledge->mac));
	return why;
}

/* The 16 bytes of a draft-01 address, which -01 prints as text and describes as binary.
 * IPv4 as text is read as people write it, too. */
static bool read_address(const struct cbor_item *it, uint8_t addr[16])
{
	char text[INET6_ADDRSTRLEN];
	uint8_t v4[4];

	if (it->kind == CBOR_BYTES) {
		if (it->len != 16)
			return false;
		memcpy(addr, it->data, 16);
		return true;
	}
	if (it->len >= sizeof(text) || memchr(it->data, 0, it->len))
		return false;
	memcpy(text, it->data, it->len);
	text[it->len] = 0;
	if (inet_pton(AF_INET6, text, addr) == 1)
		return true;
	if (inet_pton(AF_INET, text, v4) != 1)
		return false;
	map_v4(addr, v4);
	return true;
}

static enum jpx_drop judge_multipart(const struct message *m, struct jpx_pledge *pledge)
{
	struct cbor_item addr, ident, array = m->header,
				      port = { .kind = CBOR_INT, .value = JPX_COAPS_PORT };
	struct cbor_cursor c = m->inside;
	uint8_t binary[16];

	if (array.kind == CBOR_BYTES) {
		c = (struct cbor_cursor){ m->header.data, m->header.data + m->header.len };
		if (!cbor_item_is(&c, CBOR_ARRAY, &array))
			return JPX_DROP_JPY_MALFORMED;
	}
	if (array.value < 2)
		return JPX_DROP_JPY_COUNT;
	if (!cbor_item_next(&c, &addr) || (addr.kind != CBOR_BYTES && addr.kind != CBOR_TEXT))
		return JPX_DROP_JPY_MALFORMED;
	if (array.value > 2 && !cbor_item_is(&c, CBOR_INT, &port))
		return JPX_DROP_JPY_MALFORMED;
	if (!cbor_item_next(&c, &ident) ||
	    (ident.kind != CBOR_INT && ident.kind != CBOR_BYTES && ident.kind != CBOR_TEXT))
		return JPX_DROP_JPY_MALFORMED;
	if (m->header.kind == CBOR_BYTES &&
	    (!cbor_item_skip(&c, array.value > 3 ? array.value - 3 : 0, MAX_NESTING) ||
	     c.at != c.end))
		return JPX_DROP_JPY_MALFORMED;

	if (m->cf.negative || m->cf.value != CF_CBOR || array.value > 3 || ident.kind != CBOR_INT ||
	    !read_address(&addr, binary))
		return JPX_DROP_JPY_HEADER;
	return judge(binary, &port, &ident, pledge);
}

enum jpx_drop jpx_jpy_unwrap(enum jpx_form form, const void *buf, size_t len,
			     struct jpx_pledge *pledge, struct jpx_span *content)
{
	const uint8_t *start = buf;
	struct cbor_cursor c = { start, len ? start + len : start };
	struct message m;
	struct cbor_item array;
	enum jpx_drop why;

	if (!cbor_item_is(&c, CBOR_ARRAY, &array))
		return JPX_DROP_JPY_MALFORMED;
	why = walk(form, &c, array.value, &m);
	if (why != JPX_RELAY)
		return why;
	switch (form) {
	case JPX_FORM_DRAFT21:
		why = judge_two(&m, pledge);
		break;
	case JPX_FORM_DRAFT01:
		why = judge_multipart(&m, pledge);
		break;
	default:
		why = judge_five(form, &m, pledge);
		break;
	}
	if (why == JPX_RELAY)
		*content = (struct jpx_span){ (size_t)(m.content.data - start), m.content.len };
	return why;
}

/*
 * Reading: the Registrar's view
 *
 * Steps 1 to 5 above, after the form has been told from the first two elements.
 * An array of fewer than two is JPY_COUNT; a pair of elements that opens no form
 * is JPY_MALFORMED.  A draft-01 message with a header only (A.1 of the draft
 * prints one) has nothing to hand to DTLS and no place for an answer: JPY_COUNT.
 */

/* C stands behind the outer array's head and is taken by value: only a look ahead. */
static int tell_form(struct cbor_cursor c)
{
	struct cbor_item first, second;

	if (!cbor_item_next(&c, &first))
		return -1;
	if (first.kind == CBOR_INT && !first.negative && first.value == CF_CBOR)
		return JPX_FORM_DRAFT01;
	if (first.kind != CBOR_BYTES || !cbor_item_next(&c, &second))
		return -1;
	if (second.kind == CBOR_INT)
		return JPX_FORM_DRAFT02;
	return second.kind == CBOR_BYTES ? JPX_FORM_DRAFT21 : -1;
}

enum jpx_drop jpx_jpy_split(const void *buf, size_t len, struct jpx_jpy_layout *layout)
{
	const uint8_t *start = buf;
	struct cbor_cursor c = { start, len ? start + len : start };
	struct message m;
	struct cbor_item array;
	enum jpx_drop why;
	size_t tail;
	int form;

	if (!cbor_item_is(&c, CBOR_ARRAY, &array))
		return JPX_DROP_JPY_MALFORMED;
	if (array.value < 2)
		return JPX_DROP_JPY_COUNT;
	form = tell_form(c);
	if (form < 0)
		return JPX_DROP_JPY_MALFORMED;
	why = walk((enum jpx_form)form, &c, array.value, &m);
	if (why != JPX_RELAY)
		return why;
	if (form == JPX_FORM_DRAFT02 && !m.family.negative &&
	    (m.family.value == 1 || m.family.value == 2))
		form = JPX_FORM_DRAFT06;

	tail = (size_t)(m.content.data - start) + m.content.len;
	*layout = (struct jpx_jpy_layout){
		.form = (enum jpx_form)form,
		.head = { 0, (size_t)(m.content_at - start) },
		.content = { (size_t)(m.content.data - start), m.content.len },
		.tail = { tail, len - tail },
	};
	return JPX_RELAY;
}

/*
 * Writing
 *
 * Once something does not fit, nothing is written any more and finish() says so.
 */

struct writer {
	uint8_t *buf;
	size_t len, cap;
	bool full;
};

static struct writer writer(void *buf, size_t cap)
{
	return (struct writer){ .buf = buf, .cap = cap < JPX_UDP_MAX ? cap : JPX_UDP_MAX };
}

static ssize_t finish(const struct writer *w)
{
	return w->full ? -EMSGSIZE : (ssize_t)w->len;
}

static void put_raw(struct writer *w, const void *data, size_t len)
{
	if (w->full || len > w->cap - w->len) {
		w->full = true;
		return;
	}
	if (len)
		memcpy(w->buf + w->len, data, len);
	w->len += len;
}

/* A head of at most nine bytes, made aside so that libcbor never sees the end of BUF. */
#define PUT_HEAD(w, encode, value)                                                                 \
	do {                                                                                       \
		uint8_t head_[9];                                                                  \
		put_raw((w), head_, encode((value), head_, sizeof(head_)));                        \
	} while (0)

static void put_array(struct writer *w, size_t count)
{
	PUT_HEAD(w, cbor_encode_array_start, count);
}

static void put_uint(struct writer *w, uint64_t value)
{
	PUT_HEAD(w, cbor_encode_uint, value);
}

static void put_bytes(struct writer *w, const void *data, size_t len)
{
	PUT_HEAD(w, cbor_encode_bytestring_start, len);
	put_raw(w, data, len);
}

static void put_header21(struct writer *w, const struct jpx_pledge *pledge)
{
	uint8_t h[JPX_H21_LEN] = { 0 };

	if (is_v4(pledge->addr)) {
		h[0] = JPX_H21_VERSION4;
		memcpy(h + JPX_H21_IID + 4, pledge->addr + 12, 4);
	} else {
		h[0] = JPX_H21_VERSION;
		memcpy(h + JPX_H21_IID, pledge->addr + 8, 8);
	}
	h[JPX_H21_PORT_ID] = pledge->port_id;
	h[JPX_H21_UDP_PORT] = (uint8_t)(pledge->udp_port >> 8);
	h[JPX_H21_UDP_PORT + 1] = (uint8_t)pledge->udp_port;
	memcpy(h + JPX_H21_MAC, pledge->mac, sizeof(pledge->mac));
	put_bytes(w, h, sizeof(h));
}

ssize_t jpx_jpy_wrap(enum jpx_form form, const struct jpx_pledge *pledge, const void *content,
		     size_t len, void *buf, size_t cap)
{
	bool with_port = pledge->udp_port != JPX_COAPS_PORT;
	bool short_v4 = form == JPX_FORM_DRAFT06 && is_v4(pledge->addr);
	struct writer w = writer(buf, cap);

	switch (form) {
	case JPX_FORM_DRAFT02:
	case JPX_FORM_DRAFT06:
		put_array(&w, 5);
		if (short_v4)
			put_bytes(&w, pledge->addr + 12, 4);
		else
			put_bytes(&w, pledge->addr, sizeof(pledge->addr));
		put_uint(&w, pledge->udp_port);
		put_uint(&w, short_v4 ? JPX_DRAFT06_FAMILY4 : forms[form].family);
		put_uint(&w, pledge->port_id);
		break;
	case JPX_FORM_DRAFT21:
		put_array(&w, 2);
		put_header21(&w, pledge);
		break;
	case JPX_FORM_DRAFT01:
		put_array(&w, 4);
		put_uint(&w, CF_CBOR);
		put_array(&w, with_port ? 3 : 2);
		put_bytes(&w, pledge->addr, sizeof(pledge->addr));
		if (with_port)
			put_uint(&w, pledge->udp_port);
		put_uint(&w, pledge->port_id);
		put_uint(&w, CF_CONTENT);
		break;
	default:
		return -EINVAL;
	}
	put_bytes(&w, content, len);
	return finish(&w);
}

ssize_t jpx_jpy_answer(const void *msg, const struct jpx_jpy_layout *layout, const void *content,
		       size_t len, void *buf, size_t cap)
{
	const uint8_t *from = msg;
	struct writer w = writer(buf, cap);

	put_raw(&w, from + layout->head.off, layout->head.len);
	put_bytes(&w, content, len);
	put_raw(&w, from + layout->tail.off, layout->tail.len);
	return finish(&w);
}
