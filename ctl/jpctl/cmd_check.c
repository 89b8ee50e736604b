/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl check: look for what keeps this host from relaying well. */
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netwatch.h"
#include "check.h"
#include "show.h"
#include "snapshot.h"
#include "table.h"

/* As many as there are pledge ports and uplinks. */
#define MAX_NAMED 512

struct named {
	const char *ifnames[MAX_NAMED];
	size_t count;
};

static const char *const result_words[] = { "ok", "warn", "fail" };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct named *named = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	usage_check_ifname(state, "IF", arg);
	if (named->count == MAX_NAMED)
		argp_error(state, "more than %d interfaces at a time", MAX_NAMED);
	named->ifnames[named->count++] = arg;
	return 0;
}

void check_add(struct check *check, enum check_result result, const char *what, const char *remedy,
	       const char *why, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	check->fails += result == CHECK_FAIL;
	json_array_append_new(check->findings,
			      json_pack("{s:s, s:s, s:s, s:s}", "what", what, "result",
					result_words[result], "why", text, "remedy", remedy));
}

static void print(const struct check *check)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(check->findings, i, finding) {
		const char *result = show_text(finding, "result");
		const char *remedy = show_text(finding, "remedy");

		table_line(strcmp(result, "fail") == 0, "%-4s  %s: %s%s%s", result,
			   show_text(finding, "what"), show_text(finding, "why"),
			   *remedy ? "; " : "", remedy);
	}
}

static bool is_listed(const json_t *list, const char *ifname, size_t before)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (i < before && strcmp(show_text(one, "ifname"), ifname) == 0)
			return true;
	return false;
}

/* Every interface of the status, once. */
static void check_attached(struct check *check)
{
	const json_t *ports = json_object_get(check->status, "ports");
	const json_t *uplinks = json_object_get(check->status, "uplinks");
	const json_t *one;
	size_t i;

	json_array_foreach(ports, i, one)
		check_interface(check, show_text(one, "ifname"));
	json_array_foreach(uplinks, i, one)
		if (!is_listed(ports, show_text(one, "ifname"), SIZE_MAX) &&
		    !is_listed(uplinks, show_text(one, "ifname"), i))
			check_interface(check, show_text(one, "ifname"));
}

static void on_change(void *arg)
{
	(void)arg;
}

static void run(struct check *check, const struct named *named)
{
	struct event_base *base = event_base_new();

	check->net = base ? netwatch_new(base, on_change, NULL) : NULL;
	check_host(check);
	for (size_t i = 0; i < named->count; i++)
		check_interface(check, named->ifnames[i]);
	if (!named->count)
		check_attached(check);
	check_counters(check);
	check_kernel(check);
	netwatch_free(check->net);
	if (base)
		event_base_free(base);
}

int cmd_check(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "[IF...]",
		.doc = "Looks for what keeps this host, and the interfaces named or else all "
		       "attached ones, from relaying well, and shows what this kernel has of what "
		       "jpd makes use of. Changes nothing.",
	};
	struct check check = { .ctl = ctl, .findings = json_array(), .kernel = json_array() };
	json_t *status = NULL, *stats = NULL;
	struct named named = { .count = 0 };
	struct client_error error;
	char note[1536], ignored[1536];
	int ret = 0;

	jpctl_parse(ctl, "jpctl check", &argp, &named, argc, argv);
	if (!check.findings || !check.kernel)
		return jpctl_fail("check: not enough memory");
	if (snapshot_take(ctl, "status", &status, note, sizeof(note), &error))
		snprintf(note, sizeof(note), "%s", error.text);
	else if (snapshot_take(ctl, "stats", &stats, ignored, sizeof(ignored), &error))
		stats = NULL;
	check.status = status;
	check.stats = stats;
	check.not_from_jpd = note;
	run(&check, &named);
	if (ctl->json) {
		json_t *object = json_pack("{s:i, s:O, s:O}", "version", 1, "checks",
					   check.findings, "kernel", check.kernel);

		ret = jpctl_print_json(object);
		json_decref(object);
	} else {
		check_kernel_print(&check);
		printf("\n");
		print(&check);
	}
	json_decref(check.findings);
	json_decref(check.kernel);
	json_decref(status);
	json_decref(stats);
	return check.fails ? EXIT_FAILURE : ret;
}
