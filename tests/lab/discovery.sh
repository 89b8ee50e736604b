#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Finding and being found, end to end: from "jpctl attach" alone, nothing configured, to a finished
# DTLS handshake, with clients and servers that know nothing of jpx.  Registrars come, go, fall
# silent, lie and are too many; who is on a pledge port never becomes one.
# shellcheck disable=SC2317 # called through check
set -u
export JPX_LAB=t-discovery
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs coap-client-openssl coap-server-openssl

# ---- what a pledge does -------------------------------------------------------

ask() { # N QUERY: the answer that pledge interface plN gets to a multicast, as a foreign client prints it
	in_ns pledge timeout 4 coap-client-openssl -N -B 2 -m get \
		"coap://[ff02::fd%pl$1]/.well-known/core?$2" 2>/dev/null
}

found_port() { # N: the first join port that the current draft's question finds
	ask "$1" 'brski-jp=*' | sed -n 's/^<>;brski-jp=\([0-9]*\).*/\1/p'
}

joins() { # N: asks, and shakes hands with what is answered
	local port
	port=$(found_port "$1")
	[ -n "$port" ] && coap_get "$1" "$port"
}

joins_by_and_by() { # N: a pledge that finds nothing asks again
	coap_tries=2 coap_seconds=6 joins "$1"
}

finds_nothing() { # N
	local answer
	answer=$(ask "$1" 'brski-jp=*')
	[ -z "$answer" ] || { echo "# answered: $answer"; return 1; }
}

# ---- what an operator sees ------------------------------------------------------

services() { # JQ-FILTER of a service: the names of those that it selects
	status "[.services[] | select($1) | .name] | sort | join(\" \")"
}

serves() { # COUNT JQ-FILTER
	[ "$(services "$2" | wc -w)" = "$1" ]
}

play() { # NAME WHO INTERFACE ARGUMENT...: leaves its id in $played
	local name=$1 who=$2
	shift 2
	spawn "$who" "$name" "$build/tests/registrar_play" "$@"
	played=$spawned
	wait_for has ready "$work/$name.log"
}

anew() { # looks again, at once
	kill -HUP "$jpd_pid"
}

jpy='rt=brski.rjp <jpy://[2001:db8:2::52]:7634>;rt=brski.rjp'

lab_up 2
coap_server
jpreg_start 7634 5684

# ---- from one command to a handshake ------------------------------------------------

jpd_start
attached_alone() {
	jp attach pj0 >"$work/attach.log" 2>&1 && has 'being looked for' "$work/attach.log"
}
check attach-needs-no-other-word attached_alone
check nothing-is-announced-without-a-registrar finds_nothing 0
play first gateway gw0 --link="$jpy"
first=$played
check registrar-is-found-by-coap wait_for serves 1 '.state == "serving" and .source == "coap"
	and .mode == "stateless" and .jpy == "draft-21" and .port == 7634'
check from-attach-alone-to-a-handshake joins 0
check by-the-fast-path test "$(stats .fast_path.packets)" -gt 0

own_address_alone() {
	local other
	jp attach pj1 >>"$work/attach.log" 2>&1 || return 1
	wait_for joins 1 || return 1
	for other in 0 1; do
		ask $other rt=brski.jp | grep -Fqx \
			"<coaps://[$(pj_address pj$other)]:$(join_port pj$other 0)>;rt=brski.jp" || return 1
	done
}
check two-ports-tell-their-own-address-alone own_address_alone

# ---- who may say so --------------------------------------------------------------------

# The same player as above, at the other end of a pledge port: never heard, by no way.
poses() {
	local before
	before=$(jp --json registrar list | jq -S '[.services[].name, (.found // [])[].address]')
	play poser pledge pl0 --link='rt=brski.rjp <jpy://[2001:db8:66::1]:7634>;rt=brski.rjp' \
		--group=ff05::fd --flood='AN_join_registrar BRSKI_RJP 7634' \
		--initiator=2001:db8:66::1 --every=1
	anew
	sleep 3
	stop "$played"
	! has '^asked' "$work/poser.log" && has '^flooded' "$work/poser.log" &&
		[ "$before" = "$(jp --json registrar list |
			jq -S '[.services[].name, (.found // [])[].address]')" ]
}
check nobody-on-a-pledge-port-is-a-registrar poses

# ---- several --------------------------------------------------------------------------------

# A second Registrar beside the first: two join ports, and a pledge gets through by each.
jpreg_start 7635 5684
second_joins() {
	play second gateway gw0 --port=5690 \
		--flood='AN_join_registrar BRSKI_RJP 7635' --initiator=2001:db8:2::52 --every=1
	wait_for serves 1 '.state == "serving" and .source == "grasp" and .port == 7635' || return 1
	[ "$(ask 0 'brski-jp=*' | grep -o brski-jp= | wc -l)" = 2 ] &&
		coap_get 0 "$(join_port pj0 0)" && coap_get 0 "$(join_port pj0 1)"
}
check each-registrar-has-a-join-port second_joins

# Its JPY port closes: pledges' datagrams meet ICMP, and it is announced no more.
falls_silent() {
	local port
	port=$(status '.services[] | select(.port == 7635) | .join_port')
	stop "$jpreg_pid"
	(coap_seconds=25 coap_get 0 "$port") &
	wait_for serves 1 '.port == 7635 and .state == "silent"' || return 1
	[ "$(ask 0 'brski-jp=*' | grep -o brski-jp= | wc -l)" = 1 ] && joins 0
}
check a-silent-one-is-withdrawn falls_silent
says_why() {
	jp registrar list >"$work/list.log" && has 'silent\|answer' "$work/list.log" &&
		[ -n "$(jp --json registrar list | jq -r '.services[] | select(.port == 7635) | .why')" ]
}
check the-list-says-why says_why

# ---- a restart --------------------------------------------------------------------------------

restarts() {
	local before after
	before=$(services 'true')
	stop "$played"
	stop "$jpd_pid"
	jpd_start
	after=$(services 'true')
	[ "$before" = "$after" ] || { echo "# $before: then $after"; return 1; }
	serves 1 '.port == 7635 and .state == "silent"' && joins_by_and_by 0
}
check a-restart-forgets-nothing restarts

# ---- it changes its port, and its mode ------------------------------------------------------------

# Asked anew it names another port: the old one is announced no more.
changes_port() {
	stop "$first"
	jpreg_start 7636 5684
	play third gateway gw0 --link='rt=brski.rjp <jpy://[2001:db8:2::52]:7636>;rt=brski.rjp'
	anew
	wait_for serves 1 '.port == 7636 and .state == "serving"' &&
		wait_for serves 1 '.port == 7634 and .state == "retired"' &&
		[ "$(found_port 0)" = "$(status '.services[] | select(.port == 7636) | .join_port')" ] &&
		joins 0
}
check a-changed-port-is-followed changes_port

finish
