/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpledge discover: the Join Proxies that announce themselves on a link. */
#include <argp.h>
#include <errno.h>
#include <event2/event.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "find.h"
#include "jpledge.h"
#include "table.h"
#include "usage.h"

/* An answer to a group may take its leisure of 5 s (RFC 7252 8.2). */
#define SECONDS	    6
#define SECONDS_MAX 3600
/* A proxy floods once a minute (RFC 8994 6.4): who listens for less may hear none. */
#define FLOOD_S 60
/* From here on a person wants to see that something goes on. */
#define PATIENCE_S 2

static const struct find_way *const ways[] = {
	&find_coap,
	&find_grasp,
#ifdef JPX_WITH_AVAHI
	&find_mdns,
#endif
};
#define WAY_COUNT (sizeof(ways) / sizeof(ways[0]))

struct options {
	const char *ifname, *way;
	long seconds;
	bool json;
};

struct discover {
	const struct options *options;
	struct event_base *base;
	struct find *find;
	void *started[WAY_COUNT];
	bool tried[WAY_COUNT];
	char errors[WAY_COUNT][160];
	long passed;
	bool progress_shown;
};

/* ---- the command line ----------------------------------------------------------------- */

enum { OPT_SECONDS = 256, OPT_WAY, OPT_JSON };

static const struct argp_option option_list[] = {
	{ "seconds", OPT_SECONDS, "N", 0, "How long to look, 1 to 3600 (6)", 0 },
	{ "way", OPT_WAY, "WAY", 0, "Look by one way alone: coap, grasp or mdns", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const char *way_word(unsigned int i)
{
	return i < WAY_COUNT ? ways[i]->name : NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_SECONDS:
		o->seconds = usage_check_number(state, "--seconds", arg, 1, SECONDS_MAX);
		break;
	case OPT_WAY:
		usage_check_choice(state, "--way", arg, way_word);
		o->way = arg;
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
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no interface; see `ip link'");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

static bool has_link_local(const char *ifname)
{
	struct ifaddrs *list;
	bool found = false;

	/* not known is not "none": the ways say what fails */
	if (getifaddrs(&list))
		return true;
	for (struct ifaddrs *a = list; a; a = a->ifa_next) {
		const struct sockaddr_in6 *sa = (const struct sockaddr_in6 *)a->ifa_addr;

		if (sa && sa->sin6_family == AF_INET6 && strcmp(a->ifa_name, ifname) == 0 &&
		    IN6_IS_ADDR_LINKLOCAL(&sa->sin6_addr))
			found = true;
	}
	freeifaddrs(list);
	return found;
}

/* Returns how many ways have begun. */
static unsigned int start_all(struct discover *d, unsigned int ifindex)
{
	unsigned int count = 0;

	for (size_t i = 0; i < WAY_COUNT; i++) {
		if (d->options->way && strcmp(ways[i]->name, d->options->way) != 0)
			continue;
		d->tried[i] = true;
		d->started[i] = ways[i]->start(d->base, d->options->ifname, ifindex, d->find,
					       d->errors[i], sizeof(d->errors[i]));
		count += d->started[i] != NULL;
	}
	return count;
}

static void stop_all(struct discover *d)
{
	for (size_t i = 0; i < WAY_COUNT; i++)
		if (d->started[i])
			ways[i]->stop(d->started[i]);
}

static void progress(const struct discover *d)
{
	fprintf(stderr, "\r%s: %ld of %ld s, found %u  ", d->options->ifname, d->passed,
		d->options->seconds, find_count(d->find));
	fflush(stderr);
}

static void second(evutil_socket_t fd, short what, void *arg)
{
	struct discover *d = arg;

	(void)fd;
	(void)what;
	if (++d->passed >= d->options->seconds) {
		event_base_loopbreak(d->base);
	} else if (d->passed >= PATIENCE_S && isatty(STDERR_FILENO)) {
		progress(d);
		d->progress_shown = true;
	}
}

static void interrupted(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static bool look(struct discover *d)
{
	struct event *tick = event_new(d->base, -1, EV_PERSIST, second, d);
	struct event *interrupt = evsignal_new(d->base, SIGINT, interrupted, d->base);
	struct event *terminate = evsignal_new(d->base, SIGTERM, interrupted, d->base);
	bool ok = tick && interrupt && terminate && !event_add(tick, &(struct timeval){ 1, 0 }) &&
		  !event_add(interrupt, NULL) && !event_add(terminate, NULL) &&
		  event_base_dispatch(d->base) >= 0;

	if (d->progress_shown)
		fputs("\r\033[K", stderr);
	if (tick)
		event_free(tick);
	if (interrupt)
		event_free(interrupt);
	if (terminate)
		event_free(terminate);
	return ok;
}

/* ---- telling -----------------------------------------------------------------------------------
 */

static json_t *proxy_json(const struct find_proxy *proxy, const char *address)
{
	json_t *methods = json_array();

	for (unsigned int i = 0; i < proxy->method_count; i++)
		json_array_append_new(methods, json_pack("{s:s, s:s}", "way", proxy->methods[i].way,
							 "by", proxy->methods[i].by));
	return json_pack("{s:s, s:i, s:o}", "address", address, "port", proxy->port, "methods",
			 methods);
}

static json_t *ways_json(const struct discover *d)
{
	json_t *list = json_array();
	const char *why;

	for (size_t i = 0; i < WAY_COUNT; i++) {
		unsigned long refused = find_refusals(d->find, ways[i]->name, &why);

		if (d->tried[i])
			json_array_append_new(list,
					      json_pack("{s:s, s:b, s:s, s:I, s:s}", "way",
							ways[i]->name, "ok", d->started[i] != NULL,
							"error", d->errors[i], "refused",
							(json_int_t)refused, "refused_for", why));
	}
	return list;
}

static int print_json(const struct discover *d)
{
	json_t *proxies = json_array(), *object;
	char address[INET6_ADDRSTRLEN];
	const struct find_proxy *proxy;
	int ret;

	for (unsigned int i = 0; (proxy = find_proxy(d->find, i)); i++) {
		jpx_addr_format(&proxy->addr, address, sizeof(address));
		json_array_append_new(proxies, proxy_json(proxy, address));
	}
	object = json_pack("{s:i, s:s, s:o, s:b, s:o}", "version", 1, "ifname", d->options->ifname,
			   "proxies", proxies, "cut", find_is_cut(d->find), "ways", ways_json(d));
	ret = object ? json_dumpf(object, stdout, JSON_COMPACT) : -1;
	json_decref(object);
	if (ret)
		return jpledge_fail("cannot print the answer as JSON; is the disk full?");
	putchar('\n');
	return 0;
}

/* "coap brski-jp, rt=brski.jp; grasp AN_Proxy" */
static void words(const struct find_proxy *proxy, char *buf, size_t len)
{
	const char *way = NULL;
	size_t used = 0;

	*buf = 0;
	for (unsigned int i = 0; i < proxy->method_count && used < len; i++) {
		const struct find_method *m = &proxy->methods[i];
		bool same = way && strcmp(way, m->way) == 0;

		used += (size_t)snprintf(buf + used, len - used, "%s%s%s%s",
					 same  ? ", "
					 : way ? "; "
					       : "",
					 same ? "" : m->way, same ? "" : " ", m->by);
		way = m->way;
	}
}

static void print_table(const struct discover *d)
{
	static const char *const headings[] = { "PROXY", ">JOIN PORT", "FOUND BY" };
	struct table *t = table_new(3, headings);
	char address[INET6_ADDRSTRLEN], by[512];
	const struct find_proxy *proxy;

	for (unsigned int i = 0; (proxy = find_proxy(d->find, i)); i++) {
		jpx_addr_format(&proxy->addr, address, sizeof(address));
		words(proxy, by, sizeof(by));
		table_cell(t, "%s", address);
		table_cell(t, "%u", proxy->port);
		table_cell(t, "%s", by);
	}
	table_print(t);
	if (find_is_cut(d->find))
		table_line(true, "and more: only %d join ports, and %d words for each, are kept",
			   FIND_PROXIES_MAX, FIND_METHODS_MAX);
}

/* What did not work, on stderr, for JSON has it, too. */
static void complain(const struct discover *d)
{
	const char *why;

	for (size_t i = 0; i < WAY_COUNT; i++) {
		unsigned long refused = find_refusals(d->find, ways[i]->name, &why);

		if (d->tried[i] && !d->started[i])
			jpledge_fail("%s: %s", ways[i]->name, d->errors[i]);
		if (refused)
			jpledge_fail("%s: %lu answer%s refused; the first: %s", ways[i]->name,
				     refused, refused == 1 ? "" : "s", why);
	}
}

static int nothing_found(const struct discover *d)
{
	bool hears_floods = d->options->seconds >= FLOOD_S ||
			    (d->options->way && strcmp(d->options->way, find_grasp.name) != 0);

	return jpledge_fail("%s: no Join Proxy announced itself in %ld s; does it serve this link, "
			    "and does a Registrar (jpctl status there)?%s",
			    d->options->ifname, d->passed,
			    hears_floods ? "" : " GRASP is heard once a minute: try --seconds 65");
}

static int tell(const struct discover *d)
{
	int ret = 0;

	if (d->options->json)
		ret = print_json(d);
	else
		print_table(d);
	complain(d);
	return ret || find_count(d->find) ? ret : nothing_found(d);
}

static int discover(const struct options *options)
{
	struct discover d = { .options = options };
	unsigned int ifindex = if_nametoindex(options->ifname);
	int ret;

	if (!ifindex)
		return jpledge_fail("%s: no such interface; see `ip link'", options->ifname);
	if (!has_link_local(options->ifname))
		return jpledge_fail(
			"%s has no link-local address; it gets one when it is up and has "
			"a carrier (ip link set %s up)",
			options->ifname, options->ifname);
	d.base = event_base_new();
	d.find = find_new();
	if (!d.base || !d.find) {
		ret = jpledge_fail("not enough memory");
	} else if (!start_all(&d, ifindex)) {
		if (options->json)
			print_json(&d);
		complain(&d);
		ret = EXIT_FAILURE;
	} else if (!look(&d)) {
		ret = jpledge_fail("cannot wait for answers: %s", strerror(errno));
	} else {
		ret = tell(&d);
	}
	stop_all(&d);
	if (d.base)
		event_base_free(d.base);
	find_free(d.find);
	return ret;
}

int cmd_discover(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = parse,
		.args_doc = "IF",
		.doc = "Lists the Join Proxies that announce themselves on the link of interface "
		       "IF, and their join ports.",
	};
	struct options options = { .seconds = SECONDS };

	argv[0] = "jpledge discover";
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	return discover(&options);
}
