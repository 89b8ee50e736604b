/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See ours.h. */
#include "ours.h"

#include <bpf/bpf.h>
#include <stdint.h>
#include <unistd.h>

/* Every program of ours looks at the ports. */
static __u32 ports_id(const struct jpx_pinned *maps)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(maps->ports, &info, &len) ? 0 : info.id;
}

bool ours_is(const struct jpx_pinned *maps, int prog_fd)
{
	__u32 ids[64] = { 0 }, ours = ports_id(maps);
	struct bpf_prog_info info = {
		.nr_map_ids = sizeof(ids) / sizeof(*ids),
		.map_ids = (__u64)(uintptr_t)ids,
	};
	__u32 len = sizeof(info);

	if (!ours || bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < sizeof(ids) / sizeof(*ids); i++)
		if (ids[i] == ours)
			return true;
	return false;
}

bool ours_is_id(const struct jpx_pinned *maps, unsigned int prog_id)
{
	int fd = prog_id ? bpf_prog_get_fd_by_id(prog_id) : -1;
	bool ours = fd >= 0 && ours_is(maps, fd);

	if (fd >= 0)
		close(fd);
	return ours;
}
