/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See usage.h. */
#include "usage.h"

#include <errno.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest word that is worth a guess. */
#define GUESS_LEN 24

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

const char *usage_nearest(const char *arg, const char *(*word)(unsigned int i))
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

void usage_check_choice(struct argp_state *state, const char *option, const char *arg,
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
	nearest = usage_nearest(arg, word);
	argp_error(state, "%s: \"%s\" is none of %s%s%s%s", option, arg, list,
		   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

void usage_check_ifname(struct argp_state *state, const char *what, const char *arg)
{
	if (!*arg || strlen(arg) >= IFNAMSIZ || strpbrk(arg, "/: \t\n") || strcmp(arg, ".") == 0 ||
	    strcmp(arg, "..") == 0)
		argp_error(state,
			   "%s: \"%s\" is no name of an interface (1 to %d characters, without "
			   "/, : and blanks); see `ip link'",
			   what, arg, IFNAMSIZ - 1);
}

char *usage_verbs(const char *(*name)(unsigned int i), const char *(*help)(unsigned int i),
		  const char *tail)
{
	size_t len = 0;
	char *out = NULL;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		return NULL;
	fputs("Verbs:\n", f);
	for (unsigned int i = 0; name(i); i++)
		fprintf(f, "  %-12s%s\n", name(i), help(i));
	fprintf(f, "\n%s", tail);
	fclose(f);
	return out;
}

int usage_vfail(const char *program, const char *fmt, va_list ap)
{
	char *text = NULL;

	/* what is on its way to stdout comes first when both are one terminal */
	fflush(stdout);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	for (char *c = text; c && *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "%s: %s\n", program, text ? text : "not enough memory");
	free(text);
	return EXIT_FAILURE;
}

unsigned int usage_check_number(struct argp_state *state, const char *option, const char *arg,
				unsigned int min, unsigned int max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || n < min || n > max)
		argp_error(state, "%s: \"%s\" is no number from %u to %u", option, arg, min, max);
	return (unsigned int)n;
}

/* ---- a program of verbs ---- */

static const struct usage_program *running; /* argp gives its callbacks no other way */

static const char *verb_word(unsigned int i)
{
	return running->verbs[i].name;
}

static const char *verb_text(unsigned int i)
{
	return running->verbs[i].help;
}

struct command {
	const struct usage_verb *verb;
	int at; /* index of the verb in argv */
};

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		usage_check_choice(state, "VERB", arg, verb_word);
		for (command->verb = running->verbs; strcmp(command->verb->name, arg) != 0;)
			command->verb++;
		/* what follows belongs to the verb */
		command->at = state->next - 1;
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "%s", running->no_verb);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static char *verb_help(int key, const char *text, void *input)
{
	(void)input;
	return key == ARGP_KEY_HELP_POST_DOC ? usage_verbs(verb_word, verb_text, running->tail)
					     : (char *)text;
}

static int fail(const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = usage_vfail(running->name, fmt, ap);
	va_end(ap);
	return ret;
}

int usage_run(const struct usage_program *program, int argc, char **argv)
{
	const struct argp argp = {
		.parser = parse_command,
		.args_doc = "VERB [ARGUMENT...]",
		.doc = program->doc,
		.help_filter = verb_help,
	};
	struct command command = { 0 };
	int ret;

	running = program;
	argp_err_exit_status = 2;
	argv[0] = (char *)program->name;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
	ret = command.verb->run(argc - command.at, argv + command.at);
	if (fflush(stdout) || ferror(stdout))
		ret = fail("standard output: cannot write all of it; is the disk full?");
	return ret;
}
