/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See pinned.h. */
#include "pinned.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const map_names[] = {
#define MAP_NAME(name) "jpx_" #name,
	JPX_PINNED_MAPS(MAP_NAME)
#undef MAP_NAME
};
#define MAP_COUNT (sizeof(map_names) / sizeof(*map_names))

_Static_assert(sizeof(struct jpx_pinned) == MAP_COUNT * sizeof(int), "one descriptor a map");

static int *map_fds(struct jpx_pinned *pinned)
{
	return (int *)pinned;
}

void jpx_pinned_close(struct jpx_pinned *pinned)
{
	for (size_t i = 0; i < MAP_COUNT; i++) {
		if (map_fds(pinned)[i] >= 0)
			close(map_fds(pinned)[i]);
		map_fds(pinned)[i] = -1;
	}
}

/* A look-up writes as many bytes as the map's values have, whatever we think they are. */
static bool is_array_of(int fd, size_t size, __u32 count)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.key_size == sizeof(__u32) &&
	       info.value_size == size && info.max_entries >= count;
}

static int check_version(const struct jpx_pinned *pinned, const char *pin_dir, char *err,
			 size_t err_len)
{
	struct jpx_meta meta = { 0 };
	__u32 zero = 0;

	if (!is_array_of(pinned->meta, sizeof(meta), 1) ||
	    bpf_map_lookup_elem(pinned->meta, &zero, &meta) || meta.magic != JPX_ABI_MAGIC) {
		snprintf(err, err_len,
			 "%s/jpx_meta is pinned but was not made by jpx; move it away or choose "
			 "another --pin-dir",
			 pin_dir);
		return -EPROTO;
	}
	if (meta.version != JPX_ABI_VERSION) {
		snprintf(
			err, err_len,
			"the fast path pinned under %s has layout %u, this program speaks %u; stop "
			"it with the jpctl that started it (jpctl detach), or choose another "
			"--pin-dir",
			pin_dir, meta.version, JPX_ABI_VERSION);
		return -EPROTO;
	}
	return 0;
}

int jpx_pinned_open(const char *pin_dir, struct jpx_pinned *pinned, char *err, size_t err_len)
{
	size_t found = 0;
	int ret = 0;

	memset(pinned, 0xff, sizeof(*pinned));
	for (size_t i = 0; i < MAP_COUNT; i++) {
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", pin_dir, map_names[i]);
		fd = bpf_obj_get(path);
		if (fd < 0 && errno != ENOENT) {
			ret = -errno;
			snprintf(err, err_len, "cannot open %s: %s%s", path, strerror(errno),
				 errno == EPERM || errno == EACCES ? "; run it as root" : "");
			break;
		}
		map_fds(pinned)[i] = fd < 0 ? -1 : fd;
		found += fd >= 0;
		if (i == 0 && fd >= 0) {
			ret = check_version(pinned, pin_dir, err, err_len);
			if (ret)
				break;
		}
	}
	if (!ret && found == 0)
		ret = -ENOENT;
	if (!ret && found != MAP_COUNT) {
		snprintf(err, err_len,
			 "only %zu of %zu maps are pinned under %s; remove that directory and "
			 "attach again",
			 found, MAP_COUNT, pin_dir);
		ret = -EPROTO;
	}
	if (ret)
		jpx_pinned_close(pinned);
	return ret;
}

static int read_array(int fd, void *out, size_t size, __u32 count)
{
	if (!is_array_of(fd, size, count))
		return -EPROTO;
	for (__u32 i = 0; i < count; i++)
		if (bpf_map_lookup_elem(fd, &i, (char *)out + i * size))
			return -errno;
	return 0;
}

int jpx_pinned_share(const struct jpx_pinned *pinned, struct bpf_object *object)
{
	const int *fds = (const int *)pinned;

	for (size_t i = 0; i < MAP_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
		int ret = map && fds[i] >= 0 ? bpf_map__reuse_fd(map, fds[i]) : 0;

		if (ret)
			return ret;
	}
	return 0;
}

int jpx_pinned_state(const struct jpx_pinned *pinned, struct jpx_state *state)
{
	int ret = read_array(pinned->slots, state->slots, sizeof(*state->slots), JPX_MAX_SLOTS);

	if (!ret)
		ret = read_array(pinned->ports, state->ports, sizeof(*state->ports), JPX_MAX_PORTS);
	if (!ret)
		ret = read_array(pinned->services, state->services, sizeof(*state->services),
				 JPX_MAX_SERVICES);
	if (!ret)
		ret = read_array(pinned->uplinks, state->uplinks, sizeof(*state->uplinks),
				 JPX_MAX_UPLINKS);
	if (!ret)
		ret = read_array(pinned->flow_config, &state->flow_config,
				 sizeof(state->flow_config), 1);
	if (!ret)
		ret = read_array(pinned->flow_counts, state->flow_counts,
				 sizeof(*state->flow_counts), JPX_MAX_PORTS);
	if (!ret && !is_array_of(pinned->stats, sizeof(struct jpx_stats), JPX_MAX_PORTS))
		ret = -EPROTO;
	return ret;
}

/* Every field of struct jpx_stats before services is a 64-bit counter. */
static void add_stats(struct jpx_stats *sum, const struct jpx_stats *one)
{
	const __u64 *from = (const __u64 *)one;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < offsetof(struct jpx_stats, services) / sizeof(*to); i++)
		to[i] += from[i];
	for (size_t i = 0; i < JPX_MAX_SERVICES; i++) {
		sum->services[i].to_registrar += one->services[i].to_registrar;
		sum->services[i].to_pledge += one->services[i].to_pledge;
	}
}

static int possible_cpus(void)
{
	static int cpus;

	if (cpus < 1)
		cpus = libbpf_num_possible_cpus();
	return cpus;
}

int jpx_pinned_port_stats(const struct jpx_pinned *pinned, unsigned int port_id,
			  struct jpx_stats *fast)
{
	struct jpx_stats *per_cpu;
	int cpus = possible_cpus(), ret = 0;
	__u32 key = port_id;

	memset(fast, 0, sizeof(*fast));
	if (cpus < 1)
		return cpus;
	per_cpu = calloc((size_t)cpus, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	if (bpf_map_lookup_elem(pinned->stats, &key, per_cpu))
		ret = -errno;
	for (int cpu = 0; !ret && cpu < cpus; cpu++)
		add_stats(fast, &per_cpu[cpu]);
	free(per_cpu);
	return ret;
}

int jpx_pinned_counters(const struct jpx_pinned *pinned, struct jpx_counters *counters)
{
	int ret = 0;

	for (__u32 i = 0; i < JPX_MAX_PORTS && !ret; i++)
		ret = jpx_pinned_port_stats(pinned, i, &counters->fast[i]);
	return ret ? ret
		   : read_array(pinned->socket_stats, counters->socket, sizeof(*counters->socket),
				JPX_MAX_PORTS);
}
