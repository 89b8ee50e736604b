/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registrars asked for by CoAP (join-proxy-21 5.1, and what earlier drafts call them): every
 * name of the table brski_ask() is asked for on each uplink of the groups ff05::fd and
 * ff03::fd, and of the hosts that the operator named.  Never on a pledge port.
 *
 * A round asks everything once, spaced.  It begins within half a second after an uplink or a
 * host came, again after 1, 2, 4 ... 60 s while no Registrar is heard of, and every 60 s then,
 * so that one that is heard of misses three rounds before it is forgotten.  Answers are taken for
 * ten seconds after a question (RFC 7252 8.2: most wait a part of five); those that come later
 * are ignored, as the next round asks again.
 *
 * Questions to groups go up to 64 hops, as everything does that jpd sends: what keeps them in
 * the site is the scope of the group (RFC 4007 9), and the usual 1 would end at the first router.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addr.h"
#include "brski_link.h"
#include "coap_question.h"
#include "discovery.h"
#include "linkformat.h"
#include "log.h"
#include "registrars.h"

#define COAP_PORT    5683
#define START_MS     500   /* a round begins at a random time within it */
#define SPACING_MS   50	   /* between two questions */
#define ROUND_MS     10000 /* with many questions they are less apart, so that it ends */
#define BUSY_MS	     500   /* while too many questions wait for answers */
#define AGAIN_MIN_MS 1000
#define AGAIN_MAX_MS 60000
#define LIFETIME_S   190 /* of what was heard: three rounds */
#define HEARD_ANSWER 32	 /* Registrars taken of one answer */
#define HEARD_ROUND  512 /* ... and between the begins of two rounds */

/* Site-local, and realm-local where the Registrar's end is on the 6LBR (join-proxy-21 5.1.1). */
static const struct in6_addr groups[] = {
	{ { { 0xff, 0x05, [15] = 0xfd } } },
	{ { { 0xff, 0x03, [15] = 0xfd } } },
};
#define GROUPS (sizeof(groups) / sizeof(*groups))

struct coap_ask {
	struct event_base *base;
	struct registrars *registrars;
	struct coap_questions *questions; /* NULL: silent */
	struct event *timer;
	struct discovery_uplink uplinks[DISCOVERY_UPLINKS];
	unsigned int uplink_count;
	struct sockaddr_in6 hosts[DISCOVERY_HOSTS];
	unsigned int host_count;
	unsigned int anew;     /* as the view said last */
	bool asking, starting; /* a round runs; one is about to begin */
	unsigned int next;     /* question of it */
	unsigned int again_ms; /* to the next one, while nothing is heard */
	unsigned int heard;    /* Registrars in this round */
	time_t last_heard;     /* 0: nothing yet */
	unsigned int asked;    /* questions that left in this round */
	int error;	       /* the last one of this round */
	int said;	       /* error that the log knows of */
};

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static unsigned int random_below(unsigned int limit)
{
	uint32_t value = 0;

	if (!evutil_secure_rng_init())
		evutil_secure_rng_get_bytes(&value, sizeof(value));
	return value % limit;
}

static void after(struct coap_ask *ask, unsigned int ms)
{
	event_add(ask->timer, &(struct timeval){ .tv_sec = (time_t)(ms / 1000),
						 .tv_usec = (suseconds_t)(ms % 1000) * 1000 });
}

/* ---- what is heard ------------------------------------------------------------ */

struct answer {
	struct coap_ask *ask;
	const struct coap_question *q;
	const struct in6_addr *from;
	unsigned int heard;
};

static bool hears_enough(struct answer *answer)
{
	char from[INET6_ADDRSTRLEN];

	if (answer->heard < HEARD_ANSWER && answer->ask->heard < HEARD_ROUND)
		return false;
	jpx_log_limited(JPX_LOG_WARNING, "%s: %s names more Registrars for %s than are taken",
			answer->q->ifname, jpx_addr_format(answer->from, from, sizeof(from)),
			answer->q->filter);
	return true;
}

/* Rounds may be rare now. */
static void settle(struct coap_ask *ask)
{
	bool was = ask->last_heard != 0;

	ask->last_heard = now_s();
	if (!was && !ask->asking && !ask->starting)
		after(ask, AGAIN_MAX_MS);
}

static void on_link(void *arg, const struct linkformat_link *link)
{
	struct answer *answer = arg;
	struct registrar_heard heard = { .source = JPX_SOURCE_COAP,
					 .lifetime = LIFETIME_S,
					 .ifindex = answer->q->ifindex,
					 .from = *answer->from };
	char err[160], from[INET6_ADDRSTRLEN];
	struct brski_registrar registrar;
	int ret;

	ret = brski_registrar_link(link, answer->q->filter, answer->from, &registrar, err,
				   sizeof(err));
	if (ret == -EINVAL)
		jpx_log_limited(JPX_LOG_WARNING, "%s: %s names no usable Registrar for %s: %s",
				answer->q->ifname,
				jpx_addr_format(answer->from, from, sizeof(from)),
				answer->q->filter, err);
	if (ret || hears_enough(answer))
		return;
	answer->heard++;
	answer->ask->heard++;
	heard.addr = registrar.addr;
	heard.port = registrar.port;
	heard.mode = registrar.mode;
	heard.form = registrar.form;
	heard.priority = registrar.priority;
	heard.weight = registrar.weight;
	strncpy(heard.by, answer->q->filter, sizeof(heard.by) - 1);
	registrars_heard(answer->ask->registrars, &heard);
	settle(answer->ask);
}

static bool on_answer(void *arg, const struct coap_question *q, const struct in6_addr *from,
		      const char *text, size_t len)
{
	struct answer answer = { .ask = arg, .q = q, .from = from };
	char addr[INET6_ADDRSTRLEN];
	size_t at = 0;
	int ret;

	ret = linkformat_walk(text, len, on_link, &answer, &at);
	if (ret >= 0)
		return true;
	jpx_log_limited(JPX_LOG_WARNING,
			"%s: what %s answered to %s is ignored: it is no link-format at byte %zu "
			"of %zu (%s)",
			q->ifname, jpx_addr_format(from, addr, sizeof(addr)), q->filter, at, len,
			ret == -E2BIG ? "too much" : "malformed");
	return false;
}

static void on_end(void *arg, const struct coap_question *q, const struct in6_addr *from,
		   unsigned int seconds)
{
	struct coap_ask *ask = arg;

	registrars_replaced(ask->registrars, JPX_SOURCE_COAP, q->ifindex, from, q->filter, seconds);
}

static const struct coap_question_use use = { .on_answer = on_answer, .on_end = on_end };

/* ---- asking -------------------------------------------------------------------- */

static unsigned int filters(void)
{
	unsigned int count = 0;

	while (brski_ask(count))
		count++;
	return count;
}

static unsigned int questions(const struct coap_ask *ask)
{
	return (GROUPS + ask->host_count) * ask->uplink_count * filters();
}

/* Question N of a round: to groups first, all uplinks in turn.  False: it makes no sense. */
static bool question(const struct coap_ask *ask, unsigned int n, struct coap_question *q)
{
	const struct discovery_uplink *uplink = &ask->uplinks[n % ask->uplink_count];
	unsigned int filter = n / ask->uplink_count % filters();
	unsigned int to = n / ask->uplink_count / filters();

	*q = (struct coap_question){ .filter = brski_ask(filter)->filter,
				     .ifindex = uplink->ifindex };
	strncpy(q->ifname, uplink->ifname, sizeof(q->ifname) - 1);
	q->to = to < GROUPS ? (struct sockaddr_in6){ .sin6_addr = groups[to] }
			    : ask->hosts[to - GROUPS];
	q->to.sin6_family = AF_INET6;
	if (!q->to.sin6_port)
		q->to.sin6_port = htons(COAP_PORT);
	if (to < GROUPS) {
		q->to.sin6_scope_id = uplink->ifindex;
	} else if (IN6_IS_ADDR_LINKLOCAL(&q->to.sin6_addr)) {
		if (q->to.sin6_scope_id && q->to.sin6_scope_id != uplink->ifindex)
			return false;
		q->to.sin6_scope_id = uplink->ifindex;
	}
	return true;
}

/* What is not asked now is asked in the next round.  That a host has no way through one of
 * several uplinks is usual, that nothing leaves at all is not. */
static void failed(struct coap_ask *ask, const struct coap_question *q, int error)
{
	bool usual = error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EADDRNOTAVAIL;
	char to[JPX_ENDPOINT_STRLEN];

	ask->error = error;
	if (usual || error == ask->said) {
		jpx_debug("%s: cannot ask %s for %s: %s", q->ifname,
			  jpx_endpoint_format(&q->to, to, sizeof(to)), q->filter, strerror(-error));
		return;
	}
	ask->said = error;
	jpx_warning("%s: cannot ask %s for %s: %s%s; tried again in the next round", q->ifname,
		    jpx_endpoint_format(&q->to, to, sizeof(to)), q->filter, strerror(-error),
		    error == -EMFILE ? " (raise LimitNOFILE)" : "");
}

/* Once a cause, until all goes well. */
static void sum_up(struct coap_ask *ask)
{
	if (!ask->asked && ask->error && ask->error != ask->said) {
		ask->said = ask->error;
		jpx_warning(
			"coap-ask: no question for Registrars can leave any uplink: %s (has one "
			"an IPv6 address?); tried again in every round",
			strerror(-ask->error));
	}
	if (!ask->error)
		ask->said = 0;
}

static void end_round(struct coap_ask *ask)
{
	unsigned int ms = AGAIN_MAX_MS;

	ask->asking = false;
	sum_up(ask);
	if (ask->last_heard && now_s() - ask->last_heard > LIFETIME_S) {
		ask->last_heard = 0;
		ask->again_ms = AGAIN_MIN_MS;
	}
	if (!ask->last_heard) {
		ms = ask->again_ms;
		ask->again_ms = ms * 2 < AGAIN_MAX_MS ? ms * 2 : AGAIN_MAX_MS;
	}
	/* Earlier by up to a quarter, so that proxies do not ask in step. */
	after(ask, ms - random_below(ms / 4));
}

static void begin_round(struct coap_ask *ask)
{
	ask->asking = true;
	ask->starting = false;
	ask->next = ask->heard = ask->asked = 0;
	ask->error = 0;
}

static void step(evutil_socket_t fd, short what, void *arg)
{
	struct coap_ask *ask = arg;
	struct coap_question q;
	unsigned int all;
	int ret;

	(void)fd;
	(void)what;
	if (!ask->asking)
		begin_round(ask);
	all = questions(ask);
	while (ask->next < all && !question(ask, ask->next, &q))
		ask->next++;
	if (ask->next >= all) {
		end_round(ask);
		return;
	}
	ret = coap_questions_ask(ask->questions, &q);
	if (ret == -EBUSY) {
		after(ask, BUSY_MS);
		return;
	}
	if (ret)
		failed(ask, &q, ret);
	else
		ask->asked++;
	ask->next++;
	after(ask, all * SPACING_MS <= ROUND_MS ? SPACING_MS : ROUND_MS / all + 1);
}

/* ---- the way --------------------------------------------------------------------- */

static bool same_uplink(const struct discovery_uplink *a, const struct discovery_uplink *b)
{
	return a->ifindex == b->ifindex && !strcmp(a->ifname, b->ifname) &&
	       IN6_ARE_ADDR_EQUAL(&a->link_local, &b->link_local);
}

static bool same_host(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr) && a->sin6_port == b->sin6_port &&
	       a->sin6_scope_id == b->sin6_scope_id;
}

/* Is there one in VIEW that was not there before, or is otherwise now? */
static bool has_new(const struct coap_ask *ask, const struct discovery_view *view)
{
	unsigned int i, j;

	for (i = 0; i < view->uplink_count; i++) {
		for (j = 0; j < ask->uplink_count; j++)
			if (same_uplink(&view->uplinks[i], &ask->uplinks[j]))
				break;
		if (j == ask->uplink_count)
			return true;
	}
	for (i = 0; i < view->settings->host_count; i++) {
		for (j = 0; j < ask->host_count; j++)
			if (same_host(&view->settings->hosts[i], &ask->hosts[j]))
				break;
		if (j == ask->host_count)
			return true;
	}
	return false;
}

static bool in_view(const struct discovery_uplink *uplink, const struct discovery_view *view)
{
	for (unsigned int i = 0; i < view->uplink_count; i++)
		if (same_uplink(uplink, &view->uplinks[i]))
			return true;
	return false;
}

static void copy_view(struct coap_ask *ask, const struct discovery_view *view)
{
	ask->anew = view->anew;
	ask->uplink_count = view->uplink_count;
	memcpy(ask->uplinks, view->uplinks, view->uplink_count * sizeof(*view->uplinks));
	ask->host_count = view->settings->host_count;
	memcpy(ask->hosts, view->settings->hosts, ask->host_count * sizeof(*ask->hosts));
}

static void be_silent(struct coap_ask *ask)
{
	event_del(ask->timer);
	coap_questions_free(ask->questions);
	ask->questions = NULL;
	ask->uplink_count = ask->host_count = 0;
	ask->asking = ask->starting = false;
	ask->last_heard = 0;
}

/* A round soon, all over; one that is about to begin is not put off by links that flap. */
static void start_soon(struct coap_ask *ask)
{
	ask->asking = false;
	ask->last_heard = 0;
	ask->again_ms = AGAIN_MIN_MS;
	if (!ask->starting)
		after(ask, random_below(START_MS));
	ask->starting = true;
}

static bool ready_to_ask(struct coap_ask *ask)
{
	if (!ask->questions)
		ask->questions = coap_questions_new(ask->base, &use, ask);
	if (!ask->questions)
		jpx_log_limited(JPX_LOG_ERROR,
				"coap-ask: cannot ask for Registrars: out of memory or of file "
				"descriptors (raise LimitNOFILE); tried again at the next change");
	return ask->questions != NULL;
}

static void ask_sync(void *way, const struct discovery_view *view)
{
	struct coap_ask *ask = way;
	unsigned int before;

	if (!view->look || !view->settings->coap_ask || !view->uplink_count) {
		if (ask->questions)
			be_silent(ask);
		return;
	}
	if (!ready_to_ask(ask))
		return;
	for (unsigned int i = 0; i < ask->uplink_count; i++)
		if (!in_view(&ask->uplinks[i], view))
			coap_questions_drop(ask->questions, ask->uplinks[i].ifindex);
	before = questions(ask);
	if (has_new(ask, view) || view->anew != ask->anew) {
		copy_view(ask, view);
		start_soon(ask);
		return;
	}
	copy_view(ask, view);
	/* The numbers of a running round mean something else now. */
	if (ask->asking && questions(ask) != before)
		ask->next = 0;
}

static void *ask_start(struct event_base *base, struct registrars *registrars)
{
	struct coap_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->base = base;
	ask->registrars = registrars;
	ask->timer = event_new(base, -1, 0, step, ask);
	if (!ask->timer) {
		free(ask);
		return NULL;
	}
	return ask;
}

static void ask_stop(void *way)
{
	struct coap_ask *ask = way;

	if (!ask)
		return;
	coap_questions_free(ask->questions);
	event_free(ask->timer);
	free(ask);
}

const struct discovery_way discovery_coap_ask = {
	.name = "coap-ask",
	.start = ask_start,
	.sync = ask_sync,
	.stop = ask_stop,
};
