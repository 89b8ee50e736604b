/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libFuzzer target for the user-space JPY codec.  Any input is read in every
 * form and as a Registrar reads it; whatever is accepted has to survive being
 * written again.  Nothing is judged here but the codec's own promises.
 */
#include <errno.h>
#include <string.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "../unit/guard.h"
#include "fuzz.h"

static uint8_t out[JPX_UDP_MAX];

static void inside(const struct jpx_span *span, size_t len)
{
	MUST(span->off <= len && span->len <= len - span->off);
}

static enum jpx_drop try_unwrap(enum jpx_form form, const uint8_t *data, size_t len)
{
	struct jpx_pledge pledge, again;
	struct jpx_span content, span;
	enum jpx_drop why = jpx_jpy_unwrap(form, data, len, &pledge, &content);
	ssize_t n;

	MUST(why == JPX_RELAY ||
	     (why >= JPX_DROP_JPY_MALFORMED && why <= JPX_DROP_UNKNOWN_PLEDGE_PORT));
	if (why != JPX_RELAY)
		return why;
	inside(&content, len);
	MUST(!memcmp(pledge.addr, "\xfe\x80\0\0\0\0\0", 8) ||
	     !memcmp(pledge.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xa9\xfe", 14));
	MUST(pledge.udp_port && pledge.port_id);
	n = jpx_jpy_wrap(form, &pledge, data + content.off, content.len, out, sizeof(out));
	if (n == -EMSGSIZE) {
		/* an elided port or a short header array may grow, by no more than this */
		MUST(content.len > JPX_UDP_MAX - 32);
		return why;
	}
	MUST(n > 0);
	MUST(jpx_jpy_unwrap(form, out, (size_t)n, &again, &span) == JPX_RELAY);
	MUST(!memcmp(again.addr, pledge.addr, sizeof(again.addr)));
	MUST(again.udp_port == pledge.udp_port && again.port_id == pledge.port_id);
	MUST(!memcmp(again.mac, pledge.mac, sizeof(again.mac)));
	MUST(span.len == content.len);
	MUST(!memcmp(out + span.off, data + content.off, span.len));
	return why;
}

static enum jpx_drop try_split(const uint8_t *data, size_t len, enum jpx_form *form)
{
	struct jpx_jpy_layout l, again;
	enum jpx_drop why = jpx_jpy_split(data, len, &l);
	ssize_t n;

	MUST(why == JPX_RELAY || why == JPX_DROP_JPY_MALFORMED || why == JPX_DROP_JPY_COUNT ||
	     why == JPX_DROP_JPY_TRAILING);
	if (why != JPX_RELAY)
		return why;
	*form = l.form;
	inside(&l.content, len);
	MUST(!l.head.off && l.head.len < l.content.off && l.content.off - l.head.len <= 9);
	MUST(l.tail.off == l.content.off + l.content.len && l.tail.len == len - l.tail.off);
	n = jpx_jpy_answer(data, &l, data + l.content.off, l.content.len, out, sizeof(out));
	if (n == -EMSGSIZE) {
		MUST(len > JPX_UDP_MAX);
		return why;
	}
	MUST(n > 0 && (size_t)n <= len);
	MUST(jpx_jpy_split(out, (size_t)n, &again) == JPX_RELAY);
	MUST(again.form == l.form);
	MUST(again.head.len == l.head.len && !memcmp(out, data, l.head.len));
	MUST(again.content.len == l.content.len &&
	     !memcmp(out + again.content.off, data + l.content.off, l.content.len));
	MUST(again.tail.len == l.tail.len &&
	     !memcmp(out + again.tail.off, data + l.tail.off, l.tail.len));
	return why;
}

FUZZ_TARGET(fuzz_jpy)
{
	enum jpx_form told = JPX_FORM_COUNT;
	enum jpx_drop as_registrar;
	const uint8_t *data;

	if (len > GUARD_ROOM)
		return 0;
	data = guarded(input, len);
	as_registrar = try_split(data, len, &told);
	for (int f = 0; f < JPX_FORM_COUNT; f++) {
		enum jpx_form form = (enum jpx_form)f;

		/* what a proxy takes for its own, a Registrar can read, and in that form */
		if (try_unwrap(form, data, len) == JPX_RELAY)
			MUST(as_registrar == JPX_RELAY && told == form);
	}
	return 0;
}
