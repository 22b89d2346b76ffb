#!/bin/sh
# Times lockd's recognition beside PyPI mtcnn + Keras FaceNet on one frame.
#
#   bench/compare/run.sh [--threads 2] [--rounds 15]
#
# The first time it downloads TensorFlow (600 MB) and the weights (90 MB) into
# .venv-bench in the repository's root. PYTHON chooses the interpreter.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
venv=.venv-bench
wanted=$(sha256sum bench/compare/requirements.txt models/build/requirements.txt)

if [ "$(cat $venv/requirements.sha256 2>/dev/null)" != "$wanted" ]; then
    echo "setting up $venv (TensorFlow, a few minutes)"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --requirement bench/compare/requirements.txt
    "$venv/bin/python" -m pip install --quiet --no-deps --editable .
    echo "$wanted" >"$venv/requirements.sha256"
fi

export TF_CPP_MIN_LOG_LEVEL=3 GLOG_minloglevel=3 CUDA_VISIBLE_DEVICES=-1
exec "$venv/bin/python" -m bench.compare "$@"
