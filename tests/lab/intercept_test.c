/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drives intercept.h against a live kernel: started by intercept.sh in its lab, with the
 * lab's name.  Looks with ip(8) at what is there, and with sockets at the lab's ends at
 * what becomes of datagrams.
 *
 * Must never run outside such a lab: it changes rules, routes, addresses and links.
 */
#include "intercept.h"

#include <cap-ng.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/errqueue.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/wait.h>

#include "log.h"
#include "privilege.h"
#include "wire.h"

#define REGISTRAR6 REGISTRAR_ADDR
#define REGISTRAR4 "192.0.2.52"
#define PLEDGE4	   "169.254.7.7"
#define PORT	   5684
#define FRAGMENTED 4000 /* more than the lab's MTU */

static struct event_base *base;
static const char *lab;
static char pledge6[2][INET6_ADDRSTRLEN], proxy6[2][INET6_ADDRSTRLEN];
static unsigned int failures;

static bool ok(bool pass, const char *name)
{
	printf("%s %s\n", pass ? "ok" : "not ok", name);
	fflush(stdout);
	failures += !pass;
	return pass;
}

static bool run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A command in the proxy's namespace. */
static bool run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (!system(cmd))
		return true;
	printf("# failed: %s\n", cmd);
	return false;
}

static void output(const char *cmd, char *out, size_t cap)
{
	FILE *f = popen(cmd, "r");
	size_t n = f ? fread(out, 1, cap - 1, f) : 0;

	out[n] = 0;
	if (f)
		pclose(f);
}

/* ---- what is in the kernel ------------------------------------------------------ */

/* Rules and routes with our protocol, IPv4 first, as ip(8) prints them. */
static const char *ours(void)
{
	static char text[4096];

	output("for f in -4 -6; do ip $f rule show; ip $f route show table 5684 2>/dev/null; done |"
	       "grep 'proto 157' | sed 's/[\t ]\\{1,\\}/ /g; s/ $//; s/ metric .*//; s/ scope "
	       ".*//'",
	       text, sizeof(text));
	return text;
}

static char expected[4096];

static void line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void line(const char *fmt, ...)
{
	size_t len = strlen(expected);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(expected + len, sizeof(expected) - len, fmt, ap);
	va_end(ap);
}

/* What there has to be for one Registrar of a family at PORT, on ports pj0 and, if BOTH, pj1. */
static void expect(const char *addr, bool both)
{
	const char *source = strchr(addr, ':') ? "fe80::/10" : "169.254.0.0/16";

	for (int i = 0; i <= both; i++)
		line("568: from %s to %s iif pj%d ipproto udp dport %d lookup 5684 proto 157\n",
		     source, addr, i, PORT);
	line("569: from all ipproto udp dport 1-65534 goto 571 proto 157\n");
	for (int i = 0; i <= both; i++)
		line("570: from %s to %s iif pj%d ipproto udp lookup 5684 proto 157\n", source,
		     addr, i);
	line("571: from all nop proto 157\nlocal %s dev lo proto 157\n", addr);
}

static bool as_expected(void)
{
	const char *got = ours();
	bool same = !strcmp(got, expected);

	if (!same)
		printf("# expected:\n%s# got:\n%s", expected, got);
	expected[0] = 0;
	return same;
}

static bool nothing(void)
{
	expected[0] = 0;
	return as_expected();
}

static struct in6_addr ip(const char *text)
{
	char mapped[64];
	struct in6_addr a;

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	if (inet_pton(AF_INET6, mapped, &a) != 1)
		die("%s is no address", text);
	return a;
}

static struct intercept_want want(const char *ifname, const char *registrar, uint16_t port)
{
	struct intercept_want w = { .registrar = ip(registrar), .port = port };

	snprintf(w.ifname, sizeof(w.ifname), "%s", ifname);
	return w;
}

static struct intercept *fresh(void)
{
	struct intercept *in = intercept_new(base);

	if (!in)
		die("intercept_new: %s", strerror(errno));
	return in;
}

/* pj0, both families. */
static int sync_pj0(struct intercept *in)
{
	struct intercept_want wants[] = { want("pj0", REGISTRAR4, PORT),
					  want("pj0", REGISTRAR6, PORT) };

	return intercept_sync(in, wants, 2);
}

static void expect_pj0(void)
{
	expect(REGISTRAR4, false);
	expect(REGISTRAR6, false);
}

/* ---- the ends of the lab ---------------------------------------------------------- */

static struct sockaddr_in6 address(const char *text, unsigned int port, const char *ifname)
{
	return (struct sockaddr_in6){ .sin6_family = AF_INET6,
				      .sin6_addr = ip(text),
				      .sin6_port = htons((uint16_t)port),
				      .sin6_scope_id = ifname ? if_nametoindex(ifname) : 0 };
}

/* A socket of WHO on LOCAL (or any address) and PORT, that speaks over IFNAME alone if
 * that is not NULL. */
static int end_socket(const char *who, int type, const char *local, unsigned int port,
		      const char *ifname)
{
	struct sockaddr_in6 sa;
	int fd, off = 0, on = 1;

	enter(lab, who);
	fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0);
	sa = address(local ? local : "::", port, ifname);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on)) ||
	    (ifname && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, strlen(ifname))) ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("%s: no socket on %s %u: %s", who, local, port, strerror(errno));
	enter(lab, "proxy");
	return fd;
}

static bool readable(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) > 0;
}

static void empty(int fd)
{
	char byte;

	/* An error of an earlier datagram takes a read, too. */
	for (int n = 0; n < 100 && (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN); n++)
		;
}

/* Sends LEN bytes from socket A to DST and PORT; do they arrive at socket B, within MS?
 * From whom is then in FROM. */
static bool passes(int a, struct sockaddr_in6 dst, int b, size_t len, int ms,
		   struct sockaddr_in6 *from)
{
	static unsigned char out[FRAGMENTED], in[FRAGMENTED + 1];
	static unsigned char mark;
	socklen_t from_len = sizeof(*from);

	memset(out, ++mark, sizeof(out));
	empty(b);
	if (sendto(a, out, len, 0, (struct sockaddr *)&dst, sizeof(dst)) != (ssize_t)len) {
		printf("# cannot send: %s\n", strerror(errno));
		return false;
	}
	return readable(b, ms) &&
	       recvfrom(b, in, sizeof(in), 0, (struct sockaddr *)from, &from_len) == (ssize_t)len &&
	       !memcmp(in, out, len);
}

static bool is_from(const struct sockaddr_in6 *from, const char *text, unsigned int port)
{
	struct in6_addr a = ip(text);

	return !memcmp(&from->sin6_addr, &a, sizeof(a)) &&
	       (!port || from->sin6_port == htons(port));
}

/* Pledge's datagram to the Registrar's address comes out of OURS, the answer comes back
 * from the Registrar's address. */
static bool round_trip(int pledge, int taken, const char *registrar, const char *source, size_t len)
{
	struct sockaddr_in6 to = address(registrar, PORT, NULL), from;

	return passes(pledge, to, taken, len, 2000, &from) && is_from(&from, source, 0) &&
	       passes(taken, from, pledge, len, 2000, &from) && is_from(&from, registrar, PORT);
}

/* The ICMPv6 error that FD got, as type << 8 | code; 0 if none came. */
static int icmp6_error(int fd)
{
	char control[512], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct sock_extended_err ee;
	struct cmsghdr *c;

	poll(&(struct pollfd){ .fd = fd }, 1, 2000); /* POLLERR */
	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return 0;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR) {
			memcpy(&ee, CMSG_DATA(c), sizeof(ee));
			return ee.ee_type << 8 | ee.ee_code;
		}
	return 0;
}

#define BEYOND_SCOPE (1 << 8 | 2)

static int take(const char *registrar, const char *ifname)
{
	struct in6_addr a = ip(registrar);

	return intercept_socket(&a, PORT, ifname);
}

/* ---- tests ---------------------------------------------------------------------------- */

static void test_sync(void)
{
	struct intercept *in = fresh();
	struct intercept_want both[] = { want("pj1", REGISTRAR6, PORT),
					 want("pj0", REGISTRAR6, PORT),
					 want("pj1", REGISTRAR6, PORT) };
	struct intercept_want ports[] = { want("pj0", REGISTRAR6, 1),
					  want("pj0", REGISTRAR6, 65535) };
	struct intercept_want bad[] = {
		want("pj0", "fe80::1", PORT),	  want("pj0", "ff02::1", PORT),
		want("pj0", REGISTRAR6, 0),	  want("", REGISTRAR6, PORT),
		want("pj0", "169.254.9.9", PORT), want("pj0", "224.0.0.1", PORT),
		want("pj0", "127.0.0.1", PORT),	  want("pj0", "0.0.0.1", PORT),
		want("pj0", REGISTRAR4, PORT)
	};

	ok(nothing(), "new-touches-nothing");
	ok(!sync_pj0(in) && (expect_pj0(), as_expected()), "sync-adds-both-families");
	ok(!intercept_sync(in, both, 3) && (expect(REGISTRAR6, true), as_expected()),
	   "sync-adds-and-deletes");
	ok(!intercept_sync(in, both + 1, 1) && (expect(REGISTRAR6, false), as_expected()),
	   "sync-deletes-one-of-two-interfaces");
	intercept_sync(in, ports, 2);
	line("568: from fe80::/10 to %s iif pj0 ipproto udp dport 1 lookup 5684 proto 157\n",
	     REGISTRAR6);
	line("569: from all ipproto udp dport 1-65534 goto 571 proto 157\n"
	     "570: from fe80::/10 to %s iif pj0 ipproto udp lookup 5684 proto 157\n"
	     "571: from all nop proto 157\nlocal %s dev lo proto 157\n",
	     REGISTRAR6, REGISTRAR6);
	ok(as_expected(), "sync-first-and-last-port");
	ok(intercept_sync(in, bad, 9) == -EINVAL && *intercept_error(in) &&
		   (expect(REGISTRAR4, false), as_expected()),
	   "sync-leaves-out-nonsense-and-does-the-rest");
	ok(!intercept_sync(in, bad + 8, 1) && !*intercept_error(in), "sync-error-is-over");
	ok(!intercept_sync(in, NULL, 0) && nothing(), "sync-of-nothing-deletes-all");
	sync_pj0(in);
	intercept_free(in, true);
	ok((expect_pj0(), as_expected()), "free-keeps");
	in = fresh();
	sync_pj0(in);
	intercept_free(in, false);
	ok(nothing(), "free-deletes");
}

static void test_delivery(void)
{
	struct intercept *in = fresh();
	int p6 = end_socket("pledge", SOCK_DGRAM, NULL, 0, NULL);
	int p4 = end_socket("pledge", SOCK_DGRAM, PLEDGE4, 0, NULL);
	struct sockaddr_in6 from;
	int t6, t4;

	sync_pj0(in);
	t6 = take(REGISTRAR6, "pj0");
	t4 = take(REGISTRAR4, "pj0");
	ok(t6 >= 0 && t4 >= 0, "sockets");
	/* Bound to no address: that the source is link-local is the pledge's kernel's doing. */
	ok(round_trip(p6, t6, REGISTRAR6, pledge6[0], 100), "ipv6");
	ok(round_trip(p6, t6, REGISTRAR6, pledge6[0], FRAGMENTED), "ipv6-fragments");
	ok(round_trip(p4, t4, REGISTRAR4, PLEDGE4, 100), "ipv4");
	ok(round_trip(p4, t4, REGISTRAR4, PLEDGE4, FRAGMENTED), "ipv4-fragments");
	run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
	ok(round_trip(p6, t6, REGISTRAR6, pledge6[0], 100), "ipv6-on-a-host-that-does-not-route");
	ok(round_trip(p4, t4, REGISTRAR4, PLEDGE4, 100), "ipv4-on-a-host-that-does-not-route");
	run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
	intercept_free(in, false);
	ok(!passes(p6, address(REGISTRAR6, PORT, NULL), t6, 100, 300, &from) &&
		   icmp6_error(p6) == BEYOND_SCOPE,
	   "ipv6-refused-without-rules");
	close(p6), close(p4), close(t6), close(t4);
}

/* A TCP connection from LOCAL to the Registrar: 0, or an errno (EAGAIN: no answer). */
static int tcp(const char *local, const char *ifname, const char *registrar)
{
	int fd = end_socket("pledge", SOCK_STREAM, local, 0, ifname), err = 0;
	struct sockaddr_in6 to = address(registrar, PORT, NULL);
	socklen_t len = sizeof(err);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		err = errno;
	else if (poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 800) <= 0)
		err = EAGAIN;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	close(fd);
	return err;
}

static void test_untouched(void)
{
	struct sockaddr_in6 to6 = address(REGISTRAR6, PORT, NULL),
			    to4 = address(REGISTRAR4, PORT, NULL);
	struct sockaddr_in6 other6 = address(REGISTRAR6, PORT + 1, NULL), from;
	struct sockaddr_in6 other4 = address(REGISTRAR4, PORT + 1, NULL);
	struct sockaddr_in6 elsewhere6 = address("2001:db8:2::1", PORT, NULL);
	int r = end_socket("registrar", SOCK_DGRAM, NULL, PORT, NULL);
	int r_other = end_socket("registrar", SOCK_DGRAM, NULL, PORT + 1, NULL);
	int listener = end_socket("registrar", SOCK_STREAM, NULL, PORT, NULL);
	int p0 = end_socket("pledge", SOCK_DGRAM, pledge6[0], 0, "pl0");
	int p1 = end_socket("pledge", SOCK_DGRAM, pledge6[1], 0, "pl1");
	int p4 = end_socket("pledge", SOCK_DGRAM, PLEDGE4, 0, NULL), joined, own;
	/* Nothing that goes elsewhere may turn up here. */
	int any = end_socket("proxy", SOCK_DGRAM, NULL, PORT + 1, NULL);
	struct intercept *in = fresh();
	int t6, t4;

	sync_pj0(in);
	t6 = take(REGISTRAR6, "pj0");
	t4 = take(REGISTRAR4, "pj0");
	listen(listener, 1);

	ok(!passes(p0, other6, any, 100, 300, &from) && icmp6_error(p0) == BEYOND_SCOPE,
	   "other-port-ipv6");
	ok(passes(p4, other4, r_other, 100, 2000, &from) && is_from(&from, PLEDGE4, 0),
	   "other-port-ipv4");
	ok(!passes(p1, to6, t6, 100, 300, &from) && icmp6_error(p1) == BEYOND_SCOPE,
	   "other-interface");
	ok(!passes(p0, elsewhere6, t6, 100, 300, &from) && icmp6_error(p0) == BEYOND_SCOPE,
	   "other-address");
	/* Were it taken here, nobody would listen, and it would be refused. */
	ok(tcp(pledge6[0], "pl0", REGISTRAR6) != ECONNREFUSED, "tcp-ipv6-not-taken");
	ok(tcp(PLEDGE4, NULL, REGISTRAR4) == 0, "tcp-ipv4");

	own = end_socket("proxy", SOCK_DGRAM, NULL, 0, NULL);
	ok(passes(own, to6, r, 100, 2000, &from) && is_from(&from, "2001:db8:1::2", 0) &&
		   passes(r, from, own, 100, 2000, &from),
	   "own-traffic-to-the-registrar-ipv6");
	ok(passes(own, to4, r, 100, 2000, &from) && is_from(&from, "198.51.100.2", 0) &&
		   passes(r, from, own, 100, 2000, &from),
	   "own-traffic-to-the-registrar-ipv4");

	/* A device behind the same port that has joined, and is routed. */
	run("ip addr add 2001:db8:3::1/64 dev pj0 && ip -n %s-pledge addr add 2001:db8:3::9/64 dev "
	    "pl0",
	    lab);
	joined = end_socket("pledge", SOCK_DGRAM, "2001:db8:3::9", 0, "pl0");
	ok(passes(joined, to6, r, 100, 2000, &from) && is_from(&from, "2001:db8:3::9", 0) &&
		   passes(r, from, joined, 100, 2000, &from),
	   "routed-device-udp");
	ok(passes(joined, to6, r, FRAGMENTED, 2000, &from) && is_from(&from, "2001:db8:3::9", 0),
	   "routed-device-fragments");
	ok(tcp("2001:db8:3::9", "pl0", REGISTRAR6) == 0, "routed-device-tcp");
	run("ip addr del 2001:db8:3::1/64 dev pj0 && ip -n %s-pledge addr del 2001:db8:3::9/64 dev "
	    "pl0",
	    lab);
	ok(!readable(t6, 0) && !readable(t4, 0), "sockets-heard-nothing");

	intercept_free(in, false);
	close(r), close(r_other), close(listener), close(p0), close(p1), close(p4), close(joined);
	close(own), close(any), close(t6), close(t4);
}

/* An address is not answered for just because its datagrams are taken. */
static void test_neighbours(void)
{
	struct intercept *in = fresh();
	char text[1024];

	sync_pj0(in);
	run("ip -n %s-pledge -6 route add " REGISTRAR6 " dev pl0 metric 1", lab);
	run("ip -n %s-pledge route add " REGISTRAR4 " dev pl0", lab);
	enter(lab, "pledge");
	/* Whatever else is sent there meanwhile: once is enough. */
	output("for a in " REGISTRAR6 " " REGISTRAR4
	       "; do ip neigh replace $a dev pl0 nud none use; "
	       "for i in $(seq 100); do ip neigh show $a dev pl0 | grep -e FAILED -e lladdr && "
	       "break;"
	       "sleep 0.1; done; done",
	       text, sizeof(text));
	enter(lab, "proxy");
	if (!ok(strstr(text, REGISTRAR6 " FAILED"),
		"no-neighbour-advertisement-for-the-registrar") ||
	    !ok(strstr(text, REGISTRAR4 " FAILED"), "no-arp-reply-for-the-registrar"))
		printf("# %s", text);
	run("ip -n %s-pledge -6 route del " REGISTRAR6 " dev pl0 metric 1", lab);
	run("ip -n %s-pledge route del " REGISTRAR4 " dev pl0", lab);
	intercept_free(in, false);
}

static void test_foreign(void)
{
	static const char *const foreign[] = {
		"-6 rule add prio 568 iif pj0 to " REGISTRAR6 " ipproto udp dport 99 lookup 5684",
		"-6 rule add prio 569 iif pj0 lookup 100 proto 157",
		"-4 rule add prio 571 nop",
		"-4 rule add prio 570 to 192.0.2.99 lookup 5684 proto static",
		"-6 route add 2001:db8:ffff::/48 dev lo table 5684 proto static",
		"-4 route add local 192.0.2.99 dev lo table 5684",
		"-4 route add 192.0.2.98 dev lo table 5683 proto 157",
	};
	static const char look[] = "ip -4 rule; ip -6 rule; ip -4 route show table all;"
				   "ip -6 route show table all | grep -v '^multicast'";
	char before[16384], after[16384];
	struct intercept *in;

	for (unsigned int i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		run("ip %s", foreign[i]);
	output(look, before, sizeof(before));
	in = fresh();
	ok(!sync_pj0(in), "sync-beside-foreign-ones");
	output(look, after, sizeof(after));
	ok(strcmp(before, after), "foreign-test-sees-ours");
	intercept_sync(in, NULL, 0);
	output(look, after, sizeof(after));
	if (!ok(!strcmp(before, after), "foreign-rules-and-routes-stay"))
		printf("# before:\n%s# after:\n%s", before, after);

	run("ip route add unreachable " REGISTRAR4 " table 5684 proto static");
	ok(sync_pj0(in) == -EEXIST && strstr(intercept_error(in), REGISTRAR4) &&
		   strstr(intercept_error(in), "5684"),
	   "foreign-route-in-the-way-is-told");
	run("ip route del unreachable " REGISTRAR4 " table 5684 proto static");
	ok(!sync_pj0(in) && !*intercept_error(in), "foreign-route-gone");
	intercept_free(in, false);
	for (unsigned int i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		const char *verb = strstr(foreign[i], " add ");

		run("ip %.*s del %s", (int)(verb - foreign[i]), foreign[i], verb + 5);
	}
}

/* Runs FN in a process of its own: what it returned, or 128 and a signal's number. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int sync_and_be_killed(void)
{
	if (sync_pj0(fresh()))
		return 1;
	kill(getpid(), SIGKILL);
	return 2;
}

static unsigned int events(struct mnl_socket *nl)
{
	char buf[8192];
	unsigned int n = 0;

	while (recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT) > 0)
		n++;
	return n;
}

static void test_killed(void)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	struct intercept_want other = want("pj1", REGISTRAR6, PORT + 5);
	struct intercept *in;

	ok(in_child(sync_and_be_killed) == 128 + SIGKILL && (expect_pj0(), as_expected()),
	   "killed-leaves-its-rules");
	mnl_socket_bind(nl,
			1U << (RTNLGRP_IPV4_RULE - 1) | 1U << (RTNLGRP_IPV6_RULE - 1) |
				1U << (RTNLGRP_IPV4_ROUTE - 1) | 1U << (RTNLGRP_IPV6_ROUTE - 1),
			MNL_SOCKET_AUTOPID);
	in = fresh();
	ok(!sync_pj0(in) && !events(nl) && (expect_pj0(), as_expected()),
	   "adopted-without-a-change");
	intercept_sync(in, NULL, 0);
	ok(events(nl) == 10, "adoption-test-sees-changes");
	intercept_free(in, false);
	mnl_socket_close(nl);

	in_child(sync_and_be_killed);
	in = fresh();
	ok(!intercept_sync(in, NULL, 0) && nothing(), "stale-deleted-when-nothing-is-wanted");
	in_child(sync_and_be_killed);
	ok(!intercept_sync(in, &other, 1), "sync-after-kill");
	intercept_free(in, false);

	/* As another version might have had it: less said, more said, other numbers. */
	in_child(sync_and_be_killed);
	run("ip -6 rule del prio 568 && ip -6 rule add prio 568 iif pj0 lookup 5684 proto 157 &&"
	    "ip -6 rule add prio 568 from fe80::/10 to " REGISTRAR6
	    " iif pj0 ipproto udp dport 5684 lookup 5684 proto 157 &&"
	    "ip rule add prio 99 lookup 5684 proto 157 &&"
	    "ip rule del prio 570 && ip rule add not prio 570 from 169.254.0.0/16 to " REGISTRAR4
	    " iif pj0 ipproto udp lookup 5684 proto 157 &&"
	    "ip -6 rule add prio 569 ipproto udp dport 7 goto 571 proto 157 &&"
	    "ip -6 route add 2001:db8:9::/64 dev lo table 5684 proto 157");
	in = fresh();
	ok(!sync_pj0(in) && (expect_pj0(), as_expected()), "another-version's-are-replaced");
	intercept_free(in, false);
}

static void loop_until_expected(int ms)
{
	struct timeval step = { 0, 200000 };
	uint64_t end = now_us() + (uint64_t)ms * 1000;

	while (now_us() < end && strcmp(ours(), expected)) {
		event_base_loopexit(base, &step);
		event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	}
}

static void test_healing(void)
{
	struct intercept *in = fresh();

	sync_pj0(in);
	run("ip -6 rule del prio 568 && ip rule del prio 570 &&"
	    "ip -6 route flush table 5684 && ip route flush table 5684");
	expect_pj0();
	loop_until_expected(13000);
	ok(as_expected(), "deleted-by-another-is-put-back");
	intercept_free(in, false);
	ok(!event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), "free-leaves-no-timer");
}

static void test_links(void)
{
	struct intercept_want wants[] = { want("pj9", REGISTRAR6, PORT) };
	struct intercept *in = fresh();
	int p, t;

	ok(!intercept_sync(in, wants, 1), "interface-that-is-not-there-yet");
	for (int again = 0; again < 2; again++) {
		run("ip link add pj9 type veth peer name pl9 netns %s-pledge && ip link set pj9 up "
		    "&&"
		    "ip -n %s-pledge link set pl9 up &&"
		    "ip addr add fe80::99/64 dev pj9 && ip -n %s-pledge addr add fe80::9/64 dev "
		    "pl9 &&"
		    "ip -n %s-pledge -6 route add default via fe80::99 dev pl9 metric 9",
		    lab, lab, lab, lab);
		p = end_socket("pledge", SOCK_DGRAM, "fe80::9", 0, "pl9");
		t = take(REGISTRAR6, "pj9");
		ok(round_trip(p, t, REGISTRAR6, "fe80::9", 100),
		   again ? "interface-made-anew" : "interface-appears");
		close(p), close(t);
		run("ip link del pj9");
	}
	intercept_free(in, false);

	in = fresh();
	run("ip link set lo down");
	ok(sync_pj0(in) < 0 && strstr(intercept_error(in), "lo up"), "loopback-down-is-told");
	run("ip link set lo up");
	ok(!sync_pj0(in) && !*intercept_error(in) && (expect_pj0(), as_expected()), "loopback-up");
	intercept_free(in, false);
}

/* ---- rights ------------------------------------------------------------------------- */

static int with_jpds_rights(void)
{
	struct intercept *in;
	int fd6, fd4;

	privilege_drop();
	in = fresh();
	fd6 = take(REGISTRAR6, "pj0");
	fd4 = take(REGISTRAR4, "pj0");
	return fd6 >= 0 && fd4 >= 0 && !sync_pj0(in) && (expect_pj0(), as_expected()) &&
	       (intercept_free(in, false), nothing());
}

static void keep_only(int capability)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (capability >= 0)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			     (unsigned int)capability);
	capng_apply(CAPNG_SELECT_CAPS);
}

static int with_net_admin(void)
{
	struct intercept *in = fresh();

	keep_only(CAP_NET_ADMIN);
	return take(REGISTRAR6, "pj0") >= 0 && !sync_pj0(in) &&
	       (intercept_free(in, false), nothing());
}

static int with_net_raw(void)
{
	struct intercept *in = fresh();

	keep_only(CAP_NET_RAW);
	return take(REGISTRAR6, "pj0") >= 0 && take(REGISTRAR4, "pj0") >= 0 &&
	       sync_pj0(in) == -EPERM && strstr(intercept_error(in), "CAP_NET_ADMIN");
}

static int with_nothing(void)
{
	keep_only(-1);
	return take(REGISTRAR6, "pj0") == -EPERM && take(REGISTRAR4, "pj0") == -EPERM;
}

static void test_rights(void)
{
	ok(in_child(with_jpds_rights) == 1, "what-jpd-keeps-suffices");
	ok(in_child(with_net_admin) == 1, "net-admin-alone-suffices");
	ok(in_child(with_net_raw) == 1, "net-raw-gives-sockets-and-no-rules");
	ok(in_child(with_nothing) == 1, "without-rights-no-socket");
}

/* ---- the reverse path filter: what operations.md says of it ----------------------------- */

static bool ipv4_arrives(int p, int t)
{
	struct sockaddr_in6 to = address(REGISTRAR4, PORT, NULL), from;

	return passes(p, to, t, 100, 400, &from);
}

static void test_rp_filter(void)
{
	struct intercept_want wants[] = { want("pj0", REGISTRAR4, PORT),
					  want("pj1", REGISTRAR4, PORT) };
	struct intercept *in = fresh();
	int p0, p1, t0, t1;

	intercept_sync(in, wants, 2);
	run("ip -n %s-pledge addr add 169.254.8.8/16 dev pl1", lab);
	run("ip -n %s-pledge route add default via 169.254.1.1 dev pl1 metric 2", lab);
	run("ip addr add 169.254.1.1/16 dev pj1");
	p0 = end_socket("pledge", SOCK_DGRAM, PLEDGE4, 0, "pl0");
	p1 = end_socket("pledge", SOCK_DGRAM, "169.254.8.8", 0, "pl1");
	t0 = take(REGISTRAR4, "pj0");
	t1 = take(REGISTRAR4, "pj1");
	ok(t0 >= 0 && t1 >= 0, "one-registrar-two-interfaces");
	ok(round_trip(p0, t0, REGISTRAR4, PLEDGE4, 100) &&
		   round_trip(p1, t1, REGISTRAR4, "169.254.8.8", 100),
	   "each-answers-on-its-interface");
	run("sysctl -qw net.ipv4.conf.pj0.rp_filter=1 net.ipv4.conf.pj1.rp_filter=1");
	ok(ipv4_arrives(p0, t0) && !ipv4_arrives(p1, t1), "rp-filter-strict-passes-one-port");
	run("sysctl -qw net.ipv4.conf.pj0.rp_filter=2 net.ipv4.conf.pj1.rp_filter=2");
	ok(ipv4_arrives(p0, t0) && ipv4_arrives(p1, t1), "rp-filter-loose-passes-all");
	close(p0), close(p1), close(t0), close(t1);
	intercept_free(in, false);
}

static void link_local(const char *who, const char *ifname, char text[INET6_ADDRSTRLEN])
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd),
		 "ip -n %s-%s -6 -o addr show dev %s scope link | awk '{ sub(\"/.*\", \"\", $4); "
		 "printf \"%%s\", $4; exit }'",
		 lab, who, ifname);
	output(cmd, text, INET6_ADDRSTRLEN);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: intercept_test LAB\nStart it through intercept.sh.\n", stderr);
		return 2;
	}
	lab = argv[1];
	jpx_log_init("intercept_test", JPX_LOG_INFO);
	for (int i = 0; i < 2; i++) {
		link_local("pledge", i ? "pl1" : "pl0", pledge6[i]);
		link_local("proxy", i ? "pj1" : "pj0", proxy6[i]);
	}
	base = event_base_new();
	test_sync();
	test_delivery();
	test_neighbours();
	test_untouched();
	test_foreign();
	test_killed();
	test_healing();
	test_links();
	test_rights();
	test_rp_filter();
	event_base_free(base);
	return failures ? 1 : 0;
}
