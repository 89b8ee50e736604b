#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A join, for real, in network namespaces on this machine: Debian's own CoAP
# client is the pledge and knows nothing but a link-local address; Debian's own
# CoAP server is the Registrar's DTLS server behind jpreg.  First through XDP,
# then once more on sockets alone.  Leaves nothing behind.
#
#   scripts/demo.sh [FORM]      JPY form of the first parts, default draft-21
set -u
cd "$(dirname "$0")/.." || exit 1
build=${JPX_BUILD:-build}
form=${1:-draft-21}
export JPX_LAB=${JPX_LAB:-jpx-demo}
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

[ "$(id -u)" = 0 ] || { echo "demo: network namespaces and XDP need root: sudo make demo" >&2; exit 1; }

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; else bold='' dim='' off=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$off"; }
fail() {
	printf 'demo: %s\n' "$1" >&2
	for log in "$tmp"/*.log; do
		[ -s "$log" ] && { echo "--- $(basename "$log")" >&2; tail -n 5 "$log" >&2; }
	done
	exit 1
}

tmp=$(mktemp -d)
pins=/sys/fs/bpf/$JPX_LAB
pids=()
clean_up() {
	[ -S "$tmp/run/jpd.sock" ] && ctl detach pj0 >/dev/null 2>&1
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
	lab_down
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

start() { # NAME WHO COMMAND...
	local name=$1 who=$2
	shift 2
	# Appending: the log is emptied between the halves while it is being written.
	# Not by in_ns: a function in the background is a shell, and ending that ends nothing.
	nsenter --net="/run/netns/$JPX_LAB-$who" "$@" >>"$tmp/$name.log" 2>&1 &
	pids+=($!)
}
ctl() { in_ns proxy "$build/jpctl" --run-dir "$tmp/run" --pin-dir "$pins" "$@"; }
wait_for() { # WHAT COMMAND...
	local what=$1
	shift
	for _ in $(seq 50); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
	fail "$what did not come up within 5 s"
}
serving() { [ "$(ctl --json status | value_of ports.0.state)" = ready ] && [ "$(ctl --json status | value_of services.0.state)" = serving ]; }
# The Registrar's ports are for somebody else now.
end_relay() {
	kill "$relay_pid" "$server_pid" && wait "$relay_pid" "$server_pid" 2>/dev/null
	pids=("$jpd_pid")
}
listening() { in_ns "$1" ss -Hlun "sport = :$2" | grep -q .; }
# KEY.KEY...: one value out of the JSON on standard input
value_of() { python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."): value = value[int(key) if key.isdigit() else key]
print(value)' "$1"; }

# One line a JPY message, out of jpreg's trace.
timeline() {
	awk '
	/^JPY message, / {
		bytes = $3
		way = /proxy to Registrar/ ? "pledge ---> proxy ===> Registrar" : "pledge <--- proxy <=== Registrar"
	}
	/^  content / { content = $2 }
	/DTLS record/ {
		record = $0; sub(/.*DTLS record +/, "", record); sub(/, DTLS.*/, "", record)
		handshake = ""
	}
	/^ +handshake +[a-z_]+ \(/ { handshake = $2 }
	/^$/ { flush_line() }
	function flush_line() {
		if (bytes) printf "  %s   %4d bytes of DTLS in a JPY message of %4d: %s%s\n", way, content, bytes, record, handshake ? " " handshake : ""
		bytes = 0; handshake = ""
	}
	END { flush_line() }' "$1"
}

half() { # TITLE XDP
	local title=$1 xdp=$2 address answer fast sock
	step "$title"
	: >"$tmp/jpreg.log"
	show "jpctl attach pj0 --registrar [2001:db8:2::52]:7634 --jpy $form --xdp $xdp"
	ctl attach pj0 --registrar '[2001:db8:2::52]:7634' --jpy "$form" --xdp "$xdp" || fail "attach failed"
	wait_for "the pledge port" serving
	show "jpctl status"
	ctl status
	address=$(lab_link_local proxy pj0)
	echo
	show "coap-client-openssl -u pledge -k secretPSK coaps://[$address%pl0]/time      (as the pledge)"
	answer=$(in_ns pledge timeout 15 coap-client-openssl -u pledge -k secretPSK "coaps://[$address%pl0]/time" 2>"$tmp/client.log")
	case $answer in ''|*WARN*|*ERR*) fail "the pledge got no answer: $answer" ;; esac
	echo "  the Registrar's server answers: $answer"
	sleep 0.3
	echo
	echo "each datagram, as jpreg saw it (---> link-local, DTLS;  ===> routed, JPY):"
	timeline "$tmp/jpreg.log"
	echo
	echo "the first one, field by field:"
	awk '/^JPY message/ { n++ } n == 1' "$tmp/jpreg.log" | sed 's/^/  /'
	show "jpctl stats"
	ctl stats
	sock=$(ctl --json stats | value_of socket.packets)
	fast=$(ctl --json stats | value_of fast_path.packets)
	printf '%s  XDP relayed %d datagrams; jpd handled %d datagrams itself.%s\n' "$bold" $((fast - fast0)) $((sock - sock0)) "$off"
	if [ "$xdp" = off ]; then
		[ $((fast - fast0)) = 0 ] && [ $((sock - sock0)) -gt 0 ] || fail "the socket engine did not do it"
	elif [ "$form" != draft-01 ]; then
		[ $((sock - sock0)) = 0 ] && [ $((fast - fast0)) -gt 0 ] || fail "not everything went through XDP"
	fi
	fast0=$fast sock0=$sock
	ctl detach pj0 >/dev/null || fail "detach failed"
}

# Whole: the CA's, for the device that asked, and for the key that lies beside it.
holds_certificate() { # DIRECTORY DEVICE
	local cert=$1/ldevid.pem
	openssl verify -CAfile "$tmp/registrar/ca.pem" "$cert" >"$tmp/verify.log" 2>&1 &&
		openssl x509 -in "$cert" -noout -subject -nameopt rfc2253 | grep -qx "subject=serialNumber=$2,O=jpledge" &&
		[ "$(openssl x509 -in "$cert" -noout -pubkey)" = "$(openssl pkey -in "$cert" -pubout)" ]
}

# One device by each way; the first is shown whole, of the others a line.
n=0
enrol() { # NAME PORT OPTION...
	local name=$1 registrar="[2001:db8:2::52]:$2" fast sock
	shift 2
	n=$((n + 1))
	ctl attach pj0 --registrar "$registrar" "$@" >"$tmp/attach.log" 2>&1 || fail "attach failed"
	wait_for "the pledge port" serving
	if [ $n = 1 ]; then
		show "jpledge enroll pl0 --identity makers/device-1.pem --out device-1      (as the pledge)"
		in_ns pledge "$build/jpledge" enroll pl0 --identity "$tmp/makers/device-1.pem" --out "$tmp/device-1" || fail "no certificate"
		show "openssl verify -CAfile registrar/ca.pem device-1/ldevid.pem"
		(cd "$tmp" && openssl verify -CAfile registrar/ca.pem device-1/ldevid.pem) || fail "no good certificate"
		echo
	else
		in_ns pledge "$build/jpledge" enroll pl0 --identity "$tmp/makers/device-$n.pem" --out "$tmp/device-$n" >"$tmp/pledge.log" 2>&1 ||
			fail "no certificate"
	fi
	holds_certificate "$tmp/device-$n" "$n" || fail "the certificate of device $n is not good"
	sock=$(ctl --json stats | value_of socket.packets) fast=$(ctl --json stats | value_of fast_path.packets)
	printf '  device %d, %-9s  XDP relayed %2d datagrams, jpd %2d; its certificate verifies\n' $n "$name:" $((fast - fast0)) $((sock - sock0))
	# draft-01 has no header that XDP could fill in.
	[ "$name" = draft-01 ] || [ $((fast - fast0)) -gt $((sock - sock0)) ] || fail "not through XDP"
	fast0=$fast sock0=$sock
	ctl detach pj0 >"$tmp/attach.log" 2>&1 || fail "detach failed"
}

step "Raising the lab"
cat <<END
  pledge ---- link-local only ---- proxy ---- gateway ---- registrar
  pl0                         pj0  jpd  up0               jpreg, DTLS server
END
lab_bpffs
lab_up || fail "cannot make the network namespaces"
start server registrar coap-server-openssl -A ::1 -p 5683 -k secretPSK
server_pid=${pids[-1]}
wait_for "the DTLS server" listening registrar 5684
start jpreg registrar stdbuf -oL "$build/jpreg" --server '[::1]:5684' --trace
relay_pid=${pids[-1]}
wait_for jpreg listening registrar 7634
start jpd proxy "$build/jpd" --run-dir "$tmp/run" --pin-dir "$pins" --config /dev/null
jpd_pid=${pids[-1]}
wait_for jpd ctl --json status
fast0=0 sock0=0

half "First half: through XDP" auto
half "Second half: the same without XDP, on the socket engine" off

step "Third part: certificates"
end_relay
show "jpledge mint makers --count 5"
"$build/jpledge" mint "$tmp/makers" --count 5 || fail "no devices"
show "jpreg serve --anchors makers/maker.pem --state-dir registrar"
start registrar registrar "$build/jpreg" serve --anchors "$tmp/makers/maker.pem" --state-dir "$tmp/registrar"
wait_for "the Registrar" listening registrar 7634
enrol "$form" 7634 --jpy "$form"
for other in draft-01 draft-02 draft-06 draft-21; do [ "$other" = "$form" ] || enrol "$other" 7634 --jpy "$other"; done
enrol stateful 5684 --mode stateful
show "jpreg issued --state-dir registrar"
"$build/jpreg" issued --state-dir "$tmp/registrar" | tee "$tmp/issued"
[ "$(grep -c 'serialNumber=.*,O=jpledge' "$tmp/issued")" = 5 ] || fail "five were issued"

step "Cleaning up"
clean_up
trap - EXIT
[ -z "$(ip netns list | grep "^$JPX_LAB-")" ] && [ ! -e "$pins" ] || { echo "demo: something was left behind" >&2; exit 1; }
echo "  nothing left behind: no namespace, no program, no pin"
