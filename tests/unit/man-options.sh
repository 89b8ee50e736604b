#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Is every option that a program's --help names in its manual page?  Asks --help
# only, of the programs in $JPX_BUILD (build).
#
#   man-options.sh				all programs and verbs
#   man-options.sh PAGE PROGRAM [VERB...]	one of them
set -u
build=${JPX_BUILD:-build}
failed=0

compare() { # PAGE PROGRAM [VERB...]
	page=$1
	shift
	name="options of $(basename "$1")${2:+ $2}${3:+ $3} are in $(basename "$page")"
	missing=
	options=$("$@" --help | sed -n 's/^ *\(-[A-Za-z?], \)\{0,1\}\(--[a-z-]*\).*/\2/p')
	[ -n "$options" ] || missing=" (--help names none)"
	for option in $options; do
		grep -q -E -- "(^|[^a-z-])$option([^a-z-]|\$)" "$page" || missing="$missing $option"
	done
	if [ -z "$missing" ]; then
		echo "ok $name"
	else
		echo "not ok $name:$missing"
		failed=1
	fi
}

if [ $# -gt 0 ]; then
	compare "$@"
else
	compare docs/man/jpd.8.rst "$build/jpd"
	compare docs/man/jpreg.8.rst "$build/jpreg"
	for verb in relay serve issued; do
		compare docs/man/jpreg.8.rst "$build/jpreg" $verb
	done
	compare docs/man/jpledge.8.rst "$build/jpledge"
	for verb in discover enroll reenroll swarm mint; do
		compare docs/man/jpledge.8.rst "$build/jpledge" $verb
	done
	compare docs/man/jpctl.8.rst "$build/jpctl"
	for verb in attach detach registrar status stats flows check; do
		compare docs/man/jpctl.8.rst "$build/jpctl" $verb
	done
	for action in list add del; do
		compare docs/man/jpctl.8.rst "$build/jpctl" registrar $action
	done
fi
exit $failed
