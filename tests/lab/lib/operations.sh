# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the tests of healing, lifecycle and people's errors share: a lab with jpd in the
# proxy's namespace, a Registrar that echoes, a pledge that asks every 10 ms.  To be
# sourced, with JPX_LAB set, from the top of the tree.  Everything that is started is
# remembered by its process id and ended by it.

set -u
build=$(realpath "${JPX_BUILD:-build}") || exit 1
jpd=$build/jpd jpctl=$build/jpctl jpreg=$build/jpreg jpledge=$build/jpledge probe=$build/tests/heal_probe
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

dir=$(mktemp -d)
run_dir=$dir/run
pin_dir=/sys/fs/bpf/$lab-$$ # no dot: a BPF file system refuses it
config=$dir/jpd.conf
registrar='[2001:db8:2::52]:7634'
: >"$config"
pids=() jpd_pid='' failures=0

for program in "$jpd" "$jpctl" "$jpreg" "$probe"; do
	[ -x "$program" ] || { echo "not ok $lab: $program is not there: make all test-programs"; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "not ok $lab: network namespaces need root"; exit 1; }

cleanup() {
	local pid
	for pid in "${pids[@]}" $jpd_pid; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	lab_down
	[ -d "$pin_dir" ] && rm -rf "$pin_dir"
	declare -F more_cleanup >/dev/null && more_cleanup
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# ---- verdicts --------------------------------------------------------------

# check NAME COMMAND...: a test is what its command says.
check() {
	local name=$1
	shift
	: >"$dir/why"
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
		uniq "$dir/why" | head -n 20 | sed 's/^/#   /'
		[ -s "$dir/jpd.log" ] && tail -n 6 "$dir/jpd.log" | sed 's/^/#   jpd: /'
		failures=$((failures + 1))
	fi
}

# why TEXT...: what a failed test has to say; false, so that it can end a test.
why() {
	echo "$*" >>"$dir/why"
	return 1
}

# JPX_PATIENCE times as long on a machine that is that much slower.
wait_for() { # SECONDS COMMAND...: gives it so long to become true
	local deadline=$(($(date +%s%N) + $1 * ${JPX_PATIENCE:-1} * 1000000000))
	shift
	until "$@"; do
		[ "$(date +%s%N)" -lt $deadline ] || return 1
		sleep 0.05
	done
}

has() { # TEXT FILE
	grep -q -e "$1" "$2" 2>/dev/null
}

# ---- programs --------------------------------------------------------------

# background LOG COMMAND...: its process id is in $started.
background() {
	local log=$1
	shift
	: >"$log"
	"$@" >>"$log" 2>&1 </dev/null & # appending: a log may be emptied on the way
	started=$!
	pids+=("$started")
}

# Without "in_ns" a function of bash would be in the background, not the program itself.
background_in() { # WHO LOG COMMAND...
	local who=$1 log=$2
	shift 2
	background "$log" nsenter --net="/run/netns/$lab-$who" "$@"
}

ended() {
	! kill -0 "$1" 2>/dev/null || has '^State:.Z' "/proc/$1/status"
}

stop() { # PID [SIGNAL]: ends it and hands on its exit status
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait_for 5 ended "$1" || kill -KILL "$1"
	wait "$1" 2>/dev/null
}

jpd_start() { # [OPTION...]: jpd in the proxy's namespace, waits until it is ready
	background_in proxy "$dir/jpd.log" "$jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$config" "$@"
	jpd_pid=$started
	wait_for 10 eval 'has "jpd: ready$" "$dir/jpd.log" || ended $jpd_pid'
	! ended "$jpd_pid" && has 'jpd: ready$' "$dir/jpd.log" || why "jpd did not get ready"
}

jpd_stop() { # [SIGNAL]
	local pid=$jpd_pid
	jpd_pid=''
	stop "$pid" "$@"
}

ctl() { # what jpctl says to people is kept in $dir/ctl.out and $dir/ctl.err
	in_ns proxy "$jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" "$@" >"$dir/ctl.out" 2>"$dir/ctl.err" ||
		why "jpctl $*: status $?: $(cat "$dir/ctl.err")"
}

# json VERB EXPRESSION: of "jpctl --json VERB", in Python; the object is called o.
json() {
	in_ns proxy "$jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" --json "$1" 2>"$dir/ctl.err" |
		/usr/bin/python3 -c "import json, sys; o = json.load(sys.stdin); print($2)" 2>/dev/null ||
		why "jpctl --json $1: no $2: $(head -n 2 "$dir/ctl.err")"
}

is() { # VALUE COMMAND...: the command prints exactly that
	local want=$1 got
	shift
	got=$("$@")
	[ "$got" = "$want" ] || why "$* gives \"$got\" and not \"$want\""
}

fast_packets() { json stats "o['fast_path']['packets']"; }
socket_packets() { json stats "o['socket']['packets']"; }

xdp_on() { # IF of the proxy: the XDP program's id there, or nothing
	ns_ip proxy -d link show dev "$1" 2>/dev/null | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p'
}

# ---- the Registrar's end, and the pledge ----------------------------------

# A Registrar in namespace WHO, listening for JPY on PORT, that echoes every datagram.
echo_registrar() { # WHO PORT
	background_in "$1" "$dir/echo.log" "$probe" echo "[::1]:$(($2 + 1000))"
	background_in "$1" "$dir/jpreg-$2.log" "$jpreg" --listen "[::]:$2" --server "[::1]:$(($2 + 1000))"
	wait_for 5 has 'taking JPY messages' "$dir/jpreg-$2.log"
}

now() { "$probe" now; }

lab_proxy_mac() { # ADDR: of the proxy's interface that has it
	local ifname
	ifname=$(ns_ip proxy -o addr show to "$1" | awk '{ print $2; exit }')
	lab_mac proxy "${ifname%%@*}"
}

# The pledge of namespace WHO on IF asks at ADDR, PORT without end; leaves $probe_log and $probe_pid.
probing() { # WHO IF ADDR PORT
	probe_log=$dir/probe.$RANDOM
	# The pledge is the instrument here: its own neighbour discovery is not measured.
	ns_ip "$1" neigh replace "$3" lladdr "$(lab_proxy_mac "$3")" dev "$2" nud permanent
	background_in "$1" "$dir/probe.out" "$probe" run "[$3%$2]:$4" "$probe_log"
	probe_pid=$started
	wait_for 3 has answered "$probe_log" || why "the first datagrams are not answered"
}

# Answers are steady again within a second after NOW (JPX_PATIENCE of them, on a slow machine).
heals() {
	local took since=${1:-$(now)}
	took=$("$probe" healed "$probe_log" "$since" $((1000 * ${JPX_PATIENCE:-1}))) || why "healed after $took ms" || return 1
	echo "# $took ms"
}

# For half a second every datagram takes the fast path, or (with "socket") none does.
served_by() { # fast|socket
	local fast=$(fast_packets) sock=$(socket_packets)
	sleep 0.5
	fast=$(($(fast_packets) - fast)) sock=$(($(socket_packets) - sock))
	case $1 in
	fast) [ $fast -ge 10 ] && [ $sock = 0 ] ;;
	socket) [ $sock -ge 10 ] && [ $fast = 0 ] ;;
	esac || why "in 0.5 s the fast path relayed $fast datagrams, the socket engine $sock"
}
