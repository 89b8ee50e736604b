#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # called through check; read by the scripts that source this
#
# The radios of mac802154_hwsim in the namespaces of a lab, for guests of scripts/vm.sh only: it
# loads modules.  To be sourced with JPX_LAB set, as tests/lab/common.sh, which it sources.
#
#   pledge: wpan0, lowpan0 on it    proxy: wpan1, lowpan0 on it    a third hears wpan1: mon0, outside
# shellcheck source=tests/lab/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lab/common.sh"
needs iwpan wpan-hwsim "$build/tests/wpan_probe"

phys() {
	iwpan phy | sed -n 's/^wpan_phy //p'
}

# Anew, so that names and numbers are those of a machine that has just started.
radio_modules() {
	modprobe -r ieee802154_6lowpan ieee802154_socket mac802154_hwsim 2>/dev/null
	wait_for modprobe -q -r ieee802154 || return 1
	modprobe mac802154_hwsim && modprobe ieee802154_6lowpan && modprobe ieee802154_socket &&
		[ "$(phys | sort | xargs)" = "phy0 phy1" ] && return 0
	echo "# radios: $(phys | xargs)"
	return 1
}

radio() { # WHO N: phyN with wpanN, in a PAN
	iwpan phy "phy$2" set netns name "$lab-$1" &&
		in_ns "$1" iwpan dev "wpan$2" set pan_id 0xbeef &&
		in_ns "$1" iwpan dev "wpan$2" set short_addr "0x000$2" &&
		ns_ip "$1" link set "wpan$2" up
}

has_address() { # WHO IF
	[ -n "$(lab_link_local "$1" "$2")" ]
}

lowpan_eui64() { # WHO: of its lowpan0
	ns_ip "$1" -o link show lowpan0 | sed -n 's/.* link\/[^ ]* \([0-9a-f:]*\).*/\1/p'
}

long_address() { # WHO: the link-local address that its lowpan0 has of the radio's EUI-64
	local b
	IFS=: read -ra b <<<"$(lowpan_eui64 "$1")"
	[ ${#b[@]} = 8 ] || return 1
	printf 'fe80::%x:%x:%x:%x\n' $((16#${b[0]}${b[1]} ^ 16#200)) $((16#${b[2]}${b[3]})) \
		$((16#${b[4]}${b[5]})) $((16#${b[6]}${b[7]}))
}

lowpan() { # WHO N: lowpan0 on wpanN
	ns_ip "$1" link add link "wpan$2" name lowpan0 type lowpan && ns_ip "$1" link set lowpan0 up &&
		wait_for has_address "$1" lowpan0
}

# A third radio that hears the proxy's, with a monitor interface alone: it sees every frame.
radio_monitor() {
	wpan-hwsim add && wpan-hwsim edge add 1 2 && iwpan dev wpan0 del &&
		iwpan phy phy2 interface add mon0 type monitor && ip link set mon0 up
}

registrar=2001:db8:2::52

# A whole lab; of the proxy's radio only the interface, under the name that a gateway's has.
#
#   pledge            proxy               registrar
#   wpan0  ~~~~~~~~~  wpan0   up0 ------- rg0
#   lowpan0           lowpan0 2001:db8:2::2  ::52
lab_wpan() {
	local who
	for who in pledge proxy registrar; do lab_namespace "$who"; done
	lab_link proxy up0 registrar rg0
	ns_ip proxy addr add 2001:db8:2::2/64 dev up0
	ns_ip registrar addr add "$registrar"/64 dev rg0
	radio_modules && radio pledge 0 && lowpan pledge 0 && radio proxy 1 && radio_monitor &&
		ns_ip proxy link set wpan1 down && ns_ip proxy link set wpan1 name wpan0
}

# hear SECONDS: leaves its id in $hearing, what it heard in $work/heard
hear() {
	"$build/tests/wpan_probe" hear mon0 "$1" >"$work/heard" 2>&1 &
	hearing=$!
	pids+=("$hearing")
	wait_for has hearing "$work/heard"
}

# Before 6.12, somewhere: on its way out of a node's interface the kernel drops what is no data frame,
# and tells only its log.
beacons_are_lost() {
	case $(uname -r) in 6.1.*) return 0 ;; esac
	return 1
}
