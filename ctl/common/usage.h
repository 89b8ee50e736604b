/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the commands say to arguments that cannot be right: with argp, one sentence and, where
 * there is one, a guess.
 */
#ifndef JPX_USAGE_H
#define JPX_USAGE_H

#include <argp.h>

/* Ends the program with status 2 and a sentence when ARG is none of the words that
 * WORD(0), WORD(1) ... yield before it yields NULL. */
void usage_check_choice(struct argp_state *state, const char *option, const char *arg,
			const char *(*word)(unsigned int i));

/* The word of the list that ARG was probably meant to be, or NULL. */
const char *usage_nearest(const char *arg, const char *(*word)(unsigned int i));

/* Does the kernel accept ARG as the name of an interface?  Else as usage_check_choice(). */
void usage_check_ifname(struct argp_state *state, const char *what, const char *arg);

#endif
