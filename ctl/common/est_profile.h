/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What sets the text of EST-coaps that the drafts of the Join Proxy began with (ace-coap-est-06)
 * apart from the one that it became (RFC 9148): bodies are wrapped in a CBOR byte string (5.2), and
 * there is neither pkix-cert nor /skc.
 */
#ifndef JPX_EST_PROFILE_H
#define JPX_EST_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum est_profile { EST_RFC9148, EST_COAPS_06 };

/* The profile called NAME ("rfc9148", "est-coaps-06").  False: there is none. */
bool est_profile_parse(const char *name, enum est_profile *profile);

/* The LEN octets of *BODY, from malloc(), in a byte string instead, also from malloc(): its length,
 * or -ENOMEM.  *BODY is freed in any case. */
long est_wrap(uint8_t **body, long len);

/* What is inside of the byte string that the LEN octets at BODY are, into *BODY and *LEN; it points
 * into BODY.  False: they are no byte string of definite length, or something is behind it. */
bool est_unwrap(const uint8_t **body, size_t *len);

#endif
