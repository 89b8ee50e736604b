#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# Real DTLS through the proxy, in each JPY form and by each engine: libcoap's own
# client and server with a PSK, OpenSSL's with a certificate, many pledges at once,
# several services and several pledge ports side by side, and pledges whose address
# does not tell their MAC.
JPX_LAB=t-relay
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs openssl coap-client-openssl coap-server-openssl

registrar=2001:db8:2::52

# by_engine XDP FORM: since the last start of jpd one engine alone relayed.
by_engine() {
	local fast sock
	fast=$(stats .fast_path.packets)
	sock=$(stats .socket.packets)
	if [ "$1" = off ] || [ "$2" = draft-01 ]; then
		[ "$fast" = 0 ] && [ "$sock" -gt 5 ]
	else
		[ "$fast" -gt 5 ] && [ "$sock" = 0 ]
	fi && return 0
	echo "# $fast packets by the fast path, $sock by the socket engine"
	return 1
}

engines_shown() { # XDP: what status says of ports and uplinks
	local want=xdp-native
	[ "$1" = off ] && want=socket
	[ "$(status '[.ports[].engine, .uplinks[].engine] | unique | join(" ")')" = "$want" ]
}

form_at_registrar() { # FORM JPREG-PORT
	has "^  form  *$1: " "$work/jpreg-$2.log"
}

# The Registrar's end was told of that very pledge.
pledge_at_registrar() { # INTERFACE-ID JPREG-PORT
	has "^ *address  *fe80::$1 \|^ *interface id  *$1 " "$work/jpreg-$2.log"
}

# Two pledges of the same address and UDP port, at the same time, on two pledge ports.
twins() { # JOIN-PORT
	local one before after
	before=$(stats '[.ports[].to_pledge.packets] | join(" ")')
	coap_get 0 "$1" -a fe80::77%pl0 -p 40077 &
	one=$!
	coap_get 1 "$1" -a fe80::77%pl1 -p 40077 && wait "$one" || return 1
	after=$(stats '[.ports[].to_pledge.packets] | join(" ")')
	# shellcheck disable=SC2086 # two words each
	set -- $before $after
	[ $(($3 - $1)) -gt 3 ] && [ $(($4 - $2)) -gt 3 ] && [ $(($3 - $1)) = $(($4 - $2)) ]
}

# While pl1's pledge talks, what the proxy sends to pl0 does not grow.
quiet_port() { # JOIN-PORT
	local before after
	before=$(stats '.ports[] | select(.ifname == "pj0") | tojson')
	coap_get 1 "$1" || return 1
	after=$(stats '.ports[] | select(.ifname == "pj0") | tojson')
	[ "$before" = "$after" ]
}

lab_up 2
crowd_addresses 20 >"$work/addrs"
cat >>"$work/addrs" <<END
addr add fe80::1234:5678:9abc:def1/64 dev pl0 nodad
addr add fe80::77/64 dev pl0 nodad
addr add fe80::77/64 dev pl1 nodad
END
ns_ip pledge -6 -batch "$work/addrs"
make_certificate

check server-up coap_server
jpreg_start 7634 5684

for xdp in auto off; do
	for form in draft-02 draft-06 draft-21 draft-01; do
		name=$form-$xdp
		stop "$jpreg_pid" # so that its trace tells of this form only
		jpreg_start 7634 5684
		check "jpd-$name" jpd_start
		check "attach-$name" attach pj0 --registrar "[$registrar]:7634" --jpy "$form" --xdp "$xdp"
		check "engine-$name" engines_shown "$xdp"
		port=$(join_port pj0 0)
		check "psk-$name" coap_get 0 "$port"
		check "form-$name" form_at_registrar "$form" 7634
		check "odd-mac-$name" coap_get 0 "$port" -a fe80::1234:5678:9abc:def1%pl0
		check "odd-mac-told-$name" pledge_at_registrar 1234:5678:9abc:def1 7634
		check "crowd-$name" crowd 20 "$port"
		check "by-one-engine-$name" by_engine "$xdp" "$form"
		check "no-drops-$name" no_drops
		check "stop-$name" jpd_stop
	done

	# Certificates; then a second service and a second port join in.
	jpd_start
	jpreg_start 7640 5690
	attach pj0 --registrar "[$registrar]:7640" --jpy draft-21 --xdp "$xdp"
	check "certificate-$xdp" certificate "[::1]:5690" "[$(pj_address pj0)%pl0]:$(join_port pj0 0)"
	attach pj0 --registrar "[$registrar]:7634" --jpy draft-02 --xdp "$xdp"
	jpreg_start 7635 5684
	attach pj0 --registrar "[$registrar]:7635" --jpy draft-06 --xdp "$xdp"
	check "join-ports-$xdp" test "$(status '[.ports[0].join_ports[].port] | unique | length')" = 3
	one=$(status '.services[] | select(.jpy == "draft-02") | .join_port')
	two=$(status '.services[] | select(.jpy == "draft-06") | .join_port')
	coap_get 0 "$one" &
	first=$!
	check "service-two-$xdp" coap_get 0 "$two"
	check "service-one-$xdp" wait "$first"
	check "form-two-$xdp" form_at_registrar draft-06 7635
	check "form-one-$xdp" form_at_registrar draft-02 7634
	attach pj1 --registrar "[$registrar]:7634" --jpy draft-02 --xdp "$xdp"
	check "twins-$xdp" twins "$one"
	check "no-crosstalk-$xdp" quiet_port "$one"
	check "services-no-drops-$xdp" no_drops
	check "services-stop-$xdp" jpd_stop
	for pid in "${pids[@]}"; do
		has jpreg "/proc/$pid/comm" && [ "$pid" != "$jpreg_pid" ] && stop "$pid"
	done
	stop "$jpreg_pid"
	jpreg_start 7634 5684
done
finish
