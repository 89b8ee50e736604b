/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the frames look that must arrive in the pktgen benchmark. */
#ifndef JPX_PKTGEN_FRAMES_H
#define JPX_PKTGEN_FRAMES_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "ends.h"

enum form { FORM_FLOOR, FORM_STATELESS, FORM_STATEFUL };

/* What a run must bring; stateless is form draft-02. */
struct expected {
	enum form form;
	uint32_t size; /* of the content that pledges send */
	uint8_t dst_mac[6], src_mac[6];
	struct in6_addr src, dst; /* SRC is not the floor's: there it is the pledge's */
	uint32_t dport;
	uint32_t port_id;
	uint32_t pledges, first_port, ports; /* see struct pktgen_plan */
	uint32_t sample;
};

/* What differs from frame to frame. */
struct varying {
	uint32_t who, port, source, seq, checksum;
};

/* The frame with V in it, at most PKTGEN_FRAME_MAX bytes; returns its length. */
size_t frame_build(const struct expected *e, const struct varying *v, uint8_t *f);
/* What pktgen_far must know of it; -1 where it could not judge such frames. */
int frame_plan(const struct expected *e, struct pktgen_plan *plan);
/* Looks at all of a frame that arrived: NULL if it is right, else what is wrong, and WHERE. */
const char *frame_judge(const struct expected *e, const uint8_t *f, size_t len, size_t *where);

#endif
