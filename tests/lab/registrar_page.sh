#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2034,SC2317 # for page.sh; called through check
#
# docs/registrar.md, line by line, as a person says it: a Registrar is run, a device gets its certificate
# through the proxy and renews it, and what was issued is seen.
JPX_LAB=t-regpage
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"
page=$PWD/docs/registrar.md
# shellcheck source=tests/lab/lib/page.sh
. "$(dirname "$0")/lib/page.sh"
needs openssl "$build/jpledge"
case $build in /*) ;; *) build=$PWD/$build ;; esac

# The page's files are relative to where somebody is.
in_work() { # WHO LINE
	(cd "$work" && by "$@")
}

registrar_runs() {
	# shellcheck disable=SC2164 # as above; spawn() is not for a subshell
	pushd "$work" >/dev/null
	serve registrar 'jpreg serve --anchors makers/maker.pem --state-dir registrar'
	popd >/dev/null || return 1
	wait_for has 'serving EST' "$work/registrar.log"
}

has_files() {
	local f
	for f in $(sed -n '/^| file /,/^$/p' "$page" | grep -o '^| `.*` |' | grep -o '`[^`]*`' | tr -d '`'); do
		[ -e "$work/registrar/$f" ] || { echo "# no $f"; return 1; }
	done
	[ "$(stat -c %a "$work/registrar/ca.key")" = 600 ]
}

attach_by_page() {
	in_work proxy 'jpctl attach pj0 --registrar [2001:db8:2::52]:7634' && wait_for all_serving
}

renewed() {
	local before
	before=$(cat "$work/device/ldevid.pem")
	in_work pledge 'jpledge reenroll pl0 --out device' && [ "$(cat "$work/device/ldevid.pem")" != "$before" ]
}

two_issued() {
	in_work registrar 'jpreg issued --state-dir registrar' && [ "$(grep -c 'serialNumber=1,O=jpledge$' "$work/said")" = 2 ]
}

programs
lab_up 1
check mint in_work pledge 'jpledge mint makers --count 3'
check registrar registrar_runs
check files has_files
check proxy jpd_start
check attach attach_by_page
check enrols in_work pledge 'jpledge enroll pl0 --identity makers/device-1.pem --out device'
check says-so said 'enrolled by .*CCM8'
check renews renewed
check verifies in_work pledge 'openssl verify -CAfile registrar/ca.pem device/ldevid.pem'
check issued two_issued
revoked() {
	in_work registrar "jpreg issued --state-dir registrar --json | jq -r '.issued[-1].serial' >lost" &&
		in_work registrar 'jpreg revoke --state-dir registrar $(cat lost)' &&
		in_work registrar 'jpreg crl --state-dir registrar >crl.pem' &&
		! openssl verify -crl_check -CAfile "$work/registrar/ca.pem" -CRLfile "$work/crl.pem" "$work/device/ldevid.pem" >/dev/null 2>&1
}
check revoked revoked
check whole-page whole_page_ran
finish
