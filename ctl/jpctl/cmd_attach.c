/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl attach: serve pledges on an interface. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service_args.h"
#include "show.h"
#include "table.h"

/* What says nothing without --registrar. */
static const struct {
	const char *key, *option;
} of_registrar[] = {
	{ "mode", "--mode" },
	{ "jpy", "--jpy" },
	{ "join_port", "--join-port" },
	{ "uplink", "--uplink" },
	{ "content", "--content" },
	{ "intercept", "--intercept" },
	{ "uplink_addresses", "--uplink-address" },
};

enum { OPT_MAX_FLOWS = 340 };

static const struct argp_option options[] = {
	{ "max-flows", OPT_MAX_FLOWS, "N", 0,
	  "Flows at once on this port, stateful mode (0: per-port of jpd.conf, 10 if it is not "
	  "said)",
	  0 },
	{ 0 },
};

static int flow_count(struct argp_state *state, const char *arg)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || n > 1 << 20)
		argp_error(state, "--max-flows: \"%s\" is no number from 0 to 1048576", arg);
	return (int)n;
}

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
		usage_check_ifname(state, "IF", arg);
		if (json_object_set_new(request, "ifname", json_string(arg)))
			argp_error(state, "IF: the name is not UTF-8");
		break;
	case OPT_MAX_FLOWS:
		json_object_set_new(request, "max_flows", json_integer(flow_count(state, arg)));
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the interface is missing; for example: jpctl attach eth1");
		break;
	case ARGP_KEY_END:
		for (size_t i = 0; i < sizeof(of_registrar) / sizeof(of_registrar[0]); i++)
			if (json_object_get(request, of_registrar[i].key) &&
			    !json_object_get(request, "registrar"))
				argp_error(state,
					   "%s belongs to a Registrar: name it with --registrar, "
					   "or change it with jpctl registrar del and add",
					   of_registrar[i].option);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* What came of it is in the status; without one, that it was done is all there is to say. */
static void print(const struct jpctl *ctl, const char *ifname, const json_t *result)
{
	json_t *request = json_pack("{s:s}", "verb", "status"), *status = NULL;
	const char *served = json_string_value(json_object_get(result, "ifname"));
	const json_t *port;
	char *join_ports;
	size_t i;

	/* Of a radio it is the 6LoWPAN interface on it. */
	if (served)
		ifname = served;

	if (service_request(ctl, request, &status) == EXIT_SUCCESS) {
		json_array_foreach(json_object_get(status, "ports"), i, port)
			if (strcmp(show_text(port, "ifname"), ifname) == 0)
				break;
		port = json_array_get(json_object_get(status, "ports"), i);
		join_ports = show_join_ports(json_object_get(port, "join_ports"));
		table_line(false, "%s: attached%s%s%s%s", ifname, port ? ", " : "",
			   port ? show_text(port, "engine") : "", *join_ports ? ", join port " : "",
			   join_ports);
		free(join_ports);
	}
	json_decref(status);
	service_print_notes(result);
}

int cmd_attach(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp_child children[] = { { &service_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "IF",
		.doc = "Serves pledges on the interface IF, for the Registrar named or, without "
		       "--registrar, for those configured. Attaching again adds a "
		       "Registrar, or changes --xdp.",
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
		print(ctl, ifname ? ifname : "", result);
	json_decref(result);
	free(ifname);
	return ret;
}
