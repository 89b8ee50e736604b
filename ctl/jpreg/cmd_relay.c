/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpreg without a verb, or `jpreg relay': a JPY port in front of any DTLS server.  Here: its
 * command line.  What is relayed and how is in relay.c.
 */
#include <argp.h>
#include <stdlib.h>

#include "addr.h"
#include "jpreg.h"
#include "log.h"
#include "options.h"
#include "relay.h"
#include "service.h"
#include "usage.h"

#define DEFAULT_LISTEN	"[::]:7634"
#define DEFAULT_IDLE	300
#define DEFAULT_PLEDGES 4096
#define MAX_IDLE	86400
#define MAX_PLEDGES	60000 /* each needs a UDP port of its own */

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

enum { OPT_SERVER = 256, OPT_LISTEN, OPT_IDLE, OPT_MAX_PLEDGES, OPT_TRACE, OPT_LOG_LEVEL };

static const struct argp_option options[] = {
	{ "server", OPT_SERVER, "[ADDR]:PORT", 0, "The DTLS server to hand pledges to", 0 },
	{ "listen", OPT_LISTEN, "[ADDR]:PORT", 0, "Where to take JPY messages (" DEFAULT_LISTEN ")",
	  0 },
	{ "idle", OPT_IDLE, "SECONDS", 0,
	  "Forget a pledge after this time of rest (" STRING(DEFAULT_IDLE) ")", 0 },
	{ "max-pledges", OPT_MAX_PLEDGES, "N", 0,
	  "Hold at most N pledges at a time (" STRING(DEFAULT_PLEDGES) ")", 0 },
	{ "trace", OPT_TRACE, NULL, 0, "Print each JPY message, decoded field by field", 0 },
	{ "log-level", OPT_LOG_LEVEL, "LEVEL", 0, "error, warning, info (default) or debug", 0 },
	{ 0 },
};

static const char doc[] =
	"The Registrar's JPY port for any DTLS server."
	"\vEach pledge that a stateless Join Proxy stands for reaches the server as a UDP client "
	"with a port of its own; the server needs to know nothing of JPY. Every JPY form is "
	"understood, and answers go back in the form of the question.\n\n"
	"SIGUSR1 prints the counters as a line of JSON, SIGTERM and SIGINT end the program.";

struct settings {
	struct jpx_relay_config relay;
	enum jpx_log_level log_level;
	bool have_server;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;

	switch (key) {
	case OPT_SERVER:
		option_endpoint(state, "--server", arg, &s->relay.server);
		s->have_server = true;
		break;
	case OPT_LISTEN:
		option_endpoint(state, "--listen", arg, &s->relay.listen);
		break;
	case OPT_IDLE:
		s->relay.idle_s = usage_check_number(state, "--idle", arg, 1, MAX_IDLE);
		break;
	case OPT_MAX_PLEDGES:
		s->relay.max_pledges =
			usage_check_number(state, "--max-pledges", arg, 1, MAX_PLEDGES);
		break;
	case OPT_TRACE:
		s->relay.trace = true;
		break;
	case OPT_LOG_LEVEL:
		s->log_level = option_log_level(state, arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is no option", arg);
		break;
	case ARGP_KEY_END:
		if (!s->have_server)
			argp_error(state, "--server is missing: where is the DTLS server? "
					  "For example --server [::1]:5684");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct program {
	struct service *service;
	struct jpx_relay *relay;
	struct jpx_reg_counters counters;
};

static char *report(void *arg)
{
	const struct program *p = arg;

	return jpx_reg_counters_json(&p->counters, jpx_relay_pledges(p->relay));
}

static int run(struct program *p, const struct jpx_relay_config *config)
{
	char from[JPX_ENDPOINT_STRLEN], to[JPX_ENDPOINT_STRLEN];

	p->relay = jpx_relay_new(service_base(p->service), config, &p->counters);
	if (!p->relay)
		return -1;
	jpx_info("taking JPY messages on %s for the server at %s, %u pledges at most",
		 jpx_endpoint_format(&config->listen, from, sizeof(from)),
		 jpx_endpoint_format(&config->server, to, sizeof(to)), config->max_pledges);
	return service_run(p->service, report, p);
}

int cmd_relay(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = parse_option, .doc = doc };
	struct settings settings = {
		.relay = { .idle_s = DEFAULT_IDLE, .max_pledges = DEFAULT_PLEDGES },
		.log_level = JPX_LOG_INFO,
	};
	struct program program = { 0 };
	char err[160];
	int ret = -1;

	if (jpx_endpoint_parse(DEFAULT_LISTEN, 0, &settings.relay.listen, err, sizeof(err)))
		return EXIT_FAILURE;
	argv[0] = "jpreg relay";
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	jpx_log_init("jpreg", settings.log_level);
	if (service_fit_descriptors(&settings.relay.max_pledges))
		return EXIT_FAILURE;
	program.service = service_new();
	if (program.service)
		ret = run(&program, &settings.relay);
	jpx_relay_free(program.relay);
	service_free(program.service);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
