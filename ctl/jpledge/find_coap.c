/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proxies that answer CoAP discovery: asks ff02::fd for /.well-known/core by each name that
 * proxies have had, again after 2 s, 4 s, ... as long as it looks (RFC 8995 4.1: pledges back
 * off by doubling).  An answer that comes in blocks is fetched from who gave it.
 *
 * Each query has a session of its own: libcoap sends what follows on the session of a group to
 * whoever answered last.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brski_link.h"
#include "coaploop.h"
#include "find.h"
#include "linkformat.h"

#define COAP_PORT   5683
#define COAP_GROUP  "ff02::fd"
#define NAMES_MAX   8
#define ROUNDS_KEPT 4 /* a round is forgotten not before 14 s: leisure is 5 s */
#define FIRST_S	    2
#define LAST_S	    60
#define FETCHES_MAX 16 /* answers in blocks at a time */
#define ETAG_MAX    8

struct query {
	struct find_coap *way;
	coap_session_t *session;
	const char *filter;
	uint8_t token[8];
	size_t token_len;
};

/* Of an answer in blocks, what there is of it. */
struct fetch {
	struct query query;
	bool done;
	struct in6_addr from;
	uint8_t etag[ETAG_MAX];
	size_t etag_len;
	unsigned int next; /* block */
	size_t len;
	char text[LINKFORMAT_MAX];
};

struct find_coap {
	struct coaploop *loop;
	struct find *find;
	const char *ifname;
	unsigned int ifindex;
	struct event *again, *tidy;
	unsigned int rounds, pause_s;
	struct query queries[ROUNDS_KEPT][NAMES_MAX];
	struct fetch *fetches[FETCHES_MAX];
};

/* ---- what answers say ------------------------------------------------------------- */

struct reading {
	struct find_coap *way;
	const struct in6_addr *from;
};

static void on_link(void *arg, const struct linkformat_link *link)
{
	const struct reading *reading = arg;
	struct found found = { .way = find_coap.name };
	const struct brski_name *name;
	char err[128] = "";
	int ret;

	ret = brski_proxy_link(link, reading->from, &name, &found.addr, &found.port, err,
			       sizeof(err));
	if (ret == -ENOENT)
		return;
	if (ret) {
		find_refused(reading->way->find, found.way, err);
		return;
	}
	/* "brski-jp=*" asks for any value of it */
	snprintf(found.by, sizeof(found.by), "%.*s",
		 name->rt ? (int)strlen(name->filter) : (int)strcspn(name->filter, "="),
		 name->filter);
	find_found(reading->way->find, &found);
}

static void read_links(struct find_coap *way, const struct in6_addr *from, const char *text,
		       size_t len)
{
	struct reading reading = { way, from };
	size_t at;
	int ret = linkformat_walk(text, len, on_link, &reading, &at);

	if (ret < 0)
		find_refused(way->find, find_coap.name,
			     ret == -E2BIG ? "more links than anybody needs"
					   : "no well-formed links");
}

/* ---- asking ------------------------------------------------------------------------- */

static bool add(coap_pdu_t *pdu, uint16_t number, const char *text)
{
	return coap_add_option(pdu, number, strlen(text), (const uint8_t *)text);
}

/* BLOCK: of the answer; 0: from the start, in the size that the server likes. */
static bool send_query(struct query *q, coap_pdu_type_t type, const coap_block_t *block)
{
	coap_pdu_t *pdu = coap_new_pdu(type, COAP_REQUEST_CODE_GET, q->session);
	uint8_t buf[4];

	if (!pdu)
		return false;
	coap_session_new_token(q->session, &q->token_len, q->token);
	if (!coap_add_token(pdu, q->token_len, q->token) ||
	    !add(pdu, COAP_OPTION_URI_PATH, ".well-known") ||
	    !add(pdu, COAP_OPTION_URI_PATH, "core") ||
	    !add(pdu, COAP_OPTION_URI_QUERY, q->filter) ||
	    (block &&
	     !coap_add_option(pdu, COAP_OPTION_BLOCK2,
			      coap_encode_var_safe(buf, sizeof(buf), block->num << 4 | block->szx),
			      buf))) {
		coap_delete_pdu(pdu);
		return false;
	}
	return coap_send(q->session, pdu) != COAP_INVALID_MID;
}

static void query_end(struct query *q)
{
	if (q->session)
		coap_session_release(q->session);
	q->session = NULL;
}

static bool query_begin(struct find_coap *way, struct query *q, const struct in6_addr *to,
			const char *filter)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(COAP_PORT),
				   .sin6_addr = *to,
				   .sin6_scope_id = way->ifindex };

	q->way = way;
	q->filter = filter;
	q->session = coaploop_session(way->loop, &sa, way->ifname, NULL, 1);
	if (q->session)
		coap_session_set_app_data(q->session, q);
	return q->session;
}

static bool ask_all(struct find_coap *way)
{
	struct query *round = way->queries[way->rounds++ % ROUNDS_KEPT];
	const struct brski_name *name;
	struct in6_addr group;
	bool sent = false;

	inet_pton(AF_INET6, COAP_GROUP, &group);
	for (unsigned int i = 0; i < NAMES_MAX && (name = brski_name(i)); i++) {
		query_end(&round[i]);
		if (query_begin(way, &round[i], &group, name->filter) &&
		    send_query(&round[i], COAP_MESSAGE_NON, NULL))
			sent = true;
	}
	return sent;
}

static void again(evutil_socket_t fd, short what, void *arg)
{
	struct find_coap *way = arg;

	(void)fd;
	(void)what;
	ask_all(way);
	way->pause_s = 2 * way->pause_s < LAST_S ? 2 * way->pause_s : LAST_S;
	event_add(way->again, &(struct timeval){ .tv_sec = way->pause_s });
}

/* ---- answers in blocks ----------------------------------------------------------------- */

static void fetch_free(struct fetch *fetch)
{
	if (fetch)
		query_end(&fetch->query);
	free(fetch);
}

/* Not from within an answer: libcoap still has its session in hand. */
static void tidy(evutil_socket_t fd, short what, void *arg)
{
	struct find_coap *way = arg;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < FETCHES_MAX; i++) {
		if (!way->fetches[i] || !way->fetches[i]->done)
			continue;
		fetch_free(way->fetches[i]);
		way->fetches[i] = NULL;
	}
}

static void fetch_done(struct fetch *fetch)
{
	fetch->done = true;
	event_active(fetch->query.way->tidy, EV_TIMEOUT, 0);
}

static void fetch_begin(struct find_coap *way, const struct in6_addr *from, const char *filter)
{
	struct fetch **free_place = NULL, *fetch;

	for (unsigned int i = 0; i < FETCHES_MAX; i++) {
		fetch = way->fetches[i];
		if (!fetch)
			free_place = &way->fetches[i];
		else if (fetch->query.filter == filter && IN6_ARE_ADDR_EQUAL(&fetch->from, from))
			return;
	}
	if (!free_place) {
		find_refused(way->find, find_coap.name, "too many answers in blocks at a time");
		return;
	}
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return;
	*free_place = fetch;
	fetch->from = *from;
	if (!query_begin(way, &fetch->query, from, filter) ||
	    !send_query(&fetch->query, COAP_MESSAGE_CON, NULL))
		fetch_done(fetch);
}

/* Is the block of the version of the answer that the first was of? */
static bool same_version(struct fetch *fetch, const coap_pdu_t *answer)
{
	coap_opt_iterator_t at;
	const coap_opt_t *etag = coap_check_option(answer, COAP_OPTION_ETAG, &at);
	size_t len = etag ? coap_opt_length(etag) : 0;

	if (len > ETAG_MAX)
		return false;
	if (!fetch->next) {
		fetch->etag_len = len;
		memcpy(fetch->etag, etag ? coap_opt_value(etag) : fetch->etag, len);
	}
	return len == fetch->etag_len &&
	       (!len || memcmp(fetch->etag, coap_opt_value(etag), len) == 0);
}

static void fetch_block(struct fetch *fetch, const coap_pdu_t *answer, const coap_block_t *block,
			const uint8_t *data, size_t len)
{
	struct find_coap *way = fetch->query.way;
	coap_block_t next = *block;

	if (fetch->done)
		return;
	if (block->num != fetch->next || !same_version(fetch, answer) ||
	    len > sizeof(fetch->text) - fetch->len || (block->m && !len)) {
		find_refused(way->find, find_coap.name, "blocks that do not fit together");
		fetch_done(fetch);
		return;
	}
	if (len) /* else there is no DATA */
		memcpy(fetch->text + fetch->len, data, len);
	fetch->len += len;
	fetch->next++;
	if (!block->m)
		read_links(way, &fetch->from, fetch->text, fetch->len);
	next.num++;
	if (!block->m || !send_query(&fetch->query, COAP_MESSAGE_CON, &next))
		fetch_done(fetch);
}

/* ---- the answers -------------------------------------------------------------------------- */

static coap_response_t answered(coap_session_t *session, const coap_pdu_t *sent,
				const coap_pdu_t *answer, const coap_mid_t mid)
{
	struct query *q = coap_session_get_app_data(session);
	const struct sockaddr_in6 *from = &coap_session_get_addr_remote(session)->addr.sin6;
	coap_bin_const_t token = coap_pdu_get_token(answer);
	struct fetch *fetch = NULL;
	const uint8_t *data = NULL;
	coap_block_t block = { 0 };
	size_t len = 0;

	(void)sent;
	(void)mid;
	if (!q || token.length != q->token_len || memcmp(token.s, q->token, token.length) != 0 ||
	    from->sin6_family != AF_INET6)
		return COAP_RESPONSE_OK;
	for (unsigned int i = 0; i < FETCHES_MAX; i++)
		if (q->way->fetches[i] && &q->way->fetches[i]->query == q)
			fetch = q->way->fetches[i];
	if (coap_pdu_get_code(answer) != COAP_RESPONSE_CODE_CONTENT) {
		if (fetch)
			fetch_done(fetch);
		return COAP_RESPONSE_OK;
	}
	coap_get_data(answer, &len, &data);
	coap_get_block(answer, COAP_OPTION_BLOCK2, &block);
	if (fetch)
		fetch_block(fetch, answer, &block, data, len);
	else if (block.m)
		fetch_begin(q->way, &from->sin6_addr, q->filter);
	else if (len)
		read_links(q->way, &from->sin6_addr, (const char *)data, len);
	return COAP_RESPONSE_OK;
}

/* ---- the way --------------------------------------------------------------------------------- */

static void stop(void *arg)
{
	struct find_coap *way = arg;

	if (!way)
		return;
	for (unsigned int r = 0; r < ROUNDS_KEPT; r++)
		for (unsigned int i = 0; i < NAMES_MAX; i++)
			query_end(&way->queries[r][i]);
	for (unsigned int i = 0; i < FETCHES_MAX; i++)
		fetch_free(way->fetches[i]);
	if (way->again)
		event_free(way->again);
	if (way->tidy)
		event_free(way->tidy);
	coaploop_free(way->loop);
	free(way);
}

static void *start(struct event_base *base, const char *ifname, unsigned int ifindex,
		   struct find *find, char *err, size_t err_len)
{
	struct find_coap *way = calloc(1, sizeof(*way));

	if (way) {
		way->find = find;
		way->ifname = ifname;
		way->ifindex = ifindex;
		way->pause_s = FIRST_S;
		way->loop = coaploop_new(base);
		way->again = evtimer_new(base, again, way);
		way->tidy = evtimer_new(base, tidy, way);
	}
	if (!way || !way->loop || !way->again || !way->tidy) {
		snprintf(err, err_len, "not enough memory");
		stop(way);
		return NULL;
	}
	coap_register_response_handler(coaploop_context(way->loop), answered);
	errno = 0;
	if (!ask_all(way)) {
		snprintf(err, err_len,
			 "cannot send to %s: %s; is %s up, with a link-local address?", COAP_GROUP,
			 strerror(errno ? errno : EIO), ifname);
		stop(way);
		return NULL;
	}
	event_add(way->again, &(struct timeval){ .tv_sec = way->pause_s });
	return way;
}

const struct find_way find_coap = { "coap", start, stop };
