/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The picture of links, addresses and neighbours behind netwatch.h, fed by one
 * rtnetlink socket in the loop, and the kernel's answers
 * to single questions over a second one.
 *
 * The event socket never blocks.  The request socket waits for the kernel, with
 * a limit, and is read by nothing else, so that an answer never gets between
 * events.  When events were lost, or a dump was cut, everything is read again.
 *
 * Must never change the picture outside the loop's own callbacks (callers hold
 * pointers into it), never call the listener from another call, and never grow
 * with what a neighbour on some link cares to send.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct in6_pktinfo */
#endif
#include "netwatch.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <netinet/icmp6.h>

#include <jpx/wire.h>

#include "addr.h"
#include "clock.h"
#include "lowpan.h"

#define LINK_BUCKET_BITS    10
#define LINKS_MAX	    65536
#define ADDRESS_BUCKET_BITS 12
#define ADDRESSES_MAX	    65536 /* more are legal; see address_forget() */
#define NEIGH_BUCKET_BITS   14
#define NEIGHBOURS_MAX	    65536

/* Room for some thousand events while the loop does something else. */
#define EVENT_RCVBUF (4 << 20)

/* Datagrams read before the loop gets its turn, and thrown away before a dump. */
#define READS_PER_TURN 1024
#define DRAIN_MAX      65536

/* Between two calls of the listener, and between two full dumps. */
#define CHANGE_SPACING_MS 20
#define RESYNC_SPACING_MS 100
#define RESYNC_RETRY_MS	  1000

/* The kernel answers within the send, or from the read itself: these are for
 * the day it does not. */
#define REQUEST_WAIT_MS	 500
#define REQUEST_TOTAL_MS 2000

#define DUMP_TRIES 3

/* The longest datagram that the kernel makes of a dump. */
#define READ_MAX 32768

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

#define GROUP(g) (1U << ((g)-1))

/* A usable address of a link. */
struct address {
	LIST_ENTRY(address) by_key;
	LIST_ENTRY(address) of_link;
	struct link *link;
	struct in6_addr addr;
	uint32_t generation;
};

struct neighbour {
	LIST_ENTRY(neighbour) by_key;
	LIST_ENTRY(neighbour) of_link;
	TAILQ_ENTRY(neighbour) gone_order; /* only while GONE */
	struct link *link;
	struct in6_addr addr;
	uint32_t generation;
	uint8_t mac[6];
	bool permanent;
	bool gone; /* no longer in the kernel's table; the MAC is the last known */
};

struct link {
	struct netwatch_link pub;
	LIST_ENTRY(link) by_index;
	LIST_ENTRY(link) by_name;
	LIST_HEAD(, address) addresses;
	LIST_HEAD(, neighbour) neighbours;
	uint32_t generation;
};

LIST_HEAD(link_bucket, link);
LIST_HEAD(address_bucket, address);
LIST_HEAD(neighbour_bucket, neighbour);

struct netwatch {
	void (*on_change)(void *arg);
	void *arg;

	struct mnl_socket *events;
	struct mnl_socket *requests;
	int icmp, arp; /* each a descriptor, or a negative errno */
	uint32_t seq;

	struct event *readable;
	struct event *change_timer;
	struct event *resync_timer;
	uint64_t last_change_ms;
	uint64_t last_resync_ms;
	bool lost; /* the picture is wrong until the next resync */

	uint32_t generation; /* of the current or last dump */
	unsigned int links;
	unsigned int addresses;
	bool addresses_cut; /* there are more in the kernel */
	unsigned int neighbours;
	TAILQ_HEAD(, neighbour) gone; /* oldest first */
	uint64_t seed[6];
	struct link_bucket by_index[1U << LINK_BUCKET_BITS];
	struct link_bucket by_name[1U << LINK_BUCKET_BITS];
	struct address_bucket addresses_by_key[1U << ADDRESS_BUCKET_BITS];
	struct neighbour_bucket by_key[1U << NEIGH_BUCKET_BITS];

	char buf[READ_MAX] __attribute__((aligned(8)));
};

typedef void (*reply_fn)(struct netwatch *nw, const struct nlmsghdr *nlh, void *arg);

static void arm(struct event *timer, uint64_t last_ms, uint64_t spacing_ms)
{
	uint64_t now = jpx_now_ms(), due = last_ms ? last_ms + spacing_ms : now;
	uint64_t wait = due > now ? due - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(wait / 1000),
			      .tv_usec = (suseconds_t)(wait % 1000 * 1000) };

	if (!evtimer_pending(timer, NULL))
		evtimer_add(timer, &tv);
}

/* The first of a burst is told at once, the rest of it together a little later. */
static void changed(struct netwatch *nw)
{
	arm(nw->change_timer, nw->last_change_ms, CHANGE_SPACING_MS);
}

static void lost(struct netwatch *nw)
{
	nw->lost = true;
	arm(nw->resync_timer, nw->last_resync_ms, RESYNC_SPACING_MS);
}

/* ---- attributes ---- */

struct attrs {
	const struct nlattr **tb;
	unsigned int max;
};

static int attr_cb(const struct nlattr *attr, void *data)
{
	const struct attrs *attrs = data;
	unsigned int type = mnl_attr_get_type(attr);

	if (type <= attrs->max)
		attrs->tb[type] = attr;
	return MNL_CB_OK;
}

/* TB has MAX + 1 places.  False if the message is too short for its own header. */
static bool parse(const struct nlmsghdr *nlh, size_t header, const struct nlattr **tb,
		  unsigned int max)
{
	struct attrs attrs = { tb, max };

	memset(tb, 0, (max + 1) * sizeof(*tb));
	if (mnl_nlmsg_get_payload_len(nlh) < header)
		return false;
	return mnl_attr_parse(nlh, (unsigned int)header, attr_cb, &attrs) >= 0;
}

static void parse_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int max)
{
	struct attrs attrs = { tb, max };

	memset(tb, 0, (max + 1) * sizeof(*tb));
	if (nest)
		mnl_attr_parse_nested(nest, attr_cb, &attrs);
}

static bool attr_bytes(const struct nlattr *attr, void *out, size_t len)
{
	if (!attr || mnl_attr_get_payload_len(attr) != len)
		return false;
	memcpy(out, mnl_attr_get_payload(attr), len);
	return true;
}

static uint32_t attr_u32(const struct nlattr *attr, uint32_t otherwise)
{
	uint32_t v;

	return attr_bytes(attr, &v, sizeof(v)) ? v : otherwise;
}

static uint16_t attr_u16(const struct nlattr *attr)
{
	uint16_t v;

	return attr_bytes(attr, &v, sizeof(v)) ? v : 0;
}

/* Copies a name of less than LEN bytes; false if it does not fit or is empty. */
static bool attr_name(const struct nlattr *attr, char *out, size_t len)
{
	size_t n;

	if (!attr)
		return false;
	n = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	if (!n || n >= len)
		return false;
	memset(out, 0, len);
	memcpy(out, mnl_attr_get_payload(attr), n);
	return true;
}

/* An address of FAMILY, 4 bytes or 16.  False if it is none, or of a family that is of no
 * concern here. */
static bool attr_address(const struct nlattr *attr, int family, struct in6_addr *addr)
{
	struct in_addr quad;

	if (family == AF_INET6)
		return attr_bytes(attr, addr, sizeof(*addr));
	if (family != AF_INET || !attr_bytes(attr, &quad, sizeof(quad)))
		return false;
	*addr = jpx_addr_map(quad);
	return true;
}

static uint8_t family_of(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_V4MAPPED(addr) ? AF_INET : AF_INET6;
}

/* ADDR as its family has it on the wire. */
static const void *wire_of(const struct in6_addr *addr, uint16_t *len)
{
	*len = family_of(addr) == AF_INET ? sizeof(struct in_addr) : sizeof(*addr);
	return addr->s6_addr + sizeof(*addr) - *len;
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, const struct in6_addr *addr)
{
	uint16_t len;
	const void *bytes = wire_of(addr, &len);

	mnl_attr_put(nlh, type, len, bytes);
}

/* Multiply-shift with secret factors: whoever picks addresses on a link cannot
 * pick them into one bucket. */
static size_t bucket(const struct netwatch *nw, int ifindex, const struct in6_addr *addr, int bits)
{
	uint64_t h = nw->seed[0] + nw->seed[1] * (uint32_t)ifindex;
	unsigned int i;

	for (i = 0; i < 4; i++)
		h += nw->seed[2 + i] * addr->s6_addr32[i];
	return h >> (64 - bits);
}

/* ---- links ---- */

static struct link_bucket *index_bucket(const struct netwatch *nw, int ifindex)
{
	unsigned int i = (unsigned int)ifindex & ((1U << LINK_BUCKET_BITS) - 1);

	return (struct link_bucket *)&nw->by_index[i];
}

static struct link_bucket *name_bucket(const struct netwatch *nw, const char *name)
{
	uint32_t h = 2166136261U; /* FNV-1a: names are the operator's, not a stranger's */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619U;
	return (struct link_bucket *)&nw->by_name[h >> (32 - LINK_BUCKET_BITS)];
}

static struct link *link_find(const struct netwatch *nw, int ifindex)
{
	struct link *link;

	LIST_FOREACH(link, index_bucket(nw, ifindex), by_index) {
		if (link->pub.ifindex == ifindex)
			return link;
	}
	return NULL;
}

static struct link *link_add(struct netwatch *nw, int ifindex)
{
	struct link *link;

	if (nw->links >= LINKS_MAX)
		return NULL;
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->pub.ifindex = ifindex;
	LIST_INIT(&link->addresses);
	LIST_INIT(&link->neighbours);
	LIST_INSERT_HEAD(index_bucket(nw, ifindex), link, by_index);
	LIST_INSERT_HEAD(name_bucket(nw, ""), link, by_name);
	nw->links++;
	return link;
}

static void neighbour_forget(struct netwatch *nw, struct neighbour *n)
{
	if (n->gone)
		TAILQ_REMOVE(&nw->gone, n, gone_order);
	LIST_REMOVE(n, by_key);
	LIST_REMOVE(n, of_link);
	nw->neighbours--;
	free(n);
}

/* Could pledges send to it?  Of 169.254/16 the ends are reserved (RFC 3927 2.1). */
static bool is_for_pledges(const struct in6_addr *addr)
{
	if (IN6_IS_ADDR_V4MAPPED(addr))
		return jpx_is_link_local4(ntohl(addr->s6_addr32[3]));
	return IN6_IS_ADDR_LINKLOCAL(addr);
}

/* Says anew which is the best of each family, if ADDR could be one of them. */
static void link_local_publish(struct link *link, const struct in6_addr *addr)
{
	const struct in6_addr *best = NULL;
	bool ipv4 = IN6_IS_ADDR_V4MAPPED(addr);
	const struct address *a;

	if (!is_for_pledges(addr))
		return;
	LIST_FOREACH(a, &link->addresses, of_link) {
		if (is_for_pledges(&a->addr) && !!IN6_IS_ADDR_V4MAPPED(&a->addr) == ipv4 &&
		    (!best || lowpan_prefers(&link->pub, &a->addr, best)))
			best = &a->addr;
	}
	if (ipv4) {
		link->pub.has_link_local4 = best;
		link->pub.link_local4.s_addr = best ? best->s6_addr32[3] : 0;
	} else {
		link->pub.has_link_local = best;
		link->pub.link_local = best ? *best : in6addr_any;
	}
}

static void address_forget(struct netwatch *nw, struct address *a)
{
	struct in6_addr addr = a->addr;
	struct link *link = a->link;

	LIST_REMOVE(a, by_key);
	LIST_REMOVE(a, of_link);
	nw->addresses--;
	free(a);
	link_local_publish(link, &addr);
	/* There is room for one that was left out: only the kernel knows. */
	if (nw->addresses_cut)
		lost(nw);
}

static void link_forget(struct netwatch *nw, struct link *link)
{
	while (!LIST_EMPTY(&link->neighbours))
		neighbour_forget(nw, LIST_FIRST(&link->neighbours));
	while (!LIST_EMPTY(&link->addresses))
		address_forget(nw, LIST_FIRST(&link->addresses));
	LIST_REMOVE(link, by_index);
	LIST_REMOVE(link, by_name);
	nw->links--;
	free(link);
}

static void link_went_down(struct netwatch *nw, struct link *link)
{
	struct neighbour *n, *next;

	for (n = LIST_FIRST(&link->neighbours); n; n = next) {
		next = LIST_NEXT(n, of_link);
		/* The kernel keeps a permanent one when only the carrier went, and
		 * says nothing about it when the carrier is back. */
		if (!n->permanent)
			neighbour_forget(nw, n);
	}
}

static void link_message(struct netwatch *nw, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[IFLA_XDP + 1], *info[IFLA_INFO_DATA + 1];
	const struct nlattr *vlan[IFLA_VLAN_PROTOCOL + 1], *xdp[IFLA_XDP_PROG_ID + 1];
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct netwatch_link seen;
	struct link *link;

	/* AF_BRIDGE messages tell of a bridge's ports: their RTM_DELLINK is not
	 * the end of a link. */
	if (!parse(nlh, sizeof(*ifi), tb, IFLA_XDP) || ifi->ifi_family != AF_UNSPEC ||
	    ifi->ifi_index <= 0)
		return;
	link = link_find(nw, ifi->ifi_index);
	if (nlh->nlmsg_type == RTM_DELLINK) {
		if (link) {
			link_forget(nw, link);
			changed(nw);
		}
		return;
	}
	/* Wireless drivers send their own events as links with next to nothing in. */
	memset(&seen, 0, sizeof(seen)); /* compared as bytes, padding included */
	if (!tb[IFLA_MTU] || !attr_name(tb[IFLA_IFNAME], seen.ifname, sizeof(seen.ifname)))
		return;
	if (!link) {
		link = link_add(nw, ifi->ifi_index);
		if (!link)
			return;
	}
	link->generation = nw->generation;

	seen.ifindex = ifi->ifi_index;
	seen.arphrd = ifi->ifi_type;
	seen.up = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_LOWER_UP);
	seen.mtu = attr_u32(tb[IFLA_MTU], 0);
	attr_bytes(tb[IFLA_ADDRESS], seen.mac, sizeof(seen.mac));
	attr_bytes(tb[IFLA_ADDRESS], seen.eui64, sizeof(seen.eui64));
	if (!tb[IFLA_LINK_NETNSID])
		seen.parent = (int)attr_u32(tb[IFLA_LINK], 0);
	seen.master = (int)attr_u32(tb[IFLA_MASTER], 0);
	parse_nested(tb[IFLA_XDP], xdp, IFLA_XDP_PROG_ID);
	seen.xdp_prog_id = attr_u32(xdp[IFLA_XDP_PROG_ID], 0);
	parse_nested(tb[IFLA_LINKINFO], info, IFLA_INFO_DATA);
	attr_name(info[IFLA_INFO_KIND], seen.kind, sizeof(seen.kind));
	if (!strcmp(seen.kind, "vlan")) {
		parse_nested(info[IFLA_INFO_DATA], vlan, IFLA_VLAN_PROTOCOL);
		seen.vlan_id = attr_u16(vlan[IFLA_VLAN_ID]);
		seen.vlan_proto = ntohs(attr_u16(vlan[IFLA_VLAN_PROTOCOL]));
	}
	seen.has_link_local = link->pub.has_link_local;
	seen.link_local = link->pub.link_local;
	seen.has_link_local4 = link->pub.has_link_local4;
	seen.link_local4 = link->pub.link_local4;

	if (!memcmp(&seen, &link->pub, sizeof(seen)))
		return;
	if (strcmp(seen.ifname, link->pub.ifname)) {
		LIST_REMOVE(link, by_name);
		LIST_INSERT_HEAD(name_bucket(nw, seen.ifname), link, by_name);
	}
	if (link->pub.up && !seen.up)
		link_went_down(nw, link);
	memcpy(&link->pub, &seen, sizeof(seen));
	/* Another EUI-64, perhaps: another address is the best one. */
	link_local_publish(link, &link->pub.link_local);
	changed(nw);
}

/* ---- addresses ---- */

static struct address_bucket *address_bucket(const struct netwatch *nw, const struct in6_addr *addr)
{
	size_t i = bucket(nw, 0, addr, ADDRESS_BUCKET_BITS);

	return (struct address_bucket *)&nw->addresses_by_key[i];
}

/* ADDR of LINK, or of any if that is NULL. */
static struct address *address_find(const struct netwatch *nw, const struct link *link,
				    const struct in6_addr *addr)
{
	struct address *a;

	LIST_FOREACH(a, address_bucket(nw, addr), by_key) {
		if ((!link || a->link == link) && !memcmp(&a->addr, addr, sizeof(*addr)))
			return a;
	}
	return NULL;
}

static void address_add(struct netwatch *nw, struct link *link, const struct in6_addr *addr)
{
	struct address *a = address_find(nw, link, addr);

	if (!a) {
		a = nw->addresses < ADDRESSES_MAX ? calloc(1, sizeof(*a)) : NULL;
		if (!a) {
			nw->addresses_cut = true;
			return;
		}
		a->link = link;
		a->addr = *addr;
		LIST_INSERT_HEAD(address_bucket(nw, addr), a, by_key);
		LIST_INSERT_HEAD(&link->addresses, a, of_link);
		nw->addresses++;
		link_local_publish(link, addr);
	}
	a->generation = nw->generation;
}

static void address_message(struct netwatch *nw, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFA_FLAGS + 1];
	struct in6_addr addr;
	struct address *a;
	struct link *link;
	uint32_t flags;

	/* With a peer address IFA_ADDRESS is the peer's. */
	if (!parse(nlh, sizeof(*ifa), tb, IFA_FLAGS) ||
	    !attr_address(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family, &addr))
		return;
	changed(nw);
	link = link_find(nw, (int)ifa->ifa_index);
	if (!link)
		return;
	flags = attr_u32(tb[IFA_FLAGS], ifa->ifa_flags);
	if (nlh->nlmsg_type != RTM_DELADDR && !(flags & IFA_F_DADFAILED) &&
	    (flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) != IFA_F_TENTATIVE) {
		address_add(nw, link, &addr);
		return;
	}
	a = address_find(nw, link, &addr);
	if (a)
		address_forget(nw, a);
}

/* ---- neighbours ---- */

static struct neighbour_bucket *neighbour_bucket(const struct netwatch *nw, int ifindex,
						 const struct in6_addr *addr)
{
	size_t i = bucket(nw, ifindex, addr, NEIGH_BUCKET_BITS);

	return (struct neighbour_bucket *)&nw->by_key[i];
}

static struct neighbour *neighbour_find(const struct netwatch *nw, int ifindex,
					const struct in6_addr *addr)
{
	struct neighbour *n;

	LIST_FOREACH(n, neighbour_bucket(nw, ifindex, addr), by_key) {
		if (n->link->pub.ifindex == ifindex && !memcmp(&n->addr, addr, sizeof(*addr)))
			return n;
	}
	return NULL;
}

static struct neighbour *neighbour_add(struct netwatch *nw, struct link *link,
				       const struct in6_addr *addr)
{
	struct neighbour *n;

	if (nw->neighbours >= NEIGHBOURS_MAX) {
		if (TAILQ_EMPTY(&nw->gone))
			return NULL;
		neighbour_forget(nw, TAILQ_FIRST(&nw->gone));
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->link = link;
	n->addr = *addr;
	LIST_INSERT_HEAD(neighbour_bucket(nw, link->pub.ifindex, addr), n, by_key);
	LIST_INSERT_HEAD(&link->neighbours, n, of_link);
	nw->neighbours++;
	return n;
}

static void neighbour_gone(struct netwatch *nw, struct neighbour *n)
{
	/* A permanent one goes only by somebody's will, and a link that is down
	 * confirms nothing. */
	if (n->permanent || !n->link->pub.up) {
		neighbour_forget(nw, n);
		changed(nw);
	} else if (!n->gone) {
		n->gone = true;
		TAILQ_INSERT_TAIL(&nw->gone, n, gone_order);
	}
}

/* What a neighbour message says: its key, state and MAC.  False if it is of no
 * concern here. */
static bool neighbour_parse(const struct nlmsghdr *nlh, int *ifindex, struct in6_addr *addr,
			    uint16_t *state, uint8_t mac[6])
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NDA_LLADDR + 1];

	if (!parse(nlh, sizeof(*ndm), tb, NDA_LLADDR) || (ndm->ndm_flags & NTF_PROXY) ||
	    !attr_address(tb[NDA_DST], ndm->ndm_family, addr))
		return false;
	*ifindex = ndm->ndm_ifindex;
	*state = ndm->ndm_state;
	if ((*state & NUD_USABLE) && !attr_bytes(tb[NDA_LLADDR], mac, 6))
		return false;
	return true;
}

static void neighbour_message(struct netwatch *nw, const struct nlmsghdr *nlh)
{
	struct in6_addr addr;
	struct neighbour *n;
	struct link *link;
	uint16_t state;
	uint8_t mac[6];
	int ifindex;

	/* Groups are no neighbours, and the kernel lists every one it ever sent to. */
	if (!neighbour_parse(nlh, &ifindex, &addr, &state, mac) || !jpx_addr_is_host(&addr))
		return;
	n = neighbour_find(nw, ifindex, &addr);
	if (n)
		n->generation = nw->generation;
	if (state & NUD_FAILED) {
		if (n) {
			neighbour_forget(nw, n);
			changed(nw);
		}
		return;
	}
	if (nlh->nlmsg_type == RTM_DELNEIGH) {
		if (n)
			neighbour_gone(nw, n);
		return;
	}
	if (!(state & NUD_USABLE))
		return;
	if (!n) {
		/* A link made during a dump: its events, this one too, are still to come. */
		link = link_find(nw, ifindex);
		n = link ? neighbour_add(nw, link, &addr) : NULL;
		if (!n)
			return;
		n->generation = nw->generation;
		memcpy(n->mac, mac, sizeof(n->mac));
		changed(nw);
	}
	if (n->gone) {
		n->gone = false;
		TAILQ_REMOVE(&nw->gone, n, gone_order);
	}
	n->permanent = state & NUD_PERMANENT;
	if (memcmp(n->mac, mac, sizeof(n->mac))) {
		memcpy(n->mac, mac, sizeof(n->mac));
		changed(nw);
	}
}

static void message(struct netwatch *nw, const struct nlmsghdr *nlh, void *arg)
{
	(void)arg;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_message(nw, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		address_message(nw, nlh);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbour_message(nw, nlh);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		changed(nw);
		break;
	}
}

/* ---- requests ---- */

static int requests_open(struct netwatch *nw)
{
	struct timeval wait = { .tv_usec = REQUEST_WAIT_MS * 1000 };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0) {
		int err = -errno;

		mnl_socket_close(nl);
		return err;
	}
	if (nw->requests)
		mnl_socket_close(nw->requests);
	nw->requests = nl;
	return 0;
}

/* Throws away what waits in a socket.  True if nothing is left. */
static bool drain(const struct mnl_socket *nl, unsigned int max)
{
	char byte;

	while (max--) {
		if (recv(mnl_socket_get_fd(nl), &byte, 1, MSG_DONTWAIT | MSG_TRUNC) < 0 &&
		    errno != ENOBUFS && errno != EINTR)
			return true;
	}
	return false;
}

static struct nlmsghdr *request_begin(struct netwatch *nw, char *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++nw->seq;
	return nlh;
}

/* One datagram of answers.  1 when the answer is complete, 0 when more is to
 * come, else a negative errno. */
static int request_replies(struct netwatch *nw, int len, reply_fn fn, void *arg, bool *interrupted)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)nw->buf;
	unsigned int portid = mnl_socket_get_portid(nw->requests);
	int32_t err;

	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
		if (nlh->nlmsg_seq != nw->seq || nlh->nlmsg_pid != portid)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
			if (mnl_nlmsg_get_payload_len(nlh) < sizeof(err))
				return nlh->nlmsg_type == NLMSG_DONE ? 1 : -EBADMSG;
			memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
			return err < 0 ? err : 1;
		}
		fn(nw, nlh, arg);
		if (!(nlh->nlmsg_flags & NLM_F_MULTI))
			return 1;
	}
	return 0;
}

/* Asks and hands every answer to FN.  -EINTR: a dump was complete but not of one
 * moment.  Bounded in time whatever the kernel does. */
static int request(struct netwatch *nw, const struct nlmsghdr *nlh, reply_fn fn, void *arg)
{
	uint64_t deadline = jpx_now_ms() + REQUEST_TOTAL_MS;
	bool interrupted = false;
	ssize_t len;
	int err;

	if (!nw->requests) {
		err = requests_open(nw);
		if (err)
			return err;
	}
	drain(nw->requests, READS_PER_TURN);
	if (mnl_socket_sendto(nw->requests, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nw->requests, nw->buf, sizeof(nw->buf));
		if (len < 0) {
			if (errno == EINTR)
				continue;
			err = errno == EAGAIN ? -ETIMEDOUT : -errno;
			goto broken;
		}
		err = request_replies(nw, (int)len, fn, arg, &interrupted);
		if (err)
			return err < 0 ? err : interrupted ? -EINTR : 0;
	} while (jpx_now_ms() < deadline);
	err = -ETIMEDOUT;
broken:
	/* What is left of the answer, and a dump not read to its end, must not get
	 * into the next one's way. */
	mnl_socket_close(nw->requests);
	nw->requests = NULL;
	return err;
}

/* ---- the whole picture ---- */

static int dump_one(struct netwatch *nw, uint16_t type)
{
	char buf[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request_begin(nw, buf, type, NLM_F_DUMP);
	struct ifinfomsg *ifi;
	struct ifaddrmsg *ifa;
	struct ndmsg *ndm;

	switch (type) {
	case RTM_GETLINK:
		ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
		ifi->ifi_family = AF_UNSPEC;
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		break;
	case RTM_GETADDR:
		ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
		ifa->ifa_family = AF_UNSPEC;
		break;
	default:
		ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
		ndm->ndm_family = AF_UNSPEC;
		break;
	}
	return request(nw, nlh, message, NULL);
}

void netwatch_ask_link(struct netwatch *nw, int ifindex)
{
	char buf[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request_begin(nw, buf, RTM_GETLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	request(nw, nlh, message, NULL);
}

static void sweep_links(struct netwatch *nw)
{
	struct link *link, *next;
	unsigned int i;

	for (i = 0; i < 1U << LINK_BUCKET_BITS; i++) {
		for (link = LIST_FIRST(&nw->by_index[i]); link; link = next) {
			next = LIST_NEXT(link, by_index);
			if (link->generation != nw->generation)
				link_forget(nw, link);
		}
	}
}

static void sweep_addresses(struct netwatch *nw)
{
	struct address *a, *next;
	unsigned int i;

	for (i = 0; i < 1U << ADDRESS_BUCKET_BITS; i++) {
		for (a = LIST_FIRST(&nw->addresses_by_key[i]); a; a = next) {
			next = LIST_NEXT(a, by_key);
			if (a->generation != nw->generation)
				address_forget(nw, a);
		}
	}
}

static void sweep_neighbours(struct netwatch *nw)
{
	struct neighbour *n, *next;
	struct link *link;
	unsigned int i;

	for (i = 0; i < 1U << LINK_BUCKET_BITS; i++) {
		LIST_FOREACH(link, &nw->by_index[i], by_index) {
			for (n = LIST_FIRST(&link->neighbours); n; n = next) {
				next = LIST_NEXT(n, of_link);
				if (n->generation != nw->generation)
					neighbour_gone(nw, n);
			}
		}
	}
}

/* Reads everything.  -EINTR: done, but something changed meanwhile, so that it may
 * lack an entry; nothing is taken for deleted from such a list. */
static int dump(struct netwatch *nw)
{
	int links, addresses, neighbours;

	nw->generation++;
	links = dump_one(nw, RTM_GETLINK);
	if (links && links != -EINTR)
		return links;
	if (!links)
		sweep_links(nw);
	nw->addresses_cut = false;
	addresses = dump_one(nw, RTM_GETADDR);
	if (addresses && addresses != -EINTR)
		return addresses;
	if (!addresses)
		sweep_addresses(nw);
	neighbours = dump_one(nw, RTM_GETNEIGH);
	if (neighbours && neighbours != -EINTR)
		return neighbours;
	if (!neighbours)
		sweep_neighbours(nw);
	return links || addresses || neighbours ? -EINTR : 0;
}

static int dump_consistent(struct netwatch *nw)
{
	int err, tries = DUMP_TRIES;

	do
		err = dump(nw);
	while (err == -EINTR && --tries);
	nw->last_resync_ms = jpx_now_ms();
	return err;
}

static void resync_cb(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *nw = arg;
	bool empty;
	int err;

	(void)fd;
	(void)what;
	/* What is queued is older than what was lost: read after the dump it would
	 * put old states back. */
	empty = drain(nw->events, DRAIN_MAX);
	err = dump_consistent(nw);
	nw->lost = false;
	if (err)
		arm(nw->resync_timer, nw->last_resync_ms,
		    err == -EINTR ? RESYNC_SPACING_MS : RESYNC_RETRY_MS);
	else if (!empty)
		lost(nw);
	changed(nw);
}

static void change_cb(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *nw = arg;

	(void)fd;
	(void)what;
	nw->last_change_ms = jpx_now_ms();
	nw->on_change(nw->arg); /* may free NW */
}

static void readable_cb(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *nw = arg;
	const struct nlmsghdr *nlh;
	ssize_t got;
	int i, len;

	(void)fd;
	(void)what;
	for (i = 0; i < READS_PER_TURN; i++) {
		got = mnl_socket_recvfrom(nw->events, nw->buf, sizeof(nw->buf));
		if (got < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				return;
			lost(nw); /* ENOBUFS, or ENOSPC for one too long to read */
			continue;
		}
		if (nw->lost)
			continue;
		len = (int)got;
		for (nlh = (const struct nlmsghdr *)nw->buf; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len))
			message(nw, nlh, NULL);
	}
}

/* ---- making and ending ---- */

static int events_open(struct netwatch *nw)
{
	unsigned int groups =
		GROUP(RTNLGRP_LINK) | GROUP(RTNLGRP_NEIGH) | GROUP(RTNLGRP_IPV6_IFADDR) |
		GROUP(RTNLGRP_IPV6_ROUTE) | GROUP(RTNLGRP_IPV6_RULE) | GROUP(RTNLGRP_IPV4_IFADDR) |
		GROUP(RTNLGRP_IPV4_ROUTE) | GROUP(RTNLGRP_IPV4_RULE) | GROUP(RTNLGRP_NEXTHOP);
	int size = EVENT_RCVBUF, fd;

	nw->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nw->events)
		return -errno;
	fd = mnl_socket_get_fd(nw->events);
	/* The first passes the system's limit and needs CAP_NET_ADMIN; with neither
	 * there is still the resync. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mnl_socket_bind(nw->events, groups, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

/* A socket to send Neighbour Solicitations, that hears nothing. */
static int icmp_open(void)
{
	int hops = 255, off = 0, err; /* RFC 4861 4.3 */
	struct icmp6_filter none;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&none);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &none, sizeof(none)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof(off)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* A socket to send ARP requests: protocol 0 hears nothing. */
static int arp_open(void)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

struct netwatch *netwatch_new(struct event_base *base, void (*on_change)(void *arg), void *arg)
{
	struct netwatch *nw = calloc(1, sizeof(*nw));
	unsigned int i;
	int err;

	if (!nw)
		return NULL;
	nw->on_change = on_change;
	nw->arg = arg;
	nw->icmp = nw->arp = -EBADF;
	TAILQ_INIT(&nw->gone);
	if (getrandom(nw->seed, sizeof(nw->seed), 0) != sizeof(nw->seed)) {
		err = -EIO;
		goto fail;
	}
	for (i = 0; i < sizeof(nw->seed) / sizeof(nw->seed[0]); i++)
		nw->seed[i] |= 1;

	err = events_open(nw);
	if (err)
		goto fail;
	err = requests_open(nw);
	if (err)
		goto fail;
	/* Only netwatch_solicit() needs them, and says so. */
	nw->icmp = icmp_open();
	nw->arp = arp_open();

	err = -ENOMEM;
	nw->readable = event_new(base, mnl_socket_get_fd(nw->events), EV_READ | EV_PERSIST,
				 readable_cb, nw);
	nw->change_timer = evtimer_new(base, change_cb, nw);
	nw->resync_timer = evtimer_new(base, resync_cb, nw);
	if (!nw->readable || !nw->change_timer || !nw->resync_timer ||
	    event_add(nw->readable, NULL) < 0)
		goto fail;

	/* After the subscription: what changes from here on is in the dump, in an
	 * event, or in both. */
	err = dump_consistent(nw);
	if (err == -EINTR) {
		/* Links keep changing under the dump; take it and look again later. */
		arm(nw->resync_timer, nw->last_resync_ms, RESYNC_SPACING_MS);
		err = 0;
	}
	if (err)
		goto fail;
	evtimer_del(nw->change_timer); /* the first picture is no change */
	return nw;
fail:
	netwatch_free(nw);
	errno = -err;
	return NULL;
}

void netwatch_free(struct netwatch *nw)
{
	unsigned int i;

	if (!nw)
		return;
	for (i = 0; i < 1U << LINK_BUCKET_BITS; i++)
		while (!LIST_EMPTY(&nw->by_index[i]))
			link_forget(nw, LIST_FIRST(&nw->by_index[i]));
	if (nw->readable)
		event_free(nw->readable);
	if (nw->change_timer)
		event_free(nw->change_timer);
	if (nw->resync_timer)
		event_free(nw->resync_timer);
	if (nw->events)
		mnl_socket_close(nw->events);
	if (nw->requests)
		mnl_socket_close(nw->requests);
	if (nw->icmp >= 0)
		close(nw->icmp);
	if (nw->arp >= 0)
		close(nw->arp);
	free(nw);
}

/* ---- questions ---- */

const struct netwatch_link *netwatch_link_by_name(const struct netwatch *nw, const char *ifname)
{
	const struct link *link;

	LIST_FOREACH(link, name_bucket(nw, ifname), by_name) {
		if (!strcmp(link->pub.ifname, ifname))
			return &link->pub;
	}
	return NULL;
}

const struct netwatch_link *netwatch_link_by_index(const struct netwatch *nw, int ifindex)
{
	const struct link *link = link_find(nw, ifindex);

	return link ? &link->pub : NULL;
}

static bool has_address(const struct link *link)
{
	const struct address *a;

	LIST_FOREACH(a, &link->addresses, of_link) {
		if (!jpx_addr_is_link_local(&a->addr))
			return true;
	}
	return false;
}

void netwatch_each_link(const struct netwatch *nw,
			void (*on_link)(void *arg, const struct netwatch_link *link,
					bool has_address),
			void *arg)
{
	const struct link *link;

	for (size_t i = 0; i < sizeof(nw->by_index) / sizeof(*nw->by_index); i++)
		LIST_FOREACH(link, &nw->by_index[i], by_index)
			on_link(arg, &link->pub, has_address(link));
}

bool netwatch_is_local(const struct netwatch *nw, const struct in6_addr *addr)
{
	return address_find(nw, NULL, addr) != NULL;
}

struct route_answer {
	struct netwatch_route *route;
	int result;
};

/* A gateway as RTA_GATEWAY, of the route's FAMILY, or as RTA_VIA, of another; leaves
 * NEXT_HOP alone if there is neither. */
static int route_gateway(const struct nlattr *gateway, const struct nlattr *via, int family,
			 struct in6_addr *next_hop)
{
	struct {
		uint16_t family;
		uint8_t addr[sizeof(*next_hop)];
	} v;

	if (gateway)
		return attr_address(gateway, family, next_hop) ? 0 : -EBADMSG;
	if (!via)
		return 0;
	if (!attr_bytes(via, &v, sizeof(v)) || v.family != AF_INET6)
		return -EAFNOSUPPORT;
	memcpy(next_hop, v.addr, sizeof(*next_hop));
	return 0;
}

static int route_first_hop(const struct nlattr *multipath, int family, struct netwatch_route *route)
{
	const struct nlattr *tb[RTA_ENCAP + 1] = { 0 };
	struct attrs attrs = { tb, RTA_ENCAP };
	const struct rtnexthop *nh = mnl_attr_get_payload(multipath);
	uint16_t len = mnl_attr_get_payload_len(multipath);

	if (len < sizeof(*nh) || nh->rtnh_len < sizeof(*nh) || nh->rtnh_len > len)
		return -EBADMSG;
	mnl_attr_parse_payload((const char *)nh + sizeof(*nh), nh->rtnh_len - sizeof(*nh), attr_cb,
			       &attrs);
	if (tb[RTA_ENCAP])
		return -EOPNOTSUPP;
	route->ifindex = nh->rtnh_ifindex;
	return route_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], family, &route->next_hop);
}

static int route_parse(const struct netwatch *nw, const struct nlmsghdr *nlh,
		       struct netwatch_route *route)
{
	const struct nlattr *tb[RTA_ENCAP + 1], *metrics[RTAX_MTU + 1];
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct link *link;
	int err, family;
	uint32_t mtu;

	/* As yet the next hop is the destination. */
	if (nlh->nlmsg_type != RTM_NEWROUTE || !parse(nlh, sizeof(*rtm), tb, RTA_ENCAP) ||
	    rtm->rtm_family != family_of(&route->next_hop))
		return -EBADMSG;
	family = rtm->rtm_family;
	/* From no table: what is left of an IPv4 route when only the interface is given. */
	if (family == AF_INET && !attr_u32(tb[RTA_TABLE], rtm->rtm_table) &&
	    !jpx_addr_is_link_local(&route->next_hop))
		return -ENETUNREACH;
	switch (rtm->rtm_type) {
	case RTN_LOCAL:
	case RTN_ANYCAST: /* an anycast address that this host holds */
		route->local = true;
		break;
	case RTN_UNICAST:
	case RTN_MULTICAST:
		break;
	default:
		return -ENETUNREACH;
	}
	/* A tunnel header that only the kernel's own output path would put on. */
	if (tb[RTA_ENCAP])
		return -EOPNOTSUPP;
	route->ifindex = (int)attr_u32(tb[RTA_OIF], 0);
	err = route_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], family, &route->next_hop);
	if (!err && !route->ifindex && tb[RTA_MULTIPATH])
		err = route_first_hop(tb[RTA_MULTIPATH], family, route);
	if (err)
		return err;
	attr_address(tb[RTA_PREFSRC], family, &route->source);

	link = link_find(nw, route->ifindex);
	if (!link)
		return -ENODEV; /* new or gone; an event is on its way */
	if (link->pub.arphrd == ARPHRD_LOOPBACK)
		route->local = true;
	parse_nested(tb[RTA_METRICS], metrics, RTAX_MTU);
	mtu = attr_u32(metrics[RTAX_MTU], 0);
	route->mtu = mtu && mtu < link->pub.mtu ? mtu : link->pub.mtu;
	return 0;
}

static void route_reply(struct netwatch *nw, const struct nlmsghdr *nlh, void *arg)
{
	struct route_answer *answer = arg;

	answer->result = route_parse(nw, nlh, answer->route);
}

int netwatch_route(struct netwatch *nw, const struct in6_addr *dst, int oif,
		   struct netwatch_route *route)
{
	char buf[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request_begin(nw, buf, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct route_answer answer = { route, -ENETUNREACH };
	int err;

	memset(route, 0, sizeof(*route));
	route->next_hop = *dst;
	rtm->rtm_family = family_of(dst);
	rtm->rtm_dst_len = 128;
	if (rtm->rtm_family == AF_INET) {
		rtm->rtm_dst_len = 32;
		rtm->rtm_flags = RTM_F_LOOKUP_TABLE; /* route_parse() looks at it */
	}
	put_address(nlh, RTA_DST, dst);
	if (oif)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)oif);
	err = request(nw, nlh, route_reply, &answer);
	switch (err) {
	case 0:
		err = answer.result;
		break;
	case -EINVAL:	    /* a blackhole route */
	case -EACCES:	    /* prohibit */
	case -EAGAIN:	    /* throw, and no rule after it */
	case -EHOSTUNREACH: /* unreachable, as older kernels have it */
		err = -ENETUNREACH;
		break;
	}
	if (err)
		memset(route, 0, sizeof(*route));
	return err;
}

int netwatch_neighbour(const struct netwatch *nw, int ifindex, const struct in6_addr *addr,
		       uint8_t mac[6])
{
	const struct neighbour *n = neighbour_find(nw, ifindex, addr);

	if (!n)
		return -ENOENT;
	memcpy(mac, n->mac, sizeof(n->mac));
	return 0;
}

static struct nlmsghdr *neighbour_request(struct netwatch *nw, char *buf, uint16_t type,
					  uint16_t flags, int ifindex, const struct in6_addr *addr,
					  uint8_t ntf)
{
	struct nlmsghdr *nlh = request_begin(nw, buf, type, flags);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = family_of(addr);
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = ntf;
	put_address(nlh, NDA_DST, addr);
	return nlh;
}

void netwatch_resolve(struct netwatch *nw, int ifindex, const struct in6_addr *addr)
{
	char buf[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh;

	if (!nw->requests && requests_open(nw) < 0)
		return;
	nlh = neighbour_request(nw, buf, RTM_NEWNEIGH, NLM_F_CREATE, ifindex, addr, NTF_USE);
	/* Asks for no answer; a refusal lands in the queue and is thrown away. */
	(void)sendto(mnl_socket_get_fd(nw->requests), nlh, nlh->nlmsg_len, MSG_DONTWAIT, NULL, 0);
	drain(nw->requests, READS_PER_TURN);
}

struct neighbour_answer {
	int ifindex;
	const struct in6_addr *addr;
	uint8_t *mac;
	int result;
};

static void neighbour_reply(struct netwatch *nw, const struct nlmsghdr *nlh, void *arg)
{
	struct neighbour_answer *answer = arg;
	struct in6_addr addr;
	uint16_t state;
	uint8_t mac[6];
	int ifindex;

	(void)nw;
	if (nlh->nlmsg_type != RTM_NEWNEIGH ||
	    !neighbour_parse(nlh, &ifindex, &addr, &state, mac) || !(state & NUD_USABLE) ||
	    ifindex != answer->ifindex || memcmp(&addr, answer->addr, sizeof(addr)))
		return;
	memcpy(answer->mac, mac, sizeof(mac));
	answer->result = 0;
}

int netwatch_ask_neighbour(struct netwatch *nw, int ifindex, const struct in6_addr *addr,
			   uint8_t mac[6])
{
	struct neighbour_answer answer = { ifindex, addr, mac, -ENOENT };
	char buf[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = neighbour_request(nw, buf, RTM_GETNEIGH, 0, ifindex, addr, 0);

	if (request(nw, nlh, neighbour_reply, &answer) < 0)
		return -ENOENT;
	return answer.result;
}

static const uint8_t no_mac[6];

static int send_neighbour_solicitation(const struct netwatch *nw, const struct link *link,
				       const struct in6_addr *source, const struct in6_addr *addr)
{
	struct {
		struct nd_neighbor_solicit ns;
		struct nd_opt_hdr opt;
		uint8_t mac[6];
	} __attribute__((packed)) ns = {
		.ns = { .nd_ns_hdr.icmp6_type = ND_NEIGHBOR_SOLICIT, .nd_ns_target = *addr },
		.opt = { .nd_opt_type = ND_OPT_SOURCE_LINKADDR, .nd_opt_len = 1 },
	};
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6,
		.sin6_addr.s6_addr = { 0xff, 0x02, [11] = 0x01, 0xff },
		.sin6_scope_id = (uint32_t)link->pub.ifindex,
	};
	struct in6_pktinfo info = { .ipi6_addr = *source,
				    .ipi6_ifindex = (unsigned int)link->pub.ifindex };
	union {
		char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = &ns, .iov_len = sizeof(ns) };
	struct msghdr msg = {
		.msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (nw->icmp < 0)
		return nw->icmp;
	if (memcmp(link->pub.mac, no_mac, sizeof(no_mac)))
		memcpy(ns.mac, link->pub.mac, sizeof(ns.mac));
	else
		iov.iov_len = sizeof(ns.ns);
	memcpy(&to.sin6_addr.s6_addr[13], &addr->s6_addr[13], 3);
	cmsg->cmsg_level = IPPROTO_IPV6;
	cmsg->cmsg_type = IPV6_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	return sendmsg(nw->icmp, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send_arp_request(const struct netwatch *nw, const struct link *link,
			    const struct in6_addr *source, const struct in6_addr *addr)
{
	struct {
		struct arphdr head;
		uint8_t sender_mac[6], sender[4], target_mac[6], target[4];
	} __attribute__((packed)) request = {
		.head = { .ar_hrd = htons(ARPHRD_ETHER),
			  .ar_pro = htons(ETH_P_IP),
			  .ar_hln = 6,
			  .ar_pln = 4,
			  .ar_op = htons(ARPOP_REQUEST) },
	};
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = link->pub.ifindex,
		.sll_halen = 6,
		.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};

	if (nw->arp < 0)
		return nw->arp;
	if (link->pub.arphrd != ARPHRD_ETHER || !memcmp(link->pub.mac, no_mac, sizeof(no_mac)))
		return -EOPNOTSUPP;
	/* Nothing behind a packet socket looks at it: a stranger's address here would
	 * take that stranger's traffic. */
	if (!netwatch_is_local(nw, source))
		return -EADDRNOTAVAIL;
	memcpy(request.sender_mac, link->pub.mac, sizeof(request.sender_mac));
	memcpy(request.sender, &source->s6_addr[12], sizeof(request.sender));
	memcpy(request.target, &addr->s6_addr[12], sizeof(request.target));
	return sendto(nw->arp, &request, sizeof(request), MSG_DONTWAIT, (struct sockaddr *)&to,
		      sizeof(to)) < 0
		       ? -errno
		       : 0;
}

int netwatch_solicit(struct netwatch *nw, int ifindex, const struct in6_addr *source,
		     const struct in6_addr *addr)
{
	const struct link *link = link_find(nw, ifindex);

	if (!link)
		return -ENODEV;
	/* From :: it would be a probe for duplicates, and the answer would go to all. */
	if (family_of(source) != family_of(addr) || !jpx_addr_is_host(source) ||
	    !jpx_addr_is_host(addr))
		return -EINVAL;
	return family_of(addr) == AF_INET ? send_arp_request(nw, link, source, addr)
					  : send_neighbour_solicitation(nw, link, source, addr);
}
