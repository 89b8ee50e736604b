/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files for targets that read and write by name: in memory, so that a fuzzer is not at the disk's
 * pace, and nothing is left when it is killed but an empty directory.
 */
#ifndef JPX_FUZZ_MEMORY_FILE_H
#define JPX_FUZZ_MEMORY_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

/* The name of a file that is INPUT, for its owner alone; good until the next call. */
static inline const char *memory_file(const uint8_t *input, size_t len)
{
	static char name[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("input", MFD_CLOEXEC);
		MUST(fd >= 0 && !fchmod(fd, 0600));
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	}
	MUST(!ftruncate(fd, 0) && pwrite(fd, input, len, 0) == (ssize_t)len);
	return name;
}

static char memory_dir[32];

static inline void memory_dir_remove(void)
{
	rmdir(memory_dir);
}

/* The name of a file NAME that may be written; good until the next call but one. */
static inline const char *memory_path(const char *name)
{
	static char path[2][80];
	static unsigned int n;

	if (!*memory_dir) {
		snprintf(memory_dir, sizeof(memory_dir), "/dev/shm/jpx-fuzz.XXXXXX");
		MUST(mkdtemp(memory_dir));
		atexit(memory_dir_remove);
	}
	n = !n;
	snprintf(path[n], sizeof(path[n]), "%s/%s", memory_dir, name);
	return path[n];
}

#endif
