/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See pemfile.h. */
#include "pemfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)

/* A file of ours is read at once; what is no file, or endless, is none of ours. */
static BIO *open_file(const char *file, bool secret, char *err, size_t err_len)
{
	FILE *f = fopen(file, "re");
	struct stat st;
	BIO *bio;

	if (!f) {
		snprintf(err, err_len, "%s: %s", file, strerror(errno));
		return NULL;
	}
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		snprintf(err, err_len, "%s: not a file of PEM, or larger than a megabyte", file);
	} else if (secret && st.st_mode & (S_IRWXG | S_IRWXO)) {
		snprintf(err, err_len,
			 "%s: a private key that others than its owner have rights to; try chmod "
			 "600 %s",
			 file, file);
	} else {
		bio = BIO_new_fp(f, BIO_CLOSE);
		if (bio)
			return bio;
		snprintf(err, err_len, "%s: no memory", file);
	}
	fclose(f);
	return NULL;
}

/* OpenSSL would ask the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

EVP_PKEY *pemfile_read_key(const char *file, char *err, size_t err_len)
{
	BIO *bio = open_file(file, true, err, err_len);
	EVP_PKEY *key;

	if (!bio)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (!key)
		snprintf(err, err_len, "%s: no private key in PEM, or one with a passphrase", file);
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

STACK_OF(X509) * pemfile_read_certs(const char *file, int max, char *err, size_t err_len)
{
	BIO *bio = open_file(file, false, err, err_len);
	STACK_OF(X509) * certs;
	unsigned long last;
	X509 *cert;

	if (!bio)
		return NULL;
	certs = sk_X509_new_null();
	ERR_clear_error();
	while (certs && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		if (sk_X509_num(certs) == max || !sk_X509_push(certs, cert)) {
			X509_free(cert);
			snprintf(err, err_len, "%s: more than %d certificates", file, max);
			goto fail;
		}
	}
	/* The end of the file is that no more begins. */
	last = ERR_peek_last_error();
	if (!certs || !sk_X509_num(certs) || ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
		snprintf(err, err_len, "%s: certificate %d in it cannot be read as PEM", file,
			 certs ? sk_X509_num(certs) + 1 : 1);
		goto fail;
	}
	BIO_free(bio);
	ERR_clear_error();
	return certs;

fail:
	sk_X509_pop_free(certs, X509_free);
	BIO_free(bio);
	ERR_clear_error();
	return NULL;
}

/* ---- writing ---- */

static int sync_directory_of(const char *file)
{
	char copy[512];
	int fd, ret;

	if (snprintf(copy, sizeof(copy), "%s", file) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What is in MEM, into FILE. */
static int write_file(const char *file, BIO *mem, mode_t mode, char *err, size_t err_len)
{
	char temporary[512];
	char *data;
	long len = BIO_get_mem_data(mem, &data);
	int fd = -1, ret = 0;

	if (snprintf(temporary, sizeof(temporary), "%s.new", file) >= (int)sizeof(temporary))
		ret = -ENAMETOOLONG;
	if (!ret && unlink(temporary) && errno != ENOENT)
		ret = -errno;
	if (!ret) {
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		ret = fd < 0 ? -errno : write_all(fd, data, (size_t)len);
	}
	if (fd >= 0) {
		/* Whatever the umask is. */
		if (!ret && (fchmod(fd, mode) || fsync(fd)))
			ret = -errno;
		if (close(fd) && !ret)
			ret = -errno;
		if (!ret && rename(temporary, file))
			ret = -errno;
		if (ret)
			unlink(temporary);
	}
	if (!ret)
		ret = sync_directory_of(file);
	if (ret)
		snprintf(err, err_len, "%s: cannot be written: %s", file, strerror(-ret));
	return ret;
}

static int write_secret(const char *file, EVP_PKEY *key, X509 *cert, char *err, size_t err_len)
{
	/* Of secure memory OpenSSL has none unless asked for; BIO_free() cleans this one. */
	BIO *mem = BIO_new(BIO_s_secmem());
	int ret = -ENOMEM;

	if (mem && PEM_write_bio_PKCS8PrivateKey(mem, key, NULL, NULL, 0, NULL, NULL) &&
	    (!cert || PEM_write_bio_X509(mem, cert)))
		ret = write_file(file, mem, 0600, err, err_len);
	else
		snprintf(err, err_len, "%s: no memory for the key", file);
	BIO_free(mem);
	ERR_clear_error();
	return ret;
}

int pemfile_write_key(const char *file, EVP_PKEY *key, char *err, size_t err_len)
{
	return write_secret(file, key, NULL, err, err_len);
}

int pemfile_write_identity(const char *file, EVP_PKEY *key, X509 *cert, char *err, size_t err_len)
{
	return write_secret(file, key, cert, err, err_len);
}

int pemfile_write_certs(const char *file, STACK_OF(X509) * certs, char *err, size_t err_len)
{
	BIO *mem = BIO_new(BIO_s_mem());
	int ret = mem ? 0 : -ENOMEM;

	for (int i = 0; !ret && i < sk_X509_num(certs); i++)
		if (!PEM_write_bio_X509(mem, sk_X509_value(certs, i)))
			ret = -ENOMEM;
	if (ret)
		snprintf(err, err_len, "%s: no memory for the certificates", file);
	else
		ret = write_file(file, mem, 0644, err, err_len);
	BIO_free(mem);
	ERR_clear_error();
	return ret;
}
