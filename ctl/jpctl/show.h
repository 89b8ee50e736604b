/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parts of a status that more than one verb shows.  Reads JSON that may lack
 * any key: what is missing is shown as "?".
 */
#ifndef JPCTL_SHOW_H
#define JPCTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>

/* The string at KEY of OBJECT, or "?". */
const char *show_text(const json_t *object, const char *key);

/* "5684 main, 5685 other"; the caller frees it.  Cut short with a hint after a few. */
char *show_join_ports(const json_t *join_ports);

/* The table of services; with REASONS also how good each is and why it stands as it does. */
void show_services(const json_t *services, bool reasons);

/* The table of Registrars that were found and are not served. */
void show_found(const json_t *found);

#endif
