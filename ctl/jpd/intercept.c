/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See intercept.h.  What is in the kernel, as ip-rule(8) would show it:
 *
 *   568: from fe80::/10 to ADDR iif IF ipproto udp dport PORT lookup 5684
 *   569: from all ipproto udp dport 1-65534 goto 571
 *   570: from fe80::/10 to ADDR iif IF ipproto udp lookup 5684
 *   571: from all nop
 *   table 5684: local ADDR dev lo
 *
 * The kernel looks for a route before it puts fragments together, and to rules their
 * port is 0, which no rule can ask for.  So rule 570 takes what has no port, and rule
 * 569 keeps from it what has one.  IPv4 is the same, from 169.254.0.0/16.
 *
 * "iif" leaves alone what this host itself sends to the Registrar; "from" what the
 * gateway routes for devices that have joined.
 *
 * Must never delete what it did not recognise as its own, and keeps no picture of the
 * kernel's state: each look is a new one.
 */
#include "intercept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <libmnl/libmnl.h>

#include "log.h"
#include "udp_socket.h"

#define LOOPBACK_IFINDEX 1     /* in every network namespace */
#define LAST_PORT	 65534 /* the kernel takes no range that ends at 65535 */

#define LOOK_AGAIN_S	10
#define REQUEST_WAIT_MS 500
#define DUMP_TRIES	3

#define MESSAGE_MAX 256	  /* of one rule or route as we build it */
#define READ_MAX    32768 /* the longest datagram that the kernel makes of a dump */

/* In the order in which they are put there, and the reverse is that in which they go: so
 * that never is more taken than wanted. */
enum kind { KIND_ROUTE, KIND_END, KIND_SKIP, KIND_FRAGMENT, KIND_PORT };

static const uint32_t priorities[] = {
	[KIND_PORT] = JPX_INTERCEPT_PRIORITY,
	[KIND_SKIP] = JPX_INTERCEPT_PRIORITY + 1,
	[KIND_FRAGMENT] = JPX_INTERCEPT_PRIORITY + 2,
	[KIND_END] = JPX_INTERCEPT_PRIORITY + 3,
};

/* A rule or a route of ours.  Compared as bytes: no padding, and zero where it has no
 * meaning for its kind. */
struct object {
	uint8_t kind;
	uint8_t family;
	uint16_t port;
	struct in6_addr addr;
	char ifname[IFNAMSIZ];
};

/* One that is in the kernel: what it would be, if it is one of those above at all, and
 * the kernel's own message about it, by which it can be deleted whatever it is. */
struct found {
	struct object object;
	bool exact;
	struct nlmsghdr *message;
};

struct objects {
	struct object *list; /* sorted, each once */
	size_t count;
};

struct intercept {
	struct event *timer;
	struct objects wanted;
	bool nonsense; /* there were wants that cannot be */
	bool looked;   /* the kernel was brought to agree with wanted */
	int failure;   /* of the last look: 0 or a negative errno */
	char error[256];
};

/* One look at the kernel, with a socket of its own: what is left of an answer that was
 * given up can never be taken for another's. */
struct look {
	struct intercept *in;
	struct mnl_socket *nl;
	uint32_t seq;
	struct found *found;
	size_t found_count, found_room;
	bool out_of_memory;
	bool silent; /* the kernel did not answer in time */
	int failure;
	char error[256];
	char buf[READ_MAX] __attribute__((aligned(8)));
};

/* ---- what is wanted ----------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct object));
}

static void put(struct objects *objects, enum kind kind, int family, const struct in6_addr *addr,
		const char *ifname, uint16_t port)
{
	struct object *o = &objects->list[objects->count++];

	memset(o, 0, sizeof(*o));
	o->kind = (uint8_t)kind;
	o->family = (uint8_t)family;
	o->port = port;
	if (addr)
		o->addr = *addr;
	if (ifname)
		memcpy(o->ifname, ifname, strnlen(ifname, sizeof(o->ifname) - 1));
}

/* An address that a router would have to do with. */
static bool is_global(const struct in6_addr *a)
{
	uint32_t v4 = ntohl(a->s6_addr32[3]);

	if (IN6_IS_ADDR_V4MAPPED(a))
		return v4 >> 24 != 0 && v4 >> 24 != IN_LOOPBACKNET && v4 >> 16 != 0xa9fe &&
		       v4 >> 28 < 0xe;
	return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LOOPBACK(a) &&
	       !IN6_IS_ADDR_LINKLOCAL(a) && !IN6_IS_ADDR_MULTICAST(a);
}

static bool sensible(const struct intercept_want *want)
{
	return want->ifname[0] && memchr(want->ifname, 0, sizeof(want->ifname)) && want->port &&
	       is_global(&want->registrar);
}

static void sort(struct objects *objects)
{
	size_t kept = 0;

	if (objects->count)
		qsort(objects->list, objects->count, sizeof(*objects->list), compare);
	for (size_t i = 0; i < objects->count; i++)
		if (!kept || compare(&objects->list[i], &objects->list[kept - 1]))
			objects->list[kept++] = objects->list[i];
	objects->count = kept;
}

/* False without memory. */
static bool all_wanted(struct objects *out, const struct intercept_want *wants, size_t count)
{
	*out = (struct objects){ calloc(count + 1, 5 * sizeof(*out->list)), 0 };
	if (!out->list)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct intercept_want *w = &wants[i];
		int family = IN6_IS_ADDR_V4MAPPED(&w->registrar) ? AF_INET : AF_INET6;

		if (!sensible(w))
			continue;
		put(out, KIND_ROUTE, family, &w->registrar, NULL, 0);
		put(out, KIND_END, family, NULL, NULL, 0);
		put(out, KIND_SKIP, family, NULL, NULL, 0);
		put(out, KIND_FRAGMENT, family, &w->registrar, w->ifname, 0);
		/* What rule 569 cannot name, rule 570 takes anyway. */
		if (w->port <= LAST_PORT)
			put(out, KIND_PORT, family, &w->registrar, w->ifname, w->port);
	}
	sort(out);
	return true;
}

/* ---- objects and messages ----------------------------------------------- */

/* The bytes of an address as they are on the wire, and how many. */
static const void *wire_addr(const struct object *o, size_t *len)
{
	*len = o->family == AF_INET ? 4 : 16;
	return &o->addr.s6_addr[16 - *len];
}

static void build_route(struct nlmsghdr *nlh, const struct object *o)
{
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	const void *addr;
	size_t len;

	addr = wire_addr(o, &len);
	rtm->rtm_family = o->family;
	rtm->rtm_dst_len = (unsigned char)(len * 8);
	rtm->rtm_protocol = JPX_INTERCEPT_PROTOCOL;
	rtm->rtm_scope = RT_SCOPE_HOST;
	rtm->rtm_type = RTN_LOCAL;
	mnl_attr_put(nlh, RTA_DST, len, addr);
	mnl_attr_put_u32(nlh, RTA_OIF, LOOPBACK_IFINDEX);
	mnl_attr_put_u32(nlh, RTA_TABLE, JPX_INTERCEPT_TABLE);
}

/* From link-local sources over IF to ADDR: into our table. */
static void build_lookup(struct nlmsghdr *nlh, struct fib_rule_hdr *frh, const struct object *o)
{
	static const uint8_t link_local6[16] = { 0xfe, 0x80 }, link_local4[4] = { 169, 254 };
	const void *addr;
	size_t len;

	addr = wire_addr(o, &len);
	frh->action = FR_ACT_TO_TBL;
	frh->dst_len = (uint8_t)(len * 8);
	frh->src_len = o->family == AF_INET ? 16 : 10;
	mnl_attr_put(nlh, FRA_DST, len, addr);
	mnl_attr_put(nlh, FRA_SRC, len, o->family == AF_INET ? link_local4 : link_local6);
	mnl_attr_put_strz(nlh, FRA_IIFNAME, o->ifname);
	mnl_attr_put_u32(nlh, FRA_TABLE, JPX_INTERCEPT_TABLE);
	mnl_attr_put_u8(nlh, FRA_IP_PROTO, IPPROTO_UDP);
}

static void build_rule(struct nlmsghdr *nlh, const struct object *o)
{
	struct fib_rule_hdr *frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));
	struct fib_rule_port_range ports = { o->port, o->port };

	frh->family = o->family;
	mnl_attr_put_u32(nlh, FRA_PRIORITY, priorities[o->kind]);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, JPX_INTERCEPT_PROTOCOL);
	switch (o->kind) {
	case KIND_PORT:
		mnl_attr_put(nlh, FRA_DPORT_RANGE, sizeof(ports), &ports);
		/* fall through */
	case KIND_FRAGMENT:
		build_lookup(nlh, frh, o);
		break;
	case KIND_SKIP:
		ports = (struct fib_rule_port_range){ 1, LAST_PORT };
		frh->action = FR_ACT_GOTO;
		mnl_attr_put_u32(nlh, FRA_GOTO, priorities[KIND_END]);
		mnl_attr_put_u8(nlh, FRA_IP_PROTO, IPPROTO_UDP);
		mnl_attr_put(nlh, FRA_DPORT_RANGE, sizeof(ports), &ports);
		break;
	default:
		frh->action = FR_ACT_NOP;
	}
}

/* The request to make O, in BUF of MESSAGE_MAX bytes. */
static struct nlmsghdr *build(char *buf, const struct object *o)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = o->kind == KIND_ROUTE ? RTM_NEWROUTE : RTM_NEWRULE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	if (o->kind == KIND_ROUTE)
		build_route(nlh, o);
	else
		build_rule(nlh, o);
	return nlh;
}

/* Both kinds of message have a header of this size in front of their attributes. */
_Static_assert(sizeof(struct rtmsg) == sizeof(struct fib_rule_hdr), "one header size");
#define HEADER sizeof(struct rtmsg)

static const struct nlattr *attr_of(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, HEADER)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

/* Copies the attribute's LEN bytes; false, and OUT as it was, if there are not as many. */
static bool attr_bytes(const struct nlmsghdr *nlh, uint16_t type, void *out, size_t len)
{
	const struct nlattr *attr = attr_of(nlh, type);

	if (!attr || mnl_attr_get_payload_len(attr) != len)
		return false;
	memcpy(out, mnl_attr_get_payload(attr), len);
	return true;
}

/* Does the kernel's message SEEN say all that our request ASKED does? */
static bool says(const struct nlmsghdr *seen, const struct nlmsghdr *asked)
{
	const struct nlattr *a, *s;

	mnl_attr_for_each(a, asked, HEADER)
	{
		s = attr_of(seen, mnl_attr_get_type(a));
		if (!s || s->nla_len != a->nla_len ||
		    memcmp(mnl_attr_get_payload(s), mnl_attr_get_payload(a),
			   mnl_attr_get_payload_len(a)))
			return false;
	}
	return true;
}

static bool exact_rule(const struct nlmsghdr *seen, const struct nlmsghdr *asked)
{
	const struct fib_rule_hdr *s = mnl_nlmsg_get_payload(seen);
	const struct fib_rule_hdr *a = mnl_nlmsg_get_payload(asked);

	return s->action == a->action && s->src_len == a->src_len && s->dst_len == a->dst_len &&
	       !s->tos && !(s->flags & FIB_RULE_INVERT) && says(seen, asked);
}

static bool exact_route(const struct nlmsghdr *seen, const struct nlmsghdr *asked)
{
	const struct rtmsg *s = mnl_nlmsg_get_payload(seen), *a = mnl_nlmsg_get_payload(asked);

	return s->rtm_type == a->rtm_type && s->rtm_dst_len == a->rtm_dst_len && !s->rtm_src_len &&
	       !s->rtm_tos && says(seen, asked);
}

static void read_addr(const struct nlmsghdr *nlh, uint16_t type, struct object *o)
{
	struct in_addr v4;

	if (o->family == AF_INET6) {
		attr_bytes(nlh, type, &o->addr, sizeof(o->addr));
	} else if (attr_bytes(nlh, type, &v4, sizeof(v4))) {
		o->addr.s6_addr16[5] = 0xffff;
		o->addr.s6_addr32[3] = v4.s_addr;
	}
}

/* What the kernel says of a rule, as an object; false if the rule is not ours. */
static bool read_rule(const struct nlmsghdr *nlh, struct object *o)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	struct fib_rule_port_range ports = { 0 };
	const struct nlattr *ifname = attr_of(nlh, FRA_IIFNAME);
	uint32_t priority = 0, table = frh->table;
	uint8_t protocol = 0, kind;

	attr_bytes(nlh, FRA_PROTOCOL, &protocol, sizeof(protocol));
	attr_bytes(nlh, FRA_PRIORITY, &priority, sizeof(priority));
	attr_bytes(nlh, FRA_TABLE, &table, sizeof(table));
	for (kind = KIND_END; kind < KIND_PORT && priorities[kind] != priority;)
		kind++;
	if (protocol != JPX_INTERCEPT_PROTOCOL)
		return false;
	/* These two have no table. */
	if (!(kind == KIND_SKIP && frh->action == FR_ACT_GOTO) &&
	    !(kind == KIND_END && frh->action == FR_ACT_NOP) && table != JPX_INTERCEPT_TABLE)
		return false;
	o->kind = kind;
	if (kind < KIND_FRAGMENT)
		return true;
	read_addr(nlh, FRA_DST, o);
	if (ifname && mnl_attr_get_payload_len(ifname) <= sizeof(o->ifname))
		memcpy(o->ifname, mnl_attr_get_payload(ifname), mnl_attr_get_payload_len(ifname));
	if (kind == KIND_PORT && attr_bytes(nlh, FRA_DPORT_RANGE, &ports, sizeof(ports)))
		o->port = ports.start;
	return true;
}

static bool read_route(const struct nlmsghdr *nlh, struct object *o)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	uint32_t table = rtm->rtm_table;

	attr_bytes(nlh, RTA_TABLE, &table, sizeof(table));
	if (table != JPX_INTERCEPT_TABLE || rtm->rtm_protocol != JPX_INTERCEPT_PROTOCOL ||
	    rtm->rtm_flags & RTM_F_CLONED)
		return false;
	o->kind = KIND_ROUTE;
	read_addr(nlh, RTA_DST, o);
	return true;
}

/* ---- asking the kernel -------------------------------------------------- */

static void failed(struct look *look, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Keeps the first: what follows is mostly its consequence. */
static void failed(struct look *look, int err, const char *fmt, ...)
{
	va_list ap;

	if (look->failure)
		return;
	look->failure = err;
	va_start(ap, fmt);
	vsnprintf(look->error, sizeof(look->error), fmt, ap);
	va_end(ap);
}

/* 0 or a negative errno.  The kernel answers within the send; the limit is for the day it
 * does not. */
static int ask(struct look *look, struct nlmsghdr *nlh, mnl_cb_t fn)
{
	unsigned int portid = mnl_socket_get_portid(look->nl);
	ssize_t len;
	int status;

	if (look->silent)
		return -ETIMEDOUT;
	nlh->nlmsg_seq = ++look->seq;
	if (mnl_socket_sendto(look->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		do
			len = mnl_socket_recvfrom(look->nl, look->buf, sizeof(look->buf));
		while (len < 0 && errno == EINTR);
		if (len < 0) {
			look->silent = errno == EAGAIN;
			return look->silent ? -ETIMEDOUT : -errno;
		}
		status = mnl_cb_run(look->buf, (size_t)len, look->seq, portid, fn, look);
	} while (status == MNL_CB_OK);
	return status < 0 ? -errno : 0;
}

static int open_netlink(struct look *look)
{
	struct timeval wait = { .tv_usec = REQUEST_WAIT_MS * 1000 };
	int on = 1, fd;

	look->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!look->nl)
		return -errno;
	fd = mnl_socket_get_fd(look->nl);
	/* Strict: else a dump of one table is a dump of all, and some gateways have a
	 * million routes. */
	if (mnl_socket_bind(look->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(look->nl, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return -errno;
	return 0;
}

static int seen_cb(const struct nlmsghdr *nlh, void *arg)
{
	char buf[MESSAGE_MAX] __attribute__((aligned(8)));
	struct look *look = arg;
	struct found found = { 0 };
	size_t room = look->found_room ? look->found_room * 2 : 16;
	bool rule = nlh->nlmsg_type == RTM_NEWRULE;
	void *list;

	if ((!rule && nlh->nlmsg_type != RTM_NEWROUTE) || mnl_nlmsg_get_payload_len(nlh) < HEADER)
		return MNL_CB_OK;
	/* The family is the first byte of both headers. */
	found.object.family = *(const uint8_t *)mnl_nlmsg_get_payload(nlh);
	if (!(rule ? read_rule : read_route)(nlh, &found.object))
		return MNL_CB_OK;
	found.exact = (rule ? exact_rule : exact_route)(nlh, build(buf, &found.object));
	if (look->found_count == look->found_room) {
		list = reallocarray(look->found, room, sizeof(*look->found));
		if (!list)
			goto out_of_memory;
		look->found = list;
		look->found_room = room;
	}
	found.message = malloc(nlh->nlmsg_len);
	if (!found.message)
		goto out_of_memory;
	memcpy(found.message, nlh, nlh->nlmsg_len);
	look->found[look->found_count++] = found;
	return MNL_CB_OK;
out_of_memory:
	look->out_of_memory = true;
	return MNL_CB_OK; /* the dump is read to its end all the same */
}

static void forget(struct look *look, size_t from)
{
	while (look->found_count > from)
		free(look->found[--look->found_count].message);
}

static int dump(struct look *look, uint16_t type, int family)
{
	char buf[MESSAGE_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;
	size_t before = look->found_count;
	int err, tries = DUMP_TRIES;

	do {
		forget(look, before);
		nlh = mnl_nlmsg_put_header(buf);
		nlh->nlmsg_type = type;
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		rtm = mnl_nlmsg_put_extra_header(nlh, HEADER);
		rtm->rtm_family = (unsigned char)family;
		if (type == RTM_GETROUTE) {
			rtm->rtm_protocol = JPX_INTERCEPT_PROTOCOL;
			mnl_attr_put_u32(nlh, RTA_TABLE, JPX_INTERCEPT_TABLE);
		}
		err = ask(look, nlh, seen_cb);
	} while (err == -EINTR && --tries); /* not of one moment */
	if (look->out_of_memory)
		return -ENOMEM;
	/* No such table, or no rules in this kernel: nothing of ours, either. */
	return err == -ENOENT || err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

static int dump_all(struct look *look)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int err = 0;

	forget(look, 0);
	for (unsigned int i = 0; i < 2 && !err; i++) {
		err = dump(look, RTM_GETRULE, families[i]);
		if (!err)
			err = dump(look, RTM_GETROUTE, families[i]);
	}
	if (look->found_count)
		qsort(look->found, look->found_count, sizeof(*look->found), compare);
	return err;
}

/* ---- making it so ------------------------------------------------------- */

static const char *advice(const struct object *o, int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "jpd must have CAP_NET_ADMIN";
	case -ENETDOWN:
	case -ENODEV:
	case -EINVAL:
		if (o->kind == KIND_ROUTE)
			return "is the loopback interface up? ip link set lo up";
		break;
	case -EEXIST:
		if (o->kind == KIND_ROUTE)
			return "table 5684, which is jpd's, has another route to it";
		break;
	case -EAFNOSUPPORT:
	case -EOPNOTSUPP:
		return "this kernel lacks the address family, or routing rules for it";
	}
	return strerror(-err);
}

static void add(struct look *look, const struct object *o)
{
	char buf[MESSAGE_MAX] __attribute__((aligned(8))), text[INET6_ADDRSTRLEN];
	int err = ask(look, build(buf, o), NULL);
	const void *addr;
	size_t len;

	if (!err)
		return;
	addr = wire_addr(o, &len);
	if (o->kind == KIND_END || o->kind == KIND_SKIP)
		failed(look, err, "cannot make rules for what pledges send to a Registrar: %s",
		       advice(o, err));
	else
		failed(look, err, "cannot have what pledges send to %s delivered here: %s",
		       inet_ntop(o->family, addr, text, sizeof(text)), advice(o, err));
}

static void take_away(struct look *look, const struct found *found)
{
	struct nlmsghdr *nlh = found->message;
	int err;

	nlh->nlmsg_type = nlh->nlmsg_type == RTM_NEWRULE ? RTM_DELRULE : RTM_DELROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_pid = 0;
	err = ask(look, nlh, NULL);
	if (err && err != -ENOENT && err != -ESRCH)
		failed(look, err, "cannot delete an old rule or route (ip rule, table 5684): %s",
		       advice(&found->object, err));
}

/*
 * What an older version made may say less than ours do, and the kernel deletes the first
 * rule that a request is true of: so it goes before anything else is looked at.
 */
static int delete_inexact(struct look *look)
{
	bool any = false;

	for (size_t i = look->found_count; i--;)
		if (!look->found[i].exact) {
			take_away(look, &look->found[i]);
			any = true;
		}
	return any ? dump_all(look) : 0;
}

static const struct found *find(const struct look *look, const struct object *o)
{
	const struct found *f = look->found_count ? bsearch(o, look->found, look->found_count,
							    sizeof(*look->found), compare)
						  : NULL;

	/* Of several alike any may be the one that is right. */
	while (f && f > look->found && !compare(f - 1, o))
		f--;
	for (; f && f < look->found + look->found_count && !compare(f, o); f++)
		if (f->exact)
			return f;
	return NULL;
}

static bool is_wanted(const struct intercept *in, const struct object *o)
{
	return in->wanted.count &&
	       bsearch(o, in->wanted.list, in->wanted.count, sizeof(*in->wanted.list), compare);
}

/* Returns how many were missing. */
static unsigned int make_it_so(struct look *look)
{
	const struct intercept *in = look->in;
	const struct found *f;
	unsigned int missing = 0;

	for (size_t i = 0; i < in->wanted.count; i++)
		if (!find(look, &in->wanted.list[i])) {
			add(look, &in->wanted.list[i]);
			missing++;
		}
	for (size_t i = look->found_count; i--;) {
		f = &look->found[i];
		if (!is_wanted(in, &f->object) || find(look, &f->object) != f)
			take_away(look, f);
	}
	return missing;
}

/* FAILURE and TEXT are of a look at the kernel.  Logs what is new. */
static void conclude(struct intercept *in, int failure, const char *text)
{
	in->failure = failure;
	if (!failure)
		text = in->nonsense ? "what pledges send can be taken only on a named interface, "
				      "to a UDP port of a Registrar's global address"
				    : "";
	if (*text && strcmp(text, in->error))
		jpx_warning("%s", text);
	snprintf(in->error, sizeof(in->error), "%s", text);
}

/* Brings the kernel to agree with in->wanted.  Returns how many objects were missing. */
static unsigned int look_at_kernel(struct intercept *in)
{
	struct look *look = calloc(1, sizeof(*look));
	unsigned int missing = 0;
	int err;

	if (!look) {
		conclude(in, -ENOMEM, strerror(ENOMEM));
		return 0;
	}
	look->in = in;
	err = open_netlink(look);
	if (!err)
		err = dump_all(look);
	if (!err)
		err = delete_inexact(look);
	if (err)
		failed(look, err, "cannot see the kernel's routing rules: %s", strerror(-err));
	else
		missing = make_it_so(look);

	in->looked = true;
	conclude(in, look->failure, look->error);
	forget(look, 0);
	free(look->found);
	if (look->nl)
		mnl_socket_close(look->nl);
	free(look);
	return missing;
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct intercept *in = arg;
	int before = in->failure;
	unsigned int missing = look_at_kernel(in);

	(void)fd;
	(void)what;
	if (missing && !in->failure && !before)
		jpx_info("rules for what pledges send to a Registrar had been deleted; they are "
			 "there again");
}

/* ---- what the proxy calls ----------------------------------------------- */

struct intercept *intercept_new(struct event_base *base)
{
	struct intercept *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->timer = event_new(base, -1, EV_PERSIST, timer_cb, in);
	if (!in->timer) {
		free(in);
		errno = ENOMEM;
		return NULL;
	}
	return in;
}

int intercept_sync(struct intercept *in, const struct intercept_want *wants, size_t count)
{
	static const struct timeval again = { LOOK_AGAIN_S, 0 };
	struct objects wanted;
	bool same;

	if (!all_wanted(&wanted, wants, count))
		return -ENOMEM;
	same = in->looked && wanted.count == in->wanted.count &&
	       (!wanted.count ||
		!memcmp(wanted.list, in->wanted.list, wanted.count * sizeof(*wanted.list)));
	free(in->wanted.list);
	in->wanted = wanted;
	in->nonsense = false;
	for (size_t i = 0; i < count; i++)
		in->nonsense |= !sensible(&wants[i]);
	if (!same || in->failure)
		look_at_kernel(in);
	else
		conclude(in, 0, "");
	if (!wanted.count)
		event_del(in->timer);
	else if (!evtimer_pending(in->timer, NULL))
		event_add(in->timer, &again);
	return in->failure ? in->failure : in->nonsense ? -EINVAL : 0;
}

const char *intercept_error(const struct intercept *in)
{
	return in->error;
}

void intercept_free(struct intercept *in, bool keep)
{
	if (!in)
		return;
	if (!keep)
		intercept_sync(in, NULL, 0);
	event_free(in->timer);
	free(in->wanted.list);
	free(in);
}

int intercept_socket(const struct in6_addr *registrar, uint16_t port, const char *ifname)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6,
				      .sin6_port = htons(port),
				      .sin6_addr = *registrar };
	int fd = udp_socket_open(&local, ifname, UDP_SOCKET_TRANSPARENT);

	return fd < 0 ? -errno : fd;
}
