/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `status` and `stats` as jpd tells them or, where it does not answer, as the
 * pinned maps of the fast path tell them.
 */
#ifndef JPCTL_SNAPSHOT_H
#define JPCTL_SNAPSHOT_H

#include "client.h"
#include "jpctl.h"

/* Asks for VERB, "status" or "stats".  Returns 0 and a new reference in OBJECT; NOTE
 * is then empty, or says that and why this is not jpd's own answer.  Else a
 * negative errno (-ECONNREFUSED: neither jpd nor a fast path) with ERROR filled. */
int snapshot_take(const struct jpctl *ctl, const char *verb, json_t **object, char *note,
		  size_t note_len, struct client_error *error);

/* What to say when neither could tell: ERROR is client_ask()'s, which returned ASKED; the pinned
 * maps gave RET, with WHY.  Returns the one of both that counts. */
int snapshot_fail(const struct jpctl *ctl, int asked, int ret, const char *why,
		  struct client_error *error);

#endif
