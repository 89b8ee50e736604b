/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CoRE link-format (RFC 6690), read in place from what a stranger sent.  Allocates nothing,
 * goes through the text once more for each walk, never reads beyond it.
 */
#ifndef JPX_LINKFORMAT_H
#define JPX_LINKFORMAT_H

#include <stdbool.h>
#include <stddef.h>

#define LINKFORMAT_MAX	     16384 /* bytes; a longer text is refused whole */
#define LINKFORMAT_LINKS_MAX 256   /* as is one with more links */
#define LINKFORMAT_ATTRS_MAX 32	   /* or with more attributes on one */

struct linkformat_text {
	const char *at;
	size_t len;
};

struct linkformat_attr {
	struct linkformat_text name;
	struct linkformat_text value; /* without its quotes, escapes as they stand */
	bool has_value;
};

struct linkformat_link {
	struct linkformat_text target; /* between < and > */
	struct linkformat_attr attrs[LINKFORMAT_ATTRS_MAX];
	size_t attr_count;
};

/* Calls ON_LINK for each link of TEXT, in order, but only if all of TEXT is well formed.
 * Accepts what drafts print: spaces around ";" and ",", a comma at the end, values with and
 * without quotes, a ";" missing behind a quoted value.  Returns the number of links (0 for an empty
 * text), or -EINVAL with the offset of the first fault in *AT, -E2BIG for one beyond a limit. */
int linkformat_walk(const char *text, size_t len,
		    void (*on_link)(void *arg, const struct linkformat_link *link), void *arg,
		    size_t *at);

/* The first attribute NAME of LINK, or NULL. */
const struct linkformat_attr *linkformat_attr(const struct linkformat_link *link, const char *name);

bool linkformat_is(struct linkformat_text text, const char *word);

/* Does a filter as in "?NAME=VALUE" select LINK (RFC 6690 4.1)?  VALUE is exact, a prefix if
 * it ends in "*"; an attribute with several words in its value ("rt", "if", "rel", ...) matches by
 * any of them; NAME "href" is the target.  An empty FILTER selects everything.  Of several joined
 * by
 * "&" each must select it, where RFC 6690 knows one only.  Percent-encoding, as libcoap's
 * coap_get_query() makes it, is decoded.  What is no filter selects nothing. */
bool linkformat_selects(const char *filter, size_t len, const struct linkformat_link *link);

/* The same of one link as text, LINK of LEN octets, well formed. */
bool linkformat_text_selected(const char *filter, size_t filter_len, const char *link, size_t len);

#endif
