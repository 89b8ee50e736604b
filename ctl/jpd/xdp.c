/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See xdp.h. */
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "jpx.skel.h"
#include "log.h"
#include "ours.h"
#include "words.h"

static int log_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = 0;
	jpx_debug("libbpf: %s", line);
	return 0;
}

static int log_libxdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	return log_libbpf((enum libbpf_print_level)level, fmt, ap);
}

void xdp_init(void)
{
	libbpf_set_print(log_libbpf);
	libxdp_set_print(log_libxdp);
}

static int kept[8];
static unsigned int kept_count;

void xdp_keep(int fd)
{
	if (kept_count < sizeof(kept) / sizeof(*kept))
		kept[kept_count++] = fd;
}

void xdp_keep_none(void)
{
	kept_count = 0;
}

static bool is_kept(int fd)
{
	for (unsigned int i = 0; i < kept_count; i++)
		if (kept[i] == fd)
			return true;
	return false;
}

/*
 * libxdp before 1.4 forgets to close a descriptor of each program that it looks at.
 * Between two calls all that are open and not kept are forgotten ones.  They would use
 * up the limit, and keep dead programs in the kernel.
 */
static void close_forgotten(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		char target[64];
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = 0;
		if (!strcmp(target, "anon_inode:bpf-prog") && !is_kept(atoi(entry->d_name)))
			close(atoi(entry->d_name));
	}
	closedir(dir);
}

static enum xdp_attach_mode attach_mode(enum jpx_engine engine)
{
	return engine == JPX_ENGINE_XDP_NATIVE ? XDP_MODE_NATIVE : XDP_MODE_SKB;
}

/* Alone on the interface, or behind libxdp's dispatcher? */
static int is_alone(unsigned int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	int alone = 1;

	if (libxdp_get_error(mp))
		return 1;
	alone = xdp_multiprog__is_legacy(mp);
	xdp_multiprog__close(mp);
	return alone;
}

void xdp_remove_leftovers(const struct jpx_pinned *maps, const struct jpx_slot *slot)
{
	for (int tries = 0; tries < 8; tries++) {
		struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)slot->ifindex);
		struct xdp_program *prog = NULL;
		int ret = -ENOENT;

		if (libxdp_get_error(mp))
			return;
		if (xdp_multiprog__is_legacy(mp)) {
			prog = xdp_multiprog__main_prog(mp);
			if (prog && !ours_is(maps, xdp_program__fd(prog)))
				prog = NULL;
		} else {
			while ((prog = xdp_multiprog__next_prog(prog, mp)))
				if (ours_is(maps, xdp_program__fd(prog)))
					break;
		}
		if (prog)
			ret = xdp_program__detach(prog, (int)slot->ifindex,
						  xdp_multiprog__attach_mode(mp), 0);
		xdp_multiprog__close(mp);
		if (ret)
			return;
		jpx_info("%s: took off a program of ours that was left there", slot->ifname);
	}
}

/* Opens the program for SLOT's kind of link; SLOT_ID 0: that of many interfaces. */
static int open_program(const struct jpx_pinned *maps, unsigned int slot_id,
			const struct jpx_slot *slot, struct jpx_bpf **skel)
{
	int ret;

	*skel = jpx_bpf__open();
	if (!*skel)
		return -errno;
	(*skel)->rodata->jpx_slot_id = slot_id;
	bpf_program__set_autoload((*skel)->progs.jpx_xdp_ethernet, slot->link != JPX_LINK_IPV6);
	bpf_program__set_autoload((*skel)->progs.jpx_xdp_ipv6, slot->link == JPX_LINK_IPV6);
	/* All instances share the pinned maps; only .rodata is each one's own. */
	ret = jpx_pinned_share(maps, (*skel)->obj);
	if (ret) {
		jpx_bpf__destroy(*skel);
		*skel = NULL;
	}
	return ret;
}

/* libxdp's own.  It makes the directory when it is used for the first time, and fails ever after if
 * it is gone then: xdp_tidy() takes it, another jpd's, too. */
#define LIBXDP_DIR "/sys/fs/bpf/xdp"

static void make_libxdp_dir(void)
{
	/* What is wrong with it, if anything, libxdp will say. */
	(void)!mkdir(LIBXDP_DIR, 0700);
}

/* Behind libxdp's dispatcher, or alone where libxdp knows that the kernel has none. */
static int attach_shared(struct jpx_bpf *skel, struct jpx_slot *slot, enum jpx_engine engine)
{
	const char *name = slot->link == JPX_LINK_IPV6 ? "jpx_xdp_ipv6" : "jpx_xdp_ethernet";
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = skel->obj, .prog_name = name);
	struct xdp_program *prog = xdp_program__create(&opts);
	int ret = (int)libxdp_get_error(prog);

	if (ret)
		return ret;
	make_libxdp_dir();
	ret = xdp_program__attach(prog, (int)slot->ifindex, attach_mode(engine), 0);
	if (!ret) {
		slot->prog_id = xdp_program__id(prog);
		slot->engine = (__u8)engine;
		slot->alone = (__u8)is_alone(slot->ifindex);
	}
	xdp_program__close(prog);
	return ret;
}

static __u32 mode_flag(enum jpx_engine engine)
{
	return engine == JPX_ENGINE_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

static int attach_fd(int fd, struct jpx_slot *slot, enum jpx_engine engine)
{
	/* Never in the place of another program. */
	__u32 flags = XDP_FLAGS_UPDATE_IF_NOEXIST | mode_flag(engine);
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int ret;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	ret = bpf_xdp_attach((int)slot->ifindex, fd, flags, NULL);
	if (!ret) {
		slot->prog_id = info.id;
		slot->engine = (__u8)engine;
		slot->alone = 1;
	}
	return ret;
}

static int attach_alone(struct jpx_bpf *skel, struct jpx_slot *slot, enum jpx_engine engine)
{
	const struct bpf_program *prog = slot->link == JPX_LINK_IPV6 ? skel->progs.jpx_xdp_ipv6
								     : skel->progs.jpx_xdp_ethernet;
	int ret = jpx_bpf__load(skel);

	return ret ? ret : attach_fd(bpf_program__fd(prog), slot, engine);
}

static int attach_once(const struct jpx_pinned *maps, unsigned int slot_id, struct jpx_slot *slot,
		       enum jpx_engine engine)
{
	struct jpx_bpf *skel;
	int ret = open_program(maps, slot_id, slot, &skel);

	if (ret)
		return ret;
	ret = attach_shared(skel, slot, engine);
	jpx_bpf__destroy(skel);
	/*
	 * Kernels from 6.12 on want it seen in the dispatcher that programs behind it
	 * change packets; libxdp's says so only since 1.5.5.
	 */
	if (ret == -EINVAL) {
		ret = open_program(maps, slot_id, slot, &skel);
		if (!ret) {
			ret = attach_alone(skel, slot, engine);
			jpx_bpf__destroy(skel);
		}
	}
	close_forgotten();
	return ret;
}

/* The programs of many interfaces, by kind of link; -1 until the first one is wanted. */
static int common_fds[] = { [JPX_LINK_ETHERNET] = -1, [JPX_LINK_IPV6] = -1 };

static int load_common(const struct jpx_pinned *maps, const struct jpx_slot *slot)
{
	struct jpx_bpf *skel;
	int ret = open_program(maps, 0, slot, &skel), fd;

	if (ret)
		return ret;
	ret = jpx_bpf__load(skel);
	fd = ret ? ret
		 : fcntl(bpf_program__fd(slot->link == JPX_LINK_IPV6
						 ? skel->progs.jpx_xdp_ipv6
						 : skel->progs.jpx_xdp_ethernet),
			 F_DUPFD_CLOEXEC, 0);
	if (!ret && fd < 0)
		fd = -errno;
	jpx_bpf__destroy(skel);
	if (fd >= 0)
		xdp_keep(fd);
	return fd;
}

int xdp_attach_common(const struct jpx_pinned *maps, struct jpx_slot *slot, enum jpx_xdp wanted)
{
	int *fd = &common_fds[slot->link == JPX_LINK_IPV6 ? JPX_LINK_IPV6 : JPX_LINK_ETHERNET];
	enum jpx_engine engine =
		wanted == JPX_XDP_GENERIC ? JPX_ENGINE_XDP_GENERIC : JPX_ENGINE_XDP_NATIVE;

	if (*fd < 0)
		*fd = load_common(maps, slot);
	return *fd < 0 ? *fd : attach_fd(*fd, slot, engine);
}

void xdp_close_common(void)
{
	for (size_t i = 0; i < sizeof(common_fds) / sizeof(*common_fds); i++) {
		if (common_fds[i] >= 0)
			close(common_fds[i]);
		common_fds[i] = -1;
	}
}

/* Generic and native mode exclude each other: with whom is there we can share only his. */
static bool others_are_generic(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, there);

	return !bpf_xdp_query((int)ifindex, 0, &there) && there.attach_mode == XDP_ATTACHED_SKB;
}

static void explain(const struct jpx_slot *slot, int error, char *note, size_t note_len)
{
	const char *why = strerror(-error), *what_to_try = "see the log at --log-level debug";

	switch (error) {
	case -EOPNOTSUPP:
		why = "its driver has no native XDP";
		what_to_try = "use --xdp generic, or --xdp off for the socket engine";
		break;
	case -EBUSY:
	case -EEXIST:
		why = "another XDP program is attached that cannot be shared with (this kernel or "
		      "that program does without libxdp's dispatcher)";
		what_to_try = "take that program off first (xdp-loader status), or use --xdp off";
		break;
	case -EINVAL:
		why = "the driver or the kernel refused the program (MTU too large for XDP, or "
		      "offloads in the way)";
		what_to_try =
			"lower the MTU, turn LRO off (ethtool -K), or use --xdp generic or off";
		break;
	case -EPERM:
	case -EACCES:
		what_to_try = "run jpd as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN";
		break;
	}
	snprintf(note, note_len, "%s: cannot attach XDP: %s; %s", slot->ifname, why, what_to_try);
}

int xdp_attach(const struct jpx_pinned *maps, unsigned int slot_id, struct jpx_slot *slot,
	       enum jpx_xdp wanted, char *note, size_t note_len)
{
	int native = -EOPNOTSUPP, ret;

	*note = 0;
	if (wanted == JPX_XDP_AUTO || wanted == JPX_XDP_NATIVE) {
		ret = native = attach_once(maps, slot_id, slot, JPX_ENGINE_XDP_NATIVE);
		if (!ret)
			goto attached;
		/* A foreign program in native mode stands in the way of generic mode, too. */
		if (wanted == JPX_XDP_NATIVE ||
		    ((ret == -EBUSY || ret == -EEXIST) && !others_are_generic(slot->ifindex)))
			goto failed;
	}
	ret = attach_once(maps, slot_id, slot, JPX_ENGINE_XDP_GENERIC);
	if (ret)
		goto failed;
	if (wanted == JPX_XDP_AUTO)
		snprintf(note, note_len,
			 "%s: attached in generic mode, which costs about twice as much per "
			 "packet, because native mode was refused: %s",
			 slot->ifname,
			 native == -EOPNOTSUPP ? "its driver has none"
			 : native == -EBUSY    ? "another XDP program is there in generic mode"
					       : strerror(-native));
attached:
	if (slot->alone && !*note)
		snprintf(note, note_len,
			 "%s: attached alone: this kernel refuses libxdp's dispatcher for our "
			 "program, "
			 "so no other XDP program can share the interface",
			 slot->ifname);
	return 0;
failed:
	explain(slot, ret, note, note_len);
	return ret;
}

/* Calls FOUND for the program with SLOT's id.  0 if it is there, -ENOENT if there is none
 * at all, -EAGAIN if there are only others.
 */
static int with_program_once(const struct jpx_slot *slot,
			     int (*found)(struct xdp_program *prog, const struct jpx_slot *slot))
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)slot->ifindex);
	struct xdp_program *prog = NULL;
	int ret = -EAGAIN;

	if (libxdp_get_error(mp))
		return -ENOENT;
	if (xdp_multiprog__is_legacy(mp)) {
		prog = xdp_multiprog__main_prog(mp);
		if (prog && xdp_program__id(prog) == slot->prog_id)
			ret = found(prog, slot);
	} else {
		while ((prog = xdp_multiprog__next_prog(prog, mp)))
			if (xdp_program__id(prog) == slot->prog_id) {
				ret = found(prog, slot);
				break;
			}
	}
	xdp_multiprog__close(mp);
	return ret;
}

/* The same, looking again after a moment: libxdp takes a dispatcher that somebody else
 * replaces just then for a program of its own, with none of ours behind it.
 */
static int with_program(const struct jpx_slot *slot,
			int (*found)(struct xdp_program *prog, const struct jpx_slot *slot))
{
	int ret = with_program_once(slot, found);

	for (int i = 0; i < 2 && ret == -EAGAIN; i++) {
		usleep(10000);
		ret = with_program_once(slot, found);
	}
	close_forgotten();
	return ret == -EAGAIN ? -ENOENT : ret;
}

static int detach_found(struct xdp_program *prog, const struct jpx_slot *slot)
{
	int ret = xdp_program__detach(prog, (int)slot->ifindex, attach_mode(slot->engine), 0);

	/* Found a moment ago and now not: the dispatcher is being replaced. */
	return ret == -ENOENT ? -EAGAIN : ret;
}

static int just_found(struct xdp_program *prog, const struct jpx_slot *slot)
{
	(void)prog;
	(void)slot;
	return 0;
}

/* Only if it is the very program, which the kernel compares. */
static int detach_alone(const struct jpx_slot *slot)
{
	int fd = bpf_prog_get_fd_by_id(slot->prog_id), ret;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = fd);

	if (fd < 0)
		return -errno;
	ret = bpf_xdp_detach((int)slot->ifindex, mode_flag((enum jpx_engine)slot->engine), &opts);
	close(fd);
	return ret;
}

int xdp_detach(const struct jpx_slot *slot)
{
	int ret;

	/* libxdp would ask the kernel for all interfaces. */
	if (slot->alone && !detach_alone(slot))
		return 0;
	ret = with_program(slot, detach_found);
	return ret == -ENOENT ? 0 : ret;
}

void xdp_tidy(void)
{
	/* libxdp makes it and leaves it behind; rmdir spares it while another
	 * program's dispatcher is pinned there. */
	rmdir(LIBXDP_DIR);
}

int xdp_is_attached(const struct jpx_slot *slot)
{
	return with_program(slot, just_found) == 0;
}
