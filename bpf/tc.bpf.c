/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * On the ingress of an uplink, behind XDP: sends the answers that XDP marked (by_tc.h) to
 * interfaces that no redirect of XDP can end on.  Everything else goes on at once.  The
 * interface is taken from jpd's map, never from the packet.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "by_tc.h"
#include "stats.h"

#define AF_INET	 2
#define AF_INET6 10

/*
 * The note in front of SKB.  Metadata stays with a packet, and the other end of a veth, too, may
 * have such a program: but only here, between XDP and this, is the frame addressed to nobody.  The
 * note is not crossed out instead, since the kernel first copies a packet of which somebody else
 * has a clone, a raw socket for one, and loses its metadata over it.
 */
static __always_inline int read_note(const struct __sk_buff *skb, struct jpx_by_tc *note)
{
	const struct jpx_by_tc *found = (void *)(long)skb->data_meta;
	const struct ethhdr *eth = (void *)(long)skb->data;

	if ((void *)(found + 1) > (void *)eth || found->magic != JPX_BY_TC_MAGIC ||
	    (void *)(eth + 1) > (void *)(long)skb->data_end || !jpx_is_to_nobody(eth))
		return 0;
	*note = *found;
	return 1;
}

SEC("tc")
int jpx_tc(struct __sk_buff *skb)
{
	struct bpf_redir_neigh to = {};
	long verdict = TC_ACT_SHOT;
	struct jpx_by_tc note;
	struct jpx_port *port;
	__u32 port_id;

	if (!read_note(skb, &note))
		return TC_ACT_UNSPEC;
	port_id = note.port_id;
	port = bpf_map_lookup_elem(&jpx_ports, &port_id);
	if (note.ipv4) {
		to.nh_family = AF_INET;
		to.ipv4_nh = (__u32)note.pledge;
	} else {
		to.nh_family = AF_INET6;
		to.ipv6_nh[0] = bpf_htonl(0xfe800000);
		to.ipv6_nh[2] = (__u32)note.pledge;
		to.ipv6_nh[3] = (__u32)(note.pledge >> 32);
	}
	/* A NIC may have taken a tag of VLAN 0 off, which would go out with the answer. */
	if (skb->vlan_present && bpf_skb_vlan_pop(skb))
		port = NULL;
	/* With the next hop named the kernel looks for no route, and finds or asks for the
	 * neighbour. */
	if (port && port->flags & JPX_PORT_READY)
		verdict = bpf_redirect_neigh(port->ifindex, &to, sizeof(to), 0);
	if (verdict == TC_ACT_SHOT)
		jpx_drop(port_id, JPX_DROP_SEND_FAILED);
	return (int)verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
