/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See record.h.  SQLite with a write-ahead log that is on the disk before a transaction is over
 * (synchronous = FULL): one fsync an entry, and a reader disturbs nobody.
 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define SHA256_LEN     32
#define BUSY_MS	       2000 /* for somebody else who writes: there should be nobody */

static const char schema[] = "BEGIN IMMEDIATE;"
			     "CREATE TABLE issued ("
			     " n INTEGER PRIMARY KEY AUTOINCREMENT,"
			     " serial BLOB NOT NULL UNIQUE,"
			     " client BLOB NOT NULL,"  /* SHA-256 */
			     " request BLOB NOT NULL," /* SHA-256 */
			     " subject TEXT NOT NULL,"
			     " device TEXT NOT NULL,"
			     " issued INTEGER NOT NULL," /* seconds since 1970 */
			     " not_after INTEGER NOT NULL,"
			     " certificate BLOB NOT NULL);"
			     "CREATE INDEX by_client ON issued (client, issued);"
			     "CREATE INDEX by_device ON issued (device, issued);"
			     "CREATE TABLE revoked ("
			     " serial BLOB PRIMARY KEY,"
			     " at INTEGER NOT NULL);"
			     "PRAGMA user_version = 1;"
			     "COMMIT;";

struct record {
	sqlite3 *db;
	sqlite3_stmt *add, *find, *count, *each, *revoke, *is_revoked;
	char file[256];
};

/* ---- opening ---- */

static int number_of(sqlite3 *db, const char *sql, int *number)
{
	sqlite3_stmt *stmt;
	int ret = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (ret)
		return ret;
	ret = sqlite3_step(stmt);
	if (ret == SQLITE_ROW)
		*number = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return ret == SQLITE_ROW ? SQLITE_OK : ret ? ret : SQLITE_ERROR;
}

static bool prepare(struct record *r, bool writable)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
		bool writes;
	} all[] = {
		{ &r->add,
		  "INSERT INTO issued (serial, client, request, subject, device, issued, "
		  "not_after, "
		  "certificate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		  true },
		{ &r->find,
		  "SELECT certificate FROM issued WHERE client = ?1 AND request = ?2 "
		  "ORDER BY n DESC LIMIT 1",
		  false },
		{ &r->count,
		  "SELECT count(*) FROM issued WHERE issued >= ?2 AND "
		  "(client = ?1 OR (device = ?3 AND ?3 <> ''))",
		  false },
		{ &r->each,
		  "SELECT serial, client, request, subject, device, issued, not_after, "
		  "certificate, "
		  "ifnull((SELECT at FROM revoked WHERE revoked.serial = issued.serial), 0) "
		  "FROM issued ORDER BY n",
		  false },
		{ &r->revoke,
		  "INSERT INTO revoked (serial, at) SELECT serial, ?2 FROM issued "
		  "WHERE serial = ?1 ON CONFLICT DO UPDATE SET at = at",
		  true },
		{ &r->is_revoked, "SELECT 1 FROM revoked WHERE serial = ?1", false },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if ((writable || !all[i].writes) &&
		    sqlite3_prepare_v3(r->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
				       all[i].stmt, NULL))
			return false;
	return true;
}

/* Nobody else is to read it, not even while SQLite makes it. */
static int make_file(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	close(fd);
	return ret;
}

/* Tables and settings.  A sentence in ERR, or true. */
static bool set_up(struct record *r, bool writable, char *err, size_t err_len)
{
	int version = 0;

	if (sqlite3_busy_timeout(r->db, BUSY_MS) ||
	    (writable && sqlite3_exec(r->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
				      NULL, NULL, NULL)) ||
	    number_of(r->db, "PRAGMA user_version", &version) ||
	    (!version && writable && sqlite3_exec(r->db, schema, NULL, NULL, NULL))) {
		snprintf(err, err_len, "%s: cannot be used as a record of what was issued: %s",
			 r->file, sqlite3_errmsg(r->db));
		return false;
	}
	if (version != SCHEMA_VERSION && (version || !writable)) {
		snprintf(err, err_len, "%s: a record of version %d, where this program knows %d",
			 r->file, version, SCHEMA_VERSION);
		return false;
	}
	if (!prepare(r, writable)) {
		snprintf(err, err_len, "%s: not a record of what was issued: %s", r->file,
			 sqlite3_errmsg(r->db));
		return false;
	}
	return true;
}

struct record *record_open(const char *file, bool writable, char *err, size_t err_len)
{
	struct record *r = calloc(1, sizeof(*r));
	int ret;

	if (!r) {
		snprintf(err, err_len, "%s: no memory", file);
		return NULL;
	}
	snprintf(r->file, sizeof(r->file), "%s", file);
	ret = writable ? make_file(file) : access(file, R_OK) ? -errno : 0;
	if (ret) {
		snprintf(err, err_len, "%s: cannot be opened: %s", file, strerror(-ret));
		record_close(r);
		return NULL;
	}
	if (sqlite3_open_v2(file, &r->db, writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY,
			    NULL)) {
		snprintf(err, err_len, "%s: cannot be opened: %s", file,
			 r->db ? sqlite3_errmsg(r->db) : "no memory");
		record_close(r);
		return NULL;
	}
	if (!set_up(r, writable, err, err_len)) {
		record_close(r);
		return NULL;
	}
	return r;
}

void record_close(struct record *r)
{
	if (!r)
		return;
	sqlite3_finalize(r->add);
	sqlite3_finalize(r->find);
	sqlite3_finalize(r->count);
	sqlite3_finalize(r->each);
	sqlite3_finalize(r->revoke);
	sqlite3_finalize(r->is_revoked);
	sqlite3_close(r->db);
	free(r);
}

/* ---- entries ---- */

static int error_of(int ret)
{
	switch (ret & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	default:
		return -EIO;
	}
}

int record_add(struct record *r, const struct record_entry *e, char *err, size_t err_len)
{
	sqlite3_stmt *s = r->add;
	int ret;

	if (!s) {
		snprintf(err, err_len, "%s: opened for reading", r->file);
		return -EROFS;
	}
	if (sqlite3_bind_blob(s, 1, e->serial, (int)e->serial_len, SQLITE_STATIC) ||
	    sqlite3_bind_blob(s, 2, e->client, sizeof(e->client), SQLITE_STATIC) ||
	    sqlite3_bind_blob(s, 3, e->request, sizeof(e->request), SQLITE_STATIC) ||
	    sqlite3_bind_text(s, 4, e->subject, -1, SQLITE_STATIC) ||
	    sqlite3_bind_text(s, 5, e->device, -1, SQLITE_STATIC) ||
	    sqlite3_bind_int64(s, 6, e->issued) || sqlite3_bind_int64(s, 7, e->not_after) ||
	    sqlite3_bind_blob64(s, 8, e->certificate, e->certificate_len, SQLITE_STATIC))
		ret = SQLITE_NOMEM;
	else
		ret = sqlite3_step(s);
	if (ret != SQLITE_DONE)
		snprintf(err, err_len, "%s: %s", r->file, sqlite3_errmsg(r->db));
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return ret == SQLITE_DONE ? 0 : error_of(ret);
}

long record_find(struct record *r, const uint8_t *client, const uint8_t *request, uint8_t *buf,
		 size_t cap)
{
	sqlite3_stmt *s = r->find;
	long len = -ENOMEM;
	const void *blob;
	int ret;

	if (!sqlite3_bind_blob(s, 1, client, SHA256_LEN, SQLITE_STATIC) &&
	    !sqlite3_bind_blob(s, 2, request, SHA256_LEN, SQLITE_STATIC)) {
		ret = sqlite3_step(s);
		len = ret == SQLITE_ROW	   ? sqlite3_column_bytes(s, 0)
		      : ret == SQLITE_DONE ? 0
					   : error_of(ret);
		blob = len > 0 ? sqlite3_column_blob(s, 0) : NULL;
		if (len > 0 && !blob)
			len = -ENOMEM;
		else if (len > 0 && (size_t)len <= cap)
			memcpy(buf, blob, (size_t)len);
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return len;
}

long record_count(struct record *r, const uint8_t *client, const char *device, time_t since)
{
	sqlite3_stmt *s = r->count;
	long count = -ENOMEM;
	int ret;

	if (!sqlite3_bind_blob(s, 1, client, SHA256_LEN, SQLITE_STATIC) &&
	    !sqlite3_bind_int64(s, 2, since) &&
	    !sqlite3_bind_text(s, 3, device, -1, SQLITE_STATIC)) {
		ret = sqlite3_step(s);
		count = ret == SQLITE_ROW ? (long)sqlite3_column_int64(s, 0) : error_of(ret);
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return count;
}

int record_revoke(struct record *r, const uint8_t *serial, size_t len, time_t when, char *err,
		  size_t err_len)
{
	sqlite3_stmt *s = r->revoke;
	int ret;

	if (!s) {
		snprintf(err, err_len, "%s: opened for reading", r->file);
		return -EROFS;
	}
	if (sqlite3_bind_blob(s, 1, serial, (int)len, SQLITE_STATIC) ||
	    sqlite3_bind_int64(s, 2, when))
		ret = SQLITE_NOMEM;
	else
		ret = sqlite3_step(s);
	if (ret != SQLITE_DONE)
		snprintf(err, err_len, "%s: %s", r->file, sqlite3_errmsg(r->db));
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	if (ret != SQLITE_DONE)
		return error_of(ret);
	/* What was revoked before is written once more, with its old time. */
	return sqlite3_changes(r->db) ? 0 : -ENOENT;
}

int record_is_revoked(struct record *r, const uint8_t *serial, size_t len)
{
	sqlite3_stmt *s = r->is_revoked;
	int ret = SQLITE_NOMEM;

	if (!sqlite3_bind_blob(s, 1, serial, (int)len, SQLITE_STATIC))
		ret = sqlite3_step(s);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return ret == SQLITE_ROW ? 1 : ret == SQLITE_DONE ? 0 : error_of(ret);
}

static bool copy_blob(sqlite3_stmt *s, int column, uint8_t *out, size_t len)
{
	const void *blob = sqlite3_column_blob(s, column);

	if (!blob || (size_t)sqlite3_column_bytes(s, column) != len)
		return false;
	memcpy(out, blob, len);
	return true;
}

int record_each(struct record *r, bool (*fn)(void *arg, const struct record_entry *entry),
		void *arg)
{
	sqlite3_stmt *s = r->each;
	struct record_entry e;
	bool more = true;
	int ret = SQLITE_DONE;

	while (more && (ret = sqlite3_step(s)) == SQLITE_ROW) {
		memset(&e, 0, sizeof(e));
		e.serial_len = (size_t)sqlite3_column_bytes(s, 0);
		if (e.serial_len > sizeof(e.serial) || !copy_blob(s, 0, e.serial, e.serial_len) ||
		    !copy_blob(s, 1, e.client, sizeof(e.client)) ||
		    !copy_blob(s, 2, e.request, sizeof(e.request))) {
			ret = SQLITE_CORRUPT;
			break;
		}
		e.subject = (const char *)sqlite3_column_text(s, 3);
		e.device = (const char *)sqlite3_column_text(s, 4);
		e.issued = sqlite3_column_int64(s, 5);
		e.not_after = sqlite3_column_int64(s, 6);
		e.certificate = sqlite3_column_blob(s, 7);
		e.certificate_len = (size_t)sqlite3_column_bytes(s, 7);
		e.revoked = sqlite3_column_int64(s, 8);
		if (!e.subject || !e.device) {
			ret = SQLITE_NOMEM;
			break;
		}
		more = fn(arg, &e);
	}
	sqlite3_reset(s);
	return ret == SQLITE_DONE || ret == SQLITE_ROW ? 0 : error_of(ret);
}
