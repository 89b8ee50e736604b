/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The clock that everything in user space measures by.
 */
#ifndef JPX_CLOCK_H
#define JPX_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t jpx_now_ms(void);

#endif
