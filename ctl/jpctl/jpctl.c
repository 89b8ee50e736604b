/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See jpctl.h. */
#include "jpctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../common/control.h"
#include "usage.h"

enum { OPT_RUN_DIR = 256, OPT_PIN_DIR, OPT_JSON };

static const struct argp_option common_options[] = {
	{ "run-dir", OPT_RUN_DIR, "DIR", 0, "Where jpd has its socket (" JPX_RUN_DIR ")", -2 },
	{ "pin-dir", OPT_PIN_DIR, "DIR", 0, "Where the fast path is pinned (" JPX_PIN_DIR ")", -2 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object", -2 },
	{ 0 },
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct jpctl *ctl = state->input;

	switch (key) {
	case OPT_RUN_DIR:
		ctl->run_dir = arg;
		break;
	case OPT_PIN_DIR:
		ctl->pin_dir = arg;
		break;
	case OPT_JSON:
		ctl->json = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp jpctl_common_argp = { .options = common_options, .parser = parse_common };

struct inputs {
	struct jpctl *ctl;
	void *verb;
};

static error_t parse_both(int key, char *arg, struct argp_state *state)
{
	struct inputs *inputs = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = inputs->verb;
	state->child_inputs[1] = inputs->ctl;
	return 0;
}

void jpctl_parse(struct jpctl *ctl, const char *name, const struct argp *verb, void *input,
		 int argc, char **argv)
{
	const struct argp_child children[] = { { verb, 0, NULL, 0 },
					       { &jpctl_common_argp, 0, NULL, 0 },
					       { 0 } };
	const struct argp argp = { .parser = parse_both, .children = children };
	struct inputs inputs = { .ctl = ctl, .verb = input };

	argv[0] = (char *)name;
	argp_parse(&argp, argc, argv, 0, NULL, &inputs);
}

int jpctl_fail(const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = usage_vfail("jpctl", fmt, ap);
	va_end(ap);
	return ret;
}

int jpctl_print_json(const json_t *object)
{
	if (json_dumpf(object, stdout, JSON_COMPACT))
		return jpctl_fail("output: cannot print the answer as JSON; is the disk full?");
	putchar('\n');
	return EXIT_SUCCESS;
}
