/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See flowlist.h. */
#include "flowlist.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <jpx/flow_tables.h>
#include <jpx/wire.h>

#include "addr.h"

/* Small: there may be a million of them. */
struct found {
	__u64 pledge; /* host order */
	__u32 slot;
	__u16 udp_port; /* host order */
	__u8 rank;	/* of its interface's name */
	__u8 kind;
};

struct flowlist {
	const struct jpx_state *state;
	const struct jpx_flow *flows;
	__u32 now;
	struct found *found;
	size_t count, room;
	size_t by_port[JPX_MAX_PORTS], by_service[JPX_MAX_SERVICES];
	/* Of maps only. */
	struct jpx_state *own_state;
	size_t mapped; /* bytes at flows */
};

/* ---- which --------------------------------------------------------------------- */

static int match_port(const struct jpx_state *state, const char *ifname,
		      struct jpx_flow_request *match)
{
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].flags & JPX_PORT_IN_USE &&
		    strcmp(state->ports[id].ifname, ifname) == 0) {
			match->match |= JPX_MATCH_PORT;
			match->key.port_id = (__u8)id;
			return 0;
		}
	return -ENOENT;
}

static int match_service(const struct jpx_state *state, const char *name,
			 struct jpx_flow_request *match)
{
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (state->services[id].flags & JPX_SERVICE_IN_USE &&
		    strcmp(state->services[id].name, name) == 0) {
			match->match |= JPX_MATCH_SERVICE;
			match->key.service_id = (__u8)id;
			return 0;
		}
	return -ENOENT;
}

static int match_pledge(const char *text, struct jpx_flow_request *match)
{
	struct in6_addr addr;
	__be64 halves[2];
	char err[200];
	__u32 quad;

	if (jpx_addr_parse(text, &addr, err, sizeof(err)))
		return -EINVAL;
	memcpy(halves, &addr, sizeof(halves));
	quad = (__u32)__builtin_bswap64(halves[1]);
	if (IN6_IS_ADDR_V4MAPPED(&addr) && jpx_is_link_local4(quad)) {
		match->key.pledge = __builtin_bswap64(jpx_pledge_id(quad));
		match->key.kind = JPX_FLOW_IPV4;
	} else if (jpx_is_link_local(__builtin_bswap64(halves[0]), halves[1])) {
		match->key.pledge = halves[1];
	} else {
		return -EINVAL;
	}
	match->match |= JPX_MATCH_PLEDGE;
	return 0;
}

int flowlist_match(const struct jpx_state *state, const struct flowlist_wish *wish,
		   struct jpx_flow_request *match, char *err, size_t err_len)
{
	memset(match, 0, sizeof(*match));
	if (wish->pledge && match_pledge(wish->pledge, match)) {
		snprintf(err, err_len,
			 "\"%.64s\" is no address of a pledge, such as fe80::1 or 169.254.1.1 "
			 "(link-local, and without an interface: that is --port)",
			 wish->pledge);
		return -EINVAL;
	}
	if (wish->ifname && match_port(state, wish->ifname, match)) {
		snprintf(err, err_len, "\"%.64s\" is not attached; jpctl status lists what is",
			 wish->ifname);
		return -ENOENT;
	}
	if (wish->service && match_service(state, wish->service, match)) {
		snprintf(err, err_len,
			 "there is no registrar \"%.64s\"; jpctl registrar list shows those that "
			 "exist",
			 wish->service);
		return -ENOENT;
	}
	return 0;
}

/* ---- where from ------------------------------------------------------------------ */

struct flowlist *flowlist_over(const struct jpx_state *state, const struct jpx_flow *flows,
			       __u32 now)
{
	struct flowlist *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	list->state = state;
	list->flows = flows;
	list->now = now;
	return list;
}

static int read_clock(const struct jpx_pinned *pinned, __u32 *now)
{
	const __u64 *clock = mmap(NULL, sizeof(*clock), PROT_READ, MAP_SHARED, pinned->clock, 0);

	if (clock == MAP_FAILED)
		return -errno;
	*now = (__u32)*clock;
	munmap((void *)clock, sizeof(*clock));
	return 0;
}

int flowlist_open(const struct jpx_pinned *pinned, struct flowlist **list)
{
	struct jpx_state *state = calloc(1, sizeof(*state));
	struct flowlist *l = flowlist_over(state, NULL, 0);
	void *flows;
	int ret = -ENOMEM;

	if (!state || !l) {
		free(state);
		free(l);
		return ret;
	}
	l->own_state = state;
	ret = jpx_pinned_state(pinned, state);
	if (!ret)
		ret = read_clock(pinned, &l->now);
	if (!ret) {
		size_t size = (size_t)state->flow_config.slots * sizeof(*l->flows);

		flows = mmap(NULL, size, PROT_READ, MAP_SHARED, pinned->flows, 0);
		if (flows == MAP_FAILED) {
			ret = -errno;
		} else {
			l->flows = flows;
			l->mapped = size;
		}
	}
	if (ret)
		flowlist_close(l);
	else
		*list = l;
	return ret;
}

void flowlist_close(struct flowlist *list)
{
	if (!list)
		return;
	if (list->mapped)
		munmap((void *)list->flows, list->mapped);
	free(list->own_state);
	free(list->found);
	free(list);
}

const struct jpx_state *flowlist_state(const struct flowlist *list)
{
	return list->state;
}

/* ---- finding ------------------------------------------------------------------------ */

/*
 * The flow at SLOT, if it lives.  Others write it meanwhile; but a port rests between two
 * flows, so what lives before and after, begun at the same time, was one flow all along.
 */
static bool read_flow(const struct flowlist *list, __u32 slot, struct jpx_flow *copy)
{
	const struct jpx_flow *flow = &list->flows[slot];

	if (__atomic_load_n(&flow->state, __ATOMIC_ACQUIRE) != JPX_FLOW_LIVE)
		return false;
	memcpy(copy, flow, sizeof(*copy));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return copy->state == JPX_FLOW_LIVE &&
	       __atomic_load_n(&flow->state, __ATOMIC_RELAXED) == JPX_FLOW_LIVE &&
	       __atomic_load_n(&flow->created, __ATOMIC_RELAXED) == copy->created &&
	       !jpx_flow_is_over(&list->state->flow_config, copy->last, list->now);
}

/* Where port PORT_ID's name stands among the names of all. */
static __u8 rank_of(const struct jpx_state *state, unsigned int port_id)
{
	unsigned int rank = 0;

	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		rank += strcmp(state->ports[id].ifname, state->ports[port_id].ifname) < 0;
	return (__u8)rank;
}

static int compare(const void *x, const void *y)
{
	const struct found *a = x, *b = y;
	int order = a->rank - b->rank;

	if (!order)
		order = (a->kind & JPX_FLOW_IPV4) - (b->kind & JPX_FLOW_IPV4);
	if (!order)
		order = (a->pledge > b->pledge) - (a->pledge < b->pledge);
	if (!order)
		order = a->udp_port - b->udp_port;
	return order ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static int add(struct flowlist *list, const struct found *found)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct found *more = reallocarray(list->found, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->found = more;
		list->room = room;
	}
	list->found[list->count++] = *found;
	return 0;
}

int flowlist_find(struct flowlist *list, const struct jpx_flow_request *match)
{
	__u8 ranks[JPX_MAX_PORTS];

	list->count = 0;
	memset(list->by_port, 0, sizeof(list->by_port));
	memset(list->by_service, 0, sizeof(list->by_service));
	for (unsigned int id = 0; id < JPX_MAX_PORTS; id++)
		ranks[id] = rank_of(list->state, id);
	for (__u32 slot = 0; slot < list->state->flow_config.slots; slot++) {
		struct found found = { .slot = slot };
		struct jpx_flow flow;

		if (!read_flow(list, slot, &flow) || !jpx_flow_matches(&flow, match))
			continue;
		found.pledge = __builtin_bswap64(flow.key.pledge);
		found.udp_port = ntohs(flow.key.udp_port);
		found.rank = ranks[flow.key.port_id];
		found.kind = flow.key.kind;
		if (add(list, &found))
			return -ENOMEM;
		list->by_port[flow.key.port_id]++;
		list->by_service[flow.key.service_id % JPX_MAX_SERVICES]++;
	}
	if (list->count)
		qsort(list->found, list->count, sizeof(*list->found), compare);
	return 0;
}

size_t flowlist_count(const struct flowlist *list)
{
	return list->count;
}

/* ---- telling ------------------------------------------------------------------------- */

static uint32_t seconds(__u32 ticks)
{
	return (uint32_t)(((__u64)ticks << JPX_TICK_SHIFT) / 1000000000);
}

/* What was said in seconds and is kept in ticks. */
static uint32_t said_seconds(__u32 ticks)
{
	return (uint32_t)((((__u64)ticks << JPX_TICK_SHIFT) + 500000000) / 1000000000);
}

/* A tick may be ahead of ours by one or two. */
static uint32_t since(const struct flowlist *list, __u32 tick)
{
	__u32 ticks = list->now - tick;

	return ticks < 0x80000000U ? seconds(ticks) : 0;
}

static struct in6_addr pledge_address(const struct jpx_flow_key *key)
{
	struct in6_addr addr = { .s6_addr = { 0xfe, 0x80 } };

	if (key->kind & JPX_FLOW_IPV4)
		return jpx_addr_map(
			(struct in_addr){ htonl((__u32)__builtin_bswap64(key->pledge)) });
	memcpy(&addr.s6_addr[8], &key->pledge, 8);
	return addr;
}

bool flowlist_get(const struct flowlist *list, size_t i, struct flowlist_flow *out)
{
	const struct found *found = &list->found[i];
	struct jpx_flow flow;

	if (!read_flow(list, found->slot, &flow) ||
	    __builtin_bswap64(flow.key.pledge) != found->pledge ||
	    ntohs(flow.key.udp_port) != found->udp_port || flow.key.kind != found->kind)
		return false;
	out->pledge = pledge_address(&flow.key);
	out->udp_port = found->udp_port;
	out->ifname = list->state->ports[flow.key.port_id].ifname;
	out->service = list->state->services[flow.key.service_id % JPX_MAX_SERVICES].name;
	memcpy(&out->uplink, list->state->uplinks[flow.uplink % JPX_MAX_UPLINKS].addr, 16);
	out->uplink_port = ntohs(flow.uplink_port);
	out->age_s = since(list, flow.created);
	out->idle_s = since(list, flow.last);
	out->to_registrar = flow.to_registrar;
	out->to_pledge = flow.to_pledge;
	out->intercepted = flow.key.kind & JPX_FLOW_INTERCEPTED;
	return true;
}

static json_t *numbers(const struct flowlist *list)
{
	const struct jpx_flow_config *cfg = &list->state->flow_config;
	json_t *ports = json_array(), *services = json_array();

	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		const struct jpx_port *port = &list->state->ports[id];

		if (port->flags & JPX_PORT_IN_USE)
			json_array_append_new(
				ports, json_pack("{s:s, s:I, s:I}", "ifname", port->ifname, "count",
						 (json_int_t)list->by_port[id], "max",
						 (json_int_t)(port->max_flows ? port->max_flows
									      : cfg->per_port)));
	}
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &list->state->services[id];

		if (service->flags & JPX_SERVICE_IN_USE && service->mode == JPX_MODE_STATEFUL)
			json_array_append_new(services,
					      json_pack("{s:s, s:I}", "name", service->name,
							"count", (json_int_t)list->by_service[id]));
	}
	return json_pack(
		"{s:I, s:I, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "count",
		(json_int_t)list->count, "max", (json_int_t)cfg->max, "ports", ports, "services",
		services, "limits", "per_pledge", (json_int_t)cfg->per_pledge, "per_port",
		(json_int_t)cfg->per_port, "idle_s", (json_int_t)said_seconds(cfg->idle), "rest_s",
		(json_int_t)said_seconds(cfg->rest), "first_port", (json_int_t)cfg->first_port,
		"last_port", (json_int_t)cfg->first_port + cfg->port_count - 1);
}

json_t *flowlist_summary(const struct flowlist *list)
{
	json_t *object = json_pack("{s:i}", "version", 1), *rest = numbers(list);

	if (object && (!rest || json_object_update(object, rest))) {
		json_decref(object);
		object = NULL;
	}
	json_decref(rest);
	return object;
}

/* Names in JSON's quotes, made once and not for each flow. */
struct quoted {
	const char *name;
	char *text;
};

static const char *quote(struct quoted *quoted, const char *name)
{
	if (quoted->name != name) {
		json_t *string = json_string(name);

		free(quoted->text);
		quoted->text = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
		quoted->name = name;
		json_decref(string);
	}
	return quoted->text ? quoted->text : "null";
}

static void print_flow(const struct flowlist_flow *flow, const char *ifname, const char *service,
		       FILE *out)
{
	char pledge[INET6_ADDRSTRLEN], uplink[INET6_ADDRSTRLEN];

	fprintf(out,
		"{\"pledge\":\"%s\",\"udp_port\":%u,\"ifname\":%s,\"service\":%s,"
		"\"uplink_address\":\"%s\",\"uplink_port\":%u,\"age_s\":%u,\"idle_s\":%u,"
		"\"to_registrar\":{\"packets\":%" PRIu64 "},\"to_pledge\":{\"packets\":%" PRIu64
		"},\"intercepted\":%s}",
		jpx_addr_format(&flow->pledge, pledge, sizeof(pledge)), flow->udp_port, ifname,
		service, jpx_addr_format(&flow->uplink, uplink, sizeof(uplink)), flow->uplink_port,
		flow->age_s, flow->idle_s, flow->to_registrar, flow->to_pledge,
		flow->intercepted ? "true" : "false");
}

int flowlist_print(const struct flowlist *list, size_t limit, FILE *out)
{
	struct quoted ifname = { 0 }, service = { 0 };
	json_t *rest = numbers(list);
	char *rest_text = rest ? json_dumps(rest, JSON_COMPACT) : NULL;
	struct flowlist_flow flow;
	const char *comma = "";

	json_decref(rest);
	if (!rest_text)
		return -ENOMEM;
	fputs("{\"version\":1,\"flows\":[", out);
	for (size_t i = 0; i < list->count && limit; i++) {
		if (!flowlist_get(list, i, &flow))
			continue;
		fputs(comma, out);
		print_flow(&flow, quote(&ifname, flow.ifname), quote(&service, flow.service), out);
		comma = ",";
		limit--;
	}
	/* its members follow: without its brace */
	fprintf(out, "],%s\n", rest_text + 1);
	free(rest_text);
	free(ifname.text);
	free(service.text);
	return ferror(out) ? -EIO : 0;
}
