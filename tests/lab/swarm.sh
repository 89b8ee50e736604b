#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# Hundreds of pledges enrol at once through the proxy, statelessly and statefully, and over links that lose
# a tenth of all datagrams: each of them ends with exactly one certificate, by XDP, and nothing is left.
#
#   JPX_SWARM    how many (200)
JPX_LAB=t-swarm
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
needs openssl "$build/jpledge" "$build/tests/lossy"
registrar=2001:db8:2::52
# A guest that is slower than its host is no place for a crowd.
pledges=${JPX_SWARM:-$((${JPX_PATIENCE:-1} > 1 ? 40 : 200))}
conf="$quiet
flows { per-port = $((2 * pledges)) }
port pj0 {}
registrar stateless { address = \"[$registrar]:7634\" jpy = draft-21 }
registrar stateful { address = \"[$registrar]:5684\" mode = stateful }"

proxy_up() {
	jpd_start "$conf" && wait_for all_serving
}

# The kernel's table of neighbours is small where nobody made it larger.
room_for_neighbours() {
	local who n
	for who in pledge proxy; do
		for n in 1 2 3; do in_ns "$who" sysctl -qw "net.ipv6.neigh.default.gc_thresh$n=$((4 * pledges * n))" 2>/dev/null; done
	done
	return 0
}

swarm() { # SERVICE FIRST OPTION...
	local port service=$1 first=$2
	shift 2
	port=$(status ".services[] | select(.name == \"$service\") | .join_port")
	in_ns pledge timeout 400 "$build/jpledge" swarm --proxy "[$(pj_address pj0)%pl0]:$port" --identities "$work/makers" \
		--ca "$work/state/ca.pem" --first "$first" --count "$pledges" --json "$@" >"$work/$service.json" 2>"$work/swarm.log"
	local ret=$?
	jq -r '"# \(.enrolled) of \(.pledges) in \(.seconds * 10 | round / 10) s, \(.at_once) at once; handshakes p50 \(.handshake_ms.p50) ms, enrolments p50 \(.enrolment_ms.p50), p99 \(.enrolment_ms.p99), most \(.enrolment_ms.max) ms; again: \(.retransmissions); \(.reasons)"' \
		"$work/$service.json"
	[ $ret = 0 ] && [ "$(jq .enrolled "$work/$service.json")" = "$pledges" ]
}

# one_each FIRST: of those from FIRST on
one_each() {
	local got
	got=$("$build/jpreg" issued --state-dir "$work/state" --json |
		jq -r --argjson first "$1" --argjson last $(($1 + pledges - 1)) '[.issued[].subject | ltrimstr("serialNumber=") | rtrimstr(",O=jpledge") | tonumber
			| select(. >= $first and . <= $last)] | "\(length) \(unique | length)"')
	[ "$got" = "$pledges $pledges" ] || { echo "# certificates and pledges: $got"; return 1; }
}

by_xdp() {
	[ "$(stats .fast_path.packets)" -gt $((pledges * 10)) ] && [ "$(stats .socket.packets)" -lt $((pledges / 2)) ] && return 0
	echo "# $(stats .fast_path.packets) by XDP, $(stats .socket.packets) by sockets"
	return 1
}

addresses_gone() {
	[ "$(ns_ip pledge -6 addr show dev pl0 | grep -c 'fe80::5a')" = 0 ]
}

lossy() { # at both far ends; XDP's own links are not its business
	spawn pledge lossy1 "$build/tests/lossy" pl0 --loss 10 --reorder 0
	lossy1=$spawned
	spawn registrar lossy2 "$build/tests/lossy" rg0 --loss 10 --reorder 0
	lossy2=$spawned
	wait_for has 'lossy: on' "$work/lossy1.log" && wait_for has 'lossy: on' "$work/lossy2.log"
}

lost_some() {
	stop "$lossy1" && stop "$lossy2" || return 1
	grep -h '^{' "$work"/lossy[12].log | sed 's/^/# /'
	[ "$(cat "$work"/lossy[12].log | sed -n 's/.*"lost":\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n }')" -gt "$pledges" ]
}

lab_up 2
room_for_neighbours
check mint "$build/jpledge" mint "$work/makers" --count $((3 * pledges))
check serves serve
check proxy proxy_up
check stateless swarm stateless 1 --rate 1000
check stateless-one-each one_each 1
check stateful swarm stateful $((pledges + 1)) --rate 1000
check stateful-one-each one_each $((pledges + 1))
check by-xdp by_xdp
check addresses-gone addresses_gone
check no-drops no_drops
# Over several ports by turns, each on an interface of its own.
two_ports() {
	jpd_stop
	conf+="
port pj1 {}"
	proxy_up || return 1
	port=$(status '.services[] | select(.name == "stateless") | .join_port')
	in_ns pledge timeout 100 "$build/jpledge" swarm --proxy "[$(pj_address pj0)%pl0]:$port" --proxy "[$(pj_address pj1)%pl1]:$port" \
		--identities "$work/makers" --count 20 --json >"$work/two.json" 2>"$work/swarm.log" && [ "$(jq .enrolled "$work/two.json")" = 20 ] && by_port
}

by_port() { # about the same for each
	local each
	mapfile -t each < <(stats '.ports[].to_registrar.packets')
	[ "${#each[@]}" = 2 ] && [ "${each[0]}" -ge 50 ] && [ "${each[1]}" -ge 50 ] && return 0
	stats '.ports' | sed 's/^/# /'
	return 1
}
check two-ports two_ports
check lossy lossy
check lossy-swarm swarm stateless $((2 * pledges + 1)) --rate 100
check lossy-one-each one_each $((2 * pledges + 1))
check lost-some lost_some
# Of ten round trips nearly two are lost, and each handshake has three of them, each enrolment some more.
sent_again() {
	jq -e --argjson some $((pledges / 4)) '.retransmissions | .handshake >= $some and .coap >= $some' "$work/stateless.json" >/dev/null
}
check sent-again sent_again
finish
