#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# Bad input on the wire, from pledges and as the Registrar, case by case and then by
# the thousand, through both engines: see badinput.c.  After it, a real DTLS session.
JPX_LAB=t-badinput
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/badinput" coap-client-openssl coap-server-openssl

registrar=2001:db8:2::52

two_services() { # FORM XDP
	jpd_start "$quiet" &&
		attach pj0 --registrar "[$registrar]:7634" --jpy "$1" --xdp "$2" &&
		attach pj0 --registrar "[$registrar]:7635" --jpy "$1" --xdp "$2" --content any
}

# Its lines are tests of their own; that it came to its end is one more.
run() { # ARGUMENT...
	local status
	"$build/tests/badinput" "$@" 2>"$work/badinput.log"
	status=$?
	[ "$status" = 0 ] || failed=1
	[ "$status" = 0 ] || [ -z "$(cat "$work/badinput.log")" ]
}

same_jpd() {
	alive "$jpd_pid" && [ "$(status .daemon.pid)" = "$jpd_pid" ]
}

lab_up
for form in draft-02 draft-06 draft-21 draft-01; do
	for engine in xdp socket; do
		xdp=auto
		[ "$engine" = socket ] && xdp=off
		check "start-$form-$engine" two_services "$form" "$xdp"
		run cases "$lab" "$run_dir" "$engine" "$form"
		check "ran-to-its-end-$form-$engine" test $? = 0
		run fuzz "$lab" "$run_dir" "$form" 20000
		check "fuzz-ended-$form-$engine" test $? = 0
		check "same-jpd-$form-$engine" same_jpd
		coap_server
		server=$spawned
		jpreg_start 7634 5684
		check "handshake-after-$form-$engine" coap_get 0 "$(join_port pj0 0)"
		stop "$server"
		stop "$jpreg_pid"
		check "stop-$form-$engine" jpd_stop
	done
done
finish
