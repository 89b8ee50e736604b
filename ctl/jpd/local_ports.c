/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The reserving and scanning behind local_ports.h: the kernel's list of reserved
 * ports as a set of bits, and a dump of UDP sockets over sock_diag.
 *
 * Must never write the list without having read it, never write a list that it
 * could not read to the end, and never take out what it did not put in.
 */
#include "local_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h> /* UDP sockets are in a state of TCP's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "clock.h"

#define RESERVED_PATH "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define RANGE_PATH    "/proc/sys/net/ipv4/ip_local_port_range"
#define RESERVED_NAME "net.ipv4.ip_local_reserved_ports"

#define PORTS 65536

/* The longest list is every other port: 32768 of at most five digits and a comma.  The
 * kernel gives a list in one read or not at all. */
#define LIST_MAX (PORTS / 2 * 6 + 4096)

/* How often what another program took out at the same time is put back. */
#define WRITE_TRIES 3

#define SCAN_TRIES    3
#define SCAN_WAIT_MS  250
#define SCAN_TOTAL_MS 1000
#define READ_MAX      32768 /* the longest datagram that the kernel makes of a dump */

struct ports {
	uint64_t word[PORTS / 64];
};

/* ---- sets of ports ---- */

static bool has(const struct ports *set, unsigned int port)
{
	return set->word[port / 64] >> port % 64 & 1;
}

static void put(struct ports *set, unsigned int first, unsigned int last)
{
	for (; first <= last; first++)
		set->word[first / 64] |= 1ULL << first % 64;
}

/* A and not B. */
static void subtract(struct ports *to, const struct ports *a, const struct ports *b)
{
	for (unsigned int i = 0; i < PORTS / 64; i++)
		to->word[i] = a->word[i] & ~b->word[i];
}

static bool empty(const struct ports *set)
{
	uint64_t any = 0;

	for (unsigned int i = 0; i < PORTS / 64; i++)
		any |= set->word[i];
	return !any;
}

/* The run of ports at or behind FROM; false if there is none. */
static bool next_run(const struct ports *set, unsigned int from, unsigned int *first,
		     unsigned int *last)
{
	while (from < PORTS && !has(set, from))
		from++;
	*first = from;
	while (from < PORTS && has(set, from))
		from++;
	*last = from - 1;
	return *first < PORTS;
}

static bool is_range(unsigned int first, unsigned int count)
{
	return first && first < PORTS && count && count <= PORTS - first;
}

static bool from_added(struct ports *set, const struct jpx_reserved *added)
{
	memset(set, 0, sizeof(*set));
	if (added->count > JPX_RESERVED_RANGES)
		return false;
	for (unsigned int i = 0; i < added->count; i++) {
		if (!added->ranges[i].first || added->ranges[i].first > added->ranges[i].last)
			return false;
		put(set, added->ranges[i].first, added->ranges[i].last);
	}
	return true;
}

static int to_added(struct jpx_reserved *added, const struct ports *set)
{
	struct jpx_reserved out = { 0 };
	unsigned int first, last, from;

	for (from = 0; next_run(set, from, &first, &last); from = last + 1) {
		if (out.count == JPX_RESERVED_RANGES)
			return -E2BIG;
		out.ranges[out.count].first = (__u16)first;
		out.ranges[out.count++].last = (__u16)last;
	}
	*added = out;
	return 0;
}

/* ---- sentences ---- */

/* ERROR, with the sentence "DOING: PATH: why; what to try" left in ERR. */
static int explain(int error, const char *doing, const char *path, char *err, size_t err_len)
{
	const char *why = strerror(-error), *cure = "";

	switch (error) {
	case -EROFS:
		cure = "; this is so in a container, and with ProtectKernelTunables= in the "
		       "systemd unit: add the ports to " RESERVED_NAME " from outside";
		break;
	case -EPERM:
	case -EACCES:
		cure = "; start jpd as root with CAP_NET_ADMIN, or add the ports to " RESERVED_NAME
		       " with sysctl(8)";
		break;
	case -ENOENT:
	case -ENOTDIR:
		cure = "; is /proc mounted, and does it show /proc/sys";
		break;
	case -EINVAL:
		why = "not a range of ports from 1 to 65535";
		break;
	case -EUCLEAN:
		why = "the record of what was added to it is damaged";
		cure = "; put it right with sysctl(8)";
		break;
	case -EBADMSG:
		why = "this is no list of ports";
		cure = "; set " RESERVED_NAME " anew with sysctl(8)";
		break;
	case -EBUSY:
		why = "another program keeps changing it";
		cure = "; end that program, or have it reserve these ports, too";
		break;
	case -E2BIG:
		why = "too many single ports within are reserved already";
		cure = "; choose another range, or reserve all of this one in /etc/sysctl.d";
		break;
	case -EADDRNOTAVAIL:
		why = "it would leave no port for this host's own sockets";
		cure = "; choose a range outside net.ipv4.ip_local_port_range";
		break;
	}
	snprintf(err, err_len, "%s: %s%s%s%s", doing, path, *path ? ": " : "", why, cure);
	return error;
}

struct doing {
	char text[64];
};

static struct doing doing(const char *what, unsigned int first, unsigned int count)
{
	struct doing d;

	snprintf(d.text, sizeof(d.text), "cannot %s UDP ports %u-%u", what, first,
		 first + count - 1);
	return d;
}

/* ---- the kernel's list ---- */

/* The length of what was read, with a 0 behind it, or a negative errno. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n && len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	n = n < 0 ? -errno : len == size - 1 ? -EBADMSG : (ssize_t)len;
	close(fd);
	buf[len] = 0;
	return n;
}

static bool number(const char **text, unsigned int *value)
{
	const char *digit = *text;

	for (*value = 0; *digit >= '0' && *digit <= '9'; digit++) {
		*value = *value * 10 + (unsigned int)(*digit - '0');
		if (*value >= PORTS)
			return false;
	}
	if (digit == *text)
		return false;
	*text = digit;
	return true;
}

/* "80,8080-8090\n", or "\n" alone, as the kernel writes it, and nothing else. */
static bool parse_list(const char *text, size_t len, struct ports *set)
{
	const char *end = text + len;
	unsigned int first, last;

	memset(set, 0, sizeof(*set));
	while (*text != '\n') {
		if (!number(&text, &first))
			return false;
		last = first;
		if (*text == '-' && (text++, !number(&text, &last) || last < first))
			return false;
		put(set, first, last);
		if (*text == ',' && text[1] != '\n')
			text++;
		else if (*text != '\n')
			return false;
	}
	return text + 1 == end;
}

static int read_list(struct ports *set)
{
	char *text = malloc(LIST_MAX);
	ssize_t len;
	int ret;

	if (!text)
		return -ENOMEM;
	len = read_file(RESERVED_PATH, text, LIST_MAX);
	ret = len < 0 ? (int)len : parse_list(text, (size_t)len, set) ? 0 : -EBADMSG;
	free(text);
	return ret;
}

/* AT 0: the list is SET from now on.  AT anything else: SET is added to the list, in one
 * step, since the kernel takes a write behind the start for the rest of a longer one.
 * (It takes a page at a time: a longer list is complete only after the last of them.) */
static int write_list(const struct ports *set, off_t at)
{
	int fd = open(RESERVED_PATH, O_WRONLY | O_CLOEXEC), ret = 0;
	char *text = malloc(LIST_MAX), *p = text;
	unsigned int first, last, from;
	size_t len;
	ssize_t n;

	if (fd < 0 || !text) {
		ret = fd < 0 ? -errno : -ENOMEM;
		goto out;
	}
	for (from = 0; next_run(set, from, &first, &last); from = last + 1)
		p += sprintf(p, first == last ? "%s%u" : "%s%u-%u", p == text ? "" : ",", first,
			     last);
	*p++ = '\n'; /* an empty list is written, too */
	len = (size_t)(p - text);
	for (p = text; len; p += n, at += n, len -= (size_t)n) {
		n = pwrite(fd, p, len, at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0) {
			ret = n ? -errno : -EIO;
			break;
		}
	}
out:
	free(text);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* With RESERVED out of reach, can bind(0) and connect() still find a port? */
static bool leaves_some(const struct ports *reserved)
{
	unsigned int low, high;
	char text[64];

	if (read_file(RANGE_PATH, text, sizeof(text)) < 0 ||
	    sscanf(text, "%u %u", &low, &high) != 2 || high >= PORTS)
		return true; /* nobody knows */
	for (; low <= high; low++)
		if (!has(reserved, low))
			return true;
	return false;
}

/* ---- reserve and release ---- */

/* RANGE: the range as a set.  MISSING: what of it is not reserved. */
static int plan(unsigned int first, unsigned int count, struct jpx_reserved *added,
		struct ports *range, struct ports *missing)
{
	struct ports reserved, all;
	int ret;

	if (!is_range(first, count))
		return -EINVAL;
	if (!from_added(&all, added))
		return -EUCLEAN;
	ret = read_list(&reserved);
	if (ret)
		return ret;
	memset(range, 0, sizeof(*range));
	put(range, first, first + count - 1);
	subtract(missing, range, &reserved);
	if (empty(missing))
		return 0;
	for (unsigned int i = 0; i < PORTS / 64; i++) {
		reserved.word[i] |= range->word[i];
		all.word[i] |= missing->word[i];
	}
	return leaves_some(&reserved) ? to_added(added, &all) : -EADDRNOTAVAIL;
}

int local_ports_plan(unsigned int first, unsigned int count, struct jpx_reserved *added, char *err,
		     size_t err_len)
{
	struct ports range, missing;
	int ret = plan(first, count, added, &range, &missing);

	if (!ret)
		return 0;
	return explain(ret, doing("reserve", first, count).text,
		       ret == -EINVAL ? "" : RESERVED_PATH, err, err_len);
}

int local_ports_reserve(unsigned int first, unsigned int count, struct jpx_reserved *added,
			char *err, size_t err_len)
{
	struct ports range, missing, reserved;
	int tries = WRITE_TRIES, ret = plan(first, count, added, &range, &missing);

	while (!ret && !empty(&missing)) {
		if (!tries--)
			ret = -EBUSY;
		else
			ret = write_list(&missing, 1);
		if (!ret)
			ret = read_list(&reserved);
		if (!ret)
			subtract(&missing, &range, &reserved);
	}
	if (!ret)
		return 0;
	return explain(ret, doing("reserve", first, count).text,
		       ret == -EINVAL ? "" : RESERVED_PATH, err, err_len);
}

int local_ports_release(struct jpx_reserved *added, char *err, size_t err_len)
{
	struct ports ours, reserved, others, left;
	int tries = WRITE_TRIES, ret = from_added(&ours, added) ? 0 : -EUCLEAN;

	while (!ret) {
		ret = read_list(&reserved);
		if (ret)
			break;
		subtract(&others, &reserved, &ours);
		subtract(&left, &reserved, &others);
		if (empty(&left))
			break;
		ret = tries-- ? write_list(&others, 0) : -EBUSY;
	}
	if (ret)
		return explain(ret, "cannot take our UDP ports out of the reserved ones",
			       RESERVED_PATH, err, err_len);
	memset(added, 0, sizeof(*added));
	return 0;
}

/* ---- sockets ---- */

struct scan {
	unsigned int first, last;
	local_ports_fn *fn;
	void *arg;
};

static void to_address(struct in6_addr *out, const __be32 in[4], bool ipv4)
{
	memset(out, 0, sizeof(*out));
	if (ipv4) {
		out->s6_addr[10] = out->s6_addr[11] = 0xff;
		memcpy(&out->s6_addr[12], in, 4);
	} else {
		memcpy(out, in, sizeof(*out));
	}
}

static int v6only_cb(const struct nlattr *attr, void *data)
{
	bool *v6only = data;

	if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY && mnl_attr_get_payload_len(attr) >= 1)
		*v6only = mnl_attr_get_u8(attr);
	return MNL_CB_OK;
}

static int socket_cb(const struct nlmsghdr *nlh, void *data)
{
	static const struct in6_addr mapped_any = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	const struct scan *scan = data;
	struct in6_addr addr, peer;
	bool ipv4, connected, v6only = false;
	uint16_t port, peer_port;

	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY || mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg))
		return MNL_CB_OK;
	/* A kernel may have left the filtering to us. */
	port = ntohs(msg->id.idiag_sport);
	if (port < scan->first || port > scan->last)
		return MNL_CB_OK;
	ipv4 = msg->idiag_family == AF_INET;
	connected = msg->idiag_state == TCP_ESTABLISHED;
	to_address(&addr, msg->id.idiag_src, ipv4);
	to_address(&peer, msg->id.idiag_dst, ipv4 && connected);
	peer_port = ntohs(msg->id.idiag_dport);
	scan->fn(scan->arg, &addr, port, msg->id.idiag_if, connected, &peer, peer_port);
	if (!IN6_IS_ADDR_UNSPECIFIED(&addr))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*msg), v6only_cb, &v6only);
	if (!v6only)
		scan->fn(scan->arg, &mapped_any, port, msg->id.idiag_if, connected, &peer,
			 peer_port);
	return MNL_CB_OK;
}

/* NLMSG_ERROR, and NLMSG_DONE, which tells of a dump that failed under way. */
static int end_cb(const struct nlmsghdr *nlh, void *data)
{
	int32_t error = 0;

	(void)data;
	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	if (error >= 0)
		return MNL_CB_STOP;
	errno = -error;
	return MNL_CB_ERROR;
}

/* Source ports from FIRST to LAST, in the words of inet_diag: a condition is two
 * operations, the second one holding the port, and "no" leads 4 bytes past the end,
 * which refuses the socket. */
static void put_filter(struct nlmsghdr *nlh, const struct scan *scan)
{
	const struct inet_diag_bc_op code[] = {
		{ .code = INET_DIAG_BC_S_GE, .yes = 8, .no = 20 },
		{ .code = INET_DIAG_BC_NOP, .no = (unsigned short)scan->first },
		{ .code = INET_DIAG_BC_S_LE, .yes = 8, .no = 12 },
		{ .code = INET_DIAG_BC_NOP, .no = (unsigned short)scan->last },
	};

	mnl_attr_put(nlh, INET_DIAG_REQ_BYTECODE, sizeof(code), code);
}

static int request(const struct mnl_socket *nl, uint8_t family, const struct scan *scan,
		   bool filter)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = family;
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_UDP;
	req->idiag_states = ~0U;
	if (filter)
		put_filter(nlh, scan);
	return mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ? -errno : 0;
}

/* Sends the request for a dump.  The first one makes the kernel load udp_diag before sendto()
 * returns, seconds on a slow machine: that is not its silence, and DEADLINE moves by as much. */
static int ask(struct mnl_socket *nl, uint8_t family, const struct scan *scan, bool filter,
	       uint64_t *deadline)
{
	uint64_t before = jpx_now_ms();
	int ret = request(nl, family, scan, filter);

	*deadline += jpx_now_ms() - before;
	return ret;
}

/* -EINTR: the kernel says that the dump was not of one moment. */
static int dump(uint8_t family, struct scan *scan, bool filter, uint64_t *deadline)
{
	mnl_cb_t control[] = { [NLMSG_ERROR] = end_cb, [NLMSG_DONE] = end_cb };
	const struct timeval wait = { .tv_usec = SCAN_WAIT_MS * 1000 };
	char buf[READ_MAX] __attribute__((aligned(8)));
	/* One socket a dump: what is left of one that failed goes with it. */
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int ret, more = MNL_CB_OK;
	ssize_t len;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		ret = -errno;
	else
		ret = ask(nl, family, scan, filter, deadline);
	while (!ret && more != MNL_CB_STOP) {
		if (jpx_now_ms() >= *deadline) {
			ret = -ETIMEDOUT;
			break;
		}
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len < 0 && errno == EINTR)
			continue;
		if (len >= 0)
			more = mnl_cb_run2(buf, (size_t)len, family, mnl_socket_get_portid(nl),
					   socket_cb, scan, control, MNL_ARRAY_SIZE(control));
		if (len < 0 || more == MNL_CB_ERROR)
			ret = errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
	mnl_socket_close(nl);
	return ret;
}

int local_ports_scan(unsigned int first, unsigned int count, local_ports_fn *fn, void *arg,
		     char *err, size_t err_len)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct scan scan = { first, first + count - 1, fn, arg };
	uint64_t deadline = jpx_now_ms() + SCAN_TOTAL_MS;
	const char *cure = "";
	int ret = is_range(first, count) ? 0 : -EINVAL, tries;
	bool filter = true;

	if (ret)
		return explain(ret, doing("look for sockets on", first, count).text, "", err,
			       err_len);
	for (unsigned int i = 0; i < sizeof(families) && !ret; i++) {
		for (tries = SCAN_TRIES; tries; tries--) {
			ret = dump(families[i], &scan, filter, &deadline);
			if (ret == -EINVAL && filter)
				filter = false; /* a kernel that knows no such filter */
			else if (ret != -EINTR)
				break;
		}
	}
	switch (ret) {
	case 0:
		return 0;
	case -EINTR:
		ret = -EAGAIN;
		break;
	case -ENOENT:
		cure = "; the kernel has no udp_diag: try modprobe udp_diag";
		break;
	}
	snprintf(err, err_len, "%s: sock_diag: %s%s",
		 doing("look for sockets on", first, count).text,
		 ret == -EAGAIN ? "they change too fast to be listed; try again" : strerror(-ret),
		 cure);
	return ret;
}
