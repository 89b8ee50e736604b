/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The 6tisch-Join-Info element of enhanced beacons (RFC 9032), and the IEEE 802.15.4 beacon
 * frame around it.  Pure: reads and writes bytes, sends nothing.
 */
#ifndef JPX_SIXTISCH_H
#define JPX_SIXTISCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Figure 1 of RFC 9032 counts its first row in columns that are not octets, though the rest
 * of the text reads as if they were. */
enum sixtisch_reading { SIXTISCH_COLUMNS, SIXTISCH_OCTETS };

struct sixtisch_join {
	bool router;		/* R: answers Router Solicitations */
	bool has_iid;		/* P: the proxy's interface identifier is here */
	uint8_t proxy_priority; /* 0 best, 0x7f never */
	uint16_t rank_priority; /* 12 bits as columns, 8 as octets */
	uint8_t pan_priority;
	uint8_t iid[8];
	uint8_t network_id[16];
	size_t network_id_len;
};

/* The element from its subtype on.  Returns the length, -E2BIG, or -ERANGE for a field that is more
 * than its bits can hold in this READING. */
int sixtisch_write(const struct sixtisch_join *join, enum sixtisch_reading reading,
		   unsigned char *buf, size_t len);
/* Reserved bits are ignored.  Returns 0, or -EINVAL. */
int sixtisch_read(const unsigned char *buf, size_t len, enum sixtisch_reading reading,
		  struct sixtisch_join *join);

/* A whole enhanced beacon without its checksum (IEEE 802.15.4-2015 7.3.1, 7.4.3), to everybody,
 * from the extended address EUI64 in PAN: the IETF payload IE with JOIN in it.  Returns the length
 * or a negative errno. */
int sixtisch_beacon_write(const struct sixtisch_join *join, enum sixtisch_reading reading,
			  const uint8_t eui64[8], uint16_t pan, uint8_t sequence,
			  unsigned char *buf, size_t len);
/* Returns 0 with the sender in EUI64; -ENOENT: a frame without the element, not from an extended
 * address or under security, which hides what follows; -EINVAL: a malformed one. */
int sixtisch_beacon_read(const unsigned char *frame, size_t len, enum sixtisch_reading reading,
			 struct sixtisch_join *join, uint8_t eui64[8]);

#endif
