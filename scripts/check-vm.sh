#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs tests under other kernels (scripts/vm.sh), one kernel after the other, and ends with a
# row a kernel and "N passed, N failed".
#
#   scripts/check-vm.sh [KERNEL] [TEST...]    default: both kernels; the packet tests, tests/vm
#                                             and the labs below, which say most about a
#                                             kernel for the time that they take without KVM
#
# JPX_VM_SECONDS is the most that a kernel may take.  Of the other labs most pass in a guest, too,
# but take minutes without KVM, or mean a second when they wait for one.
set -u
cd "$(dirname "$0")/.." || exit 1
log=${JPX_BUILD:-build}/log
labs='check_verb local_ports'
kernels='6.1 6.12'
limit=${JPX_VM_SECONDS:-420}
passed=0 failed=0 rows=

case ${1:-} in
6.*) kernels=$1; shift ;;
esac
# shellcheck disable=SC2086 # a list of words
[ $# != 0 ] || set -- packets $labs vm

mkdir -p "$log"
for k in $kernels; do
	start=$SECONDS
	echo "Linux $k"
	scripts/vm.sh "$k" "$limit" scripts/check.sh "$@" 2>&1 | tee "$log/vm-$k.log"
	status=${PIPESTATUS[0]}
	read -r ok bad < <(awk '/^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 } END { print p + 0, f + 0 }' \
		"$log/vm-$k.log")
	# Ended badly without a failed test: that is one.
	[ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; } && bad=1
	passed=$((passed + ok)) failed=$((failed + bad))
	rows+=$(printf '  %-7s %-22s %4d passed %3d failed  %3d s' kernel "$k" "$ok" "$bad" $((SECONDS - start)))$'\n'
done

printf '\n%s\n%d passed, %d failed\n' "$rows" "$passed" "$failed"
[ "$failed" = 0 ]
