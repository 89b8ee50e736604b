#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs intercept_test in a lab of its own: two pledge ports, IPv4 beside IPv6, and a
# proxy that routes, so that what is not intercepted can be seen to go its usual way.
JPX_LAB=t-intercept
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/intercept_test" ip sysctl

# A new namespace has the rp_filter of the machine's own.
routes() { # WHO
	in_ns "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	in_ns "$1" sysctl -aN --pattern '^net\.ipv4\.conf\..*\.rp_filter$' | sed 's/$/=0/' |
		in_ns "$1" xargs sysctl -qw
}

lab_up 2
for who in proxy gateway registrar; do routes "$who"; done
in_ns registrar sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
ns_ip proxy addr add 198.51.100.2/24 dev up0
ns_ip gateway addr add 198.51.100.1/24 dev gw0
ns_ip gateway addr add 192.0.2.1/24 dev gw1
ns_ip registrar addr add 192.0.2.52/24 dev rg0
ns_ip proxy route add default via 198.51.100.1
ns_ip registrar route add default via 192.0.2.1
ns_ip gateway route add 169.254.0.0/16 via 198.51.100.2
ns_ip gateway route add 2001:db8:3::/64 via 2001:db8:1::2

# The pledge knows the way to the Registrar; link-local addresses are all it has.
for i in 0 1; do
	ns_ip pledge -6 route add default via "$(lab_link_local proxy pj$i)" dev pl$i metric $((i + 1))
done
ns_ip proxy addr add 169.254.1.1/16 dev pj0
ns_ip pledge addr add 169.254.7.7/16 dev pl0
ns_ip pledge route add default via 169.254.1.1 dev pl0

spawn proxy intercept "$build/tests/intercept_test" "$lab"
wait "$spawned"
status=$?
cat "$work/intercept.log"
[ $status = 0 ] || failed=1
finish
