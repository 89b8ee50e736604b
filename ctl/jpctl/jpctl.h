/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the verbs of jpctl share: the options that stand before or after any verb,
 * how a verb's own options are parsed, and how it fails.
 */
#ifndef JPCTL_H
#define JPCTL_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "usage.h"

struct jpctl {
	const char *run_dir, *pin_dir;
	bool json;
};

/* Each runs one verb, ARGV[0] being its name, and returns the exit status. */
int cmd_attach(struct jpctl *ctl, int argc, char **argv);
int cmd_detach(struct jpctl *ctl, int argc, char **argv);
int cmd_registrar(struct jpctl *ctl, int argc, char **argv);
int cmd_status(struct jpctl *ctl, int argc, char **argv);
int cmd_stats(struct jpctl *ctl, int argc, char **argv);
int cmd_flows(struct jpctl *ctl, int argc, char **argv);
int cmd_check(struct jpctl *ctl, int argc, char **argv);

/* The options that every verb takes; its input is a struct jpctl. */
extern const struct argp jpctl_common_argp;

/* Parses the options of the verb called NAME ("jpctl attach") with INPUT for VERB,
 * and the common ones.  Wrong usage ends the program with status 2. */
void jpctl_parse(struct jpctl *ctl, const char *name, const struct argp *verb, void *input,
		 int argc, char **argv);

/* Prints "jpctl: SENTENCE" to stderr.  Returns the exit status of a failed operation. */
int jpctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints OBJECT on one line.  Returns an exit status. */
int jpctl_print_json(const json_t *object);

#endif
