/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See addresses.h. */
#include "addresses.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#define FOR_EVER 0xffffffffu

struct in6_addr addresses_nth(unsigned int n)
{
	struct in6_addr addr = { .s6_addr = { 0xfe, 0x80 } };

	addr.s6_addr[9] = 0x5a;
	addr.s6_addr[14] = (uint8_t)(n >> 8);
	addr.s6_addr[15] = (uint8_t)n;
	addr.s6_addr[13] = (uint8_t)(n >> 16);
	return addr;
}

static int on_error(const struct nlmsghdr *nlh, void *data)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);

	(void)data;
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*error))
		return MNL_CB_ERROR;
	errno = -error->error;
	return error->error ? MNL_CB_ERROR : MNL_CB_STOP;
}

/* One of them on or off; the kernel's answer as a negative errno, or 0. */
static int change(struct mnl_socket *nl, unsigned int type, unsigned int ifindex, unsigned int n)
{
	/* Never chosen as a source unless asked for, and nobody is asked whether it is his. */
	const struct ifa_cacheinfo times = { .ifa_prefered = 0, .ifa_valid = FOR_EVER };
	mnl_cb_t control[] = { [NLMSG_ERROR] = on_error };
	char buf[8192] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct in6_addr addr = addresses_nth(n);
	struct ifaddrmsg *msg;
	ssize_t len;

	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (type == RTM_NEWADDR)
		nlh->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	nlh->nlmsg_seq = n + 1;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->ifa_family = AF_INET6;
	msg->ifa_prefixlen = 64;
	msg->ifa_flags = IFA_F_NODAD;
	msg->ifa_index = ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, sizeof(addr), &addr);
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(addr), &addr);
	if (type == RTM_NEWADDR)
		mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(times), &times);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (len < 0)
		return -errno;
	return mnl_cb_run2(buf, (size_t)len, n + 1, mnl_socket_get_portid(nl), NULL, NULL, control,
			   MNL_ARRAY_SIZE(control)) < 0
		       ? -errno
		       : 0;
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		nl = NULL;
	}
	return nl;
}

int addresses_add(unsigned int ifindex, unsigned int count, char *err, size_t err_len)
{
	struct mnl_socket *nl = open_socket();
	unsigned int n = 0;
	int ret = nl ? 0 : -errno;

	for (; !ret && n < count; n++) {
		ret = change(nl, RTM_NEWADDR, ifindex, n);
		/* Of a swarm that was killed. */
		if (ret == -EEXIST)
			ret = 0;
	}
	if (nl)
		mnl_socket_close(nl);
	if (!ret)
		return 0;
	snprintf(err, err_len, "cannot give the interface an address for each pledge: %s%s",
		 strerror(-ret), ret == -EPERM ? "; try again as root, or with --one-address" : "");
	addresses_remove(ifindex, n);
	return ret;
}

void addresses_remove(unsigned int ifindex, unsigned int count)
{
	struct mnl_socket *nl = open_socket();

	if (!nl)
		return;
	for (unsigned int n = 0; n < count; n++)
		change(nl, RTM_DELADDR, ifindex, n);
	mnl_socket_close(nl);
}
