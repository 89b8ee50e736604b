/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is a program in the kernel ours?  Ours is what works on our very maps, whoever put it there.
 */
#ifndef JPX_OURS_H
#define JPX_OURS_H

#include <stdbool.h>

#include "pinned.h"

/* Does the program with descriptor PROG_FD use MAPS' configuration? */
bool ours_is(const struct jpx_pinned *maps, int prog_fd);

/* The same by the program's id; false if there is none. */
bool ours_is_id(const struct jpx_pinned *maps, unsigned int prog_id);

#endif
