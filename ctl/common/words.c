/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See words.h. */
#include "words.h"

#include <stddef.h>
#include <string.h>

static const char *const links[] = { "ethernet", "ipv6" };
static const char *const modes[] = { "stateless", "stateful" };
static const char *const engines[] = { "socket", "xdp-native", "xdp-generic" };
static const char *const xdps[] = { "auto", "native", "generic", "off" };
static const char *const sources[] = { "config", "coap", "grasp", "dns-sd" };

struct reason {
	const char *word, *text;
};
static const struct reason drops[] = { { "relayed", "" },
#define DROP(sym, name, text) { name, text },
				       JPX_DROPS(DROP)
#undef DROP
};
static const struct reason handoffs[] = {
#define HANDOFF(sym, name, text) { name, text },
	JPX_HANDOFFS(HANDOFF)
#undef HANDOFF
};
static const struct reason tolds[] = {
#define TOLD(sym, name, text) { name, text },
	JPX_TOLDS(TOLD)
#undef TOLD
};

#define COUNT(table)   (sizeof(table) / sizeof(*(table)))
#define WORD(table, i) ((i) < COUNT(table) ? (table)[i] : "?")

static int by_word(const char *const *table, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(table[i], word) == 0)
			return (int)i;
	return -1;
}

const char *jpx_link_word(unsigned int link)
{
	return WORD(links, link);
}

const char *jpx_mode_word(unsigned int mode)
{
	return WORD(modes, mode);
}

const char *jpx_engine_word(unsigned int engine)
{
	return WORD(engines, engine);
}

const char *jpx_xdp_word(unsigned int xdp)
{
	return WORD(xdps, xdp);
}

const char *jpx_source_word(unsigned int source)
{
	return WORD(sources, source);
}

const char *jpx_drop_word(unsigned int reason)
{
	return reason < COUNT(drops) ? drops[reason].word : "?";
}

const char *jpx_drop_text(unsigned int reason)
{
	return reason < COUNT(drops) ? drops[reason].text : "?";
}

const char *jpx_handoff_word(unsigned int reason)
{
	return reason < COUNT(handoffs) ? handoffs[reason].word : "?";
}

const char *jpx_handoff_text(unsigned int reason)
{
	return reason < COUNT(handoffs) ? handoffs[reason].text : "?";
}

const char *jpx_told_word(unsigned int told)
{
	return told < COUNT(tolds) ? tolds[told].word : "?";
}

const char *jpx_told_text(unsigned int told)
{
	return told < COUNT(tolds) ? tolds[told].text : "?";
}

int jpx_mode_by_word(const char *word)
{
	return by_word(modes, COUNT(modes), word);
}

int jpx_xdp_by_word(const char *word)
{
	return by_word(xdps, COUNT(xdps), word);
}
