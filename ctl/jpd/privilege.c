/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See privilege.h. */
#include "privilege.h"

#include <cap-ng.h>
#include <unistd.h>

#include "log.h"

void privilege_drop(void)
{
	static const unsigned int needed[] = {
		CAP_BPF,	      /* maps and programs, for interfaces attached later */
		CAP_PERFMON,	      /* the verifier's leave to compare packet pointers */
		CAP_NET_ADMIN,	      /* XDP, neighbours, rules, big and transparent sockets */
		CAP_NET_RAW,	      /* neighbour solicitations, beacons */
		CAP_NET_BIND_SERVICE, /* join ports below 1024 */
		CAP_SYS_ADMIN,	      /* finding a program again by its id (bpf(2)) */
	};

	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned int i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, needed[i]))
			jpx_debug("cannot keep a capability");
	if (capng_apply(CAPNG_SELECT_CAPS))
		jpx_warning("cannot drop privileges; going on with all of them");
}
