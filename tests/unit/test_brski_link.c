/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What links say about Registrars and Join Proxies, by every version, against the texts that
 * the drafts print.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "addr.h"
#include "brski_link.h"
#include "guard.h"
#include "vectors.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NONE	     (-ENOENT)
#define WRONG	     (-EINVAL)

#define REGISTRAR "2001:db8:0:abcd::52"
#define BASE	  "2001:db8::99"

static struct in6_addr addr_of(const char *text)
{
	struct in6_addr addr;
	char err[128];

	assert_int_equal(jpx_addr_parse(text, &addr, err, sizeof(err)), 0);
	return addr;
}

static void assert_addr(const struct in6_addr *got, const char *want)
{
	char text[INET6_ADDRSTRLEN];

	assert_string_equal(jpx_addr_format(got, text, sizeof(text)), want);
}

static void assert_sentence(const char *err)
{
	assert_true(strlen(err) > 10);
	assert_true(strlen(err) < 127);
	for (; *err; err++)
		assert_true(*err >= ' ' && *err < 0x7f);
}

/* Every link of a text in answer to a filter; what the last one that counts says. */
struct answer {
	const char *filter, *base;
	int found, none, wrong;
	struct brski_registrar last;
	char err[128];
};

static void on_registrar(void *arg, const struct linkformat_link *link)
{
	struct in6_addr base;
	struct answer *a = arg;
	struct brski_registrar r;
	char err[128] = "";
	int result;

	base = addr_of(a->base);
	memset(&r, 0xee, sizeof(r));
	result = brski_registrar_link(link, a->filter, &base, &r, err, sizeof(err));
	if (!result) {
		a->found++;
		a->last = r;
		return;
	}
	if (result == -ENOENT) {
		a->none++;
		return;
	}
	assert_int_equal(result, -EINVAL);
	a->wrong++;
	assert_sentence(err);
	strcpy(a->err, err);
	/* no room for the sentence is no harm */
	assert_int_equal(brski_registrar_link(link, a->filter, &base, &r, err, 1), -EINVAL);
	assert_int_equal(brski_registrar_link(link, a->filter, &base, &r, NULL, 0), -EINVAL);
}

static struct answer ask(const char *filter, const char *text, const char *base)
{
	struct answer a = { .filter = filter, .base = base };
	size_t len = strlen(text), at;

	assert_true(linkformat_walk((const char *)guarded(text, len), len, on_registrar, &a, &at) >=
		    1);
	return a;
}

static const char *printed(const char *name)
{
	static json_t *list;
	static json_t *root;
	json_t *v;
	size_t i;

	if (!list)
		list = test_discovery_vectors(&root);
	json_array_foreach(list, i, v)
		if (test_is_kind(v, "link-format") &&
		    !strcmp(json_string_value(json_object_get(v, "name")), name))
			return json_string_value(json_object_get(v, "text"));
	fail_msg("there is no vector %s", name);
	return NULL;
}

/*
 * Join Proxy to Registrar
 */

static void test_asks(void **state)
{
	static const char *const order[] = { "rt=brski.rjp", "rt=brski", "rt=join-proxy",
					     "rt=brski-proxy", "rt=ace.est" };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(order); i++) {
		assert_string_equal(brski_ask(i)->filter, order[i]);
		assert_int_equal(brski_ask(i)->mode,
				 i == 1 || i == 4 ? JPX_MODE_STATEFUL : JPX_MODE_STATELESS);
		assert_non_null(brski_ask(i)->version);
	}
	assert_null(brski_ask(i));
	assert_null(brski_ask(UINT32_MAX));
}

static void test_printed_registrars(void **state)
{
	static const struct {
		const char *name, *filter, *addr;
		uint16_t port;
		enum jpx_mode mode;
		enum jpx_form form;
	} table[] = {
		{ "jp.rt-brski.rjp", "rt=brski.rjp", REGISTRAR, 7634, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT21 },
		{ "jp.rt-brski.rjp.coaps+jpy", "rt=brski.rjp", REGISTRAR, 7634, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT21 },
		{ "jp.rt-brski.rjp.coaps", "rt=brski.rjp", REGISTRAR, 7634, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT06 },
		{ "jp.rt-join-proxy", "rt=join-proxy", REGISTRAR, 7634, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT02 },
		{ "jp.rt-join-proxy", "rt=brski-proxy", REGISTRAR, 7634, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT02 },
		{ "jp.rt-brski", "rt=brski", REGISTRAR, 5684, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
		{ "jp.rt-brski.wild", "rt=brski.rjp", REGISTRAR, 7634, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT21 },
		{ "discovery07.stateless", "rt=brski.rjp", REGISTRAR, 7633, JPX_MODE_STATELESS,
		  JPX_FORM_DRAFT21 },
		{ "discovery07.spec", "rt=brski.rjp", "2001:db8:815::5e00:5314", 6534,
		  JPX_MODE_STATELESS, JPX_FORM_DRAFT21 },
		{ "discovery07.stateful", "rt=brski", "2001:db8:815::5e00:5314", 5684,
		  JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
		{ "est.seed06", "rt=ace.est", BASE, 5684, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
		{ "cbrski.base", "rt=brski", BASE, 5684, JPX_MODE_STATEFUL, JPX_FORM_DRAFT21 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct answer a = ask(table[i].filter, printed(table[i].name), BASE);

		if (a.found != 1 || a.wrong)
			fail_msg("%s: %d, %s", table[i].name, a.found, a.err);
		assert_addr(&a.last.addr, table[i].addr);
		assert_int_equal(a.last.port, table[i].port);
		assert_int_equal(a.last.mode, table[i].mode);
		assert_int_equal(a.last.form, table[i].form);
		if (strncmp(table[i].name, "discovery07.s", 13) != 0 || i == 7) {
			assert_int_equal(a.last.priority, 65535);
			assert_int_equal(a.last.weight, 0);
		} else {
			assert_int_equal(a.last.priority, 1);
			assert_int_equal(a.last.weight, 2);
		}
	}
}

/* An answer counts only for what was asked. */
static void test_other_names(void **state)
{
	(void)state;
	assert_int_equal(ask("rt=brski", printed("jp.rt-brski.rjp"), BASE).none, 1);
	assert_int_equal(ask("rt=brski.rjp", printed("jp.rt-brski"), BASE).none, 1);
	assert_int_equal(ask("rt=brski", printed("jp.rt-brski.wild"), BASE).none, 4);
	assert_int_equal(ask("rt=join-proxy", printed("jp.rt-brski.rjp"), BASE).none, 1);
	assert_int_equal(ask("rt=ace.est", printed("est.rfc9148"), BASE).none, 6);
	assert_int_equal(ask("rt=brski", printed("edhoc"), BASE).none, 1);
	assert_int_equal(ask("rt=brski.rjp", printed("pledge.brski-jp"), BASE).none, 1);
	assert_int_equal(ask("rt=brski", printed("pledge.rt-brski.jp"), BASE).none, 1);
	assert_int_equal(ask("rt=else", printed("jp.rt-brski"), BASE).none, 1);
	assert_int_equal(ask("", printed("jp.rt-brski"), BASE).none, 1);
	assert_int_equal(ask("rt=brski", "<coaps://[" REGISTRAR "]>", BASE).none, 1);
	assert_int_equal(ask("rt=brski", "<coaps://[" REGISTRAR "]>;rt", BASE).none, 1);
	/* the first word is enough, and the last */
	assert_int_equal(ask("rt=brski", "<coaps://[" REGISTRAR "]>;rt=\"brski x\"", BASE).found,
			 1);
	assert_int_equal(ask("rt=brski", "<coaps://[" REGISTRAR "]>;rt=\"x brski\"", BASE).found,
			 1);
	assert_int_equal(ask("rt=brski", "<coaps://[" REGISTRAR "]>;rt=\"brski.x\"", BASE).none, 1);
}

static void test_targets(void **state)
{
	static const struct {
		const char *target;
		int result; /* the port, or an error */
		const char *addr;
		const char *says;
	} jpy[] = {
		{ "jpy://[2001:db8::1]:1", 1, "2001:db8::1", NULL },
		{ "jpy://[2001:db8::1]:65535", 65535, "2001:db8::1", NULL },
		{ "JPY://[2001:DB8::1]:7634", 7634, "2001:db8::1", NULL },
		{ "jpy://[2001:db8::1]:7634/", 7634, "2001:db8::1", NULL },
		{ "jpy://[2001:db8::1]:7634/b/c?d#e", 7634, "2001:db8::1", NULL },
		{ "jpy://[2001:db8::1]:7634?d", 7634, "2001:db8::1", NULL },
		{ "jpy://192.0.2.1:7634", 7634, "192.0.2.1", NULL },
		{ "jpy://[::ffff:192.0.2.1]:7634", 7634, "192.0.2.1", NULL },
		{ "coaps+jpy://[2001:db8::1]:7634/b", 7634, "2001:db8::1", NULL },
		{ "/jpy://[2001:db8::1]:7634", 7634, "2001:db8::1", NULL },
		{ "jpy://[2001:db8::1]", WRONG, NULL, "no default" },
		{ "jpy://[2001:db8::1]:", WRONG, NULL, "no default" },
		{ "jpy://[2001:db8::1]/b", WRONG, NULL, "no default" },
		{ "jpy://192.0.2.1", WRONG, NULL, "no default" },
		{ "coaps+jpy://[2001:db8::1]", WRONG, NULL, "no default" },
		{ "jpy://[2001:db8::1]:0", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:65536", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:100000", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:18446744073709551617", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:-1", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:+1", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:1x", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1]:1:2", WRONG, NULL, "the port" },
		{ "jpy://192.0.2.1:0", WRONG, NULL, "the port" },
		{ "jpy://[2001:db8::1", WRONG, NULL, "closing bracket" },
		{ "jpy://[2001:db8::1/]:1", WRONG, NULL, "closing bracket" },
		{ "jpy://[2001:db8::1]7634", WRONG, NULL, "behind the bracket" },
		{ "jpy://2001:db8::1", WRONG, NULL, "no brackets" },
		{ "jpy://2001:db8::1:7634", WRONG, NULL, "no brackets" },
		{ "jpy://[]:1", WRONG, NULL, "no IPv6 address" },
		{ "jpy://[192.0.2.1]:1", WRONG, NULL, "no IPv6 address" },
		{ "jpy://[2001:db8::1::]:1", WRONG, NULL, "no IPv6 address" },
		{ "jpy://[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:1", WRONG, NULL,
		  "no IPv6 address" },
		{ "jpy://[2001:db8::1%25eth0]:1", WRONG, NULL, "zone" },
		{ "jpy://[fe80::1%eth0]:1", WRONG, NULL, "zone" },
		{ "jpy://[fe80::1]:1", WRONG, NULL, "fe80::1 is link-local" },
		{ "jpy://169.254.1.2:1", WRONG, NULL, "169.254.1.2 is link-local" },
		{ "jpy://[ff05::fd]:1", WRONG, NULL, "ff05::fd is not the address of a host" },
		{ "jpy://224.0.1.187:1", WRONG, NULL, "not the address of a host" },
		{ "jpy://255.255.255.255:1", WRONG, NULL, "not the address of a host" },
		{ "jpy://[::]:1", WRONG, NULL, "not the address of a host" },
		{ "jpy://0.0.0.0:1", WRONG, NULL, "not the address of a host" },
		{ "jpy://[::1]:1", WRONG, NULL, "loopback" },
		{ "jpy://127.0.0.1:1", WRONG, NULL, "loopback" },
		{ "jpy://[::ffff:127.1.2.3]:1", WRONG, NULL, "loopback" },
		{ "jpy://registrar.example:7634", WRONG, NULL, "host names" },
		{ "jpy://localhost:7634", WRONG, NULL, "host names" },
		{ "jpy://", WRONG, NULL, "host names" },
		{ "jpy://:1", WRONG, NULL, "host names" },
		{ "jpy:///b", WRONG, NULL, "host names" },
		{ "jpy://0x7f000001:1", WRONG, NULL, "host names" },
		{ "jpy://192.0.2.1.:1", WRONG, NULL, "host names" },
		{ "jpy://me@[2001:db8::1]:7634", WRONG, NULL, "user name" },
		{ "jpy://me:x@192.0.2.1:7634", WRONG, NULL, "user name" },
		{ "jpy:[2001:db8::1]:7634", WRONG, NULL, "scheme" },
		{ "http://[2001:db8::1]:7634", WRONG, NULL, "scheme" },
		{ "coap://[2001:db8::1]:7634", WRONG, NULL, "scheme" },
		{ "//[2001:db8::1]:7634", WRONG, NULL, "without a scheme" },
		{ "", WRONG, NULL, "names no JPY port" },
		{ "/b", WRONG, NULL, "names no JPY port" },
		{ "b", WRONG, NULL, "names no JPY port" },
		{ "/", WRONG, NULL, "names no JPY port" },
		/* peers: a slash in front, and an address of one link */
		{ "/coaps://[fe80::1:2]:5685", WRONG, NULL, "fe80::1:2 is link-local" },
		{ "/coaps://[2001:db8::1]:5685", 5685, "2001:db8::1", NULL },
		/* drafts -06 to -11 */
		{ "coaps://[2001:db8::1]", 5684, "2001:db8::1", NULL },
	};
	static const struct {
		const char *target;
		int result;
		const char *addr;
		const char *says;
	} coaps[] = {
		{ "coaps://[2001:db8::1]", 5684, "2001:db8::1", NULL },
		{ "coaps://[2001:db8::1]:/b", 5684, "2001:db8::1", NULL },
		{ "coaps://[2001:db8::1]:5685/b", 5685, "2001:db8::1", NULL },
		{ "coaps://192.0.2.1/b", 5684, "192.0.2.1", NULL },
		{ "", 5684, BASE, NULL },
		{ "/b", 5684, BASE, NULL },
		{ "b", 5684, BASE, NULL },
		{ "/b?x=a:b", 5684, BASE, NULL },
		{ "jpy://[2001:db8::1]:7634", WRONG, NULL, "does not belong" },
		{ "coaps+jpy://[2001:db8::1]:7634", WRONG, NULL, "does not belong" },
		{ "coap://[2001:db8::1]", WRONG, NULL, "scheme" },
		{ "coaps+tcp://[2001:db8::1]", WRONG, NULL, "scheme" },
		{ "urn:x:y", WRONG, NULL, "scheme" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jpy) + ARRAY_LEN(coaps); i++) {
		bool stateless = i < ARRAY_LEN(jpy);
		size_t k = stateless ? i : i - ARRAY_LEN(jpy);
		const char *target = stateless ? jpy[k].target : coaps[k].target;
		int result = stateless ? jpy[k].result : coaps[k].result;
		struct answer a;

		snprintf(text, sizeof(text), "<%s>;rt=%s", target,
			 stateless ? "brski.rjp" : "brski");
		a = ask(stateless ? "rt=brski.rjp" : "rt=brski", text, BASE);
		if (result < 0) {
			const char *says = stateless ? jpy[k].says : coaps[k].says;

			if (a.wrong != 1 || !strstr(a.err, says))
				fail_msg("%s: %s", target, a.err);
			continue;
		}
		if (a.found != 1 || a.last.port != result)
			fail_msg("%s: port %u, %s", target, a.last.port, a.err);
		assert_addr(&a.last.addr, stateless ? jpy[k].addr : coaps[k].addr);
	}
}

static void test_base_is_judged_too(void **state)
{
	(void)state;
	assert_int_equal(ask("rt=brski", "</b>;rt=brski", "fe80::1").wrong, 1);
	assert_int_equal(ask("rt=brski", "</b>;rt=brski", "::1").wrong, 1);
	assert_int_equal(ask("rt=brski", "</b>;rt=brski", "192.0.2.1").found, 1);
	/* not where the link says the address itself */
	assert_int_equal(ask("rt=brski", printed("jp.rt-brski"), "fe80::1").found, 1);
}

static void test_pw(void **state)
{
	static const struct {
		const char *pw;
		int priority, weight; /* priority -1: wrong */
	} table[] = {
		{ "", 65535, 0 },
		{ ";pw=\"1 2\"", 1, 2 },
		{ ";pw=1", 1, 0 },
		{ ";pw=\"0 0\"", 0, 0 },
		{ ";pw=\"65535 65535\"", 65535, 65535 },
		{ ";pw=\"65536 0\"", -1, 0 },
		{ ";pw=\"1 65536\"", -1, 0 },
		{ ";pw=\"1 -2\"", -1, 0 },
		{ ";pw=\"1  2\"", -1, 0 },
		{ ";pw=\"1 2 3\"", -1, 0 },
		{ ";pw=\"\"", -1, 0 },
		{ ";pw", -1, 0 },
		{ ";pw=\" 1\"", -1, 0 },
		{ ";pw=\"1 \"", -1, 0 },
		{ ";pw=a", -1, 0 },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct answer a;

		snprintf(text, sizeof(text), "</b>;rt=brski%s", table[i].pw);
		a = ask("rt=brski", text, BASE);
		if (table[i].priority < 0) {
			if (a.wrong != 1)
				fail_msg("%s", text);
			continue;
		}
		assert_int_equal(a.found, 1);
		assert_int_equal(a.last.priority, table[i].priority);
		assert_int_equal(a.last.weight, table[i].weight);
	}
}

/*
 * Pledge to Join Proxy
 */

static void test_names(void **state)
{
	static const struct {
		const char *filter, *vector, *addr;
		uint16_t port;
	} table[] = {
		{ "brski-jp=*", "pledge.brski-jp", "fe80::ff:fe00:a", 57101 },
		{ "rt=brski.jp", "pledge.rt-brski.jp", "fe80::c78:e3c4:58a0:a4ad", 8485 },
		{ "rt=brski-proxy", "pledge.rt-brski-proxy", "fe80::ff:fe00:a", 57101 },
	};
	struct in6_addr addr;
	char buf[128];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		const char *want = printed(table[i].vector);

		addr = addr_of(table[i].addr);
		assert_string_equal(brski_name(i)->filter, table[i].filter);
		assert_int_equal(
			brski_name_link(brski_name(i), &addr, table[i].port, buf, sizeof(buf)),
			strlen(want));
		assert_string_equal(buf, want);
		assert_int_equal(brski_name_link(brski_name(i), &addr, table[i].port, buf, 4),
				 strlen(want));
		assert_int_equal(strlen(buf), 3);
		assert_int_equal(brski_name_link(brski_name(i), &addr, table[i].port, NULL, 0),
				 strlen(want));
	}
	assert_null(brski_name(i));
	addr = addr_of("169.254.1.2");
	brski_name_link(brski_name(1), &addr, 5684, buf, sizeof(buf));
	assert_string_equal(buf, "<coaps://169.254.1.2:5684>;rt=brski.jp");
}

struct proxies {
	const char *base;
	char text[512]; /* "FILTER ADDR PORT", one behind the other; or "none", or "wrong" */
};

static void on_proxy(void *arg, const struct linkformat_link *link)
{
	struct proxies *p = arg;
	const struct brski_name *name;
	char line[128], text[INET6_ADDRSTRLEN], err[128] = "";
	struct in6_addr base = addr_of(p->base), addr;
	uint16_t port;
	int result = brski_proxy_link(link, &base, &name, &addr, &port, err, sizeof(err));

	if (!result)
		snprintf(line, sizeof(line), "%s %s %u", name->filter,
			 jpx_addr_format(&addr, text, sizeof(text)), port);
	else if (result == -ENOENT)
		strcpy(line, "none");
	else
		strcpy(line, "wrong");
	if (result == -EINVAL)
		assert_sentence(err);
	if (p->text[0])
		strcat(p->text, ", ");
	strcat(p->text, line);
}

static void assert_proxies(const char *text, const char *want)
{
	struct proxies p = { .base = "fe80::99" };
	size_t len = strlen(text), at;

	assert_true(linkformat_walk((const char *)guarded(text, len), len, on_proxy, &p, &at) >= 1);
	if (strcmp(p.text, want) != 0)
		fail_msg("%s: %s", text, p.text);
}

static void test_proxies(void **state)
{
	(void)state;
	assert_proxies(printed("pledge.brski-jp"), "brski-jp=* fe80::99 57101");
	assert_proxies(printed("pledge.brski-jp.two"),
		       "brski-jp=* fe80::99 57101, brski-jp=* fe80::99 57102");
	assert_proxies(printed("pledge.brski-jp.quoted"), "brski-jp=* fe80::99 63245");
	assert_proxies(printed("pledge.brski-jp.var"),
		       "brski-jp=* fe80::99 61616, brski-jp=* fe80::99 61617");
	assert_proxies(printed("pledge.rt-brski.jp"), "rt=brski.jp fe80::c78:e3c4:58a0:a4ad 8485");
	assert_proxies(printed("pledge.rt-brski.jp.noport"),
		       "rt=brski.jp fe80::c78:e3c4:58a0:a4ad 5684");
	assert_proxies(printed("pledge.rt-brski-proxy"), "rt=brski-proxy fe80::ff:fe00:a 57101");
	assert_proxies(printed("vdstok01.rt-brski-proxy"), "rt=brski-proxy fe80::99 5684");
	assert_proxies("<coaps://169.254.1.2:1>;rt=brski.jp", "rt=brski.jp 169.254.1.2 1");
	assert_proxies(printed("jp.rt-brski.rjp"), "none");
	assert_proxies(printed("cbrski.base"), "none, none, none, none");
	assert_proxies(printed("edhoc"), "none");
	assert_proxies("<>;brski-jp", "wrong");
	assert_proxies("<>;brski-jp=", "wrong");
	assert_proxies("<>;brski-jp=0", "wrong");
	assert_proxies("<>;brski-jp=65536", "wrong");
	assert_proxies("<>;brski-jp=1x", "wrong");
	assert_proxies("</x>;brski-jp=1", "wrong");
	assert_proxies("<coaps://[ff02::fd]:1>;rt=brski.jp", "wrong");
	assert_proxies("<coaps://[::1]:1>;rt=brski.jp", "wrong");
	assert_proxies("<coaps://[fe80::1%25x]:1>;rt=brski.jp", "wrong");
	assert_proxies("<jpy://[fe80::1]:1>;rt=brski.jp", "wrong");
	assert_proxies("<coap://[fe80::1]:1>;rt=brski.jp", "wrong");
	assert_proxies("<coaps://fe80::1>;rt=brski.jp", "wrong");
}

/* What is written is read as the same. */
static void test_written_is_read(void **state)
{
	static const uint16_t ports[] = { 1, 5683, 5684, 65535 };
	struct in6_addr addr = addr_of("fe80::99");
	char link[128], want[128];

	(void)state;
	for (unsigned int i = 0; brski_name(i); i++)
		for (size_t k = 0; k < ARRAY_LEN(ports); k++) {
			brski_name_link(brski_name(i), &addr, ports[k], link, sizeof(link));
			snprintf(want, sizeof(want), "%s fe80::99 %u", brski_name(i)->filter,
				 ports[k]);
			assert_proxies(link, want);
		}
}

static void on_selected(void *arg, const struct linkformat_link *link)
{
	char *which = arg;

	for (unsigned int i = 0; brski_name(i); i++)
		if (linkformat_selects(brski_name(i)->filter, strlen(brski_name(i)->filter), link))
			sprintf(which + strlen(which), "%u", i);
}

/* Each form is selected by its own query, and by no other. */
static void test_names_answer_their_query(void **state)
{
	struct in6_addr addr = addr_of("fe80::1");
	char link[128], want[2];

	(void)state;
	for (unsigned int i = 0; brski_name(i); i++) {
		char which[8] = "";
		size_t at;

		brski_name_link(brski_name(i), &addr, 5684, link, sizeof(link));
		assert_int_equal(linkformat_walk(link, strlen(link), on_selected, which, &at), 1);
		snprintf(want, sizeof(want), "%u", i % 10);
		assert_string_equal(which, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_printed_registrars),
		cmocka_unit_test(test_other_names),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_base_is_judged_too),
		cmocka_unit_test(test_pw),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_written_is_read),
		cmocka_unit_test(test_names_answer_their_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
