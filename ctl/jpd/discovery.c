/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See discovery.h.  Every way of finding and being found is a row here. */
#include "discovery.h"

#include <event2/event.h>
#include <stdlib.h>

#include "proxy.h"
#include "registrars.h"
#include "serving.h"
#include "view.h"

static const struct discovery_way *const ways[] = {
	&discovery_coap_answer, &discovery_coap_ask, &discovery_grasp,
#ifdef JPX_WITH_CARES
	&discovery_dns_sd,
#endif
#ifdef JPX_WITH_AVAHI
	&discovery_mdns,
#endif
	&discovery_beacon,
};
#define WAYS (sizeof(ways) / sizeof(*ways))

struct discovery {
	struct proxy *proxy;
	struct registrars *registrars;
	struct serving *serving;
	struct discovery_settings settings;
	struct discovery_view view;
	unsigned int anew;
	void *started[WAYS];
};

static void take(struct discovery *d, const struct discovery_settings *settings)
{
	d->settings = *settings;
	proxy_set_discovery(
		d->proxy, settings->look != DISCOVERY_NO &&
				  (settings->coap_ask || settings->grasp_hear || settings->dns_sd));
}

static void run(void *arg)
{
	struct discovery *d = arg;
	struct pledge_links pledges;
	bool look;

	/* First: who was heard by an interface that is a pledge port now shall not be served. */
	pledge_links_find(proxy_state(d->proxy), proxy_network(d->proxy), &pledges);
	registrars_distrust(d->registrars, &pledges);
	serving_run(d->serving, &d->settings);
	look = serving_looks(d->serving, &d->settings);
	view_make(proxy_state(d->proxy), proxy_network(d->proxy), &d->settings, &pledges, look,
		  &d->view);
	d->view.anew = d->anew;
	for (size_t i = 0; i < WAYS; i++)
		if (d->started[i])
			ways[i]->sync(d->started[i], &d->view);
}

struct discovery *discovery_new(struct event_base *base, struct proxy *proxy,
				const struct discovery_settings *settings)
{
	struct discovery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->proxy = proxy;
	take(d, settings);
	d->registrars = registrars_new(base, run, d);
	d->serving = d->registrars ? serving_new(base, proxy, d->registrars) : NULL;
	if (!d->serving) {
		discovery_free(d);
		return NULL;
	}
	for (size_t i = 0; i < WAYS; i++)
		d->started[i] = ways[i]->start(base, d->registrars);
	proxy_tell(proxy, run, d);
	run(d);
	return d;
}

void discovery_free(struct discovery *d)
{
	if (!d)
		return;
	proxy_tell(d->proxy, NULL, NULL);
	for (size_t i = 0; i < WAYS; i++)
		if (d->started[i])
			ways[i]->stop(d->started[i]);
	serving_free(d->serving);
	registrars_free(d->registrars);
	free(d);
}

void discovery_set(struct discovery *d, const struct discovery_settings *settings)
{
	take(d, settings);
	d->anew++;
	run(d);
}

const struct discovery_view *discovery_view(const struct discovery *d)
{
	return &d->view;
}

const struct registrars *discovery_registrars(const struct discovery *d)
{
	return d->registrars;
}
