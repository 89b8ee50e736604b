/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See registrar_list.h. */
#include "registrar_list.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jpx/jpy.h>

#include "addr.h"
#include "clock.h"
#include "discovery.h"
#include "proxy.h"
#include "registrars.h"
#include "report.h"
#include "words.h"

static json_t *address(const struct in6_addr *addr)
{
	char text[INET6_ADDRSTRLEN];

	return json_string(jpx_addr_format(addr, text, sizeof(text)));
}

static json_t *word_json(enum jpx_source source, const struct registrar_word *word, uint64_t now)
{
	char ifname[IF_NAMESIZE] = "";
	json_t *json =
		json_pack("{s:s, s:s, s:I, s:I}", "source", jpx_source_word(source), "by", word->by,
			  "age", (json_int_t)((now - word->heard_ms) / 1000), "expires",
			  (json_int_t)(word->until_ms > now ? (word->until_ms - now) / 1000 : 0));

	if (word->ifindex && if_indextoname(word->ifindex, ifname))
		json_object_set_new(json, "ifname", json_string(ifname));
	if (!IN6_IS_ADDR_UNSPECIFIED(&word->from))
		json_object_set_new(json, "from", address(&word->from));
	return json;
}

/* Where R was learnt: one object a source that stands for it. */
static json_t *learnt(const struct registrar *r)
{
	uint64_t now = jpx_now_ms();
	json_t *list = json_array();

	for (unsigned int s = 0; s < JPX_SOURCE_COUNT; s++)
		if (r->words[s].stands)
			json_array_append_new(list,
					      word_json((enum jpx_source)s, &r->words[s], now));
	return list;
}

static const struct registrar *registrar_of(const struct registrars *registrars,
					    const struct jpx_service *service)
{
	const struct registrar *r;

	for (unsigned int i = 0; (r = registrars_at(registrars, i)); i++)
		if (service->source != JPX_SOURCE_CONFIG &&
		    !memcmp(&r->addr, service->registrar, 16) &&
		    r->port == ntohs(service->registrar_port) && r->mode == service->mode &&
		    (r->mode == JPX_MODE_STATEFUL || r->form == service->form))
			return r;
	return NULL;
}

/* What only jpd knows of service ID. */
static void add_news(struct proxy *proxy, const struct registrars *registrars, unsigned int id,
		     json_t *json)
{
	const struct jpx_service *service = &proxy_state(proxy)->services[id];
	const struct registrar *r = registrar_of(registrars, service);
	char health[160], why[320];

	proxy_why(proxy, id, health, sizeof(health));
	if (service->flags & JPX_SERVICE_RETIRED)
		snprintf(why, sizeof(why), "%s; goes when nothing is relayed any more",
			 r && *r->why ? r->why : "nobody names it any more");
	else
		snprintf(why, sizeof(why), "%s", health);
	json_object_set_new(json, "why", json_string(why));
	if (service->source != JPX_SOURCE_CONFIG)
		json_object_set_new(json, "learnt", r ? learnt(r) : json_array());
}

static json_t *services(struct proxy *proxy, const struct registrars *registrars)
{
	json_t *status = jpx_report_status(proxy_state(proxy), getpid());
	json_t *list = json_incref(json_object_get(status, "services"));
	size_t i = 0;

	/* The report lists those in use by their ids. */
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (proxy_state(proxy)->services[id].flags & JPX_SERVICE_IN_USE)
			add_news(proxy, registrars, id, json_array_get(list, i++));
	json_decref(status);
	return list;
}

static bool is_served(const struct jpx_state *state, const struct registrars *registrars,
		      const struct registrar *r)
{
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (state->services[id].flags & JPX_SERVICE_IN_USE &&
		    registrar_of(registrars, &state->services[id]) == r)
			return true;
	return false;
}

static json_t *found(const struct jpx_state *state, const struct registrars *registrars)
{
	const struct registrar *r;
	json_t *list = json_array();

	for (unsigned int i = 0; (r = registrars_at(registrars, i)); i++)
		if (!is_served(state, registrars, r))
			json_array_append_new(
				list,
				json_pack("{s:o, s:i, s:s, s:s, s:s, s:i, s:i, s:s, s:o}",
					  "address", address(&r->addr), "port", r->port, "mode",
					  jpx_mode_word(r->mode), "jpy", jpx_form_name(r->form),
					  "source", jpx_source_word(r->source), "priority",
					  r->priority, "weight", r->weight, "why",
					  r->chosen ? "cannot be served now; the log says why"
						    : r->why,
					  "learnt", learnt(r)));
	return list;
}

static json_t *uplinks(const struct discovery_view *view)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < view->uplink_count; i++)
		json_array_append_new(list, json_string(view->uplinks[i].ifname));
	return list;
}

json_t *registrar_list(struct proxy *proxy, const struct discovery *discovery)
{
	const struct registrars *registrars = discovery_registrars(discovery);

	const struct discovery_view *view = discovery_view(discovery);

	return json_pack("{s:o, s:o, s:b, s:o}", "services", services(proxy, registrars), "found",
			 found(proxy_state(proxy), registrars), "looking", view->look, "looking_on",
			 uplinks(view));
}
