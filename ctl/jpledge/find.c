/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was found, see find.h: bounded, whatever a link cares to say. */
#include "find.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

struct find {
	struct find_proxy proxies[FIND_PROXIES_MAX];
	unsigned int count;
	bool cut;
	struct refusals {
		const char *way;
		unsigned long count;
		char why[128];
	} refusals[FIND_WAYS_MAX];
};

struct find *find_new(void)
{
	return calloc(1, sizeof(struct find));
}

void find_free(struct find *find)
{
	free(find);
}

static int compare(const struct find_proxy *a, const struct find_proxy *b)
{
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : a->port - b->port;
}

/* The place of the proxy of KEY, made if it is new; NULL: no room. */
static struct find_proxy *place(struct find *find, const struct find_proxy *key)
{
	unsigned int at = 0;
	int order = 1;

	while (at < find->count && (order = compare(&find->proxies[at], key)) < 0)
		at++;
	if (at < find->count && !order)
		return &find->proxies[at];
	if (find->count == FIND_PROXIES_MAX)
		return NULL;
	memmove(&find->proxies[at + 1], &find->proxies[at],
		(find->count - at) * sizeof(find->proxies[0]));
	find->proxies[at] = *key;
	find->count++;
	return &find->proxies[at];
}

/* Ways together, words in order: who was first to answer is chance. */
static int compare_methods(const struct find_method *a, const struct find_method *b)
{
	int order = strcmp(a->way, b->way);

	return order ? order : strcmp(a->by, b->by);
}

static void add_method(struct find *find, struct find_proxy *proxy,
		       const struct find_method *method)
{
	unsigned int at = 0;
	int order = 1;

	while (at < proxy->method_count &&
	       (order = compare_methods(&proxy->methods[at], method)) < 0)
		at++;
	if (at < proxy->method_count && !order)
		return;
	if (proxy->method_count == FIND_METHODS_MAX) {
		find->cut = true;
		return;
	}
	memmove(&proxy->methods[at + 1], &proxy->methods[at],
		(proxy->method_count - at) * sizeof(*method));
	proxy->methods[at] = *method;
	proxy->method_count++;
}

void find_found(struct find *find, const struct found *found)
{
	struct find_proxy key = { .addr = found->addr, .port = found->port }, *proxy;
	struct find_method method = { .way = found->way };

	if (!jpx_addr_is_link_local(&found->addr) || !found->port) {
		find_refused(find, found->way, "an address that is not link-local, or no port");
		return;
	}
	/* a stranger's words: printable from here on */
	for (size_t i = 0; i + 1 < sizeof(method.by) && found->by[i]; i++)
		method.by[i] = found->by[i] < ' ' || found->by[i] > '~' ? '?' : found->by[i];
	proxy = place(find, &key);
	if (!proxy) {
		find->cut = true;
		return;
	}
	add_method(find, proxy, &method);
}

void find_refused(struct find *find, const char *way, const char *why)
{
	for (unsigned int i = 0; i < FIND_WAYS_MAX; i++) {
		struct refusals *r = &find->refusals[i];

		if (r->way && strcmp(r->way, way) != 0)
			continue;
		if (!r->count++) {
			r->way = way;
			snprintf(r->why, sizeof(r->why), "%s", why);
		}
		return;
	}
}

const struct find_proxy *find_proxy(struct find *find, unsigned int i)
{
	return i < find->count ? &find->proxies[i] : NULL;
}

unsigned int find_count(const struct find *find)
{
	return find->count;
}

bool find_is_cut(const struct find *find)
{
	return find->cut;
}

unsigned long find_refusals(const struct find *find, const char *way, const char **why)
{
	for (unsigned int i = 0; i < FIND_WAYS_MAX; i++) {
		if (!find->refusals[i].way || strcmp(find->refusals[i].way, way) != 0)
			continue;
		*why = find->refusals[i].why;
		return find->refusals[i].count;
	}
	*why = "";
	return 0;
}
