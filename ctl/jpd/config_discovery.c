/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See config_discovery.h. */
#include "config_discovery.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <jpx/wire.h>

#include "addr.h"
#include "words.h"

#define COAP_PORT 5683

const struct discovery_settings discovery_settings_default = {
	.coap_answer = true,
	.grasp_flood = true,
	.mdns = true,
	.beacon = false,
	.look = DISCOVERY_AUTO,
	.coap_ask = true,
	.grasp_hear = true,
	.dns_sd = true,
	.mode = -1,
	.max = 8,
	.beacon_period = 10000,
	.beacon_priority = 0x3f,
	.beacon_pan_priority = 0x7f,
};

/* Keys that are yes or no, and where they go. */
static const struct {
	const char *key;
	size_t offset;
} switches[] = {
	{ "coap-answer", offsetof(struct discovery_settings, coap_answer) },
	{ "coap-ask", offsetof(struct discovery_settings, coap_ask) },
	{ "grasp-flood", offsetof(struct discovery_settings, grasp_flood) },
	{ "grasp-hear", offsetof(struct discovery_settings, grasp_hear) },
	{ "dns-sd", offsetof(struct discovery_settings, dns_sd) },
	{ "mdns", offsetof(struct discovery_settings, mdns) },
	{ "beacon", offsetof(struct discovery_settings, beacon) },
};
#define SWITCHES (sizeof(switches) / sizeof(*switches))

/* Whole numbers, between which they may be, and where they go. */
static const struct {
	const char *key;
	long min, max;
	size_t offset;
} numbers[] = {
	{ "max-registrars", 1, 16, offsetof(struct discovery_settings, max) },
	{ "leisure", 1, 60000, offsetof(struct discovery_settings, leisure) },
	{ "beacon-period", 100, 3600000, offsetof(struct discovery_settings, beacon_period) },
	{ "beacon-priority", 0, 127, offsetof(struct discovery_settings, beacon_priority) },
	{ "beacon-pan-priority", 0, 255, offsetof(struct discovery_settings, beacon_pan_priority) },
};
#define NUMBERS (sizeof(numbers) / sizeof(*numbers))

static const char *const look_words[] = { "auto", "yes", "no" };

cfg_opt_t *config_discovery_options(void)
{
	static cfg_opt_t options[] = {
		CFG_STR("registrars", NULL, CFGF_NODEFAULT),
		CFG_STR("mode", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("uplinks", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("hosts", NULL, CFGF_NODEFAULT),
		CFG_STR("domain", NULL, CFGF_NODEFAULT),
		CFG_BOOL("coap-answer", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("coap-ask", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("grasp-flood", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("grasp-hear", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("dns-sd", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("mdns", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("beacon", cfg_false, CFGF_NODEFAULT),
		CFG_INT("max-registrars", 0, CFGF_NODEFAULT),
		CFG_INT("leisure", 0, CFGF_NODEFAULT),
		CFG_INT("beacon-period", 0, CFGF_NODEFAULT),
		CFG_INT("beacon-priority", 0, CFGF_NODEFAULT),
		CFG_INT("beacon-pan-priority", 0, CFGF_NODEFAULT),
		CFG_STR("beacon-network-id", NULL, CFGF_NODEFAULT),
		CFG_STR("beacon-reading", NULL, CFGF_NODEFAULT),
		CFG_END(),
	};

	return options;
}

static int look_by_word(const char *word)
{
	for (int i = 0; i < 3; i++)
		if (!strcmp(look_words[i], word))
			return i;
	return -1;
}

/* TEXT as bytes; how many, or -1. */
static int read_hex(const char *text, unsigned char *out, size_t max)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	size_t len = strlen(text);

	if (len % 2 || len / 2 > max || strspn(text, digits) != len)
		return -1;
	for (size_t i = 0; i < len / 2; i++)
		out[i] = (unsigned char)((strchr(digits, text[2 * i]) - digits) % 16 << 4 |
					 (strchr(digits, text[2 * i + 1]) - digits) % 16);
	return (int)(len / 2);
}

static int check_list(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	bool hosts = !strcmp(opt->name, "hosts");
	struct sockaddr_in6 sa;
	char why[256];

	if (cfg_opt_size(opt) > (hosts ? DISCOVERY_HOSTS : DISCOVERY_UPLINKS))
		cfg_error(cfg, "%s: more than %d of them", opt->name,
			  hosts ? DISCOVERY_HOSTS : DISCOVERY_UPLINKS);
	else if (hosts && jpx_endpoint_parse(word, COAP_PORT, &sa, why, sizeof(why)))
		cfg_error(cfg, "hosts: %s", why);
	else if (hosts &&
		 (!jpx_addr_is_host(&sa.sin6_addr) || jpx_addr_is_link_local(&sa.sin6_addr)))
		cfg_error(cfg, "hosts: \"%s\" is not an address of one host beyond the link", word);
	else if (!hosts && (!*word || strlen(word) >= IFNAMSIZ))
		cfg_error(cfg, "uplinks: \"%s\" is no interface name", word);
	else
		return 0;
	return -1;
}

static int check_word(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	unsigned char id[16];

	if (!strcmp(opt->name, "registrars") && look_by_word(word) < 0)
		cfg_error(cfg, "registrars \"%s\" is none of auto, yes, no", word);
	else if (!strcmp(opt->name, "mode") && jpx_mode_by_word(word) < 0)
		cfg_error(cfg, "mode \"%s\" is neither stateless nor stateful", word);
	else if (!strcmp(opt->name, "domain") &&
		 (!*word || strlen(word) >= sizeof(((struct discovery_settings *)0)->domain)))
		cfg_error(cfg, "domain \"%s\" is none", word);
	else if (!strcmp(opt->name, "beacon-network-id") && read_hex(word, id, sizeof(id)) < 1)
		cfg_error(cfg, "beacon-network-id \"%s\" is not 1 to 16 bytes in hexadecimal",
			  word);
	else if (!strcmp(opt->name, "beacon-reading") && strcmp(word, "columns") &&
		 strcmp(word, "octets"))
		cfg_error(cfg, "beacon-reading \"%s\" is neither columns nor octets", word);
	else
		return 0;
	return -1;
}

static int check_number(cfg_t *cfg, cfg_opt_t *opt)
{
	long n = cfg_opt_getnint(opt, 0);

	for (size_t i = 0; i < NUMBERS; i++)
		if (!strcmp(numbers[i].key, opt->name) &&
		    (n < numbers[i].min || n > numbers[i].max)) {
			cfg_error(cfg, "%s %ld is not from %ld to %ld", opt->name, n,
				  numbers[i].min, numbers[i].max);
			return -1;
		}
	return 0;
}

static void validate(cfg_t *cfg, const char *key, cfg_validate_callback_t check)
{
	char option[64];

	snprintf(option, sizeof(option), "discovery|%s", key);
	cfg_set_validate_func(cfg, option, check);
}

void config_discovery_validate(cfg_t *cfg)
{
	static const char *const words[] = { "registrars", "mode", "domain", "beacon-network-id",
					     "beacon-reading" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		validate(cfg, words[i], check_word);
	for (size_t i = 0; i < NUMBERS; i++)
		validate(cfg, numbers[i].key, check_number);
	validate(cfg, "uplinks", check_list);
	validate(cfg, "hosts", check_list);
}

static void read_lists(cfg_t *section, struct discovery_settings *settings)
{
	char why[256];

	for (unsigned int i = 0; i < cfg_size(section, "uplinks") && i < DISCOVERY_UPLINKS; i++)
		snprintf(settings->uplinks[i], IFNAMSIZ, "%s", cfg_getnstr(section, "uplinks", i));
	for (unsigned int i = 0; i < cfg_size(section, "hosts") && i < DISCOVERY_HOSTS; i++)
		if (!jpx_endpoint_parse(cfg_getnstr(section, "hosts", i), COAP_PORT,
					&settings->hosts[settings->host_count], why, sizeof(why)))
			settings->host_count++;
}

void config_discovery_read(cfg_t *cfg, struct discovery_settings *settings)
{
	cfg_t *section = cfg_getsec(cfg, "discovery");
	const char *word;

	if (!section)
		return;
	for (size_t i = 0; i < SWITCHES; i++)
		if (cfg_size(section, switches[i].key))
			*(bool *)((char *)settings + switches[i].offset) =
				cfg_getbool(section, switches[i].key);
	for (size_t i = 0; i < NUMBERS; i++)
		if (cfg_size(section, numbers[i].key))
			*(unsigned int *)((char *)settings + numbers[i].offset) =
				(unsigned int)cfg_getint(section, numbers[i].key);
	read_lists(section, settings);
	if ((word = cfg_getstr(section, "registrars")))
		settings->look = (enum discovery_look)look_by_word(word);
	if ((word = cfg_getstr(section, "mode")))
		settings->mode = jpx_mode_by_word(word);
	if ((word = cfg_getstr(section, "domain")))
		snprintf(settings->domain, sizeof(settings->domain), "%s", word);
	if ((word = cfg_getstr(section, "beacon-network-id")))
		settings->beacon_network_id_len = (unsigned int)read_hex(
			word, settings->beacon_network_id, sizeof(settings->beacon_network_id));
	if ((word = cfg_getstr(section, "beacon-reading")))
		settings->beacon_octets = !strcmp(word, "octets");
}
