/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the two far ends of the round trip benchmark agree on: how a datagram
 * looks, and what is known of each pledge.  Compiled for BPF and for user space:
 * includes <linux/types.h> only, and must know nothing of any relay.
 *
 * A datagram's content is a DTLS record by its header, then the pledge's number
 * and that of the trip, both in 8 bytes of the machine's own order, then bytes
 * that are the same in all.
 */
#ifndef JPX_TRIPS_ENDS_H
#define JPX_TRIPS_ENDS_H

#include <linux/types.h>

#define TRIPS_PLEDGES	 1024		       /* at most */
#define TRIPS_CONTENT	 317		       /* bytes, as a DTLS ClientHello with a cookie */
#define TRIPS_WORDS	 39		       /* whole 64-bit words of the content ... */
#define TRIPS_LAST	 309		       /* ... and where one begins that ends with it */
#define TRIPS_WORD_WHO	 2		       /* the word that says whose it is */
#define TRIPS_WORD_TRIP	 3		       /* the word that counts the pledge's trips */
#define TRIPS_FIRST_PORT 40000		       /* the pledges': this and their number */
#define TRIPS_IID	 0x52a1f00d00000000ULL /* their interface ids: this and their number */

/*
 * A veth's queue holds 256 frames, so no more than this are on the wire at a time.
 * Where there are more pledges, the others' datagrams wait at their end, as in a transmit queue.
 */
#define TRIPS_ON_WIRE 250

/* One pledge, as its end of the wire sees it.  A cache line each: two CPUs write here. */
struct trips_pledge {
	__u64 trip;   /* the number of the one that is under way */
	__u64 done;   /* answered, and right in every byte */
	__u64 rested; /* 1: answered, and told not to go on */
} __attribute__((aligned(64)));

/* Who sent a pledge's datagrams to the Registrar. */
struct trips_peer {
	__u64 addr_lo; /* the last 8 bytes of its address */
	__u64 port;    /* network order; 0: nothing came yet */
	__u64 changes; /* of the two, after the first time */
} __attribute__((aligned(64)));

/* Set by the runner before anything is sent. */
struct trips_plan {
	__u64 content[TRIPS_WORDS]; /* number and trip 0 */
	__u64 last;		    /* the 8 bytes from TRIPS_LAST on */
	__u64 content_sum;	    /* of all that, as 16-bit words in memory */
	__u64 relay_addr[2];	    /* where pledges send to and get answers from */
	__u32 relay_port_be, registrar_port_be;
	__u32 waiting; /* pledges at a time that wait for the wire, in trips_line */
};

/* What went wrong; every one of these but LATE leaves the run without a figure. */
enum trips_fault {
	TRIPS_LATE,	   /* an answer after the trip had been given up, or a second one */
	TRIPS_BAD_CONTENT, /* length or bytes, at the pledge */
	TRIPS_BAD_SUM,	   /* UDP checksum, at the pledge */
	TRIPS_BAD_OWNER,   /* another pledge's answer, or not from whom it asked */
	TRIPS_FAR_CONTENT, /* length or bytes, at the Registrar */
	TRIPS_FAR_SUM,	   /* UDP checksum, at the Registrar */
	TRIPS_FAULTS
};

#endif
