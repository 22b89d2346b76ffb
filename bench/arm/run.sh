#!/bin/sh
# Counts the ARM64 instructions of what a door does, on any Linux computer.
#
#   bench/arm/run.sh [--stage NAME]... [--json FILE]
#
# QEMU's user-mode emulator runs the ARM64 builds of Python, NumPy, OpenCV and the TFLite runtime as a
# Cortex-A72 (Raspberry Pi 4) and as a Cortex-A76 (Pi 5), and a plugin counts. The first time it sets up
# a tree of 400 MB in $LOCKD_ARM, by default ~/.cache/lockd-arm, from Debian and PyPI. That needs
# the packages qemu-user, mmdebstrap, gcc and unzip, and somebody who may make device nodes (root).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=${LOCKD_ARM:-${XDG_CACHE_HOME:-$HOME/.cache}/lockd-arm}
python=${PYTHON:-python3}

for tool in qemu-aarch64 mmdebstrap gcc unzip; do
    command -v "$tool" >/dev/null || {
        echo "error: $tool is missing; apt-get install qemu-user mmdebstrap gcc unzip" >&2
        exit 1
    }
done

if [ ! -e "$tree/ready" ]; then
    echo "setting up $tree (some minutes)" >&2
    rm -rf "$tree"
    mkdir -p "$tree/wheels" "$tree/site"
    mmdebstrap --quiet --variant=extract --architectures=arm64 \
        --include=python3.11,libstdc++6,libgomp1 bookworm "$tree/root"
    "$python" -m pip download --quiet --dest "$tree/wheels" --only-binary=:all: \
        --python-version 3.11 --implementation cp --platform manylinux2014_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux_2_28_aarch64 ai-edge-litert numpy opencv-python-headless
    for wheel in "$tree"/wheels/*.whl; do
        unzip -q -o "$wheel" -d "$tree/site"
    done
    gcc -O2 -shared -fPIC -o "$tree/instructions.so" "$here/instructions.c"
    # What programs ask of the kernel about the processor, they ask of this tree.
    mkdir -p "$tree/root/proc" "$tree/root/sys/devices/system/cpu"
    for list in possible present online; do
        echo 0-3 >"$tree/root/sys/devices/system/cpu/$list"
    done
    echo 3 >"$tree/root/sys/devices/system/cpu/kernel_max"
    touch "$tree/ready"
fi

cd "$here/../.."
exec "$python" -m bench.arm "$tree" "$@"
