/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See serving.h.  A discovered service that is no longer chosen retires: it is announced no more
 * and relayed on until nothing has gone through it for a while, so that no handshake is cut.
 *
 * Must never touch a service that was configured.
 */
#include "serving.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "discovery.h"
#include "log.h"
#include "proxy.h"
#include "registrars.h"
#include "table.h"

#define REAP_S	      10
#define RETIRED_MIN_S 60 /* a handshake of a jpd before us would have shown by then */
#define IDLE_S	      300 /* BRSKI discovery 3.2.3: a choice is switched after so long without packets */
#define ADOPTED_S     190 /* three rounds of asking (coap_ask.c) or of floods, and a bit */

struct serving {
	struct proxy *proxy;
	struct registrars *registrars;
	struct event *reap;
	uint64_t retired_ms[JPX_MAX_SERVICES]; /* since when, or 0 */
};

static bool same(const struct jpx_service *service, const struct registrar *r)
{
	return !memcmp(service->registrar, &r->addr, 16) &&
	       ntohs(service->registrar_port) == r->port && service->mode == r->mode &&
	       (r->mode == JPX_MODE_STATEFUL || service->form == r->form);
}

/* The discovered service of R, or 0. */
static unsigned int service_of(const struct jpx_state *state, const struct registrar *r)
{
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++)
		if (table_service_is_discovered(&state->services[id]) &&
		    same(&state->services[id], r))
			return id;
	return 0;
}

static const struct registrar *registrar_of(const struct serving *serving,
					    const struct jpx_service *service)
{
	const struct registrar *r;

	for (unsigned int i = 0; (r = registrars_at(serving->registrars, i)); i++)
		if (same(service, r))
			return r;
	return NULL;
}

static enum registrar_service judge(void *arg, const struct registrar *r, char *why, size_t why_len)
{
	struct serving *serving = arg;
	const struct jpx_state *state = proxy_state(serving->proxy);
	unsigned int id;

	for (id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];

		/* One for some ports alone serves no others: those need it found. */
		if (!(service->flags & JPX_SERVICE_IN_USE) ||
		    table_service_is_discovered(service) ||
		    !(service->flags & JPX_SERVICE_EVERY_PORT) ||
		    memcmp(service->registrar, &r->addr, 16) ||
		    ntohs(service->registrar_port) != r->port)
			continue;
		snprintf(why, why_len, "configured as %s", service->name);
		return REGISTRAR_IMPOSSIBLE;
	}
	if (proxy_leads_to_pledges(serving->proxy, &r->addr)) {
		snprintf(why, why_len, "the way to it is through a pledge port");
		return REGISTRAR_IMPOSSIBLE;
	}
	id = service_of(state, r);
	if (!id)
		return REGISTRAR_UNSERVED;
	if (state->services[id].flags & JPX_SERVICE_SILENT)
		return REGISTRAR_SILENT;
	return state->services[id].flags & JPX_SERVICE_ANSWERED ? REGISTRAR_SERVED
								: REGISTRAR_TRIED;
}

bool serving_looks(const struct serving *serving, const struct discovery_settings *settings)
{
	const struct jpx_state *state = proxy_state(serving->proxy);
	bool for_somebody = false;

	if (settings->look == DISCOVERY_NO)
		return false;
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++)
		for_somebody |= state->ports[id].flags & JPX_PORT_IN_USE &&
				!(state->ports[id].flags & JPX_PORT_CHOSEN);
	if (settings->look == DISCOVERY_YES)
		return for_somebody;
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];

		if (service->flags & JPX_SERVICE_IN_USE &&
		    service->flags & JPX_SERVICE_EVERY_PORT &&
		    !table_service_is_discovered(service))
			return false;
	}
	return for_somebody;
}

static void serve(struct serving *serving, const struct registrar *r)
{
	struct jpx_service like = {
		.registrar_port = htons(r->port),
		.mode = (__u8)r->mode,
		.form = (__u8)r->form,
		.source = (__u8)r->source,
		.priority = r->priority,
		.weight = r->weight,
	};

	memcpy(like.registrar, &r->addr, 16);
	proxy_serve(serving->proxy, &like);
}

/* Says of each discovered service whether it is still named, and ends those that nobody needs. */
static void review(struct serving *serving)
{
	const struct jpx_state *state = proxy_state(serving->proxy);
	uint64_t now = jpx_now_ms();

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];
		const struct registrar *r;
		bool retired;

		if (!table_service_is_discovered(service)) {
			serving->retired_ms[id] = 0;
			continue;
		}
		r = registrar_of(serving, service);
		retired = !r || !r->chosen;
		if (!retired)
			serving->retired_ms[id] = 0;
		else if (!serving->retired_ms[id])
			serving->retired_ms[id] = now;
		proxy_serve_as(serving->proxy, id, r ? r->priority : service->priority,
			       r ? r->weight : service->weight, retired);
		if (retired && now - serving->retired_ms[id] >= RETIRED_MIN_S * 1000 &&
		    proxy_idle(serving->proxy, id) >= IDLE_S) {
			jpx_info("registrar %s: gone, and nothing goes through it any more",
				 service->name);
			serving->retired_ms[id] = 0;
			proxy_serve_no_more(serving->proxy, id);
		}
	}
	proxy_settle(serving->proxy);
}

void serving_run(struct serving *serving, const struct discovery_settings *settings)
{
	const struct registrar *r;

	registrars_choose(serving->registrars, serving_looks(serving, settings), settings->mode,
			  settings->max, judge, serving);
	for (unsigned int i = 0; (r = registrars_at(serving->registrars, i)); i++)
		if (r->chosen && !service_of(proxy_state(serving->proxy), r))
			serve(serving, r);
	review(serving);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	review(arg);
}

/* A jpd before us had heard of them; who is still there will say so again. */
static void adopt(struct serving *serving)
{
	const struct jpx_state *state = proxy_state(serving->proxy);

	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		const struct jpx_service *service = &state->services[id];
		struct registrar_heard heard = {
			.source = service->source,
			.port = ntohs(service->registrar_port),
			.mode = service->mode,
			.form = service->form,
			.priority = service->priority,
			.weight = service->weight,
			.lifetime = ADOPTED_S,
			.by = "before jpd started",
		};

		if (!table_service_is_discovered(service) || service->flags & JPX_SERVICE_RETIRED)
			continue;
		memcpy(&heard.addr, service->registrar, 16);
		registrars_heard(serving->registrars, &heard);
	}
}

struct serving *serving_new(struct event_base *base, struct proxy *proxy,
			    struct registrars *registrars)
{
	struct serving *serving = calloc(1, sizeof(*serving));

	if (!serving)
		return NULL;
	serving->proxy = proxy;
	serving->registrars = registrars;
	serving->reap = event_new(base, -1, EV_PERSIST, on_reap, serving);
	if (!serving->reap || event_add(serving->reap, &(struct timeval){ .tv_sec = REAP_S })) {
		serving_free(serving);
		return NULL;
	}
	adopt(serving);
	return serving;
}

void serving_free(struct serving *serving)
{
	if (!serving)
		return;
	if (serving->reap)
		event_free(serving->reap);
	free(serving);
}
