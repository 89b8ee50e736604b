/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See trace.h.  CBOR is taken apart item by item with libcbor's streaming decoder:
 * the head of a message is no complete CBOR item (the content is missing), so it
 * cannot be loaded as a tree.
 */
#include "trace.h"

#include <arpa/inet.h>
#include <cbor.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include <jpx/wire.h>

#include "../common/addr.h"
#include "dtls_name.h"

#define HEX_A_LINE  16
#define RECORDS_MAX 8  /* of one datagram that are told apart; the rest is summed up */
#define ITEMS_MAX   32 /* of one header */
#define DEPTH_MAX   2  /* arrays in byte strings in arrays: draft-01 needs one level */

/* ---- one line a field: name, value, the bytes it was read from ---- */

static void print_hex(FILE *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i && i % HEX_A_LINE == 0)
			fprintf(out, "\n%52s", "");
		fprintf(out, "%s%02x", i % HEX_A_LINE ? " " : "", p[i]);
	}
}

static void field(FILE *out, const char *name, const uint8_t *bytes, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static void field(FILE *out, const char *name, const uint8_t *bytes, size_t n, const char *fmt, ...)
{
	char value[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (!n) {
		fprintf(out, "    %-15s %s\n", name, value);
		return;
	}
	fprintf(out, "    %-15s %-31s ", name, value);
	if (strlen(value) > 31)
		fprintf(out, "\n%52s", "");
	print_hex(out, bytes, n);
	fputc('\n', out);
}

/* ---- one CBOR item ---- */

enum item_type { ITEM_OTHER, ITEM_UINT, ITEM_NEGINT, ITEM_BYTES, ITEM_TEXT, ITEM_ARRAY };

struct item {
	enum item_type type;
	uint64_t value;	     /* of an integer, or the number of elements */
	const uint8_t *data; /* of a string */
	size_t data_len;
	size_t size; /* of the whole item; of an array, its head */
};

static void set_value(void *ctx, enum item_type type, uint64_t value)
{
	struct item *item = ctx;

	item->type = type;
	item->value = value;
}

static void set_data(void *ctx, enum item_type type, cbor_data data, size_t len)
{
	struct item *item = ctx;

	item->type = type;
	item->data = data;
	item->data_len = len;
}

static void on_uint8(void *ctx, uint8_t v)
{
	set_value(ctx, ITEM_UINT, v);
}

static void on_uint16(void *ctx, uint16_t v)
{
	set_value(ctx, ITEM_UINT, v);
}

static void on_uint32(void *ctx, uint32_t v)
{
	set_value(ctx, ITEM_UINT, v);
}

static void on_uint64(void *ctx, uint64_t v)
{
	set_value(ctx, ITEM_UINT, v);
}

static void on_negint8(void *ctx, uint8_t v)
{
	set_value(ctx, ITEM_NEGINT, v);
}

static void on_negint16(void *ctx, uint16_t v)
{
	set_value(ctx, ITEM_NEGINT, v);
}

static void on_negint32(void *ctx, uint32_t v)
{
	set_value(ctx, ITEM_NEGINT, v);
}

static void on_negint64(void *ctx, uint64_t v)
{
	set_value(ctx, ITEM_NEGINT, v);
}

static void on_bytes(void *ctx, cbor_data data, size_t len)
{
	set_data(ctx, ITEM_BYTES, data, len);
}

static void on_text(void *ctx, cbor_data data, size_t len)
{
	set_data(ctx, ITEM_TEXT, data, len);
}

static void on_array(void *ctx, size_t n)
{
	set_value(ctx, ITEM_ARRAY, n);
}

static bool next_item(const uint8_t *p, size_t len, struct item *item)
{
	struct cbor_callbacks on = cbor_empty_callbacks;
	struct cbor_decoder_result result;

	on.uint8 = on_uint8;
	on.uint16 = on_uint16;
	on.uint32 = on_uint32;
	on.uint64 = on_uint64;
	on.negint8 = on_negint8;
	on.negint16 = on_negint16;
	on.negint32 = on_negint32;
	on.negint64 = on_negint64;
	on.byte_string = on_bytes;
	on.string = on_text;
	on.array_start = on_array;
	memset(item, 0, sizeof(*item));
	result = cbor_stream_decode(p, len, &on, item);
	if (result.status != CBOR_DECODER_FINISHED || !result.read || result.read > len)
		return false;
	item->size = result.read;
	return true;
}

/* ---- the header's elements ---- */

static void print_item(FILE *out, const char *name, const uint8_t *p, const struct item *item,
		       const char *remark)
{
	char text[64];
	size_t n = 0;

	switch (item->type) {
	case ITEM_UINT:
		field(out, name, p, item->size, "%" PRIu64 "%s", item->value, remark);
		return;
	case ITEM_NEGINT:
		/* the value is -1 - n: printed so that the largest n does not overflow */
		field(out, name, p, item->size, "-1 - %" PRIu64, item->value);
		return;
	case ITEM_BYTES:
		field(out, name, p, item->size, "%zu bytes%s", item->data_len, remark);
		return;
	case ITEM_TEXT:
		for (; n < item->data_len && n < sizeof(text) - 1; n++)
			text[n] =
				item->data[n] >= ' ' && item->data[n] <= '~' && item->data[n] != '"'
					? (char)item->data[n]
					: '?';
		text[n] = 0;
		field(out, name, p, item->size, "\"%s\"", text);
		return;
	case ITEM_ARRAY:
		field(out, name, p, item->size, "%" PRIu64 " elements%s", item->value, remark);
		return;
	case ITEM_OTHER:
		break;
	}
	field(out, name, p, item->size, "(no number, string or array)");
}

static void print_address(FILE *out, const uint8_t *p, const struct item *item)
{
	char text[INET6_ADDRSTRLEN];

	if (item->type == ITEM_BYTES && item->data_len == 16)
		inet_ntop(AF_INET6, item->data, text, sizeof(text));
	else if (item->type == ITEM_BYTES && item->data_len == 4)
		inet_ntop(AF_INET, item->data, text, sizeof(text));
	else {
		print_item(out, "address", p, item, "");
		return;
	}
	field(out, "address", p, item->size, "%s", text);
}

static const char *family_name(const struct item *item)
{
	if (item->type != ITEM_UINT)
		return "";
	switch (item->value) {
	case 1:
		return " (IPv4)";
	case 2:
		return " (IPv6)";
	case 10:
		return " (IPv6)";
	}
	return "";
}

static const char *format_name(const struct item *item)
{
	if (item->type != ITEM_UINT)
		return "";
	switch (item->value) {
	case 60:
		return " (application/cbor)";
	case 280:
		return " (server-generated key)";
	case 281:
		return " (certificates, PKCS #7)";
	case 284:
		return " (private key, PKCS #8)";
	case 285:
		return " (csrattrs)";
	case 286:
		return " (pkcs10)";
	}
	return "";
}

static void print_five_elements(FILE *out, unsigned int nth, const uint8_t *p,
				const struct item *item)
{
	switch (nth) {
	case 0:
		print_item(out, "array", p, item, "");
		break;
	case 1:
		print_address(out, p, item);
		break;
	case 2:
		print_item(out, "port", p, item, "");
		break;
	case 3:
		print_item(out, "family", p, item, family_name(item));
		break;
	case 4:
		print_item(out, "index", p, item, "");
		break;
	default:
		print_item(out, "element", p, item, "");
	}
}

/* A header of 18 bytes that begins with our version is most likely one that a
 * jpx proxy wrote (jpx/wire.h); a sealed one of another maker is just bytes. */
static void print_jpx_header(FILE *out, const struct item *item)
{
	const uint8_t *h = item->data;

	if (item->type != ITEM_BYTES || item->data_len != JPX_H21_LEN || h[0] != JPX_H21_VERSION ||
	    !h[JPX_H21_PORT_ID])
		return;
	field(out, "  version", h, 1, "%u (looks like jpx)", h[0]);
	field(out, "  port id", h + JPX_H21_PORT_ID, 1, "%u", h[JPX_H21_PORT_ID]);
	field(out, "  UDP port", h + JPX_H21_UDP_PORT, 2, "%u",
	      (unsigned int)(h[JPX_H21_UDP_PORT] << 8 | h[JPX_H21_UDP_PORT + 1]));
	h += JPX_H21_IID;
	field(out, "  interface id", h, 8, "%02x%02x:%02x%02x:%02x%02x:%02x%02x", h[0], h[1], h[2],
	      h[3], h[4], h[5], h[6], h[7]);
	h += JPX_H21_MAC - JPX_H21_IID;
	field(out, "  MAC", h, 6, "%02x:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4],
	      h[5]);
}

static void print_two_elements(FILE *out, unsigned int nth, const uint8_t *p,
			       const struct item *item)
{
	if (nth == 0) {
		print_item(out, "array", p, item, "");
	} else if (nth == 1) {
		print_item(out, "opaque header", p, item, "");
		print_jpx_header(out, item);
	} else {
		print_item(out, "element", p, item, "");
	}
}

/* draft-01: what an item is follows from the array that it is in.  The header
 * array may itself be in a byte string, as RFC 8710 wants it. */
struct multipart {
	unsigned int header_left; /* elements of the header array still to come */
	bool header_seen;
	bool address_seen;
	unsigned int depth;
};

static void print_multipart(FILE *out, struct multipart *mp, const uint8_t *p,
			    const struct item *item, bool first)
{
	struct item inner;
	size_t off = 0;

	if (first) {
		print_item(out, "array", p, item, "");
	} else if (mp->header_left) {
		mp->header_left--;
		if (!mp->address_seen) {
			print_address(out, p, item);
			mp->address_seen = true;
		} else {
			print_item(out, mp->header_left ? "port" : "ident", p, item, "");
		}
	} else if (item->type == ITEM_ARRAY && !mp->header_seen) {
		print_item(out, "header array", p, item, item->value == 2 ? " (port 5684)" : "");
		mp->header_seen = true;
		mp->header_left = item->value < ITEMS_MAX ? (unsigned int)item->value : 0;
	} else if (item->type == ITEM_BYTES && !mp->header_seen && mp->depth < DEPTH_MAX) {
		field(out, "header string", p, item->size - item->data_len, "%zu bytes",
		      item->data_len);
		mp->depth++;
		for (int i = 0; i < ITEMS_MAX && off < item->data_len; i++) {
			if (!next_item(item->data + off, item->data_len - off, &inner))
				return;
			print_multipart(out, mp, item->data + off, &inner, false);
			off += inner.size;
		}
		mp->depth--;
	} else if (item->type == ITEM_ARRAY) {
		print_item(out, "content array", p, item, "");
	} else {
		print_item(out, "content-format", p, item, format_name(item));
	}
}

static void print_head(FILE *out, enum jpx_form form, const uint8_t *p, size_t len)
{
	struct multipart mp = { 0 };
	struct item item;
	size_t off = 0;

	for (unsigned int nth = 0; off < len && nth < ITEMS_MAX; nth++) {
		if (!next_item(p + off, len - off, &item))
			return;
		switch (form) {
		case JPX_FORM_DRAFT01:
			print_multipart(out, &mp, p + off, &item, nth == 0);
			break;
		case JPX_FORM_DRAFT21:
			print_two_elements(out, nth, p + off, &item);
			break;
		default:
			print_five_elements(out, nth, p + off, &item);
		}
		off += item.size;
	}
}

static void print_tail(FILE *out, const uint8_t *p, size_t len)
{
	struct item item;
	size_t off = 0;

	for (int i = 0; i < ITEMS_MAX && off < len; i++) {
		if (!next_item(p + off, len - off, &item))
			return;
		print_item(out, "after content", p + off, &item, "");
		off += item.size;
	}
}

/* ---- the content ---- */

static void print_fragment(FILE *out, const uint8_t *p, size_t len)
{
	unsigned int size, off, part;
	const char *name;

	if (len < 12)
		return;
	size = (unsigned int)p[1] << 16 | (unsigned int)p[2] << 8 | p[3];
	off = (unsigned int)p[6] << 16 | (unsigned int)p[7] << 8 | p[8];
	part = (unsigned int)p[9] << 16 | (unsigned int)p[10] << 8 | p[11];
	name = jpx_dtls_handshake_name(p[0]);
	if (off == 0 && part == size)
		field(out, "  handshake", NULL, 0, "%s (%u), message %u, %u bytes",
		      name ? name : "unknown", p[0], (unsigned int)(p[4] << 8 | p[5]), size);
	else
		field(out, "  handshake", NULL, 0,
		      "%s (%u), message %u, %u bytes at %u of %u (a fragment)",
		      name ? name : "unknown", p[0], (unsigned int)(p[4] << 8 | p[5]), part, off,
		      size);
}

static void print_record(FILE *out, const uint8_t *p, const struct jpx_dtls_record *rec)
{
	const char *type, *version, *alert;
	char cut[48] = "";

	if (rec->len < rec->claimed)
		snprintf(cut, sizeof(cut), " (%zu are here)", rec->len);
	if (rec->unified) {
		field(out, "DTLS record", NULL, 0, "DTLS 1.3 ciphertext, epoch ..%u, %zu bytes%s",
		      rec->first & 3u, rec->claimed, cut);
		return;
	}
	type = jpx_dtls_content_type_name(rec->first);
	version = jpx_dtls_version_name(rec->version);
	field(out, "DTLS record", NULL, 0,
	      "%s (%u), %s (%04x), epoch %u, sequence %" PRIu64 ", %zu bytes%s",
	      type ? type : "unknown", rec->first, version ? version : "unknown version",
	      rec->version, rec->epoch, rec->sequence, rec->claimed, cut);
	p += rec->header_len;
	if (rec->epoch > 0)
		return; /* encrypted from here on */
	if (rec->first == 22) {
		print_fragment(out, p, rec->len);
	} else if (rec->first == 21 && rec->len >= 2) {
		alert = jpx_dtls_alert_name(p[1]);
		field(out, "  alert", NULL, 0, "%s (%u), %s", alert ? alert : "unknown", p[1],
		      p[0] == 2 ? "fatal" : "warning");
	}
}

static void print_content(FILE *out, const uint8_t *p, size_t len)
{
	struct jpx_dtls_record rec;
	size_t off = 0;

	for (int i = 0; off < len; i++) {
		if (i == RECORDS_MAX) {
			field(out, "more", NULL, 0, "%zu bytes", len - off);
			return;
		}
		if (!jpx_dtls_record_read(p + off, len - off, &rec)) {
			field(out, "no DTLS record", NULL, 0, "%zu bytes", len - off);
			return;
		}
		print_record(out, p + off, &rec);
		off += rec.header_len + rec.len;
	}
}

/* ---- the message ---- */

static const char *form_text(enum jpx_form form)
{
	static const char *const texts[] = {
#define JPX_FORM_TEXT(sym, name, family, text) text,
		JPX_FORMS(JPX_FORM_TEXT)
#undef JPX_FORM_TEXT
	};

	return form < JPX_FORM_COUNT ? texts[form] : "";
}

/* In one piece, for copying into another decoder. */
static void print_whole(FILE *out, const uint8_t *p, const struct jpx_jpy_layout *layout)
{
	for (size_t i = 0; i < layout->head.len; i++)
		fprintf(out, "%02x", p[i]);
	if (layout->tail.len)
		fprintf(out, " .. ");
	for (size_t i = 0; i < layout->tail.len; i++)
		fprintf(out, "%02x", p[layout->tail.off + i]);
	fputc('\n', out);
}

void jpx_trace(FILE *out, enum jpx_trace_way way, const struct sockaddr_in6 *proxy,
	       const struct sockaddr_in6 *local, const void *msg, size_t len,
	       const struct jpx_jpy_layout *layout)
{
	char a[JPX_ENDPOINT_STRLEN], b[JPX_ENDPOINT_STRLEN];
	const char *name = jpx_form_name(layout->form);
	const uint8_t *p = msg;
	bool in = way == JPX_TRACE_FROM_PROXY;

	jpx_endpoint_format(proxy, a, sizeof(a));
	jpx_endpoint_format(local, b, sizeof(b));
	fprintf(out, "JPY message, %zu bytes, %s: %s -> %s\n", len,
		in ? "proxy to Registrar" : "Registrar to proxy", in ? a : b, in ? b : a);
	fprintf(out, "  form     %s: %s\n", name ? name : "?", form_text(layout->form));
	fprintf(out, "  header   %zu bytes  ", layout->head.len + layout->tail.len);
	print_whole(out, p, layout);
	print_head(out, layout->form, p, layout->head.len);
	print_tail(out, p + layout->tail.off, layout->tail.len);
	fprintf(out, "  content  %zu bytes\n", layout->content.len);
	field(out, "byte string", p + layout->head.len, layout->content.off - layout->head.len,
	      "%zu bytes", layout->content.len);
	print_content(out, p + layout->content.off, layout->content.len);
	fputc('\n', out);
	fflush(out);
}
