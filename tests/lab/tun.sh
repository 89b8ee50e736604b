#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# A pledge port without a link header: a TUN device, as Thread border routers have.
# Generic XDP takes the way to the Registrar, and the way back is made by XDP on the uplink and sent by
# tc there; with generic XDP on the uplink, too, it is all XDP's.  See tun_pledge.c.
JPX_LAB=t-tun
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/tun_pledge"

registrar='[2001:db8:2::52]:7634'

tun_there() {
	ns_ip proxy link show dev tun0 >"$work/link.log" 2>&1
}

# The device is there as long as the pledge runs.
pledge_start() { # FORM FAST
	spawn proxy pledge "$build/tests/tun_pledge" "$lab" "$run_dir" tun0 "$1" "$2"
	pledge_pid=$spawned
	wait_for tun_there && ns_ip proxy link set tun0 up addrgenmode none &&
		ns_ip proxy addr add fe80::1/64 dev tun0 nodad
}

engines_are() { # PORT'S UPLINK'S
	local got
	got=$(status '[.ports[0].engine, .uplinks[0].engine] | join(" ")')
	[ "$got" = "$1 $2" ] || { echo "# engines are $got"; return 1; }
}

# The pledge's lines are tests of their own; that it came to its end is one more.
pledge_ends() { # NAME
	local status=0
	wait_for has '^# done' "$work/pledge.log" || return 1
	stop "$pledge_pid" || status=$?
	sed "s/^\(not ok\|ok\) .*/&-$1/" "$work/pledge.log"
	grep -q '^not ok' "$work/pledge.log" && failed=1
	[ $status = 0 ]
}

nothing_on_tun() {
	! in_ns proxy bpftool net show | grep -E '^(tun0|up0)\('
}

run() { # NAME FORM FAST PORT'S-ENGINE UPLINK'S-ENGINE [OPTION...]
	local name=$1 form=$2 fast=$3 port=$4 uplink=$5
	shift 5
	check "start-$name" jpd_start
	check "device-$name" pledge_start "$form" "$fast"
	check "attach-$name" attach tun0 --registrar "$registrar" --jpy "$form" "$@"
	check "engines-$name" engines_are "$port" "$uplink"
	check "ran-to-its-end-$name" pledge_ends "$name"
	check "stop-$name" jpd_stop
	check "nothing-on-it-$name" nothing_on_tun
}

lab_up
for form in draft-21 draft-02; do
	run "auto-$form" $form 2 xdp-generic xdp-native
	run "generic-$form" $form 2 xdp-generic xdp-generic --xdp generic
	run "off-$form" $form 0 socket socket --xdp off
done
finish
