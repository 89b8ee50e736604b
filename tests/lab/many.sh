#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# As many pledge ports as there can be, 255: what one more costs, that each of them
# relays by XDP, that a person can read the list, that all are back when jpd died,
# and that nothing is left.  On a machine where attaching takes too long there are
# fewer, and the test says how many.
# shellcheck disable=SC2317 # called through check

JPX_LAB=${JPX_LAB:-t-many}
# shellcheck source=tests/lab/common.sh
. tests/lab/common.sh

want=${JPX_MANY:-255}
seconds_max=80
# Per port, on average; where programs are attached alone, else each has to be verified.
attach_ms_max=150 rss_kb_max=128 fds_max=6 programs_max=10
registrar='registrar main { address = "[2001:db8:2::52]:7634" }'

# In a few commands, where lab_link() takes six a link.
many_links() { # LAST: pledge ports from 1 on
	local i who
	for ((i = 1; i <= $1; i++)); do echo "link add pl$i type veth peer name pj$i netns $lab-proxy"; done |
		ns_ip pledge -batch - || return 1
	for who in "pledge pl" "proxy pj"; do
		# shellcheck disable=SC2086 # two words
		set -- $1 $who
		for ((i = 1; i <= $1; i++)); do echo "link set $3$i up"; done | ns_ip "$2" -batch - || return 1
		# shellcheck disable=SC2016 # for the other shell
		in_ns "$2" bash -c 'for ((i = 1; i <= $1; i++)); do ethtool -K $0$i gro on tx off; done' "$3" "$1" \
			>/dev/null 2>&1
	done
}

now_ms() { date +%s%3N; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$jpd_pid/status"; }
fds() { find "/proc/$jpd_pid/fd" -mindepth 1 | wc -l; }

attach_all() { # leaves how many there are in $count and how long it took in $took
	local start rss_before fds_before
	rss_before=$(rss_kb) fds_before=$(fds) start=$(now_ms)
	for ((count = 0; count < want; count++)); do
		took=$(($(now_ms) - start))
		[ "$took" -lt $((seconds_max * 1000)) ] || break
		# From here on programs are shared: what was loaded before is not what one more costs.
		[ "$count" != 10 ] || { ten=$took rss_before=$(rss_kb) fds_before=$(fds); }
		jp attach "pj$count" >>"$work/attach.log" 2>&1 || return 1
	done
	took=$(($(now_ms) - start))
	[ "$count" -gt 10 ] || return 1
	later=$(((took - ten) / (count - 10)))
	rss=$((($(rss_kb) - rss_before) / (count - 10))) descriptors=$((($(fds) - fds_before) / (count - 10)))
	echo "# $count ports in $took ms; behind the tenth $later ms, $rss kB and $descriptors descriptors a port"
	[ "$count" = "$want" ] || echo "# too slow here for $want ports"
}

# Or, in a machine that is slow at everything, far less than with a program of its own.
is_quick() { [ "$later" -le "$attach_ms_max" ] || [ $((later * 2)) -le $((ten / 10)) ]; }

ready() { # COUNT
	[ "$(status '[.ports[] | select(.state == "ready" and .engine == "xdp-native")] | length')" = "$1" ]
}

alone() { [ "$(status '[.ports[].shared] | any')" = false ]; }

programs() { # of all interfaces, as the kernel has them
	ns_ip proxy -d -j link show | jq -r '.[] | select(.xdp) | "\(.ifname) \(.xdp.prog.id)"' | sort
}

few_programs() { [ "$(programs | awk '{ print $2 }' | sort -u | wc -l)" -le "$programs_max" ]; }

# A handshake each through the first, a middle and the last one, and no datagram of it through the socket engine.
relays_by_xdp() {
	local n port before after
	port=$(join_port pj0 0)
	for n in 0 $((count / 2)) $((count - 1)); do
		before=$(stats .fast_path.packets)
		coap_get "$n" "$port" || return 1
		after=$(stats .fast_path.packets)
		[ $((after - before)) -ge 8 ] || { echo "# pj$n: $((after - before)) datagrams by XDP"; return 1; }
	done
	[ "$(stats .socket.packets)" = 0 ] || { echo "# $(stats .socket.packets) datagrams by socket"; return 1; }
}

# One row for all, and rows of their own for what differs.
is_readable() {
	local last=$((count - 1))
	jp status >"$work/status.txt"
	has "^pj0 to pj$last  *ethernet  *xdp-native.*each its own  *ready  *5684 main" "$work/status.txt" &&
		has "^$count pledge ports, 1 uplink" "$work/status.txt" &&
		[ "$(wc -l <"$work/status.txt")" -lt 20 ] || return 1
	ns_ip proxy link set pj7 down
	wait_for ready $((count - 1))
	jp status >"$work/status.txt"
	has '^pj0 to pj6  .*  ready' "$work/status.txt" && has '^pj7  .*  \(down\|no link-local address\)' "$work/status.txt" &&
		has "^pj8 to pj$last  .*  ready" "$work/status.txt" &&
		has "^$count pledge ports (1 not ready)" "$work/status.txt" || return 1
	ns_ip proxy link set pj7 up
	wait_for ready "$count"
}

is_complete() { # with --all, and as JSON
	[ "$(jp status --all | grep -c '^pj[0-9]* ')" = "$count" ] && [ "$(status '.ports | length')" = "$count" ]
}

# Dies without a word, and the next one has all of it, with the same programs.
comes_back() {
	local before start
	before=$(programs)
	kill -KILL "$jpd_pid"
	wait "$jpd_pid" 2>/dev/null
	[ "$(programs)" = "$before" ] || return 1
	start=$(now_ms)
	jpd_start "$registrar" && wait_for ready "$count" || return 1
	echo "# back after $(($(now_ms) - start)) ms"
	[ "$(programs)" = "$before" ]
}

# One that was detached and comes again finds the others' program.
one_comes_again() {
	local last=pj$((count - 1)) before
	before=$(programs)
	jp detach "$last" && [ "$(programs)" = "$(grep -v "^$last " <<<"$before")" ] || return 1
	jp attach "$last" >>"$work/attach.log" 2>&1 && wait_for ready "$count"
}

no_program_left() { [ -z "$(programs)" ]; }

detaches_all() {
	jpd_stop && no_program_left
}

# The same ports from a configuration file.
starts_configured() {
	local i conf=$registrar start
	for ((i = 0; i < count; i++)); do conf+=$'\n'"port pj$i { }"; done
	start=$(now_ms)
	jpd_start "$conf" && wait_for ready "$count" || return 1
	echo "# configured: ready after $(($(now_ms) - start)) ms"
}

needs coap-server-openssl coap-client-openssl
lab_up 1
check raises-links many_links $((want - 1))
lab_settle
coap_server
jpreg_start 7634 5684
check starts jpd_start "$registrar"
check attaches attach_all
check all-are-ready wait_for ready "$count"
check rss-per-port [ "${rss:-999}" -le "$rss_kb_max" ]
check descriptors-per-port [ "${descriptors:-999}" -le "$fds_max" ]
if alone; then
	check attach-time is_quick
	check few-programs few_programs
else
	echo "# behind libxdp's dispatcher each port has a program of its own"
fi
check relays-by-xdp relays_by_xdp
check status-is-readable is_readable
check status-is-complete is_complete
check comes-back comes_back
check relays-again relays_by_xdp
check one-comes-again one_comes_again
check no-drops no_drops
check detaches-all detaches_all
check starts-configured starts_configured
check relays-configured relays_by_xdp
finish
