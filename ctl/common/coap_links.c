/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See coap_links.h.
 *
 * Each has a libcoap context of its own, so that who floods one is not in the way of the
 * others, with endpoints of two kinds:
 *
 * - Those of groups only listen.  libcoap would answer them from whichever address the
 *   kernel likes, but pledges take the answer's source for the proxy (join-proxy-21 5.2);
 *   and it would answer malformed requests to a group with an RST (RFC 7252 8.1 forbids it).
 *   So what is to be answered waits here for its leisure, and leaves by a socket that is
 *   made for it: from the right address, and what is no longer true is not said.
 * - That of the address answers by itself.
 *
 * A socket that was made for an answer is connected to who asked, so what that one sends
 * next (it asks for the next block at once) comes to that one and not to the endpoint: it
 * stays for a while, and answers too.
 *
 * What strangers can make us keep is WAITING_MAX requests, SESSIONS_MAX sessions an
 * endpoint and TALKS_MAX sockets.  How many answers with links they can have is bounded
 * by a token bucket; how many errors, which libcoap answers with, by the pace at which the
 * sockets are read at all: each that goes to a neighbour who does not exist takes a
 * place in the kernel's table of them for seconds.
 */
#include "coap_links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"
#include "coaploop.h"
#include "log.h"

#define COAP_PORT      5683
#define WAITING_MAX    128
#define SESSIONS_MAX   8
#define SESSION_REST_S 10 /* libcoap forgets a requester after that */
#define TALKS_MAX      16
#define TALK_MS	       3000
#define GROUPS_MAX     3
#define RETRY_S	       10
/* One message carries so much (RFC 7252 4.6); more goes in blocks. */
#define PLAIN_MAX 1024

/* A request to the group that has its answer coming. */
struct waiting {
	uint64_t due; /* ms; 0: no request */
	struct sockaddr_in6 from;
	uint8_t token[8], block2[3];
	uint8_t token_len, block2_len;
	bool has_block2;
	char filter[COAP_LINKS_FILTER_MAX];
	size_t filter_len;
};

/* A socket to somebody who was answered. */
struct talk {
	coap_session_t *session;
	struct sockaddr_in6 to;
	uint64_t until; /* ms */
};

struct coap_links {
	struct coap_links_config config;
	char ifname[IF_NAMESIZE];
	struct event_base *base;
	struct coaploop *loop;
	coap_endpoint_t *own, *groups[GROUPS_MAX]; /* all or none */
	int error;				   /* why none, as it was logged */
	struct event *retry;
	unsigned int tokens; /* thousandths of answers that may be sent now */
	uint64_t tokens_at;  /* ms */
	uint64_t random;
	struct event *timer; /* of the first that is due */
	struct waiting waiting[WAITING_MAX];
	struct event *hang_up;
	struct talk talks[TALKS_MAX];
};

/* ---- the answer --------------------------------------------------------------- */

/* Is another answer within the rate?  The bucket holds WAITING_MAX: a crowd that was switched
 * on at once is answered. */
static bool may_answer(struct coap_links *l)
{
	uint64_t now = jpx_now_ms(), full = WAITING_MAX * 1000;
	uint64_t tokens = l->tokens + (now - l->tokens_at) * l->config.rate;

	l->tokens = (unsigned int)(tokens < full ? tokens : full);
	l->tokens_at = now;
	if (l->tokens < 1000) {
		jpx_log_limited(JPX_LOG_WARNING,
				"%s: more CoAP queries than %u a second; the rest gets no answer",
				l->ifname, l->config.rate);
		return false;
	}
	l->tokens -= 1000;
	return true;
}

static size_t links_for(const struct coap_links *l, const struct in6_addr *from, const char *filter,
			size_t filter_len, char links[COAP_LINKS_MAX])
{
	return l->config.links(l->config.arg, from, filter, filter_len, links, COAP_LINKS_MAX);
}

/* Whole where it can be, as the drafts print it; else the block that REQUEST asks for, with what
 * libcoap adds to those. */
static void say(const coap_pdu_t *request, coap_pdu_t *response, const char *links, size_t len)
{
	coap_opt_iterator_t at;
	uint8_t format[2];

	if (len > PLAIN_MAX || coap_check_option(request, COAP_OPTION_BLOCK2, &at)) {
		coap_add_data_blocked_response(request, response,
					       COAP_MEDIATYPE_APPLICATION_LINK_FORMAT, -1, len,
					       (const uint8_t *)links);
		return;
	}
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CONTENT);
	coap_add_option(response, COAP_OPTION_CONTENT_FORMAT,
			coap_encode_var_safe(format, sizeof(format),
					     COAP_MEDIATYPE_APPLICATION_LINK_FORMAT),
			format);
	if (len)
		coap_add_data(response, len, (const uint8_t *)links);
}

/* ---- requests to the group: later, from our address ------------------------- */

/* As if it had come now; libcoap wants to see its Block2. */
static coap_pdu_t *request_again(const struct waiting *w)
{
	coap_pdu_t *request = coap_pdu_init(COAP_MESSAGE_NON, COAP_REQUEST_CODE_GET, 0, 64);

	if (request && w->has_block2 &&
	    !coap_add_option(request, COAP_OPTION_BLOCK2, w->block2_len, w->block2)) {
		coap_delete_pdu(request);
		return NULL;
	}
	return request;
}

static coap_session_t *session_to(struct coap_links *l, const struct sockaddr_in6 *to)
{
	coap_address_t local, remote;

	coap_address_init(&local);
	local.size = sizeof(local.addr.sin6);
	local.addr.sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						 .sin6_port = htons(COAP_PORT),
						 .sin6_addr = l->config.addr,
						 .sin6_scope_id = l->config.ifindex };
	coap_address_init(&remote);
	remote.size = sizeof(remote.addr.sin6);
	remote.addr.sin6 = *to;
	if (IN6_IS_ADDR_LINKLOCAL(&to->sin6_addr))
		remote.addr.sin6.sin6_scope_id = l->config.ifindex;
	return coap_new_client_session(coaploop_context(l->loop), &local, &remote, COAP_PROTO_UDP);
}

static void talk_end(struct talk *talk)
{
	if (talk->session)
		coap_session_release(talk->session);
	*talk = (struct talk){ 0 };
}

static bool is_with(const struct talk *talk, const struct sockaddr_in6 *to)
{
	return talk->session && talk->to.sin6_port == to->sin6_port &&
	       IN6_ARE_ADDR_EQUAL(&talk->to.sin6_addr, &to->sin6_addr);
}

/* The talk with TO, begun if there is none, at the cost of the one that ends first;
 * NULL: not possible. */
static struct talk *talk_with(struct coap_links *l, const struct sockaddr_in6 *to)
{
	struct talk *talks = l->talks, *place = talks;

	for (struct talk *talk = talks; talk < talks + TALKS_MAX; talk++) {
		if (is_with(talk, to)) {
			place = talk;
			break;
		}
		if (talk->until < place->until)
			place = talk;
	}
	/* libcoap ends a session when an ICMP error comes for it */
	if (!is_with(place, to) ||
	    coap_session_get_state(place->session) != COAP_SESSION_STATE_ESTABLISHED) {
		talk_end(place);
		*place = (struct talk){ .session = session_to(l, to), .to = *to };
	}
	if (!place->session) {
		talk_end(place);
		return NULL;
	}
	place->until = jpx_now_ms() + TALK_MS;
	if (!evtimer_pending(l->hang_up, NULL))
		event_add(l->hang_up, &(struct timeval){ .tv_sec = TALK_MS / 1000 });
	return place;
}

static void hang_up(evutil_socket_t fd, short what, void *arg)
{
	struct coap_links *l = arg;
	uint64_t now = jpx_now_ms();
	bool any = false;

	(void)fd;
	(void)what;
	for (struct talk *talk = l->talks; talk < l->talks + TALKS_MAX; talk++) {
		if (talk->until <= now)
			talk_end(talk);
		any |= talk->session != NULL;
	}
	if (any)
		event_add(l->hang_up, &(struct timeval){ .tv_sec = 1 });
}

static void send_answer(struct coap_links *l, const struct waiting *w)
{
	char links[COAP_LINKS_MAX];
	size_t len = links_for(l, &w->from.sin6_addr, w->filter, w->filter_len, links);
	coap_pdu_t *request = len ? request_again(w) : NULL, *response = NULL;
	struct talk *talk = request ? talk_with(l, &w->from) : NULL;

	if (talk)
		response = coap_pdu_init(COAP_MESSAGE_NON, COAP_RESPONSE_CODE_CONTENT,
					 coap_new_message_id(talk->session),
					 coap_session_max_pdu_size(talk->session));
	if (response && coap_add_token(response, w->token_len, w->token)) {
		say(request, response, links, len);
		/* A block that is not there is an error, and no group hears of errors. */
		if (coap_pdu_get_code(response) == COAP_RESPONSE_CODE_CONTENT) {
			coap_send(talk->session, response);
			response = NULL;
		}
	}
	if (response)
		coap_delete_pdu(response);
	if (request)
		coap_delete_pdu(request);
}

static void arm(struct coap_links *l)
{
	uint64_t now = jpx_now_ms(), first = UINT64_MAX, rest;
	struct timeval tv;

	for (unsigned int i = 0; i < WAITING_MAX; i++)
		if (l->waiting[i].due && l->waiting[i].due < first)
			first = l->waiting[i].due;
	if (first == UINT64_MAX)
		return;
	rest = first > now ? first - now : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(rest / 1000),
			       .tv_usec = (suseconds_t)(rest % 1000 * 1000) };
	event_add(l->timer, &tv);
}

static void due(evutil_socket_t fd, short what, void *arg)
{
	struct coap_links *l = arg;
	uint64_t now = jpx_now_ms();

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &l->waiting[i];

		if (!w->due || w->due > now)
			continue;
		if (l->own)
			send_answer(l, w);
		w->due = 0;
	}
	arm(l);
}

/* A number below LIMIT.  That it can be guessed is no harm. */
static unsigned int below(struct coap_links *l, unsigned int limit)
{
	l->random = l->random * 6364136223846793005 + 1442695040888963407;
	return (unsigned int)((l->random >> 32) % limit);
}

static void answer_later(struct coap_links *l, const coap_session_t *session,
			 const coap_pdu_t *request, const char *filter, size_t filter_len)
{
	coap_bin_const_t token = coap_pdu_get_token(request);
	coap_opt_iterator_t at;
	const coap_opt_t *block2 = coap_check_option(request, COAP_OPTION_BLOCK2, &at);
	struct waiting *w = l->waiting;

	while (w < l->waiting + WAITING_MAX && w->due)
		w++;
	if (w == l->waiting + WAITING_MAX || token.length > sizeof(w->token) ||
	    filter_len > sizeof(w->filter) || (block2 && coap_opt_length(block2) > 3))
		return;
	w->from = coap_session_get_addr_remote(session)->addr.sin6;
	w->token_len = (uint8_t)token.length;
	memcpy(w->token, token.s, token.length);
	w->has_block2 = block2;
	w->block2_len = block2 ? (uint8_t)coap_opt_length(block2) : 0;
	if (block2)
		memcpy(w->block2, coap_opt_value(block2), w->block2_len);
	memcpy(w->filter, filter, filter_len);
	w->filter_len = filter_len;
	w->due = jpx_now_ms() + below(l, l->config.leisure_ms + 1);
	arm(l);
}

/* ---- requests ---------------------------------------------------------------------- */

/* The query, in place.  RFC 6690 4.1 knows one filter in a query: several select nothing. */
static bool read_filter(const coap_pdu_t *request, const char **filter, size_t *len)
{
	coap_opt_filter_t only;
	coap_opt_iterator_t at;
	const coap_opt_t *opt;

	*filter = "";
	*len = 0;
	coap_option_filter_clear(&only);
	coap_option_filter_set(&only, COAP_OPTION_URI_QUERY);
	coap_option_iterator_init(request, &at, &only);
	opt = coap_option_next(&at);
	if (!opt)
		return true;
	*filter = (const char *)coap_opt_value(opt);
	*len = coap_opt_length(opt);
	return !coap_option_next(&at);
}

static bool accepts_links(const coap_pdu_t *request)
{
	coap_opt_iterator_t at;
	const coap_opt_t *accept = coap_check_option(request, COAP_OPTION_ACCEPT, &at);

	return !accept || coap_decode_var_bytes(coap_opt_value(accept), coap_opt_length(accept)) ==
				  COAP_MEDIATYPE_APPLICATION_LINK_FORMAT;
}

/* libcoap sends nothing for a NON response without a code. */
static void say_nothing(coap_pdu_t *response)
{
	coap_pdu_set_type(response, COAP_MESSAGE_NON);
	coap_pdu_set_code(response, COAP_EMPTY_CODE);
}

static void get(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
		const coap_string_t *query, coap_pdu_t *response)
{
	struct coap_links *l = coap_resource_get_userdata(resource);
	const struct sockaddr_in6 *from = &coap_session_get_addr_remote(session)->addr.sin6;
	bool to_group = coap_is_mcast(coap_session_get_addr_local(session)), one, accepts;
	char links[COAP_LINKS_MAX];
	const char *filter;
	size_t filter_len, len;

	(void)query;
	if (from->sin6_family != AF_INET6 || !from->sin6_port ||
	    (l->config.neighbours_only && !IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr))) {
		say_nothing(response);
		return;
	}
	one = read_filter(request, &filter, &filter_len);
	accepts = accepts_links(request);
	len = one ? links_for(l, &from->sin6_addr, filter, filter_len, links) : 0;
	if (to_group) {
		say_nothing(response);
		if (len && accepts && may_answer(l))
			answer_later(l, session, request, filter, filter_len);
	} else if (!may_answer(l)) {
		say_nothing(response);
	} else if (!accepts) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_NOT_ACCEPTABLE);
	} else {
		say(request, response, links, len);
	}
}

/* ---- beginning and end -------------------------------------------------------------- */

static void close_endpoints(struct coap_links *l)
{
	for (unsigned int i = 0; i < GROUPS_MAX; i++) {
		if (l->groups[i])
			coap_free_endpoint(l->groups[i]);
		l->groups[i] = NULL;
	}
	if (l->own)
		coap_free_endpoint(l->own);
	l->own = NULL;
	for (unsigned int i = 0; i < TALKS_MAX; i++)
		talk_end(&l->talks[i]);
	event_del(l->timer);
	event_del(l->hang_up);
	memset(l->waiting, 0, sizeof(l->waiting));
}

static void log_failure(struct coap_links *l, int error)
{
	if (error == l->error)
		return;
	l->error = error;
	if (error == EADDRINUSE)
		jpx_warning("%s: cannot answer CoAP discovery: another program has UDP port %d "
			    "for itself; stop it (ss -ulnp 'sport = :%d' names it); trying "
			    "again every %d s",
			    l->ifname, COAP_PORT, COAP_PORT, RETRY_S);
	else
		jpx_warning("%s: cannot answer CoAP discovery: %s; trying again every %d s",
			    l->ifname, strerror(error), RETRY_S);
}

static bool open_endpoints(struct coap_links *l)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(COAP_PORT),
				   .sin6_addr = l->config.addr,
				   .sin6_scope_id = l->config.ifindex };

	l->own = coaploop_endpoint(l->loop, &sa);
	if (!l->own)
		return false;
	for (unsigned int i = 0; i < GROUPS_MAX && l->config.groups[i]; i++) {
		inet_pton(AF_INET6, l->config.groups[i], &sa.sin6_addr);
		l->groups[i] = coaploop_listener(l->loop, &sa);
		if (!l->groups[i])
			return false;
	}
	return true;
}

static void open_all(struct coap_links *l)
{
	int error;

	if (open_endpoints(l)) {
		l->error = 0;
		jpx_debug("%s: answers CoAP discovery", l->ifname);
		return;
	}
	error = errno;
	close_endpoints(l);
	log_failure(l, error);
	event_add(l->retry, &(struct timeval){ .tv_sec = RETRY_S });
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	open_all(arg);
}

/* libcoap has a resource of that name built in; one that is added goes before it. */
static bool add_resource(struct coap_links *l)
{
	coap_resource_t *resource = coap_resource_init(coap_make_str_const(".well-known/core"), 0);

	if (!resource)
		return false;
	coap_register_request_handler(resource, COAP_REQUEST_GET, get);
	coap_resource_set_userdata(resource, l);
	coap_add_resource(coaploop_context(l->loop), resource);
	return true;
}

void coap_links_free(struct coap_links *l)
{
	if (!l)
		return;
	if (l->timer && l->hang_up)
		close_endpoints(l);
	if (l->timer)
		event_free(l->timer);
	if (l->hang_up)
		event_free(l->hang_up);
	if (l->retry)
		event_free(l->retry);
	coaploop_free(l->loop);
	free(l);
}

struct coap_links *coap_links_new(struct event_base *base, const struct coap_links_config *config)
{
	struct coap_links *l = calloc(1, sizeof(*l));

	if (l) {
		l->config = *config;
		l->timer = evtimer_new(base, due, l);
		l->hang_up = evtimer_new(base, hang_up, l);
		l->retry = evtimer_new(base, on_retry, l);
		l->loop = coaploop_new(base);
	}
	if (!l || !l->timer || !l->hang_up || !l->retry || !l->loop || !add_resource(l) ||
	    getrandom(&l->random, sizeof(l->random), 0) != sizeof(l->random)) {
		jpx_log_limited(JPX_LOG_ERROR,
				"%s: cannot answer CoAP discovery: not enough memory or file "
				"descriptors (raise LimitNOFILE)",
				config->ifname);
		coap_links_free(l);
		return NULL;
	}
	snprintf(l->ifname, sizeof(l->ifname), "%s", config->ifname);
	l->config.ifname = l->ifname;
	coap_context_set_max_idle_sessions(coaploop_context(l->loop), SESSIONS_MAX);
	coap_context_set_session_timeout(coaploop_context(l->loop), SESSION_REST_S);
	coaploop_pace(l->loop, l->ifname, 2 * config->rate);
	l->tokens = WAITING_MAX * 1000;
	l->tokens_at = jpx_now_ms();
	open_all(l);
	return l;
}

void coap_links_set_leisure(struct coap_links *l, unsigned int leisure_ms)
{
	l->config.leisure_ms = leisure_ms;
}

void coap_links_move(struct coap_links *l, const struct in6_addr *addr)
{
	if (IN6_ARE_ADDR_EQUAL(&l->config.addr, addr))
		return;
	l->config.addr = *addr;
	event_del(l->retry);
	close_endpoints(l);
	open_all(l);
}
