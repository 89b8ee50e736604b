#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# What others make of us: openssl's own client shakes hands with `jpreg serve', `jpledge' with libcoap's server, and tshark
# reads what goes over the wire, on both sides of the proxy.
JPX_LAB=t-interop
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
needs openssl tshark dumpcap /usr/bin/python3 coap-server-openssl coap-client-openssl "$build/jpledge"
registrar=2001:db8:2::52
conf="$quiet
flows { per-pledge = 8 idle = 60 }
port pj0 {}
registrar r { address = \"[$registrar]:7634\" jpy = draft-02 }"

proxy_up() {
	jpd_start "$conf" && wait_for all_serving && port=$(status '.services[0].join_port')
}

# ---- openssl s_client -----------------------------------------------------------------

ccm8=(-dtls1_2 -cipher 'ECDHE-ECDSA-AES128-CCM8@SECLEVEL=0' -groups P-256)

# s_client [OPTION...]: as a pledge; what standard input has is sent.  A second for the answer.
s_client() {
	{ cat; sleep "${talk_s:-0}"; } | in_ns pledge timeout 30 openssl s_client -connect "[$(pj_address pj0)%pl0]:$port" -mtu 1024 \
		-CAfile "$work/state/ca.pem" -verify_return_error "$@" >"$work/s_client" 2>&1
}

identity() { # N: options
	printf -- '-cert\n%s\n-key\n%s\n' "$work/makers/device-$1.pem" "$work/makers/device-$1.pem"
}
mapfile -t one < <(work=$work identity 1)

shakes() { # OPTION...
	s_client "${one[@]}" "$@" </dev/null && has 'Verify return code: 0' "$work/s_client" && has "Cipher *: ECDHE-ECDSA-AES128-CCM8" "$work/s_client" &&
		has 'Server Temp Key: ECDH, prime256v1\|Server Temp Key: ECDH, P-256' "$work/s_client"
}

refused() { # ALERT OPTION...
	local alert=$1
	shift
	! s_client "$@" </dev/null && has "alert $alert" "$work/s_client" && return 0
	tail -n 5 "$work/s_client" | sed 's/^/# /'
	return 1
}

# Without a certificate OpenSSL's server says so when the client thinks that all is done.
no_certificate() {
	talk_s=1 s_client "${ccm8[@]}" </dev/null
	has 'alert handshake failure\|alert certificate required' "$work/s_client" || { tail -n 5 "$work/s_client" | sed 's/^/# /'; return 1; }
}

# GET est/crts, byte for byte; and junk behind it does no harm.
says_coap() {
	printf '\x41\x01\x12\x34\x5a\xb3est\x04crts' >"$work/get"
	talk_s=1 s_client "${one[@]}" "${ccm8[@]}" -keylogfile "$work/keys" -quiet -no_ign_eof <"$work/get" || return 1
	# 2.05, of format 281, in the answer to that message.
	LC_ALL=C grep -aq $'\x61\x45\x12\x34\x5a\xc2\x01\x19' "$work/s_client"
}

# ---- what goes over the wire ---------------------------------------------------------------

capture() { # WHO IF FILE: its id is in $spawned
	spawn "$1" "dumpcap-$2" dumpcap -q -i "$2" -f 'udp or icmp6' -w "$work/$3"
	wait_for has 'File:' "$work/dumpcap-$2.log" && chmod a+r "$work/$3"
}

captured() {
	local near far ret
	capture pledge pl0 pledge.pcap && near=$spawned && capture registrar rg0 registrar.pcap && far=$spawned || return 1
	"$@"
	ret=$?
	sleep 0.3 # dumpcap writes what it has
	stop "$near" && stop "$far" && return $ret
}

enrolls() {
	jpledge enroll --proxy "[$(pj_address pj0)%pl0]:$port" --identity "$work/makers/device-2.pem" --out "$work/two"
}

# fields FILTER FIELD...: of what the pledge's side saw
fields() {
	local filter=$1 f
	local args=()
	shift
	for f in "$@"; do args+=(-e "$f"); done
	tshark -r "$work/pledge.pcap" -d "udp.port==$port,dtls" -Y "$filter" -T fields "${args[@]}" 2>>"$work/tshark.log"
}

# RFC 6347 4.2.4, figure 1; retransmissions there are none.
handshake_order() {
	local got
	got=$(fields 'dtls.handshake' dtls.handshake.type | tr ',' '\n' | uniq | paste -sd' ')
	# A message in several fragments is several times there; the Finished are encrypted.
	case "$got " in
	'1 3 1 2 11 12 13 14 11 16 15 '*) return 0 ;;
	esac
	echo "# $got"
	return 1
}

suite() {
	[ "$(fields 'dtls.handshake.type == 2' dtls.handshake.ciphersuite)" = 0xc0ae ] &&
		[ "$(fields 'dtls.handshake.type == 12' dtls.handshake.server_named_curve | sort -u | grep .)" = 0x0017 ] &&
		fields 'dtls.handshake.type == 1' dtls.handshake.extensions_supported_group | grep -q 0x0017
}

nothing_malformed() {
	local bad
	bad=$(fields '_ws.malformed or _ws.expert.severity == error' frame.number)
	[ -z "$bad" ] || { echo "# frames $bad"; return 1; }
}

# cBRSKI 6.1.4: 1024 octets; JPY, UDP and IPv6 around it still fit into 1280.
fits() {
	local most jpy
	most=$(fields 'dtls' udp.length | sort -n | tail -n 1)
	jpy=$(tshark -r "$work/registrar.pcap" -Y 'udp.port == 7634' -T fields -e ipv6.plen 2>>"$work/tshark.log" | sort -n | tail -n 1)
	echo "# the largest UDP datagram of the pledge has $most octets, of the JPY side the largest IPv6 packet $((jpy + 40))"
	[ "$most" -gt 900 ] && [ "$most" -le $((1024 + 8)) ] && [ "$((jpy + 40))" -le 1280 ]
}

# Another's CBOR reader takes every JPY message to its last octet, and has in its hand what is DTLS on the pledge's side.
jpy_is_cbor() {
	tshark -r "$work/registrar.pcap" -Y 'udp.port == 7634' -T fields -e udp.payload >"$work/jpy" 2>>"$work/tshark.log" &&
		tshark -r "$work/pledge.pcap" -Y "udp.port == $port" -T fields -e udp.payload >"$work/dtls" 2>>"$work/tshark.log" &&
		/usr/bin/python3 - "$work/jpy" "$work/dtls" <<'END'
import cbor2, io, sys
lines = lambda name: [bytes.fromhex(line.strip().replace(":", "")) for line in open(name)]
pledge = set(lines(sys.argv[2]))
messages = lines(sys.argv[1])
for message in messages:
    stream = io.BytesIO(message)
    items = cbor2.load(stream)
    assert isinstance(items, list) and not stream.read(1), message
    assert items[-1] in pledge, items
assert len(messages) > 8, messages
print(f"# {len(messages)} JPY messages, each with a datagram of the pledge's side inside")
END
}

decrypted() {
	tshark -r "$work/pledge.pcap" -d "udp.port==$port,dtls" -o "tls.keylog_file:$work/keys" -d "dtls.port==$port,coap" -Y coap \
		-T fields -e coap.code -e coap.opt.uri_path_recon -e coap.opt.ctype 2>>"$work/tshark.log" >"$work/coap"
	has '/est/crts' "$work/coap" && grep -q '^69' "$work/coap" && return 0
	sed 's/^/# /' "$work/coap"
	return 1
}

# ---- libcoap's server -----------------------------------------------------------------------

coap_server_up() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 20 -subj /CN=other -addext keyUsage=keyCertSign,digitalSignature \
		-keyout "$work/other.key" -out "$work/other.pem" 2>"$work/req.log"
	spawn pledge coap-server coap-server-openssl -A ::1 -p 5683 -d 4 -c "$work/other.pem" -j "$work/other.key" -C "$work/makers/maker.pem"
	wait_for listens
}

listens() { in_ns pledge ss -Hlun 'sport = 5684' | grep -q .; }

# The handshake is done, with our IDevID; what is not there is told of.
other_server() {
	! jpledge enroll --proxy '[::1]:5684' --identity "$work/makers/device-3.pem" --out "$work/three" &&
		has 'the Registrar refused: 4.04' "$work/jpledge.log" && [ ! -e "$work/three" ]
}

# It has CA certificates for us, but no certificate: it sends what it gets.
other_server_has_cas() {
	openssl crl2pkcs7 -nocrl -certfile "$work/other.pem" -outform DER -out "$work/crts" &&
		in_ns pledge timeout 10 coap-client-openssl -m put -t 281 -f "$work/crts" -c "$work/makers/device-3.pem" -j "$work/makers/device-3.pem" \
			'coaps://[::1]:5684/.well-known/est/crts' >"$work/put" 2>&1 || return 1
	! jpledge enroll --proxy '[::1]:5684' --identity "$work/makers/device-3.pem" --out "$work/three" &&
		! has 'CA certificates' "$work/jpledge.log" && [ ! -e "$work/three" ] && has '^jpledge: ' "$work/jpledge.log" && sed 's/^/# /' "$work/jpledge.log"
}

check mint "$build/jpledge" mint "$work/makers" --count 3
check mint-others "$build/jpledge" mint "$work/others" --count 1
lab_up 1
check serves serve
check proxy proxy_up
check s_client shakes "${ccm8[@]}"
check small-mtu shakes "${ccm8[@]}" -mtu 256
check no-certificate no_certificate
check wrong-maker refused 'unknown ca\|certificate unknown\|bad certificate' -cert "$work/others/device-1.pem" -key "$work/others/device-1.pem" "${ccm8[@]}"
check other-suite refused 'handshake failure' "${one[@]}" -dtls1_2 -cipher 'ECDHE-ECDSA-AES256-SHA@SECLEVEL=0'
check prefers-p256 shakes -dtls1_2 -cipher 'ECDHE-ECDSA-AES128-CCM8@SECLEVEL=0' -groups X25519:P-384:P-256
check dtls-1.0 refused 'protocol version' "${one[@]}" -dtls1 -cipher 'ALL@SECLEVEL=0'
check says-coap captured says_coap
check decrypted decrypted
check enrolls captured enrolls
check handshake handshake_order
check suite suite
check nothing-malformed nothing_malformed
check fits fits
check jpy-is-cbor jpy_is_cbor
check coap-server coap_server_up
check other-server other_server
check other-server-has-cas other_server_has_cas
check no-drops no_drops
finish
