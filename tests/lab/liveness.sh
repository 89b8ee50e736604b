#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2016,SC2317 # words of another bash; called through check
#
# Which Registrars answer, by each engine: probes that real servers answer and probes
# that nobody does, ports closed and reopened while pledges send, a Registrar that takes
# everything and says nothing, and what a jpd started anew knows.
JPX_LAB=t-liveness
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs openssl coap-client-openssl coap-server-openssl python3

r=2001:db8:2::52

config="
registrar main { address = \"[$r]:7634\" priority = 10 weight = 5 }
registrar old { address = \"[$r]:7634\" jpy = draft-02 uplink = up0 }
registrar four { address = \"10.7.2.52:7634\" jpy = draft-06 }
registrar direct { address = \"[$r]:5690\" mode = stateful }
registrar gone { address = \"[$r]:7999\" }
registrar gone-flows { address = \"10.7.2.52:7998\" mode = stateful }
registrar quiet { address = \"[$r]:7997\" probe = no }
registrar victim { address = \"[$r]:7996\" probe = no }
registrar shut4 { address = \"10.7.2.52:7993\" probe = no }
registrar shut { address = \"[$r]:7990\" probe = no }
registrar shut-flows { address = \"[$r]:7991\" probe = no mode = stateful }
registrar shut-off { address = \"[$r]:7992\" probe = no xdp = off }
registrar sink { address = \"[$r]:7640\" probe = no }
registrar sink-off { address = \"[$r]:7641\" xdp = off }
port pj0 { registrars = {main, old, four, direct, gone, gone-flows, quiet, victim, shut, shut4, shut-flows, sink} }
port pj1 { registrars = {shut-off, sink-off} xdp = off }
"

service() { # NAME JQ-FILTER
	jp --json registrar list | jq -r ".services[] | select(.name == \"$1\") | $2"
}

state_is() { # NAME STATE
	[ "$(service "$1" .state)" = "$2" ]
}

why_is() { # NAME PATTERN
	service "$1" .why | grep -q -e "$2"
}

# A datagram a second that looks like DTLS, from one UDP port.
sender() { # N NAME: its id is in $spawned
	# What ICMP tells the socket is no reason to stop.
	spawn pledge "sender-$2" bash -c 'exec 3<>"/dev/udp/$0/$1" 2>/dev/null
	while sleep 1; do
		printf "\026\376\375\0\0\0\0\0\0\0\0\0\0" >&3
	done' "$(pj_address "pj$1")%pl$1" "$(service "$2" .join_port)"
}

# Sends its cookie to whoever says hello, and keeps nothing of it.
s_server() {
	mkfifo "$work/s_server.in" && exec 8<>"$work/s_server.in"
	spawn registrar s_server bash -c 'exec openssl s_server -dtls1_2 -listen -accept "$0" \
		-cert "$1/cert.pem" -key "$1/key.pem" <"$1/s_server.in"' "[$r]:5690" "$work"
	wait_for udp_bound registrar 5690
}

# ICMP as routers make it, every second, whatever the proxy sent: about service victim all is
# right, about service quiet always one thing is not.
forger() {
	spawn gateway forger python3 "$work/forger.py" "$r" "$(service victim .uplink_port)" \
		"$(service quiet .uplink_port)"
}

cat >"$work/forger.py" <<'END'
import socket, struct, sys, time

registrar, victim, quiet = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
proxy = "2001:db8:1::2"
out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def about(sport, dport, kind=1, code=4, src=proxy, dst=registrar):
    content = bytes(64)
    udp = struct.pack("!4H", sport, dport, 8 + len(content), 0x1234) + content
    ip = struct.pack("!IHBB", 6 << 28, len(udp), 17, 63)
    ip += socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
    out.sendto(struct.pack("!BBHI", kind, code, 0, 1400) + ip + udp, (proxy, 0))


while True:
    about(victim, 7996)
    about(quiet + 1, 7997)
    about(quiet, 7998)
    about(quiet, 7997, src="2001:db8:1::3")
    about(quiet, 7997, dst="2001:db8:2::53")
    about(quiet, 7997, kind=2, code=0)  # packet too big
    about(quiet, 7997, kind=3, code=0)  # time exceeded
    about(quiet, 7997, kind=4, code=0)  # parameter problem
    time.sleep(1)
END

silent_within() { # NAME LOW HIGH: seconds from $began
	local took
	until state_is "$1" silent; do
		[ $((SECONDS - began)) -le "$3" ] || break
		sleep 0.2
	done
	took=$((SECONDS - began))
	echo "# $1: after $took s: $(service "$1" .why)"
	state_is "$1" silent && [ "$took" -ge "$2" ] && [ "$took" -le "$3" ]
}

# While nothing is announced handshakes are relayed; the first answer lets it in again.
reopened() { # N NAME PORT
	jpreg_start "$3" 5684 && state_is "$2" silent &&
		coap_get "$1" "$(service "$2" .join_port)" && wait_for state_is "$2" serving &&
		why_is "$2" '^answered '
}

# jpctl without jpd, and the next jpd.
remembered() {
	kill -KILL "$jpd_pid" && wait_for ended "$jpd_pid" || return 1
	[ "$(jp --json status | jq -r '.services[] | select(.name == "sink") | .state')" = silent ] &&
		jp registrar list >"$work/list" && has 'sink .*the Registrar does not answer' "$work/list" &&
		jpd_start "$config" || return 1
	state_is sink silent && why_is sink 'since before jpd started; tried again in 1[78]' &&
		state_is main serving
}

same_again() { # what was said twice counts as said last
	jp registrar add main "[$r]:7634" --priority 20 --probe no >>"$work/attach.log" 2>&1 &&
		[ "$(service main '[.priority, .weight, .probe] | @csv')" = 20,5,false ]
}

lab_up 2
ns_ip proxy addr add 10.7.1.2/24 dev up0
ns_ip gateway addr add 10.7.1.1/24 dev gw0
ns_ip gateway addr add 10.7.2.1/24 dev gw1
ns_ip registrar addr add 10.7.2.52/24 dev rg0
ns_ip proxy route add 10.7.2.0/24 via 10.7.1.1
ns_ip registrar route add 10.7.1.0/24 via 10.7.2.1
in_ns gateway sysctl -qw net.ipv4.ip_forward=1
# They answer for every datagram.
in_ns registrar sysctl -qw net.ipv6.icmp.ratemask= net.ipv4.icmp_ratemask=0
make_certificate

check server-up coap_server
jpreg_start 7634 5684
# Nobody is behind these.
jpreg_start 7640 1
jpreg_start 7641 1
check s_server-up s_server
check starts jpd_start "$config"
began=$SECONDS
wait_for all_serving
check nothing-known-yet why_is main '^nothing sent to it yet$'
check priority-and-weight [ "$(service main '[.priority, .weight, .probe] | @csv')" = 10,5,true ]
check others-priority [ "$(service quiet '[.priority, .weight, .probe] | @csv')" = 100,1,false ]

senders=()
for one in "0 shut" "0 shut4" "0 shut-flows" "1 shut-off" "0 sink" "1 sink-off"; do
	# shellcheck disable=SC2086 # two words
	sender $one
	senders+=("$spawned")
done
forger
began=$SECONDS
check icmp-is-believed-after-10-s silent_within shut 9 15
check icmp-about-a-flow-too silent_within shut-flows 9 17
check icmp-by-the-socket-engine-too silent_within shut-off 9 17
check icmp-of-ipv4-too silent_within shut4 9 17
check icmp-needs-no-pledge silent_within victim 9 17
check icmp-says-so why_is shut '^unreachable by ICMP for '
for pid in "${senders[@]:0:4}"; do stop "$pid"; done
check answers-let-it-in-again reopened 0 shut 7990
check by-the-socket-engine-too reopened 1 shut-off 7992

check silent-after-30-s silent_within sink 30 42
check silent-by-the-socket-engine-too silent_within sink-off 30 44
check silence-says-so why_is sink '^no packet back for .* while forwarding; tried again in '
for pid in "${senders[@]:4}"; do stop "$pid"; done

# Probed after 30 s without any pledge; refused ones are out 10 s later.
for one in main old four direct; do
	check "probe-answered-$one" wait_for why_is "$one" '^answered '
	check "serving-$one" state_is "$one" serving
done
check probe-in-its-own-form has 'form  *draft-02' "$work/jpreg-7634.log"
check refused silent_within gone 35 60
check refused-flows silent_within gone-flows 35 60
check forged-in-vain state_is quiet serving
check not-probed why_is quiet '^nothing sent to it yet$'
check pledges-were-told-nothing [ "$(stats '[.services[] | select(.name == "main") | .to_registrar, .to_pledge] | add')" = 0 ]

check remembered remembered
check same-again same_again
finish
