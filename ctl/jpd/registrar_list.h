/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What "jpctl registrar list" says: every service, how it was judged and where it was learnt, and
 * the Registrars that were found and are not served, and why.
 */
#ifndef JPX_REGISTRAR_LIST_H
#define JPX_REGISTRAR_LIST_H

#include <jansson.h>

struct discovery;
struct proxy;

/* {"services": [...], "found": [...], "looking": BOOL, "looking_on": [IFNAME...]}, the caller's;
 * NULL: out of memory. */
json_t *registrar_list(struct proxy *proxy, const struct discovery *discovery);

#endif
