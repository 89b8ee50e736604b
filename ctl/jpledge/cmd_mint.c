/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * jpledge mint: a throw-away manufacturer, and devices of its making.  For tests and
 * demonstrations: its CA's key lies beside everything else.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "issue.h"
#include "jpledge.h"
#include "pemfile.h"
#include "usage.h"

#define COUNT_MAX 100000
#define CA_S	  (20L * 365 * 86400)

enum { OPT_COUNT = 256, OPT_FIRST };

static const struct argp_option option_list[] = {
	{ "count", OPT_COUNT, "N", 0, "How many devices (1)", 0 },
	{ "first", OPT_FIRST, "N", 0, "Number of the first one (1)", 0 },
	{ 0 },
};

struct options {
	const char *dir;
	unsigned long count, first;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_COUNT:
		o->count = usage_check_number(state, "--count", arg, 1, COUNT_MAX);
		break;
	case OPT_FIRST:
		o->first = usage_check_number(state, "--first", arg, 1, 99999999);
		break;
	case ARGP_KEY_ARG:
		if (o->dir)
			argp_error(state, "more than one directory");
		o->dir = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no directory");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct maker {
	EVP_PKEY *key;
	X509 *cert;
};

static int make_maker(struct maker *maker, const char *key_file, const char *cert_file, char *err,
		      size_t err_len)
{
	time_t now = time(NULL);
	X509_NAME *name = issue_name("jpledge maker");
	STACK_OF(X509) *certs = sk_X509_new_null();
	struct issue_request r = {
		.kind = ISSUE_CA, .subject = name, .not_before = now - 3600, .not_after = now + CA_S
	};
	int ret = -1;

	r.key = maker->key = issue_key();
	maker->cert = name && maker->key ? issue_certificate(&r) : NULL;
	snprintf(err, err_len, "OpenSSL can make no CA");
	if (certs && maker->cert && sk_X509_push(certs, maker->cert) &&
	    !pemfile_write_key(key_file, maker->key, err, err_len))
		ret = pemfile_write_certs(cert_file, certs, err, err_len);
	sk_X509_free(certs);
	X509_NAME_free(name);
	return ret;
}

/* The one that is there, or a new one. */
static int get_maker(struct maker *maker, const char *dir, char *err, size_t err_len)
{
	char key_file[300], cert_file[300];
	STACK_OF(X509) * certs;
	struct stat st;

	snprintf(key_file, sizeof(key_file), "%s/maker.key", dir);
	snprintf(cert_file, sizeof(cert_file), "%s/maker.pem", dir);
	if (lstat(key_file, &st) && errno == ENOENT)
		return make_maker(maker, key_file, cert_file, err, err_len);
	maker->key = pemfile_read_key(key_file, err, err_len);
	certs = maker->key ? pemfile_read_certs(cert_file, 1, err, err_len) : NULL;
	if (!certs)
		return -1;
	maker->cert = sk_X509_pop(certs);
	sk_X509_free(certs);
	if (X509_check_private_key(maker->cert, maker->key) == 1)
		return 0;
	snprintf(err, err_len, "%s: not the certificate of the key in %s", cert_file, key_file);
	return -1;
}

/* A device's IDevID has no end (IEEE 802.1AR 8.7). */
static int make_device(const struct maker *maker, const char *file, const char *serial, char *err,
		       size_t err_len)
{
	EVP_PKEY *key = issue_key();
	X509_NAME *name = X509_NAME_new();
	struct issue_request r = { .kind = ISSUE_DEVICE,
				   .key = key,
				   .subject = name,
				   .issuer = maker->cert,
				   .issuer_key = maker->key,
				   .not_before = time(NULL) - 3600,
				   .not_after = ISSUE_FOR_EVER };
	X509 *cert = NULL;
	int ret = -1;

	snprintf(err, err_len, "OpenSSL can make no device");
	if (key && name &&
	    X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC,
				       (const unsigned char *)"jpledge", -1, -1, 0) &&
	    X509_NAME_add_entry_by_NID(name, NID_serialNumber, MBSTRING_ASC,
				       (const unsigned char *)serial, -1, -1, 0))
		cert = issue_certificate(&r);
	if (cert)
		ret = pemfile_write_identity(file, key, cert, err, err_len);
	X509_free(cert);
	X509_NAME_free(name);
	EVP_PKEY_free(key);
	return ret;
}

int cmd_mint(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = parse,
		.args_doc = "DIR",
		.doc = "Makes a throw-away manufacturer in DIR, if there is none yet (maker.key, "
		       "maker.pem), and "
		       "devices of it: device-N.pem has a device's key and certificate, with "
		       "serialNumber N. For "
		       "tests: keep no real CA like this.",
	};
	struct options o = { .count = 1, .first = 1 };
	struct maker maker = { 0 };
	char file[300], serial[24], err[700];
	int ret = 0;

	argv[0] = "jpledge mint";
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (strlen(o.dir) > 200)
		return jpledge_fail("%.40s...: a name too long", o.dir);
	if (mkdir(o.dir, 0700) && errno != EEXIST)
		return jpledge_fail("%s: cannot be made: %s", o.dir, strerror(errno));
	ret = get_maker(&maker, o.dir, err, sizeof(err));
	for (unsigned long n = o.first; !ret && n < o.first + o.count; n++) {
		snprintf(serial, sizeof(serial), "%lu", n);
		snprintf(file, sizeof(file), "%s/device-%s.pem", o.dir, serial);
		ret = make_device(&maker, file, serial, err, sizeof(err));
	}
	X509_free(maker.cert);
	EVP_PKEY_free(maker.key);
	return ret ? jpledge_fail("%s", err) : EXIT_SUCCESS;
}
