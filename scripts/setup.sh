#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Installs what jpx is built, tested and shown with, from Debian's own archive.
# Does nothing, and needs no network and no root, when all of it is there.
#
#   scripts/setup.sh          for make, make check, make demo
#   scripts/setup.sh bench    and what make bench compares jpx with
#   scripts/setup.sh vm       and what scripts/vm.sh boots other kernels with
set -eu

packages='gcc make clang llvm pkg-config bpftool linux-libc-dev libc6-dev
libbpf-dev libxdp-dev libcbor-dev libssl-dev libevent-dev libmnl-dev libjansson-dev
libconfuse-dev libsystemd-dev libcap-ng-dev libcmocka-dev
libcoap3-dev libc-ares-dev libsqlite3-dev libcurl4-openssl-dev libgmime-3.0-dev
libclang-rt-dev python3-docutils
libcoap3-bin openssl iproute2 iputils-ping ethtool procps util-linux python3 jq
avahi-daemon avahi-utils dbus dnsmasq-base lighttpd lighttpd-mod-openssl tshark python3-cbor2'

bench_packages='nginx libnginx-mod-stream'

vm_packages='qemu-system-x86 cpio kmod xz-utils wpan-tools xdp-tools'

case ${1:-} in
'') ;;
bench) packages="$packages $bench_packages" ;;
vm) packages="$packages $vm_packages" ;;
*) echo "usage: scripts/setup.sh [bench|vm]" >&2; exit 2 ;;
esac

missing=
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "setup: these Debian packages are missing:$missing" >&2
	echo "setup: run as root: scripts/setup.sh${1:+ $1}" >&2
	exit 1
fi
# Debian starts what it installs; wanted are the programs: the benchmark runs an nginx of its own, the
# tests an Avahi and a bus of their own.  What was there before is left as it is.
servers=
for p in $missing; do
	case $p in
	nginx) servers="$servers nginx.service" ;;
	lighttpd) servers="$servers lighttpd.service" ;;
	avahi-daemon) servers="$servers avahi-daemon.service avahi-daemon.socket" ;;
	dbus) servers="$servers dbus.service dbus.socket" ;;
	esac
done
no_servers() { # SYSTEMCTL-WORD...
	[ -n "$servers" ] && [ -d /run/systemd/system ] || return 0
	# shellcheck disable=SC2086 # a list of words
	systemctl "$@" $servers >/dev/null 2>&1 || true
}

echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
end() {
	rm -f "$log"
	no_servers unmask --runtime
	no_servers disable
}
trap end EXIT
no_servers mask --runtime
# shellcheck disable=SC2086 # a list of words
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "setup: apt-get failed (above); jpx needs Debian 12 or later" >&2
	exit 1
fi
