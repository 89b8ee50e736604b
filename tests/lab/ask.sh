#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Registrars asked for by CoAP and heard of by GRASP, and join ports flooded by GRASP:
# coap_ask.c and grasp_way.c in ask_test, against registrar_play, coap-server and
# grasp_peer.py.  Each uplink has its own Registrar with habits of its own, so that all of
# them have their time at once.
JPX_LAB=t-ask
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
play=$build/tests/registrar_play ask_test=$build/tests/ask_test
peer=(/usr/bin/python3 "$(dirname "$0")/lib/grasp_peer.py")
coap_peer=(/usr/bin/python3 "$(dirname "$0")/lib/coap_peer.py")
needs "$play" "$ask_test" /usr/bin/python3 coap-server-openssl ip

lab_up
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do lab_link proxy "up$i" gateway "g$i"; done
# A second way to the Registrar.
ns_ip proxy addr add 2001:db8:10::2/64 dev up10
ns_ip gateway addr add 2001:db8:10::1/64 dev g10
ns_ip proxy route add 2001:db8:2::/64 via 2001:db8:10::1 dev up10 metric 2000
lab_settle

# ---- what was heard -----------------------------------------------------------

log=$work/ask.log

# Lines of JSON that FILTER selects, as it prints them.
lines() { # FILTER
	grep '^{' "$log" | jq -r "$1"
}

any() { # FILTER
	[ -n "$(lines "select($1)")" ]
}

none() { # FILTER
	! any "$1"
}

said() { # TEXT: in the log
	has "$1" "$log"
}

view() { # LINE...: what ask_test is shown from now on
	printf '%s\n' "$@" >"$work/view"
	[ -n "$ask_pid" ] || return 0
	local before
	before=$(grep -c synced "$log")
	kill -HUP "$ask_pid"
	wait_for synced_since "$before"
}

synced_since() { # COUNT
	[ "$(grep -c synced "$log")" -gt "$1" ]
}

ask_start() { # LINE...
	ask_pid=''
	view "$@"
	spawn proxy ask env ASAN_OPTIONS="detect_leaks=1$keep" "$ask_test" "$work/view"
	ask_pid=$spawned
	wait_for said synced
}

# Well, and with nothing that the sanitizers say.
ask_stop() {
	stop "$ask_pid" || return 1
	ask_pid=''
	! said Sanitizer
}

plays() { # WHO IF ARGUMENT...: its id is in $spawned, its words in play-IF.log
	local who=$1 ifname=$2
	shift 2
	spawn "$who" "play-$ifname" "$play" "$ifname" "$@"
	wait_for has ready "$work/play-$ifname.log"
}

rjp() { # PORT: a line for registrar_play
	echo "rt=brski.rjp <jpy://[2001:db8:2::52]:$1>;rt=brski.rjp"
}

sockets() { # UDP sockets of ask_test
	in_ns proxy ss -Haunp | grep -c "pid=$ask_pid,"
}

silent() {
	[ "$(sockets)" = 0 ]
}

# ---- CoAP: every habit at once ---------------------------------------------------

ask_pid='' keep=''
uplinks() {
	echo coap
	for i in 0 1 2 3 4 5 6 7 8 9 10; do echo "uplink up$i"; done
	echo "host [2001:db8:2::52]"
	echo "host [2001:db8:2::52]:5783"
	echo "port pj0 5700"
}
mapfile -t all < <(uplinks)

# A Registrar behind a pledge port, on the same groups and on its link-local address.
plays pledge pl0 -l "$(rjp 6666)" --flood "AN_join_registrar BRSKI_RJP 6666" \
	--initiator 2001:db8:2::52 --every 1

ask_start "${all[@]}"
sleep 2.5 # the first rounds ask nobody
check asks-nobody-on-a-pledge-port none .
# By every name that was ever used, and by wrong ones.
plays gateway gw0 \
	-l "rt=brski.rjp <jpy://[2001:db8:2::52]:7001>;rt=brski.rjp" \
	-l "rt=brski.rjp <coaps+jpy://[2001:db8:2::52]:7002>;rt=brski.rjp" \
	-l "rt=brski.rjp <coaps://[2001:db8:2::52]:7003>; rt=\"brski.rjp\"" \
	-l "rt=brski.rjp <jpy://[2001:db8:2::52]>;rt=brski.rjp;x=no-port" \
	-l "rt=brski.rjp <jpy://[fe80::52]:7004>;rt=brski.rjp" \
	-l "rt=brski.rjp <jpy://[ff05::52]:7005>;rt=brski.rjp" \
	-l "rt=brski.rjp <jpy://[2001:db8:2::52]:70006>;rt=brski.rjp" \
	-l "rt=brski.rjp <jpy://2001:db8:2::52:7007>;rt=brski.rjp" \
	-l "rt=brski <coaps://[2001:db8:2::52]/b>;rt=brski" \
	-l "rt=brski <coaps://[2001:db8:2::52]:7008/b>;rt=brski;pw=\"3 4\"" \
	-l "rt=join-proxy <coaps://[2001:db8:2::52]:7009>; rt=\"join-proxy\"" \
	-l "rt=ace.est* <coaps://[2001:db8:2::52]:7010/est>;rt=\"ace.est\""
plays gateway g1 -l "$(rjp 7101)" --twice
plays gateway g2 -l "$(rjp 7201)" --delay 10500
plays gateway g3 -l "$(rjp 7301)" --nonsense 300
plays gateway g4 -l "$(rjp 7401)" --szx 0
rjp 7501 >"$work/links"
plays gateway g5 --links "$work/links"
g5=$spawned
plays gateway g6 -l "$(rjp 7601)" --format 0
plays gateway g7 -l "$(rjp 7701)" --format -1
plays gateway g8 -l "$(rjp 7801)" --pad 17000
plays gateway g9 -l "$(rjp 7901)" --pad 16000
# Not ours: answers to what it does not have.
spawn gateway foreign-mcast coap-server-openssl -A "$(lab_link_local gateway g10)%g10" \
	-g ff05::fd -G g10
spawn registrar foreign coap-server-openssl -A 2001:db8:2::52 -p 5783
plays registrar rg0 --group none -l "$(rjp 7011)" -l "rt=brski-proxy <coaps://[2001:db8:2::52]:7012>; rt=\"join-proxy\""

view "${all[@]}" "host [2001:db8:2::53]" # who is new is asked at once, and all others again

check hears-who-comes-later wait_for any '.ifname == "up5" and .port == 7501'
heard_names() { # as BY MODE PORT PRIORITY WEIGHT, once each
	lines 'select(.what == "heard" and .ifname == "up0" and .from == "2001:db8:1::1") |
		"\(.by) \(.mode) \(.port) \(.priority) \(.weight)"' | sort -u
}
names_wanted() {
	heard_names >"$work/names"
	diff - "$work/names" >"$work/names-diff.log" <<-END
		rt=ace.est* stateful 7010 65535 0
		rt=brski stateful 5684 65535 0
		rt=brski stateful 7008 3 4
		rt=brski.rjp stateless 7001 65535 0
		rt=brski.rjp stateless 7002 65535 0
		rt=brski.rjp stateless 7003 65535 0
		rt=join-proxy stateless 7009 65535 0
	END
}
check every-name-and-scheme wait_for names_wanted
check says-what-is-wrong-with-a-link said 'up0: 2001:db8:1::1 names no usable Registrar for rt=brski.rjp'
check twice-is-once-more wait_for any '.ifname == "up1" and .port == 7101'
check blocks-of-16 wait_for any '.ifname == "up4" and .port == 7401'
check no-content-format wait_for any '.ifname == "up7" and .port == 7701'
check sixteen-blocks-of-1024 wait_for any '.ifname == "up9" and .port == 7901'
check host-asked-alone wait_for any '.from == "2001:db8:2::52" and .ifname == "up0" and .port == 7011 and
	.lifetime == 190 and .source == "coap"'
check host-asked-through-both-uplinks wait_for any '.from == "2001:db8:2::52" and .ifname == "up10" and .port == 7011'
check ways-that-lead-elsewhere-are-not-taken none '.from == "2001:db8:2::52" and .ifname != "up0" and .ifname != "up10"'

# The one that changes its port: the new one is heard, and the old one replaced.
rjp 7502 >"$work/links"
kill -HUP "$g5"
view "${all[@]}" "host [2001:db8:2::54]"
check hears-another-port wait_for any '.ifname == "up5" and .port == 7502'
moved() { # what is said of up5 behind its new port
	lines 'select(.ifname == "up5") | "\(.what) \(.port)"' | sed '1,/heard 7502/d'
}
replaced() {
	moved | grep -q replaced
}
check the-old-port-is-replaced wait_for replaced
late() { [ "$(grep -c answered "$work/play-g2.log")" -ge 2 ]; }
only_new() { ! moved | grep -q 7501; }
check the-old-port-is-said-no-more only_new
check waits-for-late-answers wait_for late
sleep 0.5
check late-answers-are-ignored none '.ifname == "up2"'
check nonsense-is-ignored none '.ifname == "up3"'
check says-who-talks-nonsense said 'up3: what fe80:.* answered to rt=brski.rjp is ignored'
check other-formats-are-ignored none '.ifname == "up6"'
check too-long-is-ignored none '.ifname == "up8"'
check nothing-of-foreign-servers none '.ifname == "up10" and .from != "2001:db8:2::52"'
check never-on-a-pledge-port none '.ifname == "pj0" or .port == 6666'
unasked() { ! has asked "$work/play-pl0.log"; }
check asked-no-pledge unasked

# The same cause is said once in ten seconds, so what was said of one may have hidden another.
check stops-well ask_stop
ask_start coap "uplink up8"
check says-what-is-too-long wait_for said 'up8: what .* is ignored: it is too long'

# An interface that goes while it is asked on, and comes again.
view coap "uplink up5" "uplink up7"
wait_for any '.ifname == "up7" and .port == 7701'
ns_ip proxy link del up7
view coap "uplink up5"
lab_link proxy up7 gateway g7
lab_settle
plays gateway g7 -l "$(rjp 7702)"
view coap "uplink up5" "uplink up7"
check an-interface-comes-again wait_for any '.ifname == "up7" and .port == 7702'
check asks-through-sockets [ "$(sockets)" -gt 0 ]
view coap no-look "uplink up5"
check silent-when-told silent
view "uplink up5"
sleep 1
check silent-without-coap silent
check stops-well-again ask_stop

# How often, and what: three or four rounds in eight seconds while nothing is heard that is of
# use, one when something is; each name twice, of two groups.
asked() { # G: so far, by one of the names
	grep -c 'asked rt=brski.rjp' "$work/play-g$1.log"
}
before=$(asked 6)
before_heard=$(asked 5)
spawn gateway wire "${coap_peer[@]}" wire g10 7
wait_for has ready "$work/wire.log"
ask_start coap "uplink up6" "uplink up10"
sleep 8
rounds() {
	local n=$(($(asked 6) - before))
	[ "$n" -ge 6 ] && [ "$n" -le 8 ]
}
check rounds-become-rarer rounds
ask_stop
ask_start coap "uplink up5"
sleep 6
one_round() { [ $(($(asked 5) - before_heard)) = 2 ]; }
check one-round-when-something-is-heard one_round
ask_stop
# NON, GET, a token of eight bytes, and the options as the drafts have them.
on_the_wire() { # GROUP
	has "^64 $1 5683 1 1 8 bb2e77656c6c2d6b6e6f776e04636f72654c72743d6272736b692e726a70\$" \
		"$work/wire.log"
}
check asks-the-site on_the_wire ff05::fd
check asks-the-realm on_the_wire ff03::fd
other_groups() { ! grep -v -e ready -e ' ff05::fd ' -e ' ff03::fd ' "$work/wire.log"; }
check asks-no-other-group other_groups

# ---- CoAP: what nobody should answer ----------------------------------------------

for i in $(seq 100); do echo "addr add fe80::e:$(printf %x "$i")/64 dev g11 nodad"; done |
	in_ns gateway ip -batch -
spawn gateway bad-many "${coap_peer[@]}" many g11 100
many=$spawned
spawn gateway bad-odd "${coap_peer[@]}" odd g12
wait_for has ready "$work/bad-many.log"
wait_for has ready "$work/bad-odd.log"
ask_start coap "uplink up11" "uplink up12"
from_many() { # those who were heard, how often the one that was heard most, and in all
	lines 'select(.ifname == "up11" and .what == "heard" and .port == 7300) | .from' | sort |
		uniq -c | sort -rn | awk 'NR == 1 { most = $1 } { all += $1 } END { print NR, most, all }'
}
check hears-one-of-many wait_for any '.ifname == "up11" and .port == 7300'
stop "$many"
sleep 1
# A round asks two groups for five names; this peer answers one of them, ten times each address.
check no-more-than-64-answer-a-question [ "$(from_many | cut -d ' ' -f 1)" -le 64 ]
check nor-any-more-than-4-times [ "$(from_many | cut -d ' ' -f 2)" -le 8 ]
check no-more-than-512-in-a-round [ "$(from_many | cut -d ' ' -f 3)" -le 512 ]
blocks_over() { has "gave up rt=ace.est\\*" "$work/bad-odd.log"; }
check bad-blocks-were-asked-for wait_for blocks_over
sleep 1
check nothing-of-bad-blocks none '.ifname == "up12" and .what == "heard" and .port != 7699'
check a-good-answer-among-bad-ones any '.ifname == "up12" and .port == 7699'
endless() { # 16384 bytes in blocks of 16, of each of two groups
	local blocks
	blocks=$(grep -c 'block rt=brski.rjp' "$work/bad-odd.log")
	[ "$blocks" -ge 1024 ] && [ "$blocks" -le 2050 ]
}
check endless-blocks-end wait_for endless
check stops-well-among-bad-ones ask_stop

# ---- GRASP towards uplinks ------------------------------------------------------

sends() { # CASE...: on the link of up0
	in_ns gateway "${peer[@]}" send gw0 - "$@"
}

heard() { # PORT
	any ".port == $1 and .source == \"grasp\""
}

memory() { # kB that ask_test has had at most
	awk '/^VmHWM/ { print $2 }' "/proc/$ask_pid/status"
}

# What the sanitizer would keep of what was freed is no growth.
keep=:quarantine_size_mb=0:thread_local_quarantine_size_kb=0
ask_start grasp-hear "uplink up0" "port pj0 5700"
keep=''
sends rjp drawn discovery07
grasp_names() {
	lines 'select(.what == "heard") | "\(.by) \(.mode) \(.port) \(.lifetime) \(.addr) \(.from)"' |
		sort -u >"$work/names"
	# Who said it is who sent it: an initiator can be made up.
	sed "s/\$/ fda3:79a6:f6ee:0:200:0:6400:1 $(lab_link_local gateway gw0)/" <<-END |
		AN_join_registrar BRSKI_JP stateful 5684 180
		AN_join_registrar BRSKI_RJP stateless 5685 180
		AN_join_registrar rrm-cose stateful 5684 180
		AN_join_registrar_rjp rrm-cose stateless 5686 180
	END
		diff - "$work/names" >"$work/names-diff.log"
}
check hears-what-drafts-print wait_for grasp_names
sends loop0 loop256 tcp proxy group nested nested-value oversize truncated trailing huge-array \
	huge-text empty discovery
in_ns gateway "${peer[@]}" send gw0 2001:db8:1::1 plain
in_ns pledge "${peer[@]}" send pl0 - plain # a pledge that plays a Registrar
sends loop1 forever moment month odd-value repeated repeated last
check hears-the-last wait_for heard 7999
refused() {
	lines '.port' | grep -v -x -e 5684 -e 5685 -e 5686 -e 7001 -e 7003 -e 7004 -e 7005 -e 7010 \
		-e 7011 -e 7012 -e 7999 >"$work/heard.log"
	[ ! -s "$work/heard.log" ]
}
check refuses-what-is-wrong refused
check loop-count-of-1 heard 7001
lives() { # PORT SECONDS
	any ".port == $1 and .lifetime == $2"
}
check for-ever-is-a-day lives 7003 86400
check a-moment-is-a-second lives 7004 1
check a-month-is-a-day lives 7005 86400
odd() { any '.port == 7010 and .by == "AN_join_registrar_rjp ???[2J??"'; }
check words-are-printable odd
once() { [ "$(lines 'select(.port == 7011) | .port' | wc -l)" = 1 ]; }
check a-repetition-is-nothing-new once
check says-why-it-refuses said 'up0: a GRASP flood of fe80:.* is ignored'
check pledges-name-no-registrar none '.ifname == "pj0" or .port == 6666'

# Ten thousand Registrars: some of them are heard, all of them cost little.
lines_before=$(lines .port | wc -l)
started=$SECONDS
in_ns gateway "${peer[@]}" many gw0 10000
sleep 1
few() {
	local more=$(($(lines .port | wc -l) - lines_before))
	[ "$more" -gt 50 ] && [ "$more" -le $((100 + 50 * (SECONDS - started + 1))) ]
}
check a-flood-of-floods-is-cut few
no_growth() { # by ten thousand more
	local before
	before=$(memory)
	in_ns gateway "${peer[@]}" many gw0 10000
	[ $(($(memory) - before)) -lt 512 ] || { echo "# $(($(memory) - before)) kB"; return 1; }
}
check a-flood-of-floods-takes-no-memory no_growth
sends plain
check hears-on wait_for heard 7008
no_socket() { # but the one of the uplink
	[ "$(in_ns proxy ss -Hlun 'sport = :7017' | awk '{ print $4 }')" = '[ff02::13]%up0:7017' ] &&
		[ "$(sockets)" = 1 ]
}
check one-socket-an-uplink no_socket
ns_ip proxy link set up0 down
ns_ip proxy link set up0 up
lab_settle
count_before=$(lines .port | grep -c -x 7999)
again() {
	sends last
	[ "$(lines .port | grep -c -x 7999)" -gt "$count_before" ]
}
check hears-after-the-link-was-down wait_for again
view grasp-hear no-look "uplink up0"
check deaf-when-told silent
check stops-well-after-grasp ask_stop

# Beside another GRASP daemon that shares the port, and one that does not.
spawn proxy holder "${peer[@]}" hold share
holder=$spawned
wait_for has ready "$work/holder.log"
ask_start grasp-hear grasp-flood "uplink up0" "port pj0 5700"
sends last
check beside-another wait_for heard 7999
check another-hears-it-too wait_for has heard "$work/holder.log"
stop "$holder"
ask_stop
spawn proxy holder "${peer[@]}" hold
wait_for has ready "$work/holder.log"
holder=$spawned
spawn pledge seen "${peer[@]}" capture pl0 4
wait_for has ready "$work/seen.log"
ask_start grasp-hear grasp-flood "uplink up0" "port pj0 5700"
check says-who-holds-the-port said 'up0: cannot hear GRASP floods of Registrars: .* does not share port 7017'
check floods-from-another-port wait_for has '"hops": 1' "$work/seen.log"
stop "$holder"
check hears-as-soon-as-it-can wait_for said 'up0: GRASP floods of Registrars are heard again'
ask_stop

# ---- GRASP towards pledges ---------------------------------------------------------

vector=33330000001302000000000a86dd6000000000531101fe80000000000000000000fffe00000aff020000000000000000
vector+=0000000000131b691b6900530d8585091a00bc4e5050fe80000000000000000000fffe00000a1a0002bf20828468414e
vector+=5f50726f787904016844544c532d45535484186750fe80000000000000000000fffe00000a1119df0d
same_as_vector() {
	[ "$("${peer[@]}" frame 02:00:00:00:00:0a fe80::ff:fe00:a 57101 DTLS-EST 12340816)" = "$vector" ]
}
check the-test-knows-the-vector same_as_vector

capture() { # SECONDS: what comes to pledges, in seen.log
	spawn pledge seen "${peer[@]}" capture pl0 "$1"
	seen=$spawned
	wait_for has ready "$work/seen.log"
}
seen() { # FILTER
	grep '^{' "$work/seen.log" | jq -r "$1"
}

capture 30
ask_start grasp-flood "port pj0 5700"
twelve() { [ "$(seen .hops | wc -l)" -ge 12 ]; }
check floods-three-times wait_for twelve
each_value() { # of three floods, latest draft last
	[ "$(seen '.message[4][0][3]' | head -n 12 | tr '\n' ,)" = \
		"DTLS,rrm-cose,,DTLS-EST,DTLS,rrm-cose,,DTLS-EST,DTLS,rrm-cose,,DTLS-EST," ]
}
check every-value-that-pledges-look-for each_value
byte_exact() {
	local mac addr value session frame
	mac=$(lab_mac proxy pj0) addr=$(pj_address pj0)
	while IFS=$'\t' read -r value session frame; do
		[ "$("${peer[@]}" frame "$mac" "$addr" 5700 "${value#=}" "$session")" = "$frame" ] || return 1
	done < <(seen '["=" + .message[4][0][3], .message[1], .frame] | @tsv')
}
check as-the-figures-draw-it byte_exact
sessions() { [ "$(seen '.message[1]' | sort -u | wc -l)" = "$(seen .hops | wc -l)" ]; }
check each-has-a-session-of-its-own sessions
second_apart() { # of the first and the last of three floods, and nothing behind them
	seen .at | awk 'NR == 1 { a = $1 } NR == 9 { b = $1 } END { exit !(b - a > 1.9 && b - a < 3) }'
}
check a-second-apart second_apart
sleep 1.5
no_more() { [ "$(seen .hops | wc -l)" = 12 ]; }
check then-they-are-rare no_more

view grasp-flood "port pj0 5700 5701 5702 5703 5704 5705 5706 5707 5708 5709"
ten() { # items, each [objective, locator] at the top
	seen 'select(.message | length == 14) | select(.sum_ok and .rest == 0 and .bytes <= 1232) |
		[.message[4:][] | select(.[0][0:3] == ["AN_Proxy", 4, 1] and .[1][0] == 103 and
		.[1][2] == 17) | .[1][3]] | unique | join(" ")' | head -n 1 |
		grep -q -x '5700 5701 5702 5703 5704 5705 5706 5707 5708 5709'
}
check ten-join-ports-in-one-message wait_for ten
changes() {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do view grasp-flood "port pj0 $((5800 + i))"; done
}
before=$(seen .hops | wc -l)
started=$SECONDS
changes
sleep 2
paced() { # four messages a flood, a flood a second
	[ $(($(seen .hops | wc -l) - before)) -le $((4 * (SECONDS - started + 2))) ]
}
check at-most-once-a-second paced
last_join() { seen '.message[4][1][3]' | tail -n 1 | grep -q -x 5810; }
check the-last-change-is-told wait_for last_join
view grasp-flood "port pj0"
before=$(seen .hops | wc -l)
sleep 2.5
quiet() { [ "$(seen .hops | wc -l)" = "$before" ]; }
check without-joins-nothing-is-flooded quiet
view grasp-flood "port pj0 5900"
sleep 3
ns_ip proxy addr flush dev pj0 scope link
ns_ip proxy addr add fe80::abcd/64 dev pj0 nodad
view grasp-flood "port pj0 5900"
moved_address() {
	seen 'select(.src == "fe80::abcd" and .message[2] == "fe80000000000000000000000000abcd" and
		.message[4][1][1] == .message[2]) | .hops' | grep -q 1
}
check from-a-new-address wait_for moved_address
check holds-no-socket silent
view "port pj0 5900"
sleep 1
before=$(seen .hops | wc -l)
sleep 1.5
check off-when-told quiet
ns_ip proxy addr flush dev pj0 scope link # behind its back
view grasp-flood "port pj0 5901"
view grasp-flood
stop "$seen"
check stops-well-after-floods ask_stop
finish
