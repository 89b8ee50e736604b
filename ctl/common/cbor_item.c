/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See cbor_item.h.
 *
 * Must never allocate, recurse, or look at a byte outside of the buffer: all of it comes from the
 * network.
 */
#include "cbor_item.h"

#include <cbor.h>

static void set(void *ctx, enum cbor_kind kind, bool negative, uint64_t value)
{
	struct cbor_item *it = ctx;

	*it = (struct cbor_item){ .kind = kind, .negative = negative, .value = value };
}

static void set_string(void *ctx, enum cbor_kind kind, cbor_data data, size_t len)
{
	struct cbor_item *it = ctx;

	*it = (struct cbor_item){ .kind = kind, .data = data, .len = len };
}

#define ON_INT(bits)                                                                               \
	static void on_uint##bits(void *ctx, uint##bits##_t value)                                 \
	{                                                                                          \
		set(ctx, CBOR_INT, false, value);                                                  \
	}                                                                                          \
	static void on_negint##bits(void *ctx, uint##bits##_t value)                               \
	{                                                                                          \
		set(ctx, CBOR_INT, true, value);                                                   \
	}
ON_INT(8)
ON_INT(16)
ON_INT(32)
ON_INT(64)
#undef ON_INT

static void on_bytes(void *ctx, cbor_data data, size_t len)
{
	set_string(ctx, CBOR_BYTES, data, len);
}

static void on_text(void *ctx, cbor_data data, size_t len)
{
	set_string(ctx, CBOR_TEXT, data, len);
}

static void on_array(void *ctx, size_t count)
{
	set(ctx, CBOR_ARRAY, false, count);
}

static void on_map(void *ctx, size_t count)
{
	set(ctx, CBOR_MAP, false, count);
}

static void on_null(void *ctx)
{
	set(ctx, CBOR_NULL, false, 0);
}

static void on_undefined(void *ctx)
{
	set(ctx, CBOR_SIMPLE, false, 0);
}

static void on_boolean(void *ctx, bool value)
{
	(void)value;
	set(ctx, CBOR_SIMPLE, false, 0);
}

static void on_float(void *ctx, float value)
{
	(void)value;
	set(ctx, CBOR_SIMPLE, false, 0);
}

static void on_double(void *ctx, double value)
{
	(void)value;
	set(ctx, CBOR_SIMPLE, false, 0);
}

/* Where nothing is noted the item stays BAD, which cbor_item_next() made it. */
static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string_start = cbor_null_byte_string_start_callback,
	.byte_string = on_bytes,
	.string = on_text,
	.string_start = cbor_null_string_start_callback,
	.indef_array_start = cbor_null_indef_array_start_callback,
	.array_start = on_array,
	.indef_map_start = cbor_null_indef_map_start_callback,
	.map_start = on_map,
	.tag = cbor_null_tag_callback,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.undefined = on_undefined,
	.null = on_null,
	.boolean = on_boolean,
	.indef_break = cbor_null_indef_break_callback,
};

bool cbor_item_next(struct cbor_cursor *c, struct cbor_item *it)
{
	struct cbor_decoder_result res;

	it->kind = CBOR_BAD;
	res = cbor_stream_decode(c->at, (size_t)(c->end - c->at), &callbacks, it);
	if (res.status != CBOR_DECODER_FINISHED || it->kind == CBOR_BAD)
		return false;
	c->at += res.read;
	return true;
}

bool cbor_item_is(struct cbor_cursor *c, enum cbor_kind kind, struct cbor_item *it)
{
	return cbor_item_next(c, it) && it->kind == kind;
}

bool cbor_item_number(struct cbor_cursor *c, uint64_t max, uint64_t *value)
{
	struct cbor_item it;

	if (!cbor_item_is(c, CBOR_INT, &it) || it.negative || it.value > max)
		return false;
	*value = it.value;
	return true;
}

/* Can COUNT items, of a byte each or more, still follow? */
static bool room_for(const struct cbor_cursor *c, uint64_t count)
{
	return count <= (size_t)(c->end - c->at);
}

bool cbor_item_skip(struct cbor_cursor *c, uint64_t count, int nesting)
{
	uint64_t left[CBOR_NESTING_MAX + 1] = { count };
	struct cbor_item it;
	int depth = 0;

	for (;;) {
		if (!left[depth]) {
			if (!depth--)
				return true;
			continue;
		}
		left[depth]--;
		if (!cbor_item_next(c, &it))
			return false;
		if (it.kind != CBOR_ARRAY && it.kind != CBOR_MAP)
			continue;
		/* so that the doubling below cannot overflow */
		if (!room_for(c, it.value) || depth == nesting)
			return false;
		left[++depth] = it.kind == CBOR_MAP ? 2 * it.value : it.value;
	}
}

/* Shortest forms only, no surrogates, nothing over U+10FFFF. */
bool cbor_item_is_utf8(const struct cbor_item *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = text->data;

	for (size_t i = 0; i < text->len;) {
		size_t n = s[i] < 0x80	       ? 1
			   : s[i] >> 5 == 0x06 ? 2
			   : s[i] >> 4 == 0x0e ? 3
			   : s[i] >> 3 == 0x1e ? 4
					       : 0;
		uint32_t c = n == 1 ? s[i] : s[i] & (0x7fu >> n);

		if (!n || n > text->len - i)
			return false;
		for (size_t k = 1; k < n; k++) {
			if (s[i + k] >> 6 != 2)
				return false;
			c = c << 6 | (s[i + k] & 0x3f);
		}
		if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
		i += n;
	}
	return true;
}
