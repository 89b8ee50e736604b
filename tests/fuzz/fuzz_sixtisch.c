/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for the 6TiSCH join element and the beacons around it, in both readings.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "sixtisch.h"

#include "../unit/guard.h"
#include "fuzz.h"

static void same(const struct sixtisch_join *a, const struct sixtisch_join *b)
{
	MUST(a->router == b->router && a->has_iid == b->has_iid);
	MUST(a->proxy_priority == b->proxy_priority && a->rank_priority == b->rank_priority);
	MUST(a->pan_priority == b->pan_priority);
	MUST(!memcmp(a->iid, b->iid, sizeof(a->iid)));
	MUST(a->network_id_len == b->network_id_len);
	MUST(!memcmp(a->network_id, b->network_id, sizeof(a->network_id)));
}

/* Written again it is the same but for the reserved bits. */
static void try_element(const uint8_t *data, size_t len, enum sixtisch_reading reading)
{
	uint8_t reserved = reading == SIXTISCH_COLUMNS ? 0x38 : 0x3f;
	struct sixtisch_join join;
	unsigned char out[64];
	int err = sixtisch_read(data, len, reading, &join);

	MUST(!err || err == -EINVAL);
	if (err)
		return;
	MUST(join.proxy_priority <= 0x7f && join.network_id_len <= sizeof(join.network_id));
	MUST(sixtisch_write(&join, reading, out, sizeof(out)) == (int)len);
	MUST(out[1] == (data[1] & ~reserved));
	out[1] = data[1];
	MUST(!memcmp(out, data, len));
}

static void try_beacon(const uint8_t *data, size_t len, enum sixtisch_reading reading)
{
	struct sixtisch_join join, again;
	uint8_t eui64[8], same_eui64[8];
	unsigned char out[128];
	int err = sixtisch_beacon_read(data, len, reading, &join, eui64), n;

	MUST(!err || err == -EINVAL || err == -ENOENT);
	if (err)
		return;
	n = sixtisch_beacon_write(&join, reading, eui64, 0xabcd, 1, out, sizeof(out));
	MUST(n > 0);
	MUST(!sixtisch_beacon_read(guarded(out, (size_t)n), (size_t)n, reading, &again,
				   same_eui64));
	MUST(!memcmp(eui64, same_eui64, sizeof(eui64)));
	same(&join, &again);
}

FUZZ_TARGET(fuzz_sixtisch)
{
	if (len > GUARD_ROOM)
		return 0;
	for (int i = 0; i < 2; i++) {
		enum sixtisch_reading reading = i ? SIXTISCH_OCTETS : SIXTISCH_COLUMNS;

		try_element(guarded(input, len), len, reading);
		try_beacon(guarded(input, len), len, reading);
	}
	return 0;
}
