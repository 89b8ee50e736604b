#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs the tests, layer by layer, and ends with "N passed, N failed".  A test says
# "ok NAME" or "not ok NAME"; a program that ends badly without saying so, or that
# says nothing at all, counts as a failed test.
#
#   scripts/check.sh [unit|packet|lab|vm|TEST...]     default: all
#
# Layer vm is for guests of scripts/vm.sh (make check-vm), and is left out elsewhere.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${JPX_BUILD:-build}
export JPX_BUILD=$build CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
passed=0 failed=0 failures=()

run() { # LAYER NAME COMMAND...
	execute "$@"
	account "$1" "$2"
}

# What it says goes to the log, its exit status and the seconds that it took beside it.
execute() { # LAYER NAME COMMAND...
	local log=$build/log/$1-$2.log start=$SECONDS
	shift 2
	"$@" >"$log" 2>&1 </dev/null 9>&-
	echo "$? $((SECONDS - start))" >"$log.end"
}

account() { # LAYER NAME
	local layer=$1 name=$2 log status=1 seconds=0 ok bad
	log=$build/log/$layer-$name.log
	read -r status seconds <"$log.end"
	rm -f "$log.end"
	ok=$(grep -c '^ok ' "$log")
	# cmocka says of what it skipped: not ok N # SKIP NAME.
	bad=$(grep '^not ok ' "$log" | grep -vc '^not ok [0-9]* # SKIP')
	if [ "$status" != 0 ] && [ "$bad" = 0 ] || [ "$ok" = 0 ] && [ "$bad" = 0 ]; then
		bad=1
		echo "not ok $name (exit status $status)" >>"$log"
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	printf '  %-7s %-22s %4d passed %3d failed  %3d s\n' "$layer" "$name" "$ok" "$bad" "$seconds"
	if [ "$bad" != 0 ]; then
		failures+=("$log")
		grep '^not ok ' "$log" | grep -v '^not ok [0-9]* # SKIP' | sed 's/^/      /'
		echo "      --- the end of $log:"
		tail -n 25 "$log" | sed 's/^/      /'
	fi
}

wanted() { # LAYER NAME
	[ ${#only[@]} = 0 ] && return 0
	local o
	for o in "${only[@]}"; do [ "$o" = "$1" ] || [ "$o" = "$2" ] && return 0; done
	return 1
}

only=("$@")
mkdir -p "$build/log"
if [ "$(id -u)" != 0 ]; then
	echo "check: packet and lab tests load BPF programs and make network namespaces: run as root" >&2
	exit 1
fi
# The labs have fixed names: two runs on one machine would take each other's away.
exec 9>/run/jpx-check.lock
flock -n 9 || { echo "check: waiting for another run on this machine" >&2; flock 9; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || exit 1

for t in tests/unit/test_*.c; do
	name=$(basename "$t" .c)
	wanted unit "$name" && run unit "$name" "$build/tests/$name"
done
for t in tests/unit/*.sh; do
	name=$(basename "$t" .sh)
	wanted unit "$name" && run unit "$name" sh "$t"
done
wanted packet packets && run packet packets "$build/tests/packets"
wanted packet packets-common &&
	run packet packets-common env JPX_COMMON_PROGRAM=1 "$build/tests/packets" packets
# Labs have namespaces and directories of their own and wait for timers most of their time: three at once,
# those that take longest first.  What measures, floods, or watches the whole machine has it to itself.
first='discovery icmp coap_answer stateful dns_sd upstream ask enroll swarm est'
alone='badinput crowd engines flows heal lossy many netwatch stateful_ops tun'
at_once=3
declare -A name_of=()

next_ended() { # waits for one of the labs that run
	local pid
	wait -n -p pid "${!name_of[@]}"
	account lab "${name_of[$pid]}"
	unset "name_of[$pid]"
}

together() { # NAME...
	local name
	for name in "$@"; do
		wanted lab "$name" || continue
		[ ${#name_of[@]} -lt "$at_once" ] || next_ended
		execute lab "$name" bash "tests/lab/$name.sh" &
		name_of[$!]=$name
	done
	while [ ${#name_of[@]} != 0 ]; do next_ended; done
}

others=
for t in tests/lab/*.sh; do
	name=$(basename "$t" .sh)
	case " $first $alone " in *" $name "*) ;; *) others+=" $name" ;; esac
done
# What runs in the background does not hear Ctrl-C.
trap 'trap - TERM; kill -TERM 0; exit 130' INT TERM
# shellcheck disable=SC2086 # words
together $first $others
trap - INT TERM
for name in $alone; do wanted lab "$name" && run lab "$name" bash "tests/lab/$name.sh"; done
for t in tests/vm/*.sh; do
	name=$(basename "$t" .sh)
	[ -n "${JPX_KERNEL:-}" ] && wanted vm "$name" && run vm "$name" bash "$t"
done

echo
for log in "${failures[@]}"; do echo "failed: $log"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
