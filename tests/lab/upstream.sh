#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# `jpreg serve --upstream': an EST server that is not ours issues the certificates; pledges know nothing of
# it.  What happens when it is slow, busy, down, lying, or not who it should be.
JPX_LAB=t-upstream
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
# shellcheck source=tests/lab/lib/est_server.sh
. "$(dirname "$0")/lib/est_server.sh"
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY
PATH=$PATH:/usr/sbin
needs openssl lighttpd coap-client-openssl "$build/jpledge"
registrar=2001:db8:2::52
conf="flows { per-pledge = 8 idle = 60 }
port pj0 {}
registrar r { address = \"[$registrar]:7634\" jpy = draft-21 }"

proxy_up() {
	jpd_start "$conf" && wait_for all_serving && port=$(status '.services[0].join_port')
}

serve_upstream() { # [OPTION...]
	serve --upstream "$est_url" --upstream-ca "$est/root.pem" --identity "$work/registrar.pem" "$@"
}

good() { # DIR N: the EST server's, of device N, with its key
	openssl verify -CAfile "$est/root.pem" -untrusted "$est/sub.pem" "$1/ldevid.pem" >>"$work/verify.log" 2>&1 &&
		[ "$(subject "$1/ldevid.pem")" = "serialNumber=$2,O=jpledge" ] &&
		[ "$(openssl x509 -in "$1/ldevid.pem" -noout -pubkey)" = "$(openssl pkey -in "$1/ldevid.pem" -pubout)" ]
}

enrolls() { # N [OPTION...]
	local n=$1
	shift
	jpledge enroll pl0 --identity "$work/makers/device-$n.pem" --out "$work/$n" "$@" && good "$work/$n" "$n"
}

# Both are told, the issuing CA first.
has_chain() { # DIR
	[ "$(grep -c BEGIN "$work/1/ca.pem")" = 2 ] &&
		[ "$(openssl x509 -in "$work/1/ca.pem" -noout -subject)" = "$(openssl x509 -in "$est/sub.pem" -noout -subject)" ]
}

# What the EST server issued is what jpreg has on record, with serial numbers of twenty octets.
same_record() {
	local serial serials
	serials=$(sed -n 's/^serial=//p' "$est/issued" | tr A-F a-f)
	[ "$(issued '.issued | length')" = "$(wc -l <<<"$serials")" ] || return 1
	for serial in $serials; do
		[ ${#serial} = 40 ] && [ "$(issued "[.issued[] | select(.serial == \"$serial\")] | length")" = 1 ] || return 1
	done
}

renews() {
	jpledge reenroll pl0 --out "$work/1" && good "$work/1" 1 && [ "$(est_calls simplereenroll)" = 1 ]
}

server_key() {
	enrolls 2 --server-keygen && [ "$(est_calls serverkeygen)" = 1 ]
}

# ask CODE PATH [OPTION...]: by libcoap's client, as device 9
ask() {
	local want=$1 path=$2 got
	shift 2
	in_ns pledge timeout 100 coap-client-openssl -v 6 -B 60 -c "$work/nine.pem" -j "$work/nine.key" -C "$est/root.pem" \
		-o "$work/answer" "$@" "coaps://[$(pj_address pj0)%pl0]:$port/est/$path" >"$work/client" 2>&1
	got=$(sed -n 's/^v:1 t:[A-Z]* c:\([2-5]\.[0-9][0-9]\) .*/\1/p' "$work/client" | tail -n 1)
	[ "$got" = "$want" ] && return 0
	echo "# $path: ${got:-nothing}, not $want: $(tail -n 1 "$work/client")"
	return 1
}

csr() { # NAME
	openssl req -new "${est_key[@]}" -subj /O=jpledge/serialNumber=9 -keyout "$work/$1.new" -outform DER -out "$work/$1.csr" \
		2>>"$work/req.log"
}

enrol() { # CODE CSR
	ask "$1" sen -m post -t 286 -f "$work/$2.csr" -A 287
}

nine() {
	openssl x509 -in "$work/makers/device-9.pem" -out "$work/nine.pem" &&
		(umask 077 && openssl pkey -in "$work/makers/device-9.pem" -out "$work/nine.key")
}

attributes() {
	est_mode attrs && ask 2.05 att && [ "$(xxd -p "$work/answer")" = 300906072b060101010116 ]
}

# What the EST server asks for, the pledge does: here, to link the request to its session, which jpreg checks.
pledge_attributes() {
	est_mode attrs && enrolls 5 --attributes && has 'CSR attributes that it named: 1.3.6.1.1.1.1.22' "$work/said" &&
		est_mode link && enrolls 6 --attributes && has 'named: 1.2.840.113549.1.9.7 1.3.6.1.1.1.1.22' "$work/said" &&
		est_mode plain && enrolls 7 --attributes --json && [ "$(jq -r .attributes "$work/said")" = "" ] || return 1
	est_mode link
	# The request that came to the EST server says so.
	has challengePassword "$est/log" && est_mode plain
}

no_attributes() {
	est_mode plain && ask 4.04 att
}

# An empty ACK, or the client would say it all again after 3 s; and the answer as a message of its own.
separate() {
	csr sep && est_mode slow 4 && enrol 2.04 sep && has '^v:1 t:CON c:2.04' "$work/client" &&
		[ "$(grep -c '^v:1 t:CON c:POST' "$work/client")" = 1 ]
}

# The pledge has no patience for this: it is told to come again, and what was issued waits for it.
late() {
	local before
	before=$(est_calls simpleenroll)
	csr late && est_mode slow 26 && enrol 5.03 late && has 'Max-Age:10' "$work/client" && sleep 8 && est_mode plain &&
		enrol 2.04 late && [ "$(est_calls simpleenroll)" = $((before + 1)) ] && same_record
}

# The EST server names a time.  jpledge comes again then by itself.
busy() { # MODE SECONDS
	csr busy && est_mode "$1" "$2" && enrol 5.03 busy && has "Max-Age:$2" "$work/client" && est_mode plain && enrol 2.04 busy
}

comes_again() {
	est_mode later 3
	(sleep 4 && est_mode plain) &
	enrolls 3 && [ "$(est_calls simpleenroll)" -gt 1 ]
}

refuses() { # MODE [ARGUMENT] CODE LOGGED
	local code=${*: -2:1} text=${*: -1}
	csr refused && est_mode "${@:1:$#-2}" && enrol "$code" refused && logged "$text" && est_mode plain
}

no_other() { # what it refused is not on record
	[ "$(issued '.issued | length')" = "$before" ]
}

down() {
	stop "$est_pid"
	csr down && enrol 5.03 down && has 'Max-Age:60' "$work/client" && logged 'does not answer' &&
		ask 2.05 crts && est_server_start && enrol 2.04 down
}

starts_first() { # jpreg before the EST server
	stop "$jpreg_pid"
	stop "$est_pid"
	serve_upstream && ask 5.03 crts && logged 'nobody can enrol until' && est_server_start &&
		wait_for logged "the EST server's CA is" && enrolls 4
}

not_believed() { # OPTION...: of jpreg
	stop "$jpreg_pid"
	serve_upstream "$@" && logged 'does not answer: .*certificate'
}

slash() {
	stop "$jpreg_pid"
	serve_upstream --upstream "$est_url/" && wait_for logged "the EST server's CA is"
}

unnamed_registrar() { # its certificate lacks cmcRA
	stop "$jpreg_pid"
	est_sign plain '/O=Example/CN=Registrar' sub keyUsage=critical,digitalSignature &&
		(umask 077 && cat "$est/plain.pem" "$est/sub.pem" "$est/plain.key" >"$work/plain.pem") &&
		serve_upstream --identity "$work/plain.pem" && logged 'no extendedKeyUsage id-kp-cmcRA' &&
		wait_for logged "the EST server's CA is" && csr plain && enrol 4.03 plain
}

bad_usage() { # TEXT OPTION...
	local text=$1
	shift
	! "$build/jpreg" serve --anchors "$work/makers/maker.pem" --state-dir "$work/none" "$@" 2>"$work/usage" &&
		has "$text" "$work/usage"
}

check mint "$build/jpledge" mint "$work/makers" --count 9
check est-server est_server_make
check nine nine
lab_up 1
check est-server-starts est_server_start
check serves serve_upstream
check ends-soon logged 'ends in less than 30 days'
check ca-known logged "the EST server's CA is .*Issuing CA"
check proxy proxy_up
check enrolls enrolls 1
check chain has_chain
check renews renews
check server-key server_key
check attributes attributes
check no-attributes no_attributes
check pledge-attributes pledge_attributes
check separate-answer separate
check same-record same_record
check late late
check later busy later 7
check busy busy busy 5
check comes-again comes_again
before=$(issued '.issued | length')
check 400 refuses refuse 400 4.00 'answers 400'
check 401 refuses refuse 401 4.01 'answers 401'
check 403 refuses refuse 403 4.03 'answers 403'
check 500 refuses refuse 500 5.00 'answers 500'
check redirect refuses redirect https://example.com/ 5.00 'answers 302'
check nonsense refuses nonsense 5.00 'it has no certificate'
check page refuses page 5.00 'it has no certificate'
check endless refuses endless 5.03 'longer than 65536'
check nothing refuses nothing 5.00 'it has no certificate'
check other-key refuses other-key 5.00 "no certificate for the pledge's key"
check other-ca refuses other-ca 5.00 'not of its CA'
check its-ca-is-no-certificate refuses cas 5.00 "no certificate for the pledge's key"
check no-other no_other
check down down
check starts-first starts_first
check wrong-server not_believed --upstream-ca "$est/other.pem"
check wrong-name not_believed --upstream https://localhost:8443/.well-known/est
check slash slash
check unnamed-registrar unnamed_registrar
check password-is-refused bad_usage 'no user name belongs' --upstream https://u:secret@x
check password-is-not-said eval '! has secret "$work/usage"'
check http-is-refused bad_usage 'does not begin with https' --upstream http://x
check query-is-refused bad_usage 'more than a path' --upstream 'https://x/?y='
check needs-ca bad_usage 'takes --upstream-ca' --upstream https://x
check needs-identity bad_usage 'takes --identity' --upstream https://x --upstream-ca "$est/root.pem"
check no-drops no_drops
finish
