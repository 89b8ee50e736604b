/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ends of the pktgen benchmark, in the network namespace that this runs in:
 *
 *   pktgen-ends far IF                        count and check what comes in by IF
 *   pktgen-ends floor IN OUT SRC-MAC DST-MAC  redirect from IN to OUT
 *
 * Both are there until standard input ends, and leave nothing behind.  The far end is told there, a
 * line each, what is expected next ("expect form=floor size=64 ...", see KEYS), and asked what came
 * ("count"); it answers each with a line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <jansson.h>
#include <linux/if_link.h>
#include <netinet/ether.h>

#include "frames.h"
#include "pktgen.skel.h"

#define QUIET_NS 100000000L /* nothing came for so long: that was all */

static int attach(const struct bpf_program *prog, const char *ifname)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	unsigned int ifindex = if_nametoindex(ifname);

	if (!ifindex) {
		fprintf(stderr, "pktgen-ends: there is no interface %s here\n", ifname);
		return -1;
	}
	if (bpf_link_create(bpf_program__fd(prog), (int)ifindex, BPF_XDP, &opts) >= 0)
		return 0;
	fprintf(stderr,
		"pktgen-ends: cannot attach %s to %s in native mode: %s; is another XDP program "
		"there (ip link show %s)? can its driver do XDP (jpctl check %s)?\n",
		bpf_program__name(prog), ifname, strerror(errno), ifname, ifname);
	return -1;
}

static void say(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(answer);
}

static void complain(const char *what)
{
	say(json_pack("{s:s}", "error", what));
}

/* ---- what is expected ------------------------------------------------------- */

static int read_number(uint32_t *to, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	*to = (uint32_t)n;
	return *value && !*end && n <= 0xffff ? 0 : -1;
}

static int read_mac(uint8_t to[6], const char *value)
{
	const struct ether_addr *mac = ether_aton(value);

	if (mac)
		memcpy(to, mac, 6);
	return mac ? 0 : -1;
}

static int read_form(enum form *to, const char *value)
{
	static const char *const names[] = { "floor", "stateless", "stateful" };

	for (int i = 0; i < 3; i++) {
		if (!strcmp(value, names[i])) {
			*to = (enum form)i;
			return 0;
		}
	}
	return -1;
}

#define KEYS "form size dst_mac src_mac src dst dport port_id pledges first_port ports sample"

static int read_key(struct expected *e, const char *key, const char *value)
{
	struct {
		const char *key;
		uint32_t *to;
	} numbers[] = {
		{ "size", &e->size },	      { "dport", &e->dport },
		{ "port_id", &e->port_id },   { "pledges", &e->pledges },
		{ "ports", &e->ports },	      { "first_port", &e->first_port },
		{ "sample", &e->sample },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (!strcmp(key, numbers[i].key))
			return read_number(numbers[i].to, value);
	}
	if (!strcmp(key, "form"))
		return read_form(&e->form, value);
	if (!strcmp(key, "dst_mac"))
		return read_mac(e->dst_mac, value);
	if (!strcmp(key, "src_mac"))
		return read_mac(e->src_mac, value);
	if (!strcmp(key, "src"))
		return inet_pton(AF_INET6, value, &e->src) == 1 ? 0 : -1;
	if (!strcmp(key, "dst"))
		return inet_pton(AF_INET6, value, &e->dst) == 1 ? 0 : -1;
	return -1;
}

static int clear(struct pktgen_bpf *bpf)
{
	int cpus = libbpf_num_possible_cpus();
	static const struct pktgen_sample none;
	struct pktgen_seen *zeros;
	uint32_t key = 0;
	int err;

	if (cpus < 1)
		return -1;
	zeros = calloc((size_t)cpus, sizeof(*zeros));
	if (!zeros)
		return -1;
	err = bpf_map_update_elem(bpf_map__fd(bpf->maps.pktgen_counts), &key, zeros, BPF_ANY);
	free(zeros);
	for (; !err && key < PKTGEN_SAMPLES && key < bpf->bss->pktgen_taken; key++)
		err = bpf_map_update_elem(bpf_map__fd(bpf->maps.pktgen_samples), &key, &none,
					  BPF_ANY);
	bpf->bss->pktgen_taken = 0;
	memset(bpf->bss->pktgen_sources, 0, sizeof(bpf->bss->pktgen_sources));
	return err;
}

static void expect(struct pktgen_bpf *bpf, struct expected *e, char *words)
{
	struct pktgen_plan plan = { 0 };
	char *word, *value, *rest;

	memset(e, 0, sizeof(*e));
	for (word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		if (!value || read_key(e, word, value)) {
			complain("expect takes KEY=VALUE of " KEYS);
			return;
		}
	}
	if (frame_plan(e, &plan)) {
		complain("content of this size cannot be judged: 48 bytes to what fits into 1500");
		return;
	}
	bpf->bss->pktgen_plan = plan;
	if (clear(bpf))
		complain("cannot clear the counters");
	else
		say(json_pack("{s:s}", "answer", "expecting"));
}

/* ---- what came --------------------------------------------------------------- */

/* All CPUs' together; FIRST and LAST are the earliest and the latest of them. */
static int sum_up(struct pktgen_bpf *bpf, struct pktgen_seen *all, uint64_t *timed)
{
	int cpus = libbpf_num_possible_cpus();
	struct pktgen_seen *seen;
	uint32_t key = 0;

	memset(all, 0, sizeof(*all));
	*timed = 0;
	seen = cpus > 0 ? calloc((size_t)cpus, sizeof(*seen)) : NULL;
	if (!seen)
		return -1;
	if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.pktgen_counts), &key, seen)) {
		free(seen);
		return -1;
	}
	for (int i = 0; i < cpus; i++) {
		const struct pktgen_seen *s = &seen[i];

		all->right += s->right;
		all->wrong += s->wrong;
		all->stray += s->stray;
		if (s->wrong) {
			all->wrong_word = s->wrong_word;
			all->wrong_is = s->wrong_is;
			all->wrong_len = s->wrong_len;
		}
		if (!s->right)
			continue;
		*timed += (s->right - 1) & ~(uint64_t)(PKTGEN_STEP - 1);
		if (!all->first || s->first < all->first)
			all->first = s->first;
		if (s->last > all->last)
			all->last = s->last;
	}
	free(seen);
	return 0;
}

/* The samples, each in full; returns how many there are, and says of the first wrong one. */
static uint32_t judge_samples(struct pktgen_bpf *bpf, const struct expected *e, char why[160])
{
	static struct pktgen_sample sample;
	uint32_t taken = bpf->bss->pktgen_taken;
	const char *wrong;
	size_t where;

	if (taken > PKTGEN_SAMPLES)
		taken = PKTGEN_SAMPLES;
	for (uint32_t i = 0; i < taken; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.pktgen_samples), &i, &sample)) {
			snprintf(why, 160, "sample %u cannot be read", i);
			break;
		}
		wrong = frame_judge(e, sample.data, sample.len, &where);
		if (wrong) {
			snprintf(why, 160, "frame %u, %u bytes, %s (byte %zu is %02x)", i, sample.len,
				 wrong, where, sample.data[where]);
			break;
		}
	}
	return taken;
}

static void count(struct pktgen_bpf *bpf, const struct expected *e)
{
	const struct timespec pause = { .tv_nsec = QUIET_NS };
	struct pktgen_seen seen, before;
	char why[160] = "";
	uint64_t timed;
	uint32_t samples;
	int sources = 0, err;

	err = sum_up(bpf, &seen, &timed);
	do {
		before = seen;
		nanosleep(&pause, NULL);
		err |= sum_up(bpf, &seen, &timed);
	} while (!err && seen.right + seen.wrong != before.right + before.wrong);
	if (err) {
		complain("cannot read the counters");
		return;
	}
	for (size_t i = 0; i < sizeof(bpf->bss->pktgen_sources); i++)
		sources += bpf->bss->pktgen_sources[i];
	samples = judge_samples(bpf, e, why);
	if (seen.wrong && !*why)
		snprintf(why, sizeof(why),
			 "a frame of %llu bytes (expected %u) had %016llx (as in memory, lowest first) "
			 "at byte %llu",
			 seen.wrong_len, bpf->bss->pktgen_plan.len, seen.wrong_is, seen.wrong_word * 8);
	say(json_pack("{s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:s}", "right", (json_int_t)seen.right,
		      "wrong", (json_int_t)seen.wrong, "stray", (json_int_t)seen.stray, "timed",
		      (json_int_t)timed, "ns", (json_int_t)(seen.last - seen.first), "samples",
		      (int)samples, "sources", sources, "why", why));
}

static int far(struct pktgen_bpf *bpf, const char *ifname)
{
	struct expected e = { 0 };
	char line[512];

	if (attach(bpf->progs.pktgen_far, ifname))
		return 1;
	say(json_pack("{s:s}", "answer", "counting"));
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "expect ", 7))
			expect(bpf, &e, line + 7);
		else if (!strcmp(line, "count"))
			count(bpf, &e);
		else
			complain("what is there to do? expect, or count");
	}
	return 0;
}

static int redirect(struct pktgen_bpf *bpf, char **words)
{
	uint32_t key = 0, out = if_nametoindex(words[1]);

	if (attach(bpf->progs.pktgen_floor, words[0]) || attach(bpf->progs.pktgen_pass, words[1]))
		return 1;
	if (bpf_map_update_elem(bpf_map__fd(bpf->maps.pktgen_out), &key, &out, BPF_ANY)) {
		fprintf(stderr, "pktgen-ends: %s cannot be redirected to: %s\n", words[1],
			strerror(errno));
		return 1;
	}
	say(json_pack("{s:s}", "answer", "redirecting"));
	while (getchar() != EOF)
		;
	return 0;
}

int main(int argc, char **argv)
{
	bool is_far = argc == 3 && !strcmp(argv[1], "far");
	bool is_floor = argc == 6 && !strcmp(argv[1], "floor");
	struct pktgen_bpf *bpf;
	int status;

	if (!is_far && !is_floor) {
		fprintf(stderr, "usage: pktgen-ends far IF\n"
				"       pktgen-ends floor IN OUT SRC-MAC DST-MAC\n");
		return 2;
	}
	bpf = pktgen_bpf__open();
	if (!bpf) {
		fprintf(stderr, "pktgen-ends: cannot open its programs: %s\n", strerror(errno));
		return 1;
	}
	if (is_floor && (read_mac((uint8_t *)bpf->rodata->pktgen_macs, argv[5]) ||
			 read_mac((uint8_t *)bpf->rodata->pktgen_macs + 6, argv[4]))) {
		fprintf(stderr, "pktgen-ends: %s or %s is no MAC address\n", argv[4], argv[5]);
		return 2;
	}
	if (pktgen_bpf__load(bpf)) {
		fprintf(stderr, "pktgen-ends: the kernel does not take its programs; they need "
				"root, and Linux 5.18 or later\n");
		return 1;
	}
	status = is_far ? far(bpf, argv[2]) : redirect(bpf, argv + 2);
	pktgen_bpf__destroy(bpf);
	return status;
}
