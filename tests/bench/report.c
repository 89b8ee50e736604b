/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From rounds to figures, and from figures to a table, JSON and the targets.
 * Every ratio and difference is formed inside a round first, between runs that
 * lie a fraction of a second apart, and only then the median taken: the clock
 * of a shared machine drifts by far more than what is looked for.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench.h"

#define TARGET_FLOOR   1.15 /* live, at most this many times the floor; */
#define TARGET_FLOW    1.3  /* of established flows */
#define TARGET_FIB     1.7  /* live, at least this many times the packets of the FIB forwarder */
#define TARGET_SLOPE   0.01 /* ns a byte of content, at most */
#define TARGET_RELAY   10.0 /* times the packets of a user-space relay on one core */
#define TARGET_FOREIGN 5.0  /* ns more than XDP_PASS */
#define TARGET_MANY    1.5  /* a million flows, live, at most this many times the cost of ten */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *sorted, int n, double q)
{
	double at = q * (n - 1);
	int i = (int)at;

	return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

struct bench_figure bench_figure(const struct bench_series *s)
{
	double v[BENCH_ROUNDS_MAX];

	if (!s->n)
		return (struct bench_figure){ NAN, NAN, NAN, NAN, NAN };
	memcpy(v, s->v, sizeof(*v) * (size_t)s->n);
	qsort(v, (size_t)s->n, sizeof(*v), by_value);
	return (struct bench_figure){
		.median = quantile(v, s->n, 0.5),
		.low = quantile(v, s->n, 0.25),
		.high = quantile(v, s->n, 0.75),
		.min = v[0],
		.max = v[s->n - 1],
	};
}

static struct bench_figure ratio(const struct bench_series *a, const struct bench_series *b)
{
	struct bench_series s = { .n = a->n < b->n ? a->n : b->n };

	for (int i = 0; i < s.n; i++)
		s.v[i] = a->v[i] / b->v[i];
	return bench_figure(&s);
}

static struct bench_figure less(const struct bench_series *a, const struct bench_series *b)
{
	struct bench_series s = { .n = a->n < b->n ? a->n : b->n };

	for (int i = 0; i < s.n; i++)
		s.v[i] = a->v[i] - b->v[i];
	return bench_figure(&s);
}

/* Least squares over the sizes of one way and form, in each round; nanoseconds or instructions. */
static struct bench_figure slope(const struct bench_case *cases, int count, enum bench_way way,
				 enum jpx_form form, bool instr, int *sizes)
{
	struct bench_series s = { 0 };

	for (int round = 0; round < BENCH_ROUNDS_MAX; round++) {
		double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;

		for (int i = 0; i < count; i++) {
			const struct bench_case *c = &cases[i];
			const struct bench_cost *jpx = &c->inner[BENCH_JPX];
			const struct bench_cost *reset = &c->inner[BENCH_RESET];
			double x = (double)c->content, y;

			if (c->way != way || c->form != form || c->opaque || round >= jpx->ns.n)
				continue;
			y = instr ? jpx->instr.v[round] - reset->instr.v[round]
				  : jpx->ns.v[round] - reset->ns.v[round];
			n++;
			sx += x;
			sy += y;
			sxx += x * x;
			sxy += x * y;
		}
		*sizes = round ? *sizes : (int)n;
		if (n >= 2)
			s.v[s.n++] = (n * sxy - sx * sy) / (n * sxx - sx * sx);
	}
	return bench_figure(&s);
}

/* A count of instructions, or a dash where this machine has no counter for them. */
static const char *instructions(struct bench_figure f, const char *format)
{
	static char text[4][16];
	static int turn;
	char *t = text[turn++ & 3];

	if (isnan(f.median))
		return "-";
	snprintf(t, sizeof(text[0]), format, f.median);
	return t;
}

static json_t *figure_json(const struct bench_figure *f)
{
	if (isnan(f->median))
		return json_null();
	return json_pack("{s:f, s:f, s:f, s:f, s:f}", "median", f->median, "q1", f->low, "q3",
			 f->high, "min", f->min, "max", f->max);
}

static void put(json_t *to, const char *key, struct bench_figure f)
{
	json_object_set_new(to, key, figure_json(&f));
}

static json_t *live_row(const struct bench_case *c)
{
	struct bench_figure floor = bench_figure(&c->live[BENCH_FLOOR].ns);
	struct bench_figure jpx = bench_figure(&c->live[BENCH_JPX].ns);
	struct bench_figure fib = bench_figure(&c->live[BENCH_FIB].ns);
	struct bench_figure over = ratio(&c->live[BENCH_JPX].ns, &c->live[BENCH_FLOOR].ns);
	struct bench_figure extra = less(&c->live[BENCH_JPX].ns, &c->live[BENCH_FLOOR].ns);
	struct bench_figure gain = ratio(&c->live[BENCH_FIB].ns, &c->live[BENCH_JPX].ns);
	json_t *o = json_object();

	printf("%-28s %6.1f %6.1f %6.1f  %5.2f  %+5.1f  %5.3f [%5.3f..%5.3f]  %5.2f "
	       "[%4.2f..%4.2f]\n",
	       c->name, floor.median, jpx.median, fib.median, 1e3 / jpx.median, extra.median,
	       over.median, over.low, over.high, gain.median, gain.low, gain.high);
	put(o, "floor_ns", floor);
	put(o, "jpx_ns", jpx);
	put(o, "fib_ns", fib);
	put(o, "jpx_over_floor", over);
	put(o, "jpx_less_floor_ns", extra);
	put(o, "fib_over_jpx", gain);
	return o;
}

static json_t *inner_row(const struct bench_case *c)
{
	const struct bench_cost *k = c->inner;
	struct bench_figure reset = bench_figure(&k[BENCH_RESET].ns);
	struct bench_figure floor = less(&k[BENCH_FLOOR].ns, &k[BENCH_RESET].ns);
	struct bench_figure jpx = less(&k[BENCH_JPX].ns, &k[BENCH_RESET].ns);
	struct bench_figure fib = less(&k[BENCH_FIB].ns, &k[BENCH_RESET].ns);
	struct bench_figure extra = less(&k[BENCH_JPX].ns, &k[BENCH_FLOOR].ns);
	struct bench_figure instr = less(&k[BENCH_JPX].instr, &k[BENCH_RESET].instr);
	struct bench_figure instr_floor = less(&k[BENCH_FLOOR].instr, &k[BENCH_RESET].instr);
	json_t *o = json_object();

	printf("%-28s %6.1f %6.1f %6.1f %6.1f  %+5.1f [%5.1f..%5.1f]  %6s %6s\n", c->name,
	       reset.median, floor.median, jpx.median, fib.median, extra.median, extra.low,
	       extra.high, instructions(instr_floor, "%.0f"), instructions(instr, "%.0f"));
	put(o, "reset_ns", reset);
	put(o, "floor_ns", floor);
	put(o, "jpx_ns", jpx);
	put(o, "fib_ns", fib);
	put(o, "jpx_less_floor_ns", extra);
	put(o, "floor_instructions", instr_floor);
	put(o, "jpx_instructions", instr);
	return o;
}

static json_t *foreign_row(const struct bench_case *c)
{
	struct bench_figure pass = bench_figure(&c->inner[BENCH_FLOOR].ns);
	struct bench_figure jpx = bench_figure(&c->inner[BENCH_JPX].ns);
	struct bench_figure extra = less(&c->inner[BENCH_JPX].ns, &c->inner[BENCH_FLOOR].ns);
	struct bench_figure instr = less(&c->inner[BENCH_JPX].instr, &c->inner[BENCH_FLOOR].instr);
	json_t *o = json_object();

	printf("%-28s %6.1f %6.1f  %+5.1f [%5.1f..%5.1f]  %6s\n", c->name, pass.median, jpx.median,
	       extra.median, extra.low, extra.high, instructions(instr, "%+.0f"));
	put(o, "pass_ns", pass);
	put(o, "jpx_ns", jpx);
	put(o, "jpx_less_pass_ns", extra);
	put(o, "jpx_less_pass_instructions", instr);
	return o;
}

static int target(json_t *to, const char *name, bool reached, double worst, double limit,
		  const char *unit, const char *where)
{
	printf("%-8s %-52s %7.3f %s (limit %g) %s\n", reached ? "reached" : "MISSED", name, worst,
	       unit, limit, where);
	json_object_set_new(to, name,
			    json_pack("{s:b, s:f, s:f, s:s, s:s}", "reached", reached, "worst",
				      worst, "limit", limit, "unit", unit, "where", where));
	return !reached;
}

/* The worst case of WAY: the highest median of jpx/floor, or the lowest of fib/jpx. */
static const struct bench_case *worst_case(const struct bench_case *cases, int count,
					   enum bench_way way, bool opaque, bool fib, double *worst)
{
	const struct bench_case *found = NULL;

	for (int i = 0; i < count; i++) {
		const struct bench_cost *l = cases[i].live;
		double v;

		if (cases[i].way != way || cases[i].opaque != opaque)
			continue;
		v = fib ? ratio(&l[BENCH_FIB].ns, &l[BENCH_JPX].ns).median
			: ratio(&l[BENCH_JPX].ns, &l[BENCH_FLOOR].ns).median;
		if (!found || (fib ? v < *worst : v > *worst)) {
			found = &cases[i];
			*worst = v;
		}
	}
	return found;
}

static int report_ways(json_t *to, const struct bench_case *cases, int count)
{
	static const struct {
		const char *name;
		enum bench_way way;
		bool opaque;
		double limit;
	} ways[] = { { "wrap", BENCH_WRAP, false, TARGET_FLOOR },
		     { "unwrap", BENCH_UNWRAP, false, TARGET_FLOOR },
		     { "wrap, MAC looked up", BENCH_WRAP, true, TARGET_FLOOR },
		     { "unwrap, MAC looked up", BENCH_UNWRAP, true, TARGET_FLOOR },
		     { "flow, pledge to Registrar", BENCH_TRANSLATE, false, TARGET_FLOW },
		     { "flow, Registrar to pledge", BENCH_ANSWER, false, TARGET_FLOW } };
	int missed = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const struct bench_case *c;
		double worst = 0;
		char name[64];

		c = worst_case(cases, count, ways[i].way, ways[i].opaque, false, &worst);
		if (!c)
			continue;
		snprintf(name, sizeof(name), "%s: times the floor", ways[i].name);
		missed += target(to, name, worst <= ways[i].limit, worst, ways[i].limit, "x",
				 c->name);
		if (bench_is_stateful(ways[i].way))
			continue;
		c = worst_case(cases, count, ways[i].way, ways[i].opaque, true, &worst);
		snprintf(name, sizeof(name), "%s: packets/s against FIB forwarding", ways[i].name);
		missed += target(to, name, worst >= TARGET_FIB, worst, TARGET_FIB, "x", c->name);
	}
	return missed;
}

static int report_slopes(json_t *to, const struct bench_case *cases, int count)
{
	static const enum jpx_form forms[] = { JPX_FORM_DRAFT02, JPX_FORM_DRAFT21 };
	static const char *const names[2][2] = { { "wrap draft-02", "wrap draft-21" },
						 { "unwrap draft-02", "unwrap draft-21" } };
	int missed = 0, sizes;

	for (int way = BENCH_WRAP; way <= BENCH_UNWRAP; way++) {
		for (int i = 0; i < 2; i++) {
			struct bench_figure f = slope(cases, count, way, forms[i], false, &sizes);
			struct bench_figure instr =
				slope(cases, count, way, forms[i], true, &sizes);
			char name[64], where[80];

			if (sizes < 2)
				continue;
			snprintf(name, sizeof(name), "%s: cost of a byte of content",
				 names[way][i]);
			snprintf(where, sizeof(where), "[%.4f..%.4f]; instructions: %s", f.low,
				 f.high, instructions(instr, "%.4f"));
			missed += target(to, name, fabs(f.median) <= TARGET_SLOPE, f.median,
					 TARGET_SLOPE, "ns", where);
		}
	}
	return missed;
}

static int report_relay(json_t *to, json_t *targets, const struct bench_case *cases, int count,
			const struct bench_relay *relays, int relay_count, const char *name)
{
	struct bench_series per_core = { 0 }, times = { 0 }, share = { 0 }, pps = { 0 };
	double wanted = 1;
	const struct bench_case *c = &cases[0];
	struct bench_figure f, t;

	for (int i = 0; i < count; i++)
		if (cases[i].way == BENCH_WRAP && cases[i].form == JPX_FORM_DRAFT02 &&
		    cases[i].content == 133 && !cases[i].opaque)
			c = &cases[i];
	for (int i = 0; i < relay_count; i++) {
		pps.v[pps.n++] = relays[i].pps / 1e3;
		share.v[share.n++] = relays[i].share * 100;
		wanted = fmin(wanted, relays[i].wanted);
		per_core.v[per_core.n++] = relays[i].pps_per_core / 1e3;
		times.v[times.n++] =
			1e9 / bench_figure(&c->live[BENCH_JPX].ns).median / relays[i].pps_per_core;
	}
	if (!relay_count || !c->live[BENCH_JPX].ns.n)
		return 0;
	f = bench_figure(&per_core);
	t = bench_figure(&times);
	printf("\nA relay in user space: %s\n"
	       "  %.1f kpps at %.0f %% of its core = %.1f kpps a core [%.1f..%.1f]; "
	       "%s: %.1f times as many, generator and far end included\n\n",
	       name, bench_figure(&pps).median, bench_figure(&share).median, f.median, f.low,
	       f.high, c->name, t.median);
	if (wanted < 0.8)
		printf("  It was idle for %.0f %% of a round: not saturated, so a core might do "
		       "more.\n\n",
		       100 * (1 - wanted));
	json_object_set_new(to, "command", json_string(name));
	put(to, "kpps", bench_figure(&pps));
	put(to, "cpu_percent", bench_figure(&share));
	put(to, "kpps_per_core", f);
	put(to, "jpx_times_relay", t);
	return target(targets, "wrap: packets/s a core against the relay", t.median >= TARGET_RELAY,
		      t.median, TARGET_RELAY, "x", c->name);
}

static struct bench_figure per_second(const struct bench_series *ns)
{
	struct bench_series s = { .n = ns->n };

	for (int i = 0; i < s.n; i++)
		s.v[i] = 1e6 / ns->v[i];
	return bench_figure(&s);
}

static json_t *level_row(const struct bench_level *l, const struct bench_level *ten, int way,
			 const char *name)
{
	struct bench_figure floor = bench_figure(&l->floor[way]), jpx = bench_figure(&l->jpx[way]);
	struct bench_figure more = less(&l->jpx[way], &l->floor[way]);
	struct bench_figure over = ratio(&l->jpx[way], &l->floor[way]);
	struct bench_figure times = ratio(&l->jpx[way], &ten->jpx[way]);
	json_t *o = json_object();

	printf("%-28s %6.1f %6.1f  %+6.1f  %5.3f [%5.3f..%5.3f]  %5.3f [%5.3f..%5.3f]\n", name,
	       floor.median, jpx.median, more.median, over.median, over.low, over.high,
	       times.median, times.low, times.high);
	put(o, "floor_ns", floor);
	put(o, "jpx_ns", jpx);
	put(o, "jpx_less_floor_ns", more);
	put(o, "jpx_over_floor", over);
	put(o, "jpx_over_10_flows", times);
	return o;
}

static void report_levels(json_t *to, const struct bench_level levels[BENCH_LEVELS],
			  const char *order)
{
	static const char *const ways[] = { "to Registrar", "to pledge" };
	static const char *const keys[] = { "to_registrar", "to_pledge" };

	printf("Many flows, live, %s, ns a packet for the whole pipeline\n"
	       "%-28s %6s %6s  %6s  %-21s  %s\n",
	       order, "", "floor", "jpx", "+ns", "jpx/floor [quartiles]",
	       "against 10 flows [quartiles]");
	for (int way = 0; way < 2; way++) {
		json_t *rows = json_object();

		for (int i = 0; i < BENCH_LEVELS; i++) {
			char name[64], key[16];

			snprintf(key, sizeof(key), "%u", bench_levels[i]);
			snprintf(name, sizeof(name), "%s, %s flows", ways[way], key);
			json_object_set_new(rows, key,
					    level_row(&levels[i], &levels[0], way, name));
		}
		json_object_set_new(to, keys[way], rows);
	}
	printf("A look at the flow of each visit, and nothing else:");
	for (int i = 0; i < BENCH_LEVELS; i++) {
		struct bench_figure look = bench_figure(&levels[i].look);
		char key[32];

		printf("%s %.0f ns [%.0f..%.0f] with %u", i ? "," : "", look.median, look.low,
		       look.high, bench_levels[i]);
		snprintf(key, sizeof(key), "look_ns_%u", bench_levels[i]);
		put(to, key, look);
	}
	printf("\n\n");
}

static void report_new(json_t *to, const struct bench_many_figures *m)
{
	struct bench_figure first = bench_figure(&m->first), rate = per_second(&m->first);
	struct bench_figure more = less(&m->first, &m->again);
	struct bench_figure inner = bench_figure(&m->first_inner);
	struct bench_figure refused = bench_figure(&m->refused);
	struct bench_figure refused_more = less(&m->refused, &m->refused_floor);
	struct bench_figure refused_rate = per_second(&m->refused);

	printf("\nNew flows, from none to %u: live %.0f ns each, %.0f thousand a second "
	       "[%.0f..%.0f];\n"
	       "  %.0f ns [%.0f..%.0f] more than a later datagram; the program alone %.0f ns "
	       "[%.0f..%.0f]\n",
	       BENCH_MANY, first.median, rate.median, rate.low, rate.high, more.median, more.low,
	       more.high, inner.median, inner.low, inner.high);
	printf("Newcomers beyond that, refused: live %.0f ns each, %.0f thousand a second "
	       "[%.0f..%.0f];\n"
	       "  %.0f ns [%.0f..%.0f] more than XDP_DROP; %llu were refused, and all %llu packets "
	       "of flows among them arrived\n",
	       refused.median, refused_rate.median, refused_rate.low, refused_rate.high,
	       refused_more.median, refused_more.low, refused_more.high,
	       (unsigned long long)m->refusals, (unsigned long long)m->kept);
	printf("Memory of a flow, of %u: %.1f bytes (flows %.1f, hints %.1f, pledges %.1f)\n\n",
	       BENCH_MANY, m->bytes[0] + m->bytes[1] + m->bytes[2], m->bytes[0], m->bytes[1],
	       m->bytes[2]);
	put(to, "new_flow_ns", first);
	put(to, "new_flow_less_later_ns", more);
	put(to, "new_flow_alone_ns", inner);
	put(to, "new_flows_kpps", rate);
	put(to, "refused_ns", refused);
	put(to, "refused_less_drop_ns", refused_more);
	put(to, "refused_kpps", refused_rate);
	json_object_set_new(to, "refused", json_integer((json_int_t)m->refusals));
	json_object_set_new(to, "kept_meanwhile", json_integer((json_int_t)m->kept));
	json_object_set_new(to, "bytes_a_flow",
			    json_pack("{s:f, s:f, s:f}", "flows", m->bytes[0], "hints", m->bytes[1],
				      "pledges", m->bytes[2]));
}

static int report_many(json_t *to, json_t *targets, const struct bench_many_figures *m)
{
	static const char *const orders[] = { "single datagrams of flows at random",
					      "flights of 4 datagrams, each of a flow at random" };
	static const char *const keys[] = { "single", "flights" };
	static const char *const names[BENCH_ORDERS][2] = {
		{ "flow, to Registrar: a million against ten, single datagrams",
		  "flow, to pledge: a million against ten, single datagrams" },
		{ "flow, to Registrar: a million against ten, in flights of 4",
		  "flow, to pledge: a million against ten, in flights of 4" },
	};
	int missed = 0;

	if (!m)
		return 0;
	for (int order = 0; order < BENCH_ORDERS; order++) {
		json_t *one = json_object();

		report_levels(one, m->levels[order], orders[order]);
		json_object_set_new(to, keys[order], one);
	}
	report_new(to, m);
	for (int order = 0; order < BENCH_ORDERS; order++)
		for (int way = 0; way < 2; way++) {
			const struct bench_level *levels = m->levels[order];
			struct bench_figure f =
				ratio(&levels[BENCH_LEVELS - 1].jpx[way], &levels[0].jpx[way]);
			char where[64];

			snprintf(where, sizeof(where), "[%.3f..%.3f]", f.low, f.high);
			missed += target(targets, names[order][way], f.median <= TARGET_MANY,
					 f.median, TARGET_MANY, "x", where);
		}
	return missed;
}

int bench_report(struct bench_case *cases, int count, const struct bench_relay *relays,
		 int relay_count, const char *relay_name, const struct bench_many_figures *many,
		 const char *json_path)
{
	json_t *root = json_object(), *live = json_object(), *inner = json_object();
	json_t *foreign = json_object(), *targets = json_object(), *relay = json_object();
	json_t *flows = json_object();
	struct utsname host;
	int missed = 0;
	double worst = -1e9;
	const struct bench_case *dearest = NULL;

	if (count && cases[0].way != BENCH_FOREIGN)
		printf("Live frames, ns a packet for the whole pipeline (generator, program, far "
		       "end; one "
		       "core)\n"
		       "%-28s %6s %6s %6s  %5s  %5s  %-21s  %s\n",
		       "", "floor", "jpx", "fib", "Mpps", "+ns", "jpx/floor [quartiles]",
		       "fib/jpx [quartiles]");
	for (int i = 0; i < count; i++)
		if (cases[i].way != BENCH_FOREIGN)
			json_object_set_new(live, cases[i].name, live_row(&cases[i]));
	if (count && cases[0].way != BENCH_FOREIGN)
		printf("\nThe program alone, ns a packet (undoing subtracted), instructions on the "
		       "right\n"
		       "%-28s %6s %6s %6s %6s  %-20s  %6s %6s\n",
		       "", "undo", "floor", "jpx", "fib", "jpx-floor [quartiles]", "floor", "jpx");
	for (int i = 0; i < count; i++)
		if (cases[i].way != BENCH_FOREIGN)
			json_object_set_new(inner, cases[i].name, inner_row(&cases[i]));
	if (count && cases[count - 1].way == BENCH_FOREIGN)
		printf("\nForeign traffic, ns a packet\n%-28s %6s %6s  %-20s  %6s\n", "", "pass",
		       "jpx", "jpx-pass [quartiles]", "instr");
	for (int i = 0; i < count; i++) {
		double v;

		if (cases[i].way != BENCH_FOREIGN)
			continue;
		json_object_set_new(foreign, cases[i].name, foreign_row(&cases[i]));
		v = less(&cases[i].inner[BENCH_JPX].ns, &cases[i].inner[BENCH_FLOOR].ns).median;
		if (v > worst) {
			worst = v;
			dearest = &cases[i];
		}
	}
	printf("\n");
	missed += report_many(flows, targets, many);
	missed += report_relay(relay, targets, cases, count, relays, relay_count, relay_name);
	missed += report_ways(targets, cases, count);
	missed += report_slopes(targets, cases, count);
	if (dearest)
		missed += target(targets, "foreign: more than XDP_PASS", worst <= TARGET_FOREIGN,
				 worst, TARGET_FOREIGN, "ns", dearest->name);

	if (uname(&host) == 0)
		json_object_set_new(root, "kernel", json_string(host.release));
	if (count)
		json_object_set_new(root, "rounds", json_integer(cases[0].inner[BENCH_JPX].ns.n));
	json_object_set_new(root, "live", live);
	json_object_set_new(root, "inner", inner);
	json_object_set_new(root, "foreign", foreign);
	json_object_set_new(root, "flows", flows);
	json_object_set_new(root, "relay", relay);
	json_object_set_new(root, "targets", targets);
	if (json_path && json_dump_file(root, json_path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
		fprintf(stderr, "bench: cannot write %s: %s; name another file with --json\n",
			json_path, strerror(errno));
	json_decref(root);
	return missed;
}
