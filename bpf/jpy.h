/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF half of the JPY codec: writes the prefix (everything of a JPY message
 * before the content's first byte) and reads it back.  ctl/common/jpy.c is the
 * user half; both must agree on every message and on the reason for every drop.
 *
 * Reading has two gears.  The first knows the one encoding that this proxy
 * writes and that an honest Registrar echoes.  Anything else goes to the second,
 * which walks up to 64 bytes of CBOR by the rules; a message that needs more
 * than that is left to the socket engine.
 */
#ifndef JPX_BPF_JPY_H
#define JPX_BPF_JPY_H

#include "csum.h"
#include "parse.h"

/* The end of a prefix, from the first byte whose place depends on a value. */
struct jpx_tail {
	__u64 low; /* its last 8 bytes, the last one lowest */
	__u32 len; /* 1 to 9; a ninth byte is always the 0x19 of a UDP port */
	__u64 sum; /* as if it started at an even offset */
};

/* A prefix laid out, ready to be written. */
struct jpx_prefix {
	__u64 word[2]; /* of what stands before the tail, network order: what is no constant */
	__be32 last;   /* ... and these 4 bytes */
	__u32 layout;  /* enum jpx_layout */
	struct jpx_tail tail;
	__u32 len; /* of the whole prefix */
	__u64 sum; /* of all its bytes, wide, as if it started at an even offset */
};

enum jpx_layout {
	JPX_LAYOUT_H21,	   /* draft-21: word[0], word[1], last */
	JPX_LAYOUT_FIVE,   /* five elements, an IPv6 address: word[0] is its second half */
	JPX_LAYOUT_MAPPED, /* draft-02, an IPv4 address, mapped: word[0] is its second half */
	JPX_LAYOUT_SHORT,  /* draft-06, an IPv4 address of 4 bytes: last */
};

/* Whom a message is for, as a prefix tells it. */
struct jpx_unwrapped {
	__u64 iid; /* low 64 bits of the pledge's address, host order; V4: jpx_pledge_id() of it */
	__u64 mac; /* 48 bits as a number; 0 where the form does not carry it */
	__u64 prefix_sum; /* of the prefix' bytes as they came */
	__u32 prefix_len;
	__u32 content_len;
	__u16 udp_port; /* host order */
	__u16 port_id;
	__u8 v4; /* 1: the pledge's address is IPv4 */
};

#define JPX_UNWRAP_HAND_OFF (-1) /* not for the fast path: JPX_HANDOFF_ENCODING */

static __always_inline __u64 jpx_tail_sum(__u64 low, __u32 len)
{
	__u64 sum;

	if (len <= 8)
		return jpx_csum_add64(0, bpf_cpu_to_be64(low << (8 * (8 - len) & 63)));
	sum = jpx_csum_add64(0, bpf_cpu_to_be64(0x19ULL << 56 | low >> 8));
	return sum + bpf_htons((low & 0xff) << 8);
}

/* Appends the head of a byte string of LEN bytes (RFC 8949 3.1). */
static __always_inline void jpx_tail_content(struct jpx_tail *t, __u32 len)
{
	if (len < 24) {
		t->low = t->low << 8 | 0x40 | len;
		t->len += 1;
	} else if (len < 256) {
		t->low = t->low << 16 | 0x5800 | len;
		t->len += 2;
	} else {
		t->low = t->low << 24 | 0x590000 | len;
		t->len += 3;
	}
	t->sum = jpx_tail_sum(t->low, t->len);
}

/* The tail of a five-element message: port, family, port id, head of the content. */
static __always_inline void jpx_tail_five(struct jpx_tail *t, __u32 udp_port, __u32 family,
					  __u32 port_id, __u32 content_len)
{
	if (udp_port >= 256) {
		t->low = 0x190000 | udp_port;
		t->len = 3;
	} else if (udp_port >= 24) {
		t->low = 0x1800 | udp_port;
		t->len = 2;
	} else {
		t->low = udp_port;
		t->len = 1;
	}
	t->low = t->low << 8 | family;
	if (port_id >= 24) {
		t->low = t->low << 16 | 0x1800 | port_id;
		t->len += 3;
	} else {
		t->low = t->low << 8 | port_id;
		t->len += 2;
	}
	jpx_tail_content(t, content_len);
}

static __always_inline __u32 jpx_form_family(__u32 form)
{
	switch (form) {
#define JPX_FORM_FAMILY(sym, name, family, text)                                                   \
	case JPX_FORM_##sym:                                                                       \
		return family;
		JPX_FORMS(JPX_FORM_FAMILY)
#undef JPX_FORM_FAMILY
	}
	return 0;
}

/* What stands before the tail: the head of the array, of the byte string, and its bytes. */
#define JPX_FRONT_FIVE	(2 + 16)
#define JPX_FRONT_SHORT (2 + 4) /* draft-06 for an IPv4 pledge */
#define JPX_FRONT_H21	(2 + JPX_H21_LEN)

#define JPX_HEAD_FIVE  bpf_htons(0x8540 | 16)
#define JPX_HEAD_SHORT bpf_htons(0x8540 | 4)

#define JPX_FE80     bpf_cpu_to_be64(0xfe80000000000000ULL) /* first half of a link-local address */
#define JPX_V4MAPPED 0xffffULL /* bytes 8 to 11 of a v4-mapped one; zeros before */

/* ---- writing ------------------------------------------------------------ */

/*
 * Lays out the prefix of a message of CONTENT_LEN bytes in FORM, from the
 * pledge with UDP port UDP_PORT behind port PORT_ID.  ID: its interface
 * identifier or, where V4 is 1, jpx_pledge_id() of its address; host order, as
 * all numbers here.  MAC: in the low 48 bits, written by draft-21 only.
 * Returns 0, or -1 for a form that the fast path does not write.
 */
static __always_inline int jpx_prefix_plan(struct jpx_prefix *x, __u32 form, int v4, __u64 id,
					   __u16 udp_port, __u32 port_id, __u64 mac,
					   __u32 content_len)
{
	__u32 front;

	*x = (struct jpx_prefix){};
	if (form == JPX_FORM_DRAFT21) {
		/* No choice: it would be a branch. */
		__u64 version = JPX_H21_VERSION + (__u32)v4;

		_Static_assert(JPX_H21_VERSION4 == JPX_H21_VERSION + 1, "what V4 adds");
		x->layout = JPX_LAYOUT_H21;
		front = JPX_FRONT_H21;
		jpx_tail_content(&x->tail, content_len);
		x->word[0] =
			bpf_cpu_to_be64((0x8240ULL | JPX_H21_LEN) << 48 | version << 40 |
					(__u64)port_id << 32 | (__u64)udp_port << 16 | id >> 48);
		x->word[1] = bpf_cpu_to_be64(id << 16 | mac >> 32);
		x->last = bpf_htonl((__u32)mac);
		x->sum = jpx_csum_add64(jpx_csum_add64(x->tail.sum, x->word[0]), x->word[1]);
		x->sum += x->last;
	} else if (form == JPX_FORM_DRAFT02 || form == JPX_FORM_DRAFT06) {
		__u32 family = form == JPX_FORM_DRAFT02
				       ? jpx_form_family(JPX_FORM_DRAFT02)
				       : jpx_form_family(JPX_FORM_DRAFT06) - (__u32)v4;

		/* IANA's 2 and 1: no choice here either. */
		_Static_assert(JPX_DRAFT06_FAMILY4 == 1, "what V4 takes off");
		front = JPX_FRONT_FIVE;
		jpx_tail_five(&x->tail, udp_port, family, port_id, content_len);
		if (!v4) {
			x->layout = JPX_LAYOUT_FIVE;
			x->word[0] = bpf_cpu_to_be64(id);
			x->sum = jpx_csum_add64(x->tail.sum, x->word[0]);
			x->sum += jpx_csum_add64(JPX_HEAD_FIVE, JPX_FE80);
		} else if (form == JPX_FORM_DRAFT02) {
			x->layout = JPX_LAYOUT_MAPPED;
			x->word[0] = bpf_cpu_to_be64(JPX_V4MAPPED << 32 | id);
			x->sum = jpx_csum_add64(x->tail.sum, x->word[0]) + JPX_HEAD_FIVE;
		} else {
			x->layout = JPX_LAYOUT_SHORT;
			front = JPX_FRONT_SHORT;
			x->last = bpf_htonl((__u32)id);
			x->sum = x->tail.sum + JPX_HEAD_SHORT + x->last;
		}
	} else {
		return -1;
	}
	x->len = (front + x->tail.len) & 31; /* at most JPX_PREFIX_MAX: for the verifier */
	return 0;
}

/*
 * Writes it at START, and touches nothing else: the content stands x->len bytes
 * behind START, which is a packet pointer plus 8 or more.  END: of the packet.
 * Returns 0, or -1 where nothing was written as the prefix does not fit:
 * cannot be, but the verifier wants to see it.
 *
 * Back to front: the tail is one word that ends with it, whatever its length,
 * and what that is too long is overwritten by what comes before it.  Only a
 * tail of 9 does not fit: its 0x19 goes first, where any other tail covers it.
 */
static __always_inline int jpx_prefix_write(const struct jpx_prefix *x, void *start, void *end)
{
	__u64 tail = bpf_cpu_to_be64(x->tail.low);
	void *content = start + x->len;

	/* What is compared must be what is written to, or the verifier learns nothing. */
	barrier_var(content);
	if (content > end)
		return -1;
	if (x->layout == JPX_LAYOUT_SHORT) {
		/* With the shortest content this is all there is. */
		if (start + JPX_FRONT_SHORT + 1 > end)
			return -1;
		jpx_store8(start + JPX_FRONT_SHORT, 0x19);
		jpx_store64(content - 8, tail);
		jpx_store16(start, JPX_HEAD_SHORT);
		jpx_store32(start + 2, x->last);
		return 0;
	}
	if (start + JPX_FRONT_H21 > end)
		return -1;
	jpx_store8(start + JPX_FRONT_FIVE, 0x19); /* draft-21 has something else there: last */
	jpx_store64(content - 8, tail);
	if (x->layout == JPX_LAYOUT_H21) {
		jpx_store64(start, x->word[0]);
		jpx_store64(start + 8, x->word[1]);
		jpx_store32(start + 16, x->last);
	} else {
		jpx_store16(start, JPX_HEAD_FIVE);
		jpx_store64(start + 2, x->layout == JPX_LAYOUT_FIVE ? JPX_FE80 : 0);
		jpx_store64(start + 10, x->word[0]);
	}
	return 0;
}

/* ---- second gear -------------------------------------------------------- */

/* A verdict of the walk for bytes that are not there: they lie behind the
 * window, or behind the end. */
static __always_inline int jpx_walk_short(const struct jpx_walk *w)
{
	return w->len > w->avail ? JPX_UNWRAP_HAND_OFF : JPX_DROP_JPY_MALFORMED;
}

/* One head (RFC 8949 3): major type and argument.  Definite lengths only. */
static __noinline int jpx_walk_head(struct jpx_walk *w)
{
	__u32 info, extra, i;
	__u64 value;

	if (!w)
		return JPX_DROP_JPY_MALFORMED;
	if (w->off >= w->avail || w->off >= JPX_WINDOW)
		return w->off >= w->len ? JPX_DROP_JPY_MALFORMED : jpx_walk_short(w);
	info = w->buf[w->off & (JPX_WINDOW - 1)];
	w->major = info >> 5;
	info &= 31;
	w->off++;
	w->value = info;
	if (info < 24)
		return JPX_RELAY;
	if (info > 27)
		return JPX_DROP_JPY_MALFORMED;
	extra = 1U << (info - 24);
	if (w->off + extra > w->avail)
		return w->off + extra > w->len ? JPX_DROP_JPY_MALFORMED : JPX_UNWRAP_HAND_OFF;
	value = 0;
	for (i = 0; i < 8; i++) {
		if (i >= extra)
			break;
		value = value << 8 | w->buf[(w->off + i) & (JPX_WINDOW - 1)];
	}
	w->value = value;
	w->off += extra;
	return JPX_RELAY;
}

/* The head of a byte string, and that its bytes are there. */
static __always_inline int jpx_walk_bytes(struct jpx_walk *w)
{
	int err = jpx_walk_head(w);

	if (err)
		return err;
	if (w->major != 2 || w->value > w->len - w->off)
		return JPX_DROP_JPY_MALFORMED;
	return JPX_RELAY;
}

/* An integer; a negative one becomes a value that no field admits. */
static __always_inline int jpx_walk_int(struct jpx_walk *w)
{
	int err = jpx_walk_head(w);

	if (err)
		return err;
	if (w->major > 1)
		return JPX_DROP_JPY_MALFORMED;
	if (w->major == 1)
		w->value = ~0ULL;
	return JPX_RELAY;
}

static __always_inline __u64 jpx_window_be(const struct jpx_walk *w, __u32 off, __u32 bytes)
{
	__u64 v = 0;

#pragma unroll
	for (__u32 i = 0; i < bytes; i++)
		v = v << 8 | w->buf[(off + i) & (JPX_WINDOW - 1)];
	return v;
}

/* The content's head, which must end the message exactly; fills lengths and the sum. */
static __always_inline int jpx_walk_content(struct jpx_walk *w, struct jpx_unwrapped *u)
{
	__u64 sum = 0;
	int err = jpx_walk_bytes(w);

	if (err)
		return err;
	if (w->value < w->len - w->off)
		return JPX_DROP_JPY_TRAILING;
	u->prefix_len = w->off;
	u->content_len = (__u32)w->value;
	for (__u32 i = 0; i < JPX_WINDOW; i++) {
		if (i >= w->off)
			break;
		sum += i & 1 ? bpf_htons(w->buf[i]) : bpf_htons(w->buf[i] << 8);
	}
	u->prefix_sum = sum;
	return JPX_RELAY;
}

/*
 * Reads the message of LEN bytes at offset OFF of the packet, in any encoding.
 * Returns JPX_RELAY and fills U, JPX_UNWRAP_HAND_OFF, or the reason to drop.
 */
JPX_OUTLINE int jpx_unwrap_slow(struct xdp_md *ctx, __u32 off, __u32 len, __u32 form,
				struct jpx_unwrapped *u)
{
	__u32 header_off, elements, zero = 0;
	struct jpx_walk *w = bpf_map_lookup_elem(&jpx_walk, &zero);
	__u64 addr_len, addr_hi, udp_port, family_seen, port_id, version;
	int err;

	if (!ctx || !u || !w)
		return JPX_DROP_JPY_MALFORMED;
	w->off = 0;
	w->len = len;
	w->avail = len < JPX_WINDOW ? len : JPX_WINDOW;
	if (w->avail == 0)
		return JPX_DROP_JPY_MALFORMED;
	/* Said so that the verifier, too, sees 1 to 64. */
	if (bpf_xdp_load_bytes(ctx, off, w->buf, ((w->avail - 1) & (JPX_WINDOW - 1)) + 1))
		return JPX_UNWRAP_HAND_OFF;

	err = jpx_walk_head(w);
	if (err)
		return err;
	if (w->major != 4)
		return JPX_DROP_JPY_MALFORMED;
	elements = form == JPX_FORM_DRAFT21 ? 2 : 5;
	if (w->value < elements)
		return JPX_DROP_JPY_COUNT;
	if (w->value > elements)
		return JPX_UNWRAP_HAND_OFF; /* more elements: the socket engine walks them */

	err = jpx_walk_bytes(w);
	if (err)
		return err;
	addr_len = w->value;
	header_off = w->off;
	if (addr_len > JPX_WINDOW - 16)
		return JPX_UNWRAP_HAND_OFF;
	w->off += (__u32)addr_len;
	if (w->off > w->avail)
		return jpx_walk_short(w);

	u->v4 = 0;
	if (form == JPX_FORM_DRAFT21) {
		err = jpx_walk_content(w, u);
		if (err)
			return err;
		version = jpx_window_be(w, header_off, 1);
		if (addr_len != JPX_H21_LEN ||
		    (version != JPX_H21_VERSION && version != JPX_H21_VERSION4))
			return JPX_DROP_JPY_HEADER;
		u->mac = jpx_window_be(w, header_off + JPX_H21_MAC, 6);
		if (u->mac >> 40 & 1)
			return JPX_DROP_JPY_HEADER;
		u->iid = jpx_window_be(w, header_off + JPX_H21_IID, 8);
		if (version == JPX_H21_VERSION4) {
			if (u->iid >> 32)
				return JPX_DROP_JPY_HEADER;
			u->v4 = 1;
		} else if (u->iid == 0) {
			return JPX_DROP_PLEDGE_NOT_LINK_LOCAL;
		}
		udp_port = jpx_window_be(w, header_off + JPX_H21_UDP_PORT, 2);
		port_id = jpx_window_be(w, header_off + JPX_H21_PORT_ID, 1);
	} else {
		err = jpx_walk_int(w);
		if (err)
			return err;
		udp_port = w->value;
		err = jpx_walk_int(w);
		if (err)
			return err;
		family_seen = w->value;
		err = jpx_walk_int(w);
		if (err)
			return err;
		port_id = w->value;
		err = jpx_walk_content(w, u);
		if (err)
			return err;
		u->mac = 0;
		if (addr_len == 16 && family_seen == jpx_form_family(form)) {
			addr_hi = jpx_window_be(w, header_off, 8);
			u->iid = jpx_window_be(w, header_off + 8, 8);
			if (form == JPX_FORM_DRAFT02 && addr_hi == 0 &&
			    u->iid >> 32 == JPX_V4MAPPED) {
				u->v4 = 1;
				u->iid = (__u32)u->iid;
			} else if (!jpx_is_link_local(addr_hi, u->iid)) {
				return JPX_DROP_PLEDGE_NOT_LINK_LOCAL;
			}
		} else if (form == JPX_FORM_DRAFT06 && addr_len == 4 &&
			   family_seen == JPX_DRAFT06_FAMILY4) {
			u->v4 = 1;
			u->iid = jpx_window_be(w, header_off, 4);
		} else {
			return JPX_DROP_JPY_HEADER;
		}
	}
	if (u->v4 && !jpx_is_link_local4((__u32)u->iid))
		return JPX_DROP_PLEDGE_NOT_LINK_LOCAL;
	if (udp_port == 0 || udp_port > 65535)
		return JPX_DROP_PLEDGE_PORT_INVALID;
	if (port_id == 0 || port_id >= JPX_MAX_PORTS)
		return JPX_DROP_UNKNOWN_PLEDGE_PORT;
	u->udp_port = (__u16)udp_port;
	u->port_id = (__u16)port_id;
	return JPX_RELAY;
}

/* ---- first gear --------------------------------------------------------- */

/* What stands behind the address of a five-element message at P, from byte FRONT, of which
 * 9 are readable.  Returns 1 and fills T, which is the same written anew, and what U has of it. */
static __always_inline int jpx_unwrap_tail(void *p, __u32 len, __u32 front, __u32 family,
					   struct jpx_tail *t, struct jpx_unwrapped *u)
{
	__u32 prefix;
	__u8 *b = p + front;

	if (b[0] != 0x19 || b[3] != family)
		return 0;
	u->udp_port = bpf_ntohs(jpx_load16(b + 1));
	u->port_id = b[4];
	if (u->port_id == 0x18) {
		u->port_id = b[5];
		u->content_len = len - front - 6 - (b[6] < 0x58 ? 1 : b[6] == 0x58 ? 2 : 3);
		prefix = len - u->content_len - front;
		if (prefix == 9	  ? b[6] != 0x59 || bpf_ntohs(jpx_load16(b + 7)) != u->content_len
		    : prefix == 8 ? b[7] != u->content_len
				  : b[6] != (0x40 | u->content_len))
			return 0;
	} else {
		u->content_len = len - front - 5 - (b[5] < 0x58 ? 1 : b[5] == 0x58 ? 2 : 3);
		prefix = len - u->content_len - front;
		if (prefix == 8	  ? b[5] != 0x59 || bpf_ntohs(jpx_load16(b + 6)) != u->content_len
		    : prefix == 7 ? b[6] != u->content_len
				  : b[5] != (0x40 | u->content_len))
			return 0;
	}
	u->prefix_len = front + prefix;
	/* Port and id first: what one saves must not make up for what the other wastes. */
	if (u->udp_port < 256 || u->port_id == 0 || (b[4] == 0x18) != (u->port_id >= 24))
		return 0;
	/* Written anew from its values, it must come out as long: the encoding is the shortest. */
	jpx_tail_five(t, u->udp_port, family, u->port_id, u->content_len);
	return t->len == prefix;
}

/* draft-06 that names an IPv4 pledge. */
static __always_inline int jpx_unwrap_short(void *p, void *end, __u32 len, struct jpx_unwrapped *u)
{
	struct jpx_tail t;
	__be32 addr;

	if (len < JPX_FRONT_SHORT + 9 || p + JPX_FRONT_SHORT + 9 > end)
		return 0;
	if (jpx_load16(p) != JPX_HEAD_SHORT)
		return 0;
	addr = jpx_load32(p + 2);
	if (!jpx_unwrap_tail(p, len, JPX_FRONT_SHORT, JPX_DRAFT06_FAMILY4, &t, u) ||
	    !jpx_is_link_local4(bpf_ntohl(addr)))
		return 0;
	u->v4 = 1;
	u->iid = jpx_pledge_id(bpf_ntohl(addr));
	u->prefix_sum = t.sum + JPX_HEAD_SHORT + addr;
	u->mac = 0;
	return 1;
}

/*
 * Each returns 1 when the message at P, of LEN bytes, is in the very encoding
 * that this proxy writes and names a possible pledge; else 0, and the second
 * gear finds out what it is.
 */
static __always_inline int jpx_unwrap_five(void *p, void *end, __u32 len, __u32 family,
					   struct jpx_unwrapped *u)
{
	struct jpx_tail t;
	__u64 hi, lo;

	/* The shortest such message has 24 bytes; what is read below ends at 26. */
	if (len < JPX_FRONT_FIVE + 9 || p + JPX_FRONT_FIVE + 9 > end ||
	    jpx_load16(p) != JPX_HEAD_FIVE)
		return family == jpx_form_family(JPX_FORM_DRAFT06) &&
		       jpx_unwrap_short(p, end, len, u);
	hi = jpx_load64(p + 2);
	lo = jpx_load64(p + 10);
	if (!jpx_unwrap_tail(p, len, JPX_FRONT_FIVE, family, &t, u))
		return 0;
	u->v4 = 0;
	u->iid = bpf_be64_to_cpu(lo);
	if (!jpx_is_link_local(bpf_be64_to_cpu(hi), u->iid)) {
		if (family != jpx_form_family(JPX_FORM_DRAFT02) || hi != 0 ||
		    u->iid >> 32 != JPX_V4MAPPED || !jpx_is_link_local4((__u32)u->iid))
			return 0;
		u->v4 = 1;
		u->iid = (__u32)u->iid;
	}
	u->prefix_sum = jpx_csum_add64(jpx_csum_add64(t.sum + JPX_HEAD_FIVE, hi), lo);
	u->mac = 0;
	return 1;
}

static __always_inline int jpx_unwrap_h21(void *p, void *end, __u32 len, struct jpx_unwrapped *u)
{
	struct jpx_tail t = {};
	__u64 iid, mac_and_port;
	__u32 prefix;
	__u8 *b = p;

	if (len < 23 || p + 23 > end)
		return 0;
	if (jpx_load16(p) != bpf_htons(0x8240 | JPX_H21_LEN) ||
	    (b[2] != JPX_H21_VERSION && b[2] != JPX_H21_VERSION4))
		return 0;
	u->v4 = b[2] == JPX_H21_VERSION4;
	u->port_id = b[2 + JPX_H21_PORT_ID];
	u->udp_port = bpf_ntohs(jpx_load16(p + 2 + JPX_H21_UDP_PORT));
	iid = jpx_load64(p + 2 + JPX_H21_IID);
	u->content_len = len - 20 - (b[20] < 0x58 ? 1 : b[20] == 0x58 ? 2 : 3);
	prefix = len - u->content_len;
	if (prefix == 23   ? b[20] != 0x59 || bpf_ntohs(jpx_load16(p + 21)) != u->content_len
	    : prefix == 22 ? b[21] != u->content_len
			   : b[20] != (0x40 | u->content_len))
		return 0;
	u->prefix_len = prefix;
	jpx_tail_content(&t, u->content_len);
	u->iid = bpf_be64_to_cpu(iid);
	if (t.len + JPX_FRONT_H21 != prefix || u->port_id == 0 || u->udp_port == 0 || iid == 0 ||
	    b[2 + JPX_H21_MAC] & 1)
		return 0;
	if (u->v4 && (u->iid >> 32 || !jpx_is_link_local4((__u32)u->iid)))
		return 0;
	mac_and_port = bpf_be64_to_cpu(jpx_load64(p + 2 + JPX_H21_MAC - 2));
	u->mac = mac_and_port & 0xffffffffffffULL;
	u->prefix_sum = jpx_csum_add64(t.sum + jpx_load32(p), iid);
	u->prefix_sum += jpx_load16(p + 4);
	u->prefix_sum += jpx_load32(p + 14);
	u->prefix_sum += jpx_load16(p + 18);
	return 1;
}

#endif
