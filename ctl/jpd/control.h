/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The UNIX socket that jpctl talks to: requests in, answers out, as
 * ctl/common/control.h says.  Knows the verbs' words, not what they do.
 */
#ifndef JPX_JPD_CONTROL_H
#define JPX_JPD_CONTROL_H

#include <stddef.h>

struct control;
struct discovery;
struct event_base;
struct proxy;

/* What requests are about. */
struct control_subject {
	struct proxy *proxy;
	struct discovery *discovery;
};

/* Makes RUN_DIR, takes its lock and listens; requests are for what SUBJECT, the caller's, holds
 * then.  NULL with ERR filled: another jpd is there, no permission, no space.  A socket left by
 * a dead jpd is replaced. */
struct control *control_new(struct event_base *base, const char *run_dir,
			    const struct control_subject *subject, char *err, size_t err_len);
void control_free(struct control *control);

#endif
