/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See features.h.  Two questions to the kernel: the netdev generic netlink family
 * (which libbpf 1.1 cannot ask yet) and ethtool's feature bits.  Never changes a
 * device.
 */
#include "features.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of <linux/netdev.h>, which came with Linux 6.3. */
#define NETDEV_FAMILY		  "netdev"
#define NETDEV_VERSION		  1
#define NETDEV_CMD_DEV_GET	  1
#define NETDEV_A_DEV_IFINDEX	  1
#define NETDEV_A_DEV_XDP_FEATURES 3

/* More strings than any driver has; a number from the kernel is bounded all the same. */
#define MAX_FEATURES 1024

/* ---- generic netlink ---- */

/* Sends NLH and hands the one answer to CB.  Returns 0 or a negative errno. */
static int ask(struct mnl_socket *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	char buf[8192];
	ssize_t len;
	int ret;

	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = (unsigned int)time(NULL);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)len, nlh->nlmsg_seq, mnl_socket_get_portid(nl), cb,
				 data);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

static struct nlmsghdr *request(char *buf, uint16_t type, uint8_t cmd, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));

	nlh->nlmsg_type = type;
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

static int on_family(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each(
		attr, nlh,
		sizeof(struct genlmsghdr)) if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
					       mnl_attr_validate(attr, MNL_TYPE_U16) == 0) *
		(uint16_t *)data = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

struct dev_answer {
	uint64_t features;
	bool found;
};

static int on_device(const struct nlmsghdr *nlh, void *data)
{
	struct dev_answer *answer = data;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh,
			  sizeof(struct genlmsghdr)) if (mnl_attr_get_type(attr) ==
								 NETDEV_A_DEV_XDP_FEATURES &&
							 mnl_attr_validate(attr, MNL_TYPE_U64) == 0)
	{
		answer->features = mnl_attr_get_u64(attr);
		answer->found = true;
	}
	return MNL_CB_OK;
}

/*
 * The family's number, or -EOPNOTSUPP for a kernel that has none.  It is part of the kernel, so
 * what it says once is so.  Asked again and again, a kernel without it (before 6.3) would run
 * modprobe each time to look for a module.
 */
static int find_family(struct mnl_socket *nl)
{
	static int known;
	uint16_t family = 0;
	struct nlmsghdr *nlh;
	char buf[256];
	int ret;

	if (known)
		return known;
	nlh = request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	ret = ask(nl, nlh, on_family, &family);
	if (ret && ret != -ENOENT)
		return ret;
	known = family ? family : -EOPNOTSUPP;
	return known;
}

static int xdp_features(struct mnl_socket *nl, int ifindex, uint64_t *features)
{
	struct dev_answer answer = { 0 };
	struct nlmsghdr *nlh;
	char buf[256];
	int family = find_family(nl), ret;

	if (family < 0)
		return family;
	nlh = request(buf, (uint16_t)family, NETDEV_CMD_DEV_GET, NETDEV_VERSION);
	mnl_attr_put_u32(nlh, NETDEV_A_DEV_IFINDEX, (uint32_t)ifindex);
	ret = ask(nl, nlh, on_device, &answer);
	if (ret)
		return ret;
	if (!answer.found)
		return -EOPNOTSUPP;
	*features = answer.features;
	return 0;
}

int jpx_xdp_features(int ifindex, uint64_t *features)
{
	struct mnl_socket *nl;
	int ret;

	if (ifindex <= 0)
		return -ENODEV;
	nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!nl)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		ret = -errno;
	else
		ret = xdp_features(nl, ifindex, features);
	mnl_socket_close(nl);
	return ret;
}

/* ---- ethtool ---- */

static int ethtool(int fd, const char *ifname, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };

	if (strlen(ifname) >= sizeof(ifr.ifr_name))
		return -ENODEV;
	strcpy(ifr.ifr_name, ifname);
	return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

/* How many features the kernel names, or a negative errno. */
static int count_features(int fd, const char *ifname)
{
	struct {
		struct ethtool_sset_info info;
		__u32 count;
	} set = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	int ret = ethtool(fd, ifname, &set);

	if (ret)
		return ret;
	if (!set.info.sset_mask || !set.count || set.count > MAX_FEATURES)
		return -EOPNOTSUPP;
	return (int)set.count;
}

/* The bit that FEATURE has, or a negative errno. */
static int find_feature(int fd, const char *ifname, const char *feature, __u32 count)
{
	struct ethtool_gstrings *strings = calloc(1, sizeof(*strings) + count * ETH_GSTRING_LEN);
	int ret;

	if (!strings)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = count;
	ret = ethtool(fd, ifname, strings);
	if (!ret) {
		ret = -ENOENT;
		for (__u32 i = 0; i < count && i < strings->len; i++)
			if (strncmp((char *)strings->data + i * ETH_GSTRING_LEN, feature,
				    ETH_GSTRING_LEN) == 0)
				ret = (int)i;
	}
	free(strings);
	return ret;
}

/* 1 if BIT is active, 0 if not, or a negative errno. */
static int feature_active(int fd, const char *ifname, __u32 bit, __u32 count)
{
	__u32 blocks = (count + 31) / 32;
	struct ethtool_gfeatures *got = calloc(1, sizeof(*got) + blocks * sizeof(got->features[0]));
	int ret;

	if (!got)
		return -ENOMEM;
	got->cmd = ETHTOOL_GFEATURES;
	got->size = blocks;
	ret = ethtool(fd, ifname, got);
	if (!ret && (bit / 32 >= got->size || bit / 32 >= blocks))
		ret = -ENOENT;
	else if (!ret)
		ret = got->features[bit / 32].active >> bit % 32 & 1 ? 1 : 0;
	free(got);
	return ret;
}

int jpx_ethtool_feature(const char *ifname, const char *feature)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int count, ret;

	if (fd < 0)
		return -errno;
	ret = count = count_features(fd, ifname);
	if (ret > 0)
		ret = find_feature(fd, ifname, feature, (__u32)count);
	if (ret >= 0)
		ret = feature_active(fd, ifname, (__u32)ret, (__u32)count);
	close(fd);
	return ret;
}

bool jpx_strips_vlan_tags(const char *ifname)
{
	return jpx_ethtool_feature(ifname, "rx-vlan-hw-parse") == 1 ||
	       jpx_ethtool_feature(ifname, "rx-vlan-stag-hw-parse") == 1;
}
