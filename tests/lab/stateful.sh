#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# Real DTLS through flows, by each engine: unmodified clients and servers of libcoap
# and OpenSSL at both ends, a hundred pledges at once, links that lose and disturb
# datagrams, both families on both sides, both of the seeds' configurations, and
# both modes side by side on one pledge port.
JPX_LAB=t-stateful
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs openssl coap-client-openssl coap-server-openssl "$build/tests/crowd" "$build/tests/echo" \
	"$build/tests/lossy"

registrar6=2001:db8:2::52
registrar4=198.51.100.52
# A guest that is slower than its host is no place for a hundred processes.
pledges=$((${JPX_PATIENCE:-1} > 1 ? 20 : 100))

# Since the last start of jpd this engine alone relayed.  One right checksum in 65535 looks like
# one that was left to hardware, and is handed off: that many, and no more, are the other's.
by_engine() { # XDP
	local fast sock partial
	fast=$(stats .fast_path.packets)
	sock=$(stats .socket.packets)
	partial=$(stats .handoffs.checksum_partial)
	if [ "$1" = off ]; then
		[ "$fast" = 0 ] && [ "$sock" -gt 5 ]
	else
		[ "$fast" -gt 5 ] && [ "$sock" = "$partial" ]
	fi && return 0
	echo "# $fast packets by the fast path, $sock by the socket engine"
	stats '.handoffs | to_entries[] | select(.value > 0) | "# \(.key)=\(.value)"'
	return 1
}

# Each pledge of a crowd has a flow of its own, and no two of them one port.
flows_of_their_own() { # N
	local flows
	flows=$(jp --json flows --limit 0 | jq -c '[.flows[] | select(.pledge | test("::c:0:"))]')
	[ "$(jq length <<<"$flows")" = "$1" ] &&
		[ "$(jq '[.[] | .uplink_port] | unique | length' <<<"$flows")" = "$1" ] &&
		[ "$(jq '[.[] | .pledge] | unique | length' <<<"$flows")" = "$1" ] && return 0
	jq -r '.[] | "# \(.pledge) \(.uplink_port)"' <<<"$flows" | head -n 5
	return 1
}

# What the server sees: as many peers as there are pledges' sockets, each always the same.
own_peers() { # TARGET
	local echo_pid result
	spawn registrar echo "$build/tests/echo" "[$registrar6]:5693"
	echo_pid=$spawned
	wait_for udp_bound registrar 5693
	in_ns pledge "$build/tests/crowd" "$1" --pledges 100 --per-pledge 2 --rounds 10 >"$work/crowd.json"
	stop "$echo_pid"
	result=$(jq -r '"\(.sent) \(.answered) \(.wrong)"' "$work/crowd.json")
	[ "$result" = "2000 2000 0" ] || echo "# sent, answered, wrong: $result"
	[ "$result" = "2000 2000 0" ] &&
		[ "$(jq -r '"\(.datagrams) \(.pairs) \(.collisions)"' <(grep '^{' "$work/echo.log"))" = "2000 200 0" ]
}

# A crowd of handshakes at once over links that lose PERCENT of all datagrams each way and hold
# others back.  Who gives up after 40 s tries again, as pledges do: one in a hundred may, at 10 %.
lossy() { # PERCENT JOIN-PORT
	local near far good=0 lost
	spawn pledge lossy-near "$build/tests/lossy" pl0 --loss "$1" --reorder 5 --seed 11
	near=$spawned
	spawn registrar lossy-far "$build/tests/lossy" rg0 --loss "$1" --reorder 5 --seed 12
	far=$spawned
	wait_for has 'on pl0' "$work/lossy-near.log" && wait_for has 'on rg0' "$work/lossy-far.log" &&
		coap_tries=3 coap_seconds=40 crowd $pledges "$2" -B 40 && good=1
	stop "$near"
	stop "$far"
	lost=$(cat "$work/lossy-near.log" "$work/lossy-far.log" | grep '^{' | jq -s '[.[].lost] | add')
	[ "$1" = 1 ] || [ "$lost" -gt 10 ] || { echo "# only $lost datagrams were lost"; return 1; }
	[ "$good" = 1 ]
}

intercepted() { # TARGET: the Registrar's own address and port
	certificate "$1" "$1"
}

get_from() { # URL-HOST: a whole handshake and an answer
	local log
	log=$(mktemp "$work/coap.XXXXXX.log")
	in_ns pledge timeout 15 coap-client-openssl -B 10 -u me -k secretPSK "coaps://$1/time" >"$log" 2>&1
	has '^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]$' "$log"
}

all_of() { # N: that many services, and each serves
	[ "$(status '[.services[] | select(.state == "serving")] | length')" = "$1" ]
}

lab_up 1
crowd_addresses 100 >"$work/addrs"
ns_ip pledge -6 -batch "$work/addrs"
# IPv4 everywhere, too.
ns_ip pledge addr add 169.254.7.1/16 dev pl0
ns_ip proxy addr add 169.254.7.254/16 dev pj0
ns_ip proxy addr add 192.0.2.2/24 dev up0
ns_ip gateway addr add 192.0.2.1/24 dev gw0
ns_ip gateway addr add 198.51.100.1/24 dev gw1
ns_ip registrar addr add $registrar4/24 dev rg0
ns_ip proxy route add default via 192.0.2.1
ns_ip registrar route add default via 198.51.100.1
in_ns gateway sysctl -qw net.ipv4.ip_forward=1
make_certificate
spawn registrar server6 coap-server-openssl -A $registrar6 -p 5683 -k secretPSK
spawn registrar server4 coap-server-openssl -A $registrar4 -p 5683 -k secretPSK
spawn registrar local coap-server-openssl -A ::1 -p 5695 -k secretPSK
check servers-up wait_for eval 'in_ns registrar ss -Hlun "sport = :5684" | grep -q 198.51 && \
	in_ns registrar ss -Hlun "sport = :5684" | grep -q 2001: && udp_bound registrar 5696'

for xdp in auto off; do
	check "jpd-$xdp" jpd_start
	check "attach-$xdp" attach pj0 --registrar "[$registrar6]:5684" --mode stateful \
		--max-flows 1000 --xdp "$xdp"
	port=$(join_port pj0 0)
	check "psk-$xdp" coap_get 0 "$port"
	check "crowd-at-once-$xdp" crowd $pledges "$port" -B 30
	check "crowd-of-flows-$xdp" flows_of_their_own $pledges
	attach pj0 --registrar "[$registrar6]:5690" --mode stateful --xdp "$xdp"
	check "certificate-$xdp" certificate "[$registrar6]:5690" "[$(pj_address pj0)%pl0]:$(join_port pj0 1)"
	attach pj0 --registrar "[$registrar6]:5693" --mode stateful --xdp "$xdp"
	jp flows flush >>"$work/attach.log"
	check "own-peers-$xdp" own_peers "[$(pj_address pj0)%pl0]:$(join_port pj0 2)"
	check "by-one-engine-$xdp" by_engine "$xdp"
	check "no-drops-$xdp" no_drops
	jp flows flush >>"$work/attach.log"
	for percent in 1 10; do check "loss-$percent-$xdp" lossy "$percent" "$port"; done
	check "stop-$xdp" jpd_stop

	# Both modes on one pledge port, at the same time.
	jpd_start
	jpreg_start 7634 5696
	attach pj0 --registrar "[$registrar6]:5684" --mode stateful --xdp "$xdp"
	attach pj0 --registrar "[$registrar6]:7634" --mode stateless --xdp "$xdp"
	coap_get 0 "$(join_port pj0 0)" &
	first=$!
	check "stateless-beside-$xdp" coap_get 0 "$(join_port pj0 1)"
	check "stateful-beside-$xdp" wait "$first"
	check "both-modes-$xdp" test "$(status '[.services[].mode] | sort | join(" ")')" = "stateful stateless"
	check "beside-by-one-engine-$xdp" by_engine "$xdp"
	check "beside-stop-$xdp" jpd_stop
	stop "$jpreg_pid"

	# Both families on both sides, in both modes.
	jpd_start
	jpreg_start 7635 5696
	jp attach pj0 --registrar "[$registrar6]:5684" --mode stateful --xdp "$xdp" >>"$work/attach.log"
	jp attach pj0 --registrar "$registrar4:5684" --mode stateful --xdp "$xdp" >>"$work/attach.log"
	n=2
	for form in draft-02 draft-06 draft-21 draft-01; do
		jp attach pj0 --registrar "$registrar4:7635" --jpy $form --xdp "$xdp" >>"$work/attach.log"
		n=$((n + 1))
	done
	jp attach pj0 --registrar "[$registrar6]:7635" --jpy draft-06 --xdp "$xdp" >>"$work/attach.log"
	check "families-attach-$xdp" wait_for all_of $((n + 1))
	for pledge in "[$(pj_address pj0)%pl0]" 169.254.7.254; do
		of=4
		[ "$pledge" = 169.254.7.254 ] || of=6
		check "ipv$of-to-ipv6-stateful-$xdp" get_from "$pledge:$(join_port pj0 0)"
		check "ipv$of-to-ipv4-stateful-$xdp" get_from "$pledge:$(join_port pj0 1)"
		i=2
		for form in draft-02 draft-06 draft-21 draft-01; do
			check "ipv$of-to-ipv4-$form-$xdp" get_from "$pledge:$(join_port pj0 $i)"
			i=$((i + 1))
		done
		check "ipv$of-to-ipv6-draft-06-$xdp" get_from "$pledge:$(join_port pj0 $i)"
	done
	check "families-no-drops-$xdp" no_drops
	check "families-stop-$xdp" jpd_stop
	stop "$jpreg_pid"

	# Pledges that know the Registrar, and send there through the proxy as their router.
	jpd_start
	in_ns proxy sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1
	ns_ip pledge -6 route replace $registrar6 via "$(pj_address pj0)" dev pl0
	ns_ip pledge route replace $registrar4 via 169.254.7.254 dev pl0
	attach pj0 --registrar "[$registrar6]:5690" --mode stateful --intercept --xdp "$xdp"
	attach pj0 --registrar "$registrar4:5684" --mode stateful --intercept --xdp "$xdp"
	check "intercepted-$xdp" intercepted "[$registrar6]:5690"
	check "intercepted-ipv4-$xdp" get_from "$registrar4:5684"
	check "beside-intercepted-$xdp" certificate "[$registrar6]:5690" "[$(pj_address pj0)%pl0]:$(join_port pj0 0)"
	check "intercepted-by-one-engine-$xdp" by_engine "$xdp"
	check "intercepted-no-drops-$xdp" no_drops
	check "intercepted-stop-$xdp" jpd_stop
	check "no-rules-left-$xdp" test -z "$(ns_ip proxy -6 rule | grep 5684; ns_ip proxy rule | grep 5684)"
	ns_ip pledge -6 route del $registrar6
	ns_ip pledge route del $registrar4
	in_ns proxy sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv4.ip_forward=0
done
finish
