/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a failure of power would take: files and directories that were changed and not synced since.
 * Stands before the C library's own functions, for shared libraries, too.  To be included once by a
 * test, behind cmocka's header.
 */
#ifndef JPX_TEST_POWER_H
#define JPX_TEST_POWER_H

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POWER_MAX 16

static struct {
	bool on;
	ino_t at_risk[POWER_MAX]; /* 0: free */
	unsigned int changes;
} power;

static inline bool power_knows(ino_t ino)
{
	for (unsigned int i = 0; i < POWER_MAX; i++)
		if (power.at_risk[i] == ino)
			return true;
	return false;
}

static inline void power_changed(ino_t ino)
{
	unsigned int i = 0;

	power.changes++;
	if (power_knows(ino))
		return;
	while (i < POWER_MAX && power.at_risk[i])
		i++;
	assert_true(i < POWER_MAX);
	power.at_risk[i] = ino;
}

/* Terminals and pipes are no concern. */
static inline bool power_is_file(int fd, struct stat *st)
{
	return power.on && !fstat(fd, st) && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
}

static inline void power_synced(int fd)
{
	struct stat st;

	if (power_is_file(fd, &st))
		for (unsigned int i = 0; i < POWER_MAX; i++)
			if (power.at_risk[i] == st.st_ino)
				power.at_risk[i] = 0;
}

/* From now on; what was written before is not looked at. */
static inline void power_watch(void)
{
	memset(&power, 0, sizeof(power));
	power.on = true;
}

/* Something was changed, and all of it would be there after a failure of power now. */
static inline void power_may_fail(void)
{
	assert_true(power.changes > 0);
	for (unsigned int i = 0; i < POWER_MAX; i++)
		assert_int_equal(power.at_risk[i], 0);
	power.on = false;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	struct stat st;

	if (power_is_file(fd, &st))
		power_changed(st.st_ino);
	return syscall(SYS_write, fd, buf, len);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
	struct stat st;

	if (power_is_file(fd, &st))
		power_changed(st.st_ino);
	return syscall(SYS_pwrite64, fd, buf, len, at);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	return pwrite64(fd, buf, len, at);
}

int fsync(int fd)
{
	int ret = (int)syscall(SYS_fsync, fd);

	if (!ret)
		power_synced(fd);
	return ret;
}

int fdatasync(int fd)
{
	int ret = (int)syscall(SYS_fdatasync, fd);

	if (!ret)
		power_synced(fd);
	return ret;
}

/* The new name may be there without what is in the file, so that has to be on the disk before. */
int rename(const char *from, const char *to)
{
	char directory[4096];
	struct stat st;

	if (power.on && !stat(from, &st)) {
		assert_false(power_knows(st.st_ino));
		snprintf(directory, sizeof(directory), "%s", to);
		assert_int_equal(stat(dirname(directory), &st), 0);
		power_changed(st.st_ino);
	}
	return (int)syscall(SYS_rename, from, to);
}

#endif
