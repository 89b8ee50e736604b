/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See clock.h. */
#include "clock.h"

#include <time.h>

uint64_t jpx_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
