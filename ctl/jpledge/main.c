/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpledge: a pledge, as far as Join Proxies and Registrars can tell.  Needs no rights and no jpd.  Here:
 * the table of verbs.  Each verb is in a file of its own.
 */
#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jpledge.h"
#include "usage.h"

const char *argp_program_version = "jpledge " JPX_VERSION;

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "discover", cmd_discover, "list the Join Proxies that announce themselves on a link" },
	{ "enroll", cmd_enroll, "get a certificate by EST through one of them" },
	{ "reenroll", cmd_reenroll, "renew it" },
	{ "swarm", cmd_swarm, "enrol thousands at once, and tell how long it took" },
	{ "mint", cmd_mint, "make a throw-away manufacturer and devices of it" },
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static const char *verb_word(unsigned int i)
{
	return i < VERB_COUNT ? verbs[i].name : NULL;
}

static const char *verb_text(unsigned int i)
{
	return verbs[i].help;
}

struct command {
	const struct verb *verb;
	int at; /* index of the verb in argv */
};

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		usage_check_choice(state, "VERB", arg, verb_word);
		for (size_t i = 0; i < VERB_COUNT; i++)
			if (strcmp(verbs[i].name, arg) == 0)
				command->verb = &verbs[i];
		/* what follows belongs to the verb */
		command->at = state->next - 1;
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no verb; try `jpledge discover IF'");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static char *verb_help(int key, const char *text, void *input)
{
	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	return usage_verbs(verb_word, verb_text,
			   "`jpledge VERB --help' tells the options of a verb. Exit status: 0 "
			   "done, 1 failed or nothing "
			   "found, 2 wrong usage.");
}

int jpledge_fail(const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = usage_vfail("jpledge", fmt, ap);
	va_end(ap);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_command,
		.args_doc = "VERB [ARGUMENT...]",
		.doc = "A pledge at constrained Join Proxies: looks for them, and enrols.\v",
		.help_filter = verb_help,
	};
	struct command command = { .at = argc };
	int ret;

	argp_err_exit_status = 2;
	argv[0] = "jpledge";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
	ret = command.verb->run(argc - command.at, argv + command.at);
	if (fflush(stdout) || ferror(stdout))
		ret = jpledge_fail("standard output: cannot write all of it; is the disk full?");
	return ret;
}
