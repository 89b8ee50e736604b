#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# Does the pktgen benchmark measure, does it refuse to where something is wrong, and does
# it leave nothing behind?  In guests: other kernels may have no pktgen.
#
#   tests/vm/pktgen.sh [--all-sizes]     four sizes instead of two
JPX_LAB=t-vm-pktgen
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/../lab/common.sh"
sizes="64 1200"
[ "${1:-}" != --all-sizes ] || sizes="64 133 512 1200"
needs "$build/pktgen-ends" python3

bench() { # NAME OPTION...
	local name=$1
	shift
	timeout $((60 * ${JPX_PATIENCE:-1})) scripts/bench-pktgen.sh --rounds 1 --seconds 0.3 --pledges 16 \
		--json "$work/$name.json" "$@" >"$work/$name.log" 2>&1
}

judge() { # NAME JQ-FILTER...: is it true of all that was measured?
	local said
	said=$(jq -r "$2" "$work/$1.json") && [ "$said" = true ] && return 0
	grep -v ': round' "$work/$1.log" | sed 's/^/# /'
	return 1
}

has_all_rows() {
	judge all "([.rows[] | select(.no_figure == null) | .size] | group_by(.) | map(length)) ==
		[$(for _ in $sizes; do echo 5; done | paste -sd,)]"
}

# A packet is where it should be, or where somebody counted it.
adds_up() {
	judge all '[.rows[] | .sent == .arrived + .queue + .socket and .elsewhere == 0 and .arrived > 0] | all'
}

# One CPU sends, relays and receives, so no queue is ever full for long.
xdp_loses_little() {
	judge all '[.rows[] | select(.candidate != "sockets") | .percent > 95 and .socket == 0] | all'
}

all_flows() {
	judge all '[.runs[] | select(.form == "stateful" and .round > 0) | .sources == 128 or .right < 2560] | all'
}

compared_whole_frames() {
	judge all '[.rows[].samples >= 10] | all'
}

refuses() { # NAME WORDS OPTION...: no figure, and these words
	local name=$1 words=$2
	shift 2
	! bench "$name" --sizes 64 "$@" && grep -q "no figure: .*$words" "$work/$name.log" &&
		jq -e '[.rows[] | .no_figure != null and .kpps == null] | all' "$work/$name.json" >/dev/null &&
		return 0
	grep -v ': round' "$work/$name.log" | sed 's/^/# /'
	return 1
}

bench_left_nothing() {
	[ ! -e /proc/net/pktgen ] || { echo "# pktgen is still loaded"; return 1; }
	local left
	for left in /run/netns/jpx-pktgen-* /sys/fs/bpf/jpx-bench*; do
		[ ! -e "$left" ] || { echo "# $left is left"; return 1; }
	done
	! pgrep -l 'pktgen-ends|jpd'
}

refuses_without_root() {
	setpriv --reuid 65534 --clear-groups scripts/bench-pktgen.sh --quick >"$work/root.log" 2>&1
	[ $? = 1 ] && has 'need root; try' "$work/root.log"
}

refuses_words() {
	scripts/bench-pktgen.sh --sizes 20 >"$work/words.log" 2>&1
	[ $? = 1 ] && has 'from 48 bytes' "$work/words.log"
}

# ---- two veth pairs as NICs: the gateway is this guest -------------------------------

nics_up() {
	local who
	for who in pledge registrar; do lab_namespace "$who"; done
	ip link add nic0 type veth peer name gen0 netns "$lab-pledge" &&
		ip link add nic1 type veth peer name far0 netns "$lab-registrar" || return 1
	sysctl -qw net.ipv6.conf.nic0.accept_dad=0 net.ipv6.conf.nic1.accept_dad=0
	ip link set nic0 up
	ip link set nic1 up
	ns_ip pledge link set gen0 up
	ns_ip registrar link set far0 up
	ethtool -K nic0 gro on tx off >/dev/null 2>&1
	ethtool -K nic1 gro on tx off >/dev/null 2>&1
	in_ns pledge ethtool -K gen0 tx off >/dev/null 2>&1
	ip addr add 2001:db8:1::2/64 dev nic1 nodad
	ns_ip registrar addr add 2001:db8:1::52/64 dev far0 nodad
	wait_for has_link_local
}

has_link_local() {
	ip -6 addr show dev nic0 scope link | grep -q fe80 && ip -6 addr show dev nic1 scope link | grep -q fe80
}

nics() { # NAME OPTION...
	local name=$1
	shift
	timeout $((60 * ${JPX_PATIENCE:-1})) scripts/bench-nics.sh --generator "netns/$lab-pledge:gen0" \
		--far "netns/$lab-registrar:far0" --port nic0 --uplink nic1 --rounds 1 --seconds 0.3 --strict \
		--sizes 133 --json "$work/$name.json" "$@" >"$work/$name.log" 2>&1
}

nics_only_say() {
	nics dry --dry-run && [ ! -e "$work/dry.json" ] && [ ! -e /proc/net/pktgen ] &&
		has 'pktgen-ends far far0' "$work/dry.log" && has 'nic0, nic1' "$work/dry.log"
}

# The generator by ssh, or what stands for it here: it gets a command as ssh does, for another machine's shell.
another_machine() {
	mkdir "$work/bin"
	printf '#!/bin/sh\nwhile [ "$1" = -o ]; do shift 2; done\n[ "$1" = gen.example ] || exit 255\nshift\nexec nsenter --net=/run/netns/%s-pledge sh -c "$*"\n' \
		"$lab" >"$work/bin/ssh" && chmod +x "$work/bin/ssh"
}

nics_measure() {
	PATH=$work/bin:$PATH nics nics --generator gen.example:gen0 &&
		judge nics '([.rows[] | .sent == .arrived + .queue + .socket and .arrived > 0 and
			.no_figure == null] | length == 5 and all)'
}

nics_refuse() {
	! nics far --far far0 && has 'network namespace' "$work/far.log" &&
		! nics registrar --registrar 2001:db8:1::99 && has 'ip addr add 2001:db8:1::99' "$work/registrar.log"
}

check measures bench all --sizes "$sizes"
check has-all-rows has_all_rows
check adds-up adds_up
check xdp-loses-little xdp_loses_little
check all-flows all_flows
check compared-whole-frames compared_whole_frames
check left-nothing bench_left_nothing
grep -v ': round' "$work/all.log" | sed 's/^/# /'
check refuses-a-wrong-join-port refuses port 'none arrived' --only xdp --spoil port
check refuses-wrong-bytes refuses bytes 'arrived wrong' --only xdp --spoil bytes
check refuses-without-a-far-end refuses far 'far end does not answer' --only floor --spoil far
check left-nothing-then bench_left_nothing
check refuses-without-root refuses_without_root
check refuses-wrong-words refuses_words
check nics-are-there nics_up
check nics-dry-run nics_only_say
check another-machine another_machine
check nics-measure nics_measure
check nics-refuse nics_refuse
check nics-left-nothing bench_left_nothing
finish
