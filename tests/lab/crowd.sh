#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2016,SC2317 # jq has variables, too; called through check
#
# The lab's many pledges (crowd.c) and their server (echo.c), one directly at the
# other: all is answered, and whatever goes wrong is counted as what it is.  No proxy
# here.
JPX_LAB=t-crowd
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/crowd" "$build/tests/echo" /usr/bin/python3

bad_echo=$(dirname "$0")/lib/bad_echo.py
pledges=300

addresses() { # OPTION...: onto the pledges' interface
	"$build/tests/crowd" --batch pl0 "$@" >"$work/batch" && ns_ip pledge -batch "$work/batch"
}

# crowd OPTION... TARGET: its account is in $work/crowd.json.
crowd() {
	in_ns pledge timeout 60 "$build/tests/crowd" "$@" >"$work/crowd.json" 2>"$work/crowd.log" ||
		return 1
	sed 's/^/# /' "$work/crowd.json"
}

echo_pid='' bad_pid=''

echo_start() { # ENDPOINT
	[ -z "$echo_pid" ] || ended "$echo_pid" || stop "$echo_pid" # a failed test's
	spawn registrar echo "$build/tests/echo" "$1"
	echo_pid=$spawned
	wait_for has 'echo: listening' "$work/echo.log"
}

# Its last word is in $work/echo.json.
echo_stop() {
	stop "$echo_pid" && grep '^{' "$work/echo.log" | tail -n 1 >"$work/echo.json" || return 1
	sed 's/^/# /' "$work/echo.json"
}

bad_start() { # WHAT
	[ -z "$bad_pid" ] || ended "$bad_pid" || bad_stop # a failed test's
	spawn registrar bad "/usr/bin/python3" "$bad_echo" 5690 "$1"
	bad_pid=$spawned
	wait_for has ready "$work/bad.log"
}

bad_stop() {
	stop "$bad_pid"
	true # it knows no better than to be killed
}

it() { # JQ-FILTER: true of what crowd says?
	jq -e "$1" "$work/crowd.json" >/dev/null
}

echo_says() { # JQ-FILTER
	jq -e "$1" "$work/echo.json" >/dev/null
}

# with WHAT FILTER OPTION...: crowd's account of a server that does WHAT.
with() {
	local what=$1 filter=$2
	shift 2
	bad_start "$what" && crowd --pledges 50 --rounds 2 --timeout 1 "$@" "[$server]:5690" &&
		bad_stop && it "$filter"
}

answers_all() { # SOCKETS ROUNDS OPTION... TARGET
	local sockets=$1 probes=$(($1 * $2)) rounds=$2
	shift 2
	echo_start "[::]:5684" && crowd --rounds "$rounds" "$@" && echo_stop &&
		it ". == { sockets: $sockets, sent: $probes, answered: $probes, duplicate: 0, wrong: 0,
			served: $sockets, after_hold: null, refused: {} }" &&
		echo_says ". == { datagrams: $probes, pairs: $sockets, collisions: 0, foreign: 0,
			unsent: 0 }"
}

refuses_all() { # ERROR COUNT OPTION... TARGET
	local error=$1 count=$2
	shift 2
	crowd "$@" && it ".answered == 0 and .served == 0 and .wrong == 0 and
		.refused == { $error: $count }"
}

# A port where nobody is refuses the probes that it got, the call that fails for it none.
port_unreachable() {
	refuses_all ECONNREFUSED 100 --pledges 50 --rounds 2 --rate 2000 --timeout 1 "$1" &&
		it '.sent == 100'
}

# So quick that refusals are found by the next send().
port_unreachable_burst() {
	refuses_all ECONNREFUSED 2000 --pledges 20 --rounds 100 --rate 10000000 --timeout 1 \
		"[$server]:5699" && it '.sent == 2000'
}

# Never sent: the kernel knows the MTU.
too_big_here() {
	echo_start "[::]:5684" &&
		refuses_all EMSGSIZE 10 --pledges 10 --size 1453 --no-fragment "[$server]:5684" &&
		it '.sent == 0' && echo_stop && echo_says '.datagrams == 0'
}

silent_in_between() {
	local start
	echo_start "[::]:5684" && start=$SECONDS &&
		crowd --pledges 100 --rounds 2 --hold 2 "[$server]:5684" &&
		[ $((SECONDS - start)) -ge 2 ] && echo_stop &&
		it '.sent == 300 and .answered == 300 and .served == 100 and
			.after_hold == { sent: 100, answered: 100 }' &&
		echo_says '.datagrams == 300 and .pairs == 100'
}

# The server goes while the sockets are held open: the last round is refused.
gone_after_hold() {
	local pid
	echo_start "[::]:5684" || return 1
	spawn pledge held "$build/tests/crowd" --pledges 20 --hold 3 --timeout 1 "[$server]:5684"
	pid=$spawned
	sleep 1
	echo_stop && wait_for ended "$pid" && wait "$pid" && cp "$work/held.log" "$work/crowd.json" &&
		it '.answered == 20 and .after_hold == { sent: 20, answered: 0 } and
			.refused == { ECONNREFUSED: 20 }'
}

tells_at_sigterm() {
	local pid
	echo_start "[::]:5684" || return 1
	spawn pledge ended "$build/tests/crowd" --hold 1000 "[$server]:5684"
	pid=$spawned
	sleep 0.5
	stop "$pid" && echo_stop && cp "$work/ended.log" "$work/crowd.json" &&
		it '.sent == 1 and .answered == 1'
}

# All through one port of a relay between: as a proxy that mixes its flows up.
collides() {
	echo_start "[::]:5684" && bad_start 5684 &&
		crowd --pledges 50 --rounds 2 --timeout 1 "[$server]:5690" && bad_stop && echo_stop &&
		it '.sent == 100 and .answered == 0' &&
		echo_says '. == { datagrams: 100, pairs: 1, collisions: 99, foreign: 0, unsent: 0 }'
}

counts_anew() {
	echo_start "[::]:5684" && crowd --pledges 10 "[$server]:5684" && kill -USR1 "$echo_pid" &&
		wait_for has '^{"datagrams":10,"pairs":10,' "$work/echo.log" &&
		crowd --pledges 5 "[$server]:5684" && echo_stop &&
		echo_says '.datagrams == 5 and .pairs == 5 and .collisions == 0'
}

notes_foreign() {
	echo_start 127.0.0.1:5684 &&
		in_ns registrar bash -c 'echo hello >/dev/udp/127.0.0.1/5684; sleep 0.1' && echo_stop &&
		echo_says '.datagrams == 1 and .pairs == 1 and .foreign == 1'
}

wrong_usage() {
	local args
	for args in "crowd" "crowd --pledges 0 [::1]:1" "crowd [::1]" "crowd --size 28 [::1]:1" \
		"crowd --base 10.0.0.1 [::1]:1" "crowd [::1]:1 [::1]:2" "crowd --base x [::1]:1" \
		"echo" "echo [::]:0" "echo [::]:1 [::]:2"; do
		# shellcheck disable=SC2086 # words
		"$build/tests/"$args >"$work/usage.log" 2>&1
		[ $? = 2 ] || { echo "# \"$args\""; return 1; }
	done
	"$build/tests/crowd" --help >"$work/usage.log" && "$build/tests/echo" --help >"$work/usage.log"
}

# An address that is not there is no figure but a failure.
address_missing() {
	! crowd --pledges $((pledges + 1)) "[$server]:5684" && has 'fe80::c:0:12d' "$work/crowd.log"
}

lab_namespace pledge
lab_namespace registrar
lab_link pledge pl0 registrar rg0
ns_ip registrar addr add 169.254.0.1/16 dev rg0
# Each refusal counts here, and one address may be refused many a time.
in_ns registrar sysctl -qw net.ipv6.icmp.ratemask= net.ipv4.icmp_ratemask=0
server=$(lab_link_local registrar rg0)%pl0

check addresses-v6 addresses --pledges "$pledges"
check addresses-v4 addresses --pledges "$pledges" --base 169.254.1.1
check all-answered-v6 answers_all 300 3 --pledges "$pledges" "[$server]:5684"
check all-answered-v6-large answers_all 300 1 --pledges "$pledges" --size 1400 --rate 20000 \
	"[$server]:5684"
check all-answered-v4 answers_all 300 3 --pledges "$pledges" 169.254.0.1:5684
check all-answered-v4-bound answers_all 300 1 --pledges "$pledges" "[::ffff:169.254.0.1%pl0]:5684"
check all-answered-many answers_all 4000 2 --pledges 250 --per-pledge 16 --rate 20000 \
	"[$server]:5684"
check all-answered-fragments answers_all 20 1 --pledges 20 --size 4000 "[$server]:5684"
check port-unreachable-v6 port_unreachable "[$server]:5699"
check port-unreachable-v4 port_unreachable 169.254.0.1:5699
check port-unreachable-burst port_unreachable_burst
check host-unreachable-v6 refuses_all EHOSTUNREACH 10 --pledges 10 --timeout 10 \
	"[fe80::dead%pl0]:5684"
check host-unreachable-v4 refuses_all EHOSTUNREACH 10 --pledges 10 --timeout 10 \
	169.254.255.1:5684
check too-big too_big_here
check prohibited with prohibit '.sent == 100 and .answered == 0 and .refused == { EACCES: 100 }'
check mute with mute '.sent == 100 and .answered == 0 and .wrong == 0 and .refused == {}'
check altered with alter '.sent == 100 and .answered == 0 and .wrong == 100'
check short with short '.sent == 100 and .answered == 0 and .wrong == 100'
check swapped with swap '.sent == 100 and .answered == 0 and .wrong == 99'
check twice with twice '.sent == 100 and .answered == 100 and .duplicate == 100 and .wrong == 0'
check silent-in-between silent_in_between
check gone-after-hold gone_after_hold
check tells-at-sigterm tells_at_sigterm
check collides collides
check counts-anew counts_anew
check notes-foreign notes_foreign
check address-missing address_missing
check wrong-usage wrong_usage
finish
