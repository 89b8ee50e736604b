/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving up every privilege that jpd does not need while it runs. */
#ifndef JPX_PRIVILEGE_H
#define JPX_PRIVILEGE_H

/* Call once everything is open.  Failing to drop is logged, never fatal: the
 * system may have taken the privileges away already. */
void privilege_drop(void);

#endif
