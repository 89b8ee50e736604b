/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpledge swarm: thousands of pledges from one process, each with a link-local address, an IDevID
 * and a DTLS session of its own.  Each enrols as `jpledge enroll' does; here is when they start,
 * and what came of it.
 */
#include <argp.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "addr.h"
#include "addresses.h"
#include "clock.h"
#include "coaploop.h"
#include "est_client.h"
#include "jpledge.h"
#include "table.h"
#include "usage.h"

#define TICK_MS	    10
#define REASONS_MAX 16
#define REASON_LEN  120
#define OTHER_FDS   32

#define STRING_(x)  #x
#define STRING(x)   STRING_(x)
#define PROXIES_MAX 16

enum {
	OPT_PROXY = 256,
	OPT_IDENTITIES,
	OPT_CA,
	OPT_COUNT,
	OPT_FIRST,
	OPT_RATE,
	OPT_ONE_ADDRESS,
	OPT_JSON
};

static const struct argp_option option_list[] = {
	{ "proxy", OPT_PROXY, "[ADDR%IF]:PORT", 0,
	  "The join port, or a Registrar's coaps port; several of them, up to " STRING(
		  PROXIES_MAX) ", by turns",
	  0 },
	{ "identities", OPT_IDENTITIES, "DIR", 0, "Where `jpledge mint' put device-N.pem", 0 },
	{ "ca", OPT_CA, "FILE", 0, "Believe only Registrars of this CA", 0 },
	{ "count", OPT_COUNT, "N", 0, "How many pledges (100)", 0 },
	{ "first", OPT_FIRST, "N", 0, "The number of the first one's identity (1)", 0 },
	{ "rate", OPT_RATE, "N", 0, "How many begin in a second (100)", 0 },
	{ "one-address", OPT_ONE_ADDRESS, NULL, 0, "All from the interface's own address", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

struct options {
	const char *identities, *ca;
	struct sockaddr_in6 proxies[PROXIES_MAX]; /* by turns */
	unsigned int proxy_count;
	unsigned int count, first, rate;
	bool one_address, json;
};

struct swarm;

struct member {
	struct swarm *swarm;
	struct est_client *client;
	struct est_config config;
	struct sockaddr_in6 from;
	char identity[300];
	uint64_t since, handshake_ms;
};

struct swarm {
	const struct options *options;
	struct event_base *base;
	struct coaploop *loop;
	struct event *tick;
	struct member *members;
	unsigned int begun, active, most, enrolled, failed, waits, sessions;
	unsigned int flights_again, messages_again;
	uint64_t since, shown;
	unsigned int *handshakes, *enrolments; /* ms, of those that were done */
	unsigned int handshake_count;
	struct {
		char why[REASON_LEN];
		unsigned int count;
	} reasons[REASONS_MAX];
	bool interrupted;
};

/* ---- the command line ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char err[160];

	switch (key) {
	case OPT_PROXY:
		if (o->proxy_count == PROXIES_MAX)
			argp_error(state, "--proxy: not more than %d", PROXIES_MAX);
		if (jpx_endpoint_parse(arg, 5684, &o->proxies[o->proxy_count++], err, sizeof(err)))
			argp_error(state, "--proxy: %s", err);
		break;
	case OPT_IDENTITIES:
		o->identities = arg;
		break;
	case OPT_CA:
		o->ca = arg;
		break;
	case OPT_COUNT:
		o->count = usage_check_number(state, "--count", arg, 1, ADDRESSES_MAX);
		break;
	case OPT_FIRST:
		o->first = usage_check_number(state, "--first", arg, 1, 99999999);
		break;
	case OPT_RATE:
		o->rate = usage_check_number(state, "--rate", arg, 1, 1000000);
		break;
	case OPT_ONE_ADDRESS:
		o->one_address = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is no option", arg);
		break;
	case ARGP_KEY_END:
		if (!o->proxy_count)
			argp_error(state, "--proxy is missing: where do they go? `jpledge discover "
					  "IF' tells");
		if (!o->identities)
			argp_error(
				state,
				"--identities is missing: `jpledge mint DIR --count N' makes them");
		/* Elsewhere many addresses would have to be routed. */
		for (unsigned int i = 0; i < o->proxy_count; i++)
			if (!IN6_IS_ADDR_LINKLOCAL(&o->proxies[i].sin6_addr))
				o->one_address = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- each of them ---- */

static void note_reason(struct swarm *s, const char *why)
{
	unsigned int i;

	for (i = 0; i < REASONS_MAX - 1 && s->reasons[i].count; i++)
		if (!strncmp(s->reasons[i].why, why, REASON_LEN - 1))
			break;
	if (!s->reasons[i].count)
		snprintf(s->reasons[i].why, REASON_LEN, "%s",
			 i < REASONS_MAX - 1 ? why : "other reasons");
	s->reasons[i].count++;
}

static void end_if_done(struct swarm *s)
{
	if (!s->active && s->begun == s->options->count)
		event_base_loopbreak(s->base);
}

static void on_step(void *arg, enum est_step step)
{
	struct member *m = arg;

	if (step == EST_CACERTS && !m->handshake_ms) {
		m->handshake_ms = jpx_now_ms() - m->since;
		m->swarm->handshakes[m->swarm->handshake_count++] = (unsigned int)m->handshake_ms;
	}
	if (step == EST_WAIT)
		m->swarm->waits++;
}

static void on_done(void *arg, const struct est_result *result)
{
	struct member *m = arg;
	struct swarm *s = m->swarm;

	if (result->why) {
		s->failed++;
		note_reason(s, result->why);
	} else {
		s->enrolments[s->enrolled++] = (unsigned int)(jpx_now_ms() - m->since);
	}
	s->sessions += result->sessions;
	s->flights_again += result->dtls.flights_again;
	s->messages_again += result->dtls.messages_again;
	s->active--;
	est_client_free(m->client);
	m->client = NULL;
	end_if_done(s);
}

static void begin(struct swarm *s)
{
	static const struct est_events events = { on_step, on_done };
	struct member *m = &s->members[s->begun];
	const struct sockaddr_in6 *proxy = &s->options->proxies[s->begun % s->options->proxy_count];
	char err[400];

	m->swarm = s;
	snprintf(m->identity, sizeof(m->identity), "%s/device-%u.pem", s->options->identities,
		 s->options->first + s->begun);
	m->config = (struct est_config){ .patience_s = EST_PATIENCE_S,
					 .server = *proxy,
					 .key = m->identity,
					 .cert = m->identity,
					 .ca = s->options->ca };
	if (!s->options->one_address) {
		m->from = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						 .sin6_addr = addresses_nth(s->begun),
						 .sin6_scope_id = proxy->sin6_scope_id };
		m->config.from = &m->from;
	}
	s->begun++;
	m->since = jpx_now_ms();
	m->client = est_client_new(s->base, s->loop, &m->config, &events, m, err, sizeof(err));
	if (!m->client) {
		s->failed++;
		note_reason(s, err);
		return;
	}
	if (++s->active > s->most)
		s->most = s->active;
}

static void progress(struct swarm *s, uint64_t now)
{
	if (s->options->json || now - s->shown < 500 || !isatty(STDERR_FILENO))
		return;
	s->shown = now;
	fprintf(stderr, "\r\033[K%u of %u begun, %u at it, %u enrolled, %u failed, %.0f s",
		s->begun, s->options->count, s->active, s->enrolled, s->failed,
		(double)(now - s->since) / 1000);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct swarm *s = arg;
	uint64_t now = jpx_now_ms(), due = (now - s->since) * s->options->rate / 1000 + 1;

	(void)fd;
	(void)what;
	while (s->begun < s->options->count && s->begun < due)
		begin(s);
	progress(s, now);
	end_if_done(s);
}

static void on_interrupt(evutil_socket_t fd, short what, void *arg)
{
	struct swarm *s = arg;

	(void)fd;
	(void)what;
	s->interrupted = true;
	event_base_loopbreak(s->base);
}

/* ---- what came of it ---- */

static int by_number(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

/* The value that PERCENT of COUNT sorted ones do not exceed. */
static unsigned int percentile(const unsigned int *sorted, unsigned int count, unsigned int percent)
{
	return count ? sorted[(count * percent + 99) / 100 - 1] : 0;
}

static void row(struct table *t, const char *name, const unsigned int *ms, unsigned int count)
{
	table_cell(t, "%s", name);
	table_cell(t, "%u", count);
	for (unsigned int i = 0; i < 4; i++) {
		static const unsigned int percents[] = { 50, 90, 99, 100 };

		table_cell(t, "%.3f", (double)percentile(ms, count, percents[i]) / 1000);
	}
}

static json_t *times_json(const unsigned int *ms, unsigned int count)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i}", "count", count, "p50",
			 percentile(ms, count, 50), "p90", percentile(ms, count, 90), "p99",
			 percentile(ms, count, 99), "max", percentile(ms, count, 100));
}

static int tell(struct swarm *s)
{
	static const char *const headings[] = { "", ">COUNT", ">P50 s", ">P90", ">P99", ">MAX" };
	double seconds = (double)(jpx_now_ms() - s->since) / 1000;
	json_t *object, *reasons;
	struct table *t;
	int ret;

	qsort(s->handshakes, s->handshake_count, sizeof(*s->handshakes), by_number);
	qsort(s->enrolments, s->enrolled, sizeof(*s->enrolments), by_number);
	if (s->options->json) {
		reasons = json_object();
		for (unsigned int i = 0; i < REASONS_MAX && s->reasons[i].count; i++)
			json_object_set_new(reasons, s->reasons[i].why,
					    json_integer(s->reasons[i].count));
		object = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:{s:i, s:i}, s:f, s:o, s:o, "
				   "s:o}",
				   "pledges", s->options->count, "enrolled", s->enrolled, "failed",
				   s->failed, "at_once", s->most, "waits", s->waits, "sessions",
				   s->sessions, "retransmissions", "handshake", s->flights_again,
				   "coap", s->messages_again, "seconds", seconds, "handshake_ms",
				   times_json(s->handshakes, s->handshake_count), "enrolment_ms",
				   times_json(s->enrolments, s->enrolled), "reasons", reasons);
		ret = object ? json_dumpf(object, stdout, JSON_COMPACT) : -1;
		json_decref(object);
		if (ret)
			return jpledge_fail("cannot print the answer as JSON; is the disk full?");
		putchar('\n');
	} else {
		printf("%u of %u pledges enrolled in %.1f s, %.0f a second, up to %u at once\n",
		       s->enrolled, s->options->count, seconds, s->enrolled / seconds, s->most);
		t = table_new(6, headings);
		row(t, "handshake", s->handshakes, s->handshake_count);
		row(t, "enrolment", s->enrolments, s->enrolled);
		table_print(t);
		printf("retransmissions: %u flights of handshakes, %u CoAP messages\n",
		       s->flights_again, s->messages_again);
		if (s->sessions > s->enrolled + s->failed)
			printf("%u sessions were lost and made anew\n",
			       s->sessions - s->enrolled - s->failed);
		for (unsigned int i = 0; i < REASONS_MAX && s->reasons[i].count; i++)
			printf("%u failed: %s\n", s->reasons[i].count, s->reasons[i].why);
	}
	return s->enrolled == s->options->count ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- beginning and end ---- */

/* A socket each, and the files that OpenSSL reads meanwhile. */
static int fit_descriptors(unsigned int count)
{
	struct rlimit limit;
	rlim_t want = (rlim_t)count + OTHER_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < want) {
		limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > want
					 ? want
					 : limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			return -errno;
	}
	return limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= want ? 0 : -EMFILE;
}

static int run(struct swarm *s)
{
	struct event *interrupt = evsignal_new(s->base, SIGINT, on_interrupt, s);
	struct event *terminate = evsignal_new(s->base, SIGTERM, on_interrupt, s);
	int ret = -1;

	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	s->since = jpx_now_ms();
	if (interrupt && terminate && s->tick && !event_add(interrupt, NULL) &&
	    !event_add(terminate, NULL) &&
	    !event_add(s->tick, &(struct timeval){ .tv_usec = TICK_MS * 1000 }))
		ret = event_base_dispatch(s->base);
	if (!s->options->json && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	for (unsigned int i = 0; i < s->begun; i++)
		if (s->members[i].client) {
			s->failed++;
			note_reason(s, "interrupted");
			est_client_free(s->members[i].client);
		}
	if (interrupt)
		event_free(interrupt);
	if (terminate)
		event_free(terminate);
	if (s->tick)
		event_free(s->tick);
	return ret;
}

/* The Nth proxy's interface; 0: one before it is there, too. */
static unsigned int new_interface(const struct options *o, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (o->proxies[i].sin6_scope_id == o->proxies[n].sin6_scope_id)
			return 0;
	return o->proxies[n].sin6_scope_id;
}

static void remove_addresses(const struct options *o, unsigned int interfaces)
{
	for (unsigned int i = 0; i < interfaces; i++)
		if (new_interface(o, i))
			addresses_remove(new_interface(o, i), o->count);
}

/* Each interface has them all. */
static int add_addresses(const struct options *o, char *err, size_t err_len)
{
	for (unsigned int i = 0; i < o->proxy_count; i++) {
		if (!new_interface(o, i) ||
		    !addresses_add(new_interface(o, i), o->count, err, err_len))
			continue;
		remove_addresses(o, i);
		return -1;
	}
	return 0;
}

static int swarm(const struct options *o)
{
	struct swarm s = { .options = o, .base = event_base_new() };
	bool addressed = false;
	char err[200] = "";
	int ret;

	s.loop = s.base ? coaploop_new(s.base) : NULL;
	s.members = calloc(o->count, sizeof(*s.members));
	s.handshakes = calloc(o->count, sizeof(*s.handshakes));
	s.enrolments = calloc(o->count, sizeof(*s.enrolments));
	if (!s.loop || !s.members || !s.handshakes || !s.enrolments)
		ret = jpledge_fail("no memory for %u pledges, or no descriptors", o->count);
	else if (fit_descriptors(o->count))
		ret = jpledge_fail(
			"%u pledges take as many open files and some; raise that limit (ulimit -n)",
			o->count);
	else if (!o->one_address && add_addresses(o, err, sizeof(err)))
		ret = jpledge_fail("%s", err);
	else {
		addressed = !o->one_address;
		ret = run(&s) < 0 ? jpledge_fail("the event loop failed: %s", strerror(errno))
				  : tell(&s);
	}
	if (addressed)
		remove_addresses(o, o->proxy_count);
	coaploop_free(s.loop);
	if (s.base)
		event_base_free(s.base);
	free(s.members);
	free(s.handshakes);
	free(s.enrolments);
	return ret;
}

int cmd_swarm(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = parse,
		.doc = "Lets many pledges enrol through join ports, each with an identity, a "
		       "link-local address and a "
		       "DTLS session of its own, and tells how long it took and what failed. "
		       "Nothing is stored.",
	};
	struct options o = { .count = 100, .first = 1, .rate = 100 };

	argv[0] = "jpledge swarm";
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return swarm(&o);
}
