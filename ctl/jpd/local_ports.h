/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The UDP ports that flows leave from without a socket (stateful mode), as seen
 * from this host's own sockets: keeps the kernel from handing them out, and says
 * which of them sockets hold all the same.
 *
 * Works in the network namespace of the calling thread.  Ports are in host byte
 * order, a range is FIRST and COUNT ports from it on.  Keeps no state: what it
 * reserved is the caller's to keep.
 *
 * Every call returns 0 or a negative errno and then leaves in ERR a sentence
 * without a full stop: what failed, where, why, and what to try.
 */
#ifndef JPX_LOCAL_PORTS_H
#define JPX_LOCAL_PORTS_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jpx/abi.h>

/*
 * Works out what local_ports_reserve() would add, and writes nothing.  ADDED: what
 * earlier calls added and never released, all zero if there were none; grows by the
 * ports of the range that nobody has reserved.
 *
 * Store ADDED, then call local_ports_reserve() with it: at whatever point the process
 * is killed, what is stored is what has to be released.
 *
 * -EINVAL: not a range of ports; -E2BIG: would be more than JPX_RESERVED_RANGES ranges,
 * because others reserved too many single ports within; -EADDRNOTAVAIL: no port would
 * be left for this host's sockets; -EBADMSG: the list cannot be read as one; -EUCLEAN:
 * ADDED is nothing that this module wrote; or what opening and reading gave.  ADDED is then
 * unchanged.
 */
int local_ports_plan(unsigned int first, unsigned int count, struct jpx_reserved *added,
		     char *err, size_t err_len);

/*
 * Reserves the range and leaves all other entries as they are.  ADDED as above.  May be
 * repeated at any time, to put back what another program's rewriting of the list lost;
 * writes only if a port is missing, so that it needs no rights where all are reserved.
 *
 * Errors are those of local_ports_plan(), those of opening and writing (-EROFS, -EACCES,
 * ...), and -EBUSY: another program keeps taking them out.  ADDED then still holds what
 * is to be released.
 */
int local_ports_reserve(unsigned int first, unsigned int count, struct jpx_reserved *added,
			char *err, size_t err_len);

/*
 * Takes exactly what ADDED says out of the list, and empties ADDED.  Ports of it that
 * somebody else has taken out already are no error.  The kernel has no way to take one
 * entry out: what another program changes in the microseconds between reading and
 * writing is lost.
 *
 * Errors are those of local_ports_reserve(); ADDED is then unchanged.
 */
int local_ports_release(struct jpx_reserved *added, char *err, size_t err_len);

/*
 * A socket holds a port.  ADDR: the address it is bound to, IPv4 mapped; :: and
 * ::ffff:0.0.0.0 are the wildcards, and one socket that is both is told twice.
 * IFINDEX: of the interface it is bound to, else 0.  PEER and PEER_PORT: zero unless
 * CONNECTED.  All pointers are valid during the call only.
 */
typedef void local_ports_fn(void *arg, const struct in6_addr *addr, uint16_t port, uint32_t ifindex,
			    bool connected, const struct in6_addr *peer, uint16_t peer_port);

/*
 * Calls FN for each UDP socket of this namespace whose local port is in the range
 * (sock_diag(7)); UDP-Lite is not looked at.  Waits for the kernel, in all at most a
 * second; FN is called before it returns.
 *
 * A dump that the kernel calls interrupted is done again, so FN may be told of a socket
 * twice, or of one that has just been closed.  -EAGAIN: it was interrupted each time;
 * what was told is true, but may not be all.  -ENOENT: a kernel without udp_diag.
 */
int local_ports_scan(unsigned int first, unsigned int count, local_ports_fn *fn, void *arg,
		     char *err, size_t err_len);

#endif
