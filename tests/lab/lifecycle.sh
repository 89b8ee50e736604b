#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The fast path outlives jpd, the next jpd adopts it, and what is detached leaves nothing
# behind; programs and pins of others stay theirs.  Prints "ok NAME" or "not ok NAME".
#
# Runs with a BPF file system of its own, so that "nothing is left" can be looked at
# while other tests run.
JPX_LAB=t-life
cd "$(dirname "$0")/../.." || exit 1
if [ "${1:-}" != --own-bpffs ]; then
	# The namespaces first: their names are mounts, and all should see them.
	# shellcheck source=scripts/lab.sh
	. scripts/lab.sh
	lab_up 2
	exec unshare -m --propagation slave bash tests/lab/lifecycle.sh --own-bpffs
fi
mount -t bpf bpf /sys/fs/bpf || { echo "not ok lifecycle: cannot mount a BPF file system"; exit 1; }
# shellcheck source=tests/lab/lib/operations.sh
. tests/lab/lib/operations.sh

psk=00112233445566778899aabbccddeeff
more_cleanup() { exec 8>&- 9>&-; }

# ---- what is there -----------------------------------------------------------

at_first=$(find /sys/fs/bpf -mindepth 1) # some kernels put files of their own there
pinned() { find /sys/fs/bpf -mindepth 1 | grep -vxF "$at_first" | sort; }

# All that one could forget to take away, in the proxy's namespace.
leftovers() {
	ns_ip proxy -d link show 2>/dev/null | grep -o 'prog/xdp.*'
	in_ns proxy bpftool net show | grep -E '\(|id ' | grep -v '^$'
	in_ns proxy tc qdisc show | grep -E 'clsact|ingress'
	ns_ip proxy -6 neigh show | grep -E 'PERMANENT|NOARP'
	pinned | grep -vx /sys/fs/bpf/xdp
}

# As "jpctl --json status" has it, without what differs from one jpd to the next.
picture() { json status "json.dumps({k: o[k] for k in ('ports', 'uplinks', 'services')})"; }

# ---- a DTLS session over all of it ---------------------------------------------

session_start() {
	mkfifo "$dir/server.in" "$dir/client.in"
	nsenter --net="/run/netns/$lab-registrar" openssl s_server -dtls1_2 -listen -accept '[::1]:5684' \
		-nocert -psk $psk -cipher PSK-AES128-GCM-SHA256 <"$dir/server.in" >"$dir/server.log" 2>&1 &
	pids+=($!)
	exec 8>"$dir/server.in"
	wait_for 5 has ACCEPT "$dir/server.log" || why "no DTLS server" || return 1
	background_in registrar "$dir/jpreg.log" "$jpreg" --listen '[::]:7639' --server '[::1]:5684'
	wait_for 5 has 'taking JPY' "$dir/jpreg.log" || return 1
	ctl attach pj0 --registrar '[2001:db8:2::52]:7639' --join-port 5699 || return 1
	nsenter --net="/run/netns/$lab-pledge" openssl s_client -dtls1_2 \
		-connect "[$(lab_link_local proxy pj0)%pl0]:5699" -psk $psk -quiet \
		-cipher PSK-AES128-GCM-SHA256 <"$dir/client.in" >"$dir/client.log" 2>&1 &
	pids+=($!)
	exec 9>"$dir/client.in"
	session_goes_on first
}

session_goes_on() { # WORD: that was not said before
	echo "ping-$1" >&9
	wait_for 5 has "ping-$1" "$dir/server.log" || why "ping-$1 did not arrive" || return 1
	echo "pong-$1" >&8
	wait_for 5 has "pong-$1" "$dir/client.log" || why "pong-$1 did not arrive"
}

# ---- killed, and adopted ---------------------------------------------------------

relays_without_jpd() {
	before=$(picture)
	local since=$(now)
	jpd_stop KILL
	is False json status "o['daemon']['running']" || return 1
	served_by fast && is "0 of" lost_since "$since" && is "$before" picture
}

lost_since() { "$probe" lost "$probe_log" "$1" "$(now)" | sed 's/of.*/of/'; }

adopts() {
	local since=$(now)
	jpd_start && sleep 0.3 && is "0 of" lost_since "$since" && is "$before" picture &&
		is True json status "o['daemon']['running']" && served_by fast
}

term_keeps_relaying() {
	local since=$(now)
	jpd_stop || why "exit status $?" || return 1
	served_by fast && is "0 of" lost_since "$since" && [ ! -e "$run_dir/jpd.sock" ]
}

restarts() { # ten of them, each at another moment
	local since=$(now) i
	jpd_stop KILL
	for i in 1 2 3 4 5 6 7 8 9 10; do
		jpd_start && sleep "0.0$((i * 9 % 10))" && jpd_stop KILL
	done
	jpd_start && is "0 of" lost_since "$since"
}

# ---- detached -------------------------------------------------------------------

detach_leaves_nothing() {
	ctl detach pj0 || return 1
	is 0 json status "len(o['ports'])" && is "" leftovers
}

stop_leaves_nothing() {
	jpd_stop || why "exit status $?" || return 1
	is "" leftovers && is "jpd.lock" ls "$run_dir"
}

libxdp_directory() {
	[ ! -e /sys/fs/bpf/xdp ] || echo "# libxdp left /sys/fs/bpf/xdp: $(find /sys/fs/bpf/xdp | wc -l) entries"
	[ -z "$(find /sys/fs/bpf/xdp -type f 2>/dev/null)" ]
}

# ---- configuration ----------------------------------------------------------------

# The uplink port is whatever was free; the rest must be the same.
shape() { picture | sed 's/"uplink_port": [0-9]*/"uplink_port": N/g'; }

by_verbs() {
	jpd_start && ctl registrar add main "$registrar" --jpy draft-06 --join-port 5700 --content any &&
		ctl registrar add other '[2001:db8:2::53]:99' &&
		ctl attach pj0 --xdp generic && ctl attach pj1 || return 1
	wanted=$(shape)
	ctl detach pj0 && ctl detach pj1 && jpd_stop
}

by_file() {
	cat >"$config" <<-END
		registrar main {
		    address = "$registrar"
		    jpy = draft-06
		    join-port = 5700
		    content = any
		}
		registrar other {
		    address = "[2001:db8:2::53]:99"
		}
		port pj0 {
		    xdp = generic
		}
		port pj1 {
		}
	END
	jpd_start && is "$wanted" shape
}

hup_applies() {
	local before=$(picture)
	kill -HUP "$jpd_pid" && wait_for 3 has 'applied again, 0 items failed' "$dir/jpd.log" &&
		is "$before" picture || return 1
	printf 'registrar third {\n address = "[2001:db8:2::54]:98"\n}\n' >>"$config"
	kill -HUP "$jpd_pid"
	wait_for 3 is "['main', 'other', 'third']" json status "[s['name'] for s in o['services']]"
}

hup_with_error() {
	local before=$(picture)
	cp "$config" "$dir/good.conf"
	echo 'nonsense {' >>"$config"
	kill -HUP "$jpd_pid" && wait_for 3 has "$config:1[0-9]: .*nonsense" "$dir/jpd.log" || return 1
	cp "$dir/good.conf" "$config"
	is "$before" picture
}

# Two names for one Registrar, each with a join port, is no conflict, the second time neither.
hup_same_registrar_twice() {
	printf 'registrar again {\n address = "[2001:db8:2::54]:98"\n join-port = 5800\n}\n' >>"$config"
	: >"$dir/jpd.log"
	kill -HUP "$jpd_pid" && wait_for 3 has 'applied again, 0 items failed' "$dir/jpd.log" || return 1
	: >"$dir/jpd.log"
	kill -HUP "$jpd_pid" && wait_for 3 has 'applied again, 0 items failed' "$dir/jpd.log"
}

# An interface that is made after jpd has started, as a radio's is at boot.
port_comes_later() {
	printf 'port pj9 {\n}\n' >>"$config"
	: >"$dir/jpd.log"
	kill -HUP "$jpd_pid" && wait_for 3 has 'applied again' "$dir/jpd.log" || return 1
	lab_link pledge pl9 proxy pj9
	wait_for 3 is "['ready']" json status "[p['state'] for p in o['ports'] if p['ifname'] == 'pj9']"
}

# ---- programs of others ---------------------------------------------------------------

foreign_object() {
	printf '%s\n' '__attribute__((section("xdp"), used)) int pass(void *ctx) { return ctx ? 2 : 0; }' \
		'__attribute__((section("license"), used)) char terms[] = "GPL";' >"$dir/foreign.c"
	clang -O2 -target bpf -c "$dir/foreign.c" -o "$dir/foreign.o" &&
		in_ns proxy ip link set dev pj0 xdp obj "$dir/foreign.o" sec xdp >"$dir/why" 2>&1 &&
		rm -rf /sys/fs/bpf/{ip,tc,xdp} && # the ip command's own
		foreign=$(xdp_on pj0) && [ -n "$foreign" ]
}

foreign_is_kept() {
	ctl attach pj0 --registrar "$registrar" || return 1
	has 'another XDP program' "$dir/ctl.out" || why "attach says: $(cat "$dir/ctl.out")" || return 1
	is socket json status "o['ports'][0]['engine']" && is "$foreign" xdp_on pj0
}

foreign_socket_relays() {
	probing pledge pl0 "$(lab_link_local proxy pj0)" 5684 && served_by socket
	local ret=$?
	stop "$probe_pid"
	return $ret
}

foreign_native_is_refused() { # with nothing half-done
	ctl detach pj0 || return 1
	! ctl attach pj0 --registrar "$registrar" --xdp native || why "it was not" || return 1
	: >"$dir/why"
	has 'another XDP program' "$dir/ctl.err" && is 0 json status "len(o['ports'])" &&
		is 0 json status "len(o['services'])" && is "$foreign" xdp_on pj0
}

foreign_gone() { # ours comes by itself
	ctl attach pj0 --registrar "$registrar" || return 1
	ns_ip proxy link set pj0 xdp off
	wait_for 16 is xdp-native json status "o['ports'][0]['engine']"
}

taken_off() {
	local since=$(now) ours=$(xdp_on pj0)
	[ -n "$ours" ] || why "no program of ours to take off" || return 1
	ns_ip proxy link set pj0 xdp off
	wait_for 12 eval '[ -n "$(xdp_on pj0)" ]' || why "not attached again in 12 s" || return 1
	echo "# attached again after $(($(now) - since)) ms"
	probing pledge pl0 "$(lab_link_local proxy pj0)" 5684 && served_by fast
	local ret=$?
	stop "$probe_pid"
	return $ret
}

# Detach takes off what is ours, not what somebody put there instead.
replaced_by_foreign() {
	ns_ip proxy link set pj0 xdp off
	in_ns proxy ip link set dev pj0 xdp obj "$dir/foreign.o" sec xdp >"$dir/why" 2>&1 || return 1
	rm -rf /sys/fs/bpf/{ip,tc,xdp}
	foreign=$(xdp_on pj0)
	ctl detach pj0 && is "$foreign" xdp_on pj0 && ns_ip proxy link set pj0 xdp off
}

# ---- pin directories of others -----------------------------------------------------------

map_at() { # PATH NAME VALUE_SIZE
	bpftool map create "$1" type array key 4 value "$3" entries 1 name "$2"
}

half_made() { # as one that died in between leaves it
	mkdir "$pin_dir" && map_at "$pin_dir/jpx_ports" jpx_ports 80 && jpd_start &&
		! has 'no fast path' "$dir/jpd.log" && ctl attach pj0 --registrar "$registrar" &&
		is xdp-native json status "o['ports'][0]['engine']"
}

incomplete() { # not ours to repair without asking
	jpd_stop KILL
	rm "$pin_dir/jpx_ports" || return 1
	local before=$(pinned)
	refuses "only .* of .* maps are pinned under $pin_dir" && is "$before" pinned
	local ret=$?
	clean_slate
	return $ret
}

# Nothing attached or pinned, whatever the test before left.
clean_slate() {
	local ifname
	[ -z "$jpd_pid" ] || jpd_stop KILL
	for ifname in pj0 pj1 pj9 up0; do
		ns_ip proxy link set "$ifname" xdpgeneric off 2>/dev/null
		ns_ip proxy link set "$ifname" xdp off 2>/dev/null
	done
	# "ip link" knows nothing of what libxdp pinned.
	rm -rf "$pin_dir" /sys/fs/bpf/xdp
	: >"$config"
}

# jpd does not start, and says why in one sentence: an error with TEXT.
refuses() { # TEXT [OPTION...]
	local text=$1 status
	shift
	timeout $((10 * ${JPX_PATIENCE:-1})) nsenter --net="/run/netns/$lab-proxy" "$jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$config" "$@" >"$dir/refused" 2>&1 </dev/null
	status=$?
	[ $status = 1 ] && [ "$(wc -l <"$dir/refused")" = 1 ] && has "^jpd: error: .*$text" "$dir/refused" ||
		why "status $status, and says: $(cat "$dir/refused")"
}

other_version() {
	local meta
	jpd_start && ctl attach pj0 --registrar "$registrar" && jpd_stop || return 1
	meta=$(bpftool -j map lookup pinned "$pin_dir/jpx_meta" key 0 0 0 0 | jq -r '.value | map(ltrimstr("0x")) | join(" ")')
	bpftool map update pinned "$pin_dir/jpx_meta" key 0 0 0 0 value hex 31 58 50 4a 63 00 00 00 || return 1
	local before=$(pinned; leftovers)
	refuses 'layout 99, this program speaks' && is "$before" eval 'pinned; leftovers' || return 1
	# shellcheck disable=SC2086 # eight words
	bpftool map update pinned "$pin_dir/jpx_meta" key 0 0 0 0 value hex $meta &&
		jpd_start && ctl detach pj0 && jpd_stop && is "" leftovers
}

not_made_by_jpx() {
	mkdir "$pin_dir" && map_at "$pin_dir/jpx_meta" jpx_meta 8 || return 1
	refuses 'not made by jpx' && is "$pin_dir/jpx_meta" find "$pin_dir" -type f && rm -r "$pin_dir"
}

foreign_directory() {
	mkdir "$pin_dir" && map_at "$pin_dir/theirs" theirs 8 && map_at "$pin_dir/jpx_like" jpx_like 8 || return 1
	local before=$(pinned)
	timeout $((2 * ${JPX_PATIENCE:-1})) nsenter --net="/run/netns/$lab-proxy" "$jpd" --run-dir "$run_dir" --pin-dir "$pin_dir" \
		--config "$config" >"$dir/jpd.log" 2>&1 </dev/null
	is "$before" pinned && rm -r "$pin_dir"
}

empty_directory_stays() { # somebody made it for jpd: any outcome but a wrong one
	mkdir "$pin_dir" && jpd_start && ctl attach pj0 --registrar "$registrar" &&
		is xdp-native json status "o['ports'][0]['engine']" && ctl detach pj0 && jpd_stop
}

# ------------------------------------------------------------------------------

echo_registrar registrar 7634 && jpd_start || exit 1
check attach ctl attach pj0 --registrar "$registrar"
check relays probing pledge pl0 "$(lab_link_local proxy pj0)" 5684
check session session_start
check killed-relays-on relays_without_jpd
check killed-session-goes-on session_goes_on killed
check adopted adopts
check adopted-session-goes-on session_goes_on adopted
check ten-restarts-lose-nothing restarts
check ten-restarts-session-goes-on session_goes_on restarted
check term-relays-on term_keeps_relaying
check adopted-after-term adopts
stop "$probe_pid"
check detach-leaves-nothing detach_leaves_nothing
check stop-leaves-nothing stop_leaves_nothing
check libxdp-leaves-no-pins libxdp_directory
clean_slate
check verbs by_verbs
check config-as-verbs by_file
check hup hup_applies
check hup-with-error hup_with_error
check hup-same-registrar-twice hup_same_registrar_twice
check config-port-comes-later port_comes_later
clean_slate
jpd_start
check foreign-loaded foreign_object
check foreign-is-kept foreign_is_kept
check foreign-socket-relays foreign_socket_relays
check foreign-native-refused foreign_native_is_refused
check foreign-gone foreign_gone
check taken-off taken_off
check replaced-by-foreign replaced_by_foreign
clean_slate
check half-made-pins half_made
check incomplete-pins incomplete
check other-version other_version
clean_slate
check not-made-by-jpx not_made_by_jpx
clean_slate
check foreign-directory foreign_directory
clean_slate
check empty-directory empty_directory_stays
exit $((failures > 0))
