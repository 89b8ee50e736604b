/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See port_run.h. */
#include "port_run.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const json_t *port)
{
	const char *name = json_string_value(json_object_get(port, "ifname"));

	return name ? name : "";
}

/* Where the number at the end of NAME begins. */
static size_t stem_of(const char *name)
{
	size_t len = strlen(name);

	while (len && isdigit((unsigned char)name[len - 1]))
		len--;
	return len;
}

/* pj9 and pj10, but neither pj9 and pj09 nor pj9 and qj10. */
static bool is_next_name(const char *a, const char *b)
{
	size_t stem = stem_of(a);

	if (!a[stem] || stem != stem_of(b) || !b[stem] || strncmp(a, b, stem) != 0 ||
	    b[stem] == '0')
		return false;
	return strtoul(a + stem, NULL, 10) + 1 == strtoul(b + stem, NULL, 10);
}

static bool is_full(const json_t *port)
{
	return json_integer_value(json_object_get(port, "flows")) >=
	       json_integer_value(json_object_get(port, "max_flows"));
}

/* One that has an address of a family stands for those that have one. */
static bool has_address(const json_t *port, const char *key, const char *none)
{
	const char *address = json_string_value(json_object_get(port, key));

	return address && strcmp(address, none) != 0;
}

static bool is_alike(const json_t *a, const json_t *b)
{
	static const char *const same[] = { "link", "engine", "shared", "state", "join_ports" };

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		if (!json_equal(json_object_get(a, same[i]), json_object_get(b, same[i])) &&
		    (json_object_get(a, same[i]) || json_object_get(b, same[i])))
			return false;
	return has_address(a, "address", "::") == has_address(b, "address", "::") &&
	       has_address(a, "address4", "0.0.0.0") == has_address(b, "address4", "0.0.0.0") &&
	       is_full(a) == is_full(b) && is_next_name(name_of(a), name_of(b));
}

size_t port_run(const json_t *ports, size_t first)
{
	size_t end = first + 1;

	while (end < json_array_size(ports) &&
	       is_alike(json_array_get(ports, end - 1), json_array_get(ports, end)))
		end++;
	return end - first;
}
