/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See linkformat.h.  Every text is gone through twice: once to see that all of it is well formed,
 * once to call back.
 *
 * Must never allocate, or look at a byte outside of the text: all of it comes from the network.
 */
#include "linkformat.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILTER_MAX 255 /* bytes of one Uri-Query option (RFC 7252 5.10) */

struct cursor {
	const char *at, *end;
};

/*
 * Reading: characters
 */

/* RFC 6690 knows no blanks outside of quotes; drafts and people break lines anywhere. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_graph(char c)
{
	return c > ' ' && c < 0x7f;
}

/* What the name of an attribute consists of: parmname, and the "*" of ext-name-star. */
static bool is_name(char c)
{
	return is_graph(c) && (isalnum((unsigned char)c) || strchr("!#$&+-.^_`|~*", c));
}

/* A value without quotes: ptoken, and the blanks between several words for which drafts
 * forget the quotes. */
static bool is_bare(char c)
{
	return c == ' ' || (is_graph(c) && !strchr("\",;\\", c));
}

static bool is_in_target(char c)
{
	return is_graph(c) && !strchr("\"<>", c);
}

/* Anything but control characters; UTF-8 is not looked into. */
static bool is_in_quotes(char c)
{
	return is_blank(c) || (unsigned char)c >= 0x80 || is_graph(c);
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && is_blank(*c->at))
		c->at++;
}

static bool next_is(const struct cursor *c, char want)
{
	return c->at < c->end && *c->at == want;
}

static struct linkformat_text take(struct cursor *c, bool (*belongs)(char))
{
	struct linkformat_text text = { c->at, 0 };

	while (c->at < c->end && belongs(*c->at))
		c->at++;
	text.len = (size_t)(c->at - text.at);
	return text;
}

/*
 * Reading: links.  Where one of these returns false the cursor is at the fault.
 */

static bool read_quoted(struct cursor *c, struct linkformat_text *value)
{
	const char *start = ++c->at;

	for (; c->at < c->end && *c->at != '"'; c->at++) {
		if (*c->at == '\\' && ++c->at == c->end)
			return false;
		if (!is_in_quotes(*c->at))
			return false;
	}
	if (c->at == c->end)
		return false;
	*value = (struct linkformat_text){ start, (size_t)(c->at - start) };
	c->at++;
	return true;
}

/* QUOTED: did the value end with a quote, so that no ";" needs to follow? */
static bool read_attr(struct cursor *c, struct linkformat_attr *attr, bool *quoted)
{
	*attr = (struct linkformat_attr){ .name = take(c, is_name) };
	*quoted = false;
	if (!attr->name.len)
		return false;
	skip_blanks(c);
	if (!next_is(c, '='))
		return true;
	c->at++;
	skip_blanks(c);
	attr->has_value = true;
	if (next_is(c, '"')) {
		*quoted = true;
		return read_quoted(c, &attr->value);
	}
	attr->value = take(c, is_bare);
	while (attr->value.len && attr->value.at[attr->value.len - 1] == ' ')
		attr->value.len--;
	return true;
}

/* Returns 0, -EINVAL or -E2BIG. */
static int read_link(struct cursor *c, struct linkformat_link *link)
{
	struct linkformat_attr attr;
	bool quoted = false;

	link->attr_count = 0;
	if (!next_is(c, '<'))
		return -EINVAL;
	c->at++;
	link->target = take(c, is_in_target);
	if (!next_is(c, '>'))
		return -EINVAL;
	c->at++;
	for (;;) {
		skip_blanks(c);
		if (next_is(c, ';')) {
			c->at++;
			skip_blanks(c);
		} else if (c->at == c->end || !quoted || *c->at == ',') {
			return 0; /* whatever it is here, the caller sees it */
		}
		if (link->attr_count == LINKFORMAT_ATTRS_MAX)
			return -E2BIG;
		if (!read_attr(c, &attr, &quoted))
			return -EINVAL;
		link->attrs[link->attr_count++] = attr;
	}
}

/* Goes through the text once.  ON_LINK may be NULL. */
static int pass(struct cursor *c, void (*on_link)(void *arg, const struct linkformat_link *link),
		void *arg)
{
	struct linkformat_link link;
	int count = 0, err;

	skip_blanks(c);
	while (c->at < c->end) {
		if (count == LINKFORMAT_LINKS_MAX)
			return -E2BIG;
		err = read_link(c, &link);
		if (err)
			return err;
		if (on_link)
			on_link(arg, &link);
		count++;
		if (c->at == c->end)
			break;
		if (*c->at != ',')
			return -EINVAL;
		c->at++;
		skip_blanks(c);
	}
	return count;
}

int linkformat_walk(const char *text, size_t len,
		    void (*on_link)(void *arg, const struct linkformat_link *link), void *arg,
		    size_t *at)
{
	struct cursor c = { text, len ? text + len : text };
	int count;

	*at = 0;
	if (len > LINKFORMAT_MAX)
		return -E2BIG;
	count = pass(&c, NULL, NULL);
	*at = len ? (size_t)(c.at - text) : 0;
	if (count <= 0)
		return count;
	c.at = text;
	return pass(&c, on_link, arg);
}

bool linkformat_is(struct linkformat_text text, const char *word)
{
	return text.len == strlen(word) && (!text.len || !memcmp(text.at, word, text.len));
}

const struct linkformat_attr *linkformat_attr(const struct linkformat_link *link, const char *name)
{
	for (size_t i = 0; i < link->attr_count; i++)
		if (linkformat_is(link->attrs[i].name, name))
			return &link->attrs[i];
	return NULL;
}

/*
 * Filters (RFC 6690 4.1)
 *
 * RFC 6690 defines a query of one filter.  Of several, joined by "&" as CoAP libraries hand
 * over several Uri-Query options, each must select the link.  What is percent-encoded in one,
 * as these libraries do, is decoded; "&" within a value arrives as "%26".  A filter without "="
 * is none by RFC 6690, and selects nothing.
 */

struct filter {
	struct linkformat_text name, value;
	bool prefix; /* VALUE had a "*" at its end, which it no longer has */
};

static bool matches(const struct filter *f, struct linkformat_text text)
{
	return (f->prefix ? text.len >= f->value.len : text.len == f->value.len) &&
	       (!f->value.len || !memcmp(text.at, f->value.at, f->value.len));
}

/* Attributes whose value is a list of words (RFC 6690 3, RFC 8288 3.3, RFC 7252 7.2.1). */
static bool is_list(struct linkformat_text name)
{
	static const char *const lists[] = { "rt", "if", "rel", "rev", "ct" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (linkformat_is(name, lists[i]))
			return true;
	return false;
}

static bool matches_word(const struct filter *f, struct linkformat_text list)
{
	struct cursor c = { list.at, list.at + list.len };
	struct linkformat_text word;

	while (skip_blanks(&c), c.at < c.end) {
		word.at = c.at;
		while (c.at < c.end && !is_blank(*c.at))
			c.at++;
		word.len = (size_t)(c.at - word.at);
		if (matches(f, word))
			return true;
	}
	return false;
}

static bool matches_attr(const struct filter *f, const struct linkformat_attr *attr)
{
	if (f->prefix && !f->value.len)
		return true; /* "*": it is there, with a value or without */
	if (!attr->has_value)
		return false;
	return matches(f, attr->value) || (is_list(attr->name) && matches_word(f, attr->value));
}

static bool filter_selects(const struct filter *f, const struct linkformat_link *link)
{
	if (linkformat_is(f->name, "href"))
		return matches(f, link->target);
	for (size_t i = 0; i < link->attr_count; i++) {
		const struct linkformat_attr *attr = &link->attrs[i];

		if (attr->name.len == f->name.len &&
		    !memcmp(attr->name.at, f->name.at, f->name.len) && matches_attr(f, attr))
			return true;
	}
	return false;
}

static size_t percent_decode(const char *from, size_t len, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] == '%' && len - i > 2 && isxdigit((unsigned char)from[i + 1]) &&
		    isxdigit((unsigned char)from[i + 2])) {
			char digits[] = { from[i + 1], from[i + 2], 0 };

			to[n++] = (char)strtoul(digits, NULL, 16);
			i += 2;
		} else {
			to[n++] = from[i];
		}
	}
	return n;
}

static bool parse_filter(const char *text, size_t len, struct filter *f)
{
	const char *equals = memchr(text, '=', len);

	if (!equals || equals == text)
		return false;
	f->name = (struct linkformat_text){ text, (size_t)(equals - text) };
	f->value = (struct linkformat_text){ equals + 1, len - f->name.len - 1 };
	f->prefix = f->value.len && f->value.at[f->value.len - 1] == '*';
	if (f->prefix)
		f->value.len--;
	return true;
}

bool linkformat_selects(const char *filter, size_t len, const struct linkformat_link *link)
{
	char text[3 * FILTER_MAX];
	struct filter f;

	while (len) {
		const char *joint = memchr(filter, '&', len);
		size_t part = joint ? (size_t)(joint - filter) : len, decoded;

		if (part > sizeof(text))
			return false;
		decoded = percent_decode(filter, part, text);
		if (!parse_filter(text, decoded, &f) || !filter_selects(&f, link))
			return false;
		part += joint != NULL;
		filter += part;
		len -= part;
	}
	return true;
}

struct selection {
	const char *filter;
	size_t filter_len;
	bool selected;
};

static void judge(void *arg, const struct linkformat_link *link)
{
	struct selection *s = arg;

	s->selected = linkformat_selects(s->filter, s->filter_len, link);
}

bool linkformat_text_selected(const char *filter, size_t filter_len, const char *link, size_t len)
{
	struct selection s = { .filter = filter, .filter_len = filter_len };
	size_t fault;

	return linkformat_walk(link, len, judge, &s, &fault) == 1 && s.selected;
}
