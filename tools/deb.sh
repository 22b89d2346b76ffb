#!/usr/bin/env bash
# Builds Debian's package of lockd, in a Debian of its own that this makes once:
#
#   tools/deb.sh [--suite bookworm|trixie] [--arch amd64|arm64]      into dist/
#
# Needs root, mmdebstrap, Debian's mirrors, and PyPI for what requirements.lock names, which is checked by
# its hashes. The build itself has no network, and is the same for another processor, for nothing is
# compiled. Two builds of one commit are the same, byte for byte.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

suite=bookworm arch=$(dpkg --print-architecture) out=$PWD/dist
while (($#)); do
    case $1 in
        --suite) suite=$2 && shift 2 ;;
        --arch) arch=$2 && shift 2 ;;
        --out) out=$2 && shift 2 ;;
        *) echo "usage: tools/deb.sh [--suite SUITE] [--arch ARCH] [--out FOLDER]" >&2 && exit 2 ;;
    esac
done
case $suite in
    bookworm) release=12 extras="pi console display" ;;
    trixie) release=13 extras="console display" ;; # PyPI has no lgpio for its Python
    *) echo "deb: $suite: lockd is packaged for bookworm and trixie" >&2 && exit 2 ;;
esac
((EUID == 0)) || { echo "deb: making a Debian to build in needs root" >&2 && exit 1; }
command -v mmdebstrap >/dev/null || { echo "deb: apt-get install mmdebstrap" >&2 && exit 1; }

cache=${LOCKD_DEB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockd-deb}
mkdir -p "$cache" "$out"
base=$cache/build-$suite-$(dpkg --print-architecture).tar
if [[ ! -s $base ]]; then
    echo "* making a Debian to build in: $suite, $arch"
    mmdebstrap --quiet --variant=buildd \
        --include=ca-certificates,debhelper,python3,python3-pip,python3-venv "$suite" "${base%.tar}.part.tar"
    mv "${base%.tar}.part.tar" "$base"
fi

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
chmod 755 "$root"
tar -xf "$base" -C "$root"
tree=$root/build/lockd
mkdir -p "$tree"
# What is in the commit, or would be; the same rights for everybody who builds.
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read --mode=u=rwX,go=rX |
    tar --extract --directory "$tree"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
epoch=$(git log -1 --format=%ct)
{
    printf 'lockd (%s~deb%su1) %s; urgency=medium\n\n' "$version" "$release" "$suite"
    printf '  * See /usr/share/doc/lockd/changelog.gz.\n\n'
    printf ' -- the lockd authors <lockd@localhost>  %s\n' "$(LC_ALL=C date -uRd "@$epoch")"
} >"$tree/debian/changelog"

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    SOURCE_DATE_EPOCH="$epoch" PYTHONHASHSEED=0 "$@"; }

# --- what it is made of: fetched once for each lock, in the Python that will run it -------------
mkdir "$tree/wheels"
# shellcheck disable=SC2086  # some words
python3 -B -m lockd.commands.install.lock $extras >"$tree/wheels/all.txt"
wheels=$cache/wheels-$suite-$arch-$(sha256sum "$tree/wheels/all.txt" | cut -c1-16)
if [[ ! -e $wheels/.complete ]]; then
    echo "* fetching what requirements.lock names"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    inside sh -c 'cd /build/lockd && python3 -m pip download --quiet --no-cache-dir \
        --disable-pip-version-check --only-binary=:all: --require-hashes --dest wheels --requirement wheels/all.txt \
        $(debian/foreign "$0")' "$arch"
    rm -rf "$wheels" && cp -r "$tree/wheels" "$wheels" && touch "$wheels/.complete"
fi
rm -rf "$tree/wheels" && cp -r "$wheels" "$tree/wheels"

echo "* building lockd $version for Debian $release, $arch"
inside unshare --net sh -euc '
    cd /build/lockd
    umask 022
    python3 -m venv /build/builder
    /build/builder/bin/pip install --quiet --no-index --find-links wheels --upgrade setuptools
    /build/builder/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels .
    rm -rf build ./*.egg-info
    cp wheels/all.txt wheels/locked.txt
    dpkg-buildpackage --host-arch "$0" --no-check-builddeps --build=binary --unsigned-changes --unsigned-buildinfo >/build/log 2>&1 || { tail -40 /build/log; exit 1; }
' "$arch"
cp "$root"/build/lockd_*.deb "$out/"
ls -l "$out/lockd_${version}~deb${release}u1_$arch.deb"
