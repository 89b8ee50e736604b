#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The generator of the pktgen benchmarks: pledges, played by the kernel's pktgen on one
# interface.  By itself and in one file, so that it runs in a network namespace
# (nsenter ... bash scripts/lib/pktgen.sh run ...) as well as on another machine
# (ssh HOST bash -s run ... <scripts/lib/pktgen.sh).
#
#   pktgen.sh load        pktgen is there afterwards; says "loaded" if it was not before
#   pktgen.sh unload      takes it away again
#   pktgen.sh run KEY=VALUE...    sends for some seconds; says what, as KEY=VALUE
#     if=IF dst=ADDR mac=MAC port=N   where to: the proxy's address, MAC and join port
#     size=N                          bytes of content, 16 at least
#     pledges=N ports=N first=N       each pledge has an address and MAC of its own, and so many
#                                     UDP ports, the first of all pledges' from FIRST on
#     cpus=LIST                       which send, "0" or "0,2,4"; pledges are spread over them
#     ms=N                            for how long
#
# Pledge N has the MAC 02:00:00:00:NN:NN and the address fe80::ff:fe00:NNNN.  The packets of
# pledges take turns, and their UDP ports are chosen at random, packet by packet.
set -u
proc=/proc/net/pktgen

fail() { echo "pktgen: $*" >&2; exit 1; }

load() {
	[ "$(id -u)" = 0 ] || fail "sending from inside the kernel needs root; try again with sudo"
	[ -e /proc/net/pktgen/pgctrl ] && return 0
	modprobe pktgen 2>/dev/null && [ -e /proc/net/pktgen/pgctrl ] && echo loaded && return 0
	fail "this kernel, $(uname -r), has no module pktgen; on Debian it is in linux-image-$(dpkg --print-architecture 2>/dev/null || uname -m), not in the cloud kernels: install that and boot it"
}

tell() { # FILE WORDS: pktgen refuses by an error of write, and says why in the file
	echo "$2" 2>/dev/null >"$proc/$1" && return 0
	fail "pktgen does not take \"$2\" for $1: $(sed -n 's/^Result: //p' "$proc/$1" 2>/dev/null)"
}

devices=() threads=()
clean_up() {
	local t
	[ -e $proc/pgctrl ] || return 0
	echo stop >$proc/pgctrl 2>/dev/null
	for t in "${threads[@]}"; do echo rem_device_all >"$proc/$t" 2>/dev/null; done
}

# "IF@N", N a number that no other pledge has: one device of pktgen's a pledge, since it cannot change an
# IPv6 source address from packet to packet.  A delay that is over long before the next packet
# makes a thread's devices take turns; without one, each would send all it has before the next.
add_pledges() {
	local n thread device
	for ((n = 1; n <= pledges; n++)); do
		thread=${threads[(n - 1) % ${#threads[@]}]} device=$if@$n
		tell "$thread" "add_device $device"
		devices+=("$device")
		tell "$device" "count 0"
		tell "$device" "clone_skb 0"
		tell "$device" "delay $((50 * (pledges / ${#threads[@]} + 1)))"
		tell "$device" "pkt_size $((62 + size))"
		tell "$device" "dst_mac $mac"
		tell "$device" "src_mac $(printf '02:00:00:00:%02x:%02x' $((n >> 8)) $((n & 255)))"
		tell "$device" "dst6 $dst"
		tell "$device" "src6 $(printf 'fe80::ff:fe00:%x' "$n")"
		tell "$device" "udp_dst_min $port"
		tell "$device" "udp_dst_max $port"
		tell "$device" "udp_src_min $((first + (n - 1) * ports))"
		tell "$device" "udp_src_max $((first + n * ports))"
		tell "$device" "flag UDPSRC_RND"
		tell "$device" "flag UDPCSUM"
		tell "$device" "flag NO_TIMESTAMP"
		# One transmit queue a CPU, where there are as many.
		queue=$(((n - 1) % ${#threads[@]} % queues))
		tell "$device" "queue_map_min $queue"
		tell "$device" "queue_map_max $queue"
	done
}

dropped() { # packets that the interface did not take
	awk -v i="$if:" '$1 == i { print $13 }' /proc/net/dev
}

sent() { # what the devices say that they sent, and what was refused
	local device text
	text=$(for device in "${devices[@]}"; do cat "$proc/$device"; done)
	awk '/pkts-sofar:/ { sent += $2; errors += $4 } END { print sent + 0, errors + 0 }' <<<"$text"
}

run() {
	local word cpu before starter packets errors
	for word in "$@"; do
		case $word in
		if=* | dst=* | mac=* | port=* | size=* | pledges=* | ports=* | first=* | cpus=* | ms=*)
			declare -g "$word" ;;
		*) fail "what is $word?" ;;
		esac
	done
	load >/dev/null
	trap clean_up EXIT
	trap 'exit 130' HUP INT TERM
	[ -e "/proc/sys/net/ipv6/conf/$if" ] || fail "there is no interface $if here (ip link)"
	queues=$(ip -d link show "$if" | sed -n 's/.*numtxqueues \([0-9]*\).*/\1/p')
	: "${queues:=1}"
	for cpu in ${cpus//,/ }; do
		[ -e "$proc/kpktgend_$cpu" ] || fail "there is no CPU $cpu here"
		threads+=("kpktgend_$cpu")
	done
	# Somebody else's would send along, and be gone afterwards.
	! grep -hqE '^(Running|Stopped): *[^ ]' $proc/kpktgend_* ||
		fail "pktgen has devices of somebody else's; if nobody needs them: echo reset >$proc/pgctrl"
	add_pledges
	before=$(dropped)
	echo start >$proc/pgctrl &
	starter=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	echo stop >$proc/pgctrl
	wait $starter || fail "pktgen did not start (dmesg may say why)"
	read -r packets errors < <(sent)
	[ "$packets" -gt 0 ] || fail "pktgen sent nothing by $if; is it up, with a carrier (ip link)?"
	echo "sent=$((packets + errors)) dropped=$(($(dropped) - before))"
}

case ${1:-} in
load) load ;;
unload) rmmod pktgen ;;
run) shift; run "$@" ;;
*) fail "load, unload or run" ;;
esac
