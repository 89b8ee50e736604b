#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What comes out of jpx when the kernel's own packet generator, pktgen, sends: pledges by the
# dozen, over veth pairs in network namespaces that this makes and removes.
#
#   pledge       proxy                      registrar
#   pl0 -------- pj0  [candidate]  up0 ---- rg0
#   pktgen                                  every packet is compared and counted
#
#   scripts/bench-pktgen.sh [OPTION...]
#     --guest          in a guest (scripts/vm.sh 6.12) even if this kernel has pktgen
#
# Where this kernel has no pktgen it boots Debian's 6.12 in a guest and goes on there.
set -u
cd "$(dirname "$0")/.." || exit 1
me=bench-pktgen
# shellcheck source=scripts/lib/pktgen-bench.sh
. scripts/lib/pktgen-bench.sh
export JPX_LAB=jpx-pktgen
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

guest='' arguments=("$@")
usage() {
	sed -n '/^#   scripts\/bench/,/^# Where/{/^# Where/!s/^#   //p}' "$0" | sed '/^#*$/d'
	echo "$common_options"
	exit "$1"
}
while [ $# -gt 0 ]; do
	case $1 in
	--guest) guest=1 used=1 ;;
	--help) usage 0 ;;
	*) common_option "$@" || usage 2 >&2 ;;
	esac
	shift "$used"
done
check_options
[ "$(id -u)" = 0 ] || fail "pktgen, network namespaces and XDP need root; try again with sudo"
[ -x "$ends" ] || fail "$ends is not built; try make bench-pktgen"

have_pktgen() { [ -e /proc/net/pktgen/pgctrl ] || modprobe -n -q pktgen 2>/dev/null; }

# Without a file the guest writes one all the same: build/log is what comes back.
in_guest() {
	local status args=() limit runs
	while [ ${#arguments[@]} -gt 0 ]; do
		case ${arguments[0]} in
		--json) arguments=("${arguments[@]:1}") ;;
		--guest) ;;
		*) args+=("${arguments[0]}") ;;
		esac
		arguments=("${arguments[@]:1}")
	done
	# Without KVM a run takes a second or two more than it sends; there is one that is not counted for each
	# of the five rows of a size.
	read -ra runs <<<"$sizes"
	limit=$((480 + pledges + rounds * 60 + rounds * 5 * (${#runs[@]} + 1) * (ms + 3000) / 1000))
	scripts/setup.sh vm || exit 1
	# Of an earlier run: nobody is to take it for this one's.
	rm -f "$build/log/vm-6.12/pktgen.json" ${json:+"$json"}
	scripts/vm.sh 6.12 "$limit" scripts/bench-pktgen.sh --json "$build/log/pktgen.json" "${args[@]}"
	status=$?
	if [ -n "$json" ] && [ -e "$build/log/vm-6.12/pktgen.json" ]; then
		cp "$build/log/vm-6.12/pktgen.json" "$json"
	fi
	exit $status
}

if [ -n "$guest" ]; then
	[ -z "${JPX_KERNEL:-}" ] || fail "this is a guest already"
	in_guest
elif ! have_pktgen; then
	[ -z "${JPX_KERNEL:-}" ] || fail "this guest's kernel has no pktgen; scripts/vm.sh fetch gets Debian's anew"
	echo "$me: this kernel, $(uname -r), has no module pktgen: booting Debian's 6.12 in a guest" >&2
	in_guest
fi

where="Linux $(uname -r)"
if [ -n "${JPX_KERNEL:-}" ]; then
	where+=", a guest"
	# As scripts/vm.sh says that there is no KVM.
	[ "${JPX_PATIENCE:-1}" = 1 ] || where+=" under emulation: only ratios mean anything"
fi

begin
end() {
	clean_up
	lab_down
}
trap end EXIT
trap 'exit 130' HUP INT TERM

lab_bpffs
lab_down
for who in pledge proxy registrar; do lab_namespace "$who"; done
lab_link pledge pl0 proxy pj0
lab_link proxy up0 registrar rg0
ns_ip proxy addr add 2001:db8:1::2/64 dev up0
ns_ip registrar addr add "$registrar/64" dev rg0
lab_settle pledge proxy registrar
# shellcheck disable=SC2034 # bench() reads these
gen=(nsenter "--net=/run/netns/$lab-pledge") gw=(nsenter "--net=/run/netns/$lab-proxy") \
	far=(nsenter "--net=/run/netns/$lab-registrar") gen_if=pl0 port_if=pj0 up_if=up0 far_if=rg0
bench "pktgen over veth, $pledges pledges of $ports ports each, one CPU sends; $where"
