/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From Registrars that were heard of to services: makes the proxy serve those that
 * registrars.c chooses, and lets go of the others without breaking a handshake.
 */
#ifndef JPX_SERVING_H
#define JPX_SERVING_H

#include <stdbool.h>

struct discovery_settings;
struct event_base;
struct proxy;
struct registrars;
struct serving;

/* Takes over what a jpd before us served: it stands until it would have to be said again.
 * NULL: out of memory. */
struct serving *serving_new(struct event_base *base, struct proxy *proxy,
			    struct registrars *registrars);
void serving_free(struct serving *serving);

/* Shall Registrars be looked for, now? */
bool serving_looks(const struct serving *serving, const struct discovery_settings *settings);

/* Call after each change of what was heard, of the proxy's state, or of SETTINGS. */
void serving_run(struct serving *serving, const struct discovery_settings *settings);

#endif
