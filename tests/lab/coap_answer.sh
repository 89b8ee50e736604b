#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Pledges find the proxy by CoAP: coap_answer_test announces what it is told to, and
# libcoap's own client asks, as do datagrams that no client sends.
# shellcheck disable=SC2086,SC2317 # words of hex and numbers; called through check
JPX_LAB=answer-coap
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/coap_answer_test" coap-client-openssl /usr/bin/python3
datagrams=$(dirname "$0")/lib/datagrams.py

# GET /.well-known/core?brski-jp=*: NON, MID 1234, token 5a (its bytes are in vectors.json).
path=bb2e77656c6c2d6b6e6f776e04636f7265
query=510112345a${path}4a6272736b692d6a703d2a

lab_up 2
addr0=$(pj_address pj0)
addr1=$(pj_address pj1)
peer0=$(lab_link_local pledge pl0)

# ---- the way and what it is told ----------------------------------------------

mkfifo "$work/words"
# Its own memory is measured: what a sanitizer keeps of freed memory is not to count.
ASAN_OPTIONS=quarantine_size_mb=1 nsenter --net="/run/netns/$lab-proxy" \
	"$build/tests/coap_answer_test" <"$work/words" >"$work/answer.log" 2>&1 &
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

# ---- asking ---------------------------------------------------------------------

# get WHO IF ADDR QUERY [OPTION...]: what the client prints within the time that an answer has
get() {
	local who=$1 ifname=$2 to=$3 filter=$4
	shift 4
	in_ns "$who" timeout 10 coap-client-openssl -B "${seconds:-1}" -m get "$@" \
		"coap://[$to%$ifname]/.well-known/core${filter:+?$filter}" 2>"$work/client.log"
}

# By a group the client takes no answer for the last: a second is what each takes.
group() { # IF QUERY [OPTION...]
	local ifname=$1 filter=$2
	shift 2
	get pledge "$ifname" ff02::fd "$filter" -N "$@"
}

own() { # QUERY [OPTION...]: unicast to pj0
	local filter=$1
	shift
	get pledge pl0 "$addr0" "$filter" "$@"
}

raw() { # WHO IF ADDR HEX [SECONDS]
	local who=$1 ifname=$2 to=$3
	shift 3
	in_ns "$who" /usr/bin/python3 "$datagrams" ask "$ifname" "$to" 5683 "$@" 2>&1
}

is() { # WANTED GOT
	[ "$1" = "$2" ] || { echo "# wanted: $1"; echo "# got:    $2"; return 1; }
}

# ---- names -----------------------------------------------------------------------

jp=57101
new="<>;brski-jp=$jp"
rt() { echo "<coaps://[$1]:$jp>;rt=brski.jp"; }
seed() { echo "<coaps://[$1]:$jp>; rt=\"brski-proxy\""; }

tell leisure 50
tell view "pj0=$addr0=$jp" "pj1=$addr1=$jp"
check group-brski-jp is "$new" "$(group pl0 'brski-jp=*')"
check group-brski.jp is "$(rt "$addr0")" "$(group pl0 rt=brski.jp)"
check group-brski-proxy is "$(seed "$addr0")" "$(group pl0 rt=brski-proxy)"
check group-brski-all is "$(rt "$addr0"),$(seed "$addr0")" "$(group pl0 'rt=brski*')"
check group-no-filter is "$new,$(rt "$addr0"),$(seed "$addr0")" "$(group pl0 '')"
check own-brski-jp is "$new" "$(own 'brski-jp=*')"
check own-brski.jp is "$(rt "$addr0")" "$(own rt=brski.jp)"
check own-brski-proxy is "$(seed "$addr0")" "$(own rt=brski-proxy)"
check own-no-filter is "$new,$(rt "$addr0"),$(seed "$addr0")" "$(own '')"
check other-port-its-own-address is "$(rt "$addr1")" "$(group pl1 rt=brski.jp)"

# All of the datagram but its message id, from the right address and port.
whole_answer() {
	local got want
	want="udp $addr0 5683 5145xxxx5ac128ff3c3e3b6272736b692d6a703d3537313031"
	got=$(raw pledge pl0 ff02::fd $query)
	is "$want" "$(sed -E 's/^(udp .* 51)45....(.*)/\145xxxx\2/' <<<"$got")"
}
check byte-for-byte whole_answer

# ---- who gets no answer -------------------------------------------------------------

silent() { # NAME WHO IF ADDR HEX
	local name=$1
	shift
	check "$name" is "" "$(raw "$@")"
}
silent uplink-group gateway gw0 ff02::fd $query
check uplink-unicast is "icmp 1 4" \
	"$(raw gateway gw0 "$(lab_link_local proxy up0)" $query | cut -d' ' -f1-3)"
silent group-no-match pledge pl0 ff02::fd 510112345a${path}4772743d636f7265
silent group-no-such-rt pledge pl0 ff02::fd 510112345a${path}4872743d6272736b69
silent group-two-filters pledge pl0 ff02::fd ${query}0a6272736b692d6a703d2a
silent group-confirmable pledge pl0 ff02::fd 4101${query:4}
silent group-other-accept pledge pl0 ff02::fd ${query}2132
silent group-post pledge pl0 ff02::fd 5102${query:4}
silent group-other-path pledge pl0 ff02::fd 510112345ab161
silent group-unknown-critical pledge pl0 ff02::fd 510112345a12ffff${path}
silent group-unknown-critical-confirmable pledge pl0 ff02::fd 410112345a12ffff${path}
silent group-cut pledge pl0 ff02::fd ${query:0:40}
silent group-malformed pledge pl0 ff02::fd 59011234
silent group-empty-message pledge pl0 ff02::fd 40001234
silent group-reset pledge pl0 ff02::fd 70001234
check still-answers is "$new" "$(group pl0 'brski-jp=*')"

# ---- what only one asks one -----------------------------------------------------------

# own_code WANTED HEX: the code of the answer, and its content, in hex
own_code() {
	is "$1" "$(raw pledge pl0 "$addr0" "$2" 0.5 | cut -d' ' -f4 | cut -c3-4,11-)"
}
check own-no-match own_code 45c128 410112345a${path}4772743d636f7265
check own-two-filters own_code 45c128 4101${query:4}0a6272736b692d6a703d2a
check own-accept-40 own_code "45c128ff$(printf %s "$new" | od -An -tx1 | tr -d ' \n')" 4101${query:4}2128
check own-other-accept own_code 86 4101${query:4}2132
check own-post own_code 85ff4d6574686f64204e6f7420416c6c6f776564 4102${query:4}
check own-other-path own_code 84ff4e6f7420466f756e64 410112345ab161

# ---- several join ports, blocks ---------------------------------------------------------

many=$(seq -s, 57101 57110)
sorted() { tr , '\n' | sort | paste -sd,; }
tell view "pj0=$addr0=$many" "pj1=$addr1="
all=$(seq -f '<>;brski-jp=%.0f' 57101 57110 | paste -sd,)
check ten-join-ports is "$all" "$(group pl0 'brski-jp=*' | sorted)"
check order-stands is "$(own rt=brski.jp)" "$(own rt=brski.jp)"
whole=$(own '')
check longer-than-a-message [ "${#whole}" -gt 1200 ]
check blocks-of-64 is "$whole" "$(own '' -b 64)"
check blocks-of-16 is "$(own 'brski-jp=*')" "$(own 'brski-jp=*' -b 16)"
seconds=2
check group-in-blocks is "$whole" "$(group pl0 '' | tr -d '\n')"
check group-blocks-of-64 is "$whole" "$(group pl0 '' -b 64)"
seconds=1
# Who asks for the next block the moment it has the first is heard, each time.
check follow-ups-are-heard is "50 of 50" "$(in_ns pledge /usr/bin/python3 "$datagrams" follow pl0 ff02::fd \
	5683 $query 51014321${query:8} 50)"
talks_end() { # the sockets that blocks were asked of
	! in_ns proxy ss -Hun state established 'sport = :5683' | grep -q .
}
check group-leaves-no-socket wait_for talks_end
silent group-block-that-is-not-there pledge pl0 ff02::fd ${query}8203f6

# ---- nothing to announce ------------------------------------------------------------------

silent no-join-port-group pledge pl1 ff02::fd $query
check no-join-port-own is 45c128 \
	"$(raw pledge pl1 "$addr1" 4101${query:4} 0.5 | cut -d' ' -f4 | cut -c3-4,11-)"
ask_eight() { # SECONDS: in parallel, into $work/eight.*
	local i asker askers=()
	rm -f "$work"/eight.*
	for i in 1 2 3 4 5 6 7 8; do
		raw pledge pl0 ff02::fd $query "$1" >"$work/eight.$i" &
		askers+=($!)
	done
	for asker in "${askers[@]}"; do wait "$asker"; done
}
answers_of_eight() {
	cat "$work"/eight.* | grep -c "^udp $addr0"
}
withdrawn_in_time() { # what was asked before and is to be answered after it ended
	tell leisure 2000
	ask_eight 3 &
	local asker=$! before
	sleep 0.7
	tell view "pj0=$addr0=" "pj1=$addr1=$jp"
	sleep 0.1
	before=$(answers_of_eight)
	wait $asker
	tell leisure 50
	echo "# $before of 8 before"
	[ "$before" -lt 8 ] && is "$before" "$(answers_of_eight)"
}
tell view "pj0=$addr0=$jp" "pj1=$addr1=$jp"
check withdrawn-while-waiting withdrawn_in_time
tell view "pj0=$addr0=$jp"
silent port-detached-group pledge pl1 ff02::fd $query
check port-detached-own is "icmp 1 4" "$(raw pledge pl1 "$addr1" $query | cut -d' ' -f1-3)"
tell off
silent switched-off pledge pl0 ff02::fd $query
tell on
check switched-on is "$new" "$(group pl0 'brski-jp=*')"

# ---- leisure ------------------------------------------------------------------------------

answers_within() { # SECONDS: of eight
	ask_eight "$1"
	answers_of_eight
}
tell leisure 2000
check leisure-is-taken [ "$(answers_within 0.5)" -lt 8 ]
check leisure-ends is 8 "$(answers_within 2.5)"
tell leisure 0
check leisure-of-ethernet is 8 "$(answers_within 0.6)"
tell leisure 50

# ---- another address ------------------------------------------------------------------------

# The kernel prefers the address that was added last; pledges shall use the other.
ns_ip proxy addr add fe80::2/64 dev pj0 nodad
kernels_choice() {
	in_ns proxy ip -6 route get "$peer0" oif pj0 | sed -n 's/.* src \([^ ]*\).*/\1/p'
}
check kernel-would-answer-from-another is fe80::2 "$(kernels_choice)"
source_of_answer() {
	raw pledge pl0 ff02::fd $query | cut -d' ' -f2
}
check from-the-address-to-use is "$addr0" "$(source_of_answer)"
silent_unicast=$(raw pledge pl0 fe80::2 $query | cut -d' ' -f1-3)
check other-address-is-not-served is "icmp 1 4" "$silent_unicast"
tell view "pj0=fe80::2=$jp"
check follows-the-address is fe80::2 "$(source_of_answer)"
check follows-the-address-in-links is "$(rt fe80::2)" "$(group pl0 rt=brski.jp)"
check old-address-is-let-go is "icmp 1 4" "$(raw pledge pl0 "$addr0" $query | cut -d' ' -f1-3)"
tell view "pj0=$addr0=$jp"
ns_ip proxy addr del fe80::2/64 dev pj0

# ---- a port that is taken -------------------------------------------------------------------

tell off
spawn proxy holder /usr/bin/python3 "$datagrams" hold 5683
holder=$spawned
wait_for has held "$work/holder.log"
tell on
tell view "pj0=$addr0=$jp"
check taken-is-said has "another program has UDP port 5683 for itself" "$work/answer.log"
check taken-is-no-answer is "" "$(raw pledge pl0 ff02::fd $query)"
sleep 11 # it was tried again by now
answers() { [ "$(group pl0 'brski-jp=*')" = "$new" ]; }
stop "$holder"
check tried-again wait_for answers
check taken-is-said-once is 1 "$(grep -c 'another program has' "$work/answer.log")"

# ---- floods ------------------------------------------------------------------------------------

resident() { # kB
	awk '/^VmRSS/ { print $2 }' "/proc/$way/status"
}

descriptors() {
	find "/proc/$way/fd" -mindepth 1 | wc -l
}

cat >"$work/flood" <<END
$query
510112345a${path}
4101${query:4}
510112345a12ffff${path}
59011234
510112345a${path}4772743d636f7265
END
flood() { # ADDR N
	in_ns pledge /usr/bin/python3 "$datagrams" flood pl0 "$1" 5683 "$2" "$work/flood" \
		>"$work/flood.log" 2>&1
}

idle() { # the way has read all that was sent
	in_ns proxy ss -Hlun 'sport = :5683' | awk '{ left += $2 } END { exit left > 0 }'
}

bounded() { # N: kB more than before, at most
	local now
	now=$(resident)
	echo "# resident: $before kB, then $now kB"
	[ $((now - before)) -lt "$1" ]
}

# Its tables and the sanitizer's shadow of them are there from a first, small flood on.
tell view "pj0=$addr0=$jp" "pj1=$addr1=$jp"
tell leisure 5000
flood ff02::fd 2000
flood "$addr0" 2000
wait_for idle
wait_for talks_end
before=$(resident)
fds=$(descriptors)
check flood-of-the-group flood ff02::fd 100000
# shellcheck disable=SC2016 # awk's
discards() {
	in_ns proxy awk '$1 == "Ip6OutDiscards" { print $2 }' /proc/net/snmp6
}
discarded=$(discards)
spawn pledge flooder /usr/bin/python3 "$datagrams" flood pl0 "$addr0" 5683 100000000 "$work/flood"
flooder=$spawned
sleep 4
tell leisure 50
other_answers() { [ "$(group pl1 'brski-jp=*')" = "$new" ]; }
check flood-of-the-address-other-port-answers other_answers
check flood-goes-on alive "$flooder"
stop "$flooder"
# An error to each of them, and the table of neighbours is full: nothing leaves any more.
discarded=$(($(discards) - discarded))
echo "# discarded for want of a neighbour: $discarded"
check table-of-neighbours-is-not-full [ "$discarded" -lt 2000 ]
wait_for idle
check memory-stays bounded 4096
check descriptors-are-few [ "$(descriptors)" -le $((fds + 64)) ]
descriptors_are_back() { [ "$(descriptors)" = "$fds" ]; }
check descriptors-come-back wait_for descriptors_are_back
check flood-is-said has "more CoAP datagrams than" "$work/answer.log"
tell leisure 50
check answers-after-a-flood wait_for answers
check no-line-for-each-query [ "$(wc -l <"$work/answer.log")" -lt 200 ]

exec 7>&-
wait "$way"
check ends-well is 0 $?
finish
