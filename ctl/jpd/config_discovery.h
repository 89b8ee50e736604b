/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Section "discovery" of the configuration file (jpd.conf(5)).
 */
#ifndef JPX_CONFIG_DISCOVERY_H
#define JPX_CONFIG_DISCOVERY_H

#include <confuse.h>

#include "discovery.h"

/* The keys, for CFG_SEC(). */
cfg_opt_t *config_discovery_options(void);

/* Makes libconfuse check their values as it reads them. */
void config_discovery_validate(cfg_t *cfg);

/* What CFG, the whole file, says; the rest of SETTINGS is left. */
void config_discovery_read(cfg_t *cfg, struct discovery_settings *settings);

#endif
