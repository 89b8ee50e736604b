/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libcoap in our event loop, and its sockets on the interfaces that we mean.
 */
#ifndef JPX_COAPLOOP_H
#define JPX_COAPLOOP_H

#include <coap3/coap.h>
#include <netinet/in.h>

struct coaploop;
struct event_base;

/* A context of its own, served by BASE.  NULL: out of memory or of descriptors. */
struct coaploop *coaploop_new(struct event_base *base);
void coaploop_free(struct coaploop *loop);
coap_context_t *coaploop_context(struct coaploop *loop);

/* libcoap's timers are armed only when it is asked; after a call from outside of it, ask. */
void coaploop_wake(struct coaploop *loop);

/* From now on LOOP reads at most PER_SECOND datagrams a second, and at once what came in two
 * seconds of silence; the kernel drops what its sockets cannot hold.  For servers: libcoap has
 * no bound to the errors that it answers with, and each that goes to another neighbour takes
 * a place in the kernel's table of them, which is small and shared by all.  NAME: of the interface,
 * for the log; it is not copied. */
void coaploop_pace(struct coaploop *loop, const char *name, unsigned int per_second);

/* A client session over UDP towards TO, a host or a group, that sends and hears on interface
 * IFNAME alone (NULL: any) and whose groups' datagrams go up to HOPS hops.  FROM: the address it
 * sends from, or NULL.  To be released with coap_session_release().  NULL with errno set. */
coap_session_t *coaploop_session(struct coaploop *loop, const struct sockaddr_in6 *to,
				 const char *ifname, const struct in6_addr *from, int hops);

/* An endpoint for requests to ADDR, whose interface is its scope: an address of the host, or a
 * group, that it joins there.  It hears that interface alone.  NULL with errno set. */
coap_endpoint_t *coaploop_endpoint(struct coaploop *loop, const struct sockaddr_in6 *addr);

/* The same, but nothing ever leaves by it: for a group, where libcoap answers what is malformed
 * with an RST and unknown critical options with 4.02, though RFC 7252 8.1 forbids it. */
coap_endpoint_t *coaploop_listener(struct coaploop *loop, const struct sockaddr_in6 *addr);

/* A client session over DTLS towards TO by PKI, which is read before this returns.  FROM: the
 * address it sends from, with a scope where it is link-local, or NULL.  To be released with
 * coap_session_release().  NULL with errno set. */
coap_session_t *coaploop_dtls_session(struct coaploop *loop, const struct sockaddr_in6 *to,
				      const struct sockaddr_in6 *from, coap_dtls_pki_t *pki);

/* An endpoint on 127.0.0.1, at a port that the kernel chooses: *WHERE.  NULL with errno set. */
coap_endpoint_t *coaploop_loopback(struct coaploop *loop, struct sockaddr_in *where);

#endif
