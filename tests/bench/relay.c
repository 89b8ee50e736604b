/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How fast is a relay in user space?  The way in is the same as the fast path's
 * (live frames out of far0), but p0 passes them to the stack; the relay runs on
 * a CPU of its own and what it sends is counted at tc ingress of far1.  The
 * reception by the stack happens on the generator's CPU and is not held against
 * the relay: the comparison favours it.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "bench.skel.h"

#define RELAY_CPU  1
#define SLICE	   2000 /* packets between two looks at the clock */
#define START_S	   10
#define WARM_UP_NS 200000000ULL

static pid_t spawn(const char *command, unsigned int join_port)
{
	pid_t parent = getpid(), pid = fork();
	char number[16];
	cpu_set_t cpus;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	CPU_ZERO(&cpus);
	CPU_SET(RELAY_CPU, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
		perror("bench: cannot pin the relay to its CPU");
		_exit(127);
	}
	setenv("BENCH_PLEDGE_IF", "p0", 1);
	setenv("BENCH_UPLINK_IF", "p1", 1);
	snprintf(number, sizeof(number), "%u", join_port);
	setenv("BENCH_JOIN_PORT", number, 1);
	setenv("BENCH_REGISTRAR", BENCH_REGISTRAR, 1);
	snprintf(number, sizeof(number), "%d", BENCH_REGISTRAR_PORT);
	setenv("BENCH_REGISTRAR_PORT", number, 1);
	setenv("COMMAND", command, 1);
	execl("/bin/sh", "sh", "-c", "eval \"exec $COMMAND\"", (char *)NULL);
	_exit(127);
}

/* Is some socket of this namespace bound to UDP port PORT? */
static bool listening(unsigned int port)
{
	FILE *f = fopen("/proc/self/net/udp6", "r");
	char line[512];
	unsigned int local;
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, " %*u: %*32[0-9A-Fa-f]:%x", &local) == 1 && local == port;
	fclose(f);
	return found;
}

/* How long PID has run and how long it has waited for the CPU, in ns. */
static void cpu_ns(pid_t pid, uint64_t *ran, uint64_t *waited)
{
	char path[64];
	FILE *f;

	*ran = *waited = 0;
	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, ran, waited) != 2)
		*ran = *waited = 0;
	fclose(f);
}

static int offer(struct bench *b, const struct bench_frames *f, uint64_t for_ns, uint64_t *offered)
{
	struct xdp_md in = {
		.data_end = (uint32_t)f->sent_len,
		.ingress_ifindex = (uint32_t)b->topo.far0,
	};
	uint64_t start = bench_now_ns();

	for (*offered = 0; bench_now_ns() < start + for_ns; *offered += SLICE) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = f->sent[0],
			    .data_size_in = (uint32_t)f->sent_len, .ctx_in = &in,
			    .ctx_size_in = sizeof(in), .repeat = SLICE,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
		int err =
			bpf_prog_test_run_opts(bpf_program__fd(b->bpf->progs.bench_generate), &run);

		if (err)
			return err;
	}
	return 0;
}

static int measure(struct bench *b, const struct bench_case *c, pid_t pid, double seconds,
		   struct bench_relay *r)
{
	const struct bench_frames *f = c->frames[BENCH_JPX];
	const volatile struct bench_seen *seen = &b->bpf->bss->bench_seen;
	uint64_t offered, good, bad, start, ns;
	uint64_t ran, waited, ran_then, waited_then;
	int err;

	bench_plan(b, f);
	b->bpf->bss->bench_plan.relay_port = __builtin_bswap16(BENCH_REGISTRAR_PORT);
	memcpy(&b->bpf->bss->bench_plan.relay_tail, f->sent[0] + f->sent_len - 8, 8);
	err = offer(b, f, WARM_UP_NS, &offered);
	if (err)
		return err;
	good = seen->good;
	bad = seen->bad;
	cpu_ns(pid, &ran_then, &waited_then);
	start = bench_now_ns();
	err = offer(b, f, (uint64_t)(seconds * 1e9), &offered);
	ns = bench_now_ns() - start;
	r->good = seen->good - good;
	r->bad = seen->bad - bad;
	cpu_ns(pid, &ran, &waited);
	r->share = (double)(ran - ran_then) / (double)ns;
	r->wanted = r->share + (double)(waited - waited_then) / (double)ns;
	r->pps = (double)r->good * 1e9 / (double)ns;
	r->offered = (double)offered * 1e9 / (double)ns;
	r->pps_per_core = r->share > 0 ? r->pps / r->share : 0;
	return err;
}

int bench_relay_measure(struct bench *b, const struct bench_case *c, const char *command,
			double seconds, struct bench_relay *r)
{
	const uint8_t *sent = c->frames[BENCH_JPX]->sent[0];
	unsigned int join_port = (unsigned int)(sent[56] << 8 | sent[57]);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = b->topo.far1, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, tc, .prog_fd = bpf_program__fd(b->bpf->progs.bench_relay_sink));
	LIBBPF_OPTS(bpf_link_create_opts, xdp);
	int err, status;
	bool dead = false;
	pid_t pid;

	memset(r, 0, sizeof(*r));
	/* The sink at far1 would make the relay's CPU convert each skb to a frame. */
	close(b->far1_link);
	err = bpf_link_update(b->p0_link, bpf_program__fd(b->bpf->progs.bench_pass), NULL);
	if (!err)
		err = bpf_tc_hook_create(&hook);
	if (!err || err == -EEXIST)
		err = bpf_tc_attach(&hook, &tc);
	pid = err ? -1 : spawn(command, join_port);
	if (pid < 0) {
		fprintf(stderr, "bench: cannot set the relay up: %s\n",
			strerror(err ? -err : errno));
		err = err ? err : -errno;
		goto restore;
	}
	for (int i = 0; i < START_S * 100 && !dead && !listening(join_port); i++) {
		usleep(10000);
		dead = waitpid(pid, &status, WNOHANG) == pid;
	}
	if (dead || !listening(join_port)) {
		fprintf(stderr, "bench: the relay (%s) %s within %d s; run it by hand to see why\n",
			command, dead ? "ended instead of listening" : "did not listen", START_S);
		err = -ESRCH;
	} else {
		err = measure(b, c, pid, seconds, r);
		if (!err && (r->bad || !r->good)) {
			fprintf(stderr,
				"bench: the relay (%s) sent %" PRIu64 " packets right and %" PRIu64
				" wrong\n",
				command, r->good, r->bad);
			err = -EBADMSG;
		}
	}
	if (!dead) {
		kill(pid, SIGTERM);
		for (int i = 0; i < 100 && !dead; i++) {
			usleep(10000);
			dead = waitpid(pid, &status, WNOHANG) == pid;
		}
	}
	if (!dead) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
restore:
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
	xdp.flags = 1U << 2; /* XDP_FLAGS_DRV_MODE */
	b->far1_link = bpf_link_create(bpf_program__fd(b->bpf->progs.bench_sink), b->topo.far1,
				       BPF_XDP, &xdp);
	return err ? err : b->far1_link < 0 ? b->far1_link : 0;
}
