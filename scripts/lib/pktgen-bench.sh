# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What scripts/bench-pktgen.sh and scripts/bench-nics.sh have in common, to be sourced from the
# top of the tree: options, candidates, rounds, verdicts.  The one makes veth pairs, the other
# takes NICs; neither knows more of a measurement than this file does.
#
#   gen_if ----> port_if   [candidate]   up_if ----> far_if
#   pktgen.sh                                        pktgen-ends far
#
# A candidate is what stands between: a plain redirect; jpd with XDP; jpd without.  They take
# turns on the same interfaces, round by round.  No run has a figure unless the far end says what came.
# shellcheck disable=SC2034 # the scripts that source this set and read these

build=${JPX_BUILD:-build}
ends=$build/pktgen-ends
rounds=5 ms=1000 sizes="64 133 512 1200" pledges=32 cpus=0 json='' spoil='' only=''
candidates=(floor xdp sockets)
declare -A forms_of=([floor]=floor [xdp]="stateless stateful" [sockets]="stateless stateful")
registrar=2001:db8:1::52
strict=1 # or nothing: losses that nobody counted leave a run without a figure
mode_words=auto
declare -r ports=8 first_port=20000 jpy_port=7634 dtls_port=5684 # per-pledge's limit is 8 flows
join_stateless=5684 join_stateful=5685

# Commands that are put before another one, to run it where an end is.
gen=() gw=() far=()

fail() { echo "$me: $*" >&2; exit 1; }

common_options='  --rounds N       that are counted (5)
  --seconds S      for how long pktgen sends in each (1)
  --quick          2 rounds of 0.3 s
  --sizes "N..."   bytes of content ("64 133 512 1200")
  --pledges N      addresses that send, each from 8 UDP ports (32)
  --only "NAME..." candidates, of floor, xdp and sockets (all)
  --json FILE      write all figures there
  --spoil WHAT     plant a fault: port, bytes or far; there must be no figure then'

# common_option WORD [VALUE]: sets $used to the words that it took; 1 if it is none, or lacks its value.
common_option() {
	used=2
	case $1 in
	--quick) ;;
	--*) [ $# -ge 2 ] || return 1 ;;
	esac
	case $1 in
	--rounds) rounds=$2 ;;
	--seconds) ms=$(awk -v s="$2" 'BEGIN { printf "%d", s * 1000 }') ;;
	--quick) rounds=2 ms=300 used=1 ;;
	--sizes) sizes=$2 ;;
	--pledges) pledges=$2 ;;
	--only) only=$2 ;;
	--json) json=$2 ;;
	--spoil) spoil=$2 ;;
	*) return 1 ;;
	esac
}

check_options() {
	local n
	for n in "$rounds" "$ms" "$pledges" $sizes; do
		[ "$n" -gt 0 ] 2>/dev/null || fail "numbers are whole, and greater than 0: not \"$n\""
	done
	[ "$ms" -ge 100 ] || fail "a round of less than 0.1 s says nothing; try --seconds 0.3"
	[ "$pledges" -le 1024 ] || fail "there can be 1024 pledges at most: pktgen walks through all for each packet"
	for n in $sizes; do
		[ "$n" -ge 48 ] && [ "$n" -le 1426 ] || fail "a size is from 48 bytes to what fits into a frame, 1426: not $n"
	done
	[ -z "$only" ] || read -r -a candidates <<<"$only"
	for n in "${candidates[@]}"; do
		[ -n "${forms_of[$n]:-}" ] || fail "candidates are floor, xdp and sockets: not $n"
	done
	case $spoil in
	'' | port | bytes | far) ;;
	*) fail "what can be spoiled is port, bytes or far" ;;
	esac
}

# ---- small things ------------------------------------------------------------

link_mac() { # WHERE IF
	local -n at=$1
	"${at[@]}" ip -br link show dev "$2" 2>/dev/null | awk '{ print $3 }'
}

link_local() { # WHERE IF
	local -n at=$1
	"${at[@]}" ip -6 -o addr show dev "$2" scope link 2>/dev/null |
		awk '!/tentative/ { sub("/.*", "", $4); print $4; exit }'
}

generator() { # VERB KEY=VALUE...
	"${gen[@]}" bash -s "$@" <scripts/lib/pktgen.sh
}

jp() {
	"${gw[@]}" "$build/jpctl" --run-dir "$tmp/run" --pin-dir "$pin_dir" "$@"
}

await() { # COMMAND...
	local end=$((SECONDS + 20 * ${JPX_PATIENCE:-1}))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# ---- the far end -----------------------------------------------------------------

# Asks the far end, and takes its answer into $answer.
ask_far() { # WORDS
	answer=
	{ echo "$1" >&7; } 2>/dev/null && read -r -t $((10 * ${JPX_PATIENCE:-1})) answer <&8
}

# Why there was none, or not that one.
no_answer() {
	local why=${answer:-$(tail -n 1 "$tmp/far.log")}
	echo "the far end does not answer${why:+: $why}"
}

start_far() {
	# When it ends unasked, that is a verdict and not our end.
	trap '' PIPE
	mkfifo "$tmp/far.in" "$tmp/far.out"
	"${far[@]}" "$far_program" far "$far_if" <"$tmp/far.in" >"$tmp/far.out" 2>"$tmp/far.log" &
	far_pid=$!
	exec 7>"$tmp/far.in" 8<"$tmp/far.out"
	read -r -t $((20 * ${JPX_PATIENCE:-1})) answer <&8 && [[ $answer == *counting* ]] ||
		fail "the far end cannot count: $(tail -n 1 "$tmp/far.log")"
}

# ---- the candidates --------------------------------------------------------------------

bring_up() { # CANDIDATE
	case $1 in
	floor) floor_up ;;
	xdp) jpd_up "$mode_words" ;;
	sockets) jpd_up off ;;
	esac
	standing=$1
}

floor_up() {
	mkfifo "$tmp/floor.in"
	"${gw[@]}" "$ends" floor "$port_if" "$up_if" "$up_mac" "$far_mac" \
		<"$tmp/floor.in" >"$tmp/floor.out" 2>"$tmp/floor.log" &
	floor_pid=$!
	exec 6>"$tmp/floor.in"
	await grep -q redirecting "$tmp/floor.out" || fail "no plain redirect: $(tail -n 1 "$tmp/floor.log")"
}

serving() {
	[ "$(jp --json status | jq -r '[.services[].state] | unique | join(" ")')" = "$1" ]
}

# Random bytes are what pktgen sends, so any content is relayed.  Flows stay: what is measured is relaying.
jpd_up() { # XDP-MODE
	mkdir -p "$tmp/run"
	cat >"$tmp/jpd.conf" <<END
log-level = warning
xdp = $1
registrar stateless {
    address = "[$registrar]:$jpy_port"
    jpy = draft-02
    content = any
    join-port = $join_stateless
    uplink = $up_if
}
registrar stateful {
    address = "[$registrar]:$dtls_port"
    mode = stateful
    content = any
    join-port = $join_stateful
    uplink = $up_if
}
flows {
    max = 16384
    per-pledge = $ports
    per-port = 16384
    idle = 86400
    rest = 1
}
discovery {
    registrars = no
    coap-answer = no
    grasp-flood = no
    mdns = no
}
port $port_if {
}
END
	"${gw[@]}" "$build/jpd" --config "$tmp/jpd.conf" --run-dir "$tmp/run" --pin-dir "$pin_dir" \
		</dev/null >"$tmp/jpd.log" 2>&1 &
	jpd_pid=$!
	local want=serving engine=xdp-native
	[ "$1" = off ] && want=socket engine=socket
	await serving serving || await serving $want ||
		fail "jpd does not serve: $(jp status 2>&1 | head -n 5) $(tail -n 1 "$tmp/jpd.log")"
	jp --json status >"$tmp/status"
	# What is measured must be what the row says.
	[ "$1" = generic ] && engine=xdp-generic
	[ "$(jq -r '[.ports[0].engine, .uplinks[0].engine] | unique | join(" ")' "$tmp/status")" = $engine ] ||
		fail "$port_if and $up_if are not both served by $engine: $(jp status | head -n 5)"
	port_id=$(jq -r '.ports[0].id' "$tmp/status")
	uplink_address=$(jq -r '.services[0].uplink_address' "$tmp/status")
}

take_down() {
	case $standing in
	floor)
		exec 6>&-
		wait "$floor_pid"
		rm -f "$tmp/floor.in" "$tmp/floor.out"
		;;
	xdp | sockets)
		jp detach "$port_if" >/dev/null 2>"$tmp/detach.log" || fail "$(cat "$tmp/detach.log")"
		kill "$jpd_pid" && wait "$jpd_pid"
		jpd_pid=
		[ ! -e "$pin_dir" ] || fail "jpd left $pin_dir"
		;;
	esac
	standing=
}

# Whatever happened.
clean_up() {
	local pid
	trap '' HUP INT TERM
	if [ "$standing" = floor ]; then
		exec 6>&-
		kill "$floor_pid" 2>/dev/null && wait "$floor_pid" 2>/dev/null
	elif [ -n "$jpd_pid" ]; then
		jp detach "$port_if" >/dev/null 2>&1
		kill "$jpd_pid" 2>/dev/null && wait "$jpd_pid" 2>/dev/null
	fi
	exec 7>&- 8<&-
	[ -z "$far_pid" ] || { kill "$far_pid" && wait "$far_pid"; } 2>/dev/null
	[ -z "$prepared" ] || generator clear cpus="$cpus"
	[ -z "$pktgen_loaded" ] || generator unload
	rm -rf "$pin_dir" "$tmp"
}

# ---- one run ------------------------------------------------------------------------

# Packets that interfaces and sockets did not take, at the gateway: "QUEUE SOCKET".  What could not
# be redirected into a veth its peer has among what it lost, too: that is not looked at.
gateway_losses() {
	local name rest queue=0 socket=0
	while read -r name rest; do
		case $name in
		"$port_if:") read -r _ _ _ rest _ <<<"$rest" && queue=$((queue + rest)) ;;
		"$up_if:") read -r _ _ _ _ _ _ _ _ _ _ _ rest _ <<<"$rest" && queue=$((queue + rest)) ;;
		Udp6InErrors) socket=$rest ;;
		esac
	done <<<"$("${gw[@]}" cat /proc/net/dev /proc/net/snmp6)"
	echo "$queue $socket"
}

# What jpd says that it relayed by XDP, and by sockets.
jpd_relayed() {
	jp --json stats | jq -r '[.fast_path.packets, .socket.packets] | @tsv'
}

expectation() { # FORM SIZE
	local src=:: dst=$registrar dport=$jpy_port
	case $1 in
	floor) dst=$gw_address dport=$join_stateless ;;
	stateless) src=$uplink_address ;;
	stateful) src=$uplink_address dport=$dtls_port ;;
	esac
	[ "$spoil" != bytes ] || dport=$((dport + 1))
	echo "expect form=$1 size=$2 dst_mac=$far_mac src_mac=$up_mac src=$src dst=$dst dport=$dport" \
		"port_id=${port_id:-0} pledges=$pledges first_port=$first_port ports=$ports sample=1"
}

# One line of $tmp/runs, for the report to judge.  Few programs are started here: see pktgen.sh.
run() { # ROUND CANDIDATE FORM SIZE MS
	local port=$join_stateless out losses='' error='' sent=0 dropped=0 words
	[ "$3" != stateful ] || port=$join_stateful
	[ "$spoil" != port ] || port=$((port + 100))
	words=$(expectation "$3" "$4")
	if ! ask_far "$words" || [[ $answer != *expecting* ]]; then
		error=$(no_answer)
	elif ! out=$(generator run if="$gen_if" pledges="$pledges" port=$port size="$4" ms="$5" \
		2>"$tmp/gen.log"); then
		error=$(tail -n 1 "$tmp/gen.log")
	else
		[ "$spoil" != far ] || { kill "$far_pid"; wait "$far_pid"; far_pid=; } 2>/dev/null
		sent=${out#sent=} dropped=${out##*=} sent=${sent%% *}
		if ! ask_far count || [[ $answer != *right* ]]; then
			error=$(no_answer)
		fi
	fi
	losses=$(gateway_losses)
	printf '%s\t' run "$1" "$2" "$3" "$4" "$sent" $((dropped + ${losses% *} - ${lost% *})) \
		$((${losses#* } - ${lost#* })) "$error" >>"$tmp/runs"
	echo "${answer:-"{}"}" >>"$tmp/runs"
	lost=$losses
}

label() { # CANDIDATE FORM
	case $1 in
	floor) echo "plain redirect" ;;
	xdp) echo "$2, XDP" ;;
	sockets) echo "$2, socket engine" ;;
	esac
}

# Before each form's first run comes one that is not counted: flows open, neighbours are known.
measure() { # ROUND CANDIDATE
	local form size
	lost=$(gateway_losses)
	for form in ${forms_of[$2]}; do
		run 0 "$2" "$form" "${sizes%% *}" 100
		for size in $sizes; do
			echo "$me: round $1 of $rounds: $(label "$2" "$form"), $size bytes" >&2
			run "$1" "$2" "$form" "$size" "$ms"
		done
	done
	[ "$2" = floor ] || printf 'relayed\t%s\t%s\n' "$2" "$(jpd_relayed)" >>"$tmp/runs"
}

# Everything, once the ends are known: gen_if, port_if, up_if and far_if.
bench() {
	local round i loaded
	port_mac=$(link_mac gw "$port_if") up_mac=$(link_mac gw "$up_if") far_mac=$(link_mac far "$far_if")
	gw_address=$(link_local gw "$port_if")
	[ -n "$port_mac" ] || fail "there is no interface $port_if at the gateway (ip link)"
	[ -n "$up_mac" ] || fail "there is no interface $up_if at the gateway (ip link)"
	[ -n "$far_mac" ] || fail "there is no interface $far_if at the far end (ip link)"
	[ -n "$gw_address" ] || fail "$port_if has no link-local address; is it up, with a carrier (ip -6 addr)?"
	loaded=$(generator load) || exit 1
	[ -z "$loaded" ] || pktgen_loaded=1
	prepared=1
	generator prepare if="$gen_if" dst="$gw_address" mac="$port_mac" pledges="$pledges" ports=$ports \
		first=$first_port cpus="$cpus" || exit 1
	start_far
	: >"$tmp/runs"
	for ((round = 1; round <= rounds; round++)); do
		# Who goes first changes: nobody always follows the same neighbour.
		for ((i = 0; i < ${#candidates[@]}; i++)); do
			bring_up "${candidates[(i + round - 1) % ${#candidates[@]}]}"
			measure $round "$standing"
			take_down
		done
	done
	python3 scripts/lib/pktgen-report.py --title "$1" ${json:+--json "$json"} --rounds "$rounds" --flows $((pledges * ports)) \
		${strict:+--strict} ${apart:+--apart} "$tmp/runs"
}

# $tmp, and the variables that clean_up() looks at.
begin() {
	standing='' floor_pid='' jpd_pid='' far_pid='' pktgen_loaded='' prepared='' far_program=$ends
	pin_dir=/sys/fs/bpf/jpx-$me
	tmp=$(mktemp -d) || exit 1
}
