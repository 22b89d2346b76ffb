#!/usr/bin/env bash
# lockd on a real systemd, a real kernel and a real GPIO chip, in an emulated ARM64 machine.
#
#   tests/vm/run.sh [TRIAL...]   builds what is missing, boots, tries everything, and says so
#
# QEMU's machine `virt` has a PL061 GPIO chip, which Debian's kernel drives like any other.
# tests/vm/inside.py is what is tried. Needs Debian's packages qemu-system-arm,
# qemu-user-static, mmdebstrap and device-tree-compiler, root for building the file system,
# and Debian's mirrors and PyPI the first time; what was built stays in the cache.
# Nothing of it needs KVM: the processor is emulated, and slow. So slow that pip does its work
# out here: the machine gets lockd's virtual environment made, and the rest of the installation
# is done in there.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/../.."

cache=${LOCKD_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockd-vm}
limit_s=${LOCKD_VM_LIMIT_S:-3600}
python=.venv/bin/python
[[ -x $python ]] || python=${PYTHON:-python3}

skip() {
    echo "skipped: $1"
    exit 0
}
missing=()
for program in qemu-system-aarch64:qemu-system-arm qemu-aarch64-static:qemu-user-static \
    mmdebstrap:mmdebstrap dtc:device-tree-compiler cpio:cpio; do
    command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
done
if ((${#missing[@]})); then
    skip "the emulated machine needs: apt-get install --no-install-recommends ${missing[*]}"
fi
mkdir -p "$cache"

# --- the file system: Debian 12 for ARM64, without a kernel ------------------------------
if [[ ! -s $cache/root.tar ]]; then
    ((EUID == 0)) || skip "building the file system for the first time needs root"
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null || true
    [[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]] || update-binfmts --enable qemu-aarch64
    echo "* building Debian for ARM64; under emulation this takes ten minutes or more"
    mmdebstrap --quiet --arch=arm64 --variant=minbase \
        --include=systemd-sysv,systemd,udev,dbus,kmod,python3,python3-venv,mosquitto,mosquitto-clients,procps \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$cache/root.tar.part"
    mv "$cache/root.tar.part" "$cache/root.tar"
fi

# --- the kernel, and the few of its modules that are used ----------------------------------
if [[ ! -s $cache/vmlinuz ]]; then
    echo "* fetching Debian's kernel for ARM64"
    lists=$cache/apt && mkdir -p "$lists/lists/partial"
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian bookworm main" >"$lists/sources.list"
    options=(-o "Dir::Etc::sourcelist=$lists/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$lists/lists" -o Dir::State::status=/dev/null
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root)
    apt-get -qq "${options[@]}" update
    package=$(apt-cache "${options[@]}" depends linux-image-arm64 | awk '/Depends:/ { print $2; exit }')
    rm -f "$cache"/linux-image-*.deb
    (cd "$cache" && apt-get -qq "${options[@]}" download "$package")
    rm -rf "$cache/kernel" && dpkg-deb -x "$cache"/linux-image-*.deb "$cache/kernel"
    cp "$cache"/kernel/boot/vmlinuz-* "$cache/vmlinuz"
fi

# --- lockd's dependencies for that machine -------------------------------------------------
platforms=()
for libc in manylinux2014 manylinux_2_{17,27,28,31,34,35,36}; do
    platforms+=(--platform "${libc}_aarch64")
done
if [[ ! requirements.lock -ot $cache/wheels/.complete ]]; then
    echo "* fetching wheels for ARM64"
    rm -rf "$cache/wheels"
    "$python" -m lockd.commands.install.lock pi >"$cache/locked.txt"
    "$python" -m pip download --quiet --disable-pip-version-check --dest "$cache/wheels" \
        --only-binary=:all: --python-version 3.11 "${platforms[@]}" \
        --require-hashes --requirement "$cache/locked.txt"
    touch "$cache/wheels/.complete"
fi

# --- what the camera will see, and lockd as it is here ---------------------------------------
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" tests/vm/pictures.py "$work/pictures"
mkdir "$work/source"
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory "$work/source"

# --- lockd's virtual environment, put together by a Python of the same version ------------------
echo "* putting lockd's environment together"
environment=$work/environment
packages=$environment/lib/python3.11/site-packages
mkdir -p "$environment/bin" "$packages"
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work" "$work/source"
"$python" -m pip install --quiet --disable-pip-version-check --no-index --find-links "$cache/wheels" \
    --only-binary=:all: --implementation cp --python-version 3.11 "${platforms[@]}" \
    --target "$packages" "lgpio>=0.2.2" "$work"/lockd-*.whl
mv "$packages/share" "$environment/share"
rm -rf "$packages/bin"
ln -s /usr/bin/python3 "$environment/bin/python"
printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$environment/pyvenv.cfg"
for command in lockd:lockd.__main__ lockd-enroll:enroll.cli; do
    printf '#!/opt/lockd/.venv/bin/python\nimport sys\nfrom %s import main\nsys.exit(main())\n' \
        "${command#*:}" >"$environment/bin/${command%:*}"
    chmod 755 "$environment/bin/${command%:*}"
done
touch "$environment/.complete"

# --- the machine's memory disk: the file system, the modules, and what it does at its start ------
root=$work/root
mkdir "$root"
tar --extract --file "$cache/root.tar" --directory "$root" --exclude './dev/*'
version=$(ls "$cache/kernel/lib/modules")
modules=$root/usr/lib/modules/$version
mkdir -p "$modules/kernel"
cp "$cache/kernel/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$modules"
for part in fs/9p net/9p fs/netfs fs/fscache drivers/virtio; do
    [[ -e $cache/kernel/lib/modules/$version/kernel/$part ]] || continue
    mkdir -p "$modules/kernel/$part"
    cp -r "$cache/kernel/lib/modules/$version/kernel/$part/." "$modules/kernel/$part"
done
depmod -b "$root" "$version"
echo vm >"$root/etc/hostname"
echo 127.0.0.1 localhost vm broker.lan >"$root/etc/hosts"
# The documents say sudo; here everybody is root.
printf '#!/bin/sh\nexec "$@"\n' >"$root/usr/local/bin/sudo"
chmod 755 "$root/usr/local/bin/sudo"
cp -a "$environment" "$root/opt/environment"
mkdir -p "$root"/mnt/{source,pictures} "$root/etc/systemd/system/graphical.target.wants"
cat >"$root/etc/systemd/system/trials.service" <<UNIT
[Unit]
Description=What is tried here
After=multi-user.target

[Service]
Type=oneshot
Environment=PYTHONUNBUFFERED=1
ExecStartPre=/sbin/modprobe 9pnet_virtio
ExecStartPre=/bin/sh -c 'for one in source pictures; do \\
    mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose \$\$one /mnt/\$\$one; done'
ExecStart=/usr/bin/python3 -B /mnt/source/tests/vm/inside.py $*
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyAMA0
UNIT
ln -s ../trials.service "$root/etc/systemd/system/graphical.target.wants/"
ln -s /dev/null "$root/etc/systemd/system/serial-getty@ttyAMA0.service"
ln -s /dev/null "$root/etc/systemd/system/apt-daily.timer"
ln -s /dev/null "$root/etc/systemd/system/apt-daily-upgrade.timer"
(cd "$root" && find . | cpio --quiet --create --format newc) >"$work/disk.cpio"
rm -rf "$root"

# --- the machine -----------------------------------------------------------------------------
machine=(-machine virt -cpu cortex-a72 -smp 2 -m 3072 -accel tcg,thread=multi -nographic
    -no-reboot -nic none)
for share in "source $work/source" "pictures $work/pictures"; do
    machine+=(-fsdev "local,id=${share% *},path=${share#* },security_model=none,readonly=on"
        -device "virtio-9p-pci,fsdev=${share% *},mount_tag=${share% *}")
done
machine+=(-kernel "$cache/vmlinuz" -initrd "$work/disk.cpio"
    -append "console=ttyAMA0 rdinit=/sbin/init panic=-1 quiet systemd.show_status=0")
# gpiozero asks the device tree which Raspberry Pi this is: a Pi 4.
tree=$work/virt.dtb
qemu-system-aarch64 -machine "virt,dumpdtb=$tree" "${machine[@]:2}" >/dev/null 2>&1
fdtput --create "$tree" /system
fdtput --type x "$tree" /system linux,revision c03115
echo "* starting the machine; everything takes long in there"
timeout "$limit_s" qemu-system-aarch64 "${machine[@]}" -dtb "$tree" </dev/null | tee "$work/log" |
    sed -un 's/^vm: //p' || true
grep -q '^vm: 0 failed' "$work/log"
