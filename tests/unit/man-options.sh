#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Is every option that a program's --help names in its manual page?
#
#   man-options.sh PAGE PROGRAM [VERB...]	one --help
#
# Asks --help only.
set -eu

page=$1
shift
missing=0
options=$("$@" --help | sed -n 's/^ *\(-[A-Za-z?], \)\{0,1\}\(--[a-z-]*\).*/\2/p')
if [ -z "$options" ]; then
	echo "man-options: $* --help names no option at all" >&2
	exit 1
fi
for option in $options; do
	if ! grep -q -E -- "(^|[^a-z-])$option([^a-z-]|$)" "$page"; then
		echo "man-options: $page does not tell of $option ($*)" >&2
		missing=1
	fi
done
exit $missing
