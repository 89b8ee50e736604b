/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The options that describe a Registrar service, the same for `attach` and
 * `registrar add`, and the request that is made of them.
 */
#ifndef JPCTL_SERVICE_ARGS_H
#define JPCTL_SERVICE_ARGS_H

#include "client.h"
#include "jpctl.h"

/* Its input is the request, a JSON object, to which each option adds its key. */
extern const struct argp service_argp;

/* Adds "registrar" to REQUEST.  Ends the program when ARG is no [ADDR]:PORT
 * or ADDR:PORT. */
void service_set_registrar(struct argp_state *state, json_t *request, const char *arg);

/* Sends REQUEST and frees it.  On success RESULT is a new reference; else an error is
 * printed and the exit status returned. */
int service_request(const struct jpctl *ctl, json_t *request, json_t **result);

/* Prints the notes of RESULT, one a line. */
void service_print_notes(const json_t *result);

#endif
