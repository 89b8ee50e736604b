/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The EST-coaps server (RFC 9148): its resources on libcoap, below /.well-known/est, with or
 * without a label, and below a short root, which /.well-known/core tells.  What pledges ask for is
 * judged by policy.h and issued by authority.h; here is what CoAP adds: formats, blocks, response
 * codes.
 *
 * Answers only who gate.h says came through a DTLS session.
 */
#ifndef JPX_JPREG_EST_SERVER_H
#define JPX_JPREG_EST_SERVER_H

#include "authority.h"
#include "counters.h"
#include "est_profile.h"
#include "gate.h"
#include "policy.h"

struct est_server;

/* On the loopback interface, in BASE; *WHERE: where gate_config.coap is to point to.  NULL after an
 * error has been logged.  AUTHORITY, POLICY, and the Registrar's KEY and CHAIN outlive it. */
struct est_server *est_server_new(struct event_base *base, enum est_profile profile,
				  struct authority *authority, struct policy *policy, EVP_PKEY *key,
				  STACK_OF(X509) * chain, struct sockaddr_in *where);

/* Whose word it takes on who asks: before the first datagram comes. */
void est_server_set_gate(struct est_server *server, struct gate *gate);
void est_server_free(struct est_server *server);

#endif
