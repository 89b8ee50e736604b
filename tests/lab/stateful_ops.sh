#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# Stateful mode where things are not as in a book: a Registrar on this host, on the
# pledges' own link or known by a link-local address; addresses that look alike; limits
# and addresses that change; a jpd that is killed at any moment, finds what a dead one
# left half done, or finds pins that contradict themselves; and no BPF at all.
JPX_LAB=t-stateful-ops
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs bpftool prlimit "$build/tests/crowd" "$build/tests/echo"

registrar=2001:db8:2::52
pledges=8
kills=${JPX_KILLS:-15}

# jpd with a configuration of LINEs; JPX_UNDER, a command to start it under.
jpd_with() { # LINE...
	printf '%s\n' "$@" >"$work/jpd.conf"
	mkdir -p "$run_dir"
	# shellcheck disable=SC2086 # words, or nothing
	spawn proxy jpd ${JPX_UNDER:-} "$build/jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$work/jpd.conf"
	jpd_pid=$spawned
	wait_for has 'jpd: ready$' "$work/jpd.log"
}

jpd_kill() {
	kill -KILL "$jpd_pid" && wait_for ended "$jpd_pid"
	wait "$jpd_pid" 2>/dev/null
	jpd_pid=
}

reload() {
	kill -HUP "$jpd_pid" && wait_for has 'applied again' "$work/jpd.log"
}

echo_start() { # WHO ENDPOINT
	spawn "$1" echo "$build/tests/echo" "$2"
	echo_pid=$spawned
	wait_for has 'echo: listening' "$work/echo.log"
}

# Each of the pledges is answered at the join port of the first service.
answered_all() { # N
	local result want=$(($1 * 3))
	in_ns pledge "$build/tests/crowd" "[$(pj_address pj0)%pl0]:$(join_port pj0 0)" \
		--pledges "$1" --rounds 3 --timeout 3 >"$work/crowd.json" 2>"$work/crowd.log"
	result=$(jq -r '"\(.answered) \(.wrong)"' "$work/crowd.json")
	[ "$result" = "$want 0" ] || { echo "# answered, wrong: $result"; return 1; }
}

answered() {
	answered_all "$pledges"
}

flows() { # JQ-FILTER
	jp --json flows --limit 0 | jq -r "$1"
}

refused() { # TEXT JPCTL-WORD...
	local text=$1
	shift
	! jp "$@" >"$work/refused" 2>&1 && has "$text" "$work/refused"
}

reserved() {
	in_ns proxy cat /proc/sys/net/ipv4/ip_local_reserved_ports
}

no_trace() {
	local rules
	rules=$(ns_ip proxy -6 rule show table 5684; ns_ip proxy rule show table 5684)
	[ -z "$rules" ] || { echo "# $rules"; return 1; }
	[ -z "$(reserved)" ] || { echo "# reserved: $(reserved)"; return 1; }
	[ ! -e "$pin_dir" ] || { echo "# $pin_dir is left"; return 1; }
}

# ---- where the Registrar is -----------------------------------------------------

local_registrar() { # XDP
	echo_start proxy '[2001:db8:1::2]:5684'
	jp attach pj0 --registrar '[2001:db8:1::2]:5684' --mode stateful --join-port 7000 --xdp "$1" \
		>>"$work/attach.log" && answered && jp status >"$work/status" &&
		has 'the Registrar is on this host' "$work/status"
}

link_local_registrar() { # XDP
	local address
	address=$(lab_link_local gateway gw0)
	echo_start gateway "[$address%gw0]:5684"
	attach pj0 --registrar "[$address%up0]:5684" --mode stateful --join-port 7000 --xdp "$1" &&
		answered && [ "$(flows '.flows[0].uplink_address')" = "$(lab_link_local proxy up0)" ]
}

one_armed() { # XDP
	ns_ip pledge addr add 2001:db8:7::52/64 dev pl0
	ns_ip proxy addr add 2001:db8:7::1/64 dev pj0
	echo_start pledge '[2001:db8:7::52]:5684'
	attach pj0 --registrar '[2001:db8:7::52]:5684' --mode stateful --join-port 7000 --xdp "$1" &&
		answered
}

engine_is() { # XDP
	local engine
	engine=$(status '.ports[0].engine')
	[ "$engine" = "$([ "$1" = off ] && echo socket || echo xdp-native)" ] || { echo "# it is $engine"; return 1; }
}

one_armed_over() {
	ns_ip pledge addr del 2001:db8:7::52/64 dev pl0
	ns_ip proxy addr del 2001:db8:7::1/64 dev pj0
}

# Two addresses that differ in what stands in the middle of them only.
alike() { # XDP
	echo_start registrar "[$registrar]:5684"
	attach pj0 --registrar "[$registrar]:5684" --mode stateful --join-port 7000 --xdp "$1" \
		--max-flows 60 --uplink-address 2001:db8:1::2 --uplink-address 2001:db8:9::2 &&
		answered_all 60 && [ "$(flows '[.flows[].uplink_address] | unique | length')" = 2 ]
}

# ---- what changes -----------------------------------------------------------------

other_addresses_are_refused() {
	refused 'from other uplink addresses' attach pj0 --registrar "[$registrar]:5684" \
		--mode stateful --uplink-address 2001:db8:1::2 &&
		attach pj0 --registrar "[$registrar]:5684" --mode stateful \
			--uplink-address 2001:db8:9::2 --uplink-address 2001:db8:1::2
}

says_what_stays() {
	jpd_with 'flows { ports = "20000-20999" max = 100 per-port = 100 }' "registrar a {
		address = \"[$registrar]:5684\" mode = stateful }" 'port pj0 {}'
	wait_for all_serving && answered || return 1
	sed -i 's/20000-20999/21000-21999/; s/max = 100/max = 100000/' "$work/jpd.conf"
	reload
	has 'flows: ports (20000-20999) and max beyond 100 cannot change while the fast path is pinned' \
		"$work/jpd.log" || return 1
	# nor by a restart
	jpd_kill
	jpd_with "$(cat "$work/jpd.conf")"
	has 'flows: ports (20000-20999) and max beyond 100 cannot change' "$work/jpd.log" &&
		[ "$(flows '.limits | "\(.first_port) \(.last_port)"')" = "20000 20999" ] &&
		[ "$(reserved)" = 20000-20999 ] && answered &&
		[ "$(flows '[.flows[].uplink_port | select(. < 20000 or . > 20999)] | length')" = 0 ]
}

# ---- what a dead jpd left -----------------------------------------------------------

# What a pledge port is in the maps: taken away behind everybody's back.
take_port_away() {
	local id=$1 map=$pin_dir/jpx_ports size
	size=$(bpftool -j map show pinned "$map" | jq .bytes_value) || return 1
	# shellcheck disable=SC2046 # numbers
	bpftool map update pinned "$map" key "$id" 0 0 0 value $(yes 0 | head -n "$size")
}

strays_end() {
	jpd_start
	jp registrar add a "[$registrar]:5684" --mode stateful >>"$work/attach.log" && attach pj0 &&
		answered && [ "$(flows .count)" = "$pledges" ] && jpd_kill && take_port_away 1 &&
		[ "$(reserved)" = 16384-32767 ] && jpd_start || return 1
	[ -z "$(reserved)" ] || { echo "# reserved: $(reserved)"; return 1; }
	# The next one has the id of the one that went.
	attach pj1 || return 1
	[ "$(flows .count)" = 0 ] || { echo "# pj1 has flows of pj0's pledges"; return 1; }
}

half_pinned() { # MAP BYTE...: jpd must say that it cannot be, and not die of it
	local map=$1 status=0
	shift
	jpd_start
	attach pj0 --registrar "[$registrar]:5684" --mode stateful || return 1
	jpd_kill
	bpftool map dump pinned "$pin_dir/jpx_$map" -j | jq -r '.[0].value | join(" ")' >"$work/value"
	# shellcheck disable=SC2046 # numbers
	bpftool map update pinned "$pin_dir/jpx_$map" key 0 0 0 0 value "$@" || return 1
	in_ns proxy timeout 5 "$build/jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$work/jpd.conf" >"$work/half.log" 2>&1 || status=$?
	# shellcheck disable=SC2046 # numbers
	bpftool map update pinned "$pin_dir/jpx_$map" key 0 0 0 0 value $(cat "$work/value")
	jpd_start
	[ "$status" = 1 ] && has 'contradicts itself' "$work/half.log" && return 0
	echo "# status $status: $(tail -n 1 "$work/half.log")"
	return 1
}

foreign_map() {
	local status=0
	jpd_start
	attach pj0 --registrar "[$registrar]:5684" --mode stateful || return 1
	jpd_kill
	mv "$pin_dir/jpx_uplinks" "$pin_dir/jpx_kept"
	bpftool map create "$pin_dir/jpx_uplinks" type array key 4 value 4096 entries 64 name jpx_uplinks
	in_ns proxy timeout 5 "$build/jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$work/jpd.conf" >"$work/half.log" 2>&1 || status=$?
	rm "$pin_dir/jpx_uplinks"
	mv "$pin_dir/jpx_kept" "$pin_dir/jpx_uplinks"
	jpd_start
	[ "$status" = 1 ] && has 'one was not made by jpx' "$work/half.log"
}

# What an operator may be doing when jpd dies.
busy() {
	while :; do
		jp attach pj0 --registrar "[$registrar]:5684" --mode stateful --intercept
		jp registrar add b "[$registrar]:5685" --mode stateful --uplink-address 2001:db8:1::2
		jp flows flush
		jp registrar del b
		jp detach pj0
	done >/dev/null 2>&1
}

killed_at_any_moment() {
	local i busy_pid
	for ((i = 0; i < kills; i++)); do
		jpd_start
		busy &
		busy_pid=$!
		sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
		jpd_kill
		kill "$busy_pid"
		wait "$busy_pid" 2>/dev/null
		jpd_start || return 1
		if ! jpd_stop || ! no_trace; then echo "# after $((i + 1)) kills"; return 1; fi
	done
}

# ---- no BPF ---------------------------------------------------------------------------

# More pledges than jpd may have sockets for: they are refused, and jpd can still be asked.
too_few_descriptors() {
	in_ns pledge "$build/tests/crowd" "[$(pj_address pj0)%pl0]:$(join_port pj0 0)" \
		--pledges 60 --rounds 2 --timeout 1 >"$work/crowd.json" 2>&1
	[ "$(stats .drops.flows_full)" -gt 20 ] && [ "$(flows .max)" = 10 ] &&
		wait_for answered_all 1 && ! has 'Too many open files' "$work/jpd.log"
}

no_rules_without_a_relay() {
	attach pj1 --registrar "[$registrar]:5690" --mode stateful --intercept || return 1
	[ -n "$(ns_ip proxy -6 rule show table 5684)" ] || return 1
	stop "$jpd_pid"
	jpd_pid=
	no_trace
}

reload_was_silent() {
	! has 'cannot change' "$work/jpd.log"
}

# ---- others' traffic --------------------------------------------------------------------

# Nobody else's datagrams pay for the raw sockets that flows are sent on: the kernel makes copies
# of those only that go to the address of such a socket.
raw_sockets_hear_nothing() {
	local at
	at=$(in_ns proxy cat /proc/net/raw /proc/net/raw6 | awk '$2 ~ /:0011$/ { print $2 }' | xargs)
	[ "$at" = "080000C0:0011 00000001000000000000000001000000:0011" ] ||
		{ echo "# they are at $at"; return 1; }
}

lab_up 2
crowd_addresses 60 >"$work/addrs"
ns_ip pledge -6 -batch "$work/addrs"
ns_ip proxy addr add 2001:db8:9::2/64 dev up0
ns_ip gateway addr add 2001:db8:9::1/64 dev gw0

check jpd jpd_start
for xdp in auto off; do
	for where in local_registrar link_local_registrar one_armed alike; do
		check "${where//_/-}-$xdp" "$where" "$xdp"
		check "${where//_/-}-$xdp-engine" engine_is "$xdp"
		[ "$where" = alike ] && check "other-addresses-$xdp" other_addresses_are_refused
		jp detach pj0 >>"$work/attach.log" 2>&1
		[ "$where" = one_armed ] && one_armed_over
		stop "$echo_pid"
	done
done
check raw-sockets-hear-nothing raw_sockets_hear_nothing
check stop jpd_stop
check no-trace no_trace

echo_start registrar "[$registrar]:5684"
check says-what-stays says_what_stays
check says-what-stays-stop jpd_stop
check strays-end strays_end
check strays-end-stop jpd_stop
# first_port 16384 and no port behind it, 64 slots
config=(0 0 0 0 0 0 0 0 0 64)
for ((i = 10; i < 64; i++)); do config[i]=0; done
config[44]=64
check half-pinned half_pinned flow_config "${config[@]}"
check half-pinned-stop jpd_stop
check foreign-map foreign_map
check foreign-map-stop jpd_stop
check killed-at-any-moment killed_at_any_moment

pinned=$pin_dir
pin_dir=$work/no-bpffs
JPX_UNDER='prlimit --nofile=40:40' \
	check memory-jpd jpd_with 'flows { ports = "20000-20063" idle = 1 rest = 1 per-port = 100 }'
check memory-attach attach pj0 --registrar "[$registrar]:5684" --mode stateful
check memory-too-few-descriptors too_few_descriptors
check memory-reload reload
check memory-reload-is-silent reload_was_silent
check memory-no-rules-without-a-relay no_rules_without_a_relay
pin_dir=$pinned
finish
