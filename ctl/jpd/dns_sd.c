/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrars by unicast DNS-SD (RFC 6763), asked of the system's resolvers: PTR of a service name
 * in each domain, TXT and SRV of each instance, AAAA and A of each target.  Where a name has no
 * instances, SRV is asked of the name itself, as RFC 2782 alone would have it.
 *
 * All that is asked at one time is a round.  What a round found stands for the smallest TTL on the
 * way to it; the next round begins when two thirds of the smallest of these are over.  A round
 * without any question that failed also says what stands no longer.
 *
 * Must never ask for names under "local" (RFC 6762 3) and never log a name from an answer.
 */
#include "discovery.h"

#include <arpa/nameser.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "addr.h"
#include "dns.h"
#include "log.h"
#include "registrars.h"

/* Seconds; tests make them short. */
#ifndef DNS_SD_LIFETIME_MIN
#define DNS_SD_LIFETIME_MIN 60
#endif
#define LIFETIME_MAX 3600
#ifndef DNS_SD_RETRY_MIN
#define DNS_SD_RETRY_MIN 30 /* after a round that found nothing; doubled each time */
#endif
#define RETRY_MAX 3600
#define SETTLE	  1 /* after a change, which seldom comes alone */

#define INSTANCES_MAX 16  /* of one name in one domain */
#define TARGETS_MAX   4	  /* SRV records of one instance */
#define ADDRESSES_MAX 8	  /* of one type of one target */
#define QUESTIONS_MAX 512 /* of one round */

/* The names that Registrars go by, a row a name. */
static const struct service {
	const char *name;
	enum jpx_mode mode;
	enum jpx_form form;
} services[] = {
	/* BRSKI discovery 3.5.1.4, 4.2.1 */
	{ "_brski-registrar._udp", JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	{ "_brski-registrar-rpy._udp", JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
	/* constrained join proxy -21 8.4 asks for the name, and does not say how it is used */
	{ "_brski-rjp._udp", JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
};
#define SERVICES (sizeof(services) / sizeof(services[0]))

/* Variations of BRSKI (BRSKI discovery 4.1): a Registrar that names others and not ours serves
 * none of our pledges. */
static const char our_variation[] = "rrm-cose";
static const char *const other_variations[] = { "est-tls", "cmp", "prm-jose" };

struct way {
	struct registrars *registrars;
	struct dns *dns;
	struct event *timer;
	bool active;	    /* there is somebody to look for, and a way to */
	bool again;	    /* something changed during the round */
	bool settling;	    /* something changed, and the next round is near */
	bool told_nowhere;  /* that no domain is known */
	bool told_too_much; /* that a round was cut short */
	char domain[256];   /* of the settings */
	unsigned int uplinks[DISCOVERY_UPLINKS];
	unsigned int uplink_count;
	unsigned int retry; /* seconds, after the next round that finds nothing */
	/* of this round */
	unsigned int open;  /* questions without an answer, and one while it begins */
	unsigned int asked; /* questions so far */
	unsigned int found; /* addresses */
	uint32_t lifetime;  /* the smallest */
	time_t began;
	bool failed[SERVICES];
};

/* A question and what is known already from those before it. */
struct step {
	struct way *way;
	const struct service *service;
	int type;
	bool instance; /* found by PTR, so it may have TXT */
	uint32_t ttl;
	uint16_t priority, weight, port;
	unsigned int taken; /* records of the answer */
	bool ours, others;  /* TXT: variations that it names */
	char name[DNS_NAME_LEN];
};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void schedule(struct way *way, unsigned int seconds)
{
	evtimer_add(way->timer, &(struct timeval){ .tv_sec = seconds });
}

static void settle(struct way *way)
{
	if (!way->settling)
		schedule(way, SETTLE);
	way->settling = true;
}

static bool *failed(const struct step *step)
{
	return &step->way->failed[step->service - services];
}

/* ---- the end of a round ---- */

static void round_end(struct way *way)
{
	unsigned int took = (unsigned int)(now() - way->began) + 1, delay;

	if (!way->active)
		return;
	for (size_t i = 0; i < SERVICES; i++) {
		if (!way->failed[i])
			registrars_replaced(way->registrars, JPX_SOURCE_DNS_SD, 0, &in6addr_any,
					    services[i].name, took);
	}
	if (way->again) {
		way->again = false;
		settle(way);
		return;
	}
	if (way->found) {
		delay = way->lifetime * 2 / 3;
		way->retry = DNS_SD_RETRY_MIN;
	} else {
		delay = way->retry;
		way->retry = delay * 2 < RETRY_MAX ? delay * 2 : RETRY_MAX;
	}
	jpx_debug("dns-sd: %u questions, %u addresses; again in %u s", way->asked, way->found,
		  delay);
	schedule(way, delay);
}

static void release(struct way *way)
{
	if (--way->open == 0)
		round_end(way);
}

/* ---- steps ---- */

static void answered(void *arg, enum dns_result result, const unsigned char *answer, int len);

/* Asks for TYPE of NAME, with what FROM knows. */
static void ask(const struct step *from, int type, const char *name)
{
	struct way *way = from->way;
	struct step *step;

	if (way->asked >= QUESTIONS_MAX) {
		*failed(from) = true;
		if (!way->told_too_much)
			jpx_warning("dns-sd: more Registrars in DNS than %u questions find; "
				    "the rest is left out",
				    QUESTIONS_MAX);
		way->told_too_much = true;
		return;
	}
	step = malloc(sizeof(*step));
	if (!step) {
		*failed(from) = true;
		return;
	}
	*step = *from;
	step->type = type;
	step->taken = 0;
	memmove(step->name, name, strlen(name) + 1);
	way->asked++;
	way->open++;
	if (dns_ask(way->dns, step->name, type, answered, step)) {
		*failed(from) = true;
		free(step);
		way->open--; /* never the last: the caller's is open, too */
	}
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool on_instance(void *arg, const struct dns_record *record)
{
	struct step *step = arg, next = *step;

	next.instance = true;
	next.ttl = smaller(step->ttl, record->ttl);
	ask(&next, ns_t_txt, record->name);
	return ++step->taken < INSTANCES_MAX;
}

static bool is(const unsigned char *text, size_t len, const char *word)
{
	return len == strlen(word) && !strncasecmp((const char *)text, word, len);
}

/* Keys without a value are variations (BRSKI discovery 3.5.1.2); all else means nothing here. */
static bool on_text(void *arg, const struct dns_record *record)
{
	const unsigned char *at = record->data, *end = at + record->data_len;
	struct step *step = arg;

	while (at < end) {
		size_t len = *at++;

		if (len > (size_t)(end - at))
			break;
		step->ours |= is(at, len, our_variation);
		for (size_t i = 0; i < sizeof(other_variations) / sizeof(*other_variations); i++)
			step->others |= is(at, len, other_variations[i]);
		at += len;
	}
	return true;
}

static bool on_target(void *arg, const struct dns_record *record)
{
	struct step *step = arg, next = *step;

	/* The root as target: decidedly not here (RFC 2782). */
	if (!*record->name || !record->port)
		return true;
	next.ttl = smaller(step->ttl, record->ttl);
	next.priority = record->priority;
	next.weight = record->weight;
	next.port = record->port;
	ask(&next, ns_t_aaaa, record->name);
	ask(&next, ns_t_a, record->name);
	return ++step->taken < TARGETS_MAX;
}

static bool on_address(void *arg, const struct dns_record *record)
{
	struct step *step = arg;
	struct way *way = step->way;
	uint32_t lifetime = smaller(step->ttl, record->ttl);
	struct registrar_heard heard = {
		.source = JPX_SOURCE_DNS_SD,
		.addr = record->addr,
		.port = step->port,
		.mode = step->service->mode,
		.form = step->service->form,
		.priority = step->priority,
		.weight = step->weight,
	};

	if (lifetime < DNS_SD_LIFETIME_MIN)
		lifetime = DNS_SD_LIFETIME_MIN;
	if (lifetime > LIFETIME_MAX)
		lifetime = LIFETIME_MAX;
	heard.lifetime = lifetime;
	snprintf(heard.by, sizeof(heard.by), "%s", step->service->name);
	if (way->active)
		registrars_heard(way->registrars, &heard);
	way->found++;
	way->lifetime = smaller(way->lifetime, lifetime);
	return ++step->taken < ADDRESSES_MAX;
}

/* Was it read to its end? */
static bool walk(struct step *step, const unsigned char *answer, int len,
		 bool (*on_record)(void *arg, const struct dns_record *record))
{
	if (!answer || !dns_walk(answer, len, step->type, on_record, step))
		return true;
	*failed(step) = true;
	jpx_log_limited(JPX_LOG_WARNING, "dns-sd: an answer about %s is malformed",
			step->service->name);
	return false;
}

/* What follows from a question about STEP->type; without ANSWER there is none. */
static void follow(struct step *step, const unsigned char *answer, int len)
{
	switch (step->type) {
	case ns_t_ptr:
		if (walk(step, answer, len, on_instance) && !step->taken)
			ask(step, ns_t_srv, step->name);
		break;
	case ns_t_txt:
		if (answer && dns_walk(answer, len, step->type, on_text, step))
			step->ours = true; /* unreadable is as good as none */
		if (step->ours || !step->others)
			ask(step, ns_t_srv, step->name);
		break;
	case ns_t_srv:
		walk(step, answer, len, on_target);
		break;
	default:
		walk(step, answer, len, on_address);
		break;
	}
}

static void answered(void *arg, enum dns_result result, const unsigned char *answer, int len)
{
	struct step *step = arg;
	struct way *way = step->way;

	if (way->active) {
		/* A Registrar need not have TXT, so it need not be answered either. */
		if (result == DNS_FAILED && step->type != ns_t_txt)
			*failed(step) = true;
		else
			follow(step, answer, len);
	}
	free(step);
	release(way);
}

/* ---- the beginning of a round ---- */

static bool is_local(const char *domain)
{
	size_t len = strlen(domain);

	while (len && domain[len - 1] == '.')
		len--;
	return len >= 5 && !strncasecmp(domain + len - 5, "local", 5) &&
	       (len == 5 || domain[len - 6] == '.');
}

static void search(struct way *way, const char *domain)
{
	char name[DNS_NAME_LEN];

	if (!*domain || !strcmp(domain, ".") || is_local(domain))
		return;
	for (size_t i = 0; i < SERVICES; i++) {
		struct step step = { .way = way, .service = &services[i], .ttl = LIFETIME_MAX };

		snprintf(name, sizeof(name), "%s.%s", services[i].name, domain);
		ask(&step, ns_t_ptr, name);
	}
}

static void round_begin(struct way *way)
{
	char domains[DNS_DOMAINS_MAX][256];
	unsigned int count = 0;

	way->settling = false;
	way->asked = way->found = 0;
	way->lifetime = LIFETIME_MAX;
	way->began = now();
	memset(way->failed, 0, sizeof(way->failed));
	way->open = 1;
	if (dns_configure(way->dns)) {
		jpx_log_limited(JPX_LOG_WARNING,
				"dns-sd: the resolver's configuration cannot be read");
		memset(way->failed, true, sizeof(way->failed));
	} else if (*way->domain) {
		search(way, way->domain);
	} else {
		count = dns_domains(way->dns, domains);
		for (unsigned int i = 0; i < count; i++)
			search(way, domains[i]);
	}
	if (!way->asked && !way->told_nowhere)
		jpx_debug("dns-sd: no domain to look for Registrars in");
	way->told_nowhere = !way->asked;
	release(way);
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct way *way = arg;

	(void)fd;
	(void)what;
	round_begin(way);
}

/* ---- the way ---- */

/* Takes VIEW's uplinks.  Are they others than before? */
static bool uplinks_take(struct way *way, const struct discovery_view *view)
{
	bool others = way->uplink_count != view->uplink_count;

	for (unsigned int i = 0; i < view->uplink_count; i++) {
		others |= way->uplinks[i] != view->uplinks[i].ifindex;
		way->uplinks[i] = view->uplinks[i].ifindex;
	}
	way->uplink_count = view->uplink_count;
	return others;
}

static void dns_sd_sync(void *arg, const struct discovery_view *view)
{
	bool active = view->look && view->settings->dns_sd && view->uplink_count;
	struct way *way = arg;
	bool others;

	dns_distrust(way->dns, &view->pledges);
	others = uplinks_take(way, view) || active != way->active ||
		 strcmp(way->domain, view->settings->domain) != 0;
	snprintf(way->domain, sizeof(way->domain), "%s", view->settings->domain);
	way->active = active;
	if (!active) {
		evtimer_del(way->timer);
		way->again = way->settling = false;
		return;
	}
	if (way->settling || (!others && (way->open || !dns_is_stale(way->dns))))
		return;
	way->retry = DNS_SD_RETRY_MIN;
	way->told_too_much = false;
	if (way->open)
		way->again = true;
	else
		settle(way);
}

static void dns_sd_stop(void *arg)
{
	struct way *way = arg;

	if (!way)
		return;
	way->active = false;
	dns_free(way->dns);
	if (way->timer)
		event_free(way->timer);
	free(way);
}

static void *dns_sd_start(struct event_base *base, struct registrars *registrars)
{
	struct way *way = calloc(1, sizeof(*way));

	if (!way)
		return NULL;
	way->registrars = registrars;
	way->dns = dns_new(base);
	way->timer = evtimer_new(base, timer_cb, way);
	if (!way->dns || !way->timer) {
		jpx_warning("dns-sd: out of memory");
		dns_sd_stop(way);
		return NULL;
	}
	return way;
}

const struct discovery_way discovery_dns_sd = {
	.name = "dns-sd",
	.start = dns_sd_start,
	.sync = dns_sd_sync,
	.stop = dns_sd_stop,
};
