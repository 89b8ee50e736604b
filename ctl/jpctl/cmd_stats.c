/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl stats: what was relayed, dropped and handed off. */
#include <stdlib.h>
#include <string.h>

#include "../common/words.h"
#include "show.h"
#include "snapshot.h"
#include "table.h"

enum { OPT_ALL = 320 };

static const struct argp_option options[] = {
	{ "all", OPT_ALL, NULL, 0, "Also what is zero", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool *all = state->input;

	switch (key) {
	case OPT_ALL:
		*all = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many: stats takes none", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static uint64_t count(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void ways(struct table *t, const char *name, const json_t *object)
{
	const json_t *up = json_object_get(object, "to_registrar");
	const json_t *down = json_object_get(object, "to_pledge");

	table_cell(t, "%s", name);
	table_number(t, count(up, "packets"));
	table_number(t, count(up, "bytes"));
	table_number(t, count(down, "packets"));
	table_number(t, count(down, "bytes"));
}

static bool any(const json_t *object)
{
	return count(json_object_get(object, "to_registrar"), "packets") ||
	       count(json_object_get(object, "to_pledge"), "packets");
}

/* One row a pledge port that relayed anything, and the sum. */
static void relayed(const json_t *stats, bool all)
{
	static const char *const headings[] = { "PORT", ">TO REGISTRAR", ">BYTES", ">TO PLEDGES",
						">BYTES" };
	struct table *t = table_new(5, headings);
	const json_t *port;
	size_t i;

	json_array_foreach(json_object_get(stats, "ports"), i, port)
		if (all || any(port))
			ways(t, show_text(port, "ifname"), port);
	ways(t, "all", stats);
	table_print(t);
}

static void shares(const json_t *stats)
{
	uint64_t fast = count(json_object_get(stats, "fast_path"), "packets");
	uint64_t sock = count(json_object_get(stats, "socket"), "packets");
	char f[TABLE_NUMBER_LEN], s[TABLE_NUMBER_LEN];
	double share = fast + sock ? 100.0 * (double)fast / (double)(fast + sock) : 0;

	if (!(fast + sock)) {
		table_line(false, "Nothing was relayed yet.");
		return;
	}
	/* never a rounded 100.0 % beside a socket engine that worked */
	if (sock && share > 99.9)
		share = 99.9;
	if (fast && share < 0.1)
		share = 0.1;
	table_line(false,
		   "By the fast path: %s packets (%.1f %%); by the socket engine: %s (%.1f %%).",
		   table_digits(fast, f), share, table_digits(sock, s), 100.0 - share);
}

static const char *drop_text(const char *word)
{
	for (unsigned int r = 1; r < JPX_DROP_COUNT; r++)
		if (strcmp(word, jpx_drop_word(r)) == 0)
			return jpx_drop_text(r);
	return "(a reason that this jpctl does not know)";
}

static const char *handoff_text(const char *word)
{
	for (unsigned int r = 0; r < JPX_HANDOFF_COUNT; r++)
		if (strcmp(word, jpx_handoff_word(r)) == 0)
			return jpx_handoff_text(r);
	return "(a reason that this jpctl does not know)";
}

static const char *told_text(const char *word)
{
	for (unsigned int r = 0; r < JPX_TOLD_COUNT; r++)
		if (strcmp(word, jpx_told_word(r)) == 0)
			return jpx_told_text(r);
	return "(a reason that this jpctl does not know)";
}

/* The keys of the object decide, so that a newer jpd's reasons are shown as well. */
static void reasons(json_t *object, const char *const headings[], bool all,
		    const char *(*text)(const char *word))
{
	struct table *t = table_new(3, headings);
	const char *word;
	json_t *value;

	json_object_foreach(object, word, value) {
		if (!all && json_integer_value(value) == 0)
			continue;
		table_cell(t, "%s", word);
		table_number(t, (uint64_t)json_integer_value(value));
		table_cell(t, "%s", text(word));
	}
	if (!table_is_empty(t))
		putchar('\n');
	table_print(t);
}

static void print(const json_t *stats, bool all, const char *note)
{
	static const char *const dropped[] = { "DROPPED", ">COUNT", "MEANING" };
	static const char *const handed[] = { "HANDED TO THE SOCKET ENGINE", ">COUNT", "MEANING" };
	static const char *const told[] = { "A PLEDGE WAS TOLD BY ICMP", ">COUNT", "OF WHAT" };

	relayed(stats, all);
	shares(stats);
	reasons(json_object_get(stats, "drops"), dropped, all, drop_text);
	reasons(json_object_get(stats, "handoffs"), handed, all, handoff_text);
	reasons(json_object_get(stats, "told"), told, all, told_text);
	if (*note) {
		putchar('\n');
		table_line(true, "%s", note);
	}
}

int cmd_stats(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Shows what was relayed, dropped and handed off to the socket engine, since "
		       "the fast path was pinned. Works without jpd, too.",
	};
	struct client_error error;
	json_t *stats = NULL;
	bool all = false;
	char note[1536];
	int ret = 0;

	jpctl_parse(ctl, "jpctl stats", &argp, &all, argc, argv);
	if (snapshot_take(ctl, "stats", &stats, note, sizeof(note), &error))
		return client_fail(&error);
	if (ctl->json)
		ret = jpctl_print_json(stats);
	else
		print(stats, all, note);
	json_decref(stats);
	return ret;
}
