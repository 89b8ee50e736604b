/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See verdict.h. */
#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <linux/bpf.h>
#include <jpx/jpy.h>

#include "fixture.h"

/* ---- chance ---------------------------------------------------------------- */

static uint64_t chance;

uint64_t rnd(void)
{
	/* xorshift64* */
	chance ^= chance >> 12;
	chance ^= chance << 25;
	chance ^= chance >> 27;
	return chance * 0x2545f4914f6cdd1dULL;
}

uint32_t below(uint32_t n)
{
	return (uint32_t)((rnd() >> 32) % n);
}

void reseed(void)
{
	const char *env = getenv("JPX_PACKET_SEED");

	chance = env ? strtoull(env, NULL, 0) : 0x6a70780000000001ULL;
	if (!chance)
		chance = 1;
	print_message("JPX_PACKET_SEED=0x%llx\n", (unsigned long long)chance);
}

/* ---- one packet ------------------------------------------------------------ */

int failures;

void fail_row(const char *text, const char *what, long got, long wanted)
{
	if (failures++ < 40)
		print_error("  %s: %s is %ld, should be %ld\n", text, what, got, wanted);
}

void fail_bytes(const char *text, const uint8_t *got, size_t got_len, const uint8_t *wanted,
		size_t wanted_len)
{
	size_t at = 0;

	while (at < got_len && at < wanted_len && got[at] == wanted[at])
		at++;
	if (failures++ < 40)
		print_error("  %s: output differs at byte %zu (%zu bytes, should be %zu)\n", text,
			    at, got_len, wanted_len);
}

void done(void)
{
	int n = failures;

	failures = 0;
	if (n)
		fail_msg("%d packets went wrong", n);
}

int verdict_of(const struct outcome *o)
{
	switch (o->kind) {
	case DROPPED:
		return XDP_DROP;
	case RELAYED:
		return o->same_interface ? XDP_TX : XDP_REDIRECT;
	default:
		return XDP_PASS;
	}
}

static void count(struct jpx_stats *s, const struct outcome *o)
{
	struct jpx_way *way = o->to_pledge ? &s->to_pledge : &s->to_registrar;
	struct jpx_activity *service = &s->services[o->service];

	switch (o->kind) {
	case FOREIGN:
		break;
	case RELAYED:
		way->packets++;
		way->bytes += o->content_len;
		(*(o->to_pledge ? &service->to_pledge : &service->to_registrar))++;
		break;
	case DROPPED:
		s->drops[o->why]++;
		break;
	case HANDED:
		s->handoffs[o->why]++;
		break;
	}
}

void run(const char *text, int slot, const uint8_t *in, size_t len, size_t meta,
	 const struct outcome *o, const uint8_t *want, size_t want_len)
{
	uint8_t out[FRAME_MAX];
	size_t out_len;
	int verdict;

	if (o->kind == RELAYED)
		fx_tx_only(o->to_pledge ? JPX_TX_PORT(o->counted_at) : JPX_TX_SERVICE(o->service));
	verdict = fx_run(slot, in, len, meta, out, &out_len);
	if (verdict < 0 || verdict == XDP_ABORTED || verdict != verdict_of(o)) {
		fail_row(text, "verdict", verdict, verdict_of(o));
		return;
	}
	if (verdict == XDP_PASS && (out_len != len || memcmp(out, in, len)))
		fail_bytes(text, out, out_len, in, len);
	if (o->kind == RELAYED && (out_len != want_len || memcmp(out, want, want_len)))
		fail_bytes(text, out, out_len, want, want_len);
}

static struct jpx_stats before[JPX_MAX_PORTS], after[JPX_MAX_PORTS];
static int macs, odd;

void counters_begin(void)
{
	macs = fx_macs_count();
	odd = fx_odd_count();
	fx_stats(before);
}

void counters_end(const char *text, const struct outcome *o)
{
	fx_stats(after);
	count(&before[o->counted_at], o);
	for (int id = 0; id < JPX_MAX_PORTS; id++) {
		const uint64_t *b = (const uint64_t *)&before[id];
		const uint64_t *a = (const uint64_t *)&after[id];

		for (size_t i = 0; i < sizeof(*before) / sizeof(uint64_t); i++) {
			char what[64];

			if (a[i] == b[i])
				continue;
			snprintf(what, sizeof(what), "counter %zu of port %d, less what it was", i,
				 id);
			fail_row(text, what, (long)(a[i] - b[i]), 0);
		}
	}
	if (fx_macs_count() - macs != o->noted)
		fail_row(text, "MACs noted", fx_macs_count() - macs, o->noted);
	if (fx_odd_count() - odd != o->odd)
		fail_row(text, "odd ports noted", fx_odd_count() - odd, o->odd);
}

void run_row(const char *text, int slot, const uint8_t *in, size_t len, size_t meta,
	     const struct outcome *o, const uint8_t *want, size_t want_len)
{
	counters_begin();
	run(text, slot, in, len, meta, o, want, want_len);
	counters_end(text, o);
}

void run_fast(const char *text, int slot, const uint8_t *in, size_t len, const struct outcome *o,
	      const uint8_t *want, size_t want_len)
{
	struct jpx_stats old, new, zero_old, zero_new;

	fx_stats_of(0, &zero_old);
	fx_stats_of(o->counted_at, &old);
	run(text, slot, in, len, 0, o, want, want_len);
	fx_stats_of(0, &zero_new);
	fx_stats_of(o->counted_at, &new);
	count(&old, o);
	if (!o->counted_at)
		count(&zero_old, o);
	if (memcmp(&old, &new, sizeof(old)) || memcmp(&zero_old, &zero_new, sizeof(zero_old)))
		fail_row(text, "counters right", 0, 1);
}

void fill_content(uint8_t *content, size_t len)
{
	static const uint8_t head[] = { 22, 0xfe, 0xfd };

	for (size_t i = 0; i < len; i++)
		content[i] = i < sizeof(head) ? head[i] : (uint8_t)(i * 7 + len);
}

/* ---- what must come out --------------------------------------------------- */

uint64_t carried_mac(const struct frame_spec *spec)
{
	return spec->bare || spec->src_mac >> 40 & 1 ? 0 : spec->src_mac;
}

size_t wrapped(uint8_t port, uint32_t service, const struct frame_spec *spec,
	       uint8_t out[FRAME_MAX])
{
	struct jpx_pledge pledge = { .udp_port = spec->sport, .port_id = port };
	uint8_t message[FRAME_MAX];
	struct frame_spec want;
	uint64_t mac = carried_mac(spec);
	ssize_t len;

	memcpy(pledge.addr, spec->src, 16);
	for (int i = 0; i < 6; i++)
		pledge.mac[i] = (uint8_t)(mac >> 8 * (5 - i));
	len = jpx_jpy_wrap(fx_services[service].form, &pledge, spec->content, spec->content_len,
			   message, sizeof(message));
	assert_true(len > 0);
	fx_to_registrar(service, &want);
	want.content = message;
	want.content_len = (size_t)len;
	return frame_build(&want, out);
}
