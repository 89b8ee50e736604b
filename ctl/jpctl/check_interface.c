/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See check.h.  One interface at a time, and what the counters hint at. */
#include "check.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jpx/jpy.h>
#include <jpx/wire.h>

#include "../common/features.h"
#include "../common/words.h"
#include "lowpan.h"
#include "netwatch.h"
#include "show.h"

#define IP6_MTU_MIN 1280
#define HEADERS	    (JPX_IP6_HLEN + JPX_UDP_HLEN)

/* Of <linux/if_arp.h>, which clashes with <net/if.h>. */
#define JPX_ARPHRD_RAWIP   519
#define JPX_ARPHRD_6LOWPAN 825

/* What is known of the interface under examination. */
struct subject {
	struct check *check;
	const struct netwatch_link *link;
	const struct netwatch_link *carrier; /* that XDP sees: itself, or a VLAN's parent */
	const char *ifname;
	bool port, uplink; /* by status; both when it is in neither */
};

__attribute__((format(printf, 5, 6))) static void found(const struct subject *s,
							enum check_result result, const char *what,
							const char *remedy, const char *why, ...)
{
	char name[64], text[1024];
	va_list ap;

	snprintf(name, sizeof(name), "%s %s", s->ifname, what);
	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	check_add(s->check, result, name, remedy, "%s", text);
}

/* ---- link and address ---- */

/* Is a VLAN interface stacked on it? */
static bool carries_vlans(const struct netwatch *net, const struct netwatch_link *link)
{
	struct if_nameindex *all = if_nameindex();
	bool any = false;

	for (size_t i = 0; all && all[i].if_index; i++) {
		const struct netwatch_link *other =
			netwatch_link_by_index(net, (int)all[i].if_index);

		any = any || (other && other->vlan_id && other->parent == link->ifindex);
	}
	if_freenameindex(all);
	return any;
}

/* Is it a kind of link that pledges can be served on? */
static bool check_type(struct subject *s)
{
	char remedy[LOWPAN_COMMAND_LEN];

	switch (s->link->arphrd) {
	case ARPHRD_ETHER:
		found(s, CHECK_OK, "link", "", "Ethernet%s%s%s", *s->link->kind ? " (" : "",
		      s->link->kind, *s->link->kind ? ")" : "");
		return true;
	case JPX_ARPHRD_6LOWPAN:
	case ARPHRD_NONE:
	case JPX_ARPHRD_RAWIP:
		found(s, CHECK_OK, "link", "", "bare IPv6%s%s%s", *s->link->kind ? " (" : "",
		      s->link->kind, *s->link->kind ? ")" : "");
		return true;
	case ARPHRD_IEEE802154:
		found(s, CHECK_FAIL, "link", lowpan_command(s->check->net, s->ifname, remedy),
		      "an 802.15.4 interface without a 6LoWPAN interface on it");
		return false;
	default:
		found(s, CHECK_FAIL, "link", "attach an Ethernet, 6LoWPAN or TUN interface instead",
		      "pledges cannot be served on this kind of link (type %u)", s->link->arphrd);
		return false;
	}
}

static void check_up(const struct subject *s)
{
	char remedy[96];

	snprintf(remedy, sizeof(remedy), "ip link set %s up, or look at the cable or the radio",
		 s->ifname);
	if (s->link->up)
		found(s, CHECK_OK, "state", "", "up");
	else
		found(s, CHECK_FAIL, "state", remedy, "down, or without a carrier");
}

static void check_address(const struct subject *s)
{
	char remedy[192];

	snprintf(remedy, sizeof(remedy),
		 "see `ip -6 addr show %s' (tentative? dadfailed?) and sysctl "
		 "net.ipv6.conf.%s.disable_ipv6",
		 s->ifname, s->ifname);
	if (s->link->has_link_local)
		found(s, CHECK_OK, "address", "", "has a usable link-local address");
	else if (s->link->has_link_local4)
		found(s, CHECK_OK, "address", "", "has a usable link-local address, of IPv4 only");
	else
		found(s, CHECK_FAIL, "address", remedy,
		      "has no usable link-local address, which is what pledges send to");
}

/* ---- XDP ---- */

static const struct netwatch_link *veth_peer(const struct subject *s)
{
	if (strcmp(s->carrier->kind, "veth") != 0 || !s->carrier->parent)
		return NULL;
	return netwatch_link_by_index(s->check->net, s->carrier->parent);
}

/* Is the program with this id ours, or the dispatcher that we share? */
static bool is_ours(__u32 id)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	bool ours;

	if (fd < 0)
		return false;
	ours = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       (strncmp(info.name, "jpx_xdp_", 8) == 0 ||
		strncmp(info.name, "xdp_dispatcher", 14) == 0);
	close(fd);
	return ours;
}

/* The program on the interface, or 0. */
static __u32 attached_program(const struct subject *s)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	return bpf_xdp_query(s->carrier->ifindex, 0, &opts) ? 0 : opts.prog_id;
}

static void check_foreign(const struct subject *s)
{
	__u32 id = attached_program(s);

	if (id && !is_ours(id))
		found(s, CHECK_WARN, "program",
		      "see `xdp-loader status'; if that program cannot share, take it off or "
		      "attach with --xdp off",
		      "carries an XDP program that is not jpd's (id %u)", id);
}

static void check_target(const struct subject *s, uint64_t features)
{
	const struct netwatch_link *peer = veth_peer(s);
	char remedy[160] = "nothing needs to be done: the socket engine sends there";

	if (features & JPX_XDP_ACT_NDO_XMIT) {
		found(s, CHECK_OK, "redirect", "", "takes frames from XDP");
		return;
	}
	if (strcmp(s->carrier->kind, "veth") == 0)
		snprintf(remedy, sizeof(remedy), "ethtool -K %s gro on%s; jpd notices within 10 s",
			 peer ? peer->ifname : "PEER",
			 peer ? "" : " (its other end, in another network namespace)");
	found(s, CHECK_WARN, "redirect", remedy,
	      strcmp(s->carrier->kind, "veth") == 0
		      ? "takes no frames from XDP, as its peer has neither GRO nor an XDP program"
		      : "its driver takes no frames from XDP of another interface");
}

static void check_xdp(const struct subject *s)
{
	uint64_t features;
	int ret = jpx_xdp_features(s->carrier->ifindex, &features);

	if (ret) {
		if (ret != -EOPNOTSUPP)
			found(s, CHECK_WARN, "xdp", "", "the kernel does not tell its features: %s",
			      strerror(-ret));
		return;
	}
	if (features & JPX_XDP_ACT_BASIC)
		found(s, CHECK_OK, "xdp", "", "native XDP%s%s", s->carrier != s->link ? " on " : "",
		      s->carrier != s->link ? s->carrier->ifname : "");
	else
		found(s, CHECK_WARN, "xdp",
		      "nothing needs to be done: --xdp auto chooses generic mode, at about half "
		      "the speed",
		      "its driver has no native XDP");
	check_target(s, features);
}

/* ---- offloads ---- */

static bool has_driver(const char *ifname, const char *driver)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (char *)&info };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	has = ioctl(fd, SIOCETHTOOL, &ifr) == 0 &&
	      strncmp(info.driver, driver, sizeof(info.driver)) == 0;
	close(fd);
	return has;
}

static void check_checksums(const struct subject *s)
{
	const struct netwatch_link *peer = veth_peer(s);
	bool veth = strcmp(s->carrier->kind, "veth") == 0;
	char remedy[160];

	if (peer && jpx_ethtool_feature(peer->ifname, "tx-checksum-ip-generic") == 1) {
		snprintf(remedy, sizeof(remedy), "ethtool -K %s tx off", peer->ifname);
		found(s, CHECK_WARN, "checksums", remedy,
		      "its peer %s leaves UDP checksums to hardware that is not there; such frames "
		      "go through the socket engine",
		      peer->ifname);
	} else if (peer) {
		found(s, CHECK_OK, "checksums", "", "its peer %s writes UDP checksums",
		      peer->ifname);
	} else if (veth || has_driver(s->carrier->ifname, "virtio_net")) {
		found(s, CHECK_OK, "checksums", "then, on the sending end: ethtool -K IF tx off",
		      "cannot see whether its other end, %s, writes whole UDP checksums; if `jpctl "
		      "stats' counts checksum_partial, it does not",
		      veth ? "in another network namespace" : "in another machine or on the host");
	}
}

static void check_vlan(const struct subject *s)
{
	char remedy[256], here[96];

	if (s->carrier->arphrd != ARPHRD_ETHER ||
	    (s->carrier == s->link && !carries_vlans(s->check->net, s->link)))
		return;
	snprintf(here, sizeof(here), "ethtool -K %s%s%s", s->carrier->ifname,
		 jpx_ethtool_feature(s->carrier->ifname, "rx-vlan-hw-parse") == 1 ? " rxvlan off"
										  : "",
		 jpx_ethtool_feature(s->carrier->ifname, "rx-vlan-stag-hw-parse") == 1
			 ? " rx-vlan-stag-hw-parse off"
			 : "");
	snprintf(remedy, sizeof(remedy), "%s%s; jpd notices within 10 s",
		 strcmp(s->carrier->kind, "veth") == 0
			 ? "on the sending end: ethtool -K PEER txvlan off tx-vlan-stag-hw-insert "
			   "off; then here: "
			 : "",
		 here);
	if (jpx_strips_vlan_tags(s->carrier->ifname))
		found(s, CHECK_WARN, "vlan", remedy,
		      "%s takes VLAN tags off before XDP sees them, so that the fast path cannot "
		      "tell its VLANs apart",
		      s->carrier->ifname);
	else
		found(s, CHECK_OK, "vlan", "", "%s leaves VLAN tags in the frame",
		      s->carrier->ifname);
}

/* ---- MTU ---- */

/* The most content that fits into MTU bytes in FORM; the codec itself is asked. */
static unsigned int room(enum jpx_form form, unsigned int mtu)
{
	/* the longest encodings there are */
	static const struct jpx_pledge pledge = {
		.addr = { 0xfe, 0x80, [15] = 1 }, .udp_port = 65535, .port_id = 255, .mac = { 2 }
	};
	static unsigned char content[1024], message[sizeof(content) + 256];
	ssize_t len =
		jpx_jpy_wrap(form, &pledge, content, sizeof(content), message, sizeof(message));
	size_t overhead = len < 0 ? 0 : (size_t)len - sizeof(content);

	return mtu > HEADERS + overhead ? (unsigned int)(mtu - HEADERS - overhead) : 0;
}

static void check_mtu(const struct subject *s)
{
	unsigned int mtu = s->link->mtu, least = mtu - HEADERS;
	char text[256], remedy[160];
	size_t used = 0;

	if (mtu < IP6_MTU_MIN) {
		snprintf(remedy, sizeof(remedy), "ip link set %s mtu %d", s->ifname, IP6_MTU_MIN);
		found(s, CHECK_FAIL, "mtu", remedy, "%u, less than the %d bytes that IPv6 needs",
		      mtu, IP6_MTU_MIN);
		return;
	}
	if (!s->uplink)
		return;
	*text = 0;
	for (int form = 0; form < JPX_FORM_COUNT; form++) {
		unsigned int n = room((enum jpx_form)form, mtu);

		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u in %s",
						 form ? ", " : "", n,
						 jpx_form_name((enum jpx_form)form));
		least = n < least ? n : least;
	}
	/* what fits through every link of a pledge's fits through here as well, or not */
	snprintf(
		remedy, sizeof(remedy),
		"ip link set %s mtu %u if its link allows; larger ones leave as fragments, through "
		"the socket engine",
		s->ifname, mtu + (IP6_MTU_MIN - HEADERS) - least);
	if (least < IP6_MTU_MIN - HEADERS)
		found(s, CHECK_WARN, "mtu", remedy,
		      "%u as an uplink carries DTLS datagrams of up to %s; a pledge may send %d "
		      "and more",
		      mtu, text, IP6_MTU_MIN - HEADERS);
	else
		found(s, CHECK_OK, "mtu", "", "%u as an uplink carries DTLS datagrams of up to %s",
		      mtu, text);
}

/* ---- all of it ---- */

/* As the fast path does, through at most two tags. */
static const struct netwatch_link *carrier_of(const struct netwatch *net,
					      const struct netwatch_link *link)
{
	const struct netwatch_link *carrier = link;

	for (int tags = 0; tags < 2 && carrier && carrier->vlan_id && carrier->parent; tags++)
		carrier = netwatch_link_by_index(net, carrier->parent);
	return carrier ? carrier : link;
}

static bool is_in(const json_t *list, const char *ifname)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (strcmp(show_text(one, "ifname"), ifname) == 0)
			return true;
	return false;
}

void check_interface(struct check *check, const char *ifname)
{
	struct subject s = { .check = check, .ifname = ifname };

	if (!check->net) {
		found(&s, CHECK_FAIL, "link", "allow AF_NETLINK sockets here",
		      "rtnetlink does not answer");
		return;
	}
	s.link = netwatch_link_by_name(check->net, ifname);
	if (!s.link) {
		found(&s, CHECK_FAIL, "link", "`ip link' lists what there is",
		      "there is no such interface in this network namespace");
		return;
	}
	if (lowpan_is_radio(s.link) && lowpan_on(check->net, s.link)) {
		s.link = lowpan_on(check->net, s.link);
		found(&s, CHECK_OK, "6lowpan", "", "%s is stacked on it and is what is attached",
		      s.link->ifname);
		s.ifname = s.link->ifname;
	}
	s.port = is_in(json_object_get(check->status, "ports"), s.ifname);
	s.uplink = is_in(json_object_get(check->status, "uplinks"), s.ifname);
	if (!s.port && !s.uplink)
		s.port = s.uplink = true;
	s.carrier = carrier_of(check->net, s.link);
	if (!check_type(&s))
		return;
	check_up(&s);
	if (s.port)
		check_address(&s);
	check_xdp(&s);
	check_foreign(&s);
	check_checksums(&s);
	check_vlan(&s);
	check_mtu(&s);
}

static const struct {
	enum jpx_handoff handoff;
	const char *remedy;
} hints[] = {
	{ JPX_HANDOFF_CHECKSUM_PARTIAL, "on the sending host: ethtool -K IF tx off" },
	{ JPX_HANDOFF_NO_TRANSMIT,
	  "see the line `redirect' of `jpctl check IF'; for a veth: ethtool -K PEER gro on" },
	{ JPX_HANDOFF_NO_NEXT_HOP,
	  "see `ip -6 route get REGISTRAR' and `ip -6 neigh'; nothing needs to be done for a "
	  "Registrar on this host" },
	{ JPX_HANDOFF_OVER_MTU,
	  "raise the MTU of the uplink, or have pledges send smaller DTLS records" },
};

void check_counters(struct check *check)
{
	const json_t *handoffs = json_object_get(check->stats, "handoffs");

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		const char *word = jpx_handoff_word(hints[i].handoff);
		json_int_t n = json_integer_value(json_object_get(handoffs, word));
		char what[64];

		if (!n)
			continue;
		snprintf(what, sizeof(what), "handed off: %s", word);
		check_add(check, CHECK_WARN, what, hints[i].remedy,
			  "%" JSON_INTEGER_FORMAT " datagrams so far took the slower way through "
			  "the socket engine (%s)",
			  n, jpx_handoff_text(hints[i].handoff));
	}
}
