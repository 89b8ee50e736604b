/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A pledge behind a TUN device, and its Registrar: bare IPv6 on the pledge's side,
 * one datagram each way, both compared byte for byte, and the counters that they
 * move.  Prints "ok NAME" or "not ok NAME" a check.
 *
 *   tun_pledge LAB RUN_DIR IFNAME FORM FAST
 *
 * Makes the device IFNAME in the proxy's namespace and keeps it until SIGTERM; waits
 * for jpd's first service to serve it, and says "# done" when all is judged.  FAST is how many of
 * the two datagrams the fast path is to relay.  The encoder is the tests' own, as in wire.h.
 */
#include <linux/if_tun.h>
#include <signal.h>

#include "wire.h"

#define PLEDGE_ADDR "fe80::5eed:1"
#define PLEDGE_PORT 48551
#define JPY_PORT    7634
#define PORT_ID	    1
#define PATIENCE_MS 2000

static const char *run_dir;
static int failures;
static const uint8_t question[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4 };
/* Odd in length, and with bytes that a sum in the wrong order would not survive. */
static const uint8_t answer[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0,    0,    1,
				  0,  8,    1,	  2, 3, 4, 5, 6, 0xab, 0xcd, 0xef };

static void judge(bool good, const char *name)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	failures += !good;
}

static int tun_open(const char *ifname)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("cannot make the TUN device %s: %s (is /dev/net/tun there?)", ifname,
		    strerror(errno));
	return fd;
}

static int registrar_open(void)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(JPY_PORT) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	frame_addr(REGISTRAR_ADDR, sa.sin6_addr.s6_addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("cannot listen on port %u: %s", JPY_PORT, strerror(errno));
	return fd;
}

static const char *word(const json_t *of, const char *key)
{
	const char *text = json_string_value(json_object_get(of, key));

	return text ? text : "";
}

/* The port and the service, borrowed from the status that is returned; NULL if not yet. */
static json_t *serving(const char *ifname, json_t **port, json_t **service)
{
	json_t *status = ask_jpd(run_dir, "status");

	*port = json_array_get(json_object_get(status, "ports"), 0);
	*service = json_array_get(json_object_get(status, "services"), 0);
	if (!strcmp(word(*port, "ifname"), ifname) && !strcmp(word(*port, "state"), "ready") &&
	    !strcmp(word(*service, "state"), "serving"))
		return status;
	json_decref(status);
	return NULL;
}

static json_t *wait_until_serving(const char *ifname, json_t **port, json_t **service)
{
	char path[200];
	json_t *status;

	snprintf(path, sizeof(path), "%s/jpd.sock", run_dir);
	for (int i = 0; i < 1000; i++) {
		status = access(path, F_OK) ? NULL : serving(ifname, port, service);
		if (status)
			return status;
		usleep(10000);
	}
	die("%s is not served after 10 seconds", ifname);
}

/* The datagram that comes next, of UDP from SPORT to DPORT if it has an IPv6 header. */
static size_t take(int fd, uint8_t *buf, size_t cap, unsigned int sport, unsigned int dport)
{
	uint64_t until = now_us() + PATIENCE_MS * 1000;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while (now_us() < until) {
		poll(&p, 1, 20);
		n = read(fd, buf, cap);
		if (n <= 0)
			continue;
		/* The kernel's own multicast (MLD, router solicitations) comes by here, too. */
		if (!sport || (n >= IP6_LEN + UDP_LEN && buf[6] == 17 &&
			       get16(buf + IP6_LEN) == sport && get16(buf + IP6_LEN + 2) == dport))
			return (size_t)n;
	}
	return 0;
}

static json_int_t count(json_t *stats, const char *of, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(stats, of), key));
}

static json_int_t sum_of(json_t *counters)
{
	json_int_t sum = 0;
	const char *key;
	json_t *value;

	json_object_foreach(counters, key, value)
		sum += json_integer_value(value);
	return sum;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 proxy;
	socklen_t proxy_len = sizeof(proxy);
	struct wire_pledge self = { .udp_port = PLEDGE_PORT, .port_id = PORT_ID };
	struct frame_spec spec = { .bare = true, .sport = PLEDGE_PORT };
	static struct bytes message;
	static uint8_t got[WIRE_DATAGRAM_MAX], frame[FRAME_MAX];
	json_t *status, *port, *service, *stats;
	unsigned int join_port;
	enum jpx_form form;
	int tun, registrar;
	json_int_t fast;
	size_t len;

	sigset_t term;
	int sig;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (argc != 6) {
		fprintf(stderr, "usage: tun_pledge LAB RUN_DIR IFNAME FORM FAST\n");
		return 2;
	}
	run_dir = argv[2];
	form = form_named(argv[4]);
	fast = atoi(argv[5]);
	enter(argv[1], "registrar");
	registrar = registrar_open();
	enter(argv[1], "proxy");
	tun = tun_open(argv[3]);

	status = wait_until_serving(argv[3], &port, &service);
	judge(!strcmp(word(port, "link"), "ipv6"), "link-is-ipv6");
	join_port = (unsigned int)json_integer_value(json_object_get(service, "join_port"));
	frame_addr(PLEDGE_ADDR, self.addr);
	memcpy(spec.src, self.addr, 16);
	frame_addr(word(port, "address"), spec.dst);
	spec.dport = (uint16_t)join_port;

	/* What is no DTLS comes to nothing. */
	spec.content = "GET / HTTP/1.1";
	spec.content_len = 14;
	len = frame_build(&spec, frame);
	judge(write(tun, frame, len) == (ssize_t)len, "wrong-one-sent");

	/* Pledge to Registrar. */
	spec.content = question;
	spec.content_len = sizeof(question);
	len = frame_build(&spec, frame);
	judge(write(tun, frame, len) == (ssize_t)len, "sent");
	for (len = 0; !len;) {
		struct pollfd p = { .fd = registrar, .events = POLLIN };

		if (poll(&p, 1, PATIENCE_MS) <= 0)
			break;
		len = (size_t)recvfrom(registrar, got, sizeof(got), 0, (struct sockaddr *)&proxy,
				       &proxy_len);
	}
	add_message(&message, form, &self, question, sizeof(question), 0);
	judge(len == message.len && !memcmp(got, message.at, len), "at-registrar-as-it-should-be");

	/* Registrar to pledge. */
	message.len = 0;
	add_message(&message, form, &self, answer, sizeof(answer), 0);
	judge(len && sendto(registrar, message.at, message.len, 0, (struct sockaddr *)&proxy,
			    proxy_len) == (ssize_t)message.len,
	      "answered");
	memcpy(self.addr, spec.dst, 16); /* the same two, the other way */
	memcpy(spec.dst, spec.src, 16);
	memcpy(spec.src, self.addr, 16);
	spec.sport = (uint16_t)join_port;
	spec.dport = PLEDGE_PORT;
	spec.content = answer;
	spec.content_len = sizeof(answer);
	frame_build(&spec, frame);
	len = take(tun, got, sizeof(got), join_port, PLEDGE_PORT);
	/* The flow label of what the socket engine sends is the kernel's to choose. */
	judge(len == IP6_LEN + UDP_LEN + sizeof(answer) && !memcmp(got + 4, frame + 4, len - 4),
	      "at-pledge-as-it-should-be");
	judge(len && frame_csum_ok(got, len, 0), "checksum-at-pledge");
	json_decref(status);

	stats = ask_jpd(run_dir, "stats");
	judge(count(stats, "to_registrar", "packets") == 1 &&
		      count(stats, "to_registrar", "bytes") == sizeof(question) &&
		      count(stats, "to_pledge", "packets") == 1 &&
		      count(stats, "to_pledge", "bytes") == sizeof(answer),
	      "counted-each-way");
	printf("# %lld by the fast path, %lld by the socket engine\n",
	       (long long)count(stats, "fast_path", "packets"),
	       (long long)count(stats, "socket", "packets"));
	judge(count(stats, "fast_path", "packets") == fast &&
		      count(stats, "socket", "packets") == 2 - fast,
	      "by-the-engine-meant");
	judge(count(stats, "handoffs", "no_transmit") == (fast == 1), "return-way-handed-off");
	judge(count(stats, "drops", "not_dtls") == 1 &&
		      sum_of(json_object_get(stats, "drops")) == 1,
	      "wrong-one-dropped-and-nothing-else");
	json_decref(stats);
	puts("# done");
	sigwait(&term, &sig);
	return failures > 0;
}
