#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for page.sh; called through check
#
# docs/est-server.md, line by line, as a person says it, with an EST server that is not ours behind jpreg.
JPX_LAB=t-estpage
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
page=$PWD/docs/est-server.md
here=$PWD/tests/lab
# shellcheck source=tests/lab/lib/page.sh
. "$here/lib/page.sh"
# shellcheck source=tests/lab/lib/est_server.sh
. "$here/lib/est_server.sh"
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY
PATH=$PATH:/usr/sbin
needs openssl lighttpd "$build/jpledge"
case $build in /*) ;; *) build=$PWD/$build ;; esac

# The page's files are relative to where somebody is.
in_work() { # WHO LINE
	(cd "$work" && by "$@")
}

# As a CA does: our key stays where it is.
ca_signs() {
	openssl x509 -req -in "$work/registrar.csr" -CA "$est/sub.pem" -CAkey "$est/sub.key" -days 20 -extfile "$est/ra.ext" \
		-set_serial 77 -out "$work/registrar.crt" 2>>"$est/log" &&
		cp "$est/sub.pem" "$work/issuing.pem" && cp "$est/root.pem" "$work/est-ca.pem"
}

registrar_runs() {
	# shellcheck disable=SC2164 # as above; spawn() is not for a subshell
	pushd "$work" >/dev/null
	serve registrar 'jpreg serve --anchors makers/maker.pem --upstream https://[::1]:8443/.well-known/est --upstream-ca est-ca.pem --identity registrar.pem --state-dir registrar'
	popd >/dev/null || return 1
	wait_for has "the EST server's CA is CN=Issuing CA" "$work/registrar.log"
}

attach_by_page() {
	in_work proxy 'jpctl attach pj0 --registrar [2001:db8:2::52]:7634' && wait_for all_serving
}

is_of_the_est_server() {
	openssl verify -CAfile "$est/root.pem" -untrusted "$est/sub.pem" "$work/device/ldevid.pem" && [ "$(est_calls simpleenroll)" = 1 ]
}

programs
check mint jpledge mint "$work/makers" --count 1
check est-server est_server_make
lab_up 1
check est-server-starts est_server_start
check request in_work registrar "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/O=Example/CN=Registrar' -keyout registrar.key -out registrar.csr"
check signed ca_signs
check usage in_work registrar 'openssl x509 -in registrar.crt -noout -ext extendedKeyUsage'
check is-ra said 'CMC Registration Authority'
check identity in_work registrar '(umask 077; cat registrar.crt issuing.pem registrar.key >registrar.pem)'
check let-in in_work registrar 'openssl s_client -connect [::1]:8443 -CAfile est-ca.pem -cert registrar.pem -key registrar.pem -cert_chain issuing.pem -verify_return_error </dev/null'
check registrar registrar_runs
check proxy jpd_start
check attach attach_by_page
check enrols in_work pledge 'jpledge enroll pl0 --identity makers/device-1.pem --out device'
check its-own is_of_the_est_server
check issued in_work registrar 'jpreg issued --state-dir registrar'
check issued-one said 'serialNumber=1,O=jpledge'
check whole-page whole_page_ran
finish
