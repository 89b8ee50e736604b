/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for link-format and for what is read from it.  Any input is a text, and a
 * filter.  What is read is written with quotes and blanks elsewhere, and has to read as the same
 * links; a Registrar or Join Proxy that is found has to be one that can be used.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "brski_link.h"
#include "linkformat.h"

#include "../unit/guard.h"
#include "fuzz.h"

/* What is written of the links, without and with what a reader has to overlook. */
struct written {
	const char *text;
	size_t text_len;
	char out[8 * LINKFORMAT_MAX];
	size_t len;
	int links;
	bool loose;
};

static struct written plain, loose, again;
static const char *current; /* the filter that is the input itself */
static size_t current_len;

static void put(struct written *w, const char *text, size_t len)
{
	MUST(len <= sizeof(w->out) - w->len);
	if (len)
		memcpy(w->out + w->len, text, len);
	w->len += len;
}

static void put_text(struct written *w, struct linkformat_text text)
{
	MUST(!text.len || (text.at >= w->text && text.at <= w->text + w->text_len &&
			   text.len <= (size_t)(w->text + w->text_len - text.at)));
	put(w, text.at, text.len);
}

static void write_link(struct written *w, const struct linkformat_link *link)
{
	if (w->links++)
		put(w, w->loose ? " , " : ",", w->loose ? 3 : 1);
	put(w, "<", 1);
	put_text(w, link->target);
	put(w, ">", 1);
	MUST(link->attr_count <= LINKFORMAT_ATTRS_MAX);
	for (size_t i = 0; i < link->attr_count; i++) {
		const struct linkformat_attr *attr = &link->attrs[i];

		MUST(attr->name.len);
		MUST(attr->has_value || !attr->value.len);
		put(w, w->loose ? "\t; " : ";", w->loose ? 3 : 1);
		put_text(w, attr->name);
		if (!attr->has_value)
			continue;
		put(w, w->loose ? " = \"" : "=\"", w->loose ? 4 : 2);
		put_text(w, attr->value);
		put(w, "\"", 1);
	}
}

static const struct in6_addr base = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 } };

static void try_registrar(const struct linkformat_link *link)
{
	struct brski_registrar r;
	char err[96];

	for (unsigned int i = 0; brski_ask(i); i++) {
		const struct brski_ask *ask = brski_ask(i);
		int result = brski_registrar_link(link, ask->filter, &base, &r, err, sizeof(err));

		MUST(!result || result == -ENOENT || result == -EINVAL);
		if (result == -EINVAL)
			MUST(*err);
		if (result)
			continue;
		MUST(r.port && r.mode == ask->mode && (unsigned int)r.form < JPX_FORM_COUNT);
		MUST(jpx_addr_is_host(&r.addr) && !jpx_addr_is_link_local(&r.addr));
		MUST(!IN6_IS_ADDR_LOOPBACK(&r.addr));
	}
}

static void on_same_proxy(void *arg, const struct linkformat_link *link)
{
	const struct in6_addr *want = arg;
	const struct brski_name *name;
	struct in6_addr addr;
	uint16_t port;
	char err[96];

	MUST(!brski_proxy_link(link, want, &name, &addr, &port, err, sizeof(err)));
	MUST(!memcmp(&addr, want, sizeof(addr)));
}

static void try_proxy(const struct linkformat_link *link)
{
	const struct brski_name *name;
	struct in6_addr addr;
	uint16_t port;
	char err[96], text[128];
	size_t at;
	int result = brski_proxy_link(link, &base, &name, &addr, &port, err, sizeof(err)), len;

	MUST(!result || result == -ENOENT || result == -EINVAL);
	if (result)
		return;
	MUST(port && jpx_addr_is_host(&addr));
	len = brski_name_link(name, &addr, port, text, sizeof(text));
	MUST(len > 0 && (size_t)len < sizeof(text));
	MUST(linkformat_walk(text, (size_t)len, on_same_proxy, &addr, &at) == 1);
}

static void on_link(void *arg, const struct linkformat_link *link)
{
	(void)arg;
	write_link(&plain, link);
	loose.links = plain.links - 1;
	write_link(&loose, link);
	MUST(linkformat_selects("", 0, link));
	MUST(linkformat_selects("href=*", 6, link));
	linkformat_selects(current, current_len, link);
	try_registrar(link);
	try_proxy(link);
}

static void on_link_again(void *arg, const struct linkformat_link *link)
{
	write_link(arg, link);
}

static void start(struct written *w, const char *text, size_t len, bool is_loose)
{
	w->text = text;
	w->text_len = len;
	w->len = 0;
	w->links = 0;
	w->loose = is_loose;
}

/* Is W, read, the links of PLAIN? */
static void reads_as_plain(const struct written *w)
{
	size_t at;
	int n;

	if (w->len > LINKFORMAT_MAX)
		return;
	start(&again, w->out, w->len, false);
	n = linkformat_walk(w->out, w->len, on_link_again, &again, &at);
	MUST(n == plain.links);
	MUST(again.len == plain.len && !memcmp(again.out, plain.out, plain.len));
}

FUZZ_TARGET(fuzz_linkformat)
{
	const char *text;
	size_t at = SIZE_MAX;
	int n;

	if (len > GUARD_ROOM)
		return 0;
	text = (const char *)guarded(input, len);
	current = text;
	current_len = len;
	start(&plain, text, len, false);
	start(&loose, text, len, true);
	n = linkformat_walk(text, len, on_link, NULL, &at);
	MUST(n >= 0 || n == -EINVAL || n == -E2BIG);
	MUST(at <= len);
	MUST(plain.links == (n < 0 ? 0 : n));
	if (n < 0)
		return 0;
	reads_as_plain(&plain);
	reads_as_plain(&loose);
	return 0;
}
