/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs all groups of packet tests, or those named on the command line, in a
 * network namespace of their own.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "groups.h"

static const struct {
	const char *name;
	int (*run)(void);
} groups[] = {
	{ "packets", packets_group },
	{ "ipv4", ipv4_group },
	{ "by_tc", by_tc_group },
	{ "flows", flows_group },
	{ "races", races_group },
};

int main(int argc, char **argv)
{
	int failed = 0;

	/* The programs look for sockets: only the tests' own shall be there. */
	if (unshare(CLONE_NEWNET)) {
		fprintf(stderr, "packet tests: no network namespace: %s\n", strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		int wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], groups[i].name);
		if (wanted)
			failed += groups[i].run();
	}
	return failed != 0;
}
