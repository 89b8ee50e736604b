/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl attach: serve pledges on an interface. */
#include <stdlib.h>
#include <string.h>

#include "service_args.h"
#include "show.h"
#include "table.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	json_t *request = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = request;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state,
				   "\"%s\" is one argument too many: attach takes one "
				   "interface at a time",
				   arg);
		jpctl_check_ifname(state, "IF", arg);
		if (json_object_set_new(request, "ifname", json_string(arg)))
			argp_error(state, "IF: the name is not UTF-8");
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the interface is missing; for example: jpctl attach eth1");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void print(const char *asked_for, const json_t *result)
{
	const char *ifname = json_string_value(json_object_get(result, "ifname"));
	const char *engine = json_string_value(json_object_get(result, "engine"));
	char *ports = show_join_ports(json_object_get(result, "join_ports"));
	char on[96] = "";

	/* on an 802.15.4 interface it is the one stacked on it that was attached */
	if (ifname && strcmp(ifname, asked_for) != 0)
		snprintf(on, sizeof(on), " (asked for: %s)", asked_for);
	table_line(false, "%s: attached%s%s%s%s%s", ifname ? ifname : asked_for, on,
		   engine ? ", " : "", engine ? engine : "", *ports ? ", join ports: " : "", ports);
	free(ports);
	service_print_notes(result);
}

int cmd_attach(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp_child children[] = { { &service_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "IF",
		.doc = "Serves pledges on the interface IF, for the Registrar named or, without "
		       "--registrar, for those configured. Attaching again changes what is "
		       "attached.",
		.children = children,
	};
	json_t *request = json_pack("{s:s}", "verb", "attach"), *result = NULL;
	char *ifname;
	int ret;

	jpctl_parse(ctl, "jpctl attach", &argp, request, argc, argv);
	ifname = strdup(json_string_value(json_object_get(request, "ifname")));
	ret = service_request(ctl, request, &result);
	if (!ret && ctl->json)
		ret = jpctl_print_json(result);
	else if (!ret)
		print(ifname ? ifname : "", result);
	json_decref(result);
	free(ifname);
	return ret;
}
