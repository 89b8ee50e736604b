/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The record of what was issued: nothing that was added is ever gone, and nothing is half there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../../ctl/jpreg/record.h"
#include "pki.h"
#include "power.h"

static char err[400];

static struct record *open_it(bool writable)
{
	return record_open(pki_file("issued.db"), writable, err, sizeof(err));
}

static int add(struct record *r, uint8_t n)
{
	static const uint8_t cert[900] = { 0x30 };
	struct record_entry e = {
		.serial = { n },
		.serial_len = 1,
		.client = { n / 10 },
		.request = { n },
		.subject = "CN=x'); DROP TABLE issued; --",
		.device = "CN=d",
		.issued = 1000 + n,
		.not_after = 2000,
		.certificate = cert,
		.certificate_len = sizeof(cert) - n,
	};

	return record_add(r, &e, err, sizeof(err));
}

struct seen {
	unsigned int count, stop_at;
};

static bool on_entry(void *arg, const struct record_entry *e)
{
	struct seen *seen = arg;

	assert_int_equal(e->serial[0], ++seen->count);
	assert_int_equal(e->serial_len, 1);
	assert_int_equal(e->issued, 1000 + e->serial[0]);
	assert_int_equal(e->certificate_len, 900 - e->serial[0]);
	assert_string_equal(e->subject, "CN=x'); DROP TABLE issued; --");
	assert_string_equal(e->device, "CN=d");
	return seen->count != seen->stop_at;
}

static unsigned int count_all(struct record *r)
{
	struct seen seen = { 0 };

	assert_int_equal(record_each(r, on_entry, &seen), 0);
	return seen.count;
}

static void test_adds_and_finds(void **state)
{
	const uint8_t client[32] = { 1 }, request[32] = { 12 }, other[32] = { 9 };
	struct record *r = open_it(true);
	struct seen seen = { .stop_at = 2 };
	uint8_t buf[1000];
	struct stat st;

	(void)state;
	assert_non_null(r);
	for (uint8_t n = 1; n <= 12; n++)
		assert_int_equal(add(r, n), 0);
	assert_int_equal(add(r, 12), -EEXIST);
	assert_int_equal(count_all(r), 12);
	assert_int_equal(record_each(r, on_entry, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(record_find(r, client, request, buf, sizeof(buf)), 888);
	assert_int_equal(buf[0], 0x30);
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(record_find(r, client, request, buf, 887), 888);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0xee);
	assert_int_equal(record_find(r, client, other, buf, sizeof(buf)), 0);
	assert_int_equal(record_count(r, client, "", 0), 3);
	assert_int_equal(record_count(r, client, "", 1011), 2);
	assert_int_equal(record_count(r, other, "", 0), 0);
	assert_int_equal(record_count(r, other, "CN=another", 0), 0);
	/* the same device, by another certificate */
	assert_true(record_count(r, other, "CN=d", 0) > 3);
	assert_int_equal(stat(pki_file("issued.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	record_close(r);
}

/* A reader beside a writer that has not ended. */
static void test_reads_beside(void **state)
{
	struct record *r = open_it(true), *reader;

	(void)state;
	assert_int_equal(add(r, 1), 0);
	reader = open_it(false);
	assert_non_null(reader);
	assert_int_equal(count_all(reader), 1);
	assert_int_equal(add(r, 2), 0);
	assert_int_equal(count_all(reader), 2);
	assert_int_equal(add(reader, 3), -EROFS);
	record_close(reader);
	record_close(r);
	/* ... and when the writer has ended. */
	reader = open_it(false);
	assert_non_null(reader);
	assert_int_equal(count_all(reader), 2);
	record_close(reader);
}

static void test_survives_its_process(void **state)
{
	struct record *r;
	int status;
	pid_t pid;

	(void)state;
	for (uint8_t n = 1; n <= 3; n++) {
		pid = fork();
		if (!pid) {
			r = open_it(true);
			if (!r || add(r, n))
				_exit(1);
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	r = open_it(true);
	assert_int_equal(count_all(r), 3);
	record_close(r);
}

/* Who asked gets an answer when this is over, so it has to be on the disk. */
static void test_survives_a_failure_of_power(void **state)
{
	struct record *r = open_it(true);
	const uint8_t serial = 1;

	(void)state;
	assert_non_null(r);
	power_watch();
	assert_int_equal(add(r, 1), 0);
	power_may_fail();
	power_watch();
	assert_true(record_revoke(r, &serial, 1, 5000, err, sizeof(err)) >= 0);
	power_may_fail();
	record_close(r);
}

static void test_no_room(void **state)
{
	struct rlimit before, small = { 0 };
	struct record *r = open_it(true);
	int ret = 0;
	uint8_t n = 0;

	(void)state;
	/* SIGXFSZ would end us: ignored, the write fails. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	small.rlim_cur = 64 * 1024;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (!ret && n < 200)
		ret = add(r, ++n);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_true(ret == -ENOSPC || ret == -EIO);
	assert_true(n > 1);
	assert_non_null(strstr(err, "issued.db"));
	/* What failed is not there, and may be added now. */
	assert_int_equal(count_all(r), n - 1u);
	assert_int_equal(add(r, n), 0);
	record_close(r);
	r = open_it(true);
	assert_int_equal(count_all(r), n);
	record_close(r);
}

static void test_disk_full(void **state)
{
	struct record *r;
	int ret = 0;
	uint8_t n = 0;

	(void)state;
	pki_small_disk();
	r = open_it(true);
	pki_roomy_disk();
	assert_non_null(r);
	while (!ret && n < 200)
		ret = add(r, ++n);
	assert_int_equal(ret, -ENOSPC);
	assert_non_null(strstr(err, "full"));
	assert_true(n > 1);
	assert_int_equal(count_all(r), n - 1u);
	assert_int_equal(add(r, n), -ENOSPC);
	record_close(r);
	r = open_it(true);
	assert_int_equal(add(r, n), 0);
	assert_int_equal(count_all(r), n);
	record_close(r);
}

static void change(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(pki_file("issued.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_refuses(void **state)
{
	struct record *r;
	FILE *f;

	(void)state;
	assert_null(open_it(false)); /* there is none yet */
	assert_non_null(strstr(err, "No such file"));
	r = open_it(true);
	record_close(r);
	change("PRAGMA user_version = 2");
	assert_null(open_it(true));
	assert_non_null(strstr(err, "version 2"));
	assert_null(open_it(false));
	change("PRAGMA user_version = -1");
	assert_null(open_it(true));
	assert_non_null(strstr(err, "version -1"));
	change("PRAGMA user_version = 1; DROP TABLE issued");
	assert_null(open_it(true));
	assert_non_null(strstr(err, "not a record"));
	f = fopen(pki_file("issued.db"), "w");
	assert_non_null(f);
	for (int i = 0; i < 2000; i++)
		fputs("no database", f);
	fclose(f);
	assert_null(open_it(true));
	assert_int_equal(remove(pki_file("issued.db")), 0);
	assert_int_equal(symlink("/dev/null", pki_file("issued.db")), 0);
	assert_null(open_it(true));
	/* Nothing is made where a link leads. */
	assert_int_equal(remove(pki_file("issued.db")), 0);
	assert_int_equal(symlink(pki_file("elsewhere"), pki_file("issued.db")), 0);
	assert_null(open_it(true));
	assert_int_equal(access(pki_file("elsewhere"), F_OK), -1);
}

static bool count_revoked(void *arg, const struct record_entry *e)
{
	time_t *at = arg;

	assert_int_equal(e->revoked, e->serial[0] == 2 ? 5000 : 0);
	if (e->revoked)
		*at = e->revoked;
	return true;
}

static void test_revoked(void **state)
{
	static const uint8_t two = 2, three = 3, nine = 9;
	struct record *r = open_it(true);
	time_t at = 0;

	(void)state;
	for (uint8_t n = 1; n < 4; n++)
		assert_int_equal(add(r, n), 0);
	assert_int_equal(record_is_revoked(r, &two, 1), 0);
	assert_int_equal(record_revoke(r, &two, 1, 5000, err, sizeof(err)), 0);
	assert_int_equal(record_revoke(r, &two, 1, 6000, err, sizeof(err)), 0); /* is so already */
	assert_int_equal(record_revoke(r, &nine, 1, 5000, err, sizeof(err)), -ENOENT);
	record_close(r);
	r = open_it(false);
	assert_int_equal(record_is_revoked(r, &two, 1), 1);
	assert_int_equal(record_is_revoked(r, &three, 1), 0);
	assert_int_equal(record_is_revoked(r, &nine, 1), 0);
	assert_int_equal(record_revoke(r, &three, 1, 1, err, sizeof(err)), -EROFS);
	assert_int_equal(record_each(r, count_revoked, &at), 0);
	assert_int_equal(at, 5000);
	record_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_adds_and_finds, pki_begin, pki_end),
		cmocka_unit_test_setup_teardown(test_reads_beside, pki_begin, pki_end),
		cmocka_unit_test_setup_teardown(test_survives_its_process, pki_begin, pki_end),
		cmocka_unit_test_setup_teardown(test_survives_a_failure_of_power, pki_begin,
						pki_end),
		cmocka_unit_test_setup_teardown(test_no_room, pki_begin, pki_end),
		cmocka_unit_test_setup_teardown(test_disk_full, pki_begin, pki_end),
		cmocka_unit_test_setup_teardown(test_refuses, pki_begin, pki_end),
		cmocka_unit_test_setup_teardown(test_revoked, pki_begin, pki_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
