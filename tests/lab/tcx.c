/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hangs a program of two instructions on the ingress of an interface by tcx (Linux 6.6), where it lets
 * no filter have its turn, until it is ended.
 *
 *   tcx IF     prints "attached"
 *
 * Exit: 0 done, 1 failed, 77 the kernel has no tcx.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS of linux/bpf.h */

int main(int argc, char **argv)
{
	const struct bpf_insn verdict[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_OK },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	unsigned int ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0;
	sigset_t end;
	int fd, which;

	if (!ifindex) {
		fprintf(stderr, "tcx: usage: tcx IF\n");
		return 1;
	}
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "passes_all", "GPL", verdict, 2, NULL);
	if (fd < 0) {
		fprintf(stderr, "tcx: cannot load a program: %s\n", strerror(errno));
		return 1;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (bpf_prog_attach(fd, (int)ifindex, TCX_INGRESS, 0)) {
		fprintf(stderr, "tcx: cannot attach: %s\n", strerror(errno));
		return errno == EINVAL ? 77 : 1;
	}
	printf("attached\n");
	fflush(stdout);
	sigwait(&end, &which);
	return bpf_prog_detach2(fd, (int)ifindex, TCX_INGRESS) ? 1 : 0;
}
