/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Avahi's daemon over the system bus, in our event loop, by libsystemd's sd-bus.  Not by
 * libavahi-client: that waits within each of its calls for the bus and for the daemon, without
 * end where one of them hangs (a bus that takes connections and says nothing: more than a minute in
 * avahi_client_new()), and a loop that relays must not wait.  Here nothing waits: what takes
 * longer than AVAHIBUS_TIMEOUT_S has failed.
 */
#ifndef JPX_AVAHIBUS_H
#define JPX_AVAHIBUS_H

#include <stdbool.h>
#include <systemd/sd-bus.h>

#define AVAHIBUS_NAME	   "org.freedesktop.Avahi"
#define AVAHIBUS_TIMEOUT_S 10
#define AVAHIBUS_RETRY_S   30 /* until the bus is asked for again, where there is none */

/* As in Avahi's D-Bus interface. */
#define AVAHIBUS_PROTO_INET6  1
#define AVAHIBUS_PROTO_UNSPEC -1

struct avahibus;
struct event_base;

enum avahibus_state {
	AVAHIBUS_UNKNOWN, /* being asked for */
	AVAHIBUS_NO_BUS,
	AVAHIBUS_NO_DAEMON,
	AVAHIBUS_UP
};

struct avahibus_user {
	/* After each change.  Not AVAHIBUS_UP: objects that the daemon made are gone, and replies
	 * to calls that are open never come. */
	void (*on_state)(void *arg, enum avahibus_state state);
	/* A signal of Avahi's. */
	void (*on_signal)(void *arg, sd_bus_message *signal);
	void *arg;
};

/* Asks for the bus at once, and again when it went away; USER is called from the loop only.
 * NULL: out of memory. */
struct avahibus *avahibus_new(struct event_base *base, const struct avahibus_user *user);
/* What the daemon announced for us is withdrawn.  Not from within USER's functions. */
void avahibus_free(struct avahibus *ab);

enum avahibus_state avahibus_state(const struct avahibus *ab);

/* A call to the daemon, to be filled and sent.  NULL unless AVAHIBUS_UP, or out of memory. */
sd_bus_message *avahibus_call(struct avahibus *ab, const char *path, const char *interface,
			      const char *member);

/* Sends CALL and releases it; takes NULL and fails.  ON_REPLY is called with an answer or an error,
 * within AVAHIBUS_TIMEOUT_S; NULL: no answer is wanted.  Returns 0 or a negative errno. */
int avahibus_send(struct avahibus *ab, sd_bus_message *call, sd_bus_message_handler_t on_reply,
		  void *arg);

#endif
