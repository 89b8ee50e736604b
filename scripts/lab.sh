#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The lab: network namespaces for pledges, proxy, gateway and Registrar, joined
# by veth.  Touches nothing outside the namespaces that it makes itself.
#
#   pledge            proxy              gateway            registrar
#   pl0 ------------- pj0   up0 -------- gw0   gw1 -------- rg0
#   fe80:: only             2001:db8:1::/64    2001:db8:2::/64
#                           ::2     ::1        ::1     ::52
#
#   scripts/lab.sh up [PORTS]   raise it; further pledge ports are pj1, pj2, ...
#   scripts/lab.sh down         drop it, with all processes in it
#   scripts/lab.sh exec WHO COMMAND...    run COMMAND as pledge, proxy, gateway or registrar
#   scripts/lab.sh shell WHO    a shell there
#
# JPX_LAB names the lab (default jpx): labs of different names do not meet.
# To be sourced, too: the functions below are what the lab tests are written in.

lab=${JPX_LAB:-jpx}

# exec, not "ip netns exec": that would hide bpffs behind a /sys of its own.
in_ns() {
	local who=$1
	shift
	nsenter --net="/run/netns/$lab-$who" "$@"
}

ns_ip() {
	local who=$1
	shift
	ip -n "$lab-$who" "$@"
}

lab_namespace() {
	ip netns add "$lab-$1"
	# No duplicate address detection: an address is usable as soon as it is there.
	in_ns "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.router_solicitations=0
	ns_ip "$1" link set lo up
}

# lab_link WHO1 IF1 WHO2 IF2.  Two things that real NICs do not need:
# - GRO on: a veth takes frames redirected by XDP only with NAPI on,
#   and the kernel notices only if it is up by then.
# - tx checksumming off: else the stack leaves the UDP checksum to hardware that is not there.
# $lab_queues, if set, is the number of queues each way, as a NIC has one a CPU.
lab_link() {
	local queues=${lab_queues:+numrxqueues $lab_queues numtxqueues $lab_queues}
	# shellcheck disable=SC2086 # words, or nothing
	ns_ip "$1" link add "$2" $queues type veth peer name "$4" netns "$lab-$3" $queues
	for end in "$1 $2" "$3 $4"; do
		# shellcheck disable=SC2086 # two words
		set -- $end
		ns_ip "$1" link set "$2" up
		in_ns "$1" ethtool -K "$2" gro on tx off >/dev/null 2>&1
	done
}

lab_mac() { # WHO IF
	in_ns "$1" cat "/sys/class/net/$2/address" 2>/dev/null ||
		ns_ip "$1" -br link show "$2" | awk '{ print $3 }'
}

lab_link_local() { # WHO IF
	ns_ip "$1" -6 -o addr show dev "$2" scope link | awk '{ sub("/.*", "", $4); print $4; exit }'
}

lab_up() {
	local ports=${1:-1} i who
	lab_down
	for who in pledge proxy gateway registrar; do lab_namespace "$who"; done
	for ((i = 0; i < ports; i++)); do lab_link pledge "pl$i" proxy "pj$i"; done
	lab_link proxy up0 gateway gw0
	lab_link gateway gw1 registrar rg0
	ns_ip proxy addr add 2001:db8:1::2/64 dev up0
	ns_ip gateway addr add 2001:db8:1::1/64 dev gw0
	ns_ip gateway addr add 2001:db8:2::1/64 dev gw1
	ns_ip registrar addr add 2001:db8:2::52/64 dev rg0
	ns_ip proxy route add default via 2001:db8:1::1
	ns_ip registrar route add default via 2001:db8:2::1
	in_ns gateway sysctl -qw net.ipv6.conf.all.forwarding=1
	lab_settle
}

# Waits until every end has its link-local address: the kernel takes its time to see a carrier.
lab_settle() { # [WHO...]
	local who end
	for who in ${*:-pledge proxy gateway registrar}; do
		for end in $(ns_ip "$who" -br link show type veth | sed 's/@.*//'); do
			for _ in $(seq 200); do
				[ -n "$(lab_link_local "$who" "$end")" ] && break
				sleep 0.05
			done
		done
	done
}

lab_down() {
	local ns pid
	for ns in pledge proxy gateway registrar; do
		[ -e "/run/netns/$lab-$ns" ] || continue
		for pid in $(ip netns pids "$lab-$ns"); do kill "$pid" 2>/dev/null; done
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			[ -n "$(ip netns pids "$lab-$ns")" ] || break
			sleep 0.1
		done
		for pid in $(ip netns pids "$lab-$ns"); do kill -9 "$pid" 2>/dev/null; done
		ip netns del "$lab-$ns"
	done
	return 0
}

# BPF file systems are not bound to a network namespace: each lab pins in a place of its own.
lab_bpffs() {
	mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
}

[ "${BASH_SOURCE[0]}" = "$0" ] || return 0
set -eu
[ "$(id -u)" = 0 ] || { echo "lab: network namespaces need root" >&2; exit 1; }
case ${1:-} in
up) shift; lab_up "$@"; echo "lab $lab is up; drop it with: $0 down" ;;
down) lab_down ;;
exec) shift; who=$1; shift; in_ns "$who" "$@" ;;
shell) in_ns "$2" "${SHELL:-/bin/bash}" ;;
*) sed -n '5,18s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
