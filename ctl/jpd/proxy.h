/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Join Proxy itself: which ports, which services, which programs where.  It
 * owns the state; every verb and every change in the network ends in one
 * function that makes maps, programs and sockets agree with it.
 */
#ifndef JPX_PROXY_H
#define JPX_PROXY_H

#include <netinet/in.h>
#include <stdbool.h>

#include "pinned.h"

struct event_base;
struct flowlist;
struct flows_limits;
struct jpx_flow_request;
struct netwatch;
struct proxy;

/* What somebody asks for; UNSET where they said nothing. */
#define PROXY_UNSET (-1)

struct proxy_wish {
	const char *registrar; /* "[ADDR]:PORT" or "ADDR:PORT", or NULL */
	const char *uplink;    /* or NULL */
	int mode, form, xdp, any_content, intercept;
	int join_port;	      /* 1 to 65535, or UNSET */
	int max_flows;	      /* of the port, 0: the general limit, or UNSET */
	int priority, weight; /* 0 to 65535, or UNSET */
	int probe;	      /* 0: the Registrar is not to be probed, 1: it may be, or UNSET */
	/* Addresses of this host that flows leave from; none: the one that the route gives. */
	const char *uplink_addresses[JPX_SERVICE_UPLINKS + 1];
	unsigned int uplink_address_count;
	bool later; /* the interface may come later */
};
#define PROXY_WISH_NONE                                                                            \
	(struct proxy_wish)                                                                        \
	{                                                                                          \
		.mode = PROXY_UNSET, .form = PROXY_UNSET, .xdp = PROXY_UNSET,                      \
		.any_content = PROXY_UNSET, .intercept = PROXY_UNSET, .join_port = PROXY_UNSET,    \
		.max_flows = PROXY_UNSET, .priority = PROXY_UNSET, .weight = PROXY_UNSET,          \
		.probe = PROXY_UNSET                                                               \
	}

/* What they get to read. */
#define PROXY_NOTES 8
struct proxy_answer {
	bool usage;		     /* the wish itself was wrong */
	char ifname[JPX_IFNAME_LEN]; /* of the port that it was about, or empty */
	char error[512];
	char notes[PROXY_NOTES][320];
	unsigned int note_count;
};

/* Opens everything and adopts what is pinned under PIN_DIR.  NULL with ERR filled. */
struct proxy *proxy_new(struct event_base *base, const char *pin_dir,
			const struct flows_limits *limits, char *err, size_t err_len);

/* Leaves the fast path running, unless no port is attached: then nothing is left behind. */
void proxy_free(struct proxy *proxy);

/* For ports and services that do not say --xdp. */
void proxy_set_default_xdp(struct proxy *proxy, enum jpx_xdp xdp);

/* Are Registrars looked for where none is configured?  For what an operator is told. */
void proxy_set_discovery(struct proxy *proxy, bool looks);

/* For flows from now on; what has to wait is logged. */
void proxy_set_flow_limits(struct proxy *proxy, const struct flows_limits *limits);

/* Each returns 0 or a negative errno with ANSWER->error filled. */
int proxy_attach(struct proxy *proxy, const char *ifname, const struct proxy_wish *wish,
		 struct proxy_answer *answer);
int proxy_detach(struct proxy *proxy, const char *ifname, struct proxy_answer *answer);
int proxy_add_registrar(struct proxy *proxy, const char *name, const struct proxy_wish *wish,
			struct proxy_answer *answer);
int proxy_del_registrar(struct proxy *proxy, const char *name, struct proxy_answer *answer);
/* Makes port IFNAME serve service NAME as one of those that it names. */
int proxy_choose(struct proxy *proxy, const char *ifname, const char *name,
		 struct proxy_answer *answer);

/* ---- for serving.c: Registrars that were discovered ---- */

/* Makes a service of LIKE (registrar, registrar_port, mode, form, source, priority, weight), for
 * every port that names none.  Its id, or a negative errno, which the log has explained. */
int proxy_serve(struct proxy *proxy, const struct jpx_service *like);
/* What was said of a discovered one's priority and weight now, and whether it is still named: one
 * that is RETIRED is relayed, for handshakes that run, and not announced. */
void proxy_serve_as(struct proxy *proxy, unsigned int service_id, __u16 priority, __u16 weight,
		    bool retired);
void proxy_serve_no_more(struct proxy *proxy, unsigned int service_id);
/* To be called after them, once for as many as there were. */
void proxy_settle(struct proxy *proxy);

/* Does what is sent to ADDR leave on a pledge port? */
bool proxy_leads_to_pledges(struct proxy *proxy, const struct in6_addr *addr);

/* LISTENER is called from the loop after each change of what proxy_state() shows. */
void proxy_tell(struct proxy *proxy, void (*listener)(void *arg), void *arg);

/* As health_idle(). */
unsigned int proxy_idle(const struct proxy *proxy, unsigned int service_id);

const struct netwatch *proxy_network(const struct proxy *proxy);

/* Ends the flows that MATCH says; returns how many there were, or a negative number if it could
 * not be done (the log says why). */
long proxy_end_flows(struct proxy *proxy, const struct jpx_flow_request *match);

/* All flows, to be looked through now; for flowlist_close().  NULL: out of memory. */
struct flowlist *proxy_flows(struct proxy *proxy);

/* Valid until the next call. */
const struct jpx_state *proxy_state(struct proxy *proxy);
/* One sentence about whether service SERVICE_ID's Registrar answers.  Returns BUF. */
const char *proxy_why(struct proxy *proxy, unsigned int service_id, char *buf, size_t len);
int proxy_counters(struct proxy *proxy, struct jpx_counters *counters);

#endif
