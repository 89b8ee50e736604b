#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What an enrolment costs `jpreg serve' in CPU time, against what `openssl speed' takes in the same
# round for the P-256 operations that it cannot do without; and what a pledge that is connected
# costs in memory, against OpenSSL's own.  On the loopback interface, by the coaps port.
#
#   scripts/bench-est.sh [OPTION...]
#     --json FILE     write all figures there
#     --rounds N      that are counted (5); one more comes before them and is not
#     --pledges N     that enrol in a round (300)
#     --rate N        how many of them begin in a second (40): what is too many is sent again and costs more
#     --sessions N    that are held at a time for the memory (500)
#     --jpreg FILE    another jpreg than build/jpreg
set -u
cd "$(dirname "$0")/.." || exit 1
build=${JPX_BUILD:-build}
json='' rounds=5 pledges=300 rate=40 sessions=500 jpreg=$build/jpreg port=15684
fail() { echo "bench-est: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
	case $1 in
	--json) json=$2; shift ;;
	--rounds) rounds=$2; shift ;;
	--pledges) pledges=$2; shift ;;
	--rate) rate=$2; shift ;;
	--sessions) sessions=$2; shift ;;
	--jpreg) jpreg=$2; shift ;;
	*) sed -n '/^#   scripts/,/^set/s/^#  \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
work=$(mktemp -d) || exit 1
serving='' holder=''
clean_up() {
	local pid
	for pid in $serving $holder; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM
ulimit -n "$(ulimit -H -n)"

wait_for() { # FILE TEXT SECONDS
	local end=$((SECONDS + $3))
	until grep -q "$2" "$1" 2>/dev/null; do
		[ $SECONDS -lt $end ] || fail "no \"$2\" after $3 s: $(tail -n 3 "$work"/*.log)"
		sleep 0.1
	done
}

serve() {
	"$jpreg" serve --anchors "$work/makers/maker.pem" --state-dir "$work/state" --listen "[::1]:$port" \
		--listen-jpy "[::1]:$((port + 1))" --log-level warning >"$work/jpreg.log" 2>&1 &
	serving=$!
	for _ in $(seq 100); do
		kill -0 $serving 2>/dev/null || fail "jpreg ended: $(cat "$work/jpreg.log")"
		ss -Hlun "sport = :$port" | grep -q . && return
		sleep 0.1
	done
	fail "jpreg does not listen"
}

ticks() { # user and system time, hundredths of a second
	local stat
	stat=$(<"/proc/$serving/stat")
	read -ra stat <<<"${stat##*) }"
	echo "${stat[11]} ${stat[12]}"
}

# One certificate each, no more: of those from FIRST on in the record.  That each verifies, is of the
# Registrar's CA and for the pledge's own key, the pledge has seen to, or it is not "enrolled".
one_each() { # FIRST
	local got
	got=$("$jpreg" issued --state-dir "$work/state" --json |
		jq -r --argjson first "$1" --argjson last $(($1 + pledges - 1)) '[.issued[].subject
			| ltrimstr("serialNumber=") | rtrimstr(",O=jpledge") | tonumber]
			| "\(length) \([.[] | select(. >= $first and . <= $last)] | "\(length) \(unique | length)")"')
	[ "$got" = "$(($1 + pledges - 1)) $pledges $pledges" ] ||
		fail "no figure: certificates in all, of this round, and pledges who have them: $got"
}

speed() { # seconds for a sign, a verify and a derive, on CPU time
	openssl speed -mr -seconds 1 ecdsap256 ecdhp256 2>/dev/null |
		awk -F: '/^\+F4/ { s = 1 / $4; v = 1 / $5 } /^\+F5/ { d = 1 / $4 } END { printf "%.9f %.9f %.9f\n", s, v, d }'
}

run() { # ROUND
	local first=$(($1 * pledges + 1)) sign verify derive keygen u0 s0 u1 s1
	read -r sign verify derive < <(speed)
	keygen=$("$build/est-bench" keygen) || fail "no keys"
	read -r u0 s0 < <(ticks)
	timeout 300 "$build/jpledge" swarm --proxy "[::1]:$port" --identities "$work/makers" --ca "$work/state/ca.pem" \
		--first "$first" --count "$pledges" --rate "$rate" --json >"$work/swarm.json" 2>"$work/swarm.log"
	[ "$(jq .enrolled "$work/swarm.json")" = "$pledges" ] ||
		fail "no figure: $(jq -c '[.enrolled, .reasons]' "$work/swarm.json") of $pledges enrolled"
	sleep 0.3
	read -r u1 s1 < <(ticks)
	one_each "$first"
	jq -c --argjson round "$1" --argjson user "$(((u1 - u0) * 1000 / hz))" --argjson system "$(((s1 - s0) * 1000 / hz))" \
		"{round: \$round, pledges, seconds, user_ms: \$user, system_ms: \$system, sign_s: $sign, verify_s: $verify, derive_s: $derive, keygen_s: $keygen}" \
		"$work/swarm.json" >>"$work/runs"
}

rss() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$serving/status"; }

# What N more pledges add, behind WARM that were there first.
memory() {
	local warm=50 before with asked bare handshake
	read -r bare handshake < <("$build/est-bench" bare "$work/state" "$work/makers" "$sessions")
	[ -n "${handshake:-}" ] || fail "OpenSSL's own cannot be measured"
	kill "$serving" && wait "$serving"
	serve
	coproc hold1 { exec "$build/est-bench" hold "$port" "$work/makers" $warm 2>"$work/hold1.log"; }
	# shellcheck disable=SC2154 # coproc's
	holder=$hold1_PID
	read -r -t 120 -u "${hold1[0]}" _ || fail "$(cat "$work/hold1.log")"
	echo >&"${hold1[1]}"
	read -r -t 120 -u "${hold1[0]}" _ || fail "$(cat "$work/hold1.log")"
	before=$(rss)
	mkfifo "$work/in" "$work/out"
	"$build/est-bench" hold "$port" "$work/makers" "$sessions" <"$work/in" >"$work/out" 2>"$work/hold2.log" &
	holder+=" $!"
	exec 8>"$work/in" 9<"$work/out"
	read -r -t 300 -u 9 _ || fail "$(cat "$work/hold2.log")"
	with=$(rss)
	echo >&8
	read -r -t 300 -u 9 _ || fail "$(cat "$work/hold2.log")"
	asked=$(rss)
	jq -nc "{sessions: $sessions, openssl: $bare, openssl_handshake_s: $handshake, established: (($with - $before) / $sessions), asked: (($asked - $before) / $sessions)}" >"$work/memory"
	exec 8>&- 9<&-
}

"$build/jpledge" mint "$work/makers" --count $(((rounds + 1) * pledges > sessions + 50 ? (rounds + 1) * pledges : sessions + 50)) >/dev/null ||
	fail "no identities"
hz=$(getconf CLK_TCK)
serve
for ((round = 0; round <= rounds; round++)); do
	echo "bench-est: round $round of $rounds" >&2
	run $round
done
memory
python3 tests/bench/est/report.py ${json:+--json "$json"} "$work/runs" "$work/memory"
