/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See registrars.h.  A Registrar is told by address, port, mode and form; each source keeps its
 * last word about it, and it is known while one of them stands.
 *
 * Must never let who comes later push out who is there and answers: a flood would then choose the
 * Registrar.  That somebody is named proves nothing; that it answers does.
 */
#include "registrars.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpx/jpy.h>

#include "addr.h"
#include "clock.h"
#include "log.h"
#include "pledge_links.h"
#include "words.h"

#define LIFETIME_MAX 86400
#define TRIAL_MS     15000 /* one that answers has been probed and has answered by then */

struct registrars {
	struct registrar known[REGISTRARS_MAX];
	unsigned int count;
	struct pledge_links distrusted;
	struct event *expiry;
	struct event *changed;
	void (*on_change)(void *arg);
	void *arg;
};

/* Forms from the newest to the oldest: where one port is named by several, it speaks them all. */
static const enum jpx_form newest_first[] = { JPX_FORM_DRAFT21, JPX_FORM_DRAFT06, JPX_FORM_DRAFT02,
					      JPX_FORM_DRAFT01 };

static void log_registrar(const struct registrar *r, enum jpx_source source, const char *what)
{
	const struct registrar_word *word = &r->words[source];
	char addr[INET6_ADDRSTRLEN], from[INET6_ADDRSTRLEN], endpoint[JPX_ENDPOINT_STRLEN];
	char ifname[IF_NAMESIZE] = "";

	if (word->ifindex)
		if_indextoname(word->ifindex, ifname);
	jpx_endpoint_join(jpx_addr_format(&r->addr, addr, sizeof(addr)), r->port, endpoint,
			  sizeof(endpoint));
	jpx_log_limited(JPX_LOG_INFO, "Registrar %s, %s%s%s: %s by %s (%s)%s%s%s%s", endpoint,
			jpx_mode_word(r->mode), r->mode == JPX_MODE_STATELESS ? " " : "",
			r->mode == JPX_MODE_STATELESS ? jpx_form_name(r->form) : "", what,
			jpx_source_word(source), word->by, *ifname ? " on " : "", ifname,
			IN6_IS_ADDR_UNSPECIFIED(&word->from) ? "" : " from ",
			IN6_IS_ADDR_UNSPECIFIED(&word->from)
				? ""
				: jpx_addr_format(&word->from, from, sizeof(from)));
}

static void changed(struct registrars *rs)
{
	event_active(rs->changed, EV_TIMEOUT, 0);
}

/* ---- what is known ------------------------------------------------------- */

/* The word that speaks for R: of the best priority, then of the first source of the enum. */
static void settle_word(struct registrar *r)
{
	const struct registrar_word *best = NULL;

	for (unsigned int s = 0; s < JPX_SOURCE_COUNT; s++) {
		const struct registrar_word *word = &r->words[s];

		if (!word->stands || (best && word->priority >= best->priority))
			continue;
		best = word;
		r->source = (enum jpx_source)s;
	}
	if (best) {
		r->priority = best->priority;
		r->weight = best->weight;
	}
}

static bool stands(const struct registrar *r)
{
	for (unsigned int s = 0; s < JPX_SOURCE_COUNT; s++)
		if (r->words[s].stands)
			return true;
	return false;
}

/* Takes out who nobody stands for any more.  True if there was one. */
static bool tidy(struct registrars *rs)
{
	unsigned int kept = 0;
	bool gone;

	for (unsigned int i = 0; i < rs->count; i++) {
		if (!stands(&rs->known[i]))
			continue;
		settle_word(&rs->known[i]);
		if (kept != i)
			rs->known[kept] = rs->known[i];
		kept++;
	}
	gone = kept != rs->count;
	rs->count = kept;
	return gone;
}

static void drop_word(struct registrar *r, enum jpx_source source, const char *why)
{
	log_registrar(r, source, why);
	r->words[source].stands = false;
}

static void schedule(struct registrars *rs)
{
	uint64_t now = jpx_now_ms(), next = UINT64_MAX;
	struct timeval tv;

	for (unsigned int i = 0; i < rs->count; i++)
		for (unsigned int s = 0; s < JPX_SOURCE_COUNT; s++)
			if (rs->known[i].words[s].stands && rs->known[i].words[s].until_ms < next)
				next = rs->known[i].words[s].until_ms;
	if (next == UINT64_MAX) {
		event_del(rs->expiry);
		return;
	}
	next = next > now ? next - now : 0;
	tv.tv_sec = (time_t)(next / 1000);
	tv.tv_usec = (suseconds_t)(next % 1000) * 1000 + 1000;
	event_add(rs->expiry, &tv);
}

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
	struct registrars *rs = arg;
	uint64_t now = jpx_now_ms();

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < rs->count; i++)
		for (unsigned int s = 0; s < JPX_SOURCE_COUNT; s++)
			if (rs->known[i].words[s].stands && rs->known[i].words[s].until_ms <= now)
				drop_word(&rs->known[i], (enum jpx_source)s, "not said again");
	if (tidy(rs))
		changed(rs);
	schedule(rs);
}

static void on_changed(evutil_socket_t fd, short what, void *arg)
{
	struct registrars *rs = arg;

	(void)fd;
	(void)what;
	rs->on_change(rs->arg);
}

/* ---- what is heard --------------------------------------------------------- */

static const char *unfit(const struct registrar_heard *heard)
{
	if (!heard->port)
		return "has no port";
	if (!jpx_addr_is_host(&heard->addr))
		return "is not the address of one host";
	if (jpx_addr_is_link_local(&heard->addr))
		return "is link-local, so nobody can tell on which link";
	if (IN6_IS_ADDR_LOOPBACK(&heard->addr) ||
	    (IN6_IS_ADDR_V4MAPPED(&heard->addr) && heard->addr.s6_addr[12] == 127))
		return "is a loopback address";
	return NULL;
}

static struct registrar *find(struct registrars *rs, const struct registrar_heard *heard)
{
	for (unsigned int i = 0; i < rs->count; i++) {
		struct registrar *r = &rs->known[i];

		if (!memcmp(&r->addr, &heard->addr, 16) && r->port == heard->port &&
		    r->mode == heard->mode &&
		    (r->mode == JPX_MODE_STATEFUL || r->form == heard->form))
			return r;
	}
	return NULL;
}

static bool is_voice(const struct registrar_word *word, unsigned int ifindex,
		     const struct in6_addr *from)
{
	return word->ifindex == ifindex && !memcmp(&word->from, from, 16);
}

/* How many stand on the word of who speaks here. */
static unsigned int said_by(const struct registrars *rs, const struct registrar_heard *heard)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < rs->count; i++) {
		const struct registrar_word *word = &rs->known[i].words[heard->source];

		n += word->stands && is_voice(word, heard->ifindex, &heard->from);
	}
	return n;
}

/* Tried for long enough, and it never answered. */
static bool is_in_vain(const struct registrar *r)
{
	return r->tried_ms && jpx_now_ms() - r->tried_ms >= TRIAL_MS;
}

/* A place for one more: who does not answer makes room.  NULL: there is none. */
static struct registrar *place(struct registrars *rs)
{
	if (rs->count < REGISTRARS_MAX)
		return &rs->known[rs->count++];
	for (unsigned int i = rs->count; i--;)
		if (rs->known[i].service == REGISTRAR_SILENT ||
		    (rs->known[i].service != REGISTRAR_SERVED && is_in_vain(&rs->known[i])))
			return &rs->known[i];
	return NULL;
}

static struct registrar *add(struct registrars *rs, const struct registrar_heard *heard)
{
	bool too_many = said_by(rs, heard) >= REGISTRARS_A_VOICE;
	struct registrar *r = too_many ? NULL : place(rs);

	if (!r) {
		jpx_log_limited(JPX_LOG_WARNING,
				"discovery: more Registrars by %s than the %d that are kept%s; "
				"those that came first stay",
				jpx_source_word(heard->source),
				too_many ? REGISTRARS_A_VOICE : REGISTRARS_MAX,
				too_many ? " from one address" : "");
		return NULL;
	}
	memset(r, 0, sizeof(*r));
	r->addr = heard->addr;
	r->port = heard->port;
	r->mode = heard->mode;
	r->form = heard->mode == JPX_MODE_STATELESS ? heard->form : JPX_FORM_DRAFT21;
	r->first_ms = jpx_now_ms();
	return r;
}

/* Somebody else stands for it, by the same way.  Then who speaks here may prolong that and nothing
 * else: nobody can take back or make worse what others say.  A word of before the start is
 * nobody's. */
static bool is_anothers(const struct registrar_word *word, const struct registrar_heard *heard,
			uint64_t now)
{
	return word->stands && word->voice_ms > now &&
	       !is_voice(word, heard->ifindex, &heard->from) && !is_voice(word, 0, &in6addr_any);
}

static void settle_until(struct registrar_word *word)
{
	word->until_ms = word->voice_ms > word->backed_ms ? word->voice_ms : word->backed_ms;
}

static void back(struct registrar_word *word, const struct registrar_heard *heard, uint64_t now,
		 uint64_t until)
{
	word->backed_ms = until;
	word->backer_heard_ms = now;
	word->backer_ifindex = heard->ifindex;
	word->backer = heard->from;
	settle_until(word);
}

void registrars_heard(struct registrars *rs, const struct registrar_heard *heard)
{
	const char *why = unfit(heard);
	uint32_t lifetime = heard->lifetime;
	struct registrar_word *word;
	char addr[INET6_ADDRSTRLEN];
	struct registrar *r;
	uint64_t now, until;
	bool news;

	if (pledge_links_has(&rs->distrusted, heard->ifindex))
		return;
	if (why) {
		jpx_log_limited(JPX_LOG_WARNING, "discovery: Registrar %s, said by %s (%s), %s",
				jpx_addr_format(&heard->addr, addr, sizeof(addr)),
				jpx_source_word(heard->source), heard->by, why);
		return;
	}
	r = find(rs, heard);
	if (!r)
		r = add(rs, heard);
	if (!r)
		return;
	if (lifetime > LIFETIME_MAX)
		lifetime = LIFETIME_MAX;
	word = &r->words[heard->source];
	now = jpx_now_ms();
	until = now + lifetime * 1000ULL;
	if (is_anothers(word, heard, now)) {
		back(word, heard, now, until);
		schedule(rs);
		return;
	}
	news = !word->stands || word->priority != heard->priority || word->weight != heard->weight;
	if (!word->stands)
		memset(word, 0, sizeof(*word));
	word->stands = true;
	word->heard_ms = now;
	word->voice_ms = until;
	word->priority = heard->priority;
	word->weight = heard->weight;
	word->ifindex = heard->ifindex;
	word->from = heard->from;
	settle_until(word);
	snprintf(word->by, sizeof(word->by), "%s", heard->by);
	settle_word(r);
	if (news) {
		log_registrar(r, heard->source, "found");
		changed(rs);
	}
	schedule(rs);
}

void registrars_replaced(struct registrars *rs, enum jpx_source source, unsigned int ifindex,
			 const struct in6_addr *from, const char *by, unsigned int seconds)
{
	uint64_t now = jpx_now_ms();

	for (unsigned int i = 0; i < rs->count; i++) {
		struct registrar_word *word = &rs->known[i].words[source];

		if (!word->stands || strcmp(word->by, by))
			continue;
		if (is_voice(word, ifindex, from) && word->heard_ms + seconds * 1000ULL < now)
			word->voice_ms = now;
		if (word->backer_ifindex == ifindex && !memcmp(&word->backer, from, 16) &&
		    word->backer_heard_ms + seconds * 1000ULL < now)
			word->backed_ms = 0;
		settle_until(word);
		if (word->until_ms <= now)
			drop_word(&rs->known[i], source, "no longer named");
	}
	if (tidy(rs))
		changed(rs);
	schedule(rs);
}

void registrars_distrust(struct registrars *rs, const struct pledge_links *links)
{
	rs->distrusted = *links;
	for (unsigned int i = 0; i < rs->count; i++)
		for (unsigned int s = 0; s < JPX_SOURCE_COUNT; s++) {
			struct registrar_word *word = &rs->known[i].words[s];

			if (!word->stands)
				continue;
			if (pledge_links_has(links, word->backer_ifindex)) {
				word->backed_ms = 0;
				settle_until(word);
			}
			if (pledge_links_has(links, word->ifindex))
				drop_word(&rs->known[i], (enum jpx_source)s,
					  "no longer believed, for it was said on a pledge port");
		}
	if (tidy(rs))
		changed(rs);
	schedule(rs);
}

/* ---- who shall be served ----------------------------------------------------- */

static unsigned int rank(const struct registrar *r)
{
	if (r->service == REGISTRAR_SERVED)
		return 0;
	if (r->service == REGISTRAR_SILENT || r->service == REGISTRAR_IMPOSSIBLE)
		return 3;
	return is_in_vain(r) ? 2 : 1;
}

/* Who is served and answers keeps its place, whoever else comes, and who does not answer has none
 * to keep; then the better one, then the one that was there first. */
static int better_first(const void *a, const void *b)
{
	const struct registrar *x = a, *y = b;
	int order;

	if (rank(x) != rank(y))
		return rank(x) < rank(y) ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->first_ms != y->first_ms)
		return x->first_ms < y->first_ms ? -1 : 1;
	order = memcmp(&x->addr, &y->addr, 16);
	return order ? order : (int)x->port - (int)y->port;
}

static unsigned int age_of_form(enum jpx_form form)
{
	unsigned int age = 0;

	while (age < sizeof(newest_first) / sizeof(*newest_first) && newest_first[age] != form)
		age++;
	return age;
}

/* May OTHER keep R from being served?  If it answers; one of which that is not known yet, for a
 * while, if R does not answer either. */
static bool comes_before(const struct registrar *other, const struct registrar *r)
{
	if (other->service == REGISTRAR_SERVED)
		return true;
	return rank(other) == 1 && r->service != REGISTRAR_SERVED &&
	       jpx_now_ms() - r->first_ms < TRIAL_MS;
}

/* Another one of the same address and port that is to be preferred for its form. */
static bool has_newer_form(const struct registrars *rs, const struct registrar *r)
{
	for (unsigned int i = 0; r->mode == JPX_MODE_STATELESS && i < rs->count; i++) {
		const struct registrar *other = &rs->known[i];

		if (other->mode == JPX_MODE_STATELESS && other->port == r->port &&
		    !memcmp(&other->addr, &r->addr, 16) &&
		    age_of_form(other->form) < age_of_form(r->form) && comes_before(other, r))
			return true;
	}
	return false;
}

/* join-proxy-21 4.1: any that is stateless, then stateless; but one that does not answer is none
 * for a pledge. */
static bool has_stateless(const struct registrars *rs, const struct registrar *r)
{
	for (unsigned int i = 0; r->mode == JPX_MODE_STATEFUL && i < rs->count; i++)
		if (rs->known[i].mode == JPX_MODE_STATELESS && comes_before(&rs->known[i], r))
			return true;
	return false;
}

static void choose(struct registrar *r, const char *why)
{
	r->chosen = !why;
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
}

void registrars_choose(struct registrars *rs, bool look, int mode, unsigned int max,
		       enum registrar_service (*judge)(void *arg, const struct registrar *registrar,
						       char *why, size_t why_len),
		       void *arg)
{
	unsigned int chosen = 0;

	for (unsigned int i = 0; i < rs->count; i++) {
		struct registrar *r = &rs->known[i];

		*r->why = 0;
		r->service = judge(arg, r, r->why, sizeof(r->why));
		if (r->service == REGISTRAR_SERVED)
			r->tried_ms = 0;
		else if (r->service == REGISTRAR_TRIED && !r->tried_ms)
			r->tried_ms = jpx_now_ms();
	}
	qsort(rs->known, rs->count, sizeof(*rs->known), better_first);
	for (unsigned int i = 0; i < rs->count; i++) {
		struct registrar *r = &rs->known[i];

		r->chosen = false;
		if (r->service == REGISTRAR_IMPOSSIBLE)
			continue;
		if (!look)
			choose(r, "no Registrars are looked for (jpd.conf: discovery)");
		else if (mode >= 0 && r->mode != (enum jpx_mode)mode)
			choose(r, "another mode is configured");
		else if (has_newer_form(rs, r))
			choose(r, "the same port is named with a newer JPY form");
		else if (mode < 0 && has_stateless(rs, r))
			choose(r, "stands by: a stateless one is there");
		else if (chosen >= max)
			choose(r, "stands by: as many as allowed are served");
		else
			choose(r, NULL);
		chosen += r->chosen;
	}
}

const struct registrar *registrars_at(const struct registrars *rs, unsigned int i)
{
	return i < rs->count ? &rs->known[i] : NULL;
}

/* ---- life ------------------------------------------------------------------ */

struct registrars *registrars_new(struct event_base *base, void (*on_change)(void *arg), void *arg)
{
	struct registrars *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return NULL;
	rs->on_change = on_change;
	rs->arg = arg;
	rs->expiry = evtimer_new(base, on_expiry, rs);
	rs->changed = event_new(base, -1, 0, on_changed, rs);
	if (!rs->expiry || !rs->changed) {
		registrars_free(rs);
		return NULL;
	}
	return rs;
}

void registrars_free(struct registrars *rs)
{
	if (!rs)
		return;
	if (rs->expiry)
		event_free(rs->expiry);
	if (rs->changed)
		event_free(rs->changed);
	free(rs);
}
