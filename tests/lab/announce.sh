#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2086,SC2317 # for common.sh; words; called through check
#
# Nobody is told of anybody: `jpreg serve --announce' is found by jpd, by CoAP and by GRASP, in either mode; jpd is
# found by the pledge, which comes back with a certificate.
JPX_LAB=t-announce
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
needs openssl coap-client-openssl "$build/jpledge"
addr=2001:db8:1::1

# One hop from the proxy: no multicast routing is needed here.
serve_at_gateway() { # [OPTION...]
	spawn gateway jpreg "$build/jpreg" serve --anchors "$work/makers/maker.pem" --state-dir "$work/state" "$@"
	jpreg_pid=$spawned
	wait_for has 'serving EST' "$work/jpreg.log"
}

# ask TO FILTER: what the answer is, a link a line; one that does not answer in two seconds does not
ask() {
	in_ns proxy timeout 10 coap-client-openssl -B 2 -m get ${3-} "coap://[$1]/.well-known/core${2:+?$2}" 2>"$work/client" |
		tr ',' '\n' | grep '<'
}

# The client knows no interface for other groups; jpd asks ff05::fd.
group() { ask "ff02::fd%up0" "$1" -N; }

is() { # TEXT COMMAND...
	local want=$1 got
	shift
	got=$("$@" | paste -sd' ')
	[ "$got" = "$want" ] && return 0
	echo "# \"$got\""
	return 1
}

jpy="<jpy://[$addr]:7634>;rt=brski.rjp <coaps+jpy://[$addr]:7634>;rt=brski.rjp"
coaps="<coaps://[$addr]:5684>;rt=brski"
root="<coaps://[$addr]:5684/est>;rt=\"ace.est\""

has_functions() { # RFC 9148 4.1: these must be there, where any is
	ask "$addr" 'rt=ace.est*' >"$work/links"
	for f in crts sen sren; do has "<coaps://\[$addr\]:5684/est/$f>;rt=\"ace.est.$f\";ct=\"281 287" "$work/links" || return 1; done
}

silent() { [ -z "$(group "$1")" ]; }

# found SOURCE MODE: jpd serves it, and it is the only one
found() {
	[ "$(status '[.services[] | select(.state == "serving") | "\(.source) \(.mode)"] | join(",")')" = "$1 $2" ]
}

by() { # WAY OTHERS MODE SOURCE N: OTHERS are switched off
	local conf="port pj0 {}
discovery {
	uplinks = {up0}
	mode = $3"
	for way in $2; do conf+=$'\n\t'"$way = no"; done
	jpd_start "$conf
}" || return 1
	# A flood comes once a minute, and when it starts.
	[ "$1" = coap-ask ] || { stop "$jpreg_pid" && serve_at_gateway --announce gw0; } || return 1
	wait_for found "$4" "$3" || { jp status; return 1; }
	jpledge enroll pl0 --identity "$work/makers/device-$5.pem" --ca "$work/state/ca.pem" --out "$work/device-$5" &&
		openssl verify -CAfile "$work/state/ca.pem" "$work/device-$5/ldevid.pem" >>"$work/verify.log" || return 1
	jpd_stop
}

# An address comes, another one takes its place, and none is left.
follows() {
	stop "$jpreg_pid"
	ns_ip gateway addr del 2001:db8:1::1/64 dev gw0
	serve_at_gateway --announce gw0 && logged 'no address that can be routed to' && silent 'rt=brski.rjp' || return 1
	ns_ip gateway addr add 2001:db8:1::1/64 dev gw0 nodad
	wait_for is "$jpy" group 'rt=brski.rjp' || return 1
	# A second one changes nothing while the first is there; it is looked for every 10 s.
	ns_ip gateway addr add 2001:db8:1::77/64 dev gw0 nodad && sleep 11 && is "$jpy" group 'rt=brski.rjp' || return 1
	ns_ip gateway addr del 2001:db8:1::1/64 dev gw0
	wait_for is "${jpy//1::1/1::77}" group 'rt=brski.rjp'
}

no_interface() {
	! "$build/jpreg" serve --anchors "$work/makers/maker.pem" --state-dir "$work/none" --announce nosuch 2>"$work/usage" &&
		has 'there is no interface "nosuch"' "$work/usage"
}

bad_usage() { # TEXT OPTION...
	local text=$1
	shift
	! "$build/jpreg" serve --anchors "$work/makers/maker.pem" --state-dir "$work/none" "$@" 2>"$work/usage" &&
		has "$text" "$work/usage"
}

check mint "$build/jpledge" mint "$work/makers" --count 4
lab_up 1
check serves serve_at_gateway --announce gw0
check said logged "gw0: announcing the Registrar at $addr"
check stateless is "$jpy" group 'rt=brski.rjp'
check stateful is "$coaps" group 'rt=brski'
check est is "$root" group 'rt=ace.est'
check own-address is "$root" ask "$addr" 'rt=ace.est'
check functions has_functions
check not-another silent 'rt=something'
check not-elsewhere silent 'rt=brski.jp'
check by-coap by coap-ask 'grasp-hear dns-sd' stateless coap 1
check by-coap-stateful by coap-ask 'grasp-hear dns-sd' stateful coap 2
check by-grasp by grasp-hear 'coap-ask dns-sd' stateless grasp 3
check by-grasp-stateful by grasp-hear 'coap-ask dns-sd' stateful grasp 4
check four-issued test "$(issued '.issued | length')" = 4
check follows follows
check no-interface no_interface
check other-address bad_usage 'at different addresses' --announce gw0 --listen '[2001:db8:1::2]:5684'
check another-address bad_usage 'at different addresses' --announce gw0 --listen '[2001:db8:1::2]:5684' \
	--listen-jpy '[2001:db8:1::3]:7634'
check one-interface-twice bad_usage 'gw0 is there twice' --announce gw0 --announce gw1 --announce gw0
stop "$jpreg_pid"
finish
