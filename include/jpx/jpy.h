/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The JPY codec for user space, over libcbor: used by the socket engine, jpreg
 * and the tests.  The BPF half (bpf/jpy.h) must agree with it on every message.
 *
 * Holds no state, allocates nothing, keeps no pointer to what it is handed.
 */
#ifndef JPX_JPY_H
#define JPX_JPY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "forms.h"
#include "reasons.h"

/* Whom a JPY header names. */
struct jpx_pledge {
	uint8_t addr[16];  /* link-local address; of IPv4, v4-mapped (::ffff:169.254.1.2) */
	uint16_t udp_port; /* host order */
	uint8_t port_id;   /* the pledge port of this proxy, 1 to 255 */
	uint8_t mac[6];	   /* written and read by draft-21 only; zero where unknown */
};

/* A piece of the caller's buffer. */
struct jpx_span {
	size_t off, len;
};

/* The name of FORM as people type it ("draft-02"); NULL for a value out of range. */
const char *jpx_form_name(enum jpx_form form);

/* The form that NAME names, or -1. */
int jpx_form_by_name(const char *name);

/* What the Join Proxy sends: CONTENT wrapped for PLEDGE in FORM.
 * draft-02/-06: SEED 5.3 and Fig 4, shortest-form integers.  draft-21: 4.5.2.
 * How each writes an IPv4 address: forms.h, wire.h.
 * draft-01: flat array [60, [bstr address, port, ident], 281, content], port
 * left out when it is 5684 (draft-vanderstok-...-01, 5.3).
 * Returns the length of the message in BUF, or -EMSGSIZE when CAP (or JPX_UDP_MAX)
 * is too small, -EINVAL for an unknown form. */
ssize_t jpx_jpy_wrap(enum jpx_form form, const struct jpx_pledge *pledge, const void *content,
		     size_t len, void *buf, size_t cap);

/* What the Join Proxy receives: a message in FORM, whose header this proxy wrote.
 * Accepts integers and lengths in longer-than-shortest encodings, and further
 * elements behind the content (ignored).
 * draft-01: every shape in the vectors (nested or flat content, header array
 * bare or in a byte string, text or binary address, port absent, integer or
 * text ident -- a text ident is never ours, so JPX_DROP_JPY_HEADER).
 * Checks everything that can be checked without knowing the ports: that the
 * address is link-local unicast (IPv6 or IPv4, in the spelling that FORM writes;
 * draft-01 reads IPv4 in dotted text, too), the UDP port 1 to 65535, the family the
 * one FORM writes, the port id 1 to 255 (else JPX_DROP_UNKNOWN_PLEDGE_PORT).
 * Returns JPX_RELAY and fills PLEDGE and CONTENT (offsets into BUF), or the
 * reason why the message must be dropped.
 * Order of checks, the same in the BPF half: the CBOR is walked first, whole
 * (JPY_MALFORMED at a wrong type or a length that lies, JPY_COUNT at an array
 * too short for the form, JPY_TRAILING), then the meaning, in this order:
 * JPY_HEADER (a draft-21 MAC that is a group address, too), PLEDGE_NOT_LINK_LOCAL,
 * PLEDGE_PORT_INVALID, UNKNOWN_PLEDGE_PORT. */
enum jpx_drop jpx_jpy_unwrap(enum jpx_form form, const void *buf, size_t len,
			     struct jpx_pledge *pledge, struct jpx_span *content);

/* What a Registrar receives: a message of any form, told apart by its shape
 * (standards: "type of the second array item").  Fills the layout that an
 * answer has to copy: everything before the content item and everything behind
 * it are the header and must be echoed byte for byte (-21 4.4).
 *
 *   message = buf[0 .. head.len) , content item , buf[tail.off .. +tail.len)
 *
 * The header is opaque here: its values are not judged, only its CBOR shape.
 * Returns JPX_RELAY or the reason for which it is no JPY message. */
struct jpx_jpy_layout {
	enum jpx_form form; /* draft-02 and draft-06 cannot be told apart with certainty:
			     * family 1 or 2 is draft-06, anything else draft-02 */
	struct jpx_span head;
	struct jpx_span content; /* the bytes inside the content item */
	struct jpx_span tail;
};
enum jpx_drop jpx_jpy_split(const void *buf, size_t len, struct jpx_jpy_layout *layout);

/* The answer to a message that jpx_jpy_split() took apart: MSG's head and tail
 * with CONTENT between them.  Returns its length, or -EMSGSIZE. */
ssize_t jpx_jpy_answer(const void *msg, const struct jpx_jpy_layout *layout, const void *content,
		       size_t len, void *buf, size_t cap);

#endif
