/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See codec.h. */
#include "codec.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#include "codec.skel.h"

static struct codec_bpf *skel;

int codec_open(void)
{
	struct bpf_map *map;
	int err;

	skel = codec_bpf__open();
	if (!skel)
		return -errno;
	bpf_object__for_each_map(map, skel->obj) {
		if (!bpf_map__is_internal(map) && map != skel->maps.jpx_walk)
			bpf_map__set_autocreate(map, false);
	}
	err = codec_bpf__load(skel);
	if (err)
		fprintf(stderr, "packet tests: cannot load the codec: %s\n", strerror(-err));
	return err;
}

void codec_close(void)
{
	codec_bpf__destroy(skel);
}

static void run(const struct bpf_program *prog, uint8_t *packet, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = (uint32_t)len,
		    .data_out = packet, .data_size_out = (uint32_t)len, .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	if (err || opts.retval != XDP_PASS) {
		fprintf(stderr, "packet tests: cannot run %s on %zu bytes: %s\n",
			bpf_program__name(prog), len, strerror(-err));
		exit(1);
	}
}

void codec_write(const struct codec_ask *ask, uint8_t packet[CODEC_ROOM],
		 struct codec_written *written)
{
	skel->bss->codec_ask = *ask;
	memset(&skel->bss->codec_written, 0, sizeof(skel->bss->codec_written));
	run(skel->progs.codec_write, packet, CODEC_ROOM);
	*written = skel->bss->codec_written;
}

void codec_read(uint32_t form, const uint8_t *message, size_t len, struct codec_read *first,
		struct codec_read *second)
{
	uint8_t packet[CODEC_OFF + FRAME_MAX] = { 0 };

	if (len > FRAME_MAX)
		exit(1);
	memcpy(packet + CODEC_OFF, message, len);
	skel->bss->codec_ask.form = form;
	run(skel->progs.codec_read, packet, CODEC_OFF + len);
	*first = skel->bss->codec_first;
	*second = skel->bss->codec_second;
}
