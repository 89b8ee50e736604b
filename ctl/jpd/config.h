/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration file: says what the verbs say, in a file (jpd.conf(5)).
 */
#ifndef JPX_CONFIG_H
#define JPX_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "discovery.h"
#include "flow_limits.h"

struct proxy;

/* What the file says about the daemon itself. */
struct config {
	int log_level; /* -1: not said */
	int xdp;       /* -1: not said */
	struct flows_limits flows;
	struct discovery_settings discovery;
	void *tree;
};

/* Reads and checks PATH; nothing is changed yet.  A missing file is an error
 * only when MUST_EXIST.  Returns 0 or a negative errno with "FILE:LINE: what" in ERR. */
int config_read(const char *path, bool must_exist, struct config *config, char *err,
		size_t err_len);

/* Applies it: registrars, then ports.  What cannot be applied now is logged and
 * left out; what is there already stays as it is.  Returns how many items failed. */
int config_apply(const struct config *config, struct proxy *proxy);

void config_free(struct config *config);

#endif
