#!/usr/bin/env bash
# Holds what lockd tells Home Assistant to Home Assistant's own code: every message that settings
# can lead to against its schemas, and then a running Home Assistant at a broker with a door.
#
#   tools/check-home-assistant.sh                       the newest when first run, then the same
#   HOME_ASSISTANT=2026.11.0 tools/check-home-assistant.sh
#
# Home Assistant wants a newer Python than the Debian that lockd runs on. So it lives in a Debian
# testing of its own below $XDG_CACHE_HOME/lockd (1 GB; remove the folder when you have done).
# Needs root, Debian and the network. Loads nothing into this system but debootstrap.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/lockd/home-assistant
root=$cache/debian
wanted=${HOME_ASSISTANT:-newest}
lockd=${PYTHON:-.venv/bin/python}

say() { printf '* %s\n' "$*"; }
if ((EUID)); then
    echo "a Debian in a folder takes root: run it with sudo" >&2
    exit 1
fi

# What is mounted in there is gone when the command ends, whatever becomes of it.
inside() {
    unshare --mount --fork --kill-child sh -c \
        'mount --bind /proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$@"' \
        "$root" "$root" env -i PATH=/opt/ha/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        SSL_CERT_FILE=/etc/ssl/certs/host.crt PIP_CERT=/etc/ssl/certs/host.crt \
        PYTHONWARNINGS=ignore "$@"
}

if [[ ! -f $root/.complete ]]; then
    say "Making a Debian testing in $root"
    command -v debootstrap >/dev/null || apt-get install -qq -y debootstrap >/dev/null
    rm -rf "$root"
    mkdir -p "$cache"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        testing "$root" >"$cache/debootstrap.log" ||
        { tail -5 "$cache/debootstrap.log" >&2 && exit 1; }
    touch "$root/.complete"
fi
# This machine's network, and whom it trusts.
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/host.crt"

if [[ ! -f $root/opt/ha/.lockd || $(<"$root/opt/ha/.lockd") != "$wanted" ]]; then
    say "Installing Home Assistant ($wanted)"
    cat >"$root/root/install.sh" <<'SH'
set -eu
rm -rf /opt/ha /opt/wheel
python3 -m venv /opt/ha
pip --quiet install uv
pip --quiet download --no-deps --dest /opt/wheel "homeassistant$1"
# Home Assistant says which versions of everything it was tried with.
python -c 'import glob, zipfile
wheel = zipfile.ZipFile(glob.glob("/opt/wheel/*.whl")[0])
print(wheel.read("homeassistant/package_constraints.txt").decode())' >/opt/wheel/constraints.txt
uv pip install --quiet --python /opt/ha/bin/python --constraints /opt/wheel/constraints.txt \
    /opt/wheel/*.whl paho-mqtt
SH
    version=""
    [[ $wanted == newest ]] || version="==$wanted"
    inside sh /root/install.sh "$version"
    printf '%s\n' "$wanted" >"$root/opt/ha/.lockd"
fi

work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
export PYTHONPATH=$PWD
rm -rf "$root/root/check"
cp -r tools/home_assistant "$root/root/check"
cp -r config/home_assistant "$root/root/check/blueprints"
cp tests/data/home_assistant.json docs/home-assistant.md "$root/root/check/"

say "Every message, held to its schemas"
"$lockd" tools/home_assistant/messages.py >"$work/messages"
inside python /root/check/schemas.py /root/check/home_assistant.json <"$work/messages"

say "A running Home Assistant, a broker and a door"
port=$("$lockd" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$work/mosquitto.conf"
"$(command -v mosquitto || echo /usr/sbin/mosquitto)" -c "$work/mosquitto.conf" &>"$work/broker.log" &
started+=($!)
timeout 30 bash -c 'until (exec 3<>"/dev/tcp/127.0.0.1/$0") 2>/dev/null; do sleep 0.1; done' "$port"

# The recorded porch of the demo, and the two of its visitors who are enrolled.
cat >"$work/lockd.yaml" <<YAML
door: {id: front_door, name: Front door, open_s: 2}
camera: {source: $PWD/demo/porch.mp4}
relay: {factory: mock}
store: {folder: $work/store}
mqtt:
  host: 127.0.0.1
  port: $port
  diagnostics_s: 2
  snapshot: {of: face}
  commands: {plain: [lock, unlock, lock-down, lift, silence, snapshot]}
  home_assistant: {discovery: true}
YAML
"$lockd" -m enroll folder demo/people --config "$work/lockd.yaml" >"$work/enrolled" ||
    { cat "$work/enrolled" >&2 && exit 1; }
ready=$root/root/check/ready
(
    until [[ -e $ready ]]; do sleep 0.1; done
    exec "$lockd" -m lockd run --config "$work/lockd.yaml"
) &>"$work/lockd.log" &
started+=($!)

"$lockd" tools/home_assistant/messages.py --story >"$root/root/check/story.json"
cat >"$root/root/check/run.sh" <<'SH'
cd /root/check
exec timeout 300 python live.py "$1" story.json blueprints home-assistant.md ready
SH
inside sh /root/check/run.sh "$port" || { tail -20 "$work/lockd.log" >&2 && exit 1; }
