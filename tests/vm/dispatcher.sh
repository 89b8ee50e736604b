#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# Our XDP program and xdp-filter's on one interface: whoever comes first, both work, and each goes
# without the other.  Where the kernel refuses ours behind libxdp's dispatcher, who was there first
# stays, the other is told, and pledges join all the same.
#
# xdp-filter drops, on pj0, what is for UDP port 7001 and nothing else.
JPX_LAB=t-vm-disp
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/../lab/common.sh"
needs xdp-filter xdp-loader python3 coap-client-openssl
coap_seconds=40 coap_tries=2
dropped_port=7001 other_port=7002
told_alone='attached alone: this kernel refuses'
told_busy='another XDP program is attached that cannot be shared with'

filter() { # COMMAND...
	in_ns proxy xdp-filter "$@" >>"$work/filter.log" 2>&1
}

filter_on() {
	filter load pj0 && filter port "$dropped_port" -p udp -m dst
}

filter_off() {
	filter unload pj0
}

# Writes down which UDP ports it gets datagrams on.
listen() {
	spawn proxy heard python3 -uc "
import select, socket
sockets = {}
for port in ($dropped_port, $other_port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(('::', port))
    sockets[s] = port
while True:
    for s in select.select(list(sockets), [], [])[0]:
        print(sockets[s], s.recv(100).decode())"
	wait_for udp_bound proxy "$other_port"
}

say() { # PORT WORD
	in_ns pledge bash -c "echo -n $2 >/dev/udp/$(pj_address pj0)%pl0/$1"
}

# What is for the one port is dropped, while what was sent before it and behind it for the other is
# heard.
n=0
filters() {
	n=$((n + 1))
	say "$other_port" "before$n"
	say "$dropped_port" "dropped$n"
	say "$other_port" "after$n"
	wait_for has "^$other_port after$n\$" "$work/heard.log" &&
		has "^$other_port before$n\$" "$work/heard.log" &&
		! has "dropped$n" "$work/heard.log"
}

# Nothing is dropped.
does_not_filter() {
	n=$((n + 1))
	say "$dropped_port" "passed$n"
	wait_for has "^$dropped_port passed$n\$" "$work/heard.log"
}

engine_is() { # ENGINE SHARED
	[ "$(status '.ports[0] | "\(.engine) \(.shared)"')" = "$1 $2" ]
}

port_is() { # ENGINE SHARED
	wait_for engine_is "$@" && return 0
	status '.ports[0] | "# it is \(.engine), shared: \(.shared)"'
	return 1
}

joins() {
	coap_get 0 "$(join_port pj0 0)" -B 30
}

# A join whose datagrams to the Registrar were relayed by XDP: all but what a virtual link's own
# stack left without a checksum.
joins_by() { # xdp|socket
	local before after
	before=$(stats .fast_path.packets)
	joins || return 1
	after=$(stats .fast_path.packets)
	if [ "$1" = xdp ]; then [ "$after" -ge $((before + 6)) ]; else [ "$after" = "$before" ]; fi && return 0
	echo "# by XDP $before before and $after after"
	return 1
}

programs() { # as libxdp sees them
	in_ns proxy xdp-loader status pj0 2>>"$work/loader.log"
}

programs_are() { # PATTERN...: each is there
	local p
	programs >"$work/programs"
	for p in "$@"; do has "$p" "$work/programs" && continue; sed 's/^/# /' "$work/programs"; return 1; done
}

program_is_not() { # PATTERN
	programs >"$work/programs"
	has XDP "$work/programs" && ! has "$1" "$work/programs"
}

told() { # TEXT
	has "$1" "$work/attach.log" && return 0
	sed 's/^/# /' "$work/attach.log"
	return 1
}

not_displaced_in_log() {
	! has 'was taken off' "$work/jpd.log"
}

check_says() { # RESULT: of the dispatcher
	jp --json check pj0 | jq -e --arg r "$1" '.checks[] | select(.what == "dispatcher") | .result == $r' >/dev/null
}

refused() { # COMMAND...
	! "$@"
}

attach_ours() {
	: >"$work/attach.log"
	attach pj0 --registrar '[2001:db8:2::52]:7634'
}

detach_ours() {
	jp detach pj0 >>"$work/attach.log" 2>&1
}

lab_up
check server coap_server
check jpreg jpreg_start 7634 5684
jpd_start "$quiet"
check listener listen

# Can they share?  The kernel is asked by trying, and so is what jpctl says of it.
if check_says ok; then
	echo "# this kernel lets them share"
	for first in filter ours; do
		if [ "$first" = filter ]; then
			check filter-first filter_on
			check filters-alone filters
			check attach-second attach_ours
		else
			check attach-first attach_ours
			check nothing-dropped does_not_filter
			check filter-second filter_on
		fi
		check "$first-first-shared" port_is xdp-native true
		check "$first-first-both-there" programs_are xdpfilt jpx_xdp_ethernet
		check "$first-first-filters" filters
		check "$first-first-joins" joins_by xdp
		# Each removed alone, once after either order.
		if [ "$first" = filter ]; then
			check ours-off detach_ours
			check filter-stays programs_are xdpfilt
			check ours-is-gone program_is_not jpx_xdp
			check filters-without-us filters
			check filter-off filter_off
			check filters-no-more does_not_filter
		else
			check filter-off-first filter_off
			check ours-stays programs_are jpx_xdp_ethernet
			check filter-is-gone program_is_not xdpfilt
			check nothing-dropped-without-filter does_not_filter
			check joins-without-filter joins_by xdp
			check still-native port_is xdp-native true
			# Once more when nothing of libxdp's is left.
			check ours-off-alone detach_ours
			check nothing-of-libxdp test ! -e /sys/fs/bpf/xdp
			check attach-again attach_ours
			check again-native port_is xdp-native true
			check joins-again joins_by xdp
			# And the other way round: ours first, ours off first.
			check filter-again filter_on
			check ours-off-first detach_ours
			check filter-stays-second programs_are xdpfilt
			check filters-without-us-second filters
			check filter-off-second filter_off
		fi
		check "$first-first-never-displaced" not_displaced_in_log
	done
else
	echo "# this kernel does not let them share"
	check says-so check_says warn
	check filter-first filter_on
	check filters-alone filters
	check attach-second attach_ours
	check told-why told "$told_busy"
	check served-by-socket port_is socket false
	check filter-stays programs_are xdpfilt
	check filters-beside-us filters
	check joins-by-socket joins_by socket
	check filter-off filter_off
	check nothing-dropped does_not_filter
	check takes-over port_is xdp-native false
	check joins joins_by xdp
	# Ours is there first: xdp-filter is refused, and says so.
	check filter-refused refused filter_on
	check ours-stays programs_are jpx_xdp_ethernet
	check still-native port_is xdp-native false
	check joins-still joins_by xdp
	check ours-off detach_ours
	check attach-alone attach_ours
	check told-alone told "$told_alone"
	check ours-off-again detach_ours
	check filter-after-us filter_on
	check filters-without-us filters
	check filter-off-last filter_off
fi
sed 's/^/# xdp-filter: /' "$work/filter.log"
finish
