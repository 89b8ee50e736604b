/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See datapath.h. */
#include "datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "flows.skel.h"
#include "jpx.skel.h"
#include "log.h"

#define BPFFS_MAGIC 0xcafe4a11

#define ACTIVITY_AGE_MS 200 /* for which one look at it is good */

/* What services have moved, when last looked at. */
struct activity {
	bool watched[JPX_MAX_PORTS];
	struct jpx_activity before[JPX_MAX_SERVICES]; /* of each port, when first seen */
	struct jpx_activity sum[JPX_MAX_SERVICES];
	struct timespec at;
};

struct datapath {
	struct jpx_pinned maps;
	bool bpf, pinned;
	int lock_fd; /* of the pin directory: two daemons must not write one set of maps */
	char pin_dir[256];
	struct jpx_stats *socket_stats;
	/* What the maps hold, to know what is ready there right now. */
	struct jpx_state shadow;
	struct activity activity;
};

#define SOCKET_STATS_SIZE (JPX_MAX_PORTS * sizeof(struct jpx_stats))

static const char *const map_names[] = {
#define MAP_NAME(name) "jpx_" #name,
	JPX_PINNED_MAPS(MAP_NAME)
#undef MAP_NAME
};
#define MAP_COUNT (sizeof(map_names) / sizeof(*map_names))

static void pin_path(const struct datapath *dp, size_t map, char *path, size_t len)
{
	snprintf(path, len, "%s/%s", dp->pin_dir, map_names[map]);
}

/* Only files of ours: a pin directory may be somebody else's by mistake. */
static void remove_pins(const struct datapath *dp)
{
	char path[512];

	for (size_t i = 0; i < MAP_COUNT; i++) {
		pin_path(dp, i, path, sizeof(path));
		unlink(path);
	}
}

/* Takes over those maps of OBJECT, loaded, that we have not yet. */
static int take_maps(struct datapath *dp, struct bpf_object *object)
{
	int *fds = (int *)&dp->maps;

	for (size_t i = 0; i < MAP_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(object, map_names[i]);

		if (fd < 0 || fds[i] >= 0)
			continue;
		fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fds[i] < 0)
			return -errno;
	}
	return 0;
}

/* Makes the maps that OBJECT, which is not loaded, knows and that we have not; no programs. */
static int make_maps_of(struct datapath *dp, struct bpf_object *object)
{
	struct bpf_program *prog;
	int ret;

	bpf_object__for_each_program(prog, object)
		bpf_program__set_autoload(prog, false);
	ret = jpx_pinned_share(&dp->maps, object);
	if (!ret)
		ret = bpf_object__load(object);
	return ret ? ret : take_maps(dp, object);
}

/* The maps that no program knows. */
static int make_own_maps(struct datapath *dp)
{
	LIBBPF_OPTS(bpf_map_create_opts, mmapable, .map_flags = BPF_F_MMAPABLE);

	dp->maps.socket_stats =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "jpx_socket_stats", sizeof(__u32),
			       sizeof(struct jpx_stats), JPX_MAX_PORTS, &mmapable);
	if (dp->maps.socket_stats < 0)
		return -errno;
	dp->maps.reserved = bpf_map_create(BPF_MAP_TYPE_ARRAY, "jpx_reserved", sizeof(__u32),
					   sizeof(struct jpx_reserved), 1, NULL);
	return dp->maps.reserved < 0 ? -errno : 0;
}

static int create_maps(struct datapath *dp, const struct datapath_sizes *sizes)
{
	struct jpx_meta meta = { .magic = JPX_ABI_MAGIC, .version = JPX_ABI_VERSION };
	struct flows_bpf *flows = NULL;
	struct jpx_bpf *skel;
	__u32 zero = 0;
	int ret;

	skel = jpx_bpf__open();
	if (!skel)
		return -errno;
	ret = bpf_map__set_max_entries(skel->maps.jpx_flows, sizes->flows);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.jpx_flow_hints, sizes->hints);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.jpx_pledges, sizes->pledges);
	if (!ret)
		ret = make_maps_of(dp, skel->obj);
	if (!ret) {
		flows = flows_bpf__open();
		ret = flows ? make_maps_of(dp, flows->obj) : -errno;
	}
	if (!ret)
		ret = make_own_maps(dp);
	for (size_t i = 0; !ret && i < MAP_COUNT; i++)
		if (((int *)&dp->maps)[i] < 0)
			ret = -ENOENT; /* cannot be: a map in the table that nobody makes */
	if (!ret && bpf_map_update_elem(dp->maps.meta, &zero, &meta, BPF_ANY))
		ret = -errno;
	flows_bpf__destroy(flows);
	jpx_bpf__destroy(skel);
	if (ret)
		jpx_pinned_close(&dp->maps);
	return ret;
}

/* Is PIN_DIR, or the directory that it will be made in, on a BPF file system? */
static bool on_bpffs(const char *pin_dir)
{
	char parent[256];
	struct statfs fs;
	char *slash;

	if (statfs(pin_dir, &fs) == 0)
		return (unsigned int)fs.f_type == BPFFS_MAGIC;
	snprintf(parent, sizeof(parent), "%s", pin_dir);
	slash = strrchr(parent, '/');
	if (slash && slash != parent)
		*slash = 0;
	return statfs(parent, &fs) == 0 && (unsigned int)fs.f_type == BPFFS_MAGIC;
}

static bool is_pinned(const struct datapath *dp)
{
	char path[512];

	pin_path(dp, 0, path, sizeof(path));
	return access(path, F_OK) == 0;
}

/*
 * Makes the directory if need be.  A lock on it dies with its holder; who held it
 * before may just have removed the directory, so look again.  The fd, or -errno.
 */
static int lock_pin_dir(const char *pin_dir)
{
	struct stat locked, there;
	int fd, saved;

	for (int tries = 0; tries < 10; tries++) {
		if (mkdir(pin_dir, 0700) && errno != EEXIST)
			return -errno;
		fd = open(pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			saved = -errno;
			close(fd);
			return saved;
		}
		if (fstat(fd, &locked) == 0 && stat(pin_dir, &there) == 0 &&
		    locked.st_ino == there.st_ino)
			return fd;
		close(fd);
	}
	return -EAGAIN;
}

/* Lets go of the directory; REMOVE: and takes it away, if nothing else is in there. */
static void release_pin_dir(struct datapath *dp, bool remove)
{
	if (dp->lock_fd < 0)
		return;
	if (remove)
		rmdir(dp->pin_dir);
	close(dp->lock_fd);
	dp->lock_fd = -1;
}

/* jpx_meta goes first in the table and is pinned last: its presence means "complete". */
int datapath_pin(struct datapath *dp)
{
	const int *fds = (const int *)&dp->maps;
	char path[512];
	int ret;

	if (!dp->bpf || dp->pinned)
		return 0;
	if (dp->lock_fd < 0)
		dp->lock_fd = lock_pin_dir(dp->pin_dir);
	if (dp->lock_fd < 0)
		return dp->lock_fd;
	if (is_pinned(dp)) {
		release_pin_dir(dp, false); /* another jpd's: a new one of us may adopt them */
		return -EEXIST;
	}
	for (size_t i = MAP_COUNT; i-- > 0;) {
		pin_path(dp, i, path, sizeof(path));
		if (bpf_obj_pin(fds[i], path)) {
			ret = -errno;
			remove_pins(dp);
			return ret;
		}
	}
	dp->pinned = true;
	return 0;
}

void datapath_unpin(struct datapath *dp)
{
	if (dp->pinned)
		remove_pins(dp);
	dp->pinned = false;
	release_pin_dir(dp, true);
}

static int map_socket_stats(struct datapath *dp)
{
	void *mem = MAP_FAILED;

	if (dp->bpf)
		mem = mmap(NULL, SOCKET_STATS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   dp->maps.socket_stats, 0);
	else
		mem = mmap(NULL, SOCKET_STATS_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	dp->socket_stats = mem;
	return 0;
}

int datapath_open(const char *pin_dir, const struct datapath_sizes *sizes, struct datapath **out,
		  struct jpx_state *state, bool *adopted, char *why_no_bpf, size_t why_len,
		  char *err, size_t err_len)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	int ret;

	*why_no_bpf = 0;
	*adopted = false;
	memset(state, 0, sizeof(*state));
	if (!dp)
		return -ENOMEM;
	memset(&dp->maps, 0xff, sizeof(dp->maps));
	dp->lock_fd = -1;
	snprintf(dp->pin_dir, sizeof(dp->pin_dir), "%s", pin_dir);
	/* A slash at the end would hide which directory it is to be made in. */
	for (char *end = dp->pin_dir + strlen(dp->pin_dir);
	     end > dp->pin_dir + 1 && end[-1] == '/';)
		*--end = 0;
	pin_dir = dp->pin_dir;

	if (!on_bpffs(pin_dir)) {
		snprintf(why_no_bpf, why_len,
			 "%s is not on a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf",
			 pin_dir);
		goto memory;
	}
	dp->lock_fd = lock_pin_dir(pin_dir);
	if (dp->lock_fd == -EWOULDBLOCK) {
		snprintf(err, err_len,
			 "another jpd runs the fast path pinned under %s; stop it first, or give "
			 "this one a --pin-dir of its own",
			 pin_dir);
		free(dp);
		return -EBUSY;
	}
	if (dp->lock_fd < 0) {
		snprintf(why_no_bpf, why_len,
			 "cannot use %s: %s; its last part must be a name without a dot, and jpd "
			 "must run as root",
			 pin_dir, strerror(-dp->lock_fd));
		goto memory;
	}
	if (is_pinned(dp)) {
		ret = jpx_pinned_open(pin_dir, &dp->maps, err, err_len);
		*adopted = dp->pinned = !ret;
	} else {
		remove_pins(dp); /* whoever pinned them did not finish */
		ret = create_maps(dp, sizes);
		if (ret) {
			snprintf(why_no_bpf, why_len, "cannot make BPF maps: %s%s", strerror(-ret),
				 ret == -EPERM || ret == -EACCES ? "; run jpd as root" : "");
			goto memory;
		}
	}
	if (ret)
		goto fail;
	dp->bpf = true;
	ret = jpx_pinned_state(&dp->maps, state);
	if (ret) {
		snprintf(err, err_len, "cannot read the maps under %s: %s", pin_dir,
			 ret == -EPROTO ? "one was not made by jpx; remove that directory and "
					  "attach again"
					: strerror(-ret));
		goto fail;
	}
	dp->shadow = *state;
memory:
	ret = map_socket_stats(dp);
	if (ret) {
		snprintf(err, err_len, "cannot map the counters: %s", strerror(-ret));
		goto fail;
	}
	*out = dp;
	return 0;
fail:
	jpx_pinned_close(&dp->maps);
	release_pin_dir(dp, false);
	free(dp);
	return ret;
}

int datapath_do_without(struct datapath *dp, struct jpx_state *state)
{
	if (!dp->bpf || dp->pinned)
		return -EINVAL;
	munmap(dp->socket_stats, SOCKET_STATS_SIZE);
	dp->socket_stats = NULL;
	jpx_pinned_close(&dp->maps);
	release_pin_dir(dp, true);
	dp->bpf = false;
	memset(state, 0, sizeof(*state));
	dp->shadow = *state;
	return map_socket_stats(dp);
}

void datapath_close(struct datapath *dp, bool unpin)
{
	if (!dp)
		return;
	if (dp->socket_stats)
		munmap(dp->socket_stats, SOCKET_STATS_SIZE);
	jpx_pinned_close(&dp->maps);
	if (unpin)
		datapath_unpin(dp);
	release_pin_dir(dp, unpin);
	free(dp);
}

const struct jpx_pinned *datapath_maps(const struct datapath *dp)
{
	return dp->bpf ? &dp->maps : NULL;
}

static int put(const struct datapath *dp, int fd, const char *what, const void *key,
	       const void *value)
{
	if (!dp->bpf)
		return 0;
	if (bpf_map_update_elem(fd, key, value, BPF_ANY)) {
		jpx_error("cannot write %s: %s", what, strerror(errno));
		return -errno;
	}
	return 0;
}

/*
 * An array entry is not replaced in one step.  So an entry that packets may be
 * reading is first marked not ready (they then go to the socket engine), left
 * alone for far longer than one packet takes, written, and only then marked.
 */
void datapath_settle(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

void datapath_put_slot(struct datapath *dp, unsigned int id, const struct jpx_slot *slot)
{
	__u32 key = id, zero = 0, before = dp->shadow.slots[id].ifindex;

	if (before && before < JPX_MAX_IFINDEX && before != slot->ifindex)
		put(dp, dp->maps.slot_ids, "an interface's slot", &before, &zero);
	dp->shadow.slots[id] = *slot;
	put(dp, dp->maps.slots, "an interface slot", &key, slot);
	if (slot->ifindex && slot->ifindex < JPX_MAX_IFINDEX)
		put(dp, dp->maps.slot_ids, "an interface's slot", &slot->ifindex, &key);
}

/* Nothing but which services are served: each a bit of its own, which a packet sees as it was or as
 * it is.  Many ports change so at once, whenever a Registrar comes or goes. */
static bool differ_in_services(const struct jpx_port *a, const struct jpx_port *b)
{
	struct jpx_port like = *a;

	like.services = b->services;
	return a->services != b->services && !memcmp(&like, b, sizeof(like));
}

/* Nothing that packets read: what is known of the Registrar. */
static bool differ_in_judgement(const struct jpx_service *a, const struct jpx_service *b)
{
	const __u16 judged = JPX_SERVICE_SILENT | JPX_SERVICE_RETIRED | JPX_SERVICE_ANSWERED |
			     JPX_SERVICE_NO_PROBE;
	struct jpx_service like = *a;

	like.flags = (__u16)((a->flags & ~judged) | (b->flags & judged));
	like.priority = b->priority;
	like.weight = b->weight;
	return !memcmp(&like, b, sizeof(like));
}

void datapath_put_port(struct datapath *dp, unsigned int id, const struct jpx_port *port)
{
	struct jpx_port *shadow = &dp->shadow.ports[id];
	__u32 key = id, zero = 0;
	struct jpx_port quiet;

	if (differ_in_services(shadow, port)) {
		put(dp, dp->maps.ports, "a pledge port", &key, port);
		*shadow = *port;
		return;
	}
	if (shadow->flags & JPX_PORT_READY) {
		quiet = *shadow;
		quiet.flags &= (__u8)~JPX_PORT_READY;
		put(dp, dp->maps.ports, "a pledge port", &key, &quiet);
		datapath_settle();
	}
	/* A port id given to another interface starts with no memory of the last one. */
	if (!(shadow->flags & JPX_PORT_IN_USE))
		put(dp, dp->maps.odd_macs, "a pledge port", &key, &zero);
	quiet = *port;
	quiet.flags &= (__u8)~JPX_PORT_READY;
	if (put(dp, dp->maps.ports, "a pledge port", &key, &quiet) == 0 &&
	    port->flags & JPX_PORT_READY)
		put(dp, dp->maps.ports, "a pledge port", &key, port);
	*shadow = *port;
}

void datapath_put_service(struct datapath *dp, unsigned int id, const struct jpx_service *service)
{
	struct jpx_service *shadow = &dp->shadow.services[id];
	struct jpx_service quiet;
	__u32 key = id;

	if (differ_in_judgement(shadow, service)) {
		put(dp, dp->maps.services, "a service", &key, service);
		*shadow = *service;
		return;
	}
	if (shadow->flags & JPX_SERVICE_READY) {
		quiet = *shadow;
		quiet.flags &= (__u16)~JPX_SERVICE_READY;
		put(dp, dp->maps.services, "a service", &key, &quiet);
		datapath_settle();
	}
	quiet = *service;
	quiet.flags &= (__u16)~JPX_SERVICE_READY;
	if (put(dp, dp->maps.services, "a service", &key, &quiet) == 0 &&
	    service->flags & JPX_SERVICE_READY)
		put(dp, dp->maps.services, "a service", &key, service);
	*shadow = *service;
}

void datapath_put_dport(struct datapath *dp, unsigned int udp_port, const struct jpx_dport *dport)
{
	__u32 key = udp_port;

	put(dp, dp->maps.dports, "a UDP port's meaning", &key, dport);
}

void datapath_put_uplink(struct datapath *dp, unsigned int place, const struct jpx_uplink *uplink)
{
	__u32 key = place;

	put(dp, dp->maps.uplinks, "an uplink address", &key, uplink);
}

void datapath_put_flow_config(struct datapath *dp, const struct jpx_flow_config *config)
{
	__u32 zero = 0;

	put(dp, dp->maps.flow_config, "the limits of flows", &zero, config);
}

void datapath_put_uplink_places(struct datapath *dp, const __u32 *places)
{
	__u32 now;

	for (__u32 i = 0; dp->bpf && i < 1U << JPX_PLACE_BITS; i++)
		if (bpf_map_lookup_elem(dp->maps.uplink_places, &i, &now) || now != places[i])
			put(dp, dp->maps.uplink_places, "an uplink address", &i, &places[i]);
}

void datapath_put_reserved(struct datapath *dp, const struct jpx_reserved *reserved)
{
	__u32 zero = 0;

	put(dp, dp->maps.reserved, "the reserved ports", &zero, reserved);
}

void datapath_get_reserved(const struct datapath *dp, struct jpx_reserved *reserved)
{
	__u32 zero = 0;

	if (!dp->bpf || bpf_map_lookup_elem(dp->maps.reserved, &zero, reserved))
		memset(reserved, 0, sizeof(*reserved));
}

void datapath_put_vlan(struct datapath *dp, const struct jpx_vlan_key *key, unsigned int port_id)
{
	__u32 value = port_id;

	if (!dp->bpf)
		return;
	if (port_id)
		put(dp, dp->maps.vlans, "a VLAN", key, &value);
	else
		bpf_map_delete_elem(dp->maps.vlans, key);
}

void datapath_put_tx(struct datapath *dp, unsigned int key, unsigned int ifindex)
{
	__u32 k = key, value = ifindex, now = 0;

	if (!dp->bpf)
		return;
	if (ifindex && !bpf_map_lookup_elem(dp->maps.tx, &k, &now) && now == ifindex)
		return;
	if (!ifindex)
		bpf_map_delete_elem(dp->maps.tx, &k);
	else if (bpf_map_update_elem(dp->maps.tx, &k, &value, BPF_ANY))
		/* The interface has just gone: netlink is about to say so. */
		jpx_log(errno == EINVAL ? JPX_LOG_DEBUG : JPX_LOG_ERROR,
			"cannot write the way out over interface %u: %s", ifindex, strerror(errno));
}

struct jpx_stats *datapath_socket_stats(struct datapath *dp)
{
	return dp->socket_stats;
}

int datapath_counters(const struct datapath *dp, struct jpx_counters *counters)
{
	if (dp->bpf)
		return jpx_pinned_counters(&dp->maps, counters);
	memset(counters, 0, sizeof(*counters));
	memcpy(counters->socket, dp->socket_stats, sizeof(counters->socket));
	return 0;
}

void datapath_port_packets(const struct datapath *dp, unsigned int port_id, __u64 *to_registrar,
			   __u64 *to_pledge)
{
	struct jpx_stats fast = { 0 };

	if (dp->bpf)
		jpx_pinned_port_stats(&dp->maps, port_id, &fast);
	*to_registrar = fast.to_registrar.packets + dp->socket_stats[port_id].to_registrar.packets;
	*to_pledge = fast.to_pledge.packets + dp->socket_stats[port_id].to_pledge.packets;
}

static void add_activity(struct jpx_activity sum[JPX_MAX_SERVICES], const struct jpx_stats *stats)
{
	for (unsigned int s = 0; s < JPX_MAX_SERVICES; s++) {
		sum[s].to_registrar += stats->services[s].to_registrar;
		sum[s].to_pledge += stats->services[s].to_pledge;
	}
}

/* A port is looked at from its first use on, and when it is gone, too: what it has counted must
 * neither appear at once nor vanish. */
static void look_at_activity(struct datapath *dp)
{
	struct activity next = dp->activity;

	memset(next.sum, 0, sizeof(next.sum));
	for (unsigned int id = 1; id < JPX_MAX_PORTS; id++) {
		struct jpx_stats fast = { 0 };
		bool first = !next.watched[id];

		if (first && !(dp->shadow.ports[id].flags & JPX_PORT_IN_USE))
			continue;
		if (dp->bpf && jpx_pinned_port_stats(&dp->maps, id, &fast))
			return; /* out of memory: all stays as it was */
		next.watched[id] = true;
		add_activity(next.sum, &fast);
		add_activity(next.sum, &dp->socket_stats[id]);
		if (!first)
			continue;
		add_activity(next.before, &fast);
		add_activity(next.before, &dp->socket_stats[id]);
	}
	dp->activity = next;
}

static long long age_ms(const struct timespec *at, const struct timespec *now)
{
	return at->tv_sec ? (now->tv_sec - at->tv_sec) * 1000LL +
				    (now->tv_nsec - at->tv_nsec) / 1000000
			  : ACTIVITY_AGE_MS;
}

void datapath_service_packets(struct datapath *dp, unsigned int service_id, __u32 *to_registrar,
			      __u32 *to_pledge)
{
	const struct jpx_activity *sum = &dp->activity.sum[service_id];
	const struct jpx_activity *before = &dp->activity.before[service_id];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (age_ms(&dp->activity.at, &now) >= ACTIVITY_AGE_MS) {
		look_at_activity(dp);
		dp->activity.at = now;
	}
	*to_registrar = sum->to_registrar - before->to_registrar;
	*to_pledge = sum->to_pledge - before->to_pledge;
}

int datapath_noted_mac(const struct datapath *dp, const struct jpx_mac_key *key,
		       unsigned char mac[6])
{
	__u64 value;

	if (!dp->bpf || bpf_map_lookup_elem(dp->maps.macs, key, &value))
		return -ENOENT;
	for (int i = 5; i >= 0; i--, value >>= 8)
		mac[i] = (unsigned char)value;
	return 0;
}
