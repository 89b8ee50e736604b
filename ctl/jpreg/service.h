/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a verb of jpreg that runs until it is ended needs: a loop that ends on SIGTERM and SIGINT
 * and reports on SIGUSR1, and descriptors enough.
 */
#ifndef JPX_JPREG_SERVICE_H
#define JPX_JPREG_SERVICE_H

struct event_base;
struct service;

/* NULL after an error has been logged. */
struct service *service_new(void);
void service_free(struct service *service);

struct event_base *service_base(struct service *service);

/* Tells systemd that we are ready, and runs the loop.  REPORT makes a line for standard output out
 * of ARG, from malloc(), whenever it is asked for and in the end.  0 or a negative errno. */
int service_run(struct service *service, char *(*report)(void *arg), void *arg);

/* Makes sure that *MAX_PLEDGES sockets can be open, or lowers it to what can be and says so.  0 or
 * a negative errno after an error has been logged. */
int service_fit_descriptors(unsigned int *max_pledges);

#endif
