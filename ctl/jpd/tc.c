/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See tc.h. */
#include "tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ours.h"
#include "tc.skel.h"
#include "xdp.h"

/* Others leave room before theirs seldom; from here on down there is some.  A filter of ours is
 * known by its maps. */
#define PRIORITY 20
#define HANDLE	 1

/* linux/bpf.h of 6.6 and later: programs that come before all filters. */
#define TCX_INGRESS 46

static struct tc_bpf *loaded;

static int load(const struct jpx_pinned *maps)
{
	int ret;

	if (loaded)
		return 0;
	loaded = tc_bpf__open();
	if (!loaded)
		return -errno;
	ret = jpx_pinned_share(maps, loaded->obj);
	if (!ret)
		ret = tc_bpf__load(loaded);
	if (ret) {
		tc_bpf__destroy(loaded);
		loaded = NULL;
		return ret;
	}
	xdp_keep(bpf_program__fd(loaded->progs.jpx_tc));
	return 0;
}

void tc_close(void)
{
	tc_bpf__destroy(loaded);
	loaded = NULL;
}

/* Not a function: libbpf wants even the padding of it zero. */
#define HOOK(name, index)                                                                          \
	LIBBPF_OPTS(bpf_tc_hook, name, .ifindex = (int)(index), .attach_point = BPF_TC_INGRESS)

/* ---- filters ------------------------------------------------------------------------- */

struct filters {
	unsigned int count;
	unsigned int lowest; /* priority; 0: there is none */
};

static int note_filter(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct filters *filters = data;
	unsigned int priority;

	if (nlh->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(nlh) < sizeof(*tcm))
		return MNL_CB_OK;
	priority = TC_H_MAJ(tcm->tcm_info) >> 16;
	filters->count++;
	if (!filters->lowest || priority < filters->lowest)
		filters->lowest = priority;
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, unsigned int ifindex, __u32 parent, struct filters *filters)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;
	unsigned int seq = (unsigned int)time(NULL);
	ssize_t len;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = parent;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len <= 0)
			return len ? -errno : -EIO;
		len = mnl_cb_run(buf, (size_t)len, seq, mnl_socket_get_portid(nl), note_filter,
				 filters);
	} while (len > MNL_CB_STOP);
	return len < 0 ? -errno : 0;
}

/* What hangs on the clsact of IFINDEX, at TC_H_MIN_INGRESS or _EGRESS; nothing where there is none.
 * 0 or a negative errno. */
static int list(unsigned int ifindex, __u32 where, struct filters *filters)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int ret;

	memset(filters, 0, sizeof(*filters));
	if (!nl)
		return -errno;
	ret = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID)
		      ? -errno
		      : dump(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, where), filters);
	mnl_socket_close(nl);
	return ret;
}

/* Programs that come before all filters; kernels before 6.6 know none. */
static bool has_tcx(unsigned int ifindex)
{
	__u32 count = 0;
	int ret = bpf_prog_query((int)ifindex, TCX_INGRESS, 0, NULL, NULL, &count);

	/* The array to be filled has no room: that, too, says that there are some. */
	return count || ret == -ENOSPC;
}

/* The id of the program at PRIORITY, 0 if there is none of ours to be; or a negative errno. */
static int program_at(unsigned int ifindex, unsigned int priority, unsigned int *prog_id)
{
	HOOK(hook, ifindex);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority);
	int ret = bpf_tc_query(&hook, &opts);

	*prog_id = ret ? 0 : opts.prog_id;
	/* No qdisc or a filter of another kind is -EINVAL, no filter -ENOENT. */
	return ret == -ENOENT || ret == -EINVAL || ret == -EEXIST ? 0 : ret;
}

/* The priority of our filter, 0 if there is none, or a negative errno. */
static int find(const struct jpx_pinned *maps, unsigned int ifindex)
{
	struct filters filters;
	unsigned int prog_id;
	int ret = list(ifindex, TC_H_MIN_INGRESS, &filters);

	if (ret || !filters.count)
		return ret;
	for (unsigned int p = filters.lowest; p <= PRIORITY; p++) {
		ret = program_at(ifindex, p, &prog_id);
		if (ret)
			return ret;
		if (prog_id && ours_is_id(maps, prog_id))
			return (int)p;
	}
	return 0;
}

enum tc_place tc_find(const struct jpx_pinned *maps, unsigned int ifindex)
{
	struct filters filters;
	int ours = find(maps, ifindex);

	if (!ours)
		return TC_ABSENT;
	if (ours < 0 || list(ifindex, TC_H_MIN_INGRESS, &filters))
		return TC_UNKNOWN;
	return has_tcx(ifindex) || filters.lowest != (unsigned int)ours ? TC_BEHIND : TC_FIRST;
}

static int attach_at(unsigned int ifindex, unsigned int priority)
{
	HOOK(hook, ifindex);
	/* Without BPF_TC_F_REPLACE: never in the place of another filter. */
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority,
		    .prog_fd = bpf_program__fd(loaded->progs.jpx_tc));

	return bpf_tc_attach(&hook, &opts);
}

static int detach_at(unsigned int ifindex, unsigned int priority)
{
	HOOK(hook, ifindex);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority);

	return bpf_tc_detach(&hook, &opts);
}

/* Before the first of the others. */
static int attach_first(unsigned int ifindex)
{
	struct filters filters;
	unsigned int priority = PRIORITY;
	int ret = list(ifindex, TC_H_MIN_INGRESS, &filters);

	if (ret)
		return ret;
	if (filters.lowest && filters.lowest <= priority)
		priority = filters.lowest - 1;
	return priority ? attach_at(ifindex, priority) : -EBUSY;
}

/* ---- the qdisc ----------------------------------------------------------------------- */

/* Takes the qdisc off if nothing hangs on it. */
static void drop_unused(unsigned int ifindex)
{
	HOOK(hook, ifindex);
	struct filters in, out;

	if (list(ifindex, TC_H_MIN_INGRESS, &in) || list(ifindex, TC_H_MIN_EGRESS, &out) ||
	    in.count || out.count)
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
}

int tc_detach(const struct jpx_pinned *maps, unsigned int ifindex, bool made_qdisc)
{
	int ours = find(maps, ifindex), ret;

	if (ours <= 0)
		return ours;
	ret = detach_at(ifindex, (unsigned int)ours);
	if (!ret && made_qdisc)
		drop_unused(ifindex);
	return ret;
}

int tc_attach(const struct jpx_pinned *maps, unsigned int ifindex, const char *ifname,
	      bool *made_qdisc, char *err, size_t err_len)
{
	HOOK(hook, ifindex);
	const char *what = "see what is there at tc";
	int before = find(maps, ifindex), ret = before < 0 ? before : 0;

	*made_qdisc = false;
	if (before > 0 && tc_find(maps, ifindex) == TC_FIRST)
		return 0;
	if (!ret) {
		what = "load the tc program";
		ret = load(maps);
	}
	if (!ret && has_tcx(ifindex)) {
		what = "attach the tc program before a tcx program of somebody else's";
		ret = -EBUSY;
	}
	if (!ret) {
		what = "make the qdisc clsact";
		ret = bpf_tc_hook_create(&hook);
		*made_qdisc = !ret;
		if (ret == -EEXIST)
			ret = 0;
	}
	if (!ret) {
		what = "attach the tc program before a filter of somebody else's (of priority 1?)";
		ret = attach_first(ifindex);
		if (ret && *made_qdisc)
			drop_unused(ifindex);
	}
	/* The one that others came before; with the new one in its place, or none. */
	if (before > 0)
		detach_at(ifindex, (unsigned int)before);
	if (ret)
		snprintf(err, err_len,
			 "%s: cannot %s: %s; answers to pledge ports that XDP cannot send to go "
			 "through the socket engine",
			 ifname, what, strerror(-ret));
	return ret;
}
