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

/* Is it UTF-8 (RFC 3629 4): shortest forms only, no surrogates, nothing over U+10FFFF? */
static bool is_utf8(cbor_data s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (size_t i = 0; i < len;) {
		size_t n = s[i] < 0x80	       ? 1
			   : s[i] >> 5 == 0x06 ? 2
			   : s[i] >> 4 == 0x0e ? 3
			   : s[i] >> 3 == 0x1e ? 4
					       : 0;
		uint32_t c = n == 1 ? s[i] : s[i] & (0x7fu >> n);

		if (!n || n > len - i)
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

static void on_text(void *ctx, cbor_data data, size_t len)
{
	if (is_utf8(data, len))
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

static void on_tag(void *ctx, uint64_t value)
{
	(void)value;
	set(ctx, CBOR_TAGGED, false, 1);
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
	.tag = on_tag,
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

bool cbor_item_skip(struct cbor_cursor *c)
{
	uint64_t left[CBOR_NESTING_MAX + 1] = { 1 };
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
		if (it.kind != CBOR_ARRAY && it.kind != CBOR_MAP && it.kind != CBOR_TAGGED)
			continue;
		/* an entry has a byte or more; and the doubling below cannot overflow */
		if (it.value > (size_t)(c->end - c->at) || depth == CBOR_NESTING_MAX)
			return false;
		left[++depth] = it.kind == CBOR_MAP ? 2 * it.value : it.value;
	}
}
