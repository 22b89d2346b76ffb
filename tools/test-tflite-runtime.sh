#!/usr/bin/env bash
# Runs the vision tests on tflite-runtime 2.14, the last of its name.
#
# lockd installs its successor, ai-edge-litert, and takes the older one where only that is
# there. An environment of its own is the only place where this can be tried: tflite-runtime
# has wheels up to Python 3.11, and was compiled for NumPy 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3.11}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    echo "tflite-runtime has no wheels after Python 3.11, and '$python' is not Python 3.11" >&2
    echo "  Debian 12 and Raspberry Pi OS Bookworm have it; PYTHON=/path/to/python3.11 takes another." >&2
    exit 1
fi

venv=.venv-tflite
wanted=$(sha256sum pyproject.toml tools/test-tflite-runtime.sh | sha256sum)
if [[ ! -f $venv/.lockd || $(<"$venv/.lockd") != "$wanted" ]]; then
    echo "* Making $venv with tflite-runtime 2.14.0 and NumPy 1"
    "$python" -m venv --clear "$venv"
    # lockd's own requirements, without the runtime that would be preferred.
    mapfile -t requirements < <("$venv/bin/python" - <<'PY'
import re
import tomllib

with open("pyproject.toml", "rb") as file:
    for requirement in tomllib.load(file)["project"]["dependencies"]:
        if re.split(r"[^A-Za-z0-9_.-]", requirement)[0] != "ai-edge-litert":
            print(requirement)
PY
    )
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        "tflite-runtime==2.14.0" "numpy<2" pytest hypothesis "${requirements[@]}" </dev/null
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --no-deps --editable . </dev/null
    printf '%s\n' "$wanted" >"$venv/.lockd"
fi

# Otherwise the tests would pass on the very runtime they are not about.
if "$venv/bin/python" -c 'import ai_edge_litert' 2>/dev/null; then
    echo "$venv has ai-edge-litert in it: remove $venv and start again" >&2
    exit 1
fi
exec "$venv/bin/python" -m pytest -q tests/vision "$@"
