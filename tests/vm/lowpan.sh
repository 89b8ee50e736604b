#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# The kernel's own 6LoWPAN between two radios of mac802154_hwsim, each in a namespace of its own:
# the ground that a wpan0 stands on.  And an enhanced beacon, as jpd sends it, heard by a third.
# Runs in a guest of scripts/vm.sh only: it loads modules.
set -u
build=${JPX_BUILD:-build}
work=$(mktemp -d) || exit 1
failed=0

check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name"
		sed 's/^/# /' "$work/out"
		failed=1
	fi
}

pan() { # WHO COMMAND...
	local who=$1
	shift
	nsenter --net="/run/netns/lowpan-$who" "$@"
}

modules() {
	modprobe mac802154_hwsim && modprobe ieee802154_6lowpan && modprobe ieee802154_socket &&
		[ "$(iwpan phy | grep -c '^wpan_phy')" = 2 ]
}

radio() { # WHO N: phyN with wpanN and lowpan0 on it
	local who=$1 n=$2
	ip netns add "lowpan-$who" && iwpan phy "phy$n" set netns name "lowpan-$who" &&
		pan "$who" ip link set lo up &&
		pan "$who" iwpan dev "wpan$n" set pan_id 0xbeef &&
		pan "$who" iwpan dev "wpan$n" set short_addr "0x000$n" &&
		pan "$who" ip link add link "wpan$n" name lowpan0 type lowpan &&
		pan "$who" ip link set "wpan$n" up && pan "$who" ip link set lowpan0 up
}

# A third radio that hears the proxy's, with a monitor interface alone: it sees every frame.
monitor() {
	wpan-hwsim add && wpan-hwsim edge add 1 2 && iwpan dev wpan0 del && iwpan phy phy2 interface add mon0 type monitor && ip link set mon0 up
}

address() { # WHO
	pan "$1" ip -6 -o addr show dev lowpan0 scope link | awk '{ sub("/.*", "", $4); print $4; exit }'
}

reaches() { # SIZE
	for _ in 1 2 3 4 5; do
		pan pledge ping -6 -c 1 -W 2 -s "$1" "$(address proxy)%lowpan0" && return 0
	done
	return 1
}

beacon() { # IF: sent there, heard on the monitor
	local hearing
	"$build/tests/wpan_probe" hear mon0 5 >"$work/heard" 2>&1 &
	hearing=$!
	for _ in $(seq 100); do
		grep -q hearing "$work/heard" && break
		sleep 0.1
	done
	pan proxy "$build/tests/wpan_probe" send "$@" | tee "$work/sent" || return 1
	wait "$hearing"
	cat "$work/heard"
	grep -q "^$(cut -d' ' -f1 "$work/sent") priority 5 network jpx!\$" "$work/heard"
}

# Before 6.12, somewhere: on its way out of a node's interface the kernel drops what is no data frame,
# and tells only its log.  The sender hears nothing of it.
beacon_lost() { # IF
	! beacon "$1" && grep -q 'pan [0-9a-f]* length' "$work/sent" && dmesg | grep -q 'encryption failed: -22'
}

check modules modules
check radio-of-the-pledge radio pledge 0
check radio-of-the-proxy radio proxy 1
check monitor monitor
check ping reaches 56
check ping-in-fragments reaches 1200
case $(uname -r) in
6.1.*)
	check beacon-is-lost beacon_lost lowpan0
	;;
*)
	check beacon-from-lowpan0 beacon lowpan0
	check beacon-from-wpan beacon wpan1
	;;
esac
rm -rf "$work"
exit $failed
