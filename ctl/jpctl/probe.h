/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel lets this process do, found out by trying.  Leaves nothing behind: every
 * program and map goes with its descriptor.  The kernel may load a module of its own to answer.
 */
#ifndef JPCTL_PROBE_H
#define JPCTL_PROBE_H

#include <stdbool.h>

/* Loads a program that passes every frame.  Returns 0 or a negative errno; COMPILED
 * tells whether the kernel compiled it (the JIT is on). */
int probe_xdp(bool *compiled);

/*
 * The following return 0 if the kernel lets this process have it, or a negative errno.  A and B
 * are what each says it takes; those that say nothing are without.
 */

/* Programs of type A, for B (enum bpf_attach_type). */
int probe_program(int a, int b);

/* Maps of type A, with flags B. */
int probe_map(int a, int b);

/* Helper B (enum bpf_func_id) in programs of type A. */
int probe_helper(int a, int b);

/* Is what is loaded compiled?  -ENOEXEC if it is interpreted. */
int probe_jit(int a, int b);

/* Arrays that can be mapped into memory. */
int probe_mmapable(int a, int b);

/* Running an XDP program on a packet of one's own. */
int probe_run(int a, int b);

/* Replacing a function of an XDP program by another program, and by one that changes packets. */
int probe_extension(int a, int b);
int probe_changing_extension(int a, int b);

/* The list of the host's UDP sockets, over sock_diag. */
int probe_udp_diag(int a, int b);

/* Routing rules for IPv6. */
int probe_rules(int a, int b);

/* Interfaces of kind lowpan.  None is made. */
int probe_lowpan(int a, int b);

/* Sockets of IEEE 802.15.4. */
int probe_wpan_socket(int a, int b);

/* Replaces a function of one XDP program by another program that changes packets, as
 * libxdp's dispatcher does to share an interface.  Returns 0 or a negative errno;
 * -EINVAL: the kernel wants a dispatcher as of libxdp 1.5.5. */
int probe_dispatcher(void);

#endif
