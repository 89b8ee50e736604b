/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A list of devices' serial numbers from a file: one a line in printable ASCII, # begins a
 * comment.
 */
#ifndef JPX_JPREG_SERIALS_H
#define JPX_JPREG_SERIALS_H

#include <stdbool.h>
#include <stddef.h>

struct serials;

/* NULL with a sentence in ERR that names the file and the line. */
struct serials *serials_read(const char *file, char *err, size_t err_len);
void serials_free(struct serials *serials);

bool serials_has(const struct serials *serials, const char *serial);

#endif
