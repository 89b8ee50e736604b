/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Being found by CoAP: answers pledges' GETs of /.well-known/core on pledge ports, sent to
 * ff02::fd (RFC 7252 12.8) or to the port's own link-local address.  What the answer says is
 * announce_links.c's.  Never answers on another interface, nor from another address.
 *
 * Each pledge port has a libcoap context of its own, so that who floods one is not in the
 * way of the others, with two endpoints:
 *
 * - The group's only listens.  libcoap would answer it from whichever link-local address the
 *   kernel likes, but pledges take the answer's source for the proxy (join-proxy-21 5.2);
 *   and it would answer malformed requests to a group with an RST (RFC 7252 8.1 forbids it).
 *   So what is to be answered waits here for its leisure, and leaves by a socket that is
 *   made for it: from the right address, and what is no longer true is not said.
 * - The link-local address' answers by itself.
 *
 * A socket that was made for an answer is connected to the pledge, so what the pledge sends
 * next (it asks for the next block at once) comes to that one and not to the endpoint: it
 * stays for a while, and answers too.
 *
 * What strangers can make us keep is WAITING_MAX requests a port, SESSIONS_MAX sessions an
 * endpoint and TALKS_MAX sockets a port.  How many answers with links they can have is bounded
 * by a token bucket a port; how many errors, which libcoap answers with, by the
 * pace at which a port is read at all: each that goes to a neighbour who does not exist takes a
 * place in the kernel's table of them for seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "announce_links.h"
#include "clock.h"
#include "coaploop.h"
#include "discovery.h"
#include "log.h"

#define COAP_PORT      5683
#define COAP_GROUP     "ff02::fd"
#define WAITING_MAX    128
#define SESSIONS_MAX   8
#define SESSION_REST_S 10 /* libcoap forgets a requester after that */
#define TALKS_MAX      16
#define TALK_MS	       3000
#define RETRY_S	       10
/* One message carries so much (RFC 7252 4.6); more goes in blocks. */
#define PLAIN_MAX 1024

/*
 * Leisure is how long a server may wait before it answers a group, so that not all answer
 * at once (RFC 7252 8.2): size of the group times size of an answer by the link's rate.  On
 * Ethernet that is a matter of milliseconds for any number of proxies that one link has; 250
 * leaves room for Wi-Fi, and a pledge does not feel it.  A bare IPv6 link is a radio as a
 * rule: there it is the RFC's DEFAULT_LEISURE, and so is the rate that suits 250 kbit/s.
 */
static const struct pace {
	unsigned int leisure; /* ms */
	unsigned int rate;    /* answers a second */
} paces[] = {
	[JPX_LINK_ETHERNET] = { 250, 32 },
	[JPX_LINK_IPV6] = { 5000, 8 },
};

/* A request to the group that has its answer coming. */
struct waiting {
	uint64_t due; /* ms; 0: no request */
	struct sockaddr_in6 from;
	uint8_t token[8], block2[3];
	uint8_t token_len, block2_len;
	bool has_block2;
	char filter[ANNOUNCE_FILTER_MAX];
	size_t filter_len;
};

/* A socket to a pledge that was answered. */
struct talk {
	coap_session_t *session;
	struct sockaddr_in6 to;
	uint64_t until; /* ms */
};

struct port {
	struct coap_answer *way;
	struct discovery_port view;
	struct coaploop *loop;
	coap_endpoint_t *group, *own; /* both or none */
	int error;		      /* why none, as it was logged */
	unsigned int tokens;	      /* thousandths of answers that may be sent now */
	uint64_t tokens_at;	      /* ms */
	struct event *timer;	      /* of the first that is due */
	struct waiting waiting[WAITING_MAX];
	struct event *hang_up;
	struct talk talks[TALKS_MAX];
};

struct coap_answer {
	struct event_base *base;
	struct event *retry;
	struct port *ports[JPX_MAX_PORTS];
	unsigned int port_count;
	unsigned int leisure; /* ms; 0: by the kind of link */
	uint64_t secret, random;
};

static const struct pace *pace_of(const struct port *port)
{
	return &paces[port->view.link == JPX_LINK_ETHERNET ? JPX_LINK_ETHERNET : JPX_LINK_IPV6];
}

/* ---- the answer --------------------------------------------------------------- */

/* Is another answer within the rate?  The bucket holds WAITING_MAX: a crowd that was switched
 * on at once is answered. */
static bool may_answer(struct port *port)
{
	uint64_t now = jpx_now_ms(), full = WAITING_MAX * 1000;
	uint64_t tokens = port->tokens + (now - port->tokens_at) * pace_of(port)->rate;

	port->tokens = (unsigned int)(tokens < full ? tokens : full);
	port->tokens_at = now;
	if (port->tokens < 1000) {
		jpx_log_limited(JPX_LOG_WARNING,
				"%s: more CoAP queries than %u a second; the rest gets no answer",
				port->view.ifname, pace_of(port)->rate);
		return false;
	}
	port->tokens -= 1000;
	return true;
}

static size_t links_for(const struct port *port, const struct in6_addr *pledge, const char *filter,
			size_t filter_len, char links[ANNOUNCE_LINKS_MAX])
{
	uint64_t seed = announce_seed(pledge, port->way->secret, jpx_now_ms() / 1000);

	return announce_links(&port->view, filter, filter_len, seed, links, ANNOUNCE_LINKS_MAX);
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

/* ---- requests to the group: later, from the port's address ------------------------- */

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

static coap_session_t *session_to(struct port *port, const struct sockaddr_in6 *to)
{
	coap_address_t local, remote;

	coap_address_init(&local);
	local.size = sizeof(local.addr.sin6);
	local.addr.sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						 .sin6_port = htons(COAP_PORT),
						 .sin6_addr = port->view.addr,
						 .sin6_scope_id = port->view.ifindex };
	coap_address_init(&remote);
	remote.size = sizeof(remote.addr.sin6);
	remote.addr.sin6 = *to;
	remote.addr.sin6.sin6_scope_id = port->view.ifindex;
	return coap_new_client_session(coaploop_context(port->loop), &local, &remote,
				       COAP_PROTO_UDP);
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

/* The talk with TO on PORT, begun if there is none, at the cost of the one that ends first;
 * NULL: not possible. */
static struct talk *talk_with(struct port *port, const struct sockaddr_in6 *to)
{
	struct talk *talks = port->talks, *place = talks;

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
		*place = (struct talk){ .session = session_to(port, to), .to = *to };
	}
	if (!place->session) {
		talk_end(place);
		return NULL;
	}
	place->until = jpx_now_ms() + TALK_MS;
	if (!evtimer_pending(port->hang_up, NULL))
		event_add(port->hang_up, &(struct timeval){ .tv_sec = TALK_MS / 1000 });
	return place;
}

static void hang_up(evutil_socket_t fd, short what, void *arg)
{
	struct port *port = arg;
	uint64_t now = jpx_now_ms();
	bool any = false;

	(void)fd;
	(void)what;
	for (struct talk *talk = port->talks; talk < port->talks + TALKS_MAX; talk++) {
		if (talk->until <= now)
			talk_end(talk);
		any |= talk->session != NULL;
	}
	if (any)
		event_add(port->hang_up, &(struct timeval){ .tv_sec = 1 });
}

static void send_answer(struct port *port, const struct waiting *w)
{
	char links[ANNOUNCE_LINKS_MAX];
	size_t len = links_for(port, &w->from.sin6_addr, w->filter, w->filter_len, links);
	coap_pdu_t *request = len ? request_again(w) : NULL, *response = NULL;
	struct talk *talk = request ? talk_with(port, &w->from) : NULL;

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

static void arm(struct port *port)
{
	uint64_t now = jpx_now_ms(), first = UINT64_MAX, rest;
	struct timeval tv;

	for (unsigned int i = 0; i < WAITING_MAX; i++)
		if (port->waiting[i].due && port->waiting[i].due < first)
			first = port->waiting[i].due;
	if (first == UINT64_MAX)
		return;
	rest = first > now ? first - now : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(rest / 1000),
			       .tv_usec = (suseconds_t)(rest % 1000 * 1000) };
	event_add(port->timer, &tv);
}

static void due(evutil_socket_t fd, short what, void *arg)
{
	struct port *port = arg;
	uint64_t now = jpx_now_ms();

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &port->waiting[i];

		if (!w->due || w->due > now)
			continue;
		if (port->group)
			send_answer(port, w);
		w->due = 0;
	}
	arm(port);
}

/* A number below LIMIT.  That it can be guessed is no harm. */
static unsigned int below(struct coap_answer *way, unsigned int limit)
{
	way->random = way->random * 6364136223846793005 + 1442695040888963407;
	return (unsigned int)((way->random >> 32) % limit);
}

static void answer_later(struct port *port, const coap_session_t *session,
			 const coap_pdu_t *request, const char *filter, size_t filter_len)
{
	unsigned int leisure = port->way->leisure ? port->way->leisure : pace_of(port)->leisure;
	coap_bin_const_t token = coap_pdu_get_token(request);
	coap_opt_iterator_t at;
	const coap_opt_t *block2 = coap_check_option(request, COAP_OPTION_BLOCK2, &at);
	struct waiting *w = port->waiting;

	while (w < port->waiting + WAITING_MAX && w->due)
		w++;
	if (w == port->waiting + WAITING_MAX || token.length > sizeof(w->token) ||
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
	w->due = jpx_now_ms() + below(port->way, leisure + 1);
	arm(port);
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
	struct port *port = coap_resource_get_userdata(resource);
	const struct sockaddr_in6 *from = &coap_session_get_addr_remote(session)->addr.sin6;
	bool to_group = coap_is_mcast(coap_session_get_addr_local(session)), one, accepts;
	char links[ANNOUNCE_LINKS_MAX];
	const char *filter;
	size_t filter_len, len;

	(void)query;
	/* A pledge has a link-local address and nothing else. */
	if (from->sin6_family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr) ||
	    !from->sin6_port) {
		say_nothing(response);
		return;
	}
	one = read_filter(request, &filter, &filter_len);
	accepts = accepts_links(request);
	len = one ? links_for(port, &from->sin6_addr, filter, filter_len, links) : 0;
	if (to_group) {
		say_nothing(response);
		if (len && accepts && may_answer(port))
			answer_later(port, session, request, filter, filter_len);
	} else if (!may_answer(port)) {
		say_nothing(response);
	} else if (!accepts) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_NOT_ACCEPTABLE);
	} else {
		say(request, response, links, len);
	}
}

/* ---- ports ------------------------------------------------------------------------- */

static void port_close(struct port *port)
{
	if (port->group)
		coap_free_endpoint(port->group);
	if (port->own)
		coap_free_endpoint(port->own);
	port->group = port->own = NULL;
	for (unsigned int i = 0; i < TALKS_MAX; i++)
		talk_end(&port->talks[i]);
	event_del(port->timer);
	event_del(port->hang_up);
	memset(port->waiting, 0, sizeof(port->waiting));
}

static void log_failure(struct port *port, int error)
{
	if (error == port->error)
		return;
	port->error = error;
	if (error == EADDRINUSE)
		jpx_warning("%s: cannot answer CoAP discovery: another program has UDP port %d "
			    "for itself; stop it (ss -ulnp 'sport = :%d' names it); trying "
			    "again every %d s",
			    port->view.ifname, COAP_PORT, COAP_PORT, RETRY_S);
	else
		jpx_warning("%s: cannot answer CoAP discovery: %s; trying again every %d s",
			    port->view.ifname, strerror(error), RETRY_S);
}

static void port_open(struct port *port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
				   .sin6_port = htons(COAP_PORT),
				   .sin6_addr = port->view.addr,
				   .sin6_scope_id = port->view.ifindex };
	int error = 0;

	port->own = coaploop_endpoint(port->loop, &sa);
	if (!port->own)
		error = errno;
	inet_pton(AF_INET6, COAP_GROUP, &sa.sin6_addr);
	port->group = error ? NULL : coaploop_listener(port->loop, &sa);
	if (!error && !port->group)
		error = errno;
	if (error) {
		port_close(port);
		log_failure(port, error);
		return;
	}
	port->error = 0;
	jpx_debug("%s: answers CoAP discovery", port->view.ifname);
}

static void retry(evutil_socket_t fd, short what, void *arg)
{
	struct coap_answer *way = arg;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < way->port_count; i++)
		if (!way->ports[i]->group)
			port_open(way->ports[i]);
}

static void port_free(struct port *port)
{
	if (!port)
		return;
	if (port->timer && port->hang_up)
		port_close(port);
	if (port->timer)
		event_free(port->timer);
	if (port->hang_up)
		event_free(port->hang_up);
	coaploop_free(port->loop);
	free(port);
}

/* libcoap has a resource of that name built in; one that is added goes before it. */
static bool add_resource(struct port *port)
{
	coap_resource_t *resource = coap_resource_init(coap_make_str_const(".well-known/core"), 0);

	if (!resource)
		return false;
	coap_register_request_handler(resource, COAP_REQUEST_GET, get);
	coap_resource_set_userdata(resource, port);
	coap_add_resource(coaploop_context(port->loop), resource);
	return true;
}

static struct port *port_new(struct coap_answer *way, const struct discovery_port *view)
{
	struct port *port = calloc(1, sizeof(*port));

	if (port) {
		port->timer = evtimer_new(way->base, due, port);
		port->hang_up = evtimer_new(way->base, hang_up, port);
		port->loop = coaploop_new(way->base);
	}
	if (!port || !port->timer || !port->hang_up || !port->loop || !add_resource(port)) {
		jpx_log_limited(JPX_LOG_ERROR,
				"%s: cannot answer CoAP discovery: not enough memory or file "
				"descriptors (raise LimitNOFILE)",
				view->ifname);
		port_free(port);
		return NULL;
	}
	coap_context_set_max_idle_sessions(coaploop_context(port->loop), SESSIONS_MAX);
	coap_context_set_session_timeout(coaploop_context(port->loop), SESSION_REST_S);
	port->way = way;
	port->view = *view;
	coaploop_pace(port->loop, port->view.ifname, 2 * pace_of(port)->rate);
	port->tokens = WAITING_MAX * 1000;
	port->tokens_at = jpx_now_ms();
	port_open(port);
	return port;
}

/* ---- the way ------------------------------------------------------------------------ */

static void stop(void *arg)
{
	struct coap_answer *way = arg;

	if (!way)
		return;
	for (unsigned int i = 0; i < way->port_count; i++)
		port_free(way->ports[i]);
	if (way->retry)
		event_free(way->retry);
	free(way);
}

static void *start(struct event_base *base, struct registrars *registrars)
{
	struct coap_answer *way = calloc(1, sizeof(*way));

	(void)registrars; /* nothing heard on a pledge port makes a Registrar */
	if (way) {
		way->base = base;
		way->retry = event_new(base, -1, EV_PERSIST, retry, way);
	}
	if (!way || !way->retry || event_add(way->retry, &(struct timeval){ .tv_sec = RETRY_S }) ||
	    getrandom(&way->secret, sizeof(way->secret), 0) != sizeof(way->secret)) {
		jpx_error("cannot answer CoAP discovery: not enough memory");
		stop(way);
		return NULL;
	}
	way->random = ~way->secret;
	return way;
}

/* The port of IFINDEX among those from *AT on, which becomes the place behind it: ports seldom
 * change their order. */
static struct port *take(struct port *ports[], unsigned int count, unsigned int *at,
			 unsigned int ifindex)
{
	for (unsigned int i = 0; i < count; i++) {
		unsigned int place = (*at + i) % count;
		struct port *port = ports[place];

		if (port && port->view.ifindex == ifindex) {
			ports[place] = NULL;
			*at = place + 1;
			return port;
		}
	}
	return NULL;
}

static void update(struct port *port, const struct discovery_port *view)
{
	bool moved = !IN6_ARE_ADDR_EQUAL(&port->view.addr, &view->addr);

	port->view = *view;
	if (!moved)
		return;
	port_close(port);
	port_open(port);
}

static void sync(void *arg, const struct discovery_view *view)
{
	unsigned int count = view->settings->coap_answer ? view->port_count : 0, at = 0;
	struct port *old[JPX_MAX_PORTS];
	struct coap_answer *way = arg;
	unsigned int old_count = way->port_count;

	memcpy(old, way->ports, old_count * sizeof(old[0]));
	way->leisure = view->settings->leisure;
	way->port_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct port *port;

		/* ff02::fd is IPv6's, and so is all of it */
		if (!IN6_IS_ADDR_LINKLOCAL(&view->ports[i].addr))
			continue;
		port = take(old, old_count, &at, view->ports[i].ifindex);
		if (port)
			update(port, &view->ports[i]);
		else
			port = port_new(way, &view->ports[i]);
		if (port)
			way->ports[way->port_count++] = port;
	}
	for (unsigned int i = 0; i < old_count; i++)
		if (old[i])
			port_free(old[i]);
}

const struct discovery_way discovery_coap_answer = { "coap-answer", start, sync, stop };
