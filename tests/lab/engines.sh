#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# Both engines emit the same bytes for the same input: thousands of datagrams both
# ways in each JPY form, once through XDP and once through sockets; what comes out
# at the other ends is compared frame by frame, link header and checksum included.
JPX_LAB=t-engines
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/engines"

registrar=2001:db8:2::52

feed() { # FORM XDP: leaves what came out in $work/FORM-XDP
	local form=$1 xdp=$2 i
	jpd_start "$quiet" || return 1
	for i in 0 1 2; do
		attach "pj$i" --registrar "[$registrar]:7634" --jpy "$form" --content any \
			--xdp "$xdp" || return 1
	done
	# After jpd has started: it must learn of them as of any other neighbour.
	"$build/tests/engines" neighbours "$form" >"$work/neigh" &&
		ns_ip proxy -6 -batch "$work/neigh" || return 1
	"$build/tests/engines" run "$lab" "$run_dir" "$form" >"$work/$form-$xdp.raw" \
		2>"$work/engines-$form-$xdp.log" || return 1
	LC_ALL=C sort "$work/$form-$xdp.raw" >"$work/$form-$xdp"
}

# That the engine meant did the work; the fast path may hand on what it finds odd.
by_engine() { # FORM XDP
	local fast sock
	fast=$(stats .fast_path.packets)
	sock=$(stats .socket.packets)
	echo "# $fast packets by the fast path, $sock by the socket engine"
	if [ "$2" = off ] || [ "$1" = draft-01 ]; then
		[ "$fast" = 0 ] && [ "$sock" -gt 2900 ]
	else
		[ "$fast" -gt 2900 ] && [ "$sock" -lt 100 ]
	fi
}

# What is counted by service is what is counted by port, there being one service.
by_service() {
	[ "$(stats '.services | map([.to_registrar, .to_pledge]) | tojson')" = \
		"$(stats '[[.to_registrar.packets, .to_pledge.packets]] | tojson')" ]
}

same() { # FORM
	local differ
	differ=$(LC_ALL=C comm -3 "$work/$1-auto" "$work/$1-off" | cut -c 1-260 | head -n 6)
	[ -n "$differ" ] && printf '# %s\n' "$differ"
	[ "$(wc -l <"$work/$1-auto")" -gt 2900 ] && cmp -s "$work/$1-auto" "$work/$1-off"
}

forget_neighbours() {
	local i
	for i in 0 1 2; do ns_ip proxy -6 neigh flush dev "pj$i" nud all 2>/dev/null; done
}

lab_up 3
# Nobody is there to answer; what would be said about that does not matter here.
in_ns gateway sysctl -qw net.ipv6.conf.all.forwarding=0
for form in draft-02 draft-06 draft-21 draft-01; do
	for xdp in auto off; do
		forget_neighbours
		check "all-came-out-right-$form-$xdp" feed "$form" "$xdp"
		check "by-engine-$form-$xdp" by_engine "$form" "$xdp"
		check "by-service-$form-$xdp" by_service
		check "stop-$form-$xdp" jpd_stop
	done
	check "same-bytes-$form" same "$form"
done
finish
