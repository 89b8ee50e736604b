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

vector() { # NAME: its bytes
	jq -r --arg name "$1" '.. | objects | select(.name? == $name) | .hex' tests/unit/vectors.json
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

# ---- an interface that becomes a pledge port ----------------------------------------

found_at() { # ADDRESS
	jp --json registrar list | jq -e --arg at "$1" '(.found // [])[], (.services[] |
		select(.state != "retired")) | select(.address == $at)' >/dev/null
}
not_found_at() {
	! found_at "$1"
}
# What was said on pj1 while it was an uplink like any other is forgotten.
forgets_what_was_said_there() {
	ns_ip proxy addr add 2001:db8:67::2/64 dev pj1 nodad
	play early pledge pl1 --flood='AN_join_registrar BRSKI_RJP 7999' \
		--initiator=2001:db8:77::1 --every=1
	wait_for found_at 2001:db8:77::1 || return 1
	jp attach pj1 >>"$work/attach.log" 2>&1 && wait_for not_found_at 2001:db8:77::1 &&
		sleep 2 && not_found_at 2001:db8:77::1
}
check what-was-said-before-is-forgotten forgets_what_was_said_there

# A bridge that a pledge port is in hears what pledges say, and is no uplink.
in_a_bridge() {
	ns_ip proxy addr del 2001:db8:67::2/64 dev pj1
	ns_ip proxy link add br0 type bridge || return 1
	ns_ip proxy link set br0 up
	ns_ip proxy addr add 2001:db8:67::2/64 dev br0 nodad
	ns_ip proxy link set pj1 master br0
	stop "$played"
	play bridged pledge pl1 --flood='AN_join_registrar BRSKI_RJP 7998' \
		--initiator=2001:db8:77::2 --every=1
	sleep 4
	stop "$played"
	not_found_at 2001:db8:77::2 || return 1
	ns_ip proxy link del br0
}
check a-bridge-over-a-pledge-port-is-no-uplink in_a_bridge

begins_anew() { # with nothing retired, and what first says
	jpd_stop && jpd_start && jp attach pj0 >>"$work/attach.log" 2>&1 &&
		wait_for serves 1 '.state == "serving" and .port == 7634'
}
check a-new-start begins_anew

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

# ---- what an operator may do with it -----------------------------------------------------

# It would be found again at once: said, and not done.
cannot_be_deleted() {
	local before
	before=$(status '.services[0].uplink_port')
	jp registrar del coap-1 >"$work/del.log" 2>&1
	[ $? = 1 ] && has 'would be found again' "$work/del.log" &&
		[ "$(status '.services[0].uplink_port')" = "$before" ]
}
check a-discovered-one-is-not-deleted cannot_be_deleted

# A port that names the Registrar by its address has a service that stays; the other port goes on
# with the one that was found.
named_by_address() {
	jp detach pj1 >>"$work/attach.log" 2>&1
	jp attach pj1 --registrar '[2001:db8:2::52]:7634' >>"$work/attach.log" 2>&1 || return 1
	[ "$(status '.ports[] | select(.ifname == "pj1") | .join_ports[].service')" = r1 ] || return 1
	anew
	sleep 1
	serves 1 '.source == "coap" and .state == "serving"' &&
		serves 1 '.name == "r1" and .state == "serving"' && joins 0 && joins 1 || return 1
	jp detach pj1 >>"$work/attach.log" 2>&1
	serves 0 '.name == "r1"' && jp attach pj1 >>"$work/attach.log" 2>&1
}
check named-by-its-address-it-stays named_by_address

# Configured under a name of its own it keeps its join port; and back.
taken_over() {
	local before
	before=$(join_port pj0 0)
	jp registrar add mine '[2001:db8:2::52]:7634' >>"$work/attach.log" 2>&1 || return 1
	[ "$(services 'true')" = mine ] && [ "$(join_port pj0 0)" = "$before" ] && joins 0 || return 1
	jp registrar del mine >>"$work/attach.log" 2>&1
	wait_for serves 1 '.source == "coap" and .state == "serving"'
}
check configured-it-keeps-its-join-port taken_over

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

# A bridge that a pledge port is in hears what pledges say.
bridged() {
	in_ns proxy sh -c 'ip link add br0 type bridge && ip link set br0 up &&
		ip addr add 2001:db8:44::1/64 dev br0 nodad' || return 1
	wait_for looks_on 'up0 br0' || return 1
	in_ns proxy ip link set pj1 master br0
	wait_for looks_on up0 && sleep 1 && looks_on up0 || return 1
	in_ns proxy ip link del br0
}
looks_on() { # NAMES
	[ "$(jp --json registrar list | jq -r '.looking_on | join(" ")')" = "$1" ]
}
check nor-on-a-bridge-of-pledge-ports bridged

# ---- several --------------------------------------------------------------------------------

# A second Registrar beside the first: two join ports, and a pledge gets through by each.
jpreg_start 7635 5684
announces() { # N COUNT
	[ "$(ask "$1" 'brski-jp=*' | grep -o brski-jp= | wc -l)" = "$2" ]
}
second_joins() {
	play second gateway gw0 --port=5690 \
		--flood='AN_join_registrar BRSKI_RJP 7635' --initiator=2001:db8:2::52 --every=1
	wait_for serves 1 '.state == "serving" and .source == "grasp" and .port == 7635' || return 1
	# Announced beside one that answers as soon as it has answered, too.
	wait_for announces 0 2 &&
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
	announces 0 1 && joins 0
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
	# What was said less than two seconds before a question counts as if it answered that.
	sleep 3
	anew
	wait_for serves 1 '.port == 7636 and .state == "serving"' &&
		wait_for serves 1 '.port == 7634 and .state == "retired"' &&
		[ "$(found_port 0)" = "$(status '.services[] | select(.port == 7636) | .join_port')" ] &&
		joins_by_and_by 0
}
check a-changed-port-is-followed changes_port

# ---- both modes -----------------------------------------------------------------------------------

# A Registrar without a JPY port.  While a stateless one is there it stands by; where the operator
# wants stateful mode it serves.
stands_by() {
	spawn registrar coaps coap-server-openssl -A 2001:db8:2::52 -p 5683 -k secretPSK
	wait_for udp_bound registrar 5684
	play stateful gateway gw0 --port=5691 --flood='AN_join_registrar BRSKI_JP 5684' \
		--initiator=2001:db8:2::52 --every=1
	wait_for found_why 'stands by: a stateless one is there' && serves 0 '.mode == "stateful"'
}
found_why() { # WHY
	jp --json registrar list | jq -e --arg why "$1" '.found[] | select(.why == $why)' >/dev/null
}
check stateless-wins stands_by

serves_statefully() {
	echo 'discovery { mode = stateful }' >"$work/jpd.conf"
	anew
	wait_for serves 1 '.mode == "stateful" and .source == "grasp" and .state == "serving"' &&
		wait_for serves 0 '.mode == "stateless" and .state == "serving"' &&
		[ "$(found_port 0)" = "$(status '.services[] | select(.mode == "stateful") | .join_port')" ] &&
		joins 0
}
check the-mode-is-the-operators serves_statefully

# ---- what is configured comes first ---------------------------------------------------------------

# Where a Registrar is configured nobody else is looked for, and who was found is announced no more.
configured_alone() {
	jp registrar add main '[2001:db8:2::52]:7634' >>"$work/attach.log" 2>&1 || return 1
	wait_for serves 0 '.source != "config" and .state != "retired"' &&
		[ "$(jp --json registrar list | jq .looking)" = false ] &&
		[ "$(found_port 0)" = "$(status '.services[] | select(.name == "main") | .join_port')" ] &&
		joins 0
}
check a-configured-one-needs-no-other configured_alone

# floods COUNT TTL PACED GAP HEX: as many Registrars by GRASP, each with an initiator of its own (of HEX, 16
# bits) and by five senders, which stand for TTL ms; the first PACED of them GAP seconds apart
floods() {
	local i
	for i in 1 2 3 4 5; do
		in_ns gateway ip addr replace "fe80::66:$i/64" dev gw0 nodad || return 1
	done
	# shellcheck disable=SC2016 # python's
	in_ns gateway python3 -c '
import socket, struct, sys, time
base = bytes.fromhex(sys.argv[1])
assert base
count, ttl, paced = map(int, sys.argv[2:5])
gw0 = socket.if_nametoindex("gw0")
senders = []
for i in range(5):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, gw0)
    s.bind(("fe80::66:%d" % (i + 1), 0, 0, gw0))
    senders.append(s)
for i in range(count):
    addr = bytes.fromhex("20010db8" + sys.argv[6]) + struct.pack("!HQ", 0, i + 1)
    senders[i % 5].sendto(base.replace(bytes.fromhex("fda379a6f6ee00000200000064000001"), addr)
             .replace(bytes.fromhex("03167847"), struct.pack("!I", 0x20000000 + i))
             .replace(bytes.fromhex("0002bf20"), struct.pack("!I", ttl)),
             ("ff02::13", 7017))
    if i < paced:
        time.sleep(float(sys.argv[5]))
' "$(vector jp12.AN_join_registrar.BRSKI_RJP)" "$@"
}

# Registrars that come and are gone at once, more than there are services: the next one is served.
fleeting() {
	echo 'discovery { registrars = yes }' >"$work/jpd.conf"
	anew
	floods 250 1000 250 0.06 0078 || return 1
	play lasting gateway gw0 --port=5692 --flood='AN_join_registrar BRSKI_RJP 7640' \
		--initiator=2001:db8:2::52 --every=1
	wait_for serves 1 '.source == "grasp" and .port == 7640 and .state != "retired"' || return 1
	stop "$played"
}
check who-is-gone-at-once-keeps-no-place fleeting

# Ten thousand Registrars, while discovery is on, too: the first ones within what is read in a second.
flooded() {
	local served found
	echo 'discovery { registrars = yes }' >"$work/jpd.conf"
	anew
	floods 10000 180000 200 0.025 0077 || return 1
	sleep 2
	served=$(services '.source != "config" and .state != "retired"' | wc -w)
	found=$(jp --json registrar list | jq '.found | length')
	# As many as are served at most.
	[ "$served" -ge 7 ] && [ "$served" -le 8 ] && [ "$found" -ge 40 ] && [ "$found" -le 64 ] ||
		{ echo "# $served served, $found found"; return 1; }
	serves 1 '.name == "main" and .state == "serving"' &&
		[ "$(found_port 0)" = "$(status '.services[] | select(.name == "main") | .join_port')" ] &&
		joins 0
}
check ten-thousand-are-bounded-and-the-configured-one-stays flooded

finish
