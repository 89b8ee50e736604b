#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317,SC2012 # called through check; names of ours
# scripts/check-vm.sh, with a script in the place of guests: it counts what came of each, keeps the lines
# of both kernels whole, gives each test a guest where that is asked for, and ends its guests when it is
# ended.  Boots nothing.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

check() { # NAME COMMAND...
	name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
		failed=1
		sed 's/^/# /' "$work/said" | tail -n 20
	fi
}

mkdir -p "$work/scripts" "$work/tests/lab" "$work/tests/vm"
cp scripts/check-vm.sh "$work/scripts/"
for t in tests/lab/*.sh tests/vm/*.sh; do : >"$work/$t"; done
# As vm.sh is called: "fetch", or KERNEL SECONDS check.sh TEST...
cat >"$work/scripts/vm.sh" <<'END'
#!/bin/bash
[ "$1" = fetch ] && exit 0
k=$1 child=
shift 3
mkdir -p "build/log/vm-$k"
echo "$*" >"build/log/vm-$k/tests"
trap 'kill $child; echo "$k" >>ended; exit 130' TERM
for i in 1 2 3 4 5 6 7 8 9; do printf 'half of '; sleep 0.01; echo "line $i"; done
case $1 in
dies) [ "$k" = 6.12 ] || { kill -KILL "$PPID"; exit 1; } ;;
bad) printf 'not ok x\n\n3 passed, 2 failed\n'; exit 1 ;;
silent) exit 0 ;;
late) echo 'vm: not done'; exit 124 ;;
hangs) : >"hangs-$k"; sleep 50 & child=$!; wait "$child" ;;
esac
printf '\n4 passed, 0 failed'
END
chmod +x "$work/scripts/vm.sh"

run() { # STATUS WORD...
	want=$1
	shift
	(cd "$work" && exec env JPX_BUILD=build scripts/check-vm.sh "$@") >"$work/said" 2>&1
	[ $? = "$want" ]
}

says() { # LINE...: each is said, spaces aside
	for line in "$@"; do tr -s ' ' <"$work/said" | grep -qx -e "$line" || return 1; done
}

rows() { # PATTERN N
	[ "$(sed -n '/^ /p' "$work/said" | grep -c -e "$1")" = "$2" ]
}

lines_are_whole() {
	[ "$(grep -cxE '6\.(1|12) +half of line [1-9]' "$work/said")" = 18 ] &&
		[ "$(grep -c half "$work/said")" = 18 ]
}

logs_are_kept() { # FILE...
	for f in "$@"; do [ -s "$work/build/log/$f" ] || return 1; done
}

ends_its_guests() { # SIGNAL
	rm -f "$work/ended" "$work"/hangs-*
	# Who is started in the background is deaf to INT, but for this.
	(cd "$work" && exec env JPX_BUILD=build python3 -c "import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setpgid(0, 0)
os.execv('scripts/check-vm.sh', ['scripts/check-vm.sh', 'hangs'])") >"$work/said" 2>&1 &
	pid=$!
	i=0
	until [ -e "$work/hangs-6.1" ] && [ -e "$work/hangs-6.12" ]; do
		i=$((i + 1))
		[ "$i" -lt 200 ] || return 1
		sleep 0.05
	done
	kill "-$1" "-$pid" # as a terminal does it: all of the group
	# Each may then be told twice: by that, and by the one that waits for it.
	wait "$pid"
	[ $? = 130 ] && [ "$(sort -u "$work/ended" | tr '\n' ' ')" = "6.1 6.12 " ]
}

check runs run 0
check counts says ' kernel 6.1 4 passed 0 failed [0-9]* s' ' kernel 6.12 4 passed 0 failed [0-9]* s' '8 passed, 0 failed'
check lines-are-whole lines_are_whole
check logs-are-kept logs_are_kept vm-6.1.log vm-6.12.log vm-6.1/tests vm-6.12/tests
check default-tests grep -qx 'wpan vlan' "$work/build/log/vm-6.12/tests"
check default-tests-of-the-other grep -qx 'soak dispatcher' "$work/build/log/vm-6.1/tests"
check one-kernel run 0 6.12 relay
check one-kernel-counts says '4 passed, 0 failed'
check fails run 1 6.1 bad
check failures-count says ' kernel 6.1 3 passed 2 failed [0-9]* s' '3 passed, 2 failed'
check silence-fails run 1 6.1 silent
check silence-counts says '0 passed, 1 failed'
check one-that-dies-fails run 1 dies
check one-that-dies-counts says 'check-vm: 1 of 2 guests ended in order'
check each run 1 each relay late bad
check each-has-a-row says ' 6.1 relay 4 passed 0 failed [0-9]* s' ' 6.12 late 0 passed 1 failed [0-9]* s' \
	' 6.1 bad 3 passed 2 failed [0-9]* s' ' kernel 6.12 7 passed 3 failed [0-9]* s' '14 passed, 6 failed'
check failures-at-the-end says ' 6.1 bad not ok x' ' 6.12 bad not ok x'
check each-has-logs logs_are_kept vm-6.1-relay.log vm-6.1-late.log vm-6.12-bad/tests
check all run 0 6.1 all
check all-is-all rows '^  6\.1 ' $(($(ls tests/lab/*.sh tests/vm/*.sh | wc -l) + 2 - \
	$(sed -n "/^left_out='/,/^'/p" scripts/check-vm.sh | grep -c '^[a-z_]* ')))
rm "$work/tests/lab/many.sh"
check left-out-goes-stale run 1 6.1 all
for signal in INT TERM; do check "ends-its-guests-$signal" ends_its_guests $signal; done
exit $failed
