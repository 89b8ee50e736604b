/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpreg, the Registrar's end of a Join Proxy.  Here: the table of verbs.  Each verb is in a file of
 * its own; options without one are relay's, which was there before there were verbs.
 */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jpreg.h"
#include "usage.h"

const char *argp_program_version = "jpreg " JPX_VERSION;

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "relay", cmd_relay, "a JPY port in front of any DTLS server (without a verb: the same)" },
	{ "serve", cmd_serve, "a Registrar: certificates by EST over coaps and the JPY port" },
	{ "issued", cmd_issued, "list the certificates that serve has issued" },
	{ "revoke", cmd_revoke, "some of them are no longer good" },
	{ "crl", cmd_crl, "print the list of those that were revoked, for others" },
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
		argp_error(state, "no verb; try `jpreg serve --help' or `jpreg relay --help'");
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
			   "`jpreg VERB --help' tells the options of a verb. Exit status: 0 done "
			   "or ended by a signal, 1 failed, 2 wrong usage.");
}

/* Of relay's, and not asking for help with the verbs? */
static bool is_option(const char *word)
{
	static const char *const ours[] = { "--help", "-?", "--usage", "--version", "-V" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strcmp(word, ours[i]))
			return false;
	return *word == '-';
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_command,
		.args_doc = "VERB [ARGUMENT...]",
		.doc = "The Registrar's end of constrained Join Proxies.\v",
		.help_filter = verb_help,
	};
	struct command command = { .verb = &verbs[0] };

	argp_err_exit_status = 2;
	argv[0] = "jpreg";
	if (argc < 2 || !is_option(argv[1]))
		argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
	return command.verb->run(argc - command.at, argv + command.at);
}
