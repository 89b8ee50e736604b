#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What happens to a network, while a pledge asks every 10 ms through XDP.  Each time the
# answers must come again within a second after the network itself is good again, on the
# fast path, with jpd left alone.  Prints "ok NAME" or "not ok NAME".
JPX_LAB=t-heal
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lab/lib/operations.sh
. tests/lab/lib/operations.sh

# ---- faults; each ends when the network is good again -----------------------

# The kernel may take a second to notice that a cable is back; it sends nothing before.
operstate() { ns_ip "$1" -br link show "$2" | awk '{ print $2 }'; }
carriers() { # WHO1 IF1 WHO2 IF2
	wait_for 3 is UP operstate "$1" "$2" && wait_for 3 is UP operstate "$3" "$4"
}

gateway_mac() { ns_ip gateway link set "$2" address "$1"; }

# What an operator, or a Router Advertisement, would set up again.
uplink_addresses() {
	ns_ip proxy addr replace 2001:db8:1::2/64 dev up0
	ns_ip proxy route replace default via 2001:db8:1::1
}

uplink_flap() {
	ns_ip proxy link set up0 down
	sleep 0.3
	ns_ip proxy link set up0 up
	carriers proxy up0 gateway gw0
	uplink_addresses
}

other_gateway() { # and so another uplink
	lab_link proxy up1 gateway gw2
	ns_ip gateway addr add 2001:db8:3::1/64 dev gw2
	ns_ip proxy addr add 2001:db8:3::2/64 dev up1
	ns_ip proxy route replace default via 2001:db8:3::1
}

# The same link, another next hop: its link-local address, as a router would announce it.
other_next_hop() {
	ns_ip proxy route replace default via "$(lab_link_local gateway gw0)" dev up0
}

renumber() {
	ns_ip proxy addr add 2001:db8:1::22/64 dev up0
	ns_ip proxy addr del 2001:db8:1::2/64 dev up0
}

port_flap() {
	ns_ip proxy link set pj0 down
	sleep 0.3
	ns_ip proxy link set pj0 up
	carriers pledge pl0 proxy pj0
}

neighbours_flushed() { ns_ip proxy -6 neigh flush dev up0; }

# ---- tests -------------------------------------------------------------------

# heals_after COMMAND...: breaks it, or changes it, and looks.
heals_after() {
	"$@" || why "$* failed" || return 1
	heals && served_by fast && [ "$(ps -o pid= -p "$jpd_pid" | tr -d ' ')" = "$jpd_pid" ]
}

port_address_changed() {
	local old
	old=$(lab_link_local proxy pj0)
	ns_ip proxy addr add fe80::abcd/64 dev pj0
	ns_ip proxy addr del "$old/64" dev pj0
	local since=$(now)
	stop "$probe_pid"
	probing pledge pl0 fe80::abcd 5684 && heals "$since" && served_by fast
}

port_deleted() {
	ns_ip proxy link del pj0
	stop "$probe_pid"
	wait_for 1 is absent json status "o['ports'][0]['state']"
}

port_made_again() {
	lab_link pledge pl0 proxy pj0
	local since=$(now)
	probing pledge pl0 "$(lab_link_local proxy pj0)" 5684 && heals "$since" && served_by fast &&
		is 1 json status "o['ports'][0]['id']"
}

first_packet_after_rest() {
	local setting
	for setting in gc_stale_time=1 base_reachable_time_ms=1000 delay_first_probe_time=1; do
		in_ns proxy sysctl -qw "net.ipv6.neigh.up0.$setting" || return 1
	done
	stop "$probe_pid"
	sleep 8
	local fast=$(fast_packets)
	in_ns pledge "$probe" once "[$(lab_link_local proxy pj0)%pl0]:5684" ||
		why "the first datagram was not answered" || return 1
	is $((fast + 2)) fast_packets
}

# A second Registrar for pj0: its join port is $1.
second_registrar() { # JOIN_PORT ENDPOINT ENGINE
	ctl attach pj0 --registrar "$2" --join-port "$1" || return 1
	probing pledge pl0 "$(lab_link_local proxy pj0)" "$1" && heals && served_by "$3"
	local ret=$?
	stop "$probe_pid"
	return $ret
}

registrar_here() {
	echo_registrar proxy 7635 && second_registrar 5685 '[2001:db8:1::2]:7635' socket
}

registrar_on_link() {
	echo_registrar gateway 7636 && second_registrar 5686 '[2001:db8:1::1]:7636' fast
}

one_armed() {
	ctl attach up0 --registrar "$registrar" || return 1
	probing gateway gw0 "$(lab_link_local proxy up0)" 5684 && heals && served_by fast
	local ret=$?
	stop "$probe_pid"
	return $ret
}

# ---- many ports ----------------------------------------------------------------

ports_255() {
	local i
	for ((i = 1; i <= 255; i++)); do
		echo "link add m$i type veth peer name n$i netns $lab-pledge"
		echo "link set m$i up"
	done >"$dir/batch"
	ip -n "$lab-proxy" -batch "$dir/batch" &&
		for ((i = 1; i <= 255; i++)); do echo "link set n$i up"; done >"$dir/batch" &&
		ip -n "$lab-pledge" -batch "$dir/batch" &&
		in_ns pledge ethtool -K n255 gro on tx off >/dev/null 2>&1
}

attach_255() {
	local i start=$(now)
	ctl registrar add main "$registrar" || return 1
	for ((i = 1; i <= 255; i++)); do
		ctl attach "m$i" || return 1
	done
	echo "# 255 pledge ports attached in $(($(now) - start)) ms"
}

status_255() {
	is 255 json status "len([p for p in o['ports'] if p['engine'] == 'xdp-native' and p['state'] == 'ready'])" &&
		is 255 json status "len({p['id'] for p in o['ports']})"
}

# More sockets than a process may have at first: each port listens for each Registrar.
five_registrars() {
	local i
	for i in 1 2 3 4; do
		ctl registrar add "more$i" "[2001:db8:2::52]:764$i" || return 1
	done
	is 1275 json status "sum(len(p['join_ports']) for p in o['ports'])" &&
		! has 'Too many open files' "$dir/jpd.log" || why "jpd ran out of file descriptors"
}

answer_255() {
	in_ns pledge "$probe" once "[$(lab_link_local proxy m255)%n255]:$(json status "o['ports'][254]['join_ports'][0]['port']")"
}

no_256th() { # nor half of it
	local before after
	ns_ip proxy link add m256 type veth peer name n256 || return 1
	before=$(json status o)
	if ctl attach m256 --registrar '[2001:db8:2::53]:9'; then
		why "a port too many was taken"
		return 1
	fi
	: >"$dir/why"
	has '255 pledge ports are attached' "$dir/ctl.err" || why "$(cat "$dir/ctl.err")" || return 1
	after=$(json status o)
	[ "$before" = "$after" ] || why "something of the port that was refused stayed: ${after##*services}"
}

detach_255() {
	local i start=$(now)
	for ((i = 1; i <= 255; i++)); do
		ctl detach "m$i" || return 1
	done
	echo "# 255 pledge ports detached in $(($(now) - start)) ms"
	is 0 json status "len(o['ports'])" && is "" xdp_on m255 && is "" xdp_on up0
}

# ------------------------------------------------------------------------------

lab_bpffs
lab_up
ulimit -Sn 1024 # what most systems give a program
echo_registrar registrar 7634 && jpd_start || exit 1
check attach ctl attach pj0 --registrar "$registrar"
check relays probing pledge pl0 "$(lab_link_local proxy pj0)" 5684
check fast-path served_by fast
in_ns gateway sysctl -qw net.ipv6.conf.all.ndisc_notify=0 net.ipv6.conf.gw0.ndisc_notify=0
check gateway-mac-silent heals_after gateway_mac 02:00:5e:00:00:01 gw0
in_ns gateway sysctl -qw net.ipv6.conf.gw0.ndisc_notify=1
check gateway-mac-announced heals_after gateway_mac 02:00:5e:00:00:02 gw0
check uplink-flap heals_after uplink_flap
check neighbours-flushed heals_after neighbours_flushed
check other-next-hop heals_after other_next_hop
check other-uplink heals_after other_gateway
check other-uplink-old-one-left is "" xdp_on up0
check uplink-back heals_after uplink_addresses
check renumber heals_after renumber
check renumber-back heals_after uplink_addresses
check port-flap heals_after port_flap
check port-address port_address_changed
check port-deleted port_deleted
check port-made-again port_made_again
check first-packet-after-rest first_packet_after_rest
check registrar-on-this-host registrar_here
check registrar-on-link registrar_on_link
check one-armed one_armed
ctl detach up0
ctl detach pj0
check ports-255-made ports_255
check ports-255-attach attach_255
check ports-255-status status_255
check ports-255-relay answer_255
check ports-255-five-registrars five_registrars
check ports-256 no_256th
check ports-255-detach detach_255
exit $((failures > 0))
