/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See xdp.h. */
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "jpx.skel.h"
#include "log.h"
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

/* All instances share the pinned maps; only .rodata is each one's own. */
static int share_maps(struct jpx_bpf *skel, const struct jpx_pinned *maps)
{
	int ret = 0;

	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_meta, maps->meta);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_slots, maps->slots);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_ports, maps->ports);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_services, maps->services);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_dports, maps->dports);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_vlans, maps->vlans);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_tx, maps->tx);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_macs, maps->macs);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_odd_macs, maps->odd_macs);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_mac_hints, maps->mac_hints);
	ret = ret ? ret : bpf_map__reuse_fd(skel->maps.jpx_stats, maps->stats);
	return ret;
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

static int attach_once(const struct jpx_pinned *maps, unsigned int slot_id, struct jpx_slot *slot,
		       enum jpx_engine engine)
{
	const char *name = slot->link == JPX_LINK_IPV6 ? "jpx_xdp_ipv6" : "jpx_xdp_ethernet";
	struct jpx_bpf *skel = jpx_bpf__open();
	struct xdp_program *prog;
	int ret;

	if (!skel)
		return -errno;
	skel->rodata->jpx_slot_id = slot_id;
	bpf_program__set_autoload(skel->progs.jpx_xdp_ethernet, slot->link != JPX_LINK_IPV6);
	bpf_program__set_autoload(skel->progs.jpx_xdp_ipv6, slot->link == JPX_LINK_IPV6);
	ret = share_maps(skel, maps);
	if (!ret) {
		DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = skel->obj, .prog_name = name);

		prog = xdp_program__create(&opts);
		ret = (int)libxdp_get_error(prog);
		if (!ret) {
			ret = xdp_program__attach(prog, (int)slot->ifindex, attach_mode(engine), 0);
			if (!ret) {
				slot->prog_id = xdp_program__id(prog);
				slot->engine = (__u8)engine;
				slot->alone = (__u8)is_alone(slot->ifindex);
			}
			xdp_program__close(prog);
		}
	}
	jpx_bpf__destroy(skel);
	return ret;
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
	case -EINVAL:
		why = "another XDP program is attached that cannot be shared with (this kernel or "
		      "that program does without libxdp's dispatcher)";
		what_to_try = "take that program off first (xdp-loader status), or use --xdp off";
		if (error == -EINVAL)
			why = "the driver or the kernel refused the program (MTU too large for "
			      "XDP, or offloads in the way)";
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
		if (wanted == JPX_XDP_NATIVE || ret == -EBUSY || ret == -EEXIST)
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
			 native == -EOPNOTSUPP ? "its driver has none" : strerror(-native));
attached:
	if (slot->alone && !*note)
		snprintf(note, note_len,
			 "%s: attached alone: this kernel refuses libxdp's dispatcher, so no other "
			 "XDP program can share the interface",
			 slot->ifname);
	return 0;
failed:
	explain(slot, ret, note, note_len);
	return ret;
}

/* Calls FOUND for the program with SLOT's id.  0 if it is there, -ENOENT if not. */
static int with_program(const struct jpx_slot *slot,
			int (*found)(struct xdp_program *prog, const struct jpx_slot *slot))
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)slot->ifindex);
	struct xdp_program *prog = NULL;
	int ret = -ENOENT;

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

static int detach_found(struct xdp_program *prog, const struct jpx_slot *slot)
{
	return xdp_program__detach(prog, (int)slot->ifindex, attach_mode(slot->engine), 0);
}

static int just_found(struct xdp_program *prog, const struct jpx_slot *slot)
{
	(void)prog;
	(void)slot;
	return 0;
}

int xdp_detach(const struct jpx_slot *slot)
{
	int ret = with_program(slot, detach_found);

	return ret == -ENOENT ? 0 : ret;
}

void xdp_tidy(void)
{
	/* libxdp makes it and leaves it behind; rmdir spares it while another
	 * program's dispatcher is pinned there. */
	rmdir("/sys/fs/bpf/xdp");
}

int xdp_is_attached(const struct jpx_slot *slot)
{
	return with_program(slot, just_found) == 0;
}
