/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpreg, the Registrar's end of a Join Proxy.  Here: the table of verbs.  Each verb is in a file of
 * its own; options without one are relay's, which was there before there were verbs.
 */
#include <argp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "jpreg.h"
#include "usage.h"

const char *argp_program_version = "jpreg " JPX_VERSION;

static const struct usage_verb verbs[] = {
	{ "relay", cmd_relay, "a JPY port in front of any DTLS server (without a verb: the same)" },
	{ "serve", cmd_serve, "a Registrar: certificates by EST over coaps and the JPY port" },
	{ "issued", cmd_issued, "list the certificates that serve has issued" },
	{ "revoke", cmd_revoke, "some of them are no longer good" },
	{ "crl", cmd_crl, "print the list of those that were revoked, for others" },
	{ 0 },
};

static const struct usage_program program = {
	.name = "jpreg",
	.doc = "The Registrar's end of constrained Join Proxies.\v",
	.tail = "`jpreg VERB --help' tells the options of a verb. Exit status: 0 done or ended by "
		"a "
		"signal, 1 failed, 2 wrong usage.",
	.no_verb = "no verb; try `jpreg serve --help' or `jpreg relay --help'",
	.verbs = verbs,
};

int jpreg_fail(const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = usage_vfail("jpreg", fmt, ap);
	va_end(ap);
	return ret;
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
	if (argc < 2 || !is_option(argv[1]))
		return usage_run(&program, argc, argv);
	argp_err_exit_status = 2;
	return cmd_relay(argc, argv);
}
