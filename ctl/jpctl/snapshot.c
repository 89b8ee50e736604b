/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See snapshot.h. */
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/report.h"

static json_t *report(const struct jpx_pinned *pinned, const char *verb, int *ret)
{
	struct jpx_counters *counters = calloc(1, sizeof(*counters));
	struct jpx_state *state = calloc(1, sizeof(*state));
	json_t *object = NULL;

	*ret = counters && state ? jpx_pinned_state(pinned, state) : -ENOMEM;
	if (!*ret && strcmp(verb, "status") == 0) {
		object = jpx_report_status(state, 0);
	} else if (!*ret) {
		*ret = jpx_pinned_counters(pinned, counters);
		if (!*ret)
			object = jpx_report_stats(state, counters);
	}
	if (!*ret && !object)
		*ret = -ENOMEM;
	free(state);
	free(counters);
	return object;
}

static int from_pinned(const char *pin_dir, const char *verb, json_t **object, char *err,
		       size_t err_len)
{
	struct jpx_pinned pinned;
	int ret = jpx_pinned_open(pin_dir, &pinned, err, err_len);

	if (ret)
		return ret;
	*object = report(&pinned, verb, &ret);
	if (ret)
		snprintf(err, err_len, "cannot read the maps pinned under %s: %s", pin_dir,
			 strerror(-ret));
	jpx_pinned_close(&pinned);
	return ret;
}

int snapshot_fail(const struct jpctl *ctl, int asked, int ret, const char *why,
		  struct client_error *error)
{
	if (asked == -ECONNREFUSED && ret == -ENOENT)
		snprintf(error->text, sizeof(error->text),
			 "jpd is not running in %s and nothing is pinned under %s; start it "
			 "(systemctl start jpd), then: jpctl attach IF",
			 ctl->run_dir, ctl->pin_dir);
	else if (asked == -ECONNREFUSED)
		snprintf(error->text, sizeof(error->text), "jpd is not running in %s, and %s",
			 ctl->run_dir, why);
	return asked == -ECONNREFUSED && ret != -ENOENT ? ret : asked;
}

int snapshot_take(const struct jpctl *ctl, const char *verb, json_t **object, char *note,
		  size_t note_len, struct client_error *error)
{
	json_t *request = json_pack("{s:s}", "verb", verb);
	char err[512] = "";
	int asked, ret;

	*note = 0;
	asked = client_ask(ctl->run_dir, request, object, error);
	json_decref(request);
	/* a jpd that refuses is alive: what it says counts */
	if (!asked || asked == -EREMOTEIO)
		return asked;
	ret = from_pinned(ctl->pin_dir, verb, object, err, sizeof(err));
	if (!ret) {
		if (asked == -ECONNREFUSED)
			snprintf(note, note_len,
				 "jpd is not running; this is what is pinned under %s, where the "
				 "fast path goes on by itself (start jpd: systemctl start jpd)",
				 ctl->pin_dir);
		else
			snprintf(note, note_len, "%s; this is what is pinned under %s", error->text,
				 ctl->pin_dir);
		return 0;
	}
	return snapshot_fail(ctl, asked, ret, err, error);
}
