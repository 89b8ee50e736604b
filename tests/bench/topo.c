/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two veth pairs in a network namespace of this process' own, and the fast
 * path's maps filled for them.  Nothing is named in the host: the namespace
 * goes away with the process.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <jpx/abi.h>
#include <linux/if_link.h>

#include "bench.h"
#include "bench.skel.h"

#define KEEPERS 48 /* at least as many as bench.bpf.c has XDP programs */

const uint8_t bench_mac_p0[6] = { 0x02, 0, 0, 0, 0x10, 0x00 };
const uint8_t bench_mac_p1[6] = { 0x02, 0, 0, 0, 0x11, 0x00 };
const uint8_t bench_mac_registrar[6] = { 0x02, 0, 0, 0, 0x22, 0x22 };
const uint8_t bench_mac_pledges[6] = { 0x02, 0, 0, 0, 0x33, 0x00 };

static const char links[] =
	"link set lo up\n"
	"link add far0 numrxqueues 1 numtxqueues 1 type veth"
	" peer name p0 numrxqueues 1 numtxqueues 1 address 02:00:00:00:10:00\n"
	"link add p1 numrxqueues 1 numtxqueues 1 address 02:00:00:00:11:00 type veth"
	" peer name far1 numrxqueues 1 numtxqueues 1\n"
	"link set far0 addrgenmode none\n"
	"link set p0 addrgenmode none\n"
	"link set p1 addrgenmode none\n"
	"link set far1 addrgenmode none\n"
	"link set far0 up\n"
	"link set p0 up\n"
	"link set p1 up\n"
	"link set far1 up\n"
	"address add " BENCH_PLEDGE_SIDE "/64 dev p0 nodad\n"
	"address add fe80::2/64 dev p1 nodad\n"
	"address add " BENCH_PROXY "/64 dev p1 nodad\n"
	"neighbour replace " BENCH_REGISTRAR " lladdr 02:00:00:00:22:22 dev p1 nud permanent\n"
	"address add " BENCH_PROXY4 "/24 dev p1\n"
	"neighbour replace " BENCH_REGISTRAR4 " lladdr 02:00:00:00:22:22 dev p1 nud permanent\n";

/*
 * A test run whose program is attached nowhere first rewrites the kernel's XDP
 * dispatcher and waits for every CPU to notice, which takes 20 to 40 ms, twice.
 * So each program is kept attached to one of these, which stay down.
 */
int bench_topo_keep(const struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	char name[IF_NAMESIZE];
	static int n;

	snprintf(name, sizeof(name), "keep%d", n++);
	if (bpf_link_create(bpf_program__fd(prog), (int)if_nametoindex(name), BPF_XDP, &opts) >= 0)
		return 0;
	fprintf(stderr, "bench: cannot attach %s to %s: %s\n", bpf_program__name(prog), name,
		strerror(errno));
	return -errno;
}

static int keep_attached(struct bench *b)
{
	struct bpf_program *prog;
	int err = 0;

	bpf_object__for_each_program(prog, b->bpf->obj) {
		if (!err && bpf_program__type(prog) == BPF_PROG_TYPE_XDP)
			err = bench_topo_keep(prog);
	}
	return err;
}

static int write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	close(fd);
	return n < 0 ? -errno : 0;
}

int bench_topo_make(struct bench_topo *topo)
{
	FILE *ip;
	int err;

	if (unshare(CLONE_NEWNET)) {
		err = -errno;
		fprintf(stderr, "bench: cannot make a network namespace: %s; run as root\n",
			strerror(-err));
		return err;
	}
	ip = popen("ip -batch -", "w");
	if (!ip)
		return -errno;
	fputs(links, ip);
	for (int i = 0; i < KEEPERS; i += 2)
		fprintf(ip, "link add keep%d type veth peer name keep%d\n", i, i + 1);
	if (pclose(ip)) {
		fprintf(stderr, "bench: ip(8) could not make the veth pairs, see above; "
				"is iproute2 there, and veth in this kernel?\n");
		return -EIO;
	}
	err = write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	if (!err)
		err = write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	if (err) {
		fprintf(stderr, "bench: cannot turn forwarding on: %s\n", strerror(-err));
		return err;
	}
	topo->far0 = (int)if_nametoindex("far0");
	topo->p0 = (int)if_nametoindex("p0");
	topo->p1 = (int)if_nametoindex("p1");
	topo->far1 = (int)if_nametoindex("far1");
	return 0;
}

/* Sum of LEN bytes (even) as 16-bit words as they lie in memory, see bpf/csum.h. */
static uint32_t sum16(const void *p, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, (const uint8_t *)p + i, 2);
		sum += word;
	}
	return sum;
}

static int put(const struct bpf_map *map, uint32_t key, const void *value)
{
	int err = bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY);

	if (err)
		fprintf(stderr, "bench: cannot write %s[%u]: %s\n", bpf_map__name(map), key,
			strerror(-err));
	return err;
}

static void service_addresses(struct jpx_service *s, bool ipv4)
{
	const uint16_t port = s->registrar_port;

	if (ipv4) {
		s->registrar[10] = s->registrar[11] = s->uplink[10] = s->uplink[11] = 0xff;
		inet_pton(AF_INET, BENCH_REGISTRAR4, s->registrar + 12);
		inet_pton(AF_INET, BENCH_PROXY4, s->uplink + 12);
		s->flags |= JPX_SERVICE_IPV4;
		s->l2[12] = 0x08;
		s->uplinks[0] = BENCH_UPLINK4;
		s->uplink_count = 1;
		s->registrar_sum = sum16(s->registrar + 12, 4) + port + htons(IPPROTO_UDP);
		return;
	}
	inet_pton(AF_INET6, BENCH_REGISTRAR, s->registrar);
	inet_pton(AF_INET6, BENCH_PROXY, s->uplink);
	s->l2[12] = 0x86;
	s->l2[13] = 0xdd;
	for (uint8_t i = 0; i < BENCH_UPLINKS; i++)
		s->uplinks[i] = i;
	s->uplink_count = BENCH_UPLINKS;
	s->registrar_sum = sum16(s->registrar, 16) + port + htons(IPPROTO_UDP);
}

/*
 * Services 1 (draft-02) and 2 (draft-21) are reached through p1 from pledges
 * behind p0; 3 and 4 are the same two seen from the other end: their Registrar
 * is behind p0 and their pledges behind p1, so that frames always go one way.
 * 5 and 6 (IPv6 and IPv4 Registrar) are stateful, and 7 and 8 the same from the other end.
 */
static int put_service(struct bench *b, uint32_t id)
{
	bool back = (id - 1) & 2, stateful = id > 4;
	struct jpx_service s = {
		.registrar_port = htons(BENCH_REGISTRAR_PORT),
		.uplink_port = htons((uint16_t)(BENCH_UPLINK_PORT + id - 1)),
		.join_port = htons((uint16_t)(BENCH_JOIN_PORT + id - 1)),
		.mtu = 1500,
		.flags = JPX_SERVICE_IN_USE | JPX_SERVICE_READY,
		.form = id & 1 ? JPX_FORM_DRAFT02 : JPX_FORM_DRAFT21,
		.mode = stateful ? JPX_MODE_STATEFUL : JPX_MODE_STATELESS,
		.l2_len = 14,
	};
	struct jpx_dport join = { .join = (uint8_t)id }, uplink = { .back = (uint8_t)id };
	uint32_t tx = (uint32_t)(back ? b->topo.p0 : b->topo.p1);
	int err;

	service_addresses(&s, stateful && !(id & 1));
	s.path_sum = sum16(s.registrar, 16) + sum16(s.uplink, 16) + s.registrar_port +
		     s.uplink_port + htons(IPPROTO_UDP);
	s.ifindex = s.tx_ifindex = tx;
	memcpy(s.l2, bench_mac_registrar, 6);
	memcpy(s.l2 + 6, back ? bench_mac_p0 : bench_mac_p1, 6);
	err = put(b->bpf->maps.jpx_services, id, &s);
	if (!err)
		err = put(b->bpf->maps.jpx_dports, ntohs(s.join_port), &join);
	if (!err && !stateful)
		err = put(b->bpf->maps.jpx_dports, ntohs(s.uplink_port), &uplink);
	if (!err)
		err = put(b->bpf->maps.jpx_tx, JPX_TX_SERVICE(id), &tx);
	return err;
}

static int put_port(struct bench *b, uint32_t id, int ifindex, uint64_t services,
		    const uint8_t *mac)
{
	struct jpx_port p = {
		.services = services,
		.ifindex = (uint32_t)ifindex,
		.tx_ifindex = (uint32_t)ifindex,
		.slot = 1,
		.mtu = 1500,
		.flags = JPX_PORT_IN_USE | JPX_PORT_READY,
		.link = JPX_LINK_ETHERNET,
		.l2_len = 14,
		.l2_type = { htons(0x86dd) },
	};
	uint32_t tx = (uint32_t)ifindex;
	int err;

	inet_pton(AF_INET6, BENCH_PLEDGE_SIDE, p.addr);
	inet_pton(AF_INET, BENCH_PLEDGE_SIDE4, &p.addr4);
	p.addr_sum = sum16(p.addr, 16);
	memcpy(p.mac, mac, 6);
	err = put(b->bpf->maps.jpx_ports, id, &p);
	return err ? err : put(b->bpf->maps.jpx_tx, JPX_TX_PORT(id), &tx);
}

int bench_topo_configure(struct bench *b)
{
	struct jpx_meta meta = { .magic = JPX_ABI_MAGIC, .version = JPX_ABI_VERSION };
	struct jpx_slot slot = {
		.ifindex = (uint32_t)b->topo.p0,
		.flags = JPX_SLOT_IN_USE | JPX_SLOT_UPLINK,
		.port_id = 5,
		.link = JPX_LINK_ETHERNET,
		.engine = JPX_ENGINE_XDP_NATIVE,
		.id = 1,
	};
	uint32_t one = 1, tx = (uint32_t)b->topo.p1;
	int err;

	err = put(b->bpf->maps.jpx_meta, 0, &meta);
	if (!err)
		err = put(b->bpf->maps.jpx_slots, 1, &slot);
	if (!err)
		err = put(b->bpf->maps.jpx_slot_ids, slot.ifindex, &one);
	for (uint32_t id = 1; !err && id <= 8; id++)
		err = put_service(b, id);
	if (!err)
		err = put_port(b, 5, b->topo.p0, 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6, bench_mac_p0);
	if (!err)
		err = put_port(b, 6, b->topo.p1, 1 << 3 | 1 << 4 | 1 << 7 | 1 << 8, bench_mac_p1);
	if (!err)
		err = put(b->bpf->maps.bench_tx, tx, &tx);
	/* Stateful answers to port 5's own pledges leave through p1, too: towards the sink. */
	if (!err)
		err = put(b->bpf->maps.jpx_tx, JPX_TX_PORT(BENCH_MANY_PORT), &tx);
	/* Where the opaque addresses' MACs are, as the forward way would have noted them. */
	for (uint32_t i = 0; !err && i < BENCH_FLOWS; i++) {
		struct jpx_mac_key key = {
			.iid = htobe64(0x1122334455660000ULL + i),
			.udp_port = htons((uint16_t)(40000 + i)),
			.port_id = 6,
		};
		uint64_t mac = 0x020000003300ULL + i;

		err = bpf_map_update_elem(bpf_map__fd(b->bpf->maps.jpx_macs), &key, &mac, BPF_ANY);
	}
	return err ? err : keep_attached(b);
}
