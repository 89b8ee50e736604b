/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the BPF half of the JPY codec, alone, in the kernel.  Judges nothing.
 * Stops the program where the kernel refuses a run.
 */
#ifndef JPX_TESTS_CODEC_H
#define JPX_TESTS_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "codec_shared.h"

/* Returns 0, or a negative errno after a sentence on stderr. */
int codec_open(void);
void codec_close(void);

/* Writes the prefix for ASK at CODEC_OFF of PACKET, in place. */
void codec_write(const struct codec_ask *ask, uint8_t packet[CODEC_ROOM],
		 struct codec_written *written);

/* Reads the LEN bytes at MESSAGE in FORM: what the first gear says of it, and the second. */
void codec_read(uint32_t form, const uint8_t *message, size_t len, struct codec_read *first,
		struct codec_read *second);

#endif
