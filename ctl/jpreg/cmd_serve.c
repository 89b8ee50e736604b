/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `jpreg serve': the Registrar.  Here: its command line, and what is made of what: the authority
 * issues, the policy judges, the EST-coaps server answers, and the gate lets pledges in.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "announce.h"
#include "ca.h"
#include "est_server.h"
#include "gate.h"
#include "jpreg.h"
#include "log.h"
#include "options.h"
#include "policy.h"
#include "service.h"
#include "upstream.h"
#include "usage.h"

#define DEFAULT_LISTEN	   "[::]:5684"
#define DEFAULT_LISTEN_JPY "[::]:7634"
#define DEFAULT_STATE	   "/var/lib/jpreg"
#define DEFAULT_NAME	   "jpreg CA"
#define DEFAULT_DAYS	   365
#define DEFAULT_PER_DAY	   20
#define DEFAULT_IDLE	   300
#define DEFAULT_PLEDGES	   4096
#define DEFAULT_UPSTREAM_S 120
#define MAX_IDLE	   86400
#define MAX_PLEDGES	   60000
#define MAX_DAYS	   36500
#define MAX_PER_DAY	   1000000
#define MAX_UPSTREAM_S	   3600
#define HTTPS		   "https://"
#define ANNOUNCES_MAX	   8

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

enum {
	OPT_ANCHORS = 256,
	OPT_LISTEN,
	OPT_LISTEN_JPY,
	OPT_ANNOUNCE,
	OPT_STATE,
	OPT_CA_NAME,
	OPT_UPSTREAM,
	OPT_UPSTREAM_CA,
	OPT_UPSTREAM_TIMEOUT,
	OPT_IDENTITY,
	OPT_PROFILE,
	OPT_DAYS,
	OPT_ALLOW,
	OPT_DENY,
	OPT_CRL,
	OPT_PER_DAY,
	OPT_IDLE,
	OPT_MAX_PLEDGES,
	OPT_LOG_LEVEL
};

static const struct argp_option options[] = {
	{ "anchors", OPT_ANCHORS, "FILE", 0,
	  "The makers' CA certificates in PEM: whose devices may enrol", 0 },
	{ "listen", OPT_LISTEN, "[ADDR]:PORT", 0, "Where to take coaps (" DEFAULT_LISTEN ")", 0 },
	{ "listen-jpy", OPT_LISTEN_JPY, "[ADDR]:PORT", 0,
	  "Where to take JPY messages (" DEFAULT_LISTEN_JPY ")", 0 },
	{ "announce", OPT_ANNOUNCE, "IF", 0,
	  "Let Join Proxies find us there, by CoAP and GRASP; may be given several times", 0 },
	{ "state-dir", OPT_STATE, "DIR", 0,
	  "Where the CA and its record are kept (" DEFAULT_STATE ")", 0 },
	{ "ca-name", OPT_CA_NAME, "NAME", 0, "What a new CA is called (" DEFAULT_NAME ")", 0 },
	{ "days", OPT_DAYS, "N", 0, "How long a certificate is good (" STRING(DEFAULT_DAYS) ")",
	  0 },
	{ "upstream", OPT_UPSTREAM, "URL", 0,
	  "No CA of our own: the EST server at https://HOST[:PORT]/.well-known/est[/LABEL] issues "
	  "the certificates",
	  0 },
	{ "upstream-ca", OPT_UPSTREAM_CA, "FILE", 0,
	  "The CA certificate in PEM that the EST server's own is of", 0 },
	{ "upstream-timeout", OPT_UPSTREAM_TIMEOUT, "SECONDS", 0,
	  "How long the EST server may take (" STRING(DEFAULT_UPSTREAM_S) ")", 0 },
	{ "identity", OPT_IDENTITY, "FILE", 0,
	  "Our own certificate, those between it and its CA, and our key, in PEM: to pledges, and "
	  "to the EST server",
	  0 },
	{ "profile", OPT_PROFILE, "NAME", 0,
	  "Which text of EST-coaps devices speak: rfc9148 (default) or est-coaps-06", 0 },
	{ "allow", OPT_ALLOW, "FILE", 0, "Only devices with serial numbers in FILE, one a line",
	  0 },
	{ "deny", OPT_DENY, "FILE", 0, "No devices with serial numbers in FILE", 0 },
	{ "crl", OPT_CRL, "FILE", 0, "The makers' certificate revocation lists in PEM", 0 },
	{ "per-day", OPT_PER_DAY, "N", 0,
	  "Certificates for one device in 24 hours, 0 for any number (" STRING(DEFAULT_PER_DAY) ")",
	  0 },
	{ "idle", OPT_IDLE, "SECONDS", 0,
	  "End a pledge's session after this time of rest (" STRING(DEFAULT_IDLE) ")", 0 },
	{ "max-pledges", OPT_MAX_PLEDGES, "N", 0,
	  "Hold at most N pledges at a time (" STRING(DEFAULT_PLEDGES) ")", 0 },
	{ "log-level", OPT_LOG_LEVEL, "LEVEL", 0, "error, warning, info (default) or debug", 0 },
	{ 0 },
};

static const char doc[] =
	"A constrained Registrar: EST over CoAP over DTLS (RFC 9148), for pledges that come by "
	"stateless Join Proxies (JPY), by stateful ones, or from one hop away."
	"\vThe CA is made at the first start. A pledge needs a certificate of a maker in "
	"--anchors, "
	"and gets one for the name that it has there; `jpreg issued' lists what was issued.\n\n"
	"SIGUSR1 prints the counters as a line of JSON, SIGTERM and SIGINT end the program.";

struct settings {
	struct ca_config ca;
	struct upstream_config upstream; /* with a URL, it is used instead of the CA */
	struct policy_config policy;
	struct gate_config gate;
	enum est_profile profile;
	const char *announce[ANNOUNCES_MAX];
	unsigned int announces;
	enum jpx_log_level log_level;
};

/* What an EST server behind us takes, and nothing else does. */
static void check_upstream(const struct argp_state *state, const struct settings *s)
{
	const struct upstream_config *upstream = &s->upstream;

	if (upstream->url && !upstream->ca_file)
		argp_error(state, "--upstream takes --upstream-ca: who may the EST server be?");
	if (upstream->url && !upstream->identity)
		argp_error(state, "--upstream takes --identity: who are we to the EST server?");
	if (!upstream->url && (upstream->ca_file || upstream->identity))
		argp_error(state, "--upstream-ca and --identity are for --upstream: our own CA "
				  "has what it needs in --state-dir");
}

/* One address is told, for both ports. */
static void check_announce(const struct argp_state *state, const struct settings *s)
{
	const struct in6_addr *coaps = &s->gate.coaps.sin6_addr;

	if (s->announces && !IN6_IS_ADDR_UNSPECIFIED(coaps) &&
	    !IN6_ARE_ADDR_EQUAL(coaps, &s->gate.jpy.sin6_addr))
		argp_error(state, "--announce: --listen and --listen-jpy are at different "
				  "addresses, and one is announced: give both the same, or "
				  "leave --listen at [::]");
	for (unsigned int i = 1; i < s->announces; i++)
		for (unsigned int j = 0; j < i; j++)
			if (!strcmp(s->announce[i], s->announce[j]))
				argp_error(state, "--announce: %s is there twice", s->announce[i]);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;

	switch (key) {
	case OPT_ANCHORS:
		s->policy.anchors = arg;
		break;
	case OPT_LISTEN:
		option_endpoint(state, "--listen", arg, &s->gate.coaps);
		break;
	case OPT_LISTEN_JPY:
		option_endpoint(state, "--listen-jpy", arg, &s->gate.jpy);
		break;
	case OPT_ANNOUNCE:
		if (s->announces == ANNOUNCES_MAX)
			argp_error(state, "--announce: not more than %d interfaces", ANNOUNCES_MAX);
		s->announce[s->announces++] = arg;
		break;
	case OPT_STATE:
		s->ca.dir = arg;
		break;
	case OPT_CA_NAME:
		s->ca.name = arg;
		break;
	case OPT_UPSTREAM:
		/* First, and not quoted: a password in it would be seen in logs and by ps. */
		if (strchr(arg, '@'))
			argp_error(state, "--upstream: no user name belongs into the URL: the EST "
					  "server knows us by --identity");
		if (strncmp(arg, HTTPS, strlen(HTTPS)) || !arg[strlen(HTTPS)])
			argp_error(state,
				   "--upstream: \"%s\" does not begin with " HTTPS
				   ": for example https://est.example/.well-known/est",
				   arg);
		if (strpbrk(arg, "?#"))
			argp_error(state,
				   "--upstream: \"%s\" has more than a path: what is asked for is "
				   "added to it",
				   arg);
		s->upstream.url = arg;
		break;
	case OPT_UPSTREAM_CA:
		s->upstream.ca_file = arg;
		break;
	case OPT_UPSTREAM_TIMEOUT:
		s->upstream.timeout_s =
			usage_check_number(state, "--upstream-timeout", arg, 1, MAX_UPSTREAM_S);
		break;
	case OPT_PROFILE:
		if (!est_profile_parse(arg, &s->profile))
			argp_error(state, "--profile: \"%s\" is neither rfc9148 nor est-coaps-06",
				   arg);
		break;
	case OPT_IDENTITY:
		s->upstream.identity = arg;
		break;
	case OPT_DAYS:
		s->ca.valid_days = usage_check_number(state, "--days", arg, 1, MAX_DAYS);
		break;
	case OPT_ALLOW:
		s->policy.allow = arg;
		break;
	case OPT_DENY:
		s->policy.deny = arg;
		break;
	case OPT_CRL:
		s->policy.crl = arg;
		break;
	case OPT_PER_DAY:
		s->policy.per_day = usage_check_number(state, "--per-day", arg, 0, MAX_PER_DAY);
		break;
	case OPT_IDLE:
		s->gate.idle_s = usage_check_number(state, "--idle", arg, 1, MAX_IDLE);
		break;
	case OPT_MAX_PLEDGES:
		s->gate.max_pledges =
			usage_check_number(state, "--max-pledges", arg, 1, MAX_PLEDGES);
		break;
	case OPT_LOG_LEVEL:
		s->log_level = option_log_level(state, arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is no option", arg);
		break;
	case ARGP_KEY_END:
		if (!s->policy.anchors)
			argp_error(state, "--anchors is missing: whose devices may enrol? For "
					  "example --anchors maker.pem");
		check_upstream(state, s);
		check_announce(state, s);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct registrar {
	struct service *service;
	struct authority *authority;
	struct policy *policy;
	struct est_server *server;
	struct gate *gate;
	struct announce *announces[ANNOUNCES_MAX];
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
	struct jpx_reg_counters counters;
};

static char *report(void *arg)
{
	const struct registrar *r = arg;

	return jpx_reg_counters_json(&r->counters, gate_pledges(r->gate));
}

static int verify(void *arg, X509 *client, STACK_OF(X509) * chain)
{
	return policy_verify_client(arg, client, chain);
}

static void on_ca(void *arg, STACK_OF(X509) * certs)
{
	struct registrar *r = arg;

	if (policy_set_cas(r->policy, certs))
		jpx_error("no memory for the CA's certificates: nobody can renew");
}

/* The CA that is a part of us; what it is called is known at once. */
static int set_up_ca(struct registrar *r, const struct settings *s, char *err, size_t err_len)
{
	STACK_OF(X509) *cas = sk_X509_new_null();
	int ret = -1;

	r->authority = ca_new(&s->ca, err, err_len);
	if (r->authority && !ca_registrar(r->authority, &r->key, &r->chain, err, err_len)) {
		r->policy = policy_new(&s->policy, ca_record(r->authority), err, err_len);
		if (r->policy && cas && sk_X509_push(cas, ca_certificate(r->authority)) &&
		    !policy_set_cas(r->policy, cas))
			ret = 0;
	}
	sk_X509_free(cas);
	return ret;
}

/* The EST server behind us, which tells of its CA when it can. */
static int set_up_upstream(struct registrar *r, struct settings *s, char *err, size_t err_len)
{
	s->upstream.dir = s->ca.dir;
	s->upstream.on_ca = on_ca;
	s->upstream.arg = r;
	r->authority = upstream_new(service_base(r->service), &s->upstream, err, err_len);
	if (!r->authority || upstream_registrar(r->authority, &r->key, &r->chain, err, err_len))
		return -1;
	r->policy = policy_new(&s->policy, upstream_record(r->authority), err, err_len);
	return r->policy ? 0 : -1;
}

static int set_up(struct registrar *r, struct settings *s)
{
	struct gate_config *gate = &s->gate;
	char err[400] = "no memory";

	r->service = service_new();
	if (!r->service)
		return -1;
	if (s->upstream.url ? set_up_upstream(r, s, err, sizeof(err))
			    : set_up_ca(r, s, err, sizeof(err))) {
		jpx_error("%s", err);
		return -1;
	}
	r->server = est_server_new(service_base(r->service), s->profile, r->authority, r->policy,
				   r->key, r->chain, &gate->coap);
	if (!r->server)
		return -1;
	gate->key = r->key;
	gate->chain = r->chain;
	gate->verify = verify;
	gate->arg = r->policy;
	r->gate = gate_new(service_base(r->service), gate, &r->counters);
	if (!r->gate)
		return -1;
	est_server_set_gate(r->server, r->gate);
	for (unsigned int i = 0; i < s->announces; i++) {
		const struct announce_config announce = { s->announce[i], gate->jpy, gate->coaps };

		r->announces[i] = announce_new(service_base(r->service), &announce);
		if (!r->announces[i])
			return -1;
	}
	return 0;
}

static void tear_down(struct registrar *r)
{
	for (unsigned int i = 0; i < ANNOUNCES_MAX; i++)
		announce_free(r->announces[i]);
	gate_free(r->gate);
	est_server_free(r->server);
	if (r->authority)
		r->authority->free(r->authority);
	policy_free(r->policy);
	EVP_PKEY_free(r->key);
	sk_X509_pop_free(r->chain, X509_free);
	service_free(r->service);
}

int cmd_serve(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = parse_option, .doc = doc };
	struct settings s = {
		.ca = { DEFAULT_STATE, DEFAULT_NAME, DEFAULT_DAYS },
		.upstream = { .timeout_s = DEFAULT_UPSTREAM_S },
		.policy = { .per_day = DEFAULT_PER_DAY },
		.gate = { .idle_s = DEFAULT_IDLE, .max_pledges = DEFAULT_PLEDGES },
		.log_level = JPX_LOG_INFO,
	};
	char coaps[JPX_ENDPOINT_STRLEN], jpy[JPX_ENDPOINT_STRLEN], err[160];
	struct registrar r = { 0 };
	int ret = -1;

	if (jpx_endpoint_parse(DEFAULT_LISTEN, 0, &s.gate.coaps, err, sizeof(err)) ||
	    jpx_endpoint_parse(DEFAULT_LISTEN_JPY, 0, &s.gate.jpy, err, sizeof(err)))
		return EXIT_FAILURE;
	argv[0] = "jpreg serve";
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	jpx_log_init("jpreg", s.log_level);
	if (service_fit_descriptors(&s.gate.max_pledges))
		return EXIT_FAILURE;
	if (!set_up(&r, &s)) {
		jpx_info("serving EST on %s (coaps) and %s (JPY), CA %s%s, record in %s, %u "
			 "pledges at most",
			 jpx_endpoint_format(&s.gate.coaps, coaps, sizeof(coaps)),
			 jpx_endpoint_format(&s.gate.jpy, jpy, sizeof(jpy)),
			 s.upstream.url ? "behind " : "in ",
			 s.upstream.url ? s.upstream.url : s.ca.dir, s.ca.dir, s.gate.max_pledges);
		ret = service_run(r.service, report, &r);
	}
	tear_down(&r);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
