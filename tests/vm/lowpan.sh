#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# The kernel's own 6LoWPAN between two radios: the ground that a wpan0 stands on.  And an enhanced
# beacon, as jpd sends it, heard by a third.
JPX_LAB=t-lowpan
# shellcheck source=tests/vm/lib/radio.sh
. "$(dirname "$0")/lib/radio.sh"

reaches() { # SIZE
	for _ in 1 2 3 4 5; do
		in_ns pledge ping -6 -c 1 -W 2 -s "$1" "$(lab_link_local proxy lowpan0)%lowpan0" \
			>"$work/ping.log" 2>&1 && return 0
	done
	return 1
}

node() { # WHO N
	lab_namespace "$1" && radio "$1" "$2" && lowpan "$1" "$2"
}

beacon() { # IF: sent there, heard on the monitor
	hear 5 || return 1
	in_ns proxy "$build/tests/wpan_probe" send "$1" >"$work/sent" 2>&1 || return 1
	wait "$hearing"
	has "^$(cut -d' ' -f1 "$work/sent") priority 5 network jpx!\$" "$work/heard"
}

# The sender hears nothing of it.
beacon_lost() { # IF
	! beacon "$1" && has 'pan [0-9a-f]* length' "$work/sent" && dmesg | grep -q 'encryption failed: -22'
}

check modules radio_modules
check radio-of-the-pledge node pledge 0
check radio-of-the-proxy node proxy 1
check monitor radio_monitor
check ping reaches 56
check ping-in-fragments reaches 1200
if beacons_are_lost; then
	check beacon-is-lost beacon_lost lowpan0
else
	check beacon-from-lowpan0 beacon lowpan0
	check beacon-from-wpan beacon wpan1
fi
finish
