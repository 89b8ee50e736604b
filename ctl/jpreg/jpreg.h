/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verbs of jpreg, each in a file of its own; their exit status is the program's.
 */
#ifndef JPX_JPREG_H
#define JPX_JPREG_H

/* A sentence on standard error; returns EXIT_FAILURE. */
int jpreg_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int cmd_relay(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_issued(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_crl(int argc, char **argv);

#endif
