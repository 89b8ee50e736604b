#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What people get wrong: each error is one sentence that says what, where, why and what
# to try, the exit status is right, and nothing is half-done.  And what people, or
# programs, send to the control socket.  Prints "ok NAME" or "not ok NAME".
JPX_LAB=t-people
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lab/lib/operations.sh
. tests/lab/lib/operations.sh

more_cleanup() {
	mountpoint -q "$dir/tiny" && umount "$dir/tiny"
	[ -d "$pin_dir-b" ] && rm -rf "$pin_dir-b"
}

picture() { json status "json.dumps({k: o[k] for k in ('ports', 'uplinks', 'services')})"; }

# one_sentence FILE TEXT: besides argp's hint at --help, there is one line, with TEXT in it,
# that starts with the program's name and is neither a riddle nor a novel.
one_sentence() {
	local line
	line=$(sed "/^Try \`.*--help' or/,\$d" "$1")
	[ "$(wc -l <<<"$line")" = 1 ] || why "not one sentence: $line" || return 1
	[[ $line =~ ^(jpd|jpctl|jpreg|jpledge)[a-z\ ]*:\  ]] && [ ${#line} -gt 25 ] && [ ${#line} -lt 400 ] ||
		why "not a sentence: $line" || return 1
	grep -q -e "$2" <<<"$line" || why "without \"$2\": $line"
}

# jpctl STATUS TEXT ARGUMENT...: jpctl fails so, and nothing has changed.
wrong() {
	local want=$1 text=$2 status before after
	shift 2
	before=$(picture)
	in_ns proxy "$jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	after=$(picture)
	[ $status = "$want" ] || why "exit status $status: $(cat "$dir/err")" || return 1
	[ ! -s "$dir/out" ] || why "it printed $(cat "$dir/out")" || return 1
	one_sentence "$dir/err" "$text" || return 1
	[ "$before" = "$after" ] || why "something has changed: $before / $after"
}

# jpd_fails STATUS TEXT [COMMAND...] -- [OPTION...]: it does not start, and says why.
jpd_fails() {
	local want=$1 text=$2 before=() status
	shift 2
	while [ "$1" != -- ]; do before+=("$1"); shift; done
	shift
	timeout 10 nsenter --net="/run/netns/$lab-proxy" "${before[@]}" "$jpd" --pin-dir "$pin_dir-b" \
		--run-dir "$dir/run-b" --config "$config" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	[ $status = "$want" ] || why "exit status $status: $(cat "$dir/err")" || return 1
	[ ! -e "$pin_dir-b" ] || why "it left $pin_dir-b" || return 1
	one_sentence "$dir/err" "$text"
}

# ---- privileges, directories ----------------------------------------------------

NOBODY="setpriv --reuid=65534 --regid=65534 --clear-groups"

jpd_as_nobody() {
	install -d -o 65534 "$dir/theirs"
	chmod 755 "$dir"
	# shellcheck disable=SC2086 # words
	jpd_fails 1 'run jpd as root' $NOBODY -- --run-dir "$dir/run-n/deep"
}

# With a run directory of its own and no rights it cannot even know: still no crash.
jpd_as_nobody_there() {
	local status
	# shellcheck disable=SC2086
	timeout 3 nsenter --net="/run/netns/$lab-proxy" $NOBODY "$jpd" --run-dir "$dir/theirs" \
		--pin-dir "$pin_dir-b" --config "$config" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	[ $status = 0 ] || [ $status = 1 ] || [ $status = 124 ] || why "status $status" || return 1
	has 'as root' "$dir/err" || why "does not say what to try: $(cat "$dir/err")"
}

jpctl_as_nobody() {
	local status
	# shellcheck disable=SC2086
	in_ns proxy $NOBODY "$jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" detach pj0 >"$dir/out" 2>"$dir/err"
	status=$?
	[ $status = 1 ] || why "status $status" || return 1
	one_sentence "$dir/err" 'run jpctl as root'
}

no_bpffs() {
	local log=$dir/nobpffs.log ret
	background "$log" nsenter --net="/run/netns/$lab-proxy" unshare -m sh -c \
		'umount -l /sys/fs/bpf; while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$@"' sh \
		"$jpd" --run-dir "$dir/run-b" --pin-dir "$pin_dir-b" --config "$config"
	local pid=$started
	wait_for 5 has 'jpd: ready$' "$log" && has 'mount -t bpf bpf' "$log" || why "$(cat "$log")" || return 1
	in_ns proxy "$jpctl" --run-dir "$dir/run-b" --pin-dir "$pin_dir-b" attach pj1 --registrar "$registrar" \
		--join-port 5750 >"$dir/out" 2>&1 &&
		probing pledge pl1 "$(lab_link_local proxy pj1)" 5750 &&
		in_ns proxy "$jpctl" --run-dir "$dir/run-b" --json status | grep -q '"engine": *"socket"'
	ret=$?
	stop "$probe_pid"
	stop "$pid" && [ $ret = 0 ]
}

two_on_one_pin_dir() { # two writers on one set of maps
	local before=$(picture)
	timeout 5 nsenter --net="/run/netns/$lab-proxy" "$jpd" --run-dir "$dir/run-c" --pin-dir "$pin_dir" \
		--config "$config" >"$dir/out" 2>"$dir/err" </dev/null
	is 1 echo $? && one_sentence "$dir/err" 'another jpd' && is "$before" picture
}

stale_socket() {
	mkdir -p "$dir/run-b"
	/usr/bin/python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('$dir/run-b/jpd.sock')"
	local pid
	background_in proxy "$dir/stale.log" "$jpd" --run-dir "$dir/run-b" --pin-dir "$pin_dir-b" --config "$config"
	pid=$started
	wait_for 5 has 'jpd: ready$' "$dir/stale.log" || why "$(cat "$dir/stale.log")" || return 1
	in_ns proxy "$jpctl" --run-dir "$dir/run-b" --pin-dir "$pin_dir-b" status >/dev/null || return 1
	stop "$pid" && [ ! -e "$dir/run-b/jpd.sock" ]
}

full_disk() {
	mkdir "$dir/tiny" && mount -t tmpfs -o size=16k,nr_inodes=4 tmpfs "$dir/tiny" || return 1
	mkdir "$dir/tiny/run"
	touch "$dir/tiny/1" "$dir/tiny/2" "$dir/tiny/3" 2>/dev/null
	jpd_fails 1 'No space left on device; free some space' -- --run-dir "$dir/tiny/run"
	local ret=$?
	umount "$dir/tiny"
	return $ret
}

# ---- the configuration file --------------------------------------------------------

# conf LINE TEXT CONTENT: refused, with the file's name and the line.
conf() {
	printf '%b' "$3" >"$dir/bad.conf"
	jpd_fails 1 "$dir/bad.conf:$1: .*$2" -- --config "$dir/bad.conf"
}

R='registrar main {\n\taddress = "[2001:db8::1]:7634"\n'

# ---- UDP ports of others ------------------------------------------------------------

join_port_taken() { # the fast path serves all the same, and people are told
	background_in proxy "$dir/hold.log" "$probe" hold '[::]:5760'
	local pid=$started
	wait_for 3 eval "in_ns proxy ss -Hlun 'sport = 5760' | grep -q 5760"
	ctl attach pj0 --registrar '[2001:db8:2::60]:7634' --join-port 5760
	local ret=$?
	cat "$dir/ctl.out" "$dir/ctl.err" >"$dir/said"
	stop "$pid"
	[ $ret = 0 ] && has 'UDP port 5760: Address already in use' "$dir/said" || why "it said: $(cat "$dir/said")"
}

# ---- the control socket ---------------------------------------------------------------

# poke PYTHON: s() makes a connection, ask(BYTES) sends a line and returns the answer.
poke() {
	sed 's/^\t*//' >"$dir/poke.py" <<-END
		import json, os, socket, sys, time
		def s():
		    c = socket.socket(socket.AF_UNIX)
		    c.settimeout(5)
		    c.connect(sys.argv[1])
		    return c
		def ask(b):
		    c = s()
		    c.sendall(b + b"\n")
		    f = c.makefile()
		    return json.loads(f.readline())
		def refused(b):
		    a = ask(b)
		    assert a["ok"] is False and len(a["error"]) > 10, a
		$1
	END
	timeout 60 /usr/bin/python3 "$dir/poke.py" "$run_dir/jpd.sock" 2>>"$dir/why" || why "poking failed"
}

jpd_lives() {
	[ "$(json status "o['daemon']['pid']")" = "$jpd_pid" ] || why "jpd does not live"
}

# Open file descriptors and memory are what they were before.
lean() {
	local fds rss
	fds=$(ls "/proc/$jpd_pid/fd" | wc -l)
	rss=$(awk '/VmRSS/ { print $2 }' "/proc/$jpd_pid/status")
	"$@" && jpd_lives || return 1
	sleep 0.2
	[ "$(ls "/proc/$jpd_pid/fd" | wc -l)" -le $((fds + 1)) ] || why "descriptors are lost" || return 1
	[ "$(awk '/VmRSS/ { print $2 }' "/proc/$jpd_pid/status")" -le $((rss + 4096)) ] || why "memory is lost"
}

random_bytes() {
	poke 'for i in range(50):
		    try:
		        c = s(); c.sendall(os.urandom(3000) + b"\n"); c.close()
		    except OSError: pass'
}

ten_megabytes() {
	poke 'c = s()
		try:
		    for i in range(160): c.sendall(b"x" * 65536)
		    raise SystemExit("it took 10 MB without a newline")
		except OSError: pass'
}

many_connections() {
	poke 'l = []
		for i in range(200):
		    try: c = s(); l.append(c)
		    except OSError: pass
		time.sleep(0.3)
		for c in l: c.close()
		time.sleep(0.3)
		assert ask(b"{\"verb\": \"status\"}")["ok"]'
}

deep_json() {
	poke 'refused(b"[" * 2000 + b"]" * 2000)
		refused(b"{\"verb\":" * 400 + b"1" + b"}" * 400)'
}

wrong_json() {
	poke 'for b in (b"", b"[]", b"null", b"{}", b"{\"verb\": 1}", b"{\"verb\": \"attack\"}", b"\xff\xfe",
		          b"{\"verb\": \"attach\"}", b"{\"verb\": \"attach\", \"ifname\": \"" + b"x" * 300 + b"\"}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"colour\": \"red\"}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"join_port\": \"5684\"}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"join_port\": 70000}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"join_port\": -1}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"join_port\": 4294973020}",
		          b"{\"verb\": \"detach\", \"ifname\": [\"pj0\"]}",
		          b"{\"verb\": \"registrar-add\", \"name\": \"a/b\", \"registrar\": \"[::1]:1\"}",
		          b"{\"verb\": \"registrar-add\", \"name\": \"a\"}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"max_flows\": 1048577}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"intercept\": 1}",
		          b"{\"verb\": \"attach\", \"ifname\": \"pj1\", \"uplink_addresses\": [1]}",
		          b"{\"verb\": \"flows\", \"limit\": -1}", b"{\"verb\": \"flows\", \"limit\": 3073}",
		          b"{\"verb\": \"flows\", \"limit\": \"1\"}", b"{\"verb\": \"flows\", \"pledge\": 1}",
		          b"{\"verb\": \"flows\", \"pledge\": \"\"}", b"{\"verb\": \"flows\", \"ifname\": \"\"}",
		          b"{\"verb\": \"flows-flush\", \"service\": \"nobody\"}",
		          b"{\"verb\": \"flows-flush\", \"limit\": 1}",
		          b"{\"verb\": \"status\", \"verb\": \"stats\"}"):
		    refused(b)'
}

half_a_request() { # others are served while one does not finish
	poke 'c = s(); c.sendall(b"{\"verb\":")
		t = time.time()
		assert ask(b"{\"verb\": \"status\"}")["ok"] and time.time() - t < 1'
}

kept_waiting() { # jpd has no time for anybody, for longer than a client may be silent
	poke "import signal
		c = s(); f = c.makefile()
		c.sendall(b'{\"verb\": \"status\"}\n')
		f.readline()
		os.kill($jpd_pid, signal.SIGSTOP)
		c.sendall(b'{\"verb\": \"status\"}\n')
		time.sleep(31)
		os.kill($jpd_pid, signal.SIGCONT)
		assert json.loads(f.readline())['ok']"
}

unread_answers() { # of somebody who asks and never listens
	poke 'c = s(); c.settimeout(2)
		try:
		    for i in range(200000): c.sendall(b"{\"verb\": \"status\"}\n")
		    raise SystemExit("it answered without end")
		except OSError: pass'
}

# ---- installation ------------------------------------------------------------------

listing() { (cd "$dir/image" && find . -type f -o -type l | sort); }

install_all() {
	make -s BUILD="$build" install DESTDIR="$dir/image" >"$dir/why" 2>&1 || return 1
	: >"$dir/why"
	listing >"$dir/installed"
	local f
	for f in usr/sbin/jpd usr/sbin/jpctl usr/sbin/jpreg usr/sbin/jpledge; do
		[ -x "$dir/image/$f" ] && "$dir/image/$f" --version >/dev/null || why "$f is not installed" || return 1
	done
	for f in docs/man/*.rst; do
		[ -e "$f" ] || continue
		f=$(basename "$f" .rst)
		has "/man${f##*.}/$f$" "$dir/installed" || why "$f is not installed" || return 1
	done
	for f in jpd jpreg; do has "systemd/system/$f.service\$" "$dir/installed" || why "no unit" || return 1; done
}

unit_is_good() { # NAME VERB...: the unit's, and what its command is called with
	local name=$1 unit
	shift
	unit=$dir/image/$(grep "/$name.service\$" "$dir/installed")
	! grep -q @ <(grep -v '^#' "$unit" | grep -v 'SystemCallFilter') || why "$(grep @ "$unit")" || return 1
	if command -v systemd-analyze >/dev/null; then
		mkdir -p "$dir/units"
		# what it starts is not installed here for real
		sed "s|/usr/sbin/|$dir/image/usr/sbin/|" "$unit" >"$dir/units/$name.service"
		systemd-analyze verify --man=no "$dir/units/$name.service" >"$dir/verify" 2>&1
		local status=$?
		! grep -q "$name.service" "$dir/verify" && [ $status = 0 ] || why "$(cat "$dir/verify")" || return 1
	fi
	local option
	for option in $(sed -n 's/^ExecStart=//p' "$unit" | grep -o -e ' --[a-z-]*'); do
		"$build/$name" "$@" --help | grep -q -e "$option" || why "$name has no $option" || return 1
	done
}

sample_is_good() { # as it is, and with the comments taken away
	sed 's/^# \{0,1\}//' "$dir/image/etc/jpx/jpd.conf" | grep -v '/etc/jpx' | sed 's/wpan0/pj1/' >"$dir/sample.conf"
	local file pid
	for file in "$dir/image/etc/jpx/jpd.conf" "$dir/sample.conf"; do
		background_in proxy "$dir/sample.log" "$jpd" --run-dir "$dir/run-b" --pin-dir "$pin_dir-b" --config "$file"
		pid=$started
		wait_for 5 has 'jpd: ready$' "$dir/sample.log" && ! has 'error:\|warning:' "$dir/sample.log" ||
			why "$file: $(cat "$dir/sample.log")" || return 1
		in_ns proxy "$jpctl" --run-dir "$dir/run-b" --pin-dir "$pin_dir-b" detach pj1 >/dev/null 2>&1
		stop "$pid" || return 1
	done
}

uninstall_all() {
	echo 'log-level = debug' >>"$dir/image/etc/jpx/jpd.conf"
	make -s BUILD="$build" uninstall DESTDIR="$dir/image" >"$dir/why" 2>&1 || return 1
	: >"$dir/why"
	is ./etc/jpx/jpd.conf listing || return 1 # the operator's own
	cp scripts/jpd.conf "$dir/image/etc/jpx/jpd.conf"
	make -s BUILD="$build" uninstall DESTDIR="$dir/image" >/dev/null 2>&1 && is "" listing
}

# ---- IPv4, as it is typed and shown ---------------------------------------------

four() { # KEY: of the two Registrars that have an IPv4 address
	json status "' '.join(str(s['$1']) for s in o['services'] if ':' not in s['address'])"
}

ipv4_typed() {
	ctl attach pj0 --registrar 192.0.2.52:7634 --join-port 5800 || return 1
	ctl attach pj0 --registrar '[::ffff:192.0.2.52]:7634' || return 1 # the same one
	ctl attach pj0 --registrar 169.254.1.2%up0:7634 --join-port 5801 || return 1
	is '192.0.2.52 169.254.1.2' four address && is '7634 7634' four port
}

ipv4_shown() {
	ctl status && has ' 192\.0\.2\.52:7634  ' "$dir/ctl.out" || why "$(cat "$dir/ctl.out")"
}

ipv4_followed() { # to an address to send from, a next hop, and the end of both
	is 'no-route no-route' four state || return 1
	ns_ip gateway addr add 192.0.2.52/24 dev gw0
	ns_ip gateway addr add 169.254.1.2/16 dev gw0
	ns_ip proxy addr add 192.0.2.1/24 dev up0
	ns_ip proxy addr add 169.254.1.1/16 dev up0
	wait_for 5 is 'serving serving' four state && is '192.0.2.1 169.254.1.1' four uplink_address || return 1
	ns_ip proxy addr del 192.0.2.1/24 dev up0
	wait_for 5 is 'no-route serving' four state
}

ipv4_port() { # of an interface that has both addresses, and then only that one
	lab_link pledge pl9 proxy pj9
	ns_ip proxy addr add 169.254.20.1/16 dev pj9
	ctl attach pj9 && wait_for 5 is 169.254.20.1 json status "o['ports'][1]['address4']" &&
		wait_for 5 is ready json status "o['ports'][1]['state']" &&
		ctl status && has '^pj9 .* fe80:[0-9a-f:]*, 169\.254\.20\.1  ready' "$dir/ctl.out" ||
		why "$(cat "$dir/ctl.out")" || return 1
	ns_ip proxy -6 addr flush dev pj9
	wait_for 5 is ':: 169.254.20.1 ready' json status "'%(address)s %(address4)s %(state)s' % o['ports'][1]" &&
		ctl status && has '^pj9 .*[a-z]  169\.254\.20\.1  *ready' "$dir/ctl.out" || why "$(cat "$dir/ctl.out")" || return 1
	ctl check pj9 # other things there are not well, and not looked at here
	has 'pj9 address: has a usable link-local address, of IPv4 only' "$dir/ctl.out" || why "$(cat "$dir/ctl.out")"
}

ipv4_gone() {
	local name
	for name in $(four name); do ctl registrar del "$name" || return 1; done
	ctl detach pj9 && ns_ip proxy link del pj9 && is '' four name
}

# ------------------------------------------------------------------------------

lab_bpffs
lab_up 2
echo_registrar registrar 7634 && jpd_start || exit 1
ctl attach pj0 --registrar "$registrar" || exit 1
wait_for 5 is ready json status "o['ports'][0]['state']"
wait_for 5 is "['serving']" json status "[s['state'] for s in o['services']]"
ctl registrar add other '[2001:db8:2::99]:99' --join-port 5790 || exit 1

check unknown-interface wrong 1 'there is no interface "nope0"; ip -br link' attach nope0 --registrar "$registrar"
check interface-name wrong 2 'no name of an interface' attach this-name-is-too-long
check interface-slash wrong 2 'no name of an interface' attach a/b
check interface-missing wrong 2 'the interface is missing' attach
check one-word-too-many wrong 2 'one argument too many' attach pj1 pj0
check unknown-verb wrong 2 'did you mean attach' attac pj1
check unknown-option wrong 2 'unrecognized option' attach pj1 --colour red
check address-no-bracket wrong 2 'no closing bracket' attach pj1 --registrar '[2001:db8::1:7634'
check address-no-port wrong 2 'has no port; write it as' attach pj1 --registrar 2001:db8::1
check address-name wrong 2 'is no IP address' attach pj1 --registrar registrar.example:7634
check address-ipv4-brackets wrong 2 'brackets around an IPv4 address' attach pj1 --registrar '[192.0.2.1]:7634'
check address-ipv4-no-port wrong 2 'has no port; write it as 192.0.2.1:5684' attach pj1 --registrar 192.0.2.1
check address-ipv4-multicast wrong 2 'not the address of one host' attach pj1 --registrar 224.0.0.1:7634
check address-ipv4-mapped-multicast wrong 2 'not the address of one host' attach pj1 --registrar '[::ffff:224.0.0.1]:7634'
check address-ipv4-unspecified wrong 2 'not the address of one host' attach pj1 --registrar 0.0.0.0:7634
check address-ipv4-broadcast wrong 2 'not the address of one host' attach pj1 --registrar 255.255.255.255:7634
check address-ipv4-link-local wrong 2 'link-local and does not say on which interface' attach pj1 --registrar 169.254.1.1:7634
check address-empty wrong 2 'is no IP address' attach pj1 --registrar ''
check address-behind wrong 2 'behind the bracket' attach pj1 --registrar '[2001:db8::1]x:7634'
check address-port-0 wrong 2 'no port from 1 to 65535' attach pj1 --registrar '[2001:db8::1]:0'
check address-port-65536 wrong 2 'no port from 1 to 65535' attach pj1 --registrar '[2001:db8::1]:65536'
check address-zone wrong 2 'interface that does not exist' registrar add z '[fe80::1%nope0]:7634'
check address-link-local wrong 2 'link-local and does not say on which interface' attach pj1 --registrar '[fe80::1]:7634'
check address-multicast wrong 2 'not the address of one host' attach pj1 --registrar '[ff02::1]:7634'
check address-unspecified wrong 2 'not the address of one host' attach pj1 --registrar '[::]:7634'
check join-port-0 wrong 2 'no UDP port from 1 to 65535' attach pj1 --registrar "$registrar" --join-port 0
check join-port-65536 wrong 2 'no UDP port from 1 to 65535' attach pj1 --registrar "$registrar" --join-port 65536
check join-port-word wrong 2 'no UDP port from 1 to 65535' attach pj1 --registrar "$registrar" --join-port 5684x
check form wrong 2 'none of .*did you mean draft-21' attach pj1 --registrar "$registrar" --jpy draft21
check mode wrong 2 'none of stateless, stateful' attach pj1 --registrar "$registrar" --mode wise
check stateful-jpy wrong 2 'there is no JPY message in stateful mode' attach pj1 --registrar "$registrar" --mode stateful --jpy draft-06
check stateful-join-port wrong 1 'one of those that flows leave from (16384 to 32767)' attach pj1 --registrar "$registrar" --mode stateful --join-port 20000
check intercept-stateless wrong 2 'intercept is for --mode stateful' attach pj1 --registrar "$registrar" --intercept
check intercept-link-local wrong 2 'cannot send to the link-local' attach pj1 --registrar '[fe80::52%up0]:7634' --mode stateful --intercept
check intercept-alone wrong 2 'intercept belongs to a Registrar' attach pj1 --intercept
check uplink-address-stateless wrong 2 'uplink-address is for --mode stateful' registrar add third '[2001:db8:2::98]:99' --uplink-address 2001:db8:1::2
check uplink-address-alone wrong 2 'uplink-address belongs to a Registrar' attach pj1 --uplink-address 2001:db8:1::2
check uplink-address-port wrong 2 'is no IP address; write it as 2001:db8::1 or 192.0.2.1, without a port' attach pj1 --registrar "$registrar" --mode stateful --uplink-address '[2001:db8:1::2]:99'
check uplink-address-family wrong 2 "not of the Registrar's family" attach pj1 --registrar "$registrar" --mode stateful --uplink-address 192.0.2.1
check uplink-address-group wrong 2 'not the address of one host' attach pj1 --registrar "$registrar" --mode stateful --uplink-address ff02::1
# shellcheck disable=SC2046 # words
check uplink-addresses-33 wrong 2 '33 uplink addresses are too many: 32 at most' registrar add third "$registrar" --mode stateful $(printf -- '--uplink-address 2001:db8:3::%d ' $(seq 33))
check max-flows-word wrong 2 'is no number from 0 to 1048576' attach pj1 --max-flows many
check max-flows-1048577 wrong 2 'is no number from 0 to 1048576' attach pj1 --max-flows 1048577
check flows-action wrong 2 'none of list, flush; did you mean flush' flows flsh
check flows-one-word-too-many wrong 2 'one argument too many' flows flush pj0
check flows-port wrong 1 '"pj1" is not attached; jpctl status' flows --port pj1
check flows-port-name wrong 2 'no name of an interface' flows --port a/b
check flows-service wrong 1 'there is no registrar "nobody"' flows --service nobody
check flows-pledge wrong 2 '"2001:db8::1" is no address of a pledge' flows --pledge 2001:db8::1
check flows-pledge-zone wrong 2 'without an interface: that is --port' flows --pledge fe80::1%pj0
check flows-limit wrong 2 'limit: "-1" is no number of flows' flows --limit -1
check flows-flush-port wrong 1 '"pj1" is not attached; jpctl status' flows flush --port pj1
check flows-flush-service wrong 1 'there is no registrar "nobody"' flows flush --service nobody
check flows-flush-pledge wrong 2 '"192.0.2.1" is no address of a pledge' flows flush --pledge 192.0.2.1
check flows-flush-limit wrong 2 'limit is for the list' flows flush --limit 5
check flows-flush-count wrong 2 'count is for the list' flows flush --count
check xdp-word wrong 2 'none of auto, native, generic, off' attach pj1 --xdp fast
check content-word wrong 2 'none of dtls, any' attach pj1 --content all
check join-port-of-another wrong 1 'already registrar other.s' attach pj1 --registrar '[2001:db8:2::77]:77' --join-port 5790
check join-port-twice wrong 1 'already served as .* on join port' attach pj1 --registrar "$registrar" --join-port 5791
check registrar-again wrong 1 'there is another registrar "other"' registrar add other '[2001:db8:2::98]:99'
check registrar-name wrong 2 'no name for a Registrar' registrar add 'a b' '[2001:db8:2::98]:99'
check registrar-no-address wrong 2 'registrar is missing' registrar add third
check registrar-del-unknown wrong 1 'there is no registrar "nobody"' registrar del nobody
check detach-unknown wrong 1 'is not attached; jpctl status' detach pj1
check join-port-taken join_port_taken

check ipv4-typed ipv4_typed
check ipv4-shown ipv4_shown
check ipv4-followed ipv4_followed
check ipv4-port ipv4_port
check ipv4-gone ipv4_gone

check jpctl-without-jpd eval 'in_ns proxy "$jpctl" --run-dir "$dir/none" --pin-dir "$pin_dir" attach pj1 2>"$dir/err"; is 1 echo $? && one_sentence "$dir/err" "jpd is not running"'
check jpctl-status-nothing eval 'in_ns proxy "$jpctl" --run-dir "$dir/none" --pin-dir "$pin_dir-b" status 2>"$dir/err"; is 1 echo $? && one_sentence "$dir/err" "nothing is pinned"'
check jpctl-flows-nothing eval 'in_ns proxy "$jpctl" --run-dir "$dir/none" --pin-dir "$pin_dir-b" flows 2>"$dir/err"; is 1 echo $? && one_sentence "$dir/err" "nothing is pinned"'
check jpctl-flush-without-jpd eval 'in_ns proxy "$jpctl" --run-dir "$dir/none" --pin-dir "$pin_dir" flows flush 2>"$dir/err"; is 1 echo $? && one_sentence "$dir/err" "jpd is not running"'
check jpctl-as-nobody jpctl_as_nobody

check jpd-as-nobody jpd_as_nobody
check jpd-as-nobody-there jpd_as_nobody_there
check jpd-no-bpffs no_bpffs
check jpd-second jpd_fails 1 "another jpd, pid $jpd_pid,\{0,1\} runs with $run_dir" -- --run-dir "$run_dir"
check jpd-second-pin-dir two_on_one_pin_dir
check jpd-stale-socket stale_socket
check jpd-full-disk full_disk
check jpd-run-dir-is-file jpd_fails 1 "$config.*Not a directory" -- --run-dir "$config"
check jpd-run-dir-too-long jpd_fails 1 'too long' -- --run-dir "$dir/$(printf '%0120d' 0)"
check jpd-stray-word jpd_fails 2 'one word too many' -- stray
check jpd-log-level jpd_fails 2 'none of error, warning, info, debug' -- --log-level loud
check jpd-no-config jpd_fails 1 "$dir/nope.conf.*No such file" -- --config "$dir/nope.conf"
check jpd-config-is-directory jpd_fails 1 "$dir" -- --config "$dir"

check conf-unknown-key conf 3 colour "${R}\tcolour = red\n}\n"
check conf-unknown-top conf 1 nonsense 'nonsense = 1\n'
check conf-bad-mode conf 3 'neither stateless nor stateful' "${R}\tmode = wise\n}\n"
check conf-bad-form conf 3 'none of draft-01' "${R}\tjpy = draft-99\n}\n"
check conf-bad-xdp conf 2 'none of auto' 'port pj1 {\n\txdp = fast\n}\n'
check conf-bad-content conf 3 'neither dtls nor any' "${R}\tcontent = all\n}\n"
check conf-bad-level conf 2 'none of error' '\nlog-level = loud\n'
check conf-no-address conf '[123]' 'main has no address' 'registrar main {\n\tjpy = draft-21\n}\n'
check conf-bad-address conf 2 'no closing bracket' 'registrar main {\n\taddress = "[2001:db8::1"\n}\n'
check conf-port-70000 conf 3 'not from 1 to 65535' "${R}\tjoin-port = 70000\n}\n"
check conf-port-0 conf 3 'not from 1 to 65535' "${R}\tjoin-port = 0\n}\n"
check conf-port-word conf 3 'join-port' "${R}\tjoin-port = many\n}\n"
check conf-flows conf 2 'idle 86401 is not from 1 to 86400' 'flows {\n\tidle = 86401\n}\n'
check conf-flows-ports conf 2 'is no range such as 16384-32767' 'flows {\n\tports = 80-90\n}\n'
check conf-max-flows conf 2 'max-flows 0 is not from 1 to 1048576' 'port pj1 {\n\tmax-flows = 0\n}\n'
check conf-uplink-address conf 4 'is no IP address' "${R}\tmode = stateful\n\tuplink-addresses = {x}\n}\n"
check conf-no-brace conf 1 'never closed' "${R}\n"
check conf-syntax conf 1 '.' '= = =\n'
check conf-twice conf '[45]' 'main' "${R}}\n${R}}\n"

check socket-random-bytes lean random_bytes
check socket-ten-megabytes lean ten_megabytes
check socket-200-connections lean many_connections
check socket-deep-json lean deep_json
check socket-wrong-json lean wrong_json
check socket-half-a-request lean half_a_request
check socket-kept-waiting kept_waiting
check socket-unread-answers lean unread_answers

for program in jpd jpctl jpreg jpledge; do
	check "$program-help" eval '"${!program}" --help >"$dir/out" 2>"$dir/err" && [ -s "$dir/out" ] && [ ! -s "$dir/err" ]'
	check "$program-version" eval '"${!program}" --version | grep -q "^$program [0-9]"'
	check "$program-usage" eval '"${!program}" --usage >"$dir/out" && has Usage "$dir/out"'
done
for verb in attach detach registrar 'registrar add' 'registrar del' 'registrar list' status stats flows check; do
	# shellcheck disable=SC2086 # two words
	check "help-${verb// /-}" eval '"$jpctl" $verb --help >"$dir/out" && has Usage "$dir/out"'
done

check install install_all
check unit unit_is_good jpd
check unit-of-jpreg unit_is_good jpreg serve
check sample-config sample_is_good
check uninstall uninstall_all
exit $((failures > 0))
