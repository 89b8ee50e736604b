/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See fixture.h.  Must never call anything of ctl/: what fills the maps here is a second opinion.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jpx.skel.h"

struct jpx_port fx_ports[JPX_MAX_PORTS];
struct jpx_service fx_services[JPX_MAX_SERVICES];

static struct jpx_bpf *skels[FX_SLOT_COUNT];
static int fd_slots, fd_slot_ids, fd_ports, fd_services, fd_dports, fd_vlans, fd_tx, fd_macs,
	fd_odd, fd_hints, fd_stats;
static enum jpx_link slot_links[FX_SLOT_COUNT];
static uint32_t tx_key;
static int cpus;

#define NEXT_HOP_MAC 0x0200000000feULL
#define UPLINK_MAC   0x02000000001aULL

static void die(const char *what)
{
	fprintf(stderr, "packet tests: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void store(int fd, uint32_t key, const void *value, const char *what)
{
	if (bpf_map_update_elem(fd, &key, value, BPF_ANY))
		die(what);
}

static void put_mac(uint8_t out[6], uint64_t mac)
{
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)(mac >> 8 * (5 - i));
}

static uint64_t get_mac(const uint8_t mac[6])
{
	uint64_t v = 0;

	for (int i = 0; i < 6; i++)
		v = v << 8 | mac[i];
	return v;
}

/*
 * Sums as they lie in memory.  A ones' complement sum has many spellings; FOLD
 * chooses between two, since the programs must take any.
 */
static uint32_t native_sum(uint32_t sum, const void *data, size_t len, bool fold)
{
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, (const uint8_t *)data + i, 2);
		sum += word;
	}
	while (fold && sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* ---- what there is --------------------------------------------------------- */

static struct jpx_port *add_port(uint8_t id, int slot, const char *addr, uint64_t mac, uint8_t l2)
{
	const uint16_t types[3][5] = {
		{ 0x86dd },
		{ 0x8100, id, 0x86dd }, /* the VLAN has the port's id */
		{ 0x88a8, 100, 0x8100, 200, 0x86dd },
	};
	struct jpx_port *p = &fx_ports[id];

	memset(p, 0, sizeof(*p));
	frame_addr(addr, p->addr);
	p->services = ~0ULL & ~(1ULL << FX_SVC_PRIVATE);
	p->addr_sum = native_sum(0, p->addr, 16, id & 1);
	p->ifindex = FX_IFINDEX_OUT;
	p->tx_ifindex = FX_IFINDEX_OUT;
	p->slot = (uint16_t)slot;
	p->mtu = 1500;
	p->flags = JPX_PORT_IN_USE | JPX_PORT_READY;
	p->link = l2 ? JPX_LINK_ETHERNET : JPX_LINK_IPV6;
	p->l2_len = l2;
	if (l2) {
		put_mac(p->mac, mac);
		for (int i = 0; i < 5; i++)
			p->l2_type[i] = htons(types[(l2 - 14) / 4][i]);
	}
	return p;
}

static void fill_ports(void)
{
	struct jpx_port *p;

	add_port(FX_PORT_PLAIN, FX_SLOT_ETHERNET, "fe80::a:1", 0x020000000101, 14);
	p = add_port(FX_PORT_ONE_ARM, FX_SLOT_ONE_ARM, "fe80::a:2", UPLINK_MAC, 14);
	p->tx_ifindex = p->bounce_ifindex = FX_IFINDEX_IN;
	add_port(FX_PORT_VECTORS, FX_SLOT_VECTORS, "fe80::ff:fe00:a", 0x02000000000a, 14);
	p = add_port(FX_PORT_NOT_READY, FX_SLOT_ETHERNET, "fe80::a:9", 0x020000000109, 18);
	p->flags = JPX_PORT_IN_USE;
	p = add_port(FX_PORT_NO_TRANSMIT, FX_SLOT_ETHERNET, "fe80::a:10", 0x020000000110, 18);
	p->flags |= JPX_PORT_NO_TRANSMIT;
	p = add_port(FX_PORT_UNSERVED, FX_SLOT_ETHERNET, "fe80::a:11", 0x020000000111, 18);
	p->services = 0;
	p = add_port(FX_PORT_UNUSED, FX_SLOT_ETHERNET, "fe80::a:12", 0x020000000112, 18);
	p->flags = 0;
	add_port(FX_PORT_TAGGED, FX_SLOT_ETHERNET, "fe80::a:23", 0x020000000123, 18);
	p = add_port(FX_PORT_TWICE_TAGGED, FX_SLOT_ETHERNET, "fe80::a:24", 0x020000000124, 22);
	p->services = ~0ULL;
	add_port(FX_PORT_ASCII_SPACE, FX_SLOT_ETHERNET, "fe80::a:32", 0x020000000132, 18);
	add_port(FX_PORT_BARE, FX_SLOT_BARE, "fe80::a:255", 0, 0);

	add_port(FX_PORT_DUAL, FX_SLOT_DUAL, "fe80::a:40", 0x020000000140, 14);
	add_port(FX_PORT_DUAL_TAGGED, FX_SLOT_DUAL, "fe80::a:41", 0x020000000141, 18);
	add_port(FX_PORT_DUAL_TWICE_TAGGED, FX_SLOT_DUAL, "fe80::a:42", 0x020000000142, 22);
	p = add_port(FX_PORT_DUAL_ARM, FX_SLOT_DUAL_ARM, "fe80::a:43", UPLINK_MAC, 14);
	p->tx_ifindex = p->bounce_ifindex = FX_IFINDEX_IN;
	for (uint8_t id = FX_PORT_DUAL; id <= FX_PORT_DUAL_ARM; id++)
		fx_ports[id].addr4 = htonl(0xa9fe0100U + id);

	for (uint32_t id = 1; id < JPX_MAX_PORTS; id++) {
		struct jpx_vlan_key key = {
			.slot = fx_ports[id].slot,
			.outer_proto = fx_ports[id].l2_type[0],
			.outer_tci = fx_ports[id].l2_type[1],
			.inner_tci = fx_ports[id].l2_type[3],
		};

		store(fd_ports, id, &fx_ports[id], "jpx_ports");
		if (fx_ports[id].l2_len > 14 && bpf_map_update_elem(fd_vlans, &key, &id, BPF_ANY))
			die("jpx_vlans");
	}
}

static void fill_slots(void)
{
	static const struct {
		uint8_t flags, port_id;
		enum jpx_link link;
	} rows[FX_SLOT_COUNT] = {
		[FX_SLOT_ETHERNET] = { JPX_SLOT_IN_USE, FX_PORT_PLAIN, JPX_LINK_ETHERNET },
		[FX_SLOT_BARE] = { JPX_SLOT_IN_USE, FX_PORT_BARE, JPX_LINK_IPV6 },
		[FX_SLOT_UPLINK] = { JPX_SLOT_IN_USE | JPX_SLOT_UPLINK, 0, JPX_LINK_ETHERNET },
		[FX_SLOT_UPLINK_BARE] = { JPX_SLOT_IN_USE | JPX_SLOT_UPLINK, 0, JPX_LINK_IPV6 },
		[FX_SLOT_ONE_ARM] = { JPX_SLOT_IN_USE | JPX_SLOT_UPLINK, FX_PORT_ONE_ARM,
				      JPX_LINK_ETHERNET },
		[FX_SLOT_VECTORS] = { JPX_SLOT_IN_USE | JPX_SLOT_UPLINK, FX_PORT_VECTORS,
				      JPX_LINK_ETHERNET },
		[FX_SLOT_DUAL] = { JPX_SLOT_IN_USE, FX_PORT_DUAL, JPX_LINK_ETHERNET },
		[FX_SLOT_DUAL_ARM] = { JPX_SLOT_IN_USE | JPX_SLOT_UPLINK, FX_PORT_DUAL_ARM,
				       JPX_LINK_ETHERNET },
		[FX_SLOT_UPLINK_TC] = { JPX_SLOT_IN_USE | JPX_SLOT_UPLINK | JPX_SLOT_TC, 0,
					JPX_LINK_ETHERNET },
		[FX_SLOT_OFF] = { JPX_SLOT_UPLINK, FX_PORT_PLAIN, JPX_LINK_ETHERNET },
	};
	for (uint32_t i = 1; i < FX_SLOT_COUNT; i++) {
		struct jpx_slot slot = { .ifindex = FX_IFINDEX_IN, .id = (__u16)i };

		slot.flags = rows[i].flags;
		slot.port_id = rows[i].port_id;
		slot.link = rows[i].link;
		slot_links[i] = rows[i].link;
		store(fd_slots, i, &slot, "jpx_slots");
	}
}

static struct jpx_service *add_service(uint8_t id, enum jpx_form form, uint8_t l2)
{
	static const uint8_t types[3][10] = {
		{ 0x86, 0xdd },
		{ 0x81, 0x00, 0, 30, 0x86, 0xdd },
		{ 0x88, 0xa8, 0, 31, 0x81, 0x00, 0, 32, 0x86, 0xdd },
	};
	struct jpx_service *s = &fx_services[id];

	memset(s, 0, sizeof(*s));
	/* Odd and even bytes everywhere: a swapped sum must show. */
	frame_addr("2001:db8:0:abcd::52", s->registrar);
	s->registrar[9] = id;
	frame_addr("2001:db8:0:abcd::a1", s->uplink);
	s->registrar_port = htons(7634);
	s->uplink_port = htons(FX_BACK(id));
	s->join_port = htons(FX_JOIN(id));
	s->mtu = 1500;
	s->ifindex = FX_IFINDEX_OUT;
	s->tx_ifindex = FX_IFINDEX_OUT;
	s->flags = JPX_SERVICE_IN_USE | JPX_SERVICE_READY;
	s->form = (uint8_t)form;
	s->l2_len = l2;
	if (l2) {
		put_mac(s->l2, NEXT_HOP_MAC);
		put_mac(s->l2 + 6, UPLINK_MAC);
		memcpy(s->l2 + 12, types[(l2 - 14) / 4], l2 - 12);
	}
	return s;
}

/* Towards an IPv4 Registrar. */
static struct jpx_service *make_ipv4(uint8_t id)
{
	struct jpx_service *s = &fx_services[id];

	frame_addr("203.0.113.52", s->registrar);
	s->registrar[14] = id;
	frame_addr("192.0.2.161", s->uplink);
	s->flags |= JPX_SERVICE_IPV4;
	s->l2[s->l2_len - 2] = 0x08;
	s->l2[s->l2_len - 1] = 0x00;
	return s;
}

void fx_service_store(uint32_t id)
{
	struct jpx_service *s = &fx_services[id];
	uint16_t next_header = htons(17);
	bool fold = id & 1;

	s->registrar_sum = native_sum(0, s->registrar, 16, fold);
	s->registrar_sum = native_sum(s->registrar_sum, &s->registrar_port, 2, fold);
	s->registrar_sum = native_sum(s->registrar_sum, &next_header, 2, fold);
	s->path_sum = native_sum(s->registrar_sum, s->uplink, 16, fold);
	s->path_sum = native_sum(s->path_sum, &s->uplink_port, 2, fold);
	store(fd_services, id, s, "jpx_services");
}

void fx_port_store(uint32_t id)
{
	store(fd_ports, id, &fx_ports[id], "jpx_ports");
}

uint32_t fx_sum(const void *data, size_t len)
{
	return native_sum(0, data, len, false);
}

int fx_map(const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(skels[1]->obj, name);

	if (fd < 0)
		die(name);
	return fd;
}

void fx_dport_store(uint16_t port, uint8_t join, uint8_t back)
{
	struct jpx_dport d = { .join = join, .back = back };

	store(fd_dports, port, &d, "jpx_dports");
}

static void fill_stateful(void)
{
	static const uint8_t l2_len[] = { 14, 18, 22, 0, 14, 14, 22, 14, 14, 14 };
	struct jpx_service *s;

	for (uint8_t id = FX_SVC_FLOW; id <= FX_SVC_FLOW_4_CAUGHT; id++) {
		s = add_service(id, JPX_FORM_DRAFT02, l2_len[id - FX_SVC_FLOW]);
		if (id == FX_SVC_FLOW_4 || id == FX_SVC_FLOW_4_TWICE_TAGGED ||
		    id == FX_SVC_FLOW_4_ONE_ARM || id == FX_SVC_FLOW_4_CAUGHT)
			make_ipv4(id);
		if (id == FX_SVC_FLOW_ONE_ARM || id == FX_SVC_FLOW_4_ONE_ARM)
			s->bounce_ifindex = FX_IFINDEX_IN;
		s->mode = JPX_MODE_STATEFUL;
		s->registrar_port = htons(FX_CAUGHT(id));
		s->uplink_port = 0;
		memset(s->uplink, 0, 16);
	}
	fx_services[FX_SVC_FLOW_CAUGHT].flags |= JPX_SERVICE_INTERCEPT;
	fx_services[FX_SVC_FLOW_4_CAUGHT].flags |= JPX_SERVICE_INTERCEPT;
}

static void fill_services(void)
{
	struct jpx_service *s;

	add_service(FX_SVC_02, JPX_FORM_DRAFT02, 14);
	add_service(FX_SVC_06_TAGGED, JPX_FORM_DRAFT06, 18);
	add_service(FX_SVC_21_TWICE_TAGGED, JPX_FORM_DRAFT21, 22);
	add_service(FX_SVC_02_BARE, JPX_FORM_DRAFT02, 0);
	add_service(FX_SVC_21_BARE, JPX_FORM_DRAFT21, 0);
	add_service(FX_SVC_01, JPX_FORM_DRAFT01, 14);
	add_service(FX_SVC_ANY, JPX_FORM_DRAFT02, 14)->flags |= JPX_SERVICE_ANY_CONTENT;
	add_service(FX_SVC_NOT_READY, JPX_FORM_DRAFT02, 14)->flags = JPX_SERVICE_IN_USE;
	add_service(FX_SVC_TINY, JPX_FORM_DRAFT02, 14)->mtu = FX_TINY_MTU;
	add_service(FX_SVC_ONE_ARM, JPX_FORM_DRAFT02, 14)->bounce_ifindex = FX_IFINDEX_IN;
	add_service(FX_SVC_21, JPX_FORM_DRAFT21, 14);
	add_service(FX_SVC_UNUSED, JPX_FORM_DRAFT02, 14)->flags = 0;
	add_service(FX_SVC_06_BARE, JPX_FORM_DRAFT06, 0);
	add_service(FX_SVC_06, JPX_FORM_DRAFT06, 14);
	add_service(FX_SVC_NO_TRANSMIT, JPX_FORM_DRAFT02, 14)->flags |= JPX_SERVICE_NO_TRANSMIT;
	add_service(FX_SVC_TWICE_TAGGED_02, JPX_FORM_DRAFT02, 22);
	for (int i = 0; i < 3; i++) {
		static const enum jpx_form forms[] = { JPX_FORM_DRAFT02, JPX_FORM_DRAFT06,
						       JPX_FORM_DRAFT21 };

		s = add_service((uint8_t)(FX_SVC_WIDE_02 + i), forms[i], 14);
		s->flags |= JPX_SERVICE_ANY_CONTENT;
		s->mtu = FX_WIDE_MTU;
	}
	add_service(FX_SVC_4_02, JPX_FORM_DRAFT02, 14);
	add_service(FX_SVC_4_06, JPX_FORM_DRAFT06, 14);
	add_service(FX_SVC_4_21, JPX_FORM_DRAFT21, 14);
	add_service(FX_SVC_4_02_TAGGED, JPX_FORM_DRAFT02, 18);
	add_service(FX_SVC_4_06_TWICE_TAGGED, JPX_FORM_DRAFT06, 22);
	add_service(FX_SVC_4_21_ONE_ARM, JPX_FORM_DRAFT21, 14)->bounce_ifindex = FX_IFINDEX_IN;
	for (uint8_t id = FX_SVC_4_02; id <= FX_SVC_4_21_ONE_ARM; id++)
		make_ipv4(id);
	fill_stateful();
	add_service(FX_SVC_PRIVATE, JPX_FORM_DRAFT02, 14);
	add_service(FX_SVC_LAST, JPX_FORM_DRAFT02, 14);

	for (uint8_t id = 1; id < JPX_MAX_SERVICES; id++) {
		if (!fx_services[id].join_port)
			continue;
		fx_service_store(id);
		fx_dport_store((uint16_t)FX_JOIN(id), id, 0);
		if (fx_services[id].mode == JPX_MODE_STATELESS)
			fx_dport_store((uint16_t)FX_BACK(id), 0, id);
	}

	/* The one that the standards' packets were computed for. */
	s = add_service(FX_SVC_VECTORS, JPX_FORM_DRAFT02, 14);
	s->registrar[9] = 0;
	s->uplink_port = htons(40000);
	s->join_port = htons(57101);
	fx_service_store(FX_SVC_VECTORS);
	fx_dport_store(57101, FX_SVC_VECTORS, 0);
	fx_dport_store(40000, 0, FX_SVC_VECTORS);
}

/* With JPX_COMMON_PROGRAM set, the program of many interfaces is tested, which finds its slot by
 * ifindex. */
static bool is_common(void)
{
	return getenv("JPX_COMMON_PROGRAM") != NULL;
}

/* ---- loading --------------------------------------------------------------- */

static char last_log[4096];

static int keep_log(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN)
		vsnprintf(last_log, sizeof(last_log), format, args);
	return 0;
}

static int load_slot(uint32_t slot)
{
	struct bpf_map *map;
	int err;

	skels[slot] = jpx_bpf__open();
	if (!skels[slot])
		return -errno;
	skels[slot]->rodata->jpx_slot_id = is_common() ? 0 : slot;
	bpf_map__set_max_entries(skels[slot]->maps.jpx_flows, FX_FLOW_SLOTS);
	bpf_map__set_max_entries(skels[slot]->maps.jpx_pledges, FX_FLOW_PLEDGES);
	bpf_map__set_max_entries(skels[slot]->maps.jpx_flow_hints, FX_FLOW_HINTS);
	if (slot > 1) {
		bpf_object__for_each_map(map, skels[slot]->obj) {
			const char *name = bpf_map__name(map);
			int fd = bpf_object__find_map_fd_by_name(skels[1]->obj, name);

			if (!bpf_map__is_internal(map) && (err = bpf_map__reuse_fd(map, fd)))
				return err;
		}
	}
	return jpx_bpf__load(skels[slot]);
}

int fx_open(void)
{
	int err;

	libbpf_set_print(keep_log);
	cpus = libbpf_num_possible_cpus();
	for (uint32_t slot = 1; slot < FX_SLOT_COUNT; slot++) {
		err = load_slot(slot);
		if (err) {
			fprintf(stderr, "packet tests: cannot load the programs: %s: %s\n",
				strerror(-err), last_log);
			return err;
		}
	}
	fd_slots = bpf_map__fd(skels[1]->maps.jpx_slots);
	fd_slot_ids = bpf_map__fd(skels[1]->maps.jpx_slot_ids);
	fd_ports = bpf_map__fd(skels[1]->maps.jpx_ports);
	fd_services = bpf_map__fd(skels[1]->maps.jpx_services);
	fd_dports = bpf_map__fd(skels[1]->maps.jpx_dports);
	fd_vlans = bpf_map__fd(skels[1]->maps.jpx_vlans);
	fd_tx = bpf_map__fd(skels[1]->maps.jpx_tx);
	fd_macs = bpf_map__fd(skels[1]->maps.jpx_macs);
	fd_odd = bpf_map__fd(skels[1]->maps.jpx_odd_macs);
	fd_hints = bpf_map__fd(skels[1]->maps.jpx_mac_hints);
	fd_stats = bpf_map__fd(skels[1]->maps.jpx_stats);
	fill_slots();
	fill_ports();
	fill_services();
	return 0;
}

void fx_close(void)
{
	for (int slot = FX_SLOT_COUNT - 1; slot > 0; slot--)
		jpx_bpf__destroy(skels[slot]);
}

/* ---- running --------------------------------------------------------------- */

void fx_tx_only(uint32_t key)
{
	uint32_t ifindex = FX_IFINDEX_IN;

	if (key == tx_key)
		return;
	if (tx_key)
		bpf_map_delete_elem(fd_tx, &tx_key);
	tx_key = key;
	if (key)
		store(fd_tx, key, &ifindex, "jpx_tx");
}

int fx_run(int slot, const uint8_t *in, size_t len, size_t meta, uint8_t out[FRAME_MAX],
	   size_t *out_len)
{
	uint8_t data_in[FRAME_MAX + 256] = { 0 }, data_out[FRAME_MAX + 256];
	struct bpf_program *prog = slot_links[slot] == JPX_LINK_ETHERNET
					   ? skels[slot]->progs.jpx_xdp_ethernet
					   : skels[slot]->progs.jpx_xdp_ipv6;
	struct xdp_md ctx = {
		.data = (uint32_t)meta,
		.data_end = (uint32_t)(meta + len),
		.ingress_ifindex = FX_IFINDEX_IN,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data_in,
		    .data_size_in = (uint32_t)(meta + len), .data_out = data_out,
		    .data_size_out = sizeof(data_out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = 1);
	int err;

	memcpy(data_in + meta, in, len);
	if (is_common())
		store(fd_slot_ids, FX_IFINDEX_IN, &(uint32_t){ (uint32_t)slot }, "jpx_slot_ids");
	err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	if (err)
		return err;
	*out_len = opts.data_size_out - meta;
	if (*out_len > FRAME_MAX)
		die("a frame came out larger than any that can be right");
	memcpy(out, data_out + meta, *out_len);
	return (int)opts.retval;
}

static void add_up(struct jpx_stats *sum, const struct jpx_stats *per_cpu)
{
	memset(sum, 0, sizeof(*sum));
	for (int cpu = 0; cpu < cpus; cpu++) {
		const uint64_t *from = (const uint64_t *)&per_cpu[cpu];
		uint64_t *to = (uint64_t *)sum;

		for (size_t i = 0; i < offsetof(struct jpx_stats, services) / sizeof(*to); i++)
			to[i] += from[i];
		for (size_t i = 0; i < JPX_MAX_SERVICES; i++) {
			sum->services[i].to_registrar += per_cpu[cpu].services[i].to_registrar;
			sum->services[i].to_pledge += per_cpu[cpu].services[i].to_pledge;
		}
	}
}

void fx_stats_of(uint32_t port_id, struct jpx_stats *one)
{
	struct jpx_stats per_cpu[cpus];

	if (bpf_map_lookup_elem(fd_stats, &port_id, per_cpu))
		die("jpx_stats");
	add_up(one, per_cpu);
}

void fx_stats(struct jpx_stats all[JPX_MAX_PORTS])
{
	for (uint32_t id = 0; id < JPX_MAX_PORTS; id++)
		fx_stats_of(id, &all[id]);
}

/* ---- MACs ------------------------------------------------------------------ */

static struct jpx_mac_key mac_key(const uint8_t addr[16], uint16_t udp_port, uint8_t port_id)
{
	struct jpx_mac_key key = { .udp_port = htons(udp_port), .port_id = port_id };

	memcpy(&key.iid, addr + 8, 8);
	if (!addr[0]) { /* jpx_pledge_id() of an IPv4 address */
		memset(&key.iid, 0, 4);
		key.ipv4 = 1;
	}
	return key;
}

uint64_t fx_mac_get(const uint8_t addr[16], uint16_t udp_port, uint8_t port_id)
{
	struct jpx_mac_key key = mac_key(addr, udp_port, port_id);
	uint64_t mac;

	return bpf_map_lookup_elem(fd_macs, &key, &mac) ? 0 : mac;
}

/* Hints repeat what jpx_macs said: who changes that from outside must forget them. */
static void hints_clear(void)
{
	static const struct jpx_mac_hint none;

	for (uint32_t i = 0; i < 1U << JPX_MAC_HINT_BITS; i++)
		store(fd_hints, i, &none, "jpx_mac_hints");
}

void fx_mac_set(const uint8_t addr[16], uint16_t udp_port, uint8_t port_id, uint64_t mac)
{
	struct jpx_mac_key key = mac_key(addr, udp_port, port_id);

	if (bpf_map_update_elem(fd_macs, &key, &mac, BPF_ANY))
		die("jpx_macs");
	hints_clear();
}

void fx_macs_fill(void)
{
	struct jpx_mac_key key = { .port_id = 255 };
	uint64_t mac = 0x020000007777;

	for (uint32_t i = 0; i < JPX_MAX_MACS + JPX_MAX_MACS / 16; i++) {
		key.iid = i + 1;
		if (bpf_map_update_elem(fd_macs, &key, &mac, BPF_ANY))
			die("jpx_macs, when full");
	}
	hints_clear();
}

int fx_macs_count(void)
{
	struct jpx_mac_key key;
	void *from = NULL;
	int n = 0;

	while (!bpf_map_get_next_key(fd_macs, from, &key)) {
		from = &key;
		n++;
	}
	return n;
}

bool fx_odd_get(uint32_t port_id)
{
	uint32_t odd = 0;

	if (bpf_map_lookup_elem(fd_odd, &port_id, &odd))
		die("jpx_odd_macs");
	return odd;
}

void fx_odd_set(uint32_t port_id, bool odd)
{
	uint32_t value = odd;

	store(fd_odd, port_id, &value, "jpx_odd_macs");
}

int fx_odd_count(void)
{
	int n = 0;

	for (uint32_t id = 0; id < JPX_MAX_PORTS; id++)
		n += fx_odd_get(id);
	return n;
}

void fx_macs_clear(void)
{
	struct jpx_mac_key key;

	while (!bpf_map_get_next_key(fd_macs, NULL, &key))
		bpf_map_delete_elem(fd_macs, &key);
	for (uint32_t id = 0; id < JPX_MAX_PORTS; id++)
		if (fx_odd_get(id))
			fx_odd_set(id, false);
	hints_clear();
}

/* ---- frames ---------------------------------------------------------------- */

static void port_link(const struct jpx_port *port, struct frame_spec *spec)
{
	spec->bare = port->link == JPX_LINK_IPV6;
	if (spec->bare)
		return;
	spec->tags = (port->l2_len - 14) / 4;
	for (int i = 0; i < spec->tags; i++) {
		spec->tag[i].proto = ntohs(port->l2_type[2 * i]);
		spec->tag[i].tci = ntohs(port->l2_type[2 * i + 1]);
	}
}

static void service_link(const struct jpx_service *service, struct frame_spec *spec)
{
	spec->bare = !service->l2_len;
	if (spec->bare)
		return;
	spec->tags = (service->l2_len - 14) / 4;
	for (int i = 0; i < spec->tags; i++) {
		const uint8_t *tag = service->l2 + 12 + 4 * i;

		spec->tag[i].proto = (uint16_t)(tag[0] << 8 | tag[1]);
		spec->tag[i].tci = (uint16_t)(tag[2] << 8 | tag[3]);
	}
}

void fx_from_pledge(uint8_t port_id, uint32_t service, struct frame_spec *spec)
{
	const struct jpx_port *port = &fx_ports[port_id];

	memset(spec, 0, sizeof(*spec));
	port_link(port, spec);
	spec->dst_mac = get_mac(port->mac);
	spec->src_mac = FX_PLEDGE_MAC;
	frame_addr(FX_PLEDGE, spec->src);
	memcpy(spec->dst, port->addr, 16);
	spec->sport = FX_PLEDGE_UDP;
	spec->dport = ntohs(fx_services[service].join_port);
	/* Of an ordinary sender; ours must not come through to the other side. */
	spec->class_flow = 0x02412345;
	spec->hop_limit = 255;
}

void fx_to_registrar(uint32_t service, struct frame_spec *spec)
{
	const struct jpx_service *s = &fx_services[service];

	memset(spec, 0, sizeof(*spec));
	service_link(s, spec);
	spec->dst_mac = get_mac(s->l2);
	spec->src_mac = get_mac(s->l2 + 6);
	spec->ipv4 = s->flags & JPX_SERVICE_IPV4;
	memcpy(spec->src, s->uplink, 16);
	memcpy(spec->dst, s->registrar, 16);
	spec->sport = ntohs(s->uplink_port);
	spec->dport = ntohs(s->registrar_port);
}

void fx_from_registrar(uint32_t service, struct frame_spec *spec)
{
	const struct jpx_service *s = &fx_services[service];

	memset(spec, 0, sizeof(*spec));
	service_link(s, spec);
	spec->dst_mac = get_mac(s->l2 + 6);
	spec->src_mac = get_mac(s->l2);
	spec->ipv4 = s->flags & JPX_SERVICE_IPV4;
	spec->ident = 0x1234;
	memcpy(spec->src, s->registrar, 16);
	memcpy(spec->dst, s->uplink, 16);
	spec->sport = ntohs(s->registrar_port);
	spec->dport = ntohs(s->uplink_port);
	spec->class_flow = 0x00054321;
	spec->hop_limit = 61;
}

void fx_to_pledge(uint8_t port_id, uint32_t service, uint64_t mac, struct frame_spec *spec)
{
	const struct jpx_port *port = &fx_ports[port_id];

	memset(spec, 0, sizeof(*spec));
	port_link(port, spec);
	spec->dst_mac = mac;
	spec->src_mac = get_mac(port->mac);
	memcpy(spec->src, port->addr, 16);
	frame_addr(FX_PLEDGE, spec->dst);
	spec->sport = ntohs(fx_services[service].join_port);
	spec->dport = FX_PLEDGE_UDP;
}

void fx_from_pledge4(uint8_t port_id, uint32_t service, struct frame_spec *spec)
{
	fx_from_pledge(port_id, service, spec);
	spec->ipv4 = true;
	spec->ident = 0x4321;
	frame_addr(FX_PLEDGE4, spec->src);
	frame_addr("0.0.0.0", spec->dst);
	memcpy(spec->dst + 12, &fx_ports[port_id].addr4, 4);
}

void fx_to_pledge4(uint8_t port_id, uint32_t service, uint64_t mac, struct frame_spec *spec)
{
	fx_to_pledge(port_id, service, mac, spec);
	spec->ipv4 = true;
	frame_addr("0.0.0.0", spec->src);
	memcpy(spec->src + 12, &fx_ports[port_id].addr4, 4);
	frame_addr(FX_PLEDGE4, spec->dst);
}
