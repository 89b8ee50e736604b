#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the lab tests share; to be sourced from the top of the tree with JPX_LAB set
# to a name of the test's own.  Prints "ok NAME" or "not ok NAME" a check.  Ends only
# processes that it started, each by its id, and finish() sees that nothing is left.
#
# Run by itself it tests its own functions.
# shellcheck disable=SC2034,SC2317 # read by the scripts that source this; called through check

# Run by itself it needs a name, too.
: "${JPX_LAB:=t-common}"
export JPX_LAB
# shellcheck source=scripts/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lab.sh"

build=${JPX_BUILD:-build}
work=$(mktemp -d) || exit 1
run_dir=$work/run
pin_dir=/sys/fs/bpf/$JPX_LAB
failed=0
pids=()
jpd_pid=

ok() {
	echo "ok $*"
}

not_ok() { # NAME: and the ends of the logs
	local log
	echo "not ok $*"
	failed=1
	for log in "$work"/*.log; do
		[ -s "$log" ] || continue
		echo "# $(basename "$log")"
		tail -n 6 "$log" | sed 's/^/#   /'
	done
}

check() { # NAME COMMAND...: the test is what its command says
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name"; fi
}

# Long enough for a busy machine: another lab's end can hold the kernel's network
# configuration up for seconds.  JPX_PATIENCE times as long on a machine that is that much slower.
wait_for() { # COMMAND...: gives it 20 seconds to become true
	local end=$((SECONDS + 20 * ${JPX_PATIENCE:-1}))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.03
	done
}

has() { # TEXT FILE
	grep -q -e "$1" "$2" 2>/dev/null
}

alive() { # PID
	kill -0 "$1" 2>/dev/null && ! has '^State:.Z' "/proc/$1/status"
}

ended() { # PID
	! alive "$1"
}

# Not a pipe and no function: $! has to be the program's own id.
spawn() { # WHO LOG COMMAND...: starts COMMAND as WHO; its id is in $spawned
	local who=$1 log=$work/$2.log
	shift 2
	: >"$log" # here and not there: nobody must take the last one's words for this one's
	nsenter --net="/run/netns/$lab-$who" "$@" </dev/null >>"$log" 2>&1 &
	spawned=$!
	pids+=("$spawned")
}

stop() { # PID: its exit status is the process' own
	local pid=$1 other rest=()
	kill "$pid" 2>/dev/null
	wait_for ended "$pid" || kill -KILL "$pid" 2>/dev/null
	for other in "${pids[@]}"; do [ "$other" = "$pid" ] || rest+=("$other"); done
	pids=("${rest[@]}")
	wait "$pid" 2>/dev/null
}

udp_bound() { # WHO PORT
	in_ns "$1" ss -Hlun "sport = :$2" | grep -q .
}

# ---- jpd ------------------------------------------------------------------

jp() { # jpctl's words
	in_ns proxy "$build/jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" "$@"
}

# For who looks at everything that leaves by a pledge port: nothing is announced there.
quiet='discovery { coap-answer = no grasp-flood = no mdns = no }'

jpd_start() { # [CONFIGURATION]
	printf '%s\n' "${1-}" >"$work/jpd.conf"
	mkdir -p "$run_dir"
	spawn proxy jpd "$build/jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$work/jpd.conf"
	jpd_pid=$spawned
	wait_for has ready "$work/jpd.log"
}

# Lets go of every port first: what jpd leaves attached it leaves pinned, on purpose.
jpd_stop() {
	local ifname
	[ -n "$jpd_pid" ] || return 0
	for ifname in $(status '.ports[].ifname'); do
		jp detach "$ifname" >>"$work/attach.log" 2>&1 || return 1
	done
	stop "$jpd_pid" || return 1
	jpd_pid=
	[ ! -e "$pin_dir" ]
}

status() { # JQ-FILTER
	jp --json status | jq -r "$1"
}

stats() { # JQ-FILTER
	jp --json stats | jq -r "$1"
}

all_serving() {
	[ "$(status '[.services[].state] | unique | join(" ")')" = serving ]
}

# attach IF ARGUMENT...: ready to relay when it returns.  On a machine so slow that jpctl gives up
# waiting jpd goes on with it, and who says it again finds it done.
attach() {
	local tries=${JPX_PATIENCE:-1}
	until jp attach "$@" >>"$work/attach.log" 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && tail -n 1 "$work/attach.log" | grep -q 'did not answer within' || return 1
	done
	wait_for all_serving
}

join_port() { # IF N: the Nth service's
	status ".ports[] | select(.ifname == \"$1\") | .join_ports[$2].port"
}

# ---- the Registrar's end ----------------------------------------------------

coap_server() { # serves CoAP over DTLS with a PSK on [::1]:5684
	spawn registrar coap-server coap-server-openssl -A ::1 -p 5683 -k secretPSK
	wait_for udp_bound registrar 5684
}

jpreg_start() { # PORT SERVER-PORT: leaves its id in $jpreg_pid
	spawn registrar "jpreg-$1" "$build/jpreg" --listen "[::]:$1" --server "[::1]:$2" --trace
	jpreg_pid=$spawned
	wait_for has "taking JPY messages" "$work/jpreg-$1.log"
}

# ---- the pledge's end ---------------------------------------------------------

pj_address() { # IF: the proxy's address on a pledge port
	lab_link_local proxy "$1"
}

# coap_get N JOIN-PORT [OPTION...]: a DTLS handshake and a GET by pledge interface plN; a pledge
# that gives up begins anew where coap_tries says so.
coap_get() {
	local n=$1 port=$2 log try
	shift 2
	log=$(mktemp "$work/coap.XXXXXX.log")
	for ((try = 1; try <= ${coap_tries:-1}; try++)); do
		in_ns pledge timeout "${coap_seconds:-15}" coap-client-openssl -B 10 -u me -k secretPSK \
			"$@" "coaps://[$(pj_address "pj$n")%pl$n]:$port/time" >"$log" 2>&1
		# The whole line: warnings carry the time of day, too.
		has '^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]$' "$log" && return 0
	done
	return 1
}

no_drops() {
	local dropped
	dropped=$(stats '.drops | to_entries[] | select(.value > 0) | "\(.key)=\(.value)"')
	[ -z "$dropped" ] || { echo "# dropped: $dropped"; return 1; }
}

# One line each way through a session of OpenSSL's with a certificate.
make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=registrar" -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/req.log"
}

# SERVER: where s_server listens.  TARGET: where s_client connects to.
certificate() { # SERVER TARGET
	local client server done=1
	rm -f "$work"/s_*.in "$work"/s_*.log
	mkfifo "$work/s_server.in" "$work/s_client.in"
	nsenter --net="/run/netns/$lab-registrar" openssl s_server -dtls1_2 -listen \
		-accept "$1" -cert "$work/cert.pem" -key "$work/key.pem" \
		<"$work/s_server.in" >"$work/s_server.log" 2>&1 &
	server=$!
	pids+=("$server")
	exec 8>"$work/s_server.in"
	wait_for udp_bound registrar "${1##*:}"
	nsenter --net="/run/netns/$lab-pledge" openssl s_client -dtls1_2 -CAfile "$work/cert.pem" \
		-verify_return_error -connect "$2" \
		<"$work/s_client.in" >"$work/s_client.log" 2>&1 &
	client=$!
	pids+=("$client")
	exec 9>"$work/s_client.in"
	if wait_for has 'Verify return code: 0' "$work/s_client.log" &&
		echo ping-to-registrar >&9 && wait_for has ping-to-registrar "$work/s_server.log" &&
		echo pong-to-pledge >&8 && wait_for has pong-to-pledge "$work/s_client.log"; then
		done=0
	fi
	exec 8>&- 9>&-
	stop "$client"
	stop "$server"
	return "$done"
}

crowd_addresses() { # N: for "ip -batch"
	local i
	# Never chosen by the kernel for a pledge that names no address of its own.
	for ((i = 1; i <= $1; i++)); do
		echo "addr add fe80::c:0:$(printf %x "$i")/64 dev pl0 nodad preferred_lft 0"
	done
}

# N pledges at once, each of an address of its own that tells nothing of its MAC.
crowd() { # N JOIN-PORT [OPTION...]
	local i n=$1 port=$2 missed=0 crowd_pids=()
	shift 2
	for ((i = 1; i <= n; i++)); do
		coap_get 0 "$port" "$@" -a "fe80::c:0:$(printf %x "$i")%pl0" &
		crowd_pids+=($!)
	done
	for i in "${crowd_pids[@]}"; do wait "$i" || missed=$((missed + 1)); done
	[ "$missed" = 0 ] || { echo "# $missed of $n got no answer"; return 1; }
}

# ---- the end --------------------------------------------------------------------

cleanup() {
	local pid
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
	lab_down
	[ -d "$pin_dir" ] && rm -rf "$pin_dir"
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# shellcheck disable=SC2120 # the process ids are given by finish()
nothing_left() { # PID...
	local pid ns
	for pid in "$@"; do
		alive "$pid" && echo "# process $pid is left" && return 1
	done
	for ns in /run/netns/"$lab"-*; do
		[ -e "$ns" ] && echo "# namespace $ns is left" && return 1
	done
	[ ! -e "$pin_dir" ] || { echo "# $pin_dir is left"; return 1; }
	[ ! -e "$work" ] || { echo "# $work is left"; return 1; }
}

# The last call of a test; its status is the test's.
finish() {
	local mine=("${pids[@]}") pid
	check stops-and-unpins jpd_stop
	for pid in "${mine[@]}"; do stop "$pid"; done
	cleanup
	trap - EXIT
	check leaves-nothing nothing_left "${mine[@]}"
	exit $failed
}

needs() { # PROGRAM...: without them the test cannot be, and that is no success
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || { not_ok "needs $program"; exit 1; }
	done
}

[ "$(id -u)" = 0 ] || { echo "not ok root: the lab makes network namespaces"; exit 1; }
needs jq "$build/jpd" "$build/jpctl" "$build/jpreg"
lab_bpffs
[ "${BASH_SOURCE[0]}" = "$0" ] || return 0

# ---- run by itself: the functions above ---------------------------------------

check_tells() {
	[ "$(check a true)" = "ok a" ] && [ "$(check b false | head -n 1)" = "not ok b" ]
}

spawns_and_stops() {
	spawn pledge sleep sleep 60
	# Before it is sleep it is nsenter.
	wait_for has sleep "/proc/$spawned/comm" && alive "$spawned" || return 1
	stop "$spawned"
	ended "$spawned" && [ ${#pids[@]} = 0 ]
}

sees_what_is_left() {
	# shellcheck disable=SC2119
	! nothing_left >"$work/left.log" && has namespace "$work/left.log"
}

check check-tells check_tells
lab_up
check spawns-and-stops spawns_and_stops
check sees-what-is-left sees_what_is_left
finish
