/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See report.h. */
#include "report.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include <jpx/jpy.h>

#include "addr.h"
#include "words.h"

static json_t *address(const __u8 addr[16])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in;

	memcpy(&in, addr, sizeof(in));
	return json_string(jpx_addr_format(&in, text, sizeof(text)));
}

static json_t *address4(__be32 addr)
{
	struct in6_addr in = jpx_addr_map((struct in_addr){ addr });

	return address(in.s6_addr);
}

/* IPv4 over a link that is no Ethernet, which the fast path does not do. */
static bool is_socket_only(const struct jpx_service *service)
{
	return service->flags & JPX_SERVICE_IPV4 && service->tx_ifindex && !service->l2_len;
}

static bool is_down(const struct jpx_service *service)
{
	return !(service->flags & (JPX_SERVICE_READY | JPX_SERVICE_LOCAL)) && !service->tx_ifindex;
}

/* Stateful, and none of the addresses that its flows leave from is on this host. */
static bool is_homeless(const struct jpx_state *state, const struct jpx_service *service)
{
	for (unsigned int i = 0; i < service->uplink_count && i < JPX_SERVICE_UPLINKS; i++)
		if (state->uplinks[service->uplinks[i] % JPX_MAX_UPLINKS].flags & JPX_UPLINK_READY)
			return false;
	return service->mode == JPX_MODE_STATEFUL;
}

/* Those that flows leave from. */
static json_t *uplink_addresses(const struct jpx_state *state, const struct jpx_service *service)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < service->uplink_count && i < JPX_SERVICE_UPLINKS; i++)
		json_array_append_new(
			list, address(state->uplinks[service->uplinks[i] % JPX_MAX_UPLINKS].addr));
	return list;
}

static bool is_probed(const struct jpx_service *service)
{
	return !(service->flags & (JPX_SERVICE_ANY_CONTENT | JPX_SERVICE_NO_PROBE));
}

static const char *slot_engine(const struct jpx_state *state, unsigned int slot)
{
	return jpx_engine_word(slot && slot < JPX_MAX_SLOTS ? state->slots[slot].engine
							    : JPX_ENGINE_SOCKET);
}

const char *jpx_service_state(const struct jpx_state *state, unsigned int service_id)
{
	const struct jpx_service *service = &state->services[service_id];

	if (!service->ifindex)
		return "no-route";
	if (is_homeless(state, service))
		return "no-uplink-address";
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		if (state->ports[id].flags & JPX_PORT_READY &&
		    state->ports[id].services >> service_id & 1)
			return service->flags & JPX_SERVICE_RETIRED  ? "retired"
			       : is_down(service)		     ? "uplink-down"
			       : service->flags & JPX_SERVICE_SILENT ? "silent"
			       : service->flags & JPX_SERVICE_READY  ? "serving"
			       : service->flags & JPX_SERVICE_LOCAL  ? "local"
			       : is_socket_only(service)	     ? "socket"
								     : "resolving";
	return "no-port";
}

static json_t *join_ports(const struct jpx_state *state, const struct jpx_port *port)
{
	json_t *list = json_array();

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (port->services >> id & 1)
			json_array_append_new(list, json_pack("{s:i, s:s}", "port",
							      ntohs(state->services[id].join_port),
							      "service", state->services[id].name));
	return list;
}

/* Does each service of PORT's that the fast path serves come in where our tc program is? */
static bool is_by_tc(const struct jpx_state *state, const struct jpx_port *port)
{
	bool found = false;

	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++) {
		__u32 ifindex = port->services >> s & 1 ? state->services[s].tx_ifindex : 0;

		for (unsigned int id = 1; ifindex && id < JPX_MAX_SLOTS; id++) {
			if (state->slots[id].ifindex != ifindex)
				continue;
			if (!(state->slots[id].flags & JPX_SLOT_TC))
				return false;
			found = true;
		}
	}
	return found;
}

/* Which way answers to this port's pledges go out. */
static const char *answers_way(const struct jpx_state *state, const struct jpx_port *port)
{
	if (!port->slot)
		return "socket";
	if (!(port->flags & JPX_PORT_NO_TRANSMIT))
		return "xdp";
	return is_by_tc(state, port) ? "tc" : "socket";
}

json_t *jpx_report_status(const struct jpx_state *state, pid_t pid)
{
	json_t *ports = json_array(), *uplinks = json_array(), *services = json_array();

	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		const struct jpx_port *port = &state->ports[id];

		if (!(port->flags & JPX_PORT_IN_USE))
			continue;
		json_array_append_new(
			ports,
			json_pack(
				"{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:b, s:o, s:I, s:I}",
				"ifname", port->ifname, "id", id, "link", jpx_link_word(port->link),
				"engine", slot_engine(state, port->slot), "answers",
				answers_way(state, port), "address", address(port->addr), "address4",
				address4(port->addr4), "state",
				port->flags & JPX_PORT_READY ? "ready"
				: port->ifindex		     ? "no-address"
							     : "absent",
				"xdp", jpx_xdp_word(port->xdp), "shared",
				port->slot ? !state->slots[port->slot].alone : 0, "join_ports",
				join_ports(state, port), "flows",
				(json_int_t)state->flow_counts[id], "max_flows",
				(json_int_t)(port->max_flows ? port->max_flows
							     : state->flow_config.per_port)));
	}
	for (unsigned int id = 1; id < JPX_MAX_SLOTS; id++) {
		const struct jpx_slot *slot = &state->slots[id];

		if (slot->flags & JPX_SLOT_UPLINK)
			json_array_append_new(uplinks,
					      json_pack("{s:s, s:s, s:b}", "ifname", slot->ifname,
							"engine", jpx_engine_word(slot->engine),
							"shared", !slot->alone));
	}
	/* An uplink without our program: the socket engine alone uses it. */
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];
		char ifname[IF_NAMESIZE];
		int known = 0;

		if (!(service->flags & JPX_SERVICE_IN_USE) || !service->ifindex)
			continue;
		for (unsigned int i = 1; i < JPX_MAX_SLOTS; i++)
			known |= state->slots[i].flags & JPX_SLOT_UPLINK &&
				 (state->slots[i].ifindex == service->ifindex ||
				  state->slots[i].ifindex == service->tx_ifindex);
		for (unsigned int i = 1; i < id; i++)
			known |= state->services[i].flags & JPX_SERVICE_IN_USE &&
				 state->services[i].ifindex == service->ifindex;
		if (!known && if_indextoname(service->ifindex, ifname))
			json_array_append_new(uplinks,
					      json_pack("{s:s, s:s, s:b}", "ifname", ifname,
							"engine", "socket", "shared", 1));
	}
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];

		if (!(service->flags & JPX_SERVICE_IN_USE))
			continue;
		json_array_append_new(
			services,
			json_pack(
				"{s:s, s:o, s:i, s:s, s:s, s:s, s:s, s:i, s:o, s:i, s:s, s:b, s:o, "
				"s:i, s:i, s:b}",
				"name", service->name, "address", address(service->registrar),
				"port", ntohs(service->registrar_port), "mode",
				jpx_mode_word(service->mode), "jpy", jpx_form_name(service->form),
				"source", jpx_source_word(service->source), "state",
				jpx_service_state(state, id), "join_port",
				ntohs(service->join_port), "uplink_address",
				address(service->uplink), "uplink_port",
				ntohs(service->uplink_port), "content",
				service->flags & JPX_SERVICE_ANY_CONTENT ? "any" : "dtls",
				"intercept", !!(service->flags & JPX_SERVICE_INTERCEPT),
				"uplink_addresses", uplink_addresses(state, service), "priority",
				service->priority, "weight", service->weight, "probe",
				is_probed(service)));
	}
	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "version", 1, "ports", ports, "uplinks",
			 uplinks, "services", services, "daemon",
			 pid ? json_pack("{s:b, s:i}", "running", 1, "pid", (int)pid)
			     : json_pack("{s:b}", "running", 0));
}

static void add_way(struct jpx_way *sum, const struct jpx_way *one)
{
	sum->packets += one->packets;
	sum->bytes += one->bytes;
}

static json_t *way(const struct jpx_way *w)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)w->packets, "bytes",
			 (json_int_t)w->bytes);
}

/* Packets of one service over all ports; they wrap at 2^32. */
static json_t *activity(const struct jpx_state *state, const struct jpx_counters *counters,
			unsigned int service_id)
{
	struct jpx_activity sum = { 0 };

	for (unsigned int id = 0; id < JPX_MAX_PORTS; id++) {
		const struct jpx_activity *f = &counters->fast[id].services[service_id];
		const struct jpx_activity *s = &counters->socket[id].services[service_id];

		sum.to_registrar += f->to_registrar + s->to_registrar;
		sum.to_pledge += f->to_pledge + s->to_pledge;
	}
	return json_pack("{s:s, s:I, s:I}", "name", state->services[service_id].name,
			 "to_registrar", (json_int_t)sum.to_registrar, "to_pledge",
			 (json_int_t)sum.to_pledge);
}

json_t *jpx_report_stats(const struct jpx_state *state, const struct jpx_counters *counters)
{
	struct jpx_way to_registrar = { 0 }, to_pledge = { 0 };
	json_t *drops = json_object(), *handoffs = json_object(), *told = json_object();
	json_t *ports = json_array(), *services = json_array();
	__u64 fast = 0, sock = 0;

	for (unsigned int id = 0; id < JPX_MAX_PORTS; id++) {
		const struct jpx_stats *f = &counters->fast[id], *s = &counters->socket[id];
		struct jpx_way up = f->to_registrar, down = f->to_pledge;

		add_way(&up, &s->to_registrar);
		add_way(&down, &s->to_pledge);
		add_way(&to_registrar, &up);
		add_way(&to_pledge, &down);
		fast += f->to_registrar.packets + f->to_pledge.packets;
		sock += s->to_registrar.packets + s->to_pledge.packets;
		if (id && state->ports[id].flags & JPX_PORT_IN_USE)
			json_array_append_new(ports,
					      json_pack("{s:s, s:o, s:o}", "ifname",
							state->ports[id].ifname, "to_registrar",
							way(&up), "to_pledge", way(&down)));
	}
	for (unsigned int s = 1; s < JPX_MAX_SERVICES; s++)
		if (state->services[s].flags & JPX_SERVICE_IN_USE)
			json_array_append_new(services, activity(state, counters, s));
	for (unsigned int r = 1; r < JPX_DROP_COUNT; r++) {
		__u64 n = 0;

		for (unsigned int id = 0; id < JPX_MAX_PORTS; id++)
			n += counters->fast[id].drops[r] + counters->socket[id].drops[r];
		json_object_set_new(drops, jpx_drop_word(r), json_integer((json_int_t)n));
	}
	for (unsigned int r = 0; r < JPX_HANDOFF_COUNT; r++) {
		__u64 n = 0;

		for (unsigned int id = 0; id < JPX_MAX_PORTS; id++)
			n += counters->fast[id].handoffs[r];
		json_object_set_new(handoffs, jpx_handoff_word(r), json_integer((json_int_t)n));
	}
	for (unsigned int r = 0; r < JPX_TOLD_COUNT; r++) {
		__u64 n = 0;

		for (unsigned int id = 0; id < JPX_MAX_PORTS; id++)
			n += counters->socket[id].told[r];
		json_object_set_new(told, jpx_told_word(r), json_integer((json_int_t)n));
	}
	return json_pack("{s:i, s:o, s:o, s:{s:I}, s:{s:I}, s:o, s:o, s:o, s:o, s:o}", "version", 1,
			 "to_registrar", way(&to_registrar), "to_pledge", way(&to_pledge),
			 "fast_path", "packets", (json_int_t)fast, "socket", "packets",
			 (json_int_t)sock, "drops", drops, "handoffs", handoffs, "told", told,
			 "ports", ports, "services", services);
}
