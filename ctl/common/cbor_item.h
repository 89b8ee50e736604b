/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CBOR (RFC 8949) one item at a time and in place, by libcbor's streaming decoder.  Allocates
 * nothing.  Tags and indefinite lengths are malformed everywhere: no protocol that is read here
 * sends them.
 */
#ifndef JPX_CBOR_ITEM_H
#define JPX_CBOR_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cbor_kind {
	CBOR_BAD, /* never seen outside */
	CBOR_INT,
	CBOR_BYTES,
	CBOR_TEXT, /* of any bytes: see cbor_item_is_utf8() */
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_NULL,
	CBOR_SIMPLE, /* float, true, undefined ... */
};

struct cbor_item {
	enum cbor_kind kind;
	bool negative;		   /* INT: the number is -1 - value */
	uint64_t value;		   /* INT: the number; ARRAY, MAP: how many entries */
	const unsigned char *data; /* BYTES, TEXT: within the buffer */
	size_t len;
};

struct cbor_cursor {
	const unsigned char *at, *end;
};

/* Reads the next item, or only the head of an array or a map.  False: it is malformed or cut off,
 * and the cursor has not moved. */
bool cbor_item_next(struct cbor_cursor *c, struct cbor_item *it);

/* ... and is it of KIND?  If not the cursor can be behind it. */
bool cbor_item_is(struct cbor_cursor *c, enum cbor_kind kind, struct cbor_item *it);

/* ... a number from 0 to MAX. */
bool cbor_item_number(struct cbor_cursor *c, uint64_t max, uint64_t *value);

/* Steps over COUNT items of any kind and all that is inside of them.  False: malformed, or more
 * than NESTING arrays and maps within each other; NESTING up to CBOR_NESTING_MAX. */
bool cbor_item_skip(struct cbor_cursor *c, uint64_t count, int nesting);
#define CBOR_NESTING_MAX 16

/* Is a TEXT the UTF-8 that it has to be (RFC 8949 3.1, RFC 3629 4)? */
bool cbor_item_is_utf8(const struct cbor_item *text);

#endif
