/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See probe.h. */
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <unistd.h>

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

static int load_both(int btf_fd, int func)
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
	replacement = bpf_prog_load(BPF_PROG_TYPE_EXT, "jpx_probe", license, change, COUNT(change),
				    &opts);
	if (replacement < 0)
		ret = -errno;
	else
		close(replacement);
	close(target);
	return ret;
}

int probe_dispatcher(void)
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
		ret = load_both(btf__fd(btf), func);
	btf__free(btf);
	return ret;
}
