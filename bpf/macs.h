/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pledges' MACs, for answers whose JPY header does not carry one: told by a
 * modified-EUI-64 address, or noted by the forward way where address and MAC
 * disagree.  Never the kernel's neighbour table: bpf_fib_lookup() refuses every
 * link-local address.  Who is not found here is answered by the socket engine.
 *
 * Noted MACs live in an LRU map (41 ns a look, 300 ns an insertion).  In front
 * of it stands an array of hints, one a hash value, which costs 3 ns and may
 * forget at any time.  Two CPUs may write one hint at once, so a reader believes
 * only four words that belong together: the nonce, which no sender knows or
 * chooses, ties them.
 */
#ifndef JPX_BPF_MACS_H
#define JPX_BPF_MACS_H

#include "parse.h"

/* WHERE in what follows: the port id, and this bit for a pledge with an IPv4 address, which
 * jpx_pledge_id() makes an "iid" of that is not in EUI-64 form. */
#define JPX_WHERE_IPV4 0x100

/* The sender's MAC, or 0 where it is a group's: an answer must not go to a group. */
static __always_inline __u64 jpx_eth_source(const void *eth)
{
	__u64 mac = bpf_be64_to_cpu(jpx_load64(eth + 4)) & 0xffffffffffffULL;

	return mac >> 40 & 1 ? 0 : mac;
}

/* Is this a source MAC that the pledge's address does not tell? */
static __always_inline int jpx_mac_is_odd(__u64 iid, __u64 mac)
{
	return mac && (!jpx_iid_is_eui64(iid) || jpx_iid_to_mac(iid) != mac);
}

static __always_inline struct jpx_mac_hint *jpx_hint(__u64 iid, __u32 where, __be16 udp_port)
{
	__u64 mixed = (iid ^ (__u64)udp_port << 40 ^ (__u64)(where & 0xff) << 56 ^
		       (__u64)(where >> 8) << 32) *
		      0x9e3779b97f4a7c15ULL;
	__u32 slot = (__u32)(mixed >> (64 - JPX_MAC_HINT_BITS));

	return bpf_map_lookup_elem(&jpx_mac_hints, &slot);
}

/* The MAC that HINT gives for this pledge, or 0. */
static __always_inline __u64 jpx_hint_read(const struct jpx_mac_hint *hint, __u64 iid, __u32 where,
					   __be16 udp_port)
{
	__u64 mac = jpx_load64(&hint->mac_and_udp_port), whose = jpx_load64(&hint->nonce_and_port);

	if (jpx_load64(&hint->iid) != iid || mac >> 48 != udp_port || (whose & 0xffff) != where ||
	    jpx_load64(&hint->check) != (iid ^ mac ^ whose))
		return 0;
	return mac & 0xffffffffffffULL;
}

static __always_inline void jpx_hint_write(struct jpx_mac_hint *hint, __u64 iid, __u32 where,
					   __be16 udp_port, __u64 mac)
{
	__u64 whose = (__u64)bpf_get_prandom_u32() << 32 | where;

	mac |= (__u64)udp_port << 48;
	jpx_store64(&hint->iid, iid);
	jpx_store64(&hint->mac_and_udp_port, mac);
	jpx_store64(&hint->nonce_and_port, whose);
	jpx_store64(&hint->check, iid ^ mac ^ whose);
}

static __noinline void jpx_note_in_map(__u64 iid, __u64 mac, __u32 where, __be16 udp_port)
{
	struct jpx_mac_key key = {
		.iid = bpf_cpu_to_be64(iid),
		.udp_port = udp_port,
		.port_id = (__u8)where,
		.ipv4 = (__u8)(where >> 8),
	};
	__u64 *known = bpf_map_lookup_elem(&jpx_macs, &key);
	__u32 port_id = where & 0xff, *odd;

	if (!known)
		bpf_map_update_elem(&jpx_macs, &key, &mac, BPF_ANY);
	else if (*known != mac)
		*known = mac; /* one aligned word: a reader sees the old or the new one */
	if (!jpx_iid_is_eui64(iid) || jpx_iid_to_mac(iid) == mac)
		return;
	odd = bpf_map_lookup_elem(&jpx_odd_macs, &port_id);
	if (odd && !*odd)
		*odd = 1;
}

/*
 * Remembers the sender's MAC for the way back, where its address does not tell
 * it.  Once anybody on this port lied with a modified EUI-64 address, the honest
 * ones are noted, too: else the liar's MAC would stay noted for an address that
 * it had borrowed.
 */
static __always_inline void jpx_note_mac(__u64 iid, __u64 mac, __u32 where, __be16 udp_port)
{
	__u32 port_id = where & 0xff, *odd;
	struct jpx_mac_hint *hint;

	if (!mac)
		return;
	if (!jpx_mac_is_odd(iid, mac)) {
		odd = bpf_map_lookup_elem(&jpx_odd_macs, &port_id);
		if (!odd || !*odd)
			return;
	}
	hint = jpx_hint(iid, where, udp_port);
	if (!hint || jpx_hint_read(hint, iid, where, udp_port) == mac)
		return;
	jpx_note_in_map(iid, mac, where, udp_port);
	jpx_hint_write(hint, iid, where, udp_port, mac);
}

/* Out of line: what is rare must not take registers from what is not. */
static __noinline __u64 jpx_find_in_map(__u64 iid, __u32 where, __be16 udp_port)
{
	struct jpx_mac_hint *hint = jpx_hint(iid, where, udp_port);
	struct jpx_mac_key key = {
		.iid = bpf_cpu_to_be64(iid),
		.udp_port = udp_port,
		.port_id = (__u8)where,
		.ipv4 = (__u8)(where >> 8),
	};
	__u64 *known = bpf_map_lookup_elem(&jpx_macs, &key), mac;

	if (!known)
		return jpx_iid_is_eui64(iid) ? jpx_iid_to_mac(iid) : 0;
	mac = *known;
	if (hint)
		jpx_hint_write(hint, iid, where, udp_port, mac);
	return mac;
}

/* The pledge's MAC as a number, or 0.  From cheap to dear. */
static __always_inline __u64 jpx_find_mac(__u64 iid, __u32 where, __be16 udp_port)
{
	__u32 port_id = where & 0xff, *odd;
	struct jpx_mac_hint *hint;
	__u64 mac = 0;

	if (jpx_iid_is_eui64(iid)) {
		odd = bpf_map_lookup_elem(&jpx_odd_macs, &port_id);
		if (odd && !*odd)
			return jpx_iid_to_mac(iid);
	}
	hint = jpx_hint(iid, where, udp_port);
	if (hint)
		mac = jpx_hint_read(hint, iid, where, udp_port);
	return mac ? mac : jpx_find_in_map(iid, where, udp_port);
}

#endif
