/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpledge: a pledge, as far as Join Proxies and Registrars can tell.  Needs no rights and no jpd.  Here:
 * the table of verbs.  Each verb is in a file of its own.
 */
#include <argp.h>
#include <stdarg.h>

#include "jpledge.h"
#include "usage.h"

const char *argp_program_version = "jpledge " JPX_VERSION;

static const struct usage_verb verbs[] = {
	{ "discover", cmd_discover, "list the Join Proxies that announce themselves on a link" },
	{ "enroll", cmd_enroll, "get a certificate by EST through one of them" },
	{ "reenroll", cmd_reenroll, "renew it" },
	{ "swarm", cmd_swarm, "enrol thousands at once, and tell how long it took" },
	{ "mint", cmd_mint, "make a throw-away manufacturer and devices of it" },
	{ 0 },
};

static const struct usage_program program = {
	.name = "jpledge",
	.doc = "A pledge at constrained Join Proxies: looks for them, and enrols.\v",
	.tail = "`jpledge VERB --help' tells the options of a verb. Exit status: 0 done, 1 failed or "
		"nothing found, 2 wrong usage.",
	.no_verb = "no verb; try `jpledge discover IF'",
	.verbs = verbs,
};

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
	return usage_run(&program, argc, argv);
}
