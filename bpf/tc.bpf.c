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

SEC("tc")
int jpx_tc(struct __sk_buff *skb)
{
	struct jpx_by_tc *note = (void *)(long)skb->data_meta;
	struct bpf_redir_neigh to = {};
	struct jpx_port *port;
	__u32 port_id;
	long verdict = TC_ACT_SHOT;

	if ((void *)(note + 1) > (void *)(long)skb->data || note->magic != JPX_BY_TC_MAGIC)
		return TC_ACT_UNSPEC;
	/* Metadata stays with a packet: the other end of a veth, too, may have such a program. */
	note->magic = 0;
	port_id = note->port_id;
	port = bpf_map_lookup_elem(&jpx_ports, &port_id);
	if (note->ipv4) {
		to.nh_family = AF_INET;
		to.ipv4_nh = (__u32)note->pledge;
	} else {
		to.nh_family = AF_INET6;
		to.ipv6_nh[0] = bpf_htonl(0xfe800000);
		to.ipv6_nh[2] = (__u32)note->pledge;
		to.ipv6_nh[3] = (__u32)(note->pledge >> 32);
	}
	/* With the next hop named the kernel looks for no route, and finds or asks for the neighbour. */
	if (port && port->flags & JPX_PORT_READY)
		verdict = bpf_redirect_neigh(port->ifindex, &to, sizeof(to), 0);
	if (verdict == TC_ACT_SHOT)
		jpx_drop(port_id, JPX_DROP_SEND_FAILED);
	return (int)verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
