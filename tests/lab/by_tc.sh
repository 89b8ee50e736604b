#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# A pledge port that XDP cannot send to, a bridge: answers leave by the tc program on the uplink.
# Joins in both modes and families, nothing for jpd to relay; other people's filters and qdiscs stay; what
# is attached outlives jpd, comes back when it is taken off, and goes when it is not needed.
JPX_LAB=t-by-tc
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs tc bpftool coap-client-openssl coap-server-openssl python3 "$build/tests/tcx"
registrar=2001:db8:2::52

tc_filters() {
	in_ns proxy tc filter show dev up0 "${1:-ingress}"
}

ours() { # N: how many filters of ours there are
	[ "$(tc_filters | grep -c jpx_tc)" = "$1" ] || { tc_filters | sed 's/^/# /'; return 1; }
}

ours_at() { # PRIORITY
	ours 1 && tc_filters | grep jpx_tc | grep -q "pref $1 "
}

qdisc() { # is there
	in_ns proxy tc qdisc show dev up0 | grep -q clsact
}

no_qdisc() { ! qdisc; }

answers() { # WAY
	[ "$(status '.ports[0].answers')" = "$1" ]
}

# Native, so that it is tc or nothing; on the bridge itself there is no native XDP.
engines_are() {
	local got
	got=$(status '[.ports[0].engine, .uplinks[0].engine] | join(" ")')
	[ "$got" = "xdp-generic xdp-native" ] || { echo "# engines are $got"; return 1; }
}

address() {
	status '.ports[0].address'
}

joined() {
	has '^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]$' "$work/coap.log"
}

join() { # JOIN-PORT [ADDRESS]
	local to=${2:-"[$(address)%pl0]"}
	in_ns pledge timeout 15 coap-client-openssl -B 10 -u me -k secretPSK "coaps://$to:$1/time" >"$work/coap.log" 2>&1
	joined
}

# All that went through since the last look, by the fast path.
seen_fast=0
all_by_fast_path() {
	local numbers
	numbers=$(stats '[.to_registrar.packets, .to_pledge.packets, .fast_path.packets, .socket.packets] | join(" ")')
	# shellcheck disable=SC2086 # four words
	set -- $numbers
	[ "$4" = 0 ] && [ $(($1 + $2)) = "$3" ] && [ "$2" -gt 3 ] && [ "$3" -gt $((seen_fast + 6)) ] && seen_fast=$3 && return 0
	echo "# to the Registrar $1, to the pledge $2, by the fast path $3 (before $seen_fast), by sockets $4"
	return 1
}

# A warm start: who asks for an unknown next hop is relayed by sockets, which is not the matter here.
next_hops() {
	wait_for all_serving
}

lab() {
	lab_up
	ns_ip proxy addr flush dev pj0
	ns_ip proxy link add br0 type bridge
	ns_ip proxy link set pj0 master br0
	ns_ip proxy link set br0 up
	wait_for test -n "$(lab_link_local proxy br0)"
	ns_ip proxy addr add 169.254.2.1/16 dev br0
	ns_ip pledge addr add 169.254.1.1/16 dev pl0
	wait_for has_address
}

has_address() {
	[ -n "$(lab_link_local proxy br0)" ]
}

kill_jpd() {
	kill -KILL "$jpd_pid"
	wait "$jpd_pid" 2>/dev/null
	return 0
}

# Never matches, so that others have their turn.
foreign_filter() { # PRIORITY
	in_ns proxy tc filter add dev up0 ingress pref "$1" protocol all u32 match u32 0xdeadbeef 0xffffffff at 0 flowid 1:1
}

foreign_is_there() { # PRIORITY
	tc_filters | grep -q "pref $1 u32"
}

take_off() { # jpd may look, and have it back, before anybody sees that it was gone
	in_ns proxy tc filter del dev up0 ingress pref "$1"
}

# What comes with the uplink's own words and is not for us goes its way.
uplink_pings() {
	in_ns gateway ping -6 -c 2 -i 0.2 -W 2 2001:db8:1::2 >"$work/ping.log" 2>&1
}

check lab lab
check server coap_server
check jpreg jpreg_start 7634 5684
spawn registrar server6 coap-server-openssl -A "$registrar" -p 5693 -k secretPSK
check server-of-its-own wait_for udp_bound registrar 5694
check start jpd_start "$quiet"

check attach attach br0 --registrar "[$registrar]:7634"
check engines engines_are
check answers-by-tc answers tc
check status-says-so has 'answers by tc' <(jp status)
check one-filter ours_at 20
check join-stateless join 5684
check all-by-fast-path-stateless all_by_fast_path
check attach-stateful attach br0 --registrar "[$registrar]:5694" --mode stateful
check join-stateful join 5685
check all-by-fast-path-stateful all_by_fast_path
check join-ipv4 join 5685 169.254.2.1
check all-by-fast-path-ipv4 all_by_fast_path
check join-ipv4-stateless join 5684 169.254.2.1
check all-by-fast-path-ipv4-stateless all_by_fast_path
check others-unharmed uplink_pings

# Who looks at all that comes in, through a raw socket, has a clone of each packet.
watch_uplink() {
	spawn proxy watcher python3 -uc 'import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("up0", 0))
print("watching")
while True:
    s.recv(65535)'
	watcher=$spawned
	wait_for has watching "$work/watcher.log"
}
check watched watch_uplink
check join-watched join 5684
check all-by-fast-path-watched all_by_fast_path
stop "$watcher"
check no-drops no_drops

kill_jpd
check join-without-jpd-stateful join 5685 169.254.2.1
check filter-outlives-jpd ours 1
check start-again jpd_start "$quiet"
check adopted wait_for answers tc
check still-one-filter ours_at 20
check join-adopted join 5684
check all-by-fast-path-adopted all_by_fast_path

# Who takes it off has it back, by the look every ten seconds; whose the qdisc is by then nobody knows.
check taken-off take_off 20
check back wait_for ours 1
check told has 'tc program was taken off' "$work/jpd.log"
check join-back join 5684
check detach-back jp detach br0
check filter-goes-back ours 0
check qdisc-stays qdisc
check nobodys-qdisc in_ns proxy tc qdisc del dev up0 clsact
check attach-again attach br0 --registrar "[$registrar]:7634"
check answers-again wait_for answers tc

# The same of the XDP program before it; whose the qdisc is, is not forgotten over it.
xdp_id() {
	ns_ip proxy -d -j link show dev up0 | jq -r '.[].xdp.prog.id // 0'
}
has_another() { # ID
	local now
	now=$(xdp_id)
	[ "$now" != 0 ] && [ "$now" != "$1" ]
}
xdp_before=$(xdp_id)
check xdp-taken-off ns_ip proxy link set dev up0 xdp off
check xdp-back wait_for has_another "$xdp_before"
check answers-by-tc-again wait_for answers tc
check filter-again ours_at 20
check join-xdp-back join 5684

check detach jp detach br0
check filter-goes ours 0
check qdisc-goes no_qdisc

# The qdisc and the usual place are somebody else's.
check foreign-qdisc in_ns proxy tc qdisc add dev up0 clsact
check foreign-filter foreign_filter 20
check attach-beside attach br0 --registrar "[$registrar]:7634"
check before-it ours_at 19
check answers-beside answers tc

# Whoever comes before us could end the matter there: jpd moves, if there is room, within ten seconds.
ends_it_at() { # PRIORITY: with every packet
	in_ns proxy tc filter add dev up0 ingress pref "$1" protocol all u32 match u32 0 0 flowid 1:1
}
check ends-it-before ends_it_at 5
check moves wait_for ours_at 4
check told-of-that has 'somebody else came before our tc program' "$work/jpd.log"
check answers-moved wait_for answers tc
check join-moved join 5684
check detach-beside jp detach br0
check filter-goes-beside ours 0
check foreign-filter-stays foreign_is_there 20
check foreign-qdisc-stays qdisc

# There is no place before the first: the socket engine answers, and the operator is told.
check ends-it-first ends_it_at 1
attach_nowhere() {
	jp attach br0 --registrar "[$registrar]:7634" >"$work/nowhere" 2>&1
}
check attach-nowhere attach_nowhere
check told-why has "cannot attach the tc program before a filter of somebody else's .*; answers .* socket engine" "$work/nowhere"
check serves-nowhere wait_for all_serving
check answers-by-socket answers socket
check join-by-socket join 5684
check hands-off test "$(stats .handoffs.no_transmit)" -gt 0
# As soon as there is one it is taken.
check place in_ns proxy tc filter del dev up0 ingress pref 1
check takes-it wait_for answers tc
check place-taken ours_at 4
check join-taken join 5684

# The same where somebody has a tcx program, which comes before all filters.
tcx() {
	spawn proxy tcx "$build/tests/tcx" up0
	tcx_pid=$spawned
	wait_for has 'attached\|cannot' "$work/tcx.log"
}
check tcx tcx
if has 'cannot attach' "$work/tcx.log"; then
	echo "# this kernel has no tcx"
	stop "$tcx_pid"
else
	check gives-way wait_for answers socket
	check none-is-left ours 0
	check join-beside-tcx join 5684
	stop "$tcx_pid"
	check takes-it-again wait_for answers tc
	check join-after-tcx join 5684
fi
check detach-taken jp detach br0

# A qdisc of ours that somebody uses by now.
check unused-again in_ns proxy tc qdisc del dev up0 clsact
check attach-used attach br0 --registrar "[$registrar]:7634"
check egress-filter in_ns proxy tc filter add dev up0 egress pref 5 protocol all u32 match u32 0xdeadbeef 0xffffffff at 0 flowid 1:1
check detach-used jp detach br0
check used-qdisc-stays qdisc
check egress-filter-stays has 'pref 5 u32' <(tc_filters egress)
finish
