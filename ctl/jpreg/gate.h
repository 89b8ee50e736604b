/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where pledges come in: the JPY port (each JPY header one pledge), and the coaps port for those
 * who come by stateful proxies or from one hop away.  Each gets a DTLS session (dtls.h); what is
 * inside goes to the CoAP server in this process and back, over a UDP socket of the loopback
 * interface of the pledge's own.
 *
 * Each pledge has an address of 127/8 of its own there, in the order in which they came: what
 * libcoap remembers of one can never be taken for another's, and gate_client() says who it is. Must
 * never pass on a byte that did not come through an established session.
 */
#ifndef JPX_JPREG_GATE_H
#define JPX_JPREG_GATE_H

#include <netinet/in.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "counters.h"
#include "dtls.h"

struct gate;

struct gate_config {
	struct sockaddr_in6 jpy, coaps; /* where to listen */
	struct sockaddr_in coap;	/* our CoAP server, on 127.0.0.1 */
	unsigned int idle_s;		/* a session without a datagram for that long ends */
	unsigned int max_pledges;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
	int (*verify)(void *arg, X509 *client, STACK_OF(X509) * chain); /* as in dtls.h */
	void *arg;
};

/* Opens both ports and begins to serve them in BASE.  NULL after an error has been logged.  CONFIG
 * is copied, COUNTERS are kept and must outlive it. */
struct gate *gate_new(struct event_base *base, const struct gate_config *config,
		      struct jpx_reg_counters *counters);
void gate_free(struct gate *gate);

/* The certificate of the pledge whose CoAP messages come from FROM; NULL: they are no pledge's. The
 * gate's: for this turn of the loop only. */
X509 *gate_client(struct gate *gate, const struct sockaddr_in *from);

/* As dtls_unique() of that pledge's session. */
size_t gate_unique(struct gate *gate, const struct sockaddr_in *from, uint8_t buf[DTLS_UNIQUE_MAX]);

/* How that pledge is called in the log: by which door and from where. */
const char *gate_describe(struct gate *gate, const struct sockaddr_in *from, char *buf, size_t len);

/* Pledges whose handshake has begun. */
unsigned int gate_pledges(const struct gate *gate);

#endif
