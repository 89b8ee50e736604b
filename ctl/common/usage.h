/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What commands say: to arguments that cannot be right, with argp, one sentence and, where
 * there is one, a guess; of their verbs; and of what failed.
 */
#ifndef JPX_USAGE_H
#define JPX_USAGE_H

#include <argp.h>
#include <stdarg.h>

/* Ends the program with status 2 and a sentence when ARG is none of the words that
 * WORD(0), WORD(1) ... yield before it yields NULL. */
void usage_check_choice(struct argp_state *state, const char *option, const char *arg,
			const char *(*word)(unsigned int i));

/* The word of the list that ARG was probably meant to be, or NULL. */
const char *usage_nearest(const char *arg, const char *(*word)(unsigned int i));

/* ARG as a number from MIN to MAX, in decimal digits alone; else as usage_check_choice(). */
unsigned int usage_check_number(struct argp_state *state, const char *option, const char *arg,
				unsigned int min, unsigned int max);

/* Does the kernel accept ARG as the name of an interface?  Else as usage_check_choice(). */
void usage_check_ifname(struct argp_state *state, const char *what, const char *arg);

/* For argp's help_filter: the text behind the options, which lists the verbs NAME(0), NAME(1) ...
 * with what HELP says of each, and ends with TAIL.  To be freed by argp; NULL: out of memory. */
char *usage_verbs(const char *(*name)(unsigned int i), const char *(*help)(unsigned int i),
		  const char *tail);

struct usage_verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* a line */
};

/* A program that is nothing but its verbs. */
struct usage_program {
	const char *name, *doc;
	const char *tail;		/* of --help, behind the list of verbs */
	const char *no_verb;		/* what to say to who says none */
	const struct usage_verb *verbs; /* NULL as a name behind the last */
};

/* Finds the verb in ARGV and runs it with what follows; its exit status, or 1 where not all could be
 * written to standard output.  Ends the program with status 2 if there is no such verb. */
int usage_run(const struct usage_program *program, int argc, char **argv);

/* Says to stderr, after all that was printed so far, that PROGRAM failed, with everything but
 * printable characters replaced: it may quote what came over the network.  Returns EXIT_FAILURE. */
int usage_vfail(const char *program, const char *fmt, va_list ap);

#endif
