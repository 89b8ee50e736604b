/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See dns.h. */
#include "dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <jpx/abi.h>

#include "addr.h"
#include "pledge_links.h"

#define RESOLV_CONF "/etc/resolv.conf"
/* A server that says nothing is asked again after 2 and after 4 s, and given up after 8 more. */
#define TIMEOUT_MS 2000
#define TRIES	   3

struct watch {
	LIST_ENTRY(watch) entry;
	ares_socket_t fd;
	struct event *event;
};

struct dns {
	struct event_base *base;
	struct event *timer;
	ares_channel channel; /* NULL: not configured */
	LIST_HEAD(, watch) watches;
	struct timespec changed; /* when resolv.conf was, as last read */
	ino_t inode;
	off_t size;
	bool read_once;
	struct pledge_links distrusted;
};

struct question {
	void (*done)(void *arg, enum dns_result result, const unsigned char *answer, int len);
	void *arg;
};

/* ---- c-ares' sockets, which are ours to open and to read ---- */

/* The answers' interface is asked for: see receive(). */
static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), on = 1, err;

	(void)arg;
	if (fd < 0)
		return ARES_SOCKET_BAD;
	if (type == SOCK_STREAM) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		return fd;
	}
	err = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
				 : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (err) {
		close(fd);
		return ARES_SOCKET_BAD;
	}
	return fd;
}

static int close_socket(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t len,
			  void *arg)
{
	(void)arg;
	return connect(fd, to, len);
}

static ares_ssize_t send_socket(ares_socket_t fd, const struct iovec *iov, int count, void *arg)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			      .msg_iovlen = (size_t)count };

	(void)arg;
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static unsigned int arrived_on(struct msghdr *msg)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info4;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(info6))) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			return info6.ipi6_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(info4))) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			return (unsigned int)info4.ipi_ifindex;
		}
	}
	return 0;
}

/* A host on a pledge port could send as if it were the server: nothing heard there is believed. */
static ares_ssize_t receive(ares_socket_t fd, void *buf, size_t len, int flags,
			    struct sockaddr *from, ares_socklen_t *from_len, void *arg)
{
	union {
		struct cmsghdr align;
		unsigned char space[128];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = {
		.msg_name = from,
		.msg_namelen = from_len ? *from_len : 0,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct dns *dns = arg;
	ssize_t got = recvmsg(fd, &msg, flags);
	unsigned int ifindex;

	if (got < 0)
		return -1;
	ifindex = arrived_on(&msg);
	if (pledge_links_has(&dns->distrusted, ifindex)) {
		errno = EAGAIN;
		return -1;
	}
	if (from_len)
		*from_len = msg.msg_namelen;
	return got;
}

static const struct ares_socket_functions socket_functions = {
	open_socket, close_socket, connect_socket, receive, send_socket,
};

/* ---- c-ares in the loop ---- */

static void arm(struct dns *dns)
{
	struct timeval tv, *next = dns->channel ? ares_timeout(dns->channel, NULL, &tv) : NULL;

	if (next)
		evtimer_add(dns->timer, next);
	else
		evtimer_del(dns->timer);
}

static void ready(evutil_socket_t fd, short what, void *arg)
{
	struct dns *dns = arg;

	ares_process_fd(dns->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	arm(dns);
}

static void timeout(evutil_socket_t fd, short what, void *arg)
{
	struct dns *dns = arg;

	(void)fd;
	(void)what;
	ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(dns);
}

static struct watch *watch_of(struct dns *dns, ares_socket_t fd)
{
	struct watch *w;

	LIST_FOREACH(w, &dns->watches, entry) {
		if (w->fd == fd)
			return w;
	}
	w = calloc(1, sizeof(*w));
	if (w) {
		w->fd = fd;
		LIST_INSERT_HEAD(&dns->watches, w, entry);
	}
	return w;
}

/* Without memory the socket is not watched, and its questions end by their time. */
static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	struct dns *dns = arg;
	struct watch *w = watch_of(dns, fd);

	if (!w)
		return;
	if (w->event)
		event_free(w->event);
	w->event = NULL;
	if (!what) {
		LIST_REMOVE(w, entry);
		free(w);
		return;
	}
	w->event = event_new(dns->base, fd, (short)(what | EV_PERSIST), ready, dns);
	if (w->event)
		event_add(w->event, NULL);
}

/* ---- configuration ---- */

struct dns *dns_new(struct event_base *base)
{
	struct dns *dns;

	if (ares_library_init(ARES_LIB_INIT_ALL))
		return NULL;
	dns = calloc(1, sizeof(*dns));
	if (dns) {
		dns->base = base;
		LIST_INIT(&dns->watches);
		dns->timer = evtimer_new(base, timeout, dns);
	}
	if (!dns || !dns->timer) {
		free(dns);
		ares_library_cleanup();
		return NULL;
	}
	return dns;
}

static void channel_end(struct dns *dns)
{
	ares_channel channel = dns->channel;

	if (!channel)
		return;
	evtimer_del(dns->timer);
	ares_destroy(channel);
	dns->channel = NULL;
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	channel_end(dns);
	event_free(dns->timer);
	free(dns);
	ares_library_cleanup();
}

static void look_at_file(struct stat *st)
{
	if (stat(RESOLV_CONF, st))
		memset(st, 0, sizeof(*st));
}

bool dns_is_stale(const struct dns *dns)
{
	struct stat st;

	look_at_file(&st);
	return !dns->read_once || st.st_mtim.tv_sec != dns->changed.tv_sec ||
	       st.st_mtim.tv_nsec != dns->changed.tv_nsec || st.st_ino != dns->inode ||
	       st.st_size != dns->size;
}

int dns_configure(struct dns *dns)
{
	struct ares_options options = {
		.timeout = TIMEOUT_MS,
		.tries = TRIES,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = dns,
	};
	struct stat st;
	int err;

	if (dns->channel && !dns_is_stale(dns))
		return 0;
	channel_end(dns);
	/* Looked at first: a change while it is read is then seen as one. */
	look_at_file(&st);
	dns->changed = st.st_mtim;
	dns->inode = st.st_ino;
	dns->size = st.st_size;
	dns->read_once = true;
	err = ares_init_options(&dns->channel, &options,
				ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (err) {
		dns->channel = NULL;
		return err == ARES_ENOMEM ? -ENOMEM : -EIO;
	}
	ares_set_socket_functions(dns->channel, &socket_functions, dns);
	return 0;
}

unsigned int dns_domains(const struct dns *dns, char domains[DNS_DOMAINS_MAX][256])
{
	struct ares_options options = { 0 };
	unsigned int count = 0;
	int mask = 0;

	if (!dns->channel)
		return 0;
	if (ares_save_options(dns->channel, &options, &mask) == ARES_SUCCESS) {
		for (int i = 0; i < options.ndomains && count < DNS_DOMAINS_MAX; i++) {
			if (!options.domains[i] || strlen(options.domains[i]) > 255)
				continue;
			strcpy(domains[count++], options.domains[i]);
		}
	}
	ares_destroy_options(&options);
	return count;
}

void dns_distrust(struct dns *dns, const struct pledge_links *links)
{
	dns->distrusted = *links;
}

/* ---- questions ---- */

static void answered(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct question *q = arg;

	(void)timeouts;
	if (status == ARES_SUCCESS && answer && len > 0)
		q->done(q->arg, DNS_ANSWER, answer, len);
	else if (status == ARES_ENODATA || status == ARES_ENOTFOUND)
		q->done(q->arg, DNS_NONE, NULL, 0);
	else
		q->done(q->arg, DNS_FAILED, NULL, 0);
	free(q);
}

int dns_ask(struct dns *dns, const char *name, int type,
	    void (*done)(void *arg, enum dns_result result, const unsigned char *answer, int len),
	    void *arg)
{
	struct question *q;

	if (!dns->channel) {
		done(arg, DNS_FAILED, NULL, 0);
		return 0;
	}
	q = malloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->done = done;
	q->arg = arg;
	ares_query(dns->channel, name, ns_c_in, type, answered, q);
	arm(dns);
	return 0;
}

/* ---- answers ---- */

/* WIRE, labels behind their lengths and not longer than 255, as text. */
static bool name_text(const unsigned char *wire, char text[DNS_NAME_LEN])
{
	char *out = text;

	for (unsigned int len = *wire++; len; len = *wire++) {
		if (out != text)
			*out++ = '.';
		for (; len; len--, wire++) {
			if (!*wire)
				return false;
			if (*wire == '.' || *wire == '\\')
				*out++ = '\\';
			*out++ = (char)*wire;
		}
	}
	*out = '\0';
	return true;
}

/* The name at AT in MSG: 0; -ENOENT, one that cannot be asked for; -EBADMSG. */
static int name_read(const ns_msg *msg, const unsigned char *at, char text[DNS_NAME_LEN])
{
	unsigned char wire[NS_MAXCDNAME];

	if (ns_name_unpack(ns_msg_base(*msg), ns_msg_end(*msg), at, wire, sizeof(wire)) < 0)
		return -EBADMSG;
	return name_text(wire, text) ? 0 : -ENOENT;
}

static int record_read(const ns_msg *msg, const ns_rr *rr, struct dns_record *out)
{
	const unsigned char *data = ns_rr_rdata(*rr);
	size_t len = ns_rr_rdlen(*rr);
	struct in_addr addr4;

	memset(out, 0, sizeof(*out));
	out->ttl = ns_rr_ttl(*rr) > INT32_MAX ? 0 : ns_rr_ttl(*rr); /* RFC 2181 8 */
	switch (ns_rr_type(*rr)) {
	case ns_t_ptr:
		return name_read(msg, data, out->name);
	case ns_t_srv:
		if (len < 7)
			return -EBADMSG;
		out->priority = (uint16_t)ns_get16(data);
		out->weight = (uint16_t)ns_get16(data + 2);
		out->port = (uint16_t)ns_get16(data + 4);
		return name_read(msg, data + 6, out->name);
	case ns_t_a:
		if (len != sizeof(addr4))
			return -EBADMSG;
		memcpy(&addr4, data, sizeof(addr4));
		out->addr = jpx_addr_map(addr4);
		return 0;
	case ns_t_aaaa:
		if (len != sizeof(out->addr))
			return -EBADMSG;
		memcpy(&out->addr, data, sizeof(out->addr));
		return 0;
	default:
		out->data = data;
		out->data_len = len;
		return 0;
	}
}

int dns_walk(const unsigned char *answer, int len, int type,
	     bool (*on_record)(void *arg, const struct dns_record *record), void *arg)
{
	struct dns_record record;
	ns_msg msg;
	ns_rr rr;
	int err;

	/* Goes over all of the message: counts that it does not hold are found here. */
	if (ns_initparse(answer, len, &msg) < 0)
		return -EBADMSG;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr) < 0)
			return -EBADMSG;
		if (ns_rr_class(rr) != ns_c_in || (int)ns_rr_type(rr) != type)
			continue;
		err = record_read(&msg, &rr, &record);
		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		if (!on_record(arg, &record))
			return 0;
	}
	return 0;
}
