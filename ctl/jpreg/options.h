/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Values of options that several verbs of jpreg have.  What cannot be right ends the program with
 * status 2 and a sentence.
 */
#ifndef JPX_JPREG_OPTIONS_H
#define JPX_JPREG_OPTIONS_H

#include <argp.h>
#include <netinet/in.h>

#include "log.h"

/* "[ADDR]:PORT" to *OUT. */
void option_endpoint(struct argp_state *state, const char *option, const char *arg,
		     struct sockaddr_in6 *out);

enum jpx_log_level option_log_level(struct argp_state *state, const char *arg);

#endif
