/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpctl: asks jpd to do things, and shows how it and the fast path stand.  Here:
 * the table of verbs.  Each verb is in a file of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/control.h"
#include "jpctl.h"

const char *argp_program_version = "jpctl " JPX_VERSION;

static const struct verb {
	const char *name;
	int (*run)(struct jpctl *ctl, int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "attach", cmd_attach, "serve pledges on an interface" },
	{ "detach", cmd_detach, "stop serving pledges on an interface" },
	{ "registrar", cmd_registrar, "list, add or delete Registrar services" },
	{ "status", cmd_status, "interfaces, Registrars and how they stand (the default)" },
	{ "stats", cmd_stats, "what was relayed, dropped and handed off" },
	{ "flows", cmd_flows, "list or end the flows of stateful mode" },
	{ "check", cmd_check, "look for what keeps this host from relaying well" },
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

static const struct verb *verb_by_name(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

struct command {
	struct jpctl *ctl;
	const struct verb *verb;
	int at; /* index of the verb in argv */
};

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;
	const char *nearest;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = command->ctl;
		break;
	case ARGP_KEY_ARG:
		command->verb = verb_by_name(arg);
		if (!command->verb) {
			nearest = usage_nearest(arg, verb_word);
			argp_error(state, "\"%s\" is no verb%s%s%s", arg,
				   nearest ? "; did you mean " : "", nearest ? nearest : "",
				   nearest ? "?" : "");
		}
		/* what follows belongs to the verb */
		command->at = state->next - 1;
		state->next = state->argc;
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
	return usage_verbs(
		verb_word, verb_text,
		"`jpctl VERB --help' tells the options of a verb. Exit status: 0 done, 1 failed, "
		"2 wrong usage.");
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = { { &jpctl_common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.parser = parse_command,
		.args_doc = "[VERB [ARGUMENT...]]",
		.doc = "Controls the constrained Join Proxy jpd and its fast path.\v",
		.children = children,
		.help_filter = verb_help,
	};
	struct jpctl ctl = { .run_dir = JPX_RUN_DIR, .pin_dir = JPX_PIN_DIR };
	struct command command = { .ctl = &ctl, .at = argc };
	static char *no_arguments[] = { "status", NULL };
	int ret;

	argp_err_exit_status = 2;
	argv[0] = "jpctl";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
	if (command.verb)
		ret = command.verb->run(&ctl, argc - command.at, argv + command.at);
	else
		ret = cmd_status(&ctl, 1, no_arguments);
	if (fflush(stdout) || ferror(stdout))
		ret = jpctl_fail("standard output: cannot write all of it; is the disk full?");
	return ret;
}
