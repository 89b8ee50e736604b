#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# jpledge sees what pledges see: proxies that answer CoAP and flood GRASP, merged; and what
# no proxy would say does it no harm.
# shellcheck disable=SC2086,SC2317 # words of hex and numbers; called through check
JPX_LAB=answer-jpledge
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/jpledge" "$build/tests/coap_answer_test" /usr/bin/python3 setpriv script
datagrams=$(dirname "$0")/lib/datagrams.py

patience=${JPX_PATIENCE:-1} # a slow guest takes longer to say and to hear
lab_up 2
addr0=$(pj_address pj0)
addr1=$(pj_address pj1)

mkfifo "$work/words"
nsenter --net="/run/netns/$lab-proxy" "$build/tests/coap_answer_test" <"$work/words" \
	>"$work/answer.log" 2>&1 &
way=$!
pids+=("$way")
exec 7>"$work/words"
told=0

tell() { # WORD...: returns when it is so
	echo "$*" >&7
	told=$((told + 1))
	wait_for told_all
}

told_all() {
	[ "$(grep -c '^done$' "$work/answer.log")" = $told ]
}

discover() { # IF [OPTION...]: the exit status is in $status
	in_ns pledge timeout 30 "$build/jpledge" discover "$@" >"$work/out" 2>"$work/discover.log"
	status=$?
}

# The same, without any right that root has.
discover_without_rights() {
	in_ns pledge setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \
		timeout 30 "$build/jpledge" discover "$@" >"$work/out" 2>"$work/discover.log"
	status=$?
}

# flood LOOP ADDR PORT: a flood of AN_Proxy, from pj0, in hex
flood() {
	/usr/bin/python3 - "$@" <<-'END'
		import socket, struct, sys
		loop, addr, port = int(sys.argv[1]), socket.inet_pton(10, sys.argv[2]), int(sys.argv[3])
		print((bytes.fromhex("85091a00bc4e4f50") + addr + bytes.fromhex("1a0002bf20828468") +
		       b"AN_Proxy" + bytes([4, loop, 0x68]) + b"DTLS-EST" +
		       bytes.fromhex("84186750") + addr + b"\x11\x19" + struct.pack("!H", port)).hex())
	END
}

send_floods() { # FILE: once jpledge listens
	wait_for udp_bound pledge 7017
	in_ns proxy /usr/bin/python3 "$datagrams" send pj0 ff02::13 7017 "$1"
}

is() { # WANTED GOT
	[ "$1" = "$2" ] || { echo "# wanted: $1"; echo "# got:    $2"; return 1; }
}

out() { # JQ-FILTER
	jq -c "$1" <"$work/out"
}

# ---- what is there --------------------------------------------------------------------

tell leisure 200
tell view "pj0=$addr0=57101" "pj1=$addr1=57201,57202"
flood 1 "$addr0" 57101 >"$work/floods"
flood 1 "$addr0" 57999 >>"$work/floods"

send_floods "$work/floods" &
sender=$!
pids+=("$sender")
discover pl0 --json --seconds $((3 * patience))
wait "$sender"
check finds-by-all-ways is \
	"[[\"$addr0\",57101,[\"coap brski-jp\",\"coap rt=brski-proxy\",\"coap rt=brski.jp\",\"grasp AN_Proxy DTLS-EST\"]],[\"$addr0\",57999,[\"grasp AN_Proxy DTLS-EST\"]]]" \
	"$(out '[.proxies[] | [.address, .port, [.methods[] | "\(.way) \(.by)"]]]')"
check status-found is 0 $status
check json-head is "[1,\"pl0\",false,[[\"coap\",true,\"\",0],[\"grasp\",true,\"\",0]]]" \
	"$(out '[.version, .ifname, .cut, [.ways[] | select(.way != "mdns") | [.way, .ok, .error, .refused]]]')"

discover pl1 --way coap --seconds 2
check table is "$addr1 57201 coap brski-jp, rt=brski-proxy, rt=brski.jp
$addr1 57202 coap brski-jp, rt=brski-proxy, rt=brski.jp" \
	"$(sed -n '2,$ { s/  */ /gp }' "$work/out")"
check table-status is 0 $status
check no-progress-in-a-file is "" "$(cat "$work/discover.log")"

discover pl0 --json --way grasp --seconds 1
check one-way-alone is '["grasp"]' "$(out '[.ways[].way]')"
check nothing-found-status is 1 $status
check nothing-found-json is '[]' "$(out .proxies)"
check nothing-found-tells has 'try --seconds 65' "$work/discover.log"

send_floods "$work/floods" &
sender=$!
pids+=("$sender")
discover_without_rights pl0 --json --seconds $((3 * patience))
wait "$sender"
check needs-no-rights is '[57101,57999]' "$(out '[.proxies[].port]')"

# ---- a person ---------------------------------------------------------------------------

interrupted() {
	local pid began=$SECONDS
	spawn pledge interrupted "$build/jpledge" discover pl0 --seconds 60
	pid=$spawned
	wait_for udp_bound pledge 7017
	sleep 4 # it asks again after 2 s
	kill -INT "$pid"
	wait "$pid" && has "$addr0  *57101" "$work/interrupted.log" && [ $((SECONDS - began)) -lt 20 ]
}
check ctrl-c-prints-what-was-found interrupted
in_ns pledge script -qec "$build/jpledge discover pl0 --seconds 4" /dev/null </dev/null >"$work/tty" 2>&1
check progress-on-a-terminal has 'pl0: 3 of 4 s, found 1' "$work/tty"
discover nosuch
check no-such-interface has 'no such interface' "$work/discover.log"
check no-such-interface-status is 1 $status
discover lo
check no-link-local has 'has no link-local address' "$work/discover.log"
discover pl0 --way cosp
check wrong-way has 'did you mean coap' "$work/discover.log"
check wrong-usage-status is 2 $status
discover pl0 --seconds 0
check wrong-seconds is 2 $status

shared() { # two at once hear the same floods
	spawn pledge first "$build/jpledge" discover pl0 --json --way grasp --seconds $((3 * patience))
	local first=$spawned
	wait_for udp_bound pledge 7017
	(sleep 1; in_ns proxy /usr/bin/python3 "$datagrams" send pj0 ff02::13 7017 "$work/floods") &
	local sender=$!
	discover pl0 --json --way grasp --seconds $((2 * patience))
	wait "$sender" "$first"
	[ "$(out '.proxies | length')" = 2 ] && [ "$(jq '.proxies | length' "$work/first.log")" = 2 ]
}
check shares-the-port shared
taken() {
	spawn pledge holder /usr/bin/python3 "$datagrams" hold 7017
	wait_for has held "$work/holder.log"
	discover pl0 --json --seconds $((2 * patience))
	stop "$spawned"
	[ "$(out '[.ways[] | select(.way != "mdns") | .ok]')" = "[true,false]" ] && [ $status = 0 ] &&
		has "has it for itself" "$work/discover.log"
}
check a-way-that-fails-is-said taken

# ---- what no proxy would say ----------------------------------------------------------------

{
	flood 2 "$addr0" 57301    # a loop count that is not for insecure links
	flood 1 fe80::bad 57302   # in somebody else's name
	flood 1 2001:db8::1 57303 # not link-local
	echo 85091a00bc4e4f50     # cut
	printf '9f%.0s' {1..600}  # nested without end
	echo
	flood 1 "$addr0" 57304
} >"$work/hostile"
send_floods "$work/hostile" &
sender=$!
pids+=("$sender")
discover pl0 --json --way grasp --seconds $((2 * patience))
wait "$sender"
check hostile-floods-change-nothing is '[57304]' "$(out '[.proxies[].port]')"
check hostile-floods-are-counted is 5 "$(out '.ways[0].refused')"

for port in $(seq 20001 20400); do flood 1 "$addr0" "$port"; done >"$work/many"
send_floods "$work/many" &
sender=$!
pids+=("$sender")
discover pl0 --json --way grasp --seconds $((4 * patience))
wait "$sender"
check bounded is '[256,true]' "$(out '[(.proxies | length), .cut]')"

tell off
pretend() { # SZX, the lines on standard input
	cat >"$work/lines"
	spawn proxy pretender /usr/bin/python3 "$datagrams" pretend pj0 "$1" "$work/lines"
	pretender=$spawned
	wait_for has listening "$work/pretender.log"
	discover_without_rights pl0 --json --way coap --seconds $((3 * patience))
	stop "$pretender"
}
pretend - <<-END
	<>;brski-jp="57401
	<>;brski-jp=70000
	<>;brski-jp=0
	<>;brski-jp
	<coaps://[2001:db8::1]:57402>;rt=brski.jp
	<coaps://fe80::1:57403>;rt=brski.jp
	<coaps://[ff02::fd]:57404>;rt=brski.jp
	<jpy://[fe80::1]:57405>;rt=brski.jp
	</est>;rt=ace.est
	$(printf '\033[2J')
	<>;brski-jp=57406,<coaps://[fe80::5]>;rt="brski.jp x"
END
check nonsense-changes-nothing is "[[\"$addr0\",57406],[\"fe80::5\",5684]]" \
	"$(out '[.proxies[] | [.address, .port]] | sort_by(.[1]) | reverse')"
check nonsense-is-counted [ "$(out '.ways[0].refused')" -ge 9 ]

pretend 2 <<<"$(seq -f "<>;brski-jp=%.0f" 58001 58040 | paste -sd,)"
check answers-in-blocks is '[40,58001,58040]' \
	"$(out '[(.proxies | length), .proxies[0].port, .proxies[-1].port]')"
pretend 2 <<<"$(yes "<>;brski-jp=58001," | head -n 1000 | tr -d "\n")"
check answers-without-end is '[0,true]' "$(out '[(.proxies | length), (.ways[0].refused > 0)]')"

exec 7>&-
wait "$way"
finish
