#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2005,SC2015,SC2034,SC2046,SC2086,SC2317 # for common.sh; called through check
#
# A pledge and a Registrar that lies to it: `jpledge enroll' ends with status 1 and one line that says where and
# what, stores nothing, and what was stored stays; soon, and in little memory.
JPX_LAB=t-liar
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
needs openssl "$build/jpledge" "$build/tests/liar"
next_port=5700
memory_kib=60000 # resident, at its peak

lab_one() { # the loopback is enough
	lab_down
	lab_namespace registrar
	in_ns registrar ip link set lo up
}

# lies LIE: a Registrar of its own, at [::1]:$port, with its CA in $work/LIE/real.pem
lies() {
	port=$next_port
	next_port=$((next_port + 1))
	mkdir -p "$work/$1"
	spawn registrar "liar-$1" "$build/tests/liar" "[::1]:$port" "$work/$1" "$1"
	liar=$spawned
	wait_for has lying "$work/liar-$1.log"
}

# enrols LIE SECONDS [OPTION...]: its status; what it used is in $work/LIE/used
enrols() {
	local lie=$1 seconds=$2
	shift 2
	in_ns registrar timeout "$seconds" python3 -c 'import resource, subprocess, sys
ret = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL).returncode
open(sys.argv[1], "w").write("%d\n" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(ret)' "$work/$lie/used" \
		"$build/jpledge" enroll --proxy "[::1]:$port" --identity "$work/makers/device-1.pem" --out "$work/$lie/out" "$@" \
		>"$work/$lie/said" 2>"$work/$lie.err.log"
}

# ended_well LIE STATUS TEXT: as it should when it is not believed?
ended_well() {
	local lie=$1 status=$2 text=$3
	[ "$status" = 1 ] || { echo "# status $status"; return 1; }
	[ "$(wc -l <"$work/$lie.err.log")" = 1 ] && grep -q "^jpledge: \[::1\]:[0-9]*: .*$text" "$work/$lie.err.log" &&
		! LC_ALL=C grep -q '[^ -~]' "$work/$lie.err.log" || { echo "# said: $(cat "$work/$lie.err.log")"; return 1; }
	[ ! -s "$work/$lie/said" ] && [ ! -e "$work/$lie/out" ] || { echo "# something was stored"; return 1; }
	[ "$(cat "$work/$lie/used")" -lt "$memory_kib" ] || { echo "# $(cat "$work/$lie/used") KiB"; return 1; }
}

# disbelieved LIE TEXT [OPTION...]: in 20 seconds
disbelieved() {
	local lie=$1 text=$2 status=0
	shift 2
	lies "$lie" || return 1
	enrols "$lie" $((20 * ${JPX_PATIENCE:-1})) "$@" || status=$?
	stop "$liar"
	ended_well "$lie" "$status" "$text"
}

# The same, in its own time: begins LIE now, in_time looks at it later.
begins() { # LIE [OPTION...]
	lies "$1" || return 1
	slow_liar[$1]=$liar
	{
		local status=0
		enrols "$1" $((100 * ${JPX_PATIENCE:-1})) "${@:2}" || status=$?
		echo $status >"$work/$1/status"
	} &
	slow[$1]=$!
}
declare -A slow=() slow_liar=()

in_time() { # LIE TEXT
	wait "${slow[$1]}"
	stop "${slow_liar[$1]}"
	ended_well "$1" "$(cat "$work/$1/status")" "$2"
}

believed() { # LIE SUBJECT: what no lie is
	local lie=$1 ret=0
	lies "$lie" && enrols "$lie" 20 --ca "$work/$lie/real.pem" || ret=1
	stop "$liar"
	[ $ret = 0 ] && openssl verify -CAfile "$work/$lie/real.pem" "$work/$lie/out/ldevid.pem" >>"$work/verify.log" 2>&1 &&
		[ "$(openssl x509 -in "$work/$lie/out/ldevid.pem" -noout -subject -nameopt rfc2253)" = "subject=$2" ] && return 0
	sed 's/^/# /' "$work/$lie.err.log"
	return 1
}

stays() { # what was there is not touched by a lie
	local before
	mkdir -p "$work/other-key/out"
	cp "$work"/none/out/* "$work/other-key/out" && before=$(cat "$work"/other-key/out/*) || return 1
	lies other-key || return 1
	! enrols other-key 20 && [ "$(cat "$work"/other-key/out/*)" = "$before" ] &&
		[ "$(echo $(ls -A "$work/other-key/out"))" = "ca.pem ldevid.pem" ]
	set -- $?
	stop "$liar"
	return "$1"
}

tells_in_json() {
	local status=0
	lies not-utf8 || return 1
	enrols not-utf8 20 --json || status=$?
	stop "$liar"
	[ $status = 1 ] && [ "$(jq -r .enrolled "$work/not-utf8/said")" = false ] &&
		[[ $(jq -r .error "$work/not-utf8/said") = *'refused: 4.03, no'* ]] && return 0
	cat "$work/not-utf8/said" "$work/not-utf8.err.log" | sed 's/^/# /'
	return 1
}

check namespace lab_one
check mint "$build/jpledge" mint "$work/makers"
# three times this long from one that it has met
check begins-silent begins crts-silent --timeout 10
check begins-waits begins waits-for-ever
check honest believed none 'serialNumber=1,O=jpledge'
check name-of-the-domain believed domain-subject 'CN=node 17'
check other-key disbelieved other-key 'for another key than ours'
check other-ca disbelieved other-ca "not of the Registrar's CA"
check expired disbelieved expired 'has expired'
check other-subject disbelieved other-subject 'another serial number than ours'
check other-server disbelieved other-server "own certificate is not of the CA that it gives"
check server-of-no-ca-of-ours disbelieved strange-ca "the Registrar's certificate is not believed (unknown CA)" --ca "$work/makers/maker.pem"
check cas-garbage disbelieved crts-garbage 'no certs-only message'
check cas-empty disbelieved crts-empty 'no certs-only message'
check cas-too-many disbelieved five-cas 'no certs-only message of 1 to 4'
check cas-format disbelieved crts-format 'content format 287, not 281'
check cas-endless disbelieved crts-endless 'more than 16384 octets'
check cas-large disbelieved crts-large 'more than 16384 octets'
check cas-gap disbelieved crts-gap 'is missing\|no answer'
check certificate-garbage disbelieved sen-garbage 'is no certificate'
check certificate-empty disbelieved sen-empty 'is no certificate'
check certificate-format disbelieved sen-format 'content format 281, not 287'
check certificate-trailing disbelieved sen-trailing 'is no certificate'
check certificate-endless disbelieved sen-endless 'more than 16384 octets'
check certificate-large disbelieved sen-large 'more than 16384 octets'
check absurd-wait disbelieved absurd-wait 'nothing for us for 4294967295 s; try again'
check not-utf8 disbelieved not-utf8 'refused: 4.03, no???\[31m'
check not-utf8-json tells_in_json
check stays stays
check waits in_time waits-for-ever 'asked for patience 20 times'
check silent in_time crts-silent 'has fallen silent'
finish
