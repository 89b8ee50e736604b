#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# `jpctl check` says what is wrong and how to mend it, and is silent about it once it
# is mended; what has no native XDP says so; a Registrar without a route is counted.
JPX_LAB=t-check
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"

# found WHAT RESULT [IF...]: that line of the check has that result, and a remedy unless it is ok.
found() {
	local what=$1 result=$2
	shift 2
	jp --json check "$@" >"$work/check.json" 2>"$work/check.err"
	jq -e --arg what "$what" --arg result "$result" \
		'.checks[] | select(.what == $what and .result == $result) |
		 (.why != "") and (.result == "ok" or .remedy != "")' "$work/check.json" >/dev/null
}

exit_status() { # STATUS COMMAND...
	local wanted=$1 got
	shift
	"$@" >"$work/out.log" 2>&1
	got=$?
	[ "$got" = "$wanted" ]
}

# ---- the table of the kernel's features: against who asks the kernel otherwise

# row FEATURE KEY: of the last check
row() {
	jq -r --arg f "$1" --arg k "$2" '.kernel[] | select(.feature == $f) | .[$k]' "$work/kernel.json"
}

ask_kernel() { # [COMMAND...]: before jpctl
	in_ns proxy "$@" "$build/jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" --json check \
		>"$work/kernel.json" 2>"$work/check.err"
	jq -e '.kernel | length > 10' "$work/kernel.json" >/dev/null
}

# Each row says all there is to say, a "no" why; that nobody answered is no reason.
rows_are_whole() {
	jq -e '[.kernel[] | (.feature != "") and (.needed_for != "") and (.without != "") and
		(.have == (.why == "")) and (.why | test("temporarily") | not)] | all' "$work/kernel.json" >/dev/null
}

# says FEATURE COMMAND...: it is there if COMMAND succeeds, and not if it fails
says() {
	local feature=$1 wanted=false got
	shift
	"$@" >"$work/other.log" 2>&1 && wanted=true
	got=$(row "$feature" have)
	[ "$got" = "$wanted" ] && return 0
	echo "# $feature: $got, and $* says $wanted"
	return 1
}

bpftool_has() { # WORDS
	[ -s "$work/bpftool" ] || "${BPFTOOL:-$(PATH=$PATH:/usr/sbin command -v bpftool)}" feature probe kernel full >"$work/bpftool"
	grep -q "^$1 is available\$" "$work/bpftool"
}

# By its name in the list for programs of that type.
bpftool_has_helper() { # HELPER [TYPE]
	local type=${2:-xdp}
	bpftool_has "eBPF program_type $type" &&
		sed -n "/^eBPF helpers supported for program type $type:/,/^eBPF helpers/p" "$work/bpftool" | grep -qw -e "- $1"
}

socket_opens() { # FAMILY
	python3 -c "import socket; socket.socket($1, socket.SOCK_DGRAM)"
}

# The kernel knows the kind, or not; one without a radio it never makes.
knows_lowpan() {
	! ns_ip proxy link add lowpan9 type lowpan 2>"$work/kind" && ! has 'Unknown device type\|not supported' "$work/kind"
}

agrees_with_the_findings() {
	local why
	why=$(jq -r '.checks[] | select(.what == "dispatcher") |
		if .result == "ok" then "ok" elif .why | test("1\\.5\\.5") then "libxdp" else "refused" end' "$work/kernel.json")
	case "$(row 'program extensions' have) $(row 'extensions that change packets' have) $why" in
	'true true ok' | 'true false libxdp' | 'false false refused') ;;
	*) return 1 ;;
	esac
	says "XDP features of drivers" \
		jq -e '.checks[] | select(.what == "netdev features") | .result == "ok"' "$work/kernel.json"
}

# For people: the same rows, "yes" and "no" under one heading.
table_is_the_same() {
	jp check >"$work/check.txt" 2>&1
	has '^KERNEL FEATURE  *NEEDED FOR  *HAVE IT  *WITHOUT IT$' "$work/check.txt" &&
		[ "$(grep -c '  yes  ' "$work/check.txt")" = "$(jq '[.kernel[] | select(.have)] | length' "$work/kernel.json")" ] &&
		[ "$(grep -c '  no: ' "$work/check.txt")" = "$(jq '[.kernel[] | select(.have | not)] | length' "$work/kernel.json")" ]
}

# Whoever may not use BPF has none of it; what is not BPF he has as before.
no_to_all_of_bpf() {
	local before
	before=$(row 'routing rules' have)
	ask_kernel setpriv --bounding-set=-bpf,-sys_admin,-perfmon --inh-caps=-bpf,-sys_admin,-perfmon
	[ "$(jq -r '[.kernel[] | select(.feature | test("XDP programs|JIT|maps|bpf_|BPF|on demand|lookup|extensions")) | .have] |
		"\(length) \(any)"' "$work/kernel.json")" = "15 false" ] &&
		[ "$(row 'XDP programs' why)" = "Operation not permitted" ] && [ "$(row 'routing rules' have)" = "$before" ] && return 0
	jq -c '.kernel[] | select(.have) | .feature' "$work/kernel.json" | sed 's/^/# has /'
	return 1
}

# The maps can be made, the programs not: no fast path, but a jpd.
starts_without_programs() {
	mkdir -p "$run_dir"
	spawn proxy bare setpriv --bounding-set=-perfmon,-sys_admin --inh-caps=-perfmon,-sys_admin \
		"$build/jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" --config /dev/null
	wait_for has 'jpd: ready' "$work/bare.log" && has 'no fast path.*jpctl check says' "$work/bare.log" &&
		[ ! -e "$pin_dir" ] && jp attach pj0 --registrar '[2001:db8:2::52]:7634' >"$work/attach.log" 2>&1 &&
		[ "$(status '.ports[0].engine')" = socket ]
}

lab_up 1
check table ask_kernel
check rows-are-whole rows_are_whole
check agrees-with-the-findings agrees_with_the_findings
check table-is-the-same table_is_the_same
check has-xdp says "XDP programs" bpftool_has "eBPF program_type xdp"
check has-sk-lookup says "socket lookup programs" bpftool_has "eBPF program_type sk_lookup"
check has-devmap says "device maps" bpftool_has "eBPF map_type devmap"
check has-sockmap says "socket maps" bpftool_has "eBPF map_type sockmap"
for helper in bpf_xdp_load_bytes bpf_loop bpf_spin_lock bpf_sk_lookup_udp bpf_xdp_adjust_meta; do
	check "has-$helper" says "$helper" bpftool_has_helper "$helper"
done
check has-bpf_redirect_neigh says bpf_redirect_neigh bpftool_has_helper bpf_redirect_neigh sched_cls
check has-timers says "BPF timers" bpftool_has_helper bpf_timer_start
check has-udp-sockets says "list of UDP sockets" in_ns proxy ss -Hlun
check has-rules says "routing rules" ns_ip proxy -6 rule
check has-lowpan says "6LoWPAN interfaces" knows_lowpan
check has-wpan-sockets says "802.15.4 sockets" socket_opens 36
check no-to-all-of-bpf no_to_all_of_bpf
check nothing-made eval '! ns_ip proxy link show jpx-probe 2>/dev/null'
check starts-without-programs starts_without_programs
stop "$spawned"

check daemon-not-running found jpd fail
check fails-without-daemon exit_status 1 jp check
jpd_start
wait_for eval '[ -n "$(pj_address pj0)" ]'
check daemon-running found jpd ok
check all-well wait_for exit_status 0 jp check pj0
check rights found rights ok
check link found "pj0 link" ok pj0
check address found "pj0 address" ok pj0
check unknown-interface exit_status 1 jp check nope
ns_ip proxy link set pj0 down
check interface-down found "pj0 state" fail pj0
ns_ip proxy link set pj0 up
if found "netdev features" warn; then # before Linux 6.3 nobody can know
	ok peer-unknown
else
	in_ns pledge ethtool -K pl0 gro off
	check peer-cannot-take-frames found "pj0 redirect" warn pj0
	in_ns pledge ethtool -K pl0 gro on
	check peer-mended found "pj0 redirect" ok pj0
fi
ns_ip proxy link set up0 mtu 1280
attach pj0 --registrar '[2001:db8:2::52]:7634'
check small-mtu found "up0 mtu" warn
ns_ip proxy link set up0 mtu 1500
check mtu-mended found "up0 mtu" ok

# A device without native XDP: refused where native was asked for, generic where not.
in_ns proxy ip tuntap add mode tun tun9
ns_ip proxy link set tun9 up
native_refused() {
	exit_status 1 jp attach tun9 --xdp native && has 'no native XDP.*--xdp generic' "$work/out.log" &&
		[ "$(status '[.ports[].ifname] | join(" ")')" = pj0 ]
}
check native-refused-on-tun native_refused
check auto-on-tun jp attach tun9
check generic-on-tun [ "$(status '.ports[] | select(.ifname == "tun9") | .engine')" = xdp-generic ]
jp detach tun9 >/dev/null

# No route to the Registrar: the socket engine has nowhere to send, and says so in a counter.
not_ready_counted() {
	local before after port
	before=$(stats .drops.service_not_ready)
	port=$(join_port pj0 1)
	printf '\x16\xfe\xfd\x00\x00' >"$work/record"
	in_ns pledge bash -c "exec 3>/dev/udp/$(pj_address pj0)%pl0/$port && cat '$work/record' >&3"
	for _ in $(seq 50); do
		after=$(stats .drops.service_not_ready)
		[ "$after" = $((before + 1)) ] && return 0
		sleep 0.05
	done
	return 1
}
jp attach pj0 --registrar '[2001:db8:ffff::1]:7634' >/dev/null
ns_ip proxy route add unreachable 2001:db8:ffff::/48
check no-route wait_for eval '[ "$(status ".services[1].state")" = no-route ]'
check service-not-ready-counted not_ready_counted
finish
