/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See service.h. */
#include "service.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "log.h"

#define OTHER_FDS 32 /* beside the pledges' sockets: loop, log, ports ... */

struct service {
	struct event_base *base;
	struct event *terminate, *interrupt, *report;
	char *(*report_fn)(void *arg);
	void *arg;
};

/* Every pledge costs a file descriptor: asks for as many as may be had, and
 * promises no more pledges than that. */
int service_fit_descriptors(unsigned int *max_pledges)
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

static void on_end(evutil_socket_t signal, short what, void *arg)
{
	struct service *service = arg;

	(void)what;
	jpx_debug("ending on signal %d", (int)signal);
	event_base_loopbreak(service->base);
}

static void on_report(evutil_socket_t signal, short what, void *arg)
{
	struct service *service = arg;
	char *line = service->report_fn ? service->report_fn(service->arg) : NULL;

	(void)signal;
	(void)what;
	if (line)
		printf("%s\n", line);
	fflush(stdout);
	free(line);
}

struct service *service_new(void)
{
	struct service *service = calloc(1, sizeof(*service));

	/* a reader of our output who leaves must not end the service */
	signal(SIGPIPE, SIG_IGN);
	if (!service)
		goto fail;
	service->base = event_base_new();
	if (!service->base)
		goto fail;
	service->terminate = evsignal_new(service->base, SIGTERM, on_end, service);
	service->interrupt = evsignal_new(service->base, SIGINT, on_end, service);
	service->report = evsignal_new(service->base, SIGUSR1, on_report, service);
	if (service->terminate && service->interrupt && service->report &&
	    !event_add(service->terminate, NULL) && !event_add(service->interrupt, NULL) &&
	    !event_add(service->report, NULL))
		return service;
fail:
	jpx_error("cannot set up the event loop: no memory or no descriptors");
	service_free(service);
	return NULL;
}

struct event_base *service_base(struct service *service)
{
	return service->base;
}

int service_run(struct service *service, char *(*report)(void *arg), void *arg)
{
	char *line;
	int err;

	service->report_fn = report;
	service->arg = arg;
	sd_notify(0, "READY=1");
	err = event_base_dispatch(service->base);
	sd_notify(0, "STOPPING=1");
	if (err)
		jpx_error("the event loop failed: %s", strerror(errno));
	line = report(arg);
	if (line)
		jpx_info("%s", line);
	free(line);
	return err ? -EIO : 0;
}

void service_free(struct service *service)
{
	struct event *events[3];

	if (!service)
		return;
	events[0] = service->terminate;
	events[1] = service->interrupt;
	events[2] = service->report;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	if (service->base)
		event_base_free(service->base);
	free(service);
}
