#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for common.sh; called through check
#
# Both ends that jpx has, with the proxy between them: `jpledge enroll' knows nothing but an interface, finds
# the proxy, and comes back with a certificate of `jpreg serve', in every JPY form and statefully; the openssl
# command judges.
JPX_LAB=t-enroll
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/lib/registrar.sh
. "$(dirname "$0")/lib/registrar.sh"
needs openssl "$build/jpledge"
registrar=2001:db8:2::52
forms="draft-01 draft-02 draft-06 draft-21"
conf='flows { per-pledge = 8 idle = 4 rest = 1 }
port pj0 {}'
for form in $forms; do conf+=$'\n'"registrar $form { address = \"[$registrar]:7634\" jpy = $form }"; done
conf+=$'\n'"registrar direct { address = \"[$registrar]:5684\" mode = stateful }"

proxy_up() {
	jpd_start "$conf" && wait_for all_serving
}

# good DIR N: the CA's, of device N, with its key, for nobody else to read
good() {
	openssl verify -CAfile "$work/state/ca.pem" "$1/ldevid.pem" >>"$work/verify.log" 2>&1 &&
		[ "$(subject "$1/ldevid.pem")" = "serialNumber=$2,O=jpledge" ] &&
		[ "$(openssl x509 -in "$1/ldevid.pem" -noout -pubkey)" = "$(openssl pkey -in "$1/ldevid.pem" -pubout)" ] &&
		[ "$(stat -c %a "$1/ldevid.pem")" = 600 ] && cmp -s "$1/ca.pem" "$work/state/ca.pem"
}

finds_and_enrols() {
	jpledge enroll pl0 --identity "$work/makers/device-1.pem" --out "$work/one" && good "$work/one" 1 &&
		has 'ECDHE-ECDSA-AES128-CCM8' "$work/said"
}

renews() {
	local before
	before=$(openssl pkey -in "$work/one/ldevid.pem" -pubout)
	jpledge reenroll pl0 --out "$work/one" --json && good "$work/one" 1 &&
		[ "$(openssl pkey -in "$work/one/ldevid.pem" -pubout)" != "$before" ] &&
		[ "$(jq -r .enrolled "$work/said")" = true ]
}

through() { # SERVICE N
	local port
	port=$(status ".services[] | select(.name == \"$1\") | .join_port")
	jpledge enroll --proxy "[$(pj_address pj0)%pl0]:$port" --identity "$work/makers/device-$2.pem" --ca "$work/state/ca.pem" \
		--out "$work/$1" && good "$work/$1" "$2"
}

server_key() {
	jpledge enroll pl0 --server-keygen --identity "$work/makers/device-7.pem" --out "$work/seven" && good "$work/seven" 7
}

# refused TEXT ARGUMENT...: exit status 1, a sentence, and nothing is stored
refused() {
	local text=$1
	shift
	! jpledge "$@" --out "$work/none" && has "$text" "$work/jpledge.log" && [ ! -e "$work/none" ] && return 0
	sed 's/^/# /' "$work/jpledge.log"
	return 1
}

stays() { # what is there is not touched by what fails
	local before
	before=$(cat "$work/one/ldevid.pem")
	! jpledge reenroll pl0 --identity "$work/makers/device-1.pem" --out "$work/one" &&
		has 'refused: 4.03, renewing takes a certificate of this CA' "$work/jpledge.log" &&
		[ "$(cat "$work/one/ldevid.pem")" = "$before" ]
}

all_issued() {
	[ "$("$build/jpreg" issued --state-dir "$work/state" --json | jq -r '[.issued[].subject] | sort | join(" ")')" = \
		"$(printf 'serialNumber=%s,O=jpledge\n' 1 1 2 3 4 5 6 7 | xargs)" ] && return 0
	"$build/jpreg" issued --state-dir "$work/state" | sed 's/^/# /'
	return 1
}

lab_up 1
check mint "$build/jpledge" mint "$work/makers" --count 7
check mint-goes-on "$build/jpledge" mint "$work/makers" --first 8 --count 2
check mint-another "$build/jpledge" mint "$work/others"
check mint-chain openssl verify -CAfile "$work/makers/maker.pem" "$work/makers/device-8.pem"
check serves serve
check proxy proxy_up
check finds-and-enrols finds_and_enrols
check renews renews
n=2
for service in $forms direct; do
	check "through-$service" through "$service" $n
	n=$((n + 1))
done
check server-key server_key
check all-issued all_issued
check wrong-maker refused 'the Registrar does not take our certificate (unknown CA)' enroll pl0 --identity "$work/others/device-1.pem"
check wrong-ca refused "the Registrar's certificate is not believed (unknown CA)" enroll pl0 --identity "$work/makers/device-1.pem" --ca "$work/others/maker.pem"
check no-identity refused 'none.pem: No such file' enroll pl0 --identity "$work/none.pem"
check stays stays
check all-issued-still all_issued
check no-drops no_drops
# The draft's profile: the same through the proxy, and neither end takes the other's bodies.
profile_06() {
	stop "$jpreg_pid"
	serve --profile est-coaps-06 && jpledge enroll pl0 --profile est-coaps-06 --identity "$work/makers/device-8.pem" --out "$work/eight" &&
		good "$work/eight" 8 && jpledge reenroll pl0 --profile est-coaps-06 --out "$work/eight" && good "$work/eight" 8 &&
		jpledge enroll pl0 --profile est-coaps-06 --server-keygen --identity "$work/makers/device-9.pem" --out "$work/nine" &&
		good "$work/nine" 9
}
check profile-06 profile_06
check other-profile refused 'certs-only message' enroll pl0 --identity "$work/makers/device-1.pem"
stop "$jpreg_pid"
serve
check another-profile refused 'not in a CBOR byte string' enroll pl0 --profile est-coaps-06 --identity "$work/makers/device-1.pem"
stop "$jpreg_pid"
check nobody-listens refused 'nobody listens at that port' enroll --proxy "[$(pj_address pj0)%pl0]:7" --identity "$work/makers/device-1.pem"
check no-registrar refused 'no DTLS handshake in 8 s' enroll --timeout 8 --proxy "[$(pj_address pj0)%pl0]:5684" \
	--identity "$work/makers/device-1.pem"
finish
