#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# One join in each mode through this kernel's XDP, in the fewest steps: what the labs do at length,
# for guests without KVM.  No datagram is jpd's own to relay.
JPX_LAB=t-vm-join
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/../lab/common.sh"
# Half a minute for what takes a moment elsewhere.
coap_seconds=40 coap_tries=2

by_xdp() { # native at both ends; jpd took only what had no whole checksum yet
	local got
	got=$(status '[.ports[0].engine, .uplinks[0].engine] | join(" ")')
	[ "$got" = "xdp-native xdp-native" ] || { echo "# engines are $got"; return 1; }
	[ "$(stats .fast_path.packets)" -gt 10 ] &&
		[ "$(stats .socket.packets)" = "$(stats .handoffs.checksum_partial)" ] && return 0
	stats '"# \(.fast_path.packets) by XDP, \(.socket.packets) by jpd"'
	return 1
}

lab_up
check server coap_server
check jpreg jpreg_start 7634 5684
jpd_start
for mode in stateless stateful; do
	to='[2001:db8:2::52]:7634' n=0
	[ $mode = stateless ] || to='[2001:db8:2::52]:5690' n=1
	[ $mode = stateless ] || {
		spawn registrar server6 coap-server-openssl -A 2001:db8:2::52 -p 5689 -k secretPSK
		check server-of-its-own wait_for udp_bound registrar 5690
	}
	check "attach-$mode" attach pj0 --registrar "$to" --mode $mode
	check "join-$mode" coap_get 0 "$(join_port pj0 $n)" -B 30
done
check by-xdp by_xdp
check no-drops no_drops
jp check pj0 | sed 's/^/# /'
finish
