/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See wpan.h. */
#include "wpan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACKED_MAX 2 /* interfaces on one another that are looked through */

/* glibc's net/if_arp.h has it not, and the kernel's cannot be had with glibc's net/if.h. */
#ifndef ARPHRD_6LOWPAN
#define ARPHRD_6LOWPAN 825
#endif

/* What the kernel has in its own net/af_ieee802154.h only. */
#ifndef AF_IEEE802154
#define AF_IEEE802154 36
#endif
struct address {
	int type;
	uint16_t pan, short_addr;
	uint32_t rest;
};
struct sockaddr_wpan {
	sa_family_t family;
	struct address addr;
};

static int on_attr(const struct nlattr *attr, void *arg)
{
	unsigned int *parent = arg;

	if (mnl_attr_get_type(attr) == IFLA_LINK && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		*parent = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), on_attr, arg);
}

/* The interface that IFINDEX is stacked on, or 0.  The kernel answers within the call. */
static unsigned int parent_of(unsigned int ifindex)
{
	char buf[32768] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ifinfomsg *info;
	unsigned int parent = 0;
	ssize_t got;

	if (!nl)
		return 0;
	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_index = (int)ifindex;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 &&
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) >= 0) {
		got = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (got > 0)
			(void)mnl_cb_run(buf, (size_t)got, 1, mnl_socket_get_portid(nl), on_link,
					 &parent);
	}
	mnl_socket_close(nl);
	return parent;
}

/* The interface that frames leave from; its name and address in IFR. */
static int find(int fd, unsigned int ifindex, struct ifreq *ifr)
{
	for (int i = 0; ifindex && i <= STACKED_MAX; i++, ifindex = parent_of(ifindex)) {
		memset(ifr, 0, sizeof(*ifr));
		if (!if_indextoname(ifindex, ifr->ifr_name) || ioctl(fd, SIOCGIFHWADDR, ifr))
			return -ENODEV;
		if (ifr->ifr_hwaddr.sa_family == ARPHRD_IEEE802154)
			return (int)ifindex;
		/* Only 6LoWPAN is ever on top of it; a veth's IFLA_LINK is its other end. */
		if (ifr->ifr_hwaddr.sa_family != ARPHRD_6LOWPAN)
			break;
	}
	return -ENODEV;
}

/* Of the interface that OF names.  The kernel refuses where it has a PAN but no short address
 * there, which is as good as none. */
static uint16_t pan_of(const struct ifreq *of)
{
	struct sockaddr_wpan addr;
	struct ifreq ifr = { 0 };
	uint16_t pan = WPAN_NO_PAN;
	int fd = socket(AF_IEEE802154, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	_Static_assert(sizeof(addr) <= sizeof(ifr) - offsetof(struct ifreq, ifr_addr),
		       "the kernel writes it there");
	if (fd < 0)
		return pan;
	memcpy(ifr.ifr_name, of->ifr_name, sizeof(ifr.ifr_name));
	if (!ioctl(fd, SIOCGIFADDR, &ifr)) {
		memcpy(&addr, &ifr.ifr_addr, sizeof(addr));
		pan = addr.addr.pan;
	}
	close(fd);
	return pan;
}

/* What comes in is not read, so it must not pile up either. */
static int bind_deaf(int fd, int ifindex)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &nothing };
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IEEE802154),
		.sll_ifindex = ifindex,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return 0;
}

int wpan_open(unsigned int ifindex, uint8_t eui64[8], uint16_t *pan)
{
	/* Of protocol 0, so that nothing comes in before it is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), found, err;
	struct ifreq ifr;

	if (fd < 0)
		return -errno;
	found = find(fd, ifindex, &ifr);
	err = found < 0 ? found : bind_deaf(fd, found);
	if (err) {
		close(fd);
		return err;
	}
	memcpy(eui64, ifr.ifr_hwaddr.sa_data, 8);
	*pan = pan_of(&ifr);
	return fd;
}
