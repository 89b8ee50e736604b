/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See jpctl.h. */
#include "jpctl.h"

#include <ctype.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/control.h"

/* Longest word that is worth a guess. */
#define GUESS_LEN 24

enum { OPT_RUN_DIR = 256, OPT_PIN_DIR, OPT_JSON };

static const struct argp_option common_options[] = {
	{ "run-dir", OPT_RUN_DIR, "DIR", 0, "Where jpd has its socket (" JPX_RUN_DIR ")", -2 },
	{ "pin-dir", OPT_PIN_DIR, "DIR", 0, "Where the fast path is pinned (" JPX_PIN_DIR ")", -2 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object", -2 },
	{ 0 },
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct jpctl *ctl = state->input;

	switch (key) {
	case OPT_RUN_DIR:
		ctl->run_dir = arg;
		break;
	case OPT_PIN_DIR:
		ctl->pin_dir = arg;
		break;
	case OPT_JSON:
		ctl->json = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp jpctl_common_argp = { .options = common_options, .parser = parse_common };

struct inputs {
	struct jpctl *ctl;
	void *verb;
};

static error_t parse_both(int key, char *arg, struct argp_state *state)
{
	struct inputs *inputs = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = inputs->verb;
	state->child_inputs[1] = inputs->ctl;
	return 0;
}

void jpctl_parse(struct jpctl *ctl, const char *name, const struct argp *verb, void *input,
		 int argc, char **argv)
{
	const struct argp_child children[] = { { verb, 0, NULL, 0 },
					       { &jpctl_common_argp, 0, NULL, 0 },
					       { 0 } };
	const struct argp argp = { .parser = parse_both, .children = children };
	struct inputs inputs = { .ctl = ctl, .verb = input };

	argv[0] = (char *)name;
	argp_parse(&argp, argc, argv, 0, NULL, &inputs);
}

int jpctl_fail(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	/* what is on its way to stdout comes first when both are one terminal */
	fflush(stdout);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	/* it may quote what came over the network */
	for (char *c = text; c && *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "jpctl: %s\n", text ? text : "not enough memory");
	free(text);
	return EXIT_FAILURE;
}

int jpctl_print_json(const json_t *object)
{
	if (json_dumpf(object, stdout, JSON_COMPACT))
		return jpctl_fail("output: cannot print the answer as JSON; is the disk full?");
	putchar('\n');
	return EXIT_SUCCESS;
}

/* ---- words ---- */

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from A to B. */
static size_t distance(const char *a, const char *b)
{
	size_t d[GUESS_LEN + 1][GUESS_LEN + 1], la = strlen(a), lb = strlen(b);

	if (la > GUESS_LEN || lb > GUESS_LEN)
		return GUESS_LEN;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			if (!i || !j) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = min(d[i - 1][j], d[i][j - 1]) + 1;
			d[i][j] = min(d[i][j], d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

const char *jpctl_nearest(const char *arg, const char *(*word)(unsigned int i))
{
	const char *best = NULL;
	size_t best_d = 3;

	for (unsigned int i = 0; word(i); i++) {
		size_t d = *arg && strncmp(word(i), arg, strlen(arg)) == 0 ? 1
									   : distance(arg, word(i));

		/* no guess that changes half of what was typed */
		if (d < best_d && 2 * d <= strlen(arg) + 1) {
			best = word(i);
			best_d = d;
		}
	}
	return best;
}

void jpctl_check_choice(struct argp_state *state, const char *option, const char *arg,
			const char *(*word)(unsigned int i))
{
	char list[256] = "";
	const char *nearest;
	size_t used = 0;

	for (unsigned int i = 0; word(i); i++) {
		if (strcmp(arg, word(i)) == 0)
			return;
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 i ? ", " : "", word(i));
	}
	nearest = jpctl_nearest(arg, word);
	argp_error(state, "%s: \"%s\" is none of %s%s%s%s", option, arg, list,
		   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

void jpctl_check_ifname(struct argp_state *state, const char *what, const char *arg)
{
	if (!*arg || strlen(arg) >= IFNAMSIZ || strpbrk(arg, "/: \t\n") || strcmp(arg, ".") == 0 ||
	    strcmp(arg, "..") == 0)
		argp_error(state,
			   "%s: \"%s\" is no name of an interface (1 to %d characters, without "
			   "/, : and blanks); see `ip link'",
			   what, arg, IFNAMSIZ - 1);
}
