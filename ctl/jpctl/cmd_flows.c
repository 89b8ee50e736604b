/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* jpctl flows: the flows of stateful mode, listed, counted or ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/addr.h"
#include "../common/control.h"
#include "../common/flowlist.h"
#include "client.h"
#include "show.h"
#include "snapshot.h"
#include "table.h"

#define ROWS_SHOWN 100
#define ROWS_HELD  1000 /* of a longer table, at once in memory */

enum { OPT_PORT = 360, OPT_SERVICE, OPT_PLEDGE, OPT_LIMIT, OPT_COUNT };
enum { LIMIT_UNSAID = -1 };

struct options {
	struct flowlist_wish wish;
	long limit; /* 0: none */
	bool count, flush;
};

static const struct argp_option options[] = {
	{ "port", OPT_PORT, "IF", 0, "Only those of this pledge port", 0 },
	{ "service", OPT_SERVICE, "NAME", 0, "Only those to this Registrar", 0 },
	{ "pledge", OPT_PLEDGE, "ADDR", 0, "Only those of this pledge, by its link-local address",
	  0 },
	{ "limit", OPT_LIMIT, "N", 0, "Show at most so many; 0: all (100, with --json all)", 0 },
	{ "count", OPT_COUNT, NULL, 0, "Only say how many there are", 0 },
	{ 0 },
};

static const char *action_word(unsigned int i)
{
	return i == 0 ? "list" : i == 1 ? "flush" : NULL;
}

static long limit_of(struct argp_state *state, const char *arg)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || n > 1 << 30)
		argp_error(state, "--limit: \"%s\" is no number of flows (0: all)", arg);
	return (long)n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_PORT:
		usage_check_ifname(state, "--port", arg);
		o->wish.ifname = arg;
		break;
	case OPT_SERVICE:
		o->wish.service = arg;
		break;
	case OPT_PLEDGE:
		o->wish.pledge = arg;
		break;
	case OPT_LIMIT:
		o->limit = limit_of(state, arg);
		break;
	case OPT_COUNT:
		o->count = true;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "\"%s\" is one argument too many", arg);
		usage_check_choice(state, "flows", arg, action_word);
		o->flush = strcmp(arg, "flush") == 0;
		break;
	case ARGP_KEY_END:
		if (o->flush && (o->count || o->limit != LIMIT_UNSAID))
			argp_error(state,
				   "%s is for the list: flows flush ends all flows, or those of "
				   "--port, --service, --pledge",
				   o->count ? "--count" : "--limit");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- for people --------------------------------------------------------------- */

static void show_time(struct table *t, uint32_t s)
{
	if (s < 60)
		table_cell(t, "%us", s);
	else if (s < 3600)
		table_cell(t, "%um%02us", s / 60, s % 60);
	else if (s < 86400)
		table_cell(t, "%uh%02um", s / 3600, s / 60 % 60);
	else
		table_cell(t, "%ud%02uh", s / 86400, s / 3600 % 24);
}

static struct table *flow_table(void)
{
	static const char *const headings[] = { "PORT", "PLEDGE", "SERVICE",	   "LEAVES FROM",
						">AGE", ">IDLE",  ">TO REGISTRAR", ">TO PLEDGE" };

	return table_new(8, headings);
}

static void show_endpoint(struct table *t, const struct in6_addr *addr, unsigned int port)
{
	char host[INET6_ADDRSTRLEN], text[JPX_ENDPOINT_STRLEN];

	jpx_addr_format(addr, host, sizeof(host));
	table_cell(t, "%s", jpx_endpoint_join(host, port, text, sizeof(text)));
}

static void show_flow(struct table *t, const struct flowlist_flow *flow)
{
	table_cell(t, "%s", flow->ifname);
	show_endpoint(t, &flow->pledge, flow->udp_port);
	table_cell(t, "%s%s", flow->service, flow->intercepted ? ", intercepted" : "");
	show_endpoint(t, &flow->uplink, flow->uplink_port);
	show_time(t, flow->age_s);
	show_time(t, flow->idle_s);
	table_number(t, flow->to_registrar);
	table_number(t, flow->to_pledge);
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* The last line: what is not shown, or that there is nothing. */
static void show_rest(const json_t *summary, uint64_t shown)
{
	uint64_t count = number(summary, "count");
	char n[TABLE_NUMBER_LEN];

	if (shown < count)
		table_line(false, "and %s more (--limit 0 shows all)",
			   table_digits(count - shown, n));
	else if (!shown && !json_array_size(json_object_get(summary, "services")))
		table_line(false, "No flows: no Registrar is served in stateful mode.");
	else if (!shown)
		table_line(false, "No flows.");
}

static void show_counts(const json_t *summary)
{
	static const char *const of_ports[] = { "PORT", ">FLOWS", ">AT MOST" };
	static const char *const of_services[] = { "SERVICE", ">FLOWS" };
	struct table *ports = table_new(3, of_ports), *services = table_new(2, of_services);
	char count[TABLE_NUMBER_LEN], max[TABLE_NUMBER_LEN];
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(summary, "ports"), i, one) {
		table_cell(ports, "%s", show_text(one, "ifname"));
		table_number(ports, number(one, "count"));
		table_number(ports, number(one, "max"));
	}
	json_array_foreach(json_object_get(summary, "services"), i, one) {
		table_cell(services, "%s", show_text(one, "name"));
		table_number(services, number(one, "count"));
	}
	if (!table_is_empty(ports)) {
		table_flush(ports);
		putchar('\n');
	}
	table_print(ports);
	if (!table_is_empty(services)) {
		table_flush(services);
		putchar('\n');
	}
	table_print(services);
	table_line(false, "%s flow%s, of at most %s in all",
		   table_digits(number(summary, "count"), count),
		   number(summary, "count") == 1 ? "" : "s",
		   table_digits(number(summary, "max"), max));
}

/* ---- out of the pinned maps ------------------------------------------------------ */

static size_t limit_for(const struct options *o, bool json)
{
	if (o->limit == LIMIT_UNSAID)
		return json ? SIZE_MAX : ROWS_SHOWN;
	return o->limit ? (size_t)o->limit : SIZE_MAX;
}

static int print_list(const struct jpctl *ctl, const struct options *o, struct flowlist *list)
{
	size_t limit = limit_for(o, ctl->json), shown = 0;
	struct flowlist_flow flow;
	struct table *t;
	json_t *summary;
	int ret = EXIT_SUCCESS;

	if (ctl->json && !o->count)
		return flowlist_print(list, limit, stdout) == -ENOMEM
			       ? jpctl_fail("not enough memory for the flows")
			       : EXIT_SUCCESS;
	summary = flowlist_summary(list);
	if (o->count) {
		if (ctl->json)
			ret = jpctl_print_json(summary);
		else
			show_counts(summary);
		json_decref(summary);
		return ret;
	}
	t = flow_table();
	for (size_t i = 0; i < flowlist_count(list) && shown < limit; i++) {
		if (!flowlist_get(list, i, &flow))
			continue;
		show_flow(t, &flow);
		if (++shown % ROWS_HELD == 0)
			table_flush(t);
	}
	table_print(t);
	show_rest(summary, limit < flowlist_count(list) ? shown : flowlist_count(list));
	json_decref(summary);
	return ret;
}

/* Returns 0; -ENOENT or another negative errno with a sentence in ERR where nothing can be
 * read: then jpd may know. */
static int from_pinned(const struct jpctl *ctl, const struct options *o, int *status, char *err,
		       size_t err_len)
{
	struct jpx_flow_request match;
	struct jpx_pinned pinned;
	struct flowlist *list = NULL;
	int ret = jpx_pinned_open(ctl->pin_dir, &pinned, err, err_len);

	if (ret)
		return ret;
	ret = flowlist_open(&pinned, &list);
	jpx_pinned_close(&pinned);
	if (ret) {
		snprintf(err, err_len, "cannot read the maps pinned under %s: %s", ctl->pin_dir,
			 strerror(-ret));
		return ret == -ENOENT ? -EIO : ret;
	}
	ret = flowlist_match(flowlist_state(list), &o->wish, &match, err, err_len);
	if (ret) {
		jpctl_fail("%s", err);
		*status = ret == -EINVAL ? 2 : EXIT_FAILURE;
	} else if (flowlist_find(list, &match)) {
		*status = jpctl_fail("not enough memory for the flows");
	} else {
		*status = print_list(ctl, o, list);
	}
	flowlist_close(list);
	return 0;
}

/* ---- asked of jpd -------------------------------------------------------------------- */

static json_t *request_of(const char *verb, const struct flowlist_wish *wish)
{
	return json_pack("{s:s, s:s*, s:s*, s:s*}", "verb", verb, "ifname", wish->ifname, "service",
			 wish->service, "pledge", wish->pledge);
}

/* An element of "flows", into FLOW; false if it is none. */
static bool read_flow(json_t *object, struct flowlist_flow *flow)
{
	const char *pledge, *uplink;
	json_int_t age, idle, up, down;
	int udp_port, uplink_port, intercepted;
	char err[200];

	if (json_unpack(object, "{s:s, s:i, s:s, s:s, s:s, s:i, s:I, s:I, s:{s:I}, s:{s:I}, s:b}",
			"pledge", &pledge, "udp_port", &udp_port, "ifname", &flow->ifname,
			"service", &flow->service, "uplink_address", &uplink, "uplink_port",
			&uplink_port, "age_s", &age, "idle_s", &idle, "to_registrar", "packets",
			&up, "to_pledge", "packets", &down, "intercepted", &intercepted) ||
	    jpx_addr_parse(pledge, &flow->pledge, err, sizeof(err)) ||
	    jpx_addr_parse(uplink, &flow->uplink, err, sizeof(err)))
		return false;
	flow->udp_port = (unsigned int)udp_port;
	flow->uplink_port = (unsigned int)uplink_port;
	flow->age_s = (uint32_t)age;
	flow->idle_s = (uint32_t)idle;
	flow->to_registrar = (uint64_t)up;
	flow->to_pledge = (uint64_t)down;
	flow->intercepted = intercepted;
	return true;
}

static void show_answer(json_t *result)
{
	struct table *t = flow_table();
	struct flowlist_flow flow;
	uint64_t shown = 0;
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(result, "flows"), i, one)
		if (read_flow(one, &flow)) {
			show_flow(t, &flow);
			shown++;
		}
	table_print(t);
	show_rest(result, shown);
}

/* As client_ask(); 0: STATUS is the exit status. */
static int from_jpd(const struct jpctl *ctl, const struct options *o, int *status,
		    struct client_error *error)
{
	json_t *request = request_of("flows", &o->wish), *result = NULL;
	size_t limit = o->count ? 0 : limit_for(o, ctl->json);
	int ret;

	if (limit > JPX_FLOWS_ANSWERED)
		limit = JPX_FLOWS_ANSWERED;
	json_object_set_new(request, "limit", json_integer((json_int_t)limit));
	ret = client_ask(ctl->run_dir, request, &result, error);
	json_decref(request);
	if (ret)
		return ret;
	if (o->count)
		json_object_del(result, "flows");
	*status = EXIT_SUCCESS;
	if (ctl->json)
		*status = jpctl_print_json(result);
	else if (o->count)
		show_counts(result);
	else
		show_answer(result);
	json_decref(result);
	return 0;
}

/* ---- the verb ---------------------------------------------------------------------- */

static int list_flows(const struct jpctl *ctl, const struct options *o)
{
	struct client_error error;
	char err[512] = "";
	int status = EXIT_FAILURE, ret = from_pinned(ctl, o, &status, err, sizeof(err)), asked;

	if (!ret)
		return status;
	/* nothing is pinned: where the kernel has no BPF, jpd itself keeps the flows */
	asked = from_jpd(ctl, o, &status, &error);
	if (!asked)
		return status;
	if (asked != -EREMOTEIO)
		snapshot_fail(ctl, asked, ret, err, &error);
	return client_fail(&error);
}

static int flush(const struct jpctl *ctl, const struct options *o)
{
	json_t *request = request_of("flows-flush", &o->wish), *result = NULL;
	struct client_error error;
	char n[TABLE_NUMBER_LEN];
	int ret = client_order(ctl->run_dir, request, &result, &error);

	json_decref(request);
	if (ret)
		return client_fail(&error);
	ret = EXIT_SUCCESS;
	if (ctl->json)
		ret = jpctl_print_json(result);
	else
		table_line(false, "%s flow%s ended", table_digits(number(result, "ended"), n),
			   number(result, "ended") == 1 ? "" : "s");
	json_decref(result);
	return ret;
}

int cmd_flows(struct jpctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[list]\nflush",
		.doc = "Lists the flows of stateful mode (the default; works without jpd, too), or "
		       "ends them. A pledge whose flow was ended gets another one with its next "
		       "datagram, and has to begin its DTLS session anew.",
	};
	struct options o = { .limit = LIMIT_UNSAID };

	jpctl_parse(ctl, "jpctl flows", &argp, &o, argc, argv);
	return o.flush ? flush(ctl, &o) : list_flows(ctl, &o);
}
