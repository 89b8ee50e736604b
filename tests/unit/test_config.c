/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration file: what is good is applied, in order and word for word;
 * what is bad is refused with the file and the line where it is.  The proxy is
 * a stub that writes down what it is asked for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpx/jpy.h>

#include "../../ctl/common/log.h"
#include "../../ctl/jpd/config.h"
#include "../../ctl/jpd/proxy.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the proxy that writes down what it is asked for --------------------- */

struct proxy {
	char calls[4096];
	const char *refuses; /* the port or registrar that cannot be had, or NULL */
};

static void say(struct proxy *proxy, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct proxy *proxy, const char *fmt, ...)
{
	size_t n = strlen(proxy->calls);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(proxy->calls + n, sizeof(proxy->calls) - n, fmt, ap);
	va_end(ap);
}

static int done(const struct proxy *proxy, const char *name, struct proxy_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	if (!proxy->refuses || strcmp(proxy->refuses, name))
		return 0;
	snprintf(answer->error, sizeof(answer->error), "no");
	return -ENODEV;
}

void proxy_set_default_xdp(struct proxy *proxy, enum jpx_xdp xdp)
{
	say(proxy, "xdp %d\n", (int)xdp);
}

int proxy_attach(struct proxy *proxy, const char *ifname, const struct proxy_wish *wish,
		 struct proxy_answer *answer)
{
	say(proxy, "attach %s xdp=%d later=%d", ifname, wish->xdp, wish->later);
	if (wish->max_flows != PROXY_UNSET)
		say(proxy, " max-flows=%d", wish->max_flows);
	say(proxy, "\n");
	assert_int_equal(wish->intercept, PROXY_UNSET);
	assert_int_equal(wish->uplink_address_count, 0);
	assert_null(wish->registrar);
	assert_null(wish->uplink);
	assert_int_equal(wish->mode, PROXY_UNSET);
	assert_int_equal(wish->form, PROXY_UNSET);
	assert_int_equal(wish->any_content, PROXY_UNSET);
	assert_int_equal(wish->join_port, PROXY_UNSET);
	return done(proxy, ifname, answer);
}

int proxy_add_registrar(struct proxy *proxy, const char *name, const struct proxy_wish *wish,
			struct proxy_answer *answer)
{
	say(proxy, "registrar %s %s uplink=%s mode=%d jpy=%d xdp=%d any=%d join=%d", name,
	    wish->registrar, wish->uplink ? wish->uplink : "-", wish->mode, wish->form, wish->xdp,
	    wish->any_content, wish->join_port);
	if (wish->intercept != PROXY_UNSET)
		say(proxy, " intercept=%d", wish->intercept);
	if (wish->priority != PROXY_UNSET)
		say(proxy, " priority=%d", wish->priority);
	if (wish->weight != PROXY_UNSET)
		say(proxy, " weight=%d", wish->weight);
	if (wish->probe != PROXY_UNSET)
		say(proxy, " probe=%d", wish->probe);
	for (unsigned int i = 0; i < wish->uplink_address_count; i++)
		say(proxy, " %s", wish->uplink_addresses[i]);
	say(proxy, "\n");
	assert_int_equal(wish->max_flows, PROXY_UNSET);
	return done(proxy, name, answer);
}

int proxy_choose(struct proxy *proxy, const char *ifname, const char *name,
		 struct proxy_answer *answer)
{
	say(proxy, "choose %s %s\n", ifname, name);
	return done(proxy, name, answer);
}

/* ---- files ---------------------------------------------------------------- */

static char dir[] = "/tmp/jpx-test-config.XXXXXX";
static char path[sizeof(dir) + 16];

static int make_dir(void **unused)
{
	(void)unused;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/jpd.conf", dir);
	return 0;
}

static int remove_dir(void **unused)
{
	(void)unused;
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* TEXT is good; the calls that applying it makes are CALLS, of which FAILED fail. */
static void applies(const char *text, const char *refuses, const char *calls, int failed)
{
	struct proxy proxy = { .refuses = refuses };
	struct config config;
	char err[600] = "";

	write_file(text);
	if (config_read(path, true, &config, err, sizeof(err)))
		fail_msg("refused: %s\n%s", err, text);
	assert_string_equal(proxy.calls, ""); /* reading changes nothing */
	assert_int_equal(config_apply(&config, &proxy), failed);
	assert_string_equal(proxy.calls, calls);
	/* Again, as for a SIGHUP that finds nothing new. */
	proxy.calls[0] = 0;
	assert_int_equal(config_apply(&config, &proxy), failed);
	assert_string_equal(proxy.calls, calls);
	config_free(&config);
	config_free(&config);
}

/* ---- good ------------------------------------------------------------------ */

static void missing_file(void **unused)
{
	struct proxy proxy = { 0 };
	struct config config;
	char err[600] = "";

	(void)unused;
	unlink(path);
	assert_int_equal(config_read(path, false, &config, err, sizeof(err)), 0);
	assert_int_equal(config.log_level, -1);
	assert_int_equal(config.xdp, -1);
	assert_int_equal(config_apply(&config, &proxy), 0);
	assert_string_equal(proxy.calls, "");
	config_free(&config);
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, path));
	assert_non_null(strstr(err, "No such file"));
	config_free(&config);
}

static void directory(void **unused)
{
	struct config config;
	char err[600] = "";

	(void)unused;
	assert_int_equal(config_read(dir, true, &config, err, sizeof(err)), -EISDIR);
	assert_non_null(strstr(err, dir));
	config_free(&config);
}

/* More than anybody writes, and what is no text: refused, never half read. */
static void no_config_file(void **unused)
{
	struct config config;
	char err[600] = "";
	FILE *f;

	(void)unused;
	write_file("xdp = auto\n");
	assert_int_equal(truncate(path, (1 << 20) + 1), 0);
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), -EFBIG);
	assert_non_null(strstr(err, path));
	assert_int_equal(truncate(path, 100), 0); /* zeros behind the text */
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, path));
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1 << 20; i++)
		assert_true(fputc('#', f) == '#');
	assert_int_equal(fclose(f), 0);
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	config_free(&config);
}

static void empty_file(void **unused)
{
	(void)unused;
	applies("", NULL, "", 0);
	applies("# nothing\n\n   # log-level = debug\n", NULL, "", 0);
}

static void for_the_daemon(void **unused)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	static const char *const xdps[] = { "auto", "native", "generic", "off" };
	struct config config;
	char err[600], text[128];

	(void)unused;
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "log-level = %s\nxdp = %s\n", levels[i], xdps[i]);
		write_file(text);
		assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
		assert_int_equal(config.log_level, i);
		assert_int_equal(config.xdp, i);
		config_free(&config);
	}
	assert_int_equal(JPX_LOG_DEBUG, 3);
	assert_int_equal(JPX_XDP_OFF, 3);
	applies("xdp = generic\n", NULL, "xdp 2\n", 0);
}

static void registrars(void **unused)
{
	(void)unused;
	applies("registrar main { address = \"[2001:db8::52]:7634\" }\n", NULL,
		"registrar main [2001:db8::52]:7634 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 "
		"join=-1\n",
		0);
	applies("registrar other {\n"
		"  address = \"[2001:db8::53]:5684\"\n  mode = stateful\n  jpy = draft-06\n"
		"  join-port = 65535\n  uplink = eth0.7\n  xdp = off\n  content = any\n}\n",
		NULL,
		"registrar other [2001:db8::53]:5684 uplink=eth0.7 mode=1 jpy=1 xdp=3 any=1 "
		"join=65535\n",
		0);
	applies("registrar x {\n address = \"[fe80::1%not-there-yet]:1\"\n content = dtls\n"
		" mode = stateless\n jpy = draft-01\n xdp = auto\n join-port = 1\n}\n",
		NULL,
		"registrar x [fe80::1%not-there-yet]:1 uplink=- mode=0 jpy=3 xdp=0 any=0 join=1\n",
		0);
}

static void liveness(void **unused)
{
	(void)unused;
	applies("registrar a {\n address = \"[2001:db8::1]:1\"\n priority = 0\n weight = 0\n"
		" probe = no\n}\n"
		"registrar b {\n address = \"[2001:db8::2]:1\"\n priority = 65535\n"
		" weight = 65535\n probe = yes\n}\n",
		NULL,
		"registrar a [2001:db8::1]:1 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 join=-1 "
		"priority=0 weight=0 probe=0\n"
		"registrar b [2001:db8::2]:1 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 join=-1 "
		"priority=65535 weight=65535 probe=1\n",
		0);
}

static void stateful(void **unused)
{
	(void)unused;
	applies("registrar a {\n address = \"192.0.2.1:5684\"\n mode = stateful\n"
		" intercept = true\n uplink-addresses = {192.0.2.7}\n}\n"
		"registrar b {\n address = \"[2001:db8::1]:1\"\n mode = stateful\n"
		" intercept = false\n uplink-addresses = {\"2001:db8::7\", \"2001:db8::8\"}\n}\n"
		"port eth1 { max-flows = 1 }\nport eth2 { max-flows = 1048576 }\n",
		NULL,
		"registrar a 192.0.2.1:5684 uplink=- mode=1 jpy=-1 xdp=-1 any=-1 join=-1 "
		"intercept=1 192.0.2.7\n"
		"registrar b [2001:db8::1]:1 uplink=- mode=1 jpy=-1 xdp=-1 any=-1 join=-1 "
		"2001:db8::7 2001:db8::8\n"
		"attach eth1 xdp=-1 later=1 max-flows=1\nattach eth2 xdp=-1 later=1 "
		"max-flows=1048576\n",
		0);
}

/* As many uplink addresses as there may be are all applied; one more is refused. */
static void many_addresses(void **unused)
{
	struct proxy proxy = { 0 };
	struct config config;
	char err[600] = "", text[2048];

	(void)unused;
	for (int count = JPX_SERVICE_UPLINKS; count <= JPX_SERVICE_UPLINKS + 1; count++) {
		size_t n = (size_t)snprintf(text, sizeof(text),
					    "registrar a {\n address = \"[2001:db8::1]:1\"\n"
					    " mode = stateful\n uplink-addresses = {");

		for (int i = 0; i < count; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"2001:db8::%x\"",
					      i ? "," : "", i + 1);
		snprintf(text + n, sizeof(text) - n, "}\n}\n");
		write_file(text);
		if (count > JPX_SERVICE_UPLINKS) {
			assert_int_equal(config_read(path, true, &config, err, sizeof(err)),
					 -EINVAL);
			assert_non_null(strstr(err, ":4: "));
			assert_non_null(strstr(err, "more than 32"));
		} else {
			assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
			assert_int_equal(config_apply(&config, &proxy), 0);
			assert_non_null(strstr(proxy.calls, " 2001:db8::20\n"));
		}
		config_free(&config);
	}
}

static void limits(void **unused)
{
	struct flows_limits d = flows_limits_default;
	struct config config;
	char err[600];

	(void)unused;
	write_file("");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	assert_memory_equal(&config.flows, &d, sizeof(d));
	config_free(&config);
	write_file("flows {}\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	assert_memory_equal(&config.flows, &d, sizeof(d));
	config_free(&config);
	/* What draft-ietf-anima-constrained-join-proxy-21, 4.3 says. */
	assert_int_equal(d.per_pledge, 2);
	assert_int_equal(d.per_port, 10);
	assert_int_equal(d.idle, 30);

	write_file("flows {\n max = 1048576\n per-pledge = 8\n per-port = 1048576\n"
		   " idle = 86400\n rest = 86400\n ports = 1024-65535\n}\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	assert_int_equal(config.flows.max, 1048576);
	assert_int_equal(config.flows.per_pledge, 8);
	assert_int_equal(config.flows.per_port, 1048576);
	assert_int_equal(config.flows.idle, 86400);
	assert_int_equal(config.flows.rest, 86400);
	assert_int_equal(config.flows.first_port, 1024);
	assert_int_equal(config.flows.port_count, 64512);
	config_free(&config);

	/* What is not said stays as it is by default. */
	write_file("flows {\n max = 1\n per-pledge = 1\n per-port = 1\n idle = 1\n"
		   " ports = 65535-65535\n}\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	assert_int_equal(config.flows.max, 1);
	assert_int_equal(config.flows.per_pledge, 1);
	assert_int_equal(config.flows.per_port, 1);
	assert_int_equal(config.flows.idle, 1);
	assert_int_equal(config.flows.rest, d.rest);
	assert_int_equal(config.flows.first_port, 65535);
	assert_int_equal(config.flows.port_count, 1);
	config_free(&config);
}

/* What the file does not say is as the default has it; what it says is taken word for word. */
static void discovery(void **unused)
{
	struct discovery_settings d = discovery_settings_default;
	static const char *const none[] = { "", "discovery {}\n" };
	struct config config;
	char err[600];

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		write_file(none[i]);
		assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
		assert_memory_equal(&config.discovery, &d, sizeof(d));
		config_free(&config);
	}
	assert_true(d.coap_answer && d.coap_ask && d.grasp_flood && d.grasp_hear && d.dns_sd &&
		    d.mdns && !d.beacon);
	assert_int_equal(d.look, DISCOVERY_AUTO);
	assert_int_equal(d.mode, -1);

	write_file("discovery {\n coap-answer = no\n grasp-hear = false\n beacon = yes\n}\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	d.coap_answer = d.grasp_hear = false;
	d.beacon = true;
	assert_memory_equal(&config.discovery, &d, sizeof(d));
	config_free(&config);

	write_file(
		"discovery {\n registrars = yes\n mode = stateful\n uplinks = {eth0, eth1.7}\n"
		" hosts = {\"[2001:db8::1]\", \"[2001:db8::2]:5700\"}\n domain = example.org\n"
		" max-registrars = 16\n leisure = 1\n beacon-period = 100\n beacon-priority = 0\n"
		" beacon-pan-priority = 255\n beacon-network-id = a1B2\n"
		" beacon-reading = octets\n}\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), 0);
	assert_int_equal(config.discovery.look, DISCOVERY_YES);
	assert_int_equal(config.discovery.mode, JPX_MODE_STATEFUL);
	assert_string_equal(config.discovery.uplinks[0], "eth0");
	assert_string_equal(config.discovery.uplinks[1], "eth1.7");
	assert_string_equal(config.discovery.uplinks[2], "");
	assert_int_equal(config.discovery.host_count, 2);
	assert_int_equal(ntohs(config.discovery.hosts[0].sin6_port), 5683);
	assert_int_equal(ntohs(config.discovery.hosts[1].sin6_port), 5700);
	assert_int_equal(config.discovery.hosts[1].sin6_addr.s6_addr[15], 2);
	assert_string_equal(config.discovery.domain, "example.org");
	assert_int_equal(config.discovery.max, 16);
	assert_int_equal(config.discovery.leisure, 1);
	assert_int_equal(config.discovery.beacon_period, 100);
	assert_int_equal(config.discovery.beacon_priority, 0);
	assert_int_equal(config.discovery.beacon_pan_priority, 255);
	assert_int_equal(config.discovery.beacon_network_id_len, 2);
	assert_memory_equal(config.discovery.beacon_network_id, "\xa1\xb2", 2);
	assert_true(config.discovery.beacon_octets);
	config_free(&config);
}

/* Registrars come first, wherever they are in the file: ports name them. */
static void order(void **unused)
{
	(void)unused;
	applies("port eth1 {}\n"
		"port eth1.20 {\n  xdp = generic\n  registrars = {b, a}\n}\n"
		"registrar a { address = \"[2001:db8::1]:1\" }\n"
		"port wpan0 { xdp = off }\n"
		"registrar b { address = \"[2001:db8::2]:2\" }\n"
		"xdp = native\n",
		NULL,
		"xdp 1\n"
		"registrar a [2001:db8::1]:1 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 join=-1\n"
		"registrar b [2001:db8::2]:2 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 join=-1\n"
		"attach eth1 xdp=-1 later=1\n"
		"attach eth1.20 xdp=2 later=1\n"
		"choose eth1.20 b\n"
		"choose eth1.20 a\n"
		"attach wpan0 xdp=3 later=1\n",
		0);
}

/* What fails is left out and counted once; the rest is applied. */
static void failures(void **unused)
{
	static const char text[] = "registrar a { address = \"[2001:db8::1]:1\" }\n"
				   "registrar b { address = \"[2001:db8::2]:2\" }\n"
				   "port eth1 { registrars = {a, b} }\nport eth2 {}\n";
	static const char first[] =
		"registrar a [2001:db8::1]:1 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 join=-1\n"
		"registrar b [2001:db8::2]:2 uplink=- mode=-1 jpy=-1 xdp=-1 any=-1 join=-1\n"
		"attach eth1 xdp=-1 later=1\n";
	char calls[1024];

	(void)unused;
	snprintf(calls, sizeof(calls), "%sattach eth2 xdp=-1 later=1\n", first);
	applies(text, "eth1", calls, 1);
	snprintf(calls, sizeof(calls), "%schoose eth1 a\nattach eth2 xdp=-1 later=1\n", first);
	applies(text, "a", calls, 2); /* the registrar, and the port that names it */
	snprintf(calls, sizeof(calls),
		 "%schoose eth1 a\nchoose eth1 b\nattach eth2 xdp=-1 later=1\n", first);
	applies(text, "eth2", calls, 1);
	applies(text, NULL, calls, 0);
}

/* ---- bad -------------------------------------------------------------------- */

static const struct {
	const char *text;
	int line;
	const char *says;
} bad[] = {
	{ "nonsense = 1\n", 1, "nonsense" },
	{ "\n\nnonsense {\n}\n", 3, "nonsense" },
	{ "log-level = info\nlog-level = loud\n", 2, "\"loud\"" },
	{ "# why\nxdp = maybe\n", 2, "\"maybe\"" },
	{ "# a\n# b\n\nxdp = auto # c\nlog-level = loud\n", 5, "\"loud\"" },
	{ "// a\n/* b\n * c */\n/* d */ xdp = maybe\n", 4, "\"maybe\"" },
	{ "port \"#a\" {} # \"b\nport '//c' {}\nxdp = maybe\n", 3, "\"maybe\"" },
	{ "registrar a { # it's\n  address = \"[2001:db8::1]:1\" # \"\n  mode = x\n}\n", 3,
	  "\"x\"" },
	{ "xdp =\n", 0, "" },
	{ "xdp = \"auto\n", 0, "" },
	{ "registrar a {\n  address = \"[2001:db8::1]:1\"\n  mode = both\n}\n", 3, "\"both\"" },
	{ "registrar a {\n  jpy = draft-99\n  address = \"[2001:db8::1]:1\"\n}\n", 2, "draft-99" },
	{ "registrar a {\n  xdp = 1\n}\n", 2, "\"1\"" },
	{ "registrar a {\n  content = none\n}\n", 2, "\"none\"" },
	{ "registrar a {\n  address = \"2001:db8::1\"\n}\n", 2, "2001:db8::1" },
	{ "registrar a {\n  address = \"[2001:db8::1]:0\"\n}\n", 2, "[2001:db8::1]:0" },
	{ "registrar a {\n  address = \"[2001:db8::1]:65536\"\n}\n", 2, "65536" },
	{ "registrar a {\n  address = \"\"\n}\n", 2, "address" },
	{ "registrar a {\n  join-port = 0\n}\n", 2, "join-port 0" },
	{ "registrar a {\n  join-port = 65536\n}\n", 2, "join-port 65536" },
	{ "registrar a {\n  join-port = -1\n}\n", 2, "join-port -1" },
	{ "registrar a {\n  join-port = five\n}\n", 2, "join-port" },
	{ "registrar a {\n  priority = -1\n}\n", 2, "priority -1" },
	{ "registrar a {\n  priority = 65536\n}\n", 2, "priority 65536" },
	{ "registrar a {\n  weight = 65536\n}\n", 2, "weight 65536" },
	{ "registrar a {\n  probe = sometimes\n}\n", 2, "probe" },
	{ "registrar a {\n  join-port = 99999999999999999999\n}\n", 2, "join-port" },
	{ "registrar a {\n  uplink = eth0\n}\n", 3, "no address" },
	{ "registrar a {\n  colour = red\n}\n", 2, "colour" },
	{ "registrar {\n  address = \"[2001:db8::1]:1\"\n}\n", 1, "registrar" },
	{ "registrar a { address = \"[2001:db8::1]:1\" }\n"
	  "registrar a { address = \"[2001:db8::1]:1\" }\n",
	  2, "a" },
	{ "port eth0 {}\n/*\n*/\nregistrar a {\n  address = \"[2001:db8::1]:1\"\n", 4,
	  "never closed" },
	{ "port eth0 {\n  registrars = {a\n}\n", 0, "" },
	{ "port eth0 {\n  xdp = fast\n}\n", 2, "\"fast\"" },
	{ "port eth0 {\n  mode = stateless\n}\n", 2, "mode" },
	{ "port eth0 {}\nport eth0 {}\n", 2, "eth0" },
	{ "port eth0 {}\n}\n", 2, "" },
	{ "registrar a {\n  intercept = maybe\n}\n", 2, "intercept" },
	{ "registrar a {\n  address = \"[2001:db8::1]:1\"\n"
	  "  uplink-addresses = {\"2001:db8::7\",\n    \"[2001:db8::8]:1\"}\n}\n",
	  4, "\"[2001:db8::8]:1\" is no IP address" },
	{ "registrar a {\n  uplink-addresses = {192.0.2.256}\n}\n", 2, "192.0.2.256" },
	{ "registrar a {\n  uplink-addresses = {\"fe80::1%lo\"}\n}\n", 2, "fe80::1%lo" },
	{ "port eth0 {\n  max-flows = 0\n}\n", 2, "max-flows 0 is not from 1 to 1048576" },
	{ "port eth0 {\n  max-flows = 1048577\n}\n", 2, "max-flows 1048577" },
	{ "port eth0 {\n  intercept = true\n}\n", 2, "intercept" },
	{ "discovery {\n  registrars = maybe\n}\n", 2, "none of auto, yes, no" },
	{ "discovery {\n  mode = both\n}\n", 2, "\"both\"" },
	{ "discovery {\n  hosts = {\"[fe80::1%lo]\"}\n}\n", 2, "one host beyond the link" },
	{ "discovery {\n  hosts = {\"[ff05::fd]\"}\n}\n", 2, "one host beyond the link" },
	{ "discovery {\n  hosts = {registrar.example}\n}\n", 2, "registrar.example" },
	{ "discovery {\n  uplinks = {a-name-much-too-long}\n}\n", 2, "no interface name" },
	{ "discovery {\n  max-registrars = 17\n}\n", 2, "17 is not from 1 to 16" },
	{ "discovery {\n  leisure = 0\n}\n", 2, "leisure 0" },
	{ "discovery {\n  domain = \"\"\n}\n", 2, "domain" },
	{ "discovery {\n  beacon-network-id = abc\n}\n", 2, "1 to 16 bytes" },
	{ "discovery {\n  beacon-network-id = 0g\n}\n", 2, "1 to 16 bytes" },
	{ "discovery {\n  beacon-reading = bits\n}\n", 2, "columns nor octets" },
	{ "discovery {\n  beacon-priority = 128\n}\n", 2, "beacon-priority 128" },
	{ "discovery {\n  coap = yes\n}\n", 2, "coap" },
	{ "flows {\n  max = 0\n}\n", 2, "max 0 is not from 1 to 1048576" },
	{ "flows {\n  max = 1048577\n}\n", 2, "max 1048577" },
	{ "flows {\n  max = -1\n}\n", 2, "max -1" },
	{ "flows {\n\n  per-pledge = 9\n}\n", 3, "per-pledge 9 is not from 1 to 8" },
	{ "flows {\n  per-pledge = 0\n}\n", 2, "per-pledge 0" },
	{ "flows {\n  per-port = 1048577\n}\n", 2, "per-port 1048577" },
	{ "flows {\n  idle = 0\n}\n", 2, "idle 0 is not from 1 to 86400" },
	{ "flows {\n  idle = 86401\n}\n", 2, "idle 86401" },
	{ "flows {\n  rest = 86401\n}\n", 2, "rest 86401" },
	{ "flows {\n  rest = long\n}\n", 2, "rest" },
	{ "flows {\n  ports = 1023-2000\n}\n", 2, "ports \"1023-2000\" is no range" },
	{ "flows {\n  ports = 2000-1999\n}\n", 2, "2000-1999" },
	{ "flows {\n  ports = 1024-65536\n}\n", 2, "1024-65536" },
	{ "flows {\n  ports = 1024-2000x\n}\n", 2, "1024-2000x" },
	{ "flows {\n  ports = 2000\n}\n", 2, "\"2000\"" },
	{ "flows {\n  ports = \"\"\n}\n", 2, "ports \"\"" },
	{ "flows {\n  colour = red\n}\n", 2, "colour" },
	{ "flows {}\nflows {\n  max = 0\n}\n", 3, "max 0" },
	{ "flows f {\n}\n", 1, "flows" },
	{ "xdp = auto\nflows {\n  max = 5\n", 2, "never closed" },
};

static void errors(void **unused)
{
	struct config config;

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char err[600] = "", where[64];

		write_file(bad[i].text);
		if (config_read(path, true, &config, err, sizeof(err)) != -EINVAL)
			fail_msg("accepted:\n%s", bad[i].text);
		snprintf(where, sizeof(where), "%s:%d: ", path, bad[i].line);
		if (!bad[i].line)
			snprintf(where, sizeof(where), "%s:", path);
		if (strncmp(err, where, strlen(where)) || !strstr(err, bad[i].says) ||
		    strlen(err) <= strlen(where) || strchr(err, '\n'))
			fail_msg("\"%s\" is not %s...%s, of\n%s", err, where, bad[i].says,
				 bad[i].text);
		config_free(&config);
	}
}

/* A message longer than the place for it is cut, and the first error is the one told. */
static void long_errors(void **unused)
{
	char text[3000], err[64];
	struct config config;
	size_t n;

	(void)unused;
	n = (size_t)snprintf(text, sizeof(text), "xdp = ");
	memset(text + n, 'x', 2000);
	snprintf(text + n + 2000, sizeof(text) - n - 2000, "\nlog-level = worse\n");
	write_file(text);
	memset(err, 0x7f, sizeof(err));
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), -EINVAL);
	assert_true(memchr(err, 0, sizeof(err)) != NULL);
	assert_int_equal(strncmp(err, path, strlen(path)), 0);
	assert_null(strstr(err, "worse"));
	config_free(&config);
}

/* An error does not stay behind for the next file. */
static void after_an_error(void **unused)
{
	struct config config;
	char err[600];

	(void)unused;
	write_file("nonsense = 1\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), -EINVAL);
	write_file("\nxdp = maybe\n");
	assert_int_equal(config_read(path, true, &config, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, ":2: "));
	assert_non_null(strstr(err, "maybe"));
	applies("port eth0 {}\n", NULL, "attach eth0 xdp=-1 later=1\n", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_file),	  cmocka_unit_test(directory),
		cmocka_unit_test(no_config_file), cmocka_unit_test(empty_file),
		cmocka_unit_test(for_the_daemon), cmocka_unit_test(registrars),
		cmocka_unit_test(liveness),	  cmocka_unit_test(stateful),
		cmocka_unit_test(many_addresses), cmocka_unit_test(limits),
		cmocka_unit_test(discovery),	  cmocka_unit_test(order),
		cmocka_unit_test(failures),	  cmocka_unit_test(errors),
		cmocka_unit_test(long_errors),	  cmocka_unit_test(after_an_error),
	};

	return cmocka_run_group_tests_name("config", tests, make_dir, remove_dir);
}
