#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2016,SC2317 # jq has variables, too; called through check
#
# The lab's own bad link (lossy.c) does what it says: it loses and disturbs as many
# datagrams as asked for, within what chance allows, alters and doubles none, touches
# nothing but UDP, and is gone when it ends.  No proxy here.
JPX_LAB=t-lossy
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/lossy" ping tc

numbered=$(dirname "$0")/lib/numbered.py
port=4711
target=
lossy_pid=

lossy_start() { # OPTION...
	[ -z "$lossy_pid" ] || ended "$lossy_pid" || stop "$lossy_pid" # a failed test's
	spawn pledge lossy "$build/tests/lossy" a0 "$@"
	lossy_pid=$spawned
	wait_for has 'lossy: on a0' "$work/lossy.log"
}

# Its last word is in $work/lossy.json.
lossy_stop() {
	stop "$lossy_pid" && grep '^{' "$work/lossy.log" >"$work/lossy.json" || return 1
	sed 's/^/# /' "$work/lossy.json"
	! grep -v -e '^{' -e 'lossy: on' "$work/lossy.log"
}

receiver_start() { # COUNT
	spawn gateway receiver /usr/bin/python3 "$numbered" receive "$port" "$1"
	receiver_pid=$spawned
	wait_for has receiving "$work/receiver.log"
}

# What came is in $work/got.json.
receiver_stop() {
	sleep 0.1 # what is on its way yet
	stop "$receiver_pid" && grep '^{' "$work/receiver.log" >"$work/got.json" &&
		jq -c 'del(.missing)' "$work/got.json" | sed 's/^/# /'
}

send() { # COUNT PPS SIZE
	in_ns pledge /usr/bin/python3 "$numbered" send "$target" "$port" "$@" >"$work/sender.log" 2>&1
}

# run COUNT PPS SIZE OPTION...: with lossy's OPTIONs.
run() {
	receiver_start "$1" && lossy_start "${@:4}" && send "$1" "$2" "$3" && lossy_stop &&
		receiver_stop
}

# it JQ-FILTER: true of what lossy says ($l) and of what was received ($r)?
it() {
	jq -en --slurpfile ls "$work/lossy.json" --slurpfile rs "$work/got.json" \
		"\$ls[0] as \$l | \$rs[0] as \$r | $1" >/dev/null
}

# Whatever was asked for, these hold of COUNT datagrams.
sound() { # COUNT
	it "\$r.bad == 0 and \$r.duplicate == 0 and \$l.passed + \$l.lost + \$l.reordered == $1 and
		\$l.lost == $1 - \$r.got"
}

# within COUNT PERCENT JQ-VALUE: three standard deviations of a binomial distribution.
within() {
	it "$3 as \$n | ($1 * $2 / 100) as \$mean | (\$n - \$mean) * (\$n - \$mean) <=
		9 * \$mean * (1 - $2 / 100)"
}

nothing_on_a0() {
	! ns_ip pledge -d link show a0 | grep -q clsact &&
		[ -z "$(in_ns pledge tc qdisc show dev a0 clsact)" ] &&
		! in_ns pledge bpftool net show | grep -q lossy && ended "$lossy_pid"
}

lost_with() { # SEED NAME: into $work/NAME
	run 2000 8000 100 --loss 10 --seed "$1" && jq -c .missing "$work/got.json" >"$work/$2"
}

same_again() {
	lost_with 3 first && lost_with 3 again && cmp -s "$work/first" "$work/again"
}

others_with_another_seed() {
	lost_with 4 other && [ -s "$work/first" ] && ! cmp -s "$work/first" "$work/other"
}

pings() { # COUNT: all of them are answered, after neighbour discovery
	ns_ip pledge neigh flush dev a0
	in_ns pledge ping -q -c "$1" -i 0.01 -W 2 "$target" >"$work/ping.log" 2>&1 &&
		has "$1 received" "$work/ping.log"
}

# Those that nothing overtakes come, too, and before lossy ends.
comes_alone() {
	receiver_start 3 && lossy_start --reorder 100 && send 3 10 100 && receiver_stop &&
		lossy_stop && sound 3 &&
		it '$r.late == 0 and $l == { passed: 3, lost: 0, reordered: 0 }'
}

# What it cannot take over, since it does not run for a while, goes by as if not chosen.
loses_none_when_late() {
	receiver_start 4000 && lossy_start --reorder 100 && kill -STOP "$lossy_pid" || return 1
	send 4000 20000 1400
	kill -CONT "$lossy_pid"
	stop "$lossy_pid" && has 'could not be held' "$work/lossy.log" &&
		grep '^{' "$work/lossy.log" >"$work/lossy.json" && receiver_stop && sound 4000 &&
		it '$l.lost == 0 and $r.got == 4000'
}

only_udp() { # all of it lost, and nothing else
	lossy_start --loss 100 && pings 20 || return 1
	send 50 1000 100 && lossy_stop &&
		jq -e '. == { passed: 0, lost: 50, reordered: 0 }' "$work/lossy.json" >/dev/null
}

foreign_filter_stays() {
	in_ns pledge tc qdisc add dev a0 clsact &&
		in_ns pledge tc filter add dev a0 egress prio 7 protocol all u32 match u8 0 0 &&
		lossy_start --loss 50 && [ "$(filters)" = 2 ] && lossy_stop && [ "$(filters)" = 1 ] &&
		in_ns pledge tc qdisc show dev a0 | grep -q clsact &&
		in_ns pledge tc qdisc del dev a0 clsact
}

filters() { # that are at egress: by their priorities
	in_ns pledge tc filter show dev a0 egress | grep -o 'pref [0-9]*' | sort -u | wc -l
}

wrong_usage() {
	local args
	for args in "" "a0 --loss 101" "a0 --loss x" "a0 --reorder -1" "nowhere --loss 1" "a0 a0"; do
		# shellcheck disable=SC2086 # words
		in_ns pledge "$build/tests/lossy" $args >>"$work/usage.log" 2>&1
		[ $? = 2 ] || { echo "# \"$args\""; return 1; }
	done
}

lab_namespace pledge
lab_namespace gateway
lab_link pledge a0 gateway b0
ns_ip pledge addr add 169.254.1.1/16 dev a0
ns_ip gateway addr add 169.254.1.2/16 dev b0

for target in "$(lab_link_local gateway b0)%a0" 169.254.1.2; do
	case $target in *%*) v=v6 ;; *) v=v4 ;; esac
	for percent in 0 1 10; do
		check "runs-$v-loss-$percent" run 2000 4000 200 --loss "$percent"
		check "sound-$v-loss-$percent" sound 2000
		check "as-many-lost-$v-loss-$percent" within 2000 "$percent" '$l.lost'
		check "in-order-$v-loss-$percent" it '$r.late == 0 and $l.reordered == 0'
		check "nothing-left-$v-loss-$percent" nothing_on_a0
	done
	check "runs-$v-reorder-20" run 2000 2000 200 --reorder 20
	check "sound-$v-reorder-20" sound 2000
	check "none-lost-$v-reorder-20" it '$l.lost == 0'
	check "as-many-reordered-$v-reorder-20" within 2000 20 '$l.reordered'
	check "order-disturbed-$v-reorder-20" it '$r.late >= $l.reordered * 0.95 and
		$r.late <= $l.reordered'
	check "runs-$v-both" run 2000 2000 1400 --loss 10 --reorder 20 --seed 7
	check "sound-$v-both" sound 2000
	check "as-many-lost-$v-both" within 2000 10 '$l.lost'
	check "as-many-reordered-$v-both" within 2000 18 '$l.reordered'
	check "order-disturbed-$v-both" it '$r.late >= $l.reordered * 0.9'
	check "nothing-left-$v-both" nothing_on_a0
	# As fast as may be: more overtake than were meant to, but all come.
	check "runs-$v-burst" run 2000 1000000 200 --reorder 20
	check "sound-$v-burst" sound 2000
	check "order-disturbed-$v-burst" it '$r.late > 200'
	check "runs-$v-fragments" run 500 1000 3000 --reorder 20
	check "whole-$v-fragments" it '$r.got == 500 and $r.bad == 0 and $r.duplicate == 0 and
		$l.passed + $l.reordered == 1500'
	check "only-udp-$v" only_udp
done

target="$(lab_link_local gateway b0)%a0"
check same-seed-same-losses same_again
check other-seed-other-losses others_with_another_seed
check comes-alone comes_alone
check loses-none-when-late loses_none_when_late

# Checksums that the stack leaves to hardware are computed on the way, or left as they are.
in_ns pledge ethtool -K a0 tx on >/dev/null
check runs-partial-checksum run 1000 2000 333 --reorder 20
check sound-partial-checksum sound 1000
check reordered-partial-checksum within 1000 20 '$l.reordered'
check foreign-filter-stays foreign_filter_stays
check wrong-usage wrong_usage
check nothing-left nothing_on_a0
finish
