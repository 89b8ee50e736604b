/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See service_args.h. */
#include "service_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jpx/jpy.h>

#include "../common/addr.h"
#include "../common/words.h"
#include "table.h"

enum {
	OPT_REGISTRAR = 320,
	OPT_MODE,
	OPT_JPY,
	OPT_JOIN_PORT,
	OPT_UPLINK,
	OPT_XDP,
	OPT_CONTENT,
	OPT_INTERCEPT,
	OPT_ADDRESS,
	OPT_PRIORITY,
	OPT_WEIGHT,
	OPT_PROBE
};

static const struct argp_option options[] = {
	{ "registrar", OPT_REGISTRAR, "[ADDR]:PORT", 0,
	  "Where the Registrar is; an IPv4 address is written without brackets, ADDR:PORT", 0 },
	{ "mode", OPT_MODE, "MODE", 0, "stateless (default) or stateful", 0 },
	{ "intercept", OPT_INTERCEPT, NULL, 0,
	  "Stateful: serve pledges that send to the Registrar's own address, too", 0 },
	{ "uplink-address", OPT_ADDRESS, "ADDR", 0,
	  "Stateful: an address of this host that flows leave from; may be said again (the one "
	  "that the route gives)",
	  0 },
	{ "jpy", OPT_JPY, "FORM", 0, "JPY form: draft-21 (default), draft-06, draft-02, draft-01",
	  0 },
	{ "join-port", OPT_JOIN_PORT, "N", 0,
	  "UDP port that pledges send to (the first free one from 5684 upwards)", 0 },
	{ "uplink", OPT_UPLINK, "IF", 0, "Interface towards the Registrar (by the routing table)",
	  0 },
	{ "xdp", OPT_XDP, "MODE", 0, "auto (default), native, generic or off", 0 },
	{ "content", OPT_CONTENT, "WHAT", 0, "What to relay: dtls (default) or any", 0 },
	{ "priority", OPT_PRIORITY, "N", 0,
	  "Only Registrars of the lowest priority that answer are announced to pledges (100)", 0 },
	{ "weight", OPT_WEIGHT, "N", 0, "Share among Registrars of one priority (1)", 0 },
	{ "probe", OPT_PROBE, "WHETHER", 0,
	  "Whether to ask the Registrar if it is there when it says nothing: yes (default) or no",
	  0 },
	{ 0 },
};

static const char *mode_word(unsigned int i)
{
	const char *word = jpx_mode_word(i);

	return strcmp(word, "?") ? word : NULL;
}

static const char *xdp_word(unsigned int i)
{
	const char *word = jpx_xdp_word(i);

	return strcmp(word, "?") ? word : NULL;
}

static const char *jpy_word(unsigned int i)
{
	return jpx_form_name((enum jpx_form)i);
}

static const char *content_word(unsigned int i)
{
	return i == 0 ? "dtls" : i == 1 ? "any" : NULL;
}

static const char *whether_word(unsigned int i)
{
	return i == 0 ? "yes" : i == 1 ? "no" : NULL;
}

static void set(struct argp_state *state, const char *key, const char *arg)
{
	if (json_object_set_new(state->input, key, json_string(arg)))
		argp_error(state, "--%s: its value is not UTF-8", key);
}

void service_set_registrar(struct argp_state *state, json_t *request, const char *arg)
{
	struct sockaddr_in6 sa;
	char err[200];

	if (jpx_endpoint_parse(arg, 0, &sa, err, sizeof(err)))
		argp_error(state, "--registrar: %s", err);
	json_object_set_new(request, "registrar", json_string(arg));
}

static void add_address(struct argp_state *state, const char *arg)
{
	json_t *list = json_object_get(state->input, "uplink_addresses");
	struct in6_addr addr;
	char err[200];

	if (jpx_addr_parse(arg, &addr, err, sizeof(err)))
		argp_error(state, "--uplink-address: %s", err);
	if (!list) {
		list = json_array();
		json_object_set_new(state->input, "uplink_addresses", list);
	}
	json_array_append_new(list, json_string(arg));
}

/* ARG as a number from MIN to 65535; WHAT it should be, for who is told that it is none. */
static void set_number(struct argp_state *state, const char *option, const char *key,
		       const char *arg, unsigned long min, const char *what)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || n < min || n > 65535)
		argp_error(state, "%s: \"%s\" is no %s from %lu to 65535", option, arg, what, min);
	json_object_set_new(state->input, key, json_integer((json_int_t)n));
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_REGISTRAR:
		service_set_registrar(state, state->input, arg);
		break;
	case OPT_MODE:
		usage_check_choice(state, "--mode", arg, mode_word);
		set(state, "mode", arg);
		break;
	case OPT_JPY:
		usage_check_choice(state, "--jpy", arg, jpy_word);
		set(state, "jpy", arg);
		break;
	case OPT_JOIN_PORT:
		set_number(state, "--join-port", "join_port", arg, 1, "UDP port");
		break;
	case OPT_PRIORITY:
		set_number(state, "--priority", "priority", arg, 0, "number");
		break;
	case OPT_WEIGHT:
		set_number(state, "--weight", "weight", arg, 0, "number");
		break;
	case OPT_PROBE:
		usage_check_choice(state, "--probe", arg, whether_word);
		json_object_set_new(state->input, "probe", json_boolean(strcmp(arg, "no")));
		break;
	case OPT_UPLINK:
		usage_check_ifname(state, "--uplink", arg);
		set(state, "uplink", arg);
		break;
	case OPT_XDP:
		usage_check_choice(state, "--xdp", arg, xdp_word);
		set(state, "xdp", arg);
		break;
	case OPT_INTERCEPT:
		json_object_set_new(state->input, "intercept", json_true());
		break;
	case OPT_ADDRESS:
		add_address(state, arg);
		break;
	case OPT_CONTENT:
		usage_check_choice(state, "--content", arg, content_word);
		set(state, "content", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp service_argp = { .options = options, .parser = parse_option };

int service_request(const struct jpctl *ctl, json_t *request, json_t **result)
{
	struct client_error error;
	int ret = client_order(ctl->run_dir, request, result, &error);

	json_decref(request);
	return ret ? client_fail(&error) : EXIT_SUCCESS;
}

void service_print_notes(const json_t *result)
{
	json_t *note;
	size_t i;

	json_array_foreach(json_object_get(result, "notes"), i, note)
		if (json_is_string(note))
			table_line(false, "note: %s", json_string_value(note));
}
