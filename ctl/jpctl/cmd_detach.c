/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl detach: stop serving pledges on an interface. */
#include <stdlib.h>
#include <string.h>

#include "service_args.h"
#include "table.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **ifname = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state,
				   "\"%s\" is one argument too many: detach takes one "
				   "interface at a time",
				   arg);
		usage_check_ifname(state, "IF", arg);
		*ifname = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the interface is missing; jpctl status lists them");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int cmd_detach(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "IF",
		.doc = "Stops serving pledges on the interface IF. When the last one goes, so does "
		       "the fast path.",
	};
	const char *ifname = NULL, *detached;
	json_t *request, *result = NULL;
	int ret;

	jpctl_parse(ctl, "jpctl detach", &argp, &ifname, argc, argv);
	request = json_pack("{s:s, s:s}", "verb", "detach", "ifname", ifname);
	if (!request)
		return jpctl_fail("IF: the name is not UTF-8; jpctl status lists the interfaces");
	ret = service_request(ctl, request, &result);
	if (!ret && ctl->json) {
		ret = jpctl_print_json(result);
	} else if (!ret) {
		detached = json_string_value(json_object_get(result, "ifname"));
		table_line(false, "%s: detached", detached ? detached : ifname);
		service_print_notes(result);
	}
	json_decref(result);
	return ret;
}
