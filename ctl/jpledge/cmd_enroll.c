/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpledge enroll and jpledge reenroll: one pledge gets its certificate.  The protocol is
 * est_client.c's; here is where the proxy is, what a person sees, and where key and certificate are
 * kept.
 */
#include <argp.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "certs.h"
#include "clock.h"
#include "coaploop.h"
#include "est_client.h"
#include "find.h"
#include "jpledge.h"
#include "pemfile.h"
#include "usage.h"

#define FIND_S	  10 /* an answer to a group may take its leisure of 5 s */
#define NAME_MAX_ 300

#define STRING_(x)  #x
#define STRING(x)   STRING_(x)
#define TIMEOUT_MAX 3600

enum {
	OPT_PROXY = 256,
	OPT_IDENTITY,
	OPT_CA,
	OPT_OUT,
	OPT_SERVER_KEYGEN,
	OPT_TIMEOUT,
	OPT_PROFILE,
	OPT_ATTRIBUTES,
	OPT_JSON
};

static const struct argp_option option_list[] = {
	{ "proxy", OPT_PROXY, "[ADDR%IF]:PORT", 0,
	  "The join port, or a Registrar's coaps port, instead of looking for one on IF", 0 },
	{ "identity", OPT_IDENTITY, "FILE", 0,
	  "Our key and certificate in PEM: the IDevID (of reenroll: DIR/ldevid.pem)", 0 },
	{ "ca", OPT_CA, "FILE", 0,
	  "Believe only Registrars of this CA (of reenroll: DIR/ca.pem); without it, any", 0 },
	{ "out", OPT_OUT, "DIR", 0, "Where ldevid.pem and ca.pem go (.)", 0 },
	{ "server-keygen", OPT_SERVER_KEYGEN, NULL, 0, "Let the Registrar make the key", 0 },
	{ "attributes", OPT_ATTRIBUTES, NULL, 0,
	  "Ask first which attributes the request should have", 0 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0,
	  "How long a Registrar may say nothing (" STRING(EST_PATIENCE_S) ")", 0 },
	{ "profile", OPT_PROFILE, "NAME", 0,
	  "Which text of EST-coaps the Registrar speaks: rfc9148 (default) or est-coaps-06", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

struct options {
	const char *ifname, *identity, *ca, *out;
	struct sockaddr_in6 proxy; /* port 0: to be found */
	enum est_want want;
	bool attributes;
	enum est_profile profile;
	unsigned int patience_s;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char err[160];

	switch (key) {
	case OPT_PROXY:
		if (jpx_endpoint_parse(arg, 5684, &o->proxy, err, sizeof(err)))
			argp_error(state, "--proxy: %s", err);
		break;
	case OPT_IDENTITY:
		o->identity = arg;
		break;
	case OPT_CA:
		o->ca = arg;
		break;
	case OPT_OUT:
		o->out = arg;
		break;
	case OPT_PROFILE:
		if (!est_profile_parse(arg, &o->profile))
			argp_error(state, "--profile: \"%s\" is neither rfc9148 nor est-coaps-06",
				   arg);
		break;
	case OPT_ATTRIBUTES:
		o->attributes = true;
		break;
	case OPT_TIMEOUT:
		o->patience_s = usage_check_number(state, "--timeout", arg, 1, TIMEOUT_MAX);
		break;
	case OPT_SERVER_KEYGEN:
		if (o->want == EST_REENROLL)
			argp_error(state, "--server-keygen is for enroll");
		o->want = EST_SERVER_KEY;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case ARGP_KEY_ARG:
		if (o->ifname)
			argp_error(state, "more than one interface");
		usage_check_ifname(state, "IF", arg);
		o->ifname = arg;
		break;
	case ARGP_KEY_END:
		if (!o->ifname && !o->proxy.sin6_port)
			argp_error(state, "no interface to look for a proxy on, and no --proxy");
		if (!o->identity && o->want != EST_REENROLL)
			argp_error(
				state,
				"--identity is missing: which IDevID? `jpledge mint DIR' makes one "
				"to try with");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- where the proxy is ---- */

struct search {
	struct event_base *base;
	struct find *find;
	unsigned int tries;
};

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct search *s = arg;

	(void)fd;
	(void)what;
	if (find_count(s->find) || ++s->tries > FIND_S * 10)
		event_base_loopbreak(s->base);
}

/* The first that answers by CoAP. */
static int find_proxy_on(struct event_base *base, const char *ifname, struct sockaddr_in6 *out,
			 char *err, size_t err_len)
{
	struct search s = { base, find_new(), 0 };
	unsigned int ifindex = if_nametoindex(ifname);
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, &s);
	void *way = NULL;
	const struct find_proxy *found = NULL;

	snprintf(err, err_len, "no memory");
	if (s.find && tick)
		way = find_coap.start(base, ifname, ifindex, s.find, err, err_len);
	if (way && !event_add(tick, &(struct timeval){ .tv_usec = 100000 })) {
		event_base_dispatch(base);
		found = find_proxy(s.find, 0);
		snprintf(err, err_len,
			 "%s: no Join Proxy answered in %d s; `jpledge discover %s' tells more",
			 ifname, FIND_S, ifname);
	}
	if (found)
		*out = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons(found->port),
					      .sin6_addr = found->addr,
					      .sin6_scope_id = ifindex };
	if (way)
		find_coap.stop(way);
	if (tick)
		event_free(tick);
	find_free(s.find);
	return found ? 0 : -1;
}

/* ---- what is seen and kept ---- */

struct enroll {
	const struct options *options;
	struct event_base *base;
	uint64_t since; /* ms */
	char server[JPX_ENDPOINT_STRLEN];
	bool stored;
	char why[400]; /* it failed */
	char subject[200], not_after[40], suite[64], attributes[400];
};

static void on_step(void *arg, enum est_step step)
{
	static const char *const words[EST_STEPS] = { "DTLS handshake with", "CA certificates from",
						      "CSR attributes from", "certificate from",
						      "patience asked for by" };
	const struct enroll *e = arg;

	if (isatty(STDERR_FILENO) && !e->options->json)
		fprintf(stderr, "\r\033[K%s %s ...", words[step], e->server);
}

static bool store(struct enroll *e, const struct est_result *result)
{
	char file[NAME_MAX_];

	if (mkdir(e->options->out, 0700) && errno != EEXIST) {
		snprintf(e->why, sizeof(e->why), "%s: cannot be made: %s", e->options->out,
			 strerror(errno));
		return false;
	}
	/* Last what all of it is for: where it is there, the rest is. */
	snprintf(file, sizeof(file), "%s/ca.pem", e->options->out);
	if (pemfile_write_certs(file, result->cacerts, e->why, sizeof(e->why)))
		return false;
	snprintf(file, sizeof(file), "%s/ldevid.pem", e->options->out);
	return !pemfile_write_identity(file, result->key, result->cert, e->why, sizeof(e->why));
}

static void on_done(void *arg, const struct est_result *result)
{
	struct enroll *e = arg;
	struct tm tm;

	if (isatty(STDERR_FILENO) && !e->options->json)
		fputs("\r\033[K", stderr);
	if (result->suite)
		snprintf(e->suite, sizeof(e->suite), "%s", result->suite);
	snprintf(e->attributes, sizeof(e->attributes), "%s", result->attributes);
	if (result->why) {
		snprintf(e->why, sizeof(e->why), "%s: %s", e->server, result->why);
	} else {
		certs_subject(result->cert, e->subject, sizeof(e->subject));
		if (ASN1_TIME_to_tm(X509_get0_notAfter(result->cert), &tm))
			strftime(e->not_after, sizeof(e->not_after), "%Y-%m-%dT%H:%M:%SZ", &tm);
		e->stored = store(e, result);
	}
	event_base_loopbreak(e->base);
}

static int tell(const struct enroll *e)
{
	uint64_t ms = jpx_now_ms() - e->since;
	json_t *object;
	int ret;

	if (!e->options->json) {
		if (!e->stored)
			return jpledge_fail("%s", e->why);
		printf("enrolled by %s in %.2f s (%s)\n%s, good until %s\n%s/ldevid.pem has key "
		       "and certificate, "
		       "%s/ca.pem its CA\n",
		       e->server, (double)ms / 1000, e->suite, e->subject, e->not_after,
		       e->options->out, e->options->out);
		if (*e->attributes)
			printf("CSR attributes that it named: %s\n", e->attributes);
		return EXIT_SUCCESS;
	}
	object = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "enrolled", e->stored,
			   "proxy", e->server, "error", e->stored ? "" : e->why, "subject",
			   e->subject, "not_after", e->not_after, "suite", e->suite, "attributes",
			   e->attributes, "ms", (json_int_t)ms);
	ret = object ? json_dumpf(object, stdout, JSON_COMPACT) : -1;
	json_decref(object);
	if (ret)
		return jpledge_fail("cannot print the answer as JSON; is the disk full?");
	putchar('\n');
	return e->stored ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int enroll(struct options *o)
{
	char identity[NAME_MAX_], ca[NAME_MAX_];
	const struct est_events events = { on_step, on_done };
	struct est_config config = { .want = o->want,
				     .attributes = o->attributes,
				     .profile = o->profile,
				     .patience_s = o->patience_s };
	struct enroll e = { .options = o, .base = event_base_new() };
	struct coaploop *loop = e.base ? coaploop_new(e.base) : NULL;
	struct est_client *client = NULL;

	snprintf(identity, sizeof(identity), "%s/ldevid.pem", o->out);
	snprintf(ca, sizeof(ca), "%s/ca.pem", o->out);
	config.key = config.cert = o->identity ? o->identity : identity;
	config.ca = o->ca ? o->ca : o->want == EST_REENROLL ? ca : NULL;
	snprintf(e.why, sizeof(e.why), "no memory, or no descriptors");
	if (loop && (o->proxy.sin6_port ||
		     !find_proxy_on(e.base, o->ifname, &o->proxy, e.why, sizeof(e.why)))) {
		jpx_endpoint_format(&o->proxy, e.server, sizeof(e.server));
		config.server = o->proxy;
		e.since = jpx_now_ms();
		client = est_client_new(e.base, loop, &config, &events, &e, e.why, sizeof(e.why));
	}
	if (client)
		event_base_dispatch(e.base);
	est_client_free(client);
	coaploop_free(loop);
	if (e.base)
		event_base_free(e.base);
	return tell(&e);
}

static int run(int argc, char **argv, const char *name, const struct argp *argp, enum est_want want)
{
	struct options o = { .out = ".", .want = want, .patience_s = EST_PATIENCE_S };

	argv[0] = (char *)name;
	argp_parse(argp, argc, argv, 0, NULL, &o);
	if (strlen(o.out) > 200)
		return jpledge_fail("%.40s...: a name too long", o.out);
	return enroll(&o);
}

int cmd_enroll(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = parse,
		.args_doc = "[IF]",
		.doc = "Gets a certificate by EST-coaps (RFC 9148) through the Join Proxy that "
		       "answers on interface "
		       "IF, or through --proxy, and stores it when it is verified.",
	};

	return run(argc, argv, "jpledge enroll", &argp, EST_ENROLL);
}

int cmd_reenroll(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = parse,
		.args_doc = "[IF]",
		.doc = "Renews a certificate that enroll got, with a new key; both are replaced at "
		       "once.",
	};

	return run(argc, argv, "jpledge reenroll", &argp, EST_REENROLL);
}
