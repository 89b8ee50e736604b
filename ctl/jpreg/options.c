/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See options.h. */
#include "options.h"

#include "addr.h"

void option_endpoint(struct argp_state *state, const char *option, const char *arg,
		     struct sockaddr_in6 *out)
{
	char err[160];

	if (jpx_endpoint_parse(arg, 0, out, err, sizeof(err)))
		argp_error(state, "%s: %s", option, err);
}

enum jpx_log_level option_log_level(struct argp_state *state, const char *arg)
{
	int level = jpx_log_level_by_name(arg);

	if (level < 0)
		argp_error(state, "--log-level: \"%s\" is none of error, warning, info, debug",
			   arg);
	return (enum jpx_log_level)level;
}
