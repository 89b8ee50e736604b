/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See check.h.  The host: rights, kernel, BPF, jpd. */
#include "check.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "../common/control.h"
#include "../common/features.h"
#include "probe.h"

/* The oldest kernel that the project is tested on. */
#define OLDEST_MAJOR 6
#define OLDEST_MINOR 1

static const struct {
	unsigned int cap;
	const char *name, *without;
	enum check_result result;
	bool in_sys_admin; /* CAP_SYS_ADMIN does as well */
} rights[] = {
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "no interface can be attached", CHECK_FAIL, false },
	{ CAP_NET_RAW, "CAP_NET_RAW",
	  "a next hop whose link-layer address changed is not asked for", CHECK_WARN, false },
	{ CAP_BPF, "CAP_BPF", "no fast path: the socket engine relays everything", CHECK_WARN,
	  true },
	{ CAP_PERFMON, "CAP_PERFMON", "no fast path: the socket engine relays everything",
	  CHECK_WARN, true },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
	  "a program that is attached is not found again, and no interface is shared with others",
	  CHECK_WARN, false },
};

static bool have(unsigned int cap)
{
	return capng_have_capability(CAPNG_EFFECTIVE, cap);
}

static void check_rights(struct check *check)
{
	bool all = true;

	if (capng_get_caps_process()) {
		check_add(check, CHECK_WARN, "rights", "", "the kernel does not tell them");
		return;
	}
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (have(rights[i].cap) || (rights[i].in_sys_admin && have(CAP_SYS_ADMIN)))
			continue;
		all = false;
		check_add(check, rights[i].result, "rights",
			  "run it as root, or give it the capability (in a container: add it)",
			  "%s is missing here: %s", rights[i].name, rights[i].without);
	}
	if (all)
		check_add(check, CHECK_OK, "rights", "",
			  "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN are "
			  "there");
}

static void check_release(struct check *check)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		check_add(check, CHECK_WARN, "kernel", "", "its version cannot be read");
	else if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		check_add(check, CHECK_WARN, "kernel", "a newer kernel is the safer choice",
			  "%s is older than %d.%d, the oldest one tested", name.release,
			  OLDEST_MAJOR, OLDEST_MINOR);
	else
		check_add(check, CHECK_OK, "kernel", "", "%s", name.release);
}

/* The file system that DIR would be made on: that of its nearest ancestor. */
static int nearest_statfs(const char *dir, char *path, size_t path_len, struct statfs *fs)
{
	snprintf(path, path_len, "%s", dir);
	while (statfs(path, fs)) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash)
			return -errno;
		if (slash == path)
			slash++;
		if (!*slash)
			return -ENOENT;
		*slash = 0;
	}
	return 0;
}

static void check_bpffs(struct check *check)
{
	const char *pin_dir = check->ctl->pin_dir;
	char path[512], remedy[700];
	struct statfs fs;
	int ret = nearest_statfs(pin_dir, path, sizeof(path), &fs);
	const char *slash = strrchr(pin_dir, '/');
	int parent = slash && slash != pin_dir ? (int)(slash - pin_dir) : (int)strlen(pin_dir);

	snprintf(remedy, sizeof(remedy),
		 "mount -t bpf bpf %.*s (under `ip netns exec' use `nsenter --net=' instead, which "
		 "keeps the mounts)",
		 parent, pin_dir);
	if (ret)
		check_add(check, CHECK_WARN, "bpffs", remedy, "%s: %s", path, strerror(-ret));
	else if (fs.f_type != BPF_FS_MAGIC)
		check_add(check, CHECK_WARN, "bpffs", remedy,
			  "no BPF file system is mounted at %.*s, so there is nowhere to pin the "
			  "fast path",
			  parent, pin_dir);
	else
		check_add(check, CHECK_OK, "bpffs", "", "mounted, at or above %s", pin_dir);
}

static void check_bpf(struct check *check)
{
	bool compiled;
	int ret = probe_xdp(&compiled);

	if (ret) {
		check_add(check, CHECK_WARN, "xdp",
			  ret == -EPERM ? "run it as root; in a container allow bpf(2)"
					: "use a kernel with CONFIG_BPF_SYSCALL",
			  "no program can be loaded (%s), so that the socket engine relays "
			  "everything",
			  strerror(-ret));
		return;
	}
	check_add(check, CHECK_OK, "xdp", "", "programs can be loaded");
	if (compiled)
		check_add(check, CHECK_OK, "jit", "", "programs are compiled");
	else
		check_add(check, CHECK_WARN, "jit", "sysctl net.core.bpf_jit_enable=1",
			  "programs are interpreted, many times slower");
	ret = probe_dispatcher();
	if (ret == -EINVAL)
		check_add(check, CHECK_WARN, "dispatcher",
			  "nothing needs to be done unless another XDP program is wanted on the "
			  "same interface; then libxdp 1.5.5 or later is needed",
			  "this kernel takes programs that change packets only behind the "
			  "dispatcher of libxdp 1.5.5 or later: with an earlier one jpd attaches "
			  "alone and does not share an interface");
	else if (ret)
		check_add(check, CHECK_WARN, "dispatcher",
			  "nothing needs to be done unless another XDP program is wanted on the "
			  "same interface",
			  "this kernel refuses libxdp's dispatcher (%s): jpd attaches alone and "
			  "does not share an interface",
			  strerror(-ret));
	else
		check_add(check, CHECK_OK, "dispatcher", "",
			  "interfaces can be shared with other XDP programs");
}

static void check_features(struct check *check)
{
	uint64_t features;
	int ret = jpx_xdp_features(1, &features);

	if (ret)
		check_add(check, CHECK_WARN, "netdev features",
			  "Linux 6.3 and later tell; until then see whether pledges get answers",
			  "the kernel does not tell what a driver can do with XDP (%s)",
			  strerror(-ret));
	else
		check_add(check, CHECK_OK, "netdev features", "",
			  "the kernel tells what a driver can do with XDP");
}

static void check_jpd(struct check *check)
{
	const json_t *daemon = json_object_get(check->status, "daemon");

	if (check->status && !*check->not_from_jpd)
		check_add(check, CHECK_OK, "jpd", "", "running (pid %d)",
			  (int)json_integer_value(json_object_get(daemon, "pid")));
	else if (check->status)
		check_add(check, CHECK_FAIL, "jpd", "start it: systemctl start jpd",
			  "it does not answer in %s while a fast path is pinned: what that hands "
			  "off is lost, and changes of routes and neighbours go unnoticed",
			  check->ctl->run_dir);
	else
		check_add(check, CHECK_FAIL, "jpd", "systemctl start jpd, then: jpctl attach IF",
			  "not running in %s, and nothing is pinned", check->ctl->run_dir);
}

void check_host(struct check *check)
{
	check_rights(check);
	check_release(check);
	check_bpffs(check);
	check_bpf(check);
	check_features(check);
	check_jpd(check);
}
