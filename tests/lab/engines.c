/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Feeds a list of datagrams, the same for the same seed, to the proxy from both
 * sides and writes every frame that comes out, one line of hex each, for
 * engines.sh to compare between the two engines.  Judges by itself only what can
 * be judged from one frame: that lengths agree and the checksum is right.
 *
 *   engines neighbours FORM          what the proxy's neighbour table has to hold
 *   engines run LAB RUN_DIR FORM     the lab needs three pledge ports, attached in
 *                                    order, and a service that relays any content
 */
#include "wire.h"

#define SEED	    20260917
#define PORTS	    3
#define PLEDGES	    96
#define FORWARD	    1500
#define BACKWARD    1500
#define JPY_PORT    7634
#define WINDOW	    16
#define CONTENT_MAX 1400

#ifndef JPX_TEST_DIR
#define JPX_TEST_DIR "tests/unit"
#endif
#include "../unit/vectors.h"

static struct wire_pledge pledges[PLEDGES];
static struct tap gateway, pledge_ends[PORTS];
static uint8_t pj_addr[PORTS][16], uplink_addr[16];
static uint64_t pj_mac[PORTS], up_mac;
static unsigned int join_port, uplink_port;
static unsigned int out, wrong;

static void put_iid(uint8_t addr[16], uint64_t iid)
{
	put(addr, 0xfe80000000000000, 8);
	put(addr + 8, iid, 8);
}

static uint64_t eui64(uint64_t mac)
{
	mac ^= 0x020000000000;
	return (mac >> 24) << 40 | 0xfffe000000 | (mac & 0xffffff);
}

/* Addresses that tell their MAC, that tell nothing of it, and that lie about it. */
static void make_pledges(void)
{
	static const uint16_t udp_ports[] = { 1, 23, 24, 255, 256, 5684, 48551, 65535 };

	for (unsigned int i = 0; i < PLEDGES; i++) {
		struct wire_pledge *p = &pledges[i];
		uint64_t iid;

		p->mac = (chance() & 0xfeffffffffff) | 0x020000000000;
		switch (i / PORTS % 4) {
		case 0:
		case 1:
			iid = eui64(p->mac);
			break;
		case 2:
			iid = chance() | 1;
			break;
		default:
			/* The last of these lie, so that all ports see both worlds. */
			iid = i < PLEDGES / 2 ? i + 1 : eui64(p->mac ^ 0xff00);
		}
		put_iid(p->addr, iid);
		p->udp_port = chance_below(2) ? udp_ports[chance_below(8)]
					      : (uint16_t)(1 + chance_below(65535));
		p->port_id = (uint8_t)(1 + i % PORTS);
	}
}

/* ---- the pledges that the vectors name -------------------------------------- */

static bool vector_pledge(const json_t *vector, struct wire_pledge *p)
{
	const json_t *named = json_object_get(vector, "pledge");
	const char *mac = json_string_value(json_object_get(named, "mac"));

	if (!named)
		return false;
	frame_addr(json_string_value(json_object_get(named, "addr")), p->addr);
	if (p->addr[0] != 0xfe)
		return false; /* IPv4: the ports here have no such address */
	p->port_id = (uint8_t)json_integer_value(json_object_get(named, "port_id"));
	p->udp_port = (uint16_t)json_integer_value(json_object_get(named, "udp_port"));
	p->mac = mac_number(p->addr + 8) ^ 0x020000000000;
	p->mac = (p->mac & 0xffffff000000) | (mac_number(p->addr + 10) & 0xffffff);
	if (mac)
		p->mac = strtoull(mac, NULL, 16);
	return true;
}

static bool vector_is_of(const json_t *vector, const char *form)
{
	return !strcmp(json_string_value(json_object_get(vector, "form")), form);
}

static void print_neighbour(const struct wire_pledge *p)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t m[6];

	inet_ntop(AF_INET6, p->addr, text, sizeof(text));
	put(m, p->mac, 6);
	printf("neigh replace %s lladdr %02x:%02x:%02x:%02x:%02x:%02x dev pj%d nud permanent\n",
	       text, m[0], m[1], m[2], m[3], m[4], m[5], p->port_id - 1);
}

static int neighbours(const char *form)
{
	json_t *root, *list = test_vectors(&root), *vector;
	struct wire_pledge p;
	size_t i;

	for (i = 0; i < PLEDGES; i++)
		print_neighbour(&pledges[i]);
	json_array_foreach(list, i, vector)
		if (vector_is_of(vector, form) && vector_pledge(vector, &p) && p.port_id >= 1 &&
		    p.port_id <= PORTS)
			print_neighbour(&p);
	json_decref(root);
	return 0;
}

/* ---- what comes out ------------------------------------------------------------ */

/* WHERE 0 is the gateway, else a pledge port.  The uplink port is the kernel's
 * choice and may differ between runs: its place is blanked, and the checksum made
 * anew in full, once it was found right. */
static void record(unsigned int where, uint8_t *frame, size_t len)
{
	uint8_t *ip6 = frame + WIRE_ETH, *udp = ip6 + IP6_LEN;

	out++;
	if (get16(ip6 + 4) != len - WIRE_ETH - IP6_LEN || get16(udp + 4) != get16(ip6 + 4) ||
	    !frame_csum_ok(frame, len, WIRE_ETH)) {
		wrong++;
		fprintf(stderr, "wrong length or checksum at %u:", where);
		for (size_t i = 0; i < len && i < 120; i++)
			fprintf(stderr, "%s%02x", i % 4 ? "" : " ", frame[i]);
		fputc('\n', stderr);
	}
	if (where == 0) {
		put(udp, 0, 4);
		put(udp + 2, JPY_PORT, 2);
		put(udp + 6, 0, 2);
		put(udp + 6,
		    ~sum_words(sum_pseudo(ip6, get16(udp + 4)), udp, get16(udp + 4)) & 0xffff, 2);
	}
	printf("%u ", where);
	for (size_t i = 0; i < len; i++)
		printf("%02x", frame[i]);
	putchar('\n');
}

static void collect(void)
{
	uint8_t frame[4096];
	size_t len;

	while ((len = tap_next(&gateway, frame, sizeof(frame))))
		if (is_udp(frame, len, uplink_port, 0))
			record(0, frame, len);
	for (unsigned int i = 0; i < PORTS; i++)
		while ((len = tap_next(&pledge_ends[i], frame, sizeof(frame))))
			if (is_udp(frame, len, join_port, 0))
				record(i + 1, frame, len);
}

/* Until as many as WANTED came out, or nothing more does for a while. */
static void wait_until(unsigned int wanted, unsigned int patience_us)
{
	uint64_t end = now_us() + patience_us;
	unsigned int before = out;

	while (out < wanted && now_us() < end) {
		collect();
		if (out != before) {
			before = out;
			end = now_us() + patience_us;
		}
		usleep(50);
	}
	collect();
}

/* ---- what goes in ----------------------------------------------------------------- */

static size_t content_of(unsigned int i, uint8_t *content, const uint8_t src[16],
			 const uint8_t dst[16], unsigned int sport, unsigned int dport)
{
	static const uint16_t lengths[] = { 0,	1,   2,	  3,   22,  23,	 24,   25,
					    26, 254, 255, 256, 257, 258, 1399, CONTENT_MAX };
	size_t len = i < 160 ? lengths[i % 16] : chance_below(CONTENT_MAX + 1);
	uint8_t ip6[IP6_LEN] = { 0 }, udp[UDP_LEN] = { 0 };
	uint32_t sum;

	chance_bytes(content, len);
	if (i % 97 == 0)
		memset(content, 0, len);
	else if (i % 89 == 0)
		memset(content, 0xff, len);
	if (i % 7 || len < 2)
		return len;
	/* Make the datagram's checksum come out as 0, that is sent as ffff. */
	memcpy(ip6 + 8, src, 16);
	memcpy(ip6 + 24, dst, 16);
	put(udp, sport, 2);
	put(udp + 2, dport, 2);
	put(udp + 4, UDP_LEN + len, 2);
	put(content, 0, 2);
	sum = sum_words(sum_pseudo(ip6, UDP_LEN + len), udp, UDP_LEN);
	put(content, ~sum_words(sum, content, len) & 0xffff, 2);
	return len;
}

static void send_forward(unsigned int i)
{
	const struct wire_pledge *p = &pledges[i < 160 ? i % PLEDGES : chance_below(PLEDGES)];
	uint8_t content[CONTENT_MAX], frame[FRAME_MAX];
	unsigned int end = p->port_id - 1U;
	struct frame_spec spec = {
		.dst_mac = pj_mac[end],
		.src_mac = p->mac,
		.class_flow = chance_below(2) ? 0 : (uint32_t)chance_below(1U << 28),
		.hop_limit = (uint8_t)(1 + chance_below(255)),
		.sport = p->udp_port,
		.dport = (uint16_t)join_port,
		.content = content,
	};

	memcpy(spec.src, p->addr, 16);
	memcpy(spec.dst, pj_addr[end], 16);
	spec.content_len = content_of(i, content, spec.src, spec.dst, spec.sport, spec.dport);
	tap_send(&pledge_ends[end], frame, frame_build(&spec, frame));
}

static void send_message(const struct bytes *message)
{
	uint8_t frame[FRAME_MAX];
	struct frame_spec spec = {
		.dst_mac = up_mac,
		.src_mac = gateway.mac,
		.sport = JPY_PORT,
		.dport = (uint16_t)uplink_port,
		.content = message->at,
		.content_len = message->len,
	};

	frame_addr(REGISTRAR_ADDR, spec.src);
	memcpy(spec.dst, uplink_addr, 16);
	tap_send(&gateway, frame, frame_build(&spec, frame));
}

static void send_backward(unsigned int i, enum jpx_form form)
{
	const struct wire_pledge *p = &pledges[i < 160 ? i % PLEDGES : chance_below(PLEDGES)];
	static struct bytes message;
	uint8_t content[CONTENT_MAX];
	unsigned int widen = i % 8 ? 0 : 2;
	size_t len =
		content_of(i, content, pj_addr[p->port_id - 1], p->addr, join_port, p->udp_port);

	message.len = 0;
	add_message(&message, form, p, content, widen && len > 1300 ? 1300 : len, widen);
	if (i % 50 == 0) { /* an element more: the first byte says how many there are */
		message.at[0]++;
		if (message.at[0] >= 0x98)
			message.at[0]--;
		else
			add_number(&message, 0xf6, 1);
	}
	send_message(&message);
}

/* Each vector of FORM; returns how many have to come out. */
static unsigned int send_vectors(const char *form)
{
	json_t *root, *list = test_vectors(&root), *vector;
	static struct bytes message;
	unsigned int valid = 0, sent = 0;
	struct wire_pledge p;
	size_t i;

	json_array_foreach(list, i, vector) {
		if (!vector_is_of(vector, form))
			continue;
		message.len = test_message(vector, message.at, sizeof(message.at));
		if (message.len > 1452)
			continue;
		send_message(&message);
		sent++;
		if (vector_pledge(vector, &p) && p.port_id <= PORTS)
			valid++;
	}
	json_decref(root);
	fprintf(stderr, "%s: %u vectors, %u of them to be relayed\n", form, sent, valid);
	if (!sent)
		die("no vector of %s", form);
	return valid;
}

static void know_the_proxy(const char *lab, const char *run_dir)
{
	json_t *status = ask_jpd(run_dir, "status"), *service, *port;
	char name[16];
	size_t i;

	service = json_array_get(json_object_get(status, "services"), 0);
	join_port = (unsigned int)json_integer_value(json_object_get(service, "join_port"));
	uplink_port = (unsigned int)json_integer_value(json_object_get(service, "uplink_port"));
	frame_addr(json_string_value(json_object_get(service, "uplink_address")), uplink_addr);
	json_array_foreach(json_object_get(status, "ports"), i, port)
		if (i < PORTS)
			frame_addr(json_string_value(json_object_get(port, "address")), pj_addr[i]);
	json_decref(status);
	if (i != PORTS)
		die("%zu pledge ports are attached, the test wants %d", i, PORTS);
	enter(lab, "proxy");
	up_mac = mac_of("up0");
	for (i = 0; i < PORTS; i++) {
		snprintf(name, sizeof(name), "pj%zu", i);
		pj_mac[i] = mac_of(name);
	}
}

static int run(const char *lab, const char *run_dir, const char *form)
{
	unsigned int expected = 0;
	char name[16];

	know_the_proxy(lab, run_dir);
	gateway = tap_open(lab, "gateway", "gw0");
	for (unsigned int i = 0; i < PORTS; i++) {
		snprintf(name, sizeof(name), "pl%u", i);
		pledge_ends[i] = tap_open(lab, "pledge", name);
	}
	for (unsigned int i = 0; i < FORWARD; i++) {
		send_forward(i);
		if (++expected % WINDOW == 0)
			wait_until(expected, 200000);
	}
	wait_until(expected, 300000);
	for (unsigned int i = 0; i < BACKWARD; i++) {
		send_backward(i, form_named(form));
		if (++expected % WINDOW == 0)
			wait_until(expected, 200000);
	}
	wait_until(expected, 300000);
	expected += send_vectors(form);
	wait_until(expected + 1, 300000); /* one more than may come */
	fprintf(stderr, "%u datagrams expected, %u came out, %u of them wrong\n", expected, out,
		wrong);
	return out != expected || wrong;
}

int main(int argc, char **argv)
{
	wire_chance = SEED;
	make_pledges();
	if (argc == 3 && !strcmp(argv[1], "neighbours"))
		return neighbours(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "run"))
		return run(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: engines neighbours FORM | engines run LAB RUN_DIR FORM\n");
	return 2;
}
