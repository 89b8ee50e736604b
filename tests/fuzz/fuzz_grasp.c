/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for GRASP floods.  What is read has to survive being written and read again, and
 * nothing may follow from what is not.
 */
#include <errno.h>
#include <string.h>

#include "grasp.h"

#include "../unit/guard.h"
#include "fuzz.h"

static struct grasp_flood flood, again;

static void same_item(const struct grasp_item *a, const struct grasp_item *b)
{
	MUST(!strcmp(a->name, b->name) && !strcmp(a->value, b->value));
	MUST(a->flags == b->flags && a->loop_count == b->loop_count);
	MUST(a->has_value == b->has_value && a->has_locator == b->has_locator);
	MUST(!memcmp(&a->addr, &b->addr, sizeof(a->addr)));
	MUST(a->proto == b->proto && a->port == b->port);
}

static void check_item(const struct grasp_item *item)
{
	enum jpx_form form = JPX_FORM_COUNT;
	enum grasp_meaning meaning = grasp_meaning(item, &form);

	MUST(*item->name && memchr(item->name, 0, sizeof(item->name)));
	MUST(memchr(item->value, 0, sizeof(item->value)));
	MUST(item->has_value || !*item->value);
	MUST(item->loop_count <= 255 && item->proto <= 255);
	MUST((unsigned int)form < JPX_FORM_COUNT);
	if (meaning != GRASP_NOTHING)
		MUST(item->has_locator && item->port && item->proto == GRASP_UDP);
	if (meaning == GRASP_PROXY)
		MUST(!strcmp(item->name, "AN_Proxy"));
}

static void check_dull(const struct in6_addr *source)
{
	const char *why = "";
	bool dull = grasp_is_dull(&flood, source, &why);

	MUST(dull == !why);
	for (size_t i = 0; dull && i < flood.count; i++)
		MUST(flood.items[i].loop_count == 1);
}

FUZZ_TARGET(fuzz_grasp)
{
	unsigned char out[GRASP_MAX];
	const char *why = "";
	int err, n;

	if (len > GUARD_ROOM)
		return 0;
	err = grasp_read(guarded(input, len), len, &flood, &why);
	MUST(err == 0 || err == -EINVAL || err == -EPROTONOSUPPORT);
	MUST(!err == !why);
	MUST(!err == !!flood.count);
	if (err)
		return 0;
	MUST(flood.count <= GRASP_ITEMS_MAX);
	for (size_t i = 0; i < flood.count; i++)
		check_item(&flood.items[i]);
	check_dull(&flood.initiator);
	n = grasp_write(&flood, out, sizeof(out));
	if (n == -E2BIG) {
		/* drawn with fewer arrays: each item can grow by two heads, and the outer by one
		 * byte */
		MUST(len + flood.count * 2 + 1 > GRASP_MAX);
		return 0;
	}
	MUST(n > 0);
	MUST(!grasp_read(guarded(out, (size_t)n), (size_t)n, &again, &why));
	MUST(again.session == flood.session && again.ttl == flood.ttl);
	MUST(!memcmp(&again.initiator, &flood.initiator, sizeof(flood.initiator)));
	MUST(again.count == flood.count);
	for (size_t i = 0; i < flood.count; i++)
		same_item(&again.items[i], &flood.items[i]);
	return 0;
}
