/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl registrar: the Registrar services that pledges can be relayed to. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jpx/abi.h>

#include "service_args.h"
#include "show.h"
#include "snapshot.h"
#include "table.h"

static void check_name(struct argp_state *state, const char *name)
{
	bool good = *name && *name != '-' && strlen(name) < JPX_NAME_LEN;

	for (const char *c = name; *c; c++)
		good = good && (isalnum((unsigned char)*c) || strchr("._-", *c));
	if (!good)
		argp_error(state,
			   "NAME: \"%s\" is no name for a Registrar (1 to %d letters, digits, "
			   "\".\", \"_\" and \"-\")",
			   name, JPX_NAME_LEN - 1);
}

/* ---- list ---- */

static error_t parse_list(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "\"%s\" is one argument too many: list takes none", arg);
	return 0;
}

/* Where Registrars are looked for, in one line. */
static void show_looking(const json_t *result)
{
	const json_t *uplinks = json_object_get(result, "looking_on"), *one;
	char names[256] = "";
	size_t i, len = 0;

	if (!json_is_true(json_object_get(result, "looking")))
		return;
	json_array_foreach(uplinks, i, one) {
		if (len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						i ? ", " : "", json_string_value(one));
	}
	table_line(false, "%s", "");
	if (len)
		table_line(false, "Registrars are looked for on %s.", names);
	else
		table_line(true, "Registrars cannot be looked for: no interface is up, has an "
				 "address beyond its link and is no pledge port. Name one in "
				 "jpd.conf: discovery { uplinks = {IF} }");
}

static void show_list(const json_t *result)
{
	const json_t *services = json_object_get(result, "services");
	const json_t *found = json_object_get(result, "found");

	if (json_array_size(services))
		show_services(services, true);
	else
		table_line(false, "No Registrar is known; add one: jpctl registrar add NAME "
				  "[ADDR]:PORT");
	if (json_array_size(found)) {
		table_line(false, "%s", "");
		show_found(found);
	}
	show_looking(result);
}

static int list(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = { .parser = parse_list,
					  .doc = "Lists the Registrar services." };
	json_t *request, *result = NULL;
	struct client_error error;
	char note[768] = "";
	int ret;

	jpctl_parse(ctl, "jpctl registrar list", &argp, NULL, argc, argv);
	request = json_pack("{s:s}", "verb", "registrar-list");
	ret = client_ask(ctl->run_dir, request, &result, &error);
	json_decref(request);
	if (ret == -ECONNREFUSED) {
		json_t *status = NULL;

		ret = snapshot_take(ctl, "status", &status, note, sizeof(note), &error);
		if (!ret)
			result =
				json_pack("{s:O}", "services", json_object_get(status, "services"));
		json_decref(status);
	}
	if (ret)
		return client_fail(&error);
	if (ctl->json) {
		ret = jpctl_print_json(result);
	} else {
		show_list(result);
		if (*note)
			table_line(true, "%s", note);
	}
	json_decref(result);
	return ret;
}

/* ---- add ---- */

static error_t parse_add(int key, char *arg, struct argp_state *state)
{
	json_t *request = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = request;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			check_name(state, arg);
			json_object_set_new(request, "name", json_string(arg));
		} else if (state->arg_num == 1 && !json_object_get(request, "registrar")) {
			service_set_registrar(state, request, arg);
		} else {
			argp_error(state, "\"%s\" is one argument too many", arg);
		}
		break;
	case ARGP_KEY_END:
		if (!json_object_get(request, "name"))
			argp_error(state, "the name is missing; for example: jpctl registrar add "
					  "main [2001:db8::52]:7634");
		if (!json_object_get(request, "registrar"))
			argp_error(state, "--registrar is missing: where is it? For example "
					  "--registrar [2001:db8::52]:7634");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The join port that jpd gave the service called NAME, or 0. */
static int join_port_of(const struct jpctl *ctl, const char *name)
{
	json_t *request = json_pack("{s:s}", "verb", "registrar-list"), *result = NULL;
	const json_t *service;
	int port = 0;
	size_t i;

	service_request(ctl, request, &result);
	json_array_foreach(json_object_get(result, "services"), i, service)
		if (strcmp(show_text(service, "name"), name) == 0)
			port = (int)json_integer_value(json_object_get(service, "join_port"));
	json_decref(result);
	return port;
}

static int add(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp_child children[] = { { &service_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.parser = parse_add,
		.args_doc = "NAME [[ADDR]:PORT]",
		.doc = "Adds a Registrar service. It is served on each pledge port that does not "
		       "name its services.\vAn IPv4 address is written without brackets: "
		       "192.0.2.52:7634.",
		.children = children,
	};
	json_t *request = json_pack("{s:s}", "verb", "registrar-add"), *result = NULL;
	char name[JPX_NAME_LEN], join[32] = "";
	int join_port, ret;

	jpctl_parse(ctl, "jpctl registrar add", &argp, request, argc, argv);
	snprintf(name, sizeof(name), "%s", json_string_value(json_object_get(request, "name")));
	ret = service_request(ctl, request, &result);
	if (!ret && ctl->json) {
		ret = jpctl_print_json(result);
	} else if (!ret) {
		join_port = join_port_of(ctl, name);
		if (join_port)
			snprintf(join, sizeof(join), ", join port %d", join_port);
		table_line(false, "%s: added%s", name, join);
		service_print_notes(result);
	}
	json_decref(result);
	return ret;
}

/* ---- del ---- */

static error_t parse_del(int key, char *arg, struct argp_state *state)
{
	const char **name = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "\"%s\" is one argument too many", arg);
		check_name(state, arg);
		*name = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the name is missing; jpctl registrar list shows them");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int del(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_del,
		.args_doc = "NAME",
		.doc = "Deletes a Registrar service: its join port closes on every pledge port.",
	};
	const char *name = NULL;
	json_t *result = NULL;
	int ret;

	jpctl_parse(ctl, "jpctl registrar del", &argp, &name, argc, argv);
	ret = service_request(ctl, json_pack("{s:s, s:s}", "verb", "registrar-del", "name", name),
			      &result);
	if (!ret && ctl->json) {
		ret = jpctl_print_json(result);
	} else if (!ret) {
		table_line(false, "%s: deleted", name);
		service_print_notes(result);
	}
	json_decref(result);
	return ret;
}

/* ---- which of them ---- */

static const struct {
	const char *name;
	int (*run)(struct jpctl *ctl, int argc, char **argv);
} actions[] = { { "list", list }, { "add", add }, { "del", del } };
#define ACTION_COUNT (sizeof(actions) / sizeof(actions[0]))

static const char *action_word(unsigned int i)
{
	return i < ACTION_COUNT ? actions[i].name : NULL;
}

struct command {
	struct jpctl *ctl;
	size_t action;
	int at; /* index of the action in argv */
};

static error_t parse_action(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = command->ctl;
		break;
	case ARGP_KEY_ARG:
		usage_check_choice(state, "registrar", arg, action_word);
		while (strcmp(arg, actions[command->action].name) != 0)
			command->action++;
		command->at = state->next - 1;
		state->next = state->argc;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int cmd_registrar(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp_child children[] = { { &jpctl_common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.parser = parse_action,
		.args_doc = "[list]\nadd NAME [ADDR]:PORT [OPTION...]\ndel NAME",
		.doc = "Lists (the default), adds or deletes Registrar services."
		       "\v`jpctl registrar add --help' tells what describes a Registrar.",
		.children = children,
	};
	/* without a word more it is a list */
	struct command command = { .ctl = ctl, .at = argc - 1 };

	argv[0] = "jpctl registrar";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
	return actions[command.action].run(ctl, argc - command.at, argv + command.at);
}
