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

/* Where there is another filter the next one is taken; a filter of ours is known by its maps. */
#define FIRST_PRIORITY 20
#define LAST_PRIORITY  27
#define HANDLE	       1

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

/* The id of the program at PRIORITY, 0 if there is none; -EEXIST for a filter that is no program,
 * or another negative errno. */
static int program_at(unsigned int ifindex, unsigned int priority, unsigned int *prog_id)
{
	HOOK(hook, ifindex);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority);
	int ret = bpf_tc_query(&hook, &opts);

	*prog_id = ret ? 0 : opts.prog_id;
	/* No qdisc is -EINVAL, no filter -ENOENT. */
	return ret == -ENOENT || ret == -EINVAL ? 0 : ret;
}

/* The priority of our filter, or 0. */
static unsigned int find(const struct jpx_pinned *maps, unsigned int ifindex)
{
	unsigned int prog_id;

	for (unsigned int p = FIRST_PRIORITY; p <= LAST_PRIORITY; p++)
		if (!program_at(ifindex, p, &prog_id) && ours_is_id(maps, prog_id))
			return p;
	return 0;
}

bool tc_is_attached(const struct jpx_pinned *maps, unsigned int ifindex)
{
	return find(maps, ifindex) != 0;
}

static int attach_at(unsigned int ifindex, unsigned int priority)
{
	HOOK(hook, ifindex);
	/* Without BPF_TC_F_REPLACE: never in the place of another filter. */
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority,
		    .prog_fd = bpf_program__fd(loaded->progs.jpx_tc));

	return bpf_tc_attach(&hook, &opts);
}

int tc_attach(const struct jpx_pinned *maps, unsigned int ifindex, const char *ifname,
	      bool *made_qdisc, char *err, size_t err_len)
{
	HOOK(hook, ifindex);
	const char *what = "load the tc program";
	int ret;

	*made_qdisc = false;
	if (find(maps, ifindex))
		return 0;
	ret = load(maps);
	if (!ret) {
		what = "make the qdisc clsact";
		ret = bpf_tc_hook_create(&hook);
		*made_qdisc = !ret;
		if (ret == -EEXIST)
			ret = 0;
	}
	if (!ret) {
		what = "attach the tc program (priorities 20 to 27 are tried)";
		ret = -EEXIST;
		/* A filter of another kind there is -EINVAL. */
		for (unsigned int p = FIRST_PRIORITY;
		     (ret == -EEXIST || ret == -EINVAL) && p <= LAST_PRIORITY; p++)
			ret = attach_at(ifindex, p);
		if (ret)
			tc_detach(maps, ifindex, *made_qdisc);
	}
	if (ret)
		snprintf(err, err_len,
			 "%s: cannot %s: %s; answers to pledge ports that XDP cannot send to go "
			 "through the socket engine",
			 ifname, what, strerror(-ret));
	return ret;
}

/* ---- the qdisc ----------------------------------------------------------------------- */

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		++*(unsigned int *)data;
	return MNL_CB_OK;
}

/* How many filters hang on PARENT of IFINDEX; more than none if that cannot be told. */
static unsigned int filters(struct mnl_socket *nl, unsigned int ifindex, __u32 parent)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;
	unsigned int count = 0, seq = (unsigned int)time(NULL);
	ssize_t len;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = parent;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return 1;
	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len <= 0)
			return 1;
		len = mnl_cb_run(buf, (size_t)len, seq, mnl_socket_get_portid(nl), count_filter,
				 &count);
	} while (len > MNL_CB_STOP);
	return len < 0 ? 1 : count;
}

static bool is_unused(unsigned int ifindex)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	bool unused;

	if (!nl)
		return false;
	unused = !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) &&
		 !filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
		 !filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
	mnl_socket_close(nl);
	return unused;
}

int tc_detach(const struct jpx_pinned *maps, unsigned int ifindex, bool made_qdisc)
{
	HOOK(hook, ifindex);
	unsigned int priority = find(maps, ifindex);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority);
	int ret = priority ? bpf_tc_detach(&hook, &opts) : 0;

	if (!made_qdisc || !is_unused(ifindex))
		return ret;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
	return ret;
}
