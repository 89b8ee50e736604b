#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs netwatch_test in a network namespace of its own, joined by a veth pair to a
# second one that plays the neighbour.  Touches nothing outside the two.
# Exit: 0 all passed, 1 something failed, 77 not possible here.
set -eu

test_bin=${JPX_BUILD:-build}/tests/netwatch_test
here=nwt$$a
peer=nwt$$b

if [ "$(id -u)" != 0 ]; then
	echo "skip: netwatch needs root to make network namespaces"
	exit 77
fi
if [ ! -x "$test_bin" ]; then
	echo "not ok netwatch: $test_bin is not there; build the tests first" >&2
	exit 1
fi

cleanup() {
	ip netns del "$here" 2>/dev/null || :
	ip netns del "$peer" 2>/dev/null || :
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

ip netns add "$here"
ip netns add "$peer"
in_here="nsenter --net=/run/netns/$here"
in_peer="nsenter --net=/run/netns/$peer"

$in_here ip link add up0 address 02:00:00:00:0a:01 mtu 1400 type veth \
	peer name pe0 address 02:00:00:00:0b:01 netns "$peer"
for cmd in "$in_here" "$in_peer"; do
	$cmd ip link set lo up
done
$in_here ip link set up0 up
$in_peer ip link set pe0 up
$in_here ip addr add 2001:db8:1::1/64 dev up0 nodad
$in_peer ip addr add 2001:db8:1::2/64 dev pe0 nodad
$in_here ip addr add 192.0.2.1/24 dev up0
$in_peer ip addr add 192.0.2.2/24 dev pe0

$in_here "$test_bin" "$peer"
