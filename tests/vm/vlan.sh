#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# VLAN interfaces as pledge ports and as the uplink, all behind one XDP program on their parent:
# one tag, two (802.1ad and 802.1Q outside), none.  The host's kernels often have no VLANs.
#
#   pledge                    proxy                        registrar
#   pl0 --------------------- pj0        up0 ------------- rg0
#   pl0.20 ... .35 802.1Q     pj0.20 ...
#   pl0.100.20 802.1ad 100    pj0.100.20
#   pl0.200.20 802.1Q 200     pj0.200.20 up0.500           rg0.500
#   pl0.99, .100.99 no ports  pj0.99 ... 2001:db8:2::2     ::52
#
# All VLAN interfaces of one parent have its MAC, and so one link-local address: only the tag tells
# a pledge from the one beside it, and the kernel gives an answer to nobody whose tag it has not.
JPX_LAB=t-vlan
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/../lab/common.sh"
needs coap-server-openssl coap-client-openssl ethtool
# Half a minute for what takes a moment elsewhere.
coap_seconds=40 coap_tries=2

registrar=2001:db8:2::52
singles=$(seq -f 0.%g 20 35 | xargs)
ports="$singles 0.100.20 0.200.20 0"
count=$(wc -w <<<"$ports")
conf="$quiet
registrar main { address = \"[$registrar]:7634\" }
registrar direct { address = \"[$registrar]:5690\" mode = stateful }"
for n in $ports; do conf+=$'\n'"port pj$n {}"; done

vlans() { # PREFIX: the VLANs of PREFIX0, for "ip -batch"
	local id
	for id in $(seq 20 35) 99 200; do echo "link add link ${1}0 name ${1}0.$id type vlan id $id"; done
	echo "link add link ${1}0 name ${1}0.100 type vlan proto 802.1ad id 100"
	for id in 100.20 100.99 200.20; do
		echo "link add link ${1}0.${id%.*} name ${1}0.$id type vlan id ${id#*.}"
	done
	for id in $(seq 20 35) 99 100 200 100.20 100.99 200.20; do echo "link set ${1}0.$id up"; done
}

# The sender leaves tags to hardware that is not there, the receiver takes them off, unless told not to.
sends_tags_in_frame() { # WHO IF
	in_ns "$1" ethtool -K "$2" txvlan off tx-vlan-stag-hw-insert off >/dev/null
}

leaves_tags_in_frame() { # WHO IF
	in_ns "$1" ethtool -K "$2" rxvlan off rx-vlan-stag-hw-parse off >/dev/null
}

has_address() { # WHO IF
	[ -n "$(lab_link_local "$1" "$2")" ]
}

lab_vlan() {
	local who
	for who in pledge proxy registrar; do lab_namespace "$who"; done
	lab_link pledge pl0 proxy pj0
	lab_link proxy up0 registrar rg0
	sends_tags_in_frame pledge pl0 && sends_tags_in_frame registrar rg0 &&
		leaves_tags_in_frame proxy pj0 && leaves_tags_in_frame proxy up0 || return 1
	vlans pl | ns_ip pledge -batch - && vlans pj | ns_ip proxy -batch - || return 1
	for who in "proxy up0 2" "registrar rg0 52"; do
		# shellcheck disable=SC2086 # three words
		set -- $who
		ns_ip "$1" link add link "$2" name "$2.500" type vlan id 500 && ns_ip "$1" link set "$2.500" up &&
			ns_ip "$1" addr add "2001:db8:2::$3/64" dev "$2.500" || return 1
	done
	wait_for has_address proxy pj0.200.20 && wait_for has_address pledge pl0.200.20
}

one_address() { # for all VLANs, as said above
	[ "$(for n in $ports; do pj_address "pj$n"; done | sort -u | wc -l)" = 1 ] &&
		[ "$(for n in $ports; do lab_link_local pledge "pl$n"; done | sort -u | wc -l)" = 1 ]
}

# What the kernel asks modprobe for is in $work/modprobe.
watch_modprobe() {
	modprobe_before=$(cat /proc/sys/kernel/modprobe)
	printf '#!/bin/sh\necho "$@" >>%s/modprobe\nexec %s "$@"\n' "$work" "$modprobe_before" >"$work/modprobe.sh"
	chmod +x "$work/modprobe.sh"
	echo "$work/modprobe.sh" >/proc/sys/kernel/modprobe
}

# A kernel without the netdev family runs modprobe whenever it is asked for it: once, not once a port.
asks_once() {
	local n
	echo "$modprobe_before" >/proc/sys/kernel/modprobe
	n=$(grep -c family-netdev "$work/modprobe" 2>/dev/null)
	[ "${n:-0}" -le 2 ] || { echo "# the kernel was asked $n times for a family that it has not"; return 1; }
}

now_ms() { date +%s%3N; }

all_ready() {
	[ "$(status '[.ports[] | select(.state == "ready" and .engine == "xdp-native" and .answers == "xdp")] | length')" = \
		"$count" ] && all_serving
}

starts() {
	local start
	start=$(now_ms)
	jpd_start "$conf" && wait_for all_ready && echo "# $count ports after $(($(now_ms) - start)) ms" && return 0
	jp status --all | sed 's/^/# /'
	return 1
}

programs() {
	ns_ip proxy -d -j link show | jq -r '.[] | select(.xdp) | "\(.ifname) \(.xdp.prog.id)"' | sort
}

parents_only() {
	programs | sed 's/^/# program: /'
	programs_on pj0 up0 && [ "$(status '[.uplinks[] | .ifname, .engine] | join(" ")')" = "up0 xdp-native" ]
}

packets() { # WHICH: so many datagrams went that way so far
	stats ".$1.packets"
}

# joins PORT N...: a join by each of them, all at once, and every datagram goes by XDP.
direct=5685
joins() {
	local port=$1 n before sockets after i=0 join_pids=() missed=
	shift
	before=$(packets fast_path) sockets=$(packets socket)
	for n in "$@"; do
		coap_get "$n" "$port" &
		join_pids+=($!)
	done
	for n in "$@"; do
		wait "${join_pids[$i]}" || missed+=" $n"
		i=$((i + 1))
	done
	after=$(packets fast_path)
	[ -z "$missed" ] && [ $((after - before)) -ge $((8 * $#)) ] && [ "$(packets socket)" = "$sockets" ] && return 0
	echo "# no answer at:$missed; $((after - before)) datagrams by XDP, $(($(packets socket) - sockets)) by socket"
	return 1
}

# Two pledges of one address and one UDP port, in two VLANs, at once.
twins() { # N N PORT
	local a b address
	address=$(lab_link_local pledge "pl$1")
	[ "$address" = "$(lab_link_local pledge "pl$2")" ] || return 1
	coap_get "$1" "$3" -p 40000 -a "$address%pl$1" &
	a=$!
	coap_get "$2" "$3" -p 40000 -a "$address%pl$2" &
	b=$!
	wait "$a" && wait "$b"
}

twin_flows() { # N N: of one address and port, on two ports
	local seen
	seen=$(jp --json flows | jq -r '.flows[] | select(.udp_port == 40000) | "\(.ifname) \(.pledge)"' | sort -u)
	[ "$(awk '{ print $1 }' <<<"$seen" | xargs)" = "pj$1 pj$2" ] &&
		[ "$(awk '{ print $2 }' <<<"$seen" | sort -u | wc -l)" = 1 ] && return 0
	echo "# flows: ${seen//$'\n'/, }"
	return 1
}

# Who is in no port's VLAN reaches whatever listens there, past the fast path.
passes() { # N: with a DTLS server of its own on the gateway
	local before server
	spawn proxy "server$1" coap-server-openssl -A "$(pj_address "pj$1")%pj$1" -p 5683 -k secretPSK
	server=$spawned
	wait_for has_listener "pj$1" || return 1
	before=$(stats '[.fast_path.packets, .socket.packets]')
	coap_get "$1" 5684 || return 1
	stop "$server"
	[ "$(stats '[.fast_path.packets, .socket.packets]')" = "$before" ]
}

has_listener() { # IF
	in_ns proxy ss -Hlun 'sport = :5684' | grep -q "%$1\>"
}

port_is() { # IF STATE ENGINE
	[ "$(status ".ports[] | select(.ifname == \"$1\") | [.state, .engine] | join(\" \")")" = "$2 $3" ]
}

no_answer() { # N PORT
	! coap_seconds=4 coap_tries=1 coap_get "$1" "$2"
}

detached() {
	local before
	before=$(programs)
	jp detach pj0.25 >>"$work/attach.log" && no_answer 0.25 5684 && [ "$(programs)" = "$before" ]
}

again() { # N: the VLAN interface is made anew, with another index
	ns_ip proxy link add link pj0 name "pj$1" type vlan id "${1#*.}" && ns_ip proxy link set "pj$1" up
	wait_for port_is "pj$1" ready xdp-native
}

killed() {
	before=$(programs)
	kill -KILL "$jpd_pid"
	wait "$jpd_pid" 2>/dev/null
	[ "$(programs)" = "$before" ]
}

comes_back() {
	starts && [ "$(programs)" = "$before" ]
}

# One VLAN alone in generic mode, on its own interface; the parent's program serves the others.
generic() {
	local before
	before=$(programs)
	jp attach pj0.24 --xdp generic >>"$work/attach.log" 2>&1 && port_is pj0.24 ready xdp-generic &&
		[ "$(programs | grep -v '^pj0.24 ')" = "$before" ]
}

native_again() {
	jp attach pj0.24 --xdp auto >>"$work/attach.log" 2>&1 && port_is pj0.24 ready xdp-native
}

# ---- who takes tags off -------------------------------------------------------------

# The program on an interface of its own costs a verification each: few are left.
detach_most() {
	local ifname
	for ifname in $(status '.ports[].ifname'); do
		case $ifname in pj0.21 | pj0.100.20) continue ;; esac
		jp detach "$ifname" >>"$work/attach.log" || return 1
	done
}

strips() {
	in_ns proxy ethtool -K pj0 rxvlan on rx-vlan-stag-hw-parse on >/dev/null &&
		in_ns pledge ethtool -K pl0 txvlan on tx-vlan-stag-hw-insert on >/dev/null
}

remedy() { # IF: what check says of its tags
	jp --json check "$1" | jq -r --arg what "$1 vlan" '.checks[] | select(.what == $what and .result == "warn") | .remedy'
}

check_says() {
	jp check pj0.21 >"$work/check.txt"
	has 'pj0 takes VLAN tags off before XDP sees them' "$work/check.txt" || return 1
	[ "$(remedy pj0.21)" = "on the sending end: ethtool -K PEER txvlan off tx-vlan-stag-hw-insert off; then here: \
ethtool -K pj0 rxvlan off rx-vlan-stag-hw-parse off; jpd notices within 10 s" ] || { echo "# $(remedy pj0.21)"; return 1; }
}

programs_on() { # IF...: there and nowhere else
	[ "$(programs | awk '{ print $1 }' | xargs)" = "$*" ]
}

both_are() { # ENGINE ANSWERS IF...: the two ports that are left, and where the programs are
	local want="ready $1 $2" said
	shift 2
	said=$(status '[.ports[] | "\(.state) \(.engine) \(.answers)"] | unique | join(", ")')
	[ "$said" = "$want" ] && programs_on "$@"
}

# jpd moves one port after the other, and the parent's program goes last.
on_its_own() {
	wait_for both_are xdp-generic tc pj0.100.20 pj0.21 up0 && return 0
	jp status | sed 's/^/# /'
	programs | sed 's/^/# program: /'
	return 1
}

does_what_it_says() {
	local here
	here=$(remedy pj0.21) here=${here#*then here: }
	sends_tags_in_frame pledge pl0 && in_ns proxy sh -c "${here%%; jpd*}" >/dev/null &&
		jp check pj0.21 >"$work/check.txt"
	has 'pj0 leaves VLAN tags in the frame' "$work/check.txt"
}

# To the Registrar by XDP, back by tc.
join_both() {
	local one
	coap_get 0.21 5684 &
	one=$!
	coap_get 0.100.20 5684 && wait "$one"
}

on_parent_again() {
	wait_for both_are xdp-native xdp pj0 up0
}

# Not of a veth, where the other end has to be told first: the very command, and it helps.
check_of_a_nic() {
	local said
	modprobe bonding
	ns_ip proxy link add nic0 type bond && ns_ip proxy link set nic0 up &&
		ns_ip proxy link add link nic0 name nic0.7 type vlan id 7 || return 1
	said=$(remedy nic0.7)
	# Some take off the outer tag of 802.1ad, too.
	[[ $said =~ ^'ethtool -K nic0 rxvlan off'(' rx-vlan-stag-hw-parse off')?'; jpd notices within 10 s'$ ]] ||
		{ echo "# $said"; return 1; }
	in_ns proxy sh -c "${said%%; jpd*}" >/dev/null && [ -z "$(remedy nic0.7)" ]
}

modprobe 8021q
check lab lab_vlan
check one-address one_address
check server coap_server
check jpreg jpreg_start 7634 5684
spawn registrar server6 coap-server-openssl -A "$registrar" -p 5689 -k secretPSK
check server-of-its-own wait_for udp_bound registrar 5690
watch_modprobe
check starts starts
check asks-once asks_once
check parents-only parents_only

check joins joins 5684 0.35 0.100.20 0.200.20 0
check joins-stateful joins "$direct" 0.21 0.100.20 0
check twins twins 0.22 0.23 5684
check twins-stateful twins 0.22 0.23 "$direct"
check twin-flows twin_flows 0.22 0.23
check all-by-xdp [ "$(packets socket)" = 0 ]
check no-drops no_drops
check passes-another-tag passes 0.99
check passes-another-inner-tag passes 0.100.99

check detached detached
check others-stay joins 5684 0.26
check attached-again attach pj0.25
ns_ip proxy link del pj0.20
check gone wait_for port_is pj0.20 absent socket
check made-again again 0.20
check join-made-again joins 5684 0.20

check killed killed
check join-without-jpd coap_get 0.100.20 5684
check comes-back comes_back
check join-back joins 5684 0.200.20
check generic generic
check join-generic coap_get 0.24 5684
check native-again native_again

check detach-most detach_most
strips
check check-says check_says
check on-its-own on_its_own
check joins-stripped join_both
check does-what-it-says does_what_it_says
check on-parent-again on_parent_again
check joins-mended joins 5684 0.100.20
check check-of-a-nic check_of_a_nic
finish
