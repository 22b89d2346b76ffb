#!/usr/bin/env bash
# Tries Debian's package in a clean Debian: installs an earlier version, updates, goes back, removes,
# installs again and purges; has the service and the console run; kills dpkg in the midst of updates and
# installations (tools/kill_deb.py). Types docs/quick-start.md.
#
#   tools/test-deb.sh [--suite bookworm|trixie] [--arch amd64|arm64] [--kills N] [DEB]
#
# Without DEB tools/deb.sh builds it, twice, and both must be the same. Needs what that needs, and lintian; for
# another processor qemu-user-static and binfmt-support, too.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

suite=bookworm arch=$(dpkg --print-architecture) kills=5 deb=
while (($#)); do
    case $1 in
        --suite) suite=$2 && shift 2 ;;
        --arch) arch=$2 && shift 2 ;;
        --kills) kills=$2 && shift 2 ;;
        *.deb) deb=$(realpath "$1") && shift ;;
        *) echo "usage: tools/test-deb.sh [--suite SUITE] [--arch ARCH] [--kills N] [DEB]" >&2 && exit 2 ;;
    esac
done
work=$(mktemp -d)
root=$work/root
finish() {
    for place in dev/null proc; do mountpoint -q "$root/$place" && umount "$root/$place"; done
    rm -rf --one-file-system "$work"
}
trap finish EXIT
passed=0
ok() { passed=$((passed + 1)) && echo "ok: $*"; }
fail() { echo "FAILED: $*" >&2 && exit 1; }

if [[ -z $deb ]]; then
    for turn in 1 2; do tools/deb.sh --suite "$suite" --arch "$arch" --out "$work/$turn" >/dev/null; done
    deb=$(echo "$work"/1/*.deb)
    cmp "$deb" "$work"/2/*.deb || fail "two builds of one commit differ"
    ok "two builds of one commit are the same, byte for byte"
fi
lintian --fail-on error --suppress-tags bad-distribution-in-changes-file "$deb" || fail "lintian"
ok "lintian finds no error"

# An earlier version: the same, but for its number and a remark in the configuration and in all of lockd.
dpkg-deb -R "$deb" "$work/old"
sed -i 's/^Version: .*/Version: 0.1.9/' "$work/old/DEBIAN/control"
echo "# of an earlier version" >>"$work/old/etc/lockd/lockd.yaml"
find "$work/old" -path '*-packages/lockd/*.py' -exec sed -i '$a # of an earlier version' {} +
for end in 0-begins z-ends; do echo "an earlier version" >"$work/old/usr/lib/lockd/$end"; done
(cd "$work/old" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -Znone -b "$work/old" "$work/old.deb" >/dev/null

cache=${LOCKD_DEB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockd-deb}
base=$cache/clean-$suite-$arch.tar
mkdir -p "$cache"
if [[ ! -s $base ]]; then
    mmdebstrap --quiet --arch="$arch" --variant=minbase --include=ca-certificates,python3,systemd \
        "$suite" "${base%.tar}.part.tar"
    mv "${base%.tar}.part.tar" "$base"
fi
mkdir "$root" && chmod 755 "$work" "$root"
tar -xf "$base" -C "$root"
cp "$deb" "$root/new.deb"
cp "$work/old.deb" "$root/old.deb"
cp /etc/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod +x "$root/usr/sbin/policy-rc.d"
# There is no systemd in here: what only one that runs could do is left out.
cat >"$root/usr/local/bin/systemctl" <<'END'
#!/bin/sh
for word; do
    shift
    [ "$word" = --now ] || set -- "$@" "$word"
done
case $1 in
enable | disable) exec /usr/bin/systemctl "$@" ;;
is-active) echo inactive && exit 3 ;;
esac
END
chmod +x "$root/usr/local/bin/systemctl"
mount -t proc proc "$root/proc"
inside() { chroot "$root" env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"; }
apt() { inside apt-get -qq -y -o Dpkg::Options::=--force-confold "$@" >"$work/log" 2>&1 || { cat "$work/log" && fail "apt-get $*"; }; }
version() { inside dpkg-query -W -f '${Version}' lockd; }
people() { inside lockd-enroll list --json | python3 -c 'import json, sys; print(*(one["name"] for one in json.load(sys.stdin)))'; }
new_version=$(dpkg-deb -f "$deb" Version)

inside apt-get -qq update
apt install /old.deb
grep -q "kept in /var/lib/lockd for 30 days" "$work/log" || fail "nothing is said of what is kept"
[[ $(inside lockd --version) == "lockd, version "* ]] || fail "lockd --version"
[[ $(inside stat -c '%a %U %G' /etc/lockd/lockd.yaml /var/lib/lockd | xargs) == "640 root lockd 700 lockd lockd" ]] ||
    fail "rights: $(inside stat -c '%a %U %G' /etc/lockd/lockd.yaml /var/lib/lockd | xargs)"
[[ -L $root/etc/systemd/system/multi-user.target.wants/lockd.service ]] || fail "the service is not enabled"
inside systemd-analyze verify --man=no lockd.service || fail "systemd-analyze verify"
ok "installed: user, folders, rights, an enabled service"

inside lockd check-config >/dev/null || fail "check-config"
share=/usr/lib/lockd/share/lockd
inside lockd replay $share/demo/porch.mp4 --gallery $share/demo/people --liveness off >"$work/seen" || fail "replay"
grep -q access_granted "$work/seen" && grep -q '"stranger"' "$work/seen" || fail "the door did not open: $(cat "$work/seen")"
ok "the door opens in the film, and does not for the stranger"

# What an owner does.
inside sh -c 'lockd-enroll folder '$share'/demo/people >/dev/null' || fail "enrolling"
before=$(people)
[[ -n $before ]] || fail "nobody is enrolled"
sed -i 's/^  name: Front door/  name: Back door/' "$root/etc/lockd/lockd.yaml"
cp "$root/etc/lockd/lockd.yaml" "$work/owners.yaml"

kept() {
    cmp -s "$root/etc/lockd/lockd.yaml" "$work/owners.yaml" || fail "$1: the owner's configuration is another"
    [[ $(people) == "$before" ]] || fail "$1: people: $(people)"
    inside lockd store check >/dev/null || fail "$1: the store is not whole"
    [[ $(inside stat -c '%a %U %G' /etc/lockd/lockd.yaml) == "640 root lockd" ]] || fail "$1: rights"
    ok "$1: configuration and people are what they were"
}
apt install /new.deb
[[ $(version) == "$new_version" ]] || fail "not updated: $(version)"
kept "updated"
apt install --allow-downgrades /old.deb
[[ $(version) == 0.1.9 ]] || fail "not gone back: $(version)"
kept "gone back"

# Not pressed, so that more of it can be killed in the same time.
dpkg-deb -R "$deb" "$work/plain"
dpkg-deb --root-owner-group -Znone -b "$work/plain" "$root/plain.deb" >/dev/null
rm -rf "$work/plain"
python3 -B tools/kill_deb.py "$root" /old.deb /plain.deb --kills "$kills" || fail "killed in the midst"
rm "$root/plain.deb"
ok "$kills updates and installations killed: the old version, the new one or none; the door locked; mended by apt"

apt install /new.deb
runs_in_there() {
    # With loopback alone. The service's configuration is the film's, its relay a simulated one.
    unshare --net -- bash -c 'ip link set lo up && exec chroot "$@"' - "$root" sh -euc '
        mkdir -p /run/lockd && chown lockd: /run/lockd
        sed "s:\.\./demo:'$share'/demo:; s:folder\: .*:folder\: /var/lib/lockd:; s:socket\: .*:socket\: /run/lockd/control:" \
            '$share'/config/try.yaml >/etc/lockd/try.yaml
        RUNTIME_DIRECTORY=/run/lockd runuser -u lockd -- lockd run --config /etc/lockd/try.yaml >/run/said 2>&1 &
        runuser -u lockd-console -- lockd console run >>/run/said 2>&1 &
        python3 -c "
import sys, time, urllib.request
for _ in range(600):
    try:
        urllib.request.urlopen(\"http://127.0.0.1:8443/\")
    except urllib.error.HTTPError as error:
        print(error.code)
        sys.exit()
    except OSError:
        time.sleep(0.5)
sys.exit(\"the console does not answer\")" || { cat /run/said; exit 1; }
        kill %1 %2 || true; wait || true; rm -r /run/lockd /etc/lockd/try.yaml'
}
inside lockd install --console >"$work/log" 2>&1 || { cat "$work/log" && fail "lockd install --console"; }
[[ -L $root/etc/systemd/system/multi-user.target.wants/lockd-console.service ]] || fail "the console is not enabled"
inside systemd-analyze verify --man=no lockd-console.service || fail "systemd-analyze verify lockd-console"
echo "correct horse battery" | inside lockd console user add ada --role administrator >/dev/null || fail "console user add"
[[ $(runs_in_there) == 401 ]] || fail "service and console"
ok "service and console run, and ask who is there"
apt remove lockd
[[ ! -e $root/usr/lib/lockd && ! -e $root/usr/bin/lockd ]] || fail "removed, and still there: $(ls "$root/usr/lib/lockd")"
cmp -s "$root/etc/lockd/lockd.yaml" "$work/owners.yaml" || fail "removed, and the configuration with it"
[[ -e $root/var/lib/lockd/lockd.db ]] || fail "removed, and everybody with it"
[[ -z $(find "$root/etc" -path '*lockd-console.*') ]] || fail "removed, and the console's unit is still there"
ok "removed: the program is gone, configuration and people stay"
apt install /new.deb
kept "installed again"
apt purge lockd
grep -q "biometric" "$work/log" || fail "purge does not say what it deletes"
left=$(inside find /etc /var /usr /opt /run -xdev -regextype posix-extended -regex '.*/([0-9]+-)?lockd[^/]*' \
    -not -path '/var/cache/*' -not -path '/var/log/*')
[[ -z $left ]] || fail "purged, and there is still: $left"
inside getent passwd lockd >/dev/null && fail "purged, and the user is still there"
ok "purged: nothing is left, and what was biometric was said"
# The card's image: its stage, as pi-gen runs it, and then its first start.
on_chroot() { inside bash -e; }
export -f on_chroot inside
export root
mkdir -p "$root/boot/firmware" && echo "console=tty1 rootwait" >"$root/boot/firmware/cmdline.txt"
(cd image/stage-lockd/00-lockd && ROOTFS_DIR=$root LOCKD_DEB=$deb ./01-run.sh) >"$work/log" 2>&1 || { cat "$work/log" && fail "image"; }
[[ ! -e $root/etc/systemd/system/multi-user.target.wants/lockd.service ]] || fail "image: the service is enabled before it is set up"
first_start() { inside /usr/lib/lockd/bin/python3 -P /usr/local/lib/lockd-setup/first_boot.py >"$work/log" 2>&1; }
first_start && fail "image: set up without a relay's level"
grep -q "relay.level" "$root/boot/firmware/lockd-setup.txt" || fail "image: $(cat "$work/log")"
sed -i 's/^  level:.*/  level: low/; s/^password:.*/password: correct horse battery/' "$root/boot/firmware/lockd-setup.yaml"
first_start || { cat "$work/log" && fail "image: the first start"; }
[[ ! -e $root/boot/firmware/lockd-setup.yaml ]] || fail "image: the password is still on the card"
inside lockd check-config >"$work/log" 2>&1 || { cat "$work/log" && fail "image: check-config"; }
inside lockd console user list --state /var/lib/lockd-console | grep -q "^ada .*administrator" || fail "image: no administrator"
for unit in lockd lockd-console; do
    [[ -L $root/etc/systemd/system/multi-user.target.wants/$unit.service ]] || fail "image: $unit is not enabled"
done
inside runuser -u lockd-console -- cat /etc/lockd-console/console.key >/dev/null || fail "image: the console cannot read its key"
ok "a card's first start makes a door and an administrator of its owner's words"
echo "$passed passed, 0 failed"
