#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs a command under a kernel of Debian's: qemu boots it, with this machine's root
# file system below (read-only) and a tmpfs above.  What the command writes is gone
# afterwards, but for build/log, which becomes build/log/vm-KERNEL here.
#
#   scripts/vm.sh fetch                        get what is missing: kernels, busybox
#   scripts/vm.sh KERNEL SECONDS COMMAND...    run COMMAND as root in this directory
#
# KERNEL is 6.1 or 6.12.  The exit status is COMMAND's; 124 if SECONDS were not enough, 125 if
# the guest did not get as far as that.  Both kernels are Debian packages, unpacked below
# build/vm (JPX_VM names another place): nothing is installed on this machine, its
# apt is not touched, and once they are there no network is needed.
set -u
cd "$(dirname "$0")/.." || exit 1
vm=$(realpath -m "${JPX_VM:-build/vm}")
suite=bookworm # has 6.1, and 6.12 in its backports
kernels='6.1 6.12'

say() { echo "vm: $*" >&2; }
die() { say "$@"; exit 125; }

needs() { # PROGRAM...
	local p
	for p in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$p" >/dev/null ||
			die "$p is missing: run scripts/setup.sh vm"
	done
}

# ---- the packages -----------------------------------------------------------

# apt with a configuration, lists and a cache of its own.  From the host's it takes how to reach
# the network, and where Debian's archive is.
private_apt() { # COMMAND ARGUMENT...
	APT_CONFIG=$vm/apt/apt.conf "$@"
}

set_up_apt() {
	local archive keys=/usr/share/keyrings/debian-archive-keyring.gpg here=$vm/apt
	archive=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }')
	[ -n "$archive" ] || die "apt knows no Debian archive (has apt-get update been run?)"
	[ -e "$keys" ] && keys="[signed-by=$keys]" || keys=
	mkdir -p "$here"/{lists,cache}/partial
	: >"$here/status"
	printf 'deb %s %s %s main\n' "$keys" "$archive" "$suite" "$keys" "$archive" "$suite-backports" \
		>"$here/sources.list"
	{
		apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|Check-|Force)'
		cat <<END
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "$here/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$here";
Dir::State::status "$here/status";
Dir::Cache "$here/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
END
	} >"$here/apt.conf"
	private_apt apt-get update -qq >"$here/log" 2>&1 || { tail -n 5 "$here/log" >&2; die "apt-get update failed"; }
}

unpack() { # PACKAGE[=VERSION] DIRECTORY: whole, or not at all
	local into=$2
	say "fetching $1"
	rm -rf "$into.new"
	mkdir -p "$into.new"
	(cd "$into.new" && private_apt apt-get download -qq "$1") >&2 &&
		dpkg-deb -x "$into.new"/*.deb "$into.new" && rm "$into.new"/*.deb &&
		rm -rf "$into" && mv "$into.new" "$into" || die "cannot get $1"
}

# The package that the meta package of either suite stands for.
image_package() { # KERNEL
	private_apt apt-cache show linux-image-amd64 |
		sed -n "s/^Depends:.*\(linux-image-${1/./\\.}\.[^ ,]*\) (= \([^)]*\)).*/\1=\2/p" | head -n 1
}

fetch() {
	local k missing=() package
	[ "$(dpkg --print-architecture)" = amd64 ] || die "made for amd64 machines"
	needs depmod
	mkdir -p "$vm"
	exec 7>"$vm/lock"
	flock 7
	for k in $kernels; do [ -e "$vm/$k" ] || missing+=("$k"); done
	if [ ${#missing[@]} != 0 ] || [ ! -e "$vm/busybox" ]; then
		set_up_apt
		[ -e "$vm/busybox" ] || unpack busybox-static "$vm/busybox"
		for k in "${missing[@]}"; do
			package=$(image_package "$k")
			[ -n "$package" ] || die "the archive has no kernel $k"
			unpack "$package" "$vm/$k"
		done
	fi
	for k in $kernels; do [ "$vm/$k/initramfs" -nt scripts/vm-init ] || make_initramfs "$k"; done
	exec 7>&-
}

release() { # KERNEL: what uname says there
	basename "$vm/$1"/lib/modules/*
}

# ---- what is booted ---------------------------------------------------------------

# Of modules only what it takes to reach the root file system; the others come from there.
make_initramfs() { # KERNEL
	local name dir tree module
	needs cpio gzip xz
	name=$(release "$1")
	dir=$vm/$1/lib/modules/$name
	tree=$vm/$1/tree
	[ -e "$dir/modules.dep" ] || PATH=$PATH:/usr/sbin:/sbin depmod -b "$vm/$1" "$name" || die "depmod failed"
	rm -rf "$tree"
	mkdir -p "$tree"/{bin,dev,proc,sys,mnt,modules}
	cp "$vm"/busybox/bin/busybox "$tree/bin/"
	cp scripts/vm-init "$tree/init"
	chmod 755 "$tree/init"
	# In the order in which they can be loaded.
	for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
		modules_for "$dir" "$module"
	done | awk '!seen[$0]++' >"$tree/modules/order.in"
	while read -r module; do
		name=$(basename "$module")
		case $name in
		*.xz) name=${name%.xz}; xz -dc "$dir/$module" >"$tree/modules/$name" ;;
		*) cp "$dir/$module" "$tree/modules/" ;;
		esac || die "cannot read $dir/$module"
		echo "$name"
	done <"$tree/modules/order.in" >"$tree/modules/order"
	(cd "$tree" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$vm/$1/initramfs.new" &&
		mv "$vm/$1/initramfs.new" "$vm/$1/initramfs" || die "cannot make an initramfs"
	rm -rf "$tree"
}

modules_for() { # DIRECTORY MODULE: their files, what is needed first first
	awk -v m="/$2.ko" '{
		file = $1; sub(":$", "", file); plain = file; sub("\\.xz$", "", plain)
		if (substr(plain, length(plain) - length(m) + 1) == m) {
			for (i = NF; i > 1; i--) print $i
			print file
		}
	}' "$1/modules.dep"
}

# ---- the guest -----------------------------------------------------------------------

# boot KERNEL SECONDS ACCEL WORDS-FOR-THE-KERNEL OPTION...: its status is timeout's.  In the
# background, so that a signal to us ends it at once.
boot() {
	local k=$1 seconds=$2 accel=$3 words=$4 cpu=max
	shift 4
	[ "$accel" = kvm ] && cpu=host
	timeout --kill-after=3 "$seconds" \
		nice -n "${JPX_VM_NICE:-5}" qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -smp "${JPX_VM_CPUS:-2}" -m "${JPX_VM_MEMORY:-2048}" \
		-nodefaults -no-user-config -display none -nic none -no-reboot \
		-kernel "$vm/$k"/boot/vmlinuz-* -initrd "$vm/$k/initramfs" \
		-append "console=ttyS0 loglevel=5 panic=-1 mitigations=off no_timer_check $words" "$@" </dev/null >"$job/qemu" 2>&1 &
	qemu=$!
	tail -f -s 0.2 -c +1 --pid="$qemu" "$job/out" &
	local printer=$! status
	wait "$qemu"
	status=$?
	qemu=
	wait "$printer"
	return "$status"
}

# There may be a /dev/kvm on which guests hang: believed is only one that booted, since this machine was.
accelerator() {
	local known=$vm/accel boot_id
	boot_id=$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -w /dev/kvm ]; then
		echo tcg
	elif [ "$(cut -d' ' -f1 "$known" 2>/dev/null)" = "$boot_id" ]; then
		cut -d' ' -f2 "$known"
	else
		boot 6.1 10 kvm jpx.try -serial "file:$job/try"
		if grep -q '^jpx: up' "$job/try" 2>/dev/null; then echo kvm; else echo tcg; fi |
			tee "$job/accel"
		echo "$boot_id $(cat "$job/accel")" >"$job/known" && mv "$job/known" "$known"
	fi
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	# timeout passes it on to qemu, and sees that qemu obeys.
	[ -z "$qemu" ] || { kill "$qemu" && wait "$qemu"; } 2>/dev/null
	rm -rf "$job"
}

run() { # KERNEL SECONDS COMMAND...
	local k=$1 seconds=$2 accel status try log=${JPX_BUILD:-build}/log/vm-$1 fs=local,readonly=on,security_model=none,multidevs=remap
	shift 2
	needs qemu-system-x86_64
	fetch
	qemu=
	job=$(mktemp -d "$vm/job.XXXXXX") || die "cannot write to $vm"
	trap clean_up EXIT
	trap 'exit 130' HUP INT TERM
	: >"$job/out"
	accel=$(accelerator)
	cp scripts/vm-guest "$job/guest"
	mkdir "$job/log"
	{
		printf 'export JPX_KERNEL=%q JPX_PATIENCE=%q\n' "$k" "${JPX_PATIENCE:-$([ "$accel" = kvm ] && echo 1 || echo 5)}"
		printf 'build=%q modules=%q\n' "${JPX_BUILD:-build}" "$vm/$k/lib/modules"
		printf 'cd %q || exit\ncommand=(' "$PWD"
		printf ' %q' "$@"
		echo ' )'
	} >"$job/job"
	for try in 1 2; do
		boot "$k" "$seconds" "$accel" "" -serial "file:$job/console" \
			-device virtio-serial-pci -chardev "file,id=out,path=$job/out" -device virtserialport,chardev=out \
			-fsdev "$fs,id=root,path=/" -device virtio-9p-pci,fsdev=root,mount_tag=root \
			-fsdev "local,id=job,path=$job,security_model=none" -device virtio-9p-pci,fsdev=job,mount_tag=job
		status=$?
		# A kernel that panics before it has begun with the job has met an accident of emulation: one CPU
		# runs code that the other is just patching.
		[ "$status" = 0 ] && [ ! -e "$job/begun" ] && [ ! -e "$job/status" ] && [ $try = 1 ] || break
		say "the guest ended while it booted on $k ($accel); once more"
		mv "$job/console" "$job/log/console.first"
	done
	rm -rf "$log"
	mkdir -p "$log"
	cp -r "$job/console" "$job/log/." "$log"
	if [ -s "$job/status" ]; then
		exit "$(cat "$job/status")"
	elif [ "$status" = 124 ] || [ "$status" = 137 ]; then
		say "not done within $seconds s on $k ($accel): ended"
		exit 124
	fi
	cat "$job/qemu" >&2
	tail -n 15 "$job/console" >&2
	die "the guest ended without an exit status on $k ($accel); see $log/console"
}

usage() {
	sed -n '8,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

case ${1:-} in
fetch) [ $# = 1 ] || usage; fetch ;;
6.1 | 6.12) [ $# -ge 3 ] && [ "$2" -gt 0 ] 2>/dev/null || usage; run "$@" ;;
*) usage ;;
esac
