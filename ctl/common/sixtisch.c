/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * See sixtisch.h.  Every field is laid out where it is written, with the section that defines
 * it.  IEEE 802.15.4 sends the low octet first, and the extended address from its last octet
 * to its first; RFC 9032 is in network order.
 *
 * Must never look at a byte outside of the buffer: frames come from the air.
 */
#include "sixtisch.h"

#include <errno.h>
#include <string.h>

/*
 * The element (RFC 9032 2)
 *
 *  columns:  | subtype 8 | R | P | res 3 | proxy priority 7 | rank priority 12 | PAN priority 8 |
 *  octets:   | subtype 8 | R | P | res 6 | proxy priority 8 | rank priority 8  | PAN priority 8 |
 *
 *  then, if P, the interface identifier of the proxy (8 octets), and the network identifier: all
 *  that is left, of 16 octets at most.
 */

#define SUBTYPE_JOIN	2 /* 6tisch-Join-Info (RFC 9032 5) */
#define FIXED_LEN	5
#define FLAG_ROUTER	0x80
#define FLAG_IID	0x40
#define PRIORITY_MAX	0x7f
#define RANK_COLUMNS	0xfff
#define RANK_OCTETS	0xff
#define NETWORK_ID_MAX	16
#define IID_LEN		8
#define ELEMENT_LEN_MAX (FIXED_LEN + IID_LEN + NETWORK_ID_MAX)

int sixtisch_write(const struct sixtisch_join *join, enum sixtisch_reading reading,
		   unsigned char *buf, size_t len)
{
	size_t iid_len = join->has_iid ? IID_LEN : 0;
	size_t total = FIXED_LEN + iid_len + join->network_id_len;
	unsigned int rank = join->rank_priority;

	if (join->proxy_priority > PRIORITY_MAX || join->network_id_len > NETWORK_ID_MAX ||
	    rank > (reading == SIXTISCH_COLUMNS ? RANK_COLUMNS : RANK_OCTETS))
		return -ERANGE;
	if (total > len)
		return -E2BIG;
	buf[0] = SUBTYPE_JOIN;
	buf[1] = (unsigned char)((join->router ? FLAG_ROUTER : 0) | (join->has_iid ? FLAG_IID : 0));
	if (reading == SIXTISCH_COLUMNS) {
		buf[1] |= (unsigned char)(join->proxy_priority >> 4);
		buf[2] = (unsigned char)(join->proxy_priority << 4 | rank >> 8);
	} else {
		buf[2] = join->proxy_priority;
	}
	buf[3] = (unsigned char)rank;
	buf[4] = join->pan_priority;
	memcpy(buf + FIXED_LEN, join->iid, iid_len);
	memcpy(buf + FIXED_LEN + iid_len, join->network_id, join->network_id_len);
	return (int)total;
}

int sixtisch_read(const unsigned char *buf, size_t len, enum sixtisch_reading reading,
		  struct sixtisch_join *join)
{
	memset(join, 0, sizeof(*join));
	if (len < FIXED_LEN || buf[0] != SUBTYPE_JOIN)
		return -EINVAL;
	join->router = buf[1] & FLAG_ROUTER;
	join->has_iid = buf[1] & FLAG_IID;
	if (reading == SIXTISCH_COLUMNS) {
		join->proxy_priority = (uint8_t)((buf[1] & 0x07) << 4 | buf[2] >> 4);
		join->rank_priority = (uint16_t)((buf[2] & 0x0f) << 8 | buf[3]);
	} else {
		join->proxy_priority = buf[2];
		join->rank_priority = buf[3];
	}
	join->pan_priority = buf[4];
	buf += FIXED_LEN;
	len -= FIXED_LEN;
	if (join->proxy_priority > PRIORITY_MAX)
		return -EINVAL;
	if (join->has_iid) {
		if (len < IID_LEN)
			return -EINVAL;
		memcpy(join->iid, buf, IID_LEN);
		buf += IID_LEN;
		len -= IID_LEN;
	}
	if (len > NETWORK_ID_MAX)
		return -EINVAL;
	memcpy(join->network_id, buf, len);
	join->network_id_len = len;
	return 0;
}

/*
 * The beacon (IEEE 802.15.4-2015 7.3.1)
 *
 *  octets:  2 frame control, 1 sequence number, 2 destination PAN, 2 destination, 8 source,
 *           2 header termination, 2 payload IE descriptor, the element
 */

/* Frame control (7.2.2). */
#define FC_TYPE		0x0007 /* 0: beacon */
#define FC_SECURITY	0x0008
#define FC_PAN_COMPRESS 0x0040
#define FC_NO_SEQUENCE	0x0100
#define FC_IE		0x0200
#define FC_DEST_SHIFT	10
#define FC_VERSION	0x3000
#define FC_VERSION_2015 0x2000 /* with it a beacon is an enhanced one (7.3.1.1) */
#define FC_SRC_SHIFT	14

/* Addressing modes (7.2.2.9). */
#define MODE_NONE     0U
#define MODE_RESERVED 1U
#define MODE_SHORT    2U
#define MODE_EXTENDED 3U

#define BROADCAST 0xffff

/* Header IE (7.4.2.1): length 7 bits, element id 8, type 0.  Payload IE (7.4.3.1): length 11, group
 * id 4, type 1. */
#define HEADER_IE_LEN	  0x007f
#define HEADER_IE_SHIFT	  7
#define HEADER_IE_ID	  0xff
#define IE_PAYLOAD	  0x8000
#define PAYLOAD_IE_LEN	  0x07ff
#define PAYLOAD_IE_SHIFT  11
#define PAYLOAD_IE_GROUP  0x0f
#define ID_TERMINATION1	  0x7eU /* payload IEs follow (7.4.1) */
#define ID_TERMINATION2	  0x7fU /* payload follows, no IEs */
#define GROUP_IETF	  0x5U	/* content: a subtype, and what belongs to it (RFC 8137 4) */
#define GROUP_TERMINATION 0xfU

#define EUI64_LEN  8
#define BEACON_LEN (2 + 1 + 2 + 2 + EUI64_LEN + 2 + 2) /* without the element */

static void put16(unsigned char **at, unsigned int value)
{
	*(*at)++ = (unsigned char)value;
	*(*at)++ = (unsigned char)(value >> 8);
}

static void reverse(unsigned char *to, const unsigned char *from)
{
	for (size_t i = 0; i < EUI64_LEN; i++)
		to[i] = from[EUI64_LEN - 1 - i];
}

/* One PAN id, the destination's: as RFC 8180 4.4 wants it, with the bit that IEEE 802.15.4-2015
 * table 7-2 has for a short destination and an extended source.  No payload follows the IEs, so
 * none of them says that they end (7.4.1). */
int sixtisch_beacon_write(const struct sixtisch_join *join, enum sixtisch_reading reading,
			  const uint8_t eui64[8], uint16_t pan, uint8_t sequence,
			  unsigned char *buf, size_t len)
{
	unsigned char element[ELEMENT_LEN_MAX], *at = buf;
	int n = sixtisch_write(join, reading, element, sizeof(element));

	if (n < 0)
		return n;
	if (len < BEACON_LEN || len - BEACON_LEN < (size_t)n)
		return -E2BIG;
	put16(&at, FC_PAN_COMPRESS | FC_IE | MODE_SHORT << FC_DEST_SHIFT | FC_VERSION_2015 |
			   MODE_EXTENDED << FC_SRC_SHIFT);
	*at++ = sequence;
	put16(&at, pan);
	put16(&at, BROADCAST);
	reverse(at, eui64);
	at += EUI64_LEN;
	put16(&at, ID_TERMINATION1 << HEADER_IE_SHIFT);
	put16(&at, IE_PAYLOAD | GROUP_IETF << PAYLOAD_IE_SHIFT | (unsigned int)n);
	memcpy(at, element, (size_t)n);
	return BEACON_LEN + n;
}

struct cursor {
	const unsigned char *at, *end;
};

static bool take(struct cursor *c, size_t len, const unsigned char **out)
{
	if (len > (size_t)(c->end - c->at))
		return false;
	*out = c->at;
	c->at += len;
	return true;
}

static bool take16(struct cursor *c, unsigned int *value)
{
	const unsigned char *p;

	if (!take(c, 2, &p))
		return false;
	*value = (unsigned int)(p[0] | p[1] << 8);
	return true;
}

/* Octets of PAN ids in front of an extended source, by table 7-2; the destination's is first,
 * where there is one. */
static void pan_lens(unsigned int fc, unsigned int dest, size_t *dest_pan, size_t *src_pan)
{
	bool compress = fc & FC_PAN_COMPRESS;

	*dest_pan = *src_pan = 0;
	if (dest == MODE_NONE) {
		*src_pan = compress ? 0 : 2;
	} else if (dest == MODE_EXTENDED) {
		*dest_pan = compress ? 0 : 2;
	} else {
		*dest_pan = 2;
		*src_pan = compress ? 0 : 2;
	}
}

/* Up to the first IE.  0, -EINVAL, or -ENOENT for a frame of another kind. */
static int read_addresses(struct cursor *c, uint8_t eui64[8])
{
	static const size_t lens[] = { [MODE_SHORT] = 2, [MODE_EXTENDED] = EUI64_LEN };
	const unsigned char *skipped, *source;
	size_t dest_pan, src_pan;
	unsigned int fc, dest;

	if (!take16(c, &fc))
		return -EINVAL;
	dest = fc >> FC_DEST_SHIFT & 3;
	if (fc & FC_TYPE || (fc & FC_VERSION) != FC_VERSION_2015 || fc & FC_SECURITY ||
	    !(fc & FC_IE) || fc >> FC_SRC_SHIFT != MODE_EXTENDED)
		return -ENOENT;
	if (dest == MODE_RESERVED)
		return -EINVAL;
	pan_lens(fc, dest, &dest_pan, &src_pan);
	if (!take(c, fc & FC_NO_SEQUENCE ? 0 : 1, &skipped) || !take(c, dest_pan, &skipped) ||
	    !take(c, lens[dest], &skipped) || !take(c, src_pan, &skipped) ||
	    !take(c, EUI64_LEN, &source))
		return -EINVAL;
	reverse(eui64, source);
	return 0;
}

/* Behind the header IEs: 0, -EINVAL, or -ENOENT where no payload IEs follow. */
static int skip_header_ies(struct cursor *c)
{
	const unsigned char *content;
	unsigned int ie, id;

	while (c->at < c->end) {
		if (!take16(c, &ie) || ie & IE_PAYLOAD || !take(c, ie & HEADER_IE_LEN, &content))
			return -EINVAL;
		id = ie >> HEADER_IE_SHIFT & HEADER_IE_ID;
		if (id == ID_TERMINATION1)
			return 0;
		if (id == ID_TERMINATION2)
			return -ENOENT;
	}
	return -ENOENT;
}

int sixtisch_beacon_read(const unsigned char *frame, size_t len, enum sixtisch_reading reading,
			 struct sixtisch_join *join, uint8_t eui64[8])
{
	struct cursor c = { frame, len ? frame + len : frame };
	const unsigned char *content;
	unsigned int ie, group;
	int err = read_addresses(&c, eui64);

	if (!err)
		err = skip_header_ies(&c);
	if (err)
		return err;
	while (c.at < c.end) {
		size_t ie_len;

		if (!take16(&c, &ie) || !(ie & IE_PAYLOAD))
			return -EINVAL;
		ie_len = ie & PAYLOAD_IE_LEN;
		if (!take(&c, ie_len, &content))
			return -EINVAL;
		group = ie >> PAYLOAD_IE_SHIFT & PAYLOAD_IE_GROUP;
		if (group == GROUP_TERMINATION)
			return -ENOENT;
		if (group == GROUP_IETF && ie_len && content[0] == SUBTYPE_JOIN)
			return sixtisch_read(content, ie_len, reading, join);
	}
	return -ENOENT;
}
