/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv4 in the stateless fast path, on either side of the proxy or on both: every
 * verdict, one packet each; there and back again for every length; damaged frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <jpx/jpy.h>

#include "fixture.h"
#include "frame.h"
#include "groups.h"
#include "verdict.h"

#define AUTO (-1)

/* ---- pledge to Registrar --------------------------------------------------- */

#define PASS	     .is = { .kind = FOREIGN }
#define DROP(reason) .is = { .kind = DROPPED, .why = JPX_DROP_##reason }
/* An IPv4 address never tells the MAC: what goes up, or out without it, has it noted. */
#define RELAY	     .is = { .kind = RELAYED, .noted = true }
#define RELAY_21     .is = { .kind = RELAYED }
#define HAND(reason) .is = { .kind = HANDED, .noted = true, .why = JPX_HANDOFF_##reason }

struct pledge_case {
	const char *text;
	uint8_t port, service; /* 0: FX_PORT_DUAL, FX_SVC_02 */
	bool ipv6;	       /* the pledge is */
	int slot;	       /* 0: the port's */
	const char *src, *dst; /* NULL: as it should be */
	uint64_t src_mac;
	int sport; /* 0: as it should be, AUTO: zero */
	uint16_t dport;
	int ip_len, udp_len; /* added */
	size_t padding;
	enum frame_csum csum;
	size_t content_len;  /* 0: 21 */
	const char *options; /* hex */
	uint32_t frag;
	uint16_t head_xor;
	uint8_t words, proto;
	uint16_t ethertype;
	struct outcome is;
};

#define RR "0103040507000000" /* no-operation, record route */

static const struct pledge_case pledge_cases[] = {
	/* the ways out */
	{ "draft-02", RELAY },
	{ "draft-06", .service = FX_SVC_06, RELAY },
	{ "draft-21", .service = FX_SVC_21, RELAY_21 },
	{ "draft-02 to IPv4", .service = FX_SVC_4_02, RELAY },
	{ "draft-06 to IPv4", .service = FX_SVC_4_06, RELAY },
	{ "draft-21 to IPv4", .service = FX_SVC_4_21, RELAY_21 },
	{ "draft-02 to IPv4, IPv6 pledge", .ipv6 = true, .service = FX_SVC_4_02,
	  .is = { .kind = RELAYED } },
	{ "draft-06 to IPv4, IPv6 pledge", .ipv6 = true, .service = FX_SVC_4_06,
	  .is = { .kind = RELAYED } },
	{ "draft-21 to IPv4, IPv6 pledge", .ipv6 = true, .service = FX_SVC_4_21, RELAY_21 },
	{ "tagged", .port = FX_PORT_DUAL_TAGGED, RELAY },
	{ "twice tagged", .port = FX_PORT_DUAL_TWICE_TAGGED, RELAY },
	{ "to tagged IPv4", .service = FX_SVC_4_02_TAGGED, RELAY },
	{ "to twice tagged IPv4", .service = FX_SVC_4_06_TWICE_TAGGED, RELAY },
	{ "twice tagged to twice tagged IPv4", .port = FX_PORT_DUAL_TWICE_TAGGED,
	  .service = FX_SVC_4_06_TWICE_TAGGED, RELAY },
	{ "bare IPv6 to twice tagged IPv4", .ipv6 = true, .port = FX_PORT_BARE,
	  .service = FX_SVC_4_06_TWICE_TAGGED, .is = { .kind = RELAYED } },
	{ "to bare IPv6", .service = FX_SVC_02_BARE, RELAY },
	{ "twice tagged to bare IPv6", .port = FX_PORT_DUAL_TWICE_TAGGED, .service = FX_SVC_06_BARE,
	  RELAY },
	{ "one-armed", .port = FX_PORT_DUAL_ARM, .service = FX_SVC_4_21_ONE_ARM,
	  .is = { .kind = RELAYED, .same_interface = true } },

	/* the shortest messages there are: 6 bytes before the tail */
	{ "draft-06, content of 1", .service = FX_SVC_06, .content_len = 1, RELAY },
	{ "draft-06 to IPv4, content of 1", .service = FX_SVC_4_06, .content_len = 1, RELAY },
	{ "draft-06 to IPv4, content of 1, port 1", .service = FX_SVC_4_06, .content_len = 1,
	  .sport = 1, RELAY },
	{ "draft-06 to IPv4, content of 3, port 24", .service = FX_SVC_4_06, .content_len = 3,
	  .sport = 24, RELAY },
	{ "draft-06 to IPv4, content of 7", .service = FX_SVC_4_06, .content_len = 7, RELAY },
	{ "draft-06 to bare IPv6, content of 1", .service = FX_SVC_06_BARE, .content_len = 1,
	  RELAY },
	{ "draft-02 to IPv4, content of 1", .service = FX_SVC_4_02, .content_len = 1, RELAY },
	{ "draft-21 to IPv4, content of 1", .service = FX_SVC_4_21, .content_len = 1, RELAY_21 },
	{ "draft-06 to IPv4, content of 256", .service = FX_SVC_4_06, .content_len = 256, RELAY },

	/* addresses */
	{ "source 169.254.1.0", .src = "169.254.1.0", RELAY },
	{ "source 169.254.254.255", .src = "169.254.254.255", RELAY },
	{ "source 169.254.0.1", .src = "169.254.0.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 169.254.0.255", .src = "169.254.0.255", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 169.254.255.1", .src = "169.254.255.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 169.253.1.1", .src = "169.253.1.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 169.255.1.1", .src = "169.255.1.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 0.0.0.0", .src = "0.0.0.0", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source 127.0.0.1", .src = "127.0.0.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source global", .src = "192.0.2.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source multicast", .src = "224.0.0.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source is broadcast", .src = "255.255.255.255", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source swapped", .src = "254.169.1.1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source port 0", .sport = AUTO, DROP(SRC_PORT_ZERO) },
	{ "to another address", .dst = "169.254.1.99", PASS },
	{ "to another port's address", .dst = "169.254.1.41", PASS },
	{ "to everybody", .dst = "255.255.255.255", PASS },
	{ "to all of the link", .dst = "169.254.255.255", PASS },
	{ "to a group", .dst = "224.0.0.1", PASS },
	{ "to the Registrar", .service = FX_SVC_4_02, .dst = "203.0.20.52", PASS },
	{ "to a port without an IPv4 address", .port = FX_PORT_PLAIN, PASS },
	{ "to a port without one, as 0.0.0.0", .port = FX_PORT_PLAIN, .dst = "0.0.0.0", PASS },
	{ "to UDP port 9999", .dport = 9999, PASS },
	{ "from a group MAC: nobody to answer to", .src_mac = 0x010000000001,
	  .is = { .kind = RELAYED } },

	/* the header's checksum */
	{ "header checksum wrong", .head_xor = 1, DROP(IP_CHECKSUM) },
	{ "header checksum wrong in the first byte", .head_xor = 0x8000, DROP(IP_CHECKSUM) },
	{ "header checksum inverted", .head_xor = 0xffff, DROP(IP_CHECKSUM) },
	{ "header checksum wrong, and lengths", .head_xor = 1, .ip_len = 1, DROP(IP_CHECKSUM) },
	{ "a global source comes before the checksum", .head_xor = 1, .src = "192.0.2.1",
	  DROP(SRC_NOT_LINK_LOCAL) },
	{ "header checksum wrong, to another address", .head_xor = 1, .dst = "169.254.1.99", PASS },

	/* lengths */
	{ "IP longer than the frame", .ip_len = 1, DROP(LENGTH_MISMATCH) },
	{ "IP and UDP longer than the frame", .ip_len = 1, .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IP", .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IP, within the frame", .ip_len = -1, DROP(LENGTH_MISMATCH) },
	{ "total length 0", .ip_len = -49, DROP(LENGTH_MISMATCH) },
	{ "total length 19", .ip_len = -30, DROP(LENGTH_MISMATCH) },
	{ "total length 20", .ip_len = -29, DROP(LENGTH_MISMATCH) },
	{ "total length 27, UDP length 7", .ip_len = -22, .udp_len = -22, DROP(LENGTH_MISMATCH) },
	{ "total length 28, UDP length 8", .ip_len = -21, .udp_len = -21, HAND(PADDING) },
	{ "total length 65535", .ip_len = 65535 - 49, DROP(LENGTH_MISMATCH) },
	{ "both 65535", .ip_len = 65535 - 49, .udp_len = 65535 - 29, DROP(LENGTH_MISMATCH) },
	{ "UDP length 0", .udp_len = -29, DROP(LENGTH_MISMATCH) },
	{ "UDP length 7", .udp_len = -22, DROP(LENGTH_MISMATCH) },
	{ "UDP shorter than IP", .udp_len = -1, HAND(PADDING) },
	{ "Ethernet padding", .content_len = 14, .padding = 4, HAND(PADDING) },
	{ "frame longer", .padding = 1, HAND(PADDING) },

	/* UDP's checksum */
	{ "no checksum", .csum = FRAME_CSUM_ZERO, HAND(CHECKSUM_NONE) },
	{ "no checksum, padded", .csum = FRAME_CSUM_ZERO, .padding = 1, HAND(PADDING) },
	{ "no checksum, draft-21", .service = FX_SVC_21, .csum = FRAME_CSUM_ZERO,
	  HAND(CHECKSUM_NONE) },
	{ "partial checksum", .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, low port", .sport = 1, .csum = FRAME_CSUM_PARTIAL,
	  HAND(CHECKSUM_PARTIAL) },

	/* options and fragments */
	{ "options", .options = RR, HAND(IP_OPTIONS) },
	{ "forty bytes of options", .options = RR RR RR RR RR, HAND(IP_OPTIONS) },
	{ "options, to another address", .options = RR, .dst = "169.254.1.99", PASS },
	{ "options, to UDP port 9999", .options = RR, .dport = 9999, PASS },
	{ "options, source global", .options = RR, .src = "192.0.2.1",
	  .is = { .kind = HANDED, .why = JPX_HANDOFF_IP_OPTIONS } },
	{ "options, from a group MAC", .options = RR, .src_mac = 0x010000000001,
	  .is = { .kind = HANDED, .why = JPX_HANDOFF_IP_OPTIONS } },
	{ "options, tagged", .port = FX_PORT_DUAL_TAGGED, .options = RR, HAND(IP_OPTIONS) },
	{ "options, twice tagged", .port = FX_PORT_DUAL_TWICE_TAGGED, .options = RR,
	  HAND(IP_OPTIONS) },
	{ "first fragment", .frag = 0x2000, HAND(FRAGMENT) },
	{ "first fragment with options", .frag = 0x2000, .options = RR, HAND(FRAGMENT) },
	{ "first fragment that must not be one", .frag = 0x6000, HAND(FRAGMENT) },
	{ "later fragment", .frag = 0x2001, PASS },
	{ "last fragment", .frag = 0x0001, PASS },
	{ "far fragment", .frag = 0x1f00, PASS },
	{ "later fragment with options", .frag = 0x0001, .options = RR, PASS },
	{ "may be fragmented", .frag = FRAME_FRAG_NONE, RELAY },
	{ "header of 16 bytes", .words = 4, PASS },
	{ "header longer than the frame", .words = 15, .content_len = 3, PASS },

	/* the service's side */
	{ "content that is no DTLS is dropped", .content_len = 2, DROP(NOT_DTLS) },
	{ "draft-01", .service = FX_SVC_01, HAND(FORM) },
	{ "no next hop", .service = FX_SVC_NOT_READY, HAND(NO_NEXT_HOP) },
	{ "no transmit", .service = FX_SVC_NO_TRANSMIT, HAND(NO_TRANSMIT) },
	{ "over the MTU", .service = FX_SVC_TINY, .content_len = FX_TINY_MTU - 47, HAND(OVER_MTU) },
	{ "service not in use", .service = FX_SVC_UNUSED, PASS },
	{ "TCP", .proto = 6, PASS },
	{ "IPv4 in an IPv6 frame", .ethertype = 0x86dd, PASS },
	{ "IPv6 in an IPv4 frame", .ipv6 = true, .ethertype = 0x0800, PASS },
	{ "ARP", .ethertype = 0x0806, PASS },
	{ "slot not in use", .slot = FX_SLOT_OFF, PASS },
	{ "another interface", .slot = FX_SLOT_UPLINK, PASS },
};

/* Where the Registrar of SERVICE is heard. */
static int uplink_slot(uint32_t service)
{
	if (fx_services[service].bounce_ifindex)
		return FX_SLOT_DUAL_ARM;
	return fx_services[service].l2_len ? FX_SLOT_UPLINK : FX_SLOT_UPLINK_BARE;
}

/* DTLS of any length: what has no room for a whole head has DTLS 1.3's. */
static void short_content(uint8_t *content, size_t len)
{
	fill_content(content, len);
	if (len == 1)
		content[0] = 0x2f;
}

static void one_pledge_case(const struct pledge_case *c)
{
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[FRAME_MAX], options[40];
	uint8_t port = c->port ? c->port : FX_PORT_DUAL;
	uint8_t service = c->service ? c->service : FX_SVC_02;
	size_t len, want_len = 0, content_len = c->content_len ? c->content_len : 21;
	int slot = c->slot ? c->slot : fx_ports[port].slot;
	struct outcome o = c->is;
	struct frame_spec spec;

	if (c->ipv6)
		fx_from_pledge(port, service, &spec);
	else
		fx_from_pledge4(port, service, &spec);
	if (c->src)
		frame_addr(c->src, spec.src);
	if (c->dst)
		frame_addr(c->dst, spec.dst);
	if (c->src_mac)
		spec.src_mac = c->src_mac;
	if (c->sport)
		spec.sport = c->sport == AUTO ? 0 : (uint16_t)c->sport;
	if (c->dport)
		spec.dport = c->dport;
	if (c->options) {
		spec.ext = options;
		spec.ext_len = frame_hex(c->options, options, sizeof(options));
	}
	spec.frag = c->frag;
	spec.head_csum_xor = c->head_xor;
	spec.words = c->words;
	spec.proto = c->proto;
	spec.ethertype = c->ethertype;
	spec.ip_len_add = c->ip_len;
	spec.udp_len_add = c->udp_len;
	spec.padding = c->padding;
	spec.csum = c->csum;
	short_content(content, content_len);
	spec.content = content;
	spec.content_len = content_len;
	len = frame_build(&spec, in);

	o.service = service;
	o.content_len = content_len;
	o.counted_at = port;
	if (o.kind == RELAYED)
		want_len = wrapped(port, service, &spec, want);
	fx_macs_clear();
	run_row(c->text, slot, in, len, 0, &o, want, want_len);
	if (o.noted && fx_mac_get(spec.src, spec.sport, port) != spec.src_mac)
		fail_row(c->text, "MAC noted", (long)fx_mac_get(spec.src, spec.sport, port),
			 (long)spec.src_mac);
}

static void test_pledge_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(pledge_cases); i++)
		one_pledge_case(&pledge_cases[i]);
	print_message("%zu packets from pledges\n", ROWS(pledge_cases));
	fx_macs_clear();
	done();
}

/* ---- Registrar to pledge --------------------------------------------------- */

struct registrar_case {
	const char *text;
	uint8_t service, port; /* 0: FX_SVC_4_06, FX_PORT_DUAL */
	int slot;
	const char *src, *dst;
	uint16_t sport, dport;
	uint64_t dst_mac;
	int ip_len, udp_len;
	size_t padding;
	enum frame_csum csum;
	size_t content_len;
	const char *options;
	uint32_t frag;
	uint16_t head_xor;
	bool no_mac; /* is known of the pledge */
	int at;	     /* port the verdict is counted at: 0 none, AUTO the pledge's */
	struct outcome is;
};

#define BACK	      .at = AUTO, .is = { .kind = RELAYED, .to_pledge = true }
#define HAND_0(why_)  .is = { .kind = HANDED, .why = JPX_HANDOFF_##why_ }
#define HAND_AT(why_) .at = AUTO, HAND_0(why_)

static const struct registrar_case registrar_cases[] = {
	{ "draft-06", BACK },
	{ "draft-02", .service = FX_SVC_4_02, BACK },
	{ "draft-21", .service = FX_SVC_4_21, BACK },
	{ "draft-21 tells the MAC", .service = FX_SVC_4_21, .no_mac = true, BACK },
	{ "draft-06 from IPv6", .service = FX_SVC_06, BACK },
	{ "draft-02 from IPv6", .service = FX_SVC_02, BACK },
	{ "draft-21 from IPv6", .service = FX_SVC_21, BACK },
	{ "from tagged", .service = FX_SVC_4_02_TAGGED, BACK },
	{ "from twice tagged", .service = FX_SVC_4_06_TWICE_TAGGED, BACK },
	{ "from twice tagged to twice tagged", .service = FX_SVC_4_06_TWICE_TAGGED,
	  .port = FX_PORT_DUAL_TWICE_TAGGED, BACK },
	{ "to tagged", .port = FX_PORT_DUAL_TAGGED, BACK },
	{ "to twice tagged", .port = FX_PORT_DUAL_TWICE_TAGGED, BACK },
	{ "from bare IPv6", .service = FX_SVC_06_BARE, BACK },
	{ "from bare IPv6 to twice tagged", .service = FX_SVC_02_BARE,
	  .port = FX_PORT_DUAL_TWICE_TAGGED, BACK },
	{ "one-armed", .service = FX_SVC_4_21_ONE_ARM, .port = FX_PORT_DUAL_ARM, .at = AUTO,
	  .is = { .kind = RELAYED, .to_pledge = true, .same_interface = true } },
	{ "content of 1", .content_len = 1, BACK },
	{ "content of 1, draft-06 from IPv6", .service = FX_SVC_06, .content_len = 1, BACK },
	{ "content of 24", .content_len = 24, BACK },
	{ "content of 256", .content_len = 256, BACK },
	{ "may be fragmented", .frag = FRAME_FRAG_NONE, BACK },

	{ "MAC unknown", .no_mac = true, HAND_AT(NO_PLEDGE_MAC) },
	{ "a port without an IPv4 address", .port = FX_PORT_PLAIN, HAND_AT(NO_TRANSMIT) },
	{ "a port of a bare IPv6 link", .port = FX_PORT_BARE, HAND_AT(NO_TRANSMIT) },
	{ "over the port's MTU", .service = FX_SVC_4_06, .content_len = 1473, HAND_AT(OVER_MTU) },
	{ "as large as the port's MTU", .service = FX_SVC_4_06, .content_len = 1472, BACK },

	{ "from another address", .src = "203.0.113.99", PASS },
	{ "from another port", .sport = 9999, PASS },
	{ "to another address", .dst = "192.0.2.162", PASS },
	{ "to another MAC", .dst_mac = 0x020000000099, PASS },
	{ "on an interface that is no uplink", .slot = FX_SLOT_DUAL, PASS },
	{ "header checksum wrong", .head_xor = 0x100, DROP(IP_CHECKSUM) },
	{ "IP longer than the frame", .ip_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IP", .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "total length 19", .ip_len = -58, DROP(LENGTH_MISMATCH) },
	{ "padded", .padding = 3, HAND_0(PADDING) },
	{ "no checksum", .csum = FRAME_CSUM_ZERO, HAND_0(CHECKSUM_NONE) },
	{ "partial checksum", .csum = FRAME_CSUM_PARTIAL, HAND_0(CHECKSUM_PARTIAL) },
	{ "options", .options = RR, HAND_0(IP_OPTIONS) },
	{ "first fragment", .frag = 0x2000, HAND_0(FRAGMENT) },
	{ "later fragment", .frag = 0x2001, PASS },
	{ "options, from another address", .options = RR, .src = "203.0.113.99", PASS },
};

/* A message for SPEC's pledge, laid out by the user half. */
static size_t message_for(uint32_t service, uint8_t port, const struct frame_spec *to,
			  uint8_t message[FRAME_MAX])
{
	struct jpx_pledge pledge = { .udp_port = to->dport, .port_id = port };
	ssize_t len;

	memcpy(pledge.addr, to->dst, 16);
	for (int i = 0; i < 6; i++)
		pledge.mac[i] = (uint8_t)(to->dst_mac >> 8 * (5 - i));
	len = jpx_jpy_wrap(fx_services[service].form, &pledge, to->content, to->content_len,
			   message, FRAME_MAX);
	assert_true(len > 0);
	return (size_t)len;
}

static void one_registrar_case(const struct registrar_case *c)
{
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[FRAME_MAX], message[FRAME_MAX], options[40];
	uint8_t service = c->service ? c->service : FX_SVC_4_06;
	uint8_t port = c->port ? c->port : FX_PORT_DUAL;
	size_t content_len = c->content_len ? c->content_len : 21, want_len, len;
	int slot = c->slot ? c->slot : uplink_slot(service);
	struct frame_spec to, spec;
	struct outcome o = c->is;

	o.service = service;
	short_content(content, content_len);
	fx_to_pledge4(port, service, FX_PLEDGE_MAC, &to);
	to.content = content;
	to.content_len = content_len;
	want_len = frame_build(&to, want);
	fx_from_registrar(service, &spec);
	spec.content = message;
	spec.content_len = message_for(service, port, &to, message);
	if (c->src)
		frame_addr(c->src, spec.src);
	if (c->dst)
		frame_addr(c->dst, spec.dst);
	if (c->sport)
		spec.sport = c->sport;
	if (c->dport)
		spec.dport = c->dport;
	if (c->dst_mac)
		spec.dst_mac = c->dst_mac;
	if (c->options) {
		spec.ext = options;
		spec.ext_len = frame_hex(c->options, options, sizeof(options));
	}
	spec.frag = c->frag;
	spec.head_csum_xor = c->head_xor;
	spec.ip_len_add = c->ip_len;
	spec.udp_len_add = c->udp_len;
	spec.padding = c->padding;
	spec.csum = c->csum;
	len = frame_build(&spec, in);

	o.counted_at = c->at == AUTO ? port : 0;
	o.content_len = content_len;
	fx_macs_clear();
	if (!c->no_mac)
		fx_mac_set(to.dst, to.dport, port, FX_PLEDGE_MAC);
	run_row(c->text, slot, in, len, 0, &o, want, want_len);
}

static void test_registrar_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(registrar_cases); i++)
		one_registrar_case(&registrar_cases[i]);
	print_message("%zu packets from Registrars\n", ROWS(registrar_cases));
	fx_macs_clear();
	done();
}

/* ---- properties ------------------------------------------------------------ */

static const uint8_t services[] = {
	FX_SVC_02,
	FX_SVC_06,
	FX_SVC_21,
	FX_SVC_4_02,
	FX_SVC_4_06,
	FX_SVC_4_21,
	FX_SVC_4_02_TAGGED,
	FX_SVC_4_06_TWICE_TAGGED,
	FX_SVC_06_BARE,
	FX_SVC_06_TAGGED,
	FX_SVC_21_TWICE_TAGGED,
	FX_SVC_4_21_ONE_ARM,
};
static const uint8_t ports[] = { FX_PORT_DUAL, FX_PORT_DUAL_TAGGED, FX_PORT_DUAL_TWICE_TAGGED,
				 FX_PORT_DUAL_ARM };

/* Every length from nothing to the MTU and one beyond it, there and back, IPv4 on either side. */
static void test_there_and_back(void **state)
{
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[FRAME_MAX], message[FRAME_MAX];
	int relayed[2] = { 0 }, over[2] = { 0 };

	(void)state;
	fx_macs_clear();
	for (size_t content_len = 3; content_len <= 1500; content_len++) {
		uint8_t service = services[below(ROWS(services))];
		uint8_t port = ports[below(ROWS(ports))];
		bool v4 = service < FX_SVC_4_02 || below(4);
		size_t len, want_len;
		struct outcome o = { .kind = RELAYED,
				     .counted_at = port,
				     .service = service,
				     .content_len = content_len };
		struct frame_spec spec, to;

		fill_content(content, content_len);
		if (v4) {
			fx_from_pledge4(port, service, &spec);
			spec.src[14] = (uint8_t)(1 + below(254));
			spec.src[15] = (uint8_t)rnd();
		} else {
			fx_from_pledge(port, service, &spec);
		}
		spec.sport = (uint16_t)(1 + below(below(2) ? 65535 : 300));
		spec.content = content;
		spec.content_len = content_len;
		len = frame_build(&spec, in);
		want_len = wrapped(port, service, &spec, want);
		if (frame_csum_looks_partial(in, 14 + 4 * (size_t)spec.tags))
			continue;
		if (want_len - fx_services[service].l2_len > 1500) {
			o.kind = HANDED;
			o.why = JPX_HANDOFF_OVER_MTU;
		}
		o.same_interface = fx_services[service].bounce_ifindex == FX_IFINDEX_IN;
		run_fast("there", fx_ports[port].slot, in, len, &o, want, want_len);
		(o.kind == RELAYED ? relayed : over)[0]++;
		if (o.kind == RELAYED &&
		    !frame_csum_ok(want, want_len, fx_services[service].l2_len))
			fail_row("there", "checksums of what is wanted", 0, 1);

		if (v4)
			fx_to_pledge4(port, service, spec.src_mac, &to);
		else
			fx_to_pledge(port, service, spec.src_mac, &to);
		memcpy(to.dst, spec.src, 16);
		to.dport = spec.sport;
		to.content = content;
		to.content_len = content_len;
		want_len = frame_build(&to, want);
		fx_from_registrar(service, &spec);
		spec.content = message;
		spec.content_len = message_for(service, port, &to, message);
		len = frame_build(&spec, in);
		if (frame_csum_looks_partial(in, fx_services[service].l2_len))
			continue;
		o = (struct outcome){ .kind = RELAYED,
				      .counted_at = port,
				      .to_pledge = true,
				      .service = service,
				      .content_len = content_len };
		o.same_interface = port == FX_PORT_DUAL_ARM;
		if (want_len - fx_ports[port].l2_len > 1500) {
			o.kind = HANDED;
			o.why = JPX_HANDOFF_OVER_MTU;
		}
		run_fast("back", uplink_slot(service), in, len, &o, want, want_len);
		(o.kind == RELAYED ? relayed : over)[1]++;
	}
	print_message("relayed %d there, %d back; over the MTU %d, %d\n", relayed[0], relayed[1],
		      over[0], over[1]);
	fx_macs_clear();
	assert_true(relayed[0] > 1200 && relayed[1] > 1200 && over[0] > 10 && over[1] > 10);
	done();
}

/* An address family of its own in the notes: a pledge's IPv4 MAC is not an IPv6 one's whose
 * interface identifier is the same number. */
static void test_macs_apart(void **state)
{
	static const uint64_t mac4 = 0x02aa00000004, mac6 = 0x02aa00000006;
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[21], message[FRAME_MAX];
	struct frame_spec spec, to;
	size_t len, want_len;

	(void)state;
	fx_macs_clear();
	fill_content(content, sizeof(content));
	for (int v4 = 0; v4 < 2; v4++) {
		struct outcome o = { .kind = RELAYED,
				     .noted = true,
				     .counted_at = FX_PORT_DUAL,
				     .service = FX_SVC_02,
				     .content_len = sizeof(content) };

		if (v4)
			fx_from_pledge4(FX_PORT_DUAL, FX_SVC_02, &spec);
		else
			fx_from_pledge(FX_PORT_DUAL, FX_SVC_02, &spec);
		if (!v4)
			frame_addr("fe80::a9fe:709", spec.src);
		spec.src_mac = v4 ? mac4 : mac6;
		spec.content = content;
		spec.content_len = sizeof(content);
		len = frame_build(&spec, in);
		want_len = wrapped(FX_PORT_DUAL, FX_SVC_02, &spec, want);
		run_row("there", FX_SLOT_DUAL, in, len, 0, &o, want, want_len);
	}
	for (int turn = 0; turn < 4; turn++) {
		struct outcome o = { .kind = RELAYED,
				     .to_pledge = true,
				     .service = FX_SVC_02,
				     .counted_at = FX_PORT_DUAL,
				     .content_len = sizeof(content) };

		if (turn & 1) {
			fx_to_pledge4(FX_PORT_DUAL, FX_SVC_02, mac4, &to);
		} else {
			fx_to_pledge(FX_PORT_DUAL, FX_SVC_02, mac6, &to);
			frame_addr("fe80::a9fe:709", to.dst);
		}
		to.content = content;
		to.content_len = sizeof(content);
		want_len = frame_build(&to, want);
		fx_from_registrar(FX_SVC_02, &spec);
		spec.content = message;
		spec.content_len = message_for(FX_SVC_02, FX_PORT_DUAL, &to, message);
		len = frame_build(&spec, in);
		run_row("back", FX_SLOT_UPLINK, in, len, 0, &o, want, want_len);
	}
	fx_macs_clear();
	done();
}

/* Frames damaged anywhere: only verdicts that there are, and what is passed is untouched. */
static void test_damaged_frames(void **state)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], message[FRAME_MAX], content[64];
	int seen[5] = { 0 };

	(void)state;
	fx_macs_clear();
	for (int i = 0; i < 20000; i++) {
		uint8_t service = services[below(ROWS(services))];
		uint8_t port = ports[below(ROWS(ports))];
		size_t len, out_len, content_len = 3 + below(sizeof(content) - 3);
		struct frame_spec spec, to;
		int slot, verdict;

		fill_content(content, content_len);
		if (below(2)) {
			fx_from_pledge4(port, service, &spec);
			spec.content = content;
			slot = fx_ports[port].slot;
		} else {
			fx_to_pledge4(port, service, FX_PLEDGE_MAC, &to);
			to.content = content;
			to.content_len = content_len;
			fx_from_registrar(service, &spec);
			spec.content = message;
			content_len = message_for(service, port, &to, message);
			slot = uplink_slot(service);
		}
		spec.content_len = content_len;
		len = frame_build(&spec, in);
		for (uint32_t n = below(4); n; n--)
			in[below((uint32_t)(len < 90 ? len : 90))] = (uint8_t)rnd();
		if (!below(8))
			len = 14 + below((uint32_t)len - 13);
		verdict = fx_run(slot, in, len, 0, out, &out_len);
		if (verdict <= XDP_ABORTED || verdict > XDP_REDIRECT) {
			fail_row("damaged frame", "verdict", verdict, XDP_PASS);
			continue;
		}
		seen[verdict]++;
		if (verdict == XDP_PASS && (len != out_len || memcmp(in, out, len)))
			fail_bytes("damaged frame, passed", out, out_len, in, len);
	}
	print_message("dropped %d, passed %d, sent %d\n", seen[XDP_DROP], seen[XDP_PASS],
		      seen[XDP_TX] + seen[XDP_REDIRECT]);
	fx_macs_clear();
	assert_true(seen[XDP_DROP] > 1000 && seen[XDP_PASS] > 1000);
	done();
}

static int setup(void **state)
{
	(void)state;
	reseed();
	return fx_open();
}

static int teardown(void **state)
{
	(void)state;
	fx_close();
	return 0;
}

int ipv4_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pledge_cases),   cmocka_unit_test(test_registrar_cases),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_macs_apart),
		cmocka_unit_test(test_damaged_frames),
	};

	return cmocka_run_group_tests_name("ipv4", tests, setup, teardown);
}
