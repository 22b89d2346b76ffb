#!/usr/bin/env bash
# Everything `make demo` and `make test` need, from a bare Debian or Raspberry Pi OS on.
#
#   tools/bootstrap.sh demo     what it takes to run the demonstration
#   tools/bootstrap.sh test     that, and what it takes to check the code
#   tools/bootstrap.sh browser  that, and a browser to look at the console with
#
# Run it as often as you like: when nothing is missing it only compares a hash. It never asks
# a question. As root it installs missing Debian packages; otherwise it prints the one command
# that does. Everything else goes into .venv. PYTHON=/path/to/python3.13 chooses the Python; an
# environment of another one is made anew. Without it the environment stays as it is.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

extra=${1:-demo}
case $extra in
    demo | test | browser) ;;
    *)
        echo "usage: tools/bootstrap.sh [demo|test|browser]" >&2
        exit 2
        ;;
esac

say() { printf '* %s\n' "$*"; }
fail() {
    printf 'bootstrap: %s\n' "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

# Sees a moved checkout too: a virtual environment has its own path written into it.
wanted=$({
    pwd
    cat pyproject.toml setup.py requirements.lock 2>/dev/null
} | sha256sum)
wanted=${wanted%% *}

is_current() { [[ -x .venv/bin/python && -f .venv/.lockd-$1 && $(<".venv/.lockd-$1") == "$wanted" ]]; }
# Debian keeps daemons in /usr/sbin, which is not on every user's PATH.
has_mosquitto() { command -v mosquitto >/dev/null || [[ -x /usr/sbin/mosquitto ]]; }

# Which installation and version a Python is of; a virtual environment's is that of its maker.
origin() { "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null; }
is_of_wanted_python() {
    local made_by
    if [[ -z ${PYTHON:-} ]]; then return; fi
    made_by=$(origin .venv/bin/python) && [[ $made_by == "$(origin "$PYTHON")" ]]
}

# What has more has the rest.
environment_is_current() {
    local one
    is_of_wanted_python || return
    for one in browser test demo; do
        if is_current "$one"; then return; fi
        if [[ $one == "$extra" ]]; then return 1; fi
    done
}
has_programs() {
    [[ $extra == demo ]] || { has_mosquitto && { [[ $extra == test ]] || command -v chromium >/dev/null; }; }
}

if environment_is_current && has_programs; then exit 0; fi

on_a_pi() { [[ -r /proc/device-tree/model ]] && grep -qa 'Raspberry Pi' /proc/device-tree/model; }

find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11)
    # Only the distribution's own Python sees the distribution's lgpio and picamera2.
    if on_a_pi; then candidates=(/usr/bin/python3 "${candidates[@]}"); fi
    for candidate in ${PYTHON:-"${candidates[@]}"}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

install_debian_packages() {
    if ! command -v apt-get >/dev/null; then
        fail "these are missing, and there is no apt-get here to install them: $*" \
            "Install them with this system's own package manager and start again."
    fi
    if ((EUID != 0)); then
        fail "Debian packages are missing. Install them with" "sudo apt-get install -y $*" \
            "and start again."
    fi
    say "Installing Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

missing=()
if python=$(find_python); then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
elif [[ -n ${PYTHON:-} ]]; then
    fail "PYTHON=$PYTHON does not run, or is older than Python 3.11"
elif command -v python3 >/dev/null; then
    fail "lockd needs Python 3.11 or newer; this is $(python3 --version 2>&1)" \
        "Raspberry Pi OS has it from Bookworm (2023) on. Another one is taken with PYTHON=/path."
else
    missing+=(python3 python3-venv)
fi
if [[ $extra != demo ]] && ! has_mosquitto; then missing+=(mosquitto mosquitto-clients); fi
if [[ $extra == browser ]] && ! command -v chromium >/dev/null; then missing+=(chromium); fi

if ((${#missing[@]})); then
    install_debian_packages "${missing[@]}"
    if [[ " ${missing[*]} " == *" mosquitto "* ]]; then
        say "The tests start their own mosquitto on a free port. Debian also starts one as a" \
            "service, which they do not use: 'systemctl disable --now mosquitto' stops it."
    fi
    python=$(find_python) || fail "lockd needs Python 3.11 or newer; this system's is older"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "$python still cannot make a virtual environment (its ensurepip is missing)"
    fi
fi

if environment_is_current; then exit 0; fi

# A removed Python or a moved checkout leaves an environment whose commands start nothing, or
# start the old checkout's.
if ! grep -qsF "$PWD/.venv" .venv/bin/activate || ! .venv/bin/python -c 'import pip' 2>/dev/null ||
    ! is_of_wanted_python; then
    options=(--clear)
    if on_a_pi; then options+=(--system-site-packages); fi
    say "Making .venv with $("$python" --version) ($python)"
    "$python" -m venv "${options[@]}" .venv
fi

say "Installing lockd and what it needs for '$extra' into .venv (a minute or two, once)"
pip=(.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check)
.venv/bin/python -m lockd.commands.install.lock "$extra" >.venv/locked.txt
"${pip[@]}" --require-hashes --requirement .venv/locked.txt </dev/null
"${pip[@]}" --no-deps --no-build-isolation --editable . </dev/null
printf '%s\n' "$wanted" >".venv/.lockd-$extra"
say "Ready."
