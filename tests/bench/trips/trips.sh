#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Round trips a second between pledges and a Registrar, through jpx and through
# what an operator would use today.  Each candidate has three namespaces of its
# own and stays up; the rounds go through them in turn.  report.py judges.
#
#   pledge            proxy              registrar                   server
#   pl0 ------------- pj0   up0 -------- rg0                         (only "stateless":
#   fe80:: only             2001:db8:1::2    2001:db8:1::52           rg1 ------ sv0)
#
# "direct" has an XDP program at the proxy that joins pj0 and up0, and nothing else there.
#
#   tests/bench/trips/trips.sh [OPTION...]
#     --json FILE      write all figures there
#     --quick          3 rounds of 0.2 s instead of 7 of 0.5 s
#     --rounds N       that are counted; one more comes before them and is not
#     --counts "N..."  of pledges (1 10 100 1000)
#     --sockets        far ends of UDP sockets instead of XDP programs, see sockets.c
#     --without NAME   leave a candidate out; without nginx or stateful no target is judged
#     --with NAME      one more: stateless-sockets
set -u
cd "$(dirname "$0")/../../.." || exit 1
build=${JPX_BUILD:-build}
here=tests/bench/trips
base=${JPX_LAB:-jpx-trips}
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

candidates=(direct nginx stateful stateful-sockets stateless)
json=$build/trips.json rounds=7 seconds=0.5 counts="1 10 100 1000" ends=wire
fail() { echo "trips: $*" >&2; exit 1; }
without() {
	local name kept=()
	for name in "${candidates[@]}"; do [ "$name" = "$1" ] || kept+=("$name"); done
	[ ${#kept[@]} -lt ${#candidates[@]} ] || fail "no candidate is called $1: ${candidates[*]}"
	candidates=("${kept[@]}")
}
while [ $# -gt 0 ]; do
	case $1 in
	--json) json=$2; shift ;;
	--quick) rounds=3 seconds=0.2 ;;
	--rounds) rounds=$2; shift ;;
	--counts) counts=$2; shift ;;
	--sockets) ends=sockets ;;
	--without) without "$2"; shift ;;
	--with) candidates+=("$2"); shift ;;
	*) sed -n '/^#   tests/,/^set/s/^#  \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done

[ "$(id -u)" = 0 ] || fail "network namespaces and XDP need root"
[ "$(nproc)" -ge 2 ] || fail "needs two CPUs"
tmp=$(mktemp -d) || exit 1
pids=()

use() { # CANDIDATE: the lab's functions mean its namespaces from now on
	lab=$base-$1
}

clean_up() {
	local name pid
	for name in "${candidates[@]}"; do
		use "$name"
		[ -S "$tmp/$name/jpd.sock" ] && jp "$name" detach pj0 >/dev/null 2>&1
	done
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
	for name in "${candidates[@]}"; do
		use "$name"
		lab_down
		[ -e "/run/netns/$lab-server" ] && ip netns del "$lab-server"
		rm -rf "/sys/fs/bpf/$lab"
	done
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# ---- the candidates ---------------------------------------------------------

pledges_max=0
for n in $counts; do [ "$n" -gt "$pledges_max" ] && pledges_max=$n; done
registrar=2001:db8:1::52

start() { # CANDIDATE WHO COMMAND...
	local log=$tmp/$1.log who=$2
	shift 2
	nsenter --net="/run/netns/$lab-$who" "$@" </dev/null >>"$log" 2>&1 &
	pids+=($!)
}

wait_for() { # WHAT COMMAND...
	local what=$1
	shift
	for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
	# shellcheck disable=SC2154 # the candidate that is being brought up
	tail -n 5 "$tmp/$name.log" >&2
	fail "$what did not come up within 10 s; --without $name leaves it out"
}

listening() { in_ns "$1" ss -Hlun "sport = :$2" | grep -q .; }

# Two queues: as many as CPUs that take part.
raise() { # CANDIDATE
	use "$1"
	lab_down
	# shellcheck disable=SC2034 # lab_link reads it
	lab_queues=2
	for who in pledge proxy registrar; do lab_namespace "$who"; done
	lab_link pledge pl0 proxy pj0
	lab_link proxy up0 registrar rg0
	ns_ip proxy addr add 2001:db8:1::2/64 dev up0
	ns_ip registrar addr add "$registrar/64" dev rg0
	pledges | sed 's/.*/addr add &\/64 dev pl0 nodad/' | ns_ip pledge -batch - ||
		fail "cannot give pl0 its addresses"
	know_pledges proxy pj0
}

# Known beforehand, for every candidate: more of them than the kernel's neighbour table
# takes by default (gc_thresh2) would hurt those that send through it.
know_pledges() { # WHO IF
	pledges | sed "s/.*/neigh replace & lladdr $(lab_mac pledge pl0) dev $2 nud permanent/" |
		ns_ip "$1" -batch - || fail "cannot tell $1 who the pledges are"
}

# Their addresses: see TRIPS_IID in ends.h.
pledges() {
	local i
	for ((i = 0; i < pledges_max; i++)); do printf 'fe80::52a1:f00d:0:%x\n' "$i"; done
}

jp() { # CANDIDATE ARGUMENT...
	local name=$1
	shift
	in_ns proxy "$build/jpctl" --run-dir "$tmp/$name" --pin-dir "/sys/fs/bpf/$lab" "$@"
}

serving() { [ "$(jp "$1" --json status | jq -r '.services[0].state')" = serving ]; }

jpd_with() { # CANDIDATE ATTACH-ARGUMENT...
	local name=$1 conf=$tmp/$1.conf want
	shift
	mkdir -p "$tmp/$name"
	echo "log-level = warning" >"$conf"
	[[ " $* " = *" stateful "* ]] && printf 'flows {\n\tmax = 65536\n}\n' >>"$conf"
	start "$name" proxy "$build/jpd" --config "$conf" --run-dir "$tmp/$name" \
		--pin-dir "/sys/fs/bpf/$lab"
	wait_for jpd jp "$name" --json status
	jp "$name" attach pj0 "$@" >>"$tmp/$name.log" 2>&1 ||
		fail "$name: $(tail -n 1 "$tmp/$name.log"); --without $name leaves it out"
	wait_for "the pledge port" serving "$name"
	port=$(jp "$name" --json status | jq -r '.ports[0].join_ports[0].port')
	# What is measured must be what the row says.
	[[ " $* " = *" off "* ]] && want=socket || want=xdp-native
	[ "$(jp "$name" --json status | jq -r '.ports[0].engine')" = $want ] ||
		fail "$name: pj0 is not served by $want: $(jp "$name" status)"
}

jpreg_in_front() {
	lab_namespace server
	lab_link registrar rg1 server sv0
	ns_ip registrar addr add 2001:db8:3::1/64 dev rg1
	ns_ip server addr add 2001:db8:3::2/64 dev sv0
	start "$1" registrar "$build/jpreg" --listen '[::]:7634' \
		--server '[2001:db8:3::2]:5684' --max-pledges 4096
	wait_for jpreg listening registrar 7634
	far=server:sv0
}

declare -A relay_of far_of
port='' far=''
bring_up() { # CANDIDATE
	local name=$1 address mac
	raise "$name"
	port=5684 far=registrar:rg0
	address=$(lab_link_local proxy pj0) mac=$(lab_mac proxy pj0)
	case $name in
	direct)
		address=$(lab_link_local registrar rg0) mac=$(lab_mac registrar rg0)
		start direct proxy "$build/trips-ends" --cable "$lab-proxy:pj0,up0"
		wait_for "the cable" grep -q joined "$tmp/direct.log"
		know_pledges registrar rg0 # who meets them here
		;;
	nginx)
		command -v nginx >/dev/null || fail "no nginx here: scripts/setup.sh bench"
		mkdir -p "$tmp/nginx"
		sed "s|@DIR@|$tmp/nginx|; s|@PORT@|$port|; s|@REGISTRAR@|$registrar|" \
			$here/nginx.conf >"$tmp/nginx.conf"
		# CPU 0 is the far ends' then: a worker must be able to get away from it.
		[ $ends = wire ] || sed -i '/worker_cpu_affinity/d' "$tmp/nginx.conf"
		start nginx proxy nginx -p "$tmp/nginx" -c "$tmp/nginx.conf" -e "$tmp/nginx.log"
		wait_for nginx listening proxy $port
		;;
	stateful)
		jpd_with "$name" --registrar "[$registrar]:5684" --mode stateful --max-flows 4096
		;;
	stateful-sockets)
		jpd_with "$name" --registrar "[$registrar]:5684" --mode stateful \
			--max-flows 4096 --xdp off
		;;
	stateless)
		jpreg_in_front "$name"
		jpd_with "$name" --registrar "[$registrar]:7634"
		;;
	stateless-sockets)
		jpreg_in_front "$name"
		jpd_with "$name" --registrar "[$registrar]:7634" --xdp off
		;;
	*) fail "no candidate is called $name" ;;
	esac
	relay_of[$name]=$address,$port,$mac
	far_of[$name]=$lab-$far
}

# ---- the rounds ---------------------------------------------------------------

lab_bpffs
for name in "${candidates[@]}"; do bring_up "$name"; done
[ "$(cat /proc/sys/net/core/rmem_max)" -ge 4194304 ] ||
	echo "trips: net.core.rmem_max is below 4194304: nginx may lose datagrams of 1000 pledges" >&2

run() { # ROUND CANDIDATE PLEDGES
	local line options=()
	[ $ends = sockets ] && options+=(--sockets)
	line=$("$build/trips-ends" --pledges "$base-$2-pledge:pl0" --registrar "${far_of[$2]}" \
		--relay "${relay_of[$2]}" --count "$3" --seconds $seconds "${options[@]}" \
		2>"$tmp/ends.err") || line="{\"valid\": false, \"why\": \"$(tail -n 1 "$tmp/ends.err")\"}"
	jq -c --arg name "$2" --argjson pledges "$3" --argjson round "$1" \
		'{round: $round, name: $name} + . + {pledges: $pledges}' <<<"$line" >>"$tmp/runs"
}

for ((round = 0; round <= rounds; round++)); do
	echo "trips: round $round of $rounds" >&2
	for n in $counts; do
		# Who goes first changes: nobody always follows the same neighbour.
		for ((i = 0; i < ${#candidates[@]}; i++)); do
			run $round "${candidates[(i + round) % ${#candidates[@]}]}" "$n"
		done
	done
done
python3 $here/report.py --ends $ends --json "$json" "$tmp/runs"
