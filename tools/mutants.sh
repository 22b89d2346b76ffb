#!/usr/bin/env bash
# Alters what decides about the door, and about commands from afar, in every small way and looks
# whether the tests notice.
#
#   tools/mutants.sh                              all of it; goes on where it was stopped
#   tools/mutants.sh "lockd.door.lockout.*"       some of it, again
#   tools/mutants.sh --max-children 1             with one process instead of one for each core
#
# docs/mutation.md explains what is left over. mutmut makes and runs the mutants; it has an
# environment of its own, so that the tests' own stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv-mutants
wanted=$({
    pwd
    cat pyproject.toml
} | sha256sum)
if [[ ! -f $venv/.lockd || $(<"$venv/.lockd") != "$wanted" ]]; then
    echo "* Making $venv (a minute or two, once)"
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --editable ".[mutation]" </dev/null
    # Of files that were not altered by the settings before, mutmut would make no mutants.
    rm -rf mutants
    printf '%s\n' "$wanted" >"$venv/.lockd"
fi

"$venv/bin/mutmut" run "$@"
echo "* Left over, if anything ($venv/bin/mutmut show NAME shows one of them):"
"$venv/bin/mutmut" results | { grep -v ': not checked$' || true; }
