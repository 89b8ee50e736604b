#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# The Registrar dies in the middle of a crowd's enrolments and comes back: what it had issued is still in its
# record, and every pledge ends with exactly one certificate, whether it had none, had one, or had one issued and never
# heard of it.
JPX_LAB=t-killed
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
needs openssl "$build/jpledge"
# jpd tells no more than some forty in one go.  The first few are done when the others have hardly begun.
pledges=40
caught=0
# Statefully, as ICMP errors tell the pledges at once that nobody listens.  Each session is from a port of its own, so
# it takes a flow, and the one before stands until it is idle.
conf="$quiet
flows { per-port = $((10 * pledges)) per-pledge = 8 }
port pj0 {}
registrar r { address = \"[2001:db8:2::52]:5684\" mode = stateful }"

proxy_up() {
	jpd_start "$conf" && wait_for all_serving && port=$(status '.services[0].join_port')
}

serials() { issued '.issued[].serial' | sort; }

# dies SIGNAL FIRST: while pledges from FIRST on enrol, when a few of them have their certificate
dies() {
	local pid count=0 line ret=0
	coproc tail { exec tail -n 0 -f "$work/jpreg.log"; }
	sleep 0.2 # it is at the end
	in_ns pledge timeout 200 "$build/jpledge" swarm --proxy "[$(pj_address pj0)%pl0]:$port" --identities "$work/makers" \
		--ca "$work/state/ca.pem" --first "$2" --count "$pledges" --rate 1000 --json >"$work/swarm.json" 2>"$work/swarm.log" &
	pid=$!
	while [ $count -lt 4 ] && read -r -t 60 -u "${tail[0]}" line; do
		[[ $line = *'a certificate for'* ]] && count=$((count + 1))
	done
	disown "$jpreg_pid" 2>/dev/null # the shell is not to say that it died
	kill "-$1" "$jpreg_pid"
	kill "$tail_PID"
	until ! kill -0 "$jpreg_pid" 2>/dev/null; do sleep 0.05; done
	serials >"$work/then"
	count=$(wc -l <"$work/then")
	echo "# $count certificates when it got SIG$1"
	if [ "$count" -lt $(($2 - 1 + pledges)) ]; then caught=$((caught + 1)); else echo "# nobody was left"; fi
	sleep 4 # what is sent again in that time meets nobody
	serve || ret=1
	wait "$pid" || ret=1
	jq -r '"# \(.enrolled) of \(.pledges) in \(.seconds * 10 | round / 10) s, \(.sessions) sessions; p50 \(.enrolment_ms.p50), p90 \(.enrolment_ms.p90) ms; \(.retransmissions); \(.reasons)"' "$work/swarm.json"
	return $ret
}

all_kept() {
	serials >"$work/now"
	[ -z "$(comm -23 "$work/then" "$work/now")" ] && [ -z "$(uniq -d "$work/now")" ]
}

# one_each N: for devices 1 to N
one_each() {
	local got
	got=$(issued '[.issued[].subject | ltrimstr("serialNumber=") | rtrimstr(",O=jpledge") | tonumber] | "\(length) \(unique | length)"')
	[ "$got" = "$1 $1" ] || { echo "# certificates and pledges: $got"; return 1; }
}

lab_up 1
# One second for each, to one proxy, would leave most pledges without.
in_ns registrar sysctl -qw net.ipv6.icmp.ratelimit=0
check mint "$build/jpledge" mint "$work/makers" --count $((2 * pledges))
check serves serve
check proxy proxy_up
check killed dies KILL 1
check all-kept all_kept
check one-each one_each "$pledges"
check ends dies TERM $((pledges + 1))
check all-kept-then all_kept
# On a busy machine all may be done before the signal is there; not twice, it is to be hoped.
check in-the-middle test $caught -gt 0
check one-each-then one_each $((2 * pledges))
finish
