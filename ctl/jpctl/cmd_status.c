/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl status: interfaces, Registrars and how they stand. */
#include <stdlib.h>
#include <string.h>

#include "port_run.h"
#include "show.h"
#include "snapshot.h"
#include "table.h"

/* More ports than fit on a screen: then a run of equal ones is one row. */
#define ROWS_MAX 40

#define OPT_ALL 1

static const struct argp_option options[] = {
	{ "all", OPT_ALL, NULL, 0, "A row for each pledge port, also where many are alike", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool *all = state->input;

	if (key == OPT_ALL) {
		*all = true;
		return 0;
	}
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "\"%s\" is one argument too many: status takes none", arg);
	return 0;
}

static void engine(struct table *t, const json_t *object)
{
	const char *word = show_text(object, "engine");
	bool alone =
		strncmp(word, "xdp-", 4) == 0 && json_is_false(json_object_get(object, "shared"));

	const char *answers = show_text(object, "answers"); /* uplinks have none: "" or "?" */
	bool other = strncmp(word, "xdp-", 4) == 0 &&
		     (strcmp(answers, "socket") == 0 || strcmp(answers, "tc") == 0);

	table_cell(t, "%s%s%s%s", word, alone ? ", alone" : "", other ? ", answers by " : "",
		   other ? answers : "");
}

/* Link-local ones of both families, or "-"; of a run of ports, only whether each has one. */
static void addresses(struct table *t, const json_t *port, size_t run)
{
	const char *address = show_text(port, "address"), *address4 = show_text(port, "address4");
	bool has = strcmp(address, "::"), has4 = strcmp(address4, "0.0.0.0") && *address4 != '?';

	if (run > 1)
		table_cell(t, "%s", has || has4 ? "each its own" : "-");
	else if (has && has4)
		table_cell(t, "%s, %s", address, address4);
	else
		table_cell(t, "%s", has ? address : has4 ? address4 : "-");
}

static bool any_stateful(const json_t *services)
{
	const json_t *s;
	size_t i;

	json_array_foreach(services, i, s)
		if (strcmp(show_text(s, "mode"), "stateful") == 0)
			return true;
	return false;
}

/* How many there are on all of a run, and of how many that may be; red where no other one fits. */
static void flows(struct table *t, const json_t *ports, size_t first, size_t run)
{
	json_int_t count = 0, max = 0;
	char n[TABLE_NUMBER_LEN], m[TABLE_NUMBER_LEN];

	for (size_t i = first; i < first + run; i++) {
		const json_t *port = json_array_get(ports, i);

		count += json_integer_value(json_object_get(port, "flows"));
		max += json_integer_value(json_object_get(port, "max_flows"));
	}

	table_digits((uint64_t)count, n);
	table_digits((uint64_t)max, m);
	if (count < max)
		table_cell(t, "%s of %s", n, m);
	else
		table_problem(t, "%s of %s", n, m);
}

static void names(struct table *t, const json_t *ports, size_t first, size_t run)
{
	const char *name = show_text(json_array_get(ports, first), "ifname");

	if (run == 1)
		table_cell(t, "%s", name);
	else
		table_cell(t, "%s to %s", name,
			   show_text(json_array_get(ports, first + run - 1), "ifname"));
}

/* Returns how many of them are not ready. */
static size_t show_ports(const json_t *ports, bool stateful, bool all)
{
	static const char *const headings[] = { "PORT",	 "LINK",       "ENGINE", "ADDRESS",
						"STATE", "JOIN PORTS", ">FLOWS" };
	struct table *t = table_new(stateful ? 7 : 6, headings);
	size_t not_ready = 0, run;

	all |= json_array_size(ports) <= ROWS_MAX;
	for (size_t i = 0; i < json_array_size(ports); i += run) {
		const json_t *p = json_array_get(ports, i);
		const char *state = show_text(p, "state");
		char *join_ports = show_join_ports(json_object_get(p, "join_ports"));

		run = all ? 1 : port_run(ports, i);
		names(t, ports, i, run);
		table_cell(t, "%s", show_text(p, "link"));
		engine(t, p);
		addresses(t, p, run);
		if (strcmp(state, "ready") == 0) {
			table_cell(t, "ready");
		} else {
			table_problem(t, "%s",
				      strcmp(state, "no-address") == 0 ? "no link-local address"
				      : strcmp(state, "absent") == 0   ? "no such interface"
								       : state);
			not_ready += run;
		}
		if (*join_ports)
			table_cell(t, "%s", join_ports);
		else
			table_problem(t, "none: no Registrar");
		free(join_ports);
		if (stateful)
			flows(t, ports, i, run);
	}
	table_print(t);
	return not_ready;
}

static void show_uplinks(const json_t *uplinks)
{
	static const char *const headings[] = { "UPLINK", "ENGINE" };
	struct table *t = table_new(2, headings);
	const json_t *u;
	size_t i;

	json_array_foreach(uplinks, i, u) {
		table_cell(t, "%s", show_text(u, "ifname"));
		engine(t, u);
	}
	table_print(t);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* Tables first and the summary last: with many ports it is what stays on the screen. */
static void print(const json_t *status, bool all, const char *note)
{
	const json_t *ports = json_object_get(status, "ports");
	const json_t *uplinks = json_object_get(status, "uplinks");
	const json_t *services = json_object_get(status, "services");
	const json_t *daemon = json_object_get(status, "daemon");
	char ready[48] = "";
	size_t not_ready = 0;

	if (json_array_size(ports)) {
		not_ready = show_ports(ports, any_stateful(services), all);
		putchar('\n');
	}
	if (json_array_size(uplinks)) {
		show_uplinks(uplinks);
		putchar('\n');
	}
	if (json_array_size(services)) {
		show_services(services, false);
		putchar('\n');
	}
	if (not_ready)
		snprintf(ready, sizeof(ready), " (%zu not ready)", not_ready);
	table_line(not_ready, "%zu pledge port%s%s, %zu uplink%s, %zu service%s",
		   json_array_size(ports), plural(json_array_size(ports)), ready,
		   json_array_size(uplinks), plural(json_array_size(uplinks)),
		   json_array_size(services), plural(json_array_size(services)));
	if (json_array_size(ports) > ROWS_MAX && !all)
		table_line(false, "Ports that are alike share a row; each by itself: jpctl status "
				  "--all");
	if (!json_array_size(ports))
		table_line(false, "No pledges are served; serve them on an interface: jpctl attach "
				  "IF --registrar [ADDR]:PORT");
	else if (!json_array_size(services))
		table_line(true, "No Registrar is known; add one: jpctl registrar add NAME "
				 "[ADDR]:PORT");
	if (*note)
		table_line(true, "%s", note);
	else
		table_line(false, "jpd is running (pid %d)",
			   (int)json_integer_value(json_object_get(daemon, "pid")));
}

int cmd_status(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Shows interfaces, Registrars and how they stand. Works without jpd, too, "
		       "from what the fast path has pinned.",
	};
	struct client_error error;
	json_t *status = NULL;
	bool all = false;
	char note[1536];
	int ret = 0;

	jpctl_parse(ctl, "jpctl status", &argp, &all, argc, argv);
	if (snapshot_take(ctl, "status", &status, note, sizeof(note), &error))
		return client_fail(&error);
	if (ctl->json)
		ret = jpctl_print_json(status);
	else
		print(status, all, note);
	json_decref(status);
	return ret;
}
