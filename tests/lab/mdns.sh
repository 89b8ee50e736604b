#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The proxy announced by mDNS: a bus and an Avahi of the test's own on each side of a link, none of
# the host's.  The pledge's side looks with avahi-browse, which is not ours, and with jpledge's way.
: "${JPX_LAB:=dns-mdns}"
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"

[ -x "$build/tests/mdns_test" ] || { ok "built without Avahi: nothing to test"; exit 0; }
needs dbus-daemon avahi-daemon avahi-browse avahi-resolve-host-name unshare python3

# bus_start WHO
bus_start() {
	cat >"$work/$1-bus.conf" <<-END
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig>
		<listen>unix:path=$work/$1-bus</listen><auth>EXTERNAL</auth>
		<policy context="default"><allow send_destination="*" eavesdrop="false"/>
		<allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy>
		</busconfig>
	END
	rm -f "$work/$1-bus"
	spawn "$1" "$1-bus" dbus-daemon --nofork --nopidfile --config-file="$work/$1-bus.conf"
	bus_pid=$spawned
	wait_for test -S "$work/$1-bus"
}

# with_bus WHO LOG COMMAND...
with_bus() {
	local who=$1 log=$2
	shift 2
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/$who-bus spawn "$who" "$log" "$@"
}

# Its pid file and socket are in /run/avahi-daemon, which cannot be changed: a /run of its own.
avahi_start() { # WHO HOST-NAME
	cat >"$work/$1-avahi.conf" <<-END
		[server]
		host-name=$2
		use-ipv4=yes
		use-ipv6=yes
		enable-dbus=yes
		[wide-area]
		enable-wide-area=no
		[publish]
		publish-hinfo=no
		publish-workstation=no
		[rlimits]
	END
	with_bus "$1" "$1-avahi" unshare -m --propagation private sh -c \
		'mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec "$@"' sh \
		avahi-daemon -f "$work/$1-avahi.conf" --no-drop-root --no-chroot --no-rlimits
	avahi_pid=$spawned
	wait_for has 'Server startup complete' "$work/$1-avahi.log"
}

browse() { # by Avahi's own tool, as the pledge
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/pledge-bus in_ns pledge \
		timeout 5 avahi-browse -rpt _brski-proxy._udp >"$work/browse.log" 2>&1
}

# Lines are "=;IF;PROTO;NAME;TYPE;DOMAIN;HOST;ADDRESS;PORT;TXT".
sees() { # PORT...: exactly these, and each at the proxy's link-local address
	local ports
	browse
	ports=$(awk -F';' -v a="$(pj_address pj0)" \
		'$1 == "=" && $2 == "pl0" && $8 == a { print $9 }' "$work/browse.log" | sort -un | tr '\n' ' ')
	[ "$ports" = "${*:+$* }" ] &&
		! awk -F';' -v a="$(pj_address pj0)" '$1 == "=" && $8 != a' "$work/browse.log" | grep -q .
}

announce() { # PORT...
	with_bus proxy announce "$build/tests/mdns_test" announce pj0 "$(pj_address pj0)" "$@"
	announcer=$spawned
}

waits_without_a_bus() {
	announce 40001 40002
	wait_for has 'no system bus' "$work/announce.log" && ! has '^late' "$work/announce.log"
}

pledge_side() {
	bus_start pledge && avahi_start pledge pledge
}

quiet_without_a_daemon() {
	stop "$announcer"
	bus_start proxy
	proxy_bus=$bus_pid
	announce 40001 40002
	wait_for has 'Avahi does not run' "$work/announce.log" && sleep 2 &&
		[ "$(grep -c mdns: "$work/announce.log")" = 1 ]
}

# The port has an address of a wider scope, too: Avahi would publish that one only.
announces_when_it_comes() {
	ns_ip proxy addr add 2001:db8:7::1/64 dev pj0 nodad
	ns_ip proxy addr add 192.0.2.1/24 dev pj0
	avahi_start proxy proxy
	proxy_avahi=$avahi_pid
	wait_for has 'announces the proxy on pj0' "$work/announce.log" && wait_for sees 40001 40002
}

says_its_variation() {
	grep -q '^=.*"rrm-cose"$' "$work/browse.log"
}

only_on_that_port() { # the Registrar's side of the proxy hears nothing
	! has '^[=+];up0' "$work/browse.log" && bus_start gateway && avahi_start gateway gateway &&
		! DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/gateway-bus in_ns gateway \
			timeout 5 avahi-browse -rpt _brski-proxy._udp | grep -q '^[+=]'
}

jpledge_finds() {
	with_bus pledge find "$build/tests/mdns_test" find pl0
	wait_for has "\"found\":\"$(pj_address pj0)\",\"port\":40001,\"way\":\"mdns\",\"by\":\"_brski-proxy._udp\"" \
		"$work/find.log" && wait_for has '"port":40002' "$work/find.log" &&
		! has refused "$work/find.log" && stop "$spawned" && has ended "$work/find.log"
}

follows_other_ports() {
	kill -USR2 "$announcer"
	wait_for sees 40002 40003
}

withdraws_at_once() { # goodbyes reach who browses: within a second or two
	kill -USR1 "$announcer"
	sleep 2
	sees || return 1
	kill -USR1 "$announcer"
	wait_for sees 40002 40003
}

another_name() { # the same instance, from the pledge's side
	local name
	name="Join Proxy on $(hostname | cut -c1-23) pj0"
	kill -USR1 "$announcer"
	wait_for sees
	with_bus pledge thief avahi-publish-service "$name" _brski-proxy._udp 9
	sleep 3
	kill -USR1 "$announcer"
	wait_for has 'another one' "$work/announce.log" && stop "$spawned" && wait_for sees 40002 40003 &&
		has '0352;' "$work/browse.log" # "#2", as that tool writes it
}

comes_back_after_a_restart() {
	stop "$proxy_avahi"
	wait_for has 'Avahi does not run' "$work/announce.log" || return 1
	avahi_start proxy proxy
	proxy_avahi=$avahi_pid
	wait_for sees 40002 40003
}

never_waits() { # a daemon that hangs, and then a bus that hangs
	kill -STOP "$proxy_avahi"
	kill -USR2 "$announcer"
	sleep 3
	kill -STOP "$proxy_bus"
	kill -USR2 "$announcer"
	sleep 3
	kill -CONT "$proxy_bus"
	kill -CONT "$proxy_avahi"
	! has '^late' "$work/announce.log"
}

goes_with_the_program() {
	wait_for sees 40004 40005 && stop "$announcer" && has ended "$work/announce.log" && wait_for sees
}

# Takes connections and says nothing.
hangs='import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(8)
time.sleep(600)'

never_waits_for_a_deaf_bus() {
	stop "$proxy_avahi"
	stop "$proxy_bus"
	rm -f "$work/proxy-bus"
	spawn proxy deaf python3 -c "$hangs" "$work/proxy-bus"
	wait_for test -S "$work/proxy-bus"
	announce 40001
	sleep 3
	! has '^late' "$work/announce.log" && stop "$announcer" && has ended "$work/announce.log"
}

jpledge_says_why_not() { # no bus; a bus that hangs
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/none in_ns proxy "$build/tests/mdns_test" find pj0 \
		>"$work/find.log" 2>&1
	has 'impossible.*no system bus' "$work/find.log" || return 1
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/proxy-bus in_ns proxy timeout 10 \
		"$build/tests/mdns_test" find pj0 >"$work/find.log" 2>&1
	has 'impossible.*does not answer' "$work/find.log"
}

lab_up
check waits-without-a-bus waits_without_a_bus
check pledge-side-starts pledge_side
check quiet-without-a-daemon quiet_without_a_daemon
check announces-when-avahi-comes announces_when_it_comes
check says-its-variation says_its_variation
check only-on-that-port only_on_that_port
check jpledge-finds-it jpledge_finds
check follows-other-ports follows_other_ports
check withdraws-at-once withdraws_at_once
check another-name-when-taken another_name
check comes-back-after-a-restart comes_back_after_a_restart
check never-waits-for-what-hangs never_waits
check goes-with-the-program goes_with_the_program
check never-waits-for-a-deaf-bus never_waits_for_a_deaf_bus
check jpledge-says-why-not jpledge_says_why_not
finish
