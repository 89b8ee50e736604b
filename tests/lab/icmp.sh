#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2015,SC2086,SC2317 # not_ok where either fails; words; called through check
#
# ICMP errors of stateful mode, with the pledge and the Registrar of either version of
# IP and by either engine: a refused newcomer's connected socket is told, errors of the
# uplink reach the pledge that they are about, forged ones reach nobody, and floods of
# either are cut down.
JPX_LAB=t-icmp
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs "$build/tests/icmp_probe"

# Enough for what a case opens, but for those about limits.
many='flows { per-pledge = 8
per-port = 1000 }'
next_port=40000

# What an address is called for pledges and Registrars of IPv4 and IPv6.
registrar() { # FAMILY
	if [ "$1" = 6 ]; then echo '[2001:db8:2::52]:5684'; else echo 10.7.2.52:5684; fi
}

pledge() { # FAMILY
	next_port=$((next_port + 16))
	if [ "$1" = 6 ]; then
		pledge="[$(lab_link_local pledge pl0)%pl0]:$next_port"
	else
		pledge=169.254.1.1:$next_port
	fi
}

join() { # FAMILY
	if [ "$1" = 6 ]; then
		echo "[$(pj_address pj0)%pl0]:$(join_port pj0 0)"
	else
		echo "169.254.2.1:$(join_port pj0 0)"
	fi
}

second_uplink() { # FAMILY
	if [ "$1" = 6 ]; then echo '[2001:db8:1::3]:1'; else echo 10.7.1.3:1; fi
}

# probe NAME PLEDGE-FAMILY REGISTRAR-FAMILY CASE [ARGUMENT...]: its checks are ours.
probe() {
	local name=$1 pledge_family=$2 family=$3
	shift 3
	pledge "$pledge_family"
	in_ns pledge timeout 60 "$build/tests/icmp_probe" "$lab" "$run_dir" "$pledge" \
		"${join:-$(join "$pledge_family")}" "$(second_uplink "$family")" \
		"${registrar:-$(registrar "$family")}" "$@" >"$work/probe.out" 2>"$work/probe.log" ||
		failed=1
	sed "s/^\(\(not \)\{0,1\}ok \)/\1$name-/" "$work/probe.out"
	# It says at least one thing, and does not stop half-way.
	has '^\(not \)\{0,1\}ok ' "$work/probe.out" && [ ! -s "$work/probe.log" ] || not_ok "$name-$*"
}

serve() { # XDP REGISTRAR-FAMILY CONFIGURATION [OPTION...]
	local xdp=$1 family=$2 config=$3
	shift 3
	jpd_start "$config" && attach pj0 --registrar "$(registrar "$family")" --mode stateful \
		--xdp "$xdp" "$@"
}

# The gateway answers for everything, as often as it is asked.
no_limits() { # WHO
	in_ns "$1" sysctl -qw net.ipv6.icmp.ratemask= net.ipv4.icmp_ratemask=0
}

routers() { # PLEDGE-FAMILY: real routers' words for a Registrar of IPv6
	local f=$1
	probe "refused-$xdp-6-$f" "$f" 6 expect $noport 50
	ns_ip gateway route add prohibit 2001:db8:2::52
	probe "prohibit-$xdp-6-$f" "$f" 6 expect $admin 50
	ns_ip gateway route del prohibit 2001:db8:2::52
	# Nobody answers the gateway's neighbour solicitations.
	ns_ip registrar addr del 2001:db8:2::52/64 dev rg0
	ns_ip gateway neigh flush dev gw1
	probe "unreachable-$xdp-6-$f" "$f" 6 expect $unreachable 50
	ns_ip registrar addr add 2001:db8:2::52/64 dev rg0
	ns_ip gateway route add throw 2001:db8:2::52
	ns_ip gateway route del 2001:db8:2::/64 dev gw1
	probe "noroute-$xdp-6-$f" "$f" 6 expect $noroute 50
	ns_ip gateway route del throw 2001:db8:2::52
	ns_ip gateway route add 2001:db8:2::/64 dev gw1
	ns_ip gateway link set gw1 mtu 1400
	# The proxy fragments where its kernel has learnt of a small MTU before.
	ns_ip proxy -6 route flush cache
	probe "too-big-$xdp-6-$f" "$f" 6 expect $too_big 1380
	ns_ip gateway link set gw1 mtu 1500
	# To and fro between the gateway and the Registrar until the hops are used up.
	registrar='[2001:db8:9::52]:5684'
	attach pj0 --registrar "$registrar" --mode stateful --xdp "$xdp"
	local port
	port=$(status ".services[] | select(.address == \"2001:db8:9::52\") | .join_port")
	join=$(join "$f")
	join=${join%:*}:$port
	probe "hop-limit-$xdp-6-$f" "$f" 6 expect $time_exceeded 50
	join='' registrar=''
}

lab_up
# Never the one to send from, being deprecated.
ns_ip proxy addr add 2001:db8:1::3/64 dev up0 preferred_lft 0
ns_ip pledge addr add 169.254.1.1/16 dev pl0
ns_ip proxy addr add 169.254.2.1/16 dev pj0
ns_ip proxy addr add 10.7.1.2/24 dev up0
ns_ip proxy addr add 10.7.1.3/24 dev up0
ns_ip gateway addr add 10.7.1.1/24 dev gw0
ns_ip gateway addr add 10.7.2.1/24 dev gw1
ns_ip registrar addr add 10.7.2.52/24 dev rg0
ns_ip proxy route add 10.7.2.0/24 via 10.7.1.1
ns_ip registrar route add 10.7.1.0/24 via 10.7.2.1
in_ns gateway sysctl -qw net.ipv4.ip_forward=1
in_ns registrar sysctl -qw net.ipv6.conf.all.forwarding=1
ns_ip gateway route add 2001:db8:9::/64 via 2001:db8:2::52
# So that a pledge can send to the uplink's addresses.
ns_ip pledge route add 2001:db8:1::/64 via "$(pj_address pj0)" dev pl0
ns_ip pledge route add 10.7.1.0/24 via 169.254.2.1 dev pl0
# ... and to the Registrar's.
ns_ip pledge route add 2001:db8:2::/64 via "$(pj_address pj0)" dev pl0
ns_ip pledge route add 10.7.2.0/24 via 169.254.2.1 dev pl0
in_ns proxy sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.pj0.rp_filter=0
for who in gateway registrar proxy; do no_limits "$who"; done
wait_for test -n "$(lab_link_local pledge pl0)" -a -n "$(pj_address pj0)"

for xdp in auto off; do
	for family in 6 4; do
		for pf in 6 4; do
			name=$xdp-$family-$pf
			check "serve-$name" serve "$xdp" "$family" "$many"
			probe "$name" "$pf" "$family" codes
			probe "$name" "$pf" "$family" cut
			probe "$name" "$pf" "$family" forged
			probe "$name" "$pf" "$family" flood
			check "stop-$name" jpd_stop
			check "serve-limit-$name" serve "$xdp" "$family" \
				'flows { per-pledge = 2
				idle = 2 }'
			probe "$name" "$pf" "$family" refused 2 flows_per_pledge
			check "flush-$name" jp flows flush
			probe "$name" "$pf" "$family" refused-flood 2
			check "flush-again-$name" jp flows flush
			[ "$pf" != "$family" ] || probe "$name" "$pf" "$family" idle
			check "stop-limit-$name" jpd_stop
		done
	done
	check "serve-port-$xdp" serve "$xdp" 6 "$many" --max-flows 3
	probe "port-$xdp" 6 6 refused 3 flows_per_port
	check "stop-port-$xdp" jpd_stop
	# Pledges that send to the Registrar's own address.
	for family in 6 4; do
		check "serve-intercept-$xdp-$family" serve "$xdp" "$family" \
			'flows { per-pledge = 2 }' --intercept
		join=$(registrar "$family")
		probe "intercept-$xdp-$family" "$family" "$family" codes
		check "flush-intercept-$xdp-$family" jp flows flush
		probe "intercept-$xdp-$family" "$family" "$family" refused 2 flows_per_pledge
		join=''
		check "stop-intercept-$xdp-$family" jpd_stop
	done
	check "serve-routers-$xdp" serve "$xdp" 6 "$many"
	noport='ECONNREFUSED 1 4 0' admin='EACCES 1 1 0' unreachable='EHOSTUNREACH 1 3 0'
	noroute='ENETUNREACH 1 0 0' too_big='EMSGSIZE 2 0 1400' time_exceeded='EHOSTUNREACH 3 0 0'
	routers 6
	noport='ECONNREFUSED 3 3 0' admin='EHOSTUNREACH 3 10 0' unreachable='EHOSTUNREACH 3 1 0'
	noroute='EHOSTUNREACH 3 1 0' too_big='EMSGSIZE 3 4 1380' time_exceeded='EHOSTUNREACH 11 0 0'
	routers 4
	check "stop-routers-$xdp" jpd_stop
done
finish
