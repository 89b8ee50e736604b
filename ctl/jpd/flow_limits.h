/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many flows there may be and for how long, as an operator says it, and how
 * large the tables for that have to be.  Numbers only.
 */
#ifndef JPX_FLOW_LIMITS_H
#define JPX_FLOW_LIMITS_H

struct datapath_sizes;

/* What the operator may say (jpd.conf(5), section flows). */
struct flows_limits {
	unsigned int first_port, port_count; /* UDP ports that flows leave from */
	unsigned int max;		     /* flows at once */
	unsigned int per_pledge, per_port;
	unsigned int idle, rest; /* seconds */
};

/* Of draft-ietf-anima-constrained-join-proxy-21, 4.3, where it says something. */
extern const struct flows_limits flows_limits_default;

/* How large tables for LIMITS have to be. */
void flows_sizes(const struct flows_limits *limits, struct datapath_sizes *sizes);

#endif
