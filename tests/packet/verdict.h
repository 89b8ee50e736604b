/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of one frame, and whether that was right: verdict, bytes and
 * counters.  Failures are printed and counted, so that one bad row does not hide
 * the next; done() gives up on them.  Knows nothing of what is being tested.
 */
#ifndef JPX_TESTS_VERDICT_H
#define JPX_TESTS_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

#define ROWS(a) (sizeof(a) / sizeof(*(a)))

/* Chance, from JPX_PACKET_SEED or a seed that is always the same; printed by reseed(). */
void reseed(void);
uint64_t rnd(void);
uint32_t below(uint32_t n);

enum kind {
	FOREIGN, /* passed, nothing counted */
	RELAYED,
	DROPPED, /* for a reason */
	HANDED,	 /* passed, for a reason */
};

struct outcome {
	enum kind kind;
	unsigned int why;
	uint8_t counted_at; /* port id */
	bool to_pledge;
	bool noted; /* the pledge's MAC; ODD: as an EUI-64 address that lies */
	bool odd;
	uint32_t service; /* RELAYED: whose activity it is, and to the Registrar the way out */
	bool same_interface;
	size_t content_len;
};

/* How many there were in this test. */
extern int failures;

void fail_row(const char *text, const char *what, long got, long wanted);
void fail_bytes(const char *text, const uint8_t *got, size_t got_len, const uint8_t *wanted,
		size_t wanted_len);

/* At the end of a test: fails it if anything did. */
void done(void);

/* XDP_... */
int verdict_of(const struct outcome *o);

/* Runs the frame and checks verdict and bytes.  WANT: what must come out when relayed. */
void run(const char *text, int slot, const uint8_t *in, size_t len, size_t meta,
	 const struct outcome *o, const uint8_t *want, size_t want_len);

/* The same, with every counter of every port and both maps of MACs looked at. */
void run_row(const char *text, int slot, const uint8_t *in, size_t len, size_t meta,
	     const struct outcome *o, const uint8_t *want, size_t want_len);

/* That alone, around a run: what has been counted in between must be O and nothing else. */
void counters_begin(void);
void counters_end(const char *text, const struct outcome *o);

/* As run_row() for thousands: only the counters of the ports that could have moved. */
void run_fast(const char *text, int slot, const uint8_t *in, size_t len, const struct outcome *o,
	      const uint8_t *want, size_t want_len);

/* Content of LEN bytes that passes for DTLS, different from byte to byte. */
void fill_content(uint8_t *content, size_t len);

/* The MAC that draft-21 carries: the sender's where it is one. */
uint64_t carried_mac(const struct frame_spec *spec);

/* What must come out for SPEC: JPY by the user half, all the rest by the builder. */
size_t wrapped(uint8_t port, uint32_t service, const struct frame_spec *spec,
	       uint8_t out[FRAME_MAX]);

#endif
