/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See health.h.
 *
 * A service is well, out, or on trial: let in again though nobody knows.  Evidence is a
 * packet from the Registrar or its answer to a probe.  That an answered probe ends a doubt
 * keeps a pledge from silencing a Registrar by sending what no server would answer.
 */
#include "health.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "probe.h"

/*
 * All times, in ms.  From draft-ietf-anima-brski-discovery-07, by its section, or, where that is
 * silent, our own.
 */
#define FORWARDING     30000   /* 3.2.3: "more than 30 seconds" without a packet back */
#define HOLD_STATELESS 180000  /* 3.2.3: "not ... for at least 180 seconds" */
#define HOLD_STATEFUL  60000   /* 3.2.3, 3.3.2.2: retried after 60 s at the earliest */
#define PERSISTS       10000   /* 3.2.3: ICMP counts once it has lasted for so long */
#define DEAD	       120000  /* 3.2.2: withdrawn when dead for so long */
#define PROBE_EVERY    30000   /* 3.2.2: e.g. every 30 s */
#define HOLD_MAX       3600000 /* as RFC 8995 4.1 lets pledges back off */
#define GOOD_LIFE      600000  /* own: after so long the next time out is a first one again */
#define PAUSE	       30000 /* own: pledges' timers double up to 32 s; after more it is another try */
#define PERSISTS_GAP   60000 /* own: two errors further apart are two events */
#define DOUBT	       10000 /* own: forwarding in vain for so long: a probe need not wait */
#define CONFIRM	       3000  /* own: between probes while ICMP says unreachable */
#define FIRST_CONFIG   30000 /* own: before the first probe of a configured service */
#define FIRST_FOUND    1000  /* own: of a discovered one, which pledges may be sent to at once */
#define LOOK	       1000  /* own: between two looks */
#define ASLEEP	       5000  /* own: after a longer gap between them we know nothing */

typedef uint64_t ms_t; /* since some time before the start; 0: never */

struct watch {
	bool known, told; /* ... that it answered */
	enum { WELL, OUT, TRIAL } standing;
	enum { BY_FORWARDING, BY_ICMP, BY_PROBES, BEFORE_START } why; /* it is out */
	uint32_t to_registrar, to_pledge; /* packets, at the last look */
	ms_t since;			  /* it is watched */
	ms_t came;			  /* a packet from the Registrar ... */
	ms_t answered;			  /* ... or an answer to a probe */
	bool answers;			  /* probes, once */
	/* Since the last evidence: */
	ms_t forwarding, forwarded; /* the first and last packet of an attempt */
	ms_t icmp, icmp_last;	    /* the first and last error in a row */
	ms_t asked_first;	    /* the first probe */
	ms_t asked;		    /* the last probe ever */
	ms_t changed;		    /* it went out, or came in again */
	ms_t mute;		    /* out: silent since; else as it was */
	ms_t hold;		    /* how long it stays, or the last time stayed, out at least */
};

struct health {
	const struct jpx_state *state;
	void (*count)(void *arg, unsigned int service_id, uint32_t *to_registrar,
		      uint32_t *to_pledge);
	void (*on_change)(void *arg);
	void *arg;
	struct probes *probes;
	struct event *timer;
	ms_t looked;
	struct watch watches[JPX_MAX_SERVICES];
};

static ms_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ms_t)ts.tv_sec * 1000 + (ms_t)ts.tv_nsec / 1000000 + 1;
}

static const struct jpx_service *service_of(const struct health *health, unsigned int id)
{
	return &health->state->services[id];
}

static bool is_probed(const struct jpx_service *service)
{
	return !(service->flags & (JPX_SERVICE_ANY_CONTENT | JPX_SERVICE_NO_PROBE));
}

static ms_t first_hold(const struct jpx_service *service)
{
	return service->mode == JPX_MODE_STATEFUL ? HOLD_STATEFUL : HOLD_STATELESS;
}

static ms_t last_evidence(const struct watch *w)
{
	return w->came > w->answered ? w->came : w->answered;
}

/* ---- what is seen ---------------------------------------------------------------- */

static void forget_doubts(struct watch *w)
{
	w->forwarding = w->icmp = w->asked_first = 0;
}

static void on_probe(void *arg, unsigned int service_id, enum probe_result result)
{
	struct health *health = arg;
	struct watch *w = &health->watches[service_id];

	if (result == PROBE_UNREACHABLE) {
		health_unreachable(health, service_id);
		return;
	}
	w->answered = now_ms();
	w->answers = true;
	forget_doubts(w);
}

void health_unreachable(struct health *health, unsigned int service_id)
{
	struct watch *w = &health->watches[service_id];
	ms_t now = now_ms();

	if (!w->icmp || now - w->icmp_last > PERSISTS_GAP)
		w->icmp = now;
	w->icmp_last = now;
}

/* What has not gone on is over. */
static void drop_old_doubts(struct watch *w, ms_t now)
{
	if (now - w->forwarded > PAUSE)
		w->forwarding = 0;
	if (now - w->icmp_last > PERSISTS_GAP)
		w->icmp = 0;
}

static void count(struct health *health, unsigned int id, ms_t now)
{
	struct watch *w = &health->watches[id];
	uint32_t to_registrar = 0, to_pledge = 0;

	drop_old_doubts(w, now);
	health->count(health->arg, id, &to_registrar, &to_pledge);
	if (to_pledge != w->to_pledge) {
		w->came = now;
		forget_doubts(w);
	}
	if (to_registrar != w->to_registrar) {
		if (!w->forwarding)
			w->forwarding = now;
		w->forwarded = now;
	}
	w->to_registrar = to_registrar;
	w->to_pledge = to_pledge;
}

/* ---- judgement -------------------------------------------------------------------- */

static void let_in(struct health *health, unsigned int id, bool trial, ms_t now)
{
	struct watch *w = &health->watches[id];

	w->standing = trial ? TRIAL : WELL;
	w->changed = now;
	forget_doubts(w);
	jpx_info("registrar %s: %s", service_of(health, id)->name,
		 trial ? "let in again for a trial" : "answers again");
}

static void judge_out(struct health *health, unsigned int id, ms_t now)
{
	struct watch *w = &health->watches[id];
	ms_t over = w->changed + w->hold;

	if (w->came > w->changed)
		let_in(health, id, false, now);
	else if (now < over)
		return;
	else if (w->answered >= over)
		let_in(health, id, false, now);
	else if (!w->answers || !is_probed(service_of(health, id)))
		let_in(health, id, true, now);
}

/* Why it should be out now, or -1. */
static int reason_to_go(const struct watch *w, ms_t now)
{
	if (w->icmp && w->icmp_last - w->icmp >= PERSISTS)
		return BY_ICMP;
	if (w->forwarding && w->forwarded - w->forwarding > FORWARDING)
		return BY_FORWARDING;
	if (w->answers && w->asked_first && now - w->asked_first >= DEAD)
		return BY_PROBES;
	return -1;
}

static void put_out(struct health *health, unsigned int id, int why, ms_t now)
{
	struct watch *w = &health->watches[id];
	char text[160];

	if (!w->hold)
		w->hold = first_hold(service_of(health, id));
	else if (w->standing == TRIAL)
		w->hold = w->hold > HOLD_MAX / 2 ? HOLD_MAX : 2 * w->hold;
	w->mute = why == BY_ICMP ? w->icmp : why == BY_FORWARDING ? w->forwarding : w->asked_first;
	w->why = why;
	w->standing = OUT;
	w->changed = now;
	forget_doubts(w);
	jpx_warning("registrar %s: %s", service_of(health, id)->name,
		    health_text(health, id, text, sizeof(text)));
}

/* Returns whether the judgement changed. */
static bool judge(struct health *health, unsigned int id, ms_t now)
{
	struct watch *w = &health->watches[id];
	bool was_out = w->standing == OUT;
	int why;

	if (was_out) {
		judge_out(health, id, now);
		return w->standing != OUT;
	}
	if (w->standing == TRIAL && last_evidence(w) > w->changed)
		w->standing = WELL;
	why = reason_to_go(w, now);
	if (why >= 0)
		put_out(health, id, why, now);
	else if (w->standing == WELL && now - w->changed >= GOOD_LIFE)
		w->hold = 0;
	return w->standing == OUT;
}

/* ---- probes ------------------------------------------------------------------------ */

static bool probe_is_due(const struct watch *w, const struct jpx_service *service, ms_t now)
{
	ms_t first = service->source == JPX_SOURCE_CONFIG ? FIRST_CONFIG : FIRST_FOUND;
	ms_t over = w->changed + w->hold;

	if (w->standing == OUT)
		return now - w->asked >= PROBE_EVERY || (now >= over && w->asked < over);
	if (w->icmp)
		return now - w->asked >= CONFIRM;
	if (w->forwarding && w->forwarded - w->forwarding >= DOUBT)
		return now - w->asked >= DOUBT;
	if (w->came && now - w->came < PROBE_EVERY)
		return false;
	return w->asked ? now - w->asked >= PROBE_EVERY : now - w->since >= first;
}

static void probe(struct health *health, unsigned int id, ms_t now)
{
	struct watch *w = &health->watches[id];
	int ret;

	if (!is_probed(service_of(health, id)) || !service_of(health, id)->ifindex) {
		w->asked_first = 0;
		return;
	}
	if (!probe_is_due(w, service_of(health, id), now))
		return;
	w->asked = now;
	ret = probes_send(health->probes, id);
	if (ret)
		w->asked_first = 0; /* what could not be asked is not unanswered */
	else if (!w->asked_first)
		w->asked_first = now;
	if (ret)
		jpx_log_limited(JPX_LOG_DEBUG, "registrar %s: cannot probe it: %s",
				service_of(health, id)->name, strerror(-ret));
}

/* Returns whether that it answered is news. */
static bool answered_anew(struct health *health, unsigned int id)
{
	bool was = health->watches[id].told;

	health->watches[id].told = health_answered(health, id);
	return health->watches[id].told && !was;
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	struct health *health = arg;
	ms_t now = now_ms();
	bool asleep = health->looked && now - health->looked > ASLEEP, changed = false;

	(void)fd;
	(void)what;
	health->looked = now;
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		if (!health->watches[id].known)
			continue;
		/* Answers may lie unread. */
		if (asleep)
			forget_doubts(&health->watches[id]);
		count(health, id, now);
		changed |= judge(health, id, now);
		changed |= answered_anew(health, id);
		probe(health, id, now);
	}
	if (changed)
		health->on_change(health->arg);
}

/* ---- what the proxy calls ------------------------------------------------------------ */

static void begin(struct health *health, unsigned int id)
{
	struct watch *w = &health->watches[id];

	memset(w, 0, sizeof(*w));
	w->known = true;
	w->since = w->changed = now_ms();
	health->count(health->arg, id, &w->to_registrar, &w->to_pledge);
	if (!(service_of(health, id)->flags & JPX_SERVICE_SILENT))
		return;
	w->standing = OUT;
	w->why = BEFORE_START;
	w->mute = w->since;
	w->hold = first_hold(service_of(health, id));
}

void health_sync(struct health *health)
{
	for (unsigned int id = 1; id < JPX_MAX_SERVICES; id++) {
		bool in_use = service_of(health, id)->flags & JPX_SERVICE_IN_USE;

		if (in_use && !health->watches[id].known)
			begin(health, id);
		else if (!in_use && health->watches[id].known)
			health_forget(health, id);
	}
}

void health_forget(struct health *health, unsigned int service_id)
{
	probes_stop(health->probes, service_id);
	memset(&health->watches[service_id], 0, sizeof(health->watches[service_id]));
}

bool health_usable(const struct health *health, unsigned int service_id)
{
	return health->watches[service_id].standing != OUT;
}

bool health_answered(const struct health *health, unsigned int service_id)
{
	const struct watch *w = &health->watches[service_id];

	return w->standing == WELL && last_evidence(w);
}

unsigned int health_idle(const struct health *health, unsigned int service_id)
{
	const struct watch *w = &health->watches[service_id];

	return w->came ? (unsigned int)((now_ms() - w->came) / 1000) : UINT_MAX;
}

static unsigned long seconds(ms_t from, ms_t to)
{
	return (unsigned long)((to - from) / 1000);
}

static void text_of_one_out(const struct watch *w, ms_t now, char *buf, size_t len)
{
	ms_t over = w->changed + w->hold;
	unsigned long mute = seconds(w->mute, now);
	char why[64], then[64];

	switch (w->why) {
	case BY_FORWARDING:
		snprintf(why, sizeof(why), "no packet back for %lu s while forwarding", mute);
		break;
	case BY_ICMP:
		snprintf(why, sizeof(why), "unreachable by ICMP for %lu s", mute);
		break;
	case BY_PROBES:
		snprintf(why, sizeof(why), "no answer to probes for %lu s", mute);
		break;
	case BEFORE_START:
		snprintf(why, sizeof(why), "no answer since before jpd started");
		break;
	}
	if (now < over)
		snprintf(then, sizeof(then), "tried again in %lu s", seconds(now, over + 999));
	else
		snprintf(then, sizeof(then), "a probe has to be answered first");
	snprintf(buf, len, "%s; %s", why, then);
}

const char *health_text(const struct health *health, unsigned int service_id, char *buf, size_t len)
{
	const struct watch *w = &health->watches[service_id];
	ms_t now = now_ms();

	if (w->standing == OUT)
		text_of_one_out(w, now, buf, len);
	else if (w->standing == TRIAL && last_evidence(w) <= w->changed)
		snprintf(buf, len, "on trial for %lu s, after no answer before",
			 seconds(w->changed, now));
	else if (last_evidence(w))
		snprintf(buf, len, "answered %lu s ago", seconds(last_evidence(w), now));
	else if (w->forwarding)
		snprintf(buf, len, "no packet back for %lu s while forwarding",
			 seconds(w->forwarding, now));
	else if (w->asked)
		snprintf(buf, len, "no probe answered yet");
	else
		snprintf(buf, len, "nothing sent to it yet");
	return buf;
}

/* ---- life ------------------------------------------------------------------------- */

struct health *health_new(struct event_base *base, const struct jpx_state *state,
			  void (*count_of)(void *arg, unsigned int service_id,
					   uint32_t *to_registrar, uint32_t *to_pledge),
			  void (*on_change)(void *arg), void *arg)
{
	struct health *health = calloc(1, sizeof(*health));

	if (!health)
		return NULL;
	health->state = state;
	health->count = count_of;
	health->on_change = on_change;
	health->arg = arg;
	health->probes = probes_new(base, state, on_probe, health);
	health->timer = event_new(base, -1, EV_PERSIST, look, health);
	if (!health->probes || !health->timer ||
	    event_add(health->timer,
		      &(struct timeval){ .tv_sec = LOOK / 1000, .tv_usec = LOOK % 1000 * 1000 })) {
		health_free(health);
		return NULL;
	}
	return health;
}

void health_free(struct health *health)
{
	if (!health)
		return;
	if (health->timer)
		event_free(health->timer);
	probes_free(health->probes);
	free(health);
}
