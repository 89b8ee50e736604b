/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IEEE 802.15.4 enhanced beacons with the join element of RFC 9032, from pledge ports that have
 * such an interface below them.
 *
 * Off unless it is asked for: the element announces the CoAP proxy of RFC 9031 and has no room for
 * a port, so a pledge that knows RFC 9032 only will send CoJP to the address that it names, and not
 * DTLS to a join port (constrained join proxy -21 1).  It is of use where pledges are made to know
 * better.
 *
 * They are sent while there is a join port.  When the last one goes one more beacon says so, with
 * the proxy priority 0x7f, "never"; then there is silence.  Synchronizing a TSCH network is the
 * radio's own beacons' business.
 */
#include "discovery.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "sixtisch.h"
#include "wpan.h"

#define FRAME_MAX      127 /* with two bytes of checksum */
#define PERIOD_MIN     100 /* ms */
#define JITTER_PERCENT 10  /* either way */
#define PROXY_NEVER    0x7f
/* We are nobody's RPL parent: the least willing that the bits hold.  Pledges must ignore it. */
#define RANK_COLUMNS 0xfff
#define RANK_OCTETS  0xff
#define EUI64_LOCAL  0x02 /* the bit that an interface identifier has the other way round */

/* A pledge port that beacons leave from. */
struct sender {
	bool used;
	bool seen; /* in this sync */
	char ifname[JPX_IFNAME_LEN];
	unsigned int ifindex;
	int fd;		 /* -1: none, or none now */
	bool impossible; /* and not to be tried again */
	bool serves;	 /* there is a join port */
	bool said;	 /* the last beacon told of one */
	uint8_t iid[8];	 /* of the address that pledges shall use */
	uint8_t eui64[8];
	uint16_t pan;
	uint8_t sequence;
};

struct way {
	struct event *timer;
	struct sender senders[JPX_MAX_PORTS];
	unsigned int period; /* ms; 0: off */
	enum sixtisch_reading reading;
	struct sixtisch_join join; /* what is the same on all ports */
};

/* ---- a beacon ---- */

static int open_sender(struct sender *s)
{
	if (s->fd >= 0)
		return 0;
	if (s->impossible)
		return -ENODEV;
	s->fd = wpan_open(s->ifindex, s->eui64, &s->pan);
	if (s->fd >= 0) {
		jpx_info("beacon: announces the RFC 9031 proxy on %s", s->ifname);
		return 0;
	}
	if (s->fd == -ENODEV) {
		s->impossible = true;
		jpx_info("beacon: %s is not on an IEEE 802.15.4 interface, so none is sent there",
			 s->ifname);
	} else {
		jpx_log_limited(JPX_LOG_WARNING, "beacon: no socket for %s: %s", s->ifname,
				strerror(-s->fd));
	}
	s->fd = -1;
	return -ENODEV;
}

static void close_sender(struct sender *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void join_of(const struct way *way, const struct sender *s, struct sixtisch_join *join)
{
	uint8_t derived[8];

	*join = way->join;
	if (!s->serves)
		join->proxy_priority = PROXY_NEVER;
	/* Only where the proxy's address is not that of its EUI-64, which pledges work out. */
	memcpy(derived, s->eui64, sizeof(derived));
	derived[0] ^= EUI64_LOCAL;
	join->has_iid = memcmp(derived, s->iid, sizeof(derived)) != 0;
	memcpy(join->iid, s->iid, sizeof(join->iid));
}

static void send_beacon(const struct way *way, struct sender *s)
{
	unsigned char frame[FRAME_MAX];
	struct sixtisch_join join;
	int len;

	if (open_sender(s))
		return;
	join_of(way, s, &join);
	len = sixtisch_beacon_write(&join, way->reading, s->eui64, s->pan, s->sequence, frame,
				    sizeof(frame) - 2);
	if (len < 0) {
		jpx_log_limited(JPX_LOG_WARNING, "beacon: cannot be written for %s: %s", s->ifname,
				strerror(-len));
		return;
	}
	s->sequence++;
	s->said = s->serves;
	if (send(s->fd, frame, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN ||
	    errno == ENOBUFS)
		return; /* the next one will do */
	jpx_log_limited(JPX_LOG_WARNING, "beacon: not sent on %s: %s", s->ifname, strerror(errno));
	close_sender(s);
}

/* ---- the timer ---- */

static void arm(struct way *way)
{
	unsigned int spread = way->period * JITTER_PERCENT / 100, ms = way->period - spread;
	struct timeval tv;
	uint32_t random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	ms += random % (2 * spread + 1);
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	evtimer_add(way->timer, &tv);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct way *way = arg;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		if (way->senders[i].used && way->senders[i].serves)
			send_beacon(way, &way->senders[i]);
	}
	arm(way);
}

/* ---- the way ---- */

static struct sender *sender_of(struct way *way, const struct discovery_port *port)
{
	struct sender *room = NULL;

	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		if (!way->senders[i].used)
			room = room ? room : &way->senders[i];
		else if (way->senders[i].ifindex == port->ifindex)
			return &way->senders[i];
	}
	if (!room)
		return NULL;
	memset(room, 0, sizeof(*room));
	room->used = true;
	room->fd = -1;
	room->ifindex = port->ifindex;
	memcpy(room->ifname, port->ifname, sizeof(room->ifname));
	evutil_secure_rng_get_bytes(&room->sequence, sizeof(room->sequence));
	return room;
}

static void sender_set(struct way *way, struct sender *s, const struct discovery_port *port)
{
	bool others = memcmp(s->iid, &port->addr.s6_addr[8], sizeof(s->iid)) != 0;

	s->seen = true;
	s->serves = port->join_count != 0;
	memcpy(s->iid, &port->addr.s6_addr[8], sizeof(s->iid));
	/* At once what is new, and once that nothing is there any more. */
	if (s->serves ? !s->said || others : s->said)
		send_beacon(way, s);
}

static void settings_take(struct way *way, const struct discovery_settings *settings)
{
	unsigned int period = settings->beacon_period;
	size_t len = settings->beacon_network_id_len;

	way->reading = settings->beacon_octets ? SIXTISCH_OCTETS : SIXTISCH_COLUMNS;
	memset(&way->join, 0, sizeof(way->join));
	way->join.proxy_priority =
		(uint8_t)(settings->beacon_priority < PROXY_NEVER ? settings->beacon_priority
								  : PROXY_NEVER);
	way->join.pan_priority =
		(uint8_t)(settings->beacon_pan_priority < UINT8_MAX ? settings->beacon_pan_priority
								    : UINT8_MAX);
	way->join.rank_priority = settings->beacon_octets ? RANK_OCTETS : RANK_COLUMNS;
	way->join.network_id_len =
		len < sizeof(way->join.network_id) ? len : sizeof(way->join.network_id);
	memcpy(way->join.network_id, settings->beacon_network_id, way->join.network_id_len);

	if (!settings->beacon)
		period = 0;
	else if (period < PERIOD_MIN)
		period = PERIOD_MIN;
	if (period == way->period)
		return;
	way->period = period;
	if (period)
		arm(way);
	else
		evtimer_del(way->timer);
}

/* One more, if it told of a join port before. */
static void sender_end(const struct way *way, struct sender *s)
{
	s->serves = false;
	if (s->said && s->fd >= 0)
		send_beacon(way, s);
	close_sender(s);
	s->used = false;
}

static void beacon_sync(void *arg, const struct discovery_view *view)
{
	struct way *way = arg;
	struct sender *s;

	settings_take(way, view->settings);
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++)
		way->senders[i].seen = false;
	for (unsigned int i = 0; way->period && i < view->port_count; i++) {
		s = sender_of(way, &view->ports[i]);
		if (s)
			sender_set(way, s, &view->ports[i]);
	}
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		if (way->senders[i].used && !way->senders[i].seen)
			sender_end(way, &way->senders[i]);
	}
}

static void beacon_stop(void *arg)
{
	struct way *way = arg;

	if (!way)
		return;
	for (unsigned int i = 0; i < JPX_MAX_PORTS; i++) {
		if (way->senders[i].used)
			sender_end(way, &way->senders[i]);
	}
	if (way->timer)
		event_free(way->timer);
	free(way);
}

static void *beacon_start(struct event_base *base, struct registrars *registrars)
{
	struct way *way = calloc(1, sizeof(*way));

	(void)registrars;
	if (!way)
		return NULL;
	way->timer = evtimer_new(base, on_time, way);
	if (!way->timer) {
		jpx_warning("beacon: out of memory");
		beacon_stop(way);
		return NULL;
	}
	return way;
}

const struct discovery_way discovery_beacon = {
	.name = "beacon",
	.start = beacon_start,
	.sync = beacon_sync,
	.stop = beacon_stop,
};
