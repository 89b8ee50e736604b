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
#   pktgen.sh prepare KEY=VALUE...    makes the pledges
#     if=IF dst=ADDR mac=MAC          where to: the proxy's address and MAC
#     pledges=N ports=N first=N       each pledge has an address and MAC of its own, and so many
#                                     UDP ports, the first of all pledges' from FIRST on
#     cpus=LIST                       which send, "0" or "0,2,4"; pledges are spread over them
#   pktgen.sh run KEY=VALUE...    they send for some time; says how much, as KEY=VALUE
#     if=IF pledges=N                 as above
#     port=N size=N                   the join port; bytes of content, 16 at least
#     ms=N                            for how long
#   pktgen.sh clear cpus=LIST     stops them and takes them away
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

read_keys() { # ALLOWED KEY=VALUE...: into variables of these names
	local allowed=$1 word
	shift
	for word in "$@"; do
		[[ " $allowed " == *" ${word%%=*} "* && $word == *=* ]] || fail "what is $word?"
		declare -g "$word"
	done
	for word in $allowed; do [ -n "${!word:-}" ] || fail "$word is not said"; done
}

threads() { # into $threads, by the CPUs
	local cpu
	threads=()
	for cpu in ${cpus//,/ }; do
		[ -e "$proc/kpktgend_$cpu" ] || fail "there is no CPU $cpu here"
		threads+=("kpktgend_$cpu")
	done
}

clear_all() {
	local t
	echo stop >$proc/pgctrl 2>/dev/null
	for t in "${threads[@]}"; do echo rem_device_all >"$proc/$t" 2>/dev/null; done
}

# "IF@N", N a number that no other pledge has: one device of pktgen's a pledge, since it cannot change an
# IPv6 source address from packet to packet.  A delay that is over long before the next packet
# makes a thread's devices take turns; without one, each would send all it has before the next.
prepare() {
	local n device queues queue src_mac src6
	read_keys "if dst mac pledges ports first cpus" "$@"
	load >/dev/null
	threads
	[ -e "/proc/sys/net/ipv6/conf/$if" ] || fail "there is no interface $if here (ip link)"
	queues=$(ip -d link show "$if" | sed -n 's/.*numtxqueues \([0-9]*\).*/\1/p')
	# Somebody else's would send along, and be gone afterwards.
	! grep -hqE '^(Running|Stopped): *[^ ]' $proc/kpktgend_* ||
		fail "pktgen has devices of somebody else's; if nobody needs them: echo reset >$proc/pgctrl"
	trap clear_all EXIT
	for ((n = 1; n <= pledges; n++)); do
		device=$if@$n
		tell "${threads[(n - 1) % ${#threads[@]}]}" "add_device $device"
		tell "$device" "count 0"
		tell "$device" "clone_skb 0"
		tell "$device" "delay $((50 * (pledges / ${#threads[@]} + 1)))"
		tell "$device" "dst_mac $mac"
		printf -v src_mac '02:00:00:00:%02x:%02x' $((n >> 8)) $((n & 255))
		tell "$device" "src_mac $src_mac"
		tell "$device" "dst6 $dst"
		printf -v src6 'fe80::ff:fe00:%x' "$n"
		tell "$device" "src6 $src6"
		tell "$device" "udp_src_min $((first + (n - 1) * ports))"
		tell "$device" "udp_src_max $((first + n * ports))"
		tell "$device" "flag UDPSRC_RND"
		tell "$device" "flag UDPCSUM"
		tell "$device" "flag NO_TIMESTAMP"
		# One transmit queue a CPU, where there are as many.
		queue=$(((n - 1) % ${#threads[@]} % ${queues:-1}))
		tell "$device" "queue_map_min $queue"
		tell "$device" "queue_map_max $queue"
	done
	trap - EXIT
}

# Few programs are started from here on: without KVM each takes a guest a tenth of a second.

drops() { # into $dropped: packets that the interface did not take
	local name rest
	dropped=0
	while read -r name rest; do
		# shellcheck disable=SC2086 # words
		[ "$name" != "$if:" ] || { set -- $rest && dropped=${12}; }
	done </proc/net/dev
}

# shellcheck disable=SC2317 # called by the trap
stop() {
	echo stop >$proc/pgctrl 2>/dev/null
}

run() {
	local n before text sent=0 pause
	read_keys "if pledges port size ms" "$@"
	for ((n = 1; n <= pledges; n++)); do
		tell "$if@$n" "pkt_size $((62 + size))"
		tell "$if@$n" "udp_dst_min $port"
		tell "$if@$n" "udp_dst_max $port"
	done
	drops
	before=$dropped
	trap stop EXIT
	trap 'exit 130' HUP INT TERM
	echo start >$proc/pgctrl &
	printf -v pause '%d.%03d' $((ms / 1000)) $((ms % 1000))
	sleep "$pause"
	echo stop >$proc/pgctrl
	wait $! || fail "pktgen did not start (dmesg may say why)"
	drops
	for ((n = 1; n <= pledges; n++)); do
		read -r -d '' text <"$proc/$if@$n"
		[[ $text =~ pkts-sofar:\ *([0-9]+)\ +errors:\ *([0-9]+) ]] || fail "what pktgen says is not understood: $text"
		# What a driver refused is an error to pktgen, and a drop to the interface.
		sent=$((sent + BASH_REMATCH[1] + BASH_REMATCH[2]))
	done
	[ $sent -gt 0 ] || fail "pktgen sent nothing by $if; is it up, with a carrier (ip link)?"
	echo "sent=$sent dropped=$((dropped - before))"
}

case ${1:-} in
load) load ;;
unload) rmmod pktgen ;;
prepare | run) "$@" ;;
clear)
	shift
	read_keys cpus "$@"
	[ ! -e $proc/pgctrl ] || { threads && clear_all; }
	;;
*) fail "load, unload, prepare, run or clear" ;;
esac
