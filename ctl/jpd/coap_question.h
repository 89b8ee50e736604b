/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Questions to /.well-known/core (RFC 6690 4): one question, its socket, and the answers to
 * it until its time is over.  Knows CoAP and nothing of what an answer says.  Bounded in
 * questions at once, in who may answer, how often, and how much.
 */
#ifndef JPX_COAP_QUESTION_H
#define JPX_COAP_QUESTION_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct coap_questions;
struct event_base;

#define COAP_QUESTIONS_MAX   128   /* at once, each with a socket */
#define COAP_RESPONDERS_MAX  64	   /* that are heard on one question */
#define COAP_ANSWERS_MAX     4	   /* of one responder to one question */
#define COAP_QUESTION_MS     10000 /* answers are taken for so long */
#define COAP_QUESTION_ALL_MS 60000 /* one that comes in blocks may take so long in all */

/* FILTER is not copied: it has to stay. */
struct coap_question {
	const char *filter; /* the query: "rt=brski.rjp" */
	char ifname[IFNAMSIZ];
	unsigned int ifindex;	/* the interface it goes out on and is answered on */
	struct sockaddr_in6 to; /* a group or a host */
};

struct coap_question_use {
	/* FROM answered Q with TEXT.  Says whether that could be read. */
	bool (*on_answer)(void *arg, const struct coap_question *q, const struct in6_addr *from,
			  const char *text, size_t len);
	/* Q is over; FROM answered it readably.  SECONDS covers all of the time it took. */
	void (*on_end)(void *arg, const struct coap_question *q, const struct in6_addr *from,
		       unsigned int seconds);
};

/* USE is not copied.  NULL: out of memory or of descriptors. */
struct coap_questions *coap_questions_new(struct event_base *base,
					  const struct coap_question_use *use, void *arg);
void coap_questions_free(struct coap_questions *qs);

/* Asks.  Returns 0; -EBUSY: COAP_QUESTIONS_MAX are open; or the negative errno of the socket. */
int coap_questions_ask(struct coap_questions *qs, const struct coap_question *q);

/* Ends all questions on IFINDEX; nobody is told. */
void coap_questions_drop(struct coap_questions *qs, unsigned int ifindex);

#endif
