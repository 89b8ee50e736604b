#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# A hundred joins in a row over the kernel's own 6LoWPAN, with certificates at both ends, half of
# them by a stateless service and half by a stateful one, that leave nothing behind: what was there
# after the first joins is there after the last ones.  Each frame on the air is looked at.
#
#   JPX_SOAK_JOINS   how many (100)
JPX_LAB=t-soak
# shellcheck source=tests/vm/lib/radio.sh
. "$(dirname "$0")/lib/radio.sh"
needs openssl coap-server-openssl bpftool "$build/tests/joins"
joins=${JPX_SOAK_JOINS:-100}
warm_up=4
declare -A port=()
# The pledge is one node, of one address; in 5 s it joins not more than 8 times (joins.c), where a flow lives 4 s.
settings="
registrar plain { address = \"[$registrar]:7634\" }
registrar own { address = \"[$registrar]:5684\" mode = stateful }
port wpan0 {}
flows { per-pledge = 8 idle = 4 rest = 1 }"

# ---- the ends -------------------------------------------------------------------

authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
		-addext keyUsage=keyCertSign -keyout "$work/$1.key" -out "$work/$1.pem" 2>>"$work/req.log"
}

signed() { # AUTHORITY FILE NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$3" \
		-CA "$work/$1.pem" -CAkey "$work/$1.key" -addext basicConstraints=critical,CA:FALSE \
		-keyout "$work/$2.key" -out "$work/$2.pem" 2>>"$work/req.log"
}

certificates() { # "stranger" is called as the pledge is, but is of nobody whom the Registrar knows
	authority ca && signed ca registrar registrar && signed ca pledge pledge &&
		authority other && signed other stranger pledge
}

# Asks for the pledge's certificate, too, and takes none but the CA's.
registrar_server() {
	spawn registrar server coap-server-openssl -A :: -p 5683 -v 6 \
		-c "$work/registrar.pem" -j "$work/registrar.key" -C "$work/ca.pem"
	wait_for udp_bound registrar 5684
}

registrar_jpreg() {
	spawn registrar jpreg "$build/jpreg" --listen '[::]:7634' --server '[::1]:5684' --idle 5
	jpreg_pid=$spawned
	wait_for udp_bound registrar 7634
}

proxy_up() {
	ns_ip proxy link set wpan0 up && lowpan proxy 0 && jpd_start "$settings" && wait_for all_serving || return 1
	port[stateless]=$(join_port lowpan0 0)
	port[stateful]=$(join_port lowpan0 1)
	[ "$(status '[.ports[0].ifname, .ports[0].engine] | join(" ")')" = "lowpan0 xdp-generic" ] &&
		[ "$(status '[.services[].mode] | join(" ")')" = "stateless stateful" ]
}

joined() { # N MODE [CERTIFICATE [CA]]
	local n=$1 log=$work/joins.log
	in_ns pledge "$build/tests/joins" "$n" 60 "$work/${3:-pledge}.pem" "$work/${3:-pledge}.key" \
		"$work/${4:-ca}.pem" "[$(status '.ports[0].address')%lowpan0]:${port[$2]}" >"$log" 2>&1
	[ "$(tail -n 1 "$log")" = "$n of $n" ] && return 0
	grep '^not ok' "$log" | head -n 3 | sed 's/^/# /'
	return 1
}

soak() { # N MODE
	local start=$SECONDS
	joined "$@" || return 1
	awk -v n="$1" -v mode="$2" -v took=$((SECONDS - start)) '
		/^ok/ { sum += $3; if ($3 > most) most = $3 }
		END { printf "# %s: %d joins in %d s, %.2f s each, the longest %.2f s\n", mode, n, took, sum / n, most }
		' "$work/joins.log"
}

refused() { # MODE [CERTIFICATE [CA]]: and for that
	! joined 1 "$@" >/dev/null && has 'not ok 1 DTLS failed' "$work/joins.log"
}

verified() { # so many pledges' names, by the Registrar
	grep -c "CN 'pledge' presented by client (Certificate)" "$work/server.log"
}

# ---- what is on the air -----------------------------------------------------------

counting() {
	wpan-hwsim edge add 0 2 || return 1
	"$build/tests/wpan_probe" count mon0 >"$work/air" 2>&1 &
	air=$!
	pids+=("$air")
	wait_for has counting "$work/air"
}

air_of() { # WHO: what is said of its frames, from its long address and from its short one
	local short
	short=$(in_ns "$1" iwpan dev wpan0 info | sed -n 's/.*short_addr 0x\(..\)\(..\).*/\1:\2/p')
	grep -e "^$(lowpan_eui64 "$1") " -e "^$short " "$work/air"
}

heard_all() {
	stop "$air"
	sed 's/^/# on the air: /' "$work/air"
	has '^missed 0$' "$work/air"
}

fits_in_frames() { # FILE
	awk '/ longest / { for (i = 1; i < NF; i++) if ($i == "longest" && $(i + 1) > 127) exit 1; n++ }
		END { if (!n) exit 1 }' "$1"
}

# fragmented JOINS: of each end; a flight with a certificate is some datagrams of two to ten frames
fragmented() {
	local who
	for who in pledge proxy; do
		air_of "$who" | awk -v n="$1" '{ for (i = 1; i < NF; i++) got[$i] += $(i + 1); lines++ }
			END { exit !(lines && got["frag1"] >= n && got["fragn"] > got["frag1"]) }' && continue
		echo "# of the $who: $(air_of "$who")"
		return 1
	done
}

# ---- what is left -------------------------------------------------------------------

fds() { # PID
	find "/proc/$1/fd" -mindepth 1 -printf x | wc -c
}

# Counts of the kernel's objects are right only once its lists of free ones are given back.
slab_shrink() {
	local s
	for s in /sys/kernel/slab/*/shrink; do [ -h "${s%/shrink}" ] || echo 1 >"$s"; done 2>/dev/null
}

slab() {
	awk '/^(skbuff_head_cache|skbuff_fclone_cache|skbuff_small_head|UDPv6|lowpan-frags|ip6-frags) / { print "slab." $1, $2 }
		/^kmalloc-/ { kb += $2 * $4 / 1024 }
		END { printf "slab.kmalloc-kb %d\n", kb }' /proc/slabinfo
}

entries() { # MAP
	bpftool -j map dump pinned "$pin_dir/$1" | jq length
}

of_namespace() { # WHO
	echo "neighbours.$1 $(ns_ip "$1" -6 neigh show nud all | wc -l)"
	in_ns "$1" cat /proc/net/sockstat6 |
		awk -v w="$1" '/^UDP6:/ { print "sockets." w, $3 } /^FRAG6:/ { print "frag6-memory." w, $5 }'
	in_ns "$1" cat /proc/net/snmp6 | awk -v w="$1" '/^Ip6ReasmFails/ { print "reassembly-failed." w, $2 }
		/^Ip6ReasmTimeout/ { print "reassembly-late." w, $2 }'
}

snapshot() { # FILE: a number a line
	local who map
	slab_shrink
	{
		for who in jpd jpreg ${holder_pid:+holder}; do
			local id=${who}_pid
			echo "fds.$who $(fds "${!id}")"
			# Without the tables of flows that jpd shares with the kernel: they are there anyway.
			awk -v w="$who" '/^RssAnon/ { print "heap-kb." w, $2 }' "/proc/${!id}/status"
		done
		echo "flows $(jp --json flows --count | jq .count)"
		for map in jpx_pledges jpx_macs; do echo "map.$map $(entries "$map")"; done
		for who in pledge proxy registrar; do of_namespace "$who"; done
		slab
	} >"$1"
	[ "$(grep -c ' [0-9][0-9]*$' "$1")" -gt 20 ] && ! grep -v ' [0-9][0-9]*$' "$1"
}

# What may be more afterwards, and is no join's: each join has some buffers, and of most things one.
slack='function slack(key) {
	if (key ~ /^heap-kb/) return 128
	if (key ~ /^neighbours/) return 2
	if (key == "sockets.registrar") return 1 # for a probe that is just going on
	if (key == "slab.kmalloc-kb") return joins * 5
	if (key ~ /^slab/) return int(joins / 2)
	return 0
}'

# grew BEFORE AFTER: prints what is more than slack says, or missing; true if anything is
grew() {
	awk -v joins="$joins" "$slack"'
		NR == FNR { before[$1] = $2; next }
		{ after[$1] = $2 }
		END {
			for (key in before)
				if (!(key in after) || after[key] > before[key] + slack(key)) {
					print key, before[key], key in after ? after[key] : "none"
					more = 1
				}
			exit !more
		}' "$1" "$2"
}

no_growth() { # BEFORE AFTER
	paste -d ' ' "$1" "$2" | awk '$2 != $4 { print "# before and after:", $1, $2, $4 }'
	! grew "$1" "$2"
}

# Each number alone is seen, whichever grows by one more than it may.
sees_each() { # SNAPSHOT
	local i key seen
	for ((i = 1; i <= $(wc -l <"$1"); i++)); do
		key=$(awk -v i="$i" -v joins="$joins" "$slack"'
			NR == i { $2 += slack($1) + 1; print $1 >"/dev/stderr" } 1' "$1" 2>&1 >"$work/one-more")
		seen=$(grew "$1" "$work/one-more" | cut -d' ' -f1)
		[ -n "$key" ] && [ "$seen" = "$key" ] && continue
		echo "# not seen: $key, but: $seen"
		return 1
	done
}

# A process that keeps one file a join open.
holder() {
	bash -c 'trap "exec {fd}</dev/null" USR1; echo; while :; do sleep 0.2; done' \
		>"$work/holder" 2>&1 </dev/null &
	holder_pid=$!
	pids+=("$holder_pid")
}

holds() { # N
	[ "$(fds "$holder_pid")" = "$1" ]
}

# Three leaks, one of each kind: what grew then is in $work/seen.
planted() {
	local i
	holder
	wait_for [ -s "$work/holder" ] && snapshot "$work/planted.0" || return 1
	# a file
	kill -USR1 "$holder_pid"
	# datagrams that nobody fetches, which are buffers that the kernel keeps
	kill -STOP "$jpreg_pid"
	in_ns registrar bash -c "for ((i = 0; i < $joins; i++)); do echo x >/dev/udp/::1/7634; done"
	# neighbours
	for i in 1 2 3; do
		ns_ip proxy neigh add "fe80::d:$i" lladdr "02:00:00:00:0d:0$i" dev up0
	done
	snapshot "$work/planted.1" && grew "$work/planted.0" "$work/planted.1" >"$work/seen"
	for i in 1 2 3; do ns_ip proxy neigh del "fe80::d:$i" dev up0; done
	kill -CONT "$jpreg_pid"
	stop "$holder_pid"
	holder_pid=
	sed 's/^/# planted: /' "$work/seen"
	[ -s "$work/seen" ]
}

# Everything has had the time after which it ends: flows, jpreg's pledges.
at_rest() {
	[ "$(jp --json flows --count | jq .count)" = 0 ] && [ "$(entries jpx_pledges)" = 0 ] &&
		[ "$(fds "$jpreg_pid")" -le "$jpreg_fds" ]
}

# ---- who relays -------------------------------------------------------------------------

relayed() { # to the Registrar, to pledges, by XDP or tc, by sockets
	stats '[([.ports[].to_registrar.packets] | add), ([.ports[].to_pledge.packets] | add),
		.fast_path.packets, .socket.packets] | join(" ")'
}

# answers_by WAY TO-REGISTRAR TO-PLEDGES FAST SOCKET: is it what WAY means?
answers_by() {
	[ "$2" -gt 0 ] && [ "$3" -gt 0 ] && [ $(($4 + $5)) = $(($2 + $3)) ] || return 1
	case $1 in
	# jpd handles no datagram itself, but one or two that come just when jpd writes down a next hop anew
	tc) [ "$5" -le $((($2 + $3) / 400)) ] ;;
	socket) [ "$5" = "$3" ] ;; # ... none but answers
	*) return 1 ;;
	esac
}

each_way_its_engine() { # BEFORE AFTER: what relayed said
	local way
	way=$(status '.ports[0].answers')
	# shellcheck disable=SC2086 # four words each
	set -- $1 $2
	echo "# answers by $way: to the Registrar $(($5 - $1)), to pledges $(($6 - $2)), by the fast path $(($7 - $3)), by sockets $(($8 - $4))"
	[ $(($8 - $4)) = 0 ] || [ "$way" != tc ] || stats '.handoffs | to_entries[] | select(.value > 0) | "# since the start handed off: \(.key) \(.value)"'
	answers_by "$way" $(($5 - $1)) $(($6 - $2)) $(($7 - $3)) $(($8 - $4))
}

knows_the_ways() {
	answers_by socket 9 8 9 8 && answers_by tc 9 8 17 0 && ! answers_by tc 9 8 16 1 &&
		! answers_by socket 9 8 8 9 && ! answers_by socket 9 8 9 7 && ! answers_by socket 0 0 0 0
}

# ---- the test --------------------------------------------------------------------------------

check lab lab_wpan
check certificates certificates
check server registrar_server
check jpreg registrar_jpreg
check counting counting
jpreg_fds=$(fds "$jpreg_pid")
check proxy proxy_up
[ "$failed" = 0 ] || finish # nothing of what follows can be

for mode in stateless stateful; do check "first-joins-$mode" joined "$warm_up" "$mode"; done
check verified-by-the-registrar [ "$(verified)" = $((2 * warm_up)) ]
check stranger-is-refused refused stateless stranger
check registrar-of-another-is-refused refused stateful pledge other
check nobody-else-was-verified [ "$(verified)" = $((2 * warm_up)) ]
check rests wait_for at_rest

check knows-the-ways knows_the_ways
check planted planted
check sees-files-kept has '^fds.holder ' "$work/seen"
check sees-buffers-kept has '^slab.skbuff_head_cache ' "$work/seen"
check sees-neighbours-kept has '^neighbours.proxy ' "$work/seen"
check rests-again wait_for at_rest

relayed=$(relayed) # here: answering it for the first time jpd takes memory that it keeps
check before snapshot "$work/before"
check sees-each-number sees_each "$work/before"
for mode in stateless stateful; do check "joins-$mode" soak $((joins / 2)) "$mode"; done
check each-way-its-engine each_way_its_engine "$relayed" "$(relayed)"
check no-drops no_drops
check all-verified [ "$(verified)" = $((2 * warm_up + joins / 2 * 2)) ]
check rests-in-the-end wait_for at_rest
check after snapshot "$work/after"
check no-growth no_growth "$work/before" "$work/after"

check heard-all heard_all
check fits-in-frames fits_in_frames "$work/air"
check fragmented-both-ways fragmented "$joins"
finish
