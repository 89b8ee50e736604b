#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# `jpctl check` says what is wrong and how to mend it, and is silent about it once it
# is mended; what has no native XDP says so; a Registrar without a route is counted.
JPX_LAB=t-check
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"

# found WHAT RESULT [IF...]: that line of the check has that result, and a remedy unless it is ok.
found() {
	local what=$1 result=$2
	shift 2
	jp --json check "$@" >"$work/check.json" 2>"$work/check.err"
	jq -e --arg what "$what" --arg result "$result" \
		'.checks[] | select(.what == $what and .result == $result) |
		 (.why != "") and (.result == "ok" or .remedy != "")' "$work/check.json" >/dev/null
}

exit_status() { # STATUS COMMAND...
	local wanted=$1 got
	shift
	"$@" >"$work/out.log" 2>&1
	got=$?
	[ "$got" = "$wanted" ]
}

lab_up 1

check daemon-not-running found jpd fail
check fails-without-daemon exit_status 1 jp check
jpd_start
wait_for eval '[ -n "$(pj_address pj0)" ]'
check daemon-running found jpd ok
check all-well wait_for exit_status 0 jp check pj0
check rights found rights ok
check link found "pj0 link" ok pj0
check address found "pj0 address" ok pj0
check unknown-interface exit_status 1 jp check nope
ns_ip proxy link set pj0 down
check interface-down found "pj0 state" fail pj0
ns_ip proxy link set pj0 up
if found "netdev features" warn; then # before Linux 6.3 nobody can know
	ok peer-unknown
else
	in_ns pledge ethtool -K pl0 gro off
	check peer-cannot-take-frames found "pj0 redirect" warn pj0
	in_ns pledge ethtool -K pl0 gro on
	check peer-mended found "pj0 redirect" ok pj0
fi
ns_ip proxy link set up0 mtu 1280
attach pj0 --registrar '[2001:db8:2::52]:7634'
check small-mtu found "up0 mtu" warn
ns_ip proxy link set up0 mtu 1500
check mtu-mended found "up0 mtu" ok

# A device without native XDP: refused where native was asked for, generic where not.
in_ns proxy ip tuntap add mode tun tun9
ns_ip proxy link set tun9 up
native_refused() {
	exit_status 1 jp attach tun9 --xdp native && has 'no native XDP.*--xdp generic' "$work/out.log" &&
		[ "$(status '[.ports[].ifname] | join(" ")')" = pj0 ]
}
check native-refused-on-tun native_refused
check auto-on-tun jp attach tun9
check generic-on-tun [ "$(status '.ports[] | select(.ifname == "tun9") | .engine')" = xdp-generic ]
jp detach tun9 >/dev/null

# No route to the Registrar: the socket engine has nowhere to send, and says so in a counter.
not_ready_counted() {
	local before after port
	before=$(stats .drops.service_not_ready)
	port=$(join_port pj0 1)
	printf '\x16\xfe\xfd\x00\x00' >"$work/record"
	in_ns pledge bash -c "exec 3>/dev/udp/$(pj_address pj0)%pl0/$port && cat '$work/record' >&3"
	for _ in $(seq 50); do
		after=$(stats .drops.service_not_ready)
		[ "$after" = $((before + 1)) ] && return 0
		sleep 0.05
	done
	return 1
}
jp attach pj0 --registrar '[2001:db8:ffff::1]:7634' >/dev/null
ns_ip proxy route add unreachable 2001:db8:ffff::/48
check no-route wait_for eval '[ "$(status ".services[1].state")" = no-route ]'
check service-not-ready-counted not_ready_counted
finish
