/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every verdict of the fast path, one packet each: what goes in, what must come
 * out byte for byte, which counter must have moved, and that no other has.
 * Then the properties that no table can cover: there and back again for every
 * length, wrong checksums that stay wrong, and agreement with the user half of
 * the JPY codec on anything that looks like a message.
 *
 * Each row is a line of a table; a bug that is fixed adds one.  Rows that fail
 * are all printed before the test gives up.  JPX_PACKET_SEED chooses another
 * seed for what is random; the seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "codec.h"
#include "fixture.h"
#include "frame.h"
#include "groups.h"
#include "vectors.h"
#include "verdict.h"

#define PLEDGE "fe80000000000000000000fffe000001"
#define DTLS21 "16fefd000000000000000000080102030405060708" /* 21 bytes */
#define AUTO   (-1)

/* ---- pledge to Registrar --------------------------------------------------- */

#define RELAY	     .is = { .kind = RELAYED }
#define PASS	     .is = { .kind = FOREIGN }
#define DROP(reason) .is = { .kind = DROPPED, .why = JPX_DROP_##reason }
#define HAND(reason) .is = { .kind = HANDED, .why = JPX_HANDOFF_##reason }
#define RELAY_NOTED  .is = { .kind = RELAYED, .noted = true }
#define RELAY_ODD    .is = { .kind = RELAYED, .noted = true, .odd = true }

struct pledge_case {
	const char *text;
	uint8_t port, service; /* 0: 1 */
	int slot;	       /* 0: the port's */
	const char *src, *dst; /* NULL: as it should be */
	uint64_t src_mac, dst_mac;
	int sport, dport;    /* 0: as it should be, AUTO: zero */
	int ip_len, udp_len; /* added */
	size_t padding;
	enum frame_csum csum;
	const char *content; /* hex; NULL: CONTENT_LEN bytes, or 21 */
	size_t content_len;
	const char *ext; /* hex of extension headers */
	uint8_t first_header, proto;
	uint16_t ethertype;
	int tags; /* 0: the port's, AUTO: none */
	struct frame_tag tag[2];
	int version; /* of IP; 0: 6 */
	struct outcome is;
};

#define FRAG_FIRST  "1100000100000001"
#define FRAG_ATOMIC "1100000000000001"
#define FRAG_LATER  "1100000900000001"
#define FRAG_FAR    "1100010000000001"
#define HOP_THEN(n) n "00010400000000"

static const struct pledge_case pledge_cases[] = {
	/* the ways out */
	{ "draft-02", RELAY },
	{ "draft-02 from a tagged port", .port = FX_PORT_TAGGED, RELAY },
	{ "draft-02 from a twice tagged port", .port = FX_PORT_TWICE_TAGGED, RELAY },
	{ "draft-02 from bare IPv6", .port = FX_PORT_BARE, RELAY },
	{ "draft-02 to bare IPv6", .service = FX_SVC_02_BARE, RELAY },
	{ "draft-02, tagged to bare IPv6", .port = FX_PORT_TAGGED, .service = FX_SVC_02_BARE,
	  RELAY },
	{ "draft-02, twice tagged to bare IPv6", .port = FX_PORT_TWICE_TAGGED,
	  .service = FX_SVC_02_BARE, RELAY },
	{ "draft-02, bare IPv6 to twice tagged", .port = FX_PORT_BARE,
	  .service = FX_SVC_TWICE_TAGGED_02, RELAY },
	{ "draft-02, bare IPv6 both", .port = FX_PORT_BARE, .service = FX_SVC_02_BARE, RELAY },
	{ "draft-02, twice tagged both", .port = FX_PORT_TWICE_TAGGED,
	  .service = FX_SVC_TWICE_TAGGED_02, RELAY },
	{ "draft-06", .service = FX_SVC_06, RELAY },
	{ "draft-06 to a tagged uplink", .service = FX_SVC_06_TAGGED, RELAY },
	{ "draft-06, tagged to tagged", .port = FX_PORT_TAGGED, .service = FX_SVC_06_TAGGED,
	  RELAY },
	{ "draft-06, bare IPv6 both", .port = FX_PORT_BARE, .service = FX_SVC_06_BARE, RELAY },
	{ "draft-21", .service = FX_SVC_21, RELAY },
	{ "draft-21 to a twice tagged uplink", .service = FX_SVC_21_TWICE_TAGGED, RELAY },
	{ "draft-21 from bare IPv6: no MAC in the header", .port = FX_PORT_BARE,
	  .service = FX_SVC_21, RELAY },
	{ "draft-21, bare IPv6 both", .port = FX_PORT_BARE, .service = FX_SVC_21_BARE, RELAY },
	/* the frame shrinks by a byte: 22 bytes of link header go, 21 of prefix come */
	{ "draft-21, twice tagged to bare IPv6", .port = FX_PORT_TWICE_TAGGED,
	  .service = FX_SVC_21_BARE, RELAY },
	{ "draft-21, twice tagged both", .port = FX_PORT_TWICE_TAGGED,
	  .service = FX_SVC_21_TWICE_TAGGED, RELAY },
	{ "one-armed", .port = FX_PORT_ONE_ARM, .service = FX_SVC_ONE_ARM,
	  .is = { .kind = RELAYED, .same_interface = true } },
	{ "one-armed port to another interface", .port = FX_PORT_ONE_ARM, RELAY },
	{ "the last service id", .service = FX_SVC_LAST, RELAY },
	{ "a service of one port only", .port = FX_PORT_TWICE_TAGGED, .service = FX_SVC_PRIVATE,
	  RELAY },
	{ "any content", .service = FX_SVC_ANY, RELAY },
	{ "priority bits in the tag", .port = FX_PORT_TAGGED, .tags = 1,
	  .tag = { { 0x8100, 0xe017 } }, RELAY },
	{ "priority bits in both tags", .port = FX_PORT_TWICE_TAGGED, .tags = 2,
	  .tag = { { 0x88a8, 0xb064 }, { 0x8100, 0x70c8 } }, RELAY },

	/* lengths of the numbers in the prefix */
	{ "port 1", .sport = 1, RELAY },
	{ "port 23", .sport = 23, RELAY },
	{ "port 24", .sport = 24, RELAY },
	{ "port 255", .sport = 255, RELAY },
	{ "port 256", .sport = 256, RELAY },
	{ "port 65535", .sport = 65535, RELAY },
	{ "port 1 from id 24", .port = FX_PORT_TWICE_TAGGED, .sport = 1, RELAY },
	{ "port 24 from id 255", .port = FX_PORT_BARE, .sport = 24, RELAY },
	{ "content of 3", .content_len = 3, RELAY },
	{ "content of 23", .content_len = 23, RELAY },
	{ "content of 24", .content_len = 24, RELAY },
	{ "content of 255", .content_len = 255, RELAY },
	{ "content of 256", .content_len = 256, RELAY },
	{ "content of 256 from id 255", .port = FX_PORT_BARE, .content_len = 256, RELAY },
	{ "content of 256, port 24, id 255", .port = FX_PORT_BARE, .sport = 24, .content_len = 256,
	  RELAY },
	{ "shortest prefix, twice tagged to bare IPv6", .port = FX_PORT_TWICE_TAGGED,
	  .service = FX_SVC_02_BARE, .sport = 5, .content_len = 4, RELAY },
	{ "draft-21, content of 24", .service = FX_SVC_21, .content_len = 24, RELAY },
	{ "draft-21, content of 256", .service = FX_SVC_21, .content_len = 256, RELAY },

	/* source */
	{ "source global", .src = "2001:db8::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source multicast", .src = "ff02::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source unspecified", .src = "::", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source loopback", .src = "::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source v4-mapped", .src = "::ffff:169.254.1.2", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source unique local", .src = "fd00::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source in fe80::/10 but not fe80::/64", .src = "fe80:0:0:1::1",
	  DROP(SRC_NOT_LINK_LOCAL) },
	{ "source febf::1", .src = "febf::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source fec0::1", .src = "fec0::1", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source fe80::", .src = "fe80::", DROP(SRC_NOT_LINK_LOCAL) },
	{ "source fe80::1", .src = "fe80::1", RELAY_NOTED },
	{ "source port 0", .sport = AUTO, DROP(SRC_PORT_ZERO) },
	{ "source global, bare IPv6", .port = FX_PORT_BARE, .src = "2001:db8::1",
	  DROP(SRC_NOT_LINK_LOCAL) },

	/* lengths */
	{ "IPv6 longer than the frame", .ip_len = 1, DROP(LENGTH_MISMATCH) },
	{ "IPv6 and UDP longer than the frame", .ip_len = 1, .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IPv6", .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IPv6, within the frame", .ip_len = -1, DROP(LENGTH_MISMATCH) },
	{ "UDP length 7", .udp_len = -22, DROP(LENGTH_MISMATCH) },
	{ "UDP length 0", .udp_len = -29, DROP(LENGTH_MISMATCH) },
	{ "UDP length 7 and IPv6 with it", .udp_len = -22, .ip_len = -22, DROP(LENGTH_MISMATCH) },
	{ "IPv6 length 0", .ip_len = -29, DROP(LENGTH_MISMATCH) },
	{ "UDP length 65535", .udp_len = 65535 - 29, DROP(LENGTH_MISMATCH) },
	{ "both lengths 65535", .udp_len = 65535 - 29, .ip_len = 65535 - 29,
	  DROP(LENGTH_MISMATCH) },
	{ "UDP shorter than IPv6", .udp_len = -1, HAND(PADDING) },
	{ "UDP of 8 within a longer IPv6", .udp_len = -21, HAND(PADDING) },
	{ "frame longer", .padding = 1, HAND(PADDING) },
	{ "frame much longer", .padding = 400, HAND(PADDING) },
	{ "all three lengths differ", .udp_len = -1, .padding = 1, HAND(PADDING) },
	{ "a global source comes before lengths", .src = "2001:db8::1", .ip_len = 1,
	  DROP(SRC_NOT_LINK_LOCAL) },

	/* checksums */
	{ "no checksum", .csum = FRAME_CSUM_ZERO, DROP(CHECKSUM_ZERO) },
	{ "no checksum, any content", .service = FX_SVC_ANY, .csum = FRAME_CSUM_ZERO,
	  DROP(CHECKSUM_ZERO) },
	{ "partial checksum", .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, low port", .sport = 1, .csum = FRAME_CSUM_PARTIAL,
	  HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, bare IPv6", .port = FX_PORT_BARE, .csum = FRAME_CSUM_PARTIAL,
	  HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, draft-21", .port = FX_PORT_TAGGED, .service = FX_SVC_21,
	  .sport = 65535, .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },

	/* fragments and extension headers */
	{ "first fragment", .ext = FRAG_FIRST, .first_header = 44, HAND(FRAGMENT) },
	{ "atomic fragment", .ext = FRAG_ATOMIC, .first_header = 44, HAND(FRAGMENT) },
	{ "later fragment", .ext = FRAG_LATER, .first_header = 44, PASS },
	{ "far fragment", .ext = FRAG_FAR, .first_header = 44, PASS },
	{ "hop-by-hop", .ext = HOP_THEN("11"), .first_header = 0, HAND(EXTENSION_HEADER) },
	{ "routing", .ext = "1100000000000000", .first_header = 43, HAND(EXTENSION_HEADER) },
	{ "destination options", .ext = HOP_THEN("11"), .first_header = 60,
	  HAND(EXTENSION_HEADER) },
	{ "longer destination options", .ext = "11010104000000000000000000000000",
	  .first_header = 60, HAND(EXTENSION_HEADER) },
	{ "hop-by-hop, first fragment", .ext = HOP_THEN("2c") FRAG_FIRST, .first_header = 0,
	  HAND(FRAGMENT) },
	{ "first fragment, destination options", .ext = "3c00000100000001" HOP_THEN("11"),
	  .first_header = 44, HAND(FRAGMENT) },
	{ "four extension headers",
	  .ext = HOP_THEN("3c") HOP_THEN("2b") HOP_THEN("3c") HOP_THEN("11"), .first_header = 0,
	  HAND(EXTENSION_HEADER) },
	{ "five extension headers: not looked behind",
	  .ext = HOP_THEN("3c") HOP_THEN("2b") HOP_THEN("3c") HOP_THEN("3c") HOP_THEN("11"),
	  .first_header = 0, PASS },
	{ "hop-by-hop, tagged", .port = FX_PORT_TAGGED, .ext = HOP_THEN("11"), .first_header = 0,
	  HAND(EXTENSION_HEADER) },
	{ "hop-by-hop, twice tagged", .port = FX_PORT_TWICE_TAGGED, .ext = HOP_THEN("11"),
	  .first_header = 0, HAND(EXTENSION_HEADER) },
	{ "first fragment, bare IPv6", .port = FX_PORT_BARE, .ext = FRAG_FIRST, .first_header = 44,
	  HAND(FRAGMENT) },
	{ "hop-by-hop to another port", .dport = 9999, .ext = HOP_THEN("11"), .first_header = 0,
	  PASS },
	{ "hop-by-hop to another address", .dst = "fe80::b", .ext = HOP_THEN("11"),
	  .first_header = 0, PASS },
	{ "hop-by-hop on a slot that is not in use", .slot = FX_SLOT_OFF, .ext = HOP_THEN("11"),
	  .first_header = 0, PASS },
	{ "hop-by-hop on another VLAN", .port = FX_PORT_TAGGED, .tags = 1,
	  .tag = { { 0x8100, 21 } }, .ext = HOP_THEN("11"), .first_header = 0, PASS },
	{ "hop-by-hop, then TCP", .ext = HOP_THEN("06"), .first_header = 0, PASS },
	{ "hop-by-hop, longer than the frame", .ext = "11ff010400000000", .first_header = 0, PASS },
	{ "authentication header", .ext = "1104000000000000", .first_header = 51, PASS },
	{ "ESP", .ext = "0000000000000000", .first_header = 50, PASS },
	{ "no next header", .ext = "0000000000000000", .first_header = 59, PASS },
	{ "mobility", .ext = "1100000000000000", .first_header = 135, PASS },

	/* content */
	{ "no content", .content = "", DROP(NOT_DTLS) },
	{ "no content, any content", .service = FX_SVC_ANY, .content = "", RELAY },
	{ "one byte of DTLS 1.3", .content = "2f", RELAY },
	{ "two bytes of DTLS 1.3", .content = "2f00", RELAY },
	{ "one byte, no DTLS", .content = "16", DROP(NOT_DTLS) },
	{ "two bytes of DTLS 1.2", .content = "16fe", DROP(NOT_DTLS) },
	{ "CoAP", .content = "44016af039c68aff", DROP(NOT_DTLS) },
	{ "CoAP, any content", .service = FX_SVC_ANY, .content = "44016af039c68aff", RELAY },
	{ "one byte, any content", .service = FX_SVC_ANY, .content = "00", RELAY },
	{ "two bytes, any content", .service = FX_SVC_ANY, .content = "0000", RELAY },
	{ "TLS, not DTLS", .content = "160303002a010000", DROP(NOT_DTLS) },

	/* size */
	{ "largest that fits", .content_len = 1500 - 48 - 26, RELAY },
	{ "one byte too many", .content_len = 1500 - 48 - 25, HAND(OVER_MTU) },
	{ "largest that fits, id 24", .port = FX_PORT_TWICE_TAGGED, .content_len = 1500 - 48 - 27,
	  RELAY },
	{ "one byte too many, id 24", .port = FX_PORT_TWICE_TAGGED, .content_len = 1500 - 48 - 26,
	  HAND(OVER_MTU) },
	{ "largest that fits, draft-21", .service = FX_SVC_21, .content_len = 1500 - 48 - 23,
	  RELAY },
	{ "one byte too many, draft-21", .service = FX_SVC_21, .content_len = 1500 - 48 - 22,
	  HAND(OVER_MTU) },
	{ "largest that fits a tiny MTU", .service = FX_SVC_TINY,
	  .content_len = FX_TINY_MTU - 48 - 25, RELAY },
	{ "one byte too many for a tiny MTU", .service = FX_SVC_TINY,
	  .content_len = FX_TINY_MTU - 48 - 24, HAND(OVER_MTU) },

	/* services that do not relay */
	{ "draft-01", .service = FX_SVC_01, HAND(FORM) },
	{ "not ready", .service = FX_SVC_NOT_READY, HAND(NO_NEXT_HOP) },
	{ "not ready, source global", .service = FX_SVC_NOT_READY, .src = "2001:db8::1",
	  DROP(SRC_NOT_LINK_LOCAL) },
	{ "uplink cannot transmit", .service = FX_SVC_NO_TRANSMIT, HAND(NO_TRANSMIT) },
	{ "service not in use", .service = FX_SVC_UNUSED, PASS },
	{ "service not served here", .service = FX_SVC_PRIVATE, PASS },

	/* MACs: noted when the address does not tell it, but for draft-21 */
	{ "address without EUI-64", .src = "fe80::1234:5678:9abc:def0", RELAY_NOTED },
	{ "EUI-64 of another MAC", .src = "fe80::ff:fe00:2", RELAY_ODD },
	{ "EUI-64 with the wrong universal bit", .src = "fe80::200:ff:fe00:1", RELAY_ODD },
	{ "the MAC's halves, but no EUI-64 between them", .src = "fe80::12:3400:1", RELAY_NOTED },
	{ "draft-06, without EUI-64", .service = FX_SVC_06, .src = "fe80::1234", RELAY_NOTED },
	{ "draft-21, without EUI-64", .service = FX_SVC_21, .src = "fe80::1234", RELAY },
	{ "draft-21, EUI-64 of another MAC", .service = FX_SVC_21, .src = "fe80::ff:fe00:2",
	  RELAY },
	{ "bare IPv6, without EUI-64", .port = FX_PORT_BARE, .src = "fe80::1234", RELAY },
	{ "tagged, without EUI-64", .port = FX_PORT_TAGGED, .src = "fe80::1234", RELAY_NOTED },
	{ "sender's MAC zero", .src = "fe80::1234", .src_mac = 1ULL << 63, RELAY },
	{ "sender's MAC multicast", .src = "fe80::1234", .src_mac = 0x010000000001, RELAY },
	{ "sender's MAC broadcast", .src_mac = 0xffffffffffff, RELAY },
	{ "draft-21, sender's MAC multicast", .service = FX_SVC_21, .src_mac = 0x010000000001,
	  RELAY },
	{ "not DTLS, without EUI-64", .src = "fe80::1234", .content = "00", DROP(NOT_DTLS) },

	/* what is not ours */
	{ "IPv4 ethertype", .ethertype = 0x0800, PASS },
	{ "ARP", .ethertype = 0x0806, PASS },
	{ "IEEE 802.3 length", .ethertype = 100, PASS },
	{ "IPv4 behind an IPv6 ethertype", .version = 4, PASS },
	{ "IPv4 on bare IPv6", .port = FX_PORT_BARE, .version = 4, PASS },
	{ "TCP", .proto = 6, PASS },
	{ "ICMPv6", .proto = 58, PASS },
	{ "UDP-Lite", .proto = 136, PASS },
	{ "another port", .dport = 9999, PASS },
	{ "port 0", .dport = AUTO, PASS },
	{ "port 65535", .dport = 65535, PASS },
	{ "an uplink port on a pledge port", .dport = FX_BACK(FX_SVC_02), PASS },
	{ "another address", .dst = "fe80::b", PASS },
	{ "another prefix", .dst = "2001:db8::a:1", PASS },
	{ "multicast", .dst = "ff02::1", .dst_mac = 0x333300000001, PASS },
	{ "another port's address", .dst = "fe80::a:23", PASS },
	{ "another MAC", .dst_mac = 0x020000000999, PASS },
	{ "another MAC, first byte", .dst_mac = 0x030000000101, PASS },
	{ "broadcast MAC", .dst_mac = 0xffffffffffff, PASS },
	{ "another VLAN", .port = FX_PORT_TAGGED, .tags = 1, .tag = { { 0x8100, 21 } }, PASS },
	{ "another tag protocol", .port = FX_PORT_TAGGED, .tags = 1, .tag = { { 0x88a8, 23 } },
	  PASS },
	{ "one tag too few", .port = FX_PORT_TWICE_TAGGED, .tags = 1, .tag = { { 0x88a8, 100 } },
	  PASS },
	{ "one tag too many", .port = FX_PORT_TAGGED, .tags = 2,
	  .tag = { { 0x8100, 23 }, { 0x8100, 23 } }, PASS },
	{ "another inner VLAN", .port = FX_PORT_TWICE_TAGGED, .tags = 2,
	  .tag = { { 0x88a8, 100 }, { 0x8100, 201 } }, PASS },
	{ "another outer VLAN", .port = FX_PORT_TWICE_TAGGED, .tags = 2,
	  .tag = { { 0x88a8, 101 }, { 0x8100, 200 } }, PASS },
	{ "untagged to a tagged port", .port = FX_PORT_TAGGED, .tags = AUTO, PASS },
	{ "tagged to an untagged port", .tags = 1, .tag = { { 0x8100, 23 } }, PASS },
	{ "priority tag", .tags = 1, .tag = { { 0x8100, 0 } }, PASS },
	{ "the VLAN of another slot", .port = FX_PORT_TAGGED, .slot = FX_SLOT_ONE_ARM, PASS },
	{ "port not ready", .port = FX_PORT_NOT_READY, PASS },
	{ "an uplink that is no pledge port", .slot = FX_SLOT_UPLINK, PASS },
	{ "slot not in use", .slot = FX_SLOT_OFF, PASS },
	{ "a port that serves nothing", .port = FX_PORT_UNSERVED, PASS },
};

static void one_pledge_case(const struct pledge_case *c)
{
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[FRAME_MAX], ext[64];
	uint8_t port = c->port ? c->port : FX_PORT_PLAIN;
	uint8_t service = c->service ? c->service : FX_SVC_02;
	struct outcome o = c->is;
	struct frame_spec spec;
	size_t len, want_len = 0, content_len;
	int slot = c->slot;

	fx_from_pledge(port, service, &spec);
	if (!slot)
		slot = fx_ports[port].slot;
	if (c->src)
		frame_addr(c->src, spec.src);
	if (c->dst)
		frame_addr(c->dst, spec.dst);
	if (c->src_mac)
		spec.src_mac = c->src_mac & 0xffffffffffff;
	if (c->dst_mac)
		spec.dst_mac = c->dst_mac;
	if (c->sport)
		spec.sport = c->sport == AUTO ? 0 : (uint16_t)c->sport;
	if (c->dport)
		spec.dport = c->dport == AUTO ? 0 : (uint16_t)c->dport;
	if (c->tags) {
		spec.tags = c->tags == AUTO ? 0 : c->tags;
		memcpy(spec.tag, c->tag, sizeof(spec.tag));
	}
	if (c->ext) {
		spec.extended = true;
		spec.ext = ext;
		spec.ext_len = frame_hex(c->ext, ext, sizeof(ext));
		spec.first_header = c->first_header;
	}
	spec.proto = c->proto;
	spec.ethertype = c->ethertype;
	spec.ip_len_add = c->ip_len;
	spec.udp_len_add = c->udp_len;
	spec.padding = c->padding;
	spec.csum = c->csum;
	content_len = c->content_len ? c->content_len : 21;
	if (c->content)
		content_len = frame_hex(c->content, content, sizeof(content));
	else
		fill_content(content, content_len);
	spec.content = content;
	spec.content_len = content_len;
	len = frame_build(&spec, in);
	if (c->version)
		in[spec.bare ? 0 : 14 + 4 * spec.tags] = (uint8_t)(c->version << 4);

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
	if (o.odd && !fx_odd_get(port))
		fail_row(c->text, "this port noted as odd", 0, 1);
}

static void test_pledge_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(pledge_cases); i++)
		one_pledge_case(&pledge_cases[i]);
	print_message("%zu packets from pledges\n", ROWS(pledge_cases));
	done();
}

/* Cut short at every length: foreign until the headers are there, then a lie about the length. */
static void test_pledge_cut(void **state)
{
	static const uint8_t ports[] = { FX_PORT_PLAIN, FX_PORT_TAGGED, FX_PORT_TWICE_TAGGED,
					 FX_PORT_BARE };
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[21];
	int ran = 0;

	(void)state;
	fill_content(content, sizeof(content));
	for (size_t i = 0; i < ROWS(ports); i++) {
		size_t headers = (size_t)fx_ports[ports[i]].l2_len + 48, full, want_len;
		struct frame_spec spec;

		fx_from_pledge(ports[i], FX_SVC_02, &spec);
		spec.content = content;
		spec.content_len = sizeof(content);
		full = frame_build(&spec, in);
		want_len = wrapped(ports[i], FX_SVC_02, &spec, want);
		for (size_t len = 0; len <= full; len++) {
			struct outcome o = { .kind = FOREIGN };
			uint8_t out[FRAME_MAX];
			size_t out_len;
			char text[64];
			int slot = fx_ports[ports[i]].slot;

			snprintf(text, sizeof(text), "port %d, frame of %zu of %zu bytes", ports[i],
				 len, full);
			if (len == full)
				o = (struct outcome){ .kind = RELAYED,
						      .service = FX_SVC_02,
						      .content_len = sizeof(content) };
			else if (len >= headers)
				o = (struct outcome){ .kind = DROPPED,
						      .why = JPX_DROP_LENGTH_MISMATCH };
			o.counted_at = o.kind == FOREIGN ? 0 : ports[i];
			/* Kernels refuse to test frames that no Ethernet header fits into, some
			 * only when no metadata makes up for it. */
			if (len < 14 && fx_run(slot, in, len, 32, out, &out_len) == -EINVAL)
				continue;
			run_row(text, slot, in, len, len < 14 ? 32 : 0, &o, want, want_len);
			ran++;
		}
	}
	assert_true(ran > 200);
	done();
}

/* Every first byte with every version, at every length that matters, by a rule written out again.
 */
static void test_dtls(void **state)
{
	static const uint8_t versions[][2] = { { 0xfe, 0xff }, { 0xfe, 0xfd }, { 0xfe, 0xfe },
					       { 0xfe, 0xfc }, { 0x03, 0x03 }, { 0xff, 0xfd },
					       { 0x00, 0x00 } };
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 21 };
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[21] = { 0 };

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		for (size_t v = 0; v < ROWS(versions); v++) {
			for (size_t l = 0; l < ROWS(lengths); l++) {
				bool dtls12 = type >= 20 && type <= 26 && lengths[l] >= 3 && v < 2;
				bool dtls13 = type >= 32 && type <= 63 && lengths[l] >= 1;
				struct outcome o = { .counted_at = FX_PORT_PLAIN };
				struct frame_spec spec;
				size_t len, want_len;
				char text[64];

				content[0] = (uint8_t)type;
				content[1] = versions[v][0];
				content[2] = versions[v][1];
				fx_from_pledge(FX_PORT_PLAIN, FX_SVC_02, &spec);
				spec.content = content;
				spec.content_len = lengths[l];
				len = frame_build(&spec, in);
				want_len = wrapped(FX_PORT_PLAIN, FX_SVC_02, &spec, want);
				o.kind = dtls12 || dtls13 ? RELAYED : DROPPED;
				o.why = JPX_DROP_NOT_DTLS;
				o.service = FX_SVC_02;
				o.content_len = lengths[l];
				snprintf(text, sizeof(text), "%zu bytes %02x %02x %02x", lengths[l],
					 type, versions[v][0], versions[v][1]);
				run_fast(text, FX_SLOT_ETHERNET, in, len, &o, want, want_len);
			}
		}
	}
	done();
}

/* No room in front of the frame: metadata has taken it. */
static void test_no_headroom(void **state)
{
	struct outcome o = { .kind = HANDED,
			     .why = JPX_HANDOFF_NO_HEADROOM,
			     .counted_at = FX_PORT_PLAIN };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], content[21];
	struct frame_spec spec;
	size_t len, out_len;

	(void)state;
	fill_content(content, sizeof(content));
	fx_from_pledge(FX_PORT_PLAIN, FX_SVC_02, &spec);
	spec.content = content;
	spec.content_len = sizeof(content);
	len = frame_build(&spec, in);
	/* The kernel keeps 40 of the 256 bytes for itself; before 6.4 metadata ends at 32. */
	if (fx_run(FX_SLOT_ETHERNET, in, len, 200, out, &out_len) == -EINVAL) {
		print_message("this kernel takes no more than 32 bytes of metadata\n");
		skip();
	}
	run_row("no headroom", FX_SLOT_ETHERNET, in, len, 200, &o, NULL, 0);
	done();
}

/* ---- Registrar to pledge --------------------------------------------------- */

#define UNWRAP(n) .skip = (n), .is = { .kind = RELAYED, .to_pledge = true }

struct registrar_case {
	const char *text;
	uint8_t service;     /* 0: 1 */
	int slot;	     /* 0: the uplink */
	const char *message; /* hex */
	size_t follow;	     /* bytes that are appended to it, as fill_content() makes them */
	size_t skip;	     /* RELAYED: of the prefix */
	uint8_t port;	     /* 0: 1; of the pledge */
	uint16_t udp_port;
	const char *pledge;
	uint64_t mac;
	const char *src, *dst;
	uint64_t src_mac, dst_mac;
	int sport, dport;
	int ip_len, udp_len;
	size_t padding;
	enum frame_csum csum;
	const char *ext;
	uint8_t first_header;
	int tags;
	struct frame_tag tag[2];
	struct outcome is;
};

/* draft-02, to port 1: 24 bytes before the content */
#define FIVE_TO(id) "8550" PLEDGE "19bda70a" id
#define FIVE	    FIVE_TO("01")
#define GOOD	    FIVE "55" DTLS21
/* draft-21 */
#define TWO_IID(id, iid, mac)                                                                      \
	"8252"                                                                                     \
	"01" id "bda7" iid mac
#define TWO_TO(id) TWO_IID(id, "000000fffe000001", "020000000001")
#define GOOD21	   TWO_TO("01") "55" DTLS21
#define FF8	   "ffffffffffffffff"

static const struct registrar_case registrar_cases[] = {
	/* the ways out */
	{ "draft-02", .message = GOOD, UNWRAP(24) },
	{ "draft-02 to a tagged port", .message = FIVE_TO("17") "55" DTLS21, .port = 23,
	  UNWRAP(24) },
	{ "draft-02 to a twice tagged port", .message = FIVE_TO("1818") "55" DTLS21, .port = 24,
	  UNWRAP(25) },
	{ "draft-02 to bare IPv6", .message = FIVE_TO("18ff") "55" DTLS21, .port = 255,
	  UNWRAP(25) },
	{ "draft-02 from bare IPv6", .service = FX_SVC_02_BARE, .message = GOOD, UNWRAP(24) },
	{ "draft-02, bare IPv6 to twice tagged", .service = FX_SVC_02_BARE,
	  .message = FIVE_TO("1818") "55" DTLS21, .port = 24, UNWRAP(25) },
	{ "draft-02, bare IPv6 both", .service = FX_SVC_02_BARE,
	  .message = FIVE_TO("18ff") "55" DTLS21, .port = 255, UNWRAP(25) },
	{ "draft-02, twice tagged to bare IPv6", .service = FX_SVC_TWICE_TAGGED_02,
	  .message = FIVE_TO("18ff") "55" DTLS21, .port = 255, UNWRAP(25) },
	{ "draft-02, twice tagged both", .service = FX_SVC_TWICE_TAGGED_02,
	  .message = FIVE_TO("1818") "55" DTLS21, .port = 24, UNWRAP(25) },
	{ "draft-06", .service = FX_SVC_06, .message = "8550" PLEDGE "19bda7020155" DTLS21,
	  UNWRAP(24) },
	{ "draft-06 from a tagged uplink", .service = FX_SVC_06_TAGGED,
	  .message = "8550" PLEDGE "19bda7020155" DTLS21, UNWRAP(24) },
	{ "draft-06, bare IPv6 both", .service = FX_SVC_06_BARE,
	  .message = "8550" PLEDGE "19bda70218ff55" DTLS21, .port = 255, UNWRAP(25) },
	{ "draft-21", .service = FX_SVC_21, .message = GOOD21, UNWRAP(21) },
	{ "draft-21 from a twice tagged uplink", .service = FX_SVC_21_TWICE_TAGGED,
	  .message = GOOD21, UNWRAP(21) },
	{ "draft-21, twice tagged both", .service = FX_SVC_21_TWICE_TAGGED,
	  .message = TWO_TO("18") "55" DTLS21, .port = 24, UNWRAP(21) },
	{ "draft-21 to bare IPv6", .service = FX_SVC_21, .message = TWO_TO("ff") "55" DTLS21,
	  .port = 255, UNWRAP(21) },
	/* the one frame that grows: 22 bytes of link header for 21 of prefix */
	{ "draft-21, bare IPv6 to twice tagged", .service = FX_SVC_21_BARE,
	  .message = TWO_TO("18") "55" DTLS21, .port = 24, UNWRAP(21) },
	{ "one-armed", .service = FX_SVC_ONE_ARM, .slot = FX_SLOT_ONE_ARM,
	  .message = FIVE_TO("02") "55" DTLS21, .port = 2, .skip = 24,
	  .is = { .kind = RELAYED, .to_pledge = true, .same_interface = true } },
	{ "one-armed, to another port", .service = FX_SVC_ONE_ARM, .slot = FX_SLOT_ONE_ARM,
	  .message = GOOD, UNWRAP(24) },
	{ "on another uplink than the service's", .slot = FX_SLOT_ONE_ARM, .message = GOOD,
	  UNWRAP(24) },
	{ "the last service id", .service = FX_SVC_LAST, .message = GOOD, UNWRAP(24) },
	{ "a service of one port only", .service = FX_SVC_PRIVATE,
	  .message = FIVE_TO("1818") "55" DTLS21, .port = 24, UNWRAP(25) },
	{ "a service that is not ready", .service = FX_SVC_NOT_READY, .message = GOOD, UNWRAP(24) },
	{ "content that is no DTLS", .message = FIVE "4401020304", UNWRAP(24) },
	{ "priority bits in the tag", .service = FX_SVC_06_TAGGED, .tags = 1,
	  .tag = { { 0x8100, 0xa01e } }, .message = "8550" PLEDGE "19bda7020155" DTLS21,
	  UNWRAP(24) },

	/* sizes of content */
	{ "no content", .message = FIVE "40", UNWRAP(24) },
	{ "content of 1", .message = FIVE "41", .follow = 1, UNWRAP(24) },
	{ "content of 2", .message = FIVE "42", .follow = 2, UNWRAP(24) },
	{ "content of 3", .message = FIVE "43", .follow = 3, UNWRAP(24) },
	{ "content of 23", .message = FIVE "57", .follow = 23, UNWRAP(24) },
	{ "content of 24", .message = FIVE "5818", .follow = 24, UNWRAP(25) },
	{ "content of 69", .message = FIVE "5845", .follow = 69, UNWRAP(25) },
	{ "content of 255", .message = FIVE "58ff", .follow = 255, UNWRAP(25) },
	{ "content of 256", .message = FIVE "590100", .follow = 256, UNWRAP(26) },
	{ "content of 256 to id 255", .message = FIVE_TO("18ff") "590100", .follow = 256,
	  .port = 255, UNWRAP(27) },
	{ "content of 255 to id 255", .message = FIVE_TO("18ff") "58ff", .follow = 255, .port = 255,
	  UNWRAP(26) },
	{ "draft-21, no content", .service = FX_SVC_21, .message = TWO_TO("01") "40", UNWRAP(21) },
	{ "draft-21, content of 24", .service = FX_SVC_21, .message = TWO_TO("01") "5818",
	  .follow = 24, UNWRAP(22) },
	{ "draft-21, content of 256", .service = FX_SVC_21, .message = TWO_TO("01") "590100",
	  .follow = 256, UNWRAP(23) },

	/* low UDP ports */
	{ "port 1", .message = "8550" PLEDGE "010a0155" DTLS21, .udp_port = 1, UNWRAP(22) },
	{ "port 23", .message = "8550" PLEDGE "170a0155" DTLS21, .udp_port = 23, UNWRAP(22) },
	{ "port 24", .message = "8550" PLEDGE "18180a0155" DTLS21, .udp_port = 24, UNWRAP(23) },
	{ "port 255", .message = "8550" PLEDGE "18ff0a0155" DTLS21, .udp_port = 255, UNWRAP(23) },
	{ "port 256", .message = "8550" PLEDGE "1901000a0155" DTLS21, .udp_port = 256, UNWRAP(24) },
	{ "port 65535", .message = "8550" PLEDGE "19ffff0a0155" DTLS21, .udp_port = 65535,
	  UNWRAP(24) },

	/* longer than the shortest encoding */
	{ "array in 2", .message = "980550" PLEDGE "19bda70a0155" DTLS21, UNWRAP(25) },
	{ "array in 3", .message = "99000550" PLEDGE "19bda70a0155" DTLS21, UNWRAP(26) },
	{ "array in 5", .message = "9a0000000550" PLEDGE "19bda70a0155" DTLS21, UNWRAP(28) },
	{ "array in 9", .message = "9b000000000000000550" PLEDGE "19bda70a0155" DTLS21,
	  UNWRAP(32) },
	{ "address in 2", .message = "855810" PLEDGE "19bda70a0155" DTLS21, UNWRAP(25) },
	{ "address in 3", .message = "85590010" PLEDGE "19bda70a0155" DTLS21, UNWRAP(26) },
	{ "address in 5", .message = "855a00000010" PLEDGE "19bda70a0155" DTLS21, UNWRAP(28) },
	{ "address in 9", .message = "855b0000000000000010" PLEDGE "19bda70a0155" DTLS21,
	  UNWRAP(32) },
	{ "port in 5", .message = "8550" PLEDGE "1a0000bda70a0155" DTLS21, UNWRAP(26) },
	{ "port in 9", .message = "8550" PLEDGE "1b000000000000bda70a0155" DTLS21, UNWRAP(30) },
	{ "port 5 in 2", .message = "8550" PLEDGE "18050a0155" DTLS21, .udp_port = 5, UNWRAP(23) },
	{ "port 80 in 3", .message = "8550" PLEDGE "1900500a0155" DTLS21, .udp_port = 80,
	  UNWRAP(24) },
	{ "family in 2", .message = "8550" PLEDGE "19bda7180a0155" DTLS21, UNWRAP(25) },
	{ "family in 3", .message = "8550" PLEDGE "19bda719000a0155" DTLS21, UNWRAP(26) },
	{ "family in 9", .message = "8550" PLEDGE "19bda71b000000000000000a0155" DTLS21,
	  UNWRAP(32) },
	{ "id 1 in 2", .message = FIVE_TO("1801") "55" DTLS21, UNWRAP(25) },
	{ "id 1 in 3", .message = FIVE_TO("190001") "55" DTLS21, UNWRAP(26) },
	{ "id 1 in 9", .message = FIVE_TO("1b0000000000000001") "55" DTLS21, UNWRAP(32) },
	{ "id 255 in 3", .message = FIVE_TO("1900ff") "55" DTLS21, .port = 255, UNWRAP(26) },
	{ "content in 2", .message = FIVE "5815" DTLS21, UNWRAP(25) },
	{ "content in 3", .message = FIVE "590015" DTLS21, UNWRAP(26) },
	{ "content in 5", .message = FIVE "5a00000015" DTLS21, UNWRAP(28) },
	{ "content in 9", .message = FIVE "5b0000000000000015" DTLS21, UNWRAP(32) },
	{ "content of 200 in 3", .message = FIVE "5900c8", .follow = 200, UNWRAP(26) },
	{ "no content in 3", .message = FIVE "590000", UNWRAP(26) },
	{ "several of them", .message = "980558 10" PLEDGE "1a0000bda7180a180158 15" DTLS21,
	  UNWRAP(31) },
	{ "two that cancel out", .message = "8550" PLEDGE "1900500a18185a00000015" DTLS21,
	  .udp_port = 80, .port = 24, UNWRAP(29) },
	{ "as far as is looked: 64 bytes",
	  .message = "9b0000000000000005590010" PLEDGE
		     "1b000000000000bda71b000000000000000a1b0000000000000001"
		     "5b0000000000000015" DTLS21,
	  UNWRAP(64) },
	{ "further than is looked",
	  .message = "9b00000000000000055b0000000000000010" PLEDGE
		     "1b000000000000bda71b000000000000000a1b0000000000000001"
		     "5b0000000000000015" DTLS21,
	  HAND(ENCODING) },
	{ "draft-21, array in 2", .service = FX_SVC_21,
	  .message = "98025201"
		     "01bda7000000fffe000001020000000001"
		     "55" DTLS21,
	  UNWRAP(22) },
	{ "draft-21, header in 2", .service = FX_SVC_21,
	  .message = "82581201"
		     "01bda7000000fffe000001020000000001"
		     "55" DTLS21,
	  UNWRAP(22) },
	{ "draft-21, header in 9", .service = FX_SVC_21,
	  .message = "825b000000000000001201"
		     "01bda7000000fffe000001020000000001"
		     "55" DTLS21,
	  UNWRAP(29) },
	{ "draft-21, content in 2", .service = FX_SVC_21, .message = TWO_TO("01") "5815" DTLS21,
	  UNWRAP(22) },
	{ "draft-21, content in 5", .service = FX_SVC_21,
	  .message = TWO_TO("01") "5a00000015" DTLS21, UNWRAP(25) },

	/* lies that cancel out: as long as the shortest encoding of what they seem to say */
	{ "port 80 in 3, id -1", .message = "8550" PLEDGE "1900500a2045", .follow = 5,
	  DROP(UNKNOWN_PLEDGE_PORT) },
	{ "port 80 in 3, id a byte string", .message = "8550" PLEDGE "1900500a4055", .follow = 21,
	  DROP(JPY_MALFORMED) },
	{ "port 80 in 3, content of 5 and 64 more", .message = "8550" PLEDGE "1900500a0145",
	  .follow = 69, DROP(JPY_TRAILING) },
	{ "id 1 in 2, content of 5 and 64 more", .message = FIVE_TO("1801") "45", .follow = 69,
	  DROP(JPY_TRAILING) },
	{ "content of 5 and 64 more", .message = FIVE "45", .follow = 69, DROP(JPY_TRAILING) },
	{ "draft-21, content of 5 and 64 more", .service = FX_SVC_21, .message = TWO_TO("01") "45",
	  .follow = 69, DROP(JPY_TRAILING) },

	/* what is no CBOR, or not what it should be */
	{ "empty", .message = "", DROP(JPY_MALFORMED) },
	{ "DTLS without JPY", .message = DTLS21, DROP(JPY_MALFORMED) },
	{ "a byte string", .message = "55" DTLS21, DROP(JPY_MALFORMED) },
	{ "a map", .message = "a550" PLEDGE "19bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "tagged", .message = "c18550" PLEDGE "19bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "indefinite array", .message = "9f50" PLEDGE "19bda70a0155" DTLS21 "ff",
	  DROP(JPY_MALFORMED) },
	{ "reserved array head", .message = "9c50" PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "array head cut off", .message = "9a000000", DROP(JPY_MALFORMED) },
	{ "array of 0", .message = "80", DROP(JPY_COUNT) },
	{ "array of 4", .message = "8450" PLEDGE "19bda70a01", DROP(JPY_COUNT) },
	{ "array of 4, all the same with five", .message = "8450" PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_COUNT) },
	{ "array of 6", .message = "8650" PLEDGE "19bda70a0155" DTLS21 "00", HAND(ENCODING) },
	{ "array of 2^64 - 1", .message = "9b" FF8 "50" PLEDGE "19bda70a0155" DTLS21,
	  HAND(ENCODING) },
	{ "address as text", .message = "8570" PLEDGE "19bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "address as integer", .message = "850019bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "address as array", .message = "858019bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "address of indefinite length", .message = "855f50" PLEDGE "ff19bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "address of 4", .message = "8544a9fe010219bda70a0155" DTLS21, DROP(JPY_HEADER) },
	{ "address of 0", .message = "854019bda70a0155" DTLS21, DROP(JPY_HEADER) },
	{ "address of 15", .message = "854ffe80000000000000000000fffe000019bda70a0155" DTLS21,
	  DROP(JPY_HEADER) },
	{ "address of 17", .message = "8551" PLEDGE "0019bda70a0155" DTLS21, DROP(JPY_HEADER) },
	{ "address of 32", .message = "855820" PLEDGE PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_HEADER) },
	{ "address of 49", .message = "855831" PLEDGE PLEDGE PLEDGE "0019bda70a0155" DTLS21,
	  HAND(ENCODING) },
	{ "address longer than the message", .message = "8558ff" PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "address of 2^64 - 1", .message = "855b" FF8 PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "address of 2^32 + 16", .message = "855b0000000100000010" PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "address up to the very end", .message = "8558 2a" PLEDGE "19bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "port as byte string", .message = "8550" PLEDGE "42bda70a0155" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "port as float", .message = "8550" PLEDGE "f9bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "port tagged", .message = "8550" PLEDGE "c119bda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "port reserved", .message = "8550" PLEDGE "1dbda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "port indefinite", .message = "8550" PLEDGE "1fbda70a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "port null", .message = "8550" PLEDGE "f60a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "family as text", .message = "8550" PLEDGE "19bda7610a0155" DTLS21, DROP(JPY_MALFORMED) },
	{ "id as byte string", .message = FIVE_TO("4101") "55" DTLS21, DROP(JPY_MALFORMED) },
	{ "id true", .message = FIVE_TO("f5") "55" DTLS21, DROP(JPY_MALFORMED) },
	{ "content as text", .message = FIVE "75" DTLS21, DROP(JPY_MALFORMED) },
	{ "content as integer", .message = FIVE "15", DROP(JPY_MALFORMED) },
	{ "content of indefinite length", .message = FIVE "5f55" DTLS21 "ff", DROP(JPY_MALFORMED) },
	{ "content missing", .message = FIVE, DROP(JPY_MALFORMED) },
	{ "content head cut off", .message = FIVE "5900", DROP(JPY_MALFORMED) },
	{ "content one byte too long", .message = FIVE "56" DTLS21, DROP(JPY_MALFORMED) },
	{ "content much too long", .message = FIVE "59ffff" DTLS21, DROP(JPY_MALFORMED) },
	{ "content of 2^64 - 1", .message = FIVE "5b" FF8 DTLS21, DROP(JPY_MALFORMED) },
	{ "content of 2^63 - 1", .message = FIVE "5b7fffffffffffffff" DTLS21, DROP(JPY_MALFORMED) },
	{ "content of 2^32 + 21", .message = FIVE "5b0000000100000015" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "one byte behind the end", .message = FIVE "54" DTLS21, DROP(JPY_TRAILING) },
	{ "no content and a byte behind the end", .message = FIVE "4000", DROP(JPY_TRAILING) },
	{ "trailing comes before a wrong header", .message = "8550" PLEDGE "19bda7020154" DTLS21,
	  DROP(JPY_TRAILING) },
	{ "draft-21, empty", .service = FX_SVC_21, .message = "", DROP(JPY_MALFORMED) },
	{ "draft-21, array of 1", .service = FX_SVC_21, .message = "8152", .follow = 18,
	  DROP(JPY_COUNT) },
	{ "draft-21, array of 3", .service = FX_SVC_21,
	  .message = "835201"
		     "01bda7000000fffe000001020000000001"
		     "55" DTLS21 "00",
	  HAND(ENCODING) },
	{ "draft-21, header as text", .service = FX_SVC_21,
	  .message = "827201"
		     "01bda7000000fffe000001020000000001"
		     "55" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "draft-21, content as text", .service = FX_SVC_21, .message = TWO_TO("01") "75" DTLS21,
	  DROP(JPY_MALFORMED) },
	{ "draft-21, content one byte too long", .service = FX_SVC_21,
	  .message = TWO_TO("01") "56" DTLS21, DROP(JPY_MALFORMED) },
	{ "draft-21, one byte behind the end", .service = FX_SVC_21,
	  .message = TWO_TO("01") "54" DTLS21, DROP(JPY_TRAILING) },
	{ "draft-21, a five-element message", .service = FX_SVC_21, .message = GOOD,
	  HAND(ENCODING) },
	{ "draft-02, a draft-21 message", .message = GOOD21, DROP(JPY_COUNT) },

	/* headers that say what cannot be */
	{ "draft-06's family in draft-02", .message = "8550" PLEDGE "19bda7020155" DTLS21,
	  DROP(JPY_HEADER) },
	{ "draft-02's family in draft-06", .service = FX_SVC_06, .message = GOOD,
	  DROP(JPY_HEADER) },
	{ "family 1 in draft-06", .service = FX_SVC_06,
	  .message = "8550" PLEDGE "19bda7010155" DTLS21, DROP(JPY_HEADER) },
	{ "family -11", .message = "8550" PLEDGE "19bda72a0155" DTLS21, DROP(JPY_HEADER) },
	{ "family 266", .message = "8550" PLEDGE "19bda719010a0155" DTLS21, DROP(JPY_HEADER) },
	{ "address global", .message = "855020010db800000000000000000000000119bda70a0155" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "address unspecified",
	  .message = "85500000000000000000000000000000000019bda70a0155" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "address multicast", .message = "8550ff02000000000000000000000000000119bda70a0155" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "address v4-mapped", .message = "855000000000000000000000ffffc0a801c819bda70a0155" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "address fe80:0:0:1::1",
	  .message = "8550fe80000000000001000000000000000119bda70a0155" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "address fe80::", .message = "8550fe80000000000000000000000000000019bda70a0155" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "address comes before port",
	  .message = "855020010db8000000000000000000000001000a0055" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "port 0", .message = "8550" PLEDGE "000a0155" DTLS21, DROP(PLEDGE_PORT_INVALID) },
	{ "port 0 in 3", .message = "8550" PLEDGE "1900000a0155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "port 65536", .message = "8550" PLEDGE "1a000100000a0155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "port 65536 + 48551", .message = "8550" PLEDGE "1a0001bda70a0155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "port 2^64 - 1", .message = "8550" PLEDGE "1b" FF8 "0a0155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "port 2^32 + 48551", .message = "8550" PLEDGE "1b000000010000bda70a0155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "port -48551", .message = "8550" PLEDGE "39bda60a0155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "port comes before id", .message = "8550" PLEDGE "000a0055" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "id 0", .message = FIVE_TO("00") "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id 256", .message = FIVE_TO("190100") "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id 257", .message = FIVE_TO("190101") "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id 2^32 + 1", .message = FIVE_TO("1b0000000100000001") "55" DTLS21,
	  DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id -1", .message = FIVE_TO("20") "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id -2^64", .message = FIVE_TO("3b" FF8) "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id of nothing", .message = FIVE_TO("1864") "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id not in use", .message = FIVE_TO("0c") "55" DTLS21, DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id that serves nothing", .message = FIVE_TO("0b") "55" DTLS21,
	  DROP(UNKNOWN_PLEDGE_PORT) },
	{ "id that does not serve this", .service = FX_SVC_PRIVATE, .message = GOOD,
	  DROP(UNKNOWN_PLEDGE_PORT) },
	{ "draft-21, id 0", .service = FX_SVC_21, .message = TWO_TO("00") "55" DTLS21,
	  DROP(UNKNOWN_PLEDGE_PORT) },
	{ "draft-21, id of nothing", .service = FX_SVC_21, .message = TWO_TO("64") "55" DTLS21,
	  DROP(UNKNOWN_PLEDGE_PORT) },
	{ "draft-21, version 2", .service = FX_SVC_21,
	  .message = "82520201bda7000000fffe00000102000000000155" DTLS21, DROP(JPY_HEADER) },
	{ "draft-21, version 0", .service = FX_SVC_21,
	  .message = "82520001bda7000000fffe00000102000000000155" DTLS21, DROP(JPY_HEADER) },
	{ "draft-21, header of 17", .service = FX_SVC_21,
	  .message = "82510101bda7000000fffe000001020000000055" DTLS21, DROP(JPY_HEADER) },
	{ "draft-21, header of 19", .service = FX_SVC_21,
	  .message = "82530101bda7000000fffe0000010200000000010055" DTLS21, DROP(JPY_HEADER) },
	{ "draft-21, header of 0", .service = FX_SVC_21, .message = "824055" DTLS21,
	  DROP(JPY_HEADER) },
	{ "draft-21, a group's MAC", .service = FX_SVC_21,
	  .message = TWO_IID("01", "000000fffe000001", "010000000001") "55" DTLS21,
	  DROP(JPY_HEADER) },
	{ "draft-21, MAC broadcast, header in 2", .service = FX_SVC_21,
	  .message = "82581201"
		     "01bda7000000fffe000001ffffffffffff"
		     "55" DTLS21,
	  DROP(JPY_HEADER) },
	{ "draft-21, port 0", .service = FX_SVC_21,
	  .message = "825201010000000000fffe00000102000000000155" DTLS21,
	  DROP(PLEDGE_PORT_INVALID) },
	{ "draft-21, identifier 0", .service = FX_SVC_21,
	  .message = TWO_IID("01", "0000000000000000", "020000000001") "55" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },
	{ "draft-21, identifier and port 0", .service = FX_SVC_21,
	  .message = "8252010000000000000000000000020000000001"
		     "55" DTLS21,
	  DROP(PLEDGE_NOT_LINK_LOCAL) },

	/* ports that cannot take it */
	{ "port not ready", .message = FIVE_TO("09") "55" DTLS21, .port = 9, HAND(NO_TRANSMIT) },
	{ "port cannot transmit", .message = FIVE_TO("0a") "55" DTLS21, .port = 10,
	  HAND(NO_TRANSMIT) },
	{ "draft-01", .service = FX_SVC_01, .message = GOOD, HAND(FORM) },
	{ "largest that fits", .message = FIVE "5905ac", .follow = 1452, UNWRAP(26) },
	{ "one byte too many", .message = FIVE "5905ad", .follow = 1453, .port = 1,
	  HAND(OVER_MTU) },
	{ "largest that fits, tagged", .message = FIVE_TO("17") "5905ac", .follow = 1452,
	  .port = 23, UNWRAP(26) },
	{ "one byte too many, bare IPv6", .message = FIVE_TO("18ff") "5905ad", .follow = 1453,
	  .port = 255, HAND(OVER_MTU) },

	/* lengths and checksums */
	{ "IPv6 longer than the frame", .message = GOOD, .ip_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP longer than IPv6", .message = GOOD, .udp_len = 1, DROP(LENGTH_MISMATCH) },
	{ "UDP length 7", .message = GOOD, .udp_len = -46, DROP(LENGTH_MISMATCH) },
	{ "UDP length 0", .message = GOOD, .udp_len = -53, DROP(LENGTH_MISMATCH) },
	{ "UDP shorter than IPv6", .message = GOOD, .udp_len = -1, HAND(PADDING) },
	{ "frame longer", .message = GOOD, .padding = 1, HAND(PADDING) },
	{ "no checksum", .message = GOOD, .csum = FRAME_CSUM_ZERO, DROP(CHECKSUM_ZERO) },
	{ "partial checksum", .message = GOOD, .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, another sum", .service = FX_SVC_06,
	  .message = "8550" PLEDGE "19bda7020155" DTLS21, .csum = FRAME_CSUM_PARTIAL,
	  HAND(CHECKSUM_PARTIAL) },
	{ "partial checksum, bare IPv6", .service = FX_SVC_21_BARE, .message = GOOD21,
	  .csum = FRAME_CSUM_PARTIAL, HAND(CHECKSUM_PARTIAL) },
	{ "a length comes before a wrong message", .message = "00", .ip_len = 1,
	  DROP(LENGTH_MISMATCH) },

	/* fragments and extension headers */
	{ "first fragment", .message = GOOD, .ext = FRAG_FIRST, .first_header = 44,
	  HAND(FRAGMENT) },
	{ "later fragment", .message = GOOD, .ext = FRAG_LATER, .first_header = 44, PASS },
	{ "hop-by-hop", .message = GOOD, .ext = HOP_THEN("11"), .first_header = 0,
	  HAND(EXTENSION_HEADER) },
	{ "hop-by-hop, bare IPv6", .service = FX_SVC_02_BARE, .message = GOOD,
	  .ext = HOP_THEN("11"), .first_header = 0, HAND(EXTENSION_HEADER) },
	{ "first fragment from another", .message = GOOD, .src = "2001:db8::1", .ext = FRAG_FIRST,
	  .first_header = 44, PASS },
	{ "first fragment to another", .message = GOOD, .dst = "2001:db8::1", .ext = FRAG_FIRST,
	  .first_header = 44, PASS },
	{ "first fragment, no uplink", .slot = FX_SLOT_ETHERNET, .message = GOOD, .ext = FRAG_FIRST,
	  .first_header = 44, PASS },

	/* what is not the Registrar's */
	{ "from another address", .message = GOOD, .src = "2001:db8:0:abcd::52", PASS },
	{ "from another address, first byte", .message = GOOD, .src = "3001:db8:0:abcd:1::52",
	  PASS },
	{ "from another port", .message = GOOD, .sport = 7635, PASS },
	{ "to another address", .message = GOOD, .dst = "2001:db8:0:abcd::a2", PASS },
	{ "to another network", .message = GOOD, .dst = "2001:db9:0:abcd::a1", PASS },
	{ "to another port", .message = GOOD, .dport = 9999, PASS },
	{ "to another service's port", .message = GOOD, .dport = FX_BACK(FX_SVC_06), PASS },
	{ "to a join port", .message = GOOD, .dport = FX_JOIN(FX_SVC_02), PASS },
	{ "to another MAC", .message = GOOD, .dst_mac = 0x02000000001b, PASS },
	{ "to another MAC, first byte", .message = GOOD, .dst_mac = 0x03000000001a, PASS },
	{ "from another MAC: routers change", .message = GOOD, .src_mac = 0x020000000bad,
	  UNWRAP(24) },
	{ "on an interface that is no uplink", .slot = FX_SLOT_ETHERNET, .message = GOOD, PASS },
	{ "on a slot that is not in use", .slot = FX_SLOT_OFF, .message = GOOD, PASS },
	{ "service not in use", .service = FX_SVC_UNUSED, .message = GOOD, PASS },
	{ "tagged", .message = GOOD, .tags = 1, .tag = { { 0x8100, 30 } }, PASS },
	{ "tag missing", .service = FX_SVC_06_TAGGED, .tags = AUTO,
	  .message = "8550" PLEDGE "19bda7020155" DTLS21, PASS },
	{ "another VLAN", .service = FX_SVC_06_TAGGED, .tags = 1, .tag = { { 0x8100, 31 } },
	  .message = "8550" PLEDGE "19bda7020155" DTLS21, PASS },
	{ "another tag protocol", .service = FX_SVC_06_TAGGED, .tags = 1, .tag = { { 0x88a8, 30 } },
	  .message = "8550" PLEDGE "19bda7020155" DTLS21, PASS },
	{ "another outer VLAN", .service = FX_SVC_21_TWICE_TAGGED, .tags = 2,
	  .tag = { { 0x88a8, 30 }, { 0x8100, 32 } }, .message = GOOD21, PASS },
	{ "another inner VLAN", .service = FX_SVC_21_TWICE_TAGGED, .tags = 2,
	  .tag = { { 0x88a8, 31 }, { 0x8100, 33 } }, .message = GOOD21, PASS },
	{ "Ethernet for a service on bare IPv6", .service = FX_SVC_02_BARE, .slot = FX_SLOT_UPLINK,
	  .tags = AUTO, .message = GOOD, PASS },
	{ "wrong ends come before wrong lengths", .message = GOOD, .src = "2001:db8::1",
	  .ip_len = 1, PASS },
};

/* Where the proxy counts: at the port once it is known, at 0 before. */
static uint8_t counted_at(const struct outcome *o, uint8_t port)
{
	if (o->kind == RELAYED)
		return port;
	return o->kind == HANDED && (o->why == JPX_HANDOFF_NO_TRANSMIT ||
				     o->why == JPX_HANDOFF_OVER_MTU ||
				     o->why == JPX_HANDOFF_NO_PLEDGE_MAC)
		       ? port
		       : 0;
}

static int uplink_slot(uint32_t service)
{
	return fx_services[service].l2_len ? FX_SLOT_UPLINK : FX_SLOT_UPLINK_BARE;
}

static void one_registrar_case(const struct registrar_case *c)
{
	uint8_t in[FRAME_MAX], want[FRAME_MAX], message[FRAME_MAX], ext[64];
	uint8_t port = c->port ? c->port : FX_PORT_PLAIN;
	uint8_t service = c->service ? c->service : FX_SVC_02;
	int slot = c->slot ? c->slot : uplink_slot(service);
	struct outcome o = c->is;
	struct frame_spec spec, out;
	size_t len, message_len, want_len = 0;

	fx_from_registrar(service, &spec);
	if (c->src)
		frame_addr(c->src, spec.src);
	if (c->dst)
		frame_addr(c->dst, spec.dst);
	if (c->src_mac)
		spec.src_mac = c->src_mac;
	if (c->dst_mac)
		spec.dst_mac = c->dst_mac;
	if (c->sport)
		spec.sport = (uint16_t)c->sport;
	if (c->dport)
		spec.dport = (uint16_t)c->dport;
	if (c->tags) {
		spec.bare = false;
		spec.tags = c->tags == AUTO ? 0 : c->tags;
		memcpy(spec.tag, c->tag, sizeof(spec.tag));
	}
	if (c->ext) {
		spec.extended = true;
		spec.ext = ext;
		spec.ext_len = frame_hex(c->ext, ext, sizeof(ext));
		spec.first_header = c->first_header;
	}
	spec.ip_len_add = c->ip_len;
	spec.udp_len_add = c->udp_len;
	spec.padding = c->padding;
	spec.csum = c->csum;
	message_len = frame_hex(c->message, message, sizeof(message));
	fill_content(message + message_len, c->follow);
	message_len += c->follow;
	spec.content = message;
	spec.content_len = message_len;
	len = frame_build(&spec, in);

	if (o.kind == RELAYED) {
		o.service = service;
		fx_to_pledge(port, service, c->mac ? c->mac : FX_PLEDGE_MAC, &out);
		if (c->pledge)
			frame_addr(c->pledge, out.dst);
		if (c->udp_port)
			out.dport = c->udp_port;
		out.content = message + c->skip;
		out.content_len = o.content_len = message_len - c->skip;
		want_len = frame_build(&out, want);
	}
	o.counted_at = counted_at(&o, port);
	fx_macs_clear();
	run_row(c->text, slot, in, len, 0, &o, want, want_len);
}

static void test_registrar_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(registrar_cases); i++)
		one_registrar_case(&registrar_cases[i]);
	print_message("%zu packets from Registrars\n", ROWS(registrar_cases));
	done();
}

/* ---- the standards' vectors ------------------------------------------------ */

/* As the drafts print or imply them, against the form they are of. */
static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct registrar_case c = { .text = v->name,
					    .message = v->hex,
					    .follow = v->follow,
					    .port = FX_PORT_VECTORS,
					    .udp_port = FX_PLEDGE_UDP,
					    .skip = v->prefix };

		if (v->ipv4)
			continue;
		c.service = v->form == JPX_FORM_DRAFT02	  ? FX_SVC_02
			    : v->form == JPX_FORM_DRAFT06 ? FX_SVC_06
			    : v->form == JPX_FORM_DRAFT21 ? FX_SVC_21
							  : FX_SVC_01;
		c.is.to_pledge = true;
		c.is.why = v->why;
		c.is.kind = v->hand_off ? HANDED : v->why ? DROPPED : RELAYED;
		one_registrar_case(&c);
	}
	done();
}

/* Whole frames, checksums and all, as the standards' vectors have them. */
static void test_vector_frames(void **state)
{
	static const struct {
		enum jpx_form form;
		const char *out, *back;
	} rows[] = {
		{ JPX_FORM_DRAFT02, VECTOR_JP_TO_REGISTRAR_02, VECTOR_REGISTRAR_TO_JP_02 },
		{ JPX_FORM_DRAFT06, VECTOR_JP_TO_REGISTRAR_06, VECTOR_REGISTRAR_TO_JP_06 },
	};
	uint8_t in[FRAME_MAX], want[FRAME_MAX];

	(void)state;
	fx_macs_clear();
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct outcome o = { .kind = RELAYED,
				     .counted_at = FX_PORT_VECTORS,
				     .service = FX_SVC_VECTORS,
				     .content_len = 21 };
		size_t len, want_len;

		fx_services[FX_SVC_VECTORS].form = rows[i].form;
		fx_service_store(FX_SVC_VECTORS);
		len = frame_hex(VECTOR_PLEDGE_TO_JP, in, sizeof(in));
		want_len = frame_hex(rows[i].out, want, sizeof(want));
		run_row("pledge to Registrar", FX_SLOT_VECTORS, in, len, 0, &o, want, want_len);
		o.to_pledge = true;
		o.content_len = 60;
		len = frame_hex(rows[i].back, in, sizeof(in));
		want_len = frame_hex(VECTOR_JP_TO_PLEDGE, want, sizeof(want));
		run_row("Registrar to pledge", FX_SLOT_VECTORS, in, len, 0, &o, want, want_len);
	}
	done();
}

/* ---- whose MAC ------------------------------------------------------------- */

static void mac_case(const char *text, const char *message, uint32_t service, uint8_t port,
		     const char *pledge, size_t skip, uint64_t mac)
{
	struct outcome o = {
		.kind = RELAYED, .to_pledge = true, .service = service, .counted_at = port
	};
	uint8_t in[FRAME_MAX], want[FRAME_MAX], bytes[256];
	struct frame_spec spec, out;
	size_t len, want_len;

	fx_from_registrar(service, &spec);
	spec.content = bytes;
	spec.content_len = frame_hex(message, bytes, sizeof(bytes));
	len = frame_build(&spec, in);
	fx_to_pledge(port, service, mac, &out);
	frame_addr(pledge, out.dst);
	out.content = bytes + skip;
	out.content_len = o.content_len = spec.content_len - skip;
	want_len = frame_build(&out, want);
	if (!mac) {
		o.kind = HANDED;
		o.why = JPX_HANDOFF_NO_PLEDGE_MAC;
	}
	run_row(text, uplink_slot(service), in, len, 0, &o, want, want_len);
}

#define PLAIN_IID     "123456789abcdef0"
#define PLAIN_ADDR    "fe80::1234:5678:9abc:def0"
#define PLAIN_MSG(id) "8550fe80000000000000" PLAIN_IID "19bda70a" id "55" DTLS21

static void test_pledge_mac(void **state)
{
	uint8_t eui[16], plain[16];

	(void)state;
	frame_addr(FX_PLEDGE, eui);
	frame_addr(PLAIN_ADDR, plain);
	fx_macs_clear();

	mac_case("the header's, for an address without one",
		 TWO_IID("01", PLAIN_IID, "02aabbccddee") "55" DTLS21, FX_SVC_21, FX_PORT_PLAIN,
		 PLAIN_ADDR, 21, 0x02aabbccddee);
	mac_case("the header's, not the address's",
		 TWO_IID("01", "000000fffe000001", "02aabbccddee") "55" DTLS21, FX_SVC_21,
		 FX_PORT_PLAIN, FX_PLEDGE, 21, 0x02aabbccddee);
	mac_case("none in the header, but in the address",
		 TWO_IID("01", "000000fffe000001", "000000000000") "55" DTLS21, FX_SVC_21,
		 FX_PORT_PLAIN, FX_PLEDGE, 21, FX_PLEDGE_MAC);
	mac_case("none in the header, nowhere",
		 TWO_IID("01", PLAIN_IID, "000000000000") "55" DTLS21, FX_SVC_21, FX_PORT_PLAIN,
		 PLAIN_ADDR, 21, 0);
	mac_case("nowhere", PLAIN_MSG("01"), FX_SVC_02, FX_PORT_PLAIN, PLAIN_ADDR, 24, 0);

	fx_mac_set(plain, FX_PLEDGE_UDP, FX_PORT_PLAIN, 0x020000005555);
	mac_case("noted", PLAIN_MSG("01"), FX_SVC_02, FX_PORT_PLAIN, PLAIN_ADDR, 24,
		 0x020000005555);
	mac_case("noted, header of draft-21 without",
		 TWO_IID("01", PLAIN_IID, "000000000000") "55" DTLS21, FX_SVC_21, FX_PORT_PLAIN,
		 PLAIN_ADDR, 21, 0x020000005555);
	mac_case("header before what is noted",
		 TWO_IID("01", PLAIN_IID, "02aabbccddee") "55" DTLS21, FX_SVC_21, FX_PORT_PLAIN,
		 PLAIN_ADDR, 21, 0x02aabbccddee);
	mac_case("noted on another port", PLAIN_MSG("17"), FX_SVC_02, FX_PORT_TAGGED, PLAIN_ADDR,
		 24, 0);
	fx_macs_clear();
	fx_mac_set(plain, FX_PLEDGE_UDP + 1, FX_PORT_PLAIN, 0x020000005555);
	mac_case("noted for another UDP port", PLAIN_MSG("01"), FX_SVC_02, FX_PORT_PLAIN,
		 PLAIN_ADDR, 24, 0);

	fx_macs_clear();
	fx_mac_set(eui, FX_PLEDGE_UDP, FX_PORT_PLAIN, 0x020000006666);
	mac_case("EUI-64 where none ever lied: not looked up", GOOD, FX_SVC_02, FX_PORT_PLAIN,
		 FX_PLEDGE, 24, FX_PLEDGE_MAC);
	fx_odd_set(FX_PORT_PLAIN, true);
	mac_case("EUI-64 that lied", GOOD, FX_SVC_02, FX_PORT_PLAIN, FX_PLEDGE, 24, 0x020000006666);
	fx_macs_clear();
	fx_odd_set(FX_PORT_PLAIN, true);
	mac_case("EUI-64 where another lied", GOOD, FX_SVC_02, FX_PORT_PLAIN, FX_PLEDGE, 24,
		 FX_PLEDGE_MAC);
	fx_odd_set(FX_PORT_PLAIN, false);
	fx_odd_set(FX_PORT_TAGGED, true);
	fx_mac_set(eui, FX_PLEDGE_UDP, FX_PORT_PLAIN, 0x020000006666);
	mac_case("EUI-64, a lie on another port", GOOD, FX_SVC_02, FX_PORT_PLAIN, FX_PLEDGE, 24,
		 FX_PLEDGE_MAC);
	fx_macs_clear();
	done();
}

/* A pledge that was noted and comes back with another MAC. */
static void test_mac_noted_again(void **state)
{
	static const uint64_t macs[] = { 0x02000000aaaa, 0x02000000aaaa, 0x02000000bbbb };
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[21];

	(void)state;
	fill_content(content, sizeof(content));
	fx_macs_clear();
	for (size_t i = 0; i < ROWS(macs); i++) {
		struct outcome o = { .kind = RELAYED,
				     .counted_at = FX_PORT_PLAIN,
				     .service = FX_SVC_02,
				     .content_len = sizeof(content),
				     .noted = i == 0 };
		struct frame_spec spec;
		size_t len, want_len;

		fx_from_pledge(FX_PORT_PLAIN, FX_SVC_02, &spec);
		frame_addr(PLAIN_ADDR, spec.src);
		spec.src_mac = macs[i];
		spec.content = content;
		spec.content_len = sizeof(content);
		len = frame_build(&spec, in);
		want_len = wrapped(FX_PORT_PLAIN, FX_SVC_02, &spec, want);
		run_row("noted again", FX_SLOT_ETHERNET, in, len, 0, &o, want, want_len);
		if (fx_mac_get(spec.src, spec.sport, FX_PORT_PLAIN) != macs[i])
			fail_row("noted again", "MAC", (long)fx_mac_get(spec.src, spec.sport, 1),
				 (long)macs[i]);
		mac_case("noted, and there", PLAIN_MSG("01"), FX_SVC_02, FX_PORT_PLAIN, PLAIN_ADDR,
			 24, macs[i]);
	}
	fx_macs_clear();
	done();
}

/*
 * Somebody borrows an honest pledge's EUI-64 address and UDP port.  As soon as
 * the pledge itself is heard again, answers are its own again.
 */
static void test_mac_borrowed(void **state)
{
	static const struct {
		uint64_t mac;
		bool noted;
	} turns[] = { { 0x02000000aaaa, true },
		      { FX_PLEDGE_MAC, false },
		      { 0x02000000aaaa, false },
		      { FX_PLEDGE_MAC, false } };
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[21];

	(void)state;
	fill_content(content, sizeof(content));
	fx_macs_clear();
	for (size_t i = 0; i < ROWS(turns); i++) {
		struct outcome o = { .kind = RELAYED,
				     .counted_at = FX_PORT_PLAIN,
				     .service = FX_SVC_02,
				     .content_len = sizeof(content),
				     .noted = turns[i].noted,
				     .odd = turns[i].noted };
		struct frame_spec spec;
		size_t len, want_len;

		fx_from_pledge(FX_PORT_PLAIN, FX_SVC_02, &spec);
		frame_addr(FX_PLEDGE, spec.src);
		spec.src_mac = turns[i].mac;
		spec.content = content;
		spec.content_len = sizeof(content);
		len = frame_build(&spec, in);
		want_len = wrapped(FX_PORT_PLAIN, FX_SVC_02, &spec, want);
		run_row("borrowed", FX_SLOT_ETHERNET, in, len, 0, &o, want, want_len);
		mac_case("borrowed, the answer", GOOD, FX_SVC_02, FX_PORT_PLAIN, FX_PLEDGE, 24,
			 turns[i].mac);
	}
	fx_macs_clear();
	done();
}

/* A full map of MACs forgets somebody, never the newcomer; who was forgotten is handed off. */
static void test_macs_full(void **state)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], content[21];
	struct frame_spec spec;
	size_t len, out_len;

	(void)state;
	fill_content(content, sizeof(content));
	fx_macs_clear();
	fx_macs_fill();
	mac_case("full, and not in there", PLAIN_MSG("01"), FX_SVC_02, FX_PORT_PLAIN, PLAIN_ADDR,
		 24, 0);
	fx_from_pledge(FX_PORT_PLAIN, FX_SVC_02, &spec);
	frame_addr(PLAIN_ADDR, spec.src);
	spec.src_mac = 0x02000000aaaa;
	spec.content = content;
	spec.content_len = sizeof(content);
	len = frame_build(&spec, in);
	fx_tx_only(JPX_TX_SERVICE(FX_SVC_02));
	assert_int_equal(fx_run(FX_SLOT_ETHERNET, in, len, 0, out, &out_len), XDP_REDIRECT);
	assert_true(fx_mac_get(spec.src, spec.sport, FX_PORT_PLAIN) == spec.src_mac);
	mac_case("full, and in there", PLAIN_MSG("01"), FX_SVC_02, FX_PORT_PLAIN, PLAIN_ADDR, 24,
		 spec.src_mac);
	fx_macs_clear();
	done();
}

/* The way out has vanished from the devmap: dropped, never XDP_ABORTED. */
static void test_no_way_out(void **state)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], message[256], content[21];
	struct frame_spec spec;
	struct jpx_stats before, after;
	size_t len, out_len;

	(void)state;
	fx_tx_only(0);
	fx_stats_of(FX_PORT_PLAIN, &before);
	fill_content(content, sizeof(content));
	fx_from_pledge(FX_PORT_PLAIN, FX_SVC_02, &spec);
	spec.content = content;
	spec.content_len = sizeof(content);
	len = frame_build(&spec, in);
	assert_int_equal(fx_run(FX_SLOT_ETHERNET, in, len, 0, out, &out_len), XDP_DROP);
	fx_from_registrar(FX_SVC_02, &spec);
	spec.content = message;
	spec.content_len = frame_hex(GOOD, message, sizeof(message));
	len = frame_build(&spec, in);
	assert_int_equal(fx_run(FX_SLOT_UPLINK, in, len, 0, out, &out_len), XDP_DROP);
	fx_stats_of(FX_PORT_PLAIN, &after);
	assert_int_equal(after.drops[JPX_DROP_SEND_FAILED] - before.drops[JPX_DROP_SEND_FAILED], 2);
	assert_int_equal(after.to_registrar.packets, before.to_registrar.packets);
	assert_int_equal(after.to_pledge.packets, before.to_pledge.packets);
}

/* ---- properties ------------------------------------------------------------ */

static const uint8_t wide_ports[] = { FX_PORT_PLAIN, FX_PORT_TAGGED, FX_PORT_TWICE_TAGGED,
				      FX_PORT_BARE };

static void random_pledge(struct frame_spec *spec)
{
	uint64_t mac = (rnd() & 0xfeffffffffff) | 0x020000000000, iid;

	spec->src_mac = mac;
	if (rnd() & 1)
		iid = rnd() | 1;
	else
		iid = ((mac >> 24 ^ 0x020000) << 40) | 0xfffe000000 | (mac & 0xffffff);
	frame_addr("fe80::", spec->src);
	for (int i = 0; i < 8; i++)
		spec->src[8 + i] = (uint8_t)(iid >> 8 * (7 - i));
	spec->sport = (uint16_t)(1 + (rnd() & 1 ? below(65535) : below(300)));
}

/* What is wrapped, answered with the very same content, unwraps to it: any length, both
 * parities, with the right checksum all the way and every byte where it belongs. */
static void test_there_and_back(void **state)
{
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[1431];
	int parity[2] = { 0 };

	(void)state;
	for (size_t content_len = 0; content_len <= 1430; content_len++) {
		for (uint32_t service = FX_SVC_WIDE_02; service <= FX_SVC_WIDE_21; service++) {
			uint8_t port = wide_ports[below(ROWS(wide_ports))];
			struct outcome o = { .kind = RELAYED,
					     .counted_at = port,
					     .service = service,
					     .content_len = content_len };
			struct frame_spec spec, back, to;
			size_t len, want_len, i, message_at;
			char text[64];

			for (i = 0; i < content_len; i++)
				content[i] = (uint8_t)rnd();
			fx_from_pledge(port, service, &spec);
			random_pledge(&spec);
			spec.content = content;
			spec.content_len = content_len;
			len = frame_build(&spec, in);
			want_len = wrapped(port, service, &spec, want);
			snprintf(text, sizeof(text), "service %u, port %u, %zu bytes there",
				 service, port, content_len);
			if (frame_csum_looks_partial(in, fx_ports[port].l2_len))
				continue;
			run_fast(text, fx_ports[port].slot, in, len, &o, want, want_len);
			if (!frame_csum_ok(want, want_len, 14))
				fail_row(text, "the expected checksum", 0, 1);
			message_at = 14 + 48;
			parity[(want_len - message_at - content_len) & 1]++;

			fx_from_registrar(service, &back);
			back.content = want + message_at;
			back.content_len = want_len - message_at;
			len = frame_build(&back, in);
			if (frame_csum_looks_partial(in, 14))
				continue;
			fx_to_pledge(port, service, spec.src_mac, &to);
			memcpy(to.dst, spec.src, 16);
			to.dport = spec.sport;
			to.content = content;
			to.content_len = content_len;
			want_len = frame_build(&to, want);
			o.to_pledge = true;
			snprintf(text, sizeof(text), "service %u, port %u, %zu bytes back", service,
				 port, content_len);
			run_fast(text, FX_SLOT_UPLINK, in, len, &o, want, want_len);
		}
	}
	fx_macs_clear();
	print_message("even prefixes: %d, odd: %d\n", parity[0], parity[1]);
	assert_true(parity[0] > 500 && parity[1] > 500);
	done();
}

/* A checksum that comes in wrong goes out wrong: in the field or in the content, both ways. */
static void test_wrong_checksum(void **state)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], content[128], message[256];
	int wrong[2] = { 0 };

	(void)state;
	for (int i = 0; i < 4000; i++) {
		static const uint8_t ids[] = { FX_PORT_PLAIN, FX_PORT_TWICE_TAGGED };
		uint8_t port = ids[below(ROWS(ids))];
		bool back = rnd() & 1;
		struct frame_spec spec;
		struct jpx_pledge pledge = { .port_id = port };
		size_t len, l2, at, out_len;
		ssize_t message_len;
		uint16_t old, error;
		int verdict;

		spec.content_len = 3 + below(sizeof(content) - 3);
		fill_content(content, sizeof(content));
		if (back) {
			fx_from_registrar(FX_SVC_WIDE_02, &spec);
			frame_addr(FX_PLEDGE, pledge.addr);
			pledge.udp_port = (uint16_t)(1 + below(65535));
			message_len = jpx_jpy_wrap(JPX_FORM_DRAFT02, &pledge, content,
						   3 + below(sizeof(content) - 3), message,
						   sizeof(message));
			assert_true(message_len > 0);
			spec.content = message;
			spec.content_len = (size_t)message_len;
			fx_tx_only(JPX_TX_PORT(port));
		} else {
			fx_from_pledge(port, FX_SVC_WIDE_02, &spec);
			random_pledge(&spec);
			spec.content = content;
			spec.content_len = 3 + below(sizeof(content) - 3);
			fx_tx_only(JPX_TX_SERVICE(FX_SVC_WIDE_02));
		}
		len = frame_build(&spec, in);
		l2 = spec.bare ? 0 : 14 + 4 * (size_t)spec.tags;
		/* The last byte but one or two is content in either direction. */
		at = rnd() & 1 ? l2 + 46 : len - 2;
		old = (uint16_t)(in[at] << 8 | in[at + 1]);
		error = (uint16_t)(1 + below(65534));
		/* 0 and 0xffff are one number in this arithmetic, and a checksum of 0 is none. */
		if ((uint16_t)(old ^ error) == 0 || (uint16_t) ~(old ^ error) == 0 || !old ||
		    old == 0xffff)
			continue;
		in[at] ^= (uint8_t)(error >> 8);
		in[at + 1] ^= (uint8_t)error;
		if (frame_csum_looks_partial(in, l2))
			continue;
		verdict =
			fx_run(back ? FX_SLOT_UPLINK : FX_SLOT_ETHERNET, in, len, 0, out, &out_len);
		if (verdict != XDP_REDIRECT) {
			fail_row("wrong checksum", "verdict", verdict, XDP_REDIRECT);
			continue;
		}
		l2 = back ? fx_ports[port].l2_len : 14;
		if (frame_csum_ok(out, out_len, l2))
			fail_row(back ? "back" : "there", "a wrong checksum right", 1, 0);
		wrong[(back ? len - spec.content_len : out_len - len) & 1]++;
	}
	fx_macs_clear();
	assert_true(wrong[0] + wrong[1] > 3000);
	done();
}

/* The checksum field of a frame whose link header has L2_LEN bytes. */
static unsigned int csum_of(const uint8_t *frame, size_t l2_len)
{
	return (unsigned int)frame[l2_len + 46] << 8 | frame[l2_len + 47];
}

/* A sum that comes out as 0 is sent as 0xffff, since 0 means none (RFC 8200 8.1); one that
 * comes in as 0xffff is a checksum like any other.  Content is tried until it does. */
static void test_checksum_ffff(void **state)
{
	static const uint8_t ports[] = { FX_PORT_PLAIN, FX_PORT_TWICE_TAGGED };
	uint8_t in[FRAME_MAX], want[FRAME_MAX], content[21], message[FRAME_MAX];
	int found = 0;

	(void)state;
	fill_content(content, sizeof(content));
	for (int turn = 0; turn < 8; turn++) {
		uint8_t port = ports[turn & 1];
		bool back = turn & 2, comes_in = turn & 4;
		struct jpx_pledge pledge = { .udp_port = FX_PLEDGE_UDP, .port_id = port };
		struct outcome o = { .kind = RELAYED,
				     .counted_at = port,
				     .to_pledge = back,
				     .service = FX_SVC_02,
				     .content_len = sizeof(content) };
		size_t in_l2 = back ? 14 : fx_ports[port].l2_len;
		size_t out_l2 = back ? fx_ports[port].l2_len : 14;

		frame_addr(FX_PLEDGE, pledge.addr);
		for (unsigned int i = 0; i < 65536; i++) {
			struct frame_spec spec, to;
			size_t len, want_len;

			content[10] = (uint8_t)(i >> 8);
			content[11] = (uint8_t)i;
			if (back) {
				fx_from_registrar(FX_SVC_02, &spec);
				spec.content = message;
				spec.content_len = (size_t)jpx_jpy_wrap(JPX_FORM_DRAFT02, &pledge,
									content, sizeof(content),
									message, sizeof(message));
				fx_to_pledge(port, FX_SVC_02, FX_PLEDGE_MAC, &to);
				to.content = content;
				to.content_len = sizeof(content);
				want_len = frame_build(&to, want);
			} else {
				fx_from_pledge(port, FX_SVC_02, &spec);
				spec.content = content;
				spec.content_len = sizeof(content);
				want_len = wrapped(port, FX_SVC_02, &spec, want);
			}
			len = frame_build(&spec, in);
			if (csum_of(comes_in ? in : want, comes_in ? in_l2 : out_l2) != 0xffff)
				continue;
			run_row(back ? "0xffff, back" : "0xffff, there",
				back ? FX_SLOT_UPLINK : FX_SLOT_ETHERNET, in, len, 0, &o, want,
				want_len);
			found++;
			break;
		}
	}
	assert_int_equal(found, 8);
	done();
}

/* ---- agreement with the user half ------------------------------------------ */

static uint64_t eui64_mac(const uint8_t addr[16])
{
	uint64_t mac = addr[8] ^ 2;

	if (addr[11] != 0xff || addr[12] != 0xfe)
		return 0;
	mac = mac << 16 | (uint64_t)addr[9] << 8 | addr[10];
	return mac << 24 | (uint64_t)addr[13] << 16 | (uint64_t)addr[14] << 8 | addr[15];
}

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const uint8_t addr[16])
{
	return !memcmp(addr, v4_mapped, sizeof(v4_mapped));
}

static uint32_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

/* The ones' complement sum of LEN bytes as they lie in memory, a zero behind an odd last one. */
static uint32_t plain_sum(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint8_t pair[2];
	uint16_t word;

	for (size_t i = 0; i < len; i += 2) {
		pair[0] = p[i];
		pair[1] = i + 1 < len ? p[i + 1] : 0;
		memcpy(&word, pair, 2);
		sum += word;
	}
	return fold(sum);
}

static uint64_t number(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

/* Does gear R say of MESSAGE what the user half says? */
static void same_reading(const char *text, const struct codec_read *r, const uint8_t *message,
			 enum jpx_drop why, const struct jpx_pledge *pledge,
			 const struct jpx_span *content)
{
	bool v4 = is_v4(pledge->addr);

	if (r->verdict != (int)why) {
		fail_row(text, "reading", r->verdict, why);
		return;
	}
	if (why != JPX_RELAY)
		return;
	if (r->v4 != v4)
		fail_row(text, "v4", r->v4, v4);
	if (r->iid != (v4 ? number(pledge->addr + 12, 4) : number(pledge->addr + 8, 8)))
		fail_row(text, "low half of the pledge's identifier", (uint32_t)r->iid,
			 (uint32_t)number(pledge->addr + 12, 4));
	if (r->mac != number(pledge->mac, 6))
		fail_row(text, "MAC", (long)r->mac, (long)number(pledge->mac, 6));
	if (r->udp_port != pledge->udp_port)
		fail_row(text, "UDP port", r->udp_port, pledge->udp_port);
	if (r->port_id != pledge->port_id)
		fail_row(text, "port id", r->port_id, pledge->port_id);
	if (r->prefix_len != content->off)
		fail_row(text, "prefix length", r->prefix_len, (long)content->off);
	if (r->content_len != content->len)
		fail_row(text, "content length", r->content_len, (long)content->len);
	if (fold(r->prefix_sum) != plain_sum(message, content->off))
		fail_row(text, "prefix sum", fold(r->prefix_sum), plain_sum(message, content->off));
}

/* What the fast path must make of a message, going by what the user half makes of it. */
static void foresee(uint32_t service, enum jpx_drop why, const struct jpx_pledge *pledge,
		    size_t content_len, uint64_t *mac, struct outcome *o)
{
	const struct jpx_port *port = &fx_ports[pledge->port_id];

	*o = (struct outcome){ .kind = DROPPED, .why = why, .to_pledge = true };
	if (why != JPX_RELAY)
		return;
	o->why = JPX_DROP_UNKNOWN_PLEDGE_PORT;
	if (!(port->flags & JPX_PORT_IN_USE) || !(port->services >> service & 1))
		return;
	o->kind = HANDED;
	o->counted_at = pledge->port_id;
	o->why = JPX_HANDOFF_NO_TRANSMIT;
	if (!(port->flags & JPX_PORT_READY) || port->flags & JPX_PORT_NO_TRANSMIT)
		return;
	o->why = JPX_HANDOFF_OVER_MTU;
	if (content_len + 48 > port->mtu)
		return;
	*mac = 0;
	for (int i = 0; i < 6; i++)
		*mac = *mac << 8 | pledge->mac[i];
	if (!*mac)
		*mac = eui64_mac(pledge->addr);
	o->why = JPX_HANDOFF_NO_PLEDGE_MAC;
	if (port->link == JPX_LINK_ETHERNET && !*mac)
		return;
	o->kind = RELAYED;
	o->content_len = content_len;
}

static struct {
	int relayed, dropped[JPX_DROP_COUNT], handed[JPX_HANDOFF_COUNT];
	int read[2], read_v4[2]; /* messages for a pledge, by gear: all, and of them IPv4 */
} seen;

static void print_message_hex(const uint8_t *message, size_t len)
{
	char hex[2 * 96 + 1] = "";

	for (size_t i = 0; i < len && i < 96; i++)
		sprintf(hex + 2 * i, "%02x", message[i]);
	print_error("    %zu bytes: %s\n", len, hex);
}

/* Both gears against the user half; the second one may leave a message to it. */
static void agree_codec(const char *text, enum jpx_form form, const uint8_t *message, size_t len,
			enum jpx_drop why, const struct jpx_pledge *pledge,
			const struct jpx_span *content)
{
	struct codec_read gears[2];

	codec_read(form, message, len, &gears[0], &gears[1]);
	for (int i = 0; i < 2; i++) {
		if (gears[i].verdict == -1)
			continue;
		same_reading(text, &gears[i], message, why, pledge, content);
		if (why == JPX_RELAY) {
			seen.read[i]++;
			seen.read_v4[i] += is_v4(pledge->addr);
		}
	}
	/* within the second gear's window and without further elements: it must know */
	if (why == JPX_RELAY && content->off + content->len == len && content->off <= 48 &&
	    gears[1].verdict == -1)
		fail_row(text, "handed off", 1, 0);
}

static void agree(const char *text, enum jpx_form form, const uint8_t *message, size_t len)
{
	static const uint8_t services[][2] = {
		[JPX_FORM_DRAFT02] = { FX_SVC_WIDE_02, FX_SVC_02_BARE },
		[JPX_FORM_DRAFT06] = { FX_SVC_WIDE_06, FX_SVC_06_BARE },
		[JPX_FORM_DRAFT21] = { FX_SVC_WIDE_21, FX_SVC_21_BARE },
	};
	uint32_t service = services[form][rnd() & 1];
	int slot = uplink_slot(service), verdict, before = failures;
	uint8_t in[FRAME_MAX], want[FRAME_MAX], out[FRAME_MAX];
	struct jpx_stats old, new;
	struct jpx_pledge pledge = { 0 };
	struct jpx_span content = { 0 };
	struct frame_spec spec, to;
	size_t frame_len, want_len = 0, out_len;
	enum jpx_drop why;
	struct outcome o;
	uint64_t mac = 0;

	why = jpx_jpy_unwrap(form, message, len, &pledge, &content);
	agree_codec(text, form, message, len, why, &pledge, &content);
	if (failures != before && failures < 40)
		print_message_hex(message, len);
	if (why == JPX_RELAY && is_v4(pledge.addr))
		return; /* no port of the fixture has an IPv4 address */
	fx_from_registrar(service, &spec);
	spec.content = message;
	spec.content_len = len;
	frame_len = frame_build(&spec, in);
	if (frame_csum_looks_partial(in, fx_services[service].l2_len))
		return;
	foresee(service, why, &pledge, content.len, &mac, &o);
	if (o.kind == RELAYED) {
		fx_to_pledge(pledge.port_id, service, mac, &to);
		memcpy(to.dst, pledge.addr, 16);
		to.dport = pledge.udp_port;
		to.content = message + content.off;
		to.content_len = content.len;
		want_len = frame_build(&to, want);
		fx_tx_only(JPX_TX_PORT(pledge.port_id));
		o.service = service;
		o.counted_at = pledge.port_id;
		o.same_interface = fx_ports[pledge.port_id].bounce_ifindex == FX_IFINDEX_IN;
	}

	/* First: did it hand off for the encoding?  That goes with any answer. */
	fx_stats_of(0, &old);
	verdict = fx_run(slot, in, frame_len, 0, out, &out_len);
	fx_stats_of(0, &new);
	if (verdict == XDP_PASS && out_len == frame_len && !memcmp(in, out, out_len)) {
		old.handoffs[JPX_HANDOFF_ENCODING]++;
		if (!memcmp(&old, &new, sizeof(old))) {
			seen.handed[JPX_HANDOFF_ENCODING]++;
			return;
		}
	}
	run_fast(text, slot, in, frame_len, &o, want, want_len);
	if (failures != before && failures < 40)
		print_message_hex(message, len);
	if (o.kind == RELAYED)
		seen.relayed++;
	else if (o.kind == DROPPED)
		seen.dropped[o.why]++;
	else
		seen.handed[o.why]++;
}

/* A CBOR head, now and then longer than it need be. */
static size_t put_head(uint8_t *p, uint8_t major, uint64_t value)
{
	int size = value < 24 ? 0 : value < 256 ? 1 : value < 65536 ? 2 : value >> 32 ? 8 : 4;

	while (size < 8 && !below(8))
		size = size ? 2 * size : 1;
	p[0] = (uint8_t)(major << 5 | (size == 0   ? value
				       : size == 1 ? 24
				       : size == 2 ? 25
				       : size == 4 ? 26
						   : 27));
	for (int i = 0; i < size; i++)
		p[1 + i] = (uint8_t)(value >> 8 * (size - 1 - i));
	return 1 + (size_t)size;
}

static uint64_t random_int(uint64_t usual)
{
	static const uint64_t edges[] = { 0,	 1,	23,	    24,		 255,  256,
					  65535, 65536, 0xffffffff, 0x100000000, ~0ULL };

	return below(12) ? usual : below(2) ? edges[below(ROWS(edges))] : rnd() >> below(64);
}

/* A message that is right in most of its parts. */
static size_t random_message(enum jpx_form form, uint8_t *p)
{
	static const uint8_t ids[] = { 1, 1, 1, 2, 9, 10, 11, 12, 23, 24, 32, 255 };
	bool two = form == JPX_FORM_DRAFT21;
	uint8_t id = below(10) ? ids[below(ROWS(ids))] : (uint8_t)rnd();
	uint16_t udp = (uint16_t)(below(2) ? rnd() : below(300));
	bool v4 = !below(3), in_4 = v4 && form == JPX_FORM_DRAFT06 && below(16);
	uint64_t family = form == JPX_FORM_DRAFT02 ? 10 : in_4 ? 1 : 2;
	size_t at = 0, content = below(6) ? below(120) : below(400), header;
	uint8_t addr[20] = { 0xfe, 0x80 };

	for (int i = 8; i < 16; i++)
		addr[i] = (uint8_t)rnd();
	if (below(2)) {
		addr[11] = 0xff;
		addr[12] = 0xfe;
	}
	if (v4) {
		memcpy(addr, v4_mapped, 12);
		addr[12] = 169;
		addr[13] = 254;
		if (two)
			addr[10] = addr[11] = 0;
	}
	if (!below(16))
		addr[below(v4 ? 15 : 8)] = (uint8_t)rnd();
	if (!below(40))
		memset(addr + 8, 0, 8);
	if (in_4)
		memmove(addr, addr + 12, 4);
	at += put_head(p + at, below(40) ? 4 : (uint8_t)below(8),
		       below(20) ? (two ? 2 : 5) : random_int(below(8)));
	if (two) {
		header = below(16) ? 18 : below(40);
		at += put_head(p + at, below(40) ? 2 : (uint8_t)below(8), header);
		for (size_t i = 0; i < header; i++)
			p[at + i] = (uint8_t)rnd();
		if (header >= 18) {
			p[at] = below(16) ? 1 + v4 : (uint8_t)below(4);
			p[at + 1] = id;
			p[at + 2] = (uint8_t)(udp >> 8);
			p[at + 3] = (uint8_t)udp;
			memcpy(p + at + 4, addr + 8, 8);
			if (below(2))
				memset(p + at + 12, 0, 6);
		}
		at += header;
	} else {
		header = below(16) ? (in_4 ? 4 : 16) : below(20);
		at += put_head(p + at, below(40) ? 2 : (uint8_t)below(8), header);
		memcpy(p + at, addr, header);
		at += header;
		at += put_head(p + at, below(30) ? 0 : (uint8_t)below(8), random_int(udp));
		at += put_head(p + at, below(30) ? 0 : (uint8_t)below(8), random_int(family));
		at += put_head(p + at, below(30) ? 0 : (uint8_t)below(8), random_int(id));
	}
	at += put_head(p + at, below(40) ? 2 : (uint8_t)below(8), random_int(content));
	for (size_t i = 0; i < content; i++)
		p[at + i] = (uint8_t)rnd();
	at += content;
	if (!below(20)) /* cut off, or more behind it */
		at = below(2) ? below((uint32_t)at + 1) : at + 1 + below(70);
	return at;
}

static size_t mutate(uint8_t *p, size_t len)
{
	for (uint32_t n = below(4); n; n--) {
		size_t at = len ? below((uint32_t)(len < 40 ? len : 40)) : 0;

		switch (below(4)) {
		case 0:
			if (len)
				p[at] = (uint8_t)rnd();
			break;
		case 1:
			if (len)
				p[at] ^= (uint8_t)(1 << below(8));
			break;
		case 2:
			memmove(p + at + 1, p + at, len - at);
			p[at] = (uint8_t)rnd();
			len++;
			break;
		default:
			if (len) {
				memmove(p + at, p + at + 1, len - at - 1);
				len--;
			}
		}
	}
	return len;
}

static const enum jpx_form fast_forms[] = { JPX_FORM_DRAFT02, JPX_FORM_DRAFT06, JPX_FORM_DRAFT21 };

/* ... and what both write: byte for byte, and nothing beside it. */
static void test_prefix_written(void **state)
{
	static const uint32_t ids[] = { 1, 23, 24, 255 };
	static const uint32_t ports[] = { 1, 23, 24, 255, 256, 65535 };
	static const uint32_t lens[] = { 0, 23, 24, 255, 256, 65000 };
	static uint8_t content[65536], message[65536];
	int written = 0, known = 0;

	(void)state;
	for (int i = 0; i < 40000; i++) {
		enum jpx_form form = fast_forms[i % 3];
		struct jpx_pledge pledge = { .addr = { 0xfe, 0x80 } };
		uint8_t before[CODEC_ROOM], packet[CODEC_ROOM];
		struct codec_ask ask = { .form = form };
		struct codec_read first, second;
		struct codec_written w;
		size_t prefix;
		ssize_t len;

		ask.v4 = below(2);
		ask.id = ask.v4 ? 0xa9fe0100 + below(0xfe00) : rnd() >> below(64);
		ask.mac = below(4) ? rnd() >> 16 & ~(1ULL << 40) : 0;
		ask.port_id = below(2) ? ids[below(ROWS(ids))] : 1 + below(255);
		ask.udp_port = (uint16_t)(below(2) ? ports[below(ROWS(ports))] : 1 + below(65535));
		ask.content_len = below(2)   ? lens[below(ROWS(lens))]
				  : below(4) ? below(400)
					     : below(65500);
		if (!ask.id)
			continue;

		if (ask.v4)
			memcpy(pledge.addr, v4_mapped, 12);
		for (int k = 0; k < (ask.v4 ? 4 : 8); k++)
			pledge.addr[15 - k] = (uint8_t)(ask.id >> 8 * k);
		for (int k = 0; k < 6; k++)
			pledge.mac[k] = (uint8_t)(ask.mac >> 8 * (5 - k));
		pledge.udp_port = ask.udp_port;
		pledge.port_id = (uint8_t)ask.port_id;
		len = jpx_jpy_wrap(form, &pledge, content, ask.content_len, message,
				   sizeof(message));
		assert_true(len > 0);
		prefix = (size_t)len - ask.content_len;

		for (size_t k = 0; k < sizeof(packet); k++)
			before[k] = packet[k] = (uint8_t)rnd();
		codec_write(&ask, packet, &w);
		if (w.plan || w.write) {
			fail_row("written", "refused", w.plan, w.write);
			continue;
		}
		if (w.len != prefix)
			fail_row("written", "prefix length", w.len, (long)prefix);
		else if (memcmp(packet + CODEC_OFF, message, prefix))
			fail_bytes("written", packet + CODEC_OFF, prefix, message, prefix);
		if (fold(w.sum) != plain_sum(message, prefix))
			fail_row("written", "sum", fold(w.sum), plain_sum(message, prefix));
		if (memcmp(packet, before, CODEC_OFF))
			fail_row("written", "bytes before it changed", 1, 0);
		if (memcmp(packet + CODEC_OFF + prefix, before + CODEC_OFF + prefix,
			   CODEC_ROOM - CODEC_OFF - prefix))
			fail_row("written", "content changed", 1, 0);
		if (failures && failures < 40)
			print_message_hex(message, prefix);
		written++;

		/* and it is read again in the first gear, wherever that reads such ports at all */
		if (len > FRAME_MAX || (form != JPX_FORM_DRAFT21 && ask.udp_port < 256) ||
		    ask.content_len < 3)
			continue;
		codec_read(form, message, (size_t)len, &first, &second);
		if (form != JPX_FORM_DRAFT21)
			memset(pledge.mac, 0, sizeof(pledge.mac));
		same_reading("read again", &first, message, JPX_RELAY, &pledge,
			     &(struct jpx_span){ prefix, ask.content_len });
		known++;
	}
	print_message("%d prefixes written, %d read again\n", written, known);
	assert_true(written > 30000 && known > 10000);

	/* what the fast path does not write */
	for (uint32_t form = 0; form < JPX_FORM_COUNT + 3U; form++) {
		struct codec_ask ask = { .form = form, .id = 1, .udp_port = 1, .port_id = 1 };
		uint8_t packet[CODEC_ROOM] = { 0 };
		struct codec_written w;
		bool fast = form != JPX_FORM_DRAFT01 && form < JPX_FORM_COUNT;

		codec_write(&ask, packet, &w);
		assert_int_equal(w.plan, fast ? 0 : -1);
	}
	done();
}

static void test_agreement(void **state)
{
	uint8_t message[FRAME_MAX] = { 0 };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	fx_macs_clear();
	/* the vectors and the table's messages, in each form; all their beginnings, too */
	for (size_t i = 0; i < ROWS(vectors) + ROWS(registrar_cases); i++) {
		bool vector = i < ROWS(vectors);
		const struct registrar_case *c = &registrar_cases[vector ? 0 : i - ROWS(vectors)];
		size_t follow = vector ? vectors[i].follow : c->follow, len;

		len = frame_hex(vector ? vectors[i].hex : c->message, message, sizeof(message));
		fill_content(message + len, follow);
		for (size_t f = 0; f < ROWS(fast_forms); f++) {
			agree(vector ? vectors[i].name : c->text, fast_forms[f], message,
			      len + follow);
			for (size_t cut = 0; cut < len && cut < 64; cut++)
				agree("beginning of a message", fast_forms[f], message, cut);
		}
	}
	for (int i = 0; i < 30000; i++) {
		enum jpx_form form = fast_forms[i % 3];
		size_t len = random_message(form, message);

		if (below(2))
			len = mutate(message, len);
		agree("random message", form, message, len);
	}
	for (int i = 0; i < 5000; i++) {
		size_t len = below(80);

		for (size_t j = 0; j < len; j++)
			message[j] = (uint8_t)rnd();
		if (len && below(2))
			message[0] = 0x85;
		agree("noise", fast_forms[i % 3], message, len);
	}
	print_message("relayed %d", seen.relayed);
#define PRINT(sym, name, text) print_message(", " name " %d", seen.dropped[JPX_DROP_##sym]);
	JPX_DROPS(PRINT)
#undef PRINT
	print_message(", encoding %d\n", seen.handed[JPX_HANDOFF_ENCODING]);
	print_message("read in first gear %d (IPv4 %d), in second %d (IPv4 %d)\n", seen.read[0],
		      seen.read_v4[0], seen.read[1], seen.read_v4[1]);
	assert_true(seen.read_v4[0] > 300 && seen.read_v4[1] > 300);
	/* all that a message can be dropped for has been there, and often */
	assert_true(seen.relayed > 1000);
	for (int why = JPX_DROP_JPY_MALFORMED; why <= JPX_DROP_UNKNOWN_PLEDGE_PORT; why++)
		assert_true(seen.dropped[why] > 20);
	assert_true(seen.handed[JPX_HANDOFF_ENCODING] > 20);
	done();
}

/* Frames damaged anywhere: only verdicts that there are, and what is passed is untouched. */
static void test_damaged_frames(void **state)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], message[FRAME_MAX], content[64];
	struct outcome o = { .kind = FOREIGN };
	size_t len, out_len;

	(void)state;
	fill_content(content, sizeof(content));
	for (int i = 0; i < 20000; i++) {
		uint8_t port = wide_ports[below(ROWS(wide_ports))];
		enum jpx_form form = fast_forms[below(ROWS(fast_forms))];
		uint32_t service = FX_SVC_WIDE_02 + (uint32_t)form;
		struct frame_spec spec;
		int slot, verdict;

		if (below(2)) {
			fx_from_pledge(port, service, &spec);
			random_pledge(&spec);
			spec.content = content;
			spec.content_len = below(sizeof(content));
			slot = fx_ports[port].slot;
		} else {
			fx_from_registrar(service, &spec);
			spec.content = message;
			spec.content_len = random_message(form, message);
			slot = FX_SLOT_UPLINK;
		}
		len = frame_build(&spec, in);
		for (uint32_t n = 1 + below(3); n; n--)
			in[below((uint32_t)(len < 90 ? len : 90))] = (uint8_t)rnd();
		if (!below(8))
			len = 14 + below((uint32_t)len - 13);
		verdict = fx_run(slot, in, len, 0, out, &out_len);
		if (verdict != XDP_PASS && verdict != XDP_DROP && verdict != XDP_REDIRECT &&
		    verdict != XDP_TX)
			fail_row("damaged frame", "verdict", verdict, verdict_of(&o));
		if (verdict == XDP_PASS && (len != out_len || memcmp(in, out, len)))
			fail_bytes("damaged frame, passed", out, out_len, in, len);
	}
	fx_macs_clear();
	done();
}

static int setup(void **state)
{
	int err;

	(void)state;
	reseed();
	err = codec_open();
	return err ? err : fx_open();
}

static int teardown(void **state)
{
	(void)state;
	fx_close();
	codec_close();
	return 0;
}

int packets_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pledge_cases),
		cmocka_unit_test(test_pledge_cut),
		cmocka_unit_test(test_dtls),
		cmocka_unit_test(test_no_headroom),
		cmocka_unit_test(test_registrar_cases),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_vector_frames),
		cmocka_unit_test(test_pledge_mac),
		cmocka_unit_test(test_mac_noted_again),
		cmocka_unit_test(test_mac_borrowed),
		cmocka_unit_test(test_macs_full),
		cmocka_unit_test(test_no_way_out),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_wrong_checksum),
		cmocka_unit_test(test_checksum_ffff),
		cmocka_unit_test(test_prefix_written),
		cmocka_unit_test(test_agreement),
		cmocka_unit_test(test_damaged_frames),
	};

	return cmocka_run_group_tests_name("packets", tests, setup, teardown);
}
