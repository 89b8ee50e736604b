/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for certificates as a Registrar sends them: certs-only messages and single ones.
 * What is read is written, and has to read the same.
 */
#include <openssl/err.h>
#include <string.h>

#include "certs.h"

#include "../unit/guard.h"
#include "fuzz.h"

#define MAX 4

static void same(X509 *a, X509 *b)
{
	uint8_t *der[2];
	long len[2] = { certs_write_one(a, &der[0]), certs_write_one(b, &der[1]) };

	MUST(len[0] > 0 && len[0] == len[1] && !memcmp(der[0], der[1], (size_t)len[0]));
	free(der[0]);
	free(der[1]);
}

static void has_subject(X509 *cert)
{
	char whole[256], cut[9];

	memset(whole, 'x', sizeof(whole));
	MUST(certs_subject(cert, whole, sizeof(whole)) == whole);
	MUST(memchr(whole, '\0', sizeof(whole)) && *whole);
	for (const char *c = whole; *c; c++)
		MUST(*c >= ' ' && *c <= '~');
	certs_subject(cert, cut, sizeof(cut));
	MUST(!strncmp(whole, cut, sizeof(cut) - 1));
}

static void try_several(const uint8_t *data, size_t len)
{
	STACK_OF(X509) *certs = certs_read(guarded(data, len), len, MAX), *again;
	uint8_t *der;
	long n;
	int count;

	if (!certs)
		return;
	count = sk_X509_num(certs);
	MUST(count >= 1 && count <= MAX);
	MUST(!certs_read(data, len, count - 1));
	n = certs_write(certs, &der);
	MUST(n > 0);
	again = certs_read(guarded(der, (size_t)n), (size_t)n, count);
	MUST(again && sk_X509_num(again) == count);
	for (int i = 0; i < count; i++) {
		same(sk_X509_value(certs, i), sk_X509_value(again, i));
		has_subject(sk_X509_value(certs, i));
	}
	free(der);
	sk_X509_pop_free(again, X509_free);
	sk_X509_pop_free(certs, X509_free);
}

static void try_one(const uint8_t *data, size_t len)
{
	X509 *cert = certs_read_one(guarded(data, len), len), *again;
	uint8_t *der;
	long n;

	if (!cert)
		return;
	n = certs_write_one(cert, &der);
	MUST(n > 0);
	again = certs_read_one(guarded(der, (size_t)n), (size_t)n);
	MUST(again);
	same(cert, again);
	has_subject(cert);
	free(der);
	X509_free(again);
	X509_free(cert);
}

FUZZ_TARGET(fuzz_certs)
{
	if (len > GUARD_ROOM)
		return 0;
	try_several(input, len);
	try_one(input, len);
	/* Errors that stay would be the next caller's. */
	MUST(!ERR_peek_error());
	return 0;
}
