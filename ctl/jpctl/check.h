/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `jpctl check` found: a list of findings, and who adds to it.  Checks look
 * only; none of them changes the host.
 */
#ifndef JPCTL_CHECK_H
#define JPCTL_CHECK_H

#include <jansson.h>
#include <stddef.h>

#include "jpctl.h"

/* FAIL: pledges are not relayed until it is remedied.  WARN: they are, but more
 * slowly or not all of them. */
enum check_result { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct netwatch;

struct check {
	const struct jpctl *ctl;
	json_t *findings; /* a list of {"what", "result", "why", "remedy"} */
	json_t *kernel;	  /* of {"feature", "needed_for", "have", "why", "without"} */
	unsigned int fails;
	struct netwatch *net;	  /* NULL when the kernel does not tell */
	const json_t *status;	  /* NULL when there is neither jpd nor fast path */
	const json_t *stats;	  /* the same */
	const char *not_from_jpd; /* why these are not jpd's own answers; empty if they are */
};

/* Adds a finding about WHAT.  REMEDY is a sentence without a full stop, empty for none. */
void check_add(struct check *check, enum check_result result, const char *what, const char *remedy,
	       const char *why, ...) __attribute__((format(printf, 5, 6)));

/* Rights, kernel, BPF, jpd. */
void check_host(struct check *check);

/* What the kernel has of what jpd uses; and prints that as a table. */
void check_kernel(struct check *check);
void check_kernel_print(const struct check *check);

/* The interface IFNAME, in the role that status gives it. */
void check_interface(struct check *check, const char *ifname);

/* Hand-offs that were counted and can be avoided. */
void check_counters(struct check *check);

#endif
