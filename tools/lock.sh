#!/usr/bin/env bash
# Makes requirements.lock anew: the newest versions that pyproject.toml allows, with the hashes of all
# their files, for every platform. `lockd/commands/install/lock.py` says how it is used.
#
#   tools/lock.sh [--upgrade | --upgrade-package NAME]    what is locked stays, unless asked otherwise
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

tool=.venv-lock/bin/uv
if ! [[ -x $tool ]]; then
    python3 -m venv .venv-lock
    .venv-lock/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
fi
echo "# Made by \`make lock\`; never edit it." >requirements.lock.new
extras=()
for extra in browser build console demo display docs evaluate pi test; do extras+=(--extra "$extra"); done
cp requirements.lock .venv-lock/requirements.txt 2>/dev/null || true
"$tool" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --annotation-style line --output-file .venv-lock/requirements.txt "${extras[@]}" "$@" pyproject.toml
cat .venv-lock/requirements.txt >>requirements.lock.new
mv requirements.lock.new requirements.lock
