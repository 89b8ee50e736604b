/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What crowd.c sends and echo.c reads: a datagram that looks like one DTLS handshake
 * record, names the socket that it came from, and whose every byte follows from that
 * name.  Static functions, since each lab program is compiled from one file.
 */
#ifndef JPX_TESTS_PROBE_H
#define JPX_TESTS_PROBE_H

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/common/addr.h"

#define PROBE_MAX 65507

struct probe_name {
	uint32_t run; /* of crowd: by chance */
	uint32_t socket;
	uint32_t seq;
};

/* The head of a probe, all numbers in network order. */
struct probe_head {
	uint8_t type, version[2], epoch[2], number[6], length[2]; /* RFC 6347 4.1 */
	uint8_t magic[4];
	uint8_t run[4], socket[4], seq[4];
};

#define PROBE_MIN	 ((unsigned int)sizeof(struct probe_head))
#define PROBE_RECORD_LEN 13
#define PROBE_MAGIC	 "crwd"

static inline void probe_put(uint8_t *p, uint32_t value)
{
	value = htonl(value);
	memcpy(p, &value, 4);
}

static inline uint32_t probe_get(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, 4);
	return ntohl(value);
}

static inline uint8_t probe_byte(uint32_t mix, size_t i)
{
	return (uint8_t)((mix + (uint32_t)i) * 2654435761U >> 24);
}

/* Writes the probe NAME, LEN (PROBE_MIN or more) bytes long, to BUF. */
static inline void probe_build(const struct probe_name *name, uint8_t *buf, size_t len)
{
	size_t content = len - PROBE_RECORD_LEN;
	struct probe_head head = {
		.type = 22, /* handshake */
		.version = { 0xfe, 0xfd },
		.length = { (uint8_t)(content >> 8), (uint8_t)content },
	};
	uint32_t mix = (name->run ^ name->socket * 40503U) + name->seq * 69069U;

	memcpy(head.magic, PROBE_MAGIC, 4);
	probe_put(head.number + 2, name->seq);
	probe_put(head.run, name->run);
	probe_put(head.socket, name->socket);
	probe_put(head.seq, name->seq);
	memcpy(buf, &head, sizeof(head));
	for (size_t i = sizeof(head); i < len; i++)
		buf[i] = probe_byte(mix, i);
}

/* Is it a probe, every byte of it?  Its NAME then. */
static inline bool probe_read(const uint8_t *buf, size_t len, struct probe_name *name)
{
	static uint8_t want[PROBE_MAX];
	struct probe_head head;

	if (len < sizeof(head) || len > sizeof(want))
		return false;
	memcpy(&head, buf, sizeof(head));
	if (memcmp(head.magic, PROBE_MAGIC, 4))
		return false;
	name->run = probe_get(head.run);
	name->socket = probe_get(head.socket);
	name->seq = probe_get(head.seq);
	probe_build(name, want, len);
	return !memcmp(buf, want, len);
}

/* ---- command lines ---------------------------------------------------------- */

/* "[ADDR%IF]:PORT" or "A.B.C.D:PORT", the latter as a mapped address. */
static inline void probe_endpoint(struct argp_state *state, const char *arg,
				  struct sockaddr_in6 *out)
{
	const char *colon = strrchr(arg, ':');
	char err[160], mapped[80];

	if (!jpx_endpoint_parse(arg, 0, out, err, sizeof(err)))
		return;
	if (*arg != '[' && colon && strchr(arg, ':') == colon) {
		snprintf(mapped, sizeof(mapped), "[::ffff:%.*s]%s", (int)(colon - arg), arg, colon);
		if (!jpx_endpoint_parse(mapped, 0, out, err, sizeof(err)))
			return;
	}
	argp_error(state, "%s", err);
}

static inline unsigned int probe_number(struct argp_state *state, const char *option,
					const char *arg, unsigned int min, unsigned int max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || n < min || n > max)
		argp_error(state, "%s: \"%s\" is no number from %u to %u", option, arg, min, max);
	return (unsigned int)n;
}

static inline void probe_die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

#endif
