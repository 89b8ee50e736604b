/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies a message to where the next byte is a page that nobody may touch.  A
 * sanitizer sees a byte too far only in code that was compiled with it; the
 * guard page stops the program in a library, too.  For tests only.
 */
#ifndef JPX_TEST_GUARD_H
#define JPX_TEST_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_ROOM (128 * 1024) /* a multiple of every page size there is */

/* The copy; good until the next call, and never to be freed. */
static inline const uint8_t *guarded(const void *buf, size_t len)
{
	static uint8_t *room;

	if (!room) {
		room = mmap(NULL, 2 * GUARD_ROOM, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED || mprotect(room + GUARD_ROOM, GUARD_ROOM, PROT_NONE))
			abort();
	}
	if (len > GUARD_ROOM)
		abort();
	if (len)
		memcpy(room + GUARD_ROOM - len, buf, len);
	return room + GUARD_ROOM - len;
}

#endif
