/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a datagram that was ours did not go out.  One row a reason; the enum, the
 * JSON key, the metric label and the manual's table all follow from it.  A name
 * seen in a metric is found by searching this tree for it.
 *
 * JPX_DROP(symbol, "name", "what it means and what to look at")
 *
 * JPX_HANDOFF rows are the other list: why the fast path left a datagram, whole
 * and untouched, to the socket engine.  Nothing is lost by a hand-off.
 *
 * Shared by both halves: must not include anything.  Append at the end of a
 * table only: the position is the index into pinned counters (see JPX_ABI_VERSION).
 */
#ifndef JPX_REASONS_H
#define JPX_REASONS_H

#define JPX_DROPS(JPX_DROP)                                                                      \
	/* from the pledge */                                                                    \
	JPX_DROP(SRC_NOT_LINK_LOCAL, "src_not_link_local",                                       \
		 "a pledge's source address is not link-local unicast (fe80::/64)")              \
	JPX_DROP(SRC_PORT_ZERO, "src_port_zero", "a pledge's UDP source port is 0")              \
	JPX_DROP(LENGTH_MISMATCH, "length_mismatch",                                             \
		 "frame, IPv6 and UDP disagree about the length")                                \
	JPX_DROP(CHECKSUM_ZERO, "checksum_zero", "UDP over IPv6 without a checksum")             \
	JPX_DROP(NOT_DTLS, "not_dtls",                                                           \
		 "content is no DTLS record (relay it all the same with --content any)")         \
	JPX_DROP(CONTENT_TOO_BIG, "content_too_big",                                             \
		 "the JPY message would not fit into one UDP datagram (65527 bytes)")            \
	/* from the Registrar */                                                                 \
	JPX_DROP(NOT_REGISTRAR, "not_registrar",                                                 \
		 "came to a service's uplink port, but not from its Registrar")                  \
	JPX_DROP(JPY_MALFORMED, "jpy_malformed",                                                 \
		 "not CBOR, or an element of the wrong type, or lengths that lie")               \
	JPX_DROP(JPY_COUNT, "jpy_count", "fewer elements than the service's JPY form has")       \
	JPX_DROP(JPY_TRAILING, "jpy_trailing", "bytes after the end of the JPY message")         \
	JPX_DROP(JPY_HEADER, "jpy_header",                                                       \
		 "the header is not one that this proxy wrote (family, version, size)")          \
	JPX_DROP(PLEDGE_NOT_LINK_LOCAL, "pledge_not_link_local",                                 \
		 "the header names an address that is not link-local unicast")                   \
	JPX_DROP(PLEDGE_PORT_INVALID, "pledge_port_invalid",                                     \
		 "the header names UDP port 0 or one over 65535")                                \
	JPX_DROP(UNKNOWN_PLEDGE_PORT, "unknown_pledge_port",                                     \
		 "the header names an interface that is no pledge port of this service")         \
	/* either way */                                                                         \
	JPX_DROP(SERVICE_NOT_READY, "service_not_ready",                                         \
		 "no route to the Registrar, or no address to send from")                        \
	JPX_DROP(SEND_FAILED, "send_failed",                                                     \
		 "the kernel refused to send (see the log), or the way out of XDP is gone")      \
	JPX_DROP(KERNEL_REFUSED, "kernel_refused",                                               \
		 "the kernel dropped it before the socket: full queue, or a wrong checksum")      \
	/* IPv4 */                                                                               \
	JPX_DROP(IP_CHECKSUM, "ip_checksum", "the IPv4 header's checksum is wrong")              \
	/* stateful */                                                                           \
	JPX_DROP(FLOWS_PER_PLEDGE, "flows_per_pledge",                                           \
		 "no new flow: this pledge address has as many as it may (limit per-pledge)")    \
	JPX_DROP(FLOWS_PER_PORT, "flows_per_port",                                               \
		 "no new flow: this pledge port has as many as it may (limit per-port, "         \
		 "--max-flows)")                                                                 \
	JPX_DROP(FLOWS_FULL, "flows_full", "no new flow: the table is full (limit max)")         \
	JPX_DROP(NO_UPLINK_PORT, "no_uplink_port",                                               \
		 "no new flow: no UDP port is free on the uplink addresses (ports, "             \
		 "--uplink-address)")                                                            \
	JPX_DROP(NO_FLOW, "no_flow",                                                             \
		 "from the Registrar to a port whose flow is over")           \
	/* ICMP errors from the uplink */                                                        \
	JPX_DROP(ICMP_SHORT, "icmp_short",                                                       \
		 "an ICMP error that quotes too little of a datagram to name a flow")            \
	JPX_DROP(ICMP_NO_FLOW, "icmp_no_flow", "an ICMP error about a datagram of no flow")        \
	JPX_DROP(ICMP_NO_WORD, "icmp_no_word",                                                   \
		 "an ICMP error that the pledge's version of IP has no word for (RFC 7915)")     \
	JPX_DROP(ICMP_RATE, "icmp_rate",                                                         \
		 "an ICMP error to pledges that were told of a hundred in that second")

enum jpx_drop {
	JPX_RELAY = 0, /* not dropped; never counted under this index */
#define JPX_DROP_ENUM(sym, name, text) JPX_DROP_##sym,
	JPX_DROPS(JPX_DROP_ENUM)
#undef JPX_DROP_ENUM
	JPX_DROP_COUNT
};

#define JPX_HANDOFFS(JPX_HANDOFF)                                                                \
	JPX_HANDOFF(FRAGMENT, "fragment", "IPv6 fragment: the kernel reassembles it")            \
	JPX_HANDOFF(EXTENSION_HEADER, "extension_header", "IPv6 extension header before UDP")    \
	JPX_HANDOFF(PADDING, "padding", "bytes after the end of the UDP datagram")               \
	JPX_HANDOFF(CHECKSUM_PARTIAL, "checksum_partial",                                        \
		    "the sender left the UDP checksum to hardware that is not there; "           \
		    "on the sender: ethtool -K IF tx off")                                       \
	JPX_HANDOFF(OVER_MTU, "over_mtu", "result larger than the outgoing interface's MTU")     \
	JPX_HANDOFF(NO_NEXT_HOP, "no_next_hop",                                                  \
		    "next hop not resolved, or the Registrar is on this host")                   \
	JPX_HANDOFF(FORM, "form", "a JPY form that the fast path does not write")                \
	JPX_HANDOFF(ENCODING, "encoding", "a JPY message in an encoding too long for one look")  \
	JPX_HANDOFF(NO_PLEDGE_MAC, "no_pledge_mac", "the pledge's link-layer address is unknown") \
	JPX_HANDOFF(NO_TRANSMIT, "no_transmit",                                                  \
		    "the outgoing interface cannot take frames from XDP")                        \
	JPX_HANDOFF(NO_HEADROOM, "no_headroom", "no room in the frame for the new headers")      \
	JPX_HANDOFF(CHECKSUM_NONE, "checksum_none",                                              \
		    "UDP over IPv4 without a checksum: the kernel makes one")                    \
	JPX_HANDOFF(IP_OPTIONS, "ip_options", "IPv4 options")                                    \
	JPX_HANDOFF(FLOW_REFUSED, "flow_refused",                                                \
		    "no new flow for this pledge: jpd tells it so (ICMP, rate-limited)")         \
	JPX_HANDOFF(FLOW_BUSY, "flow_busy", "another CPU is about to end this pledge's last flow")

/* What pledges were told by ICMP, by the socket engine alone: JPX_TOLD(symbol, "name", "what"). */
#define JPX_TOLDS(JPX_TOLD)                                                                      \
	JPX_TOLD(REFUSED, "refused", "that no flow could be opened for its datagram")            \
	JPX_TOLD(ERROR, "error", "of an ICMP error about its datagram")

enum jpx_handoff {
#define JPX_HANDOFF_ENUM(sym, name, text) JPX_HANDOFF_##sym,
	JPX_HANDOFFS(JPX_HANDOFF_ENUM)
#undef JPX_HANDOFF_ENUM
	JPX_HANDOFF_COUNT
};

enum jpx_told {
#define JPX_TOLD_ENUM(sym, name, text) JPX_TOLD_##sym,
	JPX_TOLDS(JPX_TOLD_ENUM)
#undef JPX_TOLD_ENUM
	JPX_TOLD_COUNT
};

#endif
