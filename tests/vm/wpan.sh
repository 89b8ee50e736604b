#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2016,SC2317 # for the page's shell; called through check
#
# docs/wpan.md, line by line, as a person says it who has a radio: pledges join over the kernel's
# own 6LoWPAN, in frames of 127 bytes, and find the proxy; radios go and come back.
#
# The lab is lab_wpan's, in lib/radio.sh; the proxy's 6LoWPAN interface is made as the page says.
JPX_LAB=t-wpan
# shellcheck source=tests/vm/lib/radio.sh
. "$(dirname "$0")/lib/radio.sh"
needs "$build/jpledge" openssl coap-client-openssl
page=docs/wpan.md
# shellcheck source=tests/lab/lib/page.sh
. "$(dirname "$0")/../lab/lib/page.sh"
settings='discovery {
    beacon = yes
}'

attach_line="jpctl attach wpan0 --registrar [$registrar]:7634"
make_line='ip link add link wpan0 name lowpan0 type lowpan && ip link set wpan0 up && ip link set lowpan0 up'

refuses_and_says_how() {
	! by proxy "$attach_line" >"$work/refused" &&
		said 'there is no 6LoWPAN interface on it' && said "make one: $make_line\$"
}

# The radio's first time, and each time that it is back.
make_lowpan() {
	by proxy "$make_line" && wait_for has_address proxy lowpan0
}

port_is() { # WORDS: its name, link, engine, way of answers and state
	local got
	got=$(status '[.ports[0] | .ifname, .link, .engine, .answers, .state] | join(" ")')
	[ "$got" = "$1" ]
}

serves() { # [WAY-OF-ANSWERS]
	wait_for port_is "lowpan0 ipv6 xdp-generic ${1:-tc} ready" && wait_for all_serving && return 0
	jp status | sed 's/^/# /'
	return 1
}

proxy_address() {
	status '.ports[0].address'
}

# Linux gives lowpan0 one address of the radio's long and one of its short address, which is lower.
on_the_long_address() {
	[ "$(ns_ip proxy -6 -o addr show dev lowpan0 scope link | wc -l)" = 2 ] &&
		[ "$(proxy_address)" = "$(long_address proxy)" ] && return 0
	echo "# on $(proxy_address), not $(long_address proxy)"
	return 1
}

join_line='coap-client-openssl -B 60 -u me -k secretPSK "coaps://[$PROXY%lowpan0]:5684/time"'
join() { # [PORT]: a handshake and a GET by the pledge
	on_page "$join_line" || return 1
	for _ in 1 2; do
		PROXY=$(proxy_address) in_ns pledge \
			bash -c "${join_line/5684/${1:-5684}}" >"$work/said" 2>&1
		has '^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]$' "$work/said" && return 0
	done
	sed 's/^/# /' "$work/said"
	return 1
}

# Both ways by the fast path, and nothing for jpd to relay.
jpd_relays_nothing() {
	local numbers
	numbers=$(stats '[.to_registrar.packets, .to_pledge.packets, .fast_path.packets, .socket.packets] | join(" ")')
	# shellcheck disable=SC2086 # four words
	set -- $numbers
	[ $# = 4 ] && [ "$1" -gt 3 ] && [ "$2" -gt 3 ] && [ $(($1 + $2)) = "$3" ] && [ "$4" = 0 ] && return 0
	echo "# to the Registrar $1, back $2, by the fast path $3, by sockets $4"
	return 1
}

# To the Registrar all by XDP, back all by sockets, and nothing else for jpd to relay.
each_way_its_engine() {
	local numbers
	numbers=$(stats '[.to_registrar.packets, .fast_path.packets, .to_pledge.packets, .socket.packets,
		.handoffs.no_transmit] | join(" ")')
	# shellcheck disable=SC2086 # five words
	set -- $numbers
	[ $# = 5 ] && [ "$1" -gt 3 ] && [ "$3" -gt 3 ] && [ "$1" = "$2" ] && [ "$3" = "$4" ] && [ "$4" = "$5" ] && return 0
	echo "# to the Registrar $1, by XDP $2; back $3, by sockets $4, handed over for that $5"
	return 1
}

finds_by_group() {
	for _ in 1 2; do
		by pledge 'coap-client-openssl -N -B 10 "coap://[ff02::fd%lowpan0]/.well-known/core?brski-jp=*"' &&
			has '<>;brski-jp=5684' "$work/said" && return 0
	done
	said '<>;brski-jp=5684'
}

finds_address() {
	local got line="PROXY=\$(jpledge discover lowpan0 --json | jq -r '.proxies[0].address')"
	on_page "$line" || return 1
	got=$(in_ns pledge bash -c "$line; echo \$PROXY" 2>"$work/discover.log")
	[ "$got" = "$(proxy_address)" ] || { echo "# found $got, not $(proxy_address)"; return 1; }
}

beacon_heard() {
	wait "$hearing"
	has ' priority ' "$work/heard" && return 0
	sed 's/^/# /' "$work/heard"
	return 1
}

beacon_lost() { # and jpd cannot know
	! beacon_heard >"$work/lost" && dmesg | grep -q 'encryption failed: -22'
}

gone() {
	wait_for port_is "lowpan0 ipv6 socket socket absent"
}

unplugged() { # the whole radio: to another namespace, out of the proxy's sight
	in_ns proxy iwpan phy phy1 set netns name "$lab-registrar" && gone &&
		in_ns registrar iwpan phy phy1 set netns name "$lab-proxy"
}

detached_while_away() { # by the radio's name, which is away, too
	in_ns proxy iwpan phy phy1 set netns name "$lab-registrar" && gone && detached
}

read_again() {
	wait_for has 'configuration applied again' "$work/jpd.log" && ports_are 1
}

uplink_is() { # ENGINE
	[ "$(status '[.uplinks[].engine] | join(" ")')" = "$1" ]
}

ports_are() { # N
	[ "$(status '.ports | length')" = "$1" ]
}

detached() {
	by proxy 'jpctl detach wpan0' && ports_are 0
}

check programs programs
check lab lab_wpan
check jpreg serve jpreg 'jpreg relay --listen [::]:7634 --server [::1]:5684'
check server serve server 'coap-server-openssl -A ::1 -p 5683 -k secretPSK'
wait_for udp_bound registrar 5684
wait_for udp_bound registrar 7634
jpd_start "$settings"

check radio-pan by proxy 'iwpan dev wpan0 set pan_id 0xbeef'
check radio-address by proxy 'iwpan dev wpan0 set short_addr 0x0001'
check refuses-and-says-how refuses_and_says_how
check what-it-says-works make_lowpan
check check-verb by proxy 'jpctl check wpan0'
check check-finds-it said 'lowpan0 is stacked on it'
hear 30
check attach by proxy "$attach_line"
check says-what-it-serves said 'wpan0: pledges are served on lowpan0'
check serves serves
check on-the-long-address on_the_long_address
if beacons_are_lost; then
	check beacon-is-lost beacon_lost
else
	check beacon-heard beacon_heard
fi
check status by proxy 'jpctl status'
check status-tells-each-way said '^lowpan0 .* xdp-generic.*, answers by tc'

check join-stateless join
check jpd-relays-nothing-stateless jpd_relays_nothing
check no-drops no_drops
check finds-by-group finds_by_group
check finds by pledge 'jpledge discover lowpan0'
check finds-the-join-port said ' 5684 '
check finds-address finds_address

spawn registrar server6 coap-server-openssl -A "$registrar" -p 5683 -k secretPSK
check server-of-its-own wait_for udp_bound registrar 5684
check attach-stateful by proxy "jpctl attach wpan0 --registrar [$registrar]:5684 --mode stateful"
check serves-stateful serves
check join-stateful join 5685
check flows by proxy 'jpctl flows'
check flows-tell said lowpan0
check jpd-relays-nothing-stateful jpd_relays_nothing
check stats by proxy 'jpctl stats'
check stats-tell said 'fast path'
check certificate make_certificate
check attach-certificate attach wpan0 --registrar "[$registrar]:5690" --mode stateful
check join-certificate certificate "[$registrar]:5690" "[$(proxy_address)%lowpan0]:5686"

ns_ip proxy link del lowpan0
check gone gone
check made-again make_lowpan
check serves-again serves
check join-again join
check unplugged unplugged
check plugged-in-again make_lowpan
check serves-plugged-in serves
check join-plugged-in join
check detach detached
check stop jpd_stop

# The configuration is there before the radio's interface.  With generic XDP on the uplink, too, as
# on NICs without native: a redirect that the port's interface could not send would be lost.
ns_ip proxy link del lowpan0
check start-early jpd_start "xdp = generic
$(sed -n '/^```conf$/,/^```$/ { /^```/d; p }' "$page")"
check waits wait_for port_is "wpan0 ethernet socket socket no-address"
check made-late make_lowpan
check serves-late serves socket
check uplink-is-generic uplink_is xdp-generic
check join-late join
check each-way-its-engine-generic each_way_its_engine
# The file says wpan0 again while lowpan0 is away: still one port.
ns_ip proxy link del lowpan0
check gone-late gone
kill -HUP "$jpd_pid"
check still-one-port read_again
check made-once-more make_lowpan
check serves-once-more serves socket
check one-port ports_are 1
check detached-while-away detached_while_away
check whole-page-ran whole_page_ran
finish
