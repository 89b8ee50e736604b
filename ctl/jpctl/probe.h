/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel lets this process do with BPF, found out by trying.  Leaves
 * nothing behind: every program goes with its descriptor.
 */
#ifndef JPCTL_PROBE_H
#define JPCTL_PROBE_H

#include <stdbool.h>

/* Loads a program that passes every frame.  Returns 0 or a negative errno; COMPILED
 * tells whether the kernel compiled it (the JIT is on). */
int probe_xdp(bool *compiled);

/* Replaces a function of one XDP program by another program that changes packets, as
 * libxdp's dispatcher does to share an interface.  Returns 0 or a negative errno;
 * -EINVAL: the kernel wants a dispatcher as of libxdp 1.5.5. */
int probe_dispatcher(void);

#endif
