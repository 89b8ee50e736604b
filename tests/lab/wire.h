/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ends of the lab's wires, for tests that send what no stack would: frames
 * in and out at the far ends of the proxy's links, JPY messages built by hand,
 * and the proxy's own account of itself from jpd's control socket.
 *
 * The encoder here is the test's own: it must never call ctl/common/jpy.c, which
 * is what is measured.  A header of static functions, since each lab program is
 * compiled from one file; that is why frame.c is included, too.
 */
#ifndef JPX_TESTS_WIRE_H
#define JPX_TESTS_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jpx/forms.h>

#include "../packet/frame.c"

#define WIRE_DATAGRAM_MAX 65535
#define WIRE_ETH	  14
#define WIRE_HEADERS	  (WIRE_ETH + IP6_LEN + UDP_LEN)
#define REGISTRAR_ADDR	  "2001:db8:2::52"

static inline void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static inline void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- chance, the same in every run (xorshift64*) --------------------------- */

static uint64_t wire_chance = 1;

static inline uint64_t chance(void)
{
	wire_chance ^= wire_chance >> 12;
	wire_chance ^= wire_chance << 25;
	wire_chance ^= wire_chance >> 27;
	return wire_chance * 2685821657736338717ULL;
}

static inline unsigned int chance_below(unsigned int n)
{
	return (unsigned int)((chance() >> 32) % n);
}

static inline void chance_bytes(uint8_t *p, size_t len)
{
	while (len--)
		*p++ = (uint8_t)(chance() >> 40);
}

/* ---- taps: an interface in a namespace of the lab ----------------------------- */

struct tap {
	int fd;
	uint64_t mac;
};

static inline void enter(const char *lab, const char *who)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s-%s", lab, who);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die("cannot enter %s: %s (is the lab up, are we root?)", path, strerror(errno));
	close(fd);
}

static inline uint64_t mac_number(const void *mac)
{
	const uint8_t *p = mac;
	uint64_t n = 0;

	for (int i = 0; i < 6; i++)
		n = n << 8 | p[i];
	return n;
}

/* Of an interface in the namespace that we are in. */
static inline uint64_t mac_of(const char *ifname)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr))
		die("%s: %s", ifname, strerror(errno));
	close(fd);
	return mac_number(ifr.ifr_hwaddr.sa_data);
}

static inline struct tap tap_open(const char *lab, const char *who, const char *ifname)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) };
	int one = 1, size = 64 << 20;
	struct tap tap;

	enter(lab, who);
	sll.sll_ifindex = (int)if_nametoindex(ifname);
	tap.mac = mac_of(ifname);
	tap.fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_IPV6));
	if (tap.fd < 0 ||
	    setsockopt(tap.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(tap.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(tap.fd, (struct sockaddr *)&sll, sizeof(sll)))
		die("cannot tap %s: %s", ifname, strerror(errno));
	return tap;
}

static inline void tap_send(const struct tap *tap, const void *frame, size_t len)
{
	while (send(tap->fd, frame, len, 0) < 0) {
		if (errno != EAGAIN && errno != ENOBUFS)
			die("cannot send a frame of %zu bytes: %s", len, strerror(errno));
		poll(&(struct pollfd){ .fd = tap->fd, .events = POLLOUT }, 1, 10);
	}
}

/* The next frame that came in, or 0. */
static inline size_t tap_next(const struct tap *tap, uint8_t *buf, size_t cap)
{
	ssize_t n = recv(tap->fd, buf, cap, 0);

	return n > 0 ? (size_t)n : 0;
}

static inline uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Is it UDP, from SPORT to DPORT where these are not 0?  Whole, or a first fragment. */
static inline bool is_udp(const uint8_t *frame, size_t len, unsigned int sport, unsigned int dport)
{
	const uint8_t *udp = frame + WIRE_ETH + IP6_LEN;

	if (len < WIRE_HEADERS || get16(frame + 12) != ETH_P_IPV6)
		return false;
	if (frame[WIRE_ETH + 6] == 44 && len >= WIRE_HEADERS + 8 && udp[0] == 17 &&
	    !(get16(udp + 2) & 0xfff8))
		udp += 8;
	else if (frame[WIRE_ETH + 6] != 17)
		return false;
	return (!sport || get16(udp) == sport) && (!dport || get16(udp + 2) == dport);
}

/* ---- JPY messages, byte by byte -------------------------------------------------- */

struct bytes {
	size_t len;
	uint8_t at[WIRE_DATAGRAM_MAX + 64];
};

struct wire_pledge {
	uint8_t addr[16];
	uint64_t mac;
	uint16_t udp_port;
	uint8_t port_id;
};

static inline void add(struct bytes *b, const void *data, size_t len)
{
	if (len > sizeof(b->at) - b->len)
		die("the test builds more than a datagram");
	if (len)
		memcpy(b->at + b->len, data, len);
	b->len += len;
}

static inline void add_number(struct bytes *b, uint64_t value, int bytes)
{
	uint8_t be[8];

	put(be, value, bytes);
	add(b, be, (size_t)bytes);
}

/* A CBOR head whose argument has EXTRA (1, 2, 4, 8) bytes, or none. */
static inline void add_head_of(struct bytes *b, unsigned int major, uint64_t value, int extra)
{
	static const uint8_t info[] = { 0, 24, 25, 0, 26, 0, 0, 0, 27 };

	add_number(b, major << 5 | (extra ? info[extra] : value), 1);
	add_number(b, value, extra);
}

/* The shortest head, or one WIDER (0 to 3) steps longer. */
static inline void add_head(struct bytes *b, unsigned int major, uint64_t value, int wider)
{
	int extra = value < 24 ? 0 : value < 256 ? 1 : value < 65536 ? 2 : value >> 32 ? 8 : 4;

	for (; wider > 0 && extra < 8; wider--)
		extra = extra ? 2 * extra : 1;
	add_head_of(b, major, value, extra);
}

static inline void add_header21(struct bytes *b, const struct wire_pledge *p)
{
	add_number(b, 1, 1);
	add_number(b, p->port_id, 1);
	add_number(b, p->udp_port, 2);
	add(b, p->addr + 8, 8);
	add_number(b, p->mac, 6);
}

/* A message in FORM, each of its heads up to WIDEN steps wider than need be, by chance. */
static inline void add_message(struct bytes *b, enum jpx_form form, const struct wire_pledge *p,
			       const void *content, size_t len, unsigned int widen)
{
#define WIDER (widen ? (int)chance_below(widen + 1) : 0)
	switch (form) {
	case JPX_FORM_DRAFT21:
		add_head(b, 4, 2, WIDER);
		add_head(b, 2, 18, WIDER);
		add_header21(b, p);
		break;
	case JPX_FORM_DRAFT01:
		add_head(b, 4, 4, WIDER);
		add_head(b, 0, 60, WIDER);
		add_head(b, 4, p->udp_port == 5684 ? 2 : 3, WIDER);
		add_head(b, 2, 16, WIDER);
		add(b, p->addr, 16);
		if (p->udp_port != 5684)
			add_head(b, 0, p->udp_port, WIDER);
		add_head(b, 0, p->port_id, WIDER);
		add_head(b, 0, 281, WIDER);
		break;
	default:
		add_head(b, 4, 5, WIDER);
		add_head(b, 2, 16, WIDER);
		add(b, p->addr, 16);
		add_head(b, 0, p->udp_port, WIDER);
		add_head(b, 0, form == JPX_FORM_DRAFT02 ? 10 : 2, WIDER);
		add_head(b, 0, p->port_id, WIDER);
		break;
	}
	add_head(b, 2, len, WIDER);
	add(b, content, len);
#undef WIDER
}

static inline enum jpx_form form_named(const char *name)
{
#define NAMED(sym, word, family, text)                                                             \
	if (!strcmp(name, word))                                                                   \
		return JPX_FORM_##sym;
	JPX_FORMS(NAMED)
#undef NAMED
	die("no JPY form: %s", name);
}

/* ---- what jpd says -------------------------------------------------------------------- */

/* The result of VERB; the caller owns the reference. */
static inline json_t *ask_jpd(const char *run_dir, const char *verb)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	json_t *answer, *result;
	json_error_t err;
	char text[64];
	FILE *f;
	int fd;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/jpd.sock", run_dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)))
		die("jpd does not answer at %s: %s", un.sun_path, strerror(errno));
	snprintf(text, sizeof(text), "{\"verb\":\"%s\"}\n", verb);
	if (write(fd, text, strlen(text)) < 0)
		die("jpd does not listen: %s", strerror(errno));
	f = fdopen(fd, "r");
	answer = json_loadf(f, JSON_DISABLE_EOF_CHECK, &err);
	fclose(f);
	result = answer ? json_object_get(answer, "result") : NULL;
	if (!json_is_object(result))
		die("jpd gives no %s: %s", verb, answer ? "refused" : err.text);
	json_incref(result);
	json_decref(answer);
	return result;
}

#endif
