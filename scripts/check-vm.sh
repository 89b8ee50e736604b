#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs tests under other kernels (scripts/vm.sh), both kernels at once, and ends with what failed, a
# row a kernel and "N passed, N failed".
#
#   scripts/check-vm.sh [KERNEL] [TEST...]       default: both kernels; the tests below, which say
#                                                most about a kernel for the time that they take
#   scripts/check-vm.sh [KERNEL] each TEST...    each test in a guest of its own: one that hangs
#                                                takes nothing with it
#   scripts/check-vm.sh [KERNEL] all             every packet, lab and vm test, each in a guest
#
# JPX_VM_SECONDS is the most that a guest may take.  What a guest says is kept in
# build/log/vm-KERNEL.log, of one test vm-KERNEL-TEST.log.  Must never leave a guest running.
set -u
cd "$(dirname "$0")/.." || exit 1
log=${JPX_BUILD:-build}/log
kernels='6.1 6.12'
# What is run when nothing is named: on each kernel what it is the better witness for, so that both are
# done in some ten minutes on two cores without KVM.  The packet tests alone take ten there, "check_verb" three ("all").
declare -A usual=(
	[6.1]='soak dispatcher' # libxdp's dispatcher takes our program
	[6.12]='wpan vlan' # beacons are sent
)
limit=${JPX_VM_SECONDS:-900}

# Not run by "all": what cannot mean anything in a guest that is ten times slower than its host and
# sees its own clock stand still.  A name and the reason a line.
left_out='
many      measures what one more port costs, in nanoseconds; what it shows of 256 ports it shows on any kernel
'

die() { echo "check-vm: $*" >&2; exit 1; }

every_test() {
	local t name
	echo packets packets-common
	for t in tests/lab/*.sh tests/vm/*.sh; do
		name=$(basename "$t" .sh)
		grep -q "^$name " <<<"$left_out" || echo "$name"
	done
}

# A list that nobody looks at again goes stale.
left_out_is_true() {
	local name reason
	while read -r name reason; do
		[ -z "$name" ] && continue
		[ -n "$reason" ] || die "left_out says no reason for $name"
		[ -e "tests/lab/$name.sh" ] || [ -e "tests/vm/$name.sh" ] || die "left_out names $name, which is no test"
	done <<<"$left_out"
}

# A line at a time, whole, so that two kernels can speak at once.
prefixed() { # KERNEL LOG
	local line
	while IFS= read -r line || [ -n "$line" ]; do
		printf '%s\n' "$line" >&3
		printf '%-5s %s\n' "$1" "$line"
	done 3>"$2"
}

# One guest; a row of what came of it to the file of rows.
guest() { # KERNEL NAME TEST...
	local k=$1 name=$2 start=$SECONDS out printer status ok bad file
	shift 2
	file=$log/vm-$k${name:+-$name}.log
	exec {out}> >(prefixed "$k" "$file")
	printer=$!
	scripts/vm.sh "$k" "$limit" scripts/check.sh "$@" >&"$out" 2>&1 {out}>&- &
	exec {out}>&-
	wait "$!"
	status=$?
	wait "$printer"
	# The next guest's takes its place.
	[ -z "$name" ] || { rm -rf "$log/vm-$k-$name" && mv "$log/vm-$k" "$log/vm-$k-$name"; } 2>/dev/null
	ok=0 bad=0
	read -r ok bad < <(awk '/^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 } END { print p + 0, f + 0 }' "$file")
	ok=${ok:-0} bad=${bad:-1} # what it said cannot be read
	# Ended badly without a failed test: that is one.
	[ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; } && bad=1
	echo "$k ${name:--} $ok $bad $((SECONDS - start))" >>"$rows"
	grep '^ *not ok ' "$file" | sort -u | sed "s/^ */  $k ${name:+$name }/" >>"$failures"
}

kernel() { # KERNEL
	local t
	trap '' HUP INT # the one who waits for us says when to end, also those that a terminal tells itself
	trap '{ kill $(jobs -p); wait; } 2>/dev/null; exit 143' TERM
	# shellcheck disable=SC2206 # words
	[ ${#tests[@]} != 0 ] || tests=(${usual[$1]})
	if [ "$each" = no ]; then
		guest "$1" '' "${tests[@]}"
	else
		for t in "${tests[@]}"; do guest "$1" "$t" "$t"; done
	fi
}

# shellcheck disable=SC2317 # called by the trap
stop() {
	trap '' HUP INT TERM
	[ ${#pids[@]} = 0 ] || { kill "${pids[@]}"; wait "${pids[@]}"; } 2>/dev/null
	rm -f "$rows" "$failures"
	exit 130
}

print_rows() { # KERNEL: its tests, if there was a guest for each, and all of it
	awk -v k="$1" -v each="$each" -v form='  %-7s %-22s %4d passed %3d failed  %3d s\n' '
		$1 "" != k { next } # as text: 6.1 is not 6.10
		each == "yes" { printf form, k, $2, $3, $4, $5 }
		{ ok += $3; bad += $4; s += $5 }
		END { printf form, "kernel", k, ok, bad, s }' "$rows"
}

case ${1:-} in
6.*) kernels=$1; shift ;;
esac
each=no
case ${1:-} in
'') tests=() ;;
all)
	[ $# = 1 ] || die "all is all: no test can be named besides"
	each=yes
	left_out_is_true
	mapfile -t tests < <(every_test | tr ' ' '\n')
	;;
each)
	shift
	[ $# != 0 ] || die "each of which tests?"
	each=yes tests=("$@")
	;;
*) tests=("$@") ;;
esac

# Guests, all in all.
expected=$(($(wc -w <<<"$kernels") * ($([ "$each" = yes ] && echo ${#tests[@]} || echo 1))))

mkdir -p "$log"
# Both would fetch at once what is missing.
scripts/vm.sh fetch || exit
rows=$(mktemp) && failures=$(mktemp) || exit 1
pids=()
trap stop HUP INT TERM
for k in $kernels; do
	kernel "$k" &
	pids+=($!)
done
wait "${pids[@]}"
trap - HUP INT TERM

echo
# Two kernels' words are mixed above: what failed is said once more where it is looked for.
cat "$failures"
for k in $kernels; do print_rows "$k"; done
awk '{ ok += $3; bad += $4 } END { printf "\n%d passed, %d failed\n", ok, bad; exit bad != 0 }' "$rows"
status=$?
# A kernel whose process died has told of less than there was to do.
if [ "$(wc -l <"$rows")" != "$expected" ]; then
	echo "check-vm: $(wc -l <"$rows") of $expected guests ended in order"
	status=1
fi
rm -f "$rows" "$failures"
exit "$status"
