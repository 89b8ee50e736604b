/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See avahibus.h. */
#include "avahibus.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define MESSAGES_PER_TURN 32

struct avahibus {
	struct event_base *base;
	struct avahibus_user user;
	enum avahibus_state state;
	sd_bus *bus;
	struct event *io;    /* of the bus' descriptor */
	struct event *timer; /* what the bus waits for, or the next attempt */
	bool broken;	     /* to be given up when no more of its code is running */
};

static void state_set(struct avahibus *ab, enum avahibus_state state)
{
	if (ab->state == state)
		return;
	ab->state = state;
	ab->user.on_state(ab->user.arg, state);
}

static void bus_drop(struct avahibus *ab)
{
	if (ab->io)
		event_free(ab->io);
	ab->io = NULL;
	ab->bus = sd_bus_close_unref(ab->bus);
	ab->broken = false;
}

static void bus_lost(struct avahibus *ab)
{
	bus_drop(ab);
	evtimer_add(ab->timer, &(struct timeval){ .tv_sec = AVAHIBUS_RETRY_S });
	state_set(ab, AVAHIBUS_NO_BUS);
}

/* ---- is the daemon there? ---- */

static int on_owner(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	struct avahibus *ab = arg;

	(void)err;
	state_set(ab, sd_bus_message_is_method_error(m, NULL) ? AVAHIBUS_NO_DAEMON : AVAHIBUS_UP);
	return 0;
}

static int on_owner_changed(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	const char *name, *before, *after;
	struct avahibus *ab = arg;

	(void)err;
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0)
		return 0;
	/* From one to another: what the first one made is gone. */
	state_set(ab, AVAHIBUS_NO_DAEMON);
	if (*after)
		state_set(ab, AVAHIBUS_UP);
	return 0;
}

static int on_signal(sd_bus_message *m, void *arg, sd_bus_error *err)
{
	struct avahibus *ab = arg;

	(void)err;
	if (ab->state == AVAHIBUS_UP)
		ab->user.on_signal(ab->user.arg, m);
	return 0;
}

/* In the order in which the bus shall see them: no change between is missed.  GetNameOwner, and not
 * a call to Avahi itself, which the bus would start it for. */
static int subscribe(struct avahibus *ab)
{
	int err;

	err = sd_bus_add_match_async(
		ab->bus, NULL,
		"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
		"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" AVAHIBUS_NAME
		"'",
		on_owner_changed, NULL, ab);
	if (err >= 0)
		err = sd_bus_match_signal_async(ab->bus, NULL, AVAHIBUS_NAME, NULL, NULL, NULL,
						on_signal, NULL, ab);
	if (err >= 0)
		err = sd_bus_call_method_async(ab->bus, NULL, "org.freedesktop.DBus",
					       "/org/freedesktop/DBus", "org.freedesktop.DBus",
					       "GetNameOwner", on_owner, ab, "s", AVAHIBUS_NAME);
	return err < 0 ? err : 0;
}

/* ---- the bus in the loop ---- */

static void work(evutil_socket_t fd, short what, void *arg);

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* What the bus waits for, anew after all that was done with it: a negative errno if it broke. */
static int wait_again(struct avahibus *ab)
{
	int fd = sd_bus_get_fd(ab->bus), events = sd_bus_get_events(ab->bus);
	uint64_t until, now = now_us();
	struct timeval tv;
	short what;

	if (fd < 0 || events < 0)
		return -ENOTCONN;
	what = (short)((events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0));
	if (!ab->io || event_get_fd(ab->io) != fd ||
	    (event_get_events(ab->io) & (EV_READ | EV_WRITE)) != what) {
		if (ab->io)
			event_free(ab->io);
		ab->io = event_new(ab->base, fd, (short)(what | EV_PERSIST), work, ab);
		if (!ab->io || event_add(ab->io, NULL))
			return -ENOMEM;
	}
	if (sd_bus_get_timeout(ab->bus, &until) < 0 || until == UINT64_MAX)
		return evtimer_del(ab->timer) ? -ENOMEM : 0;
	until = until > now ? until - now : 0;
	tv.tv_sec = (time_t)(until / 1000000);
	tv.tv_usec = (suseconds_t)(until % 1000000);
	return evtimer_add(ab->timer, &tv) ? -ENOMEM : 0;
}

static void connect_bus(struct avahibus *ab)
{
	if (sd_bus_open_system(&ab->bus) < 0 ||
	    sd_bus_set_method_call_timeout(ab->bus, AVAHIBUS_TIMEOUT_S * 1000000ULL) < 0 ||
	    subscribe(ab) || wait_again(ab))
		bus_lost(ab);
}

static void work(evutil_socket_t fd, short what, void *arg)
{
	struct avahibus *ab = arg;
	int done = 0;

	(void)fd;
	(void)what;
	if (!ab->bus) {
		connect_bus(ab);
		return;
	}
	for (int i = 0; i < MESSAGES_PER_TURN && !ab->broken; i++) {
		done = sd_bus_process(ab->bus, NULL);
		if (done <= 0)
			break;
	}
	if (done < 0 || ab->broken || wait_again(ab))
		bus_lost(ab);
	else if (done > 0) /* there is more, perhaps read already */
		event_active(ab->timer, EV_TIMEOUT, 0);
}

/* ---- for the users ---- */

struct avahibus *avahibus_new(struct event_base *base, const struct avahibus_user *user)
{
	struct avahibus *ab = calloc(1, sizeof(*ab));

	if (!ab)
		return NULL;
	ab->base = base;
	ab->user = *user;
	ab->timer = evtimer_new(base, work, ab);
	/* From the loop: USER is not called before this returns. */
	if (!ab->timer || evtimer_add(ab->timer, &(struct timeval){ 0 })) {
		avahibus_free(ab);
		return NULL;
	}
	return ab;
}

void avahibus_free(struct avahibus *ab)
{
	if (!ab)
		return;
	bus_drop(ab);
	if (ab->timer)
		event_free(ab->timer);
	free(ab);
}

enum avahibus_state avahibus_state(const struct avahibus *ab)
{
	return ab->state;
}

sd_bus_message *avahibus_call(struct avahibus *ab, const char *path, const char *interface,
			      const char *member)
{
	sd_bus_message *call = NULL;

	if (ab->state != AVAHIBUS_UP ||
	    sd_bus_message_new_method_call(ab->bus, &call, AVAHIBUS_NAME, path, interface, member) <
		    0)
		return NULL;
	if (sd_bus_message_set_auto_start(call, 0) < 0)
		return sd_bus_message_unref(call);
	return call;
}

int avahibus_send(struct avahibus *ab, sd_bus_message *call, sd_bus_message_handler_t on_reply,
		  void *arg)
{
	int err;

	if (!call)
		return -ENOMEM;
	err = on_reply ? sd_bus_call_async(ab->bus, NULL, call, on_reply, arg, 0)
		       : sd_bus_send(ab->bus, call, NULL);
	sd_bus_message_unref(call);
	if (err < 0 || wait_again(ab) < 0) {
		/* Not given up here: this may be within one of its functions. */
		ab->broken = true;
		event_active(ab->timer, EV_TIMEOUT, 0);
		return err < 0 ? err : -EIO;
	}
	return 0;
}
