# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What tests of a page of docs/ share: its commands are run as they are written there, and none is left
# out.  To be sourced behind common.sh, with $page set.

# The programs as they are called where they are installed.
programs() {
	local p
	mkdir "$work/bin"
	for p in jpctl jpd; do
		printf '#!/bin/sh\nexec %s --run-dir %s --pin-dir %s "$@"\n' "$(realpath "$build/$p")" "$run_dir" "$pin_dir" \
			>"$work/bin/$p"
	done
	ln -s "$(realpath "$build/jpledge")" "$(realpath "$build/jpreg")" "$work/bin/"
	chmod +x "$work"/bin/*
	PATH=$work/bin:$PATH
}

lines_of_page() {
	sed -n '/^```sh$/,/^```$/ { /^```/d; p }' "$page"
}

# A page and a test that part would both be believed.
on_page() { # LINE
	lines_of_page | grep -qxF -e "$1" || { echo "# not on $page: $1"; return 1; }
	echo "$1" >>"$work/ran"
}

# by WHO LINE: a line of the page; what it says is in $work/said, too
by() {
	on_page "$2" || return 1
	in_ns "$1" bash -c "$2" >"$work/said" 2>&1 </dev/null && return 0
	sed 's/^/# /' "$work/said"
	return 1
}

said() { # TEXT
	has "$1" "$work/said" && return 0
	sed 's/^/# /' "$work/said"
	return 1
}

whole_page_ran() {
	lines_of_page | grep -vxFf "$work/ran" | sed 's/^/# not run: /' | tee "$work/left"
	[ -s "$work/ran" ] && [ ! -s "$work/left" ]
}

serve() { # LOG LINE: a line of the page that does not end
	on_page "$2" || return 1
	# shellcheck disable=SC2086 # words, as a shell reads them
	spawn registrar "$1" $2
}
