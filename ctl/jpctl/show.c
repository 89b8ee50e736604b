/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See show.h. */
#include "show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/addr.h"
#include "table.h"

/* More of them on one line nobody reads. */
#define JOIN_PORTS_SHOWN 4

const char *show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static int number(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

char *show_join_ports(const json_t *join_ports)
{
	size_t len = 0, i, count = json_array_size(join_ports);
	const json_t *one;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	if (!f) {
		fputs("jpctl: not enough memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	json_array_foreach(join_ports, i, one) {
		if (i == JOIN_PORTS_SHOWN && count > JOIN_PORTS_SHOWN + 1) {
			fprintf(f, " and %zu more (--json shows all)", count - i);
			break;
		}
		fprintf(f, "%s%d %s", i ? ", " : "", number(one, "port"),
			show_text(one, "service"));
	}
	fclose(f);
	return text;
}

static const struct {
	const char *state, *words;
	bool problem;
} service_states[] = {
	{ "serving", "serving", false },
	{ "no-route", "no route to the Registrar", true },
	{ "uplink-down", "the uplink is down", true },
	{ "resolving", "waiting for the next hop's link-layer address", false },
	{ "local", "serving through the socket engine: the Registrar is on this host", false },
	{ "socket", "serving through the socket engine: IPv4, and the uplink is no Ethernet",
	  false },
	{ "no-port", "no pledge port is ready for it", true },
	{ "silent", "the Registrar does not answer", true },
	{ "retired", "no longer found, goes when idle", false },
	{ "no-uplink-address", "none of its uplink addresses is on this host", true },
};

static void service_state(struct table *t, const char *state)
{
	for (size_t i = 0; i < sizeof(service_states) / sizeof(service_states[0]); i++)
		if (strcmp(state, service_states[i].state) == 0) {
			if (service_states[i].problem)
				table_problem(t, "%s", service_states[i].words);
			else
				table_cell(t, "%s", service_states[i].words);
			return;
		}
	table_cell(t, "%s", state);
}

/* The mode, with what is unusual about a stateful one. */
static void mode_cell(struct table *t, const json_t *service)
{
	size_t addresses = json_array_size(json_object_get(service, "uplink_addresses"));
	char many[48] = "";

	if (addresses > 1)
		snprintf(many, sizeof(many), ", %zu addresses", addresses);
	table_cell(t, "%s%s%s", show_text(service, "mode"),
		   json_is_true(json_object_get(service, "intercept")) ? ", intercepting" : "",
		   many);
}

/* How it became known, and on which interface. */
static void from_cell(struct table *t, const json_t *one)
{
	const json_t *learnt = json_object_get(one, "learnt"), *word;
	const char *source = show_text(one, "source"), *ifname = NULL;
	size_t i;

	json_array_foreach(learnt, i, word) {
		if (strcmp(show_text(word, "source"), source) == 0)
			ifname = json_string_value(json_object_get(word, "ifname"));
	}
	table_cell(t, "%s%s%s", source, ifname ? " on " : "", ifname ? ifname : "");
}

static void registrar_cell(struct table *t, const json_t *one)
{
	char registrar[JPX_ENDPOINT_STRLEN];

	table_cell(t, "%s",
		   jpx_endpoint_join(show_text(one, "address"), (unsigned int)number(one, "port"),
				     registrar, sizeof(registrar)));
}

static void jpy_cell(struct table *t, const json_t *one)
{
	table_cell(t, "%s",
		   strcmp(show_text(one, "mode"), "stateful") == 0 ? "-" : show_text(one, "jpy"));
}

void show_services(const json_t *services, bool reasons)
{
	static const char *const headings[] = { "SERVICE", "REGISTRAR",	 "MODE",
						"JPY",	   ">JOIN PORT", "FROM",
						"STATE",   ">PRIORITY",	 "WHY" };
	struct table *t = table_new(reasons ? 9 : 7, headings);
	const json_t *s;
	size_t i;

	json_array_foreach(services, i, s) {
		table_cell(t, "%s", show_text(s, "name"));
		registrar_cell(t, s);
		mode_cell(t, s);
		jpy_cell(t, s);
		table_cell(t, "%d", number(s, "join_port"));
		from_cell(t, s);
		service_state(t, show_text(s, "state"));
		if (!reasons)
			continue;
		table_cell(t, "%d", number(s, "priority"));
		table_cell(t, "%s", json_object_get(s, "why") ? show_text(s, "why") : "-");
	}
	table_print(t);
}

void show_found(const json_t *found)
{
	static const char *const headings[] = { "FOUND, NOT SERVED", "MODE", "JPY", "FROM",
						">PRIORITY",	     "WHY" };
	struct table *t = table_new(6, headings);
	const json_t *one;
	size_t i;

	json_array_foreach(found, i, one) {
		registrar_cell(t, one);
		table_cell(t, "%s", show_text(one, "mode"));
		jpy_cell(t, one);
		from_cell(t, one);
		table_cell(t, "%d", number(one, "priority"));
		table_cell(t, "%s", show_text(one, "why"));
	}
	table_print(t);
}
