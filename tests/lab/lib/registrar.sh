# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # for the tests; from common.sh
#
# `jpreg serve' in the Registrar's namespace, and the devices of a maker.  Sourced behind common.sh.

# Devices of a maker are in $work/makers once "jpledge mint" has been run, or the anchors are $anchors.
serve() { # [OPTION...]: leaves its id in $jpreg_pid
	spawn registrar jpreg "$build/jpreg" serve --anchors "${anchors-$work/makers/maker.pem}" \
		--state-dir "$work/state" "$@"
	jpreg_pid=$spawned
	wait_for has 'serving EST' "$work/jpreg.log"
}

issued() { # JQ-FILTER
	"$build/jpreg" issued --state-dir "$work/state" --json | jq -r "$1"
}

logged() { # TEXT: jpreg said it since it started
	wait_for has "$1" "$work/jpreg.log"
}

jpledge() { # what it says is in $work/said and $work/jpledge.log
	in_ns pledge timeout 150 "$build/jpledge" "$@" >"$work/said" 2>"$work/jpledge.log"
}

subject() { # FILE
	openssl x509 -in "$1" -noout -subject -nameopt rfc2253 | sed 's/^subject=//'
}
