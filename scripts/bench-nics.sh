#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What scripts/bench-pktgen.sh measures over veth, over real NICs: to be run on the gateway
# under test.  docs/bench-nics.md goes through it step by step.
#
#   [generator]:GEN-IF ----> PORT-IF [this host] UP-IF ----> FAR-IF:[far end]
#
#   scripts/bench-nics.sh --generator [WHERE:]IF --far [WHERE:]IF --port IF --uplink IF [OPTION...]
#     WHERE is netns/NAME, a network namespace of this host, or else a machine for ssh; none:
#     this host.  The far end has the Registrar's address, so it must be one of the former two.
#     --port IF        this host's NIC towards the generator, the pledge port
#     --uplink IF      ... towards the far end
#     --gateway NAME   take these two in network namespace netns/NAME of this host
#     --registrar ADDR the far end's address (2001:db8:1::52)
#     --cpus LIST      of the generator, that send ("0")
#     --xdp MODE       native, generic or auto, of the candidate with XDP (native)
#     --strict         losses that nobody counted leave a row without figures
#     --dry-run        say what would be done, and do nothing
#
# Addresses, IRQs and offloads are yours to set: nothing of the NICs is changed but the programs on
# PORT-IF, UP-IF and FAR-IF, which are gone afterwards.
set -u
cd "$(dirname "$0")/.." || exit 1
me=bench-nics
# shellcheck source=scripts/lib/pktgen-bench.sh
. scripts/lib/pktgen-bench.sh

usage() {
	sed -n '/^#   scripts\/bench/,/^# Addresses/{/^# Addresses/!s/^#   //p}' "$0" | sed '/^#*$/d'
	echo "$common_options"
	exit "$1"
}

# "WHERE:IF" into the command prefix $1 and the interface $2.
place() { # PREFIX-NAME IF-NAME WORD
	local -n prefix=$1 interface=$2
	local where=''
	interface=$3
	case $3 in *:*) where=${3%:*} interface=${3##*:} ;; esac
	case $where in
	'') prefix=() ;;
	netns/*) prefix=(nsenter "--net=/run/netns/${where#netns/}") ;;
	# Without a question: nobody is there to answer it.
	# ... and who does not answer any more must not keep us.
	*) prefix=(ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 "$where") ;;
	esac
	[ -n "$interface" ] || fail "\"$3\" names no interface; [WHERE:]IF is wanted"
}

strict='' apart=1 dry_run='' mode_words=native gen_if='' far_if='' port_if='' up_if=''
while [ $# -gt 0 ]; do
	used=2
	case $1 in
	--dry-run | --strict | --help) ;;
	*) [ $# -ge 2 ] || [ "$1" = --quick ] || { echo "$me: what of $1?" >&2; usage 2 >&2; } ;;
	esac
	case $1 in
	--generator) place gen gen_if "$2" ;;
	--far) place far far_if "$2" ;;
	--gateway) gw=(nsenter "--net=/run/netns/${2#netns/}") ;;
	--port) port_if=$2 ;;
	--uplink) up_if=$2 ;;
	--registrar) registrar=$2 ;;
	--cpus) cpus=$2 ;;
	--xdp) mode_words=$2 ;;
	--strict) strict=1 used=1 ;;
	--dry-run) dry_run=1 used=1 ;;
	--help) usage 0 ;;
	*) common_option "$@" || usage 2 >&2 ;;
	esac
	shift "$used"
done
check_options
for word in "generator $gen_if" "far $far_if" "port $port_if" "uplink $up_if"; do
	[ -n "${word#* }" ] || fail "--${word% *} is not said; which NIC is it? ($0 --help)"
done
[ ${#far[@]} != 0 ] || fail "the far end has the Registrar's address, and this host would keep what is sent \
there; put the NIC into a network namespace (docs/bench-nics.md), or on another machine: --far WHERE:$far_if"

is_remote() { # WHERE
	local -n at=$1
	[ "${at[0]:-}" = ssh ]
}

if [ -n "$dry_run" ]; then
	cat <<END
generator: ${gen[*]:-here}: $gen_if
  modprobe pktgen, if it is not there
  $pledges pledges with fe80::ff:fe00:1 and on, $ports UDP ports each, send from CPU $cpus
  for ${ms} ms a round, to the link-local address of $port_if, ports $join_stateless and $join_stateful
gateway: ${gw[*]:-here}: $port_if, $up_if
  $rounds rounds, and in each, on the same interfaces, by turns:
    plain redirect: $ends floor $port_if $up_if
    XDP: $build/jpd, xdp = $mode_words, Registrar [$registrar]:$jpy_port stateless, :$dtls_port stateful
    socket engine: the same with xdp = off
far end: ${far[*]}: $far_if
  $(is_remote far && echo "a copy of ")$ends far $far_if: counts all that arrives, compares headers, JPY prefix and checksum of each packet, and some in full
content: $sizes bytes
END
	exit 0
fi

[ "$(id -u)" = 0 ] || fail "XDP and jpd need root; try again with sudo"
[ -x "$ends" ] || fail "$ends is not built; try make build/pktgen-ends all"
for where in gen gw far; do
	declare -n at=$where
	"${at[@]}" true </dev/null || fail "cannot run a command by \"${at[*]}\"; does it work by hand, as root?"
	declare +n at
done
"${far[@]}" ip -6 -o addr show dev "$far_if" 2>/dev/null | grep -qF " $registrar/" ||
	fail "$far_if does not have the address $registrar; at the far end: ip addr add $registrar/64 dev $far_if"
"${gw[@]}" ip -6 -o addr show dev "$up_if" scope global 2>/dev/null | grep -q . ||
	fail "$up_if has no address to send from; here: ip addr add 2001:db8:1::2/64 dev $up_if"

begin
remote_copy=''
end() {
	clean_up
	[ -z "$remote_copy" ] || "${far[@]}" rm -f "$remote_copy"
}
trap end EXIT
trap 'exit 130' HUP INT TERM
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || fail "cannot mount /sys/fs/bpf"
if is_remote far; then
	remote_copy=$("${far[@]}" 'f=$(mktemp) && cat >$f && chmod 700 $f && echo $f' <"$ends") ||
		fail "cannot copy $ends to the far end"
	far_program=$remote_copy
fi
bench "pktgen, $gen_if > $port_if (XDP: $mode_words) $up_if > $far_if, $pledges pledges of $ports ports each, \
CPUs $cpus send; Linux $(uname -r)"
