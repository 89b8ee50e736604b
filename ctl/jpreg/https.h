/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTPS requests to one server, by libcurl in our event loop: it is authenticated by a CA of its
 * own and we by a client certificate.  What comes back is bounded in size and in time.
 *
 * Must never follow a redirection, speak anything but TLS, or know what EST is.
 */
#ifndef JPX_JPREG_HTTPS_H
#define JPX_JPREG_HTTPS_H

#include <stddef.h>

struct event_base;
struct https;

struct https_config {
	const char *url;	/* https://..., what comes before each request's path */
	const char *ca_file;	/* PEM: whom the server's certificate is to be of */
	const char *identity;	/* PEM: our certificate, what is between it and its CA, and its key */
	unsigned int timeout_s; /* for all of one request */
};

struct https_answer {
	long status;	  /* of HTTP; 0: there was no answer */
	const char *type; /* Content-Type; "" if there is none */
	const void *body;
	size_t len;
	unsigned int retry_s; /* Retry-After, from now; 0: there is none */
	const char *why;      /* there was no answer: a sentence, without a full stop */
};

/* NULL with a sentence in ERR.  CONFIG is copied. */
struct https *https_new(struct event_base *base, const struct https_config *config, char *err,
			size_t err_len);

/* What is still asked for is given up, and nobody is told. */
void https_free(struct https *https);

typedef void https_told(void *arg, const struct https_answer *answer);

/* GET PATH, or POST BODY (zero-terminated text) of TYPE where there is one.  TOLD is called once, at
 * a later turn of the loop, if this returns 0; -1: no memory. */
int https_ask(struct https *https, const char *path, const char *type, const char *body,
	      https_told *told, void *arg);

#endif
