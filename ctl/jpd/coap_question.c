/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See coap_question.h.
 *
 * libcoap 4.3.1 makes whoever sent the last datagram the peer of a session, and sends there
 * what is sent next: so a question to a group has a session of its own, which sends once.
 * Blocks are put together here and not by libcoap: that takes as much memory as a stranger's
 * Size2 says, and mixes the blocks of all who answer the same question.
 */
#include "coap_question.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jpx/wire.h>

#include "addr.h"
#include "clock.h"
#include "coaploop.h"
#include "linkformat.h"
#include "log.h"

#define TICK_MS	       100
#define TOKEN_LEN      8 /* guessing one is hopeless, and it is all that tells an answer from a lie */
#define ETAG_MAX       8 /* RFC 7252 5.10.6 */
#define MAX_RETRANSMIT 1 /* given up within 9 s (RFC 7252 4.2); the next round asks again */

struct responder {
	struct in6_addr addr;
	unsigned int answers;
	bool readable; /* one of them */
};

/* An answer that comes in blocks (RFC 7959), as far as it is here. */
struct body {
	char *text; /* LINKFORMAT_MAX bytes */
	size_t len;
	unsigned int next, szx;
	unsigned char etag[ETAG_MAX];
	size_t etag_len;
};

struct open_question {
	struct coap_question q;
	coap_session_t *session; /* NULL: the place is free */
	unsigned char token[TOKEN_LEN];
	bool to_group, done;
	uint64_t begun, until;
	struct responder responders[COAP_RESPONDERS_MAX];
	unsigned int responder_count;
	struct body body;
};

struct coap_questions {
	const struct coap_question_use *use;
	void *arg;
	struct coaploop *loop;
	struct event *tick;
	struct open_question open[COAP_QUESTIONS_MAX];
};

/* ---- asking ------------------------------------------------------------------ */

static void close_question(struct open_question *o)
{
	coap_session_release(o->session);
	free(o->body.text);
	*o = (struct open_question){ 0 };
}

/* The request for block NUM; the first asks for no size. */
static coap_pdu_t *request(struct open_question *o, unsigned int num)
{
	coap_pdu_t *pdu = coap_pdu_init(o->to_group ? COAP_MESSAGE_NON : COAP_MESSAGE_CON,
					COAP_REQUEST_CODE_GET, coap_new_message_id(o->session),
					coap_session_max_pdu_size(o->session));
	const char *filter = o->q.filter;
	unsigned char block[4];
	size_t len;

	if (!pdu)
		return NULL;
	if (!coap_add_token(pdu, TOKEN_LEN, o->token) ||
	    !coap_add_option(pdu, COAP_OPTION_URI_PATH, 11, (const uint8_t *)".well-known") ||
	    !coap_add_option(pdu, COAP_OPTION_URI_PATH, 4, (const uint8_t *)"core") ||
	    !coap_add_option(pdu, COAP_OPTION_URI_QUERY, strlen(filter), (const uint8_t *)filter)) {
		coap_delete_pdu(pdu);
		return NULL;
	}
	if (num) {
		len = coap_encode_var_safe(block, sizeof(block), num << 4 | o->body.szx);
		if (!coap_add_option(pdu, COAP_OPTION_BLOCK2, len, block)) {
			coap_delete_pdu(pdu);
			return NULL;
		}
	}
	return pdu;
}

static int send_request(struct open_question *o, unsigned int num)
{
	coap_pdu_t *pdu = request(o, num);

	if (!pdu)
		return -ENOMEM;
	errno = 0;
	if (coap_send(o->session, pdu) != COAP_INVALID_MID)
		return 0;
	return errno ? -errno : -EIO;
}

static struct open_question *free_place(struct coap_questions *qs)
{
	for (unsigned int i = 0; i < COAP_QUESTIONS_MAX; i++)
		if (!qs->open[i].session)
			return &qs->open[i];
	return NULL;
}

int coap_questions_ask(struct coap_questions *qs, const struct coap_question *q)
{
	struct open_question *o = free_place(qs);
	int ret;

	if (!o)
		return -EBUSY;
	*o = (struct open_question){ .q = *q };
	o->to_group = IN6_IS_ADDR_MULTICAST(&q->to.sin6_addr);
	if (evutil_secure_rng_init())
		return -EIO;
	evutil_secure_rng_get_bytes(o->token, TOKEN_LEN);
	o->session = coaploop_session(qs->loop, &q->to, q->ifname, NULL, JPX_HOP_LIMIT);
	if (!o->session)
		return errno ? -errno : -EIO;
	coap_session_set_max_retransmit(o->session, MAX_RETRANSMIT);
	o->begun = jpx_now_ms();
	o->until = o->begun + COAP_QUESTION_MS;
	ret = send_request(o, 0);
	if (ret)
		close_question(o);
	else if (!event_pending(qs->tick, EV_TIMEOUT, NULL))
		event_add(qs->tick, &(struct timeval){ .tv_usec = TICK_MS * 1000 });
	return ret;
}

/* ---- answers ------------------------------------------------------------------ */

/* A line about what FROM did; WHAT is ours. */
static void say(const struct open_question *o, const struct in6_addr *from, const char *what)
{
	char addr[INET6_ADDRSTRLEN];

	jpx_log_limited(JPX_LOG_WARNING, "%s: what %s answered to %s is ignored: %s", o->q.ifname,
			jpx_addr_format(from, addr, sizeof(addr)), o->q.filter, what);
}

static struct responder *responder(struct open_question *o, const struct in6_addr *from)
{
	struct responder *r;

	for (unsigned int i = 0; i < o->responder_count; i++)
		if (IN6_ARE_ADDR_EQUAL(&o->responders[i].addr, from))
			return &o->responders[i];
	if (o->responder_count == COAP_RESPONDERS_MAX) {
		say(o, from, "so many answer already");
		return NULL;
	}
	r = &o->responders[o->responder_count++];
	r->addr = *from;
	return r;
}

static void take(struct coap_questions *qs, struct open_question *o, struct responder *r,
		 const char *text, size_t len)
{
	r->readable |= qs->use->on_answer(qs->arg, &o->q, &r->addr, text, len);
	o->done = !o->to_group;
}

/* What began to come in blocks from one of a group is asked for again from that one alone. */
static void ask_alone(struct coap_questions *qs, const struct open_question *o,
		      const struct sockaddr_in6 *who)
{
	struct coap_question alone = o->q;
	int ret;

	for (unsigned int i = 0; i < COAP_QUESTIONS_MAX; i++) {
		const struct open_question *other = &qs->open[i];

		if (other->session && other->q.ifindex == o->q.ifindex &&
		    other->q.filter == o->q.filter && other->q.to.sin6_port == who->sin6_port &&
		    IN6_ARE_ADDR_EQUAL(&other->q.to.sin6_addr, &who->sin6_addr))
			return;
	}
	alone.to = *who;
	if (IN6_IS_ADDR_LINKLOCAL(&who->sin6_addr))
		alone.to.sin6_scope_id = o->q.ifindex;
	ret = coap_questions_ask(qs, &alone);
	if (ret)
		say(o, &who->sin6_addr, strerror(-ret));
}

static const char *read_etag(const coap_pdu_t *pdu, struct body *body)
{
	coap_opt_iterator_t it;
	coap_opt_t *option = coap_check_option(pdu, COAP_OPTION_ETAG, &it);
	size_t len = option ? coap_opt_length(option) : 0;

	if (len > ETAG_MAX)
		return "its ETag is too long";
	if (body->next == 0) {
		if (len)
			memcpy(body->etag, coap_opt_value(option), len);
		body->etag_len = len;
	} else if (len != body->etag_len ||
		   (len && memcmp(body->etag, coap_opt_value(option), len)))
		return "it changed between two blocks";
	return NULL;
}

/* Appends a block.  NULL, or what is wrong. */
static const char *append(struct body *body, const coap_pdu_t *pdu, const coap_block_t *block,
			  const uint8_t *data, size_t len)
{
	const char *why;

	if (!body->text)
		body->text = malloc(LINKFORMAT_MAX);
	if (!body->text)
		return "out of memory";
	if (body->next == 0)
		body->szx = block->szx;
	if (block->szx != body->szx || block->szx > 6)
		return "its blocks change their size";
	if (block->m ? len != (size_t)16 << block->szx : len > (size_t)16 << block->szx)
		return "a block is not of the size that it says";
	if (len > LINKFORMAT_MAX - body->len)
		return "it is too long";
	why = read_etag(pdu, body);
	if (why)
		return why;
	if (len)
		memcpy(body->text + body->len, data, len);
	body->len += len;
	body->next++;
	return NULL;
}

static void take_block(struct coap_questions *qs, struct open_question *o, struct responder *r,
		       const coap_pdu_t *pdu, const coap_block_t *block)
{
	const uint8_t *data = NULL;
	const char *why;
	size_t len = 0;

	r->answers--;			/* it is one answer, in however many parts */
	if (block->num != o->body.next) /* once more, or of something else */
		return;
	coap_get_data(pdu, &len, &data);
	why = append(&o->body, pdu, block, data, len);
	if (!why && block->m && send_request(o, o->body.next))
		why = "its next block cannot be asked for";
	if (why) {
		say(o, &r->addr, why);
		o->done = true;
	} else if (!block->m) {
		take(qs, o, r, o->body.text, o->body.len);
	} else {
		o->until = jpx_now_ms() + COAP_QUESTION_MS;
		if (o->until > o->begun + COAP_QUESTION_ALL_MS)
			o->until = o->begun + COAP_QUESTION_ALL_MS;
	}
}

/* An absent format is taken for the right one: several drafts print such answers, and what
 * is no link-format is found out anyway. */
static bool is_link_format(const coap_pdu_t *pdu)
{
	coap_opt_iterator_t it;
	coap_opt_t *option = coap_check_option(pdu, COAP_OPTION_CONTENT_FORMAT, &it);

	return !option || coap_decode_var_bytes(coap_opt_value(option), coap_opt_length(option)) ==
				  COAP_MEDIATYPE_APPLICATION_LINK_FORMAT;
}

static void answered(struct coap_questions *qs, struct open_question *o,
		     const struct sockaddr_in6 *who, const coap_pdu_t *pdu)
{
	struct responder *r = responder(o, &who->sin6_addr);
	const uint8_t *data = NULL;
	coap_block_t block;
	size_t len = 0;

	if (!r || r->answers >= COAP_ANSWERS_MAX)
		return;
	r->answers++;
	if (coap_pdu_get_code(pdu) != COAP_RESPONSE_CODE_CONTENT) {
		/* A host that has nothing of the kind: no fault. */
		o->done = !o->to_group;
		return;
	}
	if (!is_link_format(pdu)) {
		say(o, &who->sin6_addr, "its Content-Format is not link-format");
		o->done = !o->to_group;
		return;
	}
	if (!coap_get_block(pdu, COAP_OPTION_BLOCK2, &block))
		block = (coap_block_t){ 0 };
	if (!o->to_group && (block.m || block.num)) {
		take_block(qs, o, r, pdu, &block);
		return;
	}
	if (block.m || block.num) {
		ask_alone(qs, o, who);
		return;
	}
	coap_get_data(pdu, &len, &data);
	if (len > LINKFORMAT_MAX)
		say(o, &who->sin6_addr, "it is too long");
	else
		take(qs, o, r, (const char *)data, len);
}

/* From the token alone follows to what it is an answer (RFC 7252 8.2). */
static struct open_question *by_token(struct coap_questions *qs, const coap_session_t *session,
				      coap_bin_const_t token)
{
	for (unsigned int i = 0; i < COAP_QUESTIONS_MAX; i++) {
		struct open_question *o = &qs->open[i];

		if (o->session == session && session && token.length == TOKEN_LEN &&
		    !memcmp(o->token, token.s, TOKEN_LEN))
			return o;
	}
	return NULL;
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
				   const coap_pdu_t *received, const coap_mid_t mid)
{
	struct coap_questions *qs = coap_get_app_data(coap_session_get_context(session));
	struct open_question *o = by_token(qs, session, coap_pdu_get_token(received));
	const coap_address_t *who = coap_session_get_addr_remote(session);

	(void)sent;
	(void)mid;
	/* Never a Reset: whose address that would go to is for the sender to choose. */
	if (o && !o->done && who && who->addr.sa.sa_family == AF_INET6)
		answered(qs, o, &who->addr.sin6, received);
	return COAP_RESPONSE_OK;
}

/* ---- the end of a question ------------------------------------------------------ */

static void end(struct coap_questions *qs, struct open_question *o, uint64_t now)
{
	unsigned int seconds = (unsigned int)((now - o->begun) / 1000) + 2;

	for (unsigned int i = 0; i < o->responder_count; i++)
		if (o->responders[i].readable)
			qs->use->on_end(qs->arg, &o->q, &o->responders[i].addr, seconds);
	close_question(o);
}

/* Not from the answer itself: libcoap still works on the session then. */
static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct coap_questions *qs = arg;
	uint64_t now = jpx_now_ms();
	bool any = false;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < COAP_QUESTIONS_MAX; i++) {
		struct open_question *o = &qs->open[i];

		if (o->session && (o->done || now >= o->until))
			end(qs, o, now);
		any |= o->session != NULL;
	}
	if (any)
		event_add(qs->tick, &(struct timeval){ .tv_usec = TICK_MS * 1000 });
}

void coap_questions_drop(struct coap_questions *qs, unsigned int ifindex)
{
	for (unsigned int i = 0; i < COAP_QUESTIONS_MAX; i++)
		if (qs->open[i].session && qs->open[i].q.ifindex == ifindex)
			close_question(&qs->open[i]);
}

/* ---- start and stop --------------------------------------------------------------- */

struct coap_questions *coap_questions_new(struct event_base *base,
					  const struct coap_question_use *use, void *arg)
{
	struct coap_questions *qs = calloc(1, sizeof(*qs));

	if (!qs)
		return NULL;
	qs->use = use;
	qs->arg = arg;
	qs->tick = event_new(base, -1, 0, tick, qs);
	qs->loop = qs->tick ? coaploop_new(base) : NULL;
	if (!qs->loop) {
		coap_questions_free(qs);
		return NULL;
	}
	coap_set_app_data(coaploop_context(qs->loop), qs);
	coap_register_response_handler(coaploop_context(qs->loop), on_response);
	return qs;
}

void coap_questions_free(struct coap_questions *qs)
{
	if (!qs)
		return;
	for (unsigned int i = 0; i < COAP_QUESTIONS_MAX; i++)
		if (qs->open[i].session)
			close_question(&qs->open[i]);
	coaploop_free(qs->loop);
	if (qs->tick)
		event_free(qs->tick);
	free(qs);
}
