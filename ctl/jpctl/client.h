/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One question to jpd and its answer, over the UNIX socket that
 * ctl/common/control.h describes.  Believes nothing of the answer but its size
 * and its outer shape.
 */
#ifndef JPCTL_CLIENT_H
#define JPCTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

struct client_error {
	char text[1024]; /* one sentence */
	bool usage;	 /* the request itself was wrong */
};

/* Asks the jpd of RUN_DIR.  Returns 0 and a new reference in RESULT; -ECONNREFUSED
 * when no jpd runs there; -EREMOTEIO when jpd refused; another negative errno when
 * it could not be asked or did not answer within ten seconds.  ERROR is filled
 * whenever it is not 0. */
int client_ask(const char *run_dir, const json_t *request, json_t **result,
	       struct client_error *error);

/* The same for what is to be done, not only told: that may take a while, with a jpd that starts or
 * attaches many interfaces.  Waits for a minute, and says so on stderr after two seconds. */
int client_order(const char *run_dir, const json_t *request, json_t **result,
		 struct client_error *error);

/* The exit status for ERROR, once it is printed. */
int client_fail(const struct client_error *error);

#endif
