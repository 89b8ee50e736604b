#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs local_ports_test, which goes into a network and a mount namespace of its own, and
# sees that it left the list of reserved ports outside alone.
#
#   local_ports.sh [THOUSANDS]    of sockets to scan (10)
#
# Exit: 0 all passed, 1 something failed.
set -u

test_bin=${JPX_BUILD:-build}/tests/local_ports_test
list=/proc/sys/net/ipv4/ip_local_reserved_ports

if [ "$(id -u)" != 0 ]; then
	echo "not ok root: local_ports makes network namespaces"
	exit 1
fi
if [ ! -x "$test_bin" ]; then
	echo "not ok local_ports: $test_bin is not there; build the tests first"
	exit 1
fi

before=$(cat "$list")
timeout 120 "$test_bin" "$@"
status=$?
if [ "$(cat "$list")" = "$before" ]; then
	echo "ok outside-is-untouched"
else
	echo "not ok outside-is-untouched"
	status=1
fi

# What would make /proc/sys read-only for jpd.
if grep -q '^ProtectKernelTunables=\(yes\|true\|on\|1\)' scripts/jpd.service; then
	echo "not ok unit-lets-jpd-write-sysctls"
	status=1
else
	echo "ok unit-lets-jpd-write-sysctls"
fi
exit $status
