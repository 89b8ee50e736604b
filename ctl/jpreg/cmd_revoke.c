/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `jpreg revoke': certificates of the embedded CA that are no longer good; `jpreg crl': the list of
 * them, for others.  Both beside a running server, which looks at the record whenever somebody
 * comes.
 */
#include <argp.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crl.h"
#include "jpreg.h"
#include "pemfile.h"
#include "record.h"
#include "usage.h"

#define DEFAULT_STATE "/var/lib/jpreg"
#define DEFAULT_DAYS  30
#define MAX_DAYS      3650

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

enum { OPT_STATE = 256, OPT_DAYS };

struct settings {
	const char *dir;
	unsigned int days;
	int serials; /* where they begin in argv, 0: none */
};

/* ---- revoke ---- */

static const struct argp_option revoke_options[] = {
	{ "state-dir", OPT_STATE, "DIR", 0, "Where the record is kept (" DEFAULT_STATE ")", 0 },
	{ 0 },
};

static error_t parse_revoke(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;

	switch (key) {
	case OPT_STATE:
		s->dir = arg;
		break;
	case ARGP_KEY_ARG:
		s->serials = state->next - 1;
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which? `jpreg issued' has the serial numbers");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* TEXT in hexadecimal, as `jpreg issued' and openssl print it: its length, or 0. */
static size_t read_serial(const char *text, uint8_t serial[RECORD_SERIAL_MAX])
{
	BIGNUM *number = NULL;
	size_t len = 0;

	if (*text && strspn(text, "0123456789abcdefABCDEF") == strlen(text) &&
	    strlen(text) <= 2 * RECORD_SERIAL_MAX && BN_hex2bn(&number, text))
		len = (size_t)BN_bn2bin(number, serial);
	BN_free(number);
	return len;
}

int cmd_revoke(int argc, char **argv)
{
	static const struct argp argp = {
		.options = revoke_options,
		.parser = parse_revoke,
		.args_doc = "SERIAL...",
		.doc = "Revokes certificates that `jpreg serve' has issued: they can renew nothing "
		       "from now "
		       "on. There is no way back. `jpreg crl' tells others.",
	};
	struct settings s = { .dir = DEFAULT_STATE };
	uint8_t serial[RECORD_SERIAL_MAX];
	struct record *record;
	char file[300], err[400];
	int ret = 0;

	argv[0] = "jpreg revoke";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &s);
	snprintf(file, sizeof(file), "%s/issued.db", s.dir);
	/* It is not for us to make one. */
	record = record_open(file, false, err, sizeof(err));
	if (!record)
		return jpreg_fail("%s", err);
	record_close(record);
	record = record_open(file, true, err, sizeof(err));
	if (!record)
		return jpreg_fail("%s", err);
	for (int i = s.serials; !ret && i < argc; i++) {
		size_t len = read_serial(argv[i], serial);

		if (!len)
			ret = jpreg_fail(
				"\"%.50s\" is no serial number: hexadecimal, as `jpreg issued' "
				"prints "
				"it",
				argv[i]);
		else if ((ret = record_revoke(record, serial, len, time(NULL), err, sizeof(err))))
			ret = ret == -ENOENT ? jpreg_fail("%s: no certificate with serial number "
							  "%s was issued",
							  file, argv[i])
					     : jpreg_fail("%s", err);
		else
			printf("%s: revoked\n", argv[i]);
	}
	record_close(record);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- crl ---- */

static const struct argp_option crl_options[] = {
	{ "state-dir", OPT_STATE, "DIR", 0, "Where CA and record are kept (" DEFAULT_STATE ")", 0 },
	{ "days", OPT_DAYS, "N", 0,
	  "When the next list will be there, at the latest (" STRING(DEFAULT_DAYS) ")", 0 },
	{ 0 },
};

static error_t parse_crl(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;

	switch (key) {
	case OPT_STATE:
		s->dir = arg;
		break;
	case OPT_DAYS:
		s->days = usage_check_number(state, "--days", arg, 1, MAX_DAYS);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is no option", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int print_crl(const struct settings *s, char *err, size_t err_len)
{
	char file[300];
	STACK_OF(X509) *certs = NULL;
	struct record *record = NULL;
	EVP_PKEY *key;
	X509_CRL *list = NULL;

	snprintf(file, sizeof(file), "%s/ca.key", s->dir);
	key = pemfile_read_key(file, err, err_len);
	snprintf(file, sizeof(file), "%s/ca.pem", s->dir);
	if (key)
		certs = pemfile_read_certs(file, 1, err, err_len);
	snprintf(file, sizeof(file), "%s/issued.db", s->dir);
	if (certs)
		record = record_open(file, false, err, err_len);
	if (record) {
		snprintf(err, err_len, "%s: no list can be made of it", file);
		list = crl_make(record, sk_X509_value(certs, 0), key, s->days);
	}
	record_close(record);
	sk_X509_pop_free(certs, X509_free);
	EVP_PKEY_free(key);
	if (!list)
		return -1;
	PEM_write_X509_CRL(stdout, list);
	X509_CRL_free(list);
	snprintf(err, err_len, "standard output: cannot write all of it; is the disk full?");
	return fflush(stdout) || ferror(stdout) ? -1 : 0;
}

int cmd_crl(int argc, char **argv)
{
	static const struct argp argp = {
		.options = crl_options,
		.parser = parse_crl,
		.doc = "Prints the revocation list of the embedded CA in PEM, for those who have "
		       "to do with "
		       "devices that `jpreg serve' has certified.",
	};
	struct settings s = { .dir = DEFAULT_STATE, .days = DEFAULT_DAYS };
	char err[400];

	argv[0] = "jpreg crl";
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	return print_crl(&s, err, sizeof(err)) ? jpreg_fail("%s", err) : EXIT_SUCCESS;
}
