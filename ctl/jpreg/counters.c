/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See counters.h. */
#include "counters.h"

#include <jansson.h>

static const char *const names[] = {
#define JPX_REG_COUNTER_NAME(sym, name, text) name,
	JPX_REG_COUNTERS(JPX_REG_COUNTER_NAME)
};

char *jpx_reg_counters_json(const struct jpx_reg_counters *counters, unsigned int pledges)
{
	json_t *o = json_object();
	char *line;

	json_object_set_new(o, "pledges", json_integer(pledges));
	for (int i = 0; i < JPX_REG_COUNTER_COUNT; i++)
		json_object_set_new(o, names[i], json_integer((json_int_t)counters->n[i]));
	line = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return line;
}
