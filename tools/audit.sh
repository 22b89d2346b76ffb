#!/usr/bin/env bash
# Says which locked versions have a known weakness, by pip-audit and the list that PyPI keeps.
# Exit code 1 if there is one; `tools/lock.sh --upgrade-package NAME` takes a newer version.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

tool=.venv-lock/bin/pip-audit
if ! [[ -x $tool ]]; then
    [[ -x .venv-lock/bin/python ]] || python3 -m venv .venv-lock
    .venv-lock/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'
fi
# Of each Python that is promised: a version can be for one of them alone.
exec "$tool" --strict --progress-spinner off --disable-pip --requirement requirements.lock "$@"
