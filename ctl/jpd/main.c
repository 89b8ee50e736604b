/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpd: command line, start and stop.  Everything in between happens in the
 * modules, on one event loop and one thread.
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

#include "../common/control.h"
#include "config.h"
#include "control.h"
#include "discovery.h"
#include "log.h"
#include "privilege.h"
#include "proxy.h"

const char *argp_program_version = "jpd " JPX_VERSION;

struct options {
	const char *config, *run_dir, *pin_dir;
	int log_level;
};

struct daemon {
	struct event_base *base;
	const struct options *options;
	struct control_subject subject;
};

static const struct argp_option option_table[] = {
	{ "config", 'c', "FILE", 0, "configuration file (default " JPX_CONFIG_FILE ")", 0 },
	{ "run-dir", 'r', "DIR", 0, "where the control socket is (default " JPX_RUN_DIR ")", 0 },
	{ "pin-dir", 'p', "DIR", 0,
	  "where the fast path is pinned, on a BPF file system (default " JPX_PIN_DIR ")", 0 },
	{ "log-level", 'l', "LEVEL", 0, "error, warning, info (default) or debug", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'c':
		o->config = arg;
		return 0;
	case 'r':
		o->run_dir = arg;
		return 0;
	case 'p':
		o->pin_dir = arg;
		return 0;
	case 'l':
		o->log_level = jpx_log_level_by_name(arg);
		if (o->log_level < 0)
			argp_error(state, "log level \"%s\" is none of error, warning, info, debug",
				   arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one word too many; jpctl does the attaching", arg);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static int load_config(const struct options *o, struct config *config)
{
	char err[600];

	if (config_read(o->config ? o->config : JPX_CONFIG_FILE, o->config != NULL, config, err,
			sizeof(err))) {
		jpx_error("%s", err);
		return -1;
	}
	return 0;
}

/* Each pledge port has a socket for each Registrar: soon more than the usual 1024. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		jpx_warning("cannot raise the limit of open files: %s", strerror(errno));
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)sig;
	(void)what;
	sd_notify(0, "STOPPING=1");
	event_base_loopexit(d->base, NULL);
}

static void on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	struct config config;

	(void)sig;
	(void)what;
	sd_notify(0, "RELOADING=1");
	if (load_config(d->options, &config) == 0) {
		int failed;

		proxy_set_flow_limits(d->subject.proxy, &config.flows);
		failed = config_apply(&config, d->subject.proxy);
		discovery_set(d->subject.discovery, &config.discovery);
		jpx_info("configuration applied again, %d item%s failed", failed,
			 failed == 1 ? "" : "s");
		config_free(&config);
	}
	sd_notify(0, "READY=1");
}

static int run(struct daemon *d, const struct options *o, const struct config *config)
{
	struct event *term = evsignal_new(d->base, SIGTERM, on_stop, d);
	struct event *intr = evsignal_new(d->base, SIGINT, on_stop, d);
	struct event *hup = evsignal_new(d->base, SIGHUP, on_hup, d);
	struct control *control = NULL;
	char err[600] = "out of memory";
	int ret = EXIT_FAILURE, failed;

	if (!term || !intr || !hup || event_add(term, NULL) || event_add(intr, NULL) ||
	    event_add(hup, NULL))
		goto out;
	/* The control socket first: its lock is what keeps a second jpd off the maps. */
	control = control_new(d->base, o->run_dir, &d->subject, err, sizeof(err));
	if (!control)
		goto out;
	d->subject.proxy = proxy_new(d->base, o->pin_dir, &config->flows, err, sizeof(err));
	if (!d->subject.proxy)
		goto out;
	failed = config_apply(config, d->subject.proxy);
	if (failed)
		jpx_warning("%d item%s of the configuration could not be applied", failed,
			    failed == 1 ? "" : "s");
	d->subject.discovery = discovery_new(d->base, d->subject.proxy, &config->discovery);
	if (!d->subject.discovery) {
		snprintf(err, sizeof(err), "out of memory");
		goto out;
	}
	privilege_drop();
	sd_notify(0, "READY=1\nSTATUS=relaying");
	jpx_info("ready");
	event_base_dispatch(d->base);
	*err = 0;
	ret = EXIT_SUCCESS;
out:
	if (*err)
		jpx_error("%s", err);
	discovery_free(d->subject.discovery);
	proxy_free(d->subject.proxy);
	control_free(control);
	if (term)
		event_free(term);
	if (intr)
		event_free(intr);
	if (hup)
		event_free(hup);
	return ret;
}

int main(int argc, char **argv)
{
	static const char doc[] =
		"Relay DTLS datagrams between pledges and Registrars: the daemon of the "
		"constrained Join Proxy.\vRuns in the foreground. jpctl(8) tells it what to do; "
		"jpd.conf(5) can say the same.";
	struct options o = { .run_dir = JPX_RUN_DIR, .pin_dir = JPX_PIN_DIR, .log_level = -1 };
	struct argp argp = { .options = option_table, .parser = parse_option, .doc = doc };
	struct daemon d = { .options = &o };
	struct config config;
	int ret;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	jpx_log_init("jpd", o.log_level < 0 ? JPX_LOG_INFO : (enum jpx_log_level)o.log_level);
	if (load_config(&o, &config))
		return EXIT_FAILURE;
	if (o.log_level < 0 && config.log_level >= 0)
		jpx_log_init("jpd", (enum jpx_log_level)config.log_level);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	d.base = event_base_new();
	if (!d.base) {
		jpx_error("cannot make an event loop: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	ret = run(&d, &o, &config);
	config_free(&config);
	event_base_free(d.base);
	return ret;
}
