#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317,SC3045,SC2086 # called through check; dash has ulimit -n
#
# jpreg in front of servers that know nothing of JPY, on ::1 only: a DTLS session in
# each JPY form, many pledges at one CoAP server, noise, a server that is away, the
# bounds of the table, and the ends of the program.  Prints "ok NAME" or "not ok NAME".
# Exit: 0 all passed, 1 something failed, 77 not possible here.
set -u

build=${JPX_BUILD:-build}
jpreg=$build/jpreg
client=$build/tests/jpyclient
psk=00112233445566778899aabbccddeeff
dir=$(mktemp -d) || exit 1
pids=
failed=0

# Only what this script started, each by its id.
cleanup() {
	for pid in $pids; do
		kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
trap "" PIPE # a session that has died is a failed test, not our end

for program in "$jpreg" "$client"; do
	if [ ! -x "$program" ]; then
		echo "not ok jpreg: $program is not there; build the tests first" >&2
		exit 1
	fi
done
if ! command -v openssl >/dev/null; then
	echo "skip: the jpreg test needs the openssl command"
	exit 77
fi

# check NAME COMMAND...: a test is what its command says.
check() {
	name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
		failed=1
		for log in "$dir"/*.log; do
			echo "# $(basename "$log")"
			tail -n 5 "$log" | sed 's/^/#   /'
		done
	fi
}

# wait_for COMMAND...: gives it 5 seconds to become true.
wait_for() {
	tries=100
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

has() { # has TEXT FILE
	grep -q -e "$1" "$2" 2>/dev/null
}

bound() { # UDP port: something listens there
	ss -Hlun "sport = :$1" | grep -q .
}

free_port() {
	"$client" free-port
}

# The functions below leave the id of what they started in a variable of its name.

start_jpreg() { # SERVER_PORT [OPTION...]
	server=$1
	shift
	jpy_port=$(free_port)
	: >"$dir/jpreg.out"
	"$jpreg" --server "[::1]:$server" --listen "[::1]:$jpy_port" "$@" \
		>>"$dir/jpreg.out" 2>"$dir/jpreg.log" &
	jpreg_pid=$!
	pids="$pids $jpreg_pid"
	wait_for has "taking JPY messages" "$dir/jpreg.log"
}

ended() { # PID
	! kill -0 "$1" 2>/dev/null || has "^State:.Z" "/proc/$1/status"
}

stop() { # PID: ends it, by force if it does not listen, and hands on its exit status
	kill "$1" 2>/dev/null
	wait_for ended "$1" || kill -KILL "$1"
	wait "$1" 2>/dev/null
	set -- "$1" $?
	pids=$(echo "$pids" | tr " " "\n" | grep -vx "$1" | tr "\n" " ")
	return "$2"
}

start_s_server() { # PORT
	rm -f "$dir/server.in"
	mkfifo "$dir/server.in"
	openssl s_server -dtls1_2 -listen -accept "[::1]:$1" -nocert -psk $psk \
		-cipher PSK-AES128-GCM-SHA256 <"$dir/server.in" >"$dir/server.log" 2>&1 &
	server_pid=$!
	pids="$pids $server_pid"
	exec 8>"$dir/server.in"
	wait_for has ACCEPT "$dir/server.log"
}

start_pipe() { # FORM [PLEDGE [REGISTRAR LOCAL]]
	pledge_port=$(free_port)
	"$client" pipe "$1" "[::1]:$pledge_port" "${3:-[::1]:$jpy_port}" \
		"${2:-[fe80::ff:fe00:1]:48551}" 3 ${4:+"$4"} 2>"$dir/pipe.log" &
	pipe_pid=$!
	pids="$pids $pipe_pid"
	wait_for bound "$pledge_port"
}

start_s_client() {
	rm -f "$dir/client.in"
	mkfifo "$dir/client.in"
	openssl s_client -dtls1_2 -connect "[::1]:$pledge_port" -psk $psk -quiet \
		-cipher PSK-AES128-GCM-SHA256 <"$dir/client.in" >"$dir/client.log" 2>&1 &
	client_pid=$!
	pids="$pids $client_pid"
	exec 9>"$dir/client.in"
}

# One line through the session each way; $1 makes it unlike any other.
exchange() {
	echo "ping-$1" 2>/dev/null >&9 || return 1
	wait_for has "ping-$1" "$dir/server.log" || return 1
	echo "pong-$1" 2>/dev/null >&8 || return 1
	wait_for has "pong-$1" "$dir/client.log" || return 1
	kill -0 "$pipe_pid" # it would have ended at a header not echoed byte for byte
}

# The counter $1, as SIGUSR1 tells it.
counter() {
	: >"$dir/jpreg.out"
	kill -USR1 "$jpreg_pid"
	wait_for has '^.*{"pledges"' "$dir/jpreg.out" || return 1
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$dir/jpreg.out" | tail -n 1
}

end_session() {
	exec 8>&- 9>&-
	stop "$client_pid"
	stop "$server_pid"
	stop "$pipe_pid"
}

# ---- answers leave from the address that was asked; in a namespace of its own ----

asked_address() {
	ip link set lo up && ip addr add fd00::2/128 dev lo nodad || return 1
	server_port=$(free_port)
	start_jpreg "$server_port" --listen "[::]:7634" && start_s_server "$server_port" &&
		start_pipe draft-21 "[fe80::ff:fe00:1]:48551" "[fd00::2]:7634" "[::1]:9999" &&
		start_s_client && exchange asked-address
}

if [ "${1:-}" = --in-namespace ]; then
	check answer-from-asked-address asked_address
	exit $failed
fi
if unshare -n true 2>/dev/null; then
	JPX_BUILD=$build unshare -n "$0" --in-namespace || failed=1
else
	echo "skip: answer-from-asked-address needs root to make a network namespace"
fi

# ---- a session in each form, with noise in the middle of one ----

session() { # FORM
	server_port=$(free_port)
	start_jpreg "$server_port" --trace --max-pledges 64 && start_s_server "$server_port" &&
		start_pipe "$1" && start_s_client && exchange "$1"
}

traced() { # FORM: the trace shows this form, its fields and the handshake, both ways
	has "^  form  *$1: " "$dir/jpreg.out" &&
		has "client_hello" "$dir/jpreg.out" &&
		has "server_hello_done" "$dir/jpreg.out" &&
		case $1 in
		draft-21) has "interface id  *0000:00ff:fe00:0001" "$dir/jpreg.out" &&
			has "MAC  *02:00:5e:00:53:01" "$dir/jpreg.out" ;;
		*) has "address  *fe80::ff:fe00:1" "$dir/jpreg.out" &&
			has "port  *48551" "$dir/jpreg.out" ;;
		esac
}

counted_flood() {
	refused=$(counter jpy_malformed)
	evicted=$(counter pledges_evicted)
	[ "$refused" -gt 1000 ] && [ "$evicted" -gt 100 ] && [ "$(counter pledges)" -le 64 ]
}

for form in draft-02 draft-06 draft-21 draft-01; do
	check "session-$form" session $form
	check "trace-$form" traced $form
	if [ $form = draft-21 ]; then
		check flood "$client" junk 10000 "[::1]:$jpy_port"
		check flood-counted counted_flood
		check session-survives-flood exchange after-flood
	fi
	end_session
	check "exit-0-after-$form" stop "$jpreg_pid"
done

# ---- a server that is away ----

ticks() { # CPU time of jpreg in clock ticks
	sed 's/.*) //' "/proc/$jpreg_pid/stat" | awk '{ print $12 + $13 }'
}

survives_absence() {
	server_port=$(free_port)
	start_jpreg "$server_port" && start_pipe draft-02 && start_s_client || return 1
	# The client tries again after 1 and 2 seconds.
	for _ in $(seq $((3 * ${JPX_PATIENCE:-1}))); do
		sleep 1
		[ "$(counter server_refused)" -ge 1 ] && break
	done
	[ "$(counter server_refused)" -ge 1 ] || return 1
	before=$(ticks)
	sleep 1
	after=$(ticks)
	# A hundred if it spins.
	[ $((after - before)) -lt $((${JPX_PATIENCE:-1} > 1 ? 60 : 20)) ]
}

recovers() {
	start_s_server "$server_port" && exchange recovered
}

check server-away survives_absence
check server-back recovers
end_session
stop "$jpreg_pid"

# ---- bounds of the table ----

ages() {
	start_jpreg "$(free_port)" --idle 1 || return 1
	"$client" junk 50 "[::1]:$jpy_port"
	[ "$(counter pledges_new)" -ge 5 ] || return 1
	idle() {
		[ "$(counter pledges)" = 0 ]
	}
	wait_for idle && [ "$(counter pledges_idle)" -ge 5 ]
}

few_descriptors() {
	(
		ulimit -n 64 || exit 1
		exec "$jpreg" --server '[::1]:9' --listen "[::1]:$(free_port)"
	) 2>"$dir/few.log" &
	few_pid=$!
	pids="$pids $few_pid"
	wait_for has "holding at most 32 pledges" "$dir/few.log" && stop $few_pid
}

check idle-pledges-forgotten ages
stop "$jpreg_pid"
check few-descriptors few_descriptors

# ---- many pledges at one server that knows nothing of JPY ----

coap_get() { # N
	pledge_port=$(free_port)
	start_pipe draft-06 "[fe80::ff:fe00:$1]:48551"
	sleep 0.1
	coap-client-openssl -B 10 -u pledge -k sesame "coaps://[::1]:$pledge_port/time" \
		>"$dir/coap$1.log" 2>&1
	stop $pipe_pid
	has '[0-9]:[0-9][0-9]:' "$dir/coap$1.log"
}

coap_many() {
	server_port=$(free_port)
	plain_port=$((server_port - 1)) # the DTLS port is the one behind it
	coap-server-openssl -A ::1 -p $plain_port -k sesame >"$dir/coapd.log" 2>&1 &
	coapd_pid=$!
	pids="$pids $coapd_pid"
	start_jpreg "$server_port" || return 1
	sleep 0.3
	for n in 1 2 3; do
		coap_get $n || return 1
	done
	[ "$(counter pledges)" = 3 ]
}

if command -v coap-server-openssl >/dev/null && command -v coap-client-openssl >/dev/null; then
	check coap-server-many-pledges coap_many
	stop "$jpreg_pid"
	stop "$coapd_pid"
else
	echo "skip: no coap-server-openssl or coap-client-openssl"
fi

# ---- the command line ----

exits() { # STATUS TEXT ARGUMENT...
	status=$1
	text=$2
	shift 2
	timeout 5 "$jpreg" "$@" >"$dir/usage.log" 2>&1
	[ $? = "$status" ] && has "$text" "$dir/usage.log"
}

busy() {
	start_jpreg 9 || return 1
	exits 1 "Address already in use" --server '[::1]:9' --listen "[::1]:$jpy_port"
}

check usage-help exits 0 "serve  *a Registrar" --help
check usage-help-of-a-verb exits 0 "max-pledges" relay --help
check usage-version exits 0 "jpreg [0-9]" --version
check usage-no-verb exits 2 "no verb"
check usage-no-server exits 2 "server is missing" relay
check usage-no-anchors exits 2 "anchors is missing" serve
check usage-serve-stray-word exits 2 "is no option" serve --anchors x stray
check usage-bad-server exits 2 "no closing bracket" --server '[::1:5684'
check usage-bad-idle exits 2 "no number from 1" --server '[::1]:9' --idle 0
check usage-bad-level exits 2 "none of error" --server '[::1]:9' --log-level loud
check usage-stray-word exits 2 "is no option" --server '[::1]:9' stray
check port-busy busy
stop "$jpreg_pid"

exit $failed
