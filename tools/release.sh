#!/usr/bin/env bash
# Makes a release of the commit that is checked out, into dist/:
#
#   tools/release.sh [--key FILE] [--debs "bookworm/amd64 bookworm/arm64 trixie/arm64"] [--index FILE]
#
# Wheel and source, built twice and compared; Debian packages (root); a bill of materials (CycloneDX) with
# licences; SHA256SUMS; and, with the project's Ed25519 key, the signed list that `lockd update` reads:
# --index names the one of before, which the new version is added to.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

key='' debs='' index=''
while (($#)); do
    case $1 in
        --key) key=$2 && shift 2 ;;
        --debs) debs=$2 && shift 2 ;;
        --index) index=$2 && shift 2 ;;
        *) echo "usage: tools/release.sh [--key FILE] [--debs \"SUITE/ARCH ...\"] [--index FILE]" >&2 && exit 2 ;;
    esac
done
fail() { echo "release: $*" >&2 && exit 1; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
dated=$(sed -n "s/^## \[$version\] - \([0-9-]*\)$/\1/p" CHANGELOG.md)
[[ -n $dated ]] || fail "CHANGELOG.md has no dated entry for $version"
[[ -z $(git status --porcelain) ]] || fail "there are changes that are not committed"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

tool=.venv-lock
[[ -x $tool/bin/python ]] || python3 -m venv $tool
python3 -m lockd.commands.install.lock >$tool/run.txt
$tool/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $tool/run.txt
$tool/bin/pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7,<8'

rm -rf dist && mkdir dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() { # the commit as it is, whoever builds it
    mkdir -p "$work/$1/tree" "$work/$1/out"
    git archive HEAD | tar -x -C "$work/$1/tree" --mode=u=rwX,go=rX
    local what
    for what in wheel sdist; do # each in a process of its own, for setuptools remembers
        (cd "$work/$1/tree" && umask 022 && "$OLDPWD/$tool/bin/python" -c "
from setuptools import build_meta
build_meta.build_$what('$work/$1/out')" >/dev/null)
    done
}
build 1
build 2
cmp "$work"/1/out/*.whl "$work"/2/out/*.whl || fail "two builds of the wheel differ"
# A tar has the time of each file in it: written anew, in order and of one time.
for file in "$work"/[12]/out/*.tar.gz; do
    (cd "$(dirname "$file")" && mkdir s && tar -xzf "$(basename "$file")" -C s && rm "$(basename "$file")" &&
        tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar \
            -C s -c . --transform 's,^\./,,' | gzip -n -9 >"$(basename "$file")")
done
cmp "$work"/1/out/*.tar.gz "$work"/2/out/*.tar.gz || fail "two builds of the source differ"
cp "$work"/1/out/*.whl "$work"/1/out/*.tar.gz dist/

for one in $debs; do tools/deb.sh --suite "${one%/*}" --arch "${one#*/}" --out dist; done

$tool/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --of JSON \
    -o "dist/lockd-$version.cdx.json" $tool/bin/python
(cd dist && sha256sum -- * >SHA256SUMS)
if [[ -n $key ]]; then
    $tool/bin/python tools/release_index.py "$version" "$dated" "$key" ${index:+"$index"}
fi
ls -l dist
