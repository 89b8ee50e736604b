/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `jpreg issued': what the record of `jpreg serve' has, for people or as JSON.  Reads only, and
 * beside a running server.
 */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jpreg.h"
#include "record.h"
#include "table.h"
#include "usage.h"

#define DEFAULT_STATE "/var/lib/jpreg"

enum { OPT_STATE = 256, OPT_JSON };

static const struct argp_option options[] = {
	{ "state-dir", OPT_STATE, "DIR", 0, "Where the record is kept (" DEFAULT_STATE ")", 0 },
	{ "json", OPT_JSON, NULL, 0, "One object instead of a table", 0 },
	{ 0 },
};

static const char doc[] =
	"Lists the certificates that `jpreg serve' has issued, in the order in which it did.";

struct settings {
	const char *dir;
	bool json;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;

	switch (key) {
	case OPT_STATE:
		s->dir = arg;
		break;
	case OPT_JSON:
		s->json = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is no option", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void hex(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

static void when(time_t t, char *text, size_t len)
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, len, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(text, len, "%lld", (long long)t);
}

struct list {
	json_t *array; /* or NULL: a line each */
	bool failed;
};

static bool on_entry(void *arg, const struct record_entry *e)
{
	char serial[2 * RECORD_SERIAL_MAX + 1], client[65], issued[32], not_after[32];
	char revoked[32] = "";
	struct list *list = arg;

	hex(e->serial, e->serial_len, serial);
	hex(e->client, sizeof(e->client), client);
	when(e->issued, issued, sizeof(issued));
	when(e->not_after, not_after, sizeof(not_after));
	if (e->revoked)
		when(e->revoked, revoked, sizeof(revoked));
	if (!list->array) {
		printf("%s  %s  %-40s  %s%s%s\n", issued, not_after, serial, e->subject,
		       *revoked ? ", revoked " : "", revoked);
		return true;
	}
	list->failed =
		json_array_append_new(list->array,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "serial",
						serial, "revoked", revoked, "subject", e->subject,
						"device", e->device, "client_sha256", client,
						"issued", issued, "not_after", not_after)) != 0;
	return !list->failed;
}

int cmd_issued(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = parse_option, .doc = doc };
	struct settings s = { .dir = DEFAULT_STATE };
	struct list list = { 0 };
	struct record *record;
	char file[300], err[400];
	json_t *object = NULL;
	int ret;

	argv[0] = "jpreg issued";
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	snprintf(file, sizeof(file), "%s/issued.db", s.dir);
	record = record_open(file, false, err, sizeof(err));
	if (!record)
		return jpreg_fail("%s", err);
	if (s.json) {
		list.array = json_array();
		object = json_pack("{s:o}", "issued", list.array);
		list.failed = !object;
	} else {
		printf("%-20s  %-20s  %-40s  %s\n", "ISSUED", "NOT AFTER", "SERIAL", "SUBJECT");
	}
	ret = list.failed ? -1 : record_each(record, on_entry, &list);
	record_close(record);
	if (!ret && !list.failed && object && json_dumpf(object, stdout, JSON_INDENT(2)))
		list.failed = true;
	if (object && !list.failed)
		printf("\n");
	json_decref(object);
	if (ret || list.failed)
		return jpreg_fail("%s: cannot be read to its end: %s", file,
				  ret ? strerror(-ret) : "no memory");
	if (fflush(stdout) || ferror(stdout))
		return jpreg_fail("standard output: cannot write all of it; is the disk full?");
	return EXIT_SUCCESS;
}
