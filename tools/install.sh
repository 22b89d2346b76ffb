#!/usr/bin/env bash
# Installs lockd as a service on a Raspberry Pi or another Debian, out of this checkout:
#
#   sudo tools/install.sh [--dry-run] [--wheels FOLDER] [--console]
#
# Run it again after `git pull` to update. It brings the two Debian packages that are missing
# and leaves the rest to `lockd install`, which says each thing that it changes.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

if ! /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "lockd needs Python 3.11 or newer: Debian 12 or Raspberry Pi OS Bookworm, or later" >&2
    exit 1
fi
missing=()
if ! /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
# Raspberry Pi OS has lgpio as a package; elsewhere pip brings it.
if [[ -r /proc/device-tree/model ]] && grep -qa 'Raspberry Pi' /proc/device-tree/model &&
    ! /usr/bin/python3 -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("lgpio"))'; then
    missing+=(python3-lgpio)
fi
if ((${#missing[@]})); then
    if ((EUID != 0)) || [[ " $* " == *" --dry-run "* ]]; then
        echo "missing Debian packages: apt-get install -y ${missing[*]}" >&2
    else
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${missing[@]}" </dev/null >/dev/null
    fi
fi

# -B: root must not leave compiled files in somebody's checkout.
exec /usr/bin/python3 -B -m lockd.commands.install "$@"
