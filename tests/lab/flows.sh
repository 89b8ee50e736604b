#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2016,SC2317,SC2154 # jq has variables, too; called through check; crowd_begin
#
# Stateful mode against bad input and over time: scans and floods, answers from the wrong
# places, sockets of the proxy's own host, limits and timers, jpd that is killed, uplinks
# that come and go.  "xdp" is the fast path, "socket" jpd over the same flows, "plain" jpd
# without BPF, where each flow has a socket.
#
#   flows.sh [GROUP...]    only these groups of checks
#
# Most of the time goes by waiting for flows to end, so some groups run side by side, each
# in a lab of its own (JPX_FLOWS_PART).
JPX_LAB=t-flows${JPX_FLOWS_PART:-}
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/crowd" "$build/tests/echo" "$build/tests/flow_cases" "$build/tests/flow_tool" \
	bpftool chrt taskset

registrar="[2001:db8:2::52]:5684"
crowd_size=100
pins=$pin_dir
reserved=net.ipv4.ip_local_reserved_ports

# ---- parts --------------------------------------------------------------------------

# flow_jpd ENGINE CONFIG [OPTION...]: jpd and pj0 with the one service.
flow_jpd() {
	local engine=$1 xdp=off
	echo "flows { $2 }" >"$work/jpd.conf"
	shift 2
	[ "$engine" = xdp ] && xdp=auto
	pin_dir=$pins
	[ "$engine" = plain ] && pin_dir=$work/no-bpffs
	jpd_run || return 1
	attach pj0 --registrar "$registrar" --mode stateful --xdp "$xdp" "$@"
}

jpd_run() { # as jpd_start, with the file as it is
	mkdir -p "$run_dir"
	spawn proxy jpd "$jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" --config "$work/jpd.conf"
	jpd_pid=$spawned
	wait_for has 'jpd: ready$' "$work/jpd.log"
}

jpd_kill() { # as nothing should end it
	local pid=$jpd_pid
	jpd_pid=''
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	true
}

reload() { # CONFIG: of the flows
	echo "flows { $1 }" >"$work/jpd.conf"
	: >"$work/jpd.log"
	kill -HUP "$jpd_pid"
	wait_for has 'applied again, 0 items failed' "$work/jpd.log"
}

echo_start() { # PREFIX...: of the command
	[ -z "$echo_pid" ] || stop "$echo_pid" # a failed test's
	spawn registrar echo "$@" "$build/tests/echo" "[::]:5684"
	echo_pid=$spawned
	wait_for has 'echo: listening' "$work/echo.log"
}

# Its account is in $work/echo.json.
echo_stop() {
	local pid=$echo_pid
	echo_pid=''
	stop "$pid" && grep '^{' "$work/echo.log" | tail -n 1 >"$work/echo.json"
}

target() { # as pledges call it
	echo "[$(pj_address pj0)%pl0]:$(join_port pj0 0)"
}

# crowd OPTION...: its account is in $work/crowd.json.
crowd() {
	in_ns pledge timeout 60 "$build/tests/crowd" "$@" "$(target)" >"$work/crowd.json" \
		2>"$work/crowd.log" || return 1
	sed 's/^/# /' "$work/crowd.json"
}

# crowd_begin NAME OPTION...: in the background; crowd_end NAME waits for it.
crowd_begin() {
	local name=$1
	shift
	spawn pledge "$name" timeout 60 "$build/tests/crowd" "$@" "$(target)"
	declare -g "crowd_$name=$spawned"
}

crowd_end() {
	local pid=crowd_$1
	wait "${!pid}"
	cp "$work/$1.log" "$work/crowd.json"
	sed 's/^/# /' "$work/crowd.json"
}

it() { # JQ-FILTER: true of what crowd says?
	jq -e "$1" "$work/crowd.json" >/dev/null
}

echo_says() { # JQ-FILTER
	jq -e "$1" "$work/echo.json" >/dev/null || { sed 's/^/# /' "$work/echo.json"; return 1; }
}

lost_nothing='.answered == .sent and .served == .sockets and .duplicate == 0 and .wrong == 0 and
	.refused == {}'

tool() { # WHO VERB...
	local who=$1
	shift
	in_ns "$who" "$build/tests/flow_tool" "$@"
}

cases() { # CASE FIRST COUNT
	in_ns proxy timeout 60 "$build/tests/flow_cases" "$1" "$lab" "$run_dir" "$pin_dir" "$2" "$3"
}

table() { # JQ-FILTER: over the slots that are not free
	tool proxy table "$pin_dir" | jq -r "$1"
}

live() {
	table '[.[] | select(.state == "live")] | length'
}

drops() { # REASON
	stats ".drops.$1"
}

is() { # VALUE COMMAND...: the command prints exactly that
	local want=$1 got
	shift
	got=$("$@")
	[ "$got" = "$want" ] || { echo "# $* gives \"$got\" and not \"$want\""; return 1; }
}

addresses() { # crowd --batch OPTION...
	"$build/tests/crowd" --batch pl0 "$@" >"$work/batch" && ns_ip pledge -batch "$work/batch"
}

# The same way, for a Registrar that has IPv4 only.
lab_ipv4() {
	ns_ip proxy addr add 192.0.2.2/24 dev up0
	ns_ip gateway addr add 192.0.2.1/24 dev gw0
	ns_ip gateway addr add 198.51.100.1/24 dev gw1
	ns_ip registrar addr add 198.51.100.52/24 dev rg0
	ns_ip proxy route add default via 192.0.2.1
	ns_ip registrar route add default via 198.51.100.1
	in_ns gateway sysctl -qw net.ipv4.ip_forward=1
}

# ---- answers from the wrong places; timers; both engines ---------------------------------

group_answers() {
	local e
	for e in xdp socket plain; do
		check "answers-jpd-$e" flow_jpd "$e" 'ports = "30000-30015"'
		check "answers-$e" cases answers 30000 16
		check "answers-stop-$e" jpd_stop
	done
}

killed_timers() {
	local pid status
	spawn proxy timers timeout 60 "$build/tests/flow_cases" timers "$lab" "$run_dir" "$pin_dir" 30000 4
	pid=$spawned
	sleep 0.5
	jpd_kill
	wait "$pid"
	status=$?
	cat "$work/timers.log"
	return "$status"
}

# again_if_slow COMMAND...: once more if nothing could be said; by then all is over and has rested.
again_if_slow() {
	local status
	"$@"
	status=$?
	[ "$status" = 3 ] || return "$status"
	sleep 5.5
	[ -n "$jpd_pid" ] || jpd_run || return 1
	"$@"
}

group_timers() {
	local e
	for e in xdp socket plain; do
		check "timers-jpd-$e" flow_jpd "$e" 'ports = "30000-30003" idle = 2 rest = 2'
		check "timers-$e" again_if_slow cases timers 30000 4
		check "timers-stop-$e" jpd_stop
	done
	check timers-jpd-killed flow_jpd xdp 'ports = "30000-30003" idle = 2 rest = 2'
	check timers-killed again_if_slow killed_timers
	check timers-jpd-again jpd_run
	check timers-stop-killed jpd_stop
}

group_engines() {
	check engines-jpd flow_jpd xdp 'ports = "30000-30015"'
	lab_mtu 1280
	check engines cases engines 30000 16
	lab_mtu 1500
	check engines-stop jpd_stop
}

lab_mtu() { # of the pledges' link and of what the Registrar sends
	ns_ip pledge link set pl0 mtu "$1"
	ns_ip proxy link set pj0 mtu "$1"
	ns_ip registrar route change default via 2001:db8:2::1 mtu "$1"
}

# ---- the proxy's own sockets -------------------------------------------------------------

# hold HOW PORT [ADDR]: until release PORT.
hold() {
	spawn proxy "hold-$2" "$build/tests/flow_tool" hold "$1" up0 "${3:-2001:db8:1::2}" "$2"
	declare -g "holder_$2=$spawned"
	wait_for has holding "$work/hold-$2.log"
}

release() { # PORT...
	local port pid
	for port in "$@"; do
		pid=holder_$port
		stop "${!pid}"
		unset "$pid"
	done
	true
}

# Of the 8 ports only those are used, and then a newcomer is refused.
only_ports() { # WANT CROWD-OPTION...: WANT is a list of ports in order
	local want=$1 count refused
	shift
	count=$(wc -w <<<"$want")
	refused=$(drops no_uplink_port)
	echo_start && crowd --pledges 8 --timeout 1 "$@" && echo_stop || return 1
	refused=$(($(drops no_uplink_port) - refused))
	echo "# $refused refused"
	it ".served == $count and .wrong == 0" && echo_says ".pairs == $count and .collisions == 0" &&
		[ "$refused" = $((8 - count)) ] && is "$want" used_ports
}

used_ports() {
	if [ "$pin_dir" = "$pins" ]; then
		table '[.[] | select(.state == "live") | .uplink_port] | sort | map(tostring) | join(" ")'
	else
		in_ns proxy ss -Hlunp 'sport >= 30000 and sport <= 30007' |
			sed -n 's/.*:\(3000[0-7]\) .*"jpd".*/\1/p' | sort | xargs
	fi
}

reserved_are() { # RANGES
	is "$1" in_ns proxy sysctl -n "$reserved"
}

# The kernel's ports are ours and few more: it gives those more, and none of ours.
none_of_ours() {
	local before chosen
	before=$(in_ns proxy sysctl -n net.ipv4.ip_local_port_range)
	in_ns proxy sysctl -qw net.ipv4.ip_local_port_range="29990 30009"
	chosen=$(tool proxy choose 20 | sort -n | xargs)
	in_ns proxy sysctl -qw net.ipv4.ip_local_port_range="$before"
	is "29990 29991 29992 29993 29994 29995 29996 29997 29998 29999 30008 30009" echo "$chosen"
}

# Some other program took the port of a flow: it is its own, ten seconds later at most.
taken_later() { # PORT
	wait_for no_flow_on "$1" && tool registrar send 2001:db8:2::52 5684 2001:db8:1::2 "$1" &&
		wait_for has '^got' "$work/hold-$1.log" && no_flow_on "$1"
}

no_flow_on() { # PORT
	[ "$(table "[.[] | select(.state == \"live\" and .uplink_port == $1)] | length")" = 0 ]
}

restored_after_kill() {
	jpd_kill
	reserved_are "12345,30000-30007" && jpd_run && jp detach pj0 >>"$work/attach.log" 2>&1 &&
		reserved_are 12345
}

hold_six() { # HOW... for 30000 and so on
	local port=30000 how
	for how; do
		hold "$how" "$port" "$address" || return 1
		port=$((port + 1))
	done
}

group_ports() {
	local e address=2001:db8:1::2
	in_ns proxy sysctl -qw "$reserved=12345"
	for e in xdp socket plain; do
		hold_six any address device connected any6 any4
		check "ports-jpd-$e" flow_jpd "$e" 'ports = "30000-30007" idle = 60 rest = 1'
		# The wildcard of IPv4 keeps nobody from an IPv6 address.
		check "ports-of-sockets-$e" only_ports "30005 30006 30007"
		if [ "$e" != plain ]; then
			check "ports-reserved-$e" reserved_are "12345,30000-30007"
			check "ports-not-handed-out-$e" none_of_ours
			hold any 30006
		fi
		release 30000 30001 30002 30003 30004 30005
		[ "$e" = plain ] || check "ports-taken-later-$e" taken_later 30006
		[ "$e" = plain ] || release 30006
		reload 'ports = "30000-30007" idle = 1 rest = 1'
		sleep 3.5
		reload 'ports = "30000-30007" idle = 60 rest = 1'
		check "ports-released-$e" only_ports "$(ports_but_taken)" --base fe80::c:0:20
		if [ "$e" = xdp ]; then
			check "ports-restored-after-kill-$e" restored_after_kill
		elif [ "$e" = socket ]; then
			jp detach pj0 >>"$work/attach.log" 2>&1
			check "ports-restored-$e" reserved_are 12345
		fi
		check "ports-stop-$e" jpd_stop
	done
	registrar=198.51.100.52:5684
	address=192.0.2.2
	for e in xdp socket; do
		hold_six any4 address device connected any any6
		check "ports-jpd-ipv4-$e" flow_jpd "$e" 'ports = "30000-30007" idle = 60'
		check "ports-of-sockets-ipv4-$e" only_ports "30005 30006 30007"
		release 30000 30001 30002 30003 30004 30005
		check "ports-stop-ipv4-$e" jpd_stop
	done
	registrar="[2001:db8:2::52]:5684"
}

# Until jpd looks for sockets again it does not know that 30006 is free.
ports_but_taken() {
	if [ "$e" = plain ]; then
		echo "30000 30001 30002 30003 30004 30005 30006 30007"
	else
		echo "30000 30001 30002 30003 30004 30005 30007"
	fi
}

# ---- scans and floods --------------------------------------------------------------------

# flood OPTION...: from the pledges' side; its account is in $work/flood.json.
flood() {
	tool pledge flood --mac "$(lab_mac proxy "pj$flood_port")" "$@" "pl$flood_port" \
		"$(pj_address "pj$flood_port")" "$(join_port "pj$flood_port" 0)" >"$work/flood.json" 2>"$work/flood.log" || return 1
	sed 's/^/# flood: /' "$work/flood.json"
}

flood_says() { # JQ-FILTER
	jq -e "$1" "$work/flood.json" >/dev/null
}

# All that is there of us: jpd's memory in kB, and the maps' in bytes.
memory() {
	local map
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$jpd_pid/status"
	for map in "$pin_dir"/*; do bpftool -j map show pinned "$map"; done |
		jq -s 'map(.bytes_memlock) | add'
}

# jpd may have grown by this: its tables of the network churn, and malloc keeps what it was given.
slack_kb=128

same_memory() { # BEFORE
	local before after
	mapfile -t before <<<"$1"
	mapfile -t after < <(memory)
	echo "# jpd has $((after[0] - before[0])) kB more than ${before[0]}," \
		"the maps $((after[1] - before[1])) bytes more than ${before[1]}"
	[ $((after[0] - before[0])) -le "$slack_kb" ] && [ "${after[1]}" = "${before[1]}" ]
}

# All 65535 source ports of one address: 2 are served, the others are counted; nobody else notices.
scan() {
	local before counted most=65533
	[ "$e" = xdp ] || most=20000
	before=$(drops flows_per_pledge)
	echo_start || return 1
	crowd_begin others --pledges 20 --rounds 200 --rate 2000 --base fe80::c:0:20
	sleep 0.2
	flood --ports $((most + 2)) --rate "$rate" --base fe80::c:0:2 --pin-dir "$pin_dir" &&
		crowd_end others && echo_stop || return 1
	counted=$(($(drops flows_per_pledge) - before))
	echo "# $counted refused"
	it "$lost_nothing" && [ "$counted" = "$most" ] && echo_says ".pairs == 22 and .collisions == 0" &&
		flood_says ".most <= 22" &&
		is 2 table '[.[] | select(.state == "live" and .pledge == "0000000c00000002")] | length'
}

# Random pledges fill the table; those who were there before lose nothing.
full() { # BOUND FRAMES REASON
	local bound=$1 frames=$2 reason=$3 before counted had ret=0 lost=$lost_nothing
	# With the socket engine they share the kernel's table of neighbours with the flood, which nearly
	# fills it: one datagram in a thousand may be lost there.
	[ "$rate" -ge 100000 ] || lost=${lost/.answered == .sent/.answered * 1000 >= .sent * 999}
	before=$(drops "$reason")
	echo_start || return 1
	crowd_begin others --pledges 50 --rounds 150 --rate 1500
	wait_for live_are 50 || return 1
	# All memory that a flood takes is taken by this.
	flood --random 3000 --seed 7 --rate "$rate" || return 1
	had=$(memory)
	alive "$crowd_others" || { echo "# the crowd was too quick"; ret=1; }
	flood --random "$frames" --rate "$rate" --pin-dir "$pin_dir" || return 1
	neighbours_seen
	crowd_end others && echo_stop || return 1
	counted=$(($(drops "$reason") - before))
	echo "# $counted refused"
	same_memory "$had" || ret=1
	it "$lost" && flood_says ".most == $bound" && is "$bound" live &&
		is "$bound" counter && [ "$counted" = $((frames + 3000 + 50 - bound)) ] &&
		echo_says '.collisions == 0' && [ "$ret" = 0 ]
}

live_are() { # COUNT
	[ "$(live)" = "$1" ]
}

counter() { # as the limit is held against
	bpftool -j map lookup pinned "$pin_dir/jpx_flow_counts" key 0 0 0 0 | jq .formatted.value
}

# The kernel has one table of neighbours for all namespaces, of gc_thresh3 (1024) entries.
neighbours_seen() {
	local n
	n=$(ns_ip proxy -6 neigh show dev pj0 nud all | awk '{ print $NF }' | sort | uniq -c | xargs)
	echo "# neighbours on pj0: ${n:-none}"
}

group_flood() {
	local e rate frames
	for e in xdp socket; do
		rate=200000 frames=200000
		[ "$e" = xdp ] || rate=12000 frames=24000
		check "flood-jpd-$e" flow_jpd "$e" 'per-port = 100'
		check "scan-$e" scan
		check "flood-stop-$e" jpd_stop
		check "flood-jpd-max-flows-$e" flow_jpd "$e" 'per-port = 100' --max-flows 1000
		check "flood-max-flows-$e" full 1000 "$frames" flows_per_port
		check "flood-stop-max-flows-$e" jpd_stop
		check "flood-jpd-max-$e" flow_jpd "$e" 'per-port = 100000 max = 800'
		check "flood-max-$e" full 800 "$frames" flows_full
		check "flood-stop-max-$e" jpd_stop
	done
}

# ---- jpd comes and goes ---------------------------------------------------------------------

# One right checksum in 65535 looks like one that was left to hardware, and is handed off to jpd;
# if there is none, that one is lost.  No others.
lost_without_jpd() { # HANDED-OFF-BEFORE
	it "(.sent - .answered) <= ($(handoffs checksum_partial) - $1) and .served == .sockets and
		.duplicate == 0 and .wrong == 0 and .refused == {}"
}

handoffs() { # REASON
	stats ".handoffs.$1"
}

# Those that talk lose nothing, those that are silent find their flows again, on the same ports.
survives_restarts() {
	local i partial
	partial=$(handoffs checksum_partial)
	echo_start || return 1
	crowd_begin talking --pledges 20 --rounds 200 --rate 800
	crowd_begin silent --pledges 20 --hold 4 --base fe80::c:0:20
	wait_for live_are 40 || return 1
	jpd_kill
	sleep 0.5
	for i in 1 2 3 4 5 6 7 8 9 10; do
		jpd_run || return 1
		sleep "0.0$((i * 9 % 10))"
		jpd_kill
	done
	jpd_run || return 1
	# An upgrade: the old one ends in peace, and another file is begun.
	stop "$jpd_pid" || return 1
	cp "$build/jpd" "$work/jpd-new" && jpd=$work/jpd-new && jpd_run || return 1
	alive "$crowd_talking" || { echo "# the crowd was too quick"; return 1; }
	crowd_end talking && lost_without_jpd "$partial" && crowd_end silent && it "$lost_nothing" &&
		it '.after_hold == { sent: 20, answered: 20 }' && echo_stop &&
		echo_says '.pairs == 40 and .collisions == 0'
}

flows_survive_restart() {
	echo_start || return 1
	crowd_begin silent --pledges 20 --hold 2
	wait_for live_are 20 || return 1
	jpd_kill
	jpd_run && wait_for all_serving && crowd_end silent && it "$lost_nothing" &&
		it '.after_hold == { sent: 20, answered: 20 }' && echo_stop &&
		echo_says '.pairs == 20 and .collisions == 0'
}

opens_without_jpd() {
	local partial
	partial=$(handoffs checksum_partial)
	echo_start && jpd_kill
	crowd --pledges 10 --rounds 3 --base fe80::c:0:30 && lost_without_jpd "$partial" && echo_stop &&
		echo_says '.pairs == 10 and .collisions == 0' && jpd_run
}

group_restart() {
	check restart-jpd-xdp flow_jpd xdp 'per-port = 100'
	check restart-opens-without-jpd opens_without_jpd
	check restart-stop-first jpd_stop
	check restart-jpd-xdp-again flow_jpd xdp 'per-port = 100'
	check restart-keeps-flows-xdp survives_restarts
	jpd=$build/jpd
	check restart-stop-xdp jpd_stop
	check restart-jpd-socket flow_jpd socket 'per-port = 100'
	check restart-keeps-flows-socket flows_survive_restart
	check restart-stop-socket jpd_stop
}

# ---- limits that change -----------------------------------------------------------------

served() { # COUNT CROWD-OPTION...
	local count=$1
	shift
	crowd --timeout 1 "$@" && it ".served == $count and .answered == $count"
}

flows_end() { # MS: all of them, and not later
	local start n
	start=$(date +%s%N)
	wait_for none_lives
	n=$((($(date +%s%N) - start) / 1000000))
	echo "# after $n ms"
	[ "$n" -lt "$1" ]
}

none_lives() { # without BPF: has a socket that does not rest
	if [ "$pin_dir" = "$pins" ]; then
		live_are 0
	else
		[ "$(in_ns proxy ss -Hlun 'sport >= 16384 and sport <= 32767' | wc -l)" = 0 ]
	fi
}

group_limits() {
	local e
	for e in xdp plain; do
		check "limits-jpd-$e" flow_jpd "$e" 'per-port = 4 idle = 60'
		echo_start
		check "limits-per-port-$e" served 4 --pledges 6
		reload 'per-port = 9 idle = 60'
		check "limits-per-port-changed-$e" served 5 --pledges 6 --base fe80::c:0:10
		reload 'per-port = 100 max = 12 idle = 60'
		check "limits-max-changed-$e" served 3 --pledges 6 --base fe80::c:0:18
		reload 'idle = 60 per-port = 100'
		check "limits-per-pledge-$e" served 2 --per-pledge 4 --base fe80::c:0:20
		reload 'idle = 60 per-port = 100 per-pledge = 5'
		check "limits-per-pledge-changed-$e" served 5 --per-pledge 7 --base fe80::c:0:21
		reload 'idle = 1 rest = 1'
		# Without BPF sockets are all that is to be seen: they rest, too.
		check "limits-idle-changed-$e" flows_end "$([ "$e" = plain ] && echo 4500 || echo 2500)"
		reload 'idle = 1 ports = "40000-40009"'
		check "limits-ports-cannot-change-$e" has 'ports ([0-9]*-[0-9]*) cannot change' "$work/jpd.log"
		echo_stop
		check "limits-stop-$e" jpd_stop
	done
}

# ---- a large table that ends all at once ---------------------------------------------------

large_jpd() {
	local i
	for i in 2 3 4 5 6 7 8 9 a b c d; do
		ns_ip proxy addr replace "2001:db8:1::$i/64" dev up0 nodad
		from+=(--uplink-address "2001:db8:1::$i")
	done
	flow_jpd xdp "$large" "${from[@]}" && attach_pj1
}

attach_pj1() {
	attach pj1 --registrar "$registrar" --mode stateful "${from[@]}"
}

detach_pj1() {
	jp detach pj1 >>"$work/attach.log" 2>&1
}

# All flows end by ACTION but those of a steady pledge on each CPU, and no answer is late for it.
ends_without_a_pause() { # PLEDGES ACTION...
	local pledges=$1 start ms cpu cpus pids_of=()
	shift
	cpus=$(nproc)
	reload "$large idle = 1" && wait_for counter_is 0 && reload "$large idle = 600" &&
		attach_pj1 || return 1
	flood_port=1 flood --sources "$pledges" --ports 8 --base fe80::d:0:1 || return 1
	[ "$(counter)" -ge $((pledges * 79 / 10)) ] || { echo "# $(counter) flows"; return 1; }
	echo_start chrt -f 20 || return 1
	for ((cpu = 0; cpu < cpus; cpu++)); do
		spawn pledge "steady-$cpu" taskset -c "$cpu" "$build/tests/flow_tool" steady --ms 4000 \
			"$(target)"
		pids_of+=("$spawned")
	done
	sleep 1
	start=$(date +%s%N)
	"$@" && wait_for counter_is "$cpus" || return 1
	ms=$((($(date +%s%N) - start) / 1000000))
	wait "${pids_of[@]}"
	echo_stop
	for ((cpu = 0; cpu < cpus; cpu++)); do cat "$work/steady-$cpu.log"; done >"$work/crowd.json"
	echo "# all had ended after $ms ms"
	sed 's/^/# steady: /' "$work/crowd.json"
	# Each of its ten figures is for 400 ms; what is late before or after has another cause.
	jq -se "all(.sent == .answered and (.worst_us[2:$((2 + (ms + 599) / 400))] | max) < 50000)" \
		"$work/crowd.json" >/dev/null &&
		[ "$ms" -lt 2500 ] && echo_says ".pairs == $cpus"
}

counter_is() {
	[ "$(counter)" = "$1" ]
}

# What takes long only now and then is some other program of this machine.
at_least_once() { # COMMAND...
	"$@" || "$@" || "$@"
}

group_large() {
	local large='max = 500000 ports = "10000-65535" per-port = 500000 per-pledge = 8 rest = 1'
	local from=() i
	check large-jpd large_jpd
	check large-expires-without-a-pause at_least_once ends_without_a_pause 62000 \
		reload "$large idle = 1"
	check large-detached-without-a-pause at_least_once ends_without_a_pause 30000 detach_pj1
	check large-stop jpd_stop
	for i in 3 4 5 6 7 8 9 a b c d; do ns_ip proxy addr del "2001:db8:1::$i/64" dev up0; done
}

# ---- several uplink addresses ----------------------------------------------------------------

three_uplinks() { # ENGINE PORTS
	flow_jpd "$1" "ports = \"$2\" per-port = 100" --uplink-address 2001:db8:1::2 \
		--uplink-address 2001:db8:1::3 --uplink-address 2001:db8:1::4
}

by_uplink() { # JQ-FILTER over the flows of one address
	table "[.[] | select(.state == \"live\")] | group_by(.uplink) | map($1) | join(\" \")"
}

# Each port of each address once, and no more.
uplinks_all_used() {
	echo_start && crowd --pledges 30 --timeout 1 && echo_stop && it '.served == 24' &&
		echo_says '.pairs == 24 and .collisions == 0' && is "8 8 8" by_uplink 'length | tostring' &&
		is 6 drops no_uplink_port
}

on_uplink() { # ADDR
	table "[.[] | select(.state == \"live\" and .uplink == \"$1\")] | length"
}

none_on_uplink() {
	[ "$(on_uplink "$1")" = 0 ]
}

# One address goes: its flows end, and are opened anew elsewhere; the others' are as they were.
uplink_goes_and_comes() {
	local others='[.[] | select(.state == "live" and .uplink != "2001:db8:1::3") | [.slot, .pledge, .udp_port]] | sort'
	local before after
	echo_start || return 1
	# By chance none of them is on that address once in 190000 times.
	crowd_begin talking --pledges 30 --rounds 80 --rate 800
	wait_for live_are 30 || return 1
	echo "# $(by_uplink '.[0].uplink + ": " + (length | tostring)')"
	before=$(table "$others")
	none_on_uplink 2001:db8:1::3 && { echo "# by chance none is on it"; return 1; }
	ns_ip proxy addr del 2001:db8:1::3/64 dev up0
	wait_for none_on_uplink 2001:db8:1::3 || { echo "# its flows live on"; return 1; }
	sleep 0.3
	echo "# $(by_uplink '.[0].uplink + ": " + (length | tostring)')"
	after=$(table "$others")
	# Nothing of what was there has changed.
	[ "$(jq -n --argjson a "$before" --argjson b "$after" '$a - $b | length')" = 0 ] ||
		{ echo "# others' flows are gone"; return 1; }
	crowd_end talking && echo_stop || return 1
	# Those that stayed on the other addresses lost nothing.
	is 0 table "[.[] | select([.slot, .pledge, .udp_port] as \$f | $before | index([\$f])) |
		select(.to_registrar != .to_pledge)] | length" || return 1
	it '.served == 30' && echo_says '.collisions == 0' || return 1
	ns_ip proxy addr add 2001:db8:1::3/64 dev up0 nodad
	echo_start || return 1
	sleep 0.3 # until jpd has heard of it
	crowd --pledges 30 --timeout 1 --base fe80::c:0:20 && it '.served == 30' && echo_stop || return 1
	none_on_uplink 2001:db8:1::3 && { echo "# it is not used again"; return 1; }
	return 0
}

group_uplinks() {
	local e
	ns_ip proxy addr add 2001:db8:1::3/64 dev up0 nodad
	ns_ip proxy addr add 2001:db8:1::4/64 dev up0 nodad
	for e in xdp socket; do
		check "uplinks-jpd-$e" three_uplinks "$e" 30000-30007
		check "uplinks-all-used-$e" uplinks_all_used
		check "uplinks-stop-first-$e" jpd_stop
		check "uplinks-jpd-again-$e" three_uplinks "$e" 30000-30031
		check "uplinks-one-goes-and-comes-$e" uplink_goes_and_comes
		check "uplinks-stop-$e" jpd_stop
	done
	ns_ip proxy addr del 2001:db8:1::3/64 dev up0
	ns_ip proxy addr del 2001:db8:1::4/64 dev up0
}

# ---- what flows hang on is taken away -----------------------------------------------------------

# around CASE ACTION...: the case of flow_cases, with the action in its middle.
around() {
	local case=$1 pid status
	shift
	rm -f "$work/around.in"
	mkfifo "$work/around.in"
	: >"$work/around.log"
	nsenter --net="/run/netns/$lab-proxy" timeout 60 "$build/tests/flow_cases" "$case" "$lab" \
		"$run_dir" "$pin_dir" 16384 16384 <"$work/around.in" >>"$work/around.log" 2>&1 &
	pid=$!
	pids+=("$pid")
	exec 7>"$work/around.in"
	wait_for has '^opened' "$work/around.log" && "$@" >"$work/action.log" 2>&1
	status=$?
	[ "$status" = 0 ] && echo go >&7
	exec 7>&-
	wait "$pid" && [ "$status" = 0 ]
	status=$?
	grep '^#' "$work/around.log"
	return "$status"
}

attach_again() {
	jp detach pj0 && attach pj0 --registrar "$registrar" --mode stateful --xdp "$xdp"
}

# The same ids and join port, for one or another Registrar; another service stays.
registrar_again() { # REGISTRAR
	jp registrar del main && jp registrar add main "$1" --mode stateful --xdp "$xdp" && all_serving
}

by_name() { # ENGINE
	flow_jpd "$1" '' && jp detach pj0 >>"$work/attach.log" &&
		jp registrar add main "$registrar" --mode stateful --xdp "$xdp" >>"$work/attach.log" &&
		jp registrar add stays '[2001:db8:2::53]:5685' --mode stateful --xdp "$xdp" \
			>>"$work/attach.log" &&
		attach pj0 --xdp "$xdp" && attach pj1 --xdp "$xdp"
}

# The service and its uplink stay, for another port.
two_ports() { # ENGINE
	flow_jpd "$1" '' && attach pj1 --registrar "$registrar" --mode stateful --xdp "$xdp"
}

uplink_replaced() {
	ns_ip proxy link del up0
	lab_link proxy up0 gateway gw0
	ns_ip proxy addr add 2001:db8:1::2/64 dev up0
	ns_ip gateway addr add 2001:db8:1::1/64 dev gw0
	ns_ip proxy route add default via 2001:db8:1::1
	ns_ip proxy addr add 192.0.2.2/24 dev up0
	ns_ip gateway addr add 192.0.2.1/24 dev gw0
	ns_ip proxy route add default via 192.0.2.1
}

group_gone() {
	local e xdp
	for e in xdp socket plain; do
		xdp=off
		[ "$e" = xdp ] && xdp=auto
		check "gone-jpd-$e" two_ports "$e"
		check "gone-detached-$e" around stale attach_again
		check "gone-stop-first-$e" jpd_stop
		check "gone-jpd-by-name-$e" by_name "$e"
		check "gone-registrar-$e" around stale registrar_again "$registrar"
		check "gone-other-registrar-$e" around stale registrar_again "[2001:db8:2::53]:5684"
		check "gone-stop-by-name-$e" jpd_stop
		check "gone-jpd-uplink-$e" flow_jpd "$e" ''
		check "gone-uplink-replaced-$e" around moved uplink_replaced
		check "gone-stop-$e" jpd_stop
	done
}

# ------------------------------------------------------------------------------------------

# part N GROUP...: in the background, in a lab of its own.
part() {
	local n=$1
	shift
	JPX_FLOWS_PART=-$n bash "$0" "$@" >"$work/part-$n" 2>&1 &
	parts[n]=$!
}

part_end() { # N
	wait "${parts[$1]}" || failed=1
	cat "$work/part-$1"
	unset "parts[$1]"
}

parts=()
trap 'kill "${parts[@]}" 2>/dev/null; wait "${parts[@]}" 2>/dev/null; cleanup' EXIT

groups=("$@")
jpd=$build/jpd
echo_pid=''
flood_port=0 # which of the pledges' interfaces
if [ $# = 0 ]; then
	part 1 ports timers
	part 2 limits uplinks gone
	groups=(answers engines restart)
fi
lab_up 2
ns_ip registrar addr add 2001:db8:2::53/64 dev rg0
lab_ipv4
addresses --pledges "$crowd_size"
for g in "${groups[@]}"; do "group_$g"; done
if [ $# = 0 ]; then
	part_end 1
	part_end 2
	# Alone: there is one table of neighbours for all, and what takes how long is looked at.
	group_flood
	group_large
fi
finish
