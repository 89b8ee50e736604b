#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Installs what jpx is built, tested and shown with, from Debian's own archive.
# Does nothing, and needs no network and no root, when all of it is there.
set -eu

packages='gcc make clang llvm pkg-config bpftool linux-libc-dev libc6-dev
libbpf-dev libxdp-dev libcbor-dev libssl-dev libevent-dev libmnl-dev libjansson-dev
libconfuse-dev libsystemd-dev libcap-ng-dev libcmocka-dev
libclang-rt-dev python3-docutils
libcoap3-bin openssl iproute2 iputils-ping ethtool procps util-linux python3 jq'

missing=
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "setup: these Debian packages are missing:$missing" >&2
	echo "setup: run as root: scripts/setup.sh" >&2
	exit 1
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of words
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "setup: apt-get failed (above); jpx needs Debian 12 or later" >&2
	exit 1
fi
