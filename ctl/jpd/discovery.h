/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Discovery: what every way of finding Registrars and of being found by pledges works on.
 * A way is one file and one row of the table in discovery.c.  It is shown a view of what
 * is to be announced where, and says what it hears to registrars.h; it never sees the
 * proxy's state, and the proxy never sees it.
 *
 * Data flows one way: ways -> registrars.c -> proxy.c -> the view -> ways.
 */
#ifndef JPX_DISCOVERY_H
#define JPX_DISCOVERY_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <jpx/abi.h>

#include "pledge_links.h"

struct discovery;
struct event_base;
struct proxy;
struct registrars;

#define DISCOVERY_JOINS                                                                            \
	10 /* join ports announced on one pledge port (BRSKI discovery, 3.3.2: 4 to 10) */
#define DISCOVERY_UPLINKS 16 /* interfaces that Registrars are looked for on */
#define DISCOVERY_HOSTS	  16 /* addresses that are asked one by one */

/* What the operator says (jpd.conf(5), section discovery). */
struct discovery_settings {
	bool coap_answer; /* CoAP towards pledges */
	bool grasp_flood; /* GRASP towards pledges */
	bool mdns;	  /* mDNS towards pledges */
	bool beacon;	  /* 6TiSCH beacons towards pledges */
	/* Registrars: looked for at all; AUTO: while none is configured that serves every port. */
	enum discovery_look { DISCOVERY_AUTO, DISCOVERY_YES, DISCOVERY_NO } look;
	bool coap_ask, grasp_hear, dns_sd;
	int mode;	      /* enum jpx_mode to be content with, or -1: stateless wins */
	unsigned int max;     /* discovered Registrars that are served at once */
	unsigned int leisure; /* ms a CoAP answer to a group may wait; 0: by the kind of link */
	char uplinks[DISCOVERY_UPLINKS][IFNAMSIZ];  /* empty: chosen (discovery.c) */
	struct sockaddr_in6 hosts[DISCOVERY_HOSTS]; /* asked by CoAP one by one; port 0: 5683 */
	unsigned int host_count;
	char domain[256];	    /* for DNS-SD; empty: what the system's resolver searches */
	unsigned int beacon_period; /* ms */
	bool beacon_octets;	    /* RFC 9032 figure 1 read as octets, else as columns */
	unsigned int beacon_priority, beacon_pan_priority;
	unsigned char beacon_network_id[16];
	unsigned int beacon_network_id_len;
};

/* A join port as it is announced. */
struct discovery_join {
	uint16_t port;	 /* host order */
	uint16_t weight; /* among those of one port, as RFC 2782 means it */
	enum jpx_mode mode;
};

/* A pledge port that is up and has its link-local address.  joins are in the order of
 * service ids; none: nothing may be announced there. */
struct discovery_port {
	char ifname[JPX_IFNAME_LEN];
	unsigned int ifindex;
	struct in6_addr addr; /* the proxy's link-local address that pledges shall use */
	uint8_t mac[6];
	enum jpx_link link;
	struct discovery_join joins[DISCOVERY_JOINS];
	unsigned int join_count;
};

/* An interface that Registrars are looked for on; never a pledge port. */
struct discovery_uplink {
	char ifname[JPX_IFNAME_LEN];
	unsigned int ifindex;
	struct in6_addr link_local; /* :: if it has none */
};

struct discovery_view {
	const struct discovery_settings *settings;
	bool look;	   /* for Registrars; false: uplink_count is 0, too */
	unsigned int anew; /* another number: look again at once, an operator waits */
	struct discovery_port ports[JPX_MAX_PORTS];
	unsigned int port_count;
	struct pledge_links pledges; /* nobody there is believed */
	struct discovery_uplink uplinks[DISCOVERY_UPLINKS];
	unsigned int uplink_count;
};

/* A way of finding or being found. */
struct discovery_way {
	const char *name; /* as in jpd.conf(5) and in the log */
	/* NULL: not possible here; the log says why.  REGISTRARS: to be told what is heard. */
	void *(*start)(struct event_base *base, struct registrars *registrars);
	/* Makes it agree with VIEW, which is valid during the call only.  Called at the
	 * start and after each change; must be cheap when nothing of interest changed. */
	void (*sync)(void *way, const struct discovery_view *view);
	void (*stop)(void *way);
};

extern const struct discovery_way discovery_coap_answer; /* coap_answer.c */
extern const struct discovery_way discovery_coap_ask;	 /* coap_ask.c */
extern const struct discovery_way discovery_grasp;	 /* grasp_way.c */
extern const struct discovery_way discovery_dns_sd;	 /* dns_sd.c */
extern const struct discovery_way discovery_mdns;	 /* mdns.c */
extern const struct discovery_way discovery_beacon;	 /* beacon.c */

extern const struct discovery_settings discovery_settings_default; /* config_discovery.c */

/* Starts all ways; they do what SETTINGS, copied, says.  NULL: out of memory. */
struct discovery *discovery_new(struct event_base *base, struct proxy *proxy,
				const struct discovery_settings *settings);
void discovery_free(struct discovery *discovery);

/* From now on; and looks again at once. */
void discovery_set(struct discovery *discovery, const struct discovery_settings *settings);

/* What all ways were shown last.  Valid until control returns to the loop. */
const struct discovery_view *discovery_view(const struct discovery *discovery);

const struct registrars *discovery_registrars(const struct discovery *discovery);

#endif
