#!/usr/bin/env bash
# Says which locked versions have a known weakness, by pip-audit and the list that PyPI keeps, or with
# `--vulnerability-service osv` that of osv.dev. What the list does not know is named, and all others are
# looked at. Exit code 1 if there is a weakness, 2 if hardly anything could be looked at;
# `tools/lock.sh --upgrade-package NAME` takes a newer version.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

tool=.venv-lock/bin/pip-audit
if ! [[ -x $tool ]]; then
    [[ -x .venv-lock/bin/python ]] || python3 -m venv .venv-lock
    .venv-lock/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'
fi
# Markers are those of the Python that runs this: a version can be for one alone.
"$tool" --progress-spinner off --disable-pip --requirement requirements.lock --format json "$@" 2>/dev/null |
    python3 tools/audit_report.py
