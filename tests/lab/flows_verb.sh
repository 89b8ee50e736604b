#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2016,SC2317 # jq has variables, too; called through check
#
# `jpctl flows': listed, chosen, counted and ended, by each engine; told out of the
# pinned maps when jpd was killed, and the same when the next one has adopted them,
# while sessions go on; and asked of jpd where there is no BPF.
JPX_LAB=t-flowsverb
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/crowd" "$build/tests/echo"

registrar=2001:db8:2::52
many=20 few=10 held=5
max=16384
patience=${JPX_PATIENCE:-1}
# Not to be over before all has been asked of them.
lasting="flows { idle = $((30 * patience)) }"

# pledges IF COUNT BASE SERVICE [OPTION...]: each sends two datagrams and has two answers.
pledges() {
	local n=${1#pl} count=$2 base=$3 port
	port=$(join_port "pj$n" "$4")
	shift 4
	in_ns pledge timeout 60 "$build/tests/crowd" --pledges "$count" --base "$base" --rounds 2 "$@" \
		"[$(pj_address "pj$n")%pl$n]:$port" >"$work/crowd.json" 2>"$work/crowd.log"
}

answered() { # COUNT: of the last pledges
	jq -e ".answered == $1 and .wrong == 0" "$work/crowd.json" >/dev/null && return 0
	sed 's/^/# /' "$work/crowd.json"
	return 1
}

# flows FILTER ARGUMENT...: of what jpctl prints as JSON.
flows() {
	local filter=$1
	shift
	jp --json flows "$@" | jq -c "$filter"
}

is() { # WANTED GOT
	[ "$1" = "$2" ] || { echo "# \"$2\" and not \"$1\""; return 1; }
}

# said STATUS TEXT ARGUMENT...: jpctl flows ends so and prints TEXT, a line's part.
said() {
	local want=$1 text=$2 got
	shift 2
	jp flows "$@" >"$work/said.log" 2>&1
	got=$?
	[ $got = "$want" ] && has "$text" "$work/said.log" && return 0
	echo "# jpctl flows $*: status $got"
	return 1
}

rows() { # ARGUMENT...: of the table, which starts with its headings
	jp flows "$@" >"$work/said.log" && head -n 1 "$work/said.log" | grep -q '^PORT  *PLEDGE  *SERVICE' &&
		grep -c '^pj' "$work/said.log"
}

# What tells flows apart, and what they have relayed.
picture() {
	flows '[.flows[] | [.pledge, .udp_port, .ifname, .service, .uplink_address, .uplink_port,
		.to_registrar.packets, .to_pledge.packets, .intercepted]]'
}

set_up() { # XDP
	jpd_start "$lasting" && jp registrar add main "[$registrar]:5684" --mode stateful --xdp "$1" >>"$work/attach.log" &&
		jp registrar add other "[$registrar]:5685" --mode stateful --xdp "$1" >>"$work/attach.log" &&
		attach pj0 --max-flows 100 --xdp "$1" && attach pj1 --max-flows 50 --xdp "$1"
}

relayed() {
	pledges pl0 $many fe80::c:0:1 0 && answered $((2 * many)) && pledges pl1 $few fe80::d:0:1 1 &&
		answered $((2 * few))
}

listed() {
	is $((many + few)) "$(rows)" && is "[$((many + few)),$max,1]" "$(flows '[.count, .max, .version]')" &&
		# each on a port of its own
		is $((many + few)) "$(flows '[.flows[].uplink_port] | unique | length')" &&
		is '["2001:db8:1::2"]' "$(flows '[.flows[].uplink_address] | unique')" &&
		is '[[2,2,false]]' "$(flows '[.flows[] | [.to_registrar.packets, .to_pledge.packets, .intercepted]] | unique')" &&
		is true "$(flows '[.flows[] | .age_s < '$((60 * patience))' and .idle_s <= .age_s and .udp_port > 0] | all')" &&
		is '[["pj0","main"],["pj1","other"]]' "$(flows '[.flows[] | [.ifname, .service]] | unique')"
}

sorted() { # by interface, then pledge
	local want
	want=$(for ((i = 1; i <= many; i++)); do printf '"fe80::c:0:%x"\n' "$i"; done
		for ((i = 1; i <= few; i++)); do printf '"fe80::d:0:%x"\n' "$i"; done)
	is "$want" "$(flows '.flows[].pledge')" &&
		is "$(tr -d '"' <<<"$want")" "$(jp flows | sed -n 's/^pj[01]  *\[\(fe80[0-9a-f:]*\)\].*/\1/p')"
}

chosen() {
	is $few "$(rows --port pj1)" && is $many "$(rows --service main)" &&
		is 1 "$(rows --pledge fe80::c:0:7)" && is 1 "$(rows --pledge fe80::d:0:1 --port pj1 --service other)" &&
		said 0 '^No flows\.$' --pledge fe80::d:0:1 --port pj0 && said 0 '^No flows\.$' --pledge 169.254.1.1 &&
		is '["fe80::c:0:7"]' "$(flows '[.flows[].pledge]' --pledge fe80::c:0:7)" &&
		is "[$few,$few]" "$(flows '[.count, (.flows | length)]' --port pj1)"
}

limited() {
	is 5 "$(rows --limit 5)" && has "^and $((many + few - 5)) more (--limit 0 shows all)\$" "$work/said.log" &&
		is $((many + few)) "$(rows --limit 0)" && ! has more "$work/said.log" &&
		is "[5,$((many + few))]" "$(flows '[(.flows | length), .count]' --limit 5)"
}

counted() {
	said 0 "^pj0  *$many  *100\$" --count && said 0 "^pj1  *$few  *50\$" --count &&
		said 0 "^main  *$many\$" --count && said 0 "^other  *$few\$" --count &&
		said 0 "^$((many + few)) flows, of at most $max in all\$" --count &&
		is '["count","limits","max","ports","services","version"]' "$(flows 'keys' --count)" &&
		is "[[\"pj0\",0,100],[\"pj1\",$few,50]]" "$(flows '[.ports[] | [.ifname, .count, .max]]' --count --port pj1)"
}

in_status() {
	is "[$many,100,$few,50]" "$(jp --json status | jq -c '[.ports[] | .flows, .max_flows]')" &&
		is '[["2001:db8:1::2"],["2001:db8:1::2"]]' "$(jp --json status | jq -c '[.services[].uplink_addresses]')" &&
		jp status >"$work/said.log" && has "^pj0 .*  $many of 100\$" "$work/said.log" &&
		has "^pj1 .*  $few of 50\$" "$work/said.log"
}

flushed() {
	said 0 '^1 flow ended$' flush --pledge fe80::c:0:7 && is 0 "$(flows .count --pledge fe80::c:0:7)" &&
		said 0 "^$few flows ended\$" flush --port pj1 && is $((many - 1)) "$(flows .count)" &&
		said 0 '^0 flows ended$' flush --service other && is "$((many - 1))" "$(flows .count)" &&
		is "{\"ended\":$((many - 1))}" "$(jp --json flows flush --service main)" &&
		said 0 '^No flows\.$' && said 0 '^0 flows ended$' flush &&
		# who is flushed only gets other flows
		relayed && is $((many + few)) "$(flows .count)"
}

# What is refused is told in the statistics, by name and in words.
refusals_told() {
	jp flows flush >>"$work/attach.log" && attach pj1 --max-flows 3 || return 1
	pledges pl1 $few fe80::d:0:1 1 --timeout 1
	answered 6 && pledges pl0 2 fe80::c:0:1 0 --per-pledge 4 --timeout 1
	answered 8 && [ "$(stats .drops.flows_per_port)" -gt 0 ] && [ "$(stats .drops.flows_per_pledge)" -gt 0 ] &&
		jp stats >"$work/said.log" && has '^flows_per_port  *[0-9]*  no new flow: this pledge port' "$work/said.log" &&
		is 3 "$(flows .count --port pj1)" && attach pj1 --max-flows 50
}

hold() { # sessions that are silent for so many SECONDS, then speak once more
	jp flows flush >>"$work/attach.log" && spawn registrar held-echo "$build/tests/echo" "[$registrar]:5686" ||
		return 1
	echo_pid=$spawned
	wait_for udp_bound registrar 5686
	attach pj0 --registrar "[$registrar]:5686" --mode stateful
	spawn pledge held "$build/tests/crowd" --pledges $held --base fe80::c:0:1 --hold "$1" \
		"[$(pj_address pj0)%pl0]:$(status '.services[] | select(.port == 5686) | .join_port')"
	hold_pid=$spawned
	wait_for eval '[ "$(flows .count)" = $held ]' && before=$(picture)
}

told_without_jpd() {
	kill -KILL "$jpd_pid"
	wait_for ended "$jpd_pid" && is "$before" "$(picture)" && is $held "$(rows)" &&
		said 0 "^$held flows, of at most" --count && said 1 'jpd is not running' flush &&
		is "$before" "$(picture)" && jp status >"$work/said.log" && has "^pj0 .*  $held of 100\$" "$work/said.log"
}

told_after_restart() {
	jpd_start "$lasting" && is "$before" "$(picture)"
}

# The server saw the same pledges at the same ports all the time.
sessions_went_on() {
	wait_for ended "$hold_pid" && stop "$echo_pid" &&
		jq -e ".answered == 2 * $held and .after_hold == { sent: $held, answered: $held }" "$work/held.log" >/dev/null &&
		grep '^{' "$work/held-echo.log" | tail -n 1 | jq -e ".datagrams == 2 * $held and .pairs == $held" >/dev/null
}

# Without a fast path that is pinned jpd alone knows.
gone_with_jpd() {
	kill -KILL "$jpd_pid"
	wait_for ended "$jpd_pid" && said 1 "jpd is not running in $run_dir and nothing is pinned under $pin_dir" &&
		said 1 'jpd is not running' --count && said 1 'jpd is not running' flush
}

nothing_attached() {
	jpd_start && said 0 '^No flows: no Registrar is served in stateful mode\.$' &&
		is '[0,[],[]]' "$(flows '[.count, .flows, .services]')" && said 0 '^0 flows ended$' flush
}

lab_up 2
"$build/tests/crowd" --batch pl0 --pledges $many --base fe80::c:0:1 >"$work/batch"
"$build/tests/crowd" --batch pl1 --pledges $few --base fe80::d:0:1 >>"$work/batch"
check addresses ns_ip pledge -batch "$work/batch"
for port in 5684 5685; do spawn registrar echo-$port "$build/tests/echo" "[$registrar]:$port"; done
check servers wait_for eval 'udp_bound registrar 5684 && udp_bound registrar 5685'

all_verbs() { # NAME
	check "relayed-$1" relayed
	check "listed-$1" listed
	check "sorted-$1" sorted
	check "chosen-$1" chosen
	check "limited-$1" limited
	check "counted-$1" counted
	check "in-status-$1" in_status
	check "flushed-$1" flushed
	check "refusals-told-$1" refusals_told
}

check nothing-attached nothing_attached
check nothing-attached-stop jpd_stop
for xdp in auto off; do
	check "set-up-$xdp" set_up "$xdp"
	all_verbs "$xdp"
	check "held-$xdp" hold $((6 * patience))
	check "told-without-jpd-$xdp" told_without_jpd
	check "told-after-restart-$xdp" told_after_restart
	check "sessions-went-on-$xdp" sessions_went_on
	check "stop-$xdp" jpd_stop
done

# A directory that is on no BPF file system: as on a kernel without BPF.
pin_dir=$work/no-bpf
# Each has a socket there: a quarter of the files that jpd may have open, at most.
max=$(ulimit -Hn)
[ "$max" != unlimited ] && [ "$max" -lt 16384 ] && max=$((max / 4)) || max=4096
check set-up-no-bpf set_up auto
check no-fast-path has 'no fast path' "$work/jpd.log"
all_verbs no-bpf
check gone-with-jpd gone_with_jpd
check nothing-attached-no-bpf nothing_attached
finish
