/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drives local_ports against a live kernel, in namespaces of its own: reserving next to
 * others, with others in between, killed half-way, and where it is not allowed; what
 * bind(0) and connect() then get; and what a scan says of sockets of every kind.
 *
 * Writing to the list, asking for a dump and reading it go through __wrap_ functions (the linker's
 * --wrap), where a test lets somebody else in between, or the kernel say something rare.
 *
 * Must never touch the list of the namespace that it is started in.
 */
#include "local_ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <net/if.h>

#include "privilege.h"

#define LIST_PATH  "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define RANGE_PATH "/proc/sys/net/ipv4/ip_local_port_range"
#define FIRST	   16384
#define COUNT	   16384
#define OURS	   "16384-32767"

static unsigned int failures;
static char err[512];

static void ok(bool pass, const char *name)
{
	printf("%s %s\n", pass ? "ok" : "not ok", name);
	fflush(stdout);
	failures += !pass;
}

/* As ok(), of a condition made of several: says which one did not hold. */
#define holds(expr) ((expr) ? true : (printf("# line %d: %s [%s]\n", __LINE__, #expr, err), false))

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- the list ---- */

static char text[400000];

static const char *list(void)
{
	int fd = open(LIST_PATH, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

static bool list_is(const char *want)
{
	bool same = !strcmp(list(), want);

	if (!same)
		printf("# \"%.200s\" and not \"%.200s\"\n", text, want);
	return same;
}

static void write_file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	size_t len = strlen(content), at = 0;
	ssize_t n;

	for (; fd >= 0 && at < len; at += (size_t)n) {
		n = write(fd, content + at, len - at);
		if (n <= 0)
			break;
	}
	if (fd < 0 || at < len) {
		printf("not ok writes-%s: %s\n", path, strerror(errno));
		exit(1);
	}
	close(fd);
}

/* As sysctl(8) does: all of it anew. */
static void set_list(const char *content)
{
	char line[256];

	snprintf(line, sizeof(line), "%s\n", content);
	write_file(LIST_PATH, line);
}

/* ---- somebody else at work while we write ---- */

static unsigned int writes;
static unsigned int meddle; /* so many more times */
static const char *meddle_before, *meddle_after;

ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t at);

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	ssize_t n;

	writes++;
	if (meddle && meddle_before)
		set_list(meddle_before);
	n = __real_pwrite(fd, buf, len, at);
	if (meddle && meddle_after)
		set_list(meddle_after);
	if (meddle)
		meddle--;
	return n;
}

static int reserve(struct jpx_reserved *added)
{
	*err = 0;
	writes = 0;
	return local_ports_reserve(FIRST, COUNT, added, err, sizeof(err));
}

static int release(struct jpx_reserved *added)
{
	*err = 0;
	writes = 0;
	return local_ports_release(added, err, sizeof(err));
}

static bool says(const char *what)
{
	return strstr(err, what) && !strchr(err, '\n');
}

/* ---- reserving ---- */

static void test_neighbours(void)
{
	struct jpx_reserved added = { 0 }, again;

	set_list("80,20000,8080-8090");
	ok(holds(!reserve(&added)) && holds(list_is("80,8080-8090," OURS)) &&
		   holds(added.count == 2) && holds(added.ranges[0].first == FIRST) &&
		   holds(added.ranges[0].last == 19999) && holds(added.ranges[1].first == 20001) &&
		   holds(added.ranges[1].last == 32767),
	   "reserves-next-to-others");
	again = added;
	ok(holds(!reserve(&again)) && holds(!memcmp(&again, &added, sizeof(added))) &&
		   holds(!writes),
	   "a-second-time-changes-nothing");
	ok(holds(!release(&added)) && holds(list_is("80,8080-8090,20000")) && holds(!added.count),
	   "releases-what-it-added");
	ok(holds(!release(&added)) && holds(list_is("80,8080-8090,20000")) && holds(!writes),
	   "releases-nothing-twice");

	set_list("16000-40000");
	ok(holds(!reserve(&added)) && holds(!added.count) && holds(!writes) &&
		   holds(!release(&added)) && holds(list_is("16000-40000")),
	   "what-the-operator-reserved-stays");

	set_list("");
	ok(holds(!reserve(&added)) && holds(list_is(OURS)) && holds(!release(&added)) &&
		   holds(list_is("")),
	   "an-empty-list-is-empty-again");
}

static void test_others_later(void)
{
	struct jpx_reserved added = { 0 };

	set_list("80");
	reserve(&added);
	set_list("80,443");
	ok(holds(!reserve(&added)) && holds(list_is("80,443," OURS)) && holds(!release(&added)) &&
		   holds(list_is("80,443")),
	   "puts-back-what-a-rewrite-lost");

	reserve(&added);
	set_list("80,443,50000," OURS);
	ok(holds(!release(&added)) && holds(list_is("80,443,50000")), "keeps-a-later-entry");

	reserve(&added);
	set_list("443,17000-17999");
	ok(holds(!release(&added)) && holds(list_is("443")), "half-gone-is-no-error");

	meddle = 1, meddle_before = "443,4000", meddle_after = NULL;
	ok(holds(!reserve(&added)) && holds(list_is("443,4000," OURS)),
	   "an-entry-made-between-read-and-write-stays");

	release(&added);
	meddle = 2, meddle_before = NULL, meddle_after = "80";
	ok(holds(!reserve(&added)) && holds(list_is("80," OURS)) && holds(writes == 3),
	   "writes-again-when-it-was-lost");
	meddle = 2, meddle_after = "80," OURS;
	ok(holds(!release(&added)) && holds(list_is("80")) && holds(writes == 3),
	   "takes-out-again-when-it-came-back");

	meddle = 1000, meddle_after = "80";
	ok(holds(reserve(&added) == -EBUSY) && holds(writes < 10) && holds(added.count == 1) &&
		   holds(says("cannot reserve UDP ports 16384-32767: " LIST_PATH
			      ": another program")),
	   "gives-up-reserving-against-another");
	meddle = 1000, meddle_after = "80," OURS;
	set_list("80," OURS);
	ok(holds(release(&added) == -EBUSY) && holds(writes < 10) && holds(added.count == 1) &&
		   holds(says("another program")),
	   "gives-up-releasing-against-another");
	meddle = 0;
	release(&added);
}

/* Every other port of FIRST to LAST. */
static char *every_other(unsigned int first, unsigned int last, bool and_ours)
{
	char *out = malloc(sizeof(text)), *p = out;

	for (; first <= last; first += 2) {
		if (and_ours && first >= FIRST && first < FIRST + COUNT)
			continue;
		p += sprintf(p, "%s%u", p == out ? "" : ",", first);
	}
	*p = 0;
	return out;
}

static void write_long(const char *content)
{
	int fd = open(LIST_PATH, O_WRONLY);
	size_t len = strlen(content), at = 0;
	ssize_t n;

	for (; at < len; at += (size_t)n) {
		n = __real_pwrite(fd, content + at, len - at, (off_t)at);
		if (n <= 0)
			break;
	}
	close(fd);
}

static void test_long(void)
{
	struct jpx_reserved added = { 0 };
	char *outside = every_other(1, 65535, true), *everywhere = every_other(1, 65535, false);

	write_long(outside);
	ok(holds(list_is(outside)) && holds(!reserve(&added)) && holds(strlen(list()) > 100000) &&
		   holds(strstr(text, ",16383-32767,32769,")) && holds(!release(&added)) &&
		   holds(list_is(outside)),
	   "a-list-of-24576-entries");
	write_long(everywhere);
	ok(holds(reserve(&added) == -E2BIG) && holds(!writes) && holds(!added.count) &&
		   holds(says("too many")) && holds(list_is(everywhere)),
	   "more-holes-than-the-record-holds");
	free(outside);
	free(everywhere);

	write_file(LIST_PATH, "1-65535\n");
	ok(holds(!reserve(&added)) && holds(!writes) && holds(!release(&added)) &&
		   holds(list_is("1-65535")),
	   "a-full-list");

	set_list("30000-30099,30200-30300");
	write_file(RANGE_PATH, "30000 30199\n");
	ok(holds(reserve(&added) == -EADDRNOTAVAIL) && holds(!writes) && holds(!added.count) &&
		   holds(says("no port for this host's own sockets")),
	   "does-not-take-the-last-ports");
	write_file(RANGE_PATH, "30000 33000\n");
	ok(holds(!reserve(&added)) && holds(!release(&added)), "some-ports-left-is-enough");
	write_file(RANGE_PATH, "32768 60999\n");
	set_list("");
}

static void test_arguments(void)
{
	static const unsigned int bad[][2] = { { 0, 10 },     { 1, 0 },	    { 65535, 2 },
					       { 65536, 1 },  { 1, 65536 }, { 16384, ~0U },
					       { ~0U, 16384 } };
	struct jpx_reserved added = { 0 };
	bool pass = true;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		*err = 0;
		pass = pass &&
		       holds(local_ports_reserve(bad[i][0], bad[i][1], &added, err, sizeof(err)) ==
			     -EINVAL) &&
		       holds(says("not a range of ports")) && holds(list_is(""));
	}
	ok(pass, "refuses-what-is-no-range");
	ok(holds(!local_ports_reserve(65535, 1, &added, err, sizeof(err))) &&
		   holds(list_is("65535")) && holds(!release(&added)) && holds(list_is("")),
	   "the-very-last-port");

	set_list("80");
	added.count = JPX_RESERVED_RANGES + 1;
	pass = holds(release(&added) == -EUCLEAN) && holds(says("damaged"));
	added.count = 1;
	added.ranges[0] = (struct jpx_reserved_range){ 80, 79 };
	ok(pass && holds(release(&added) == -EUCLEAN) && holds(reserve(&added) == -EUCLEAN) &&
		   holds(list_is("80")),
	   "does-nothing-by-a-damaged-record");
	set_list("");
}

/* ---- killed on the way ---- */

static void test_kill(void)
{
	struct jpx_reserved *pinned = mmap(NULL, sizeof(*pinned), PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static const char *const names[] = { "killed-before-it-wrote", "killed-after-it-wrote" };

	for (int late = 0; late < 2; late++) {
		struct jpx_reserved added = { 0 };
		int status;
		pid_t pid;

		set_list("80,20000");
		memset(pinned, 0, sizeof(*pinned));
		fflush(stdout);
		pid = fork();
		if (!pid) {
			if (!local_ports_plan(FIRST, COUNT, &added, err, sizeof(err))) {
				*pinned = added;
				if (!late || !reserve(&added))
					kill(getpid(), SIGKILL);
			}
			_exit(1);
		}
		waitpid(pid, &status, 0);
		added = *pinned;
		ok(holds(WIFSIGNALED(status)) && holds(added.count == 2) &&
			   holds(list_is(late ? "80," OURS : "80,20000")) &&
			   holds(!reserve(&added)) && holds(list_is("80," OURS)) &&
			   holds(!memcmp(&added, pinned, sizeof(added))) &&
			   holds(!release(&added)) && holds(list_is("80,20000")),
		   names[late]);
	}
	munmap(pinned, sizeof(*pinned));
	set_list("");
}

/* ---- not allowed, not there, not what it should be ---- */

/* Runs TEST in a child with mounts of its own; whatever it mounts goes with it. */
static void apart(void (*test)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		failures = 0;
		if (unshare(CLONE_NEWNS))
			ok(false, "mount-namespace");
		else
			test();
		exit(failures != 0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		ok(false, "child");
	else
		failures += WEXITSTATUS(status) != 0;
}

static void in_read_only(void)
{
	struct jpx_reserved added = { 0 };

	mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL);
	mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	ok(holds(reserve(&added) == -EROFS) && holds(says("Read-only file system")) &&
		   holds(says("ProtectKernelTunables")) && holds(list_is("80")),
	   "read-only-proc");
}

static void in_read_only_reserved(void)
{
	struct jpx_reserved added = { 0 };

	set_list(OURS);
	mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL);
	mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	ok(holds(!reserve(&added)) && holds(!added.count),
	   "read-only-proc-and-reserved-from-outside");
}

static void in_no_proc(void)
{
	struct jpx_reserved added = { 0 };

	mount("none", "/proc/sys/net", "tmpfs", 0, NULL);
	ok(holds(reserve(&added) == -ENOENT) && holds(says("is /proc mounted")), "no-proc");
}

static void as_nobody(void)
{
	struct jpx_reserved added = { 0 };

	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		exit(1);
	ok(holds(reserve(&added) == -EACCES) && holds(says("CAP_NET_ADMIN")) &&
		   holds(list_is("80")),
	   "unprivileged");
}

static void as_jpd(void)
{
	struct jpx_reserved added = { 0 };

	privilege_drop();
	ok(holds(!reserve(&added)) && holds(list_is("80," OURS)) && holds(!release(&added)) &&
		   holds(list_is("80")),
	   "with-jpd's-rights");
}

static void in_malformed(void)
{
	static const char *const bad[] = {
		"",	 "1-\n", "5,\n",   "70000\n", "9-3\n",	"x\n",	   "1,2",
		"1 2\n", ",\n",	 "1,,2\n", "-4\n",    "1\n2\n", "1-2-3\n", "99999999999999999999\n"
	};
	struct jpx_reserved added = { 0 };
	bool pass = true;

	mount("none", "/mnt", "tmpfs", 0, NULL);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char path[32];

		snprintf(path, sizeof(path), "/mnt/%u", i);
		write_file(path, bad[i]);
		mount(path, LIST_PATH, NULL, MS_BIND, NULL);
		if (reserve(&added) != -EBADMSG || !says("no list of ports") || writes ||
		    added.count) {
			printf("# takes entry %u for a list\n", i);
			pass = false;
		}
		umount(LIST_PATH);
	}
	ok(pass, "malformed-lists");
}

static void test_refused(void)
{
	set_list("80");
	apart(in_read_only);
	apart(in_no_proc);
	apart(as_nobody);
	apart(as_jpd);
	apart(in_malformed);
	apart(in_read_only_reserved);
	set_list("");
}

/* ---- what the kernel hands out ---- */

static uint16_t local_port(int fd)
{
	struct sockaddr_in6 sa = { 0 };
	socklen_t len = sizeof(sa);

	getsockname(fd, (struct sockaddr *)&sa, &len);
	return ntohs(sa.sin6_port); /* at the same place in a sockaddr_in */
}

/* Has the kernel choose ports, by bind(0) or connect(), until it has none left: how many
 * of 20000 to 20149, and how many of 20150 to 20199. */
static void exhaust(int family, bool connecting, unsigned int *low, unsigned int *high)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	const struct sockaddr *sa = (struct sockaddr *)&in4;
	socklen_t len = sizeof(in4);
	int fds[201], n = 0;

	*low = *high = 0;
	in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in6.sin6_port = in4.sin_port = htons(connecting ? 9 : 0);
	if (family == AF_INET6) {
		sa = (struct sockaddr *)&in6;
		len = sizeof(in6);
	}
	while (n < 201) {
		fds[n] = socket(family, SOCK_DGRAM, 0);
		if ((connecting ? connect(fds[n], sa, len) : bind(fds[n], sa, len)) < 0) {
			close(fds[n]);
			break;
		}
		if (local_port(fds[n]) >= 20150)
			++*high;
		else
			++*low;
		n++;
	}
	while (n--)
		close(fds[n]);
}

static void test_kernel(void)
{
	static const struct {
		int family;
		bool connecting;
		const char *name;
	} ways[] = { { AF_INET, false, "IPv4-bind" },
		     { AF_INET, true, "IPv4-connect" },
		     { AF_INET6, false, "IPv6-bind" },
		     { AF_INET6, true, "IPv6-connect" } };
	struct jpx_reserved added;
	unsigned int low[3], high[3];
	char name[64];

	set_list("");
	write_file(RANGE_PATH, "20000 20199\n");
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		memset(&added, 0, sizeof(added));
		exhaust(ways[i].family, ways[i].connecting, &low[0], &high[0]);
		local_ports_reserve(19000, 1150, &added, err, sizeof(err));
		exhaust(ways[i].family, ways[i].connecting, &low[1], &high[1]);
		local_ports_release(&added, err, sizeof(err));
		exhaust(ways[i].family, ways[i].connecting, &low[2], &high[2]);
		snprintf(name, sizeof(name), "%s-gets-no-reserved-port", ways[i].name);
		ok(holds(low[0] == 150 && high[0] == 50) && holds(low[1] == 0 && high[1] == 50) &&
			   holds(low[2] == 150 && high[2] == 50),
		   name);
	}
	write_file(RANGE_PATH, "32768 60999\n");
}

/* ---- scanning ---- */

static enum { AS_IT_IS, INTERRUPTED, ERROR, SILENT } kernel;
static int kernel_error;
static unsigned int kernel_times; /* so many more dumps are like that */
static unsigned int reads;

ssize_t __real_mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t len);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t len);

ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t len)
{
	struct nlmsghdr *nlh = buf;
	ssize_t n;

	reads++;
	if (kernel == SILENT) {
		usleep(1000);
		errno = EINTR;
		return -1;
	}
	n = __real_mnl_socket_recvfrom(nl, buf, len);
	if (n < (ssize_t)sizeof(*nlh) || !kernel_times || kernel == AS_IT_IS)
		return n;
	kernel_times--;
	if (kernel == INTERRUPTED) {
		nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
		return n;
	}
	nlh->nlmsg_type = NLMSG_ERROR;
	nlh->nlmsg_len = NLMSG_HDRLEN + sizeof(struct nlmsgerr);
	memset(nlh + 1, 0, sizeof(struct nlmsgerr));
	memcpy(nlh + 1, &kernel_error, sizeof(kernel_error));
	return nlh->nlmsg_len;
}

static unsigned int load_us; /* how long the kernel takes to load udp_diag, once */

ssize_t __real_mnl_socket_sendto(const struct mnl_socket *nl, const void *buf, size_t len);
ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *nl, const void *buf, size_t len);

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *nl, const void *buf, size_t len)
{
	usleep(load_us);
	load_us = 0;
	return __real_mnl_socket_sendto(nl, buf, len);
}

static char seen[65536];
static unsigned int told;

/* Each as "ADDR PORT IFINDEX[ to PEER PEER_PORT]" */
static void on_socket(void *arg, const struct in6_addr *addr, uint16_t port, uint32_t ifindex,
		      bool connected, const struct in6_addr *peer, uint16_t peer_port)
{
	char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN], line[160];

	told++;
	if (arg != seen)
		return;
	inet_ntop(AF_INET6, addr, a, sizeof(a));
	inet_ntop(AF_INET6, peer, b, sizeof(b));
	snprintf(line, sizeof(line), connected ? "%s %u %u to %s %u\n" : "%s %u %u\n", a, port,
		 ifindex, b, peer_port);
	if (!connected && (!IN6_IS_ADDR_UNSPECIFIED(peer) || peer_port))
		strcat(seen, "# peer of none: ");
	if (strlen(seen) + strlen(line) < sizeof(seen))
		strcat(seen, line);
}

static int scan(void)
{
	*seen = *err = 0;
	told = reads = 0;
	return local_ports_scan(20000, 101, on_socket, seen, err, sizeof(err));
}

static bool saw(const char *line)
{
	const char *at = strstr(seen, line);
	bool found = at && (at == seen || at[-1] == '\n') && at[strlen(line)] == '\n';

	if (!found)
		printf("# \"%s\" is not in\n%s", line, seen);
	return found;
}

static int opened[16], opened_count;
static int v6only;

static int udp(int family, const char *addr, uint16_t port, int protocol)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(family, protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, protocol);

	if (fd < 0)
		return -1;
	inet_pton(family, addr, family == AF_INET ? (void *)&in4.sin_addr : &in6.sin6_addr);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	if (bind(fd, family == AF_INET ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6,
		 family == AF_INET ? sizeof(in4) : sizeof(in6)) ||
	    (protocol == IPPROTO_TCP && listen(fd, 1))) {
		printf("not ok binds-%s-%u: %s\n", addr, port, strerror(errno));
		exit(1);
	}
	opened[opened_count++] = fd;
	return fd;
}

static void udp_connect(int family, const char *addr, uint16_t port, const char *peer)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(7) };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(7) };
	int fd = udp(family, addr, port, 0);

	inet_pton(family, peer, family == AF_INET ? (void *)&in4.sin_addr : &in6.sin6_addr);
	connect(fd, family == AF_INET ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6,
		family == AF_INET ? sizeof(in4) : sizeof(in6));
}

static bool saw_all(void)
{
	return saw("::ffff:0.0.0.0 20000 0") && saw("::ffff:127.0.0.2 20001 0") &&
	       saw(":: 20002 0") && saw("::ffff:0.0.0.0 20002 0") && saw("::1 20003 0") &&
	       saw("::ffff:127.0.0.3 20004 0") &&
	       saw("::ffff:127.0.0.1 20005 0 to ::ffff:127.0.0.9 7") &&
	       saw("::1 20006 0 to ::1 7") &&
	       saw("::ffff:127.0.0.1 20010 0 to ::ffff:127.0.0.8 7") && saw(":: 20007 1") &&
	       saw(":: 20100 0");
}

static void test_scan(void)
{
	udp(AF_INET, "0.0.0.0", 20000, 0);
	udp(AF_INET, "127.0.0.2", 20001, 0);
	udp(AF_INET6, "::", 20002, 0);
	udp(AF_INET6, "::1", 20003, 0);
	udp(AF_INET6, "::ffff:127.0.0.3", 20004, 0);
	udp_connect(AF_INET, "0.0.0.0", 20005, "127.0.0.9");
	udp_connect(AF_INET6, "::", 20006, "::1");
	udp_connect(AF_INET6, "::", 20010, "::ffff:127.0.0.8");
	setsockopt(udp(AF_INET6, "::", 20007, 0), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	v6only = 1;
	udp(AF_INET6, "::", 20100, 0);
	v6only = 0;
	/* not of concern */
	udp(AF_INET, "0.0.0.0", 19999, 0);
	udp(AF_INET, "0.0.0.0", 20101, 0);
	udp(AF_INET, "0.0.0.0", 20050, IPPROTO_TCP);
	if (udp(AF_INET, "0.0.0.0", 20051, IPPROTO_UDPLITE) < 0)
		printf("# no UDP-Lite here\n");

	/* Ten, and :: of 20002 and 20007 are of both families. */
	kernel = AS_IT_IS;
	ok(holds(!scan()) && holds(saw_all()) && holds(told == 12), "tells-every-kind-of-socket");
	ok(holds(!strstr(seen, "::ffff:0.0.0.0 20100")), "v6-only-does-not-hold-IPv4");

	kernel = ERROR, kernel_error = -EINVAL, kernel_times = 1;
	ok(holds(!scan()) && holds(saw_all()) && holds(told == 12), "without-the-kernel's-filter");
	kernel = ERROR, kernel_error = -EINVAL, kernel_times = 1000;
	ok(holds(scan() == -EINVAL) && holds(reads < 10), "a-kernel-that-refuses-both");
	kernel = ERROR, kernel_error = -ENOENT, kernel_times = 1;
	ok(holds(scan() == -ENOENT) && holds(says("modprobe udp_diag")) &&
		   holds(says("UDP ports 20000-20100")),
	   "a-kernel-without-udp_diag");
	kernel = AS_IT_IS, load_us = 1500000;
	ok(holds(!scan()) && holds(saw_all()), "a-kernel-that-is-slow-to-load-udp_diag");
	kernel = INTERRUPTED, kernel_times = 2;
	ok(holds(!scan()) && holds(saw_all()), "interrupted-twice");
	kernel = INTERRUPTED, kernel_times = 1000;
	ok(holds(scan() == -EAGAIN) && holds(reads < 20) && holds(says("change too fast")),
	   "interrupted-always");
	kernel = SILENT;
	{
		long start = now_us();

		ok(holds(scan() == -ETIMEDOUT) && holds(now_us() - start < 2000000),
		   "a-kernel-that-does-not-answer");
	}
	kernel = AS_IT_IS;
	ok(holds(local_ports_scan(0, 5, on_socket, NULL, err, sizeof(err)) == -EINVAL) &&
		   holds(says("not a range")),
	   "scans-no-wrong-range");
	while (opened_count)
		close(opened[--opened_count]);
}

static long timed_scan(unsigned int first, unsigned int count)
{
	long start = now_us();

	told = reads = 0;
	*err = 0;
	local_ports_scan(first, count, on_socket, NULL, err, sizeof(err));
	return now_us() - start;
}

/* Binds ports 20000 to 20999 of 127.1.1.N, says so, and holds them until STOP closes. */
static void hold_many(unsigned int n, int ready, int stop)
{
	struct rlimit limit = { 1100, 1100 };
	struct sockaddr_in sa = { .sin_family = AF_INET };
	unsigned int i;

	setrlimit(RLIMIT_NOFILE, &limit);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x10100 + n);
	for (i = 0; i < 1000; i++) {
		sa.sin_port = htons((uint16_t)(20000 + i));
		if (bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&sa, sizeof(sa)))
			break;
	}
	if (write(ready, i == 1000 ? "y" : "n", 1) != 1 || read(stop, &i, 1))
		_exit(1);
	_exit(0);
}

/* 1000 sockets a process: more than one process may have open. */
static void test_many(unsigned int thousands)
{
	int ready[2], stop[2];
	long within, outside;
	unsigned int i;
	char answer = 'y';

	if (pipe(ready) || pipe(stop))
		exit(1);
	fflush(stdout);
	for (i = 0; i < thousands; i++) {
		if (fork())
			continue;
		close(stop[1]);
		hold_many(i, ready[1], stop[0]);
	}
	for (i = 0; i < thousands && answer == 'y'; i++)
		if (read(ready[0], &answer, 1) != 1)
			answer = 'n';
	within = timed_scan(20000, 1000);
	ok(holds(answer == 'y') && holds(told == thousands * 1000) && holds(!*err),
	   "tells-every-one-of-many");
	outside = timed_scan(21000, 1000);
	/* The end of each dump and no more: it was the kernel that left them out. */
	ok(holds(!told) && holds(!*err) && holds(reads == 2), "tells-none-of-many");
	printf("# %u sockets: %ld us where all are of the range, %ld us where none is\n",
	       thousands * 1000, within, outside);
	ok(holds(within < 20000 * (long)(thousands + 10)) &&
		   holds(outside < 10000 * (long)(thousands + 10)),
	   "is-fast");
	close(stop[1]);
	for (i = 0; i < thousands; i++)
		wait(NULL);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
}

int main(int argc, char **argv)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("not ok namespaces: %s\n", strerror(errno));
		return 1;
	}
	loopback_up();
	test_neighbours();
	test_others_later();
	test_long();
	test_arguments();
	test_kill();
	test_refused();
	test_kernel();
	test_scan();
	test_many(argc > 1 ? (unsigned int)atoi(argv[1]) : 10);
	return failures != 0;
}
