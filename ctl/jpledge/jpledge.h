/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the verbs of jpledge share. */
#ifndef JPLEDGE_H
#define JPLEDGE_H

/* Each runs one verb, ARGV[0] being its name, and returns the exit status. */
int cmd_discover(int argc, char **argv);
int cmd_enroll(int argc, char **argv);
int cmd_reenroll(int argc, char **argv);
int cmd_mint(int argc, char **argv);
int cmd_swarm(int argc, char **argv);

/* Prints "jpledge: SENTENCE" to stderr, made safe to print.  Returns the exit status of a failed
 * operation. */
int jpledge_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
