/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpreg, the Registrar's end of a stateless Join Proxy: a JPY port in front of any
 * DTLS server.  Here: the command line, the limits of the process, and the loop
 * with its signals.  What is relayed and how is in relay.c.
 */
#include <argp.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "../common/addr.h"
#include "../common/log.h"
#include "relay.h"

#define DEFAULT_LISTEN	"[::]:7634"
#define DEFAULT_IDLE	300
#define DEFAULT_PLEDGES 4096
#define MAX_IDLE	86400
#define MAX_PLEDGES	60000 /* each needs a UDP port of its own */
#define OTHER_FDS	32    /* beside the pledges' sockets: loop, log, JPY socket ... */

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

const char *argp_program_version = "jpreg " JPX_VERSION;

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

static void parse_endpoint(struct argp_state *state, const char *option, const char *arg,
			   struct sockaddr_in6 *out)
{
	char err[160];

	if (jpx_endpoint_parse(arg, 0, out, err, sizeof(err)))
		argp_error(state, "%s: %s", option, err);
}

static unsigned int parse_number(struct argp_state *state, const char *option, const char *arg,
				 unsigned int max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || n < 1 || n > max)
		argp_error(state, "%s: \"%s\" is no number from 1 to %u", option, arg, max);
	return (unsigned int)n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;
	int level;

	switch (key) {
	case OPT_SERVER:
		parse_endpoint(state, "--server", arg, &s->relay.server);
		s->have_server = true;
		break;
	case OPT_LISTEN:
		parse_endpoint(state, "--listen", arg, &s->relay.listen);
		break;
	case OPT_IDLE:
		s->relay.idle_s = parse_number(state, "--idle", arg, MAX_IDLE);
		break;
	case OPT_MAX_PLEDGES:
		s->relay.max_pledges = parse_number(state, "--max-pledges", arg, MAX_PLEDGES);
		break;
	case OPT_TRACE:
		s->relay.trace = true;
		break;
	case OPT_LOG_LEVEL:
		level = jpx_log_level_by_name(arg);
		if (level < 0)
			argp_error(state,
				   "--log-level: \"%s\" is none of error, warning, info, debug",
				   arg);
		s->log_level = (enum jpx_log_level)level;
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

/* Every pledge costs a file descriptor: asks for as many as may be had, and
 * promises no more pledges than that. */
static int fit_descriptors(unsigned int *max_pledges)
{
	rlim_t want = (rlim_t)*max_pledges + OTHER_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < want) {
		if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > want)
			limit.rlim_cur = want;
		else
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			return -errno;
	}
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= want)
		return 0;
	if (limit.rlim_cur <= OTHER_FDS) {
		jpx_error("a limit of %llu open files leaves none for pledges; raise it "
			  "(ulimit -n, LimitNOFILE= in a unit)",
			  (unsigned long long)limit.rlim_cur);
		return -EMFILE;
	}
	*max_pledges = (unsigned int)(limit.rlim_cur - OTHER_FDS);
	jpx_warning("holding at most %u pledges, as no more than %llu files may be open; raise "
		    "that limit (ulimit -n, LimitNOFILE= in a unit) or lower --max-pledges",
		    *max_pledges, (unsigned long long)limit.rlim_cur);
	return 0;
}

/* ---- the loop ---- */

struct program {
	struct event_base *base;
	struct jpx_relay *relay;
	struct jpx_reg_counters counters;
	struct event *terminate, *interrupt, *report;
};

static void on_end(evutil_socket_t signal, short what, void *arg)
{
	struct program *p = arg;

	(void)what;
	jpx_debug("ending on signal %d", (int)signal);
	event_base_loopbreak(p->base);
}

static char *report(const struct program *p)
{
	return jpx_reg_counters_json(&p->counters, jpx_relay_pledges(p->relay));
}

static void on_report(evutil_socket_t signal, short what, void *arg)
{
	char *line = report(arg);

	(void)signal;
	(void)what;
	if (line)
		printf("%s\n", line);
	fflush(stdout);
	free(line);
}

static int watch_signals(struct program *p)
{
	p->terminate = evsignal_new(p->base, SIGTERM, on_end, p);
	p->interrupt = evsignal_new(p->base, SIGINT, on_end, p);
	p->report = evsignal_new(p->base, SIGUSR1, on_report, p);
	if (!p->terminate || !p->interrupt || !p->report || event_add(p->terminate, NULL) ||
	    event_add(p->interrupt, NULL) || event_add(p->report, NULL))
		return -ENOMEM;
	return 0;
}

static int run(struct program *p, const struct jpx_relay_config *config)
{
	char from[JPX_ENDPOINT_STRLEN], to[JPX_ENDPOINT_STRLEN];
	char *line;
	int err;

	p->base = event_base_new();
	if (!p->base || watch_signals(p)) {
		jpx_error("cannot set up the event loop: no memory or no descriptors");
		return -ENOMEM;
	}
	p->relay = jpx_relay_new(p->base, config, &p->counters);
	if (!p->relay)
		return -EIO;
	jpx_info("taking JPY messages on %s for the server at %s, %u pledges at most",
		 jpx_endpoint_format(&config->listen, from, sizeof(from)),
		 jpx_endpoint_format(&config->server, to, sizeof(to)), config->max_pledges);
	sd_notify(0, "READY=1");
	err = event_base_dispatch(p->base);
	sd_notify(0, "STOPPING=1");
	if (err)
		jpx_error("the event loop failed: %s", strerror(errno));
	line = report(p);
	if (line)
		jpx_info("%s", line);
	free(line);
	return err ? -EIO : 0;
}

static void program_end(struct program *p)
{
	struct event *events[] = { p->terminate, p->interrupt, p->report };

	jpx_relay_free(p->relay);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	if (p->base)
		event_base_free(p->base);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = parse_option, .doc = doc };
	struct settings settings = {
		.relay = { .idle_s = DEFAULT_IDLE, .max_pledges = DEFAULT_PLEDGES },
		.log_level = JPX_LOG_INFO,
	};
	struct program program = { 0 };
	char err[160];
	int ret;

	argp_err_exit_status = 2;
	if (jpx_endpoint_parse(DEFAULT_LISTEN, 0, &settings.relay.listen, err, sizeof(err)))
		return EXIT_FAILURE;
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	jpx_log_init("jpreg", settings.log_level);
	/* a reader of our output who leaves must not end the relay */
	signal(SIGPIPE, SIG_IGN);
	if (fit_descriptors(&settings.relay.max_pledges))
		return EXIT_FAILURE;
	ret = run(&program, &settings.relay);
	program_end(&program);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
