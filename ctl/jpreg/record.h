/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was issued, to whom, when: a table in SQLite that survives the loss of power.  A certificate
 * is written down before it is handed out; what is written down is never taken out again.
 */
#ifndef JPX_JPREG_RECORD_H
#define JPX_JPREG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct record;

#define RECORD_SERIAL_MAX 20 /* octets of a serial number, RFC 5280 4.1.2.2 */

/* Opens the record in FILE, mode 0600, and makes it if there is none and it is to be WRITABLE. NULL
 * with a sentence in ERR that names the file and says what to try. */
struct record *record_open(const char *file, bool writable, char *err, size_t err_len);
void record_close(struct record *record);

struct record_entry {
	uint8_t serial[RECORD_SERIAL_MAX]; /* without zeros before it */
	size_t serial_len;
	uint8_t client[32];  /* SHA-256 of the certificate that it was asked for with */
	uint8_t request[32]; /* SHA-256 of the CSR's DER; zeros where the key was made here, as the
				certificate is not for the CSR's own and must not be found by it */
	const char *subject; /* as people read it (RFC 2253, ASCII) */
	const char *device;  /* the subject of the certificate that it was asked for with */
	time_t issued, not_after;
	time_t revoked;		    /* when, or 0; of record_each() */
	const uint8_t *certificate; /* DER */
	size_t certificate_len;
};

/* Adds ENTRY, on disk when this returns.  0; -ENOSPC where the disk is full; or another negative
 * errno, with a sentence in ERR: then nothing was added. */
int record_add(struct record *record, const struct record_entry *entry, char *err, size_t err_len);

/* The certificate that was issued last for the same CLIENT and REQUEST (both of 32 octets), so that
 * a pledge that lost our answer gets the same one again: its length, copied to BUF if that is not
 * more than CAP; 0 if there is none; a negative errno. */
long record_find(struct record *record, const uint8_t *client, const uint8_t *request, uint8_t *buf,
		 size_t cap);

/* How many were issued since SINCE to who has certificate CLIENT or, if it is not empty, the
 * subject DEVICE: renewed ones are other certificates of the same subject.  A negative errno. */
long record_count(struct record *record, const uint8_t *client, const char *device, time_t since);

/* The certificate with that serial number is revoked from WHEN on; for ever.  0, also if it was
 * before; -ENOENT: none was issued with it; another negative errno with a sentence in ERR. */
int record_revoke(struct record *record, const uint8_t *serial, size_t len, time_t when, char *err,
		  size_t err_len);

/* 1: it is revoked, 0: it is not; a negative errno: that cannot be told. */
int record_is_revoked(struct record *record, const uint8_t *serial, size_t len);

/* Tells FN of every entry, in the order in which they were issued, until it returns false.  0 or a
 * negative errno. */
int record_each(struct record *record, bool (*fn)(void *arg, const struct record_entry *entry),
		void *arg);

#endif
