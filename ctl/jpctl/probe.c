/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See probe.h. */
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/fib_rules.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h> /* UDP sockets are in a state of TCP's */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Of glibc from 2.38 on. */
#ifndef AF_IEEE802154
#define AF_IEEE802154 36
#endif

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* return XDP_PASS; */
static const struct bpf_insn pass[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
	{ .code = BPF_JMP | BPF_EXIT },
};

/* bpf_xdp_adjust_head(ctx, 0); return XDP_PASS;  It counts as changing the packet, as ours do. */
static const struct bpf_insn change[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0 },
	{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_xdp_adjust_head },
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
	{ .code = BPF_JMP | BPF_EXIT },
};

static const char license[] = "Dual BSD/GPL";

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

int probe_xdp(bool *compiled)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd;

	*compiled = false;
	libbpf_set_print(quiet);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "jpx_probe", license, pass, COUNT(pass), NULL);
	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		*compiled = info.jited_prog_len > 0;
	close(fd);
	return 0;
}

/* The types of `int jpx_probe(struct xdp_md *ctx)`.  Returns the function's id. */
static int describe(struct btf *btf)
{
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int context = btf__add_struct(btf, "xdp_md", 0);
	int pointer = btf__add_ptr(btf, context);
	int proto = btf__add_func_proto(btf, number);

	if (number < 0 || context < 0 || pointer < 0 || proto < 0 ||
	    btf__add_func_param(btf, "ctx", pointer))
		return -ENOMEM;
	return btf__add_func(btf, "jpx_probe", BTF_FUNC_GLOBAL, proto);
}

static int load_both(int btf_fd, int func, const struct bpf_insn *insns, size_t count)
{
	struct bpf_func_info info = { .insn_off = 0, .type_id = (__u32)func };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = (__u32)btf_fd, .func_info = &info,
		    .func_info_cnt = 1, .func_info_rec_size = sizeof(info));
	int target, replacement, ret = 0;

	target = bpf_prog_load(BPF_PROG_TYPE_XDP, "jpx_probe", license, pass, COUNT(pass), &opts);
	if (target < 0)
		return -errno;
	opts.attach_prog_fd = (__u32)target;
	opts.attach_btf_id = (__u32)func;
	replacement = bpf_prog_load(BPF_PROG_TYPE_EXT, "jpx_probe", license, insns, count, &opts);
	if (replacement < 0)
		ret = -errno;
	else
		close(replacement);
	close(target);
	return ret;
}

static int replace_by(const struct bpf_insn *insns, size_t count)
{
	struct btf *btf;
	int func, ret;

	libbpf_set_print(quiet);
	btf = btf__new_empty();
	if (!btf)
		return -errno;
	func = describe(btf);
	ret = func < 0 ? func : btf__load_into_kernel(btf);
	if (!ret)
		ret = load_both(btf__fd(btf), func, insns, count);
	btf__free(btf);
	return ret;
}

int probe_dispatcher(void)
{
	return replace_by(change, COUNT(change));
}

int probe_extension(int a, int b)
{
	(void)a;
	(void)b;
	return replace_by(pass, COUNT(pass));
}

int probe_changing_extension(int a, int b)
{
	(void)a;
	(void)b;
	return replace_by(change, COUNT(change));
}

/* ---- programs, maps, helpers ---- */

/* 0 and closes FD, or the errno that there is instead of it. */
static int closed(int fd)
{
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int probe_program(int a, int b)
{
	/* return 1;  A verdict in each of the types asked for. */
	static const struct bpf_insn one[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)b);

	libbpf_set_print(quiet);
	return closed(
		bpf_prog_load((enum bpf_prog_type)a, "jpx_probe", license, one, COUNT(one), &opts));
}

int probe_map(int a, int b)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = (__u32)b);

	libbpf_set_print(quiet);
	return closed(bpf_map_create((enum bpf_map_type)a, "jpx_probe", 4, 4, 1, &opts));
}

int probe_helper(int a, int b)
{
	/* Without arguments worth the name: whoever knows the helper complains of those. */
	const struct bpf_insn call[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = b },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char log[4096] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log),
		    .log_level = 1);
	int ret;

	libbpf_set_print(quiet);
	ret = closed(bpf_prog_load((enum bpf_prog_type)a, "jpx_probe", license, call, COUNT(call),
				   &opts));
	if (!ret || !*log) /* nothing said: it was not even looked at */
		return ret;
	return strstr(log, "unknown func") || strstr(log, "invalid func") ||
			       strstr(log, "cannot use helper")
		       ? -EOPNOTSUPP
		       : 0;
}

int probe_jit(int a, int b)
{
	bool compiled;
	int ret = probe_xdp(&compiled);

	(void)a;
	(void)b;
	return ret ? ret : compiled ? 0 : -ENOEXEC;
}

int probe_mmapable(int a, int b)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *mem;
	int fd, ret = 0;

	(void)a;
	(void)b;
	libbpf_set_print(quiet);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "jpx_probe", 4, 8, 1, &opts);
	if (fd < 0)
		return -errno;
	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		ret = -errno;
	else
		munmap(mem, page);
	close(fd);
	return ret;
}

int probe_run(int a, int b)
{
	char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = 1);
	int fd, ret;

	(void)a;
	(void)b;
	libbpf_set_print(quiet);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "jpx_probe", license, pass, COUNT(pass), NULL);
	if (fd < 0)
		return -errno;
	ret = bpf_prog_test_run_opts(fd, &opts) ? -errno : 0;
	close(fd);
	return !ret && opts.retval != XDP_PASS ? -EIO : ret;
}

/* ---- the network ---- */

/* NLMSG_ERROR, and NLMSG_DONE: a dump that the kernel gives up ends like one that is complete, but
 * for a number.  Either begins with it, 0 or a negative errno. */
static int on_end(const struct nlmsghdr *nlh, void *data)
{
	int error = 0;

	(void)data;
	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	if (!error)
		return MNL_CB_STOP;
	errno = -error;
	return MNL_CB_ERROR;
}

/* Sends NLH on BUS.  Returns what the kernel says of it: 0 or a negative errno. */
static int ask(int bus, struct nlmsghdr *nlh)
{
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	static mnl_cb_t control[] = { [NLMSG_ERROR] = on_end, [NLMSG_DONE] = on_end };
	const struct timeval wait = { .tv_sec = 2 };
	char buf[32768] __attribute__((aligned(8)));
	int ret = 0, more = MNL_CB_OK;
	ssize_t len;

	if (!nl)
		return -errno;
	nlh->nlmsg_seq = 1;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		ret = -errno;
	while (!ret && more > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len >= 0)
			more = mnl_cb_run2(buf, (size_t)len, 1, mnl_socket_get_portid(nl), NULL,
					   NULL, control, MNL_ARRAY_SIZE(control));
		if (len < 0 || more < 0)
			ret = errno == EINTR ? 0 : -errno;
	}
	mnl_socket_close(nl);
	return ret;
}

int probe_udp_diag(int a, int b)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;

	(void)a;
	(void)b;
	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = AF_INET6;
	req->sdiag_protocol = IPPROTO_UDP;
	req->idiag_states = 1U << TCP_CLOSE;
	return ask(NETLINK_SOCK_DIAG, nlh);
}

int probe_rules(int a, int b)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *rule;

	(void)a;
	(void)b;
	nlh->nlmsg_type = RTM_GETRULE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rule = mnl_nlmsg_put_extra_header(nlh, sizeof(*rule));
	rule->family = AF_INET6;
	return ask(NETLINK_ROUTE, nlh);
}

/* Asks for one on no radio, which nobody can make: who knows the kind says EINVAL. */
int probe_lowpan(int a, int b)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlattr *info;
	int ret;

	(void)a;
	(void)b;
	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "jpx-probe");
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "lowpan");
	mnl_attr_nest_end(nlh, info);
	ret = ask(NETLINK_ROUTE, nlh);
	return ret == -EINVAL ? 0 : ret ? ret : -EIO;
}

int probe_wpan_socket(int a, int b)
{
	(void)a;
	(void)b;
	return closed(socket(AF_IEEE802154, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}
