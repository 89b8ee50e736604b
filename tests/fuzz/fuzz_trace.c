/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzz target for --trace: of whatever a stranger sends, a page that a terminal can show, of a
 * length that is bound to the message's.
 */
#include <string.h>

#include "../../ctl/jpreg/dtls_name.h"
#include "../../ctl/jpreg/trace.h"

#include "../unit/guard.h"
#include "fuzz.h"

static void try_record(const uint8_t *input, size_t len)
{
	const uint8_t *data = guarded(input, len);
	struct jpx_dtls_record rec;

	if (!jpx_dtls_record_read(data, len, &rec))
		return;
	MUST(rec.header_len && rec.header_len <= len && rec.len <= len - rec.header_len);
	MUST(rec.len <= rec.claimed && rec.first == data[0]);
	MUST(rec.unified == (data[0] >= 32));
	MUST(rec.sequence >> 48 == 0);
	MUST(rec.unified || rec.version >> 8 == 0xfe);
	jpx_dtls_content_type_name(rec.first);
	jpx_dtls_version_name(rec.version);
	for (size_t i = 0; i < len && i < 32; i++) {
		jpx_dtls_handshake_name(data[i]);
		jpx_dtls_alert_name(data[i]);
	}
}

static void try_message(const uint8_t *input, size_t len)
{
	const struct sockaddr_in6 proxy = { .sin6_family = AF_INET6,
					    .sin6_port = 1,
					    .sin6_scope_id = 4000000000 };
	const uint8_t *data = guarded(input, len);
	struct jpx_jpy_layout layout;
	char *page = NULL;
	size_t size = 0;
	FILE *out;

	if (jpx_jpy_split(data, len, &layout) != JPX_RELAY)
		return;
	out = open_memstream(&page, &size);
	MUST(out);
	jpx_trace(out, len % 2 ? JPX_TRACE_FROM_PROXY : JPX_TRACE_TO_PROXY, &proxy, &proxy, data,
		  len, &layout);
	MUST(!fclose(out));
	MUST(strlen(page) == size);
	for (size_t i = 0; i < size; i++)
		MUST(page[i] == '\n' || (page[i] >= ' ' && page[i] <= '~'));
	/* Each octet of the header twice in hex, with what is said of it; of the content but its
	 * records. */
	MUST(size < 16384 + 24 * (len - layout.content.len));
	free(page);
}

FUZZ_TARGET(fuzz_trace)
{
	if (len > GUARD_ROOM)
		return 0;
	try_record(input, len);
	try_message(input, len);
	return 0;
}
