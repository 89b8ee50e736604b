/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See config.h. */
#include "config.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpx/jpy.h>

#include "addr.h"
#include "config_discovery.h"
#include "log.h"
#include "proxy.h"
#include "words.h"

#define CONFIG_MAX (1 << 20) /* bytes of a file */

/* The first error of a read, and of which file: libconfuse's callback has no place for a context,
 * and a section without a title does not know its file. */
static char first_error[512];
static const char *reading;

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	size_t n;

	if (*first_error)
		return;
	n = (size_t)snprintf(first_error, sizeof(first_error),
			     "%s:%d: ", cfg && cfg->filename ? cfg->filename : reading,
			     cfg ? cfg->line : 0);
	if (n < sizeof(first_error))
		vsnprintf(first_error + n, sizeof(first_error) - n, fmt, ap);
}

static int check_word(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	struct sockaddr_in6 sa;
	struct in6_addr addr;
	char why[256];

	if (!strcmp(opt->name, "mode") && jpx_mode_by_word(word) < 0)
		cfg_error(cfg, "mode \"%s\" is neither stateless nor stateful", word);
	else if (!strcmp(opt->name, "jpy") && jpx_form_by_name(word) < 0)
		cfg_error(cfg, "jpy \"%s\" is none of draft-01, draft-02, draft-06, draft-21",
			  word);
	else if (!strcmp(opt->name, "xdp") && jpx_xdp_by_word(word) < 0)
		cfg_error(cfg, "xdp \"%s\" is none of auto, native, generic, off", word);
	else if (!strcmp(opt->name, "content") && strcmp(word, "dtls") && strcmp(word, "any"))
		cfg_error(cfg, "content \"%s\" is neither dtls nor any", word);
	else if (!strcmp(opt->name, "log-level") && jpx_log_level_by_name(word) < 0)
		cfg_error(cfg, "log-level \"%s\" is none of error, warning, info, debug", word);
	else if (!strcmp(opt->name, "address") &&
		 jpx_endpoint_parse(word, 0, &sa, why, sizeof(why)) && !strchr(word, '%'))
		/* A zone may name an interface that is not there yet. */
		cfg_error(cfg, "address %s", why);
	else if (!strcmp(opt->name, "uplink-addresses") &&
		 jpx_addr_parse(word, &addr, why, sizeof(why)))
		cfg_error(cfg, "uplink-addresses: %s", why);
	else if (!strcmp(opt->name, "uplink-addresses") && cfg_opt_size(opt) > JPX_SERVICE_UPLINKS)
		cfg_error(cfg, "uplink-addresses: more than %d of them", JPX_SERVICE_UPLINKS);
	else
		return 0;
	return -1;
}

static int check_port(cfg_t *cfg, cfg_opt_t *opt)
{
	long port = cfg_opt_getnint(opt, 0);

	if (port >= 1 && port <= 65535)
		return 0;
	cfg_error(cfg, "join-port %ld is not from 1 to 65535", port);
	return -1;
}

static int check_rank(cfg_t *cfg, cfg_opt_t *opt)
{
	long rank = cfg_opt_getnint(opt, 0);

	if (rank >= 0 && rank <= 65535)
		return 0;
	cfg_error(cfg, "%s %ld is not from 0 to 65535", opt->name, rank);
	return -1;
}

/* The whole numbers of section flows, and port's: between which they may be. */
static const struct limit {
	const char *key;
	long min, max;
	size_t offset; /* in struct flows_limits */
} limit_table[] = {
	{ "max", 1, 1 << 20, offsetof(struct flows_limits, max) },
	{ "per-pledge", 1, JPX_PLEDGE_FLOWS, offsetof(struct flows_limits, per_pledge) },
	{ "per-port", 1, 1 << 20, offsetof(struct flows_limits, per_port) },
	{ "idle", 1, 86400, offsetof(struct flows_limits, idle) },
	{ "rest", 1, 86400, offsetof(struct flows_limits, rest) },
};

static int check_limit(cfg_t *cfg, cfg_opt_t *opt)
{
	struct limit limit = { .key = opt->name, .min = 1, .max = 1 << 20 };
	long n = cfg_opt_getnint(opt, 0);

	for (size_t i = 0; i < sizeof(limit_table) / sizeof(*limit_table); i++)
		if (!strcmp(limit_table[i].key, opt->name))
			limit = limit_table[i];
	if (n >= limit.min && n <= limit.max)
		return 0;
	cfg_error(cfg, "%s %ld is not from %ld to %ld", opt->name, n, limit.min, limit.max);
	return -1;
}

/* "FIRST-LAST", from 1024 on. */
static bool parse_ports(const char *text, struct flows_limits *limits)
{
	unsigned int first, last;
	char end;

	if (sscanf(text, "%5u-%5u%c", &first, &last, &end) != 2 || first < 1024 || last > 65535 ||
	    first > last)
		return false;
	limits->first_port = first;
	limits->port_count = last - first + 1;
	return true;
}

static int check_ports(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	struct flows_limits limits;

	if (parse_ports(text, &limits))
		return 0;
	cfg_error(cfg, "ports \"%s\" is no range such as 16384-32767, of UDP ports from 1024 on",
		  text);
	return -1;
}

static void read_limits(cfg_t *cfg, struct flows_limits *limits)
{
	cfg_t *section = cfg_getsec(cfg, "flows");

	for (size_t i = 0; section && i < sizeof(limit_table) / sizeof(*limit_table); i++)
		if (cfg_size(section, limit_table[i].key) &&
		    cfg_getint(section, limit_table[i].key))
			*(unsigned int *)((char *)limits + limit_table[i].offset) =
				(unsigned int)cfg_getint(section, limit_table[i].key);
	if (section && cfg_getstr(section, "ports"))
		parse_ports(cfg_getstr(section, "ports"), limits);
}

static int check_registrar(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	if (cfg_getstr(section, "address"))
		return 0;
	cfg_error(cfg, "registrar %s has no address", cfg_title(section));
	return -1;
}

/*
 * Puts spaces in the place of comments: behind one, libconfuse 3.3 counts lines
 * wrong, and the operator would look for the error in another line.  Returns the
 * line of a section that is never closed, which libconfuse would accept, or 0.
 */
static int blank_comments(char *text)
{
	int line = 1, depth = 0, opened = 0;
	bool word = false; /* within a word # and / are characters like others */
	char quote = 0, *end;

	for (char *p = text; *p; p++) {
		line += *p == '\n';
		if (quote) {
			if (*p == '\\' && p[1])
				p++;
			else if (*p == quote)
				quote = 0;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
			word = false;
		} else if (!word && (*p == '#' || !strncmp(p, "//", 2))) {
			for (end = p + strcspn(p, "\n"); p < end; p++)
				*p = ' ';
			p--;
		} else if (!word && !strncmp(p, "/*", 2) && (end = strstr(p + 2, "*/"))) {
			for (; p < end + 2; p++)
				if (*p != '\n')
					*p = ' ';
				else
					line++;
			p--;
		} else {
			word = !strchr(" \t\r\n={}(),+", *p);
			if (*p == '{' && depth++ == 0)
				opened = line;
			if (*p == '}')
				depth--;
		}
	}
	return depth > 0 ? opened : 0;
}

/*
 * The file as text; the caller frees it.  Not left to libconfuse, whose scanner ends
 * the whole program when it cannot read what it has opened.
 */
static int read_text(const char *path, char **text, char *err, size_t err_len)
{
	FILE *file = fopen(path, "re");
	size_t len = 0;
	int error = file ? 0 : errno;

	*text = calloc(1, CONFIG_MAX + 2);
	if (!*text)
		error = ENOMEM;
	if (!error) {
		len = fread(*text, 1, CONFIG_MAX + 1, file);
		if (ferror(file))
			error = errno;
		else if (len > CONFIG_MAX)
			error = EFBIG;
	}
	if (file)
		fclose(file);
	if (error == EISDIR)
		snprintf(err, err_len, "cannot read %s: it is a directory; --config names a file",
			 path);
	else if (error)
		snprintf(err, err_len, "cannot read %s: %s", path, strerror(error));
	else if (strlen(*text) != len)
		snprintf(err, err_len, "cannot read %s: it is no text file", path);
	else
		return 0;
	free(*text);
	*text = NULL;
	return error ? -error : -EINVAL;
}

/* As cfg_parse(), of what is in PATH. */
static int parse(cfg_t *cfg, const char *path, char *err, size_t err_len)
{
	FILE *file = NULL;
	char *text;
	int ret = read_text(path, &text, err, err_len), open_line;

	if (ret)
		return ret;
	open_line = blank_comments(text);
	strcat(text, "\n"); /* read_text() left room; fmemopen() may refuse a length of 0 */
	*first_error = 0;
	reading = path;
	cfg->filename = strdup(path); /* freed with CFG */
	file = fmemopen(text, strlen(text), "r");
	if (!cfg->filename || !file) {
		snprintf(err, err_len, "out of memory");
		ret = -ENOMEM;
	} else if (cfg_parse_fp(cfg, file) != CFG_SUCCESS) {
		snprintf(err, err_len, "%s", first_error);
		ret = -EINVAL;
	} else if (open_line) {
		snprintf(err, err_len, "%s:%d: the \"{\" is never closed", path, open_line);
		ret = -EINVAL;
	}
	if (file)
		fclose(file);
	free(text);
	return ret;
}

int config_read(const char *path, bool must_exist, struct config *config, char *err, size_t err_len)
{
	cfg_opt_t registrar[] = {
		CFG_STR("address", NULL, CFGF_NODEFAULT),
		CFG_STR("mode", NULL, CFGF_NODEFAULT),
		CFG_STR("jpy", NULL, CFGF_NODEFAULT),
		CFG_INT("join-port", 0, CFGF_NODEFAULT),
		CFG_STR("uplink", NULL, CFGF_NODEFAULT),
		CFG_STR("xdp", NULL, CFGF_NODEFAULT),
		CFG_STR("content", NULL, CFGF_NODEFAULT),
		CFG_BOOL("intercept", cfg_false, CFGF_NODEFAULT),
		CFG_STR_LIST("uplink-addresses", NULL, CFGF_NODEFAULT),
		CFG_INT("priority", 0, CFGF_NODEFAULT),
		CFG_INT("weight", 0, CFGF_NODEFAULT),
		CFG_BOOL("probe", cfg_true, CFGF_NODEFAULT),
		CFG_END(),
	};
	cfg_opt_t flows[] = {
		CFG_STR("ports", NULL, CFGF_NODEFAULT),
		CFG_INT("max", 0, CFGF_NODEFAULT),
		CFG_INT("per-pledge", 0, CFGF_NODEFAULT),
		CFG_INT("per-port", 0, CFGF_NODEFAULT),
		CFG_INT("idle", 0, CFGF_NODEFAULT),
		CFG_INT("rest", 0, CFGF_NODEFAULT),
		CFG_END(),
	};
	cfg_opt_t port[] = {
		CFG_STR("xdp", NULL, CFGF_NODEFAULT),
		CFG_INT("max-flows", 0, CFGF_NODEFAULT),
		CFG_STR_LIST("registrars", NULL, CFGF_NODEFAULT),
		CFG_END(),
	};
	cfg_opt_t top[] = {
		CFG_STR("log-level", NULL, CFGF_NODEFAULT),
		CFG_STR("xdp", NULL, CFGF_NODEFAULT),
		CFG_SEC("flows", flows, CFGF_NONE),
		CFG_SEC("discovery", config_discovery_options(), CFGF_NONE),
		CFG_SEC("registrar", registrar, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
		CFG_SEC("port", port, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	static const char *const words[] = {
		"log-level",
		"xdp",
		"port|xdp",
		"registrar|mode",
		"registrar|jpy",
		"registrar|xdp",
		"registrar|content",
		"registrar|address",
		"registrar|uplink-addresses",
	};
	cfg_t *cfg;
	int ret;

	memset(config, 0, sizeof(*config));
	config->log_level = config->xdp = -1;
	config->flows = flows_limits_default;
	config->discovery = discovery_settings_default;
	if (access(path, F_OK) && errno == ENOENT && !must_exist)
		return 0;
	cfg = cfg_init(top, CFGF_NONE);
	if (!cfg) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	cfg_set_error_function(cfg, on_error);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		cfg_set_validate_func(cfg, words[i], check_word);
	cfg_set_validate_func(cfg, "registrar|join-port", check_port);
	cfg_set_validate_func(cfg, "registrar|priority", check_rank);
	cfg_set_validate_func(cfg, "registrar|weight", check_rank);
	for (size_t i = 0; i < sizeof(limit_table) / sizeof(*limit_table); i++) {
		char option[64];

		snprintf(option, sizeof(option), "flows|%s", limit_table[i].key);
		cfg_set_validate_func(cfg, option, check_limit);
	}
	cfg_set_validate_func(cfg, "port|max-flows", check_limit);
	cfg_set_validate_func(cfg, "flows|ports", check_ports);
	cfg_set_validate_func(cfg, "registrar", check_registrar);
	config_discovery_validate(cfg);
	ret = parse(cfg, path, err, err_len);
	if (ret) {
		cfg_free(cfg);
		return ret;
	}
	config->tree = cfg;
	read_limits(cfg, &config->flows);
	config_discovery_read(cfg, &config->discovery);
	if (cfg_getstr(cfg, "log-level"))
		config->log_level = jpx_log_level_by_name(cfg_getstr(cfg, "log-level"));
	if (cfg_getstr(cfg, "xdp"))
		config->xdp = jpx_xdp_by_word(cfg_getstr(cfg, "xdp"));
	return 0;
}

static int word(cfg_t *section, const char *key, int (*by_word)(const char *))
{
	const char *text = cfg_getstr(section, key);

	return text ? by_word(text) : PROXY_UNSET;
}

static int report(int ret, const char *what, const char *name, const struct proxy_answer *answer)
{
	if (!ret)
		return 0;
	jpx_error("%s %s in the configuration file: %s", what, name, answer->error);
	return 1;
}

static int apply_registrar(cfg_t *section, struct proxy *proxy)
{
	const char *content = cfg_getstr(section, "content");
	struct proxy_wish wish = PROXY_WISH_NONE;
	struct proxy_answer answer;

	wish.registrar = cfg_getstr(section, "address");
	wish.uplink = cfg_getstr(section, "uplink");
	wish.mode = word(section, "mode", jpx_mode_by_word);
	wish.form = word(section, "jpy", jpx_form_by_name);
	wish.xdp = word(section, "xdp", jpx_xdp_by_word);
	if (content)
		wish.any_content = !strcmp(content, "any");
	if (cfg_size(section, "intercept") && cfg_getbool(section, "intercept"))
		wish.intercept = 1;
	for (unsigned int i = 0;
	     i < cfg_size(section, "uplink-addresses") && i <= JPX_SERVICE_UPLINKS; i++)
		wish.uplink_addresses[wish.uplink_address_count++] =
			cfg_getnstr(section, "uplink-addresses", i);
	if (cfg_size(section, "priority"))
		wish.priority = (int)cfg_getint(section, "priority");
	if (cfg_size(section, "weight"))
		wish.weight = (int)cfg_getint(section, "weight");
	if (cfg_size(section, "probe"))
		wish.probe = cfg_getbool(section, "probe") ? 1 : 0;
	if (cfg_size(section, "join-port"))
		wish.join_port = (int)cfg_getint(section, "join-port");
	if (wish.join_port == 0)
		wish.join_port = PROXY_UNSET;
	return report(proxy_add_registrar(proxy, cfg_title(section), &wish, &answer), "registrar",
		      cfg_title(section), &answer);
}

static int apply_port(cfg_t *section, struct proxy *proxy)
{
	struct proxy_wish wish = PROXY_WISH_NONE;
	struct proxy_answer answer;
	int failed;

	wish.xdp = word(section, "xdp", jpx_xdp_by_word);
	if (cfg_size(section, "max-flows") && cfg_getint(section, "max-flows"))
		wish.max_flows = (int)cfg_getint(section, "max-flows");
	wish.later = true; /* at boot, a radio may be found after jpd has started */
	failed = report(proxy_attach(proxy, cfg_title(section), &wish, &answer), "port",
			cfg_title(section), &answer);
	for (unsigned int i = 0; !failed && i < cfg_size(section, "registrars"); i++)
		failed |= report(proxy_choose(proxy, cfg_title(section),
					      cfg_getnstr(section, "registrars", i), &answer),
				 "port", cfg_title(section), &answer);
	return failed;
}

int config_apply(const struct config *config, struct proxy *proxy)
{
	cfg_t *cfg = config->tree;
	int failed = 0;

	if (config->xdp >= 0)
		proxy_set_default_xdp(proxy, (enum jpx_xdp)config->xdp);
	for (unsigned int i = 0; cfg && i < cfg_size(cfg, "registrar"); i++)
		failed += apply_registrar(cfg_getnsec(cfg, "registrar", i), proxy);
	for (unsigned int i = 0; cfg && i < cfg_size(cfg, "port"); i++)
		failed += apply_port(cfg_getnsec(cfg, "port", i), proxy);
	return failed;
}

void config_free(struct config *config)
{
	if (config->tree)
		cfg_free(config->tree);
	config->tree = NULL;
}
